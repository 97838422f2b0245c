//! Signing in: account and password, or a first sign-in link that is spent once.

use std::sync::Arc;

use access::{passwords, people::ACCOUNTS, tokens::MAX_LIFE};
use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use domain::person::{Command as Ask, Person};
use event_store::{Act, Answer, Stop, Unit, act};
use kernel::{Actor, Code, Refusal, Timestamp, clock::wall, sign::Hash};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use web::{Problem, Route, Seat, Who, answer, command::parse, post};

/// The desk's route.
pub fn routes() -> Vec<Route> {
    vec![post::<SignIn, _>(
        "/api/sign-in",
        Who::Public,
        ["登录", "Sign in: account and password, or a first sign-in link"],
        sign_in,
    )]
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SignIn {
    /// The account.
    account: Option<String>,
    /// The password, or with a link the new one.
    password: String,
    /// The person and secret of a first sign-in link, `person.secret`.
    link: Option<String>,
}

const LOCK_AFTER: i64 = 5;
const LOCK_MS: i64 = 300_000;

async fn sign_in(
    State(seat): State<Arc<Seat>>,
    body: axum::body::Bytes,
) -> Result<Response, Problem> {
    let body: SignIn = parse(&body)?;
    let person = match (&body.link, &body.account) {
        (Some(link), _) => spend_link(&seat, link, &body.password).await?,
        (None, Some(account)) => check_password(&seat, account, &body.password).await?,
        (None, None) => return Err(Refusal::new(Code::BadField).detail("account").into()),
    };
    let token = seat.tokens.issue(&person, MAX_LIFE).ok_or(Code::Internal)?;
    Ok(Json(json!({"token": token, "expires_in": MAX_LIFE, "person": person})).into_response())
}

async fn spend_link(seat: &Seat, link: &str, password: &str) -> Result<String, Problem> {
    let (person, secret) = link.split_once('.').ok_or(Code::LinkSpent)?;
    let hash = Hash::of(&[secret.as_bytes()]);
    let phc = passwords::hash(password).await?;
    let id = person.to_owned();
    let spend: Act = act(move |unit: &mut Unit<'_>| {
        let (id, phc) = (id.clone(), phc.clone());
        Box::pin(async move {
            let done = unit
                .execute::<Person>(&id, Ask::SpendLink { hash, at: wall() })
                .await
                .map_err(|stop| match stop {
                    Stop::Refused(_) => Code::LinkSpent.into(),
                    failed => failed,
                })?;
            let sql = "INSERT INTO passwords (person, phc, failures, locked) VALUES ($1, $2, 0, 0) \
                       ON CONFLICT (person) DO UPDATE SET phc = excluded.phc, failures = 0, locked = 0";
            unit.conn().exec(sql, vec![id.as_str().into(), phc.into()]).await?;
            Ok(answer(&id, &done, json!({})))
        })
    });
    let actor = Actor { person: person.to_owned(), role: "link".to_owned() };
    seat.office.command(actor, None, None, spend).await?;
    Ok(person.to_owned())
}

/// An unknown account costs as much time and answers the same as a wrong password.
async fn check_password(seat: &Seat, account: &str, password: &str) -> Result<String, Problem> {
    let mut reader = seat.office.reader().await?;
    let person: Option<String> = reader.view(ACCOUNTS, account).await?;
    let sql = "SELECT phc, failures, locked FROM passwords WHERE person = $1";
    let args = vec![person.clone().unwrap_or_default().into()];
    let rows = reader.rows(sql, args).await?;
    drop(reader);
    let stored = rows.first().map(|row| Ok::<_, Problem>((row.text(0)?, row.int(2)?, row.int(1)?)));
    let stored = stored.transpose()?;
    let Timestamp(now) = wall();
    if stored.as_ref().is_some_and(|(_, locked, _)| *locked > now) {
        return Err(Code::Locked.into());
    }
    let good = passwords::verify(password, stored.as_ref().map(|(phc, ..)| phc.as_str())).await;
    let Some(person) = person.filter(|_| stored.is_some()) else {
        return Err(Code::BadCredentials.into());
    };
    let failures = stored.map_or(0, |(_, _, failures)| failures);
    if !good {
        remember(seat, &person, false).await?;
        return Err(Code::BadCredentials.into());
    }
    // Whoever may read can sign in, also while the office does not record.
    if failures > 0
        && let Err(problem) = remember(seat, &person, true).await
    {
        tracing::warn!(?problem, "earlier failures still count");
    }
    Ok(person)
}

/// Counts failures; the fifth locks the account for five minutes.
async fn remember(seat: &Seat, person: &str, good: bool) -> Result<(), Problem> {
    let person = person.to_owned();
    let note = act(move |unit: &mut Unit<'_>| {
        let person = person.clone();
        Box::pin(async move {
            let until = wall().0 + LOCK_MS;
            let (sql, args) = if good {
                ("UPDATE passwords SET failures = 0 WHERE person = $1", vec![person.into()])
            } else {
                (
                    "UPDATE passwords SET failures = failures + 1, \
                     locked = CASE WHEN (failures + 1) % $2 = 0 THEN $3 ELSE locked END WHERE person = $1",
                    vec![person.into(), LOCK_AFTER.into(), until.into()],
                )
            };
            unit.conn().exec(sql, args).await?;
            unit.keep_changes();
            Ok(Answer { status: 200, etag: String::new(), body: Vec::new() })
        })
    });
    seat.office.system(note).await?;
    Ok(())
}

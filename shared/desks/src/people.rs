//! Persons, posts and signing in.

use access::{PEOPLE, PersonRow, passwords, people::ACCOUNTS, tokens::MAX_LIFE};
use axum::{
    Json,
    extract::{Path, Query, State},
    response::{IntoResponse, Response},
};
use domain::person::{Authorisation, Command as Ask, Person};
use event_store::{Act, Answer, Unit, act};
use kernel::{Actor, Code, Day, Refusal, Timestamp, clock::wall, sign::Hash};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;
use web::{Caller, Command, Problem, Route, Seat, Who, answer, command::parse, get, post, view};

use crate::listing::{Page, list_as};

/// The desk's routes.
pub fn routes() -> Vec<Route> {
    vec![
        post::<SignIn, _>(
            "/api/sign-in",
            Who::Public,
            ["登录", "Sign in: account and password, or a first sign-in link"],
            sign_in,
        ),
        get("/api/me", Who::SignedIn, ["本人与岗位", "Who I am and which posts I hold"], me),
        get(
            "/api/persons",
            Who::Roles(&["SYS", "SECADM", "AUDADM"]),
            ["人员列表", "Persons"],
            persons,
        )
        .query::<Page>(),
        get(
            "/api/persons/{id}",
            Who::Roles(&["SYS", "SECADM", "AUDADM"]),
            ["人员", "One person with every post held or ended"],
            one,
        ),
        post::<NewPerson, _>(
            "/api/persons",
            Who::Roles(&["SYS"]),
            ["登记人员", "Register a person; the answer holds a one-time first sign-in link"],
            register,
        ),
        post::<NewPost, _>(
            "/api/persons/{id}/authorisations",
            Who::Roles(&["SECADM"]),
            ["岗位授权", "Give a post from a day to a day"],
            authorise,
        ),
        post::<EndPost, _>(
            "/api/persons/{id}/authorisations/{authorisation}/end",
            Who::Roles(&["SECADM"]),
            ["结束授权", "End a post"],
            end,
        ),
    ]
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
                    event_store::Stop::Refused(_) => Code::LinkSpent.into(),
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

async fn me(State(seat): State<Arc<Seat>>, caller: Caller) -> Result<Response, Problem> {
    let mut reader = seat.office.reader().await?;
    let row: Option<PersonRow> = reader.view(PEOPLE, &caller.actor.person).await?;
    let row = row.ok_or(Code::NotFound)?;
    let body = json!({"person": caller.actor.person, "account": row.account, "display": row.display,
        "roles": caller.roles, "office": seat.office.setting().office, "name": seat.name,
        "tier": seat.office.setting().tier, "demo": seat.pin.demo});
    Ok(view(&body, row.version))
}

async fn persons(
    State(seat): State<Arc<Seat>>,
    Query(page): Query<Page>,
) -> Result<Response, Problem> {
    list_as(&seat, PEOPLE, "", &page, |id, row: PersonRow| {
        let mut shown = json!(row);
        shown["id"] = id.into();
        Some(shown)
    })
    .await
}

async fn one(State(seat): State<Arc<Seat>>, Path(id): Path<String>) -> Result<Response, Problem> {
    let row: Option<PersonRow> = seat.office.reader().await?.view(PEOPLE, &id).await?;
    let row = row.ok_or(Code::NotFound)?;
    let mut body = json!(row);
    body["id"] = id.into();
    Ok(view(&body, row.version))
}

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewPerson {
    /// The account, unique in this office.
    account: String,
    /// What the screens show; no real name is needed.
    display: String,
}

/// How long a first sign-in link works, in milliseconds.
const LINK_LIFE: i64 = 3 * 24 * 3600 * 1000;

async fn register(command: Command<NewPerson>) -> Result<Response, Problem> {
    let seat = command.seat().clone();
    let secret = seat.derive("link", &[command.scope()]).to_string();
    let body = command.body.clone();
    let id = format!("{}-{}", seat.office.setting().office, &secret[32..42]);
    let shown = secret[..32].to_owned();
    let act = registering(id, body.account, body.display, Hash::of(&[shown.as_bytes()]));
    let mut answer = command.outcome(act).await?;
    // The link is derived from the key, so that the stored answer need not hold it.
    let mut body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    body["link"] = format!("{}.{shown}", body["id"].as_str().unwrap_or_default()).into();
    answer.body = body.to_string().into_bytes();
    Ok(web::command::respond(answer))
}

/// Registers a person with a first sign-in link.
pub fn registering(id: String, account: String, display: String, link: Hash) -> Act {
    act(move |unit: &mut Unit<'_>| {
        let (id, account, display) = (id.clone(), account.clone(), display.clone());
        Box::pin(async move {
            let taken: Option<String> = unit.row(ACCOUNTS, &account).await?;
            if taken.is_some() {
                return Err(Code::PersonExists.into());
            }
            unit.execute::<Person>(&id, Ask::Register { account, display }).await?;
            let expires = Timestamp(wall().0 + LINK_LIFE);
            let done = unit.execute::<Person>(&id, Ask::IssueLink { hash: link, expires }).await?;
            Ok(Answer { status: 201, ..answer(&id, &done, json!({})) })
        })
    })
}

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewPost {
    /// The role, `D_PLAN`.
    role: String,
    /// `office`, or a round's id.
    #[serde(default = "whole_office")]
    scope: String,
    /// The first day.
    #[schemars(with = "String")]
    from: Day,
    /// The last day.
    #[schemars(with = "Option<String>")]
    to: Option<Day>,
}

fn whole_office() -> String {
    "office".to_owned()
}

async fn authorise(Path(id): Path<String>, command: Command<NewPost>) -> Result<Response, Problem> {
    let expected = command.expected()?;
    let NewPost { role, scope, from, to } = command.body.clone();
    let authorisation = Authorisation { id: format!("{role}-{from}"), role, scope, from, to };
    let tier = command.seat().office.setting().tier;
    command.decide::<Person>(id, expected, Ask::Authorise { tier, authorisation }).await
}

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct EndPost {
    /// The last day.
    #[schemars(with = "String")]
    to: Day,
}

async fn end(
    Path((id, authorisation)): Path<(String, String)>,
    command: Command<EndPost>,
) -> Result<Response, Problem> {
    let (expected, to) = (command.expected()?, command.body.to);
    command.decide::<Person>(id, expected, Ask::EndAuthorisation { id: authorisation, to }).await
}

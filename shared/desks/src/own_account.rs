//! 本人账号 One's own account: sessions, the password, the second factor.

use std::{sync::Arc, time::Duration};

use access::{
    PEOPLE, PersonRow, passwords, second_factor,
    sessions::{SESSIONS, SessionRow},
};
use axum::{
    Json,
    extract::{Path, Query, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use domain::{
    person::{Command as Ask, Person},
    session::{Command as Sign, Session},
};
use event_store::{Stop, Unit, act};
use kernel::{Actor, Code, Refusal, Timestamp, clock::wall};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use web::{
    Caller, Problem, Route, Seat, Who, answer, command::parse, get, post, post_empty,
    session::no_cookie,
};

use crate::{
    certificates::is_certified,
    sealing::destroy_signing_key,
    sign_in::{seed, set_password, with_code},
};

/// The desk's routes.
pub fn routes() -> Vec<Route> {
    vec![
        get("/api/sessions", Who::Oneself, ["本人登录会话", "One's own sessions"], sessions),
        post_empty(
            "/api/sessions/{id}/end",
            Who::Oneself,
            ["结束本人某一会话", "End one of one's own sessions"],
            end,
        ),
        post_empty("/api/sign-out", Who::Oneself, ["退出登录", "Sign out"], sign_out),
        get(
            "/api/second-factor",
            Who::Oneself,
            ["第二要素", "Whether a second factor is set, and a new one to set"],
            offer,
        )
        .query::<Offered>(),
        post::<NewFactor, _>(
            "/api/second-factor",
            Who::Oneself,
            ["设置第二要素", "Set the offered second factor by its first code"],
            set_factor,
        ),
        post::<NewPassword, _>(
            "/api/password",
            Who::Oneself,
            ["修改口令", "Change the password; every other session ends"],
            change_password,
        ),
    ]
}

/// The sessions of a person that hold now, each with its id.
pub(crate) async fn live(seat: &Seat, person: &str) -> Result<Vec<(String, SessionRow)>, Problem> {
    let prefix = format!("{person}/");
    let now = wall();
    let rows: Vec<(String, SessionRow)> =
        seat.office.reader().await?.all(SESSIONS, &prefix).await?;
    // Those that could not be recorded are sessions too.
    let rows = rows.into_iter().chain(seat.door.kept_below(&prefix));
    let live = rows.filter(|(_, row)| row.holds(now));
    Ok(live.map(|(key, row)| (key[prefix.len()..].to_owned(), row)).collect())
}

async fn sessions(State(seat): State<Arc<Seat>>, caller: Caller) -> Result<Response, Problem> {
    let live = live(&seat, &caller.actor.person).await?.into_iter();
    let items: Vec<_> = live
        .map(|(id, row)| {
            let this = caller.session.as_ref() == Some(&id);
            json!({"id": id, "at": row.begun.at, "until": row.begun.until, "this": this,
                "address": row.begun.address, "second_factor": row.begun.second_factor})
        })
        .collect();
    Ok(Json(json!({"items": items})).into_response())
}

/// Ends sessions of a person, at once; while the office does not record, in memory.
pub(crate) async fn end_sessions(
    seat: &Seat,
    actor: &Actor,
    person: &str,
    ids: Vec<String>,
) -> Result<(), Problem> {
    if ids.is_empty() {
        return Ok(());
    }
    for id in &ids {
        seat.door.end(&format!("{person}/{id}"));
    }
    let ending = ids.clone();
    let run = act(move |unit: &mut Unit<'_>| {
        let ids = ending.clone();
        Box::pin(async move {
            for id in ids {
                match unit.execute::<Session>(&id, Sign::End).await {
                    // One that was kept in memory only is over already.
                    Ok(_) | Err(Stop::Refused(Refusal { code: Code::NotFound, .. })) => {}
                    Err(stop) => return Err(stop),
                }
            }
            Ok(event_store::Answer { status: 200, etag: String::new(), body: Vec::new() })
        })
    });
    match seat.office.command(actor.clone(), None, None, run).await {
        Err(refusal) if !matches!(refusal.code.status(), 503 | 507) => Err(refusal.into()),
        Err(refusal) => {
            tracing::warn!(code = refusal.code.slug(), "ended sessions are not on record yet");
            seat.door.owe(actor, ids.iter().map(|id| format!("{person}/{id}")));
            keep_owed(seat);
            Ok(())
        }
        Ok(_) => Ok(()),
    }
}

async fn end(
    State(seat): State<Arc<Seat>>,
    Path(id): Path<String>,
    caller: Caller,
) -> Result<StatusCode, Problem> {
    let person = &caller.actor.person;
    let key = format!("{person}/{id}");
    let known: Option<SessionRow> = seat.office.reader().await?.view(SESSIONS, &key).await?;
    if known.is_none() && seat.door.kept(&key).is_none() {
        return Err(Code::NotFound.into());
    }
    end_sessions(&seat, &caller.actor, person, vec![id]).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn sign_out(State(seat): State<Arc<Seat>>, caller: Caller) -> Result<Response, Problem> {
    let id = caller.session.clone().ok_or(Code::NotFound)?;
    end_sessions(&seat, &caller.actor, &caller.actor.person, vec![id]).await?;
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, no_cookie(&seat))]).into_response())
}

/// Ends what nobody used for a while, as facts. Sessions from before the start count as
/// used when it begins.
pub(crate) async fn idle_loop(seat: Arc<Seat>) {
    let idle = i64::from(seat.wire.idle_seconds) * 1000;
    let pause = Duration::from_millis(u64::try_from(idle / 2).unwrap_or(0));
    let pause = pause.clamp(Duration::from_millis(500), Duration::from_mins(1));
    loop {
        match known_sessions(&seat).await {
            Ok(()) => break,
            Err(problem) => tracing::debug!(?problem, "the sessions cannot be read yet"),
        }
        tokio::time::sleep(pause).await;
    }
    loop {
        tokio::time::sleep(pause).await;
        for (actor, key) in seat.door.owed() {
            let Some((person, id)) = key.rsplit_once('/') else { continue };
            if let Err(problem) = end_sessions(&seat, &actor, person, vec![id.to_owned()]).await {
                tracing::warn!(?problem, "an ended session is not on record yet");
                seat.door.owe(&actor, [key.clone()]);
            }
        }
        keep_owed(&seat);
        for key in seat.door.idle(wall(), idle) {
            let Some((person, id)) = key.rsplit_once('/') else { continue };
            let actor = Actor { person: person.to_owned(), role: "idle".to_owned() };
            if let Err(problem) = end_sessions(&seat, &actor, person, vec![id.to_owned()]).await {
                tracing::warn!(?problem, "an idle session is not ended on record yet");
            }
        }
    }
}

/// The file of the ends that are not on record yet, beside the keys: a restart knows them.
pub(crate) const OWED: &str = "ended-sessions.json";

fn keep_owed(seat: &Seat) {
    let owed = seat.door.still_owed();
    let kept: Option<Vec<(Actor, String)>> = seat.keys.read(OWED).unwrap_or_default();
    if kept.unwrap_or_default() != owed
        && let Err(error) = seat.keys.write_json(OWED, &owed)
    {
        tracing::error!(%error, "ended sessions would live again after a restart");
    }
}

async fn known_sessions(seat: &Seat) -> Result<(), Problem> {
    let now = wall();
    let rows: Vec<(String, SessionRow)> = seat.office.reader().await?.all(SESSIONS, "").await?;
    for (key, _) in rows.iter().filter(|(_, row)| row.holds(now)) {
        seat.door.begins(key, now);
    }
    Ok(())
}

async fn myself(seat: &Seat, caller: &Caller) -> Result<PersonRow, Problem> {
    let row: Option<PersonRow> =
        seat.office.reader().await?.view(PEOPLE, &caller.actor.person).await?;
    Ok(row.ok_or(Code::NotFound)?)
}

/// How long an offer may be shown again, in milliseconds.
const OFFER_LIFE: u64 = 15 * 60 * 1000;

/// Which offer.
#[derive(Debug, Deserialize, JsonSchema)]
struct Offered {
    /// The number of an offer of the last quarter of an hour, to see it again.
    #[schemars(regex(pattern = r"^[0-9]{1,15}$"))]
    number: Option<String>,
}

/// A fresh secret, kept nowhere: its number goes back with the first code.
async fn offer(
    State(seat): State<Arc<Seat>>,
    caller: Caller,
    Query(asked): Query<Offered>,
) -> Result<Response, Problem> {
    let row = myself(&seat, &caller).await?;
    let Timestamp(now) = wall();
    let now = u64::try_from(now).unwrap_or(0);
    // The secret of the one that is set is shown to nobody again.
    let fresh = |number: &u64| {
        (now.saturating_sub(OFFER_LIFE)..=now).contains(number)
            && row.second_factor != Some(*number)
    };
    let digits = |number: &String| {
        (1..=15).contains(&number.len()) && number.bytes().all(|c| c.is_ascii_digit())
    };
    if asked.number.as_ref().is_some_and(|number| !digits(number)) {
        return Err(Refusal::new(Code::BadField).detail("number").into());
    }
    let number = asked.number.and_then(|number| number.parse().ok()).filter(fresh).unwrap_or(now);
    let seed = seed(&seat, &caller.actor.person, number);
    let office = seat.office.setting().office.as_str();
    let address = second_factor::address(&seed, &row.account, office);
    let offer = json!({"number": number.to_string(), "secret": second_factor::secret(&seed), "address": address});
    let mut response =
        Json(json!({"set": row.second_factor.is_some(), "offer": offer})).into_response();
    response
        .headers_mut()
        .insert("cache-control", axum::http::HeaderValue::from_static("no-store"));
    Ok(response)
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewFactor {
    /// The number of the offer.
    #[schemars(regex(pattern = r"^[0-9]{1,15}$"))]
    number: String,
    /// The code that the authenticator shows for it.
    code: String,
    /// The code of the one that is set, if another takes its place.
    current: Option<String>,
}

/// Sets the factor, and ends every session: one signs in again with it.
async fn set_factor(
    State(seat): State<Arc<Seat>>,
    caller: Caller,
    body: axum::body::Bytes,
) -> Result<Response, Problem> {
    let new: NewFactor = parse(&body)?;
    let row = myself(&seat, &caller).await?;
    let person = caller.actor.person.clone();
    let shown = live(&seat, &person).await?.into_iter();
    let mut shown =
        shown.filter(|(id, row)| caller.session.as_ref() == Some(id) && row.begun.second_factor);
    // Where a certificate is the factor, it is what another one is set by.
    if row.second_factor.is_none() && shown.next().is_none() && is_certified(&seat, &person).await?
    {
        return Err(Code::SecondFactorMissing.into());
    }
    if row.second_factor.is_some() {
        with_code(&seat, &person, &row, new.current.as_deref())?;
    }
    let number: u64 =
        new.number.parse().map_err(|_| Refusal::new(Code::BadField).detail("number"))?;
    let (seed, now) = (seed(&seat, &person, number), wall().0 / 1000);
    let step = second_factor::step(&seed, &new.code, u64::try_from(now).unwrap_or(0));
    step.ok_or(Code::FactorCodeWrong)?;
    let (id, version) = (person.clone(), row.version);
    let run = act(move |unit: &mut Unit<'_>| {
        let id = id.clone();
        Box::pin(async move {
            // Of two who set one at the same time, one does.
            let ask = Ask::SetSecondFactor { number };
            let done = unit.execute_at::<Person>(&id, ask, Some(version)).await?;
            Ok(answer(&id, &done, json!({})))
        })
    });
    seat.office.command(caller.actor.clone(), None, None, run).await?;
    let ids = live(&seat, &person).await?.into_iter().map(|(id, _)| id).collect();
    end_sessions(&seat, &caller.actor, &person, ids).await?;
    Ok(Json(json!({"set": true, "sign_in_again": true})).into_response())
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewPassword {
    /// The present one.
    password: String,
    /// The new one, at least 12 characters.
    new: String,
}

async fn change_password(
    State(seat): State<Arc<Seat>>,
    caller: Caller,
    body: axum::body::Bytes,
) -> Result<StatusCode, Problem> {
    let NewPassword { password, new } = parse(&body)?;
    let (person, now) = (caller.actor.person.clone(), wall());
    // Whoever holds a token only must not guess the password by it.
    if !seat.door.tries(&person, "password", now) {
        return Err(Code::Locked.into());
    }
    let sql = "SELECT phc FROM passwords WHERE person = $1";
    let rows = seat.office.reader().await?.rows(sql, vec![person.as_str().into()]).await?;
    let phc = rows.first().map(|row| row.text(0)).transpose()?;
    if !passwords::verify(&password, phc.as_deref()).await || phc.is_none() {
        return Err(Code::BadCredentials.into());
    }
    seat.door.came_in(&person, "password");
    let phc = passwords::hash(&new).await?;
    let id = person.clone();
    let run = act(move |unit: &mut Unit<'_>| {
        let (id, phc) = (id.clone(), phc.clone());
        Box::pin(async move {
            set_password(unit, &id, phc).await?;
            let done = unit.execute::<Person>(&id, Ask::ChangePassword).await?;
            // It is sealed under the password before: whoever knows that one signs no more.
            destroy_signing_key(unit, &id).await?;
            Ok(answer(&id, &done, json!({})))
        })
    });
    seat.office.command(caller.actor.clone(), None, None, run).await?;
    let others = live(&seat, &person).await?.into_iter().map(|(id, _)| id);
    let others = others.filter(|id| caller.session.as_ref() != Some(id)).collect();
    end_sessions(&seat, &caller.actor, &person, others).await?;
    Ok(StatusCode::NO_CONTENT)
}

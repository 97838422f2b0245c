//! Persons, posts and signing in.

use access::{PEOPLE, PersonRow, Subject, people::ACCOUNTS};
use axum::{
    extract::{Path, Query, State},
    response::Response,
};
use domain::{
    person::{Authorisation, Command as Ask, Person},
    post::plain,
};
use event_store::{Act, Answer, Stop, Unit, act};
use kernel::{Code, Day, Timestamp, clock::wall, sign::Hash};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use web::{
    Caller, Command, Nothing, Problem, Route, Seat, Sight, Who, answer, change, get, post, view,
};

use crate::{
    listing::{Page, list_as},
    own_account,
    sealing::destroy_signing_key,
};

/// The desk's routes.
pub fn routes() -> Vec<Route> {
    vec![
        get("/api/me", Who::SignedIn, ["本人与岗位", "Who I am and which posts I hold"], me),
        get("/api/persons", Who::Reads(&[Subject::Accounts]), ["人员列表", "Persons"], persons)
            .in_time()
            .query::<Page>(),
        get(
            "/api/persons/{id}",
            Who::Reads(&[Subject::Accounts]),
            ["人员", "One person with every post held or ended"],
            one,
        )
        .in_time(),
        post::<NewPerson, _>(
            "/api/persons",
            Who::Does("person.register"),
            ["登记人员", "Register a person; the answer holds a one-time first sign-in link"],
            register,
        ),
        change::<NewPost, _>(
            "/api/persons/{id}/authorisations",
            Who::Does("person.authorise"),
            ["岗位授权", "Give a post from a day to a day"],
            authorise,
        ),
        change::<EndPost, _>(
            "/api/persons/{id}/authorisations/{authorisation}/end",
            Who::Does("person.end-authorisation"),
            ["结束授权", "End a post"],
            end,
        ),
        change::<Nothing, _>(
            "/api/persons/{id}/link",
            Who::Does("person.link"),
            ["重发首次登录链接", "Make a new one-time link: the password was lost"],
            new_link,
        ),
        change::<Nothing, _>(
            "/api/persons/{id}/clear-second-factor",
            Who::Does("person.clear-second-factor"),
            ["解除第二要素", "Take a lost second factor away; every session of the person ends"],
            clear_second_factor,
        ),
        post::<Nothing, _>(
            "/api/persons/{id}/end-sessions",
            Who::Does("person.end-sessions"),
            ["结束某人全部会话", "End every session of a person, at once"],
            end_sessions,
        ),
    ]
}

async fn me(State(seat): State<Arc<Seat>>, caller: Caller) -> Result<Response, Problem> {
    let mut reader = seat.office.reader().await?;
    let row: Option<PersonRow> = reader.view(PEOPLE, &caller.actor.person).await?;
    let row = row.ok_or(Code::NotFound)?;
    let body = json!({"person": caller.actor.person, "account": row.account, "display": row.display,
        "roles": caller.roles(), "office": seat.office.setting().office, "name": seat.name,
        "tier": seat.office.setting().tier, "demo": seat.pin.demo,
        "recused": caller.standing.recused});
    Ok(view(&body, row.version))
}

async fn persons(seat: Sight, Query(page): Query<Page>) -> Result<Response, Problem> {
    list_as(&seat, PEOPLE, "", &page, |id, row: PersonRow| Some(shown(id, &row))).await
}

/// A person without what only the door needs.
fn shown(id: &str, row: &PersonRow) -> Value {
    json!({"id": id, "account": row.account, "display": row.display, "version": row.version,
        "authorisations": row.authorisations, "second_factor": row.second_factor.is_some(),
        "identity": row.identity.is_some()})
}

async fn one(seat: Sight, Path(id): Path<String>) -> Result<Response, Problem> {
    let row: Option<PersonRow> = seat.reader().await?.view(PEOPLE, &id).await?;
    let row = row.ok_or(Code::NotFound)?;
    Ok(view(&shown(&id, &row), row.version))
}

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewPerson {
    /// The account, unique in this office.
    #[schemars(regex(pattern = r"^[a-z0-9._-]{1,40}$"))]
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
    let mut body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    body["link"] = format!("{}.{shown}", body["id"].as_str().unwrap_or_default()).into();
    answer.body = body.to_string().into_bytes();
    Ok(web::command::respond(answer))
}

async fn new_link(Path(id): Path<String>, command: Command<Nothing>) -> Result<Response, Problem> {
    let expected = command.expected()?;
    if command.caller.actor.person == id {
        return Err(Code::SamePerson.into());
    }
    let secret = command.seat().derive("link", &[command.scope()]).to_string();
    let shown = secret[..32].to_owned();
    let hash = Hash::of(&[shown.as_bytes()]);
    let person = id.clone();
    let run = act(move |unit: &mut Unit<'_>| {
        let id = person.clone();
        Box::pin(async move {
            let expires = Timestamp(wall().0 + LINK_LIFE);
            let ask = Ask::IssueLink { hash, expires };
            let done = unit.execute_at::<Person>(&id, ask, expected).await?;
            // Who is given a new way in signs by a new key, which others vouch for.
            destroy_signing_key(unit, &id).await?;
            Ok(answer(&id, &done, json!({})))
        })
    });
    let mut answer = command.outcome(run).await?;
    let mut body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    body["link"] = format!("{id}.{shown}").into();
    answer.body = body.to_string().into_bytes();
    Ok(web::command::respond(answer))
}

async fn clear_second_factor(
    Path(id): Path<String>,
    command: Command<Nothing>,
) -> Result<Response, Problem> {
    let expected = command.expected()?;
    if command.caller.actor.person == id {
        return Err(Code::SamePerson.into());
    }
    let (seat, caller) = (command.seat().clone(), command.caller.clone());
    let person = id.clone();
    let run = act(move |unit: &mut Unit<'_>| {
        let id = person.clone();
        Box::pin(async move {
            let ask = Ask::ClearSecondFactor;
            let done = unit.execute_at::<Person>(&id, ask, expected).await?;
            destroy_signing_key(unit, &id).await?;
            Ok(answer(&id, &done, json!({})))
        })
    });
    let done = command.run(run).await?;
    let ids = own_account::live(&seat, &id).await?.into_iter().map(|(id, _)| id).collect();
    own_account::end_sessions(&seat, &caller.actor, &id, ids).await?;
    Ok(done)
}

async fn end_sessions(
    State(seat): State<Arc<Seat>>,
    Path(id): Path<String>,
    command: Command<Nothing>,
) -> Result<axum::http::StatusCode, Problem> {
    let caller = command.caller.clone();
    let known: Option<PersonRow> = seat.office.reader().await?.view(PEOPLE, &id).await?;
    known.ok_or(Code::NotFound)?;
    let ids = own_account::live(&seat, &id).await?.into_iter().map(|(id, _)| id).collect();
    own_account::end_sessions(&seat, &caller.actor, &id, ids).await?;
    Ok(axum::http::StatusCode::NO_CONTENT)
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
    /// What it covers: `office`, `round:ID`, `task:ROUND/TASK`, `organ:ID`,
    /// `portfolio:ID,ID`.
    #[serde(default = "whole_office")]
    scope: String,
    /// The first day.
    from: Day,
    /// The last day.
    to: Option<Day>,
}

fn whole_office() -> String {
    "office".to_owned()
}

async fn authorise(Path(id): Path<String>, command: Command<NewPost>) -> Result<Response, Problem> {
    let expected = command.expected()?;
    if command.caller.actor.person == id {
        return Err(Code::SamePerson.into());
    }
    let NewPost { role, scope, from, to } = command.body.clone();
    // A role may be held on several rounds or units from the same day.
    let on = if scope == "office" { String::new() } else { scope.replace([':', '/'], "-") + "-" };
    let authorisation = Authorisation { id: format!("{role}-{on}{from}"), role, scope, from, to };
    let tier = command.seat().office.setting().tier;
    command.decide::<Person>(id, expected, Ask::Authorise { tier, authorisation }).await
}

/// Whether nobody else is security administrator on the day and for good.
async fn last_of_its_kind(unit: &mut Unit<'_>, id: &str, to: Day) -> Result<bool, Stop> {
    let persons: Vec<(String, PersonRow)> = unit.rows(PEOPLE, "").await?;
    let mut others = persons.iter().filter(|(person, _)| person != id);
    let lasts = |post: &Authorisation| {
        plain(&post.role) == "SECADM" && post.from <= to && post.to.is_none()
    };
    Ok(!others.any(|(_, row)| row.authorisations.values().any(lasts)))
}

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct EndPost {
    /// The last day.
    to: Day,
}

async fn end(
    Path((id, authorisation)): Path<(String, String)>,
    command: Command<EndPost>,
) -> Result<Response, Problem> {
    let (expected, to) = (command.expected()?, command.body.to);
    let run = act(move |unit: &mut Unit<'_>| {
        let (id, authorisation) = (id.clone(), authorisation.clone());
        Box::pin(async move {
            if authorisation.contains("_SECADM-") && last_of_its_kind(unit, &id, to).await? {
                return Err(Code::LastAdministrator.into());
            }
            let ask = Ask::EndAuthorisation { id: authorisation, to };
            let done = unit.execute_at::<Person>(&id, ask, expected).await?;
            Ok(answer(&id, &done, json!({})))
        })
    });
    command.run(run).await
}

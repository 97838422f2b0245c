//! 统一身份认证登录 Signing in by the office's identity provider.
//!
//! It stands for the password and for nothing more: a second factor that is set here is
//! asked for here, unless the configuration says that the provider's own counts.

use std::sync::Arc;

use access::{PEOPLE, PersonRow, people::IDENTITIES};
use axum::{
    Extension, Json,
    extract::{Path, Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{AppendHeaders, IntoResponse, Response},
};
use domain::person::{Command as Ask, Person};
use event_store::{Stop, Unit, act};
use kernel::{Code, Refusal};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use web::{
    Command, Nothing, Peer, Problem, Route, Seat, Who, answer, change, get, leads_here,
    openid::{OpenId, no_way_cookie, way_cookie, way_of},
    session::{cookie, fresh_secret, session_of},
};

use crate::{
    own_account::{end_sessions, live},
    sign_in::{Newcomer, begin, by_certificate, second_factor_of},
};

/// The desk's routes.
pub fn routes() -> Vec<Route> {
    vec![
        get(
            "/api/sign-in",
            Who::Public,
            ["登录方式", "The ways to sign in here, beside account and password"],
            ways,
        ),
        get(
            "/api/openid",
            Who::Public,
            ["统一身份认证登录", "Sign in by the identity provider: sends the browser there"],
            go,
        )
        .query::<Going>(),
        get(
            "/api/openid/back",
            Who::Public,
            ["统一身份认证返回", "Where the identity provider sends the browser back to"],
            back,
        )
        .query::<Back>(),
        change::<NewIdentity, _>(
            "/api/persons/{id}/identity",
            Who::Does("person.bind-identity"),
            ["绑定统一身份", "Let an identity of the provider stand for a person"],
            bind,
        ),
        change::<Nothing, _>(
            "/api/persons/{id}/identity/end",
            Who::Does("person.bind-identity"),
            ["解除统一身份", "Let it stand for nobody; every session of the person ends"],
            unbind,
        ),
    ]
}

async fn ways(State(seat): State<Arc<Seat>>) -> Response {
    Json(json!({"demo": seat.pin.demo, "openid": seat.openid.is_some()})).into_response()
}

fn provider(seat: &Seat) -> Result<&OpenId, Problem> {
    seat.openid.as_ref().ok_or_else(|| Code::OpenIdAbsent.into())
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Going {
    /// Where the browser goes on to afterwards, a path of this office.
    #[serde(default)]
    next: String,
}

/// A path of this office: whoever links here may send nobody elsewhere.
fn near(path: &str) -> &str {
    if leads_here(path) { path } else { "/" }
}

async fn go(
    State(seat): State<Arc<Seat>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    Query(going): Query<Going>,
) -> Result<Response, Problem> {
    let provider = provider(&seat)?;
    seat.pace.sign_in(peer.asks_from(&seat.wire, &headers))?;
    let (url, secret) = provider.begin(near(&going.next)).await?;
    let cookie = way_cookie(&seat, &secret);
    let to = [(header::LOCATION, url), (header::SET_COOKIE, cookie)];
    Ok((StatusCode::SEE_OTHER, to).into_response())
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Back {
    /// What was given along.
    #[serde(default)]
    state: String,
    /// The code.
    #[serde(default)]
    code: String,
}

async fn back(
    State(seat): State<Arc<Seat>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    Query(came): Query<Back>,
) -> Result<Response, Problem> {
    let provider = provider(&seat)?;
    let address = peer.asks_from(&seat.wire, &headers);
    seat.pace.sign_in(address)?;
    let browser = way_of(&seat, &headers).ok_or(Code::OpenIdFailed)?;
    let said = provider.finish(browser, &came.state, &came.code).await?;
    let mut reader = seat.office.reader().await?;
    let person: Option<String> = reader.view(IDENTITIES, &said.identity.to_string()).await?;
    let unknown =
        || Refusal::new(Code::IdentityUnknown).detail(format!("subject: {}", said.subject));
    let person = person.ok_or_else(unknown)?;
    let row: Option<PersonRow> = reader.view(PEOPLE, &person).await?;
    let row = row.filter(|row| row.identity == Some(said.identity)).ok_or_else(unknown)?;
    drop(reader);
    let from = Newcomer { address, certificate: peer.certificate };
    let second_factor = said.second_factor
        || by_certificate(&seat, &person, &from).await?
        || second_factor_of(&seat, &person, &row, None, &from).await?;
    let secret = fresh_secret();
    begin(&seat, &person, &row, &session_of(&secret), (second_factor, &from)).await?;
    let cookies = [cookie(&seat, &person, &secret), no_way_cookie(&seat)];
    let to = [(header::LOCATION, near(&said.next).to_owned())];
    let cookies = AppendHeaders(cookies.map(|cookie| (header::SET_COOKIE, cookie)));
    Ok((StatusCode::SEE_OTHER, to, cookies).into_response())
}

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewIdentity {
    /// The subject, as the provider names it and the refusal showed it.
    subject: String,
}

async fn bind(
    State(seat): State<Arc<Seat>>,
    Path(id): Path<String>,
    command: Command<NewIdentity>,
) -> Result<Response, Problem> {
    let expected = command.expected()?;
    if command.caller.actor.person == id {
        return Err(Code::SamePerson.into());
    }
    let subject = command.body.subject.trim().to_owned();
    if subject.is_empty() || subject.len() > 255 {
        return Err(Refusal::new(Code::BadField).detail("subject: 1 … 255").into());
    }
    let identity = provider(&seat)?.identity(&subject);
    let run = act(move |unit: &mut Unit<'_>| {
        let id = id.clone();
        Box::pin(async move {
            let known: Option<String> = unit.row(IDENTITIES, &identity.to_string()).await?;
            if known.is_some_and(|known| known != id) {
                return Err(Stop::from(Code::IdentityBound));
            }
            let ask = Ask::BindIdentity(Some(identity));
            let done = unit.execute_at::<Person>(&id, ask, expected).await?;
            Ok(answer(&id, &done, json!({})))
        })
    });
    command.run(run).await
}

async fn unbind(Path(id): Path<String>, command: Command<Nothing>) -> Result<Response, Problem> {
    let expected = command.expected()?;
    let (seat, caller) = (command.seat().clone(), command.caller.clone());
    let done = command.decide::<Person>(id.clone(), expected, Ask::BindIdentity(None)).await?;
    let ids = live(&seat, &id).await?.into_iter().map(|(id, _)| id).collect();
    end_sessions(&seat, &caller.actor, &id, ids).await?;
    Ok(done)
}

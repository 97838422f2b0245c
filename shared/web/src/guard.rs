//! Who asks: the token, the person's live roles, the row of the route.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock, Mutex, PoisonError},
    time::{Duration, Instant},
};

use access::{PEOPLE, PersonRow};
use axum::{
    extract::{FromRequestParts, Request, State},
    http::{Method, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use domain::person::plain;
use kernel::{Actor, Code, OfficeId};

use telemetry::way;

use crate::{
    Problem, Seat,
    routes::{Gate, Who},
};

/// A signed-in person in the role that lets this request through.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Person and role.
    pub actor: Actor,
    /// Every role held today.
    pub roles: Vec<String>,
    /// When the token ends, in seconds, by the machine's clock.
    pub until: i64,
}

impl Caller {
    /// Whether one of these roles, without the tier's letter, is held.
    pub fn holds(&self, roles: &[&str]) -> bool {
        self.roles.iter().any(|role| roles.contains(&plain(role)))
    }
}

impl Caller {
    /// Looks again at a caller whose request lasts: `false` once the token or
    /// the posts have ended.
    pub async fn still(&mut self, seat: &Seat) -> bool {
        let now = kernel::clock::wall().0 / 1000;
        self.roles = roles(seat, &self.actor.person).await.unwrap_or_default();
        now < self.until && !self.roles.is_empty()
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| Code::NotSignedIn.into())
    }
}

/// Finds a request its place, asks who sends it, and counts how long it took.
pub(crate) async fn guard(
    State((seat, gate)): State<(Arc<Seat>, Arc<Gate>)>,
    request: Request,
    next: Next,
) -> Response {
    // Who asks how the office is, gets an answer also when it is full.
    let asks_how_it_is = ["/health/live", "/health/ready", "/api/operations", "/metrics"];
    let place = if asks_how_it_is.contains(&gate.path) {
        Ok(None)
    } else {
        seat.room.enter(&seat, &gate, request.headers()).map(Some)
    };
    let began = Instant::now();
    let office = seat.office.setting().office.as_str();
    let response = match place {
        Err(code) => Problem::from(code).into_response(),
        Ok(_place) => {
            let parent = request.headers().get("traceparent").and_then(|value| value.to_str().ok());
            let parent = parent.map(str::to_owned);
            let answering = admitted(&seat, &gate, request, next);
            way::asked(gate.path, office, parent.as_deref(), answering).await
        }
    };
    let method = match gate.method {
        Method::GET => "GET",
        Method::PUT => "PUT",
        Method::HEAD => "HEAD",
        _ => "POST",
    };
    let status = response.status().as_u16();
    seat.office.figures().asked(method, gate.path, status, began.elapsed());
    response
}

/// Lets a request through if its route's row says so.
async fn admitted(seat: &Seat, gate: &Gate, mut request: Request, next: Next) -> Response {
    let Gate { who, if_match, .. } = *gate;
    if who == Who::Public {
        return next.run(request).await;
    }
    let token = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = token.and_then(|value| value.split_once(' '));
    let token = token.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let token = token.map(|(_, token)| token.to_owned());
    match caller(seat, who, token).await {
        Ok(_) if if_match && !request.headers().contains_key(header::IF_MATCH) => {
            Problem::from(Code::IfMatchRequired).into_response()
        }
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    }
}

async fn caller(seat: &Seat, who: Who, token: Option<String>) -> Result<Caller, Problem> {
    let claims = token.and_then(|token| seat.tokens.check(token.trim()));
    let claims = claims.ok_or(Code::NotSignedIn)?;
    let roles = roles(seat, &claims.sub).await?;
    let role = match who {
        Who::Roles(allowed) => roles.iter().find(|role| allowed.contains(&plain(role))),
        _ => roles.first(),
    };
    let role = role.cloned().ok_or(Code::NotAllowed)?;
    Ok(Caller { actor: Actor { person: claims.sub, role }, roles, until: claims.exp })
}

type Known = HashMap<(OfficeId, String), (Instant, Vec<String>)>;
static KNOWN: LazyLock<Mutex<Known>> = LazyLock::new(Mutex::default);
/// How long a looked-up role may be used; an ended post ends within it.
const FRESH: Duration = Duration::from_secs(1);

async fn roles(seat: &Seat, person: &str) -> Result<Vec<String>, Problem> {
    let key = (seat.office.setting().office.clone(), person.to_owned());
    let known = {
        let known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&key).filter(|(at, _)| at.elapsed() < FRESH).map(|(_, roles)| roles.clone())
    };
    if let Some(roles) = known {
        return Ok(roles);
    }
    let row: Option<PersonRow> = seat.office.reader().await?.view(PEOPLE, person).await?;
    let today = seat.office.setting().clock.now().day();
    let roles = row.map(|row| row.roles_on(today)).unwrap_or_default();
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if known.len() > 10_000 {
        known.clear();
    }
    known.insert(key, (Instant::now(), roles.clone()));
    Ok(roles)
}

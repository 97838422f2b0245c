//! Who asks: the session, the person's live posts, the row of the route.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock, Mutex, PoisonError},
    time::{Duration, Instant},
};

use access::{Matter, PEOPLE, PersonRow, Post, Standing, Subject, policy};
use axum::{
    extract::{FromRequestParts, Request, State},
    http::{HeaderMap, Method, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use event_store::{Stop, Unit};
use kernel::{Actor, Class, Code, OfficeId, Refusal};

use telemetry::way;

use crate::{
    Problem, Seat, reading,
    routes::{Gate, Who},
    session::{self, FRESH, Shown, still_holds},
    sight::Found,
};

/// A signed-in person in the role that lets this request through.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Person and role.
    pub actor: Actor,
    /// Every post held today, and what takes away from them.
    pub standing: Standing,
    /// Why something is read, if that was said.
    pub reason: Option<String>,
    /// When token or session end, in seconds, by the machine's clock.
    pub until: i64,
    /// The session that the token belongs to.
    pub session: Option<String>,
    /// Whether the request looks at a past, where nothing can be done.
    pub looks_back: bool,
}

impl Caller {
    /// Whether the matter may be read.
    pub fn reads(&self, matter: &Matter<'_>) -> bool {
        self.may(policy::READ, matter)
    }

    /// Whether this may be done with the matter.
    pub fn may(&self, action: &str, matter: &Matter<'_>) -> bool {
        policy::allows(&self.standing, action, matter).is_some()
    }

    /// Whether the matter may be read once a reason is given.
    pub fn reads_with_reason(&self, matter: &Matter<'_>) -> bool {
        policy::allows(&self.standing.with_reason(), policy::READ, matter).is_some()
    }

    /// A count of what is in the matter, as the caller may know it.
    pub fn count(&self, matter: &Matter<'_>, count: u64) -> Option<u64> {
        policy::count(&self.standing, matter, count)
    }

    /// The same caller by what the transaction holds: what ended before it, has ended.
    pub async fn anew(&self, unit: &mut Unit<'_>) -> Result<Self, Stop> {
        let row: Option<PersonRow> = unit.row(PEOPLE, &self.actor.person).await?;
        let today = unit.context().now.day();
        let standing = row.map(|row| row.standing_on(today)).unwrap_or_default();
        let standing = Standing { gives_reason: self.reason.is_some(), ..standing };
        Ok(Self { standing, ..self.clone() })
    }

    /// Refuses what may not be done. Whoever may not even read the matter hears that it
    /// is absent, in the words of one that is.
    pub fn permit(&self, action: &str, matter: &Matter<'_>, absent: Code) -> Result<(), Refusal> {
        match (self.may(action, matter), self.reads(matter)) {
            (true, _) => Ok(()),
            (false, true) => Err(Code::NotAllowed.into()),
            (false, false) => Err(absent.into()),
        }
    }

    /// Those of the possible commands that the caller may give, in their short names.
    pub fn actions(&self, matter: &Matter<'_>, possible: &[&'static str]) -> Vec<&'static str> {
        if self.looks_back {
            return Vec::new();
        }
        let allowed = possible.iter().filter(|action| self.may(action, matter));
        allowed.map(|action| action.rsplit_once('.').map_or(*action, |(_, short)| short)).collect()
    }

    /// The roles held today, each once.
    pub fn roles(&self) -> Vec<&str> {
        let mut roles: Vec<&str> =
            self.standing.posts.iter().map(|post| post.role.as_str()).collect();
        roles.dedup();
        roles
    }

    /// Looks again at a caller whose request lasts: `false` once the token or
    /// the posts have ended.
    pub async fn still(&mut self, seat: &Seat) -> bool {
        let now = kernel::clock::wall().0 / 1000;
        self.standing = standing(seat, &self.actor.person).await.unwrap_or_default();
        self.standing.gives_reason = self.reason.is_some();
        let signed_in = match &self.session {
            Some(id) => still_holds(seat, &self.actor.person, id).await,
            None => true,
        };
        now < self.until && signed_in && !self.standing.posts.is_empty()
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| Code::NotSignedIn.into())
    }
}

/// Says that a request's body holds what is sealed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sealed;

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

/// How long a stranger's command may take, its body included.
const PATIENCE: Duration = Duration::from_mins(1);

async fn in_time(answering: impl Future<Output = Response>) -> Response {
    let answered = tokio::time::timeout(PATIENCE, answering).await;
    answered.unwrap_or_else(|_| Problem::from(Code::UploadSilent).into_response())
}

/// Lets a request through if its route's row says so.
async fn admitted(seat: &Seat, gate: &Gate, mut request: Request, next: Next) -> Response {
    let Gate { who, if_match, .. } = *gate;
    if who == Who::Public {
        let answering = next.run(request);
        if gate.streams || gate.method != Method::POST {
            return answering.await;
        }
        // Strangers have few places: none is held by a body that does not come.
        return in_time(answering).await;
    }
    match caller(seat, who, request.headers()).await {
        Ok(_) if if_match && !request.headers().contains_key(header::IF_MATCH) => {
            Problem::from(Code::IfMatchRequired).into_response()
        }
        Ok(mut caller) => {
            if let Err(refusal) = seat.ceiling.admits(request.headers()) {
                return Problem::from(refusal).into_response();
            }
            let found = match Found::find(seat, gate.in_time, request.uri()).await {
                Ok(found) => found,
                Err(response) => return response,
            };
            caller.looks_back = found.looks_back();
            request.extensions_mut().insert(caller);
            found.give(request.extensions_mut());
            if gate.sealed {
                request.extensions_mut().insert(Sealed);
            }
            if who == Who::Oneself {
                return in_time(next.run(request)).await;
            }
            let mut response = next.run(request).await;
            found.tell(&mut response);
            response
        }
        Err(problem) => problem.into_response(),
    }
}

async fn caller(seat: &Seat, who: Who, headers: &HeaderMap) -> Result<Caller, Problem> {
    let (shown, second_factor) = session::shown(seat, headers).await?;
    seat.pace.person(&shown.person)?;
    let reason = reading::reason(headers, seat.ceiling)?;
    let mut standing = standing(seat, &shown.person).await?;
    standing.gives_reason = reason.is_some();
    let lacks = !second_factor && !seat.pin.demo && policy::asks_second_factor(&standing.posts);
    if who != Who::Oneself && lacks {
        return Err(Code::SecondFactorUnset.into());
    }
    let post = match who {
        Who::Reads(subjects) => by_reason(&standing, subjects)?,
        Who::Does(action) => policy::some(&standing, action, &[]),
        Who::DoesOne(actions) => {
            actions.iter().find_map(|action| policy::some(&standing, action, &[]))
        }
        Who::ReadsWhole(subject) => policy::whole(&standing, policy::READ, subject),
        // A command's row is known by its name; the class is that of what it makes.
        Who::DoesWhole(action) => policy::whole(&standing, action, Subject::Of(Class::K12)),
        Who::SignedIn | Who::Oneself | Who::Public => standing.posts.first(),
    };
    let role = match (post, who) {
        (Some(post), _) => post.role.clone(),
        (None, Who::Oneself) => "self".to_owned(),
        (None, _) => return Err(Code::NotAllowed.into()),
    };
    let Shown { person, session, until } = shown;
    let actor = Actor { person, role };
    Ok(Caller { actor, standing, reason, until, session, looks_back: false })
}

/// The post that reads some of these subjects; whoever is only consulted on them says why.
fn by_reason<'s>(
    standing: &'s Standing,
    subjects: &[Subject],
) -> Result<Option<&'s Post>, Problem> {
    let post = policy::some(standing, policy::READ, subjects);
    if post.is_none() && policy::some(&standing.with_reason(), policy::READ, subjects).is_some() {
        return Err(Code::ReadingReasonMissing.into());
    }
    Ok(post)
}

type Known = HashMap<(OfficeId, String), (Instant, Standing)>;
static KNOWN: LazyLock<Mutex<Known>> = LazyLock::new(Mutex::default);

async fn standing(seat: &Seat, person: &str) -> Result<Standing, Problem> {
    let key = (seat.office.setting().office.clone(), person.to_owned());
    let known = {
        let known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&key).filter(|(at, _)| at.elapsed() < FRESH).map(|(_, known)| known.clone())
    };
    if let Some(standing) = known {
        return Ok(standing);
    }
    let row: Option<PersonRow> = seat.office.reader().await?.view(PEOPLE, person).await?;
    let today = seat.office.setting().clock.now().day();
    let standing = row.map(|row| row.standing_on(today)).unwrap_or_default();
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if known.len() > 10_000 {
        known.clear();
    }
    known.insert(key, (Instant::now(), standing.clone()));
    Ok(standing)
}

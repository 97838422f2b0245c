//! Commands: key, version, act date and body are read here, once for all routes.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    body::{Body, Bytes},
    extract::{FromRequest, MatchedPath, OriginalUri, Request},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use event_store::{Act, Answer, Done, Idempotency, Unit, act};
use kernel::{Aggregate, Code, Day, Refusal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{Caller, Classification, Governed, Problem, Seat, guard::Sealed, matter::permitted};

/// A body with nothing in it; `{}` and no body at all are the same.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// The largest command body, in bytes.
pub(crate) const MAX_BODY: usize = 2 * 1024 * 1024;

/// A command as it was sent.
pub struct Command<T> {
    /// The body.
    pub body: T,
    /// Who sends it.
    pub caller: Caller,
    seat: Arc<Seat>,
    key: Idempotency,
    if_match: Option<String>,
    act_date: Option<Day>,
}

impl<T: DeserializeOwned> FromRequest<Arc<Seat>> for Command<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, seat: &Arc<Seat>) -> Result<Self, Problem> {
        let caller = request.extensions().get::<Caller>().cloned().ok_or(Code::NotSignedIn)?;
        let path = request.extensions().get::<OriginalUri>().map(|uri| uri.path().to_owned());
        let path = path.unwrap_or_else(|| {
            request.extensions().get::<MatchedPath>().map_or("", |p| p.as_str()).to_owned()
        });
        let route = format!("{} {path}", request.method());
        let sealed = request.extensions().get::<Sealed>().is_some();
        let headers = request.headers().clone();
        let bytes = read_body(request).await?;
        let key = text(&headers, "idempotency-key")?.ok_or(Code::KeyRequired)?;
        if key.is_empty() || key.len() > 200 {
            return Err(Refusal::new(Code::BadField).detail("Idempotency-Key: 1 … 200").into());
        }
        let act_date = text(&headers, "act-date")?
            .map(|day| {
                Day::parse(&day).ok_or_else(|| Refusal::new(Code::BadField).detail("Act-Date"))
            })
            .transpose()?;
        let today = seat.office.setting().clock.now().day();
        if act_date.is_some_and(|day| day > today || today.days_after(day) > OLDEST_ACT) {
            return Err(Refusal::new(Code::BadField)
                .detail("Act-Date: 10 years ago … today")
                .into());
        }
        let body = parse_below(if bytes.is_empty() { b"{}" } else { &bytes }, seat.ceiling)?;
        Ok(Self {
            body,
            key: Idempotency::new(
                &caller.actor.person,
                &route,
                &key,
                &fingerprint(&if sealed { unsealed(&bytes) } else { bytes.to_vec() }, act_date),
            ),
            // One that holds nothing names no version.
            if_match: text(&headers, "if-match")?.filter(|tag| !tag.trim().is_empty()),
            caller,
            seat: seat.clone(),
            act_date,
        })
    }
}

/// How long ago an act may be dated: two terms of five years, in days.
const OLDEST_ACT: i64 = 3653;

/// What makes two commands the same: their bodies, and the day they are dated.
/// The members whose values are sealed: nothing that follows from them is kept.
const SEALED: [&str; 7] = ["saying", "sender", "title", "text", "objects", "evidence", "minutes"];

/// What of a body is not sealed: by this alone a key that is used for two is noticed.
fn unsealed(body: &[u8]) -> Vec<u8> {
    let read: Option<serde_json::Map<String, Value>> = serde_json::from_slice(body).ok();
    let mut members = read.unwrap_or_default();
    members.retain(|name, _| !SEALED.contains(&name.as_str()));
    Value::Object(members).to_string().into_bytes()
}

fn fingerprint(bytes: &[u8], act_date: Option<Day>) -> Vec<u8> {
    let mut all = bytes.to_vec();
    if let Some(day) = act_date {
        all.extend_from_slice(format!("\0{day}").as_bytes());
    }
    all
}

/// How long a body may take to come, on the slowest network.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);

/// Reads a body, at most [`MAX_BODY`] bytes.
async fn read_body(request: Request) -> Result<Bytes, Problem> {
    let coming = axum::body::to_bytes(request.into_body(), MAX_BODY);
    let bytes = tokio::time::timeout(PATIENCE, coming).await.map_err(|_| Code::UploadSilent)?;
    bytes.map_err(|_| Code::TooLarge.into())
}

/// Parses a JSON body; the refusal says where it does not fit.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    parse_below(bytes, Classification::TopSecret)
}

/// The same; a text that bears a mark above the ceiling is refused, and said nowhere.
fn parse_below<T: DeserializeOwned>(bytes: &[u8], ceiling: Classification) -> Result<T, Problem> {
    let refuse = |error: &serde_json::Error| {
        let code = if error.is_data() { Code::BadField } else { Code::BadRequest };
        Problem(Refusal::new(code).detail(error.to_string()))
    };
    let value: Value = serde_json::from_slice(bytes).map_err(|error| refuse(&error))?;
    if let Some(at) = unclean(&value, "") {
        let why = format!("{at}: 含控制字符 / holds a control character");
        return Err(Refusal::new(Code::BadField).detail(why).into());
    }
    if !texts(&value, &mut |text| ceiling.admits_text(text)) {
        return Err(Code::AboveCeiling.into());
    }
    // Read again from the bytes: the reason then names the place.
    serde_json::from_slice(bytes).map_err(|error| refuse(&error))
}

/// Whether every text of a body is as asked.
fn texts(value: &Value, is: &mut impl FnMut(&str) -> bool) -> bool {
    match value {
        Value::String(text) => is(text),
        Value::Array(items) => items.iter().all(|item| texts(item, is)),
        Value::Object(members) => members.iter().all(|(name, item)| is(name) && texts(item, is)),
        _ => true,
    }
}

/// Where a text holds what no keyboard writes: controls other than line ends and
/// tabs, direction overrides, non-characters.
pub(crate) fn unclean(value: &Value, at: &str) -> Option<String> {
    let bad = |c: char| {
        c.is_control() && !matches!(c, '\n' | '\r' | '\t')
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{fffe}' | '\u{ffff}')
    };
    match value {
        Value::String(text) => text.chars().any(bad).then(|| at.to_owned()),
        Value::Array(items) => {
            items.iter().enumerate().find_map(|(n, item)| unclean(item, &format!("{at}/{n}")))
        }
        Value::Object(members) => {
            members.iter().find_map(|(name, item)| unclean(item, &format!("{at}/{name}")))
        }
        _ => None,
    }
}

fn text(headers: &HeaderMap, name: &str) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    let value = value.to_str().map_err(|_| Refusal::new(Code::BadRequest).detail(name))?;
    Ok(Some(value.to_owned()))
}

/// What `If-Match` said, or why it said nothing.
#[derive(Clone, Debug)]
pub struct Expected(Result<Option<u64>, Refusal>);

impl Expected {
    /// The expected version of a stream that is `at` a version; 0 is no stream.
    pub fn at(self, at: u64) -> Result<Option<u64>, Refusal> {
        match self.0 {
            Err(refusal) if at == 0 && refusal.code == Code::IfMatchRequired => Ok(None),
            said => said,
        }
    }
}

impl<T> Command<T> {
    /// The office's seat.
    pub fn seat(&self) -> &Arc<Seat> {
        &self.seat
    }

    /// The Idempotency-Key's scope, for deriving secrets that answers don't keep.
    pub fn scope(&self) -> &str {
        &self.key.scope
    }

    /// The version that `If-Match` names; without the header 428. `*` is any.
    pub fn expected(&self) -> Result<Option<u64>, Problem> {
        let header = self.if_match.as_deref().ok_or(Code::IfMatchRequired)?.trim();
        if header == "*" {
            return Ok(None);
        }
        // A weak tag never matches (RFC 9110, 13.1.1).
        if header.starts_with("W/\"") {
            return Err(Code::Stale.into());
        }
        let digits = header.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
        let plain = |text: &&str| *text == "0" || !text.starts_with(['0', '+']);
        let version = digits.filter(plain).and_then(|digits| digits.parse().ok());
        version.map(Some).ok_or_else(|| Refusal::new(Code::BadField).detail("If-Match").into())
    }

    /// The same for a stream that may not be there yet: then no version is needed.
    pub fn expected_if_known(&self) -> Expected {
        Expected(self.expected().map_err(|problem| problem.0))
    }

    /// Runs the command and answers with what it comes to.
    pub async fn run(self, act: Act) -> Result<Response, Problem> {
        let answer = self.outcome(act).await?;
        Ok(respond(answer))
    }

    /// Runs the command; for handlers that add to the answer.
    pub async fn outcome(self, act: Act) -> Result<Answer, Problem> {
        let Self { seat, caller, key, act_date, .. } = self;
        let actor = caller.actor.clone();
        let act = while_in_post(caller, act);
        Ok(seat.office.command(actor, act_date, Some(key), act).await?)
    }

    /// Decides one command on one stream: the common case. A new stream answers
    /// 201, an existing one 200.
    pub async fn decide<A: Aggregate>(
        self,
        id: String,
        expected: Option<u64>,
        command: A::Command,
    ) -> Result<Response, Problem> {
        let run = act(move |unit: &mut Unit<'_>| {
            let (id, command) = (id.clone(), command.clone());
            Box::pin(async move {
                let done = unit.execute_at::<A>(&id, command, expected).await?;
                Ok(answer(&id, &done, json!({})))
            })
        });
        self.run(run).await
    }
}

impl<T> Command<T> {
    /// Decides one command on the stream of a row that the policy governs; stream and row
    /// have the same id.
    pub async fn decide_on<R: Governed, A: Aggregate>(
        self,
        action: &'static str,
        id: String,
        expected: Option<u64>,
        command: A::Command,
    ) -> Result<Response, Problem> {
        let caller = self.caller.clone();
        let run = act(move |unit: &mut Unit<'_>| {
            let (id, command, caller) = (id.clone(), command.clone(), caller.clone());
            Box::pin(async move {
                permitted::<R>(unit, &caller, action, &id).await?;
                let done = unit.execute_at::<A>(&id, command, expected).await?;
                Ok(answer(&id, &done, json!({})))
            })
        });
        self.run(run).await
    }
}

/// A command, if its caller still holds the post that let it through: the guard looked a
/// moment ago, the transaction looks now.
fn while_in_post(caller: Caller, command: Act) -> Act {
    let caller = Arc::new(caller);
    act(move |unit: &mut Unit<'_>| {
        let (caller, command) = (caller.clone(), command.clone());
        Box::pin(async move {
            let now = caller.anew(unit).await?;
            if !now.standing.posts.iter().any(|post| post.role == caller.actor.role) {
                return Err(Code::NotAllowed.into());
            }
            command(unit).await
        })
    })
}

/// The answer to a decided command: the id, the version, and what else there is.
pub fn answer(id: &str, done: &Done, more: Value) -> Answer {
    let mut body = json!({"id": id, "version": done.version, "added": done.added});
    if let (Some(body), Value::Object(more)) = (body.as_object_mut(), more) {
        body.extend(more);
    }
    let created = done.added as u64 == done.version && done.added > 0;
    Answer {
        status: if created { 201 } else { 200 },
        etag: done.version.to_string(),
        body: body.to_string().into_bytes(),
    }
}

/// An answer on the wire.
pub fn respond(answer: Answer) -> Response {
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if !answer.etag.is_empty()
        && let Ok(tag) = HeaderValue::from_str(&format!("\"{}\"", answer.etag))
    {
        headers.insert(header::ETAG, tag);
    }
    response
}

/// A resource with its version as `ETag`.
pub fn view<T: Serialize>(row: &T, version: u64) -> Response {
    let mut response = Json(row).into_response();
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{version}\"")) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

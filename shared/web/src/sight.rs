//! What a query looks at: the office as it is, or as it was.
//!
//! `as_of` and `known_at` stand in the query of every view. The guard finds that past
//! before the handler runs, and the handler reads through its sight in the same words.
//! What a reader would get wrong: who may see what is decided by the posts held today and
//! by what the matter is now; the past opens nothing.

use std::{convert::Infallible, ops::Deref, sync::Arc};

use axum::{
    Json,
    extract::{FromRequestParts, Query},
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header, request::Parts},
    response::{IntoResponse, Response},
};
use event_store::{
    Past, Reader, StoreError,
    past::{Known, Moment, NoPast},
};
use kernel::{Code, Day, Refusal};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{Problem, Seat};

/// Where the laying out of the past is looked at.
pub const LAYING: &str = "/operations/past";

/// How a route takes `as_of` and `known_at`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InTime {
    /// Its views are those of what was done by the day.
    Folded,
    /// Its rows say themselves from which day on they hold; the handler asks for the day.
    Dated,
}

/// The moment that a query names.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
pub struct At {
    /// 截至该日办理的事项 What was done, or holds, by this day; a date.
    #[serde(default)]
    #[schemars(extend("format" = "date"))]
    as_of: Option<String>,
    /// 本单位当时所知 What the office knew then: a date, a time, or a sequence of its log.
    #[serde(default)]
    #[schemars(extend("anyOf" = [{"format": "date"}, {"pattern": "^[0-9]{1,12}$"}]))]
    known_at: Option<String>,
}

impl At {
    fn day(&self) -> Result<Option<Day>, Refusal> {
        let bad = || Refusal::new(Code::BadField).detail("as_of: YYYY-MM-DD");
        self.as_of.as_deref().map(|text| Day::parse(text).ok_or_else(bad)).transpose()
    }

    fn known(&self) -> Result<Option<Known>, Refusal> {
        let Some(text) = self.known_at.as_deref() else { return Ok(None) };
        let bad = "known_at: YYYY-MM-DD, RFC 3339, or a sequence";
        let known = Known::parse(text);
        known.map(Some).ok_or_else(|| Refusal::new(Code::BadField).detail(bad))
    }
}

/// The past that a request looks at.
#[derive(Clone, Debug, Default)]
struct Back {
    past: Option<Arc<Past>>,
    day: Option<Day>,
}

impl Back {
    /// What it is of, beside the answer.
    fn tell(&self, headers: &mut HeaderMap) {
        let mut say = |name: &'static str, value: String| {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(name, value);
            }
        };
        if let Some(day) = self.day {
            say("as-of", day.to_string());
        }
        if let Some(past) = &self.past {
            say("known-at", past.standing().known_at.to_string());
        }
    }
}

/// A seat, and the moment at which it is looked at.
#[derive(Clone)]
pub struct Sight {
    seat: Arc<Seat>,
    back: Back,
}

impl Sight {
    /// The office as it is.
    pub fn now(seat: &Arc<Seat>) -> Self {
        Self { seat: seat.clone(), back: Back::default() }
    }

    /// A reader of the views at this moment.
    pub async fn reader(&self) -> Result<Reader, StoreError> {
        let reader = self.seat.office.reader().await?;
        Ok(match &self.back.past {
            Some(past) => reader.looking_back(past.clone()),
            None => reader,
        })
    }

    /// The day of which is asked: that of `as_of`, that of what was known last, or today.
    pub fn today(&self) -> Day {
        let known = || self.back.past.as_ref().map(|past| past.recorded().day());
        self.back.day.or_else(known).unwrap_or_else(|| self.seat.office.setting().clock.now().day())
    }

    /// The same as it is said in an answer: a time, or the day that was asked for.
    pub fn as_of(&self) -> Value {
        let known = || self.back.past.as_ref().map(|past| json!(past.recorded()));
        let day = self.back.day.map(|day| json!(day));
        day.or_else(known).unwrap_or_else(|| json!(self.seat.office.setting().clock.now()))
    }

    /// Whether it is another moment than now.
    pub const fn looks_back(&self) -> bool {
        self.back.past.is_some()
    }
}

impl Deref for Sight {
    type Target = Arc<Seat>;

    fn deref(&self) -> &Arc<Seat> {
        &self.seat
    }
}

impl FromRequestParts<Arc<Seat>> for Sight {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, seat: &Arc<Seat>) -> Result<Self, Infallible> {
        let back = parts.extensions.get::<Back>().cloned().unwrap_or_default();
        Ok(Self { seat: seat.clone(), back })
    }
}

/// Found for one request: what the handler is given, and what stands beside its answer.
pub(crate) struct Found(Back);

impl Found {
    /// Finds the past that a request names. A route that knows no past refuses to be asked
    /// for one, rather than to answer with the present.
    pub(crate) async fn find(
        seat: &Seat,
        in_time: Option<InTime>,
        uri: &Uri,
    ) -> Result<Self, Response> {
        if uri.query().is_none() {
            return Ok(Self(Back::default()));
        }
        let refused = |refusal: Refusal| Problem(refusal).into_response();
        let Query(at) = Query::<At>::try_from_uri(uri)
            .map_err(|error| refused(Refusal::new(Code::BadField).detail(error.body_text())))?;
        let (day, known) = (at.day().map_err(refused)?, at.known().map_err(refused)?);
        let moment = match in_time {
            None if day.is_none() && known.is_none() => return Ok(Self(Back::default())),
            None => return Err(refused(Code::PastUnknown.into())),
            Some(InTime::Folded) => Moment { as_of: day, known_at: known },
            Some(InTime::Dated) => Moment { as_of: None, known_at: known },
        };
        if moment == Moment::default() {
            return Ok(Self(Back { past: None, day }));
        }
        let past = seat.office.past(moment).await.map_err(none)?;
        Ok(Self(Back { past: Some(past), day }))
    }

    pub(crate) const fn looks_back(&self) -> bool {
        self.0.past.is_some()
    }

    pub(crate) fn give(&self, extensions: &mut axum::http::Extensions) {
        extensions.insert(self.0.clone());
    }

    pub(crate) fn tell(&self, response: &mut Response) {
        self.0.tell(response.headers_mut());
    }
}

/// The day of a sight, as it was known then and as it is known now.
pub async fn both_of(then: &Sight) -> Result<[Sight; 2], Response> {
    let day = Some(then.today());
    let known = then.back.past.as_ref().map(|past| Known::After(past.standing().known_at));
    let at = async |known_at| {
        let past = then.seat.office.past(Moment { as_of: day, known_at }).await.map_err(none)?;
        Ok(Sight { seat: then.seat.clone(), back: Back { past: Some(past), day } })
    };
    Ok([at(known).await?, at(None).await?])
}

/// What is answered when there is no such past, or not yet.
fn none(no: NoPast) -> Response {
    match no {
        NoPast::Ahead => Problem::from(Code::MomentAhead).into_response(),
        NoPast::Store(error) => Problem::from(error).into_response(),
        NoPast::Laying(progress) => {
            let body = json!({"operation": LAYING, "done": progress.done, "of": progress.of});
            let mut response = (StatusCode::ACCEPTED, Json(body)).into_response();
            let headers = response.headers_mut();
            headers.insert(header::LOCATION, HeaderValue::from_static(LAYING));
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
            response
        }
    }
}

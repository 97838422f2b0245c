//! The event feed: own and received entries in the local order, as pages or live.

use std::{convert::Infallible, sync::Arc, time::Duration};

use access::{Matter, Subject};
use axum::{
    Json,
    extract::{Path, Query, State},
    http::HeaderMap,
    response::{
        IntoResponse, Response,
        sse::{Event as SseEvent, KeepAlive, Sse},
    },
};
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use domain::post::Organ;
use event_store::log::{self, Cursor};
use futures_util::stream;
use kernel::{Class, Code, Fact, Refusal, sign::Hash};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use web::{Caller, Problem, Route, Seat, Who, get, reading::Seen};

use crate::clues::apart::apart;

/// The desk's routes.
pub fn routes() -> Vec<Route> {
    vec![
        get(
            "/api/events",
            Who::SignedIn,
            ["事件流", "Own and received entries, a page after a cursor"],
            events,
        )
        .query::<After>()
        .consulted(),
        get(
            "/api/feed",
            Who::SignedIn,
            ["事件流(实时)", "The same live, as server-sent events"],
            feed,
        )
        .query::<After>()
        .consulted(),
        get(
            "/api/history/{family}/{id}",
            Who::SignedIn,
            ["历史沿革", "The entries of one aggregate"],
            history,
        )
        .consulted(),
    ]
}

/// How much of an entry somebody may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sight {
    Nothing,
    /// That it is there, from whom, of which type, and its hash: the log without content.
    Envelope,
    Whole,
}

/// Whoever has no row for its class sees nothing of an entry; the audit administrator sees
/// that it is there.
fn sight(seat: &Seat, caller: &Caller, fact: &Fact, seen: &mut Seen) -> Sight {
    let bound = (seat.office.setting().bindings)(&fact.kind).map_or(Class::K14, |row| row.class);
    // A list is known by its own entries before it is fed back: they stay as secret as it was.
    let class = match kind_of(fact) {
        kind if LISTS.contains(&kind) => Class::K8,
        // Exact counts are for those who may read what is counted.
        "figures.reported" => Class::K9,
        "clue-figures.reported" => Class::K10,
        _ => bound,
    };
    let (family, id) = fact.stream.split_once('/').unwrap_or_default();
    // What an account was given, is for the administrators; who is recused, is not.
    let subject = match family {
        "person" | "session" | "certificate" => Subject::Accounts,
        _ => Subject::Of(class),
    };
    // What is secret of single tasks, a post on one of them sees of its own only.
    let task = (family == "round" && class != Class::K2).then(|| task_of(fact)).flatten();
    let own = fact.at.origin == seat.office.setting().office;
    let matter = Matter {
        organ: organ_of(family, own),
        own,
        round: (family == "round").then_some(id),
        task: task.as_deref(),
        ..Matter::of(subject)
    };
    // Of which unit an entry is, only the views know. Whoever has nothing of some unit's
    // matters sees no entry here that could be of it: filings are of no unit.
    let of_units = !matter.subject.is_common() && class != Class::K12;
    if !(of_units && caller.standing.is_set_apart()) && caller.reads(&matter) {
        seen.note(caller, &matter, || fact.stream.clone());
        return Sight::Whole;
    }
    let log = caller.reads(&Matter::of(Subject::Of(Class::K14)));
    if log { Sight::Envelope } else { Sight::Nothing }
}

/// Whose a word about a clue is. Which organ's a case is, only the views know: in the log
/// it is nobody's.
fn organ_of(family: &str, own: bool) -> Option<Organ> {
    match (family, own) {
        ("clue", true) => Some(Organ::InspectionOffice),
        ("clue" | "clue-case" | "clue-figures", _) => Some(Organ::Administration),
        _ => None,
    }
}

/// The one task of a round that an entry is about; of several, none that has a name.
fn task_of(fact: &Fact) -> Option<String> {
    #[derive(Deserialize)]
    struct Named {
        task: Option<String>,
        tasks: Option<Vec<serde::de::IgnoredAny>>,
    }
    let named: Named = fact.read().ok()?;
    named.task.or_else(|| named.tasks.map(|_| String::new()))
}

/// What is said of a list before its feedback; the entries themselves are bound wider.
const LISTS: [&str; 4] =
    ["round.list-issued", "round.no-finding-signed", "round.no-finding-recorded", "finding.listed"];

/// `finding.listed` of a full type.
fn kind_of(fact: &Fact) -> &str {
    let kind = fact.kind.strip_prefix("cn.liandong.").unwrap_or(&fact.kind);
    kind.strip_suffix(".v1").unwrap_or(kind)
}

#[derive(Deserialize, JsonSchema)]
struct After {
    /// The cursor of the last entry that is known.
    #[serde(default)]
    after: String,
    /// At most so many entries a page, 1 to 1000; 100 if not said. A live feed takes no limit.
    #[schemars(range(min = 1, max = 1000))]
    limit: Option<usize>,
}

/// A cursor of this office; one that lies ahead of its log is none.
fn cursor(seat: &Seat, name: &str, text: &str) -> Result<Cursor, Problem> {
    if text.is_empty() {
        return Ok(Cursor::default());
    }
    let known = Cursor::parse(text).filter(|cursor| cursor.sequence <= seat.office.head());
    known.ok_or_else(|| Refusal::new(Code::BadField).detail(name).into())
}

fn item(cursor: Cursor, bytes: &[u8], fact: &Fact, hash: &Hash, sight: Sight) -> Value {
    let mut item = json!({"cursor": cursor.to_string(), "origin": fact.at.origin,
        "epoch": fact.at.epoch, "sequence": fact.at.sequence, "audience": fact.audience,
        "type": fact.kind, "hash": hash});
    if sight == Sight::Whole {
        item["entry"] = BASE64.encode(bytes).into();
    }
    item
}

/// The visible items after a cursor, and the cursor behind all that were looked at.
async fn page(
    seat: &Seat,
    caller: &Caller,
    after: Cursor,
    limit: usize,
) -> Result<(Vec<(Cursor, Value)>, Cursor), Problem> {
    let apart = apart(seat, caller).await?;
    let mut reader = seat.office.reader().await?;
    let (mut items, mut seen, mut last) = (Vec::new(), Seen::default(), after);
    for (at, bytes) in log::feed(&mut reader, after, limit).await? {
        last = at;
        let (fact, hash) = Fact::of_entry(&bytes).map_err(|_| Problem::from(Code::Internal))?;
        if apart.has_stream(&fact.stream) {
            continue;
        }
        let sight = sight(seat, caller, &fact, &mut seen);
        if sight != Sight::Nothing {
            items.push((at, item(at, &bytes, &fact, &hash, sight)));
        }
    }
    drop(reader);
    seen.record(seat, caller, "events").await?;
    Ok((items, last))
}

async fn events(
    State(seat): State<Arc<Seat>>,
    caller: Caller,
    Query(query): Query<After>,
) -> Result<Response, Problem> {
    let after = cursor(&seat, "after", &query.after)?;
    let limit = query.limit.unwrap_or(100);
    if !(1..=1000).contains(&limit) {
        return Err(Refusal::new(Code::BadField).detail("limit: 1 … 1000").into());
    }
    let (items, last) = page(&seat, &caller, after, limit).await?;
    let items: Vec<Value> = items.into_iter().map(|(_, item)| item).collect();
    let next = (last != after).then(|| last.to_string());
    Ok(Json(json!({"items": items, "next": next})).into_response())
}

struct Live {
    seat: Arc<Seat>,
    caller: Caller,
    after: Cursor,
    /// Behind what was sent.
    sent: Cursor,
    ready: std::collections::VecDeque<(Cursor, Value)>,
    caught_up: bool,
    _place: web::room::Place,
}

async fn feed(
    State(seat): State<Arc<Seat>>,
    caller: Caller,
    headers: HeaderMap,
    Query(query): Query<After>,
) -> Result<Response, Problem> {
    let resumed = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let after = match resumed {
        Some(id) => cursor(&seat, "Last-Event-ID", id)?,
        None => cursor(&seat, "after", &query.after)?,
    };
    let place = seat.room.feed()?;
    let ready = std::collections::VecDeque::new();
    let live = Live { seat, caller, after, sent: after, ready, caught_up: false, _place: place };
    let events = stream::unfold(live, |mut live| async move {
        let event = live.next().await?;
        Some((Ok::<_, Infallible>(event), live))
    });
    let keep_alive = KeepAlive::new().interval(Duration::from_secs(15));
    let sse = Sse::new(events).keep_alive(keep_alive);
    Ok(([("x-accel-buffering", "no"), ("cache-control", "no-cache")], sse).into_response())
}

impl Live {
    /// The next event; none when the process stops or the store fails.
    async fn next(&mut self) -> Option<SseEvent> {
        let mut head = self.seat.office.watch();
        let mut stopping = self.seat.stopping.clone();
        loop {
            let before = self.caller.standing.clone();
            if !self.caller.still(&self.seat).await {
                return None;
            }
            if self.caller.standing != before && !self.ready.is_empty() {
                // What waits was looked at by other rights: it is looked at again.
                self.ready.clear();
                self.after = self.sent;
            }
            if let Some((at, item)) = self.ready.pop_front() {
                self.sent = at;
                return Some(SseEvent::default().id(at.to_string()).data(item.to_string()));
            }
            head.mark_unchanged();
            let (items, last) = page(&self.seat, &self.caller, self.after, 500).await.ok()?;
            let moved = last != self.after;
            if items.is_empty() && self.ready.is_empty() {
                self.sent = last;
            }
            self.after = last;
            self.ready.extend(items);
            if !moved {
                if !self.caught_up {
                    self.caught_up = true;
                    let at = self.after.to_string();
                    return Some(SseEvent::default().event("caught-up").id(at).data("{}"));
                }
                tokio::select! {
                    changed = head.changed() => changed.ok()?,
                    stop = stopping.wait_for(|stop| *stop) => { let _ = stop; return None; }
                }
            }
        }
    }
}

/// The entries of one aggregate, own or received, decoded and exact.
async fn history(
    State(seat): State<Arc<Seat>>,
    caller: Caller,
    Path((family, id)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let mut reader = seat.office.reader().await?;
    let stream = format!("{family}/{id}");
    let mut entries = log::stream_entries(&mut reader, &stream).await?;
    if apart(&seat, &caller).await?.has_stream(&stream) {
        return Err(Code::NotFound.into());
    }
    if entries.is_empty() {
        entries = log::received_stream(&mut reader, &stream).await?;
    }
    drop(reader);
    let (mut items, mut seen) = (Vec::new(), Seen::default());
    for bytes in entries {
        let (fact, hash) = Fact::of_entry(&bytes).map_err(|_| Problem::from(Code::Internal))?;
        let sight = sight(&seat, &caller, &fact, &mut seen);
        if sight == Sight::Nothing {
            continue;
        }
        let mut item = json!({"at": fact.at, "version": fact.version, "type": fact.kind,
            "recorded": fact.recorded, "act_date": fact.act_date, "actor": fact.actor,
            "audience": fact.audience, "causation": fact.causation, "hash": hash});
        // Own entries are proven by the own log; others' by theirs.
        if fact.at.origin == seat.office.setting().office {
            item["witnessed"] = json!(seat.ledger.witnessed(fact.at.sequence));
        }
        if sight == Sight::Whole {
            item["data"] = json!(fact.data);
            item["entry"] = BASE64.encode(&bytes).into();
        }
        items.push(item);
    }
    if items.is_empty() {
        return Err(Code::NotFound.into());
    }
    seen.record(&seat, &caller, "history").await?;
    Ok(Json(json!({"demo": seat.pin.demo, "items": items})).into_response())
}

//! Health: whether the process lives, and what the office can do right now.
//!
//! What a reader would get wrong: an office that does not record still answers what it
//! knows, and people need that most when something is wrong. So readiness answers 503
//! only while nothing can be read; `status` and `records` say the rest, and the
//! fields are the contract (decision 0006).

use std::{path::Path, sync::Arc};

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use event_store::{Answer, Condition, Unit, act};
use kernel::Code;
use serde_json::json;
use web::Seat;

/// So many entries behind, an office is catching up rather than merely busy.
const MANY: u64 = 1000;
/// With less room than this nobody tries whether the disk takes a commit again.
const ROOM: u64 = 16 * 1024 * 1024;

pub(crate) async fn live() -> Response {
    Json(json!({"status": "live"})).into_response()
}

pub(crate) async fn ready(State(seat): State<Arc<Seat>>) -> Response {
    if seat.office.condition() == Condition::Full {
        try_again(&seat).await;
    }
    let status = status(&seat);
    let reads = seat.office.condition() != Condition::Stopped;
    let body = json!({
        "status": status,
        "link": if seat.link.is_up() { "up" } else { "down" },
        "unsent": unsent(&seat),
        "records": records(status),
        "reads": reads,
        "demo": seat.pin.demo,
        "rebuilding": seat.office.rebuilding(),
    });
    let code = if reads { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(body)).into_response()
}

/// `ready`, `catching-up`, or the code with which commands are refused.
pub(crate) fn status(seat: &Seat) -> &'static str {
    match seat.office.condition() {
        Condition::Stopped => Code::Stopped.slug(),
        _ if seat.office.refusing().is_some() => seat.office.refusing().map_or("ready", Code::slug),
        Condition::Full => Code::DiskFull.slug(),
        Condition::Sound if seat.link.is_up() && unsent(seat) > MANY => "catching-up",
        Condition::Sound => "ready",
    }
}

/// Whether an office of this status takes commands.
pub(crate) fn records(status: &str) -> bool {
    matches!(status, "ready" | "catching-up")
}

/// How many own entries the hub does not hold yet, as far as is known.
pub(crate) fn unsent(seat: &Seat) -> u64 {
    seat.office.head().saturating_sub(seat.link.held())
}

/// A full disk is noticed by a failed commit; that there is room again, by one that
/// goes through. Without commands nobody would notice.
async fn try_again(seat: &Seat) {
    if disk(seat).is_some_and(|(free, _)| free < ROOM) {
        return;
    }
    let nothing = act(|unit: &mut Unit<'_>| {
        Box::pin(async move {
            unit.keep_changes();
            Ok(Answer { status: 200, etag: String::new(), body: Vec::new() })
        })
    });
    if let Err(refusal) = seat.office.system(nothing).await {
        tracing::debug!(%refusal, "the disk is still full");
    }
}

/// Free and whole size of the disk under the data folder, in bytes.
pub(crate) fn disk(seat: &Seat) -> Option<(u64, u64)> {
    let mut folder: &Path = seat.papers.folder();
    while !folder.exists() {
        folder = folder.parent()?;
    }
    let disk = rustix::fs::statvfs(folder).ok()?;
    Some((disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize))
}

//! What the office says of itself: the directory, neighbours, its views, a demo's clock.

use std::sync::Arc;

use access::Subject;
use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use domain::{
    demo_clock::{DemoClock, Move},
    directory::Member,
};
use event_store::{Unit, act};
use kernel::{Code, OfficeId, Timestamp, sign::Hash};
use messaging::{
    directory::{DIRECTORY, Entry},
    neighbours,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use web::{Command, Nothing, Problem, Route, Seat, Sight, Who, answer, get, post};

/// What everybody must know of the link.
const KNOWN: Who = Who::Reads(&[Subject::Offices]);

/// The desk's routes.
pub fn routes() -> Vec<Route> {
    vec![
        get("/api/offices", KNOWN, ["单位名录", "The directory"], offices).in_time(),
        get(
            "/api/neighbours",
            KNOWN,
            ["相邻单位", "Last heard and not received yet, for each neighbour"],
            all_neighbours,
        ),
        get("/api/intake", KNOWN, ["接收统计", "What intake counted since the start"], intake),
        get(
            "/api/views/check",
            Who::Reads(&[Subject::Operations]),
            ["核对视图", "Compare every view with a fresh fold"],
            check,
        ),
        post::<Nothing, _>(
            "/api/views/refold",
            Who::Does("views.refold"),
            ["重建视图", "Fold the views again beside the served ones; /health/ready says how far"],
            refold,
        ),
        post::<Drive, _>(
            "/api/demo/clock",
            Who::Does("demo-clock.move"),
            ["拨动演示时钟", "Move a demo office's clock forwards"],
            drive,
        ),
    ]
}

async fn all_neighbours(State(seat): State<Arc<Seat>>) -> Result<Response, Problem> {
    Ok(Json(neighbours::neighbours(&seat.office).await?).into_response())
}

async fn intake(State(seat): State<Arc<Seat>>) -> Result<Response, Problem> {
    let mut reader = seat.office.reader().await?;
    let mut waiting = serde_json::Map::new();
    for row in reader.rows("SELECT reason, COUNT(*) FROM held GROUP BY reason", vec![]).await? {
        waiting.insert(row.text(0)?, row.count(1)?.into());
    }
    let mut evidence = serde_json::Map::new();
    for row in reader.rows("SELECT code, COUNT(*) FROM evidence GROUP BY code", vec![]).await? {
        evidence.insert(row.text(0)?, row.count(1)?.into());
    }
    let body = json!({"counted": seat.counters.all(), "held": waiting, "evidence": evidence});
    Ok(Json(body).into_response())
}

#[derive(Serialize)]
struct Listed {
    #[serde(flatten)]
    member: Member,
    /// The office below which the city has put it, until it has moved there.
    #[serde(skip_serializing_if = "Option::is_none")]
    moving_to: Option<OfficeId>,
}

async fn offices(seat: Sight) -> Result<Response, Problem> {
    let rows: Vec<(String, Entry)> = seat.reader().await?.all(DIRECTORY, "").await?;
    let offices: Vec<Listed> = rows
        .into_iter()
        .map(|(_, entry)| Listed {
            moving_to: entry.is_moving().map(|moving| moving.parent.clone()),
            member: entry.member,
        })
        .collect();
    Ok(Json(json!({"demo": seat.pin.demo, "items": offices})).into_response())
}

async fn check(State(seat): State<Arc<Seat>>) -> Result<Response, Problem> {
    // Rows may hold what an administrator must not read: their hashes are enough.
    let hash = |body: Option<String>| body.map(|body| Hash::of(&[body.as_bytes()]));
    let difference = seat.office.check_views().await?.map(
        |d| json!({"view": d.view, "key": d.key, "stored": hash(d.stored), "fresh": hash(d.fresh)}),
    );
    Ok(Json(json!({"agree": difference.is_none(), "difference": difference})).into_response())
}

async fn refold(State(seat): State<Arc<Seat>>, _: Command<Nothing>) -> Result<Response, Problem> {
    seat.office.rebuild();
    let body = Json(json!({"rebuilding": seat.office.rebuilding()}));
    Ok((StatusCode::ACCEPTED, body).into_response())
}

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Drive {
    /// To when; not before the clock's time now.
    to: Timestamp,
}

/// The move is recorded at the new time, so that a restart resumes there.
async fn drive(command: Command<Drive>) -> Result<Response, Problem> {
    let to = command.body.to;
    let seat = command.seat().clone();
    let demo = seat.pin.demo && seat.office.setting().clock.is_driven();
    let run = act(move |unit: &mut Unit<'_>| {
        Box::pin(async move {
            let office = unit.setting().office.to_string();
            if demo && to < unit.context().now {
                return Err(Code::ClockBackwards.into());
            }
            if demo {
                unit.drive(to);
            }
            let done = unit.execute::<DemoClock>(&office, Move { demo, to }).await?;
            Ok(answer(&office, &done, json!({"now": to})))
        })
    });
    command.run(run).await
}

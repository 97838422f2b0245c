//! What the operator at night needs: how the office is, what waits and why, figures.
//!
//! Nothing here shows content or names a person; places in logs, codes and counts are
//! enough to act by `deploy/runbook.md`, whose headings are the codes shown here.

pub mod backup;
pub mod health;
pub mod overview;
pub mod restore;

use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};

use access::Subject;
use axum::{
    Json,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use telemetry::figures;
use web::{Problem, Route, Seat, Who, get};

use overview::Overview;

/// Who runs the machine and who watches those who do.
const OPERATORS: Who = Who::Reads(&[Subject::Operations]);

/// The desk's routes.
pub fn routes() -> Vec<Route> {
    vec![
        get("/health/live", Who::Public, ["存活", "The process lives"], health::live),
        get(
            "/health/ready",
            Who::Public,
            ["就绪", "Whether the office records and reads, and its link to the hub"],
            health::ready,
        ),
        get(
            "/api/operations",
            OPERATORS,
            ["运行状况", "Queue, relay, what waits and why, disk; no content and no names"],
            operations,
        ),
        get("/metrics", OPERATORS, ["运行指标", "Figures for Prometheus (OpenMetrics)"], metrics),
    ]
}

async fn operations(State(seat): State<Arc<Seat>>) -> Result<Response, Problem> {
    Ok(Json(Overview::of(&seat).await?).into_response())
}

async fn metrics(State(seat): State<Arc<Seat>>) -> Result<Response, Problem> {
    Overview::of(&seat).await?.count(&seat);
    let page = seat.office.figures().page();
    Ok(([(header::CONTENT_TYPE, figures::KIND)], page).into_response())
}

/// The offices that this process serves.
static OPEN: LazyLock<Mutex<Vec<Weak<Seat>>>> = LazyLock::new(Mutex::default);

/// An office serves from now on.
pub fn open(seat: &Arc<Seat>) {
    let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
    open.retain(|seat| seat.strong_count() > 0);
    open.push(Arc::downgrade(seat));
}

/// The figures of every office of this process, as one page. An office whose store
/// does not answer shows what was counted; its `records` is 0.
pub async fn all_figures() -> String {
    let open: Vec<_> = {
        let open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        open.iter().filter_map(Weak::upgrade).collect()
    };
    let mut pages = Vec::new();
    for seat in open {
        match Overview::of(&seat).await {
            Ok(overview) => overview.count(&seat),
            Err(_) => seat.office.figures().is("records", 0),
        }
        pages.push(seat.office.figures().page());
    }
    figures::joined(&pages)
}

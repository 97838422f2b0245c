//! 移交单 The list that goes with a sealed envelope.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use domain::clue::State as ClueState;
use kernel::Code;
use serde_json::json;
use web::{Caller, Governed, Problem, Route, Seat, Sight, Who, get, matter::read};

use super::view::ClueRow;

/// The desk's route.
pub(super) fn routes() -> Vec<Route> {
    vec![get(
        "/api/clues/{id}/slip",
        Who::Does("clue.offer"),
        ["移交单(供打印)", "The hand-over list, to be printed: what is in the envelope, unread"],
        slip,
    )]
}

/// What stands on the list that goes with an envelope: numbers, dates and who has signed,
/// and nothing of what is inside.
async fn slip(
    State(seat): State<Arc<Seat>>,
    Path(id): Path<String>,
    caller: Caller,
) -> Result<Response, Problem> {
    let row: ClueRow = read(&Sight::now(&seat), &caller, &id).await?;
    caller.permit("clue.offer", &row.matter(&row.office), Code::ClueAbsent)?;
    let Some(sealed) = row.dates.get("sealed").filter(|_| row.state == ClueState::Sealed) else {
        return Err(Code::WrongState.into());
    };
    let signed: Vec<&str> = row.signatures.iter().map(|one| one.by.as_str()).collect();
    let today = seat.office.setting().clock.now().day();
    let body = json!({"demo": seat.pin.demo, "clue": id, "from": row.office, "to": row.route,
        "sealed": sealed, "content": row.content, "signed_by": signed, "pieces": 1, "printed": today});
    Ok(Json(body).into_response())
}

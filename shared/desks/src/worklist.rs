//! 待办 The worklist: what waits for the caller, over all matters that he may act on.
//!
//! It says that something waits and what may be done, and nothing of what it holds: to
//! read it is a request of its own, which is recorded where reads are.

use std::sync::Arc;

use access::policy;
use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use kernel::Day;
use serde::Serialize;
use serde_json::json;
use web::{Caller, Governed, Problem, Route, Seat, Who, get};

use crate::{
    envelopes::EnvelopeRow, filings::FilingRow, findings::FindingRow,
    rectifications::RectificationRow, recusals::RecusalRow, reviews::ReviewRow, rounds::RoundRow,
};

/// The most that is listed; whoever has more begins with these.
const MOST: usize = 500;
/// Rows that are read at once.
const PAGE: usize = 500;

/// The desk's routes.
pub fn routes() -> Vec<Route> {
    vec![get(
        "/api/worklist",
        Who::SignedIn,
        ["待办", "What waits for the caller: matters with the commands he may give now"],
        worklist,
    )]
}

/// Something that waits.
#[derive(Debug, Serialize)]
struct Waiting {
    kind: &'static str,
    id: String,
    actions: Vec<&'static str>,
    due: Option<Day>,
}

async fn worklist(State(seat): State<Arc<Seat>>, caller: Caller) -> Result<Response, Problem> {
    let mut waiting = Vec::new();
    let mut more = collect::<FilingRow>(&seat, &caller, &mut waiting, |row| {
        row.expectation.as_ref().map(|expectation| expectation.due)
    })
    .await?;
    more |= collect::<ReviewRow>(&seat, &caller, &mut waiting, |row| {
        row.expectation.as_ref().map(|expectation| expectation.due)
    })
    .await?;
    more |= collect::<RoundRow>(&seat, &caller, &mut waiting, |_| None).await?;
    more |= collect::<FindingRow>(&seat, &caller, &mut waiting, |row| row.due).await?;
    more |= collect::<RectificationRow>(&seat, &caller, &mut waiting, |row| {
        row.opening.as_ref().map(|opening| opening.due)
    })
    .await?;
    more |= collect::<RecusalRow>(&seat, &caller, &mut waiting, |_| None).await?;
    more |= collect::<EnvelopeRow>(&seat, &caller, &mut waiting, |row| Some(row.due)).await?;
    // What is due first stands first; what has no day stands last.
    waiting.sort_by_key(|item| (item.due.is_none(), item.due));
    let body = json!({"demo": seat.pin.demo, "today": seat.office.setting().clock.now().day(),
        "items": waiting, "more": more});
    Ok(Json(body).into_response())
}

/// Adds what waits in one view; whether there is more than is listed. Views on which none
/// of the caller's posts could act are not even looked at.
async fn collect<T: Governed>(
    seat: &Seat,
    caller: &Caller,
    waiting: &mut Vec<Waiting>,
    due: impl Fn(&T) -> Option<Day>,
) -> Result<bool, Problem> {
    let here = &seat.office.setting().office;
    if !policy::acts_on(&caller.standing.posts, T::FAMILY) {
        return Ok(false);
    }
    let (mut after, first) = (String::new(), waiting.len());
    let mut reader = seat.office.reader().await?;
    loop {
        let rows: Vec<(String, T)> = reader.scan(T::VIEW, "", &after, PAGE).await?;
        let last = rows.last().map(|(key, _)| key.clone());
        for (id, row) in rows {
            let actions = caller.actions(&row.matter(here), row.possible_for(caller));
            if actions.is_empty() {
                continue;
            }
            if waiting.len() - first == MOST {
                return Ok(true);
            }
            waiting.push(Waiting { kind: T::FAMILY, id, actions, due: due(&row) });
        }
        match last {
            Some(last) => after = last,
            None => return Ok(false),
        }
    }
}

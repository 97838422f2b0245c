//! The filing board: every office below and every filing, with lateness.

use std::collections::BTreeMap;

use access::Subject;
use axum::{
    Json,
    response::{IntoResponse, Response},
};
use domain::filing_review::State as ReviewState;
use kernel::Class;
use kernel::OfficeId;
use messaging::{
    directory::{DIRECTORY, Entry},
    neighbours::neighbours,
};
use serde_json::{Value, json};
use web::{Problem, Route, Sight, Who, get};

use crate::reviews::{REVIEWS, ReviewRow};

/// The desk's routes.
pub fn routes() -> Vec<Route> {
    vec![
        get(
            "/api/filing-board",
            Who::ReadsWhole(Subject::Of(Class::K12)),
            ["报备看板", "Filing board: offices below by filings"],
            board,
        )
        .in_time(),
    ]
}

async fn board(seat: Sight) -> Result<Response, Problem> {
    let setting = seat.office.setting();
    let today = seat.today();
    let mut reader = seat.reader().await?;
    let members: Vec<(String, Entry)> = reader.all(DIRECTORY, "").await?;
    let reviews: Vec<(String, ReviewRow)> = reader.all(REVIEWS, "").await?;
    drop(reader);
    // Nothing is kept of when somebody was heard before.
    let heard = if seat.looks_back() { Vec::new() } else { neighbours(&seat.office).await? };
    let heard: BTreeMap<OfficeId, _> =
        heard.into_iter().map(|n| (n.office, n.last_heard)).collect();
    let below = members.iter().map(|(_, entry)| &entry.member.seat);
    let open = |member: &OfficeId| {
        let mut open = reviews.iter().filter(|(_, row)| row.state != ReviewState::Accepted);
        open.any(|(_, row)| row.expectation.as_ref().is_some_and(|e| e.from == *member))
    };
    // Who was put below another office stays until what it owes here is done.
    let rows: Vec<Value> = below
        .filter(|member| member.office != setting.office)
        .filter(|member| member.parent.as_ref() == Some(&setting.office) || open(&member.office))
        .map(|member| {
            let own = reviews.iter().map(|(_, row)| row);
            let own =
                own.filter(|row| row.expectation.as_ref().is_some_and(|e| e.from == member.office));
            let filings: Vec<Value> = own.map(|row| filing(row, today)).collect();
            json!({"district": member.office, "name": member.name, "code": member.code,
                "last_heard": heard.get(&member.office).copied().flatten(), "filings": filings})
        })
        .collect();
    Ok(Json(json!({"demo": seat.pin.demo, "as_of": seat.as_of(), "rows": rows})).into_response())
}

/// Lateness under a proposed deadline reminds; it says that it is a proposal.
fn filing(row: &ReviewRow, today: kernel::Day) -> Value {
    let late = row.days_late(today);
    let expectation = row.expectation.as_ref();
    json!({
        "id": row.id, "state": row.shown(), "due": expectation.map(|e| e.due), "days_late": late,
        "on_time": row.first_submitted.is_some() && late == 0,
        "set": expectation.map(|e| &e.set), "period": expectation.map(|e| &e.period),
        "policy": expectation.map(|e| &e.policy), "proposal": expectation.map(|e| e.proposal),
        "source": row.source, "submitted": row.first_submitted,
    })
}

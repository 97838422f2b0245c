//! 待办 The worklist: what waits for the caller, over all matters that he may act on.
//!
//! It says that something waits and what may be done, and nothing of what it holds: to
//! read it is a request of its own, which is recorded where reads are.

use std::{collections::BTreeMap, sync::Arc};

use access::policy;
use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use domain::round::State as RoundState;
use kernel::Day;
use serde::Serialize;
use serde_json::json;
use web::{Caller, Governed, Problem, Route, Seat, Who, get};

use crate::{
    clue_cases::view::CaseRow,
    clues::{
        apart::{Apart, apart},
        view::ClueRow,
    },
    envelopes::EnvelopeRow,
    filings::FilingRow,
    findings::FindingRow,
    rectifications::RectificationRow,
    recusals::RecusalRow,
    reviews::ReviewRow,
    rounds::{ROUNDS, RoundRow},
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
    #[serde(flatten)]
    urgency: Urgency,
}

/// What waits, and what is kept from the caller.
#[derive(Debug)]
struct List {
    waiting: Vec<Waiting>,
    apart: Apart,
}

/// By when something waits, and whether it waits too long already.
#[derive(Debug, Default, Serialize)]
struct Urgency {
    due: Option<Day>,
    stalls: Vec<&'static str>,
}

impl From<Option<Day>> for Urgency {
    fn from(due: Option<Day>) -> Self {
        Self { due, ..Self::default() }
    }
}

/// The days on which the secretary's meeting heard of own rounds.
async fn heard(seat: &Seat) -> Result<BTreeMap<String, Day>, Problem> {
    let rounds: Vec<(String, RoundRow)> = seat.office.reader().await?.all(ROUNDS, "").await?;
    let heard =
        |row: &RoundRow| row.history.iter().find(|(s, _)| *s == RoundState::Heard).map(|h| h.1);
    Ok(rounds.iter().filter_map(|(id, row)| Some((id.clone(), heard(row)?))).collect())
}

async fn worklist(State(seat): State<Arc<Seat>>, caller: Caller) -> Result<Response, Problem> {
    let mut list = List { waiting: Vec::new(), apart: apart(&seat, &caller).await? };
    let mut more = collect::<FilingRow, _>(&seat, &caller, &mut list, |row| {
        row.expectation.as_ref().map(|expectation| expectation.due)
    })
    .await?;
    more |= collect::<ReviewRow, _>(&seat, &caller, &mut list, |row| {
        row.expectation.as_ref().map(|expectation| expectation.due)
    })
    .await?;
    more |= collect::<RoundRow, _>(&seat, &caller, &mut list, |_| Urgency::default()).await?;
    more |= collect::<FindingRow, _>(&seat, &caller, &mut list, |row| row.due).await?;
    more |= collect::<RectificationRow, _>(&seat, &caller, &mut list, |row| {
        row.opening.as_ref().map(|opening| opening.due)
    })
    .await?;
    more |= collect::<RecusalRow, _>(&seat, &caller, &mut list, |_| Urgency::default()).await?;
    more |= collect::<EnvelopeRow, _>(&seat, &caller, &mut list, |row| Some(row.due)).await?;
    let (rounds, today) = (heard(&seat).await?, seat.office.setting().clock.now().day());
    more |= collect::<ClueRow, _>(&seat, &caller, &mut list, |row| {
        row.hand_over_by(rounds.get(&row.brief.round).copied())
    })
    .await?;
    more |= collect::<CaseRow, _>(&seat, &caller, &mut list, |row| Urgency {
        due: row.due(),
        stalls: row.stalls(today),
    })
    .await?;
    // What is due first stands first; what has no day stands last.
    let mut waiting = list.waiting;
    waiting.sort_by_key(|item| (item.urgency.due.is_none(), item.urgency.due));
    let body = json!({"demo": seat.pin.demo, "today": seat.office.setting().clock.now().day(),
        "items": waiting, "more": more});
    Ok(Json(body).into_response())
}

/// Adds what waits in one view; whether there is more than is listed. Views on which none
/// of the caller's posts could act are not even looked at.
async fn collect<T: Governed, U: Into<Urgency>>(
    seat: &Seat,
    caller: &Caller,
    list: &mut List,
    due: impl Fn(&T) -> U,
) -> Result<bool, Problem> {
    let here = &seat.office.setting().office;
    if !policy::acts_on(&caller.standing.posts, T::FAMILY) {
        return Ok(false);
    }
    let (mut after, first) = (String::new(), list.waiting.len());
    let mut reader = seat.office.reader().await?;
    loop {
        let rows: Vec<(String, T)> = reader.scan(T::VIEW, "", &after, PAGE).await?;
        let last = rows.last().map(|(key, _)| key.clone());
        for (id, row) in rows {
            let actions = caller.actions(&row.matter(here), row.possible_for(caller));
            if actions.is_empty() || list.apart.has(T::FAMILY, &id) {
                continue;
            }
            if list.waiting.len() - first == MOST {
                return Ok(true);
            }
            let urgency = due(&row).into();
            list.waiting.push(Waiting { kind: T::FAMILY, id, actions, urgency });
        }
        match last {
            Some(last) => after = last,
            None => return Ok(false),
        }
    }
}

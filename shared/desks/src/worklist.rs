//! 待办 The worklist: what waits for the caller, over all matters that he may act on.
//!
//! It says that something waits and what may be done, and nothing of what it holds: to
//! read it is a request of its own, which is recorded where reads are.

use std::{collections::BTreeMap, sync::Arc};

use access::policy as access_policy;
use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use domain::{filing::Expectation, round::State as RoundState};
use kernel::Day;
use policy::{Due, Packs, Warning};
use serde::Serialize;
use serde_json::json;
use web::{Caller, Governed, Problem, Route, Seat, Who, get};

use crate::{
    clue_cases::view::CaseRow,
    clues::{
        apart::{Apart, apart},
        view::ClueRow,
    },
    deadline_policies::of_seat,
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
    /// 绿色提醒、黄色预警、红色警告; a rule that nobody has decided is never red.
    warning: Option<Warning>,
    stalls: Vec<&'static str>,
}

/// What the office goes by, today.
#[derive(Debug)]
struct Clock {
    packs: Packs,
    today: Day,
}

impl Clock {
    fn of(&self, due: Option<Day>, reminds: bool) -> Urgency {
        let warning = due.and_then(|due| self.packs.warning(due, self.today, reminds));
        Urgency { due, warning, stalls: Vec::new() }
    }

    fn expected(&self, expectation: Option<&Expectation>) -> Urgency {
        self.of(expectation.map(|e| e.due), expectation.is_some_and(|e| e.proposal))
    }

    fn due(&self, due: Option<Due>) -> Urgency {
        let reminds = due.as_ref().is_some_and(|due| due.reminds);
        self.of(due.map(|due| due.day), reminds)
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
    let today = seat.office.setting().clock.now().day();
    let clock = Clock { packs: of_seat(&seat).await?, today };
    let mut more = collect::<FilingRow>(&seat, &caller, &mut list, |row| {
        clock.expected(row.expectation.as_ref())
    })
    .await?;
    more |= collect::<ReviewRow>(&seat, &caller, &mut list, |row| {
        clock.expected(row.expectation.as_ref())
    })
    .await?;
    more |= collect::<RoundRow>(&seat, &caller, &mut list, |_| Urgency::default()).await?;
    more |=
        collect::<FindingRow>(&seat, &caller, &mut list, |row| clock.of(row.due, false)).await?;
    more |= collect::<RectificationRow>(&seat, &caller, &mut list, |row| {
        clock.of(row.opening.as_ref().map(|opening| opening.due), false)
    })
    .await?;
    more |= collect::<RecusalRow>(&seat, &caller, &mut list, |_| Urgency::default()).await?;
    more |= collect::<EnvelopeRow>(&seat, &caller, &mut list, |row| clock.of(Some(row.due), false))
        .await?;
    let rounds = heard(&seat).await?;
    more |= collect::<ClueRow>(&seat, &caller, &mut list, |row| {
        clock.due(row.hand_over_by(rounds.get(&row.brief.round).copied(), &clock.packs))
    })
    .await?;
    more |= collect::<CaseRow>(&seat, &caller, &mut list, |row| Urgency {
        stalls: row.stalls(today, &clock.packs),
        ..clock.due(row.due(&clock.packs))
    })
    .await?;
    // What is due first stands first; what has no day stands last.
    let mut waiting = list.waiting;
    waiting.sort_by_key(|item| (item.urgency.due.is_none(), item.urgency.due));
    let body = json!({"demo": seat.pin.demo, "today": today,
        "items": waiting, "more": more});
    Ok(Json(body).into_response())
}

/// Adds what waits in one view; whether there is more than is listed. Views on which none
/// of the caller's posts could act are not even looked at.
async fn collect<T: Governed>(
    seat: &Seat,
    caller: &Caller,
    list: &mut List,
    due: impl Fn(&T) -> Urgency,
) -> Result<bool, Problem> {
    let here = &seat.office.setting().office;
    if !access_policy::acts_on(&caller.standing.posts, T::FAMILY) {
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
            let urgency = due(&row);
            list.waiting.push(Waiting { kind: T::FAMILY, id, actions, urgency });
        }
        match last {
            Some(last) => after = last,
            None => return Ok(false),
        }
    }
}

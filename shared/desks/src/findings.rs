//! Findings: drafted, co-signed, closed out, reopened; and those fed back to us.

use std::sync::Arc;

use axum::{
    extract::{Path, Query, State},
    response::Response,
};
use domain::{
    figures::Counts,
    finding::{Command as Ask, Draft, Event, Finding, State as FindingState},
};
use event_store::{FoldError, Rows, Unit, View, act};
use kernel::{Class, Code, Day, Fact, OfficeId, sign::Hash};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use web::{Caller, Command, Nothing, Problem, Route, Seat, Who, answer, change, get, post, view};

use crate::{
    feed::may_read,
    listing::{InState, Page, list},
    results::TALLY,
    rounds::{ROUNDS, RoundRow, TASKS, TaskRow, actions},
};

/// Findings by id, own and fed back to us.
pub const FINDINGS: &str = "findings";
/// Own findings' states by `round/task/id`.
pub const BY_TASK: &str = "findings-by-task";

const TEAM: Who = Who::Roles(&["TM", "TL", "TD"]);
const READERS: Who =
    Who::Roles(&["TM", "TL", "TD", "PLAN", "RECT", "SEC", "LG", "UNIT", "COM", "DISC"]);

/// The routes of an office that has teams.
pub fn team_routes() -> Vec<Route> {
    vec![
        post::<NewDraft, _>("/api/findings", TEAM, ["起草问题底稿", "Draft a finding"], draft),
        change::<Nothing, _>(
            "/api/findings/{id}/co-sign",
            TEAM,
            ["第二人签字", "Co-sign; another person than the drafter"],
            co_sign,
        ),
        change::<Reason, _>(
            "/api/findings/{id}/drop",
            Who::Roles(&["TL", "TD"]),
            ["不再列入", "Drop a draft with a reason"],
            drop_draft,
        ),
        change::<CloseOut, _>(
            "/api/findings/{id}/close-out",
            Who::Roles(&["RECT"]),
            ["销号", "Take it off the ledger, on the newest completion"],
            close_out,
        ),
        change::<Reason, _>(
            "/api/findings/{id}/reopen",
            Who::Roles(&["RECT"]),
            ["重新整改", "Reopen with a reason"],
            reopen,
        ),
    ]
}

/// The routes of every office.
pub fn routes() -> Vec<Route> {
    vec![
        get("/api/findings", READERS, ["问题", "Findings, own and fed back to us"], findings)
            .query::<Page>()
            .query::<Of>()
            .query::<InState>(),
        get("/api/findings/{id}", READERS, ["问题详情", "One finding"], one),
    ]
}

/// A finding as it is shown.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FindingRow {
    /// Its id.
    pub id: String,
    /// The team's office.
    pub office: OfficeId,
    /// What was found.
    pub draft: Draft,
    /// Where it stands.
    pub state: FindingState,
    /// The end of the concentrated period.
    pub due: Option<Day>,
    /// The basis for closing it out: the completion's hash.
    pub completion: Option<Hash>,
    /// The version, of an own finding.
    pub version: u64,
}

/// Folds findings and the tally of results.
#[derive(Debug)]
pub struct FindingsView {
    /// The office whose findings count in its own tally.
    pub office: OfficeId,
}

impl View for FindingsView {
    fn name(&self) -> &'static str {
        FINDINGS
    }

    fn apply(&self, rows: &mut Rows<'_>, fact: &Fact) -> Result<(), FoldError> {
        if fact.family() != "finding" {
            return Ok(());
        }
        let Some((_, id)) = fact.stream.split_once('/') else { return Ok(()) };
        let own = fact.at.origin == self.office;
        let known: Option<FindingRow> = rows.get(FINDINGS, id)?;
        let Some((row, before)) = folded(known, id, fact)? else { return Ok(()) };
        if own {
            let Draft { round, task, .. } = &row.draft;
            rows.put(BY_TASK, &format!("{round}/{task}/{id}"), &row.state)?;
            tally(rows, &row, before)?;
        }
        rows.put(FINDINGS, id, &row)
    }
}

/// The row after a fact, and the state before it.
fn folded(
    known: Option<FindingRow>,
    id: &str,
    fact: &Fact,
) -> Result<Option<(FindingRow, FindingState)>, FoldError> {
    let event: Event = fact.read()?;
    let new = |draft: &Draft| FindingRow {
        id: id.to_owned(),
        office: fact.at.origin.clone(),
        draft: draft.clone(),
        state: FindingState::Absent,
        due: None,
        completion: None,
        version: 0,
    };
    let row = match (&event, known) {
        (_, Some(row)) => Some(row),
        (Event::Drafted { draft, .. } | Event::FedBack { draft, .. }, None) => Some(new(draft)),
        _ => None,
    };
    let Some(mut row) = row else { return Ok(None) };
    let before = row.state;
    row.version = fact.version.unwrap_or(row.version);
    row.state = match event {
        Event::Drafted { .. } => FindingState::Drafted,
        Event::CoSigned { .. } => FindingState::CoSigned,
        Event::Listed { .. } => FindingState::Listed,
        Event::FedBack { due, .. } => {
            row.due = Some(due);
            FindingState::FedBack
        }
        Event::Reopened { .. } => {
            row.completion = None;
            FindingState::FedBack
        }
        Event::Rectified { basis, .. } => {
            row.completion = Some(basis);
            FindingState::Rectified
        }
        Event::ClosedOut { .. } => FindingState::ClosedOut,
        Event::Dropped { .. } => FindingState::Dropped,
    };
    Ok(Some((row, before)))
}

/// Counts a finding as found once fed back, and as rectified while it is.
fn tally(rows: &mut Rows<'_>, row: &FindingRow, before: FindingState) -> Result<(), FoldError> {
    use FindingState::{ClosedOut, FedBack, Listed, Rectified};
    let done = |state| matches!(state, Rectified | ClosedOut);
    let found = before == Listed && row.state == FedBack;
    let (was, is) = (done(before), done(row.state));
    if found || was != is {
        let key = format!("{}/{}", row.draft.level.as_str(), row.draft.round_number);
        rows.change(TALLY, &key, |counts: &mut Counts| {
            counts.found += u64::from(found);
            counts.rectified += u64::from(is && !was);
            counts.rectified -= u64::from(was && !is);
        })?;
    }
    let closed = row.state == ClosedOut && before != ClosedOut;
    let open_again = before == ClosedOut && row.state != ClosedOut;
    if !found && !closed && !open_again {
        return Ok(());
    }
    rows.change(ROUNDS, &row.draft.round, |round: &mut RoundRow| {
        round.open_findings += u64::from(found || open_again);
        round.open_findings -= u64::from(closed);
    })
}

/// Until it is fed back, a finding is known to those who made it and lead the
/// work; inspected people never see a draft (`model.md` 2.4).
fn may_see(caller: &Caller, row: &FindingRow) -> bool {
    let draft = [FindingState::Drafted, FindingState::CoSigned, FindingState::Dropped];
    if draft.contains(&row.state) {
        return may_read(caller, Class::K7);
    }
    let inside = ["SEC", "LG", "PLAN", "RECT", "TL", "TD", "TM"];
    row.state != FindingState::Listed && may_read(caller, Class::K9) || caller.holds(&inside)
}

/// Of which round and task.
#[derive(Debug, Deserialize, JsonSchema)]
struct Of {
    /// Only of this round.
    round: Option<String>,
    /// Only of this task.
    task: Option<String>,
}

async fn findings(
    State(seat): State<Arc<Seat>>,
    caller: Caller,
    Query(page): Query<Page>,
    Query(of): Query<Of>,
    Query(state): Query<InState>,
) -> Result<Response, Problem> {
    let Of { round, task } = of;
    let state = state.state;
    list::<FindingRow>(&seat, FINDINGS, "", &page, |row| {
        let named = serde_json::to_value(row.state).unwrap_or_default();
        may_see(&caller, row)
            && round.as_ref().is_none_or(|round| *round == row.draft.round)
            && task.as_ref().is_none_or(|task| *task == row.draft.task)
            && state.as_deref().is_none_or(|state| named.as_str() == Some(state))
    })
    .await
}

async fn one(
    State(seat): State<Arc<Seat>>,
    Path(id): Path<String>,
    caller: Caller,
) -> Result<Response, Problem> {
    let row: Option<FindingRow> = seat.office.reader().await?.view(FINDINGS, &id).await?;
    let row = row.filter(|row| may_see(&caller, row)).ok_or(Code::FindingAbsent)?;
    let own = row.office == seat.office.setting().office;
    let possible: &[(&str, &[&str])] = match row.state {
        _ if !own => &[],
        FindingState::Drafted => &[("co-sign", &["TM", "TL", "TD"]), ("drop", &["TL", "TD"])],
        FindingState::CoSigned => &[("drop", &["TL", "TD"])],
        FindingState::Rectified => &[("close-out", &["RECT"]), ("reopen", &["RECT"])],
        FindingState::ClosedOut => &[("reopen", &["RECT"])],
        _ => &[],
    };
    let (actions, version) = (actions(&caller, possible), row.version);
    let mut body = serde_json::to_value(row).unwrap_or_default();
    body["actions"] = json!(actions);
    Ok(view(&body, version))
}

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewDraft {
    /// The round's id.
    round: String,
    /// The task.
    task: String,
    /// The category in the round's catalogue.
    category: String,
    /// One line.
    title: String,
    /// Phenomenon, qualification, responsibility.
    text: String,
}

async fn draft(command: Command<NewDraft>) -> Result<Response, Problem> {
    let new = command.body.clone();
    // The same key gives the same finding, even if its answer was lost with the store.
    let name = command.seat().derive("finding", &[command.scope()]).to_string();
    let run = act(move |unit: &mut Unit<'_>| {
        let (new, name) = (new.clone(), name.clone());
        Box::pin(async move {
            let office = unit.setting().office.clone();
            let key = format!("{}/{}", new.round, new.task);
            let task = unit.row::<TaskRow>(TASKS, &key).await?.ok_or(Code::TaskAbsent)?;
            let round = unit.row::<RoundRow>(ROUNDS, &new.round).await?.ok_or(Code::RoundAbsent)?;
            if !task.entered || task.listed.is_some() {
                return Err(Code::WrongState.into());
            }
            let plan = round.plan.ok_or(Code::RoundAbsent)?;
            let draft = Draft {
                round: new.round,
                round_number: plan.number,
                task: new.task,
                target: task.task.target,
                level: task.task.level,
                category: new.category,
                title: new.title,
                text: new.text,
                unit_office: task.task.unit_office.unwrap_or_else(|| office.clone()),
                concerned: plan.concerned,
            };
            let id = format!("{office}-{}", &name[..16]);
            let done = unit.execute::<Finding>(&id, Ask::Draft(draft)).await?;
            Ok(answer(&id, &done, json!({})))
        })
    });
    command.run(run).await
}

async fn co_sign(Path(id): Path<String>, command: Command<Nothing>) -> Result<Response, Problem> {
    let expected = command.expected()?;
    command.decide::<Finding>(id, expected, Ask::CoSign).await
}

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Reason {
    /// Why.
    reason: String,
}

async fn drop_draft(Path(id): Path<String>, command: Command<Reason>) -> Result<Response, Problem> {
    let (expected, reason) = (command.expected()?, command.body.reason.clone());
    command.decide::<Finding>(id, expected, Ask::Drop { reason }).await
}

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CloseOut {
    /// The completion's hash, as the finding shows it.
    #[schemars(with = "String")]
    basis: Hash,
}

async fn close_out(
    Path(id): Path<String>,
    command: Command<CloseOut>,
) -> Result<Response, Problem> {
    let (expected, basis) = (command.expected()?, command.body.basis);
    command.decide::<Finding>(id, expected, Ask::CloseOut { basis }).await
}

async fn reopen(Path(id): Path<String>, command: Command<Reason>) -> Result<Response, Problem> {
    let (expected, reason) = (command.expected()?, command.body.reason.clone());
    command.decide::<Finding>(id, expected, Ask::Reopen { reason }).await
}

//! Findings: drafted, co-signed, closed out, reopened; and those fed back to us.

use std::sync::Arc;

use access::{Matter, Subject};
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
use web::{
    Caller, Command, Governed, Nothing, Problem, Route, Seat, Who, answer, change, get,
    matter::read, post, view,
};

use crate::{
    listing::{InState, Page, list_governed},
    results::TALLY,
    rounds::{ROUNDS, RoundRow, TASKS, TaskRow},
};

/// Findings by id, own and fed back to us.
pub const FINDINGS: &str = "findings";
/// Who drafted and co-signed each own finding, by its id.
pub const HANDLERS: &str = "finding-handlers";
/// Own findings' states by `round/task/id`.
pub const BY_TASK: &str = "findings-by-task";

/// A draft, then a line of the list, then what was fed back.
const READERS: Who =
    Who::Reads(&[Subject::Of(Class::K7), Subject::Of(Class::K8), Subject::Of(Class::K9)]);

/// The routes of an office that has teams.
pub fn team_routes() -> Vec<Route> {
    vec![
        post::<NewDraft, _>(
            "/api/findings",
            Who::Does("finding.draft"),
            ["起草问题底稿", "Draft a finding"],
            draft,
        ),
        change::<Nothing, _>(
            "/api/findings/{id}/co-sign",
            Who::Does("finding.co-sign"),
            ["第二人签字", "Co-sign; another person than the drafter"],
            co_sign,
        ),
        change::<Reason, _>(
            "/api/findings/{id}/drop",
            Who::Does("finding.drop"),
            ["不再列入", "Drop a draft with a reason"],
            drop_draft,
        ),
        change::<CloseOut, _>(
            "/api/findings/{id}/close-out",
            Who::Does("finding.close-out"),
            ["销号", "Take it off the ledger, on the newest completion"],
            close_out,
        ),
        change::<Reason, _>(
            "/api/findings/{id}/reopen",
            Who::Does("finding.reopen"),
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
            .query::<InState>()
            .consulted(),
        get("/api/findings/{id}", READERS, ["问题详情", "One finding"], one).consulted(),
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
        let event: Event = fact.read()?;
        if let Event::Drafted { by, .. } | Event::CoSigned { by } = &event {
            rows.change(HANDLERS, id, |handlers: &mut Vec<String>| handlers.push(by.clone()))?;
        }
        let known: Option<FindingRow> = rows.get(FINDINGS, id)?;
        let Some((row, before)) = folded(known, id, fact, &event) else { return Ok(()) };
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
    event: &Event,
) -> Option<(FindingRow, FindingState)> {
    let new = |draft: &Draft| FindingRow {
        id: id.to_owned(),
        office: fact.at.origin.clone(),
        draft: draft.clone(),
        state: FindingState::Absent,
        due: None,
        completion: None,
        version: 0,
    };
    let row = match (event, known) {
        (_, Some(row)) => Some(row),
        (Event::Drafted { draft, .. } | Event::FedBack { draft, .. }, None) => Some(new(draft)),
        _ => None,
    };
    let mut row = row?;
    let before = row.state;
    row.version = fact.version.unwrap_or(row.version);
    row.state = match event {
        Event::Drafted { .. } => FindingState::Drafted,
        Event::CoSigned { .. } => FindingState::CoSigned,
        Event::Listed { .. } => FindingState::Listed,
        Event::FedBack { due, .. } => {
            row.due = Some(*due);
            FindingState::FedBack
        }
        Event::Reopened { .. } => {
            row.completion = None;
            FindingState::FedBack
        }
        Event::Rectified { basis, .. } => {
            row.completion = Some(*basis);
            FindingState::Rectified
        }
        Event::ClosedOut { .. } => FindingState::ClosedOut,
        Event::Dropped { .. } => FindingState::Dropped,
    };
    Some((row, before))
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
        let open = round.open_findings.unwrap_or(0) + u64::from(found || open_again);
        round.open_findings = Some(open - u64::from(closed));
    })
}

impl Governed for FindingRow {
    const VIEW: &'static str = FINDINGS;
    const FAMILY: &'static str = "finding";
    const ABSENT: Code = Code::FindingAbsent;

    /// Until it is on the list it is a draft, until it is fed back the list is secret;
    /// inspected people see neither (`model.md` 2.4).
    fn matter(&self, here: &OfficeId) -> Matter<'_> {
        use FindingState::{Absent, CoSigned, Drafted, Dropped, Listed};
        let class = match self.state {
            Absent | Drafted | CoSigned | Dropped => Class::K7,
            Listed => Class::K8,
            _ => Class::K9,
        };
        Matter {
            own: self.office == *here,
            round: Some(&self.draft.round),
            task: Some(&self.draft.task),
            unit: Some(&self.draft.target),
            ..Matter::of(Subject::Of(class))
        }
    }

    fn possible(&self) -> &'static [&'static str] {
        match self.state {
            FindingState::Drafted => &["finding.co-sign", "finding.drop"],
            FindingState::CoSigned => &["finding.drop"],
            FindingState::Rectified => &["finding.close-out", "finding.reopen"],
            FindingState::ClosedOut => &["finding.reopen"],
            _ => &[],
        }
    }
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
    list_governed::<FindingRow>(&seat, &caller, "", &page, |row| {
        let named = serde_json::to_value(row.state).unwrap_or_default();
        round.as_ref().is_none_or(|round| *round == row.draft.round)
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
    let row: FindingRow = read(&seat, &caller, &id).await?;
    let actions = caller.actions(&row.matter(&seat.office.setting().office), row.possible());
    let version = row.version;
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
    let caller = command.caller.clone();
    let run = act(move |unit: &mut Unit<'_>| {
        let (new, name, caller) = (new.clone(), name.clone(), caller.clone());
        Box::pin(async move {
            let (office, caller) = (unit.setting().office.clone(), caller.anew(unit).await?);
            let key = format!("{}/{}", new.round, new.task);
            let task = unit.row::<TaskRow>(TASKS, &key).await?.ok_or(Code::TaskAbsent)?;
            let round = unit.row::<RoundRow>(ROUNDS, &new.round).await?.ok_or(Code::RoundAbsent)?;
            let place = task.matter(&round, &office);
            let matter = Matter { subject: Subject::Of(Class::K7), ..place };
            // A task that nobody knows of yet is absent for whoever may not know of it.
            if matter.own && !caller.reads(&place) && !task.entered {
                return Err(Code::TaskAbsent.into());
            }
            caller.permit("finding.draft", &matter, Code::TaskAbsent)?;
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
    command.decide_on::<FindingRow, Finding>("finding.co-sign", id, expected, Ask::CoSign).await
}

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Reason {
    /// Why.
    reason: String,
}

async fn drop_draft(Path(id): Path<String>, command: Command<Reason>) -> Result<Response, Problem> {
    let (expected, reason) = (command.expected()?, command.body.reason.clone());
    command
        .decide_on::<FindingRow, Finding>("finding.drop", id, expected, Ask::Drop { reason })
        .await
}

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CloseOut {
    /// The completion's hash, as the finding shows it.
    basis: Hash,
}

async fn close_out(
    Path(id): Path<String>,
    command: Command<CloseOut>,
) -> Result<Response, Problem> {
    let (expected, basis) = (command.expected()?, command.body.basis);
    command
        .decide_on::<FindingRow, Finding>(
            "finding.close-out",
            id,
            expected,
            Ask::CloseOut { basis },
        )
        .await
}

async fn reopen(Path(id): Path<String>, command: Command<Reason>) -> Result<Response, Problem> {
    let (expected, reason) = (command.expected()?, command.body.reason.clone());
    command
        .decide_on::<FindingRow, Finding>("finding.reopen", id, expected, Ask::Reopen { reason })
        .await
}

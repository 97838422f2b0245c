//! Findings: drafted, co-signed, closed out, reopened; and those fed back to us.
//!
//! What a finding says is sealed from its draft on, under a key of its task, and opened
//! for whoever may read it, until it is fed back.

mod drafting;
mod view;

use std::collections::HashMap;

use access::Subject;
use axum::{
    extract::{Path, Query},
    response::Response,
};
use domain::{
    finding::{Command as Ask, DropReason, Finding, Saying, State as FindingState},
    post::Organ,
    scope_key::Purpose,
};
use event_store::{Stop, Unit};
use kernel::{Class, Code, Refusal, sign::Hash};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use vault::ScopeKey;
use web::{
    Caller, Command, Governed, Nothing, Problem, Route, Seat, Sight, Who, change, get,
    matter::read, post,
};

use crate::{
    listing::{InState, Page, answered, page_governed},
    sealing::{kept_key, open_under},
};
pub use view::{FindingRow, FindingsView};

/// The organ of the house that keeps what findings say.
const KEEPER: Organ = Organ::InspectionOffice;

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
        post::<drafting::NewDraft, _>(
            "/api/findings",
            Who::Does("finding.draft"),
            ["起草问题底稿", "Draft a finding; what it says is sealed at once"],
            drafting::draft,
        )
        .sealed(),
        change::<Nothing, _>(
            "/api/findings/{id}/co-sign",
            Who::Does("finding.co-sign"),
            ["第二人签字", "Co-sign; another person than the drafter"],
            co_sign,
        ),
        change::<Dropped, _>(
            "/api/findings/{id}/drop",
            Who::Does("finding.drop"),
            ["不再列入", "Drop what is not fed back yet, with a reason of the list"],
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
            .in_time()
            .query::<Page>()
            .query::<Of>()
            .query::<InState>()
            .consulted(),
        get("/api/findings/{id}", READERS, ["问题详情", "One finding"], one).in_time().consulted(),
    ]
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
    seat: Sight,
    caller: Caller,
    Query(page): Query<Page>,
    Query(of): Query<Of>,
    Query(state): Query<InState>,
) -> Result<Response, Problem> {
    let Of { round, task } = of;
    let state = state.state;
    let (mut rows, next) = page_governed::<FindingRow>(&seat, &caller, "", &page, |row| {
        let named = serde_json::to_value(row.state).unwrap_or_default();
        let brief = &row.draft.brief;
        round.as_ref().is_none_or(|round| *round == brief.round)
            && task.as_ref().is_none_or(|task| *task == brief.task)
            && state.as_deref().is_none_or(|state| named.as_str() == Some(state))
    })
    .await?;
    let mut opener = Opener::of(&seat);
    for row in &mut rows {
        // One that does not open stands there without its words; asked for, it says why.
        if let Err(problem) = opener.open(row).await {
            tracing::warn!(finding = row.id, code = ?problem.0.code, "it does not open");
        }
    }
    Ok(answered(&seat, &rows, next.as_deref()))
}

async fn one(seat: Sight, Path(id): Path<String>, caller: Caller) -> Result<Response, Problem> {
    let mut row: FindingRow = read(&seat, &caller, &id).await?;
    Opener::of(&seat).open(&mut row).await?;
    let actions = caller.actions(&row.matter(&seat.office.setting().office), row.possible());
    let version = row.version;
    let mut body = serde_json::to_value(row).unwrap_or_default();
    body["actions"] = json!(actions);
    Ok(web::view(&body, version))
}

/// Opens what findings say; each task's key once.
struct Opener<'a> {
    seat: &'a Seat,
    keys: HashMap<String, ScopeKey>,
}

impl<'a> Opener<'a> {
    fn of(seat: &'a Seat) -> Self {
        Self { seat, keys: HashMap::new() }
    }

    /// Shows what a finding says where it is sealed.
    async fn open(&mut self, row: &mut FindingRow) -> Result<(), Problem> {
        let Some(sealed) = row.sealed.take() else { return Ok(()) };
        let scope = sealed.part.scope.to_string();
        let key = match self.keys.remove(&scope) {
            Some(key) => key,
            None => kept_key(self.seat, KEEPER, Purpose::Draft, &sealed.part.scope).await?,
        };
        let opened = open_under(&key, &sealed.place, &sealed.part, &sealed.bytes.0);
        self.keys.insert(scope, key);
        // Nothing of it goes into the refusal.
        let saying = serde_json::from_slice(&opened?).map_err(|_| Code::ContentDiffers)?;
        row.draft.say(saying);
        Ok(())
    }
}

/// What findings say that are about to be fed back, in their order.
pub(crate) async fn sayings(
    unit: &mut Unit<'_>,
    seat: &Seat,
    ids: &[String],
) -> Result<Vec<Saying>, Stop> {
    let (mut opener, mut said) = (Opener::of(seat), Vec::new());
    for id in ids {
        let row: Option<FindingRow> = unit.row(FINDINGS, id).await?;
        let mut row = row.ok_or(Code::FindingAbsent)?;
        opener.open(&mut row).await?;
        let (Some(title), Some(text)) = (row.draft.title, row.draft.text) else {
            return Err(Code::PartAway.into());
        };
        said.push(Saying { title, text });
    }
    Ok(said)
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

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Dropped {
    /// 不再列入的理由
    reason: DropReason,
}

async fn drop_draft(
    Path(id): Path<String>,
    command: Command<Dropped>,
) -> Result<Response, Problem> {
    let (expected, reason) = (command.expected()?, command.body.reason);
    let seat = command.seat();
    let row: Option<FindingRow> = seat.office.reader().await?.view(FINDINGS, &id).await?;
    // What opens is not lost; only who may drop it learns whether it opens.
    if let (DropReason::Lost, Some(mut row)) = (reason, row)
        && row.state != FindingState::Dropped
    {
        let matter = row.matter(&seat.office.setting().office);
        command.caller.permit("finding.drop", &matter, Code::FindingAbsent)?;
        if Opener::of(seat).open(&mut row).await.is_ok() {
            return Err(Refusal::new(Code::UnfitChoice).detail("reason: lost").into());
        }
    }
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

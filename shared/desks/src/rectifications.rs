//! Rectification: the inspected unit's ledger.

use access::{Matter, Subject};
use axum::{
    extract::{Path, Query},
    response::Response,
};
use domain::rectification::{Command as Ask, Event, Opening, Rectification, State as Rectifying};
use event_store::{FoldError, Rows, View};
use kernel::{Class, Code, Day, Fact, OfficeId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use web::{Caller, Command, Governed, Problem, Route, Sight, Who, change, get, matter::read, view};

use crate::{
    findings::{FINDINGS, FindingRow},
    listing::{InState, Page, list_governed},
};

/// Rectifications by id: own ones, and those that others told us of.
pub const RECTIFICATIONS: &str = "rectifications";

const READERS: Who = Who::Reads(&[Subject::Of(Class::K9)]);

/// The desk's routes.
pub fn routes() -> Vec<Route> {
    vec![
        get("/api/rectifications", READERS, ["整改台账", "Rectification ledger"], rectifications)
            .in_time()
            .query::<Page>()
            .query::<InState>(),
        get("/api/rectifications/{id}", READERS, ["整改事项", "One rectification"], one).in_time(),
        change::<Measure, _>(
            "/api/rectifications/{id}/measures",
            Who::Does("rectification.measures"),
            ["制定整改措施", "Plan a measure"],
            measure,
        ),
        change::<Completion, _>(
            "/api/rectifications/{id}/complete",
            Who::Does("rectification.complete"),
            ["报告完成整改", "Report it rectified"],
            complete,
        ),
    ]
}

/// A planned measure.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MeasureRow {
    /// What will be done.
    pub text: String,
    /// Until when.
    pub due: Day,
    /// The responsible post.
    pub responsible: String,
}

/// A rectification as it is shown.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct RectificationRow {
    /// Its id.
    pub id: String,
    /// The unit's office.
    pub office: Option<OfficeId>,
    /// The finding's id.
    pub finding: String,
    /// What was fed back, at the unit's office.
    pub opening: Option<Opening>,
    /// The finding's round, task and unit, as this office knows them.
    pub place: Option<(String, String, String)>,
    /// Where it stands.
    pub state: Rectifying,
    /// The measures.
    pub measures: Vec<MeasureRow>,
    /// The completion report.
    pub report: Option<String>,
    /// The version, of an own one.
    pub version: u64,
}

impl Governed for RectificationRow {
    const VIEW: &'static str = RECTIFICATIONS;
    const FAMILY: &'static str = "rectification";
    const ABSENT: Code = Code::RectificationAbsent;

    fn matter(&self, here: &OfficeId) -> Matter<'_> {
        let target = self.opening.as_ref().map(|opening| opening.target.as_str());
        let place = self.place.as_ref();
        Matter {
            own: self.office.as_ref() == Some(here),
            round: place.map(|(round, ..)| round.as_str()),
            task: place.map(|(_, task, _)| task.as_str()),
            unit: target.or_else(|| place.map(|(.., unit)| unit.as_str())),
            ..Matter::of(Subject::Of(Class::K9))
        }
    }

    fn possible(&self) -> &'static [&'static str] {
        match self.state {
            Rectifying::Opened => &["rectification.measures", "rectification.complete"],
            _ => &[],
        }
    }
}

/// Folds rectifications.
#[derive(Debug)]
pub struct RectificationsView;

impl View for RectificationsView {
    fn name(&self) -> &'static str {
        RECTIFICATIONS
    }

    fn schema(&self) -> &'static str {
        "2"
    }

    fn apply(&self, rows: &mut Rows<'_>, fact: &Fact) -> Result<(), FoldError> {
        if fact.family() != "rectification" {
            return Ok(());
        }
        let Some((_, id)) = fact.stream.split_once('/') else { return Ok(()) };
        let event: Event = fact.read()?;
        let finding = match &event {
            Event::MeasurePlanned { finding, .. } | Event::Completed { finding, .. } => finding,
            Event::Opened { opening } => &opening.finding,
            Event::Reopened { .. } => "",
        };
        let known: Option<FindingRow> = rows.get(FINDINGS, finding)?;
        let place = known.map(|row| row.draft.brief);
        let place = place.map(|brief| (brief.round, brief.task, brief.target));
        rows.change(RECTIFICATIONS, id, |row: &mut RectificationRow| {
            id.clone_into(&mut row.id);
            row.place = row.place.take().or(place);
            row.office = Some(fact.at.origin.clone());
            row.version = fact.version.unwrap_or(row.version);
            match event {
                Event::Opened { opening } => {
                    row.finding.clone_from(&opening.finding);
                    row.opening = Some(opening);
                    row.state = Rectifying::Opened;
                }
                Event::MeasurePlanned { text, due, responsible, finding, .. } => {
                    row.finding = finding;
                    row.state = Rectifying::Opened;
                    row.measures.push(MeasureRow { text, due, responsible });
                }
                Event::Completed { report, finding, .. } => {
                    row.finding = finding;
                    row.state = Rectifying::Completed;
                    row.report = Some(report);
                }
                Event::Reopened { .. } => row.state = Rectifying::Opened,
            }
        })
    }
}

async fn rectifications(
    seat: Sight,
    caller: Caller,
    Query(page): Query<Page>,
    Query(state): Query<InState>,
) -> Result<Response, Problem> {
    let state = state.state;
    list_governed::<RectificationRow>(&seat, &caller, "", &page, |row| {
        let named = serde_json::to_value(row.state).unwrap_or_default();
        state.as_deref().is_none_or(|state| named.as_str() == Some(state))
    })
    .await
}

async fn one(seat: Sight, Path(id): Path<String>, caller: Caller) -> Result<Response, Problem> {
    let row: RectificationRow = read(&seat, &caller, &id).await?;
    let actions = caller.actions(&row.matter(&seat.office.setting().office), row.possible());
    let version = row.version;
    let mut body = serde_json::to_value(row).unwrap_or_default();
    body["actions"] = json!(actions);
    Ok(view(&body, version))
}

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Measure {
    /// What will be done.
    text: String,
    /// Until when.
    due: Day,
    /// The responsible post.
    responsible: String,
}

async fn measure(Path(id): Path<String>, command: Command<Measure>) -> Result<Response, Problem> {
    let expected = command.expected()?;
    let Measure { text, due, responsible } = command.body.clone();
    let ask = Ask::PlanMeasure { text, due, responsible };
    command
        .decide_on::<RectificationRow, Rectification>("rectification.measures", id, expected, ask)
        .await
}

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Completion {
    /// What was done.
    report: String,
}

async fn complete(
    Path(id): Path<String>,
    command: Command<Completion>,
) -> Result<Response, Problem> {
    let (expected, report) = (command.expected()?, command.body.report.clone());
    let ask = Ask::Complete { report };
    command
        .decide_on::<RectificationRow, Rectification>("rectification.complete", id, expected, ask)
        .await
}

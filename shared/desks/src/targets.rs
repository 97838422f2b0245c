//! Target lists by versions, and coverage on any day against the list in force then.

use std::{collections::BTreeSet, sync::Arc};

use axum::{
    Json,
    extract::{Query, State},
    response::{IntoResponse, Response},
};
use domain::{Level, rate::percent, round, target_list};
use event_store::{FoldError, Reader, Rows, Unit, View, act};
use kernel::{Code, Day, Fact, Refusal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use web::{Command, Problem, Route, Seat, Who, answer, get, post};

use crate::{
    listing::{AsOf, Page, list, tagged},
    organizations::{ORGANIZATIONS, OrganizationRow},
};

/// Versions of the target list by number.
pub const TARGET_LISTS: &str = "target-lists";
/// The first feedback to each target, by organization id.
pub const COVERAGE: &str = "coverage";

/// The desk's routes.
pub fn routes() -> Vec<Route> {
    vec![
        post::<NewVersion, _>(
            "/api/target-lists",
            Who::Roles(&["PLAN"]),
            ["发布全覆盖对象清单", "Issue a version of the target list"],
            issue,
        ),
        get(
            "/api/target-lists",
            Who::SignedIn,
            ["全覆盖对象清单", "Every version of the target list"],
            lists,
        )
        .query::<Page>(),
        get(
            "/api/coverage",
            Who::SignedIn,
            ["全覆盖进度", "Coverage by level on a day, against the list in force then"],
            coverage,
        )
        .query::<AsOf>(),
    ]
}

/// One version of the list.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ListRow {
    /// Its number, from 1.
    pub number: u32,
    /// From which day on it is in force.
    pub valid_from: Day,
    /// Why it was issued.
    pub reason: String,
    /// The targets.
    pub targets: Vec<target_list::Target>,
}

/// The first feedback to a target.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CoverageRow {
    /// Its level.
    pub level: Level,
    /// On which day.
    pub on: Day,
}

/// Folds the lists; the rounds' fold marks what is covered.
#[derive(Debug)]
pub struct TargetsView;

impl View for TargetsView {
    fn name(&self) -> &'static str {
        TARGET_LISTS
    }

    fn apply(&self, rows: &mut Rows<'_>, fact: &Fact) -> Result<(), FoldError> {
        if fact.family() != "target-list" {
            return Ok(());
        }
        let target_list::Event::VersionIssued { number, valid_from, targets, reason } =
            fact.read()?;
        let row = ListRow { number, valid_from, reason, targets };
        rows.put(TARGET_LISTS, &format!("{number:06}"), &row)
    }
}

async fn lists(
    State(seat): State<Arc<Seat>>,
    Query(page): Query<Page>,
) -> Result<Response, Problem> {
    let rows = list::<ListRow>(&seat, TARGET_LISTS, "", &page, |_| true).await?;
    let all: Vec<(String, ListRow)> = seat.office.reader().await?.all(TARGET_LISTS, "").await?;
    // One event a version: the newest number is the stream's version.
    Ok(tagged(rows, all.last().map(|(_, row)| u64::from(row.number))))
}

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewVersion {
    /// From which day on it is in force.
    #[schemars(with = "String")]
    valid_from: Day,
    /// The targets.
    targets: Vec<target_list::Target>,
    /// Why the list is issued or changed.
    reason: String,
}

async fn issue(command: Command<NewVersion>) -> Result<Response, Problem> {
    let NewVersion { valid_from, targets, reason } = command.body.clone();
    let office = command.seat().office.setting().office.to_string();
    let expected = command.expected_if_known();
    let run = act(move |unit: &mut Unit<'_>| {
        let (office, targets, reason) = (office.clone(), targets.clone(), reason.clone());
        let expected = expected.clone();
        Box::pin(async move {
            let known: Vec<(String, OrganizationRow)> = unit.rows(ORGANIZATIONS, "").await?;
            let known: BTreeSet<String> = known.into_iter().map(|(id, _)| id).collect();
            if let Some(unknown) = targets.iter().find(|target| !known.contains(&target.org)) {
                return Err(Refusal::new(Code::UnknownOrg).detail(&unknown.org).into());
            }
            let covered: Vec<(String, CoverageRow)> = unit.rows(COVERAGE, "").await?;
            let inspected: BTreeSet<String> = covered.into_iter().map(|(org, _)| org).collect();
            let version = target_list::IssueVersion { valid_from, targets, reason, inspected };
            let (_, at) = unit.load::<target_list::TargetList>(&office).await?;
            let expected = expected.at(at)?;
            let done =
                unit.execute_at::<target_list::TargetList>(&office, version, expected).await?;
            Ok(answer(&office, &done, json!({})))
        })
    });
    command.run(run).await
}

/// The version of the list in force on a day.
pub async fn list_on(reader: &mut Reader, day: Day) -> Result<Option<ListRow>, Problem> {
    let versions: Vec<(String, ListRow)> = reader.all(TARGET_LISTS, "").await?;
    Ok(versions.into_iter().map(|(_, row)| row).rfind(|row| row.valid_from <= day))
}

/// Coverage in form: feedback delivered by the day, over the list in force then.
async fn coverage(
    State(seat): State<Arc<Seat>>,
    Query(as_of): Query<AsOf>,
) -> Result<Response, Problem> {
    let day = as_of.day(&seat)?;
    let mut reader = seat.office.reader().await?;
    let listed = list_on(&mut reader, day).await?.map(|row| row.targets).unwrap_or_default();
    let covered: Vec<(String, CoverageRow)> = reader.all(COVERAGE, "").await?;
    let by_then: BTreeSet<&str> =
        covered.iter().filter(|(_, row)| row.on <= day).map(|(org, _)| org.as_str()).collect();
    let levels = Level::ALL.map(|level| {
        let targets = listed.iter().filter(|target| target.level == level);
        let inspected = targets.clone().filter(|t| by_then.contains(t.org.as_str())).count() as u64;
        let targets = targets.count() as u64;
        json!({"level": level, "targets": targets, "inspected": inspected, "rate": percent(inspected, targets)})
    });
    Ok(Json(json!({"demo": seat.pin.demo, "as_of": day, "levels": levels})).into_response())
}

/// Marks a target covered at its first feedback; `true` if it was the first.
pub(crate) fn cover(
    rows: &mut Rows<'_>,
    task: &round::NewTask,
    on: Day,
) -> Result<bool, FoldError> {
    let known: Option<CoverageRow> = rows.get(COVERAGE, &task.target)?;
    if known.is_some() {
        return Ok(false);
    }
    rows.put(COVERAGE, &task.target, &CoverageRow { level: task.level, on })?;
    Ok(true)
}

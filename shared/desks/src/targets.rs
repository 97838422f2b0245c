//! Target lists by versions, and coverage on any day against the list in force then.

use std::collections::{BTreeMap, BTreeSet};

use access::Subject;
use axum::{
    Json,
    extract::Query,
    response::{IntoResponse, Response},
};
use domain::{Level, rate::percent, round, target_list};
use event_store::{FoldError, Reader, Rows, Unit, View, act};
use kernel::{Class, Code, Day, Fact, Refusal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use web::{Command, Problem, Route, Sight, Who, answer, get, post};

use crate::{
    listing::{Page, list, tagged},
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
            Who::Does("target-list.issue"),
            ["发布全覆盖对象清单", "Issue a version of the target list"],
            issue,
        )
        .if_known(),
        get(
            "/api/target-lists",
            Who::ReadsWhole(Subject::Of(Class::K2)),
            ["全覆盖对象清单", "Every version of the target list"],
            lists,
        )
        .dated()
        .query::<Page>(),
        get(
            "/api/coverage",
            Who::ReadsWhole(Subject::Of(Class::K2)),
            ["全覆盖进度", "Coverage by level on a day, against the list in force then"],
            coverage,
        )
        .dated(),
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
    /// The stream's version when it was issued.
    pub version: u64,
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
        let version = fact.version.unwrap_or_default();
        match fact.read()? {
            target_list::Event::VersionIssued { number, valid_from, targets, reason } => {
                let row = ListRow { number, valid_from, reason, targets, version };
                rows.put(TARGET_LISTS, &key(number), &row)
            }
            target_list::Event::TargetsListed { number, targets: more } => {
                let Some(mut row) = rows.get::<ListRow>(TARGET_LISTS, &key(number))? else {
                    return Ok(());
                };
                row.targets.extend(more);
                rows.put(TARGET_LISTS, &key(number), &ListRow { version, ..row })
            }
        }
    }
}

fn key(number: u32) -> String {
    format!("{number:06}")
}

async fn lists(seat: Sight, Query(page): Query<Page>) -> Result<Response, Problem> {
    // Read before the rows: a tag that is too old only costs another reading.
    let all: Vec<(String, ListRow)> = seat.reader().await?.all(TARGET_LISTS, "").await?;
    let rows = list::<ListRow>(&seat, TARGET_LISTS, "", &page, |_| true).await?;
    Ok(tagged(rows, all.last().map(|(_, row)| row.version)))
}

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewVersion {
    /// From which day on it is in force.
    valid_from: Day,
    /// The organizations' ids; their levels are those of the register on that day.
    targets: Vec<String>,
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
            let known: BTreeMap<String, OrganizationRow> = known.into_iter().collect();
            let mut listed = Vec::new();
            for org in targets {
                let on_the_day = known.get(&org).and_then(|row| row.attributes.on(valid_from));
                let Some(level) = on_the_day.map(|attributes| attributes.level) else {
                    return Err(Refusal::new(Code::UnknownOrg).detail(org).into());
                };
                listed.push(target_list::Target { org, level });
            }
            let targets = listed;
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
async fn coverage(seat: Sight) -> Result<Response, Problem> {
    let day = seat.today();
    let levels = coverage_on(&mut seat.reader().await?, day).await?;
    Ok(Json(json!({"demo": seat.pin.demo, "as_of": day, "levels": levels})).into_response())
}

/// Coverage by level: feedback delivered by the day, over the list in force then.
pub async fn coverage_on(reader: &mut Reader, day: Day) -> Result<[Value; 3], Problem> {
    let listed = list_on(reader, day).await?.map(|row| row.targets).unwrap_or_default();
    let covered: Vec<(String, CoverageRow)> = reader.all(COVERAGE, "").await?;
    let by_then: BTreeSet<&str> =
        covered.iter().filter(|(_, row)| row.on <= day).map(|(org, _)| org.as_str()).collect();
    Ok(Level::ALL.map(|level| {
        let targets = listed.iter().filter(|target| target.level == level);
        let inspected = targets.clone().filter(|t| by_then.contains(t.org.as_str())).count() as u64;
        let targets = targets.count() as u64;
        json!({"level": level, "targets": targets, "inspected": inspected, "rate": percent(inspected, targets)})
    }))
}

/// Marks a target covered from its earliest feedback on; `true` if it is the first one told.
pub(crate) fn cover(
    rows: &mut Rows<'_>,
    task: &round::NewTask,
    on: Day,
) -> Result<bool, FoldError> {
    let known: Option<CoverageRow> = rows.get(COVERAGE, &task.target)?;
    if known.as_ref().is_none_or(|known| on < known.on) {
        rows.put(COVERAGE, &task.target, &CoverageRow { level: task.level, on })?;
    }
    Ok(known.is_none())
}

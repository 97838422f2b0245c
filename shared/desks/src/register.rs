//! The register: divisions, inspected organizations, target lists, coverage.

use std::{collections::BTreeSet, sync::Arc};

use axum::{
    Json,
    extract::{Query, State},
    response::{IntoResponse, Response},
};
use domain::{
    Level,
    rate::percent,
    register::{Command as Ask, Division, Event, Organization, Register, read_csv},
    round, target_list,
};
use event_store::{FoldError, Reader, Rows, Unit, View, act};
use kernel::{Code, Day, Fact, Refusal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use web::{Command, Problem, Route, Seat, Who, answer, get, post};

use crate::listing::{Page, list};

/// Rows by division code.
pub const DIVISIONS: &str = "divisions";
/// Rows by organization id.
pub const ORGANIZATIONS: &str = "organizations";
/// Versions of the target list by number.
pub const TARGET_LISTS: &str = "target-lists";
/// The first feedback to each target, by organization id.
pub const COVERAGE: &str = "coverage";

/// The desk's routes.
pub fn routes() -> Vec<Route> {
    vec![
        get("/api/divisions", Who::SignedIn, ["区划", "Divisions"], divisions),
        post::<Vec<Organization>, _>(
            "/api/organizations",
            Who::Roles(&["PLAN"]),
            ["登记被巡察党组织", "Register inspected organizations"],
            register,
        ),
        get(
            "/api/organizations",
            Who::SignedIn,
            ["被巡察党组织", "Inspected organizations"],
            organizations,
        ),
        post::<NewVersion, _>(
            "/api/target-lists",
            Who::Roles(&["PLAN"]),
            ["发布全覆盖对象清单", "Issue a version of the target list"],
            issue,
        ),
        get(
            "/api/coverage",
            Who::SignedIn,
            ["全覆盖进度", "Coverage by level on a date, against the list in force then"],
            coverage,
        ),
    ]
}

/// What only the city has: its divisions are everybody's.
pub fn city_routes() -> Vec<Route> {
    vec![post::<Import, _>(
        "/api/divisions/import",
        Who::Roles(&["PLAN", "SYS"]),
        ["导入区划", "Import divisions from CSV, all rows or none"],
        import,
    )]
}

/// One version of the list.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ListRow {
    /// From which day on it is in force.
    pub valid_from: Day,
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

/// Folds the register and the lists.
#[derive(Debug)]
pub struct RegisterView;

impl View for RegisterView {
    fn name(&self) -> &'static str {
        DIVISIONS
    }

    fn apply(&self, rows: &mut Rows<'_>, fact: &Fact) -> Result<(), FoldError> {
        match fact.family() {
            "register" => match fact.read()? {
                Event::DivisionsImported { divisions } => {
                    divisions.iter().try_for_each(|d| rows.put(DIVISIONS, &d.code, d))
                }
                Event::OrganizationsRegistered { organizations } => {
                    organizations.iter().try_for_each(|o| rows.put(ORGANIZATIONS, &o.id, o))
                }
            },
            "target-list" => {
                let target_list::Event::VersionIssued { number, valid_from, targets, .. } =
                    fact.read()?;
                rows.put(TARGET_LISTS, &format!("{number:06}"), &ListRow { valid_from, targets })
            }
            _ => Ok(()),
        }
    }
}

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Import {
    /// The CSV text: `code,level,parent,name`.
    csv: String,
    /// From which day on the rows hold.
    #[schemars(with = "String")]
    valid_from: Day,
}

async fn import(command: Command<Import>) -> Result<Response, Problem> {
    let Import { csv, valid_from } = command.body.clone();
    let entropy = command.seat().office.setting().entropy.clone();
    let rows = read_csv(&csv, valid_from, || format!("v{}", entropy.word(12)))?;
    let office = command.seat().office.setting().office.to_string();
    command.decide::<Register>(office, None, Ask::ImportDivisions { rows }).await
}

async fn divisions(
    State(seat): State<Arc<Seat>>,
    Query(page): Query<Page>,
) -> Result<Response, Problem> {
    list::<Division>(&seat, DIVISIONS, "", &page, |_| true).await
}

async fn register(command: Command<Vec<Organization>>) -> Result<Response, Problem> {
    let ask = Ask::RegisterOrganizations(command.body.clone());
    let office = command.seat().office.setting().office.to_string();
    command.decide::<Register>(office, None, ask).await
}

async fn organizations(
    State(seat): State<Arc<Seat>>,
    Query(page): Query<Page>,
) -> Result<Response, Problem> {
    list::<Organization>(&seat, ORGANIZATIONS, "", &page, |_| true).await
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
    let run = act(move |unit: &mut Unit<'_>| {
        let (office, targets, reason) = (office.clone(), targets.clone(), reason.clone());
        Box::pin(async move {
            let (register, _) = unit.load::<Register>(&office).await?;
            if let Some(unknown) = targets.iter().find(|target| !register.has(&target.org)) {
                return Err(Refusal::new(Code::UnknownOrg).detail(&unknown.org).into());
            }
            let covered: Vec<(String, CoverageRow)> = unit.rows(COVERAGE, "").await?;
            let inspected: BTreeSet<String> = covered.into_iter().map(|(org, _)| org).collect();
            let version = target_list::IssueVersion { valid_from, targets, reason, inspected };
            let done = unit.execute::<target_list::TargetList>(&office, version).await?;
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

#[derive(Deserialize)]
struct AsOf {
    as_of: Option<String>,
}

/// Coverage in form: feedback delivered by the day, over the list in force then.
async fn coverage(
    State(seat): State<Arc<Seat>>,
    Query(query): Query<AsOf>,
) -> Result<Response, Problem> {
    let day = match &query.as_of {
        Some(text) => {
            Day::parse(text).ok_or_else(|| Refusal::new(Code::BadField).detail("as_of"))?
        }
        None => seat.office.setting().clock.now().day(),
    };
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

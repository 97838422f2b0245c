//! 年度计划 Annual plans: the year's rounds, what of them conflicts, who approved them.
//!
//! An office sees its own whole, and of those below what they approved: no target, no
//! name. The conflict report is computed when it is asked for, and once more inside the
//! command that needs it.

mod report;
mod view;

use std::collections::BTreeMap;

use access::Subject;
use axum::{
    Json,
    extract::{Path, Query},
    response::{IntoResponse, Response},
};
use domain::{
    annual_plan::{AnnualPlan, Command as Ask, Outline, PlannedRound},
    round::Plan,
    target_list::Target,
};
use event_store::{Stop, Unit, act};
use kernel::{Class, Code, Refusal};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use web::{
    Caller, Command, Governed, Nothing, Problem, Route, Sight, Who, answer, change, get,
    matter::{permitted, read},
    post, view as shown,
};

use crate::{
    listing::{Page, list_governed},
    organizations::{ORGANIZATIONS, OrganizationRow},
};

pub use view::{ANNUAL_PLANS, AnnualPlansView, PlanRow};

const READERS: Who = Who::ReadsWhole(Subject::Of(Class::K2));

/// The desk's routes.
pub fn routes() -> Vec<Route> {
    vec![
        get(
            "/api/annual-plans",
            READERS,
            ["年度计划", "Annual plans, own and received"],
            plans,
        )
        .in_time()
        .query::<Page>(),
        get("/api/annual-plans/{id}", READERS, ["年度计划详情", "One annual plan"], one).in_time(),
        get(
            "/api/annual-plans/{id}/conflicts",
            Who::ReadsWhole(Subject::Of(Class::K3)),
            [
                "冲突检查",
                "Conflict report: what of an own plan overlaps, repeats or is too much, and what excuses it",
            ],
            conflicts,
        )
        .dated(),
    ]
    .into_iter()
    .chain(commands())
    .collect()
}

fn commands() -> Vec<Route> {
    vec![
        post::<NewPlan, _>(
            "/api/annual-plans",
            Who::Does("annual-plan.draft"),
            ["拟订年度计划", "Begin a year's plan"],
            draft,
        ),
        change::<NewRound, _>(
            "/api/annual-plans/{id}/rounds",
            Who::Does("annual-plan.place"),
            ["列入轮次", "Place a round, or place it anew"],
            place,
        ),
        change::<Nothing, _>(
            "/api/annual-plans/{id}/rounds/{number}/remove",
            Who::Does("annual-plan.remove"),
            ["移出轮次", "Take a round out"],
            remove,
        ),
        change::<NewExcuse, _>(
            "/api/annual-plans/{id}/excuses",
            Who::Does("annual-plan.excuse"),
            ["说明冲突", "Excuse a conflict as it stands now"],
            excuse,
        ),
        change::<Documented, _>(
            "/api/annual-plans/{id}/adopt",
            Who::Does("annual-plan.adopt"),
            ["领导小组审议", "The leading group adopts it; no conflict may stand unexcused"],
            adopt,
        ),
        change::<Documented, _>(
            "/api/annual-plans/{id}/approve",
            Who::Does("annual-plan.approve"),
            ["书记批准", "The secretary approves it; the office above hears what it is"],
            approve,
        ),
        change::<Insertion, _>(
            "/api/annual-plans/{id}/insertions",
            Who::Does("annual-plan.insert"),
            ["增加轮次", "Insert a round into an approved plan"],
            insert,
        ),
        change::<Nothing, _>(
            "/api/annual-plans/{id}/close",
            Who::Does("annual-plan.close"),
            ["年度结束", "Close the plan when its year is over"],
            close,
        ),
    ]
}

async fn plans(seat: Sight, caller: Caller, Query(page): Query<Page>) -> Result<Response, Problem> {
    list_governed::<PlanRow>(&seat, &caller, "", &page, |_| true).await
}

async fn one(seat: Sight, Path(id): Path<String>, caller: Caller) -> Result<Response, Problem> {
    let row: PlanRow = read(&seat, &caller, &id).await?;
    let actions = caller.actions(&row.matter(&seat.office.setting().office), row.possible());
    let version = row.version;
    let mut body = serde_json::to_value(row).unwrap_or_default();
    body["actions"] = json!(actions);
    body["demo"] = json!(seat.pin.demo);
    Ok(shown(&body, version))
}

async fn conflicts(
    seat: Sight,
    Path(id): Path<String>,
    caller: Caller,
) -> Result<Response, Problem> {
    let row: PlanRow = read(&seat, &caller, &id).await?;
    let items = report::shown(&seat, &caller, &row).await?;
    let open = items.iter().filter(|item| item.excuse.is_none()).count();
    let body = json!({"demo": seat.pin.demo, "as_of": seat.today(), "items": items, "open": open});
    Ok(Json(body).into_response())
}

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewPlan {
    /// The calendar year.
    #[schemars(range(min = 2000, max = 2100))]
    year: u16,
}

/// One plan an office and a year.
async fn draft(command: Command<NewPlan>) -> Result<Response, Problem> {
    let year = command.body.year;
    if !(2000..=2100).contains(&year) {
        return Err(Refusal::new(Code::BadField).detail("year: 2000 … 2100").into());
    }
    let id = format!("{}-{year}", command.seat().office.setting().office);
    command.decide::<AnnualPlan>(id, None, Ask::Draft { year }).await
}

/// A round as it is sent: targets by their ids, their levels are the register's.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewRound {
    /// What and when.
    round: Outline,
    /// The organizations' ids.
    #[serde(default)]
    targets: Vec<String>,
    /// The teams, each the ids of the persons that are meant for it; none are named yet if
    /// it is empty.
    #[serde(default)]
    teams: Vec<Vec<String>>,
}

impl NewRound {
    async fn known(self, unit: &mut Unit<'_>, caller: &Caller) -> Result<Box<PlannedRound>, Stop> {
        let mut targets = Vec::new();
        for org in self.targets {
            if caller.standing.is_kept_from(&org) {
                return Err(Code::NotAllowed.into());
            }
            let known: Option<OrganizationRow> = unit.row(ORGANIZATIONS, &org).await?;
            let known = known.and_then(|row| row.attributes.on(self.round.entry).cloned());
            let Some(known) = known else {
                return Err(Refusal::new(Code::UnknownOrg).detail(org).into());
            };
            targets.push(Target { org, level: known.level });
        }
        Ok(Box::new(PlannedRound { outline: self.round, targets, teams: self.teams }))
    }
}

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewExcuse {
    /// The conflict's key.
    conflict: String,
    /// Why it may stand.
    reason: String,
}

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Documented {
    /// The meeting's record or the document, by its number.
    document: String,
}

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Insertion {
    /// What and when.
    round: Outline,
    /// The organizations' ids.
    #[serde(default)]
    targets: Vec<String>,
    /// The teams.
    #[serde(default)]
    teams: Vec<Vec<String>>,
    /// Why it is inserted.
    reason: String,
    /// The decision, by its number.
    document: String,
    /// Why each conflict that it brings may stand, by its key.
    #[serde(default)]
    excuses: BTreeMap<String, String>,
}

/// What is done with an own plan.
#[derive(Clone)]
enum Step {
    Place(NewRound),
    Remove(String),
    Excuse(NewExcuse),
    Adopt(String),
    Approve(String),
    Insert(Insertion),
    Close,
}

impl Step {
    const fn action(&self) -> &'static str {
        match self {
            Self::Place(_) => "annual-plan.place",
            Self::Remove(_) => "annual-plan.remove",
            Self::Excuse(_) => "annual-plan.excuse",
            Self::Adopt(_) => "annual-plan.adopt",
            Self::Approve(_) => "annual-plan.approve",
            Self::Insert(_) => "annual-plan.insert",
            Self::Close => "annual-plan.close",
        }
    }

    /// The command, with the conflicts as they are inside the transaction.
    async fn ask(self, unit: &mut Unit<'_>, caller: &Caller, row: &PlanRow) -> Result<Ask, Stop> {
        Ok(match self {
            Self::Place(round) => Ask::Place(round.known(unit, caller).await?),
            Self::Remove(number) => Ask::Remove { number },
            Self::Excuse(NewExcuse { conflict, reason }) => {
                let conflicts = report::of_unit(unit, row, None).await?;
                Ask::Excuse { conflict, reason, conflicts }
            }
            Self::Adopt(document) => {
                Ask::Adopt { document, conflicts: report::of_unit(unit, row, None).await? }
            }
            Self::Approve(document) => {
                Ask::Approve { document, conflicts: report::of_unit(unit, row, None).await? }
            }
            Self::Insert(Insertion { round, targets, teams, reason, document, excuses }) => {
                let round = NewRound { round, targets, teams }.known(unit, caller).await?;
                let conflicts = report::of_unit(unit, row, Some(&round)).await?;
                Ask::Insert { round, reason, document, conflicts, excuses }
            }
            Self::Close => Ask::Close,
        })
    }
}

/// Decides a step on an own plan.
async fn on_plan<T>(command: Command<T>, id: String, step: Step) -> Result<Response, Problem> {
    let (expected, caller) = (command.expected()?, command.caller.clone());
    let run = act(move |unit: &mut Unit<'_>| {
        let (id, caller, step) = (id.clone(), caller.clone(), step.clone());
        Box::pin(async move {
            let row: PlanRow = permitted(unit, &caller, step.action(), &id).await?;
            let caller = caller.anew(unit).await?;
            let ask = step.ask(unit, &caller, &row).await?;
            let done = unit.execute_at::<AnnualPlan>(&id, ask, expected).await?;
            Ok(answer(&id, &done, json!({})))
        })
    });
    command.run(run).await
}

async fn place(Path(id): Path<String>, command: Command<NewRound>) -> Result<Response, Problem> {
    let step = Step::Place(command.body.clone());
    on_plan(command, id, step).await
}

async fn remove(
    Path((id, number)): Path<(String, String)>,
    command: Command<Nothing>,
) -> Result<Response, Problem> {
    on_plan(command, id, Step::Remove(number)).await
}

async fn excuse(Path(id): Path<String>, command: Command<NewExcuse>) -> Result<Response, Problem> {
    let step = Step::Excuse(command.body.clone());
    on_plan(command, id, step).await
}

async fn adopt(Path(id): Path<String>, command: Command<Documented>) -> Result<Response, Problem> {
    let step = Step::Adopt(command.body.document.clone());
    on_plan(command, id, step).await
}

async fn approve(
    Path(id): Path<String>,
    command: Command<Documented>,
) -> Result<Response, Problem> {
    let step = Step::Approve(command.body.document.clone());
    on_plan(command, id, step).await
}

async fn insert(Path(id): Path<String>, command: Command<Insertion>) -> Result<Response, Problem> {
    let step = Step::Insert(command.body.clone());
    on_plan(command, id, step).await
}

async fn close(Path(id): Path<String>, command: Command<Nothing>) -> Result<Response, Problem> {
    on_plan(command, id, Step::Close).await
}

/// Whether a round may be planned: it stands, as it is, in the approved plan of this year
/// or the next, or this year has no approved plan.
pub(crate) async fn admits(unit: &mut Unit<'_>, plan: &Plan) -> Result<(), Stop> {
    let (office, year) = (unit.here().office, unit.context().day().0.year());
    let (this, _) = unit.load::<AnnualPlan>(&format!("{office}-{year}")).await?;
    let (next, _) = unit.load::<AnnualPlan>(&format!("{office}-{}", year + 1)).await?;
    let by = if next.has(&plan.number) { next } else { this };
    Ok(by.admits(plan)?)
}

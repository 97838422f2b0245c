//! Rounds and their tasks; at the city also the timeline of the districts' rounds.

mod view;

use std::sync::Arc;

use axum::{
    extract::{Path, Query, State},
    response::Response,
};
use domain::{
    finding::{self, Finding},
    round::{Command as Ask, NewTask, Plan, Round, State as RoundState},
};
use event_store::{Answer, Unit, act};
use kernel::{Class, Code, Refusal};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use web::{Caller, Command, Nothing, Problem, Route, Seat, Who, answer, change, get, post, view};

use crate::{
    feed::may_read,
    findings::BY_TASK,
    listing::{Page, list},
    organizations::{ORGANIZATIONS, OrganizationRow},
};

pub use view::{RoundRow, RoundsView, TaskRow};

/// Rounds by id.
pub const ROUNDS: &str = "rounds";
/// Tasks by `round/task`.
pub const TASKS: &str = "tasks";

const PLANNERS: Who = Who::Roles(&["PLAN"]);
const LEADERS: Who = Who::Roles(&["TL", "TD"]);

/// The desk's routes.
pub fn routes() -> Vec<Route> {
    vec![
        get(
            "/api/rounds",
            Who::SignedIn,
            ["轮次时间线", "Rounds timeline, own and received"],
            rounds,
        )
        .query::<Page>(),
        get("/api/rounds/{id}", Who::SignedIn, ["轮次", "One round"], one),
        get(
            "/api/rounds/{id}/tasks",
            Who::Roles(&["PLAN", "SEC", "LG", "TL", "TD", "TM", "LO", "RECT"]),
            ["任务", "Tasks of a round"],
            tasks,
        )
        .query::<Page>(),
    ]
    .into_iter()
    .chain(commands())
    .collect()
}

fn commands() -> Vec<Route> {
    vec![
        post::<Plan, _>("/api/rounds", PLANNERS, ["计划轮次", "Plan a round"], plan),
        change::<Vec<NewTask>, _>(
            "/api/rounds/{id}/tasks",
            PLANNERS,
            ["分解任务", "Define tasks, one for every village"],
            define,
        ),
        change::<Nothing, _>(
            "/api/rounds/{id}/authorise",
            Who::Roles(&["SEC"]),
            ["授权", "Authorise; another person than the planner"],
            authorise,
        ),
        change::<Named, _>(
            "/api/rounds/{id}/enter",
            LEADERS,
            ["进驻", "Enter; no task named means all"],
            enter,
        ),
        change::<Named, _>(
            "/api/rounds/{id}/withdraw",
            LEADERS,
            ["撤点", "Withdraw; no task named means all"],
            withdraw,
        ),
        change::<Nothing, _>(
            "/api/rounds/{id}/tasks/{task}/list",
            LEADERS,
            ["形成单独问题清单", "Issue the task's own list of its co-signed findings"],
            issue_list,
        ),
        change::<Nothing, _>(
            "/api/rounds/{id}/tasks/{task}/no-finding",
            LEADERS,
            ["确认无问题", "Sign that nothing was found; two persons must"],
            no_finding,
        ),
        change::<Nothing, _>(
            "/api/rounds/{id}/hear",
            Who::Roles(&["SEC", "LG"]),
            ["书记专题会听取", "The secretary's meeting heard it"],
            hear,
        ),
        change::<Nothing, _>(
            "/api/rounds/{id}/tasks/{task}/feedback",
            Who::Roles(&["PLAN", "TL"]),
            ["反馈", "Deliver the list to the unit and those concerned"],
            feed_back,
        ),
        change::<Nothing, _>(
            "/api/rounds/{id}/archive",
            PLANNERS,
            ["归档", "Archive, when nothing is open"],
            archive,
        ),
    ]
}

/// A round is secret until entry (K3).
fn may_see(caller: &Caller, state: RoundState) -> bool {
    let secret = matches!(state, RoundState::Planned | RoundState::Authorised);
    !secret || may_read(caller, Class::K3)
}

async fn rounds(
    State(seat): State<Arc<Seat>>,
    caller: Caller,
    Query(page): Query<Page>,
) -> Result<Response, Problem> {
    list::<RoundRow>(&seat, ROUNDS, "", &page, |row| may_see(&caller, row.state)).await
}

async fn one(
    State(seat): State<Arc<Seat>>,
    Path(id): Path<String>,
    caller: Caller,
) -> Result<Response, Problem> {
    let row: Option<RoundRow> = seat.office.reader().await?.view(ROUNDS, &id).await?;
    let row = row.filter(|row| may_see(&caller, row.state)).ok_or(Code::RoundAbsent)?;
    let own = row.office.as_ref() == Some(&seat.office.setting().office);
    let possible: &[(&str, &[&str])] = match row.state {
        _ if !own => &[],
        RoundState::Planned => &[("tasks", &["PLAN"]), ("authorise", &["SEC"])],
        RoundState::Authorised => &[("enter", &["TL", "TD"])],
        RoundState::Entered => &[("withdraw", &["TL", "TD"]), ("list", &["TL", "TD"])],
        RoundState::Withdrawn => &[("list", &["TL", "TD"]), ("hear", &["SEC", "LG"])],
        RoundState::Heard => &[("feedback", &["PLAN", "TL"])],
        RoundState::FedBack | RoundState::Rectifying => &[("archive", &["PLAN"])],
        RoundState::Archived | RoundState::Absent => &[],
    };
    let actions = actions(&caller, possible);
    let version = row.version;
    let mut body = serde_json::to_value(row).unwrap_or_default();
    body["actions"] = json!(actions);
    body["demo"] = json!(seat.pin.demo);
    Ok(view(&body, version))
}

/// The actions that the caller's roles allow.
pub(crate) fn actions(caller: &Caller, possible: &[(&'static str, &[&str])]) -> Vec<&'static str> {
    possible.iter().filter(|(_, roles)| caller.holds(roles)).map(|(action, _)| *action).collect()
}

async fn tasks(
    State(seat): State<Arc<Seat>>,
    Path(id): Path<String>,
    caller: Caller,
    Query(page): Query<Page>,
) -> Result<Response, Problem> {
    let round: Option<RoundRow> = seat.office.reader().await?.view(ROUNDS, &id).await?;
    round.filter(|row| may_see(&caller, row.state)).ok_or(Code::RoundAbsent)?;
    list::<TaskRow>(&seat, TASKS, &format!("{id}/"), &page, |_| true).await
}

/// A round's id follows from its number: one number a committee.
async fn plan(command: Command<Plan>) -> Result<Response, Problem> {
    let plan = command.body.clone();
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if plan.number.len() > 40 || !plan.number.chars().all(plain) {
        let why = "number: A-Z a-z 0-9 -, 1 … 40 (611024-T4-R07)";
        return Err(Refusal::new(Code::BadField).detail(why).into());
    }
    let id = format!("{}-{}", command.seat().office.setting().office, plan.number);
    command.decide::<Round>(id, None, Ask::Plan(plan)).await
}

async fn define(
    Path(id): Path<String>,
    command: Command<Vec<NewTask>>,
) -> Result<Response, Problem> {
    let (expected, tasks) = (command.expected()?, command.body.clone());
    let run = act(move |unit: &mut Unit<'_>| {
        let (id, tasks) = (id.clone(), tasks.clone());
        Box::pin(async move {
            let mut tasks = tasks;
            let today = unit.context().day();
            for task in &mut tasks {
                // The register says what a target is and where it rectifies, not the caller.
                let known: Option<OrganizationRow> = unit.row(ORGANIZATIONS, &task.target).await?;
                let known = known.and_then(|row| row.attributes.on(today).cloned());
                let Some(known) = known else {
                    return Err(Refusal::new(Code::UnknownOrg).detail(&task.target).into());
                };
                task.level = known.level;
                task.unit_office = known.unit_office;
            }
            let done = unit.execute_at::<Round>(&id, Ask::DefineTasks(tasks), expected).await?;
            Ok(answer(&id, &done, json!({})))
        })
    });
    command.run(run).await
}

async fn authorise(Path(id): Path<String>, command: Command<Nothing>) -> Result<Response, Problem> {
    let expected = command.expected()?;
    command.decide::<Round>(id, expected, Ask::Authorise).await
}

#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Named {
    /// The tasks; none means all.
    tasks: Vec<String>,
}

async fn enter(Path(id): Path<String>, command: Command<Named>) -> Result<Response, Problem> {
    let (expected, tasks) = (command.expected()?, command.body.tasks.clone());
    command.decide::<Round>(id, expected, Ask::Enter(tasks)).await
}

async fn withdraw(Path(id): Path<String>, command: Command<Named>) -> Result<Response, Problem> {
    let (expected, tasks) = (command.expected()?, command.body.tasks.clone());
    command.decide::<Round>(id, expected, Ask::Withdraw(tasks)).await
}

async fn hear(Path(id): Path<String>, command: Command<Nothing>) -> Result<Response, Problem> {
    let expected = command.expected()?;
    command.decide::<Round>(id, expected, Ask::Hear).await
}

async fn archive(Path(id): Path<String>, command: Command<Nothing>) -> Result<Response, Problem> {
    let expected = command.expected()?;
    let run = act(move |unit: &mut Unit<'_>| {
        let id = id.clone();
        Box::pin(async move {
            let open = unit.row::<RoundRow>(ROUNDS, &id).await?.map_or(0, |row| row.open_findings);
            let ask = Ask::Archive { open_findings: open };
            let done = unit.execute_at::<Round>(&id, ask, expected).await?;
            Ok(answer(&id, &done, json!({})))
        })
    });
    command.run(run).await
}

/// The findings of one task that still count, by id and state.
async fn of_task(
    unit: &mut Unit<'_>,
    id: &str,
    task: &str,
) -> Result<Vec<(String, finding::State)>, event_store::Stop> {
    let prefix = format!("{id}/{task}/");
    let rows: Vec<(String, finding::State)> = unit.rows(BY_TASK, &prefix).await?;
    let live = rows.into_iter().filter(|(_, state)| *state != finding::State::Dropped);
    Ok(live.map(|(key, state)| (key[prefix.len()..].to_owned(), state)).collect())
}

async fn issue_list(
    Path((id, task)): Path<(String, String)>,
    command: Command<Nothing>,
) -> Result<Response, Problem> {
    let expected = command.expected()?;
    let run = act(move |unit: &mut Unit<'_>| {
        let (id, task) = (id.clone(), task.clone());
        Box::pin(async move {
            let findings = of_task(unit, &id, &task).await?;
            if findings.is_empty() {
                return Err(Refusal::new(Code::ListMissing).detail(task).into());
            }
            for (finding, _) in &findings {
                unit.execute::<Finding>(finding, finding::Command::List).await?;
            }
            let ask = Ask::IssueList { task, findings: findings.len() as u64 };
            let done = unit.execute_at::<Round>(&id, ask, expected).await?;
            Ok(answer(&id, &done, json!({"findings": findings.len()})))
        })
    });
    command.run(run).await
}

async fn no_finding(
    Path((id, task)): Path<(String, String)>,
    command: Command<Nothing>,
) -> Result<Response, Problem> {
    let expected = command.expected()?;
    let run = act(move |unit: &mut Unit<'_>| {
        let (id, task) = (id.clone(), task.clone());
        Box::pin(async move {
            if !of_task(unit, &id, &task).await?.is_empty() {
                return Err(Code::HasFindings.into());
            }
            let ask = Ask::RecordNoFinding { task };
            let done = unit.execute_at::<Round>(&id, ask, expected).await?;
            Ok(answer(&id, &done, json!({})))
        })
    });
    command.run(run).await
}

async fn feed_back(
    Path((id, task)): Path<(String, String)>,
    command: Command<Nothing>,
) -> Result<Response, Problem> {
    let expected = command.expected()?;
    let run = act(move |unit: &mut Unit<'_>| {
        let (id, task) = (id.clone(), task.clone());
        Box::pin(async move { deliver(unit, id, task, expected).await })
    });
    command.run(run).await
}

async fn deliver(
    unit: &mut Unit<'_>,
    id: String,
    task: String,
    expected: Option<u64>,
) -> Result<Answer, event_store::Stop> {
    let findings = of_task(unit, &id, &task).await?;
    let count = findings.len() as u64;
    let ask = Ask::DeliverFeedback { task, findings: count };
    let done = unit.execute_at::<Round>(&id, ask, expected).await?;
    if done.added > 0 {
        let due = policy::due("rect.concentrated", unit.context().day());
        for (finding, _) in findings {
            unit.execute::<Finding>(&finding, finding::Command::FeedBack { due }).await?;
        }
    }
    Ok(answer(&id, &done, json!({"findings": count})))
}

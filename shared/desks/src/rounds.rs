//! Rounds and their tasks; at the city also the timeline of the districts' rounds.

mod scope;
mod view;

use std::collections::BTreeSet;

use access::Subject;
use axum::{
    extract::{Path, Query},
    response::Response,
};
use domain::{
    finding::{self, Finding},
    round::{Command as Ask, NewTask, Plan, Round},
};
use event_store::{Answer, Stop, Unit, act};
use kernel::{Class, Code, Refusal};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use web::{
    Caller, Command, Governed, Nothing, Problem, Route, Seat, Sight, Who, answer, change, get,
    matter::{permitted, read},
    post, view,
};

use crate::{
    annual_plans::admits,
    deadline_policies::{mode_of, of_unit},
    findings::{BY_TASK, sayings},
    listing::{Page, list_as, list_governed},
    organizations::{ORGANIZATIONS, OrganizationRow},
};

pub(crate) use scope::kept_from_none;
use scope::{decide_on_all, on_all, on_task, on_tasks};
pub use view::{RoundRow, RoundsView, TaskRow};

/// Rounds by id.
pub const ROUNDS: &str = "rounds";
/// Tasks by `round/task`.
pub const TASKS: &str = "tasks";

/// A round is secret until entry; then its dates and counts are plan.
const READERS: Who = Who::Reads(&[Subject::Of(Class::K2), Subject::Of(Class::K3)]);

/// The desk's routes.
pub fn routes() -> Vec<Route> {
    vec![
        get("/api/rounds", READERS, ["轮次时间线", "Rounds timeline, own and received"], rounds)
            .in_time()
            .query::<Page>(),
        get("/api/rounds/{id}", READERS, ["轮次", "One round"], one).in_time(),
        get("/api/rounds/{id}/tasks", READERS, ["任务", "Tasks of a round"], tasks)
            .in_time()
            .query::<Page>(),
    ]
    .into_iter()
    .chain(commands())
    .collect()
}

fn commands() -> Vec<Route> {
    vec![
        post::<Plan, _>("/api/rounds", Who::Does("round.plan"), ["计划轮次", "Plan a round"], plan),
        change::<Vec<NewTask>, _>(
            "/api/rounds/{id}/tasks",
            Who::Does("round.tasks"),
            ["分解任务", "Define tasks, one for every village"],
            define,
        ),
        change::<Nothing, _>(
            "/api/rounds/{id}/authorise",
            Who::Does("round.authorise"),
            ["授权", "Authorise; another person than the planner"],
            authorise,
        ),
        change::<Named, _>(
            "/api/rounds/{id}/enter",
            Who::Does("round.enter"),
            ["进驻", "Enter; no task named means all"],
            enter,
        ),
        change::<Named, _>(
            "/api/rounds/{id}/withdraw",
            Who::Does("round.withdraw"),
            ["撤点", "Withdraw; no task named means all"],
            withdraw,
        ),
        change::<Nothing, _>(
            "/api/rounds/{id}/tasks/{task}/list",
            Who::Does("round.list"),
            ["形成单独问题清单", "Issue the task's own list of its co-signed findings"],
            issue_list,
        ),
        change::<Nothing, _>(
            "/api/rounds/{id}/tasks/{task}/no-finding",
            Who::Does("round.no-finding"),
            ["确认无问题", "Sign that nothing was found; two persons must"],
            no_finding,
        ),
        change::<Nothing, _>(
            "/api/rounds/{id}/hear",
            Who::Does("round.hear"),
            ["书记专题会听取", "The secretary's meeting heard it"],
            hear,
        ),
        change::<Nothing, _>(
            "/api/rounds/{id}/tasks/{task}/feedback",
            Who::Does("round.feedback"),
            ["反馈", "Deliver the list to the unit and those concerned"],
            feed_back,
        ),
        change::<Nothing, _>(
            "/api/rounds/{id}/archive",
            Who::Does("round.archive"),
            ["归档", "Archive, when nothing is open"],
            archive,
        ),
    ]
}

async fn rounds(
    seat: Sight,
    caller: Caller,
    Query(page): Query<Page>,
) -> Result<Response, Problem> {
    list_governed::<RoundRow>(&seat, &caller, "", &page, |_| true).await
}

async fn one(seat: Sight, Path(id): Path<String>, caller: Caller) -> Result<Response, Problem> {
    let row: RoundRow = read(&seat, &caller, &id).await?;
    let actions = caller.actions(&row.matter(&seat.office.setting().office), row.possible());
    let version = row.version;
    let mut body = serde_json::to_value(row).unwrap_or_default();
    body["actions"] = json!(actions);
    body["demo"] = json!(seat.pin.demo);
    Ok(view(&body, version))
}

async fn tasks(
    seat: Sight,
    Path(id): Path<String>,
    caller: Caller,
    Query(page): Query<Page>,
) -> Result<Response, Problem> {
    let round: Option<RoundRow> = seat.reader().await?.view(ROUNDS, &id).await?;
    let (round, here) = (round.ok_or(Code::RoundAbsent)?, &seat.office.setting().office);
    let prefix = format!("{id}/");
    let open = tasks_today(&seat, &caller, &id).await?;
    let sees = |task: &TaskRow| {
        let today = open.as_ref().is_none_or(|open| open.contains(&task.task.id));
        today && caller.reads(&task.matter(&round, here))
    };
    // Whoever holds a post on one unit sees its task, and nothing of the round around it.
    if !caller.reads(&round.matter(here)) {
        let all: Vec<(String, TaskRow)> = seat.reader().await?.all(TASKS, &prefix).await?;
        if !all.iter().any(|(_, task)| sees(task)) {
            return Err(Code::RoundAbsent.into());
        }
    }
    list_as(&seat, TASKS, &prefix, &page, |_, task: TaskRow| {
        sees(&task).then(|| task.shown(&caller, &round, here))
    })
    .await
}

/// The tasks of a round that the caller may read as they are now; nothing if it is now that
/// is shown.
async fn tasks_today(
    seat: &Sight,
    caller: &Caller,
    id: &str,
) -> Result<Option<BTreeSet<String>>, Problem> {
    if !seat.looks_back() {
        return Ok(None);
    }
    let mut reader = seat.office.reader().await?;
    let round: Option<RoundRow> = reader.view(ROUNDS, id).await?;
    let (round, here) = (round.ok_or(Code::RoundAbsent)?, &seat.office.setting().office);
    let tasks: Vec<(String, TaskRow)> = reader.all(TASKS, &format!("{id}/")).await?;
    let open = tasks.into_iter().filter(|(_, task)| caller.reads(&task.matter(&round, here)));
    Ok(Some(open.map(|(_, task)| task.task.id).collect()))
}

/// A round's id follows from its number: one number a committee.
async fn plan(command: Command<Plan>) -> Result<Response, Problem> {
    let plan = command.body.clone();
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if plan.number.is_empty() || plan.number.len() > 40 || !plan.number.chars().all(plain) {
        let why = "number: A-Z a-z 0-9 -, 1 … 40 (611024-T4-R07)";
        return Err(Refusal::new(Code::BadField).detail(why).into());
    }
    let id = format!("{}-{}", command.seat().office.setting().office, plan.number);
    let run = act(move |unit: &mut Unit<'_>| {
        let (id, plan) = (id.clone(), plan.clone());
        Box::pin(async move {
            admits(unit, &plan).await?;
            let done = unit.execute::<Round>(&id, Ask::Plan(plan)).await?;
            Ok(answer(&id, &done, json!({})))
        })
    });
    command.run(run).await
}

async fn define(
    Path(id): Path<String>,
    command: Command<Vec<NewTask>>,
) -> Result<Response, Problem> {
    let (expected, tasks) = (command.expected()?, command.body.clone());
    let caller = command.caller.clone();
    let run = act(move |unit: &mut Unit<'_>| {
        let (id, tasks, caller) = (id.clone(), tasks.clone(), caller.clone());
        Box::pin(async move {
            permitted::<RoundRow>(unit, &caller, "round.tasks", &id).await?;
            let mut tasks = tasks;
            let today = unit.context().day();
            let caller = caller.anew(unit).await?;
            for task in &mut tasks {
                if caller.standing.is_kept_from(&task.target) {
                    return Err(Code::NotAllowed.into());
                }
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
    decide_on_all(command, "round.authorise", id, Ask::Authorise).await
}

#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Named {
    /// The tasks; none means all.
    tasks: Vec<String>,
}

async fn enter(Path(id): Path<String>, command: Command<Named>) -> Result<Response, Problem> {
    let (expected, tasks) = (command.expected()?, command.body.tasks.clone());
    let ask = Ask::Enter(tasks.clone());
    on_tasks(command, "round.enter", id, expected, tasks, ask).await
}

async fn withdraw(Path(id): Path<String>, command: Command<Named>) -> Result<Response, Problem> {
    let (expected, tasks) = (command.expected()?, command.body.tasks.clone());
    let ask = Ask::Withdraw(tasks.clone());
    on_tasks(command, "round.withdraw", id, expected, tasks, ask).await
}

async fn hear(Path(id): Path<String>, command: Command<Nothing>) -> Result<Response, Problem> {
    decide_on_all(command, "round.hear", id, Ask::Hear).await
}

async fn archive(Path(id): Path<String>, command: Command<Nothing>) -> Result<Response, Problem> {
    let (expected, caller) = (command.expected()?, command.caller.clone());
    let run = act(move |unit: &mut Unit<'_>| {
        let (id, caller) = (id.clone(), caller.clone());
        Box::pin(async move {
            let round = on_all(unit, &caller, "round.archive", &id).await?;
            let open = round.open_findings.unwrap_or(0);
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
) -> Result<Vec<(String, finding::State)>, Stop> {
    let prefix = format!("{id}/{task}/");
    let rows: Vec<(String, finding::State)> = unit.rows(BY_TASK, &prefix).await?;
    let live = rows.into_iter().filter(|(_, state)| *state != finding::State::Dropped);
    Ok(live.map(|(key, state)| (key[prefix.len()..].to_owned(), state)).collect())
}

async fn issue_list(
    Path((id, task)): Path<(String, String)>,
    command: Command<Nothing>,
) -> Result<Response, Problem> {
    let (expected, caller) = (command.expected()?, command.caller.clone());
    let seat = command.seat().clone();
    let run = act(move |unit: &mut Unit<'_>| {
        let (id, task, caller, seat) = (id.clone(), task.clone(), caller.clone(), seat.clone());
        Box::pin(async move {
            on_task(unit, &caller, "round.list", &id, &task).await?;
            let findings = of_task(unit, &id, &task).await?;
            if findings.is_empty() {
                return Err(Refusal::new(Code::ListMissing).detail(task).into());
            }
            // What opens no more is found now, as long as it can be drafted anew.
            let ids: Vec<String> = findings.iter().map(|(finding, _)| finding.clone()).collect();
            sayings(unit, &seat, &ids).await?;
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
    let (expected, caller) = (command.expected()?, command.caller.clone());
    let run = act(move |unit: &mut Unit<'_>| {
        let (id, task, caller) = (id.clone(), task.clone(), caller.clone());
        Box::pin(async move {
            on_task(unit, &caller, "round.no-finding", &id, &task).await?;
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
    let (expected, caller) = (command.expected()?, command.caller.clone());
    let seat = command.seat().clone();
    let run = act(move |unit: &mut Unit<'_>| {
        let (id, task, caller, seat) = (id.clone(), task.clone(), caller.clone(), seat.clone());
        Box::pin(async move {
            on_task(unit, &caller, "round.feedback", &id, &task).await?;
            deliver(unit, &seat, id, task, expected).await
        })
    });
    command.run(run).await
}

async fn deliver(
    unit: &mut Unit<'_>,
    seat: &Seat,
    id: String,
    task: String,
    expected: Option<u64>,
) -> Result<Answer, Stop> {
    let findings = of_task(unit, &id, &task).await?;
    let findings: Vec<String> = findings.into_iter().map(|(finding, _)| finding).collect();
    let count = findings.len() as u64;
    let ask = Ask::DeliverFeedback { task, findings: count };
    let done = unit.execute_at::<Round>(&id, ask, expected).await?;
    if done.added > 0 {
        let mode = mode_of(unit, &id).await?;
        let (packs, day) = (of_unit(unit).await?, unit.context().day());
        let due = packs.due_in("rect.concentrated", mode, day).day;
        let said = sayings(unit, seat, &findings).await?;
        for (finding, saying) in findings.iter().zip(said) {
            let ask = finding::Command::FeedBack { saying, due };
            unit.execute::<Finding>(finding, ask).await?;
        }
    }
    Ok(answer(&id, &done, json!({"findings": count})))
}

//! Commands on a round, and on how much of it: one task, some, or all.

use axum::response::Response;
use domain::round::{Command as Ask, Round};
use event_store::{Stop, Unit, act};
use kernel::Code;
use serde_json::json;
use web::{Caller, Command, Governed, Nothing, Problem, answer, matter::permitted};

use super::{Named, ROUNDS, RoundRow, TASKS, TaskRow};

/// Decides a command on some tasks of a round, or on all if none is named: a post on one
/// task does it to that task only.
pub(super) async fn on_tasks(
    command: Command<Named>,
    action: &'static str,
    id: String,
    expected: Option<u64>,
    tasks: Vec<String>,
    ask: Ask,
) -> Result<Response, Problem> {
    let caller = command.caller.clone();
    let run = act(move |unit: &mut Unit<'_>| {
        let (id, tasks, ask, caller) = (id.clone(), tasks.clone(), ask.clone(), caller.clone());
        Box::pin(async move {
            if tasks.is_empty() {
                on_all(unit, &caller, action, &id).await?;
            }
            for task in &tasks {
                on_task(unit, &caller, action, &id, task).await?;
            }
            let done = unit.execute_at::<Round>(&id, ask, expected).await?;
            Ok(answer(&id, &done, json!({})))
        })
    });
    command.run(run).await
}

/// The round, if the caller may do this with all of it: that is more than whoever is kept
/// from one of its targets may do.
pub(super) async fn on_all(
    unit: &mut Unit<'_>,
    caller: &Caller,
    action: &str,
    id: &str,
) -> Result<RoundRow, Stop> {
    let round: RoundRow = permitted(unit, caller, action, id).await?;
    kept_from_none(unit, caller, id).await?;
    Ok(round)
}

/// Decides a command on a whole round.
pub(super) async fn decide_on_all(
    command: Command<Nothing>,
    action: &'static str,
    id: String,
    ask: Ask,
) -> Result<Response, Problem> {
    let (expected, caller) = (command.expected()?, command.caller.clone());
    let run = act(move |unit: &mut Unit<'_>| {
        let (id, ask, caller) = (id.clone(), ask.clone(), caller.clone());
        Box::pin(async move {
            on_all(unit, &caller, action, &id).await?;
            let done = unit.execute_at::<Round>(&id, ask, expected).await?;
            Ok(answer(&id, &done, json!({})))
        })
    });
    command.run(run).await
}

/// Refuses what the caller may not do with a task of a round.
pub(super) async fn on_task(
    unit: &mut Unit<'_>,
    caller: &Caller,
    action: &str,
    id: &str,
    named: &str,
) -> Result<(), Stop> {
    let (here, caller) = (unit.setting().office.clone(), caller.anew(unit).await?);
    let round: RoundRow = unit.row(ROUNDS, id).await?.ok_or(Code::RoundAbsent)?;
    let task: Option<TaskRow> = unit.row(TASKS, &format!("{id}/{named}")).await?;
    // Whoever may read the round hears that the task is not there, if it is or not.
    let knows = caller.reads(&round.matter(&here));
    let absent = if knows { Code::TaskAbsent } else { Code::RoundAbsent };
    let task = task.ok_or(absent)?;
    Ok(caller.permit(action, &task.matter(&round, &here), absent)?)
}

/// Refuses whoever is kept from one of a round's targets.
pub(crate) async fn kept_from_none(
    unit: &mut Unit<'_>,
    caller: &Caller,
    id: &str,
) -> Result<(), Stop> {
    let caller = caller.anew(unit).await?;
    let all: Vec<(String, TaskRow)> = unit.rows(TASKS, &format!("{id}/")).await?;
    let kept = |(_, row): &(String, TaskRow)| caller.standing.is_kept_from(&row.task.target);
    if all.iter().any(kept) { Err(Code::NotAllowed.into()) } else { Ok(()) }
}

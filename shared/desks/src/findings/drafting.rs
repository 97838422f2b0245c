//! 起草底稿 A new finding: what it says is sealed within its entry, under the key of its task.

use access::{Matter, Subject};
use axum::response::Response;
use domain::{
    custody::Party,
    finding::{Brief, Command as Ask, Finding, Saying},
    scope_key::Purpose,
};
use event_store::{Stop, Unit, act};
use kernel::{
    Class, Code, OfficeId,
    sealed::{Ciphertext, Scope},
    sign::Hash,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use vault::ScopeKey;
use web::{Caller, Command, Problem, Seat, answer};
use zeroize::Zeroizing;

use super::KEEPER;
use crate::{
    rounds::{ROUNDS, RoundRow, TASKS, TaskRow},
    sealing::{key_for, note_grant, seal_within},
};

/// The key under which a task's findings are sealed.
fn scope_of(office: &OfficeId, round: &str, task: &str) -> Scope {
    let name = Hash::of(&[round.as_bytes(), b"/", task.as_bytes()]).to_string();
    Scope::Case(format!("{office}-findings-{}", &name[..16]), 1)
}

/// A draft as it is asked for.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewDraft {
    /// The round's id.
    round: String,
    /// The task.
    task: String,
    /// The category in the round's catalogue; it is not sealed.
    #[schemars(length(min = 1, max = 30))]
    category: String,
    /// One line.
    #[schemars(length(min = 1, max = 200))]
    title: String,
    /// Phenomenon, qualification, responsibility.
    #[schemars(length(min = 1, max = 9000))]
    text: String,
}

pub(super) async fn draft(command: Command<NewDraft>) -> Result<Response, Problem> {
    let (new, seat) = (command.body.clone(), command.seat().clone());
    let saying = Saying { title: new.title.clone(), text: new.text.clone() };
    saying.check()?;
    // The same key gives the same finding, even if its answer was lost with the store.
    let name = seat.derive("finding", &[command.scope()]).to_string();
    let caller = command.caller.clone();
    let run = act(move |unit: &mut Unit<'_>| {
        let (new, name, caller) = (new.clone(), name.clone(), caller.clone());
        let (seat, saying) = (seat.clone(), saying.clone());
        Box::pin(async move {
            let office = unit.setting().office.clone();
            let brief = brief(unit, &caller, new).await?;
            let scope = scope_of(&office, &brief.round, &brief.task);
            // Only a task that is there gets a key.
            let (key, grant) = task_key(&seat, scope).await?;
            let id = format!("{office}-{}", &name[..16]);
            let bytes = Zeroizing::new(serde_json::to_vec(&saying).map_err(|_| Code::Internal)?);
            let (part, sealed) = seal_within(unit, &key, &bytes)?;
            let (part, sealed) = (Box::new(part), Ciphertext(sealed));
            let done = unit.execute::<Finding>(&id, Ask::Draft { brief, part, sealed }).await?;
            let to = Party { office, organ: KEEPER };
            note_grant(unit, key.scope(), to, grant, Purpose::Draft).await?;
            Ok(answer(&id, &done, json!({})))
        })
    });
    command.run(run).await
}

/// The key under which a task's findings are sealed: of the first epoch that is not lost.
async fn task_key(seat: &Seat, mut scope: Scope) -> Result<(ScopeKey, Hash), Problem> {
    loop {
        match key_for(seat, scope.clone(), KEEPER, Purpose::Draft).await {
            Err(problem) if problem.0.code == Code::KeyGone => scope = scope.next(),
            made => return made,
        }
    }
}

/// What may be said of a new finding: where it belongs follows from the task.
async fn brief(unit: &mut Unit<'_>, caller: &Caller, new: NewDraft) -> Result<Brief, Stop> {
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
    Ok(Brief {
        round: new.round,
        round_number: plan.number,
        task: new.task,
        target: task.task.target,
        level: task.task.level,
        category: new.category,
        unit_office: task.task.unit_office.unwrap_or(office),
        concerned: plan.concerned,
    })
}

//! The rules of a round.

use std::collections::BTreeSet;

use kernel::{Code, Context, Refusal};

use super::{Command, Event, NewTask, Organisation, Plan, Round, State, Task};
use crate::{another, filled};

impl Round {
    pub(super) fn decided(
        &self,
        command: Command,
        context: &Context,
    ) -> Result<Vec<Event>, Refusal> {
        use State::{Absent, Authorised, Entered, FedBack, Heard, Planned, Rectifying, Withdrawn};
        let on = context.day();
        match (self.state, command) {
            (Absent, Command::Plan(plan)) => plan_round(plan, context),
            (_, Command::Plan(plan)) if Some(&plan) == self.plan.as_ref() => Ok(vec![]),
            (_, Command::Plan(_)) => Err(Code::RoundExists.into()),
            (Absent, _) => Err(Code::RoundAbsent.into()),
            (Planned, Command::DefineTasks(tasks)) => self.define(tasks),
            (Planned, Command::Authorise) => {
                // G4: nobody approves what he or she submitted.
                another(&self.planned_by, context)?;
                if self.tasks.is_empty() {
                    return Err(Code::NoTasks.into());
                }
                Ok(vec![Event::Authorised { number: self.number(), on }])
            }
            (Authorised | Entered, Command::Enter(tasks)) => self.enter(&tasks, context),
            (Entered, Command::Withdraw(tasks)) => self.withdraw(&tasks, context),
            (Entered | Withdrawn, Command::IssueList { task, findings }) => {
                let at = self.task(&task)?;
                Ok(if at.listed { vec![] } else { vec![Event::ListIssued { task, findings }] })
            }
            (Entered | Withdrawn, Command::RecordNoFinding { task }) => self.none(task, context),
            (Withdrawn, Command::Hear) => {
                let missing = self.tasks.iter().find(|(_, task)| !task.listed);
                if let Some((task, _)) = missing {
                    return Err(Refusal::new(Code::ListMissing).detail(task));
                }
                Ok(vec![Event::Heard { number: self.number(), on }])
            }
            (Heard | FedBack | Rectifying, Command::DeliverFeedback { task, findings }) => {
                self.feed_back(task, findings, context)
            }
            (FedBack | Rectifying, Command::Archive { open_findings: 0 }) => {
                Ok(vec![Event::Archived { number: self.number(), on }])
            }
            (_, Command::Archive { open_findings }) if open_findings > 0 => {
                Err(Refusal::new(Code::WrongState)
                    .detail(format!("open findings: {open_findings}")))
            }
            _ => Err(Code::WrongState.into()),
        }
    }

    fn number(&self) -> String {
        self.plan.as_ref().map(|plan| plan.number.clone()).unwrap_or_default()
    }

    fn task(&self, id: &str) -> Result<&Task, Refusal> {
        self.tasks.get(id).ok_or_else(|| Refusal::new(Code::TaskAbsent).detail(id))
    }

    fn define(&self, tasks: Vec<NewTask>) -> Result<Vec<Event>, Refusal> {
        let mut ids: BTreeSet<&str> = self.tasks.keys().map(String::as_str).collect();
        for task in &tasks {
            crate::plain("id", &task.id)?;
            filled("name", &task.name)?;
            if !ids.insert(&task.id) {
                return Err(Refusal::new(Code::TaskExists).detail(&task.id));
            }
        }
        if let Some(orphan) =
            tasks.iter().filter_map(|t| t.parent.as_deref()).find(|p| !ids.contains(p))
        {
            return Err(Refusal::new(Code::TaskAbsent).detail(orphan));
        }
        Ok(if tasks.is_empty() { vec![] } else { vec![Event::TasksDefined { tasks }] })
    }

    /// The named tasks, or all; refused if one is unknown.
    fn named(&self, tasks: &[String]) -> Result<Vec<String>, Refusal> {
        for task in tasks {
            self.task(task)?;
        }
        Ok(if tasks.is_empty() { self.tasks.keys().cloned().collect() } else { tasks.to_vec() })
    }

    fn enter(&self, tasks: &[String], context: &Context) -> Result<Vec<Event>, Refusal> {
        let mut tasks = self.named(tasks)?;
        tasks.retain(|task| self.tasks.get(task).is_some_and(|task| !task.entered));
        let Some(plan) = self.plan.clone().filter(|_| !tasks.is_empty()) else { return Ok(vec![]) };
        let of = self.tasks.len() as u64;
        Ok(vec![Event::Entered { plan, tasks, of, on: context.day() }])
    }

    fn withdraw(&self, tasks: &[String], context: &Context) -> Result<Vec<Event>, Refusal> {
        let mut tasks = self.named(tasks)?;
        for id in &tasks {
            if !self.task(id)?.entered {
                return Err(Refusal::new(Code::WrongState).detail(id));
            }
        }
        tasks.retain(|task| self.tasks.get(task).is_some_and(|task| !task.withdrawn));
        if tasks.is_empty() {
            return Ok(vec![]);
        }
        let last = self.tasks.iter().all(|(id, task)| task.withdrawn || tasks.contains(id));
        Ok(vec![Event::Withdrawn { tasks, last, on: context.day() }])
    }

    fn none(&self, task: String, context: &Context) -> Result<Vec<Event>, Refusal> {
        let at = self.task(&task)?;
        if at.listed {
            return Ok(vec![]);
        }
        if !at.entered {
            return Err(Refusal::new(Code::WrongState).detail(task));
        }
        let by = context.actor.person.clone();
        match &at.none_signed_by {
            None => Ok(vec![Event::NoFindingSigned { task, by }]),
            Some(first) => {
                another(first, context)?;
                Ok(vec![Event::NoFindingRecorded { task, by }])
            }
        }
    }

    /// Feedback goes to the town first, then to its villages (`model.md` 3.3).
    fn feed_back(
        &self,
        task: String,
        findings: u64,
        context: &Context,
    ) -> Result<Vec<Event>, Refusal> {
        let at = self.task(&task)?;
        if at.fed_back {
            return Ok(vec![]);
        }
        if let Some(parent) = &at.parent
            && !self.task(parent)?.fed_back
        {
            return Err(Refusal::new(Code::WrongState).detail(format!("{parent} first")));
        }
        let on = context.day();
        let last = self.tasks.iter().all(|(id, other)| other.fed_back || *id == task);
        let mut events = vec![Event::FeedbackDelivered { task, findings, on }];
        if last {
            events.push(Event::FedBack { number: self.number(), on });
            events.push(Event::RectificationOpened { number: self.number() });
        }
        Ok(events)
    }
}

fn plan_round(plan: Plan, context: &Context) -> Result<Vec<Event>, Refusal> {
    filled("number", &plan.number)?;
    filled("name", &plan.name)?;
    let alone = plan.linked_to.is_none() && plan.concerned.is_empty();
    let needs_other = match plan.organisation {
        Organisation::Linked | Organisation::Cross | Organisation::HigherTier => true,
        Organisation::Own | Organisation::JointAudit => false,
    };
    if needs_other && alone {
        return Err(Code::LinkMissing.into());
    }
    Ok(vec![Event::Planned { plan, by: context.actor.person.clone() }])
}

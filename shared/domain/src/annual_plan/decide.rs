//! The rules of an annual plan.

use std::collections::{BTreeMap, BTreeSet};

use kernel::{Code, Context, Refusal};

use super::{
    AnnualPlan, Command, Conflict, Event, PlannedRound, ROUNDS, Sized, State, TARGETS, TEAMS,
    conflicts::unexcused,
};
use crate::{another, filled};

/// How many targets fit one entry of 48 KiB.
const SLICE: usize = 400;
/// How many persons fit one.
const PERSONS: usize = 800;

impl AnnualPlan {
    pub(super) fn decided(
        &self,
        command: Command,
        context: &Context,
    ) -> Result<Vec<Event>, Refusal> {
        use State::{Absent, Adopted, Approved, Closed, Drafted};
        let on = context.day();
        match (self.state, command) {
            (Absent, Command::Draft { year }) => {
                Ok(vec![Event::Drafted { year, by: context.actor.person.clone() }])
            }
            (_, Command::Draft { .. }) => Err(Code::PlanExists.into()),
            (Absent, _) => Err(Code::PlanAbsent.into()),
            (Drafted | Adopted, Command::Place(round)) => self.placed(*round, context),
            (Drafted | Adopted, Command::Remove { number }) => {
                self.known(&number)?;
                Ok(vec![Event::RoundRemoved { number }])
            }
            (Drafted | Adopted, Command::Excuse { conflict, reason, conflicts }) => {
                self.excuse(&conflict, &reason, &conflicts, context)
            }
            (Drafted, Command::Adopt { document, conflicts }) => {
                another(&self.drafted_by, context)?;
                filled("document", &document)?;
                if self.rounds.is_empty() {
                    return Err(Code::PlanEmpty.into());
                }
                self.clean(&conflicts)?;
                Ok(vec![Event::Adopted { document, on }])
            }
            (Adopted, Command::Approve { document, conflicts }) => {
                another(&self.drafted_by, context)?;
                filled("document", &document)?;
                self.clean(&conflicts)?;
                let sized = |round: &PlannedRound| Sized {
                    outline: round.outline.clone(),
                    size: round.size(),
                };
                let rounds = self.rounds.values().map(sized).collect();
                let excused = conflicts.len() as u64;
                Ok(vec![Event::Approved { year: self.year, rounds, excused, document, on }])
            }
            (Approved, Command::Insert { round, reason, document, conflicts, excuses }) => {
                filled("document", &document)?;
                filled("reason", &reason).map_err(|_| Code::ReasonRequired)?;
                self.insert(*round, (reason, document), &conflicts, &excuses, context)
            }
            (Approved, Command::Close) if i32::from(self.year) < on.0.year() => {
                Ok(vec![Event::Closed { year: self.year, on }])
            }
            (Approved, Command::Close) => {
                Err(Refusal::new(Code::WrongState).detail(format!("> {}-12-31", self.year)))
            }
            (Closed, Command::Close) => Ok(vec![]),
            _ => Err(Code::WrongState.into()),
        }
    }

    fn known(&self, number: &str) -> Result<&PlannedRound, Refusal> {
        self.rounds.get(number).ok_or_else(|| Refusal::new(Code::RoundNotInPlan).detail(number))
    }

    /// Whether a round can stand in this year's plan at all.
    fn fits(&self, round: &PlannedRound) -> Result<(), Refusal> {
        let outline = &round.outline;
        let unfit = |why: String| Err(Refusal::new(Code::PlannedRoundUnfit).detail(why));
        filled("name", &outline.name)?;
        let days = [outline.notice, outline.entry, outline.withdrawal, outline.feedback];
        if !days.is_sorted() {
            return unfit("notice ≤ entry ≤ withdrawal ≤ feedback".to_owned());
        }
        if outline.entry.0.year() != i32::from(self.year) {
            return unfit(format!("entry: {}", self.year));
        }
        if outline.feedback.days_after(outline.notice) > 2 * 366 {
            return unfit("feedback − notice ≤ 732".to_owned());
        }
        if round.targets.len() > TARGETS || round.teams.len() > TEAMS {
            return unfit(format!("targets ≤ {TARGETS}, teams ≤ {TEAMS}"));
        }
        if round.teams.iter().map(Vec::len).sum::<usize>() > PERSONS {
            return unfit(format!("persons ≤ {PERSONS}"));
        }
        for person in round.teams.iter().flatten() {
            crate::plain("teams", person)?;
        }
        crate::plain("number", &outline.number)?;
        let [long, short] = [100, 40];
        let optional = |text: &Option<String>| text.as_ref().map_or(0, |text| text.chars().count());
        if outline.name.chars().count() > long
            || optional(&outline.central_task) > long
            || optional(&outline.linked_to) > long
        {
            return unfit(format!("name, central_task, linked_to ≤ {long}"));
        }
        if outline.themes.len() > 4 || outline.themes.iter().any(|one| one.chars().count() > short)
        {
            return unfit(format!("themes ≤ 4, each ≤ {short}"));
        }
        let orgs: BTreeSet<&str> = round.targets.iter().map(|target| target.org.as_str()).collect();
        if orgs.len() < round.targets.len() {
            return Err(Code::ListedTwice.into());
        }
        if !self.rounds.contains_key(&outline.number) && self.rounds.len() >= ROUNDS {
            return unfit(format!("rounds ≤ {ROUNDS}"));
        }
        Ok(())
    }

    fn placed(&self, round: PlannedRound, context: &Context) -> Result<Vec<Event>, Refusal> {
        self.fits(&round)?;
        if self.rounds.get(&round.outline.number) == Some(&round) {
            return Ok(vec![]);
        }
        let by = context.actor.person.clone();
        let mut events = vec![Event::RoundPlaced { outline: round.outline.clone(), by }];
        events.extend(secret(round));
        Ok(events)
    }

    fn excuse(
        &self,
        key: &str,
        reason: &str,
        conflicts: &[Conflict],
        context: &Context,
    ) -> Result<Vec<Event>, Refusal> {
        another(&self.drafted_by, context)?;
        filled("reason", reason).map_err(|_| Code::ReasonRequired)?;
        let conflict = conflicts.iter().find(|conflict| conflict.key == key);
        let conflict = conflict.ok_or_else(|| Refusal::new(Code::ConflictAbsent).detail(key))?;
        if self.excused.get(key).is_some_and(|known| known == reason) {
            return Ok(vec![]);
        }
        let (conflict, reason) = (conflict.clone(), reason.to_owned());
        Ok(vec![Event::ConflictExcused { conflict, reason, by: context.actor.person.clone() }])
    }

    /// No plan is approved while a conflict stands that nobody has excused.
    fn clean(&self, conflicts: &[Conflict]) -> Result<(), Refusal> {
        let open: Vec<&str> = unexcused(conflicts, &self.excused).take(10).collect();
        if open.is_empty() {
            return Ok(());
        }
        Err(Refusal::new(Code::PlanConflicts).detail(open.join(" ")))
    }

    fn insert(
        &self,
        round: PlannedRound,
        (reason, document): (String, String),
        conflicts: &[Conflict],
        excuses: &BTreeMap<String, String>,
        context: &Context,
    ) -> Result<Vec<Event>, Refusal> {
        self.fits(&round)?;
        let number = &round.outline.number;
        if self.rounds.contains_key(number) {
            return Err(Refusal::new(Code::RoundExists).detail(number));
        }
        // What stood excused when the plan was approved stays so: only what the round brings.
        let brings = conflicts.iter().filter(|conflict| conflict.rounds.contains(number));
        let mut events = Vec::new();
        let mut open = Vec::new();
        for conflict in brings {
            match excuses.get(&conflict.key).filter(|reason| !reason.trim().is_empty()) {
                Some(reason) => events.push(Event::ConflictExcused {
                    conflict: conflict.clone(),
                    reason: reason.clone(),
                    by: context.actor.person.clone(),
                }),
                None => open.push(conflict.key.as_str()),
            }
        }
        if !open.is_empty() {
            open.truncate(10);
            return Err(Refusal::new(Code::PlanConflicts).detail(open.join(" ")));
        }
        let (outline, size) = (round.outline.clone(), round.size());
        let (year, on) = (self.year, context.day());
        events.push(Event::RoundInserted { year, outline, size, reason, document, on });
        events.extend(secret(round));
        Ok(events)
    }
}

/// What of a round stays at the office.
fn secret(round: PlannedRound) -> Vec<Event> {
    let number = round.outline.number;
    let mut slices = round.targets.chunks(SLICE).map(<[_]>::to_vec);
    let first = slices.next().unwrap_or_default();
    let mut events =
        vec![Event::TargetsSet { number: number.clone(), targets: first, more: false }];
    events.extend(slices.map(|targets| Event::TargetsSet {
        number: number.clone(),
        targets,
        more: true,
    }));
    events.push(Event::TeamsSet { number, teams: round.teams });
    events
}

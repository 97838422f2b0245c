//! What the conflict report of a plan is made from: its rounds, the other years' plans,
//! the rounds that run, what was fed back, and the rules that hold here.

use std::collections::{BTreeMap, BTreeSet};

use access::{Matter, Subject};
use domain::{
    annual_plan::{self, Conflict, Limits, Outline, PlannedRound, Rule, State},
    round::{Organisation, Reach, State as RoundState},
    target_list::Target,
};
use event_store::{Stop, Unit};
use kernel::{Class, Day, OfficeId};
use policy::{Packs, calendar};
use serde::Serialize;
use web::{Caller, Problem, Sight};

use super::view::{ANNUAL_PLANS, PlanRow, RoundInPlan};
use crate::{
    deadline_policies::{of_sight, of_unit as packs_of_unit},
    rounds::{ROUNDS, RoundRow, TASKS, TaskRow},
};

/// Everything that a report is made from.
struct Known {
    plans: Vec<(String, PlanRow)>,
    rounds: Vec<(String, RoundRow)>,
    tasks: Vec<(String, TaskRow)>,
    packs: Packs,
    today: Day,
    here: OfficeId,
}

/// A conflict as it is shown.
#[derive(Debug, Serialize)]
pub(super) struct Shown {
    #[serde(flatten)]
    conflict: Conflict,
    /// The row, and the pack or decision, that sets its limit.
    policy: Option<String>,
    /// Why it may stand.
    pub(super) excuse: Option<String>,
}

/// The conflicts of a plan now, with one more round or without.
pub(super) async fn of_unit(
    unit: &mut Unit<'_>,
    row: &PlanRow,
    with: Option<&PlannedRound>,
) -> Result<Vec<Conflict>, Stop> {
    let known = Known {
        plans: unit.rows(ANNUAL_PLANS, "").await?,
        rounds: unit.rows(ROUNDS, "").await?,
        tasks: unit.rows(TASKS, "").await?,
        packs: packs_of_unit(unit).await?,
        today: unit.context().day(),
        here: unit.here().office,
    };
    Ok(known.conflicts(row, with))
}

/// The conflicts of a plan at the moment that is looked at, as the caller may read them.
pub(super) async fn shown(
    seat: &Sight,
    caller: &Caller,
    row: &PlanRow,
) -> Result<Vec<Shown>, Problem> {
    let here = seat.office.setting().office.clone();
    if row.office.as_ref() != Some(&here) {
        return Ok(Vec::new());
    }
    let (packs, today) = (of_sight(seat).await?, seat.today());
    let mut reader = seat.reader().await?;
    let known = Known {
        plans: reader.all(ANNUAL_PLANS, "").await?,
        rounds: reader.all(ROUNDS, "").await?,
        tasks: reader.all(TASKS, "").await?,
        packs,
        today,
        here,
    };
    // Whole, as the rules know it: the caller's row lacks what is withheld.
    let whole = known.plans.iter().find(|(id, _)| *id == row.id).map(|(_, plan)| plan);
    let Some(whole) = whole else { return Ok(Vec::new()) };
    let reads = |org: &String| {
        let secret = Matter { own: true, ..Matter::of(Subject::Of(Class::K3)) };
        caller.reads(&Matter { unit: Some(org), ..secret })
    };
    let shown = |mut conflict: Conflict| {
        if conflict.rule != Rule::Person {
            conflict.about.retain(reads);
        }
        let policy = conflict.rule.policy().and_then(|key| {
            let ruling = known.packs.on(key, None, known.today)?;
            Some(format!("{key} {}", ruling.named()))
        });
        let excuse = whole.excuses.get(&conflict.key).cloned();
        Shown { conflict, policy, excuse }
    };
    Ok(known.conflicts(whole, None).into_iter().map(shown).collect())
}

impl Known {
    fn conflicts(&self, row: &PlanRow, with: Option<&PlannedRound>) -> Vec<Conflict> {
        let own: Vec<PlannedRound> = row.rounds.values().map(RoundInPlan::planned).collect();
        let plan: Vec<&PlannedRound> = own.iter().chain(with).collect();
        let numbers: BTreeSet<&str> =
            plan.iter().map(|round| round.outline.number.as_str()).collect();
        let mut beside = self.of_other_years(&row.id, &numbers);
        let planned: BTreeSet<String> =
            beside.iter().map(|round| round.outline.number.clone()).collect();
        let stands = |number: &str| numbers.contains(number) || planned.contains(number);
        let of: BTreeMap<&str, &RoundRow> =
            self.own_rounds().filter(|(number, _)| !stands(number)).collect();
        beside.extend(of.iter().filter_map(|(number, round)| self.running(number, round)));
        let ids: BTreeSet<&str> = of.values().map(|round| round.id.as_str()).collect();
        let fed_back: Vec<(String, Day)> = self
            .tasks
            .iter()
            .filter(|(_, task)| ids.contains(task.round.as_str()))
            .filter_map(|(_, task)| Some((task.task.target.clone(), task.fed_back?)))
            .collect();
        let amount = |key| {
            let ruling = self.packs.on(key, None, self.today);
            ruling.map_or(0, |ruling| u64::from(ruling.value.amount))
        };
        let rests = self.packs.on("plan.repeat", None, self.today).map(|ruling| ruling.value);
        let limits = Limits {
            live: amount("plan.live_rounds"),
            team_days: amount("plan.team_days"),
            themes: amount("plan.special_themes"),
            stay: longest_stay(&self.packs, self.today),
            rests_until: &|on| rests.and_then(|value| value.after(on)).unwrap_or(on),
        };
        annual_plan::conflicts(&plan, &beside, &fed_back, limits)
    }

    fn own_rounds(&self) -> impl Iterator<Item = (&str, &RoundRow)> {
        let own = self.rounds.iter().filter(|(_, round)| round.office.as_ref() == Some(&self.here));
        own.filter_map(|(_, round)| Some((round.plan.as_ref()?.number.as_str(), round)))
    }

    /// The rounds of this office's approved plans of other years; one that is over ended
    /// when it was fed back.
    fn of_other_years(&self, id: &str, numbers: &BTreeSet<&str>) -> Vec<PlannedRound> {
        let approved = self.plans.iter().filter(|(key, plan)| {
            let stands = matches!(plan.state, State::Approved | State::Closed);
            key != id && plan.office.as_ref() == Some(&self.here) && stands
        });
        let rounds = approved.flat_map(|(_, plan)| plan.rounds.values());
        let rounds = rounds.filter(|round| !numbers.contains(round.outline.number.as_str()));
        let ended = |number: &str| {
            let (_, round) = self.own_rounds().find(|(of, _)| *of == number)?;
            round.history.iter().find(|(state, _)| *state == RoundState::FedBack).map(|(_, on)| *on)
        };
        let as_it_was = |mut round: PlannedRound| {
            if let Some(on) = ended(&round.outline.number) {
                round.outline.feedback = on.max(round.outline.notice);
            }
            round
        };
        rounds.map(|round| as_it_was(round.planned())).collect()
    }

    /// A round that runs and stands in no plan: nobody has said when it ends, so it is taken
    /// to outlast every plan, for a term of five years from its last step.
    fn running(&self, number: &str, round: &RoundRow) -> Option<PlannedRound> {
        use RoundState::{Authorised, Entered, Heard, Withdrawn};
        if !matches!(round.state, Authorised | Entered | Withdrawn | Heard) {
            return None;
        }
        let plan = round.plan.as_ref()?;
        let (_, began) = round.history.iter().find(|(state, _)| *state == Authorised)?;
        let (_, since) = round.history.last()?;
        let end = calendar::months_after(*since, 60).max(self.today);
        let prefix = format!("{}/", round.id);
        let tasks = self.tasks.iter().filter(|(key, _)| key.starts_with(&prefix));
        let target =
            |task: &TaskRow| Target { org: task.task.target.clone(), level: task.task.level };
        let outline = Outline {
            number: number.to_owned(),
            name: plan.name.clone(),
            kind: plan.kind,
            organisation: Organisation::Own,
            reach: Reach::Direct,
            follow_up: plan.follow_up,
            linked_to: None,
            own_initiative: false,
            central_task: None,
            themes: Vec::new(),
            notice: *began,
            entry: *began,
            withdrawal: end,
            feedback: end,
        };
        let targets = tasks.map(|(_, task)| target(task)).collect();
        Some(PlannedRound { outline, targets, teams: Vec::new() })
    }
}

/// The longest stay of a special round, in days from any day.
fn longest_stay(packs: &Packs, today: Day) -> u64 {
    let ruling = packs.on("plan.special_days", None, today);
    let end = ruling.and_then(|ruling| ruling.value.after(today)).unwrap_or(today);
    end.days_after(today).unsigned_abs()
}

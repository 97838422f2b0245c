//! Annual plans as they are shown.

use std::collections::BTreeMap;

use access::{Matter, Subject};
use domain::{
    annual_plan::{Event, Outline, PlannedRound, Size, Sized, State},
    target_list::Target,
};
use event_store::{FoldError, Rows, View};
use kernel::{Aggregate, Class, Code, Day, Fact, OfficeId};
use serde::{Deserialize, Serialize};
use web::{Caller, Governed};

/// Annual plans by `office-year`.
pub const ANNUAL_PLANS: &str = "annual-plans";

/// A round of a plan as it is shown.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RoundInPlan {
    /// What and when.
    pub outline: Outline,
    /// How large.
    pub size: Size,
    /// Whom it inspects, of an own plan.
    pub targets: Vec<Target>,
    /// Its teams, of an own plan.
    pub teams: Vec<Vec<String>>,
    /// Whether it came to the plan after that was approved.
    pub inserted: bool,
}

impl RoundInPlan {
    fn of(Sized { outline, size }: Sized, inserted: bool) -> Self {
        Self { outline, size, targets: Vec::new(), teams: Vec::new(), inserted }
    }

    /// The same as the rules know it.
    pub(super) fn planned(&self) -> PlannedRound {
        let Self { outline, targets, teams, .. } = self.clone();
        PlannedRound { outline, targets, teams }
    }
}

/// A plan as it is shown.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct PlanRow {
    /// Its id.
    pub id: String,
    /// Whose it is.
    pub office: Option<OfficeId>,
    /// The calendar year.
    pub year: u16,
    /// Where it stands.
    pub state: State,
    /// Its rounds by their numbers.
    pub rounds: BTreeMap<String, RoundInPlan>,
    /// Why a conflict may stand, by its key; of an own plan.
    pub excuses: BTreeMap<String, String>,
    /// How many conflicts stood with a reason when it was approved.
    pub excused: u64,
    /// By which document, and when.
    pub approved: Option<(String, Day)>,
    /// The version, of an own plan.
    pub version: u64,
}

impl Governed for PlanRow {
    const VIEW: &'static str = ANNUAL_PLANS;
    const FAMILY: &'static str = "annual-plan";
    const ABSENT: Code = Code::PlanAbsent;

    fn matter(&self, here: &OfficeId) -> Matter<'_> {
        Matter { own: self.office.as_ref() == Some(here), ..Matter::of(Subject::Of(Class::K2)) }
    }

    /// Targets and teams are as secret as the next round, and no target is shown to whoever
    /// is kept from it.
    fn withhold(&mut self, caller: &Caller, here: &OfficeId) {
        let own = self.office.as_ref() == Some(here);
        let secret = Matter { own, ..Matter::of(Subject::Of(Class::K3)) };
        for round in self.rounds.values_mut() {
            round
                .targets
                .retain(|target| caller.reads(&Matter { unit: Some(&target.org), ..secret }));
        }
        if !caller.reads(&secret) {
            self.rounds.values_mut().for_each(|round| round.teams.clear());
            self.excuses.clear();
        }
    }

    fn possible(&self) -> &'static [&'static str] {
        match self.state {
            State::Drafted => &[
                "annual-plan.place",
                "annual-plan.remove",
                "annual-plan.excuse",
                "annual-plan.adopt",
            ],
            State::Adopted => &[
                "annual-plan.place",
                "annual-plan.remove",
                "annual-plan.excuse",
                "annual-plan.approve",
            ],
            State::Approved => &["annual-plan.insert", "annual-plan.close"],
            State::Closed | State::Absent => &[],
        }
    }
}

/// Folds the plans.
#[derive(Debug)]
pub struct AnnualPlansView;

impl View for AnnualPlansView {
    fn name(&self) -> &'static str {
        ANNUAL_PLANS
    }

    fn apply(&self, rows: &mut Rows<'_>, fact: &Fact) -> Result<(), FoldError> {
        if fact.family() != domain::annual_plan::AnnualPlan::FAMILY {
            return Ok(());
        }
        let Some((_, id)) = fact.stream.split_once('/') else { return Ok(()) };
        let event: Event = fact.read()?;
        rows.change(ANNUAL_PLANS, id, |row: &mut PlanRow| {
            id.clone_into(&mut row.id);
            row.office = Some(fact.at.origin.clone());
            row.version = fact.version.unwrap_or(row.version);
            fold(row, event);
        })
    }
}

fn fold(row: &mut PlanRow, event: Event) {
    match event {
        Event::Drafted { year, .. } => (row.year, row.state) = (year, State::Drafted),
        Event::RoundPlaced { outline, .. } => {
            row.state = State::Drafted;
            let number = outline.number.clone();
            let size = Size::default();
            row.rounds.insert(number, RoundInPlan::of(Sized { outline, size }, false));
        }
        Event::RoundInserted { year, outline, size, .. } => {
            row.year = year;
            let number = outline.number.clone();
            row.rounds.insert(number, RoundInPlan::of(Sized { outline, size }, true));
        }
        Event::TargetsSet { number, targets, more } => {
            if let Some(round) = row.rounds.get_mut(&number) {
                if !more {
                    round.targets.clear();
                }
                round.targets.extend(targets);
                round.size = round.planned().size();
            }
        }
        Event::TeamsSet { number, teams } => {
            if let Some(round) = row.rounds.get_mut(&number) {
                round.teams = teams;
                round.size = round.planned().size();
            }
        }
        Event::RoundRemoved { number } => {
            row.state = State::Drafted;
            row.rounds.remove(&number);
        }
        Event::ConflictExcused { conflict, reason, .. } => {
            row.excuses.insert(conflict.key, reason);
        }
        Event::Adopted { .. } => row.state = State::Adopted,
        Event::Approved { year, rounds, excused, document, on } => {
            (row.year, row.state, row.excused) = (year, State::Approved, excused);
            row.approved = Some((document, on));
            for sized in rounds {
                let number = sized.outline.number.clone();
                row.rounds.entry(number).or_insert_with(|| RoundInPlan::of(sized, false));
            }
        }
        Event::Closed { year, .. } => (row.year, row.state) = (year, State::Closed),
    }
}

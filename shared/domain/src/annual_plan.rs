//! 年度计划 Annual plan: the rounds of one year with their days, teams and targets
//! (`model.md` 3.2).
//!
//! ```text
//! drafted → adopted (领导小组) → approved (书记) → closed
//! ```
//! What is planned and when, is plan (K2). Which targets a round has and who is in its
//! teams is as secret as the next round (K3) and never leaves the office. A round that is
//! placed anew brings an adopted plan back to its draft.

mod conflicts;
mod decide;
mod said;

use std::collections::BTreeMap;

use kernel::{Aggregate, Code, Context, Day, Refusal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use said::Event;

use crate::{
    Level,
    round::{Kind, Organisation, Plan, Reach},
    target_list::Target,
};
pub use conflicts::{Conflict, Limits, Rule, conflicts};

/// The most rounds of one year.
pub const ROUNDS: usize = 24;
/// The most targets of one round.
pub const TARGETS: usize = 6000;
/// The most teams of one round.
pub const TEAMS: usize = 100;

/// Where a plan stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It does not exist.
    #[default]
    Absent,
    /// 拟订中
    Drafted,
    /// 领导小组已审议
    Adopted,
    /// 书记已批准
    Approved,
    /// 已结束
    Closed,
}

/// What a planned round is and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Outline {
    /// `committee code + term + serial`, e.g. `611024-T4-R07`.
    #[schemars(regex(pattern = r"^[A-Za-z0-9-]{1,40}$"))]
    pub number: String,
    /// What it is called; no target is named here.
    #[schemars(length(max = 100))]
    pub name: String,
    /// 常规, 专项 or 机动.
    pub kind: Kind,
    /// Who inspects whom.
    pub organisation: Organisation,
    /// How far it reaches.
    pub reach: Reach,
    /// 回头看
    #[serde(default)]
    pub follow_up: bool,
    /// The round of another office that it is linked with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 60))]
    pub linked_to: Option<String>,
    /// Whether the office began it by itself, not by an order from above.
    #[serde(default)]
    pub own_initiative: bool,
    /// The year's central task that it serves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 100))]
    pub central_task: Option<String>,
    /// The themes of a special round.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4))]
    pub themes: Vec<String>,
    /// 进驻通知
    pub notice: Day,
    /// 进驻
    pub entry: Day,
    /// 撤点
    pub withdrawal: Day,
    /// 反馈
    pub feedback: Day,
}

impl Outline {
    /// Whether a round is planned as it stands here.
    pub fn is_of(&self, plan: &Plan) -> bool {
        let own = (self.kind, self.organisation, self.reach, self.follow_up, &self.linked_to);
        own == (plan.kind, plan.organisation, plan.reach, plan.follow_up, &plan.linked_to)
    }
}

/// How large a planned round is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Size {
    /// 组
    pub teams: u64,
    /// Targets of the city's level.
    pub city: u64,
    /// Targets of the county's level.
    pub county: u64,
    /// Villages.
    pub village: u64,
}

/// A planned round whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedRound {
    /// What and when.
    pub outline: Outline,
    /// Whom it inspects.
    pub targets: Vec<Target>,
    /// Its teams, each the persons that are meant for it.
    pub teams: Vec<Vec<String>>,
}

impl PlannedRound {
    /// How large it is.
    pub fn size(&self) -> Size {
        let of = |level| self.targets.iter().filter(|target| target.level == level).count() as u64;
        let [city, county, village] = [Level::City, Level::County, Level::Village].map(of);
        Size { teams: self.teams.len() as u64, city, county, village }
    }
}

/// A round of a plan that went up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sized {
    /// What and when.
    pub outline: Outline,
    /// How large.
    pub size: Size,
}

/// What the rules need to know.
#[derive(Clone, Debug, Default)]
pub struct AnnualPlan {
    state: State,
    year: u16,
    drafted_by: String,
    rounds: BTreeMap<String, PlannedRound>,
    excused: BTreeMap<String, String>,
}

/// What may be asked.
#[derive(Clone, Debug)]
pub enum Command {
    /// 拟订
    Draft {
        /// The calendar year.
        year: u16,
    },
    /// 列入轮次, or change one
    Place(Box<PlannedRound>),
    /// 移出轮次
    Remove {
        /// Its number.
        number: String,
    },
    /// 说明冲突: it may stand, for a reason
    Excuse {
        /// The conflict's key.
        conflict: String,
        /// Why it may stand.
        reason: String,
        /// The conflicts as they are now.
        conflicts: Vec<Conflict>,
    },
    /// 领导小组审议
    Adopt {
        /// The meeting's record, by its number.
        document: String,
        /// The conflicts as they are now.
        conflicts: Vec<Conflict>,
    },
    /// 书记批准
    Approve {
        /// The document, by its number.
        document: String,
        /// The conflicts as they are now.
        conflicts: Vec<Conflict>,
    },
    /// 增加轮次 to a plan that is approved
    Insert {
        /// The round.
        round: Box<PlannedRound>,
        /// Why.
        reason: String,
        /// The decision, by its number.
        document: String,
        /// The conflicts with it as they would be.
        conflicts: Vec<Conflict>,
        /// Why each may stand, by its key.
        excuses: BTreeMap<String, String>,
    },
    /// 年度结束
    Close,
}

impl Aggregate for AnnualPlan {
    type Command = Command;
    type Event = Event;
    const FAMILY: &'static str = "annual-plan";

    fn name(event: &Event) -> &'static str {
        match event {
            Event::Drafted { .. } => "drafted",
            Event::RoundPlaced { .. } => "round-placed",
            Event::RoundInserted { .. } => "round-inserted",
            Event::TargetsSet { .. } => "targets-set",
            Event::TeamsSet { .. } => "teams-set",
            Event::RoundRemoved { .. } => "round-removed",
            Event::ConflictExcused { .. } => "conflict-excused",
            Event::Adopted { .. } => "adopted",
            Event::Approved { .. } => "approved",
            Event::Closed { .. } => "closed",
        }
    }

    fn decide(&self, command: Command, context: &Context) -> Result<Vec<Event>, Refusal> {
        self.decided(command, context)
    }

    fn evolve(&mut self, event: &Event) {
        match event {
            Event::Drafted { year, by } => {
                (self.state, self.year) = (State::Drafted, *year);
                self.drafted_by.clone_from(by);
            }
            Event::RoundPlaced { outline, .. } => {
                self.place(outline);
                self.state = State::Drafted;
            }
            Event::RoundInserted { outline, .. } => self.place(outline),
            Event::TargetsSet { number, targets, more } => {
                if let Some(round) = self.rounds.get_mut(number) {
                    if !more {
                        round.targets.clear();
                    }
                    round.targets.extend(targets.iter().cloned());
                }
            }
            Event::TeamsSet { number, teams } => {
                if let Some(round) = self.rounds.get_mut(number) {
                    round.teams.clone_from(teams);
                }
            }
            Event::RoundRemoved { number } => {
                self.rounds.remove(number);
                self.state = State::Drafted;
            }
            Event::ConflictExcused { conflict, reason, .. } => {
                self.excused.insert(conflict.key.clone(), reason.clone());
            }
            Event::Adopted { .. } => self.state = State::Adopted,
            Event::Approved { .. } => self.state = State::Approved,
            Event::Closed { .. } => self.state = State::Closed,
        }
    }
}

impl AnnualPlan {
    fn place(&mut self, outline: &Outline) {
        let (targets, teams) = (Vec::new(), Vec::new());
        let fresh = || PlannedRound { outline: outline.clone(), targets, teams };
        let round = self.rounds.entry(outline.number.clone()).or_insert_with(fresh);
        round.outline = outline.clone();
    }

    /// Its rounds, by their numbers.
    pub fn rounds(&self) -> impl Iterator<Item = &PlannedRound> {
        self.rounds.values()
    }

    /// Whether a round stands in it.
    pub fn has(&self, number: &str) -> bool {
        self.rounds.contains_key(number)
    }

    /// Whether the round may be planned by it: a plan that is not approved says nothing.
    pub fn admits(&self, plan: &Plan) -> Result<(), Refusal> {
        match self.rounds.get(&plan.number) {
            _ if self.state != State::Approved => Ok(()),
            Some(round) if round.outline.is_of(plan) => Ok(()),
            _ => Err(Refusal::new(Code::RoundNotInPlan).detail(&plan.number)),
        }
    }
}

#[cfg(test)]
mod tests;

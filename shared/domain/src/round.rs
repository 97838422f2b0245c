//! 轮次 Round: one batch of tasks with one number per committee.
//!
//! ```text
//! planned → prepared → authorised → entered → withdrawn → heard → fed-back → rectifying → archived
//! ```
//! The dimensions are independent: a special round may be linked, reach villages
//! through their towns and be a follow-up, all at once. Until entry everything
//! stays with the office (K3); from entry on the parent sees dates and counts.

mod decide;
mod dimension;

use std::collections::BTreeMap;

use kernel::{Aggregate, Code, Context, Day, OfficeId, Refusal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Level;

pub use dimension::{Kind, Organisation, Reach};

/// Where a round stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It does not exist.
    #[default]
    Absent,
    /// 已计划
    Planned,
    /// 已授权
    Authorised,
    /// 已进驻
    Entered,
    /// 已撤点
    Withdrawn,
    /// 书记专题会已听取
    Heard,
    /// 已反馈
    FedBack,
    /// 整改中
    Rectifying,
    /// 已归档
    Archived,
}

/// One task: a target, and for a village the town's task it hangs under.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTask {
    /// The task's id within the round.
    pub id: String,
    /// The inspected organization's id.
    pub target: String,
    /// Its name.
    pub name: String,
    /// Its level.
    pub level: Level,
    /// The town's task, for a village of a town-with-villages round.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// The office where the unit rectifies; none for a unit of this office.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit_office: Option<OfficeId>,
}

/// The plan of a round.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// `committee code + term + serial`, e.g. `611024-T4-R07`.
    #[schemars(regex(pattern = r"^[A-Za-z0-9-]{1,40}$"))]
    pub number: String,
    /// What it is called.
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
    pub linked_to: Option<String>,
    /// The offices of another place that it concerns.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub concerned: Vec<OfficeId>,
}

/// One task's progress.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Task {
    parent: Option<String>,
    entered: bool,
    withdrawn: bool,
    listed: bool,
    none_signed_by: Option<String>,
    fed_back: bool,
}

/// What the rules need to know.
#[derive(Clone, Debug, Default)]
pub struct Round {
    state: State,
    plan: Option<Plan>,
    planned_by: String,
    tasks: BTreeMap<String, Task>,
    /// On which day it came into its state.
    since: Option<Day>,
}

/// What may be asked.
#[derive(Clone, Debug)]
pub enum Command {
    /// 计划
    Plan(Plan),
    /// 分解任务
    DefineTasks(Vec<NewTask>),
    /// 授权
    Authorise,
    /// 进驻; no task named means all of them
    Enter(Vec<String>),
    /// 撤点; no task named means all of them
    Withdraw(Vec<String>),
    /// 形成单独问题清单
    IssueList {
        /// The task.
        task: String,
        /// How many findings the list holds.
        findings: u64,
    },
    /// 确认无问题, by two persons one after the other
    RecordNoFinding {
        /// The task.
        task: String,
    },
    /// 书记专题会听取
    Hear,
    /// 反馈
    DeliverFeedback {
        /// The task.
        task: String,
        /// How many findings are fed back.
        findings: u64,
    },
    /// 归档
    Archive {
        /// How many of its findings are still open.
        open_findings: u64,
    },
}

/// What can happen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Event {
    /// It was planned.
    Planned {
        /// The plan.
        plan: Plan,
        /// Who planned it.
        by: String,
    },
    /// Its tasks were defined.
    TasksDefined {
        /// The tasks.
        tasks: Vec<NewTask>,
    },
    /// The secretary authorised it.
    Authorised {
        /// The round's number.
        number: String,
        /// On which day.
        on: Day,
    },
    /// Teams entered. From here on the parent sees the round.
    Entered {
        /// The plan, without targets.
        plan: Plan,
        /// The tasks entered now.
        tasks: Vec<String>,
        /// How many tasks the round has.
        of: u64,
        /// On which day.
        on: Day,
    },
    /// Teams withdrew.
    Withdrawn {
        /// The tasks withdrawn now.
        tasks: Vec<String>,
        /// Whether these were the last.
        last: bool,
        /// On which day.
        on: Day,
    },
    /// A task's own list was issued.
    ListIssued {
        /// The task.
        task: String,
        /// How many findings it holds.
        findings: u64,
    },
    /// The first of two signatures that nothing was found.
    NoFindingSigned {
        /// The task.
        task: String,
        /// Who signed.
        by: String,
    },
    /// Two persons signed that nothing was found.
    NoFindingRecorded {
        /// The task.
        task: String,
        /// Who signed second.
        by: String,
    },
    /// The secretary's meeting heard it.
    Heard {
        /// The round's number.
        number: String,
        /// On which day.
        on: Day,
    },
    /// A task's list was fed back.
    FeedbackDelivered {
        /// The task.
        task: String,
        /// How many findings.
        findings: u64,
        /// On which day.
        on: Day,
    },
    /// Every task was fed back.
    FedBack {
        /// The round's number.
        number: String,
        /// On which day.
        on: Day,
    },
    /// Rectification began.
    RectificationOpened {
        /// The round's number.
        number: String,
    },
    /// It is closed.
    Archived {
        /// The round's number.
        number: String,
        /// On which day.
        on: Day,
    },
}

impl Aggregate for Round {
    type Command = Command;
    type Event = Event;
    const FAMILY: &'static str = "round";

    fn name(event: &Event) -> &'static str {
        match event {
            Event::Planned { .. } => "planned",
            Event::TasksDefined { .. } => "tasks-defined",
            Event::Authorised { .. } => "authorised",
            Event::Entered { .. } => "entered",
            Event::Withdrawn { .. } => "withdrawn",
            Event::ListIssued { .. } => "list-issued",
            Event::NoFindingSigned { .. } => "no-finding-signed",
            Event::NoFindingRecorded { .. } => "no-finding-recorded",
            Event::Heard { .. } => "heard",
            Event::FeedbackDelivered { .. } => "feedback-delivered",
            Event::FedBack { .. } => "fed-back",
            Event::RectificationOpened { .. } => "rectification-opened",
            Event::Archived { .. } => "archived",
        }
    }

    fn decide(&self, command: Command, context: &Context) -> Result<Vec<Event>, Refusal> {
        let events = self.decided(command, context)?;
        match self.since.filter(|since| context.day() < *since && !events.is_empty()) {
            Some(since) => Err(Refusal::new(Code::BadField).detail(format!("Act-Date: {since} …"))),
            None => Ok(events),
        }
    }

    fn evolve(&mut self, event: &Event) {
        let before = self.state;
        self.take(event);
        if self.state != before {
            self.since = event.on().or(self.since);
        }
    }

    fn addressees(event: &Event) -> Vec<OfficeId> {
        match event {
            Event::Entered { plan, .. } => plan.concerned.clone(),
            _ => Vec::new(),
        }
    }
}

impl Event {
    /// The day of the act, if it has one.
    const fn on(&self) -> Option<Day> {
        match self {
            Self::Authorised { on, .. }
            | Self::Entered { on, .. }
            | Self::Withdrawn { on, .. }
            | Self::Heard { on, .. }
            | Self::FeedbackDelivered { on, .. }
            | Self::FedBack { on, .. }
            | Self::Archived { on, .. } => Some(*on),
            _ => None,
        }
    }
}

impl Round {
    fn take(&mut self, event: &Event) {
        match event {
            Event::Planned { plan, by } => {
                self.plan = Some(plan.clone());
                self.planned_by.clone_from(by);
                self.state = State::Planned;
            }
            Event::TasksDefined { tasks } => {
                let new = tasks.iter().map(|task| {
                    (task.id.clone(), Task { parent: task.parent.clone(), ..Task::default() })
                });
                self.tasks.extend(new);
            }
            Event::Authorised { .. } => self.state = State::Authorised,
            Event::Entered { tasks, .. } => {
                self.each(tasks, |task| task.entered = true);
                self.state = State::Entered;
            }
            Event::Withdrawn { tasks, last, .. } => {
                self.each(tasks, |task| task.withdrawn = true);
                if *last {
                    self.state = State::Withdrawn;
                }
            }
            Event::ListIssued { task, .. } | Event::NoFindingRecorded { task, .. } => {
                self.one(task, |task| task.listed = true);
            }
            Event::NoFindingSigned { task, by } => {
                self.one(task, |task| task.none_signed_by = Some(by.clone()));
            }
            Event::Heard { .. } => self.state = State::Heard,
            Event::FeedbackDelivered { task, .. } => self.one(task, |task| task.fed_back = true),
            Event::FedBack { .. } => self.state = State::FedBack,
            Event::RectificationOpened { .. } => self.state = State::Rectifying,
            Event::Archived { .. } => self.state = State::Archived,
        }
    }
}

impl Round {
    /// Where it stands.
    pub const fn state(&self) -> State {
        self.state
    }

    /// The plan, once there is one.
    pub const fn plan(&self) -> Option<&Plan> {
        self.plan.as_ref()
    }

    /// Whether the round has this task.
    pub fn has_task(&self, task: &str) -> bool {
        self.tasks.contains_key(task)
    }

    fn each(&mut self, tasks: &[String], change: impl Fn(&mut Task)) {
        for task in tasks {
            self.one(task, &change);
        }
    }

    fn one(&mut self, task: &str, change: impl FnOnce(&mut Task)) {
        if let Some(task) = self.tasks.get_mut(task) {
            change(task);
        }
    }
}

#[cfg(test)]
mod tests;

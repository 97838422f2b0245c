//! Rounds and tasks as they are shown; coverage is counted at the first feedback.

use access::{Matter, Subject};
use domain::round::{Event, NewTask, Plan, State as RoundState};
use event_store::{FoldError, Rows, View};
use kernel::{Class, Code, Day, Fact, OfficeId};
use serde::{Deserialize, Serialize};
use web::{Caller, Governed};

use super::{ROUNDS, TASKS};
use crate::{results::TALLY, targets};

/// A round as it is shown.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct RoundRow {
    /// Its id.
    pub id: String,
    /// Whose it is.
    pub office: Option<OfficeId>,
    /// The plan.
    pub plan: Option<Plan>,
    /// Where it stands.
    pub state: RoundState,
    /// How many tasks.
    pub tasks: u64,
    /// When each state began.
    pub history: Vec<(RoundState, Day)>,
    /// The version, of an own round.
    pub version: u64,
    /// Findings still open, of an own round; for those who may read them. From sums of
    /// single rounds anybody could reckon a small one.
    pub open_findings: Option<u64>,
}

/// A task as it is shown.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TaskRow {
    /// The round.
    pub round: String,
    /// The task.
    pub task: NewTask,
    /// Whether the team is there.
    pub entered: bool,
    /// Whether it has withdrawn.
    pub withdrawn: bool,
    /// Findings on the list; none while there is no list.
    pub listed: Option<u64>,
    /// When it was fed back.
    pub fed_back: Option<Day>,
}

impl Governed for RoundRow {
    const VIEW: &'static str = ROUNDS;
    const FAMILY: &'static str = "round";
    const ABSENT: Code = Code::RoundAbsent;

    /// Secret until entry, then its dates and counts are plan.
    fn matter(&self, here: &OfficeId) -> Matter<'_> {
        use RoundState::{Absent, Authorised, Planned};
        let secret = matches!(self.state, Absent | Planned | Authorised);
        Matter {
            own: self.office.as_ref() == Some(here),
            round: Some(&self.id),
            ..Matter::of(Subject::Of(if secret { Class::K3 } else { Class::K2 }))
        }
    }

    fn withhold(&mut self, caller: &Caller, here: &OfficeId) {
        let findings = Matter { subject: Subject::Of(Class::K9), ..self.matter(here) };
        self.open_findings = self.open_findings.filter(|_| caller.reads(&findings));
    }

    fn possible(&self) -> &'static [&'static str] {
        match self.state {
            RoundState::Planned => &["round.tasks", "round.authorise"],
            RoundState::Authorised => &["round.enter"],
            RoundState::Entered => &["round.withdraw", "round.list"],
            RoundState::Withdrawn => &["round.list", "round.hear"],
            RoundState::Heard => &["round.feedback"],
            RoundState::FedBack | RoundState::Rectifying => &["round.archive"],
            RoundState::Archived | RoundState::Absent => &[],
        }
    }
}

impl TaskRow {
    /// A task is as secret as the next round until its own team has entered.
    pub(crate) fn matter<'a>(&'a self, round: &'a RoundRow, here: &OfficeId) -> Matter<'a> {
        let (task, unit) = (Some(self.task.id.as_str()), Some(self.task.target.as_str()));
        let class = if self.entered { Class::K2 } else { Class::K3 };
        Matter { subject: Subject::Of(class), task, unit, ..round.matter(here) }
    }

    /// How many findings a list has, is for those who may read it, and once it is fed back
    /// for those who may read findings.
    pub(super) fn shown(mut self, caller: &Caller, round: &RoundRow, here: &OfficeId) -> Self {
        let list = Matter { subject: Subject::Of(Class::K8), ..self.matter(round, here) };
        let findings = Matter { subject: Subject::Of(Class::K9), ..list };
        let fed_back = self.fed_back.is_some() && caller.reads(&findings);
        let knows = fed_back || caller.reads(&list);
        self.listed = self.listed.filter(|_| knows);
        self
    }
}

/// Folds rounds, tasks and coverage.
#[derive(Debug)]
pub struct RoundsView;

impl View for RoundsView {
    fn name(&self) -> &'static str {
        ROUNDS
    }

    fn schema(&self) -> &'static str {
        "2"
    }

    fn apply(&self, rows: &mut Rows<'_>, fact: &Fact) -> Result<(), FoldError> {
        if fact.family() != "round" {
            return Ok(());
        }
        let Some((_, id)) = fact.stream.split_once('/') else { return Ok(()) };
        let event: Event = fact.read()?;
        each_task(rows, id, &event)?;
        rows.change(ROUNDS, id, |row: &mut RoundRow| {
            id.clone_into(&mut row.id);
            row.office = Some(fact.at.origin.clone());
            row.version = fact.version.unwrap_or(row.version);
            let day = fact.act_date.unwrap_or_else(|| fact.recorded.day());
            let before = row.state;
            match &event {
                Event::Planned { plan, .. } => {
                    row.plan = Some(plan.clone());
                    row.state = RoundState::Planned;
                }
                Event::TasksDefined { tasks } => row.tasks += tasks.len() as u64,
                Event::Authorised { .. } => row.state = RoundState::Authorised,
                Event::Entered { plan, of, .. } => {
                    row.plan = Some(plan.clone());
                    row.tasks = *of;
                    row.state = RoundState::Entered;
                }
                Event::Withdrawn { last: true, .. } => row.state = RoundState::Withdrawn,
                Event::Heard { .. } => row.state = RoundState::Heard,
                Event::FedBack { .. } => row.state = RoundState::FedBack,
                Event::RectificationOpened { .. } => row.state = RoundState::Rectifying,
                Event::Archived { .. } => row.state = RoundState::Archived,
                _ => {}
            }
            if row.state != before {
                row.history.push((row.state, day));
            }
        })
    }
}

fn each_task(rows: &mut Rows<'_>, round: &str, event: &Event) -> Result<(), FoldError> {
    let key = |task: &str| format!("{round}/{task}");
    let mut change = |task: &str, with: &dyn Fn(&mut TaskRow)| {
        if let Some(mut row) = rows.get::<TaskRow>(TASKS, &key(task))? {
            with(&mut row);
            rows.put(TASKS, &key(task), &row)?;
        }
        Ok::<(), FoldError>(())
    };
    match event {
        Event::TasksDefined { tasks } => {
            for task in tasks {
                let row = TaskRow {
                    round: round.to_owned(),
                    task: task.clone(),
                    entered: false,
                    withdrawn: false,
                    listed: None,
                    fed_back: None,
                };
                rows.put(TASKS, &key(&task.id), &row)?;
            }
            Ok(())
        }
        Event::Entered { tasks, .. } => {
            tasks.iter().try_for_each(|task| change(task, &|row| row.entered = true))
        }
        Event::Withdrawn { tasks, .. } => {
            tasks.iter().try_for_each(|task| change(task, &|row| row.withdrawn = true))
        }
        Event::ListIssued { task, findings } => change(task, &|row| row.listed = Some(*findings)),
        Event::NoFindingRecorded { task, .. } => change(task, &|row| row.listed = Some(0)),
        Event::FeedbackDelivered { task, on, .. } => {
            change(task, &|row| row.fed_back = Some(*on))?;
            let Some(row) = rows.get::<TaskRow>(TASKS, &key(task))? else { return Ok(()) };
            if targets::cover(rows, &row.task, *on)? {
                let round: RoundRow = rows.get(ROUNDS, round)?.unwrap_or_default();
                let number = round.plan.map(|plan| plan.number).unwrap_or_default();
                let tally = format!("{}/{number}", row.task.level.as_str());
                rows.change(TALLY, &tally, |c: &mut domain::figures::Counts| c.inspected += 1)?;
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

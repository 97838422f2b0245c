//! 整改 Rectification: what the inspected unit's office does about one finding.
//!
//! ```text
//! opened → (measures planned) → completed
//!    ▲                              │
//!    └────────── reopened ◀─────────┘
//! ```
//! It opens by itself when the feedback arrives, and quotes the feedback's entry.

use kernel::{Aggregate, Code, Context, Day, EntryRef, OfficeId, Refusal};
use serde::{Deserialize, Serialize};

use crate::{Level, filled};

/// Where a rectification stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It does not exist.
    #[default]
    Absent,
    /// 整改中
    Opened,
    /// 已完成整改
    Completed,
}

/// What the rules need to know.
#[derive(Clone, Debug, Default)]
pub struct Rectification {
    state: State,
    measures: u32,
    finding: String,
    team_office: Option<OfficeId>,
}

/// The finding, as it was fed back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Opening {
    /// The finding's id.
    pub finding: String,
    /// The feedback's entry.
    pub feedback: EntryRef,
    /// The team's office.
    pub team_office: OfficeId,
    /// The round's number.
    pub round_number: String,
    /// The inspected organization.
    pub target: String,
    /// Its level.
    pub level: Level,
    /// One line.
    pub title: String,
    /// The end of the concentrated period.
    pub due: Day,
}

/// What may be asked.
#[derive(Clone, Debug)]
pub enum Command {
    /// The feedback arrived.
    Open(Opening),
    /// 制定措施
    PlanMeasure {
        /// What will be done.
        text: String,
        /// Until when.
        due: Day,
        /// The responsible post.
        responsible: String,
    },
    /// 报告完成
    Complete {
        /// What was done.
        report: String,
    },
    /// The team's office sent it back.
    Reopen {
        /// Why.
        reason: String,
    },
}

/// What can happen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Event {
    /// It opened.
    Opened {
        /// The finding.
        opening: Opening,
    },
    /// A measure was planned.
    MeasurePlanned {
        /// Its number, from 1.
        number: u32,
        /// What will be done.
        text: String,
        /// Until when.
        due: Day,
        /// The responsible post.
        responsible: String,
        /// The finding.
        finding: String,
        /// The team's office.
        team_office: OfficeId,
    },
    /// The unit reported it rectified.
    Completed {
        /// What was done.
        report: String,
        /// The finding.
        finding: String,
        /// The team's office.
        team_office: OfficeId,
        /// Who reported.
        by: String,
    },
    /// It must be done again.
    Reopened {
        /// Why.
        reason: String,
    },
}

impl Aggregate for Rectification {
    type Command = Command;
    type Event = Event;
    const FAMILY: &'static str = "rectification";

    fn name(event: &Event) -> &'static str {
        match event {
            Event::Opened { .. } => "opened",
            Event::MeasurePlanned { .. } => "measure-planned",
            Event::Completed { .. } => "completed",
            Event::Reopened { .. } => "reopened",
        }
    }

    fn decide(&self, command: Command, context: &Context) -> Result<Vec<Event>, Refusal> {
        match (self.state, command) {
            (State::Absent, Command::Open(opening)) => Ok(vec![Event::Opened { opening }]),
            (State::Absent, _) => Err(Code::RectificationAbsent.into()),
            (_, Command::Open(_)) | (State::Opened, Command::Reopen { .. }) => Ok(vec![]),
            (State::Opened, Command::PlanMeasure { text, due, responsible }) => {
                filled("text", &text)?;
                filled("responsible", &responsible)?;
                if due < context.day() {
                    return Err(Refusal::new(Code::BadField).detail("due: in the past"));
                }
                Ok(vec![Event::MeasurePlanned {
                    number: self.measures + 1,
                    text,
                    due,
                    responsible,
                    finding: self.finding.clone(),
                    team_office: self.team()?,
                }])
            }
            (State::Opened, Command::Complete { report }) => {
                filled("report", &report)?;
                if self.measures == 0 {
                    return Err(Code::NoMeasure.into());
                }
                Ok(vec![Event::Completed {
                    report,
                    finding: self.finding.clone(),
                    team_office: self.team()?,
                    by: context.actor.person.clone(),
                }])
            }
            (State::Completed, Command::Reopen { reason }) => Ok(vec![Event::Reopened { reason }]),
            (State::Completed, _) => Err(Code::WrongState.into()),
        }
    }

    fn evolve(&mut self, event: &Event) {
        self.state = match event {
            Event::Opened { opening } => {
                self.finding.clone_from(&opening.finding);
                self.team_office = Some(opening.team_office.clone());
                State::Opened
            }
            Event::MeasurePlanned { number, .. } => {
                self.measures = *number;
                State::Opened
            }
            Event::Completed { .. } => State::Completed,
            Event::Reopened { .. } => State::Opened,
        };
    }

    fn addressees(event: &Event) -> Vec<OfficeId> {
        match event {
            Event::MeasurePlanned { team_office, .. } | Event::Completed { team_office, .. } => {
                vec![team_office.clone()]
            }
            _ => Vec::new(),
        }
    }
}

impl Rectification {
    fn team(&self) -> Result<OfficeId, Refusal> {
        self.team_office.clone().ok_or_else(|| Code::RectificationAbsent.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use testkit::given;

    fn opened() -> Event {
        Event::Opened {
            opening: Opening {
                finding: "dddddddd-f1".into(),
                feedback: EntryRef::parse("dddddddd/1/9").unwrap(),
                team_office: OfficeId::parse("dddddddd").unwrap(),
                round_number: "R1".into(),
                target: "o1".into(),
                level: Level::Village,
                title: "集体资产台账不全".into(),
                due: Day::parse("2024-06-01").unwrap(),
            },
        }
    }

    #[test]
    fn nothing_is_complete_without_a_measure() {
        let complete = Command::Complete { report: "已补登".into() };
        given::<Rectification>([opened()]).when(complete).then_refused(Code::NoMeasure);
    }

    #[test]
    fn feedback_that_arrives_twice_opens_once() {
        let Event::Opened { opening } = opened() else { unreachable!() };
        given::<Rectification>([opened()]).when(Command::Open(opening)).then([]);
    }
}

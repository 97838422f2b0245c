//! 线索数据 Clue figures: what a district lets the city count of its clues.
//!
//! Sums of a level, as trends and never as quotas; no clue is in them (`model.md` 2.4,
//! rule 5). One clue is one object group: three persons are one clue and three persons.

use kernel::{Aggregate, Context, Refusal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Level;

/// The last figures of one level.
#[derive(Clone, Debug, Default)]
pub struct ClueFigures(Option<ClueCounts>);

/// The counts of one level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClueCounts {
    /// 移交线索: clues handed over.
    pub clues: u64,
    /// 办结: of them closed.
    pub clues_closed: u64,
    /// 立案: cases.
    pub cases: u64,
    /// 处分: persons.
    pub disciplined: u64,
    /// 移送司法: persons.
    pub transferred: u64,
}

impl ClueCounts {
    /// Adds others.
    pub fn add(&mut self, other: Self) {
        self.clues += other.clues;
        self.clues_closed += other.clues_closed;
        self.cases += other.cases;
        self.disciplined += other.disciplined;
        self.transferred += other.transferred;
    }
}

/// Reports the counts.
#[derive(Clone, Copy, Debug)]
pub struct Report {
    /// The level.
    pub level: Level,
    /// The counts now.
    pub counts: ClueCounts,
}

/// What can happen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Event {
    /// The counts were reported.
    Reported {
        /// The level.
        level: Level,
        /// The counts.
        counts: ClueCounts,
    },
}

impl Aggregate for ClueFigures {
    type Command = Report;
    type Event = Event;
    const FAMILY: &'static str = "clue-figures";

    fn name(_: &Event) -> &'static str {
        "reported"
    }

    fn decide(&self, Report { level, counts }: Report, _: &Context) -> Result<Vec<Event>, Refusal> {
        if self.0.unwrap_or_default() == counts {
            return Ok(vec![]);
        }
        Ok(vec![Event::Reported { level, counts }])
    }

    fn evolve(&mut self, event: &Event) {
        let Event::Reported { counts, .. } = event;
        self.0 = Some(*counts);
    }
}

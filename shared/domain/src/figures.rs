//! Periodic figures: what a district lets the city count.
//!
//! The district's own view derives them from its finding streams; the city sees
//! the numbers of a round and level, never the findings.

use kernel::{Aggregate, Context, Refusal};
use serde::{Deserialize, Serialize};

use crate::Level;

/// The last figures of one round and level.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures(Option<Counts>);

/// The counts of one round and level; with an empty round, the coverage of the
/// whole list by level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// Targets on the list in force (of the whole list only).
    pub targets: u64,
    /// Targets to which feedback was delivered, each once.
    pub inspected: u64,
    /// Findings fed back.
    pub found: u64,
    /// Of them rectified.
    pub rectified: u64,
}

/// Reports the counts.
#[derive(Clone, Debug)]
pub struct Report {
    /// The round's number, or nothing for the whole list.
    pub round_number: String,
    /// The level.
    pub level: Level,
    /// The counts now.
    pub counts: Counts,
}

/// What can happen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Event {
    /// The counts were reported.
    Reported {
        /// The round's number, or nothing for the whole list.
        round_number: String,
        /// The level.
        level: Level,
        /// The counts.
        counts: Counts,
    },
}

impl Aggregate for Figures {
    type Command = Report;
    type Event = Event;
    const FAMILY: &'static str = "figures";

    fn name(_: &Event) -> &'static str {
        "reported"
    }

    fn decide(&self, command: Report, _: &Context) -> Result<Vec<Event>, Refusal> {
        let Report { round_number, level, counts } = command;
        if self.0 == Some(counts) {
            return Ok(vec![]);
        }
        Ok(vec![Event::Reported { round_number, level, counts }])
    }

    fn evolve(&mut self, event: &Event) {
        let Event::Reported { counts, .. } = event;
        self.0 = Some(*counts);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use testkit::given;

    #[test]
    fn unchanged_counts_are_not_reported_again() {
        let counts = Counts { targets: 0, inspected: 1, found: 3, rectified: 2 };
        let report = Report { round_number: "R1".into(), level: Level::County, counts };
        let reported = Event::Reported { round_number: "R1".into(), level: Level::County, counts };
        given::<Figures>([]).when(report.clone()).then([reported.clone()]);
        given::<Figures>([reported]).when(report).then([]);
    }
}

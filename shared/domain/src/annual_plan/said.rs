//! What can happen to an annual plan.

use kernel::Day;
use serde::{Deserialize, Serialize};

use super::{Conflict, Outline, Size, Sized};
use crate::target_list::Target;

/// What can happen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Event {
    /// A year's plan was begun.
    Drafted {
        /// The calendar year.
        year: u16,
        /// By whom.
        by: String,
    },
    /// A round was placed, or placed anew.
    RoundPlaced {
        /// What and when.
        outline: Outline,
        /// By whom.
        by: String,
    },
    /// A round was added to a plan that was approved.
    RoundInserted {
        /// The calendar year.
        year: u16,
        /// What and when.
        outline: Outline,
        /// How large.
        size: Size,
        /// Why.
        reason: String,
        /// The decision.
        document: String,
        /// On which day.
        on: Day,
    },
    /// Whom a round inspects; a long list makes several entries at once.
    TargetsSet {
        /// The round's number.
        number: String,
        /// The targets.
        targets: Vec<Target>,
        /// Whether they come to those said just before.
        more: bool,
    },
    /// Who is meant for the teams of a round.
    TeamsSet {
        /// The round's number.
        number: String,
        /// The persons of each team.
        teams: Vec<Vec<String>>,
    },
    /// A round was taken out.
    RoundRemoved {
        /// Its number.
        number: String,
    },
    /// A conflict may stand, as it was then.
    ConflictExcused {
        /// The conflict.
        conflict: Conflict,
        /// Why.
        reason: String,
        /// By whom.
        by: String,
    },
    /// The leading group adopted it.
    Adopted {
        /// The meeting's record.
        document: String,
        /// On which day.
        on: Day,
    },
    /// The secretary approved it; the office above hears what it is.
    Approved {
        /// The calendar year.
        year: u16,
        /// Its rounds.
        rounds: Vec<Sized>,
        /// How many conflicts stand with a reason.
        excused: u64,
        /// The document.
        document: String,
        /// On which day.
        on: Day,
    },
    /// The year is over.
    Closed {
        /// The calendar year.
        year: u16,
        /// On which day.
        on: Day,
    },
}

//! Dated policy: the deadlines' pack, what offices decided otherwise, and the work calendar.
//!
//! Every deadline says the row, the decision or default, the calendar and the day from which
//! it runs, so that it can be computed again from the log. A row that is our proposal
//! reminds; it never ranks or reddens until an office has decided it.
//!
//! ```text
//! packs/default-2026.1.tsv    what is found and proposed, a row a deadline (model.md 3.20)
//! calendars/cn-2026.1.tsv     days off, and days that are worked instead
//! decision                    an office decides a row, dated, for a tier and a mode
//! packs                       what holds: own decisions, the parent's, the city's, the default
//! ```

pub mod calendar;
mod decision;
mod pack;
mod packs;
mod value;

pub use decision::{Ask, DeadlinePolicy, Decision, Event, Mode, Scope};
pub use pack::{Mark, Row, VERSION, row, rows};
pub use packs::{Due, Packs, Ruling, Warning};
pub use value::{Unit, Value};

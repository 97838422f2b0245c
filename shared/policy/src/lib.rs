//! Dated policy: the work calendar and the deadlines that follow from it.
//!
//! Every deadline names the policy row and the calendar version that made it,
//! so that it can be computed again from the log. A row that is our proposal
//! reminds; it never ranks or reddens until an office confirms it.

pub mod calendar;
pub mod deadline;

pub use deadline::{Deadline, Mark, POLICY_VERSION, due};

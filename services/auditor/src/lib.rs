//! 核验员 The auditor's program: takes a log out of an office, proves without the office that
//! nobody changed it, and shows what each office knew when.
//!
//! What a reader would get wrong: an export proves itself only against keys and heads that
//! the auditor has from elsewhere. What was not pinned is said to be unchecked.

mod across;
pub mod differ;
pub mod export;
pub mod forms;
pub mod history;
mod kept;
mod logs;
pub mod prove;
pub mod replay;
pub mod report;
pub mod standing;
mod tiles;
pub mod trace;
pub mod verify;
mod walk;
pub mod witness;

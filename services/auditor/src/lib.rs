//! 核验员 The auditor's program: takes a log out of an office, and proves without the office
//! that nobody changed it.
//!
//! What a reader would get wrong: an export proves itself only against keys and heads that
//! the auditor has from elsewhere. What was not pinned is said to be unchecked.

mod across;
pub mod export;
pub mod forms;
mod logs;
pub mod prove;
pub mod verify;
mod walk;

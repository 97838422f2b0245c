//! What breaks under an office, and what must hold then: a killed process, a
//! disk that answers with errors, a power cut, a full disk.
//!
//! An *office* (`crash-office`) runs a fixed script of commands on the real
//! store and prints a line for each answer; a rig breaks something under it;
//! the *audit* then opens what is left and asks every command again. What a
//! reader would get wrong: an answer that was given counts only from the moment
//! its line was read; what was applied but never answered is no fault, as long
//! as asking again gives one answer and no second effect.

pub mod audit;
pub mod cuts;
pub mod points;
pub mod program;
pub mod recorder;
pub mod script;
pub mod seeded;
pub mod server;
pub mod tally;

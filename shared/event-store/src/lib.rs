//! The store of one office: one writer, one log, its views.
//!
//! Everything that changes goes through the [`writer`]: it runs many commands
//! in one transaction and answers after the commit. What a reader would get
//! wrong: within a batch the database knows nothing yet. Sequences, lane
//! counters, stream versions and view rows live in memory until the one flush,
//! and are dropped with the signed bytes if that flush fails.

mod answers;
mod backfill;
mod batch;
mod check;
pub mod db;
mod flush;
mod fold;
mod folding;
pub mod intake;
mod kept;
mod lives;
pub mod log;
mod memory;
mod office;
mod opened;
pub mod past;
mod reaction;
mod readers;
mod rebuild;
mod recovery;
mod replay;
mod rows;
mod served;
mod setting;
mod snapshots;
mod unit;
mod writer;

pub use answers::{Answer, Idempotency};
pub use backfill::Backfilled;
pub use check::Difference;
pub use db::{Engine, StoreError};
pub use office::{Condition, Life, Office, Outcome};
pub use past::{Past, Projections};
pub use reaction::Reaction;
pub use readers::{Reader, Readers};
pub use rebuild::Progress;
pub use rows::{FoldError, Rows, View};
pub use served::schema as schema_of;
pub use setting::{Setting, Standpoint};
pub use unit::{Act, Done, Incoming, LaneHead, Stop, Unit, act};

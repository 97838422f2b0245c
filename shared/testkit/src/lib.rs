//! What tests share: stores of both engines, offices, given/when/then.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "in a test, a panic is the report")]
#![expect(clippy::disallowed_methods, reason = "tests read their servers from the environment")]

mod given;
mod stores;

pub use given::{context, given};
pub use stores::{TestStore, office_id, setting};

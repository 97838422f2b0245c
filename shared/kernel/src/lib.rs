//! The words every tier shares: offices, audiences, entries, clocks, refusals.
//!
//! Nothing here waits, stores or sends. Bytes are made once, by [`entry`], and
//! are never made again from a parsed form: whoever forwards an entry forwards
//! the bytes that it received.

pub mod audience;
pub mod binding;
pub mod carried;
pub mod clock;
pub mod decider;
pub mod entropy;
pub mod entry;
pub mod fact;
pub mod id;
pub mod note;
pub mod refusal;
mod schema;
pub mod sealed;
pub mod sign;
mod spelled;

pub use audience::{Audience, Lane, Root};
pub use binding::{Binding, Bindings, Class};
pub use clock::{Clock, Day, Timestamp};
pub use decider::{Actor, Aggregate, Context, Turn};
pub use entropy::Entropy;
pub use fact::Fact;
pub use id::{EntryRef, OfficeId, Tier};
pub use refusal::{Code, Refusal};

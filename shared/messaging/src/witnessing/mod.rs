//! 账本与见证 The tree over the own log, its signed heads, and whoever cosigns them.
//!
//! ```text
//! log ──read back──▶ scribe ──checkpoint──▶ at.cp.<origin>.<witness> ──▶ witness
//!                      ▲                                                    │ its own state,
//!                      └────────── at.cs.<origin>.<witness> ◀── cosignature ┘ on the disk first
//! ```
//! Nothing waits for any of it: entries are recorded at once, and witnessed later. What a
//! reader would get wrong: the last head that was signed lies beside the keys, not in the
//! store. A store that was put back to an older copy signs nothing that its office has not
//! signed before.

mod cosigned;
mod exchange;
mod scribe;
mod witness;

use kernel::OfficeId;

pub use cosigned::{Stand, Witnessed, outside};
pub use exchange::Exchange;
pub use scribe::{HEAD, Ledger, Trouble};
pub use witness::Witness;

/// The name of a log and of its key: one of each life of it.
pub fn log_name(office: &OfficeId, epoch: u32) -> String {
    format!("liandong/{office}/{epoch}")
}

/// The name of an office as a witness, and of its key.
pub fn witness_name(office: &OfficeId) -> String {
    format!("liandong/{office}/witness")
}

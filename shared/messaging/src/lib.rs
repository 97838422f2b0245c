//! How entries travel between offices.
//!
//! Out: [`relay`] asks [`ingest`] at the city, which checks and is the only
//! publisher. In: [`intake`] verifies, orders and hands to the writer. Beside
//! them [`notes`] say who holds what and who is there. [`safe`] seals what stays
//! with its office. [`witnessing`] keeps the tree over the own log and lets others sign it.

pub mod counters;
pub mod directory;
pub mod files;
pub mod fit;
pub mod gaps;
pub mod ingest;
pub mod intake;
pub mod keys;
pub mod link;
pub mod lives;
pub mod memory;
pub mod nats;
pub mod neighbours;
pub mod notes;
pub mod papers;
pub mod readers;
pub mod recovery;
pub mod relay;
pub mod safe;
pub mod tls;
pub mod witnessing;

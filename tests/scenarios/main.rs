//! Scenarios that cross tiers, over real nats-server and real HTTP.
#![expect(clippy::unwrap_used, reason = "in a test, a panic is the report")]

mod access;
mod faults;
mod figures;
mod ingest;
mod restored;
mod up;

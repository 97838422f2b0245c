//! A small city inside the test: real nats-server, real stores, real HTTP, and a
//! proxy on each office's link that can be cut.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "in a test, a panic is the report")]
#![expect(clippy::disallowed_methods, reason = "tests read their servers from the environment")]

pub mod crash;
pub mod proxy;
pub mod simulation;
pub mod town;

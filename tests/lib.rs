//! Small cities for tests: real nats-server, real stores, real HTTP, and a proxy
//! on each office's link. `town` runs the services inside the test, so that it can
//! look into them; `nemesis` runs them as processes, so that it can kill them.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "in a test, a panic is the report")]
#![expect(clippy::disallowed_methods, reason = "tests read their servers from the environment")]

pub mod chance;
pub mod collector;
pub mod conformance;
pub mod crash;
pub mod nemesis;
pub mod proxy;
pub mod simulation;
pub mod town;

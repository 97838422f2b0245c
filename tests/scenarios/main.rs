//! Scenarios that cross tiers, over real nats-server and real HTTP.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::too_many_lines,
    reason = "in a test, a panic is the report, and a scenario is told in one go"
)]
#![expect(clippy::disallowed_methods, reason = "tests read their programs from the environment")]

mod access;
mod annual_plans;
mod audits;
mod backups;
mod browsers;
mod ceiling;
mod cities;
mod clues;
mod conformance;
mod custody_edges;
mod deadlines;
mod drafts;
mod escrow;
mod faults;
mod figures;
mod filings;
mod ingest;
mod keys;
mod late;
mod ledger;
mod links;
mod moved;
mod moved_lanes;
mod nemesis;
mod openid;
mod operations;
mod overload;
mod papers;
mod past;
mod policy;
mod register;
mod relations;
mod replays;
mod restored;
mod schemas;
mod sealed;
mod sessions;
mod signing_in;
mod simulated;
mod traces;
mod up;
mod wire;

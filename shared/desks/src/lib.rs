//! Capabilities that two or more tiers mount: routes, views and rules of a desk.
//!
//! A service is a list of desks. Handlers parse, call and answer; what may
//! happen is decided in `domain`, and what is shown is folded in the views here.

pub mod about;
pub mod annual_plans;
pub mod board;
pub mod certificates;
pub mod clue_cases;
pub mod clues;
pub mod config;
mod couriers;
pub mod deadline_policies;
pub mod divisions;
pub mod enrolment;
pub mod envelopes;
pub mod escrow;
pub mod feed;
pub mod figures;
pub mod filings;
pub mod findings;
pub mod founding;
pub mod history;
pub mod identities;
pub mod joining;
pub mod keys;
pub mod ledger;
pub mod listing;
mod loops;
pub mod moves;
pub mod openid;
pub mod operations;
pub mod organizations;
pub mod organs;
pub mod own_account;
pub mod pace;
pub mod papers;
pub mod past;
pub mod people;
pub mod reactions;
pub mod reads;
pub mod rectifications;
pub mod recusals;
pub mod results;
pub mod reviews;
pub mod rounds;
pub mod running;
pub mod sealing;
pub mod sign_in;
pub mod signing;
pub mod targets;
pub mod tiers;
pub mod token_keys;
pub mod worklist;

//! How the outside speaks with an office: one table of routes, one form of refusal.
//!
//! A route exists only as a row of the table, with who may use it; the guard,
//! the OpenAPI document and the tests all read the same rows.

pub mod ceiling;
pub mod client;
pub mod command;
pub mod guard;
pub mod matter;
pub mod openapi;
pub mod openid;
pub mod pace;
pub mod problem;
pub mod reading;
mod request;
pub mod room;
pub mod routes;
pub mod seat;
pub mod serve;
pub mod session;
pub mod sight;
pub mod wire;

pub use ceiling::Classification;
pub use command::{Command, Nothing, answer, view};
pub use guard::Caller;
pub use matter::Governed;
pub use problem::Problem;
pub use request::leads_here;
pub use routes::{Route, Who, change, get, head, post, post_empty, put};
pub use seat::{LinkState, Seat};
pub use sight::Sight;
pub use wire::{Peer, Wire};

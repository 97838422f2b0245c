//! The link over NATS, and the only place that knows NATS.

pub mod connection;
pub mod history;
pub mod provision;
pub mod reading;

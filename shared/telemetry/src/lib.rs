//! What an operator sees from outside: logs, figures, and the way of one fact.
//!
//! Nothing here holds content: no body, no name, no path with an id in it. Whoever
//! may read an office's figures need not be allowed to read what it works on.

pub mod figures;
pub mod otlp;
pub mod way;

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Starts logging to the standard error: readable on a terminal, JSON elsewhere.
/// `RUST_LOG` chooses what is said.
pub fn start() {
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new("info,async_nats=error,sqlx=error"));
    let logging = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = if std::io::stderr().is_terminal() {
        logging.try_init()
    } else {
        logging.json().try_init()
    };
    // A second start in one process is harmless: the first stays.
    drop(started);
}

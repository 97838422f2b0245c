//! Logs: readable on a terminal, JSON elsewhere; never a body, never a name.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Starts logging to the standard error. `RUST_LOG` chooses what is said.
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

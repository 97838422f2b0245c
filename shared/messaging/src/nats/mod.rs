//! The only place that knows NATS.
//!
//! What a reader would get wrong: an unanswered request may have been carried
//! out. [`Failure::Unanswered`] always means "ask what is held", never "again".

pub mod history;
pub mod link;
pub mod provision;
pub mod reading;

/// Why the hub did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Nobody knows whether it was done.
    #[error("no answer from the hub")]
    Unanswered,
    /// The hub must be newer.
    #[error("the hub runs nats-server {0}, at least 2.14 is needed")]
    HubTooOld(String),
    /// The hub said no.
    #[error("the hub refused: {text} ({code})")]
    Hub {
        /// JetStream's error code.
        code: u64,
        /// JetStream's words.
        text: String,
    },
    /// The client failed.
    #[error("nats: {0}")]
    Nats(String),
    /// A key does not read.
    #[error("nkey: {0}")]
    Key(#[from] nkeys::error::Error),
    /// An answer does not read.
    #[error("json: {0}")]
    Json(#[from] serde_json::Error),
    /// A file failed.
    #[error("io: {0}")]
    Io(#[from] std::io::Error),
}

impl Failure {
    /// Any error of the client.
    pub fn nats(error: impl std::fmt::Display) -> Self {
        Self::Nats(error.to_string())
    }
}

//! The way between an office and the hub, whatever carries it: NATS, files, memory.
//!
//! What a reader would get wrong: an unanswered request may have been carried
//! out. [`Failure::Unanswered`] always means "ask what is held", never "again".

use std::{future::Future, pin::Pin, time::Duration};

use bytes::Bytes;
use kernel::OfficeId;
use tokio::sync::watch;

/// Something that takes its time and may fail.
pub type Going<'a, T> = Pin<Box<dyn Future<Output = Result<T, Failure>> + Send + 'a>>;

/// The three streams of a hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stream {
    /// What all offices shared, in one order.
    History,
    /// Own entries, sealed, for their origin alone.
    Safe,
    /// Notes: the last value of each subject.
    Attest,
}

impl Stream {
    /// The stream's name at the hub.
    pub const fn name(self) -> &'static str {
        match self {
            Self::History => "HISTORY",
            Self::Safe => "SAFE",
            Self::Attest => "ATTEST",
        }
    }
}

/// What a reader was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The subject; it proves nothing, the entry inside does.
    pub subject: String,
    /// The exact bytes.
    pub payload: Bytes,
}

/// An office's end of the way.
pub trait Link: Send + Sync {
    /// Asks ingest on behalf of an office.
    fn ask<'a>(&'a self, office: &'a OfficeId, body: Vec<u8>) -> Going<'a, Bytes>;

    /// Binds a reader that the hub made for this office; what was given and not
    /// acknowledged is given again at once.
    fn reader<'a>(&'a self, stream: Stream, name: &'a str) -> Going<'a, Box<dyn Reader>>;

    /// Counts the connections made, where there are such: whoever is connected anew asks
    /// what is held, for the hub may be another than it was.
    fn connections(&self) -> Option<watch::Receiver<u64>> {
        None
    }
}

/// One of an office's readers. After a failure it is bound anew.
pub trait Reader: Send + Sync {
    /// What has come, at most `most`; nothing if nothing comes within `patience`.
    fn next(&mut self, most: usize, patience: Duration) -> Going<'_, Vec<Delivery>>;

    /// Acknowledges everything given. Call after the commit. The word may be lost with
    /// the line: then the same is given again.
    fn done(&mut self) -> Going<'_, ()>;

    /// Everything not acknowledged is given again, at once.
    fn again(&mut self) -> Going<'_, ()>;

    /// Everything from this stream sequence on is given again, acknowledged or not, and
    /// whether or not the reader began behind it.
    fn back_to(&mut self, sequence: u64) -> Going<'_, ()>;
}

/// A message in a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its stream sequence; never an identity, a hub put back uses it again.
    pub sequence: u64,
    /// Its subject.
    pub subject: String,
    /// How far its origin's log went in the other stream.
    pub other: u64,
    /// The exact bytes.
    pub payload: Bytes,
}

/// A message on its way into a stream.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// Its subject.
    pub subject: String,
    /// How far its origin's log went in the other stream.
    pub other: u64,
    /// The exact bytes.
    pub payload: Bytes,
}

/// The largest message that a stream takes, in bytes, its headers included.
pub const LARGEST: usize = 64 * 1024;

/// What became of a publication that expected to follow `after`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Published {
    /// All stored, contiguously; the stream sequence of the last.
    Stored(u64),
    /// Nothing stored: the last message under the filter has this sequence, not the expected one.
    Behind(u64),
}

/// A durable reader of one stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReaderSpec {
    /// The stream.
    pub stream: Stream,
    /// Its name: the office's id, perhaps with a suffix.
    pub name: String,
    /// What it is given; none of these lies within another.
    pub filters: Vec<String>,
    /// The first stream sequence it is given.
    pub from: Option<u64>,
    /// Whether it stays as it was made: with other filters it is another one, which
    /// begins at `from`.
    pub fixed: bool,
    /// Whether every server of a cluster keeps it, and not one alone.
    pub everywhere: bool,
}

/// The hub's end, for ingest and enrolment alone.
pub trait Hub: Send + Sync {
    /// The last message under a subject (wildcards allowed), as the stream's leader knows it.
    fn last<'a>(&'a self, stream: Stream, subject: &'a str) -> Going<'a, Option<Stored>>;

    /// The first message under a subject whose stream sequence is at least `from`.
    fn next<'a>(&'a self, stream: Stream, subject: &'a str, from: u64)
    -> Going<'a, Option<Stored>>;

    /// Stores all of `messages` (1 to 1000, of one stream) or none, right after
    /// sequence `after` of what `filter` covers. `batch` must never have been used before;
    /// a message has at most [`LARGEST`] bytes with its headers.
    fn publish<'a>(
        &'a self,
        batch: &'a str,
        filter: &'a str,
        after: u64,
        messages: Vec<Outgoing>,
    ) -> Going<'a, Published>;

    /// Replaces the last value of one subject of ATTEST.
    fn note(&self, subject: String, payload: Bytes) -> Going<'_, ()>;

    /// Makes a reader of HISTORY or ATTEST, or changes its filters: what comes from then
    /// on is given by the new ones, and it stays where it was. A fixed one with other
    /// filters is taken away and made anew.
    fn make_reader(&self, spec: ReaderSpec) -> Going<'_, ()>;
}

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
        /// The hub's error code.
        code: u64,
        /// The hub's words.
        text: String,
    },
    /// Whatever else failed: the client, the own store.
    #[error("{0}")]
    Other(String),
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
    /// Any error that has no name here.
    pub fn other(error: impl std::fmt::Display) -> Self {
        Self::Other(error.to_string())
    }
}

/// Whether a subject lies under a filter with the wildcards `*` and `>`.
pub fn covers(filter: &str, subject: &str) -> bool {
    let mut words = subject.split('.');
    for part in filter.split('.') {
        match (part, words.next()) {
            (">", word) => return word.is_some(),
            ("*", Some(_)) => {}
            (part, Some(word)) if part == word => {}
            _ => return false,
        }
    }
    words.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_covers_what_nats_says_it_does() {
        for (filter, subject, covered) in [
            ("ev.*.to-a.>", "ev.b.to-a.filing", true),
            ("ev.*.to-a.>", "ev.b.to-a", false),
            ("ev.*.to-a.>", "cf.b.to-a.filing", false),
            ("*.a.>", "ev.a.up-b.round", true),
            ("safe.a", "safe.a", true),
            ("safe.a", "safe.a.b", false),
            (">", "x", true),
        ] {
            assert_eq!(covers(filter, subject), covered, "{filter} {subject}");
        }
    }
}

//! Signed notes beside the history: receipts, lane heads, heartbeats, heads of logs and
//! what witnesses say to them; and the word
//! of an office that asks for its own entries back.
//!
//! Notes are never log entries, or each would breed the next. A newer note of
//! the same subject replaces the older one.

use serde::{Deserialize, Serialize};

use crate::{
    audience::{Audience, Root},
    clock::Timestamp,
    entry::{self, Form, Malformed},
    id::OfficeId,
    sign::{EventKey, Hash},
};

/// "Of this lane I hold everything up to `counter`, whose entry hash is `hash`."
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Held {
    /// The lane's root.
    pub root: Root,
    /// The lane's audience.
    pub audience: Audience,
    /// The life of the origin's log.
    pub epoch: u32,
    /// The last counter of the unbroken run.
    pub counter: u64,
    /// The leaf hash of the entry with that counter.
    pub hash: Hash,
}

/// What a note says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "note", rename_all = "kebab-case")]
pub enum Note {
    /// A reader's word on all lanes of one origin.
    Receipt {
        /// The reader.
        by: OfficeId,
        /// Whose lanes.
        of: OfficeId,
        /// When, by the machine's clock.
        at: Timestamp,
        /// Every lane of the pair.
        lanes: Vec<Held>,
    },
    /// An origin's word on how far one of its lanes goes.
    LaneHead {
        /// The origin.
        by: OfficeId,
        /// When, by the machine's clock.
        at: Timestamp,
        /// The head.
        head: Held,
    },
    /// "I am here."
    Heartbeat {
        /// The office.
        by: OfficeId,
        /// When, by the machine's clock.
        at: Timestamp,
        /// Whether the office belongs to a demo city.
        demo: bool,
    },
    /// "This is the head of my log, and so it goes on from what you cosigned last": asked of
    /// one witness.
    Checkpoint {
        /// Whose log.
        by: OfficeId,
        /// The witness.
        to: OfficeId,
        /// When, by the machine's clock.
        at: Timestamp,
        /// The size that it cosigned last, the proof, the signed head: the body of an
        /// `add-checkpoint` (C2SP tlog-witness).
        body: String,
        /// The log's verifier key (C2SP signed-note).
        key: String,
    },
    /// A witness's answer: what it has cosigned of a log, and up to where.
    Cosigned {
        /// The witness.
        by: OfficeId,
        /// Whose log.
        of: OfficeId,
        /// When, by the machine's clock.
        at: Timestamp,
        /// How large the log was that it cosigned last; 0 for never.
        size: u64,
        /// That head with the log's signature and the cosignature; nothing if it cosigns it
        /// not, or no more.
        head: Option<String>,
        /// The witness's verifier key.
        key: String,
    },
    /// "Give me back what you hold of my log, from these places on": the first
    /// stream sequences to look at, 0 for the start. Asked of ingest, never published.
    Back {
        /// The office.
        by: OfficeId,
        /// When, by the machine's clock.
        at: Timestamp,
        /// Where to go on in HISTORY.
        history: u64,
        /// Where to go on in SAFE.
        safe: u64,
    },
}

impl Note {
    /// The office that signs the note.
    pub const fn by(&self) -> &OfficeId {
        match self {
            Self::Receipt { by, .. }
            | Self::LaneHead { by, .. }
            | Self::Heartbeat { by, .. }
            | Self::Checkpoint { by, .. }
            | Self::Cosigned { by, .. }
            | Self::Back { by, .. } => by,
        }
    }

    /// When it was signed.
    pub const fn at(&self) -> Timestamp {
        match self {
            Self::Receipt { at, .. }
            | Self::LaneHead { at, .. }
            | Self::Heartbeat { at, .. }
            | Self::Checkpoint { at, .. }
            | Self::Cosigned { at, .. }
            | Self::Back { at, .. } => *at,
        }
    }

    /// The subject under which the newest note of its kind stands.
    pub fn subject(&self) -> String {
        match self {
            Self::Receipt { by, of, .. } => format!("at.rc.{of}.{by}"),
            Self::LaneHead { by, head, .. } => format!("at.lh.{by}.{}", head.audience),
            Self::Heartbeat { by, .. } => format!("at.hb.{by}"),
            Self::Checkpoint { by, to, .. } => format!("at.cp.{by}.{to}"),
            Self::Cosigned { by, of, .. } => format!("at.cs.{of}.{by}"),
            Self::Back { by, .. } => format!("back.{by}"),
        }
    }

    /// The note's signed bytes.
    pub fn sign(&self, key: &EventKey) -> Result<Vec<u8>, Malformed> {
        let payload =
            serde_json::to_vec(self).map_err(|error| Malformed::Payload(error.to_string()))?;
        entry::seal(Form::Note, &payload, key)
    }

    /// Reads a note's payload.
    pub fn parse(payload: &[u8]) -> Result<Self, Malformed> {
        serde_json::from_slice(payload).map_err(|error| Malformed::Payload(error.to_string()))
    }
}

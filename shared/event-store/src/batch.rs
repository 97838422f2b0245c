//! What a batch has changed and the database does not know yet.

use std::{
    any::Any,
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use kernel::{
    Fact, OfficeId, Timestamp, Turn,
    sign::{Hash, KeyId},
};

use crate::{
    answers::{Answer, Idempotency},
    kept::KeptRows,
    rows::Layer,
    snapshots::Snapshot,
    unit::LaneHead,
};

/// A folded stream and its version.
pub(crate) type State = (Arc<dyn Any + Send + Sync>, u64);

/// How far the office is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Head {
    /// The last own sequence.
    pub(crate) sequence: u64,
    /// The last position of intake.
    pub(crate) position: u64,
    /// The last recorded time.
    pub(crate) recorded: Timestamp,
    /// The life of the log.
    pub(crate) epoch: u32,
    /// The key that signs the next entry.
    pub(crate) signer: KeyId,
    /// The office that the next entry goes up to.
    pub(crate) parent: Option<OfficeId>,
}

impl Head {
    /// What an own fact changes for the entries after it.
    pub(crate) fn turn(&mut self, turn: Option<Turn>) {
        match turn {
            Some(Turn::Key(key)) => self.signer = key.id(),
            Some(Turn::Parent(parent)) => self.parent = Some(parent),
            None => {}
        }
    }
}

/// An own entry, ready to be stored.
#[derive(Debug)]
pub(crate) struct NewEntry {
    /// Whose request it was, if that is traced.
    pub(crate) caller: Option<telemetry::way::Caller>,
    pub(crate) fact: Fact,
    pub(crate) hash: Hash,
    pub(crate) bytes: Vec<u8>,
}

/// A received entry, ready to be stored.
#[derive(Debug)]
pub(crate) struct NewReceived {
    pub(crate) position: u64,
    pub(crate) marker: u64,
    pub(crate) folded: bool,
    pub(crate) fact: Fact,
    pub(crate) hash: Hash,
    pub(crate) bytes: Vec<u8>,
}

/// A waiting entry.
#[derive(Debug)]
pub(crate) struct NewHeld {
    pub(crate) fact: Fact,
    pub(crate) hash: Hash,
    pub(crate) reason: &'static str,
    pub(crate) since: i64,
    pub(crate) bytes: Vec<u8>,
}

/// The changes of a batch, of one command in it, or of one reaction to it.
#[derive(Default)]
pub(crate) struct Delta {
    pub(crate) head: Head,
    pub(crate) lanes: BTreeMap<String, LaneHead>,
    pub(crate) rows: Layer,
    pub(crate) states: HashMap<String, State>,
    pub(crate) snapshots: HashMap<String, Snapshot>,
    pub(crate) entries: Vec<NewEntry>,
    pub(crate) received: Vec<NewReceived>,
    /// Positions of entries that are folded now, after they were stored unfolded.
    pub(crate) late: Vec<u64>,
    pub(crate) held: Vec<NewHeld>,
    pub(crate) released: Vec<(kernel::EntryRef, Hash)>,
    pub(crate) evidence: Vec<(Hash, &'static str, i64, Vec<u8>)>,
    pub(crate) notes: BTreeMap<String, (i64, Vec<u8>)>,
    pub(crate) answers: Vec<(Idempotency, Answer)>,
    /// Whether a command ran statements of its own.
    pub(crate) touched: bool,
    /// Facts that rules have not seen yet, with the length of the chain so far.
    pub(crate) unseen: Vec<(Fact, u32)>,
}

impl Delta {
    /// An empty delta on top of `head`.
    pub(crate) fn on(head: Head) -> Self {
        Self { head, ..Self::default() }
    }

    /// Takes the changes of a finished part in.
    pub(crate) fn absorb(&mut self, part: Self) {
        self.head = part.head;
        self.lanes.extend(part.lanes);
        self.rows.extend(part.rows);
        self.states.extend(part.states);
        self.snapshots.extend(part.snapshots);
        self.entries.extend(part.entries);
        self.received.extend(part.received);
        self.late.extend(part.late);
        self.held.extend(part.held);
        self.released.extend(part.released);
        self.evidence.extend(part.evidence);
        self.notes.extend(part.notes);
        self.answers.extend(part.answers);
        self.touched |= part.touched;
        self.unseen.extend(part.unseen);
    }

    /// Whether there is anything to write.
    pub(crate) fn is_empty(&self) -> bool {
        !self.touched
            && self.entries.is_empty()
            && self.received.is_empty()
            && self.late.is_empty()
            && self.held.is_empty()
            && self.released.is_empty()
            && self.evidence.is_empty()
            && self.lanes.is_empty()
            && self.rows.is_empty()
            && self.notes.is_empty()
            && self.answers.is_empty()
    }
}

/// What is committed and still in memory. Only the writer writes, so it is never stale.
#[derive(Default)]
pub(crate) struct Committed {
    pub(crate) head: Head,
    /// The generation of view rows that is served.
    pub(crate) generation: u64,
    pub(crate) lanes: BTreeMap<String, LaneHead>,
    pub(crate) rows: KeptRows,
    pub(crate) states: HashMap<String, State>,
}

/// How many streams an office keeps in memory.
const MOST_STATES: usize = 8_000;

impl Committed {
    /// Takes a committed batch in.
    pub(crate) fn absorb(&mut self, batch: Delta) {
        self.head = batch.head;
        self.lanes.extend(batch.lanes);
        self.rows.remember(batch.rows);
        if self.states.len() + batch.states.len() > MOST_STATES {
            self.states.clear();
        }
        self.states.extend(batch.states);
    }
}

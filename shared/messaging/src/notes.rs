//! Notes out and in: receipts, lane heads, heartbeats.
//!
//! A note says what is so now; a newer one replaces it. They are signed like
//! entries and sent through the same door, but they never enter a log.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use event_store::{Act, Answer, Office, StoreError, Unit, act};
use kernel::{
    Audience, Lane, OfficeId, Root, Timestamp,
    entry::{self, Form},
    note::{Held, Note},
    sign::Hash,
};

use crate::{
    directory::{DIRECTORY, Entry},
    link::{Failure, Link, Reader, Stream},
};

/// One lane as the store has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredLane {
    /// The origin.
    pub origin: OfficeId,
    /// How far it goes.
    pub held: Held,
}

impl StoredLane {
    /// The lane's name.
    pub fn lane(&self) -> Lane {
        let Held { root, audience, .. } = &self.held;
        Lane { origin: self.origin.clone(), root: *root, audience: audience.clone() }
    }
}

/// Every lane that the store knows.
pub async fn lanes(office: &Office) -> Result<Vec<StoredLane>, StoreError> {
    let sql = "SELECT lane, epoch, counter, hash FROM lanes ORDER BY lane";
    let mut lanes = Vec::new();
    for row in office.reader().await?.rows(sql, vec![]).await? {
        let name = row.text(0)?;
        let mut words = name.splitn(3, '.');
        let root = if words.next() == Some("cf") { Root::Cf } else { Root::Ev };
        let origin = words.next().and_then(OfficeId::parse);
        let audience = words.next().and_then(Audience::parse);
        let (Some(origin), Some(audience)) = (origin, audience) else { continue };
        let hash = row.blob(3)?.try_into().map(Hash);
        let hash = hash.map_err(|_| StoreError::Unfit("a lane's hash has 32 bytes".to_owned()))?;
        let epoch = u32::try_from(row.int(1)?).unwrap_or(1);
        let held = Held { root, audience, epoch, counter: row.count(2)?, hash };
        lanes.push(StoredLane { origin, held });
    }
    Ok(lanes)
}

/// A note, and the lanes that it speaks of; none for a heartbeat.
pub(crate) type Said = (Option<Vec<Held>>, Note);

/// Sends an office's notes.
pub struct NotesOut {
    office: Office,
    link: Option<Arc<dyn Link>>,
    demo: bool,
    sent: BTreeMap<String, Vec<Held>>,
    beat: Option<Timestamp>,
    /// When everything was last said anew.
    anew: Option<Timestamp>,
    /// After how many commits there was nothing to say: only the next one can bring something.
    rested: Option<u64>,
}

/// How often an office says that it is there.
const HEARTBEAT: Duration = Duration::from_mins(1);
/// How often it says everything anew: a hub that lost its notes never asks for them.
const ANEW: Duration = Duration::from_mins(10);

/// Whether so much time has passed since `last`, or the clock was set back.
fn is_due(last: Option<Timestamp>, every: Duration, now: Timestamp) -> bool {
    let every = i64::try_from(every.as_millis()).unwrap_or(i64::MAX);
    last.is_none_or(|last| now.0 - last.0 >= every || now < last)
}

impl NotesOut {
    /// Knows nothing yet, so the first turn says everything.
    pub fn new(office: Office, link: Arc<dyn Link>, demo: bool) -> Self {
        Self { link: Some(link), ..Self::without_link(office, demo) }
    }

    /// For a courier, who carries what is collected.
    pub(crate) fn without_link(office: Office, demo: bool) -> Self {
        Self {
            office,
            link: None,
            demo,
            sent: BTreeMap::new(),
            beat: None,
            anew: None,
            rested: None,
        }
    }

    /// One turn at the machine's time `at`: whatever changed since the last one is
    /// said. Called at most once a second.
    pub async fn turn(&mut self, at: Timestamp) -> Result<usize, Failure> {
        if !self.office.has_key() {
            return Ok(0);
        }
        let notes = self.collect(at).await?;
        self.say(notes, at).await
    }

    /// What is to be said at the machine's time `at`.
    pub(crate) async fn collect(&mut self, at: Timestamp) -> Result<Vec<Said>, Failure> {
        let commits = self.office.commits();
        let due = is_due(self.anew, ANEW, at) || is_due(self.beat, HEARTBEAT, at);
        if !due && self.rested == Some(commits) {
            return Ok(Vec::new());
        }
        let own = self.office.setting().office.clone();
        let mut notes = Vec::new();
        if is_due(self.anew, ANEW, at) {
            self.sent.clear();
            self.anew = Some(at);
        }
        if is_due(self.beat, HEARTBEAT, at) {
            notes.push((None, Note::Heartbeat { by: own.clone(), at, demo: self.demo }));
        }
        let mut receipts: BTreeMap<OfficeId, Vec<Held>> = BTreeMap::new();
        for lane in lanes(&self.office).await.map_err(Failure::other)? {
            if lane.origin != own {
                receipts.entry(lane.origin).or_default().push(lane.held);
            } else if lane.held.audience != Audience::Own {
                let note = Note::LaneHead { by: own.clone(), at, head: lane.held.clone() };
                notes.push((Some(vec![lane.held]), note));
            }
        }
        for (of, lanes) in receipts {
            notes.push((Some(lanes.clone()), Note::Receipt { by: own.clone(), of, at, lanes }));
        }
        notes.retain(|(what, note)| {
            what.is_none() || self.sent.get(&note.subject()) != what.as_ref()
        });
        self.rested = notes.is_empty().then_some(commits);
        Ok(notes)
    }

    /// Everything is said anew: it may not have arrived.
    pub(crate) fn anew(&mut self) {
        self.rested = None;
        self.sent.clear();
    }

    /// What was said need not be said again.
    pub(crate) fn said(&mut self, notes: Vec<Said>, at: Timestamp) {
        for (what, note) in notes {
            match what {
                Some(what) => drop(self.sent.insert(note.subject(), what)),
                None => self.beat = Some(at),
            }
        }
    }

    async fn say(&mut self, notes: Vec<Said>, at: Timestamp) -> Result<usize, Failure> {
        let Some(link) = self.link.clone() else { return Ok(0) };
        for part in notes.chunks(50) {
            let signed: Result<Vec<_>, _> =
                part.iter().map(|(_, note)| note.sign(&self.office.setting().key.now())).collect();
            let signed = signed.map_err(Failure::other)?;
            let body = entry::frame(signed.iter().map(Vec::as_slice));
            let answer = link.ask(&self.office.setting().office, body).await?;
            let answer: crate::relay::Answer = serde_json::from_slice(&answer)?;
            if answer.answer != "held" {
                return Ok(0);
            }
            self.said(part.to_vec(), at);
        }
        Ok(notes.len())
    }
}

/// Reads the notes that concern an office.
pub struct NotesIn {
    office: Office,
    reader: Box<dyn Reader>,
}

impl NotesIn {
    /// Binds the office's consumer of ATTEST.
    pub async fn bind(office: Office, link: &dyn Link) -> Result<Self, Failure> {
        let name = format!("{}_a", office.setting().office);
        let reader = link.reader(Stream::Attest, &name).await?;
        Ok(Self { office, reader })
    }

    /// One turn: what came is verified and kept, newest by subject.
    pub async fn turn(&mut self, patience: Duration) -> Result<usize, Failure> {
        let messages = self.reader.next(200, patience).await?;
        let mut newest = BTreeMap::new();
        for message in &messages {
            newest.insert(message.subject.clone(), message.payload.to_vec());
        }
        let kept = newest.len();
        if kept > 0 {
            let keeping = keeping(newest.into_values().collect());
            // While the office does not record, notes wait in the hub like all else.
            if self.office.system(keeping).await.is_err() {
                self.reader.again().await?;
                return Ok(0);
            }
        }
        self.reader.done().await?;
        Ok(kept)
    }
}

/// The command that keeps notes, the newest of each subject.
pub(crate) fn keeping(notes: Vec<Vec<u8>>) -> Act {
    act(move |unit: &mut Unit<'_>| {
        let notes = notes.clone();
        Box::pin(async move {
            for bytes in notes {
                keep(unit, bytes).await?;
            }
            Ok(Answer { status: 200, etag: String::new(), body: Vec::new() })
        })
    })
}

/// Keeps a note if its signer is known.
async fn keep(unit: &mut Unit<'_>, bytes: Vec<u8>) -> Result<(), event_store::Stop> {
    let Ok(parts) = entry::open(&bytes) else { return Ok(()) };
    let Some(note) = (parts.form == Form::Note).then(|| Note::parse(parts.payload).ok()).flatten()
    else {
        return Ok(());
    };
    let row: Option<Entry> = unit.row(DIRECTORY, note.by().as_str()).await?;
    let signed = row.is_some_and(|row| row.signs_note(&parts));
    if signed && !matches!(note, Note::Back { .. }) {
        unit.keep_note(note.subject(), note.at().0, bytes);
    }
    Ok(())
}

//! Notes out and in: receipts, lane heads, heartbeats.
//!
//! A note says what is so now; a newer one replaces it. They are signed like
//! entries and sent through the same door, but they never enter a log.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use event_store::{Answer, Office, StoreError, Unit, act};
use kernel::{
    Audience, OfficeId, Root, Timestamp,
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

/// Sends an office's notes.
pub struct NotesOut {
    office: Office,
    link: Arc<dyn Link>,
    demo: bool,
    sent: BTreeMap<String, Vec<Held>>,
    beat: Option<Timestamp>,
}

/// How often an office says that it is there.
const HEARTBEAT: Duration = Duration::from_mins(1);

impl NotesOut {
    /// Knows nothing yet, so the first turn says everything.
    pub fn new(office: Office, link: Arc<dyn Link>, demo: bool) -> Self {
        Self { office, link, demo, sent: BTreeMap::new(), beat: None }
    }

    /// One turn at the machine's time `at`: whatever changed since the last one is
    /// said. Called at most once a second.
    pub async fn turn(&mut self, at: Timestamp) -> Result<usize, Failure> {
        let own = self.office.setting().office.clone();
        let mut notes = Vec::new();
        let every = i64::try_from(HEARTBEAT.as_millis()).unwrap_or(60_000);
        if self.beat.is_none_or(|last| at.0 - last.0 >= every) {
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
        self.say(notes, at).await
    }

    async fn say(
        &mut self,
        notes: Vec<(Option<Vec<Held>>, Note)>,
        at: Timestamp,
    ) -> Result<usize, Failure> {
        for part in notes.chunks(50) {
            let signed: Result<Vec<_>, _> =
                part.iter().map(|(_, note)| note.sign(&self.office.setting().key)).collect();
            let signed = signed.map_err(Failure::other)?;
            let body = entry::frame(signed.iter().map(Vec::as_slice));
            let answer = self.link.ask(&self.office.setting().office, body).await?;
            let answer: crate::relay::Answer = serde_json::from_slice(&answer)?;
            if answer.answer != "held" {
                return Ok(0);
            }
            for (what, note) in part {
                match what {
                    Some(what) => drop(self.sent.insert(note.subject(), what.clone())),
                    None => self.beat = Some(at),
                }
            }
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
            let keeping = act(move |unit: &mut Unit<'_>| {
                let newest = newest.clone();
                Box::pin(async move {
                    for (subject, bytes) in newest {
                        keep(unit, subject, bytes).await?;
                    }
                    Ok(Answer { status: 200, etag: String::new(), body: Vec::new() })
                })
            });
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

/// Keeps a note if its signer is known and its subject is its own.
async fn keep(
    unit: &mut Unit<'_>,
    subject: String,
    bytes: Vec<u8>,
) -> Result<(), event_store::Stop> {
    let Ok(parts) = entry::open(&bytes) else { return Ok(()) };
    let Some(note) = (parts.form == Form::Note).then(|| Note::parse(parts.payload).ok()).flatten()
    else {
        return Ok(());
    };
    let row: Option<Entry> = unit.row(DIRECTORY, note.by().as_str()).await?;
    let signed = row.is_some_and(|entry| parts.is_signed_by(&entry.member.key));
    if signed && note.subject() == subject {
        unit.keep_note(subject, note.at().0, bytes);
    }
    Ok(())
}

//! The office's own log, put back from the hub.
//!
//! A store that was lost or came from an older copy does not record. The recovery
//! asks the city's ingest for the own entries page by page, opens the sealed ones,
//! proves each by the office's own key and its place, and writes them as they were.
//! Behind each `Received` marker it puts the entries that were taken in then, as
//! the hub delivers them again. What a reader would get wrong: the marker waits
//! for them, not the other way round.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use event_store::{Act, Answer as Given, Incoming, Office, Unit, act};
use kernel::{
    Fact, Timestamp,
    entry::{self, Form},
    note::Note,
};

use crate::{
    directory::{Pin, signer},
    link::{Failure, Link},
    relay::Answer,
    safe,
};

/// What a turn came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Entries were put back; there may be more.
    More,
    /// The next marker waits for entries that the hub has not delivered yet.
    Waits,
    /// The hub has no more of this log.
    Done,
    /// What the hub gives is not this office's log.
    Unproved,
}

/// The recovery of one office.
pub struct Recovery {
    office: Office,
    link: Arc<dyn Link>,
    pin: Arc<Pin>,
    sealing: Arc<[u8; 32]>,
    /// Where to go on in HISTORY and SAFE.
    places: (u64, u64),
    /// Proved entries that are not put back yet, in order.
    pending: Vec<Incoming>,
}

impl Recovery {
    /// A recovery that begins at the start of what the hub holds.
    pub fn new(office: Office, link: Arc<dyn Link>, pin: Arc<Pin>, sealing: Arc<[u8; 32]>) -> Self {
        Self { office, link, pin, sealing, places: (0, 0), pending: Vec::new() }
    }

    /// One turn at the machine's time `at`: put back what is at hand, or ask for more.
    pub async fn turn(&mut self, at: Timestamp) -> Result<Progress, Failure> {
        if self.pending.is_empty() {
            let asked = self.ask(at).await?;
            if asked != Progress::More {
                return Ok(asked);
            }
        }
        let before = self.office.head();
        let putting = putting_back(self.pending.clone(), self.pin.clone());
        if let Err(refusal) = self.office.recover(putting).await {
            tracing::error!(%refusal, "the own entries could not be put back");
            return Ok(Progress::Unproved);
        }
        let head = self.office.head();
        self.pending.retain(|entry| entry.fact.at.sequence > head);
        let waits = !self.pending.is_empty() && head == before;
        Ok(if waits { Progress::Waits } else { Progress::More })
    }

    /// Fetches the next page and proves it.
    async fn ask(&mut self, at: Timestamp) -> Result<Progress, Failure> {
        let setting = self.office.setting();
        let by = setting.office.clone();
        let (history, safe) = self.places;
        let note = Note::Back { by, at, history, safe };
        let signed = note.sign(&setting.key).map_err(Failure::other)?;
        let body = entry::frame([signed.as_slice()]);
        let answer = self.link.ask(&setting.office, body).await?;
        let answer: Answer = serde_json::from_slice(&answer)?;
        let Some(page) = answer.back else { return Err(Failure::Unanswered) };
        if page.items.is_empty() {
            return Ok(Progress::Done);
        }
        for item in &page.items {
            let Some(entry) = BASE64.decode(item).ok().and_then(|bytes| self.prove(&bytes)) else {
                continue;
            };
            let last = self.pending.last().map_or(self.office.head(), |e| e.fact.at.sequence);
            if entry.fact.at.sequence == last + 1 {
                self.pending.push(entry);
            } else if entry.fact.at.sequence > last {
                tracing::error!(entry = %entry.fact.at, last, "the hub leaves out a part of this log");
                return Ok(Progress::Unproved);
            }
        }
        self.places = (page.history, page.safe);
        Ok(Progress::More)
    }

    /// An own entry of this epoch, opened if it was sealed; nothing else.
    fn prove(&self, bytes: &[u8]) -> Option<Incoming> {
        let setting = self.office.setting();
        let parts = entry::open(bytes).ok().filter(|p| p.is_signed_by(&setting.key.public()))?;
        let bytes = match parts.form {
            Form::Event => bytes.to_vec(),
            Form::Sealed => safe::open(parts.payload, &self.sealing).ok()?,
            Form::Note => return None,
        };
        let inner = entry::open(&bytes).ok()?;
        let (fact, hash) = Fact::of_entry(&bytes).ok()?;
        let own = fact.at.origin == setting.office && fact.at.epoch == setting.epoch;
        let signed = inner.is_signed_by(&setting.key.public());
        (own && signed).then_some(Incoming { fact, hash, bytes })
    }
}

/// The command that puts proved own entries back, as far as what they took in is here.
fn putting_back(entries: Vec<Incoming>, pin: Arc<Pin>) -> Act {
    let entries = Arc::new(entries);
    act(move |unit: &mut Unit<'_>| {
        let (entries, pin) = (entries.clone(), pin.clone());
        Box::pin(async move {
            for entry in entries.iter() {
                let mut taken = Vec::new();
                for run in Unit::runs_of(&entry.fact)? {
                    match unit.waiting_run(&run).await? {
                        Some(waiting) => taken.extend(waiting),
                        None => return Ok(given()),
                    }
                }
                unit.put_back(entry.clone()).await?;
                for received in taken {
                    let signed = signer(unit, &pin, &received.fact.at.origin).await?;
                    let parts = entry::open(&received.bytes);
                    let good = parts
                        .is_ok_and(|parts| signed.is_some_and(|(key, _)| parts.is_signed_by(&key)));
                    if !good {
                        tracing::error!(entry = %received.fact.at, "a received entry is not its signer's");
                        return Err(kernel::Code::Internal.into());
                    }
                    unit.put_back_received(received).await?;
                }
            }
            Ok(given())
        })
    })
}

/// The command that puts delivered bytes aside while the log is not whole.
pub(crate) fn putting_aside(bytes: Vec<Vec<u8>>) -> Act {
    let bytes = Arc::new(bytes);
    act(move |unit: &mut Unit<'_>| {
        let bytes = bytes.clone();
        Box::pin(async move {
            for bytes in bytes.iter() {
                let Ok((fact, hash)) = Fact::of_entry(bytes) else { continue };
                if unit.received_hash(&fact.at).await?.is_none() {
                    unit.hold(Incoming { fact, hash, bytes: bytes.clone() }, "recovering");
                }
            }
            Ok(given())
        })
    })
}

fn given() -> Given {
    Given { status: 200, etag: String::new(), body: Vec::new() }
}

//! The office's own log, put back from the hub.
//!
//! A store that was lost or came from an older copy does not record. The recovery
//! asks the city's ingest for the own entries page by page, opens the sealed ones,
//! proves each by the office's own key and its place, and writes them as they were,
//! if the hub's entry at the end of the log that is left is the same as its own.
//! Behind each `Received` marker it puts the entries that were taken in then, as
//! the hub delivers them again. What a reader would get wrong: the marker waits
//! for them, not the other way round.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use event_store::{Act, Answer as Given, Incoming, Office, Stop, Unit, act, log};
use kernel::{
    Code, Fact, Timestamp,
    entry::{self, Form},
    note::Note,
    sign::Hash,
};

use crate::{
    directory::{Pin, Signer, signer},
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
    pin: Arc<Pin>,
    sealing: Arc<[u8; 32]>,
    /// Where to go on in HISTORY and SAFE.
    places: (u64, u64),
    /// Proved entries that are not put back yet, in order.
    pending: Vec<Incoming>,
}

impl Recovery {
    /// A recovery that begins at the start of what the hub holds.
    pub fn new(office: Office, pin: Arc<Pin>, sealing: Arc<[u8; 32]>) -> Self {
        Self { office, pin, sealing, places: (0, 0), pending: Vec::new() }
    }

    /// Whether everything that came is put back, so that more is to be asked for.
    pub fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// Where to go on in HISTORY and SAFE.
    pub const fn places(&self) -> (u64, u64) {
        self.places
    }

    /// One turn at the machine's time `at`: put back what is at hand, or ask for more.
    pub async fn turn(&mut self, link: &dyn Link, at: Timestamp) -> Result<Progress, Failure> {
        if self.pending.is_empty() {
            let asked = self.ask(link, at).await?;
            if asked != Progress::More {
                return Ok(asked);
            }
        }
        Ok(self.put().await)
    }

    /// Puts back what is at hand.
    pub async fn put(&mut self) -> Progress {
        if self.pending.is_empty() {
            return Progress::Done;
        }
        let before = self.office.head();
        let putting = |entries| self.office.recover(putting_back(entries, self.pin.clone()));
        let mut put = putting(self.pending.clone()).await;
        if put.as_ref().is_err_and(|refusal| refusal.code == Code::LogBehind) {
            // One of them waits; those before it need not.
            for entry in &self.pending {
                put = putting(vec![entry.clone()]).await;
                if put.is_err() || self.office.head() < entry.fact.at.sequence {
                    break;
                }
            }
        }
        match put {
            Err(refusal) if refusal.code != Code::LogBehind => {
                tracing::error!(%refusal, "the own entries could not be put back");
                return Progress::Unproved;
            }
            _ => {}
        }
        let head = self.office.head();
        self.pending.retain(|entry| entry.fact.at.sequence > head);
        let waits = !self.pending.is_empty() && head == before;
        if waits { Progress::Waits } else { Progress::More }
    }

    /// Fetches the next page and proves it.
    async fn ask(&mut self, link: &dyn Link, at: Timestamp) -> Result<Progress, Failure> {
        let setting = self.office.setting();
        let by = setting.office.clone();
        let (history, safe) = self.places;
        let note = Note::Back { by, at, history, safe };
        let signed = note.sign(&setting.key.now()).map_err(Failure::other)?;
        let body = entry::frame([signed.as_slice()]);
        let answer = link.ask(&setting.office, body).await?;
        let answer: Answer = serde_json::from_slice(&answer)?;
        let Some(page) = answer.back else { return Err(Failure::Unanswered) };
        if page.items.is_empty() {
            return Ok(Progress::Done);
        }
        let items: Option<Vec<Vec<u8>>> =
            page.items.iter().map(|item| BASE64.decode(item).ok()).collect();
        let items = items.ok_or(Failure::Unanswered)?;
        self.accept(&items, (page.history, page.safe)).await
    }

    /// Takes in what the hub gave, in the order of the log; what is not ours is left out.
    pub async fn accept(
        &mut self,
        items: &[Vec<u8>],
        places: (u64, u64),
    ) -> Result<Progress, Failure> {
        for item in items {
            let Some(entry) = self.prove(item) else { continue };
            let head = self.office.head();
            if entry.fact.at.sequence == head && !self.is_own_at(head, entry.hash).await? {
                // Another one writes this log too: going on behind its entries would
                // hide that ours part from them.
                tracing::error!(entry = %entry.fact.at, "the hub holds another entry at the same place");
                return Ok(Progress::Unproved);
            }
            let last = self.pending.last().map_or(head, |e| e.fact.at.sequence);
            if entry.fact.at.sequence == last + 1 {
                self.pending.push(entry);
            } else if entry.fact.at.sequence > last {
                tracing::error!(entry = %entry.fact.at, last, "the hub leaves out a part of this log");
                return Ok(Progress::Unproved);
            }
        }
        self.places = places;
        Ok(Progress::More)
    }

    /// Whether the own log has an entry with this hash there.
    async fn is_own_at(&self, sequence: u64, hash: Hash) -> Result<bool, Failure> {
        let mut reader = self.office.reader().await.map_err(Failure::other)?;
        let own = log::own_at(&mut reader, sequence).await.map_err(Failure::other)?;
        Ok(own.is_some_and(|own| own.hash == hash))
    }

    /// An own entry, opened if it was sealed; nothing else.
    fn prove(&self, bytes: &[u8]) -> Option<Incoming> {
        let setting = self.office.setting();
        let ours = |parts: &entry::Parts<'_>| {
            setting.key.public_of(&parts.key_id).is_some_and(|key| parts.is_signed_by(&key))
        };
        let parts = entry::open(bytes).ok().filter(ours)?;
        let bytes = match parts.form {
            Form::Event => bytes.to_vec(),
            Form::Sealed => safe::open(parts.payload, &self.sealing).ok()?,
            Form::Note => return None,
        };
        let inner = entry::open(&bytes).ok()?;
        let (fact, hash) = Fact::of_entry(&bytes).ok()?;
        let own = fact.at.origin == setting.office && ours(&inner);
        own.then_some(Incoming { fact, hash, bytes })
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
                for candidates in taken {
                    let true_one = signed(unit, &pin, candidates).await?;
                    // Only forgeries wait there: the true one is still to come.
                    let true_one = true_one.ok_or(Code::LogBehind)?;
                    unit.put_back_received(true_one).await?;
                }
            }
            Ok(given())
        })
    })
}

/// The one among the entries that claim a place which its origin signed.
async fn signed(
    unit: &mut Unit<'_>,
    pin: &Pin,
    candidates: Vec<Incoming>,
) -> Result<Option<Incoming>, Stop> {
    for entry in candidates {
        let known = signer(unit, pin, &entry.fact.at.origin).await?;
        let parts = entry::open(&entry.bytes).ok();
        let sequence = entry.fact.at.sequence;
        let is_signed =
            |known: Signer| parts.is_some_and(|parts| parts.is_signed_by(&known.key(sequence)));
        if known.is_some_and(is_signed) {
            return Ok(Some(entry));
        }
    }
    Ok(None)
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

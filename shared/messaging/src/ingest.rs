//! Ingest, at the city: checks every item and is the only publisher.
//!
//! What the hub holds of an office is read from the streams themselves, never
//! remembered on disk: a hub that was wiped or put back then says so. Shared
//! entries lie in HISTORY and sealed ones in SAFE; each carries how far the other
//! stream went, so that what is held is always an unbroken run from 1.

mod back;
mod check;

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Instant};

use domain::directory::{Member, Seat};
use event_store::{Office, Setting, StoreError};
use kernel::{Code, OfficeId, entry, sign::Hash};
use telemetry::way::{self, Step};
use tokio::sync::Mutex;

use crate::{
    counters::Counters,
    directory::{DIRECTORY, Entry},
    link::{Failure, Hub, Outgoing, Published, Stream},
    papers::Grants,
    relay::{Answer, place, safe_subject, subject},
};
use check::Accepted;
pub(crate) use check::allowed;

/// What the hub holds of one office.
#[derive(Clone, Copy, Debug, Default)]
struct Held {
    /// Last origin sequence in HISTORY and in SAFE, and their stream sequences.
    history: (u64, u64),
    safe: (u64, u64),
    /// The last sequence of the unbroken run, and its item's hash.
    run: u64,
    hash: Hash,
}

/// One office's turn at ingest; requests of one office never overlap.
struct Desk {
    held: Option<Held>,
    tokens: f64,
    filled: Instant,
}

/// Ingest.
pub struct Ingest {
    office: Office,
    hub: Arc<dyn Hub>,
    grants: Grants,
    desks: Mutex<BTreeMap<OfficeId, Arc<Mutex<Desk>>>>,
    /// Accepted and refused, by code.
    pub counters: Counters,
}

/// How many items an office may send a second, and at once.
const QUOTA: (f64, f64) = (4_000.0, 20_000.0);
/// From this many on, items of one stream go as one atomic batch.
const ATOMIC_FROM: usize = 20;

impl Ingest {
    /// Ingest of the city's office over its own connection to the hub.
    pub fn new(office: Office, hub: Arc<dyn Hub>, papers: PathBuf) -> Self {
        Self {
            office,
            hub,
            grants: Grants::at(papers),
            desks: Mutex::default(),
            counters: Counters::default(),
        }
    }

    /// Answers one request of `office`, whose name is the subject's: the hub lets
    /// nobody else publish there.
    pub async fn answer(&self, office: &OfficeId, body: &[u8]) -> Answer {
        let mut desk = self.desk(office).await.lock_owned().await;
        let outcome = self.serve(&mut desk, office, body).await;
        outcome.unwrap_or_else(|error| {
            tracing::warn!(%office, error = %error, "ingest could not reach the hub's streams");
            desk.held = None;
            answer("retry", "hub-away", Held::default())
        })
    }

    async fn desk(&self, office: &OfficeId) -> Arc<Mutex<Desk>> {
        let mut desks = self.desks.lock().await;
        let new =
            || Arc::new(Mutex::new(Desk { held: None, tokens: QUOTA.1, filled: Instant::now() }));
        desks.entry(office.clone()).or_insert_with(new).clone()
    }

    /// Takes nothing of an office as long as what is returned lives: what the hub holds of
    /// its log stays as it is.
    pub async fn still(&self, office: &OfficeId) -> impl Send + use<> {
        self.desk(office).await.lock_owned().await
    }

    async fn serve(
        &self,
        desk: &mut Desk,
        office: &OfficeId,
        body: &[u8],
    ) -> Result<Answer, Failure> {
        let Some(items) = entry::unframe(body) else {
            return Ok(self.refuse("malformed", desk.held.unwrap_or_default()));
        };
        let Some(row) = self.row(office).await.map_err(Failure::other)? else {
            // Until the city has its log back it does not know everybody.
            if self.office.refusing() == Some(Code::LogBehind) {
                self.counters.count("city-behind");
                return Ok(answer("retry", "city-behind", Held::default()));
            }
            return Ok(self.refuse("not-enrolled", Held::default()));
        };
        // Asking is always answered from the streams, not from memory.
        let held = match desk.held {
            Some(held) if !items.is_empty() => held,
            _ => self.read_held(office).await?,
        };
        desk.held = Some(held);
        if !desk.take(items.len()) {
            self.counters.count("quota");
            return Ok(answer("retry", "quota", held));
        }
        if let Some(places) = back::wish(&row, &items) {
            return self.back(office, held, places).await;
        }
        let accepted = match self.check(&row, held, &items) {
            Ok(accepted) => accepted,
            Err("fork") => {
                self.counters.count("fork");
                return Ok(answer("fork", "fork", held));
            }
            Err(code) if for_now(code) => {
                self.counters.count(code);
                return Ok(answer("retry", code, held));
            }
            // Until the city has its log back it does not know of every turn.
            Err(_) if self.office.refusing() == Some(Code::LogBehind) => {
                self.counters.count("city-behind");
                return Ok(answer("retry", "city-behind", held));
            }
            Err(code) => return Ok(self.refuse(code, held)),
        };
        let began = Instant::now();
        let answer = self.publish(desk, held, accepted).await?;
        if answer.answer == "held" {
            let city = self.office.setting().office.as_str();
            way::travelled(Step::Ingest, items.iter().copied(), city, began);
        }
        Ok(answer)
    }

    fn refuse(&self, code: &'static str, held: Held) -> Answer {
        self.counters.count(code);
        answer("refused", code, held)
    }

    /// The office's row of the directory, as the city's own store has it.
    pub(crate) async fn row(&self, office: &OfficeId) -> Result<Option<Entry>, StoreError> {
        let mut reader = self.office.reader().await?;
        let entry: Option<Entry> = reader.view(DIRECTORY, office.as_str()).await?;
        Ok(entry.or_else(|| self.itself(office)))
    }

    /// The city itself, before its directory is back in its store.
    fn itself(&self, office: &OfficeId) -> Option<Entry> {
        let setting = self.office.setting();
        (setting.office == *office).then(|| {
            let (code, name) = (String::new(), String::new());
            let seat =
                Seat { office: office.clone(), tier: setting.tier, parent: None, code, name };
            let (key, epoch) = (setting.key.now().public(), self.office.life().epoch);
            Entry::new(Member { seat, key, epoch, key_from: 1 }, false)
        })
    }

    async fn read_held(&self, office: &OfficeId) -> Result<Held, Failure> {
        let history = self.last(Stream::History, &format!("*.{office}.>")).await?;
        let safe = self.last(Stream::Safe, &safe_subject(office)).await?;
        let whole = safe.at >= history.other && history.at >= safe.other;
        let newest = if history.at > safe.at { &history } else { &safe };
        let oldest = if history.at > safe.at { &safe } else { &history };
        let run = if whole { newest } else { oldest };
        Ok(Held {
            history: (history.at, history.stream),
            safe: (safe.at, safe.stream),
            run: run.at,
            hash: run.hash,
        })
    }

    /// What the hub holds of an office: the last sequence, the hash of its item and
    /// that of the entry inside.
    pub async fn held_of(&self, office: &OfficeId) -> Result<(u64, Hash, Hash), Failure> {
        let held = self.read_held(office).await?;
        let places =
            [(Stream::History, format!("*.{office}.>")), (Stream::Safe, safe_subject(office))];
        for (stream, subject) in places {
            let Some(message) = self.hub.last(stream, &subject).await? else { continue };
            let Ok(parts) = entry::open(&message.payload) else { continue };
            let Some((at, fact)) = place(&parts) else { continue };
            if at.sequence == held.run {
                let hash = entry::hash(&message.payload);
                let sealed = || crate::safe::cover(parts.payload).map(|(cover, ..)| cover.hash);
                let inside = if fact.is_some() { hash } else { sealed().unwrap_or(hash) };
                return Ok((held.run, hash, inside));
            }
        }
        Ok((held.run, held.hash, held.hash))
    }

    async fn last(&self, stream: Stream, subject: &str) -> Result<Last, Failure> {
        let Some(message) = self.hub.last(stream, subject).await? else {
            return Ok(Last::default());
        };
        let at = entry::open(&message.payload).ok().and_then(|parts| place(&parts));
        let Some((at, _)) = at else {
            return Err(Failure::other(format!(
                "{} ends with no entry under {subject}",
                stream.name()
            )));
        };
        let (other, hash) = (message.other, entry::hash(&message.payload));
        Ok(Last { at: at.sequence, stream: message.sequence, other, hash })
    }

    async fn publish(
        &self,
        desk: &mut Desk,
        mut held: Held,
        accepted: Accepted,
    ) -> Result<Answer, Failure> {
        // Until everything is stored, what is held must be read again.
        desk.held = None;
        let count = accepted.history.len() + accepted.safe.len();
        let Accepted { history: shared, safe: sealed, notes, last, refused } = accepted;
        let last = last.unwrap_or((held.run, held.hash));
        let others = |own: &[u64], first: u64, at: u64| {
            own.iter().copied().filter(|other| *other < at).max().unwrap_or(first)
        };
        let in_safe: Vec<u64> = sealed.iter().map(|item| item.0).collect();
        let in_history: Vec<u64> = shared.iter().map(|item| item.0).collect();
        let office = shared.first().map(|item| item.1.at.origin.clone());
        let mut messages = Vec::new();
        for (sequence, fact, bytes) in shared {
            self.grants.note(&fact).await;
            let other = others(&in_safe, held.safe.0, sequence);
            held.history.0 = sequence;
            messages.push(Outgoing { subject: subject(&fact), other, payload: bytes.into() });
        }
        if let Some(office) = &office {
            let filter = format!("*.{office}.>");
            match self.store(&filter, held.history.1, messages).await? {
                Some(stream) => held.history.1 = stream,
                None => return Ok(answer("retry", "held-changed", Held::default())),
            }
        }
        let mut messages = Vec::new();
        let mut filter = String::new();
        for (sequence, bytes) in sealed {
            let at = entry::open(&bytes).ok().and_then(|parts| place(&parts));
            filter = at.map(|(at, _)| safe_subject(&at.origin)).unwrap_or_default();
            let other = others(&in_history, held.history.0.min(sequence), sequence);
            held.safe.0 = sequence;
            messages.push(Outgoing { subject: filter.clone(), other, payload: bytes.into() });
        }
        match self.store(&filter, held.safe.1, messages).await? {
            Some(stream) => held.safe.1 = stream,
            None => return Ok(answer("retry", "held-changed", Held::default())),
        }
        for (note, bytes) in notes {
            self.hub.note(note.subject(), bytes.into()).await?;
        }
        (held.run, held.hash) = last;
        desk.held = Some(held);
        self.counters.add("accepted", count as u64);
        Ok(match refused {
            Some(code) if for_now(code) => answer("retry", code, held),
            Some(code) => self.refuse(code, held),
            None => answer("held", "", held),
        })
    }

    /// Stores messages of one stream in order; `None` if the stream is not where
    /// it was thought to be.
    async fn store(
        &self,
        filter: &str,
        mut after: u64,
        messages: Vec<Outgoing>,
    ) -> Result<Option<u64>, Failure> {
        if messages.is_empty() {
            return Ok(Some(after));
        }
        let atomic = messages.len() >= ATOMIC_FROM;
        let parts: Vec<Vec<Outgoing>> =
            if atomic { vec![messages] } else { messages.into_iter().map(|m| vec![m]).collect() };
        for part in parts {
            let batch = self.office.setting().entropy.uuid();
            match self.hub.publish(&batch, filter, after, part).await? {
                Published::Stored(at) => after = at,
                Published::Behind(at) => {
                    tracing::warn!(filter, at, after, "the stream is not where it was");
                    return Ok(None);
                }
            }
        }
        Ok(Some(after))
    }

    /// The setting of the city's office.
    pub fn setting(&self) -> &Setting {
        self.office.setting()
    }

    /// The offices directly below another.
    pub(crate) async fn below(&self, office: &OfficeId) -> Result<Vec<OfficeId>, StoreError> {
        let all: Vec<(String, Entry)> = self.office.reader().await?.all(DIRECTORY, "").await?;
        let seats = all.into_iter().map(|(_, entry)| entry.member.seat);
        let below = seats.filter(|seat| seat.parent.as_ref() == Some(office));
        Ok(below.map(|seat| seat.office).collect())
    }

    /// The grants of papers that travelled through here.
    pub const fn grants(&self) -> &Grants {
        &self.grants
    }
}

#[derive(Default)]
struct Last {
    at: u64,
    stream: u64,
    other: u64,
    hash: Hash,
}

impl Desk {
    /// Takes tokens from the office's bucket.
    fn take(&mut self, count: usize) -> bool {
        let now = Instant::now();
        let more = now.duration_since(self.filled).as_secs_f64() * QUOTA.0;
        self.tokens = (self.tokens + more).min(QUOTA.1);
        self.filled = now;
        let count = f64::from(u32::try_from(count).unwrap_or(u32::MAX));
        if self.tokens < count {
            return false;
        }
        self.tokens -= count;
        true
    }
}

/// Whether the city will know better soon: after its upgrade, or once it has taken in
/// that the office has turned to the key, or moved to the place, that it was called to.
fn for_now(code: &str) -> bool {
    matches!(code, "unknown-type" | "key-unconfirmed" | "move-unconfirmed")
}

fn answer(answer: &str, code: &str, held: Held) -> Answer {
    let (answer, code) = (answer.to_owned(), code.to_owned());
    Answer { answer, code, sequence: held.run, hash: held.hash, back: None }
}

#[cfg(test)]
mod tests;

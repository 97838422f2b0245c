//! The relay: sends the office's whole log, in order, to the city's ingest.
//!
//! Entries of the audience `own` go sealed. What is held there is the hub's own
//! word, asked for at every connect and every minute; from it alone the relay
//! knows what to send, so a hub that was wiped or put back gets everything again.

use std::{sync::Arc, time::Instant};

use event_store::{Office, Reader, Setting, StoreError, log};
use kernel::{EntryRef, Fact, OfficeId, entry, refusal::Code, sign::Hash};
use serde::{Deserialize, Serialize};
use telemetry::way::{self, Step};

use crate::{
    fit::{Fit, fits},
    keys::{Keys, SentUpTo},
    link::{Failure, Link},
    lives::{self, Begun},
    safe::{self, Cover},
};

/// What the hub answers to a request on `in.<office>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// `held`, `retry`, `refused` or `fork`.
    pub answer: String,
    /// Why, as a stable code.
    pub code: String,
    /// The last sequence held of the unbroken run from 1.
    pub sequence: u64,
    /// The leaf hash of the item with that sequence, as it was sent.
    pub hash: Hash,
    /// To an office that asks for its entries back: the next of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub back: Option<Page>,
}

/// Items of an office's own log, in its order, as the hub holds them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// The items, in base64.
    pub items: Vec<String>,
    /// Where to go on in HISTORY.
    pub history: u64,
    /// Where to go on in SAFE.
    pub safe: u64,
}

/// What a turn came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Nothing is left to send.
    Idle,
    /// Something was sent; there may be more.
    Sent,
    /// The hub asks to wait.
    Wait,
    /// The log is behind, or another log was held: the office does not record.
    Behind,
    /// The hub refuses the log: a bug, kept for the city's decision.
    Refused,
}

/// The relay of one office.
pub struct Relay {
    office: Office,
    link: Arc<dyn Link>,
    keys: Keys,
    sealing: Arc<[u8; 32]>,
    held: Option<u64>,
}

const MOST: usize = 100;
const MOST_BYTES: usize = 400 * 1024;

impl Relay {
    /// A relay that knows nothing yet.
    pub fn new(office: Office, link: Arc<dyn Link>, keys: Keys, sealing: Arc<[u8; 32]>) -> Self {
        Self { office, link, keys, sealing, held: None }
    }

    /// How many own entries the hub does not hold yet, as far as is known.
    pub fn unsent(&self) -> u64 {
        self.office.head().saturating_sub(self.held.unwrap_or(0))
    }

    /// The last own sequence that the hub holds, as far as is known.
    pub const fn held(&self) -> Option<u64> {
        self.held
    }

    /// Forgets what is held, so that the next turn asks.
    pub const fn ask_again(&mut self) {
        self.held = None;
    }

    /// One turn: ask if nothing is known, else send the next batch.
    pub async fn turn(&mut self) -> Result<Turn, Failure> {
        if self.office.refusing() == Some(Code::KeyLost) {
            // What it would sign now nobody takes, and what lies at the hub it cannot make.
            return Ok(Turn::Refused);
        }
        let Some(held) = self.held else {
            let answer = self.ask(Vec::new()).await?;
            return self.compare(&answer).await;
        };
        if !self.office.has_key() {
            // What it would sign now nobody takes.
            return Ok(Turn::Refused);
        }
        let batch = self.batch(held).await.map_err(Failure::other)?;
        let Some((last, hash)) = batch.last().map(|item| (item.0, item.1)) else {
            return Ok(Turn::Idle);
        };
        let epoch = self.office.life().epoch;
        let key = Some(self.office.setting().key.now().public());
        let (keys, sent) = (self.keys.clone(), SentUpTo { epoch, sequence: last, hash, key });
        let noting = move || keys.write_json("sent-up-to", &sent);
        tokio::task::spawn_blocking(noting).await.map_err(Failure::other)??;
        let began = Instant::now();
        let body = entry::frame(batch.iter().map(|(_, _, bytes)| bytes.as_slice()));
        let answer = match self.ask(body).await {
            Ok(answer) => answer,
            Err(error) => {
                self.held = None;
                return Err(error);
            }
        };
        match answer.answer.as_str() {
            "held" if answer.sequence == last => {
                self.held = Some(last);
                let sent = batch.iter().map(|(_, _, bytes)| bytes.as_slice());
                let office = self.office.setting().office.as_str();
                way::travelled(Step::Relay, sent, office, began);
                Ok(Turn::Sent)
            }
            "held" => {
                self.held = None;
                Ok(Turn::Sent)
            }
            "retry" => {
                self.held = None;
                Ok(Turn::Wait)
            }
            "refused" if answer.code == "gap" => {
                // The hub lost its tail meanwhile: it says how far it goes when asked.
                self.held = None;
                Ok(Turn::Wait)
            }
            "fork" => Ok(self.stop("the hub holds another entry at the same place")),
            _ => {
                self.held = None;
                let office = &self.office.setting().office;
                tracing::error!(%office, code = %answer.code, sequence = answer.sequence, "the hub refuses this log");
                Ok(Turn::Refused)
            }
        }
    }

    async fn ask(&self, body: Vec<u8>) -> Result<Answer, Failure> {
        let bytes = self.link.ask(&self.office.setting().office, body).await?;
        Ok(serde_json::from_slice(&bytes)?)
    }

    /// Holds the hub's word against the own log.
    async fn compare(&mut self, answer: &Answer) -> Result<Turn, Failure> {
        if answer.answer != "held" {
            return Ok(Turn::Wait);
        }
        let (sequence, hash) = (answer.sequence, answer.hash);
        let fit = fits(&self.office, &self.keys, &self.sealing, sequence, hash).await;
        match fit.map_err(Failure::other)? {
            Fit::More => return Ok(self.stop("the hub holds more of this log than the office")),
            Fit::Other => return Ok(self.stop("the hub holds another entry at the same place")),
            Fit::Behind if self.office.refusing() == Some(Code::LogBehind) => {
                // The log will not get longer if the city has closed it here.
                let begun = lives::begin(&self.office, &self.keys).await;
                if begun.map_err(Failure::other)? != Begun::Now {
                    return Ok(Turn::Behind);
                }
            }
            Fit::Fits if self.office.refusing() == Some(Code::LogBehind) => {
                let begun = lives::begin(&self.office, &self.keys).await;
                if begun.map_err(Failure::other)? == Begun::Waits {
                    return Ok(Turn::Behind);
                }
            }
            Fit::Behind | Fit::Fits => {}
        }
        if self.office.refusing() == Some(Code::LogBehind) {
            self.office.refuse(None);
        }
        self.held = Some(sequence);
        Ok(Turn::Sent)
    }

    fn stop(&mut self, why: &str) -> Turn {
        self.held = None;
        if self.office.refusing() != Some(Code::LogBehind) {
            tracing::error!(office = %self.office.setting().office, why, "the office does not record");
        }
        self.office.refuse(Some(Code::LogBehind));
        Turn::Behind
    }

    /// The next items: (sequence, the entry's own hash, the bytes as sent).
    async fn batch(&self, held: u64) -> Result<Vec<(u64, Hash, Vec<u8>)>, StoreError> {
        let mut reader: Reader = self.office.reader().await?;
        let mut batch = Vec::new();
        let mut size = 0;
        for own in log::own_after(&mut reader, held, MOST).await? {
            let bytes = wire(&own, self.office.setting(), &self.sealing)?;
            size += bytes.len() + 4;
            if size > MOST_BYTES && !batch.is_empty() {
                break;
            }
            batch.push((own.sequence, own.hash, bytes));
        }
        Ok(batch)
    }
}

/// An own entry as it travels: as it is, or sealed if it is the office's own.
pub(crate) fn wire(
    own: &log::Own,
    setting: &Setting,
    sealing: &[u8; 32],
) -> Result<Vec<u8>, StoreError> {
    if own.lane.rsplit('.').next() != Some("own") {
        return Ok(own.entry.clone());
    }
    let at = EntryRef { origin: setting.office.clone(), epoch: own.epoch, sequence: own.sequence };
    let cover = Cover { at, hash: own.hash };
    // The same key as inside, so that the item is always the same; a lost one's place
    // is taken by the one that signs now.
    let signed = entry::open(&own.entry).ok().and_then(|parts| setting.key.by(&parts.key_id));
    safe::seal(&own.entry, &cover, sealing, &signed.unwrap_or_else(|| setting.key.now()))
        .map_err(|error| StoreError::Unfit(error.to_string()))
}

/// The place of an item as sent, whether open or sealed.
pub(crate) fn place(parts: &entry::Parts<'_>) -> Option<(EntryRef, Option<Fact>)> {
    match parts.form {
        entry::Form::Event => {
            let fact = Fact::parse(parts.payload).ok()?;
            Some((fact.at.clone(), Some(fact)))
        }
        entry::Form::Sealed => Some((safe::cover(parts.payload).ok()?.0.at, None)),
        entry::Form::Note => None,
    }
}

/// The subject of a shared entry.
pub(crate) fn subject(fact: &Fact) -> String {
    let (root, origin) = (fact.root.as_str(), &fact.at.origin);
    format!("{root}.{origin}.{}.{}", fact.audience, fact.family())
}

/// The subject of a sealed one.
pub(crate) fn safe_subject(origin: &OfficeId) -> String {
    format!("safe.{origin}")
}

//! 互证 Heads out, cosignatures in: what an office asks its witnesses, and keeps of their
//! answers.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use event_store::{Office, StoreError};
use kernel::{OfficeId, clock::wall, entry, id::Tier, note::Note as Word, sign::EventKey};
use ledger::{
    note::{Bad, Kind, Note, Verifier},
    proof::AddCheckpoint,
};

use super::{Ledger, Trouble, witness_name};
use crate::{
    directory::{DIRECTORY, Entry},
    link::{Failure, Link},
};

/// How often a witness is asked at most.
const PAUSE: Duration = Duration::from_secs(10);

/// How often it is looked up who the witnesses are.
const LOOK: Duration = Duration::from_mins(1);

/// What is known of a witness.
#[derive(Debug, Default)]
struct Known {
    /// Up to where it has cosigned, by its own word.
    size: u64,
    /// When it was asked last.
    asked: Option<Instant>,
}

/// Asks witnesses and keeps their answers.
#[derive(Debug)]
pub struct Exchange {
    ledger: Arc<Ledger>,
    /// The keys that witnesses were first seen with.
    pins: BTreeMap<OfficeId, String>,
    /// Who the witnesses are, and when that was looked up.
    witnesses: Vec<OfficeId>,
    looked: Option<Instant>,
    known: BTreeMap<OfficeId, Known>,
    /// Which words were looked at, by their subjects.
    heard: BTreeMap<String, i64>,
}

/// Who witnesses the log of an office: whoever is above it, the city, of the districts the
/// next one; the city is witnessed by all its districts. A township need not look them up.
async fn witnesses(office: &Office) -> Result<Vec<OfficeId>, StoreError> {
    let setting = office.setting();
    let mut found: Vec<OfficeId> = office.here().parent.into_iter().collect();
    if setting.tier != Tier::City {
        found.push(setting.city.clone());
    }
    if setting.tier != Tier::Township {
        let members: Vec<(String, Entry)> = office.reader().await?.all(DIRECTORY, "").await?;
        let seats = members.into_iter().map(|(_, entry)| entry.member.seat);
        let others =
            seats.filter(|seat| seat.tier == Tier::District && seat.office != setting.office);
        let others: BTreeSet<OfficeId> = others.map(|seat| seat.office).collect();
        if setting.tier == Tier::City {
            found.extend(others);
        } else {
            let next = others.range(setting.office.clone()..).next().or_else(|| others.first());
            found.extend(next.cloned());
        }
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// The notes whose subjects begin so and that were not heard before; marks them as heard.
pub(super) async fn news(
    ledger: &Ledger,
    prefix: &str,
    heard: &mut BTreeMap<String, i64>,
) -> Result<Vec<Word>, StoreError> {
    // The same in every collation, unlike a range.
    // The length is written out: PostgreSQL's substr takes no 64 bit number.
    let many = prefix.len();
    let sql = format!("SELECT subject, seen FROM notes WHERE substr(subject, 1, {many}) = $1");
    let (mut found, mut reader) = (Vec::new(), ledger.office().reader().await?);
    for row in reader.rows(&sql, vec![prefix.into()]).await? {
        let (subject, seen) = (row.text(0)?, row.int(1)?);
        if heard.get(&subject).is_some_and(|heard| seen <= *heard) {
            continue;
        }
        let sql = "SELECT note FROM notes WHERE subject = $1";
        for row in reader.rows(sql, vec![subject.as_str().into()]).await? {
            let bytes = row.blob(0)?;
            let word = entry::open(&bytes).ok().and_then(|parts| Word::parse(parts.payload).ok());
            found.extend(word);
        }
        heard.insert(subject, seen);
    }
    Ok(found)
}

/// Says words through the own door at the hub, each by itself: one that is refused, or that
/// a hub of an older version does not know, holds up no other.
pub(super) async fn say(ledger: &Ledger, link: &dyn Link, words: &[Word]) -> Result<(), Failure> {
    let key: Arc<EventKey> = ledger.office().setting().key.now();
    for word in words {
        let signed = word.sign(&key).map_err(Failure::other)?;
        let body = entry::frame([signed.as_slice()]);
        let answer = link.ask(&ledger.office().setting().office, body).await?;
        let answer: crate::relay::Answer = serde_json::from_slice(&answer)?;
        if answer.answer != "held" {
            tracing::debug!(subject = word.subject(), code = answer.code, "a word was not taken");
        }
    }
    Ok(())
}

/// The file with the keys of the witnesses, as each was first seen, in the key folder.
const PINS: &str = "witnesses.json";

impl Exchange {
    /// Knows the witnesses' keys, and nothing of their answers yet.
    pub fn open(ledger: Arc<Ledger>) -> io::Result<Self> {
        let pins = ledger.keys().read(PINS)?.unwrap_or_default();
        let (witnesses, known, heard) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
        Ok(Self { ledger, pins, witnesses, looked: None, known, heard })
    }

    /// Whether some witness has not cosigned the newest head.
    pub fn lags(&self) -> bool {
        let size = self.ledger.head().map_or(0, |(head, _)| head.size);
        self.known.is_empty() || self.known.values().any(|known| known.size < size)
    }

    /// One turn: answers are kept, and whoever lacks the newest head is sent it.
    pub async fn turn(&mut self, link: &dyn Link) -> Result<(), Failure> {
        let words = self.words().await.map_err(Failure::other)?;
        say(&self.ledger, link, &words).await
    }

    async fn words(&mut self) -> Result<Vec<Word>, Trouble> {
        if self.looked.is_none_or(|at| at.elapsed() > LOOK) {
            self.witnesses = witnesses(self.ledger.office()).await?;
            self.looked = Some(Instant::now());
            self.known.retain(|office, _| self.witnesses.contains(office));
        }
        let own = self.ledger.office().setting().office.clone();
        for word in news(&self.ledger, &format!("at.cs.{own}."), &mut self.heard).await? {
            let Word::Cosigned { by, head, key, .. } = word else { continue };
            if !self.witnesses.contains(&by) {
                continue;
            }
            let size = self.hear(&by, &key, head.as_deref()).unwrap_or_else(|trouble| {
                tracing::error!(witness = %by, %trouble, "its word on the own log does not count");
                0
            });
            self.known.entry(by).or_default().size = size;
        }
        self.asks(&own)
    }

    /// Keeps a witness's word: up to where it has cosigned this life of the own log.
    fn hear(&mut self, by: &OfficeId, key: &str, head: Option<&str>) -> Result<u64, Trouble> {
        let verifier = Verifier::parse(key)?;
        if verifier.name() != witness_name(by) || verifier.kind() != Kind::Cosignature {
            return Err(Bad::Key("of another office").into());
        }
        if self.pins.get(by).is_some_and(|pin| pin != key) {
            return Err(Bad::Key("another one than this witness had").into());
        }
        if self.pins.insert(by.clone(), key.to_owned()).is_none() {
            self.ledger.keys().write_json(PINS, &self.pins)?;
        }
        let Some(head) = head else { return Ok(0) };
        self.ledger.keep(by.as_str(), &verifier, &Note::parse(head)?)
    }

    fn asks(&mut self, own: &OfficeId) -> Result<Vec<Word>, Trouble> {
        let Some((head, note)) = self.ledger.head() else { return Ok(Vec::new()) };
        let epoch = self.ledger.office().life().epoch;
        let log = self.ledger.signer(epoch)?.verifier().to_string();
        let mut words = Vec::new();
        for to in self.witnesses.clone() {
            let known = self.known.entry(to.clone()).or_default();
            let waits = known.asked.is_some_and(|at| at.elapsed() < PAUSE);
            if known.size >= head.size || waits {
                continue;
            }
            known.asked = Some(Instant::now());
            let old = known.size;
            let proof = self.ledger.with(epoch, |book| book.consistency(old, head.size))?;
            let Some(nodes) = proof.flatten() else { continue };
            let asked = AddCheckpoint { old, nodes, checkpoint: note.clone() };
            let (by, at, body, key) = (own.clone(), wall(), asked.to_string(), log.clone());
            words.push(Word::Checkpoint { by, to, at, body, key });
        }
        Ok(words)
    }
}

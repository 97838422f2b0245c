//! 互证 Heads out, cosignatures in: what an office asks its witnesses, and keeps of their
//! answers.

use std::{
    collections::BTreeMap,
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use event_store::StoreError;
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

/// What is known of a witness.
#[derive(Debug, Default)]
struct Known {
    /// Up to where it has cosigned, by its own word.
    size: u64,
    /// When it was asked last.
    asked: Option<Instant>,
    /// The last word of it that was looked at.
    heard: i64,
}

/// Asks witnesses and keeps their answers.
#[derive(Debug)]
pub struct Exchange {
    ledger: Arc<Ledger>,
    /// The keys that witnesses were first seen with.
    pins: BTreeMap<OfficeId, String>,
    known: BTreeMap<OfficeId, Known>,
}

/// Who witnesses the log of an office: whoever is above it, the city, of the districts the
/// next one; the city is witnessed by all its districts.
fn witnesses(own: &OfficeId, members: &BTreeMap<OfficeId, Entry>) -> Vec<OfficeId> {
    let Some(place) = members.get(own).map(|entry| &entry.member.seat) else { return Vec::new() };
    let districts = || {
        let all = members.values().map(|entry| &entry.member.seat);
        all.filter(|seat| seat.tier == Tier::District).map(|seat| seat.office.clone())
    };
    let mut found: Vec<OfficeId> = match place.tier {
        Tier::City => districts().collect(),
        tier => {
            let city = members.values().map(|entry| &entry.member.seat);
            let city = city.filter(|seat| seat.tier == Tier::City).map(|seat| seat.office.clone());
            let next = districts().find(|office| office > own).or_else(|| districts().next());
            let next = next.filter(|next| tier == Tier::District && next != own);
            place.parent.clone().into_iter().chain(city).chain(next).collect()
        }
    };
    found.sort_unstable();
    found.dedup();
    found
}

/// The notes whose subjects begin so.
pub(super) async fn kept(
    ledger: &Ledger,
    prefix: &str,
) -> Result<Vec<(Word, Vec<u8>)>, StoreError> {
    // The same in every collation, unlike a range.
    let sql = "SELECT note FROM notes WHERE substr(subject, 1, $1) = $2 ORDER BY subject";
    let args = vec![(prefix.len() as u64).into(), prefix.into()];
    let mut found = Vec::new();
    for row in ledger.office().reader().await?.rows(sql, args).await? {
        let bytes = row.blob(0)?;
        let word = entry::open(&bytes).ok().and_then(|parts| Word::parse(parts.payload).ok());
        found.extend(word.map(|word| (word, bytes)));
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
        Ok(Self { ledger, pins, known: BTreeMap::new() })
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
        let office = self.ledger.office();
        let own = office.setting().office.clone();
        let members: Vec<(String, Entry)> = office.reader().await?.all(DIRECTORY, "").await?;
        let of = |(_, entry): (String, Entry)| (entry.member.seat.office.clone(), entry);
        let witnesses = witnesses(&own, &members.into_iter().map(of).collect());
        self.known.retain(|office, _| witnesses.contains(office));
        for (word, _) in kept(&self.ledger, &format!("at.cs.{own}.")).await? {
            let Word::Cosigned { by, at, head, key, .. } = word else { continue };
            let known = self.known.get(&by).map_or(0, |known| known.heard);
            if !witnesses.contains(&by) || at.0 <= known {
                continue;
            }
            let size = self.hear(&by, &key, head.as_deref()).unwrap_or_else(|trouble| {
                tracing::error!(witness = %by, %trouble, "its word on the own log does not count");
                0
            });
            let known = self.known.entry(by).or_default();
            (known.heard, known.size) = (at.0, size);
        }
        self.asks(&own, witnesses)
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
        self.ledger.keep(by, &verifier, &Note::parse(head)?)
    }

    fn asks(&mut self, own: &OfficeId, witnesses: Vec<OfficeId>) -> Result<Vec<Word>, Trouble> {
        let Some((head, note)) = self.ledger.head() else { return Ok(Vec::new()) };
        let epoch = self.ledger.office().life().epoch;
        let log = self.ledger.signer(epoch)?.verifier().to_string();
        let mut words = Vec::new();
        for to in witnesses {
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

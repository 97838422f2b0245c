//! 互证 Heads out, cosignatures in: what an office asks its witnesses, and keeps of their
//! answers.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use event_store::StoreError;
use kernel::{OfficeId, clock::wall, entry, id::Tier, note::Note as Word, sign::EventKey};
use ledger::{
    note::{Kind, Note, Verifier},
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
    /// The key that it was first seen with.
    key: Option<Verifier>,
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
    let sql = "SELECT note FROM notes WHERE subject >= $1 AND subject < $2 ORDER BY subject";
    let args = vec![prefix.into(), format!("{prefix}~").as_str().into()];
    let mut found = Vec::new();
    for row in ledger.office().reader().await?.rows(sql, args).await? {
        let bytes = row.blob(0)?;
        let word = entry::open(&bytes).ok().and_then(|parts| Word::parse(parts.payload).ok());
        found.extend(word.map(|word| (word, bytes)));
    }
    Ok(found)
}

/// Says words through the own door at the hub. A hub of an older version knows none of
/// them: then it is as if nobody heard.
pub(super) async fn say(ledger: &Ledger, link: &dyn Link, words: &[Word]) -> Result<bool, Failure> {
    let key: Arc<EventKey> = ledger.office().setting().key.now();
    for part in words.chunks(20) {
        let signed: Result<Vec<_>, _> = part.iter().map(|word| word.sign(&key)).collect();
        let body = entry::frame(signed.map_err(Failure::other)?.iter().map(Vec::as_slice));
        let answer = link.ask(&ledger.office().setting().office, body).await?;
        let answer: crate::relay::Answer = serde_json::from_slice(&answer)?;
        if answer.answer != "held" {
            return Ok(false);
        }
    }
    Ok(true)
}

impl Exchange {
    /// Knows nobody yet.
    pub fn new(ledger: Arc<Ledger>) -> Self {
        Self { ledger, known: BTreeMap::new() }
    }

    /// Whether some witness has not cosigned the newest head.
    pub fn lags(&self) -> bool {
        let size = self.ledger.head().map_or(0, |(head, _)| head.size);
        self.known.is_empty() || self.known.values().any(|known| known.size < size)
    }

    /// One turn: answers are kept, and whoever lacks the newest head is sent it.
    pub async fn turn(&mut self, link: &dyn Link) -> Result<(), Failure> {
        self.hear().await.map_err(Failure::other)?;
        let words = self.asks().await.map_err(Failure::other)?;
        if !words.is_empty() {
            say(&self.ledger, link, &words).await?;
        }
        Ok(())
    }

    async fn hear(&mut self) -> Result<(), Trouble> {
        let own = self.ledger.office().setting().office.clone();
        for (word, _) in kept(&self.ledger, &format!("at.cs.{own}.")).await? {
            let Word::Cosigned { by, at, size, head, key, .. } = word else { continue };
            let known = self.known.entry(by.clone()).or_default();
            if at.0 <= known.heard {
                continue;
            }
            known.heard = at.0;
            let verifier = Verifier::parse(&key)?;
            let named =
                verifier.name() == witness_name(&by) && verifier.kind() == Kind::Cosignature;
            if !named || known.key.as_ref().is_some_and(|key| *key != verifier) {
                tracing::error!(witness = %by, "a witness has another key than before: it does not count");
                continue;
            }
            known.key = Some(verifier.clone());
            // What it has of another life of this log is not asked about.
            known.size = size;
            if let Some(head) = head {
                let note = Note::parse(&head)?;
                if !self.ledger.keep(&by, &verifier, &note)? {
                    tracing::debug!(witness = %by, "a cosignature that says nothing new");
                }
            }
        }
        Ok(())
    }

    async fn asks(&mut self) -> Result<Vec<Word>, Trouble> {
        let Some((head, note)) = self.ledger.head() else { return Ok(Vec::new()) };
        let office = self.ledger.office();
        let own = office.setting().office.clone();
        let epoch = office.life().epoch;
        let due = |known: &Known| {
            known.size < head.size && known.asked.is_none_or(|at| at.elapsed() >= PAUSE)
        };
        if !self.known.is_empty() && !self.known.values().any(due) {
            return Ok(Vec::new());
        }
        let members: Vec<(String, Entry)> = office.reader().await?.all(DIRECTORY, "").await?;
        let of = |(_, entry): (String, Entry)| (entry.member.seat.office.clone(), entry);
        let members: BTreeMap<OfficeId, Entry> = members.into_iter().map(of).collect();
        let log = self.ledger.signer(epoch)?.verifier().to_string();
        let mut words = Vec::new();
        for to in witnesses(&own, &members) {
            let known = self.known.entry(to.clone()).or_default();
            if !due(known) {
                continue;
            }
            known.asked = Some(Instant::now());
            let old = known.size;
            let proof = self.ledger.with(epoch, |book| book.consistency(old, head.size))?;
            let Some(proof) = proof.flatten() else { continue };
            let (by, at) = (own.clone(), wall());
            let asked = AddCheckpoint { old, nodes: proof, checkpoint: note.clone() };
            let (body, key) = (asked.to_string(), log.clone());
            words.push(Word::Checkpoint { by, to, at, body, key });
        }
        Ok(words)
    }
}

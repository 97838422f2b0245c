//! The audit of what a fault left: is what was answered there, whole, and once?
//!
//! It reads first and asks afterwards. A command counts as *ambiguous* if it was
//! applied but its answer never arrived; that is allowed, and asking again must
//! then find the answer and change nothing.

use std::collections::{BTreeMap, BTreeSet};

use event_store::{Engine, Office, Reader, StoreError};
use kernel::{Fact, entry, sign::Hash};
use serde::{Deserialize, Serialize};

use super::script::{Command, Incoming, Place, commands};

/// What the office said before the fault.
#[derive(Clone, Debug, Default)]
pub struct Said {
    /// Answers by key.
    pub answers: BTreeMap<String, Hash>,
    /// Turns whose delivery was taken in.
    pub taken: BTreeSet<usize>,
    /// The last sequence noted as sent.
    pub sent: u64,
}

impl Said {
    /// Reads the lines of the office's output; a line without its end was not said.
    pub fn read(output: &str) -> Self {
        let mut said = Self::default();
        for line in output.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words[..] {
                ["answered", key, hash] => {
                    said.answers.insert(key.to_owned(), Hash::parse(hash).unwrap());
                }
                ["took", turn] => {
                    said.taken.insert(turn.parse().unwrap());
                }
                ["sent", sequence] => said.sent = sequence.parse().unwrap(),
                _ => {}
            }
        }
        said
    }
}

/// What the audit found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// How many answers had been given.
    pub acknowledged: usize,
    /// How many commands were applied although nobody was told.
    pub ambiguous: usize,
    /// What was answered and is not there, or is answered differently now.
    pub lost: Vec<String>,
    /// What happened more than once.
    pub doubled: Vec<String>,
    /// What is there in part, or does not fit together.
    pub torn: Vec<String>,
}

impl Verdict {
    /// Whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.lost.is_empty() && self.doubled.is_empty() && self.torn.is_empty()
    }
}

/// Opens what is left and holds it against what was said.
pub async fn audit(place: &Place, turns: usize, said: &Said) -> Verdict {
    let mut verdict =
        Verdict { acknowledged: said.answers.len() + said.taken.len(), ..Verdict::default() };
    let keys = place.keys();
    let office = match Office::open(place.setting(&keys)).await {
        Ok(office) => office,
        Err(error) => {
            verdict.torn.push(format!("the store does not open: {error:?}"));
            return verdict;
        }
    };
    if let Err(error) = hold(&office, place, turns, said, &mut verdict).await {
        verdict.torn.push(format!("the store does not read: {error:?}"));
    }
    verdict
}

async fn hold(
    office: &Office,
    place: &Place,
    turns: usize,
    said: &Said,
    verdict: &mut Verdict,
) -> Result<(), StoreError> {
    let mut reader = office.reader().await?;
    if matches!(place.engine(), Engine::Sqlite(_)) {
        let answer = reader.rows("PRAGMA integrity_check", vec![]).await?;
        let answer = answer.first().map_or(Ok(String::new()), |row| row.text(0))?;
        if answer != "ok" {
            verdict.torn.push(format!("SQLite: {answer}"));
        }
    }
    let before = whole(office, &mut reader, verdict).await?;
    sent(place, said, &before, verdict);
    let taken = received(&mut reader).await?;
    for turn in &said.taken {
        if !taken.contains(&(*turn as u64 + 2)) {
            verdict.lost.push(format!("delivery {turn}"));
        }
    }
    for command in commands(turns) {
        ask_again(office, &command, &before, said, verdict).await;
    }
    let incoming = Incoming::new();
    for turn in 0..turns {
        if let Err(refusal) = office.system(incoming.delivery(turn)).await {
            verdict.torn.push(format!("delivery {turn} is refused: {:?}", refusal.code));
        }
    }
    let expected: Vec<u64> = (1..turns as u64 + 2).collect();
    if received(&mut reader).await? != expected {
        verdict.doubled.push("a delivery".to_owned());
    }
    let after = whole(office, &mut reader, verdict).await?;
    let due: BTreeSet<Effect> = commands(turns).iter().flat_map(effects).collect();
    for (effect, times) in after.effects {
        if times != 1 || !due.contains(&effect) {
            verdict.doubled.push(format!("{times} x {effect:?}"));
        }
    }
    Ok(())
}

type Effect = (String, String);

fn effects(command: &Command) -> Vec<Effect> {
    command.effects().into_iter().map(|(stream, kind)| (stream, kind.to_owned())).collect()
}

/// Asks a command again; it must have happened wholly or not at all before.
async fn ask_again(
    office: &Office,
    command: &Command,
    before: &Log,
    said: &Said,
    verdict: &mut Verdict,
) {
    let effects = effects(command);
    let there = effects.iter().filter(|effect| before.effects.contains_key(*effect)).count();
    if there != 0 && there != effects.len() {
        verdict.torn.push(format!("{}: {there} of {} effects", command.key, effects.len()));
    }
    let head = office.head();
    let answer = command.ask(office).await;
    let changed = office.head() != head;
    let hash = match answer {
        Ok(hash) => hash,
        Err(refusal) => {
            verdict.torn.push(format!("{} is refused: {:?}", command.key, refusal.code));
            return;
        }
    };
    match said.answers.get(&command.key) {
        Some(told) if *told != hash || changed || there == 0 => {
            verdict.lost.push(command.key.clone());
        }
        None if there > 0 && changed => verdict.doubled.push(command.key.clone()),
        None if there > 0 => verdict.ambiguous += 1,
        _ => {}
    }
}

/// The own log: what stands in it how often, and the hash at each place.
#[derive(Default)]
struct Log {
    effects: BTreeMap<Effect, usize>,
    hashes: Vec<Hash>,
}

/// Reads the own log and checks that it is dense, signed, and what the views say.
async fn whole(
    office: &Office,
    reader: &mut Reader,
    verdict: &mut Verdict,
) -> Result<Log, StoreError> {
    let mut found = Log::default();
    let mut lanes: BTreeMap<String, u64> = BTreeMap::new();
    let mut versions: BTreeMap<String, u64> = BTreeMap::new();
    let key = office.setting().key.now().public();
    for (own, place) in event_store::log::own_after(reader, 0, 100_000).await?.iter().zip(1..) {
        let read = Fact::of_entry(&own.entry).ok();
        let signed = entry::open(&own.entry).is_ok_and(|parts| parts.is_signed_by(&key));
        let Some((fact, hash)) = read.filter(|(_, hash)| signed && *hash == own.hash) else {
            verdict.torn.push(format!("entry {place} is not what was signed"));
            continue;
        };
        let lane = lanes.entry(own.lane.clone()).or_default();
        *lane += 1;
        let mut dense = own.sequence == place && fact.at.sequence == place && fact.lane == *lane;
        if let Some(version) = fact.version {
            let last = versions.entry(fact.stream.clone()).or_default();
            *last += 1;
            dense &= version == *last;
            if fact.family() != "intake" {
                *found.effects.entry((fact.stream.clone(), fact.kind.clone())).or_default() += 1;
            }
        }
        if !dense {
            verdict.torn.push(format!("a gap before entry {}", own.sequence));
        }
        found.hashes.push(hash);
    }
    if office.head() != found.hashes.len() as u64 {
        verdict.torn.push(format!("head {}, {} entries", office.head(), found.hashes.len()));
    }
    for row in reader
        .rows(
            "SELECT lane, counter FROM lanes WHERE origin = $1",
            vec![office.setting().office.as_str().into()],
        )
        .await?
    {
        if lanes.get(&row.text(0)?) != Some(&row.count(1)?) {
            verdict.torn.push(format!("the head of lane {}", row.text(0)?));
        }
    }
    if let Some(difference) = office.check_views().await? {
        verdict.torn.push(format!("{difference:?}"));
    }
    Ok(found)
}

/// The city's sequences that were taken in.
async fn received(reader: &mut Reader) -> Result<Vec<u64>, StoreError> {
    let rows = reader.rows("SELECT sequence FROM received ORDER BY position", vec![]).await?;
    rows.iter().map(|row| row.count(0)).collect()
}

/// The note of what was sent is whole, not behind its word and not ahead of the log.
fn sent(place: &Place, said: &Said, log: &Log, verdict: &mut Verdict) {
    let note = match place.keys().sent_up_to() {
        Ok(note) => note,
        Err(error) => {
            verdict.torn.push(format!("sent-up-to does not read: {error}"));
            return;
        }
    };
    let sequence = note.as_ref().map_or(0, |note| note.sequence);
    if sequence < said.sent {
        verdict.lost.push(format!("sent-up-to {}, it is {sequence}", said.sent));
    }
    if let Some(note) = note {
        let at = usize::try_from(note.sequence).unwrap();
        if at.checked_sub(1).and_then(|at| log.hashes.get(at)) != Some(&note.hash) {
            verdict.lost.push(format!("entry {} that sent-up-to names", note.sequence));
        }
    }
}

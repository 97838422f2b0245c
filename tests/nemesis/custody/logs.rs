//! The offices' whole logs, read from their stores, and what must be in them.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use event_store::{
    Engine,
    db::{Conn, Row},
};
use kernel::{Audience, EntryRef, Fact, OfficeId, sign::Hash};

use super::{
    chain::{Told, Word, told},
    clerks::{Ack, Book},
};
use crate::nemesis::offices::Offices;

/// The log of one office, or of the store that it lost.
#[derive(Default)]
pub(crate) struct Log {
    /// Every own entry.
    pub(crate) own: BTreeMap<u64, Hash>,
    pub(crate) words: Vec<Word>,
    /// Words that are told to another office.
    told: Vec<(EntryRef, Hash, OfficeId)>,
    /// What of others is held here.
    held: BTreeMap<EntryRef, Hash>,
}

async fn rows(store: &Path, sql: &str) -> Result<Vec<Row>, String> {
    let text = |error: event_store::StoreError| format!("{}: {error}", store.display());
    let engine = Engine::Sqlite(store.to_owned());
    let mut store = Conn::open_reader(&engine).await.map_err(text)?;
    let rows = store.rows(sql, vec![]).await.map_err(text);
    store.close().await;
    rows
}

/// The last sequence of a store.
pub(crate) async fn head(store: &Path) -> Result<u64, String> {
    let rows = rows(store, "SELECT COALESCE(MAX(sequence), 0) FROM entries").await?;
    rows[0].count(0).map_err(|error| error.to_string())
}

impl Log {
    /// Reads a store, in use or not.
    pub(crate) async fn of(store: &Path) -> Result<Self, String> {
        let mut log = Self::default();
        for row in rows(store, "SELECT entry FROM entries ORDER BY sequence").await? {
            let bytes = row.blob(0).map_err(|error| error.to_string())?;
            let (fact, hash) = Fact::of_entry(&bytes).map_err(|error| error.to_string())?;
            log.own.insert(fact.at.sequence, hash);
            let Some(word) = Word::of(&fact, hash)? else { continue };
            if let Audience::To(office) = &fact.audience {
                log.told.push((fact.at.clone(), hash, office.clone()));
            }
            log.words.push(word);
        }
        for row in rows(store, "SELECT entry FROM received").await? {
            let bytes = row.blob(0).map_err(|error| error.to_string())?;
            let (fact, hash) = Fact::of_entry(&bytes).map_err(|error| error.to_string())?;
            log.held.insert(fact.at, hash);
        }
        Ok(log)
    }
}

/// What is known of the logs over the whole run.
#[derive(Default)]
pub(crate) struct Auditor {
    /// Every entry that was ever seen in its own log.
    seen: BTreeMap<(OfficeId, u64), Hash>,
    /// Commands whose words went with a store, and entries.
    pub(crate) excused: [u64; 2],
    pub(crate) audits: u64,
    pub(crate) entries: usize,
}

impl Auditor {
    /// Reads everything and says what is wrong; `whole` if nobody writes meanwhile and all
    /// that was said has come.
    pub(crate) async fn audit(
        &mut self,
        offices: &Offices,
        book: &Book,
        whole: bool,
    ) -> Result<Told, String> {
        self.audits += 1;
        let acks = book.acks.lock().unwrap().clone();
        let mut heads: BTreeMap<OfficeId, u64> = BTreeMap::new();
        for seat in offices.seats.values() {
            heads.insert(seat.id(), head(&seat.config.data).await?);
        }
        let mut logs: BTreeMap<OfficeId, Log> = BTreeMap::new();
        for seat in offices.seats.values() {
            logs.insert(seat.id(), Log::of(&seat.config.data).await?);
        }
        let words: Vec<Word> = logs.values().flat_map(|log| log.words.iter().cloned()).collect();
        let before = |word: &Word| {
            whole || heads.get(&word.at.origin).is_some_and(|head| word.at.sequence <= *head)
        };
        let mut told = told(&words, before, whole);
        told.wrong.extend(acknowledged(&acks, &words));
        told.wrong.extend(self.nothing_went(&logs));
        if whole {
            told.wrong.extend(everybody_heard(&logs));
        }
        Ok(told)
    }

    /// Logs only grow, but for what is known to be lost.
    fn nothing_went(&mut self, logs: &BTreeMap<OfficeId, Log>) -> Vec<String> {
        let mut wrong = Vec::new();
        for ((office, sequence), hash) in &self.seen {
            let now = logs.get(office).and_then(|log| log.own.get(sequence));
            if now != Some(hash) {
                wrong.push(format!("{office}/{sequence} was in its log and is another, or none"));
            }
        }
        for (office, log) in logs {
            let own = log.own.iter().map(|(at, hash)| ((office.clone(), *at), *hash));
            self.seen.extend(own);
        }
        self.entries = self.seen.len();
        wrong
    }

    /// A store is lost, and the hub holds its log to this place.
    pub(crate) fn lost(&mut self, office: &OfficeId, store: &Log, held: u64, book: &Book) {
        let before = self.seen.len();
        self.seen.retain(|(of, sequence), _| of != office || *sequence <= held);
        let words = store.words.iter().filter(|word| word.at.sequence > held);
        let gone: BTreeSet<(&str, u64)> =
            words.map(|word| (word.stream.as_str(), word.version)).collect();
        let mut acks = book.acks.lock().unwrap();
        let all = acks.len();
        let is_gone = |ack: &Ack| {
            (ack.versions.0..=ack.versions.1).any(|at| gone.contains(&(ack.stream.as_str(), at)))
        };
        acks.retain(|ack| !is_gone(ack));
        self.excused[0] += (all - acks.len()) as u64;
        let never_seen = store.own.keys().filter(|at| **at > held).count();
        self.excused[1] += never_seen.max(before - self.seen.len()) as u64;
    }
}

/// What was answered with yes stands in the log.
fn acknowledged(acks: &[Ack], words: &[Word]) -> Vec<String> {
    let by_place: BTreeMap<(&str, u64), &Word> =
        words.iter().map(|word| ((word.stream.as_str(), word.version), word)).collect();
    let mut wrong = Vec::new();
    for ack in acks {
        let (from, to) = ack.versions;
        let there: Vec<&str> = (from..=to)
            .filter_map(|at| by_place.get(&(ack.stream.as_str(), at)).map(|word| word.name()))
            .collect();
        if there.len() as u64 != to + 1 - from || !ack.left.iter().any(|it| there.contains(it)) {
            let Ack { stream, left, .. } = ack;
            wrong.push(format!("lost: {stream} v{from} to v{to}, {left:?}: there is {there:?}"));
        }
    }
    wrong
}

/// Every word is with whom it was told, byte for byte.
fn everybody_heard(logs: &BTreeMap<OfficeId, Log>) -> Vec<String> {
    let mut wrong = Vec::new();
    for log in logs.values() {
        for (at, hash, to) in &log.told {
            let own = at.origin == *to;
            let held = logs.get(to).and_then(|reader| reader.held.get(at));
            if !own && held != Some(hash) {
                wrong.push(format!("{at} was told to {to}, which holds {held:?}"));
            }
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_answered_and_is_not_there_is_found() {
        let ack = Ack { stream: "clue/x-1".into(), versions: (3, 3), left: &["sealed"] };
        assert_eq!(acknowledged(&[ack], &[]).len(), 1);
        let office = OfficeId::parse("aaaaaaaa").unwrap();
        let log = |hash: u8| Log { own: [(1, Hash([hash; 32]))].into(), ..Log::default() };
        let mut auditor = Auditor::default();
        assert_eq!(auditor.nothing_went(&[(office.clone(), log(1))].into()).len(), 0);
        assert_eq!(auditor.nothing_went(&[(office.clone(), log(1))].into()).len(), 0);
        assert_eq!(auditor.nothing_went(&[(office.clone(), log(2))].into()).len(), 1);
        auditor.lost(&office, &log(2), 0, &Book::default());
        assert_eq!(auditor.nothing_went(&[(office, Log::default())].into()).len(), 0);
    }
}

//! The rows that a fold over a long history has in memory: few, and the newest.
//!
//! Most rows that a fold asks for are new: a filter over what was ever written says
//! so without a look into the store, however little of it is still in memory.

use std::{
    collections::{HashMap, hash_map::RandomState},
    hash::BuildHasher,
    sync::Arc,
};

use crate::rows::{Layer, Memory, RowKey};

/// How many changed rows wait for one writing, about: a row that changes again and again
/// is written once, but the writer is taken for as long as a writing lasts.
const MOST_CHANGED: usize = 4_000;
/// How many bytes of them.
const MOST_CHANGED_BYTES: usize = 2 << 20;
/// How many bytes of rows stay in memory between the writings, as many again of those
/// that were not changed for longer.
const MOST_YOUNG_BYTES: usize = 16 << 20;

/// The rows in memory.
#[derive(Debug)]
pub(crate) struct InMemory {
    /// Changed since rows were last handed out, in the order in which they are written.
    changed: Layer,
    changed_bytes: usize,
    /// Handed out, and perhaps not written yet.
    handed_out: Arc<Layer>,
    /// As they are written, or known not to be there.
    young: HashMap<RowKey, Option<Arc<str>>>,
    young_bytes: usize,
    /// What was young before; it goes when there is as much again.
    old: HashMap<RowKey, Option<Arc<str>>>,
    /// What was ever handed out; nobody knows it of a fold that began half-way.
    ever: Option<Filter>,
}

static ABSENT: Option<Arc<str>> = None;

impl Memory for InMemory {
    fn row(&self, at: &RowKey) -> Option<&Option<Arc<str>>> {
        let new = self.changed.get(at).or_else(|| self.handed_out.get(at));
        let known = new.or_else(|| self.young.get(at));
        known.or_else(|| self.old.get(at)).or_else(|| {
            let never = self.ever.as_ref().is_some_and(|ever| !ever.may_hold(at));
            never.then_some(&ABSENT)
        })
    }
}

impl InMemory {
    /// Nothing yet; `empty` if there are no rows in the store either.
    pub(crate) fn of(empty: bool) -> Self {
        Self {
            changed: Layer::new(),
            changed_bytes: 0,
            handed_out: Arc::default(),
            young: HashMap::new(),
            young_bytes: 0,
            old: HashMap::new(),
            ever: empty.then(Filter::default),
        }
    }

    /// Takes in what a fold has changed.
    pub(crate) fn change(&mut self, written: Layer) {
        for (at, body) in written {
            self.changed_bytes += bytes(body.as_ref());
            if let Some(before) = self.changed.insert(at, body) {
                self.changed_bytes -= bytes(before.as_ref());
            }
        }
    }

    /// What has changed since rows were last handed out.
    pub(crate) fn changes(&self) -> &Layer {
        &self.changed
    }

    /// The same, when nothing more will be folded.
    pub(crate) fn into_changes(self) -> Layer {
        self.changed
    }

    /// Takes in rows of the store.
    pub(crate) fn know(&mut self, rows: Layer) {
        self.young_bytes += rows.values().map(|body| bytes(body.as_ref())).sum::<usize>();
        self.young.extend(rows);
    }

    /// Whether so much has changed that it should be written.
    pub(crate) fn is_full(&self) -> bool {
        self.changed.len() >= MOST_CHANGED || self.changed_bytes >= MOST_CHANGED_BYTES
    }

    /// Hands out what has changed, to be written. What was handed out before is written
    /// by now, and may be forgotten.
    pub(crate) fn hand_out(&mut self) -> Arc<Layer> {
        if let Some(ever) = &mut self.ever {
            self.changed.keys().for_each(|at| ever.add(at));
        }
        let changed = Arc::new(std::mem::take(&mut self.changed));
        self.changed_bytes = 0;
        let written = std::mem::replace(&mut self.handed_out, changed);
        self.know(Arc::unwrap_or_clone(written));
        // Only here: what one fact asks for must stay until it is folded.
        if self.young_bytes > MOST_YOUNG_BYTES {
            self.old = std::mem::take(&mut self.young);
            self.young_bytes = 0;
        }
        self.handed_out.clone()
    }
}

/// What a row takes in memory, its key and the table's own share roughly included.
fn bytes(body: Option<&Arc<str>>) -> usize {
    128 + body.map_or(0, |body| body.len())
}

/// Says of a key that it was never added, or that it may have been: a Bloom filter of
/// fixed size, right of ninety-nine in a hundred keys after two million.
#[derive(Debug)]
struct Filter {
    hasher: RandomState,
    bits: Vec<u64>,
}

/// 4 MiB.
const WORDS: usize = 1 << 19;

impl Default for Filter {
    fn default() -> Self {
        Self { hasher: RandomState::new(), bits: vec![0; WORDS] }
    }
}

impl Filter {
    /// The two bits of a key, each by its word.
    fn places(&self, at: &RowKey) -> [(usize, u64); 2] {
        let hash = self.hasher.hash_one(at);
        [hash, hash >> 32].map(|half| {
            let half = usize::try_from(half & 0xffff_ffff).unwrap_or_default();
            (half / 64 % WORDS, 1 << (half % 64))
        })
    }

    fn add(&mut self, at: &RowKey) {
        for (word, bit) in self.places(at) {
            self.bits[word] |= bit;
        }
    }

    fn may_hold(&self, at: &RowKey) -> bool {
        self.places(at).iter().all(|(word, bit)| self.bits[*word] & bit != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(n: u64) -> RowKey {
        ("view", format!("row-{n}"))
    }

    #[test]
    fn a_row_that_was_ever_changed_is_never_taken_for_a_new_one() {
        let mut rows = InMemory::of(true);
        let body: Arc<str> = "x".repeat(1_000).into();
        for n in 0..50_000 {
            rows.change(Layer::from([(at(n), Some(body.clone()))]));
            if n % 1_000 == 999 {
                rows.hand_out();
            }
        }
        assert_eq!(rows.row(&at(0)), None, "it is in the store, and no longer in memory");
        assert_eq!(rows.row(&at(49_999)), Some(&Some(body)));
        let asked = (50_000..60_000).filter(|n| rows.row(&at(*n)).is_none()).count();
        assert!(asked < 100, "{asked} of 10,000 new rows are looked for");
    }

    #[test]
    fn a_fold_that_began_half_way_asks_for_every_row() {
        assert_eq!(InMemory::of(false).row(&at(1)), None);
    }
}

//! The rows that an office keeps in memory between batches, and how many of them all
//! offices of a process keep together.
//!
//! A register that goes to a hundred and sixty townships of one process would lie there
//! as often. Rows are dropped whole when they are too many; what is not kept is read
//! again.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use crate::rows::{Layer, RowKey};

/// How many bytes one office keeps, and all of a process.
const MOST: usize = 48 << 20;
const MOST_OF_ALL: usize = 96 << 20;
/// What an office keeps whatever the others do.
const EACH: usize = 256 << 10;
/// What a row takes beside its key and its body.
const AROUND: usize = 96;

static OF_ALL: AtomicUsize = AtomicUsize::new(0);

fn size((_, key): &RowKey, body: Option<&Arc<str>>) -> usize {
    AROUND + key.len() + body.map_or(0, |body| body.len())
}

/// The rows of one office.
#[derive(Debug, Default)]
pub(crate) struct KeptRows {
    rows: Layer,
    bytes: usize,
}

impl KeptRows {
    /// The rows.
    pub(crate) const fn rows(&self) -> &Layer {
        &self.rows
    }

    /// Takes rows in that were read or written, if there is room for them; those that it
    /// had of before are gone in any case.
    pub(crate) fn remember(&mut self, rows: Layer) {
        let bytes: usize = rows.iter().map(|(key, body)| size(key, body.as_ref())).sum();
        let fits = |kept: usize| {
            let all = OF_ALL.load(Ordering::Relaxed);
            kept + bytes <= EACH || (kept + bytes <= MOST && all + bytes <= MOST_OF_ALL)
        };
        if !fits(self.bytes) {
            self.clear();
        }
        if bytes > MOST / 4 || !fits(0) {
            return self.clear();
        }
        for (key, body) in rows {
            let new = size(&key, body.as_ref());
            let old = self.rows.get(&key).map_or(0, |body| size(&key, body.as_ref()));
            self.rows.insert(key, body);
            self.bytes = self.bytes + new - old;
            OF_ALL.fetch_add(new, Ordering::Relaxed);
            OF_ALL.fetch_sub(old, Ordering::Relaxed);
        }
    }

    /// Drops them.
    pub(crate) fn clear(&mut self) {
        OF_ALL.fetch_sub(self.bytes, Ordering::Relaxed);
        self.bytes = 0;
        self.rows.clear();
    }
}

impl Drop for KeptRows {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(from: usize, to: usize, body: usize) -> Layer {
        let body: Arc<str> = "x".repeat(body).into();
        (from..to).map(|n| (("view", format!("{n:08}")), Some(body.clone()))).collect()
    }

    #[test]
    fn offices_share_what_a_process_keeps_and_give_it_back() {
        let mut offices: Vec<KeptRows> = (0..6).map(|_| KeptRows::default()).collect();
        for office in &mut offices {
            for part in 0..4 {
                office.remember(rows(part * 1000, part * 1000 + 1000, 9_000));
            }
        }
        let all: usize = offices.iter().map(|office| office.bytes).sum();
        assert!(all > MOST_OF_ALL / 2 && all <= MOST_OF_ALL, "{all}");
        // A row of before never stays where a newer one found no room.
        let mut office = offices.pop().unwrap();
        office.remember(rows(0, 1, 10));
        office.remember(rows(0, 2_000, 9_000));
        assert_eq!((office.rows().len(), office.bytes), (0, 0));
        drop((office, offices));
        assert_eq!(OF_ALL.load(Ordering::Relaxed), 0);
    }
}

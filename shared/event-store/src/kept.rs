//! The rows that an office keeps in memory between batches, and how many of them all
//! offices of a process keep together.
//!
//! A register that goes to a hundred and sixty townships of one process would lie there
//! as often. Rows are dropped whole when they are too many; what is not kept is read
//! again.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::rows::Layer;

/// How many bytes one office keeps, and all of a process.
const MOST: usize = 48 << 20;
const MOST_OF_ALL: usize = 128 << 20;
/// What a row takes beside its key and its body.
const AROUND: usize = 96;

static OF_ALL: AtomicUsize = AtomicUsize::new(0);

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
        let bytes = rows.iter().map(|((_, key), body)| {
            AROUND + key.len() + body.as_ref().map_or(0, |body| body.len())
        });
        let bytes: usize = bytes.sum();
        let fits = |bytes: usize| {
            self.bytes + bytes <= MOST && OF_ALL.load(Ordering::Relaxed) + bytes <= MOST_OF_ALL
        };
        if !fits(bytes) {
            self.clear();
        }
        if bytes <= MOST / 4 && OF_ALL.load(Ordering::Relaxed) + bytes <= MOST_OF_ALL {
            OF_ALL.fetch_add(bytes, Ordering::Relaxed);
            self.bytes += bytes;
            self.rows.extend(rows);
        } else {
            self.clear();
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
    use std::sync::Arc;

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

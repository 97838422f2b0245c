//! Every view folded over a run of facts, with few rows in memory.
//!
//! Rows that a fold asks for are fetched together: when one fact misses a row, all
//! that follow in the slice are asked what they would miss. What was folded waits in
//! memory until its owner writes it, in one piece with how far the fold has come.

use std::sync::Arc;

use kernel::Fact;

use crate::{
    StoreError, View,
    db::Conn,
    log,
    memory::InMemory,
    rows::{FoldError, Layer, RowKey, Rows},
    unit::unreadable,
};

/// Where a fold's rows lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    /// The table.
    pub(crate) table: &'static str,
    /// The generation in it.
    pub(crate) generation: u64,
    /// Of rows as they were: the block at whose end.
    pub(crate) block: Option<u64>,
}

impl Kept {
    /// A generation of the store's own table.
    pub(crate) const fn stored(generation: u64) -> Self {
        Self { table: "view_rows", generation, block: None }
    }

    /// The rows as they were at the end of a block.
    pub(crate) const fn at_block(generation: u64, block: u64) -> Self {
        Self { table: "past_rows", generation, block: Some(block) }
    }
}

/// A fold under way.
pub(crate) struct Fold {
    views: Arc<[Arc<dyn View>]>,
    kept: Kept,
    rows: InMemory,
}

/// How many rows are looked for at once.
const MOST_AHEAD: usize = 1_024;

impl Fold {
    /// A fold over the rows of `kept`; `empty` if there are none yet.
    pub(crate) fn over(views: Arc<[Arc<dyn View>]>, kept: Kept, empty: bool) -> Self {
        Self { views, kept, rows: InMemory::of(empty) }
    }

    /// A fold over the same rows, and over these changes of them.
    pub(crate) fn above(views: Arc<[Arc<dyn View>]>, kept: Kept, changes: Layer) -> Self {
        let mut fold = Self::over(views, kept, false);
        fold.rows.change(changes);
        fold
    }

    /// What has changed since rows were last handed out.
    pub(crate) fn changes(self) -> Layer {
        self.rows.into_changes()
    }

    /// The rows that were handed out lie there now.
    pub(crate) fn lies_at(&mut self, kept: Kept) {
        self.kept = kept;
    }

    /// Takes facts in, in their order.
    pub(crate) async fn take(&mut self, conn: &mut Conn, facts: &[Fact]) -> Result<(), FoldFailed> {
        let views = self.views.clone();
        for (at, fact) in facts.iter().enumerate() {
            for view in views.iter() {
                let written = loop {
                    let mut rows = Rows::over(&self.rows);
                    match view.apply(&mut rows, fact) {
                        Ok(()) => break rows.into_written(),
                        Err(FoldError::Missing(keys)) => {
                            let keys = self.missed(keys, &facts[at..]);
                            let found = log::kept_rows_at(conn, self.kept, keys).await?;
                            self.rows.know(found);
                        }
                        Err(error) => {
                            let (view, entry) = (view.name(), fact.at.clone());
                            return Err(FoldFailed::View { view, entry, error });
                        }
                    }
                };
                self.rows.change(written);
            }
        }
        Ok(())
    }

    /// What these facts would miss, as far as one can tell before they are folded.
    fn missed(&self, first: Vec<RowKey>, facts: &[Fact]) -> Vec<RowKey> {
        let mut missed = std::collections::BTreeSet::from_iter(first);
        for fact in facts {
            for view in self.views.iter() {
                let mut rows = Rows::over(&self.rows);
                if let Err(FoldError::Missing(keys)) = view.apply(&mut rows, fact) {
                    missed.extend(keys);
                }
            }
            if missed.len() >= MOST_AHEAD {
                break;
            }
        }
        missed.into_iter().collect()
    }

    /// Whether it is time to write.
    pub(crate) fn is_full(&self) -> bool {
        self.rows.is_full()
    }

    /// Hands out what has changed, to be written. Before the next time it is.
    pub(crate) fn hand_out(&mut self) -> Arc<Layer> {
        self.rows.hand_out()
    }
}

/// Why a fold over stored facts did not get on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FoldFailed {
    #[error("{view} does not fold {entry}: {error}")]
    View { view: &'static str, entry: kernel::EntryRef, error: FoldError },
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<FoldFailed> for StoreError {
    fn from(failed: FoldFailed) -> Self {
        match failed {
            FoldFailed::Store(error) => error,
            view @ FoldFailed::View { .. } => unreadable(view),
        }
    }
}

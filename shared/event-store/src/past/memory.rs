//! The views folded in memory alone: for who has facts and no store, as an auditor has.

use std::sync::Arc;

use kernel::{Day, Fact, Timestamp};

use super::Past;
use crate::{
    FoldError, View,
    memory::InMemory,
    rows::{Layer, Memory, RowKey, Rows},
};

/// Projections of one office that lie in memory.
pub struct Projections {
    views: Vec<Arc<dyn View>>,
    rows: InMemory,
}

impl Projections {
    /// Nothing is folded yet.
    pub fn of(views: Vec<Arc<dyn View>>) -> Self {
        Self { views, rows: InMemory::of(true) }
    }

    /// Takes those in that `wanted` wants of a fact and of those it carries: each of them
    /// in every view, or none.
    pub fn take(
        &mut self,
        fact: &Fact,
        mut wanted: impl FnMut(&Fact) -> bool,
    ) -> Result<(), FoldError> {
        let mut changes = Layer::new();
        let carried = fact.carried();
        for fact in std::iter::once(fact).chain(&carried) {
            if !wanted(fact) {
                continue;
            }
            for view in &self.views {
                let above = Above { changes: &changes, below: &self.rows };
                let mut rows = Rows::over(&above);
                view.apply(&mut rows, fact)?;
                let written = rows.into_written();
                changes.extend(written);
            }
        }
        self.rows.change(changes);
        Ok(())
    }

    /// The views as they are now; what is said beside: the day to which the facts were
    /// held, and the last own entry that was taken in, with its time.
    pub fn past(&self, as_of: Option<Day>, known: (u64, Timestamp)) -> Past {
        Past::new(None, self.rows.changes().clone(), as_of, known)
    }
}

/// What one entry has changed so far, over what was there.
#[derive(Debug)]
struct Above<'a> {
    changes: &'a Layer,
    below: &'a InMemory,
}

impl Memory for Above<'_> {
    fn row(&self, at: &RowKey) -> Option<&Option<Arc<str>>> {
        self.changes.get(at).or_else(|| self.below.row(at))
    }
}

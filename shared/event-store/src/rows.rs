//! View rows as the folds see them: keyed, storage-free.
//!
//! A fold that asks for a row which is not in memory is stopped, the row is
//! fetched, and the fold runs again from its start. So folds stay synchronous
//! and the same code runs over a database, in the auditor and in a rebuild.

use std::{collections::BTreeMap, sync::Arc};

use kernel::Fact;
use serde::{Serialize, de::DeserializeOwned};
use thiserror::Error;

/// A view's name and a row's key.
pub(crate) type RowKey = (&'static str, String);
/// Rows by key; `None` is a row known not to be there.
pub(crate) type Layer = BTreeMap<RowKey, Option<Arc<str>>>;

/// What is in memory of rows.
pub(crate) trait Memory: std::fmt::Debug + Sync {
    /// Of a row: nothing, that there is none, or its body.
    fn row(&self, at: &RowKey) -> Option<&Option<Arc<str>>>;
}

/// Layers, looked through from first to last.
impl Memory for Vec<&Layer> {
    fn row(&self, at: &RowKey) -> Option<&Option<Arc<str>>> {
        self.iter().find_map(|layer| layer.get(at))
    }
}

/// Why a fold stopped.
#[derive(Debug, Error)]
pub enum FoldError {
    /// A row is not in memory yet.
    #[error("rows not in memory")]
    Missing(Vec<RowKey>),
    /// The fact does not read.
    #[error("does not read: {0}")]
    Unreadable(#[from] serde_json::Error),
    /// A row does not read: another fold has made it.
    #[error("a row of {0} does not read: {1}")]
    Row(&'static str, #[source] serde_json::Error),
}

/// A projection of one office.
pub trait View: Send + Sync {
    /// The name under which its rows stand.
    fn name(&self) -> &'static str;

    /// Which fold it is. Whoever changes what the fold does, or the form of its rows,
    /// says another word here: then everything is folded again, beside the old rows.
    fn schema(&self) -> &'static str {
        "1"
    }

    /// Takes one fact in, own or received. Facts it does not care for it leaves alone.
    fn apply(&self, rows: &mut Rows<'_>, fact: &Fact) -> Result<(), FoldError>;
}

/// The rows that one fold may read and write.
#[derive(Debug)]
pub struct Rows<'a> {
    /// Written by this fold.
    written: Layer,
    /// What was there before.
    below: &'a dyn Memory,
}

impl<'a> Rows<'a> {
    pub(crate) const fn over(below: &'a dyn Memory) -> Self {
        Self { written: Layer::new(), below }
    }

    /// One row, if it exists.
    pub fn get<T: DeserializeOwned>(
        &mut self,
        view: &'static str,
        key: &str,
    ) -> Result<Option<T>, FoldError> {
        let at = (view, key.to_owned());
        match self.known(&at) {
            Some(Some(body)) => {
                serde_json::from_str(body).map(Some).map_err(|error| FoldError::Row(view, error))
            }
            Some(None) => Ok(None),
            None => Err(FoldError::Missing(vec![at])),
        }
    }

    /// Says which rows will be read, so that they are fetched together: a fold that
    /// reads many would else be stopped and run again for each.
    pub fn want<'k>(
        &mut self,
        view: &'static str,
        keys: impl IntoIterator<Item = &'k str>,
    ) -> Result<(), FoldError> {
        let keys = keys.into_iter().map(|key| (view, key.to_owned()));
        let missing: Vec<RowKey> = keys.filter(|at| self.known(at).is_none()).collect();
        if missing.is_empty() { Ok(()) } else { Err(FoldError::Missing(missing)) }
    }

    /// What is in memory of a row: nothing, that there is none, or its body.
    fn known(&self, at: &RowKey) -> Option<&Option<Arc<str>>> {
        self.written.get(at).or_else(|| self.below.row(at))
    }

    /// Writes a row.
    pub fn put<T: Serialize>(
        &mut self,
        view: &'static str,
        key: &str,
        row: &T,
    ) -> Result<(), FoldError> {
        let body = serde_json::to_string(row)?;
        self.written.insert((view, key.to_owned()), Some(body.into()));
        Ok(())
    }

    /// Removes a row.
    pub fn delete(&mut self, view: &'static str, key: &str) {
        self.written.insert((view, key.to_owned()), None);
    }

    /// Changes a row in place, from its default if it is not there yet.
    pub fn change<T: Serialize + DeserializeOwned + Default>(
        &mut self,
        view: &'static str,
        key: &str,
        change: impl FnOnce(&mut T),
    ) -> Result<(), FoldError> {
        let mut row: T = self.get(view, key)?.unwrap_or_default();
        change(&mut row);
        self.put(view, key, &row)
    }

    pub(crate) fn into_written(self) -> Layer {
        self.written
    }
}

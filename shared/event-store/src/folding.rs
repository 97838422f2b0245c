//! A unit's view rows: folded over, read and scanned as the batch so far has them.

use std::{collections::BTreeMap, sync::Arc};

use kernel::{Code, Fact};
use serde::de::DeserializeOwned;

use crate::{
    StoreError,
    fold::Kept,
    log,
    readers::past,
    rows::{FoldError, Layer, RowKey, Rows},
    unit::{Stop, Unit, unreadable},
};

impl Unit<'_> {
    /// Runs every view over a fact; rows that are not in memory are fetched.
    pub(crate) async fn fold(&mut self, fact: &Fact) -> Result<(), FoldOrStore> {
        for view in self.setting.views.iter() {
            let written = loop {
                let layers = self.stack.iter().rev().map(|delta| &delta.rows);
                let layers: Vec<_> =
                    layers.chain([self.committed.rows.rows(), &self.fetched]).collect();
                let mut rows = Rows::over(&layers);
                match view.apply(&mut rows, fact) {
                    Ok(()) => break rows.into_written(),
                    Err(FoldError::Missing(keys)) => {
                        let found = self.kept(keys).await?;
                        self.fetched.extend(found);
                    }
                    Err(error) => return Err(error.into()),
                }
            };
            self.top().rows.extend(written);
        }
        Ok(())
    }

    /// The same for another office's fact, and then for the earlier ones that it carries.
    pub(crate) async fn fold_with_carried(&mut self, fact: &Fact) -> Result<(), FoldOrStore> {
        self.fold(fact).await?;
        for carried in fact.carried() {
            self.fold(&carried).await?;
        }
        Ok(())
    }

    /// One view row, as the batch so far has it.
    pub async fn row<T: DeserializeOwned>(
        &mut self,
        view: &'static str,
        key: &str,
    ) -> Result<Option<T>, Stop> {
        loop {
            let layers = self.stack.iter().rev().map(|delta| &delta.rows);
            let layers: Vec<_> =
                layers.chain([self.committed.rows.rows(), &self.fetched]).collect();
            match Rows::over(&layers).get(view, key) {
                Ok(row) => return Ok(row),
                Err(FoldError::Missing(keys)) => {
                    let found = self.kept(keys).await?;
                    self.fetched.extend(found);
                }
                Err(error) => return Err(self.unread(error)),
            }
        }
    }

    /// Rows of the served generation, those that are not there included.
    async fn kept(&mut self, keys: Vec<RowKey>) -> Result<Layer, StoreError> {
        log::kept_rows_at(self.conn, Kept::stored(self.committed.generation), keys).await
    }

    /// What a row or fact that does not read means: while the views are folded again,
    /// that one must wait.
    pub(crate) fn unread(&self, error: FoldError) -> Stop {
        match error {
            FoldError::Row(..) if self.rebuilding => Code::Rebuilding.into(),
            error => unreadable(error).into(),
        }
    }

    /// Every view row under a prefix, as the batch so far has it, in key order.
    pub async fn rows<T: DeserializeOwned>(
        &mut self,
        view: &'static str,
        prefix: &str,
    ) -> Result<Vec<(String, T)>, Stop> {
        let mut found: BTreeMap<String, Arc<str>> =
            log::view_rows(self.conn, self.committed.generation, view, prefix).await?;
        let range = (view, prefix.to_owned())..(view, past(prefix));
        for delta in &self.stack {
            for ((_, key), body) in delta.rows.range(range.clone()) {
                match body {
                    Some(body) => found.insert(key.clone(), body.clone()),
                    None => found.remove(key),
                };
            }
        }
        let read = |(key, body): (String, Arc<str>)| {
            let row = serde_json::from_str(&body);
            Ok((key, row.map_err(|error| self.unread(FoldError::Row(view, error)))?))
        };
        found.into_iter().map(read).collect()
    }
}

/// Why a fold over the store did not finish.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FoldOrStore {
    #[error(transparent)]
    Fold(#[from] FoldError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

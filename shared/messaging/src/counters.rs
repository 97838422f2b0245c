//! What was counted since the process started, by name.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

/// Counters by name; names are codes, never content.
#[derive(Debug, Default)]
pub struct Counters(Mutex<BTreeMap<&'static str, u64>>);

impl Counters {
    /// Counts once more.
    pub fn count(&self, name: &'static str) {
        self.add(name, 1);
    }

    /// Counts `more`.
    pub fn add(&self, name: &'static str, more: u64) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *all.entry(name).or_default() += more;
    }

    /// All of them.
    pub fn all(&self) -> BTreeMap<&'static str, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

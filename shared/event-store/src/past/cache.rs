//! The pasts that were looked at last, and the laying out of blocks for those to come.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use kernel::Day;
use tokio::sync::watch;

use super::{Laying, Past};
use crate::Progress;

/// How many pasts stay in memory at most.
const MOST: usize = 16;
/// How many rows of them together.
const MOST_ROWS: usize = 200_000;

/// What one office has of its pasts.
pub(crate) struct Pasts {
    pub(super) laying: Laying,
    kept: Mutex<VecDeque<Arc<Past>>>,
    progress: watch::Sender<Option<Progress>>,
    pub(super) turn: tokio::sync::Mutex<()>,
}

impl Pasts {
    pub(crate) fn new(laying: Laying) -> Self {
        let progress = watch::Sender::new(None);
        Self { laying, kept: Mutex::default(), progress, turn: tokio::sync::Mutex::default() }
    }

    /// How far blocks are laid out, while they are; what failed stays until it goes on.
    pub(crate) fn progress(&self) -> Option<Progress> {
        *self.progress.borrow()
    }

    /// Lays blocks out from now on, unless that is under way.
    pub(super) fn lay(self: &Arc<Self>) -> Progress {
        let begins = self.progress.send_if_modified(|now| {
            let idle = now.is_none_or(|now| now.failed);
            if idle {
                *now = Some(Progress { of: self.laying.head(), ..Progress::default() });
            }
            idle
        });
        if begins {
            // It holds no office: it ends with it.
            let (laying, pasts) = (self.laying.clone(), Arc::downgrade(self));
            tokio::spawn(async move {
                let tell = |progress| {
                    if let Some(pasts) = pasts.upgrade() {
                        pasts.progress.send_replace(progress);
                    }
                };
                laying.run(tell).await;
            });
        }
        self.progress().unwrap_or_default()
    }

    /// A past that was looked at: this one, or the newest one from which what was known
    /// later by the same day is soon found.
    pub(super) fn known(&self, as_of: Option<Day>, from: u64, known: u64) -> Option<Arc<Past>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let of_the_day = kept.iter().filter(|past| past.as_of == as_of);
        let near = of_the_day.filter(|past| (from..=known).contains(&past.known));
        near.max_by_key(|past| past.known).cloned()
    }

    pub(super) fn keep(&self, past: &Arc<Past>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push_front(past.clone());
        let mut rows = 0;
        let many = kept.iter().take_while(|past| {
            rows += past.weight();
            rows <= MOST_ROWS
        });
        let many = many.count().clamp(1, MOST);
        kept.truncate(many);
    }
}

//! One writer of an unfinished paper at a time; whoever comes last goes on.
//!
//! A caller whose connection died comes again on another one, while the first still
//! looks alive from here. The newer one must not wait for the older to be given up.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, LazyLock, Mutex, PoisonError, Weak},
};

use tokio::sync::{OwnedMutexGuard, watch};

/// One unfinished paper that somebody writes.
struct Desk {
    /// The number of the newest claim.
    newest: watch::Sender<u64>,
    door: Arc<tokio::sync::Mutex<()>>,
}

/// By file, for the whole process: an office that starts again shares it with its
/// former self, whose last connections may still stand.
static DESKS: LazyLock<Mutex<BTreeMap<PathBuf, Weak<Desk>>>> = LazyLock::new(Mutex::default);

/// The right to write an unfinished paper, until it is dropped.
pub(super) struct Claim {
    newest: watch::Receiver<u64>,
    mine: u64,
    _desk: Arc<Desk>,
    _door: OwnedMutexGuard<()>,
}

impl Claim {
    /// Claims a file: whoever writes it is told, and waited for. Nothing if a newer
    /// claim came meanwhile.
    pub(super) async fn of(path: &Path) -> Option<Self> {
        let (desk, mine) = {
            let mut desks = DESKS.lock().unwrap_or_else(PoisonError::into_inner);
            desks.retain(|_, desk| desk.strong_count() > 0);
            let desk = desks.get(path).and_then(Weak::upgrade).unwrap_or_else(|| {
                Arc::new(Desk { newest: watch::channel(0).0, door: Arc::default() })
            });
            desks.insert(path.to_owned(), Arc::downgrade(&desk));
            let mine = *desk.newest.borrow() + 1;
            desk.newest.send_replace(mine);
            (desk, mine)
        };
        let door = desk.door.clone().lock_owned().await;
        let claim = Self { newest: desk.newest.subscribe(), mine, _desk: desk, _door: door };
        let newest = *claim.newest.borrow();
        (newest == mine).then_some(claim)
    }

    /// Returns when a newer claim waits.
    pub(super) async fn superseded(&mut self) {
        let mine = self.mine;
        // The sender lives as long as the claim.
        let _ = self.newest.wait_for(|newest| *newest != mine).await;
    }

    /// Whether somebody writes this file now.
    pub(super) fn is_held(path: &Path) -> bool {
        let desks = DESKS.lock().unwrap_or_else(PoisonError::into_inner);
        desks.get(path).is_some_and(|desk| desk.strong_count() > 0)
    }
}

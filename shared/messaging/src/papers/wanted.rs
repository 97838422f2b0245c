//! What readers asked the hub for in vain, so that whoever has it brings it again: the hub's
//! papers may have been put back to an older copy.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use kernel::sign::Hash;

/// How long a reader's question stands; who still wants it asks again sooner.
const STANDS: Duration = Duration::from_mins(10);
/// How many stand at a time.
const MOST: usize = 1000;

/// Papers that are wanted and not at the hub. Forgotten with the process: readers ask again.
#[derive(Debug, Default)]
pub struct Wanted(Mutex<BTreeMap<Hash, Instant>>);

impl Wanted {
    fn with<T>(&self, run: impl FnOnce(&mut BTreeMap<Hash, Instant>) -> T) -> T {
        let mut wanted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        wanted.retain(|_, at| at.elapsed() < STANDS);
        run(&mut wanted)
    }

    /// Somebody who may have it asked for it, and it is not here.
    pub fn note(&self, hash: Hash) {
        self.with(|wanted| {
            if wanted.len() < MOST || wanted.contains_key(&hash) {
                wanted.insert(hash, Instant::now());
            }
        });
    }

    /// It came.
    pub fn came(&self, hash: &Hash) {
        self.with(|wanted| wanted.remove(hash));
    }

    /// Everything that is wanted.
    pub fn all(&self) -> Vec<Hash> {
        self.with(|wanted| wanted.keys().copied().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wanted_is_bounded_and_ends_when_it_comes() {
        let wanted = Wanted::default();
        let of = |number: usize| Hash::of(&[&number.to_be_bytes()]);
        for number in 0..MOST + 5 {
            wanted.note(of(number));
        }
        assert_eq!(wanted.all().len(), MOST);
        wanted.came(&of(3));
        assert!(!wanted.all().contains(&of(3)) && wanted.all().contains(&of(4)));
        wanted.note(of(MOST));
        assert!(wanted.all().contains(&of(MOST)));
    }
}

//! What readers asked the hub for in vain, so that whoever has it brings it again: the hub's
//! papers may have been put back to an older copy.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use kernel::sign::Hash;

use super::Sender;

/// How long a reader's question stands; who still wants it asks again sooner.
const STANDS: Duration = Duration::from_mins(10);
/// How many of one office stand at a time.
const MOST: usize = 200;

/// Papers that are wanted and not at the hub. Forgotten with the process: readers ask again.
#[derive(Debug, Default)]
pub struct Wanted(Mutex<BTreeMap<Hash, (Instant, Sender)>>);

impl Wanted {
    fn with<T>(&self, run: impl FnOnce(&mut BTreeMap<Hash, (Instant, Sender)>) -> T) -> T {
        let mut wanted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        wanted.retain(|_, (at, _)| at.elapsed() < STANDS);
        run(&mut wanted)
    }

    /// Somebody who may have it asked for it, and it is not here.
    pub fn note(&self, hash: Hash, by: Sender) {
        self.with(|wanted| {
            let own = wanted.values().filter(|(_, of)| *of == by).count();
            if own < MOST || wanted.contains_key(&hash) {
                wanted.insert(hash, (Instant::now(), by));
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
        let by = |office: &str| Sender::office(&kernel::OfficeId::parse(office).unwrap());
        for number in 0..MOST + 5 {
            wanted.note(of(number), by("aaaaaaaa"));
        }
        assert_eq!(wanted.all().len(), MOST);
        // One that asks for much leaves room for others.
        wanted.note(of(MOST), by("bbbbbbbb"));
        assert!(wanted.all().contains(&of(MOST)));
        wanted.came(&of(3));
        assert!(!wanted.all().contains(&of(3)) && wanted.all().contains(&of(4)));
    }
}

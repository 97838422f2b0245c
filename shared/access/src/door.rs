//! What the door remembers between requests, in memory only: who failed to sign in from
//! where, which codes were taken, and sessions that could not be written down.
//!
//! Failures count by account and address, so that whoever guesses keeps out nobody but
//! himself. An account that does not exist waits like one that does.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use kernel::Timestamp;

use crate::sessions::SessionRow;

/// Failures after which an address waits.
const FAILURES: u32 = 5;
/// How long, in milliseconds.
pub const WAIT: i64 = 300_000;
/// The most that is remembered; then whoever waits no more is forgotten.
const MOST: usize = 10_000;

#[derive(Clone, Copy, Debug, Default)]
struct Tried {
    failures: u32,
    /// Until when it waits, or the last failure.
    until: i64,
}

/// The memory of one office's door.
#[derive(Debug, Default)]
pub struct Door {
    tried: Mutex<HashMap<(String, String), Tried>>,
    steps: Mutex<HashMap<String, u64>>,
    kept: Mutex<HashMap<String, SessionRow>>,
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Door {
    /// Whether this address waits for this account.
    pub fn waits(&self, account: &str, address: &str, now: Timestamp) -> bool {
        let tried = lock(&self.tried);
        let known = tried.get(&(account.to_owned(), address.to_owned()));
        known.is_some_and(|known| known.failures >= FAILURES && now.0 < known.until)
    }

    /// Counts a failure.
    pub fn failed(&self, account: &str, address: &str, now: Timestamp) {
        let mut tried = lock(&self.tried);
        if tried.len() >= MOST {
            tried.retain(|_, known| now.0 < known.until);
        }
        if tried.len() >= MOST {
            return;
        }
        let known = tried.entry((account.to_owned(), address.to_owned())).or_default();
        if known.until <= now.0 {
            known.failures = 0;
        }
        known.failures += 1;
        known.until = now.0 + WAIT;
    }

    /// Forgets the failures of who has come in.
    pub fn came_in(&self, account: &str, address: &str) {
        lock(&self.tried).remove(&(account.to_owned(), address.to_owned()));
    }

    /// Takes the step of a person's code; `false` if it or a later one was taken before.
    pub fn take_step(&self, person: &str, step: u64) -> bool {
        let mut steps = lock(&self.steps);
        let last = steps.entry(person.to_owned()).or_default();
        let fresh = step > *last;
        *last = step.max(*last);
        fresh
    }

    /// Keeps a session that the office could not record.
    pub fn keep(&self, key: String, session: SessionRow) {
        let mut kept = lock(&self.kept);
        if kept.len() < MOST {
            kept.insert(key, session);
        }
    }

    /// A session that was kept.
    pub fn kept(&self, key: &str) -> Option<SessionRow> {
        lock(&self.kept).get(key).cloned()
    }

    /// Ends a session that was kept.
    pub fn end(&self, key: &str) -> bool {
        lock(&self.kept).remove(key).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_guesses_keeps_out_nobody_but_himself() {
        let (door, now) = (Door::default(), Timestamp(1_000));
        for _ in 0..5 {
            assert!(!door.waits("wang", "10.0.0.9", now));
            door.failed("wang", "10.0.0.9", now);
        }
        assert!(door.waits("wang", "10.0.0.9", now));
        assert!(!door.waits("wang", "10.0.0.1", now), "the account itself is open");
        assert!(!door.waits("li", "10.0.0.9", now));
        let later = Timestamp(now.0 + WAIT);
        assert!(!door.waits("wang", "10.0.0.9", later));
        door.failed("wang", "10.0.0.9", later);
        assert!(!door.waits("wang", "10.0.0.9", later), "it counts from the start again");
    }

    #[test]
    fn what_it_remembers_has_a_bound() {
        let door = Door::default();
        for n in 0..MOST + 10 {
            door.failed(&n.to_string(), "a", Timestamp(0));
        }
        assert_eq!(lock(&door.tried).len(), MOST);
        door.failed("x", "a", Timestamp(WAIT));
        assert_eq!(lock(&door.tried).len(), 1, "whoever waits no more is forgotten");
    }

    #[test]
    fn a_code_counts_once() {
        let door = Door::default();
        assert!(door.take_step("p", 7));
        assert!(!door.take_step("p", 7) && !door.take_step("p", 6));
        assert!(door.take_step("p", 8) && door.take_step("q", 7));
    }
}

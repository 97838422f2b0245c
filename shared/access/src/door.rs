//! What the door remembers between requests, in memory only: who failed to sign in from
//! where, which codes were taken, and sessions that could not be written down.
//!
//! Failures count by account and address, so that whoever guesses keeps out nobody but
//! himself. An account that does not exist waits like one that does.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use kernel::{Actor, Timestamp, sign::Hash};

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
#[derive(Debug)]
pub struct Door {
    opened: Timestamp,
    used: Mutex<HashMap<String, i64>>,
    owed: Mutex<Vec<(Actor, String)>>,
    tried: Mutex<HashMap<Hash, Tried>>,
    steps: Mutex<HashMap<String, u64>>,
    kept: Mutex<HashMap<String, SessionRow>>,
    ended: Mutex<HashSet<String>>,
}

/// Names come from strangers and may be long: what is remembered of each is as short.
fn key(what: &str, whom: &str) -> Hash {
    Hash::of(&[what.as_bytes(), &[0], whom.as_bytes()])
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Door {
    /// A door that opens now: no session was used before.
    pub fn open(now: Timestamp) -> Self {
        Self {
            opened: now,
            used: Mutex::default(),
            owed: Mutex::default(),
            tried: Mutex::default(),
            steps: Mutex::default(),
            kept: Mutex::default(),
            ended: Mutex::default(),
        }
    }

    /// Whether a session was used within the last `idle` milliseconds. What happened
    /// before the door opened counts from then on.
    pub fn is_awake(&self, key: &str, now: Timestamp, idle: i64) -> bool {
        let last = lock(&self.used).get(key).copied();
        now.0 - last.unwrap_or(self.opened.0) <= idle
    }

    /// Notes that a session is used now; `false` if that comes after more than `idle`
    /// milliseconds.
    pub fn is_used(&self, key: &str, now: Timestamp, idle: i64) -> bool {
        let mut used = lock(&self.used);
        if let Some(last) = used.get_mut(key) {
            let in_time = now.0 - *last <= idle;
            if in_time {
                *last = now.0.max(*last);
            }
            return in_time;
        }
        let in_time = now.0 - self.opened.0 <= idle;
        used.insert(key.to_owned(), if in_time { now.0 } else { self.opened.0 });
        in_time
    }

    /// A session that begins now, or was there when the door opened.
    pub fn begins(&self, key: &str, now: Timestamp) {
        lock(&self.used).entry(key.to_owned()).or_insert(now.0);
    }

    /// The sessions that were not used for more than `idle` milliseconds.
    pub fn idle(&self, now: Timestamp, idle: i64) -> Vec<String> {
        let used = lock(&self.used);
        let late = used.iter().filter(|(_, last)| now.0 - **last > idle);
        late.map(|(key, _)| key.clone()).collect()
    }

    /// Counts an attempt for `what` from `whom`; `false` if it has to wait. Whoever then
    /// comes in, is forgotten: attempts that run beside each other count each.
    pub fn tries(&self, what: &str, whom: &str, now: Timestamp) -> bool {
        let mut tried = lock(&self.tried);
        let (key, full) = (key(what, whom), |tried: &HashMap<_, _>| tried.len() >= MOST);
        let new = !tried.contains_key(&key);
        if new && full(&tried) {
            tried.retain(|_, known| now.0 < known.until);
        }
        if new && full(&tried) {
            // Whoever fills it pushes out what is oldest, and still counts himself.
            let oldest = tried.iter().min_by_key(|(_, known)| known.until);
            let oldest = oldest.map(|(key, _)| *key);
            oldest.and_then(|key| tried.remove(&key));
        }
        let known = tried.entry(key).or_default();
        if known.until <= now.0 {
            known.failures = 0;
        }
        if known.failures >= FAILURES {
            return false;
        }
        known.failures += 1;
        known.until = now.0 + WAIT;
        true
    }

    /// Forgets the failures of who has come in.
    pub fn came_in(&self, what: &str, whom: &str) {
        lock(&self.tried).remove(&key(what, whom));
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

    /// The sessions that were kept under a prefix.
    pub fn kept_below(&self, prefix: &str) -> Vec<(String, SessionRow)> {
        let kept = lock(&self.kept);
        let below = kept.iter().filter(|(key, _)| key.starts_with(prefix));
        below.map(|(key, row)| (key.clone(), row.clone())).collect()
    }

    /// Ends a session at once, whatever can be recorded of it.
    pub fn end(&self, key: &str) {
        lock(&self.kept).remove(key);
        lock(&self.used).remove(key);
        lock(&self.ended).insert(key.to_owned());
    }

    /// Remembers that the end of these sessions is not on record yet.
    pub fn owe(&self, actor: &Actor, keys: impl IntoIterator<Item = String>) {
        let mut owed = lock(&self.owed);
        for key in keys {
            if owed.iter().all(|(_, known)| *known != key) {
                owed.push((actor.clone(), key));
            }
        }
    }

    /// Takes the ends that are not on record yet, to record them.
    pub fn owed(&self) -> Vec<(Actor, String)> {
        std::mem::take(&mut lock(&self.owed))
    }

    /// The ends that are not on record yet.
    pub fn still_owed(&self) -> Vec<(Actor, String)> {
        lock(&self.owed).clone()
    }

    /// Whether a session was ended since the start.
    pub fn has_ended(&self, key: &str) -> bool {
        lock(&self.ended).contains(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::session::Begun;

    #[test]
    fn whoever_guesses_keeps_out_nobody_but_himself() {
        let (door, now) = (Door::open(Timestamp(0)), Timestamp(1_000));
        for _ in 0..5 {
            assert!(door.tries("wang", "10.0.0.9", now));
        }
        assert!(!door.tries("wang", "10.0.0.9", now));
        assert!(door.tries("wang", "10.0.0.1", now), "the account itself is open");
        assert!(door.tries("li", "10.0.0.9", now));
        let later = Timestamp(now.0 + WAIT);
        assert!(door.tries("wang", "10.0.0.9", later), "it counts from the start again");
        door.came_in("wang", "10.0.0.9");
        for _ in 0..5 {
            assert!(door.tries("wang", "10.0.0.9", later));
        }
    }

    #[test]
    fn what_it_remembers_has_a_bound_and_still_counts_when_full() {
        let door = Door::open(Timestamp(0));
        for n in 0..MOST + 10 {
            assert!(door.tries(&n.to_string(), "a", Timestamp(i64::try_from(n).unwrap())));
        }
        assert_eq!(lock(&door.tried).len(), MOST);
        let now = Timestamp(i64::try_from(MOST).unwrap() + 20);
        for _ in 0..5 {
            assert!(door.tries("x", "a", now));
        }
        assert!(!door.tries("x", "a", now));
        assert!(door.tries("y", "a", Timestamp(now.0 + WAIT)));
        assert_eq!(lock(&door.tried).len(), 1, "whoever waits no more is forgotten");
    }

    #[test]
    fn a_session_that_was_kept_is_found_and_ends() {
        let (door, at) = (Door::open(Timestamp(0)), Timestamp(0));
        let (person, address) = ("p".to_owned(), String::new());
        let begun = Begun { person, at, until: Timestamp(9), second_factor: false, address };
        door.keep("p/1".into(), SessionRow { begun });
        assert!(door.kept("p/1").is_some() && door.kept_below("q/").is_empty());
        assert_eq!(door.kept_below("p/").len(), 1);
        door.end("p/1");
        assert!(door.kept("p/1").is_none() && door.has_ended("p/1") && !door.has_ended("p/2"));
    }

    #[test]
    fn a_session_that_nobody_uses_idles_out_and_stays_out() {
        let door = Door::open(Timestamp(1_000));
        door.begins("p/1", Timestamp(2_000));
        assert!(door.is_used("p/1", Timestamp(2_500), 600));
        assert!(door.is_used("p/1", Timestamp(3_100), 600));
        assert!(door.idle(Timestamp(3_700), 600).is_empty());
        assert_eq!(door.idle(Timestamp(3_701), 600), ["p/1"]);
        assert!(door.is_awake("p/1", Timestamp(3_700), 600), "looking is not using");
        assert!(!door.is_awake("p/1", Timestamp(3_701), 600));
        assert!(!door.is_used("p/1", Timestamp(3_701), 600));
        assert!(!door.is_used("p/1", Timestamp(3_702), 600), "trying keeps it from nothing");
        // One from before the door opened, first heard of too late.
        assert!(!door.is_used("p/2", Timestamp(1_601), 600));
        assert!(!door.is_used("p/2", Timestamp(1_602), 600));
    }

    #[test]
    fn an_end_that_is_not_on_record_is_owed_until_it_is() {
        let door = Door::open(Timestamp(0));
        let actor = Actor { person: "p".into(), role: "self".into() };
        door.owe(&actor, ["p/1".to_owned(), "p/1".to_owned(), "p/2".to_owned()]);
        assert_eq!(door.still_owed().len(), 2);
        let owed = door.owed();
        assert!(owed.len() == 2 && door.still_owed().is_empty());
        door.owe(&owed[0].0, [owed[0].1.clone()]);
        assert_eq!(door.still_owed(), [(actor, "p/1".to_owned())]);
    }

    #[test]
    fn a_code_counts_once() {
        let door = Door::open(Timestamp(0));
        assert!(door.take_step("p", 7));
        assert!(!door.take_step("p", 7) && !door.take_step("p", 6));
        assert!(door.take_step("p", 8) && door.take_step("q", 7));
    }
}

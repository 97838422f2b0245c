//! When a reader asks again for what it misses: after some 20 s, then ever later.
//!
//! Something is missed if an entry waits for those before it, or if a lane's head,
//! as its origin says it, lies beyond what was received: a hub that lost its tail
//! may have put an entry where the reader had been already. Most gaps close by
//! themselves within moments. One that stays open costs a whole reading of the
//! consumer each time it is asked for, so the asking slows down.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use event_store::{Office, StoreError};
use kernel::{Lane, note::Note};

use crate::{
    directory::{DIRECTORY, Entry},
    neighbours::notes,
    notes::lanes,
};

const FIRST: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_mins(10);

/// The patience of one reader.
#[derive(Debug)]
pub struct Patience {
    asked: Instant,
    wait: Duration,
    missing: BTreeSet<Missing>,
}

/// A lane that should go further, and how far it goes here.
pub type Missing = (String, u64);

impl Patience {
    /// From now on.
    pub fn new(now: Instant) -> Self {
        Self { asked: now, wait: FIRST, missing: BTreeSet::new() }
    }

    /// Whether it is time to look for gaps.
    fn is_over(&self, now: Instant) -> bool {
        now.duration_since(self.asked) >= self.wait
    }

    /// Takes in what is missing; whether some of it was missing at the last look, too.
    /// Then it is asked for and given twice the time.
    fn found(&mut self, missing: BTreeSet<Missing>, now: Instant) -> bool {
        let stuck = missing.iter().any(|lane| self.missing.contains(lane));
        (self.asked, self.missing) = (now, missing);
        self.wait = if stuck { (self.wait * 2).min(LONGEST) } else { FIRST };
        stuck
    }

    /// Whether something has been missed for long enough to ask for it again.
    pub async fn asks_again(&mut self, office: &Office) -> bool {
        let now = Instant::now();
        if !self.is_over(now) {
            return false;
        }
        let missing = missing(office).await.unwrap_or_default();
        self.found(missing, now)
    }
}

/// The lanes of which the office misses something, with how far they go here.
pub async fn missing(office: &Office) -> Result<BTreeSet<Missing>, StoreError> {
    let known = lanes(office).await?;
    let known_to = |lane: &str| {
        let found = known.iter().find(|known| known.lane().to_string() == lane);
        found.map_or((0, 0), |known| (known.held.epoch, known.held.counter))
    };
    let mut missing = BTreeSet::new();
    let setting = office.setting();
    let city: Option<Entry> = office.reader().await?.view(DIRECTORY, setting.city.as_str()).await?;
    if city.is_none() {
        // Nobody's word can be proved before the founding is here.
        missing.insert((setting.city.to_string(), 0));
    }
    let sql = "SELECT DISTINCT lane FROM held WHERE reason = 'gap'";
    for row in office.reader().await?.rows(sql, vec![]).await? {
        let lane = row.text(0)?;
        let at = known_to(&lane).1;
        missing.insert((lane, at));
    }
    let here = office.here();
    let (own, tier, parent) = (&here.office, here.tier, here.parent.as_ref());
    for note in notes(office).await? {
        let Note::LaneHead { by, head, .. } = note else { continue };
        if by == *own || !head.audience.is_read_by(&by, own, tier, parent) {
            continue;
        }
        let lane = Lane { origin: by, root: head.root, audience: head.audience }.to_string();
        let at = known_to(&lane);
        if at < (head.epoch, head.counter) {
            missing.insert((lane, at.1));
        }
    }
    Ok(missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gap(at: u64) -> BTreeSet<Missing> {
        BTreeSet::from([("ev.dddddddd.all".to_owned(), at)])
    }

    #[test]
    fn a_gap_that_stays_is_asked_for_ever_more_seldom_and_a_closed_one_not() {
        let start = Instant::now();
        let mut patience = Patience::new(start);
        assert!(!patience.is_over(start + Duration::from_secs(9)));
        let mut now = start;
        let mut asked = Vec::new();
        for _ in 0..9 {
            let from = now;
            while !patience.is_over(now) {
                now += Duration::from_secs(1);
            }
            asked.push((now.duration_since(from).as_secs(), patience.found(gap(3), now)));
        }
        let waits: Vec<u64> = asked.iter().map(|(wait, _)| *wait).collect();
        assert_eq!(waits, [10, 10, 20, 40, 80, 160, 320, 600, 600]);
        assert!(!asked[0].1 && asked[1..].iter().all(|(_, stuck)| *stuck));
        assert!(!patience.found(BTreeSet::new(), now) && patience.is_over(now + FIRST));
    }

    #[test]
    fn what_is_only_on_its_way_is_not_asked_for() {
        let now = Instant::now();
        let mut patience = Patience::new(now);
        assert!((1..9).all(|at| !patience.found(gap(at), now)));
    }
}

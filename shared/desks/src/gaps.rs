//! When a reader asks again for what an entry waits for: after 20 s, then ever later.
//!
//! Most gaps close by themselves within moments. One that stays open costs a whole
//! reading of the consumer each time it is asked for, so the asking slows down.

use std::time::{Duration, Instant};

use event_store::StoreError;
use web::Seat;

const FIRST: Duration = Duration::from_secs(20);
const LONGEST: Duration = Duration::from_mins(10);

/// The patience of one reader.
#[derive(Debug)]
pub(crate) struct Patience {
    asked: Instant,
    wait: Duration,
}

impl Patience {
    /// From now on.
    pub(crate) fn new(now: Instant) -> Self {
        Self { asked: now, wait: FIRST }
    }

    /// Whether it is time to look for gaps.
    fn is_over(&self, now: Instant) -> bool {
        now.duration_since(self.asked) >= self.wait
    }

    /// Takes in what was found: a gap is asked for and given twice the time.
    fn found(&mut self, gap: bool, now: Instant) {
        self.asked = now;
        self.wait = if gap { (self.wait * 2).min(LONGEST) } else { FIRST };
    }

    /// Whether entries of this office have waited long enough for those before them.
    pub(crate) async fn asks_again(&mut self, seat: &Seat) -> bool {
        let now = Instant::now();
        if !self.is_over(now) {
            return false;
        }
        let gap = waiting(seat).await.unwrap_or(false);
        self.found(gap, now);
        gap
    }
}

async fn waiting(seat: &Seat) -> Result<bool, StoreError> {
    let sql = "SELECT COUNT(*) FROM held WHERE reason = 'gap'";
    let rows = seat.office.reader().await?.rows(sql, vec![]).await?;
    rows.first().map_or(Ok(false), |row| Ok(row.count(0)? > 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_that_stays_is_asked_for_ever_more_seldom_and_a_closed_one_not() {
        let start = Instant::now();
        let mut patience = Patience::new(start);
        assert!(!patience.is_over(start + Duration::from_secs(19)));
        let mut now = start;
        let mut waited = Vec::new();
        for _ in 0..7 {
            let from = now;
            while !patience.is_over(now) {
                now += Duration::from_secs(1);
            }
            waited.push(now.duration_since(from).as_secs());
            patience.found(true, now);
        }
        assert_eq!(waited, [20, 40, 80, 160, 320, 600, 600]);
        patience.found(false, now);
        assert!(patience.is_over(now + FIRST));
    }
}

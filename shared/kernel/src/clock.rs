//! Time as it is written and the clocks that give it.
//!
//! `recorded` times come from an office's [`Clock`] and only ever go forwards;
//! legal dates are days in Asia/Shanghai, which has had no summer time since 1991.

use std::{
    fmt,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::Instant,
};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use time::{Date, OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339};

use crate::spelled::spelled;

/// An instant, in milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

const SHANGHAI_SECONDS: i32 = 8 * 3600;

impl Timestamp {
    /// Reads RFC 3339; anything finer than a millisecond is cut off.
    pub fn parse(text: &str) -> Option<Self> {
        let at = OffsetDateTime::parse(text, &Rfc3339).ok()?;
        i64::try_from(at.unix_timestamp_nanos() / 1_000_000).ok().map(Self)
    }

    /// The day in Asia/Shanghai.
    pub fn day(self) -> Day {
        let shanghai = UtcOffset::from_whole_seconds(SHANGHAI_SECONDS).unwrap_or(UtcOffset::UTC);
        let utc = self.utc();
        Day(utc.checked_to_offset(shanghai).unwrap_or(utc).date())
    }

    fn utc(self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000_000)
            .unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.utc();
        write!(
            f,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
            at.year(),
            u8::from(at.month()),
            at.day(),
            at.hour(),
            at.minute(),
            at.second(),
            at.millisecond()
        )
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        spelled(deserializer, "a time is written as RFC 3339", Self::parse)
    }
}

/// A date in Asia/Shanghai, written `2026-11-22`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(pub Date);

impl Day {
    /// Reads `YYYY-MM-DD`.
    pub fn parse(text: &str) -> Option<Self> {
        let format = time::macros::format_description!("[year]-[month]-[day]");
        // No sign before the year.
        let day = (text.len() == 10).then(|| Date::parse(text, format).ok());
        day.flatten().map(Self)
    }

    /// The day before; the first day of the calendar has itself before it.
    #[must_use]
    pub fn before(self) -> Self {
        Self(self.0.previous_day().unwrap_or(self.0))
    }

    /// Whole days from `earlier` to this day; negative if it is the earlier one.
    pub fn days_after(self, earlier: Self) -> i64 {
        i64::from(self.0.to_julian_day()) - i64::from(earlier.0.to_julian_day())
    }

    /// The first instant of this day in Asia/Shanghai.
    pub fn start(self) -> Timestamp {
        let seconds = self.0.midnight().assume_utc().unix_timestamp();
        Timestamp((seconds - i64::from(SHANGHAI_SECONDS)) * 1000)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.0.year(), u8::from(self.0.month()), self.0.day())
    }
}

impl Serialize for Day {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        spelled(deserializer, "a date is written YYYY-MM-DD", Self::parse)
    }
}

/// Where an office takes its time from.
#[derive(Debug)]
pub enum Clock {
    /// The machine's clock.
    Wall,
    /// A demo office's clock: it stands where it was last driven and ticks on.
    Driven(Driven),
    /// A simulated machine's clock: it stands until it is set, backwards too.
    Simulated(AtomicI64),
}

/// The state of a driven clock.
#[derive(Debug)]
pub struct Driven {
    at: AtomicI64,
    since: Mutex<Instant>,
}

impl Clock {
    /// A driven clock that starts at `at`.
    pub fn driven(at: Timestamp) -> Self {
        Self::Driven(Driven { at: AtomicI64::new(at.0), since: Mutex::new(Instant::now()) })
    }

    /// The time now.
    pub fn now(&self) -> Timestamp {
        match self {
            Self::Wall => wall(),
            Self::Simulated(at) => Timestamp(at.load(Ordering::SeqCst)),
            Self::Driven(clock) => {
                let since = clock.since.lock().unwrap_or_else(PoisonError::into_inner);
                let elapsed = i64::try_from(since.elapsed().as_millis()).unwrap_or(0);
                Timestamp(clock.at.load(Ordering::SeqCst) + elapsed)
            }
        }
    }

    /// Moves a driven clock forwards; `false` if it is a wall clock or `to` lies behind.
    pub fn drive(&self, to: Timestamp) -> bool {
        let now = self.now();
        match self {
            Self::Driven(clock) if to >= now => {
                let mut since = clock.since.lock().unwrap_or_else(PoisonError::into_inner);
                clock.at.store(to.0, Ordering::SeqCst);
                *since = Instant::now();
                true
            }
            _ => false,
        }
    }

    /// A simulated machine's clock that stands at `at`.
    pub fn simulated(at: Timestamp) -> Self {
        Self::Simulated(AtomicI64::new(at.0))
    }

    /// Sets a simulated machine's clock; others take no notice.
    pub fn set(&self, to: Timestamp) {
        if let Self::Simulated(at) = self {
            at.store(to.0, Ordering::SeqCst);
        }
    }

    /// Whether this is a demo clock.
    pub const fn is_driven(&self) -> bool {
        matches!(self, Self::Driven(_))
    }
}

/// The machine's time; tokens and heartbeats use it even in a demo city.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
pub fn wall() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Timestamp(since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_with_milliseconds_and_reads_back() {
        let at = Timestamp::parse("2026-11-22T08:03:11.412Z").unwrap();
        assert_eq!(at.to_string(), "2026-11-22T08:03:11.412Z");
        assert_eq!(Timestamp::parse("2026-11-22T16:03:11.412+08:00"), Some(at));
    }

    #[test]
    fn a_day_begins_at_midnight_in_shanghai() {
        let day = Day::parse("2026-11-22").unwrap();
        assert_eq!(day.start().to_string(), "2026-11-21T16:00:00.000Z");
        assert_eq!(Timestamp(day.start().0 - 1).day(), Day::parse("2026-11-21").unwrap());
        assert_eq!(day.days_after(Day::parse("2026-11-20").unwrap()), 2);
    }

    #[test]
    fn a_driven_clock_never_goes_back() {
        let clock = Clock::driven(Timestamp(1_000_000));
        assert!(clock.drive(Timestamp(5_000_000)));
        assert!(!clock.drive(Timestamp(4_000_000)));
        assert!(clock.now() >= Timestamp(5_000_000));
        assert!(!Clock::Wall.drive(Timestamp(i64::MAX)));
    }
}

//! What holds from a day on, until something else does.
//!
//! Two times are kept apart: the day here is when a thing began to hold in the
//! world; when it was recorded stands in the entry. The same day said again
//! corrects what was said of it.

use std::collections::BTreeMap;

use kernel::Day;
use serde::{Deserialize, Serialize};

/// Values by the first day on which they hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Dated<T>(BTreeMap<Day, T>);

impl<T> Default for Dated<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

/// One value with its days, both included; no last day means until further notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period<'a, T> {
    /// The first day.
    pub from: Day,
    /// The last day.
    pub to: Option<Day>,
    /// What holds.
    pub value: &'a T,
}

impl<T> Dated<T> {
    /// Lets `value` hold from a day on, up to the next day of which something is said.
    pub fn set(&mut self, from: Day, value: T) {
        self.0.insert(from, value);
    }

    /// What holds on a day.
    pub fn on(&self, day: Day) -> Option<&T> {
        self.0.range(..=day).next_back().map(|(_, value)| value)
    }

    /// Everything that ever held, from the first day on.
    pub fn periods(&self) -> impl Iterator<Item = Period<'_, T>> {
        let next = self.0.keys().skip(1).map(|day| Some(day.before())).chain([None]);
        self.0.iter().zip(next).map(|((from, value), to)| Period { from: *from, to, value })
    }
}

impl<T> Period<'_, T> {
    /// Whether the day lies in it.
    pub fn holds_on(&self, day: Day) -> bool {
        self.from <= day && self.to.is_none_or(|to| day <= to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Day {
        Day::parse(text).unwrap()
    }

    #[test]
    fn a_value_holds_until_the_day_before_the_next() {
        let mut name = Dated::default();
        name.set(day("2017-10-01"), "即墨区");
        name.set(day("1989-07-13"), "即墨市");
        for (on, holds) in [
            ("1989-07-12", None),
            ("1989-07-13", Some("即墨市")),
            ("2017-09-30", Some("即墨市")),
            ("2017-10-01", Some("即墨区")),
        ] {
            assert_eq!(name.on(day(on)), holds.as_ref(), "{on}");
            let in_force = name.periods().find(|period| period.holds_on(day(on)));
            assert_eq!(in_force.map(|period| period.value), holds.as_ref(), "{on}");
        }
        name.set(day("2017-10-01"), "青岛市即墨区");
        assert_eq!(name.periods().count(), 2);
    }
}

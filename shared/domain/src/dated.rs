//! What holds from a day on, until something else does.
//!
//! Two times are kept apart: the day here is when a thing began to hold in the
//! world; when it was recorded stands in the entry. What was said for a day stays
//! said: saying the same for a later day confirms it, saying something else for
//! the same day corrects it.

use std::collections::BTreeMap;

use kernel::Day;
use serde::{Deserialize, Serialize};

/// The families of facts that say themselves from which day on they hold.
pub static FAMILIES: [&str; 4] = ["deadline-policy", "organization", "register", "target-list"];

/// Values by the days for which they were said.
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

impl<T: PartialEq> Dated<T> {
    /// Lets `value` hold from a day on, up to the next day for which something is said.
    pub fn set(&mut self, from: Day, value: T) {
        self.0.insert(from, value);
    }

    /// What holds on a day.
    pub fn on(&self, day: Day) -> Option<&T> {
        self.0.range(..=day).next_back().map(|(_, value)| value)
    }

    /// What was said for just this day.
    pub fn said_for(&self, day: Day) -> Option<&T> {
        self.0.get(&day)
    }

    /// The next day after `day` for which something is said.
    pub fn next_after(&self, day: Day) -> Option<Day> {
        self.0.range(day..).map(|(said, _)| *said).find(|said| *said > day)
    }

    /// Everything that ever held, from the first day on; what was only confirmed goes on.
    pub fn periods(&self) -> Vec<Period<'_, T>> {
        let mut periods: Vec<Period<'_, T>> = Vec::new();
        for (from, value) in &self.0 {
            match periods.last_mut() {
                Some(last) if last.value == value => {}
                last => {
                    if let Some(last) = last {
                        last.to = Some(from.before());
                    }
                    periods.push(Period { from: *from, to: None, value });
                }
            }
        }
        periods
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
            let periods = name.periods();
            let in_force = periods.iter().find(|period| period.holds_on(day(on)));
            assert_eq!(in_force.map(|period| period.value), holds.as_ref(), "{on}");
        }
        name.set(day("2017-10-01"), "青岛市即墨区");
        assert_eq!(name.on(day("2017-10-01")), Some(&"青岛市即墨区"), "corrected");
        assert_eq!(name.periods().len(), 2);
    }

    #[test]
    fn a_confirmation_holds_against_what_is_learnt_later_of_an_earlier_day() {
        let mut name = Dated::default();
        name.set(day("2010-01-01"), "蓝村镇");
        name.set(day("2020-01-01"), "蓝村镇");
        assert_eq!(name.periods().len(), 1, "one period, said twice");
        name.set(day("2012-01-01"), "兰村镇");
        assert_eq!(name.on(day("2021-01-01")), Some(&"蓝村镇"));
        assert_eq!(name.next_after(day("2012-01-01")), Some(day("2020-01-01")));
    }
}

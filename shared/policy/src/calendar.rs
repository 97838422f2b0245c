//! Workdays of the People's Republic, with holidays and make-up workdays (调休).

use std::{collections::BTreeMap, sync::LazyLock};

use kernel::Day;
use time::{Duration, Month, Weekday};

/// The version of the table below; a changed table is a new file and a new version.
pub const VERSION: &str = "cn-2026.1";

/// Days off that fall on or span workdays, and weekend days that are worked instead (State
/// Council notices); a line each.
const TABLE: &str = include_str!("../calendars/cn-2026.1.tsv");

/// What the table says of single days: whether they are worked.
static DAYS: LazyLock<BTreeMap<Day, bool>> = LazyLock::new(|| {
    let lines = TABLE.lines().skip(1).filter_map(|line| {
        let mut cells = line.split('\t');
        let (first, last) = (Day::parse(cells.next()?)?, Day::parse(cells.next()?)?);
        Some((first, last, cells.next()? == "worked"))
    });
    let mut days = BTreeMap::new();
    for (first, last, worked) in lines {
        let mut day = first;
        while day <= last {
            days.insert(day, worked);
            day = days_after(day, 1);
        }
    }
    days
});

/// Whether offices work on this day. Outside the table, Monday to Friday.
pub fn is_workday(day: Day) -> bool {
    let weekend = matches!(day.0.weekday(), Weekday::Saturday | Weekday::Sunday);
    DAYS.get(&day).copied().unwrap_or(!weekend)
}

/// The `count`-th workday after `from`.
pub fn workdays_after(from: Day, count: u32) -> Day {
    let mut day = from;
    let mut left = count;
    while left > 0 {
        day = Day(day.0.saturating_add(Duration::DAY));
        left -= u32::from(is_workday(day));
    }
    day
}

/// The day that comes `count` days after.
pub fn days_after(from: Day, count: u32) -> Day {
    Day(from.0.saturating_add(Duration::days(i64::from(count))))
}

/// `count` calendar months after `from`, clamped to the month's end.
pub fn months_after(from: Day, count: u32) -> Day {
    let months =
        i64::from(from.0.year()) * 12 + i64::from(u8::from(from.0.month())) - 1 + i64::from(count);
    let year = i32::try_from(months.div_euclid(12)).unwrap_or(9999);
    let month = u8::try_from(months.rem_euclid(12) + 1).unwrap_or(12);
    let month = Month::try_from(month).unwrap_or(Month::December);
    let last = month.length(year);
    let date = time::Date::from_calendar_date(year, month, from.0.day().min(last));
    date.map_or(from, Day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Day {
        Day::parse(text).unwrap()
    }

    #[test]
    fn a_holiday_is_off_and_its_made_up_sunday_is_worked() {
        assert!(!is_workday(day("2024-10-01")));
        assert!(is_workday(day("2024-09-29")));
        assert!(!is_workday(day("2024-09-28")));
        assert_eq!(workdays_after(day("2024-09-27"), 3), day("2024-10-08"));
    }

    #[test]
    fn every_line_of_the_table_reads() {
        let spans = TABLE.lines().skip(1).map(|line| {
            let cells: Vec<&str> = line.split('\t').collect();
            assert!(["off", "worked"].contains(&cells[2]), "{line}");
            usize::try_from(day(cells[1]).days_after(day(cells[0]))).unwrap() + 1
        });
        assert_eq!(spans.sum::<usize>(), DAYS.len(), "no day stands in two lines");
    }

    #[test]
    fn three_months_are_not_ninety_days() {
        assert_eq!(months_after(day("2023-11-30"), 3), day("2024-02-29"));
        assert_eq!(months_after(day("2024-11-30"), 3), day("2025-02-28"));
        assert_eq!(months_after(day("2024-10-31"), 14), day("2025-12-31"));
    }
}

//! Workdays of the People's Republic, with holidays and make-up workdays (调休).

use kernel::Day;
use time::{Duration, Month, Weekday};

/// The version of the table below; a changed table is a new version.
pub const VERSION: &str = "cn-2026.1";

/// Days off that fall on or span workdays, first and last day (State Council notices).
const DAYS_OFF: &[(&str, &str)] = &[
    ("2022-12-31", "2023-01-02"),
    ("2023-01-21", "2023-01-27"),
    ("2023-04-05", "2023-04-05"),
    ("2023-04-29", "2023-05-03"),
    ("2023-06-22", "2023-06-24"),
    ("2023-09-29", "2023-10-06"),
    ("2023-12-30", "2024-01-01"),
    ("2024-02-10", "2024-02-17"),
    ("2024-04-04", "2024-04-06"),
    ("2024-05-01", "2024-05-05"),
    ("2024-06-08", "2024-06-10"),
    ("2024-09-15", "2024-09-17"),
    ("2024-10-01", "2024-10-07"),
    ("2025-01-01", "2025-01-01"),
    ("2025-01-28", "2025-02-04"),
    ("2025-04-04", "2025-04-06"),
    ("2025-05-01", "2025-05-05"),
    ("2025-05-31", "2025-06-02"),
    ("2025-10-01", "2025-10-08"),
    ("2026-01-01", "2026-01-03"),
    ("2026-02-15", "2026-02-23"),
    ("2026-04-04", "2026-04-06"),
    ("2026-05-01", "2026-05-05"),
    ("2026-06-19", "2026-06-21"),
    ("2026-09-25", "2026-09-27"),
    ("2026-10-01", "2026-10-07"),
];

/// Weekend days that are worked instead.
const MADE_UP: &[&str] = &[
    "2023-01-28",
    "2023-01-29",
    "2023-04-23",
    "2023-05-06",
    "2023-06-25",
    "2023-10-07",
    "2023-10-08",
    "2024-02-04",
    "2024-02-18",
    "2024-04-07",
    "2024-04-28",
    "2024-05-11",
    "2024-09-14",
    "2024-09-29",
    "2024-10-12",
    "2025-01-26",
    "2025-02-08",
    "2025-04-27",
    "2025-09-28",
    "2025-10-11",
    "2026-01-04",
    "2026-02-14",
    "2026-02-28",
    "2026-05-09",
    "2026-09-20",
    "2026-10-10",
];

/// Whether offices work on this day. Outside the table, Monday to Friday.
pub fn is_workday(day: Day) -> bool {
    let text = day.to_string();
    if MADE_UP.contains(&text.as_str()) {
        return true;
    }
    let off =
        DAYS_OFF.iter().any(|(first, last)| *first <= text.as_str() && text.as_str() <= *last);
    !off && !matches!(day.0.weekday(), Weekday::Saturday | Weekday::Sunday)
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
    fn three_months_are_not_ninety_days() {
        assert_eq!(months_after(day("2023-11-30"), 3), day("2024-02-29"));
        assert_eq!(months_after(day("2024-11-30"), 3), day("2025-02-28"));
        assert_eq!(months_after(day("2024-10-31"), 14), day("2025-12-31"));
    }
}

//! How much a rule asks for: a span of time, a share, a number a year.

use kernel::Day;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::calendar;

/// In what a value is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// 工作日
    Workday,
    /// 日
    Day,
    /// 周
    Week,
    /// 个月
    Month,
    /// 年
    Year,
    /// 百分比
    Percent,
    /// 次/年
    PerYear,
    /// 个: a number of things at a time
    Count,
    /// 组·日: a team's days
    TeamDay,
    /// 授权前: by the authorisation, whenever that is.
    Authorisation,
}

/// What units measure; a value is only changed for one of the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Measure {
    Time,
    Share,
    Times,
    Number,
    Load,
    Step,
}

impl Unit {
    const ALL: [Self; 10] = [
        Self::Workday,
        Self::Day,
        Self::Week,
        Self::Month,
        Self::Year,
        Self::Percent,
        Self::PerYear,
        Self::Count,
        Self::TeamDay,
        Self::Authorisation,
    ];

    /// As it is written in packs and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Workday => "workday",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Year => "year",
            Self::Percent => "percent",
            Self::PerYear => "per-year",
            Self::Count => "count",
            Self::TeamDay => "team-day",
            Self::Authorisation => "authorisation",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|unit| unit.as_str() == text)
    }

    const fn measure(self) -> Measure {
        match self {
            Self::Workday | Self::Day | Self::Week | Self::Month | Self::Year => Measure::Time,
            Self::Percent => Measure::Share,
            Self::PerYear => Measure::Times,
            Self::Count => Measure::Number,
            Self::TeamDay => Measure::Load,
            Self::Authorisation => Measure::Step,
        }
    }

    /// The most that is decided: ten years, all of it, once a day, and nothing to count.
    const fn most(self) -> u32 {
        match self {
            Self::Workday => 2_500,
            Self::Day => 3_650,
            Self::Week => 520,
            Self::Month => 120,
            Self::Year => 10,
            Self::Percent => 100,
            Self::PerYear => 366,
            Self::Count => 100,
            Self::TeamDay => 366,
            Self::Authorisation => 0,
        }
    }
}

/// A value of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Value {
    /// How much.
    #[schemars(range(min = 0, max = 3650))]
    pub amount: u32,
    /// Up to how much, of a window of time.
    #[schemars(range(min = 0, max = 3650))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<u32>,
    /// In what.
    pub unit: Unit,
}

impl Value {
    /// Whether it can stand where `default` stands: of the same measure, within bounds, a
    /// window only for a window; nought only where nought is the default.
    pub(crate) fn fits(self, default: Self) -> bool {
        let least = u32::from(default.amount > 0);
        let within = |amount: u32| (least..=self.unit.most()).contains(&amount);
        self.unit.measure() == default.unit.measure()
            && within(self.amount)
            && self.to.is_some() == default.to.is_some()
            && self.to.is_none_or(|to| within(to) && to >= self.amount)
    }

    /// So much of a number, rounded up: a fifth of 5,712 are 1,143 (`model.md` 0.7).
    pub fn share_of(self, whole: u64) -> u64 {
        let share = (u128::from(whole) * u128::from(self.amount)).div_ceil(100);
        if self.unit == Unit::Percent { u64::try_from(share).unwrap_or(u64::MAX) } else { 0 }
    }

    /// The day so long after another, at the window's end; none if it is no span of time.
    pub fn after(self, from: Day) -> Option<Day> {
        let count = self.to.unwrap_or(self.amount);
        Some(match self.unit {
            Unit::Workday => calendar::workdays_after(from, count),
            Unit::Day => calendar::days_after(from, count),
            Unit::Week => calendar::days_after(from, count.saturating_mul(7)),
            Unit::Month => calendar::months_after(from, count),
            Unit::Year => calendar::months_after(from, count.saturating_mul(12)),
            Unit::Percent | Unit::PerYear | Unit::Count | Unit::TeamDay | Unit::Authorisation => {
                return None;
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn of(amount: u32, unit: Unit) -> Value {
        Value { amount, to: None, unit }
    }

    #[test]
    fn a_value_gives_way_only_to_one_of_its_measure() {
        let ten = of(10, Unit::Workday);
        assert!(of(1, Unit::Month).fits(ten) && of(2_500, Unit::Workday).fits(ten));
        for unfit in [of(0, Unit::Day), of(2_501, Unit::Workday), of(20, Unit::Percent)] {
            assert!(!unfit.fits(ten), "{unfit:?}");
        }
        let window = Value { amount: 3, to: Some(6), unit: Unit::Month };
        assert!(window.fits(window) && !of(3, Unit::Month).fits(window) && !window.fits(ten));
        assert!(!Value { to: Some(2), ..window }.fits(window));
        assert!(of(0, Unit::Day).fits(of(0, Unit::Day)));
    }

    #[test]
    fn a_share_is_rounded_up() {
        let fifth = of(20, Unit::Percent);
        assert_eq!([5_712, 5_710, 1, 0].map(|whole| fifth.share_of(whole)), [1_143, 1_142, 1, 0]);
        assert_eq!(of(2, Unit::PerYear).share_of(100), 0);
    }

    #[test]
    fn only_time_has_an_end() {
        let from = Day::parse("2024-01-31").unwrap();
        let after = |value: Value| value.after(from).map(|day| day.to_string());
        assert_eq!(after(of(1, Unit::Month)).as_deref(), Some("2024-02-29"));
        assert_eq!(after(of(6, Unit::Week)).as_deref(), Some("2024-03-13"));
        assert_eq!(after(of(3, Unit::Year)).as_deref(), Some("2027-01-31"));
        let window = Value { amount: 2, to: Some(3), unit: Unit::Week };
        assert_eq!(after(window).as_deref(), Some("2024-02-21"));
        assert_eq!(after(of(20, Unit::Percent)), None);
    }
}

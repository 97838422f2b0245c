//! What holds for a deadline: the office's own decision, its parent's, the city's, the pack.

use std::collections::BTreeMap;

use kernel::{Day, OfficeId, id::Tier};
use serde::Serialize;

use crate::{
    calendar,
    decision::{Decision, Mode, Scope},
    pack::{self, Mark, Row},
    value::Value,
};

/// The decisions that an office goes by, the nearest office's first.
#[derive(Clone, Debug)]
pub struct Packs {
    tier: Tier,
    chain: Vec<(OfficeId, BTreeMap<String, Vec<Decision>>)>,
}

/// A rule as it holds on a day.
#[derive(Clone, Copy, Debug)]
pub struct Ruling<'a> {
    /// The rule.
    pub row: &'static Row,
    /// Its value.
    pub value: Value,
    /// Who decided it; nobody if it is the pack's.
    pub decided: Option<(&'a OfficeId, &'a Decision)>,
}

/// When something is due, and why then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// The day.
    pub day: Day,
    /// The row, the pack or decision, the calendar, and the day from which it runs.
    pub policy: String,
    /// Whether nobody has decided the rule: then it reminds and does not judge.
    pub reminds: bool,
}

/// How near a day is (安徽: 绿色提醒、黄色预警、红色警告).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Warning {
    /// 提醒
    Green,
    /// 预警
    Yellow,
    /// 逾期
    Red,
}

impl Due {
    /// By a day that somebody has set for the matter itself.
    pub const fn decided(day: Day) -> Self {
        Self { day, policy: String::new(), reminds: false }
    }
}

impl Ruling<'_> {
    /// Whether nobody has decided it and it is our proposal.
    pub fn reminds(&self) -> bool {
        self.decided.is_none() && self.row.mark == Mark::Proposal
    }

    /// The pack or the decision, by its name.
    pub fn named(&self) -> String {
        let named = self.decided.map(|(office, decision)| format!("{office}#{}", decision.number));
        named.unwrap_or_else(|| pack::VERSION.to_owned())
    }

    fn due(&self, from: Day) -> Due {
        let (key, named, calendar) = (self.row.key, self.named(), calendar::VERSION);
        Due {
            day: self.value.after(from).unwrap_or(from),
            policy: format!("{key} {named} {calendar} {from}"),
            reminds: self.reminds(),
        }
    }
}

impl Packs {
    /// Of an office of this tier, with the decisions of those it goes by, its own first.
    pub fn new(tier: Tier, chain: Vec<(OfficeId, BTreeMap<String, Vec<Decision>>)>) -> Self {
        Self { tier, chain }
    }

    /// The same for a matter of an office of another tier, as it goes by these decisions.
    #[must_use]
    pub fn for_tier(self, tier: Tier) -> Self {
        Self { tier, ..self }
    }

    /// What holds on a day: the nearest office that has decided; of its decisions the
    /// narrowest, and of these the last.
    pub fn on(&self, key: &str, mode: Option<Mode>, day: Day) -> Option<Ruling<'_>> {
        let row = pack::row(key)?;
        let decided = self.chain.iter().find_map(|(office, decisions)| {
            let decisions = decisions.get(key)?;
            decided(decisions, (self.tier, mode), day).map(|decision| (office, decision))
        });
        let value = decided.and_then(|(_, decision)| decision.value).unwrap_or(row.default);
        Some(Ruling { row, value, decided })
    }

    /// The same as if this office had decided nothing.
    #[must_use]
    pub fn above(&self) -> Self {
        Self { tier: self.tier, chain: self.chain.iter().skip(1).cloned().collect() }
    }

    /// Every decision of a rule, the nearest office's first.
    pub fn decisions(&self, key: &str) -> impl Iterator<Item = (&OfficeId, &Decision)> {
        self.chain.iter().flat_map(move |(office, decisions)| {
            decisions.get(key).into_iter().flatten().map(move |decision| (office, decision))
        })
    }

    /// When the deadline `key`, running from `from`, ends. An unknown key ends at once, so
    /// that a mistake shows.
    pub fn due(&self, key: &str, from: Day) -> Due {
        self.due_in(key, None, from)
    }

    /// The same for a matter of a round of this mode.
    pub fn due_in(&self, key: &str, mode: Option<Mode>, from: Day) -> Due {
        self.on(key, mode, from).map_or_else(
            || Due { day: from, policy: format!("{key} - - {from}"), reminds: true },
            |ruling| ruling.due(from),
        )
    }

    /// The day that a deadline's `policy` comes to, computed once more; none if it names what
    /// is not known here.
    pub fn again(&self, policy: &str) -> Option<Day> {
        let words: Vec<&str> = policy.split(' ').collect();
        let &[key, named, calendar::VERSION, from] = words.as_slice() else { return None };
        let (row, from) = (pack::row(key)?, Day::parse(from)?);
        if named == pack::VERSION {
            return row.default.after(from);
        }
        let (office, number) = named.split_once('#')?;
        let (_, decisions) = self.chain.iter().find(|(id, _)| id.as_str() == office)?;
        let mut decisions = decisions.get(key)?.iter();
        let decision = decisions.find(|decision| decision.number.to_string() == number)?;
        decision.value?.after(from)
    }

    /// How near a day is. What only reminds is never red.
    pub fn warning(&self, due: Day, today: Day, reminds: bool) -> Option<Warning> {
        let after = |key: &str, from: Day| {
            let ruling = self.on(key, None, today);
            ruling.and_then(|ruling| ruling.value.after(from)).unwrap_or(from)
        };
        if after("warn.red", due) < today && !reminds {
            Some(Warning::Red)
        } else if due <= after("warn.yellow", today) {
            Some(Warning::Yellow)
        } else {
            (due <= after("warn.green", today)).then_some(Warning::Green)
        }
    }
}

/// The decision of one office that holds for a matter; what it gave back is as if it had
/// never decided.
fn decided(
    decisions: &[Decision],
    (tier, mode): (Tier, Option<Mode>),
    day: Day,
) -> Option<&Decision> {
    let mut last: Vec<&Decision> = Vec::new();
    let in_force = decisions.iter().filter(|one| one.from <= day);
    for one in in_force.filter(|one| one.scope.holds_for(tier, mode)) {
        last.retain(|known| known.scope != one.scope);
        last.push(one);
    }
    let of = |scope: Scope| scope.narrowness();
    last.into_iter().filter(|one| one.value.is_some()).max_by_key(|one| of(one.scope))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Unit;

    fn day(text: &str) -> Day {
        Day::parse(text).unwrap()
    }

    fn decision(number: u32, from: &str, amount: Option<u32>, scope: Scope) -> Decision {
        let value = amount.map(|amount| Value { amount, to: None, unit: Unit::Day });
        Decision { number, from: day(from), value, scope, document: "1号".into() }
    }

    fn packs(tier: Tier, chain: &[(&str, &[Decision])]) -> Packs {
        let of = |(office, decisions): &(&str, &[Decision])| {
            let decisions = BTreeMap::from([("filing.default".to_owned(), decisions.to_vec())]);
            (OfficeId::parse(office).unwrap(), decisions)
        };
        Packs::new(tier, chain.iter().map(of).collect())
    }

    #[test]
    fn the_nearest_decision_holds_from_its_day_on() {
        let city = [decision(1, "2024-02-01", Some(20), Scope::default())];
        let own = [
            decision(1, "2024-03-01", Some(5), Scope::default()),
            decision(2, "2024-04-01", None, Scope::default()),
        ];
        let packs = packs(Tier::District, &[("dddddddd", &own), ("cccccccc", &city)]);
        let due = |from: &str| {
            let due = packs.due("filing.default", day(from));
            assert_eq!(packs.again(&due.policy), Some(due.day));
            (due.day.to_string(), due.policy, due.reminds)
        };
        let row = |day: &str, policy: &str, reminds| (day.to_owned(), policy.to_owned(), reminds);
        let says = "filing.default default-2026.1 cn-2026.1 2024-01-31";
        assert_eq!(due("2024-01-31"), row("2024-02-19", says, true));
        let says = "filing.default cccccccc#1 cn-2026.1 2024-02-01";
        assert_eq!(due("2024-02-01"), row("2024-02-21", says, false));
        let says = "filing.default dddddddd#1 cn-2026.1 2024-03-01";
        assert_eq!(due("2024-03-01"), row("2024-03-06", says, false));
        // Given back, the city's holds again.
        let says = "filing.default cccccccc#1 cn-2026.1 2024-04-01";
        assert_eq!(due("2024-04-01"), row("2024-04-21", says, false));
        assert_eq!(packs.again("filing.default eeeeeeee#1 cn-2026.1 2024-04-01"), None);
        assert_eq!(packs.again("filing.default default-2026.1 cn-2026.1"), None);
    }

    #[test]
    fn the_narrowest_decision_of_an_office_holds() {
        let (tier, mode) = (Some(Tier::Township), Some(Mode::Special));
        let decisions = [
            decision(1, "2024-01-01", Some(9), Scope { tier, mode: None }),
            decision(2, "2024-01-01", Some(8), Scope::default()),
            decision(3, "2024-01-01", Some(7), Scope { tier, mode }),
        ];
        let of = |tier, mode| {
            let packs = packs(tier, &[("cccccccc", &decisions)]);
            packs.on("filing.default", mode, day("2024-01-02")).map(|ruling| ruling.value.amount)
        };
        assert_eq!(of(Tier::District, Some(Mode::Special)), Some(8));
        assert_eq!(of(Tier::Township, None), Some(9));
        assert_eq!(of(Tier::Township, Some(Mode::Special)), Some(7));
    }

    #[test]
    fn a_warning_grows_and_a_proposal_is_never_red() {
        let packs = packs(Tier::City, &[]);
        let at = |today: &str, reminds| packs.warning(day("2024-03-31"), day(today), reminds);
        assert_eq!(at("2024-03-10", false), None);
        assert_eq!(at("2024-03-11", false), Some(Warning::Green));
        assert_eq!(at("2024-03-21", false), Some(Warning::Yellow));
        assert_eq!(at("2024-03-31", false), Some(Warning::Yellow));
        assert_eq!(at("2024-04-01", false), Some(Warning::Red));
        assert_eq!(at("2024-04-01", true), Some(Warning::Yellow));
    }
}

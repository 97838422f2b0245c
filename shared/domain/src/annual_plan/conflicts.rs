//! 冲突检查 The conflict report: what of a plan meets what it must not (`model.md` 3.2).
//!
//! It is computed from the rounds and the limits alone; whoever asks twice is told the
//! same. A conflict is known by a key over all that it is: if anything of it changes, it
//! is another one, and what was said to excuse it excuses it no more.

use std::collections::{BTreeMap, BTreeSet};

use kernel::{Day, sign::Hash};
use serde::{Deserialize, Serialize};

use super::PlannedRound;
use crate::{
    Level,
    round::{Kind, Reach},
};

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// 同一对象时间重叠: one target in two rounds whose \[notice, feedback\] meet
    Overlap,
    /// 轮次并行: more live rounds of one kind than the policy allows
    Live,
    /// 人员重叠: one person in two teams at a time
    Person,
    /// 力量不足: fewer team-days for a target than the policy asks for
    Capacity,
    /// 常规未反馈先开机动: a mobile round enters before a regular one is fed back
    Early,
    /// 短期重复: a target again within the time of the policy
    Repeat,
    /// 专题过多: more themes of a special round than the policy allows
    Themes,
    /// 专项过长: a special round stays longer than the policy allows
    Length,
}

impl Rule {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Overlap => "overlap",
            Self::Live => "live",
            Self::Person => "person",
            Self::Capacity => "capacity",
            Self::Early => "early",
            Self::Repeat => "repeat",
            Self::Themes => "themes",
            Self::Length => "length",
        }
    }

    /// The row of the policy that sets its limit, if one does.
    pub const fn policy(self) -> Option<&'static str> {
        match self {
            Self::Overlap | Self::Person | Self::Early => None,
            Self::Live => Some("plan.live_rounds"),
            Self::Capacity => Some("plan.team_days"),
            Self::Repeat => Some("plan.repeat"),
            Self::Themes => Some("plan.special_themes"),
            Self::Length => Some("plan.special_days"),
        }
    }
}

/// The most targets or persons that a conflict names; all are counted and in its key.
const MOST: usize = 50;

/// One conflict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conflict {
    /// The rule and a digest of all that it is.
    pub key: String,
    /// What is wrong.
    pub rule: Rule,
    /// The rounds, by their numbers.
    pub rounds: Vec<String>,
    /// The targets or persons, the first fifty.
    pub about: Vec<String>,
    /// How many they are.
    pub count: u64,
    /// What it comes to: days, themes, rounds, or team-days in hundredths.
    pub value: u64,
    /// What the policy allows, in the same.
    pub limit: u64,
}

impl Conflict {
    fn new(rule: Rule, rounds: &[&str], about: &BTreeSet<&str>, value: u64, limit: u64) -> Self {
        let names = about.iter().fold(String::new(), |all, name| all + name + "\n");
        let says = format!("{}\n{value}\n{limit}\n{names}", rounds.join("+"));
        let digest = Hash::of(&[rule.as_str().as_bytes(), b"\n", says.as_bytes()]).to_string();
        Self {
            key: format!("{}-{}", rule.as_str(), &digest[..16]),
            rule,
            rounds: rounds.iter().map(|&round| round.to_owned()).collect(),
            about: about.iter().take(MOST).map(|&name| name.to_owned()).collect(),
            count: about.len() as u64,
            value,
            limit,
        }
    }
}

/// What the policy allows.
#[derive(Clone, Copy)]
pub struct Limits<'a> {
    /// Live rounds at a time: of the regular kind, and of the others.
    pub live: u64,
    /// The least team-days for a target.
    pub team_days: u64,
    /// The most themes of a special round.
    pub themes: u64,
    /// The longest stay of a special round, in days.
    pub stay: u64,
    /// Until when a target that was fed back on a day is left alone.
    pub rests_until: &'a dyn Fn(Day) -> Day,
}

/// Every conflict of a plan's rounds among themselves and with those beside it. `fed_back`
/// says which targets were fed back when, in rounds that stand in neither.
pub fn conflicts(
    plan: &[&PlannedRound],
    beside: &[PlannedRound],
    fed_back: &[(String, Day)],
    limits: Limits<'_>,
) -> Vec<Conflict> {
    let mut found = Vec::new();
    for (at, first) in plan.iter().enumerate() {
        let later = plan[at + 1..].iter().copied();
        for second in later.chain(beside.iter()) {
            let (early, late) = if second.outline.notice < first.outline.notice {
                (second, *first)
            } else {
                (*first, second)
            };
            of_two(early, late, limits, &mut found);
        }
        of_one(first, fed_back, limits, &mut found);
    }
    live(plan, beside, limits, &mut found);
    found.sort_by(|a, b| (a.rule, &a.rounds, &a.key).cmp(&(b.rule, &b.rounds, &b.key)));
    found
}

/// Of two rounds, the one with the earlier notice first.
fn of_two(
    first: &PlannedRound,
    second: &PlannedRound,
    limits: Limits<'_>,
    found: &mut Vec<Conflict>,
) {
    let (a, b) = (&first.outline, &second.outline);
    let rounds = [a.number.as_str(), b.number.as_str()];
    let mut say = |rule, about: &BTreeSet<&str>, value, limit| {
        found.push(Conflict::new(rule, &rounds, about, value, limit));
    };
    let both = common(&targets(first), &targets(second));
    // They meet if the second is noticed before the first is fed back.
    if !both.is_empty() {
        let rests = (limits.rests_until)(a.feedback);
        if b.notice <= a.feedback {
            let days = a.feedback.min(b.feedback).days_after(b.notice) + 1;
            say(Rule::Overlap, &both, days.unsigned_abs(), 0);
        } else if b.notice < rests && !b.follow_up {
            let days = b.notice.days_after(a.feedback);
            let limit = rests.days_after(a.feedback);
            say(Rule::Repeat, &both, days.unsigned_abs(), limit.unsigned_abs());
        }
    }
    if a.entry <= b.withdrawal && b.entry <= a.withdrawal {
        let both = common(&members(first), &members(second));
        if !both.is_empty() {
            let days = a.withdrawal.min(b.withdrawal).days_after(a.entry.max(b.entry)) + 1;
            say(Rule::Person, &both, days.unsigned_abs(), 0);
        }
    }
    for (regular, mobile) in [(a, b), (b, a)] {
        let kinds = (regular.kind, mobile.kind) == (Kind::Regular, Kind::Mobile);
        if kinds && regular.notice <= mobile.entry && mobile.entry < regular.feedback {
            let days = regular.feedback.min(mobile.feedback).days_after(mobile.entry);
            say(Rule::Early, &BTreeSet::new(), days.unsigned_abs(), 0);
        }
    }
}

fn of_one(
    round: &PlannedRound,
    fed_back: &[(String, Day)],
    limits: Limits<'_>,
    found: &mut Vec<Conflict>,
) {
    let outline = &round.outline;
    let mut say = |rule, about: &BTreeSet<&str>, value, limit| {
        found.push(Conflict::new(rule, &[&outline.number], about, value, limit));
    };
    let none = BTreeSet::new();
    let days = outline.withdrawal.days_after(outline.entry).unsigned_abs() + 1;
    // Villages that come with their town are no load of their own.
    let along = outline.reach == Reach::TownWithVillages;
    let load = round.targets.iter().filter(|target| !along || target.level != Level::Village);
    let load = load.count() as u64;
    let hundredths = (round.teams.len() as u64 * days * 200 + load).checked_div(2 * load);
    if let Some(hundredths) = hundredths.filter(|each| *each < limits.team_days * 100) {
        say(Rule::Capacity, &none, hundredths, limits.team_days * 100);
    }
    let mut seen = BTreeSet::new();
    let twice: BTreeSet<&str> = round
        .teams
        .iter()
        .flatten()
        .map(String::as_str)
        .filter(|name| !seen.insert(*name))
        .collect();
    if !twice.is_empty() {
        say(Rule::Person, &twice, days, 0);
    }
    if outline.kind == Kind::Special {
        let themes = outline.themes.len() as u64;
        if themes > limits.themes {
            say(Rule::Themes, &none, themes, limits.themes);
        }
        if days > limits.stay {
            say(Rule::Length, &none, days, limits.stay);
        }
    }
    if !outline.follow_up {
        let own = targets(round);
        let rested = |on: Day| on <= outline.notice && (limits.rests_until)(on) > outline.notice;
        let again = fed_back.iter().filter(|(org, on)| rested(*on) && own.contains(org.as_str()));
        let last = again.clone().map(|(_, on)| *on).max();
        let again: BTreeSet<&str> = again.map(|(org, _)| org.as_str()).collect();
        if let Some(last) = last {
            let limit = (limits.rests_until)(last).days_after(last).unsigned_abs();
            say(Rule::Repeat, &again, outline.notice.days_after(last).unsigned_abs(), limit);
        }
    }
}

/// More rounds of a kind live at once than allowed; each largest set of them once.
fn live(
    plan: &[&PlannedRound],
    beside: &[PlannedRound],
    limits: Limits<'_>,
    found: &mut Vec<Conflict>,
) {
    let all = || plan.iter().copied().chain(beside.iter());
    for regular in [true, false] {
        let of_kind = |round: &&PlannedRound| (round.outline.kind == Kind::Regular) == regular;
        let mut sets: Vec<BTreeSet<&str>> = Vec::new();
        for begins in all().filter(of_kind) {
            let day = begins.outline.notice;
            let lives =
                |round: &&PlannedRound| round.outline.notice <= day && day < round.outline.feedback;
            let set: BTreeSet<&str> = all()
                .filter(of_kind)
                .filter(lives)
                .map(|round| round.outline.number.as_str())
                .collect();
            if set.len() as u64 > limits.live && !sets.iter().any(|known| known.is_superset(&set)) {
                sets.retain(|known| !set.is_superset(known));
                sets.push(set);
            }
        }
        let ours = |number: &&str| plan.iter().any(|round| round.outline.number == **number);
        for set in sets.iter().filter(|set| set.iter().any(&ours)) {
            let rounds: Vec<&str> = set.iter().copied().collect();
            let count = rounds.len() as u64;
            found.push(Conflict::new(Rule::Live, &rounds, &BTreeSet::new(), count, limits.live));
        }
    }
}

fn targets(round: &PlannedRound) -> BTreeSet<&str> {
    round.targets.iter().map(|target| target.org.as_str()).collect()
}

fn members(round: &PlannedRound) -> BTreeSet<&str> {
    round.teams.iter().flatten().map(String::as_str).collect()
}

fn common<'a>(one: &BTreeSet<&'a str>, other: &BTreeSet<&'a str>) -> BTreeSet<&'a str> {
    one.intersection(other).copied().collect()
}

/// The conflicts that nothing excuses, by their keys.
pub(super) fn unexcused<'a>(
    conflicts: &'a [Conflict],
    excused: &'a BTreeMap<String, String>,
) -> impl Iterator<Item = &'a str> {
    let keys = conflicts.iter().map(|conflict| conflict.key.as_str());
    keys.filter(|key| !excused.contains_key(*key))
}

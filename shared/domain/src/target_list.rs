//! 全覆盖对象清单 Target list: what a committee must inspect in its term, by versions.
//!
//! Coverage on a day is computed against the version in force on that day: 商洛
//! had 90 targets, and 94 from the reform of 2018 on.

use std::collections::BTreeSet;

use kernel::{Aggregate, Code, Context, Day, Refusal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Level;

/// A listed target.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// The organization's id.
    pub org: String,
    /// Its level.
    pub level: Level,
}

/// The versions so far: from which day on each is in force, and what it lists.
#[derive(Clone, Debug, Default)]
pub struct TargetList {
    versions: Vec<(Day, BTreeSet<String>)>,
}

/// Issues a version.
#[derive(Clone, Debug)]
pub struct IssueVersion {
    /// From which day on it is in force.
    pub valid_from: Day,
    /// The targets.
    pub targets: Vec<Target>,
    /// Why the list changed.
    pub reason: String,
    /// Targets to which feedback was delivered; none of them may leave the list.
    pub inspected: BTreeSet<String>,
}

/// What can happen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Event {
    /// A version was issued; the earlier ones are kept.
    VersionIssued {
        /// Its number, from 1.
        number: u32,
        /// From which day on it is in force.
        valid_from: Day,
        /// The targets.
        targets: Vec<Target>,
        /// Why.
        reason: String,
    },
    /// More targets of the version just issued; a long list makes several entries at once.
    TargetsListed {
        /// The version's number.
        number: u32,
        /// The targets.
        targets: Vec<Target>,
    },
}

/// How many targets fit one entry of 48 KiB.
const SLICE: usize = 400;

impl Aggregate for TargetList {
    type Command = IssueVersion;
    type Event = Event;
    const FAMILY: &'static str = "target-list";

    fn name(event: &Event) -> &'static str {
        match event {
            Event::VersionIssued { .. } => "version-issued",
            Event::TargetsListed { .. } => "targets-listed",
        }
    }

    /// A version that is not in force yet gives way to a new one; what is or was in
    /// force is never changed.
    fn decide(&self, command: IssueVersion, context: &Context) -> Result<Vec<Event>, Refusal> {
        let IssueVersion { valid_from, targets, reason, inspected } = command;
        crate::filled("reason", &reason).map_err(|_| Code::ReasonRequired)?;
        let today = context.now.day();
        let in_force = self.versions.iter().rfind(|(from, _)| *from <= today);
        if let Some((from, _)) = in_force.filter(|(from, _)| valid_from <= *from) {
            return Err(Refusal::new(Code::ListOrder).detail(format!("> {from}")));
        }
        let mut orgs = BTreeSet::new();
        for target in &targets {
            if !orgs.insert(target.org.clone()) {
                return Err(Refusal::new(Code::ListedTwice).detail(&target.org));
            }
        }
        let listed = self.versions.last().map(|(_, listed)| listed);
        let kept = |org: &&String| listed.is_some_and(|listed| listed.contains(*org));
        if let Some(gone) = inspected.difference(&orgs).find(kept) {
            return Err(Refusal::new(Code::InspectedRemoved).detail(gone));
        }
        let number = u32::try_from(self.versions.len()).unwrap_or(u32::MAX).saturating_add(1);
        let mut slices = targets.chunks(SLICE).map(<[_]>::to_vec);
        let targets = slices.next().unwrap_or_default();
        let mut events = vec![Event::VersionIssued { number, valid_from, targets, reason }];
        events.extend(slices.map(|targets| Event::TargetsListed { number, targets }));
        Ok(events)
    }

    fn evolve(&mut self, event: &Event) {
        let orgs = |targets: &[Target]| -> Vec<String> {
            targets.iter().map(|target| target.org.clone()).collect()
        };
        match event {
            Event::VersionIssued { valid_from, targets, .. } => {
                self.versions.push((*valid_from, orgs(targets).into_iter().collect()));
            }
            Event::TargetsListed { targets, .. } => {
                if let Some((_, listed)) = self.versions.last_mut() {
                    listed.extend(orgs(targets));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use testkit::given;

    fn version(number: u32, from: &str, count: usize) -> Event {
        Event::VersionIssued {
            number,
            valid_from: Day::parse(from).unwrap(),
            targets: targets(count),
            reason: "机构改革".into(),
        }
    }

    fn targets(count: usize) -> Vec<Target> {
        (1..=count).map(|n| Target { org: format!("o{n}"), level: Level::City }).collect()
    }

    fn issue(from: &str, count: usize, inspected: &[&str]) -> IssueVersion {
        IssueVersion {
            valid_from: Day::parse(from).unwrap(),
            targets: targets(count),
            reason: "机构改革".into(),
            inspected: inspected.iter().map(|&org| org.to_owned()).collect(),
        }
    }

    #[test]
    fn ninety_targets_become_ninety_four() {
        let first = version(1, "2016-12-01", 90);
        given::<TargetList>([first]).when(issue("2018-10-01", 94, &[])).then([version(
            2,
            "2018-10-01",
            94,
        )]);
    }

    #[test]
    fn a_version_with_a_mistyped_year_gives_way_until_its_day_comes() {
        let (first, wrong) = (version(1, "2016-12-01", 90), version(2, "2199-10-01", 94));
        let right = version(3, "2018-10-01", 94);
        given::<TargetList>([first, wrong]).when(issue("2018-10-01", 94, &[])).then([right]);
    }

    #[test]
    fn a_long_list_is_several_entries_and_still_one_version() {
        let events = TargetList::default()
            .decide(issue("2016-12-01", 2018, &[]), &testkit::context("p1"))
            .unwrap();
        assert_eq!(events.len(), 6);
        let again = issue("2018-10-01", 1, &["o2018"]);
        given::<TargetList>(events).when(again).then_refused(Code::InspectedRemoved);
    }

    #[test]
    fn what_was_never_listed_need_not_be_listed() {
        let first = version(1, "2016-12-01", 3);
        let next = issue("2018-10-01", 4, &["o2", "mobile"]);
        given::<TargetList>([first]).when(next).then([version(2, "2018-10-01", 4)]);
    }

    #[test]
    fn a_version_is_later_lists_nothing_twice_and_keeps_what_was_inspected() {
        let first = || [version(1, "2018-10-01", 90)];
        given::<TargetList>(first())
            .when(issue("2018-10-01", 94, &[]))
            .then_refused(Code::ListOrder);
        given::<TargetList>(first())
            .when(issue("2019-01-01", 5, &["o6"]))
            .then_refused(Code::InspectedRemoved);
        let mut twice = issue("2019-01-01", 5, &[]);
        twice.targets.push(twice.targets[0].clone());
        given::<TargetList>(first()).when(twice).then_refused(Code::ListedTwice);
    }
}

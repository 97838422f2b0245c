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

/// The newest version.
#[derive(Clone, Debug, Default)]
pub struct TargetList {
    number: u32,
    valid_from: Option<Day>,
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
}

impl Aggregate for TargetList {
    type Command = IssueVersion;
    type Event = Event;
    const FAMILY: &'static str = "target-list";

    fn name(_: &Event) -> &'static str {
        "version-issued"
    }

    fn decide(&self, command: IssueVersion, _: &Context) -> Result<Vec<Event>, Refusal> {
        let IssueVersion { valid_from, targets, reason, inspected } = command;
        crate::filled("reason", &reason).map_err(|_| Code::ReasonRequired)?;
        if self.valid_from.is_some_and(|last| valid_from <= last) {
            return Err(Code::ListOrder.into());
        }
        let mut orgs = BTreeSet::new();
        for target in &targets {
            if !orgs.insert(target.org.clone()) {
                return Err(Refusal::new(Code::ListedTwice).detail(&target.org));
            }
        }
        if let Some(gone) = inspected.difference(&orgs).next() {
            return Err(Refusal::new(Code::InspectedRemoved).detail(gone));
        }
        Ok(vec![Event::VersionIssued { number: self.number + 1, valid_from, targets, reason }])
    }

    fn evolve(&mut self, event: &Event) {
        let Event::VersionIssued { number, valid_from, .. } = event;
        self.number = *number;
        self.valid_from = Some(*valid_from);
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

//! Logs of an export against each other: who signs what, and what one office took in of another.

use std::collections::{BTreeMap, HashMap};

use domain::directory::Member;
use kernel::{OfficeId, entry, sign::PublicKey};

use crate::{logs::Log, verify::Report};

/// Who signs which entries, as the city's log says.
pub(crate) struct Signers(BTreeMap<OfficeId, Vec<Member>>);

impl Signers {
    pub(crate) fn of(logs: &[Log]) -> Self {
        let mut signers: BTreeMap<OfficeId, Vec<Member>> = BTreeMap::new();
        // The city's own log says it; other offices' are not asked.
        let founded = |log: &&Log| {
            let first = log.members.first();
            first.is_some_and(|city| city.seat.parent.is_none() && city.seat.office == log.office)
        };
        for member in logs.iter().filter(founded).flat_map(|log| &log.members) {
            signers.entry(member.seat.office.clone()).or_default().push(member.clone());
        }
        Self(signers)
    }

    pub(crate) fn is_known(&self) -> bool {
        !self.0.is_empty()
    }

    fn key(&self, office: &OfficeId, sequence: u64) -> Option<PublicKey> {
        let all = self.0.get(office)?;
        let of = all.iter().rev().find(|member| member.key_from <= sequence);
        of.or_else(|| all.first()).map(|member| member.key)
    }

    /// Checks the signature of every so many entries.
    pub(crate) fn check(&self, logs: &[Log], every: u64, report: &mut Report) {
        for log in logs {
            let every = usize::try_from(every).unwrap_or(1).max(1);
            for (index, bytes) in (0..).zip(&log.entries).step_by(every) {
                let Some(key) = self.key(&log.office, index + 1) else {
                    report.open(&log.origin, "signer", "the city's log does not know who signs it");
                    break;
                };
                if entry::open(bytes).is_ok_and(|parts| !parts.is_signed_by(&key)) {
                    report.breaks(
                        &log.origin,
                        Some(index),
                        "signature",
                        "its office's key has not signed it",
                    );
                }
            }
            if every > 1 {
                report.unchecked.push(format!(
                    "{}: of {every} entries' signatures, one was checked",
                    log.origin
                ));
            }
        }
    }
}

/// What one office took in from another is what stands in the other's log.
pub(crate) fn across(logs: &[Log], report: &mut Report) {
    let by: HashMap<&OfficeId, &Log> = logs.iter().map(|log| (&log.office, log)).collect();
    let mut absent: BTreeMap<String, u64> = BTreeMap::new();
    for log in logs {
        for taken in &log.taken {
            let origin = taken.lane.split('.').nth(1).and_then(OfficeId::parse);
            let Some(other) = origin.as_ref().and_then(|origin| by.get(origin)) else {
                *absent
                    .entry(taken.lane.split('.').nth(1).unwrap_or_default().to_owned())
                    .or_default() += 1;
                continue;
            };
            let place = usize::try_from(taken.last).unwrap_or(0).checked_sub(1);
            let lane = other.lanes.get(&taken.lane);
            match place.and_then(|place| lane.and_then(|lane| lane.get(place))) {
                Some((_, leaf)) if *leaf == taken.hash.0 => {}
                // Of a life whose end was lost.
                Some((epoch, _)) if *epoch > taken.epoch => {
                    let what = format!(
                        "{} took in an entry of a life of it that ended otherwise",
                        log.origin
                    );
                    report.open(&other.origin, "lost-life", what);
                }
                Some(_) => {
                    let what = format!(
                        "what it took in of {} up to {} is not what stands there",
                        taken.lane, taken.last
                    );
                    report.breaks(&log.origin, Some(taken.index), "received", what);
                }
                // The other's export may have been made before.
                None => {
                    let what = format!(
                        "{} took in {} up to {}, and this export ends before",
                        log.origin, taken.lane, taken.last
                    );
                    report.open(&other.origin, "behind", what);
                }
            }
        }
    }
    for (origin, times) in absent {
        report
            .unchecked
            .push(format!("what was taken in from {origin} ({times} times): its log is not here"));
    }
}

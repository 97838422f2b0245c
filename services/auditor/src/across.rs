//! Logs of an export against each other: who signs what, and what one office took in of another.

use std::collections::{BTreeMap, HashMap};

use domain::directory::Member;
use kernel::{Fact, OfficeId, Timestamp, entry, sign::PublicKey};

use crate::{logs::Log, verify::Report};

/// Who signs which entries, as the city's log says.
pub(crate) struct Signers {
    members: BTreeMap<OfficeId, Vec<Member>>,
    /// When the city's log ends: what came later may be signed by a key it does not know.
    until: Timestamp,
}

impl Signers {
    /// What the city's log says; nothing if there is none, or more than one that says it is.
    pub(crate) fn of(logs: &[Log]) -> Option<Self> {
        let founded = |log: &&Log| {
            let first = log.members.first();
            first.is_some_and(|city| city.seat.parent.is_none() && city.seat.office == log.office)
        };
        let mut cities = logs.iter().filter(founded);
        let (city, None) = (cities.next()?, cities.next()) else { return None };
        let mut members: BTreeMap<OfficeId, Vec<Member>> = BTreeMap::new();
        for member in &city.members {
            members.entry(member.seat.office.clone()).or_default().push(member.clone());
        }
        Some(Self { members, until: city.to.unwrap_or(Timestamp(0)) })
    }

    /// Whose key signs an entry of this life at this place.
    fn key(&self, office: &OfficeId, epoch: u32, sequence: u64) -> Option<PublicKey> {
        let all = self.members.get(office)?;
        let of = |member: &&Member| member.key_from <= sequence && member.epoch <= epoch;
        all.iter().rev().find(of).or_else(|| all.first()).map(|member| member.key)
    }

    /// Checks the signatures of the entries that were kept, of every so many one.
    pub(crate) fn check(&self, logs: &[Log], every: u64, report: &mut Report) {
        for log in logs {
            if !self.members.contains_key(&log.office) {
                report.open(&log.origin, "signer", "the city's log does not know who signs it");
                continue;
            }
            for (index, bytes) in &log.entries {
                let Ok((fact, _)) = Fact::of_entry(bytes) else { continue };
                let key = self.key(&log.office, fact.at.epoch, index + 1);
                let parts = entry::open(bytes).ok();
                if key.zip(parts).is_some_and(|(key, parts)| parts.is_signed_by(&key)) {
                    continue;
                }
                if fact.recorded > self.until {
                    report.open(
                        &log.origin,
                        "signer",
                        "recorded after the city's log ends, by a key that it does not know",
                    );
                    break;
                }
                report.breaks(
                    &log.origin,
                    Some(*index),
                    "signature",
                    "its office's key has not signed it",
                );
            }
            if every > 1 {
                let what =
                    format!("{}: the signatures of entries but for every {every}th", log.origin);
                report.unchecked.push(what);
            }
        }
    }
}

/// What one office took in from another is what stands in the other's log.
pub(crate) fn across(logs: &[Log], report: &mut Report) {
    let mut by: HashMap<&OfficeId, &Log> = HashMap::new();
    for log in logs {
        // Of several lives, the newest has all of them.
        let known = by.entry(&log.office).or_insert(log);
        if log.leaves.len() > known.leaves.len() {
            *known = log;
        }
    }
    let mut absent: BTreeMap<&OfficeId, u64> = BTreeMap::new();
    for log in logs {
        for taken in &log.taken {
            let Some(other) = by.get(&taken.lane.origin) else {
                *absent.entry(&taken.lane.origin).or_default() += 1;
                continue;
            };
            let place = usize::try_from(taken.last).unwrap_or(0).checked_sub(1);
            let lane = other.lanes.get(&taken.lane);
            match place.and_then(|place| lane.and_then(|lane| lane.get(place))) {
                Some((_, leaf)) if *leaf == taken.hash.0 => {}
                // Of a life whose end was lost.
                Some((epoch, _)) if *epoch != taken.epoch => {
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

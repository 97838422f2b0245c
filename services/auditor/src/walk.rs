//! The entries of a log one by one: each stands where it says, and nothing is missing between.

use std::collections::HashMap;

use domain::directory::Event as Told;
use event_store::intake::{Event as Intake, RECEIVED};
use kernel::{Fact, Timestamp, sign::Hash};

use crate::{logs::Log, verify::Report};

/// A run of another office's lane that was taken in.
pub(crate) struct Taken {
    pub(crate) index: u64,
    pub(crate) lane: String,
    pub(crate) epoch: u32,
    pub(crate) last: u64,
    pub(crate) hash: Hash,
}

impl Log {
    /// Each entry stands where it says, and its lane and stream have no gap.
    pub(crate) fn walk(&mut self, report: &mut Report) {
        let mut streams: HashMap<String, u64> = HashMap::new();
        let mut last = Timestamp(i64::MIN);
        let entries = std::mem::take(&mut self.entries);
        for (index, bytes) in (0..).zip(&entries) {
            let Some(bytes) = bytes else { continue };
            let Ok((fact, hash)) = Fact::of_entry(bytes) else {
                report.breaks(&self.origin, Some(index), "form", "it is no entry");
                continue;
            };
            let mut wrong = |what: &str| {
                report.breaks(&self.origin, Some(index), "place", what.to_owned());
            };
            if fact.at.origin != self.office || fact.at.sequence != index + 1 {
                wrong("it says that it stands elsewhere");
            }
            let lane = self.lanes.entry(fact.lane().to_string()).or_default();
            if fact.lane != lane.len() as u64 + 1 {
                wrong("its lane has a gap before it");
            }
            lane.push((fact.at.epoch, hash.0));
            if let Some(version) = fact.version {
                let known = streams.entry(fact.stream.clone()).or_default();
                if version != *known + 1 {
                    wrong("its stream has a gap before it");
                }
                *known = version;
            }
            // What was changed says nothing of its neighbours.
            if !self.changed.contains(&index) {
                if fact.recorded < last {
                    wrong("it was recorded before the one before it");
                }
                last = fact.recorded;
            }
            self.from.get_or_insert(fact.recorded);
            self.to = Some(fact.recorded);
            self.note(index, &fact);
        }
        self.entries = entries;
    }

    /// Keeps what other logs, and signatures, are held against.
    fn note(&mut self, index: u64, fact: &Fact) {
        if fact.kind == RECEIVED
            && let Ok(Intake::Received { runs }) = fact.read()
        {
            self.taken.extend(runs.into_iter().map(|run| Taken {
                index,
                lane: run.lane.to_string(),
                epoch: run.epoch,
                last: run.last,
                hash: run.hash,
            }));
        }
        if fact.family() == "directory" {
            match fact.read() {
                Ok(Told::Founded { city, .. }) => self.members.push(city),
                Ok(Told::Enrolled { member, .. } | Told::Turned { member, .. }) => {
                    self.members.push(member);
                }
                Ok(Told::EpochOpened { opening, .. }) => self.members.push(opening.member),
                _ => {}
            }
        }
    }
}

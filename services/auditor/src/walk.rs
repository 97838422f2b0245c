//! The entries of a log one by one: each stands where it says, and nothing is missing between.

use std::collections::HashMap;

use domain::directory::Event as Told;
use event_store::intake::{Event as Intake, RECEIVED};
use kernel::{Fact, Lane, Timestamp, sign::Hash};
use ledger::tree::Node;

use crate::{logs::Log, tiles::Said};

/// A run of another office's lane that was taken in.
pub(crate) struct Received {
    pub(crate) index: u64,
    pub(crate) lane: Lane,
    pub(crate) epoch: u32,
    pub(crate) last: u64,
    pub(crate) hash: Hash,
}

/// How far a log was walked.
pub(crate) struct Walk {
    /// The last version of each stream.
    streams: HashMap<String, u64>,
    last: Timestamp,
    /// What is not as it should be, by place.
    pub(crate) found: Vec<(u64, &'static str, String)>,
}

impl Default for Walk {
    fn default() -> Self {
        Self { streams: HashMap::new(), last: Timestamp(i64::MIN), found: Vec::new() }
    }
}

/// Whether a fact is what other logs, and signatures, are held against.
pub(crate) fn is_of_others(fact: &Fact) -> bool {
    fact.kind == RECEIVED || fact.family() == "directory"
}

impl Walk {
    fn wrong(&mut self, index: u64, what: &str) {
        // A log that was written anew is wrong everywhere: what is said first is enough.
        if self.found.len() < 20 {
            self.found.push((index, "place", what.to_owned()));
        }
    }

    /// Takes the next entry: it stands where it says, and its lane and stream have no gap.
    pub(crate) fn take(
        &mut self,
        log: &mut Log,
        (index, leaf): (u64, Node),
        said: Option<Said>,
        changed: bool,
    ) {
        let Some(said) = said else {
            if self.found.len() < 20 {
                self.found.push((index, "form", "it is no entry".to_owned()));
            }
            return;
        };
        if said.at.origin != log.office || said.at.sequence != index + 1 {
            self.wrong(index, "it says that it stands elsewhere");
        }
        let lane = log.lanes.entry(said.lane).or_default();
        if said.counter != lane.len() as u64 + 1 {
            self.wrong(index, "its lane has a gap before it");
        }
        lane.push((said.at.epoch, leaf));
        if let Some(version) = said.version {
            let known = self.streams.entry(said.stream).or_default();
            let gap = version != *known + 1;
            *known = version;
            if gap {
                self.wrong(index, "its stream has a gap before it");
            }
        }
        // What was changed says nothing of its neighbours.
        if !changed {
            if said.recorded < self.last {
                self.wrong(index, "it was recorded before the one before it");
            }
            self.last = said.recorded;
        }
        log.from.get_or_insert(said.recorded);
        log.to = Some(said.recorded);
        if let Some(fact) = said.fact {
            log.note(index, &fact);
        }
    }
}

impl Log {
    /// Keeps what other logs, and signatures, are held against.
    fn note(&mut self, index: u64, fact: &Fact) {
        if fact.kind == RECEIVED
            && let Ok(Intake::Received { runs }) = fact.read()
        {
            self.taken.extend(runs.into_iter().map(|run| Received {
                index,
                lane: run.lane,
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

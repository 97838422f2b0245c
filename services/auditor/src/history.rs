//! 历史 The logs of an export as one history: what each office recorded, and in which order
//! it came to know what others shared.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    io,
    path::Path,
};

use domain::directory::Member;
use event_store::{
    intake::{Event as Intake, FOLDED, RECEIVED, Run},
    past::Known as Moment,
};
use kernel::{EntryRef, Fact, Lane, OfficeId, Timestamp, sign::Hash};

use crate::{logs::Log, verify::Report};

/// One entry, read.
#[derive(Debug)]
pub struct Told {
    /// What it says.
    pub fact: Fact,
    /// Its leaf hash.
    pub hash: Hash,
}

/// The newest log of one office.
pub struct OfficeLog {
    /// `liandong/<office>/<epoch>`.
    pub origin: String,
    /// The office.
    pub office: OfficeId,
    /// Which life of the log it is.
    epoch: u32,
    /// When it was exported, by its own word.
    made: Option<Timestamp>,
    /// Its entries by sequence less one; none where one does not read.
    pub told: Vec<Option<Told>>,
    /// Their places by lane and counter.
    lanes: HashMap<Lane, Vec<usize>>,
}

/// One thing that an office came to know.
pub struct Known<'a> {
    /// Its own entry, or the marker behind which it was folded.
    pub at: u64,
    /// When that was, by its clock.
    pub when: Timestamp,
    /// The fact.
    pub told: &'a Told,
}

/// What an office took in and an export does not hold, by the lane it came on.
pub type Missing = BTreeMap<String, u64>;

/// Every log of an export.
pub struct History {
    /// The logs, by office.
    pub logs: BTreeMap<OfficeId, OfficeLog>,
    /// The offices as the city's log names them last.
    pub members: BTreeMap<OfficeId, Member>,
    /// What does not hold of the logs by themselves.
    pub report: Report,
}

impl History {
    /// Reads an export; each log is held against its own signed head on the way.
    pub fn read(export: &Path) -> io::Result<Self> {
        let mut report = Report::default();
        let (mut logs, mut members) = (BTreeMap::new(), BTreeMap::new());
        for folder in crate::verify::folders(&export.join("logs"))? {
            let Some(log) = Log::read(&folder, 1, &mut report)? else { continue };
            for member in &log.members {
                members.insert(member.seat.office.clone(), member.clone());
            }
            let log = OfficeLog::of(log);
            let office = log.office.clone();
            let Some(known) = logs.remove(&office) else {
                logs.insert(office, log);
                continue;
            };
            // The newest life has what is left of those before it.
            let (older, newer): (OfficeLog, OfficeLog) =
                if known.epoch < log.epoch { (known, log) } else { (log, known) };
            if older.told.len() > newer.told.len() {
                let what = "this life ended with more entries than the next one has";
                report.open(&older.origin, "lost-life", what);
            }
            logs.insert(office, newer);
        }
        if logs.is_empty() {
            return Err(io::Error::other(format!("{}: there is no log here", export.display())));
        }
        Ok(Self { logs, members, report })
    }

    /// The office that a text means: its id, its code or its name.
    pub fn office(&self, text: &str) -> io::Result<&OfficeLog> {
        let named = |member: &&Member| member.seat.code == text || member.seat.name == text;
        let by_name = self.members.values().find(named).map(|member| &member.seat.office);
        let office = OfficeId::parse(text).or_else(|| by_name.cloned());
        let log = office.and_then(|office| self.logs.get(&office));
        log.ok_or_else(|| io::Error::other(format!("{text}: no log of such an office is here")))
    }

    /// How an office is called; its id if no directory is here.
    pub fn name(&self, office: &OfficeId) -> String {
        let member = self.members.get(office);
        member.map_or_else(|| office.to_string(), |member| member.seat.name.clone())
    }

    /// Everything that an office came to know, in its own order.
    pub fn known<'a>(&'a self, log: &'a OfficeLog, missing: &mut Missing) -> Vec<Known<'a>> {
        let late = log.late();
        let mut known = Vec::new();
        for (sequence, told) in (1..).zip(&log.told) {
            let Some(told) = told else {
                *missing.entry(log.origin.clone()).or_default() += 1;
                continue;
            };
            let when = told.fact.recorded;
            // A copy for a further addressee is the same fact once more.
            if told.fact.copy_of.is_none() {
                known.push(Known { at: sequence, when, told });
            }
            let mut take = |told: &'a Told| known.push(Known { at: sequence, when, told });
            match told.fact.kind.as_str() {
                RECEIVED => {
                    for run in told.fact.read().map(runs).unwrap_or_default() {
                        for told in self.run(&run, missing) {
                            if !late.contains(&told.fact.at) {
                                take(told);
                            }
                        }
                    }
                }
                FOLDED => {
                    for at in told.fact.read().map(folded).unwrap_or_default() {
                        match self.entry(&at) {
                            Some(told) => take(told),
                            None => *missing.entry(at.to_string()).or_default() += 1,
                        }
                    }
                }
                _ => {}
            }
        }
        known
    }

    /// The entries of a run, as far as they are here and end in what was taken in.
    fn run(&self, run: &Run, missing: &mut Missing) -> Vec<&Told> {
        let found: Vec<&Told> = (run.first..=run.last)
            .filter_map(|counter| {
                let log = self.logs.get(&run.lane.origin)?;
                let lane = log.lanes.get(&run.lane)?;
                let at = lane.get(usize::try_from(counter).ok()?.checked_sub(1)?)?;
                log.told[*at].as_ref()
            })
            .collect();
        let many = run.last.saturating_sub(run.first) + 1;
        let ends = found.last().is_some_and(|told| told.hash == run.hash);
        if found.len() as u64 == many && ends {
            return found;
        }
        *missing.entry(run.lane.to_string()).or_default() += many;
        Vec::new()
    }

    /// The entry at a place.
    pub fn entry(&self, at: &EntryRef) -> Option<&Told> {
        let place = usize::try_from(at.sequence).ok()?.checked_sub(1)?;
        let told = self.logs.get(&at.origin)?.told.get(place)?.as_ref()?;
        (told.fact.at == *at).then_some(told)
    }

    /// Every entry of every log, a log after the other.
    pub fn all(&self) -> impl Iterator<Item = &Told> {
        self.logs.values().flat_map(|log| log.told.iter().flatten())
    }
}

fn runs(event: Intake) -> Vec<Run> {
    if let Intake::Received { runs } = event { runs } else { Vec::new() }
}

fn folded(event: Intake) -> Vec<EntryRef> {
    if let Intake::Folded { entries } = event { entries } else { Vec::new() }
}

impl OfficeLog {
    /// Whether the office may have come to know more by then than its log here says.
    pub fn ends_before(&self, known: Moment) -> bool {
        let last = self.told.iter().rev().flatten().next().map(|told| told.fact.recorded);
        match known {
            Moment::After(sequence) => sequence > self.told.len() as u64,
            Moment::At(time) => last.max(self.made).is_none_or(|end| time > end),
        }
    }

    fn of(log: Log) -> Self {
        let mut told: Vec<Option<Told>> = log.leaves.iter().map(|_| None).collect();
        let mut lanes: HashMap<Lane, Vec<usize>> = HashMap::new();
        for (index, bytes) in log.entries {
            let (Ok(place), Ok((fact, hash))) = (usize::try_from(index), Fact::of_entry(&bytes))
            else {
                continue;
            };
            lanes.entry(fact.lane()).or_default().push(place);
            told[place] = Some(Told { fact, hash });
        }
        let epoch = log.origin.rsplit('/').next().and_then(|life| life.parse().ok());
        let (origin, office, made) = (log.origin, log.office, log.made);
        Self { origin, office, made, epoch: epoch.unwrap_or(0), told, lanes }
    }

    /// What was stored before it was understood: it was folded behind a later marker.
    fn late(&self) -> HashSet<EntryRef> {
        let markers = self.told.iter().flatten().filter(|told| told.fact.kind == FOLDED);
        markers.flat_map(|told| told.fact.read().map(folded).unwrap_or_default()).collect()
    }

    /// The runs that it took in, each with its marker.
    pub fn taken(&self) -> impl Iterator<Item = (&Told, Run)> {
        let markers = self.told.iter().flatten().filter(|told| told.fact.kind == RECEIVED);
        markers.flat_map(|told| {
            let runs = told.fact.read().map(runs).unwrap_or_default();
            runs.into_iter().map(move |run| (told, run))
        })
    }
}

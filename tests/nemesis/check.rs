//! The checker: what was acknowledged is in the log of its office, once; and every
//! reader of a lane holds exactly its entries, once, in order, byte for byte.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use deploy::api::from_base64;
use kernel::{Fact, OfficeId};

use crate::entries;

use super::{
    ledger::{Ledger, Record},
    offices::Offices,
};

/// What one fault came to.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// How often it struck.
    pub struck: u64,
    /// Commands first sent while it lasted, with every try.
    pub tried: u64,
    /// Commands that were acknowledged.
    pub acknowledged: u64,
    /// Acknowledged and not in their office's log, or not at a reader.
    pub lost: u64,
    /// More than once in a log or at a reader.
    pub doubled: u64,
    /// Out of the order of their lane.
    pub reordered: u64,
    /// The longest time from the end of the fault until everybody held everything.
    pub healed: std::time::Duration,
}

impl Tally {
    /// Takes another's counts in.
    pub(crate) fn add(&mut self, other: &Self) {
        self.tried += other.tried;
        self.acknowledged += other.acknowledged;
        self.lost += other.lost;
        self.doubled += other.doubled;
        self.reordered += other.reordered;
    }
}

/// One office's events in its local order.
pub(crate) struct Events {
    pub(crate) id: OfficeId,
    pub(crate) all: Vec<(Fact, Vec<u8>)>,
}

/// Reads everything that an office holds.
pub(crate) async fn events(offices: &Offices, code: &str) -> Result<Events, String> {
    let api = offices.api(code);
    let mut all = Vec::new();
    for item in entries(&api).await? {
        let bytes = from_base64(item["entry"].as_str().unwrap_or_default());
        let (fact, _) = Fact::of_entry(&bytes).map_err(|e| format!("{code}: {e:?}"))?;
        all.push((fact, bytes));
    }
    Ok(Events { id: api.id, all })
}

/// The findings of one check.
pub(crate) struct Findings<'a> {
    tallies: BTreeMap<&'static str, Tally>,
    wrong: Vec<String>,
    /// Which fault was there when a version of a stream was made.
    made: HashMap<&'a str, Vec<(u64, &'static str)>>,
}

impl Findings<'_> {
    fn tally(&mut self, fault: &'static str) -> &mut Tally {
        self.tallies.entry(fault).or_default()
    }

    fn fault_of(&self, fact: &Fact) -> &'static str {
        let Some(made) = self.made.get(fact.stream.as_str()) else { return "(others)" };
        let version = fact.version.unwrap_or(0);
        let found = made.iter().find(|(at, _)| *at >= version).or_else(|| made.last());
        found.map_or("(others)", |(_, fault)| fault)
    }

    fn lost(&mut self, fault: &'static str, what: &str) {
        self.tally(fault).lost += 1;
        self.wrong.push(format!("lost: {what}"));
    }

    fn doubled(&mut self, fault: &'static str, what: &str) {
        self.tally(fault).doubled += 1;
        self.wrong.push(format!("doubled: {what}"));
    }

    fn reordered(&mut self, fault: &'static str, what: &str) {
        self.tally(fault).reordered += 1;
        self.wrong.push(format!("reordered: {what}"));
    }
}

/// Checks a quiet city.
pub(crate) async fn check(
    offices: &Offices,
    ledger: &Ledger,
) -> Result<(BTreeMap<&'static str, Tally>, Vec<String>), String> {
    let records = ledger.records();
    let mut made: HashMap<&str, Vec<(u64, &'static str)>> = HashMap::new();
    for record in &records {
        made.entry(record.stream.as_str()).or_default().push((record.version, record.fault));
    }
    let mut findings = Findings { tallies: BTreeMap::new(), wrong: Vec::new(), made };
    let mut logs = BTreeMap::new();
    for code in offices.codes() {
        logs.insert(code, events(offices, code).await?);
    }
    for record in &records {
        let tally = findings.tally(record.fault);
        tally.tried += record.tries;
        tally.acknowledged += u64::from(record.acknowledged());
    }
    for (code, log) in &logs {
        let own: Vec<&Record> = records.iter().filter(|record| record.office == *code).collect();
        own_log(&mut findings, code, log, &own);
    }
    for reader in offices.codes() {
        for origin in offices.codes() {
            lanes(&mut findings, offices, (origin, &logs[origin]), (reader, &logs[reader]));
        }
    }
    Ok((findings.tallies, findings.wrong))
}

/// Every acknowledged command stands in its office's log once, and nothing else of persons.
fn own_log(findings: &mut Findings<'_>, code: &str, log: &Events, records: &[&Record]) {
    let own: Vec<&(Fact, Vec<u8>)> =
        log.all.iter().filter(|(fact, _)| fact.at.origin == log.id).collect();
    for (at, (fact, _)) in (1..).zip(&own) {
        if fact.at.sequence != at {
            findings.reordered("(others)", &format!("{code}: {} stands at {at}", fact.at));
            return;
        }
    }
    let mut versions = BTreeSet::new();
    let mut words: HashMap<&str, u64> = HashMap::new();
    let made: BTreeSet<&str> = records.iter().filter_map(|record| record.mark.as_deref()).collect();
    for (fact, _) in &own {
        if let Some(version) = fact.version
            && !versions.insert((fact.stream.as_str(), version))
        {
            findings
                .doubled(findings.fault_of(fact), &format!("{code}: {} v{version}", fact.stream));
        }
        if fact.version == Some(1) {
            for word in fact.data.get().split('"').filter(|word| made.contains(word)) {
                *words.entry(word).or_default() += 1;
            }
        }
    }
    for record in records.iter().filter(|record| record.acknowledged() && record.version > 0) {
        let what = format!("{code}: {} v{}", record.stream, record.version);
        if !versions.contains(&(record.stream.as_str(), record.version)) {
            findings.lost(record.fault, &what);
        }
    }
    for record in records.iter().filter(|record| record.acknowledged()) {
        let Some(mark) = record.mark.as_deref() else { continue };
        match words.get(mark) {
            Some(1) => {}
            None => findings.lost(record.fault, &format!("{code}: {mark}")),
            Some(count) => findings.doubled(record.fault, &format!("{code}: {mark} {count} times")),
        }
    }
    unexpected(findings, code, &own, records);
}

/// A stream that persons changed more often than they were answered.
fn unexpected(
    findings: &mut Findings<'_>,
    code: &str,
    own: &[&(Fact, Vec<u8>)],
    records: &[&Record],
) {
    let mut last: HashMap<&str, u64> = HashMap::new();
    for record in records.iter().filter(|record| record.acknowledged()) {
        let known = last.entry(record.stream.as_str()).or_default();
        *known = (*known).max(record.version);
    }
    for (fact, _) in own {
        let by_person = !fact.actor.is_system();
        let of_work = matches!(fact.family(), "round" | "finding" | "rectification" | "filing");
        // Commands of a round take its findings along.
        let along = fact.kind.contains("finding.listed") || fact.kind.contains("finding.fed-back");
        let version = fact.version.unwrap_or(0);
        if by_person
            && of_work
            && !along
            && version > last.get(fact.stream.as_str()).copied().unwrap_or(0)
        {
            let what = format!("unexpected: {code}: {} v{version} {}", fact.stream, fact.kind);
            findings.wrong.push(what);
        }
    }
}

/// What `reader` holds of `origin` is what it should, in the order of each lane.
fn lanes(
    findings: &mut Findings<'_>,
    offices: &Offices,
    (origin, log): (&str, &Events),
    (reader, held): (&str, &Events),
) {
    if origin == reader {
        return;
    }
    let place = offices.seats[reader].membership();
    let (tier, parent) = (place.seat.tier, place.seat.parent.as_ref());
    let begins: BTreeMap<String, u64> =
        place.baselines.iter().map(|b| (b.lane.to_string(), b.counter)).collect();
    let concerns = |fact: &Fact| {
        let begin = begins.get(&fact.lane().to_string()).copied().unwrap_or(0);
        fact.audience.is_read_by(&log.id, &held.id, tier, parent) && fact.lane > begin
    };
    let mut here: HashMap<u64, &[u8]> = HashMap::new();
    let mut last: BTreeMap<String, u64> = BTreeMap::new();
    for (fact, bytes) in held.all.iter().filter(|(fact, _)| fact.at.origin == log.id) {
        let what = format!("{} at {reader}", fact.at);
        if here.insert(fact.at.sequence, bytes).is_some() {
            findings.doubled(findings.fault_of(fact), &what);
        }
        let lane = last.entry(fact.lane().to_string()).or_default();
        if fact.lane < *lane {
            findings.reordered(findings.fault_of(fact), &what);
        }
        *lane = fact.lane;
    }
    for (fact, bytes) in log.all.iter().filter(|(fact, _)| fact.at.origin == log.id) {
        let found = here.remove(&fact.at.sequence);
        let what = format!("{} ({}) of {origin} at {reader}", fact.at, fact.lane());
        match (concerns(fact), found) {
            (true, None) => findings.lost(findings.fault_of(fact), &what),
            (_, Some(found)) if found != bytes.as_slice() => {
                findings.wrong.push(format!("other bytes: {what}"));
            }
            (false, Some(_)) => findings.wrong.push(format!("not for it: {what}")),
            _ => {}
        }
    }
    for sequence in here.keys() {
        findings.wrong.push(format!("unexpected: {origin}/{sequence} at {reader}"));
    }
}

//! 追溯 The whole way of a matter across offices, and single entries by what they say.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    io,
};

use kernel::{Day, EntryRef, Fact, OfficeId, Timestamp, sign::Hash};
use serde::Serialize;
use serde_json::{Value, json};

use crate::history::{History, Told};

/// One entry on the way of a matter.
#[derive(Debug, Serialize)]
pub struct Step {
    /// Whose entry, in which life of its log, at which place.
    pub at: EntryRef,
    /// The office's name.
    pub office: String,
    /// What happened, without the prefix that all types have.
    pub kind: String,
    /// The stream.
    pub stream: String,
    /// Who did it, person and role.
    pub actor: String,
    /// The day of the act, if it is not that of the record.
    pub act_date: Option<Day>,
    /// When it was recorded.
    pub recorded: Timestamp,
    /// The leaf hash.
    pub hash: Hash,
    /// Who took it in, and when.
    pub received: Vec<Receipt>,
}

/// An entry taken in by another office.
#[derive(Debug, Serialize)]
pub struct Receipt {
    /// The office.
    pub office: OfficeId,
    /// Its name.
    pub name: String,
    /// Its own entry that records it.
    pub sequence: u64,
    /// When it recorded it.
    pub recorded: Timestamp,
    /// How much later than the entry itself, in seconds by both offices' clocks.
    pub seconds: i64,
}

/// What every office records of itself, and what counts: no part of a matter's way.
const ASIDE: [&str; 6] = ["intake", "reading", "figures", "clue-figures", "session", "directory"];

/// The way of the matter with this id, or of this stream: its own entries, those that name
/// it or an entry of it, and those that name these.
pub fn trace(history: &History, id: &str) -> io::Result<Vec<Step>> {
    let mut names: BTreeSet<String> = BTreeSet::new();
    let mut way: BTreeMap<EntryRef, &Told> = BTreeMap::new();
    let is_meant = |fact: &Fact| {
        fact.stream == id || fact.stream.split_once('/').is_some_and(|(_, rest)| rest == id)
    };
    let mut rest: Vec<&Told> = Vec::new();
    for told in history.all().filter(|told| !ASIDE.contains(&told.fact.family())) {
        if is_meant(&told.fact) {
            joins(told, &mut way, &mut names);
        } else {
            rest.push(told);
        }
    }
    if way.is_empty() {
        return Err(io::Error::other(format!("{id}: no entry is of such a matter")));
    }
    let mut said: HashMap<EntryRef, Vec<String>> = HashMap::new();
    loop {
        let before = way.len();
        rest.retain(|told| {
            let said = said.entry(told.fact.at.clone()).or_insert_with(|| texts(&told.fact));
            let caused = told.fact.causation.as_ref().is_some_and(|cause| way.contains_key(cause));
            let named =
                names.contains(&told.fact.stream) || said.iter().any(|it| names.contains(it));
            if caused || named {
                joins(told, &mut way, &mut names);
            }
            !(caused || named)
        });
        if way.len() == before {
            break;
        }
    }
    Ok(in_order(steps(history, way.values().copied()), &way))
}

/// By time, and never before what an entry goes back to: each office has a clock of its own.
fn in_order(steps: Vec<Step>, way: &BTreeMap<EntryRef, &Told>) -> Vec<Step> {
    let mut by_name: HashMap<String, EntryRef> = HashMap::new();
    for (at, told) in way {
        by_name.extend([(at.to_string(), at.clone()), (told.hash.to_string(), at.clone())]);
    }
    let mut open: BTreeMap<EntryRef, (Step, BTreeSet<EntryRef>)> = BTreeMap::new();
    let mut last: HashMap<OfficeId, EntryRef> = HashMap::new();
    for step in steps {
        let fact = way.get(&step.at).map(|told| &told.fact);
        let named = fact.map(texts).unwrap_or_default();
        let named = named.iter().filter_map(|text| by_name.get(text).cloned());
        let cause = fact.and_then(|fact| fact.causation.clone());
        let before = last.insert(step.at.origin.clone(), step.at.clone());
        let waits = named.chain(cause).chain(before).filter(|at| *at != step.at);
        let waits = waits.collect();
        open.insert(step.at.clone(), (step, waits));
    }
    let mut ordered = Vec::with_capacity(open.len());
    while !open.is_empty() {
        let waits = |of: &BTreeSet<EntryRef>| of.iter().any(|at| open.contains_key(at));
        let free = open.iter().filter(|(_, (_, of))| !waits(of));
        let next = free.min_by_key(|(at, (step, _))| (step.recorded, (*at).clone()));
        // Entries that name each other stand as they are.
        let next = next.or_else(|| open.iter().next()).map(|(at, _)| at.clone());
        let next = next.and_then(|at| open.remove(&at));
        ordered.extend(next.map(|(step, _)| step));
    }
    ordered
}

fn joins<'a>(told: &'a Told, way: &mut BTreeMap<EntryRef, &'a Told>, names: &mut BTreeSet<String>) {
    let fact = &told.fact;
    names.extend([fact.stream.clone(), told.hash.to_string(), fact.at.to_string()]);
    names.extend(fact.stream.split_once('/').map(|(_, id)| id.to_owned()));
    way.insert(fact.at.clone(), told);
}

/// Every text of what an entry says.
fn texts(fact: &Fact) -> Vec<String> {
    let mut open: Vec<Value> = fact.read().into_iter().collect();
    let mut texts = Vec::new();
    while let Some(value) = open.pop() {
        match value {
            Value::String(text) => texts.push(text),
            Value::Array(items) => open.extend(items),
            Value::Object(members) => open.extend(members.into_iter().map(|(_, value)| value)),
            _ => {}
        }
    }
    texts
}

/// The entries with who took them in. A copy for a further addressee is no step of its own.
fn steps<'a>(history: &'a History, way: impl Iterator<Item = &'a Told>) -> Vec<Step> {
    let mut runs: HashMap<String, Vec<(u64, u64, Receipt)>> = HashMap::new();
    for log in history.logs.values() {
        for (marker, run) in log.taken() {
            let receipt = Receipt {
                office: log.office.clone(),
                name: history.name(&log.office),
                sequence: marker.fact.at.sequence,
                recorded: marker.fact.recorded,
                seconds: 0,
            };
            runs.entry(run.lane.to_string()).or_default().push((run.first, run.last, receipt));
        }
    }
    let mut steps: BTreeMap<EntryRef, Step> = BTreeMap::new();
    let mut received: Vec<(EntryRef, Receipt)> = Vec::new();
    for told in way {
        let fact = &told.fact;
        let of_the_lane = runs.get(&fact.lane().to_string());
        for (first, last, receipt) in of_the_lane.into_iter().flatten() {
            if (*first..=*last).contains(&fact.lane) {
                let seconds = (receipt.recorded.0 - fact.recorded.0) / 1000;
                let (office, name) = (receipt.office.clone(), receipt.name.clone());
                let (sequence, recorded) = (receipt.sequence, receipt.recorded);
                let receipt = Receipt { office, name, sequence, recorded, seconds };
                received.push((fact.original(), receipt));
            }
        }
        if fact.copy_of.is_none() {
            steps.insert(fact.at.clone(), step(history, told));
        }
    }
    for (at, receipt) in received {
        if let Some(step) = steps.get_mut(&at) {
            step.received.push(receipt);
        }
    }
    steps.into_values().collect()
}

fn step(history: &History, Told { fact, hash }: &Told) -> Step {
    Step {
        at: fact.at.clone(),
        office: history.name(&fact.at.origin),
        kind: fact.kind.strip_prefix("cn.liandong.").unwrap_or(&fact.kind).to_owned(),
        stream: fact.stream.clone(),
        actor: format!("{} {}", fact.actor.person, fact.actor.role),
        act_date: fact.act_date,
        recorded: fact.recorded,
        hash: *hash,
        received: Vec::new(),
    }
}

/// What is looked for; what is not said does not matter.
#[derive(Debug, Default)]
pub struct Wanted {
    /// The family, or the beginning of the type.
    pub kind: Option<String>,
    /// A part of the stream's name.
    pub stream: Option<String>,
    /// The person or the role.
    pub actor: Option<String>,
    /// Recorded on this day or later.
    pub from: Option<Day>,
    /// Recorded on this day or before.
    pub to: Option<Day>,
    /// A part of what it says.
    pub text: Option<String>,
}

/// The entries that are looked for.
pub fn find(history: &History, wanted: &Wanted) -> Vec<Step> {
    let is =
        |part: &Option<String>, holds: &dyn Fn(&str) -> bool| part.as_deref().is_none_or(holds);
    let found = history.all().filter(|told| {
        let (fact, day) = (&told.fact, told.fact.recorded.day());
        is(&wanted.kind, &|kind| {
            fact.family() == kind || fact.kind.trim_start_matches("cn.liandong.").starts_with(kind)
        }) && is(&wanted.stream, &|part| fact.stream.contains(part))
            && is(&wanted.actor, &|who| fact.actor.person == who || fact.actor.role == who)
            && is(&wanted.text, &|part| json!(fact.data).to_string().contains(part))
            && wanted.from.is_none_or(|from| from <= day)
            && wanted.to.is_none_or(|to| day <= to)
    });
    steps(history, found)
}

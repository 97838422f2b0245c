//! 比对 Two exports against each other: what came, and what should not differ.

use std::{collections::BTreeMap, io};

use event_store::past::Moment;
use serde::Serialize;
use serde_json::Value;

use crate::{
    history::{History, OfficeLog},
    standing,
};

/// One log in both exports.
#[derive(Debug, Serialize)]
pub struct Grown {
    /// The log, as the later export names it.
    pub log: String,
    /// How many entries the first has; none if it has no such log.
    pub before: Option<u64>,
    /// How many the second has.
    pub after: Option<u64>,
    /// The first sequence at which they hold different entries: one of them was changed.
    pub parts_at: Option<u64>,
    /// Whether the later export ends before the earlier one, or has no such log.
    pub shrunk: bool,
    /// What came, by type.
    pub came: BTreeMap<String, u64>,
}

/// A row of a view in both.
#[derive(Debug, Serialize)]
pub struct Changed {
    /// Its key.
    pub key: String,
    /// As the first export has it.
    pub before: Option<Value>,
    /// As the second has it.
    pub after: Option<Value>,
}

/// How the logs of two exports differ.
pub fn logs(before: &History, after: &History) -> Vec<Grown> {
    let mut offices: Vec<_> = before.logs.keys().chain(after.logs.keys()).collect();
    offices.sort();
    offices.dedup();
    let of = |office| grown(before.logs.get(office), after.logs.get(office));
    offices.into_iter().map(of).collect()
}

fn grown(before: Option<&OfficeLog>, after: Option<&OfficeLog>) -> Grown {
    let size = |log: Option<&OfficeLog>| log.map(|log| log.told.len() as u64);
    let told = |log: Option<&OfficeLog>, at: usize| {
        log.and_then(|log| log.told.get(at)).map(|told| told.as_ref().map(|told| told.hash))
    };
    let both = size(before).zip(size(after)).map_or(0, |(one, other)| one.min(other));
    let parts = (1..=both).find(|sequence| {
        let at = usize::try_from(*sequence - 1).unwrap_or(usize::MAX);
        // Two that do not read are not taken for the same.
        match (told(before, at), told(after, at)) {
            (Some(Some(one)), Some(Some(other))) => one != other,
            _ => true,
        }
    });
    let mut came = BTreeMap::new();
    let known = before.map_or(0, |log| log.told.len());
    for told in after.into_iter().flat_map(|log| log.told.iter().skip(known)).flatten() {
        *came.entry(told.fact.kind.clone()).or_default() += 1;
    }
    let log = after.or(before).map(|log| log.origin.clone()).unwrap_or_default();
    let (before, after) = (size(before), size(after));
    Grown { log, before, after, parts_at: parts, shrunk: after < before, came }
}

/// How a view of an office differs between two exports.
pub async fn rows(
    (before, after): (&History, &History),
    office: &str,
    view: &str,
    moment: Moment,
) -> io::Result<Vec<Changed>> {
    let mut sides = Vec::new();
    for history in [before, after] {
        let standing = standing::at(history, history.office(office)?, moment)?;
        let rows = standing.rows(view, "").await?;
        sides.push(rows.into_iter().map(|row| (row.key, row.row)).collect::<BTreeMap<_, _>>());
    }
    let [mut first, second] = <[_; 2]>::try_from(sides).unwrap_or_default();
    let mut changed = Vec::new();
    for (key, after) in second {
        let before = first.remove(&key);
        if before.as_ref() != Some(&after) {
            changed.push(Changed { key, before, after: Some(after) });
        }
    }
    let gone = first.into_iter().map(|(key, row)| Changed { key, before: Some(row), after: None });
    changed.extend(gone);
    changed.sort_by(|one, other| one.key.cmp(&other.key));
    Ok(changed)
}

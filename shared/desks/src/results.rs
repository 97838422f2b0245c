//! Results by level: targets, inspected, found, rectified.
//!
//! The own part is folded from the own findings; what is below comes as the
//! districts' signed figures. Nobody enters a number.

use std::collections::BTreeMap;

use access::{Matter, Subject};
use axum::{
    Json,
    response::{IntoResponse, Response},
};
use domain::{
    Level,
    clue_figures::ClueCounts,
    figures::{Counts, Event},
    rate::percent,
};
use event_store::{FoldError, Reader, Rows, View};
use kernel::{Class, Day, Fact, OfficeId};
use serde::Serialize;
use serde_json::{Value, json};
use web::{Caller, Problem, Route, Sight, Who, get};

use crate::{
    clues::counts::{by_level as clues_by_level, shown_counts},
    targets::list_on,
};

/// Own counts by `level/round number`.
pub const TALLY: &str = "tally";
/// Reported counts by `origin/level/round number`.
pub const REPORTED: &str = "reported";

/// The desk's routes.
pub fn routes() -> Vec<Route> {
    vec![
        get(
            "/api/results",
            Who::ReadsWhole(Subject::Of(Class::K2)),
            ["分级成效", "Results by level"],
            results,
        )
        .in_time(),
    ]
}

/// Folds the figures that districts report.
#[derive(Debug)]
pub struct ReportedView {
    /// The office that reads them; its own reports it counts from its findings.
    pub office: OfficeId,
}

impl View for ReportedView {
    fn name(&self) -> &'static str {
        REPORTED
    }

    fn apply(&self, rows: &mut Rows<'_>, fact: &Fact) -> Result<(), FoldError> {
        if fact.family() != "figures" || fact.at.origin == self.office {
            return Ok(());
        }
        let Event::Reported { round_number, level, counts } = fact.read()?;
        let key = format!("{}/{}/{round_number}", fact.at.origin, level.as_str());
        rows.put(REPORTED, &key, &counts)
    }
}

/// One level's results.
#[derive(Clone, Debug, Serialize)]
pub struct LevelResult {
    /// The level.
    pub level: Level,
    /// The counts.
    #[serde(flatten)]
    pub counts: Counts,
    /// Rectified of found, percent with one decimal.
    pub rate: String,
    /// Inspected of targets.
    pub coverage: String,
    /// What became of clues.
    #[serde(flatten)]
    pub clue_counts: ClueCounts,
    /// Closed clues of those handed over.
    pub clue_rate: String,
}

/// The own counts of each level and round, the whole list under an empty round.
pub async fn own(
    reader: &mut Reader,
    today: Day,
) -> Result<BTreeMap<(Level, String), Counts>, Problem> {
    let mut counts: BTreeMap<(Level, String), Counts> = BTreeMap::new();
    for (key, row) in reader.all::<Counts>(TALLY, "").await? {
        let Some((level, round)) = key.split_once('/') else { continue };
        let Some(level) = Level::ALL.into_iter().find(|l| l.as_str() == level) else { continue };
        counts.insert((level, round.to_owned()), row);
    }
    for target in list_on(reader, today).await?.map(|list| list.targets).unwrap_or_default() {
        counts.entry((target.level, String::new())).or_default().targets += 1;
    }
    Ok(counts)
}

/// Results by level on a day: own counts and reported ones together.
pub async fn by_level(reader: &mut Reader, today: Day) -> Result<Vec<LevelResult>, Problem> {
    let mut sums: BTreeMap<Level, Counts> = BTreeMap::new();
    let mut add = |level: Level, counts: Counts| {
        let sum = sums.entry(level).or_default();
        sum.targets += counts.targets;
        sum.inspected += counts.inspected;
        sum.found += counts.found;
        sum.rectified += counts.rectified;
    };
    for ((level, _), counts) in own(reader, today).await? {
        add(level, counts);
    }
    for (key, counts) in reader.all::<Counts>(REPORTED, "").await? {
        let level = key.split('/').nth(1);
        if let Some(level) = Level::ALL.into_iter().find(|l| Some(l.as_str()) == level) {
            add(level, counts);
        }
    }
    let clues = clues_by_level(reader).await?;
    let result = |level: Level| {
        let counts = sums.get(&level).copied().unwrap_or_default();
        let clue_counts = clues.get(&level).copied().unwrap_or_default();
        LevelResult {
            level,
            counts,
            rate: percent(counts.rectified, counts.found),
            coverage: percent(counts.inspected, counts.targets),
            clue_rate: percent(clue_counts.clues_closed, clue_counts.clues),
            clue_counts,
        }
    };
    Ok(Level::ALL.map(result).into())
}

impl LevelResult {
    /// As the caller may know it: whoever may not read findings sees no count so small
    /// that it speaks of single ones, nor the rate that would tell it.
    fn shown(&self, caller: &Caller) -> Value {
        let findings = Matter::of(Subject::Of(Class::K9));
        let Counts { found, rectified, .. } = self.counts;
        let known = |count| caller.count(&findings, count).is_some();
        let mut shown = json!(self);
        // Those still open are found without those rectified: a count like the others.
        if !known(rectified) || !known(found.saturating_sub(rectified)) {
            (shown["rectified"], shown["rate"]) = (Value::Null, Value::Null);
        }
        if !known(found) {
            (shown["found"], shown["rate"]) = (Value::Null, Value::Null);
        }
        // Clue counts of a level say nothing of single ones, unless they are that few.
        if let Value::Object(clues) = shown_counts(caller, self.clue_counts) {
            if clues["clues"].is_null() {
                shown["clue_rate"] = Value::Null;
            }
            for (name, count) in clues {
                shown[name] = count;
            }
        }
        shown
    }
}

async fn results(seat: Sight, caller: Caller) -> Result<Response, Problem> {
    let levels = shown(&seat, &caller).await?;
    let body = json!({"demo": seat.pin.demo, "as_of": seat.as_of(), "levels": levels});
    Ok(Json(body).into_response())
}

/// The levels as the caller may know them.
pub(crate) async fn shown(seat: &Sight, caller: &Caller) -> Result<Vec<Value>, Problem> {
    let levels = by_level(&mut seat.reader().await?, seat.today()).await?;
    Ok(levels.iter().map(|level| level.shown(caller)).collect())
}

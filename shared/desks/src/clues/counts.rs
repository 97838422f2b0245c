//! 线索数据 Clue counts: by state, age, rank and leading post, as trends and never quotas;
//! and the sums of a level that go upward.

use std::collections::BTreeMap;

use access::{Matter, Subject};
use axum::{
    Json,
    response::{IntoResponse, Response},
};
use domain::{
    Level,
    clue_figures::{ClueCounts, Event},
};
use event_store::{FoldError, Reader, Rows, View};
use kernel::{Class, Fact, OfficeId};
use serde::Serialize;
use serde_json::{Value, json};
use web::{Caller, Problem, Route, Sight, Who, get};

use super::{
    ByState,
    view::{CLUE_TALLY, CLUES, ClueRow},
};
use crate::clue_cases::view::{CASES, CaseRow};

/// Reported clue counts by `origin/level`.
pub const CLUES_REPORTED: &str = "clues-reported";

/// The routes of counts.
pub(super) fn routes() -> Vec<Route> {
    vec![
        get(
            "/api/clue-counts",
            Who::ReadsWhole(Subject::Of(Class::K11)),
            ["线索数据(趋势,不作指标)", "Clue counts, as trends and never as quotas"],
            counts,
        )
        .in_time(),
    ]
}

/// Folds the clue figures that districts report.
#[derive(Debug)]
pub struct CluesReportedView {
    /// The office that reads them.
    pub office: OfficeId,
}

impl View for CluesReportedView {
    fn name(&self) -> &'static str {
        CLUES_REPORTED
    }

    fn apply(&self, rows: &mut Rows<'_>, fact: &Fact) -> Result<(), FoldError> {
        if fact.family() != "clue-figures" || fact.at.origin == self.office {
            return Ok(());
        }
        let Event::Reported { level, counts } = fact.read()?;
        rows.put(CLUES_REPORTED, &format!("{}/{}", fact.at.origin, level.as_str()), &counts)
    }
}

/// The own counts of each level.
pub(crate) async fn own(reader: &mut Reader) -> Result<BTreeMap<Level, ClueCounts>, Problem> {
    let mut own = BTreeMap::new();
    for (level, counts) in reader.all::<ClueCounts>(CLUE_TALLY, "").await? {
        if let Some(level) = Level::ALL.into_iter().find(|l| l.as_str() == level) {
            own.insert(level, counts);
        }
    }
    Ok(own)
}

/// Own and reported counts of each level.
pub(crate) async fn by_level(reader: &mut Reader) -> Result<BTreeMap<Level, ClueCounts>, Problem> {
    let mut sums = own(reader).await?;
    for (key, counts) in reader.all::<ClueCounts>(CLUES_REPORTED, "").await? {
        let level = key.split('/').nth(1);
        if let Some(level) = Level::ALL.into_iter().find(|l| Some(l.as_str()) == level) {
            sums.entry(level).or_default().add(counts);
        }
    }
    Ok(sums)
}

fn word(value: impl Serialize) -> String {
    json!(value).as_str().unwrap_or_default().to_owned()
}

async fn counts(seat: Sight, caller: Caller) -> Result<Response, Problem> {
    let mut reader = seat.reader().await?;
    let today = seat.today();
    let (mut states, mut ranks, mut ages) = (ByState::new(), ByState::new(), ByState::new());
    let mut leaders = 0_u64;
    for (_, row) in reader.all::<ClueRow>(CLUES, "").await? {
        *states.entry(word(row.state)).or_default() += 1;
        *ranks.entry(word(row.brief.rank_band)).or_default() += 1;
        leaders += u64::from(row.brief.principal_leader);
    }
    let mut cases = ByState::new();
    for (_, row) in reader.all::<CaseRow>(CASES, "").await? {
        *cases.entry(word(row.state)).or_default() += 1;
        let open = row.outcome.is_none().then(|| row.dates.get("accepted")).flatten();
        if let Some(accepted) = open {
            let band = match today.days_after(accepted.day()) {
                ..=24 => "to-24-days",
                25..=182 => "to-6-months",
                183..=365 => "to-12-months",
                _ => "over-12-months",
            };
            *ages.entry(band.to_owned()).or_default() += 1;
        }
    }
    let levels: Vec<Value> = by_level(&mut reader)
        .await?
        .into_iter()
        .map(|(level, counts)| json!({"level": level, "counts": shown_counts(&caller, counts)}))
        .collect();
    let shown = |counts: ByState| floored(&caller, json!(counts));
    Ok(Json(json!({"demo": seat.pin.demo, "as_of": seat.as_of(),
        "levels": levels, "states": shown(states), "rank_bands": shown(ranks),
        "principal_leaders": floored(&caller, json!(leaders)), "cases": shown(cases),
        "open_age": shown(ages)}))
    .into_response())
}

/// The counts of a level without those so small that they speak of single clues, nor those
/// that would tell them: the open are all without the closed.
pub(crate) fn shown_counts(caller: &Caller, counts: ClueCounts) -> Value {
    let open = json!(counts.clues.saturating_sub(counts.clues_closed));
    let mut shown = floored(caller, json!(counts));
    let few = floored(caller, open).is_null();
    if few || shown["clues"].is_null() || shown["clues_closed"].is_null() {
        (shown["clues"], shown["clues_closed"]) = (Value::Null, Value::Null);
    }
    shown
}

/// Counts without those so small that they speak of single clues, unless the reader may
/// read clues.
fn floored(caller: &Caller, counts: Value) -> Value {
    let clues = Matter::of(Subject::Of(Class::K10));
    match counts {
        Value::Object(cells) => {
            cells.into_iter().map(|(name, count)| (name, floored(caller, count))).collect()
        }
        Value::Number(count) => json!(caller.count(&clues, count.as_u64().unwrap_or(0))),
        other => other,
    }
}

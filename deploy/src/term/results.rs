//! The city's results view, held against the published numbers.

use std::time::{Duration, Instant};

use domain::clue_figures::ClueCounts;
use serde_json::Value;

use super::{Level, levels};
use crate::{api::Api, plan::Scale};

/// Waits for the city's view and holds it against the published numbers.
pub(crate) async fn compare(api: &Api, scale: Scale) -> Result<(Value, bool), String> {
    let expected = levels(scale)?;
    let mut began = Instant::now();
    let mut last = Value::Null;
    loop {
        let results = api.get("PLAN", "/api/results").await?;
        if agree(&results, &expected) {
            return Ok((results, true));
        }
        if results["levels"] != last {
            last = results["levels"].clone();
            began = Instant::now();
        }
        // What still changes is still on its way.
        if began.elapsed() > Duration::from_mins(1) {
            return Ok((results, false));
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

fn agree(results: &Value, expected: &[Level; 3]) -> bool {
    let rows = results["levels"].as_array().cloned().unwrap_or_default();
    rows.len() == expected.len()
        && rows.iter().zip(expected).all(|(row, level)| {
            row["level"] == level.name
                && row["targets"] == level.targets
                && row["inspected"] == level.targets
                && row["found"] == level.found
                && row["rectified"] == level.rectified
                && row["rate"] == domain::rate::percent(level.rectified, level.found)
                && clues_agree(row, &level.clues)
        })
}

/// Whether a row has these counts; those so small that they speak of single clues are
/// withheld.
fn clues_agree(row: &Value, clues: &ClueCounts) -> bool {
    let few = |count: u64| (1..3).contains(&count);
    let rate = domain::rate::percent(clues.clues_closed, clues.clues);
    let withheld =
        few(clues.clues) || few(clues.clues_closed) || few(clues.clues - clues.clues_closed);
    let funnel = if withheld {
        row["clues"].is_null() && row["clue_rate"].is_null()
    } else {
        row["clues"] == clues.clues
            && row["clues_closed"] == clues.clues_closed
            && row["clue_rate"] == rate
    };
    let is =
        |name: &str, count: u64| if few(count) { row[name].is_null() } else { row[name] == count };
    funnel
        && is("cases", clues.cases)
        && is("disciplined", clues.disciplined)
        && is("transferred", clues.transferred)
}

/// The view as a table.
pub(crate) fn table(results: &Value) -> String {
    let mut text = String::from(
        "level    targets inspected   found rectified   rate   clues  closed   rate  cases  persons  judicial\n",
    );
    for row in results["levels"].as_array().into_iter().flatten() {
        let number = |field: &str| row[field].as_u64().unwrap_or_default();
        text += &format!(
            "{:<8} {:>7} {:>9} {:>7} {:>9} {:>5}% {:>7} {:>7} {:>5}% {:>6} {:>8} {:>9}\n",
            row["level"].as_str().unwrap_or_default(),
            number("targets"),
            number("inspected"),
            number("found"),
            number("rectified"),
            row["rate"].as_str().unwrap_or_default(),
            number("clues"),
            number("clues_closed"),
            row["clue_rate"].as_str().unwrap_or_default(),
            number("cases"),
            number("disciplined"),
            number("transferred"),
        );
    }
    text
}

//! The pack that holds where nobody has decided otherwise (`model.md` 3.20).

use std::{collections::BTreeMap, sync::LazyLock};

use serde::Serialize;

use crate::value::{Unit, Value};

/// The version of the pack; a changed pack is a new file and a new version.
pub const VERSION: &str = "default-2026.1";

const PACK: &str = include_str!("../packs/default-2026.1.tsv");

static ROWS: LazyLock<BTreeMap<&str, Row>> = LazyLock::new(|| {
    PACK.lines().skip(1).filter_map(Row::read).map(|row| (row.key, row)).collect()
});

/// Where a rule comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mark {
    /// Read in a source.
    Source,
    /// From memory.
    Memory,
    /// Our own proposal: it reminds and does not judge.
    Proposal,
}

/// One rule as it is found or proposed.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Its key.
    pub key: &'static str,
    /// Its value.
    pub default: Value,
    /// From what it runs.
    pub anchor: &'static str,
    /// Where it comes from.
    pub mark: Mark,
    /// The source's sign in the model.
    pub source: &'static str,
    /// What was seen elsewhere.
    pub others: &'static str,
    /// Whether no office may decide otherwise.
    pub fixed: bool,
    /// Its name.
    pub zh: &'static str,
    /// Its name.
    pub en: &'static str,
}

impl Row {
    fn read(line: &'static str) -> Option<Self> {
        let cells: Vec<&str> = line.split('\t').collect();
        let &[key, amount, to, unit, anchor, mark, source, others, fixed, zh, en] =
            cells.as_slice()
        else {
            return None;
        };
        let to = if to.is_empty() { None } else { Some(to.parse().ok()?) };
        let mark = match mark {
            "source" => Mark::Source,
            "memory" => Mark::Memory,
            "proposal" => Mark::Proposal,
            _ => return None,
        };
        let default = Value { amount: amount.parse().ok()?, to, unit: Unit::parse(unit)? };
        let fixed = fixed == "fixed";
        Some(Self { key, default, anchor, mark, source, others, fixed, zh, en })
    }
}

/// Every row, by key.
pub fn rows() -> impl Iterator<Item = &'static Row> {
    ROWS.values()
}

/// The row of a key.
pub fn row(key: &str) -> Option<&'static Row> {
    ROWS.get(key)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const FIGURES: &str = include_str!("../../../deploy/data/figures.json");

    /// What the offices' model says is what holds; the envelope's row is the statute's,
    /// those of the plan are ours.
    #[test]
    fn the_pack_says_what_the_model_says() {
        let figures: serde_json::Value = serde_json::from_str(FIGURES).unwrap();
        let said = figures["deadline_policies"].as_array().unwrap();
        for one in said {
            let row = row(one["key"].as_str().unwrap()).unwrap();
            let Value { amount, to, unit } = row.default;
            let default = match (amount, to) {
                (0, _) if unit == Unit::Authorisation => json!("before"),
                (amount, Some(to)) => json!(format!("{amount}-{to}")),
                (amount, None) => json!(amount),
            };
            let mark = match row.mark {
                Mark::Source => "S",
                Mark::Memory => "M",
                Mark::Proposal => "O",
            };
            let unit = unit.as_str().replace('-', " ");
            let mine = json!({"key": row.key, "default": default, "unit": unit,
                "anchor": row.anchor, "source": row.source, "confidence": mark,
                "other_values_seen": row.others, "configurable": !row.fixed});
            assert_eq!(mine, *one);
        }
        assert_eq!((rows().count(), PACK.lines().count()), (said.len() + 6, said.len() + 7));
        assert!(rows().all(|row| !row.zh.is_empty() && !row.en.is_empty()));
    }
}

//! 区划 Register of divisions: what each is called and where it stands, from a day on.
//!
//! `imported ─▶ changed … ─▶ ended`. Ids are opaque; code, name, parent and tier are
//! dated attributes: 杨庄镇 exists twice in 山东, and 即墨市 changed its code when it
//! became a district. What a row of an import speaks of is said in `taking`.

mod sheet;
mod taking;

use std::collections::BTreeMap;

use kernel::{Aggregate, Code, Context, Day, Refusal};
use serde::{Deserialize, Serialize};

use crate::dated::Dated;
pub use sheet::{About, Row, read_csv};

/// What a division is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attributes {
    /// The statistical code of 6, 9 or 12 digits.
    pub code: String,
    /// The name.
    pub name: String,
    /// The parent's id; the city's own parent lies outside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// `city`, `district`, `township` or `village`.
    pub tier: String,
}

/// What is said of a division for a day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Division {
    /// The opaque id.
    pub id: String,
    /// From which day on.
    pub valid_from: Day,
    /// What it is from then on; nothing if it ended.
    pub attributes: Option<Attributes>,
}

/// Everything that a division ever was.
pub type Life = Dated<Option<Attributes>>;

/// Every division by its id.
#[derive(Clone, Debug, Default)]
pub struct Register {
    divisions: BTreeMap<String, Life>,
}

/// Imports divisions, all or none.
#[derive(Clone, Debug)]
pub struct Import {
    /// The rows.
    pub rows: Vec<Row>,
    /// From which day on they hold.
    pub valid_from: Day,
}

/// What can happen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Event {
    /// Divisions were imported; a large import makes several of these at once.
    DivisionsImported {
        /// The divisions.
        divisions: Vec<Division>,
    },
}

/// How many rows fit one entry of 48 KiB.
const SLICE: usize = 150;

impl Aggregate for Register {
    type Command = Import;
    type Event = Event;
    const FAMILY: &'static str = "register";

    fn name(_: &Event) -> &'static str {
        "divisions-imported"
    }

    /// Rows that say again what was said for that day are skipped, so that the
    /// same file may be imported twice.
    fn decide(&self, import: Import, _: &Context) -> Result<Vec<Event>, Refusal> {
        let day = import.valid_from;
        let divisions = taking::take(self, &import)
            .map_err(|errors| Refusal { errors, ..Code::ImportRejected.into() })?;
        let said = |id: &str| self.divisions.get(id).and_then(|life| life.said_for(day));
        let new: Vec<Division> =
            divisions.into_iter().filter(|d| said(&d.id) != Some(&d.attributes)).collect();
        let slices = new.chunks(SLICE).map(<[_]>::to_vec);
        Ok(slices.map(|divisions| Event::DivisionsImported { divisions }).collect())
    }

    fn evolve(&mut self, event: &Event) {
        let Event::DivisionsImported { divisions } = event;
        for Division { id, valid_from, attributes } in divisions {
            let life = self.divisions.entry(id.clone()).or_default();
            life.set(*valid_from, attributes.clone());
        }
    }
}

#[cfg(test)]
mod tests;

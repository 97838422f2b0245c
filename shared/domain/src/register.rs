//! 区划 Register of divisions: what each is called and where it stands, from a day on.
//!
//! Ids are opaque. Code, name, parent and tier are dated attributes: 杨庄镇 exists
//! twice in 山东, and 即墨市 changed its code when it became a district. A row of an
//! import finds its division by the code in force on the day, or by the code that
//! it had before.

mod sheet;

use std::collections::{BTreeMap, BTreeSet};

use kernel::{Aggregate, Code, Context, Day, Refusal};
use serde::{Deserialize, Serialize};

use crate::dated::Dated;
pub use sheet::{Row, read_csv};

/// A division with its attributes from a day on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Division {
    /// The opaque id.
    pub id: String,
    /// The statistical code of 6, 9 or 12 digits.
    pub code: String,
    /// The name.
    pub name: String,
    /// The parent's id; the city's own parent lies outside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// `city`, `district`, `township` or `village`.
    pub tier: String,
    /// From which day on these attributes hold.
    pub valid_from: Day,
}

/// Every division by its id, with all that it ever was.
#[derive(Clone, Debug, Default)]
pub struct Register {
    divisions: BTreeMap<String, Dated<Division>>,
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

    /// Rows that say what is known already are skipped, so that the same file may
    /// be imported twice.
    fn decide(&self, import: Import, _: &Context) -> Result<Vec<Event>, Refusal> {
        let day = import.valid_from;
        let mut errors = Vec::new();
        let named = self.named(&import, &mut errors);
        let codes = self.afterwards(&named, day, &mut errors);
        let divisions = Self::placed(&named, &codes, day, &mut errors);
        if !errors.is_empty() {
            errors.truncate(100);
            return Err(Refusal { errors, ..Code::ImportRejected.into() });
        }
        let known = |new: &Division| {
            let old = self.divisions.get(&new.id).and_then(|all| all.on(day)).cloned();
            old.is_some_and(|old| Division { valid_from: day, ..old } == *new)
        };
        let new: Vec<Division> = divisions.into_iter().filter(|new| !known(new)).collect();
        let slices = new.chunks(SLICE).map(<[_]>::to_vec);
        Ok(slices.map(|divisions| Event::DivisionsImported { divisions }).collect())
    }

    fn evolve(&mut self, event: &Event) {
        let Event::DivisionsImported { divisions } = event;
        for division in divisions {
            let all = self.divisions.entry(division.id.clone()).or_default();
            all.set(division.valid_from, division.clone());
        }
    }
}

/// Errors by line.
type Errors = Vec<(String, String)>;

fn note(errors: &mut Errors, row: &Row, what: &str) {
    errors.push((format!("line {}", row.line), what.to_owned()));
}

impl Register {
    /// What holds on a day.
    fn on(&self, day: Day) -> impl Iterator<Item = &Division> {
        self.divisions.values().filter_map(move |all| all.on(day))
    }

    /// Each row with the id of the division that it speaks of.
    fn named<'a>(&'a self, import: &'a Import, errors: &mut Errors) -> Vec<(&'a str, &'a Row)> {
        let day = import.valid_from;
        let ids = |day| self.on(day).map(|d| (d.code.as_str(), d.id.as_str())).collect();
        let (before, now): (BTreeMap<_, _>, BTreeMap<_, _>) = (ids(day.before()), ids(day));
        let mut lines: BTreeMap<&str, usize> = BTreeMap::new();
        let mut taken = BTreeSet::new();
        let mut named = Vec::new();
        for row in &import.rows {
            let code = row.code.as_str();
            if let Some(first) = lines.insert(code, row.line) {
                let what = format!("{code} 与第 {first} 行重复 / same code as line {first}");
                note(errors, row, &what);
                continue;
            }
            let found = match &row.formerly {
                Some(old) => self.renumbered(old, before.get(old.as_str()), now.get(code)),
                None => match now.get(code) {
                    Some(id) => Ok(*id),
                    None => self.elsewhen(code, day).map(|id| id.unwrap_or(&row.id)),
                },
            };
            match found {
                Ok(id) if taken.insert(id) => named.push((id, row)),
                Ok(_) => note(errors, row, "与前面的行指向同一区划 / an earlier line names it too"),
                Err(what) => note(errors, row, &what),
            }
        }
        named
    }

    /// The division that had the code `old` until then, or has changed it already.
    fn renumbered<'a>(
        &self,
        old: &str,
        until_then: Option<&&'a str>,
        already: Option<&&'a str>,
    ) -> Result<&'a str, String> {
        let had = |id: &&&str| {
            self.divisions.get(**id).is_some_and(|all| all.periods().any(|p| p.value.code == old))
        };
        until_then.or_else(|| already.filter(had)).copied().ok_or_else(|| {
            format!("此前没有代码为 {old} 的区划 / no division had the code {old} until then")
        })
    }

    /// The division that bears the code on another day only. One that already is
    /// there under another code has to be named by that.
    fn elsewhen(&self, code: &str, day: Day) -> Result<Option<&str>, String> {
        let bears = |all: &&Dated<Division>| all.periods().any(|p| p.value.code == code);
        let bearer = self.divisions.iter().find(|(_, all)| bears(all));
        match bearer.map(|(id, all)| (id, all.on(day))) {
            None => Ok(None),
            Some((id, None)) => Ok(Some(id)),
            Some((_, Some(on_that_day))) => Err(format!(
                "该区划当日代码为 {0} / on that day that division's code is {0}; give it as formerly",
                on_that_day.code
            )),
        }
    }

    /// Ids and tiers by code on the day, as they are when all rows are taken in.
    fn afterwards<'a>(
        &'a self,
        named: &[(&'a str, &'a Row)],
        day: Day,
        errors: &mut Errors,
    ) -> BTreeMap<&'a str, (&'a str, &'a str)> {
        let changed: BTreeSet<&str> = named.iter().map(|(id, _)| *id).collect();
        let kept = self.on(day).filter(|d| !changed.contains(d.id.as_str()));
        let mut codes: BTreeMap<_, _> =
            kept.map(|d| (d.code.as_str(), (d.id.as_str(), d.tier.as_str()))).collect();
        for (id, row) in named {
            let held = codes.insert(&row.code, (id, &row.tier)).is_some();
            if held || self.held_later(id, &row.code, day) {
                note(errors, row, "代码已由另一区划使用 / another division has this code");
            }
        }
        codes
    }

    /// Whether another division takes the code while this one would still have it.
    fn held_later(&self, id: &str, code: &str, day: Day) -> bool {
        let all = self.divisions.get(id);
        let until = all.and_then(|all| all.periods().map(|p| p.from).find(|from| *from > day));
        let others = self.divisions.iter().filter(|(other, _)| *other != id);
        let mut periods = others.flat_map(|(_, all)| all.periods());
        periods.any(|p| {
            p.value.code == code && p.from > day && until.is_none_or(|until| p.from < until)
        })
    }

    /// The rows as divisions, each under its parent.
    fn placed(
        named: &[(&str, &Row)],
        codes: &BTreeMap<&str, (&str, &str)>,
        day: Day,
        errors: &mut Errors,
    ) -> Vec<Division> {
        let mut divisions = Vec::new();
        for (id, row) in named {
            let parent = match codes.get(row.parent.as_str()) {
                _ if row.tier == "city" => None,
                Some((parent, tier)) if above(&row.tier).contains(tier) => {
                    Some((*parent).to_owned())
                }
                Some(_) => {
                    note(errors, row, "上级层级不符 / the parent is not of the level above");
                    continue;
                }
                None => {
                    let what = format!("上级 {0} 不存在 / parent {0} is unknown", row.parent);
                    note(errors, row, &what);
                    continue;
                }
            };
            divisions.push(Division {
                id: (*id).to_owned(),
                code: row.code.clone(),
                name: row.name.clone(),
                parent,
                tier: row.tier.clone(),
                valid_from: day,
            });
        }
        divisions
    }
}

/// The tiers that may stand above one; 东莞 has no districts.
fn above(tier: &str) -> &'static [&'static str] {
    match tier {
        "district" => &["city"],
        "township" => &["district", "city"],
        "village" => &["township"],
        _ => &[],
    }
}

#[cfg(test)]
mod tests;

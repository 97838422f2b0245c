//! Which offices there are, and how much of the term is played.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::divisions::{Division, SHANGLUO, of_level, of_level_in, towns_in};

/// A part of the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Scale {
    part: u64,
    whole: u64,
}

impl Scale {
    /// Reads `1/20`; at most the whole.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (part, whole) = text.split_once('/').ok_or("a scale is written 1/20")?;
        let number = |text: &str| text.trim().parse::<u64>().map_err(|error| error.to_string());
        let scale = Self { part: number(part)?, whole: number(whole)? };
        let fits = 0 < scale.part && scale.part <= scale.whole;
        if fits { Ok(scale) } else { Err("a scale lies between 0 and 1".to_owned()) }
    }

    /// The part of a count, at least one.
    pub(crate) fn of(self, count: u64) -> u64 {
        (count * self.part / self.whole).max(1)
    }
}

/// What was started, so that the next start does the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Mode {
    /// A small demo with a story.
    Demo,
    /// A real city without anything.
    Empty,
    /// The whole term.
    Term(Scale),
    /// Every office of some divisions, and nothing loaded.
    Bare,
}

/// An office to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Planned {
    /// The division's code; folders and ports go by it.
    pub(crate) code: String,
    /// The name.
    pub(crate) name: String,
    /// `city`, `district` or `township`.
    pub(crate) tier: String,
    /// The parent's code.
    pub(crate) parent: Option<String>,
}

/// The whole start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// What is started.
    pub(crate) mode: Mode,
    /// City first, then districts, then townships.
    pub(crate) offices: Vec<Planned>,
    /// Whether one process serves one office, not a whole tier.
    pub(crate) one_each: bool,
    /// Whether everything was loaded.
    pub(crate) loaded: bool,
}

fn planned(code: &str, name: String, tier: &str, parent: Option<&str>) -> Planned {
    Planned {
        code: code.to_owned(),
        name,
        tier: tier.to_owned(),
        parent: parent.map(str::to_owned),
    }
}

/// The code of 商洛市.
pub(crate) const CITY: &str = "611000";

impl Plan {
    /// The offices of a mode.
    pub(crate) fn new(mode: Mode) -> Self {
        let towns = towns_in(SHANGLUO);
        let chosen: Vec<_> = match mode {
            Mode::Empty | Mode::Bare => Vec::new(),
            Mode::Demo => {
                let demo = ["611002101", "611024106"];
                towns.iter().filter(|town| demo.contains(&town.code.as_str())).collect()
            }
            Mode::Term(scale) => enough(&towns, scale),
        };
        Self::with(mode, (CITY, "商洛市"), of_level("district"), chosen)
    }

    /// What is started: a mode's offices, or those of a CSV of divisions.
    pub(crate) fn asked(mode: Mode, divisions: Option<&Path>) -> Result<Self, String> {
        divisions.map_or_else(|| Ok(Self::new(mode)), Self::of_divisions)
    }

    /// The city of a CSV of divisions with all its districts, towns and streets.
    fn of_divisions(csv: &Path) -> Result<Self, String> {
        let failed = |why: &str| format!("{}: {why}", csv.display());
        let text = std::fs::read_to_string(csv).map_err(|error| failed(&error.to_string()))?;
        let city = of_level_in(&text, "city").pop().ok_or_else(|| failed("names no city"))?;
        let (districts, towns) = (of_level_in(&text, "district"), towns_in(&text));
        let towns = towns.iter().collect();
        Ok(Self::with(Mode::Bare, (&city.code, &city.name), districts, towns))
    }

    /// The city, the towns and the districts that have some of them.
    fn with(
        mode: Mode,
        (city, name): (&str, &str),
        districts: Vec<Division>,
        towns: Vec<&Division>,
    ) -> Self {
        let mut offices = vec![planned(city, format!("{name}委巡察办"), "city", None)];
        for district in districts {
            if towns.iter().any(|town| town.parent == district.code) {
                let name = format!("{}委巡察办", district.name);
                offices.push(planned(&district.code, name, "district", Some(city)));
            }
        }
        for town in towns {
            offices.push(planned(&town.code, town.name.clone(), "township", Some(&town.parent)));
        }
        let one_each = !matches!(mode, Mode::Term(_) | Mode::Bare);
        Self { mode, offices, one_each, loaded: false }
    }

    /// The city's code.
    pub(crate) fn city(&self) -> &str {
        &self.offices[0].code
    }

    /// Whether it is a demo city.
    pub(crate) fn is_demo(&self) -> bool {
        self.mode != Mode::Empty
    }

    /// The offices of a tier.
    pub(crate) fn of_tier(&self, tier: &str) -> Vec<&Planned> {
        self.offices.iter().filter(|office| office.tier == tier).collect()
    }
}

/// Villages of the whole term (`figures.json`, `shangluo_levels`).
const VILLAGES: u64 = 1295;

/// Towns spread over the whole city, as many as hold the villages of the scale.
fn enough(towns: &[Division], scale: Scale) -> Vec<&Division> {
    let villages = of_level("village");
    let all = towns.len() as u64;
    let mut chosen = Vec::new();
    for take in scale.of(all)..=all {
        let picked = |at: u64| towns.get(usize::try_from(at * all / take).unwrap_or(0));
        chosen = (0..take).filter_map(picked).collect();
        let held =
            villages.iter().filter(|village| chosen.iter().any(|town| town.code == village.parent));
        if held.count() as u64 >= scale.of(VILLAGES) {
            break;
        }
    }
    chosen
}

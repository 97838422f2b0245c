//! The shipped divisions of 商洛, down to villages, and those of any other CSV.

/// The CSV as it is imported.
pub(crate) const SHANGLUO: &str = include_str!("../data/divisions/6110.csv");

/// One division.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Division {
    /// The code.
    pub(crate) code: String,
    /// The parent's code.
    pub(crate) parent: String,
    /// The name.
    pub(crate) name: String,
}

/// All divisions of a level of 商洛.
pub(crate) fn of_level(level: &str) -> Vec<Division> {
    of_level_in(SHANGLUO, level)
}

/// All divisions of a level in a CSV.
pub(crate) fn of_level_in(csv: &str, level: &str) -> Vec<Division> {
    let rows = csv.lines().skip(1).filter_map(|line| {
        let cells: Vec<&str> = line.trim_start_matches('\u{feff}').split(',').collect();
        let &[code, of, parent, name] = cells.as_slice() else { return None };
        let text = str::to_owned;
        (of == level).then(|| Division { code: text(code), parent: text(parent), name: text(name) })
    });
    rows.collect()
}

/// The townships that are towns or streets: 98 of 商洛's 110 rows.
pub(crate) fn towns_in(csv: &str) -> Vec<Division> {
    let mut towns = of_level_in(csv, "township");
    towns.retain(|town| {
        town.name.ends_with('镇')
            || town.name.ends_with("街道")
            || town.name.ends_with("街道办事处")
    });
    towns
}

//! Which division each row of an import speaks of, and whether the tree stands
//! when all rows are taken in.
//!
//! A row speaks of the division that has its code on the day. A renumbered one is
//! named by its former code or, where that is not clear, by its id. What could mean
//! two divisions is refused, never guessed.

use std::collections::{BTreeMap, BTreeSet};

use kernel::Day;

use super::{About, Attributes, Division, Import, Register, Row};

/// The most errors that are listed.
const MOST: usize = 100;

/// The rows as divisions, or what is wrong with them, by line.
pub(super) fn take(
    register: &Register,
    import: &Import,
) -> Result<Vec<Division>, Vec<(String, String)>> {
    let mut taking = Taking::of(register, import.valid_from);
    let named = taking.named(&import.rows);
    let codes = taking.afterwards(&named);
    let divisions = taking.placed(&import.rows, &named, &codes);
    taking.left_below(&named, &codes);
    taking.one_city(&named, &codes);
    let mut errors = taking.errors;
    if errors.is_empty() {
        return Ok(divisions);
    }
    errors.sort();
    let more = errors.len().saturating_sub(MOST);
    errors.truncate(MOST);
    let mut lines: Vec<_> =
        errors.into_iter().map(|(line, what)| (format!("line {line}"), what)).collect();
    if more > 0 {
        lines.push(("…".to_owned(), format!("另有 {more} 处 / {more} more")));
    }
    Err(lines)
}

/// Who has a code from when to when.
struct Bearer<'a> {
    id: &'a str,
    from: Day,
    to: Option<Day>,
}

/// A row and the division that it speaks of.
type Named<'a> = (&'a str, &'a Row);
/// Ids and tiers by code, as they are on the day when all rows are taken in.
type Codes<'a> = BTreeMap<&'a str, (&'a str, &'a str)>;

struct Taking<'a> {
    register: &'a Register,
    day: Day,
    bearers: BTreeMap<&'a str, Vec<Bearer<'a>>>,
    errors: Vec<(usize, String)>,
}

impl<'a> Taking<'a> {
    fn of(register: &'a Register, day: Day) -> Self {
        let mut bearers: BTreeMap<&str, Vec<Bearer<'_>>> = BTreeMap::new();
        for (id, life) in &register.divisions {
            for period in life.periods() {
                if let Some(attributes) = period.value {
                    let bearer = Bearer { id, from: period.from, to: period.to };
                    bearers.entry(&attributes.code).or_default().push(bearer);
                }
            }
        }
        Self { register, day, bearers, errors: Vec::new() }
    }

    fn refuse(&mut self, row: &Row, what: &str) {
        self.errors.push((row.line, what.to_owned()));
    }

    fn who_bore(&self, code: &str) -> &[Bearer<'a>] {
        self.bearers.get(code).map_or(&[], Vec::as_slice)
    }

    /// Who has a code on a day.
    fn bearer(&self, code: &str, day: Day) -> Option<&'a str> {
        let on = |b: &&Bearer<'_>| b.from <= day && b.to.is_none_or(|to| day <= to);
        self.who_bore(code).iter().find(on).map(|b| b.id)
    }

    fn on_the_day(&self, id: &str) -> Option<&'a Attributes> {
        self.register.divisions.get(id).and_then(|life| life.on(self.day)?.as_ref())
    }

    /// Each row with the id of its division; what cannot be told is refused.
    fn named(&mut self, rows: &'a [Row]) -> Vec<Named<'a>> {
        let mut lines: BTreeMap<(&str, bool), usize> = BTreeMap::new();
        let mut taken = BTreeSet::new();
        let mut named = Vec::new();
        for row in rows {
            let code = row.code.as_str();
            if let Some(first) = lines.insert((code, row.then.is_some()), row.line) {
                let what = format!("{code} 与第 {first} 行重复 / same code as line {first}");
                self.refuse(row, &what);
                continue;
            }
            match self.speaks_of(row) {
                Ok(id) if taken.insert(id) => named.push((id, row)),
                Ok(_) => self.refuse(row, "与前面的行指向同一区划 / an earlier line names it too"),
                Err(what) => self.refuse(row, &what),
            }
        }
        named
    }

    fn speaks_of(&self, row: &'a Row) -> Result<&'a str, String> {
        let day = self.day;
        let now = self.bearer(&row.code, day);
        match &row.about {
            About::Id(id) => {
                let known = self.register.divisions.get_key_value(id.as_str());
                known.map(|(id, _)| id.as_str()).ok_or_else(|| {
                    format!("没有编号为 {id} 的区划 / there is no division with the id {id}")
                })
            }
            About::New => {
                // The same file again speaks of the one that it brought.
                let began = |id: &&str| {
                    let life = self.register.divisions.get(*id);
                    life.is_some_and(|life| life.on(day.before()).is_none())
                };
                Ok(now.filter(began).unwrap_or(&row.new_id))
            }
            About::Formerly(old) => self.renumbered(old, now),
            About::ItsCode => now.map_or_else(|| self.at_another_time(row), Ok),
        }
    }

    /// The division that had the code `old` until the day, or has changed it already.
    fn renumbered(&self, old: &str, now: Option<&'a str>) -> Result<&'a str, String> {
        let had = |id: &&str| self.who_bore(old).iter().any(|bearer| bearer.id == *id);
        let until_then = self.bearer(old, self.day.before());
        match (until_then, now.filter(had)) {
            (Some(one), Some(other)) if one != other => Err(format!(
                "原代码 {old} 先后属于两个区划,请以编号指明 / two divisions had the code {old}: give the id"
            )),
            (Some(id), _) | (None, Some(id)) => Ok(id),
            (None, None) => self.bearer(old, self.day).ok_or_else(|| {
                format!("此前没有代码为 {old} 的区划 / no division had the code {old} until then")
            }),
        }
    }

    /// Nobody has the code on the day: one who takes it later, or a new division.
    fn at_another_time(&self, row: &'a Row) -> Result<&'a str, String> {
        let bearers = self.who_bore(&row.code);
        let later = bearers.iter().filter(|b| b.from > self.day && self.on_the_day(b.id).is_none());
        let later: BTreeSet<&str> = later.map(|bearer| bearer.id).collect();
        match (later.first(), later.len()) {
            (Some(id), 1) => Ok(id),
            (None, _) if bearers.is_empty() => Ok(&row.new_id),
            _ => Err(format!(
                "代码 {0} 在其他日期属于别的区划:请在第五列写原代码、编号或 new / the code {0} belongs to a division at another time: give its former code, its id or new in the fifth column",
                row.code
            )),
        }
    }

    /// No code may belong to two, on the day or until the next word about the division.
    fn afterwards(&mut self, named: &[Named<'a>]) -> Codes<'a> {
        let changed: BTreeSet<&str> = named.iter().map(|(id, _)| *id).collect();
        let mut codes = Codes::new();
        for id in self.register.divisions.keys().filter(|id| !changed.contains(id.as_str())) {
            if let Some(kept) = self.on_the_day(id) {
                codes.insert(&kept.code, (id, &kept.tier));
            }
        }
        for (id, row) in named {
            let Some(then) = &row.then else { continue };
            let held = codes.insert(&row.code, (id, &then.tier)).is_some();
            let life = self.register.divisions.get(*id);
            let until = life.and_then(|life| life.next_after(self.day));
            let later = self.who_bore(&row.code).iter().any(|b| {
                b.id != *id && b.from > self.day && until.is_none_or(|until| b.from < until)
            });
            if held || later {
                self.refuse(row, "代码已由另一区划使用 / another division has this code");
            }
        }
        codes
    }

    /// The rows as divisions, each under its parent.
    fn placed(&mut self, rows: &[Row], named: &[Named<'a>], codes: &Codes<'a>) -> Vec<Division> {
        let in_file: BTreeSet<&str> = rows.iter().map(|row| row.code.as_str()).collect();
        let mut divisions = Vec::new();
        for (id, row) in named {
            let attributes = row.then.as_ref().map(|then| {
                let parent = match codes.get(then.parent.as_str()) {
                    _ if then.tier == "city" => None,
                    Some((parent, tier)) => {
                        if !above(&then.tier).contains(tier) {
                            self.refuse(row, "上级层级不符 / the parent is not of the level above");
                        }
                        Some((*parent).to_owned())
                    }
                    None => {
                        // A parent that was refused itself is told once.
                        if !in_file.contains(then.parent.as_str()) {
                            let what =
                                format!("上级 {0} 不存在 / parent {0} is unknown", then.parent);
                            self.refuse(row, &what);
                        }
                        None
                    }
                };
                let (code, name, tier) = (row.code.clone(), then.name.clone(), then.tier.clone());
                Attributes { code, name, parent, tier }
            });
            let id = (*id).to_owned();
            divisions.push(Division { id, valid_from: self.day, attributes });
        }
        divisions
    }

    /// A register is that of one city.
    fn one_city(&mut self, named: &[Named<'a>], codes: &Codes<'a>) {
        let cities = codes.values().filter(|(_, tier)| *tier == "city").count();
        let first = named.iter().find(|(id, row)| {
            let was = self.on_the_day(id).is_some_and(|kept| kept.tier == "city");
            was != row.then.as_ref().is_some_and(|then| then.tier == "city")
        });
        if let (true, Some((_, row))) = (cities > 1, first) {
            self.refuse(row, "区划名录只能有一个市 / the register is that of one city");
        }
    }

    /// What stands below a changed division must still stand below something fit.
    fn left_below(&mut self, named: &[Named<'a>], codes: &Codes<'a>) {
        let rows: BTreeMap<&str, &Row> = named.iter().copied().collect();
        let mut broken = BTreeSet::new();
        for (child, tier) in codes.values().filter(|(id, _)| !rows.contains_key(id)) {
            let parent = self.on_the_day(child).and_then(|kept| kept.parent.as_deref());
            let Some((parent, row)) = parent.and_then(|id| rows.get_key_value(id)) else {
                continue;
            };
            let fits = row.then.as_ref().is_some_and(|then| above(tier).contains(&&*then.tier));
            if !fits && broken.insert(*parent) {
                self.refuse(
                    row,
                    "其下尚有区划,请一并调整 / divisions below it have to move with it",
                );
            }
        }
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

//! Which division each row of an import speaks of, and whether the tree stands
//! when all rows are taken in.
//!
//! A row speaks of the division that has its code on the day. A renumbered one is
//! named by its former code or, where that is not clear, by its id. What could mean
//! two divisions is refused, never guessed.

mod tree;

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
    taking.one_city(&named);
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
            About::Formerly(old) => self.renumbered(old, now, row),
            About::ItsCode => now.map_or_else(|| self.at_another_time(row), Ok),
        }
    }

    /// The division that had the code `old` until the day, or has changed it already.
    fn renumbered(&self, old: &str, now: Option<&'a str>, row: &Row) -> Result<&'a str, String> {
        let had = |id: &&str| self.who_bore(old).iter().any(|bearer| bearer.id == *id);
        let until_then = self.bearer(old, self.day.before());
        match (until_then, now.filter(had)) {
            (Some(one), Some(other)) if one != other => Err(format!(
                "原代码 {old} 先后属于两个区划,请以编号指明 / two divisions had the code {old}: give the id"
            )),
            (Some(id), _) | (None, Some(id)) => Ok(id),
            (None, None) => {
                // The same correction again: it was taken in, and nothing is left of the mistake.
                let corrected = now.filter(|id| self.says_already(id, row));
                self.bearer(old, self.day).or(corrected).ok_or_else(|| {
                    format!(
                        "此前没有代码为 {old} 的区划 / no division had the code {old} until then"
                    )
                })
            }
        }
    }

    /// Whether just this was said of a division for the day.
    fn says_already(&self, id: &str, row: &Row) -> bool {
        let said = self.register.divisions.get(id).and_then(|life| life.said_for(self.day));
        match (said, &row.then) {
            (Some(Some(said)), Some(then)) => said.code == row.code && said.name == then.name,
            (Some(None), None) => true,
            _ => false,
        }
    }

    /// Nobody has the code on the day: one who takes it later, or a new division.
    fn at_another_time(&self, row: &'a Row) -> Result<&'a str, String> {
        let bearers = self.who_bore(&row.code);
        if row.then.is_none() {
            let ended = bearers.iter().find(|bearer| self.says_already(bearer.id, row));
            return ended.map(|bearer| bearer.id).ok_or_else(|| {
                format!(
                    "当日没有代码为 {0} 的区划 / no division has the code {0} on that day",
                    row.code
                )
            });
        }
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
}

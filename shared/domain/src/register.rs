//! 区划与被巡察党组织 Register: divisions and inspected organizations.
//!
//! Ids are opaque. Code, name, parent and tier are dated attributes: 杨庄镇 exists
//! twice in 山东, and 即墨市 changed its code when it became a district.

use std::collections::{BTreeMap, BTreeSet};

use kernel::{Aggregate, Code, Context, Day, OfficeId, Refusal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Level;

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
    /// The parent's code; the city's own parent lies outside.
    pub parent: String,
    /// `city`, `district`, `township` or `village`.
    pub tier: String,
    /// From which day on these attributes hold.
    pub valid_from: Day,
}

/// An inspected organization.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Organization {
    /// The opaque id.
    pub id: String,
    /// The name.
    pub name: String,
    /// Its level.
    pub level: Level,
    /// The division's code, for a village or a township.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub division: Option<String>,
    /// The office where it rectifies; none for a unit of this office.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub unit_office: Option<OfficeId>,
}

/// One row of an import.
#[derive(Clone, Debug)]
pub struct Row {
    /// The line it stands on, from 1.
    pub line: usize,
    /// The division, with its new id.
    pub division: Division,
}

/// What the rules need to know.
#[derive(Clone, Debug, Default)]
pub struct Register {
    divisions: BTreeMap<String, (String, String)>,
    organizations: BTreeSet<String>,
}

/// What may be asked.
#[derive(Clone, Debug)]
pub enum Command {
    /// Imports divisions, all or none.
    ImportDivisions {
        /// The rows.
        rows: Vec<Row>,
    },
    /// Registers organizations, all or none.
    RegisterOrganizations(Vec<Organization>),
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
    /// Organizations were registered.
    OrganizationsRegistered {
        /// The organizations.
        organizations: Vec<Organization>,
    },
}

/// How many rows fit one entry of 48 KiB.
const SLICE: usize = 150;

impl Aggregate for Register {
    type Command = Command;
    type Event = Event;
    const FAMILY: &'static str = "register";

    fn name(event: &Event) -> &'static str {
        match event {
            Event::DivisionsImported { .. } => "divisions-imported",
            Event::OrganizationsRegistered { .. } => "organizations-registered",
        }
    }

    fn decide(&self, command: Command, _: &Context) -> Result<Vec<Event>, Refusal> {
        match command {
            Command::ImportDivisions { rows } => self.import(rows),
            Command::RegisterOrganizations(organizations) => {
                let mut ids = self.organizations.clone();
                for organization in &organizations {
                    crate::filled("name", &organization.name)?;
                    crate::plain("id", &organization.id)?;
                    if !ids.insert(organization.id.clone()) {
                        return Err(Refusal::new(Code::OrgExists).detail(&organization.id));
                    }
                }
                let slices = organizations.chunks(SLICE).map(<[_]>::to_vec);
                let event = |organizations| Event::OrganizationsRegistered { organizations };
                Ok(slices.map(event).collect())
            }
        }
    }

    fn evolve(&mut self, event: &Event) {
        match event {
            Event::DivisionsImported { divisions } => {
                let known =
                    divisions.iter().map(|d| (d.code.clone(), (d.name.clone(), d.parent.clone())));
                self.divisions.extend(known);
            }
            Event::OrganizationsRegistered { organizations } => {
                self.organizations.extend(organizations.iter().map(|o| o.id.clone()));
            }
        }
    }
}

impl Register {
    /// Whether an organization is registered here.
    pub fn has(&self, organization: &str) -> bool {
        self.organizations.contains(organization)
    }

    /// Rows that are known with the same attributes are skipped, so that the
    /// same file may be imported twice.
    fn import(&self, rows: Vec<Row>) -> Result<Vec<Event>, Refusal> {
        let mut errors = Vec::new();
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        for Row { line, division } in &rows {
            if let Some(first) = seen.insert(&division.code, *line) {
                let what =
                    format!("{} 与第 {first} 行重复 / same code as line {first}", division.code);
                errors.push((format!("line {line}"), what));
            }
        }
        for Row { line, division } in &rows {
            let parent = division.parent.as_str();
            let top = division.tier == "city";
            if !top && !seen.contains_key(parent) && !self.divisions.contains_key(parent) {
                let what = format!("上级 {parent} 不存在 / parent {parent} is unknown");
                errors.push((format!("line {line}"), what));
            }
        }
        if !errors.is_empty() {
            errors.truncate(100);
            return Err(Refusal { errors, ..Code::ImportRejected.into() });
        }
        let new: Vec<_> = rows
            .into_iter()
            .map(|row| row.division)
            .filter(|d| self.divisions.get(&d.code) != Some(&(d.name.clone(), d.parent.clone())))
            .collect();
        let event =
            |divisions: &[Division]| Event::DivisionsImported { divisions: divisions.to_vec() };
        Ok(new.chunks(SLICE).map(event).collect())
    }
}

/// Reads the CSV form `code,level,parent,name`, with a header line and an
/// optional byte order mark. Every bad line is named.
pub fn read_csv(
    text: &str,
    valid_from: Day,
    mut id: impl FnMut() -> String,
) -> Result<Vec<Row>, Refusal> {
    let mut rows = Vec::new();
    let mut errors = Vec::new();
    if text.matches('"').count() % 2 == 1 {
        let at = text.lines().position(|line| line.matches('"').count() % 2 == 1).unwrap_or(0);
        errors.push((format!("line {}", at + 1), "引号未闭合 / a quote is not closed".to_owned()));
    }
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(text.trim_start_matches('\u{feff}').as_bytes());
    for (at, record) in reader.records().enumerate() {
        let Ok(record) = record else {
            errors.push((format!("row {}", at + 1), "无法读取 / does not read".to_owned()));
            continue;
        };
        let place = record.position().and_then(|place| usize::try_from(place.line()).ok());
        let line = place.unwrap_or(at + 1);
        let cells: Vec<&str> = record.iter().collect();
        let blank = cells.iter().all(|cell| cell.is_empty());
        if at == 0 && cells.first() == Some(&"code") || blank {
            continue;
        }
        match division(&cells, valid_from) {
            Ok(division) => rows.push(Row { line, division: Division { id: id(), ..division } }),
            Err(what) => errors.push((format!("line {line}"), what.to_owned())),
        }
    }
    if rows.is_empty() && errors.is_empty() {
        errors.push(("line 1".to_owned(), "文件为空 / the file is empty".to_owned()));
    }
    errors.truncate(100);
    if errors.is_empty() {
        Ok(rows)
    } else {
        Err(Refusal { errors, ..Code::ImportRejected.into() })
    }
}

fn division(cells: &[&str], valid_from: Day) -> Result<Division, &'static str> {
    let &[code, tier, parent, name] = cells else {
        return Err(
            "应为四列:代码,层级,上级,名称 / four columns are needed: code,level,parent,name",
        );
    };
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let length = match tier {
        "city" | "district" => 6,
        "township" => 9,
        "village" => 12,
        _ => return Err("层级不明 / level must be city, district, township or village"),
    };
    if code.len() != length || !digits(code) {
        return Err("代码位数与层级不符 / the code's length does not fit its level");
    }
    if parent.is_empty() || !digits(parent) || name.is_empty() {
        return Err("缺上级代码或名称 / parent code or name is missing");
    }
    if name.chars().any(|c| c.is_control() || c == '"') {
        return Err("名称含控制字符或引号 / the name holds a control character or a quote");
    }
    let above = match tier {
        "city" => parent.len() == 6 && parent.ends_with("0000"),
        "district" => parent.len() == 6 && parent.ends_with("00") && parent != code,
        "township" => parent.len() == 6,
        _ => parent.len() == 9,
    };
    if !above {
        return Err("上级层级不符 / the parent is not of the level above");
    }
    Ok(Division {
        id: String::new(),
        code: code.to_owned(),
        name: name.to_owned(),
        parent: parent.to_owned(),
        tier: tier.to_owned(),
        valid_from,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use testkit::given;

    const CSV: &str = "code,level,parent,name\n611000,city,610000,商洛市\n611024,district,611000,山阳县\n611024106,township,611024,漫川关镇\n";

    fn rows(text: &str) -> Result<Vec<Row>, Refusal> {
        let mut next = 0;
        read_csv(text, Day::parse("2023-06-30").unwrap(), || {
            next += 1;
            format!("v{next}")
        })
    }

    #[test]
    fn a_whole_file_is_imported_once() {
        let rows = rows(CSV).unwrap();
        let divisions: Vec<_> = rows.iter().map(|row| row.division.clone()).collect();
        let imported = Event::DivisionsImported { divisions };
        let import = Command::ImportDivisions { rows };
        given::<Register>([]).when(import.clone()).then([imported.clone()]);
        given::<Register>([imported]).when(import).then([]);
    }

    #[test]
    fn a_duplicate_or_orphan_row_refuses_the_file_and_names_its_line() {
        let text =
            format!("{CSV}611024106,township,611024,漫川关镇\n611099101,township,611099,无\n");
        let import = Command::ImportDivisions { rows: rows(&text).unwrap() };
        let refusal = Register::default().decide(import, &testkit::context("p1")).unwrap_err();
        let lines: Vec<_> = refusal.errors.iter().map(|(line, _)| line.as_str()).collect();
        assert_eq!((refusal.code, lines), (Code::ImportRejected, vec!["line 5", "line 6"]));
    }

    #[test]
    fn a_bad_line_is_named() {
        let refusal =
            rows(&format!("{CSV}61x,district,611000,坏\nonly,three,cells\n")).unwrap_err();
        let lines: Vec<_> = refusal.errors.iter().map(|(line, _)| line.as_str()).collect();
        assert_eq!(lines, ["line 5", "line 6"]);
        assert!(rows("").is_err());
    }

    #[test]
    fn a_spreadsheets_file_reads_and_an_impossible_tree_does_not() {
        let text = "\u{feff}code,level,parent,name\r\n\"611000\",\"city\",\"610000\",\"商洛市\"\r\n,,,\r\n";
        assert_eq!(rows(text).unwrap().len(), 1);
        for bad in [
            "611087,district,611087,自",
            "611085,district,611086,甲",
            "611024106,township,611024106,乙",
            "611026,district,611000,\"未闭",
        ] {
            assert!(rows(&format!("{CSV}{bad}\n")).is_err(), "{bad}");
        }
    }
}

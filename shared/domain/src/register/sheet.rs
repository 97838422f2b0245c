//! The CSV form of an import: `code,level,parent,name` and, where the code alone
//! does not tell which division is meant, a fifth column that does.

use kernel::{Code, Refusal};

/// One row of an import.
#[derive(Clone, Debug)]
pub struct Row {
    /// The line it stands on, from 1.
    pub line: usize,
    /// The id for the division, should it be a new one.
    pub new_id: String,
    /// The code.
    pub code: String,
    /// Which division is meant.
    pub about: About,
    /// What it is from then on; nothing if it ends.
    pub then: Option<Then>,
}

/// Which division a row speaks of: the fifth column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum About {
    /// Empty: the one with the row's code.
    ItsCode,
    /// Digits: the one that had this code before.
    Formerly(String),
    /// `new`: one that was not there before, although another had the code once.
    New,
    /// Anything else: the one with this id.
    Id(String),
}

/// What a division is from the day on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Then {
    /// `city`, `district`, `township` or `village`.
    pub tier: String,
    /// The parent's code.
    pub parent: String,
    /// The name.
    pub name: String,
}

/// Reads the CSV form, with or without a header line and a byte order mark.
/// Every bad line is named; `id` gives the ids of new divisions.
pub fn read_csv(text: &str, mut id: impl FnMut() -> String) -> Result<Vec<Row>, Refusal> {
    let text = text.trim_start_matches('\u{feff}').replace("\r\n", "\n").replace('\r', "\n");
    let text = text.as_str();
    let mut lines = Lines { text, byte: 0, line: 1 };
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
        .from_reader(text.as_bytes());
    for (at, record) in reader.records().enumerate() {
        let Ok(record) = record else {
            errors.push((format!("row {}", at + 1), "无法读取 / does not read".to_owned()));
            continue;
        };
        let line = lines.at(record.position().map_or(0, csv::Position::byte));
        let cells: Vec<&str> = record.iter().collect();
        let blank = cells.iter().all(|cell| cell.is_empty());
        if at == 0 && matches!(cells.first(), Some(&("code" | "代码"))) || blank {
            continue;
        }
        match row(&cells) {
            Ok(row) => rows.push(Row { line, new_id: id(), ..row }),
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

/// Line numbers as an editor shows them; the reader's own do not count empty lines.
struct Lines<'a> {
    text: &'a str,
    byte: usize,
    line: usize,
}

impl Lines<'_> {
    /// The line of the record that begins at, or behind line ends at, a byte.
    fn at(&mut self, byte: u64) -> usize {
        let byte = usize::try_from(byte).unwrap_or(usize::MAX).min(self.text.len());
        let rest = self.text.get(byte..).unwrap_or_default();
        let ends = rest.len() - rest.trim_start_matches('\n').len();
        let from = std::mem::replace(&mut self.byte, byte + ends);
        self.line += self.text.get(from..self.byte).unwrap_or_default().matches('\n').count();
        self.line
    }
}

fn row(cells: &[&str]) -> Result<Row, &'static str> {
    let (code, level, parent, name, about) = match *cells {
        [code, level, parent, name] => (code, level, parent, name, ""),
        [code, level, parent, name, about] => (code, level, parent, name, about),
        _ => {
            return Err(
                "应为四列或五列:代码,层级,上级,名称,所指 / four or five columns are needed: code,level,parent,name,about",
            );
        }
    };
    if !is_code(code) {
        return Err("代码应为 6、9 或 12 位数字 / a code has 6, 9 or 12 digits");
    }
    let about = match about {
        "" => About::ItsCode,
        "new" if level != "ended" => About::New,
        old if is_code(old) && old != code => About::Formerly(old.to_owned()),
        id if id.starts_with('v') => About::Id(id.to_owned()),
        _ => {
            return Err(
                "第五列应为原代码、区划编号或 new / the fifth column is a former code, an id or new",
            );
        }
    };
    let then = if level == "ended" { None } else { Some(then(code, level, parent, name)?) };
    Ok(Row { line: 0, new_id: String::new(), code: code.to_owned(), about, then })
}

fn then(code: &str, tier: &str, parent: &str, name: &str) -> Result<Then, &'static str> {
    let length = match tier {
        "city" | "district" => 6,
        "township" => 9,
        "village" => 12,
        _ => {
            return Err(
                "层级不明 / level must be city, district, township or village, or ended for one that ends",
            );
        }
    };
    if code.len() != length {
        return Err("代码位数与层级不符 / the code's length does not fit its level");
    }
    if !is_code(parent) || name.is_empty() {
        return Err("缺上级代码或名称 / parent code or name is missing");
    }
    if name.chars().any(|c| c.is_control() || c == '"') {
        return Err("名称含控制字符或引号 / the name holds a control character or a quote");
    }
    if tier == "city" && !(parent.len() == 6 && parent.ends_with("0000")) {
        return Err("市的上级应为省 / the parent of a city is a province");
    }
    let text = str::to_owned;
    Ok(Then { tier: text(tier), parent: text(parent), name: text(name) })
}

fn is_code(text: &str) -> bool {
    matches!(text.len(), 6 | 9 | 12) && text.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CSV: &str = "code,level,parent,name\n611000,city,610000,商洛市\n611024,district,611000,山阳县\n611024106,township,611024,漫川关镇\n";

    fn lines(text: &str) -> Vec<String> {
        let refusal = read_csv(text, String::new).unwrap_err();
        refusal.errors.into_iter().map(|(line, _)| line).collect()
    }

    #[test]
    fn a_bad_line_is_named() {
        let text = format!(
            "{CSV}61x,district,611000,坏\nonly,three,cells\n611026,county,611000,乙\n611026,district,,丙\n611026,district,611000,丁,61\n611026,district,611000,戊,611026\n"
        );
        let bad: Vec<String> = (5..=10).map(|line| format!("line {line}")).collect();
        assert_eq!(lines(&text), bad);
        assert_eq!(lines(""), ["line 1"]);
        assert_eq!(lines(&format!("{CSV}611026,district,611000,\"未闭\n"))[0], "line 5");
        assert_eq!(lines("611000,city,611001,市\n"), ["line 1"]);
    }

    #[test]
    fn lines_are_counted_as_an_editor_counts_them() {
        for end in ["\n", "\r\n", "\r"] {
            let text = ["611000,city,610000,商洛市", "", "", "坏", "", "坏二"].join(end);
            assert_eq!(lines(&text), ["line 4", "line 6"]);
        }
        let name = "611000,city,610000,\"商\n洛\"\n坏\n";
        assert_eq!(lines(name), ["line 1", "line 3"]);
    }

    #[test]
    fn the_fifth_column_says_which_division_is_meant() {
        let about = |cell: &str| {
            let text = format!("611000,city,610000,商洛市,{cell}\n");
            read_csv(&text, String::new).map(|rows| rows[0].about.clone())
        };
        assert_eq!(about("").unwrap(), About::ItsCode);
        assert_eq!(about("612500").unwrap(), About::Formerly("612500".to_owned()));
        assert_eq!(about("new").unwrap(), About::New);
        assert_eq!(about("v3k2").unwrap(), About::Id("v3k2".to_owned()));
        assert!(about("611000").is_err() && about("61").is_err());
        assert!(read_csv("611000,ended,,\n", String::new).unwrap()[0].then.is_none());
    }

    #[test]
    fn a_spreadsheets_file_reads() {
        let text = "\u{feff}code,level,parent,name,formerly\r\n\"611000\",\"city\",\"610000\",\"商洛市\",\r\n,,,,\r\n611022,district,611000,丹凤县,612522\r\n";
        let rows = read_csv(text, || "new".to_owned()).unwrap();
        let about: Vec<_> = rows.iter().map(|row| (row.line, row.about.clone())).collect();
        assert_eq!(about, [(2, About::ItsCode), (4, About::Formerly("612522".to_owned()))]);
    }
}

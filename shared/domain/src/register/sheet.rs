//! The CSV form of an import: `code,level,parent,name` and, where a division was
//! renumbered, the former code as a fifth column.

use kernel::{Code, Refusal};

/// One row of an import.
#[derive(Clone, Debug)]
pub struct Row {
    /// The line it stands on, from 1.
    pub line: usize,
    /// The id for the division, should it be a new one.
    pub id: String,
    /// The code.
    pub code: String,
    /// `city`, `district`, `township` or `village`.
    pub tier: String,
    /// The parent's code.
    pub parent: String,
    /// The name.
    pub name: String,
    /// The code that it had before.
    pub formerly: Option<String>,
}

/// Reads the CSV form, with or without a header line and a byte order mark.
/// Every bad line is named; `id` gives the ids of new divisions.
pub fn read_csv(text: &str, mut id: impl FnMut() -> String) -> Result<Vec<Row>, Refusal> {
    // The reader counts a line too few where lines end as spreadsheets write them.
    let text = text.trim_start_matches('\u{feff}').replace("\r\n", "\n");
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
        let place = record.position().and_then(|place| usize::try_from(place.line()).ok());
        let line = place.unwrap_or(at + 1);
        let cells: Vec<&str> = record.iter().collect();
        let blank = cells.iter().all(|cell| cell.is_empty());
        if at == 0 && cells.first() == Some(&"code") || blank {
            continue;
        }
        match row(&cells) {
            Ok(row) => rows.push(Row { line, id: id(), ..row }),
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

fn row(cells: &[&str]) -> Result<Row, &'static str> {
    let (code, tier, parent, name, formerly) = match *cells {
        [code, tier, parent, name] => (code, tier, parent, name, ""),
        [code, tier, parent, name, formerly] => (code, tier, parent, name, formerly),
        _ => {
            return Err(
                "应为四列或五列:代码,层级,上级,名称,原代码 / four or five columns are needed: code,level,parent,name,formerly",
            );
        }
    };
    let is_code =
        |text: &str| matches!(text.len(), 6 | 9 | 12) && text.bytes().all(|b| b.is_ascii_digit());
    let length = match tier {
        "city" | "district" => 6,
        "township" => 9,
        "village" => 12,
        _ => return Err("层级不明 / level must be city, district, township or village"),
    };
    if code.len() != length || !is_code(code) {
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
    if !formerly.is_empty() && (!is_code(formerly) || formerly == code) {
        return Err("原代码有误 / the former code is not another code");
    }
    Ok(Row {
        line: 0,
        id: String::new(),
        code: code.to_owned(),
        tier: tier.to_owned(),
        parent: parent.to_owned(),
        name: name.to_owned(),
        formerly: (!formerly.is_empty()).then(|| formerly.to_owned()),
    })
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
    fn a_spreadsheets_file_reads() {
        let text = "\u{feff}code,level,parent,name,formerly\r\n\"611000\",\"city\",\"610000\",\"商洛市\",\r\n,,,,\r\n611022,district,611000,丹凤县,612522\r\n";
        let rows = read_csv(text, || "new".to_owned()).unwrap();
        let former: Vec<_> = rows.iter().map(|row| (row.line, row.formerly.as_deref())).collect();
        assert_eq!(former, [(2, None), (4, Some("612522"))]);
    }
}

//! What is printed for whoever reads it at a terminal.

use auditor::{
    differ::{Changed, Grown},
    prove::Proven,
    replay::Replayed,
    report::said,
    standing::Row,
    trace::Step,
    verify::{Finding, Report},
};
use kernel::Timestamp;

/// Prints a line. Whoever stops listening (`| head`) changes nothing of how it ends.
macro_rules! out {
    ($($line:tt)*) => {{
        use std::io::Write as _;
        let line = $crate::say::harmless(&format!($($line)*));
        let _ = writeln!(std::io::stdout(), "{line}");
    }};
}
pub(crate) use out;

/// What an export says commands no terminal.
pub(crate) fn harmless(text: &str) -> String {
    let escaped = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    text.chars().fold(String::new(), |mut line, c| {
        if escaped(c) {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
        line
    })
}

/// What speaks against a log of which something was to be proven.
pub(crate) fn against(report: &Report) {
    not_as_it_should(report);
    out!("{}", said(report.exit()).join(" "));
}

/// A proof that was checked.
pub(crate) fn checked(checked: Result<&Proven, &(u8, String)>, code: u8) {
    match checked {
        Ok(proven) => {
            out!("{} #{}  {}", proven.log, proven.sequence, proven.hash);
            for (who, seconds) in &proven.witnessed {
                let at = i64::try_from(*seconds).ok().and_then(|at| at.checked_mul(1000));
                let at = at.map(|at| Timestamp(at).to_string()).unwrap_or_default();
                out!("  见证 witnessed  {who}  {at}");
            }
        }
        Err((_, why)) => out!("  {why}"),
    }
    out!("{}", said(code).join(" "));
}

/// A verification.
pub(crate) fn verified(report: &Report) {
    for (origin, held) in &report.logs {
        let times = [held.from, held.to].map(|at| at.map(|at| at.to_string()).unwrap_or_default());
        out!(
            "{origin}  {} 条 entries  {} … {}  见证至 witnessed up to {}",
            held.entries,
            times[0],
            times[1],
            held.witnessed
        );
    }
    not_as_it_should(report);
    if !report.unchecked.is_empty() {
        out!("未核对 Not checked:");
    }
    for what in &report.unchecked {
        out!("  {what}");
    }
    out!("{}", said(report.exit()).join(" "));
}

/// What was found of logs by themselves.
pub(crate) fn not_as_it_should(report: &Report) {
    for (title, found) in [
        ("已证实的改动 Tampering that is proven", &report.broken),
        ("未达到策略要求 The policy is not met", &report.unmet),
        ("无法定论 Cannot be concluded", &report.open),
    ] {
        if !found.is_empty() {
            out!("{title}:");
        }
        for Finding { log, index, code, detail } in found {
            let at = index.map(|index| format!(" #{}", index + 1)).unwrap_or_default();
            out!("  {log}{at}  {code}: {detail}");
        }
    }
}

/// A replay of one office.
pub(crate) fn replayed(one: &Replayed) {
    let same = match one.same {
        Some(true) => "与数据库一致 as its store",
        Some(false) => "与数据库不一致 not as its store",
        None => "未与数据库比对 not held against its store",
    };
    out!(
        "{} {}  {} 事实 facts  {} 行 rows  {}  {same}",
        one.office,
        one.name,
        one.folded,
        one.rows,
        one.fingerprint
    );
    for level in &one.results {
        let cell = |name: &str| level[name].to_string().replace('"', "");
        out!(
            "  {}  对象 targets {}  已巡察 inspected {}  发现 found {}  已整改 rectified {}  {}%",
            cell("level"),
            cell("targets"),
            cell("inspected"),
            cell("found"),
            cell("rectified"),
            cell("rate")
        );
    }
    for row in &one.differ {
        out!("  不一致 differs: {row}");
    }
    missing(&one.missing);
    if let Some(why) = &one.unchecked {
        out!("  未核对 not checked: {why}");
    }
}

/// What an office knew and an export does not hold.
pub(crate) fn missing(missing: &auditor::history::Missing) {
    for (lane, many) in missing {
        out!("  缺失 missing: {lane} ({many})");
    }
}

/// What was not looked at.
pub(crate) fn unchecked(what: &str) {
    out!("未核对 not checked: {what}");
}

/// Offices whose logs are not here.
pub(crate) fn away(names: &[String]) {
    if !names.is_empty() {
        out!("日志不在此导出中 no log here of: {}", names.join(" "));
    }
}

/// Rows of a view.
pub(crate) fn rows(rows: &[Row]) {
    for Row { key, row } in rows {
        out!("{key}\t{row}");
    }
}

/// Entries, each with who took it in.
pub(crate) fn steps(steps: &[Step]) {
    for step in steps {
        let act = step.act_date.map(|day| format!("  办理 act {day}")).unwrap_or_default();
        out!(
            "{}  {}  {}  {}  {}  {}{act}",
            step.recorded,
            step.office,
            step.kind,
            step.stream,
            if step.actor.trim().is_empty() { "系统 system" } else { &step.actor },
            step.at
        );
        for receipt in &step.received {
            out!(
                "    → {}  {}  #{}  {} s",
                receipt.name,
                receipt.recorded,
                receipt.sequence,
                receipt.seconds
            );
        }
    }
}

/// How logs grew.
pub(crate) fn grown(logs: &[Grown]) {
    for log in logs {
        let size = |size: Option<u64>| size.map_or("—".to_owned(), |size| size.to_string());
        out!("{}  {} → {}", log.log, size(log.before), size(log.after));
        if let Some(sequence) = log.parts_at {
            out!("  #{sequence} 两次导出的条目不同 is not the same entry in both");
        }
        if log.shrunk {
            out!("  后一次导出较短或没有该日志 the later export is shorter, or has no such log");
        }
        for (kind, many) in &log.came {
            out!("  + {many} {kind}");
        }
    }
}

/// Rows that changed.
pub(crate) fn changed(rows: &[Changed]) {
    for row in rows {
        let shown = |row: &Option<serde_json::Value>| {
            row.as_ref().map_or("—".to_owned(), ToString::to_string)
        };
        out!("{}\n  - {}\n  + {}", row.key, shown(&row.before), shown(&row.after));
    }
}

//! 报告 A printable report of a verification, in both languages, with the proofs inside.

use std::{
    io,
    path::{Path, PathBuf},
    process::Command,
};

use askama::Template;
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use domain::directory::Event as Told;
use event_store::past::Moment;

use crate::{
    history::History,
    prove::prove,
    standing,
    trace::{Step, trace},
    verify::{Finding, Report},
};

/// A log as the report shows it.
struct LogRow {
    name: String,
    origin: String,
    entries: u64,
    witnessed: u64,
    from: String,
    to: String,
}

/// Findings under one title.
struct Part<'a> {
    title: [&'static str; 2],
    found: &'a [Finding],
}

/// An entry with its proof.
struct Proven {
    step: Step,
    proof: String,
    entry: String,
}

#[derive(Template)]
#[template(path = "report.html")]
struct Page<'a> {
    demo: bool,
    said: [&'static str; 2],
    mood: &'static str,
    exit: u8,
    version: &'static str,
    made: &'a str,
    logs: Vec<LogRow>,
    parts: [Part<'a>; 3],
    unchecked: &'a [String],
    results: Vec<Vec<String>>,
    steps: Vec<Proven>,
}

/// What an exit code means, in both languages.
pub const fn said(exit: u8) -> [&'static str; 2] {
    match exit {
        0 => ["成立", "It holds."],
        1 => ["不成立:有改动", "It does not hold: something was changed."],
        4 => ["未达到策略要求", "The policy is not met."],
        _ => ["无法定论", "It cannot be concluded."],
    }
}

/// The page of a verification; with the way of a matter and its proofs, if one is named.
/// `made` is when it is made, as it shall stand there.
pub async fn page(
    export: &Path,
    report: &Report,
    matter: Option<&str>,
    made: &str,
) -> io::Result<String> {
    let history = History::read(export)?;
    let office = |origin: &str| crate::verify::office_of(origin);
    let logs = report.logs.iter().map(|(origin, held)| LogRow {
        name: office(origin).map(|office| history.name(&office)).unwrap_or_default(),
        origin: origin.clone(),
        entries: held.entries,
        witnessed: held.witnessed,
        from: held.from.map(|at| at.to_string()).unwrap_or_default(),
        to: held.to.map(|at| at.to_string()).unwrap_or_default(),
    });
    let exit = report.exit();
    let page = Page {
        demo: is_demo(&history),
        said: said(exit),
        mood: match exit {
            0 => "holds",
            1 => "broken",
            _ => "open",
        },
        exit,
        version: env!("CARGO_PKG_VERSION"),
        made,
        logs: logs.collect(),
        parts: [
            Part {
                title: ["已证实的改动", "Tampering that is proven"], found: &report.broken
            },
            Part {
                title: ["未达到策略要求", "The policy is not met"], found: &report.unmet
            },
            Part { title: ["无法定论", "Cannot be concluded"], found: &report.open },
        ],
        unchecked: &report.unchecked,
        results: results(&history).await?,
        steps: match matter {
            Some(matter) => proven(export, &history, matter)?,
            None => Vec::new(),
        },
    };
    page.render().map_err(io::Error::other)
}

/// Whether the history is a demonstration.
fn is_demo(history: &History) -> bool {
    let mut founded = history.all().filter(|told| told.fact.family() == "directory");
    founded.any(|told| matches!(told.fact.read(), Ok(Told::Founded { demo: true, .. })))
}

/// The city's results, replayed; nothing if the city's log is not here.
async fn results(history: &History) -> io::Result<Vec<Vec<String>>> {
    let city = history.members.values().find(|member| member.seat.parent.is_none());
    let Some(log) = city.and_then(|member| history.logs.get(&member.seat.office)) else {
        return Ok(Vec::new());
    };
    let standing = standing::at(history, log, Moment::default())?;
    let rows = standing.rows("results", "").await?;
    let cell = |row: &serde_json::Value, name: &str| match &row[name] {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let cells = ["level", "targets", "inspected", "found", "rectified", "rate"];
    Ok(rows.iter().map(|row| cells.map(|name| cell(&row.row, name)).into()).collect())
}

fn proven(export: &Path, history: &History, matter: &str) -> io::Result<Vec<Proven>> {
    let mut all = Vec::new();
    for step in trace(history, matter)? {
        let Some(log) = history.logs.get(&step.at.origin) else { continue };
        // An entry that is not what was signed has no proof; the report says so above.
        let (proof, entry) = match prove(export, &log.origin, step.at.sequence) {
            Ok(Ok((proof, entry))) => (proof, BASE64.encode(entry)),
            Ok(Err(against)) => {
                let first = against.broken.into_iter().chain(against.open).next();
                (first.map(|one| one.detail).unwrap_or_default(), String::new())
            }
            Err(why) => (why.to_string(), String::new()),
        };
        all.push(Proven { step, proof, entry });
    }
    Ok(all)
}

/// Prints a page into a PDF with a browser: Chromium or one of its kind.
pub fn print(page: &Path, into: &Path, browser: &Path) -> io::Result<()> {
    let page = std::path::absolute(page)?;
    let into = std::path::absolute(into)?;
    let profile = into.with_extension("profile");
    // What lies there is not taken for what is printed now.
    if into.exists() {
        std::fs::remove_file(&into)?;
    }
    let path = |flag: &str, path: &PathBuf| format!("{flag}{}", path.display());
    let done = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer"])
        .arg(path("--user-data-dir=", &profile))
        .arg(path("--print-to-pdf=", &into))
        .arg(path("file://", &page))
        .output();
    let done = done.map_err(|error| {
        io::Error::new(
            error.kind(),
            format!("{}: {error}; name one by --browser", browser.display()),
        )
    })?;
    let _ = std::fs::remove_dir_all(profile);
    if done.status.success() && into.exists() {
        return Ok(());
    }
    Err(io::Error::other(String::from_utf8_lossy(&done.stderr).into_owned()))
}

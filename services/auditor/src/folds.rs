//! The commands that fold: replays, views at a moment, and how two exports differ.

use std::{io, path::Path};

use auditor::{
    differ,
    history::History,
    replay::{replay, stores},
    report,
    standing::{self, Standing},
};
use event_store::Engine;
use indicatif::ProgressBar;
use serde_json::json;

use crate::{
    arguments::{Of, moment},
    commands::{BROKEN, HOLDS, OPEN, UNCHECKED, code_of, tell},
    say,
};

/// What a store has beside its entries and its views.
const BESIDE: &str = "数据库在条目旁另存的列(类型、流、哈希)和收件登记 what a store keeps beside its entries: their kinds, streams and hashes, and what it received";

pub(crate) async fn replayed(
    export: &Path,
    office: Option<&str>,
    engines: Vec<Engine>,
    (json, bar): (bool, &ProgressBar),
) -> io::Result<u8> {
    bar.set_message("读取导出 reading the export");
    let history = History::read(export)?;
    let stores = stores(&engines).await?;
    let offices = match office {
        Some(office) => vec![history.office(office)?.office.clone()],
        None => history.logs.keys().cloned().collect(),
    };
    if let Some(stranger) = stores.keys().find(|office| !offices.contains(*office)) {
        return Err(io::Error::other(format!("{stranger}: its store is here and its log is not")));
    }
    let (mut differ, mut whole, mut all) = (false, true, Vec::new());
    for office in offices {
        bar.set_message(format!("重放 replaying {office}"));
        let one = replay(&history, &office, stores.get(&office)).await?;
        differ |= one.same == Some(false);
        whole &= one.missing.is_empty() && one.unchecked.is_none();
        if !json {
            bar.suspend(|| say::replayed(&one));
        }
        all.push(one);
    }
    let code = if differ { BROKEN } else { code_of(&history.report, whole) };
    let unchecked: &[&str] = if stores.is_empty() { &[UNCHECKED] } else { &[UNCHECKED, BESIDE] };
    let body = || {
        json!({"exit": code, "offices": all, "broken": history.report.broken,
            "open": history.report.open, "unchecked": unchecked})
    };
    tell(bar, json, body, || {
        say::not_as_it_should(&history.report);
        for what in unchecked {
            say::unchecked(what);
        }
        if code != HOLDS || all.iter().any(|one| one.same.is_some()) {
            say::out!("{}", report::said(code).join(" "));
        } else {
            say::out!("已重放,未与数据库比对 Folded, and held against no store.");
        }
    });
    Ok(code)
}

pub(crate) async fn looked(
    export: &Path,
    of: &Of,
    moment: event_store::past::Moment,
    (json, bar): (bool, &ProgressBar),
) -> io::Result<u8> {
    let history = History::read(export)?;
    let log = history.office(&of.office)?;
    let standing = standing::at(&history, log, moment)?;
    let rows = standing.rows(&of.view, &of.key).await?;
    let Standing { past, missing, unfolded, .. } = &standing;
    let ahead = moment.known_at.is_some_and(|known| log.ends_before(known));
    let code = code_of(&history.report, standing.is_whole() && !ahead);
    let body = || {
        json!({"exit": code, "office": log.office, "view": of.view, "at": past.standing(),
            "rows": rows, "missing": missing, "unfolded": unfolded, "ahead": ahead,
            "broken": history.report.broken, "open": history.report.open,
            "unchecked": [UNCHECKED]})
    };
    tell(bar, json, body, || {
        say::rows(&rows);
        if ahead {
            say::out!("日志在该时刻之前结束 The log that is here ends before that moment.");
        }
        say::missing(missing);
        say::not_as_it_should(&history.report);
        say::unchecked(UNCHECKED);
    });
    Ok(code)
}

pub(crate) async fn differ(
    (before, after): &(History, History),
    of: Option<(&str, &str)>,
    (json, bar): (bool, &ProgressBar),
) -> io::Result<u8> {
    let logs = differ::logs(before, after);
    let rows = match of {
        Some((office, view)) => {
            differ::rows((before, after), office, view, moment(None, None)).await?
        }
        None => Vec::new(),
    };
    let parted = logs.iter().any(|log| log.parts_at.is_some());
    let sound = before.report.broken.is_empty() && after.report.broken.is_empty();
    let whole = before.report.open.is_empty() && after.report.open.is_empty();
    let code = match (parted || !sound, whole && logs.iter().all(|log| !log.shrunk)) {
        (true, _) => BROKEN,
        (false, false) => OPEN,
        (false, true) => HOLDS,
    };
    let body = || {
        json!({"exit": code, "logs": logs, "rows": rows, "unchecked": [UNCHECKED],
            "broken": [before.report.broken, after.report.broken],
            "open": [before.report.open, after.report.open]})
    };
    tell(bar, json, body, || {
        say::grown(&logs);
        say::changed(&rows);
        say::not_as_it_should(&before.report);
        say::not_as_it_should(&after.report);
        say::unchecked(UNCHECKED);
    });
    Ok(code)
}

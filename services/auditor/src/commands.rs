//! What each command of the program does: reads, asks, prints, and says how it ends.

use std::{fs, io, path::Path, time::Duration};

use clap::CommandFactory;
use event_store::Engine;
use indicatif::ProgressBar;
use serde_json::{Value, json};
use web::client::Client;

use auditor::{
    export::{Exported, export},
    history::History,
    prove::{check, prove},
    report,
    trace::{Step, Wanted, find, trace},
    verify::{Report, verify},
    witness::Witness,
};

use crate::{
    arguments::{Arguments, Stores, What, moment},
    folds::{differ, looked, replayed},
    input::{policy_of, question, read, running, write},
    say,
};

/// Nothing speaks against it.
pub(crate) const HOLDS: u8 = 0;
/// Tampering is proven.
pub(crate) const BROKEN: u8 = 1;
/// It cannot be concluded.
pub(crate) const OPEN: u8 = 3;
/// The policy is not met.
const UNMET: u8 = 4;

/// Runs the program; the exit code, or why it was called wrongly.
pub(crate) fn run(arguments: Arguments) -> io::Result<u8> {
    let json = arguments.json;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let waiting = waiting(json);
    let code = runtime.block_on(asked(arguments.what, json, &waiting));
    waiting.finish_and_clear();
    code
}

/// Something that turns while the program works, at a terminal and not beside JSON.
fn waiting(json: bool) -> ProgressBar {
    if json {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner();
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

async fn asked(what: What, json: bool, bar: &ProgressBar) -> io::Result<u8> {
    match what {
        What::Export { into, from } => take(from, &into, json, bar).await,
        What::Verify { export, against } => {
            bar.set_message("核验 verifying");
            let report = verify(&export, &question(&against)?)?;
            let code = report.exit();
            tell(bar, json, || with_exit(json!(report), code), || say::verified(&report));
            Ok(code)
        }
        What::Replay { export, office, up, data, postgres, schema } => {
            let up = up.as_deref().map(running).transpose()?.unwrap_or_default();
            let data = data.into_iter().chain(up.into_iter().map(|(data, _)| data));
            let url = postgres.unwrap_or_default();
            let away = schema.into_iter().map(|schema| {
                let url = url.clone();
                Engine::Postgres { url, schema }
            });
            let engines = data.map(Engine::Sqlite).chain(away).collect();
            replayed(&export, office.as_deref(), engines, (json, bar)).await
        }
        What::AsOf { export, day, of, known_at } => {
            looked(&export, &of, moment(Some(day), known_at), (json, bar)).await
        }
        What::KnownAt { export, moment: known, of, as_of } => {
            looked(&export, &of, moment(as_of, Some(known)), (json, bar)).await
        }
        What::Diff { before, after, office, view } => {
            let sides = (History::read(&before)?, History::read(&after)?);
            let of = office.as_deref().zip(view.as_deref());
            differ(&sides, of, (json, bar)).await
        }
        What::Trace { export, id } => {
            let history = History::read(&export)?;
            Ok(found(&history, &trace(&history, &id)?, (json, bar)))
        }
        What::Find { export, kind, stream, actor, from, to, text } => {
            let history = History::read(&export)?;
            let wanted = Wanted { kind, stream, actor, from, to, text };
            Ok(found(&history, &find(&history, &wanted), (json, bar)))
        }
        evidence => proven(evidence, json, bar).await,
    }
}

/// Evidence that is carried to others: proofs, reports, cosignatures.
async fn proven(what: What, json: bool, bar: &ProgressBar) -> io::Result<u8> {
    match what {
        What::Prove { export, log, sequence, out } => {
            let (proof, entry) = match prove(&export, &log, sequence)? {
                Ok(proven) => proven,
                Err(against) => {
                    let code = code_of(&against, true);
                    tell(bar, json, || with_exit(json!(against), code), || say::against(&against));
                    return Ok(code);
                }
            };
            let beside = out.with_extension("entry");
            write(&out, proof.as_bytes())?;
            write(&beside, &entry)?;
            let body = || json!({"exit": HOLDS, "proof": out, "entry": beside});
            tell(bar, json, body, || say::out!("{}  {}", out.display(), beside.display()));
            Ok(HOLDS)
        }
        What::Check { proof, entry, policy } => checked(&proof, &entry, &policy, (json, bar)),
        What::Report { export, against, out, pdf, browser, trace, made } => {
            let report = verify(&export, &question(&against)?)?;
            let made = made.unwrap_or_else(|| kernel::clock::wall().to_string());
            let page = report::page(&export, &report, trace.as_deref(), &made).await?;
            write(&out, page.as_bytes())?;
            let code = report.exit();
            if let Some(pdf) = &pdf
                && let Err(why) = report::print(&out, pdf, &browser)
            {
                // What was found stands, printed or not.
                bar.suspend(|| eprintln!("{}: {why}", pdf.display()));
                return Ok(if code == HOLDS { 2 } else { code });
            }
            let body = || json!({"exit": code, "html": out, "pdf": pdf});
            tell(bar, json, body, || say::out!("{}", report::said(code).join(" ")));
            Ok(code)
        }
        What::Witness { folder, logs, name, every, authority } => {
            bar.finish_and_clear();
            let client = match &authority {
                Some(authority) => Client::trusting(authority).map_err(io::Error::other)?,
                None => Client::default(),
            };
            let list = String::from_utf8_lossy(&read(&logs)?).into_owned();
            watch(Witness::open(&folder, &name, &list, client)?, every, json).await
        }
        of_itself => {
            bar.finish_and_clear();
            of_the_program(of_itself)
        }
    }
}

/// Cosigns once, or every so many seconds until the program is stopped.
async fn watch(mut witness: Witness, every: Option<u64>, json: bool) -> io::Result<u8> {
    if !json {
        say::out!("见证公钥 witness key: {}", witness.verifier());
    }
    loop {
        let turns = witness.turn().await;
        for turn in &turns {
            if json {
                say::out!("{}", json!(turn));
            } else {
                let counts = if turn.counts { "计入 counts" } else { "未计入 not counted" };
                say::out!("{}  {}  {}  {counts} {}", turn.log, turn.size, turn.code, turn.detail);
            }
        }
        let any = |codes: &[&str]| turns.iter().any(|turn| codes.contains(&turn.code));
        match every {
            Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds.max(1))).await,
            None if any(&["fork"]) => return Ok(BROKEN),
            None if any(&["silent", "refused", "behind"]) => return Ok(OPEN),
            None => return Ok(HOLDS),
        }
    }
}

/// What the program says of itself.
fn of_the_program(what: What) -> io::Result<u8> {
    match what {
        What::Completions { shell } => {
            let mut command = Arguments::command();
            clap_complete::generate(shell, &mut command, "liandong-audit", &mut io::stdout());
        }
        What::Man { into } => {
            fs::create_dir_all(&into)?;
            clap_mangen::generate_to(Arguments::command(), &into)?;
        }
        _ => {}
    }
    Ok(HOLDS)
}

/// Prints one of two.
pub(crate) fn tell(
    bar: &ProgressBar,
    as_json: bool,
    json: impl FnOnce() -> Value,
    text: impl FnOnce(),
) {
    bar.finish_and_clear();
    if as_json { say::out!("{}", json()) } else { text() }
}

fn with_exit(mut body: Value, code: u8) -> Value {
    body["exit"] = code.into();
    body
}

/// What was not looked at when logs were held against themselves alone.
pub(crate) const UNCHECKED: &str =
    "密钥、见证和逐条签名(见 verify) keys, witnesses and entries' signatures: see verify";

/// How an answer ends that was read from logs which were held against themselves alone.
pub(crate) fn code_of(report: &Report, whole: bool) -> u8 {
    match (report.broken.is_empty(), whole && report.open.is_empty()) {
        (false, _) => BROKEN,
        (true, false) => OPEN,
        (true, true) => HOLDS,
    }
}

fn found(history: &History, steps: &[Step], (json, bar): (bool, &ProgressBar)) -> u8 {
    let code = code_of(&history.report, true);
    // Who took something in is known of those alone whose logs are here.
    let away: Vec<String> = history
        .members
        .keys()
        .filter(|office| !history.logs.contains_key(*office))
        .map(|office| history.name(office))
        .collect();
    let body = || {
        json!({"exit": code, "steps": steps, "broken": history.report.broken,
            "open": history.report.open, "away": away, "unchecked": [UNCHECKED]})
    };
    tell(bar, json, body, || {
        say::steps(steps);
        say::away(&away);
        say::not_as_it_should(&history.report);
        say::unchecked(UNCHECKED);
    });
    code
}

fn checked(
    proof: &Path,
    entry: &Path,
    policy: &Path,
    (json, bar): (bool, &ProgressBar),
) -> io::Result<u8> {
    let policy = policy_of(policy)?;
    let proof = String::from_utf8_lossy(&read(proof)?).into_owned();
    let checked = check(&proof, &read(entry)?, &policy);
    let (code, body) = match &checked {
        Ok(said) if said.enough => (HOLDS, json!(said)),
        Ok(said) => (UNMET, json!(said)),
        Err((code, why)) => (*code, json!({"why": why})),
    };
    tell(bar, json, || with_exit(body, code), || say::checked(checked.as_ref(), code));
    Ok(code)
}

/// Exports the logs of these offices.
async fn take(from: Stores, into: &Path, json: bool, bar: &ProgressBar) -> io::Result<u8> {
    let mut offices = from.up.as_deref().map(running).transpose()?.unwrap_or_default();
    offices.extend(from.data.zip(from.keys));
    let elsewhere = from.postgres.zip(from.schema);
    let elsewhere = elsewhere.map(|(url, schema)| Engine::Postgres { url, schema });
    if offices.is_empty() {
        return Err(io::Error::other("--up FILE, or --data DIR --keys DIR"));
    }
    for (data, keys) in offices {
        bar.set_message(format!("导出 exporting {}", data.display()));
        let done = export(elsewhere.as_ref(), &data, &keys, into).await.map_err(|error| {
            io::Error::new(error.kind(), format!("{}: {error}", data.display()))
        })?;
        bar.suspend(|| {
            if json {
                say::out!("{}", json!(done));
            } else {
                let Exported { origin, entries, cosigned } = done;
                say::out!("{origin}  {entries} 条 entries  {cosigned} 次联签 cosignatures");
            }
        });
    }
    Ok(HOLDS)
}

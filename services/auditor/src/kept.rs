//! What others kept: heads of before, and forks that offices had found.

use std::{fs, io, path::Path};

use kernel::Timestamp;
use ledger::{
    checkpoint::Checkpoint,
    note::{Line, Note},
    witness::Fork,
};

use crate::{
    forms::is_file,
    logs::Log,
    verify::{Question, Report, folders},
};

/// What the auditor kept from before stands in what is here.
pub(crate) fn since(logs: &[Log], question: &Question, report: &mut Report) {
    if question.since.is_empty() {
        let why = "what was signed before: no head that was kept was given (--since)";
        report.unchecked.push(why.into());
    }
    for note in &question.since {
        let Ok(said) = Checkpoint::parse(&note.text) else {
            report.open("since", "since-form", "a kept head is no checkpoint");
            continue;
        };
        let Some(log) = logs.iter().find(|log| log.origin == said.origin) else {
            report.open(&said.origin, "log-missing", "a head of it was kept, and it is not here");
            continue;
        };
        if let Err(bad) = note.verify(std::slice::from_ref(&log.key)) {
            report.open(&said.origin, "since-signature", format!("the kept head: {bad}"));
            continue;
        }
        match log.root_at(said.size) {
            Some(root) if root == said.root => {}
            Some(_) => {
                let detail = format!(
                    "its first {} entries are not those that were signed before",
                    said.size
                );
                report.breaks(&said.origin, None, "since", detail);
            }
            None => shorter(log, note, said.size, report),
        }
    }
}

/// A log has fewer entries than a head that was kept. An export that was made before the
/// head was cosigned may be shorter; one that was made after all had cosigned it, by its own
/// signed word and every witness's clock, was cut.
fn shorter(log: &Log, kept: &Note, size: u64, report: &mut Report) {
    let here = log.leaves.len();
    let seconds = kept.lines.iter().filter_map(Line::says_when).max();
    let cosigned = seconds.and_then(|at| i64::try_from(at).ok()?.checked_mul(1000)).map(Timestamp);
    if let Some((made, cosigned)) = log.made.zip(cosigned).filter(|(made, head)| made > head) {
        let detail = format!(
            "it had {size} entries at {cosigned}, and the export of {made} has {here}: its end was cut"
        );
        report.breaks(&log.origin, None, "since", detail);
    } else {
        let detail = format!(
            "the kept head has {size} entries, and the export {here}; nothing says that it was made after the head: export once more"
        );
        report.open(&log.origin, "since-older", detail);
    }
}

/// Forks that offices had found. Anybody can make a key and sign two heads with it: a fork
/// counts against the log whose key is known from elsewhere.
pub(crate) fn evidence(
    folder: &Path,
    logs: &[Log],
    question: &Question,
    report: &mut Report,
) -> io::Result<()> {
    for path in folders(folder)?.into_iter().filter(|path| is_file(path)) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let fork: Option<Fork> = serde_json::from_slice(&fs::read(&path)?).ok();
        let Some((fork, said)) = fork.and_then(|fork| fork.holds().ok().map(|said| (fork, said)))
        else {
            report.open(&name, "fork-evidence", "it proves no fork");
            continue;
        };
        let pinned = question.policy.as_ref().map(|policy| policy.logs().to_vec());
        let keys = pinned.unwrap_or_else(|| logs.iter().map(|log| log.key.clone()).collect());
        if keys.iter().any(|key| key.to_string() == fork.key) {
            let what = format!("two signed heads of {} entries contradict each other", said.size);
            report.breaks(&said.origin, None, "fork", what);
        } else {
            report.open(&said.origin, "fork-evidence", "a fork under a key that is not known");
        }
    }
    Ok(())
}

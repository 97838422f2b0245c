//! 核验 Proves an export without any office: what was changed, where, and what could not be
//! checked.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use kernel::{OfficeId, Timestamp};
use ledger::{checkpoint::Checkpoint, note::Note, policy::Policy, tree::Node, witness::Fork};
use serde::Serialize;

use crate::{
    across::{Signers, across},
    logs::Log,
};

/// What is to be checked, and against what.
#[derive(Debug, Default)]
pub struct Question {
    /// The auditor's own policy (C2SP tlog-policy): logs and witnesses by their keys.
    pub policy: Option<Policy>,
    /// Heads that the auditor kept from before.
    pub since: Vec<Note>,
    /// Of every so many entries the own signature is checked too; nought for none.
    pub signatures: u64,
}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Of which log, or which file.
    pub log: String,
    /// At which entry, from nought; none if of no single one.
    pub index: Option<u64>,
    /// A stable word.
    pub code: &'static str,
    /// What was found, in English.
    pub detail: String,
}

/// One log, as far as it holds.
#[derive(Clone, Debug, Serialize)]
pub struct Held {
    /// How many entries.
    pub entries: u64,
    /// How many of them stand under a head that enough witnesses have cosigned.
    pub witnessed: u64,
    /// When that was, in seconds since 1970.
    pub witnessed_at: Option<u64>,
    /// When the first was recorded.
    pub from: Option<Timestamp>,
    /// When the last was recorded.
    pub to: Option<Timestamp>,
}

/// What came of it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// The logs.
    pub logs: BTreeMap<String, Held>,
    /// Tampering that is proven.
    pub broken: Vec<Finding>,
    /// What the policy asks for and is not there.
    pub unmet: Vec<Finding>,
    /// What cannot be concluded from what is here.
    pub open: Vec<Finding>,
    /// What was not looked at, and why.
    pub unchecked: Vec<String>,
}

impl Report {
    /// 0 it holds; 1 tampering is proven; 3 it cannot be concluded; 4 the policy is not met.
    pub fn exit(&self) -> u8 {
        match (self.broken.is_empty(), self.unmet.is_empty(), self.open.is_empty()) {
            (false, ..) => 1,
            (true, false, _) => 4,
            (true, true, false) => 3,
            (true, true, true) => 0,
        }
    }

    pub(crate) fn breaks(
        &mut self,
        log: &str,
        index: Option<u64>,
        code: &'static str,
        detail: impl Into<String>,
    ) {
        // A log that was written anew breaks everywhere: what is said first is enough.
        if self.broken.iter().filter(|one| one.log == log).count() < 20 {
            self.broken.push(Finding { log: log.to_owned(), index, code, detail: detail.into() });
        }
    }

    pub(crate) fn open(&mut self, log: &str, code: &'static str, detail: impl Into<String>) {
        let (log, index) = (log.to_owned(), None);
        self.open.push(Finding { log, index, code, detail: detail.into() });
    }

    fn lacks(&mut self, log: &str, code: &'static str, detail: impl Into<String>) {
        let (log, index) = (log.to_owned(), None);
        self.unmet.push(Finding { log, index, code, detail: detail.into() });
    }
}

/// Verifies an export.
pub fn verify(export: &Path, question: &Question) -> io::Result<Report> {
    let mut report = Report::default();
    let mut logs = Vec::new();
    for folder in folders(&export.join("logs"))? {
        let log = Log::read(&folder, &mut report)?;
        logs.extend(log);
    }
    if logs.is_empty() {
        report.open("logs", "no-log", "there is no log here");
    }
    judged(&logs, question, &mut report);
    since(&logs, question, &mut report);
    let signers = Signers::of(&logs);
    match (question.signatures, signers.is_known()) {
        (0, _) => report.unchecked.push("the signatures of single entries: not asked for".into()),
        (_, false) => report.unchecked.push(
            "the signatures of single entries: the city's log, which says who signs, is not here"
                .into(),
        ),
        (every, true) => signers.check(&logs, every, &mut report),
    }
    across(&logs, &mut report);
    evidence(&export.join("evidence"), &mut report)?;
    for log in &logs {
        report.logs.entry(log.origin.clone()).or_insert_with(|| log.held());
    }
    Ok(report)
}

fn folders(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let read = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        read => read?,
    };
    let mut found = read.map(|one| one.map(|one| one.path())).collect::<io::Result<Vec<_>>>()?;
    found.sort();
    Ok(found)
}

/// What the auditor's policy says of each log's heads.
fn judged(logs: &[Log], question: &Question, report: &mut Report) {
    let Some(policy) = &question.policy else {
        report.unchecked.push(
            "keys and witnesses: no policy was given, so the keys are those that the export says"
                .into(),
        );
        return;
    };
    for log in logs {
        if !policy.logs().iter().any(|known| known.name() == log.origin) {
            report.open(&log.origin, "unknown-log", "the policy knows no such log");
            continue;
        }
        let mut held = log.held();
        let mut enough = false;
        for note in log.heads.values() {
            match policy.judge(note) {
                Ok(judged) if judged.enough => {
                    enough = true;
                    if judged.checkpoint.size >= held.witnessed {
                        held.witnessed = judged.checkpoint.size;
                        held.witnessed_at = judged.cosigned.iter().map(|(_, at)| *at).min();
                    }
                }
                Ok(_) => {}
                Err(bad) => {
                    let size = Checkpoint::parse(&note.text).map_or(0, |said| said.size);
                    report.breaks(
                        &log.origin,
                        None,
                        "head-signature",
                        format!("a head of {size} entries: {bad}"),
                    );
                }
            }
        }
        if !enough {
            report.lacks(
                &log.origin,
                "quorum",
                "no head of it has the cosignatures that the policy asks for",
            );
        }
        report.logs.insert(log.origin.clone(), held);
    }
}

/// What the auditor kept from before stands in what is here.
fn since(logs: &[Log], question: &Question, report: &mut Report) {
    for note in &question.since {
        let Ok(said) = Checkpoint::parse(&note.text) else { continue };
        let Some(log) = logs.iter().find(|log| log.origin == said.origin) else {
            report.open(&said.origin, "log-missing", "a head of it was kept, and it is not here");
            continue;
        };
        if let Err(bad) = note.verify(std::slice::from_ref(&log.key)) {
            report.open(&said.origin, "since-signature", format!("the kept head: {bad}"));
            continue;
        }
        let root: Option<Node> = log.root_at(said.size);
        let detail = match root {
            Some(root) if root == said.root => continue,
            Some(_) => {
                format!("its first {} entries are not those that were signed before", said.size)
            }
            None => format!("it had {} entries, and has {}", said.size, log.leaves.len()),
        };
        report.breaks(&said.origin, None, "since", detail);
    }
}

/// Forks that offices had found.
fn evidence(folder: &Path, report: &mut Report) -> io::Result<()> {
    for path in folders(folder)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let fork: Option<Fork> = serde_json::from_slice(&fs::read(&path)?).ok();
        match fork.map(|fork| fork.holds()) {
            Some(Ok(said)) => report.breaks(
                &said.origin,
                None,
                "fork",
                format!("two signed heads of {} entries contradict each other", said.size),
            ),
            Some(Err(bad)) => report.open(&name, "fork-evidence", bad.to_string()),
            None => report.open(&name, "fork-evidence", "it does not read"),
        }
    }
    Ok(())
}

/// The office of a log's name.
pub(crate) fn office_of(origin: &str) -> Option<OfficeId> {
    origin.split('/').nth(1).and_then(OfficeId::parse)
}

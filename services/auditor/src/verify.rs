//! 核验 Proves an export without any office: what was changed, where, and what could not be
//! checked.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use kernel::{OfficeId, Timestamp};
use ledger::{note::Note, policy::Policy};
use serde::Serialize;

use crate::{
    across::{Signers, across},
    kept::{evidence, since},
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
    /// How many entries may stand behind the last head that enough have cosigned.
    pub tail: u64,
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
    let folders = folders(&export.join("logs"))?;
    for folder in &folders {
        let log = Log::read(folder, question.signatures, &mut report)?;
        logs.extend(log);
    }
    if folders.is_empty() {
        return Err(io::Error::other(format!("{}: there is no export here", export.display())));
    }
    if logs.is_empty() {
        report.open("logs", "no-log", "there is no log here");
    }
    judged(&logs, question, &mut report);
    since(&logs, question, &mut report);
    match (question.signatures, Signers::of(&logs)) {
        (0, _) => report.unchecked.push("the signatures of single entries: not asked for".into()),
        (_, None) => report.unchecked.push(
            "the signatures of single entries: the one log of a city, which says who signs, is not here"
                .into(),
        ),
        (every, Some(signers)) => signers.check(&logs, every, &mut report),
    }
    across(&logs, &mut report);
    for folder in &folders {
        evidence(&folder.join("evidence"), &logs, question, &mut report)?;
    }
    for log in &logs {
        report.logs.entry(log.origin.clone()).or_insert_with(|| log.held());
    }
    Ok(report)
}

fn is_none(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

pub(crate) fn folders(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let read = match fs::read_dir(folder) {
        Err(error) if is_none(&error) => return Ok(Vec::new()),
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
    for known in policy.logs() {
        if !logs.iter().any(|log| log.origin == known.name()) {
            report.open(known.name(), "log-missing", "the policy knows it, and it is not here");
        }
    }
    for log in logs {
        let Some(key) = policy.logs().iter().find(|known| known.name() == log.origin) else {
            report.open(&log.origin, "unknown-log", "the policy knows no such log");
            continue;
        };
        if *key != log.key {
            report.breaks(
                &log.origin,
                None,
                "log-key",
                "it is signed by another key than was pinned",
            );
            continue;
        }
        let mut held = log.held();
        for (size, note) in &log.heads {
            // Lines that do not hold count for nobody, and nobody is its own witness.
            let own = witness_of(&log.origin);
            let keys: Vec<_> = policy
                .keys()
                .into_iter()
                .filter(|key| Some(key.name()) != own.as_deref())
                .collect();
            if let Ok(judged) = policy.judge(&note.only(&keys))
                && judged.enough
                && *size >= held.witnessed
            {
                held.witnessed = *size;
                held.witnessed_at = judged.cosigned.iter().map(|(_, at)| *at).min();
            }
        }
        let tail = held.entries - held.witnessed.min(held.entries);
        if held.witnessed == 0 {
            report.lacks(
                &log.origin,
                "quorum",
                "no head of it has the cosignatures that the policy asks for",
            );
        } else if tail > question.tail {
            let detail =
                format!("its last {tail} entries stand under no head that enough have cosigned");
            report.lacks(&log.origin, "tail", detail);
        }
        report.logs.insert(log.origin.clone(), held);
    }
}

/// The name of an office as a witness, by that of its log.
pub(crate) fn witness_of(origin: &str) -> Option<String> {
    office_of(origin).map(|office| format!("liandong/{office}/witness"))
}

/// The office of a log's name.
pub(crate) fn office_of(origin: &str) -> Option<OfficeId> {
    origin.split('/').nth(1).and_then(OfficeId::parse)
}

//! What the program is given: files, and what stands in them.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use auditor::verify::Question;
use ledger::{note::Note, policy::Policy};
use serde_json::Value;

use crate::arguments::{Against, Signatures};

/// The data and key folders of the offices that run.
pub(crate) fn running(up: &Path) -> io::Result<Vec<(PathBuf, PathBuf)>> {
    let odd = || io::Error::other(format!("{}: it names no offices", up.display()));
    let read: Value = serde_json::from_slice(&read(up)?).map_err(|_| odd())?;
    let offices = read["offices"].as_array().cloned().ok_or_else(odd)?;
    let folders = offices.iter().filter_map(|office| {
        let path = |name: &str| office[name].as_str().map(PathBuf::from);
        path("data").zip(path("keys"))
    });
    Ok(folders.collect())
}

pub(crate) fn question(against: &Against) -> io::Result<Question> {
    Ok(Question {
        policy: against.policy.as_deref().map(policy_of).transpose()?,
        since: against.since.iter().map(|path| note_of(path)).collect::<io::Result<_>>()?,
        signatures: match against.event_sigs {
            Signatures::All => 1,
            Signatures::Sample => 50,
            Signatures::None => 0,
        },
        tail: against.tail,
    })
}

pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    fs::read(path)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
}

pub(crate) fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    fs::write(path, bytes)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
}

pub(crate) fn policy_of(path: &Path) -> io::Result<Policy> {
    let text = String::from_utf8_lossy(&read(path)?).into_owned();
    Policy::parse(&text).map_err(|bad| io::Error::other(format!("{}: {bad}", path.display())))
}

pub(crate) fn note_of(path: &Path) -> io::Result<Note> {
    let text = String::from_utf8_lossy(&read(path)?).into_owned();
    Note::parse(&text).map_err(|bad| io::Error::other(format!("{}: {bad}", path.display())))
}

//! 联签 The heads of the own log that others cosigned, and what they prove of an entry.

use std::{
    collections::BTreeMap,
    fs, io,
    io::{Read, Seek, SeekFrom, Write},
    ops::Bound::{Excluded, Unbounded},
};

use kernel::OfficeId;
use ledger::{
    checkpoint::Checkpoint,
    note::{Bad, Kind, Note, Verifier},
};
use serde::{Deserialize, Serialize};

use super::{
    log_name,
    scribe::{Ledger, Open, Trouble},
};

/// The file with the cosigned heads, beside the tiles: one a line, as JSON.
const COSIGNED: &str = "cosigned";

/// How the ledger stands, for whoever operates or audits the office.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Stand {
    /// The log's name.
    pub origin: String,
    /// How many entries the newest signed head has.
    pub size: u64,
    /// The log's verifier key.
    pub log: String,
    /// The office's verifier key as a witness.
    pub witness: String,
    /// How far each witness has cosigned, and when, in seconds since 1970: an office by its
    /// id, one from outside by the name of its key.
    pub witnesses: BTreeMap<String, (u64, u64)>,
    /// Why nothing is signed, if nothing is.
    pub trouble: Option<String>,
}

/// Between which moments an entry is proven to have come into the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Witnessed {
    /// Who first cosigned a head that has it: an office's id, or the name of an outside key.
    pub by: String,
    /// When, by the witness's clock, in seconds since 1970.
    pub at: u64,
    /// When a head without it was cosigned last.
    pub not_before: Option<u64>,
}

/// One line of the file of cosigned heads.
#[derive(Serialize, Deserialize)]
pub(super) struct Line {
    pub(super) by: String,
    pub(super) size: u64,
    pub(super) seconds: u64,
    pub(super) note: String,
}

/// Whether a file is empty or ends with a line's end.
fn ends_a_line(file: &mut fs::File) -> io::Result<bool> {
    if file.seek(SeekFrom::End(0))? == 0 {
        return Ok(true);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

/// Reads the keys of witnesses that are no offices: a name that an office may have is none.
pub fn outside(keys: &[String]) -> Result<Vec<Verifier>, Bad> {
    let read = |text: &String| {
        let key = Verifier::parse(text)?;
        let house = key.name().starts_with("liandong/") || OfficeId::parse(key.name()).is_some();
        if house || key.kind() != Kind::Cosignature {
            return Err(Bad::Key("of no witness from outside"));
        }
        Ok(key)
    };
    keys.iter().map(read).collect()
}

/// How many cosigned heads are at hand with their signatures.
const AT_HAND: usize = 64;

impl Open {
    /// Notes a cosignature; whether it was not known.
    pub(super) fn note(&mut self, by: &str, size: u64, seconds: u64, note: &Note) -> bool {
        let known = self.cosigned.entry(size).or_default();
        if known.iter().any(|(who, _)| who == by) {
            return false;
        }
        known.push((by.to_owned(), seconds));
        let head = self.heads.entry(size).or_insert_with(|| note.clone());
        for line in &note.lines {
            if !head.lines.contains(line) {
                head.lines.push(line.clone());
            }
        }
        if self.heads.len() > AT_HAND {
            self.heads.pop_first();
        }
        true
    }
}

impl Ledger {
    /// Every cosignature of a life that is kept, the oldest first. A line that was not
    /// written to its end is not there.
    pub(super) fn lines(&self, epoch: u32) -> io::Result<Vec<Line>> {
        let path = self.folder.join(epoch.to_string()).join(COSIGNED);
        let text = match fs::read_to_string(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            read => read.unwrap_or_default(),
        };
        Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
    }

    /// Keeps a witness's word on a head of this log, if the head is ours: its size, or nought.
    pub(super) fn keep(&self, by: &str, verifier: &Verifier, note: &Note) -> Result<u64, Trouble> {
        let Checkpoint { origin, size, root } = Checkpoint::parse(&note.text)?;
        let signed = note.verify(std::slice::from_ref(verifier))?;
        let epoch = self.open().epoch;
        if origin != log_name(&self.office().setting().office, epoch) {
            return Ok(0);
        }
        let log = self.signer(epoch)?.verifier();
        // What others may have added is not kept.
        let note = note.only(&[log, verifier.clone()]);
        let mut open = self.open();
        let ours = open.book.as_ref().map(|book| book.root_at(size)).transpose()?.flatten();
        if ours != Some(root) {
            return Err(Trouble::Differs(size));
        }
        let Some((_, seconds)) = signed.first() else { return Ok(0) };
        if !open.note(by, size, *seconds, &note) {
            return Ok(size);
        }
        let path = self.folder.join(epoch.to_string()).join(COSIGNED);
        let line = Line { by: by.to_owned(), size, seconds: *seconds, note: note.to_string() };
        let mut line = serde_json::to_vec(&line).map_err(io::Error::other)?;
        line.push(b'\n');
        let mut file = fs::OpenOptions::new().read(true).append(true).create(true).open(path)?;
        // A line that was cut when the machine stopped is ended first.
        if !ends_a_line(&mut file)? {
            line.insert(0, b'\n');
        }
        file.write_all(&line)?;
        file.sync_data()?;
        Ok(size)
    }

    /// Keeps the word of a witness from outside, if it is one of those that count; nobody's
    /// is none.
    pub fn keep_outside(&self, note: &Note) -> Result<Option<u64>, Trouble> {
        for key in &self.outside {
            if note.verify(std::slice::from_ref(key)).is_ok_and(|signed| !signed.is_empty()) {
                return self.keep(key.name(), key, note).map(Some);
            }
        }
        Ok(None)
    }

    /// A signed head with more than so many entries, with its cosignatures: the newest that
    /// most have cosigned, or the newest of all if nobody has one.
    pub fn checkpoint(&self, more_than: u64) -> Option<(Checkpoint, Note)> {
        let open = self.open();
        let cosigned = open.heads.range((Excluded(more_than), Unbounded));
        let best = cosigned.max_by_key(|(size, note)| (note.lines.len(), **size));
        let best = best.and_then(|(_, note)| Some((Checkpoint::parse(&note.text).ok()?, note)));
        let best = best.map(|(checkpoint, note)| (checkpoint, note.clone()));
        best.or_else(|| open.head.clone().filter(|(head, _)| head.size > more_than))
    }

    /// Who has seen the entry with this sequence, and when.
    pub fn witnessed(&self, sequence: u64) -> Option<Witnessed> {
        let open = self.open();
        let times = |all: &[(String, u64)]| all.iter().map(|(_, at)| *at).max();
        let first = open.cosigned.range(sequence..).next().map(|(_, all)| all);
        let (by, at) = first?.iter().min_by_key(|(_, at)| *at)?.clone();
        let before = open.cosigned.range(..sequence).next_back();
        Some(Witnessed { by, at, not_before: before.and_then(|(_, all)| times(all)) })
    }

    /// How it stands.
    pub fn stand(&self) -> Result<Stand, Trouble> {
        let epoch = self.office().life().epoch;
        let log = self.signer(epoch)?.verifier().to_string();
        let open = self.open();
        let mut witnesses: BTreeMap<String, (u64, u64)> = BTreeMap::new();
        for (size, all) in &open.cosigned {
            for (by, at) in all {
                witnesses.insert(by.clone(), (*size, *at));
            }
        }
        Ok(Stand {
            origin: log_name(&self.office().setting().office, epoch),
            size: open.head.as_ref().map_or(0, |(signed, _)| signed.size),
            log,
            witness: self.witness.verifier().to_string(),
            witnesses,
            trouble: open.trouble.clone(),
        })
    }
}

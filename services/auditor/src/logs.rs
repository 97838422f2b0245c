//! One log of an export, held against what it signed.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs, io,
    path::Path,
};

use domain::directory::Member;
use kernel::{OfficeId, Timestamp, entry, sign::Hash};
use ledger::{
    checkpoint::Checkpoint,
    note::{Note, Verifier},
    tile::{Tile, WIDTH},
    tree::{Edge, Node, Sha256},
};

use crate::{
    forms::{FORM, listing, unbundle},
    verify::{Held, Report, office_of},
    walk::Taken,
};

/// One log, read once.
pub(crate) struct Log {
    pub(crate) origin: String,
    pub(crate) key: Verifier,
    pub(crate) office: OfficeId,
    /// Heads by size, with every cosignature of each.
    pub(crate) heads: BTreeMap<u64, Note>,
    pub(crate) leaves: Vec<Node>,
    pub(crate) entries: Vec<Option<Vec<u8>>>,
    /// The places whose entries are not those that were signed.
    pub(crate) changed: BTreeSet<u64>,
    /// The leaf of each counter of each lane, with the life it is of.
    pub(crate) lanes: HashMap<String, Vec<(u32, Node)>>,
    pub(crate) taken: Vec<Taken>,
    pub(crate) members: Vec<Member>,
    pub(crate) from: Option<Timestamp>,
    pub(crate) to: Option<Timestamp>,
}

/// Reads a file; nothing if it is not there.
fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        read => read.map(Some),
    }
}

impl Log {
    /// Reads a log and checks it against its own signatures. Nothing if it is none.
    pub(crate) fn read(folder: &Path, report: &mut Report) -> io::Result<Option<Self>> {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let text = |file: &str| -> io::Result<Option<String>> {
            Ok(read(&folder.join(file))?.and_then(|bytes| String::from_utf8(bytes).ok()))
        };
        let (Some(head), Some(keys)) = (text("checkpoint")?, text("keys")?) else {
            report.open(&name, "incomplete", "its head or its keys are not here");
            return Ok(None);
        };
        let key = keys.lines().next().map(Verifier::parse);
        let (Some(Ok(key)), Ok(note)) = (key, Note::parse(&head)) else {
            report.breaks(&name, None, "form", "its head or its key does not read");
            return Ok(None);
        };
        let Ok(said) = Checkpoint::parse(&note.text) else {
            report.breaks(&name, None, "form", "its head is no checkpoint");
            return Ok(None);
        };
        let (origin, office) = (said.origin.clone(), office_of(&said.origin));
        let Some(office) =
            office.filter(|_| origin.replace('/', "-") == format!("liandong-{name}"))
        else {
            report.breaks(
                &name,
                None,
                "substituted",
                format!("in its place lies the log {origin}"),
            );
            return Ok(None);
        };
        if let Err(bad) = note.verify(std::slice::from_ref(&key)) {
            report.breaks(&origin, None, "head-signature", bad.to_string());
        }
        let mut log = Self {
            origin,
            key,
            office,
            heads: BTreeMap::from([(said.size, note)]),
            leaves: Vec::new(),
            entries: Vec::new(),
            changed: BTreeSet::new(),
            lanes: HashMap::new(),
            taken: Vec::new(),
            members: Vec::new(),
            from: None,
            to: None,
        };
        log.manifest(folder, report)?;
        log.cosigned(&text("cosigned")?.unwrap_or_default(), report);
        log.bundles(folder, said.size, report)?;
        log.roots(report);
        log.walk(report);
        Ok(Some(log))
    }

    /// Whether the files are those that were exported.
    fn manifest(&self, folder: &Path, report: &mut Report) -> io::Result<()> {
        let (said, manifest) = (read(&folder.join("listing"))?, read(&folder.join("manifest"))?);
        let (Some(said), Some(manifest)) = (said, manifest) else {
            report.breaks(
                &self.origin,
                None,
                "manifest",
                "the list of its files, or the note over it, is not here",
            );
            return Ok(());
        };
        let note = String::from_utf8(manifest).ok().and_then(|text| Note::parse(&text).ok());
        let words = format!("{FORM}\n{}\n{}\n", self.origin, Hash::of(&[&said]));
        let good = note.is_some_and(|note| {
            note.text == words && note.verify(std::slice::from_ref(&self.key)).is_ok()
        });
        if !good {
            report.breaks(
                &self.origin,
                None,
                "manifest",
                "the note over the list of its files does not hold",
            );
        }
        let now = listing(folder)?;
        let said = String::from_utf8_lossy(&said).into_owned();
        for line in said.lines().filter(|line| !now.lines().any(|one| one == *line)).take(5) {
            let file = line.split_once(' ').map_or(line, |(_, file)| file);
            report.breaks(&self.origin, None, "file", format!("{file} is changed or gone"));
        }
        for line in now.lines().filter(|line| !said.lines().any(|one| one == *line)).take(5) {
            let file = line.split_once(' ').map_or(line, |(_, file)| file);
            report.breaks(&self.origin, None, "file", format!("{file} is changed or new"));
        }
        Ok(())
    }

    /// Heads that witnesses have cosigned; each is signed by the log too.
    fn cosigned(&mut self, text: &str, report: &mut Report) {
        for line in text.lines() {
            let read: Option<serde_json::Value> = serde_json::from_str(line).ok();
            let note = read.and_then(|line| Note::parse(line["note"].as_str()?).ok());
            let said = note.as_ref().and_then(|note| Checkpoint::parse(&note.text).ok());
            let (Some(note), Some(said)) = (note, said) else {
                report.breaks(&self.origin, None, "cosigned-head", "a cosigned head does not read");
                continue;
            };
            if said.origin != self.origin || note.verify(std::slice::from_ref(&self.key)).is_err() {
                let what =
                    format!("a cosigned head of {} entries is not signed by the log", said.size);
                report.breaks(&self.origin, None, "cosigned-head", what);
                continue;
            }
            match self.heads.get_mut(&said.size) {
                Some(known) if known.text == note.text => {
                    let more = note.lines.into_iter().filter(|line| !known.lines.contains(line));
                    known.lines.extend(more.collect::<Vec<_>>());
                }
                Some(_) => report.breaks(
                    &self.origin,
                    None,
                    "fork",
                    format!("two signed heads of {} entries contradict each other", said.size),
                ),
                None => {
                    self.heads.insert(said.size, note);
                }
            }
        }
    }

    /// The entries, each held against the leaf that was signed for its place.
    fn bundles(&mut self, folder: &Path, size: u64, report: &mut Report) -> io::Result<()> {
        for tile in Tile::all(size).filter(|tile| tile.level == 0) {
            let first = tile.index * WIDTH;
            let path = tile.to_string().replacen("tile/0/", "tile/entries/", 1);
            let (leaves, bundle) =
                (read(&folder.join(tile.to_string()))?, read(&folder.join(&path))?);
            if leaves.is_none() && bundle.is_none() {
                // Whatever size was signed, here it ends.
                return Ok(());
            }
            let (leaves, bytes) = (leaves.unwrap_or_default(), bundle.unwrap_or_default());
            let (leaves, rest) = leaves.as_chunks::<32>();
            if leaves.len() != usize::from(tile.width) || !rest.is_empty() {
                report.breaks(&self.origin, Some(first), "tile", format!("{tile} is not whole"));
            }
            let entries = unbundle(&bytes);
            if entries.as_ref().is_none_or(|entries| entries.len() != usize::from(tile.width)) {
                report.breaks(
                    &self.origin,
                    Some(first),
                    "bundle",
                    format!("{path} has not the {} entries that were signed", tile.width),
                );
            }
            let entries = entries.unwrap_or_default();
            for at in 0..usize::from(tile.width) {
                let index = self.leaves.len() as u64;
                let leaf = entries.get(at).map(|bytes| entry::hash(bytes).0);
                let signed = leaves.get(at).copied();
                if let (Some(leaf), Some(signed)) = (leaf, signed)
                    && leaf != signed
                {
                    self.changed.insert(index);
                    report.breaks(
                        &self.origin,
                        Some(index),
                        "entry",
                        "it is not the entry that was signed",
                    );
                }
                // What was signed goes into the root, so that each error is said once.
                self.leaves.push(signed.or(leaf).unwrap_or_default());
                self.entries.push(entries.get(at).map(|bytes| bytes.to_vec()));
            }
        }
        Ok(())
    }

    /// Every head has the root of as many leaves.
    fn roots(&self, report: &mut Report) {
        let (mut edge, mut good) = (Edge::default(), 0);
        let mut leaves = self.leaves.iter();
        for (size, note) in &self.heads {
            let Ok(said) = Checkpoint::parse(&note.text) else { continue };
            while edge.size() < *size {
                let Some(leaf) = leaves.next() else { break };
                edge.push::<Sha256>(*leaf, |_, _, _| ());
            }
            if edge.size() < *size {
                let detail =
                    format!("a head of {size} entries was signed, and there are {}", edge.size());
                report.breaks(&self.origin, None, "cut", detail);
                return;
            }
            if edge.root::<Sha256>() == said.root {
                good = *size;
                continue;
            }
            let who: Vec<&str> = note.lines.iter().map(ledger::note::Line::name).collect();
            let detail = format!(
                "the head of {size} entries, signed by {}, has another root: something between the entries {good} and {size} is not what was signed",
                who.join(", ")
            );
            report.breaks(&self.origin, Some(good), "root", detail);
            return;
        }
    }

    /// The root of so many leaves, if there are as many.
    pub(crate) fn root_at(&self, size: u64) -> Option<Node> {
        let mut edge = Edge::default();
        for leaf in self.leaves.get(..usize::try_from(size).ok()?)? {
            edge.push::<Sha256>(*leaf, |_, _, _| ());
        }
        Some(edge.root::<Sha256>())
    }

    /// How it stands.
    pub(crate) fn held(&self) -> Held {
        let (entries, witnessed) = (self.leaves.len() as u64, 0);
        Held { entries, witnessed, witnessed_at: None, from: self.from, to: self.to }
    }
}

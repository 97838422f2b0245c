//! One log of an export, held against what it signed.

use std::{
    collections::{BTreeMap, HashMap},
    fs, io,
    path::Path,
};

use domain::directory::Member;
use kernel::{Lane, OfficeId, Timestamp};
use ledger::{
    checkpoint::Checkpoint,
    note::{Note, Verifier},
    tile::WIDTH,
    tree::{Edge, Node, Sha256},
};

use crate::{
    forms::{files, is_file, is_over, made, unbundle, unlisted},
    tiles::{self, Taken},
    verify::{Held, Report, office_of},
    walk::{Received, Walk, is_of_others},
};

/// One log, read once.
pub(crate) struct Log {
    pub(crate) origin: String,
    pub(crate) key: Verifier,
    pub(crate) office: OfficeId,
    /// Heads by size, with every cosignature of each.
    pub(crate) heads: BTreeMap<u64, Note>,
    pub(crate) leaves: Vec<Node>,
    /// The bytes of every so many entries, with their places.
    pub(crate) entries: Vec<(u64, Vec<u8>)>,
    /// The leaf of each counter of each lane, with the life it is of.
    pub(crate) lanes: HashMap<Lane, Vec<(u32, Node)>>,
    pub(crate) taken: Vec<Received>,
    pub(crate) members: Vec<Member>,
    /// When it was exported, by the log's own word.
    pub(crate) made: Option<Timestamp>,
    pub(crate) from: Option<Timestamp>,
    pub(crate) to: Option<Timestamp>,
}

/// Reads a file; nothing if it is not there.
pub(crate) fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        read => read.map(Some),
    }
}

/// Reads a text; nothing if it is not there or is none.
fn text(path: &Path) -> io::Result<Option<String>> {
    Ok(read(path)?.and_then(|bytes| String::from_utf8(bytes).ok()))
}

impl Log {
    /// Reads a log and checks it against its own signatures. Nothing if it is none. The bytes
    /// of every so many entries are kept; nought for none.
    pub(crate) fn read(folder: &Path, every: u64, report: &mut Report) -> io::Result<Option<Self>> {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !folder.is_dir() {
            report.open(&name, "incomplete", "it is no log");
            return Ok(None);
        }
        // What is read is a file: nothing that waits for a writer, nothing from elsewhere.
        if let Some((odd, _)) = files(folder)?.into_iter().find(|(_, path)| !is_file(path)) {
            report.breaks(&name, None, "form", format!("{odd} is neither a file nor a folder"));
            return Ok(None);
        }
        let (head, keys) = (text(&folder.join("checkpoint"))?, text(&folder.join("keys"))?);
        let (Some(head), Some(keys)) = (head, keys) else {
            report.open(&name, "incomplete", "its head or its keys are not here");
            return Ok(None);
        };
        let Some(mut log) = Self::headed(&name, &head, &keys, report) else { return Ok(None) };
        let size = log.heads.keys().next().copied().unwrap_or_default();
        log.manifest(folder, report)?;
        log.cosigned(&text(&folder.join("cosigned"))?.unwrap_or_default(), report);
        let walked = log.bundles(folder, (size, every), report)?;
        log.roots(report);
        for (index, code, detail) in walked {
            report.breaks(&log.origin, Some(index), code, detail);
        }
        Ok(Some(log))
    }

    /// The log that a head says it is, before anything of it was read.
    fn headed(name: &str, head: &str, keys: &str, report: &mut Report) -> Option<Self> {
        let key = keys.lines().next().map(Verifier::parse);
        let (Some(Ok(key)), Ok(note)) = (key, Note::parse(head)) else {
            report.breaks(name, None, "form", "its head or its key does not read");
            return None;
        };
        let Ok(said) = Checkpoint::parse(&note.text) else {
            report.breaks(name, None, "form", "its head is no checkpoint");
            return None;
        };
        let (origin, office) = (said.origin.clone(), office_of(&said.origin));
        let Some(office) =
            office.filter(|_| origin.replace('/', "-") == format!("liandong-{name}"))
        else {
            report.breaks(name, None, "substituted", format!("in its place lies the log {origin}"));
            return None;
        };
        if let Err(bad) = note.verify(std::slice::from_ref(&key)) {
            report.breaks(&origin, None, "head-signature", bad.to_string());
        }
        Some(Self {
            origin,
            key,
            office,
            heads: BTreeMap::from([(said.size, note)]),
            leaves: Vec::new(),
            entries: Vec::new(),
            lanes: HashMap::new(),
            taken: Vec::new(),
            members: Vec::new(),
            made: None,
            from: None,
            to: None,
        })
    }

    /// Whether the files are those that were exported.
    fn manifest(&mut self, folder: &Path, report: &mut Report) -> io::Result<()> {
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
        let note = note.filter(|note| note.verify(std::slice::from_ref(&self.key)).is_ok());
        match note.filter(|note| is_over(&note.text, &self.origin, &said)) {
            Some(note) => self.made = made(&note.text),
            None => report.breaks(
                &self.origin,
                None,
                "manifest",
                "the note over the list of its files does not hold",
            ),
        }
        for what in unlisted(folder, &String::from_utf8_lossy(&said))?.into_iter().take(5) {
            report.breaks(&self.origin, None, "file", what);
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

    /// The entries, each held against the leaf that was signed for its place, and walked; what
    /// the walk found.
    fn bundles(
        &mut self,
        folder: &Path,
        (size, every): (u64, u64),
        report: &mut Report,
    ) -> io::Result<Vec<(u64, &'static str, String)>> {
        let mut walk = Walk::default();
        tiles::each(folder, size, is_of_others, |taken| {
            if taken.signed.is_none() && taken.bundle.is_none() {
                // Whatever size was signed, here it ends.
                return false;
            }
            self.whole(&taken, report);
            self.keep(&taken, every);
            let mut entries = taken.entries.into_iter();
            for at in 0..usize::from(taken.tile.width) {
                let index = self.leaves.len() as u64;
                let (leaf, said) =
                    entries.next().map_or((None, None), |one| (Some(one.leaf), Some(one.said)));
                let signed = taken.signed.as_ref().map(|signed| signed[at]);
                let changed = leaf.zip(signed).is_some_and(|(leaf, signed)| leaf != signed);
                if changed {
                    let what = "it is not the entry that was signed";
                    report.breaks(&self.origin, Some(index), "entry", what);
                }
                // What was signed goes into the root, so that each error is said once.
                self.leaves.push(signed.or(leaf).unwrap_or_default());
                if let Some((said, leaf)) = said.zip(leaf) {
                    walk.take(self, (index, leaf), said, changed);
                }
            }
            true
        })?;
        Ok(walk.found)
    }

    /// A tile has as many leaves, and its bundle as many entries, as were signed.
    fn whole(&self, taken: &Taken, report: &mut Report) {
        let first = Some(taken.tile.index * WIDTH);
        if taken.signed.is_none() {
            report.breaks(&self.origin, first, "tile", format!("{} is not whole", taken.tile));
        }
        if taken.entries.len() != usize::from(taken.tile.width) {
            let path = tiles::bundle_of(&taken.tile);
            let what = format!("{path} has not the {} entries that were signed", taken.tile.width);
            report.breaks(&self.origin, first, "bundle", what);
        }
    }

    /// Keeps the bytes of every so many entries.
    fn keep(&mut self, taken: &Taken, every: u64) {
        let bundle = taken.bundle.as_deref().filter(|_| every > 0);
        for (index, bytes) in
            (taken.tile.index * WIDTH..).zip(bundle.and_then(unbundle).unwrap_or_default())
        {
            if index % every == 0 {
                self.entries.push((index, bytes.to_vec()));
            }
        }
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

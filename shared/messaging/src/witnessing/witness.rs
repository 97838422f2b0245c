//! 见证 The heads of others that this office cosigns: each goes on from the one before, or
//! it is not cosigned.
//!
//! What was cosigned last lies beside the keys and is on the disk before the answer leaves.
//! A witness that lost it needs a new key.

use std::{collections::BTreeMap, fs, io, io::Write, sync::Arc};

use kernel::{OfficeId, clock::wall, note::Note as Word};
use ledger::{
    checkpoint::Checkpoint,
    note::{Bad, Note, Verifier},
    proof::AddCheckpoint,
    witness::{Fork, Judged, Seen, judge},
};

use super::{
    Ledger, Trouble,
    exchange::{news, say},
    log_name,
};
use crate::{
    directory::{DIRECTORY, Entry},
    link::{Failure, Link},
};

/// The file of what was cosigned last, in the key folder.
pub(super) const STATE: &str = "witness.json";

/// Cosigns the heads of others.
#[derive(Debug)]
pub struct Witness {
    ledger: Arc<Ledger>,
    seen: BTreeMap<String, Seen>,
    /// As it is on the disk.
    kept: BTreeMap<String, Seen>,
    /// Heads of each log that others cosigned, the newest by size.
    faces: BTreeMap<String, BTreeMap<u64, Note>>,
    /// Which words were looked at, by their subjects.
    heard: BTreeMap<String, i64>,
}

/// How many heads of one log are remembered to be compared.
const FACES: usize = 8;

impl Witness {
    /// A witness that goes on from what it has cosigned.
    pub fn open(ledger: Arc<Ledger>) -> io::Result<Self> {
        let seen: Option<BTreeMap<String, Seen>> = ledger.keys().read(STATE)?;
        let why =
            "witness.json is gone: what was cosigned is not known, another witness.key is needed";
        let seen = seen.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, why))?;
        let (faces, heard) = (BTreeMap::new(), BTreeMap::new());
        Ok(Self { ledger, kept: seen.clone(), seen, faces, heard })
    }

    /// One turn: every new head that was sent here is answered; how many. What could not be
    /// said is said when its log asks again.
    pub async fn turn(&mut self, link: &dyn Link) -> Result<usize, Failure> {
        let words = self.answers().await.map_err(Failure::other)?;
        say(&self.ledger, link, &words).await?;
        Ok(words.len())
    }

    async fn answers(&mut self) -> Result<Vec<Word>, Trouble> {
        let own = self.ledger.office().setting().office.clone();
        let mut words = Vec::new();
        for word in news(&self.ledger, "at.cp.", &mut self.heard).await? {
            let Word::Checkpoint { by, to, body, key, .. } = word else { continue };
            if to != own {
                continue;
            }
            let mut reader = self.ledger.office().reader().await?;
            let row: Option<Entry> = reader.view(DIRECTORY, by.as_str()).await?;
            drop(reader);
            let life = row.map_or(0, |row| row.member.epoch);
            match self.one(&log_name(&by, life), &body, &key) {
                Ok(seen) => words.push(self.answer(by, seen.as_ref())?),
                Err(trouble) => {
                    tracing::warn!(office = %by, %trouble, "a head that is not sound is not cosigned");
                }
            }
        }
        for word in news(&self.ledger, "at.cs.", &mut self.heard).await? {
            if let Word::Cosigned { head: Some(head), .. } = word {
                self.compare(&head)?;
            }
        }
        if self.seen != self.kept {
            self.ledger.keys().write_json(STATE, &self.seen)?;
            self.kept = self.seen.clone();
        }
        Ok(words)
    }

    /// Judges one head of the log that an office has now: what is cosigned of it.
    fn one(&mut self, origin: &str, body: &str, key: &str) -> Result<Option<Seen>, Trouble> {
        let (key, asked) = (Verifier::parse(key)?, AddCheckpoint::parse(body)?);
        if key.name() != origin {
            return Err(Bad::Key("of another log").into());
        }
        match judge(self.seen.get(origin), &asked, &key)? {
            Judged::GoesOn(_, mut head) => {
                let seconds = u64::try_from(wall().0 / 1000).unwrap_or_default();
                head.lines.push(self.ledger.witness.sign(&head.text, seconds));
                let (key, head) = (key.to_string(), head.to_string());
                self.seen
                    .insert(origin.to_owned(), Seen { key, head: head.clone(), forked: false });
                self.compare(&head)?;
            }
            Judged::Forked(fork) => self.forked(origin, &fork)?,
            Judged::Stale => {}
        }
        Ok(self.seen.get(origin).cloned())
    }

    /// What this office has cosigned of a log, as its answer.
    fn answer(&self, of: OfficeId, seen: Option<&Seen>) -> Result<Word, Trouble> {
        let (by, at) = (self.ledger.office().setting().office.clone(), wall());
        let key = self.ledger.witness.verifier().to_string();
        let head = seen.filter(|seen| !seen.forked).map(|seen| seen.head.clone());
        let size = match &head {
            Some(head) => Checkpoint::parse(&Note::parse(head)?.text)?.size,
            None => 0,
        };
        Ok(Word::Cosigned { by, of, at, size, head, key })
    }

    /// Holds a head that somebody cosigned against those that this office has heard of: a log
    /// that shows two faces to two witnesses is found here.
    fn compare(&mut self, head: &str) -> Result<(), Trouble> {
        let Ok(note) = Note::parse(head) else { return Ok(()) };
        let Ok(said) = Checkpoint::parse(&note.text) else { return Ok(()) };
        let Some(seen) = self.seen.get(&said.origin).filter(|seen| !seen.forked) else {
            return Ok(());
        };
        // What its log has not signed says nothing, and must not stand before what does.
        let key = Verifier::parse(&seen.key)?;
        if note.verify(std::slice::from_ref(&key)).is_err() {
            return Ok(());
        }
        let own = Note::parse(&seen.head)?;
        let faces = self.faces.entry(said.origin.clone()).or_default();
        let known = faces.get(&said.size).into_iter().chain([&own]);
        let fork = known.into_iter().find_map(|known| Fork::of(&key, [known, &note]));
        faces.insert(said.size, note);
        if faces.len() > FACES {
            faces.pop_first();
        }
        match fork {
            Some(fork) => Ok(self.forked(&said.origin, &fork)?),
            None => Ok(()),
        }
    }

    /// Keeps the evidence, and cosigns this log no more.
    fn forked(&mut self, origin: &str, fork: &Fork) -> io::Result<()> {
        tracing::error!(
            log = origin,
            "two signed heads of one log contradict each other: the evidence is kept, and the log is cosigned no more"
        );
        let folder = self.ledger.forks();
        fs::create_dir_all(&folder)?;
        let path = folder.join(format!("{}.fork", origin.replace('/', "-")));
        let beside = path.with_extension("next");
        let mut file = fs::File::create(&beside)?;
        file.write_all(&serde_json::to_vec_pretty(fork)?)?;
        file.sync_all()?;
        fs::rename(beside, path)?;
        if let Some(seen) = self.seen.get_mut(origin) {
            seen.forked = true;
        }
        Ok(())
    }
}

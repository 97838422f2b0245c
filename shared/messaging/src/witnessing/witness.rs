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
    exchange::{kept, say},
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
    /// Which words were answered, by their subjects.
    heard: BTreeMap<String, i64>,
}

/// What is answered, and which words it answers.
type Answers = (Vec<Word>, BTreeMap<String, i64>);

impl Witness {
    /// A witness that goes on from what it has cosigned.
    pub fn open(ledger: Arc<Ledger>) -> io::Result<Self> {
        let seen: Option<BTreeMap<String, Seen>> = ledger.keys().read(STATE)?;
        let why =
            "witness.json is gone: what was cosigned is not known, another witness.key is needed";
        let seen = seen.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, why))?;
        Ok(Self { ledger, kept: seen.clone(), seen, heard: BTreeMap::new() })
    }

    /// One turn: every new head that was sent here is answered; how many.
    pub async fn turn(&mut self, link: &dyn Link) -> Result<usize, Failure> {
        let (words, marks) = self.answers().await.map_err(Failure::other)?;
        let many = words.len();
        say(&self.ledger, link, &words).await?;
        self.heard.extend(marks);
        Ok(many)
    }

    async fn answers(&mut self) -> Result<Answers, Trouble> {
        let own = self.ledger.office().setting().office.clone();
        let (mut words, mut marks) = (Vec::new(), BTreeMap::new());
        let mut reader = self.ledger.office().reader().await?;
        for (word, _) in kept(&self.ledger, "at.cp.").await? {
            let (subject, at) = (word.subject(), word.at().0);
            let Word::Checkpoint { by, to, body, key, .. } = word else { continue };
            if to != own || self.heard.get(&subject).is_some_and(|heard| at <= *heard) {
                continue;
            }
            marks.insert(subject, at);
            let row: Option<Entry> = reader.view(DIRECTORY, by.as_str()).await?;
            let life = row.map_or(0, |row| row.member.epoch);
            match self.one(&log_name(&by, life), &body, &key) {
                Ok(seen) => words.push(self.answer(by, seen.as_ref())?),
                Err(trouble) => {
                    tracing::warn!(office = %by, %trouble, "a head that is not sound is not cosigned");
                }
            }
        }
        drop(reader);
        self.compare().await?;
        if self.seen != self.kept {
            self.ledger.keys().write_json(STATE, &self.seen)?;
            self.kept = self.seen.clone();
        }
        Ok((words, marks))
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
                self.seen.insert(origin.to_owned(), Seen { key, head, forked: false });
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

    /// Holds what this office cosigned against what others say they cosigned: a log that
    /// shows two faces to two witnesses is found here.
    async fn compare(&mut self) -> Result<(), Trouble> {
        let mut heads: BTreeMap<(String, u64), Note> = BTreeMap::new();
        let mut all: Vec<String> = self.seen.values().map(|seen| seen.head.clone()).collect();
        for (word, _) in kept(&self.ledger, "at.cs.").await? {
            if let Word::Cosigned { head, .. } = word {
                all.extend(head);
            }
        }
        for head in all {
            let Ok(note) = Note::parse(&head) else { continue };
            let Ok(said) = Checkpoint::parse(&note.text) else { continue };
            let Some(seen) = self.seen.get(&said.origin).filter(|seen| !seen.forked) else {
                continue;
            };
            let (key, place) = (Verifier::parse(&seen.key)?, (said.origin.clone(), said.size));
            // What its log has not signed says nothing, and must not stand before what does.
            if note.verify(std::slice::from_ref(&key)).is_err() {
                continue;
            }
            let Some(known) = heads.get(&place) else {
                heads.insert(place, note);
                continue;
            };
            if known.text != note.text
                && let Some(fork) = Fork::of(&key, [known, &note])
            {
                self.forked(&said.origin, &fork)?;
            }
        }
        Ok(())
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

//! 记账 The tree of the own log: it follows the log, entry for entry, and signs its heads.

use std::{
    collections::BTreeMap,
    fs, io,
    path::PathBuf,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use event_store::{Office, StoreError, log};
use kernel::entry;
use ledger::{
    book::Book,
    checkpoint::Checkpoint,
    note::{Kind, Note, NoteSigner, Verifier},
};

use super::{log_name, witness::STATE, witness_name};
use crate::keys::Keys;

/// The files with the last head of each life that was signed, in the key folder.
pub const HEAD: &str = "checkpoint-";
/// The file with the key of the witness.
const WITNESS_KEY: &str = "witness.key";

fn head_file(epoch: u32) -> String {
    format!("{HEAD}{epoch}")
}

/// How many entries are read at a time.
const PAGE: usize = 500;

/// Why nothing is signed.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] io::Error),
    /// An entry's bytes are not those of its hash, or not at their place.
    #[error("entry {0} of the log is not what was recorded")]
    Changed(u64),
    /// The log ends before what was signed.
    #[error("the log has {size} entries, and a head with {signed} was signed")]
    Behind {
        /// How many there are.
        size: u64,
        /// How many there were.
        signed: u64,
    },
    /// The log is another one than was signed.
    #[error("the first {0} entries are not those that were signed")]
    Differs(u64),
    /// A later life of the log was signed here: the store is of an earlier one.
    #[error("a head of a later life than {0} was signed")]
    EarlierLife(u32),
    /// A key or a note does not read.
    #[error("{0}")]
    Note(#[from] ledger::note::Bad),
}

#[derive(Debug, Default)]
pub(super) struct Open {
    pub(super) epoch: u32,
    pub(super) book: Option<Book>,
    pub(super) head: Option<(Checkpoint, Note)>,
    /// By size: who cosigned, when.
    pub(super) cosigned: BTreeMap<u64, Vec<(String, u64)>>,
    /// The newest cosigned heads by size, with every cosignature of each.
    pub(super) heads: BTreeMap<u64, Note>,
    pub(super) trouble: Option<String>,
}

/// The ledger of one office.
#[derive(Debug)]
pub struct Ledger {
    office: Office,
    keys: Keys,
    pub(super) folder: PathBuf,
    seed: [u8; 32],
    /// Signs the heads of others.
    pub witness: NoteSigner,
    /// Witnesses that are no offices.
    pub(super) outside: Vec<Verifier>,
    open: Mutex<Open>,
    /// Whether the tiles were made again in this process.
    rebuilt: AtomicBool,
}

impl Ledger {
    /// The ledger of an office, its tiles in `folder`; whose word from `outside` counts too.
    pub fn new(
        office: Office,
        keys: Keys,
        folder: PathBuf,
        outside: Vec<Verifier>,
    ) -> Result<Self, Trouble> {
        let entropy = kernel::Entropy::System;
        let seed = keys.secret("log.key", &entropy)?;
        // A witness that has cosigned nothing yet says so; one that says nothing has forgotten.
        if !keys.folder().join(WITNESS_KEY).exists() {
            keys.write_json(STATE, &serde_json::json!({}))?;
        }
        let name = witness_name(&office.setting().office);
        let witness =
            NoteSigner::of_seed(&name, Kind::Cosignature, &keys.secret(WITNESS_KEY, &entropy)?)?;
        Ok(Self {
            office,
            keys,
            folder,
            seed,
            witness,
            outside,
            open: Mutex::default(),
            rebuilt: AtomicBool::default(),
        })
    }

    pub(super) fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who signs the log of this life.
    pub fn signer(&self, epoch: u32) -> Result<NoteSigner, Trouble> {
        let name = log_name(&self.office.setting().office, epoch);
        Ok(NoteSigner::of_seed(&name, Kind::Note, &self.seed)?)
    }

    /// One turn: takes up what the log has more, and signs it. Whether there is a new head.
    pub async fn turn(&self) -> Result<bool, Trouble> {
        if self.office.refusing().is_some() || !self.office.has_key() {
            return Ok(false);
        }
        let mut done = self.follow().await;
        // Tiles are not synced: before anything is concluded they are made again, once.
        let spoiled = matches!(done, Err(Trouble::Differs(_) | Trouble::File(_)));
        if spoiled && !self.rebuilt.swap(true, Relaxed) {
            let book = self.open().book.take();
            book.map(Book::anew).transpose()?;
            done = self.follow().await;
        }
        self.open().trouble = done.as_ref().err().map(ToString::to_string);
        done
    }

    async fn follow(&self) -> Result<bool, Trouble> {
        let epoch = self.office.life().epoch;
        let mut reader = self.office.reader().await?;
        if self.open().book.is_none() || self.open().epoch != epoch {
            let book = Book::open(&self.folder.join(epoch.to_string()))?;
            let last = match book.size() {
                0 => None,
                size => Some((log::own_at(&mut reader, size).await?, book.leaf(size - 1)?)),
            };
            // Of another copy of the store, or of a log that was cut: made anew.
            let same = last.is_none_or(|(own, leaf)| own.map(|own| own.hash.0) == leaf);
            let book = if same { book } else { book.anew()? };
            *self.open() = Open { epoch, book: Some(book), ..Open::default() };
            for line in self.lines(epoch)? {
                if let Ok(note) = Note::parse(&line.note) {
                    self.open().note(&line.by, line.size, line.seconds, &note);
                }
            }
        }
        loop {
            let size = self.size();
            let more = log::own_after(&mut reader, size, PAGE).await?;
            if more.is_empty() {
                break;
            }
            let mut leaves = Vec::with_capacity(more.len());
            for (own, place) in more.iter().zip(size + 1..) {
                // Read back from the disk, and hashed again.
                let hash = entry::hash(&own.entry);
                if own.sequence != place || hash != own.hash {
                    return Err(Trouble::Changed(place));
                }
                leaves.push(hash.0);
            }
            let mut open = self.open();
            let appended = open.book.as_mut().map_or(Ok(()), |book| book.append(leaves));
            if let Err(error) = appended {
                open.book = None;
                return Err(error.into());
            }
        }
        self.sign(epoch)
    }

    /// How often something was committed: at rest there is nothing to do.
    pub fn commits(&self) -> u64 {
        self.office.commits()
    }

    /// How many entries the tree has.
    pub fn size(&self) -> u64 {
        self.open().book.as_ref().map_or(0, Book::size)
    }

    /// Signs the head, if it goes on from the one that was signed last.
    fn sign(&self, epoch: u32) -> Result<bool, Trouble> {
        let (signer, mut open) = (self.signer(epoch)?, self.open());
        let Open { book: Some(book), head, .. } = &mut *open else { return Ok(false) };
        let origin = log_name(&self.office.setting().office, epoch);
        if head.is_none() {
            let before = self.signed_before(epoch, &origin, &signer.verifier())?;
            if let Some((signed, _)) = &before {
                match book.root_at(signed.size)? {
                    None => return Err(Trouble::Behind { size: book.size(), signed: signed.size }),
                    Some(root) if root != signed.root => return Err(Trouble::Differs(signed.size)),
                    Some(_) => {}
                }
            }
            *head = before;
        }
        if book.size() <= head.as_ref().map_or(0, |(signed, _)| signed.size) {
            return Ok(false);
        }
        let checkpoint = Checkpoint { origin, size: book.size(), root: book.root() };
        let note = checkpoint.signed(&signer);
        self.keys.write(&head_file(epoch), note.to_string().as_bytes())?;
        *head = Some((checkpoint, note));
        Ok(true)
    }

    /// The head of this life that was signed last.
    fn signed_before(
        &self,
        epoch: u32,
        origin: &str,
        by: &Verifier,
    ) -> Result<Option<(Checkpoint, Note)>, Trouble> {
        for file in fs::read_dir(self.keys.folder())? {
            let name = file?.file_name().to_string_lossy().into_owned();
            let later = name.strip_prefix(HEAD).and_then(|life| life.parse().ok());
            if later.is_some_and(|later: u32| later > epoch) {
                return Err(Trouble::EarlierLife(epoch));
            }
        }
        let text = match fs::read_to_string(self.keys.folder().join(head_file(epoch))) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let note = Note::parse(&text)?;
        let checkpoint = Checkpoint::parse(&note.text)?;
        if checkpoint.origin != origin {
            return Err(Trouble::Differs(checkpoint.size));
        }
        note.verify(std::slice::from_ref(by))?;
        Ok(Some((checkpoint, note)))
    }

    /// The newest signed head.
    pub fn head(&self) -> Option<(Checkpoint, Note)> {
        self.open().head.clone()
    }

    /// Runs something with the tree of this life.
    pub fn with<T>(
        &self,
        epoch: u32,
        run: impl FnOnce(&Book) -> io::Result<T>,
    ) -> io::Result<Option<T>> {
        let open = self.open();
        match &open.book {
            Some(book) if open.epoch == epoch => run(book).map(Some),
            _ => Ok(None),
        }
    }

    /// The own office.
    pub(super) const fn office(&self) -> &Office {
        &self.office
    }

    /// The key folder.
    pub(super) const fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Where forks are kept.
    pub fn forks(&self) -> PathBuf {
        self.folder.join("forks")
    }
}

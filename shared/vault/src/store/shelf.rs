//! One shelf of the vault: what is on it, its files, and how it changes.
//!
//! ```text
//! NAME-7.key      the master key: 32 bytes, or sealed under the passphrase
//! NAME-7.sealed   AES-256-GCM(master key 7, everything; turn 0)
//! NAME-7.added    what came since: chance | (length | its complement |
//!                 AES-256-GCM(key of master key 7 and chance, one thing; turn 1, 2 …)) …
//! NAME-7.escrow   the master key for the officers, if this shelf has an escrow
//! ```
//! What a reader would get wrong: the order. A new key and file are on the disk before the
//! old ones go; between them both are there, and the next start finishes the step. A thing
//! that is added is one write and one sync; nothing is ever taken from an added file: to
//! forget, everything else is written under another master key.

use std::{
    fs, io,
    io::Write,
    path::{Path, PathBuf},
};

use kernel::Entropy;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{
    Inside, Kept, Personal, Unkept,
    disk::{
        begin, destroy, line_key, locked, numbers, owners_alone, put, sealed, sync_folder, unlocked,
    },
    reading::{path, read},
};
use crate::{Escrow, OrganPublic, fresh, joined};

/// The parts of a shelf's name, the key first: without it the others are noise.
pub(super) const PARTS: [&str; 4] = ["key", "sealed", "added", "escrow"];

/// One thing that came.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Added {
    /// A scope key.
    Key(String, Zeroizing<[u8; 32]>),
    /// A grant.
    Grant(String, Kept),
    /// An organ's seed.
    Organ(String, Zeroizing<[u8; 32]>),
    /// A person's key.
    Person(String, Personal),
}

impl Inside {
    /// Whether it is here already, in whatever form.
    fn has(&self, what: &Added) -> bool {
        match what {
            Added::Key(name, _) => self.keys.contains_key(name),
            Added::Grant(name, _) => self.grants.contains_key(name),
            Added::Organ(name, _) => self.organs.contains_key(name),
            Added::Person(name, _) => self.persons.contains_key(name),
        }
    }

    pub(super) fn take(&mut self, what: Added) {
        match what {
            Added::Key(name, secret) => drop(self.keys.insert(name, secret)),
            Added::Grant(name, kept) => drop(self.grants.insert(name, kept)),
            Added::Organ(name, seed) => drop(self.organs.insert(name, seed)),
            Added::Person(name, own) => drop(self.persons.insert(name, own)),
        }
    }
}

/// One shelf.
pub(super) struct Shelf {
    folder: PathBuf,
    name: &'static str,
    number: u64,
    master: Zeroizing<[u8; 32]>,
    /// What is on it.
    pub(super) inside: Inside,
    /// Where the next thing is added; nothing until one was, or when a write failed halfway.
    added: Option<Adding>,
}

/// An added file that is written on: its key, and the last turn.
struct Adding {
    file: fs::File,
    key: Zeroizing<[u8; 32]>,
    turn: u64,
}

pub(super) fn bound(name: &str, number: u64) -> Vec<u8> {
    joined(&[b"liandong vault v2", name.as_bytes(), &number.to_be_bytes()])
}

impl Shelf {
    /// Opens it, or begins one. What was added since it was last written whole is written
    /// whole again, so that no turn of a master key is ever used twice.
    pub(super) fn open(
        folder: &Path,
        name: &'static str,
        passphrase: Option<&[u8]>,
        entropy: &Entropy,
    ) -> Result<Self, Unkept> {
        let mut shelf = Self {
            folder: folder.to_owned(),
            name,
            number: 0,
            master: Zeroizing::default(),
            inside: Inside::default(),
            added: None,
        };
        let sealed = numbers(folder, name, "sealed")?;
        let keys = numbers(folder, name, "key")?;
        let whole = sealed.iter().copied().rfind(|number| keys.contains(number));
        // The key is written first and destroyed first, with a later pair in place: a
        // newest file without its key was not left by any stop, and nothing begins anew.
        if let Some(&number) = sealed.last().filter(|newest| whole.is_none_or(|n| n < **newest)) {
            return Err(Unkept::Shut(shelf.path(number, "sealed")));
        }
        let Some(number) = whole else {
            shelf.finish()?;
            return Ok(shelf);
        };
        shelf.number = number;
        for part in PARTS {
            let path = shelf.path(number, part);
            if path.exists() {
                owners_alone(&path)?;
            }
        }
        let shut = || Unkept::Shut(shelf.path(number, "sealed"));
        let key = Zeroizing::new(fs::read(shelf.path(number, "key"))?);
        let master = unlocked(&key, passphrase).ok_or_else(shut)?;
        let (inside, more) = read(folder, name, number, &master)?;
        (shelf.master, shelf.inside) = (master, inside);
        shelf.finish()?;
        if more {
            let inside = shelf.inside.clone();
            shelf.write(inside, passphrase, None, entropy)?;
        }
        Ok(shelf)
    }

    fn path(&self, number: u64, part: &str) -> PathBuf {
        path(&self.folder, self.name, number, part)
    }

    /// Adds one thing; on the disk when this returns. What is replaced does not stay: then
    /// everything is written whole.
    pub(super) fn add(
        &mut self,
        what: Added,
        passphrase: Option<&[u8]>,
        entropy: &Entropy,
    ) -> Result<(), Unkept> {
        let fits = self.number > 0 && !self.inside.has(&what);
        let adding = if fits { self.adding(entropy)? } else { None };
        let Some(Adding { mut file, key, turn }) = adding else {
            let mut inside = self.inside.clone();
            inside.take(what);
            return self.write(inside, passphrase, None, entropy);
        };
        let plain = Zeroizing::new(serde_json::to_vec(&what).map_err(io::Error::other)?);
        let one = sealed(&key, turn + 1, &bound(self.name, self.number), &plain)?;
        let length = u32::try_from(one.len()).map_err(io::Error::other)?;
        let header = [length.to_be_bytes(), (!length).to_be_bytes()].concat();
        file.write_all(&[header, one].concat())?;
        file.sync_data()?;
        // Until here a failure leaves no file to go on with: the next thing is written whole.
        self.added = Some(Adding { file, key, turn: turn + 1 });
        self.inside.take(what);
        Ok(())
    }

    /// The file to add to; whoever has it, puts it back when all went well. None if one is
    /// there that was left by a write that failed.
    fn adding(&mut self, entropy: &Entropy) -> Result<Option<Adding>, Unkept> {
        if let Some(open) = self.added.take() {
            return Ok(Some(open));
        }
        let Ok(mut file) = begin(&self.path(self.number, "added")) else { return Ok(None) };
        let chance = entropy.bytes16();
        let key = line_key(&self.master, &chance)?;
        file.write_all(&chance)?;
        Ok(Some(Adding { file, key, turn: 0 }))
    }

    /// Writes everything under a fresh master key and destroys the one before. What did
    /// not come to the disk, is not kept. With `escrow` the officers get the master key,
    /// too, from now on and at each later writing.
    pub(super) fn write(
        &mut self,
        mut inside: Inside,
        passphrase: Option<&[u8]>,
        escrow: Option<OrganPublic>,
        entropy: &Entropy,
    ) -> Result<(), Unkept> {
        inside.escrow = escrow.map(|key| key.0).or(inside.escrow);
        let (number, master) = (self.number + 1, Zeroizing::new(fresh(entropy)));
        if let Err(error) = self.put_whole(number, &master, &inside, passphrase, entropy) {
            // Nothing half of it stays: a backup would take it for the newest.
            let _ = self.finish();
            return Err(error);
        }
        (self.number, self.master, self.inside, self.added) = (number, master, inside, None);
        self.finish()
    }

    fn put_whole(
        &self,
        number: u64,
        master: &[u8; 32],
        inside: &Inside,
        passphrase: Option<&[u8]>,
        entropy: &Entropy,
    ) -> Result<(), Unkept> {
        let plain = Zeroizing::new(serde_json::to_vec(inside).map_err(io::Error::other)?);
        let whole = sealed(master, 0, &bound(self.name, number), &plain)?;
        if let Some(key) = inside.escrow {
            let escrow = Escrow::of(master, &OrganPublic(key), &bound(self.name, number))
                .ok_or_else(|| io::Error::other("escrow key"))?;
            put(&self.path(number, "escrow"), &escrow.0)?;
        }
        put(&self.path(number, "key"), &locked(master, passphrase, entropy)?)?;
        put(&self.path(number, "sealed"), &whole)
    }

    /// Finishes what a stop interrupted: of two shelves the older one goes, and one that
    /// was begun and is not whole never counted.
    pub(super) fn finish(&self) -> Result<(), Unkept> {
        for part in PARTS {
            for other in numbers(&self.folder, self.name, part)? {
                if other != self.number {
                    destroy(&self.path(other, part))?;
                }
            }
        }
        sync_folder(&self.folder)
    }
}

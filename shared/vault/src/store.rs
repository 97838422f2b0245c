//! 密钥库 The vault: scope keys, grants, organs' and persons' keys; the one place that can
//! forget.
//!
//! It lies in the key folder, outside data and backups, on two shelves. `vault` has what
//! organs need to read what they hold, and may have an escrow. `apart` has what is given
//! to nobody, not even to the officers of an escrow: the keys of complainants' identities
//! and of persons' signatures.

mod disk;
mod reading;
mod shelf;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use kernel::{
    Entropy,
    sign::{EventKey, Hash, PublicKey},
};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::{
    Grant, OrganKey, OrganPublic, PersonalKey, Scope, ScopeKey, Share, Signer, escrow, fresh,
};
use disk::{alone, locked, owners_alone, unlocked};
use shelf::{Added, PARTS, Shelf};

/// Why the store does not open, or does not keep.
#[derive(Debug, Error)]
pub enum Unkept {
    /// Others could read it, or it is a link to somewhere else.
    #[error("{0}: 密钥库须仅本人可读,且不得为链接 / must be its owner's alone, and no link")]
    Lax(PathBuf),
    /// The passphrase is another one, or the file was changed.
    #[error(
        "{0}: 密钥库打不开:口令不符或文件已被改动 / does not open: another passphrase, or it was changed"
    )]
    Shut(PathBuf),
    /// Another process has it.
    #[error("{0}: 密钥库正由另一进程使用 / is in use by another process")]
    InUse(PathBuf),
    /// Something is kept here already.
    #[error("{0}: 此处已有密钥库,不覆盖 / there is a vault already; it is not written over")]
    Taken(PathBuf),
    /// The disk.
    #[error("{0}")]
    Disk(#[from] io::Error),
}

/// A grant that lies here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    scope: Scope,
    bytes: Vec<u8>,
}

/// A person's key, sealed under what only the person knows.
#[derive(Clone, Serialize, Deserialize)]
struct Personal {
    key: PublicKey,
    sealed: Vec<u8>,
}

#[derive(Clone, Default, Serialize, Deserialize)]
struct Inside {
    keys: BTreeMap<String, Zeroizing<[u8; 32]>>,
    grants: BTreeMap<String, Kept>,
    #[serde(default)]
    organs: BTreeMap<String, Zeroizing<[u8; 32]>>,
    #[serde(default)]
    persons: BTreeMap<String, Personal>,
    /// The public half of the escrow's key.
    #[serde(default)]
    escrow: Option<[u8; 32]>,
    /// Escrows that were asked for, by the request, until one of them counts.
    #[serde(default)]
    asked: BTreeMap<String, Asked>,
    /// Shares that their officers have not written down yet.
    #[serde(default)]
    shares: BTreeMap<String, Zeroizing<String>>,
}

/// An escrow that was asked for.
#[derive(Clone, Serialize, Deserialize)]
struct Asked {
    key: [u8; 32],
    shares: BTreeMap<String, Zeroizing<String>>,
}

/// The vault of one office.
pub struct Vault {
    passphrase: Option<Zeroizing<Vec<u8>>>,
    entropy: Entropy,
    held: Mutex<Shelf>,
    apart: Mutex<Shelf>,
    /// Kept as long as the vault is open: nobody else changes its files.
    _alone: File,
}

const HELD: &str = "vault";
const APART: &str = "apart";

impl Vault {
    /// Opens the vault in a key folder, or begins one there. With a passphrase the master
    /// keys lie sealed under it.
    pub fn open(folder: &Path, passphrase: Option<&[u8]>) -> Result<Self, Unkept> {
        owners_alone(folder)?;
        Self::open_alone(folder, passphrase, alone(folder)?)
    }

    fn open_alone(folder: &Path, passphrase: Option<&[u8]>, lock: File) -> Result<Self, Unkept> {
        let entropy = Entropy::System;
        let shelf = |name| Shelf::open(folder, name, passphrase, &entropy).map(Mutex::new);
        let (held, apart) = (shelf(HELD)?, shelf(APART)?);
        let passphrase = passphrase.map(|text| Zeroizing::new(text.to_vec()));
        Ok(Self { passphrase, entropy, held, apart, _alone: lock })
    }

    fn held(&self) -> MutexGuard<'_, Shelf> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn apart(&self) -> MutexGuard<'_, Shelf> {
        self.apart.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The shelf of a scope: what belongs to one person lies apart.
    fn of(&self, scope: &Scope) -> MutexGuard<'_, Shelf> {
        match scope {
            Scope::Subject(..) => self.apart(),
            Scope::Case(..) => self.held(),
        }
    }

    fn passphrase(&self) -> Option<&[u8]> {
        self.passphrase.as_deref().map(Vec::as_slice)
    }

    fn add(&self, shelf: &mut Shelf, what: Added) -> Result<(), Unkept> {
        shelf.add(what, self.passphrase(), &self.entropy)
    }

    fn change(&self, shelf: &mut Shelf, with: impl FnOnce(&mut Inside)) -> Result<(), Unkept> {
        let mut inside = shelf.inside.clone();
        with(&mut inside);
        shelf.write(inside, self.passphrase(), None, &self.entropy)
    }

    /// Keeps a scope key; on the disk when this returns.
    pub fn keep(&self, key: &ScopeKey) -> Result<(), Unkept> {
        let secret = Zeroizing::new(*key.secret());
        let mut shelf = self.of(key.scope());
        self.add(&mut shelf, Added::Key(key.scope().to_string(), secret))
    }

    /// A scope key, if it is kept.
    pub fn key(&self, scope: &Scope) -> Option<ScopeKey> {
        let secret = self.of(scope).inside.keys.get(&scope.to_string()).cloned();
        secret.map(|secret| ScopeKey::of(scope.clone(), *secret))
    }

    /// Keeps a grant under its id.
    pub fn keep_grant(&self, id: &str, scope: &Scope, grant: &Grant) -> Result<(), Unkept> {
        let kept = Kept { scope: scope.clone(), bytes: grant.to_bytes().to_vec() };
        self.add(&mut self.of(scope), Added::Grant(id.to_owned(), kept))
    }

    /// A grant, if it is kept.
    pub fn grant(&self, id: &str) -> Option<Grant> {
        let of = |shelf: &Shelf| Grant::of(&shelf.inside.grants.get(id)?.bytes);
        let held = of(&self.held());
        held.or_else(|| of(&self.apart()))
    }

    /// All grants that are kept, by their ids: for whoever proves what still opens.
    pub fn grants(&self) -> Vec<(String, Grant)> {
        let of = |shelf: &Shelf| -> Vec<(String, Grant)> {
            let kept = shelf.inside.grants.iter();
            kept.filter_map(|(id, kept)| Some((id.clone(), Grant::of(&kept.bytes)?))).collect()
        };
        let held = of(&self.held());
        [held, of(&self.apart())].concat()
    }

    /// An organ's sealing key, made at the first call.
    pub fn organ(&self, organ: &str) -> Result<OrganKey, Unkept> {
        let mut shelf = self.held();
        if let Some(seed) = shelf.inside.organs.get(organ) {
            return Ok(OrganKey::of_seed(seed));
        }
        let seed = Zeroizing::new(fresh(&self.entropy));
        let key = OrganKey::of_seed(&seed);
        self.add(&mut shelf, Added::Organ(organ.to_owned(), seed))?;
        Ok(key)
    }

    /// Makes a person's signing key in place of the one before, sealed under a password
    /// that is kept nowhere.
    pub fn make_person(&self, person: &str, password: &str) -> Result<PublicKey, Unkept> {
        let seed = Zeroizing::new(fresh(&self.entropy));
        let key = EventKey::from_seed(&*seed).ok_or_else(|| io::Error::other("seed"))?.public();
        let sealed = locked(&seed, Some(password.as_bytes()), &self.entropy)?.to_vec();
        let personal = Personal { key, sealed };
        self.add(&mut self.apart(), Added::Person(person.to_owned(), personal))?;
        Ok(key)
    }

    /// A person's signing key, opened by the password; nothing if there is none, or it is
    /// another password.
    pub fn person(&self, person: &str, password: &str) -> Option<PersonalKey> {
        let personal = self.apart().inside.persons.get(person)?.clone();
        let seed = unlocked(&personal.sealed, Some(password.as_bytes()))?;
        PersonalKey::of_seed(&seed).filter(|key| key.public() == personal.key)
    }

    /// The persons whose keys lie here, with the public halves.
    pub fn persons(&self) -> Vec<(String, PublicKey)> {
        let shelf = self.apart();
        shelf.inside.persons.iter().map(|(who, own)| (who.clone(), own.key)).collect()
    }

    /// Forgets a person's key, for ever.
    pub fn forget_person(&self, person: &str) -> Result<(), Unkept> {
        self.change(&mut self.apart(), |inside| drop(inside.persons.remove(person)))
    }

    /// Forgets scope keys and every grant of them, for ever: what is left is written under
    /// another master key, and the one before it is destroyed. Whether there was anything.
    pub fn forget(&self, scopes: &[Scope]) -> Result<bool, Unkept> {
        let held = self.forget_on(&mut self.held(), scopes)?;
        Ok(self.forget_on(&mut self.apart(), scopes)? || held)
    }

    fn forget_on(&self, shelf: &mut Shelf, scopes: &[Scope]) -> Result<bool, Unkept> {
        let named: BTreeSet<String> = scopes.iter().map(Scope::to_string).collect();
        let mut inside = shelf.inside.clone();
        inside.keys.retain(|name, _| !named.contains(name));
        inside.grants.retain(|_, kept| !named.contains(&kept.scope.to_string()));
        let count = |inside: &Inside| inside.keys.len() + inside.grants.len();
        if count(&inside) == count(&shelf.inside) {
            // It may be that an earlier forgetting did not come to its end.
            shelf.finish()?;
            return Ok(false);
        }
        shelf.write(inside, self.passphrase(), None, &self.entropy)?;
        Ok(true)
    }

    /// Makes an escrow that counts from [`Self::begin_escrow`] on: its key. The same request
    /// makes one. Nothing unless two at least and all at most are needed.
    pub fn prepare_escrow(
        &self,
        request: &str,
        officers: &[String],
        needed: u8,
    ) -> Result<Option<OrganPublic>, Unkept> {
        let mut apart = self.apart();
        if let Some(asked) = apart.inside.asked.get(request) {
            return Ok(Some(OrganPublic(asked.key)));
        }
        let Some((key, shares)) = escrow::split(needed, officers.len(), &self.entropy) else {
            return Ok(None);
        };
        // Who holds the shelf of the escrow, has no use for shares: they lie apart.
        let texts = shares.iter().map(Share::to_text);
        let asked = Asked { key: key.0, shares: officers.iter().cloned().zip(texts).collect() };
        self.change(&mut apart, |inside| drop(inside.asked.insert(request.to_owned(), asked)))?;
        Ok(Some(key))
    }

    /// Lets an escrow that was prepared count in place of the one before: each officer takes
    /// a share by [`Self::share`]. Whether there is such a one.
    pub fn begin_escrow(&self, key: &OrganPublic) -> Result<bool, Unkept> {
        if self.escrow() == Some(*key) {
            return Ok(true);
        }
        let mut apart = self.apart();
        let asked = apart.inside.asked.values().find(|asked| asked.key == key.0).cloned();
        let Some(asked) = asked else { return Ok(false) };
        self.change(&mut apart, |inside| inside.shares = asked.shares)?;
        let mut held = self.held();
        let inside = held.inside.clone();
        held.write(inside, self.passphrase(), Some(*key), &self.entropy)?;
        // A stop before this leaves papers of no use to anybody, until the next begins.
        self.change(&mut apart, |inside| inside.asked.clear())?;
        Ok(true)
    }

    /// An officer's share that was not written down yet.
    pub fn share(&self, officer: &str) -> Option<Share> {
        Share::parse(self.apart().inside.shares.get(officer)?)
    }

    /// Forgets a share that its officer has on paper.
    pub fn forget_share(&self, officer: &str, written: &Hash) -> Result<(), Unkept> {
        if self.share(officer).is_none_or(|share| share.fingerprint() != *written) {
            return Ok(());
        }
        self.change(&mut self.apart(), |inside| drop(inside.shares.remove(officer)))
    }

    /// The public half of the escrow's key, if there is an escrow.
    pub fn escrow(&self) -> Option<OrganPublic> {
        self.held().inside.escrow.map(OrganPublic)
    }

    /// The files that an escrow needs, to be copied with a backup of the keys: without the
    /// officers they open nothing. None without an escrow.
    pub fn escrowed(folder: &Path) -> Result<Vec<PathBuf>, Unkept> {
        if !folder.exists() {
            return Ok(Vec::new());
        }
        let Some(number) = reading::escrowed(folder, HELD)? else {
            // One that is begun just now, or broken, is no reason to copy nothing.
            let begun = !disk::numbers(folder, HELD, "escrow")?.is_empty();
            let why = || Unkept::Shut(folder.join(format!("{HELD}.escrow")));
            return if begun { Err(why()) } else { Ok(Vec::new()) };
        };
        let parts = ["escrow", "sealed", "added"];
        let files = parts.map(|part| folder.join(format!("{HELD}-{number}.{part}")));
        Ok(files.into_iter().filter(|file| file.exists()).collect())
    }

    /// Makes a vault in an empty folder of what the officers' key opens in copied files:
    /// how many scope keys and grants there are in it. It has no escrow until one is begun.
    pub fn recover(
        copied: &Path,
        key: &OrganKey,
        folder: &Path,
        passphrase: Option<&[u8]>,
    ) -> Result<usize, Unkept> {
        owners_alone(folder)?;
        let lock = alone(folder)?;
        for (shelf, part) in [HELD, APART].into_iter().flat_map(|s| PARTS.map(|part| (s, part))) {
            if !disk::numbers(folder, shelf, part)?.is_empty() {
                return Err(Unkept::Taken(folder.to_owned()));
            }
        }
        let mut inside = reading::recovered(copied, HELD, key)?;
        // Its shares were typed where others could see them: another one is to be begun.
        inside.escrow = None;
        let vault = Self::open_alone(folder, passphrase, lock)?;
        let count = inside.grants.len() + inside.keys.len();
        vault.held().write(inside, vault.passphrase(), None, &vault.entropy)?;
        Ok(count)
    }
}

#[cfg(test)]
mod tests;

//! 密钥库 The store of scope keys and grants: the one place that can forget.
//!
//! ```text
//! vault-7.key      32 bytes, or salt | Argon2id(passphrase)-sealed 32 bytes
//! vault-7.sealed   AES-256-GCM(master key 7, everything; number)
//! ```
//! It lies in the key folder, outside data and backups, and is written anew and whole at
//! each change: a key that was forgotten stands in no page of it. To forget, everything
//! else is written under another master key, and the master key before it is destroyed;
//! whatever copy of the old file there may be, opens no more.
//!
//! What a reader would get wrong: the order. The new key and file are on the disk before
//! the old ones go; between them both are there, and the next start finishes the step.

use std::{
    collections::BTreeMap,
    fs, io,
    io::Write,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use argon2::Argon2;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use kernel::{
    Entropy,
    sign::{EventKey, PublicKey},
};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::{Grant, OrganKey, PersonalKey, Scope, ScopeKey, Signer, fresh, joined};

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
}

#[derive(Default)]
struct State {
    number: u64,
    inside: Inside,
}

/// The store of one office or organ.
pub struct Vault {
    folder: PathBuf,
    passphrase: Option<Zeroizing<Vec<u8>>>,
    entropy: Entropy,
    state: Mutex<State>,
}

impl Vault {
    /// Opens the store in a key folder, or begins one there. With a passphrase the master
    /// key lies sealed under it.
    pub fn open(folder: &Path, passphrase: Option<&[u8]>) -> Result<Self, Unkept> {
        owners_alone(folder)?;
        let passphrase = passphrase.map(|text| Zeroizing::new(text.to_vec()));
        let mut whole = numbers(folder, "sealed")?;
        let keys = numbers(folder, "key")?;
        let sealed = whole.last().copied();
        whole.retain(|number| keys.contains(number));
        // The key is written first and destroyed first, with a later pair in place: a
        // newest file without its key was not left by any stop, and nothing begins anew.
        if let Some(number) = sealed.filter(|newest| whole.last().is_none_or(|n| n < newest)) {
            return Err(Unkept::Shut(folder.join(format!("vault-{number}.sealed"))));
        }
        let entropy = Entropy::System;
        let state = match whole.last() {
            Some(&number) => read(folder, number, passphrase.as_deref().map(Vec::as_slice))?,
            // A sealed file without its key is one that was to be forgotten.
            None => State::default(),
        };
        let vault =
            Self { folder: folder.to_owned(), passphrase, entropy, state: Mutex::new(state) };
        vault.finish()?;
        Ok(vault)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a scope key; on the disk when this returns.
    pub fn keep(&self, key: &ScopeKey) -> Result<(), Unkept> {
        let name = key.scope().to_string();
        let secret = Zeroizing::new(*key.secret());
        self.change(|inside| drop(inside.keys.insert(name, secret)))
    }

    /// A scope key, if it is kept.
    pub fn key(&self, scope: &Scope) -> Option<ScopeKey> {
        let secret = self.state().inside.keys.get(&scope.to_string()).cloned();
        secret.map(|secret| ScopeKey::of(scope.clone(), *secret))
    }

    /// Keeps a grant under its id.
    pub fn keep_grant(&self, id: &str, scope: &Scope, grant: &Grant) -> Result<(), Unkept> {
        let kept = Kept { scope: scope.clone(), bytes: grant.to_bytes().to_vec() };
        self.change(|inside| drop(inside.grants.insert(id.to_owned(), kept)))
    }

    /// A grant, if it is kept.
    pub fn grant(&self, id: &str) -> Option<Grant> {
        let state = self.state();
        let kept = state.inside.grants.get(id)?;
        Grant::of(&kept.bytes)
    }

    /// An organ's sealing key, made at the first call.
    pub fn organ(&self, organ: &str) -> Result<OrganKey, Unkept> {
        if let Some(seed) = self.state().inside.organs.get(organ) {
            return Ok(OrganKey::of_seed(seed));
        }
        let seed = Zeroizing::new(fresh(&self.entropy));
        self.change(|inside| {
            inside.organs.entry(organ.to_owned()).or_insert(seed);
        })?;
        self.organ(organ)
    }

    /// Makes a person's signing key in place of the one before, sealed under a password
    /// that is kept nowhere.
    pub fn make_person(&self, person: &str, password: &str) -> Result<PublicKey, Unkept> {
        let seed = Zeroizing::new(fresh(&self.entropy));
        let key = EventKey::from_seed(&*seed).ok_or_else(|| io::Error::other("seed"))?.public();
        let sealed = locked(&seed, Some(password.as_bytes()), &self.entropy)?.to_vec();
        let personal = Personal { key, sealed };
        self.change(|inside| drop(inside.persons.insert(person.to_owned(), personal)))?;
        Ok(key)
    }

    /// A person's signing key, opened by the password; nothing if there is none, or it is
    /// another password.
    pub fn person(&self, person: &str, password: &str) -> Option<PersonalKey> {
        let personal = self.state().inside.persons.get(person)?.clone();
        let seed = unlocked(&personal.sealed, Some(password.as_bytes()))?;
        PersonalKey::of_seed(&seed).filter(|key| key.public() == personal.key)
    }

    /// The persons whose keys lie here, with the public halves.
    pub fn persons(&self) -> Vec<(String, PublicKey)> {
        let state = self.state();
        state.inside.persons.iter().map(|(who, own)| (who.clone(), own.key)).collect()
    }

    /// Forgets a person's key, for ever.
    pub fn forget_person(&self, person: &str) -> Result<(), Unkept> {
        self.change(|inside| drop(inside.persons.remove(person)))
    }

    /// Forgets a scope key and every grant of it, for ever: what is left is written under
    /// another master key, and the one before it is destroyed. Whether there was anything.
    pub fn forget(&self, scope: &Scope) -> Result<bool, Unkept> {
        let mut state = self.state();
        let mut inside = state.inside.clone();
        let had_key = inside.keys.remove(&scope.to_string()).is_some();
        inside.grants.retain(|_, kept| kept.scope != *scope);
        if !had_key && inside.grants.len() == state.inside.grants.len() {
            // It may be that an earlier forgetting did not come to its end.
            remove_before(&self.folder, state.number)?;
            return Ok(false);
        }
        self.write(&mut state, inside)?;
        Ok(true)
    }

    fn change(&self, with: impl FnOnce(&mut Inside)) -> Result<(), Unkept> {
        let mut state = self.state();
        let mut inside = state.inside.clone();
        with(&mut inside);
        self.write(&mut state, inside)
    }

    /// Writes everything under a fresh master key and destroys the one before. What did
    /// not come to the disk, is not kept.
    fn write(&self, state: &mut State, inside: Inside) -> Result<(), Unkept> {
        let (number, master) = (state.number + 1, Zeroizing::new(fresh(&self.entropy)));
        let plain = Zeroizing::new(serde_json::to_vec(&inside).map_err(io::Error::other)?);
        let sealed = sealed(&master, number, &plain)?;
        let key = locked(&master, self.passphrase.as_deref().map(Vec::as_slice), &self.entropy)?;
        put(&self.folder, &format!("vault-{number}.key"), &key)?;
        put(&self.folder, &format!("vault-{number}.sealed"), &sealed)?;
        *state = State { number, inside };
        remove_before(&self.folder, number)
    }

    /// Finishes what a stop interrupted: of two stores the older one goes.
    fn finish(&self) -> Result<(), Unkept> {
        let number = self.state().number;
        remove_before(&self.folder, number)?;
        // Begun and not whole: it never counted.
        for half in ["key", "sealed"] {
            for later in numbers(&self.folder, half)?.into_iter().filter(|n| *n > number) {
                destroy(&self.folder.join(format!("vault-{later}.{half}")))?;
            }
        }
        Ok(())
    }
}

/// Refuses a folder or file that others can read, and links.
fn owners_alone(path: &Path) -> Result<(), Unkept> {
    let is = fs::symlink_metadata(path)?;
    if is.file_type().is_symlink() || is.mode() & 0o077 != 0 {
        return Err(Unkept::Lax(path.to_owned()));
    }
    Ok(())
}

/// The numbers of `vault-N.half` in a folder, in their order.
fn numbers(folder: &Path, half: &str) -> Result<Vec<u64>, Unkept> {
    let mut all = Vec::new();
    for file in fs::read_dir(folder)? {
        let name = file?.file_name().to_string_lossy().into_owned();
        let number = name.strip_prefix("vault-").and_then(|rest| rest.strip_suffix(half));
        all.extend(number.and_then(|number| number.strip_suffix('.')?.parse::<u64>().ok()));
    }
    all.sort_unstable();
    Ok(all)
}

fn read(folder: &Path, number: u64, passphrase: Option<&[u8]>) -> Result<State, Unkept> {
    let path = |half: &str| folder.join(format!("vault-{number}.{half}"));
    for half in ["key", "sealed"] {
        owners_alone(&path(half))?;
    }
    let shut = || Unkept::Shut(path("sealed"));
    let master = unlocked(&Zeroizing::new(fs::read(path("key"))?), passphrase).ok_or_else(shut)?;
    let plain = opened(&master, number, &fs::read(path("sealed"))?).ok_or_else(shut)?;
    let inside = serde_json::from_slice(&plain).map_err(|_| shut())?;
    Ok(State { number, inside })
}

/// A file that only its owner reads, whole or not there.
fn put(folder: &Path, name: &str, bytes: &[u8]) -> Result<(), Unkept> {
    let (path, next) = (folder.join(name), folder.join(format!("{name}.next")));
    let _ = fs::remove_file(&next);
    let mut options = fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(&next)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&next, &path)?;
    fs::File::open(folder)?.sync_all()?;
    Ok(())
}

fn remove_before(folder: &Path, number: u64) -> Result<(), Unkept> {
    // The key first: without it the file is noise.
    for half in ["key", "sealed"] {
        for old in numbers(folder, half)?.into_iter().filter(|old| *old < number) {
            destroy(&folder.join(format!("vault-{old}.{half}")))?;
        }
    }
    Ok(fs::File::open(folder)?.sync_all()?)
}

/// Writes over a file and removes it. What a disk keeps of it beneath, no program reaches:
/// that is why the master key changes with it.
fn destroy(path: &Path) -> Result<(), Unkept> {
    let length = usize::try_from(fs::metadata(path)?.len()).unwrap_or(0);
    let mut file = fs::OpenOptions::new().write(true).open(path)?;
    file.write_all(&vec![0; length])?;
    file.sync_all()?;
    Ok(fs::remove_file(path)?)
}

fn cipher(key: &[u8; 32]) -> Result<LessSafeKey, Unkept> {
    let key = UnboundKey::new(&AES_256_GCM, key).map_err(io::Error::other)?;
    Ok(LessSafeKey::new(key))
}

fn number_aad(number: u64) -> Vec<u8> {
    joined(&[b"liandong vault v1", &number.to_be_bytes()])
}

/// Each master key seals one file only, so that its nonce is nought.
fn sealed(master: &[u8; 32], number: u64, plain: &[u8]) -> Result<Vec<u8>, Unkept> {
    let mut inside = plain.to_vec();
    let once = Nonce::assume_unique_for_key([0; 12]);
    cipher(master)?
        .seal_in_place_append_tag(once, Aad::from(number_aad(number)), &mut inside)
        .map_err(io::Error::other)?;
    Ok(inside)
}

fn opened(master: &[u8; 32], number: u64, bytes: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut inside = Zeroizing::new(bytes.to_vec());
    let once = Nonce::assume_unique_for_key([0; 12]);
    let opened =
        cipher(master).ok()?.open_in_place(once, Aad::from(number_aad(number)), &mut inside);
    let length = opened.ok()?.len();
    inside.truncate(length);
    Some(inside)
}

const SALT: usize = 16;

fn of_passphrase(passphrase: &[u8], salt: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
    let mut key = Zeroizing::new([0; 32]);
    Argon2::default().hash_password_into(passphrase, salt, &mut *key).ok()?;
    Some(key)
}

fn locked(
    master: &[u8; 32],
    passphrase: Option<&[u8]>,
    entropy: &Entropy,
) -> Result<Zeroizing<Vec<u8>>, Unkept> {
    let Some(passphrase) = passphrase else { return Ok(Zeroizing::new(master.to_vec())) };
    let salt = entropy.bytes16();
    let key = of_passphrase(passphrase, &salt).ok_or_else(|| io::Error::other("passphrase"))?;
    let mut all = Zeroizing::new(salt.to_vec());
    all.extend_from_slice(&sealed(&key, 0, master)?);
    Ok(all)
}

fn unlocked(bytes: &[u8], passphrase: Option<&[u8]>) -> Option<Zeroizing<[u8; 32]>> {
    let plain = match passphrase {
        None => Zeroizing::new(bytes.to_vec()),
        Some(passphrase) => {
            let (salt, inside) = bytes.split_at_checked(SALT)?;
            opened(&*of_passphrase(passphrase, salt)?, 0, inside)?
        }
    };
    plain.as_slice().try_into().ok().map(Zeroizing::new)
}

#[cfg(test)]
mod tests;

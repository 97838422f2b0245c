//! The files of a store: private, whole or not there, and gone when they are to be gone.

use std::{
    fs, io,
    io::Write,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use argon2::Params;
use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    hkdf::{HKDF_SHA256, KeyType, Salt},
};
use kernel::Entropy;
use zeroize::Zeroizing;

use super::Unkept;
use crate::slow::argon2id;

/// Refuses a folder or file that others can read, and links.
pub(super) fn owners_alone(path: &Path) -> Result<(), Unkept> {
    let is = fs::symlink_metadata(path)?;
    if is.file_type().is_symlink() || is.mode() & 0o077 != 0 {
        return Err(Unkept::Lax(path.to_owned()));
    }
    Ok(())
}

/// The numbers of `NAME-N.part` in a folder, in their order.
pub(super) fn numbers(folder: &Path, name: &str, part: &str) -> Result<Vec<u64>, Unkept> {
    let mut all = Vec::new();
    for file in fs::read_dir(folder)? {
        let file = file?.file_name().to_string_lossy().into_owned();
        let rest = file.strip_prefix(name).and_then(|rest| rest.strip_prefix('-'));
        let number = rest.and_then(|rest| rest.strip_suffix(part)?.strip_suffix('.'));
        all.extend(number.and_then(|number| number.parse::<u64>().ok()));
    }
    all.sort_unstable();
    Ok(all)
}

/// A file that only its owner reads, whole or not there.
pub(super) fn put(path: &Path, bytes: &[u8]) -> Result<(), Unkept> {
    let mut next = path.as_os_str().to_owned();
    next.push(".next");
    let next = PathBuf::from(next);
    let _ = fs::remove_file(&next);
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&next)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&next, path)?;
    sync_folder(path.parent().unwrap_or(path))
}

/// A new private file to write at the end of.
pub(super) fn begin(path: &Path) -> Result<fs::File, Unkept> {
    let mut options = fs::OpenOptions::new();
    let file = options.append(true).create_new(true).mode(0o600).open(path)?;
    sync_folder(path.parent().unwrap_or(path))?;
    Ok(file)
}

/// A folder for one process alone, as long as this is kept.
pub(super) fn alone(folder: &Path) -> Result<fs::File, Unkept> {
    let lock = fs::File::open(folder)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(_) => Err(Unkept::InUse(folder.to_owned())),
    }
}

/// What is in the folder, is on the disk.
pub(super) fn sync_folder(folder: &Path) -> Result<(), Unkept> {
    Ok(fs::File::open(folder)?.sync_all()?)
}

/// Writes over a file and removes it. What a disk keeps of it beneath, no program reaches:
/// that is why the master key changes with it.
pub(super) fn destroy(path: &Path) -> Result<(), Unkept> {
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

/// Each master key seals with each `turn` once only: the turn is the nonce.
fn nonce(turn: u64) -> Nonce {
    let mut bytes = [0; 12];
    bytes[4..].copy_from_slice(&turn.to_be_bytes());
    Nonce::assume_unique_for_key(bytes)
}

/// Seals bytes under a master key, as its `turn`-th.
pub(super) fn sealed(
    master: &[u8; 32],
    turn: u64,
    bound: &[u8],
    plain: &[u8],
) -> Result<Vec<u8>, Unkept> {
    // With room for the tag: what is in the clear is written over in its place.
    let mut inside = Vec::with_capacity(plain.len() + AES_256_GCM.tag_len());
    inside.extend_from_slice(plain);
    cipher(master)?
        .seal_in_place_append_tag(nonce(turn), Aad::from(bound), &mut inside)
        .map_err(io::Error::other)?;
    Ok(inside)
}

/// Opens what was sealed so.
pub(super) fn opened(
    master: &[u8; 32],
    turn: u64,
    bound: &[u8],
    bytes: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    let mut inside = Zeroizing::new(bytes.to_vec());
    let opened = cipher(master).ok()?.open_in_place(nonce(turn), Aad::from(bound), &mut inside);
    let length = opened.ok()?.len();
    inside.truncate(length);
    Some(inside)
}

/// The key of what is added in one life of a process: 32 bytes that follow from the
/// master key and from chance, so that a folder that was put back repeats no nonce.
pub(super) fn line_key(master: &[u8; 32], chance: &[u8]) -> Result<Zeroizing<[u8; 32]>, Unkept> {
    struct Bytes32;
    impl KeyType for Bytes32 {
        fn len(&self) -> usize {
            32
        }
    }
    let mut key = Zeroizing::new([0; 32]);
    let follows = Salt::new(HKDF_SHA256, chance).extract(master);
    let filled =
        follows.expand(&[b"liandong vault added v1"], Bytes32).and_then(|k| k.fill(&mut *key));
    filled.map_err(io::Error::other)?;
    Ok(key)
}

/// The bytes of chance before sealed ones.
pub(super) const SALT: usize = 16;
const LOCKED: &[u8] = b"liandong vault key v1";

fn of_passphrase(passphrase: &[u8], salt: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
    let mut key = Zeroizing::new([0; 32]);
    argon2id(passphrase, salt, Params::DEFAULT, &mut *key)?;
    Some(key)
}

/// 32 bytes, sealed under a passphrase if there is one: `salt | sealed`.
pub(super) fn locked(
    secret: &[u8; 32],
    passphrase: Option<&[u8]>,
    entropy: &Entropy,
) -> Result<Zeroizing<Vec<u8>>, Unkept> {
    let Some(passphrase) = passphrase else { return Ok(Zeroizing::new(secret.to_vec())) };
    let salt = entropy.bytes16();
    let key = of_passphrase(passphrase, &salt).ok_or_else(|| io::Error::other("passphrase"))?;
    let mut all = Zeroizing::new(salt.to_vec());
    all.extend_from_slice(&sealed(&key, 0, LOCKED, secret)?);
    Ok(all)
}

/// Takes them out again.
pub(super) fn unlocked(bytes: &[u8], passphrase: Option<&[u8]>) -> Option<Zeroizing<[u8; 32]>> {
    let plain = match passphrase {
        None => Zeroizing::new(bytes.to_vec()),
        Some(passphrase) => {
            let (salt, inside) = bytes.split_at_checked(SALT)?;
            opened(&*of_passphrase(passphrase, salt)?, 0, LOCKED, inside)?
        }
    };
    plain.as_slice().try_into().ok().map(Zeroizing::new)
}

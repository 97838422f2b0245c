//! Sealed parts: one content, sealed once, for one place.
//!
//! ```text
//! part key   32 fresh bytes, used once
//! header     suite, scope, size, SHA-256 of the ciphertext,
//!            commitment = HKDF(part key, "commit"),
//!            wrap = nonce(12) | AES-256-GCM(scope key, part key; scope)
//! ciphertext AES-256-GCM(HKDF(part key, "seal"), len(4) | content | 0…; place)
//! ```
//! The nonce of the content is nought: its key seals nothing else. The length is hidden
//! in buckets, so that a short answer and a long one look alike within one.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    constant_time::verify_slices_are_equal,
    hkdf::{HKDF_SHA256, KeyType, Salt},
};
use kernel::{
    Entropy, EntryRef,
    sealed::{SealedPart, Suite, WRAPPED, Wrap},
    sign::Hash,
};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::{Scope, ScopeKey, fresh, joined};

/// The largest content of one part, in bytes.
pub const LARGEST: usize = 20 * 1024 * 1024;
/// The length before the content, and the tag behind it.
const FRAME: usize = 4;
const TAG: usize = 16;

/// Where a part belongs; it opens nowhere else.
#[derive(Clone, Debug)]
pub struct Place<'a> {
    /// The entry that holds its header.
    pub entry: &'a EntryRef,
    /// Which part of the entry: `content`, `identity`.
    pub part: &'a str,
}

impl Place<'_> {
    fn bytes(&self, suite: Suite) -> Vec<u8> {
        let entry = self.entry.to_string();
        let words = ["liandong part v1", suite.as_str(), &entry, self.part];
        joined(&words.map(str::as_bytes))
    }
}

/// Why a part does not open.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Broken {
    /// Longer than a part may be.
    #[error("too-large")]
    TooLarge,
    /// The ciphertext has another length.
    #[error("part-truncated")]
    Truncated,
    /// It is another ciphertext.
    #[error("part-swapped")]
    Swapped,
    /// The scope key is another one, or the wrap was changed.
    #[error("part-wrong-key")]
    WrongKey,
    /// The wrap holds another part key than the one that was committed to.
    #[error("part-rekeyed")]
    Rekeyed,
    /// It was sealed for another place, or by another hand.
    #[error("part-moved")]
    Moved,
}

struct Bytes32;

impl KeyType for Bytes32 {
    fn len(&self) -> usize {
        32
    }
}

/// One purpose's bytes of a part key.
fn derived(
    part_key: &[u8; 32],
    suite: Suite,
    purpose: &str,
) -> Result<Zeroizing<[u8; 32]>, Broken> {
    let words = ["liandong part key v1", suite.as_str(), purpose].map(str::as_bytes);
    let mut bytes = Zeroizing::new([0; 32]);
    Salt::new(HKDF_SHA256, b"")
        .extract(part_key)
        .expand(&words, Bytes32)
        .and_then(|derived| derived.fill(&mut *bytes))
        .map_err(|_| Broken::WrongKey)?;
    Ok(bytes)
}

fn cipher(key: &[u8; 32]) -> Result<LessSafeKey, Broken> {
    UnboundKey::new(&AES_256_GCM, key).map(LessSafeKey::new).map_err(|_| Broken::WrongKey)
}

fn wrap_aad(scope: &Scope, suite: Suite) -> Vec<u8> {
    joined(&["liandong wrap v1", suite.as_str(), &scope.to_string()].map(str::as_bytes))
}

/// The size of a bucket that holds so many bytes: powers of two up to 64 KiB, then whole
/// multiples of it.
fn bucket(size: usize) -> usize {
    const SMALLEST: usize = 256;
    const STEP: usize = 64 * 1024;
    if size <= STEP { size.next_power_of_two().max(SMALLEST) } else { size.next_multiple_of(STEP) }
}

/// Seals a content for a place: the header for the entry, the ciphertext to lie beside it.
pub fn seal(
    place: &Place<'_>,
    key: &ScopeKey,
    content: &[u8],
    entropy: &Entropy,
) -> Result<(SealedPart, Vec<u8>), Broken> {
    let suite = Suite::Intl1;
    let length = u32::try_from(content.len()).map_err(|_| Broken::TooLarge)?;
    if content.len() > LARGEST {
        return Err(Broken::TooLarge);
    }
    let part_key = Zeroizing::new(fresh(entropy));
    let mut inside = Vec::with_capacity(bucket(content.len() + FRAME) + TAG);
    inside.extend_from_slice(&length.to_be_bytes());
    inside.extend_from_slice(content);
    inside.resize(bucket(content.len() + FRAME), 0);
    let once = Nonce::assume_unique_for_key([0; 12]);
    cipher(&*derived(&part_key, suite, "seal")?)?
        .seal_in_place_append_tag(once, Aad::from(place.bytes(suite)), &mut inside)
        .map_err(|_| Broken::TooLarge)?;
    let commitment = Hash(*derived(&part_key, suite, "commit")?);
    let wrap = wrapped(key, suite, &part_key, entropy)?;
    let (scope, size, hash) = (key.scope().clone(), inside.len() as u64, Hash::of(&[&inside]));
    Ok((SealedPart { suite, scope, size, hash, commitment, wrap }, inside))
}

fn wrapped(
    key: &ScopeKey,
    suite: Suite,
    part_key: &[u8; 32],
    entropy: &Entropy,
) -> Result<Wrap, Broken> {
    let mut nonce = [0; 12];
    nonce.copy_from_slice(&entropy.bytes16()[..12]);
    let mut inside = part_key.to_vec();
    cipher(key.secret())?
        .seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(wrap_aad(key.scope(), suite)),
            &mut inside,
        )
        .map_err(|_| Broken::WrongKey)?;
    let mut wrap = [0; WRAPPED];
    wrap[..12].copy_from_slice(&nonce);
    wrap[12..].copy_from_slice(&inside);
    Ok(Wrap(wrap))
}

fn unwrapped(header: &SealedPart, key: &ScopeKey) -> Result<Zeroizing<[u8; 32]>, Broken> {
    if *key.scope() != header.scope {
        return Err(Broken::WrongKey);
    }
    let (nonce, inside) = header.wrap.0.split_at(12);
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Broken::WrongKey)?;
    let mut inside = Zeroizing::new(inside.to_vec());
    let opened = cipher(key.secret())?
        .open_in_place(nonce, Aad::from(wrap_aad(&header.scope, header.suite)), &mut inside)
        .map_err(|_| Broken::WrongKey)?;
    let opened: [u8; 32] = (&*opened).try_into().map_err(|_| Broken::WrongKey)?;
    Ok(Zeroizing::new(opened))
}

/// Opens a part at its place.
pub fn open(
    place: &Place<'_>,
    key: &ScopeKey,
    header: &SealedPart,
    ciphertext: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Broken> {
    if ciphertext.len() as u64 != header.size || ciphertext.len() > bucket(LARGEST + FRAME) + TAG {
        return Err(Broken::Truncated);
    }
    if Hash::of(&[ciphertext]) != header.hash {
        return Err(Broken::Swapped);
    }
    let part_key = unwrapped(header, key)?;
    let commitment = derived(&part_key, header.suite, "commit")?;
    verify_slices_are_equal(&*commitment, &header.commitment.0).map_err(|_| Broken::Rekeyed)?;
    let mut inside = Zeroizing::new(ciphertext.to_vec());
    let once = Nonce::assume_unique_for_key([0; 12]);
    let opened = cipher(&*derived(&part_key, header.suite, "seal")?)?
        .open_in_place(once, Aad::from(place.bytes(header.suite)), &mut inside)
        .map_err(|_| Broken::Moved)?;
    let (length, rest) = opened.split_at_checked(FRAME).ok_or(Broken::Moved)?;
    let length = u32::from_be_bytes(length.try_into().map_err(|_| Broken::Moved)?);
    let length = usize::try_from(length).map_err(|_| Broken::Moved)?;
    rest.get(..length).map(|content| Zeroizing::new(content.to_vec())).ok_or(Broken::Moved)
}

#[cfg(test)]
mod tests;

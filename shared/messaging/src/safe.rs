//! The safe: own entries at the hub, as ciphertext for their origin alone.
//!
//! Sealing is a pure function of the entry and two keys, so that an entry sent
//! again after the hub forgot it has the same bytes and the same hash. The nonce
//! is derived from the recovery key and the entry's hash and never used for two
//! different entries.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use kernel::{
    EntryRef,
    entry::{self, Form, Malformed},
    sign::{EventKey, Hash},
};
use serde::{Deserialize, Serialize};

/// What everybody may read of a sealed entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cover {
    /// Its place in its origin's log.
    pub at: EntryRef,
    /// The leaf hash of the entry inside.
    pub hash: Hash,
}

/// Seals an entry under the recovery key and signs the result.
pub fn seal(
    bytes: &[u8],
    cover: &Cover,
    recovery: &[u8; 32],
    key: &EventKey,
) -> Result<Vec<u8>, Malformed> {
    let head = serde_json::to_vec(cover).map_err(|error| Malformed::Payload(error.to_string()))?;
    let length = u16::try_from(head.len()).map_err(|_| Malformed::Shape("cover"))?;
    let mut inside = bytes.to_vec();
    aead(recovery)?
        .seal_in_place_append_tag(nonce(recovery, &cover.hash), Aad::from(&head), &mut inside)
        .map_err(|_| Malformed::Shape("sealing failed"))?;
    let payload = [&length.to_be_bytes()[..], &head, &inside].concat();
    entry::seal(Form::Sealed, &payload, key)
}

/// Reads the cover of a sealed payload.
pub fn cover(payload: &[u8]) -> Result<(Cover, &[u8], &[u8]), Malformed> {
    let short = || Malformed::Shape("cover");
    let length: [u8; 2] = payload.get(..2).and_then(|b| b.try_into().ok()).ok_or_else(short)?;
    let length = usize::from(u16::from_be_bytes(length));
    let head = payload.get(2..2 + length).ok_or_else(short)?;
    let cover =
        serde_json::from_slice(head).map_err(|error| Malformed::Payload(error.to_string()))?;
    Ok((cover, head, &payload[2 + length..]))
}

/// Opens a sealed payload: the entry inside, which has the hash on the cover.
pub fn open(payload: &[u8], recovery: &[u8; 32]) -> Result<Vec<u8>, Malformed> {
    let (cover, head, inside) = cover(payload)?;
    let mut inside = inside.to_vec();
    let opened = aead(recovery)?
        .open_in_place(nonce(recovery, &cover.hash), Aad::from(head), &mut inside)
        .map_err(|_| Malformed::Shape("does not open"))?;
    if entry::hash(opened) != cover.hash {
        return Err(Malformed::Shape("another entry is inside"));
    }
    Ok(opened.to_vec())
}

fn aead(recovery: &[u8; 32]) -> Result<LessSafeKey, Malformed> {
    let key = UnboundKey::new(&AES_256_GCM, recovery).map_err(|_| Malformed::Shape("key"))?;
    Ok(LessSafeKey::new(key))
}

fn nonce(recovery: &[u8; 32], hash: &Hash) -> Nonce {
    let derived = Hash::of(&[b"liandong safe nonce v1", recovery, &hash.0]);
    let mut nonce = [0; 12];
    nonce.copy_from_slice(&derived.0[..12]);
    Nonce::assume_unique_for_key(nonce)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_entry_is_always_the_same_and_opens_for_its_origin_alone() {
        let key = EventKey::from_seed(&[1; 32]).unwrap();
        let bytes = entry::seal(Form::Event, b"{\"secret\":1}", &key).unwrap();
        let at = EntryRef::parse("dddddddd/1/7").unwrap();
        let cover = Cover { at, hash: entry::hash(&bytes) };
        let sealed = seal(&bytes, &cover, &[2; 32], &key).unwrap();
        assert_eq!(sealed, seal(&bytes, &cover, &[2; 32], &key).unwrap());
        assert!(!sealed.windows(6).any(|w| w == b"secret"));
        let parts = entry::open(&sealed).unwrap();
        assert!(parts.is_signed_by(&key.public()));
        assert_eq!(open(parts.payload, &[2; 32]).unwrap(), bytes);
        assert!(open(parts.payload, &[3; 32]).is_err());
    }
}

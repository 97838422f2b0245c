//! Event keys: Ed25519, and the leaf hash over an entry.

use std::{
    collections::BTreeMap,
    fmt, io,
    sync::{Arc, PoisonError, RwLock},
};

use aws_lc_rs::{
    digest::{Context as Digest, SHA256},
    signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey},
};
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// SHA-256 over the bytes that its maker says.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// SHA-256 of `parts`, one after the other.
    pub fn of(parts: &[&[u8]]) -> Self {
        let mut digest = Digest::new(&SHA256);
        for part in parts {
            digest.update(part);
        }
        let mut hash = [0; 32];
        hash.copy_from_slice(digest.finish().as_ref());
        Self(hash)
    }

    /// SHA-256 of all that is read, and how many bytes that was.
    pub fn of_all(mut from: impl io::Read) -> io::Result<(u64, Self)> {
        let mut digest = Digest::new(&SHA256);
        let (mut size, mut part) = (0, vec![0; 128 * 1024]);
        loop {
            let read = from.read(&mut part)?;
            if read == 0 {
                break;
            }
            digest.update(&part[..read]);
            size += read as u64;
        }
        let mut hash = [0; 32];
        hash.copy_from_slice(digest.finish().as_ref());
        Ok((size, Self(hash)))
    }

    /// The RFC 6962 leaf hash of an entry: SHA-256(0x00 || entry).
    pub fn leaf(entry: &[u8]) -> Self {
        Self::of(&[&[0], entry])
    }

    /// Reads 64 lower-case hexadecimal digits: one hash has one spelling.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != 64 || !text.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f')) {
            return None;
        }
        let mut hash = [0; 32];
        for (byte, at) in hash.iter_mut().zip((0..64).step_by(2)) {
            *byte = u8::from_str_radix(&text[at..at + 2], 16).ok()?;
        }
        Some(Self(hash))
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom("a hash has 64 hexadecimal digits"))
    }
}

/// An Ed25519 public key of 32 bytes, written in base64.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PublicKey(pub [u8; 32]);

/// A key's name in an entry: the first 8 bytes of the SHA-256 of its public half.
pub type KeyId = [u8; 8];

/// The `y` of every point of small order on Ed25519, little endian, without the sign of `x`.
const SMALL_ORDER: [[u8; 32]; 7] = {
    const fn ends(first: u8, between: u8, last: u8) -> [u8; 32] {
        let mut bytes = [between; 32];
        (bytes[0], bytes[31]) = (first, last);
        bytes
    }
    [
        ends(0, 0, 0),
        ends(1, 0, 0),
        // The two of order eight.
        [
            0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef,
            0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88,
            0x6d, 0x53, 0xfc, 0x05,
        ],
        [
            0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10,
            0x67, 0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77,
            0x92, 0xac, 0x03, 0x7a,
        ],
        // The prime less one, the prime, and the prime and one.
        ends(0xec, 0xff, 0x7f),
        ends(0xed, 0xff, 0x7f),
        ends(0xee, 0xff, 0x7f),
    ]
};

impl PublicKey {
    /// The key's name in an entry.
    pub fn id(&self) -> KeyId {
        let mut id = [0; 8];
        id.copy_from_slice(&Hash::of(&[&self.0]).0[..8]);
        id
    }

    /// Whether it is a point of small order: under such a key a signature that nobody made
    /// holds. There are seven by their `y`, two of them written otherwise than they should be.
    pub fn is_weak(&self) -> bool {
        let mut y = self.0;
        y[31] &= 0x7f;
        SMALL_ORDER.contains(&y)
    }

    /// Whether `signature` is this key's over `message`.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        !self.is_weak()
            && UnparsedPublicKey::new(&ED25519, &self.0).verify(message, signature).is_ok()
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64.encode(self.0))
    }
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64.encode(self.0))
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        let bytes = BASE64.decode(text.as_bytes()).map_err(D::Error::custom)?;
        bytes.try_into().map(Self).map_err(|_| D::Error::custom("a public key has 32 bytes"))
    }
}

/// An Ed25519 signature of 64 bytes, written in base64.
#[derive(Clone, PartialEq, Eq)]
pub struct Signature(pub Vec<u8>);

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64.encode(&self.0))
    }
}

impl Serialize for Signature {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Signature {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        BASE64.decode(text.as_bytes()).map(Self).map_err(D::Error::custom)
    }
}

/// The key with which an office signs its entries and notes.
pub struct EventKey {
    pair: Ed25519KeyPair,
    public: PublicKey,
}

impl EventKey {
    /// The key of a 32-byte seed; `None` if the seed has another length.
    pub fn from_seed(seed: &[u8]) -> Option<Self> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).ok()?;
        let public = PublicKey(pair.public_key().as_ref().try_into().ok()?);
        Some(Self { pair, public })
    }

    /// The public half.
    pub const fn public(&self) -> PublicKey {
        self.public
    }

    /// Signs `message`: 64 bytes, the same every time.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.pair.sign(message).as_ref().to_vec()
    }
}

impl fmt::Debug for EventKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventKey({:?})", self.public)
    }
}

/// An office's own keys: the one that signs now, earlier ones for what they signed,
/// and the public halves of those that were lost.
#[derive(Debug)]
pub struct Ring(RwLock<Keys>);

#[derive(Debug)]
struct Keys {
    now: Arc<EventKey>,
    here: BTreeMap<KeyId, Arc<EventKey>>,
    lost: BTreeMap<KeyId, PublicKey>,
}

impl Ring {
    /// The ring of an office that has had one key so far.
    pub fn of(first: EventKey) -> Self {
        let now = Arc::new(first);
        let here = BTreeMap::from([(now.public().id(), now.clone())]);
        Self(RwLock::new(Keys { now, here, lost: BTreeMap::new() }))
    }

    /// Adds a key that may sign once the log turns to it, or did before.
    pub fn add(&self, key: EventKey) {
        let mut keys = self.0.write().unwrap_or_else(PoisonError::into_inner);
        keys.here.insert(key.public().id(), Arc::new(key));
    }

    /// Adds the public half of a key that is lost.
    pub fn add_lost(&self, key: PublicKey) {
        let mut keys = self.0.write().unwrap_or_else(PoisonError::into_inner);
        keys.lost.insert(key.id(), key);
    }

    /// The key that signs now.
    pub fn now(&self) -> Arc<EventKey> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).now.clone()
    }

    /// Makes another key the one that signs now; `false` if it is not here.
    pub fn turn_to(&self, key: &KeyId) -> bool {
        let mut keys = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let found = keys.here.get(key).cloned();
        let is_here = found.is_some();
        if let Some(found) = found {
            keys.now = found;
        }
        is_here
    }

    /// The key of this name, if it is here.
    pub fn by(&self, key: &KeyId) -> Option<Arc<EventKey>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).here.get(key).cloned()
    }

    /// The public half of an own key, be it here or lost.
    pub fn public_of(&self, key: &KeyId) -> Option<PublicKey> {
        let keys = self.0.read().unwrap_or_else(PoisonError::into_inner);
        keys.here.get(key).map(|key| key.public()).or_else(|| keys.lost.get(key).copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The signature of the neutral point and nought holds under such keys for any message.
    #[test]
    fn nothing_is_signed_by_a_weak_key() {
        let mut neutral = [0; 32];
        neutral[0] = 1;
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(&neutral);
        let forged = UnparsedPublicKey::new(&ED25519, &neutral).verify(b"any", &signature);
        assert!(forged.is_ok(), "the library takes it");
        assert!(!PublicKey(neutral).verifies(b"any", &signature));
        assert!(!EventKey::from_seed(&[7; 32]).unwrap().public().is_weak());
    }

    #[test]
    fn a_signature_holds_for_its_key_and_message_only() {
        let key = EventKey::from_seed(&[7; 32]).unwrap();
        let other = EventKey::from_seed(&[8; 32]).unwrap();
        let signature = key.sign(b"fact");
        assert!(key.public().verifies(b"fact", &signature));
        assert!(!key.public().verifies(b"fakt", &signature));
        assert!(!other.public().verifies(b"fact", &signature));
        assert_eq!(signature, key.sign(b"fact"));
    }

    #[test]
    fn a_leaf_is_hashed_as_rfc_6962_says() {
        let empty = "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d";
        assert_eq!(Hash::leaf(b"").to_string(), empty);
        assert_eq!(Hash::parse(empty), Some(Hash::leaf(b"")));
    }
}

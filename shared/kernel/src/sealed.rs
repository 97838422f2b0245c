//! What an entry says of a content that it does not hold: how a sealed part is named.
//!
//! The forms only; who seals and opens, is the vault. A header hides nothing by itself: it
//! must not say more than the size, the hash and which key would open the content.

use std::{borrow::Cow, fmt};

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::sign::Hash;

/// A wrapped part key: a nonce, 32 bytes, a tag.
pub const WRAPPED: usize = 12 + 32 + 16;

/// Which algorithms; one that is not known is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Suite {
    /// SHA-256, HKDF-SHA256, AES-256-GCM; HPKE with X25519, HKDF-SHA256, ChaCha20-Poly1305.
    #[serde(rename = "intl-1")]
    Intl1,
}

impl Suite {
    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Intl1 => "intl-1",
        }
    }
}

/// The name of a scope key: whose it is, and which epoch of it. Each change of who may
/// read opens a new epoch; what was sealed before stays with the old one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Of a case: `case:ID#1`.
    Case(String, u32),
    /// Of one person's identity: `subject:ID#1`.
    Subject(String, u32),
}

impl Scope {
    /// Reads the written form.
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, rest) = text.split_once(':')?;
        let (id, epoch) = rest.rsplit_once('#')?;
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if !(1..=120).contains(&id.len()) || !id.chars().all(plain) {
            return None;
        }
        let number: u32 = epoch.parse().ok().filter(|number| *number > 0)?;
        // One spelling: no sign, no leading nought.
        if number.to_string() != epoch {
            return None;
        }
        match kind {
            "case" => Some(Self::Case(id.to_owned(), number)),
            "subject" => Some(Self::Subject(id.to_owned(), number)),
            _ => None,
        }
    }

    /// The epoch after it.
    #[must_use]
    pub fn next(&self) -> Self {
        match self {
            Self::Case(id, epoch) => Self::Case(id.clone(), epoch + 1),
            Self::Subject(id, epoch) => Self::Subject(id.clone(), epoch + 1),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Case(id, epoch) => write!(f, "case:{id}#{epoch}"),
            Self::Subject(id, epoch) => write!(f, "subject:{id}#{epoch}"),
        }
    }
}

impl Serialize for Scope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Scope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom("a scope is case:ID#N or subject:ID#N"))
    }
}

/// What the entry says of a part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SealedPart {
    /// With what.
    pub suite: Suite,
    /// Under which scope key.
    pub scope: Scope,
    /// The size of the ciphertext, in bytes.
    pub size: u64,
    /// Its SHA-256; its name beside the entry.
    pub hash: Hash,
    /// Of which part key, so that one ciphertext never opens in two ways.
    pub commitment: Hash,
    /// The part key under the scope key.
    pub wrap: Wrap,
}

/// A wrapped part key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrap(pub [u8; WRAPPED]);

impl Serialize for Wrap {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64.encode(self.0))
    }
}

impl<'de> Deserialize<'de> for Wrap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        let bytes = BASE64.decode(text.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or_else(|| D::Error::custom("a wrapped key is 60 bytes in base64"))
    }
}

/// A ciphertext that stands in the entry itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ciphertext(pub Vec<u8>);

impl Serialize for Ciphertext {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Ciphertext {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        let bytes = BASE64.decode(text.as_bytes());
        bytes.map(Self).map_err(|_| D::Error::custom("a ciphertext is in base64"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_has_one_spelling() {
        for text in ["case:dddddddd-7#1", "subject:x#4294967295"] {
            assert_eq!(Scope::parse(text).unwrap().to_string(), text);
        }
        for text in [
            "",
            "case",
            "case:x",
            "case:#1",
            "case:x#0",
            "case:x#01",
            "case:x#+1",
            "case:x y#1",
            "person:x#1",
            "case:x#4294967296",
        ] {
            assert_eq!(Scope::parse(text), None, "{text}");
        }
        assert_eq!(Scope::parse("case:x#1").unwrap().next().to_string(), "case:x#2");
    }
}

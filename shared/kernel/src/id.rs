//! Who an office is, and how one entry is named.
//!
//! An office id is opaque. Division codes and names are dated attributes of an
//! office and never keys: 即墨市 370282 became 即墨区 370215 and stayed one office.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::spelled::spelled;

/// The id of an office: exactly 8 lower-case letters and digits.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OfficeId([u8; 8]);

impl OfficeId {
    /// Reads an id; `None` unless it has exactly 8 characters of `[a-z0-9]`.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; 8] = text.as_bytes().try_into().ok()?;
        bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()).then_some(Self(bytes))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for OfficeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for OfficeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for OfficeId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for OfficeId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        spelled(deserializer, "an office id is 8 of [a-z0-9]", Self::parse)
    }
}

/// The tier of an office in the tree.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// 市
    City,
    /// 区县
    District,
    /// 镇街
    Township,
}

impl Tier {
    /// The tier as it is written in configuration and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::City => "city",
            Self::District => "district",
            Self::Township => "township",
        }
    }

    /// The tier that an office of this tier reports to.
    pub const fn parent(self) -> Option<Self> {
        match self {
            Self::City => None,
            Self::District => Some(Self::City),
            Self::Township => Some(Self::District),
        }
    }
}

/// The name of one entry: whose log, which life of it, which place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryRef {
    /// The office whose log it is.
    pub origin: OfficeId,
    /// The life of that log, from 1.
    pub epoch: u32,
    /// The dense place in that log, from 1.
    pub sequence: u64,
}

impl EntryRef {
    /// Reads `origin/epoch/sequence`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('/');
        let origin = OfficeId::parse(parts.next()?)?;
        let epoch = parts.next()?.parse().ok()?;
        let sequence = parts.next()?.parse().ok()?;
        parts.next().is_none().then_some(Self { origin, epoch, sequence })
    }
}

impl fmt::Display for EntryRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.origin, self.epoch, self.sequence)
    }
}

impl Serialize for EntryRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for EntryRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        spelled(deserializer, "an entry is origin/epoch/sequence", Self::parse)
    }
}

/// The office that owns a stream: the 8 characters behind the family's slash.
///
/// `finding/d1d1d1d1-x7` is owned by `d1d1d1d1`; no other office may extend it.
pub fn stream_owner(stream: &str) -> Option<OfficeId> {
    let (_, id) = stream.split_once('/')?;
    if id.len() > 8 && id.as_bytes().get(8) != Some(&b'-') {
        return None;
    }
    OfficeId::parse(id.get(..8)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_office_id_has_eight_lower_case_letters_and_digits() {
        assert!(OfficeId::parse("ab12cd34").is_some());
        for bad in ["", "ab12cd3", "ab12cd345", "AB12cd34", "ab12-d34", "巡察办"] {
            assert!(OfficeId::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_stream_names_its_owner() {
        assert_eq!(stream_owner("finding/ab12cd34-x"), OfficeId::parse("ab12cd34"));
        assert_eq!(stream_owner("office/ab12cd34"), OfficeId::parse("ab12cd34"));
        assert_eq!(stream_owner("finding/ab12cd34x"), None);
        assert_eq!(stream_owner("ab12cd34"), None);
    }
}

//! One file on its way: a signed cover and what it covers.
//!
//! ```text
//! parcel := (u32 length, item)*        the first item is the cover, a signed note
//! item   := kind(1 byte) | bytes       e entry or sealed entry, n note, p paper, b own entry given back
//! ```
//! The cover has the SHA-256 of everything behind it, so that a parcel is taken
//! whole or not at all.

use domain::office::turns;
use kernel::{
    Fact, OfficeId, Timestamp, Turn,
    entry::{self, Form, Malformed, Parts},
    sign::{EventKey, Hash, PublicKey},
};
use serde::{Deserialize, Serialize};

use crate::keys::SentUpTo;

/// The largest parcel, in bytes.
pub const MAX_PARCEL: usize = 512 * 1024 * 1024;

/// That a signed note is a parcel's cover and nothing else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The cover of a parcel.
    #[default]
    Parcel,
}

/// What the sender says of a parcel and of what it has taken in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cover {
    /// Always `parcel`.
    pub note: Kind,
    /// Who sends it.
    pub by: OfficeId,
    /// To whom.
    pub to: OfficeId,
    /// When, by the machine's clock.
    pub at: Timestamp,
    /// The sender's count of parcels to this addressee, from 1.
    pub number: u64,
    /// The SHA-256 of all that follows the cover.
    pub digest: Hash,
    /// The number of the last parcel of the addressee that the sender has taken in.
    pub taken: u64,
    /// By the city: what the hub holds of the addressee's log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<SentUpTo>,
    /// By the city: the parcel holds what lies between these stream sequences, the
    /// first excluded. By an office: up to the second it has taken everything.
    pub reach: (u64, u64),
    /// Papers that the sender needs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub wants: Vec<Hash>,
    /// By an office: where to go on giving its own entries back. By the city: where
    /// these end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub back: Option<(u64, u64)>,
}

/// What a parcel carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// An entry, open or sealed, as it travels.
    Entry(Vec<u8>),
    /// A note.
    Note(Vec<u8>),
    /// The bytes of a paper.
    Paper(Vec<u8>),
    /// An entry of the addressee's own log, given back.
    Back(Vec<u8>),
}

impl Item {
    fn bytes(&self) -> Vec<u8> {
        let (kind, bytes) = match self {
            Self::Entry(bytes) => (b'e', bytes),
            Self::Note(bytes) => (b'n', bytes),
            Self::Paper(bytes) => (b'p', bytes),
            Self::Back(bytes) => (b'b', bytes),
        };
        [&[kind], bytes.as_slice()].concat()
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (kind, bytes) = bytes.split_first()?;
        let bytes = bytes.to_vec();
        match kind {
            b'e' => Some(Self::Entry(bytes)),
            b'n' => Some(Self::Note(bytes)),
            b'p' => Some(Self::Paper(bytes)),
            b'b' => Some(Self::Back(bytes)),
            _ => None,
        }
    }
}

/// The bytes of a parcel; the cover's digest is set here.
pub fn seal(mut cover: Cover, items: &[Item], key: &EventKey) -> Result<Vec<u8>, Malformed> {
    let items: Vec<Vec<u8>> = items.iter().map(Item::bytes).collect();
    let rest = entry::frame(items.iter().map(Vec::as_slice));
    cover.digest = Hash::of(&[&rest]);
    let payload =
        serde_json::to_vec(&cover).map_err(|error| Malformed::Payload(error.to_string()))?;
    let signed = entry::seal(Form::Note, &payload, key)?;
    Ok([entry::frame([signed.as_slice()]), rest].concat())
}

/// Who says that the parcel is theirs, before anything is proved.
pub fn sender(bytes: &[u8]) -> Option<OfficeId> {
    let length: [u8; 4] = bytes.get(..4)?.try_into().ok()?;
    let first = bytes.get(4..4 + usize::try_from(u32::from_be_bytes(length)).ok()?)?;
    let cover: Cover = serde_json::from_slice(entry::open(first).ok()?.payload).ok()?;
    Some(cover.by)
}

/// The city's key that made a signature, if one did: the key that is known of it, or one
/// that it has turned to in the items themselves.
pub fn city_key(
    parts: &Parts<'_>,
    city: &OfficeId,
    known: PublicKey,
    items: &[Item],
) -> Option<PublicKey> {
    let mut key = known;
    for item in items {
        let Item::Entry(bytes) = item else { continue };
        let Ok((fact, _)) = Fact::of_entry(bytes) else { continue };
        let signed = entry::open(bytes).is_ok_and(|parts| parts.is_signed_by(&key));
        if signed
            && fact.at.origin == *city
            && let Some(Turn::Key(next)) = turns(&fact)
        {
            key = next;
        }
    }
    [known, key].into_iter().find(|key| parts.is_signed_by(key))
}

/// Reads a parcel; `signed` tells whether the cover, whose parts it gets, is its
/// sender's. The error is a word for a log.
pub fn open(
    bytes: &[u8],
    signed: impl FnOnce(&Parts<'_>, &[Item]) -> bool,
) -> Result<(Cover, Vec<Item>), &'static str> {
    if bytes.len() > MAX_PARCEL {
        return Err("too large");
    }
    let frames = entry::unframe(bytes).ok_or("it ends early")?;
    let (first, rest) = frames.split_first().ok_or("it is empty")?;
    let parts = entry::open(first).map_err(|_| "the cover does not read")?;
    let read = (parts.form == Form::Note).then(|| serde_json::from_slice(parts.payload).ok());
    let cover: Cover = read.flatten().ok_or("the cover does not read")?;
    if Hash::of(&[&bytes[4 + first.len()..]]) != cover.digest {
        return Err("it is not what the cover says");
    }
    let items = rest.iter().map(|item| Item::read(item)).collect::<Option<Vec<_>>>();
    let items = items.ok_or("an item does not read")?;
    if signed(&parts, &items) { Ok((cover, items)) } else { Err("the cover is not its sender's") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cover() -> Cover {
        let office = |text: &str| OfficeId::parse(text).unwrap();
        Cover {
            note: Kind::Parcel,
            by: office("dddddddd"),
            to: office("cccccccc"),
            at: Timestamp(5),
            number: 1,
            digest: Hash::default(),
            taken: 0,
            held: None,
            reach: (0, 0),
            wants: Vec::new(),
            back: None,
        }
    }

    #[test]
    fn a_parcel_opens_to_what_was_sealed_and_every_flipped_bit_is_noticed() {
        let key = EventKey::from_seed(&[1; 32]).unwrap();
        let items = [Item::Entry(b"an entry".to_vec()), Item::Paper(vec![0; 40])];
        let bytes = seal(cover(), &items, &key).unwrap();
        let ours = |parts: &Parts<'_>, _: &[Item]| parts.is_signed_by(&key.public());
        let (read, found) = open(&bytes, ours).unwrap();
        assert_eq!((read.number, found.as_slice()), (1, &items[..]));
        for bit in 0..bytes.len() * 8 {
            let mut forged = bytes.clone();
            forged[bit / 8] ^= 1 << (bit % 8);
            assert!(open(&forged, ours).is_err(), "bit {bit}");
        }
        for length in 0..bytes.len() {
            assert!(open(&bytes[..length], ours).is_err(), "{length} bytes");
        }
        assert!(open(&bytes, |_, _| false).is_err());
    }
}

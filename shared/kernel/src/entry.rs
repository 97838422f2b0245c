//! The exact bytes of one entry.
//!
//! ```text
//! entry := form(1) | u16 len | payload | u8 nsig | { u16 suite | 8 B key id | u16 len | signature }*
//! ```
//! All numbers are big endian. What is signed is the DSSE pre-authentication
//! encoding of the payload, so that a signature for one form never holds for
//! another. The signature is inside the entry and so inside its leaf hash.

use thiserror::Error;

use crate::sign::{EventKey, Hash, PublicKey};

/// What kind of payload the bytes carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A fact: a CloudEvents 1.0 JSON object.
    Event,
    /// An entry of the audience `own`, sealed under the origin's recovery key.
    Sealed,
    /// A note beside the history: receipt, lane heads, heartbeat.
    Note,
}

impl Form {
    const fn byte(self) -> u8 {
        match self {
            Self::Event => 1,
            Self::Sealed => 2,
            Self::Note => 3,
        }
    }

    const fn of(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Event),
            2 => Some(Self::Sealed),
            3 => Some(Self::Note),
            _ => None,
        }
    }

    const fn payload_type(self) -> &'static str {
        match self {
            Self::Event => "application/vnd.liandong.event.v1+json",
            Self::Sealed => "application/vnd.liandong.sealed.v1",
            Self::Note => "application/vnd.liandong.note.v1+json",
        }
    }
}

/// The suite `intl-1`: SHA-256 and Ed25519.
pub const INTL_1: u16 = 1;
/// The largest entry, in bytes.
pub const MAX_ENTRY: usize = 48 * 1024;
/// The largest payload that the length field can say, in bytes.
const MAX_PAYLOAD: usize = 65_535;

/// Why bytes are not an entry.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum Malformed {
    /// The bytes end early, run on, or name an unknown form or suite.
    #[error("not an entry: {0}")]
    Shape(&'static str),
    /// The payload is no event of the strict form.
    #[error("not an event: {0}")]
    Payload(String),
}

/// An entry taken apart; everything borrows from the received bytes.
#[derive(Debug)]
pub struct Parts<'a> {
    /// What the payload is.
    pub form: Form,
    /// The payload, as signed.
    pub payload: &'a [u8],
    /// The name of the signing key.
    pub key_id: [u8; 8],
    /// The signature over [`pae`].
    pub signature: &'a [u8],
}

/// The bytes that are signed (DSSE v1 pre-authentication encoding).
pub fn pae(form: Form, payload: &[u8]) -> Vec<u8> {
    let kind = form.payload_type();
    let mut bytes = format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len()).into_bytes();
    bytes.extend_from_slice(payload);
    bytes
}

/// Makes an entry: the only place where entry bytes come into being.
pub fn seal(form: Form, payload: &[u8], key: &EventKey) -> Result<Vec<u8>, Malformed> {
    let length = u16::try_from(payload.len()).map_err(|_| Malformed::Shape("payload too long"))?;
    let signature = key.sign(&pae(form, payload));
    let mut entry = Vec::with_capacity(payload.len() + 80);
    entry.push(form.byte());
    entry.extend_from_slice(&length.to_be_bytes());
    entry.extend_from_slice(payload);
    entry.push(1);
    entry.extend_from_slice(&INTL_1.to_be_bytes());
    entry.extend_from_slice(&key.public().id());
    entry.extend_from_slice(&64u16.to_be_bytes());
    entry.extend_from_slice(&signature);
    Ok(entry)
}

/// Takes an entry apart without judging it. Exactly one signature of the suite
/// `intl-1` is understood.
pub fn open(entry: &[u8]) -> Result<Parts<'_>, Malformed> {
    let short = || Malformed::Shape("ends early");
    let form = Form::of(*entry.first().ok_or_else(short)?).ok_or(Malformed::Shape("form"))?;
    let length = u16_at(entry, 1).ok_or_else(short)?;
    if length > MAX_PAYLOAD || (form != Form::Sealed && entry.len() > MAX_ENTRY) {
        return Err(Malformed::Shape("too large"));
    }
    let payload = entry.get(3..3 + length).ok_or_else(short)?;
    let tail = &entry[3 + length..];
    if tail.len() != 77 {
        return Err(Malformed::Shape("signature block"));
    }
    if tail[0] != 1 || u16_at(tail, 1) != Some(usize::from(INTL_1)) || u16_at(tail, 11) != Some(64)
    {
        return Err(Malformed::Shape("suite"));
    }
    let mut key_id = [0; 8];
    key_id.copy_from_slice(&tail[3..11]);
    Ok(Parts { form, payload, key_id, signature: &tail[13..] })
}

impl Parts<'_> {
    /// Whether `key` made this entry.
    pub fn is_signed_by(&self, key: &PublicKey) -> bool {
        self.key_id == key.id() && key.verifies(&pae(self.form, self.payload), self.signature)
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<usize> {
    let pair: [u8; 2] = bytes.get(at..at + 2)?.try_into().ok()?;
    Some(usize::from(u16::from_be_bytes(pair)))
}

/// Writes a request body: `(u32 big-endian length, item)*`.
pub fn frame<'a>(items: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut body = Vec::new();
    for item in items {
        let length = u32::try_from(item.len()).unwrap_or(u32::MAX);
        body.extend_from_slice(&length.to_be_bytes());
        body.extend_from_slice(item);
    }
    body
}

/// Reads a request body; `None` if a length does not fit.
pub fn unframe(mut body: &[u8]) -> Option<Vec<&[u8]>> {
    let mut items = Vec::new();
    while !body.is_empty() {
        let length: [u8; 4] = body.get(..4)?.try_into().ok()?;
        let length = usize::try_from(u32::from_be_bytes(length)).ok()?;
        items.push(body.get(4..4usize.checked_add(length)?)?);
        body = &body[4 + length..];
    }
    Some(items)
}

/// The leaf hash of an entry's exact bytes.
pub fn hash(entry: &[u8]) -> Hash {
    Hash::leaf(entry)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> EventKey {
        EventKey::from_seed(&[1; 32]).unwrap()
    }

    #[test]
    fn an_entry_opens_to_what_was_sealed() {
        let entry = seal(Form::Event, b"{}", &key()).unwrap();
        let parts = open(&entry).unwrap();
        assert_eq!((parts.form, parts.payload), (Form::Event, &b"{}"[..]));
        assert!(parts.is_signed_by(&key().public()));
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let entry = seal(Form::Event, b"{\"a\":1}", &key()).unwrap();
        for bit in 0..entry.len() * 8 {
            let mut forged = entry.clone();
            forged[bit / 8] ^= 1 << (bit % 8);
            let accepted = open(&forged).is_ok_and(|parts| parts.is_signed_by(&key().public()));
            assert!(!accepted, "bit {bit}");
        }
    }

    #[test]
    fn a_note_is_not_taken_for_an_event() {
        let note = seal(Form::Note, b"{}", &key()).unwrap();
        let mut event = note.clone();
        event[0] = 1;
        assert!(!open(&event).unwrap().is_signed_by(&key().public()));
    }

    #[test]
    fn any_bytes_are_answered_without_a_panic() {
        for length in 0..200 {
            let _ = open(&vec![1; length]);
            let _ = unframe(&vec![0; length]);
        }
        assert_eq!(unframe(&[0, 0, 0, 9, 1]), None);
        assert_eq!(unframe(&frame([&b"ab"[..], b""])), Some(vec![&b"ab"[..], b""]));
    }
}

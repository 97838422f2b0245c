//! 纪元 The lives of an office's log, and the keys that signed in them.
//!
//! A log's sequences go on from life to life: a new one begins behind the last entry
//! that the hub, or the office's own store, still holds. What a reader would get wrong:
//! the city alone cannot give an office another key; where the old key has not signed
//! the change, a majority of the other districts has to, and every reader counts their
//! signatures itself.

use kernel::{
    OfficeId,
    id::Tier,
    sign::{Hash, PublicKey, Signature},
};
use serde::{Deserialize, Serialize};

use super::Member;

/// Where a life of a log ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Closed {
    /// Its last sequence.
    pub sequence: u64,
    /// The leaf hash of that entry.
    pub hash: Hash,
}

/// A district's word that an office may go on with another key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Consent {
    /// The district.
    pub by: OfficeId,
    /// Its event key's signature over [`words`].
    pub signature: Signature,
}

/// A new life that the city proposed, or opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Opening {
    /// The office with the new life's number, its key and its first sequence.
    pub member: Member,
    /// Where the life before ended.
    pub closed: Closed,
    /// The hash of the token with which the office asked for it.
    pub token: Hash,
    /// The new life's key over [`asked_words`]: nobody but the office asks for it.
    pub asked: Signature,
}

/// What an office signs when it asks for a new life.
pub fn asked_words(office: &OfficeId, key: &PublicKey, token: &Hash) -> Vec<u8> {
    format!("liandong renewal v1\n{office}\n{key:?}\n{token}").into_bytes()
}

/// What a district signs.
pub fn words(opening: &Opening) -> Vec<u8> {
    let Opening { member, closed, .. } = opening;
    let (office, epoch, key) = (&member.seat.office, member.epoch, &member.key);
    let Closed { sequence, hash } = closed;
    format!("liandong epoch v1\n{office}\n{epoch}\n{key:?}\n{sequence}\n{hash}").into_bytes()
}

/// How many of the `others` have to consent: more than half; of none, none can.
pub const fn needed(others: usize) -> usize {
    if others == 0 { 0 } else { others / 2 + 1 }
}

/// Whether an opening may be believed: the office has asked for it, it follows what was
/// before, and the office keeps its key, or enough of the `others` (the enrolled
/// districts but the office itself; none if nobody knows) have signed it.
pub fn proven<'a>(
    before: &Member,
    opening: &Opening,
    consents: &[Consent],
    others: Option<usize>,
    key_of: impl Fn(&OfficeId) -> Option<&'a PublicKey>,
) -> bool {
    let Opening { member, closed, token, asked } = opening;
    let follows = member.seat == before.seat
        && member.seat.tier != Tier::City
        && member.epoch == before.epoch + 1
        && Some(member.key_from) == closed.sequence.checked_add(1);
    let words_of_office = asked_words(&member.seat.office, &member.key, token);
    if !follows || !member.key.verifies(&words_of_office, &asked.0) {
        return false;
    }
    if member.key == before.key {
        return true;
    }
    let Some(others) = others else { return false };
    let words = words(opening);
    let mut by: Vec<&OfficeId> = consents
        .iter()
        .filter(|consent| consent.by != opening.member.seat.office)
        .filter(|c| key_of(&c.by).is_some_and(|key| key.verifies(&words, &c.signature.0)))
        .map(|consent| &consent.by)
        .collect();
    by.sort_unstable();
    by.dedup();
    by.len() >= needed(others)
}

//! Entries inside an entry: what an office shares with one that was no reader then.
//!
//! Nothing is widened after the fact: the earlier entries stay as they were, and their
//! exact bytes travel inside a new one that is addressed to the late reader.

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use serde::Deserialize;

use crate::{entry, fact::Fact, sign::PublicKey};

/// The type of the entry that carries others.
pub const SHARED: &str = "cn.liandong.history.shared.v1";

#[derive(Deserialize)]
struct Carrier {
    entries: Vec<String>,
}

fn inside(fact: &Fact) -> Vec<Vec<u8>> {
    if fact.kind != SHARED {
        return Vec::new();
    }
    let read = fact.read::<Carrier>().map(|carrier| carrier.entries).unwrap_or_default();
    read.iter().filter_map(|text| BASE64.decode(text).ok()).collect()
}

impl Fact {
    /// The facts of the entries inside, in their order; none in any other entry.
    pub fn carried(&self) -> Vec<Self> {
        let read = |bytes: Vec<u8>| Self::of_entry(&bytes).ok().map(|(fact, _)| fact);
        inside(self).into_iter().filter_map(read).collect()
    }

    /// Whether every entry inside is one of the carrier's own origin, from before it, and
    /// signed by the key that `key` gives for its sequence.
    pub fn carries_its_own(&self, key: impl Fn(u64) -> PublicKey) -> bool {
        inside(self).iter().all(|bytes| {
            let Ok(parts) = entry::open(bytes) else { return false };
            let Ok((fact, _)) = Self::of_entry(bytes) else { return false };
            fact.at.origin == self.at.origin
                && fact.at.sequence < self.at.sequence
                && parts.is_signed_by(&key(fact.at.sequence))
        })
    }
}

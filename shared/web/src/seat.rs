//! Everything one office's routes need, in one place.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use access::{Tokens, door::Door};
use event_store::Office;
use kernel::sign::Hash;
use messaging::{
    counters::Counters,
    directory::Pin,
    ingest::Ingest,
    keys::Keys,
    papers::{Papers, Wanted},
    witnessing::Ledger,
};
use tokio::sync::watch;
use vault::Vault;

use crate::{
    ceiling::Classification, client::Client, openid::OpenId, pace::Pace, room::Room, wire::Wire,
};

/// What is known of the link to the hub.
#[derive(Debug, Default)]
pub struct LinkState {
    up: AtomicBool,
    held: AtomicU64,
}

impl LinkState {
    /// The relay's word on the link and on what the hub holds.
    pub fn set(&self, up: bool, held: Option<u64>) {
        self.up.store(up, Ordering::Relaxed);
        if let Some(held) = held {
            self.held.store(held, Ordering::Relaxed);
        }
    }

    /// Whether the hub answers.
    pub fn is_up(&self) -> bool {
        self.up.load(Ordering::Relaxed)
    }

    /// The last own sequence that the hub holds, as far as is known.
    pub fn held(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }
}

/// An office at its desk.
pub struct Seat {
    /// The store.
    pub office: Office,
    /// Its tokens.
    pub tokens: Tokens,
    /// What the enrolment pinned.
    pub pin: Arc<Pin>,
    /// The office's name at its enrolment.
    pub name: String,
    /// Keys and grants that can be forgotten.
    pub vault: Arc<Vault>,
    /// Papers that are here.
    pub papers: Papers,
    /// The tree over the own log, and its signed heads.
    pub ledger: Arc<Ledger>,
    /// What intake counted.
    pub counters: Arc<Counters>,
    /// The link to the hub.
    pub link: Arc<LinkState>,
    /// The key folder.
    pub keys: Keys,
    /// From this the office derives one-time secrets, so that answers need not keep them.
    pub secret: [u8; 32],
    /// At the city: ingest.
    pub ingest: Option<Arc<Ingest>>,
    /// At the city: papers on their way between offices.
    pub hub_papers: Option<Papers>,
    /// At the city: papers that were asked for and are not there.
    pub hub_wanted: Wanted,
    /// What the door remembers of who signs in.
    pub door: Door,
    /// What it takes on at once.
    pub room: Room,
    /// What is above this does not enter.
    pub ceiling: Classification,
    /// For what it asks other offices.
    pub client: Client,
    /// Certificates, proxies and paces.
    pub wire: Wire,
    /// The house that says who somebody is, if the office has one.
    pub openid: Option<OpenId>,
    /// How fast one person may ask.
    pub pace: Pace,
    /// Turns true when the process is told to stop.
    pub stopping: watch::Receiver<bool>,
}

impl Seat {
    /// A one-time secret for `purpose`: the same for the same words.
    pub fn derive(&self, purpose: &str, words: &[&str]) -> Hash {
        let mut parts: Vec<&[u8]> = vec![b"liandong one-time v1", &self.secret, purpose.as_bytes()];
        for word in words {
            parts.extend([&[0][..], word.as_bytes()]);
        }
        Hash::of(&parts)
    }
}

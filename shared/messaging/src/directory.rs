//! The directory as a view: who signs what.

use domain::{
    directory::{Consent, Event, Member, Move, Opening, place, proven},
    office::{Event as Own, offer_words},
};
use event_store::{FoldError, Rows, View};
use kernel::{
    Fact, OfficeId, Timestamp,
    entry::Parts,
    id::Tier,
    sign::{Hash, PublicKey, Signature},
};
use serde::{Deserialize, Serialize};

mod signer;

pub use signer::Pin;
pub(crate) use signer::{Signer, signer};

/// The view's name; its keys are office ids.
pub const DIRECTORY: &str = "directory";

/// What a row holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Entry {
    /// The member as it is now.
    pub member: Member,
    /// Whether the city is a demo.
    pub demo: bool,
    /// What it was before, from its enrolment on: its keys, its lives, its places.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub before: Vec<Member>,
    /// The lives of its log that were opened after the first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub opened: Vec<Opened>,
    /// The key that the office has offered, and when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offered: Option<(PublicKey, Timestamp)>,
    /// The key that the city has called it to turn to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub called: Option<PublicKey>,
    /// Below whom the city has put it last; it waits for the office's word as long as
    /// [`Entry::is_moving`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moving: Option<Move>,
    /// A new life that waits for the districts' consent, with those given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposed: Option<(Opening, Vec<Consent>)>,
    /// At the city: how many districts are enrolled. Rows of an older fold do not know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub districts: Option<usize>,
}

/// A life that was opened, or that the city said was.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Opened {
    /// What it is.
    pub opening: Opening,
    /// When the city said so.
    pub at: Timestamp,
    /// Whether the key stayed, or enough districts have signed the new one. What is
    /// not proven changes nothing here.
    pub proven: bool,
}

impl Entry {
    pub(crate) fn new(member: Member, demo: bool) -> Self {
        let (before, opened) = (Vec::new(), Vec::new());
        let (offered, called, moving, proposed) = (None, None, None, None);
        let districts = (member.seat.tier == Tier::City).then_some(0);
        Self { member, demo, before, opened, offered, called, moving, proposed, districts }
    }

    fn becomes(&mut self, member: Member) {
        self.called = None;
        self.offered = None;
        self.before.push(std::mem::replace(&mut self.member, member));
    }

    /// The move that the office was called to and has not said it made.
    pub fn is_moving(&self) -> Option<&Move> {
        let above = self.member.seat.parent.as_ref();
        self.moving.as_ref().filter(|moving| above != Some(&moving.parent))
    }

    /// Whether the office stands below another one, or ever did.
    pub fn stood_below(&self, office: &OfficeId) -> bool {
        let mut all = self.before.iter().chain([&self.member]);
        all.any(|member| member.seat.parent.as_ref() == Some(office))
    }

    /// The member as it was for the entry with this sequence of its log.
    pub fn at(&self, sequence: u64) -> &Member {
        let mut all = std::iter::once(&self.member).chain(self.before.iter().rev());
        let found = all.find(|member| member.key_from <= sequence);
        found.unwrap_or_else(|| self.before.first().unwrap_or(&self.member))
    }

    /// Whether a note may carry this signature: the office's key now, or the one that
    /// it is about to turn to.
    pub fn signs_note(&self, parts: &Parts<'_>) -> bool {
        let mut keys = std::iter::once(&self.member.key).chain(self.called.as_ref());
        keys.any(|key| parts.is_signed_by(key))
    }

    /// Whether one of its keys of this life has made the signature: an office that
    /// was put back from before a turn knows of no later key.
    pub fn signs_in_this_life(&self, parts: &Parts<'_>) -> bool {
        let all = self.before.iter().chain([&self.member]);
        let mut now = all.filter(|member| member.epoch == self.member.epoch);
        now.any(|member| parts.is_signed_by(&member.key)) || self.signs_note(parts)
    }

    /// Whether this is the name of a key that the office ever had here.
    pub fn has_had(&self, key: &[u8; 8]) -> bool {
        self.before.iter().chain([&self.member]).any(|member| member.key.id() == *key)
    }

    /// The hash of the entry with which a life ended, if one ended at this sequence.
    pub fn closed_at(&self, sequence: u64) -> Option<Hash> {
        let proven = self.opened.iter().filter(|opened| opened.proven);
        let closed = proven.map(|opened| opened.opening.closed);
        closed.rev().find(|closed| closed.sequence == sequence).map(|closed| closed.hash)
    }
}

/// Folds the city's directory.
#[derive(Debug)]
pub struct DirectoryView;

impl View for DirectoryView {
    fn name(&self) -> &'static str {
        DIRECTORY
    }

    fn schema(&self) -> &'static str {
        "3"
    }

    fn apply(&self, rows: &mut Rows<'_>, fact: &Fact) -> Result<(), FoldError> {
        match fact.kind.as_str() {
            "cn.liandong.office.key-offered.v1" => {
                let Own::KeyOffered { key, .. } = fact.read()? else { return Ok(()) };
                change(rows, &fact.at.origin, |row| row.offered = Some((key, fact.recorded)))
            }
            _ if fact.family() == "directory" => directory(rows, fact),
            _ => Ok(()),
        }
    }
}

fn change(
    rows: &mut Rows<'_>,
    office: &OfficeId,
    change: impl FnOnce(&mut Entry),
) -> Result<(), FoldError> {
    let Some(mut row) = rows.get::<Entry>(DIRECTORY, office.as_str())? else { return Ok(()) };
    change(&mut row);
    rows.put(DIRECTORY, office.as_str(), &row)
}

fn directory(rows: &mut Rows<'_>, fact: &Fact) -> Result<(), FoldError> {
    match fact.read()? {
        Event::Invited { .. } => Ok(()),
        Event::Founded { city, demo } => {
            let key = city.seat.office.to_string();
            // A second founding changes nothing.
            match rows.get::<Entry>(DIRECTORY, &key)? {
                Some(_) => Ok(()),
                None => rows.put(DIRECTORY, &key, &Entry::new(city, demo)),
            }
        }
        Event::Enrolled { member, .. } => {
            let city: Option<Entry> = rows.get(DIRECTORY, fact.at.origin.as_str())?;
            let demo = city.is_some_and(|city| city.demo);
            let district = member.seat.tier == Tier::District;
            let key = member.seat.office.to_string();
            // Who is enrolled gets another key by turning or by a new life, in no other way.
            if rows.get::<Entry>(DIRECTORY, &key)?.is_some() {
                return Ok(());
            }
            rows.put(DIRECTORY, &key, &Entry::new(member, demo))?;
            change(rows, &fact.at.origin, |city| {
                city.districts = city.districts.map(|count| count + usize::from(district));
            })
        }
        Event::TurnCalled { office, key } => change(rows, &office, |row| row.called = Some(key)),
        Event::Turned { member, by } => turn(rows, member, &by),
        Event::MoveCalled { called } => {
            let office = called.office.clone();
            change(rows, &office, |row| row.moving = Some(called))
        }
        Event::Moved { member } => move_to(rows, &member),
        Event::EpochProposed { opening } => {
            let office = opening.member.seat.office.clone();
            change(rows, &office, |row| row.proposed = Some((opening, Vec::new())))
        }
        Event::EpochConsented { office, consent, .. } => change(rows, &office, |row| {
            if let Some((_, consents)) = &mut row.proposed {
                consents.retain(|known| known.by != consent.by);
                consents.push(consent);
            }
        }),
        Event::EpochOpened { opening, consents } => open(rows, fact, opening, &consents),
    }
}

/// Another key of the same life: believed if the one before has signed it.
fn turn(rows: &mut Rows<'_>, member: Member, by: &Signature) -> Result<(), FoldError> {
    let office = member.seat.office.clone();
    change(rows, &office, |row| {
        let before = &row.member;
        let words = offer_words(&office, before.epoch, &member.key);
        let follows = member.seat == before.seat
            && member.epoch == before.epoch
            && member.key_from > before.key_from;
        if follows && before.key.verifies(&words, &by.0) {
            row.becomes(member);
        } else {
            tracing::error!(%office, "a key that the one before has not signed is not believed");
        }
    })
}

/// An office stands below another one, and so it does in the life that it waits for.
fn move_to(rows: &mut Rows<'_>, to: &Member) -> Result<(), FoldError> {
    change(rows, &to.seat.office, |row| {
        if !place(&mut row.before, &mut row.member, to) {
            return;
        }
        if let Some((opening, _)) = &mut row.proposed {
            opening.member.seat.parent.clone_from(&to.seat.parent);
        }
    })
}

/// A new life: believed if the key stays or enough districts have signed the other one.
fn open(
    rows: &mut Rows<'_>,
    fact: &Fact,
    opening: Opening,
    consents: &[Consent],
) -> Result<(), FoldError> {
    let office = opening.member.seat.office.clone();
    let city: Option<Entry> = rows.get(DIRECTORY, fact.at.origin.as_str())?;
    let mut keys = Vec::new();
    for consent in consents {
        let row: Option<Entry> = rows.get(DIRECTORY, consent.by.as_str())?;
        let district = row.filter(|row| row.member.seat.tier == Tier::District);
        keys.extend(district.map(|row| (consent.by.clone(), row.member.key)));
    }
    change(rows, &office, |row| {
        let itself = usize::from(row.member.seat.tier == Tier::District);
        let others = city.and_then(|city| city.districts);
        let others = others.map(|count| count.saturating_sub(itself));
        let key_of = |by: &OfficeId| keys.iter().find(|(id, _)| id == by).map(|(_, key)| key);
        let proven = proven(&row.member, &opening, consents, others, key_of);
        row.proposed = None;
        row.opened.push(Opened { opening: opening.clone(), at: fact.recorded, proven });
        if proven {
            row.becomes(opening.member);
        }
    })
}

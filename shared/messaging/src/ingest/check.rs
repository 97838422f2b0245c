//! The checks that a writer made before it signed, made again.

use domain::directory::Member;
use kernel::{
    Audience, EntryRef, Fact,
    entry::{self, Form},
    note::Note,
    sign::Hash,
};

use super::{Held, Ingest};
use crate::{directory::Entry, relay::place, safe};

/// Items of one request, sorted by stream.
#[derive(Default)]
pub(super) struct Accepted {
    pub(super) history: Vec<(u64, Fact, Vec<u8>)>,
    pub(super) safe: Vec<(u64, Vec<u8>)>,
    pub(super) notes: Vec<(Note, Vec<u8>)>,
    /// The last place that follows, and its item's hash: what one stream holds already counts.
    pub(super) last: Option<(u64, Hash)>,
    pub(super) refused: Option<&'static str>,
}

enum Checked {
    Known,
    Shared(Box<Fact>),
    Sealed(EntryRef),
    Note(Note),
}

impl Ingest {
    /// Checks all items against what a writer checked before it signed.
    pub(super) fn check(
        &self,
        row: &Entry,
        held: Held,
        items: &[&[u8]],
    ) -> Result<Accepted, &'static str> {
        let mut accepted = Accepted::default();
        let mut next = held.run;
        let mut last = None;
        for item in items {
            match self.check_item(row, held, next, item) {
                Ok(Checked::Note(note)) => accepted.notes.push((note, item.to_vec())),
                Ok(Checked::Known) => {}
                Ok(Checked::Shared(fact)) => {
                    next = fact.at.sequence;
                    last = Some((next, item));
                    if next > held.history.0 {
                        accepted.history.push((next, *fact, item.to_vec()));
                    }
                }
                Ok(Checked::Sealed(at)) => {
                    next = at.sequence;
                    last = Some((next, item));
                    if next > held.safe.0 {
                        accepted.safe.push((next, item.to_vec()));
                    }
                }
                Err(code) if next == held.run && accepted.notes.is_empty() => return Err(code),
                Err(code) => {
                    accepted.refused = Some(code);
                    break;
                }
            }
        }
        accepted.last = last.map(|(sequence, item)| (sequence, entry::hash(item)));
        Ok(accepted)
    }

    fn check_item(
        &self,
        row: &Entry,
        held: Held,
        last: u64,
        item: &[u8],
    ) -> Result<Checked, &'static str> {
        let parts = entry::open(item).map_err(|_| "malformed")?;
        let office = &row.member.seat.office;
        if parts.form == Form::Note {
            let note = Note::parse(parts.payload).map_err(|_| "malformed")?;
            let published = !matches!(note, Note::Back { .. });
            let own = published && note.by() == office && row.signs_note(&parts);
            return if own { Ok(Checked::Note(note)) } else { Err("signature") };
        }
        let (at, fact) = place(&parts).ok_or("malformed")?;
        if at.origin != *office {
            return Err("misaddressed");
        }
        let member = row.at(at.sequence);
        let own = parts.is_signed_by(&member.key);
        // What an office seals for itself it seals again with the key that it has.
        let again = fact.is_none() && parts.is_signed_by(&row.member.key);
        if !own && !again {
            let called = row.called.is_some_and(|key| parts.is_signed_by(&key));
            return Err(if called { "key-unconfirmed" } else { "signature" });
        }
        if at.epoch != member.epoch {
            return Err("epoch");
        }
        if at.sequence <= last {
            let same = at.sequence != held.run || entry::hash(item) == held.hash;
            return if same { Ok(Checked::Known) } else { Err("fork") };
        }
        if at.sequence != last + 1 {
            return Err("gap");
        }
        let ends = row.closed_at(at.sequence);
        let Some(fact) = fact else {
            let (cover, ..) = safe::cover(parts.payload).map_err(|_| "malformed")?;
            let fits = ends.is_none_or(|end| end == cover.hash);
            return if fits { Ok(Checked::Sealed(at)) } else { Err("fork") };
        };
        if ends.is_some_and(|end| end != entry::hash(item)) {
            return Err("fork");
        }
        allowed(self.office.setting().bindings, member, &fact).map_err(|code| {
            let moves = row.is_moving().is_some_and(|moving| {
                code == "audience" && fact.audience == Audience::Up(moving.parent.clone())
            });
            if moves { "move-unconfirmed" } else { code }
        })?;
        Ok(Checked::Shared(Box::new(fact)))
    }
}

/// What a writer may have signed: binding, tier, audience, stream and its owner.
pub(crate) fn allowed(
    bindings: kernel::Bindings,
    member: &Member,
    fact: &Fact,
) -> Result<(), &'static str> {
    let binding = bindings(&fact.kind).ok_or("unknown-type")?;
    let seat = &member.seat;
    if kernel::id::stream_owner(&fact.stream).as_ref() != Some(&seat.office) {
        return Err("stream-owner");
    }
    if !fact.stream.starts_with(&format!("{}/", binding.family)) {
        return Err("stream-family");
    }
    if !binding.tiers.contains(&seat.tier) {
        return Err("tier");
    }
    let travels = fact.audience == kernel::Audience::Own || binding.may_travel();
    let allows = binding.allows(&seat.office, seat.parent.as_ref(), &fact.audience);
    if fact.root != binding.root || !allows || !travels || fact.audience == kernel::Audience::Own {
        return Err("audience");
    }
    let shape = fact.version.is_some() != fact.copy_of.is_some();
    if shape { Ok(()) } else { Err("version") }
}

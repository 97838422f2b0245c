//! What the directory decides: who may enrol, turn to another key, begin a new life.

use kernel::{
    Code, OfficeId, Refusal, Timestamp,
    id::Tier,
    sign::{Hash, PublicKey, Signature},
};

use super::{
    Closed, Consent, Directory, Event, Member, Opening, Seat, asked_words, needed, proven, words,
};
use crate::{filled, office::offer_words};

impl Directory {
    /// The seat that a token is for.
    pub fn invited(&self, token: &Hash) -> Option<&Seat> {
        self.invitations.get(token).map(|(seat, _)| seat)
    }

    /// The seat that a token is for, if it may be used now.
    pub(super) fn token(&self, token: &Hash, at: Timestamp, demo: bool) -> Result<&Seat, Refusal> {
        let Some((seat, _)) = self.invitations.get(token).filter(|(_, until)| at <= *until) else {
            return Err(Code::TokenSpent.into());
        };
        if demo == self.demo { Ok(seat) } else { Err(Code::DemoMixed.into()) }
    }

    pub(super) fn member(&self, office: &OfficeId) -> Result<&Member, Refusal> {
        self.members.get(office).ok_or_else(|| Code::UnknownOffice.into())
    }

    /// A key signs for one office, once.
    pub(super) fn unused(&self, key: &PublicKey) -> Result<(), Refusal> {
        if self.used.contains(key) { Err(Code::KeyUsed.into()) } else { Ok(()) }
    }

    pub(super) fn call_turn(
        &self,
        office: OfficeId,
        key: PublicKey,
    ) -> Result<Vec<Event>, Refusal> {
        self.member(&office)?;
        if self.called.get(&office) == Some(&key) {
            return Ok(vec![]);
        }
        self.unused(&key)?;
        Ok(vec![Event::TurnCalled { office, key }])
    }

    pub(super) fn turned(
        &self,
        office: &OfficeId,
        key: PublicKey,
        from: u64,
        by: Signature,
    ) -> Result<Vec<Event>, Refusal> {
        let before = self.member(office)?;
        if !before.key.verifies(&offer_words(office, before.epoch, &key), &by.0) {
            return Err(Code::WrongState.into());
        }
        let member = Member { key, key_from: from, ..before.clone() };
        Ok(vec![Event::Turned { member, by }])
    }

    /// The enrolled districts but the office itself.
    fn others(&self, office: &OfficeId) -> usize {
        let seats = self.members.values().map(|member| &member.seat);
        seats.filter(|seat| seat.tier == Tier::District && seat.office != *office).count()
    }

    pub(super) fn reopen(
        &self,
        office: &OfficeId,
        token: Hash,
        key: PublicKey,
        closed: Closed,
        asked: Signature,
    ) -> Result<Vec<Event>, Refusal> {
        let before = self.member(office)?;
        let member = Member {
            seat: before.seat.clone(),
            key,
            epoch: before.epoch + 1,
            key_from: closed.sequence.checked_add(1).ok_or(Code::BadField)?,
        };
        let opening = Opening { member, closed, token, asked };
        if !key.verifies(&asked_words(office, &key, &token), &opening.asked.0) {
            return Err(Code::TokenSpent.into());
        }
        if key == before.key {
            return Ok(vec![Event::EpochOpened { opening, consents: vec![] }]);
        }
        self.unused(&key)?;
        let proposed = Event::EpochProposed { opening: opening.clone() };
        if needed(self.others(office)) == 0 {
            return Ok(vec![proposed, Event::EpochOpened { opening, consents: vec![] }]);
        }
        Ok(vec![proposed])
    }

    pub(super) fn consent(
        &self,
        office: &OfficeId,
        epoch: u32,
        consent: Consent,
    ) -> Result<Vec<Event>, Refusal> {
        let Some((opening, given)) = self.proposed.get(office) else {
            // It was opened meanwhile: this one came late.
            return Ok(vec![]);
        };
        let by = self.member(&consent.by)?;
        let good = by.key.verifies(&words(opening), &consent.signature.0);
        if by.seat.tier != Tier::District || opening.member.epoch != epoch || !good {
            return Err(Code::WrongState.into());
        }
        if given.contains(&consent) {
            return Ok(vec![]);
        }
        let mut consents = given.clone();
        consents.retain(|known| known.by != consent.by);
        consents.push(consent.clone());
        let mut events = vec![Event::EpochConsented { office: office.clone(), epoch, consent }];
        let before = self.member(office)?;
        let key_of = |by: &OfficeId| self.members.get(by).map(|member| &member.key);
        if proven(before, opening, &consents, Some(self.others(office)), key_of) {
            events.push(Event::EpochOpened { opening: opening.clone(), consents });
        }
        Ok(events)
    }

    /// The office as it is enrolled now.
    pub fn enrolled(&self, office: &OfficeId) -> Option<&Member> {
        self.members.get(office)
    }

    pub(super) fn invite(
        &self,
        seat: Seat,
        token: Hash,
        expires: Timestamp,
    ) -> Result<Vec<Event>, Refusal> {
        filled("name", &seat.name)?;
        filled("code", &seat.code)?;
        if self.members.contains_key(&seat.office) {
            return Err(Code::OfficeEnrolled.into());
        }
        let parent = seat.parent.as_ref().and_then(|parent| self.members.get(parent));
        if seat.tier == Tier::City || parent.map(|p| p.seat.tier) != seat.tier.parent() {
            return Err(Code::UnknownParent.into());
        }
        Ok(vec![Event::Invited { seat, token, expires }])
    }
}

//! 隶属调整 An office is put below another one of the tier above its own.
//!
//! The city calls; the office moves with an entry of its own, as soon as it has taken in
//! what its parent so far had said by then; the city says to all from which entry of its
//! log on it reports to the other. What a reader would get wrong: between call and move
//! it still belongs where it was, so an office without a link moves when it hears of it.

use kernel::{Code, OfficeId, Refusal, id::Tier};
use serde::{Deserialize, Serialize};

use super::{Baseline, Directory, Event, Member, Seat};

/// What the city calls an office to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Move {
    /// The office.
    pub office: OfficeId,
    /// The office above it from then on.
    pub parent: OfficeId,
    /// How far the lanes went that it stops reading: it moves once it has them that far.
    pub until: Vec<Baseline>,
    /// How far the lanes went that it begins to read.
    pub baselines: Vec<Baseline>,
}

/// Whether a member follows another by nothing but its place in the tree.
pub fn moved(before: &Member, after: &Member) -> bool {
    let seat = Seat { parent: after.seat.parent.clone(), ..before.seat.clone() };
    after.key_from > before.key_from
        && *after == Member { seat, key_from: after.key_from, ..before.clone() }
}

impl Directory {
    pub(super) fn call_move(&self, called: Move) -> Result<Vec<Event>, Refusal> {
        let Move { office, parent, .. } = &called;
        let member = self.member(office)?;
        let above = self.members.get(parent).map(|above| above.seat.tier);
        if member.seat.tier == Tier::City || above != member.seat.tier.parent() {
            return Err(Code::UnknownParent.into());
        }
        let moving = self.moving.get(office);
        let stands = moving.is_none() && member.seat.parent.as_ref() == Some(parent);
        if stands || moving == Some(parent) {
            return Ok(vec![]);
        }
        // What is called for is done before another thing is: its log is on its way.
        if moving.is_some() || self.proposed.contains_key(office) {
            return Err(Code::WrongState.into());
        }
        Ok(vec![Event::MoveCalled { called }])
    }

    pub(super) fn note_move(
        &self,
        office: &OfficeId,
        parent: OfficeId,
        from: u64,
    ) -> Result<Vec<Event>, Refusal> {
        let before = self.member(office)?;
        let called = self.moving.get(office) == Some(&parent);
        if !called && before.seat.parent.as_ref() == Some(&parent) {
            // A new life of its log stands where the one before stood.
            return Ok(vec![]);
        }
        let seat = Seat { parent: Some(parent), ..before.seat.clone() };
        let member = Member { seat, key_from: from, ..before.clone() };
        if !called || !moved(before, &member) {
            return Err(Code::WrongState.into());
        }
        Ok(vec![Event::Moved { member }])
    }
}

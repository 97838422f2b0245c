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

/// Puts an office below another one from a member's first sequence on, which may lie in
/// an earlier span of its log: `now` is the member in force, `before` the earlier ones.
/// `false` if it is no such move.
pub fn place(before: &mut Vec<Member>, now: &mut Member, to: &Member) -> bool {
    let at = before.iter().rposition(|span| span.key_from <= to.key_from);
    let span = if now.key_from <= to.key_from { Some(&*now) } else { at.map(|at| &before[at]) };
    if !span.is_some_and(|span| moved(span, to)) {
        return false;
    }
    if now.key_from <= to.key_from {
        before.push(std::mem::replace(now, to.clone()));
        return true;
    }
    let behind = at.map_or(0, |at| at + 1);
    for later in before[behind..].iter_mut().chain([now]) {
        later.seat.parent.clone_from(&to.seat.parent);
    }
    before.insert(behind, to.clone());
    true
}

/// Whether a member follows another by nothing but its place in the tree.
fn moved(before: &Member, after: &Member) -> bool {
    let seat = Seat { parent: after.seat.parent.clone(), ..before.seat.clone() };
    after.key_from > before.key_from
        && *after == Member { seat, key_from: after.key_from, ..before.clone() }
}

impl Directory {
    pub(super) fn call_move(&self, called: Move) -> Result<Vec<Event>, Refusal> {
        let Move { office, parent, .. } = &called;
        let member = self.member(office)?;
        let above = self.members.get(parent).map(|above| above.seat.tier);
        // One city, so nobody but a township can be put anywhere else.
        if member.seat.tier != Tier::Township || above != Some(Tier::District) {
            let detail = "镇街方可调整,且应置于已注册的区县之下 / a township alone moves, below an enrolled district";
            return Err(Refusal::new(Code::UnknownParent).detail(detail));
        }
        let moving = self.moving.get(office);
        let stands = moving.is_none() && member.seat.parent.as_ref() == Some(parent);
        if stands || moving == Some(parent) {
            return Ok(vec![]);
        }
        // What is called for is done before another thing is: its log is on its way.
        if let Some(to) = moving {
            let detail = format!("正在调整至 {to} / it is moving below {to}");
            return Err(Refusal::new(Code::WrongState).detail(detail));
        }
        if self.proposed.contains_key(office) {
            let detail = "新纪元尚待同意 / a new life of its log waits for consent";
            return Err(Refusal::new(Code::WrongState).detail(detail));
        }
        Ok(vec![Event::MoveCalled { called }])
    }

    pub(super) fn note_move(
        &self,
        office: &OfficeId,
        parent: OfficeId,
        from: u64,
    ) -> Result<Vec<Event>, Refusal> {
        let mut now = self.member(office)?.clone();
        let called = self.moving.get(office) == Some(&parent);
        if !called && now.seat.parent.as_ref() == Some(&parent) {
            // A new life of its log stands where the one before stood.
            return Ok(vec![]);
        }
        // A new life may have begun behind an entry that had not arrived yet.
        let mut before = self.before.get(office).cloned().unwrap_or_default();
        let span = before.iter().chain([&now]).rfind(|span| span.key_from <= from).unwrap_or(&now);
        let seat = Seat { parent: Some(parent), ..span.seat.clone() };
        let member = Member { seat, key_from: from, ..span.clone() };
        if !called || !place(&mut before, &mut now, &member) {
            return Err(Code::WrongState.into());
        }
        Ok(vec![Event::Moved { member }])
    }

    /// Takes in that an office has moved.
    pub(super) fn move_to(&mut self, to: &Member) {
        let (office, parent) = (to.seat.office.clone(), to.seat.parent.clone());
        self.moving.remove(&office);
        let before = self.before.entry(office.clone()).or_default();
        if let Some(now) = self.members.get_mut(&office) {
            place(before, now, to);
        }
        // The consents are to its key and its log, not to its place.
        if let Some((opening, _)) = self.proposed.get_mut(&office) {
            opening.member.seat.parent = parent;
        }
    }

    /// An office's keys and lives go on with this member.
    pub(super) fn go_on(&mut self, member: &Member) {
        let office = member.seat.office.clone();
        self.used.push(member.key);
        if let Some(before) = self.members.insert(office.clone(), member.clone()) {
            self.before.entry(office).or_default().push(before);
        }
    }
}

//! 线索办理 Clue case: a clue at an organ that received it, from delivery to the result.
//!
//! ```text
//! Delivered ─▶ Accepted ─▶ Held ─▶ Proposed ─▶ Handling ─▶ Resulted ─▶ FedBack
//!     └▶ Returned  └▶ Void          ▲  └▶ (Held for review, Concluded)
//!                                   └──── change of disposition, approved again
//! ```
//! `model.md` 3.12. One offer has one such stream, and it answers once. What a reader
//! would get wrong: after the acceptance nobody may act yet; custody comes with the
//! offerer's release, and an offer that was withdrawn never brings it.

mod said;

use kernel::{Aggregate, Code, Context, Day, OfficeId, Refusal, id::stream_owner};

pub use said::{Coming, Command, Disposition, Event, State};

use crate::{
    another,
    clue::{Brief, Outcome},
    custody::{self, At, Hold, PersonSignature},
    envelope::number,
};

/// What the rules need to know.
#[derive(Clone, Debug, Default)]
pub struct ClueCase {
    state: State,
    coming: Option<Box<Coming>>,
    hold: Hold,
    proposal: Option<(Disposition, String)>,
    disposition: Option<Disposition>,
    outcome: Option<Outcome>,
    handler: Option<String>,
    inquiring: bool,
}

/// The words of a receipt.
pub const RECEIVES: &str = "clue-case.accept";

impl Aggregate for ClueCase {
    type Command = Command;
    type Event = Event;
    const FAMILY: &'static str = "clue-case";

    fn name(event: &Event) -> &'static str {
        match event {
            Event::Delivered { .. } => "delivered",
            Event::Accepted { .. } => "accepted",
            Event::Registered { .. } => "registered",
            Event::Returned { .. } => "returned",
            Event::Voided => "voided",
            Event::CustodyTaken => "custody-taken",
            Event::Assigned { .. } => "assigned",
            Event::DispositionProposed { .. } => "disposition-proposed",
            Event::DispositionApproved { .. } => "disposition-approved",
            Event::ProgressRecorded { .. } => "progress-recorded",
            Event::InquirySent { .. } => "inquiry-sent",
            Event::InquiryReplied { .. } => "inquiry-replied",
            Event::HeldClueReviewed { .. } => "held-clue-reviewed",
            Event::ResultRecorded { .. } => "result-recorded",
            Event::ResultFedBack { .. } => "result-fed-back",
            Event::Reopened => "reopened",
            Event::ReopeningPassedOn { .. } => "reopening-passed-on",
            Event::Custody(event) => event.name(),
        }
    }

    fn addressees(event: &Event) -> Vec<OfficeId> {
        match event {
            Event::Delivered { coming } => vec![coming.from.office.clone()],
            Event::Accepted { from, .. } | Event::Returned { from, .. } => vec![from.clone()],
            Event::ResultFedBack { to, .. } => vec![to.clone()],
            Event::ReopeningPassedOn { to, .. } => vec![to.office.clone()],
            Event::Custody(event) => event.addressees(),
            _ => Vec::new(),
        }
    }

    fn decide(&self, command: Command, context: &Context) -> Result<Vec<Event>, Refusal> {
        use State::{Absent, Accepted, Delivered, Returned, Void};
        match (self.state, command) {
            (Absent, Command::NoteDelivery(coming)) => Ok(vec![Event::Delivered { coming }]),
            (_, Command::NoteDelivery(_)) => Ok(vec![]),
            // The withdrawal may come before the bytes: then the offer is over unseen.
            (Absent | Delivered | Accepted, Command::NoteWithdrawal) => Ok(vec![Event::Voided]),
            (_, Command::NoteWithdrawal) => Ok(vec![]),
            (Absent, _) => Err(Code::ClueAbsent.into()),
            (Delivered, Command::Accept { brief, receipt }) => self.accept(brief, receipt, context),
            (Delivered, Command::Return(reason)) => {
                let coming = self.coming()?;
                let (offer, from) = (coming.offer.clone(), coming.from.office.clone());
                Ok(vec![Event::Returned { offer, reason, from }])
            }
            (Returned, Command::Return(_)) => Ok(vec![]),
            (Accepted, Command::NoteRelease) => Ok(vec![Event::CustodyTaken]),
            (_, Command::NoteRelease) if self.hold.at() != At::Nowhere => Ok(vec![]),
            (Void, Command::Accept { .. } | Command::Return(_)) => Err(Code::OfferWithdrawn.into()),
            // It went on from here: so does the word.
            (State::Released, Command::NoteReopening) => {
                let went = self.hold.released_to();
                let on = went.map(|(to, turn)| Event::ReopeningPassedOn { to, turn });
                Ok(on.into_iter().collect())
            }
            (_, Command::Withdraw) => Ok(custodial(self.hold.withdraw()?)),
            (_, Command::NoteAnswer(answer)) => Ok(custodial(self.hold.note(answer)?)),
            (_, command) => {
                self.hold.held()?;
                self.handle(command, context)
            }
        }
    }

    fn evolve(&mut self, event: &Event) {
        self.state = match event {
            Event::Delivered { coming } => {
                self.coming = Some(coming.clone());
                State::Delivered
            }
            Event::Accepted { .. } => State::Accepted,
            Event::Registered { .. } | Event::ProgressRecorded { .. } => self.state,
            Event::HeldClueReviewed { .. } | Event::ReopeningPassedOn { .. } => self.state,
            Event::InquirySent { .. } => {
                self.inquiring = true;
                self.state
            }
            Event::InquiryReplied { .. } => {
                self.inquiring = false;
                self.state
            }
            Event::Returned { .. } => State::Returned,
            Event::Voided => State::Void,
            Event::CustodyTaken => {
                self.hold.take();
                State::Held
            }
            Event::Assigned { person } => {
                self.handler = Some(person.clone());
                self.state
            }
            Event::DispositionProposed { disposition, by } => {
                self.proposal = Some((*disposition, by.clone()));
                State::Proposed
            }
            Event::DispositionApproved { disposition, .. } => {
                (self.proposal, self.disposition) = (None, Some(*disposition));
                self.inquiring = false;
                match disposition {
                    Disposition::HeldForReview => State::Waiting,
                    Disposition::Concluded => State::Concluded,
                    Disposition::TalkOrInquiry | Disposition::PreliminaryVerification => {
                        State::Handling
                    }
                }
            }
            Event::ResultRecorded { outcome } => {
                self.outcome = Some(*outcome);
                State::Resulted
            }
            Event::ResultFedBack { .. } => State::FedBack,
            Event::Reopened => {
                (self.outcome, self.disposition, self.proposal) = (None, None, None);
                State::Held
            }
            Event::Custody(event) => {
                self.hold.evolve(event);
                if self.hold.at() == At::Released { State::Released } else { self.state }
            }
        };
    }
}

fn custodial(events: Vec<custody::Event>) -> Vec<Event> {
    events.into_iter().map(Event::Custody).collect()
}

impl ClueCase {
    /// What came.
    pub fn coming(&self) -> Result<&Coming, Refusal> {
        self.coming.as_deref().ok_or_else(|| Code::ClueAbsent.into())
    }

    /// Where custody stands here.
    pub const fn at(&self) -> At {
        self.hold.at()
    }

    fn accept(
        &self,
        brief: Brief,
        receipt: PersonSignature,
        context: &Context,
    ) -> Result<Vec<Event>, Refusal> {
        let coming = self.coming()?.clone();
        let Coming { offer, clue, content, from, .. } = coming;
        receipt.check(&context.actor.person, RECEIVES, &clue, &content)?;
        let from = from.office;
        let accepted = Event::Accepted { offer, clue, content, receipt, from };
        Ok(vec![accepted, Event::Registered { brief }])
    }

    /// What only its holder does.
    fn handle(&self, command: Command, context: &Context) -> Result<Vec<Event>, Refusal> {
        use State::{Concluded, FedBack, Handling, Held, Proposed, Resulted, Waiting};
        let by = context.actor.person.clone();
        match (self.state, command) {
            (_, Command::Assign(person)) if self.handler.as_ref() == Some(&person) => Ok(vec![]),
            (_, Command::Assign(person)) => Ok(vec![Event::Assigned { person }]),
            (Held | Proposed | Handling | Waiting, Command::Propose(disposition)) => {
                Ok(vec![Event::DispositionProposed { disposition, by }])
            }
            (Proposed, Command::Approve { review }) => self.approve(review, context),
            (Handling, Command::Progress) => Ok(vec![Event::ProgressRecorded { by }]),
            (Handling, Command::SendInquiry(letter)) => self.inquire(letter, by),
            (Handling | Proposed, Command::NoteReply) if self.inquiring => {
                Ok(vec![Event::InquiryReplied { by }])
            }
            (Waiting, Command::ReviewHeld { next }) => {
                soon(next, context)?;
                Ok(vec![Event::HeldClueReviewed { next }])
            }
            (Handling | Concluded | Resulted, Command::Result(outcome)) => {
                if self.state == Resulted && self.outcome == Some(outcome) {
                    return Ok(vec![]);
                }
                Ok(vec![Event::ResultRecorded { outcome }])
            }
            (Resulted, Command::FeedBack) => {
                let clue = self.coming()?.clue.clone();
                let to = stream_owner(&format!("clue/{clue}")).ok_or(Code::ClueAbsent)?;
                let outcome = self.outcome.unwrap_or_default();
                Ok(vec![Event::ResultFedBack { clue, outcome, to }])
            }
            (FedBack, Command::FeedBack) => Ok(vec![]),
            (FedBack, Command::NoteReopening) => Ok(vec![Event::Reopened]),
            (_, Command::NoteReopening) => Ok(vec![]),
            (Held | Proposed | Handling | Waiting, Command::Offer(offer)) => {
                let coming = self.coming()?;
                if offer.content != coming.content || offer.number != coming.number + 1 {
                    return Err(Code::ContentDiffers.into());
                }
                Ok(vec![Event::Custody(self.hold.offer(offer)?)])
            }
            _ => Err(Code::WrongState.into()),
        }
    }

    /// A letter goes out where talk or inquiry was approved; one at a time is waited for.
    fn inquire(&self, letter: String, by: String) -> Result<Vec<Event>, Refusal> {
        if self.disposition != Some(Disposition::TalkOrInquiry) || self.inquiring {
            return Err(Code::WrongState.into());
        }
        number("letter", &letter)?;
        Ok(vec![Event::InquirySent { letter, by }])
    }

    /// Who proposed it does not approve it (guard G4); a held item has a day on which it
    /// is looked at again.
    fn approve(&self, review: Option<Day>, context: &Context) -> Result<Vec<Event>, Refusal> {
        let (disposition, first) = self.proposal.as_ref().ok_or(Code::WrongState)?;
        another(first, context)?;
        let waits = *disposition == Disposition::HeldForReview;
        if waits != review.is_some() || review.is_some_and(|day| day <= context.day()) {
            let why = "review: a later day, for held-for-review only";
            return Err(Refusal::new(Code::BadField).detail(why));
        }
        review.map_or(Ok(()), |day| soon(day, context))?;
        let by = context.actor.person.clone();
        Ok(vec![Event::DispositionApproved { disposition: *disposition, by, review }])
    }
}

/// A held clue is looked at again within a year, or nobody would be reminded of it.
fn soon(day: Day, context: &Context) -> Result<(), Refusal> {
    if (1..=366).contains(&day.days_after(context.day())) {
        return Ok(());
    }
    Err(Refusal::new(Code::UnfitChoice).detail("review: within a year"))
}

#[cfg(test)]
mod tests;

//! Custody of one clue at one holder.

use kernel::{Code, OfficeId, Refusal, sign::Hash};

use super::{Event, Offer, Party, PersonSignature, ReturnReason};
use crate::clue_case::RECEIVES;

/// What a receiver answers, as its offerer notes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Which offer of the stream.
    pub turn: u32,
    /// Who answers.
    pub by: OfficeId,
    /// Its entry.
    pub basis: Hash,
    /// Why it goes back; nothing accepts it.
    pub returned: Option<ReturnReason>,
    /// The content that was accepted, and the registrar's own word for it.
    pub receipt: Option<(Hash, PersonSignature)>,
}

/// Where custody stands at one holder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum At {
    /// Not here, or not yet.
    #[default]
    Nowhere,
    /// Here: who holds may act.
    Held,
    /// Offered; still answered for here, and nobody may act.
    Offered,
    /// Gone for good.
    Released,
}

/// Custody of one clue at one holder.
#[derive(Clone, Debug, Default)]
pub struct Hold {
    at: At,
    turn: u32,
    offer: Option<(String, u32, Party)>,
    content: Option<Hash>,
    returned: Option<ReturnReason>,
}

impl Hold {
    /// Where it stands.
    pub const fn at(&self) -> At {
        self.at
    }

    /// Why the last offer came back, if it did.
    pub const fn returned(&self) -> Option<ReturnReason> {
        self.returned
    }

    /// Custody begins here.
    pub fn take(&mut self) {
        if self.at == At::Nowhere {
            self.at = At::Held;
        }
    }

    /// It is opened again before it was handed over; offers go on being counted.
    pub fn put_back(&mut self) {
        (self.at, self.returned) = (At::Nowhere, None);
    }

    /// Refuses whoever does not hold.
    pub fn held(&self) -> Result<(), Refusal> {
        match self.at {
            At::Held => Ok(()),
            At::Nowhere | At::Offered | At::Released => Err(Code::NotTheHolder.into()),
        }
    }

    /// Offers it.
    pub fn offer(&self, offer: Box<Offer>) -> Result<Event, Refusal> {
        self.held()?;
        if offer.to == offer.from {
            return Err(Refusal::new(Code::BadField).detail("to: the holder itself"));
        }
        let papers = offer.papers();
        Ok(Event::Offered { turn: self.turn + 1, offer, papers })
    }

    /// Withdraws the open offer; one that is over already stays so.
    pub fn withdraw(&self) -> Result<Vec<Event>, Refusal> {
        match (&self.at, &self.offer) {
            (At::Offered, Some((_, _, to))) => {
                Ok(vec![Event::OfferWithdrawn { turn: self.turn, to: to.clone() }])
            }
            (At::Held, _) if self.turn > 0 => Ok(vec![]),
            _ => Err(Code::WrongState.into()),
        }
    }

    /// Notes the receiver's answer. Only the open offer has one; an answer to another, or
    /// a second one, changes nothing.
    pub fn note(&self, answer: Answer) -> Result<Vec<Event>, Refusal> {
        let Answer { turn, by, basis, returned, receipt } = answer;
        let open = self.offer.as_ref().filter(|_| self.at == At::Offered && turn == self.turn);
        let Some((clue, number, to)) = open else { return Ok(vec![]) };
        if to.office != by {
            return Err(Code::NotAllowed.into());
        }
        // What was received is what was offered, by somebody's own word.
        if returned.is_none() {
            let (content, word) = receipt.ok_or(Code::SignatureWrong)?;
            if self.content != Some(content) {
                return Err(Code::ContentDiffers.into());
            }
            word.check(&word.by, RECEIVES, clue, &content)?;
        }
        Ok(vec![match returned {
            Some(reason) => Event::OfferReturned { turn, basis, reason },
            None => {
                Event::Released { turn, clue: clue.clone(), number: *number, to: to.clone(), basis }
            }
        }])
    }

    /// To whom it has gone, and by which offer.
    pub fn released_to(&self) -> Option<(Party, u32)> {
        let (_, _, to) = self.offer.as_ref().filter(|_| self.at == At::Released)?;
        Some((to.clone(), self.turn))
    }

    /// Takes an event in.
    pub fn evolve(&mut self, event: &Event) {
        match event {
            Event::Offered { turn, offer, .. } => {
                (self.at, self.returned) = (At::Offered, None);
                self.turn = *turn;
                self.offer = Some((offer.clue.clone(), offer.number, offer.to.clone()));
                self.content = Some(offer.content);
            }
            Event::OfferWithdrawn { .. } => (self.at, self.offer) = (At::Held, None),
            Event::OfferReturned { reason, .. } => {
                (self.at, self.offer, self.returned) = (At::Held, None, Some(*reason));
            }
            Event::Released { .. } => self.at = At::Released,
        }
    }
}

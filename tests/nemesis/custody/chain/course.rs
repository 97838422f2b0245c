//! The course of custody in one stream.

use std::collections::BTreeMap;

use domain::{
    clue, clue_case,
    custody::{Event as Custody, Offer, OfferRef},
};
use kernel::sign::Hash;

use super::{Said, Word};

/// Where custody stands in a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Stand {
    /// Not here, or not yet.
    #[default]
    Nowhere,
    /// Whoever this stream belongs to may act.
    Able,
    /// Offered: nobody may act.
    Offered,
    /// Released.
    Gone,
}

/// How an offer ended.
#[derive(Clone, Debug)]
pub(super) enum End<'a> {
    Withdrawn,
    Returned { word: &'a Word, basis: Hash },
    Released { word: &'a Word, basis: Hash },
}

impl End<'_> {
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Withdrawn => "that was withdrawn",
            Self::Returned { .. } => "that was returned",
            Self::Released { .. } => "that was released",
        }
    }
}

/// One offer of a stream.
#[derive(Clone, Debug)]
pub(super) struct Offered<'a> {
    pub(super) word: &'a Word,
    pub(super) what: &'a Offer,
    pub(super) end: Option<End<'a>>,
}

/// One stream, read from its beginning.
pub(super) struct Course<'a> {
    pub(super) stream: &'a str,
    pub(super) stand: Stand,
    pub(super) offers: BTreeMap<u32, Offered<'a>>,
    pub(super) delivered: Option<(&'a Word, &'a OfferRef)>,
    pub(super) accepted: Option<&'a Word>,
    pub(super) returned: Option<&'a Word>,
    pub(super) taken: Option<&'a Word>,
    voided: bool,
    last: u32,
}

impl<'a> Course<'a> {
    pub(super) fn of(stream: &'a str, mut words: Vec<&'a Word>, wrong: &mut Vec<String>) -> Self {
        let mut course = Self {
            stream,
            stand: Stand::Nowhere,
            offers: BTreeMap::new(),
            delivered: None,
            accepted: None,
            returned: None,
            taken: None,
            voided: false,
            last: 0,
        };
        words.sort_by_key(|word| (word.version, word.at.sequence));
        for (version, word) in (1..).zip(words) {
            if kernel::id::stream_owner(stream).as_ref() != Some(&word.at.origin) {
                wrong.push(format!("{}: {stream} is another's", word.at));
            }
            if word.version != version {
                wrong.push(format!("{}: {stream} has v{} for v{version}", word.at, word.version));
            }
            let why = match &word.said {
                Said::Clue(event) => course.clue(word, event),
                Said::Case(event) => course.case(word, event),
            };
            wrong.extend(why.map(|why| format!("{}: {stream}: {why}", word.at)));
        }
        course
    }

    /// Whether an answer or the word after it is still to come.
    pub(super) const fn waits(&self) -> bool {
        let over = self.voided || self.returned.is_some() || self.taken.is_some();
        self.delivered.is_some() && !over
    }

    /// Whoever acts, holds.
    fn acts(&self, word: &Word) -> Option<String> {
        let able = self.stand == Stand::Able;
        (!able).then(|| format!("{} while it stands {:?}", word.name(), self.stand))
    }

    fn clue(&mut self, word: &'a Word, event: &'a clue::Event) -> Option<String> {
        use clue::Event::{Custody, Dropped, HandedOnPaper, Rerouted, Revised, Sealed};
        match event {
            Sealed { .. } => {
                let again = self.stand != Stand::Nowhere;
                self.stand = Stand::Able;
                again.then(|| "sealed twice".to_owned())
            }
            // Before it is sealed, and once it came back, the team mends or drops it.
            Revised { .. } | Dropped { .. } => {
                let why = (self.stand != Stand::Nowhere).then(|| self.acts(word)).flatten();
                self.stand = Stand::Nowhere;
                why
            }
            Rerouted { .. } | HandedOnPaper { .. } => self.acts(word),
            Custody(event) => self.custody(word, event),
            _ => None,
        }
    }

    fn case(&mut self, word: &'a Word, event: &'a clue_case::Event) -> Option<String> {
        use clue_case::Event::{
            Accepted, Custody, CustodyTaken, Delivered, Registered, ReopeningPassedOn, Returned,
            Voided,
        };
        let open = self.delivered.is_some()
            && self.accepted.is_none()
            && self.returned.is_none()
            && !self.voided;
        match event {
            Delivered { coming } => {
                let again = self.delivered.replace((word, &coming.offer)).is_some() || self.voided;
                again.then(|| "delivered again".to_owned())
            }
            Accepted { .. } => {
                self.accepted = Some(word);
                (!open).then(|| "accepted what is not open".to_owned())
            }
            Returned { .. } => {
                self.returned = Some(word);
                (!open).then(|| "returned what is not open".to_owned())
            }
            Voided => {
                self.voided = true;
                self.taken.map(|taken| format!("voided after {}", taken.at))
            }
            CustodyTaken => {
                let fit = self.accepted.is_some() && !self.voided && self.taken.is_none();
                (self.taken, self.stand) = (Some(word), Stand::Able);
                (!fit).then(|| "custody taken unaccepted, twice or of what is void".to_owned())
            }
            Registered { .. } | ReopeningPassedOn { .. } => None,
            Custody(event) => self.custody(word, event),
            _ => self.acts(word),
        }
    }

    fn custody(&mut self, word: &'a Word, event: &'a Custody) -> Option<String> {
        if let Custody::Offered { turn, offer, .. } = event {
            let why = self.acts(word);
            let next = *turn == self.last + 1;
            (self.stand, self.last) = (Stand::Offered, *turn);
            let what: &'a Offer = offer;
            self.offers.insert(*turn, Offered { word, what, end: None });
            return why.or_else(|| (!next).then(|| format!("offer {turn} out of turn")));
        }
        let (turn, end, stand) = match event {
            Custody::Offered { turn, .. } | Custody::OfferWithdrawn { turn, .. } => {
                (*turn, End::Withdrawn, Stand::Able)
            }
            Custody::OfferReturned { turn, basis, .. } => {
                (*turn, End::Returned { word, basis: *basis }, Stand::Able)
            }
            Custody::Released { turn, basis, .. } => {
                (*turn, End::Released { word, basis: *basis }, Stand::Gone)
            }
        };
        let open = self.stand == Stand::Offered && turn == self.last;
        self.stand = stand;
        let Some(offer) = self.offers.get_mut(&turn) else {
            return Some(format!("{} of an offer that was never made", word.name()));
        };
        let mut why =
            (!open || offer.end.is_some()).then(|| format!("{} of a closed offer", word.name()));
        if let Custody::Released { clue, number, to, .. } = event
            && (*clue != offer.what.clue || *number != offer.what.number || *to != offer.what.to)
        {
            why = Some(format!("released to {to:?}, offered to {:?}", offer.what.to));
        }
        // A release that stands beside another end is the one that counts against it.
        if offer.end.is_none() || matches!(end, End::Released { .. }) {
            offer.end = Some(end);
        }
        why
    }
}

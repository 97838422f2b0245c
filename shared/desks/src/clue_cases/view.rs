//! What is shown of a clue at an organ that received it, and of the offers that came.

use std::collections::BTreeMap;

use access::{Matter, Subject};
use domain::{
    clue::{Brief, Outcome},
    clue_case::{Disposition, State},
    custody::{Offer, OfferRef, Party, PersonSignature},
};
use kernel::{
    Class, Code, Day, EntryRef, OfficeId, Timestamp, id::stream_owner, sealed::SealedPart,
    sign::Hash,
};
use policy::{Due, Packs};
use serde::{Deserialize, Serialize};
use web::Governed;

use crate::clues::view::OfferRow;

/// Clue cases by id.
pub const CASES: &str = "clue-cases";
/// Offers whose bytes have not all come, by the id of the case that answers them.
pub const OFFERS_IN: &str = "clue-offers-in";

/// An offer that came, until its bytes are here.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OfferIn {
    /// Which offer.
    pub offer: OfferRef,
    /// What it says.
    pub what: Offer,
    /// The entry that holds it.
    pub place: EntryRef,
    /// When it came.
    pub came: Timestamp,
}

/// 函询 A letter to whom a clue is about.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Inquiry {
    /// Its number.
    pub letter: String,
    /// When it went out.
    pub sent: Timestamp,
    /// When the reply came.
    pub replied: Option<Timestamp>,
}

impl Inquiry {
    /// By when it is answered; once it is, by when the inquiry is closed.
    pub(crate) fn due(&self, packs: &Packs) -> Due {
        match self.replied {
            None => packs.due("clue.inquiry_reply", self.sent.day()),
            Some(replied) => packs.due("clue.inquiry_close", replied.day()),
        }
    }
}

/// A clue at its receiver.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct CaseRow {
    /// Its id.
    pub id: String,
    /// This office.
    pub office: Option<OfficeId>,
    /// The clue.
    pub clue: String,
    /// Which hand-over of it.
    pub number: u32,
    /// The offer it answers.
    pub offer: Option<OfferRef>,
    /// Who offered it.
    pub from: Option<Party>,
    /// The organ it was offered to.
    pub to: Option<Party>,
    /// Where it stands.
    pub state: State,
    /// The hash of its content.
    pub content: Option<Hash>,
    /// Who signed it.
    pub signatures: Vec<PersonSignature>,
    /// The sealed content.
    pub part: Option<SealedPart>,
    /// The entry that holds it.
    pub place: Option<EntryRef>,
    /// What may be said of it, once the registry has opened it.
    pub brief: Option<Brief>,
    /// To whom it was assigned.
    pub handler: Option<String>,
    /// What is proposed.
    pub proposed: Option<Disposition>,
    /// What was approved.
    pub disposition: Option<Disposition>,
    /// When a held item is looked at again.
    pub review: Option<Day>,
    /// The letter that went out last.
    pub inquiry: Option<Inquiry>,
    /// What came of it.
    pub outcome: Option<Outcome>,
    /// The onward offer that is open.
    pub onward: Option<OfferRow>,
    /// The dates of its states.
    pub dates: BTreeMap<String, Timestamp>,
    /// When something last went on with it.
    pub moved: Option<Timestamp>,
    /// The version.
    pub version: u64,
}

impl CaseRow {
    /// The day of one of its states.
    pub(crate) fn day(&self, name: &str) -> Option<Day> {
        self.dates.get(name).map(|at| at.day())
    }

    /// Whether it is about cadres of this office's own authority, as this office itself
    /// found when it was its first holder.
    fn is_of_own_cadres(&self, here: &OfficeId) -> bool {
        let first = stream_owner(&format!("clue/{}", self.clue));
        let own = self.brief.as_ref().is_some_and(Brief::is_of_own_cadres);
        own && first.as_ref() == Some(here) && !self.is_over()
    }

    /// Whether it is not, or no more, with this organ.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.state, State::Returned | State::Void | State::Released)
    }

    /// By when the next thing is to be done with it.
    pub(crate) fn due(&self, packs: &Packs) -> Option<Due> {
        let accepted = |key: &str| self.day("accepted").map(|from| packs.due(key, from));
        match self.state {
            State::Delivered => self.day("delivered").map(|from| packs.due("clue.ack", from)),
            State::Held | State::Proposed => accepted("clue.disposal_proposal"),
            State::Waiting => self.review.map(Due::decided),
            State::Handling => {
                let inquiry = self.inquiry.as_ref().map(|inquiry| inquiry.due(packs));
                let open = inquiry.into_iter().chain(accepted("clue.result_feedback"));
                open.min_by_key(|due| due.day)
            }
            State::Concluded | State::Resulted => accepted("clue.result_feedback"),
            _ => None,
        }
    }

    /// What waits too long: what nobody took up for 24 days, or what did not go on for six
    /// months.
    pub(crate) fn stalls(&self, today: Day, packs: &Packs) -> Vec<&'static str> {
        let over = |key: &str, from: Option<Day>| {
            from.is_some_and(|from| packs.due(key, from).day < today)
        };
        let open = matches!(self.state, State::Held | State::Proposed);
        let handled = matches!(self.state, State::Handling | State::Concluded);
        let unhandled = open && over("clue.stall.unhandled", self.day("accepted"));
        let stands = handled && over("clue.stall.no_progress", self.moved.map(Timestamp::day));
        let named = [(unhandled, "unhandled"), (stands, "no-progress")];
        named.into_iter().filter_map(|(is, name)| is.then_some(name)).collect()
    }
}

impl Governed for CaseRow {
    const VIEW: &'static str = CASES;
    const FAMILY: &'static str = "clue-case";
    const ABSENT: Code = Code::ClueAbsent;

    fn matter(&self, here: &OfficeId) -> Matter<'_> {
        Matter {
            own: self.office.as_ref() == Some(here),
            unit: self.brief.as_ref().map(|brief| brief.unit.as_str()),
            case: Some(&self.id),
            organ: self.to.as_ref().map(|party| party.organ),
            own_cadres: self.is_of_own_cadres(here),
            ..Matter::of(Subject::Of(Class::K10))
        }
    }

    fn possible(&self) -> &'static [&'static str] {
        if self.onward.is_some() {
            return &["clue-case.withdraw"];
        }
        let awaits = self.inquiry.as_ref().is_some_and(|inquiry| inquiry.replied.is_none());
        match self.state {
            State::Delivered => &["clue-case.open", "clue-case.accept", "clue-case.return"],
            State::Accepted => &["clue-case.open"],
            State::Held => {
                &["clue-case.open", "clue-case.assign", "clue-case.propose", "clue-case.offer"]
            }
            State::Proposed => {
                &["clue-case.open", "clue-case.assign", "clue-case.propose", "clue-case.approve"]
            }
            State::Handling if awaits => &[
                "clue-case.open",
                "clue-case.assign",
                "clue-case.propose",
                "clue-case.reply",
                "clue-case.progress",
                "clue-case.result",
            ],
            State::Handling if self.disposition == Some(Disposition::TalkOrInquiry) => &[
                "clue-case.open",
                "clue-case.assign",
                "clue-case.propose",
                "clue-case.inquire",
                "clue-case.progress",
                "clue-case.result",
            ],
            State::Handling => &[
                "clue-case.open",
                "clue-case.assign",
                "clue-case.propose",
                "clue-case.progress",
                "clue-case.result",
            ],
            State::Waiting => &["clue-case.open", "clue-case.review", "clue-case.propose"],
            State::Concluded => &["clue-case.open", "clue-case.result"],
            State::Resulted => &["clue-case.open", "clue-case.result", "clue-case.feed-back"],
            State::FedBack => &["clue-case.open"],
            State::Absent | State::Returned | State::Void | State::Released => &[],
        }
    }
}

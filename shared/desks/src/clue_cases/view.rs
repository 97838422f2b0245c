//! What is shown of a clue at an organ that received it, and of the offers that came.

use std::collections::BTreeMap;

use access::{Matter, Subject};
use domain::{
    clue::{Brief, Event as ClueEvent, Outcome},
    clue_case::{Disposition, Event, State},
    custody::{Event as Custody, Offer, OfferRef, Party, PersonSignature, case_id},
    post::Organ,
};
use event_store::{FoldError, Rows, View};
use kernel::{
    Class, Code, Day, EntryRef, Fact, OfficeId, Timestamp,
    sealed::{Scope, SealedPart},
    sign::Hash,
};
use policy::deadline::due;
use serde::{Deserialize, Serialize};
use web::Governed;

use crate::{
    clues::view::{OFFERS_OUT, OfferRow, offer_out},
    sealing::KEYS_DUE,
};

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

    /// Whether it is not, or no more, with this organ.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.state, State::Returned | State::Void | State::Released)
    }

    /// By when the next thing is to be done with it.
    pub(crate) fn due(&self) -> Option<Day> {
        let accepted = |key: &str| self.day("accepted").map(|from| due(key, from));
        match self.state {
            State::Delivered => self.day("delivered").map(|from| due("clue.ack", from)),
            State::Held | State::Proposed => accepted("clue.disposal_proposal"),
            State::Waiting => self.review,
            State::Handling | State::Concluded | State::Resulted => {
                accepted("clue.result_feedback")
            }
            _ => None,
        }
    }

    /// What waits too long: what nobody took up for 24 days, or what did not go on for six
    /// months.
    pub(crate) fn stalls(&self, today: Day) -> Vec<&'static str> {
        let over = |key: &str, from: Option<Day>| from.is_some_and(|from| due(key, from) < today);
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
            ..Matter::of(Subject::Of(Class::K10))
        }
    }

    fn possible(&self) -> &'static [&'static str] {
        if self.onward.is_some() {
            return &["clue-case.withdraw"];
        }
        match self.state {
            State::Delivered => &["clue-case.open", "clue-case.accept", "clue-case.return"],
            State::Accepted => &["clue-case.open"],
            State::Held => {
                &["clue-case.open", "clue-case.assign", "clue-case.propose", "clue-case.offer"]
            }
            State::Proposed => {
                &["clue-case.open", "clue-case.assign", "clue-case.propose", "clue-case.approve"]
            }
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

/// Folds cases and the offers that lead to them.
#[derive(Debug)]
pub struct CasesView {
    /// The office that receives them.
    pub office: OfficeId,
}

impl View for CasesView {
    fn name(&self) -> &'static str {
        CASES
    }

    fn apply(&self, rows: &mut Rows<'_>, fact: &Fact) -> Result<(), FoldError> {
        let custody = match fact.family() {
            "clue" => match fact.read()? {
                ClueEvent::Custody(custody) => Some(custody),
                _ => None,
            },
            "clue-case" => match fact.read()? {
                Event::Custody(custody) => Some(custody),
                _ => None,
            },
            _ => return Ok(()),
        };
        if let Some(custody) = &custody {
            self.offered(rows, fact, custody)?;
        }
        if fact.family() == "clue-case" {
            onward_delivered(rows, fact)?;
        }
        if fact.family() == "clue-case" && fact.at.origin == self.office {
            return self.own(rows, fact);
        }
        Ok(())
    }
}

/// A receiver's word that every byte of an onward offer is there.
fn onward_delivered(rows: &mut Rows<'_>, fact: &Fact) -> Result<(), FoldError> {
    let Event::Delivered { coming } = fact.read()? else { return Ok(()) };
    let Some(id) = coming.offer.stream.strip_prefix("clue-case/") else { return Ok(()) };
    let Some(mut row) = rows.get::<CaseRow>(CASES, id)? else { return Ok(()) };
    if let Some(offer) = row
        .onward
        .as_mut()
        .filter(|offer| offer.turn == coming.offer.turn && offer.to.office == fact.at.origin)
    {
        offer.delivered = Some(fact.recorded);
        rows.delete(OFFERS_OUT, &coming.offer.stream);
    }
    rows.put(CASES, id, &row)
}

/// Whether an offer speaks for its own office, to an organ that receives clues, and of a
/// key that is its own stream's: nothing that comes from outside reaches other keys here.
fn is_sound(fact: &Fact, offer: &Offer) -> bool {
    let (_, id) = fact.stream.split_once('/').unwrap_or_default();
    let own = matches!(&offer.part.scope, Scope::Case(of, _) if of == id);
    let organ = matches!(offer.to.organ, Organ::DisciplineOrgan | Organ::OrganizationDepartment);
    own && organ && offer.from.office == fact.at.origin
}

impl CasesView {
    /// Offers to this office wait here until their bytes have come.
    fn offered(
        &self,
        rows: &mut Rows<'_>,
        fact: &Fact,
        custody: &Custody,
    ) -> Result<(), FoldError> {
        match custody {
            Custody::Offered { turn, offer, .. } if offer.to.office == self.office => {
                if !is_sound(fact, offer) {
                    return Ok(());
                }
                let id = case_id(&self.office, &fact.stream, *turn);
                // A word that came late is not opened again.
                if rows.get::<CaseRow>(CASES, &id)?.is_some() {
                    return Ok(());
                }
                let reference =
                    OfferRef { stream: fact.stream.clone(), turn: *turn, entry: fact.hash };
                let (what, place) = ((**offer).clone(), fact.original());
                let came = fact.recorded;
                rows.put(OFFERS_IN, &id, &OfferIn { offer: reference, what, place, came })
            }
            _ => Ok(()),
        }
    }

    fn own(&self, rows: &mut Rows<'_>, fact: &Fact) -> Result<(), FoldError> {
        let Some((_, id)) = fact.stream.split_once('/') else { return Ok(()) };
        let coming: Option<OfferIn> = rows.get(OFFERS_IN, id)?;
        if coming.is_some() {
            rows.delete(OFFERS_IN, id);
        }
        let mut row = rows.get::<CaseRow>(CASES, id)?.unwrap_or_default();
        if row.id.is_empty() {
            id.clone_into(&mut row.id);
            row.office = Some(self.office.clone());
        }
        if let Some(OfferIn { what, place, .. }) = coming {
            (row.part, row.place) = (Some(what.part), Some(place));
        }
        row.version = fact.version.unwrap_or(row.version);
        row.moved = Some(fact.recorded);
        let name = fact.kind.split('.').nth(3).unwrap_or_default().to_owned();
        row.dates.insert(name, fact.recorded);
        let event: Event = fact.read()?;
        if let Event::Custody(custody) = &event {
            offer_out(rows, &fact.stream, custody, &self.office)?;
        }
        let was_over = row.is_over();
        turned(&mut row, event, fact);
        // What is not, or no more, with this organ, opens here no more.
        if let Some(part) = row.part.as_ref().filter(|_| row.is_over() && !was_over) {
            rows.put(KEYS_DUE, &part.scope.to_string(), &id)?;
        }
        rows.put(CASES, id, &row)
    }
}

fn turned(row: &mut CaseRow, event: Event, fact: &Fact) {
    match event {
        Event::Delivered { coming } => {
            (row.clue, row.number) = (coming.clue, coming.number);
            (row.offer, row.content) = (Some(coming.offer), Some(coming.content));
            (row.from, row.to) = (Some(coming.from), Some(coming.to));
            row.signatures = coming.signatures;
            row.state = State::Delivered;
        }
        Event::Accepted { .. } => row.state = State::Accepted,
        Event::Registered { brief } => row.brief = Some(brief),
        Event::Returned { .. } => row.state = State::Returned,
        Event::Voided => row.state = State::Void,
        Event::CustodyTaken => row.state = State::Held,
        Event::Assigned { person } => row.handler = Some(person),
        Event::DispositionProposed { disposition, .. } => {
            (row.proposed, row.state) = (Some(disposition), State::Proposed);
        }
        Event::DispositionApproved { disposition, review, .. } => {
            (row.proposed, row.disposition, row.review) = (None, Some(disposition), review);
            row.state = match disposition {
                Disposition::HeldForReview => State::Waiting,
                Disposition::Concluded => State::Concluded,
                Disposition::TalkOrInquiry | Disposition::PreliminaryVerification => {
                    State::Handling
                }
            };
        }
        Event::ProgressRecorded { .. } | Event::ReopeningPassedOn { .. } => {}
        Event::HeldClueReviewed { next } => row.review = Some(next),
        Event::ResultRecorded { outcome } => {
            (row.outcome, row.state) = (Some(outcome), State::Resulted);
        }
        Event::ResultFedBack { .. } => row.state = State::FedBack,
        Event::Reopened => {
            (row.outcome, row.disposition, row.proposed) = (None, None, None);
            row.state = State::Held;
        }
        Event::Custody(Custody::Offered { turn, offer, .. }) => {
            let (to, offered) = (offer.to, fact.recorded);
            row.onward = Some(OfferRow { turn, to, offered, delivered: None });
        }
        Event::Custody(Custody::OfferWithdrawn { .. } | Custody::OfferReturned { .. }) => {
            row.onward = None;
        }
        Event::Custody(Custody::Released { .. }) => {
            (row.onward, row.state) = (None, State::Released);
        }
    }
}

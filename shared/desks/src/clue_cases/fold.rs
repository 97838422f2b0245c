//! How cases and the offers that lead to them are folded.

use domain::{
    clue::Event as ClueEvent,
    clue_case::{Disposition, Event, State},
    custody::{Event as Custody, Offer, OfferRef, case_id},
    post::Organ,
};
use event_store::{FoldError, Rows, View};
use kernel::{Fact, OfficeId, sealed::Scope};

use super::view::{CASES, CaseRow, Inquiry, OFFERS_IN, OfferIn};
use crate::{
    clues::view::{OFFERS_OUT, OfferRow, offer_out},
    sealing::KEYS_DUE,
};

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

    fn schema(&self) -> &'static str {
        "2"
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
            row.inquiry = None;
            row.state = match disposition {
                Disposition::HeldForReview => State::Waiting,
                Disposition::Concluded => State::Concluded,
                Disposition::TalkOrInquiry | Disposition::PreliminaryVerification => {
                    State::Handling
                }
            };
        }
        Event::ProgressRecorded { .. } | Event::ReopeningPassedOn { .. } => {}
        Event::InquirySent { letter, .. } => {
            row.inquiry = Some(Inquiry { letter, sent: fact.recorded, replied: None });
        }
        Event::InquiryReplied { .. } => {
            if let Some(inquiry) = &mut row.inquiry {
                inquiry.replied = Some(fact.recorded);
            }
        }
        Event::HeldClueReviewed { next } => row.review = Some(next),
        Event::ResultRecorded { outcome } => {
            (row.outcome, row.state) = (Some(outcome), State::Resulted);
        }
        Event::ResultFedBack { .. } => row.state = State::FedBack,
        Event::Reopened => {
            (row.outcome, row.disposition, row.proposed) = (None, None, None);
            (row.inquiry, row.state) = (None, State::Held);
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

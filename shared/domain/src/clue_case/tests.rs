use kernel::sign::Hash;
use testkit::given;

use super::*;
use crate::{
    custody::{OfferRef, Party, ReturnReason},
    post::Organ,
};

fn coming() -> Box<Coming> {
    let party = |office: &str, organ| Party { office: OfficeId::parse(office).unwrap(), organ };
    Box::new(Coming {
        offer: OfferRef { stream: "clue/cccccccc-c1".into(), turn: 1, entry: Hash([1; 32]) },
        clue: "cccccccc-c1".into(),
        number: 1,
        from: party("cccccccc", Organ::InspectionOffice),
        to: party("dddddddd", Organ::DisciplineOrgan),
        content: Hash([2; 32]),
        signatures: Vec::new(),
    })
}

fn held() -> Vec<Event> {
    vec![Event::Delivered { coming: coming() }, Event::CustodyTaken]
}

fn proposed(disposition: Disposition) -> Vec<Event> {
    let mut facts = held();
    facts.push(Event::DispositionProposed { disposition, by: "p1".into() });
    facts
}

#[test]
fn an_offer_is_answered_once() {
    let delivered = || given::<ClueCase>([Event::Delivered { coming: coming() }]);
    delivered().when(Command::NoteDelivery(coming())).then([]);
    let (offer, from) = (coming().offer, coming().from.office);
    let reason = ReturnReason::Incomplete;
    let returned = Event::Returned { offer, reason, from };
    delivered().when(Command::Return(reason)).then([returned.clone()]);
    let over = || given::<ClueCase>([Event::Delivered { coming: coming() }, returned.clone()]);
    over().when(Command::Return(reason)).then([]);
    over().when(Command::NoteRelease).then_refused(Code::NotTheHolder);
}

#[test]
fn what_was_withdrawn_before_it_came_is_over_when_it_comes() {
    given::<ClueCase>([]).when(Command::NoteWithdrawal).then([Event::Voided]);
    let void = || given::<ClueCase>([Event::Voided]);
    void().when(Command::NoteDelivery(coming())).then([]);
    void().when(Command::Return(ReturnReason::Duplicate)).then_refused(Code::OfferWithdrawn);
}

#[test]
fn nobody_acts_before_custody_is_here() {
    let propose = Command::Propose(Disposition::TalkOrInquiry);
    given::<ClueCase>([Event::Delivered { coming: coming() }])
        .when(propose.clone())
        .then_refused(Code::NotTheHolder);
    given::<ClueCase>(held()).by("p1").when(propose).then([Event::DispositionProposed {
        disposition: Disposition::TalkOrInquiry,
        by: "p1".into(),
    }]);
}

#[test]
fn who_proposes_does_not_approve_and_what_is_held_has_a_day() {
    let open = |disposition| given::<ClueCase>(proposed(disposition));
    let approve = |review| Command::Approve { review };
    open(Disposition::TalkOrInquiry).by("p1").when(approve(None)).then_refused(Code::SamePerson);
    let (later, past) = (Day::parse("2024-09-01"), Day::parse("2024-02-01"));
    let held = Disposition::HeldForReview;
    open(held).by("p2").when(approve(None)).then_refused(Code::BadField);
    open(held).by("p2").when(approve(past)).then_refused(Code::BadField);
    open(Disposition::Concluded).by("p2").when(approve(later)).then_refused(Code::BadField);
    open(held).by("p2").when(approve(later)).then([Event::DispositionApproved {
        disposition: held,
        by: "p2".into(),
        review: later,
    }]);
}

#[test]
fn a_result_goes_to_the_first_holder() {
    let mut facts = proposed(Disposition::PreliminaryVerification);
    let (disposition, by) = (Disposition::PreliminaryVerification, "p2".to_owned());
    facts.push(Event::DispositionApproved { disposition, by, review: None });
    given::<ClueCase>(facts.clone()).when(Command::FeedBack).then_refused(Code::WrongState);
    let outcome = crate::clue::Outcome { cases: 1, disciplined: 2, ..Default::default() };
    facts.push(Event::ResultRecorded { outcome });
    let to = OfficeId::parse("cccccccc").unwrap();
    let fed = Event::ResultFedBack { clue: "cccccccc-c1".into(), outcome, to };
    given::<ClueCase>(facts).when(Command::FeedBack).then([fed]);
}

#[test]
fn a_reopening_goes_on_to_whoever_holds_it_and_asks_for_a_new_result() {
    let outcome = crate::clue::Outcome::default();
    let mut facts = held();
    facts.push(Event::DispositionApproved {
        disposition: Disposition::Concluded,
        by: "p2".into(),
        review: None,
    });
    let fed = Event::ResultFedBack {
        clue: "cccccccc-c1".into(),
        outcome,
        to: OfficeId::parse("cccccccc").unwrap(),
    };
    facts.extend([Event::ResultRecorded { outcome }, fed]);
    given::<ClueCase>(facts.clone()).when(Command::NoteReopening).then([Event::Reopened]);
    // The same result once more is a result again.
    facts.push(Event::Reopened);
    facts.push(Event::DispositionApproved {
        disposition: Disposition::Concluded,
        by: "p2".into(),
        review: None,
    });
    given::<ClueCase>(facts)
        .when(Command::Result(outcome))
        .then([Event::ResultRecorded { outcome }]);
    // Where it went on, the word goes on.
    let to = coming().from;
    let released = custody::Event::Released {
        turn: 1,
        clue: "cccccccc-c1".into(),
        number: 2,
        to: to.clone(),
        basis: Hash([3; 32]),
    };
    let offer = Box::new(custody::Offer {
        clue: "cccccccc-c1".into(),
        number: 2,
        from: coming().to,
        to: to.clone(),
        content: Hash([2; 32]),
        part: testkit::sealed_part(),
        grant: Hash([4; 32]),
        signatures: Vec::new(),
    });
    let papers = offer.papers();
    let mut facts = held();
    facts.push(Event::Custody(custody::Event::Offered { turn: 1, offer, papers }));
    facts.push(Event::Custody(released));
    given::<ClueCase>(facts)
        .when(Command::NoteReopening)
        .then([Event::ReopeningPassedOn { to, turn: 1 }]);
}

#[test]
fn one_letter_of_inquiry_is_waited_for_at_a_time_and_only_where_it_was_approved() {
    let approved = |disposition| {
        let mut facts = proposed(disposition);
        let (by, review) = ("p2".into(), None);
        facts.push(Event::DispositionApproved { disposition, by, review });
        facts
    };
    let send = || Command::SendInquiry("HX-2024-3".into());
    let verified = approved(Disposition::PreliminaryVerification);
    given::<ClueCase>(verified).when(send()).then_refused(Code::WrongState);
    let talks = || approved(Disposition::TalkOrInquiry);
    given::<ClueCase>(talks()).when(Command::NoteReply).then_refused(Code::WrongState);
    let named = Command::SendInquiry("某某同志".into());
    given::<ClueCase>(talks()).when(named).then_refused(Code::BadField);
    let sent = Event::InquirySent { letter: "HX-2024-3".into(), by: "p1".into() };
    given::<ClueCase>(talks()).by("p1").when(send()).then([sent.clone()]);
    let mut waiting = talks();
    waiting.push(sent);
    given::<ClueCase>(waiting.clone()).when(send()).then_refused(Code::WrongState);
    let replied = Event::InquiryReplied { by: "p1".into() };
    given::<ClueCase>(waiting.clone()).by("p1").when(Command::NoteReply).then([replied.clone()]);
    waiting.push(replied);
    given::<ClueCase>(waiting.clone()).when(Command::NoteReply).then_refused(Code::WrongState);
    let sent = Event::InquirySent { letter: "HX-2024-3".into(), by: "p1".into() };
    given::<ClueCase>(waiting).by("p1").when(send()).then([sent]);
}

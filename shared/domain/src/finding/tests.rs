use kernel::sealed::{Ciphertext, SealedPart};
use testkit::given;

use super::*;
use crate::Level;

fn id(text: &str) -> OfficeId {
    OfficeId::parse(text).unwrap()
}

fn draft() -> Draft {
    Draft {
        round: "dddddddd-r1".into(),
        round_number: "R1".into(),
        task: "t1".into(),
        target: "o1".into(),
        level: Level::Village,
        category: "三资管理".into(),
        title: "集体资产台账不全".into(),
        text: "台账缺少三年的登记".into(),
        unit_office: id("tttttttt"),
        concerned: vec![],
    }
}

fn sealed() -> (Box<SealedPart>, Ciphertext) {
    (Box::new(testkit::sealed_part()), Ciphertext(vec![7; 272]))
}

fn drafted() -> Event {
    let (part, sealed) = sealed();
    Event::DraftSealed { brief: draft().brief(), part, sealed, by: "p1".into() }
}

fn co_signed() -> Event {
    Event::CoSigned { by: "p2".into() }
}

fn up_to_rectified() -> Vec<Event> {
    let listed = Event::Listed { round: "dddddddd-r1".into(), task: "t1".into() };
    let due = Day::parse("2024-06-01").unwrap();
    let fed_back = Event::FedBack { draft: draft(), due };
    let rectified = Event::Rectified { basis: Hash([1; 32]), by: "p9".into() };
    vec![drafted(), co_signed(), listed, fed_back, rectified]
}

#[test]
fn a_second_handler_is_another_person() {
    given::<Finding>([drafted()]).by("p1").when(Command::CoSign).then_refused(Code::SamePerson);
    given::<Finding>([drafted()]).by("p2").when(Command::CoSign).then([co_signed()]);
}

#[test]
fn a_draft_without_a_second_signature_is_not_listed() {
    given::<Finding>([drafted()]).when(Command::List).then_refused(Code::ListOpen);
}

#[test]
fn an_empty_draft_is_refused() {
    let empty = Saying { title: "台账".into(), text: " ".into() };
    assert_eq!(empty.check().unwrap_err().code, Code::EmptyText);
    let brief = Brief { category: " ".into(), ..draft().brief() };
    let (part, sealed) = sealed();
    let ask = Command::Draft { brief, part, sealed };
    given::<Finding>([]).when(ask).then_refused(Code::EmptyText);
}

#[test]
fn what_was_opened_is_fed_back_in_the_clear() {
    let facts: Vec<_> = up_to_rectified().into_iter().take(3).collect();
    let (_, saying) = draft().apart();
    let due = Day::parse("2024-06-01").unwrap();
    let fed_back = Event::FedBack { draft: draft(), due };
    given::<Finding>(facts).when(Command::FeedBack { saying, due }).then([fed_back]);
}

/// Until drafts were sealed they stood in the clear; those stay readable.
#[test]
fn a_draft_in_the_clear_goes_its_way() {
    let clear = Event::Drafted { draft: draft(), by: "p1".into() };
    given::<Finding>([clear.clone()]).by("p1").when(Command::CoSign).then_refused(Code::SamePerson);
    given::<Finding>([clear]).by("p2").when(Command::CoSign).then([co_signed()]);
}

#[test]
fn feedback_goes_to_the_unit_and_all_concerned() {
    let draft = Draft { concerned: vec![id("eeeeeeee"), id("tttttttt")], ..draft() };
    let event = Event::FedBack { draft, due: Day::parse("2024-06-01").unwrap() };
    assert_eq!(Finding::addressees(&event), [id("tttttttt"), id("eeeeeeee")]);
}

#[test]
fn an_item_is_closed_out_on_the_newest_completion_by_another_person() {
    let close = |byte| Command::CloseOut { basis: Hash([byte; 32]) };
    given::<Finding>(up_to_rectified()).when(close(2)).then_refused(Code::BasisSuperseded);
    given::<Finding>(up_to_rectified()).by("p9").when(close(1)).then_refused(Code::SamePerson);
    let closed = Event::ClosedOut { basis: Hash([1; 32]), unit_office: id("tttttttt") };
    given::<Finding>(up_to_rectified()).when(close(1)).then([closed]);
}

#[test]
fn what_came_back_is_reopened_with_a_reason() {
    let reopen = |reason: &str| Command::Reopen { reason: reason.into() };
    given::<Finding>(up_to_rectified()).when(reopen("")).then_refused(Code::ReasonRequired);
    let reopened = Event::Reopened { reason: "反弹".into(), unit_office: id("tttttttt") };
    given::<Finding>(up_to_rectified()).when(reopen("反弹")).then([reopened]);
}

#[test]
fn only_the_units_own_office_reports_completion() {
    let note =
        |from| Command::NoteRectified { basis: Hash([1; 32]), by: "p9".into(), from: id(from) };
    let facts: Vec<_> = up_to_rectified().into_iter().take(4).collect();
    given::<Finding>(facts.clone()).when(note("eeeeeeee")).then_refused(Code::NotAllowed);
    let rectified = Event::Rectified { basis: Hash([1; 32]), by: "p9".into() };
    given::<Finding>(facts).when(note("tttttttt")).then([rectified]);
}

#[test]
fn asking_twice_changes_nothing() {
    let mut facts = up_to_rectified();
    given::<Finding>(facts.clone()).when(Command::List).then([]);
    facts.truncate(2);
    given::<Finding>(facts).by("p2").when(Command::CoSign).then([]);
}

/// A stored fact must read back for ever: this is its exact form.
#[test]
fn the_stored_form_of_a_fact_does_not_drift() {
    let stored = concat!(
        r#"{"event":"drafted","draft":{"round":"dddddddd-r1","round_number":"R1","task":"t1","#,
        r#""target":"o1","level":"village","category":"三资管理","title":"集体资产台账不全","#,
        r#""text":"台账缺少三年的登记","unit_office":"tttttttt","concerned":[]},"by":"p1"}"#
    );
    let clear = Event::Drafted { draft: draft(), by: "p1".into() };
    assert_eq!(serde_json::to_string(&clear).unwrap(), stored);
    assert_eq!(serde_json::from_str::<Event>(stored).unwrap(), clear);
}

//! Stored forms are frozen: one line of `forms.jsonl` for every event type, which
//! must read and write back byte for byte for ever. A new form is a new type.
#![expect(clippy::unwrap_used, reason = "in a test, a panic is the report")]

use std::collections::BTreeSet;

use kernel::{Aggregate, decider};
use serde_json::{Value, value::RawValue};

const FORMS: &str = include_str!("forms.jsonl");

#[derive(serde::Deserialize)]
struct Form {
    #[serde(rename = "type")]
    kind: String,
    data: Box<RawValue>,
}

fn forms() -> Vec<Form> {
    FORMS.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The type that an aggregate gives the event, and the event written again.
fn again<A: Aggregate>(data: &str) -> (String, String) {
    let event: A::Event = serde_json::from_str(data).unwrap();
    (decider::kind(A::FAMILY, A::name(&event)), serde_json::to_string(&event).unwrap())
}

fn read(family: &str, data: &str) -> (String, String) {
    match family {
        "annual-plan" => again::<domain::annual_plan::AnnualPlan>(data),
        "deadline-policy" => again::<policy::DeadlinePolicy>(data),
        "demo-clock" => again::<domain::demo_clock::DemoClock>(data),
        "directory" => again::<domain::directory::Directory>(data),
        "figures" => again::<domain::figures::Figures>(data),
        "filing" => again::<domain::filing::Filing>(data),
        "filing-review" => again::<domain::filing_review::FilingReview>(data),
        "finding" => again::<domain::finding::Finding>(data),
        "history" => again::<domain::history::History>(data),
        "intake" => again::<event_store::intake::Intake>(data),
        "office" => again::<domain::office::Standing>(data),
        "organization" => again::<domain::organization::Organization>(data),
        "person" => again::<domain::person::Person>(data),
        "reading" => again::<domain::reading::Reading>(data),
        "rectification" => again::<domain::rectification::Rectification>(data),
        "register" => again::<domain::register::Register>(data),
        "round" => again::<domain::round::Round>(data),
        "envelope" => again::<domain::envelope::Envelope>(data),
        "escrow" => again::<domain::escrow::Escrow>(data),
        "certificate" => again::<domain::certificate::Certificate>(data),
        "recusal" => again::<domain::recusal::Recusal>(data),
        "session" => again::<domain::session::Session>(data),
        "clue" => again::<domain::clue::Clue>(data),
        "clue-case" => again::<domain::clue_case::ClueCase>(data),
        "clue-figures" => again::<domain::clue_figures::ClueFigures>(data),
        "identity" => again::<domain::identity::Identity>(data),
        "ledger-key" => again::<domain::ledger_key::LedgerKey>(data),
        "organ-home" => again::<domain::organ_home::OrganHome>(data),
        "organ-key" => again::<domain::organ_key::OrganKey>(data),
        "scope-key" => again::<domain::scope_key::ScopeKey>(data),
        "signing-key" => again::<domain::signing_key::SigningKey>(data),
        "token-key" => again::<domain::token_key::TokenKey>(data),
        "target-list" => again::<domain::target_list::TargetList>(data),
        other => panic!("{other}: no aggregate reads it"),
    }
}

#[test]
fn every_stored_form_reads_and_writes_back_unchanged() {
    for form in forms() {
        let family = form.kind.split('.').nth(2).unwrap();
        let (kind, data) = read(family, form.data.get());
        assert_eq!((kind.as_str(), data.as_str()), (form.kind.as_str(), form.data.get()));
    }
}

#[test]
fn every_event_type_has_its_frozen_form() {
    let frozen: BTreeSet<String> = forms().into_iter().map(|form| form.kind).collect();
    let bound = domain::binding::TABLE.iter().map(|row| decider::kind(row.family, row.name));
    assert_eq!(frozen, bound.collect());
}

#[test]
fn a_form_with_an_unknown_member_is_refused() {
    for form in forms().into_iter().filter(|form| form.kind.contains(".round.")) {
        let mut data: Value = serde_json::from_str(form.data.get()).unwrap();
        data["extra"] = 1.into();
        let read = serde_json::from_value::<domain::round::Event>(data);
        assert!(read.is_err(), "{}", form.kind);
    }
}

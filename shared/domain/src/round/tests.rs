use kernel::{Code, Day};
use testkit::given;

use super::*;

fn plan() -> Plan {
    Plan {
        number: "611024-T4-R01".into(),
        name: "四届县委第一轮巡察".into(),
        kind: Kind::Regular,
        organisation: Organisation::Own,
        reach: Reach::TownWithVillages,
        follow_up: false,
        linked_to: None,
        concerned: vec![],
    }
}

fn task(id: &str, parent: Option<&str>) -> NewTask {
    let level = if parent.is_some() { Level::Village } else { Level::County };
    NewTask {
        id: id.into(),
        target: format!("o-{id}"),
        name: id.into(),
        level,
        parent: parent.map(Into::into),
        unit_office: None,
    }
}

fn day() -> Day {
    Day::parse("2024-03-01").unwrap()
}

fn until(steps: usize) -> Vec<Event> {
    let tasks = vec![task("town", None), task("v1", Some("town"))];
    let ids = || vec!["town".to_owned(), "v1".to_owned()];
    let number = || "611024-T4-R01".to_owned();
    let listed = |task: &str| Event::ListIssued { task: task.into(), findings: 1 };
    let mut all = vec![
        Event::Planned { plan: plan(), by: "p1".into() },
        Event::TasksDefined { tasks },
        Event::Authorised { number: number(), on: day() },
        Event::Entered { plan: plan(), tasks: ids(), of: 2, on: day() },
        Event::Withdrawn { tasks: ids(), last: true, on: day() },
        listed("town"),
        listed("v1"),
        Event::Heard { number: number(), on: day() },
    ];
    all.truncate(steps);
    all
}

#[test]
fn a_round_is_authorised_by_somebody_else_and_only_with_tasks() {
    given::<Round>(until(2)).by("p1").when(Command::Authorise).then_refused(Code::SamePerson);
    given::<Round>(until(1)).by("p2").when(Command::Authorise).then_refused(Code::NoTasks);
    let authorised = Event::Authorised { number: "611024-T4-R01".into(), on: day() };
    given::<Round>(until(2)).by("p2").when(Command::Authorise).then([authorised]);
}

#[test]
fn a_linked_round_names_what_it_is_linked_with() {
    let linked = Plan { organisation: Organisation::Linked, ..plan() };
    given::<Round>([]).when(Command::Plan(linked)).then_refused(Code::LinkMissing);
}

#[test]
fn every_village_has_a_list_of_its_own_before_the_hearing() {
    given::<Round>(until(6)).when(Command::Hear).then_refused(Code::ListMissing);
    let heard = Event::Heard { number: "611024-T4-R01".into(), on: day() };
    given::<Round>(until(7)).when(Command::Hear).then([heard]);
}

#[test]
fn no_finding_is_signed_by_two() {
    let none = || Command::RecordNoFinding { task: "v1".into() };
    let signed = Event::NoFindingSigned { task: "v1".into(), by: "p3".into() };
    given::<Round>(until(6)).by("p3").when(none()).then([signed.clone()]);
    let mut facts = until(6);
    facts.push(signed);
    given::<Round>(facts.clone()).by("p3").when(none()).then_refused(Code::SamePerson);
    let recorded = Event::NoFindingRecorded { task: "v1".into(), by: "p4".into() };
    given::<Round>(facts).by("p4").when(none()).then([recorded]);
}

#[test]
fn the_town_is_fed_back_first_and_the_last_feedback_opens_rectification() {
    let deliver = |task: &str| Command::DeliverFeedback { task: task.into(), findings: 1 };
    given::<Round>(until(8)).when(deliver("v1")).then_refused(Code::WrongState);
    let mut facts = until(8);
    facts.push(Event::FeedbackDelivered { task: "town".into(), findings: 1, on: day() });
    let number = || "611024-T4-R01".to_owned();
    given::<Round>(facts).when(deliver("v1")).then([
        Event::FeedbackDelivered { task: "v1".into(), findings: 1, on: day() },
        Event::FedBack { number: number(), on: day() },
        Event::RectificationOpened { number: number() },
    ]);
}

#[test]
fn nothing_is_skipped() {
    for (steps, command) in [
        (2, Command::Enter(vec![])),
        (3, Command::Withdraw(vec![])),
        (4, Command::Hear),
        (5, Command::DeliverFeedback { task: "town".into(), findings: 1 }),
        (8, Command::Archive { open_findings: 0 }),
    ] {
        given::<Round>(until(steps)).by("p2").when(command).then_refused(Code::WrongState);
    }
    given::<Round>([]).when(Command::Hear).then_refused(Code::RoundAbsent);
    let unknown = Command::Withdraw(vec!["x".into()]);
    given::<Round>(until(4)).when(unknown).then_refused(Code::TaskAbsent);
}

#[test]
fn an_open_finding_keeps_a_round_from_the_archive() {
    let mut facts = until(8);
    facts.push(Event::RectificationOpened { number: "611024-T4-R01".into() });
    let archive = |open_findings| Command::Archive { open_findings };
    given::<Round>(facts.clone()).when(archive(3)).then_refused(Code::WrongState);
    let archived = Event::Archived { number: "611024-T4-R01".into(), on: day() };
    given::<Round>(facts).when(archive(0)).then([archived]);
}

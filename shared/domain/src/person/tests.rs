//! Persons: posts, links, factors.

use super::*;
use testkit::given;

fn role(id: &str, role: &str, from: &str, to: Option<&str>) -> Authorisation {
    Authorisation {
        id: id.into(),
        role: role.into(),
        scope: "office".into(),
        from: Day::parse(from).unwrap(),
        to: to.map(|day| Day::parse(day).unwrap()),
    }
}

fn registered() -> Event {
    Event::Registered { account: "zhang".into(), display: "甲".into() }
}

fn ask(authorisation: Authorisation) -> Command {
    Command::Authorise { tier: Tier::District, authorisation }
}

#[test]
fn a_role_exists_at_its_tier_only() {
    let ask = ask(role("a", "C_PLAN", "2024-01-01", None));
    given::<Person>([registered()]).when(ask).then_refused(Code::UnknownRole);
}

#[test]
fn nobody_holds_two_administrators_posts_at_a_time() {
    let facts = |to| {
        let authorisation = role("a", "D_SYS", "2024-01-01", to);
        [registered(), Event::Authorised { authorisation }]
    };
    let auditor = || role("b", "D_AUDADM", "2024-06-01", None);
    given::<Person>(facts(None)).when(ask(auditor())).then_refused(Code::RolesExclusive);
    let given = given::<Person>(facts(Some("2024-05-31")));
    given.when(ask(auditor())).then([Event::Authorised { authorisation: auditor() }]);
}

#[test]
fn an_administrator_holds_no_other_post() {
    let facts = |held: &str| {
        let authorisation = role("a", held, "2024-01-01", None);
        [registered(), Event::Authorised { authorisation }]
    };
    let planner = role("b", "D_PLAN", "2024-06-01", None);
    given::<Person>(facts("D_SYS")).when(ask(planner)).then_refused(Code::RolesExclusive);
    let administrator = role("b", "D_AUDADM", "2024-06-01", None);
    given::<Person>(facts("D_TL")).when(ask(administrator)).then_refused(Code::RolesExclusive);
    let both = role("b", "D_FILE", "2024-06-01", None);
    let authorised = Event::Authorised { authorisation: both.clone() };
    given::<Person>(facts("D_PLAN")).when(ask(both)).then([authorised]);
}

#[test]
fn a_post_covers_what_its_role_can_cover() {
    let given_to = |name: &str, scope: &str| {
        let mut authorisation = role("a", name, "2024-01-01", None);
        scope.clone_into(&mut authorisation.scope);
        ask(authorisation)
    };
    for (name, scope) in [
        ("D_PLAN", "round:d-r1"),
        ("D_NRD", "office"),
        ("D_PL", "office"),
        ("D_TL", "organ:o1"),
        ("D_UNIT", "round:d-r1"),
        ("D_TL", "everything"),
    ] {
        let refused = given::<Person>([registered()]).when(given_to(name, scope));
        refused.then_refused(Code::BadField);
    }
    for (name, scope) in [("D_TL", "task:d-r1/t1"), ("D_UNIT", "organ:o1"), ("D_TL", "office")] {
        let ask = given_to(name, scope);
        let Command::Authorise { authorisation, .. } = ask.clone() else { unreachable!() };
        given::<Person>([registered()]).when(ask).then([Event::Authorised { authorisation }]);
    }
}

#[test]
fn ending_a_post_only_shortens_it() {
    let end = |to: &str| Command::EndAuthorisation { id: "a".into(), to: Day::parse(to).unwrap() };
    let facts = |to| {
        let authorisation = role("a", "D_SYS", "2020-01-01", to);
        [registered(), Event::Authorised { authorisation }]
    };
    let today = testkit::context("p1").now.day().to_string();
    let ended = Event::AuthorisationEnded { id: "a".into(), to: Day::parse(&today).unwrap() };
    given::<Person>(facts(None)).when(end(&today)).then([ended]);
    given::<Person>(facts(None)).when(end("2019-12-31")).then_refused(Code::BadField);
    given::<Person>(facts(None)).when(end("2020-01-02")).then_refused(Code::BadField);
    let again = ask(role("a", "D_SYS", "2020-01-01", Some("2020-06-01")));
    given::<Person>(facts(None)).when(again).then_refused(Code::AuthorisationExists);
    let past = facts(Some("2020-02-01"));
    given::<Person>(past).when(end("2199-12-31")).then_refused(Code::BadField);
}

#[test]
fn an_account_is_written_in_one_way() {
    for account in ["Zhang", "zhang ", "", "张"] {
        let (account, display) = (account.to_owned(), "甲".to_owned());
        let ask = Command::Register { account, display };
        given::<Person>([]).when(ask).then_refused(Code::BadField);
    }
}

#[test]
fn a_link_works_once_and_in_time() {
    let hash = Hash([3; 32]);
    let issued = Event::LinkIssued { hash, expires: Timestamp(1000) };
    let spend = |at| Command::SpendLink { hash, at: Timestamp(at) };
    let facts = || vec![registered(), issued.clone()];
    given::<Person>(facts()).when(spend(1001)).then_refused(Code::LinkSpent);
    given::<Person>(facts()).when(spend(1000)).then([Event::LinkSpent { hash }]);
    let mut spent = facts();
    spent.push(Event::LinkSpent { hash });
    given::<Person>(spent).when(spend(1000)).then_refused(Code::LinkSpent);
}

#[test]
fn an_identity_stands_for_a_person_until_it_does_not() {
    let identity = Hash::of(&[b"issuer", b"subject"]);
    let bound = Event::IdentityBound { identity };
    let bind = |identity| Command::BindIdentity(identity);
    given::<Person>([registered()]).when(bind(Some(identity))).then([bound.clone()]);
    given::<Person>([registered()]).when(bind(None)).then([]);
    given::<Person>([registered(), bound.clone()]).when(bind(Some(identity))).then([]);
    let other = Some(Hash::of(&[b"issuer", b"another"]));
    given::<Person>([registered(), bound.clone()])
        .when(bind(other))
        .then_refused(Code::IdentityBound);
    given::<Person>([registered(), bound]).when(bind(None)).then([Event::IdentityUnbound]);
}

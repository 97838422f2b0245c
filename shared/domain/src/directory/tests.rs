use super::*;
use kernel::sign::{EventKey, Signature};
use testkit::given;

fn seat(office: &str, tier: Tier, parent: Option<&str>) -> Seat {
    Seat {
        office: OfficeId::parse(office).unwrap(),
        tier,
        parent: parent.and_then(OfficeId::parse),
        code: "611000".into(),
        name: "巡察办".into(),
    }
}

fn key() -> PublicKey {
    EventKey::from_seed(&[5; 32]).unwrap().public()
}

fn key_of(seed: u8) -> EventKey {
    EventKey::from_seed(&[seed; 32]).unwrap()
}

fn founded() -> Event {
    let seat = seat("cccccccc", Tier::City, None);
    Event::Founded {
        city: Member { seat, key: key_of(1).public(), epoch: 1, key_from: 1 },
        demo: true,
    }
}

fn invited() -> Event {
    let seat = seat("dddddddd", Tier::District, Some("cccccccc"));
    Event::Invited { seat, token: Hash([1; 32]), expires: Timestamp(100) }
}

fn enrol(token: u8, at: i64, demo: bool) -> Command {
    let token = Hash([token; 32]);
    Command::Enrol { token, at: Timestamp(at), key: key(), demo, baselines: vec![] }
}

#[test]
fn a_token_enrols_once_in_time_and_only_its_kind() {
    let facts = || vec![founded(), invited()];
    given::<Directory>(facts()).when(enrol(2, 1, true)).then_refused(Code::TokenSpent);
    given::<Directory>(facts()).when(enrol(1, 101, true)).then_refused(Code::TokenSpent);
    given::<Directory>(facts()).when(enrol(1, 1, false)).then_refused(Code::DemoMixed);
    let seat = seat("dddddddd", Tier::District, Some("cccccccc"));
    let enrolled = Event::Enrolled {
        member: Member { seat, key: key(), epoch: 1, key_from: 1 },
        token: Hash([1; 32]),
        baselines: vec![],
    };
    given::<Directory>(facts()).when(enrol(1, 1, true)).then([enrolled.clone()]);
    let mut spent = facts();
    spent.push(enrolled);
    given::<Directory>(spent).when(enrol(1, 1, true)).then_refused(Code::TokenSpent);
}

#[test]
fn an_office_hangs_under_an_enrolled_parent_of_the_tier_above() {
    let invite = |seat| Command::Invite { seat, token: Hash([2; 32]), expires: Timestamp(9) };
    let town = seat("tttttttt", Tier::Township, Some("cccccccc"));
    given::<Directory>([founded()]).when(invite(town)).then_refused(Code::UnknownParent);
    let orphan = seat("dddddddd", Tier::District, Some("xxxxxxxx"));
    given::<Directory>([founded()]).when(invite(orphan)).then_refused(Code::UnknownParent);
}

fn office(id: &str) -> OfficeId {
    OfficeId::parse(id).unwrap()
}

fn district(id: &str, seed: u8) -> Event {
    let seat = seat(id, Tier::District, Some("cccccccc"));
    let member = Member { seat, key: key_of(seed).public(), epoch: 1, key_from: 1 };
    Event::Enrolled { member, token: Hash([seed; 32]), baselines: vec![] }
}

/// The city, four districts and a token for `dddddddd` to go on with.
fn four() -> Vec<Event> {
    let mut facts = vec![founded()];
    for (id, seed) in [("dddddddd", 11), ("eeeeeeee", 12), ("ffffffff", 13), ("gggggggg", 14)] {
        facts.push(district(id, seed));
    }
    let seat = seat("dddddddd", Tier::District, Some("cccccccc"));
    facts.push(Event::Invited { seat, token: Hash([9; 32]), expires: Timestamp(100) });
    facts
}

const CLOSED: Closed = Closed { sequence: 40, hash: Hash([4; 32]) };

fn reopen(seed: u8) -> Command {
    let (token, key) = (Hash([9; 32]), key_of(seed).public());
    let asked = asked(seed);
    Command::Reopen { token, at: Timestamp(1), key, demo: true, closed: CLOSED, asked }
}

fn asked(seed: u8) -> Signature {
    let words = asked_words(&office("dddddddd"), &key_of(seed).public(), &Hash([9; 32]));
    Signature(key_of(seed).sign(&words))
}

fn opening(seed: u8) -> Opening {
    let seat = seat("dddddddd", Tier::District, Some("cccccccc"));
    let member = Member { seat, key: key_of(seed).public(), epoch: 2, key_from: 41 };
    Opening { member, closed: CLOSED, token: Hash([9; 32]), asked: asked(seed) }
}

fn consent(by: &str, seed: u8, opening: &Opening) -> Consent {
    let signature = Signature(key_of(seed).sign(&words(opening)));
    Consent { by: office(by), signature }
}

fn ask(consent: Consent) -> Command {
    Command::Consent { office: office("dddddddd"), epoch: 2, consent }
}

#[test]
fn an_office_that_keeps_its_key_goes_on_at_the_city_s_word_alone() {
    let opened = Event::EpochOpened { opening: opening(11), consents: vec![] };
    given::<Directory>(four()).when(reopen(11)).then([opened]);
}

#[test]
fn another_key_needs_more_than_half_of_the_other_districts() {
    let proposed = Event::EpochProposed { opening: opening(21) };
    given::<Directory>(four()).when(reopen(21)).then([proposed.clone()]);
    let mut facts = four();
    facts.push(proposed);
    let (first, second) =
        (consent("eeeeeeee", 12, &opening(21)), consent("ffffffff", 13, &opening(21)));
    let consented = |consent: &Consent| {
        let consent = consent.clone();
        Event::EpochConsented { office: office("dddddddd"), epoch: 2, consent }
    };
    given::<Directory>(facts.clone()).when(ask(first.clone())).then([consented(&first)]);
    facts.push(consented(&first));
    // The same one again, or a word that another key has signed, counts for nothing.
    given::<Directory>(facts.clone()).when(ask(first.clone())).then([]);
    let forged = consent("ffffffff", 12, &opening(21));
    given::<Directory>(facts.clone()).when(ask(forged)).then_refused(Code::WrongState);
    let consents = vec![first, second.clone()];
    let opened = Event::EpochOpened { opening: opening(21), consents };
    given::<Directory>(facts).when(ask(second.clone())).then([consented(&second), opened]);
}

#[test]
fn a_reader_counts_the_districts_words_itself() {
    let keys: Vec<_> = [("eeeeeeee", 12), ("ffffffff", 13), ("gggggggg", 14)]
        .map(|(id, seed)| (office(id), key_of(seed).public()))
        .into();
    let key_of_office = |by: &OfficeId| keys.iter().find(|(id, _)| id == by).map(|(_, key)| key);
    let before = Member { epoch: 1, key_from: 1, key: key_of(11).public(), ..opening(21).member };
    let believed = |opening: &Opening, consents: &[Consent]| {
        proven(&before, opening, consents, Some(3), key_of_office)
    };
    let (two, other) = (opening(21), opening(22));
    let both = [consent("eeeeeeee", 12, &two), consent("ffffffff", 13, &two)];
    assert!(believed(&two, &both));
    assert!(!believed(&two, &both[..1]));
    assert!(!believed(&two, &[both[0].clone(), both[0].clone()]));
    assert!(!believed(&other, &both), "the words are for one key");
    assert!(!proven(&before, &two, &both, None, key_of_office), "nobody knows how many there are");
    let elsewhere = Opening { closed: Closed { sequence: 39, ..CLOSED }, ..two.clone() };
    assert!(!believed(&elsewhere, &both), "it does not begin where the one before ended");
    let unasked = Opening { asked: asked(22), ..two.clone() };
    assert!(!believed(&unasked, &both), "the office has not asked for it");
    let own = consent("dddddddd", 11, &two);
    assert!(!believed(&two, &[both[0].clone(), own]), "an office does not vouch for itself");
}

#[test]
fn a_key_is_turned_to_as_called_and_never_twice_the_same() {
    let key = key_of(31).public();
    let call = |key| Command::CallTurn { office: office("dddddddd"), key };
    let called = Event::TurnCalled { office: office("dddddddd"), key };
    given::<Directory>(four()).when(call(key)).then([called.clone()]);
    given::<Directory>(four()).when(call(key_of(12).public())).then_refused(Code::KeyUsed);
    let by = |seed: u8| {
        let words = crate::office::offer_words(&office("dddddddd"), 1, &key);
        Signature(key_of(seed).sign(&words))
    };
    let note = |by| Command::NoteTurn { office: office("dddddddd"), key, from: 8, by };
    given::<Directory>(four()).when(note(by(11))).then_refused(Code::WrongState);
    let mut facts = four();
    facts.push(called);
    let member = Member { key, epoch: 1, key_from: 8, ..opening(31).member };
    // The city alone does not turn an office's key.
    given::<Directory>(facts.clone()).when(note(by(12))).then_refused(Code::WrongState);
    given::<Directory>(facts.clone())
        .when(note(by(11)))
        .then([Event::Turned { member: member.clone(), by: by(11) }]);
    // A key that was turned away from is never called again.
    facts.push(Event::Turned { member, by: by(11) });
    given::<Directory>(facts).when(call(key_of(11).public())).then_refused(Code::KeyUsed);
}

/// A city with two districts and a township below the first.
fn two_districts() -> Vec<Event> {
    let mut facts = vec![founded()];
    let places = [
        ("dddddddd", Tier::District, "cccccccc", 2),
        ("eeeeeeee", Tier::District, "cccccccc", 3),
        ("tttttttt", Tier::Township, "dddddddd", 4),
    ];
    for (office, tier, parent, seed) in places {
        let seat = seat(office, tier, Some(parent));
        let member = Member { seat, key: key_of(seed).public(), epoch: 1, key_from: 1 };
        facts.push(Event::Enrolled { member, token: Hash([seed; 32]), baselines: vec![] });
    }
    facts
}

fn put(office: &str, parent: &str) -> Move {
    let (office, parent) = (OfficeId::parse(office).unwrap(), OfficeId::parse(parent).unwrap());
    Move { office, parent, until: vec![], baselines: vec![] }
}

fn moved_to(parent: &str, from: u64) -> Event {
    let seat = seat("tttttttt", Tier::Township, Some(parent));
    Event::Moved { member: Member { seat, key: key_of(4).public(), epoch: 1, key_from: from } }
}

#[test]
fn a_township_is_put_below_a_district_and_nothing_else() {
    let call = |office: &str, parent: &str| Command::CallMove { called: put(office, parent) };
    let called = Event::MoveCalled { called: put("tttttttt", "eeeeeeee") };
    given::<Directory>(two_districts()).when(call("tttttttt", "eeeeeeee")).then([called]);
    given::<Directory>(two_districts()).when(call("tttttttt", "dddddddd")).then([]);
    for (office, parent) in [
        ("tttttttt", "cccccccc"),
        ("tttttttt", "tttttttt"),
        ("tttttttt", "zzzzzzzz"),
        ("dddddddd", "eeeeeeee"),
        ("cccccccc", "cccccccc"),
    ] {
        let wanted = given::<Directory>(two_districts()).when(call(office, parent));
        wanted.then_refused(Code::UnknownParent);
    }
    let wanted = given::<Directory>(two_districts()).when(call("zzzzzzzz", "dddddddd"));
    wanted.then_refused(Code::UnknownOffice);
}

#[test]
fn a_move_that_was_called_is_made_before_another_is_called() {
    let mut facts = two_districts();
    facts.push(Event::MoveCalled { called: put("tttttttt", "eeeeeeee") });
    let call = |parent: &str| Command::CallMove { called: put("tttttttt", parent) };
    given::<Directory>(facts.clone()).when(call("eeeeeeee")).then([]);
    given::<Directory>(facts.clone()).when(call("dddddddd")).then_refused(Code::WrongState);
    facts.push(moved_to("eeeeeeee", 9));
    let back = Event::MoveCalled { called: put("tttttttt", "dddddddd") };
    given::<Directory>(facts).when(call("dddddddd")).then([back]);
}

#[test]
fn an_office_has_moved_where_it_was_called_to_from_a_later_entry_on() {
    let note = |parent: &str, from: u64| Command::NoteMove {
        office: OfficeId::parse("tttttttt").unwrap(),
        parent: OfficeId::parse(parent).unwrap(),
        from,
    };
    let facts = two_districts;
    given::<Directory>(facts()).when(note("eeeeeeee", 9)).then_refused(Code::WrongState);
    given::<Directory>(facts()).when(note("dddddddd", 9)).then([]);
    let mut called = facts();
    called.push(Event::MoveCalled { called: put("tttttttt", "eeeeeeee") });
    given::<Directory>(called.clone()).when(note("eeeeeeee", 1)).then_refused(Code::WrongState);
    given::<Directory>(called.clone()).when(note("dddddddd", 9)).then([]);
    given::<Directory>(called).when(note("eeeeeeee", 9)).then([moved_to("eeeeeeee", 9)]);
}

/// The new life began behind the move's entry, which arrived later.
#[test]
fn a_move_in_a_life_that_is_over_holds_in_the_next_one_too() {
    let mut facts = two_districts();
    facts.push(Event::MoveCalled { called: put("tttttttt", "eeeeeeee") });
    let closed = Closed { sequence: 60, hash: Hash([6; 32]) };
    let renewed = |parent: &str| Member {
        seat: seat("tttttttt", Tier::Township, Some(parent)),
        key: key_of(9).public(),
        epoch: 2,
        key_from: 61,
    };
    let (token, asked) = (Hash([8; 32]), Signature(vec![]));
    let opening = Opening { member: renewed("dddddddd"), closed, token, asked };
    facts.push(Event::EpochOpened { opening, consents: vec![] });
    let office = OfficeId::parse("tttttttt").unwrap();
    let parent = OfficeId::parse("eeeeeeee").unwrap();
    let note = Command::NoteMove { office: office.clone(), parent, from: 51 };
    let moved = moved_to("eeeeeeee", 51);
    given::<Directory>(facts.clone()).when(note).then([moved.clone()]);
    let mut directory = Directory::default();
    facts.iter().chain([&moved]).for_each(|fact| directory.evolve(fact));
    assert_eq!(directory.enrolled(&office), Some(&renewed("eeeeeeee")));
}

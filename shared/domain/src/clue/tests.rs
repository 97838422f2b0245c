use std::sync::LazyLock;

use kernel::{
    sealed::SealedPart,
    sign::{EventKey, Signature},
};
use testkit::given;

use super::*;
use crate::{
    Level,
    clue_case::RECEIVES,
    custody::{Answer, Event as Custody, statement},
};

const CLUE: &str = "dddddddd-c1";
static KEY: LazyLock<EventKey> = LazyLock::new(|| EventKey::from_seed(&[5; 32]).unwrap());

fn hash(text: &str) -> Hash {
    Hash::of(&[text.as_bytes()])
}

fn part() -> Box<SealedPart> {
    Box::new(testkit::sealed_part())
}

fn signature(by: &str, content: &str) -> PersonSignature {
    let signature = Signature(KEY.sign(&statement(SIGNS, CLUE, &hash(content)).0));
    PersonSignature { by: by.into(), key: KEY.public(), signature }
}

fn sign(by: &str, content: &str) -> Command {
    Command::Sign { clue: CLUE.into(), signature: signature(by, content) }
}

fn drafted(authority: Authority, of_the_chain: bool) -> Vec<Event> {
    let brief = Brief {
        round: "d-r1".into(),
        task: "k1".into(),
        unit: "d-v1".into(),
        level: Level::Village,
        source: Source::Talk,
        rank_band: RankBand::Village,
        principal_leader: false,
        authority,
        of_the_chain,
    };
    let drafted = Event::Drafted { brief, content: hash("a"), part: part(), by: "p3".into() };
    let with = vec!["p3".into()];
    vec![drafted, Event::Discussed { quality: Quality::Checkable, with, by: "p1".into() }]
}

fn dual_signed(authority: Authority, of_the_chain: bool) -> Vec<Event> {
    let mut facts = drafted(authority, of_the_chain);
    facts.push(Event::FirstSigned { signature: signature("p1", "a") });
    facts.push(Event::DualSigned { signature: signature("p3", "a") });
    facts
}

fn party(office: &str, organ: Organ) -> Party {
    Party { office: OfficeId::parse(office).unwrap(), organ }
}

fn registry() -> Party {
    party("dddddddd", Organ::DisciplineOrgan)
}

fn sealed() -> Vec<Event> {
    let mut facts = dual_signed(Authority::Own, false);
    facts.push(Event::Sealed { route: Some(registry()), by: "p4".into() });
    facts
}

fn offer(to: Party) -> Box<Offer> {
    Box::new(Offer {
        clue: CLUE.into(),
        number: 1,
        from: party("dddddddd", Organ::InspectionOffice),
        to,
        content: hash("a"),
        part: *part(),
        grant: hash("grant"),
        signatures: vec![signature("p1", "a"), signature("p3", "a")],
    })
}

#[test]
fn two_persons_sign_one_content_the_leader_first() {
    let open = || given::<Clue>(drafted(Authority::Own, false));
    let first = Event::FirstSigned { signature: signature("p1", "a") };
    open().acting("p1", "D_TL").when(sign("p1", "a")).then([first.clone()]);
    open().acting("p3", "D_TM").when(sign("p3", "a")).then_refused(Code::NotAllowed);
    // Another content, another person's signature, another act: refused.
    open().acting("p1", "D_TL").when(sign("p1", "b")).then_refused(Code::SignatureWrong);
    open().acting("p1", "D_TL").when(sign("p2", "a")).then_refused(Code::SignatureWrong);
    let one = || {
        let mut facts = drafted(Authority::Own, false);
        facts.push(first.clone());
        given::<Clue>(facts)
    };
    one().acting("p1", "D_TM").when(sign("p1", "a")).then_refused(Code::SamePerson);
    one().acting("p2", "D_TD").when(sign("p2", "a")).then_refused(Code::NotAllowed);
    let second = Event::DualSigned { signature: signature("p3", "a") };
    one().acting("p3", "D_TM").when(sign("p3", "a")).then([second]);
}

#[test]
fn a_change_voids_the_signatures() {
    let mut facts = dual_signed(Authority::Own, false);
    let revised = Event::Revised { content: hash("b"), part: part(), by: "p3".into() };
    let revise = Command::Revise { content: hash("b"), part: part() };
    given::<Clue>(facts.clone()).by("p3").when(revise).then([revised.clone()]);
    facts.push(revised);
    let seal = || Command::Seal(Ways::default());
    given::<Clue>(facts.clone()).by("p4").when(seal()).then_refused(Code::WrongState);
    // A signature over what stood before does not count for what stands now.
    given::<Clue>(facts)
        .acting("p1", "D_TL")
        .when(sign("p1", "a"))
        .then_refused(Code::SignatureWrong);
    given::<Clue>(sealed())
        .by("p3")
        .when(Command::Revise { content: hash("b"), part: part() })
        .then_refused(Code::WrongState);
}

#[test]
fn where_it_goes_follows_from_who_has_authority() {
    let city = OfficeId::parse("cccccccc").unwrap();
    let below = OfficeId::parse("tttttttt").unwrap();
    for (authority, chain, route) in [
        (Authority::Own, false, Some(registry())),
        (Authority::Upper, false, Some(party("cccccccc", Organ::DisciplineOrgan))),
        (Authority::Lower(below), false, Some(party("tttttttt", Organ::DisciplineOrgan))),
        (
            Authority::OrganizationDepartment,
            false,
            Some(party("dddddddd", Organ::OrganizationDepartment)),
        ),
        (Authority::Outside, false, None),
        // What is said of the chain itself skips its circle.
        (Authority::Own, true, Some(party("cccccccc", Organ::DisciplineOrgan))),
    ] {
        let seal = Command::Seal(Ways { parent: Some(city.clone()), ..Ways::default() });
        given::<Clue>(dual_signed(authority, chain))
            .by("p4")
            .when(seal)
            .then([Event::Sealed { route, by: "p4".into() }]);
    }
    let reads = Command::Seal(Ways { parent: Some(city), object_reads: true, ..Ways::default() });
    given::<Clue>(dual_signed(Authority::Own, false))
        .by("p4")
        .when(reads)
        .then_refused(Code::ObjectReads);
}

#[test]
fn it_is_offered_where_it_goes_and_by_its_holder_alone() {
    let city = party("cccccccc", Organ::DisciplineOrgan);
    let (papers, turn) = (offer(registry()).papers(), 1);
    let offered = || {
        Event::Custody(Custody::Offered { turn, offer: offer(registry()), papers: papers.clone() })
    };
    given::<Clue>(sealed()).when(Command::Offer(offer(registry()))).then([offered()]);
    given::<Clue>(sealed())
        .when(Command::Offer(offer(city.clone())))
        .then_refused(Code::WrongState);
    let mut facts = sealed();
    facts.push(offered());
    let open = || given::<Clue>(facts.clone());
    open().when(Command::Offer(offer(registry()))).then_refused(Code::NotTheHolder);
    let withdrawn = Custody::OfferWithdrawn { turn: 1, to: registry() };
    open().when(Command::Withdraw).then([Event::Custody(withdrawn.clone())]);
    let answer = |by: &str| {
        let by = OfficeId::parse(by).unwrap();
        let signed = KEY.sign(&statement(RECEIVES, CLUE, &hash("a")).0);
        let word =
            PersonSignature { by: "p9".into(), key: KEY.public(), signature: Signature(signed) };
        let receipt = Some((hash("a"), word));
        Command::NoteAnswer(Answer { turn: 1, by, basis: hash("x"), returned: None, receipt })
    };
    open().when(answer("cccccccc")).then_refused(Code::NotAllowed);
    let released = Custody::Released {
        turn: 1,
        clue: CLUE.into(),
        number: 1,
        to: registry(),
        basis: hash("x"),
    };
    open().when(answer("dddddddd")).then([Event::Custody(released.clone())]);
    // An acceptance of what was withdrawn moves nothing, however late it comes.
    let mut over = facts.clone();
    over.push(Event::Custody(withdrawn));
    given::<Clue>(over).when(answer("dddddddd")).then([]);
    facts.push(Event::Custody(released));
    given::<Clue>(facts.clone()).when(Command::Withdraw).then_refused(Code::WrongState);
    let paper = Command::HandOnPaper { slip: "XS-1".into(), receipt: "SJ-1".into() };
    given::<Clue>(facts).when(paper).then_refused(Code::WrongState);
}

#[test]
fn only_somebodys_own_word_on_the_very_content_moves_custody() {
    let mut facts = sealed();
    let (offer, papers) = (offer(registry()), offer(registry()).papers());
    facts.push(Event::Custody(Custody::Offered { turn: 1, offer, papers }));
    let other = EventKey::from_seed(&[6; 32]).unwrap();
    let word = |act: &str, clue: &str, content: &str, by: &EventKey| {
        let signature = Signature(by.sign(&statement(act, clue, &hash(content)).0));
        PersonSignature { by: "p9".into(), key: KEY.public(), signature }
    };
    let answered = |receipt, why| {
        let by = registry().office;
        let answer = Answer { turn: 1, by, basis: hash("x"), returned: None, receipt };
        given::<Clue>(facts.clone()).when(Command::NoteAnswer(answer)).then_refused(why);
    };
    answered(None, Code::SignatureWrong);
    answered(Some((hash("b"), word(RECEIVES, CLUE, "b", &KEY))), Code::ContentDiffers);
    for wrong in [
        // Another key, another act, another clue, another content.
        word(RECEIVES, CLUE, "a", &other),
        word(SIGNS, CLUE, "a", &KEY),
        word(RECEIVES, "dddddddd-c2", "a", &KEY),
        word(RECEIVES, CLUE, "b", &KEY),
    ] {
        answered(Some((hash("a"), wrong)), Code::SignatureWrong);
    }
}

#[test]
fn it_goes_elsewhere_only_when_the_receiver_has_no_authority() {
    let parent = OfficeId::parse("cccccccc");
    let ways = Ways { parent, ..Ways::default() };
    let reroute = || Command::Reroute { authority: Authority::Upper, ways: ways.clone() };
    given::<Clue>(sealed()).by("p4").when(reroute()).then_refused(Code::WrongState);
    let back = |reason| {
        let mut facts = sealed();
        let offer = offer(registry());
        let papers = offer.papers();
        facts.push(Event::Custody(Custody::Offered { turn: 1, offer, papers }));
        facts.push(Event::Custody(Custody::OfferReturned { turn: 1, basis: hash("x"), reason }));
        given::<Clue>(facts)
    };
    back(ReturnReason::Incomplete).by("p4").when(reroute()).then_refused(Code::WrongState);
    let route = Some(party("cccccccc", Organ::DisciplineOrgan));
    let rerouted = Event::Rerouted { authority: Authority::Upper, route, by: "p4".into() };
    back(ReturnReason::NotOurAuthority).by("p4").when(reroute()).then([rerouted]);
}

#[test]
fn a_hand_over_list_takes_numbers_and_no_sentence() {
    let paper = |slip: &str| Command::HandOnPaper { slip: slip.into(), receipt: "SJ-1".into() };
    given::<Clue>(sealed()).when(paper("某甲优亲厚友")).then_refused(Code::BadField);
    let done = Event::HandedOnPaper { slip: "XS-7".into(), receipt: "SJ-1".into() };
    given::<Clue>(sealed()).when(paper("XS-7")).then([done]);
}

#[test]
fn it_is_closed_on_a_result_and_reopened_by_two() {
    given::<Clue>(sealed()).when(Command::Close).then_refused(Code::WrongState);
    let mut facts = sealed();
    facts.push(Event::HandedOnPaper { slip: "XS-7".into(), receipt: "SJ-1".into() });
    let (basis, outcome, level) = (hash("x"), Outcome::default(), Level::Village);
    facts.push(Event::ResultNoted { basis, outcome, level });
    let closed = Event::Closed { level, by: "p1".into() };
    given::<Clue>(facts.clone()).by("p1").when(Command::Close).then([closed.clone()]);
    facts.extend([closed, Event::ReopeningAsked { by: "p1".into() }]);
    given::<Clue>(facts.clone()).by("p1").when(Command::Reopen).then_refused(Code::SamePerson);
    let reopened = Event::Reopened { level, by: "p2".into(), holder: None };
    given::<Clue>(facts.clone()).by("p2").when(Command::Reopen).then([reopened.clone()]);
    // What went on paper gets its next result there too, and is closed again.
    facts.push(reopened);
    let noted = Event::ResultNoted { basis: Hash::of(&[b"on paper"]), outcome, level };
    let result = Command::PaperResult(outcome);
    given::<Clue>(facts).when(result).then([noted]);
}

#[test]
fn a_discussion_puts_its_minutes_into_what_is_signed_once() {
    let of = |with: &str| Command::Discuss {
        quality: Quality::Partly,
        with: vec![with.into()],
        content: hash("b"),
        part: part(),
    };
    let fresh = || drafted(Authority::Own, false).into_iter().take(1);
    let minuted = Event::Revised { content: hash("b"), part: part(), by: "p1".into() };
    let with = vec!["p3".into()];
    let discussed = Event::Discussed { quality: Quality::Partly, with, by: "p1".into() };
    given::<Clue>(fresh()).by("p1").when(of("p1")).then_refused(Code::SamePerson);
    given::<Clue>(fresh()).by("p1").when(of("p3")).then([minuted, discussed]);
    given::<Clue>(drafted(Authority::Own, false))
        .by("p1")
        .when(of("p3"))
        .then_refused(Code::WrongState);
}

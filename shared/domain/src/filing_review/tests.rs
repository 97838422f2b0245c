use super::*;
use kernel::Day;
use testkit::given;

fn from() -> OfficeId {
    OfficeId::parse("dddddddd").unwrap()
}

fn noted(number: u8, missing: &[&str]) -> Event {
    let paper = Paper {
        hash: Hash([9; 32]),
        size: 1,
        media: "text/plain".into(),
        name: "a".into(),
        class: "K12".into(),
    };
    Event::SubmissionNoted {
        expectation: Expectation {
            set: "feedback".into(),
            period: "R1".into(),
            from: from(),
            to: OfficeId::parse("cccccccc").unwrap(),
            due: Day::parse("2024-03-15").unwrap(),
            policy: "filing.default".into(),
            proposal: true,
        },
        submission: Submission {
            basis: Hash([number; 32]),
            filing: "f".into(),
            number: number.into(),
            items: [("R9".to_owned(), paper)].into(),
            missing: missing.iter().map(|&code| code.to_owned()).collect(),
            recorded: Timestamp(0),
        },
    }
}

fn receipted() -> Event {
    let (filing, basis, held) = ("f".into(), Hash([1; 32]), vec![Hash([9; 32])]);
    Event::Receipted { filing, basis, held, from: from() }
}

fn judged(rejected: Option<&str>) -> Event {
    let rejected = rejected.map(Into::into);
    Event::ItemJudged { basis: Hash([1; 32]), code: "R9".into(), rejected, from: from() }
}

#[test]
fn nothing_is_judged_before_its_bytes_are_here() {
    let accept = Command::Accept { basis: Hash([1; 32]) };
    given::<FilingReview>([noted(1, &[])]).when(accept).then_refused(Code::NotReceipted);
    given::<FilingReview>([noted(1, &[])]).when(Command::Receipt).then([receipted()]);
}

#[test]
fn an_older_submission_is_not_judged() {
    let judge = Command::JudgeItem { basis: Hash([7; 32]), code: "R9".into(), rejected: None };
    let facts = [noted(1, &[]), receipted()];
    given::<FilingReview>(facts).when(judge).then_refused(Code::BasisSuperseded);
}

#[test]
fn it_is_accepted_when_every_item_is() {
    let accept = || Command::Accept { basis: Hash([1; 32]) };
    let facts = || vec![noted(1, &[]), receipted()];
    given::<FilingReview>(facts()).when(accept()).then_refused(Code::WrongState);
    let mut all = facts();
    all.push(judged(None));
    let accepted = Event::Accepted { filing: "f".into(), basis: Hash([1; 32]), from: from() };
    given::<FilingReview>(all).when(accept()).then([accepted]);
    let incomplete = [noted(1, &["R8"]), receipted(), judged(None)];
    given::<FilingReview>(incomplete).when(accept()).then_refused(Code::WrongState);
}

#[test]
fn it_goes_back_with_a_reason_and_the_items() {
    let back = |reason: &str| Command::Return { basis: Hash([1; 32]), reason: reason.into() };
    let facts = || [noted(1, &[]), receipted(), judged(Some("缺签章"))];
    given::<FilingReview>(facts()).when(back("")).then_refused(Code::ReasonRequired);
    given::<FilingReview>(facts()).when(back("补正")).then([Event::Returned {
        filing: "f".into(),
        basis: Hash([1; 32]),
        reason: "补正".into(),
        items: vec!["R9".into()],
        from: from(),
    }]);
    given::<FilingReview>([noted(1, &[]), receipted()])
        .when(back("补正"))
        .then_refused(Code::WrongState);
}

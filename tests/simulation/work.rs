//! What the clerks of the simulation do: filings with their parent, findings that
//! go to a unit below and come back as completions, judgements.

use domain::{
    filing::{Command as File, Expectation, Filing, Paper},
    filing_review::{Command as Judge, FilingReview},
    finding::{Brief, Command as Find, Finding, Saying},
    rectification::{Command as Rectify, Rectification},
};
use event_store::{Act, Answer, Idempotency, Unit, act};
use kernel::{Actor, Aggregate, Day, OfficeId, sealed::Ciphertext, sign::Hash};

/// One attempt of a clerk, to be repeated with the same key until it is answered.
#[derive(Clone)]
pub(super) struct Attempt {
    /// The office's place in the world.
    pub(super) node: usize,
    pub(super) key: String,
    pub(super) actor: Actor,
    pub(super) act: Act,
    /// The first answer, whether the clerk saw it or not.
    pub(super) answer: Option<Answer>,
    /// Whether the clerk saw an answer.
    pub(super) seen: bool,
}

impl Attempt {
    pub(super) fn idempotency(&self) -> Idempotency {
        Idempotency::new(&self.actor.person, "simulated", &self.key, self.key.as_bytes())
    }
}

fn execute<A: Aggregate>(id: String, command: A::Command) -> Act {
    act(move |unit: &mut Unit<'_>| {
        let (id, command) = (id.clone(), command.clone());
        Box::pin(async move {
            let done = unit.execute::<A>(&id, command).await?;
            let body = format!("{} {} {}", done.stream, done.version, done.added).into_bytes();
            Ok(Answer { status: 200, etag: String::new(), body })
        })
    })
}

fn day(text: &str) -> Day {
    Day::parse(text).unwrap()
}

/// What one clerk of `office` may do about matter `number`, step by step.
pub(super) fn filing(office: &OfficeId, parent: &OfficeId, number: usize, step: usize) -> Act {
    let (set, period) = ("round-plan".to_owned(), format!("S{number}"));
    let (from, to) = (office.clone(), parent.clone());
    let (due, policy) = (day("2024-03-15"), "filing.default".to_owned());
    let expectation = Expectation { set, period, from, to, due, policy, proposal: true };
    let id = expectation.key();
    match step {
        0 => execute::<Filing>(id, File::Expect(expectation)),
        1 => {
            let (media, name) = ("application/pdf".to_owned(), "方案.pdf".to_owned());
            let hash = Hash::of(&[id.as_bytes()]);
            let paper = Paper { hash, size: 9, media, name, class: "K12".to_owned() };
            execute::<Filing>(id, File::Attach { code: "R1".to_owned(), paper })
        }
        _ => execute::<Filing>(id, File::Submit { partial: true }),
    }
}

/// The parent's judgement of the filing.
pub(super) fn judgement(office: &OfficeId, child: &OfficeId, number: usize) -> Act {
    let key = format!("{child}-round-plan-S{number}");
    execute::<FilingReview>(format!("{office}-{key}"), Judge::Receipt)
}

/// A finding of `office` on a unit of `unit_office`, step by step.
pub(super) fn finding(office: &OfficeId, unit: &OfficeId, number: usize, step: usize) -> Act {
    let id = format!("{office}-f{number}");
    execute::<Finding>(
        id,
        match step {
            0 => Find::Draft {
                brief: Brief {
                    round: format!("{office}-R1"),
                    round_number: "R1".to_owned(),
                    task: "k1".to_owned(),
                    target: "v1".to_owned(),
                    level: domain::Level::Village,
                    category: "A1".to_owned(),
                    unit_office: unit.clone(),
                    concerned: Vec::new(),
                },
                part: Box::new(testkit::sealed_part()),
                sealed: Ciphertext(vec![7; 272]),
            },
            1 => Find::CoSign,
            2 => Find::List,
            3 => Find::FeedBack {
                saying: Saying {
                    title: format!("问题{number}"),
                    text: "现象、定性、责任".to_owned(),
                },
                due: day("2024-06-30"),
            },
            _ => Find::Reopen { reason: "整改不到位".to_owned() },
        },
    )
}

/// The unit's answer to a finding of `team`, step by step.
pub(super) fn rectification(unit: &OfficeId, team: &OfficeId, number: usize, step: usize) -> Act {
    let id = format!("{unit}-{team}-f{number}");
    execute::<Rectification>(
        id,
        if step == 0 {
            let (text, responsible) = ("建立台账".to_owned(), "村委会".to_owned());
            Rectify::PlanMeasure { text, due: day("2999-12-31"), responsible }
        } else {
            Rectify::Complete { report: "已整改".to_owned() }
        },
    )
}

//! 报备 Filing, at the submitter: what is due, what was attached and sent.
//!
//! ```text
//! expected → (items attached) → submitted → returned → submitted … → accepted
//! ```
//! The receiver's judgement lives in `filing-review/…` at the receiver. A
//! submission names the hash of every paper; it is provisional until the
//! receiver holds the bytes.

use std::collections::BTreeMap;

use kernel::{Aggregate, Class, Code, Context, Day, OfficeId, Refusal, sign::Hash};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::material;

/// An attached file, named by its content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Paper {
    /// SHA-256 of the bytes, hexadecimal.
    pub hash: Hash,
    /// Bytes.
    pub size: u64,
    /// The media type.
    pub media: String,
    /// The file's name, without any person's.
    pub name: String,
    /// The class, `K12`; K3 to K8 and K10 may not leave the office.
    pub class: String,
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expectation {
    /// The set of materials.
    pub set: String,
    /// What it is about: a round's number, a year, a half-year.
    pub period: String,
    /// Who files.
    pub from: OfficeId,
    /// With whom.
    pub to: OfficeId,
    /// The legal date.
    pub due: Day,
    /// The deadline's row, the pack or decision, the calendar, and the day it runs from.
    pub policy: String,
    /// Whether the deadline is only proposed.
    pub proposal: bool,
}

impl Expectation {
    /// The part of a filing's id that both sides compute alike.
    pub fn key(&self) -> String {
        format!("{}-{}-{}", self.from, self.set, self.period)
    }

    /// Whether the set exists and the period can stand in an id.
    pub(crate) fn check(&self) -> Result<(), Refusal> {
        material::set(&self.set).ok_or(Code::UnknownMaterial)?;
        crate::plain("period", &self.period)
    }
}

/// Where a filing stands, for its submitter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It does not exist.
    #[default]
    Absent,
    /// 待报
    Expected,
    /// 已报
    Submitted,
    /// 退回补正
    Returned,
    /// 已接收
    Accepted,
}

/// What the rules need to know.
#[derive(Clone, Debug, Default)]
pub struct Filing {
    state: State,
    expectation: Option<Expectation>,
    items: BTreeMap<String, Paper>,
    submissions: u32,
    judged: Option<Hash>,
}

/// What may be asked.
#[derive(Clone, Debug)]
pub enum Command {
    /// 应报
    Expect(Expectation),
    /// 附材料
    Attach {
        /// The material's code.
        code: String,
        /// The paper.
        paper: Paper,
    },
    /// 报送
    Submit {
        /// Whether it is knowingly incomplete.
        partial: bool,
    },
    /// The receiver returned it.
    NoteReturn {
        /// Who returned it.
        by: OfficeId,
        /// The receiver's entry.
        basis: Hash,
        /// Why.
        reason: String,
    },
    /// The receiver accepted it.
    NoteAcceptance {
        /// Who accepted it.
        by: OfficeId,
        /// The receiver's entry.
        basis: Hash,
    },
}

/// What can happen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Event {
    /// It is due.
    Expected {
        /// What is asked for.
        expectation: Expectation,
    },
    /// A paper was attached.
    ItemAttached {
        /// The material's code.
        code: String,
        /// The paper.
        paper: Paper,
    },
    /// It was sent.
    Submitted {
        /// What was asked for.
        expectation: Expectation,
        /// Which submission it is, from 1.
        number: u32,
        /// The attached papers by code.
        items: BTreeMap<String, Paper>,
        /// Required codes that are missing.
        missing: Vec<String>,
        /// The same papers, as the hub reads them to let the receiver fetch.
        papers: Vec<Hash>,
        /// Who sent it.
        by: String,
    },
    /// It came back.
    Returned {
        /// The receiver's entry.
        basis: Hash,
        /// Why.
        reason: String,
    },
    /// It was accepted.
    Accepted {
        /// The receiver's entry.
        basis: Hash,
    },
}

impl Aggregate for Filing {
    type Command = Command;
    type Event = Event;
    const FAMILY: &'static str = "filing";

    fn name(event: &Event) -> &'static str {
        match event {
            Event::Expected { .. } => "expected",
            Event::ItemAttached { .. } => "item-attached",
            Event::Submitted { .. } => "submitted",
            Event::Returned { .. } => "returned",
            Event::Accepted { .. } => "accepted",
        }
    }

    /// Whoever asked for it gets it, and is still answered to after the submitter was put
    /// below another office.
    fn addressees(event: &Event) -> Vec<OfficeId> {
        match event {
            Event::Expected { expectation } | Event::Submitted { expectation, .. } => {
                vec![expectation.to.clone()]
            }
            _ => Vec::new(),
        }
    }

    fn decide(&self, command: Command, context: &Context) -> Result<Vec<Event>, Refusal> {
        use State::{Absent, Accepted, Expected, Returned, Submitted};
        if let Command::NoteReturn { by, .. } | Command::NoteAcceptance { by, .. } = &command
            && self.expectation.as_ref().is_some_and(|expectation| expectation.to != *by)
        {
            return Err(Code::NotAllowed.into());
        }
        match (self.state, command) {
            (Absent, Command::Expect(expectation)) => {
                expectation.check()?;
                Ok(vec![Event::Expected { expectation }])
            }
            (Absent, _) => Err(Code::FilingAbsent.into()),
            (_, Command::Expect(again)) => match &self.expectation {
                Some(known) if known.to != again.to => {
                    let detail = format!("it was asked for by {}", known.to);
                    Err(Refusal::new(Code::WrongState).detail(detail))
                }
                _ => Ok(vec![]),
            },
            (Expected | Returned, Command::Attach { code, paper }) => self.attach(code, paper),
            (Expected | Returned, Command::Submit { partial }) => self.submit(partial, context),
            (Submitted, Command::NoteReturn { basis, reason, .. }) => {
                Ok(vec![Event::Returned { basis, reason }])
            }
            (Submitted, Command::NoteAcceptance { basis, .. }) => {
                Ok(vec![Event::Accepted { basis }])
            }
            (
                Returned | Accepted,
                Command::NoteReturn { basis, .. } | Command::NoteAcceptance { basis, .. },
            ) if self.judged == Some(basis) => Ok(vec![]),
            _ => Err(Code::WrongState.into()),
        }
    }

    fn evolve(&mut self, event: &Event) {
        self.state = match event {
            Event::Expected { expectation } => {
                self.expectation = Some(expectation.clone());
                State::Expected
            }
            Event::ItemAttached { code, paper } => {
                self.items.insert(code.clone(), paper.clone());
                self.state
            }
            Event::Submitted { number, .. } => {
                self.submissions = *number;
                State::Submitted
            }
            Event::Returned { basis, .. } => {
                self.judged = Some(*basis);
                State::Returned
            }
            Event::Accepted { basis } => {
                self.judged = Some(*basis);
                State::Accepted
            }
        };
    }
}

impl Filing {
    fn set(&self) -> Option<&'static material::Set> {
        material::set(&self.expectation.as_ref()?.set)
    }

    fn attach(&self, code: String, paper: Paper) -> Result<Vec<Event>, Refusal> {
        let set = self.set().ok_or(Code::UnknownMaterial)?;
        if !set.items.iter().any(|(item, _)| *item == code) {
            return Err(Refusal::new(Code::ItemAbsent).detail(code));
        }
        let class = Class::parse(&paper.class)
            .ok_or_else(|| Refusal::new(Code::BadField).detail("class: K1 … K14"))?;
        if !class.may_travel() {
            return Err(Refusal::new(Code::PaperSealed).detail(&paper.class));
        }
        if self.items.get(&code) == Some(&paper) {
            return Ok(vec![]);
        }
        Ok(vec![Event::ItemAttached { code, paper }])
    }

    fn submit(&self, partial: bool, context: &Context) -> Result<Vec<Event>, Refusal> {
        let (Some(set), Some(expectation)) = (self.set(), self.expectation.clone()) else {
            return Err(Code::FilingAbsent.into());
        };
        if self.items.is_empty() {
            return Err(Code::NothingAttached.into());
        }
        let required = set.items.iter().filter(|(_, required)| *required);
        let missing: Vec<String> = required
            .filter(|(code, _)| !self.items.contains_key(*code))
            .map(|(code, _)| (*code).to_owned())
            .collect();
        if !missing.is_empty() && !partial {
            return Err(Refusal::new(Code::NothingAttached).detail(missing.join(", ")));
        }
        let papers = self.items.values().map(|paper| paper.hash).collect();
        Ok(vec![Event::Submitted {
            expectation,
            number: self.submissions + 1,
            items: self.items.clone(),
            missing,
            papers,
            by: context.actor.person.clone(),
        }])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use testkit::given;

    fn expectation() -> Expectation {
        Expectation {
            set: "round-plan".into(),
            period: "611024-T4-R01".into(),
            from: OfficeId::parse("dddddddd").unwrap(),
            to: OfficeId::parse("cccccccc").unwrap(),
            due: Day::parse("2024-03-15").unwrap(),
            policy: "filing.default".into(),
            proposal: true,
        }
    }

    fn paper(class: &str) -> Paper {
        let (media, name) = ("application/pdf".into(), "方案.pdf".into());
        Paper { hash: Hash([1; 32]), size: 9, media, name, class: class.into() }
    }

    fn expected() -> Event {
        Event::Expected { expectation: expectation() }
    }

    fn attached(code: &str) -> Event {
        Event::ItemAttached { code: code.into(), paper: paper("K12") }
    }

    #[test]
    fn a_paper_of_a_secret_class_does_not_leave_the_office() {
        let attach = |class| Command::Attach { code: "R1".into(), paper: paper(class) };
        given::<Filing>([expected()]).when(attach("K3")).then_refused(Code::PaperSealed);
        given::<Filing>([expected()]).when(attach("K99")).then_refused(Code::BadField);
        given::<Filing>([expected()]).when(attach("K12")).then([attached("R1")]);
    }

    #[test]
    fn only_what_the_checklist_names_is_attached() {
        let attach = Command::Attach { code: "A3".into(), paper: paper("K12") };
        given::<Filing>([expected()]).when(attach).then_refused(Code::ItemAbsent);
    }

    #[test]
    fn an_incomplete_submission_says_so_or_is_refused() {
        let submit = |partial| Command::Submit { partial };
        given::<Filing>([expected()]).when(submit(true)).then_refused(Code::NothingAttached);
        let facts = || [expected(), attached("R1")];
        given::<Filing>(facts()).when(submit(false)).then_refused(Code::NothingAttached);
        given::<Filing>(facts()).when(submit(true)).then([Event::Submitted {
            expectation: expectation(),
            number: 1,
            items: [("R1".to_owned(), paper("K12"))].into(),
            missing: vec!["R2".into()],
            papers: vec![Hash([1; 32])],
            by: "p1".into(),
        }]);
    }

    #[test]
    fn an_expectation_arises_once() {
        given::<Filing>([expected()]).when(Command::Expect(expectation())).then([]);
    }
}

//! 报备审核 Filing review, at the receiver: expected, receipted, judged.
//!
//! ```text
//! expected → submitted (provisional) → receipted → under-review → accepted
//!                 ▲                                     └───→ returned ─┐
//!                 └──────────────── submitted again ◀───────────────────┘
//! ```
//! The receiver keeps its own expectations, from plans and the calendar too, so
//! that a silent office is overdue here although it has said nothing.

use std::collections::BTreeMap;

use kernel::{Aggregate, Code, Context, OfficeId, Refusal, Timestamp, sign::Hash};
use serde::{Deserialize, Serialize};

use crate::{
    filing::{Expectation, Paper},
    filled,
};

/// Where a filing stands, for its receiver.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It does not exist.
    #[default]
    Absent,
    /// 应报未报
    Expected,
    /// 已报,附件未到齐
    Submitted,
    /// 已收件
    Receipted,
    /// 审核中
    UnderReview,
    /// 退回补正
    Returned,
    /// 已接收
    Accepted,
}

/// A submission as it arrived.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Submission {
    /// The leaf hash of the submitting entry.
    pub basis: Hash,
    /// The submitter's filing.
    pub filing: String,
    /// Which submission it is, from 1.
    pub number: u32,
    /// The papers by code.
    pub items: BTreeMap<String, Paper>,
    /// Required codes that are missing.
    pub missing: Vec<String>,
    /// When the submitter recorded it; lateness is judged by it.
    pub recorded: Timestamp,
}

/// What the rules need to know.
#[derive(Clone, Debug, Default)]
pub struct FilingReview {
    state: State,
    from: Option<OfficeId>,
    submission: Option<Submission>,
    verdicts: BTreeMap<String, bool>,
}

/// What may be asked.
#[derive(Clone, Debug)]
pub enum Command {
    /// 应报: by a trigger that the submitter told, by plan or by the calendar
    Expect {
        /// What is asked for.
        expectation: Expectation,
        /// `trigger`, `plan` or `calendar`.
        source: String,
    },
    /// A submission arrived.
    NoteSubmission {
        /// What was asked for, as the submitter says.
        expectation: Expectation,
        /// The submission.
        submission: Submission,
    },
    /// 收件回执: every paper's bytes are here.
    Receipt,
    /// 逐项审核
    JudgeItem {
        /// The judged submission.
        basis: Hash,
        /// The material's code.
        code: String,
        /// Why it is rejected; nothing accepts it.
        rejected: Option<String>,
    },
    /// 退回补正
    Return {
        /// The judged submission.
        basis: Hash,
        /// Why.
        reason: String,
    },
    /// 接收
    Accept {
        /// The judged submission.
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
        /// `trigger`, `plan` or `calendar`.
        source: String,
    },
    /// A submission arrived; its papers may still be on the way.
    SubmissionNoted {
        /// What was asked for.
        expectation: Expectation,
        /// The submission.
        submission: Submission,
    },
    /// The receipt: these exact bytes are here.
    Receipted {
        /// The submitter's filing.
        filing: String,
        /// The submitting entry.
        basis: Hash,
        /// Every paper's hash.
        held: Vec<Hash>,
        /// The submitter.
        from: OfficeId,
    },
    /// One item was judged.
    ItemJudged {
        /// The judged submission.
        basis: Hash,
        /// The material's code.
        code: String,
        /// Why it was rejected; nothing accepted it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rejected: Option<String>,
        /// The submitter.
        from: OfficeId,
    },
    /// It goes back.
    Returned {
        /// The submitter's filing.
        filing: String,
        /// The judged submission.
        basis: Hash,
        /// Why.
        reason: String,
        /// Rejected or missing codes.
        items: Vec<String>,
        /// The submitter.
        from: OfficeId,
    },
    /// It is accepted.
    Accepted {
        /// The submitter's filing.
        filing: String,
        /// The judged submission.
        basis: Hash,
        /// The submitter.
        from: OfficeId,
    },
}

impl Aggregate for FilingReview {
    type Command = Command;
    type Event = Event;
    const FAMILY: &'static str = "filing-review";

    fn name(event: &Event) -> &'static str {
        match event {
            Event::Expected { .. } => "expected",
            Event::SubmissionNoted { .. } => "submission-noted",
            Event::Receipted { .. } => "receipted",
            Event::ItemJudged { .. } => "item-judged",
            Event::Returned { .. } => "returned",
            Event::Accepted { .. } => "accepted",
        }
    }

    fn decide(&self, command: Command, _: &Context) -> Result<Vec<Event>, Refusal> {
        use State::{Absent, Accepted, Expected, Receipted, Returned, Submitted, UnderReview};
        match (self.state, command) {
            (Absent, Command::Expect { expectation, source }) => {
                expectation.check()?;
                Ok(vec![Event::Expected { expectation, source }])
            }
            (_, Command::Expect { .. }) => Ok(vec![]),
            (Absent | Expected | Returned, Command::NoteSubmission { expectation, submission }) => {
                Ok(vec![Event::SubmissionNoted { expectation, submission }])
            }
            (_, Command::NoteSubmission { submission, .. })
                if self
                    .submission
                    .as_ref()
                    .is_some_and(|known| known.basis == submission.basis) =>
            {
                Ok(vec![])
            }
            (Absent, _) => Err(Code::FilingAbsent.into()),
            (Submitted, Command::Receipt) => {
                let (from, submission) = self.known()?;
                let held = submission.items.values().map(|paper| paper.hash).collect();
                let Submission { filing, basis, .. } = submission.clone();
                Ok(vec![Event::Receipted { filing, basis, held, from }])
            }
            (Receipted | UnderReview | Accepted | Returned, Command::Receipt) => Ok(vec![]),
            (Receipted | UnderReview, Command::JudgeItem { basis, code, rejected }) => {
                self.judge(basis, code, rejected)
            }
            (Receipted | UnderReview, Command::Return { basis, reason }) => {
                self.send_back(basis, reason)
            }
            (Receipted | UnderReview, Command::Accept { basis }) => self.accept(basis),
            (Submitted, _) => Err(Code::NotReceipted.into()),
            _ => Err(Code::WrongState.into()),
        }
    }

    fn evolve(&mut self, event: &Event) {
        self.state = match event {
            Event::Expected { expectation, .. } => {
                self.from = Some(expectation.from.clone());
                State::Expected
            }
            Event::SubmissionNoted { expectation, submission } => {
                self.from = Some(expectation.from.clone());
                self.submission = Some(submission.clone());
                self.verdicts.clear();
                State::Submitted
            }
            Event::Receipted { .. } => State::Receipted,
            Event::ItemJudged { code, rejected, .. } => {
                self.verdicts.insert(code.clone(), rejected.is_none());
                State::UnderReview
            }
            Event::Returned { .. } => State::Returned,
            Event::Accepted { .. } => State::Accepted,
        };
    }

    fn addressees(event: &Event) -> Vec<OfficeId> {
        match event {
            Event::Receipted { from, .. }
            | Event::ItemJudged { from, .. }
            | Event::Returned { from, .. }
            | Event::Accepted { from, .. } => vec![from.clone()],
            _ => Vec::new(),
        }
    }
}

impl FilingReview {
    fn known(&self) -> Result<(OfficeId, &Submission), Refusal> {
        match (&self.from, &self.submission) {
            (Some(from), Some(submission)) => Ok((from.clone(), submission)),
            _ => Err(Code::FilingAbsent.into()),
        }
    }

    /// Judging an older submission than the newest one is refused.
    fn basis(&self, basis: Hash) -> Result<(OfficeId, &Submission), Refusal> {
        let known = self.known()?;
        if known.1.basis == basis { Ok(known) } else { Err(Code::BasisSuperseded.into()) }
    }

    fn judge(
        &self,
        basis: Hash,
        code: String,
        rejected: Option<String>,
    ) -> Result<Vec<Event>, Refusal> {
        let (from, submission) = self.basis(basis)?;
        if !submission.items.contains_key(&code) {
            return Err(Refusal::new(Code::ItemAbsent).detail(code));
        }
        if let Some(reason) = &rejected {
            filled("rejected", reason).map_err(|_| Code::ReasonRequired)?;
        }
        if self.verdicts.get(&code) == Some(&rejected.is_none()) {
            return Ok(vec![]);
        }
        Ok(vec![Event::ItemJudged { basis, code, rejected, from }])
    }

    fn send_back(&self, basis: Hash, reason: String) -> Result<Vec<Event>, Refusal> {
        let (from, submission) = self.basis(basis)?;
        filled("reason", &reason).map_err(|_| Code::ReasonRequired)?;
        let rejected = self.verdicts.iter().filter(|(_, accepted)| !**accepted).map(|(c, _)| c);
        let items: Vec<String> = rejected.chain(&submission.missing).cloned().collect();
        if items.is_empty() {
            return Err(Refusal::new(Code::WrongState).detail("no item is rejected or missing"));
        }
        let filing = submission.filing.clone();
        Ok(vec![Event::Returned { filing, basis, reason, items, from }])
    }

    fn accept(&self, basis: Hash) -> Result<Vec<Event>, Refusal> {
        let (from, submission) = self.basis(basis)?;
        let open = submission.items.keys().find(|code| self.verdicts.get(*code) != Some(&true));
        if let Some(code) = open.or(submission.missing.first()) {
            return Err(Refusal::new(Code::WrongState).detail(format!("{code} is not accepted")));
        }
        Ok(vec![Event::Accepted { filing: submission.filing.clone(), basis, from }])
    }
}

#[cfg(test)]
mod tests;

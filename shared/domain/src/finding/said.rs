//! What a finding says, what may be said of it before, and what can happen to it.

use kernel::{
    Code, Day, OfficeId, Refusal,
    sealed::{Ciphertext, SealedPart},
    sign::Hash,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Level, filled};

/// What may be said of a finding while what it says is secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Brief {
    /// The round's id.
    pub round: String,
    /// The round's number, as people quote it.
    pub round_number: String,
    /// The task in the round.
    pub task: String,
    /// The inspected organization.
    pub target: String,
    /// Its level.
    pub level: Level,
    /// The category in the round's catalogue.
    pub category: String,
    /// The office where the unit's rectification is kept.
    pub unit_office: OfficeId,
    /// Further offices to which feedback goes: the township, the district.
    pub concerned: Vec<OfficeId>,
}

/// What a finding says; sealed until it is fed back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Saying {
    /// One line.
    pub title: String,
    /// The matter: phenomenon, qualification, responsibility.
    pub text: String,
}

/// A finding in the clear.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Draft {
    /// The round's id.
    pub round: String,
    /// The round's number, as people quote it.
    pub round_number: String,
    /// The task in the round.
    pub task: String,
    /// The inspected organization.
    pub target: String,
    /// Its level.
    pub level: Level,
    /// The category in the round's catalogue.
    pub category: String,
    /// One line.
    pub title: String,
    /// The matter: phenomenon, qualification, responsibility.
    pub text: String,
    /// The office where the unit's rectification is kept.
    pub unit_office: OfficeId,
    /// Further offices to which feedback goes: the township, the district.
    pub concerned: Vec<OfficeId>,
}

/// 不再列入的理由: a code, so that nothing secret stands in the log as a reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DropReason {
    /// 重复
    Duplicate,
    /// 事实不成立或证据不足
    NotEstablished,
    /// 不属于本轮巡察范围
    OutOfScope,
    /// 已转为问题线索
    BecameClue,
    /// 内容已无法打开
    Lost,
}

impl DropReason {
    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Duplicate => "duplicate",
            Self::NotEstablished => "not-established",
            Self::OutOfScope => "out-of-scope",
            Self::BecameClue => "became-clue",
            Self::Lost => "lost",
        }
    }
}

/// The longest category, title and text, in characters.
const LONGEST: [usize; 3] = [30, 200, 9_000];

fn fits(name: &'static str, text: &str, most: usize) -> Result<(), Refusal> {
    filled(name, text)?;
    if text.chars().count() > most {
        return Err(Refusal::new(Code::BadField).detail(format!("{name}: 1 … {most}")));
    }
    Ok(())
}

impl Saying {
    /// Refuses one that says nothing, or more than an entry holds.
    pub fn check(&self) -> Result<(), Refusal> {
        fits("title", &self.title, LONGEST[1])?;
        fits("text", &self.text, LONGEST[2])
    }
}

impl Brief {
    /// Refuses one whose category is no name.
    pub fn check(&self) -> Result<(), Refusal> {
        fits("category", &self.category, LONGEST[0])
    }

    /// The whole finding.
    pub fn with(self, Saying { title, text }: Saying) -> Draft {
        let Self { round, round_number, task, target, level, category, unit_office, concerned } =
            self;
        Draft {
            round,
            round_number,
            task,
            target,
            level,
            category,
            title,
            text,
            unit_office,
            concerned,
        }
    }
}

impl Draft {
    /// What may be said of it without its words.
    pub fn brief(&self) -> Brief {
        self.clone().apart().0
    }

    /// What may be said of it, and its words.
    pub fn apart(self) -> (Brief, Saying) {
        let Self { round, round_number, task, target, level, category, .. } = self;
        let Self { title, text, unit_office, concerned, .. } = self;
        let brief =
            Brief { round, round_number, task, target, level, category, unit_office, concerned };
        (brief, Saying { title, text })
    }
}

/// What can happen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Event {
    /// A member drafted it, in the clear. No command says this any more.
    Drafted {
        /// The draft.
        draft: Draft,
        /// Who.
        by: String,
    },
    /// A member drafted it.
    DraftSealed {
        /// What may be said of it.
        brief: Brief,
        /// How what it says is sealed.
        part: Box<SealedPart>,
        /// What it says.
        sealed: Ciphertext,
        /// Who.
        by: String,
    },
    /// A second handler signed.
    CoSigned {
        /// Who.
        by: String,
    },
    /// It stands on the task's list.
    Listed {
        /// The round.
        round: String,
        /// The task.
        task: String,
    },
    /// It was fed back to the unit and those concerned.
    FedBack {
        /// What was fed back.
        draft: Draft,
        /// The end of the concentrated period.
        due: Day,
    },
    /// The unit reported it rectified.
    Rectified {
        /// The completion's leaf hash.
        basis: Hash,
        /// Who reported.
        by: String,
    },
    /// It was taken off the ledger.
    ClosedOut {
        /// The judged completion.
        basis: Hash,
        /// The office that rectified.
        unit_office: OfficeId,
    },
    /// It must be rectified again.
    Reopened {
        /// Why.
        reason: String,
        /// The office that rectifies.
        unit_office: OfficeId,
    },
    /// It was dropped before it was listed.
    Dropped {
        /// Why.
        reason: String,
    },
}

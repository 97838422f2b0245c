//! The offices' work as rules: one file an aggregate.
//!
//! Each file reads from top to bottom: the state diagram, the state, what may be
//! asked, what can happen, the rules, their tests. Nothing here waits or looks
//! anything up; identifiers are those of the glossary.

pub mod annual_plan;
pub mod binding;
pub mod certificate;
pub mod clue;
pub mod clue_case;
pub mod clue_figures;
pub mod custody;
pub mod dated;
pub mod demo_clock;
pub mod directory;
pub mod envelope;
pub mod escrow;
pub mod figures;
pub mod filing;
pub mod filing_review;
pub mod finding;
pub mod history;
pub mod identity;
pub mod ledger_key;
pub mod material;
pub mod office;
pub mod organ_home;
pub mod organ_key;
pub mod organization;
pub mod person;
pub mod post;
pub mod rate;
pub mod reading;
pub mod rectification;
pub mod recusal;
pub mod register;
pub mod round;
pub mod scope_key;
pub mod session;
pub mod signing_key;
pub mod target_list;
pub mod token_key;

use serde::{Deserialize, Serialize};

/// The level of an inspected organization; results are counted by it.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// 市级
    City,
    /// 县级
    County,
    /// 村(社区)级
    Village,
}

impl Level {
    /// All levels, from the top.
    pub const ALL: [Self; 3] = [Self::City, Self::County, Self::Village];

    /// The level as written in JSON and keys.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::City => "city",
            Self::County => "county",
            Self::Village => "village",
        }
    }
}

/// Refuses an empty text.
fn filled(what: &str, text: &str) -> Result<(), kernel::Refusal> {
    if text.trim().is_empty() {
        return Err(kernel::Refusal::new(kernel::Code::EmptyText).detail(what));
    }
    Ok(())
}

/// Refuses what can't stand in an id: letters, digits, `-` and `_`, at most 40.
pub fn plain(what: &str, text: &str) -> Result<(), kernel::Refusal> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if text.is_empty() || text.len() > 40 || !text.chars().all(fits) {
        let why = format!("{what}: A-Z a-z 0-9 - _, 1 … 40");
        return Err(kernel::Refusal::new(kernel::Code::BadField).detail(why));
    }
    Ok(())
}

/// Refuses a second act by the person who did the first.
fn another(first: &str, context: &kernel::Context) -> Result<(), kernel::Refusal> {
    if first == context.actor.person { Err(kernel::Code::SamePerson.into()) } else { Ok(()) }
}

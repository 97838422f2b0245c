//! 内容密钥 Scope key: that a key was granted, to whom and for what; that it is no more.
//!
//! Neither key nor grant stands here, only the grant's hash: what is in the history can't
//! be forgotten, and a key must be.

use kernel::{Aggregate, Context, Refusal, sealed::Scope, sign::Hash};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::custody::Party;

/// What the rules need to know.
#[derive(Clone, Debug, Default)]
pub struct ScopeKey {
    destroyed: bool,
    /// The grants that are on record.
    granted: Vec<Hash>,
}

/// What a grant is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// 起草与签字
    Draft,
    /// 移交
    HandOver,
    /// 身份封存
    Identity,
}

impl Purpose {
    /// As it is bound into the grant.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::HandOver => "hand-over",
            Self::Identity => "identity",
        }
    }
}

/// What may be asked.
#[derive(Clone, Debug)]
pub enum Command {
    /// 授予
    Grant {
        /// Which key.
        scope: Scope,
        /// To whom.
        to: Party,
        /// The grant's hash.
        grant: Hash,
        /// For what.
        purpose: Purpose,
    },
    /// 销毁: key and grants are gone from this office's vault.
    Attest {
        /// Which key.
        scope: Scope,
    },
}

/// What can happen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Event {
    /// An organ may open it.
    Granted {
        /// Which key.
        scope: Scope,
        /// To whom.
        to: Party,
        /// The grant's hash.
        grant: Hash,
        /// For what.
        purpose: Purpose,
    },
    /// This office attests that its vault holds neither key nor grant any more.
    Destroyed {
        /// Which key.
        scope: Scope,
    },
}

impl Aggregate for ScopeKey {
    type Command = Command;
    type Event = Event;
    const FAMILY: &'static str = "scope-key";

    fn name(event: &Event) -> &'static str {
        match event {
            Event::Granted { .. } => "granted",
            Event::Destroyed { .. } => "destroyed",
        }
    }

    fn decide(&self, command: Command, _: &Context) -> Result<Vec<Event>, Refusal> {
        match command {
            Command::Attest { .. } if self.destroyed => Ok(vec![]),
            Command::Grant { grant, .. } if self.granted.contains(&grant) => Ok(vec![]),
            Command::Grant { scope, to, grant, purpose } => {
                Ok(vec![Event::Granted { scope, to, grant, purpose }])
            }
            Command::Attest { scope } => Ok(vec![Event::Destroyed { scope }]),
        }
    }

    fn evolve(&mut self, event: &Event) {
        match event {
            Event::Granted { grant, .. } => self.granted.push(*grant),
            Event::Destroyed { .. } => self.destroyed = true,
        }
    }
}

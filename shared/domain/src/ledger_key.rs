//! 账本密钥 Ledger key: which keys sign the heads of this office's log, and its word on the
//! heads of others.
//!
//! Neither signs entries. That the log itself says so, leaves whoever audits it a history of
//! them; witnesses are told by notes and keep to the first they were told.

use kernel::{Aggregate, Context, Refusal};
use serde::{Deserialize, Serialize};

/// The keys of one office.
#[derive(Clone, Debug, Default)]
pub struct LedgerKey(Option<Publish>);

/// Publishes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publish {
    /// The verifier key of the log (C2SP signed-note): `name+id+key`.
    pub log: String,
    /// The verifier key of the office as a witness.
    pub witness: String,
}

/// What can happen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Event {
    /// These keys sign from now on.
    Published {
        /// The verifier key of the log.
        log: String,
        /// The verifier key of the office as a witness.
        witness: String,
    },
}

impl Aggregate for LedgerKey {
    type Command = Publish;
    type Event = Event;
    const FAMILY: &'static str = "ledger-key";

    fn name(_: &Event) -> &'static str {
        "published"
    }

    fn decide(&self, publish: Publish, _: &Context) -> Result<Vec<Event>, Refusal> {
        if self.0.as_ref() == Some(&publish) {
            return Ok(vec![]);
        }
        let Publish { log, witness } = publish;
        Ok(vec![Event::Published { log, witness }])
    }

    fn evolve(&mut self, event: &Event) {
        let Event::Published { log, witness } = event;
        self.0 = Some(Publish { log: log.clone(), witness: witness.clone() });
    }
}

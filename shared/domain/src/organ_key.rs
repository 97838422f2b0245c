//! 机构密钥 Organ key: the public half of the key for which an organ's grants are made.
//!
//! The secret half lies in the organ's own vault. A new one may follow; grants that were
//! made for the one before stay readable as long as its secret half is kept.

use kernel::{Aggregate, Context, Refusal, sign::PublicKey};
use serde::{Deserialize, Serialize};

use crate::post::Organ;

/// The organ's key.
#[derive(Clone, Debug, Default)]
pub struct OrganKey(Option<PublicKey>);

/// Publishes a key.
#[derive(Clone, Debug)]
pub struct Publish {
    /// Whose.
    pub organ: Organ,
    /// 32 bytes of X25519.
    pub key: PublicKey,
}

/// What can happen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Event {
    /// Grants for the organ are made for this key from now on.
    Published {
        /// Whose.
        organ: Organ,
        /// 32 bytes of X25519.
        key: PublicKey,
    },
    /// The same, to the office above.
    Told {
        /// Whose.
        organ: Organ,
        /// 32 bytes of X25519.
        key: PublicKey,
    },
}

impl Event {
    /// Whose key it is.
    pub const fn says(&self) -> (Organ, PublicKey) {
        match self {
            Self::Published { organ, key } | Self::Told { organ, key } => (*organ, *key),
        }
    }
}

impl Aggregate for OrganKey {
    type Command = Publish;
    type Event = Event;
    const FAMILY: &'static str = "organ-key";

    fn name(event: &Event) -> &'static str {
        match event {
            Event::Published { .. } => "published",
            Event::Told { .. } => "told",
        }
    }

    /// The city says it to all, from the beginning of its log, so that whoever joins later
    /// knows it too; a district to its city. Clues go along these two ways.
    fn decide(
        &self,
        Publish { organ, key }: Publish,
        context: &Context,
    ) -> Result<Vec<Event>, Refusal> {
        if self.0 == Some(key) {
            return Ok(vec![]);
        }
        Ok(vec![match context.parent {
            None => Event::Published { organ, key },
            Some(_) => Event::Told { organ, key },
        }])
    }

    fn evolve(&mut self, event: &Event) {
        self.0 = Some(event.says().1);
    }
}

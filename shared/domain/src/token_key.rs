//! 令牌密钥 The keys that sign an office's tokens: that another took over, on record.

use kernel::{Aggregate, Context, Refusal};
use serde::{Deserialize, Serialize};

/// What the rules need to know: the name of the key that signs.
#[derive(Clone, Debug, Default)]
pub struct TokenKey {
    signs: String,
}

/// What may be asked: let the key of this name sign from now on.
#[derive(Clone, Debug)]
pub struct Turn {
    /// Its name, `kid`.
    pub kid: String,
}

/// What can happen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Event {
    /// Another key signs; the one before counts until its last token has ended.
    Turned {
        /// The name of the new one.
        kid: String,
    },
}

impl Aggregate for TokenKey {
    type Command = Turn;
    type Event = Event;
    const FAMILY: &'static str = "token-key";

    fn name(_: &Event) -> &'static str {
        "turned"
    }

    fn decide(&self, Turn { kid }: Turn, _: &Context) -> Result<Vec<Event>, Refusal> {
        Ok(if self.signs == kid { vec![] } else { vec![Event::Turned { kid }] })
    }

    fn evolve(&mut self, event: &Event) {
        let Event::Turned { kid } = event;
        self.signs.clone_from(kid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use testkit::given;

    #[test]
    fn a_key_takes_over_once() {
        let turned = |kid: &str| Event::Turned { kid: kid.into() };
        let turn = |kid: &str| Turn { kid: kid.into() };
        given::<TokenKey>([]).when(turn("a")).then([turned("a")]);
        given::<TokenKey>([turned("a")]).when(turn("a")).then([]);
        given::<TokenKey>([turned("a")]).when(turn("b")).then([turned("b")]);
    }
}

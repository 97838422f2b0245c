//! 登录会话 Session: somebody signed in, until when, and that it ended before.
//!
//! Its times are those of the machine's clock, as those of the tokens: a demo city's
//! driven clock ends no session.

use kernel::{Aggregate, Code, Context, Refusal, Timestamp};
use serde::{Deserialize, Serialize};

/// What the rules need to know.
#[derive(Clone, Debug, Default)]
pub struct Session {
    person: Option<String>,
    ended: bool,
}

/// What may be asked.
#[derive(Clone, Debug)]
pub enum Command {
    /// 登录
    Begin(Begun),
    /// 退出
    End,
}

/// How a session began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Begun {
    /// Who.
    pub person: String,
    /// When, in milliseconds of the machine's clock.
    pub at: Timestamp,
    /// Until when at the latest.
    pub until: Timestamp,
    /// Whether a second factor was shown.
    pub second_factor: bool,
    /// From which address.
    pub address: String,
}

/// What can happen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Event {
    /// Somebody signed in.
    Begun {
        /// How.
        session: Begun,
    },
    /// It ended before its time.
    Ended {
        /// Whose it was.
        person: String,
    },
}

impl Aggregate for Session {
    type Command = Command;
    type Event = Event;
    const FAMILY: &'static str = "session";

    fn name(event: &Event) -> &'static str {
        match event {
            Event::Begun { .. } => "begun",
            Event::Ended { .. } => "ended",
        }
    }

    fn decide(&self, command: Command, _: &Context) -> Result<Vec<Event>, Refusal> {
        match (&self.person, command) {
            (None, Command::Begin(session)) => Ok(vec![Event::Begun { session }]),
            (Some(_), Command::Begin(_)) => Ok(vec![]),
            (None, Command::End) => Err(Code::NotFound.into()),
            (Some(_), Command::End) if self.ended => Ok(vec![]),
            (Some(person), Command::End) => Ok(vec![Event::Ended { person: person.clone() }]),
        }
    }

    fn evolve(&mut self, event: &Event) {
        match event {
            Event::Begun { session } => self.person = Some(session.person.clone()),
            Event::Ended { .. } => self.ended = true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use testkit::given;

    #[test]
    fn a_session_begins_once_and_ends_once() {
        let session = Begun {
            person: "d-p1".into(),
            at: Timestamp(0),
            until: Timestamp(1),
            second_factor: false,
            address: "127.0.0.1".into(),
        };
        let begun = Event::Begun { session: session.clone() };
        let ended = Event::Ended { person: "d-p1".into() };
        given::<Session>([]).when(Command::Begin(session.clone())).then([begun.clone()]);
        given::<Session>([begun.clone()]).when(Command::Begin(session)).then([]);
        given::<Session>([]).when(Command::End).then_refused(Code::NotFound);
        given::<Session>([begun.clone()]).when(Command::End).then([ended.clone()]);
        given::<Session>([begun, ended]).when(Command::End).then([]);
    }
}

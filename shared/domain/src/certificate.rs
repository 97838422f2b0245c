//! 证书 Certificate: whose it is, for signing in where phones are barred.
//!
//! Its stream is its fingerprint, so one certificate is one person's, for ever: also
//! after it was ended nobody else takes it over.

use kernel::{Aggregate, Code, Context, Refusal};
use serde::{Deserialize, Serialize};

/// What the rules need to know.
#[derive(Clone, Debug, Default)]
pub struct Certificate {
    person: Option<String>,
    ended: bool,
}

/// What may be asked.
#[derive(Clone, Debug)]
pub enum Command {
    /// 绑定证书
    Bind {
        /// Whose it is from now on.
        person: String,
    },
    /// 停用证书
    End,
}

/// What can happen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Event {
    /// It stands for a person.
    Bound {
        /// Whom.
        person: String,
    },
    /// It stands for nobody any more.
    Ended {
        /// Whose it was.
        person: String,
    },
}

impl Certificate {
    /// Whether it stood for somebody and does not any more.
    pub const fn was_ended(&self) -> bool {
        self.ended
    }
}

impl Aggregate for Certificate {
    type Command = Command;
    type Event = Event;
    const FAMILY: &'static str = "certificate";

    fn name(event: &Event) -> &'static str {
        match event {
            Event::Bound { .. } => "bound",
            Event::Ended { .. } => "ended",
        }
    }

    fn decide(&self, command: Command, _: &Context) -> Result<Vec<Event>, Refusal> {
        match (&self.person, command) {
            (None, Command::Bind { person }) => Ok(vec![Event::Bound { person }]),
            (Some(known), Command::Bind { person }) if *known == person && !self.ended => {
                Ok(vec![])
            }
            (Some(_), Command::Bind { .. }) => Err(Code::CertificateBound.into()),
            (None, Command::End) => Err(Code::NotFound.into()),
            (Some(_), Command::End) if self.ended => Ok(vec![]),
            (Some(person), Command::End) => Ok(vec![Event::Ended { person: person.clone() }]),
        }
    }

    fn evolve(&mut self, event: &Event) {
        match event {
            Event::Bound { person } => self.person = Some(person.clone()),
            Event::Ended { .. } => self.ended = true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use testkit::given;

    #[test]
    fn a_certificate_is_one_persons_for_ever() {
        let bind = |person: &str| Command::Bind { person: person.into() };
        let bound = Event::Bound { person: "p1".into() };
        let ended = Event::Ended { person: "p1".into() };
        given::<Certificate>([]).when(bind("p1")).then([bound.clone()]);
        given::<Certificate>([bound.clone()]).when(bind("p1")).then([]);
        given::<Certificate>([bound.clone()]).when(bind("p2")).then_refused(Code::CertificateBound);
        given::<Certificate>([]).when(Command::End).then_refused(Code::NotFound);
        given::<Certificate>([bound.clone()]).when(Command::End).then([ended.clone()]);
        let over = || [bound.clone(), ended.clone()];
        given::<Certificate>(over()).when(Command::End).then([]);
        given::<Certificate>(over()).when(bind("p1")).then_refused(Code::CertificateBound);
        given::<Certificate>(over()).when(bind("p2")).then_refused(Code::CertificateBound);
    }
}

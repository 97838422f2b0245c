//! 个人签名密钥 Signing key: by what a person signs, and who vouches for it.
//!
//! ```text
//! Made ─▶ certified by one ─▶ certified by two: counts ─▶ Destroyed
//! ```
//! The secret half is sealed under the person's own sign-in and stands in no log. Whoever
//! gives a person new factors takes the key with it: the next one counts only when two
//! others, of two organs, have vouched that it is this person's.

use kernel::{Aggregate, Code, Context, Refusal, sign::PublicKey};
use serde::{Deserialize, Serialize};

use crate::{
    another,
    post::{Organ, Role},
};

/// What the rules need to know.
#[derive(Clone, Debug, Default)]
pub struct SigningKey {
    key: Option<PublicKey>,
    certified: Vec<(String, Organ)>,
}

/// What may be asked.
#[derive(Clone, Debug)]
pub enum Command {
    /// 生成
    Make {
        /// Whose it is.
        person: String,
        /// The public half.
        key: PublicKey,
    },
    /// 证明
    Certify {
        /// Whose it is.
        person: String,
        /// The public half that was vouched for.
        key: PublicKey,
    },
    /// 销毁: the person's factors were given anew.
    Destroy,
}

/// What can happen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Event {
    /// The person made a key; one before counts no more.
    Made {
        /// The public half.
        key: PublicKey,
    },
    /// Somebody vouches for it.
    Certified {
        /// The public half.
        key: PublicKey,
        /// Who.
        by: String,
        /// For which organ.
        organ: Organ,
    },
    /// It counts no more, and nobody can sign by it.
    Destroyed {
        /// The public half.
        key: PublicKey,
    },
}

impl Aggregate for SigningKey {
    type Command = Command;
    type Event = Event;
    const FAMILY: &'static str = "signing-key";

    fn name(event: &Event) -> &'static str {
        match event {
            Event::Made { .. } => "made",
            Event::Certified { .. } => "certified",
            Event::Destroyed { .. } => "destroyed",
        }
    }

    fn decide(&self, command: Command, context: &Context) -> Result<Vec<Event>, Refusal> {
        match command {
            Command::Make { key, .. } if self.key == Some(key) => Ok(vec![]),
            Command::Make { person, key } => {
                // Nobody makes one for somebody else.
                if context.actor.person != person {
                    return Err(Code::NotAllowed.into());
                }
                Ok(vec![Event::Made { key }])
            }
            Command::Certify { person, key } => self.certify(&person, key, context),
            Command::Destroy => {
                Ok(self.key.map(|key| Event::Destroyed { key }).into_iter().collect())
            }
        }
    }

    fn evolve(&mut self, event: &Event) {
        match event {
            Event::Made { key } => *self = Self { key: Some(*key), certified: Vec::new() },
            Event::Certified { by, organ, .. } => self.certified.push((by.clone(), *organ)),
            Event::Destroyed { .. } => *self = Self::default(),
        }
    }
}

/// How many vouch for a key before it counts.
pub const VOUCHERS: usize = 2;

impl SigningKey {
    fn certify(
        &self,
        person: &str,
        key: PublicKey,
        context: &Context,
    ) -> Result<Vec<Event>, Refusal> {
        if self.key != Some(key) {
            return Err(Code::SigningKeyAbsent.into());
        }
        another(person, context)?;
        let by = context.actor.person.clone();
        let organ = Role::of(&context.actor.role).ok_or(Code::NotAllowed)?.organ;
        if self.certified.iter().any(|(who, _)| *who == by) || self.certified.len() >= VOUCHERS {
            return Ok(vec![]);
        }
        if self.certified.iter().any(|(_, of)| *of == organ) {
            return Err(Code::SameOrgan.into());
        }
        Ok(vec![Event::Certified { key, by, organ }])
    }

    /// The key, if it counts.
    pub fn counts(&self) -> Option<PublicKey> {
        self.key.filter(|_| self.certified.len() >= VOUCHERS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use testkit::given;

    const KEY: PublicKey = PublicKey([7; 32]);

    fn certify() -> Command {
        Command::Certify { person: "p1".into(), key: KEY }
    }

    fn certified(by: &str, organ: Organ) -> Event {
        Event::Certified { key: KEY, by: by.into(), organ }
    }

    #[test]
    fn nobody_makes_a_key_for_another() {
        let make = || Command::Make { person: "p1".into(), key: KEY };
        given::<SigningKey>([]).by("p1").when(make()).then([Event::Made { key: KEY }]);
        given::<SigningKey>([]).by("p2").when(make()).then_refused(Code::NotAllowed);
    }

    #[test]
    fn two_others_of_two_organs_vouch_before_it_counts() {
        let made = || given::<SigningKey>([Event::Made { key: KEY }]);
        made().acting("p1", "D_ORG").when(certify()).then_refused(Code::SamePerson);
        let first = certified("p2", Organ::Administration);
        made().acting("p2", "D_SECADM").when(certify()).then([first.clone()]);
        let one = || given::<SigningKey>([Event::Made { key: KEY }, first.clone()]);
        one().acting("p3", "D_SECADM").when(certify()).then_refused(Code::SameOrgan);
        let second = certified("p3", Organ::OrganizationDepartment);
        one().acting("p3", "D_ORG").when(certify()).then([second.clone()]);
        let mut key = SigningKey::default();
        for event in [Event::Made { key: KEY }, first.clone()] {
            key.evolve(&event);
        }
        assert_eq!(key.counts(), None);
        key.evolve(&second);
        assert_eq!(key.counts(), Some(KEY));
        // Given anew, it is nobody's until it is vouched for again.
        key.evolve(&Event::Made { key: PublicKey([8; 32]) });
        assert_eq!(key.counts(), None);
    }

    #[test]
    fn who_gets_new_factors_loses_the_key() {
        given::<SigningKey>([Event::Made { key: KEY }])
            .when(Command::Destroy)
            .then([Event::Destroyed { key: KEY }]);
        given::<SigningKey>([]).when(Command::Destroy).then([]);
        given::<SigningKey>([Event::Made { key: KEY }, Event::Destroyed { key: KEY }])
            .acting("p2", "D_ORG")
            .when(certify())
            .then_refused(Code::SigningKeyAbsent);
    }
}

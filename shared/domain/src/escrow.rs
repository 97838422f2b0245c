//! 密钥托管 Escrow: which officers can bring an office's sealing keys back together.
//!
//! ```text
//! Begun(officers, needed) ─▶ ShareTaken by each officer ─▶ complete
//!    └────────── begun anew: the shares before count no more
//! ```
//! Neither key nor share stands here. Whoever begins an escrow is not among its officers,
//! and the three administrators are none of them: nobody who runs the machine is one of
//! those whose papers open its keys.

use kernel::{
    Aggregate, Code, Context, Refusal,
    sign::{Hash, PublicKey},
};
use serde::{Deserialize, Serialize};

/// What the rules need to know.
#[derive(Clone, Debug, Default)]
pub struct Escrow {
    key: Option<PublicKey>,
    waiting: Vec<String>,
}

/// What may be asked.
#[derive(Clone, Debug)]
pub enum Command {
    /// 设立
    Begin {
        /// The public half of its key.
        key: PublicKey,
        /// The persons who keep a share each.
        officers: Vec<String>,
        /// How many of them must come together.
        needed: u8,
    },
    /// 领取份额: the officer has it on paper.
    Take {
        /// The public half of the escrow's key.
        key: PublicKey,
        /// The share's fingerprint.
        share: Hash,
    },
}

/// What can happen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Event {
    /// From now on the officers can bring the keys back.
    Begun {
        /// The public half of its key.
        key: PublicKey,
        /// The persons who keep a share each.
        officers: Vec<String>,
        /// How many of them must come together.
        needed: u8,
        /// Who began it.
        by: String,
    },
    /// An officer has written the share down; it is nowhere else.
    ShareTaken {
        /// The public half of the escrow's key.
        key: PublicKey,
        /// The share's fingerprint.
        share: Hash,
        /// Who.
        by: String,
    },
}

impl Aggregate for Escrow {
    type Command = Command;
    type Event = Event;
    const FAMILY: &'static str = "escrow";

    fn name(event: &Event) -> &'static str {
        match event {
            Event::Begun { .. } => "begun",
            Event::ShareTaken { .. } => "share-taken",
        }
    }

    fn decide(&self, command: Command, context: &Context) -> Result<Vec<Event>, Refusal> {
        let by = context.actor.person.clone();
        match command {
            Command::Begin { key, .. } if self.key == Some(key) => Ok(vec![]),
            Command::Begin { key, officers, needed } => {
                if officers.contains(&by) {
                    return Err(Refusal::new(Code::SamePerson));
                }
                Ok(vec![Event::Begun { key, officers, needed, by }])
            }
            Command::Take { key, share } => {
                if self.key != Some(key) || !self.waiting.contains(&by) {
                    return Err(Code::ShareAbsent.into());
                }
                Ok(vec![Event::ShareTaken { key, share, by }])
            }
        }
    }

    fn evolve(&mut self, event: &Event) {
        match event {
            Event::Begun { key, officers, .. } => {
                *self = Self { key: Some(*key), waiting: officers.clone() };
            }
            Event::ShareTaken { by, .. } => self.waiting.retain(|officer| officer != by),
        }
    }
}

#[cfg(test)]
mod tests {
    use testkit::given;

    use super::*;

    fn begin(officers: &[&str]) -> Command {
        let officers = officers.iter().map(|one| (*one).to_owned()).collect();
        Command::Begin { key: PublicKey([7; 32]), officers, needed: 2 }
    }

    fn begun() -> Event {
        let officers = vec!["p2".into(), "p3".into()];
        Event::Begun { key: PublicKey([7; 32]), officers, needed: 2, by: "p1".into() }
    }

    #[test]
    fn each_officer_takes_one_share_once() {
        let share = Hash([1; 32]);
        given::<Escrow>([]).by("p1").when(begin(&["p2", "p3"])).then([begun()]);
        let key = PublicKey([7; 32]);
        let take = || Command::Take { key, share };
        let taken = Event::ShareTaken { key, share, by: "p2".into() };
        given::<Escrow>([begun()]).by("p2").when(take()).then([taken.clone()]);
        given::<Escrow>([begun(), taken]).by("p2").when(take()).then_refused(Code::ShareAbsent);
        given::<Escrow>([begun()]).by("p1").when(take()).then_refused(Code::ShareAbsent);
        let before = Command::Take { key: PublicKey([6; 32]), share };
        given::<Escrow>([begun()]).by("p2").when(before).then_refused(Code::ShareAbsent);
    }

    #[test]
    fn who_begins_it_keeps_no_share() {
        given::<Escrow>([]).by("p1").when(begin(&["p1", "p3"])).then_refused(Code::SamePerson);
    }
}

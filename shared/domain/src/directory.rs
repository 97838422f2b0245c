//! 单位名录 Directory: the city's founding and who is enrolled, with which keys.
//!
//! It is the city's own stream and goes to every office, which verifies all
//! others' entries by it. The founding is pinned in every enrolment token.

use std::collections::BTreeMap;

use kernel::{
    Aggregate, Code, Context, Lane, OfficeId, Refusal, Timestamp,
    id::Tier,
    sign::{Hash, PublicKey},
};
use serde::{Deserialize, Serialize};

use crate::filled;

/// How far a lane went when a reader joined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    /// The lane.
    pub lane: Lane,
    /// The life of the origin's log.
    pub epoch: u32,
    /// The last counter before the reader's first.
    pub counter: u64,
    /// The leaf hash of the entry with that counter.
    pub hash: Hash,
}

/// An office's place in the tree and its dated attributes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seat {
    /// The office.
    pub office: OfficeId,
    /// Its tier.
    pub tier: Tier,
    /// The office above it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<OfficeId>,
    /// The division's code at the time.
    pub code: String,
    /// The name at the time.
    pub name: String,
}

/// An enrolled office.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// Its place.
    pub seat: Seat,
    /// The key that signs its entries, from `key_from` on.
    pub key: PublicKey,
    /// The life of its log.
    pub epoch: u32,
    /// The first sequence that the key signs.
    pub key_from: u64,
}

/// What the rules need to know.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    founded: bool,
    demo: bool,
    members: BTreeMap<OfficeId, Member>,
    invitations: BTreeMap<Hash, (Seat, Timestamp)>,
}

/// What may be asked.
#[derive(Clone, Debug)]
pub enum Command {
    /// The first entry of a history.
    Found {
        /// The city itself.
        city: Member,
        /// Whether it is a demo city.
        demo: bool,
    },
    /// Makes a one-time enrolment token.
    Invite {
        /// Who may enrol with it.
        seat: Seat,
        /// The hash of its secret.
        token: Hash,
        /// Until when, by the machine's clock.
        expires: Timestamp,
    },
    /// An office brings its keys.
    Enrol {
        /// The hash of the token's secret.
        token: Hash,
        /// When, by the machine's clock.
        at: Timestamp,
        /// The office's event key.
        key: PublicKey,
        /// Whether the office believes the city to be a demo.
        demo: bool,
        /// Where its lanes begin.
        baselines: Vec<Baseline>,
    },
}

/// What can happen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Event {
    /// `CityFounded`: the genesis.
    Founded {
        /// The city itself.
        city: Member,
        /// Whether it is a demo city.
        demo: bool,
    },
    /// A token was made; stays with the city.
    Invited {
        /// Who may enrol with it.
        seat: Seat,
        /// The hash of its secret.
        token: Hash,
        /// Until when.
        expires: Timestamp,
    },
    /// `OfficeEnrolled`: an office joined.
    Enrolled {
        /// The office.
        member: Member,
        /// The hash of the spent token's secret.
        token: Hash,
        /// Where its lanes begin.
        baselines: Vec<Baseline>,
    },
}

impl Aggregate for Directory {
    type Command = Command;
    type Event = Event;
    const FAMILY: &'static str = "directory";

    fn name(event: &Event) -> &'static str {
        match event {
            Event::Founded { .. } => "founded",
            Event::Invited { .. } => "invited",
            Event::Enrolled { .. } => "enrolled",
        }
    }

    fn decide(&self, command: Command, _: &Context) -> Result<Vec<Event>, Refusal> {
        match (self.founded, command) {
            (false, Command::Found { city, demo }) => Ok(vec![Event::Founded { city, demo }]),
            (true, Command::Found { .. }) => Ok(vec![]),
            (false, _) => Err(Code::WrongState.into()),
            (true, Command::Invite { seat, token, expires }) => self.invite(seat, token, expires),
            (true, Command::Enrol { token, at, key, demo, baselines }) => {
                let Some((seat, _)) =
                    self.invitations.get(&token).filter(|(_, until)| at <= *until)
                else {
                    return Err(Code::TokenSpent.into());
                };
                if demo != self.demo {
                    return Err(Code::DemoMixed.into());
                }
                let member = Member { seat: seat.clone(), key, epoch: 1, key_from: 1 };
                Ok(vec![Event::Enrolled { member, token, baselines }])
            }
        }
    }

    fn evolve(&mut self, event: &Event) {
        match event {
            Event::Founded { city, demo } => {
                self.founded = true;
                self.demo = *demo;
                self.members.insert(city.seat.office.clone(), city.clone());
            }
            Event::Invited { seat, token, expires } => {
                self.invitations.insert(*token, (seat.clone(), *expires));
            }
            Event::Enrolled { member, token, .. } => {
                self.invitations.remove(token);
                self.members.insert(member.seat.office.clone(), member.clone());
            }
        }
    }
}

impl Directory {
    /// The seat that a token is for.
    pub fn invited(&self, token: &Hash) -> Option<&Seat> {
        self.invitations.get(token).map(|(seat, _)| seat)
    }

    fn invite(&self, seat: Seat, token: Hash, expires: Timestamp) -> Result<Vec<Event>, Refusal> {
        filled("name", &seat.name)?;
        filled("code", &seat.code)?;
        if self.members.contains_key(&seat.office) {
            return Err(Code::OfficeEnrolled.into());
        }
        let parent = seat.parent.as_ref().and_then(|parent| self.members.get(parent));
        if seat.tier == Tier::City || parent.map(|p| p.seat.tier) != seat.tier.parent() {
            return Err(Code::UnknownParent.into());
        }
        Ok(vec![Event::Invited { seat, token, expires }])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::sign::EventKey;
    use testkit::given;

    fn seat(office: &str, tier: Tier, parent: Option<&str>) -> Seat {
        Seat {
            office: OfficeId::parse(office).unwrap(),
            tier,
            parent: parent.and_then(OfficeId::parse),
            code: "611000".into(),
            name: "巡察办".into(),
        }
    }

    fn key() -> PublicKey {
        EventKey::from_seed(&[5; 32]).unwrap().public()
    }

    fn founded() -> Event {
        let seat = seat("cccccccc", Tier::City, None);
        Event::Founded { city: Member { seat, key: key(), epoch: 1, key_from: 1 }, demo: true }
    }

    fn invited() -> Event {
        let seat = seat("dddddddd", Tier::District, Some("cccccccc"));
        Event::Invited { seat, token: Hash([1; 32]), expires: Timestamp(100) }
    }

    fn enrol(token: u8, at: i64, demo: bool) -> Command {
        let token = Hash([token; 32]);
        Command::Enrol { token, at: Timestamp(at), key: key(), demo, baselines: vec![] }
    }

    #[test]
    fn a_token_enrols_once_in_time_and_only_its_kind() {
        let facts = || vec![founded(), invited()];
        given::<Directory>(facts()).when(enrol(2, 1, true)).then_refused(Code::TokenSpent);
        given::<Directory>(facts()).when(enrol(1, 101, true)).then_refused(Code::TokenSpent);
        given::<Directory>(facts()).when(enrol(1, 1, false)).then_refused(Code::DemoMixed);
        let seat = seat("dddddddd", Tier::District, Some("cccccccc"));
        let enrolled = Event::Enrolled {
            member: Member { seat, key: key(), epoch: 1, key_from: 1 },
            token: Hash([1; 32]),
            baselines: vec![],
        };
        given::<Directory>(facts()).when(enrol(1, 1, true)).then([enrolled.clone()]);
        let mut spent = facts();
        spent.push(enrolled);
        given::<Directory>(spent).when(enrol(1, 1, true)).then_refused(Code::TokenSpent);
    }

    #[test]
    fn an_office_hangs_under_an_enrolled_parent_of_the_tier_above() {
        let invite = |seat| Command::Invite { seat, token: Hash([2; 32]), expires: Timestamp(9) };
        let town = seat("tttttttt", Tier::Township, Some("cccccccc"));
        given::<Directory>([founded()]).when(invite(town)).then_refused(Code::UnknownParent);
        let orphan = seat("dddddddd", Tier::District, Some("xxxxxxxx"));
        given::<Directory>([founded()]).when(invite(orphan)).then_refused(Code::UnknownParent);
    }
}

//! 单位名录 Directory: the city's founding and who is enrolled, with which keys.
//!
//! It is the city's own stream and goes to every office, which verifies all
//! others' entries by it. The founding is pinned in every enrolment token.

mod decide;
mod lives;
mod moves;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use kernel::{
    Aggregate, Code, Context, Lane, OfficeId, Refusal, Timestamp,
    decider::StateForm,
    id::Tier,
    sign::{Hash, PublicKey, Signature},
};
use serde::{Deserialize, Serialize};

pub use lives::{Closed, Consent, Opening, asked_words, needed, proven, words};
pub use moves::{Move, place};

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
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Directory {
    founded: bool,
    demo: bool,
    members: BTreeMap<OfficeId, Member>,
    invitations: BTreeMap<Hash, (Seat, Timestamp)>,
    /// Keys that offices were asked to turn to.
    called: BTreeMap<OfficeId, PublicKey>,
    /// Every key that an office ever had.
    used: Vec<PublicKey>,
    /// What those were before whose keys, lives or places have changed.
    before: BTreeMap<OfficeId, Vec<Member>>,
    /// Offices that were called to move, and below whom.
    moving: BTreeMap<OfficeId, OfficeId>,
    /// New lives that wait for consent, with those given.
    proposed: BTreeMap<OfficeId, (Opening, Vec<Consent>)>,
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
    /// Makes a one-time token with which an enrolled office may ask for a new life.
    Renew {
        /// The office.
        office: OfficeId,
        /// The hash of the token's secret.
        token: Hash,
        /// Until when, by the machine's clock.
        expires: Timestamp,
    },
    /// Confirms the key that an office offered.
    CallTurn {
        /// The office.
        office: OfficeId,
        /// The key.
        key: PublicKey,
    },
    /// Notes that an office, as called, signs with its new key now.
    NoteTurn {
        /// The office.
        office: OfficeId,
        /// The key.
        key: PublicKey,
        /// The first sequence that it signs.
        from: u64,
        /// The word of the key before: [`crate::office::offer_words`].
        by: Signature,
    },
    /// The city itself turns to another key.
    TurnSelf {
        /// The city.
        city: OfficeId,
        /// The key.
        key: PublicKey,
        /// The first sequence that it signs.
        from: u64,
        /// The word of the key before.
        by: Signature,
    },
    /// Calls an office to move below another one of the tier above.
    CallMove {
        /// What is called for.
        called: Move,
    },
    /// Notes that an office, as called, reports to another one now.
    NoteMove {
        /// The office.
        office: OfficeId,
        /// The office above it.
        parent: OfficeId,
        /// The first sequence of its log that goes there.
        from: u64,
    },
    /// An office asks for a new life of its log.
    Reopen {
        /// The hash of the token's secret.
        token: Hash,
        /// When, by the machine's clock.
        at: Timestamp,
        /// The office's event key, the old one or another.
        key: PublicKey,
        /// Whether the office believes the city to be a demo.
        demo: bool,
        /// Where the life before ends.
        closed: Closed,
        /// The key's word that the office asks for it.
        asked: Signature,
    },
    /// A district consents to a new life with another key.
    Consent {
        /// The office whose log it is.
        office: OfficeId,
        /// The number of the new life.
        epoch: u32,
        /// The district's word.
        consent: Consent,
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
    /// `TurnCalled`: the city confirmed a key that the office had offered.
    TurnCalled {
        /// The office.
        office: OfficeId,
        /// The key.
        key: PublicKey,
    },
    /// `KeyTurned`: from `key_from` on the office signs with another key.
    Turned {
        /// The office.
        member: Member,
        /// The word of the key before.
        by: Signature,
    },
    /// `MoveCalled`: the city puts an office below another one.
    MoveCalled {
        /// What is called for.
        called: Move,
    },
    /// `OfficeMoved`: from `key_from` on the office reports to another one.
    Moved {
        /// The office.
        member: Member,
    },
    /// An office asked for a new life with another key.
    EpochProposed {
        /// What the others are asked to consent to.
        opening: Opening,
    },
    /// A district consented.
    EpochConsented {
        /// The office whose log it is.
        office: OfficeId,
        /// The number of the new life.
        epoch: u32,
        /// The district's word.
        consent: Consent,
    },
    /// `EpochOpened`: a log was lost, or its key; its next life begins.
    EpochOpened {
        /// The new life.
        opening: Opening,
        /// The words of the districts, if the key is another one.
        consents: Vec<Consent>,
    },
}

impl Aggregate for Directory {
    type Command = Command;
    type Event = Event;
    const FAMILY: &'static str = "directory";
    const KEPT: Option<StateForm<Self>> = Some(StateForm::by(&[
        include_str!("directory.rs"),
        include_str!("directory/lives.rs"),
        include_str!("directory/moves.rs"),
    ]));

    fn name(event: &Event) -> &'static str {
        match event {
            Event::Founded { .. } => "founded",
            Event::Invited { .. } => "invited",
            Event::Enrolled { .. } => "enrolled",
            Event::TurnCalled { .. } => "turn-called",
            Event::Turned { .. } => "turned",
            Event::MoveCalled { .. } => "move-called",
            Event::Moved { .. } => "moved",
            Event::EpochProposed { .. } => "epoch-proposed",
            Event::EpochConsented { .. } => "epoch-consented",
            Event::EpochOpened { .. } => "epoch-opened",
        }
    }

    fn decide(&self, command: Command, _: &Context) -> Result<Vec<Event>, Refusal> {
        match (self.founded, command) {
            (false, Command::Found { city, demo }) => Ok(vec![Event::Founded { city, demo }]),
            (true, Command::Found { .. }) => Ok(vec![]),
            (false, _) => Err(Code::WrongState.into()),
            (true, Command::Invite { seat, token, expires }) => self.invite(seat, token, expires),
            (true, Command::Enrol { token, at, key, demo, baselines }) => {
                let seat = self.token(&token, at, demo)?.clone();
                if self.members.contains_key(&seat.office) {
                    return Err(Code::OfficeEnrolled.into());
                }
                self.unused(&key)?;
                let member = Member { seat, key, epoch: 1, key_from: 1 };
                Ok(vec![Event::Enrolled { member, token, baselines }])
            }
            (true, Command::Renew { office, token, expires }) => {
                let seat = self.member(&office)?.seat.clone();
                if seat.tier == Tier::City {
                    return Err(Code::NotAllowed.into());
                }
                Ok(vec![Event::Invited { seat, token, expires }])
            }
            (true, Command::CallTurn { office, key }) => self.call_turn(office, key),
            (true, Command::NoteTurn { office, key, from, by }) => {
                let called = self.called.get(&office) == Some(&key);
                let turned = || self.turned(&office, key, from, by);
                if called { turned() } else { Err(Code::WrongState.into()) }
            }
            (true, Command::TurnSelf { city, key, from, by }) => {
                self.unused(&key)?;
                self.turned(&city, key, from, by)
            }
            (true, Command::CallMove { called }) => self.call_move(called),
            (true, Command::NoteMove { office, parent, from }) => {
                self.note_move(&office, parent, from)
            }
            (true, Command::Reopen { token, at, key, demo, closed, asked }) => {
                let seat = self.token(&token, at, demo)?;
                self.reopen(&seat.office, token, key, closed, asked)
            }
            (true, Command::Consent { office, epoch, consent }) => {
                self.consent(&office, epoch, consent)
            }
        }
    }

    fn evolve(&mut self, event: &Event) {
        match event {
            Event::Founded { city, demo } => {
                self.founded = true;
                self.demo = *demo;
                self.used.push(city.key);
                self.members.insert(city.seat.office.clone(), city.clone());
            }
            Event::Invited { seat, token, expires } => {
                self.invitations.insert(*token, (seat.clone(), *expires));
            }
            Event::Enrolled { member, token, .. } => {
                self.invitations.remove(token);
                self.used.push(member.key);
                self.members.insert(member.seat.office.clone(), member.clone());
            }
            Event::TurnCalled { office, key } => {
                self.called.insert(office.clone(), *key);
            }
            Event::MoveCalled { called } => {
                self.moving.insert(called.office.clone(), called.parent.clone());
            }
            Event::Moved { member } => self.move_to(member),
            Event::Turned { member, .. } => {
                self.called.remove(&member.seat.office);
                self.go_on(member);
            }
            Event::EpochProposed { opening } => {
                self.invitations.remove(&opening.token);
                let office = opening.member.seat.office.clone();
                self.proposed.insert(office, (opening.clone(), Vec::new()));
            }
            Event::EpochConsented { office, consent, .. } => {
                if let Some((_, consents)) = self.proposed.get_mut(office) {
                    consents.retain(|known| known.by != consent.by);
                    consents.push(consent.clone());
                }
            }
            Event::EpochOpened { opening, .. } => {
                let office = &opening.member.seat.office;
                self.invitations.remove(&opening.token);
                self.proposed.remove(office);
                self.called.remove(office);
                self.go_on(&opening.member);
            }
        }
    }
}

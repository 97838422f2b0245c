//! 单位密钥、隶属与纪元 An office's own standing: the keys it signs with, the office it
//! reports to, the lives of its log.
//!
//! The office offers a key, signed by the one it has; the city confirms it after
//! comparing fingerprints; the office turns to it with one last entry of the old key.
//! The directory then says from which entry on the new one signs. A township that is
//! put below another district moves in the same manner: the city calls it, the township
//! moves with one entry, and the directory says from which entry on it reports there.

use kernel::{
    Aggregate, Code, Context, Fact, OfficeId, Refusal, Turn,
    sign::{PublicKey, Signature},
};
use serde::{Deserialize, Serialize};

use crate::directory::{Closed, Consent};

/// What the rules need to know.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    offered: Option<(PublicKey, Signature)>,
    consents: Vec<(OfficeId, u32, Signature)>,
}

/// What may be asked.
#[derive(Clone, Debug)]
pub enum Command {
    /// Offers another key to the city.
    Offer {
        /// The city.
        city: OfficeId,
        /// The key.
        key: PublicKey,
        /// The life of the office's log.
        epoch: u32,
        /// The new key's signature over [`offer_words`]: whoever offers it has it.
        proof: Signature,
        /// The signature of the key before over the same words.
        by: Signature,
    },
    /// Turns to the offered key: this is the last entry of the one before.
    Turn {
        /// The city.
        city: OfficeId,
        /// The key that the city has called.
        key: PublicKey,
    },
    /// Moves below another office, as the city has called it to: this is the last entry
    /// that its parent so far may read.
    Move {
        /// The city.
        city: OfficeId,
        /// The office that it reports to from the next entry on.
        parent: OfficeId,
    },
    /// Begins the next life of the log.
    Begin {
        /// Its number.
        epoch: u32,
        /// Where the one before ended.
        closed: Closed,
    },
    /// A district's word that another office may go on with another key.
    Consent {
        /// The city.
        city: OfficeId,
        /// The office whose log it is.
        office: OfficeId,
        /// The number of the new life.
        epoch: u32,
        /// The word.
        consent: Consent,
    },
}

/// What can happen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Event {
    /// A key was offered to the city.
    KeyOffered {
        /// The city.
        city: OfficeId,
        /// The key.
        key: PublicKey,
        /// The new key's own signature.
        proof: Signature,
        /// The signature of the key before.
        by: Signature,
    },
    /// The next entry is signed by this key.
    KeyTurned {
        /// The city.
        city: OfficeId,
        /// The key.
        key: PublicKey,
        /// The signature of the key before over [`offer_words`], for every reader to hold
        /// the city's word against.
        by: Signature,
    },
    /// What goes up from the next entry on goes to this office.
    Moved {
        /// The city.
        city: OfficeId,
        /// The office above from now on.
        parent: OfficeId,
    },
    /// The first entry of a new life.
    EpochBegun {
        /// Its number.
        epoch: u32,
        /// Where the one before ended.
        closed: Closed,
    },
    /// The office consented to another one's new key.
    EpochConsented {
        /// The city.
        city: OfficeId,
        /// The office whose log it is.
        office: OfficeId,
        /// The number of the new life.
        epoch: u32,
        /// The word.
        consent: Consent,
    },
}

/// What the new key and the one before sign when the new one is offered.
pub fn offer_words(office: &OfficeId, epoch: u32, key: &PublicKey) -> Vec<u8> {
    format!("liandong key v1\n{office}\n{epoch}\n{key:?}").into_bytes()
}

/// What this own fact changes for all entries after it.
pub fn turns(fact: &Fact) -> Option<Turn> {
    use crate::directory;
    match fact.kind.as_str() {
        "cn.liandong.office.key-turned.v1" => match fact.read().ok()? {
            Event::KeyTurned { key, .. } => Some(Turn::Key(key)),
            _ => None,
        },
        "cn.liandong.office.moved.v1" => match fact.read().ok()? {
            Event::Moved { parent, .. } => Some(Turn::Parent(parent)),
            _ => None,
        },
        // The city issues the directory itself, and turns with its own row of it.
        "cn.liandong.directory.turned.v1" => match fact.read().ok()? {
            directory::Event::Turned { member, .. } if member.seat.office == fact.at.origin => {
                Some(Turn::Key(member.key))
            }
            _ => None,
        },
        _ => None,
    }
}

impl Aggregate for Standing {
    type Command = Command;
    type Event = Event;
    const FAMILY: &'static str = "office";

    fn name(event: &Event) -> &'static str {
        match event {
            Event::KeyOffered { .. } => "key-offered",
            Event::KeyTurned { .. } => "key-turned",
            Event::Moved { .. } => "moved",
            Event::EpochBegun { .. } => "epoch-begun",
            Event::EpochConsented { .. } => "epoch-consented",
        }
    }

    fn addressees(event: &Event) -> Vec<OfficeId> {
        match event {
            Event::KeyOffered { city, .. }
            | Event::KeyTurned { city, .. }
            | Event::Moved { city, .. }
            | Event::EpochConsented { city, .. } => vec![city.clone()],
            Event::EpochBegun { .. } => Vec::new(),
        }
    }

    fn decide(&self, command: Command, context: &Context) -> Result<Vec<Event>, Refusal> {
        match command {
            Command::Offer { city, key, epoch, proof, by } => {
                if !key.verifies(&offer_words(&context.office, epoch, &key), &proof.0) {
                    return Err(Refusal::new(Code::BadField).detail("proof"));
                }
                let again = self.offered.as_ref().is_some_and(|(offered, _)| *offered == key);
                Ok(if again { vec![] } else { vec![Event::KeyOffered { city, key, proof, by }] })
            }
            Command::Turn { city, key } => match &self.offered {
                Some((offered, by)) if *offered == key => {
                    Ok(vec![Event::KeyTurned { city, key, by: by.clone() }])
                }
                // Turned already, or never offered: a call for another key moves nothing.
                _ => Ok(vec![]),
            },
            // It stands there already.
            Command::Move { parent, .. } if context.parent.as_ref() == Some(&parent) => Ok(vec![]),
            Command::Move { city, parent } => Ok(vec![Event::Moved { city, parent }]),
            Command::Begin { epoch, closed } => Ok(vec![Event::EpochBegun { epoch, closed }]),
            Command::Consent { city, office, epoch, consent } => {
                let word = (office.clone(), epoch, consent.signature.clone());
                if self.consents.contains(&word) {
                    return Ok(vec![]);
                }
                Ok(vec![Event::EpochConsented { city, office, epoch, consent }])
            }
        }
    }

    fn evolve(&mut self, event: &Event) {
        match event {
            Event::KeyOffered { key, by, .. } => self.offered = Some((*key, by.clone())),
            Event::Moved { .. } => {}
            Event::KeyTurned { .. } | Event::EpochBegun { .. } => self.offered = None,
            Event::EpochConsented { office, epoch, consent, .. } => {
                self.consents.push((office.clone(), *epoch, consent.signature.clone()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::sign::EventKey;
    use testkit::{given, office_id};

    fn offer(signer: u8) -> Command {
        let (key, signer) = (EventKey::from_seed(&[5; 32]), EventKey::from_seed(&[signer; 32]));
        let key = key.unwrap().public();
        // The testkit decides as the district `dddddddd`.
        let words = offer_words(&office_id("dddddddd"), 1, &key);
        let (proof, by) = (Signature(signer.unwrap().sign(&words)), Signature(vec![1]));
        Command::Offer { city: office_id("cccccccc"), key, epoch: 1, proof, by }
    }

    fn key() -> PublicKey {
        EventKey::from_seed(&[5; 32]).unwrap().public()
    }

    #[test]
    fn a_key_is_offered_by_whoever_has_it() {
        given::<Standing>([]).when(offer(6)).then_refused(Code::BadField);
        let Command::Offer { city, key, proof, by, .. } = offer(5) else { panic!() };
        let offered = Event::KeyOffered { city, key, proof, by };
        given::<Standing>([]).when(offer(5)).then([offered.clone()]);
        given::<Standing>([offered]).when(offer(5)).then([]);
    }

    #[test]
    fn an_office_turns_to_what_it_offered_once() {
        let city = office_id("cccccccc");
        let turn = || Command::Turn { city: office_id("cccccccc"), key: key() };
        given::<Standing>([]).when(turn()).then([]);
        let Command::Offer { proof, by, .. } = offer(5) else { panic!() };
        let offered = Event::KeyOffered { city: city.clone(), key: key(), proof, by: by.clone() };
        let turned = Event::KeyTurned { city, key: key(), by };
        given::<Standing>([offered.clone()]).when(turn()).then([turned.clone()]);
        given::<Standing>([offered, turned]).when(turn()).then([]);
    }
}

//! The shape of a rule: state, command, events.
//!
//! Rules wait for nothing and look nothing up. Time, ids, policy and what else
//! they need come in through the [`Context`] or the command.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned};

use crate::{
    clock::{Day, Timestamp},
    id::OfficeId,
    refusal::Refusal,
    sign::PublicKey,
    spelled::spelled,
};

/// Who does something: a person in a role, or the system by a rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Actor {
    /// The person's opaque id; empty for the system.
    pub person: String,
    /// The role in which the person acts, as in `model.md` 2.1 (`C_PLAN`).
    pub role: String,
}

impl Actor {
    /// The system itself: reactions, intake, periodic figures.
    pub const fn system() -> Self {
        Self { person: String::new(), role: String::new() }
    }

    /// Whether no person is behind it.
    pub const fn is_system(&self) -> bool {
        self.person.is_empty()
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_system() {
            f.write_str("system")
        } else {
            write!(f, "{}:{}", self.person, self.role)
        }
    }
}

impl Serialize for Actor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Actor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        spelled(deserializer, "an actor is person:role", |text| {
            if text == "system" {
                return Some(Self::system());
            }
            let (person, role) = text.split_once(':')?;
            Some(Self { person: person.to_owned(), role: role.to_owned() })
        })
    }
}

/// What one of its own facts changes for all of an office's entries after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turn {
    /// They are signed by this key.
    Key(PublicKey),
    /// What goes up goes to this office.
    Parent(OfficeId),
}

/// What a rule may know beside its state and the command.
#[derive(Clone, Debug)]
pub struct Context {
    /// The deciding office.
    pub office: OfficeId,
    /// Its parent, if it has one.
    pub parent: Option<OfficeId>,
    /// The time that the events will carry as `recorded`.
    pub now: Timestamp,
    /// Who acts.
    pub actor: Actor,
    /// When it was done, if that was another day.
    pub act_date: Option<Day>,
}

impl Context {
    /// The day on which the act counts: the act date, else today in Shanghai.
    pub fn day(&self) -> Day {
        self.act_date.unwrap_or_else(|| self.now.day())
    }
}

/// How the folded state of a stream that may get long is kept beside its events.
#[derive(Clone, Copy, Debug)]
pub struct StateForm<A> {
    /// The sources that make the state, whole: one that others made is not read.
    pub sources: &'static [&'static str],
    /// Writes a state.
    pub write: fn(&A) -> serde_json::Result<Vec<u8>>,
    /// Reads it again.
    pub read: fn(&[u8]) -> serde_json::Result<A>,
}

impl<A: Serialize + DeserializeOwned> StateForm<A> {
    /// As JSON.
    pub const fn by(sources: &'static [&'static str]) -> Self {
        Self {
            sources,
            write: |state| serde_json::to_vec(state),
            read: |bytes| serde_json::from_slice(bytes),
        }
    }
}

/// One aggregate: how it decides and how it takes facts in.
pub trait Aggregate: Default + Clone + Send + Sync + 'static {
    /// What may be asked of it.
    type Command: Clone + Send + Sync;
    /// What can happen to it.
    type Event: Serialize + DeserializeOwned + Clone + Send + Sync;

    /// The first word of its streams and event types.
    const FAMILY: &'static str;
    /// Whether its decisions need no state, so that only the version is looked up.
    const STATELESS: bool = false;
    /// How its state is kept, if its streams may get long.
    const KEPT: Option<StateForm<Self>> = None;

    /// The event's name in its type, `fed-back` in `cn.liandong.finding.fed-back.v1`.
    fn name(event: &Self::Event) -> &'static str;

    /// Decides what a command causes. No events means "already so".
    fn decide(
        &self,
        command: Self::Command,
        context: &Context,
    ) -> Result<Vec<Self::Event>, Refusal>;

    /// Takes one fact in. It never refuses: the fact is already true.
    fn evolve(&mut self, event: &Self::Event);

    /// The offices that an event is addressed to, where its binding says so.
    fn addressees(event: &Self::Event) -> Vec<OfficeId> {
        let _ = event;
        Vec::new()
    }
}

/// The full type of an event of `family`.
pub fn kind(family: &str, name: &str) -> String {
    format!("cn.liandong.{family}.{name}.v1")
}

//! 人员与岗位 Person: who works at an office, and what each may do from when to when.
//!
//! A person holds roles by authorisations. They begin and end on days; ending
//! one never deletes it. No real name is needed: the account is.

use std::collections::BTreeMap;

use kernel::{Aggregate, Code, Context, Day, Refusal, Timestamp, id::Tier, sign::Hash};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    filled,
    post::{self, Role, Scope},
};

/// A role for a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Authorisation {
    /// Its id.
    pub id: String,
    /// The role, `D_PLAN`.
    pub role: String,
    /// What it covers: `office`, `round:ID`, `task:ROUND/TASK`, `organ:ID`,
    /// `portfolio:ID,ID`.
    pub scope: String,
    /// The first day.
    pub from: Day,
    /// The last day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Day>,
}

/// What the rules need to know.
#[derive(Clone, Debug, Default)]
pub struct Person {
    account: Option<String>,
    authorisations: BTreeMap<String, Authorisation>,
    link: Option<(Hash, Timestamp)>,
    second_factor: Option<u64>,
    identity: Option<Hash>,
}

/// What may be asked.
#[derive(Clone, Debug)]
pub enum Command {
    /// Registers a person.
    Register {
        /// The account, unique in the office; the desk checks that.
        account: String,
        /// What the screens show.
        display: String,
    },
    /// Gives a role for a time.
    Authorise {
        /// The tier, whose roles exist.
        tier: Tier,
        /// The role.
        authorisation: Authorisation,
    },
    /// Ends a role.
    EndAuthorisation {
        /// Which.
        id: String,
        /// The last day.
        to: Day,
    },
    /// Makes a one-time first sign-in link.
    IssueLink {
        /// The hash of its secret.
        hash: Hash,
        /// Until when, by the machine's clock.
        expires: Timestamp,
    },
    /// Sets a second factor, whose first code was right, or another in its place.
    SetSecondFactor {
        /// Its number; the secret follows from it and from the office's own key.
        number: u64,
    },
    /// Takes the second factor away: it was lost.
    ClearSecondFactor,
    /// Lets an identity of the provider stand for the person, or none any more.
    BindIdentity(Option<Hash>),
    /// Sets another password, which is kept outside the log.
    ChangePassword,
    /// Uses the link to set a password, which is kept outside the log.
    SpendLink {
        /// The hash of the secret shown.
        hash: Hash,
        /// When, by the machine's clock.
        at: Timestamp,
    },
}

/// What can happen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Event {
    /// A person was registered.
    Registered {
        /// The account.
        account: String,
        /// What the screens show.
        display: String,
    },
    /// A role was given.
    Authorised {
        /// The role and its time.
        authorisation: Authorisation,
    },
    /// A role ends.
    AuthorisationEnded {
        /// Which.
        id: String,
        /// The last day.
        to: Day,
    },
    /// A link was made.
    LinkIssued {
        /// The hash of its secret.
        hash: Hash,
        /// Until when.
        expires: Timestamp,
    },
    /// A second factor was set.
    SecondFactorSet {
        /// Its number.
        number: u64,
    },
    /// The second factor was taken away.
    SecondFactorCleared,
    /// An identity of the provider stands for the person.
    IdentityBound {
        /// The hash of issuer and subject.
        identity: Hash,
    },
    /// None does any more.
    IdentityUnbound,
    /// Another password was set.
    PasswordChanged,
    /// The link was used and a password set.
    LinkSpent {
        /// The hash of its secret.
        hash: Hash,
    },
}

impl Aggregate for Person {
    type Command = Command;
    type Event = Event;
    const FAMILY: &'static str = "person";

    fn name(event: &Event) -> &'static str {
        match event {
            Event::Registered { .. } => "registered",
            Event::Authorised { .. } => "authorised",
            Event::AuthorisationEnded { .. } => "authorisation-ended",
            Event::LinkIssued { .. } => "link-issued",
            Event::LinkSpent { .. } => "link-spent",
            Event::SecondFactorSet { .. } => "second-factor-set",
            Event::SecondFactorCleared => "second-factor-cleared",
            Event::PasswordChanged => "password-changed",
            Event::IdentityBound { .. } => "identity-bound",
            Event::IdentityUnbound => "identity-unbound",
        }
    }

    fn decide(&self, command: Command, context: &Context) -> Result<Vec<Event>, Refusal> {
        match (self.account.is_some(), command) {
            (false, Command::Register { account, display }) => {
                let plain =
                    |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
                if !(1..=40).contains(&account.len()) || !account.chars().all(plain) {
                    let why = "account: a-z 0-9 . _ -, 1 … 40";
                    return Err(Refusal::new(Code::BadField).detail(why));
                }
                filled("display", &display)?;
                Ok(vec![Event::Registered { account, display }])
            }
            (true, Command::Register { .. }) => Err(Code::PersonExists.into()),
            (false, _) => Err(Code::NotFound.into()),
            (true, Command::Authorise { tier, authorisation }) => {
                self.authorise(tier, authorisation)
            }
            (true, Command::EndAuthorisation { id, to }) => self.end(id, to, context.now.day()),
            (true, Command::IssueLink { hash, expires }) => {
                Ok(vec![Event::LinkIssued { hash, expires }])
            }
            (true, Command::SetSecondFactor { number }) if self.second_factor == Some(number) => {
                Ok(vec![])
            }
            (true, Command::SetSecondFactor { number }) => {
                Ok(vec![Event::SecondFactorSet { number }])
            }
            (true, Command::ClearSecondFactor) if self.second_factor.is_none() => Ok(vec![]),
            (true, Command::ClearSecondFactor) => Ok(vec![Event::SecondFactorCleared]),
            (true, Command::BindIdentity(identity)) if self.identity == identity => Ok(vec![]),
            // The one before is ended first, with the sessions that it began.
            (true, Command::BindIdentity(Some(_))) if self.identity.is_some() => {
                Err(Code::IdentityBound.into())
            }
            (true, Command::BindIdentity(identity)) => Ok(vec![match identity {
                Some(identity) => Event::IdentityBound { identity },
                None => Event::IdentityUnbound,
            }]),
            (true, Command::ChangePassword) => Ok(vec![Event::PasswordChanged]),
            (true, Command::SpendLink { hash, at }) => match self.link {
                Some((known, expires)) if known == hash && at <= expires => {
                    Ok(vec![Event::LinkSpent { hash }])
                }
                _ => Err(Code::LinkSpent.into()),
            },
        }
    }

    fn evolve(&mut self, event: &Event) {
        match event {
            Event::Registered { account, .. } => self.account = Some(account.clone()),
            Event::Authorised { authorisation } => {
                self.authorisations.insert(authorisation.id.clone(), authorisation.clone());
            }
            Event::AuthorisationEnded { id, to } => {
                if let Some(authorisation) = self.authorisations.get_mut(id) {
                    authorisation.to = Some(*to);
                }
            }
            Event::LinkIssued { hash, expires } => self.link = Some((*hash, *expires)),
            Event::LinkSpent { .. } => self.link = None,
            Event::SecondFactorSet { number } => self.second_factor = Some(*number),
            Event::SecondFactorCleared => self.second_factor = None,
            Event::IdentityBound { identity } => self.identity = Some(*identity),
            Event::IdentityUnbound => self.identity = None,
            Event::PasswordChanged => {}
        }
    }
}

impl Person {
    /// Ending shortens: it neither prolongs a post nor takes it back for days gone by.
    fn end(&self, id: String, to: Day, today: Day) -> Result<Vec<Event>, Refusal> {
        let known = self.authorisations.get(&id).ok_or(Code::NotFound)?;
        if known.to == Some(to) {
            return Ok(vec![]);
        }
        // A post that was given by mistake ends before its first day: it was never held.
        let earliest = known.from.max(today).before();
        if to < earliest || known.to.is_some_and(|end| end < to) {
            let latest = known.to.map_or_else(|| "…".to_owned(), |end| end.to_string());
            return Err(Refusal::new(Code::BadField).detail(format!("to: {earliest} … {latest}")));
        }
        Ok(vec![Event::AuthorisationEnded { id, to }])
    }

    fn authorise(&self, tier: Tier, new: Authorisation) -> Result<Vec<Event>, Refusal> {
        let role = Role::of(&new.role).filter(|_| post::roles(tier).contains(&new.role));
        let role = role
            .ok_or_else(|| Refusal::new(Code::UnknownRole).detail(post::roles(tier).join(", ")))?;
        if !Scope::parse(&new.scope).is_some_and(|scope| scope.fits(role.width)) {
            let why = format!("scope: {}", post::scopes(role.width));
            return Err(Refusal::new(Code::BadField).detail(why));
        }
        if new.to.is_some_and(|to| to < new.from) {
            return Err(Refusal::new(Code::BadField).detail("to < from"));
        }
        let administers = |role: &str| Role::of(role).is_some_and(Role::administers);
        let overlaps = |old: &Authorisation| {
            old.to.is_none_or(|to| new.from <= to) && new.to.is_none_or(|to| old.from <= to)
        };
        let mut held = self.authorisations.values().filter(|old| overlaps(old));
        let clash = held
            .any(|old| old.role != new.role && (administers(&old.role) || administers(&new.role)));
        if clash {
            return Err(Code::RolesExclusive.into());
        }
        match self.authorisations.get(&new.id) {
            Some(known) if *known == new => return Ok(vec![]),
            Some(_) => return Err(Code::AuthorisationExists.into()),
            None => {}
        }
        Ok(vec![Event::Authorised { authorisation: new }])
    }
}

#[cfg(test)]
mod tests;

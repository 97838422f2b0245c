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
mod tests {
    use super::*;
    use testkit::given;

    fn role(id: &str, role: &str, from: &str, to: Option<&str>) -> Authorisation {
        Authorisation {
            id: id.into(),
            role: role.into(),
            scope: "office".into(),
            from: Day::parse(from).unwrap(),
            to: to.map(|day| Day::parse(day).unwrap()),
        }
    }

    fn registered() -> Event {
        Event::Registered { account: "zhang".into(), display: "甲".into() }
    }

    fn ask(authorisation: Authorisation) -> Command {
        Command::Authorise { tier: Tier::District, authorisation }
    }

    #[test]
    fn a_role_exists_at_its_tier_only() {
        let ask = ask(role("a", "C_PLAN", "2024-01-01", None));
        given::<Person>([registered()]).when(ask).then_refused(Code::UnknownRole);
    }

    #[test]
    fn nobody_holds_two_administrators_posts_at_a_time() {
        let facts = |to| {
            let authorisation = role("a", "D_SYS", "2024-01-01", to);
            [registered(), Event::Authorised { authorisation }]
        };
        let auditor = || role("b", "D_AUDADM", "2024-06-01", None);
        given::<Person>(facts(None)).when(ask(auditor())).then_refused(Code::RolesExclusive);
        let given = given::<Person>(facts(Some("2024-05-31")));
        given.when(ask(auditor())).then([Event::Authorised { authorisation: auditor() }]);
    }

    #[test]
    fn an_administrator_holds_no_other_post() {
        let facts = |held: &str| {
            let authorisation = role("a", held, "2024-01-01", None);
            [registered(), Event::Authorised { authorisation }]
        };
        let planner = role("b", "D_PLAN", "2024-06-01", None);
        given::<Person>(facts("D_SYS")).when(ask(planner)).then_refused(Code::RolesExclusive);
        let administrator = role("b", "D_AUDADM", "2024-06-01", None);
        given::<Person>(facts("D_TL")).when(ask(administrator)).then_refused(Code::RolesExclusive);
        let both = role("b", "D_FILE", "2024-06-01", None);
        let authorised = Event::Authorised { authorisation: both.clone() };
        given::<Person>(facts("D_PLAN")).when(ask(both)).then([authorised]);
    }

    #[test]
    fn a_post_covers_what_its_role_can_cover() {
        let given_to = |name: &str, scope: &str| {
            let mut authorisation = role("a", name, "2024-01-01", None);
            scope.clone_into(&mut authorisation.scope);
            ask(authorisation)
        };
        for (name, scope) in [
            ("D_PLAN", "round:d-r1"),
            ("D_NRD", "office"),
            ("D_PL", "office"),
            ("D_TL", "organ:o1"),
            ("D_UNIT", "round:d-r1"),
            ("D_TL", "everything"),
        ] {
            let refused = given::<Person>([registered()]).when(given_to(name, scope));
            refused.then_refused(Code::BadField);
        }
        for (name, scope) in [("D_TL", "task:d-r1/t1"), ("D_UNIT", "organ:o1"), ("D_TL", "office")]
        {
            let ask = given_to(name, scope);
            let Command::Authorise { authorisation, .. } = ask.clone() else { unreachable!() };
            given::<Person>([registered()]).when(ask).then([Event::Authorised { authorisation }]);
        }
    }

    #[test]
    fn ending_a_post_only_shortens_it() {
        let end =
            |to: &str| Command::EndAuthorisation { id: "a".into(), to: Day::parse(to).unwrap() };
        let facts = |to| {
            let authorisation = role("a", "D_SYS", "2020-01-01", to);
            [registered(), Event::Authorised { authorisation }]
        };
        let today = testkit::context("p1").now.day().to_string();
        let ended = Event::AuthorisationEnded { id: "a".into(), to: Day::parse(&today).unwrap() };
        given::<Person>(facts(None)).when(end(&today)).then([ended]);
        given::<Person>(facts(None)).when(end("2019-12-31")).then_refused(Code::BadField);
        given::<Person>(facts(None)).when(end("2020-01-02")).then_refused(Code::BadField);
        let again = ask(role("a", "D_SYS", "2020-01-01", Some("2020-06-01")));
        given::<Person>(facts(None)).when(again).then_refused(Code::AuthorisationExists);
        let past = facts(Some("2020-02-01"));
        given::<Person>(past).when(end("2199-12-31")).then_refused(Code::BadField);
    }

    #[test]
    fn an_account_is_written_in_one_way() {
        for account in ["Zhang", "zhang ", "", "张"] {
            let (account, display) = (account.to_owned(), "甲".to_owned());
            let ask = Command::Register { account, display };
            given::<Person>([]).when(ask).then_refused(Code::BadField);
        }
    }

    #[test]
    fn a_link_works_once_and_in_time() {
        let hash = Hash([3; 32]);
        let issued = Event::LinkIssued { hash, expires: Timestamp(1000) };
        let spend = |at| Command::SpendLink { hash, at: Timestamp(at) };
        let facts = || vec![registered(), issued.clone()];
        given::<Person>(facts()).when(spend(1001)).then_refused(Code::LinkSpent);
        given::<Person>(facts()).when(spend(1000)).then([Event::LinkSpent { hash }]);
        let mut spent = facts();
        spent.push(Event::LinkSpent { hash });
        given::<Person>(spent).when(spend(1000)).then_refused(Code::LinkSpent);
    }
}

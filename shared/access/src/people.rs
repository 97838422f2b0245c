//! The people view: accounts and live authorisations.

use std::collections::BTreeMap;

use domain::{
    person::{Authorisation, Event},
    post::Scope,
    recusal,
};
use event_store::{FoldError, Rows, View};
use kernel::{Day, Fact, Timestamp, sign::Hash};
use serde::{Deserialize, Serialize};

use crate::{Post, Standing};

/// The view's name; keys are person ids.
pub const PEOPLE: &str = "people";
/// Account names to person ids.
pub const ACCOUNTS: &str = "accounts";

/// Identities of the provider to person ids.
pub const IDENTITIES: &str = "identities";

/// A person.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct PersonRow {
    /// The account.
    pub account: String,
    /// What the screens show.
    pub display: String,
    /// Authorisations by id.
    pub authorisations: BTreeMap<String, Authorisation>,
    /// The number of the second factor, once one is set.
    pub second_factor: Option<u64>,
    /// The identity of the provider that stands for the person.
    #[serde(default)]
    pub identity: Option<Hash>,
    /// The hash of the one-time link that is open, and until when.
    pub link: Option<(Hash, Timestamp)>,
    /// The organizations from whose matters the person is kept, by recusal.
    #[serde(default)]
    pub recused: BTreeMap<String, String>,
    /// The stream's version.
    pub version: u64,
}

impl PersonRow {
    /// What the person may stand on, on a day.
    pub fn standing_on(&self, day: Day) -> Standing {
        let recused = self.recused.values().cloned().collect();
        Standing { posts: self.posts_on(day), recused, gives_reason: false }
    }

    /// The posts held on a day. One on a case is given to whoever holds the same post
    /// otherwise, and counts no longer than that.
    pub fn posts_on(&self, day: Day) -> Vec<Post> {
        let live = |a: &&Authorisation| a.from <= day && a.to.is_none_or(|to| day <= to);
        let post = |a: &Authorisation| {
            let (authorisation, role) = (a.id.clone(), a.role.clone());
            Scope::parse(&a.scope).map(|scope| Post { authorisation, role, scope })
        };
        let posts: Vec<Post> = self.authorisations.values().filter(live).filter_map(post).collect();
        let of_case = |post: &Post| matches!(post.scope, Scope::Case(_));
        let held = |role: &str| posts.iter().any(|post| post.role == role && !of_case(post));
        posts.iter().filter(|post| !of_case(post) || held(&post.role)).cloned().collect()
    }
}

/// Folds persons.
#[derive(Debug)]
pub struct PeopleView;

impl View for PeopleView {
    fn name(&self) -> &'static str {
        PEOPLE
    }

    fn schema(&self) -> &'static str {
        "2"
    }

    fn apply(&self, rows: &mut Rows<'_>, fact: &Fact) -> Result<(), FoldError> {
        let Some((_, id)) = fact.stream.split_once('/') else { return Ok(()) };
        match fact.family() {
            "person" => {}
            "recusal" => return kept_away(rows, fact, id),
            _ => return Ok(()),
        }
        let event: Event = fact.read()?;
        if let Event::Registered { account, .. } = &event {
            rows.put(ACCOUNTS, account, &id)?;
        }
        match &event {
            Event::IdentityBound { identity } => {
                rows.put(IDENTITIES, &identity.to_string(), &id)?;
            }
            Event::IdentityUnbound => {
                let known: Option<PersonRow> = rows.get(PEOPLE, id)?;
                if let Some(identity) = known.and_then(|row| row.identity) {
                    rows.delete(IDENTITIES, &identity.to_string());
                }
            }
            _ => {}
        }
        rows.change(PEOPLE, id, |row: &mut PersonRow| {
            row.version = fact.version.unwrap_or(row.version);
            match event {
                Event::Registered { account, display } => {
                    row.account = account;
                    row.display = display;
                }
                Event::Authorised { authorisation } => {
                    row.authorisations.insert(authorisation.id.clone(), authorisation);
                }
                Event::AuthorisationEnded { id, to } => {
                    if let Some(authorisation) = row.authorisations.get_mut(&id) {
                        authorisation.to = Some(to);
                    }
                }
                Event::SecondFactorSet { number } => row.second_factor = Some(number),
                Event::SecondFactorCleared => row.second_factor = None,
                Event::IdentityBound { identity } => row.identity = Some(identity),
                Event::IdentityUnbound => row.identity = None,
                Event::LinkIssued { hash, expires } => row.link = Some((hash, expires)),
                Event::LinkSpent { .. } => row.link = None,
                Event::PasswordChanged => {}
            }
        })
    }
}

/// A recusal holds from the moment it is raised until it is dismissed.
fn kept_away(rows: &mut Rows<'_>, fact: &Fact, id: &str) -> Result<(), FoldError> {
    let event: recusal::Event = fact.read()?;
    let Some((case, holds)) = event.keeps() else { return Ok(()) };
    rows.change(PEOPLE, &case.person, |row: &mut PersonRow| {
        if holds {
            row.recused.insert(id.to_owned(), case.organization.clone());
        } else {
            row.recused.remove(id);
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_post_on_a_case_counts_as_long_as_the_same_post_otherwise() {
        let day = |text: &str| Day::parse(text).unwrap();
        let post = |id: &str, role: &str, scope: &str, to: Option<&str>| {
            let (from, to) = (day("2024-01-08"), to.map(day));
            let (id, role, scope) = (id.to_owned(), role.to_owned(), scope.to_owned());
            (id.clone(), Authorisation { id, role, scope, from, to })
        };
        let held = |posts: Vec<(String, Authorisation)>, on: &str| {
            let row =
                PersonRow { authorisations: posts.into_iter().collect(), ..Default::default() };
            let posts = row.posts_on(day(on)).into_iter();
            posts.map(|post| post.authorisation).collect::<Vec<_>>()
        };
        let case = || post("case", "D_NDI_OFF", "case:c1", None);
        let base = || post("base", "D_NDI_OFF", "round:r1", Some("2024-01-09"));
        assert_eq!(held(vec![base(), case()], "2024-01-09"), ["base", "case"]);
        assert_eq!(held(vec![base(), case()], "2024-01-10"), Vec::<String>::new());
        let other = post("other", "D_NDI_SUP", "office", None);
        assert_eq!(held(vec![other, case()], "2024-01-09"), ["other"]);
    }
}

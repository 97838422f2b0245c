//! Whose keys are published, and which keys are to be forgotten.

use domain::{
    clue, identity,
    organ_home::{self, Home, OrganHome},
    organ_key::{self, OrganKey},
    scope_key,
};
use event_store::{FoldError, Rows, View};
use kernel::{Aggregate, Fact, OfficeId};

use super::{KEYS_DUE, KEYS_GIVEN, KEYS_GONE, ORGAN_HOMES, ORGAN_KEYS, grant_id, organ_name};

/// Folds what concerns keys: whose are published, and which are to be forgotten.
#[derive(Debug)]
pub struct SealingView {
    /// The office whose vault it is.
    pub office: OfficeId,
}

impl View for SealingView {
    fn name(&self) -> &'static str {
        KEYS_DUE
    }

    fn schema(&self) -> &'static str {
        "2"
    }

    fn apply(&self, rows: &mut Rows<'_>, fact: &Fact) -> Result<(), FoldError> {
        let own = fact.at.origin == self.office;
        let Some((_, id)) = fact.stream.split_once('/') else { return Ok(()) };
        match fact.family() {
            OrganKey::FAMILY => {
                let (organ, key) = fact.read::<organ_key::Event>()?.says();
                rows.put(ORGAN_KEYS, &format!("{}/{}", fact.at.origin, organ_name(organ)), &key)
            }
            OrganHome::FAMILY => {
                let organ_home::Event::Named { home: Home { of, organ, home }, key } =
                    fact.read()?;
                let organ = organ_name(organ);
                rows.put(ORGAN_KEYS, &format!("{home}/{organ}"), &key)?;
                rows.put(ORGAN_HOMES, &format!("{of}/{organ}"), &home)
            }
            scope_key::ScopeKey::FAMILY if own => match fact.read()? {
                scope_key::Event::Granted { scope, to, grant, .. } if to.office == self.office => {
                    rows.put(KEYS_GIVEN, &grant_id(&scope, &to), &grant)
                }
                scope_key::Event::Granted { .. } => Ok(()),
                scope_key::Event::Destroyed { scope } => {
                    rows.delete(KEYS_DUE, &scope.to_string());
                    rows.put(KEYS_GONE, &scope.to_string(), &id)
                }
            },
            clue::Clue::FAMILY if own => {
                use clue::Event::{Custody, Dropped, HandedOnPaper};
                use domain::custody::Event::Released;
                let over = matches!(
                    fact.read()?,
                    Custody(Released { .. }) | Dropped { .. } | HandedOnPaper { .. }
                );
                let scope = crate::clues::scope_of(id).to_string();
                if over { rows.put(KEYS_DUE, &scope, &id) } else { Ok(()) }
            }
            identity::Identity::FAMILY if own => match fact.read()? {
                identity::Event::DestructionApproved { .. } => {
                    rows.put(KEYS_DUE, &crate::identities::scope_of(id).to_string(), &id)
                }
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }
}

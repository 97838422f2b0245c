//! Scope keys: made once, kept as grants in the vault, never made anew under a name that the
//! log knows.

use std::sync::{Mutex, PoisonError};

use domain::{
    custody::Party,
    post::Organ,
    scope_key::{self, Purpose},
};
use event_store::{Stop, Unit};
use kernel::{Code, Entropy, sealed::Scope, sign::Hash};
use vault::{Grant, ScopeKey};
use web::{Problem, Seat};

use super::{KEYS_GIVEN, KEYS_GONE, grant_id, in_vault, key_id, organ_name, refused};

/// Held while it is looked whether a scope has a key, and one is made.
static MAKING: Mutex<()> = Mutex::new(());

/// The key of a scope for an own organ: the one that its grant opens, or a fresh one whose
/// grant is kept from now on; and the grant's hash.
pub(crate) async fn key_for(
    seat: &Seat,
    scope: Scope,
    organ: Organ,
    purpose: Purpose,
) -> Result<(ScopeKey, Hash), Problem> {
    not_gone(seat, &scope).await?;
    let to = Party { office: seat.office.setting().office.clone(), organ };
    // A key that was given and is not in the vault is lost: another under its name would
    // make what was sealed before look as if somebody had changed it.
    let given: Option<Hash> =
        seat.office.reader().await?.view(KEYS_GIVEN, &grant_id(&scope, &to)).await?;
    let made = in_vault(seat, move |vault| {
        // Two that need the key of one scope at a time get the same.
        let _one = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
        let (id, key) = (grant_id(&scope, &to), vault.organ(&organ_name(organ))?);
        let what = vault::grant::Purpose { id: &id, what: purpose.as_str() };
        if let Some(grant) = vault.grant(&id) {
            return Ok(Some(grant.open(&key, &scope, &what).map(|key| (key, grant.hash()))));
        }
        if given.is_some() {
            return Ok(None);
        }
        let fresh = ScopeKey::fresh(scope.clone(), &Entropy::System);
        Ok(Some(match Grant::to(&fresh, &key.public(), &what) {
            Ok(grant) => {
                vault.keep_grant(&id, &scope, &grant)?;
                Ok((fresh, grant.hash()))
            }
            Err(broken) => Err(broken),
        }))
    });
    Ok(made.await?.ok_or(Code::KeyGone)?.map_err(refused)?)
}

/// What was attested to be destroyed does not come back with an old copy of the vault.
async fn not_gone(seat: &Seat, scope: &Scope) -> Result<(), Problem> {
    let mut reader = seat.office.reader().await?;
    match reader.view::<String>(KEYS_GONE, &scope.to_string()).await? {
        Some(_) => Err(Code::KeyGone.into()),
        None => Ok(()),
    }
}

/// Whether the vault has the grant of a scope key for an organ.
pub(crate) fn has_grant(seat: &Seat, scope: &Scope, to: &Party) -> bool {
    seat.vault.grant(&grant_id(scope, to)).is_some()
}

/// Takes a grant that came into the vault; it lies there, where it can be forgotten, and
/// nowhere else here. What is there already is not written over by what comes from outside.
pub(crate) async fn take_grant(
    seat: &Seat,
    scope: &Scope,
    to: &Party,
    hash: &Hash,
) -> Result<(), Problem> {
    if !has_grant(seat, scope, to) {
        let bytes = seat.papers.get(hash).await?.ok_or(Code::PartAway)?;
        let Some(grant) = Grant::of(&bytes) else { return Ok(()) };
        let (id, scope) = (grant_id(scope, to), scope.clone());
        in_vault(seat, move |vault| vault.keep_grant(&id, &scope, &grant)).await?;
    }
    Ok(seat.papers.forget(hash)?)
}

/// The key of a scope that was granted to an own organ.
pub(crate) async fn kept_key(
    seat: &Seat,
    organ: Organ,
    purpose: Purpose,
    scope: &Scope,
) -> Result<ScopeKey, Problem> {
    not_gone(seat, scope).await?;
    let to = Party { office: seat.office.setting().office.clone(), organ };
    let id = grant_id(scope, &to);
    let name = id.clone();
    let found =
        in_vault(seat, move |vault| Ok((vault.grant(&name), vault.organ(&organ_name(organ))?)));
    let (grant, own) = found.await?;
    let what = vault::grant::Purpose { id: &id, what: purpose.as_str() };
    Ok(grant.ok_or(Code::KeyGone)?.open(&own, scope, &what).map_err(refused)?)
}

/// Notes that a scope key was granted.
pub(crate) async fn note_grant(
    unit: &mut Unit<'_>,
    scope: &Scope,
    to: Party,
    grant: Hash,
    purpose: Purpose,
) -> Result<(), Stop> {
    let id = key_id(&unit.setting().office, scope);
    let ask = scope_key::Command::Grant { scope: scope.clone(), to, grant, purpose };
    unit.execute::<scope_key::ScopeKey>(&id, ask).await?;
    Ok(())
}

//! 封存 Sealing at the desk: the office's vault, its organs' keys, and what is to be
//! forgotten.
//!
//! A part is sealed inside the transaction, where its entry's place is known, and its
//! ciphertext lies on the disk before the entry does. What a reader would get wrong: the
//! views only say that a key is to go. It is gone when the vault has forgotten it, and the
//! office says so by an entry of its own afterwards; a stop between the two is finished by
//! the next turn.

mod organs;
mod view;

use std::{
    os::unix::fs::DirBuilderExt,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use domain::{
    custody::Party,
    identity,
    post::Organ,
    scope_key::{self, Purpose},
    signing_key,
};
use event_store::{Answer, Stop, Unit, act};
use kernel::{
    Code, Entropy, EntryRef, OfficeId, Refusal,
    sealed::{Scope, SealedPart},
    sign::{Hash, PublicKey},
};
use messaging::papers::Papers;
use vault::{Broken, Grant, OrganPublic, Place, ScopeKey, Unkept, Vault, part};
use web::{Problem, Seat};
use zeroize::Zeroizing;

pub use organs::{ORGAN_HOMES, ORGAN_KEYS, organ_name};
pub(crate) use organs::{homes, publish};
pub use view::SealingView;

use crate::{joining::OfficeConfig, operations::backup::VAULT, signing::SIGNING_KEYS};

/// Scope keys that this office's vault is to forget.
pub const KEYS_DUE: &str = "scope-keys-due";

/// Grants to own organs that are on record, by their ids.
const KEYS_GIVEN: &str = "scope-keys-given";

/// Scope keys that are attested to be destroyed.
const KEYS_GONE: &str = "scope-keys-gone";

/// Held while it is looked whether a scope has a key, and one is made.
static MAKING: Mutex<()> = Mutex::new(());

/// The vault of an office, in a folder of its own beside the keys.
pub(crate) async fn open_vault(config: &OfficeConfig) -> Result<Vault, String> {
    let folder = config.keys.join(VAULT);
    make_folder(&folder)?;
    let passphrase = passphrase(config)?;
    let given = passphrase.as_ref().map(|text| text.trim_ascii_end());
    let (began, mut opened) = (Instant::now(), Vault::open(&folder, given));
    // The process before this one may be just about to end.
    while matches!(opened, Err(Unkept::InUse(_))) && began.elapsed() < Duration::from_secs(5) {
        tokio::time::sleep(Duration::from_millis(100)).await;
        opened = Vault::open(&folder, given);
    }
    opened.map_err(|error| error.to_string())
}

/// A folder for its owner alone.
pub(crate) fn make_folder(folder: &Path) -> Result<(), String> {
    let made = std::fs::DirBuilder::new().mode(0o700).recursive(true).create(folder);
    made.map_err(|error| format!("{}: {error}", folder.display()))
}

/// The vault's passphrase, if the office has one.
pub(crate) fn passphrase(config: &OfficeConfig) -> Result<Option<Zeroizing<Vec<u8>>>, String> {
    let Some(path) = &config.vault_passphrase else { return Ok(None) };
    let read = std::fs::read(path).map(Zeroizing::new);
    Ok(Some(read.map_err(|error| format!("{}: {error}", path.display()))?))
}

/// Runs something with the vault off the async threads: it writes files.
pub(crate) async fn in_vault<T: Send + 'static>(
    seat: &Seat,
    run: impl FnOnce(&Vault) -> Result<T, Unkept> + Send + 'static,
) -> Result<T, Problem> {
    let vault = seat.vault.clone();
    let done = tokio::task::spawn_blocking(move || run(&vault)).await;
    done.map_err(|_| Code::Internal)?.map_err(|error| {
        tracing::error!(%error, "the vault did not answer");
        Code::Internal.into()
    })
}

/// The name of a grant: whose key, for which organ.
pub(crate) fn grant_id(scope: &Scope, to: &Party) -> String {
    format!("{scope}@{}/{}", to.office, organ_name(to.organ))
}

fn refused(broken: Broken) -> Refusal {
    Refusal::new(Code::SealBroken).detail(broken.to_string())
}

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

/// Seals a content for the next entry of the transaction; its ciphertext is on the disk
/// when this returns. Nothing may be recorded between this and that entry.
pub(crate) async fn seal_next(
    unit: &mut Unit<'_>,
    papers: &Papers,
    key: &ScopeKey,
    content: &[u8],
) -> Result<SealedPart, Stop> {
    let (header, bytes) = seal_within(unit, key, content)?;
    papers.keep(bytes).await.map_err(|error| {
        tracing::error!(%error, "a sealed part could not be kept");
        Refusal::new(Code::DiskFull)
    })?;
    Ok(header)
}

/// The same with a ciphertext that is to stand in that entry itself.
pub(crate) fn seal_within(
    unit: &mut Unit<'_>,
    key: &ScopeKey,
    content: &[u8],
) -> Result<(SealedPart, Vec<u8>), Stop> {
    let origin = unit.setting().office.clone();
    let entry = EntryRef { origin, epoch: unit.epoch(), sequence: unit.sequence() + 1 };
    let place = Place { entry: &entry, part: "content" };
    Ok(part::seal(&place, key, content, &Entropy::System).map_err(refused)?)
}

/// A scope key sealed for another organ, as a paper that goes with the offer.
pub(crate) async fn grant_to(
    papers: &Papers,
    key: &ScopeKey,
    to: &Party,
    public: PublicKey,
) -> Result<Hash, Stop> {
    let id = grant_id(key.scope(), to);
    let what = vault::grant::Purpose { id: &id, what: Purpose::HandOver.as_str() };
    let grant = Grant::to(key, &OrganPublic(public.0), &what).map_err(refused)?;
    let kept = papers.keep(grant.to_bytes().to_vec()).await;
    Ok(kept.map_err(|_| Refusal::new(Code::DiskFull))?)
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

/// Opens a part for an own organ.
pub(crate) async fn open(
    seat: &Seat,
    organ: Organ,
    purpose: Purpose,
    place: &EntryRef,
    header: &SealedPart,
) -> Result<Zeroizing<Vec<u8>>, Problem> {
    let key = kept_key(seat, organ, purpose, &header.scope).await?;
    let bytes = seat.papers.get(&header.hash).await?.ok_or(Code::PartAway)?;
    Ok(open_under(&key, place, header, &bytes)?)
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

/// Opens a part under the key of its scope.
pub(crate) fn open_under(
    key: &ScopeKey,
    place: &EntryRef,
    header: &SealedPart,
    bytes: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Refusal> {
    part::open(&Place { entry: place, part: "content" }, key, header, bytes).map_err(refused)
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

fn key_id(office: &OfficeId, scope: &Scope) -> String {
    let name = Hash::of(&[scope.to_string().as_bytes()]).to_string();
    format!("{office}-{}", &name[..16])
}

/// Forgets what is to be forgotten, and says so; drops personal keys that count no more.
/// One turn of the periodic loop; the first one of a process looks whether the vault is an
/// old copy.
pub(crate) async fn turn(seat: &Arc<Seat>, first: bool) -> Result<(), Problem> {
    if first {
        let gone: Vec<(String, String)> = seat.office.reader().await?.all(KEYS_GONE, "").await?;
        let gone: Vec<Scope> = gone.iter().filter_map(|(scope, _)| Scope::parse(scope)).collect();
        in_vault(seat, move |vault| vault.forget(&gone)).await?;
    }
    crate::escrow::turn(seat).await?;
    let due: Vec<(String, String)> = seat.office.reader().await?.all(KEYS_DUE, "").await?;
    let due: Vec<(Scope, String)> =
        due.into_iter().filter_map(|(scope, about)| Some((Scope::parse(&scope)?, about))).collect();
    let forgotten: Vec<Scope> = due.iter().map(|(scope, _)| scope.clone()).collect();
    if !forgotten.is_empty() {
        in_vault(seat, move |vault| vault.forget(&forgotten)).await?;
    }
    for (scope, about) in due {
        let attesting = act(move |unit: &mut Unit<'_>| {
            let (scope, about) = (scope.clone(), about.clone());
            Box::pin(async move {
                let id = key_id(&unit.setting().office, &scope);
                let of_person = matches!(scope, Scope::Subject(..));
                let ask = scope_key::Command::Attest { scope };
                unit.execute::<scope_key::ScopeKey>(&id, ask).await?;
                if of_person {
                    let ask = identity::Command::NoteDestroyed;
                    unit.execute::<identity::Identity>(&about, ask).await?;
                }
                Ok(Answer { status: 200, etag: String::new(), body: Vec::new() })
            })
        });
        seat.office.system(attesting).await?;
    }
    let _at_work = crate::signing::AT_WORK.lock().await;
    for (person, key) in seat.vault.persons() {
        let known: Option<crate::signing::KeyRow> =
            seat.office.reader().await?.view(SIGNING_KEYS, &person).await?;
        if known.is_some_and(|row| row.key != Some(key)) {
            in_vault(seat, move |vault| vault.forget_person(&person)).await?;
        }
    }
    Ok(())
}

/// Lets a person's key count no more: the person is given new factors.
pub(crate) async fn destroy_signing_key(unit: &mut Unit<'_>, person: &str) -> Result<(), Stop> {
    unit.execute::<signing_key::SigningKey>(person, signing_key::Command::Destroy).await?;
    Ok(())
}

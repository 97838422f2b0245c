//! 封存 Sealing at the desk: the office's vault, its organs' keys, and what is to be
//! forgotten.
//!
//! A part is sealed inside the transaction, where its entry's place is known, and its
//! ciphertext lies on the disk before the entry does. What a reader would get wrong: the
//! views only say that a key is to go. It is gone when the vault has forgotten it, and the
//! office says so by an entry of its own afterwards; a stop between the two is finished by
//! the next turn.

mod keys;
mod organs;
mod view;

use std::{
    os::unix::fs::DirBuilderExt,
    path::Path,
    sync::Arc,
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

pub(crate) use keys::{has_grant, kept_key, key_for, note_grant, take_grant};
pub use organs::{ORGAN_HOMES, ORGAN_KEYS, organ_name};
pub(crate) use organs::{homes, publish};
pub use view::SealingView;

use crate::{config::OfficeConfig, operations::backup::VAULT, signing::SIGNING_KEYS};

/// Scope keys that this office's vault is to forget.
pub const KEYS_DUE: &str = "scope-keys-due";

/// Grants to own organs that are on record, by their ids.
const KEYS_GIVEN: &str = "scope-keys-given";

/// Scope keys that are attested to be destroyed.
const KEYS_GONE: &str = "scope-keys-gone";

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

/// Opens a part under the key of its scope.
pub(crate) fn open_under(
    key: &ScopeKey,
    place: &EntryRef,
    header: &SealedPart,
    bytes: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Refusal> {
    part::open(&Place { entry: place, part: "content" }, key, header, bytes).map_err(refused)
}

fn key_id(office: &OfficeId, scope: &Scope) -> String {
    let name = Hash::of(&[scope.to_string().as_bytes()]).to_string();
    format!("{office}-{}", &name[..16])
}

/// Forgets what is to be forgotten, and says so; drops personal keys that count no more.
/// One turn of the periodic loop; the first one of a process looks whether the vault is an
/// old copy. Whether nothing waits for the hub.
///
/// What was handed on, the log could forget together with the store as long as the hub does
/// not hold it: the matter would be here again, and its key gone. So such a key waits until
/// the hub has the log that far. An identity's is destroyed at once, as two have asked.
pub(crate) async fn turn(seat: &Arc<Seat>, first: bool) -> Result<bool, Problem> {
    if first {
        let gone: Vec<(String, String)> = seat.office.reader().await?.all(KEYS_GONE, "").await?;
        let gone: Vec<Scope> = gone.iter().filter_map(|(scope, _)| Scope::parse(scope)).collect();
        in_vault(seat, move |vault| vault.forget(&gone)).await?;
    }
    crate::escrow::turn(seat).await?;
    let due: Vec<(String, String)> = seat.office.reader().await?.all(KEYS_DUE, "").await?;
    let due = due.into_iter().filter_map(|(scope, about)| Some((Scope::parse(&scope)?, about)));
    let (at_once, handed_on): (Vec<_>, Vec<_>) =
        due.partition(|(scope, _)| matches!(scope, Scope::Subject(..)));
    let safe = handed_on.is_empty() || reaches_the_hub(seat).await;
    let mut due: Vec<(Scope, String)> = at_once;
    due.extend(handed_on.into_iter().filter(|_| safe));
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
    Ok(safe)
}

/// Whether the hub comes to hold the log as far as it is now, within a second.
async fn reaches_the_hub(seat: &Seat) -> bool {
    let head = seat.office.head();
    for _ in 0..10 {
        if seat.link.held() >= head {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    false
}

/// Lets a person's key count no more: the person is given new factors.
pub(crate) async fn destroy_signing_key(unit: &mut Unit<'_>, person: &str) -> Result<(), Stop> {
    unit.execute::<signing_key::SigningKey>(person, signing_key::Command::Destroy).await?;
    Ok(())
}

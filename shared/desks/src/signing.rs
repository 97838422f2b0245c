//! 个人签名 Personal signatures: keys that one person's sign-in unlocks, and who vouches.
//!
//! The password comes in a header of the very request that signs, opens the key for that
//! one signature and is kept nowhere; so whoever runs the machine, without it, signs
//! nothing. The header is percent-encoded, as `Reading-Reason` is.

use std::sync::Arc;

use access::passwords;
use axum::{
    Json,
    extract::{Path, State},
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use domain::{
    custody::{PersonSignature, statement},
    post::Organ,
    signing_key::{Command as Ask, Event, SigningKey, VOUCHERS},
};
use event_store::{FoldError, Rows, Unit, View, act};
use kernel::{
    Code, Fact, Timestamp,
    clock::wall,
    sign::{Hash, PublicKey},
};
use percent_encoding::percent_decode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::Semaphore;
use vault::Signer;
use web::{Caller, Command, Nothing, Problem, Route, Seat, Who, answer, get, post};
use zeroize::Zeroizing;

use crate::sealing::in_vault;

/// Personal keys by person.
pub const SIGNING_KEYS: &str = "signing-keys";
/// The header of the password.
pub const PASSWORD: &str = "Signing-Password";

/// The desk's routes.
pub fn routes() -> Vec<Route> {
    vec![
        get("/api/signing-key", Who::Oneself, ["本人签名密钥", "One's own signing key"], own),
        post::<Nothing, _>(
            "/api/signing-key",
            Who::SignedIn,
            [
                "生成本人签名密钥(以本人登录口令封存)",
                "Make one's signing key, sealed under one's sign-in password; one before it counts no more",
            ],
            make,
        )
        .under(&[PASSWORD]),
        get(
            "/api/signing-keys/{person}",
            Who::Does("signing-key.certify"),
            ["某人签名密钥", "A person's signing key, to compare with what the person shows"],
            one,
        ),
        post::<Vouch, _>(
            "/api/signing-keys/{person}/certify",
            Who::Does("signing-key.certify"),
            [
                "证明签名密钥",
                "Vouch that the key is this person's; it counts after two persons of two organs",
            ],
            certify,
        ),
    ]
}

/// A personal key as it is shown.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct KeyRow {
    /// The public half, if there is one.
    pub key: Option<PublicKey>,
    /// Since when.
    pub made: Option<Timestamp>,
    /// Who vouches, for which organ.
    pub certified: Vec<(String, Organ)>,
    /// The version.
    pub version: u64,
}

impl KeyRow {
    /// The key, if it counts.
    pub fn counts(&self) -> Option<PublicKey> {
        self.key.filter(|_| self.certified.len() >= VOUCHERS)
    }
}

/// Folds personal keys.
#[derive(Debug)]
pub struct SigningView;

impl View for SigningView {
    fn name(&self) -> &'static str {
        SIGNING_KEYS
    }

    fn apply(&self, rows: &mut Rows<'_>, fact: &Fact) -> Result<(), FoldError> {
        if fact.family() != "signing-key" {
            return Ok(());
        }
        let Some((_, person)) = fact.stream.split_once('/') else { return Ok(()) };
        let (event, recorded): (Event, _) = (fact.read()?, fact.recorded);
        rows.change(SIGNING_KEYS, person, |row: &mut KeyRow| {
            row.version = fact.version.unwrap_or(row.version);
            match event {
                Event::Made { key } => {
                    (row.key, row.made) = (Some(key), Some(recorded));
                    row.certified.clear();
                }
                Event::Certified { by, organ, .. } => row.certified.push((by, organ)),
                Event::Destroyed { .. } => (row.key, row.certified) = (None, Vec::new()),
            }
        })
    }
}

/// Keys that passwords open at a time in this process: each takes 19 MiB and a good part of
/// a processor for a moment, as at the door.
static OPENING: Semaphore = Semaphore::const_new(2);

/// The password that came with a request.
fn password(headers: &HeaderMap) -> Result<Zeroizing<String>, Problem> {
    let value = headers.get(PASSWORD).ok_or(Code::SigningPassword)?;
    let text = percent_decode(value.as_bytes()).decode_utf8();
    let text = text.map_err(|_| Code::SigningPassword)?.into_owned();
    Ok(Zeroizing::new(text))
}

/// Signs an act on a content, as the caller in person.
pub(crate) async fn signature(
    seat: &Arc<Seat>,
    caller: &Caller,
    headers: &HeaderMap,
    act: &str,
    clue: &str,
    content: &Hash,
) -> Result<PersonSignature, Problem> {
    let (person, word) = (caller.actor.person.clone(), password(headers)?);
    let row: Option<KeyRow> = seat.office.reader().await?.view(SIGNING_KEYS, &person).await?;
    let key = row.and_then(|row| row.counts()).ok_or(Code::SigningKeyAbsent)?;
    // Nobody guesses a password by signing. Whoever signs much at once waits for his turn
    // first: what waits is no failed attempt.
    let _turn = OPENING.acquire().await;
    if !seat.door.tries(&person, "password", wall()) {
        return Err(Code::SigningLocked.into());
    }
    let (of, digest) = (person.clone(), statement(act, clue, content));
    let signed = in_vault(seat, move |vault| {
        let own = vault.person(&of, &word).filter(|own| own.public() == key);
        Ok(own.and_then(|own| own.sign_prehash(&digest).ok()))
    });
    let signature = signed.await?.ok_or(Code::SigningPassword)?;
    seat.door.came_in(&person, "password");
    Ok(PersonSignature { by: person, key, signature })
}

async fn shown(seat: &Seat, person: &str) -> Result<Response, Problem> {
    let row: Option<KeyRow> = seat.office.reader().await?.view(SIGNING_KEYS, person).await?;
    let row = row.unwrap_or_default();
    let fingerprint = row.key.map(|key| Hash::of(&[&key.0]).to_string());
    Ok(Json(json!({"person": person, "key": row.key, "fingerprint": fingerprint,
        "made": row.made, "certified_by": row.certified, "counts": row.counts().is_some()}))
    .into_response())
}

async fn own(State(seat): State<Arc<Seat>>, caller: Caller) -> Result<Response, Problem> {
    shown(&seat, &caller.actor.person).await
}

async fn one(
    State(seat): State<Arc<Seat>>,
    Path(person): Path<String>,
) -> Result<Response, Problem> {
    shown(&seat, &person).await
}

/// Keys are made, and those that count no more dropped, one at a time: between the vault
/// and the record of it nothing else looks.
pub(crate) static AT_WORK: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Makes a key under the caller's own sign-in password, which is asked of the door first.
async fn make(
    State(seat): State<Arc<Seat>>,
    headers: HeaderMap,
    command: Command<Nothing>,
) -> Result<Response, Problem> {
    let (person, word) = (command.caller.actor.person.clone(), password(&headers)?);
    if !seat.door.tries(&person, "password", wall()) {
        return Err(Code::Locked.into());
    }
    let sql = "SELECT phc FROM passwords WHERE person = $1";
    let rows = seat.office.reader().await?.rows(sql, vec![person.as_str().into()]).await?;
    let phc = rows.first().map(|row| row.text(0)).transpose()?;
    if phc.is_none() || !passwords::verify(&word, phc.as_deref()).await {
        return Err(Code::SigningPassword.into());
    }
    seat.door.came_in(&person, "password");
    // A key that this password opens is the person's already: a repeat makes no other one.
    let _at_work = AT_WORK.lock().await;
    let _turn = OPENING.acquire().await;
    let of = person.clone();
    let key = in_vault(&seat, move |vault| match vault.person(&of, &word) {
        Some(own) => Ok(own.public()),
        None => vault.make_person(&of, &word),
    });
    let key = key.await?;
    let run = act(move |unit: &mut Unit<'_>| {
        let person = person.clone();
        Box::pin(async move {
            let ask = Ask::Make { person: person.clone(), key };
            let done = unit.execute::<SigningKey>(&person, ask).await?;
            Ok(answer(&person, &done, json!({"key": key})))
        })
    });
    command.run(run).await
}

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Vouch {
    /// The key's fingerprint, as the person showed it: the SHA-256 of its public half.
    fingerprint: Hash,
}

async fn certify(
    State(seat): State<Arc<Seat>>,
    Path(person): Path<String>,
    command: Command<Vouch>,
) -> Result<Response, Problem> {
    let row: Option<KeyRow> = seat.office.reader().await?.view(SIGNING_KEYS, &person).await?;
    let key = row.and_then(|row| row.key).ok_or(Code::SigningKeyAbsent)?;
    if Hash::of(&[&key.0]) != command.body.fingerprint {
        return Err(Code::FingerprintDiffers.into());
    }
    let ask = Ask::Certify { person: person.clone(), key };
    command.decide::<SigningKey>(person, None, ask).await
}

//! 密钥与纪元 Keys and lives: an office changes its key, the city confirms it, the other
//! districts consent where one was lost.
//!
//! Fingerprints are compared outside of the product, in person or by telephone: whoever
//! has taken an office over can offer a key in its name too.

use std::sync::{Arc, Mutex, PoisonError};

use access::Subject;
use axum::{
    Json,
    extract::Path,
    response::{IntoResponse, Response},
};
use domain::{
    directory::{Command as Ask, Consent, Directory, Opening, needed, words},
    office::{Command as Own, Standing, offer_words},
};
use event_store::{Unit, act};
use kernel::{
    Code, Entropy, OfficeId,
    id::Tier,
    sign::{Hash, PublicKey, Signature},
};
use messaging::directory::{DIRECTORY, Entry};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use web::{Command, Problem, Route, Seat, Sight, Who, answer, command::Nothing, get, post};

/// The routes of every office.
pub fn routes() -> Vec<Route> {
    vec![
        get(
            "/api/keys",
            Who::Reads(&[Subject::Offices]),
            ["密钥与纪元", "Keys and lives: what was offered, called, proposed and opened"],
            shown,
        )
        .in_time(),
        post::<Nothing, _>(
            "/api/key-changes",
            Who::Does("office.change-key"),
            [
                "更换签名密钥",
                "Make a new event key; the city turns at once, others offer it to the city",
            ],
            change,
        ),
    ]
}

/// What only the city confirms.
pub fn city_routes() -> Vec<Route> {
    vec![post::<Called, _>(
        "/api/offices/{id}/key",
        Who::Does("office.confirm-key"),
        [
            "确认单位密钥",
            "Confirm the key that an office has offered, after comparing fingerprints",
        ],
        call,
    )]
}

/// What only districts consent to.
pub fn district_routes() -> Vec<Route> {
    vec![post::<Called, _>(
        "/api/offices/{id}/consent",
        Who::Does("office.consent"),
        ["同意新密钥", "Consent to another office's new key, after comparing fingerprints"],
        consent,
    )]
}

/// A public key, as people compare it: eight groups of four hexadecimal digits of its SHA-256.
pub fn fingerprint(key: &PublicKey) -> String {
    let digits = Hash::of(&[&key.0]).to_string();
    let groups: Vec<&str> = (0..32).step_by(4).map(|at| &digits[at..at + 4]).collect();
    groups.join(" ")
}

#[derive(Serialize)]
struct Shown {
    office: OfficeId,
    name: String,
    epoch: u32,
    key: PublicKey,
    fingerprint: String,
    from: u64,
    offered: Option<Offer>,
    proposed: Option<Proposal>,
    lives: Vec<Life>,
}

#[derive(Serialize)]
struct Offer {
    key: PublicKey,
    fingerprint: String,
    called: bool,
}

#[derive(Serialize)]
struct Proposal {
    epoch: u32,
    key: PublicKey,
    fingerprint: String,
    closed: u64,
    consents: Vec<OfficeId>,
    needed: usize,
}

#[derive(Serialize)]
struct Life {
    epoch: u32,
    from: u64,
    at: kernel::Timestamp,
    key_changed: bool,
    proven: bool,
}

/// Every office's key and lives, for people who compare fingerprints.
async fn shown(seat: Sight) -> Result<Response, Problem> {
    let rows: Vec<(String, Entry)> = seat.reader().await?.all(DIRECTORY, "").await?;
    let districts = rows.iter().filter(|(_, row)| row.member.seat.tier == Tier::District).count();
    let items: Vec<Shown> = rows.into_iter().map(|(_, row)| show(row, districts)).collect();
    Ok(Json(json!({"items": items})).into_response())
}

fn show(row: Entry, districts: usize) -> Shown {
    let Entry { member, before, opened, offered, called, proposed, .. } = row;
    let others = districts - usize::from(member.seat.tier == Tier::District);
    let proposal = |(opening, given): (Opening, Vec<Consent>)| Proposal {
        epoch: opening.member.epoch,
        key: opening.member.key,
        fingerprint: fingerprint(&opening.member.key),
        closed: opening.closed.sequence,
        consents: given.into_iter().map(|consent| consent.by).collect(),
        needed: needed(others),
    };
    let lives = opened.into_iter().map(|opened| {
        let new = opened.opening.member;
        let mut earlier = before.iter().chain([&member]).filter(|member| member.epoch < new.epoch);
        let key_changed = earlier.next_back().is_none_or(|earlier| earlier.key != new.key);
        let (epoch, from) = (new.epoch, new.key_from);
        Life { epoch, from, at: opened.at, key_changed, proven: opened.proven }
    });
    Shown {
        lives: lives.collect(),
        office: member.seat.office,
        name: member.seat.name,
        epoch: member.epoch,
        key: member.key,
        fingerprint: fingerprint(&member.key),
        from: member.key_from,
        offered: offered.map(|(key, _)| Offer {
            key,
            fingerprint: fingerprint(&key),
            called: called == Some(key),
        }),
        proposed: proposed.map(proposal),
    }
}

async fn change(command: Command<Nothing>) -> Result<Response, Problem> {
    let seat = command.seat().clone();
    // Made by the command that is carried out, once: one that is refused, or answered as
    // before, leaves no key behind.
    let made: Arc<Mutex<Option<PublicKey>>> = Arc::default();
    let run = act(move |unit: &mut Unit<'_>| {
        let (seat, made) = (seat.clone(), made.clone());
        Box::pin(async move {
            let setting = unit.setting();
            let (office, city) = (setting.office.clone(), setting.city.clone());
            let key = new_key(&seat, &made)?;
            let epoch = unit.epoch();
            let words = offer_words(&office, epoch, &key);
            let ring = &seat.office.setting().key;
            let proof = ring.by(&key.id()).ok_or(Code::KeyLost)?.sign(&words);
            let (proof, by) = (Signature(proof), Signature(ring.now().sign(&words)));
            let (id, shown) =
                (office.to_string(), json!({"key": key, "fingerprint": fingerprint(&key)}));
            if office == city {
                // The row itself is still signed by the old key.
                let from = unit.sequence() + 2;
                let done =
                    unit.execute::<Directory>(&id, Ask::TurnSelf { city, key, from, by }).await?;
                return Ok(answer(&id, &done, shown));
            }
            let ask = Own::Offer { city, key, epoch, proof, by };
            let done = unit.execute::<Standing>(&id, ask).await?;
            Ok(answer(&id, &done, shown))
        })
    });
    command.run(run).await
}

/// The key that this command makes, and has put into the ring.
fn new_key(seat: &Seat, made: &Mutex<Option<PublicKey>>) -> Result<PublicKey, Code> {
    let mut made = made.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(key) = *made {
        return Ok(key);
    }
    let key = seat.keys.new_event_key(&Entropy::System).map_err(|error| {
        tracing::error!(%error, "no key could be made");
        Code::Internal
    })?;
    let public = key.public();
    seat.office.setting().key.add(key);
    *made = Some(public);
    Ok(public)
}

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Called {
    /// The key, as `GET /api/keys` shows it.
    key: PublicKey,
}

async fn call(Path(office): Path<String>, command: Command<Called>) -> Result<Response, Problem> {
    let office = OfficeId::parse(&office).ok_or(Code::UnknownOffice)?;
    let key = command.body.key;
    let run = act(move |unit: &mut Unit<'_>| {
        let office = office.clone();
        Box::pin(async move {
            let row: Option<Entry> = unit.row(DIRECTORY, office.as_str()).await?;
            let offered = row.ok_or(Code::UnknownOffice)?.offered;
            if offered.is_none_or(|(offered, _)| offered != key) {
                return Err(Code::NoOffer.into());
            }
            let (city, id) = (unit.setting().city.to_string(), office.to_string());
            let done = unit.execute::<Directory>(&city, Ask::CallTurn { office, key }).await?;
            Ok(answer(&id, &done, json!({})))
        })
    });
    command.run(run).await
}

async fn consent(
    Path(office): Path<String>,
    command: Command<Called>,
) -> Result<Response, Problem> {
    let office = OfficeId::parse(&office).ok_or(Code::UnknownOffice)?;
    let key = command.body.key;
    let run = act(move |unit: &mut Unit<'_>| {
        let office = office.clone();
        Box::pin(async move {
            let row: Option<Entry> = unit.row(DIRECTORY, office.as_str()).await?;
            let proposed = row.ok_or(Code::UnknownOffice)?.proposed;
            let Some((opening, _)) = proposed.filter(|(opening, _)| opening.member.key == key)
            else {
                return Err(Code::NoOffer.into());
            };
            let setting = unit.setting();
            let (by, city) = (setting.office.clone(), setting.city.clone());
            if by == office {
                return Err(Code::NotAllowed.into());
            }
            let signature = Signature(setting.key.now().sign(&words(&opening)));
            let (id, epoch) = (by.to_string(), opening.member.epoch);
            let consent = Consent { by, signature };
            let ask = Own::Consent { city, office, epoch, consent };
            let done = unit.execute::<Standing>(&id, ask).await?;
            Ok(answer(&id, &done, json!({})))
        })
    });
    command.run(run).await
}

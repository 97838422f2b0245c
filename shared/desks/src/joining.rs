//! Joining: how an office becomes one, at its first start.

use std::{io, path::PathBuf, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use domain::directory::{Baseline, Closed, Seat as OfficeSeat, asked_words};
use event_store::{Readers, log};
use hyper::Method;
use kernel::{
    Code, Entropy,
    sign::{Hash, Signature},
};
use messaging::{
    directory::Pin,
    files::Tray,
    keys::Keys,
    lives::NEXT_LIFE,
    nats::provision::{creds_text, office_key},
};
use serde::{Deserialize, Serialize};
use web::client::{Client, Reply};

use crate::{
    config::OfficeConfig,
    enrolment::{Admitted, Application, Token},
    keys::fingerprint,
};

/// What an office keeps of its enrolment, in its key folder.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Membership {
    /// Its place in the tree.
    pub seat: OfficeSeat,
    /// Where the hub is.
    pub hub_url: String,
    /// Where its lanes begin.
    pub baselines: Vec<Baseline>,
    /// The hash of the token by which it asked for the new life of its log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renewed: Option<Hash>,
}

/// The name of the membership's file.
pub const MEMBERSHIP: &str = "membership.json";

/// The membership: kept from before, or asked for now.
pub async fn join(
    config: &OfficeConfig,
    keys: &Keys,
    client: &Client,
) -> Result<Membership, String> {
    if let Some(known) = known(config, keys)? {
        return Ok(known);
    }
    let (application, pin) = apply(config, keys).await?;
    let body = serde_json::to_vec(&application).map_err(|error| error.to_string())?;
    let url = format!("{}/api/enrolments", config.city);
    let reply = ask(client, &url, body).await?;
    if reply.status == 202 {
        let said = reply.json();
        let (given, needed) = (&said["consents"], &said["needed"]);
        let print = fingerprint(&application.key);
        return Err(format!("{given} of {needed} districts have consented to the new key {print}"));
    }
    if reply.status != 200 {
        let why = reply.json();
        return Err(format!("the city refused the enrolment: {} {}", reply.status, why["code"]));
    }
    admitted(&reply.body, &application.token, &pin, keys)
}

/// How often and how soon a city that is busy is asked again, before its office waits longer.
const TIMES: usize = 20;
const SOON: Duration = Duration::from_millis(250);

/// Asks the city. One that is busy with others has not looked at the application yet: a
/// process of a hundred offices asks for all of them at once, and each takes its turn.
async fn ask(client: &Client, url: &str, body: Vec<u8>) -> Result<Reply, String> {
    let headers = [("content-type", "application/json")];
    let mut times = 1;
    loop {
        let reply = client.send(Method::POST, url, &headers, body.clone()).await?;
        let busy = reply.status == 503 && reply.json()["code"] == Code::Busy.slug();
        if !busy || times == TIMES {
            return Ok(reply);
        }
        times += 1;
        tokio::time::sleep(SOON).await;
    }
}

/// The same by files: the application lies out until the city's answer is brought.
pub async fn join_by_files(
    config: &OfficeConfig,
    keys: &Keys,
    tray: &Tray,
) -> Result<Membership, String> {
    if let Some(known) = known(config, keys)? {
        return Ok(known);
    }
    let (application, pin) = apply(config, keys).await?;
    let body = serde_json::to_vec(&application).map_err(|error| error.to_string())?;
    let stem = Hash::of(&[&body]).to_string()[..16].to_owned();
    // Another's answer may lie on the same disc: ours has our application's name.
    let brought = tray.brought("admitted").map_err(text)?;
    let is_ours = |path: &PathBuf| path.file_stem().is_some_and(|name| *name == *stem);
    for path in brought.into_iter().filter(is_ours) {
        let joined = admitted(&std::fs::read(&path).map_err(text)?, &application.token, &pin, keys);
        tray.put_away(&path, joined.is_ok()).map_err(text)?;
        if joined.is_ok() {
            return joined;
        }
    }
    let name = format!("{stem}.application");
    if !tray.out.join(&name).exists() {
        tray.put(&name, &body).map_err(text)?;
    }
    Err("the city's answer was not brought yet".to_owned())
}

#[expect(clippy::needless_pass_by_value, reason = "a mapping of errors")]
fn text(error: io::Error) -> String {
    error.to_string()
}

/// The membership that is known, unless the configured token asks for a new life of
/// the log that the city has not answered yet.
fn known(config: &OfficeConfig, keys: &Keys) -> Result<Option<Membership>, String> {
    let known = keys.read::<Membership>(MEMBERSHIP).map_err(text)?;
    let token = config.token.as_deref().and_then(Token::read);
    let renews = token.is_some_and(|token| token.seat.is_some());
    Ok(known.filter(|known| !renews || known.renewed == Some(token_hash(config))))
}

/// The name of the configured token.
fn token_hash(config: &OfficeConfig) -> Hash {
    Hash::of(&[config.token.as_deref().unwrap_or_default().trim().as_bytes()])
}

/// Where the store of an office that asks for a new life ends, if there is one.
async fn own_end(config: &OfficeConfig, seat: &OfficeSeat) -> Result<Option<Closed>, String> {
    let engine = config.engine(&seat.office);
    if !engine.exists().await.map_err(|error| error.to_string())? {
        return Ok(None);
    }
    let mut reader = Readers::new(1).take(&engine).await.map_err(|error| error.to_string())?;
    let last = log::own_last(&mut reader).await.map_err(|error| error.to_string())?;
    Ok(last.map(|own| Closed { sequence: own.sequence, hash: own.hash }))
}

/// What the office brings, with the same keys at every try; what its token pins.
async fn apply(config: &OfficeConfig, keys: &Keys) -> Result<(Application, Pin), String> {
    let token = config.token.as_deref().ok_or(
        "no enrolment token is configured; an office that was enrolled before has lost its key \
         folder: restore-keys, or a renewal token of the city (runbook, key-lost)",
    )?;
    let read = Token::read(token).ok_or("the enrolment token does not read")?;
    let seed = if let Some(known) = keys.read::<(String, String)>("hub-user.json").map_err(text)? {
        known
    } else {
        let new = office_key().map_err(|error| error.to_string())?;
        keys.write_json("hub-user.json", &new).map_err(text)?;
        new
    };
    // An office that goes on applies with the key that signed last, if it is still here.
    let key = keys.ring(&Entropy::System).map_err(text)?.now();
    let asked = read.seat.as_ref().map(|seat| {
        let token = Hash::of(&[read.secret.as_bytes()]);
        Signature(key.sign(&asked_words(&seat.office, &key.public(), &token)))
    });
    let mut application = Application {
        token: token.to_owned(),
        key: key.public(),
        hub_user: seed.1,
        demo: read.pin.demo,
        closed: match &read.seat {
            Some(seat) => own_end(config, seat).await?,
            None => None,
        },
        asked,
        signature: String::new(),
    };
    application.signature = BASE64.encode(key.sign(&application.words()));
    Ok((application, read.pin))
}

/// Keeps what the city answered, if it is the city that the token names.
fn admitted(answer: &[u8], token: &str, pin: &Pin, keys: &Keys) -> Result<Membership, String> {
    let admitted: Admitted = serde_json::from_slice(answer).map_err(|error| error.to_string())?;
    if admitted.pin != *pin {
        return Err("the city is not the one that the token names".to_owned());
    }
    let seed: (String, String) =
        keys.read("hub-user.json").map_err(text)?.ok_or("hub-user.json is gone")?;
    let creds = creds_text(&admitted.hub_jwt, &seed.0);
    keys.write("nats.creds", creds.as_bytes()).map_err(text)?;
    keys.write_json("pin.json", &admitted.pin).map_err(text)?;
    let Admitted { seat, hub_url, baselines, life, .. } = admitted;
    if let Some(life) = &life {
        keys.write_json(NEXT_LIFE, life).map_err(text)?;
    }
    let renewed = life.map(|_| Hash::of(&[token.trim().as_bytes()]));
    let membership = Membership { seat, hub_url, baselines, renewed };
    keys.write_json(MEMBERSHIP, &membership).map_err(text)?;
    Ok(membership)
}

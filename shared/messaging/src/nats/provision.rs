//! Keys, JWTs and the hub's configuration: who may say what on the city's NATS (operator mode).
//! The easily mistaken thing: a scoped user's JWT must carry *no* permissions, the server refuses it otherwise.

use aws_lc_rs::digest::{SHA512_256, digest};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use data_encoding::BASE32_NOPAD;
use nkeys::KeyPair;
use serde_json::{Value, json};

use crate::{link::Failure, tls::Tls};

/// The identity keys of a hub. OFFICES and SYS are kept as public keys only: whoever holds the seed of OFFICES can
/// mint users past the office role. `operator` and `history` belong outside the data folder; enrolment needs `office_role`.
pub struct HubKeys {
    /// Signs the accounts.
    pub operator: KeyPair,
    /// The account that holds the streams.
    pub history: KeyPair,
    /// Signs office users within the role's template.
    pub office_role: KeyPair,
    /// The offices' account, public.
    pub offices: String,
    /// The system account, public.
    pub system: String,
}

impl HubKeys {
    #[must_use]
    /// New keys.
    pub fn generate() -> Self {
        Self {
            operator: KeyPair::new_operator(),
            history: KeyPair::new_account(),
            office_role: KeyPair::new_account(),
            offices: KeyPair::new_account().public_key(),
            system: KeyPair::new_account().public_key(),
        }
    }

    /// Seeds of operator, history and role, then the public keys of OFFICES and SYS: to be kept secret.
    pub fn kept(&self) -> Result<[String; 5], Failure> {
        let (operator, history, role) =
            (self.operator.seed()?, self.history.seed()?, self.office_role.seed()?);
        Ok([operator, history, role, self.offices.clone(), self.system.clone()])
    }

    /// Reads the form of [`HubKeys::kept`].
    pub fn from_kept(
        [operator, history, role, offices, system]: &[String; 5],
    ) -> Result<Self, Failure> {
        Ok(Self {
            operator: KeyPair::from_seed(operator)?,
            history: KeyPair::from_seed(history)?,
            office_role: KeyPair::from_seed(role)?,
            offices: offices.clone(),
            system: system.clone(),
        })
    }
}

/// What one connection shows to the hub; `creds` is the text of a `.creds` file.
pub struct Credentials {
    /// The public key.
    pub public: String,
    /// The text of the file.
    pub creds: String,
}

/// Signs one NATS JWT; the same input at the same `now` gives the same text.
fn jwt(
    issuer: &KeyPair,
    subject: &str,
    name: &str,
    now: u64,
    nats: &Value,
) -> Result<String, Failure> {
    let mut claims =
        json!({"iat": now, "iss": issuer.public_key(), "name": name, "sub": subject, "nats": nats});
    let id = digest(&SHA512_256, &serde_json::to_vec(&claims)?);
    claims["jti"] = BASE32_NOPAD.encode(id.as_ref()).into();
    let head = URL_SAFE_NO_PAD.encode(br#"{"typ":"JWT","alg":"ed25519-nkey"}"#);
    let signed = format!("{head}.{}", URL_SAFE_NO_PAD.encode(serde_json::to_vec(&claims)?));
    let signature = issuer.sign(signed.as_bytes())?;
    Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

/// The text of a `.creds` file.
pub fn creds_text(jwt: &str, seed: &str) -> String {
    format!(
        "-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n\
         -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
    )
}

fn user(issuer: &KeyPair, name: &str, now: u64, nats: &Value) -> Result<Credentials, Failure> {
    let key = KeyPair::new_user();
    let public = key.public_key();
    let creds = creds_text(&jwt(issuer, &public, name, now, nats)?, &key.seed()?);
    Ok(Credentials { public, creds })
}

/// The only publisher of the history; its inbox prefix is `_INBOX_ingest`.
pub fn ingest_user(keys: &HubKeys, now: u64) -> Result<Credentials, Failure> {
    let streams = ["HISTORY", "SAFE", "ATTEST"];
    let mut publish: Vec<String> = ["ev.>", "cf.>", "safe.>", "at.>"].map(String::from).into();
    for stream in streams {
        publish.push(format!("$JS.API.STREAM.INFO.{stream}"));
        publish.push(format!("$JS.API.STREAM.MSG.GET.{stream}"));
        publish.push(format!("$JS.API.DIRECT.GET.{stream}"));
        publish.push(format!("$JS.API.DIRECT.GET.{stream}.>"));
    }
    for stream in ["HISTORY", "ATTEST"] {
        publish.push(format!("$JS.API.CONSUMER.CREATE.{stream}.>"));
        publish.push(format!("$JS.API.CONSUMER.INFO.{stream}.*"));
        publish.push(format!("$JS.API.CONSUMER.RESET.{stream}.*"));
        publish.push(format!("$JS.API.CONSUMER.DELETE.{stream}.*"));
    }
    user(
        &keys.history,
        "ingest",
        now,
        &json!({
            "type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1,
            "pub": {"allow": publish}, "sub": {"allow": ["in.*", "_INBOX_ingest.>"]},
            "resp": {"max": 1, "ttl": 60_000_000_000_u64},
        }),
    )
}

/// Creates the streams once and mends their settings in an emergency; may neither publish nor read events.
pub fn provision_user(keys: &HubKeys, now: u64) -> Result<Credentials, Failure> {
    user(
        &keys.history,
        "provision",
        now,
        &json!({
            "type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1,
            "pub": {"allow": ["$JS.API.STREAM.CREATE.*", "$JS.API.STREAM.UPDATE.*", "$JS.API.STREAM.INFO.*"]},
            "sub": {"allow": ["_INBOX_provision.>"]},
        }),
    )
}

/// The office's JWT for the public key it brought. `role` is
/// [`HubKeys::office_role`], `account` is [`HubKeys::offices`]: nothing else is
/// needed to admit an office, and nobody with them can widen the role.
pub fn office_jwt(
    role: &KeyPair,
    account: &str,
    office: &str,
    public: &str,
    now: u64,
) -> Result<String, Failure> {
    KeyPair::from_public_key(public)?;
    let nats = json!({"type": "user", "version": 2, "issuer_account": account});
    jwt(role, public, office, now, &nats)
}

/// A new key for an office's user: seed and public key.
pub fn office_key() -> Result<(String, String), Failure> {
    let key = KeyPair::new_user();
    Ok((key.seed()?, key.public_key()))
}

/// What any office may do, filled in by the server from the name in its JWT.
fn office_template() -> Value {
    let own = [("HISTORY", ""), ("HISTORY", "_d"), ("ATTEST", "_a")];
    let mut publish = vec!["in.{{name()}}".to_owned()];
    for (stream, suffix) in own {
        let of = format!("{stream}.{{{{name()}}}}{suffix}");
        for call in ["INFO", "RESET", "MSG.NEXT"] {
            publish.push(format!("HUB.API.CONSUMER.{call}.{of}"));
        }
        publish.push(format!("$JS.ACK.{of}.>"));
        publish.push(format!("$JS.ACK.*.*.{of}.>"));
    }
    json!({"pub": {"allow": publish}, "sub": {"allow": ["_INBOX_{{name()}}.>"]},
           "subs": 32, "data": -1, "payload": 524_288, "allowed_connection_types": ["STANDARD"]})
}

/// What HIST offers and OFFICES takes: (subject at HIST, subject at OFFICES, answered by many messages).
fn services() -> Vec<(String, String, bool)> {
    let mut all = vec![("in.*".to_owned(), "in.*".to_owned(), false)];
    for call in ["INFO", "RESET", "MSG.NEXT"] {
        let tail = format!("API.CONSUMER.{call}.*.*");
        all.push((format!("$JS.{tail}"), format!("HUB.{tail}"), call == "MSG.NEXT"));
    }
    for stream in ["HISTORY", "ATTEST"] {
        for ack in [format!("$JS.ACK.{stream}.>"), format!("$JS.ACK.*.*.{stream}.>")] {
            all.push((ack.clone(), ack, false));
        }
    }
    all
}

fn limits(jetstream: bool) -> Value {
    let mut all = json!({"subs": -1, "data": -1, "payload": -1, "conn": -1, "leaf": -1,
                         "imports": -1, "exports": -1, "wildcards": true});
    if jetstream {
        for name in ["mem_storage", "disk_storage", "streams", "consumer", "max_ack_pending"] {
            all[name] = (-1).into();
        }
    }
    all
}

/// Where the hub listens and keeps its store.
pub struct HubPlace<'a> {
    /// The server's name.
    pub name: &'a str,
    /// `host:port`
    pub listen: &'a str,
    /// The store's folder.
    pub store: &'a str,
    /// Where the servers of a cluster hear each other, `host:port`, this one's first;
    /// nothing for a server alone.
    pub routes: &'a [String],
}

/// TLS 1.3 only; whoever connects shows a certificate.
fn secrecy(tls: Option<&Tls>) -> String {
    let Some(tls) = tls else { return String::new() };
    let (certificate, key) = (tls.certificate.display(), tls.key.display());
    let authority = tls.authority.display();
    format!(
        "tls {{ cert_file: \"{certificate}\", key_file: \"{key}\", ca_file: \"{authority}\", \
         verify: true, min_version: \"1.3\", timeout: 5 }}\n"
    )
}

/// The part of a cluster. Whoever knows the password may join as a server, so it is
/// made of the history's seed; offices are told all addresses, never by the servers.
fn cluster(keys: &HubKeys, routes: &[String], tls: Option<&Tls>) -> Result<String, Failure> {
    let Some(own) = routes.first() else { return Ok(String::new()) };
    let seed = keys.history.seed()?;
    let secret = digest(&SHA512_256, format!("liandong cluster v1\n{seed}").as_bytes());
    let secret = BASE32_NOPAD.encode(&secret.as_ref()[..20]);
    let urls: Vec<String> =
        routes.iter().map(|route| format!("\"nats-route://hub:{secret}@{route}\"")).collect();
    let urls = urls.join(", ");
    let tls = secrecy(tls);
    Ok(format!(
        "cluster {{ name: \"liandong\", listen: {own:?}, no_advertise: true, routes: [{urls}],\n\
         \x20 authorization {{ user: \"hub\", password: {secret:?}, timeout: 5 }}\n\
         {tls}}}\n"
    ))
}

/// The whole configuration file; with `tls` the hub shows that certificate. `revoked` lists public keys of office users that may no longer connect.
pub fn hub_config(
    keys: &HubKeys,
    place: &HubPlace<'_>,
    tls: Option<&Tls>,
    revoked: &[(String, u64)],
    now: u64,
) -> Result<String, Failure> {
    let (system, history, offices) = (&keys.system, keys.history.public_key(), &keys.offices);
    let exports: Vec<Value> = services()
        .into_iter()
        .map(|(subject, _, many)| {
            let answer = if many { "Stream" } else { "Singleton" };
            json!({"name": subject, "subject": subject, "type": "service", "response_type": answer})
        })
        .collect();
    let imports: Vec<Value> = services().into_iter().map(|(subject, local, _)| {
        json!({"name": local, "subject": subject, "local_subject": local, "account": history, "type": "service"})
    }).collect();
    let revocations: serde_json::Map<String, Value> =
        revoked.iter().map(|(key, at)| (key.clone(), (*at).into())).collect();
    let sign =
        |subject: &str, name: &str, nats: &Value| jwt(&keys.operator, subject, name, now, nats);
    let operator = sign(
        &keys.operator.public_key(),
        "city",
        &json!({"type": "operator", "version": 2, "system_account": system}),
    )?;
    let system_jwt =
        sign(system, "SYS", &json!({"type": "account", "version": 2, "limits": limits(false)}))?;
    let history_jwt = sign(
        &history,
        "HIST",
        &json!({"type": "account", "version": 2, "limits": limits(true), "exports": exports}),
    )?;
    let offices_jwt = sign(
        offices,
        "OFFICES",
        &json!({
            "type": "account", "version": 2, "limits": limits(false), "imports": imports, "revocations": revocations,
            "signing_keys": [{"kind": "user_scope", "key": keys.office_role.public_key(), "role": "office",
                              "template": office_template()}],
        }),
    )?;
    let HubPlace { name, listen, store, .. } = place;
    let (cluster, tls) = (cluster(keys, place.routes, tls)?, secrecy(tls));
    Ok(format!(
        "server_name: {name:?}\nlisten: {listen:?}\n{tls}{cluster}max_payload: 512K\nmax_connections: 10000\n\
         ping_interval: \"20s\"\nping_max: 3\nwrite_deadline: \"10s\"\n\
         jetstream {{ store_dir: {store:?}, sync_interval: always, max_mem: 64M, max_file: 1T }}\n\
         operator: {operator}\nsystem_account: {system}\nresolver: MEMORY\nresolver_preload: {{\n\
         \x20 {system}: {system_jwt}\n  {history}: {history_jwt}\n  {offices}: {offices_jwt}\n}}\n"
    ))
}

//! The offices' HTTP interfaces, as a person with a browser would use them.

use std::{
    fmt::Write,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use hyper::Method;
use kernel::{OfficeId, Timestamp};
use serde_json::{Value, json};
use web::client::{Client, Reply};

use crate::token;

/// One office's interface.
#[derive(Clone)]
pub struct Api {
    /// The office.
    pub id: OfficeId,
    /// The division's code.
    pub code: String,
    url: String,
    keys: PathBuf,
    client: Client,
    tokens: Arc<Mutex<Vec<(String, String, Instant)>>>,
    /// How many commands were sent, by everybody.
    pub sent: Arc<AtomicU64>,
}

/// What a command answered.
#[derive(Clone, Debug)]
pub struct Done {
    /// The body.
    pub body: Value,
    /// The stream's version now.
    pub version: String,
}

impl Api {
    /// The interface of an office at an address.
    pub fn new(
        id: OfficeId,
        code: String,
        url: String,
        keys: PathBuf,
        client: Client,
        sent: Arc<AtomicU64>,
    ) -> Self {
        Self { id, code, url, keys, client, tokens: Arc::default(), sent }
    }

    /// The id of the organization with a number of this office.
    pub fn organization(&self, number: &str) -> String {
        format!("{}-{number}", self.id)
    }

    /// Waits until the office has heard of others: their ids, as the city enrolled them.
    pub async fn heard_of(&self, offices: &[OfficeId]) -> Result<(), String> {
        let began = Instant::now();
        while began.elapsed() < Duration::from_mins(1) {
            let known = self.get("PLAN", "/api/offices").await?;
            let known: Vec<&Value> = known["items"].as_array().into_iter().flatten().collect();
            let here = |id: &OfficeId| known.iter().any(|of| of["seat"]["office"] == id.as_str());
            if offices.iter().all(here) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Err(format!("{} has not heard of every office after a minute", self.code))
    }

    /// The token of a person of a demo office.
    pub fn token_of(&self, person: &str) -> Result<String, String> {
        token::of_person(&self.keys, &self.id, person)
    }

    /// A token of whoever holds a role.
    pub fn token(&self, role: &str) -> Result<String, String> {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.retain(|(_, _, at)| at.elapsed() < Duration::from_hours(6));
        if let Some((_, token, _)) = tokens.iter().find(|(of, _, _)| of == role) {
            return Ok(token.clone());
        }
        let token = token::make(&self.keys, &self.id, role)?;
        tokens.push((role.to_owned(), token.clone(), Instant::now()));
        Ok(token)
    }

    /// Reads a resource; tries again while nobody answers: a service that died is
    /// started again.
    pub async fn get(&self, role: &str, path: &str) -> Result<Value, String> {
        self.get_by(&self.token(role)?, path).await
    }

    /// The same for whoever has a token.
    pub async fn get_by(&self, token: &str, path: &str) -> Result<Value, String> {
        let token = format!("Bearer {token}");
        let headers = [("authorization", token.as_str())];
        let url = format!("{}{path}", self.url);
        let began = Instant::now();
        loop {
            match self.client.send(Method::GET, &url, &headers, Vec::new()).await {
                Ok(reply) if reply.status == 200 => return Ok(reply.json()),
                Ok(reply) => return Err(refused(path, &reply)),
                Err(why) if began.elapsed() > Duration::from_mins(1) => return Err(why),
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    }

    /// Sends a command; tries again with the same key while the office asks to wait.
    pub async fn post(
        &self,
        role: &str,
        path: &str,
        key: &str,
        version: Option<&str>,
        body: &Value,
    ) -> Result<Done, String> {
        let bytes = serde_json::to_vec(body).map_err(|error| error.to_string())?;
        self.post_bytes(&self.token(role)?, None, path, (key, version), bytes).await
    }

    /// The same for whoever has a token; with a password the act is signed by it.
    pub async fn post_by(
        &self,
        token: &str,
        password: Option<&str>,
        path: &str,
        (key, version): (&str, Option<&str>),
        body: &Value,
    ) -> Result<Done, String> {
        let bytes = serde_json::to_vec(body).map_err(|error| error.to_string())?;
        self.post_bytes(token, password, path, (key, version), bytes).await
    }

    /// Uploads a paper; its hash.
    pub async fn upload(&self, role: &str, bytes: Vec<u8>) -> Result<String, String> {
        let token = self.token(role)?;
        let done = self.post_bytes(&token, None, "/api/papers", ("paper", None), bytes).await?;
        Ok(done.body["hash"].as_str().unwrap_or_default().to_owned())
    }

    async fn post_bytes(
        &self,
        token: &str,
        password: Option<&str>,
        path: &str,
        (key, version): (&str, Option<&str>),
        bytes: Vec<u8>,
    ) -> Result<Done, String> {
        let token = format!("Bearer {token}");
        let tag = version.map(|version| match version {
            "*" => "*".to_owned(),
            version => format!("\"{version}\""),
        });
        let password = password.map(percent_encoded);
        let mut headers = vec![
            ("authorization", token.as_str()),
            ("content-type", "application/json"),
            ("idempotency-key", key),
        ];
        if let Some(tag) = &tag {
            headers.push(("if-match", tag));
        }
        if let Some(password) = &password {
            headers.push(("signing-password", password));
        }
        let url = format!("{}{path}", self.url);
        let mut wait = Duration::from_millis(50);
        let began = Instant::now();
        loop {
            let why = match self.client.send(Method::POST, &url, &headers, bytes.clone()).await {
                Ok(reply) if reply.status < 300 => {
                    self.sent.fetch_add(1, Ordering::Relaxed);
                    return Ok(Done { body: reply.json(), version: reply.etag });
                }
                Ok(reply) if !matches!(reply.status, 429 | 503) => {
                    return Err(refused(path, &reply));
                }
                Ok(reply) => refused(path, &reply),
                Err(error) => error,
            };
            if began.elapsed() > Duration::from_mins(1) {
                return Err(why);
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(Duration::from_secs(2));
        }
    }

    /// Moves a demo office's clock forwards.
    pub async fn drive(&self, to: Timestamp) -> Result<(), String> {
        let key = format!("clock-{to}");
        let outcome = self.post("SYS", "/api/demo/clock", &key, None, &json!({"to": to})).await;
        match outcome {
            Err(why) if why.contains("clock-backwards") => Ok(()),
            other => other.map(drop),
        }
    }

    /// Waits until the office serves.
    pub async fn ready(&self) -> Result<(), String> {
        let url = format!("{}/health/ready", self.url);
        let began = Instant::now();
        while began.elapsed() < Duration::from_mins(2) {
            if self
                .client
                .send(Method::GET, &url, &[], Vec::new())
                .await
                .is_ok_and(|r| r.status == 200)
            {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Err(format!("{} does not serve after two minutes; see its log", self.code))
    }
}

/// Text in the form that a header takes.
fn percent_encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut all, byte| {
        let _ = write!(all, "%{byte:02X}");
        all
    })
}

fn refused(path: &str, reply: &Reply) -> String {
    let body = reply.json();
    format!("{path}: {} {} {}", reply.status, body["code"], body["detail"])
}

/// Decodes the standard base64 in which feeds write entries; nothing if it is none.
pub fn from_base64(text: &str) -> Vec<u8> {
    use base64::{Engine, engine::general_purpose::STANDARD};
    STANDARD.decode(text).unwrap_or_default()
}

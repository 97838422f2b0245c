//! Those who handle clues, and the book of what they asked and were answered.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use hyper::Method;
use serde_json::{Value, json};
use tokio::sync::RwLock;
use web::client::{Client, Reply};

use crate::chancery::{Clerk, PASSWORD, encoded};

/// A command that was answered with yes.
#[derive(Clone, Debug)]
pub(crate) struct Ack {
    pub(crate) stream: String,
    /// The versions that it made, from and to; none if there was nothing to do.
    pub(crate) versions: (u64, u64),
    /// The word that it must have left.
    pub(crate) left: &'static [&'static str],
}

/// The book of one run.
#[derive(Default)]
pub(crate) struct Book {
    pub(crate) acks: Mutex<Vec<Ack>>,
    /// Commands answered with yes, by what they left.
    pub(crate) done: Mutex<BTreeMap<&'static str, u64>>,
    /// Refusals by code.
    pub(crate) refused: Mutex<BTreeMap<String, u64>>,
    pub(crate) wrong: Mutex<Vec<String>>,
    /// Held for reading by every command under way.
    pub(crate) gate: RwLock<()>,
    /// How often somebody had to ask again.
    pub(crate) again: AtomicU64,
    number: AtomicU64,
}

impl Book {
    pub(crate) fn wrong(&self, what: String) {
        self.wrong.lock().unwrap().push(what);
    }
}

/// What an office may answer to whoever comes too late, too early or to the wrong place.
const MAY_REFUSE: [&str; 12] = [
    "wrong-state",
    "not-the-holder",
    "offer-withdrawn",
    "clue-absent",
    "clue-not-discussed",
    "not-allowed",
    "receiver-unknown",
    "same-person",
    // Of what lay in a store that was lost.
    "sealed-key-gone",
    "sealed-part-away",
    "stale-version",
    "round-absent",
];

/// How long somebody asks; whatever takes longer is a violation.
const PATIENCE: Duration = Duration::from_mins(3);

/// Somebody at an office, with the way there.
#[derive(Clone)]
pub(crate) struct Hand {
    pub(crate) clerk: Clerk,
    pub(crate) url: String,
    pub(crate) client: Client,
    pub(crate) book: Arc<Book>,
}

impl Hand {
    /// One request; the reason if there is no answer.
    pub(crate) async fn once(
        &self,
        method: &Method,
        path: &str,
        key: &str,
        body: &Value,
    ) -> Result<Reply, String> {
        let password = encoded(PASSWORD);
        let headers = [
            ("authorization", self.clerk.bearer.as_str()),
            ("if-match", "*"),
            ("idempotency-key", key),
            ("reading-reason", "%E4%BC%9A%E5%95%86"),
            ("signing-password", password.as_str()),
        ];
        let body = if *method == Method::POST { body.to_string().into_bytes() } else { Vec::new() };
        let url = format!("{}{path}", self.url);
        let asked = self.client.send(method.clone(), &url, &headers, body);
        let reply = tokio::time::timeout(Duration::from_secs(10), asked).await;
        reply.map_err(|_| "no answer within 10 s".to_owned())?
    }

    /// What the office shows now, if it does.
    pub(crate) async fn get(&self, path: &str) -> Option<Value> {
        let reply = self.once(&Method::GET, path, "", &Value::Null).await.ok()?;
        (reply.status == 200).then(|| reply.json())
    }

    /// The rows of a list; none if the office does not answer.
    pub(crate) async fn rows(&self, path: &str) -> Option<Vec<Value>> {
        let list = self.get(&format!("{path}?limit=500")).await?;
        Some(list["items"].as_array()?.clone())
    }

    /// Asks with one key until there is an answer; nothing if it is no.
    pub(crate) async fn does(
        &self,
        path: &str,
        body: Value,
        left: &'static [&'static str],
    ) -> Option<Value> {
        let _open = self.book.gate.read().await;
        self.does_now(path, body, left).await
    }

    /// The same while the gate is closed.
    pub(crate) async fn does_now(
        &self,
        path: &str,
        body: Value,
        left: &'static [&'static str],
    ) -> Option<Value> {
        let key = format!("n-{}", self.book.number.fetch_add(1, Relaxed));
        let (began, mut wait) = (Instant::now(), Duration::from_millis(20));
        loop {
            let why = match self.once(&Method::POST, path, &key, &body).await {
                Ok(reply) if !matches!(reply.status, 429 | 500..) => {
                    return self.answered(path, &reply, left);
                }
                Ok(reply) => format!("{} {}", reply.status, reply.json()["code"]),
                Err(why) => why,
            };
            let office = self.clerk.office;
            if why.starts_with("500") {
                self.book.wrong(format!("{office} {path}: {why}"));
            }
            if began.elapsed() > PATIENCE {
                self.book.wrong(format!("{office} {path} was never answered: {why}"));
                return None;
            }
            self.book.again.fetch_add(1, Relaxed);
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(Duration::from_millis(400));
        }
    }

    fn answered(&self, path: &str, reply: &Reply, left: &'static [&'static str]) -> Option<Value> {
        let body = reply.json();
        if reply.status >= 300 {
            let code = body["code"].as_str().unwrap_or_default().to_owned();
            if !MAY_REFUSE.contains(&code.as_str()) {
                let office = self.clerk.office;
                self.book.wrong(format!("{office} {path}: refused, {} {body}", reply.status));
            }
            *self.book.refused.lock().unwrap().entry(code).or_default() += 1;
            return None;
        }
        let number = |name: &str| body[name].as_u64().unwrap_or(0);
        let (to, added) = (number("version"), number("added"));
        let id = body["id"].as_str().unwrap_or_default();
        let family = if path.starts_with("/api/clue-cases") { "clue-case" } else { "clue" };
        if added > 0 {
            let ack =
                Ack { stream: format!("{family}/{id}"), versions: (to + 1 - added, to), left };
            self.book.acks.lock().unwrap().push(ack);
            *self.book.done.lock().unwrap().entry(left[0]).or_default() += 1;
        }
        Some(body)
    }

    /// A step with an empty body.
    pub(crate) async fn steps(&self, path: &str, left: &'static [&'static str]) -> Option<Value> {
        self.does(path, json!({}), left).await
    }
}

//! What was tried, and what was answered: written down by those who asked.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use hyper::{Method, body::Bytes};
use kernel::OfficeId;
use serde_json::Value;
use tokio::sync::RwLock;
use web::client::{Client, Reply};

/// One command.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) office: &'static str,
    /// During which fault it was first sent.
    pub(crate) fault: &'static str,
    pub(crate) role: &'static str,
    pub(crate) path: String,
    pub(crate) key: String,
    pub(crate) body: Vec<u8>,
    /// Words that stand in what it records and nowhere else, if it makes something new.
    pub(crate) mark: Option<String>,
    pub(crate) tries: u64,
    pub(crate) status: u16,
    pub(crate) answer: Bytes,
    /// The stream and version that the answer names.
    pub(crate) stream: String,
    pub(crate) version: u64,
}

impl Record {
    pub(crate) fn acknowledged(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// The book of one run.
#[derive(Default)]
pub(crate) struct Ledger {
    records: Mutex<Vec<Record>>,
    fault: Mutex<&'static str>,
    /// What must not happen at all.
    pub(crate) violations: Mutex<Vec<String>>,
    /// Held for reading by every command under way: who takes it for writing waits
    /// until all are answered, and nobody begins another.
    pub(crate) gate: RwLock<()>,
}

impl Ledger {
    pub(crate) fn during(&self, fault: &'static str) {
        *self.fault.lock().unwrap() = fault;
    }

    pub(crate) fn records(&self) -> Vec<Record> {
        self.records.lock().unwrap().clone()
    }

    pub(crate) fn wrong(&self, what: String) {
        self.violations.lock().unwrap().push(what);
    }

    fn begin(&self, record: Record) -> usize {
        let mut records = self.records.lock().unwrap();
        records.push(Record { fault: *self.fault.lock().unwrap(), ..record });
        records.len() - 1
    }

    fn change(&self, at: usize, change: impl FnOnce(&mut Record)) {
        change(&mut self.records.lock().unwrap()[at]);
    }
}

/// Somebody at an office who asks again with the same key until there is an answer.
#[derive(Clone)]
pub(crate) struct Clerk {
    pub(crate) code: &'static str,
    pub(crate) id: OfficeId,
    pub(crate) url: String,
    pub(crate) keys: std::path::PathBuf,
    pub(crate) client: Client,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) next: Arc<std::sync::atomic::AtomicU64>,
}

/// How long a clerk asks; whatever takes longer is a violation.
const PATIENCE: Duration = Duration::from_mins(4);

impl Clerk {
    /// One try; the reason if there is no answer.
    pub(crate) async fn try_once(&self, record: &Record) -> Result<Reply, String> {
        let token = deploy::token::make(&self.keys, &self.id, record.role)?;
        let token = format!("Bearer {token}");
        let headers = [
            ("authorization", token.as_str()),
            ("content-type", "application/json"),
            ("idempotency-key", record.key.as_str()),
            ("if-match", "*"),
        ];
        let url = format!("{}{}", self.url, record.path);
        let asked = self.client.send(Method::POST, &url, &headers, record.body.clone());
        let reply = tokio::time::timeout(Duration::from_secs(10), asked).await;
        reply.map_err(|_| "no answer within 10 s".to_owned())?
    }

    /// What the office says now; none if it is not there or knows nothing of it.
    pub(crate) async fn get(&self, role: &str, path: &str) -> Option<Value> {
        let token = deploy::token::make(&self.keys, &self.id, role).ok()?;
        let token = format!("Bearer {token}");
        let url = format!("{}{path}", self.url);
        let headers = [("authorization", token.as_str())];
        let asked = self.client.send(Method::GET, &url, &headers, Vec::new());
        let reply = tokio::time::timeout(Duration::from_secs(10), asked).await.ok()?.ok()?;
        (reply.status == 200).then(|| reply.json())
    }

    /// Sends a command until it is answered; its answer, or null if it was refused.
    pub(crate) async fn command(
        &self,
        role: &'static str,
        path: String,
        body: &Value,
        mark: Option<String>,
    ) -> Value {
        let _open = self.ledger.gate.read().await;
        self.command_now(role, path, body, mark).await
    }

    /// The same while the gate is closed: for a fault that itself asks for something.
    pub(crate) async fn command_now(
        &self,
        role: &'static str,
        path: String,
        body: &Value,
        mark: Option<String>,
    ) -> Value {
        let number = self.next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let record = Record {
            office: self.code,
            fault: "",
            role,
            path,
            key: format!("{}-{number}", self.code),
            body: serde_json::to_vec(body).unwrap(),
            mark,
            tries: 0,
            status: 0,
            answer: Bytes::new(),
            stream: String::new(),
            version: 0,
        };
        let at = self.ledger.begin(record.clone());
        let (began, mut wait) = (Instant::now(), Duration::from_millis(20));
        loop {
            self.ledger.change(at, |record| record.tries += 1);
            let why = match self.try_once(&record).await {
                Ok(reply) if !matches!(reply.status, 429 | 500..) => {
                    return self.answered(at, &record, &reply);
                }
                Ok(reply) => format!("{} {}", reply.status, reply.json()["code"]),
                Err(why) => why,
            };
            if why.starts_with("500") {
                self.ledger.wrong(format!("{} {}: {why}", self.code, record.path));
            }
            if began.elapsed() > PATIENCE {
                self.ledger
                    .wrong(format!("{} {} was never answered: {why}", self.code, record.path));
                return Value::Null;
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(Duration::from_millis(500));
        }
    }

    fn answered(&self, at: usize, record: &Record, reply: &Reply) -> Value {
        let body = reply.json();
        let stream = stream(&record.path, &body);
        self.ledger.change(at, |record| {
            record.status = reply.status;
            record.answer = reply.body.clone();
            record.version = reply.etag.parse().unwrap_or(0);
            record.stream = stream;
        });
        if reply.status < 300 {
            return body;
        }
        // The workload asks for nothing that may be refused.
        let (status, code) = (reply.status, &body["code"]);
        let detail = &body["detail"];
        self.ledger
            .wrong(format!("{} {}: refused, {status} {code} {detail}", self.code, record.path));
        Value::Null
    }
}

/// The stream that a command changes, by its address and its answer.
fn stream(path: &str, answer: &Value) -> String {
    let mut words = path.trim_start_matches("/api/").split('/');
    let family = words.next().unwrap_or_default().trim_end_matches('s');
    let id = words.next().map(str::to_owned);
    let id = id.or_else(|| answer["id"].as_str().map(str::to_owned));
    format!("{family}/{}", id.unwrap_or_default())
}

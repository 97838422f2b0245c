//! Three times what a township can take, for half a minute: how much of it is still
//! done, how soon it is over, and how much memory it costs.
//!
//! `cargo run --release -p tests --bin overload -- [seconds] [factor]`. The load is
//! open: a request is sent when its time has come, whether or not earlier ones were
//! answered. The office is a process of its own (`LIANDONG_BIN`, `LIANDONG_NATS_SERVER`),
//! so that its memory is its own; the caller shares the machine with it.
#![expect(clippy::unwrap_used, reason = "a measurement that fails has no figure")]
#![expect(clippy::disallowed_methods, reason = "a program reads its servers from the environment")]
#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "small counts"
)]

mod city;

use std::{
    io::Write,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use hyper::Method;
use serde_json::json;
use tokio::{sync::Semaphore, task::JoinSet};
use web::client::Client;

use city::{City, Office};

/// Requests that the caller keeps open at most; beyond it a request counts as refused
/// by the caller's own machine.
const OPEN: usize = 1900;

fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// The office under load.
#[derive(Clone)]
struct Target {
    client: Client,
    office: Arc<Office>,
    token: String,
    next: Arc<AtomicU64>,
}

#[derive(Default)]
struct Count {
    done: AtomicU64,
    refused: AtomicU64,
    lost: AtomicU64,
    unsent: AtomicU64,
}

impl Target {
    fn of(city: &City) -> Self {
        let office = Arc::new(city.office("township"));
        let token = office.token("COM");
        Self { client: Client::default(), office, token, next: Arc::default() }
    }

    /// One filing; whether it was done or refused with the word to come again.
    async fn one(&self) -> Result<bool, String> {
        let n = self.next.fetch_add(1, Relaxed);
        let (key, period) = (format!("o{n}"), format!("o{n}"));
        let body = json!({"set": "staff", "period": period, "due": "2024-06-30"}).to_string();
        let headers = [("authorization", self.token.as_str()), ("idempotency-key", key.as_str())];
        let url = format!("{}/api/filings", self.office.url());
        let reply = self.client.send(Method::POST, &url, &headers, body.into()).await?;
        match reply.status {
            201 => Ok(true),
            429 | 503 => Ok(false),
            other => Err(format!("{other} {}", reply.json())),
        }
    }

    /// What 64 callers get done, one after the other each.
    async fn peak(&self, lasts: Duration) -> f64 {
        let began = Instant::now();
        let mut callers = JoinSet::new();
        for _ in 0..64 {
            let target = self.clone();
            callers.spawn(async move {
                let mut done = 0u64;
                while began.elapsed() < lasts {
                    done += u64::from(target.one().await.unwrap());
                }
                done
            });
        }
        let done: u64 = callers.join_all().await.iter().sum();
        done as f64 / began.elapsed().as_secs_f64()
    }

    /// Open load at a rate.
    async fn flood(&self, rate: f64, lasts: Duration) -> Arc<Count> {
        let (count, open) = (Arc::new(Count::default()), Arc::new(Semaphore::new(OPEN)));
        let (began, mut sent) = (Instant::now(), 0u64);
        while began.elapsed() < lasts {
            let due = (began.elapsed().as_secs_f64() * rate) as u64;
            while sent < due {
                sent += 1;
                let Ok(place) = open.clone().try_acquire_owned() else {
                    count.unsent.fetch_add(1, Relaxed);
                    continue;
                };
                let (target, count) = (self.clone(), count.clone());
                tokio::spawn(async move {
                    let counter = match target.one().await {
                        Ok(true) => &count.done,
                        Ok(false) => &count.refused,
                        Err(_) => &count.lost,
                    };
                    counter.fetch_add(1, Relaxed);
                    drop(place);
                });
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        count
    }

    fn memory(&self) -> f64 {
        self.office.memory("VmHWM")
    }

    async fn p50(&self) -> Duration {
        let mut took = Vec::new();
        for _ in 0..21 {
            let began = Instant::now();
            let _ = self.one().await;
            took.push(began.elapsed());
        }
        took.sort();
        took[10]
    }
}

fn argument(at: usize, otherwise: f64) -> f64 {
    std::env::args().nth(at).and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

#[tokio::main]
async fn main() {
    let (seconds, factor) = (argument(1, 30.0), argument(2, 3.0));
    let began = Instant::now();
    let rounds = 50_000_000u32;
    for _ in 0..rounds {
        std::hint::black_box(telemetry::way::is_on());
    }
    let each = began.elapsed().as_secs_f64() * 1e9 / f64::from(rounds);
    say(&format!("a step of a trace that is switched off: {each:.2} ns"));
    let city = City::start();
    let target = Target::of(&city);
    let calm = target.p50().await;
    let _ = target.peak(Duration::from_secs(3)).await;
    let peak = target.peak(Duration::from_secs(10)).await;
    let before = target.memory();
    say(&format!(
        "peak, 64 callers: {peak:.0}/s; one caller p50 {calm:.1?}; RSS at most {before:.0} MB"
    ));
    let count = target.flood(peak * factor, Duration::from_secs_f64(seconds)).await;
    let (done, refused) = (count.done.load(Relaxed), count.refused.load(Relaxed));
    let (lost, unsent) = (count.lost.load(Relaxed), count.unsent.load(Relaxed));
    let goodput = done as f64 / seconds;
    say(&format!(
        "open load at {factor} x for {seconds} s: {goodput:.0}/s done, {:.2} of the peak (bar 0.8); \
         refused {refused}, lost {lost}, not sent for want of room at the caller {unsent}",
        goodput / peak
    ));
    let over = Instant::now();
    while target.p50().await > calm * 2 && over.elapsed() < Duration::from_mins(1) {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    say(&format!(
        "normal again after {:.1?} (bar 30 s); RSS at most {:.0} MB",
        over.elapsed(),
        target.memory()
    ));
}

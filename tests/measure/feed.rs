//! How long a township's command takes to the city's live feed, at a rate.
//!
//! The city itself has inspected a village of each township and fed its findings back, so
//! the townships' measures are addressed to the city: of what a township records only such
//! entries are read by the city, everything else ends at the district. The load is open: a
//! command is sent when its time has come, and its time counts from then, whatever became
//! of earlier ones.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use hyper::Method;
use serde_json::json;
use tokio::task::JoinSet;
use web::client::Client;

use crate::{
    bare_fsync,
    inspected::Inspected,
    live::{Live, Times},
    ms, quantile, say,
    way::Way,
};

/// How long whatever was sent may take in the end.
const PATIENCE: Duration = Duration::from_mins(1);

/// How one run went, seen from the caller.
struct Run {
    times: Times,
    /// From the scheduled moment to the answer.
    answered: Vec<Duration>,
    failed: u64,
    /// What was not at the city yet when the last command was due, and when it was.
    queued: usize,
    drained: Duration,
    fsync: (Duration, Duration),
}

/// Measures at a rate of commands a second for some seconds, 100 and 60 if nothing is said;
/// with `way` also where the time goes.
pub(crate) async fn measure(way: bool, asked: &[u64]) {
    let asked = |at: usize, otherwise| {
        asked.get(at).map_or(otherwise, |asked| u32::try_from(*asked).unwrap())
    };
    let (rate, seconds) = (asked(0, 100), asked(1, 60));
    let quiet = bare_fsync();
    let way = way.then(Way::collect);
    let commands = rate * seconds;
    let inspected = Inspected::found(commands, way.as_ref().map(Way::address)).await;
    say(&format!(
        "{} townships, {} rectifications; a township plans a measure, the city's feed shows it",
        inspected.towns(),
        inspected.rectifications.len()
    ));
    let live = Live::follow(&inspected).await;
    let run = load(&inspected, &live, rate, commands).await;
    tell(&run, (rate, seconds), quiet);
    let unsent = inspected.unsent().await;
    say(&format!(
        "when the last was due, {} of {commands} were not at the city; all were {} later; unsent \
         at all offices then: {unsent} (bar: nothing queued at the end)",
        run.queued,
        ms(run.drained)
    ));
    if let Some(way) = way {
        way.tell(&run.times);
    }
}

fn tell(run: &Run, (rate, seconds): (u32, u32), quiet: (Duration, Duration)) {
    let mut feed = run.times.took();
    let mut answered = run.answered.clone();
    let bar = if rate > 100 {
        "bar: p99 250 ms".to_owned()
    } else {
        format!("bar: p99 {}", ms(Duration::from_millis(100).max(quiet.1 * 8)))
    };
    let line = |what: &str, samples: &mut [Duration]| {
        let [p50, p99, most] = [0.5, 0.99, 1.0].map(|part| ms(quantile(samples, part)));
        format!("  {what}: p50 {p50} p99 {p99} max {most}")
    };
    say(&format!(
        "{rate}/s for {seconds} s: {} commands, {} at the feed, {} failed",
        rate * seconds,
        feed.len(),
        run.failed
    ));
    say(&format!("{} ({bar})", line("scheduled → city's feed", &mut feed)));
    say(&line("scheduled → answered by the township", &mut answered));
    say(&format!(
        "  4 KiB write + fdatasync: before p50 {} p99 {}, meanwhile p50 {} p99 {}",
        ms(quiet.0),
        ms(quiet.1),
        ms(run.fsync.0),
        ms(run.fsync.1)
    ));
}

/// Sends every command when its time has come, then waits until all are at the city.
async fn load(inspected: &Inspected, live: &Live, rate: u32, commands: u32) -> Run {
    let (client, failed) = (Client::default(), Arc::new(AtomicU64::new(0)));
    let answered: Arc<Mutex<Vec<Duration>>> = Arc::default();
    let disk = tokio::task::spawn_blocking(bare_fsync);
    let (began, mut sending) = (Instant::now(), JoinSet::new());
    for n in 0..commands {
        let due = began + Duration::from_secs(1) * n / rate;
        tokio::time::sleep_until(due.into()).await;
        let at = usize::try_from(n).unwrap() % inspected.rectifications.len();
        let (url, token) = inspected.rectifications[at].clone();
        let (client, failed, answered) = (client.clone(), failed.clone(), answered.clone());
        live.due(n, due);
        sending.spawn(async move {
            let key = format!("m{n}");
            let headers = [
                ("authorization", token.as_str()),
                ("idempotency-key", key.as_str()),
                ("if-match", "*"),
            ];
            let body = json!({"text": key, "due": "2026-06-30", "responsible": "分管负责人"});
            let reply =
                client.send(Method::POST, &url, &headers, body.to_string().into_bytes()).await;
            if reply.is_ok_and(|reply| reply.status < 300) {
                answered.lock().unwrap_or_else(PoisonError::into_inner).push(due.elapsed());
            } else {
                failed.fetch_add(1, Relaxed);
            }
        });
    }
    let over = Instant::now();
    let queued = usize::try_from(commands).unwrap() - live.came();
    while sending.join_next().await.is_some() {}
    let failed = failed.load(Relaxed);
    let expected = usize::try_from(u64::from(commands) - failed).unwrap();
    while live.came() < expected && over.elapsed() < PATIENCE {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let (drained, fsync) = (over.elapsed(), disk.await.unwrap());
    let answered = answered.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Run { times: live.times(), answered, failed, queued, drained, fsync }
}

//! A district whose process is killed while people read drafts: whatever content anybody
//! got, its reading is on record.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::{Duration, Instant},
};

use deploy::{round::Script, token};
use hyper::Method;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    process::{Child, Command},
    sync::watch,
    task::JoinSet,
};
use web::client::Client;

use super::offices::{CITY, Layout, Offices, Place};
use crate::chance::Chance;

const DISTRICT: &str = "611002";
const TREE: [Place; 2] = [(CITY, "", "city"), (DISTRICT, CITY, "district")];
const READERS: usize = 4;

/// What was read, and what is on record.
#[derive(Clone, Copy, Debug)]
pub struct Reads {
    /// Answers with content that arrived whole.
    pub answered: usize,
    /// Readings on record.
    pub recorded: usize,
    /// How often the process was killed.
    pub kills: usize,
}

/// Kills the district `kills` times while people read.
pub async fn reads(seed: u64, kills: usize) -> Reads {
    let chance = Chance::new(seed);
    let layout = Layout { tree: &TREE, ..Layout::default() };
    let mut offices = Offices::found(&chance, layout).await;
    let finding = draft(&offices).await;
    let mut answered = 0;
    for _ in 0..kills {
        let (url, bearer) = (
            format!("{}/api/findings/{finding}", offices.url(DISTRICT)),
            format!("Bearer {}", bearer(&offices)),
        );
        let (stop, stopped) = watch::channel(false);
        let mut reading = JoinSet::new();
        for _ in 0..READERS {
            reading.spawn(read(url.clone(), bearer.clone(), stopped.clone()));
        }
        tokio::time::sleep(Duration::from_micros(chance.below(60_000))).await;
        offices.kill(DISTRICT).await;
        stop.send_replace(true);
        answered += reading.join_all().await.into_iter().sum::<usize>();
        offices.start(DISTRICT).await;
    }
    let recorded = recorded(&offices, &finding).await;
    offices.remove().await;
    Reads { answered, recorded, kills }
}

/// The calls by which a process writes a disk, or lets something out.
const OUTWARD: &str =
    "pwrite64,pwritev,write,writev,sendto,sendmsg,fsync,fdatasync,ftruncate,openat,rename,unlink";

/// Kills the district before each outward call that one read makes, each call in its own
/// run; between two of them a killed process has let out and kept the same.
pub async fn reads_at_every_call(seed: u64) -> Reads {
    let chance = Chance::new(seed);
    let layout = Layout { tree: &TREE, ..Layout::default() };
    let mut offices = Offices::found(&chance, layout).await;
    let finding = draft(&offices).await;
    let log = offices.folder.join("calls");
    let mut strace = attached(&offices, &log, None).await;
    assert!(let_out(&offices, &finding).await, "a read without a fault shows nothing");
    strace.kill().await.unwrap();
    let recorded_by_now = recorded(&offices, &finding).await;
    let mut reads = Reads { answered: 1, recorded: recorded_by_now, kills: 0 };
    let mut left = Vec::new();
    assert!(recorded_by_now >= 1);
    for (call, most) in calls(&log) {
        for nth in 1..=most {
            let point = format!("{call}:signal=KILL:when={nth}");
            let mut strace = attached(&offices, &log, Some(&point)).await;
            let shown = let_out(&offices, &finding).await;
            let _ = strace.kill().await;
            let died = has_died(&mut offices).await;
            offices.kill(DISTRICT).await;
            offices.start(DISTRICT).await;
            reads.kills += usize::from(died);
            reads.answered += usize::from(shown);
            let before = reads.recorded;
            reads.recorded = recorded(&offices, &finding).await;
            left.push(format!("{point}: died {died}, shown {shown}, on record {}", reads.recorded));
            // Each by itself: a reading on record for nothing makes up for none without.
            let now = reads.recorded - before;
            assert!(now >= usize::from(shown), "{}", left.join("\n"));
        }
    }
    eprintln!("{}", left.join("\n"));
    offices.remove().await;
    reads
}

/// Whether the process has died; its parent hears of it only when strace has let go.
async fn has_died(offices: &mut Offices) -> bool {
    let seat = offices.seats.get_mut(DISTRICT).unwrap();
    for _ in 0..20 {
        if !seat.runs() {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    false
}

/// strace on every thread of the district, breaking one call if one is named.
async fn attached(offices: &Offices, log: &Path, inject: Option<&str>) -> Child {
    let process = offices.seats[DISTRICT].process();
    let mut strace = Command::new("strace");
    strace.args(["-f", "-q", "-s", "0", "-e", "signal=none", "-o"]).arg(log);
    strace.arg("-e").arg(format!("trace={OUTWARD}"));
    strace.args(inject.map(|point| format!("--inject={point}")));
    strace.arg("-p").arg(process.to_string()).stderr(Stdio::null()).kill_on_drop(true);
    let child = strace.spawn().unwrap();
    let began = Instant::now();
    while !is_traced(process) {
        assert!(began.elapsed() < Duration::from_secs(20), "strace does not attach");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    child
}

/// Whether every thread of a process is traced, or it is gone already.
fn is_traced(process: u32) -> bool {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{process}/task")) else { return true };
    let status = |thread: PathBuf| std::fs::read_to_string(thread.join("status"));
    let untraced = |text: String| text.contains("TracerPid:\t0\n");
    threads.flatten().all(|thread| !status(thread.path()).is_ok_and(untraced))
}

/// How often the busiest thread makes each call.
fn calls(log: &Path) -> BTreeMap<String, usize> {
    let text = std::fs::read_to_string(log).unwrap();
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for line in text.lines() {
        let Some((thread, rest)) = line.split_once(' ') else { continue };
        let Some((call, _)) = rest.trim_start().split_once('(') else { continue };
        if OUTWARD.split(',').any(|known| known == call) {
            *counts.entry((call, thread)).or_default() += 1;
        }
    }
    let mut most = BTreeMap::new();
    for ((call, _), count) in counts {
        let known: &mut usize = most.entry(call.to_owned()).or_default();
        *known = count.max(*known);
    }
    most
}

/// Reads once; whether any of the content came out, were the answer whole or not.
async fn let_out(offices: &Offices, finding: &str) -> bool {
    let ask = format!(
        "GET /api/findings/{finding} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
         authorization: Bearer {}\r\n\r\n",
        bearer(offices)
    );
    let Ok(mut stream) = TcpStream::connect(&offices.seats[DISTRICT].config.listen).await else {
        return false;
    };
    let mut came = Vec::new();
    let reading = async {
        stream.write_all(ask.as_bytes()).await?;
        stream.read_to_end(&mut came).await
    };
    let _ = tokio::time::timeout(Duration::from_secs(10), reading).await;
    String::from_utf8_lossy(&came).contains("三要素")
}

fn bearer(offices: &Offices) -> String {
    let seat = &offices.seats[DISTRICT];
    token::make(&seat.config.keys, &seat.id(), "TM").unwrap()
}

/// Reads again and again; how many answers came whole.
async fn read(url: String, bearer: String, stopped: watch::Receiver<bool>) -> usize {
    let (client, mut count) = (Client::default(), 0);
    while !*stopped.borrow() {
        let headers = [("authorization", bearer.as_str())];
        match client.send(Method::GET, &url, &headers, Vec::new()).await {
            Ok(reply) if reply.status == 200 => {
                assert!(reply.json()["draft"]["text"].is_string(), "{}", reply.json());
                count += 1;
            }
            _ => tokio::time::sleep(Duration::from_millis(1)).await,
        }
    }
    count
}

/// A round that has entered, with one draft.
async fn draft(offices: &Offices) -> String {
    let api = offices.api(DISTRICT);
    let unit = json!([{"number": "o1", "name": "县直单位001", "level": "county",
        "valid_from": "2021-12-01"}]);
    api.post("PLAN", "/api/organizations", "unit", None, &unit).await.unwrap();
    let plan = json!({"number": "R1", "name": "第一轮", "kind": "regular",
        "organisation": "own", "reach": "direct"});
    let task = json!({"id": "k1", "target": "o1", "name": "县直单位001", "level": "county"});
    let found = vec![("k1".to_owned(), "甲".to_owned(), "三要素".to_owned())];
    let mut round = Script::new(&api, plan, vec![task], found);
    round.plan().await.unwrap();
    round.authorise().await.unwrap();
    round.enter().await.unwrap();
    round.drafted[0].clone()
}

async fn recorded(offices: &Offices, finding: &str) -> usize {
    let api = Arc::new(offices.api(DISTRICT));
    let (mut after, mut count) = (String::new(), 0);
    loop {
        let path = format!("/api/reads?of=finding/{finding}&limit=500&after={after}");
        let page: Value = api.get("AUDADM", &path).await.unwrap();
        count += page["items"].as_array().map_or(0, Vec::len);
        match page["next"].as_str() {
            Some(next) => next.clone_into(&mut after),
            None => return count,
        }
    }
}

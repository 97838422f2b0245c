//! Memory while many slow callers bring and fetch papers of 20 MiB at once.
//!
//! The office is a process of its own (`LIANDONG_BIN`, `LIANDONG_NATS_SERVER`); to hold
//! another build against this one, name its programs.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use kernel::sign::Hash;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};

use crate::{
    city::{City, Office},
    say,
};

const SIZE: usize = 20 << 20;
/// What one caller sends at a time, and how often: 0.5 MB/s.
const PART: usize = 16 * 1024;
const PAUSE: Duration = Duration::from_millis(32);
const ROLES: [&str; 5] = ["FILE", "LO", "UNIT", "TL", "PLAN"];

/// What became of the callers.
#[derive(Default)]
struct Count {
    done: AtomicU64,
    refused: AtomicU64,
    broken: AtomicU64,
}

fn paper(number: usize) -> (Vec<u8>, Hash) {
    let mut bytes = vec![u8::try_from(number % 251).unwrap(); SIZE];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    let hash = Hash::of(&[&bytes]);
    (bytes, hash)
}

/// One caller; the status, or 0 if the connection broke.
async fn slowly(address: &str, head: String, body: Vec<u8>) -> u16 {
    let talk = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(head.as_bytes()).await?;
        let (mut from, mut to) = stream.split();
        let send = async {
            for part in body.chunks(PART) {
                to.write_all(part).await?;
                tokio::time::sleep(PAUSE).await;
            }
            Ok::<_, std::io::Error>(())
        };
        let receive = async {
            let mut got = vec![0; PART];
            let read = from.read(&mut got).await?;
            let status = String::from_utf8_lossy(&got[..read]).get(9..12).map(str::to_owned);
            // An answer that is long is read as slowly.
            while from.read(&mut got).await? > 0 {
                tokio::time::sleep(PAUSE).await;
            }
            Ok::<_, std::io::Error>(status.and_then(|status| status.parse().ok()).unwrap_or(0))
        };
        tokio::pin!(receive);
        tokio::select! {
            status = &mut receive => status,
            sent = send => { sent?; receive.await }
        }
    };
    talk.await.unwrap_or(0)
}

/// So many callers at once; the highest memory meanwhile, and what became of them.
async fn all(
    office: &Office,
    many: usize,
    request: impl Fn(usize) -> (String, Vec<u8>),
) -> (f64, f64, Arc<Count>) {
    let (address, count) = (office.url().replace("http://", ""), Arc::new(Count::default()));
    let mut callers = JoinSet::new();
    for number in 0..many {
        let (head, body) = request(number);
        let (address, count) = (address.clone(), count.clone());
        callers.spawn(async move {
            let counter = match slowly(&address, head, body).await {
                200..300 => &count.done,
                0 => &count.broken,
                _ => &count.refused,
            };
            counter.fetch_add(1, Relaxed);
        });
    }
    let (began, mut most) = (Instant::now(), 0.0_f64);
    while !callers.is_empty() {
        let _ = tokio::time::timeout(Duration::from_millis(200), callers.join_next()).await;
        most = most.max(office.memory("VmRSS"));
    }
    (most, began.elapsed().as_secs_f64(), count)
}

/// Measures with so many callers.
pub(crate) async fn measure(many: usize) {
    let city = City::start();
    let office = city.office("district");
    let tokens = ROLES.map(|role| office.token(role));
    say(&format!("RSS before: {:.0} MB", office.memory("VmRSS")));
    let tell = |what: &str, (most, took, count): (f64, f64, Arc<Count>)| {
        say(&format!(
            "{what}: {} done, {} refused, {} broken in {took:.0} s; RSS at most {most:.0} MB",
            count.done.load(Relaxed),
            count.refused.load(Relaxed),
            count.broken.load(Relaxed),
        ));
    };
    let head = |number: usize, line: &str, more: &str| {
        let token = &tokens[number % ROLES.len()];
        format!(
            "{line} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: {token}\r\n{more}\r\n"
        )
    };
    let length = format!("content-length: {SIZE}\r\n");
    let whole = |number| (head(number, "POST /api/papers", &length), paper(number).0);
    tell(&format!("{many} slow uploads of 20 MiB"), all(&office, many, whole).await);
    let piece = |number| {
        let (bytes, hash) = paper(number + many);
        let range = format!("{length}content-range: bytes 0-{}/{SIZE}\r\n", SIZE - 1);
        (head(number, &format!("PUT /api/papers/{hash}"), &range), bytes)
    };
    tell(&format!("{many} of them as pieces"), all(&office, many, piece).await);
    let back = |number: usize| {
        let (_, hash) = paper(number % 4);
        (head(number, &format!("GET /api/papers/{hash}"), ""), Vec::new())
    };
    tell(&format!("{many} slow downloads"), all(&office, many, back).await);
    say(&format!("RSS at most, ever: {:.0} MB", office.memory("VmHWM")));
}

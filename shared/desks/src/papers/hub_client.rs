//! An office's end of the way to the hub: sends and fetches papers, and goes on where a
//! connection ended.

use std::{io::SeekFrom, time::Duration};

use axum::{
    body::Body,
    http::{HeaderMap, Method, Response, header},
};
use hyper::body::Incoming;
use kernel::sign::Hash;
use messaging::papers::{MAX_PAPER, Sender};
use tokio::{
    fs::File,
    io::{AsyncReadExt, AsyncSeekExt},
    time::{sleep, timeout},
};
use web::{Problem, Seat, client::Client};

use super::{coming, signed::sign};

/// How much is sent at a time. A piece that is cut costs what was on the wire, not its
/// length: the hub keeps what came.
const PIECE: u64 = 256 * 1024;
/// How long a piece may take: what is slower than 2.2 KB/s is cut, and goes on.
const PATIENCE: Duration = Duration::from_mins(2);
/// How long the hub may take for a word.
const SILENCE: Duration = Duration::from_secs(30);
/// How often in a row nothing may come through.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(500);

/// Where a paper stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is where it should be.
    Whole,
    /// So much of it is.
    UpTo(u64),
    /// The hub said no; it may not know the entry yet.
    Refused,
    /// No answer, or not to the end.
    Away,
}

/// How often in a row nothing came through.
#[derive(Default)]
struct Tries {
    have: Option<u64>,
    idle: u32,
}

impl Tries {
    /// Whether to go on, with so many bytes through; waits if there were no more of them.
    async fn go_on(&mut self, have: Option<u64>) -> bool {
        self.idle = if have > self.have { 0 } else { self.idle + 1 };
        self.have = have;
        sleep(PAUSE * self.idle).await;
        self.idle < TRIES
    }
}

/// The hub, as this office reaches it.
pub(super) struct HubClient<'a> {
    pub(super) seat: &'a Seat,
    /// The city's address.
    pub(super) hub: &'a str,
    pub(super) client: &'a Client,
}

impl HubClient<'_> {
    async fn ask(
        &self,
        method: Method,
        hash: &Hash,
        range: Option<&str>,
        body: Vec<u8>,
    ) -> Option<Response<Incoming>> {
        let name = hash.to_string();
        let signed = sign(self.seat.office.setting(), &method, &name, range);
        let headers: Vec<_> = signed.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let patience = if body.is_empty() { SILENCE } else { PATIENCE };
        let url = format!("{}/hub/papers/{hash}", self.hub);
        let asking = self.client.open(method, &url, &headers, body);
        let why = match timeout(patience, asking).await {
            Ok(Ok(response)) => return Some(response),
            Ok(Err(error)) => error,
            Err(_) => "no answer".to_owned(),
        };
        tracing::debug!(paper = %hash, why, "the hub is away");
        None
    }

    /// Sends a paper, from where the hub has it.
    pub(super) async fn send(&self, hash: &Hash) -> Result<Standing, Problem> {
        let (mut tries, mut own) = (Tries::default(), None);
        let mut stands = self.standing(hash).await;
        loop {
            stands = match stands {
                Standing::Whole | Standing::Refused => return Ok(stands),
                Standing::Away if tries.go_on(tries.have).await => self.standing(hash).await,
                Standing::UpTo(have) if tries.go_on(Some(have)).await => {
                    if own.is_none() && self.seat.papers.check(hash).await?.is_some() {
                        own = self.seat.papers.open(hash).await?;
                    }
                    let Some((file, size)) = &mut own else { return Ok(Standing::Refused) };
                    self.put(hash, file, have, *size).await?
                }
                Standing::Away | Standing::UpTo(_) => return Ok(Standing::Away),
            }
        }
    }

    /// What others want of what this office may have; nothing while the hub is away.
    pub(super) async fn wanted(&self) -> Vec<Hash> {
        let signed = sign(self.seat.office.setting(), &Method::GET, "wanted", None);
        let headers: Vec<_> = signed.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let url = format!("{}/hub/wanted", self.hub);
        let asking = self.client.send(Method::GET, &url, &headers, Vec::new());
        match timeout(SILENCE, asking).await {
            Ok(Ok(reply)) if reply.status == 200 => {
                serde_json::from_value(reply.json()).unwrap_or_default()
            }
            _ => Vec::new(),
        }
    }

    async fn standing(&self, hash: &Hash) -> Standing {
        let Some(response) = self.ask(Method::HEAD, hash, None, Vec::new()).await else {
            return Standing::Away;
        };
        match (response.status().as_u16(), offset(response.headers())) {
            (200, _) => Standing::Whole,
            (404, Some(have)) => Standing::UpTo(have),
            (500.., _) => Standing::Away,
            _ => Standing::Refused,
        }
    }

    async fn put(
        &self,
        hash: &Hash,
        file: &mut File,
        have: u64,
        size: u64,
    ) -> Result<Standing, Problem> {
        // If all of it is there and nobody has looked at the whole, the last byte asks for that.
        let first = have.min(size.saturating_sub(1));
        let mut piece = Vec::new();
        file.seek(SeekFrom::Start(first)).await?;
        file.take(PIECE).read_to_end(&mut piece).await?;
        let end = first + piece.len() as u64;
        let range = format!("bytes {first}-{}/{size}", end.saturating_sub(1));
        let Some(response) = self.ask(Method::PUT, hash, Some(&range), piece).await else {
            return Ok(Standing::Away);
        };
        Ok(match (response.status().as_u16(), offset(response.headers())) {
            (200..202 | 204, _) => Standing::Whole,
            (202 | 408 | 409, Some(have)) => Standing::UpTo(have),
            (500.., _) => Standing::Away,
            (status, _) => {
                tracing::warn!(paper = %hash, status, "the hub does not take it");
                Standing::Refused
            }
        })
    }

    /// Fetches a paper, from where this office has it.
    pub(super) async fn fetch(&self, hash: &Hash) -> Result<Standing, Problem> {
        let mut tries = Tries::default();
        loop {
            let have = self.seat.papers.held(&Sender::hub(), hash).await?;
            if !tries.go_on(Some(have)).await {
                return Ok(Standing::Away);
            }
            let stands = self.fetch_from(hash, have).await?;
            if stands != Standing::Away {
                return Ok(stands);
            }
        }
    }

    async fn fetch_from(&self, hash: &Hash, have: u64) -> Result<Standing, Problem> {
        let range = format!("bytes={have}-");
        let asked = self.ask(Method::GET, hash, Some(&range), Vec::new()).await;
        let Some(response) = asked else { return Ok(Standing::Away) };
        let range = range_of(response.headers());
        let (first, total) = match (response.status().as_u16(), range) {
            (206, Some((Some(first), total))) if first == have => (first, total),
            // All of it came, and nobody has looked at the whole.
            (416, Some((None, total))) => (have, total),
            // Somebody between does not know ranges.
            (200, _) => (0, number(response.headers(), header::CONTENT_LENGTH).unwrap_or(0)),
            (500.., _) => return Ok(Standing::Away),
            _ => return Ok(Standing::Refused),
        };
        if total > MAX_PAPER as u64 {
            return Ok(Standing::Refused);
        }
        let papers = &self.seat.papers;
        let Ok(mut arrival) = papers.resume(&Sender::hub(), hash).await? else {
            return Ok(Standing::Refused);
        };
        arrival.keep_first(first).await?;
        if arrival.have() < total {
            let body = Body::new(response.into_body()).into_data_stream();
            coming::write(&mut arrival, body, total).await?;
        }
        if arrival.have() < total {
            arrival.leave().await?;
            return Ok(Standing::Away);
        }
        if arrival.finish(Some(hash)).await?.is_some() {
            return Ok(Standing::Whole);
        }
        tracing::warn!(paper = %hash, "the hub gave other bytes; they are thrown away");
        self.seat.counters.count("paper-mismatch");
        Ok(Standing::Refused)
    }
}

fn number(headers: &HeaderMap, name: impl header::AsHeaderName) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.parse().ok()
}

fn offset(headers: &HeaderMap) -> Option<u64> {
    number(headers, coming::OFFSET)
}

/// The first byte and the size that `Content-Range` names: `bytes 5-9/10` or `bytes */10`.
fn range_of(headers: &HeaderMap) -> Option<(Option<u64>, u64)> {
    let range = headers.get(header::CONTENT_RANGE)?.to_str().ok()?;
    let (bytes, total) = range.strip_prefix("bytes ")?.split_once('/')?;
    let first = bytes.split_once('-').and_then(|(first, _)| first.parse().ok());
    Some((first, total.parse().ok()?))
}

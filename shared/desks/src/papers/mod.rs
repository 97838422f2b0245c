//! Papers: uploaded at the own office, sent to the hub, fetched from it.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Json,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use domain::{
    filing::State as FilingState,
    filing_review::{Command as Ask, FilingReview, State as ReviewState},
};
use event_store::{Answer, Unit, act};
use hyper::Method;
use kernel::{Code, OfficeId, Timestamp, clock::wall, sign::Hash};
use messaging::{
    directory::{DIRECTORY, Entry},
    papers::MAX_PAPER,
};
use serde_json::json;
use web::{Problem, Route, Seat, Who, client::Client, get, post_empty, put};

use crate::{
    filings::{FILINGS, FilingRow},
    reviews::{REVIEWS, ReviewRow},
};

/// The routes of every office.
pub fn routes() -> Vec<Route> {
    vec![
        post_empty(
            "/api/papers",
            Who::Roles(&["FILE", "LO", "COM", "UNIT", "TL", "PLAN"]),
            ["上传附件", "Upload a paper; the same bytes twice are one paper"],
            upload,
        ),
        get(
            "/api/papers/{hash}",
            Who::SignedIn,
            ["下载附件", "Download a paper that is here"],
            download,
        ),
    ]
}

/// The routes of the hub: offices prove themselves with their event keys.
pub fn hub_routes() -> Vec<Route> {
    vec![
        put(
            "/hub/papers/{hash}",
            Who::Public,
            ["单位上传附件", "An office sends a paper"],
            hub_put,
        ),
        get(
            "/hub/papers/{hash}",
            Who::Public,
            ["单位下载附件", "An office fetches a paper it was named for"],
            hub_get,
        ),
    ]
}

async fn upload(State(seat): State<Arc<Seat>>, body: Bytes) -> Result<Response, Problem> {
    if body.is_empty() {
        let why = "附件为空 / the paper is empty";
        return Err(kernel::Refusal::new(Code::BadField).detail(why).into());
    }
    let size = body.len();
    let hash = seat.papers.keep(body.to_vec()).await?;
    Ok((StatusCode::CREATED, Json(json!({"hash": hash, "size": size}))).into_response())
}

async fn download(
    State(seat): State<Arc<Seat>>,
    Path(hash): Path<String>,
) -> Result<Response, Problem> {
    let hash = Hash::parse(&hash).ok_or(Code::NotFound)?;
    let bytes = seat.papers.get(&hash).await?.ok_or(Code::NotFound)?;
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream"),
        (header::CONTENT_DISPOSITION, "attachment"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    Ok((headers, bytes).into_response())
}

/// What an office signs to send or fetch a paper.
fn words(method: &str, hash: &Hash, at: Timestamp) -> Vec<u8> {
    format!("liandong paper v1\n{method}\n{hash}\n{at}").into_bytes()
}

/// How old a signature may be, in milliseconds.
const FRESH: i64 = 300_000;

/// The office that signed the request, if the hub may let it.
async fn signed_by(
    seat: &Seat,
    method: &str,
    hash: &Hash,
    headers: &HeaderMap,
) -> Result<OfficeId, Problem> {
    let text =
        |name| headers.get(name).and_then(|value: &axum::http::HeaderValue| value.to_str().ok());
    let office = text("ld-office").and_then(OfficeId::parse).ok_or(Code::NotSignedIn)?;
    let at = text("ld-time").and_then(Timestamp::parse).ok_or(Code::NotSignedIn)?;
    let signature = text("ld-signature").and_then(|text| BASE64.decode(text).ok());
    let signature = signature.ok_or(Code::NotSignedIn)?;
    let entry: Option<Entry> = seat.office.reader().await?.view(DIRECTORY, office.as_str()).await?;
    let fresh = (wall().0 - at.0).abs() <= FRESH;
    let good = entry.is_some_and(|e| e.member.key.verifies(&words(method, hash, at), &signature));
    if fresh && good { Ok(office) } else { Err(Code::NotSignedIn.into()) }
}

async fn hub_put(
    State(seat): State<Arc<Seat>>,
    Path(hash): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let hash = Hash::parse(&hash).ok_or(Code::NotFound)?;
    let office = signed_by(&seat, "PUT", &hash, &headers).await?;
    let (Some(ingest), Some(papers)) = (&seat.ingest, &seat.hub_papers) else {
        return Err(Code::NotFound.into());
    };
    if !ingest.grants().allow(&hash, &office) {
        return Err(Code::Unauthorised.into());
    }
    if Hash::of(&[&body]) != hash {
        return Err(Code::PaperMismatch.into());
    }
    papers.keep(body.to_vec()).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn hub_get(
    State(seat): State<Arc<Seat>>,
    Path(hash): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let hash = Hash::parse(&hash).ok_or(Code::NotFound)?;
    let office = signed_by(&seat, "GET", &hash, &headers).await?;
    let (Some(ingest), Some(papers)) = (&seat.ingest, &seat.hub_papers) else {
        return Err(Code::NotFound.into());
    };
    if !ingest.grants().allow(&hash, &office) {
        return Err(Code::Unauthorised.into());
    }
    let bytes = papers.get(&hash).await?.ok_or(Code::NotFound)?;
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], bytes).into_response())
}

/// Sends and fetches what own filings and reviews name, and receipts what is whole.
pub struct PaperRunner {
    seat: Arc<Seat>,
    hub: Option<String>,
    client: Client,
    sent: Mutex<BTreeSet<Hash>>,
}

impl PaperRunner {
    /// A runner towards the hub at `hub`, the city's address; without one the papers
    /// come and go with the courier.
    pub fn new(seat: Arc<Seat>, hub: Option<String>) -> Self {
        Self { seat, hub, client: Client::default(), sent: Mutex::default() }
    }

    /// One turn. Whatever fails is tried again in the next.
    pub async fn turn(&self) -> Result<(), Problem> {
        let filings: Vec<(String, FilingRow)> =
            self.seat.office.reader().await?.all(FILINGS, "").await?;
        for (_, row) in filings {
            if row.state == FilingState::Submitted && !row.receipted {
                for paper in row.items.values() {
                    self.send(&paper.hash).await?;
                }
            }
        }
        let reviews: Vec<(String, ReviewRow)> =
            self.seat.office.reader().await?.all(REVIEWS, "").await?;
        for (id, row) in reviews {
            if row.state == ReviewState::Submitted {
                self.fetch_and_receipt(id, &row).await?;
            }
        }
        Ok(())
    }

    /// The papers that submissions name and that are not here.
    pub async fn wanted(&self) -> Result<Vec<Hash>, Problem> {
        let reviews: Vec<(String, ReviewRow)> =
            self.seat.office.reader().await?.all(REVIEWS, "").await?;
        let open = reviews.into_iter().filter(|(_, row)| row.state == ReviewState::Submitted);
        let named = open.filter_map(|(_, row)| row.submission).flat_map(|s| s.items.into_values());
        let mut wanted: Vec<Hash> =
            named.map(|paper| paper.hash).filter(|hash| !self.seat.papers.has(hash)).collect();
        wanted.sort_unstable();
        wanted.dedup();
        Ok(wanted)
    }

    async fn send(&self, hash: &Hash) -> Result<(), Problem> {
        if self.sent.lock().unwrap_or_else(PoisonError::into_inner).contains(hash) {
            return Ok(());
        }
        let Some(bytes) = self.seat.papers.get(hash).await? else { return Ok(()) };
        if self.ask(Method::PUT, hash, bytes).await.is_some() {
            self.sent.lock().unwrap_or_else(PoisonError::into_inner).insert(*hash);
        }
        Ok(())
    }

    async fn fetch_and_receipt(&self, id: String, row: &ReviewRow) -> Result<(), Problem> {
        let Some(submission) = &row.submission else { return Ok(()) };
        for paper in submission.items.values() {
            if self.seat.papers.has(&paper.hash) {
                continue;
            }
            let Some(bytes) = self.ask(Method::GET, &paper.hash, Vec::new()).await else {
                return Ok(());
            };
            if Hash::of(&[&bytes]) != paper.hash || bytes.len() > MAX_PAPER {
                tracing::warn!(paper = %paper.hash, "the hub gave other bytes");
                return Ok(());
            }
            self.seat.papers.keep(bytes).await?;
        }
        let receipting = act(move |unit: &mut Unit<'_>| {
            let id = id.clone();
            Box::pin(async move {
                unit.execute::<FilingReview>(&id, Ask::Receipt).await?;
                Ok(Answer { status: 200, etag: String::new(), body: Vec::new() })
            })
        });
        if let Err(refusal) = self.seat.office.system(receipting).await {
            tracing::debug!(%refusal, "no receipt yet");
        }
        Ok(())
    }

    async fn ask(&self, method: Method, hash: &Hash, body: Vec<u8>) -> Option<Vec<u8>> {
        let hub = self.hub.as_deref()?;
        let setting = self.seat.office.setting();
        let at = wall();
        let key = setting.key.now();
        let signature = BASE64.encode(key.sign(&words(method.as_str(), hash, at)));
        let (office, at) = (setting.office.to_string(), at.to_string());
        let headers = [
            ("ld-office", office.as_str()),
            ("ld-time", at.as_str()),
            ("ld-signature", signature.as_str()),
        ];
        let url = format!("{hub}/hub/papers/{hash}");
        match self.client.send(method, &url, &headers, body).await {
            Ok(reply) if reply.status < 300 => Some(reply.body.to_vec()),
            Ok(reply) => {
                tracing::debug!(paper = %hash, status = reply.status, "the hub does not have it yet");
                None
            }
            Err(error) => {
                tracing::debug!(paper = %hash, error, "the hub is away");
                None
            }
        }
    }
}

//! 账本 The ledger over HTTP: signed heads, tiles and proofs of the own log (C2SP
//! tlog-checkpoint, tlog-tiles, tlog-proof), and how its witnesses stand.
//!
//! Heads and hashes say nothing of what stands in an entry, which is why anybody may have
//! them; entries themselves are had by policy, from the feed.

use std::sync::Arc;

use axum::{
    Json,
    body::Bytes,
    extract::{Path, Query, State},
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use domain::ledger_key::{LedgerKey, Publish};
use event_store::{Answer, Unit, act};
use kernel::Code;
use ledger::{checkpoint::lines, note::Note, proof::Proof, tile::Tile, witness::Fork};
use messaging::witnessing::{Trouble, log_name};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use web::{Problem, Route, Seat, Who, get, post};

/// The desk's routes.
pub fn routes() -> Vec<Route> {
    vec![
        get(
            "/api/ledger",
            Who::SignedIn,
            ["账本与见证", "The own log's signed head, its witnesses, forks that were found"],
            stand,
        ),
        get(
            "/log/{epoch}/checkpoint",
            Who::Public,
            ["账本签名头", "The newest head that most witnesses have cosigned"],
            checkpoint,
        ),
        get(
            "/log/{epoch}/tile/{*tile}",
            Who::Public,
            ["账本瓦片", "A tile of hashes: `0/x001/234`, `0/x001/234.p/17`"],
            tile,
        ),
        get(
            "/log/{epoch}/proof",
            Who::Public,
            ["条目存在证明", "The proof that an entry stands in the log (tlog-proof)"],
            proof,
        )
        .query::<OfEntry>(),
        get(
            "/log/{epoch}/consistency",
            Who::Public,
            ["账本只增证明", "The proof that the log only grew"],
            consistency,
        )
        .query::<Sizes>(),
        post::<Cosigned, _>(
            "/log/{epoch}/cosignature",
            Who::Public,
            ["外部见证送回联签", "A witness from outside brings the head that it cosigned"],
            cosignature,
        ),
    ]
}

/// Puts on record which keys sign the heads of this log and of others.
pub(crate) async fn publish(seat: &Seat) -> Result<(), String> {
    let signer = seat.ledger.signer(seat.office.life().epoch).map_err(|why| why.to_string())?;
    let (log, witness) = (signer.verifier(), seat.ledger.witness.verifier());
    let publish = Publish { log: log.to_string(), witness: witness.to_string() };
    let run = act(move |unit: &mut Unit<'_>| {
        let publish = publish.clone();
        Box::pin(async move {
            let id = unit.setting().office.to_string();
            unit.execute::<LedgerKey>(&id, publish).await?;
            Ok(Answer { status: 200, etag: String::new(), body: Vec::new() })
        })
    });
    seat.office.system(run).await.map(drop).map_err(|refusal| refusal.to_string())
}

async fn stand(State(seat): State<Arc<Seat>>) -> Result<Response, Problem> {
    let stand = seat.ledger.stand().map_err(std::io::Error::other)?;
    let mut body = json!(stand);
    body["forks"] = json!(forks(&seat)?);
    body["demo"] = json!(seat.pin.demo);
    Ok(Json(body).into_response())
}

/// The forks that this office has found, whole.
pub(crate) fn forks(seat: &Seat) -> std::io::Result<Vec<Fork>> {
    let folder = match std::fs::read_dir(seat.ledger.forks()) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        read => read?,
    };
    let mut found = Vec::new();
    for file in folder {
        let path = file?.path();
        if path.extension().is_some_and(|ending| ending == "fork") {
            found.push(serde_json::from_slice(&std::fs::read(path)?)?);
        }
    }
    Ok(found)
}

/// A life of the log is a number.
fn life(epoch: &str) -> Result<u32, Problem> {
    Ok(epoch.parse().map_err(|_| Code::NotFound)?)
}

fn text(body: String) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], body).into_response()
}

async fn checkpoint(
    State(seat): State<Arc<Seat>>,
    Path(epoch): Path<String>,
) -> Result<Response, Problem> {
    let origin = log_name(&seat.office.setting().office, life(&epoch)?);
    let head = seat.ledger.checkpoint(0).filter(|(head, _)| head.origin == origin);
    let (_, note) = head.ok_or(Code::NotFound)?;
    let mut response = text(note.to_string());
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Ok(response)
}

async fn tile(
    State(seat): State<Arc<Seat>>,
    Path((epoch, path)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let tile = Tile::parse(&format!("tile/{path}")).ok_or(Code::NotFound)?;
    let bytes = seat.ledger.with(life(&epoch)?, |book| book.tile(&tile))?;
    let bytes = bytes.flatten().ok_or(Code::NotFound)?;
    let about = [
        (header::CONTENT_TYPE, "application/octet-stream"),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
    ];
    Ok((about, bytes).into_response())
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Cosigned {
    /// The signed note, with the log's line and the witness's (C2SP tlog-cosignature).
    head: String,
}

async fn cosignature(
    State(seat): State<Arc<Seat>>,
    Path(epoch): Path<String>,
    body: Bytes,
) -> Result<Response, Problem> {
    let Cosigned { head } = web::command::parse(&body)?;
    if life(&epoch)? != seat.office.life().epoch {
        return Err(Code::NotFound.into());
    }
    let note = Note::parse(&head).map_err(|_| Code::NoWitness)?;
    let size = match seat.ledger.keep_outside(&note) {
        Ok(Some(0)) | Err(Trouble::Differs(_)) => return Err(Code::HeadDiffers.into()),
        Err(Trouble::Note(_)) => return Err(Code::NoWitness.into()),
        Ok(size) => size.ok_or(Code::NoWitness)?,
        Err(trouble) => return Err(std::io::Error::other(trouble).into()),
    };
    Ok(Json(json!({"size": size})).into_response())
}

#[derive(Deserialize, JsonSchema)]
struct OfEntry {
    /// The entry's index: its sequence less one.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1_000_000_000))]
    index: u64,
}

async fn proof(
    State(seat): State<Arc<Seat>>,
    Path(epoch): Path<String>,
    Query(OfEntry { index }): Query<OfEntry>,
) -> Result<Response, Problem> {
    let epoch = life(&epoch)?;
    let origin = log_name(&seat.office.setting().office, epoch);
    let head = seat.ledger.checkpoint(index).filter(|(head, _)| head.origin == origin);
    let (head, note) = head.ok_or(Code::NotFound)?;
    let nodes = seat.ledger.with(epoch, |book| book.inclusion(index, head.size))?.flatten();
    let nodes = nodes.ok_or(Code::NotFound)?;
    Ok(text(Proof { extra: None, index, nodes, checkpoint: note }.to_string()))
}

#[derive(Deserialize, JsonSchema)]
struct Sizes {
    /// So many entries.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1_000_000_000))]
    old: u64,
    /// So many, or more.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1_000_000_000))]
    new: u64,
}

async fn consistency(
    State(seat): State<Arc<Seat>>,
    Path(epoch): Path<String>,
    Query(Sizes { old, new }): Query<Sizes>,
) -> Result<Response, Problem> {
    let hashes = seat.ledger.with(life(&epoch)?, |book| book.consistency(old, new))?;
    Ok(text(lines(&hashes.flatten().ok_or(Code::NotFound)?)))
}

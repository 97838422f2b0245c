//! Papers between a clerk and the own office.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use access::{Matter, Subject};
use axum::{
    Json,
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, StatusCode},
    response::{IntoResponse, Response},
};
use futures_util::{StreamExt, stream};
use kernel::{Class, Code, sign::Hash};
use messaging::papers::Sender;
use serde_json::json;
use web::{Caller, Problem, Route, Seat, Who, get, head, post_empty, put};

use super::{
    coming::{Came, Coming, OFFSET, Stopped},
    going,
};

/// Who may bring papers.
const BRING: Who = Who::Does("paper.bring");
const ONE: &str = "/api/papers/{hash}";

/// The routes of every office.
pub fn routes() -> Vec<Route> {
    vec![
        post_empty(
            "/api/papers",
            BRING,
            [
                "上传附件(整份)",
                "Upload a paper, at most 20 MiB, in one go; the same bytes twice are one paper",
            ],
            upload,
        )
        .streams(&[]),
        head(
            ONE,
            Who::SignedIn,
            [
                "附件是否在此;未传完的,Upload-Offset 为已收到的字节数(本人所传)",
                "200 if the paper is here; else 404, with Upload-Offset: how many bytes of it this person has brought",
            ],
            standing,
        ),
        put(
            ONE,
            BRING,
            [
                "断点续传:按 Content-Range 逐段上传,须从 Upload-Offset 处接续;传完后核对摘要值",
                "Upload a paper in pieces under its SHA-256: `Content-Range: bytes 0-262143/20971520`. A piece begins where the bytes that are here end (Upload-Offset), else 409. 202 goes on, 201 it is here; if Upload-Offset is the size, send the last piece again. What came of a piece that was cut is kept",
            ],
            piece,
        )
        .streams(&["Content-Range"]),
        get(
            ONE,
            Who::ReadsWhole(Subject::Of(Class::K12)),
            [
                "下载附件,可从中断处继续(Range、If-Range)",
                "Download a paper that is here, or go on with it: `Range: bytes=262144-`; its ETag is its hash",
            ],
            download,
        )
        .streams(&["Range", "If-Range"]),
    ]
}

fn named(hash: &str) -> Result<Hash, Code> {
    Hash::parse(hash).ok_or(Code::NotFound)
}

async fn take(
    seat: &Seat,
    caller: &Caller,
    hash: Option<Hash>,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Stopped> {
    let sender = Sender::person(&caller.actor.person);
    let place = seat.room.upload(&sender)?;
    let coming = Coming { papers: seat.papers.clone(), sender, hash };
    let came = coming.take(place, headers, body).await.inspect_err(|stopped| {
        if stopped.is_mismatch() {
            seat.counters.count("paper-mismatch");
        }
    })?;
    Ok(match came {
        Came::Known(hash, size) => done(StatusCode::OK, &hash, size),
        Came::Whole(hash, size) => done(StatusCode::CREATED, &hash, size),
        Came::UpTo(have) => {
            let body = Json(json!({"hash": hash, "received": have}));
            (StatusCode::ACCEPTED, [(OFFSET, HeaderValue::from(have))], body).into_response()
        }
    })
}

fn done(status: StatusCode, hash: &Hash, size: u64) -> Response {
    (status, Json(json!({"hash": hash, "size": size}))).into_response()
}

async fn upload(
    State(seat): State<Arc<Seat>>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Stopped> {
    take(&seat, &caller, None, &headers, body).await
}

async fn piece(
    State(seat): State<Arc<Seat>>,
    Path(hash): Path<String>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Stopped> {
    take(&seat, &caller, Some(named(&hash)?), &headers, body).await
}

async fn standing(
    State(seat): State<Arc<Seat>>,
    Path(hash): Path<String>,
    caller: Caller,
) -> Result<Response, Problem> {
    let sender = Sender::person(&caller.actor.person);
    going::standing(&seat.papers, &sender, &named(&hash)?).await
}

async fn download(
    State(seat): State<Arc<Seat>>,
    Path(hash): Path<String>,
    caller: Caller,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let given = going::give(&seat, &seat.papers, &named(&hash)?, &headers).await?;
    Ok(given.map(|body| while_allowed(seat, caller, body)))
}

/// How often it is asked again whether the bytes may go on.
const AGAIN: Duration = Duration::from_secs(1);

/// A body that breaks off once its reader may not read it any more: on a slow network a
/// paper may take longer than a post.
fn while_allowed(seat: Arc<Seat>, caller: Caller, body: Body) -> Body {
    let start = (seat, caller, body.into_data_stream(), Instant::now());
    Body::from_stream(stream::try_unfold(
        start,
        |(seat, mut caller, mut bytes, asked)| async move {
            let asked = if asked.elapsed() < AGAIN {
                asked
            } else {
                let matter = Matter::of(Subject::Of(Class::K12));
                if !caller.still(&seat).await || !caller.reads(&matter) {
                    return Err(io::ErrorKind::PermissionDenied.into());
                }
                Instant::now()
            };
            match bytes.next().await {
                Some(Ok(part)) => Ok(Some((part, (seat, caller, bytes, asked)))),
                Some(Err(error)) => Err(io::Error::other(error)),
                None => Ok(None),
            }
        },
    ))
}

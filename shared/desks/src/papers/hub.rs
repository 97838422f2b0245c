//! Papers at the hub: offices prove themselves with their event keys, and may send and
//! fetch what an entry named them for.

use std::sync::Arc;

use axum::{
    Json,
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode},
    response::{IntoResponse, Response},
};
use kernel::{Code, sign::Hash};
use messaging::papers::{Papers, Sender};
use web::{Problem, Route, Seat, Who, get, head, put};

use super::{
    coming::{Came, Coming, OFFSET, Stopped},
    going,
    signed::signed_by,
};

const ONE: &str = "/hub/papers/{hash}";

/// The routes of the hub.
pub fn hub_routes() -> Vec<Route> {
    vec![
        head(
            ONE,
            Who::Public,
            [
                "单位查询附件在历史中心已收到多少",
                "200 if the paper is at the hub; else 404, with Upload-Offset: how many bytes of it this office has brought",
            ],
            standing,
        ),
        put(
            ONE,
            Who::Public,
            [
                "单位上传附件,可按 Content-Range 逐段续传",
                "An office sends a paper, whole or in pieces that follow each other (Content-Range); 202 goes on, 204 it is here",
            ],
            send,
        )
        .streams(&["Content-Range"]),
        get(
            ONE,
            Who::Public,
            [
                "单位下载附件,可从中断处继续",
                "An office fetches a paper it was named for, or goes on with it (Range)",
            ],
            fetch,
        )
        .streams(&["Range", "If-Range"]),
        get(
            "/hub/wanted",
            Who::Public,
            [
                "单位查询有哪些附件须再次送达历史中心",
                "Papers that were asked for in vain, of those that an office was named for",
            ],
            wanted,
        ),
    ]
}

/// The hub's papers, the one that is named, and the office that may have it.
async fn admitted(
    seat: &Seat,
    method: &Method,
    hash: &str,
    headers: &HeaderMap,
) -> Result<(Papers, Hash, Sender), Problem> {
    let hash = Hash::parse(hash).ok_or(Code::NotFound)?;
    let office = signed_by(seat, method, &hash.to_string(), headers).await?;
    let (Some(ingest), Some(papers)) = (&seat.ingest, &seat.hub_papers) else {
        return Err(Code::NotFound.into());
    };
    if !ingest.grants().allow(&hash, &office) {
        return Err(Code::Unauthorised.into());
    }
    Ok((papers.clone(), hash, Sender::office(&office)))
}

async fn send(
    State(seat): State<Arc<Seat>>,
    Path(hash): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Stopped> {
    let (papers, hash, sender) = admitted(&seat, &Method::PUT, &hash, &headers).await?;
    let place = seat.room.upload(&sender)?;
    let coming = Coming { papers, sender, hash: Some(hash) };
    let came = coming.take(place, &headers, body).await.inspect_err(|stopped| {
        if stopped.is_mismatch() {
            seat.counters.count("paper-mismatch");
        }
    })?;
    Ok(match came {
        Came::Known(..) | Came::Whole(..) => {
            seat.hub_wanted.came(&hash);
            StatusCode::NO_CONTENT.into_response()
        }
        Came::UpTo(have) => {
            (StatusCode::ACCEPTED, [(OFFSET, HeaderValue::from(have))]).into_response()
        }
    })
}

async fn standing(
    State(seat): State<Arc<Seat>>,
    Path(hash): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (papers, hash, sender) = admitted(&seat, &Method::HEAD, &hash, &headers).await?;
    going::standing(&papers, &sender, &hash).await
}

async fn fetch(
    State(seat): State<Arc<Seat>>,
    Path(hash): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (papers, hash, sender) = admitted(&seat, &Method::GET, &hash, &headers).await?;
    let given = going::give(&seat, &papers, &hash, &headers).await;
    if given.as_ref().is_err_and(|problem| problem.0.code == Code::NotFound) {
        seat.hub_wanted.note(hash, sender);
    }
    given
}

/// What readers want, as far as an entry named this office for it: it may have it.
async fn wanted(
    State(seat): State<Arc<Seat>>,
    headers: HeaderMap,
) -> Result<Json<Vec<Hash>>, Problem> {
    let office = signed_by(&seat, &Method::GET, "wanted", &headers).await?;
    let Some(ingest) = &seat.ingest else { return Err(Code::NotFound.into()) };
    let named = |hash: &Hash| ingest.grants().allow(hash, &office);
    Ok(Json(seat.hub_wanted.all().into_iter().filter(named).collect()))
}

//! What no page is: the interface answers, and a browser reads its refusals as pages.

use axum::{
    body::to_bytes,
    extract::{Request, State},
    http::{HeaderMap, HeaderName, header, request::Parts},
    response::{IntoResponse, Response},
};
use kernel::Code;
use web::Problem;

use crate::ask::{Answer, Office, refused};

/// The longest refusal, in bytes.
const LONGEST: usize = 64 * 1024;

pub(crate) async fn answer(State(office): State<Office>, request: Request) -> Response {
    let (asks, body) = request.into_parts();
    let response = office.pass(Request::from_parts(asks.clone(), body)).await;
    as_read(&office, &asks, response).await
}

pub(crate) async fn other_method(State(office): State<Office>, request: Request) -> Response {
    let (asks, _) = request.into_parts();
    as_read(&office, &asks, Problem::from(Code::MethodNotAllowed).into_response()).await
}

fn names(headers: &HeaderMap, name: HeaderName, what: &str) -> bool {
    headers.get(name).and_then(|value| value.to_str().ok()).is_some_and(|text| text.contains(what))
}

/// A refusal as a page, for whoever reads pages.
async fn as_read(office: &Office, asks: &Parts, response: Response) -> Response {
    let reads = names(&asks.headers, header::ACCEPT, "text/html");
    if !reads || !names(response.headers(), header::CONTENT_TYPE, "problem+json") {
        return response;
    }
    let (head, body) = response.into_parts();
    let body = to_bytes(body, LONGEST).await.unwrap_or_default();
    let body = serde_json::from_slice(&body).unwrap_or_default();
    let answer = Answer { status: head.status, headers: head.headers, body };
    refused(office, asks, &answer).await
}

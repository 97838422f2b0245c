//! What no page is: the interface answers, and a browser reads its refusals as pages.

use axum::{
    body::to_bytes,
    extract::{Request, State},
    http::{HeaderValue, header},
    response::Response,
};

use crate::ask::{Answer, Office, refused};

/// The longest refusal, in bytes.
const LONGEST: usize = 64 * 1024;

pub(crate) async fn answer(State(office): State<Office>, request: Request) -> Response {
    let said = |name, headers: &axum::http::HeaderMap| {
        let value = headers.get(name).map(HeaderValue::to_str);
        value.and_then(Result::ok).unwrap_or_default().to_owned()
    };
    let reads = said(header::ACCEPT, request.headers()).contains("text/html");
    let (asks, body) = request.into_parts();
    let response = office.pass(Request::from_parts(asks.clone(), body)).await;
    let problem = said(header::CONTENT_TYPE, response.headers()).contains("problem+json");
    if !reads || !problem {
        return response;
    }
    let (head, body) = response.into_parts();
    let body = to_bytes(body, LONGEST).await.unwrap_or_default();
    let body = serde_json::from_slice(&body).unwrap_or_default();
    let answer = Answer { status: head.status, headers: head.headers, body };
    refused(&office, &asks, &answer).await
}

//! Refusals on the wire: RFC 9457, in Chinese and English.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use event_store::{Stop, StoreError};
use kernel::{Code, Refusal};
use serde_json::{Value, json};

use crate::request;

/// Every answer that is not a success.
#[derive(Debug)]
pub struct Problem(pub Refusal);

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self(refusal)
    }
}

impl From<Code> for Problem {
    fn from(code: Code) -> Self {
        Self(code.into())
    }
}

impl From<Problem> for Stop {
    fn from(Problem(refusal): Problem) -> Self {
        Self::Refused(refusal)
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        if matches!(error, StoreError::Rebuilding) {
            return Code::Rebuilding.into();
        }
        tracing::error!(error = &error as &dyn std::error::Error, "the store did not answer");
        Self(Code::Internal.into())
    }
}

impl From<std::io::Error> for Problem {
    fn from(error: std::io::Error) -> Self {
        let full = error.kind() == std::io::ErrorKind::StorageFull;
        tracing::error!(error = &error as &dyn std::error::Error, "a file failed");
        Self(if full { Code::DiskFull } else { Code::Internal }.into())
    }
}

/// The body of a refusal.
pub fn body(refusal: &Refusal, instance: &str) -> Value {
    let (slug, status, [zh, en], [todo_zh, todo_en]) = refusal.code.row();
    let mut body = json!({
        "type": format!("/problems/{slug}"),
        "code": slug,
        "status": status,
        "title": zh,
        "title_en": en,
        "detail": if refusal.detail.is_empty() { todo_zh } else { &refusal.detail },
        "instance": instance,
        "advice": todo_zh,
        "advice_en": todo_en,
    });
    if !refusal.errors.is_empty() {
        let errors = refusal.errors.iter().map(|(at, what)| json!({"pointer": at, "detail": what}));
        body["errors"] = errors.collect();
    }
    body
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let instance = format!("/requests/{}", request::name());
        let code = self.0.code;
        if matches!(code, Code::Internal | Code::Stopped | Code::LogBehind) {
            tracing::warn!(instance, code = code.slug(), "refused");
        }
        let status =
            StatusCode::from_u16(code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(body(&self.0, &instance))).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if matches!(code.status(), 429 | 503 | 507) {
            let seconds = match code {
                Code::Locked => "300",
                Code::TooManyRequests => "1",
                _ => "5",
            };
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(seconds));
        }
        if code == Code::NotSignedIn {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// Gives the framework's own refusals the same form as ours. They come as text; what
/// comes as JSON was written by a handler: the state of an office that cannot be read.
pub(crate) async fn speak(response: Response) -> Response {
    let status = response.status();
    let kind = response.headers().get(header::CONTENT_TYPE);
    let ours = kind.is_some_and(|kind| {
        matches!(
            kind.as_bytes(),
            b"application/problem+json" | b"application/json" | b"text/html; charset=utf-8"
        )
    });
    if ours || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let code = match status.as_u16() {
        400 => Code::BadRequest,
        404 => Code::NotFound,
        405 => Code::MethodNotAllowed,
        413 => Code::TooLarge,
        415 => Code::UnsupportedMedia,
        422 => Code::BadField,
        _ => Code::Internal,
    };
    Problem::from(code).into_response()
}

//! Asks the office's own interface, as whoever asks for the page.

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header, request::Parts},
    response::{IntoResponse, Redirect, Response},
};
use kernel::{Code, Entropy};
use serde_json::Value;
use tower::ServiceExt;
use web::{Peer, leads_here, problem};

use crate::problems;

/// The longest answer that a page is made of, in bytes.
const MOST: usize = 8 * 1024 * 1024;

/// The interface of one office.
#[derive(Clone, Debug)]
pub struct Office(Router);

/// What the interface answered.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    /// The answer when there is no room for the question.
    pub(crate) fn busy() -> Self {
        of(Code::Busy)
    }

    pub(crate) fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    /// The answer, if it is no refusal.
    pub(crate) fn good(self) -> Result<Value, Box<Self>> {
        if self.status.is_success() { Ok(self.body) } else { Err(Box::new(self)) }
    }
}

impl Office {
    pub(crate) fn new(interface: Router) -> Self {
        Self(interface)
    }

    /// What the interface answers to a request as it came.
    pub(crate) async fn pass(&self, request: Request<Body>) -> Response {
        let Ok(response) = self.0.clone().oneshot(request).await;
        response
    }

    pub(crate) async fn get(&self, asks: &Parts, path: &str) -> Answer {
        self.send(asks, Method::GET, path, Body::empty()).await
    }

    pub(crate) async fn post(&self, asks: &Parts, path: &str, body: &Value) -> Answer {
        self.send(asks, Method::POST, path, Body::from(body.to_string())).await
    }

    async fn send(&self, asks: &Parts, method: Method, path: &str, body: Body) -> Answer {
        let mut request = Request::new(body);
        *request.method_mut() = method;
        let Ok(uri) = path.parse() else { return failed() };
        *request.uri_mut() = uri;
        // Who asks, from where: the session and the way here, and nothing else.
        for name in [header::COOKIE, header::HOST, header::ORIGIN] {
            for value in asks.headers.get_all(&name) {
                request.headers_mut().append(&name, value.clone());
            }
        }
        for name in ["x-forwarded-for", "sec-fetch-site"] {
            for value in asks.headers.get_all(name) {
                request.headers_mut().append(name, value.clone());
            }
        }
        let json = HeaderValue::from_static("application/json");
        request.headers_mut().insert(header::CONTENT_TYPE, json);
        if let Ok(key) = HeaderValue::from_str(&Entropy::System.uuid()) {
            request.headers_mut().insert("idempotency-key", key);
        }
        if let Some(peer) = asks.extensions.get::<Peer>() {
            request.extensions_mut().insert(*peer);
        }
        let Ok(response) = self.0.clone().oneshot(request).await;
        let (parts, body) = response.into_parts();
        let Ok(bytes) = to_bytes(body, MOST).await else { return failed() };
        let body = serde_json::from_slice(&bytes).unwrap_or_default();
        Answer { status: parts.status, headers: parts.headers, body }
    }
}

fn failed() -> Answer {
    of(Code::Internal)
}

fn of(code: Code) -> Answer {
    let status = StatusCode::from_u16(code.status()).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    let body = problem::body(&code.into(), "");
    Answer { status, headers: HeaderMap::new(), body }
}

/// What a browser sees of a refusal: the way to sign in, or the refusal's page.
pub(crate) async fn refused(office: &Office, asks: &Parts, answer: &Answer) -> Response {
    match answer.code() {
        "not-signed-in" => {
            let from = asks.uri.path_and_query().map_or("/", |path| path.as_str());
            let from = if asks.method == Method::GET { from } else { "/worklist" };
            Redirect::to(&format!("/sign-in?next={}", encoded(from))).into_response()
        }
        "second-factor-unset" => Redirect::to("/account").into_response(),
        _ => problems::refusal(office, asks, answer).await,
    }
}

/// A text as part of a query.
pub(crate) fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~/".contains(&byte);
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

/// A path of this office: what a form brings along may lead nowhere else.
pub(crate) fn path_here(path: &str) -> &str {
    if leads_here(path) { path } else { "/worklist" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_leads_nowhere_else() {
        for near in ["/worklist", "/events?after=3", "/"] {
            assert_eq!(path_here(near), near);
        }
        for far in ["https://evil.example", "//evil.example", "/\\evil", "evil", "", "/\r\nx: y"] {
            assert_eq!(path_here(far), "/worklist", "{far}");
        }
    }

    #[test]
    fn a_path_becomes_part_of_a_query() {
        assert_eq!(encoded("/events?after=3&x=巡"), "/events%3Fafter%3D3%26x%3D%E5%B7%A1");
    }
}

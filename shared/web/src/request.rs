//! What requests have in common: a name, which every answer and the log bear, and where
//! a path that one brings along may lead.

use axum::{
    extract::Request,
    http::{HeaderName, HeaderValue},
    middleware::Next,
    response::Response,
};
use kernel::Entropy;

const HEADER: HeaderName = HeaderName::from_static("x-request-id");

tokio::task_local! {
    static NAME: String;
}

/// Gives the request a name of our own; one that it brings counts for nothing.
pub(crate) async fn named(request: Request, next: Next) -> Response {
    let name = Entropy::System.uuid();
    let header = HeaderValue::from_str(&name);
    let mut response = NAME.scope(name, next.run(request)).await;
    if let Ok(header) = header {
        response.headers_mut().insert(HEADER, header);
    }
    response
}

/// Whether a path that somebody brought along leads to this office and nowhere else.
pub fn leads_here(path: &str) -> bool {
    let here = path.starts_with('/') && !path.starts_with("//") && !path.contains('\\');
    here && !path.chars().any(char::is_control)
}

/// The name of the request that is being answered.
pub(crate) fn name() -> String {
    NAME.try_with(Clone::clone).unwrap_or_else(|_| Entropy::System.uuid())
}

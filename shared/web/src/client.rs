//! A small HTTP client for what offices ask of each other.

use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, body::Bytes};
use hyper_util::{
    client::legacy::{Client as Hyper, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use serde_json::Value;

/// The client; clones share its connections.
#[derive(Clone, Debug)]
pub struct Client(Hyper<HttpConnector, Full<Bytes>>);

/// An answer.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The `ETag` without quotes, or nothing.
    pub etag: String,
    /// The body.
    pub body: Bytes,
}

impl Reply {
    /// The body as JSON; null if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

impl Default for Client {
    fn default() -> Self {
        // An office closes what is silent for longer.
        let mut client = Hyper::builder(TokioExecutor::new());
        client.pool_idle_timeout(Duration::from_secs(30)).pool_timer(TokioTimer::new());
        Self(client.pool_max_idle_per_host(64).build_http())
    }
}

impl Client {
    /// Sends one request; headers by name and value.
    pub async fn send(
        &self,
        method: Method,
        url: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Result<Reply, String> {
        let mut request = Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::from(body))).map_err(|e| e.to_string())?;
        let response = self.0.request(request).await.map_err(|e| format!("{url}: {e}"))?;
        let status = response.status().as_u16();
        let tag = response.headers().get("etag").and_then(|tag| tag.to_str().ok());
        let etag = tag.unwrap_or_default().trim_matches('"').to_owned();
        let body = response.into_body().collect().await.map_err(|e| e.to_string())?.to_bytes();
        Ok(Reply { status, etag, body })
    }
}

//! A small HTTP client for what offices ask of each other.

use std::{path::Path, time::Duration};

use http_body_util::{BodyExt, Full};
use hyper::{
    HeaderMap, Method, Request, Response,
    body::{Bytes, Incoming},
};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Builder, Client as Hyper, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use serde_json::Value;

use crate::wire::{Wire, trusting};

/// The client; clones share its connections.
#[derive(Clone, Debug)]
pub struct Client(Way);

/// Without a certificate it asks on this machine only, by plain HTTP.
#[derive(Clone, Debug)]
enum Way {
    Plain(Hyper<HttpConnector, Full<Bytes>>),
    Secret(Hyper<HttpsConnector<HttpConnector>, Full<Bytes>>),
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The `ETag` without quotes, or nothing.
    pub etag: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Reply {
    /// The body as JSON; null if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// A header, if it is there and a text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

fn connector() -> HttpConnector {
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_connect_timeout(Some(Duration::from_secs(20)));
    connector.set_keepalive(Some(Duration::from_secs(30)));
    connector
}

fn builder() -> Builder {
    // An office closes what is silent for longer.
    let mut client = Hyper::builder(TokioExecutor::new());
    client.pool_idle_timeout(Duration::from_secs(30)).pool_timer(TokioTimer::new());
    client.pool_max_idle_per_host(64);
    client
}

impl Default for Client {
    fn default() -> Self {
        let mut connector = connector();
        // Nothing that is meant to be secret goes out in the clear.
        connector.enforce_http(true);
        Self(Way::Plain(builder().build(connector)))
    }
}

impl Client {
    /// A client that shows the certificate of the wire, if it has one.
    pub fn of(wire: &Wire) -> Result<Self, String> {
        let Some(config) = wire.asks()? else { return Ok(Self::default()) };
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(config)
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector());
        Ok(Self(Way::Secret(builder().build(connector))))
    }

    /// A client that shows nothing and trusts whom this authority has signed; TLS only.
    pub fn trusting(authority: &Path) -> Result<Self, String> {
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(trusting(authority)?)
            .https_only()
            .enable_http1()
            .wrap_connector(connector());
        Ok(Self(Way::Secret(builder().build(connector))))
    }

    /// Sends one request; headers by name and value.
    pub async fn send(
        &self,
        method: Method,
        url: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Result<Reply, String> {
        let response = self.open(method, url, headers, body).await?;
        let status = response.status().as_u16();
        let tag = response.headers().get("etag").and_then(|tag| tag.to_str().ok());
        let etag = tag.unwrap_or_default().trim_matches('"').to_owned();
        let headers = response.headers().clone();
        let body = response.into_body().collect().await.map_err(|e| e.to_string())?.to_bytes();
        Ok(Reply { status, etag, headers, body })
    }

    /// The same; the answer's body is still to come.
    pub async fn open(
        &self,
        method: Method,
        url: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Result<Response<Incoming>, String> {
        let mut request = Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::from(body))).map_err(|e| e.to_string())?;
        let answer = match &self.0 {
            Way::Plain(client) => client.request(request).await,
            Way::Secret(client) => client.request(request).await,
        };
        answer.map_err(|e| format!("{url}: {e}"))
    }
}

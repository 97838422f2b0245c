//! What watches a process from outside: Prometheus on this machine, a trace collector.
//!
//! Both are off unless they are asked for. The page of figures needs no token, so it
//! is shown on a loopback address and nowhere else.

use std::{net::SocketAddr, time::Duration};

use desks::{
    operations,
    running::{Process, Service},
};
use telemetry::{figures, otlp, way};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use web::client::Client;

use crate::Failed;

/// What was asked for.
pub(crate) struct Around {
    pub(crate) metrics: Option<SocketAddr>,
    pub(crate) traces: Option<String>,
}

impl Around {
    /// Starts what was asked for; it ends with the process.
    pub(crate) async fn start(self, service: Service, process: &Process) -> Result<(), Failed> {
        if let Some(address) = self.metrics {
            if !address.ip().is_loopback() {
                let why = "figures are shown without a token: on a loopback address only";
                return Err(Failed(2, format!("{address}: {why}")));
            }
            let listener = TcpListener::bind(address).await;
            let listener = listener.map_err(|error| format!("{address}: {error}"))?;
            tokio::spawn(show(listener));
        }
        if let Some(collector) = self.traces.filter(|collector| !collector.is_empty()) {
            if !collector.starts_with("http://") {
                let why = "traces go to a collector over plain http, on this machine or beside it";
                return Err(Failed(2, format!("{collector}: {why}")));
            }
            if let Some(spans) = way::switch_on() {
                let url = format!("{}{}", collector.trim_end_matches('/'), otlp::PATH);
                let name = format!("liandong-{:?}", service.tier).to_lowercase();
                tokio::spawn(send(spans, url, name, process.client.clone()));
            }
        }
        Ok(())
    }
}

/// Answers whoever asks, one after the other: a page costs queries.
async fn show(listener: TcpListener) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let answered = tokio::time::timeout(Duration::from_secs(10), answer(stream)).await;
        if let Ok(Err(error)) = answered {
            tracing::debug!(%error, "whoever asked for figures left");
        }
    }
}

async fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    let mut head = [0; 4096];
    let read = stream.read(&mut head).await?;
    let (status, kind, body) = if head[..read].starts_with(b"GET /metrics") {
        ("200 OK", figures::KIND, operations::all_figures().await)
    } else {
        ("404 Not Found", "text/plain", "GET /metrics\n".to_owned())
    };
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await
}

/// The most spans of one request to the collector.
const MOST: usize = 512;

/// Sends spans once a second. A collector that is away costs the spans, nothing else.
async fn send(mut spans: mpsc::Receiver<way::Span>, url: String, name: String, client: Client) {
    let mut batch = Vec::new();
    while spans.recv_many(&mut batch, MOST).await > 0 {
        let body = otlp::body(&name, &batch);
        batch.clear();
        let headers = [("content-type", "application/json")];
        let sending = client.send(hyper::Method::POST, &url, &headers, body);
        match tokio::time::timeout(Duration::from_secs(5), sending).await {
            Ok(Ok(reply)) if reply.status < 300 => {}
            Ok(Ok(reply)) => tracing::warn!(status = reply.status, "the collector refuses spans"),
            Ok(Err(error)) => tracing::debug!(error, "the collector is away"),
            Err(_) => tracing::debug!("the collector does not answer"),
        }
        if spans.len() < MOST {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}

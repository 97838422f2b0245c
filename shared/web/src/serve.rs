//! Serves an office until the process is told to stop.
//!
//! Connections are bounded too: beyond the limit they wait in the kernel's queue. One
//! that says nothing for a while is closed, so that slow senders don't hold them all.

use std::{
    net::SocketAddr,
    sync::{Arc, LazyLock},
    time::Duration,
};

use axum::Router;
use hyper::{
    Request,
    body::Incoming,
    service::{Service, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use rustix::{
    net::sockopt,
    process::{Resource, getrlimit},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_rustls::TlsAcceptor;

use crate::{
    Seat,
    wire::{Peer, fingerprint},
};

/// Connections of a process at once; half of the files it may open at most, because the
/// stores need theirs.
const CONNECTIONS: usize = 4096;
static ROOM: LazyLock<Arc<Semaphore>> = LazyLock::new(|| {
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let half = usize::try_from(files / 2).unwrap_or(CONNECTIONS);
    Arc::new(Semaphore::new(half.min(CONNECTIONS)))
});
/// How long a connection may take to send the head of its next request.
const PATIENCE: Duration = Duration::from_secs(75);
/// How long a peer may leave unacknowledged what was sent to it, or take nothing more:
/// whoever went away in the middle of a download holds nothing for longer. In milliseconds.
const UNHEARD: u32 = 75_000;
/// The longest head of a request, and what is read of a body at once, in bytes.
const HEAD: usize = 64 * 1024;
/// How long a connection may take to agree on its keys.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long requests at work may take after the signal.
const DRAIN: Duration = Duration::from_secs(5);

/// Serves `router` on `listener`; ends within five seconds of the signal.
pub async fn serve(
    seat: Arc<Seat>,
    router: Router,
    listener: TcpListener,
    acceptor: Option<TlsAcceptor>,
) -> Result<(), std::io::Error> {
    let mut stopping = seat.stopping.clone();
    drop(seat);
    let open = Arc::new(GracefulShutdown::new());
    loop {
        let next = async {
            let place = ROOM.clone().acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            next = next => next,
            _ = stopping.wait_for(|stop| *stop) => break,
        };
        match (place, accepted) {
            (Ok(place), Ok((stream, from))) => {
                let (router, acceptor) = (router.clone(), acceptor.clone());
                take(stream, from, acceptor, router, &open, place);
            }
            (_, Err(error)) => {
                // Out of file descriptors, or a caller that left: neither ends the office.
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            (Err(_), _) => break,
        }
    }
    drop((listener, router));
    // Connections that still agree on their keys have asked nothing yet.
    if let Some(open) = Arc::into_inner(open) {
        let _ = tokio::time::timeout(DRAIN, open.shutdown()).await;
    }
    Ok(())
}

/// Takes a connection in, with its keys agreed on first if the wire asks for that.
fn take(
    stream: TcpStream,
    address: SocketAddr,
    acceptor: Option<TlsAcceptor>,
    router: Router,
    open: &Arc<GracefulShutdown>,
    place: OwnedSemaphorePermit,
) {
    let _ = stream.set_nodelay(true);
    let _ = sockopt::set_tcp_user_timeout(&stream, UNHEARD);
    let Some(acceptor) = acceptor else {
        answer(stream, Peer { address, certificate: None }, router, open, place);
        return;
    };
    let open = Arc::downgrade(open);
    tokio::spawn(async move {
        let agreed = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await;
        let Ok(Ok(stream)) = agreed else {
            tracing::debug!(%address, "a connection agreed on no keys");
            return;
        };
        let shown = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
        let certificate = shown.map(fingerprint);
        if let Some(open) = open.upgrade() {
            answer(stream, Peer { address, certificate }, router, &open, place);
        }
    });
}

fn answer(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: Peer,
    router: Router,
    open: &GracefulShutdown,
    place: OwnedSemaphorePermit,
) {
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .max_buf_size(HEAD)
        .serve_connection(
            TokioIo::new(stream),
            service_fn(move |mut request: Request<Incoming>| {
                request.extensions_mut().insert(peer);
                TowerToHyperService::new(router.clone()).call(request)
            }),
        );
    let connection = open.watch(connection);
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection broke");
        }
        drop(place);
    });
}

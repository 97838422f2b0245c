//! Serves an office until the process is told to stop.

use std::{sync::Arc, time::Duration};

use axum::Router;
use tokio::{net::TcpListener, sync::watch};

use crate::Seat;

/// Serves `router` on `listener`; ends within five seconds of the signal.
pub async fn serve(
    seat: Arc<Seat>,
    router: Router,
    listener: TcpListener,
) -> Result<(), std::io::Error> {
    let mut stopping: watch::Receiver<bool> = seat.stopping.clone();
    let mut deadline = stopping.clone();
    let graceful = axum::serve(listener, router).with_graceful_shutdown(async move {
        let _ = stopping.wait_for(|stop| *stop).await;
    });
    tokio::select! {
        served = graceful => served,
        () = async {
            let _ = deadline.wait_for(|stop| *stop).await;
            tokio::time::sleep(Duration::from_secs(5)).await;
        } => Ok(()),
    }
}

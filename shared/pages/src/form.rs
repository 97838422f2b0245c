//! What a form sends is read before anything is done, within a bound of time and size.

use std::{sync::Arc, time::Duration};

use axum::{
    body::{Body, to_bytes},
    extract::{Request, State},
    http::Method,
    middleware::Next,
    response::{IntoResponse, Response},
};
use kernel::Code;
use tokio::sync::Semaphore;
use web::Problem;

/// The longest form, in bytes.
const LONGEST: usize = 16 * 1024;
/// How long it may take to come.
const PATIENCE: Duration = Duration::from_secs(30);
/// How many may be on their way at once.
pub(crate) const MOST: usize = 256;

/// Holds a form back until it is here.
pub(crate) async fn held(
    State(room): State<Arc<Semaphore>>,
    request: Request,
    next: Next,
) -> Response {
    if request.method() != Method::POST {
        return next.run(request).await;
    }
    let Ok(place) = room.try_acquire_owned() else {
        return Problem::from(Code::Busy).into_response();
    };
    let (parts, body) = request.into_parts();
    let form = match tokio::time::timeout(PATIENCE, to_bytes(body, LONGEST)).await {
        Err(_) => return Problem::from(Code::UploadSilent).into_response(),
        Ok(Err(_)) => return Problem::from(Code::TooLarge).into_response(),
        Ok(Ok(form)) => form,
    };
    drop(place);
    next.run(Request::from_parts(parts, Body::from(form))).await
}

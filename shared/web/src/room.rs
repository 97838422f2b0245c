//! What an office takes on at once. Whatever does not fit is refused before it costs.
//!
//! What a reader would get wrong: the limits are held before the token is checked, the
//! body is read and a password is hashed, or a flood would cost all that for nothing.
//! A refused request has done nothing; the same key may be sent again.

use std::sync::Arc;

use axum::http::{HeaderMap, Method, header};
use kernel::Code;
use messaging::papers::MAX_PAPER;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    Seat,
    routes::{Gate, Who},
};

/// Requests at work.
const REQUESTS: usize = 2048;
/// Bodies in memory, in KiB; a body that does not say its length counts as the longest.
const BODIES_KIB: usize = 96 * 1024;
/// Sign-ins and other commands of strangers: each may cost a password's hash.
const STRANGERS: usize = 16;
/// Live feeds.
const FEEDS: usize = 256;

/// The room of one office.
#[derive(Debug)]
pub struct Room {
    requests: Arc<Semaphore>,
    bodies: Arc<Semaphore>,
    strangers: Arc<Semaphore>,
    feeds: Arc<Semaphore>,
}

impl Default for Room {
    fn default() -> Self {
        Self {
            requests: Arc::new(Semaphore::new(REQUESTS)),
            bodies: Arc::new(Semaphore::new(BODIES_KIB)),
            strangers: Arc::new(Semaphore::new(STRANGERS)),
            feeds: Arc::new(Semaphore::new(FEEDS)),
        }
    }
}

/// A request's place; given back when it is dropped.
#[derive(Debug)]
pub struct Place {
    _held: Vec<OwnedSemaphorePermit>,
}

impl Room {
    /// A place for a request, or why there is none.
    pub(crate) fn enter(
        &self,
        seat: &Seat,
        gate: &Gate,
        headers: &HeaderMap,
    ) -> Result<Place, Code> {
        let take = |room: &Arc<Semaphore>, many: u32| {
            room.clone().try_acquire_many_owned(many).map_err(|_| Code::Busy)
        };
        let mut held = vec![take(&self.requests, 1)?];
        if gate.method == Method::GET {
            return Ok(Place { _held: held });
        }
        let (waiting, most) = seat.office.queue();
        if waiting >= most {
            return Err(Code::Busy);
        }
        if gate.who == Who::Public {
            held.push(take(&self.strangers, 1)?);
        }
        let length = headers.get(header::CONTENT_LENGTH).and_then(|text| text.to_str().ok());
        let length = length.map_or(Some(MAX_PAPER), |text| text.parse().ok());
        let length = length.filter(|length| *length <= MAX_PAPER).ok_or(Code::TooLarge)?;
        let kib = u32::try_from(length / 1024 + 1).map_err(|_| Code::TooLarge)?;
        held.push(take(&self.bodies, kib)?);
        Ok(Place { _held: held })
    }

    /// A place for a live feed; hold it as long as the feed lasts.
    pub fn feed(&self) -> Result<Place, Code> {
        let place = self.feeds.clone().try_acquire_owned().map_err(|_| Code::Busy)?;
        Ok(Place { _held: vec![place] })
    }

    /// How many requests are at work and how many feeds are open.
    pub fn taken(&self) -> (usize, usize) {
        let taken = |most: usize, room: &Semaphore| most - room.available_permits();
        (taken(REQUESTS, &self.requests), taken(FEEDS, &self.feeds))
    }
}

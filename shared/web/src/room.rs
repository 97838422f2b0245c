//! What an office takes on at once. Whatever does not fit is refused before it costs.
//!
//! What a reader would get wrong: the limits are held before the token is checked, the
//! body is read and a password is hashed, or a flood would cost all that for nothing.
//! A refused request has done nothing; the same key may be sent again.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use axum::http::{HeaderMap, Method, header};
use kernel::Code;
use messaging::papers::Sender;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    Seat,
    command::MAX_BODY,
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
/// Papers on their way in, and of one sender: they may take hours, and hold no memory
/// to speak of. They have no part in the other limits.
const UPLOADS: usize = 128;
const UPLOADS_EACH: usize = 16;
/// Papers on their way out.
const DOWNLOADS: usize = 128;

/// The room of one office.
#[derive(Debug)]
pub struct Room {
    requests: Arc<Semaphore>,
    bodies: Arc<Semaphore>,
    strangers: Arc<Semaphore>,
    feeds: Arc<Semaphore>,
    uploads: Arc<Semaphore>,
    downloads: Arc<Semaphore>,
    senders: Mutex<BTreeMap<Sender, Arc<Semaphore>>>,
}

impl Default for Room {
    fn default() -> Self {
        Self {
            requests: Arc::new(Semaphore::new(REQUESTS)),
            bodies: Arc::new(Semaphore::new(BODIES_KIB)),
            strangers: Arc::new(Semaphore::new(STRANGERS)),
            feeds: Arc::new(Semaphore::new(FEEDS)),
            uploads: Arc::new(Semaphore::new(UPLOADS)),
            downloads: Arc::new(Semaphore::new(DOWNLOADS)),
            senders: Mutex::default(),
        }
    }
}

/// A request's place; given back when it is dropped.
#[derive(Debug)]
pub struct Place {
    _held: Vec<OwnedSemaphorePermit>,
}

fn take(room: &Arc<Semaphore>, many: u32) -> Result<OwnedSemaphorePermit, Code> {
    room.clone().try_acquire_many_owned(many).map_err(|_| Code::Busy)
}

impl Room {
    /// A place for a request, or why there is none.
    pub(crate) fn enter(
        &self,
        seat: &Seat,
        gate: &Gate,
        headers: &HeaderMap,
    ) -> Result<Place, Code> {
        let mut held = vec![take(&self.requests, 1)?];
        if gate.streams || matches!(gate.method, Method::GET | Method::HEAD) {
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
        let length = length.map_or(Some(MAX_BODY), |text| text.parse().ok());
        let length = length.filter(|length| *length <= MAX_BODY).ok_or(Code::TooLarge)?;
        let kib = u32::try_from(length / 1024 + 1).map_err(|_| Code::TooLarge)?;
        held.push(take(&self.bodies, kib)?);
        Ok(Place { _held: held })
    }

    /// A place for a live feed; hold it as long as the feed lasts.
    pub fn feed(&self) -> Result<Place, Code> {
        Ok(Place { _held: vec![take(&self.feeds, 1)?] })
    }

    /// A place for a paper on its way in, once its sender is known; hold it as long as
    /// bytes come.
    pub fn upload(&self, sender: &Sender) -> Result<Place, Code> {
        let own = {
            let mut senders = self.senders.lock().unwrap_or_else(PoisonError::into_inner);
            senders.retain(|_, own| own.available_permits() < UPLOADS_EACH);
            let fresh = || Arc::new(Semaphore::new(UPLOADS_EACH));
            take(senders.entry(sender.clone()).or_insert_with(fresh), 1)?
        };
        Ok(Place { _held: vec![own, take(&self.uploads, 1)?] })
    }

    /// A place for a paper on its way out; hold it as long as bytes go.
    pub fn download(&self) -> Result<Place, Code> {
        Ok(Place { _held: vec![take(&self.downloads, 1)?] })
    }

    /// How many requests are at work and how many feeds are open.
    pub fn taken(&self) -> (usize, usize) {
        let taken = |most: usize, room: &Semaphore| most - room.available_permits();
        (taken(REQUESTS, &self.requests), taken(FEEDS, &self.feeds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_sender_does_not_take_the_room_of_all_and_all_have_a_bound() {
        let room = Room::default();
        let sender = |n: usize| Sender::person(&n.to_string());
        let one: Vec<_> = (0..UPLOADS_EACH).map(|_| room.upload(&sender(0)).unwrap()).collect();
        assert_eq!(room.upload(&sender(0)).err(), Some(Code::Busy));
        let others: Vec<_> =
            (UPLOADS_EACH..UPLOADS).map(|n| room.upload(&sender(n)).unwrap()).collect();
        assert_eq!(room.upload(&sender(1)).err(), Some(Code::Busy));
        drop(others);
        assert!(room.upload(&sender(1)).is_ok());
        assert_eq!(room.upload(&sender(0)).err(), Some(Code::Busy));
        drop(one);
        assert!(room.upload(&sender(0)).is_ok());
    }
}

//! A hub and its links in memory: for offices of one process and for simulations.
//!
//! It keeps what the hub on NATS keeps and refuses what that one refuses; both
//! pass one suite (`tests/conformance`). What a reader would get wrong: it can also
//! lose its tail, be wiped or be put back, because the real one can. Where it differs
//! it is harsher or says less: readers stay ahead of a tail that was lost, which
//! nats-server pulls back; and a link is nobody's, where NATS lets an office ask and
//! read as itself alone.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use kernel::OfficeId;
use tokio::sync::Notify;

use crate::{
    ingest::Ingest,
    link::{
        Delivery, Failure, Going, Hub, LARGEST, Link, Outgoing, Published, Reader, ReaderSpec,
        Stored, Stream, covers,
    },
};

/// The hub; clones are the same one.
#[derive(Clone, Default)]
pub struct Memory {
    state: Arc<Mutex<State>>,
    arrived: Arc<Notify>,
}

/// Everything that the hub keeps, to be put back later.
#[derive(Clone, Default)]
pub struct State {
    streams: BTreeMap<Stream, Vec<Stored>>,
    readers: BTreeMap<(Stream, String), Durable>,
    /// How often it was put back: then readers begin at their floors again.
    life: u64,
}

/// The most messages of one batch.
const MOST: usize = 1000;

#[derive(Clone)]
struct Durable {
    spec: ReaderSpec,
    /// The first sequence that is not acknowledged.
    floor: u64,
}

impl State {
    fn stream(&mut self, stream: Stream) -> &mut Vec<Stored> {
        self.streams.entry(stream).or_default()
    }

    fn last(&self, stream: Stream, subject: &str) -> Option<&Stored> {
        let stored = self.streams.get(&stream)?;
        stored.iter().rev().find(|stored| covers(subject, &stored.subject))
    }

    fn append(&mut self, stream: Stream, message: Outgoing) -> u64 {
        let stored = self.stream(stream);
        let sequence = stored.last().map_or(0, |last| last.sequence) + 1;
        let Outgoing { subject, other, payload } = message;
        stored.push(Stored { sequence, subject, other, payload });
        sequence
    }
}

impl Memory {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An office's link to this hub, with the ingest that answers there.
    pub fn link(&self, ingest: Arc<Ingest>) -> MemoryLink {
        MemoryLink { hub: self.clone(), ingest }
    }

    /// Everything it keeps.
    pub fn copy(&self) -> State {
        self.state().clone()
    }

    /// Becomes what it was.
    pub fn put_back(&self, state: State) {
        let mut now = self.state();
        *now = State { life: now.life + 1, ..state };
    }

    /// How many messages a stream holds.
    pub fn count(&self, stream: Stream) -> usize {
        self.state().stream(stream).len()
    }

    /// Loses all but the first `keep` messages of a stream.
    pub fn cut(&self, stream: Stream, keep: usize) {
        self.state().stream(stream).truncate(keep);
    }

    /// Stores anything, unasked, as a faulty hub may.
    pub fn inject(&self, stream: Stream, message: Outgoing) {
        self.state().append(stream, message);
        self.arrived.notify_waiters();
    }
}

impl Hub for Memory {
    fn last<'a>(&'a self, stream: Stream, subject: &'a str) -> Going<'a, Option<Stored>> {
        Box::pin(async move { Ok(self.state().last(stream, subject).cloned()) })
    }

    fn next<'a>(
        &'a self,
        stream: Stream,
        subject: &'a str,
        from: u64,
    ) -> Going<'a, Option<Stored>> {
        Box::pin(async move {
            let mut state = self.state();
            let mut later = state.stream(stream).iter().filter(|stored| stored.sequence >= from);
            Ok(later.find(|stored| covers(subject, &stored.subject)).cloned())
        })
    }

    fn publish<'a>(
        &'a self,
        _batch: &'a str,
        filter: &'a str,
        after: u64,
        messages: Vec<Outgoing>,
    ) -> Going<'a, Published> {
        Box::pin(async move {
            let Some(first) = messages.first() else {
                return Err(Failure::other("an empty batch"));
            };
            let stream = match first.subject.split('.').next() {
                Some("ev" | "cf") => Stream::History,
                Some("safe") => Stream::Safe,
                _ => return Err(Failure::other("no stream takes this subject")),
            };
            let large = |message: &Outgoing| message.payload.len() > LARGEST;
            if messages.len() > MOST || messages.iter().any(large) {
                return Err(Failure::other("a message or a batch that is too large"));
            }
            let mut state = self.state();
            let last = state.last(stream, filter).map_or(0, |last| last.sequence);
            if last != after {
                return Ok(Published::Behind(last));
            }
            let mut sequence = last;
            for message in messages {
                sequence = state.append(stream, message);
            }
            drop(state);
            self.arrived.notify_waiters();
            Ok(Published::Stored(sequence))
        })
    }

    fn note(&self, subject: String, payload: Bytes) -> Going<'_, ()> {
        Box::pin(async move {
            let mut state = self.state();
            let sequence = state.stream(Stream::Attest).last().map_or(0, |last| last.sequence) + 1;
            state.stream(Stream::Attest).retain(|stored| stored.subject != subject);
            state.stream(Stream::Attest).push(Stored { sequence, subject, other: 0, payload });
            drop(state);
            self.arrived.notify_waiters();
            Ok(())
        })
    }

    fn make_reader(&self, spec: ReaderSpec) -> Going<'_, ()> {
        Box::pin(async move {
            let mut state = self.state();
            let name = (spec.stream, spec.name.clone());
            let known = state.readers.get(&name);
            let same = known.is_some_and(|known| known.spec.filters == spec.filters);
            if same && spec.fixed {
                return Ok(());
            }
            let known = known.filter(|_| !spec.fixed);
            let mut pairs = spec
                .filters
                .iter()
                .flat_map(|one| spec.filters.iter().map(move |other| (one, other)));
            if spec.stream == Stream::Safe
                || pairs.any(|(one, other)| one != other && covers(one, other))
            {
                return Err(Failure::other("no reader may be like this"));
            }
            let floor = known.map_or_else(|| spec.from.unwrap_or(1), |known| known.floor);
            state.readers.insert(name, Durable { spec, floor });
            Ok(())
        })
    }
}

/// An office's link to a hub in memory.
#[derive(Clone)]
pub struct MemoryLink {
    hub: Memory,
    ingest: Arc<Ingest>,
}

impl Link for MemoryLink {
    fn ask<'a>(&'a self, office: &'a OfficeId, body: Vec<u8>) -> Going<'a, Bytes> {
        Box::pin(async move {
            let answer = self.ingest.answer(office, &body).await;
            Ok(serde_json::to_vec(&answer)?.into())
        })
    }

    fn reader<'a>(&'a self, stream: Stream, name: &'a str) -> Going<'a, Box<dyn Reader>> {
        Box::pin(async move {
            let name = (stream, name.to_owned());
            let mut reader = MemoryReader { hub: self.hub.clone(), name, next: 0, life: 0 };
            reader.set(None)?;
            Ok(Box::new(reader) as Box<dyn Reader>)
        })
    }
}

struct MemoryReader {
    hub: Memory,
    name: (Stream, String),
    /// The first sequence that was not given yet.
    next: u64,
    /// The hub's life in which that is so.
    life: u64,
}

impl MemoryReader {
    fn take(&mut self, most: usize) -> Result<Vec<Delivery>, Failure> {
        if self.hub.state().life != self.life {
            self.set(None)?;
        }
        let mut state = self.hub.state();
        let durable = state.readers.get(&self.name);
        let spec = durable.map(|durable| durable.spec.clone());
        let spec = spec.ok_or_else(|| Failure::other("there is no such reader"))?;
        let stored = state.stream(spec.stream);
        let end = stored.last().map_or(1, |last| last.sequence + 1);
        let given: Vec<&Stored> = stored
            .iter()
            .filter(|stored| stored.sequence >= self.next)
            .filter(|stored| spec.filters.iter().any(|filter| covers(filter, &stored.subject)))
            .take(most)
            .collect();
        self.next = match given.last() {
            Some(last) if given.len() == most => last.sequence + 1,
            _ => end.max(self.next),
        };
        let deliver = |stored: &&Stored| Delivery {
            subject: stored.subject.clone(),
            payload: stored.payload.clone(),
        };
        Ok(given.iter().map(deliver).collect())
    }

    fn set(&mut self, floor: Option<u64>) -> Result<(), Failure> {
        let mut state = self.hub.state();
        let life = state.life;
        let durable = state.readers.get_mut(&self.name);
        let durable = durable.ok_or_else(|| Failure::other("there is no such reader"))?;
        durable.floor = floor.unwrap_or(durable.floor);
        (self.next, self.life) = (durable.floor, life);
        Ok(())
    }
}

impl Reader for MemoryReader {
    fn next(&mut self, most: usize, patience: Duration) -> Going<'_, Vec<Delivery>> {
        Box::pin(async move {
            let arrived = self.hub.arrived.clone();
            let more = arrived.notified();
            let given = self.take(most)?;
            if !given.is_empty() || patience.is_zero() {
                return Ok(given);
            }
            let _ = tokio::time::timeout(patience, more).await;
            self.take(most)
        })
    }

    fn done(&mut self) -> Going<'_, ()> {
        Box::pin(async move { self.set(Some(self.next)) })
    }

    fn again(&mut self) -> Going<'_, ()> {
        Box::pin(async move { self.set(None) })
    }

    fn back_to(&mut self, sequence: u64) -> Going<'_, ()> {
        Box::pin(async move { self.set(Some(sequence)) })
    }
}

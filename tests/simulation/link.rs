//! A link that can be cut, that loses answers and acknowledgements, and that ends
//! with its office in the middle of an operation.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, AtomicI64, Ordering},
};

use bytes::Bytes;
use kernel::OfficeId;
use messaging::{
    ingest::Ingest,
    link::{Delivery, Failure, Going, Link, Reader, Stream},
    memory::Memory,
};

/// The ingest that answers now; none while the city is down.
pub(crate) type Answering = Arc<Mutex<Option<Arc<Ingest>>>>;

/// How a link behaves.
#[derive(Debug, Default)]
pub(crate) struct Mood {
    /// Nothing gets through.
    pub(super) cut: AtomicBool,
    /// Requests arrive, answers and acknowledgements do not.
    pub(super) deaf: AtomicBool,
    /// After so many operations the office is dead; below 0 it lives.
    pub(super) dies_in: AtomicI64,
    /// What was asked before, to be sent once more by a network that repeats.
    pub(super) asked: Mutex<Vec<Vec<u8>>>,
}

impl Mood {
    /// Passes one operation; whether its effect happens and whether its answer comes.
    fn pass(&self) -> (bool, bool) {
        let left = self.dies_in.load(Ordering::Relaxed);
        if left == 0 {
            return (false, false);
        }
        if left > 0 {
            self.dies_in.store(left - 1, Ordering::Relaxed);
        }
        let cut = self.cut.load(Ordering::Relaxed);
        let heard = !self.deaf.load(Ordering::Relaxed) && left != 1;
        (!cut, !cut && heard)
    }

    /// Whether the office died on the way.
    pub(super) fn is_dead(&self) -> bool {
        self.dies_in.load(Ordering::Relaxed) == 0
    }

    /// Whether nothing gets through, and whether answers do not.
    pub(crate) fn set(&self, cut: bool, deaf: bool) {
        self.cut.store(cut, Ordering::Relaxed);
        self.deaf.store(deaf, Ordering::Relaxed);
    }

    /// Everything gets through again.
    pub(crate) fn mend(&self) {
        self.cut.store(false, Ordering::Relaxed);
        self.deaf.store(false, Ordering::Relaxed);
        self.dies_in.store(-1, Ordering::Relaxed);
    }
}

/// An office's link with its mood.
#[derive(Clone)]
pub(crate) struct Moody {
    pub(crate) hub: Memory,
    pub(crate) ingest: Answering,
    pub(crate) mood: Arc<Mood>,
}

impl Moody {
    fn ingest(&self) -> Result<Arc<Ingest>, Failure> {
        let ingest = self.ingest.lock().unwrap_or_else(PoisonError::into_inner).clone();
        ingest.ok_or(Failure::Unanswered)
    }
}

impl Link for Moody {
    fn ask<'a>(&'a self, office: &'a OfficeId, body: Vec<u8>) -> Going<'a, Bytes> {
        Box::pin(async move {
            let (happens, answers) = self.mood.pass();
            if !happens {
                return Err(Failure::Unanswered);
            }
            let link = self.hub.link(self.ingest()?);
            self.mood.asked.lock().unwrap_or_else(PoisonError::into_inner).push(body.clone());
            let answer = link.ask(office, body).await;
            if answers { answer } else { Err(Failure::Unanswered) }
        })
    }

    fn reader<'a>(&'a self, stream: Stream, name: &'a str) -> Going<'a, Box<dyn Reader>> {
        Box::pin(async move {
            let (_, answers) = self.mood.pass();
            if !answers {
                return Err(Failure::Unanswered);
            }
            let reader = self.hub.link(self.ingest()?).reader(stream, name).await?;
            Ok(Box::new(MoodyReader { reader, mood: self.mood.clone() }) as Box<dyn Reader>)
        })
    }
}

struct MoodyReader {
    reader: Box<dyn Reader>,
    mood: Arc<Mood>,
}

impl Reader for MoodyReader {
    fn next(&mut self, most: usize, patience: std::time::Duration) -> Going<'_, Vec<Delivery>> {
        Box::pin(async move {
            let (happens, answers) = self.mood.pass();
            if !happens {
                return Err(Failure::Unanswered);
            }
            let given = self.reader.next(most, patience).await;
            if answers { given } else { Err(Failure::Unanswered) }
        })
    }

    fn done(&mut self) -> Going<'_, ()> {
        Box::pin(async move {
            let (happens, answers) = self.mood.pass();
            // An acknowledgement is an answer of ours: a deaf link loses it.
            if !happens || !answers {
                return Err(Failure::Unanswered);
            }
            self.reader.done().await
        })
    }

    fn again(&mut self) -> Going<'_, ()> {
        Box::pin(async move {
            if !self.mood.pass().1 {
                return Err(Failure::Unanswered);
            }
            self.reader.again().await
        })
    }

    fn back_to(&mut self, sequence: u64) -> Going<'_, ()> {
        Box::pin(async move {
            if !self.mood.pass().1 {
                return Err(Failure::Unanswered);
            }
            self.reader.back_to(sequence).await
        })
    }
}

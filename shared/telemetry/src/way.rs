//! The way of one fact through the offices, as a trace.
//!
//! Entries carry no trace, and their forms are frozen. But everybody who holds an
//! entry knows its id, so all derive the same trace from it: the origin's record,
//! the relay, the city's ingest, each reader's intake and fold meet without a byte
//! more on the wire. The trace is a hash of the id, because the id also keeps the
//! entry's own hash from being guessed. Switched off, a step costs one load.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use kernel::{Fact, clock::wall, sign::Hash};
use tokio::sync::mpsc;

/// How many spans may wait for the collector; more are dropped and counted.
const WAITING: usize = 8192;

static OUT: OnceLock<mpsc::Sender<Span>> = OnceLock::new();
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// One step of the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The origin's commit.
    Record,
    /// Sent to the city, and its answer.
    Relay,
    /// Checked and published at the city.
    Ingest,
    /// Taken in by a reader.
    Intake,
    /// Folded into the reader's views.
    Fold,
}

impl Step {
    const fn name(self) -> &'static str {
        match self {
            Self::Record => "record",
            Self::Relay => "relay",
            Self::Ingest => "ingest",
            Self::Intake => "intake",
            Self::Fold => "fold",
        }
    }

    /// The step before.
    const fn before(self) -> Option<Self> {
        match self {
            Self::Record => None,
            Self::Relay => Some(Self::Record),
            Self::Ingest => Some(Self::Relay),
            Self::Intake => Some(Self::Ingest),
            Self::Fold => Some(Self::Intake),
        }
    }
}

/// A place in somebody's trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The trace.
    pub trace: [u8; 16],
    /// The span in it.
    pub span: [u8; 8],
}

impl Caller {
    /// Reads a `traceparent` header (W3C Trace Context, version 00).
    pub fn parse(header: &str) -> Option<Self> {
        let mut parts = header.split('-');
        let (version, trace, span) = (parts.next()?, parts.next()?, parts.next()?);
        if version.len() != 2 || version == "ff" || trace.len() != 32 || span.len() != 16 {
            return None;
        }
        let trace = u128::from_str_radix(trace, 16).ok().filter(|id| *id != 0)?.to_be_bytes();
        let span = u64::from_str_radix(span, 16).ok().filter(|id| *id != 0)?.to_be_bytes();
        Some(Self { trace, span })
    }
}

/// One finished span.
#[derive(Clone, Debug)]
pub struct Span {
    pub(crate) name: String,
    pub(crate) at: Caller,
    pub(crate) parent: Option<[u8; 8]>,
    pub(crate) link: Option<Caller>,
    pub(crate) office: String,
    pub(crate) kind: String,
    /// Nanoseconds since 1970.
    pub(crate) began: u64,
    pub(crate) ended: u64,
}

tokio::task_local! {
    static CALLER: Caller;
}

/// Switches the way on; spans come out of the receiver. Once a process.
pub fn switch_on() -> Option<mpsc::Receiver<Span>> {
    let (out, spans) = mpsc::channel(WAITING);
    OUT.set(out).ok().map(|()| spans)
}

/// Whether anybody wants to see the way.
pub fn is_on() -> bool {
    OUT.get().is_some()
}

/// How many spans were dropped because the collector was too slow.
pub fn dropped() -> u64 {
    DROPPED.load(Ordering::Relaxed)
}

/// Who called, if the way is on.
pub fn caller() -> Option<Caller> {
    if is_on() { CALLER.try_with(|caller| *caller).ok() } else { None }
}

/// A fact passed a step at an office that began at `began` and ends now.
pub fn passed(step: Step, fact: &Fact, office: &str, began: Instant, link: Option<Caller>) {
    if !is_on() {
        return;
    }
    let trace = trace_of(&fact.id);
    let place = |step: Step, office: &str| match step {
        Step::Relay | Step::Ingest | Step::Record => span_of(&trace, step.name(), ""),
        Step::Intake | Step::Fold => span_of(&trace, step.name(), office),
    };
    let parent = step.before().map(|before| place(before, office));
    let at = Caller { trace, span: place(step, office) };
    let (office, kind) = (office.to_owned(), fact.kind.clone());
    finish(
        Span { name: step.name().to_owned(), at, parent, link, office, kind, began: 0, ended: 0 },
        began,
    );
}

/// The same for entries as they travel; what is sealed or no entry is passed over.
pub fn travelled<'e>(
    step: Step,
    entries: impl Iterator<Item = &'e [u8]>,
    office: &str,
    began: Instant,
) {
    if is_on() {
        for (fact, _) in entries.filter_map(|bytes| Fact::of_entry(bytes).ok()) {
            passed(step, &fact, office, began, None);
        }
    }
}

/// Runs a request as a span of its caller's trace, or of one of its own.
pub async fn asked<T>(
    route: &str,
    office: &str,
    traceparent: Option<&str>,
    request: impl Future<Output = T>,
) -> T {
    if !is_on() {
        return request.await;
    }
    let began = Instant::now();
    let caller = traceparent.and_then(Caller::parse);
    let fresh = Hash::of(&[&kernel::Entropy::System.bytes16()]).0;
    let trace = caller.map_or_else(|| first(&fresh), |caller| caller.trace);
    let at = Caller { trace, span: last(&fresh) };
    let answer = CALLER.scope(at, request).await;
    let parent = caller.map(|caller| caller.span);
    let (name, office) = (route.to_owned(), office.to_owned());
    finish(
        Span { name, at, parent, link: None, office, kind: String::new(), began: 0, ended: 0 },
        began,
    );
    answer
}

fn finish(mut span: Span, began: Instant) {
    let Some(out) = OUT.get() else { return };
    let now = u64::try_from(wall().0).unwrap_or(0) * 1_000_000;
    let took = u64::try_from(began.elapsed().as_nanos()).unwrap_or(0);
    (span.began, span.ended) = (now.saturating_sub(took), now);
    if out.try_send(span).is_err() {
        DROPPED.fetch_add(1, Ordering::Relaxed);
    }
}

/// The trace of the entry with this id.
pub fn trace_of(id: &str) -> [u8; 16] {
    first(&Hash::of(&[b"liandong trace v1\0", id.as_bytes()]).0)
}

fn span_of(trace: &[u8; 16], step: &str, office: &str) -> [u8; 8] {
    last(&Hash::of(&[b"liandong span v1\0", trace, step.as_bytes(), b"\0", office.as_bytes()]).0)
}

fn first(hash: &[u8; 32]) -> [u8; 16] {
    std::array::from_fn(|at| hash[at])
}

fn last(hash: &[u8; 32]) -> [u8; 8] {
    std::array::from_fn(|at| hash[24 + at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callers_header_is_read_strictly() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let caller = Caller::parse(good).unwrap();
        assert_eq!((caller.trace[0], caller.span[7]), (0x4b, 0xb7));
        for bad in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e47zz-00f067aa0ba902b7-01",
        ] {
            assert_eq!(Caller::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn all_who_hold_an_entry_find_the_same_trace_and_it_is_not_the_id() {
        let id = "0f8fad5b-d9cb-469f-a165-70867728950e";
        assert_eq!(trace_of(id), trace_of(id));
        assert_ne!(trace_of(id), trace_of("1f8fad5b-d9cb-469f-a165-70867728950e"));
        assert!(!id.replace('-', "").starts_with(&crate::otlp::hex(&trace_of(id))[..8]));
    }
}

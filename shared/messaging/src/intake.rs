//! Intake: what the hub delivers is verified, classed and handed to the writer.
//!
//! Nothing of one origin holds up another: what must wait is stored and
//! acknowledged. The classes are: not an entry (dropped), unknown signer (held),
//! not yet understood (stored, folded later), of a place that is not known yet (held),
//! authentic but not allowed (evidence), behind a gap in its lane (held), known already
//! (skipped).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use domain::directory::{Event as DirectoryEvent, Member};
use event_store::{Act, Answer, Incoming, Office, Standpoint, Stop, Unit, act};
use kernel::{Audience, Code, EntryRef, Fact, OfficeId, Refusal, entry};
use telemetry::way::{self, Step};

use crate::{
    counters::Counters,
    directory::{DIRECTORY, Entry, Pin, Signer, signer},
    ingest::allowed,
    link::{Failure, Link, Reader, Stream},
    recovery::putting_aside,
};

/// One consumer's intake.
pub struct Intake {
    office: Office,
    pin: Arc<Pin>,
    reader: Box<dyn Reader>,
    counters: Arc<Counters>,
    /// Whether entries may have been put aside while the log was not whole.
    aside: bool,
}

const MOST: usize = 200;

impl Intake {
    /// Binds the office's consumer `name` of HISTORY.
    pub async fn bind(
        office: Office,
        pin: Arc<Pin>,
        link: &dyn Link,
        name: &str,
        counters: Arc<Counters>,
    ) -> Result<Self, Failure> {
        let reader = link.reader(Stream::History, name).await?;
        Ok(Self { office, pin, reader, counters, aside: true })
    }

    /// One turn: wait for what comes, take it in, acknowledge after the commit.
    pub async fn turn(&mut self, patience: Duration) -> Result<Result<usize, Refusal>, Failure> {
        let behind = self.office.refusing() == Some(Code::LogBehind);
        if self.aside && !behind {
            if let Err(refusal) = self.take(Vec::new()).await {
                return Ok(Err(refusal));
            }
            self.aside = false;
        }
        let messages = self.reader.next(MOST, patience).await?;
        if messages.is_empty() {
            return Ok(Ok(0));
        }
        let began = Instant::now();
        let bytes = messages.iter().map(|message| message.payload.to_vec()).collect();
        let taken = if behind {
            self.aside = true;
            self.office.recover(putting_aside(bytes)).await.map(drop)
        } else {
            self.take(bytes).await
        };
        match taken {
            Ok(()) => {
                let came = messages.iter().map(|message| message.payload.as_ref());
                way::travelled(Step::Intake, came, self.office.setting().office.as_str(), began);
                self.reader.done().await?;
                Ok(Ok(messages.len()))
            }
            Err(refusal) => {
                self.reader.again().await?;
                Ok(Err(refusal))
            }
        }
    }

    async fn take(&self, bytes: Vec<Vec<u8>>) -> Result<(), Refusal> {
        let taking = taking_in(bytes, self.pin.clone(), self.counters.clone());
        self.office.system(taking).await.map(drop)
    }

    /// Lets the hub deliver everything again from the start of this consumer:
    /// for a gap that does not close by itself.
    pub async fn from_the_start(&mut self) -> Result<(), Failure> {
        self.reader.back_to(1).await
    }
}

/// The command that takes delivered bytes in; without any it looks at all that waits.
pub fn taking_in(bytes: Vec<Vec<u8>>, pin: Arc<Pin>, counters: Arc<Counters>) -> Act {
    let bytes = Arc::new(bytes);
    act(move |unit: &mut Unit<'_>| {
        let (bytes, pin, counters) = (bytes.clone(), pin.clone(), counters.clone());
        Box::pin(async move {
            let mut sorting = Sorting { pin: &pin, counts: BTreeMap::new(), next: BTreeMap::new() };
            let mut arrived = Vec::new();
            for bytes in bytes.iter() {
                if let Some(incoming) = sorting.read(bytes) {
                    arrived.push(incoming);
                }
            }
            let mut touched: BTreeSet<OfficeId> =
                arrived.iter().map(|entry| entry.fact.at.origin.clone()).collect();
            if bytes.is_empty() {
                touched.extend(unit.held_origins().await?);
                arrived = held_of(unit, &touched).await?;
            }
            loop {
                let accepted = sorting.sort(unit, arrived).await?;
                touched.extend(accepted.iter().filter_map(|entry| enrolled(&entry.fact)));
                let progress = !accepted.is_empty();
                for entry in accepted.iter().filter(|entry| opens_life(&entry.fact)) {
                    tell_of_life(unit, &entry.fact);
                    sorting.count("life-opened");
                }
                unit.receive(accepted).await?;
                if !progress {
                    break;
                }
                arrived = held_of(unit, &touched).await?;
                if arrived.is_empty() {
                    break;
                }
            }
            for (name, count) in sorting.counts {
                counters.add(name, count);
            }
            Ok(Answer { status: 200, etag: String::new(), body: Vec::new() })
        })
    })
}

async fn held_of(unit: &mut Unit<'_>, origins: &BTreeSet<OfficeId>) -> Result<Vec<Incoming>, Stop> {
    let mut waiting = Vec::new();
    for origin in origins {
        waiting.extend(unit.held(origin).await?);
    }
    Ok(waiting)
}

/// The offices whose signatures or place an entry makes known.
fn enrolled(fact: &Fact) -> Option<OfficeId> {
    if fact.family() != "directory" {
        return None;
    }
    match fact.read().ok()? {
        DirectoryEvent::Enrolled { member, .. }
        | DirectoryEvent::Turned { member, .. }
        | DirectoryEvent::Moved { member } => Some(member.seat.office),
        DirectoryEvent::EpochOpened { opening, .. } => Some(opening.member.seat.office),
        _ => None,
    }
}

fn opens_life(fact: &Fact) -> bool {
    fact.kind == "cn.liandong.directory.epoch-opened.v1"
}

/// Says to whoever reads the log that an office goes on with a new life of its own.
fn tell_of_life(unit: &Unit<'_>, fact: &Fact) {
    if let Ok(DirectoryEvent::EpochOpened { opening, .. }) = fact.read() {
        let (at, of) = (&unit.setting().office, &opening.member.seat.office);
        tracing::error!(%at, %of, epoch = opening.member.epoch, "an office's log was lost, or its key: the city has opened a new life of it");
    }
}

struct Sorting<'a> {
    pin: &'a Pin,
    counts: BTreeMap<&'static str, u64>,
    /// The life and last counter of each lane, with what this pass accepted.
    next: BTreeMap<String, (u32, u64)>,
}

enum Class {
    Accept,
    Hold(&'static str),
    Evidence(&'static str),
    Skip(&'static str),
}

impl Sorting<'_> {
    fn count(&mut self, name: &'static str) {
        *self.counts.entry(name).or_default() += 1;
    }

    /// Whatever is not an entry of the strict form is dropped.
    fn read(&mut self, bytes: &[u8]) -> Option<Incoming> {
        let read = Fact::of_entry(bytes).ok();
        if read.is_none() {
            self.count("not-an-entry");
        }
        let (fact, hash) = read?;
        Some(Incoming { fact, hash, bytes: bytes.to_vec() })
    }

    /// Sorts entries out; what may be taken in comes back, in lane order.
    async fn sort(
        &mut self,
        unit: &mut Unit<'_>,
        entries: Vec<Incoming>,
    ) -> Result<Vec<Incoming>, Stop> {
        let mut accepted = Vec::new();
        for entry in entries {
            match self.class(unit, &entry).await? {
                Class::Accept => {
                    unit.release(entry.fact.at.clone(), entry.hash);
                    let last = (entry.fact.at.epoch, entry.fact.lane);
                    self.next.insert(entry.fact.lane().to_string(), last);
                    self.count("received");
                    accepted.push(entry);
                }
                Class::Hold(reason) => {
                    self.count(reason);
                    unit.hold(entry, reason);
                }
                Class::Evidence(code) => {
                    self.count(code);
                    unit.release(entry.fact.at.clone(), entry.hash);
                    unit.keep_evidence(entry.hash, code, entry.bytes);
                }
                Class::Skip(name) => {
                    self.count(name);
                    unit.release(entry.fact.at.clone(), entry.hash);
                }
            }
        }
        Ok(accepted)
    }

    async fn class(&mut self, unit: &mut Unit<'_>, entry: &Incoming) -> Result<Class, Stop> {
        let fact = &entry.fact;
        if fact.at.origin == unit.setting().office {
            return Ok(Class::Skip("own"));
        }
        let Some(signer) = signer(unit, self.pin, &fact.at.origin).await? else {
            return Ok(Class::Hold("unknown-signer"));
        };
        let parts = entry::open(&entry.bytes).map_err(|_| Stop::from(kernel::Code::Internal))?;
        let signed = parts.is_signed_by(&signer.key(fact.at.sequence));
        match &signer {
            Signer::Pin(_) if signed && entry.hash != self.pin.founding => {
                // Nothing is known yet but the pin: the founding itself comes first.
                return Ok(Class::Hold("unknown-signer"));
            }
            // The city's word of the turn or of the new life is still to come.
            Signer::Row(row) if is_later(row, fact, &parts) => {
                // What claims a place that is taken, or is not for us, has no turn to wait for.
                let idle =
                    !is_for(&unit.here(), fact) || unit.received_hash(&fact.at).await?.is_some();
                let class = if idle { Class::Skip } else { Class::Hold };
                return Ok(class(if idle { "not-an-entry" } else { "unknown-key" }));
            }
            _ if !signed => return Ok(Class::Skip("not-an-entry")),
            Signer::Row(row) if !fact.carries_its_own(|sequence| row.at(sequence).key) => {
                return Ok(Class::Evidence("carries-others"));
            }
            Signer::Row(row) => {
                if let Some(code) = misplaced(unit, row.at(fact.at.sequence), entry) {
                    return moving(unit, row, fact, code).await;
                }
            }
            Signer::Pin(_) => {}
        }
        match unit.received_hash(&fact.at).await? {
            Some(known) if known == entry.hash => return Ok(Class::Skip("duplicate")),
            Some(_) => return Ok(Class::Evidence("fork")),
            None => {}
        }
        if let Some(original) = fact.copy_of {
            let original = kernel::EntryRef { sequence: original, ..fact.at.clone() };
            if unit.received_hash(&original).await?.is_some() {
                tracing::debug!(entry = %fact.at, "a copy of a fact that is here already");
            }
        }
        let lane = fact.lane().to_string();
        let head = unit.lane(&lane).map(|head| (head.epoch, head.counter));
        let last = match (self.next.get(&lane).copied().or(head), &signer) {
            // The first of a new life: what lies beyond the end of the one before has no
            // place in the lane any more.
            (Some((epoch, _)), Signer::Row(row)) if epoch < fact.at.epoch => {
                let stands = |at: &EntryRef| row.at(at.sequence).epoch == at.epoch;
                unit.lane_within(&fact.at.origin, &lane, stands).await?
            }
            (last, _) => last.map_or(0, |(_, counter)| counter),
        };
        Ok(match fact.lane {
            counter if counter == last + 1 => Class::Accept,
            counter if counter <= last => Class::Skip("before-baseline"),
            _ => Class::Hold("gap"),
        })
    }
}

/// Whether an entry speaks of a key or a life that the directory does not know yet.
fn is_later(row: &Entry, fact: &Fact, parts: &entry::Parts<'_>) -> bool {
    let newest = &row.member;
    let turned = fact.at.sequence >= newest.key_from && !row.has_had(&parts.key_id);
    turned || (fact.at.epoch > newest.epoch && parts.is_signed_by(&newest.key))
}

/// What an authentic entry that has no place here is to an office that moves.
async fn moving(
    unit: &mut Unit<'_>,
    row: &Entry,
    fact: &Fact,
    code: &'static str,
) -> Result<Class, Stop> {
    let own = unit.here().office;
    let up = fact.audience == Audience::Up(own.clone());
    if code == "audience" && up && fact.at.sequence >= row.member.key_from {
        // It says that its origin is below us: the city's word of that is still to come.
        return Ok(Class::Hold("unknown-place"));
    }
    if let (Audience::Down(above), "not-for-us") = (&fact.audience, code) {
        let own: Option<Entry> = unit.row(DIRECTORY, own.as_str()).await?;
        if own.is_some_and(|own| own.stood_below(above)) {
            return Ok(Class::Skip("left-lane"));
        }
    }
    Ok(Class::Evidence(code))
}

fn is_for(here: &Standpoint, fact: &Fact) -> bool {
    fact.audience.is_read_by(&fact.at.origin, &here.office, here.tier, here.parent.as_ref())
}

/// Why an authentic entry may not be taken in, if it may not.
fn misplaced(unit: &Unit<'_>, member: &Member, entry: &Incoming) -> Option<&'static str> {
    let (fact, setting) = (&entry.fact, unit.setting());
    if fact.at.epoch != member.epoch || fact.at.sequence < member.key_from {
        return Some("epoch");
    }
    if !is_for(&unit.here(), fact) {
        return Some("not-for-us");
    }
    (setting.bindings)(&fact.kind)?;
    allowed(setting.bindings, member, fact).err()
}

//! One office at a glance: its queue, its relay, what waits, since when and why.
//!
//! Lists hold places in logs, never entries. They are short on purpose: the first
//! hundred tell what is wrong, and the counts tell how much of it there is.

use std::collections::BTreeMap;

use event_store::{Reader, StoreError, intake::Event};
use kernel::{EntryRef, Fact, OfficeId, Timestamp, id::Tier};
use messaging::neighbours;
use serde::Serialize;
use web::{Problem, Seat};

use super::health;
use crate::{
    filings::{FILINGS, FilingRow},
    reviews::{REVIEWS, ReviewRow},
};

/// How many places a list shows.
const SHOWN: u64 = 100;
/// How far back refused reactions are looked for.
const RECENT: u64 = 10_000;

/// An office at a glance.
#[derive(Debug, Serialize)]
pub struct Overview {
    demo: bool,
    office: OfficeId,
    version: &'static str,
    epoch: u32,
    status: &'static str,
    records: bool,
    queue: Full,
    requests: usize,
    feeds: usize,
    relay: Relay,
    not_received: Vec<Missing>,
    held: Aside,
    evidence: Aside,
    unfolded: u64,
    reactions_refused: Vec<Refused>,
    intake: BTreeMap<&'static str, u64>,
    ingest: Option<BTreeMap<&'static str, u64>>,
    papers: Papers,
    ledger: Witnessing,
    disk: Option<Disk>,
    commits: u64,
    memory_bytes: Option<u64>,
}

#[derive(Debug, Serialize)]
struct Full {
    waiting: usize,
    capacity: usize,
}

#[derive(Debug, Serialize)]
struct Relay {
    link: &'static str,
    head: u64,
    held_at_hub: u64,
    unsent: u64,
}

/// A neighbour that has not receipted everything it should hold.
#[derive(Debug, Serialize)]
struct Missing {
    office: OfficeId,
    tier: Tier,
    last_heard: Option<Timestamp>,
    not_received: u64,
    differs: bool,
}

#[derive(Debug, Default, Serialize)]
struct Aside {
    count: u64,
    reasons: BTreeMap<String, Count>,
    items: Vec<Place>,
}

#[derive(Debug, Serialize)]
struct Count {
    count: u64,
    since: Timestamp,
}

#[derive(Debug, Serialize)]
struct Place {
    origin: OfficeId,
    epoch: u32,
    sequence: u64,
    reason: String,
    since: Timestamp,
}

#[derive(Debug, Serialize)]
struct Refused {
    sequence: u64,
    rule: String,
    code: String,
    cause: EntryRef,
}

#[derive(Debug, Serialize)]
struct Papers {
    to_send: usize,
    to_fetch: usize,
    /// Of which some bytes are here, the hub's included.
    unfinished: usize,
    unfinished_bytes: u64,
}

/// How the ledger stands: lag and trouble alarm, nothing waits for them.
#[derive(Debug, Serialize)]
struct Witnessing {
    /// How many own entries stand behind the last head that somebody cosigned.
    unwitnessed: u64,
    /// Why nothing is signed, if nothing is.
    trouble: Option<String>,
    /// How many forks this office has found.
    forks: usize,
}

#[derive(Debug, Serialize)]
struct Disk {
    free_bytes: u64,
    total_bytes: u64,
}

impl Overview {
    /// Looks at an office.
    pub async fn of(seat: &Seat) -> Result<Self, Problem> {
        let neighbours = neighbours::neighbours(&seat.office).await?;
        let mut reader = seat.office.reader().await?;
        let setting = seat.office.setting();
        let (status, (waiting, capacity)) = (health::status(seat), seat.office.queue());
        let (requests, feeds) = seat.room.taken();
        Ok(Self {
            demo: seat.pin.demo,
            office: setting.office.clone(),
            version: env!("CARGO_PKG_VERSION"),
            epoch: seat.office.life().epoch,
            status,
            records: health::records(status),
            queue: Full { waiting, capacity },
            requests,
            feeds,
            relay: Relay {
                link: if seat.link.is_up() { "up" } else { "down" },
                head: seat.office.head(),
                held_at_hub: seat.link.held(),
                unsent: health::unsent(seat),
            },
            not_received: neighbours.into_iter().filter_map(missing).collect(),
            held: held(&mut reader).await?,
            evidence: evidence(&mut reader).await?,
            unfolded: unfolded(&mut reader).await?,
            reactions_refused: refused(&mut reader, seat.office.head()).await?,
            intake: seat.counters.all(),
            ingest: seat.ingest.as_ref().map(|ingest| ingest.counters.all()),
            papers: papers(&mut reader, seat).await?,
            ledger: witnessing(seat)?,
            disk: health::disk(seat)
                .map(|(free_bytes, total_bytes)| Disk { free_bytes, total_bytes }),
            commits: seat.office.commits(),
            memory_bytes: telemetry::figures::resident(),
        })
    }

    /// Sets the figures that are so now.
    pub fn count(&self, seat: &Seat) {
        let figures = seat.office.figures();
        let many = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let not_received = self.not_received.iter().map(|missing| missing.not_received).sum();
        for (what, now) in [
            ("records", u64::from(self.records)),
            ("link_up", u64::from(self.relay.link == "up")),
            ("queue_waiting", many(self.queue.waiting)),
            ("queue_capacity", many(self.queue.capacity)),
            ("requests", many(self.requests)),
            ("feeds", many(self.feeds)),
            ("head", self.relay.head),
            ("unsent", self.relay.unsent),
            ("not_received", not_received),
            ("unfolded", self.unfolded),
            ("reactions_refused", many(self.reactions_refused.len())),
            ("papers_to_send", many(self.papers.to_send)),
            ("papers_to_fetch", many(self.papers.to_fetch)),
            ("unwitnessed", self.ledger.unwitnessed),
            ("ledger_trouble", u64::from(self.ledger.trouble.is_some())),
            ("forks", many(self.ledger.forks)),
            ("papers_unfinished", many(self.papers.unfinished)),
            ("disk_free_bytes", self.disk.as_ref().map_or(0, |disk| disk.free_bytes)),
            ("spans_dropped", telemetry::way::dropped()),
        ] {
            figures.is(what, now);
        }
        let reasons = |aside: &Aside| -> Vec<(String, u64)> {
            aside.reasons.iter().map(|(reason, row)| (reason.clone(), row.count)).collect()
        };
        figures.set_aside(reasons(&self.held), reasons(&self.evidence));
        for (class, count) in &self.intake {
            figures.met(class, *count);
        }
    }
}

fn witnessing(seat: &Seat) -> Result<Witnessing, Problem> {
    let stand = seat.ledger.stand().map_err(std::io::Error::other)?;
    let witnessed = stand.witnesses.values().map(|(size, _)| *size).max().unwrap_or(0);
    let unwitnessed = seat.office.head().saturating_sub(witnessed);
    Ok(Witnessing { unwitnessed, trouble: stand.trouble, forks: crate::ledger::forks(seat)?.len() })
}

fn missing(neighbour: neighbours::Neighbour) -> Option<Missing> {
    let neighbours::Neighbour { office, tier, last_heard, not_received, differs, .. } = neighbour;
    let waits = not_received > 0 || differs;
    waits.then_some(Missing { office, tier, last_heard, not_received, differs })
}

fn place(at: EntryRef, reason: String, since: i64) -> Place {
    let EntryRef { origin, epoch, sequence } = at;
    Place { origin, epoch, sequence, reason, since: Timestamp(since) }
}

async fn reasons(reader: &mut Reader, sql: &str) -> Result<Aside, StoreError> {
    let mut aside = Aside::default();
    for row in reader.rows(sql, vec![]).await? {
        let (count, since) = (row.count(1)?, Timestamp(row.int(2)?));
        aside.count += count;
        aside.reasons.insert(row.text(0)?, Count { count, since });
    }
    Ok(aside)
}

/// Entries that wait for others, the oldest first.
async fn held(reader: &mut Reader) -> Result<Aside, StoreError> {
    let sql = "SELECT reason, COUNT(*), MIN(since) FROM held GROUP BY reason";
    let mut aside = reasons(reader, sql).await?;
    let sql = "SELECT origin, epoch, sequence, reason, since FROM held \
               ORDER BY since, origin, sequence LIMIT $1";
    for row in reader.rows(sql, vec![SHOWN.into()]).await? {
        let Some(origin) = OfficeId::parse(&row.text(0)?) else { continue };
        let epoch = u32::try_from(row.int(1)?).unwrap_or(1);
        let at = EntryRef { origin, epoch, sequence: row.count(2)? };
        aside.items.push(place(at, row.text(3)?, row.int(4)?));
    }
    Ok(aside)
}

/// Entries that were authentic and not allowed, the newest first.
async fn evidence(reader: &mut Reader) -> Result<Aside, StoreError> {
    let sql = "SELECT code, COUNT(*), MIN(seen) FROM evidence GROUP BY code";
    let mut aside = reasons(reader, sql).await?;
    let sql = "SELECT code, seen, entry FROM evidence ORDER BY seen DESC LIMIT $1";
    for row in reader.rows(sql, vec![SHOWN.into()]).await? {
        let Ok((fact, _)) = Fact::of_entry(&row.blob(2)?) else { continue };
        aside.items.push(place(fact.at, row.text(0)?, row.int(1)?));
    }
    Ok(aside)
}

async fn unfolded(reader: &mut Reader) -> Result<u64, StoreError> {
    let sql = "SELECT COUNT(*) FROM received WHERE folded = 0";
    reader.rows(sql, vec![]).await?.first().map_or(Ok(0), |row| row.count(0))
}

/// The newest refused reactions, of the last entries of the own log only.
async fn refused(reader: &mut Reader, head: u64) -> Result<Vec<Refused>, StoreError> {
    let sql = "SELECT sequence, entry FROM entries WHERE sequence > $1 AND kind = $2 \
               ORDER BY sequence DESC LIMIT $3";
    let kind = kernel::decider::kind("intake", "reaction-refused");
    let args = vec![head.saturating_sub(RECENT).into(), kind.into(), SHOWN.into()];
    let mut found = Vec::new();
    for row in reader.rows(sql, args).await? {
        let read = Fact::of_entry(&row.blob(1)?).ok().and_then(|(fact, _)| fact.read().ok());
        if let Some(Event::ReactionRefused { rule, cause, code }) = read {
            found.push(Refused { sequence: row.count(0)?, rule, code, cause });
        }
    }
    Ok(found)
}

async fn papers(reader: &mut Reader, seat: &Seat) -> Result<Papers, StoreError> {
    use domain::filing_review::State as Review;
    let filings: Vec<(String, FilingRow)> = reader.all(FILINGS, "").await?;
    let own = &seat.office.setting().office;
    let sent = filings.iter().filter(|(_, row)| row.waits_for_receipt(own));
    let to_send = sent.map(|(_, row)| row.items.len()).sum();
    let reviews: Vec<(String, ReviewRow)> = reader.all(REVIEWS, "").await?;
    let open = reviews.iter().filter(|(_, row)| row.state == Review::Submitted);
    let named = open.filter_map(|(_, row)| row.submission.as_ref());
    let to_fetch = named
        .flat_map(|submission| submission.items.values())
        .filter(|paper| !seat.papers.has(&paper.hash))
        .count();
    let (mut unfinished, mut unfinished_bytes) = (0, 0);
    for papers in [Some(&seat.papers), seat.hub_papers.as_ref()].into_iter().flatten() {
        let (count, bytes) = papers.count_unfinished().unwrap_or_default();
        (unfinished, unfinished_bytes) = (unfinished + count, unfinished_bytes + bytes);
    }
    Ok(Papers { to_send, to_fetch, unfinished, unfinished_bytes })
}

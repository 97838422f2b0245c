//! The field: offices, clerks and their work, and how quiet is waited for.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use messaging::{link::Link, nats::connection::Connection, relay::Answer};
use tokio::task::JoinSet;

use super::{
    check::{self, Tally},
    faults::Fault,
    ledger::{Clerk, Ledger, Record},
    offices::{Layout, Offices},
    workload,
};
use crate::chance::Chance;

/// Everything of one run.
pub(crate) struct Field {
    pub(crate) offices: Offices,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) clerks: Vec<Clerk>,
    pub(crate) chance: Chance,
    /// What a fault found out.
    pub(crate) found: Vec<String>,
    work: JoinSet<()>,
}

/// How long everybody may need to hold everything after the last fault ended.
const LONGEST: Duration = Duration::from_secs(150);

impl Field {
    pub(crate) async fn open(seed: u64, layout: Layout) -> Self {
        let mut field = Self::idle(seed, layout).await;
        field.work = workload::start(&field.offices, &field.clerks, &field.chance).await;
        field
    }

    /// The same with nobody at work yet.
    pub(crate) async fn idle(seed: u64, layout: Layout) -> Self {
        let chance = Chance::new(seed);
        let offices = Offices::found(&chance, layout).await;
        let ledger = Arc::new(Ledger::default());
        ledger.during("(start)");
        let clerk = |code: &'static str| Clerk {
            code,
            id: offices.seats[code].id(),
            url: offices.url(code),
            keys: offices.seats[code].config.keys.clone(),
            client: offices.client.clone(),
            ledger: ledger.clone(),
            next: Arc::default(),
        };
        let clerks: Vec<Clerk> = offices.codes().into_iter().map(clerk).collect();
        Self { offices, ledger, clerks, chance, found: Vec::new(), work: JoinSet::new() }
    }

    /// Lets a fault strike under load, ends it, and waits until everybody holds
    /// everything: how long that took.
    pub(crate) async fn endure(&mut self, fault: Fault) -> Result<Duration, String> {
        self.ledger.during(fault.name());
        let ledger = self.ledger.clone();
        if fault.is_quiet() {
            let _closed = ledger.gate.write().await;
            self.settle().await?;
            let began = Instant::now();
            fault.strike(self).await?;
            self.settle().await?;
            return Ok(began.elapsed());
        }
        fault.strike(self).await?;
        let began = Instant::now();
        let _closed = ledger.gate.write().await;
        self.settle().await?;
        Ok(began.elapsed())
    }

    /// Waits until every office records, the hub holds every log, and every reader
    /// has receipted everything.
    pub(crate) async fn settle(&self) -> Result<(), String> {
        let began = Instant::now();
        loop {
            let why = match self.unsettled().await {
                None => self.not_at_the_hub().await,
                why => why,
            };
            let Some(why) = why else { return Ok(()) };
            if began.elapsed() > LONGEST {
                return Err(why);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    pub(crate) async fn unsettled(&self) -> Option<String> {
        for clerk in &self.clerks {
            let code = clerk.code;
            let Some(ready) = clerk.get("SYS", "/health/ready").await else {
                return Some(format!("{code} does not serve"));
            };
            if ready["status"] != "ready" || ready["link"] != "up" || ready["unsent"] != 0 {
                return Some(format!("{code}: {ready}"));
            }
            let Some(neighbours) = clerk.get("SYS", "/api/neighbours").await else {
                return Some(format!("{code} does not serve"));
            };
            for neighbour in neighbours.as_array().into_iter().flatten() {
                if neighbour["not_received"] != 0 || neighbour["differs"] == true {
                    return Some(format!("{code}: {neighbour}"));
                }
            }
        }
        None
    }

    /// Whose log the hub does not hold as far as it was sent. Asked of the hub itself:
    /// what an office remembers of it may be older than its last wipe.
    async fn not_at_the_hub(&self) -> Option<String> {
        for clerk in &self.clerks {
            let sent = std::fs::read(clerk.keys.join("sent-up-to")).ok()?;
            let sent: serde_json::Value = serde_json::from_slice(&sent).unwrap_or_default();
            let held = self.held_of(clerk.code).await;
            if held.as_ref().ok() < sent["sequence"].as_u64().as_ref() {
                return Some(format!("{}: the hub holds {held:?} of {sent}", clerk.code));
            }
        }
        None
    }

    pub(crate) async fn held_of(&self, code: &str) -> Result<u64, String> {
        let link = self.link_of(code).await?;
        let id = self.offices.seats[code].id();
        let answer = link.ask(&id, Vec::new()).await.map_err(|error| error.to_string())?;
        let answer: Answer = serde_json::from_slice(&answer).map_err(|error| error.to_string())?;
        Ok(answer.sequence)
    }

    /// A connection to the hub as a real office.
    pub(crate) async fn link_of(&self, code: &str) -> Result<Connection, String> {
        let seat = &self.offices.seats[code];
        let creds = std::fs::read_to_string(seat.config.keys.join("nats.creds")).unwrap();
        let url = self.offices.hub.url();
        let mut link = Connection::open(&url, seat.id().as_str(), &creds, None)
            .await
            .map_err(|e| e.to_string())?;
        link.ready().await.map_err(|e| e.to_string())?;
        Ok(link)
    }

    /// Ends the work; the gate must be closed, so that nobody is in the middle of something.
    pub(crate) fn stop(&mut self) {
        self.work.abort_all();
    }

    /// Ends the work, checks everything and removes the field if all was well.
    pub(crate) async fn close(mut self) -> (BTreeMap<&'static str, Tally>, Vec<String>) {
        let ledger = self.ledger.clone();
        let closed = ledger.gate.write().await;
        self.stop();
        if let Err(why) = self.settle().await {
            self.ledger.wrong(format!("at the end: {why}"));
        }
        self.answers_stay().await;
        let tallies = match check::check(&self.offices, &self.ledger).await {
            Ok((tallies, wrong)) => {
                self.ledger.violations.lock().unwrap().extend(wrong);
                tallies
            }
            Err(why) => {
                self.ledger.wrong(why);
                BTreeMap::new()
            }
        };
        for code in self.offices.codes() {
            self.offices.kill(code).await;
            if let Err(why) = self.offices.views_agree(code).await {
                self.ledger.wrong(why);
            }
        }
        drop(closed);
        let violations = std::mem::take(&mut *self.ledger.violations.lock().unwrap());
        if violations.is_empty() {
            self.offices.remove().await;
        }
        (tallies, violations)
    }

    /// Every acknowledged command, asked again with its key, is answered the same.
    async fn answers_stay(&self) {
        for record in self.ledger.records().into_iter().filter(Record::acknowledged) {
            let clerk = self.clerks.iter().find(|clerk| clerk.code == record.office).unwrap();
            match clerk.try_once(&record).await {
                Ok(reply) if reply.status == record.status && reply.body == record.answer => {}
                Ok(reply) => {
                    let (office, path) = (record.office, &record.path);
                    let body = reply.json();
                    self.ledger
                        .wrong(format!("{office} {path}: another answer, {} {body}", reply.status));
                }
                Err(why) => self.ledger.wrong(format!("{}: {why}", record.office)),
            }
        }
    }
}

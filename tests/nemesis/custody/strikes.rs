//! The faults under which clues go from office to office. Each strikes under load and is
//! over when it returns; what it left behind heals while the next one is on its way.

use std::{collections::BTreeSet, path::PathBuf, time::Duration};

use hyper::Method;
use serde_json::{Value, json};
use tokio::process::Command;

use super::{
    Run,
    houses::{DISTRICT, OTHER},
    logs::{Log, head},
};
use crate::{
    nemesis::offices::CITY,
    proxy::{Way, Weather},
};

/// What is done to the offices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Strike {
    /// Links and the ways of papers are cut.
    Cut,
    /// What goes one way of a link vanishes.
    OneWay,
    /// Services are killed with -9, one after the other.
    Kill,
    /// Two services are killed with -9 at once.
    KillTwo,
    /// The hub is killed with -9.
    KillHub,
    /// A district's store is put back from a backup; the hub holds its log.
    Restored,
    /// The same with the city's.
    RestoredCity,
    /// A district's store is put back from a backup, and what it did while its link was cut
    /// is nowhere: its log begins a new life.
    LostTail,
}

impl Strike {
    /// Every one, as often as it is among them.
    pub(crate) const ALL: [Self; 9] = [
        Self::Cut,
        Self::Kill,
        Self::OneWay,
        Self::Restored,
        Self::KillTwo,
        Self::RestoredCity,
        Self::LostTail,
        Self::KillHub,
        Self::Kill,
    ];

    /// Its name in tables.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Cut => "cut",
            Self::OneWay => "one-way",
            Self::Kill => "kill",
            Self::KillTwo => "kill-two",
            Self::KillHub => "kill-hub",
            Self::Restored => "restored",
            Self::RestoredCity => "restored-city",
            Self::LostTail => "lost-tail",
        }
    }
}

/// How long an office that was put back may need.
const PATIENCE: Duration = Duration::from_secs(150);

impl Run {
    pub(crate) async fn strike(&mut self, strike: Strike) -> Result<(), String> {
        self.some_time(600).await;
        match strike {
            Strike::Cut => self.weather(Weather::Cut).await,
            Strike::OneWay => {
                for way in [Way::ToHub, Way::ToOffice] {
                    self.weather(Weather::Swallow(way)).await;
                }
            }
            Strike::Kill => {
                for _ in 0..3 {
                    self.kill(1).await;
                }
            }
            Strike::KillTwo => self.kill(2).await,
            Strike::KillHub => {
                self.field.offices.hub.kill().await;
                self.some_time(700).await;
                self.field.offices.hub.start();
                self.count("kill-hub");
            }
            Strike::Restored => {
                let code = *self.field.chance.pick(&[DISTRICT, OTHER]);
                self.restored(code, "restored").await?;
            }
            Strike::RestoredCity => self.restored(CITY, "restored-city").await?,
            Strike::LostTail => {
                let code = *self.field.chance.pick(&[DISTRICT, DISTRICT, OTHER]);
                self.lost_tail(code).await?;
            }
        }
        self.some_time(500).await;
        Ok(())
    }

    /// Fair weather, and everybody is there.
    pub(crate) async fn mend(&mut self) {
        for code in self.field.offices.codes() {
            self.set(code, Weather::Fair);
            if !self.field.offices.seats.get_mut(code).unwrap().runs() {
                self.field.offices.start(code).await;
            }
        }
    }

    fn count(&mut self, what: &'static str) {
        *self.struck.entry(what).or_default() += 1;
    }

    /// So many milliseconds, or up to twice as many.
    async fn some_time(&self, least: u64) {
        self.field.work_for(least + self.field.chance.below(least)).await;
    }

    async fn weather(&mut self, kind: Weather) {
        let codes = self.field.chance.shuffled(&self.field.offices.codes());
        let some = &codes[..=self.field.chance.index(3)];
        for code in some {
            self.set(code, kind);
        }
        self.some_time(900).await;
        for code in some {
            // What lost bytes breaks.
            self.set(code, Weather::Cut);
            self.field.work_for(30).await;
            self.set(code, Weather::Fair);
            self.count(if kind == Weather::Cut { "cut" } else { "one-way" });
        }
    }

    fn set(&self, code: &str, weather: Weather) {
        let seat = &self.field.offices.seats[code];
        seat.link.set(weather);
        seat.road.set(weather);
    }

    async fn kill(&mut self, at_once: usize) {
        let codes = self.field.chance.shuffled(&self.field.offices.codes());
        for code in &codes[..at_once] {
            self.field.offices.kill(code).await;
        }
        self.field.work_for(self.field.chance.below(400)).await;
        for code in &codes[..at_once] {
            self.field.offices.start(code).await;
            self.count(if at_once == 1 { "kill" } else { "kill-two" });
        }
        self.field.work_for(self.field.chance.below(300)).await;
    }

    /// Runs a service's program on its configuration, as its operator would.
    async fn operate(&self, code: &str, what: &str, folder: &PathBuf) -> Result<(), String> {
        let file = self.field.offices.folder.join(format!("{code}.json"));
        let program = self.field.offices.seats[code].program();
        let done = Command::new(program).arg("--config").arg(file).arg(what).arg(folder).output();
        let done = done.await.map_err(|error| error.to_string())?;
        if done.status.success() {
            return Ok(());
        }
        Err(format!("{code} {what}: {}", String::from_utf8_lossy(&done.stderr)))
    }

    /// A backup of an office that runs.
    async fn back_up(&mut self, code: &str) -> Result<PathBuf, String> {
        self.backups += 1;
        let folder = self.field.offices.folder.join(format!("backup-{}", self.backups));
        self.operate(code, "backup", &folder).await?;
        Ok(folder)
    }

    /// Puts a backup in the place of a stopped office's store, which is put aside.
    async fn put_back(&self, code: &str, backup: &PathBuf) -> Result<PathBuf, String> {
        let data = &self.field.offices.seats[code].config.data;
        let aside = self.field.offices.folder.join(format!("lost-{}", self.backups));
        std::fs::rename(data, &aside).map_err(|error| error.to_string())?;
        self.operate(code, "restore", backup).await?;
        Ok(aside)
    }

    async fn ready(&self, code: &str) -> Value {
        let clerk = self.field.clerks.iter().find(|clerk| clerk.code == code).unwrap();
        clerk.get("SYS", "/health/ready").await.unwrap_or_default()
    }

    async fn until_ready(&self, code: &str) -> Result<(), String> {
        let began = std::time::Instant::now();
        loop {
            let ready = self.ready(code).await;
            if ready["status"] == "ready" && ready["link"] == "up" {
                return Ok(());
            }
            if began.elapsed() > PATIENCE {
                return Err(format!("{code} does not come back: {ready}"));
            }
            self.field.work_for(100).await;
        }
    }

    /// Kills an office at a moment at which the hub holds its whole log.
    async fn kill_sent(&mut self, code: &str) -> Result<(), String> {
        let data = self.field.offices.seats[code].config.data.clone();
        for _ in 0..300 {
            let before = head(&data).await?;
            let ready = self.ready(code).await;
            if ready["status"] != "ready" || ready["link"] != "up" || ready["unsent"] != 0 {
                self.field.work_for(100).await;
                continue;
            }
            self.field.offices.kill(code).await;
            if head(&data).await? == before {
                return Ok(());
            }
            self.field.offices.start(code).await;
        }
        Err(format!("{code} never has everything sent"))
    }

    async fn restored(&mut self, code: &'static str, name: &'static str) -> Result<(), String> {
        let backup = self.back_up(code).await?;
        self.some_time(1_800).await;
        let (book, watch) = (self.book.clone(), self.watch.clone());
        let closed = book.gate.write().await;
        let _pause = watch.pause.write().await;
        self.kill_sent(code).await?;
        let aside = self.put_back(code, &backup).await?;
        let data = self.field.offices.seats[code].config.data.clone();
        let behind = head(&aside).await? - head(&data).await?;
        if behind == 0 {
            return Err(format!("{code} recorded nothing since its backup"));
        }
        // A city does not start without its hub, and may be whole again when it answers.
        let city = code == CITY;
        self.set(code, if city { Weather::Fair } else { Weather::Cut });
        self.field.offices.start(code).await;
        let log = Log::of(&aside).await?;
        self.may_not_act(code, &log, !city).await;
        self.set(code, Weather::Fair);
        drop(closed);
        self.until_ready(code).await?;
        self.fetched_back += behind;
        self.count(name);
        Ok(())
    }

    /// What the office knew when its backup was made it shows; nobody does anything by it.
    async fn may_not_act(&mut self, code: &str, log: &Log, surely: bool) {
        let ready = self.ready(code).await;
        if ready["status"] != "log-behind" {
            if surely {
                self.book.wrong(format!("{code} does not know that it is behind: {ready}"));
            }
            return;
        }
        let office = self.field.offices.seats[code].id();
        let houses = self.work.houses.clone();
        let streams: BTreeSet<&str> = log.words.iter().map(|word| word.stream.as_str()).collect();
        let mut tried = Vec::new();
        for stream in streams {
            if let Some(id) = stream.strip_prefix("clue/") {
                let of = houses.drafters.iter().find(|of| of.custodian.clerk.office == code);
                let steps = ["seal", "offer", "withdraw"].map(|it| format!("/api/clues/{id}/{it}"));
                let hand = of.map(|of| of.custodian.clone());
                tried.extend(steps.map(|path| (hand.clone(), path, json!({}))));
            } else if let Some(id) = stream.strip_prefix("clue-case/") {
                let to = json!({"to": houses.registries[0].party});
                for at in houses.registries_at(&office) {
                    let path = |step: &str| format!("/api/clue-cases/{id}/{step}");
                    let reason = json!({"reason": "duplicate"});
                    tried.push((Some(at.hand.clone()), path("offer"), to.clone()));
                    tried.push((Some(at.hand.clone()), path("return"), reason));
                    tried.push((Some(at.hand.clone()), path("withdraw"), json!({})));
                }
            }
        }
        tried.truncate(60);
        for (at, (hand, path, body)) in tried.iter().enumerate() {
            let key = format!("behind-{}-{at}", self.backups);
            let Some(hand) = hand else { continue };
            let Ok(reply) = hand.once(&Method::POST, path, &key, body).await else { continue };
            if reply.json()["code"] == "log-behind" {
                self.refused_behind += 1;
            } else if reply.status < 300 && surely {
                self.book.wrong(format!("{code} is behind, and does {path}"));
            }
        }
    }

    async fn lost_tail(&mut self, code: &'static str) -> Result<(), String> {
        let backup = self.back_up(code).await?;
        self.some_time(500).await;
        self.set(code, Weather::Cut);
        self.some_time(1_800).await;
        let (book, watch) = (self.book.clone(), self.watch.clone());
        let closed = book.gate.write().await;
        let _pause = watch.pause.write().await;
        self.field.offices.kill(code).await;
        let aside = self.put_back(code, &backup).await?;
        self.set(code, Weather::Fair);
        let (office, store) = (self.field.offices.seats[code].id(), Log::of(&aside).await?);
        let held = self.held(code).await?;
        self.auditor.lost(&office, &store, held, &self.book);
        let path = format!("/api/offices/{office}/renewal-tokens");
        let key = format!("renewal-{}", self.backups);
        let made = self.field.offices.api(CITY).post("SYS", &path, &key, None, &json!({})).await?;
        let token = made.body["token"].as_str().map(str::to_owned);
        self.field.offices.seats.get_mut(code).unwrap().config.token = token;
        self.field.offices.start(code).await;
        watch.forgets();
        drop(closed);
        self.until_ready(code).await?;
        self.field.offices.seats.get_mut(code).unwrap().config.token = None;
        self.count("lost-tail");
        Ok(())
    }

    /// How far the hub holds an office's log.
    async fn held(&self, code: &str) -> Result<u64, String> {
        let mut why = String::new();
        for _ in 0..100 {
            match self.field.held_of(code).await {
                Ok(held) => return Ok(held),
                Err(error) => why = error,
            }
            self.field.work_for(100).await;
        }
        Err(why)
    }
}

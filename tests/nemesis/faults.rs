//! The faults. Each strikes and ends by itself; what it leaves behind must heal
//! without anybody's hand, but for the one step that the runbook names: a city
//! whose hub lost its store is started once more.

use std::time::Duration;

use kernel::{entry, sign::EventKey};
use messaging::{
    link::{Link, Stream},
    relay::Answer,
};
use serde_json::json;

use super::{
    check::events,
    field::Field,
    offices::{CITY, copy, serve},
    workload,
};
use crate::{
    ports::port,
    proxy::{Way, Weather},
};

/// What can be done to a city.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Fault {
    /// Nothing: the control.
    None,
    /// Offices are killed with -9, one after the other.
    Kill,
    /// The hub is killed with -9, again and again.
    KillHub,
    /// Of a hub of three the leader is killed with -9, again and again.
    Leader,
    /// The hub's store is deleted under load.
    WipeHub,
    /// The hub's store is deleted while nobody has anything to say.
    Silent,
    /// The hub's store is put back to an older copy.
    RestoreHub,
    /// Bits flip in the hub's block files.
    FlipHub,
    /// Bits flip in the hub's block files while a reader is away that needs them.
    FlipAway,
    /// A bit flips in a closed block, in the middle of what a reader that is away needs.
    Hole,
    /// Links are cut.
    Cut,
    /// Answers from the hub vanish, at offices and at ingest.
    LostAnswers,
    /// What offices say vanishes.
    LostWords,
    /// Connections stand and carry nothing.
    HalfOpen,
    /// Links are slow and jitter, or drip.
    Slow,
    /// Connections break in the middle of a piece, or are reset.
    Broken,
    /// What is held already is sent again, over several connections at once.
    Duplicates,
    /// Forged, altered and misplaced entries, and junk.
    Poison,
    /// A reader is away while much is written.
    Away,
    /// An office's clock goes years ahead.
    Clock,
    /// The same office runs a second time on a copy of its data and keys.
    Twin,
    /// The same while nobody works: the office goes on by a few entries of one kind.
    IdleTwin,
    /// An office's data folder is put back to an older copy.
    Restored,
}

impl Fault {
    /// What `nemesis` does if nothing is named: everything that must heal today.
    pub const USUAL: [Self; 17] = [
        Self::None,
        Self::Kill,
        Self::KillHub,
        Self::WipeHub,
        Self::Silent,
        Self::RestoreHub,
        Self::FlipHub,
        Self::Cut,
        Self::LostAnswers,
        Self::LostWords,
        Self::HalfOpen,
        Self::Slow,
        Self::Broken,
        Self::Duplicates,
        Self::Poison,
        Self::Away,
        Self::Clock,
    ];

    /// Its name in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Kill => "kill",
            Self::KillHub => "kill-hub",
            Self::Leader => "leader",
            Self::WipeHub => "wipe-hub",
            Self::Silent => "silent",
            Self::RestoreHub => "restore-hub",
            Self::FlipHub => "flip-hub",
            Self::FlipAway => "flip-away",
            Self::Hole => "hole",
            Self::Cut => "cut",
            Self::LostAnswers => "lost-answers",
            Self::LostWords => "lost-words",
            Self::HalfOpen => "half-open",
            Self::Slow => "slow",
            Self::Broken => "broken",
            Self::Duplicates => "duplicates",
            Self::Poison => "poison",
            Self::Away => "away",
            Self::Clock => "clock",
            Self::Twin => "twin",
            Self::IdleTwin => "idle-twin",
            Self::Restored => "restored",
        }
    }

    /// Whether it strikes while nobody works.
    pub const fn is_quiet(self) -> bool {
        matches!(self, Self::Silent | Self::IdleTwin)
    }

    /// Strikes, lasts and ends.
    pub(crate) async fn strike(self, field: &mut Field) -> Result<(), String> {
        field.work_for(700).await;
        match self {
            Self::None => field.work_for(1_500).await,
            Self::Kill => field.kill().await,
            Self::KillHub => field.kill_hub().await,
            Self::Leader => field.kill_leaders().await?,
            Self::WipeHub | Self::Silent => field.wipe_hub().await,
            Self::RestoreHub => field.restore_hub().await,
            Self::FlipHub => field.flip_hub().await,
            Self::FlipAway => field.flip_away().await,
            Self::Hole => field.hole().await?,
            Self::Cut => field.weather(&[Weather::Cut], 1_500).await,
            Self::LostAnswers => field.weather(&[Weather::Swallow(Way::ToOffice)], 1_500).await,
            Self::LostWords => field.weather(&[Weather::Swallow(Way::ToHub)], 1_500).await,
            Self::HalfOpen => field.weather(&[Weather::HalfOpen], 1_500).await,
            Self::Slow => field.weather(&[Weather::Slow(40), Weather::Drip], 2_500).await,
            Self::Broken => field.weather(&[Weather::Truncate, Weather::Reset], 1_500).await,
            Self::Duplicates => field.duplicates().await?,
            Self::Poison => field.poison().await?,
            Self::Away => field.away().await,
            Self::Clock => field.clock().await?,
            Self::Twin => field.twin(false).await?,
            Self::IdleTwin => field.twin(true).await?,
            Self::Restored => field.restored().await?,
        }
        Ok(())
    }
}

impl Field {
    pub(crate) async fn work_for(&self, milliseconds: u64) {
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
    }

    async fn kill(&mut self) {
        for _ in 0..4 {
            let code = *self.chance.pick(&self.offices.codes());
            self.offices.kill(code).await;
            self.work_for(self.chance.below(400)).await;
            self.offices.start(code).await;
            self.work_for(self.chance.below(400)).await;
        }
    }

    async fn kill_hub(&mut self) {
        for _ in 0..4 {
            self.offices.hub.kill().await;
            self.work_for(self.chance.below(500)).await;
            self.offices.hub.start();
            self.work_for(200 + self.chance.below(600)).await;
        }
    }

    /// The leader of a stream goes, the others choose another, it comes back. What it
    /// led may be led by the next one that goes before it has caught up.
    async fn kill_leaders(&mut self) -> Result<(), String> {
        let keys = self.offices.seats[CITY].config.keys.clone();
        for at in 0..2 {
            let streams = [Stream::History, Stream::Safe, Stream::Attest];
            let stream = if at == 0 { Stream::History } else { *self.chance.pick(&streams) };
            let killed = self.offices.hub.kill_leader(&keys, stream).await;
            if killed.is_none() && at == 0 {
                return Err(format!("{stream:?} has no leader: is the hub a cluster?"));
            }
            self.work_for(800 + self.chance.below(2_500)).await;
            self.offices.hub.start();
            self.work_for(300 + self.chance.below(2_500)).await;
        }
        Ok(())
    }

    pub(crate) async fn wipe_hub(&mut self) {
        self.offices.hub.kill().await;
        self.offices.hub.wipe();
        self.offices.hub.start();
        self.offices.kill(CITY).await;
        self.offices.start(CITY).await;
    }

    async fn restore_hub(&mut self) {
        let copy = self.offices.folder.join("hub-copy");
        self.offices.hub.kill().await;
        self.offices.hub.save(&copy);
        self.offices.hub.start();
        self.work_for(2_500).await;
        self.offices.hub.kill().await;
        self.offices.hub.restore(&copy);
        self.offices.hub.start();
        self.work_for(500).await;
    }

    async fn flip_hub(&mut self) {
        for _ in 0..2 {
            self.offices.hub.kill().await;
            let _ = self.offices.hub.flip(&self.chance, 3, 1);
            self.offices.hub.start();
            self.work_for(800).await;
        }
    }

    /// What a district has not read yet is damaged at the hub in the middle and later
    /// entries follow: those of whoever wrote them are the only whole ones left.
    async fn flip_away(&mut self) {
        let code = *self.chance.pick(&self.offices.of_tier("district"));
        self.offices.kill(code).await;
        self.work_for(1_500).await;
        self.offices.hub.kill().await;
        let _ = self.offices.hub.flip(&self.chance, 3, 4);
        self.offices.hub.start();
        self.work_for(1_500).await;
        self.offices.start(code).await;
    }

    /// Some links, the city's own among them at times, get bad weather.
    async fn weather(&mut self, kinds: &[Weather], milliseconds: u64) {
        for kind in self.chance.shuffled(kinds) {
            let some: Vec<_> = self.chance.shuffled(&self.offices.codes());
            let some = &some[..2 + usize::try_from(self.chance.below(3)).unwrap()];
            for code in some {
                self.offices.seats[code].link.set(kind);
            }
            self.work_for(milliseconds).await;
            for code in some {
                // What lost bytes breaks; what is half open its ends must find out.
                if kind != Weather::HalfOpen {
                    self.offices.seats[code].link.cut();
                    self.work_for(30).await;
                }
                self.offices.seats[code].link.heal();
            }
            self.work_for(self.chance.below(500)).await;
        }
    }

    /// The whole shared log of an office is sent again, by two at once.
    async fn duplicates(&mut self) -> Result<(), String> {
        for code in self.chance.shuffled(&self.offices.codes()).into_iter().take(3) {
            let log = events(&self.offices, code).await?;
            let own: Vec<&[u8]> = log
                .all
                .iter()
                .filter(|(fact, _)| fact.at.origin == log.id)
                .map(|(_, bytes)| bytes.as_slice())
                .collect();
            let last = &own[own.len().saturating_sub(60)..];
            let (one, other) = (self.link_of(code).await?, self.link_of(code).await?);
            for part in last.chunks(7) {
                let body = entry::frame(part.iter().copied());
                let _ = tokio::join!(one.ask(&log.id, body.clone()), other.ask(&log.id, body));
            }
        }
        Ok(())
    }

    /// Every class of what ingest must not take, while everybody works on.
    async fn poison(&mut self) -> Result<(), String> {
        for code in ["611024", "611024106"] {
            let log = events(&self.offices, code).await?;
            let own = log.all.iter().rfind(|(fact, _)| {
                fact.at.origin == log.id && fact.audience != kernel::Audience::Own
            });
            let (good, bytes) = own.ok_or("nothing to bend yet")?.clone();
            let seed = std::fs::read(self.offices.seats[code].config.keys.join("event.key"));
            let key = EventKey::from_seed(&seed.unwrap()).unwrap();
            let other = EventKey::from_seed(&[9; 32]).unwrap();
            let bend = |change: &dyn Fn(&mut kernel::Fact)| {
                let mut fact = good.clone();
                fact.at.sequence += 100_000;
                change(&mut fact);
                fact.sign(&key).unwrap()
            };
            let mut altered = bytes;
            altered[60] ^= 1;
            let poison = [
                b"junk".to_vec(),
                altered,
                good.sign(&other).unwrap(),
                bend(&|_| {}),
                bend(&|fact| fact.at.epoch = 2),
                bend(&|fact| fact.audience = kernel::Audience::All),
                bend(&|fact| "cn.liandong.round.heard.v9".clone_into(&mut fact.kind)),
            ];
            let link = self.link_of(code).await?;
            for item in &poison {
                let body = entry::frame(std::iter::once(item.as_slice()));
                let answer = link.ask(&log.id, body).await;
                let answer: Answer = serde_json::from_slice(&answer.map_err(|e| e.to_string())?)
                    .map_err(|e| e.to_string())?;
                if answer.answer == "held" {
                    self.ledger.wrong(format!("{code}: poison was taken: {answer:?}"));
                }
                let junk = link.ask(&log.id, vec![0xff; 9]).await;
                junk.map_err(|e| e.to_string())?;
            }
        }
        Ok(())
    }

    /// A reader is stopped; its children and its parent write; it comes back.
    async fn away(&mut self) {
        let code = *self.chance.pick(&self.offices.of_tier("district"));
        self.offices.kill(code).await;
        let below = self.offices.seats.values().filter(|seat| seat.parent == code);
        let below: Vec<_> = below.map(|seat| seat.code).collect();
        let mut writing = tokio::task::JoinSet::new();
        for clerk in self.clerks.iter().filter(|clerk| below.contains(&clerk.code)) {
            for hand in 0..8 {
                let (clerk, turn) = (clerk.clone(), self.chance.next() % 1_000_000);
                writing.spawn(async move {
                    for n in 0..25 {
                        workload::file(&clerk, &format!("A{turn}-{hand}-{n}")).await;
                    }
                });
            }
        }
        while writing.join_next().await.is_some() {}
        self.offices.start(code).await;
    }

    /// Two years at once, at one office only; it goes on by its own clock.
    async fn clock(&mut self) -> Result<(), String> {
        let code = *self.chance.pick(&self.offices.codes());
        let log = events(&self.offices, code).await?;
        let last = log.all.iter().rfind(|(fact, _)| fact.at.origin == log.id);
        let now = last.ok_or("an empty log")?.0.recorded;
        let to = kernel::Timestamp(now.0 + 2 * 365 * 86_400_000);
        self.offices.api(code).drive(to).await
    }

    /// A second process with the same keys and the same log, at another address. It
    /// records while its link is cut; when it meets the hub, the place is taken.
    async fn twin(&mut self, idle: bool) -> Result<(), String> {
        let code = *self.chance.pick(&self.offices.of_tier("township"));
        let twin = self.offices.folder.join("twin");
        self.offices.kill(code).await;
        let seat = &self.offices.seats[code];
        copy(&seat.config.data, &twin.join("data"));
        copy(&seat.config.keys, &twin.join("keys"));
        let mut config = seat.config.clone();
        config.listen = format!("127.0.0.1:{}", port());
        (config.data, config.keys) = (twin.join("data"), twin.join("keys"));
        let link = crate::proxy::Proxy::to(self.offices.hub.port()).await;
        link.cut();
        config.hub = Some(format!("nats://127.0.0.1:{}", link.port));
        let file = twin.join("twin.json");
        std::fs::write(&file, serde_json::to_vec(&[&config]).unwrap()).unwrap();
        let program = seat.program();
        self.offices.start(code).await;
        let mut process = serve(&program, &file, &twin.join("twin.log"));
        let mut clerk = self.clerks.iter().find(|clerk| clerk.code == code).unwrap().clone();
        clerk.url = format!("http://{}", config.listen);
        let recorded = self.twin_records(&clerk).await;
        if idle {
            let rightful = self.clerks.iter().find(|clerk| clerk.code == code).unwrap();
            for n in 0..4 {
                let mark = format!("{code}-I{}-{n}", self.chance.below(1_000_000));
                let body = json!({"set": "staff", "period": mark, "due": "2024-06-30"});
                let path = "/api/filings".to_owned();
                rightful.command_now("COM", path, &body, Some(mark)).await;
            }
        }
        self.work_for(1_500).await;
        link.heal();
        let stopped = self.twin_stops(&clerk).await;
        process.kill().await.unwrap();
        let _ = std::fs::remove_dir_all(&twin);
        recorded?;
        stopped
    }

    async fn twin_records(&self, clerk: &super::ledger::Clerk) -> Result<(), String> {
        for n in 0..200 {
            let body = json!({"set": "staff", "period": "twin", "due": "2024-06-30"});
            let api = deploy::api::Api::new(
                clerk.id.clone(),
                clerk.code.to_owned(),
                clerk.url.clone(),
                clerk.keys.clone(),
                clerk.client.clone(),
                std::sync::Arc::default(),
            );
            match api.post("COM", "/api/filings", &format!("twin-{n}"), None, &body).await {
                Ok(_) => return Ok(()),
                Err(_) => self.work_for(50).await,
            }
        }
        Err("the twin never recorded while its link was cut".to_owned())
    }

    /// It must refuse and stay so: what it recorded alone is nobody's log.
    async fn twin_stops(&self, clerk: &super::ledger::Clerk) -> Result<(), String> {
        let mut refused = 0;
        for _ in 0..400 {
            match clerk.get("COM", "/health/ready").await {
                Some(ready) if ready["status"] == "log-behind" => refused += 1,
                _ => refused = 0,
            }
            if refused == 60 {
                return Ok(());
            }
            self.work_for(100).await;
        }
        Err("a twin whose place is taken goes on recording".to_owned())
    }

    /// Yesterday's copy of the data, today's keys.
    async fn restored(&mut self) -> Result<(), String> {
        let code = *self.chance.pick(&self.offices.of_tier("township"));
        let (older, newer) = (self.offices.folder.join("older"), self.offices.folder.join("newer"));
        let data = self.offices.seats[code].config.data.clone();
        self.offices.kill(code).await;
        copy(&data, &older);
        self.offices.start(code).await;
        self.work_for(3_000).await;
        self.offices.kill(code).await;
        copy(&data, &newer);
        copy(&older, &data);
        self.offices.start(code).await;
        let clerk = self.clerks.iter().find(|clerk| clerk.code == code).unwrap().clone();
        for _ in 0..600 {
            match clerk.get("COM", "/health/ready").await {
                Some(ready) if ready["status"] == "ready" && ready["link"] == "up" => {
                    return Ok(());
                }
                _ => self.work_for(100).await,
            }
        }
        // So that the run goes on: what the runbook says today.
        self.offices.kill(code).await;
        copy(&newer, &data);
        self.offices.start(code).await;
        self.ledger
            .wrong(format!("{code}: put back to an older copy, it does not come back by itself"));
        Ok(())
    }
}

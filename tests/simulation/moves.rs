//! What happens next: a clerk acts, a loop takes its turn, or something breaks.

use std::{path::Path, sync::atomic::Ordering};

use domain::directory::{Command, Move};
use kernel::{Actor, Code, Timestamp, id::Tier};
use messaging::link::{Hub, Outgoing, Stream};

use super::{
    World,
    work::{self, Attempt},
    world::directory,
};

const DAY: i64 = 24 * 3600 * 1000;

impl World {
    /// One move.
    pub(super) async fn step(&mut self) -> Result<(), String> {
        let at = self.chance.index(self.nodes.len());
        self.now += i64::try_from(self.chance.index(90_000)).unwrap_or(0);
        self.set_clocks();
        if self.nodes[at].open.is_none() {
            if self.chance.once_in(3) {
                self.start(at).await;
                self.counts.count("restarts");
            }
            return Ok(());
        }
        match self.chance.index(100) {
            0..=29 => self.command(at).await?,
            30..=34 => self.repeat(at).await?,
            35..=54 => drop(self.nodes[at].relay().await),
            55..=74 => drop(self.nodes[at].intake().await),
            75..=80 => self.nodes[at].notes(Timestamp(self.now)).await,
            81..=82 => self.nodes[at].read_again().await,
            83 => self.nodes[at].ask_again(),
            84..=85 => self.toggle(at),
            86..=88 => self.die_soon(at),
            89 => self.kill_now(at),
            90..=91 => self.replay(at).await,
            92 => self.skew_clock(at),
            93 => self.junk(at).await,
            94 if self.chance.once_in(2) => self.move_township().await,
            94 => self.break_hub().await,
            95 => self.copy(at).await,
            96 => self.put_back(at).await,
            _ => self.copy_hub(),
        }
        if self.nodes[at].mood.is_dead() {
            self.kill(at);
        }
        Ok(())
    }

    /// The city puts a township below the other district, or back.
    async fn move_township(&mut self) {
        let Some(office) = self.nodes[0].office().filter(|office| office.refusing().is_none())
        else {
            return;
        };
        let towns = self.nodes.iter().filter(|node| node.service.tier == Tier::Township);
        let towns: Vec<_> = towns.map(|node| node.id.clone()).collect();
        let to = &self.nodes[1 + self.chance.index(2)].id;
        let called = Move {
            office: towns[self.chance.index(towns.len())].clone(),
            parent: to.clone(),
            until: Vec::new(),
            baselines: Vec::new(),
        };
        let city = &self.nodes[0].id;
        let calling = directory(city, Command::CallMove { called });
        match office.clone().system(calling).await {
            Ok(_) => self.counts.count("moves called, some of them once more"),
            Err(_) => self.counts.count("moves refused"),
        }
    }

    /// A clerk tries something new.
    async fn command(&mut self, at: usize) -> Result<(), String> {
        let number = self.chance.index(12);
        let kind = self.chance.index(4);
        // Most clerks do the next step of a matter, some any.
        let next = self.steps.get(&(at, kind.max(1), number)).copied().unwrap_or(0);
        let step = if self.chance.once_in(6) { self.chance.index(5) } else { next };
        let node = &self.nodes[at];
        let below: Vec<_> = self
            .nodes
            .iter()
            .filter(|other| other.above().as_ref() == Some(&node.id))
            .map(|other| other.id.clone())
            .collect();
        let act = match (&node.above(), below.is_empty(), kind) {
            (Some(parent), _, 0 | 1) => work::filing(&node.id, parent, number, step),
            (Some(parent), true, _) => work::rectification(&node.id, parent, number, step.min(1)),
            (_, false, 2) => {
                let child = self.chance.index(below.len());
                work::judgement(&self.nodes[at].id, &below[child], number)
            }
            (_, false, _) => {
                let child = self.chance.index(below.len());
                work::finding(&self.nodes[at].id, &below[child], number, step)
            }
            (None, true, _) => return Ok(()),
        };
        let key = format!("k{}", self.attempts.len());
        let actor = Actor { person: format!("p{}", step % 2), role: "X".to_owned() };
        self.attempts.push(Attempt { node: at, key, actor, act, answer: None, seen: false });
        let index = self.attempts.len() - 1;
        self.try_it(index).await?;
        if self.attempts[index].answer.is_some() {
            self.steps.insert((at, kind.max(1), number), step + 1);
        }
        Ok(())
    }

    /// A clerk repeats something, answered or not, with the same key.
    async fn repeat(&mut self, at: usize) -> Result<(), String> {
        let own: Vec<usize> =
            (0..self.attempts.len()).filter(|index| self.attempts[*index].node == at).collect();
        if own.is_empty() {
            return Ok(());
        }
        let chosen = self.chance.index(own.len());
        self.counts.count("commands repeated");
        self.try_it(own[chosen]).await
    }

    async fn try_it(&mut self, index: usize) -> Result<(), String> {
        let attempt = self.attempts[index].clone();
        let Some(office) = self.nodes[attempt.node].office().cloned() else { return Ok(()) };
        let (key, act) = (Some(attempt.idempotency()), attempt.act.clone());
        let outcome = office.command(attempt.actor.clone(), None, key, act).await;
        // One answer in eight is lost on its way to the clerk.
        let seen = !self.chance.once_in(8);
        match outcome {
            Ok(answer) => {
                self.counts.count("commands done");
                if let Some(first) = &attempt.answer
                    && *first != answer
                {
                    return Err(format!("{} was answered differently", attempt.key));
                }
                let known = &mut self.attempts[index];
                known.answer = Some(answer);
                known.seen |= seen;
            }
            Err(refusal) => {
                self.counts.count("commands refused");
                let waits = matches!(
                    refusal.code,
                    Code::LogBehind | Code::ClockBehind | Code::Stopped | Code::Busy
                );
                if attempt.answer.is_some() && !waits {
                    return Err(format!("{} was done and is refused: {refusal}", attempt.key));
                }
            }
        }
        Ok(())
    }

    /// Every clerk who saw no answer asks once more.
    pub(super) async fn repeat_unseen(&mut self) -> Result<(), String> {
        for index in 0..self.attempts.len() {
            if !self.attempts[index].seen && self.attempts[index].answer.is_some() {
                self.try_it(index).await?;
            }
        }
        Ok(())
    }

    /// Every clerk asks once more for what was done: the answers are the first ones,
    /// and nothing is recorded.
    pub(super) async fn repeat_answered(&mut self) -> Result<(), String> {
        let heads = |world: &Self| -> Vec<Option<u64>> {
            world.nodes.iter().map(|node| node.office().map(event_store::Office::head)).collect()
        };
        let before = heads(self);
        for index in 0..self.attempts.len() {
            if self.attempts[index].answer.is_some() {
                self.try_it(index).await?;
            }
        }
        if heads(self) == before { Ok(()) } else { Err("asking again recorded something".into()) }
    }

    fn toggle(&mut self, at: usize) {
        let mood = self.nodes[at].mood.clone();
        if mood.cut.swap(false, Ordering::Relaxed) || mood.deaf.swap(false, Ordering::Relaxed) {
            return;
        }
        let (which, name) = match self.chance.index(2) {
            0 => (&mood.cut, "links cut"),
            _ => (&mood.deaf, "answers lost (one-way cut)"),
        };
        which.store(true, Ordering::Relaxed);
        self.counts.count(name);
    }

    fn die_soon(&mut self, at: usize) {
        let after = i64::try_from(self.chance.index(4)).unwrap_or(0) + 1;
        self.nodes[at].mood.dies_in.store(after, Ordering::Relaxed);
        self.counts.count("deaths in the middle of a turn");
    }

    fn kill_now(&mut self, at: usize) {
        self.kill(at);
        self.counts.count("deaths between turns");
    }

    /// The network repeats an old request.
    async fn replay(&mut self, at: usize) {
        let asked = self.nodes[at].mood.asked.lock().unwrap().clone();
        let ingest = self.ingest.lock().unwrap().clone();
        if let (Some(ingest), false) = (ingest, asked.is_empty()) {
            let body = &asked[self.chance.index(asked.len())];
            ingest.answer(&self.nodes[at].id, body).await;
            self.counts.count("requests repeated by the network");
        }
    }

    fn skew_clock(&mut self, at: usize) {
        let years = i64::try_from(self.chance.index(21)).unwrap_or(0) - 10;
        self.skew[at] = if self.skew[at] == 0 { years * 365 * DAY } else { 0 };
        self.counts.count("clocks set off by years");
    }

    /// Something that is no entry, or not of its signer, or not for this reader.
    async fn junk(&mut self, at: usize) {
        let subject = format!("ev.zzzzzzz9.to-{}.filing", self.nodes[at].id);
        let payload = match (self.chance.index(3), self.hub.last(Stream::History, ">").await) {
            (0, _) | (_, Ok(None) | Err(_)) => b"{\"stream\":\"HISTORY\"}".to_vec(),
            (1, Ok(Some(stored))) => stored.payload.to_vec(),
            (_, Ok(Some(stored))) => {
                let mut bytes = stored.payload.to_vec();
                let bit = self.chance.index(bytes.len() * 8);
                bytes[bit / 8] ^= 1 << (bit % 8);
                bytes
            }
        };
        self.hub.inject(Stream::History, Outgoing { subject, other: 0, payload: payload.into() });
        self.counts.count("forged or misplaced messages");
    }

    /// The hub loses its tail, is put back, or is wiped: unless an office is just
    /// fetching its log from there.
    async fn break_hub(&mut self) {
        if self.nodes.iter().any(|node| node.open.is_none() || node.is_behind()) {
            return;
        }
        match self.chance.index(3) {
            0 => {
                for stream in [Stream::History, Stream::Safe, Stream::Attest] {
                    let count = self.hub.count(stream);
                    self.hub.cut(stream, self.chance.index(count + 1));
                }
                self.counts.count("hub lost its tail");
            }
            1 => {
                let Some(state) = self.hub_copy.take() else { return };
                self.hub.put_back(state);
                self.counts.count("hub put back");
            }
            _ => {
                self.hub.put_back(messaging::memory::State::default());
                self.counts.count("hub wiped");
            }
        }
        // The city starts again with its hub: it makes the readers that are missing.
        self.make_readers().await;
        self.kill(0);
        self.start(0).await;
        // A copy made before the hub's loss may hold less than the hub does not hold either.
        self.copies.clear();
    }

    fn copy_hub(&mut self) {
        self.hub_copy = Some(self.hub.copy());
    }

    /// Yesterday's copy of an office's store, made while it is closed.
    async fn copy(&mut self, at: usize) {
        self.close(at).await;
        let to = self.nodes[at].folder.join("copy");
        let _ = std::fs::remove_dir_all(&to);
        copy_folder(&self.nodes[at].data(), &to);
        self.copies.insert(at, to);
        self.start(at).await;
    }

    /// An office comes back from yesterday's copy, or from nothing. Only what the hub
    /// holds can come back, so nothing unsent may be thrown away here.
    async fn put_back(&mut self, at: usize) {
        let Some(office) = self.nodes[at].office() else { return };
        let (head, id) = (office.head(), office.setting().office.clone());
        let mut held = 0;
        for (stream, subject) in
            [(Stream::History, format!("*.{id}.>")), (Stream::Safe, format!("safe.{id}"))]
        {
            let mut from = 0;
            while let Ok(Some(stored)) = self.hub.next(stream, &subject, from).await {
                (held, from) = (held + 1, stored.sequence + 1);
            }
        }
        if held != head || self.nodes[at].is_behind() {
            return;
        }
        self.close(at).await;
        let data = self.nodes[at].data();
        std::fs::remove_dir_all(&data).unwrap();
        if let Some(copy) = self.copies.get(&at).filter(|_| !self.chance.once_in(3)) {
            copy_folder(copy, &data);
            self.counts.count("offices put back to an older copy");
        } else {
            self.counts.count("offices that lost their store");
        }
        // The answers of the lost span are gone with it; their clerks do not ask again.
        self.attempts.retain(|attempt| attempt.node != at);
        self.start(at).await;
    }

    async fn close(&mut self, at: usize) {
        self.kill(at);
        let lock = self.nodes[at].data().join("lock");
        while std::fs::File::open(&lock).is_ok_and(|file| file.try_lock().is_err()) {
            tokio::task::yield_now().await;
        }
    }

    /// Everything that is broken is mended: from here on all must come right.
    pub(super) async fn heal(&mut self) {
        for at in 0..self.nodes.len() {
            self.nodes[at].mood.mend();
            if self.nodes[at].open.is_none() {
                self.start(at).await;
            }
        }
        let ahead = self.skew.iter().max().copied().unwrap_or(0).max(0);
        self.now += ahead + 20 * 365 * DAY;
        self.skew.fill(0);
        self.set_clocks();
    }
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().is_ok_and(|kind| kind.is_file()) && entry.file_name() != "lock" {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

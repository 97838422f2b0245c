//! The one writer of an office: a bounded queue, one transaction, many commands.
//!
//! What a reader would get wrong: an error at the commit leaves the outcome
//! unknown. The writer then answers "stopped", throws its memory away and opens
//! the store again from disk; callers ask again with the same key.

use std::{
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use kernel::{Actor, Day, Refusal, refusal::Code};
use tokio::sync::{mpsc, oneshot, watch};

use crate::{
    Setting, StoreError,
    answers::{self, Answer, Given, Idempotency},
    batch::{Delta, Head},
    flush,
    office::{Condition, Life},
    opened::Opened,
    rebuild::{self, Progress},
    unit::{Act, Stop, Unit},
};
use telemetry::{
    figures::Figures,
    way::{self, Caller, Step},
};

/// The most commands in one transaction.
const MOST: usize = 256;

/// What the writer is asked to do.
pub(crate) enum Work {
    /// Run a command.
    Act(Act),
    /// Work on the store itself, which decides nothing and need not wait for leave to record.
    Upkeep(Act),
    /// Serve the generation of view rows that was folded beside.
    Swap(u64),
}

/// One request to the writer.
pub(crate) struct Job {
    pub(crate) actor: Actor,
    pub(crate) act_date: Option<Day>,
    pub(crate) key: Option<Idempotency>,
    pub(crate) work: Work,
    pub(crate) caller: Option<Caller>,
    pub(crate) reply: oneshot::Sender<Result<Answer, Refusal>>,
}

/// The writer's side of an office.
pub(crate) struct Writer {
    pub(crate) setting: Arc<Setting>,
    pub(crate) jobs: mpsc::Receiver<Job>,
    pub(crate) head: watch::Sender<u64>,
    pub(crate) hold: Arc<RwLock<Option<Code>>>,
    pub(crate) commits: Arc<AtomicU64>,
    pub(crate) progress: Arc<watch::Sender<Option<Progress>>>,
    pub(crate) condition: watch::Sender<Condition>,
    pub(crate) life: watch::Sender<Life>,
    pub(crate) figures: Arc<Figures>,
    pub(crate) open: Option<Opened>,
}

type Outcome = Result<Answer, Stop>;

impl Writer {
    /// Works until every handle of the office is gone.
    pub(crate) async fn run(mut self) {
        loop {
            let Some(mut open) = self.open.take() else {
                match Opened::open(&self.setting).await {
                    Ok(open) => {
                        self.turned(open.head());
                        self.condition.send_replace(Condition::Sound);
                        self.open = Some(open);
                    }
                    Err(error) => {
                        tracing::error!(office = %self.setting.office, error = &error as &dyn std::error::Error, "the store does not open");
                        self.answer_stopped();
                        tokio::time::sleep(Duration::from_secs(1)).await;
                        if self.jobs.is_closed() {
                            return;
                        }
                    }
                }
                continue;
            };
            match self.serve(&mut open).await {
                None => return open.conn.close().await,
                Some(error) => {
                    self.condition.send_replace(Condition::Stopped);
                    tracing::error!(office = %self.setting.office, error = &error as &dyn std::error::Error, "the office stops and recovers from disk");
                    open.conn.close().await;
                }
            }
        }
    }

    fn answer_stopped(&mut self) {
        while let Ok(job) = self.jobs.try_recv() {
            let _ = job.reply.send(Err(Code::Stopped.into()));
        }
    }

    /// Serves until the queue closes (`None`) or the store fails.
    async fn serve(&mut self, open: &mut Opened) -> Option<StoreError> {
        loop {
            let first = self.jobs.recv().await?;
            // Whoever is about to ask gets the chance to share this commit.
            tokio::task::yield_now().await;
            let mut jobs = vec![first];
            while jobs.len() < MOST {
                let Ok(job) = self.jobs.try_recv() else { break };
                jobs.push(job);
            }
            // A swap has its transaction to itself: the batch is folded before or after it.
            let (swaps, jobs): (Vec<_>, Vec<_>) =
                jobs.into_iter().partition(|job| matches!(job.work, Work::Swap(_)));
            for jobs in [jobs, swaps] {
                if !jobs.is_empty()
                    && let Some(error) = self.serve_batch(open, jobs).await
                {
                    return Some(error);
                }
            }
        }
    }

    async fn serve_batch(&self, open: &mut Opened, jobs: Vec<Job>) -> Option<StoreError> {
        match self.transact(open, &jobs).await {
            Ok(outcomes) => {
                // Whoever is answered finds the head where the answer says it is.
                let sequence = open.committed.head.sequence;
                self.head.send_if_modified(|head| std::mem::replace(head, sequence) != sequence);
                answer(jobs, outcomes);
                None
            }
            Err(StoreError::Statement(_)) if jobs.len() > 1 => {
                // One of them is at fault: alone, only that one fails.
                for job in jobs {
                    let failed = Box::pin(self.serve_batch(open, vec![job])).await;
                    if failed.is_some() {
                        return failed;
                    }
                }
                None
            }
            Err(error) => {
                if matches!(error, StoreError::Full) {
                    self.condition.send_replace(Condition::Full);
                }
                let (code, fatal) = match &error {
                    StoreError::Full => (Code::DiskFull, false),
                    StoreError::Statement(_) | StoreError::Unfit(_) => (Code::Internal, false),
                    _ => (Code::Stopped, true),
                };
                tracing::error!(office = %self.setting.office, error = &error as &dyn std::error::Error, "a batch was rolled back");
                for job in jobs {
                    let _ = job.reply.send(Err(code.into()));
                }
                fatal.then_some(error)
            }
        }
    }

    /// Runs a batch in one transaction. On an error nothing of it remains.
    async fn transact(&self, open: &mut Opened, jobs: &[Job]) -> Result<Vec<Outcome>, StoreError> {
        open.conn.begin().await?;
        match self.attempt(open, jobs).await {
            Ok(outcomes) => Ok(outcomes),
            Err(error) => {
                open.conn.rollback().await;
                Err(error)
            }
        }
    }

    async fn attempt(&self, open: &mut Opened, jobs: &[Job]) -> Result<Vec<Outcome>, StoreError> {
        let mut outcomes = Vec::with_capacity(jobs.len());
        let keys: Vec<&str> =
            jobs.iter().filter_map(|job| job.key.as_ref()).map(|key| key.scope.as_str()).collect();
        let given = answers::given(&mut open.conn, &keys).await?;
        let began = Instant::now();
        let mut unit = Unit::new(&self.setting, &mut open.conn, &open.committed);
        unit.rebuilding = self.progress.borrow().is_some();
        for job in jobs {
            let outcome = match &job.work {
                Work::Act(act) => match answered(&unit, job.key.as_ref(), &given) {
                    Ok(None) => match self.refused(&mut unit) {
                        None => self.one(&mut unit, job, act).await,
                        Some(code) => Err(code.into()),
                    },
                    Ok(Some(answer)) => Ok(answer),
                    Err(code) => Err(code.into()),
                },
                Work::Upkeep(act) => self.one(&mut unit, job, act).await,
                Work::Swap(generation) => return self.swap(open, *generation).await,
            };
            match outcome {
                // A failed statement spoils the transaction: nobody goes on in it.
                Err(Stop::Failed(
                    error @ (StoreError::Statement(_) | StoreError::Broken(_) | StoreError::Full),
                )) => return Err(error),
                outcome => outcomes.push(outcome),
            }
        }
        let fetched = std::mem::take(&mut unit.fetched);
        let batch = unit.stack.pop().unwrap_or_default();
        if batch.is_empty() {
            open.conn.rollback().await;
            open.committed.rows.remember(fetched);
            return Ok(outcomes);
        }
        flush::flush(&mut open.conn, &batch, open.fence, open.committed.generation).await?;
        open.conn.commit().await.map_err(as_broken)?;
        self.commits.fetch_add(1, Ordering::Relaxed);
        self.committed(&batch, jobs.len(), began);
        self.setting.clock.drive(batch.head.recorded);
        self.turned(&batch.head);
        open.committed.rows.remember(fetched);
        open.committed.absorb(batch);
        Ok(outcomes)
    }

    /// Serves the rows that were folded beside.
    async fn swap(&self, open: &mut Opened, beside: u64) -> Result<Vec<Outcome>, StoreError> {
        flush::fenced(&mut open.conn, open.fence).await?;
        let Some(served) = rebuild::swap(&self.setting, &mut open.conn, beside).await? else {
            open.conn.rollback().await;
            return Ok(vec![Ok(rebuild::done(rebuild::GOING_ON))]);
        };
        open.conn.commit().await.map_err(as_broken)?;
        open.committed.rows.clear();
        open.committed.generation = served.generation;
        Ok(vec![Ok(rebuild::done(rebuild::ENDED))])
    }

    /// Why nothing may be recorded now, if nothing may; sets the time of the command.
    fn refused(&self, unit: &mut Unit<'_>) -> Option<Code> {
        if let Some(code) = *self.hold.read().unwrap_or_else(PoisonError::into_inner) {
            return Some(code);
        }
        unit.now = self.setting.clock.now();
        let recorded = unit.top().head.recorded;
        if self.setting.clock.is_driven() {
            // A command of this batch may just have driven the clock.
            unit.now = unit.now.max(recorded);
        }
        (unit.now < recorded).then_some(Code::ClockBehind)
    }

    /// Runs one command on top of the batch so far.
    async fn one(&self, unit: &mut Unit<'_>, job: &Job, act: &Act) -> Outcome {
        unit.actor = job.actor.clone();
        unit.act_date = job.act_date;
        unit.cause = None;
        unit.caller = job.caller;
        unit.depth = 0;
        unit.push();
        let outcome = match act(unit).await {
            Ok(answer) => unit.react().await.map(|()| answer),
            Err(stop) => Err(stop),
        };
        if let Ok(answer) = &outcome {
            if let Some(key) = &job.key {
                unit.top().answers.push((key.clone(), answer.clone()));
            }
            unit.accept();
        } else {
            unit.stack.truncate(1);
        }
        outcome
    }
}

impl Writer {
    /// The key that signs from now on signs the office's notes too.
    fn turned(&self, head: &Head) {
        let (signer, parent) = (head.signer, head.parent.clone());
        let life = Life { epoch: head.epoch, signer, parent };
        let changed = self.life.send_if_modified(|now| {
            let other = *now != life;
            *now = life;
            other
        });
        if changed {
            self.setting.key.turn_to(&head.signer);
        }
    }

    /// Says what was committed to whoever counts or traces it.
    fn committed(&self, batch: &Delta, commands: usize, began: Instant) {
        self.figures.committed(commands);
        if *self.condition.borrow() != Condition::Sound {
            self.condition.send_replace(Condition::Sound);
        }
        if way::is_on() {
            let office = self.setting.office.as_str();
            for new in &batch.entries {
                way::passed(Step::Record, &new.fact, office, began, new.caller);
            }
            for new in batch.received.iter().filter(|new| new.folded) {
                way::passed(Step::Fold, &new.fact, office, began, None);
            }
        }
    }
}

/// The answer that this key was given before, in this batch or an earlier one.
fn answered(
    unit: &Unit<'_>,
    key: Option<&Idempotency>,
    given: &Given,
) -> Result<Option<Answer>, Code> {
    let Some(key) = key else { return Ok(None) };
    let mut in_batch = unit.stack.iter().flat_map(|delta| &delta.answers);
    let found = in_batch
        .find(|(of, _)| of.scope == key.scope)
        .map(|(of, answer)| (of.body_hash, answer))
        .or_else(|| given.get(&key.scope).map(|(hash, answer)| (*hash, answer)));
    match found {
        Some((hash, _)) if hash != key.body_hash => Err(Code::KeyReused),
        found => Ok(found.map(|(_, answer)| answer.clone())),
    }
}

fn answer(jobs: Vec<Job>, outcomes: Vec<Outcome>) {
    for (job, outcome) in jobs.into_iter().zip(outcomes) {
        let outcome = outcome.map_err(|stop| match stop {
            Stop::Refused(refusal) => refusal,
            Stop::Failed(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "a command failed");
                Code::Internal.into()
            }
        });
        let _ = job.reply.send(outcome);
    }
}

/// Whatever a commit says, its outcome is unknown.
fn as_broken(error: StoreError) -> StoreError {
    match error {
        StoreError::Statement(error) => StoreError::Broken(error),
        other => other,
    }
}

//! The handle of one office's store.

use std::{
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use kernel::{Actor, Day, OfficeId, Refusal, refusal::Code, sign::KeyId};
use telemetry::{figures::Figures, way};
use tokio::sync::{mpsc, oneshot, watch};

use crate::{
    Reader, Setting, Standpoint, StoreError,
    answers::{Answer, Idempotency},
    backfill::{self, Backfilled},
    check::{self, Difference},
    opened::Opened,
    past::{Laying, Moment, NoPast, Past, Pasts},
    rebuild::{Progress, Rebuild},
    unit::Act,
    writer::{Job, Work, Writer},
};

/// What a command comes to.
pub type Outcome = Result<Answer, Refusal>;

/// How the store is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// The last commit went through.
    Sound,
    /// There was no space for the last one; reading goes on.
    Full,
    /// The disk or the connection failed, and the store is not open again yet.
    Stopped,
}

/// Which life of its log the office is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Life {
    /// The life: 1, and one more each time that a log was lost.
    pub epoch: u32,
    /// The key that signs the next entry.
    pub signer: KeyId,
    /// The office that it reports to.
    pub parent: Option<OfficeId>,
}

/// How many commands may wait.
const QUEUE: usize = 1024;

/// The handle; clones share the one writer.
#[derive(Clone)]
pub struct Office {
    setting: Arc<Setting>,
    jobs: mpsc::Sender<Job>,
    head: watch::Receiver<u64>,
    hold: Arc<RwLock<Option<Code>>>,
    commits: Arc<AtomicU64>,
    progress: Arc<watch::Sender<Option<Progress>>>,
    condition: watch::Receiver<Condition>,
    life: watch::Receiver<Life>,
    figures: Arc<Figures>,
    pasts: Arc<Pasts>,
}

impl std::fmt::Debug for Office {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Office({})", self.setting.office)
    }
}

impl Office {
    /// Opens the store and starts its writer on the current runtime. The writer
    /// ends when the last handle is dropped.
    pub async fn open(setting: Setting) -> Result<Self, StoreError> {
        let setting = Arc::new(setting);
        let open = Opened::open(&setting).await?;
        let (jobs, queue) = mpsc::channel(QUEUE);
        let at = open.head().clone();
        let (head_out, head) = watch::channel(at.sequence);
        let (life_out, life) =
            watch::channel(Life { epoch: at.epoch, signer: at.signer, parent: at.parent });
        let hold = Arc::new(RwLock::new(None));
        let commits = Arc::new(AtomicU64::new(0));
        let stale = open.stale;
        let progress = Arc::new(watch::Sender::new(stale.then(Progress::default)));
        let figures = Arc::new(Figures::new(setting.office.as_str()));
        let (condition_out, condition) = watch::channel(Condition::Sound);
        let writer = Writer {
            setting: setting.clone(),
            jobs: queue,
            head: head_out,
            hold: hold.clone(),
            commits: commits.clone(),
            progress: progress.clone(),
            condition: condition_out,
            life: life_out,
            figures: figures.clone(),
            open: Some(open),
        };
        tokio::spawn(writer.run());
        let laying =
            Laying { setting: setting.clone(), jobs: jobs.downgrade(), head: head.clone() };
        let pasts = Arc::new(Pasts::new(laying));
        let office =
            Self { setting, jobs, head, hold, commits, progress, condition, life, figures, pasts };
        let rebuild = office.fold();
        if stale {
            tokio::spawn(rebuild.run());
        } else {
            tokio::spawn(async move { rebuild.sweep().await });
        }
        Ok(office)
    }

    /// The office's setting.
    pub fn setting(&self) -> &Setting {
        &self.setting
    }

    /// The last committed own sequence.
    pub fn head(&self) -> u64 {
        *self.head.borrow()
    }

    /// Which life of its log the office is in.
    pub fn life(&self) -> Life {
        self.life.borrow().clone()
    }

    /// Where the office stands in the tree, by what is committed.
    pub fn here(&self) -> Standpoint {
        self.setting.below(self.life.borrow().parent.clone())
    }

    /// Whether the key that signs the next entry is here.
    pub fn has_key(&self) -> bool {
        self.setting.key.by(&self.life().signer).is_some()
    }

    /// How many transactions were committed since the store was opened.
    pub fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    /// How the store is.
    pub fn condition(&self) -> Condition {
        *self.condition.borrow()
    }

    /// How many commands wait for the writer, and how many may.
    pub fn queue(&self) -> (usize, usize) {
        let most = self.jobs.max_capacity();
        (most - self.jobs.capacity(), most)
    }

    /// What is counted.
    pub fn figures(&self) -> &Figures {
        &self.figures
    }

    /// Wakes whoever waits for new entries.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.head.clone()
    }

    /// Makes the office refuse to record, or lets it record again.
    pub fn refuse(&self, code: Option<Code>) {
        *self.hold.write().unwrap_or_else(PoisonError::into_inner) = code;
    }

    /// Why the office refuses to record, if it does.
    pub fn refusing(&self) -> Option<Code> {
        *self.hold.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a command; the answer comes after the commit.
    pub async fn command(
        &self,
        actor: Actor,
        act_date: Option<Day>,
        key: Option<Idempotency>,
        act: Act,
    ) -> Outcome {
        self.submit(actor, act_date, key, Work::Act(act), false).await
    }

    /// Runs a command of the system itself; it waits for its place in the queue.
    pub async fn system(&self, act: Act) -> Outcome {
        self.submit(Actor::system(), None, None, Work::Act(act), true).await
    }

    /// Runs what puts a lost part of the log back: the one thing that an office
    /// does while it does not record.
    pub async fn recover(&self, act: Act) -> Outcome {
        self.submit(Actor::system(), None, None, Work::Upkeep(act), true).await
    }

    /// Begins to fold the views again beside the served ones, unless that is under way.
    pub fn rebuild(&self) {
        let begins = self.progress.send_if_modified(|now| {
            let idle = now.is_none_or(|now| now.failed);
            if idle {
                *now = Some(Progress::default());
            }
            idle
        });
        if begins {
            tokio::spawn(self.fold().run());
        }
    }

    /// How far the views are folded again, if they are.
    pub fn rebuilding(&self) -> Option<Progress> {
        *self.progress.borrow()
    }

    /// Waits until no view is folded again; refused if a fold failed.
    pub async fn settled(&self) -> Result<(), Refusal> {
        let mut progress = self.progress.subscribe();
        let ended = progress.wait_for(|now| now.is_none_or(|now| now.failed)).await;
        match ended.map(|now| *now) {
            Ok(None) => Ok(()),
            Ok(Some(_)) => Err(Refusal::new(Code::Rebuilding).detail("a fold failed; see the log")),
            Err(_) => Err(Code::Stopped.into()),
        }
    }

    /// Folds the views again and waits for it.
    pub async fn refold(&self) -> Result<(), Refusal> {
        self.rebuild();
        self.settled().await
    }

    /// Runs one named rule over everything that happened before.
    pub async fn backfill(&self, rule: &str) -> Result<Backfilled, Refusal> {
        backfill::run(self, rule).await
    }

    fn fold(&self) -> Rebuild {
        Rebuild {
            setting: self.setting.clone(),
            jobs: self.jobs.downgrade(),
            head: self.head.clone(),
            progress: self.progress.clone(),
        }
    }

    async fn submit(
        &self,
        actor: Actor,
        act_date: Option<Day>,
        key: Option<Idempotency>,
        work: Work,
        wait: bool,
    ) -> Outcome {
        let by = if wait { "system" } else { "person" };
        let (reply, answer) = oneshot::channel();
        let job = Job { actor, act_date, key, work, caller: way::caller(), reply };
        let queued = if wait {
            self.jobs.send(job).await.map_err(|_| Code::Stopped)
        } else {
            self.jobs.try_send(job).map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => Code::Busy,
                mpsc::error::TrySendError::Closed(_) => Code::Stopped,
            })
        };
        let outcome = match queued {
            Ok(()) => answer.await.unwrap_or_else(|_| Err(Code::Stopped.into())),
            Err(code) => Err(code.into()),
        };
        self.figures.commanded(by, outcome.as_ref().err().map_or("done", |no| no.code.slug()));
        outcome
    }

    /// A reading connection.
    pub async fn reader(&self) -> Result<Reader, StoreError> {
        let began = Instant::now();
        let mut reader = self.setting.readers.take(&self.setting.engine).await?;
        self.figures.waited(began.elapsed());
        reader.rebuilding = self.rebuilding().is_some();
        Ok(reader)
    }

    /// The views as they were; what takes longer is laid out first, and asked for again.
    pub async fn past(&self, moment: Moment) -> Result<Arc<Past>, NoPast> {
        self.pasts.look(moment).await
    }

    /// How far the past is laid out, while it is.
    pub fn laying(&self) -> Option<Progress> {
        self.pasts.progress()
    }

    /// Compares every view with a fresh fold; the first difference, if any.
    pub async fn check_views(&self) -> Result<Option<Difference>, StoreError> {
        if self.rebuilding().is_some() {
            return Err(StoreError::Rebuilding);
        }
        check::check(&self.setting.engine, &self.setting.views).await
    }
}

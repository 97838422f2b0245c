//! The handle of one office's store.

use std::sync::{
    Arc, PoisonError, RwLock,
    atomic::{AtomicU64, Ordering},
};

use kernel::{Actor, Day, Refusal, refusal::Code};
use tokio::sync::{mpsc, oneshot, watch};

use crate::{
    Reader, Setting, StoreError,
    answers::{Answer, Idempotency},
    rebuild::{self, Difference},
    unit::Act,
    writer::{Job, Opened, Work, Writer},
};

/// What a command comes to.
pub type Outcome = Result<Answer, Refusal>;

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
        let (head_out, head) = watch::channel(open.sequence());
        let hold = Arc::new(RwLock::new(None));
        let commits = Arc::new(AtomicU64::new(0));
        let writer = Writer {
            setting: setting.clone(),
            jobs: queue,
            head: head_out,
            hold: hold.clone(),
            commits: commits.clone(),
            open: Some(open),
        };
        tokio::spawn(writer.run());
        Ok(Self { setting, jobs, head, hold, commits })
    }

    /// The office's setting.
    pub fn setting(&self) -> &Setting {
        &self.setting
    }

    /// The last committed own sequence.
    pub fn head(&self) -> u64 {
        *self.head.borrow()
    }

    /// How many transactions were committed since the store was opened.
    pub fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
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
        self.submit(Actor::system(), None, None, Work::Recover(act), true).await
    }

    /// Empties the views and folds them again.
    pub async fn refold(&self) -> Outcome {
        self.submit(Actor::system(), None, None, Work::Refold, true).await
    }

    async fn submit(
        &self,
        actor: Actor,
        act_date: Option<Day>,
        key: Option<Idempotency>,
        work: Work,
        wait: bool,
    ) -> Outcome {
        let (reply, answer) = oneshot::channel();
        let job = Job { actor, act_date, key, work, reply };
        if wait {
            self.jobs.send(job).await.map_err(|_| Refusal::new(Code::Stopped))?;
        } else {
            self.jobs.try_send(job).map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => Refusal::new(Code::Busy),
                mpsc::error::TrySendError::Closed(_) => Refusal::new(Code::Stopped),
            })?;
        }
        answer.await.unwrap_or_else(|_| Err(Code::Stopped.into()))
    }

    /// A reading connection.
    pub async fn reader(&self) -> Result<Reader, StoreError> {
        self.setting.readers.take(&self.setting.engine).await
    }

    /// Compares every view with a fresh fold; the first difference, if any.
    pub async fn check_views(&self) -> Result<Option<Difference>, StoreError> {
        rebuild::check(&self.setting.engine, &self.setting.views).await
    }
}

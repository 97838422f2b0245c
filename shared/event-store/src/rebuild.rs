//! Folding the views again, beside those that are served.
//!
//! A view that changed, or an operator's word, starts it: everything is folded from
//! the start of the log in slices on a reading connection, written by the writer in
//! small pieces, each with how far it has come, and swapped in by one short
//! transaction that folds the last few entries. What a reader would get wrong: until
//! the swap the old rows are served, and new facts are folded into them as well.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use kernel::{Actor, Code, Refusal};
use serde::Serialize;
use tokio::{
    sync::{Semaphore, mpsc, oneshot, watch},
    task::JoinHandle,
};

use crate::{
    Answer, Setting, StoreError, Unit, act,
    db::Conn,
    flush,
    fold::{Fold, FoldFailed, Kept},
    replay::{self, Place, Slice},
    rows::Layer,
    served::{self, Served},
    unit::Act,
    writer::{Job, Work},
};

/// How far a rebuild has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// The last own entry that was folded.
    pub done: u64,
    /// The last own entry of the log.
    pub of: u64,
    /// Whether it has stopped at an entry that a fold does not take; the log says which.
    pub failed: bool,
}

/// How many entries a slice has.
const SLICE: u64 = 500;
/// How long it waits after a failure.
const PATIENCE: Duration = Duration::from_secs(1);

/// One rebuild. It holds no handle of the office: it ends with it.
pub(crate) struct Rebuild {
    pub(crate) setting: Arc<Setting>,
    pub(crate) jobs: mpsc::WeakSender<Job>,
    pub(crate) head: watch::Receiver<u64>,
    pub(crate) progress: Arc<watch::Sender<Option<Progress>>>,
}

/// Why it does not get on.
pub(crate) enum Halt {
    /// The office is closed.
    Gone,
    /// The store or the office does not do it now.
    Wait(String),
    /// A fold does not take what is stored.
    Fold(String),
}

impl From<StoreError> for Halt {
    fn from(error: StoreError) -> Self {
        Self::Wait(error.to_string())
    }
}
impl From<FoldFailed> for Halt {
    fn from(failed: FoldFailed) -> Self {
        match failed {
            FoldFailed::Store(error) => error.into(),
            FoldFailed::View { .. } => Self::Fold(failed.to_string()),
        }
    }
}

/// How many of the offices of a process fold their views again at once: each keeps rows.
static AT_ONCE: Semaphore = Semaphore::const_new(2);

impl Rebuild {
    /// Folds until the fresh rows are served, then removes the old ones.
    pub(crate) async fn run(self) {
        let (office, began) = (self.setting.office.clone(), Instant::now());
        tracing::info!(%office, entries = *self.head.borrow(), "the views are folded again beside the served ones");
        loop {
            // After an upgrade every office of the process has one to do.
            let folded = match AT_ONCE.acquire().await {
                Ok(_turn) => self.fold().await,
                Err(_) => Err(Halt::Gone),
            };
            match folded {
                Ok(()) => break,
                Err(Halt::Gone) => return,
                Err(Halt::Wait(why)) => {
                    tracing::warn!(%office, why, "the rebuild waits");
                    tokio::time::sleep(PATIENCE).await;
                }
                Err(Halt::Fold(why)) => {
                    tracing::error!(%office, why, "the rebuild stops; the old views are served");
                    self.progress.send_modify(|now| {
                        *now = Some(Progress { failed: true, ..now.unwrap_or_default() });
                    });
                    return;
                }
            }
        }
        tracing::info!(%office, seconds = began.elapsed().as_secs(), "the fresh views are served");
        self.progress.send_replace(None);
        self.sweep().await;
    }

    /// Removes what no generation needs, piece by piece.
    pub(crate) async fn sweep(&self) {
        let sweeping = act(|unit: &mut Unit<'_>| {
            Box::pin(async move {
                let swept = served::sweep(unit.conn()).await?;
                if swept > 0 {
                    unit.keep_changes();
                }
                Ok(done(if swept > 0 { GOING_ON } else { ENDED }))
            })
        });
        while let Ok(Answer { status: GOING_ON, .. }) =
            self.ask(Work::Upkeep(sweeping.clone())).await
        {}
    }

    /// From where the last rebuild of the same views stopped, or from the start.
    async fn fold(&self) -> Result<(), Halt> {
        self.ask(Work::Upkeep(beginning(served::schema(&self.setting.views)))).await?;
        let mut reader = self.setting.readers.take(&self.setting.engine).await?;
        let Served { beside, mut at, .. } = Served::read(reader.conn()?).await?;
        drop(reader);
        let kept = Kept::stored(beside);
        let mut fold = Fold::over(self.setting.views.clone(), kept, at.sequence == 0);
        let mut said = Instant::now();
        // A slice is read while the one before is folded, and a piece is written while the
        // next is. Two pieces never wait: behind one that failed, nothing is written.
        let mut ahead = self.ahead(at);
        let mut writing = None;
        loop {
            let slice = ahead.await.map_err(|error| Halt::Wait(error.to_string()))??;
            at = slice.at;
            ahead = self.ahead(at);
            let mut reader = self.setting.readers.take(&self.setting.engine).await?;
            fold.take(reader.conn()?, &slice.facts).await?;
            drop(reader);
            let now = Progress { done: at.sequence, of: *self.head.borrow(), failed: false };
            self.progress.send_replace(Some(now));
            if said.elapsed() > Duration::from_secs(5) {
                tracing::info!(office = %self.setting.office, done = now.done, of = now.of, "the views are folded again");
                said = Instant::now();
            }
            if fold.is_full() || slice.last {
                if let Some(before) = writing.take() {
                    answered(before).await?;
                }
                let piece = piece(fold.hand_out(), kept, at);
                writing = Some(self.send(Work::Upkeep(piece)).await?);
            }
            if slice.last && self.ask(Work::Swap(beside)).await?.status == ENDED {
                return Ok(());
            }
        }
    }

    /// Reads the slice behind `at`. A slice a loan: many offices share few connections.
    fn ahead(&self, at: Place) -> JoinHandle<Result<Slice, StoreError>> {
        let setting = self.setting.clone();
        tokio::spawn(async move {
            let mut reader = setting.readers.take(&setting.engine).await?;
            replay::slice(reader.conn()?, at, SLICE).await
        })
    }

    async fn ask(&self, work: Work) -> Result<Answer, Halt> {
        ask(&self.jobs, work).await
    }

    async fn send(&self, work: Work) -> Result<Asked, Halt> {
        send(&self.jobs, work).await
    }
}

/// Asks the writer for a piece of work, and waits for it.
pub(crate) async fn ask(jobs: &mpsc::WeakSender<Job>, work: Work) -> Result<Answer, Halt> {
    answered(send(jobs, work).await?).await
}

async fn send(jobs: &mpsc::WeakSender<Job>, work: Work) -> Result<Asked, Halt> {
    let (reply, answer) = oneshot::channel();
    let (actor, caller) = (Actor::system(), None);
    let job = Job { actor, act_date: None, key: None, work, caller, reply };
    let jobs = jobs.upgrade().ok_or(Halt::Gone)?;
    jobs.send(job).await.map_err(|_| Halt::Gone)?;
    Ok(answer)
}

/// What the writer was asked and has not answered yet.
type Asked = oneshot::Receiver<Result<Answer, Refusal>>;

async fn answered(asked: Asked) -> Result<Answer, Halt> {
    let answer = asked.await.unwrap_or_else(|_| Err(Refusal::new(Code::Stopped)));
    answer.map_err(|refusal| Halt::Wait(refusal.to_string()))
}

/// The answer of work that is done.
pub(crate) const ENDED: u16 = 200;
/// The answer of work that has to be asked for again.
pub(crate) const GOING_ON: u16 = 202;

/// An answer without words.
pub(crate) const fn done(status: u16) -> Answer {
    Answer { status, etag: String::new(), body: Vec::new() }
}

/// Notes that a fold with this schema is under way.
fn beginning(schema: String) -> Act {
    act(move |unit: &mut Unit<'_>| {
        let schema = schema.clone();
        Box::pin(async move {
            Served::read(unit.conn()).await?.folding(&schema).write(unit.conn()).await?;
            unit.keep_changes();
            Ok(done(ENDED))
        })
    })
}

/// Writes a piece of the fold beside, together with how far it has come.
fn piece(rows: Arc<Layer>, kept: Kept, at: Place) -> Act {
    act(move |unit: &mut Unit<'_>| {
        let rows = rows.clone();
        Box::pin(async move {
            let beside = Served::read(unit.conn()).await?;
            if beside.beside != kept.generation {
                return Err(StoreError::Unfit("another fold is beside".into()).into());
            }
            flush::view_rows(unit.conn(), kept, &rows).await?;
            Served { at, ..beside }.write(unit.conn()).await?;
            unit.keep_changes();
            Ok(done(ENDED))
        })
    })
}

/// How many entries the swap itself folds at most.
const LAST: u64 = 200;

/// Folds what is left and serves the fresh rows, in one transaction that is only this;
/// nothing comes of it if too much is left.
pub(crate) async fn swap(
    setting: &Setting,
    conn: &mut Conn,
    generation: u64,
) -> Result<Option<Served>, StoreError> {
    let served = Served::read(conn).await?;
    if served.beside != generation {
        return Err(StoreError::Unfit("another fold is beside".into()));
    }
    let slice = replay::slice(conn, served.at, LAST).await?;
    if !slice.last {
        return Ok(None);
    }
    let kept = Kept::stored(generation);
    let mut fold = Fold::over(setting.views.clone(), kept, false);
    fold.take(conn, &slice.facts).await?;
    flush::view_rows(conn, kept, &fold.hand_out()).await?;
    let served = served.swapped();
    served.write(conn).await?;
    Ok(Some(served))
}

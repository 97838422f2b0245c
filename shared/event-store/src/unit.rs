//! One command at work: load, decide, append, fold, react.
//!
//! A unit sees the batch so far. It keeps its changes apart until it is done,
//! so that a refusal takes nothing of the others with it; a reaction in turn
//! keeps its changes apart from the command's.

use std::{future::Future, pin::Pin, sync::Arc};

use kernel::{
    Actor, Aggregate, Context, Day, EntryRef, Fact, Lane, Refusal, Timestamp, Turn, decider,
    refusal::Code,
    sign::{Hash, PublicKey},
};

use crate::{
    Setting, Standpoint, StoreError,
    batch::{Committed, Delta, NewEntry},
    db::Conn,
    folding::FoldOrStore,
    log,
    rows::Layer,
};

/// Why a command did not happen.
#[derive(Debug)]
pub enum Stop {
    /// A rule refused it.
    Refused(Refusal),
    /// The store could not.
    Failed(StoreError),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}
impl From<Code> for Stop {
    fn from(code: Code) -> Self {
        Self::Refused(code.into())
    }
}
impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Failed(error)
    }
}

/// A future on loan.
pub(crate) type Doing<'a> = Pin<Box<dyn Future<Output = Result<crate::Answer, Stop>> + Send + 'a>>;
/// A command: it may run more than once, and only the last run counts.
pub type Act = Arc<dyn for<'a> Fn(&'a mut Unit<'_>) -> Doing<'a> + Send + Sync>;

/// Makes an [`Act`] of a function that returns a boxed future.
pub fn act<F>(run: F) -> Act
where
    F: for<'a> Fn(&'a mut Unit<'_>) -> Doing<'a> + Send + Sync + 'static,
{
    Arc::new(run)
}

/// What a decided command left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// The stream.
    pub stream: String,
    /// Its version now.
    pub version: u64,
    /// How many events it added; 0 means "already so".
    pub added: usize,
}

/// How far a lane goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneHead {
    /// The office whose lane it is.
    pub origin: kernel::OfficeId,
    /// The life of its log.
    pub epoch: u32,
    /// The last counter.
    pub counter: u64,
    /// The leaf hash of the entry with that counter.
    pub hash: Hash,
}

/// A verified entry of another office.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// What it says.
    pub fact: Fact,
    /// Its leaf hash.
    pub hash: Hash,
    /// Its exact bytes.
    pub bytes: Vec<u8>,
}

/// One command at work.
pub struct Unit<'w> {
    pub(crate) setting: &'w Setting,
    pub(crate) conn: &'w mut Conn,
    pub(crate) committed: &'w Committed,
    /// The batch at the bottom, then the command, then its reaction.
    pub(crate) stack: Vec<Delta>,
    /// Rows read from the database, for the cache.
    pub(crate) fetched: Layer,
    pub(crate) actor: Actor,
    pub(crate) act_date: Option<Day>,
    pub(crate) cause: Option<EntryRef>,
    pub(crate) caller: Option<telemetry::way::Caller>,
    pub(crate) depth: u32,
    pub(crate) now: Timestamp,
    /// Whether the views are folded again.
    pub(crate) rebuilding: bool,
}

impl<'w> Unit<'w> {
    pub(crate) fn new(setting: &'w Setting, conn: &'w mut Conn, committed: &'w Committed) -> Self {
        Self {
            setting,
            conn,
            committed,
            stack: vec![Delta::on(committed.head.clone())],
            fetched: Layer::new(),
            actor: Actor::system(),
            act_date: None,
            cause: None,
            caller: None,
            depth: 0,
            now: setting.clock.now(),
            rebuilding: false,
        }
    }

    /// The office and its setting.
    pub const fn setting(&self) -> &Setting {
        self.setting
    }

    /// Where the office stands in the tree, by what this batch has recorded so far.
    pub fn here(&self) -> Standpoint {
        let head = self.stack.last().map_or(&self.committed.head, |delta| &delta.head);
        self.setting.below(head.parent.clone())
    }

    /// What a rule may know beside its state.
    pub fn context(&self) -> Context {
        Context {
            office: self.setting.office.clone(),
            parent: self.here().parent,
            now: self.now,
            actor: self.actor.clone(),
            act_date: self.act_date,
        }
    }

    /// Lets a driven clock stand at `to` from this command on; the clock itself
    /// follows when the batch is committed.
    pub fn drive(&mut self, to: Timestamp) {
        if self.setting.clock.is_driven() {
            self.now = self.now.max(to);
        }
    }

    /// The last own sequence, this unit's entries included.
    pub fn sequence(&mut self) -> u64 {
        self.top().head.sequence
    }

    pub(crate) fn push(&mut self) {
        let head = self.top().head.clone();
        self.stack.push(Delta::on(head));
    }

    pub(crate) fn discard(&mut self) {
        if self.stack.len() > 1 {
            self.stack.pop();
        }
    }

    pub(crate) fn accept(&mut self) {
        if self.stack.len() > 1
            && let Some(part) = self.stack.pop()
        {
            self.top().absorb(part);
        }
    }

    pub(crate) fn top(&mut self) -> &mut Delta {
        if self.stack.is_empty() {
            self.stack.push(Delta::on(self.committed.head.clone()));
        }
        let last = self.stack.len() - 1;
        &mut self.stack[last]
    }

    /// A stream's state and version; version 0 is a stream that does not exist.
    pub async fn load<A: Aggregate>(&mut self, id: &str) -> Result<(A, u64), Stop> {
        let (state, version) = self.state::<A>(&format!("{}/{id}", A::FAMILY)).await?;
        Ok(((*state).clone(), version))
    }

    /// Decides a command on a stream and records what it causes.
    pub async fn execute<A: Aggregate>(
        &mut self,
        id: &str,
        command: A::Command,
    ) -> Result<Done, Stop> {
        self.execute_at::<A>(id, command, None).await
    }

    /// The same, if the stream still has the `expected` version.
    pub async fn execute_at<A: Aggregate>(
        &mut self,
        id: &str,
        command: A::Command,
        expected: Option<u64>,
    ) -> Result<Done, Stop> {
        let stream = format!("{}/{id}", A::FAMILY);
        let (state, mut version) = self.state::<A>(&stream).await?;
        if expected.is_some_and(|expected| expected != version) {
            let detail = format!("current version {version}");
            return Err(Refusal::new(Code::Stale).detail(detail).into());
        }
        let events = state.decide(command, &self.context())?;
        let added = events.len();
        let mut state = state;
        for event in events {
            version += 1;
            Arc::make_mut(&mut state).evolve(&event);
            self.append::<A>(&stream, version, &event).await?;
        }
        self.top().states.insert(stream.clone(), (state, version));
        Ok(Done { stream, version, added })
    }

    async fn append<A: Aggregate>(
        &mut self,
        stream: &str,
        version: u64,
        event: &A::Event,
    ) -> Result<(), Stop> {
        let kind = decider::kind(A::FAMILY, A::name(event));
        let setting = self.setting;
        let binding = (setting.bindings)(&kind)
            .filter(|binding| binding.tiers.contains(&setting.tier))
            .ok_or_else(|| {
                Refusal::new(Code::NotAllowed).detail(format!("{kind}: not at this tier"))
            })?;
        let data = serde_json::value::to_raw_value(event).map_err(unreadable)?;
        let parent = self.top().head.parent.clone();
        let audiences = binding.audiences(&setting.office, parent.as_ref(), &A::addressees(event));
        let mut original = None;
        for audience in audiences {
            let lane = Lane {
                origin: setting.office.clone(),
                root: binding.root,
                audience: audience.clone(),
            };
            let counter = self.lane(&lane.to_string()).map_or(0, |head| head.counter) + 1;
            let (sequence, epoch) = (self.top().head.sequence + 1, self.top().head.epoch);
            let fact = Fact {
                id: setting.entropy.uuid(),
                at: EntryRef { origin: setting.office.clone(), epoch, sequence },
                kind: kind.clone(),
                recorded: self.now,
                root: binding.root,
                audience,
                lane: counter,
                stream: stream.to_owned(),
                version: original.is_none().then_some(version),
                copy_of: original,
                actor: self.actor.clone(),
                act_date: self.act_date,
                causation: self.cause.clone(),
                data: data.clone(),
                hash: Hash::default(),
            };
            self.record(fact, &lane, original.is_none()).await?;
            original.get_or_insert(sequence);
        }
        Ok(())
    }

    async fn record(&mut self, mut fact: Fact, lane: &Lane, folds: bool) -> Result<(), Stop> {
        let setting = self.setting;
        let key = setting.key.by(&self.top().head.signer).ok_or(Code::KeyLost)?;
        let bytes = fact.sign(&key).map_err(|error| match error {
            kernel::entry::Malformed::Shape("too large" | "payload too long") => {
                Stop::from(Code::TooLarge)
            }
            other => unreadable(other).into(),
        })?;
        let hash = kernel::entry::hash(&bytes);
        fact.hash = hash;
        if folds {
            self.fold(&fact).await.map_err(|error| match error {
                FoldOrStore::Fold(error) => self.unread(error),
                FoldOrStore::Store(error) => error.into(),
            })?;
        }
        let head = LaneHead {
            origin: fact.at.origin.clone(),
            epoch: fact.at.epoch,
            counter: fact.lane,
            hash,
        };
        let turned = (setting.turns)(&fact);
        if let Some(Turn::Key(next)) = &turned
            && setting.key.by(&next.id()).is_none()
        {
            return Err(Code::KeyLost.into());
        }
        let (now, depth, caller) = (self.now, self.depth, self.caller);
        let top = self.top();
        top.head.turn(turned);
        top.head.sequence = fact.at.sequence;
        top.head.recorded = now;
        top.lanes.insert(lane.to_string(), head);
        if folds {
            top.unseen.push((fact.clone(), depth));
        }
        top.entries.push(NewEntry { caller, fact, hash, bytes });
        Ok(())
    }

    /// The committed entries of an own stream, exact bytes, in order.
    pub async fn own_stream(&mut self, stream: &str) -> Result<Vec<Vec<u8>>, Stop> {
        Ok(log::stream(self.conn, stream).await?)
    }

    /// How far a lane goes, own or read.
    pub fn lane(&self, lane: &str) -> Option<LaneHead> {
        let in_batch = self.stack.iter().rev().find_map(|delta| delta.lanes.get(lane));
        in_batch.or_else(|| self.committed.lanes.get(lane)).cloned()
    }

    /// Sets a lane's head without an entry: the baseline of a joining reader.
    pub fn set_lane(&mut self, lane: String, head: LaneHead) {
        self.top().lanes.insert(lane, head);
    }

    /// The life of the log.
    pub fn epoch(&mut self) -> u32 {
        self.top().head.epoch
    }

    /// Lets the next entry begin another life of the log, signed by another key.
    pub fn begin_epoch(&mut self, epoch: u32, key: &PublicKey) {
        let head = &mut self.top().head;
        (head.epoch, head.signer) = (epoch, key.id());
    }

    /// The office's connection, for reads that no view covers.
    pub const fn conn(&mut self) -> &mut Conn {
        self.conn
    }
}

pub(crate) fn unreadable(error: impl std::fmt::Display) -> StoreError {
    StoreError::Unfit(format!("a stored form does not read: {error}"))
}

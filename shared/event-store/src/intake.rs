//! What other offices shared, taken in: the marker, the folds, what must wait.

use kernel::{Aggregate, Context, EntryRef, Fact, Lane, Refusal, sign::Hash};
use serde::{Deserialize, Serialize};

use crate::{
    StoreError,
    batch::{NewHeld, NewReceived},
    folding::FoldOrStore,
    log,
    rows::FoldError,
    unit::{Incoming, LaneHead, Stop, Unit},
};

/// The office's own record of what it took in, and when.
#[derive(Clone, Default)]
pub struct Intake;

/// One unbroken run of a lane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// The lane.
    pub lane: Lane,
    /// The life of the origin's log.
    pub epoch: u32,
    /// The first counter.
    pub first: u64,
    /// The last counter.
    pub last: u64,
    /// The leaf hash of the last entry.
    pub hash: Hash,
}

/// What intake records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Event {
    /// These runs were taken in, in this order.
    Received {
        /// The runs.
        runs: Vec<Run>,
    },
    /// These entries, stored earlier, were understood and folded now.
    Folded {
        /// The entries.
        entries: Vec<EntryRef>,
    },
    /// A rule's command was refused.
    ReactionRefused {
        /// The rule.
        rule: String,
        /// The fact it reacted to.
        cause: EntryRef,
        /// The refusal's code.
        code: String,
    },
}

impl Aggregate for Intake {
    type Command = Event;
    type Event = Event;
    const FAMILY: &'static str = "intake";
    const STATELESS: bool = true;

    fn name(event: &Event) -> &'static str {
        match event {
            Event::Received { .. } => "received",
            Event::Folded { .. } => "folded",
            Event::ReactionRefused { .. } => "reaction-refused",
        }
    }

    fn decide(&self, command: Event, _: &Context) -> Result<Vec<Event>, Refusal> {
        Ok(vec![command])
    }

    fn evolve(&mut self, _: &Event) {}
}

/// The type of the marker.
pub const RECEIVED: &str = "cn.liandong.intake.received.v1";
/// The type of the late marker.
pub const FOLDED: &str = "cn.liandong.intake.folded.v1";
/// The type of a refused reaction's record.
pub(crate) const REACTION_REFUSED: &str = "cn.liandong.intake.reaction-refused.v1";

impl Unit<'_> {
    /// Takes verified entries in: one `Received` marker first, then the entries
    /// in the given order, which must be the order of each lane.
    pub async fn receive(&mut self, entries: Vec<Incoming>) -> Result<(), Stop> {
        if entries.is_empty() {
            return Ok(());
        }
        let office = self.setting.office.to_string();
        self.execute::<Intake>(&office, Event::Received { runs: runs(&entries) }).await?;
        let marker = self.top().head.sequence;
        for entry in entries {
            let lane = entry.fact.lane().to_string();
            let head = LaneHead {
                origin: entry.fact.at.origin.clone(),
                epoch: entry.fact.at.epoch,
                counter: entry.fact.lane,
                hash: entry.hash,
            };
            let folded = self.fold_received(&entry.fact).await?;
            let top = self.top();
            top.lanes.insert(lane, head);
            top.head.position += 1;
            let position = top.head.position;
            if folded {
                top.unseen.push((entry.fact.clone(), 0));
            }
            let Incoming { fact, hash, bytes } = entry;
            top.received.push(NewReceived { position, marker, folded, fact, hash, bytes });
        }
        Ok(())
    }

    /// Folds a received fact; `false` if it must wait for a newer version of us.
    async fn fold_received(&mut self, fact: &Fact) -> Result<bool, Stop> {
        if (self.setting.bindings)(&fact.kind).is_none() {
            return Ok(false);
        }
        self.push();
        match self.fold_with_carried(fact).await {
            Ok(()) => {
                self.accept();
                Ok(true)
            }
            // The row that it needs is not folded again yet: the entry comes once more.
            Err(FoldOrStore::Fold(error @ FoldError::Row(..))) if self.rebuilding => {
                Err(self.unread(error))
            }
            Err(FoldOrStore::Fold(error)) => {
                self.discard();
                tracing::warn!(kind = %fact.kind, entry = %fact.at, %error, "received entry stored unfolded");
                Ok(false)
            }
            Err(FoldOrStore::Store(error)) => Err(error.into()),
        }
    }

    /// Folds what was stored unfolded and is understood by now.
    pub async fn fold_late(&mut self) -> Result<usize, Stop> {
        let mut understood = Vec::new();
        for (position, bytes) in log::unfolded(self.conn).await? {
            let (fact, _) = Fact::of_entry(&bytes).map_err(crate::unit::unreadable)?;
            if self.fold_received(&fact).await? {
                self.top().late.push(position);
                self.top().unseen.push((fact.clone(), 0));
                understood.push(fact.at);
            }
        }
        let folded = understood.len();
        if folded > 0 {
            let office = self.setting.office.to_string();
            self.execute::<Intake>(&office, Event::Folded { entries: understood }).await?;
        }
        Ok(folded)
    }

    /// Whether this entry was taken in before, and with which hash.
    pub async fn received_hash(&mut self, at: &EntryRef) -> Result<Option<Hash>, StoreError> {
        for delta in &self.stack {
            if let Some(found) = delta.received.iter().find(|entry| entry.fact.at == *at) {
                return Ok(Some(found.hash));
            }
        }
        log::received_hash(self.conn, at).await
    }

    /// Puts an entry aside until what it waits for is here.
    pub fn hold(&mut self, entry: Incoming, reason: &'static str) {
        let since = self.now.0;
        let Incoming { fact, hash, bytes } = entry;
        self.top().held.push(NewHeld { fact, hash, reason, since, bytes });
    }

    /// The waiting entries of one office, in the order of its log.
    pub async fn held(&mut self, origin: &kernel::OfficeId) -> Result<Vec<Incoming>, StoreError> {
        let mut waiting = log::held(self.conn, origin).await?;
        for delta in &self.stack {
            let here = delta.held.iter().filter(|held| held.fact.at.origin == *origin);
            waiting.extend(here.map(|held| held.bytes.clone()));
        }
        let mut found: Vec<Incoming> = Vec::new();
        for bytes in waiting {
            let (fact, hash) = Fact::of_entry(&bytes).map_err(crate::unit::unreadable)?;
            let name = (fact.at.clone(), hash);
            let gone = self.stack.iter().any(|delta| delta.released.contains(&name));
            if !gone && found.iter().all(|entry| entry.hash != hash) {
                found.push(Incoming { fact, hash, bytes });
            }
        }
        found.sort_by_key(|entry| (entry.fact.at.epoch, entry.fact.at.sequence));
        Ok(found)
    }

    /// The offices of which entries wait.
    pub async fn held_origins(&mut self) -> Result<Vec<kernel::OfficeId>, StoreError> {
        log::held_origins(self.conn).await
    }

    /// A waiting entry need not wait any longer.
    pub fn release(&mut self, at: EntryRef, hash: Hash) {
        self.top().released.push((at, hash));
    }

    /// Keeps bytes that are authentic but not allowed.
    pub fn keep_evidence(&mut self, hash: Hash, code: &'static str, bytes: Vec<u8>) {
        let seen = self.now.0;
        self.top().evidence.push((hash, code, seen, bytes));
    }
}

impl Unit<'_> {
    /// Commits statements that this command ran itself, although no entry comes of it.
    pub fn keep_changes(&mut self) {
        self.top().touched = true;
    }

    /// Keeps the newest note of a subject; notes never enter the log.
    pub fn keep_note(&mut self, subject: String, at: i64, bytes: Vec<u8>) {
        self.top().notes.insert(subject, (at, bytes));
    }
}

fn runs(entries: &[Incoming]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for entry in entries {
        let (lane, epoch) = (entry.fact.lane(), entry.fact.at.epoch);
        match runs.last_mut() {
            Some(run)
                if run.lane == lane && run.epoch == epoch && run.last + 1 == entry.fact.lane =>
            {
                run.last = entry.fact.lane;
                run.hash = entry.hash;
            }
            _ => runs.push(Run {
                lane,
                epoch,
                first: entry.fact.lane,
                last: entry.fact.lane,
                hash: entry.hash,
            }),
        }
    }
    runs
}

//! A log put back: the office's own entries, fetched from the hub after its store
//! was lost or came from an older copy.
//!
//! Nothing is decided, signed or reacted to here: what is written is what was
//! recorded then, byte for byte, and each `Received` marker finds the same entries
//! behind it. What a reader would get wrong: the answers given under an
//! `Idempotency-Key` are not in the history, so those of the lost span are gone.

use std::collections::BTreeMap;

use kernel::{Fact, sign::Hash};

use crate::{
    StoreError,
    batch::{NewEntry, NewReceived},
    folding::FoldOrStore,
    intake::{Event, RECEIVED, Run},
    log,
    unit::{Incoming, LaneHead, Stop, Unit, unreadable},
};

impl Unit<'_> {
    /// The runs that an own entry says were taken in; none if it is no such marker.
    pub fn runs_of(fact: &Fact) -> Result<Vec<Run>, Stop> {
        if fact.kind != RECEIVED {
            return Ok(Vec::new());
        }
        match fact.read().map_err(unreadable)? {
            Event::Received { runs } => Ok(runs),
            _ => Ok(Vec::new()),
        }
    }

    /// What waits at each place of a run, in its order; none if a place is empty or
    /// nothing at the last has the run's hash. The caller chooses what its origin signed.
    pub async fn waiting_run(&mut self, run: &Run) -> Result<Option<Vec<Vec<Incoming>>>, Stop> {
        let mut places: BTreeMap<u64, Vec<Incoming>> = BTreeMap::new();
        for bytes in log::held_run(self.conn, run).await? {
            let (fact, hash) = Fact::of_entry(&bytes).map_err(unreadable)?;
            if fact.lane != run.last || hash == run.hash {
                places.entry(fact.lane).or_default().push(Incoming { fact, hash, bytes });
            }
        }
        let whole = (run.first..=run.last).all(|at| places.contains_key(&at));
        Ok(whole.then(|| places.into_values().collect()))
    }

    /// Puts the next own entry back; the caller has proved whose it is.
    pub async fn put_back(&mut self, entry: Incoming) -> Result<(), Stop> {
        let (fact, head) = (entry.fact.clone(), self.top().head.clone());
        let goes_on = fact.at.epoch >= head.epoch;
        if fact.at.sequence != head.sequence + 1 || !goes_on {
            let why = format!("{} does not follow {}", fact.at, head.sequence);
            return Err(StoreError::Unfit(why).into());
        }
        if fact.version.is_some() {
            self.fold_back(&fact).await?;
            self.fold_again(&fact).await?;
        }
        let head = lane_head(&fact, entry.hash);
        let lane = fact.lane().to_string();
        let signer = kernel::entry::open(&entry.bytes).map_err(unreadable)?.key_id;
        let turn = (self.setting.turns)(&fact);
        let top = self.top();
        top.head.sequence = fact.at.sequence;
        top.head.recorded = top.head.recorded.max(fact.recorded);
        (top.head.epoch, top.head.signer) = (fact.at.epoch, signer);
        top.head.turn(turn);
        top.lanes.insert(lane, head);
        top.states.remove(&fact.stream);
        let Incoming { hash, bytes, .. } = entry;
        top.entries.push(NewEntry { caller: None, fact, hash, bytes });
        Ok(())
    }

    /// Puts an entry back that the last own one took in.
    pub async fn put_back_received(&mut self, entry: Incoming) -> Result<(), Stop> {
        let folded = (self.setting.bindings)(&entry.fact.kind).is_some()
            && self.fold_back(&entry.fact).await?;
        let lane = entry.fact.lane().to_string();
        let head = lane_head(&entry.fact, entry.hash);
        let top = self.top();
        top.lanes.insert(lane, head);
        top.head.position += 1;
        let (position, marker) = (top.head.position, top.head.sequence);
        top.released.push((entry.fact.at.clone(), entry.hash));
        let Incoming { fact, hash, bytes } = entry;
        top.received.push(NewReceived { position, marker, folded, fact, hash, bytes });
        Ok(())
    }

    /// Folds a fact; `false` if a fold does not understand it.
    async fn fold_back(&mut self, fact: &Fact) -> Result<bool, Stop> {
        self.push();
        match self.fold_back_all(fact).await {
            Ok(()) => {
                self.accept();
                Ok(true)
            }
            Err(FoldOrStore::Fold(error)) => {
                self.discard();
                tracing::warn!(kind = %fact.kind, entry = %fact.at, %error, "put back unfolded");
                Ok(false)
            }
            Err(FoldOrStore::Store(error)) => Err(error.into()),
        }
    }

    /// Of another office's fact what it carries, too.
    async fn fold_back_all(&mut self, fact: &Fact) -> Result<(), FoldOrStore> {
        if fact.at.origin == self.setting.office {
            self.fold(fact).await
        } else {
            self.fold_with_carried(fact).await
        }
    }

    /// What a `Folded` marker folded late is folded behind it again.
    async fn fold_again(&mut self, marker: &Fact) -> Result<(), Stop> {
        if marker.kind != crate::intake::FOLDED {
            return Ok(());
        }
        let Event::Folded { entries } = marker.read().map_err(unreadable)? else { return Ok(()) };
        let mut waiting = Vec::new();
        for (position, bytes) in log::unfolded(self.conn).await? {
            waiting.push((position, Fact::of_entry(&bytes).map_err(unreadable)?.0));
        }
        for delta in &self.stack {
            let unfolded = delta.received.iter().filter(|new| !new.folded);
            waiting.extend(unfolded.map(|new| (new.position, new.fact.clone())));
        }
        for at in entries {
            let found = waiting.iter().find(|(_, fact)| fact.at == at);
            if let Some((position, fact)) = found
                && self.fold_back(fact).await?
            {
                self.top().late.push(*position);
            }
        }
        Ok(())
    }
}

fn lane_head(fact: &Fact, hash: Hash) -> LaneHead {
    let (origin, epoch) = (fact.at.origin.clone(), fact.at.epoch);
    LaneHead { origin, epoch, counter: fact.lane, hash }
}

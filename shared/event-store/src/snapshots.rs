//! A stream's folded state: from memory, from a snapshot, or from its first event.
//!
//! Only aggregates whose streams grow with the years keep snapshots, and only of streams
//! that took long to fold. What a reader would get wrong: a snapshot is never trusted to
//! be of today's rules. It names the sources that made it; of others, or unreadable, it
//! is as if it were not there, and the stream is folded from its first event.

use std::{any::Any, collections::HashMap, sync::Arc};

use kernel::{Aggregate, Fact, decider::StateForm, sign::Hash};

use crate::{
    StoreError,
    batch::State,
    db::Conn,
    flush::many,
    log,
    unit::{Stop, Unit, unreadable},
};

/// So many folded events are worth a snapshot.
const WORTH: usize = 200;

/// A state to be stored with the batch.
#[derive(Debug)]
pub(crate) struct Snapshot {
    version: u64,
    sources: Hash,
    state: Vec<u8>,
}

fn named<A>(kept: &StateForm<A>) -> Hash {
    Hash::of(&kept.sources.iter().map(|source| source.as_bytes()).collect::<Vec<_>>())
}

impl Unit<'_> {
    /// A stream's state and version, the batch so far included.
    pub(crate) async fn state<A: Aggregate>(
        &mut self,
        stream: &str,
    ) -> Result<(Arc<A>, u64), Stop> {
        let known = |states: &HashMap<String, State>| {
            let (state, version) = states.get(stream)?;
            let state: Arc<dyn Any + Send + Sync> = state.clone();
            Some((state.downcast::<A>().ok()?, *version))
        };
        let found = self.stack.iter().rev().find_map(|delta| known(&delta.states));
        if let Some(found) = found.or_else(|| known(&self.committed.states)) {
            return Ok(found);
        }
        if A::STATELESS {
            let version = log::last_version(self.conn, stream).await?;
            return Ok((Arc::new(A::default()), version));
        }
        let (mut state, mut version) = match &A::KEPT {
            Some(kept) => snapshot(self.conn, stream, kept).await?.unwrap_or_default(),
            None => (A::default(), 0),
        };
        let later = log::stream_after(self.conn, stream, version).await?;
        for bytes in &later {
            let (fact, _) = Fact::of_entry(bytes).map_err(unreadable)?;
            state.evolve(&fact.read().map_err(unreadable)?);
            version = fact.version.unwrap_or(version);
        }
        if let Some(kept) = A::KEPT.as_ref().filter(|_| later.len() >= WORTH) {
            let (sources, state) = (named(kept), (kept.write)(&state).map_err(unreadable)?);
            self.top().snapshots.insert(stream.to_owned(), Snapshot { version, sources, state });
        }
        Ok((Arc::new(state), version))
    }
}

/// What is kept of a stream, if it was made by the same sources and reads.
async fn snapshot<A: Aggregate>(
    conn: &mut Conn,
    stream: &str,
    kept: &StateForm<A>,
) -> Result<Option<(A, u64)>, StoreError> {
    let sql = "SELECT version, state FROM snapshots WHERE stream = $1 AND sources = $2";
    let args = vec![stream.into(), named(kept).0.as_slice().into()];
    let rows = conn.rows(sql, args).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let (version, bytes) = (row.count(0)?, row.blob(1)?);
    Ok((kept.read)(&bytes)
        .inspect_err(|error| tracing::warn!(stream, %error, "a snapshot does not read"))
        .ok()
        .map(|state| (state, version)))
}

/// Stores the snapshots of a batch.
pub(crate) async fn keep(
    conn: &mut Conn,
    snapshots: &HashMap<String, Snapshot>,
) -> Result<(), StoreError> {
    let rows = snapshots.iter().map(|(stream, Snapshot { version, sources, state })| {
        let sources = sources.0.as_slice().into();
        vec![stream.as_str().into(), (*version).into(), sources, state.as_slice().into()]
    });
    let on = " ON CONFLICT (stream) DO UPDATE SET version = excluded.version, \
              sources = excluded.sources, state = excluded.state";
    many(conn, "INSERT INTO snapshots (stream, version, sources, state)", 4, rows.collect(), on)
        .await
}

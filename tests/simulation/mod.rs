//! A city in one thread: the same relay, ingest, intake, receipts and writer as in
//! the services, over a hub in memory that loses, repeats and forgets.
//!
//! One seed decides everything: which office does what, what breaks and when. Time
//! and randomness are handed in, and only one thing happens at a time, so a seed
//! gives the same history again. The store is the real SQLite on a disk in memory.
//!
//! A run has two parts. In the first, anything may break; what must never happen is
//! looked for. In the second everything is mended, and all offices must come to the
//! same state by themselves.

mod check;
pub(crate) mod link;
mod moves;
mod node;
mod work;
mod world;

use std::collections::BTreeMap;

pub use world::World;

/// What a run came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// What was done and what was broken, by name.
    pub counts: BTreeMap<&'static str, u64>,
    /// Entries in all logs.
    pub entries: u64,
    /// Rounds until everything agreed.
    pub rounds: u64,
    /// A hash over all logs, in their local order.
    pub trace: String,
}

impl Report {
    /// Counts once more.
    pub fn count(&mut self, name: &'static str) {
        *self.counts.entry(name).or_default() += 1;
    }

    /// Takes another run's figures in.
    pub fn add(&mut self, other: &Self) {
        for (name, count) in &other.counts {
            *self.counts.entry(name).or_default() += count;
        }
        self.entries += other.entries;
        self.rounds = self.rounds.max(other.rounds);
    }
}

/// Runs one seed with so many moves; what was violated, if anything was.
pub fn run(seed: u64, moves: u32) -> Result<Report, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let mut world = World::found(seed).await;
        let outcome = world.live(moves).await;
        world.end().await;
        outcome.map_err(|why| format!("seed {seed}: {why}")).map(|()| world.report())
    })
}

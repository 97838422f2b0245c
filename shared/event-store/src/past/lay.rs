//! Laying blocks out: the views folded from the start of the log once more, and at the end
//! of every block the rows that changed in it written under that block.
//!
//! A block is a slice of the local order. The log only grows, so a block that was laid out
//! stays true; only other folds make other rows, and then all are laid out again.

use std::{collections::BTreeSet, sync::Arc};

use kernel::Timestamp;
use tokio::sync::{mpsc, watch};

use super::{Base, dating::day_in};
use crate::{
    Progress, Setting, StoreError, Unit, act,
    db::{Arg, Conn},
    flush::many,
    fold::{Fold, Kept},
    rebuild::{ENDED, GOING_ON, Halt, ask, done},
    replay::{self, Place, Slice},
    rows::Layer,
    served,
    unit::Act,
    writer::{Job, Work},
};

/// How many own entries, and as many received ones, a block has at most.
pub(super) const BLOCK: u64 = 4_096;
/// How many rows go in one transaction: commands wait no longer than for these.
const PIECE: usize = 2_000;
/// The day of what says itself from when on it holds: before every day.
const EVER: i64 = 0;

/// Lays the blocks of one office out.
#[derive(Clone)]
pub(crate) struct Laying {
    pub(crate) setting: Arc<Setting>,
    pub(crate) jobs: mpsc::WeakSender<Job>,
    pub(crate) head: watch::Receiver<u64>,
}

/// Where a block ends.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Block {
    pub(super) number: u64,
    pub(super) end: Place,
    recorded: i64,
}

/// The generation that these views' rows are laid out in; none if there is none yet.
pub(super) async fn generation(
    conn: &mut Conn,
    setting: &Setting,
) -> Result<Option<u64>, StoreError> {
    let rows = conn.rows("SELECT generation, schema FROM past_sets WHERE id = 1", vec![]).await?;
    let row = rows.first().ok_or_else(|| StoreError::Unfit("past_sets is empty".into()))?;
    let ours = row.text(1)? == served::schema(&setting.views);
    ours.then(|| row.count(0)).transpose()
}

/// The last block that ends at this own entry or before; the one before the first if none.
pub(super) async fn block_by(
    conn: &mut Conn,
    generation: u64,
    sequence: u64,
) -> Result<Block, StoreError> {
    let sql = "SELECT block, sequence, position, recorded FROM past_blocks \
               WHERE generation = $1 AND sequence <= $2 ORDER BY block DESC LIMIT 1";
    let sequence = i64::try_from(sequence).unwrap_or(i64::MAX);
    let rows = conn.rows(sql, vec![generation.into(), sequence.into()]).await?;
    let Some(row) = rows.first() else { return Ok(Block::default()) };
    let end = Place { sequence: row.count(1)?, position: row.count(2)? };
    Ok(Block { number: row.count(0)?, end, recorded: row.int(3)? })
}

impl Laying {
    pub(super) fn head(&self) -> u64 {
        *self.head.borrow()
    }

    /// Lays out every whole block that is not yet, and tells how far it is.
    pub(super) async fn run(self, tell: impl Fn(Option<Progress>)) {
        let office = &self.setting.office;
        match self.lay(&tell).await {
            Ok(blocks) => {
                tracing::info!(%office, blocks, "the past is laid out");
                tell(None);
            }
            Err(Halt::Gone) => {}
            Err(Halt::Wait(why) | Halt::Fold(why)) => {
                tracing::error!(%office, why, "the past is not laid out further");
                tell(Some(Progress { done: 0, of: self.head(), failed: true }));
            }
        }
    }

    async fn lay(&self, tell: &impl Fn(Option<Progress>)) -> Result<u64, Halt> {
        let schema = served::schema(&self.setting.views);
        ask(&self.jobs, Work::Upkeep(beginning(schema))).await?;
        let mut reader = self.setting.readers.take(&self.setting.engine).await?;
        let generation = generation(reader.conn()?, &self.setting).await?;
        let generation = generation.ok_or(Halt::Gone)?;
        let mut block = block_by(reader.conn()?, generation, u64::MAX).await?;
        drop(reader);
        let kept = Kept::at_block(generation, block.number);
        let mut fold = Fold::over(self.setting.views.clone(), kept, block.number == 0);
        loop {
            // A block a loan: many offices share few connections.
            let mut reader = self.setting.readers.take(&self.setting.engine).await?;
            let slice = replay::slice(reader.conn()?, block.end, BLOCK).await?;
            if slice.last {
                break;
            }
            fold.take(reader.conn()?, &slice.facts).await?;
            let (late, recorded) = self.late(reader.conn()?, &slice, block.recorded).await?;
            drop(reader);
            block = Block { number: block.number + 1, end: slice.at, recorded };
            let base = Base { generation, block: block.number };
            self.write(base, &fold.hand_out()).await?;
            ask(&self.jobs, Work::Upkeep(ending(generation, block, late))).await?;
            fold.lies_at(Kept::at_block(generation, block.number));
            tell(Some(Progress { done: block.end.sequence, of: self.head(), failed: false }));
        }
        while ask(&self.jobs, Work::Upkeep(sweeping(generation))).await?.status == GOING_ON {}
        Ok(block.number)
    }

    /// What of a slice was recorded here later than on its day, and the time at its end.
    async fn late(
        &self,
        conn: &mut Conn,
        slice: &Slice,
        mut recorded: i64,
    ) -> Result<(BTreeSet<(i64, Place)>, i64), StoreError> {
        let mut late = BTreeSet::new();
        for (fact, place) in slice.facts.iter().zip(&slice.places) {
            let own = fact.at.origin == self.setting.office;
            if own {
                recorded = recorded.max(fact.recorded.0);
            }
            if self.setting.dated.contains(&fact.family()) {
                late.insert((EVER, *place));
                continue;
            }
            let day = day_in(conn, own, fact).await?;
            if day < Timestamp(recorded).day() {
                late.insert((day.0.to_julian_day().into(), *place));
            }
        }
        Ok((late, recorded))
    }

    async fn write(&self, base: Base, rows: &Layer) -> Result<(), Halt> {
        let all: Vec<Vec<Arg>> = rows
            .iter()
            .map(|((view, key), body)| {
                let body = body.as_deref().unwrap_or_default();
                let of = [base.generation.into(), (*view).into(), key.as_str().into()];
                of.into_iter().chain([base.block.into(), body.into()]).collect()
            })
            .collect();
        for piece in all.chunks(PIECE) {
            let piece = piece.to_vec();
            let writing = act(move |unit: &mut Unit<'_>| {
                let piece = piece.clone();
                Box::pin(async move {
                    let into = "INSERT INTO past_rows (generation, view, key, block, body)";
                    let on = " ON CONFLICT (generation, view, key, block) \
                              DO UPDATE SET body = excluded.body";
                    many(unit.conn(), into, 5, piece, on).await?;
                    unit.keep_changes();
                    Ok(done(ENDED))
                })
            });
            ask(&self.jobs, Work::Upkeep(writing)).await?;
        }
        Ok(())
    }
}

/// Notes which folds the blocks to come are of.
fn beginning(schema: String) -> Act {
    act(move |unit: &mut Unit<'_>| {
        let schema = schema.clone();
        Box::pin(async move {
            let sql = "UPDATE past_sets SET generation = generation + 1, schema = $1 \
                       WHERE id = 1 AND schema <> $2";
            unit.conn().exec(sql, vec![schema.as_str().into(), schema.as_str().into()]).await?;
            unit.keep_changes();
            Ok(done(ENDED))
        })
    })
}

/// Says that all rows of a block lie there, and what of it was late.
fn ending(generation: u64, block: Block, late: BTreeSet<(i64, Place)>) -> Act {
    act(move |unit: &mut Unit<'_>| {
        let late = late.clone();
        Box::pin(async move {
            let rows = late.into_iter().map(|(day, place)| {
                let (sequence, position) = (place.sequence.into(), place.position.into());
                vec![generation.into(), day.into(), sequence, position]
            });
            let into = "INSERT INTO past_late (generation, day, sequence, position)";
            many(unit.conn(), into, 4, rows.collect(), " ON CONFLICT DO NOTHING").await?;
            let sql = "INSERT INTO past_blocks (generation, block, sequence, position, recorded) \
                       VALUES ($1, $2, $3, $4, $5)";
            let Place { sequence, position } = block.end;
            let of = [generation, block.number, sequence, position].map(Into::into);
            let args = of.into_iter().chain([block.recorded.into()]);
            unit.conn().exec(sql, args.collect()).await?;
            unit.keep_changes();
            Ok(done(ENDED))
        })
    })
}

/// Removes some rows of other generations.
fn sweeping(generation: u64) -> Act {
    act(move |unit: &mut Unit<'_>| {
        Box::pin(async move {
            let mut swept = 0;
            for (table, key) in [
                ("past_rows", "generation, view, key, block"),
                ("past_late", "generation, sequence, position, day"),
                ("past_blocks", "generation, block"),
            ] {
                let sql = format!(
                    "DELETE FROM {table} WHERE ({key}) IN \
                     (SELECT {key} FROM {table} WHERE generation < $1 LIMIT {PIECE})"
                );
                swept += unit.conn().exec(&sql, vec![generation.into()]).await?;
            }
            if swept > 0 {
                unit.keep_changes();
            }
            Ok(done(if swept > 0 { GOING_ON } else { ENDED }))
        })
    })
}

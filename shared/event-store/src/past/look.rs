//! Looking back: from the last block before a place, the facts behind it are folded in
//! memory, and of what came later those that are of a day before.

use std::sync::Arc;

use kernel::{Day, Fact, Timestamp};

use super::{
    Base, Known, Moment, NoPast, Past, Pasts,
    dating::day_in,
    lay::{BLOCK, Block, block_by, generation},
};
use crate::{
    StoreError,
    db::Conn,
    fold::{Fold, FoldFailed, Kept},
    replay::{self, Place},
    unit::unreadable,
};

/// How many facts are folded while somebody waits: about a third of a second's work.
const MOST: u64 = 4 * BLOCK;
/// How many late places are read at once.
const MANY: usize = 512;

/// A look under way.
struct Look<'a> {
    pasts: &'a Arc<Pasts>,
    conn: &'a mut Conn,
    /// The generation of the blocks, and the last one that is laid out.
    laid: Option<(u64, Block)>,
    /// How many facts were folded while somebody waited.
    counted: u64,
}

impl Pasts {
    /// The views at a moment; it is kept for whoever asks next.
    pub(crate) async fn look(self: &Arc<Self>, moment: Moment) -> Result<Arc<Past>, NoPast> {
        // One at a time: whoever asks for the same finds it when it is his turn.
        let _turn = self.turn.lock().await;
        let setting = self.laying.setting.clone();
        let mut reader = setting.readers.take(&setting.engine).await?;
        let conn = reader.conn()?;
        let known = match moment.known_at {
            None => self.laying.head(),
            Some(Known::After(sequence)) => sequence,
            Some(Known::At(at)) if at > setting.clock.now() => return Err(NoPast::Ahead),
            Some(Known::At(at)) => last_by(conn, self.laying.head(), |it| it <= at).await?,
        };
        if known > self.laying.head() {
            return Err(NoPast::Ahead);
        }
        let by_the_day = match moment.as_of {
            None => known,
            Some(day) => last_by(conn, known, |it| it.day() <= day).await?,
        };
        let before = self.known(moment.as_of, by_the_day, known);
        if let Some(past) = before.clone().filter(|past| past.known == known) {
            return Ok(past);
        }
        let laid = match generation(conn, &setting).await? {
            Some(generation) => Some((generation, block_by(conn, generation, u64::MAX).await?)),
            None => None,
        };
        let mut look = Look { pasts: self, conn, laid, counted: 0 };
        let past = Arc::new(look.at(moment.as_of, (by_the_day, known), before).await?);
        if look.counted >= BLOCK {
            self.lay();
        }
        self.keep(&past);
        Ok(past)
    }
}

impl Look<'_> {
    async fn at(
        &mut self,
        as_of: Option<Day>,
        (by_the_day, known): (u64, u64),
        before: Option<Arc<Past>>,
    ) -> Result<Past, NoPast> {
        let views = self.pasts.laying.setting.views.clone();
        let (base, mut fold, from) = if let Some(before) = before {
            let fold = Fold::above(views, kept(before.below), before.changes());
            (before.below, fold, before.known)
        } else {
            let (base, end) = self.base(by_the_day).await?;
            let mut fold = Fold::over(views, kept(base), base.is_none());
            self.all(&mut fold, end, by_the_day).await?;
            (base, fold, by_the_day)
        };
        if let Some(day) = as_of {
            self.late(&mut fold, day, from, known).await?;
        }
        let recorded = recorded(self.conn, known).await?;
        Ok(Past::new(base, fold.changes(), as_of, (known, recorded)))
    }

    /// The last block that ends at an own entry or before.
    async fn base(&mut self, sequence: u64) -> Result<(Option<Base>, Place), StoreError> {
        let Some((generation, _)) = self.laid else { return Ok((None, Place::default())) };
        let block = block_by(self.conn, generation, sequence).await?;
        let base = (block.number > 0).then_some(Base { generation, block: block.number });
        Ok((base, block.end))
    }

    /// Folds everything behind a place, up to an own entry and what was taken in behind it.
    async fn all(&mut self, fold: &mut Fold, mut at: Place, to: u64) -> Result<(), NoPast> {
        self.takes(to.saturating_sub(at.sequence))?;
        loop {
            let slice = replay::slice_to(self.conn, at, to, BLOCK).await?;
            self.fold(fold, &slice.facts).await?;
            if slice.last {
                return Ok(());
            }
            at = slice.at;
        }
    }

    /// Folds what is of a day and stands behind an own entry: in the blocks it is known by
    /// its place, behind them everything is looked through.
    async fn late(
        &mut self,
        fold: &mut Fold,
        day: Day,
        from: u64,
        known: u64,
    ) -> Result<(), NoPast> {
        // Behind an entry means behind what was taken in with it too.
        let mut at = Place { sequence: from, position: i64::MAX.unsigned_abs() };
        if let Some((generation, last)) = self.laid
            && last.end > at
        {
            let sql = "SELECT DISTINCT sequence, position FROM past_late \
                       WHERE generation = $1 AND sequence > $2 AND sequence <= $3 AND day <= $4 \
                       ORDER BY sequence, position";
            let of_the_day = i64::from(day.0.to_julian_day());
            let args = vec![generation.into(), from.into(), known.into(), of_the_day.into()];
            let mut places = Vec::new();
            for row in self.conn.rows(sql, args).await? {
                places.push(Place { sequence: row.count(0)?, position: row.count(1)? });
            }
            // No block makes them fewer: they are folded however many they are.
            for some in places.chunks(MANY) {
                let facts = replay::at(self.conn, some).await?;
                let facts = self.by(facts, day).await?;
                self.folded(fold, &facts).await?;
            }
            at = last.end;
        }
        self.takes(known.saturating_sub(at.sequence))?;
        while at.sequence <= known {
            let slice = replay::slice_to(self.conn, at, known, BLOCK).await?;
            let facts = self.by(slice.facts, day).await?;
            self.fold(fold, &facts).await?;
            if slice.last {
                break;
            }
            at = slice.at;
        }
        Ok(())
    }

    /// Those that are of the day or before.
    async fn by(&mut self, facts: Vec<Fact>, day: Day) -> Result<Vec<Fact>, StoreError> {
        let setting = &self.pasts.laying.setting;
        let mut by_then = Vec::with_capacity(facts.len());
        for fact in facts {
            let own = fact.at.origin == setting.office;
            let dated = setting.dated.contains(&fact.family());
            if dated || day_in(self.conn, own, &fact).await? <= day {
                by_then.push(fact);
            }
        }
        Ok(by_then)
    }

    async fn fold(&mut self, fold: &mut Fold, facts: &[Fact]) -> Result<(), NoPast> {
        self.takes(facts.len() as u64)?;
        self.counted += facts.len() as u64;
        self.folded(fold, facts).await
    }

    async fn folded(&mut self, fold: &mut Fold, facts: &[Fact]) -> Result<(), NoPast> {
        let folded = fold.take(self.conn, facts).await;
        folded.map_err(|failed: FoldFailed| NoPast::Store(failed.into()))
    }

    /// Whether so many more are folded while somebody waits; else blocks are laid out first.
    fn takes(&self, more: u64) -> Result<(), NoPast> {
        if self.counted + more <= MOST {
            return Ok(());
        }
        Err(NoPast::Laying(self.pasts.lay()))
    }
}

fn kept(base: Option<Base>) -> Kept {
    base.map_or(Kept::stored(0), |base| Kept::at_block(base.generation, base.block))
}

/// The last own entry up to `head` whose time is early enough; 0 if none is. Times only
/// rise, so it is found by halves.
async fn last_by(
    conn: &mut Conn,
    head: u64,
    early: impl Fn(Timestamp) -> bool,
) -> Result<u64, StoreError> {
    let (mut low, mut high) = (0, head);
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        if early(recorded(conn, middle).await?) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    Ok(low)
}

/// When an own entry was recorded; the beginning of time for the place before the first.
async fn recorded(conn: &mut Conn, sequence: u64) -> Result<Timestamp, StoreError> {
    if sequence == 0 {
        return Ok(Timestamp(0));
    }
    let sql = "SELECT entry FROM entries WHERE sequence = $1";
    let rows = conn.rows(sql, vec![sequence.into()]).await?;
    let row = rows.first().ok_or_else(|| StoreError::Unfit("the log has a gap".into()))?;
    Ok(Fact::of_entry(row.bytes(0)?).map_err(unreadable)?.0.recorded)
}

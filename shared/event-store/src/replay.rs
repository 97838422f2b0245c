//! The office's own order once more, in slices: own entries, and behind each marker
//! what it took in.
//!
//! What a reader would get wrong: an entry that was stored unfolded has its place
//! behind the `Folded` marker that made up for it, not where it was taken in.

use kernel::Fact;

use crate::{
    StoreError,
    db::{Conn, Row},
    intake::{Event, FOLDED},
    unit::unreadable,
};

/// How far a replay has come. Both numbers are dense.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    /// The last own entry.
    pub(crate) sequence: u64,
    /// The last received entry.
    pub(crate) position: u64,
}

/// A piece of the local order.
#[derive(Debug)]
pub(crate) struct Slice {
    /// The facts that folds see, in their order.
    pub(crate) facts: Vec<Fact>,
    /// How far one has come after them.
    pub(crate) at: Place,
    /// Whether nothing is behind it.
    pub(crate) last: bool,
}

/// The piece behind `after`: at most `limit` own entries and as many received ones.
pub(crate) async fn slice(conn: &mut Conn, after: Place, limit: u64) -> Result<Slice, StoreError> {
    // The limit is in the text: SQLite plans anew whenever one that is bound changes.
    let sql = format!(
        "SELECT sequence, version, entry FROM entries WHERE sequence > $1 \
         ORDER BY sequence LIMIT {limit}"
    );
    let mut own = conn.rows(&sql, vec![after.sequence.into()]).await?;
    let own_end = own.last().map_or(Ok(after.sequence), |row| row.count(0))?;
    // By marker, which rises with the position: by position alone, the engine would look
    // through everything behind the last marker of the slice, slice after slice.
    let sql = format!(
        "SELECT position, marker, folded, entry FROM received \
         WHERE (marker, position) > ($1, $2) AND marker <= $3 \
         ORDER BY marker, position LIMIT {limit}"
    );
    let args = vec![after.sequence.into(), after.position.into(), own_end.into()];
    let received = conn.rows(&sql, args).await?;
    let full = |rows: &[Row]| u64::try_from(rows.len()).is_ok_and(|count| count == limit);
    let last = !full(&own) && !full(&received);
    let mut at = Place { sequence: own_end, position: after.position };
    if let Some(row) = received.last() {
        at.position = row.count(0)?;
        if full(&received) {
            // What stands behind this marker may go on in the next slice.
            let marker = row.count(1)?.max(after.sequence);
            let mut kept = Vec::with_capacity(own.len());
            for row in own {
                if row.count(0)? <= marker {
                    kept.push(row);
                }
            }
            (own, at.sequence) = (kept, marker);
        }
    }
    Ok(Slice { facts: woven(conn, &own, &received).await?, at, last })
}

/// Weaves what was taken in behind its markers.
async fn woven(conn: &mut Conn, own: &[Row], received: &[Row]) -> Result<Vec<Fact>, StoreError> {
    let mut facts = Vec::with_capacity(own.len() + received.len());
    let mut taken_in = received.iter().peekable();
    for row in own {
        let sequence = row.count(0)?;
        while let Some(row) = taken_in.peek() {
            if row.count(1)? >= sequence {
                break;
            }
            facts.extend(taken_in_here(row)?);
            taken_in.next();
        }
        if row.int(1)? > 0 {
            let fact = fact_of(row, 2)?;
            let late = fact.kind == FOLDED;
            facts.push(fact);
            if late {
                let made_up = made_up(conn, &facts[facts.len() - 1]).await?;
                facts.extend(made_up);
            }
        }
    }
    for row in taken_in {
        facts.extend(taken_in_here(row)?);
    }
    Ok(facts)
}

/// The fact of a received entry with those it carries, if it was folded behind the marker
/// that took it in.
fn taken_in_here(row: &Row) -> Result<Vec<Fact>, StoreError> {
    if row.int(2)? == 1 { Ok(with_carried(fact_of(row, 3)?)) } else { Ok(Vec::new()) }
}

fn with_carried(fact: Fact) -> Vec<Fact> {
    let carried = fact.carried();
    std::iter::once(fact).chain(carried).collect()
}

/// What a `Folded` marker folded late.
async fn made_up(conn: &mut Conn, marker: &Fact) -> Result<Vec<Fact>, StoreError> {
    let Event::Folded { entries } = marker.read().map_err(unreadable)? else {
        return Ok(Vec::new());
    };
    let mut facts = Vec::with_capacity(entries.len());
    for at in entries {
        let sql = "SELECT entry FROM received WHERE origin = $1 AND epoch = $2 AND sequence = $3";
        let args = vec![at.origin.as_str().into(), i64::from(at.epoch).into(), at.sequence.into()];
        for row in conn.rows(sql, args).await? {
            facts.extend(with_carried(fact_of(&row, 0)?));
        }
    }
    Ok(facts)
}

fn fact_of(row: &Row, column: usize) -> Result<Fact, StoreError> {
    Ok(Fact::of_entry(row.bytes(column)?).map_err(unreadable)?.0)
}

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
    log,
    unit::unreadable,
};

/// How far a replay has come. Both numbers are dense.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
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
    /// Where each of them stands: its own entry or the marker behind which it is folded,
    /// and of a received one its position.
    pub(crate) places: Vec<Place>,
    /// How far one has come after them.
    pub(crate) at: Place,
    /// Whether nothing is behind it.
    pub(crate) last: bool,
}

/// The piece behind `after`: at most `limit` own entries and as many received ones.
pub(crate) async fn slice(conn: &mut Conn, after: Place, limit: u64) -> Result<Slice, StoreError> {
    slice_to(conn, after, u64::MAX, limit).await
}

/// The same, not beyond the own entry `to` and what was taken in behind it.
pub(crate) async fn slice_to(
    conn: &mut Conn,
    after: Place,
    to: u64,
    limit: u64,
) -> Result<Slice, StoreError> {
    // The limit is in the text: SQLite plans anew whenever one that is bound changes.
    let sql = format!(
        "SELECT sequence, version, entry FROM entries WHERE sequence > $1 AND sequence <= $2 \
         ORDER BY sequence LIMIT {limit}"
    );
    let to = i64::try_from(to).unwrap_or(i64::MAX);
    let mut own = conn.rows(&sql, vec![after.sequence.into(), to.into()]).await?;
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
    let (facts, places) = woven(conn, &own, &received).await?.into_iter().unzip();
    Ok(Slice { facts, places, at, last })
}

/// The facts of what stands at these places of the local order, with those it carries or
/// makes up for, in the order of the places.
pub(crate) async fn at(conn: &mut Conn, places: &[Place]) -> Result<Vec<Fact>, StoreError> {
    let numbers =
        |of: &dyn Fn(&Place) -> Option<u64>| -> Vec<u64> { places.iter().filter_map(of).collect() };
    let own = numbers(&|at| (at.position == 0).then_some(at.sequence));
    let received = numbers(&|at| (at.position > 0).then_some(at.position));
    let sql = "SELECT sequence, version, entry FROM entries WHERE sequence";
    let own = numbered(conn, sql, &own).await?;
    let sql = "SELECT position, marker, folded, entry FROM received WHERE position";
    let received = numbered(conn, sql, &received).await?;
    Ok(woven(conn, &own, &received).await?.into_iter().map(|(fact, _)| fact).collect())
}

/// The rows with these numbers, in their order.
async fn numbered(conn: &mut Conn, sql: &str, numbers: &[u64]) -> Result<Vec<Row>, StoreError> {
    let mut rows = Vec::with_capacity(numbers.len());
    for some in numbers.chunks(log::MOST_KEYS) {
        let names = log::places(conn, some.len(), 1);
        let padded = some.iter().chain(std::iter::repeat(&some[0])).take(names.len());
        let args = padded.map(|number| (*number).into()).collect();
        let sql = format!("{sql} IN ({}) ORDER BY 1", names.join(","));
        rows.extend(conn.rows(&sql, args).await?);
    }
    Ok(rows)
}

/// A fact and where it stands.
type Placed = (Fact, Place);

/// Weaves what was taken in behind its markers.
async fn woven(conn: &mut Conn, own: &[Row], received: &[Row]) -> Result<Vec<Placed>, StoreError> {
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
            let (fact, here) = (fact_of(row, 2)?, Place { sequence, position: 0 });
            let late = if fact.kind == FOLDED { made_up(conn, &fact).await? } else { Vec::new() };
            facts.push((fact, here));
            facts.extend(late.into_iter().map(|fact| (fact, here)));
        }
    }
    for row in taken_in {
        facts.extend(taken_in_here(row)?);
    }
    Ok(facts)
}

/// The fact of a received entry with those it carries, if it was folded behind the marker
/// that took it in.
fn taken_in_here(row: &Row) -> Result<Vec<Placed>, StoreError> {
    if row.int(2)? != 1 {
        return Ok(Vec::new());
    }
    let here = Place { sequence: row.count(1)?, position: row.count(0)? };
    Ok(with_carried(fact_of(row, 3)?).into_iter().map(|fact| (fact, here)).collect())
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

//! Folding the views again: the same folds, from the own log and what it received.
//!
//! The local order is the own log's. Behind each `Received` marker stand the
//! entries it took in; rules never run here.

use std::sync::Arc;

use kernel::Fact;
use serde::Serialize;

use crate::{
    Engine, StoreError, View,
    db::{Conn, Row},
    flush,
    intake::{FOLDED, RECEIVED},
    rows::{Layer, Rows},
    unit::unreadable,
};

/// Where a view and its fresh fold part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The view.
    pub view: String,
    /// The row's key.
    pub key: String,
    /// What the store holds.
    pub stored: Option<String>,
    /// What the fold gives.
    pub fresh: Option<String>,
}

const SLICE: u64 = 500;

/// Folds everything from the start, in memory.
async fn fresh(conn: &mut Conn, views: &[Arc<dyn View>]) -> Result<Layer, StoreError> {
    let mut rows = Layer::new();
    let mut after = 0;
    loop {
        let sql = "SELECT sequence, kind, version, entry FROM entries WHERE sequence > $1 \
                   ORDER BY sequence LIMIT $2";
        let slice = conn.rows(sql, vec![after.into(), SLICE.into()]).await?;
        let Some(last) = slice.last() else { return Ok(rows) };
        after = last.count(0)?;
        for row in &slice {
            if row.int(2)? > 0 {
                let fact = fact_of(row, 3)?;
                fold(&mut rows, views, &fact)?;
                behind(conn, &mut rows, views, &fact).await?;
            }
        }
    }
}

/// Folds what a marker took in.
async fn behind(
    conn: &mut Conn,
    rows: &mut Layer,
    views: &[Arc<dyn View>],
    marker: &Fact,
) -> Result<(), StoreError> {
    if marker.kind == RECEIVED {
        let sql = "SELECT entry, folded FROM received WHERE marker = $1 ORDER BY position";
        for row in conn.rows(sql, vec![marker.at.sequence.into()]).await? {
            if row.int(1)? == 1 {
                fold(rows, views, &fact_of(&row, 0)?)?;
            }
        }
    } else if marker.kind == FOLDED {
        let event: crate::intake::Event = marker.read().map_err(unreadable)?;
        let crate::intake::Event::Folded { entries } = event else { return Ok(()) };
        for at in entries {
            let sql =
                "SELECT entry FROM received WHERE origin = $1 AND epoch = $2 AND sequence = $3";
            let args =
                vec![at.origin.as_str().into(), i64::from(at.epoch).into(), at.sequence.into()];
            for row in conn.rows(sql, args).await? {
                fold(rows, views, &fact_of(&row, 0)?)?;
            }
        }
    }
    Ok(())
}

fn fact_of(row: &Row, column: usize) -> Result<Fact, StoreError> {
    Ok(Fact::of_entry(&row.blob(column)?).map_err(unreadable)?.0)
}

fn fold(rows: &mut Layer, views: &[Arc<dyn View>], fact: &Fact) -> Result<(), StoreError> {
    for view in views {
        let mut over = Rows::over(vec![rows], true);
        view.apply(&mut over, fact).map_err(unreadable)?;
        let written = over.into_written();
        rows.extend(written);
    }
    Ok(())
}

/// Empties the views and writes their fresh fold; the caller commits.
pub(crate) async fn refold(conn: &mut Conn, views: &[Arc<dyn View>]) -> Result<(), StoreError> {
    let rows = fresh(conn, views).await?;
    conn.exec("DELETE FROM view_rows", vec![]).await?;
    let puts = rows.into_iter().filter_map(|((view, key), body)| {
        Some(vec![view.into(), key.into(), body?.to_string().into()])
    });
    flush::many(conn, "INSERT INTO view_rows (view, key, body)", 3, puts.collect(), "").await
}

/// Compares the stored views with a fresh fold of one and the same state.
pub(crate) async fn check(
    engine: &Engine,
    views: &[Arc<dyn View>],
) -> Result<Option<Difference>, StoreError> {
    let mut conn = Conn::open_reader(engine).await?;
    conn.begin_snapshot().await?;
    let mut expected = Vec::new();
    for ((view, key), body) in fresh(&mut conn, views).await? {
        if let Some(body) = body {
            expected.push((view.to_owned(), key, body.to_string()));
        }
    }
    let mut fresh = expected.into_iter().peekable();
    let sql = "SELECT view, key, body FROM view_rows ORDER BY view, key";
    for row in conn.rows(sql, vec![]).await? {
        let (view, key, body) = (row.text(0)?, row.text(1)?, row.text(2)?);
        match fresh.peek() {
            Some((v, k, b)) if (v, k) == (&view, &key) => {
                if *b != body {
                    let fresh = Some(b.clone());
                    return Ok(Some(Difference { view, key, stored: Some(body), fresh }));
                }
                fresh.next();
            }
            Some((v, k, b)) if (v.as_str(), k.as_str()) < (view.as_str(), key.as_str()) => {
                let (view, key, fresh) = (v.clone(), k.clone(), Some(b.clone()));
                return Ok(Some(Difference { view, key, stored: None, fresh }));
            }
            _ => return Ok(Some(Difference { view, key, stored: Some(body), fresh: None })),
        }
    }
    let missing = fresh.next();
    conn.close().await;
    Ok(missing.map(|(view, key, fresh)| Difference { view, key, stored: None, fresh: Some(fresh) }))
}

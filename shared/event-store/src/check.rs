//! Comparing the stored views with a fresh fold of one and the same state.
//!
//! The fresh rows lie in a temporary table of the connection that compares, so that a
//! long history needs little memory and nothing of the store is touched.

use std::sync::Arc;

use serde::Serialize;

use crate::{
    Engine, StoreError, View,
    db::Conn,
    flush,
    fold::{Fold, Kept},
    replay::{self, Place},
    served::Served,
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

const FRESH: Kept = Kept { table: "fresh_rows", generation: 0, block: None };
const SLICE: u64 = 500;

/// The first difference, if any.
pub(crate) async fn check(
    engine: &Engine,
    views: &Arc<[Arc<dyn View>]>,
) -> Result<Option<Difference>, StoreError> {
    let mut conn = Conn::open_reader(engine).await?;
    let table = "CREATE TEMPORARY TABLE fresh_rows AS \
                 SELECT generation, view, key, body FROM view_rows WHERE generation < 0";
    conn.exec(table, vec![]).await?;
    let index = "CREATE UNIQUE INDEX fresh_rows_key ON fresh_rows (generation, view, key)";
    conn.exec(index, vec![]).await?;
    conn.begin_snapshot().await?;
    fold(&mut conn, views.clone()).await?;
    let difference = first_difference(&mut conn).await;
    conn.close().await;
    difference
}

async fn fold(conn: &mut Conn, views: Arc<[Arc<dyn View>]>) -> Result<(), StoreError> {
    let mut fold = Fold::over(views, FRESH, true);
    let mut at = Place::default();
    loop {
        let slice = replay::slice(conn, at, SLICE).await?;
        fold.take(conn, &slice.facts).await?;
        at = slice.at;
        if fold.is_full() || slice.last {
            flush::view_rows(conn, FRESH, &fold.hand_out()).await?;
        }
        if slice.last {
            return Ok(());
        }
    }
}

async fn first_difference(conn: &mut Conn) -> Result<Option<Difference>, StoreError> {
    let served = Served::read(conn).await?.generation;
    let sql = "SELECT s.view, s.key, s.body, f.body FROM view_rows s JOIN fresh_rows f \
               ON f.generation = 0 AND f.view = s.view AND f.key = s.key \
               WHERE s.generation = $1 AND f.body <> s.body ORDER BY s.view, s.key LIMIT 1";
    if let Some(row) = conn.rows(sql, vec![served.into()]).await?.first() {
        let (stored, fresh) = (Some(row.text(2)?), Some(row.text(3)?));
        return Ok(Some(Difference { view: row.text(0)?, key: row.text(1)?, stored, fresh }));
    }
    for (one, of, other, without) in
        [("view_rows", served, "fresh_rows", 0), ("fresh_rows", 0, "view_rows", served)]
    {
        let sql = format!(
            "SELECT a.view, a.key, a.body FROM {one} a WHERE a.generation = $1 AND NOT EXISTS \
             (SELECT 1 FROM {other} b WHERE b.generation = $2 AND b.view = a.view \
             AND b.key = a.key) ORDER BY a.view, a.key LIMIT 1"
        );
        if let Some(row) = conn.rows(&sql, vec![of.into(), without.into()]).await?.first() {
            let (view, key, body) = (row.text(0)?, row.text(1)?, Some(row.text(2)?));
            let (stored, fresh) = if one == "view_rows" { (body, None) } else { (None, body) };
            return Ok(Some(Difference { view, key, stored, fresh }));
        }
    }
    Ok(None)
}

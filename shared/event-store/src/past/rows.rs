//! The rows of the views at the end of a block, by statement.

use std::collections::BTreeMap;

use super::Base;
use crate::{
    Reader, StoreError,
    db::Conn,
    log::{MOST_KEYS, places},
    readers::past,
    rows::{Layer, RowKey},
};

/// One row as it was.
pub(super) async fn row(
    reader: &mut Reader,
    base: Base,
    view: &str,
    key: &str,
) -> Result<Option<String>, StoreError> {
    let sql = "SELECT body FROM past_rows WHERE generation = $1 AND view = $2 AND key = $3 \
               AND block <= $4 ORDER BY block DESC LIMIT 1";
    let args = vec![base.generation.into(), view.into(), key.into(), base.block.into()];
    let rows = reader.rows(sql, args).await?;
    let body = rows.first().map(|row| row.text(0)).transpose()?;
    Ok(body.filter(|body| !body.is_empty()))
}

/// Up to `limit` rows as they were, under a prefix and after a key. From key to key: a row
/// that changes in every block costs no more than one that never does.
pub(super) async fn rows(
    reader: &mut Reader,
    base: Base,
    view: &str,
    (prefix, after): (&str, &str),
    limit: usize,
) -> Result<BTreeMap<String, String>, StoreError> {
    let sql = "WITH RECURSIVE keys(key) AS (SELECT (SELECT MIN(f.key) FROM past_rows f \
               WHERE f.generation = $1 AND f.view = $2 AND f.key >= $3 AND f.key > $4 \
               AND f.key < $5) UNION ALL SELECT (SELECT MIN(n.key) FROM past_rows n \
               WHERE n.generation = $1 AND n.view = $2 AND n.key > keys.key AND n.key < $5) \
               FROM keys WHERE keys.key IS NOT NULL) \
               SELECT key, body FROM (SELECT keys.key AS key, (SELECT r.body FROM past_rows r \
               WHERE r.generation = $1 AND r.view = $2 AND r.key = keys.key AND r.block <= $6 \
               ORDER BY r.block DESC LIMIT 1) AS body FROM keys) was \
               WHERE body <> '' LIMIT $7";
    let args = vec![
        base.generation.into(),
        view.into(),
        prefix.into(),
        after.into(),
        past(prefix).into(),
        base.block.into(),
        i64::try_from(limit).unwrap_or(i64::MAX).into(),
    ];
    let rows = reader.rows(sql, args).await?;
    rows.iter().map(|row| Ok((row.text(0)?, row.text(1)?))).collect()
}

/// These rows at the end of a block of a generation, those that were not there included. A
/// row that changes in every block is found by its newest, not by looking through all.
pub(crate) async fn rows_at(
    conn: &mut Conn,
    (generation, block): (u64, u64),
    keys: Vec<RowKey>,
) -> Result<Layer, StoreError> {
    let mut by_view: BTreeMap<&'static str, Vec<String>> = BTreeMap::new();
    for (view, key) in keys {
        by_view.entry(view).or_default().push(key);
    }
    let mut found = Layer::new();
    for (view, keys) in by_view {
        for keys in keys.chunks(MOST_KEYS) {
            let names = places(conn, keys.len(), 1);
            let (count, n) = (names.len(), names.len());
            let asked: Vec<String> =
                names.iter().map(|name| format!("(CAST({name} AS TEXT))")).collect();
            let sql = format!(
                "WITH asked(key) AS (VALUES {}) SELECT asked.key, COALESCE((SELECT r.body FROM past_rows r \
                 WHERE r.generation = {} AND r.view = {} AND r.key = asked.key \
                 AND r.block <= {} ORDER BY r.block DESC LIMIT 1), '') FROM asked",
                asked.join(","),
                conn.place(n + 1),
                conn.place(n + 2),
                conn.place(n + 3),
            );
            let padded = keys.iter().chain(std::iter::repeat(&keys[0])).take(count);
            let args = padded.map(|key| key.as_str().into());
            let more = [generation.into(), view.into(), block.into()];
            found.extend(keys.iter().map(|key| ((view, key.clone()), None)));
            for row in conn.rows(&sql, args.chain(more).collect()).await? {
                let body = Some(row.text(1)?).filter(|body| !body.is_empty());
                found.insert((view, row.text(0)?), body.map(Into::into));
            }
        }
    }
    Ok(found)
}

//! Reading the log, the received entries and the views, by statement.

use std::{collections::BTreeMap, sync::Arc};

use kernel::{
    EntryRef, OfficeId,
    sign::{Hash, KeyId},
};

use crate::{
    Reader, Setting, StoreError,
    db::{Conn, Row},
    fold::Kept,
    intake::Run,
    readers::past,
    rows::{Layer, RowKey},
};

/// An own entry as the relay and the feed read it.
#[derive(Clone, Debug)]
pub struct Own {
    /// Its place.
    pub sequence: u64,
    /// The life of the log that it is in.
    pub epoch: u32,
    /// Its type.
    pub kind: String,
    /// Its lane.
    pub lane: String,
    /// Its leaf hash.
    pub hash: Hash,
    /// Its exact bytes.
    pub entry: Vec<u8>,
}

/// A place in the local order: own entries, and behind each marker what was taken in with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    /// The own sequence.
    pub sequence: u64,
    /// The position of a received entry behind it, or 0.
    pub position: u64,
}

impl Cursor {
    /// Reads the form of [`Display`](std::fmt::Display); `None` if it is not ours.
    pub fn parse(text: &str) -> Option<Self> {
        let (sequence, position) = text.strip_prefix('c')?.split_once('-')?;
        Some(Self { sequence: sequence.parse().ok()?, position: position.parse().ok()? })
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "c{}-{}", self.sequence, self.position)
    }
}

/// Own entries after a sequence, in order.
pub async fn own_after(
    reader: &mut Reader,
    after: u64,
    limit: usize,
) -> Result<Vec<Own>, StoreError> {
    let sql = "SELECT sequence, kind, lane, hash, entry, epoch FROM entries WHERE sequence > $1 \
               ORDER BY sequence LIMIT $2";
    let rows = reader.rows(sql, vec![after.into(), (limit as u64).into()]).await?;
    rows.iter().map(own).collect()
}

/// The own entry at a sequence.
pub async fn own_at(reader: &mut Reader, sequence: u64) -> Result<Option<Own>, StoreError> {
    let found = own_after(reader, sequence.saturating_sub(1), 1).await?;
    Ok(found.into_iter().find(|own| own.sequence == sequence))
}

/// The last own entry.
pub async fn own_last(reader: &mut Reader) -> Result<Option<Own>, StoreError> {
    let sql = "SELECT sequence, kind, lane, hash, entry, epoch FROM entries \
               ORDER BY sequence DESC LIMIT 1";
    reader.rows(sql, vec![]).await?.first().map(own).transpose()
}

/// The entries of one stream, exact bytes, in order.
pub async fn stream_entries(reader: &mut Reader, stream: &str) -> Result<Vec<Vec<u8>>, StoreError> {
    reader.rows(STREAM, vec![stream.into()]).await?.iter().map(|row| row.blob(0)).collect()
}

/// Received entries of another office's stream, in the order of intake.
pub async fn received_stream(
    reader: &mut Reader,
    stream: &str,
) -> Result<Vec<Vec<u8>>, StoreError> {
    let sql = "SELECT entry FROM received WHERE stream = $1 ORDER BY position";
    reader.rows(sql, vec![stream.into()]).await?.iter().map(|row| row.blob(0)).collect()
}

/// Own and received entries after a cursor, in the local order.
pub async fn feed(
    reader: &mut Reader,
    after: Cursor,
    limit: usize,
) -> Result<Vec<(Cursor, Vec<u8>)>, StoreError> {
    // Both statements stop at one head: what is committed between them comes next time.
    let rows = reader.rows("SELECT sequence FROM writer WHERE id = 1", vec![]).await?;
    let head = rows.first().map_or(Ok(0), |row| row.count(0))?;
    let sql = "SELECT marker, position, entry FROM received \
               WHERE (marker, position) > ($1, $2) AND marker <= $3 \
               ORDER BY marker, position LIMIT $4";
    let args =
        vec![after.sequence.into(), after.position.into(), head.into(), (limit as u64).into()];
    let mut found = Vec::new();
    for row in reader.rows(sql, args).await? {
        found.push((Cursor { sequence: row.count(0)?, position: row.count(1)? }, row.blob(2)?));
    }
    for own in own_after(reader, after.sequence, limit).await? {
        if own.sequence <= head {
            found.push((Cursor { sequence: own.sequence, position: 0 }, own.entry));
        }
    }
    found.sort_by_key(|(cursor, _)| *cursor);
    found.truncate(limit);
    Ok(found)
}

fn own(row: &Row) -> Result<Own, StoreError> {
    Ok(Own {
        sequence: row.count(0)?,
        kind: row.text(1)?,
        lane: row.text(2)?,
        hash: to_hash(&row.blob(3)?)?,
        entry: row.blob(4)?,
        epoch: u32::try_from(row.int(5)?).unwrap_or(1),
    })
}

const STREAM: &str = "SELECT entry FROM entries WHERE stream = $1 AND version > 0 ORDER BY version";

pub(crate) fn to_hash(bytes: &[u8]) -> Result<Hash, StoreError> {
    let bytes = bytes.try_into().map_err(|_| StoreError::Unfit("a hash has 32 bytes".into()))?;
    Ok(Hash(bytes))
}

pub(crate) async fn stream(conn: &mut Conn, stream: &str) -> Result<Vec<Vec<u8>>, StoreError> {
    conn.rows(STREAM, vec![stream.into()]).await?.iter().map(|row| row.blob(0)).collect()
}

/// The entries of an own stream behind a version.
pub(crate) async fn stream_after(
    conn: &mut Conn,
    stream: &str,
    version: u64,
) -> Result<Vec<Vec<u8>>, StoreError> {
    let sql = "SELECT entry FROM entries WHERE stream = $1 AND version > $2 ORDER BY version";
    conn.rows(sql, vec![stream.into(), version.into()])
        .await?
        .iter()
        .map(|row| row.blob(0))
        .collect()
}

pub(crate) async fn last_version(conn: &mut Conn, stream: &str) -> Result<u64, StoreError> {
    let sql = "SELECT version FROM entries WHERE stream = $1 ORDER BY version DESC LIMIT 1";
    let rows = conn.rows(sql, vec![stream.into()]).await?;
    rows.first().map_or(Ok(0), |row| row.count(0))
}

/// These rows, those that do not exist included.
pub(crate) async fn kept_rows_at(
    conn: &mut Conn,
    kept: Kept,
    keys: Vec<RowKey>,
) -> Result<Layer, StoreError> {
    if let Some(block) = kept.block {
        return crate::past::rows::rows_at(conn, (kept.generation, block), keys).await;
    }
    kept_rows(conn, kept, keys).await
}

async fn kept_rows(conn: &mut Conn, kept: Kept, keys: Vec<RowKey>) -> Result<Layer, StoreError> {
    let mut by_view: BTreeMap<&'static str, Vec<String>> = BTreeMap::new();
    for (view, key) in keys {
        by_view.entry(view).or_default().push(key);
    }
    let mut found = Layer::new();
    for (view, keys) in by_view {
        for keys in keys.chunks(MOST_KEYS) {
            let names = places(conn, keys.len(), 3);
            let count = names.len();
            let sql = format!(
                "SELECT key, body FROM {} WHERE generation = {} AND view = {} AND key IN ({})",
                kept.table,
                conn.place(1),
                conn.place(2),
                names.join(",")
            );
            let padded = keys.iter().chain(std::iter::repeat(&keys[0])).take(count);
            let args = [kept.generation.into(), view.into()].into_iter();
            let args = args.chain(padded.map(|key| key.as_str().into()));
            found.extend(keys.iter().map(|key| ((view, key.clone()), None)));
            for row in conn.rows(&sql, args.collect()).await? {
                found.insert((view, row.text(0)?), Some(row.text(1)?.into()));
            }
        }
    }
    Ok(found)
}

/// The most keys that one statement asks for.
pub(crate) const MOST_KEYS: usize = 64;

/// The places of a list of keys from the `first` on: 1, 8 or 64 of them, so that there are
/// few distinct statements. The places left over ask for a key once more.
pub(crate) fn places(conn: &Conn, keys: usize, first: usize) -> Vec<String> {
    let count = [1, 8, MOST_KEYS].into_iter().find(|size| *size >= keys).unwrap_or(MOST_KEYS);
    (first..first + count).map(|at| conn.place(at)).collect()
}

pub(crate) async fn view_rows(
    conn: &mut Conn,
    generation: u64,
    view: &str,
    prefix: &str,
) -> Result<BTreeMap<String, Arc<str>>, StoreError> {
    let sql = "SELECT key, body FROM view_rows WHERE generation = $1 AND view = $2 \
               AND key >= $3 AND key < $4";
    let args = vec![generation.into(), view.into(), prefix.into(), past(prefix).into()];
    let rows = conn.rows(sql, args).await?;
    rows.iter().map(|row| Ok((row.text(0)?, row.text(1)?.into()))).collect()
}

pub(crate) async fn received_hash(
    conn: &mut Conn,
    at: &EntryRef,
) -> Result<Option<Hash>, StoreError> {
    let sql = "SELECT hash FROM received WHERE origin = $1 AND epoch = $2 AND sequence = $3";
    let args = vec![at.origin.as_str().into(), i64::from(at.epoch).into(), at.sequence.into()];
    let rows = conn.rows(sql, args).await?;
    rows.first().map(|row| to_hash(&row.blob(0)?)).transpose()
}

/// Received entries of one lane before a position, the newest first, each with its
/// position, counter and hash.
pub(crate) async fn received_lane(
    conn: &mut Conn,
    origin: &OfficeId,
    lane: &str,
    before: i64,
) -> Result<Vec<(i64, EntryRef, u64, Hash)>, StoreError> {
    let sql = "SELECT position, epoch, sequence, counter, hash FROM received \
               WHERE origin = $1 AND lane = $2 AND position < $3 ORDER BY position DESC LIMIT 200";
    let args = vec![origin.as_str().into(), lane.into(), before.into()];
    let mut found = Vec::new();
    for row in conn.rows(sql, args).await? {
        let epoch = u32::try_from(row.int(1)?).unwrap_or(1);
        let at = EntryRef { origin: origin.clone(), epoch, sequence: row.count(2)? };
        found.push((row.int(0)?, at, row.count(3)?, to_hash(&row.blob(4)?)?));
    }
    Ok(found)
}

pub(crate) async fn held(conn: &mut Conn, origin: &OfficeId) -> Result<Vec<Vec<u8>>, StoreError> {
    let sql = "SELECT entry FROM held WHERE origin = $1 ORDER BY epoch, sequence";
    conn.rows(sql, vec![origin.as_str().into()]).await?.iter().map(|row| row.blob(0)).collect()
}

/// The name of the key that signs the next own entry: as noted, else the one that
/// signed the last, else the office's first.
pub(crate) async fn signer(
    conn: &mut Conn,
    noted: &[u8],
    setting: &Setting,
) -> Result<KeyId, StoreError> {
    if let Ok(noted) = noted.try_into() {
        return Ok(noted);
    }
    let sql = "SELECT entry FROM entries ORDER BY sequence DESC LIMIT 1";
    let rows = conn.rows(sql, vec![]).await?;
    let Some(row) = rows.first() else { return Ok(setting.key.now().public().id()) };
    let bytes = row.blob(0)?;
    Ok(kernel::entry::open(&bytes).map_err(crate::unit::unreadable)?.key_id)
}

/// The waiting entries of one run of a lane, in its order.
pub(crate) async fn held_run(conn: &mut Conn, run: &Run) -> Result<Vec<Vec<u8>>, StoreError> {
    let sql = "SELECT entry FROM held WHERE lane = $1 AND epoch = $2 AND counter >= $3 \
               AND counter <= $4 ORDER BY counter";
    let lane = run.lane.to_string();
    let args =
        vec![lane.as_str().into(), i64::from(run.epoch).into(), run.first.into(), run.last.into()];
    conn.rows(sql, args).await?.iter().map(|row| row.blob(0)).collect()
}

/// The offices of which entries wait.
pub(crate) async fn held_origins(conn: &mut Conn) -> Result<Vec<OfficeId>, StoreError> {
    let rows = conn.rows("SELECT DISTINCT origin FROM held ORDER BY origin", vec![]).await?;
    rows.iter()
        .map(|row| row.text(0))
        .filter_map(|text| text.map(|t| OfficeId::parse(&t)).transpose())
        .collect()
}

pub(crate) async fn unfolded(conn: &mut Conn) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
    let sql = "SELECT position, entry FROM received WHERE folded = 0 ORDER BY position";
    let rows = conn.rows(sql, vec![]).await?;
    rows.iter().map(|row| Ok((row.count(0)?, row.blob(1)?))).collect()
}

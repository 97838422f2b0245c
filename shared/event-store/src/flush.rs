//! Writes a batch: few statements, many rows each.

use crate::{
    StoreError,
    batch::Delta,
    db::{Arg, Conn},
    fold::Kept,
    rows::Layer,
    snapshots,
    unit::LaneHead,
};

/// Makes sure that no other process has taken the store over.
pub(crate) async fn fenced(conn: &mut Conn, fence: u64) -> Result<(), StoreError> {
    let sql = "UPDATE writer SET fence = fence WHERE id = 1 AND fence = $1";
    if conn.exec(sql, vec![fence.into()]).await? == 1 { Ok(()) } else { Err(StoreError::Fenced) }
}

/// Writes everything a batch changed. The caller commits.
pub(crate) async fn flush(
    conn: &mut Conn,
    batch: &Delta,
    fence: u64,
    generation: u64,
) -> Result<(), StoreError> {
    let sql = "UPDATE writer SET sequence = $1, recorded = $2, epoch = $3, signer = $4, \
               parent = $5 WHERE id = 1 AND fence = $6";
    let head = &batch.head;
    let args = vec![
        head.sequence.into(),
        head.recorded.0.into(),
        i64::from(head.epoch).into(),
        head.signer.as_slice().into(),
        head.parent.as_ref().map_or("", kernel::OfficeId::as_str).into(),
        fence.into(),
    ];
    if conn.exec(sql, args).await? != 1 {
        return Err(StoreError::Fenced);
    }
    entries(conn, batch).await?;
    received(conn, batch).await?;
    waiting(conn, batch).await?;
    let lanes = batch.lanes.iter().map(|(lane, head)| lane_row(lane, head)).collect();
    let on_lane = " ON CONFLICT (lane) DO UPDATE SET epoch = excluded.epoch, \
                   counter = excluded.counter, hash = excluded.hash";
    many(conn, "INSERT INTO lanes (lane, origin, epoch, counter, hash)", 5, lanes, on_lane).await?;
    view_rows(conn, Kept::stored(generation), &batch.rows).await?;
    snapshots::keep(conn, &batch.snapshots).await?;
    let notes = batch.notes.iter().map(|(subject, (at, bytes))| {
        vec![subject.as_str().into(), (*at).into(), bytes.as_slice().into()]
    });
    let on = " ON CONFLICT (subject) DO UPDATE SET seen = excluded.seen, note = excluded.note \
              WHERE excluded.seen >= notes.seen";
    many(conn, "INSERT INTO notes (subject, seen, note)", 3, notes.collect(), on).await?;
    let answers = batch.answers.iter().map(|(key, answer)| {
        vec![
            key.scope.as_str().into(),
            key.body_hash.0.as_slice().into(),
            i64::from(answer.status).into(),
            answer.etag.as_str().into(),
            answer.body.as_slice().into(),
            batch.head.sequence.into(),
        ]
    });
    let into = "INSERT INTO answers (scope, body_hash, status, etag, body, sequence)";
    many(conn, into, 6, answers.collect(), "").await
}

fn lane_row(lane: &str, head: &LaneHead) -> Vec<Arg> {
    vec![
        lane.into(),
        head.origin.as_str().into(),
        i64::from(head.epoch).into(),
        head.counter.into(),
        head.hash.0.as_slice().into(),
    ]
}

async fn entries(conn: &mut Conn, batch: &Delta) -> Result<(), StoreError> {
    let rows = batch.entries.iter().map(|new| {
        let sequence = new.fact.at.sequence;
        let copy = -i64::try_from(sequence).unwrap_or(i64::MAX);
        let version = new.fact.version.map_or(copy, |v| i64::try_from(v).unwrap_or(i64::MAX));
        vec![
            sequence.into(),
            i64::from(new.fact.at.epoch).into(),
            new.fact.stream.as_str().into(),
            version.into(),
            new.fact.kind.as_str().into(),
            new.fact.lane().to_string().into(),
            new.fact.lane.into(),
            new.hash.0.as_slice().into(),
            new.bytes.as_slice().into(),
        ]
    });
    let into =
        "INSERT INTO entries (sequence, epoch, stream, version, kind, lane, counter, hash, entry)";
    many(conn, into, 9, rows.collect(), "").await
}

async fn received(conn: &mut Conn, batch: &Delta) -> Result<(), StoreError> {
    let rows = batch.received.iter().map(|new| {
        vec![
            new.position.into(),
            new.fact.at.origin.as_str().into(),
            i64::from(new.fact.at.epoch).into(),
            new.fact.at.sequence.into(),
            new.fact.stream.as_str().into(),
            new.fact.lane().to_string().into(),
            new.fact.lane.into(),
            new.fact.kind.as_str().into(),
            new.marker.into(),
            i64::from(new.folded).into(),
            new.hash.0.as_slice().into(),
            new.bytes.as_slice().into(),
        ]
    });
    let into = "INSERT INTO received (position, origin, epoch, sequence, stream, lane, counter, kind, \
                marker, folded, hash, entry)";
    many(conn, into, 12, rows.collect(), "").await?;
    for position in &batch.late {
        let sql = "UPDATE received SET folded = 2 WHERE position = $1";
        conn.exec(sql, vec![(*position).into()]).await?;
    }
    Ok(())
}

async fn waiting(conn: &mut Conn, batch: &Delta) -> Result<(), StoreError> {
    let held = batch.held.iter().map(|new| {
        vec![
            new.fact.at.origin.as_str().into(),
            i64::from(new.fact.at.epoch).into(),
            new.fact.at.sequence.into(),
            new.hash.0.as_slice().into(),
            new.fact.lane().to_string().into(),
            new.fact.lane.into(),
            new.reason.into(),
            new.since.into(),
            new.bytes.as_slice().into(),
        ]
    });
    let into =
        "INSERT INTO held (origin, epoch, sequence, hash, lane, counter, reason, since, entry)";
    let on = " ON CONFLICT (origin, epoch, sequence, hash) DO NOTHING";
    many(conn, into, 9, held.collect(), on).await?;
    for (at, hash) in &batch.released {
        let sql =
            "DELETE FROM held WHERE origin = $1 AND epoch = $2 AND sequence = $3 AND hash = $4";
        let (origin, epoch) = (at.origin.as_str().into(), i64::from(at.epoch).into());
        conn.exec(sql, vec![origin, epoch, at.sequence.into(), hash.0.as_slice().into()]).await?;
    }
    let evidence = batch.evidence.iter().map(|(hash, code, seen, bytes)| {
        vec![hash.0.as_slice().into(), (*code).into(), (*seen).into(), bytes.as_slice().into()]
    });
    let into = "INSERT INTO evidence (hash, code, seen, entry)";
    many(conn, into, 4, evidence.collect(), " ON CONFLICT (hash) DO NOTHING").await
}

/// Writes rows of views, and removes those that are gone.
pub(crate) async fn view_rows(
    conn: &mut Conn,
    Kept { table, generation, .. }: Kept,
    rows: &Layer,
) -> Result<(), StoreError> {
    let mut puts = Vec::new();
    for ((view, key), body) in rows {
        let mut row = vec![generation.into(), (*view).into(), key.as_str().into()];
        if let Some(body) = body {
            row.push(body.to_string().into());
            puts.push(row);
        } else {
            let sql =
                format!("DELETE FROM {table} WHERE generation = $1 AND view = $2 AND key = $3");
            conn.exec(&sql, row).await?;
        }
    }
    let into = format!("INSERT INTO {table} (generation, view, key, body)");
    let on = " ON CONFLICT (generation, view, key) DO UPDATE SET body = excluded.body";
    many(conn, &into, 4, puts, on).await
}

/// The most rows of one statement: 64 of 12 columns stay far below every engine's limit.
const MOST_ROWS: usize = 64;

/// Inserts many rows with few statements, few of them distinct: by powers of two.
pub(crate) async fn many(
    conn: &mut Conn,
    into: &str,
    columns: usize,
    mut rows: Vec<Vec<Arg>>,
    on_conflict: &str,
) -> Result<(), StoreError> {
    while !rows.is_empty() {
        let take = 1 << rows.len().min(MOST_ROWS).ilog2();
        let args: Vec<Arg> = rows.drain(..take).flatten().collect();
        let row = |at: usize| {
            let places: Vec<_> = (1..=columns).map(|c| conn.place(at * columns + c)).collect();
            format!("({})", places.join(","))
        };
        let places: Vec<_> = (0..take).map(row).collect();
        let sql = format!("{into} VALUES {}{on_conflict}", places.join(","));
        conn.exec(&sql, args).await?;
    }
    Ok(())
}

//! 重放 Folds every office of an export anew, and holds the views against the offices' own
//! stores, byte for byte.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
};

use event_store::{
    Engine, Reader, Readers,
    past::{Known, Moment},
};
use kernel::{OfficeId, sign::Hash};
use serde::Serialize;
use serde_json::Value;

use crate::{
    history::{History, Missing},
    standing::{self, Standing},
};

/// What a replay of one office gave.
#[derive(Debug, Serialize)]
pub struct Replayed {
    /// The office.
    pub office: OfficeId,
    /// Its name.
    pub name: String,
    /// How many facts were folded, own and received.
    pub folded: u64,
    /// How many rows its views have.
    pub rows: u64,
    /// The SHA-256 over all of them, each as view, key and body with a NUL behind.
    pub fingerprint: Hash,
    /// The results by level, of an office that counts them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub results: Vec<Value>,
    /// Whether its store has the same rows; none if no store was given.
    pub same: Option<bool>,
    /// The first rows that differ, each as view and key.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub differ: Vec<String>,
    /// What it knew and the export does not hold, by lane.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub missing: Missing,
    /// Why it was not held against its store, or only in part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unchecked: Option<String>,
}

/// Every row of every view.
type Rows = BTreeMap<(String, String), String>;

/// Whose stores these are.
pub async fn stores(engines: &[Engine]) -> io::Result<BTreeMap<OfficeId, Engine>> {
    let mut stores = BTreeMap::new();
    for engine in engines {
        let mut reader = open(engine).await?;
        let first = event_store::log::own_at(&mut reader, 1).await.map_err(io::Error::other)?;
        let Some(first) = first else {
            return Err(io::Error::other(format!("{}: its log is empty", place(engine))));
        };
        let (fact, _) = kernel::Fact::of_entry(&first.entry).map_err(io::Error::other)?;
        stores.insert(fact.at.origin, engine.clone());
    }
    Ok(stores)
}

/// Where a store lies, without what opens it.
fn place(engine: &Engine) -> String {
    match engine {
        Engine::Sqlite(folder) => folder.display().to_string(),
        Engine::Postgres { schema, .. } => schema.clone(),
    }
}

async fn open(engine: &Engine) -> io::Result<Reader> {
    if matches!(engine, Engine::Sqlite(folder) if !folder.join("office.db").exists()) {
        return Err(io::Error::other(format!("{}: no SQLite store is here", place(engine))));
    }
    Readers::new(1).take(engine).await.map_err(io::Error::other)
}

/// Replays one office, up to where its store is if one is given.
pub async fn replay(
    history: &History,
    office: &OfficeId,
    store: Option<&Engine>,
) -> io::Result<Replayed> {
    let log = history.office(office.as_str())?;
    let mut stored = None;
    let (mut moment, mut unchecked) = (Moment::default(), None);
    if let Some(engine) = store {
        let (head, rows, schema) = quiet(engine).await?;
        if schema != standing::schema(history, office)? {
            unchecked = Some("its store was folded by another version of the views".to_owned());
        } else if head > log.told.len() as u64 {
            unchecked = Some(format!(
                "its store has {head} entries and its log here {}: export it once more",
                log.told.len()
            ));
        } else {
            moment.known_at = Some(Known::After(head));
            stored = Some(rows);
        }
    }
    let standing = standing::at(history, log, moment)?;
    let fresh = rows(&mut Reader::of(standing.past.clone())).await?;
    if !standing.is_whole() {
        // What is not here explains any difference.
        stored = None;
        unchecked = Some(format!(
            "of what it knew, {} runs are not in this export and {} entries no view takes",
            standing.missing.len(),
            standing.unfolded
        ));
    }
    let differ = stored.as_ref().map(|stored| parted(stored, &fresh));
    Ok(Replayed {
        office: office.clone(),
        name: history.name(office),
        folded: standing.folded,
        rows: fresh.len() as u64,
        fingerprint: fingerprint(&fresh),
        results: results(&standing).await?,
        same: differ.as_ref().map(Vec::is_empty),
        differ: differ.unwrap_or_default(),
        missing: standing.missing,
        unchecked,
    })
}

/// The rows of a store, and the entry up to which they are folded. While the office works
/// the two are read until nothing came between.
async fn quiet(engine: &Engine) -> io::Result<(u64, Rows, String)> {
    let mut reader = open(engine).await?;
    let mut before = head(&mut reader).await?;
    for _ in 0..20 {
        let stored = rows(&mut reader).await?;
        let after = head(&mut reader).await?;
        if before == after {
            let schema = reader.schema().await.map_err(io::Error::other)?;
            return Ok((after, stored, schema));
        }
        before = after;
    }
    Err(io::Error::other(format!("{}: the office records without a pause", place(engine))))
}

async fn head(reader: &mut Reader) -> io::Result<u64> {
    let last = event_store::log::own_last(reader).await.map_err(io::Error::other)?;
    Ok(last.map_or(0, |own| own.sequence))
}

async fn rows(reader: &mut Reader) -> io::Result<Rows> {
    let mut all = Rows::new();
    for view in reader.views().await.map_err(io::Error::other)? {
        let rows = reader.bodies(&view, "", "", usize::MAX).await.map_err(io::Error::other)?;
        all.extend(rows.into_iter().map(|(key, body)| ((view.clone(), key), body)));
    }
    Ok(all)
}

fn fingerprint(rows: &Rows) -> Hash {
    let parts = rows.iter().flat_map(|((view, key), body)| {
        [view.as_bytes(), &[0], key.as_bytes(), &[0], body.as_bytes(), &[0]]
    });
    Hash::of(&parts.collect::<Vec<_>>())
}

/// The first rows that differ.
fn parted(stored: &Rows, fresh: &Rows) -> Vec<String> {
    let keys: BTreeSet<_> = stored.keys().chain(fresh.keys()).collect();
    let differ = keys.into_iter().filter(|key| stored.get(*key) != fresh.get(*key));
    differ.take(20).map(|(view, key)| format!("{view} {key}")).collect()
}

/// The results by level, if there is anything to count.
async fn results(standing: &Standing) -> io::Result<Vec<Value>> {
    let levels = standing.rows("results", "").await?;
    let levels: Vec<Value> = levels.into_iter().map(|row| row.row).collect();
    let counts = |level: &Value| level["targets"] != 0 || level["found"] != 0;
    Ok(if levels.iter().any(counts) { levels } else { Vec::new() })
}

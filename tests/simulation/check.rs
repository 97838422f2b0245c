//! What must hold: in any moment nothing unexpected, in the end all of it everywhere.

use std::collections::BTreeMap;

use event_store::log;
use kernel::{Fact, OfficeId, sign::Hash};
use messaging::neighbours::neighbours;

use super::{World, node::Node};

/// A lane's entries by counter.
type Lanes = BTreeMap<String, BTreeMap<u64, Hash>>;

async fn rows(node: &Node, sql: &str) -> Vec<event_store::db::Row> {
    let Some(office) = node.office() else { return Vec::new() };
    office.reader().await.unwrap().rows(sql, vec![]).await.unwrap()
}

async fn lanes(node: &Node, table: &str) -> Result<Lanes, String> {
    let sql = format!("SELECT lane, counter, hash FROM {table} ORDER BY lane, counter");
    let mut lanes = Lanes::new();
    for row in rows(node, &sql).await {
        let (lane, counter) = (row.text(0).unwrap(), row.count(1).unwrap());
        let hash = Hash(row.blob(2).unwrap().try_into().unwrap());
        if lanes.entry(lane.clone()).or_default().insert(counter, hash).is_some() {
            return Err(format!("{}: {lane} {counter} is there twice", node.id));
        }
    }
    Ok(lanes)
}

/// No reader holds what its origin never wrote, nothing twice, nothing out of order.
pub(super) async fn nothing_unexpected(world: &World) -> Result<(), String> {
    let mut own: BTreeMap<&OfficeId, Lanes> = BTreeMap::new();
    for node in &world.nodes {
        own.insert(&node.id, lanes(node, "entries").await?);
    }
    for node in &world.nodes {
        for (lane, received) in lanes(node, "received").await? {
            let origin = world.nodes.iter().find(|n| lane.contains(&format!(".{}.", n.id)));
            let origin = origin.ok_or(format!("{}: {lane} is nobody's", node.id))?;
            for (at, (counter, hash)) in (1..).zip(&received) {
                if at != *counter {
                    return Err(format!("{}: {lane} has {counter} where {at} must be", node.id));
                }
                // An origin that is down or behind cannot be asked.
                let known = own[&origin.id].get(&lane).and_then(|lane| lane.get(counter));
                if origin.open.is_some() && !origin.is_behind() && known != Some(hash) {
                    return Err(format!("{}: {lane} {counter} is not its origin's", node.id));
                }
            }
        }
        let sql = "SELECT lane, counter, marker FROM received ORDER BY position";
        let mut last: BTreeMap<String, u64> = BTreeMap::new();
        for row in rows(node, sql).await {
            let (lane, counter) = (row.text(0).unwrap(), row.count(1).unwrap());
            if last.insert(lane.clone(), counter).is_some_and(|before| before >= counter) {
                return Err(format!("{}: {lane} {counter} was taken in late", node.id));
            }
        }
    }
    Ok(())
}

/// Whether every reader has receipted every lane and nobody refuses to record.
pub(super) async fn is_settled(world: &World) -> bool {
    unsettled(world).await.is_empty()
}

/// Who is not settled, and why.
pub(super) async fn unsettled(world: &World) -> String {
    let mut why = String::new();
    for node in &world.nodes {
        let Some(office) = node.office() else {
            why.push_str(&format!("{} is down; ", node.id));
            continue;
        };
        if let Some(code) = office.refusing() {
            why.push_str(&format!("{} refuses to record: {}; ", node.id, code.slug()));
        }
        for neighbour in neighbours(office).await.unwrap() {
            if neighbour.not_received > 0 || neighbour.differs {
                why.push_str(&format!(
                    "{} of {} not received at {} (differs: {}); ",
                    neighbour.not_received, node.id, neighbour.office, neighbour.differs
                ));
            }
        }
        let held = rows(node, "SELECT lane, counter, reason FROM held").await;
        // A forged entry of nobody may wait for nobody's enrolment for ever.
        let ours = |row: &&event_store::db::Row| {
            let lane = row.text(0).unwrap();
            world.nodes.iter().any(|n| lane.contains(&format!(".{}.", n.id)))
        };
        if let Some(row) = held.iter().find(ours) {
            why.push_str(&format!("{} holds {:?} {:?}; ", node.id, row.text(0), row.text(2)));
        }
    }
    why
}

/// How often townships have moved, by the city's word.
async fn moved(world: &World) -> u64 {
    let sql = "SELECT COUNT(*) FROM entries WHERE kind = 'cn.liandong.directory.moved.v1'";
    let rows = rows(&world.nodes[0], sql).await;
    rows.first().map_or(0, |row| row.count(0).unwrap())
}

/// All of it is everywhere it belongs, and every view equals a fresh fold.
pub(super) async fn everybody_agrees(world: &mut World) -> Result<(), String> {
    let mut own: BTreeMap<String, BTreeMap<u64, Hash>> = BTreeMap::new();
    for node in &world.nodes {
        own.extend(lanes(node, "entries").await?);
    }
    for _ in 0..moved(world).await {
        world.counts.count("townships put below another district");
    }
    let mut trace = Vec::new();
    for node in &world.nodes {
        let office = node.office().ok_or("an office is down")?;
        let received = lanes(node, "received").await?;
        for (lane, entries) in &own {
            let fact = Fact::of_entry(&sample(world, lane).await?).map_err(|e| e.to_string())?.0;
            let parent = node.parent.as_ref();
            let reads =
                fact.audience.is_read_by(&fact.at.origin, &node.id, node.service.tier, parent);
            if reads && fact.at.origin != node.id && received.get(lane) != Some(entries) {
                let have = received.get(lane).map_or(0, BTreeMap::len);
                return Err(format!("{} has {have} of {} of {lane}", node.id, entries.len()));
            }
        }
        if let Some(difference) = office.check_views().await.map_err(|e| e.to_string())? {
            return Err(format!("{}: a view is not its fold: {difference:?}", node.id));
        }
        let mut after = log::Cursor::default();
        let mut reader = office.reader().await.map_err(|e| e.to_string())?;
        loop {
            let page = log::feed(&mut reader, after, 500).await.map_err(|e| e.to_string())?;
            let Some((last, _)) = page.last() else { break };
            after = *last;
            trace.extend(page.iter().map(|(_, bytes)| Hash::of(&[bytes])));
        }
        world.counts.entries += office.head();
    }
    let all: Vec<&[u8]> = trace.iter().map(|hash| hash.0.as_slice()).collect();
    world.counts.trace = Hash::of(&all).to_string();
    Ok(())
}

/// One entry of a lane, for its audience.
async fn sample(world: &World, lane: &str) -> Result<Vec<u8>, String> {
    for node in &world.nodes {
        let Some(office) = node.office() else { continue };
        let sql = "SELECT entry FROM entries WHERE lane = $1 LIMIT 1";
        let mut reader = office.reader().await.map_err(|e| e.to_string())?;
        let found = reader.rows(sql, vec![lane.into()]).await.map_err(|e| e.to_string())?;
        if let Some(row) = found.first() {
            return row.blob(0).map_err(|e| e.to_string());
        }
    }
    Err(format!("{lane} has no entry"))
}

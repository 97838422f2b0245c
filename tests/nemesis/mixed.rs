//! Two versions in one city: a township one version behind keeps working, and
//! catches up after its upgrade on the same data folder.

use std::{path::Path, time::Duration};

use super::{Outcome, field::Field, offices::Layout};

/// Runs a city of this version with everybody else on `previous`, then upgrades
/// district by district, the townships last.
pub async fn mixed(seed: u64, previous: &Path, tell: impl Fn(&str)) -> Outcome {
    let layout = Layout { previous: Some(previous.to_owned()), ..Layout::default() };
    let mut field = Field::open(seed, layout).await;
    tell(&format!("seed {seed}: {}", field.offices.folder.display()));
    field.ledger.during("(all behind)");
    tell("everybody but the city runs the previous version");
    calm(&mut field, "the previous version", 6_000).await;
    let waiting = unfolded(&field).await;
    tell(&format!("stored and not understood: {waiting} entries"));
    if waiting == 0 {
        field.ledger.wrong("no entry of an unknown type reached a township".to_owned());
    }
    for tier in ["district", "township"] {
        field.ledger.during(if tier == "district" { "(districts new)" } else { "(all new)" });
        for code in field.offices.of_tier(tier) {
            field.offices.kill(code).await;
            field.offices.start(code).await;
        }
        tell(&format!("every {tier} is upgraded"));
        calm(&mut field, tier, 3_000).await;
    }
    let waiting = unfolded(&field).await;
    if waiting > 0 {
        field.ledger.wrong(format!("{waiting} entries are not folded after the upgrade"));
    }
    let (tallies, violations) = field.close().await;
    Outcome { seed, tallies, violations }
}

async fn calm(field: &mut Field, what: &str, work: u64) {
    tokio::time::sleep(Duration::from_millis(work)).await;
    let ledger = field.ledger.clone();
    let _closed = ledger.gate.write().await;
    if let Err(why) = field.settle().await {
        field.ledger.wrong(format!("{what}: {why}"));
    }
}

/// How many received entries wait at townships for a version that understands them.
async fn unfolded(field: &Field) -> u64 {
    let mut waiting = 0;
    for code in field.offices.of_tier("township") {
        let engine = event_store::Engine::Sqlite(field.offices.seats[code].config.data.clone());
        let Ok(mut store) = event_store::db::Conn::open_reader(&engine).await else { continue };
        let sql = "SELECT COUNT(*) FROM received WHERE folded = 0";
        let rows = store.rows(sql, vec![]).await.unwrap();
        waiting += rows[0].count(0).unwrap();
        store.close().await;
    }
    waiting
}

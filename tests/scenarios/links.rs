//! One suite for every way between an office and the hub: over NATS, by files, mixed.
//! The carrier of the files loses one in five and brings one in five twice.

use std::{collections::BTreeMap, fs};

use deploy::round::rectify;
use serde_json::{Value, json};
use tests::town::{CITY, DISTRICT, TOWN, Town};

use crate::faults::{a_fed_back_round, lanes_are_dense};

/// Every lane that `reader` reads of `origin`, with its entries' bytes.
fn shared(entries: &[Value], origin: &str) -> BTreeMap<String, Vec<Value>> {
    let mut lanes: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for item in entries.iter().filter(|item| item["origin"] == origin) {
        let lane = format!("{}", item["audience"]);
        lanes.entry(lane).or_default().push(item["entry"].clone());
    }
    lanes
}

/// What `reader` holds of `origin` is exactly what `origin` addressed to it.
async fn holds_all(town: &Town, reader: &str, origin: &str, audience: &str) -> bool {
    let (own, read) = (town.entries(origin).await, town.entries(reader).await);
    lanes_are_dense(&read);
    let audience = format!("\"{audience}\"");
    let own = shared(&own, &town.id(origin));
    let read = shared(&read, &town.id(origin));
    own.get(&audience).is_some_and(|lane| read.get(&audience) == Some(lane))
}

async fn everything_arrives_once_and_is_receipted(by_files: &'static [&'static str]) {
    let town = Town::start_with(by_files).await;
    town.register_units().await;
    let findings = a_fed_back_round(&town, "R1", 3).await;
    town.until("the township opened its rectifications", || async {
        let all = town.api(TOWN).get("COM", "/api/rectifications").await.unwrap();
        all["items"].as_array().is_some_and(|items| items.len() == 3)
    })
    .await;
    for finding in &findings {
        rectify(&town.api(TOWN), "COM", finding).await.unwrap();
    }
    // A filing with its paper goes up and is receipted when the bytes are there.
    let filing = json!({"set": "staff", "period": "2024", "due": "2024-06-30"});
    town.api(TOWN).post("COM", "/api/filings", "f1", None, &filing).await.unwrap();
    let (up, down) = (format!("up-{}", town.id(DISTRICT)), format!("to-{}", town.id(TOWN)));
    town.until("the township holds the district's entries", || {
        holds_all(&town, TOWN, DISTRICT, &down)
    })
    .await;
    town.until("the district holds the township's entries", || {
        holds_all(&town, DISTRICT, TOWN, &up)
    })
    .await;
    let to_city = format!("up-{}", town.id(CITY));
    town.until("the city holds the district's entries", || {
        holds_all(&town, CITY, DISTRICT, &to_city)
    })
    .await;
    for code in [CITY, DISTRICT, TOWN] {
        let settled = |n: &Value| n["not_received"] == 0 && n["differs"] == false;
        let began = std::time::Instant::now();
        loop {
            let all = town.api(code).get("SYS", "/api/neighbours").await.unwrap();
            if all.as_array().unwrap().iter().all(settled) {
                break;
            }
            assert!(began.elapsed().as_secs() < 60, "{code}: not receipted: {all}");
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn over_nats_everything_arrives_once_and_is_receipted() {
    everything_arrives_once_and_is_receipted(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn by_files_everything_arrives_once_and_is_receipted() {
    everything_arrives_once_and_is_receipted(&[DISTRICT, TOWN]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_township_on_files_below_a_district_on_nats() {
    everything_arrives_once_and_is_receipted(&[TOWN]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn by_files_a_lost_store_comes_back_and_an_altered_parcel_is_refused() {
    let mut town = Town::start_with(&[TOWN]).await;
    town.register_units().await;
    a_fed_back_round(&town, "R1", 2).await;
    town.until("the township opened its rectifications", || async {
        let all = town.api(TOWN).get("COM", "/api/rectifications").await.unwrap();
        all["items"].as_array().is_some_and(|items| items.len() == 2)
    })
    .await;
    town.until("the city took everything", || async {
        town.api(TOWN).get("COM", "/health/ready").await.unwrap()["unsent"] == 0
    })
    .await;
    let before = town.entries(TOWN).await;
    // Junk on the disc changes nothing.
    let brought = town.folder.join("files").join(TOWN).join("in");
    let done = fs::read_dir(brought.join("done")).unwrap();
    let parcel =
        done.map(|e| e.unwrap().path()).find(|p| p.extension().is_some_and(|e| e == "parcel"));
    let mut altered = fs::read(parcel.unwrap()).unwrap();
    let middle = altered.len() / 2;
    altered[middle] ^= 1;
    fs::write(brought.join("altered.parcel"), altered).unwrap();
    fs::write(brought.join("junk.parcel"), b"no parcel").unwrap();
    town.until("both are put aside", || async {
        ["altered.parcel", "junk.parcel"]
            .iter()
            .all(|name| brought.join("refused").join(name).exists())
    })
    .await;
    town.stop_office(TOWN).await;
    fs::remove_dir_all(town.data(TOWN)).unwrap();
    town.start_office(TOWN).await;
    town.until("the log came back", || async {
        town.api(TOWN).get("COM", "/health/ready").await.unwrap()["status"] == "ready"
    })
    .await;
    assert_eq!(town.entries(TOWN).await[..before.len()], before[..]);
    town.stop_office(TOWN).await;
    assert!(town.views_agree(TOWN).await);
}

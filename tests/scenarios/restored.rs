//! An office whose store was lost or put back to an older copy does not record until
//! it has fetched its own entries back.

use std::{fs, path::Path};

use crate::faults::a_fed_back_round;
use serde_json::{Value, json};
use tests::town::{CITY, DISTRICT, TOWN, Town};

pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    fs::set_permissions(to, fs::metadata(from).unwrap().permissions()).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

async fn record_something(town: &Town, number: u32) -> Result<(), String> {
    let body = json!({"set": "staff", "period": format!("2024-{number}"), "due": "2024-06-30"});
    let key = format!("filing-{number}");
    town.api(TOWN).post("COM", "/api/filings", &key, None, &body).await.map(drop)
}

async fn refuses(town: &Town) {
    let began = std::time::Instant::now();
    let url = format!("{}/api/filings", town.url(TOWN));
    let id = kernel::OfficeId::parse(&town.id(TOWN)).unwrap();
    let token = deploy::token::make(&town.keys(TOWN), &id, "COM").unwrap();
    loop {
        let headers =
            [("authorization", &*format!("Bearer {token}")), ("idempotency-key", "after-restore")];
        let body = br#"{"set":"staff","period":"x","due":"2024-06-30"}"#.to_vec();
        let reply = web::client::Client::default()
            .send(hyper::Method::POST, &url, &headers, body)
            .await
            .unwrap();
        if reply.status == 503 {
            let problem = reply.json();
            assert_eq!(problem["code"], "log-behind");
            assert!(problem["title"].as_str().unwrap().contains("落后"), "{problem}");
            assert!(problem["title_en"].as_str().unwrap().contains("behind"), "{problem}");
            return;
        }
        assert!(began.elapsed().as_secs() < 30, "it records: {} {}", reply.status, reply.json());
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

async fn quiet(town: &Town, code: &str) {
    town.until("the hub holds the log", || async {
        let ready = town.api(code).get("SYS", "/health/ready").await.unwrap();
        ready["unsent"] == 0
    })
    .await;
}

/// Its log came back whole, with what it had taken in, and it records again.
async fn is_whole_again(town: &mut Town, before: &[Value], number: u32) {
    town.until("the log came back", || async { record_something(town, number).await.is_ok() })
        .await;
    let after = town.entries(TOWN).await;
    assert_eq!(after[..before.len()], *before, "the same entries in the same order");
    town.stop_office(TOWN).await;
    assert!(town.views_agree(TOWN).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_office_put_back_to_an_older_copy_fetches_its_log_before_it_records() {
    let mut town = Town::start().await;
    town.register_units().await;
    record_something(&town, 1).await.unwrap();
    quiet(&town, TOWN).await;
    town.stop_office(TOWN).await;
    let copy_at = town.folder.join("copy");
    copy(&town.data(TOWN), &copy_at);
    let sent = fs::read(town.keys(TOWN).join("sent-up-to")).unwrap();
    town.start_office(TOWN).await;
    for number in 2..6 {
        record_something(&town, number).await.unwrap();
    }
    // Findings of the district arrive in the lost span, too, and rules answer them.
    a_fed_back_round(&town, "R1", 3).await;
    town.until("the township opened its rectifications", || async {
        let all = town.api(TOWN).get("COM", "/api/rectifications").await.unwrap();
        all["items"].as_array().is_some_and(|items| items.len() == 3)
    })
    .await;
    quiet(&town, TOWN).await;
    let before = town.entries(TOWN).await;
    town.stop_office(TOWN).await;
    fs::remove_dir_all(town.data(TOWN)).unwrap();
    copy(&copy_at, &town.data(TOWN));

    // Known at once from `sent-up-to`, with the link cut.
    town.links[TOWN].cut();
    town.start_office(TOWN).await;
    refuses(&town).await;
    let ready = town.api(TOWN).get("COM", "/health/ready").await.unwrap();
    assert_eq!(ready["status"], "log-behind");
    // It still answers what it knows.
    town.api(TOWN).get("COM", "/api/filings").await.unwrap();
    town.links[TOWN].heal();
    is_whole_again(&mut town, &before, 10).await;

    // Known from the hub, if an older `sent-up-to` came back with the store.
    fs::remove_dir_all(town.data(TOWN)).unwrap();
    copy(&copy_at, &town.data(TOWN));
    fs::write(town.keys(TOWN).join("sent-up-to"), &sent).unwrap();
    town.start_office(TOWN).await;
    is_whole_again(&mut town, &before, 11).await;

    // Everything is lost but the keys.
    fs::remove_dir_all(town.data(TOWN)).unwrap();
    town.start_office(TOWN).await;
    is_whole_again(&mut town, &before, 12).await;
    // The city went on.
    town.api(CITY).get("PLAN", "/api/filing-board").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_recorded_while_neither_the_store_nor_the_hub_has_the_log() {
    let mut town = Town::start().await;
    record_something(&town, 1).await.unwrap();
    quiet(&town, TOWN).await;
    town.stop_office(TOWN).await;
    let sent: Value =
        serde_json::from_slice(&fs::read(town.keys(TOWN).join("sent-up-to")).unwrap()).unwrap();
    let later = sent["sequence"].as_u64().unwrap() + 5;
    let ahead = json!({"epoch": 1, "sequence": later, "hash": sent["hash"]});
    fs::write(town.keys(TOWN).join("sent-up-to"), ahead.to_string()).unwrap();
    town.start_office(TOWN).await;
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    refuses(&town).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_holds_something_else_than_the_log_says_so() {
    let mut town = Town::start().await;
    record_something(&town, 1).await.unwrap();
    let agrees = async |town: &Town, differs: bool| {
        let neighbours = town.api(TOWN).get("COM", "/api/neighbours").await.unwrap();
        let parent =
            neighbours.as_array().unwrap().iter().find(|n| n["office"] == town.id(DISTRICT));
        parent.is_some_and(|n| n["differs"] == differs && (n["not_received"] != 0) == differs)
    };
    town.until("the district receipts the filing", || agrees(&town, false)).await;
    town.stop_office(TOWN).await;
    let engine = event_store::Engine::Sqlite(town.data(TOWN));
    let mut store = event_store::db::Conn::open_reader_writable(&engine).await.unwrap();
    let lane = format!("ev.{}.up-{}", town.id(TOWN), town.id(DISTRICT));
    let sql = "UPDATE entries SET hash = $1 WHERE lane = $2";
    let changed =
        store.exec(sql, vec![vec![7u8; 32].as_slice().into(), lane.as_str().into()]).await;
    assert!(changed.unwrap() > 0);
    store.close().await;
    town.start_office(TOWN).await;
    town.until("the receipt does not fit the log", || agrees(&town, true)).await;
}

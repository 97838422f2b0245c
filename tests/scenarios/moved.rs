//! A township is put below another district: what it files from then on goes there, what
//! it had filed is finished where it was filed, and nobody reads what is not for him.

use std::fs;

use serde_json::{Value, json};
use tests::town::{CITY, DISTRICT, TOWN, Town};

use crate::faults::lanes_are_dense;

/// 洛南县
const OTHER: &str = "611021";

/// Who stands above the township, as an office shows it, and where it is moving to.
async fn above(town: &Town, at: &str) -> (Value, Value) {
    let all = town.api(at).get("SYS", "/api/offices").await.unwrap();
    let id = town.id(TOWN);
    let found = all["items"].as_array().unwrap().iter().find(|item| item["seat"]["office"] == id);
    found.map_or((Value::Null, Value::Null), |item| {
        (item["seat"]["parent"].clone(), item["moving_to"].clone())
    })
}

async fn put(town: &Town, below: &str, key: &str) -> Result<(), String> {
    let path = format!("/api/offices/{}/move", town.id(TOWN));
    let body = json!({"parent": town.id(below)});
    town.api(CITY).post("SYS", &path, key, None, &body).await.map(drop)
}

/// Puts the township below a district and waits until everybody has heard that it is.
async fn moves(town: &Town, below: &str, key: &str) {
    put(town, below, key).await.unwrap();
    for at in [CITY, DISTRICT, OTHER, TOWN] {
        town.until("everybody knows the new place", || async {
            above(town, at).await == (json!(town.id(below)), Value::Null)
        })
        .await;
    }
}

fn filing(town: &Town, number: u32) -> String {
    format!("{}-staff-2024-{number}", town.id(TOWN))
}

async fn expects(town: &Town, number: u32) -> Result<(), String> {
    let body = json!({"set": "staff", "period": format!("2024-{number}"), "due": "2024-06-30"});
    let key = format!("filing-{number}");
    town.api(TOWN).post("COM", "/api/filings", &key, None, &body).await.map(drop)
}

/// The township's filing as the township shows it.
async fn own(town: &Town, number: u32) -> Value {
    town.api(TOWN).get("COM", &format!("/api/filings/{}", filing(town, number))).await.unwrap()
}

/// The review of it at a district.
async fn review(town: &Town, at: &str, number: u32) -> Value {
    let path = format!("/api/filing-reviews/{}-{}", town.id(at), filing(town, number));
    town.api(at).get("FILE", &path).await.unwrap_or_default()
}

/// Files, and waits until the district holds it.
async fn files(town: &Town, number: u32, to: &str) {
    let path = format!("/api/filings/{}", filing(town, number));
    let api = town.api(TOWN);
    let hash = api.upload("COM", format!("名册 {number}").into_bytes()).await.unwrap();
    let version = own(town, number).await["version"].to_string();
    let item = json!({"code": "A4", "hash": hash, "media": "text/plain", "name": "a.txt"});
    let key = format!("item-{number}");
    api.post("COM", &format!("{path}/items"), &key, Some(&version), &item).await.unwrap();
    let version = own(town, number).await["version"].to_string();
    let (path, key) = (format!("{path}/submit"), format!("submit-{number}"));
    let partial = json!({"partial": true});
    api.post("COM", &path, &key, Some(&version), &partial).await.unwrap();
    town.until("the district holds the filing", || async {
        review(town, to, number).await["state"] == "receipted"
    })
    .await;
}

async fn accepts(town: &Town, at: &str, number: u32) {
    let row = review(town, at, number).await;
    let basis = row["submission"]["basis"].clone();
    let path = format!("/api/filing-reviews/{}-{}", town.id(at), filing(town, number));
    for what in ["items/A4", "accept"] {
        let version = review(town, at, number).await["version"].to_string();
        let (path, key) = (format!("{path}/{what}"), format!("{what}-{number}"));
        let body = json!({"basis": basis});
        town.api(at).post("FILE", &path, &key, Some(&version), &body).await.unwrap();
    }
    town.until("the township hears of it", || async {
        own(town, number).await["state"] == "accepted"
    })
    .await;
}

async fn nothing_waits(town: &Town) {
    for code in [CITY, DISTRICT, OTHER, TOWN] {
        town.until("everything is receipted", || async {
            let all = town.api(code).get("SYS", "/api/neighbours").await.unwrap();
            all.as_array().unwrap().iter().all(|row| row["not_received"] == 0)
        })
        .await;
        let seen = town.api(code).get("SYS", "/api/operations").await.unwrap();
        let waits = (&seen["held"]["count"], &seen["evidence"]["count"]);
        assert_eq!(waits, (&json!(0), &json!(0)), "{code}: {seen}");
        lanes_are_dense(&town.entries(code).await);
    }
    let ingest = town.api(CITY).get("SYS", "/api/ingest").await.unwrap();
    let refused = ingest["refused"].as_object().unwrap();
    let bad = ["audience", "signature", "fork", "parcel-refused"];
    assert!(bad.iter().all(|code| !refused.contains_key(*code)), "{ingest}");
}

/// The township's streams of which an office holds something.
async fn heard(town: &Town, at: &str) -> Vec<String> {
    let id = town.id(TOWN);
    let all = town.entries(at).await;
    let of = all.iter().filter(|item| item["origin"] == id);
    let bytes = of.map(|item| deploy::api::from_base64(item["entry"].as_str().unwrap()));
    bytes.map(|bytes| kernel::Fact::of_entry(&bytes).unwrap().0.stream).collect()
}

/// Whether the township stands on an office's board.
async fn on_board(town: &Town, at: &str) -> bool {
    let board = town.api(at).get("FILE", "/api/filing-board").await.unwrap();
    let id = town.id(TOWN);
    board["rows"].as_array().unwrap().iter().any(|row| row["district"] == id)
}

/// Whether an office is shown at another, and was heard there.
async fn hears(town: &Town, at: &str, of: &str) -> bool {
    let all = town.api(at).get("SYS", "/api/neighbours").await.unwrap();
    let id = town.id(of);
    let mut rows = all.as_array().unwrap().iter();
    rows.any(|row| row["office"] == id && row["last_heard"].is_string())
}

async fn a_township_moves(by_files: &'static [&'static str]) {
    let mut town = Town::start_with(by_files).await;
    town.enrol(OTHER, CITY, "district").await;
    expects(&town, 1).await.unwrap();
    files(&town, 1, DISTRICT).await;
    expects(&town, 2).await.unwrap();
    for (below, code) in [(CITY, "unknown-parent"), (TOWN, "unknown-parent")] {
        let no = put(&town, below, &format!("no-{below}")).await.unwrap_err();
        assert!(no.contains(code), "{no}");
    }

    moves(&town, OTHER, "there").await;
    expects(&town, 3).await.unwrap();
    files(&town, 3, OTHER).await;
    assert_eq!(own(&town, 3).await["expectation"]["to"], town.id(OTHER));
    for (at, of) in [(TOWN, OTHER), (OTHER, TOWN)] {
        town.until("they hear of each other", || hears(&town, at, of)).await;
    }
    assert!(review(&town, DISTRICT, 3).await.is_null(), "the district before has no part in it");
    // What was asked for before is finished where it was asked for.
    accepts(&town, DISTRICT, 1).await;
    files(&town, 2, DISTRICT).await;
    assert!(on_board(&town, DISTRICT).await && on_board(&town, OTHER).await);
    accepts(&town, DISTRICT, 2).await;
    assert!(!on_board(&town, DISTRICT).await, "nothing is owed there any more");
    accepts(&town, OTHER, 3).await;
    // The same matter cannot be filed with two.
    let no = town
        .api(TOWN)
        .post(
            "COM",
            "/api/filings",
            "again",
            None,
            &json!({"set": "staff", "period": "2024-2", "due": "2024-06-30"}),
        )
        .await
        .unwrap_err();
    assert!(no.contains("wrong-state"), "{no}");
    // Nobody's past is given with a move, nor what goes to the district before.
    let known = heard(&town, OTHER).await;
    for number in [1, 2] {
        assert!(!known.contains(&format!("filing/{}", filing(&town, number))), "{known:?}");
    }
    // The new district is given what it should know by whom it belongs to.
    let stream = format!("filing/{}", filing(&town, 1));
    let share = json!({"to": town.id(OTHER), "stream": stream});
    town.api(TOWN).post("COM", "/api/history-shares", "share", None, &share).await.unwrap();
    town.until("the new district sees the filing before its time", || async {
        let path = format!("/api/filings?office={}", town.id(TOWN));
        let given = town.api(OTHER).get("FILE", &path).await.unwrap();
        given["items"].as_array().unwrap().iter().any(|row| row["id"] == filing(&town, 1))
    })
    .await;
    nothing_waits(&town).await;

    // A lost store comes back over the move.
    let before = town.entries(TOWN).await;
    town.stop_office(TOWN).await;
    fs::remove_dir_all(town.data(TOWN)).unwrap();
    town.start_office(TOWN).await;
    town.until("the log came back", || async { expects(&town, 4).await.is_ok() }).await;
    assert_eq!(town.entries(TOWN).await[..before.len()], before[..]);
    files(&town, 4, OTHER).await;

    // And back: the lanes of before go on.
    moves(&town, DISTRICT, "back").await;
    expects(&town, 5).await.unwrap();
    files(&town, 5, DISTRICT).await;
    assert!(review(&town, OTHER, 5).await.is_null());
    nothing_waits(&town).await;
    for code in [TOWN, DISTRICT, OTHER, CITY] {
        town.stop_office(code).await;
        assert!(town.views_agree(code).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_township_is_put_below_another_district_and_back() {
    a_township_moves(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_township_by_files_is_put_below_another_district_and_back() {
    a_township_moves(&[TOWN]).await;
}

/// It hears of the call weeks later, and files until then where it was.
#[tokio::test(flavor = "multi_thread")]
async fn a_township_without_a_link_moves_when_it_hears_of_it() {
    let mut town = Town::start().await;
    town.enrol(OTHER, CITY, "district").await;
    expects(&town, 1).await.unwrap();
    town.links[TOWN].cut();
    put(&town, OTHER, "there").await.unwrap();
    put(&town, OTHER, "once more").await.unwrap();
    let no = put(&town, DISTRICT, "and back").await.unwrap_err();
    assert!(no.contains("wrong-state"), "{no}");
    expects(&town, 2).await.unwrap();
    assert_eq!(own(&town, 2).await["expectation"]["to"], town.id(DISTRICT));
    let moving = (json!(town.id(DISTRICT)), json!(town.id(OTHER)));
    assert_eq!(above(&town, CITY).await, moving);
    town.links[TOWN].heal();
    moves(&town, OTHER, "there again").await;
    files(&town, 2, DISTRICT).await;
    expects(&town, 3).await.unwrap();
    files(&town, 3, OTHER).await;
    nothing_waits(&town).await;
}

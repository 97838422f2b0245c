//! Keys that are changed, keys and logs that are lost: nobody but the office and those
//! who vouch for it can make another one's entries, and it goes on openly.

use std::fs;

use serde_json::{Value, json};
use tests::town::{CITY, DISTRICT, TOWN, Town};

use crate::faults::lanes_are_dense;

/// 商州区 and 洛南县
const OTHERS: [&str; 2] = ["611002", "611021"];

async fn file(town: &Town, number: u32) -> Result<(), String> {
    file_of(town, TOWN, number).await
}

async fn file_of(town: &Town, code: &str, number: u32) -> Result<(), String> {
    let body = json!({"set": "staff", "period": format!("2024-{number}"), "due": "2024-06-30"});
    let (role, key) = (if code == TOWN { "COM" } else { "FILE" }, format!("filing-{number}"));
    town.api(code).post(role, "/api/filings", &key, None, &body).await.map(drop)
}

/// How many of the township's filings the district has heard of.
async fn heard(town: &Town) -> usize {
    heard_by(town, DISTRICT, TOWN).await
}

async fn heard_by(town: &Town, at: &str, of: &str) -> usize {
    let all = town.entries(at).await;
    lanes_are_dense(&all);
    let from = town.id(of);
    let expected =
        |item: &&Value| item["origin"] == from && item["type"] == "cn.liandong.filing.expected.v1";
    all.iter().filter(expected).count()
}

async fn until_heard(town: &Town, count: usize) {
    town.until("the district hears of the filings", || async { heard(town).await == count }).await;
}

async fn quiet(town: &Town, code: &str) {
    town.until("the hub holds the log", || async {
        town.api(code).get("SYS", "/health/ready").await.unwrap()["unsent"] == 0
    })
    .await;
}

/// What an office shows of the keys and lives of another.
async fn standing(town: &Town, at: &str, of: &str) -> Value {
    let all = town.api(at).get("SYS", "/api/keys").await.unwrap();
    let id = town.id(of);
    let mut items = all["items"].as_array().unwrap().iter();
    items.find(|item| item["office"] == id).cloned().unwrap_or_default()
}

async fn key_changes(town: &Town, code: &str, key: &str) {
    town.until("the office knows itself", || async {
        standing(town, code, code).await["key"].is_string()
    })
    .await;
    let before = standing(town, code, code).await;
    let made = town.api(code).post("SYS", "/api/key-changes", key, None, &json!({})).await.unwrap();
    let offered = &made.body["key"];
    if code != CITY {
        town.until("the city hears of the offer", || async {
            standing(town, CITY, code).await["offered"]["key"] == *offered
        })
        .await;
        let path = format!("/api/offices/{}/key", town.id(code));
        let other = json!({"key": before["key"]});
        let no = town.api(CITY).post("SYS", &path, "no", None, &other).await.unwrap_err();
        assert!(no.contains("no-key-offer"), "{no}");
        let body = json!({"key": offered});
        town.api(CITY).post("SYS", &path, key, None, &body).await.unwrap();
    }
    for at in [CITY, DISTRICT, TOWN] {
        town.until("everybody knows of the new key", || async {
            let all = town.api(at).get("SYS", "/api/keys").await.unwrap();
            let known = all["items"].as_array().unwrap().iter();
            let own = known.clone().find(|item| item["office"] == town.id(code)).cloned();
            // An office shows others only while something of theirs is open.
            own.is_none_or(|item| item["key"] == *offered && item["offered"].is_null())
        })
        .await;
    }
    let now = standing(town, code, code).await;
    assert_eq!((&now["key"], &now["epoch"]), (offered, &json!(1)));
    assert!(now["from"].as_u64() > before["from"].as_u64());
}

async fn nothing_was_refused(town: &Town) {
    let ingest = town.api(CITY).get("SYS", "/api/ingest").await.unwrap();
    let refused = ingest["refused"].as_object().unwrap();
    let bad = ["signature", "epoch", "fork", "malformed", "parcel-refused"];
    assert!(bad.iter().all(|code| !refused.contains_key(*code)), "{ingest}");
    for code in [CITY, DISTRICT, TOWN] {
        let seen = town.api(code).get("SYS", "/api/operations").await.unwrap();
        assert_eq!((&seen["held"]["count"], &seen["evidence"]["count"]), (&json!(0), &json!(0)));
        assert!(seen["intake"]["not-an-entry"].is_null(), "{code}: {}", seen["intake"]);
    }
}

/// The township's store is lost; its log comes back whole, the filing with the next
/// number arrives, and every view agrees.
async fn comes_back_from_the_hub(mut town: Town, next: u32) {
    quiet(&town, TOWN).await;
    let before = town.entries(TOWN).await;
    town.stop_office(TOWN).await;
    fs::remove_dir_all(town.data(TOWN)).unwrap();
    town.start_office(TOWN).await;
    town.until("the log came back", || async { file(&town, next).await.is_ok() }).await;
    assert_eq!(town.entries(TOWN).await[..before.len()], before[..]);
    until_heard(&town, next as usize).await;
    for code in [TOWN, DISTRICT, CITY] {
        town.stop_office(code).await;
        assert!(town.views_agree(code).await);
    }
}

async fn every_office_changes_its_key(by_files: &'static [&'static str]) {
    let mut town = Town::start_with(by_files).await;
    town.register_units().await;
    file(&town, 1).await.unwrap();
    for (number, code) in [(2, TOWN), (3, DISTRICT), (4, CITY), (5, TOWN)] {
        key_changes(&town, code, &format!("change-{number}")).await;
        file(&town, number).await.unwrap();
    }
    until_heard(&town, 5).await;
    for code in [TOWN, DISTRICT, CITY] {
        quiet(&town, code).await;
        town.stop_office(code).await;
    }
    for code in [CITY, DISTRICT, TOWN] {
        town.start_office(code).await;
    }
    file(&town, 6).await.unwrap();
    until_heard(&town, 6).await;
    nothing_was_refused(&town).await;
    // A lost store comes back over all turns of its keys.
    comes_back_from_the_hub(town, 7).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_office_changes_its_key_and_nothing_is_refused() {
    every_office_changes_its_key(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_office_changes_its_key_by_files() {
    every_office_changes_its_key(&[DISTRICT, TOWN]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_lost_everything_takes_logs_of_several_keys_again() {
    let mut town = Town::start().await;
    file(&town, 1).await.unwrap();
    key_changes(&town, TOWN, "first").await;
    key_changes(&town, CITY, "second").await;
    file(&town, 2).await.unwrap();
    until_heard(&town, 2).await;
    quiet(&town, TOWN).await;
    town.kill_hub().await;
    fs::remove_dir_all(town.folder.join("nats")).unwrap();
    town.start_hub();
    // The city makes streams and readers at its start.
    town.stop_office(CITY).await;
    town.start_office(CITY).await;
    file(&town, 3).await.unwrap();
    until_heard(&town, 3).await;
    nothing_was_refused(&town).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_office_without_its_key_says_so_answers_questions_and_records_nothing() {
    let mut town = Town::start().await;
    file(&town, 1).await.unwrap();
    until_heard(&town, 1).await;
    quiet(&town, TOWN).await;
    town.stop_office(TOWN).await;
    let (key, aside) = (town.keys(TOWN).join("event.key"), town.folder.join("event.key"));
    fs::rename(&key, &aside).unwrap();
    town.start_office(TOWN).await;
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    let ready = town.api(TOWN).get("SYS", "/health/ready").await.unwrap();
    assert_eq!((&ready["status"], &ready["records"]), (&json!("key-lost"), &json!(false)));
    town.api(TOWN).get("COM", "/api/filings").await.unwrap();
    town.stop_office(TOWN).await;
    fs::rename(&aside, &key).unwrap();
    town.start_office(TOWN).await;
    file(&town, 2).await.unwrap();
    until_heard(&town, 2).await;
    nothing_was_refused(&town).await;
}

/// The log ends behind what was sent, and the hub has no more of it either.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_lost_together_with_the_hub_s_tail_goes_on_in_a_new_life() {
    let mut town = Town::start().await;
    // Its key is not its first one.
    key_changes(&town, TOWN, "earlier").await;
    file(&town, 1).await.unwrap();
    until_heard(&town, 1).await;
    quiet(&town, TOWN).await;
    // The hub's folder as it is now: the office goes on, and is heard.
    town.kill_hub().await;
    let (store, copy) = (town.folder.join("nats"), town.folder.join("nats-before"));
    crate::restored::copy(&store, &copy);
    town.start_hub();
    for number in 2..5 {
        file(&town, number).await.unwrap();
    }
    until_heard(&town, 4).await;
    let heard_before = town.entries(DISTRICT).await;
    // Both are lost: the store, and the hub's tail.
    let office = town.id(TOWN);
    town.stop_office(TOWN).await;
    town.kill_hub().await;
    fs::remove_dir_all(&store).unwrap();
    crate::restored::copy(&copy, &store);
    fs::remove_dir_all(town.data(TOWN)).unwrap();
    town.start_hub();
    town.start_office(TOWN).await;
    town.until("the log is as long as the hub has it", || async {
        let some = town.api(TOWN).get("AUDADM", "/api/events").await;
        some.is_ok_and(|page| page["items"].as_array().is_some_and(|items| items.len() > 5))
    })
    .await;
    let ready = town.api(TOWN).get("SYS", "/health/ready").await.unwrap();
    assert_eq!(ready["status"], "log-behind", "nobody closes a life but its office and the city");
    town.stop_office(TOWN).await;
    town.renew(TOWN, &office, "renewal").await;
    town.start_office(TOWN).await;
    town.until("a new life has begun", || async { file(&town, 5).await.is_ok() }).await;
    let overview = town.api(TOWN).get("SYS", "/api/operations").await.unwrap();
    assert_eq!(overview["epoch"], 2);
    // The district keeps what it has heard, and hears what is new.
    until_heard(&town, 5).await;
    assert_eq!(town.entries(DISTRICT).await[..heard_before.len()], heard_before[..]);
    for at in [CITY, DISTRICT, TOWN] {
        town.until("everybody shows it", || async {
            let lives = standing(&town, at, TOWN).await["lives"].clone();
            lives[0]["epoch"] == 2 && lives[0]["proven"] == true && lives[0]["key_changed"] == false
        })
        .await;
    }
    // It is an office like any other: started again, and lost once more, it comes back.
    comes_back_from_the_hub(town, 6).await;
}

/// The city opens the life itself, and reads the lane that goes back.
#[tokio::test(flavor = "multi_thread")]
async fn the_city_too_takes_a_new_life_from_where_it_begins() {
    let mut town = Town::start().await;
    let until_city_heard = async |town: &Town, count: usize| {
        town.until("the city hears of the filings", || async {
            heard_by(town, CITY, DISTRICT).await == count
        })
        .await;
    };
    file_of(&town, DISTRICT, 1).await.unwrap();
    until_city_heard(&town, 1).await;
    quiet(&town, DISTRICT).await;
    town.kill_hub().await;
    let (store, copy) = (town.folder.join("nats"), town.folder.join("nats-before"));
    crate::restored::copy(&store, &copy);
    town.start_hub();
    for number in 2..5 {
        file_of(&town, DISTRICT, number).await.unwrap();
    }
    until_city_heard(&town, 4).await;
    let office = town.id(DISTRICT);
    town.stop_office(DISTRICT).await;
    town.kill_hub().await;
    fs::remove_dir_all(&store).unwrap();
    crate::restored::copy(&copy, &store);
    fs::remove_dir_all(town.data(DISTRICT)).unwrap();
    town.start_hub();
    town.renew(DISTRICT, &office, "renewal").await;
    town.start_office(DISTRICT).await;
    for number in 5..7 {
        town.until("a new life has begun", || async {
            file_of(&town, DISTRICT, number).await.is_ok()
        })
        .await;
    }
    until_city_heard(&town, 6).await;
    town.until("the city has receipted all of it", || async {
        let all = town.api(DISTRICT).get("SYS", "/api/neighbours").await.unwrap();
        let city = town.id(CITY);
        all.as_array().unwrap().iter().any(|n| n["office"] == city && n["not_received"] == 0)
    })
    .await;
    for code in [DISTRICT, CITY] {
        town.stop_office(code).await;
        assert!(town.views_agree(code).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_office_that_lost_its_key_goes_on_when_most_other_districts_have_signed() {
    let mut town = Town::start().await;
    for code in OTHERS {
        town.enrol(code, CITY, "district").await;
    }
    file(&town, 1).await.unwrap();
    until_heard(&town, 1).await;
    quiet(&town, TOWN).await;
    // Recorded, and not sent when the keys are lost.
    town.links[TOWN].cut();
    file(&town, 2).await.unwrap();
    let before = town.entries(TOWN).await;
    let office = town.id(TOWN);
    town.stop_office(TOWN).await;
    // Who may sign in stands in the store; only this test reads it from the keys.
    let people = fs::read(town.keys(TOWN).join("first-sign-in.json")).unwrap();
    fs::remove_dir_all(town.keys(TOWN)).unwrap();
    fs::create_dir_all(town.keys(TOWN)).unwrap();
    fs::write(town.keys(TOWN).join("first-sign-in.json"), people).unwrap();
    town.links[TOWN].heal();
    town.renew(TOWN, &office, "renewal").await;
    town.launch(TOWN);
    let proposed = |at: &'static str| {
        let (town, office) = (&town, &office);
        async move {
            let all = town.api(at).get("SYS", "/api/keys").await.unwrap();
            let items = all["items"].as_array().unwrap().clone();
            items.into_iter().find(|i| i["office"] == *office).unwrap_or_default()["proposed"]
                .clone()
        }
    };
    for at in [DISTRICT, OTHERS[0]] {
        town.until("the district is asked", || async { proposed(at).await["epoch"] == 2 }).await;
    }
    let key = proposed(DISTRICT).await["key"].clone();
    assert_eq!(proposed(CITY).await["needed"], 2);
    let path = format!("/api/offices/{office}/consent");
    let consents = async |at: &str, key: &Value| {
        town.api(at).post("SYS", &path, "consent", None, &json!({"key": key})).await
    };
    let other = json!("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
    let no = town.api(DISTRICT).post("SYS", &path, "no", None, &json!({"key": other})).await;
    assert!(no.unwrap_err().contains("no-key-offer"));
    consents(DISTRICT, &key).await.unwrap();
    town.until("one consent is not enough", || async {
        proposed(CITY).await["consents"].as_array().is_some_and(|by| by.len() == 1)
    })
    .await;
    consents(OTHERS[0], &key).await.unwrap();
    town.until("the office goes on", || async {
        town.keys(TOWN).join("membership.json").exists() && file(&town, 3).await.is_ok()
    })
    .await;
    until_heard(&town, 3).await;
    assert_eq!(town.entries(TOWN).await[..before.len()], before[..], "nothing recorded is lost");
    let lives = standing(&town, DISTRICT, TOWN).await["lives"].clone();
    assert_eq!((&lives[0]["proven"], &lives[0]["key_changed"]), (&json!(true), &json!(true)));
    nothing_was_refused(&town).await;
    // What lay in the safe under the lost key is sealed again when the hub has lost it.
    quiet(&town, TOWN).await;
    town.kill_hub().await;
    fs::remove_dir_all(town.folder.join("nats")).unwrap();
    town.start_hub();
    town.stop_office(CITY).await;
    town.start_office(CITY).await;
    file(&town, 4).await.unwrap();
    until_heard(&town, 4).await;
    town.stop_office(TOWN).await;
    assert!(town.views_agree(TOWN).await);
}

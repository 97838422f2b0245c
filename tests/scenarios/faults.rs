//! Link cut and healed; hub killed with -9 under load. Nothing is lost, doubled
//! or reordered in its lane, and nobody waits for anybody.

use std::{collections::BTreeMap, time::Duration};

use deploy::{
    api::from_base64,
    round::{Script, rectify},
};
use kernel::Fact;
use serde_json::Value;
use tests::town::{CITY, DISTRICT, TOWN, Town};

/// Every lane of every origin at an office: dense from its first counter, once each; a
/// new life of a log goes on from where the one before was closed.
pub(crate) fn lanes_are_dense(entries: &[Value]) -> BTreeMap<String, u64> {
    let mut heads: BTreeMap<String, u64> = BTreeMap::new();
    let mut lives: BTreeMap<String, u32> = BTreeMap::new();
    for item in entries {
        let (fact, _) = Fact::of_entry(&from_base64(item["entry"].as_str().unwrap())).unwrap();
        let head = heads.entry(fact.lane().to_string()).or_default();
        let life = lives.entry(fact.lane().to_string()).or_insert(fact.at.epoch);
        let goes_on = if *life == fact.at.epoch {
            fact.lane == *head + 1
        } else {
            fact.at.epoch > *life && fact.lane <= *head + 1
        };
        assert!(goes_on, "{} at {}: {} after {head}", fact.lane(), fact.at, fact.lane);
        *life = fact.at.epoch;
        *head = fact.lane;
    }
    heads
}

async fn same_shared_heads(town: &Town, from: &str, to: &str) -> bool {
    let own = lanes_are_dense(&town.entries(from).await);
    let read = lanes_are_dense(&town.entries(to).await);
    let reader = town.id(to);
    let shared =
        own.iter().filter(|(lane, _)| lane.contains(&town.id(from)) && lane.ends_with(&reader));
    shared.clone().count() > 0 && shared.clone().all(|(lane, head)| read.get(lane) == Some(head))
}

pub(crate) async fn a_fed_back_round(town: &Town, number: &str, findings: usize) -> Vec<String> {
    let district = town.api(DISTRICT);
    let (plan, tasks) = town.village_round(number);
    let found = (0..findings)
        .map(|n| ("k1".to_owned(), format!("问题{n}"), "现象、定性、责任".to_owned()))
        .collect();
    let mut round = Script::new(&district, plan, tasks, found);
    round.plan().await.unwrap();
    round.authorise().await.unwrap();
    round.enter().await.unwrap();
    round.withdraw().await.unwrap();
    round.hear().await.unwrap();
    round.feed_back().await.unwrap();
    round.drafted.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_link_stops_nobody_and_heals_without_loss() {
    let town = Town::start().await;
    town.register_units().await;
    town.links[TOWN].cut();
    town.links[DISTRICT].cut();
    let findings = a_fed_back_round(&town, "R1", 5).await;
    let ready = town.api(DISTRICT).get("PLAN", "/health/ready").await.unwrap();
    assert!(ready["unsent"].as_u64().unwrap() > 20, "{ready}");
    town.links[DISTRICT].heal();
    town.links[TOWN].heal();
    for finding in &findings {
        rectify(&town.api(TOWN), "COM", finding).await.unwrap();
    }
    town.until("the district holds the township's entries", || {
        same_shared_heads(&town, TOWN, DISTRICT)
    })
    .await;
    town.until("the township holds the district's entries", || {
        same_shared_heads(&town, DISTRICT, TOWN)
    })
    .await;
    town.until("the district's neighbours received everything", || async {
        let neighbours = town.api(DISTRICT).get("PLAN", "/api/neighbours").await.unwrap();
        neighbours.as_array().unwrap().iter().all(|n| n["not_received"] == 0)
    })
    .await;
    for code in [CITY, DISTRICT, TOWN] {
        let check = town.api(code).get("SYS", "/api/views/check").await.unwrap();
        assert_eq!(check["agree"], true, "{code}: {check}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_killed_under_load_loses_nothing() {
    let mut town = Town::start().await;
    town.register_units().await;
    let findings = a_fed_back_round(&town, "R1", 60).await;
    let unit = town.api(TOWN);
    let load = tokio::spawn({
        let findings = findings.clone();
        async move {
            for finding in findings {
                rectify(&unit, "COM", &finding).await.unwrap();
            }
        }
    });
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_millis(300)).await;
        town.kill_hub().await;
        tokio::time::sleep(Duration::from_millis(400)).await;
        town.start_hub();
    }
    load.await.unwrap();
    town.until("the district holds the township's entries", || {
        same_shared_heads(&town, TOWN, DISTRICT)
    })
    .await;
    town.until("every finding is noted as rectified", || async {
        let found = town
            .api(DISTRICT)
            .get("RECT", "/api/findings?limit=500&state=rectified")
            .await
            .unwrap();
        found["items"].as_array().unwrap().len() == findings.len()
    })
    .await;
    town.until("the hub holds every log", || async {
        for code in [CITY, DISTRICT, TOWN] {
            let ready = town.api(code).get("SYS", "/health/ready").await.unwrap();
            if ready["unsent"] != 0 {
                return false;
            }
        }
        true
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wiped_hub_gets_everything_again() {
    let mut town = Town::start().await;
    town.register_units().await;
    let findings = a_fed_back_round(&town, "R1", 3).await;
    for finding in &findings {
        rectify(&town.api(TOWN), "COM", finding).await.unwrap();
    }
    town.until("the city heard the round", || async {
        let rounds = town.api(CITY).get("PLAN", "/api/rounds").await.unwrap();
        rounds["items"][0]["state"] == "rectifying"
    })
    .await;
    // Streams and readers are made again when the city starts.
    town.stop_office(CITY).await;
    town.kill_hub().await;
    std::fs::remove_dir_all(town.folder.join("nats")).unwrap();
    town.start_hub();
    town.start_office(CITY).await;
    town.until("the hub holds every log again", || async {
        for code in [CITY, DISTRICT, TOWN] {
            let ready = town.api(code).get("SYS", "/health/ready").await.unwrap();
            if ready["unsent"] != 0 || ready["link"] != "up" {
                return false;
            }
        }
        true
    })
    .await;
    lanes_are_dense(&town.entries(CITY).await);
    lanes_are_dense(&town.entries(DISTRICT).await);
    // What is said after the wipe arrives: the offices' readers were made again.
    for finding in &a_fed_back_round(&town, "R2", 2).await {
        rectify(&town.api(TOWN), "COM", finding).await.unwrap();
    }
    town.until("the district holds the new ones", || same_shared_heads(&town, TOWN, DISTRICT))
        .await;
}

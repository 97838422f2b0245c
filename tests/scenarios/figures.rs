//! The figures that a district signs are those that its finding streams give.

use std::collections::BTreeMap;

use deploy::{
    api::{Api, from_base64},
    round::{Script, rectify},
};
use domain::finding::{Event, Finding, State};
use kernel::{Aggregate, Fact};
use serde_json::{Value, json};
use tests::town::{CITY, DISTRICT, TOWN, Town};

/// Found and rectified by level, folded from the district's exact entries alone.
async fn from_the_streams(town: &Town) -> BTreeMap<String, (u64, u64)> {
    let mut streams: BTreeMap<String, (String, Finding)> = BTreeMap::new();
    for item in town.entries(DISTRICT).await {
        if item["origin"] != town.id(DISTRICT) {
            continue;
        }
        let type_name = item["type"].as_str().unwrap();
        if !type_name.starts_with("cn.liandong.finding.") {
            continue;
        }
        let bytes = from_base64(item["entry"].as_str().unwrap());
        let (fact, _) = Fact::of_entry(&bytes).unwrap();
        if fact.copy_of.is_some() {
            continue;
        }
        let event: Event = fact.read().unwrap();
        let (level, finding) = streams.entry(fact.stream.clone()).or_default();
        if let Event::DraftSealed { brief, .. } = &event {
            brief.level.as_str().clone_into(level);
        }
        finding.evolve(&event);
    }
    let mut counts: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for (level, finding) in streams.values() {
        let count = counts.entry(level.clone()).or_default();
        let fed_back =
            matches!(finding.state(), State::FedBack | State::Rectified | State::ClosedOut);
        count.0 += u64::from(fed_back);
        count.1 += u64::from(matches!(finding.state(), State::Rectified | State::ClosedOut));
    }
    counts
}

/// The day, and how many targets were inspected by then at each level.
async fn covered(office: &Api, query: &str) -> (String, Vec<u64>) {
    let coverage = office.get("PLAN", &format!("/api/coverage{query}")).await.unwrap();
    let levels = coverage["levels"].as_array().unwrap().iter();
    let inspected = levels.map(|level| {
        let (inspected, targets) = (level["inspected"].as_u64(), level["targets"].as_u64());
        let rate = if inspected == Some(0) { "0.0" } else { "100.0" };
        if targets > Some(0) {
            assert_eq!(level["rate"], rate, "{level}");
        }
        inspected.unwrap()
    });
    (coverage["as_of"].as_str().unwrap().to_owned(), inspected.collect())
}

fn shown(results: &Value) -> BTreeMap<String, (u64, u64)> {
    let levels = results["levels"].as_array().unwrap().iter();
    let counts = levels.map(|row| {
        let number = |field: &str| row[field].as_u64().unwrap();
        (row["level"].as_str().unwrap().to_owned(), (number("found"), number("rectified")))
    });
    counts.filter(|(_, (found, _))| *found > 0).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_city_shows_what_the_districts_streams_give() {
    let town = Town::start().await;
    town.register_units().await;
    let (plan, mut tasks) = town.village_round("R1");
    tasks.push(json!({"id": "k2", "target": "o1", "name": "县直单位001", "level": "county"}));
    let found = [("k1", "甲"), ("k1", "乙"), ("k2", "丙"), ("k2", "丁"), ("k2", "戊")];
    let found = found.map(|(task, title)| (task.to_owned(), title.to_owned(), "三要素".to_owned()));
    let district = town.api(DISTRICT);
    let listed = ["o1", "v1"].map(|number| district.organization(number));
    let list = json!({"valid_from": "2022-01-01", "targets": listed, "reason": "五年规划"});
    district.post("PLAN", "/api/target-lists", "list", None, &list).await.unwrap();
    let mut round = Script::new(&district, plan, tasks, found.into());
    round.plan().await.unwrap();
    round.authorise().await.unwrap();
    round.enter().await.unwrap();
    round.withdraw().await.unwrap();
    round.hear().await.unwrap();
    round.feed_back().await.unwrap();
    let today = covered(&district, "").await;
    assert_eq!(today.1, [0, 1, 1], "one target of the county level and one village");
    let day = kernel::Day::parse(&today.0).unwrap();
    assert_eq!(covered(&district, &format!("?as_of={}", day.before())).await.1, [0, 0, 0]);
    assert_eq!(covered(&district, &format!("?as_of={day}")).await.1, [0, 1, 1]);
    rectify(&town.api(TOWN), "COM", &round.drafted[0]).await.unwrap();
    rectify(&district, "UNIT", &round.drafted[2]).await.unwrap();
    rectify(&district, "UNIT", &round.drafted[3]).await.unwrap();
    // One is sent back: rectified goes down again.
    let path = format!("/api/findings/{}", round.drafted[3]);
    let row = district.get("RECT", &path).await.unwrap();
    let version = row["version"].to_string();
    let reason = json!({"reason": "反弹"});
    district
        .post("RECT", &format!("{path}/reopen"), "reopen", Some(&version), &reason)
        .await
        .unwrap();
    let expected: BTreeMap<String, (u64, u64)> =
        [("county".to_owned(), (3, 1)), ("village".to_owned(), (2, 1))].into();
    town.until("the city shows the figures", || async {
        shown(&town.api(CITY).get("PLAN", "/api/results").await.unwrap()) == expected
    })
    .await;
    assert_eq!(from_the_streams(&town).await, expected);
    // The city never saw a finding.
    let seen = town.entries(CITY).await;
    assert!(seen.iter().all(|item| !item["type"].as_str().unwrap().contains(".finding.")));
}

//! 时限规定 Deadline rules: proposed, decided by the city and a district, followed by all.

use kernel::{Day, Timestamp};
use serde_json::{Value, json};
use tests::town::{CITY, DISTRICT, TOWN, Town};

const RULES: &str = "/api/deadline-policies";

fn rule(key: &str) -> String {
    format!("{RULES}/{key}")
}

fn decision(from: &str, amount: u32) -> Value {
    json!({"from": from, "value": {"amount": amount, "unit": "workday"}, "document": "巡察办〔2024〕3号"})
}

async fn decide(town: &Town, code: &str, key: &str, body: &Value) -> Result<(), String> {
    let at = format!("{}/decisions", rule("filing.default"));
    town.api(code).post("LG", &at, key, None, body).await.map(drop)
}

/// What holds at an office: the amount, the amount without its own decision, by whom, and
/// whether it only reminds.
async fn holds(town: &Town, code: &str, query: &str) -> (Value, Value, Value, Value) {
    let at = format!("{}{query}", rule("filing.default"));
    let role = if code == TOWN { "COM" } else { "PLAN" };
    let row = town.api(code).get(role, &at).await.unwrap();
    let amount = |of: &str| row[of]["amount"].clone();
    (amount("value"), amount("parent"), row["policy"].clone(), row["reminds"].clone())
}

async fn filing_of(town: &Town, number: &str) -> Value {
    let district = town.api(DISTRICT);
    let (plan, tasks) = town.village_round(number);
    let mut round = deploy::round::Script::new(&district, plan, tasks, Vec::new());
    round.plan().await.unwrap();
    round.authorise().await.unwrap();
    let at = format!("/api/filings/{}-round-plan-{number}", town.id(DISTRICT));
    town.until("the filing is expected", || async {
        district.get("FILE", &at).await.is_ok_and(|row| row["state"] == "expected")
    })
    .await;
    district.get("FILE", &at).await.unwrap()["expectation"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proposal_reminds_until_it_is_decided_and_the_nearest_decision_holds() {
    let town = Town::start().await;
    town.register_units().await;
    let all = town.api(TOWN).get("COM", RULES).await.unwrap();
    let items = all["items"].as_array().unwrap();
    let marked = |mark: &str| items.iter().filter(|row| row["mark"] == mark).count();
    assert_eq!(
        (items.len(), marked("source"), marked("memory"), marked("proposal")),
        (57, 34, 3, 20)
    );
    assert_eq!((&all["pack"], &all["calendar"]), (&json!("default-2026.1"), &json!("cn-2026.1")));

    // Nobody has decided: ten workdays, and it only reminds.
    let proposed = (json!(10), json!(10), json!("default-2026.1"), json!(true));
    assert_eq!(holds(&town, DISTRICT, "").await, proposed);
    let first = filing_of(&town, "R1").await;
    let says = "filing.default default-2026.1 cn-2026.1 2024-01-08";
    assert_eq!(first["policy"], json!(says));
    assert_eq!((&first["due"], &first["proposal"]), (&json!("2024-01-22"), &json!(true)));

    // The city decides for all.
    decide(&town, CITY, "d1", &decision("2024-01-08", 7)).await.unwrap();
    let by_city = json!(format!("{}#1", town.id(CITY)));
    let decided = (json!(7), json!(7), by_city.clone(), json!(false));
    for code in [DISTRICT, TOWN] {
        town.until("the city's decision is known", || async {
            holds(&town, code, "").await == decided
        })
        .await;
    }
    assert_eq!(holds(&town, DISTRICT, "?as_of=2024-01-07").await, proposed);
    let second = filing_of(&town, "R2").await;
    let says = format!("filing.default {}#1 cn-2026.1 2024-01-08", town.id(CITY));
    assert_eq!(second["policy"], json!(says));
    assert_eq!((&second["due"], &second["proposal"]), (&json!("2024-01-17"), &json!(false)));

    // The district decides for itself and its townships; the city's stands beside it.
    decide(&town, DISTRICT, "d1", &decision("2024-01-08", 5)).await.unwrap();
    let by_district = json!(format!("{}#1", town.id(DISTRICT)));
    assert_eq!(
        holds(&town, DISTRICT, "").await,
        (json!(5), json!(7), by_district.clone(), json!(false))
    );
    town.until("the district's decision is known below", || async {
        holds(&town, TOWN, "").await == (json!(5), json!(5), by_district.clone(), json!(false))
    })
    .await;
    assert_eq!(holds(&town, CITY, "").await.0, json!(7));
    assert_eq!(filing_of(&town, "R3").await["due"], json!("2024-01-15"));
    // What was expected before is due as it was.
    let at = format!("/api/filings/{}-round-plan-R1", town.id(DISTRICT));
    let kept = town.api(DISTRICT).get("FILE", &at).await.unwrap();
    assert_eq!(kept["expectation"], first);

    // Given back, the city's holds again.
    let back = json!({"from": "2024-01-09", "document": "巡察办〔2024〕4号"});
    let path = format!("{}/decisions", rule("filing.default"));
    let unread = town.api(DISTRICT).post("LG", &path, "d2", None, &back).await.unwrap_err();
    assert!(unread.contains("if-match-required"), "{unread}");
    town.api(DISTRICT).post("LG", &path, "d3", Some("1"), &back).await.unwrap();
    let district = holds(&town, DISTRICT, "?as_of=2024-01-09").await;
    assert_eq!(district, (json!(7), json!(7), by_city, json!(false)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_office_may_decide_is_refused_and_said() {
    let town = Town::start().await;
    let (city, body) = (town.api(CITY), decision("2024-01-08", 7));
    let refused = async |role: &'static str, key: &str, body: &Value| {
        let at = format!("{}/decisions", rule(key));
        city.post(role, &at, &format!("{key}-{role}"), None, body).await.unwrap_err()
    };
    for (key, code) in [
        ("coverage.term", "policy-fixed"),
        ("coverage.village.annual_min", "policy-unfit"),
        ("relook.window", "policy-unfit"),
        ("nothing.such", "policy-unknown"),
    ] {
        let why = refused("LG", key, &body).await;
        assert!(why.contains(code), "{key}: {why}");
    }
    let past = decision("2024-01-07", 7);
    assert!(refused("LG", "filing.default", &past).await.contains("policy-order"));
    assert!(refused("PLAN", "filing.default", &body).await.contains("not-allowed"));
    assert!(city.get("PLAN", &rule("nothing.such")).await.unwrap_err().contains("policy-unknown"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nears_is_green_then_yellow_and_red_only_by_a_decision() {
    let town = Town::start().await;
    town.register_units().await;
    let district = town.api(DISTRICT);
    filing_of(&town, "R1").await;
    decide(&town, DISTRICT, "d1", &decision("2024-01-08", 30)).await.unwrap();
    let due = filing_of(&town, "R2").await["due"].clone();
    assert_eq!(due, json!("2024-02-22"));
    let warnings = async || {
        let list = district.get("FILE", "/api/worklist").await.unwrap();
        let items = list["items"].as_array().unwrap().iter();
        let of = |number: &str| {
            let mut items = items.clone();
            let item = items.find(|item| item["id"].as_str().unwrap().ends_with(number));
            item.map(|item| item["warning"].clone()).unwrap()
        };
        (of("round-plan-R1"), of("round-plan-R2"))
    };
    let on = async |day: &str| {
        let to = Day::parse(day).unwrap().start();
        district.drive(Timestamp(to.0 + 3_600_000)).await.unwrap();
        warnings().await
    };
    assert_eq!(warnings().await, (json!("green"), Value::Null));
    assert_eq!(on("2024-02-03").await, (json!("yellow"), json!("green")));
    assert_eq!(on("2024-02-13").await, (json!("yellow"), json!("yellow")));
    // A week without a clock: what fell due meanwhile is due on its true day.
    assert_eq!(on("2024-03-01").await, (json!("yellow"), json!("red")));
    let list = district.get("FILE", "/api/worklist").await.unwrap();
    let late = list["items"].as_array().unwrap().iter().find(|item| item["warning"] == "red");
    assert_eq!(late.unwrap()["due"], due);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_year_says_what_it_still_asks_for_and_who_waits_too_long() {
    let town = Town::start().await;
    town.register_units().await;
    let district = town.api(DISTRICT);
    let villages: Vec<Value> = (2..=11)
        .map(|n| {
            json!({"number": format!("v{n}"), "name": format!("第{n}村"), "level": "village",
                "unit_office": town.id(TOWN), "valid_from": "2020-01-01"})
        })
        .collect();
    district.post("PLAN", "/api/organizations", "more", None, &json!(villages)).await.unwrap();
    let targets: Vec<String> = (1..=11).map(|n| district.organization(&format!("v{n}"))).collect();
    // Ten from 2020 on; the eleventh, which is the one that is inspected, from 2022 on.
    let lists = [("2020-01-10", &targets[1..], None), ("2022-01-10", &targets[..], Some("1"))];
    for (from, targets, version) in lists {
        let list = json!({"valid_from": from, "targets": targets, "reason": "五年规划"});
        district.post("PLAN", "/api/target-lists", from, version, &list).await.unwrap();
    }
    let village = async |query: &str| {
        let said = district.get("PLAN", &format!("/api/coverage/pace{query}")).await.unwrap();
        let of = said["levels"].as_array().unwrap().iter();
        let level = of.clone().find(|level| level["level"] == "village").cloned().unwrap();
        (level, said["idle"].clone())
    };
    let counts = |level: &Value| {
        ["targets", "inspected", "this_year", "idle"].map(|key| level[key].as_u64().unwrap())
    };
    assert_eq!(counts(&village("?as_of=2023-01-10").await.0), [11, 0, 0, 0]);
    let (before, idle) = village("").await;
    assert_eq!(counts(&before), [11, 0, 0, 10]);
    assert_eq!(before["minimum"], json!({"targets": 3, "short": 3, "policy": "default-2026.1"}));
    assert_eq!((&idle[0]["name"], &idle[0]["since"]), (&json!("第10村"), &json!("2023-01-10")));

    let (plan, tasks) = town.village_round("R1");
    let found = [("k1".to_owned(), "甲".to_owned(), "三要素".to_owned())].to_vec();
    let mut round = deploy::round::Script::new(&district, plan, tasks, found);
    round.plan().await.unwrap();
    round.authorise().await.unwrap();
    round.enter().await.unwrap();
    round.withdraw().await.unwrap();
    round.hear().await.unwrap();
    round.feed_back().await.unwrap();
    let (after, _) = village("").await;
    assert_eq!(counts(&after), [11, 1, 1, 10]);
    assert_eq!(after["minimum"]["short"], 2);

    // A stricter rule counts from its day on, and only here.
    let at = format!("{}/decisions", rule("coverage.village.annual_min"));
    let half = json!({"from": "2024-01-08", "value": {"amount": 50, "unit": "percent"}, "document": "1号"});
    district.post("LG", &at, "half", None, &half).await.unwrap();
    let (stricter, _) = village("").await;
    assert_eq!(
        (&stricter["minimum"]["targets"], &stricter["minimum"]["short"]),
        (&json!(6), &json!(5))
    );
}

//! 回看 What was done by a day and what was known at a moment, asked of the offices: a record
//! that came late is part of its day as it is known now, and was not known then.

use deploy::round::{Script, rectify};
use hyper::Method;
use kernel::{Day, Timestamp};
use serde_json::{Value, json};
use tests::town::{CITY, DISTRICT, TOWN, Town};
use web::client::{Client, Reply};

const DAY: i64 = 86_400_000;

async fn asked(town: &Town, code: &str, role: &str, path: &str) -> Reply {
    let token = format!("Bearer {}", town.api(code).token(role).unwrap());
    let headers = [("authorization", token.as_str())];
    let url = format!("{}{path}", town.url(code));
    Client::default().send(Method::GET, &url, &headers, Vec::new()).await.unwrap()
}

async fn shown(town: &Town, code: &str, role: &str, path: &str) -> Value {
    let reply = asked(town, code, role, path).await;
    assert_eq!(reply.status, 200, "{path}: {}", reply.json());
    reply.json()
}

/// A command that records what was done on an earlier day.
async fn late(
    town: &Town,
    (code, role): (&str, &str),
    path: &str,
    version: &str,
    day: Day,
    body: &Value,
) {
    let token = format!("Bearer {}", town.api(code).token(role).unwrap());
    let (version, day) = (format!("\"{version}\""), day.to_string());
    let headers = [
        ("authorization", token.as_str()),
        ("content-type", "application/json"),
        ("idempotency-key", path),
        ("if-match", version.as_str()),
        ("act-date", day.as_str()),
    ];
    let (url, body) = (format!("{}{path}", town.url(code)), body.to_string().into_bytes());
    let reply = Client::default().send(Method::POST, &url, &headers, body).await.unwrap();
    assert!(reply.status < 300, "{path}: {}", reply.json());
}

/// The day of an office's clock.
async fn today(town: &Town, code: &str) -> Day {
    let coverage = town.api(code).get("PLAN", "/api/coverage").await.unwrap();
    Day::parse(coverage["as_of"].as_str().unwrap()).unwrap()
}

async fn days_pass(town: &Town, from: Day, days: i64) -> Day {
    let to = Timestamp(from.start().0 + days * DAY + DAY / 2);
    for code in [CITY, DISTRICT, TOWN] {
        town.api(code).drive(to).await.unwrap();
    }
    to.day()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_late_is_of_its_day_now_and_was_not_known_then() {
    let town = Town::start().await;
    town.register_units().await;
    let findings = crate::faults::a_fed_back_round(&town, "R1", 2).await;
    let unit = town.api(TOWN);
    rectify(&unit, "COM", &findings[0]).await.unwrap();
    let path = format!("/api/rectifications/{}-{}", unit.id, findings[1]);
    town.until("the second is there", async || unit.get("COM", &path).await.is_ok()).await;
    let one = async || {
        let results = town.api(DISTRICT).get("PLAN", "/api/results").await.unwrap();
        results["levels"][2]["rectified"] == 1
    };
    town.until("the district has heard of the first", one).await;
    let first = today(&town, DISTRICT).await;
    let early = days_pass(&town, first, 1).await;
    days_pass(&town, first, 12).await;
    let before = crate::ledger::own(&town, TOWN).await;
    let measure = json!({"text": "逐项核实", "due": "2030-06-30", "responsible": "分管负责人"});
    late(&town, (TOWN, "COM"), &format!("{path}/measures"), "1", early, &measure).await;
    let report = json!({"report": "已完成整改"});
    late(&town, (TOWN, "COM"), &format!("{path}/complete"), "2", early, &report).await;

    let state = async |query: &str| {
        shown(&town, TOWN, "COM", &format!("{path}?{query}")).await["state"].clone()
    };
    let (open, done) = (state(&format!("known_at={before}")).await, state("").await);
    assert_ne!(open, done);
    assert_eq!(state(&format!("as_of={early}")).await, done, "it was done by that day");
    assert_eq!(state(&format!("as_of={first}")).await, open, "not by the day before");
    assert_eq!(state(&format!("as_of={early}&known_at={before}")).await, open, "unknown then");
    assert_eq!(state(&format!("known_at={first}")).await, open, "by the end of a day");

    // A past offers no command, and says of what it is.
    let now = asked(&town, TOWN, "COM", &path).await;
    let then = asked(&town, TOWN, "COM", &format!("{path}?as_of={early}&known_at={before}")).await;
    let said = |reply: &Reply, name: &str| reply.header(name).map(str::to_owned);
    assert_eq!(said(&then, "known-at"), Some(before.to_string()));
    assert_eq!(said(&then, "as-of"), Some(early.to_string()));
    assert_eq!((said(&now, "known-at"), said(&now, "as-of")), (None, None));
    assert_eq!(then.json()["actions"], json!([]));

    // Lists and what differs.
    let listed = async |query: &str| {
        let list = shown(&town, TOWN, "COM", &format!("/api/rectifications?{query}")).await;
        list["items"].as_array().unwrap().iter().filter(|row| row["state"] == done).count()
    };
    assert_eq!(listed(&format!("as_of={early}")).await, 2);
    assert_eq!(listed(&format!("as_of={early}&known_at={before}")).await, 1);
    assert_eq!(listed("as_of=2001-01-01").await, 0);
    let query = format!("/api/differences?of=rectifications&as_of={early}&known_at={before}");
    let differ = shown(&town, TOWN, "COM", &query).await;
    let [one] = differ["items"].as_array().unwrap().as_slice() else { panic!("{differ}") };
    assert_eq!((&one["then"]["state"], &one["now"]["state"]), (&open, &done));

    // The district counted one then and counts two now.
    let rectified = async |query: &str| {
        let results = shown(&town, DISTRICT, "PLAN", &format!("/api/results?{query}")).await;
        let levels = results["levels"].as_array().unwrap().iter();
        levels.map(|level| level["rectified"].as_u64().unwrap()).sum::<u64>()
    };
    town.until("the district counts both", async || rectified("").await == 2).await;
    assert_eq!(rectified(&format!("known_at={first}")).await, 1);
    assert_eq!(rectified(&format!("as_of={first}")).await, 1);
    // What the district concludes from what it hears is of the day on which it heard it.
    assert_eq!(rectified(&format!("as_of={early}")).await, 1);
    assert_eq!(rectified("known_at=1").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn coverage_of_a_day_counts_what_was_recorded_later_and_what_was_known_then_does_not() {
    let town = Town::start().await;
    town.register_units().await;
    let district = town.api(DISTRICT);
    let listed = [district.organization("v1"), district.organization("o1")];
    let list = json!({"valid_from": "2022-01-01", "targets": listed, "reason": "五年规划"});
    district.post("PLAN", "/api/target-lists", "list", None, &list).await.unwrap();
    let (plan, tasks) = town.village_round("R1");
    let found = vec![("k1".to_owned(), "问题".to_owned(), "三要素".to_owned())];
    let mut round = Script::new(&district, plan, tasks, found);
    round.plan().await.unwrap();
    round.authorise().await.unwrap();
    round.enter().await.unwrap();
    round.withdraw().await.unwrap();
    round.hear().await.unwrap();
    let first = today(&town, DISTRICT).await;
    let early = days_pass(&town, first, 1).await;
    days_pass(&town, first, 20).await;
    let before = crate::ledger::own(&town, DISTRICT).await;
    let path = format!("/api/rounds/{}", round.id());
    let version = district.get("PLAN", &path).await.unwrap()["version"].to_string();
    let feedback = format!("{path}/tasks/k1/feedback");
    late(&town, (DISTRICT, "PLAN"), &feedback, &version, early, &json!({})).await;
    let villages = async |query: &str| {
        let coverage = shown(&town, DISTRICT, "PLAN", &format!("/api/coverage?{query}")).await;
        let of = &coverage["levels"][2];
        (of["targets"].as_u64().unwrap(), of["inspected"].as_u64().unwrap())
    };
    assert_eq!(villages("").await, (1, 1));
    assert_eq!(villages(&format!("as_of={early}")).await, (1, 1), "as it is known now");
    assert_eq!(villages(&format!("as_of={early}&known_at={before}")).await, (1, 0), "then");
    assert_eq!(villages(&format!("as_of={first}")).await, (1, 0));
    assert_eq!(villages("as_of=2021-12-31").await, (0, 0), "before the list was in force");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_past_opens_nothing_and_a_moment_to_come_is_refused() {
    let town = Town::start().await;
    town.register_units().await;
    let findings = crate::faults::a_fed_back_round(&town, "R1", 1).await;
    let finding = format!("/api/findings/{}", findings[0]);
    // Who rectifies reads what is fed back; as a draft it was not for him.
    let entries = town.entries(DISTRICT).await;
    let own = town.id(DISTRICT);
    let drafted = entries.iter().find(|item| {
        item["origin"] == own && item["type"] == "cn.liandong.finding.draft-sealed.v1"
    });
    let draft = drafted.unwrap()["sequence"].as_u64().unwrap();
    assert_eq!(asked(&town, DISTRICT, "RECT", &finding).await.status, 200);
    let then = format!("{finding}?known_at={draft}");
    assert_eq!(asked(&town, DISTRICT, "RECT", &then).await.status, 404);
    assert_eq!(asked(&town, DISTRICT, "TL", &then).await.status, 200, "the team read it then");
    // Whoever may not read it now does not read it then either.
    assert_eq!(asked(&town, DISTRICT, "SYS", &then).await.status, 403);
    for (path, status, code) in [
        ("/api/rounds?known_at=999999999", 409, "moment-ahead"),
        ("/api/rounds?known_at=2199-01-01", 409, "moment-ahead"),
        ("/api/rounds?known_at=soon", 422, "bad-field"),
        ("/api/rounds?as_of=2024-02-30", 422, "bad-field"),
        ("/api/worklist?as_of=2024-02-01", 400, "past-unknown"),
        ("/api/differences?of=everything&as_of=2024-02-01", 422, "bad-field"),
    ] {
        let reply = asked(&town, DISTRICT, "PLAN", path).await;
        let body = reply.json();
        assert_eq!((reply.status, body["code"].as_str()), (status, Some(code)), "{path}: {body}");
    }
    let laying = shown(&town, DISTRICT, "PLAN", "/operations/past").await;
    assert_eq!(laying["state"], "idle");
}

//! 年度计划 The year's plan: conflicts refused without an excuse, targets that stay, rounds
//! that follow it.

use std::path::Path;

use serde_json::{Value, json};
use tests::town::{CITY, DISTRICT, TOWN, Town};

const PLANS: &str = "/api/annual-plans";

fn round(number: &str, kind: &str, days: [&str; 4]) -> Value {
    let [notice, entry, withdrawal, feedback] = days.map(|day| format!("2024-{day}"));
    json!({"number": number, "name": format!("轮次{number}"), "kind": kind, "organisation": "own",
        "reach": "direct", "notice": notice, "entry": entry, "withdrawal": withdrawal,
        "feedback": feedback})
}

/// The district's plan as its next step finds it.
struct Desk<'a> {
    town: &'a Town,
    id: String,
}

impl Desk<'_> {
    async fn step(&self, role: &str, step: &str, key: &str, body: &Value) -> Result<(), String> {
        let district = self.town.api(DISTRICT);
        let row = district.get("PLAN", &format!("{PLANS}/{}", self.id)).await?;
        let version = row["version"].to_string();
        let at = format!("{PLANS}/{}/{step}", self.id);
        district.post(role, &at, key, Some(&version), body).await.map(drop)
    }

    async fn refused(&self, role: &str, step: &str, key: &str, body: &Value) -> String {
        self.step(role, step, key, body).await.unwrap_err()
    }

    async fn conflicts(&self) -> Value {
        let at = format!("{PLANS}/{}/conflicts", self.id);
        self.town.api(DISTRICT).get("PLAN", &at).await.unwrap()
    }
}

async fn drafted(town: &Town) -> Desk<'_> {
    town.register_units().await;
    let district = town.api(DISTRICT);
    let done = district.post("PLAN", PLANS, "draft", None, &json!({"year": 2024})).await.unwrap();
    let desk = Desk { town, id: done.body["id"].as_str().unwrap().to_owned() };
    assert_eq!(desk.id, format!("{}-2024", town.id(DISTRICT)));
    let village = district.organization("v1");
    let regular = round("R07", "regular", ["02-19", "03-01", "05-31", "06-30"]);
    let mobile = round("R08", "mobile", ["06-03", "06-10", "07-01", "07-31"]);
    for (outline, teams) in [(regular, json!([["p-li"], []])), (mobile, json!([[]]))] {
        let number = outline["number"].as_str().unwrap().to_owned();
        let body = json!({"round": outline, "targets": [village], "teams": teams});
        desk.step("PLAN", "rounds", &number, &body).await.unwrap();
    }
    desk
}

fn document() -> Value {
    json!({"document": "会议纪要〔2024〕1号"})
}

#[tokio::test(flavor = "multi_thread")]
async fn rounds_that_meet_are_refused_until_the_leading_group_excuses_them() {
    let town = Town::start().await;
    let desk = drafted(&town).await;
    let report = desk.conflicts().await;
    let items = report["items"].as_array().unwrap();
    let rules: Vec<&str> = items.iter().map(|item| item["rule"].as_str().unwrap()).collect();
    assert_eq!((rules, &report["open"]), (vec!["overlap", "early"], &json!(2)));
    assert_eq!(items[0]["about"], json!([town.api(DISTRICT).organization("v1")]));
    assert_eq!(items[0]["rounds"], json!(["R07", "R08"]));

    let refused = desk.refused("LG", "adopt", "a1", &document()).await;
    assert!(refused.contains("plan-conflicts"), "{refused}");
    assert!(desk.refused("PLAN", "adopt", "a2", &document()).await.contains("not-allowed"));
    assert!(desk.refused("SEC", "approve", "a3", &document()).await.contains("wrong-state"));
    let excuse = |item: &Value, reason: &str| json!({"conflict": item["key"], "reason": reason});
    let mute = excuse(&items[0], " ");
    assert!(desk.refused("LG", "excuses", "e0", &mute).await.contains("reason-required"));
    let gone = json!({"conflict": "overlap-0000000000000000", "reason": "x"});
    assert!(desk.refused("LG", "excuses", "e1", &gone).await.contains("conflict-absent"));
    for (at, item) in items.iter().enumerate() {
        let key = format!("x{at}");
        desk.step("LG", "excuses", &key, &excuse(item, "县委专题部署")).await.unwrap();
    }
    assert_eq!(desk.conflicts().await["open"], 0);

    // Moved by a day, it is open again; moved apart, there is nothing to excuse.
    let village = town.api(DISTRICT).organization("v1");
    let moved =
        |days| json!({"round": round("R08", "mobile", days), "targets": [village], "teams": [[]]});
    let later = moved(["06-04", "06-10", "07-01", "07-31"]);
    desk.step("PLAN", "rounds", "m1", &later).await.unwrap();
    assert_eq!(desk.conflicts().await["open"], 1);
    let apart = moved(["07-15", "07-22", "08-10", "08-31"]);
    desk.step("PLAN", "rounds", "m2", &apart).await.unwrap();
    let rest = desk.conflicts().await;
    assert_eq!((&rest["items"][0]["rule"], &rest["open"]), (&json!("repeat"), &json!(1)));
    assert_eq!(rest["items"][0]["policy"], "plan.repeat default-2026.1");

    // A shorter rest is decided: there is nothing left.
    let shorter =
        json!({"from": "2024-01-08", "value": {"amount": 14, "unit": "day"}, "document": "1号"});
    let at = "/api/deadline-policies/plan.repeat/decisions";
    town.api(DISTRICT).post("LG", at, "rest", None, &shorter).await.unwrap();
    assert_eq!(desk.conflicts().await["items"], json!([]));
    desk.step("LG", "adopt", "a4", &document()).await.unwrap();
    desk.step("SEC", "approve", "a5", &document()).await.unwrap();
    assert!(desk.refused("PLAN", "rounds", "m3", &apart).await.contains("wrong-state"));
    assert!(desk.refused("PLAN", "close", "c1", &json!({})).await.contains("wrong-state"));
}

/// Whether any file below a folder holds these bytes.
fn holds(folder: &Path, needle: &[u8]) -> bool {
    std::fs::read_dir(folder).unwrap().any(|file| {
        let path = file.unwrap().path();
        if path.is_dir() {
            return holds(&path, needle);
        }
        let bytes = std::fs::read(path).unwrap_or_default();
        bytes.windows(needle.len()).any(|part| part == needle)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_planned_goes_up_and_whom_it_inspects_stays() {
    let town = Town::start().await;
    let desk = drafted(&town).await;
    desk.step("PLAN", "rounds/R08/remove", "r1", &json!({})).await.unwrap();
    desk.step("LG", "adopt", "a1", &document()).await.unwrap();
    desk.step("SEC", "approve", "a2", &document()).await.unwrap();
    let at = format!("{PLANS}/{}", desk.id);
    let city = town.api(CITY);
    town.until("the city knows the plan", || async {
        city.get("PLAN", &at).await.is_ok_and(|row| row["state"] == "approved")
    })
    .await;
    let above = city.get("PLAN", &at).await.unwrap();
    let seventh = &above["rounds"]["R07"];
    assert_eq!(seventh["size"], json!({"teams": 2, "city": 0, "county": 0, "village": 1}));
    assert_eq!(seventh["outline"]["entry"], "2024-03-01");
    let village = town.api(DISTRICT).organization("v1");
    for (office, role) in [(CITY, "PLAN"), (DISTRICT, "FILE")] {
        let seen = town.api(office).get(role, &at).await.unwrap();
        assert_eq!(
            (&seen["rounds"]["R07"]["targets"], &seen["rounds"]["R07"]["teams"]),
            (&json!([]), &json!([]))
        );
        assert!(!seen.to_string().contains(&village), "{role} of {office} sees the target");
    }
    let whole = town.api(DISTRICT).get("PLAN", &at).await.unwrap();
    assert_eq!(whole["rounds"]["R07"]["targets"][0]["org"], json!(village));
    // Who hears of a plan decides nothing of it.
    let version = above["version"].to_string();
    for (role, step) in [("LG", "adopt"), ("SEC", "approve")] {
        let path = format!("{at}/{step}");
        let why = city.post(role, &path, step, Some(&version), &document()).await.unwrap_err();
        assert!(why.contains("not-allowed") || why.contains("plan-absent"), "{why}");
    }
    // In the stores themselves, as they lie on the disk: the district's holds all of it, the
    // city's the outline, the township's nothing.
    let lies = |code: &str, word: &str| holds(&town.data(code), word.as_bytes());
    for (word, at_city) in [("轮次R07", true), (village.as_str(), false), ("p-li", false)] {
        let found = [DISTRICT, CITY, TOWN].map(|code| lies(code, word));
        assert_eq!(found, [true, at_city, false], "{word}");
    }
    assert_eq!(city.get("PLAN", &format!("{at}/conflicts")).await.unwrap()["items"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_round_follows_its_approved_plan_and_another_is_inserted() {
    let town = Town::start().await;
    let desk = drafted(&town).await;
    let district = town.api(DISTRICT);
    desk.step("PLAN", "rounds/R08/remove", "r1", &json!({})).await.unwrap();
    let of = |number: &str, kind: &str| json!({"number": number, "name": "任意", "kind": kind, "organisation": "own", "reach": "direct"});
    let planned =
        async |key: &str, body: Value| district.post("PLAN", "/api/rounds", key, None, &body).await;
    planned("before", of("R01", "regular")).await.unwrap();
    desk.step("LG", "adopt", "a1", &document()).await.unwrap();
    desk.step("SEC", "approve", "a2", &document()).await.unwrap();
    for (key, body) in [("p1", of("R08", "mobile")), ("p2", of("R07", "special"))] {
        let why = planned(key, body).await.unwrap_err();
        assert!(why.contains("round-not-in-plan"), "{why}");
    }
    planned("p3", of("R07", "regular")).await.unwrap();

    let mut insert = json!({"round": round("R08", "mobile", ["06-03", "06-10", "07-01", "07-31"]),
        "targets": [], "teams": [], "reason": "上级部署", "document": "文〔2024〕3号"});
    let refused = desk.refused("LG", "insertions", "i1", &insert).await;
    assert!(refused.contains("plan-conflicts"), "{refused}");
    let key = refused.split_whitespace().find_map(|word| {
        let at = word.find("early-")?;
        Some(word[at..at + 22].to_owned())
    });
    insert["excuses"] = json!({key.unwrap(): "先行了解情况,不反馈重叠对象"});
    desk.step("LG", "insertions", "i2", &insert).await.unwrap();
    planned("p4", of("R08", "mobile")).await.unwrap();
    let city = town.api(CITY);
    let at = format!("{PLANS}/{}", desk.id);
    town.until("the city hears of the insertion", || async {
        city.get("PLAN", &at).await.is_ok_and(|row| row["rounds"]["R08"]["inserted"] == json!(true))
    })
    .await;
}

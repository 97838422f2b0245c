//! One filing from its trigger to its acceptance, through a return.

use serde_json::{Value, json};
use tests::town::{CITY, DISTRICT, Town};

async fn at_city(town: &Town, id: &str) -> Value {
    town.api(CITY).get("FILE", &format!("/api/filing-reviews/{id}")).await.unwrap_or_default()
}

async fn until_state(town: &Town, id: &str, state: &str) -> Value {
    town.until(state, || async { at_city(town, id).await["state"] == state }).await;
    at_city(town, id).await
}

async fn attach(town: &Town, filing: &str, code: &str, text: &str) {
    let district = town.api(DISTRICT);
    let path = format!("/api/filings/{filing}");
    let hash = district.upload("FILE", text.as_bytes().to_vec()).await.unwrap();
    let version = district.get("FILE", &path).await.unwrap()["version"].to_string();
    let body = json!({"code": code, "hash": hash, "media": "text/plain", "name": "a.txt"});
    let key = format!("{code}-{}", &hash[..8]);
    district.post("FILE", &format!("{path}/items"), &key, Some(&version), &body).await.unwrap();
}

async fn submit(town: &Town, filing: &str, key: &str) -> Result<(), String> {
    let district = town.api(DISTRICT);
    let path = format!("/api/filings/{filing}");
    let version = district.get("FILE", &path).await?["version"].to_string();
    district
        .post("FILE", &format!("{path}/submit"), key, Some(&version), &json!({}))
        .await
        .map(drop)
}

async fn judge(town: &Town, id: &str, row: &Value, what: &str, body: Value) -> Result<(), String> {
    let mut body = body;
    body["basis"] = row["submission"]["basis"].clone();
    let version = at_city(town, id).await["version"].to_string();
    let key = format!("{what}-{version}");
    let path = format!("/api/filing-reviews/{id}/{what}");
    town.api(CITY).post("FILE", &path, &key, Some(&version), &body).await.map(drop)
}

async fn on_board(town: &Town, id: &str) -> Value {
    let board = town.api(CITY).get("FILE", "/api/filing-board").await.unwrap();
    let rows = board["rows"].as_array().unwrap().iter();
    let mut filings = rows.flat_map(|row| row["filings"].as_array().unwrap());
    filings.find(|filing| filing["id"] == id).cloned().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filing_arises_from_its_round_and_is_returned_and_accepted() {
    let town = Town::start().await;
    town.register_units().await;
    let district = town.api(DISTRICT);
    let (plan, tasks) = town.village_round("R1");
    let mut round = deploy::round::Script::new(&district, plan, tasks, Vec::new());
    round.plan().await.unwrap();
    round.authorise().await.unwrap();
    let filing = format!("{}-round-plan-R1", town.id(DISTRICT));
    let id = format!("{}-{filing}", town.id(CITY));
    until_state(&town, &id, "expected").await;
    // Ten workdays from 2024-01-08; a proposal only reminds.
    let shown = on_board(&town, &id).await;
    assert_eq!(
        (&shown["state"], &shown["due"], &shown["proposal"]),
        (&json!("expected"), &json!("2024-01-22"), &json!(true))
    );

    attach(&town, &filing, "R1", "方案").await;
    let incomplete = submit(&town, &filing, "s0").await.unwrap_err();
    assert!(incomplete.contains("nothing-attached") && incomplete.contains("R2"), "{incomplete}");
    attach(&town, &filing, "R2", "授权").await;
    submit(&town, &filing, "s1").await.unwrap();
    let first = until_state(&town, &id, "receipted").await;
    town.until("the receipt is at the submitter", || async {
        district.get("FILE", &format!("/api/filings/{filing}")).await.unwrap()["receipted"] == true
    })
    .await;
    let paper = &first["submission"]["items"]["R1"]["hash"];
    let hash = paper.as_str().unwrap();
    assert!(
        town.data(CITY).join("papers").join(&hash[..2]).join(hash).exists(),
        "the bytes are at the city"
    );

    judge(&town, &id, &first, "items/R1", json!({})).await.unwrap();
    let early = judge(&town, &id, &first, "accept", json!({})).await.unwrap_err();
    assert!(early.contains("wrong-state"), "{early}");
    judge(&town, &id, &first, "items/R2", json!({"rejected": "缺签章"})).await.unwrap();
    judge(&town, &id, &first, "return", json!({"reason": "请补正"})).await.unwrap();
    assert_eq!(on_board(&town, &id).await["state"], "returned");
    town.until("the return is at the submitter", || async {
        district.get("FILE", &format!("/api/filings/{filing}")).await.unwrap()["state"]
            == "returned"
    })
    .await;

    attach(&town, &filing, "R2", "授权(已签章)").await;
    submit(&town, &filing, "s2").await.unwrap();
    let second = until_state(&town, &id, "receipted").await;
    let stale = judge(&town, &id, &first, "items/R1", json!({})).await.unwrap_err();
    assert!(stale.contains("basis-superseded"), "{stale}");
    judge(&town, &id, &second, "items/R1", json!({})).await.unwrap();
    judge(&town, &id, &second, "items/R2", json!({})).await.unwrap();
    judge(&town, &id, &second, "accept", json!({})).await.unwrap();
    let shown = on_board(&town, &id).await;
    assert_eq!(
        (&shown["state"], &shown["days_late"], &shown["on_time"]),
        (&json!("accepted"), &json!(0), &json!(true))
    );
    town.until("the acceptance is at the submitter", || async {
        district.get("FILE", &format!("/api/filings/{filing}")).await.unwrap()["state"]
            == "accepted"
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_office_is_overdue_at_the_receiver() {
    let town = Town::start().await;
    let city = town.api(CITY);
    let expect = json!({"from": town.id(DISTRICT), "set": "annual-plan", "period": "2024", "due": "2024-01-31"});
    city.post("FILE", "/api/filing-reviews", "plan", None, &expect).await.unwrap();
    let id = format!("{}-{}-annual-plan-2024", town.id(CITY), town.id(DISTRICT));
    assert_eq!(on_board(&town, &id).await["days_late"], 0);
    let to = kernel::Timestamp::parse("2024-02-10T01:00:00Z").unwrap();
    city.drive(to).await.unwrap();
    assert_eq!(on_board(&town, &id).await["days_late"], 10);
    // Last year's calendar is due as well, although nobody was there on the day.
    let annual = format!("{}-{}-annual-report-2023", town.id(CITY), town.id(DISTRICT));
    town.until("the calendar expects the annual report", || async {
        on_board(&town, &annual).await["state"] == "expected"
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn coverage_is_counted_against_the_list_in_force() {
    let town = Town::start().await;
    let city = town.api(CITY);
    let orgs: Vec<Value> = (1..=430)
        .map(|n| {
            json!({"number": format!("o{n}"), "name": format!("单位{n}"), "level": "city",
            "valid_from": "2016-12-01"})
        })
        .collect();
    city.post("PLAN", "/api/organizations", "orgs", None, &json!(orgs)).await.unwrap();
    // The third is longer than one entry.
    let versions =
        [(90, "2016-12-01", None), (94, "2018-10-01", Some("1")), (430, "2020-01-01", Some("2"))];
    for (count, from, version) in versions {
        let targets: Vec<String> =
            (1..=count).map(|n| city.organization(&format!("o{n}"))).collect();
        let list = json!({"valid_from": from, "targets": targets, "reason": "机构改革"});
        city.post("PLAN", "/api/target-lists", from, version, &list).await.unwrap();
    }
    for (day, targets) in [
        ("2016-11-30", 0),
        ("2017-06-30", 90),
        ("2018-09-30", 90),
        ("2018-10-01", 94),
        ("2020-01-01", 430),
    ] {
        let coverage = city.get("PLAN", &format!("/api/coverage?as_of={day}")).await.unwrap();
        assert_eq!(coverage["levels"][0]["targets"], targets, "{day}");
    }
    // An import with an orphan row names its line and brings nothing in.
    let csv = "code,level,parent,name\n611000,city,610000,商洛市\n611099101,township,611099,无\n";
    let import = json!({"csv": csv, "valid_from": "2023-06-30"});
    let refused =
        city.post("PLAN", "/api/divisions/import", "import", None, &import).await.unwrap_err();
    assert!(refused.contains("import-rejected"), "{refused}");
    let divisions = city.get("PLAN", "/api/divisions").await.unwrap();
    assert_eq!(divisions["items"], json!([]));
}

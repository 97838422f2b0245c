//! The register: divisions of everybody, organizations of an office, as of any day.

use serde_json::{Value, json};
use tests::town::{CITY, DISTRICT, Town};

const CSV: &str = "code,level,parent,name\n611000,city,610000,商洛市\n611024,district,611000,山阳县\n611024106,township,611024,漫川关镇\n";
const RENUMBERED: &str = "code,level,parent,name,formerly\n611003,district,611000,山阳区,611024\n";

async fn names(town: &Town, code: &str, day: &str) -> Vec<(String, String)> {
    let list = town.api(code).get("PLAN", &format!("/api/divisions?as_of={day}")).await.unwrap();
    let text = |item: &Value, name: &str| item[name].as_str().unwrap().to_owned();
    let items = list["items"].as_array().unwrap();
    items.iter().map(|item| (text(item, "code"), text(item, "name"))).collect()
}

fn pairs(of: &[(&str, &str)]) -> Vec<(String, String)> {
    of.iter().map(|(code, name)| ((*code).to_owned(), (*name).to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renumbered_division_stays_the_same_one_at_every_tier() {
    let town = Town::start().await;
    let city = town.api(CITY);
    let first = json!({"csv": CSV, "valid_from": "2010-01-01"});
    let done = city.post("PLAN", "/api/divisions/import", "i1", None, &first).await.unwrap();
    let second = json!({"csv": RENUMBERED, "valid_from": "2017-10-01"});
    let refused = city.post("PLAN", "/api/divisions/import", "i2", None, &second).await;
    assert!(refused.unwrap_err().contains("if-match-required"), "the register is there already");
    let stale = city.post("PLAN", "/api/divisions/import", "i4", Some("7"), &second).await;
    assert!(stale.unwrap_err().contains("stale-version"));
    let version = Some(done.version.as_str());
    city.post("PLAN", "/api/divisions/import", "i3", version, &second).await.unwrap();
    let old = pairs(&[("611000", "商洛市"), ("611024", "山阳县"), ("611024106", "漫川关镇")]);
    let new = pairs(&[("611000", "商洛市"), ("611003", "山阳区"), ("611024106", "漫川关镇")]);
    for office in [CITY, DISTRICT] {
        let arrived = async || names(&town, office, "2020-01-01").await == new;
        town.until("the divisions arrive", arrived).await;
        assert_eq!(names(&town, office, "2012-01-01").await, old);
        assert_eq!(names(&town, office, "2009-12-31").await, []);
    }
    let district = town.api(DISTRICT);
    let found = district.get("PLAN", "/api/divisions?code=611003&as_of=2020-01-01").await.unwrap();
    let id = found["items"][0]["id"].as_str().unwrap().to_owned();
    let life = district.get("PLAN", &format!("/api/divisions/{id}")).await.unwrap();
    let codes: Vec<&Value> =
        life["periods"].as_array().unwrap().iter().map(|period| &period["code"]).collect();
    assert_eq!(codes, ["611024", "611003"]);
    assert_eq!(life["periods"][0]["valid_to"], "2017-09-30");
    let below = format!("/api/divisions?parent={id}&as_of=2020-01-01");
    let below = district.get("PLAN", &below).await.unwrap();
    assert_eq!(below["items"][0]["name"], "漫川关镇", "its parent is the division, not the code");
    let check = district.get("AUDADM", "/api/views/check").await.unwrap();
    assert_eq!(check["difference"], Value::Null, "{check}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organization_is_changed_from_a_day_on() {
    let town = Town::start().await;
    let district = town.api(DISTRICT);
    let org =
        json!({"number": "o1", "name": "县旅游局", "level": "county", "valid_from": "2016-01-01"});
    let lost = json!({"number": "o2", "name": "村", "level": "village", "division": "nowhere", "valid_from": "2016-01-01"});
    let path = "/api/organizations";
    let refused = district.post("PLAN", path, "k1", None, &json!([org, lost])).await.unwrap_err();
    assert!(refused.contains("unknown-division"), "{refused}");
    let list = district.get("PLAN", path).await.unwrap();
    assert_eq!(list["items"], json!([]), "all or none");
    district.post("PLAN", path, "k2", None, &json!([org])).await.unwrap();
    let twice = district.post("PLAN", path, "k3", None, &json!([org])).await.unwrap_err();
    assert!(twice.contains("organization-exists"), "{twice}");
    let nobody = json!({"number": "o3", "name": "丙", "level": "county", "unit_office": "zzzzzzzz", "valid_from": "2016-01-01"});
    let refused = district.post("PLAN", path, "k4", None, &json!([nobody])).await.unwrap_err();
    assert!(refused.contains("unknown-office"), "{refused}");
    let id = district.organization("o1");
    let attributes = json!({"name": "县文化和旅游局", "level": "county", "parent": id});
    let change = format!("/api/organizations/{id}/attributes");
    let change = change.as_str();
    let own = json!({"valid_from": "2019-03-01", "attributes": attributes});
    let refused = district.post("PLAN", change, "c0", Some("1"), &own).await.unwrap_err();
    assert!(refused.contains("unknown-organization"), "nobody stands above itself: {refused}");
    let attributes = json!({"name": "县文化和旅游局", "level": "county", "code": "1161"});
    let new = json!({"valid_from": "2019-03-01", "attributes": attributes});
    for (key, version, code) in [("c1", None, "if-match-required"), ("c2", Some("9"), "stale")] {
        let refused = district.post("PLAN", change, key, version, &new).await.unwrap_err();
        assert!(refused.contains(code), "{refused}");
    }
    district.post("PLAN", change, "c3", Some("1"), &new).await.unwrap();
    for (day, name) in [("2019-02-28", "县旅游局"), ("2019-03-01", "县文化和旅游局")] {
        let list = district.get("PLAN", &format!("{path}?as_of={day}")).await.unwrap();
        assert_eq!(list["items"][0]["name"], name, "{day}");
    }
    let before = district.get("PLAN", &format!("{path}?as_of=2015-12-31")).await.unwrap();
    assert_eq!(before["items"], json!([]));
    // A list is held against what an organization was on the list's day.
    for (key, day, code) in
        [("t1", "2015-01-01", Some("unknown-organization")), ("t2", "2016-01-01", None)]
    {
        let list = json!({"valid_from": day, "targets": [id], "reason": "五年规划"});
        let done = district.post("PLAN", "/api/target-lists", key, None, &list).await;
        assert_eq!(done.err().is_some_and(|why| why.contains(code.unwrap())), code.is_some());
    }
    for (key, version, code) in
        [("t3", None, "if-match-required"), ("t4", Some("9"), "stale-version")]
    {
        let list = json!({"valid_from": "2018-01-01", "targets": [id], "reason": "机构改革"});
        let refused = district.post("PLAN", "/api/target-lists", key, version, &list).await;
        assert!(refused.unwrap_err().contains(code), "{code}");
    }
    let lists = district.get("PLAN", "/api/target-lists").await.unwrap();
    assert_eq!(lists["items"][0]["targets"][0]["level"], "county");
    let bad = district.get("PLAN", &format!("{path}?as_of=yesterday")).await.unwrap_err();
    assert!(bad.contains("bad-field"), "{bad}");
}

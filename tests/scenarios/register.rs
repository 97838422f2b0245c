//! The register: divisions of everybody, organizations of an office, as of any day.

use serde_json::{Value, json};
use tests::town::{CITY, DISTRICT, Town};

const CSV: &str = "code,level,parent,name\n370200,city,370000,青岛市\n370282,district,370200,即墨市\n370282106,township,370282,蓝村镇\n";
const RENUMBERED: &str = "code,level,parent,name,formerly\n370215,district,370200,即墨区,370282\n";

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
    let version = Some(done.version.as_str());
    city.post("PLAN", "/api/divisions/import", "i3", version, &second).await.unwrap();
    let old = pairs(&[("370200", "青岛市"), ("370282", "即墨市"), ("370282106", "蓝村镇")]);
    let new = pairs(&[("370200", "青岛市"), ("370215", "即墨区"), ("370282106", "蓝村镇")]);
    for office in [CITY, DISTRICT] {
        let arrived = async || names(&town, office, "2020-01-01").await == new;
        town.until("the divisions arrive", arrived).await;
        assert_eq!(names(&town, office, "2012-01-01").await, old);
        assert_eq!(names(&town, office, "2009-12-31").await, []);
    }
    let district = town.api(DISTRICT);
    let found = district.get("PLAN", "/api/divisions?code=370215&as_of=2020-01-01").await.unwrap();
    let id = found["items"][0]["id"].as_str().unwrap().to_owned();
    let life = district.get("PLAN", &format!("/api/divisions/{id}")).await.unwrap();
    let codes: Vec<&Value> =
        life["periods"].as_array().unwrap().iter().map(|period| &period["code"]).collect();
    assert_eq!(codes, ["370282", "370215"]);
    assert_eq!(life["periods"][0]["valid_to"], "2017-09-30");
    let below = format!("/api/divisions?parent={id}&as_of=2020-01-01");
    let below = district.get("PLAN", &below).await.unwrap();
    assert_eq!(below["items"][0]["name"], "蓝村镇", "its parent is the division, not the code");
    let check = district.get("AUDADM", "/api/views/check").await.unwrap();
    assert_eq!(check["difference"], Value::Null, "{check}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organization_is_changed_from_a_day_on() {
    let town = Town::start().await;
    let district = town.api(DISTRICT);
    let org =
        json!({"id": "o1", "name": "县旅游局", "level": "county", "valid_from": "2016-01-01"});
    let lost = json!({"id": "o2", "name": "村", "level": "village", "division": "nowhere", "valid_from": "2016-01-01"});
    let path = "/api/organizations";
    let refused = district.post("PLAN", path, "k1", None, &json!([org, lost])).await.unwrap_err();
    assert!(refused.contains("unknown-division"), "{refused}");
    let list = district.get("PLAN", path).await.unwrap();
    assert_eq!(list["items"], json!([]), "all or none");
    district.post("PLAN", path, "k2", None, &json!([org])).await.unwrap();
    let twice = district.post("PLAN", path, "k3", None, &json!([org])).await.unwrap_err();
    assert!(twice.contains("organization-exists"), "{twice}");
    let new = json!({"name": "县文化和旅游局", "level": "county", "valid_from": "2019-03-01"});
    let change = "/api/organizations/o1/attributes";
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
    let bad = district.get("PLAN", &format!("{path}?as_of=yesterday")).await.unwrap_err();
    assert!(bad.contains("bad-field"), "{bad}");
}

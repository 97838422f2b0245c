//! An office that becomes a party late is given the past by its origin, as it was signed.

use serde_json::{Value, json};
use tests::town::{CITY, DISTRICT, Town};

use crate::faults::a_fed_back_round;

/// 洛南县
const LATE: &str = "611021";

async fn round_of(town: &Town) -> Option<Value> {
    let all = town.api(LATE).get("PLAN", "/api/rounds").await.unwrap();
    all["items"].as_array().unwrap().iter().find(|row| row["office"] == town.id(DISTRICT)).cloned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_party_is_given_the_past_and_nothing_twice() {
    let mut town = Town::start().await;
    town.enrol(LATE, CITY, "district").await;
    town.register_units().await;
    a_fed_back_round(&town, "R1", 1).await;
    let late = kernel::OfficeId::parse(&town.id(LATE)).unwrap();
    town.api(DISTRICT).heard_of(&[late]).await.unwrap();
    let rounds = town.api(DISTRICT).get("PLAN", "/api/rounds").await.unwrap();
    let id = rounds["items"][0]["id"].as_str().unwrap().to_owned();
    assert!(round_of(&town).await.is_none());
    let share = async |role: &str, key: &str, stream: String| {
        let body = json!({"to": town.id(LATE), "stream": stream});
        town.api(DISTRICT).post(role, "/api/history-shares", key, None, &body).await
    };
    let stream = format!("round/{id}");
    let no = share("FILE", "h0", stream.clone()).await.unwrap_err();
    assert!(no.contains("not-allowed"), "{no}");
    let no = share("PLAN", "h1", format!("round/{}-none", town.id(DISTRICT))).await.unwrap_err();
    assert!(no.contains("not-found"), "{no}");
    let done = share("PLAN", "h2", stream.clone()).await.unwrap();
    assert!(done.body["entries"].as_u64() > Some(1), "{}", done.body);
    town.until("the late party sees the round", || async { round_of(&town).await.is_some() }).await;
    let row = round_of(&town).await.unwrap();
    assert_eq!(row["state"], rounds["items"][0]["state"]);
    // What never left the district is not given either.
    let given = town.entries(LATE).await;
    let carrier =
        given.iter().filter(|item| item["type"] == kernel::carried::SHARED).collect::<Vec<_>>();
    assert_eq!(carrier.len(), 1);
    let bytes = deploy::api::from_base64(carrier[0]["entry"].as_str().unwrap());
    let inside = kernel::Fact::of_entry(&bytes).unwrap().0.carried();
    assert!(inside.iter().all(|fact| fact.audience != kernel::Audience::Own));
    share("PLAN", "h3", stream).await.unwrap();
    let record = |entries: Vec<Value>| {
        entries.iter().filter(|item| item["type"] == kernel::carried::SHARED).count()
    };
    assert_eq!(record(town.entries(DISTRICT).await), 1, "nothing is given twice");
    for code in [LATE, DISTRICT] {
        town.stop_office(code).await;
        assert!(town.views_agree(code).await);
    }
}

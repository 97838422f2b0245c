//! 问题底稿 What a finding says is sealed until it is fed back: two at once, a store that was
//! lost, a vault that was lost.

use std::fs;

use serde_json::{Value, json};
use tests::{
    chancery::{Chancery, Team},
    town::{CITY, DISTRICT, TOWN, Town},
};

fn draft(team: &Team, title: &str) -> Value {
    json!({"round": team.round, "task": "k1", "category": "三资管理", "title": title,
        "text": "现象、定性、责任"})
}

fn id(made: &Value) -> String {
    made["id"].as_str().unwrap().to_owned()
}

async fn title(desk: &Chancery<'_>, team: &Team, id: &str) -> Value {
    let reply = desk.get(&team.leader, &format!("/api/findings/{id}")).await.json();
    if reply["draft"]["title"].is_string() {
        reply["draft"]["title"].clone()
    } else {
        reply["code"].clone()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_first_drafts_of_a_task_are_sealed_under_one_key() {
    let town = Town::start().await;
    let desk = Chancery::of(&town);
    let team = desk.team().await;
    let new = |title: &str| {
        let body = draft(&team, title);
        async { desk.done(&team.member, "/api/findings", body).await }
    };
    let (one, two) = tokio::join!(new("甲"), new("乙"));
    assert_eq!(title(&desk, &team, &id(&one)).await, "甲");
    assert_eq!(title(&desk, &team, &id(&two)).await, "乙");
    let seen = town.entries_seen(DISTRICT).await;
    assert_eq!(seen.iter().filter(|kind| kind.contains("scope-key.granted")).count(), 1);
    // A reason is a code: nothing secret stands in the log as a reason.
    let at = format!("/api/findings/{}/drop", id(&one));
    let free = desk.post(&team.leader, &at, json!({"reason": "某甲已转线索"})).await;
    assert_eq!((free.status, &free.json()["code"]), (422, &json!("bad-field")));
    let opens = desk.post(&team.leader, &at, json!({"reason": "lost"})).await;
    assert_eq!(opens.json()["code"], "unfit-choice", "what opens is not lost");
    // Who leads another round learns nothing, not even that it is there.
    let other = desk.hire(DISTRICT, "TL", "round:another").await;
    let asked = desk.post(&other, &at, json!({"reason": "lost"})).await;
    assert_eq!((asked.status, &asked.json()["code"]), (404, &json!("finding-absent")));
    desk.done(&team.leader, &at, json!({"reason": "became-clue"})).await;
    let mut long = draft(&team, "丙");
    long["text"] = json!("长".repeat(9_001));
    assert_eq!(desk.post(&team.member, "/api/findings", long.clone()).await.status, 422);
    long["text"] = json!("长".repeat(9_000));
    desk.done(&team.member, "/api/findings", long).await;
}

/// Nothing that follows from what is sealed is kept, so one key with other words is the same
/// draft; with another category it is noticed.
#[tokio::test(flavor = "multi_thread")]
async fn one_key_for_two_drafts_is_noticed_by_what_is_not_sealed() {
    let town = Town::start().await;
    let desk = Chancery::of(&town);
    let team = desk.team().await;
    let api = town.api(DISTRICT);
    let body = draft(&team, "甲");
    let made = api.post("TM", "/api/findings", "one", None, &body).await.unwrap();
    let again = api.post("TM", "/api/findings", "one", None, &draft(&team, "乙")).await.unwrap();
    assert_eq!(made.body, again.body);
    assert_eq!(title(&desk, &team, &id(&made.body)).await, "甲");
    let mut other = body.clone();
    other["category"] = json!("四个落实");
    let why = api.post("TM", "/api/findings", "one", None, &other).await;
    assert!(why.as_ref().is_err_and(|why| why.contains("idempotency-key-reused")), "{why:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clue_goes_to_no_office_that_is_not_below() {
    let town = Town::start().await;
    let desk = Chancery::of(&town);
    let team = desk.team().await;
    for office in ["zzzzzzzz", &town.id(CITY), &town.id(DISTRICT)] {
        let draft = Chancery::draft_of(&team, &json!({"lower": office}), "");
        let refused = desk.post(&team.member, "/api/clues", draft).await;
        assert_eq!(refused.json()["code"], "unknown-office", "{office}");
    }
    let draft = Chancery::draft_of(&team, &json!({"lower": town.id(TOWN)}), "");
    let made = desk.done(&team.member, "/api/clues", draft).await;
    let at = format!("/api/clues/{}", id(&made));
    let mut alone = Chancery::<Town>::judged(&team, "");
    alone["with"] = json!([]);
    assert_eq!(desk.post(&team.leader, &format!("{at}/discuss"), alone).await.status, 422);
    let body = json!({"content": desk.discussed(&team, &id(&made), "").await});
    let signed = desk.signed(&team.leader, &format!("{at}/sign"), body).await;
    assert_eq!(signed.status, 200, "{}", signed.json());
    // Whoever has signed is not asked to sign again.
    for (who, asked) in [(&team.leader, false), (&team.member, true)] {
        let row = desk.get(who, &at).await.json();
        assert_eq!(row["actions"].as_array().unwrap().contains(&json!("sign")), asked, "{row}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_comes_back_from_the_hub_with_what_it_says() {
    let mut town = Town::start().await;
    let (team, made) = {
        let desk = Chancery::of(&town);
        let team = desk.team().await;
        let made = desk.done(&team.member, "/api/findings", draft(&team, "台账不全")).await;
        town.until("the hub holds the log", || async {
            town.api(DISTRICT).get("SYS", "/health/ready").await.unwrap()["unsent"] == 0
        })
        .await;
        (team, made)
    };
    // The disk with the store is lost; the keys lie elsewhere.
    town.stop_office(DISTRICT).await;
    fs::remove_dir_all(town.data(DISTRICT)).unwrap();
    town.start_office(DISTRICT).await;
    let desk = Chancery::of(&town);
    town.until("the draft is back", || async {
        title(&desk, &team, &id(&made)).await == "台账不全"
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_vault_costs_the_drafts_and_nothing_after_them() {
    let mut town = Town::start().await;
    let (team, lost, listed) = {
        let desk = Chancery::of(&town);
        let team = desk.team().await;
        let lost = desk.done(&team.member, "/api/findings", draft(&team, "甲")).await;
        let at = format!("/api/findings/{}/co-sign", id(&lost));
        desk.done(&team.leader, &at, json!({})).await;
        let (plan, tasks) = town.village_round("R2");
        let finding = ("k1".to_owned(), "丙".to_owned(), "现象".to_owned());
        let api = town.api(DISTRICT);
        let mut round = deploy::round::Script::new(&api, plan, tasks, vec![finding]);
        round.plan().await.unwrap();
        round.authorise().await.unwrap();
        round.enter().await.unwrap();
        round.withdraw().await.unwrap();
        round.hear().await.unwrap();
        let drafted = round.drafted[0].clone();
        (team, id(&lost), drafted)
    };
    town.stop_office(DISTRICT).await;
    fs::remove_dir_all(town.keys(DISTRICT).join("vault")).unwrap();
    town.start_office(DISTRICT).await;

    let desk = Chancery::of(&town);
    let round = format!("/api/rounds/{}", team.round);
    assert_eq!(title(&desk, &team, &lost).await, "sealed-key-gone", "not: somebody changed it");
    let all = desk.get(&team.leader, "/api/findings").await.json();
    let row = all["items"].as_array().unwrap().iter().find(|row| row["id"] == lost).unwrap();
    assert!(row["draft"]["title"].is_null() && row["draft"]["category"].is_string(), "{row}");
    // What comes now has a key of its own.
    let new = desk.done(&team.member, "/api/findings", draft(&team, "乙")).await;
    assert_eq!(title(&desk, &team, &id(&new)).await, "乙");
    desk.done(&team.leader, &format!("/api/findings/{}/co-sign", id(&new)), json!({})).await;
    // What nobody can read goes on no list; it is dropped, and the rest goes on.
    let list = format!("{round}/tasks/k1/list");
    let refused = desk.post(&team.leader, &list, json!({})).await;
    assert_eq!(refused.json()["code"], "sealed-key-gone");
    let drop = |id: &str| format!("/api/findings/{id}/drop");
    desk.done(&team.leader, &drop(&lost), json!({"reason": "lost"})).await;
    desk.done(&team.leader, &list, json!({})).await;
    // Also what stood on a list when the vault was lost.
    let api = town.api(DISTRICT);
    let other = format!("/api/rounds/{}-R2/tasks/k1/feedback", town.id(DISTRICT));
    let why = api.post("PLAN", &other, "feedback", Some("*"), &json!({})).await;
    assert!(why.is_err_and(|why| why.contains("sealed-key-gone")));
    let body = json!({"reason": "lost"});
    api.post("TL", &drop(&listed), "drop", Some("*"), &body).await.unwrap();
    api.post("PLAN", &other, "feedback-2", Some("*"), &json!({})).await.unwrap();
    town.stop_office(DISTRICT).await;
    assert!(town.views_agree(DISTRICT).await);
    town.stop_office(TOWN).await;
    assert!(town.views_agree(TOWN).await);
}

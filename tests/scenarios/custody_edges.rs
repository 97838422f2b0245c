//! 线索与身份的边界 The edges of custody: who keeps away, whom a clue is about, whose post on
//! a case has ended, offers of an office whose program lies, counts that are too small.

use std::time::Duration;

use domain::{
    clue::Event as ClueEvent,
    custody::{Event as Custody, Offer, case_id},
    post::Organ,
};
use event_store::{
    Engine, Readers,
    log::{self, Cursor},
};
use kernel::{Entropy, Fact, OfficeId, sealed::Scope, sign::EventKey};
use serde_json::{Value, json};
use tests::{
    chancery::{Chancery, Clerk, Team},
    town::{CITY, DISTRICT, Town},
};

use crate::ingest::{ask, link_of, quiet};

/// Longer than a standing is remembered.
async fn a_moment() {
    tokio::time::sleep(Duration::from_millis(1100)).await;
}

fn unit(town: &Town) -> String {
    format!("{}-v1", town.id(DISTRICT))
}

/// Somebody is reported to have a stake in the unit.
async fn keep_away(town: &Town, who: &Clerk) {
    let body = json!({"person": who.person, "organization": unit(town), "ground": "kin"});
    town.api(DISTRICT).post("ORG", "/api/recusals", &who.person, None, &body).await.unwrap();
}

/// Each of these commands answers that there is no such thing.
async fn nothing_of(desk: &Chancery<'_>, who: &Clerk, at: &str, asked: &[(&str, Value)]) {
    for (step, body) in asked {
        let reply = desk.signed(who, &format!("{at}/{step}"), body.clone()).await;
        assert_eq!(reply.status, 404, "{step} of {at} by {}: {}", who.account, reply.json());
    }
    for of in ["", "/content"] {
        let read = desk.get(who, &format!("{at}{of}")).await;
        assert_eq!(read.status, 404, "{at}{of} by {}: {}", who.account, read.json());
    }
    // It is not there either where everything is listed.
    let (of, id) = at.rsplit_once('/').unwrap();
    let family = match of {
        "/api/identities" => "identity",
        of => of.strip_prefix("/api/").and_then(|of| of.strip_suffix('s')).unwrap(),
    };
    for list in [of, "/api/worklist", "/api/events?limit=1000"] {
        let seen = desk.get(who, list).await.json().to_string();
        assert!(!seen.contains(id), "{list} by {}", who.account);
    }
    let history = desk.get(who, &format!("/api/history/{family}/{id}")).await;
    assert_eq!(history.status, 404, "history of {at} by {}: {}", who.account, history.json());
}

/// What a registry does with a case that it holds.
fn registry_asks(town: &Town, to: &Clerk) -> Vec<(&'static str, Value)> {
    let office = if to.office == CITY { DISTRICT } else { CITY };
    let party = json!({"office": town.id(office), "organ": "discipline-organ"});
    vec![
        ("assign", json!({"person": to.person})),
        ("approve", json!({})),
        ("review", json!({"next": "2024-06-30"})),
        ("feed-back", json!({})),
        ("offer", json!({"to": party})),
        ("withdraw", json!({})),
        ("return", json!({"reason": "recused"})),
        ("accept", json!({})),
    ]
}

/// What a handling office does with one.
fn handler_asks() -> Vec<(&'static str, Value)> {
    vec![
        ("propose", json!({"disposition": "concluded"})),
        ("progress", json!({})),
        ("inquire", json!({"letter": "HX-2024-1"})),
        ("reply", json!({})),
        ("review", json!({"next": "2024-06-30"})),
        ("result", json!({})),
    ]
}

/// A post of the handling office at large.
async fn handler(desk: &Chancery<'_>, office: &'static str) -> Clerk {
    desk.hire(office, "NDI_OFF", "round:none").await
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_kept_from_the_unit_does_nothing_with_a_case_of_it() {
    let town = Town::start().await;
    let desk = Chancery::of(&town);
    let team = desk.team().await;
    let registry = desk.hire_signer(DISTRICT, "NDI_REG", "office").await;
    let kept = desk.hire_signer(DISTRICT, "NDI_REG", "office").await;
    let (clean, partial) = (handler(&desk, DISTRICT).await, handler(&desk, DISTRICT).await);
    let id = desk.offered_clue(&team, &json!("own"), "").await;
    let case = desk.delivered(&kept, &id).await;
    let at = format!("/api/clue-cases/{case}");
    // From the very moment on, whatever was known of the person a moment ago.
    a_moment().await;
    assert_eq!(desk.get(&kept, &at).await.status, 200);
    keep_away(&town, &kept).await;
    let late = desk.signed(&kept, &format!("{at}/accept"), json!({})).await;
    assert_eq!(late.status, 404, "{}", late.json());
    a_moment().await;
    let before = [("accept", json!({})), ("return", json!({"reason": "recused"}))];
    nothing_of(&desk, &kept, &at, &before).await;
    assert_eq!(desk.case_state(&registry, &case).await, "delivered");

    let accepted = desk.signed(&registry, &format!("{at}/accept"), json!({})).await;
    assert_eq!(accepted.status, 200, "{}", accepted.json());
    assert_eq!(desk.case_state(&registry, &case).await, "held");
    nothing_of(&desk, &kept, &at, &registry_asks(&town, &clean)).await;
    assert_eq!(desk.get(&kept, &at).await.status, 404);
    // It is assigned to nobody who keeps away, and whoever has it loses it at once.
    keep_away(&town, &partial).await;
    let to = json!({"person": partial.person});
    assert_eq!(desk.post(&registry, &format!("{at}/assign"), to).await.status, 403);
    desk.done(&registry, &format!("{at}/assign"), json!({"person": clean.person})).await;
    a_moment().await;
    assert_eq!(desk.get(&clean, &format!("{at}/content")).await.status, 200);
    keep_away(&town, &clean).await;
    let way = json!({"disposition": "concluded"});
    assert_eq!(desk.post(&clean, &format!("{at}/propose"), way).await.status, 404);
    a_moment().await;
    nothing_of(&desk, &clean, &at, &handler_asks()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_kept_from_the_unit_has_nothing_of_its_clues_and_identities() {
    let town = Town::start().await;
    let desk = Chancery::of(&town);
    let team = desk.team().await;
    let scope = format!("round:{}", team.round);
    let sender = json!({"name": "某举报人", "contact": "", "other": ""});
    let identity = json!({"round": team.round, "task": "k1", "sender": sender});
    let liaison = desk.hire(DISTRICT, "LO", &scope).await;
    let made = desk.done(&liaison, "/api/identities", identity.clone()).await;
    let sealed = format!("/api/identities/{}", made["id"].as_str().unwrap());
    let offered = desk.signed_clue(&team, &json!("upper"), "").await;
    let draft = Chancery::draft_of(&team, &json!("own"), "");
    let open = desk.done(&team.member, "/api/clues", draft.clone()).await;
    let kept = Team {
        round: team.round.clone(),
        leader: desk.hire_signer(DISTRICT, "TL", &scope).await,
        member: desk.hire_signer(DISTRICT, "TM", &scope).await,
        custodian: desk.hire(DISTRICT, "CLUE", "office").await,
    };
    for who in [&kept.leader, &kept.member, &kept.custodian, &liaison] {
        keep_away(&town, who).await;
    }
    a_moment().await;
    let at = format!("/api/clues/{}", open["id"].as_str().unwrap());
    let saying = &draft["saying"];
    let asked = [
        ("revise", saying.clone()),
        ("discuss", Chancery::<Town>::judged(&kept, "")),
        ("sign", json!({"content": open["content"]})),
        ("drop", json!({})),
    ];
    nothing_of(&desk, &kept.leader, &at, &asked).await;
    nothing_of(&desk, &kept.member, &at, &[asked[0].clone(), asked[2].clone()]).await;
    for who in [&kept.leader, &kept.member] {
        assert_eq!(desk.post(who, "/api/clues", draft.clone()).await.status, 404);
        assert_eq!(desk.get(who, &at).await.status, 404);
    }
    let at = format!("/api/clues/{offered}");
    let paper = json!({"slip": "XS-1", "receipt": "SJ-1"});
    for (step, body) in
        [("seal", json!({})), ("offer", json!({})), ("withdraw", json!({})), ("paper", paper)]
    {
        let reply = desk.post(&kept.custodian, &format!("{at}/{step}"), body).await;
        assert_eq!(reply.status, 404, "{step}: {}", reply.json());
    }
    // Of who sent a petition, too.
    assert_eq!(desk.post(&liaison, "/api/identities", identity).await.status, 404);
    desk.done(&team.leader, &format!("{sealed}/ask"), json!({"reason": "tell-result"})).await;
    desk.done(&team.leader, &format!("{sealed}/ask-destruction"), json!({})).await;
    let asked = [
        ("ask", json!({"reason": "tell-result"})),
        ("open", json!({})),
        ("ask-destruction", json!({})),
        ("destroy", json!({})),
    ];
    for who in [&kept.leader, &kept.custodian] {
        nothing_of(&desk, who, &sealed, &asked).await;
    }
    assert_eq!(desk.get(&team.leader, &sealed).await.json()["state"], "sealed");
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_a_clue_is_about_does_nothing_with_it_at_any_organ() {
    let town = Town::start().await;
    let desk = Chancery::of(&town);
    let team = desk.team().await;
    let scope = format!("round:{}", team.round);
    let leader = desk.hire_signer(DISTRICT, "TL", &scope).await;
    let custodian = desk.hire(DISTRICT, "CLUE", "office").await;
    let registry = desk.hire_signer(CITY, "NDI_REG", "office").await;
    let named = desk.hire_signer(CITY, "NDI_REG", "office").await;
    let (clean, named_handler) = (handler(&desk, CITY).await, handler(&desk, CITY).await);
    let mut draft = Chancery::draft_of(&team, &json!("upper"), "");
    let objects = [&leader, &custodian, &named, &named_handler];
    let objects = objects.map(|who| json!({"name": "某甲", "post": "干部", "person": who.person}));
    draft["saying"]["objects"] = json!(objects);
    let made = desk.done(&team.member, "/api/clues", draft.clone()).await;
    let id = made["id"].as_str().unwrap();
    let at = format!("/api/clues/{id}");
    let asked = [
        ("revise", draft["saying"].clone()),
        ("discuss", Chancery::<Town>::judged(&team, "")),
        ("sign", json!({"content": made["content"]})),
        ("drop", json!({})),
    ];
    nothing_of(&desk, &leader, &at, &asked).await;
    let content = desk.discussed(&team, id, "").await;
    nothing_of(&desk, &leader, &at, &asked).await;
    for signer in [&team.leader, &team.member] {
        let body = json!({"content": content});
        assert_eq!(desk.signed(signer, &format!("{at}/sign"), body).await.status, 200);
    }
    // The custodian hands nothing on that is about himself.
    let paper = json!({"slip": "XS-1", "receipt": "SJ-1"});
    for (asked, next) in [("seal", "seal"), ("offer", "offer"), ("paper", ""), ("withdraw", "")] {
        let body = if asked == "paper" { paper.clone() } else { json!({}) };
        let reply = desk.post(&custodian, &format!("{at}/{asked}"), body).await;
        assert_eq!(reply.status, 404, "{asked}: {}", reply.json());
        if !next.is_empty() {
            desk.done(&team.custodian, &format!("{at}/{next}"), json!({})).await;
        }
    }
    let case = desk.delivered(&registry, id).await;
    let at = format!("/api/clue-cases/{case}");
    let before = [("accept", json!({})), ("return", json!({"reason": "duplicate"}))];
    nothing_of(&desk, &named, &at, &before).await;
    let accepted = desk.signed(&registry, &format!("{at}/accept"), json!({})).await;
    assert_eq!(accepted.status, 200, "{}", accepted.json());
    town.until("custody is with the city", async || {
        desk.case_state(&registry, &case).await == "held"
    })
    .await;
    nothing_of(&desk, &named, &at, &registry_asks(&town, &clean)).await;
    let to = json!({"person": named_handler.person});
    assert_eq!(desk.post(&registry, &format!("{at}/assign"), to).await.status, 403);
    // Everybody else goes on.
    desk.done(&registry, &format!("{at}/assign"), json!({"person": clean.person})).await;
    a_moment().await;
    desk.done(&clean, &format!("{at}/propose"), json!({"disposition": "concluded"})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_on_a_case_ends_with_the_post_it_was_given_by_and_with_the_assignment() {
    let town = Town::start().await;
    let desk = Chancery::of(&town);
    let team = desk.team().await;
    let registry = desk.hire_signer(DISTRICT, "NDI_REG", "office").await;
    let handlers = [handler(&desk, DISTRICT).await, handler(&desk, DISTRICT).await];
    let id = desk.offered_clue(&team, &json!("own"), "").await;
    let case = desk.delivered(&registry, &id).await;
    let at = format!("/api/clue-cases/{case}");
    let accepted = desk.signed(&registry, &format!("{at}/accept"), json!({})).await;
    assert_eq!(accepted.status, 200, "{}", accepted.json());
    let content = format!("{at}/content");
    let way = json!({"disposition": "talk-or-inquiry"});
    // The first post is to end on a day: what is given by it lasts no longer.
    end_post(&town, &handlers[1], "2024-03-01").await;
    for (now, before) in [(0, None), (1, Some(0)), (0, Some(1)), (1, Some(0))] {
        let to = json!({"person": handlers[now].person});
        desk.done(&registry, &format!("{at}/assign"), to).await;
        if let Some(before) = before {
            // At once, and not only after a moment.
            let late = desk.post(&handlers[before], &format!("{at}/propose"), way.clone()).await;
            assert!([403, 404].contains(&late.status), "{}", late.json());
        }
        a_moment().await;
        assert_eq!(desk.get(&handlers[now], &content).await.status, 200);
        if let Some(before) = before {
            assert_eq!(desk.get(&handlers[before], &content).await.status, 404);
            assert_eq!(desk.get(&handlers[before], &at).await.status, 404);
        }
    }
    let row = person(&town, &handlers[1]).await;
    let posts = row["authorisations"].as_object().unwrap();
    let last = posts
        .values()
        .find(|post| post["to"] == "2024-03-01" && post["scope"] == format!("case:{case}"));
    assert!(last.is_some(), "{row}");
    // The security administrator ends the first post: the one on the case counts no more.
    end_post(&town, &handlers[1], "2024-01-07").await;
    let late = desk.post(&handlers[1], &format!("{at}/propose"), way).await;
    assert!([403, 404].contains(&late.status), "{}", late.json());
    a_moment().await;
    for path in [&content, &at] {
        let read = desk.get(&handlers[1], path).await;
        assert!([403, 404].contains(&read.status), "{}", read.json());
    }
}

async fn person(town: &Town, who: &Clerk) -> Value {
    town.api(DISTRICT).get("SECADM", &format!("/api/persons/{}", who.person)).await.unwrap()
}

async fn end_post(town: &Town, who: &Clerk, to: &str) {
    let row = person(town, who).await;
    let posts = row["authorisations"].as_object().unwrap();
    let (id, _) = posts.iter().find(|(_, post)| post["scope"] == "round:none").unwrap();
    let path = format!("/api/persons/{}/authorisations/{id}/end", who.person);
    let (api, at) = (town.api(DISTRICT), row["version"].to_string());
    api.post("SECADM", &path, &format!("end-{to}"), Some(&at), &json!({"to": to})).await.unwrap();
}

/// Everything in the log of an office that is stopped.
async fn log_of(town: &Town, code: &str) -> Vec<Fact> {
    let engine = Engine::Sqlite(town.data(code));
    let mut reader = Readers::new(1).take(&engine).await.unwrap();
    let (mut after, mut all) = (Cursor::default(), Vec::new());
    loop {
        let page = log::feed(&mut reader, after, 500).await.unwrap();
        let Some((last, _)) = page.last() else { return all };
        after = *last;
        all.extend(page.iter().map(|(_, bytes)| Fact::of_entry(bytes).unwrap().0));
    }
}

/// What is changed in an offer.
type Lie<'a> = Box<dyn Fn(&mut Offer) + 'a>;

/// The fact of an offer, bent.
fn bent(fact: &Fact, turn: u32, bend: impl Fn(&mut Offer)) -> Fact {
    let ClueEvent::Custody(Custody::Offered { mut offer, papers, .. }) = fact.read().unwrap()
    else {
        panic!("{fact:?}")
    };
    bend(&mut offer);
    let event = ClueEvent::Custody(Custody::Offered { turn, offer, papers });
    let data = serde_json::value::to_raw_value(&event).unwrap();
    Fact { id: Entropy::System.uuid(), data, ..fact.clone() }
}

/// A district whose program lies signs offers as it likes: only one that speaks for its own
/// office, to an organ that receives, of a key of its own stream, comes to the registry.
#[tokio::test(flavor = "multi_thread")]
async fn an_offer_of_another_clues_key_is_taken_in_by_nobody() {
    let mut town = Town::start().await;
    let (facts, id, registry, link, held) = {
        let desk = Chancery::of(&town);
        let team = desk.team().await;
        let registry = desk.hire_signer(CITY, "NDI_REG", "office").await;
        let id = desk.offered_clue(&team, &json!("upper"), "").await;
        desk.delivered(&registry, &id).await;
        let link = link_of(&town, DISTRICT).await;
        let held = quiet(&town, &link).await;
        town.stop_office(DISTRICT).await;
        (log_of(&town, DISTRICT).await, id, registry, link, held)
    };
    let [city, district] = [CITY, DISTRICT].map(|code| OfficeId::parse(&town.id(code)).unwrap());
    let offer = facts.iter().rfind(|fact| fact.kind.contains(".clue.offered.")).unwrap();
    let in_lane = facts.iter().filter(|fact| fact.lane() == offer.lane());
    let lane = in_lane.map(|fact| fact.lane).max().unwrap();
    let version = facts.iter().filter(|fact| fact.stream == offer.stream);
    let version = version.filter_map(|fact| fact.version).max().unwrap();
    let elsewhere = |scope: String| Scope::parse(&scope).unwrap();
    let lies: Vec<Lie<'_>> = vec![
        Box::new(|offer| offer.part.scope = elsewhere(format!("case:{district}-0#7"))),
        Box::new(|offer| offer.part.scope = elsewhere(format!("subject:{id}#1"))),
        Box::new(|offer| offer.from.office = city.clone()),
        Box::new(|offer| offer.to.organ = Organ::InspectionOffice),
        // And one that is sound.
        Box::new(|_| ()),
    ];
    let seed = std::fs::read(town.keys(DISTRICT).join("event.key")).unwrap();
    let key = EventKey::from_seed(&seed).unwrap();
    let sound = u32::try_from(lies.len()).unwrap() + 1;
    for (turn, (more, bend)) in (2..).zip((1..).zip(&lies)) {
        let mut fact = bent(offer, turn, bend);
        fact.at.sequence = held + more;
        (fact.lane, fact.version) = (lane + more, Some(version + more));
        let answer = ask(&link, district.as_str(), &[&fact.sign(&key).unwrap()]).await;
        assert_eq!((answer.answer.as_str(), answer.code.as_str()), ("held", ""), "turn {turn}");
    }
    let case = |turn| format!("/api/clue-cases/{}", case_id(&city, &offer.stream, turn));
    let desk = Chancery::of(&town);
    town.until("the sound offer comes", async || {
        desk.get(&registry, &case(sound)).await.status == 200
    })
    .await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    for turn in 2..sound {
        assert_eq!(desk.get(&registry, &case(turn)).await.status, 404, "turn {turn}");
    }
    town.stop_office(CITY).await;
    let told = log_of(&town, CITY).await;
    let answered = |turn| {
        let stream = format!("clue-case/{}", case_id(&city, &offer.stream, turn));
        told.iter().any(|fact| fact.stream == stream)
    };
    assert!(answered(sound) && !(2..sound).any(answered));
    let vault = town.vault(CITY);
    for scope in [format!("case:{district}-0#7"), format!("subject:{id}#1")] {
        let grant = format!("{scope}@{city}/discipline-organ");
        assert!(vault.grant(&grant).is_none(), "{grant}");
    }
}

/// The store was put back to a copy older than an offer that had left for nobody; the vault
/// was not, and has that offer's key. Offered once more, the clue opens.
#[tokio::test(flavor = "multi_thread")]
async fn a_clue_that_is_offered_again_after_its_offer_was_lost_opens() {
    let mut town = Town::start().await;
    let (team, registry, id) = {
        let desk = Chancery::of(&town);
        let team = desk.team().await;
        let registry = desk.hire_signer(DISTRICT, "NDI_REG", "office").await;
        let id = desk.signed_clue(&team, &json!("own"), "").await;
        desk.done(&team.custodian, &format!("/api/clues/{id}/seal"), json!({})).await;
        (team, registry, id)
    };
    let link = link_of(&town, DISTRICT).await;
    quiet(&town, &link).await;
    town.stop_office(DISTRICT).await;
    let kept = town.folder.join("kept");
    crate::restored::copy(&town.data(DISTRICT), &kept);
    town.links[DISTRICT].cut();
    let offer = format!("/api/clues/{id}/offer");
    let mut contents = Vec::new();
    for first in [true, false] {
        town.start_office(DISTRICT).await;
        let desk = Chancery::of(&town);
        town.until("it may record", async || {
            desk.post(&team.custodian, &offer, json!({})).await.status == 200
        })
        .await;
        let at = format!("/api/clue-cases/{}", desk.delivered(&registry, &id).await);
        let accepted = desk.signed(&registry, &format!("{at}/accept"), json!({})).await;
        assert_eq!(accepted.status, 200, "{}", accepted.json());
        contents.push(desk.get(&registry, &format!("{at}/content")).await.json());
        if first {
            // Long enough for the team's key to be forgotten, if that were not to wait.
            tokio::time::sleep(std::time::Duration::from_secs(6)).await;
            town.stop_office(DISTRICT).await;
            std::fs::remove_dir_all(town.data(DISTRICT)).unwrap();
            crate::restored::copy(&kept, &town.data(DISTRICT));
            town.links[DISTRICT].heal();
        }
    }
    assert!(contents[0]["saying"]["text"].is_string(), "{contents:?}");
    assert_eq!(contents[0], contents[1]);
}

/// The city's store was put back to a copy older than a hand-over, and the hub's papers with
/// it: who offered it has the bytes, and brings them again.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_hub_and_the_holder_lost_comes_again_from_who_offered_it() {
    let mut town = Town::start().await;
    let (registry, at, hash) = {
        let desk = Chancery::of(&town);
        let team = desk.team().await;
        let registry = desk.hire_signer(CITY, "NDI_REG", "office").await;
        let id = desk.offered_clue(&team, &json!("upper"), "").await;
        let at = format!("/api/clue-cases/{}", desk.delivered(&registry, &id).await);
        let accepted = desk.signed(&registry, &format!("{at}/accept"), json!({})).await;
        assert_eq!(accepted.status, 200, "{}", accepted.json());
        town.until("it is held", async || desk.get(&registry, &at).await.json()["state"] == "held")
            .await;
        let hash = desk.get(&registry, &at).await.json()["part"]["hash"].clone();
        (registry, at, hash.as_str().unwrap().to_owned())
    };
    town.stop_office(CITY).await;
    for papers in ["papers", "hub/papers"] {
        std::fs::remove_file(town.data(CITY).join(papers).join(&hash[..2]).join(&hash)).unwrap();
    }
    town.start_office(CITY).await;
    let desk = Chancery::of(&town);
    let content = format!("{at}/content");
    let away = desk.get(&registry, &content).await;
    assert_eq!(away.json()["code"], "sealed-part-away", "{}", away.json());
    town.until("it opens again", async || desk.get(&registry, &content).await.status == 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn small_counts_of_clues_come_out_neither_as_figures_nor_by_the_log() {
    let town = Town::start().await;
    let desk = Chancery::of(&town);
    let team = desk.team().await;
    // Four are handed over on paper, three of them closed: one is open.
    for number in 0..4 {
        let id = desk.signed_clue(&team, &json!("own"), "").await;
        let at = format!("/api/clues/{id}");
        let paper = json!({"slip": format!("XS-{number}"), "receipt": format!("SJ-{number}")});
        let result = json!({"cases": 1, "disciplined": 1, "transferred": 0, "forms": [0, 1, 0, 0]});
        let steps =
            [("seal", json!({})), ("paper", paper), ("result", result), ("close", json!({}))];
        for (step, body) in steps.into_iter().take(if number == 0 { 2 } else { 4 }) {
            desk.done(&team.custodian, &format!("{at}/{step}"), body).await;
        }
    }
    let city = town.api(CITY);
    let village = |said: &Value| {
        let levels = said["levels"].as_array().unwrap();
        levels.iter().find(|level| level["level"] == "village").unwrap().clone()
    };
    town.until("the city counts them", async || {
        let counts = city.get("CLUE", "/api/clue-counts").await.unwrap();
        counts["levels"].as_array().unwrap().len() == 1
            && village(&counts)["counts"]["clues_closed"] == 3
    })
    .await;
    for code in [DISTRICT, CITY] {
        let api = town.api(code);
        for (role, knows) in [("CLUE", true), ("FILE", false), ("SEC", false), ("PLAN", false)] {
            let shown =
                village(&api.get(role, "/api/clue-counts").await.unwrap())["counts"].clone();
            let known = [&shown["clues"], &shown["clues_closed"]].map(|count| !count.is_null());
            assert_eq!(known, [knows; 2], "{code} {role}: {shown}");
            // Three are no few, and none is none.
            assert_eq!((&shown["cases"], &shown["transferred"]), (&json!(3), &json!(0)));
            if role != "CLUE" {
                let shown = village(&api.get(role, "/api/results").await.unwrap());
                assert!(shown["clues"].is_null() && shown["clue_rate"].is_null(), "{shown}");
            }
        }
        by_the_log(&desk, code).await;
    }
}

/// Nobody reads in the log how many were reported; the audit administrator sees that there
/// was a report.
async fn by_the_log(desk: &Chancery<'_>, code: &'static str) {
    let stream = format!("/api/history/clue-figures/{}-village", desk.town.id(DISTRICT));
    for role in ["FILE", "SEC", "PLAN", "CLUE", "RECT", "NDI_REG", "NDI_SUP", "SYS", "AUDADM"] {
        let who = desk.hire(code, role, "office").await;
        let (mut after, mut seen) = (String::new(), 0);
        loop {
            let page =
                desk.get(&who, &format!("/api/events?limit=1000&after={after}")).await.json();
            for item in page["items"].as_array().unwrap() {
                if item["type"].as_str().unwrap().contains("clue-figures.reported") {
                    assert!(item["entry"].is_null(), "{code} {role}: {item}");
                    seen += 1;
                }
            }
            match page["next"].as_str() {
                Some(next) => next.clone_into(&mut after),
                None => break,
            }
        }
        assert_eq!(seen > 0, role == "AUDADM", "{code} {role}");
        let history = desk.get(&who, &stream).await;
        if role == "AUDADM" {
            let items = history.json()["items"].clone();
            assert!(items.as_array().unwrap().iter().all(|item| item["data"].is_null()), "{items}");
        } else {
            assert_eq!(history.status, 404, "{code} {role}: {}", history.json());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_personal_key_is_dropped_when_it_counts_no_more_and_no_other() {
    let mut town = Town::start().await;
    let (gone, made_again, stays) = {
        let desk = Chancery::of(&town);
        let team = desk.team().await;
        let gone = desk.hire_signer(DISTRICT, "TM", &format!("round:{}", team.round)).await;
        let api = town.api(DISTRICT);
        for who in [&gone, &team.leader] {
            let row = api.get("SECADM", &format!("/api/persons/{}", who.person)).await.unwrap();
            let (at, link) =
                (row["version"].to_string(), format!("/api/persons/{}/link", who.person));
            api.post("SYS", &link, &who.person, Some(&at), &json!({})).await.unwrap();
        }
        desk.make_key(&team.leader).await;
        desk.vouch(&team.leader).await;
        // Longer than the keys that count no more wait.
        tokio::time::sleep(Duration::from_secs(6)).await;
        desk.signed_clue(&team, &json!("own"), "").await;
        (gone, team.leader, team.member)
    };
    town.stop_office(DISTRICT).await;
    let vault = town.vault(DISTRICT);
    let kept: Vec<String> = vault.persons().into_iter().map(|(person, _)| person).collect();
    assert!(!kept.contains(&gone.person), "a key that counts no more is kept");
    assert!(kept.contains(&made_again.person) && kept.contains(&stays.person));
}

//! 问题线索 Clues: two signatures, sealing, custody from organ to organ and from office to
//! office, blindness after the hand-over, results and counts.

use kernel::{Day, id::Tier};
use policy::Packs;
use serde_json::{Value, json};
use tests::{
    chancery::{Chancery, PASSWORD},
    town::{CITY, DISTRICT, TOWN, Town},
};

fn own() -> Value {
    json!("own")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clue_goes_from_the_team_to_the_registry_and_its_result_comes_back() {
    let town = Town::start().await;
    let desk = Chancery::of(&town);
    let team = desk.team().await;
    let registry = desk.hire_signer(DISTRICT, "NDI_REG", "office").await;
    let secret = "暗记甲七三";
    let id = desk.signed_clue(&team, &own(), secret).await;

    // The team reads it; the custodian has its states and nothing of what it says.
    let path = format!("/api/clues/{id}");
    let said = desk.get(&team.member, &format!("{path}/content")).await;
    assert_eq!(said.status, 200, "{}", said.json());
    assert!(said.json()["saying"]["text"].as_str().unwrap().contains(secret));
    assert_eq!(desk.get(&team.custodian, &format!("{path}/content")).await.status, 403);
    let row = desk.get(&team.custodian, &path).await.json();
    assert_eq!(row["state"], "dual-signed");
    assert!(!row.to_string().contains(secret));
    assert_eq!(desk.get(&registry, &path).await.status, 403, "the registry knows no drafts");

    // A change voids both signatures.
    let saying = json!({"objects": [{"name": "某乙", "post": "村委会主任"}], "text": secret, "evidence": []});
    let revised = desk.done(&team.member, &format!("{path}/revise"), saying).await;
    let row = desk.get(&team.custodian, &path).await.json();
    assert_eq!(
        (row["state"].as_str(), row["signatures"].as_array().unwrap().len()),
        (Some("discussed"), 0)
    );
    let sealed = desk.post(&team.custodian, &format!("{path}/seal"), json!({})).await;
    assert_eq!(sealed.json()["code"], "wrong-state");
    for signer in [&team.leader, &team.member] {
        let body = json!({"content": revised["content"]});
        assert_eq!(desk.signed(signer, &format!("{path}/sign"), body).await.status, 200);
    }

    for step in ["seal", "offer"] {
        desk.done(&team.custodian, &format!("{path}/{step}"), json!({})).await;
    }
    let case = desk.delivered(&registry, &id).await;
    let at = format!("/api/clue-cases/{case}");
    // Not accepted yet: nobody acts on it, and the team still has it.
    let way = json!({"disposition": "talk-or-inquiry"});
    assert_eq!(desk.post(&registry, &format!("{at}/propose"), way).await.status, 403);
    assert_eq!(desk.get(&team.member, &format!("{path}/content")).await.status, 200);
    let unsigned = desk.post(&registry, &format!("{at}/accept"), json!({})).await;
    assert_eq!(unsigned.json()["code"], "signing-password");
    let accepted = desk.signed(&registry, &format!("{at}/accept"), json!({})).await;
    assert_eq!(accepted.status, 200, "{}", accepted.json());

    // Acceptance, release and taking over are one conversation; at one house at once.
    assert_eq!(desk.case_state(&registry, &case).await, "held");
    assert_eq!(desk.clue_state(&team.custodian, &id).await, "released");
    // The team reads nothing of it any more; the registry reads all; the log has both.
    for blind in [&team.member, &team.leader] {
        assert_eq!(desk.get(blind, &path).await.status, 404);
        assert_eq!(desk.get(blind, &format!("{path}/content")).await.status, 404);
    }
    let read = desk.get(&registry, &format!("{at}/content")).await;
    assert!(read.json()["saying"]["text"].as_str().unwrap().contains(secret), "{}", read.json());
    // The minutes were signed with it, stayed when it was revised, and came with it.
    assert!(read.json()["minutes"].as_str().unwrap().contains("同意移送"), "{}", read.json());
    let log = town.api(DISTRICT).get("AUDADM", "/api/reads?limit=500").await.unwrap().to_string();
    for stream in [format!("clue/{id}"), format!("clue-case/{case}")] {
        assert!(log.contains(&stream), "{stream} is not in the read log: {log}");
    }

    result_comes_back(&desk, &team, &registry, (&id, &case)).await;
}

async fn result_comes_back(
    desk: &Chancery<'_>,
    team: &tests::chancery::Team,
    registry: &tests::chancery::Clerk,
    (id, case): (&str, &str),
) {
    let at = format!("/api/clue-cases/{case}");
    let handler = desk.hire(DISTRICT, "NDI_OFF", &format!("round:{}", team.round)).await;
    assert_eq!(desk.get(&handler, &at).await.status, 404, "not assigned yet");
    desk.done(registry, &format!("{at}/assign"), json!({"person": handler.person})).await;
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    assert_eq!(desk.get(&handler, &format!("{at}/content")).await.status, 200);
    let way = json!({"disposition": "preliminary-verification"});
    desk.done(&handler, &format!("{at}/propose"), way).await;
    assert_eq!(desk.post(&handler, &format!("{at}/approve"), json!({})).await.status, 403);
    desk.done(registry, &format!("{at}/approve"), json!({})).await;
    desk.done(&handler, &format!("{at}/progress"), json!({})).await;
    let outcome = json!({"cases": 1, "disciplined": 2, "transferred": 1, "forms": [0, 1, 1, 0]});
    desk.done(&handler, &format!("{at}/result"), outcome).await;
    desk.done(registry, &format!("{at}/feed-back"), json!({})).await;
    assert_eq!(desk.clue_state(&team.custodian, id).await, "fed-back");
    desk.done(&team.custodian, &format!("/api/clues/{id}/close"), json!({})).await;

    // One clue, one case, two persons; the city hears of counts and of nothing else.
    let district = desk.town.api(DISTRICT);
    let counts = district.get("CLUE", "/api/clue-counts").await.unwrap();
    let village = &counts["levels"][0];
    assert_eq!(village["level"], "village");
    let sums =
        json!({"clues": 1, "clues_closed": 1, "cases": 1, "disciplined": 2, "transferred": 1});
    assert_eq!(village["counts"], sums);
    // Whoever may not read clues sees no count so small that it speaks of single ones.
    let few = district.get("PLAN", "/api/clue-counts").await.unwrap();
    assert_eq!(few["levels"][0]["counts"]["clues"], Value::Null);
    let city = desk.town.api(CITY);
    desk.town
        .until("the city counts the district's clue", async || {
            let counts = city.get("CLUE", "/api/clue-counts").await.unwrap();
            counts["levels"][0]["counts"] == sums
        })
        .await;
    assert_eq!(city.get("CLUE", "/api/clues").await.unwrap()["items"], json!([]));

    // Two persons take it up again, and the registry hears of it.
    let second = desk.hire(DISTRICT, "CLUE", "office").await;
    let reopen = format!("/api/clues/{id}/reopen");
    desk.done(&team.custodian, &reopen, json!({})).await;
    assert_eq!(desk.post(&team.custodian, &reopen, json!({})).await.json()["code"], "same-person");
    desk.done(&second, &reopen, json!({})).await;
    assert_eq!(desk.case_state(registry, case).await, "held");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clue_goes_up_to_another_office_and_a_withdrawn_offer_moves_nothing() {
    let town = Town::start().await;
    let desk = Chancery::of(&town);
    let team = desk.team().await;
    let registry = desk.hire_signer(CITY, "NDI_REG", "office").await;
    let id = desk.offered_clue(&team, &json!("upper"), "暗记乙二九").await;
    let case = desk.delivered(&registry, &id).await;
    desk.done(&team.custodian, &format!("/api/clues/{id}/withdraw"), json!({})).await;
    town.until("the city hears of the withdrawal", async || {
        desk.case_state(&registry, &case).await == "void"
    })
    .await;
    let late = desk.signed(&registry, &format!("/api/clue-cases/{case}/accept"), json!({})).await;
    assert!(late.status >= 400, "{}", late.json());
    assert_eq!(desk.clue_state(&team.custodian, &id).await, "sealed");

    // Offered again, returned with a reason, offered once more and accepted.
    desk.done(&team.custodian, &format!("/api/clues/{id}/offer"), json!({})).await;
    let case = desk.delivered(&registry, &id).await;
    desk.done(
        &registry,
        &format!("/api/clue-cases/{case}/return"),
        json!({"reason": "incomplete"}),
    )
    .await;
    let row = format!("/api/clues/{id}");
    town.until("the district hears of the return", async || {
        desk.get(&team.custodian, &row).await.json()["offer"].is_null()
    })
    .await;
    desk.done(&team.custodian, &format!("/api/clues/{id}/offer"), json!({})).await;
    let case = desk.delivered(&registry, &id).await;
    let accepted =
        desk.signed(&registry, &format!("/api/clue-cases/{case}/accept"), json!({})).await;
    assert_eq!(accepted.status, 200, "{}", accepted.json());
    town.until("custody is with the city", async || {
        desk.case_state(&registry, &case).await == "held"
    })
    .await;
    assert_eq!(desk.clue_state(&team.custodian, &id).await, "released");
    let read = desk.get(&registry, &format!("/api/clue-cases/{case}/content")).await;
    assert!(read.json()["saying"]["text"].as_str().unwrap().contains("暗记乙二九"));
    // The team's own key of it is gone from the district's vault.
    town.until("the district attests that the key is destroyed", async || {
        let kinds: Vec<String> = town
            .entries_seen(DISTRICT)
            .await
            .into_iter()
            .filter(|kind| kind.contains("scope-key.destroyed"))
            .collect();
        !kinds.is_empty()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_person_signs_by_the_persons_key() {
    let town = Town::start().await;
    let desk = Chancery::of(&town);
    let team = desk.team().await;
    let made =
        desk.done(&team.member, "/api/clues", Chancery::draft_of(&team, &own(), "暗记丙")).await;
    let id = made["id"].as_str().unwrap();
    let content = desk.discussed(&team, id, "").await;
    let (path, body) = (format!("/api/clues/{id}/sign"), json!({"content": content}));
    let post = hyper::Method::POST;
    for word in [None, Some("丹江口的水去年落了三尺半")] {
        let reply = desk.ask(&team.leader, post.clone(), &path, &body, word).await;
        assert_eq!(reply.json()["code"], "signing-password");
    }
    // Whoever runs the machine has the vault open and every file, and no password.
    let vault = town.vault(DISTRICT);
    assert!(vault.persons().iter().any(|(person, _)| *person == team.leader.person));
    assert!(vault.person(&team.leader.person, "猜一个口令试试看").is_none());
    assert!(vault.person(&team.leader.person, PASSWORD).is_some());
    // An administrator gives the leader a new way in: the key goes with the old one.
    let api = town.api(DISTRICT);
    let version = api.get("SECADM", &format!("/api/persons/{}", team.leader.person)).await.unwrap();
    let at = version["version"].to_string();
    let link = format!("/api/persons/{}/link", team.leader.person);
    api.post("SYS", &link, "new-link", Some(&at), &json!({})).await.unwrap();
    let refused = desk.signed(&team.leader, &path, body.clone()).await;
    assert_eq!(refused.json()["code"], "signing-key-absent");
    // A new one signs only when two others have vouched for it.
    desk.make_key(&team.leader).await;
    let refused = desk.signed(&team.leader, &path, body.clone()).await;
    assert_eq!(refused.json()["code"], "signing-key-absent");
    desk.vouch(&team.leader).await;
    let signed = desk.signed(&team.leader, &path, body.clone()).await;
    assert_eq!(signed.status, 200, "{}", signed.json());
    // One person never makes two signatures.
    let again = desk.ask(&team.leader, post, &path, &body, Some(PASSWORD)).await;
    assert_eq!(again.json()["code"], "same-person");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clue_is_handed_on_and_its_result_finds_the_first_holder() {
    let town = Town::start().await;
    let desk = Chancery::of(&town);
    let team = desk.team().await;
    let above = desk.hire_signer(CITY, "NDI_REG", "office").await;
    let below = desk.hire_signer(DISTRICT, "NDI_REG", "office").await;
    let id = desk.offered_clue(&team, &json!("upper"), "暗记丁").await;
    let first = desk.delivered(&above, &id).await;
    let at = format!("/api/clue-cases/{first}");
    let accepted = desk.signed(&above, &format!("{at}/accept"), json!({})).await;
    assert_eq!(accepted.status, 200, "{}", accepted.json());
    town.until("custody is with the city", async || {
        desk.case_state(&above, &first).await == "held"
    })
    .await;
    let to = json!({"to": {"office": town.id(DISTRICT), "organ": "discipline-organ"}});
    desk.done(&above, &format!("{at}/offer"), to).await;
    // Who offers does not act.
    let stuck = desk.post(&above, &format!("{at}/approve"), json!({})).await;
    assert_eq!(stuck.json()["code"], "not-the-holder");
    let second = desk.delivered(&below, &id).await;
    let accepted =
        desk.signed(&below, &format!("/api/clue-cases/{second}/accept"), json!({})).await;
    assert_eq!(accepted.status, 200, "{}", accepted.json());
    town.until("custody is with the district's registry", async || {
        desk.case_state(&below, &second).await == "held"
    })
    .await;
    assert_eq!(desk.case_state(&above, &first).await, "released");
    let read = desk.get(&below, &format!("/api/clue-cases/{second}/content")).await;
    assert!(read.json()["saying"]["text"].as_str().unwrap().contains("暗记丁"), "{}", read.json());

    let at = format!("/api/clue-cases/{second}");
    let handler = desk.hire(DISTRICT, "NDI_OFF", &format!("round:{}", team.round)).await;
    desk.done(&below, &format!("{at}/assign"), json!({"person": handler.person})).await;
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    desk.done(&handler, &format!("{at}/propose"), json!({"disposition": "concluded"})).await;
    desk.done(&below, &format!("{at}/approve"), json!({})).await;
    desk.done(&handler, &format!("{at}/result"), json!({})).await;
    desk.done(&below, &format!("{at}/feed-back"), json!({})).await;
    assert_eq!(desk.clue_state(&team.custodian, &id).await, "fed-back");
    desk.done(&team.custodian, &format!("/api/clues/{id}/close"), json!({})).await;
    // Taken up again: the word goes by the city to whoever holds it now.
    let other = desk.hire(DISTRICT, "CLUE", "office").await;
    for clerk in [&team.custodian, &other] {
        desk.done(clerk, &format!("/api/clues/{id}/reopen"), json!({})).await;
    }
    town.until("the holder hears that it is taken up again", async || {
        desk.case_state(&below, &second).await == "held"
    })
    .await;
}

/// The discipline organ as an office of its own: the same way, and the inspection office's
/// administrators have nothing of it.
#[tokio::test(flavor = "multi_thread")]
async fn an_organ_that_is_an_office_of_its_own_receives_and_nobody_of_the_house_sees_it() {
    let mut town = Town::start().await;
    town.enrol(ORGAN, CITY, "district").await;
    let desk = Chancery::of(&town);
    let team = desk.team().await;
    let registry = desk.hire_signer(ORGAN, "NDI_REG", "office").await;
    let of_house = desk.hire_signer(DISTRICT, "NDI_REG", "office").await;
    let secret = "暗记甲八八";

    // Sealed for the house's own organ, before the city said where that is now.
    let id = desk.signed_clue(&team, &own(), secret).await;
    desk.done(&team.custodian, &format!("/api/clues/{id}/seal"), json!({})).await;
    house(&town).await;
    desk.done(&team.custodian, &format!("/api/clues/{id}/offer"), json!({})).await;
    // Withdrawn, sent back, offered once more: one holder at every moment.
    let path = format!("/api/clues/{id}");
    let row = desk.get(&team.custodian, &path).await.json();
    assert_eq!(row["offer"]["to"]["office"], town.id(ORGAN), "{row}");
    let first = desk.delivered(&registry, &id).await;
    desk.done(&team.custodian, &format!("{path}/withdraw"), json!({})).await;
    town.until("the withdrawal came", || async {
        desk.case_state(&registry, &first).await == "void"
    })
    .await;
    let late = desk.signed(&registry, &format!("/api/clue-cases/{first}/accept"), json!({})).await;
    assert_ne!(late.status, 200, "{}", late.json());
    desk.done(&team.custodian, &format!("{path}/offer"), json!({})).await;
    let second = desk.delivered(&registry, &id).await;
    let back = json!({"reason": "incomplete"});
    desk.done(&registry, &format!("/api/clue-cases/{second}/return"), back).await;
    town.until("it came back", || async {
        desk.get(&team.custodian, &path).await.json()["returned"] == "incomplete"
    })
    .await;
    desk.done(&team.custodian, &format!("{path}/offer"), json!({})).await;
    let case = desk.delivered(&registry, &id).await;
    let at = format!("/api/clue-cases/{case}");
    let accepted = desk.signed(&registry, &format!("{at}/accept"), json!({})).await;
    assert_eq!(accepted.status, 200, "{}", accepted.json());
    town.until("custody is there", || async { desk.case_state(&registry, &case).await == "held" })
        .await;
    assert_eq!(desk.clue_state(&team.custodian, &id).await, "released");
    let read = desk.get(&registry, &format!("{at}/content")).await.json();
    assert!(read["saying"]["text"].as_str().unwrap_or_default().contains(secret), "{read}");

    // Nobody of the inspection office's house: neither registry nor team, nor its store.
    assert_eq!(desk.get(&of_house, &at).await.status, 404);
    assert_eq!(desk.get(&of_house, "/api/clue-cases").await.json()["items"], json!([]));
    assert_eq!(desk.get(&team.member, &format!("{path}/content")).await.status, 404);

    // What comes of it goes back to who handed it over, as counts.
    let handler = desk.hire(ORGAN, "NDI_OFF", "round:any").await;
    desk.done(&registry, &format!("{at}/assign"), json!({"person": handler.person})).await;
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    let way = json!({"disposition": "preliminary-verification"});
    desk.done(&handler, &format!("{at}/propose"), way).await;
    desk.done(&registry, &format!("{at}/approve"), json!({})).await;
    desk.done(&handler, &format!("{at}/result"), json!({"cases": 1, "disciplined": 1})).await;
    desk.done(&registry, &format!("{at}/feed-back"), json!({})).await;
    town.until("the result came", || async {
        desk.clue_state(&team.custodian, &id).await == "fed-back"
    })
    .await;
}

/// An office that is the district's discipline organ.
const ORGAN: &str = "611002";

/// The city says which office the organ is, and the district has heard it.
async fn house(town: &Town) {
    let city = town.api(CITY);
    let home = |of: &str, organ: &str, home: &str| json!({"of": of, "organ": organ, "home": home});
    let (of, there) = (town.id(DISTRICT), town.id(ORGAN));
    for (at, bad) in [
        home(&of, "team", &there),
        home(&of, "discipline-organ", &of),
        home(&of, "discipline-organ", &town.id(CITY)),
        home(&town.id(TOWN), "discipline-organ", &there),
    ]
    .iter()
    .enumerate()
    {
        let why = city.post("SYS", "/api/organ-homes", &format!("bad-{at}"), None, bad).await;
        assert!(why.as_ref().is_err_and(|why| why.contains("unfit-choice")), "{bad}: {why:?}");
    }
    let body = home(&of, "discipline-organ", &there);
    let by = city.post("PLAN", "/api/organ-homes", "plan", None, &body).await;
    assert!(by.is_err_and(|why| why.contains("not-allowed")));
    town.until("the organ's key came", || async {
        city.post("SYS", "/api/organ-homes", "home", None, &body).await.is_ok()
    })
    .await;
    town.until("the district knows", || async {
        let seen = town.entries_seen(DISTRICT).await;
        seen.iter().any(|kind| kind.contains("organ-home"))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_secretary_reads_what_two_have_signed_of_cadres_of_own_authority() {
    let town = Town::start().await;
    let desk = Chancery::of(&town);
    let team = desk.team().await;
    let sec = desk.hire(DISTRICT, "SEC", "office").await;
    let elsewhere = desk.hire(CITY, "SEC", "office").await;
    let registry = desk.hire_signer(DISTRICT, "NDI_REG", "office").await;
    let nothing = async |id: &str| {
        for of in ["", "/content"] {
            let read = desk.get(&sec, &format!("/api/clues/{id}{of}")).await;
            assert_eq!(read.status, 404, "{}", read.json());
        }
    };
    let draft = |authority: &str| Chancery::draft_of(&team, &json!(authority), "");
    // Neither a draft, nor what is of others' cadres, of the chain, or of the secretary.
    let made = desk.done(&team.member, "/api/clues", draft("own")).await;
    nothing(made["id"].as_str().unwrap()).await;
    let (mut chain, mut about) = (draft("own"), draft("own"));
    chain["of_the_chain"] = json!(true);
    about["saying"]["objects"][0]["person"] = json!(sec.person);
    for other in [draft("upper"), draft("organization-department"), chain, about] {
        nothing(&desk.signed_draft(&team, other).await).await;
    }
    let id = desk.signed_clue(&team, &own(), "").await;
    let path = format!("/api/clues/{id}");
    let listed = desk.get(&sec, "/api/clues").await.json();
    assert_eq!(listed["items"].as_array().unwrap().len(), 1, "{listed}");
    assert_eq!(listed["items"][0]["id"], id);
    assert_eq!(desk.get(&sec, &path).await.json()["actions"], json!(["oversee"]));
    let read = desk.get(&sec, &format!("{path}/content")).await.json();
    assert!(read["saying"]["text"].is_string() && read["minutes"].is_string(), "{read}");
    assert_eq!(desk.get(&elsewhere, &format!("{path}/content")).await.status, 404);
    let worklist = desk.get(&sec, "/api/worklist").await.json().to_string();
    assert!(!worklist.contains(&id), "{worklist}");
    // Reading is all.
    for step in ["drop", "seal", "offer", "withdraw"] {
        let reply = desk.post(&sec, &format!("{path}/{step}"), json!({})).await;
        assert_eq!(reply.status, 403, "{step}: {}", reply.json());
    }
    let operations = town.api(DISTRICT).get("SYS", "/api/operations").await.unwrap();
    let before = operations["relay"]["head"].as_u64().unwrap();
    let then = format!("{path}?known_at={before}");
    assert_eq!(desk.get(&sec, &then).await.status, 200, "as it is now and was then");
    // It follows the clue to the organ of the own office that handles it.
    for step in ["seal", "offer"] {
        desk.done(&team.custodian, &format!("{path}/{step}"), json!({})).await;
    }
    let case = desk.delivered(&registry, &id).await;
    let at = format!("/api/clue-cases/{case}");
    assert_eq!(desk.get(&sec, &at).await.status, 404, "what it is about is not known yet");
    let accepted = desk.signed(&registry, &format!("{at}/accept"), json!({})).await;
    assert_eq!(accepted.status, 200, "{}", accepted.json());
    assert_eq!(desk.get(&sec, &format!("{path}/content")).await.status, 404, "at its holder alone");
    assert_eq!(desk.get(&sec, &then).await.status, 404, "nor as it was when he read it here");
    let listed = desk.get(&sec, &format!("/api/clues?known_at={before}&limit=500")).await;
    assert!(!listed.json().to_string().contains(&id), "nor in a list of then");
    let read = desk.get(&sec, &format!("{at}/content")).await.json();
    assert!(read["saying"]["text"].is_string(), "{read}");
    let reads = town.api(DISTRICT).get("AUDADM", "/api/reads?limit=500").await.unwrap();
    let of_sec = |stream: String| {
        let items = reads["items"].as_array().unwrap();
        items.iter().any(|read| {
            let said = read.to_string();
            said.contains(&sec.person) && said.contains(&stream)
        })
    };
    assert!(of_sec(format!("clue/{id}")) && of_sec(format!("clue-case/{case}")), "{reads}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_of_inquiry_has_a_day_to_be_answered_and_then_one_to_be_closed() {
    let town = Town::start().await;
    let desk = Chancery::of(&town);
    let team = desk.team().await;
    let registry = desk.hire_signer(DISTRICT, "NDI_REG", "office").await;
    let handler = desk.hire(DISTRICT, "NDI_OFF", &format!("round:{}", team.round)).await;
    let id = desk.offered_clue(&team, &own(), "").await;
    let at = format!("/api/clue-cases/{}", desk.delivered(&registry, &id).await);
    let accepted = desk.signed(&registry, &format!("{at}/accept"), json!({})).await;
    assert_eq!(accepted.status, 200, "{}", accepted.json());
    desk.done(&registry, &format!("{at}/assign"), json!({"person": handler.person})).await;
    let way = json!({"disposition": "talk-or-inquiry"});
    desk.done(&handler, &format!("{at}/propose"), way).await;
    let letter = json!({"letter": "HX-2024-3"});
    let early = desk.post(&handler, &format!("{at}/inquire"), letter.clone()).await;
    assert_eq!(early.json()["code"], "wrong-state");
    desk.done(&registry, &format!("{at}/approve"), json!({})).await;
    let row = async || desk.get(&handler, &at).await.json();
    assert!(row().await["actions"].as_array().unwrap().contains(&json!("inquire")));
    assert_eq!(row().await["due"], row().await["feed_back_by"]);

    desk.done(&handler, &format!("{at}/inquire"), letter.clone()).await;
    let day = |at: &Value| Day::parse(&at.as_str().unwrap()[..10]).unwrap();
    let sent = row().await;
    assert_eq!(sent["inquiry"]["letter"], "HX-2024-3");
    let due = Packs::new(Tier::District, vec![])
        .due("clue.inquiry_reply", day(&sent["inquiry"]["sent"]))
        .day;
    assert_eq!(sent["due"], json!(due));
    assert_eq!(desk.post(&handler, &format!("{at}/inquire"), letter).await.status, 409);
    let worklist = desk.get(&handler, "/api/worklist").await.json();
    assert_eq!(worklist["items"][0]["due"], json!(due), "{worklist}");

    desk.done(&handler, &format!("{at}/reply"), json!({})).await;
    let replied = row().await;
    let due = Packs::new(Tier::District, vec![])
        .due("clue.inquiry_close", day(&replied["inquiry"]["replied"]))
        .day;
    assert_eq!(replied["due"], json!(due));
    assert_eq!(desk.post(&handler, &format!("{at}/reply"), json!({})).await.status, 409);
    // Another way ends the inquiry.
    let way = json!({"disposition": "preliminary-verification"});
    desk.done(&handler, &format!("{at}/propose"), way).await;
    desk.done(&registry, &format!("{at}/approve"), json!({})).await;
    let verified = row().await;
    assert!(verified["inquiry"].is_null() && verified["due"] == verified["feed_back_by"]);
}

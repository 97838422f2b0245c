//! 密级上限 What must not enter does not: neither its text nor a word of it, anywhere.

use deploy::api::Api;
use hyper::Method;
use serde_json::{Value, json};
use tests::town::{DISTRICT, Town};
use web::client::Client;

use crate::signing_in::is_problem;

/// What must be found nowhere: invented, and unlike anything else.
const SECRET: &str = "丹凤某单位副职涉嫌收受礼金七万三千元";

async fn send(
    api: &Api,
    town: &Town,
    (role, path, key): (&str, &str, &str),
    headers: &[(&str, &str)],
    body: &Value,
) -> web::client::Reply {
    let bearer = format!("Bearer {}", api.token(role).unwrap());
    let mut all = vec![("authorization", bearer.as_str()), ("idempotency-key", key)];
    all.extend(headers);
    let url = format!("{}{path}", town.url(DISTRICT));
    Client::default().send(Method::POST, &url, &all, body.to_string().into_bytes()).await.unwrap()
}

/// Whether any file below a folder holds these bytes.
fn stands_in(folder: &std::path::Path, text: &[u8]) -> bool {
    std::fs::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return stands_in(&path, text);
        }
        let bytes = std::fs::read(&path).unwrap_or_default();
        bytes.windows(text.len()).any(|window| window == text)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_above_the_ceiling_leaves_only_an_envelopes_number() {
    let town = Town::start().await;
    let api = town.api(DISTRICT);
    town.register_units().await;
    let draft = |text: &str| json!({"round": "r1", "task": "k1", "text": text, "dimension": 1});
    // Marked in its text, or said so by whoever sends it: refused, before anything is looked at.
    for (n, text) in [format!("机密★10年 {SECRET}"), format!("绝 密 ★ {SECRET}")].iter().enumerate()
    {
        let key = format!("marked-{n}");
        let reply = send(&api, &town, ("TM", "/api/findings", &key), &[], &draft(text)).await;
        is_problem(&reply, 422, "above-ceiling");
        assert!(!String::from_utf8_lossy(&reply.body).contains(SECRET));
    }
    for level in ["confidential", "secret", "top-secret"] {
        let said = [("security-classification", level)];
        let reply = send(&api, &town, ("TM", "/api/findings", level), &said, &draft(SECRET)).await;
        is_problem(&reply, 422, "above-ceiling");
    }
    // The reason for a reading stays on record like any text.
    let encode =
        |text: &str| text.bytes().fold(String::new(), |all, byte| all + &format!("%{byte:02X}"));
    let marked = encode(&format!("机密★ {SECRET}"));
    let bearer = format!("Bearer {}", api.token("TM").unwrap());
    let headers = [("authorization", bearer.as_str()), ("reading-reason", marked.as_str())];
    let url = format!("{}/api/findings", town.url(DISTRICT));
    let reply = Client::default().send(Method::GET, &url, &headers, Vec::new()).await.unwrap();
    is_problem(&reply, 422, "above-ceiling");
    let said = [("security-classification", "very")];
    let reply = send(&api, &town, ("TM", "/api/findings", "v"), &said, &draft(SECRET)).await;
    is_problem(&reply, 422, "bad-field");
    // What is internal goes on to the rules of its own.
    let said = [("security-classification", "internal")];
    let reply =
        send(&api, &town, ("TM", "/api/findings", "i"), &said, &draft("公示栏未更新")).await;
    assert_ne!(reply.json()["code"], "above-ceiling");

    // The envelope itself: a number, seals, a carrier, a receipt; nothing that says something.
    let path = "/api/envelopes";
    for (n, body) in [
        json!({"number": SECRET, "seals": ["F-1"]}),
        json!({"number": "XS〔2026〕017", "seals": [SECRET]}),
        json!({"number": "XS〔2026〕017", "seals": ["F-1"], "content": SECRET}),
        json!({"number": "XS〔2026〕017", "seals": []}),
    ]
    .iter()
    .enumerate()
    {
        let key = format!("bad-{n}");
        let reply = send(&api, &town, ("CLUE", path, &key), &[], body).await;
        is_problem(&reply, 422, "bad-field");
        assert!(!String::from_utf8_lossy(&reply.body).contains(SECRET), "{n}");
    }
    let good = json!({"number": "XS〔2026〕017", "seals": ["F-0031", "F-0032"]});
    is_problem(&send(&api, &town, ("PLAN", path, "p"), &[], &good).await, 403, "not-allowed");
    let made = send(&api, &town, ("CLUE", path, "e1"), &[], &good).await;
    assert_eq!(made.status, 201, "{}", made.json());
    is_problem(&send(&api, &town, ("CLUE", path, "e2"), &[], &good).await, 409, "envelope-exists");
    let id = made.json()["id"].as_str().unwrap().to_owned();
    // Monday 8 January 2024 and five working days.
    let shown = api.get("CLUE", &format!("{path}/{id}")).await.unwrap();
    assert_eq!((&shown["due"], &shown["handed_on"]), (&json!("2024-01-15"), &Value::Null));
    let waiting = api.get("CLUE", "/api/worklist").await.unwrap();
    assert_eq!(waiting["items"][0]["actions"], json!(["hand-on"]), "{waiting}");
    let hand = json!({"carrier": "confidential-post", "receipt": "R-9"});
    let on = format!("{path}/{id}/hand-on");
    let any = [("if-match", "*")];
    let gone = send(&api, &town, ("CLUE", &on, "h1"), &any, &hand).await;
    assert_eq!(gone.status, 200, "{}", gone.json());
    let other = json!({"carrier": "courier", "receipt": "R-10"});
    is_problem(&send(&api, &town, ("CLUE", &on, "h2"), &any, &other).await, 409, "wrong-state");
    // It is of the smallest circle, and reading it was recorded.
    assert!(api.get("PLAN", &format!("{path}/{id}")).await.is_err());
    let reads = api.get("AUDADM", "/api/reads").await.unwrap();
    assert!(reads.to_string().contains(&format!("envelope/{id}")), "{reads}");
    // Nothing of what was refused stands on the disk, of any office.
    assert!(stands_in(&town.folder.join("data"), id.as_bytes()), "the search finds what is there");
    assert!(!stands_in(&town.folder.join("data"), SECRET.as_bytes()));
}

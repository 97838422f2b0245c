//! Sessions of browsers, and certificates in place of phones.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use hyper::Method;
use serde_json::{Value, json};
use tests::town::{CITY, Secrecy, Town};
use web::{
    Wire,
    client::{Client, Reply},
};

use crate::signing_in::{Door, PASSWORD, is_problem, text};

/// A browser at one office.
struct Browser<'a> {
    town: &'a Town,
    client: Client,
    cookie: String,
    header: String,
}

impl<'a> Browser<'a> {
    /// Signs in by the first link; what the cookie said.
    async fn signed_in(town: &'a Town, client: Client, account: &str) -> Self {
        let door = Door { town, client: client.clone() };
        let body = json!({"link": door.link(account), "password": PASSWORD, "cookie": true});
        let mut browser = Self { town, client, cookie: String::new(), header: String::new() };
        let (url, body) = (browser.url("/api/sign-in"), body.to_string().into_bytes());
        let answer = browser.client.open(Method::POST, &url, &[], body).await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.headers()["set-cookie"].to_str().unwrap().clone_into(&mut browser.header);
        browser.cookie = browser.header.split(';').take(1).collect();
        browser
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.town.url(CITY))
    }

    async fn send(&self, method: Method, path: &str, more: &[(&str, &str)]) -> Reply {
        let mut headers = vec![("cookie", self.cookie.as_str())];
        headers.extend(more);
        self.client.send(method, &self.url(path), &headers, Vec::new()).await.unwrap()
    }

    async fn get(&self, path: &str) -> Reply {
        self.send(Method::GET, path, &[]).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browsers_session_is_a_cookie_that_no_other_site_can_use() {
    let town = Town::real_city().await;
    let file = Browser::signed_in(&town, Client::default(), "file").await;
    let id = town.id(CITY);
    let ends = "; Path=/; HttpOnly; SameSite=Lax";
    assert!(file.header.starts_with(&format!("liandong-{id}=")), "{}", file.header);
    assert!(file.header.ends_with(ends), "{}", file.header);
    assert_eq!(file.get("/api/sessions").await.status, 200);
    // Neither the list, nor the log, nor the store says what opens it.
    let secret = file.cookie.rsplit_once('.').unwrap().1;
    let listed = file.get("/api/sessions").await.json();
    assert_eq!(listed["items"][0]["this"], true);
    assert!(!listed.to_string().contains(secret));
    let shown = listed["items"][0]["id"].as_str().unwrap();
    let person = file.cookie.split_once('=').unwrap().1.rsplit_once('.').unwrap().0;
    for forged in [
        format!("liandong-{id}={person}.{shown}"),
        format!("liandong-{id}={person}."),
        format!("liandong-{id}=.{secret}"),
        format!("liandong-{id}={person}x.{secret}"),
        format!("liandong-aaaaaaaa={person}.{secret}"),
        format!("__Host-liandong-{id}={person}.{secret}"),
        format!("liandong-{id}={person}.wrong; {}", file.cookie),
        format!("{}; {}", file.cookie, file.cookie),
    ] {
        let (url, headers) = (file.url("/api/sessions"), [("cookie", forged.as_str())]);
        let reply = file.client.send(Method::GET, &url, &headers, Vec::new()).await.unwrap();
        is_problem(&reply, 401, "not-signed-in");
    }
    // A token that is there decides alone.
    let with = file.send(Method::GET, "/api/sessions", &[("authorization", "Bearer x")]).await;
    is_problem(&with, 401, "not-signed-in");
    // Another site's form is refused, however it names itself, and changes nothing.
    for from in [
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
    ] {
        let reply = file.send(Method::POST, "/api/sign-out", &[from]).await;
        is_problem(&reply, 403, "cross-site");
    }
    assert_eq!(file.get("/api/sessions").await.status, 200);
    let here = town.url(CITY);
    let own = [("origin", here.as_str()), ("sec-fetch-site", "same-origin")];
    assert_eq!(file.send(Method::POST, "/api/sign-out", &own).await.status, 204);
    is_problem(&file.get("/api/sessions").await, 401, "not-signed-in");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_nobody_uses_ends_on_record_and_stays_ended() {
    let wire = Wire { idle_seconds: 2, ..Wire::unhurried() };
    let mut town = Town::real_city_on(wire, Secrecy::Plain).await;
    let (cookie, shown) = {
        let file = Browser::signed_in(&town, Client::default(), "file").await;
        for _ in 0..4 {
            tokio::time::sleep(Duration::from_millis(900)).await;
            assert_eq!(file.get("/api/sessions").await.status, 200, "whoever works stays");
        }
        let listed = file.get("/api/sessions").await.json();
        tokio::time::sleep(Duration::from_millis(2500)).await;
        is_problem(&file.get("/api/sessions").await, 401, "not-signed-in");
        (file.cookie, listed["items"][0]["id"].as_str().unwrap().to_owned())
    };
    // On record within a second or so; a restart does not wake it.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    town.stop_office(CITY).await;
    town.start_office(CITY).await;
    let url = format!("{}/api/sessions", town.url(CITY));
    let headers = [("cookie", cookie.as_str())];
    let reply = Client::default().send(Method::GET, &url, &headers, Vec::new()).await.unwrap();
    is_problem(&reply, 401, "not-signed-in");
    let door = Door { town: &town, client: Client::default() };
    let (audadm, _) = door.settle("audadm").await;
    let log = door.get("/api/events?limit=1000", &audadm).await.json();
    let read = |item: &Value| {
        let entry = BASE64.decode(item["entry"].as_str()?).ok()?;
        let payload = kernel::entry::open(&entry).ok()?.payload.to_vec();
        String::from_utf8(payload).ok()
    };
    let entries: Vec<String> = log["items"].as_array().unwrap().iter().filter_map(read).collect();
    let ended = |entry: &&String| entry.contains("session.ended") && entry.contains(&shown);
    let ended = entries.iter().find(ended).expect("its end is on record");
    assert!(ended.contains(":idle\""), "{ended}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_stands_for_a_phone_until_it_is_ended() {
    let town = Town::real_city_on(Wire::unhurried(), Secrecy::Open).await;
    let authority = town.authority.as_ref().unwrap();
    let with = |name: &str| {
        let tls = Some(authority.issue(name, false));
        Client::of(&Wire { tls, ..Wire::default() }).unwrap()
    };
    let plain = Door { town: &town, client: with("nobody") };
    let (secadm, _) = plain.settle("secadm").await;
    let (sys, _) = plain.settle("sys").await;
    let first = json!({"link": plain.link("audadm"), "password": PASSWORD});
    let first = plain.sign_in(first).await;
    assert_eq!(first.json()["second_factor"], "must-be-set");
    let person = text(&first, "person");

    let bound = with("审计管理员");
    let pem = authority.folder().join("审计管理员.pem");
    let pem = json!({"certificate": std::fs::read_to_string(pem).unwrap()});
    let path = format!("/api/persons/{person}/certificates");
    is_problem(&plain.post(&path, &sys, pem.clone()).await, 403, "not-allowed");
    let wrong = json!({"certificate": "-----BEGIN NOTHING-----"});
    is_problem(&plain.post(&path, &secadm, wrong).await, 422, "bad-field");
    let made = plain.post(&path, &secadm, pem.clone()).await;
    assert_eq!(made.status, 201, "{}", made.json());
    let fingerprint = text(&made, "id");
    let listed = plain.get(&path, &secadm).await.json();
    assert_eq!(listed["items"][0]["fingerprint"], fingerprint.as_str());

    // Password and certificate together, and only this certificate.
    let body = || json!({"account": "audadm", "password": PASSWORD});
    let door = Door { town: &town, client: bound };
    let came = door.sign_in(body()).await;
    assert_eq!(came.json()["second_factor"], "shown", "{}", came.json());
    let token = text(&came, "token");
    assert_eq!(door.get("/api/reads", &token).await.status, 200);
    // Without it the password opens nothing, and neither does what came in before it was bound.
    is_problem(&plain.sign_in(body()).await, 401, "second-factor-missing");
    is_problem(&plain.get("/api/sessions", &text(&first, "token")).await, 401, "not-signed-in");
    // Nor does a new link, which the system administrator makes alone.
    let path = format!("/api/persons/{person}/link");
    let made = plain.post(&path, &sys, json!({})).await;
    let by_link = json!({"link": text(&made, "link"), "password": PASSWORD});
    is_problem(&plain.sign_in(by_link).await, 401, "second-factor-missing");
    let keyed = format!("{}-----BEGIN PRIVATE KEY-----", pem["certificate"].as_str().unwrap());
    let path = format!("/api/persons/{person}/certificates");
    let keyed = plain.post(&path, &secadm, json!({"certificate": keyed})).await;
    is_problem(&keyed, 422, "bad-field");
    let wrong = json!({"account": "audadm", "password": "not the password"});
    is_problem(&door.sign_in(wrong).await, 401, "bad-credentials");
    let sys_by_it = json!({"account": "sys", "password": PASSWORD});
    is_problem(&door.sign_in(sys_by_it).await, 401, "second-factor-missing");

    // It is nobody else's, and once ended nobody's: sessions by it are over at once.
    let taken = format!("/api/persons/{}/certificates", person_of(&plain, &sys).await);
    is_problem(&plain.post(&taken, &secadm, pem.clone()).await, 409, "certificate-bound");
    let end = format!("/api/certificates/{fingerprint}/end");
    assert_eq!(plain.post(&end, &secadm, json!({})).await.status, 200);
    is_problem(&door.get("/api/reads", &token).await, 401, "not-signed-in");
    assert_eq!(door.sign_in(body()).await.json()["second_factor"], "must-be-set");
    is_problem(&plain.post(&path, &secadm, pem).await, 409, "certificate-bound");
}

async fn person_of(door: &Door<'_>, token: &str) -> String {
    let me: Value = door.get("/api/me", token).await.json();
    me["person"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tls_the_cookie_is_bound_to_the_host() {
    let town = Town::real_city_on(Wire::unhurried(), Secrecy::Open).await;
    let tls = Some(town.authority.as_ref().unwrap().issue("clerk", false));
    let client = Client::of(&Wire { tls, ..Wire::default() }).unwrap();
    let file = Browser::signed_in(&town, client, "file").await;
    let name = format!("__Host-liandong-{}=", town.id(CITY));
    assert!(file.header.starts_with(&name), "{}", file.header);
    assert!(file.header.ends_with("; Path=/; HttpOnly; SameSite=Lax; Secure"), "{}", file.header);
    assert_eq!(file.get("/api/sessions").await.status, 200);
}

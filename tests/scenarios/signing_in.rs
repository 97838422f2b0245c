//! 登录 Signing in to a real city: links, passwords, the second factor, sessions.

use hyper::Method;
use serde_json::{Value, json};
use tests::town::{CITY, Town};
use web::client::{Client, Reply};

pub(crate) struct Door<'a> {
    pub(crate) town: &'a Town,
    pub(crate) client: Client,
}

pub(crate) const PASSWORD: &str = "丹江口的水今年又涨了三尺";
const OTHER: &str = "丹江口的水去年落了三尺半";

impl Door<'_> {
    pub(crate) async fn send(&self, method: Method, path: &str, token: &str, body: Value) -> Reply {
        let url = format!("{}{path}", self.town.url(CITY));
        let bearer = format!("Bearer {token}");
        let key = format!("{}", NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        let mut headers = vec![("if-match", "*"), ("idempotency-key", key.as_str())];
        if !token.is_empty() {
            headers.push(("authorization", &bearer));
        }
        let body = if method == Method::POST { body.to_string().into_bytes() } else { Vec::new() };
        self.client.send(method, &url, &headers, body).await.unwrap()
    }

    pub(crate) async fn get(&self, path: &str, token: &str) -> Reply {
        self.send(Method::GET, path, token, Value::Null).await
    }

    pub(crate) async fn post(&self, path: &str, token: &str, body: Value) -> Reply {
        self.send(Method::POST, path, token, body).await
    }

    pub(crate) async fn sign_in(&self, body: Value) -> Reply {
        self.post("/api/sign-in", "", body).await
    }

    /// The first link of an account.
    pub(crate) fn link(&self, account: &str) -> String {
        let people = std::fs::read(self.town.keys(CITY).join("first-sign-in.json")).unwrap();
        let people: Vec<Value> = serde_json::from_slice(&people).unwrap();
        let of = people.iter().find(|person| person["account"] == account).unwrap();
        of["link"].as_str().unwrap().to_owned()
    }

    /// Signs in by the first link, sets a second factor, and signs in with it; the token
    /// and the secret.
    pub(crate) async fn settle(&self, account: &str) -> (String, String) {
        let (token, secret, _) = self.settled(account).await;
        (token, secret)
    }

    /// The same, with the code that was taken.
    pub(crate) async fn settled(&self, account: &str) -> (String, String, String) {
        let first = self.sign_in(json!({"link": self.link(account), "password": PASSWORD})).await;
        assert_eq!(first.json()["second_factor"], "must-be-set", "{}", first.json());
        let token = text(&first, "token");
        let offer = self.get("/api/second-factor", &token).await.json();
        let secret = offer["offer"]["secret"].as_str().unwrap().to_owned();
        let code = code(&secret, 0);
        let set = json!({"number": offer["offer"]["number"], "code": code});
        let done = self.post("/api/second-factor", &token, set).await;
        assert_eq!(done.status, 200, "{}", done.json());
        assert_eq!(self.get("/api/sessions", &token).await.status, 401, "one signs in again");
        let again = json!({"account": account, "password": PASSWORD, "code": code});
        let signed = self.sign_in(again).await;
        assert_eq!(signed.json()["second_factor"], "shown", "{}", signed.json());
        (text(&signed, "token"), secret, code)
    }
}

static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);

pub(crate) fn text(reply: &Reply, name: &str) -> String {
    reply.json()[name].as_str().unwrap_or_else(|| panic!("{}", reply.json())).to_owned()
}

/// The code some steps from now.
pub(crate) fn code(secret: &str, steps: i64) -> String {
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    access::second_factor::code_of(secret, now.saturating_add_signed(steps * 30)).unwrap()
}

#[track_caller]
pub(crate) fn is_problem(reply: &Reply, status: u16, code: &str) {
    let body = reply.json();
    assert_eq!((reply.status, body["code"].as_str()), (status, Some(code)), "{body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_shows_a_second_factor_and_a_code_counts_once() {
    let town = Town::real_city().await;
    let door = Door { town: &town, client: Client::default() };
    // Until it is set, nothing but one's own account is open.
    let first = door.sign_in(json!({"link": door.link("secadm"), "password": PASSWORD})).await;
    let weak = text(&first, "token");
    is_problem(&door.get("/api/persons", &weak).await, 403, "second-factor-unset");
    assert_eq!(door.get("/api/sessions", &weak).await.status, 200);

    let (sys, secret, taken) = door.settled("sys").await;
    assert_eq!(door.get("/api/persons", &sys).await.status, 200);
    let with = |code: Option<String>| json!({"account": "sys", "password": PASSWORD, "code": code});
    is_problem(&door.sign_in(with(None)).await, 401, "second-factor-missing");
    // The code was taken by the sign-in; the next one counts, once, and an old one never.
    is_problem(&door.sign_in(with(Some(taken))).await, 401, "bad-credentials");
    let next = code(&secret, 1);
    assert_eq!(door.sign_in(with(Some(next.clone()))).await.status, 200);
    is_problem(&door.sign_in(with(Some(next))).await, 401, "bad-credentials");
    is_problem(&door.sign_in(with(Some(code(&secret, -9)))).await, 401, "bad-credentials");
    // It is not given away: another takes its place only against the present one.
    let offer = door.get("/api/second-factor", &sys).await.json();
    let new = offer["offer"]["secret"].as_str().unwrap();
    let swap = json!({"number": offer["offer"]["number"], "code": code(new, 0)});
    is_problem(&door.post("/api/second-factor", &sys, swap).await, 401, "second-factor-missing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_at_once_for_whoever_ends_it() {
    let town = Town::real_city().await;
    let door = Door { town: &town, client: Client::default() };
    let (sys, _) = door.settle("sys").await;
    let (secadm, _) = door.settle("secadm").await;
    let new = json!({"account": "file2", "display": "报备岗"});
    let made = door.post("/api/persons", &sys, new).await;
    let (person, link) = (text(&made, "id"), text(&made, "link"));
    let post = json!({"role": "C_FILE", "from": "2020-01-01"});
    let path = format!("/api/persons/{person}/authorisations");
    assert_eq!(door.post(&path, &secadm, post).await.status, 200);
    let first = door.sign_in(json!({"link": link, "password": PASSWORD})).await;
    assert_eq!(first.json()["second_factor"], "not-set", "the filing desk reads nothing secret");
    let signed = async || {
        text(&door.sign_in(json!({"account": "file2", "password": PASSWORD})).await, "token")
    };
    let (a, b, c) = (text(&first, "token"), signed().await, signed().await);
    for token in [&a, &b, &c] {
        assert_eq!(door.get("/api/filing-board", token).await.status, 200);
    }
    let sessions = door.get("/api/sessions", &c).await.json();
    let sessions = sessions["items"].as_array().unwrap();
    assert_eq!(sessions.len(), 3);
    assert_eq!(sessions.iter().filter(|session| session["this"] == true).count(), 1);
    assert!(sessions.iter().all(|session| session["address"] == "127.0.0.1"));

    // Signing out ends one's own; ending by id another of one's own, and nobody else's.
    assert_eq!(door.post("/api/sign-out", &a, json!({})).await.status, 204);
    is_problem(&door.get("/api/filing-board", &a).await, 401, "not-signed-in");
    let of = |reply: &Reply| reply.json()["items"][0]["id"].as_str().unwrap().to_owned();
    let others = of(&door.get("/api/sessions", &sys).await);
    let end = format!("/api/sessions/{others}/end");
    is_problem(&door.post(&end, &b, json!({})).await, 404, "not-found");
    assert_eq!(door.get("/api/persons", &sys).await.status, 200);

    // Another password ends every other session.
    let change = |password: &str, new: &str| json!({"password": password, "new": new});
    let wrong = door.post("/api/password", &b, change("不是这个口令不是这个口令", OTHER)).await;
    is_problem(&wrong, 401, "bad-credentials");
    is_problem(&door.post("/api/password", &b, change(PASSWORD, "短")).await, 422, "weak-password");
    assert_eq!(door.post("/api/password", &b, change(PASSWORD, OTHER)).await.status, 204);
    is_problem(&door.get("/api/filing-board", &c).await, 401, "not-signed-in");
    assert_eq!(door.get("/api/filing-board", &b).await.status, 200);
    let old = json!({"account": "file2", "password": PASSWORD});
    is_problem(&door.sign_in(old).await, 401, "bad-credentials");

    // The security administrator ends all of somebody's; a new link ends them too.
    let end = format!("/api/persons/{person}/end-sessions");
    is_problem(&door.post(&end, &sys, json!({})).await, 403, "not-allowed");
    assert_eq!(door.post(&end, &secadm, json!({})).await.status, 204);
    is_problem(&door.get("/api/filing-board", &b).await, 401, "not-signed-in");
    let again = json!({"account": "file2", "password": OTHER});
    let d = text(&door.sign_in(again).await, "token");
    let link =
        text(&door.post(&format!("/api/persons/{person}/link"), &sys, json!({})).await, "link");
    assert_eq!(door.get("/api/filing-board", &d).await.status, 200, "the link alone ends nothing");
    assert_eq!(door.sign_in(json!({"link": link, "password": PASSWORD})).await.status, 200);
    is_problem(&door.get("/api/filing-board", &d).await, 401, "not-signed-in");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_alone_cannot_take_an_account_over() {
    let town = Town::real_city().await;
    let door = Door { town: &town, client: Client::default() };
    let (sys, _) = door.settle("sys").await;
    let (secadm, _) = door.settle("secadm").await;
    let (auditor, _) = door.settle("audadm").await;
    let persons = door.get("/api/persons?limit=500", &sys).await.json();
    let of = |account: &str| {
        let mut all = persons["items"].as_array().unwrap().iter();
        all.find(|p| p["account"] == account).unwrap()["id"].as_str().unwrap().to_owned()
    };
    let person = of("audadm");
    // The system administrator makes a link; without the factor it opens nothing.
    let path = format!("/api/persons/{person}/link");
    is_problem(&door.post(&path, &secadm, json!({})).await, 403, "not-allowed");
    let link = text(&door.post(&path, &sys, json!({})).await, "link");
    let with_link = json!({"link": link, "password": OTHER});
    let taken = door.sign_in(with_link.clone()).await;
    is_problem(&taken, 401, "second-factor-missing");
    let taken = door.sign_in(json!({"account": "audadm", "password": OTHER})).await;
    is_problem(&taken, 401, "bad-credentials");
    assert_eq!(door.get("/api/reads", &auditor).await.status, 200, "nothing has changed");
    // The security administrator takes the factor away; that is another person.
    let clear = format!("/api/persons/{person}/clear-second-factor");
    is_problem(&door.post(&clear, &sys, json!({})).await, 403, "not-allowed");
    assert_eq!(door.post(&clear, &secadm, json!({})).await.status, 200);
    is_problem(&door.get("/api/reads", &auditor).await, 401, "not-signed-in");
    let own = format!("/api/persons/{}/clear-second-factor", of("secadm"));
    is_problem(&door.post(&own, &secadm, json!({})).await, 409, "same-person");
    // What was done stands in the log.
    let again = door.sign_in(with_link).await;
    assert_eq!(again.json()["second_factor"], "must-be-set");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_guesses_keeps_nobody_else_out() {
    let town = Town::real_city().await;
    let door = Door { town: &town, client: Client::default() };
    door.settle("sys").await;
    for account in ["sys", "nobody-at-all"] {
        let wrong = || json!({"account": account, "password": "不是这个口令不是这个口令"});
        for _ in 0..5 {
            is_problem(&door.sign_in(wrong()).await, 401, "bad-credentials");
        }
        is_problem(&door.sign_in(wrong()).await, 429, "locked");
    }
    // Another account from the same address is as open as before.
    let other = json!({"link": door.link("secadm"), "password": PASSWORD});
    assert_eq!(door.sign_in(other).await.status, 200);
    // No token of the key alone opens a real city: it belongs to a session.
    let office = kernel::OfficeId::parse(&town.id(CITY)).unwrap();
    let seed: [u8; 32] =
        std::fs::read(town.keys(CITY).join("jwt.key")).unwrap().try_into().unwrap();
    let tokens = access::Tokens::new(office, &seed, false).unwrap();
    let people = std::fs::read(town.keys(CITY).join("first-sign-in.json")).unwrap();
    let people: Vec<Value> = serde_json::from_slice(&people).unwrap();
    let person = people[0]["person"].as_str().unwrap();
    let bare = tokens.issue(person, 600).unwrap();
    is_problem(&door.get("/api/sessions", &bare).await, 401, "not-signed-in");
    let invented = tokens.issue_in(person, 600, Some("none".to_owned())).unwrap();
    is_problem(&door.get("/api/sessions", &invented).await, 401, "not-signed-in");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_signs_and_the_tokens_of_the_one_before_end_with_their_time() {
    let mut town = Town::real_city().await;
    let (old, new, after);
    {
        let door = Door { town: &town, client: Client::default() };
        let (sys, secret) = door.settle("sys").await;
        old = sys;
        let keys = async || door.get("/api/jwks.json", "").await.json()["keys"].clone();
        let before = keys().await;
        assert_eq!(before.as_array().unwrap().len(), 1);
        let turned = door.post("/api/token-keys", &old, json!({})).await;
        assert!(matches!(turned.status, 200 | 201), "{}", turned.json());
        let now = keys().await;
        assert_eq!(now.as_array().unwrap().len(), 2);
        assert_eq!((&now[0]["kid"], &now[1]), (&turned.json()["kid"], &before[0]));
        assert_eq!(door.get("/api/persons", &old).await.status, 200);
        let with = json!({"account": "sys", "password": PASSWORD, "code": code(&secret, 1)});
        new = text(&door.sign_in(with).await, "token");
        after = now;
    }
    town.stop_office(CITY).await;
    town.start_office(CITY).await;
    let door = Door { town: &town, client: Client::default() };
    assert_eq!(door.get("/api/jwks.json", "").await.json()["keys"], after);
    for token in [&old, &new] {
        assert_eq!(door.get("/api/persons", token).await.status, 200);
    }
}

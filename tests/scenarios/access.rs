//! Every route has its row, and every refusal its form.

use hyper::Method;
use serde_json::{Value, json};
use tests::town::{CITY, DISTRICT, TOWN, Town};
use web::client::{Client, Reply};

fn token(town: &Town, code: &str, role: &str) -> String {
    let id = kernel::OfficeId::parse(&town.id(code)).unwrap();
    deploy::token::make(&town.keys(code), &id, role).unwrap()
}

async fn send(
    town: &Town,
    code: &str,
    method: Method,
    path: &str,
    token: Option<&str>,
    more: &[(&str, &str)],
    body: &str,
) -> Reply {
    let bearer = token.map(|token| format!("Bearer {token}"));
    let mut headers: Vec<(&str, &str)> = more.to_vec();
    if let Some(bearer) = &bearer {
        headers.push(("authorization", bearer));
    }
    let url = format!("{}{path}", town.url(code));
    Client::default().send(method, &url, &headers, body.as_bytes().to_vec()).await.unwrap()
}

#[track_caller]
fn is_problem(reply: &Reply, status: u16, code: &str) {
    let body = reply.json();

    assert_eq!((reply.status, body["code"].as_str()), (status, Some(code)), "{body}");
    assert_eq!(body["type"], format!("/problems/{code}"));
    assert_eq!(body["status"], status);
    for field in ["title", "title_en", "detail", "instance"] {
        assert!(!body[field].as_str().unwrap_or_default().is_empty(), "{field}: {body}");
    }
    assert!(!body["title"].as_str().unwrap().is_ascii(), "{body}");
}

struct Row {
    method: Method,
    path: String,
    who: Value,
    if_match: bool,
}

impl Row {
    /// A path that names nothing that exists.
    fn nowhere(&self) -> String {
        let part =
            |part: &str| if part.starts_with('{') { "x".to_owned() } else { part.to_owned() };
        self.path.split('/').map(part).collect::<Vec<_>>().join("/")
    }
}

/// What makes something new, or commutes with whatever happened meanwhile.
const WITHOUT_IF_MATCH: &[&str] = &[
    "/api/annual-plans",
    "/api/clues",
    "/api/demo/clock",
    "/api/deadline-policies/{key}/decisions",
    "/api/divisions/import",
    "/api/enrolment-tokens",
    "/api/enrolments",
    "/api/escrow",
    // Names the very share.
    "/api/escrow/share",
    "/api/envelopes",
    "/api/filing-reviews",
    "/api/filings",
    "/api/findings",
    // Names the stream and gives what of it was not given yet.
    "/api/history-shares",
    // A certificate stands for one person for ever.
    "/api/persons/{id}/certificates",
    // These name the very key.
    "/api/identities",
    "/api/key-changes",
    "/api/offices/{id}/consent",
    "/api/offices/{id}/key",
    // Names the place; while another move is under way it is refused.
    "/api/offices/{id}/move",
    "/api/offices/{id}/renewal-tokens",
    // Names the organ and its home.
    "/api/organ-homes",
    "/api/organizations",
    "/api/papers",
    "/api/persons",
    "/api/recusals",
    "/api/rounds",
    "/api/persons/{id}/end-sessions",
    "/api/password",
    "/api/second-factor",
    "/api/sessions/{id}/end",
    "/api/sign-in",
    "/api/signing-key",
    // Names the very key.
    "/api/signing-keys/{person}/certify",
    "/api/sign-out",
    "/api/target-lists",
    // Names the key itself.
    "/api/token-keys",
    // Names the head.
    "/log/{epoch}/cosignature",
    "/api/views/refold",
];

/// Roles whose posts are never the whole office, so that no first account holds them.
const NOBODY_HOLDS: &[&str] = &["BR", "NDI_REG", "NDI_OFF", "NRD"];

#[tokio::test(flavor = "multi_thread")]
async fn whatever_changes_what_is_there_names_the_version_it_read() {
    let town = Town::start().await;
    let mut held = 0;
    for code in [CITY, DISTRICT, TOWN] {
        for row in rows(&town, code).await {
            if row.method != Method::POST {
                continue;
            }
            let (path, excused) = (row.nowhere(), WITHOUT_IF_MATCH.contains(&row.path.as_str()));
            assert_ne!(row.if_match, excused, "{code} {path}");
            // A desk may be mounted where nobody holds its role: the guard says 403 there.
            let mut roles = row.who.as_array().into_iter().flatten().filter_map(Value::as_str);
            let at = |role: &&str| (code == TOWN) == matches!(*role, "COM" | "DISC");
            let role = roles.find(|role| at(role) && !NOBODY_HOLDS.contains(role));
            let (true, Some(role)) = (row.if_match, role) else { continue };
            let (who, key) = (token(&town, code, role), [("idempotency-key", "k")]);
            let reply = send(&town, code, row.method.clone(), &path, Some(&who), &key, "{}").await;
            is_problem(&reply, 428, "if-match-required");
            held += 1;
        }
    }
    assert!(held > 40, "{held} routes");
}

/// The rows of the table, as the office's own document shows them.
async fn rows(town: &Town, code: &str) -> Vec<Row> {
    let document = send(town, code, Method::GET, "/api/openapi.json", None, &[], "").await.json();
    assert_eq!(document["openapi"], "3.1.0");
    let asked = document["paths"]["/api/divisions"]["get"]["parameters"].as_array().unwrap();
    let asked: Vec<&Value> = asked.iter().map(|parameter| &parameter["name"]).collect();
    for name in ["after", "limit", "as_of", "code", "parent", "tier"] {
        assert!(asked.contains(&&json!(name)), "{name} of {asked:?}");
    }
    let mut rows = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let headers = operation["parameters"].as_array().unwrap();
            let if_match = headers.iter().any(|p| p["name"] == "If-Match" && p["required"] == true);
            let who = operation["x-who"].clone();
            rows.push(Row { method, path: path.clone(), who, if_match });
        }
    }
    rows
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_asks_who_it_is_and_every_role_is_held_to_its_rows() {
    let town = Town::start().await;
    for code in [CITY, DISTRICT, TOWN] {
        let rows = rows(&town, code).await;
        assert!(rows.len() > 25, "{code}: {} routes", rows.len());
        let auditor = token(&town, code, "AUDADM");
        let foreign = token(&town, if code == CITY { TOWN } else { CITY }, "SYS");
        for row in rows {
            let (path, method, who) = (row.nowhere(), row.method, row.who);
            if who == "public" || path == "/api/feed" {
                continue;
            }
            if method == Method::HEAD {
                // Its refusals have no body to look at.
                for who in [None, Some(foreign.as_str())] {
                    let reply = send(&town, code, method.clone(), &path, who, &[], "").await;
                    assert_eq!(reply.status, 401, "{path}");
                }
                continue;
            }
            let bare = send(&town, code, method.clone(), &path, None, &[], "{}").await;
            is_problem(&bare, 401, "not-signed-in");
            let other = send(&town, code, method.clone(), &path, Some(&foreign), &[], "{}").await;
            is_problem(&other, 401, "not-signed-in");
            let roles: Vec<&str> =
                who.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            let reply = send(&town, code, method.clone(), &path, Some(&auditor), &[], "{}").await;
            if who != "signed-in" && who != "oneself" && !roles.contains(&"AUDADM") {
                is_problem(&reply, 403, "not-allowed");
            } else {
                assert!(!matches!(reply.status, 401 | 403), "{method} {path}: {}", reply.json());
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_is_refused_with_its_reason() {
    let town = Town::start().await;
    let plan = token(&town, DISTRICT, "PLAN");
    let key = [("idempotency-key", "k1")];
    let body =
        r#"{"number":"R9","name":"轮次","kind":"regular","organisation":"own","reach":"direct"}"#;
    let post = async |more: &[(&str, &str)], body: &str| {
        send(&town, DISTRICT, Method::POST, "/api/rounds", Some(&plan), more, body).await
    };
    is_problem(&post(&[], body).await, 400, "idempotency-key-required");
    is_problem(&post(&key, "{").await, 400, "bad-request");
    is_problem(&post(&key, r#"{"number":1}"#).await, 422, "bad-field");
    is_problem(&post(&key, &body.replace("regular", "secret")).await, 422, "bad-field");
    is_problem(&post(&key, &body.replace("轮次", " ")).await, 422, "empty-text");
    is_problem(&post(&key, &body.replace("own", "linked")).await, 422, "link-missing");
    let first = post(&key, body).await;
    assert_eq!(first.status, 201, "{}", first.json());
    let again = post(&key, body).await;
    assert_eq!((again.status, &again.body, &again.etag), (201, &first.body, &first.etag));
    is_problem(&post(&key, &body.replace("R9", "R8")).await, 422, "idempotency-key-reused");
    let twice = post(&[("idempotency-key", "k2")], &body.replace("轮次", "别名")).await;
    is_problem(&twice, 409, "round-exists");

    let id = first.json()["id"].as_str().unwrap().to_owned();
    let path = format!("/api/rounds/{id}/authorise");
    let sec = token(&town, DISTRICT, "SEC");
    let authorise = async |more: &[(&str, &str)]| {
        send(&town, DISTRICT, Method::POST, &path, Some(&sec), more, "").await
    };
    is_problem(&authorise(&[("idempotency-key", "k3")]).await, 428, "if-match-required");
    is_problem(
        &authorise(&[("idempotency-key", "k4"), ("if-match", "\"7\"")]).await,
        412,
        "stale-version",
    );
    is_problem(
        &authorise(&[("idempotency-key", "k5"), ("if-match", "\"1\"")]).await,
        409,
        "no-tasks",
    );

    let lost = send(&town, DISTRICT, Method::GET, "/nowhere", None, &[], "").await;
    is_problem(&lost, 404, "not-found");
    let method = send(&town, DISTRICT, Method::DELETE, "/api/rounds", Some(&plan), &[], "").await;
    is_problem(&method, 405, "method-not-allowed");
    let absent = send(&town, DISTRICT, Method::GET, "/api/rounds/none", Some(&plan), &[], "").await;
    is_problem(&absent, 404, "round-absent");
    let query =
        send(&town, DISTRICT, Method::GET, "/api/events?limit=x", Some(&plan), &[], "").await;
    is_problem(&query, 400, "bad-request");
    let cursor =
        send(&town, DISTRICT, Method::GET, "/api/rounds?after=%21", Some(&plan), &[], "").await;
    is_problem(&cursor, 422, "bad-field");
    for code in kernel::Code::ALL {
        let path = format!("/problems/{}", code.slug());
        let page = send(&town, DISTRICT, Method::GET, &path, None, &[], "").await;
        let text = String::from_utf8(page.body.to_vec()).unwrap().replace("&#39;", "'");
        assert!(
            page.status == 200 && text.contains(code.row().2[0]) && text.contains(code.row().3[1])
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_signs_in_by_link_once_and_by_password_ever_after() {
    let town = Town::start().await;
    let sys = token(&town, DISTRICT, "SYS");
    let new = r#"{"account":"wang","display":"报备岗乙"}"#;
    let key = [("idempotency-key", "p1")];
    let made = send(&town, DISTRICT, Method::POST, "/api/persons", Some(&sys), &key, new).await;
    assert_eq!(made.status, 201, "{}", made.json());
    let again = send(&town, DISTRICT, Method::POST, "/api/persons", Some(&sys), &key, new).await;
    assert_eq!(again.body, made.body);
    let link = made.json()["link"].as_str().unwrap().to_owned();
    let sign_in = async |body: Value| {
        send(&town, DISTRICT, Method::POST, "/api/sign-in", None, &[], &body.to_string()).await
    };
    is_problem(&sign_in(json!({"link": link, "password": "short"})).await, 422, "weak-password");
    let good = json!({"link": link, "password": "南山的雪落在第一盏灯上"});
    is_problem(
        &sign_in(json!({"link": "x.y", "password": "南山的雪落在第一盏灯上啊"})).await,
        410,
        "link-spent",
    );
    let signed = sign_in(json!({"link": link, "password": "南山的雪落在第一盏灯上啊"})).await;
    assert_eq!(signed.status, 200, "{}", signed.json());
    is_problem(&sign_in(good).await, 410, "link-spent");
    is_problem(
        &sign_in(json!({"link": link, "password": "南山的雪落在第一盏灯上啊"})).await,
        410,
        "link-spent",
    );
    is_problem(
        &sign_in(json!({"account": "wang", "password": "wrong"})).await,
        401,
        "bad-credentials",
    );
    is_problem(
        &sign_in(json!({"account": "nobody", "password": "wrong"})).await,
        401,
        "bad-credentials",
    );
    let by_password =
        sign_in(json!({"account": "wang", "password": "南山的雪落在第一盏灯上啊"})).await;
    let token_of = by_password.json()["token"].as_str().unwrap().to_owned();
    // No post yet: signed in, and allowed nothing.
    let none = send(&town, DISTRICT, Method::GET, "/api/me", Some(&token_of), &[], "").await;
    is_problem(&none, 403, "not-allowed");
    let id = made.json()["id"].as_str().unwrap().to_owned();
    let path = format!("/api/persons/{id}/authorisations");
    let post = r#"{"role":"D_FILE","from":"2024-01-01"}"#;
    let by_sys =
        send(&town, DISTRICT, Method::POST, &path, Some(&sys), &[("idempotency-key", "a1")], post)
            .await;
    is_problem(&by_sys, 403, "not-allowed");
    let secadm = token(&town, DISTRICT, "SECADM");
    let by_secadm = async |headers: &[(&str, &str)]| {
        send(&town, DISTRICT, Method::POST, &path, Some(&secadm), headers, post).await
    };
    is_problem(&by_secadm(&[("idempotency-key", "a2")]).await, 428, "if-match-required");
    let stale = by_secadm(&[("idempotency-key", "a3"), ("if-match", "\"1\"")]).await;
    is_problem(&stale, 412, "stale-version");
    let person = format!("/api/persons/{id}");
    let read = send(&town, DISTRICT, Method::GET, &person, Some(&secadm), &[], "").await;
    let tag = format!("\"{}\"", read.etag);
    let given = by_secadm(&[("idempotency-key", "a1"), ("if-match", &tag)]).await;
    assert_eq!(given.status, 200, "{}", given.json());
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    let me = send(&town, DISTRICT, Method::GET, "/api/me", Some(&token_of), &[], "").await;
    assert_eq!(me.json()["roles"], json!(["D_FILE"]));
    for _ in 0..5 {
        sign_in(json!({"account": "wang", "password": "wrong"})).await;
    }
    is_problem(
        &sign_in(json!({"account": "wang", "password": "南山的雪落在第一盏灯上啊"})).await,
        429,
        "locked",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_security_administrator_stays_and_nobody_authorises_himself() {
    let town = Town::start().await;
    let secadm = token(&town, DISTRICT, "SECADM");
    let get = async |path: &str| {
        send(&town, DISTRICT, Method::GET, path, Some(&secadm), &[], "").await.json()
    };
    let persons = get("/api/persons?limit=500").await;
    let of = |account: &str| {
        let mut all = persons["items"].as_array().unwrap().iter();
        all.find(|person| person["account"] == account).unwrap().clone()
    };
    let (me, sys) = (of("secadm"), token(&town, DISTRICT, "SYS"));
    let hire = async |account: &str| {
        let (headers, new) =
            ([("idempotency-key", account)], json!({"account": account, "display": "新人"}));
        let body = new.to_string();
        let made =
            send(&town, DISTRICT, Method::POST, "/api/persons", Some(&sys), &headers, &body).await;
        made.json()
    };
    let (other, third) = (hire("other").await, hire("third").await);
    let id = |person: &Value| person["id"].as_str().unwrap().to_owned();
    let post = async |key: &str, path: &str, body: Value| {
        let headers = [("idempotency-key", key), ("if-match", "*")];
        let body = body.to_string();
        send(&town, DISTRICT, Method::POST, path, Some(&secadm), &headers, &body).await
    };
    let (mine, others) = (
        format!("/api/persons/{}/authorisations", id(&me)),
        format!("/api/persons/{}/authorisations", id(&other)),
    );
    let (held, row) = me["authorisations"].as_object().unwrap().iter().next().unwrap();
    let from = row["from"].as_str().unwrap();
    let own = post("s1", &mine, json!({"role": "D_PLAN", "from": from})).await;
    is_problem(&own, 409, "same-person");
    let today = from.to_owned();
    let end = format!("{mine}/{held}/end");
    is_problem(&post("s2", &end, json!({"to": today})).await, 409, "last-administrator");
    let later = json!({"role": "D_SECADM", "from": "2190-01-01"});
    assert_eq!(post("s3", &others, later).await.status, 200);
    let limited = json!({"role": "D_SECADM", "from": today, "to": "2180-01-01"});
    assert_eq!(post("s4", &others, limited).await.status, 200);
    is_problem(&post("s5", &end, json!({"to": today})).await, 409, "last-administrator");
    let again = json!({"role": "D_SECADM", "from": today, "to": "2181-01-01"});
    is_problem(&post("s6", &others, again).await, 409, "authorisation-exists");
    let third = format!("/api/persons/{}/authorisations", id(&third));
    let lasting = json!({"role": "D_SECADM", "from": today});
    assert_eq!(post("s7", &third, lasting).await.status, 200);
    assert_eq!(post("s8", &end, json!({"to": today})).await.status, 200);
}

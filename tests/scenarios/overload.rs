//! More than an office can take: refused at once, and nothing that was promised is lost.

use std::{collections::BTreeSet, time::Duration};

use event_store::{Engine, db::Conn};
use hyper::Method;
use serde_json::{Value, json};
use tests::town::{TOWN, Town};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};
use web::client::Client;

fn token(town: &Town, role: &str) -> String {
    let id = kernel::OfficeId::parse(&town.id(TOWN)).unwrap();
    format!("Bearer {}", deploy::token::make(&town.keys(TOWN), &id, role).unwrap())
}

/// Caller and office share this process, and a machine may allow few open files.
fn allow_files() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut files = getrlimit(Resource::Nofile);
    files.current = files.maximum;
    setrlimit(Resource::Nofile, files).unwrap();
}

/// The first bytes of an answer to a request, if one comes soon, and its connection.
async fn ask(town: &Town, request: String) -> (TcpStream, String) {
    let address = town.url(TOWN).replace("http://", "");
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = [0; 2048];
    let read = tokio::time::timeout(Duration::from_secs(2), stream.read(&mut head)).await;
    let read = read.map_or(0, Result::unwrap);
    (stream, String::from_utf8_lossy(&head[..read]).into_owned())
}

const CALLERS: usize = 1600;

#[tokio::test(flavor = "multi_thread")]
async fn beyond_the_queue_commands_are_refused_and_what_was_acknowledged_is_there() {
    allow_files();
    let town = Town::start().await;
    let (token, client) = (token(&town, "COM"), Client::default());
    // The writer waits at the door of its store as long as somebody else holds it.
    let mut other = Conn::open_reader_writable(&Engine::Sqlite(town.data(TOWN))).await.unwrap();
    other.begin().await.unwrap();
    let mut callers = JoinSet::new();
    for n in 0..CALLERS {
        let (client, token) = (client.clone(), token.clone());
        let url = format!("{}/api/filings", town.url(TOWN));
        callers.spawn(async move {
            let body = json!({"set": "staff", "period": format!("p{n}"), "due": "2024-06-30"});
            let (body, key) = (body.to_string().into_bytes(), format!("k{n}"));
            let headers = [("authorization", token.as_str()), ("idempotency-key", key.as_str())];
            let mut refused = 0;
            loop {
                let reply = client.send(Method::POST, &url, &headers, body.clone()).await.unwrap();
                if reply.status == 201 {
                    return refused;
                }
                assert_eq!((reply.status, &reply.json()["code"]), (503, &json!("busy")));
                refused += 1;
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        });
    }
    let path = "/api/operations";
    town.until("the queue is full", || async {
        let seen = town.api(TOWN).get("SYS", path).await.unwrap();
        seen["queue"]["waiting"] == seen["queue"]["capacity"]
    })
    .await;
    let request = format!(
        "POST /api/filings HTTP/1.1\r\nhost: x\r\nauthorization: {token}\r\nidempotency-key: z\r\n\
         content-length: 2\r\n\r\n{{}}"
    );
    let (_, head) = ask(&town, request).await;
    assert!(head.starts_with("HTTP/1.1 503 ") && head.contains("retry-after: "), "{head}");
    other.rollback().await;
    other.close().await;
    let mut refused = 0;
    while let Some(times) = callers.join_next().await {
        refused += times.unwrap();
    }
    assert!(refused > 0, "nobody was refused");
    let entries = town.entries(TOWN).await;
    let mut seen = BTreeSet::new();
    let mut count = 0;
    for item in entries.iter().filter(|item| item["type"] == "cn.liandong.filing.expected.v1") {
        let bytes = deploy::api::from_base64(item["entry"].as_str().unwrap());
        let (fact, _) = kernel::Fact::of_entry(&bytes).unwrap();
        let data: Value = fact.read().unwrap();
        if fact.version.is_some() && data.to_string().contains("\"p") {
            count += 1;
            seen.insert(fact.stream.clone());
        }
    }
    assert_eq!((count, seen.len()), (CALLERS, CALLERS), "each once");
    let after = town.api(TOWN).get("SYS", path).await.unwrap();
    assert_eq!((&after["queue"]["waiting"], &after["status"]), (&json!(0), &json!("ready")));
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_feeds_and_papers_have_their_own_room() {
    allow_files();
    let town = Town::start().await;
    let address = town.url(TOWN);
    let mut strangers = JoinSet::new();
    for n in 0..60 {
        let url = format!("{address}/api/sign-in");
        strangers.spawn(async move {
            let body =
                json!({"account": format!("com-{n}"), "password": "not this one"}).to_string();
            let reply = Client::default().send(Method::POST, &url, &[], body.into()).await.unwrap();
            reply.status
        });
    }
    let answers = strangers.join_all().await;
    let count = |status: u16| answers.iter().filter(|answer| **answer == status).count();
    assert!(count(503) > 0, "{answers:?}");
    assert_eq!(count(401) + count(429) + count(503), 60, "{answers:?}");
    // Whoever is signed in is not kept out by strangers.
    town.api(TOWN).get("COM", "/api/filings").await.unwrap();

    let com = token(&town, "COM");
    let feed = format!("GET /api/feed HTTP/1.1\r\nhost: x\r\nauthorization: {com}\r\n\r\n");
    let mut feeds = Vec::new();
    for n in 0..256 {
        let (stream, head) = ask(&town, feed.clone()).await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{n}: {head}");
        feeds.push(stream);
    }
    let (_, head) = ask(&town, feed.clone()).await;
    assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
    drop(feeds);
    town.until("a feed has room again", || async {
        ask(&town, feed.clone()).await.1.starts_with("HTTP/1.1 200 ")
    })
    .await;

    // Refused by what it says of itself, before a byte of it is read.
    let long = |path: &str, size: usize| {
        format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: {com}\r\ncontent-length: {size}\r\n\r\n"
        )
    };
    let (_, head) = ask(&town, long("/api/papers", 21 << 20)).await;
    assert!(head.starts_with("HTTP/1.1 413 "), "{head}");
    let (_, head) = ask(&town, long("/api/filings", 3 << 20)).await;
    assert!(head.starts_with("HTTP/1.1 413 "), "{head}");
    let mut slow = Vec::new();
    for _ in 0..16 {
        let mut stream = TcpStream::connect(address.replace("http://", "")).await.unwrap();
        stream.write_all(long("/api/papers", 20 << 20).as_bytes()).await.unwrap();
        slow.push(stream);
    }
    // One that gets no answer has a place; whichever came last is refused.
    let mut refused = false;
    for _ in 0..4 {
        let (stream, head) = ask(&town, long("/api/papers", 20 << 20)).await;
        slow.push(stream);
        refused |= head.starts_with("HTTP/1.1 503 ");
    }
    assert!(refused, "sixteen slow uploads are all that one person may have");
    // They hold up nobody who does anything else.
    let body = json!({"set": "staff", "period": "slow", "due": "2024-06-30"});
    town.api(TOWN).post("COM", "/api/filings", "slow", None, &body).await.unwrap();
    drop(slow);
    town.until("there is room again", || async {
        town.api(TOWN).upload("COM", b"paper".to_vec()).await.is_ok()
    })
    .await;
}

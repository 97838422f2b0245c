//! What the operator sees: truth in health, what waits and why, and never content.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use deploy::api::from_base64;
use event_store::{Engine, db::Conn};
use hyper::Method;
use serde_json::{Value, json};
use tests::town::{CITY, DISTRICT, TOWN, Town};
use web::client::{Client, Reply};

async fn get(town: &Town, code: &str, role: &str, path: &str) -> Reply {
    let id = kernel::OfficeId::parse(&town.id(code)).unwrap();
    let token = format!("Bearer {}", deploy::token::make(&town.keys(code), &id, role).unwrap());
    let url = format!("{}{path}", town.url(code));
    Client::default().send(Method::GET, &url, &[("authorization", &token)], vec![]).await.unwrap()
}

async fn ready(town: &Town, code: &str) -> (u16, Value) {
    let url = format!("{}/health/ready", town.url(code));
    let reply = Client::default().send(Method::GET, &url, &[], vec![]).await.unwrap();
    (reply.status, reply.json())
}

/// One filing at the township; the status and code of the answer.
async fn file(town: &Town, period: &str) -> (u16, String) {
    let id = kernel::OfficeId::parse(&town.id(TOWN)).unwrap();
    let token = format!("Bearer {}", deploy::token::make(&town.keys(TOWN), &id, "COM").unwrap());
    let headers = [("authorization", token.as_str()), ("idempotency-key", period)];
    let body = json!({"set": "staff", "period": period, "due": "2024-06-30"}).to_string();
    let url = format!("{}/api/filings", town.url(TOWN));
    let reply = Client::default().send(Method::POST, &url, &headers, body.into()).await.unwrap();
    (reply.status, reply.json()["code"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_sees_what_waits_and_why_and_no_content() {
    let mut town = Town::start().await;
    assert_eq!(file(&town, "secret-period").await.0, 201);
    town.until("the hub holds the filing", || async { ready(&town, TOWN).await.1["unsent"] == 0 })
        .await;
    // An entry that waits for a gap, and one that was not allowed, as intake leaves them.
    let entries = town.entries(TOWN).await;
    let filing = entries.iter().find(|e| e["type"].as_str().unwrap().contains("filing")).unwrap();
    let bytes = from_base64(filing["entry"].as_str().unwrap());
    town.stop_office(DISTRICT).await;
    let mut store = Conn::open_reader_writable(&Engine::Sqlite(town.data(DISTRICT))).await.unwrap();
    let held = "INSERT INTO held (origin, epoch, sequence, hash, lane, counter, reason, since, \
                entry) VALUES ($1, 1, 900, $2, 'ev.x.y', 900, 'gap', 1700000000000, $3)";
    let args = vec![town.id(TOWN).into(), [7u8; 32].as_slice().into(), bytes.as_slice().into()];
    store.exec(held, args).await.unwrap();
    let evidence = "INSERT INTO evidence (hash, code, seen, entry) \
                    VALUES ($1, 'not-for-us', 1700000000000, $2)";
    let args = vec![[7u8; 32].as_slice().into(), bytes.as_slice().into()];
    store.exec(evidence, args).await.unwrap();
    store.close().await;
    town.start_office(DISTRICT).await;
    town.links[TOWN].cut();
    assert_eq!(file(&town, "second-period").await.0, 201);

    let district = get(&town, DISTRICT, "SYS", "/api/operations").await.json();
    assert_eq!(district["held"]["count"], 1, "{district}");
    assert_eq!(district["held"]["reasons"]["gap"]["count"], 1);
    let item = &district["held"]["items"][0];
    assert_eq!((&item["origin"], &item["sequence"]), (&json!(town.id(TOWN)), &json!(900)));
    assert_eq!(item["since"], "2023-11-14T22:13:20.000Z");
    let item = &district["evidence"]["items"][0];
    assert_eq!((&item["reason"], &item["sequence"]), (&json!("not-for-us"), &filing["sequence"]));
    assert_eq!((&district["status"], &district["records"]), (&json!("ready"), &json!(true)));
    assert_eq!((&district["queue"]["capacity"], &district["epoch"]), (&json!(1024), &json!(1)));
    assert!(district["disk"]["free_bytes"].as_u64().unwrap() > 0);
    town.until("the township knows that its parent has not got it", || async {
        let seen = get(&town, TOWN, "AUDADM", "/api/operations").await.json();
        let waiting = seen["not_received"].as_array().unwrap();
        seen["relay"]["link"] == "down"
            && seen["relay"]["unsent"].as_u64() > Some(0)
            && waiting.iter().any(|row| row["office"] == town.id(DISTRICT))
    })
    .await;
    for (code, role) in [(DISTRICT, "SYS"), (TOWN, "AUDADM"), (CITY, "SYS")] {
        let seen = get(&town, code, role, "/api/operations").await;
        let text = String::from_utf8(seen.body.to_vec()).unwrap();
        for word in ["secret-period", "entry\"", "漫川关", "account", "display"] {
            assert!(seen.status == 200 && !text.contains(word), "{code}: {word}: {text}");
        }
    }
    for path in ["/api/operations", "/metrics"] {
        assert_eq!(get(&town, DISTRICT, "PLAN", path).await.status, 403, "{path}");
    }

    let page = get(&town, TOWN, "SYS", "/metrics").await;
    let page = String::from_utf8(page.body.to_vec()).unwrap();
    let value = |name: &str, labels: &[&str]| {
        let mut lines = page.lines().filter(|line| line.starts_with(&format!("{name}{{")));
        let line = lines.rfind(|line| labels.iter().all(|label| line.contains(label)));
        line.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
    };
    assert_eq!(value("liandong_commands_total", &["by=\"person\"", "code=\"done\""]), Some(2.0));
    assert!(value("liandong_state", &["what=\"unsent\""]) > Some(0.0), "{page}");
    assert_eq!(value("liandong_state", &["what=\"records\""]), Some(1.0));
    let filings = &["route=\"/api/filings\"", "method=\"POST\"", "status=\"201\""];
    assert_eq!(value("liandong_http_request_seconds_count", filings), Some(2.0));
    for name in ["liandong_batch_commands_count", "liandong_reader_wait_seconds_count"] {
        assert!(value(name, &[&town.id(TOWN)]) > Some(0.0), "{name}");
    }
    assert!(value("liandong_process_resident_bytes", &[]) > Some(1e6));
    assert!(page.ends_with("# EOF\n") && !page.contains("secret"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_fails_says_so_and_comes_back_without_a_restart() {
    let town = Town::start().await;
    let (code, body) = ready(&town, TOWN).await;
    assert_eq!((code, &body["status"], &body["records"]), (200, &json!("ready"), &json!(true)));
    // Another process raised the fence, and the file cannot be opened again.
    let (file_at, aside) = (town.data(TOWN).join("office.db"), town.data(TOWN).join("aside"));
    let mut store = Conn::open_reader_writable(&Engine::Sqlite(town.data(TOWN))).await.unwrap();
    store.exec("UPDATE writer SET fence = fence + 1", vec![]).await.unwrap();
    store.close().await;
    std::fs::rename(&file_at, &aside).unwrap();
    std::fs::create_dir(&file_at).unwrap();
    let (status, why) = file(&town, "first").await;
    assert_eq!((status, why.as_str()), (503, "office-stopped"));
    let (code, body) = ready(&town, TOWN).await;
    assert_eq!((code, &body["status"]), (503, &json!("office-stopped")), "{body}");
    assert_eq!((&body["records"], &body["reads"]), (&json!(false), &json!(false)));
    std::fs::remove_dir(&file_at).unwrap();
    std::fs::rename(&aside, &file_at).unwrap();
    town.until("the office is ready again", || async { ready(&town, TOWN).await.0 == 200 }).await;
    assert_eq!(file(&town, "second").await.0, 201);
}

/// A small disk of its own, if this machine lets us have one.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn at(folder: &Path) -> Option<Self> {
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=24m", "tmpfs"])
            .arg(folder)
            .status();
        mounted.is_ok_and(|status| status.success()).then(|| Self(folder.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_takes_no_commands_answers_questions_and_recovers_by_itself() {
    let mut town = Town::start().await;
    town.stop_office(TOWN).await;
    let (data, aside) = (town.data(TOWN), town.folder.join("aside"));
    std::fs::rename(&data, &aside).unwrap();
    std::fs::create_dir(&data).unwrap();
    let Some(_disk) = SmallDisk::at(&data) else {
        eprintln!("not run: this machine lets nobody mount a tmpfs");
        return;
    };
    for name in ["office.db", "office.db-wal", "office.db-shm"] {
        if aside.join(name).exists() {
            std::fs::copy(aside.join(name), data.join(name)).unwrap();
        }
    }
    town.start_office(TOWN).await;
    assert_eq!(file(&town, "before").await.0, 201);
    // Notes of others would be commits too.
    town.links[TOWN].cut();
    let filler = data.join("filler");
    // The kernel stops at the last free byte.
    let _ = std::fs::write(&filler, vec![1u8; 24 << 20]);
    let mut full = (0, String::new());
    for n in 0..200 {
        full = file(&town, &format!("while-full-{n}")).await;
        if full.0 != 201 {
            break;
        }
    }
    assert_eq!((full.0, full.1.as_str()), (507, "disk-full"));
    let (code, body) = ready(&town, TOWN).await;
    assert_eq!((code, &body["status"]), (200, &json!("disk-full")), "{body}");
    assert_eq!((&body["records"], &body["reads"]), (&json!(false), &json!(true)));
    assert_eq!(get(&town, TOWN, "COM", "/api/filings").await.status, 200);
    std::fs::remove_file(&filler).unwrap();
    // Nobody sends a command: the question alone finds out.
    let mut status = Value::Null;
    for _ in 0..50 {
        status = ready(&town, TOWN).await.1["status"].clone();
        if status == "ready" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(status, "ready");
    assert_eq!(file(&town, "after").await.0, 201);
    town.stop_office(TOWN).await;
}

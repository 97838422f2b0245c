//! A backup made while commands run, the store lost, the backup put back.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use event_store::{Engine, db::Conn};
use serde_json::{Value, json};
use tests::town::{TOWN, Town};

fn program(name: &str) -> PathBuf {
    let folder = std::env::var("LIANDONG_BIN").expect("LIANDONG_BIN is not set: run ./deploy/test");
    Path::new(&folder).join(name)
}

/// Runs the township's program as its operator would.
fn township(config: &Path, arguments: &[&str]) -> Output {
    Command::new(program("township")).arg("--config").arg(config).args(arguments).output().unwrap()
}

#[track_caller]
fn done(output: &Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[track_caller]
fn refused(output: &Output, why: &str) {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{errors}");
    assert!(errors.contains(why), "{errors}");
}

fn configuration(town: &Town, postgres: Option<&str>) -> PathBuf {
    let path = town.folder.join("township.json");
    let config = json!([{"listen": "127.0.0.1:0", "data": town.data(TOWN), "city": "http://x",
        "keys": town.keys(TOWN), "postgres": postgres}]);
    fs::write(&path, config.to_string()).unwrap();
    path
}

fn manifest(folder: &Path) -> Value {
    serde_json::from_slice(&fs::read(folder.join("backup.json")).unwrap()).unwrap()
}

async fn file(town: &Town, period: &str) -> Result<(), String> {
    let body = json!({"set": "staff", "period": period, "due": "2024-06-30"});
    town.api(TOWN).post("COM", "/api/filings", period, None, &body).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_store_comes_back_from_a_backup_and_knows_that_it_is_behind() {
    let mut town = Town::start().await;
    let config = configuration(&town, None);
    let paper = town.api(TOWN).upload("COM", "材料".as_bytes().to_vec()).await.unwrap();
    file(&town, "before").await.unwrap();

    // Commands run all the while.
    let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let clerk = {
        let (api, stop, sent) = (town.api(TOWN), stop.clone(), sent.clone());
        tokio::spawn(async move {
            while !stop.load(Ordering::SeqCst) {
                let n = sent.fetch_add(1, Ordering::SeqCst);
                let body = json!({"set": "staff", "period": format!("n{n}"), "due": "2024-06-30"});
                let key = format!("n{n}");
                api.post("COM", "/api/filings", &key, None, &body).await.unwrap();
            }
        })
    };
    town.until("the clerk works", || async { sent.load(Ordering::SeqCst) > 5 }).await;
    let (into, to) = (town.folder.join("backup"), town.folder.join("backup-keys"));
    let running = (config.clone(), into.display().to_string());
    let said = tokio::task::spawn_blocking(move || township(&running.0, &["backup", &running.1]));
    done(&said.await.unwrap());
    let at_backup = sent.load(Ordering::SeqCst);
    town.until("the clerk goes on", || async { sent.load(Ordering::SeqCst) > at_backup + 5 }).await;
    stop.store(true, Ordering::SeqCst);
    clerk.await.unwrap();
    done(&township(&config, &["backup-keys", &to.display().to_string()]));
    refused(&township(&config, &["backup", &into.display().to_string()]), "overwrites nothing");
    let folder = into.join(town.id(TOWN));
    let made = manifest(&folder);
    let path = format!("papers/{}/{paper}", &paper[..2]);
    assert!(made["files"].as_array().unwrap().iter().any(|file| file["path"] == path), "{made}");
    assert!(made["head"].as_u64() > Some(5), "{made}");
    let keys = manifest(&to.join(town.id(TOWN)));
    let names: Vec<_> =
        keys["files"].as_array().unwrap().iter().map(|file| &file["path"]).collect();
    assert!(names.contains(&&json!("event.key")) && !names.contains(&&json!("sent-up-to")));

    town.until("the hub holds the township's log", || async {
        town.api(TOWN).get("COM", "/health/ready").await.unwrap()["unsent"] == 0
    })
    .await;
    let back = into.display().to_string();
    // A store that is there, in use or not, is never overwritten.
    refused(&township(&config, &["restore", &back]), "another process");
    town.stop_office(TOWN).await;
    refused(&township(&config, &["restore", &back]), "there is a store already");
    fs::remove_dir_all(town.data(TOWN)).unwrap();

    // A backup of which one byte changed is refused whole.
    let database = folder.join("office.db");
    let good = fs::read(&database).unwrap();
    let mut bad = good.clone();
    let middle = bad.len() / 2;
    bad[middle] ^= 1;
    fs::write(&database, bad).unwrap();
    refused(&township(&config, &["restore", &back]), "not what the manifest says");
    assert!(!town.data(TOWN).join("office.db").exists());
    fs::write(&database, good).unwrap();

    done(&township(&config, &["restore", &back]));
    // It is read as it is: where it ends, an office that asks for a new life says before
    // anything has written there.
    let mut reader = Conn::open_reader(&Engine::Sqlite(town.data(TOWN))).await.unwrap();
    reader.rows("SELECT sequence FROM writer", vec![]).await.unwrap();
    reader.close().await;
    assert!(done(&township(&config, &["check-views"])).contains("agrees"));
    town.start_office(TOWN).await;
    let ready = town.api(TOWN).get("COM", "/health/ready").await.unwrap();
    // It notices by `sent-up-to`; it may have fetched its own entries back by now.
    if ready["status"] != "ready" {
        assert_eq!(ready["status"], "log-behind");
        let seen = town.api(TOWN).get("SYS", "/api/operations").await.unwrap();
        assert_eq!((&seen["records"], &seen["status"]), (&json!(false), &json!("log-behind")));
    }
    // What it knew then, it still answers.
    let known = town.api(TOWN).get("COM", "/api/filings?limit=500").await.unwrap();
    assert!(known["items"].as_array().unwrap().len() > 5, "{known}");

    // Keys go back into an empty folder only.
    let mine = to.join(town.id(TOWN)).display().to_string();
    refused(&township(&config, &["restore-keys", &mine]), "there are keys already");
    town.stop_office(TOWN).await;
    let event_key = fs::read(town.keys(TOWN).join("event.key")).unwrap();
    fs::remove_dir_all(town.keys(TOWN)).unwrap();
    done(&township(&config, &["restore-keys", &mine]));
    assert_eq!(fs::read(town.keys(TOWN).join("event.key")).unwrap(), event_key);
    assert!(!town.keys(TOWN).join("sent-up-to").exists());
}

#[tokio::test]
async fn a_store_on_postgresql_goes_by_its_own_programs() {
    let url = std::env::var("LIANDONG_TEST_POSTGRES").expect("no PostgreSQL: run ./deploy/test");
    let office = kernel::Entropy::System.word(8);
    let folder = std::env::temp_dir().join(format!("liandong-backup-{office}"));
    fs::create_dir_all(folder.join("keys")).unwrap();
    let seat =
        json!({"office": office, "tier": "township", "parent": null, "code": "1", "name": "甲"});
    let membership = json!({"seat": seat, "hub_url": "nats://x", "baselines": []});
    fs::write(folder.join("keys/membership.json"), membership.to_string()).unwrap();
    let config = folder.join("township.json");
    let offices = json!([{"listen": "127.0.0.1:0", "data": folder.join("data"), "city": "http://x",
        "keys": folder.join("keys"), "postgres": url}]);
    fs::write(&config, offices.to_string()).unwrap();
    let engine = Engine::Postgres { url, schema: format!("office_{office}") };
    let mut store = Conn::open_writer(&engine).await.unwrap();
    store.exec("UPDATE writer SET sequence = 41", vec![]).await.unwrap();
    let into = folder.join("backup").display().to_string();
    let made = township(&config, &["backup", &into]);
    if String::from_utf8_lossy(&made.stderr).contains("pg_dump is missing") {
        eprintln!("not run: this machine has PostgreSQL without pg_dump");
        return;
    }
    assert!(done(&made).contains("up to entry 41"));
    refused(&township(&config, &["restore", &into]), "there is such a schema already");
    store.exec(&format!("DROP SCHEMA office_{office} CASCADE"), vec![]).await.unwrap();
    done(&township(&config, &["restore", &into]));
    store.exec(&format!("SET search_path = office_{office}"), vec![]).await.unwrap();
    let rows = store.rows("SELECT sequence FROM writer", vec![]).await.unwrap();
    assert_eq!(rows[0].int(0).unwrap(), 41);
    store.exec(&format!("DROP SCHEMA office_{office} CASCADE"), vec![]).await.unwrap();
    store.close().await;
    fs::remove_dir_all(&folder).unwrap();
}

//! 密钥托管 The escrow of the sealing keys: officers with papers bring them back when the
//! machine's disk is lost.

use std::{
    fs,
    io::{Read, Write},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Duration,
};

use serde_json::{Value, json};
use tests::{
    chancery::{Chancery, Clerk},
    town::{DISTRICT, Town},
};

/// Runs the district's program as its operator would, with what is typed.
fn district(config: &Path, arguments: &[&str], typed: &str) -> Output {
    let folder = std::env::var("LIANDONG_BIN").expect("LIANDONG_BIN is not set: run ./deploy/test");
    let mut program = Command::new(Path::new(&folder).join("district"));
    let mut child = program
        .arg("--config")
        .arg(config)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(typed.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

/// What a terminal shows while a share is typed after the prompt has come.
fn seen_on_a_terminal(config: &Path, folder: &str, share: &str) -> String {
    let program = Path::new(&std::env::var("LIANDONG_BIN").unwrap()).join("district");
    let command =
        format!("'{}' --config '{}' recover-vault '{folder}'", program.display(), config.display());
    let mut script = Command::new("script");
    let mut child = script
        .args(["-qec", &command, "/dev/null"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut typing, mut shown) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut seen = [0; 4096];
    let first = shown.read(&mut seen).unwrap();
    write!(typing, "{share}\n\n").unwrap();
    let mut rest = String::new();
    shown.read_to_string(&mut rest).unwrap();
    child.wait().unwrap();
    String::from_utf8_lossy(&seen[..first]).into_owned() + &rest
}

fn configuration(town: &Town) -> PathBuf {
    let path = town.folder.join("district.json");
    let config = json!([{"listen": "127.0.0.1:0", "data": town.data(DISTRICT),
        "city": "http://x", "keys": town.keys(DISTRICT)}]);
    fs::write(&path, config.to_string()).unwrap();
    path
}

/// What an officer writes down and says to have written down.
async fn written(desk: &Chancery<'_>, officer: &Clerk) -> String {
    let shown = desk.get(officer, "/api/escrow/share").await.json();
    let wrong = json!({"fingerprint": "00".repeat(32)});
    let refused = desk.post(officer, "/api/escrow/share", wrong).await;
    assert_eq!(refused.json()["code"], "bad-field");
    let said = json!({"fingerprint": shown["fingerprint"]});
    desk.done(officer, "/api/escrow/share", said).await;
    assert_eq!(desk.get(officer, "/api/escrow/share").await.json()["code"], "share-absent");
    shown["share"].as_str().unwrap().to_owned()
}

/// The registry accepts, and the office attests that the team's key is no more: the name of
/// the grant that it had.
async fn handed_over(town: &Town, registry: &Clerk, clue: &str) -> String {
    let desk = Chancery::of(town);
    let cases = desk.get(registry, "/api/clue-cases?limit=500").await.json();
    let mut rows = cases["items"].as_array().unwrap().iter();
    let case = rows.find(|row| row["clue"] == clue).unwrap()["id"].as_str().unwrap().to_owned();
    let destroyed = || async {
        let seen = town.entries_seen(DISTRICT).await;
        seen.iter().filter(|kind| kind.contains("scope-key.destroyed")).count()
    };
    let before = destroyed().await;
    let at = format!("/api/clue-cases/{case}/accept");
    assert_eq!(desk.signed(registry, &at, json!({})).await.status, 200);
    town.until("the team's key is destroyed", || async { destroyed().await > before }).await;
    format!("case:{clue}#1@{}/inspection-office", town.id(DISTRICT))
}

async fn officers(desk: &Chancery<'_>) -> Vec<String> {
    let api = desk.town.api(DISTRICT);
    let mut named = Vec::new();
    for role in ["SEC", "PLAN", "RECT"] {
        named.push(desk.hire(DISTRICT, role, "office").await);
    }
    let administrator = desk.hire(DISTRICT, "SYS", "office").await;
    let ids = |of: &[Clerk]| of.iter().map(|one| one.person.clone()).collect::<Vec<_>>();
    let bad = [
        json!({"officers": [named[0].person, administrator.person], "needed": 2}),
        json!({"officers": [named[0].person, named[0].person], "needed": 2}),
        json!({"officers": ids(&named), "needed": 4}),
        json!({"officers": ids(&named), "needed": 1}),
        json!({"officers": ["nobody", named[0].person], "needed": 2}),
    ];
    for (at, body) in bad.iter().enumerate() {
        let why = api.post("SECADM", "/api/escrow", &format!("bad-{at}"), None, body).await;
        let code = if body["needed"] == 1 { "bad-field" } else { "unfit-choice" };
        assert!(why.as_ref().is_err_and(|why| why.contains(code)), "{body}: {why:?}");
    }
    let body = json!({"officers": ids(&named), "needed": 2});
    let by_another = api.post("SYS", "/api/escrow", "sys", None, &body).await;
    assert!(by_another.is_err_and(|why| why.contains("not-allowed")));
    // Sent twice by a weak line: one escrow, whose shares are those that are written down.
    let begun = api.post("SECADM", "/api/escrow", "begin", None, &body).await.unwrap();
    let mut shares = vec![written(desk, &named[0]).await];
    let again = api.post("SECADM", "/api/escrow", "begin", None, &body).await.unwrap();
    assert_eq!(begun.body, again.body);
    shares.push(written(desk, &named[1]).await);
    let row = api.get("AUDADM", "/api/escrow").await.unwrap();
    assert_eq!((row["complete"].as_bool(), row["needed"].as_u64()), (Some(false), Some(2)));
    shares.push(written(desk, &named[2]).await);
    assert_eq!(api.get("AUDADM", "/api/escrow").await.unwrap()["complete"], true);
    shares
}

#[tokio::test(flavor = "multi_thread")]
async fn officers_bring_the_sealing_keys_back_after_the_disk_is_lost() {
    let mut town = Town::start().await;
    let (registry, member, case, draft, shares, other) = {
        let desk = Chancery::of(&town);
        let team = desk.team().await;
        let registry = desk.hire_signer(DISTRICT, "NDI_REG", "office").await;
        let shares = officers(&desk).await;
        let id = desk.offered_clue(&team, &json!("own"), "暗记托管").await;
        let case = desk.delivered(&registry, &id).await;
        let at = format!("/api/clue-cases/{case}/accept");
        assert_eq!(desk.signed(&registry, &at, json!({})).await.status, 200);
        let draft = Chancery::draft_of(&team, &json!("own"), "暗记草稿");
        let draft = desk.done(&team.member, "/api/clues", draft).await;
        let other = desk.offered_clue(&team, &json!("own"), "暗记交后").await;
        desk.delivered(&registry, &other).await;
        (registry, team.member, case, draft["id"].as_str().unwrap().to_owned(), shares, other)
    };
    let (config, copy) = (configuration(&town), town.folder.join("keys-copied"));
    let copied = district(&config, &["backup-keys", &copy.display().to_string()], "");
    assert!(copied.status.success(), "{copied:?}");
    let of_office = copy.join(town.id(DISTRICT)).display().to_string();
    // After the copy one more is handed over: the team's key of it is destroyed.
    let teams_key = handed_over(&town, &registry, &other).await;

    // The key folder is gone with its disk; what was copied comes back, the vault does not.
    town.stop_office(DISTRICT).await;
    fs::remove_dir_all(town.keys(DISTRICT)).unwrap();
    let back = district(&config, &["restore-keys", &of_office], "");
    assert!(back.status.success(), "{back:?}");
    assert!(!town.keys(DISTRICT).join("vault").exists());
    let recover = |papers: &[&String]| {
        let typed: Vec<&str> = papers.iter().map(|paper| paper.as_str()).collect();
        district(&config, &["recover-vault", &of_office], &(typed.join("\n") + "\n"))
    };
    let one = recover(&[&shares[1]]);
    let says = |output: &Output| String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(one.status.code() == Some(3) && says(&one).contains('2'), "{}", says(&one));
    let wrong = recover(&[&shares[1], &shares[2].replace('-', "X")]);
    assert_eq!(wrong.status.code(), Some(3), "{}", says(&wrong));
    let both = recover(&[&shares[2], &shares[0].to_lowercase()]);
    assert!(both.status.success(), "{}", says(&both));
    // A vault that is there is not written over.
    assert_eq!(recover(&[&shares[0], &shares[1]]).status.code(), Some(3));
    let seen = seen_on_a_terminal(&config, &of_office, &shares[0]);
    assert!(seen.contains("not shown") && !seen.contains(&shares[0]), "{seen}");

    // What was destroyed since the copy is forgotten once more.
    let kept = |town: &Town| town.vault(DISTRICT).grant(&teams_key).is_some();
    assert!(kept(&town), "the copy had it");
    town.start_office(DISTRICT).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(!kept(&town));
    let row = town.api(DISTRICT).get("AUDADM", "/api/escrow").await.unwrap();
    assert_eq!((row["counts"].as_bool(), row["complete"].as_bool()), (Some(false), Some(false)));
    let desk = Chancery::of(&town);
    let read = |row: Value| row["saying"]["text"].as_str().unwrap_or_default().to_owned();
    let held = desk.get(&registry, &format!("/api/clue-cases/{case}/content")).await.json();
    assert!(read(held.clone()).contains("暗记托管"), "{held}");
    let drafted = desk.get(&member, &format!("/api/clues/{draft}/content")).await.json();
    assert!(read(drafted.clone()).contains("暗记草稿"), "{drafted}");
}

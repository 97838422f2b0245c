//! 重放 An auditor folds an export anew and has what every office shows, byte for byte; sees
//! what each knew when; and cosigns from outside.

use std::fs;

use auditor::{
    export::export,
    history::History,
    replay::{Replayed, replay},
    standing,
    trace::trace,
    verify::{Question, verify},
    witness::Witness,
};
use deploy::round::rectify;
use event_store::{
    db::Conn,
    past::{Known, Moment},
};
use kernel::Day;
use ledger::{
    checkpoint::Checkpoint,
    note::{Kind, Note, NoteSigner},
    policy::Policy,
};
use serde_json::{Value, json};
use tests::{
    exported::Folder,
    town::{CITY, DISTRICT, TOWN, Town},
};
use web::client::Client;

const OFFICES: [&str; 3] = [CITY, DISTRICT, TOWN];

/// Exports every office, once each head has everything that its office recorded.
async fn taken(town: &Town, folder: &Folder) {
    for code in OFFICES {
        town.until("its head has every entry", async || {
            let own = crate::ledger::own(town, code).await;
            let _ = fs::remove_dir_all(folder.0.join("logs").join(format!("{}-1", town.id(code))));
            let done =
                export(Some(&town.engine(code)), &town.data(code), &town.keys(code), &folder.0)
                    .await;
            done.is_ok_and(|done| done.entries >= own)
        })
        .await;
    }
}

async fn replayed(town: &Town, history: &History, code: &str) -> Replayed {
    let id = kernel::OfficeId::parse(&town.id(code)).unwrap();
    replay(history, &id, Some(&town.engine(code))).await.unwrap()
}

/// Exports everything and folds it anew, until every view is the same as in the stores:
/// offices record a little while they rest, and one may be ahead for a moment.
async fn all_the_same(town: &Town, folder: &Folder) {
    town.until("all is exported and the same", async || {
        taken(town, folder).await;
        let history = History::read(&folder.0).unwrap();
        let mut same = true;
        for code in OFFICES {
            let one = replayed(town, &history, code).await;
            assert!(one.same != Some(false) && one.missing.is_empty(), "{code}: {one:?}");
            same &= one.same == Some(true);
        }
        same
    })
    .await;
}

/// A round fed back, two of its three findings rectified, the figures at the city.
async fn lived() -> (Town, Vec<String>) {
    let town = Town::start().await;
    town.register_units().await;
    let findings = crate::faults::a_fed_back_round(&town, "R1", 3).await;
    for finding in &findings[..2] {
        rectify(&town.api(TOWN), "COM", finding).await.unwrap();
    }
    town.until("the city counts both", async || {
        let results = town.api(CITY).get("PLAN", "/api/results").await.unwrap();
        results["levels"][2]["rectified"] == 2
    })
    .await;
    (town, findings)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_view_of_every_office_replays_from_exports_alone() {
    let (town, findings) = lived().await;
    let folder = Folder::new("replays");
    all_the_same(&town, &folder).await;
    let history = History::read(&folder.0).unwrap();
    let city = replayed(&town, &history, CITY).await;
    let results = town.api(CITY).get("PLAN", "/api/results").await.unwrap();
    let figures = |level: &Value| {
        ["level", "targets", "inspected", "found", "rectified", "rate"]
            .map(|name| level[name].clone())
    };
    let shown: Vec<_> = results["levels"].as_array().unwrap().iter().map(figures).collect();
    assert_eq!(city.results.iter().map(figures).collect::<Vec<_>>(), shown);

    // A view of an office at a moment is what the office itself shows of it, row for row.
    for (code, role, view, path) in [
        (DISTRICT, "PLAN", "rounds", "/api/rounds"),
        (TOWN, "COM", "rectifications", "/api/rectifications"),
    ] {
        let log = history.office(code).unwrap();
        let head = log.told.len() as u64;
        for (as_of, known) in [
            (None, head / 3),
            (None, head * 2 / 3),
            (Some("2001-01-01"), head),
            (Some("2099-01-01"), head * 3 / 4),
        ] {
            let as_of = as_of.and_then(Day::parse);
            let moment = Moment { as_of, known_at: Some(Known::After(known)) };
            let standing = standing::at(&history, log, moment).unwrap();
            let rows = standing.rows(view, "").await.unwrap();
            let rows: Vec<Value> = rows.into_iter().map(|row| row.row).collect();
            let day = as_of.map(|day| format!("&as_of={day}")).unwrap_or_default();
            let path = format!("{path}?known_at={known}{day}");
            let shown = town.api(code).get(role, &path).await.unwrap();
            let shown = shown["items"].as_array().unwrap().clone();
            assert_eq!(rows.len(), shown.len(), "{path}");
            for (row, shown) in rows.iter().zip(&shown) {
                // What is withheld from this reader is null there.
                let said = shown.as_object().unwrap().iter().filter(|(_, value)| !value.is_null());
                said.for_each(|(name, value)| assert_eq!(&row[name], value, "{path}: {name}"));
            }
        }
    }

    // The whole way of a finding: drafted here, rectified there, and when each knew it.
    let steps = trace(&history, &findings[0]).unwrap();
    let kinds: Vec<&str> = steps.iter().map(|step| step.kind.as_str()).collect();
    let at =
        |kind: &str| kinds.iter().position(|it| *it == kind).unwrap_or_else(|| panic!("{kinds:?}"));
    let way = [
        "finding.draft-sealed.v1",
        "finding.fed-back.v1",
        "rectification.opened.v1",
        "rectification.completed.v1",
        "finding.rectified.v1",
    ];
    assert!(way.map(at).is_sorted(), "{kinds:?}");
    let fed_back = &steps[at("finding.fed-back.v1")];
    assert!(fed_back.received.iter().any(|by| by.office.as_str() == town.id(TOWN)));
    let completed = &steps[at("rectification.completed.v1")];
    assert!(completed.received.iter().any(|by| by.office.as_str() == town.id(DISTRICT)));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_entry_left_out_changes_the_figures_and_is_named() {
    let (town, _) = lived().await;
    let folder = Folder::new("left-out");
    taken(&town, &folder).await;
    let history = History::read(&folder.0).unwrap();
    let whole = replayed(&town, &history, DISTRICT).await;
    // The office takes one out and signs everything anew with all its keys.
    let mut hands = crate::audits::Hands::on(&town, &folder.0, DISTRICT);
    let rectified = history.office(DISTRICT).unwrap().told.iter().position(|told| {
        told.as_ref().is_some_and(|told| told.fact.kind == "cn.liandong.finding.rectified.v1")
    });
    hands.entries.remove(rectified.unwrap());
    hands.write(true, true);
    let report = verify(&folder.0, &Question::default()).unwrap();
    assert_eq!(report.exit(), 1);
    let place = u64::try_from(rectified.unwrap()).unwrap();
    let named = report.broken.iter().any(|one| one.index == Some(place));
    assert!(named, "{place}: {:?}", report.broken);
    let history = History::read(&folder.0).unwrap();
    let id = kernel::OfficeId::parse(&town.id(DISTRICT)).unwrap();
    let less = replay(&history, &id, None).await.unwrap();
    let village = |of: &Replayed| of.results[2]["rectified"].as_u64().unwrap();
    assert_eq!(village(&less) + 1, village(&whole));
    assert_ne!(less.fingerprint, whole.fingerprint);
}

#[tokio::test(flavor = "multi_thread")]
async fn stores_in_postgresql_are_witnessed_verified_and_replayed_like_files() {
    let town = Town::on_postgres().await;
    town.register_units().await;
    crate::faults::a_fed_back_round(&town, "R1", 2).await;
    for (code, by) in [(TOWN, DISTRICT), (DISTRICT, CITY), (CITY, DISTRICT)] {
        let size = crate::ledger::own(&town, code).await;
        town.until("it is cosigned", async || {
            let stand = town.api(code).get("SYS", "/api/ledger").await.unwrap();
            stand["witnesses"][town.id(by)][0].as_u64() >= Some(size)
        })
        .await;
    }
    let home = Folder::new("postgresql");
    all_the_same(&town, &home).await;
    // With another office's keys nothing is taken, and what was taken before stays.
    let (engine, data) = (town.engine(DISTRICT), town.data(TOWN));
    let mixed = export(Some(&engine), &data, &town.keys(TOWN), &home.0).await;
    assert!(mixed.unwrap_err().to_string().contains("another office's"));
    let report = verify(&home.0, &Question { signatures: 1, ..Question::default() }).unwrap();
    assert_eq!(report.broken, [], "{:?}", report.open);
    let history = History::read(&home.0).unwrap();
    let asked = "/api/rounds?as_of=2024-01-01";
    let before = town.api(DISTRICT).get("PLAN", asked).await.unwrap();
    assert_eq!(before["items"], json!([]), "nothing was done yet");

    // A row that its administrator changes is found.
    let mut store = Conn::open_reader_writable(&town.engine(DISTRICT)).await.unwrap();
    let sql = "UPDATE view_rows SET body = replace(body, '\"found\":2', '\"found\":1') \
               WHERE view = 'tally'";
    assert!(store.exec(sql, vec![]).await.unwrap() > 0);
    drop(store);
    let bent = replayed(&town, &history, DISTRICT).await;
    assert_eq!(bent.same, Some(false));
    assert!(bent.differ.iter().all(|row| row.starts_with("tally ")), "{:?}", bent.differ);
}

/// An office that is told of the key keeps what it cosigned, and its word is enough for a
/// policy; nobody else's word is kept, and no head of another log.
async fn counted(town: &mut Town, open: impl Fn() -> std::io::Result<Witness>, folder: &Folder) {
    let key = open().unwrap().verifier().to_string();
    let other = NoteSigner::of_seed("auditor/second", Kind::Cosignature, &[7; 32]).unwrap();
    town.stop_office(DISTRICT).await;
    let config = town.configs.get_mut(DISTRICT).unwrap();
    config.outside_witnesses = vec![key.clone(), other.verifier().to_string()];
    town.start_office(DISTRICT).await;
    town.until("it counts", async || open().unwrap().turn().await[1].counts).await;
    let stand = town.api(DISTRICT).get("SYS", "/api/ledger").await.unwrap();
    assert!(stand["witnesses"]["auditor/witness"][0].as_u64() > Some(0), "{stand}");
    let home = Folder::new("outside-counted");
    taken(town, &home).await;
    let text = format!("witness w {key}\nquorum w\n");
    let log = stand["log"].as_str().unwrap();
    let policy = Policy::parse(&format!("log {log}\n{text}")).unwrap();
    let question = Question { policy: Some(policy), ..Question::default() };
    let report = verify(&home.0, &question).unwrap();
    let held = &report.logs[&format!("liandong/{}/1", town.id(DISTRICT))];
    assert!(held.witnessed > 0, "{report:#?}");

    let path = "/log/1/cosignature";
    let bring = async |note: &Note| {
        let body = json!({"head": note.to_string()}).to_string();
        let url = town.url(DISTRICT) + path;
        let headers = [("content-type", "application/json")];
        let client = Client::default();
        let reply = client.send(hyper::Method::POST, &url, &headers, body.into()).await.unwrap();
        (reply.status, reply.json()["code"].as_str().unwrap_or_default().to_owned())
    };
    let shown = folder.0.join("w/heads").join(format!("liandong-{}-1", town.id(DISTRICT)));
    let ours = Note::parse(&fs::read_to_string(shown).unwrap()).unwrap();
    let by = |signer: &NoteSigner, text: &str| {
        let line = signer.sign(text, 1_700_000_000);
        Note { text: text.to_owned(), lines: vec![line] }
    };
    let mut head = Checkpoint::parse(&ours.text).unwrap();
    assert_eq!(bring(&by(&other, &ours.text)).await.0, 200);
    let stranger = NoteSigner::of_seed("auditor/second", Kind::Cosignature, &[8; 32]).unwrap();
    let refused = bring(&by(&stranger, &ours.text)).await;
    assert_eq!(refused, (403, "no-witness".to_owned()));
    assert_eq!(bring(&by(&other, "no head\n")).await.0, 403);
    head.root[0] ^= 1;
    let refused = bring(&by(&other, &head.to_string())).await;
    assert_eq!(refused, (409, "head-differs".to_owned()));
    head.origin = format!("liandong/{}/1", town.id(CITY));
    assert_eq!(bring(&by(&other, &head.to_string())).await.0, 409);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_witness_from_outside_cosigns_what_goes_on_and_nothing_else() {
    let mut town = Town::start().await;
    town.register_units().await;
    let folder = Folder::new("outside");
    let key = async |code: &str| {
        let stand = town.api(code).get("SYS", "/api/ledger").await.unwrap();
        stand["log"].as_str().unwrap().to_owned()
    };
    let mut list = String::from("# the logs of this city\n");
    for code in [CITY, DISTRICT] {
        list += &format!("{} {}\n", town.url(code), key(code).await);
    }
    let open = || Witness::open(&folder.0.join("w"), "auditor/witness", &list, Client::default());
    let verifier = open().unwrap().verifier();
    town.until("both are cosigned", async || {
        open()
            .unwrap()
            .turn()
            .await
            .iter()
            .all(|turn| ["cosigned", "unchanged"].contains(&turn.code))
    })
    .await;
    crate::faults::a_fed_back_round(&town, "R1", 2).await;
    let before = std::cell::Cell::new(0);
    town.until("the head goes on", async || {
        let turns = open().unwrap().turn().await;
        let size = turns[1].size;
        let grown = before.get() > 0 && size > before.get() && turns[1].code == "cosigned";
        if before.get() == 0 {
            before.set(size);
        }
        grown
    })
    .await;
    assert_eq!(open().unwrap().verifier().to_string(), verifier.to_string(), "the key stays");
    // What it cosigned is an anchor for an export of later.
    let head = folder.0.join("w/heads").join(format!("liandong-{}-1", town.id(DISTRICT)));
    let note = Note::parse(&fs::read_to_string(head).unwrap()).unwrap();
    assert!(note.verify(&[verifier]).is_ok());
    let home = Folder::new("outside-home");
    taken(&town, &home).await;
    let question = Question { since: vec![note], ..Question::default() };
    let report = verify(&home.0, &question).unwrap();
    assert_eq!((report.exit(), &report.broken), (0, &Vec::new()), "{:?}", report.open);
    assert!(!open().unwrap().turn().await[1].counts, "its office does not know the key");
    let strange = list.replace(&key(DISTRICT).await, &key(CITY).await);
    counted(&mut town, open, &folder).await;
    // Under another key the log is not cosigned; without its state the witness signs nothing.
    let mut other =
        Witness::open(&folder.0.join("o"), "auditor/witness", &strange, Client::default()).unwrap();
    assert_eq!(other.turn().await[1].code, "refused");
    fs::remove_file(folder.0.join("w/witness.json")).unwrap();
    assert!(open().is_err());
}

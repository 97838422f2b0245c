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
use event_store::past::{Known, Moment};
use kernel::Day;
use ledger::note::Note;
use serde_json::Value;
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
            let done = export(None, &town.data(code), &town.keys(code), &folder.0).await;
            done.is_ok_and(|done| done.entries >= own)
        })
        .await;
    }
}

async fn replayed(town: &Town, history: &History, code: &str) -> Replayed {
    let id = kernel::OfficeId::parse(&town.id(code)).unwrap();
    replay(history, &id, Some(&town.data(code))).await.unwrap()
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
    // Offices record a little while they rest: the store may be ahead for a moment.
    town.until("all is exported and the same", async || {
        taken(&town, &folder).await;
        let history = History::read(&folder.0).unwrap();
        let mut same = true;
        for code in OFFICES {
            let one = replayed(&town, &history, code).await;
            assert!(one.same != Some(false) && one.missing.is_empty(), "{code}: {one:?}");
            same &= one.same == Some(true);
        }
        same
    })
    .await;
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
async fn a_witness_from_outside_cosigns_what_goes_on_and_nothing_else() {
    let town = Town::start().await;
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
    // Under another key the log is not cosigned; without its state the witness signs nothing.
    let strange = list.replace(&key(DISTRICT).await, &key(CITY).await);
    let mut other =
        Witness::open(&folder.0.join("o"), "auditor/witness", &strange, Client::default()).unwrap();
    assert_eq!(other.turn().await[1].code, "refused");
    fs::remove_file(folder.0.join("w/witness.json")).unwrap();
    assert!(open().is_err());
}

//! Two cities side by side, each with its own hub, offices on NATS and offices on
//! files, and one carrier for both who mixes their discs up. They use the same
//! codes: only keys and ids tell them apart. In the end both ends of every matter
//! agree, and neither city holds anything of the other.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    time::{Duration, Instant},
};

use event_store::{Engine, db::Conn};
use serde_json::Value;

use super::{
    Outcome, carrier::Carrier, check::events, field::Field, offices::CITY, offices::Layout,
};
use crate::chance::Chance;

/// Lets both cities work for `time`, then looks.
pub async fn two_cities(seed: u64, time: Duration, tell: impl Fn(&str)) -> Outcome {
    let chance = Chance::new(seed);
    let carrier = Carrier::new(chance.part());
    let open = |seed| Field::open(seed, Layout::mixed(carrier.clone()));
    let (one, other) = tokio::join!(open(chance.next()), open(chance.next()));
    let mut cities = [one, other];
    for city in &cities {
        tell(&city.offices.folder.display().to_string());
        city.ledger.during("two-cities");
    }
    tokio::time::sleep(time).await;
    carrier.sobers();
    let mut outcome = Outcome { seed, tallies: BTreeMap::new(), violations: Vec::new() };
    let ledgers = [cities[0].ledger.clone(), cities[1].ledger.clone()];
    let gates = tokio::join!(ledgers[0].gate.write(), ledgers[1].gate.write());
    let began = Instant::now();
    for city in &cities {
        if let Err(why) = city.settle().await {
            outcome.violations.push(format!("does not settle: {why}"));
        }
    }
    let healed = began.elapsed();
    let [lost, doubled, astray] = carrier.did();
    tell(&format!("parcels lost {lost}, doubled {doubled}, brought to the wrong city {astray}"));
    for (city, other) in [(&cities[0], &cities[1]), (&cities[1], &cities[0])] {
        let (matters, differ) = ends_differ(city).await;
        tell(&format!("matters with two ends: {matters}"));
        outcome.violations.extend(differ);
        outcome.violations.extend(of_the_other(city, other).await);
        let (refused, taken) = strays(city, other);
        let counted = counted(city).await;
        tell(&format!("parcels of the other city refused: {refused}, {counted} at the counter"));
        outcome.violations.extend(taken);
        if refused == 0 || counted == 0 {
            outcome.violations.push("no parcel of the other city was refused".to_owned());
        }
    }
    // What was read has left its readings in the logs: they too are carried.
    for city in &cities {
        if let Err(why) = city.settle().await {
            outcome.violations.push(format!("does not settle after reading: {why}"));
        }
    }
    cities.iter_mut().for_each(Field::stop);
    drop(gates);
    carrier.rests();
    for city in cities {
        let (tallies, violations) = city.close().await;
        outcome.violations.extend(violations);
        for (fault, tally) in tallies {
            let total = outcome.tallies.entry(fault).or_default();
            total.add(&tally);
            (total.struck, total.healed) = (1, healed);
        }
    }
    outcome
}

/// Every page of a list.
async fn all(city: &Field, code: &str, role: &str, path: &str) -> Vec<Value> {
    let api = city.offices.api(code);
    let (mut after, mut rows) = (String::new(), Vec::new());
    loop {
        let page = api.get(role, &format!("{path}?limit=500&after={after}")).await.unwrap();
        rows.extend(page["items"].as_array().unwrap().iter().cloned());
        match page["next"].as_str() {
            Some(next) => next.clone_into(&mut after),
            None => return rows,
        }
    }
}

/// By id, where a matter stands at one end.
async fn states(city: &Field, code: &str, role: &str, path: &str) -> BTreeMap<String, String> {
    let word = |row: &Value, name: &str| row[name].as_str().unwrap_or_default().to_owned();
    let rows = all(city, code, role, path).await;
    rows.iter().map(|row| (word(row, "id"), word(row, "state"))).collect()
}

/// Matters whose two ends do not say the same; how many there are.
async fn ends_differ(city: &Field) -> (u64, Vec<String>) {
    let mut findings = BTreeMap::new();
    for code in [CITY].into_iter().chain(city.offices.of_tier("district")) {
        findings.extend(states(city, code, "PLAN", "/api/findings").await);
    }
    findings.retain(|_, state| {
        matches!(state.as_str(), "fed-back" | "rectified" | "closed-out" | "reopened")
    });
    let (mut wrong, mut matters) = (Vec::new(), 0);
    for code in city.offices.of_tier("township") {
        let own = city.offices.seats[code].id();
        for (id, state) in states(city, code, "COM", "/api/rectifications").await {
            let finding = id.strip_prefix(&format!("{own}-")).unwrap_or(&id);
            let there = findings.remove(finding).unwrap_or_default();
            matters += 1;
            let agree = match state.as_str() {
                "opened" => there == "fed-back",
                _ => there == "rectified" || there == "closed-out",
            };
            if !agree {
                wrong.push(format!("{code}: rectification {id} is {state}, the finding {there}"));
            }
        }
        let parent = city.offices.seats[code].parent;
        let above = city.offices.seats[parent].id();
        let reviews = states(city, parent, "FILE", "/api/filing-reviews").await;
        for (id, state) in states(city, code, "COM", "/api/filings").await {
            let there = reviews.get(&format!("{above}-{id}"));
            matters += 1;
            if there != Some(&state) {
                wrong.push(format!("{code}: filing {id} is {state}, its review {there:?}"));
            }
        }
    }
    wrong.extend(findings.iter().map(|(id, state)| format!("{id} is {state} at one end only")));
    (matters, wrong)
}

/// Whatever a city's offices hold, keep waiting or keep as evidence of the other's.
async fn of_the_other(city: &Field, other: &Field) -> Vec<String> {
    let strangers: BTreeSet<String> =
        other.offices.seats.values().map(|seat| seat.id().to_string()).collect();
    let mut wrong = Vec::new();
    for code in city.offices.codes() {
        match events(&city.offices, code).await {
            Ok(held) => {
                let origins = held.all.iter().map(|(fact, _)| fact.at.origin.to_string());
                let found = origins.filter(|origin| strangers.contains(origin)).count();
                if found > 0 {
                    wrong.push(format!("{code} holds {found} entries of the other city"));
                }
            }
            Err(why) => wrong.push(why),
        }
        let engine = Engine::Sqlite(city.offices.seats[code].config.data.clone());
        let mut store = Conn::open_reader(&engine).await.unwrap();
        for (table, column) in [("held", "origin"), ("received", "origin"), ("notes", "subject")] {
            let sql = format!("SELECT {column} FROM {table}");
            for row in store.rows(&sql, vec![]).await.unwrap() {
                let text = row.text(0).unwrap();
                if text.split('.').any(|word| strangers.contains(word)) {
                    wrong.push(format!("{code}: {table} has {text} of the other city"));
                }
            }
        }
        let evidence = store.rows("SELECT code FROM evidence", vec![]).await.unwrap();
        if !evidence.is_empty() {
            wrong.push(format!("{code} keeps {} pieces of evidence", evidence.len()));
        }
        store.close().await;
    }
    wrong
}

/// Parcels of the other city that lie in a city's trays: how many were refused, and
/// those that were not.
fn strays(city: &Field, other: &Field) -> (u64, Vec<String>) {
    let strangers: Vec<String> =
        other.offices.seats.values().map(|seat| seat.id().to_string()).collect();
    let (mut refused, mut taken) = (0, Vec::new());
    for code in city.offices.codes() {
        let brought = city.offices.folder.join("files").join(code).join("in");
        for (folder, is_refused) in [("", false), ("done", false), ("refused", true)] {
            for file in fs::read_dir(brought.join(folder)).into_iter().flatten() {
                let name = file.unwrap().file_name().to_string_lossy().into_owned();
                if !strangers.iter().any(|id| name.contains(id)) {
                    continue;
                }
                if is_refused {
                    refused += 1;
                } else {
                    taken.push(format!("{code} did not refuse {name} of the other city"));
                }
            }
        }
    }
    (refused, taken)
}

/// How many parcels the city's counter counted as refused: no others come to it.
async fn counted(city: &Field) -> u64 {
    let clerk = city.clerks.iter().find(|clerk| clerk.code == CITY).unwrap();
    let counted = clerk.get("SYS", "/api/ingest").await.unwrap_or_default();
    counted["refused"]["parcel-refused"].as_u64().unwrap_or(0)
}

//! A district whose process is killed while people read drafts: whatever content anybody
//! got, its reading is on record.

use std::{sync::Arc, time::Duration};

use deploy::{round::Script, token};
use hyper::Method;
use serde_json::{Value, json};
use tokio::{sync::watch, task::JoinSet};
use web::client::Client;

use super::offices::{CITY, Layout, Offices, Place};
use crate::chance::Chance;

const DISTRICT: &str = "611002";
const TREE: [Place; 2] = [(CITY, "", "city"), (DISTRICT, CITY, "district")];
const READERS: usize = 4;

/// What was read, and what is on record.
#[derive(Clone, Copy, Debug)]
pub struct Reads {
    /// Answers with content that arrived whole.
    pub answered: usize,
    /// Readings on record.
    pub recorded: usize,
    /// How often the process was killed.
    pub kills: usize,
}

/// Kills the district `kills` times while people read.
pub async fn reads(seed: u64, kills: usize) -> Reads {
    let chance = Chance::new(seed);
    let layout = Layout { tree: &TREE, ..Layout::default() };
    let mut offices = Offices::found(&chance, layout).await;
    let finding = draft(&offices).await;
    let mut answered = 0;
    for _ in 0..kills {
        let (url, bearer) = (
            format!("{}/api/findings/{finding}", offices.url(DISTRICT)),
            format!("Bearer {}", bearer(&offices)),
        );
        let (stop, stopped) = watch::channel(false);
        let mut reading = JoinSet::new();
        for _ in 0..READERS {
            reading.spawn(read(url.clone(), bearer.clone(), stopped.clone()));
        }
        tokio::time::sleep(Duration::from_micros(chance.below(60_000))).await;
        offices.kill(DISTRICT).await;
        stop.send_replace(true);
        answered += reading.join_all().await.into_iter().sum::<usize>();
        offices.start(DISTRICT).await;
    }
    let recorded = recorded(&offices, &finding).await;
    offices.remove().await;
    Reads { answered, recorded, kills }
}

fn bearer(offices: &Offices) -> String {
    let seat = &offices.seats[DISTRICT];
    token::make(&seat.config.keys, &seat.id(), "TM").unwrap()
}

/// Reads again and again; how many answers came whole.
async fn read(url: String, bearer: String, stopped: watch::Receiver<bool>) -> usize {
    let (client, mut count) = (Client::default(), 0);
    while !*stopped.borrow() {
        let headers = [("authorization", bearer.as_str())];
        match client.send(Method::GET, &url, &headers, Vec::new()).await {
            Ok(reply) if reply.status == 200 => {
                assert!(reply.json()["draft"]["text"].is_string(), "{}", reply.json());
                count += 1;
            }
            _ => tokio::time::sleep(Duration::from_millis(1)).await,
        }
    }
    count
}

/// A round that has entered, with one draft.
async fn draft(offices: &Offices) -> String {
    let api = offices.api(DISTRICT);
    let unit = json!([{"number": "o1", "name": "县直单位001", "level": "county",
        "valid_from": "2021-12-01"}]);
    api.post("PLAN", "/api/organizations", "unit", None, &unit).await.unwrap();
    let plan = json!({"number": "R1", "name": "第一轮", "kind": "regular",
        "organisation": "own", "reach": "direct"});
    let task = json!({"id": "k1", "target": "o1", "name": "县直单位001", "level": "county"});
    let found = vec![("k1".to_owned(), "甲".to_owned(), "三要素".to_owned())];
    let mut round = Script::new(&api, plan, vec![task], found);
    round.plan().await.unwrap();
    round.authorise().await.unwrap();
    round.enter().await.unwrap();
    round.drafted[0].clone()
}

async fn recorded(offices: &Offices, finding: &str) -> usize {
    let api = Arc::new(offices.api(DISTRICT));
    let (mut after, mut count) = (String::new(), 0);
    loop {
        let path = format!("/api/reads?of=finding/{finding}&limit=500&after={after}");
        let page: Value = api.get("AUDADM", &path).await.unwrap();
        count += page["items"].as_array().map_or(0, Vec::len);
        match page["next"].as_str() {
            Some(next) => next.clone_into(&mut after),
            None => return count,
        }
    }
}

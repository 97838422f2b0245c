//! A city with some townships that has inspected a village of each: rectifications that
//! wait for their measures, so many that each gets about ten.

use std::{collections::BTreeMap, time::Duration};

use deploy::{api::Api, round::Script};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::{
    city::{City, Office},
    whole::Whole,
};

const DIVISIONS: &str = "deploy/data/divisions/6110.csv";
/// Townships of each district; 商洛 has seven districts.
const EACH: usize = 3;
/// Measures of one rectification.
const MEASURES: usize = 10;
/// Findings that are drafted at a time.
const AT_ONCE: usize = 32;

/// The city, and where the townships plan their measures.
pub(crate) struct Inspected {
    whole: Whole,
    /// The address of each rectification's measures, and the word of whoever plans them;
    /// neighbours in the list belong to different townships.
    pub(crate) rectifications: Vec<(String, String)>,
}

impl Inspected {
    /// Founds it for so many measures; processes send traces to `collector`.
    pub(crate) async fn found(measures: u32, collector: Option<&str>) -> Self {
        let csv = std::env::temp_dir().join(format!("liandong-few-{}.csv", std::process::id()));
        std::fs::write(&csv, few(&std::fs::read_to_string(DIVISIONS).unwrap())).unwrap();
        let words = ["--divisions", csv.to_str().unwrap()];
        let traces = collector.map(|address| ("OTEL_EXPORTER_OTLP_ENDPOINT", address));
        let whole = Whole::of(City::start_with(&words, traces));
        std::fs::remove_file(csv).unwrap();
        whole.all_connected().await;
        let towns = whole.tier("township").len();
        let findings = usize::try_from(measures).unwrap().div_ceil(MEASURES * towns);
        let mut inspected = Self { whole, rectifications: Vec::new() };
        let drafted = inspected.inspect(findings).await;
        inspected.opened(&drafted).await;
        inspected
    }

    fn city(&self) -> &Api {
        &self.whole.offices[0].1
    }

    /// How many townships there are.
    pub(crate) fn towns(&self) -> usize {
        self.whole.tier("township").len()
    }

    /// The city's feed, and the word of who reads it.
    pub(crate) fn feed(&self) -> (String, String) {
        let office = self.whole.city.office("city");
        (format!("{}/api/feed", office.url()), office.token("RECT"))
    }

    /// What is unsent at all offices.
    pub(crate) async fn unsent(&self) -> u64 {
        let mut unsent = 0;
        for (_, api) in &self.whole.offices {
            let ready = api.get("SYS", "/health/ready").await.unwrap();
            unsent += ready["unsent"].as_u64().unwrap();
        }
        unsent
    }

    /// One round of the city over a village of each township, up to its feedback; the
    /// findings' ids, village by village.
    async fn inspect(&self, findings: usize) -> Vec<String> {
        let (city, towns) = (self.city(), self.whole.tier("township"));
        let ids: Vec<_> = towns.iter().map(|town| town.id.clone()).collect();
        city.heard_of(&ids).await.unwrap();
        let village = |at: usize| format!("v{at:03}");
        let organizations: Vec<Value> = (0..towns.len())
            .map(|at| {
                json!({"number": village(at), "name": village(at), "level": "village",
                    "unit_office": ids[at], "valid_from": "2021-12-01"})
            })
            .collect();
        let path = "/api/organizations";
        city.post("PLAN", path, "villages", None, &json!(organizations)).await.unwrap();
        let plan = json!({"number": "R1", "name": "提级巡察", "kind": "special",
            "organisation": "own", "reach": "direct"});
        let task = |at: usize| {
            json!({"id": format!("k{at}"), "target": village(at), "name": village(at),
                "level": "village", "unit_office": ids[at]})
        };
        let mut round = Script::new(city, plan, (0..towns.len()).map(task).collect(), Vec::new());
        round.plan().await.unwrap();
        round.authorise().await.unwrap();
        round.enter().await.unwrap();
        let all: Vec<String> =
            (0..towns.len() * findings).map(|n| format!("k{}", n / findings)).collect();
        let drafted = draft(city, &all).await;
        round.findings = all.into_iter().map(|task| (task, String::new(), String::new())).collect();
        round.withdraw().await.unwrap();
        round.hear().await.unwrap();
        round.feed_back().await.unwrap();
        drafted
    }

    /// Waits until every township has opened its rectifications, and lists them in turn.
    async fn opened(&mut self, drafted: &[String]) {
        let towns: Vec<Api> = self.whole.tier("township").into_iter().cloned().collect();
        let each = drafted.len() / towns.len();
        let up = self.whole.city.up();
        let offices: Vec<&Value> = up["offices"].as_array().unwrap().iter().collect();
        let mut all = vec![Vec::new(); each];
        for (town, findings) in towns.iter().zip(drafted.chunks(each)) {
            let office = offices.iter().find(|of| of["code"] == *town.code).unwrap();
            let office = Office((*office).clone());
            let token = office.token("COM");
            for (at, finding) in findings.iter().enumerate() {
                let path = format!("/api/rectifications/{}-{finding}", town.id);
                while town.get("COM", &path).await.is_err() {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                all[at].push((format!("{}{path}/measures", office.url()), token.clone()));
            }
        }
        self.rectifications = all.into_iter().flatten().collect();
        while self.unsent().await > 0 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// The city and its districts with a few townships each.
fn few(csv: &str) -> String {
    let mut taken = BTreeMap::<&str, usize>::new();
    let mut kept = Vec::new();
    for line in csv.lines() {
        let cells: Vec<&str> = line.split(',').collect();
        let keeps = match cells[..] {
            [_, "township", parent, name] if name.ends_with('镇') => {
                let taken = taken.entry(parent).or_default();
                *taken += 1;
                *taken <= EACH
            }
            [_, "township" | "village", ..] => false,
            _ => true,
        };
        if keeps {
            kept.push(line);
        }
    }
    kept.join("\n")
}

/// Drafts and co-signs a finding of each task; their ids in the same order.
async fn draft(city: &Api, tasks: &[String]) -> Vec<String> {
    let mut drafted = vec![String::new(); tasks.len()];
    let mut working = JoinSet::new();
    for (at, task) in tasks.iter().enumerate() {
        if working.len() == AT_ONCE
            && let Some(Ok((at, id))) = working.join_next().await
        {
            drafted[at] = id;
        }
        let (city, task) = (city.clone(), task.clone());
        working.spawn(async move {
            let body = json!({"round": format!("{}-R1", city.id), "task": task,
                "category": "四个落实", "title": "台账不全", "text": "现象、定性、责任"});
            let key = format!("finding-{at}");
            let done = city.post("TM", "/api/findings", &key, None, &body).await.unwrap();
            let id = done.body["id"].as_str().unwrap().to_owned();
            let path = format!("/api/findings/{id}/co-sign");
            let key = format!("{key}-sign");
            city.post("TL", &path, &key, Some("1"), &json!({})).await.unwrap();
            (at, id)
        });
    }
    for (at, id) in working.join_all().await {
        drafted[at] = id;
    }
    drafted
}

//! A whole city on this machine, one process a tier: how soon all of it works, what it
//! costs while nothing happens, how soon a word of the city is with everybody.
//!
//! The processes are those that `deploy/up` starts for its user (`LIANDONG_BIN`,
//! `LIANDONG_NATS_SERVER`).

use std::{
    fs,
    path::PathBuf,
    process::Command,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use deploy::api::Api;
use kernel::OfficeId;
use serde_json::{Value, json};
use web::client::Client;

use crate::{city::City, process::Process, say};

/// How long nothing happens before anybody looks, and how long it is then looked at.
const REST: Duration = Duration::from_secs(20);
const LOOKED_AT: Duration = Duration::from_mins(1);
const TIERS: [&str; 3] = ["city", "district", "township"];

/// The started city and the interfaces of its offices, the city's first.
pub(crate) struct Whole {
    pub(crate) city: City,
    pub(crate) offices: Vec<(String, Api)>,
}

/// Measures the city of a CSV of divisions.
pub(crate) async fn measure(divisions: &str) {
    let (began, at) = (Instant::now(), SystemTime::now());
    let whole = Whole::start(divisions);
    let serve = began.elapsed();
    whole.all_connected().await;
    let connected = began.elapsed();
    whole.all_receipted().await;
    let receipted = began.elapsed();
    for tier in TIERS {
        let (count, last) = whole.enrolled(tier, at);
        say(&format!("{count} {tier} office(s): the last was enrolled {last:.1?} after the start"));
    }
    say(&format!(
        "all serve after {serve:.1?}, all are connected after {connected:.1?}; what was said to all \
         by then is receipted by all after {receipted:.1?}; the hub keeps {} readers",
        whole.readers()
    ));
    whole.idle("idle").await;
    whole.words_to_all(&fs::read_to_string(divisions).unwrap()).await;
    whole.memory();
    whole.restart("township").await;
    whole.idle("idle after the restart, with the whole register").await;
}

impl Whole {
    /// Starts it; every office serves then.
    pub(crate) fn start(divisions: &str) -> Self {
        Self::of(City::start_with(&["--divisions", divisions], None))
    }

    /// The interfaces of a city that was started.
    pub(crate) fn of(city: City) -> Self {
        let (client, up) = (Client::default(), city.up());
        let office = |office: &Value| {
            let text = |name: &str| office[name].as_str().unwrap().to_owned();
            let (id, keys) = (OfficeId::parse(&text("id")).unwrap(), PathBuf::from(text("keys")));
            let api = Api::new(id, text("code"), text("url"), keys, client.clone(), Arc::default());
            (text("tier"), api)
        };
        let offices = up["offices"].as_array().unwrap().iter().map(office).collect();
        Self { city, offices }
    }

    /// The interfaces of a tier.
    pub(crate) fn tier(&self, tier: &str) -> Vec<&Api> {
        self.offices.iter().filter(|(of, _)| of == tier).map(|(_, api)| api).collect()
    }

    fn processes(&self) -> Vec<Process> {
        let up = self.city.up();
        let mut all =
            vec![Process { name: "nats-server", pid: up["nats"]["pid"].as_u64().unwrap() }];
        for tier in TIERS {
            let pid = self.city.office(tier).0["pid"].as_u64().unwrap();
            all.push(Process { name: tier, pid });
        }
        all
    }

    /// Waits until every office of the city serves, is connected and has sent everything.
    pub(crate) async fn all_connected(&self) {
        for (_, api) in &self.offices {
            loop {
                let ready = api.get("SYS", "/health/ready").await.unwrap();
                if ready["link"] == "up" && ready["unsent"] == 0 {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }

    /// Waits until everybody has receipted what the city said.
    async fn all_receipted(&self) {
        let city = &self.offices[0].1;
        loop {
            let all = city.get("SYS", "/api/neighbours").await.unwrap();
            let settled = |of: &Value| of["not_received"] == 0 && of["differs"] == false;
            let neighbours = all.as_array().unwrap();
            if neighbours.len() + 1 == self.offices.len() && neighbours.iter().all(settled) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// How many offices of a tier there are, and when the last of them was enrolled.
    fn enrolled(&self, tier: &str, start: SystemTime) -> (usize, Duration) {
        let up = self.city.up();
        let of_tier = up["offices"].as_array().unwrap().iter().filter(|of| of["tier"] == tier);
        let at = |office: &Value| {
            let file = PathBuf::from(office["keys"].as_str().unwrap()).join("membership.json");
            fs::metadata(file).and_then(|file| file.modified()).unwrap()
        };
        let all: Vec<SystemTime> = of_tier.map(at).collect();
        let last = all.iter().max().and_then(|last| last.duration_since(start).ok());
        (all.len(), last.unwrap_or_default())
    }

    /// The durable consumers in the hub's store.
    fn readers(&self) -> usize {
        let mut folders = vec![self.city.folder().join("nats")];
        let mut found = 0;
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
                let below = entry.path().is_dir();
                found += usize::from(below && folder.ends_with("obs"));
                if below && !folder.ends_with("obs") && !folder.ends_with("msgs") {
                    folders.push(entry.path());
                }
            }
        }
        found
    }

    /// What each process costs while nothing happens.
    async fn idle(&self, when: &str) {
        tokio::time::sleep(REST).await;
        let before: Vec<(Process, Duration)> =
            self.processes().into_iter().map(|of| (of.clone(), of.cpu())).collect();
        tokio::time::sleep(LOOKED_AT).await;
        say(&format!("{when}, {} offices, over {LOOKED_AT:?}:", self.offices.len()));
        for (process, spent) in before {
            let spent = process.cpu().saturating_sub(spent).as_secs_f64();
            say(&format!(
                "  {:<11} RSS {:>4} MB (at most {:>4}), {:>3} threads, {:>4} files, {:>5.2} % of a core",
                process.name,
                process.status("VmRSS") / 1024,
                process.status("VmHWM") / 1024,
                process.status("Threads"),
                process.files(),
                spent / LOOKED_AT.as_secs_f64() * 100.0
            ));
        }
    }

    /// What each process holds in memory now.
    fn memory(&self) {
        let held = |of: &Process| format!("{} {} MB", of.name, of.status("VmRSS") / 1024);
        let all: Vec<String> = self.processes().iter().map(held).collect();
        say(&format!("  RSS then: {}", all.join(", ")));
    }

    /// One entry to all, three times; then the whole register of divisions.
    async fn words_to_all(&self, register: &str) {
        let (mut version, mut lines) = (None, register.lines());
        let head = lines.next().unwrap();
        // The city and two of its districts.
        for division in lines.take(3) {
            let took = self.import(&mut version, &format!("{head}\n{division}\n")).await;
            say(&format!("one entry to all: receipted by all after {took:.1?}"));
        }
        let rows = register.lines().count() - 1;
        let took = self.import(&mut version, register).await;
        say(&format!("the register, {rows} divisions: receipted by all after {took:.1?}"));
    }

    /// Imports divisions on top of a version of the register, and waits for the receipts.
    async fn import(&self, version: &mut Option<String>, csv: &str) -> Duration {
        let import = json!({"csv": csv, "valid_from": "2023-06-30"});
        let (city, key) = (&self.offices[0].1, format!("register-{version:?}"));
        let (path, began) = ("/api/divisions/import", Instant::now());
        let done = city.post("PLAN", path, &key, version.as_deref(), &import).await.unwrap();
        *version = Some(done.version);
        self.all_receipted().await;
        began.elapsed()
    }

    /// Ends a tier's process as an operator would; `deploy/up` starts it again.
    async fn restart(&self, tier: &'static str) {
        let of_tier = |all: Vec<Process>| all.into_iter().find(|of| of.name == tier).unwrap();
        let old = of_tier(self.processes());
        let began = Instant::now();
        Command::new("kill").arg(old.pid.to_string()).status().unwrap();
        while old.lives() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let ended = began.elapsed();
        self.all_connected().await;
        let took = began.elapsed();
        say(&format!(
            "the {tier} process was told to stop and was gone after {ended:.1?}; all its offices \
             serve and are connected again {:.1?} later, 0.3 s of it deploy/up's pause",
            took.saturating_sub(ended)
        ));
    }
}

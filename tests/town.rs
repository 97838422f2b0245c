//! A city, a district and a township, each a real service in this process.

use std::{
    collections::BTreeMap,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use deploy::api::Api;
use desks::{
    config::{FirstPerson, Founding, OfficeConfig},
    founding,
    joining::{MEMBERSHIP, Membership},
    running::{self, Process, Service},
};
use event_store::Readers;
use messaging::{files::Tray, tls::Tls};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::{process::Child, sync::watch, task::JoinHandle};
use web::{Classification, Wire, client::Client};

use crate::{authority::Authority, ports::port, proxy::Proxy};

/// The codes of the three offices.
pub const CITY: &str = "611000";
/// 山阳县
pub const DISTRICT: &str = "611024";
/// 漫川关镇
pub const TOWN: &str = "611024106";

struct Running {
    stop: watch::Sender<bool>,
    task: JoinHandle<Result<(), String>>,
}

/// How a town speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secrecy {
    /// In the clear, on loopback.
    Plain,
    /// By TLS; whoever connects shows a certificate.
    Certified,
    /// By TLS; whoever shows none may connect too.
    Open,
}

/// The small city.
pub struct Town {
    /// Everything lies here.
    pub folder: PathBuf,
    hub: Option<Child>,
    hub_port: u16,
    /// The links of the district and the township.
    pub links: BTreeMap<String, Proxy>,
    /// Their ways to the city's own address, by which papers go.
    pub roads: BTreeMap<String, Proxy>,
    /// What each office is started with.
    pub configs: BTreeMap<String, OfficeConfig>,
    running: BTreeMap<String, Running>,
    /// The offices that are processes of their own.
    apart: BTreeMap<String, Child>,
    client: Client,
    by_files: &'static [&'static str],
    demo: bool,
    /// Where the stores lie, if not in files.
    postgres: Option<String>,
    wire: Wire,
    secrecy: Secrecy,
    /// Who signs the certificates of a town that speaks in secret.
    pub authority: Option<Authority>,
    /// Whether the carrier is on the way.
    pub carrying: Arc<watch::Sender<bool>>,
}

/// Goes between the trays until the town is gone. One file in five is lost at its
/// first journey, one in five is brought twice.
async fn carry(folder: PathBuf, offices: &'static [&'static str], carrying: watch::Receiver<bool>) {
    let mut seen = 0_u64;
    while carrying.has_changed().is_ok() {
        tokio::time::sleep(Duration::from_millis(200)).await;
        if !*carrying.borrow() {
            continue;
        }
        let tray = |code: &str| Tray::at(&folder.join(code)).unwrap();
        let all: Vec<Tray> = offices.iter().map(|code| tray(code)).collect();
        let city = tray(CITY);
        let journeys = all.iter().map(|office| (office, vec![&city]));
        for (from, to) in journeys.chain([(&city, all.iter().collect())]) {
            let disc = folder.join("disc");
            std::fs::create_dir_all(&disc).unwrap();
            for name in from.carry_out(&disc, "").unwrap() {
                seen += 1;
                if name.ends_with(".parcel") && seen % 5 == 3 {
                    std::fs::remove_file(disc.join(&name)).unwrap();
                } else if name.ends_with(".parcel") && seen % 5 == 4 {
                    let twice = disc.join(format!("{name}2.parcel"));
                    std::fs::copy(disc.join(&name), twice).unwrap();
                }
            }
            for tray in to {
                tray.carry_in(&disc, "").unwrap();
            }
            std::fs::remove_dir_all(&disc).unwrap();
        }
    }
}

/// The program of an office's tier.
pub fn program(code: &str) -> PathBuf {
    let folder = std::env::var("LIANDONG_BIN").expect("LIANDONG_BIN is not set: run ./deploy/test");
    let tier = match code.len() {
        9 => "township",
        _ if code == CITY => "city",
        _ => "district",
    };
    Path::new(&folder).join(tier)
}

fn pid(process: &Child) -> Pid {
    Pid::from_raw(process.id().unwrap().cast_signed()).unwrap()
}

static NEXT: AtomicU32 = AtomicU32::new(1);

fn service(code: &str) -> Service {
    match code.len() {
        9 => township::service(),
        _ if code == CITY => city::service(),
        _ => district::service(),
    }
}

fn people(code: &str) -> Vec<FirstPerson> {
    let letter = match code.len() {
        9 => "T",
        _ if code == CITY => "C",
        _ => "D",
    };
    let roles: &[&str] = match letter {
        "T" => &["COM", "DISC", "SYS", "SECADM", "AUDADM"],
        _ => &[
            "SEC", "LG", "PLAN", "FILE", "RECT", "CLUE", "ORG", "TL", "TD", "TM", "LO", "UNIT",
            "SYS", "SECADM", "AUDADM",
        ],
    };
    let person = |role: &&str| FirstPerson {
        account: role.to_lowercase(),
        display: (*role).to_owned(),
        roles: vec![format!("{letter}_{role}")],
    };
    roles.iter().map(person).collect()
}

impl Town {
    /// Starts hub, city, district and township.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// The same; the offices `by_files` never touch the hub: a carrier goes between
    /// their trays and the city's, who loses some files and brings others twice.
    pub async fn start_with(by_files: &'static [&'static str]) -> Self {
        let mut town = Self::city(by_files, true, Wire::unhurried(), Secrecy::Plain).await;
        for (code, parent, tier) in [(DISTRICT, CITY, "district"), (TOWN, DISTRICT, "township")] {
            town.enrol(code, parent, tier).await;
        }
        town
    }

    /// The same with every store in PostgreSQL; a schema for each, which stays there.
    pub async fn on_postgres() -> Self {
        let mut town = Self::to_be(&[], true, Wire::unhurried(), Secrecy::Plain);
        let url = std::env::var("LIANDONG_TEST_POSTGRES");
        town.postgres = Some(url.expect("no PostgreSQL: run ./deploy/test"));
        let mut town = town.founded().await;
        for (code, parent, tier) in [(DISTRICT, CITY, "district"), (TOWN, DISTRICT, "township")] {
            town.enrol(code, parent, tier).await;
        }
        town
    }

    /// Starts hub and city only, a real one: nobody has a token who did not sign in.
    pub async fn real_city() -> Self {
        Self::real_city_on(Wire::unhurried(), Secrecy::Plain).await
    }

    /// The same on a wire of its own.
    pub async fn real_city_on(wire: Wire, secrecy: Secrecy) -> Self {
        Self::city(&[], false, wire, secrecy).await
    }

    /// A demo city and its district that speak TLS everywhere.
    pub async fn secret() -> Self {
        let mut town = Self::city(&[], true, Wire::unhurried(), Secrecy::Certified).await;
        town.enrol(DISTRICT, CITY, "district").await;
        town
    }

    async fn city(
        by_files: &'static [&'static str],
        demo: bool,
        wire: Wire,
        secrecy: Secrecy,
    ) -> Self {
        Self::to_be(by_files, demo, wire, secrecy).founded().await
    }

    fn to_be(by_files: &'static [&'static str], demo: bool, wire: Wire, secrecy: Secrecy) -> Self {
        let number = NEXT.fetch_add(1, Ordering::SeqCst);
        let folder =
            std::env::temp_dir().join(format!("liandong-town-{}-{number}", std::process::id()));
        let mut town = Self {
            folder,
            hub: None,
            hub_port: port(),
            links: BTreeMap::new(),
            roads: BTreeMap::new(),
            configs: BTreeMap::new(),
            running: BTreeMap::new(),
            apart: BTreeMap::new(),
            client: Client::default(),
            by_files,
            demo,
            postgres: None,
            wire,
            secrecy,
            authority: None,
            carrying: Arc::new(watch::channel(true).0),
        };
        if secrecy != Secrecy::Plain {
            let authority = Authority::at(&town.folder.join("certificates"));
            let tls = Some(authority.issue("tester", false));
            town.client = Client::of(&Wire { tls, ..Wire::default() }).unwrap();
            town.authority = Some(authority);
        }
        town
    }

    /// Starts hub and city.
    async fn founded(mut self) -> Self {
        if !self.by_files.is_empty() {
            let (files, carrying) = (self.folder.join("files"), self.carrying.subscribe());
            tokio::spawn(carry(files, self.by_files, carrying));
        }
        let city = self.config(CITY, port(), None).await;
        let listen = format!("127.0.0.1:{}", self.hub_port);
        let store = self.folder.join("nats");
        let conf = founding::provision(&city, &listen, &store.display().to_string()).unwrap();
        std::fs::write(self.folder.join("nats.conf"), conf).unwrap();
        self.start_hub();
        self.start_office(CITY).await;
        self
    }

    /// Where the store of an office lies.
    pub fn engine(&self, code: &str) -> event_store::Engine {
        self.configs[code].engine(&membership(&self.keys(code)).seat.office)
    }

    /// Invites an office, enrols it and waits until it serves.
    pub async fn enrol(&mut self, code: &str, parent: &str, tier: &str) {
        let invitation =
            json!({"tier": tier, "parent": self.id(parent), "code": code, "name": code});
        let key = format!("invite-{code}");
        let done =
            self.api(CITY).post("SYS", "/api/enrolment-tokens", &key, None, &invitation).await;
        let token = done.unwrap().body["token"].as_str().unwrap().to_owned();
        self.config(code, port(), Some(token)).await;
        self.start_office(code).await;
    }

    /// Makes a token with which the office may ask for a new life of its log, and puts it
    /// into its configuration.
    pub async fn renew(&mut self, code: &str, office: &str, key: &str) {
        let path = format!("/api/offices/{office}/renewal-tokens");
        let done = self.api(CITY).post("SYS", &path, key, None, &json!({})).await;
        let token = done.unwrap().body["token"].as_str().unwrap().to_owned();
        self.configs.get_mut(code).unwrap().token = Some(token);
    }

    async fn config(&mut self, code: &str, port: u16, token: Option<String>) -> OfficeConfig {
        let city = self.configs.get(CITY).map(|config| config.listen.clone());
        let listen = format!("127.0.0.1:{port}");
        let hub = if code == CITY {
            self.hub_port
        } else {
            let proxy = Proxy::to(self.hub_port).await;
            self.links.insert(code.to_owned(), proxy.clone());
            proxy.port
        };
        let city = match city {
            Some(city) => {
                let road = Proxy::to(city.rsplit(':').next().unwrap().parse().unwrap()).await;
                self.roads.insert(code.to_owned(), road.clone());
                format!("127.0.0.1:{}", road.port)
            }
            None => listen.clone(),
        };
        let tls = self.authority.as_ref().map(|authority| Tls {
            without_certificate: self.secrecy == Secrecy::Open,
            ..authority.issue(code, true)
        });
        let (http, nats) = if tls.is_some() { ("https", "tls") } else { ("http", "nats") };
        let config = OfficeConfig {
            city: format!("{http}://{city}"),
            listen,
            data: self.folder.join("data").join(code),
            keys: self.folder.join("keys").join(code),
            postgres: self.postgres.clone(),
            token,
            files: (self.by_files.contains(&code) || code == CITY && !self.by_files.is_empty())
                .then(|| self.folder.join("files").join(code)),
            files_journey: Some(2),
            founding: (code == CITY).then(|| Founding {
                code: code.to_owned(),
                name: "商洛市".to_owned(),
                demo: self.demo,
            }),
            hub: Some(format!("{nats}://127.0.0.1:{hub}")),
            clock: self.demo.then(|| "2024-01-08T01:00:00Z".to_owned()),
            people: people(code),
            wire: Wire { tls, ..self.wire.clone() },
            ceiling: Classification::default(),
            openid: None,
            vault_passphrase: None,
            outside_witnesses: Vec::new(),
        };
        self.configs.insert(code.to_owned(), config.clone());
        config
    }

    /// Starts nats-server.
    pub fn start_hub(&mut self) {
        let program =
            std::env::var("LIANDONG_NATS_SERVER").unwrap_or_else(|_| "nats-server".to_owned());
        let hub = tokio::process::Command::new(program)
            .arg("-c")
            .arg(self.folder.join("nats.conf"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn();
        self.hub = Some(hub.expect("nats-server is missing: run ./deploy/test"));
    }

    /// Ends nats-server with -9.
    pub async fn kill_hub(&mut self) {
        if let Some(mut hub) = self.hub.take() {
            hub.kill().await.unwrap();
        }
    }

    /// Starts an office without waiting.
    pub fn launch(&mut self, code: &str) {
        let (stop, stopping) = watch::channel(false);
        let readers = Readers::new(4);
        let process = Process { readers, stopping, client: self.client.clone() };
        let config = self.configs.get(code).unwrap().clone();
        let task = tokio::spawn(running::run(service(code), config, process));
        self.running.insert(code.to_owned(), Running { stop, task });
    }

    /// Starts an office and waits until it serves.
    pub async fn start_office(&mut self, code: &str) {
        let began = Instant::now();
        loop {
            self.launch(code);
            while !self.running[code].task.is_finished() && !self.serves(code).await {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            if !self.running[code].task.is_finished() {
                return;
            }
            let why = self.running.remove(code).unwrap().task.await.unwrap();
            assert!(began.elapsed() < Duration::from_secs(20), "{code}: {why:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn serves(&self, code: &str) -> bool {
        let url = format!("{}/health/live", self.url(code));
        let reply = self.client.send(hyper::Method::GET, &url, &[], Vec::new()).await;
        reply.is_ok_and(|reply| reply.status == 200)
    }

    /// Stops an office and waits until its store is closed.
    pub async fn stop_office(&mut self, code: &str) {
        if let Some(mut process) = self.apart.remove(code) {
            kill_process(pid(&process), Signal::TERM).unwrap();
            assert!(process.wait().await.unwrap().success());
        } else {
            let running = self.running.remove(code).unwrap();
            running.stop.send(true).unwrap();
            running.task.await.unwrap().unwrap();
        }
        // The writer closes the store behind the last handle.
        let lock = self.data(code).join("lock");
        for _ in 0..500 {
            if std::fs::File::open(&lock).is_ok_and(|file| file.try_lock().is_ok()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{code} does not let go of its store");
    }

    /// The configuration of an office as its program reads it.
    pub fn configuration(&self, code: &str) -> PathBuf {
        let path = self.folder.join(format!("{code}.json"));
        let config = self.configs.get(code).unwrap();
        std::fs::write(&path, serde_json::to_vec(&[config]).unwrap()).unwrap();
        path
    }

    /// Ends an office inside the test and starts it as a process of its own, by the program
    /// of its tier; what it says goes into a file.
    pub async fn part(&mut self, code: &str) {
        self.stop_office(code).await;
        let log = std::fs::File::create(self.folder.join(format!("{code}.log"))).unwrap();
        let process = tokio::process::Command::new(program(code))
            .arg("--config")
            .arg(self.configuration(code))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .kill_on_drop(true)
            .spawn();
        self.apart.insert(code.to_owned(), process.expect("the services are missing: cargo build"));
        self.until(&format!("{code} serves as a process"), async || self.serves(code).await).await;
    }

    /// The process of an office that is one of its own.
    pub fn process(&self, code: &str) -> u32 {
        self.apart[code].id().unwrap()
    }

    /// The process of nats-server.
    pub fn hub_process(&self) -> u32 {
        self.hub.as_ref().and_then(Child::id).unwrap()
    }

    /// Whether every view of a stopped office agrees with a fresh fold.
    pub async fn views_agree(&self, code: &str) -> bool {
        let config = self.configs.get(code).unwrap();
        let keys = messaging::keys::Keys::at(&config.keys).unwrap();
        let (_stop, stopping) = watch::channel(false);
        let process = Process { readers: Readers::new(4), stopping, client: self.client.clone() };
        let membership = membership(&config.keys);
        let office = running::open_office(service(code), config, &keys, &membership, &process);
        let difference = office.await.unwrap().check_views().await.unwrap();
        assert_eq!(difference, None);
        difference.is_none()
    }

    /// The store of an office.
    pub fn data(&self, code: &str) -> PathBuf {
        self.folder.join("data").join(code)
    }

    /// The keys of an office.
    pub fn keys(&self, code: &str) -> PathBuf {
        self.folder.join("keys").join(code)
    }

    /// The address of an office.
    pub fn url(&self, code: &str) -> String {
        let http = if self.authority.is_some() { "https" } else { "http" };
        format!("{http}://{}", self.configs.get(code).unwrap().listen)
    }

    /// The hub's own address.
    pub fn hub_url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.hub_port)
    }

    /// The id of an office.
    pub fn id(&self, code: &str) -> String {
        membership(&self.keys(code)).seat.office.to_string()
    }

    /// The interface of an office.
    pub fn api(&self, code: &str) -> Api {
        let id = membership(&self.keys(code)).seat.office;
        let (url, keys) = (self.url(code), self.keys(code));
        Api::new(id, code.to_owned(), url, keys, self.client.clone(), Arc::default())
    }

    /// Registers the district's units: one of its own and one of the township's.
    pub async fn register_units(&self) {
        let town = kernel::OfficeId::parse(&self.id(TOWN)).unwrap();
        self.api(DISTRICT).heard_of(&[town]).await.unwrap();
        let units = json!([
            {"number": "o1", "name": "县直单位001", "level": "county", "valid_from": "2021-12-01"},
            {"number": "v1", "name": "南坡村", "level": "village", "unit_office": self.id(TOWN),
                "valid_from": "2021-12-01"},
        ]);
        self.api(DISTRICT).post("PLAN", "/api/organizations", "units", None, &units).await.unwrap();
    }

    /// Plans a round at the district with one task for the township's village.
    pub fn village_round(&self, number: &str) -> (Value, Vec<Value>) {
        let plan = json!({"number": number, "name": number, "kind": "regular",
            "organisation": "own", "reach": "direct"});
        let task = json!({"id": "k1", "target": "v1", "name": "南坡村", "level": "village",
            "unit_office": self.id(TOWN)});
        (plan, vec![task])
    }

    /// Waits until `holds` says so; a minute at most.
    pub async fn until<F: Future<Output = bool>>(&self, what: &str, holds: impl Fn() -> F) {
        let began = Instant::now();
        while !holds().await {
            assert!(began.elapsed() < Duration::from_secs(90), "{what}: not within 90 s");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        eprintln!("{what}: after {:.1} s", began.elapsed().as_secs_f64());
    }

    /// The vault of an office, as whoever copies its folder has it.
    pub fn vault(&self, code: &str) -> vault::Vault {
        let copy = self.folder.join(format!("vault-{}", NEXT.fetch_add(1, Ordering::SeqCst)));
        std::fs::DirBuilder::new().mode(0o700).create(&copy).unwrap();
        for file in std::fs::read_dir(self.keys(code).join("vault")).unwrap() {
            let path = file.unwrap().path();
            std::fs::copy(&path, copy.join(path.file_name().unwrap())).unwrap();
        }
        vault::Vault::open(&copy, None).unwrap()
    }

    /// The types of the entries that an office holds, as the audit administrator sees them.
    pub async fn entries_seen(&self, code: &str) -> Vec<String> {
        let (api, mut after, mut kinds) = (self.api(code), String::new(), Vec::new());
        loop {
            let path = format!("/api/events?limit=500&after={after}");
            let page = api.get("AUDADM", &path).await.unwrap();
            let items = page["items"].as_array().cloned().unwrap_or_default();
            kinds.extend(items.iter().map(|item| item["type"].as_str().unwrap_or("").to_owned()));
            match page["next"].as_str() {
                Some(next) if !items.is_empty() => next.clone_into(&mut after),
                _ => return kinds,
            }
        }
    }

    /// Every entry that an office holds, own and received.
    pub async fn entries(&self, code: &str) -> Vec<Value> {
        crate::entries(&self.api(code)).await.unwrap()
    }
}

fn membership(keys: &Path) -> Membership {
    serde_json::from_slice(&std::fs::read(keys.join(MEMBERSHIP)).unwrap()).unwrap()
}

impl Drop for Town {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}

//! A city of processes: one hub, one city, two districts, some townships.
//!
//! Every office is its own process behind its own proxy, so that any of them can
//! be killed with -9, copied, put back or started twice.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::{Duration, Instant},
};

use deploy::api::Api;
use desks::{
    config::{FirstPerson, Founding, OfficeConfig},
    joining::{MEMBERSHIP, Membership},
};
use serde_json::json;
use tokio::process::{Child, Command};
use web::{Classification, Wire, client::Client};

use super::{carrier::Carrier, hub::Hub};
use crate::{chance::Chance, ports::port, proxy::Proxy};

/// 商洛市
pub(crate) const CITY: &str = "611000";
/// Code, parent, tier.
pub(crate) type Place = (&'static str, &'static str, &'static str);
/// What every run has.
const TREE: [Place; 6] = [
    (CITY, "", "city"),
    ("611002", CITY, "district"),
    ("611024", CITY, "district"),
    ("611002101", "611002", "township"),
    ("611024106", "611024", "township"),
    ("611024107", "611024", "township"),
];
/// Two districts that handle clues, and a township that one of them inspects.
const HANDLING: [Place; 4] = [
    TREE[0],
    ("611024", CITY, "district"),
    ("611002", CITY, "district"),
    ("611024106", "611024", "township"),
];
/// One township more.
const LARGER: [Place; 7] =
    [TREE[0], TREE[1], TREE[2], TREE[3], TREE[4], TREE[5], ("611002102", "611002", "township")];

/// What a city is made of.
#[derive(Clone)]
pub(crate) struct Layout {
    pub(crate) tree: &'static [Place],
    /// Who never touches the hub; the carrier goes for them.
    pub(crate) by_files: &'static [&'static str],
    pub(crate) carrier: Option<Carrier>,
    /// How many servers the hub has: 1 or 3.
    pub(crate) servers: usize,
    /// The server whose schemas are the stores; without it they are SQLite.
    pub(crate) postgres: Option<String>,
    /// With a folder of programs of the previous version, all but the city run those:
    /// a store that a newer version opened is none of theirs any more.
    pub(crate) previous: Option<PathBuf>,
}

impl Default for Layout {
    fn default() -> Self {
        Self {
            tree: &TREE,
            by_files: &[],
            carrier: None,
            servers: 1,
            postgres: None,
            previous: None,
        }
    }
}

impl Layout {
    /// A city whose offices hand clues to each other.
    pub(crate) fn handling() -> Self {
        Self { tree: &HANDLING, ..Self::default() }
    }

    /// A city of which one township and one whole branch go by files.
    pub(crate) fn mixed(carrier: Carrier) -> Self {
        let by_files = &["611002102", "611024", "611024106", "611024107"];
        Self { tree: &LARGER, by_files, carrier: Some(carrier), ..Self::default() }
    }
}

/// One office.
pub(crate) struct Seat {
    pub(crate) code: &'static str,
    pub(crate) parent: &'static str,
    pub(crate) tier: &'static str,
    pub(crate) config: OfficeConfig,
    pub(crate) link: Proxy,
    /// Its way to the city's own address, by which papers go.
    pub(crate) road: Proxy,
    child: Option<Child>,
}

/// All of them.
pub(crate) struct Offices {
    pub(crate) folder: PathBuf,
    pub(crate) hub: Hub,
    pub(crate) seats: BTreeMap<&'static str, Seat>,
    pub(crate) client: Client,
    layout: Layout,
}

fn people(tier: &str) -> Vec<FirstPerson> {
    let (letter, roles): (&str, &[&str]) = match tier {
        "township" => ("T", &["COM", "SYS", "AUDADM"]),
        tier => (
            if tier == "city" { "C" } else { "D" },
            &[
                "SEC", "PLAN", "FILE", "RECT", "CLUE", "ORG", "TL", "TD", "TM", "SYS", "SECADM",
                "AUDADM",
            ],
        ),
    };
    let person = |role: &&str| FirstPerson {
        account: role.to_lowercase(),
        display: (*role).to_owned(),
        roles: vec![format!("{letter}_{role}")],
    };
    roles.iter().map(person).collect()
}

impl Seat {
    /// The office's id.
    pub(crate) fn id(&self) -> kernel::OfficeId {
        self.membership().seat.office
    }

    /// What its enrolment left.
    pub(crate) fn membership(&self) -> Membership {
        let file = self.config.keys.join(MEMBERSHIP);
        serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
    }

    /// The program of its tier.
    pub(crate) fn program(&self) -> PathBuf {
        let folder =
            std::env::var("LIANDONG_BIN").expect("LIANDONG_BIN is not set: run ./deploy/test");
        Path::new(&folder).join(self.tier)
    }

    /// Starts its process; `program` may be that of another version.
    pub(crate) fn start(&mut self, folder: &Path, program: &Path) {
        let file = folder.join(format!("{}.json", self.code));
        fs::write(&file, serde_json::to_vec(&[&self.config]).unwrap()).unwrap();
        self.child = Some(serve(program, &file, &folder.join(format!("{}.log", self.code))));
    }

    /// Whether its process is there.
    pub(crate) fn runs(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| child.try_wait().unwrap().is_none())
    }

    /// Its process.
    pub(crate) fn process(&self) -> u32 {
        self.child.as_ref().and_then(Child::id).unwrap()
    }

    /// Ends its process with -9.
    pub(crate) async fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().await.unwrap();
        }
    }
}

/// Starts a service with a configuration.
pub(crate) fn serve(program: &Path, config: &Path, log: &Path) -> Child {
    let log = fs::OpenOptions::new().create(true).append(true).open(log).unwrap();
    Command::new(program)
        .arg("--config")
        .arg(config)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .expect("the services are missing: cargo build, and LIANDONG_BIN names their folder")
}

impl crate::chancery::Place for Offices {
    fn url(&self, code: &str) -> String {
        Self::url(self, code)
    }

    fn api(&self, code: &str) -> Api {
        Self::api(self, code)
    }
}

impl Offices {
    /// Founds the city, enrols everybody and waits until all serve.
    pub(crate) async fn found(chance: &Chance, layout: Layout) -> Self {
        let folder = std::env::temp_dir().join(format!(
            "liandong-nemesis-{}-{:x}",
            std::process::id(),
            chance.next()
        ));
        fs::create_dir_all(&folder).unwrap();
        let hub = Hub::new(&folder, layout.servers);
        let client = Client::default();
        let (tree, previous) = (layout.tree, layout.previous.clone());
        let mut all = Self { folder, hub, seats: BTreeMap::new(), client, layout };
        if let Some(carrier) = &all.layout.carrier {
            carrier.serves(&all.folder.join("files"));
        }
        for &(code, parent, tier) in tree {
            let token =
                if tier == "city" { None } else { Some(all.invite(code, parent, tier).await) };
            let link = Proxy::seeded(all.hub.port(), chance.next()).await;
            let listen = format!("127.0.0.1:{}", port());
            let city = all.seats.get(CITY).map_or(&listen, |city| &city.config.listen);
            let city = city.rsplit(':').next().and_then(|port| port.parse().ok()).unwrap();
            let road = Proxy::to(city).await;
            let config = all.config((code, tier), listen, (&link, &road), token);
            if tier == "city" {
                all.hub.configure(&config);
                all.hub.start();
            }
            all.seats.insert(code, Seat { code, parent, tier, config, link, road, child: None });
            let previous = previous.as_ref().filter(|_| tier != "city");
            let previous = previous.map(|folder| folder.join(tier));
            let program = previous.unwrap_or_else(|| all.seats[code].program());
            all.start_as(code, &program).await;
        }
        all
    }

    fn config(
        &self,
        (code, tier): (&str, &str),
        listen: String,
        (link, road): (&Proxy, &Proxy),
        token: Option<String>,
    ) -> OfficeConfig {
        let city = format!("127.0.0.1:{}", road.port);
        let city = if tier == "city" { listen.clone() } else { city };
        // Offices of a cluster know all its servers, so no proxy stands between.
        let one = || format!("nats://127.0.0.1:{}", link.port);
        let hub = if self.hub.is_cluster() { self.hub.url() } else { one() };
        let founding =
            || Founding { code: code.to_owned(), name: "商洛市".to_owned(), demo: true };
        OfficeConfig {
            listen,
            data: self.folder.join("data").join(code),
            keys: self.folder.join("keys").join(code),
            city: format!("http://{city}"),
            postgres: self.layout.postgres.clone(),
            files: (self.layout.by_files.contains(&code)
                || tier == "city" && !self.layout.by_files.is_empty())
            .then(|| self.folder.join("files").join(code)),
            files_journey: Some(2),
            token,
            founding: (tier == "city").then(founding),
            hub: Some(hub),
            clock: Some("2024-01-08T01:00:00Z".to_owned()),
            people: people(tier),
            wire: Wire::unhurried(),
            ceiling: Classification::default(),
            openid: None,
            vault_passphrase: None,
            outside_witnesses: Vec::new(),
        }
    }

    async fn invite(&self, code: &str, parent: &str, tier: &str) -> String {
        let parent = self.seats[parent].id();
        let body = json!({"tier": tier, "parent": parent, "code": code, "name": code});
        let path = "/api/enrolment-tokens";
        let done = self.api(CITY).post("SYS", path, &format!("invite-{code}"), None, &body).await;
        done.unwrap().body["token"].as_str().unwrap().to_owned()
    }

    /// The interface of an office.
    pub(crate) fn api(&self, code: &str) -> Api {
        let seat = &self.seats[code];
        let (url, keys) = (self.url(code), seat.config.keys.clone());
        Api::new(seat.id(), code.to_owned(), url, keys, self.client.clone(), Arc::default())
    }

    /// The address of an office.
    pub(crate) fn url(&self, code: &str) -> String {
        format!("http://{}", self.seats[code].config.listen)
    }

    /// The codes of a tier.
    pub(crate) fn of_tier(&self, tier: &str) -> Vec<&'static str> {
        self.seats.values().filter(|seat| seat.tier == tier).map(|seat| seat.code).collect()
    }

    /// Every code.
    pub(crate) fn codes(&self) -> Vec<&'static str> {
        self.seats.keys().copied().collect()
    }

    /// Starts an office and waits until it answers.
    pub(crate) async fn start(&mut self, code: &str) {
        let program = self.seats[code].program();
        self.start_as(code, &program).await;
    }

    /// The same with a program of another version.
    pub(crate) async fn start_as(&mut self, code: &str, program: &Path) {
        let (folder, url) = (self.folder.clone(), format!("{}/health/live", self.url(code)));
        let seat = self.seats.get_mut(code).unwrap();
        seat.start(&folder, program);
        let began = Instant::now();
        while !answers(&self.client, &url).await {
            if !seat.runs() {
                // As its supervisor would.
                seat.start(&folder, program);
            }
            let late = began.elapsed() > Duration::from_mins(1);
            assert!(!late, "{code} does not serve: {}", folder.display());
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }

    /// Ends an office's process with -9.
    pub(crate) async fn kill(&mut self, code: &str) {
        self.seats.get_mut(code).unwrap().kill().await;
    }

    /// Compares every view of a stopped office with a fresh fold.
    pub(crate) async fn views_agree(&self, code: &str) -> Result<(), String> {
        let file = self.folder.join(format!("{code}.json"));
        let check = Command::new(self.seats[code].program())
            .arg("--config")
            .arg(file)
            .arg("check-views")
            .output();
        let check = check.await.unwrap();
        let said = String::from_utf8_lossy(&check.stdout).into_owned();
        if check.status.success() && said.contains("agrees") {
            return Ok(());
        }
        Err(format!("{code}: {said}{}", String::from_utf8_lossy(&check.stderr)))
    }

    /// Removes what was written, on PostgreSQL too.
    pub(crate) async fn remove(mut self) {
        for seat in self.seats.values_mut() {
            seat.kill().await;
        }
        if let Some(url) = &self.layout.postgres {
            for seat in self.seats.values() {
                let schema = format!("office_{}", seat.id());
                let engine = event_store::Engine::Postgres { url: url.clone(), schema };
                drop_schema(&engine).await;
            }
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

async fn drop_schema(engine: &event_store::Engine) {
    let event_store::Engine::Postgres { schema, .. } = engine else { return };
    if let Ok(mut conn) = event_store::db::Conn::open_reader_writable(engine).await {
        let _ = conn.exec(&format!("DROP SCHEMA {schema} CASCADE"), vec![]).await;
        conn.close().await;
    }
}

async fn answers(client: &Client, url: &str) -> bool {
    let asked = client.send(hyper::Method::GET, url, &[], Vec::new());
    let reply = tokio::time::timeout(Duration::from_secs(5), asked).await;
    reply.is_ok_and(|reply| reply.is_ok_and(|reply| reply.status == 200))
}

/// Copies a folder whose owner does not run.
pub(crate) fn copy(from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    fs::create_dir_all(to).unwrap();
    // As its owner left it: what others could read, is not opened.
    fs::set_permissions(to, fs::metadata(from).unwrap().permissions()).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

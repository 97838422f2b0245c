//! Brings a city up: hub, services, enrolments, what is loaded, and down again.

mod greeting;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{Arc, atomic::AtomicU64},
};

use desks::{
    config::{Founding, OfficeConfig},
    joining::{MEMBERSHIP, Membership},
};
use serde_json::{Value, json};
use web::{Classification, Wire, client::Client};

use crate::{
    Up,
    api::Api,
    children::{Child, Children},
    files::{absolute, read, stop_signal, write},
    output::{print, say},
    people::people,
    plan::{Mode, Plan, Planned},
    ports::Ports,
    story, term,
};

/// When a demo's clock starts.
const DEMO_START: &str = "2024-01-08T01:00:00Z";

/// Everything of one start.
pub(crate) struct City {
    data: PathBuf,
    bin: PathBuf,
    nats_server: PathBuf,
    /// What is started.
    pub(crate) plan: Plan,
    /// Whether this is the first start.
    first: bool,
    ports: BTreeMap<String, u16>,
    children: Children,
    client: Client,
    sent: Arc<AtomicU64>,
    configs: BTreeMap<String, OfficeConfig>,
    outside_witness: Vec<String>,
}

/// Runs `deploy/up`.
pub(crate) async fn up(up: Up) -> Result<ExitCode, String> {
    let data = absolute(&up.data)?;
    fs::create_dir_all(data.join("run")).map_err(|error| format!("{}: {error}", data.display()))?;
    let lock = fs::File::create(data.join("run/lock")).map_err(|error| error.to_string())?;
    lock.try_lock().map_err(|_| format!("{} is in use by another deploy/up", data.display()))?;
    let mut city = City::new(&up, data)?;
    let stopped = stop_signal();
    let outcome = tokio::select! {
        outcome = city.run(&up) => outcome,
        () = stopped => Ok(if up.once { ExitCode::from(130) } else { ExitCode::SUCCESS }),
    };
    say("stopping …");
    city.children.stop().await;
    outcome
}

impl City {
    fn new(up: &Up, data: PathBuf) -> Result<Self, String> {
        let asked = up.mode();
        let kept = read::<Plan>(&data.join("run/plan.json"));
        let first = kept.is_none();
        let plan: Plan = match kept {
            Some(kept) if asked != Mode::Demo && kept.mode != asked => {
                return Err(format!(
                    "{} holds another city; choose another --data",
                    data.display()
                ));
            }
            Some(kept) => kept,
            None => Plan::asked(asked, up.divisions.as_deref())?,
        };
        write(&data.join("run/plan.json"), &plan)?;
        let mut ports = Ports::new(read(&data.join("run/ports.json")).unwrap_or_default());
        ports.take("nats", 14_222)?;
        for office in &plan.offices {
            ports.take(&office.code, 8_420)?;
        }
        write(&data.join("run/ports.json"), ports.kept())?;
        let bin = match &up.bin {
            Some(bin) => absolute(bin)?,
            None => beside_me()?,
        };
        fs::create_dir_all(data.join("log")).map_err(|error| error.to_string())?;
        Ok(Self {
            children: Children::new(data.join("log")),
            ports: ports.kept().clone(),
            data,
            bin,
            nats_server: up.nats_server.clone(),
            plan,
            client: Client::default(),
            first,
            sent: Arc::default(),
            configs: BTreeMap::new(),
            outside_witness: up.outside_witness.clone(),
        })
    }

    fn port(&self, name: &str) -> u16 {
        self.ports.get(name).copied().unwrap_or(0)
    }

    fn url(&self, code: &str) -> String {
        format!("http://127.0.0.1:{}", self.port(code))
    }

    fn keys(&self, code: &str) -> PathBuf {
        self.data.join("keys").join(code)
    }

    fn store(&self, code: &str) -> PathBuf {
        self.data.join("offices").join(code)
    }

    async fn run(&mut self, up: &Up) -> Result<ExitCode, String> {
        self.start_hub()?;
        self.start_offices().await?;
        self.write_up()?;
        tokio::spawn(keep_up_json(self.children.watch(), self.up_writer()));
        if !self.plan.loaded {
            match self.plan.mode {
                Mode::Demo => story::load(self).await?,
                Mode::Term(scale) => term::play(self, scale).await?,
                Mode::Empty | Mode::Bare => {}
            }
            self.plan.loaded = true;
            write(&self.data.join("run/plan.json"), &self.plan)?;
        }
        let agrees = self.conclude(up).await?;
        if up.once {
            return Ok(if agrees { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        self.greet();
        std::future::pending().await
    }

    /// Prints the results view; whether it is the term's, if a term was played.
    async fn conclude(&self, up: &Up) -> Result<bool, String> {
        let Mode::Term(scale) = self.plan.mode else {
            if up.json && self.plan.is_demo() {
                let results = self.api(self.plan.city())?.get("PLAN", "/api/results").await?;
                print(&results.to_string());
            }
            return Ok(true);
        };
        let (results, agrees) = term::compare(&self.api(self.plan.city())?, scale).await?;
        if up.json {
            print(&results.to_string());
        } else {
            say(&term::table(&results));
        }
        if !agrees {
            say("the results view differs from the published figures");
        }
        Ok(agrees)
    }

    fn start_hub(&mut self) -> Result<(), String> {
        let runs = std::process::Command::new(&self.nats_server).arg("--version").output();
        runs.map_err(|error| format!("nats-server ({}): {error}", self.nats_server.display()))?;
        let config = self.config(&self.plan.offices[0].clone(), None);
        let file = self.write_configs("city", &[config])?;
        let listen = format!("127.0.0.1:{}", self.port("nats"));
        let store = self.data.join("nats");
        fs::create_dir_all(&store).map_err(|error| error.to_string())?;
        let made = std::process::Command::new(self.bin.join("city"))
            .arg("--config")
            .arg(&file)
            .args(["provision", "--listen", &listen, "--store"])
            .arg(&store)
            .output()
            .map_err(|error| format!("{}: {error}", self.bin.join("city").display()))?;
        if !made.status.success() {
            return Err(String::from_utf8_lossy(&made.stderr).into_owned());
        }
        let conf = self.keys(self.plan.city()).join("nats.conf");
        fs::write(&conf, made.stdout).map_err(|error| error.to_string())?;
        self.children.keep(Child {
            name: "nats".to_owned(),
            program: std::env::current_exe().map_err(|error| error.to_string())?,
            arguments: vec![
                "child".to_owned(),
                self.nats_server.display().to_string(),
                "-c".to_owned(),
                conf.display().to_string(),
            ],
        });
        Ok(())
    }

    fn config(&self, office: &Planned, token: Option<String>) -> OfficeConfig {
        let city = office.tier == "city";
        let demo = self.plan.is_demo();
        OfficeConfig {
            listen: format!("127.0.0.1:{}", self.port(&office.code)),
            data: self.store(&office.code),
            keys: self.keys(&office.code),
            city: self.url(self.plan.city()),
            postgres: None,
            token,
            files: None,
            files_journey: None,
            founding: city.then(|| {
                let (code, name) = (office.code.clone(), office.name.clone());
                Founding { code, name, demo }
            }),
            hub: Some(format!("nats://127.0.0.1:{}", self.port("nats"))),
            clock: demo.then(|| DEMO_START.to_owned()),
            people: people(&office.tier, demo),
            wire: if demo { Wire::unhurried() } else { Wire::default() },
            ceiling: Classification::default(),
            openid: None,
            vault_passphrase: None,
            outside_witnesses: self.outside_witness.clone(),
        }
    }

    fn write_configs(&mut self, name: &str, configs: &[OfficeConfig]) -> Result<PathBuf, String> {
        let file = self.data.join("run").join(format!("{name}.json"));
        write(&file, &configs)?;
        Ok(file)
    }

    /// City first; then each tier, which is invited by the city once its parents are enrolled.
    async fn start_offices(&mut self) -> Result<(), String> {
        for tier in ["city", "district", "township"] {
            let offices: Vec<Planned> = self.plan.of_tier(tier).into_iter().cloned().collect();
            let mut configs = Vec::new();
            for office in &offices {
                let known = self.keys(&office.code).join(MEMBERSHIP).exists();
                let token =
                    if known || tier == "city" { None } else { Some(self.invite(office).await?) };
                let config = self.config(office, token);
                self.configs.insert(office.code.clone(), config.clone());
                configs.push((office.code.clone(), config));
            }
            let groups: Vec<Vec<_>> = if self.plan.one_each {
                configs.into_iter().map(|c| vec![c]).collect()
            } else {
                vec![configs]
            };
            for group in groups.into_iter().filter(|group| !group.is_empty()) {
                let name = if self.plan.one_each { group[0].0.clone() } else { tier.to_owned() };
                let offices: Vec<_> = group.into_iter().map(|(_, config)| config).collect();
                let file = self.write_configs(&name, &offices)?;
                self.children.keep(Child {
                    name: format!("{tier}-{name}"),
                    program: self.bin.join(tier),
                    arguments: vec!["--config".to_owned(), file.display().to_string()],
                });
            }
            for office in &offices {
                self.wait_for(office).await?;
            }
            if !offices.is_empty() {
                say(&format!("{} {tier} office(s) serve", offices.len()));
            }
        }
        Ok(())
    }

    async fn wait_for(&self, office: &Planned) -> Result<(), String> {
        let began = std::time::Instant::now();
        while !self.keys(&office.code).join(MEMBERSHIP).exists() {
            if began.elapsed().as_secs() > 120 {
                return Err(format!(
                    "{} was not enrolled; see {}/log",
                    office.name,
                    self.data.display()
                ));
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        self.api(&office.code)?.ready().await
    }

    async fn invite(&self, office: &Planned) -> Result<String, String> {
        let parent = office.parent.as_deref().unwrap_or_else(|| self.plan.city());
        let body = json!({"tier": office.tier, "parent": self.membership(parent)?.seat.office,
            "code": office.code, "name": office.name});
        let key = format!("invite-{}", office.code);
        let city = self.api(self.plan.city())?;
        let done = city.post("SYS", "/api/enrolment-tokens", &key, None, &body).await?;
        Ok(done.body["token"].as_str().unwrap_or_default().to_owned())
    }

    fn membership(&self, code: &str) -> Result<Membership, String> {
        let path = self.keys(code).join(MEMBERSHIP);
        read(&path).ok_or_else(|| format!("{} does not read", path.display()))
    }

    /// The interface of an office.
    pub(crate) fn api(&self, code: &str) -> Result<Api, String> {
        let id = self.membership(code)?.seat.office;
        let (url, keys) = (self.url(code), self.keys(code));
        Ok(Api::new(id, code.to_owned(), url, keys, self.client.clone(), self.sent.clone()))
    }

    fn child_of(&self, office: &Planned) -> String {
        let name = if self.plan.one_each { &office.code } else { &office.tier };
        format!("{}-{name}", office.tier)
    }

    fn write_up(&self) -> Result<(), String> {
        (self.up_writer())()
    }

    /// Writes `run/up.json`, with the processes as they are now.
    fn up_writer(&self) -> impl Fn() -> Result<(), String> + Send + 'static + use<> {
        let children = self.children.clone();
        let path = self.data.join("run/up.json");
        let nats = format!("nats://127.0.0.1:{}", self.port("nats"));
        let offices: Vec<(String, Value)> = self
            .plan
            .offices
            .iter()
            .filter_map(|office| {
                let id = self.membership(&office.code).ok()?.seat.office;
                let entry = json!({"id": id, "tier": office.tier, "code": office.code, "name": office.name,
                    "url": self.url(&office.code), "data": self.store(&office.code), "keys": self.keys(&office.code)});
                Some((self.child_of(office), entry))
            })
            .collect();
        move || {
            let with_pid = |(child, entry): &(String, Value)| {
                let mut entry = entry.clone();
                entry["pid"] = json!(children.pid(child));
                entry
            };
            let offices: Vec<Value> = offices.iter().map(with_pid).collect();
            write(
                &path,
                &json!({"offices": offices, "nats": {"url": nats, "pid": children.pid("nats")}}),
            )
        }
    }
}

async fn keep_up_json(
    mut changed: tokio::sync::watch::Receiver<u64>,
    write: impl Fn() -> Result<(), String> + Send + 'static,
) {
    while changed.changed().await.is_ok() {
        if let Err(why) = write() {
            say(&format!("run/up.json: {why}"));
        }
    }
}

fn beside_me() -> Result<PathBuf, String> {
    let me = std::env::current_exe().map_err(|error| error.to_string())?;
    me.parent().map(Path::to_owned).ok_or_else(|| "no folder of programs".to_owned())
}

//! The hub as processes, one server or a cluster of three: killed, emptied, put back,
//! its bits flipped.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use desks::{config::OfficeConfig, founding::provision_one};
use messaging::{link::Stream, nats::connection::Connection, nats::provision::HubPlace};
use serde_json::Value;
use tokio::process::{Child, Command};

use super::offices::copy;
use crate::chance::Chance;
use crate::ports::port;

/// One nats-server and its store.
struct Server {
    name: String,
    port: u16,
    store: PathBuf,
    conf: PathBuf,
    child: Option<Child>,
}

/// All servers of the hub.
pub(crate) struct Hub {
    servers: Vec<Server>,
}

impl Hub {
    /// A hub of so many servers, which is not configured yet.
    pub(crate) fn new(folder: &Path, servers: usize) -> Self {
        let server = |at: usize| {
            let name = if at == 0 { "nats".to_owned() } else { format!("nats{at}") };
            let (store, conf) = (folder.join(&name), folder.join(format!("{name}.conf")));
            Server { name, port: port(), store, conf, child: None }
        };
        Self { servers: (0..servers).map(server).collect() }
    }

    pub(crate) fn configure(&self, city: &OfficeConfig) {
        let mut routes: Vec<String> = Vec::new();
        if self.servers.len() > 1 {
            routes.extend(self.servers.iter().map(|_| format!("127.0.0.1:{}", port())));
        }
        for server in &self.servers {
            let listen = format!("127.0.0.1:{}", server.port);
            let store = server.store.display().to_string();
            let place =
                HubPlace { name: &server.name, listen: &listen, store: &store, routes: &routes };
            fs::write(&server.conf, provision_one(city, &place).unwrap()).unwrap();
            if !routes.is_empty() {
                routes.rotate_left(1);
            }
        }
    }

    /// The port of the first server.
    pub(crate) fn port(&self) -> u16 {
        self.servers[0].port
    }

    /// Whether it is a cluster.
    pub(crate) fn is_cluster(&self) -> bool {
        self.servers.len() > 1
    }

    /// The addresses past every proxy.
    pub(crate) fn url(&self) -> String {
        let all = self.servers.iter().map(|server| format!("nats://127.0.0.1:{}", server.port));
        all.collect::<Vec<_>>().join(",")
    }

    /// Starts every server that does not run.
    pub(crate) fn start(&mut self) {
        self.servers.iter_mut().for_each(Server::start);
    }

    pub(crate) async fn kill(&mut self) {
        for server in &mut self.servers {
            server.kill().await;
        }
    }

    /// Kills the leader of a stream; its name.
    pub(crate) async fn kill_leader(&mut self, keys: &Path, stream: Stream) -> Option<String> {
        let leader = self.leader(keys, stream).await?;
        self.servers.iter_mut().find(|server| server.name == leader)?.kill().await;
        Some(leader)
    }

    /// Who leads a stream, by the word of the servers that run.
    async fn leader(&self, keys: &Path, stream: Stream) -> Option<String> {
        let told = self.told(keys, stream).await?;
        assert_eq!(told["config"]["num_replicas"], self.servers.len(), "{told}");
        told["cluster"]["leader"].as_str().map(str::to_owned)
    }

    /// What the servers tell of a stream.
    async fn told(&self, keys: &Path, stream: Stream) -> Option<Value> {
        let creds = fs::read_to_string(keys.join("provision.creds")).unwrap();
        let link = Connection::open(&self.url(), "provision", &creds, None).await.ok()?;
        let asked = format!("$JS.API.STREAM.INFO.{}", stream.name());
        let told = link.client.request(asked, "".into()).await.ok()?;
        serde_json::from_slice(&told.payload).ok()
    }

    /// Empties the store of a killed hub.
    pub(crate) fn wipe(&self) {
        for server in &self.servers {
            fs::remove_dir_all(&server.store).unwrap();
        }
    }

    /// Copies the store of a killed hub.
    pub(crate) fn save(&self, to: &Path) {
        for server in &self.servers {
            copy(&server.store, &to.join(&server.name));
        }
    }

    /// Puts an older copy back.
    pub(crate) fn restore(&self, from: &Path) {
        for server in &self.servers {
            copy(&from.join(&server.name), &server.store);
        }
    }

    /// Flips bits in the blocks of HISTORY and SAFE of a killed hub, in the last part of
    /// `parts` of each; how many.
    pub(crate) fn flip(&self, chance: &Chance, most: u64, parts: u64) -> u64 {
        let blocks = self.blocks(&["/HISTORY/msgs", "/SAFE/msgs"]);
        if blocks.is_empty() {
            return 0;
        }
        let flips = 1 + chance.below(most);
        let mut flipped = 0;
        for _ in 0..flips {
            let block = chance.pick(&blocks);
            let mut bytes = fs::read(block).unwrap();
            if bytes.is_empty() {
                continue;
            }
            let back = 1 + chance.below((bytes.len() as u64).div_ceil(parts));
            let at = bytes.len() - usize::try_from(back).unwrap();
            bytes[at] ^= 1 << chance.below(8);
            fs::write(block, bytes).unwrap();
            flipped += 1;
        }
        flipped
    }

    /// Flips a bit in the middle of the first block of HISTORY of a killed hub; how many
    /// blocks there are.
    pub(crate) fn flip_first(&self) -> usize {
        let blocks = self.blocks(&["/HISTORY/msgs"]);
        let number = |path: &PathBuf| {
            let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
            stem.and_then(|stem| stem.parse::<u64>().ok())
        };
        let first = blocks.iter().min_by_key(|path| number(path)).unwrap();
        let mut bytes = fs::read(first).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(first, bytes).unwrap();
        blocks.len()
    }

    /// What the first server says of a store that it cannot read.
    pub(crate) fn complains(&self) -> Option<String> {
        let log = fs::read_to_string(self.servers[0].conf.with_extension("log")).ok()?;
        let words = ["recreating stream", "compression reader", "corrupt", "checksum"];
        let said = log.lines().find(|line| words.iter().any(|word| line.contains(word)))?;
        Some(said.split("] ").last()?.to_owned())
    }

    /// How many messages HISTORY holds, and its last sequence.
    pub(crate) async fn held(&self, keys: &Path) -> Option<(u64, u64)> {
        let told = self.told(keys, Stream::History).await?;
        Some((told["state"]["messages"].as_u64()?, told["state"]["last_seq"].as_u64()?))
    }

    /// The block files of some streams.
    fn blocks(&self, streams: &[&str]) -> Vec<PathBuf> {
        let mut blocks = Vec::new();
        for server in &self.servers {
            find_blocks(&server.store, &mut blocks);
        }
        blocks.retain(|path| {
            let path = path.display().to_string();
            streams.iter().any(|stream| path.contains(stream))
        });
        blocks.sort();
        blocks
    }
}

impl Server {
    fn start(&mut self) {
        if self.child.is_some() {
            return;
        }
        let program =
            std::env::var("LIANDONG_NATS_SERVER").unwrap_or_else(|_| "nats-server".to_owned());
        let log = self.conf.with_extension("log");
        let log = fs::OpenOptions::new().create(true).append(true).open(log).unwrap();
        let child = Command::new(program)
            .arg("-c")
            .arg(&self.conf)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .kill_on_drop(true)
            .spawn();
        self.child = Some(child.expect("nats-server is missing: run ./deploy/test"));
    }

    async fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().await.unwrap();
        }
    }
}

fn find_blocks(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            find_blocks(&path, found);
        } else if path.extension().is_some_and(|end| end == "blk") {
            found.push(path);
        }
    }
}

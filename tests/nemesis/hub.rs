//! The hub as a process: killed, emptied, put back, its bits flipped.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use tokio::process::{Child, Command};

use super::offices::copy;
use crate::chance::Chance;

/// nats-server and its store.
pub(crate) struct Hub {
    pub(crate) port: u16,
    pub(crate) store: PathBuf,
    conf: PathBuf,
    child: Option<Child>,
}

impl Hub {
    pub(crate) fn new(folder: &Path, port: u16) -> Self {
        Self { port, store: folder.join("nats"), conf: folder.join("nats.conf"), child: None }
    }

    pub(crate) fn configure(&self, conf: &str) {
        fs::write(&self.conf, conf).unwrap();
    }

    /// The address past every proxy.
    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    pub(crate) fn start(&mut self) {
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

    pub(crate) async fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().await.unwrap();
        }
    }

    /// Empties the store of a killed hub.
    pub(crate) fn wipe(&self) {
        fs::remove_dir_all(&self.store).unwrap();
    }

    /// Copies the store of a killed hub.
    pub(crate) fn save(&self, to: &Path) {
        copy(&self.store, to);
    }

    /// Puts an older copy back.
    pub(crate) fn restore(&self, from: &Path) {
        copy(from, &self.store);
    }

    /// Flips bits in the blocks of HISTORY and SAFE of a killed hub, in the last part of
    /// `parts` of each; how many.
    pub(crate) fn flip(&self, chance: &Chance, most: u64, parts: u64) -> u64 {
        let mut blocks = Vec::new();
        find_blocks(&self.store, &mut blocks);
        blocks.retain(|path| {
            let path = path.display().to_string();
            path.contains("/HISTORY/msgs") || path.contains("/SAFE/msgs")
        });
        blocks.sort();
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

//! The whole term under fire: `deploy/up --term` whose services and hub are killed
//! with -9 while it plays must end with the same figures.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use serde_json::Value;
use tokio::process::Command;

use crate::chance::Chance;

/// Plays a part of the term (`1/50`) and kills as often as `kills` says; how often
/// it did, and the exit code of `deploy/up`.
pub async fn term(seed: u64, scale: &str, kills: u64) -> (u64, Option<i32>) {
    let chance = Chance::new(seed);
    let data = std::env::temp_dir().join(format!("liandong-nemesis-term-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&data);
    let bin = std::env::var("LIANDONG_BIN").expect("LIANDONG_BIN is not set: run ./deploy/test");
    let mut up = Command::new(PathBuf::from(bin).join("liandong"))
        .arg("--data")
        .arg(&data)
        .args(["--term", "--scale", scale, "--once", "--json"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .spawn()
        .expect("deploy/up is missing: cargo build");
    let mut killed = 0;
    let code = loop {
        let wait = Duration::from_millis(400 + chance.below(900));
        match tokio::time::timeout(wait, up.wait()).await {
            Ok(ended) => break ended.unwrap().code(),
            Err(_) if killed < kills => killed += u64::from(kill_one(&data, &chance).await),
            Err(_) => {}
        }
    };
    let _ = std::fs::remove_dir_all(&data);
    (killed, code)
}

/// Kills one of the processes that `run/up.json` names, once all of them are there.
async fn kill_one(data: &Path, chance: &Chance) -> bool {
    let Ok(up) = std::fs::read(data.join("run/up.json")) else { return false };
    let up: Value = serde_json::from_slice(&up).unwrap_or_default();
    let mut pids: Vec<u64> = up["offices"]
        .as_array()
        .into_iter()
        .flatten()
        .chain([&up["nats"]])
        .filter_map(|it| it["pid"].as_u64())
        .collect();
    pids.sort_unstable();
    pids.dedup();
    if pids.is_empty() {
        return false;
    }
    let pid = chance.pick(&pids).to_string();
    Command::new("kill").args(["-9", &pid]).status().await.is_ok_and(|done| done.success())
}

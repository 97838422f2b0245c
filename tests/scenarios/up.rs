//! `deploy/up` as its user runs it.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

fn program() -> PathBuf {
    let folder = std::env::var("LIANDONG_BIN").expect("LIANDONG_BIN is not set: run ./deploy/test");
    Path::new(&folder).join("liandong")
}

struct Data(PathBuf);

impl Data {
    fn new(name: &str) -> Self {
        let folder =
            std::env::temp_dir().join(format!("liandong-up-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        Self(folder)
    }

    fn up(&self, arguments: &[&str]) -> Output {
        Command::new(program()).arg("--data").arg(&self.0).args(arguments).output().unwrap()
    }

    fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&std::fs::read(self.0.join("run").join(name)).unwrap()).unwrap()
    }
}

impl Drop for Data {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

fn results(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}{errors}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn the_demo_tells_its_story_and_keeps_it() {
    let data = Data::new("demo");
    let first = results(&data.up(&["--once", "--json"]));
    assert_eq!(first["demo"], true);
    assert_eq!(first["levels"][0]["targets"], 94);
    assert!(first["levels"][1]["found"].as_u64().unwrap() >= 3, "{first}");
    let again = results(&data.up(&["--once", "--json"]));
    assert_eq!(again["levels"], first["levels"]);
    let up = data.json("up.json");
    assert_eq!(up["offices"].as_array().unwrap().len(), 5);
    for tier in ["city", "district", "township"] {
        let mut configs: Vec<Value> = Vec::new();
        for office in
            up["offices"].as_array().unwrap().iter().filter(|office| office["tier"] == tier)
        {
            let name = if tier == "city" { "611000" } else { office["code"].as_str().unwrap() };
            configs.extend(data.json(&format!("{name}.json")).as_array().unwrap().iter().cloned());
        }
        let file = data.0.join(format!("{tier}.json"));
        std::fs::write(&file, serde_json::to_vec(&configs).unwrap()).unwrap();
        let service = program().with_file_name(tier);
        let check =
            Command::new(service).arg("--config").arg(&file).arg("check-views").output().unwrap();
        let said = String::from_utf8_lossy(&check.stdout).into_owned();
        assert!(
            check.status.success() && said.contains("agrees"),
            "{said}{}",
            String::from_utf8_lossy(&check.stderr)
        );
    }
    let other = data.up(&["--term", "--once"]);
    assert_eq!(other.status.code(), Some(2), "another city in the same folder is refused");
}

#[test]
fn a_twentieth_of_the_term_agrees_with_the_published_figures() {
    let data = Data::new("term");
    let view = results(&data.up(&["--term", "--scale", "1/20", "--once", "--json"]));
    let row = |at: usize| {
        let row = &view["levels"][at];
        (
            row["targets"].as_u64(),
            row["inspected"].as_u64(),
            row["found"].as_u64(),
            row["rectified"].as_u64(),
        )
    };
    assert_eq!(row(0), (Some(4), Some(4), Some(114), Some(112)));
    assert_eq!(row(1), (Some(31), Some(31), Some(490), Some(420)));
    assert_eq!(row(2), (Some(64), Some(64), Some(168), Some(141)));
}

#[test]
fn an_empty_city_is_real_and_ends_with_its_parent() {
    let data = Data::new("empty");
    let mut up = Command::new(program())
        .arg("--data")
        .arg(&data.0)
        .arg("--empty")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let began = Instant::now();
    let path = data.0.join("run/up.json");
    while !path.exists() {
        assert!(began.elapsed() < Duration::from_mins(1), "it did not come up");
        std::thread::yield_now();
    }
    let view = data.json("up.json");
    assert_eq!(view["offices"].as_array().unwrap().len(), 1);
    let office = view["offices"][0]["id"].as_str().unwrap().to_owned();
    let token = Command::new(program())
        .args(["token", "--data"])
        .arg(&data.0)
        .args([&office, "C_SYS"])
        .output()
        .unwrap();
    assert_eq!(token.status.code(), Some(2), "a real city gives no tokens away");
    let pids: Vec<u64> = [&view["offices"][0]["pid"], &view["nats"]["pid"]]
        .iter()
        .filter_map(|pid| pid.as_u64())
        .collect();
    assert_eq!(pids.len(), 2);
    let stopped = Command::new("kill").args(["-INT", &up.id().to_string()]).status().unwrap();
    assert!(stopped.success() && up.wait().unwrap().success());
    for pid in pids {
        assert!(!Path::new(&format!("/proc/{pid}")).exists(), "{pid} still runs");
    }
}

//! A city of this machine, started as its user would start it: its offices are
//! processes of their own, so that their memory is their own.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

/// The city; ends with its value.
pub(crate) struct City {
    up: Child,
    data: PathBuf,
}

impl City {
    /// Starts it from the programs in `LIANDONG_BIN`.
    pub(crate) fn start() -> Self {
        Self::start_with(&[], None)
    }

    /// The same with more words to `deploy/up`, and something in its environment.
    pub(crate) fn start_with(words: &[&str], environment: Option<(&str, &str)>) -> Self {
        let folder = PathBuf::from(std::env::var("LIANDONG_BIN").unwrap());
        let data = std::env::temp_dir().join(format!("liandong-city-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&data);
        let mut up = Command::new(folder.join("liandong"));
        up.arg("--data").arg(&data).args(words).stdout(Stdio::null()).stderr(Stdio::null());
        up.envs(environment);
        let mut city = Self { up: up.spawn().unwrap(), data };
        let began = Instant::now();
        while !city.data.join("run/up.json").exists() {
            assert!(began.elapsed() < Duration::from_mins(5), "it did not come up");
            assert!(city.up.try_wait().unwrap().is_none(), "it ended by itself");
            std::thread::sleep(Duration::from_millis(20));
        }
        city
    }

    /// Everything of it lies here.
    pub(crate) fn folder(&self) -> &Path {
        &self.data
    }

    /// What `up.json` says now.
    pub(crate) fn up(&self) -> Value {
        let up = std::fs::read(self.folder().join("run/up.json")).unwrap();
        serde_json::from_slice(&up).unwrap()
    }

    /// The first office of a tier.
    pub(crate) fn office(&self, tier: &str) -> Office {
        let up = self.up();
        let mut offices = up["offices"].as_array().unwrap().iter();
        Office(offices.find(|office| office["tier"] == tier).unwrap().clone())
    }
}

impl Drop for City {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-INT", &self.up.id().to_string()]).status();
        let _ = self.up.wait();
        let _ = std::fs::remove_dir_all(&self.data);
    }
}

/// One office, as `up.json` shows it.
pub(crate) struct Office(pub(crate) Value);

impl Office {
    fn text(&self, name: &str) -> String {
        self.0[name].as_str().unwrap().to_owned()
    }

    /// Its address.
    pub(crate) fn url(&self) -> String {
        self.text("url")
    }

    /// A person's word in a role, for the header `authorization`.
    pub(crate) fn token(&self, role: &str) -> String {
        let id = kernel::OfficeId::parse(&self.text("id")).unwrap();
        let token = deploy::token::make(Path::new(&self.text("keys")), &id, role).unwrap();
        format!("Bearer {token}")
    }

    /// A line of what the kernel says of its memory, in MB: `VmRSS`, `VmHWM`.
    pub(crate) fn memory(&self, line: &str) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0["pid"])).unwrap();
        let found = status.lines().find_map(|text| text.strip_prefix(line)?.strip_prefix(':'));
        found.unwrap().trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
    }
}

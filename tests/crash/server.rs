//! A PostgreSQL server whose data lies where its power can be cut.
//!
//! It listens on no port, only in a folder beside the disk. PostgreSQL refuses
//! root: then it runs as `nobody`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// A server at work; it is stopped at once when dropped.
pub struct Server {
    data: PathBuf,
    socket: PathBuf,
}

impl Server {
    /// Starts on a data folder, which is made if it is not there.
    pub fn start(data: &Path, beside: &Path) -> Self {
        let server = Self { data: data.to_owned(), socket: beside.join("socket") };
        fs::create_dir_all(&server.socket).unwrap();
        chown(&server.socket);
        if !data.exists() {
            fs::create_dir_all(data).unwrap();
            chown(data);
            let words =
                ["-D", data.to_str().unwrap(), "-U", "liandong", "-A", "trust", "-E", "UTF8"];
            as_nobody("initdb", &words).expect("a PostgreSQL folder");
        }
        let _ = fs::remove_file(data.join("postmaster.pid"));
        let log = server.socket.join("log");
        let options = format!(
            "-k {} -c listen_addresses='' -c max_wal_size=48MB -c shared_buffers=16MB",
            server.socket.display()
        );
        let words = ["-D", data.to_str().unwrap(), "-w", "-t", "60", "-l"];
        let words = [&words[..], &[log.to_str().unwrap(), "-o", &options, "start"]].concat();
        as_nobody("pg_ctl", &words)
            .unwrap_or_else(|| panic!("PostgreSQL does not start: {:?}", fs::read_to_string(&log)));
        server
    }

    /// What `crash-office` is told about it.
    pub fn words(&self) -> Vec<String> {
        let url = format!("postgres://liandong@localhost/postgres?host={}", self.socket.display());
        vec![url, "office".to_owned()]
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let words = ["-D", self.data.to_str().unwrap(), "-m", "immediate", "-w", "stop"];
        let _ = as_nobody("pg_ctl", &words);
    }
}

fn chown(path: &Path) {
    super::program::must("chown", &["nobody", path.to_str().unwrap()]);
}

/// Runs one of the server's programs; `None` if it failed.
fn as_nobody(program: &str, words: &[&str]) -> Option<()> {
    let mut found: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .expect("PostgreSQL's server programs under /usr/lib/postgresql")
        .map(|entry| entry.unwrap().path().join("bin").join(program))
        .collect();
    found.sort();
    let status = Command::new("runuser")
        .args(["-u", "nobody", "--"])
        .arg(found.last()?)
        .args(words)
        .current_dir("/")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.unwrap().success().then_some(())
}

//! Child processes: started, watched, started again, ended with their parent.

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    path::PathBuf,
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{process::Command, sync::watch, task::JoinSet};

use crate::output::say;

/// How to start one child.
#[derive(Clone, Debug)]
pub(crate) struct Child {
    /// A short name for messages and the log file.
    pub(crate) name: String,
    /// The program.
    pub(crate) program: PathBuf,
    /// Its arguments.
    pub(crate) arguments: Vec<String>,
}

/// All children of one start.
#[derive(Clone)]
pub(crate) struct Children {
    logs: PathBuf,
    pids: Arc<Mutex<BTreeMap<String, u32>>>,
    changed: watch::Sender<u64>,
    stop: watch::Sender<bool>,
    tasks: Arc<Mutex<JoinSet<()>>>,
}

impl Children {
    /// No children yet; their logs go to a folder.
    pub(crate) fn new(logs: PathBuf) -> Self {
        Self {
            logs,
            pids: Arc::default(),
            changed: watch::channel(0).0,
            stop: watch::channel(false).0,
            tasks: Arc::default(),
        }
    }

    /// The process of a child that runs now.
    pub(crate) fn pid(&self, name: &str) -> Option<u32> {
        self.pids.lock().unwrap_or_else(PoisonError::into_inner).get(name).copied()
    }

    /// Told whenever a child started.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Starts a child and keeps it running.
    pub(crate) fn keep(&self, child: Child) {
        let all = self.clone();
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.spawn(async move { all.supervise(child).await });
    }

    async fn supervise(self, child: Child) {
        let mut stop = self.stop.subscribe();
        let mut wait = Duration::from_millis(300);
        while !*stop.borrow_and_update() {
            let began = std::time::Instant::now();
            match self.start(&child) {
                Ok(mut running) => {
                    self.note(&child.name, running.id());
                    tokio::select! {
                        _ = running.wait() => {}
                        _ = stop.changed() => {
                            end(&mut running).await;
                            self.note(&child.name, None);
                            return;
                        }
                    }
                    self.note(&child.name, None);
                    say(&format!(
                        "{} ended by itself and is started again; see its log",
                        child.name
                    ));
                }
                Err(error) => say(&format!("{}: {error}", child.program.display())),
            }
            if began.elapsed() > Duration::from_secs(30) {
                wait = Duration::from_millis(300);
            }
            tokio::select! {
                () = tokio::time::sleep(wait) => wait = (wait * 2).min(Duration::from_secs(10)),
                _ = stop.changed() => {}
            }
        }
    }

    fn start(&self, child: &Child) -> std::io::Result<tokio::process::Child> {
        let log = self.logs.join(format!("{}.log", child.name));
        let log: File = OpenOptions::new().create(true).append(true).open(log)?;
        Command::new(&child.program)
            .args(&child.arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
    }

    fn note(&self, name: &str, pid: Option<u32>) {
        let mut pids = self.pids.lock().unwrap_or_else(PoisonError::into_inner);
        match pid {
            Some(pid) => drop(pids.insert(name.to_owned(), pid)),
            None => drop(pids.remove(name)),
        }
        drop(pids);
        self.changed.send_modify(|count| *count += 1);
    }

    /// Ends all children and waits for them.
    pub(crate) async fn stop(&self) {
        let _ = self.stop.send(true);
        let mut tasks = {
            let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *tasks)
        };
        while tasks.join_next().await.is_some() {}
    }
}

/// SIGTERM, and after ten seconds SIGKILL.
async fn end(child: &mut tokio::process::Child) {
    let pid = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).unwrap_or(0)));
    if let Some(pid) = pid {
        let _ = kill_process(pid, Signal::TERM);
    }
    if tokio::time::timeout(Duration::from_secs(10), child.wait()).await.is_err() {
        let _ = child.kill().await;
    }
}

/// Turns this process into a program that gets a SIGTERM when its parent dies;
/// comes back only with the reason why it could not.
pub(crate) fn become_child(program: &std::path::Path, arguments: &[String]) -> String {
    use std::os::unix::process::CommandExt;
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::set_parent_process_death_signal(Some(Signal::TERM)) {
        return error.to_string();
    }
    std::process::Command::new(program).args(arguments).exec().to_string()
}

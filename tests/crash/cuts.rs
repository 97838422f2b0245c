//! Power cuts: the office works on a recorded disk, and every moment of it can be
//! the last one.
//!
//! What was flushed is kept; of what was written since, each block of 4 KiB is
//! kept or not by a throw. The image is mounted (which replays the file system's
//! journal), the engine opens what it finds, and the audit asks. What a reader
//! would get wrong: a cut is between two writes of the block layer, so that most
//! cuts fall into the middle of a commit.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::{
    audit::Verdict,
    program::{self, must},
    recorder::{FILE, Happened, Recorder},
    seeded::Seeded,
    server::Server,
    tally::Outcome,
};

const BLOCK: usize = 4096;

/// What is tried.
#[derive(Clone, Copy, Debug)]
pub struct Trial {
    /// Whether the store is on PostgreSQL.
    pub postgres: bool,
    /// The length of the script.
    pub turns: usize,
    /// A bug on purpose: syncs of SQLite's log answer without syncing.
    pub lose_syncs: bool,
    /// A write of the disk fails after so many lines of the office.
    pub write_error: Option<usize>,
    /// The office is then killed as soon as it says that it stopped, and started again.
    pub restart: bool,
}

/// A run on a recorded disk.
pub struct Recording {
    trial: Trial,
    folder: PathBuf,
    size: usize,
    history: Vec<Happened>,
    /// When the script began.
    began: usize,
    /// Each line of the office, with the moment after which it was known.
    lines: Vec<(usize, String)>,
}

/// Something mounted, until it is dropped.
pub struct Mounted(PathBuf);

impl Mounted {
    /// Mounts `what` under `at`.
    pub fn new(what: &str, at: &Path, options: &[&str]) -> Self {
        fs::create_dir_all(at).unwrap();
        must("mount", &[options, &[what, at.to_str().unwrap()]].concat());
        Self(at.to_owned())
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.0
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // What still lies open on it is let go of when its user ends.
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

struct Loop(String);

impl Drop for Loop {
    fn drop(&mut self) {
        let _ = Command::new("losetup").args(["-d", &self.0]).status();
    }
}

/// Runs the script on a recorded disk.
pub fn record(folder: &Path, trial: Trial) -> Recording {
    fs::create_dir_all(folder).unwrap();
    let size = if trial.postgres { 192 << 20 } else { 40 << 20 };
    let recorder = Recorder::mount(&folder.join("fuse"), size);
    let recorder = recorder.expect("a FUSE file system can be mounted (root, /dev/fuse)");
    let file = folder.join("fuse").join(FILE);
    let device = Loop(must("losetup", &["--find", "--show", file.to_str().unwrap()]));
    must("mkfs.ext4", &["-q", "-E", "nodiscard,lazy_itable_init=0", "-J", "size=4", &device.0]);
    let mounted = Mounted::new(&device.0, &folder.join("disk"), &[]);
    let office = folder.join("disk/office");
    fs::create_dir_all(&office).unwrap();
    let server = trial.postgres.then(|| Server::start(&folder.join("disk/pg"), folder));
    must("sync", &["-f", office.to_str().unwrap()]);
    let began = recorder.moment();
    let lines = run(&recorder, trial, &office, server.as_ref());
    drop(server);
    drop(mounted);
    drop(device);
    let history = std::mem::take(&mut recorder.disk.lock().unwrap().history);
    Recording { trial, folder: folder.to_owned(), size, history, began, lines }
}

fn run(
    recorder: &Recorder,
    trial: Trial,
    office: &Path,
    server: Option<&Server>,
) -> Vec<(usize, String)> {
    let mut lines = Vec::new();
    let mut starts = 0;
    loop {
        starts += 1;
        let mut child = command(trial, office, server).stdout(Stdio::piped()).spawn().unwrap();
        let mut stopped = false;
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            stopped |= line.ends_with("office-stopped");
            lines.push((recorder.moment(), line + "\n"));
            if trial.write_error == Some(lines.len()) {
                recorder.fail(1);
            }
            if stopped && trial.restart && starts == 1 {
                let _ = child.kill();
            }
        }
        if child.wait().unwrap().success() {
            return lines;
        }
        assert!(stopped && starts < 3, "the office did not come to its end: {lines:?}");
    }
}

fn command(trial: Trial, office: &Path, server: Option<&Server>) -> Command {
    let mut command = Command::new(program::office());
    if trial.lose_syncs && server.is_none() {
        command = Command::new("strace");
        command.args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync,fdatasync"]);
        command.args(["-e", "inject=fsync,fdatasync:retval=0", "-P"]);
        command.arg(office.join("store/office.db-wal")).arg(program::office());
    }
    command.arg("run").arg(office).arg(trial.turns.to_string());
    command.args(server.map(Server::words).unwrap_or_default());
    command
}

impl std::fmt::Display for Recording {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let during = &self.history[self.began..];
        let flushes = during.iter().filter(|h| matches!(h, Happened::Flush)).count();
        let refused = self.refusals();
        let writes = during.len() - flushes;
        write!(f, "recorded {writes} writes and {flushes} flushes, {refused} refusals")
    }
}

impl Recording {
    /// How often the office refused to record.
    pub fn refusals(&self) -> usize {
        self.lines.iter().filter(|(_, line)| line.starts_with("refused")).count()
    }

    /// So many moments, in order, from the script's first write to its last.
    pub fn moments(&self, count: usize, seed: u64) -> Vec<usize> {
        let mut seeded = Seeded::new(seed);
        let span = self.history.len() - self.began;
        let mut moments: Vec<_> = (0..count).map(|_| self.began + seeded.below(span)).collect();
        moments.sort_unstable();
        moments
    }

    /// Cuts the power at each moment and audits what is left.
    pub fn cut(&self, moments: &[usize], seed: u64) -> Vec<Outcome> {
        let mut kept = vec![0; self.size];
        let mut applied = 0;
        let mut outcomes = Vec::new();
        for moment in moments {
            let flushed =
                self.history[..*moment].iter().rposition(|h| matches!(h, Happened::Flush));
            for happened in &self.history[applied..flushed.unwrap_or(0).max(applied)] {
                write(&mut kept, happened, || true);
            }
            applied = flushed.unwrap_or(0).max(applied);
            let mut image = kept.clone();
            let mut seeded = Seeded::new(seed ^ *moment as u64);
            for happened in &self.history[applied..*moment] {
                write(&mut image, happened, || seeded.heads());
            }
            outcomes.push(self.look(*moment, &image));
        }
        outcomes
    }

    /// What had been said by then.
    fn said(&self, moment: usize) -> String {
        let said = self.lines.iter().filter(|(known, _)| *known <= moment);
        said.map(|(_, line)| line.as_str()).collect()
    }

    fn look(&self, moment: usize, image: &[u8]) -> Outcome {
        let file = self.folder.join(format!("cut-{moment}.img"));
        store(&file, image);
        let said = self.said(moment);
        fs::write(file.with_extension("said"), &said).unwrap();
        let verdict = look(&file, self.trial);
        if verdict.is_sound() {
            let _ = fs::remove_file(&file);
            let _ = fs::remove_file(file.with_extension("said"));
        }
        let point = file.display().to_string();
        Outcome { point, reached: true, note: String::new(), verdict, complaint: None }
    }
}

/// Mounts an image and audits the office on it against the `.said` beside it. The
/// image itself is not changed.
pub fn look(file: &Path, trial: Trial) -> Verdict {
    let copy = file.with_extension("copy");
    fs::copy(file, &copy).unwrap();
    let said = fs::read_to_string(file.with_extension("said")).unwrap();
    let at = file.with_extension("mounted");
    let mounted = Mounted::new(copy.to_str().unwrap(), &at, &["-o", "loop"]);
    let server = trial.postgres.then(|| Server::start(&at.join("pg"), file.parent().unwrap()));
    let words = server.as_ref().map(Server::words).unwrap_or_default();
    // The audit's own folder lies on the image, as the office's does.
    let verdict = program::audit(&at.join("office"), trial.turns, &said, &words);
    drop(server);
    drop(mounted);
    let _ = fs::remove_file(copy);
    let _ = fs::remove_dir(at);
    verdict
}

fn write(disk: &mut [u8], happened: &Happened, mut keep: impl FnMut() -> bool) {
    let Happened::Write(offset, bytes) = happened else { return };
    let mut at = 0;
    while at < bytes.len() {
        let end = (at + BLOCK - (offset + at) % BLOCK).min(bytes.len());
        if keep() {
            disk[offset + at..offset + end].copy_from_slice(&bytes[at..end]);
        }
        at = end;
    }
}

/// Writes an image, leaving holes where nothing is.
fn store(file: &Path, image: &[u8]) {
    let out = File::create(file).unwrap();
    out.set_len(image.len() as u64).unwrap();
    for (number, block) in image.chunks(BLOCK).enumerate() {
        if block.iter().any(|byte| *byte != 0) {
            out.write_all_at(block, (number * BLOCK) as u64).unwrap();
        }
    }
}

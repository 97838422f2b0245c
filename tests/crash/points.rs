//! Every system call by which the office changes its disk, as a point to break at.
//!
//! Between two such calls a killed process leaves what it leaves at the second
//! one, so that killing at each call is killing at any instruction. strace lists
//! the calls once, and then breaks one of them a run. What a reader would get
//! wrong: strace counts the calls of each thread apart, which is why the store
//! and the key folder, written by different threads, are listed apart.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use super::{program, tally::Outcome};

/// What changes a disk.
const CHANGES: &[&str] = &[
    "pwrite64",
    "write",
    "writev",
    "pwritev",
    "ftruncate",
    "fallocate",
    "fsync",
    "fdatasync",
    "unlink",
    "unlinkat",
    "rename",
    "renameat",
    "renameat2",
    "openat",
    "mkdir",
    "mkdirat",
    "chmod",
    "fchmod",
    "fchmodat",
];
const SYNCS: &[&str] = &["fsync", "fdatasync"];
const WRITES: &[&str] = &["pwrite64", "write"];

/// What is done to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The process is killed before it.
    Kill,
    /// It answers EIO and does nothing.
    Eio,
    /// It answers ENOSPC and does nothing.
    Enospc,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Kill, Self::Eio, Self::Enospc];

    /// As a point names it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Eio => "eio",
            Self::Enospc => "enospc",
        }
    }

    const fn injection(self) -> &'static str {
        match self {
            Self::Kill => "signal=KILL",
            Self::Eio => "error=EIO",
            Self::Enospc => "error=ENOSPC",
        }
    }

    fn concerns(self, call: &str) -> bool {
        match self {
            Self::Kill => true,
            Self::Eio => SYNCS.contains(&call) || WRITES.contains(&call),
            Self::Enospc => WRITES.contains(&call),
        }
    }
}

/// One point: `kill:used:store:pwrite64:17`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Point {
    /// What is done.
    pub fault: Fault,
    /// `first` start on empty folders, or one of a `used` office.
    pub start: String,
    /// `store` or `keys`.
    pub part: String,
    /// The call.
    pub call: String,
    /// The how-manieth of its thread.
    pub nth: usize,
}

impl Point {
    /// Reads the form of [`Display`](std::fmt::Display).
    pub fn parse(text: &str) -> Option<Self> {
        let words: Vec<&str> = text.split(':').collect();
        let [fault, start, part, call, nth] = words[..] else { return None };
        let fault = Fault::ALL.into_iter().find(|known| known.name() == fault)?;
        let [start, part, call] = [start, part, call].map(str::to_owned);
        Some(Self { fault, start, part, call, nth: nth.parse().ok()? })
    }
}

impl std::fmt::Display for Point {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { fault, start, part, call, nth } = self;
        write!(f, "{}:{start}:{part}:{call}:{nth}", fault.name())
    }
}

/// A folder in which points are tried.
pub struct Rig {
    folder: PathBuf,
    turns: usize,
}

impl Rig {
    /// Prepares a used office; `turns` is how long each run is.
    pub fn new(folder: &Path, turns: usize) -> Self {
        let _ = fs::remove_dir_all(folder);
        fs::create_dir_all(folder.join("first")).unwrap();
        let rig = Self { folder: folder.to_owned(), turns };
        let used = folder.join("used");
        fs::create_dir_all(&used).unwrap();
        // One turn is done already: its commands are asked again at each point.
        let output = Command::new(program::office()).arg("run").arg(&used).arg("1").output();
        assert!(output.unwrap().status.success(), "the office does not run at all");
        rig
    }

    /// Every point of a fault, in the order of calls.
    pub fn points(&self, fault: Fault) -> Vec<Point> {
        let mut points = Vec::new();
        for start in ["first", "used"] {
            for part in ["store", "keys"] {
                let most = self.calls(start, part);
                for (call, most) in most {
                    if fault.concerns(&call) {
                        points.extend((1..=most).map(|nth| Point {
                            fault,
                            start: start.to_owned(),
                            part: part.to_owned(),
                            call: call.clone(),
                            nth,
                        }));
                    }
                }
            }
        }
        points
    }

    /// How often the busiest thread makes each call.
    fn calls(&self, start: &str, part: &str) -> BTreeMap<String, usize> {
        let place = self.fresh(&format!("list-{start}-{part}"), start);
        let (output, log) = self.strace(&place, part, &[]);
        let said = String::from_utf8_lossy(&output.stdout);
        let why = String::from_utf8_lossy(&output.stderr);
        assert!(
            said.ends_with("end\n") && !log.is_empty(),
            "strace can't trace a program here (ptrace is not permitted?): {why}"
        );
        let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        for (thread, call, _) in log.lines().filter_map(call) {
            *counts.entry((call, thread)).or_default() += 1;
        }
        let mut most = BTreeMap::new();
        for ((call, _), count) in counts {
            let known: &mut usize = most.entry(call.to_owned()).or_default();
            *known = count.max(*known);
        }
        most
    }

    /// Breaks one call and audits what is left.
    pub fn try_point(&self, point: &Point) -> Outcome {
        let place = self.fresh(&point.to_string().replace(':', "-"), &point.start);
        let inject =
            format!("inject={}:{}:when={}", point.call, point.fault.injection(), point.nth);
        let (output, log) = self.strace(&place, &point.part, &["-e", &inject]);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let ended = said.ends_with("end\n");
        let reached = match point.fault {
            Fault::Kill => !ended,
            _ => log.contains("(INJECTED)"),
        };
        let verdict = program::audit(&place, self.turns, &said, &[]);
        let complaint = match point.fault {
            Fault::Kill => None,
            _ => complaint(point, &said, &log),
        };
        let note = note(&said);
        if verdict.is_sound() && complaint.is_none() {
            let _ = fs::remove_dir_all(&place);
        }
        Outcome { point: point.to_string(), reached, note, verdict, complaint }
    }

    /// A copy of the office as it is before the run.
    fn fresh(&self, name: &str, start: &str) -> PathBuf {
        let place = self.folder.join("at").join(name);
        let _ = fs::remove_dir_all(&place);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        let from = self.folder.join(start);
        program::must("cp", &["-r", from.to_str().unwrap(), place.to_str().unwrap()]);
        place
    }

    fn strace(&self, place: &Path, part: &str, more: &[&str]) -> (Output, String) {
        let log = place.with_extension("strace");
        let mut strace = Command::new("strace");
        strace.args(["-f", "-q", "-y", "-s", "0", "-e", "signal=none", "-o"]).arg(&log);
        strace.arg("-e").arg(format!("trace={}", CHANGES.join(","))).args(more);
        for path in paths(place, part) {
            strace.arg("-P").arg(path);
        }
        strace.arg(program::office()).arg("run").arg(place).arg(self.turns.to_string());
        let output = strace.output().unwrap_or_else(|error| panic!("strace: {error}"));
        (output, fs::read_to_string(&log).unwrap_or_default())
    }
}

fn paths(place: &Path, part: &str) -> Vec<PathBuf> {
    let names: &[&str] = match part {
        "store" => {
            &["", "office.db", "office.db-wal", "office.db-shm", "office.db-journal", "lock"]
        }
        _ => &["", "event.key", "event.key.next", "sent-up-to", "sent-up-to.next"],
    };
    let folder = place.join(part);
    names
        .iter()
        .map(|name| if name.is_empty() { folder.clone() } else { folder.join(name) })
        .collect()
}

/// Thread, call and the rest of a line of strace.
fn call(line: &str) -> Option<(&str, &str, &str)> {
    let (thread, rest) = line.split_once(' ')?;
    let (call, rest) = rest.trim_start().split_once('(')?;
    CHANGES.contains(&call).then_some((thread, call, rest))
}

/// What the office said about the fault.
fn note(said: &str) -> String {
    let told =
        |line: &&str| ["refused", "did-not-open", "not-sent"].iter().any(|w| line.starts_with(w));
    let lines: BTreeSet<&str> = said.lines().filter(told).collect();
    Vec::from_iter(lines).join("; ")
}

/// After an error the office must come to its end, and after a failed sync it must
/// not go on writing as if the next sync could mend it: it opens the file anew first.
fn complaint(point: &Point, said: &str, log: &str) -> Option<String> {
    // strace counts a new connection's thread from the start: the error comes again.
    let once = log.matches("(INJECTED)").count() == 1 && !said.contains("did-not-open");
    if once && point.part == "store" && !said.ends_with("end\n") {
        return Some("the office did not recover without a restart".to_owned());
    }
    if !SYNCS.contains(&point.call.as_str()) {
        return None;
    }
    let calls = log.lines().filter_map(call);
    let mut calls = calls.skip_while(|(_, _, rest)| !rest.contains("(INJECTED)"));
    let (thread, _, rest) = calls.next()?;
    let (file, _) = rest.split_once('>')?;
    let (_, path) = file.split_once('<')?;
    for (other, call, rest) in calls {
        if call == "openat" && rest.contains(&format!("\"{path}\"")) {
            return None;
        }
        if other == thread && WRITES.contains(&call) && rest.starts_with(&format!("{file}>")) {
            return Some(format!("{path} was written on after its sync had failed"));
        }
    }
    None
}

//! What the kernel says of a process: memory, threads, open files, processor time.

use std::time::Duration;

/// A process, as `up.json` names it.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    pub(crate) name: &'static str,
    pub(crate) pid: u64,
}

impl Process {
    fn read(&self, file: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{file}", self.pid)).unwrap_or_default()
    }

    /// A line of its status; 0 of a process that is gone.
    pub(crate) fn status(&self, line: &str) -> u64 {
        let status = self.read("status");
        let found = status.lines().find_map(|text| text.strip_prefix(line)?.strip_prefix(':'));
        found.and_then(|text| text.split_whitespace().next()?.parse().ok()).unwrap_or(0)
    }

    /// Its open files.
    pub(crate) fn files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.pid)).map_or(0, Iterator::count)
    }

    /// The processor time that it took since its start; the kernel counts hundredths.
    pub(crate) fn cpu(&self) -> Duration {
        let stat = self.read("stat");
        let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
        let ticks: u64 =
            fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
        Duration::from_millis(ticks * 10)
    }

    /// Whether it still runs.
    pub(crate) fn lives(&self) -> bool {
        !self.read("status").is_empty()
    }
}

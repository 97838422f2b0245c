//! The figures of one office, as Prometheus reads them.
//!
//! Some are counted where they happen; the others are set just before somebody
//! reads them. Labels are codes, route templates and office ids: a label that a
//! caller could choose would let him fill the memory.

use std::time::Duration;

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Metric, Registry, Unit},
};

/// A command, by who sent it and what it came to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    by: &'static str,
    code: &'static str,
}

/// A request, by its row in the table of routes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Asked {
    method: &'static str,
    route: &'static str,
    status: u16,
}

/// A reason or a class, as a stable code.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: String,
}

type Seconds = fn() -> Histogram;

/// Half a millisecond to sixteen seconds.
fn seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.0005, 2.0, 16))
}

/// The figures of one office since its store was opened.
#[derive(Debug)]
pub struct Figures {
    registry: Registry,
    commits: Counter,
    batch: Histogram,
    commands: Family<Outcome, Counter>,
    http: Family<Asked, Histogram, Seconds>,
    permit: Histogram,
    states: Family<State, Gauge>,
    held: Family<Reason, Gauge>,
    evidence: Family<Reason, Gauge>,
    intake: Family<Reason, Counter>,
    rss: Gauge,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct State {
    what: &'static str,
}

impl Figures {
    /// The figures of the office with this id.
    pub fn new(office: &str) -> Self {
        let label = ("office".into(), office.to_owned().into());
        let mut registry = Registry::with_labels(std::iter::once(label));
        let all = &mut registry;
        Self {
            commits: put(all, "commits", "Transactions committed", Counter::default()),
            batch: {
                let sizes = Histogram::new(exponential_buckets(1.0, 2.0, 9));
                put(all, "batch_commands", "Commands in one transaction", sizes)
            },
            commands: put(all, "commands", "Commands by what they came to", Family::default()),
            http: {
                let by_route = Family::new_with_constructor(seconds as Seconds);
                timed(all, "http_request", "Until the head of the answer, by route", by_route)
            },
            permit: timed(all, "reader_wait", "Wait for a reading connection", seconds()),
            states: put(all, "state", "What is so now, by name", Family::default()),
            held: put(all, "held", "Entries that wait, by reason", Family::default()),
            evidence: put(all, "evidence", "Entries not allowed, by code", Family::default()),
            intake: put(all, "intake", "What intake met, by class", Family::default()),
            rss: put(all, "process_resident_bytes", "Memory of the process", Gauge::default()),
            registry,
        }
    }

    /// A transaction of so many commands was committed.
    pub fn committed(&self, commands: usize) {
        self.commits.inc();
        self.batch.observe(f64::from(u32::try_from(commands).unwrap_or(u32::MAX)));
    }

    /// A command came to an end.
    pub fn commanded(&self, by: &'static str, code: &'static str) {
        self.commands.get_or_create(&Outcome { by, code }).inc();
    }

    /// A request was answered.
    pub fn asked(&self, method: &'static str, route: &'static str, status: u16, took: Duration) {
        let row = Asked { method, route, status };
        self.http.get_or_create(&row).observe(took.as_secs_f64());
    }

    /// A reader was waited for.
    pub fn waited(&self, took: Duration) {
        self.permit.observe(took.as_secs_f64());
    }

    /// Something is so now.
    pub fn is(&self, what: &'static str, now: u64) {
        self.states.get_or_create(&State { what }).set(i64::try_from(now).unwrap_or(i64::MAX));
    }

    /// What waits and what was kept as evidence, now, by reason; what is not named is gone.
    pub fn set_aside(&self, held: Vec<(String, u64)>, evidence: Vec<(String, u64)>) {
        for (family, rows) in [(&self.held, held), (&self.evidence, evidence)] {
            family.clear();
            for (reason, count) in rows {
                let gauge = family.get_or_create(&Reason { reason });
                gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
            }
        }
    }

    /// How often intake met a class since the start.
    pub fn met(&self, class: &str, count: u64) {
        let counter = self.intake.get_or_create(&Reason { reason: class.to_owned() });
        counter.inner().store(count, std::sync::atomic::Ordering::Relaxed);
    }

    /// The page, in the text form of `OpenMetrics`.
    pub fn page(&self) -> String {
        self.rss.set(i64::try_from(resident().unwrap_or(0)).unwrap_or(0));
        let mut page = String::new();
        // Writing to a string does not fail.
        let _ = encode(&mut page, &self.registry);
        page
    }
}

fn put<M: Metric + Clone>(all: &mut Registry, name: &str, help: &str, metric: M) -> M {
    all.register(format!("liandong_{name}"), help, metric.clone());
    metric
}

fn timed<M: Metric + Clone>(all: &mut Registry, name: &str, help: &str, metric: M) -> M {
    all.register_with_unit(format!("liandong_{name}"), help, Unit::Seconds, metric.clone());
    metric
}

/// The content type of a page.
pub const KIND: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The pages of many offices as one: each family is described once.
pub fn joined(pages: &[String]) -> String {
    let mut families: Vec<(&str, String)> = Vec::new();
    for page in pages {
        let mut at = None;
        for line in page.lines().filter(|line| *line != "# EOF") {
            if let Some(about) = line.strip_prefix("# HELP ") {
                let name = about.split(' ').next().unwrap_or_default();
                let known = families.iter().position(|(family, _)| *family == name);
                at = Some((known.unwrap_or(families.len()), known.is_none()));
                if known.is_none() {
                    families.push((name, String::new()));
                }
            }
            let Some((family, new)) = at else { continue };
            if new || !line.starts_with('#') {
                families[family].1 += line;
                families[family].1.push('\n');
            }
        }
    }
    families.into_iter().map(|(_, text)| text).chain(["# EOF\n".to_owned()]).collect()
}

/// The memory of this process that is in RAM, in bytes; none where nobody says.
pub fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_names_codes_and_templates_and_many_pages_describe_a_family_once() {
        let (one, two) = (Figures::new("aaaaaaaa"), Figures::new("bbbbbbbb"));
        for figures in [&one, &two] {
            figures.committed(3);
            figures.commanded("person", "busy");
            figures.asked("GET", "/api/rounds/{id}", 200, Duration::from_millis(3));
            figures.is("queue_waiting", 7);
            figures.set_aside(vec![("gap".into(), 2)], Vec::new());
            figures.met("received", 5);
        }
        let page = joined(&[one.page(), two.page()]);
        for line in [
            r#"liandong_commands_total{by="person",code="busy",office="bbbbbbbb"} 1"#,
            r#"liandong_http_request_seconds_count{method="GET",route="/api/rounds/{id}",status="200",office="aaaaaaaa"} 1"#,
            r#"liandong_held{reason="gap",office="bbbbbbbb"} 2"#,
            r#"liandong_intake_total{reason="received",office="bbbbbbbb"} 5"#,
            r#"liandong_state{what="queue_waiting",office="aaaaaaaa"} 7"#,
        ] {
            assert!(page.lines().any(|l| sorted(l) == sorted(line)), "{line}\n{page}");
        }
        assert_eq!(page.matches("# TYPE liandong_commands counter").count(), 1);
        assert_eq!(page.matches("# EOF").count(), 1);
        one.set_aside(Vec::new(), Vec::new());
        assert!(!one.page().contains("liandong_held{"), "what no longer waits is not shown");
    }

    /// A line with its labels in order.
    fn sorted(line: &str) -> Vec<&str> {
        let mut words: Vec<_> = line.split(['{', '}', ',']).collect();
        words.sort_unstable();
        words
    }
}

//! Where the time of one fact goes: the steps that the processes send to a collector,
//! laid over what the caller saw. Steps are told in whole milliseconds.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use serde_json::Value;
use telemetry::{otlp, way};

use crate::{live::Times, quantile, say};

/// When a step of a trace began and ended, in milliseconds since 1970.
type Steps = BTreeMap<String, BTreeMap<String, (i64, i64)>>;

/// The collector and what came.
pub(crate) struct Way {
    address: String,
    steps: Arc<Mutex<Steps>>,
}

impl Way {
    /// Begins to collect.
    pub(crate) fn collect() -> Self {
        let (address, bodies) = tests::collector::collector();
        let steps: Arc<Mutex<Steps>> = Arc::default();
        let kept = steps.clone();
        std::thread::spawn(move || {
            while let Ok(body) = bodies.recv() {
                keep(&body, &mut kept.lock().unwrap_or_else(PoisonError::into_inner));
            }
        });
        Self { address, steps }
    }

    /// Where processes send their spans.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Says where the time of these measures went.
    pub(crate) fn tell(&self, times: &Times) {
        // The processes send once a second.
        std::thread::sleep(Duration::from_secs(4));
        let steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
        let mut parts: Vec<(&str, Vec<Duration>)> = [
            "due → township's writer begins (HTTP, queue)",
            "township's commit",
            "commit → its relay sends (the batch before is on its way)",
            "relay → ingest publishes (hub, checks)",
            "ingest's publishing",
            "published → the city's intake has it",
            "intake, fold, commit at the city",
            "commit → the feed's reader has it",
        ]
        .map(|name| (name, Vec::new()))
        .into();
        let mut whole = 0;
        for one in times.0.iter().filter(|one| !one.id.is_empty()) {
            let trace = otlp::hex(&way::trace_of(&one.id));
            let Some(steps) = steps.get(&trace) else { continue };
            let step = |name: &str| steps.get(name).copied();
            let (Some(record), Some(relay), Some(ingest), Some(intake), Some(fold)) =
                (step("record"), step("relay"), step("ingest"), step("intake"), step("fold"))
            else {
                continue;
            };
            whole += 1;
            let moments = [
                one.due_at,
                record.0,
                record.1,
                relay.0,
                ingest.0,
                ingest.1,
                intake.0,
                fold.1,
                one.came_at,
            ];
            for (part, pair) in parts.iter_mut().zip(moments.windows(2)) {
                let took = u64::try_from(pair[1] - pair[0]).unwrap_or(0);
                part.1.push(Duration::from_millis(took));
            }
        }
        say(&format!("where the time of {whole} went, p50 and p99 of each part:"));
        for (name, samples) in &mut parts {
            let [p50, p99] = [0.5, 0.99].map(|at| quantile(samples, at).as_millis());
            say(&format!("  {p50:>5} {p99:>5} ms  {name}"));
        }
    }
}

/// Keeps the steps of measures; at the city only what it does with them as their reader.
fn keep(body: &Value, steps: &mut Steps) {
    let spans = body["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array();
    for span in spans.into_iter().flatten() {
        let about = span["attributes"].as_array();
        let of_measure = |of: &Value| {
            of["value"]["stringValue"] == "cn.liandong.rectification.measure-planned.v1"
        };
        if !about.into_iter().flatten().any(of_measure) {
            continue;
        }
        let text = |name: &str| span[name].as_str().unwrap_or_default().to_owned();
        let at = |name: &str| text(name).parse::<i64>().unwrap_or(0) / 1_000_000;
        let pair = (at("startTimeUnixNano"), at("endTimeUnixNano"));
        steps.entry(text("traceId")).or_default().insert(text("name"), pair);
    }
}

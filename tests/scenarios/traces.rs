//! One trace from a township's command to its reader's view, without a byte on the wire.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use hyper::Method;
use serde_json::{Value, json};
use telemetry::{otlp, way};
use tests::{
    collector::collector,
    town::{CITY, DISTRICT, TOWN, Town},
};
use web::client::Client;

/// The spans of a request to a collector, each with its service's name.
fn spans(body: &Value) -> Vec<Value> {
    let resource = &body["resourceSpans"][0];
    let service = &resource["resource"]["attributes"][0]["value"]["stringValue"];
    let spans = resource["scopeSpans"][0]["spans"].as_array().unwrap();
    let named = |span: &Value| {
        let mut span = span.clone();
        span["service"] = service.clone();
        span
    };
    spans.iter().map(named).collect()
}

fn attribute<'s>(span: &'s Value, key: &str) -> &'s str {
    let mut all = span["attributes"].as_array().unwrap().iter();
    let found = all.find(|attribute| attribute["key"] == key);
    found.and_then(|attribute| attribute["value"]["stringValue"].as_str()).unwrap_or_default()
}

/// The span that another names as its parent.
fn parent<'s>(all: &'s [&'s Value], span: &Value) -> Option<&'s Value> {
    all.iter().copied().find(|other| other["spanId"] == span["parentSpanId"])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_with_a_traceparent_is_linked_with_the_way_of_its_event() {
    let mut way = way::switch_on().unwrap();
    let town = Town::start().await;
    let id = kernel::OfficeId::parse(&town.id(TOWN)).unwrap();
    let token = format!("Bearer {}", deploy::token::make(&town.keys(TOWN), &id, "COM").unwrap());
    let caller = "4bf92f3577b34da6a3ce929d0e0e4736";
    let traceparent = format!("00-{caller}-00f067aa0ba902b7-01");
    let headers = [
        ("authorization", token.as_str()),
        ("idempotency-key", "traced"),
        ("traceparent", traceparent.as_str()),
    ];
    let body = json!({"set": "staff", "period": "traced", "due": "2024-06-30"}).to_string();
    let url = format!("{}/api/filings", town.url(TOWN));
    let reply = Client::default().send(Method::POST, &url, &headers, body.into()).await.unwrap();
    assert_eq!(reply.status, 201);
    let (mut all, began) = (Vec::new(), Instant::now());
    let offices = [town.id(TOWN), town.id(CITY), town.id(DISTRICT)];
    loop {
        assert!(began.elapsed() < Duration::from_mins(1), "the way is not whole");
        let mut batch = Vec::new();
        way.recv_many(&mut batch, 100).await;
        let body: Value = serde_json::from_slice(&otlp::body("test", &batch)).unwrap();
        all.extend(spans(&body));
        let asked = all.iter().find(|span| span["traceId"] == caller);
        let Some(asked) = asked else { continue };
        assert_eq!(
            (&asked["name"], &asked["parentSpanId"]),
            (&json!("/api/filings"), &json!("00f067aa0ba902b7"))
        );
        let link = json!([{"traceId": caller, "spanId": asked["spanId"]}]);
        let Some(record) = all.iter().find(|span| span["links"] == link) else { continue };
        let of_event: Vec<_> = all.iter().filter(|s| s["traceId"] == record["traceId"]).collect();
        let Some(fold) = of_event.iter().find(|span| span["name"] == "fold") else { continue };
        let mut steps = vec![*fold];
        while let Some(before) = parent(&of_event, steps[steps.len() - 1]) {
            steps.push(before);
        }
        let names: Vec<_> = steps.iter().map(|span| span["name"].as_str().unwrap()).collect();
        if names.len() < 5 {
            continue;
        }
        assert_eq!(names, ["fold", "intake", "ingest", "relay", "record"]);
        let where_: Vec<_> = steps.iter().map(|span| attribute(span, "liandong.office")).collect();
        assert_eq!(where_, [&offices[2], &offices[2], &offices[1], &offices[0], &offices[0]]);
        break;
    }
}

#[test]
fn three_processes_send_one_trace_to_a_collector_and_no_content() {
    let (address, bodies) = collector();
    let folder = std::env::var("LIANDONG_BIN").expect("LIANDONG_BIN is not set: run ./deploy/test");
    let data = std::env::temp_dir().join(format!("liandong-traces-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&data);
    let mut up = Command::new(Path::new(&folder).join("liandong"));
    up.arg("--data").arg(&data).env("OTEL_EXPORTER_OTLP_ENDPOINT", address);
    let mut up = up.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let began = Instant::now();
    let mut traces: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut whole = false;
    while !whole && began.elapsed() < Duration::from_secs(90) {
        let Ok(body) = bodies.recv_timeout(Duration::from_secs(20)) else { break };
        for span in spans(&body) {
            for attribute in span["attributes"].as_array().unwrap() {
                let key = attribute["key"].as_str().unwrap();
                assert!(matches!(key, "liandong.office" | "liandong.type"), "{span}");
            }
            let (service, name) =
                (span["service"].as_str().unwrap(), span["name"].as_str().unwrap());
            assert!(name.is_ascii() && service.starts_with("liandong-"), "{span}");
            let trace = traces.entry(span["traceId"].as_str().unwrap().to_owned()).or_default();
            trace.insert(format!("{service} {name}"));
            whole |= [
                "liandong-township record",
                "liandong-township relay",
                "liandong-city ingest",
                "liandong-district intake",
                "liandong-district fold",
            ]
            .iter()
            .all(|step| trace.contains(*step));
        }
    }
    let stopped = Command::new("kill").args(["-INT", &up.id().to_string()]).status().unwrap();
    assert!(stopped.success() && up.wait().unwrap().success());
    assert!(whole, "no trace holds every step: {traces:?}");
    std::fs::remove_dir_all(&data).unwrap();
}

//! Spans in the form that a collector takes: OTLP over HTTP, as JSON.
//!
//! The official exporter brings protobuf, a second HTTP client and a pipeline of its
//! own, and it cannot be told which trace a span belongs to. A page of JSON is all
//! that is needed here.

use data_encoding::HEXLOWER;
use serde_json::{Value, json};

use crate::way::{Caller, Span};

/// The path below the collector's address.
pub const PATH: &str = "/v1/traces";

/// The body of one request.
pub fn body(service: &str, spans: &[Span]) -> Vec<u8> {
    let spans: Vec<Value> = spans.iter().map(one).collect();
    let about = [text("service.name", service), text("service.version", env!("CARGO_PKG_VERSION"))];
    let body = json!({"resourceSpans": [{
        "resource": {"attributes": about},
        "scopeSpans": [{"scope": {"name": "liandong"}, "spans": spans}],
    }]});
    body.to_string().into_bytes()
}

fn one(span: &Span) -> Value {
    let mut attributes = vec![text("liandong.office", &span.office)];
    if !span.kind.is_empty() {
        attributes.push(text("liandong.type", &span.kind));
    }
    let mut one = json!({
        "traceId": hex(&span.at.trace),
        "spanId": hex(&span.at.span),
        "name": span.name,
        "kind": 1,
        "startTimeUnixNano": span.began.to_string(),
        "endTimeUnixNano": span.ended.to_string(),
        "attributes": attributes,
    });
    if let Some(parent) = &span.parent {
        one["parentSpanId"] = hex(parent).into();
    }
    if let Some(Caller { trace, span }) = &span.link {
        one["links"] = json!([{"traceId": hex(trace), "spanId": hex(span)}]);
    }
    one
}

fn text(key: &str, value: &str) -> Value {
    json!({"key": key, "value": {"stringValue": value}})
}

/// Lower-case hexadecimal, as OTLP's JSON writes ids.
pub fn hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}

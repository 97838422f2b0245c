//! OpenAPI 3.1 from the table of routes.

use std::{collections::BTreeSet, sync::Arc};

use access::{
    Subject,
    policy::{self, Row},
};
use axum::{
    Router,
    body::Bytes,
    http::{Method, header::CONTENT_TYPE},
    routing::get,
};
use kernel::Code;
use schemars::{Schema, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use crate::{Route, Seat, Who};

/// The document of these routes.
pub(crate) fn document(routes: &[Route], seat: &Seat) -> Value {
    let settings = SchemaSettings::draft2020_12().with(|s| {
        s.definitions_path = "/components/schemas".into();
    });
    let mut generator = settings.into_generator();
    let mut paths = Map::new();
    for route in routes {
        let mut operation = described(route);
        let mut parameters = path_parameters(route.path);
        if route.method == Method::POST
            && !matches!(route.who, Who::Public | Who::Oneself)
            && !route.streams
        {
            parameters.push(header("Idempotency-Key", true));
            parameters.push(header("Act-Date", false));
        }
        if route.if_match || route.if_known {
            parameters.push(header("If-Match", route.if_match));
        }
        if matches!(route.method, Method::POST | Method::PUT) && route.who != Who::Public {
            parameters.push(header("Security-Classification", false));
        }
        parameters.extend(route.headers.iter().map(|name| header(name, false)));
        for query in &route.query {
            parameters.extend(query_parameters(&query(&mut generator)));
        }
        operation["parameters"] = parameters.into();
        if route.who == Who::Public {
            operation["security"] = json!([]);
        }
        if let Some(body) = route.body {
            let schema = body(&mut generator);
            let mut schema = schema.to_value();
            clean(&mut schema);
            let needed = !schema.get("$ref").is_some_and(|of| of == NOTHING);
            operation["requestBody"] =
                json!({"required": needed, "content": {"application/json": {"schema": schema}}});
        }
        let brings = matches!(route.method, Method::POST | Method::PUT);
        if route.streams && brings {
            operation["requestBody"] = json!({"required": true, "content": {"application/octet-stream": {"schema": {"type": "string", "minLength": 1}}}});
        }
        let item = paths.entry(route.path.replace("{*", "{")).or_insert_with(|| json!({}));
        item[route.method.as_str().to_lowercase()] = operation;
    }
    let mut schemas: Map<String, Value> = generator.take_definitions(true).into_iter().collect();
    schemas.values_mut().for_each(clean);
    schemas.insert("Problem".to_owned(), problem_schema());
    json!({
        "openapi": "3.1.0",
        "info": {"title": format!("联动 Liandong · {}", seat.name), "version": env!("CARGO_PKG_VERSION")},
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
    })
}

/// What a route says of itself.
fn described(route: &Route) -> Value {
    json!({
        "summary": route.does[0],
        "description": route.does[1],
        "x-who": who(route.who),
        "x-policy": governed_by(route.who),
        "responses": {
            "2XX": {"description": "完成 / done"},
            "default": {
                "description": "拒绝 / refused (RFC 9457)",
                "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
            },
        },
    })
}

/// The rows of the policy table that stand before a route.
fn governed_by(who: Who) -> Value {
    match who {
        Who::Public | Who::SignedIn | Who::Oneself => json!([]),
        Who::DoesOne(actions) => json!(actions),
        Who::Reads(subjects) => subjects.iter().map(|of| format!("read {}", of.code())).collect(),
        Who::ReadsWhole(of) => json!([format!("read {}", of.code())]),
        Who::Does(action) | Who::DoesWhole(action) => json!([action]),
    }
}

fn who(who: Who) -> Value {
    match who {
        Who::Public => "public".into(),
        Who::SignedIn => "signed-in".into(),
        Who::Oneself => "oneself".into(),
        Who::Reads(subjects) => roles(policy::READ, subjects),
        Who::DoesOne(actions) => {
            let named: Vec<&Row> =
                actions.iter().flat_map(|action| policy::rows(action, &[])).collect();
            named.iter().flat_map(|row| row.roles).copied().collect()
        }
        Who::ReadsWhole(subject) => roles(policy::READ, &[subject]),
        Who::Does(action) | Who::DoesWhole(action) => roles(action, &[]),
    }
}

/// The roles that the policy table names.
fn roles(action: &str, subjects: &[Subject]) -> Value {
    let named: BTreeSet<&str> =
        policy::rows(action, subjects).flat_map(|row| row.roles).copied().collect();
    if named.contains("*") { "signed-in".into() } else { json!(named) }
}

/// A body with nothing in it may be left out.
const NOTHING: &str = "#/components/schemas/Nothing";
/// What a text may hold: no controls but line ends and tabs, no direction overrides.
const CLEAN: &str = r"^[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069\ufffe\uffff]*$";

/// Says of every text that says no more what it may hold.
fn clean(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            let is_text = members.get("type").is_some_and(|of| {
                of == "string" || of.as_array().is_some_and(|all| all.contains(&json!("string")))
            });
            let says = ["pattern", "format", "enum", "const", "minLength"];
            if is_text && !says.iter().any(|name| members.contains_key(*name)) {
                members.insert("pattern".to_owned(), CLEAN.into());
            }
            members.values_mut().for_each(clean);
        }
        Value::Array(items) => items.iter_mut().for_each(clean),
        _ => {}
    }
}

fn header(name: &str, required: bool) -> Value {
    let schema = match name {
        "Idempotency-Key" => {
            json!({"type": "string", "pattern": r"^[!-~]([\t -~]{0,198}[!-~])?$"})
        }
        "If-Match" => {
            json!({"type": "string", "minLength": 1, "pattern": r#"^(\*|"(0|[1-9][0-9]{0,17})")$"#})
        }
        "Act-Date" => json!({"type": "string", "format": "date"}),
        "Security-Classification" => {
            json!({"type": "string", "enum": ["internal", "confidential", "secret", "top-secret"]})
        }
        "Reading-Reason" => {
            json!({"type": "string", "pattern": "^[!-$&-~]([ -$&-~]{0,198}[!-$&-~])?$"})
        }
        _ => json!({"type": "string", "minLength": 1}),
    };
    json!({"name": name, "in": "header", "required": required, "schema": schema})
}

fn path_parameters(path: &str) -> Vec<Value> {
    let names = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    // What matches to the end of the path is a parameter like any other.
    let names = names.map(|name| name.trim_start_matches('*'));
    let schema = json!({"type": "string"});
    names
        .map(|name| json!({"name": name, "in": "path", "required": true, "schema": schema}))
        .collect()
}

fn query_parameters(schema: &Schema) -> Vec<Value> {
    let members = schema.get("properties").and_then(Value::as_object);
    // What is not there is left out: nothing is not a value.
    let said = |schema: &Value| {
        let mut schema = schema.clone();
        if let Some(of) = schema["type"].as_array().and_then(|all| all.first().cloned()) {
            schema["type"] = of;
        }
        schema
    };
    let one = |(name, schema): (&String, &Value)| json!({"name": name, "in": "query", "required": false, "schema": said(schema)});
    members.into_iter().flatten().map(one).collect()
}

fn problem_schema() -> Value {
    let codes: Vec<_> = Code::ALL.iter().map(|code| code.slug()).collect();
    json!({
        "type": "object",
        "required": ["type", "code", "status", "title", "title_en", "detail", "instance"],
        "properties": {
            "type": {"type": "string"}, "code": {"type": "string", "enum": codes},
            "status": {"type": "integer"}, "title": {"type": "string"},
            "title_en": {"type": "string"}, "detail": {"type": "string"},
            "instance": {"type": "string"}, "errors": {"type": "array"},
        },
    })
}

/// The document.
pub(crate) fn routes(document: &Value) -> Router<Arc<Seat>> {
    // Kept as text: a tree takes many times as much, in each office of a process.
    let (text, json) = (Bytes::from(document.to_string()), [(CONTENT_TYPE, "application/json")]);
    Router::new().route("/api/openapi.json", get(|| std::future::ready((json, text))))
}

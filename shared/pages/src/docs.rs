//! 接口说明 The OpenAPI document as a page that needs no network: every route with who may
//! use it, what it takes and what it answers.

use askama::Template;
use axum::{
    extract::{Request, State},
    http::StatusCode,
    response::Response,
};
use serde_json::Value;
use tokio::sync::Semaphore;

use crate::{
    ask::{Answer, Office, refused},
    view::{Head, parts, shown, text},
};

/// The parameters of one place, those that are needed with a star.
struct Parameters {
    place: String,
    names: String,
}

struct Operation {
    anchor: String,
    method: String,
    path: String,
    zh: String,
    en: String,
    who: String,
    parameters: Vec<Parameters>,
    /// The body's schema, with what it refers to.
    body: String,
}

struct Part {
    name: String,
    operations: Vec<Operation>,
}

#[derive(Template)]
#[template(path = "docs.html")]
struct Page {
    head: Head,
    title: String,
    parts: Vec<Part>,
    schemas: Vec<(String, String)>,
}

/// How many are set at once.
static ROOM: Semaphore = Semaphore::const_new(4);

pub(crate) async fn page(State(office): State<Office>, request: Request) -> Response {
    let asks = parts(request);
    // It takes a while to set, and anybody may ask: a few at a time.
    let Ok(_place) = ROOM.try_acquire() else {
        return refused(&office, &asks, &Answer::busy()).await;
    };
    let document = match office.get(&asks, "/api/openapi.json").await.good() {
        Ok(document) => document,
        Err(answer) => return refused(&office, &asks, &answer).await,
    };
    let head = Head::of(&office, &asks).await;
    let schemas = document["components"]["schemas"].as_object().into_iter().flatten();
    let schemas = schemas.map(|(name, schema)| (name.clone(), pretty(schema))).collect();
    let mut all: Vec<Part> = Vec::new();
    for (path, item) in document["paths"].as_object().into_iter().flatten() {
        let mut steps = path.split('/').filter(|step| !step.is_empty() && *step != "api");
        let name = steps.next().unwrap_or("api");
        for (method, said) in item.as_object().into_iter().flatten() {
            let operation = operation(method, path, said);
            match all.iter_mut().find(|part| part.name == name) {
                Some(part) => part.operations.push(operation),
                None => all.push(Part { name: name.to_owned(), operations: vec![operation] }),
            }
        }
    }
    let title = text(&document["info"]["title"]);
    shown(StatusCode::OK, &Page { head, title, parts: all, schemas })
}

fn operation(method: &str, path: &str, said: &Value) -> Operation {
    let mut parameters: Vec<Parameters> = Vec::new();
    for one in said["parameters"].as_array().into_iter().flatten() {
        let star = if one["required"] == true { "*" } else { "" };
        let (place, name) = (text(&one["in"]), text(&one["name"]) + star);
        match parameters.iter_mut().find(|all| all.place == place) {
            Some(all) => all.names = format!("{} {name}", all.names),
            None => parameters.push(Parameters { place, names: name }),
        }
    }
    let schema = &said["requestBody"]["content"]["application/json"]["schema"];
    let who = match &said["x-who"] {
        Value::Array(roles) => roles.iter().map(text).collect::<Vec<_>>().join(" "),
        one => text(one),
    };
    Operation {
        anchor: format!("{method}{}", path.replace(['/', '{', '}'], "-")),
        method: method.to_uppercase(),
        path: path.to_owned(),
        zh: text(&said["summary"]),
        en: text(&said["description"]),
        who,
        parameters,
        body: if schema.is_null() { String::new() } else { pretty(schema) },
    }
}

/// A schema for a reader: without its quotation marks, each of which would be five bytes of
/// the page. Whoever needs it to the letter has the document.
fn pretty(schema: &Value) -> String {
    serde_json::to_string_pretty(schema).unwrap_or_default().replace('"', "")
}

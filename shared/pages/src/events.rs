//! 事件 The event feed, a page at a time.

use askama::Template;
use axum::{
    extract::{Query, Request, State},
    http::StatusCode,
    response::Response,
};
use serde::Deserialize;
use serde_json::Value;

use crate::{
    ask::{Office, encoded, refused},
    view::{Head, parts, shown, text},
};

/// How many entries stand on a page.
const LIMIT: usize = 50;

struct Item {
    origin: String,
    sequence: String,
    audience: String,
    kind: String,
    hash: String,
}

#[derive(Template)]
#[template(path = "events.html")]
struct Page {
    head: Head,
    items: Vec<Item>,
    next: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct After {
    #[serde(default)]
    after: String,
}

pub(crate) async fn page(
    State(office): State<Office>,
    Query(After { after }): Query<After>,
    request: Request,
) -> Response {
    let asks = parts(request);
    let path = format!("/api/events?limit={LIMIT}&after={}", encoded(&after));
    let said = match office.get(&asks, &path).await.good() {
        Ok(said) => said,
        Err(answer) => return refused(&office, &asks, &answer).await,
    };
    let head = Head::of(&office, &asks).await;
    let items = said["items"].as_array().into_iter().flatten().map(item).collect();
    let next = said["next"].as_str().map(|next| format!("/events?after={}", encoded(next)));
    shown(StatusCode::OK, &Page { head, items, next })
}

fn item(row: &Value) -> Item {
    let hash = text(&row["hash"]);
    Item {
        origin: text(&row["origin"]),
        sequence: text(&row["sequence"]),
        audience: text(&row["audience"]),
        kind: text(&row["type"]).trim_start_matches("cn.liandong.").to_owned(),
        hash: hash.get(..16).unwrap_or(&hash).to_owned(),
    }
}

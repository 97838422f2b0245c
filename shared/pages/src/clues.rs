//! 线索流转 Where clues stand: those handed over and those received, with their age; and the
//! list that goes with an envelope. Nothing of what a clue says is on a page.

use askama::Template;
use axum::{
    extract::{Path, Query, Request, State},
    http::StatusCode,
    response::Response,
};
use serde::Deserialize;
use serde_json::Value;

use crate::{
    ask::{Office, encoded, refused},
    view::{Head, Lang, local, parts, shown, text},
};

/// How many rows each table has.
const MOST: usize = 200;

struct Clue {
    id: String,
    state: String,
    since: String,
    with: String,
    offered: String,
    sealed: bool,
}

struct Case {
    id: String,
    state: String,
    age: String,
    due: String,
    reminders: String,
}

#[derive(Template)]
#[template(path = "clues.html")]
struct Page {
    head: Head,
    clues: Option<Vec<Clue>>,
    cases: Option<Vec<Case>>,
    next: Option<String>,
}

/// Where the page begins in both tables.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct From {
    clues: String,
    cases: String,
}

pub(crate) async fn page(
    State(office): State<Office>,
    Query(from): Query<From>,
    request: Request,
) -> Response {
    let asks = parts(request);
    let path =
        |what: &str, after: &str| format!("/api/{what}?limit={MOST}&after={}", encoded(after));
    let clues = office.get(&asks, &path("clues", &from.clues)).await;
    let cases = office.get(&asks, &path("clue-cases", &from.cases)).await;
    // Whoever handles clues on one side only, has that table.
    if !clues.status.is_success() && !cases.status.is_success() {
        return refused(&office, &asks, &clues).await;
    }
    let head = Head::of(&office, &asks).await;
    let rows = |body: Value| body["items"].as_array().cloned().unwrap_or_default();
    let next = next(&from, &clues.body["next"], &cases.body["next"]);
    let clues =
        clues.good().ok().map(|body| rows(body).iter().map(|row| clue(row, head.lang)).collect());
    let cases =
        cases.good().ok().map(|body| rows(body).iter().map(|row| case(row, head.lang)).collect());
    shown(StatusCode::OK, &Page { head, clues, cases, next })
}

/// The page after this one: a table that is at its end stays where it is.
fn next(from: &From, clues: &Value, cases: &Value) -> Option<String> {
    if clues.is_null() && cases.is_null() {
        return None;
    }
    let at = |next: &Value, now: &str| encoded(next.as_str().unwrap_or(now));
    Some(format!("/clues?clues={}&cases={}", at(clues, &from.clues), at(cases, &from.cases)))
}

fn clue(row: &Value, lang: Lang) -> Clue {
    let state = text(&row["state"]);
    let since = row["dates"].as_object().and_then(|dates| dates.values().map(text).max());
    // Who offers it, holds it until it is released.
    let (holder, offered) = (&row["handed_over"][1]["office"], &row["offer"]["to"]["office"]);
    let open = state == "sealed" && !offered.is_null();
    Clue {
        id: text(&row["id"]),
        sealed: state == "sealed" && !open,
        state: clue_state(lang, &state).to_owned(),
        since: since.map(|at| local(&at)).unwrap_or_default(),
        with: if holder.is_null() { text(&row["office"]) } else { text(holder) },
        offered: if open { text(offered) } else { String::new() },
    }
}

fn case(row: &Value, lang: Lang) -> Case {
    Case {
        id: text(&row["id"]),
        state: case_state(lang, &text(&row["state"])).to_owned(),
        age: row["age_days"].as_i64().map(|days| days.to_string()).unwrap_or_default(),
        due: text(&row["due"]),
        reminders: reminders(lang, &row["stalls"]),
    }
}

/// What waits too long, in words; nothing of what it is about.
pub(crate) fn reminders(lang: Lang, stalls: &Value) -> String {
    let stalls = stalls.as_array().into_iter().flatten().filter_map(Value::as_str);
    let named: Vec<&str> = stalls
        .map(|stall| match stall {
            "unhandled" => lang.of_two("逾 24 天未办", "not taken up for 24 days"),
            "no-progress" => lang.of_two("逾 6 个月无进展", "no progress for 6 months"),
            other => other,
        })
        .collect();
    named.join(lang.of_two("、", ", "))
}

pub(crate) fn clue_state(lang: Lang, state: &str) -> &str {
    let (zh, en) = match state {
        "drafted" => ("起草", "drafted"),
        "discussed" => ("已会商", "discussed"),
        "first-signed" => ("一人已签", "signed by one"),
        "dual-signed" => ("双签字", "signed by two"),
        "sealed" => ("已密封", "sealed"),
        "dropped" => ("封存前撤回", "taken back"),
        "released" => ("已移交", "handed over"),
        "on-paper" => ("纸质移交", "went on paper"),
        "fed-back" => ("已反馈结果", "result is here"),
        "closed" => ("办结", "closed"),
        other => (other, other),
    };
    lang.of_two(zh, en)
}

pub(crate) fn case_state(lang: Lang, state: &str) -> &str {
    let (zh, en) = match state {
        "delivered" => ("待签收", "to be accepted"),
        "accepted" => ("已签收", "accepted"),
        "held" => ("待处置", "to be disposed of"),
        "proposed" => ("处置意见待批", "proposal to be approved"),
        "handling" => ("办理中", "being handled"),
        "waiting" => ("暂存待查", "held for review"),
        "concluded" => ("予以了结", "concluded"),
        "resulted" => ("已有结果", "result recorded"),
        "fed-back" => ("已反馈", "fed back"),
        "returned" => ("已退回", "returned"),
        "void" => ("移送已撤回", "offer withdrawn"),
        "released" => ("已转交", "handed on"),
        other => (other, other),
    };
    lang.of_two(zh, en)
}

#[derive(Template)]
#[template(path = "slip.html")]
struct Slip {
    head: Head,
    clue: String,
    from: String,
    to: String,
    sealed: String,
    content: String,
    signed_by: Vec<String>,
    printed: String,
}

pub(crate) async fn slip(
    State(office): State<Office>,
    Path(id): Path<String>,
    request: Request,
) -> Response {
    let asks = parts(request);
    let said = match office.get(&asks, &format!("/api/clues/{}/slip", encoded(&id))).await.good() {
        Ok(said) => said,
        Err(answer) => return refused(&office, &asks, &answer).await,
    };
    let head = Head::of(&office, &asks).await;
    let to = match said["to"]["office"].as_str() {
        Some(office) => format!("{office} {}", text(&said["to"]["organ"])),
        None => head.lang.of_two("系统外机关(手填)", "outside, by hand").to_owned(),
    };
    let signed_by = said["signed_by"].as_array().into_iter().flatten().map(text).collect();
    let page = Slip {
        clue: text(&said["clue"]),
        from: text(&said["from"]),
        to,
        sealed: local(&text(&said["sealed"])),
        content: text(&said["content"]),
        signed_by,
        printed: text(&said["printed"]),
        head,
    };
    shown(StatusCode::OK, &page)
}

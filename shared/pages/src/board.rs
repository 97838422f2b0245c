//! 报备看板 The filing board: every office below, every filing, with its lateness in words.

use askama::Template;
use axum::{
    extract::{Request, State},
    http::StatusCode,
    response::Response,
};
use serde_json::Value;

use crate::{
    ask::{Office, refused},
    view::{Head, Lang, local, parts, shown, text},
};

struct Filing {
    set: String,
    due: String,
    state: String,
    /// Late, on time or neither, in a word: never by colour alone.
    mark: String,
    class: &'static str,
}

struct Row {
    name: String,
    heard: String,
    filings: Vec<Filing>,
}

#[derive(Template)]
#[template(path = "board.html")]
struct Page {
    head: Head,
    as_of: String,
    rows: Vec<Row>,
}

pub(crate) async fn page(State(office): State<Office>, request: Request) -> Response {
    let asks = parts(request);
    let said = match office.get(&asks, "/api/filing-board").await.good() {
        Ok(said) => said,
        Err(answer) => return refused(&office, &asks, &answer).await,
    };
    let head = Head::of(&office, &asks).await;
    let rows = said["rows"].as_array().into_iter().flatten();
    let rows = rows.map(|row| of_office(row, head.lang)).collect();
    shown(StatusCode::OK, &Page { head, as_of: local(&text(&said["as_of"])), rows })
}

fn of_office(row: &Value, lang: Lang) -> Row {
    let filings = row["filings"].as_array().into_iter().flatten();
    let heard = text(&row["last_heard"]);
    Row {
        name: text(&row["name"]),
        heard: if heard.is_empty() {
            lang.of_two("尚无", "never").to_owned()
        } else {
            local(&heard)
        },
        filings: filings.map(|filing| of_filing(filing, lang)).collect(),
    }
}

fn of_filing(filing: &Value, lang: Lang) -> Filing {
    let late = filing["days_late"].as_i64().unwrap_or(0);
    let state = match filing["state"].as_str().unwrap_or_default() {
        "expected" => ("待报送", "expected"),
        "provisional" => ("临时提交", "provisional"),
        "submitted" | "receipted" => ("已报送", "submitted"),
        "under-review" => ("审核中", "under review"),
        "returned" => ("已退回", "returned"),
        "accepted" => ("已接收", "accepted"),
        other => (other, other),
    };
    let mut mark = match (late, filing["on_time"] == true) {
        (days, _) if days > 0 => match lang {
            Lang::Zh => format!("迟 {days} 天"),
            Lang::En => format!("{days} days late"),
        },
        (_, true) => lang.of_two("按时", "on time").to_owned(),
        _ => lang.of_two("未到期", "not due").to_owned(),
    };
    if filing["proposal"] == true {
        mark += lang.of_two("(期限为建议)", " (proposed deadline)");
    }
    let period = text(&filing["period"]);
    Filing {
        set: format!("{} {period}", text(&filing["set"])),
        due: text(&filing["due"]),
        state: lang.of_two(state.0, state.1).to_owned(),
        mark,
        class: if late > 0 { "late" } else { "" },
    }
}

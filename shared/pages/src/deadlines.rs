//! 时限规定 Deadline rules: where each comes from, what holds above, what holds here.

use askama::Template;
use axum::{
    extract::{Request, State},
    http::StatusCode,
    response::Response,
};
use serde_json::Value;

use crate::{
    ask::{Office, refused},
    view::{Head, Lang, parts, shown, text},
};

struct Rule {
    name: String,
    key: String,
    value: String,
    parent: String,
    mark: &'static str,
    source: String,
    others: String,
    documents: String,
}

#[derive(Template)]
#[template(path = "deadlines.html")]
struct Page {
    head: Head,
    as_of: String,
    pack: String,
    calendar: String,
    rules: Vec<Rule>,
}

pub(crate) async fn page(State(office): State<Office>, request: Request) -> Response {
    let asks = parts(request);
    let said = match office.get(&asks, "/api/deadline-policies").await.good() {
        Ok(said) => said,
        Err(answer) => return refused(&office, &asks, &answer).await,
    };
    let head = Head::of(&office, &asks).await;
    let rules = said["items"].as_array().into_iter().flatten();
    let rules = rules.map(|row| rule(row, head.lang)).collect();
    let [as_of, pack, calendar] = ["as_of", "pack", "calendar"].map(|key| text(&said[key]));
    shown(StatusCode::OK, &Page { head, as_of, pack, calendar, rules })
}

fn rule(row: &Value, lang: Lang) -> Rule {
    let mark = match (row["mark"].as_str().unwrap_or_default(), &row["reminds"]) {
        (_, Value::Bool(true)) => ("建议值,确认前只提醒", "proposal: only reminds until decided"),
        ("proposal", _) => ("建议值,已确认", "proposal, decided"),
        ("memory", _) => ("凭记忆,待核对", "from memory, to be checked"),
        _ => ("有出处", "from a source"),
    };
    let decisions = row["decisions"].as_array().into_iter().flatten();
    let documents: Vec<String> =
        decisions.map(|one| format!("{} {}", text(&one["from"]), text(&one["document"]))).collect();
    Rule {
        name: text(&row[lang.of_two("zh", "en")]),
        key: text(&row["key"]),
        value: value(&row["value"], lang),
        parent: value(&row["parent"], lang),
        mark: lang.of_two(mark.0, mark.1),
        source: text(&row["source"]),
        others: text(&row["others"]),
        documents: documents.join("; "),
    }
}

fn value(value: &Value, lang: Lang) -> String {
    let unit = match value["unit"].as_str().unwrap_or_default() {
        "workday" => ("个工作日", "workdays"),
        "day" => ("日", "days"),
        "week" => ("周", "weeks"),
        "month" => ("个月", "months"),
        "year" => ("年", "years"),
        "percent" => ("%", "%"),
        "per-year" => ("次/年", "a year"),
        "count" => ("个", ""),
        "team-day" => ("组日", "team-days"),
        _ => return lang.of_two("授权前", "before the authorisation").to_owned(),
    };
    let amount = match value["to"].as_u64() {
        Some(to) => format!("{}–{to}", value["amount"]),
        None => value["amount"].to_string(),
    };
    format!("{amount} {}", lang.of_two(unit.0, unit.1))
}

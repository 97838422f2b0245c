//! 年度计划 Annual plans: the rounds of each year, and what of an own plan conflicts.

use askama::Template;
use axum::{
    extract::{Request, State},
    http::{StatusCode, request::Parts},
    response::Response,
};
use serde_json::Value;

use crate::{
    ask::{Office, encoded, refused},
    view::{Head, Lang, parts, shown, text},
};

struct Round {
    number: String,
    name: String,
    kind: &'static str,
    days: [String; 4],
    teams: String,
    targets: u64,
}

struct Conflict {
    rule: &'static str,
    rounds: String,
    measure: String,
    excuse: String,
}

struct Plan {
    year: String,
    /// The office, of a plan that came from below.
    office: String,
    state: &'static str,
    rounds: Vec<Round>,
    conflicts: Vec<Conflict>,
}

#[derive(Template)]
#[template(path = "plans.html")]
struct Page {
    head: Head,
    plans: Vec<Plan>,
}

pub(crate) async fn page(State(office): State<Office>, request: Request) -> Response {
    let asks = parts(request);
    let said = match office.get(&asks, "/api/annual-plans?limit=500").await.good() {
        Ok(said) => said,
        Err(answer) => return refused(&office, &asks, &answer).await,
    };
    let head = Head::of(&office, &asks).await;
    let me = office.get(&asks, "/api/me").await.body;
    let offices = office.get(&asks, "/api/offices").await.body;
    let named = |id: &Value| {
        let mut known = offices["items"].as_array().into_iter().flatten();
        let known = known.find(|row| row["seat"]["office"] == *id);
        known.map_or_else(|| text(id), |row| text(&row["seat"]["name"]))
    };
    let mut plans = Vec::new();
    for row in said["items"].as_array().into_iter().flatten() {
        let own = row["office"] == me["office"];
        let conflicts =
            if own { conflicts(&office, &asks, row, head.lang).await } else { Vec::new() };
        let of = if own { String::new() } else { named(&row["office"]) };
        plans.push(plan(row, of, conflicts, head.lang));
    }
    plans.sort_by(|a, b| (&b.year, &a.office).cmp(&(&a.year, &b.office)));
    shown(StatusCode::OK, &Page { head, plans })
}

/// The conflicts, for whoever may read them.
async fn conflicts(office: &Office, asks: &Parts, row: &Value, lang: Lang) -> Vec<Conflict> {
    let path = format!("/api/annual-plans/{}/conflicts", encoded(&text(&row["id"])));
    let said = office.get(asks, &path).await.good().unwrap_or_default();
    said["items"].as_array().into_iter().flatten().map(|row| conflict(row, lang)).collect()
}

fn plan(row: &Value, office: String, conflicts: Vec<Conflict>, lang: Lang) -> Plan {
    let state = match row["state"].as_str().unwrap_or_default() {
        "adopted" => ("领导小组已审议", "adopted by the leading group"),
        "approved" => ("书记已批准", "approved"),
        "closed" => ("已结束", "closed"),
        _ => ("拟订中", "draft"),
    };
    let mut rounds: Vec<Round> = row["rounds"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(_, round)| of_plan(round, lang))
        .collect();
    rounds.sort_by(|a, b| a.days[0].cmp(&b.days[0]));
    Plan {
        year: text(&row["year"]),
        office,
        state: lang.of_two(state.0, state.1),
        rounds,
        conflicts,
    }
}

fn of_plan(round: &Value, lang: Lang) -> Round {
    let (outline, size) = (&round["outline"], &round["size"]);
    let kind = match outline["kind"].as_str().unwrap_or_default() {
        "special" => ("专项", "special"),
        "mobile" => ("机动", "mobile"),
        _ => ("常规", "regular"),
    };
    let of_level = |level: &str| size[level].as_u64().unwrap_or_default();
    Round {
        number: text(&outline["number"]),
        name: text(&outline["name"]),
        kind: lang.of_two(kind.0, kind.1),
        days: ["notice", "entry", "withdrawal", "feedback"].map(|day| text(&outline[day])),
        teams: text(&size["teams"]),
        targets: ["city", "county", "village"].map(of_level).iter().sum(),
    }
}

fn conflict(row: &Value, lang: Lang) -> Conflict {
    let [value, limit, count] =
        ["value", "limit", "count"].map(|key| row[key].as_u64().unwrap_or_default());
    let (rule, measure) = match row["rule"].as_str().unwrap_or_default() {
        "overlap" => {
            (("同一对象时间重叠", "one target in two rounds at a time"), days(value, count, lang))
        }
        "live" => (
            ("同类轮次并行", "too many rounds of one kind at a time"),
            format!("{value} > {limit}"),
        ),
        "person" => (("人员同时在两组", "one person in two teams"), days(value, count, lang)),
        "capacity" => (
            ("每个对象组日不足", "too few team-days for a target"),
            format!("{}.{:02} < {}", value / 100, value % 100, limit / 100),
        ),
        "early" => (
            ("常规未反馈先开机动", "a mobile round before the regular one is fed back"),
            days(value, 0, lang),
        ),
        "repeat" => (("短期内重复巡察", "inspected again too soon"), days(value, count, lang)),
        "themes" => (("专题过多", "too many themes"), format!("{value} > {limit}")),
        _ => {
            (("专项时间过长", "a special round that stays too long"), format!("{value} > {limit}"))
        }
    };
    Conflict {
        rule: lang.of_two(rule.0, rule.1),
        rounds: row["rounds"]
            .as_array()
            .into_iter()
            .flatten()
            .map(text)
            .collect::<Vec<_>>()
            .join(", "),
        measure,
        excuse: text(&row["excuse"]),
    }
}

/// So many days, and how many targets or persons it is about.
fn days(value: u64, count: u64, lang: Lang) -> String {
    let days = format!("{value} {}", lang.of_two("日", "days"));
    if count == 0 { days } else { format!("{days} × {count}") }
}

//! 线索全程 The way of one clue: its steps with their dates, who signed, who has it; at its
//! first holder and at the organ that received it. Nothing of what it says.

use askama::Template;
use axum::{
    extract::{Path, Request, State},
    http::StatusCode,
    response::Response,
};
use serde_json::Value;

use crate::{
    ask::{Office, encoded, refused},
    clues::{case_state, clue_state, reminders},
    view::{Head, Lang, local, parts, shown, text},
};

#[derive(Template)]
#[template(path = "way.html")]
struct Page {
    head: Head,
    id: String,
    facts: Vec<(&'static str, String)>,
    steps: Vec<(String, String)>,
}

pub(crate) async fn clue(
    State(office): State<Office>,
    Path(id): Path<String>,
    request: Request,
) -> Response {
    let of = |lang: Lang, row: &Value| {
        // What it went by stays in the row; it is open only while the clue is sealed.
        let open = if row["state"] == "sealed" { &row["offer"] } else { &Value::Null };
        vec![
            (lang.of_two("状态", "State"), clue_state(lang, &text(&row["state"])).to_owned()),
            (lang.of_two("所属单位", "Unit"), text(&row["brief"]["unit"])),
            (lang.of_two("签字人", "Signed by"), signers(row)),
            (lang.of_two("移送去向", "Goes to"), party(lang, &row["route"])),
            (lang.of_two("移送待签收", "Offered to"), party(lang, &open["to"])),
            (lang.of_two("对方收齐时间", "Every byte there"), local(&text(&open["delivered"]))),
            (lang.of_two("退回原因", "Returned because"), why(lang, &row["returned"])),
            (lang.of_two("已移交", "Handed over to"), party(lang, &row["handed_over"][1])),
            (lang.of_two("结果", "Result"), outcome(lang, &row["outcome"])),
        ]
    };
    page(office, format!("/api/clues/{}", encoded(&id)), request, of).await
}

pub(crate) async fn case(
    State(office): State<Office>,
    Path(id): Path<String>,
    request: Request,
) -> Response {
    let of = |lang: Lang, row: &Value| {
        vec![
            (lang.of_two("状态", "State"), case_state(lang, &text(&row["state"])).to_owned()),
            (lang.of_two("线索", "Clue"), text(&row["clue"])),
            (lang.of_two("移送机关", "From"), party(lang, &row["from"])),
            (lang.of_two("签字人", "Signed by"), signers(row)),
            (lang.of_two("承办人", "Handled by"), text(&row["handler"])),
            (lang.of_two("处置方式", "Disposition"), disposed(lang, &row["disposition"])),
            (lang.of_two("转送待签收", "Offered on to"), party(lang, &row["onward"]["to"])),
            (lang.of_two("受理天数", "Days since receipt"), text(&row["age_days"])),
            (lang.of_two("期限", "Due"), text(&row["due"])),
            (lang.of_two("提醒", "Reminder"), reminders(lang, &row["stalls"])),
            (lang.of_two("结果", "Result"), outcome(lang, &row["outcome"])),
        ]
    };
    page(office, format!("/api/clue-cases/{}", encoded(&id)), request, of).await
}

async fn page(
    office: Office,
    path: String,
    request: Request,
    of: impl Fn(Lang, &Value) -> Vec<(&'static str, String)>,
) -> Response {
    let asks = parts(request);
    let row = match office.get(&asks, &path).await.good() {
        Ok(row) => row,
        Err(answer) => return refused(&office, &asks, &answer).await,
    };
    let head = Head::of(&office, &asks).await;
    let mut facts = of(head.lang, &row);
    facts.retain(|(_, said)| !said.is_empty());
    // The newest of each kind of step, in the order of time.
    let dates = row["dates"].as_object().into_iter().flatten();
    let mut steps: Vec<(String, usize, &str)> =
        dates.map(|(name, at)| (text(at), order(name), name.as_str())).collect();
    steps.sort_unstable();
    let said =
        |(at, _, name): (String, usize, &str)| (local(&at), step(head.lang, name).to_owned());
    let steps = steps.into_iter().map(said).collect();
    shown(StatusCode::OK, &Page { id: text(&row["id"]), facts, steps, head })
}

fn signers(row: &Value) -> String {
    let all: Vec<String> =
        row["signatures"].as_array().into_iter().flatten().map(|one| text(&one["by"])).collect();
    all.join(" ")
}

/// An organ of an office.
fn party(lang: Lang, party: &Value) -> String {
    let (zh, en) = match party["organ"].as_str() {
        Some("discipline-organ") => ("纪检监察机关", "discipline organ"),
        Some("inspection-office") => ("巡察办", "inspection office"),
        Some("leading-group") => ("巡察工作领导小组", "leading group"),
        Some("team") => ("巡察组", "team"),
        Some("audit-organ") => ("审计机关", "audit organ"),
        Some("organization-department") => ("组织部门", "organization department"),
        Some(_) => ("其他机关", "another organ"),
        None => return String::new(),
    };
    format!("{} {}", text(&party["office"]), lang.of_two(zh, en))
}

fn outcome(lang: Lang, outcome: &Value) -> String {
    if outcome.is_null() {
        return String::new();
    }
    let [cases, disciplined, transferred] =
        ["cases", "disciplined", "transferred"].map(|name| text(&outcome[name]));
    match lang {
        Lang::Zh => format!("立案 {cases},处分 {disciplined} 人,移送司法 {transferred}"),
        Lang::En => {
            format!("{cases} cases, {disciplined} disciplined, {transferred} to the judiciary")
        }
    }
}

fn why(lang: Lang, reason: &Value) -> String {
    let (zh, en) = match reason.as_str().unwrap_or_default() {
        "not-our-authority" => ("不属本机关管理权限", "not our authority"),
        "incomplete" => ("材料不全", "incomplete"),
        "content-differs" => ("内容与签字不符", "content differs from what was signed"),
        "duplicate" => ("重复移交", "handed over twice"),
        "recused" => ("应当回避", "recused"),
        other => (other, other),
    };
    lang.of_two(zh, en).to_owned()
}

fn disposed(lang: Lang, disposition: &Value) -> String {
    let (zh, en) = match disposition.as_str().unwrap_or_default() {
        "talk-or-inquiry" => ("谈话函询", "talk or inquiry"),
        "preliminary-verification" => ("初步核实", "preliminary verification"),
        "held-for-review" => ("暂存待查", "held for review"),
        "concluded" => ("予以了结", "concluded"),
        other => (other, other),
    };
    lang.of_two(zh, en).to_owned()
}

/// The order of steps of one moment: as one follows from the other.
fn order(name: &str) -> usize {
    const ORDER: [&str; 12] = [
        "delivered",
        "accepted",
        "registered",
        "custody-taken",
        "assigned",
        "disposition-proposed",
        "disposition-approved",
        "result-recorded",
        "result-fed-back",
        "result-noted",
        "closed",
        "reopened",
    ];
    ORDER.iter().position(|one| *one == name).unwrap_or(0)
}

fn step(lang: Lang, name: &str) -> &str {
    let (zh, en) = match name {
        "drafted" => ("起草", "drafted"),
        "revised" => ("内容变更(含会商纪要)", "content changed, or minutes added"),
        "discussed" => ("会商", "discussed"),
        "first-signed" => ("第一人签字", "first signature"),
        "dual-signed" => ("第二人签字", "second signature"),
        "sealed" => ("密封", "sealed"),
        "dropped" => ("撤回", "taken back"),
        "rerouted" => ("改变去向", "another way was chosen"),
        "offered" => ("移送", "offered"),
        "offer-withdrawn" => ("撤回移送", "offer withdrawn"),
        "offer-returned" => ("被退回", "came back"),
        "released" => ("保管责任移交", "custody handed over"),
        "handed-on-paper" => ("纸质移交", "handed over on paper"),
        "result-noted" => ("收到结果", "result is here"),
        "closed" => ("办结", "closed"),
        "reopening-asked" => ("请求重新办理", "reopening asked"),
        "reopened" => ("重新办理", "reopened"),
        "reopening-passed-on" => ("重新办理已转告", "reopening passed on"),
        "delivered" => ("送达", "delivered"),
        "accepted" => ("签收", "accepted"),
        "registered" => ("登记", "registered"),
        "returned" => ("退回", "returned"),
        "voided" => ("移送已撤回", "offer was withdrawn"),
        "custody-taken" => ("保管责任生效", "custody taken"),
        "assigned" => ("交办", "assigned"),
        "disposition-proposed" => ("提出处置意见", "disposition proposed"),
        "disposition-approved" => ("处置意见获批", "disposition approved"),
        "inquiry-sent" => ("发出函询", "inquiry sent"),
        "inquiry-replied" => ("收到函询回复", "reply received"),
        "progress-recorded" => ("记录进展", "progress recorded"),
        "held-clue-reviewed" => ("暂存复查", "held clue reviewed"),
        "result-recorded" => ("登记结果", "result recorded"),
        "result-fed-back" => ("反馈结果", "result fed back"),
        other => (other, other),
    };
    lang.of_two(zh, en)
}

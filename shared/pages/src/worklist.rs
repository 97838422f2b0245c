//! 待办 What waits for whoever is signed in.

use askama::Template;
use axum::{
    extract::{Request, State},
    http::StatusCode,
    response::Response,
};
use serde_json::Value;

use crate::{
    ask::{Office, refused},
    clues::reminders,
    view::{Head, Lang, parts, shown, text},
};

struct Item {
    kind: String,
    id: String,
    address: String,
    actions: String,
    due: String,
    late: bool,
    /// How near the day is, in a word: never by colour alone.
    warning: &'static str,
    reminders: String,
}

#[derive(Template)]
#[template(path = "worklist.html")]
struct Page {
    head: Head,
    today: String,
    items: Vec<Item>,
    more: bool,
}

pub(crate) async fn page(State(office): State<Office>, request: Request) -> Response {
    let asks = parts(request);
    let said = match office.get(&asks, "/api/worklist").await.good() {
        Ok(said) => said,
        Err(answer) => return refused(&office, &asks, &answer).await,
    };
    let head = Head::of(&office, &asks).await;
    let today = text(&said["today"]);
    let items = said["items"].as_array().into_iter().flatten();
    let items = items.map(|row| item(row, head.lang, &today)).collect();
    shown(StatusCode::OK, &Page { head, today, items, more: said["more"] == true })
}

fn item(row: &Value, lang: Lang, today: &str) -> Item {
    let (kind, id, due) = (text(&row["kind"]), text(&row["id"]), text(&row["due"]));
    let actions: Vec<String> = row["actions"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|action| named(lang, &format!("{kind}.{}", text(action))).to_owned())
        .collect();
    let plural = match kind.as_str() {
        "filing-review" => "filing-reviews".to_owned(),
        other => format!("{other}s"),
    };
    Item {
        // What has a page of its own is shown there.
        address: match kind.as_str() {
            "clue" | "clue-case" => format!("/{plural}/{id}"),
            _ => format!("/api/{plural}/{id}"),
        },
        reminders: reminders(lang, &row["stalls"]),
        kind: family(lang, &kind).to_owned(),
        id,
        actions: actions.join(lang.of_two("、", ", ")),
        late: row["warning"] == "red",
        warning: match row["warning"].as_str().unwrap_or_default() {
            "red" => lang.of_two("已逾期", "overdue"),
            // A rule that nobody has decided only reminds.
            "yellow" if due.as_str() < today => lang.of_two("已到期", "was due"),
            "yellow" => lang.of_two("预警", "due soon"),
            "green" => lang.of_two("提醒", "nears"),
            _ => "",
        },
        due,
    }
}

/// What kind of matter it is (`model.md` 1).
fn family(lang: Lang, family: &str) -> &str {
    let (zh, en) = match family {
        "recusal" => ("回避事项", "Recusal"),
        "envelope" => ("密封件", "Envelope"),
        "filing" => ("报备", "Filing"),
        "filing-review" => ("报备审核", "Filing review"),
        "round" => ("巡察轮次", "Round"),
        "finding" => ("问题", "Finding"),
        "clue" => ("问题线索", "Clue"),
        "clue-case" => ("收到的线索", "Clue received"),
        "rectification" => ("整改", "Rectification"),
        other => (other, other),
    };
    lang.of_two(zh, en)
}

fn named(lang: Lang, action: &str) -> &str {
    let (zh, en) = match action {
        "recusal.judge" => ("回避审核", "judge"),
        "envelope.hand-on" => ("密封移送", "hand on, sealed"),
        "filing.items" => ("附材料", "attach papers"),
        "filing.submit" => ("报送", "submit"),
        "filing-review.items" => ("逐项审核", "judge items"),
        "filing-review.return" => ("退回", "return"),
        "filing-review.accept" => ("接收备案", "accept"),
        "round.tasks" => ("分解任务", "define tasks"),
        "round.authorise" => ("授权", "authorise"),
        "round.enter" => ("进驻", "enter"),
        "round.withdraw" => ("撤离", "withdraw"),
        "round.list" => ("形成清单", "issue the list"),
        "round.hear" => ("听取汇报", "hear the report"),
        "round.feedback" => ("反馈", "feed back"),
        "round.archive" => ("归档", "archive"),
        "finding.co-sign" => ("第二人签字", "co-sign"),
        "finding.drop" => ("撤销底稿", "drop"),
        "finding.close-out" => ("销号", "close out"),
        "finding.reopen" => ("重新整改", "reopen"),
        "clue.open" | "clue-case.open" => ("打开内容", "open"),
        "clue.revise" => ("修改", "revise"),
        "clue.discuss" => ("会商", "discuss"),
        "clue.sign" => ("签字", "sign"),
        "clue.drop" => ("封存前撤回", "take back"),
        "clue.seal" => ("密封", "seal"),
        "clue.offer" => ("移送", "offer"),
        "clue.withdraw" | "clue-case.withdraw" => ("撤回移送", "withdraw the offer"),
        "clue.reroute" => ("改变去向", "choose another way"),
        "clue.paper" => ("登记纸质移交", "hand over on paper"),
        "clue.result" | "clue-case.result" => ("登记结果", "record the result"),
        "clue.close" => ("办结", "close"),
        "clue.reopen" => ("请求重新办理", "ask to reopen"),
        "clue-case.accept" => ("签收", "accept"),
        "clue-case.return" => ("退回", "return"),
        "clue-case.assign" => ("交办", "assign"),
        "clue-case.propose" => ("提出处置意见", "propose a disposition"),
        "clue-case.approve" => ("审批处置意见", "approve the disposition"),
        "clue-case.inquire" => ("发出函询", "send an inquiry"),
        "clue-case.reply" => ("登记函询回复", "record the reply"),
        "clue-case.progress" => ("记录进展", "record progress"),
        "clue-case.review" => ("暂存复查", "review a held clue"),
        "clue-case.feed-back" => ("反馈结果", "feed back the result"),
        "clue-case.offer" => ("转送", "hand on"),
        "rectification.measures" => ("制定措施", "plan measures"),
        "rectification.complete" => ("报告完成", "report completion"),
        other => (other, other),
    };
    lang.of_two(zh, en)
}

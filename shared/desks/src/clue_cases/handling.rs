//! 线索处置 What the organ that holds a clue does with it, to the result, or handing it on.

use std::sync::Arc;

use access::{PEOPLE, PersonRow};
use axum::{
    extract::{Path, State},
    response::Response,
};
use domain::{
    clue::Outcome,
    clue_case::{ClueCase, Command as Ask, Disposition},
    custody::{Offer, Party},
    person::{Authorisation, Command as PersonAsk, Person},
    post::plain,
    scope_key::Purpose,
};
use event_store::{Stop, Unit, act};
use kernel::{Code, Day, Refusal};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use web::{Command, Nothing, Problem, Route, Seat, Who, answer, change, matter::permitted};

use super::{concerns, not_its_object, opened, view::CaseRow};
use crate::{
    clues::{
        Content,
        handing::{for_receiver, fresh_scope},
    },
    sealing::{homes, note_grant},
};

/// The routes of who holds a clue.
pub(super) fn routes() -> Vec<Route> {
    let mut routes = disposing();
    routes.extend(passing_on());
    routes
}

/// What is decided on it, and done.
fn disposing() -> Vec<Route> {
    vec![
        change::<Assigned, _>(
            "/api/clue-cases/{id}/assign",
            Who::Does("clue-case.assign"),
            ["分办", "Assign it; the person gets a post on this case"],
            assign,
        ),
        change::<Proposed, _>(
            "/api/clue-cases/{id}/propose",
            Who::Does("clue-case.propose"),
            ["提出处置意见", "Propose one of the four ways"],
            propose,
        ),
        change::<Approved, _>(
            "/api/clue-cases/{id}/approve",
            Who::Does("clue-case.approve"),
            ["批准处置意见", "Approve it; not who proposed it"],
            approve,
        ),
        change::<Nothing, _>(
            "/api/clue-cases/{id}/progress",
            Who::Does("clue-case.progress"),
            ["登记办理进展", "Record that it goes on"],
            progress,
        ),
        change::<Reviewed, _>(
            "/api/clue-cases/{id}/review",
            Who::Does("clue-case.review"),
            ["暂存待查复核", "Look at a held item, and say when again"],
            review,
        ),
        change::<Inquiry, _>(
            "/api/clue-cases/{id}/inquire",
            Who::Does("clue-case.inquire"),
            ["发出函询", "A letter of inquiry went out"],
            inquire,
        ),
        change::<Nothing, _>(
            "/api/clue-cases/{id}/reply",
            Who::Does("clue-case.reply"),
            ["收到函询回复", "The reply to it came"],
            reply,
        ),
    ]
}

/// What comes of it, and where it goes.
fn passing_on() -> Vec<Route> {
    vec![
        change::<Outcome, _>(
            "/api/clue-cases/{id}/result",
            Who::Does("clue-case.result"),
            ["登记办理结果", "Record what came of it: cases and persons, as counts"],
            result,
        ),
        change::<Nothing, _>(
            "/api/clue-cases/{id}/feed-back",
            Who::Does("clue-case.feed-back"),
            ["反馈结果", "Tell the first holder what came of it"],
            feed_back,
        ),
        change::<Onward, _>(
            "/api/clue-cases/{id}/offer",
            Who::Does("clue-case.offer"),
            ["转交其他机关", "Offer it to the organ that has authority"],
            offer,
        ),
        change::<Nothing, _>(
            "/api/clue-cases/{id}/withdraw",
            Who::Does("clue-case.withdraw"),
            ["撤回转交", "Withdraw the onward offer"],
            withdraw,
        ),
    ]
}

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Assigned {
    /// The person's id: somebody of the handling office.
    person: String,
}

/// Whose a case was, has it no more.
async fn end_posts(unit: &mut Unit<'_>, person: &str, scope: &str) -> Result<(), Stop> {
    let (row, to): (Option<PersonRow>, _) =
        (unit.row(PEOPLE, person).await?, unit.context().now.day().before());
    let posts = row.map(|row| row.authorisations).unwrap_or_default();
    let live =
        posts.into_values().filter(|post| post.scope == scope && post.to.is_none_or(|t| t > to));
    for id in live.map(|post| post.id) {
        unit.execute::<Person>(person, PersonAsk::EndAuthorisation { id, to }).await?;
    }
    Ok(())
}

/// The registry assigns; the person has a post on this very case from today on, beside
/// the one that the security administrator gave.
async fn assign(Path(id): Path<String>, command: Command<Assigned>) -> Result<Response, Problem> {
    let content = not_its_object(command.seat(), &command.caller, "clue-case.assign", &id).await?;
    let (expected, caller) = (command.expected()?, command.caller.clone());
    let person = command.body.person.clone();
    // Nobody handles what is about himself.
    if content.is_some_and(|content| content.is_about(&person)) {
        return Err(Code::NotAllowed.into());
    }
    let run = act(move |unit: &mut Unit<'_>| {
        let (id, caller, person) = (id.clone(), caller.clone(), person.clone());
        Box::pin(async move {
            let case: CaseRow = permitted(unit, &caller, "clue-case.assign", &id).await?;
            let (from, tier) = (unit.context().now.day(), unit.setting().tier);
            let row: Option<PersonRow> = unit.row(PEOPLE, &person).await?;
            let row = row.ok_or(Code::NotFound)?;
            // The post that the security administrator gave: what the registry gives by it
            // lasts no longer.
            let handles = |post: &&Authorisation| {
                let live = post.from <= from && post.to.is_none_or(|to| from <= to);
                live && plain(&post.role) == "NDI_OFF" && !post.scope.starts_with("case:")
            };
            let base =
                row.authorisations.values().find(handles).cloned().ok_or(Code::NotAllowed)?;
            let unit_of = case.brief.as_ref().map(|brief| brief.unit.as_str());
            if unit_of.is_some_and(|unit| row.standing_on(from).is_kept_from(unit)) {
                return Err(Code::NotAllowed.into());
            }
            let ask = Ask::Assign(person.clone());
            let done = unit.execute_at::<ClueCase>(&id, ask, expected).await?;
            if done.added > 0 {
                let scope = format!("case:{id}");
                if let Some(before) = case.handler {
                    end_posts(unit, &before, &scope).await?;
                }
                let post = format!("{}-case-{id}-{}", base.role, done.version);
                let authorisation =
                    Authorisation { id: post, role: base.role, scope, from, to: base.to };
                let ask = PersonAsk::Authorise { tier, authorisation };
                unit.execute::<Person>(&person, ask).await?;
            }
            Ok(answer(&id, &done, json!({})))
        })
    });
    command.run(run).await
}

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Proposed {
    /// 处置方式
    disposition: Disposition,
}

async fn propose(Path(id): Path<String>, command: Command<Proposed>) -> Result<Response, Problem> {
    not_its_object(command.seat(), &command.caller, "clue-case.propose", &id).await?;
    let (expected, ask) = (command.expected()?, Ask::Propose(command.body.disposition));
    command.decide_on::<CaseRow, ClueCase>("clue-case.propose", id, expected, ask).await
}

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Approved {
    /// 暂存待查的复核日期
    #[schemars(with = "Day")]
    #[serde(default)]
    review: Option<Day>,
}

async fn approve(Path(id): Path<String>, command: Command<Approved>) -> Result<Response, Problem> {
    not_its_object(command.seat(), &command.caller, "clue-case.approve", &id).await?;
    let (expected, ask) = (command.expected()?, Ask::Approve { review: command.body.review });
    command.decide_on::<CaseRow, ClueCase>("clue-case.approve", id, expected, ask).await
}

async fn progress(Path(id): Path<String>, command: Command<Nothing>) -> Result<Response, Problem> {
    not_its_object(command.seat(), &command.caller, "clue-case.progress", &id).await?;
    let expected = command.expected()?;
    command.decide_on::<CaseRow, ClueCase>("clue-case.progress", id, expected, Ask::Progress).await
}

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Inquiry {
    /// 函号
    letter: String,
}

async fn inquire(Path(id): Path<String>, command: Command<Inquiry>) -> Result<Response, Problem> {
    not_its_object(command.seat(), &command.caller, "clue-case.inquire", &id).await?;
    let (expected, ask) = (command.expected()?, Ask::SendInquiry(command.body.letter.clone()));
    command.decide_on::<CaseRow, ClueCase>("clue-case.inquire", id, expected, ask).await
}

async fn reply(Path(id): Path<String>, command: Command<Nothing>) -> Result<Response, Problem> {
    not_its_object(command.seat(), &command.caller, "clue-case.reply", &id).await?;
    let expected = command.expected()?;
    command.decide_on::<CaseRow, ClueCase>("clue-case.reply", id, expected, Ask::NoteReply).await
}

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Reviewed {
    /// 下次复核日期
    next: Day,
}

async fn review(Path(id): Path<String>, command: Command<Reviewed>) -> Result<Response, Problem> {
    not_its_object(command.seat(), &command.caller, "clue-case.review", &id).await?;
    let (expected, next) = (command.expected()?, command.body.next);
    let today = command.seat().office.setting().clock.now().day();
    if next <= today {
        return Err(Refusal::new(Code::BadField).detail("next: a later day").into());
    }
    let ask = Ask::ReviewHeld { next };
    command.decide_on::<CaseRow, ClueCase>("clue-case.review", id, expected, ask).await
}

async fn result(Path(id): Path<String>, command: Command<Outcome>) -> Result<Response, Problem> {
    not_its_object(command.seat(), &command.caller, "clue-case.result", &id).await?;
    let (expected, ask) = (command.expected()?, Ask::Result(command.body));
    command.decide_on::<CaseRow, ClueCase>("clue-case.result", id, expected, ask).await
}

async fn feed_back(Path(id): Path<String>, command: Command<Nothing>) -> Result<Response, Problem> {
    not_its_object(command.seat(), &command.caller, "clue-case.feed-back", &id).await?;
    let expected = command.expected()?;
    command.decide_on::<CaseRow, ClueCase>("clue-case.feed-back", id, expected, Ask::FeedBack).await
}

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Onward {
    /// The organ that has authority.
    to: Party,
}

async fn offer(
    State(seat): State<Arc<Seat>>,
    Path(id): Path<String>,
    command: Command<Onward>,
) -> Result<Response, Problem> {
    let (expected, caller) = (command.expected()?, command.caller.clone());
    let mut to = command.body.to.clone();
    if let Some(home) = homes(&seat).await?.remove(&to) {
        to.office = home;
    }
    let (_, plain) = opened(&seat, &caller, "clue-case.offer", &id).await?;
    if concerns(&caller, &Content::read(&plain)?) {
        return Err(Code::ClueAbsent.into());
    }
    let plain = Arc::new(plain);
    let run = act(move |unit: &mut Unit<'_>| {
        let (id, caller, seat, plain, to) =
            (id.clone(), caller.clone(), seat.clone(), plain.clone(), to.clone());
        Box::pin(async move {
            permitted::<CaseRow>(unit, &caller, "clue-case.offer", &id).await?;
            let (case, _) = unit.load::<ClueCase>(&id).await?;
            let coming = case.coming()?.clone();
            let scope = fresh_scope(&id);
            let (part, grant) = for_receiver(unit, &seat, scope.clone(), &to, &plain).await?;
            let offer = Offer {
                clue: coming.clue,
                number: coming.number + 1,
                from: coming.to,
                to: to.clone(),
                content: coming.content,
                part,
                grant,
                signatures: coming.signatures,
            };
            let ask = Ask::Offer(Box::new(offer));
            let done = unit.execute_at::<ClueCase>(&id, ask, expected).await?;
            note_grant(unit, &scope, to, grant, Purpose::HandOver).await?;
            Ok(answer(&id, &done, json!({})))
        })
    });
    command.run(run).await
}

async fn withdraw(Path(id): Path<String>, command: Command<Nothing>) -> Result<Response, Problem> {
    not_its_object(command.seat(), &command.caller, "clue-case.withdraw", &id).await?;
    let expected = command.expected()?;
    command.decide_on::<CaseRow, ClueCase>("clue-case.withdraw", id, expected, Ask::Withdraw).await
}

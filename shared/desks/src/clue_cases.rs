//! 线索办理 Clues at the organ that received them: receipt, disposition, result.
//!
//! The registry answers every offer once. What the clue says is opened here only with the
//! grant that came with it, and only by the organ it was made for.

pub mod fold;
mod handling;
pub mod view;

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, Query, State},
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use domain::{
    clue::SIGNS,
    clue_case::{ClueCase, Coming, Command as Ask, RECEIVES},
    custody::{Offer, ReturnReason},
    scope_key::Purpose,
};
use event_store::{Answer, Unit, act};
use kernel::{Code, Day, sign::Hash};
use policy::Packs;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use web::{
    Caller, Command, Governed, Nothing, Problem, Route, Seat, Sight, Who, answer, change, get,
    matter::{permitted, read},
    reading::Seen,
};
use zeroize::Zeroizing;

use crate::{
    clues::{Content, OVERSIGHT, apart, reads_by},
    deadline_policies::of_sight,
    listing::{InState, Page, list_governed_as},
    sealing::{has_grant, open, take_grant},
    signing::{PASSWORD, signature},
};
use view::{CASES, CaseRow, OFFERS_IN, OfferIn};

const KNOWN: Who = Who::DoesOne(&["clue-case.open", "clue.oversee"]);

/// The desk's routes.
pub fn routes() -> Vec<Route> {
    let mut routes = vec![
        get("/api/clue-cases", KNOWN, ["收到的线索", "Clues received: states, dates, age"], all)
            .in_time()
            .query::<Page>()
            .query::<InState>(),
        get("/api/clue-cases/{id}", KNOWN, ["收到的线索详情", "One clue received"], one).in_time(),
        get(
            "/api/clue-cases/{id}/content",
            KNOWN,
            ["打开线索内容(记入查阅记录)", "What it says; the read log keeps who opened it"],
            content,
        ),
        change::<Nothing, _>(
            "/api/clue-cases/{id}/accept",
            Who::Does("clue-case.accept"),
            ["受理(签收,核对摘要值)", "Accept it: the receipt is signed over the content found"],
            accept,
        )
        .under(&[PASSWORD]),
        change::<Returned, _>(
            "/api/clue-cases/{id}/return",
            Who::Does("clue-case.return"),
            ["退回", "Give it back, with a reason of the list"],
            send_back,
        ),
    ];
    routes.extend(handling::routes());
    routes
}

/// A row with its age and its dates: what waits too long, without a word of what it is
/// about.
fn shown(row: &CaseRow, today: Day, packs: &Packs) -> Value {
    let accepted = row.day("accepted");
    let by = |key: &str, from: Option<Day>| json!(from.map(|from| packs.due(key, from).day));
    let mut body = json!(row);
    body["age_days"] = json!(accepted.map(|from| today.days_after(from)));
    body["acknowledge_by"] = by("clue.ack", row.day("delivered"));
    body["propose_by"] = by("clue.disposal_proposal", accepted);
    body["feed_back_by"] = by("clue.result_feedback", accepted);
    body["close_by"] = by("clue.close.target", accepted);
    body["close_at_latest"] = by("clue.close.hard", accepted);
    body["due"] = json!(row.due(packs).map(|due| due.day));
    body["stalls"] = json!(row.stalls(today, packs));
    body
}

async fn all(
    seat: Sight,
    caller: Caller,
    Query(page): Query<Page>,
    Query(InState { state }): Query<InState>,
) -> Result<Response, Problem> {
    let named = |row: &CaseRow| serde_json::to_value(row.state).unwrap_or_default();
    let apart = apart::apart(&seat, &caller).await?;
    let keep = |row: &CaseRow| {
        !apart.has("clue-case", &row.id)
            && state.as_ref().is_none_or(|state| named(row) == state.as_str())
    };
    let (today, packs) = (seat.today(), of_sight(&seat).await?);
    let shows = |row: CaseRow| shown(&row, today, &packs);
    list_governed_as(&seat, &caller, "", &page, keep, shows).await
}

async fn one(seat: Sight, Path(id): Path<String>, caller: Caller) -> Result<Response, Problem> {
    let row: CaseRow = read(&seat, &caller, &id).await?;
    // Whom it is about is known by what it says today.
    let today: Option<CaseRow> =
        if seat.looks_back() { seat.office.reader().await?.view(CASES, &id).await? } else { None };
    if apart::concerns(&seat, &caller, apart::case(today.as_ref().unwrap_or(&row))).await {
        return Err(Code::ClueAbsent.into());
    }
    let matter = row.matter(&seat.office.setting().office);
    let possible = [row.possible(), OVERSIGHT].concat();
    let actions = caller.actions(&matter, &possible);
    let mut body = shown(&row, seat.today(), &of_sight(&seat).await?);
    body["actions"] = json!(actions);
    body["demo"] = json!(seat.pin.demo);
    Ok(web::view(&body, row.version))
}

/// The case that somebody may do this with, and what it says.
async fn opened(
    seat: &Seat,
    caller: &Caller,
    action: &str,
    id: &str,
) -> Result<(CaseRow, Zeroizing<Vec<u8>>), Problem> {
    let row: Option<CaseRow> = seat.office.reader().await?.view(CASES, id).await?;
    let row = row.ok_or(Code::ClueAbsent)?;
    caller.permit(action, &row.matter(&seat.office.setting().office), Code::ClueAbsent)?;
    let (Some(place), Some(part), Some(to)) = (&row.place, &row.part, &row.to) else {
        return Err(Code::PartAway.into());
    };
    let bytes = open(seat, to.organ, Purpose::HandOver, place, part).await?;
    if Some(Hash::of(&[&bytes])) != row.content {
        return Err(Code::ContentDiffers.into());
    }
    Ok((row, bytes))
}

async fn content(
    State(seat): State<Arc<Seat>>,
    Path(id): Path<String>,
    caller: Caller,
) -> Result<Response, Problem> {
    let row: Option<CaseRow> = seat.office.reader().await?.view(CASES, &id).await?;
    let matter = row.as_ref().map(|row| row.matter(&seat.office.setting().office));
    let by = reads_by(&caller, "clue-case.open", &matter.ok_or(Code::ClueAbsent)?);
    let (row, bytes) = opened(&seat, &caller, by, &id).await?;
    let content = Content::read(&bytes)?;
    let here = &seat.office.setting().office;
    if concerns(&caller, &content) {
        return Err(Code::ClueAbsent.into());
    }
    let mut seen = Seen::default();
    seen.note_opened(&caller, by, &row.matter(here), &format!("clue-case/{id}"));
    seen.record(&seat, &caller, "clue-case-content").await?;
    let body = json!({"id": id, "clue": row.clue, "content": row.content, "saying": content.saying,
            "minutes": content.minutes});
    Ok(Json(body).into_response())
}

/// Whether somebody has a stake in a clue: is its object, or kept from the unit.
fn concerns(caller: &Caller, content: &Content) -> bool {
    content.is_about(&caller.actor.person) || caller.standing.is_kept_from(&content.brief.unit)
}

/// Whoever a clue is about, or who is kept from the unit, does nothing with it. What does
/// not open here any more, the rules refuse by themselves; else what it says.
async fn not_its_object(
    seat: &Seat,
    caller: &Caller,
    action: &str,
    id: &str,
) -> Result<Option<Content>, Problem> {
    let content = match opened(seat, caller, action, id).await {
        Ok((_, bytes)) => Content::read(&bytes)?,
        Err(problem) if problem.0.code != Code::KeyGone => return Err(problem),
        Err(_) => return Ok(None),
    };
    if concerns(caller, &content) { Err(Code::ClueAbsent.into()) } else { Ok(Some(content)) }
}

/// The receipt: this content is here, and two persons signed it.
async fn accept(
    State(seat): State<Arc<Seat>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    command: Command<Nothing>,
) -> Result<Response, Problem> {
    let (expected, caller) = (command.expected()?, command.caller.clone());
    let (row, bytes) = opened(&seat, &caller, "clue-case.accept", &id).await?;
    let content = Content::read(&bytes)?;
    // Who is its object, or keeps away from the unit, takes nothing in.
    if concerns(&caller, &content) {
        return Err(Code::ClueAbsent.into());
    }
    let hash = Hash::of(&[&bytes]);
    let [first, second] = row.signatures.as_slice() else {
        return Err(Code::SignatureWrong.into());
    };
    for one in [first, second] {
        one.check(&one.by, SIGNS, &row.clue, &hash)?;
    }
    if first.by == second.by || first.key == second.key {
        return Err(Code::SignatureWrong.into());
    }
    let receipt = signature(&seat, &caller, &headers, RECEIVES, &row.clue, &hash).await?;
    let brief = content.brief;
    let run = act(move |unit: &mut Unit<'_>| {
        let (id, caller, brief, receipt) =
            (id.clone(), caller.clone(), brief.clone(), receipt.clone());
        Box::pin(async move {
            permitted::<CaseRow>(unit, &caller, "clue-case.accept", &id).await?;
            // Only the content says of which unit it is: who keeps away from it is asked anew.
            if caller.anew(unit).await?.standing.is_kept_from(&brief.unit) {
                return Err(Code::ClueAbsent.into());
            }
            let ask = Ask::Accept { brief, receipt };
            let done = unit.execute_at::<ClueCase>(&id, ask, expected).await?;
            Ok(answer(&id, &done, json!({})))
        })
    });
    command.run(run).await
}

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Returned {
    /// 退回理由
    reason: ReturnReason,
}

async fn send_back(
    Path(id): Path<String>,
    command: Command<Returned>,
) -> Result<Response, Problem> {
    // What does not open, or does not say what it should, is given back by whoever may.
    if let Ok((_, bytes)) = opened(command.seat(), &command.caller, "clue-case.return", &id).await
        && Content::read(&bytes).is_ok_and(|content| concerns(&command.caller, &content))
    {
        return Err(Code::ClueAbsent.into());
    }
    let (expected, ask) = (command.expected()?, Ask::Return(command.body.reason));
    command.decide_on::<CaseRow, ClueCase>("clue-case.return", id, expected, ask).await
}

/// The offers whose bytes have not all come.
pub(crate) async fn waiting(seat: &Seat) -> Result<Vec<(String, OfferIn)>, Problem> {
    Ok(seat.office.reader().await?.all(OFFERS_IN, "").await?)
}

/// What an offer still needs here: a grant that is in the vault already is not asked for
/// again.
pub(crate) fn needed(seat: &Seat, offer: &Offer) -> Vec<Hash> {
    let kept = has_grant(seat, &offer.part.scope, &offer.to);
    offer.papers().into_iter().filter(|hash| !kept || *hash != offer.grant).collect()
}

/// The sealed contents of the cases that are held here.
pub(crate) async fn held_contents(seat: &Seat) -> Result<Vec<Hash>, Problem> {
    let rows: Vec<(String, CaseRow)> = seat.office.reader().await?.all(CASES, "").await?;
    let held = rows.into_iter().filter(|(_, row)| !row.is_over());
    Ok(held.filter_map(|(_, row)| row.part).map(|part| part.hash).collect())
}

/// Every byte of an offer is here: the grant goes into the vault, and the offerer is told.
pub(crate) async fn deliver(seat: &Arc<Seat>, id: String, waiting: OfferIn) -> Result<(), Problem> {
    let OfferIn { offer, what, .. } = waiting;
    take_grant(seat, &what.part.scope, &what.to, &what.grant).await?;
    let Offer { clue, number, from, to, content, signatures, .. } = what;
    let coming = Box::new(Coming { offer, clue, number, from, to, content, signatures });
    let noting = act(move |unit: &mut Unit<'_>| {
        let (id, coming) = (id.clone(), coming.clone());
        Box::pin(async move {
            unit.execute::<ClueCase>(&id, Ask::NoteDelivery(coming)).await?;
            Ok(Answer { status: 200, etag: String::new(), body: Vec::new() })
        })
    });
    seat.office.system(noting).await?;
    Ok(())
}

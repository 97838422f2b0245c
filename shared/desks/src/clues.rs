//! 问题线索 Clues at their first holder: the team's drafts, two signatures, the custodian's
//! hand-over.
//!
//! What a clue says goes into a sealed part at once and is read back by its own route,
//! which is on record. Lists, answers and refusals have none of it.

pub(crate) mod apart;
mod content;
pub mod counts;
mod discussion;
pub(crate) mod handing;
mod slip;
pub mod view;

use std::{collections::BTreeMap, sync::Arc};

use access::{Matter, Subject};
use axum::{
    Json,
    extract::{Path, Query, State},
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use domain::{
    clue::{Authority, Brief, Clue, Command as Ask, RankBand, SIGNS, Source},
    post::Organ,
    scope_key::Purpose,
};
use event_store::{Unit, act};
use kernel::{Class, Code, sealed::Scope, sign::Hash};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use web::{
    Caller, Command, Governed, Nothing, Problem, Route, Seat, Sight, Who, answer, change, get,
    matter::{permitted, read},
    post,
    reading::Seen,
};

use crate::{
    listing::{InState, Page, list_governed},
    rounds::{ROUNDS, RoundRow, TASKS, TaskRow},
    sealing::{key_for, note_grant, open, seal_next},
    signing::{PASSWORD, signature},
};
pub(crate) use content::Content;
use content::Saying;
use view::ClueRow;

const KNOWN: Who = Who::DoesOne(&["clue.open", "clue.seal", "clue.oversee"]);
const READS: [&str; 2] = ["clue.open", "clue.oversee"];

/// The desk's routes.
pub fn routes() -> Vec<Route> {
    let mut routes = vec![
        get("/api/clues", KNOWN, ["问题线索", "Clues: states and dates"], all)
            .in_time()
            .query::<Page>()
            .query::<InState>()
            .consulted(),
        get("/api/clues/{id}", KNOWN, ["线索详情", "One clue: its way, not what it says"], one)
            .in_time()
            .consulted(),
        get(
            "/api/clues/{id}/content",
            Who::DoesOne(&READS),
            ["打开线索内容(记入查阅记录)", "What a clue says; the read log keeps who opened it"],
            content,
        )
        .consulted(),
        post::<NewClue, _>(
            "/api/clues",
            Who::Does("clue.draft"),
            ["起草线索", "Draft a clue; what it says is sealed at once"],
            draft,
        )
        .sealed(),
        change::<Saying, _>(
            "/api/clues/{id}/revise",
            Who::Does("clue.revise"),
            ["修改线索(已有签字随即失效)", "Change what it says; every signature is void"],
            revise,
        )
        .sealed(),
        change::<OnContent, _>(
            "/api/clues/{id}/sign",
            Who::Does("clue.sign"),
            ["签字(双签字)", "Sign the content that stands, by one's own key; two persons do"],
            sign,
        )
        .under(&[PASSWORD]),
        change::<Nothing, _>(
            "/api/clues/{id}/drop",
            Who::Does("clue.drop"),
            ["封存前撤回", "Take it back before it is sealed"],
            drop_clue,
        ),
    ];
    routes.push(discussion::route());
    routes.extend(handing::routes());
    routes.extend(slip::routes());
    routes.extend(counts::routes());
    routes
}

/// The scope of a clue's content before it is handed over.
pub(crate) fn scope_of(id: &str) -> Scope {
    Scope::Case(id.to_owned(), 1)
}

async fn all(
    seat: Sight,
    caller: Caller,
    Query(page): Query<Page>,
    Query(InState { state }): Query<InState>,
) -> Result<Response, Problem> {
    let named = |row: &ClueRow| serde_json::to_value(row.state).unwrap_or_default();
    let apart = apart::apart(&seat, &caller).await?;
    list_governed::<ClueRow>(&seat, &caller, "", &page, |row| {
        !apart.has("clue", &row.id)
            && state.as_ref().is_none_or(|state| named(row) == state.as_str())
    })
    .await
}

async fn one(seat: Sight, Path(id): Path<String>, caller: Caller) -> Result<Response, Problem> {
    let row: ClueRow = read(&seat, &caller, &id).await?;
    // Whom it is about is known by what it says today.
    let today: Option<ClueRow> = if seat.looks_back() {
        seat.office.reader().await?.view(view::CLUES, &id).await?
    } else {
        None
    };
    if apart::concerns(&seat, &caller, apart::clue(today.as_ref().unwrap_or(&row))).await {
        return Err(Code::ClueAbsent.into());
    }
    let matter = row.matter(&seat.office.setting().office);
    let mut actions = caller.actions(&matter, row.possible_for(&caller));
    if row.is_the_teams() {
        actions.extend(caller.actions(&matter, OVERSIGHT));
    }
    let version = row.version;
    let mut body = serde_json::to_value(row).unwrap_or_default();
    body["actions"] = json!(actions);
    body["demo"] = json!(seat.pin.demo);
    Ok(web::view(&body, version))
}

/// Reading what it says is no work of the secretary's: no worklist has it.
pub(crate) const OVERSIGHT: &[&str] = &["clue.oversee"];

/// The clue that somebody may do this with now.
async fn openable(
    seat: &Seat,
    caller: &Caller,
    action: &str,
    id: &str,
) -> Result<ClueRow, Problem> {
    let row: Option<ClueRow> = seat.office.reader().await?.view(view::CLUES, id).await?;
    let row = row.ok_or(Code::ClueAbsent)?;
    caller.permit(action, &row.matter(&seat.office.setting().office), Code::ClueAbsent)?;
    Ok(row)
}

/// By which right somebody reads a content: the secretary only oversees.
pub(crate) fn reads_by(caller: &Caller, first: &'static str, matter: &Matter<'_>) -> &'static str {
    let oversees = !caller.may(first, matter) && caller.may("clue.oversee", matter);
    if oversees { "clue.oversee" } else { first }
}

/// Whoever a clue is about, has nothing of it and does nothing with it; for everybody else,
/// what it says, and the row that says so.
async fn not_its_object(
    seat: &Seat,
    caller: &Caller,
    id: &str,
) -> Result<(ClueRow, Content), Problem> {
    let row = openable(seat, caller, "clue.open", id).await?;
    let content = opened(seat, &row).await?;
    if content.is_about(&caller.actor.person) {
        return Err(Code::ClueAbsent.into());
    }
    Ok((row, content))
}

/// Opens a clue; whoever it is about has nothing of it.
pub(crate) async fn opened(seat: &Seat, row: &ClueRow) -> Result<Content, Problem> {
    let organ = Organ::InspectionOffice;
    let bytes = open(seat, organ, Purpose::Draft, &row.place, &row.part).await?;
    Ok(Content::read(&bytes)?)
}

async fn content(
    State(seat): State<Arc<Seat>>,
    Path(id): Path<String>,
    caller: Caller,
) -> Result<Response, Problem> {
    let row: Option<ClueRow> = seat.office.reader().await?.view(view::CLUES, &id).await?;
    let row = row.ok_or(Code::ClueAbsent)?;
    let matter = row.matter(&seat.office.setting().office);
    let by = reads_by(&caller, "clue.open", &matter);
    caller.permit(by, &matter, Code::ClueAbsent)?;
    // Who is consulted says on what.
    if !caller.reads(&matter) && caller.reads_with_reason(&matter) {
        return Err(Code::ReadingReasonMissing.into());
    }
    // Handed over, it opens at its holder alone.
    if !row.is_the_teams() {
        return Err(Code::KeyGone.into());
    }
    let content = opened(&seat, &row).await?;
    if content.is_about(&caller.actor.person) {
        return Err(Code::ClueAbsent.into());
    }
    let mut seen = Seen::default();
    seen.note_opened(
        &caller,
        by,
        &row.matter(&seat.office.setting().office),
        &format!("clue/{id}"),
    );
    seen.record(&seat, &caller, "clue-content").await?;
    let body = json!({"id": id, "content": row.content, "saying": content.saying,
        "minutes": content.minutes});
    Ok(Json(body).into_response())
}

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewClue {
    /// The round's id.
    round: String,
    /// The task.
    task: String,
    /// 来源
    source: Source,
    /// 职级
    rank_band: RankBand,
    /// 是否一把手
    principal_leader: bool,
    /// 干部管理权限
    authority: Authority,
    /// 反映对象为巡察组、巡察办、领导小组成员或其亲属
    #[serde(default)]
    of_the_chain: bool,
    /// What it says.
    saying: Saying,
}

async fn draft(command: Command<NewClue>) -> Result<Response, Problem> {
    let (new, seat, caller) =
        (command.body.clone(), command.seat().clone(), command.caller.clone());
    new.saying.check()?;
    let name = seat.derive("clue", &[command.scope()]).to_string();
    let office = seat.office.setting().office.clone();
    let id = format!("{office}-{}", &name[..16]);
    let organ = Organ::InspectionOffice;
    let run = act(move |unit: &mut Unit<'_>| {
        let (new, id, caller, seat) = (new.clone(), id.clone(), caller.clone(), seat.clone());
        Box::pin(async move {
            let brief = brief(unit, &caller, &new).await?;
            // Only what may be drafted gets a key.
            let (key, grant) = key_for(&seat, scope_of(&id), organ, Purpose::Draft).await?;
            let (bytes, hash) = Content::of(brief.clone(), new.saying, String::new()).bytes()?;
            let part = Box::new(seal_next(unit, &seat.papers, &key, &bytes).await?);
            let ask = Ask::Draft { brief, content: hash, part };
            let done = unit.execute::<Clue>(&id, ask).await?;
            let to = domain::custody::Party { office: unit.setting().office.clone(), organ };
            note_grant(unit, key.scope(), to, grant, Purpose::Draft).await?;
            Ok(answer(&id, &done, json!({"content": hash})))
        })
    });
    command.run(run).await
}

/// What may be said of a new clue: where it belongs follows from the task.
async fn brief(
    unit: &mut Unit<'_>,
    caller: &Caller,
    new: &NewClue,
) -> Result<Brief, event_store::Stop> {
    let (office, caller) = (unit.setting().office.clone(), caller.anew(unit).await?);
    let key = format!("{}/{}", new.round, new.task);
    let task = unit.row::<TaskRow>(TASKS, &key).await?.ok_or(Code::TaskAbsent)?;
    let round = unit.row::<RoundRow>(ROUNDS, &new.round).await?.ok_or(Code::RoundAbsent)?;
    let place = task.matter(&round, &office);
    let matter =
        Matter { subject: Subject::Of(Class::K10), organ: Some(Organ::InspectionOffice), ..place };
    caller.permit("clue.draft", &matter, Code::TaskAbsent)?;
    if !task.entered {
        return Err(Code::WrongState.into());
    }
    handing::known(unit, &new.authority).await?;
    Ok(Brief {
        round: new.round.clone(),
        task: new.task.clone(),
        unit: task.task.target.clone(),
        level: task.task.level,
        source: new.source,
        rank_band: new.rank_band,
        principal_leader: new.principal_leader,
        authority: new.authority.clone(),
        of_the_chain: new.of_the_chain,
    })
}

async fn revise(Path(id): Path<String>, command: Command<Saying>) -> Result<Response, Problem> {
    let (expected, saying) = (command.expected()?, command.body.clone());
    let (seat, caller) = (command.seat().clone(), command.caller.clone());
    saying.check()?;
    // Nobody gets a key of a clue that is not his to change.
    let (row, before) = not_its_object(&seat, &caller, &id).await?;
    let stands = row.content;
    let (key, _) = key_for(&seat, scope_of(&id), Organ::InspectionOffice, Purpose::Draft).await?;
    let run = act(move |unit: &mut Unit<'_>| {
        let (id, saying, minutes) = (id.clone(), saying.clone(), before.minutes.clone());
        let (caller, key, seat) = (caller.clone(), key.clone(), seat.clone());
        Box::pin(async move {
            let row: ClueRow = permitted(unit, &caller, "clue.revise", &id).await?;
            // Somebody may have added the minutes meanwhile.
            if row.content != stands {
                return Err(Code::Stale.into());
            }
            let (bytes, hash) = Content::of(row.brief, saying, minutes).bytes()?;
            let part = Box::new(seal_next(unit, &seat.papers, &key, &bytes).await?);
            let ask = Ask::Revise { content: hash, part };
            let done = unit.execute_at::<Clue>(&id, ask, expected).await?;
            Ok(answer(&id, &done, json!({"content": hash})))
        })
    });
    command.run(run).await
}

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct OnContent {
    /// The hash of the content that was read.
    content: Hash,
}

async fn sign(
    State(seat): State<Arc<Seat>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    command: Command<OnContent>,
) -> Result<Response, Problem> {
    let (expected, content) = (command.expected()?, command.body.content);
    not_its_object(&seat, &command.caller, &id).await?;
    let signature = signature(&seat, &command.caller, &headers, SIGNS, &id, &content).await?;
    let ask = Ask::Sign { clue: id.clone(), signature };
    command.decide_on::<ClueRow, Clue>("clue.sign", id, expected, ask).await
}

async fn drop_clue(Path(id): Path<String>, command: Command<Nothing>) -> Result<Response, Problem> {
    not_its_object(command.seat(), &command.caller, &id).await?;
    let expected = command.expected()?;
    command.decide_on::<ClueRow, Clue>("clue.drop", id, expected, Ask::Drop).await
}

/// Where clues stand, by state.
pub(crate) type ByState = BTreeMap<String, u64>;

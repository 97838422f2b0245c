//! 信访人身份 Sealed identities: who sent a petition, opened by two persons for a short
//! while, or destroyed for ever.
//!
//! The key lies in this office's vault and is granted to nobody. Whoever seals an identity
//! does not read it back. The system itself sends nothing to any contact.

mod view;

use std::sync::Arc;

use access::{Matter, Subject};
use axum::{
    Json,
    extract::{Path, Query, State},
    response::{IntoResponse, Response},
};
use domain::{
    identity::{Command as Ask, Identity, OpeningReason, State as IdentityState},
    post::Organ,
    scope_key::Purpose,
};
use event_store::{Unit, act};
use kernel::{Class, Code, sealed::Scope};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use web::{
    Caller, Command, Governed, Nothing, Problem, Route, Seat, Sight, Who, answer, change, get,
    matter::read, post, reading::Seen,
};
use zeroize::Zeroizing;

use crate::{
    listing::{Page, list_governed},
    rounds::{ROUNDS, RoundRow, TASKS, TaskRow},
    sealing::{key_for, note_grant, open, seal_next},
};

/// How long the two may read what they opened, in milliseconds.
const OPEN_FOR: i64 = 15 * 60 * 1000;

pub use view::IdentitiesView;
use view::IdentityRow;

const KNOWN: Who = Who::Reads(&[Subject::Of(Class::K6)]);

/// The desk's routes.
pub fn routes() -> Vec<Route> {
    vec![
        get("/api/identities", KNOWN, ["封存身份", "Sealed identities: that they are there"], all)
            .in_time()
            .query::<Page>(),
        get("/api/identities/{id}", KNOWN, ["封存身份详情", "One sealed identity"], one).in_time(),
        get(
            "/api/identities/{id}/content",
            KNOWN,
            [
                "查看已启封身份(限批准的两人、十五分钟)",
                "Who it is, for the two who opened it, for a quarter of an hour",
            ],
            content,
        ),
        post::<NewIdentity, _>(
            "/api/identities",
            Who::Does("identity.seal"),
            ["封存信访人身份", "Seal who sent a petition; it is not read back"],
            seal,
        )
        .sealed(),
        change::<Reason, _>(
            "/api/identities/{id}/ask",
            Who::Does("identity.ask"),
            ["申请启封", "Ask for it to be opened"],
            ask,
        ),
        change::<Nothing, _>(
            "/api/identities/{id}/open",
            Who::Does("identity.open"),
            ["批准启封", "Agree; somebody of the other organ"],
            agree,
        ),
        change::<Nothing, _>(
            "/api/identities/{id}/ask-destruction",
            Who::Does("identity.ask-destruction"),
            ["申请销毁", "Ask for it to be destroyed"],
            ask_destruction,
        ),
        change::<Nothing, _>(
            "/api/identities/{id}/destroy",
            Who::Does("identity.destroy"),
            ["批准销毁(不可恢复)", "Agree; nobody can open it again"],
            destroy,
        ),
    ]
}

/// The scope of an identity.
pub(crate) fn scope_of(id: &str) -> Scope {
    Scope::Subject(id.to_owned(), 1)
}

async fn all(seat: Sight, caller: Caller, Query(page): Query<Page>) -> Result<Response, Problem> {
    list_governed::<IdentityRow>(&seat, &caller, "", &page, |_| true).await
}

async fn one(seat: Sight, Path(id): Path<String>, caller: Caller) -> Result<Response, Problem> {
    let row: IdentityRow = read(&seat, &caller, &id).await?;
    let actions = caller.actions(&row.matter(&seat.office.setting().office), row.possible());
    let version = row.version;
    let mut body = json!(row);
    body["actions"] = json!(actions);
    Ok(web::view(&body, version))
}

/// Who a sender is.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Sender {
    /// 姓名
    name: String,
    /// 联系方式
    #[serde(default)]
    contact: String,
    /// 身份证件号码、住址等
    #[serde(default)]
    other: String,
}

async fn content(
    State(seat): State<Arc<Seat>>,
    Path(id): Path<String>,
    caller: Caller,
) -> Result<Response, Problem> {
    let row: IdentityRow = read(&Sight::now(&seat), &caller, &id).await?;
    if matches!(row.state, IdentityState::ToBeDestroyed | IdentityState::Destroyed) {
        return Err(Code::IdentityDestroyed.into());
    }
    let now = seat.office.setting().clock.now();
    let reason = match &row.opened {
        Some((by, reason, at)) if by.contains(&caller.actor.person) && now.0 - at.0 <= OPEN_FOR => {
            *reason
        }
        _ => return Err(Code::NotOpened.into()),
    };
    let organ = Organ::InspectionOffice;
    let bytes = open(&seat, organ, Purpose::Identity, &row.place, &row.part).await?;
    let mut seen = Seen::default();
    let matter = row.matter(&seat.office.setting().office);
    seen.note_opened(&caller, access::policy::READ, &matter, &format!("identity/{id}"));
    seen.record(&seat, &caller, "identity-content").await?;
    let sender: Sender = serde_json::from_slice(&bytes).map_err(|_| Code::ContentDiffers)?;
    Ok(Json(json!({"id": id, "reason": reason, "sender": sender})).into_response())
}

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewIdentity {
    /// The round's id.
    round: String,
    /// The task.
    task: String,
    /// Who it is.
    sender: Sender,
}

async fn seal(command: Command<NewIdentity>) -> Result<Response, Problem> {
    let (new, seat, caller) =
        (command.body.clone(), command.seat().clone(), command.caller.clone());
    if new.sender.name.trim().is_empty() {
        return Err(Code::EmptyText.into());
    }
    let name = seat.derive("identity", &[command.scope()]).to_string();
    let office = seat.office.setting().office.clone();
    let id = format!("{office}-{}", &name[..16]);
    let organ = Organ::InspectionOffice;
    let bytes =
        Arc::new(Zeroizing::new(serde_json::to_vec(&new.sender).map_err(|_| Code::Internal)?));
    let (round, task) = (new.round, new.task);
    let run = act(move |unit: &mut Unit<'_>| {
        let (id, caller, seat, bytes) = (id.clone(), caller.clone(), seat.clone(), bytes.clone());
        let (round, task) = (round.clone(), task.clone());
        Box::pin(async move {
            let (office, caller) = (unit.setting().office.clone(), caller.anew(unit).await?);
            let of = format!("{round}/{task}");
            let row = unit.row::<TaskRow>(TASKS, &of).await?.ok_or(Code::TaskAbsent)?;
            let plan = unit.row::<RoundRow>(ROUNDS, &round).await?.ok_or(Code::RoundAbsent)?;
            let matter = Matter { subject: Subject::Of(Class::K6), ..row.matter(&plan, &office) };
            caller.permit("identity.seal", &matter, Code::TaskAbsent)?;
            if !row.entered {
                return Err(Code::WrongState.into());
            }
            // Only what may be sealed gets a key.
            let (key, grant) = key_for(&seat, scope_of(&id), organ, Purpose::Identity).await?;
            let part = Box::new(seal_next(unit, &seat.papers, &key, &bytes).await?);
            let unit_id = row.task.target.clone();
            let ask = Ask::Seal { round, task, unit: unit_id, part };
            let done = unit.execute::<Identity>(&id, ask).await?;
            let to = domain::custody::Party { office, organ };
            note_grant(unit, key.scope(), to, grant, Purpose::Identity).await?;
            Ok(answer(&id, &done, json!({})))
        })
    });
    command.run(run).await
}

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Reason {
    /// 启封事由
    reason: OpeningReason,
}

async fn ask(Path(id): Path<String>, command: Command<Reason>) -> Result<Response, Problem> {
    let (expected, ask) = (command.expected()?, Ask::Ask(command.body.reason));
    command.decide_on::<IdentityRow, Identity>("identity.ask", id, expected, ask).await
}

async fn agree(Path(id): Path<String>, command: Command<Nothing>) -> Result<Response, Problem> {
    let expected = command.expected()?;
    command.decide_on::<IdentityRow, Identity>("identity.open", id, expected, Ask::Open).await
}

async fn ask_destruction(
    Path(id): Path<String>,
    command: Command<Nothing>,
) -> Result<Response, Problem> {
    let (expected, ask) = (command.expected()?, Ask::AskDestruction);
    command.decide_on::<IdentityRow, Identity>("identity.ask-destruction", id, expected, ask).await
}

async fn destroy(Path(id): Path<String>, command: Command<Nothing>) -> Result<Response, Problem> {
    let (expected, seat) = (command.expected()?, command.seat().clone());
    let done =
        command.decide_on::<IdentityRow, Identity>("identity.destroy", id, expected, Ask::Destroy);
    let done = done.await?;
    // At once; what a stop leaves undone, the next turn does.
    if let Err(problem) = crate::sealing::turn(&seat, false).await {
        tracing::warn!(?problem, "a key is approved for destruction and not destroyed yet");
    }
    Ok(done)
}

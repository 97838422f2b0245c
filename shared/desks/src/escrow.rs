//! 密钥托管 Escrow: officers who can bring the office's sealing keys back after a disk is
//! lost, each with a share on paper.
//!
//! A share is shown to its officer alone, until the officer says by its fingerprint that it
//! is written down; from then on it is nowhere but on that paper. What belongs to one
//! person, a complainant's identity or a signing key, is in no escrow.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use access::{PEOPLE, PersonRow, Subject};
use axum::{
    Json,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use domain::{
    escrow::{Command as Ask, Escrow, Event},
    post::Role,
};
use event_store::{FoldError, Rows, Unit, View, act};
use kernel::{
    Aggregate, Code, Fact, OfficeId, Refusal, Timestamp,
    sign::{Hash, PublicKey},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use vault::{OrganPublic, escrow::OFFICERS};
use web::{Caller, Command, Problem, Route, Seat, Who, answer, get, post};

use crate::sealing::in_vault;

/// The escrow that stands, under the key `""`.
const ESCROW: &str = "escrow";
/// One thing at a time: between the record of an escrow and the vault's turn to it nobody
/// else looks.
static AT_WORK: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// The desk's routes.
pub fn routes() -> Vec<Route> {
    vec![
        get(
            "/api/escrow",
            Who::Reads(&[Subject::Accounts]),
            ["密钥托管情况", "The escrow of the sealing keys: officers, and who has taken a share"],
            standing,
        ),
        post::<Begin, _>(
            "/api/escrow",
            Who::Does("escrow.begin"),
            ["设立密钥托管(原份额作废)", "Begin an escrow; the shares of one before count no more"],
            begin,
        ),
        get(
            "/api/escrow/share",
            Who::Oneself,
            ["本人待领份额", "One's own share, until it is said to be on paper"],
            share,
        ),
        post::<Taken, _>(
            "/api/escrow/share",
            Who::SignedIn,
            [
                "确认份额已抄录(系统随即销毁)",
                "Say that the share is on paper; it is nowhere else then",
            ],
            take,
        ),
    ]
}

/// An escrow as it is shown.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct EscrowRow {
    /// The public half of its key.
    pub key: Option<PublicKey>,
    /// The persons who keep a share each.
    pub officers: Vec<String>,
    /// How many of them must come together.
    pub needed: u8,
    /// Who has a share on paper, by its fingerprint.
    pub taken: BTreeMap<String, Hash>,
    /// Who began it.
    pub by: String,
    /// Since when.
    pub begun: Option<Timestamp>,
}

/// Folds the office's escrow.
#[derive(Debug)]
pub struct EscrowView {
    /// The office.
    pub office: OfficeId,
}

impl View for EscrowView {
    fn name(&self) -> &'static str {
        ESCROW
    }

    fn apply(&self, rows: &mut Rows<'_>, fact: &Fact) -> Result<(), FoldError> {
        if fact.family() != Escrow::FAMILY || fact.at.origin != self.office {
            return Ok(());
        }
        match fact.read()? {
            Event::Begun { key, officers, needed, by } => {
                let (key, begun, taken) = (Some(key), Some(fact.recorded), BTreeMap::new());
                rows.put(ESCROW, "", &EscrowRow { key, officers, needed, taken, by, begun })
            }
            Event::ShareTaken { share, by, .. } => {
                rows.change(ESCROW, "", |row: &mut EscrowRow| {
                    row.taken.insert(by, share);
                })
            }
        }
    }
}

/// The escrow that stands.
async fn row(seat: &Seat) -> Result<EscrowRow, Problem> {
    let row: Option<EscrowRow> = seat.office.reader().await?.view(ESCROW, "").await?;
    Ok(row.unwrap_or_default())
}

/// Lets the vault turn to the escrow that the log names, and forget shares that are on
/// paper: what a stop, or a request that was given up, left undone.
pub(crate) async fn turn(seat: &Arc<Seat>) -> Result<(), Problem> {
    let _at_work = AT_WORK.lock().await;
    follow(seat).await
}

async fn follow(seat: &Arc<Seat>) -> Result<(), Problem> {
    let row = row(seat).await?;
    let Some(key) = row.key else { return Ok(()) };
    in_vault(seat, move |vault| {
        if vault.begin_escrow(&OrganPublic(key.0))? {
            for (officer, share) in &row.taken {
                vault.forget_share(officer, share)?;
            }
        }
        Ok(())
    })
    .await
}

async fn standing(State(seat): State<Arc<Seat>>) -> Result<Response, Problem> {
    let row = row(&seat).await?;
    let vaults = in_vault(&seat, |vault| Ok(vault.escrow())).await?;
    // With fewer papers than are needed nothing comes back; a vault that was itself brought
    // back has no escrow until another one is begun.
    let counts = row.key.is_some_and(|key| vaults == Some(OrganPublic(key.0)));
    let complete = counts && row.taken.len() == row.officers.len();
    let taken: Vec<&String> = row.taken.keys().collect();
    Ok(Json(json!({"officers": row.officers, "needed": row.needed, "taken": taken,
        "by": row.by, "begun": row.begun, "counts": counts, "complete": complete}))
    .into_response())
}

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Begin {
    /// 保管人员: persons of this office, none of them an administrator.
    #[schemars(length(min = 2, max = 15))]
    officers: Vec<String>,
    /// 恢复所需人数
    #[schemars(range(min = 2, max = 15))]
    needed: u8,
}

/// Refuses officers who are none, or who run the machine.
async fn officers(seat: &Seat, caller: &Caller, new: &Begin) -> Result<(), Problem> {
    const FIT: &str = "officers: 2 … 15 different persons with a post here, no administrator, not \
        yourself; needed: 2 … as many as they are";
    let refused = |code: Code| Problem::from(Refusal::new(code).detail(FIT));
    let (count, needed) = (new.officers.len(), usize::from(new.needed));
    if !OFFICERS.contains(&count) || !OFFICERS.contains(&needed) {
        return Err(refused(Code::BadField));
    }
    let named: BTreeSet<&String> = new.officers.iter().collect();
    if named.len() != count || needed > count {
        return Err(refused(Code::UnfitChoice));
    }
    if named.contains(&caller.actor.person) {
        return Err(Code::SamePerson.into());
    }
    let today = seat.office.setting().clock.now().day();
    let mut reader = seat.office.reader().await?;
    for person in named {
        let row: Option<PersonRow> = reader.view(PEOPLE, person).await?;
        let posts = row.map(|row| row.posts_on(today)).unwrap_or_default();
        let administers = |role: &str| Role::of(role).is_none_or(Role::administers);
        if posts.is_empty() || posts.iter().any(|post| administers(&post.role)) {
            return Err(refused(Code::UnfitChoice));
        }
    }
    Ok(())
}

async fn begin(command: Command<Begin>) -> Result<Response, Problem> {
    let (new, seat) = (command.body.clone(), command.seat().clone());
    officers(&seat, &command.caller, &new).await?;
    let _at_work = AT_WORK.lock().await;
    let (named, needed, request) = (new.officers.clone(), new.needed, command.scope().to_owned());
    let key = in_vault(&seat, move |vault| vault.prepare_escrow(&request, &named, needed)).await?;
    let key = PublicKey(key.ok_or(Code::Internal)?.0);
    let run = act(move |unit: &mut Unit<'_>| {
        let Begin { officers, needed } = new.clone();
        Box::pin(async move {
            let id = unit.setting().office.to_string();
            let ask = Ask::Begin { key, officers, needed };
            let done = unit.execute::<Escrow>(&id, ask).await?;
            Ok(answer(&id, &done, json!({})))
        })
    });
    // The record comes first: the vault turns to what the log names, and to nothing else.
    let done = command.run(run).await?;
    follow(&seat).await?;
    Ok(done)
}

async fn share(State(seat): State<Arc<Seat>>, caller: Caller) -> Result<Response, Problem> {
    let person = caller.actor.person.clone();
    let share = in_vault(&seat, move |vault| Ok(vault.share(&person))).await?;
    let share = share.ok_or(Code::ShareAbsent)?;
    let body = json!({"number": share.number(), "share": share.to_text().as_str(),
        "fingerprint": share.fingerprint()});
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(body)).into_response())
}

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Taken {
    /// The share's fingerprint, as it was shown with it.
    fingerprint: Hash,
}

async fn take(command: Command<Taken>) -> Result<Response, Problem> {
    let (share, seat) = (command.body.fingerprint, command.seat().clone());
    let _at_work = AT_WORK.lock().await;
    let person = command.caller.actor.person.clone();
    let waiting = in_vault(&seat, move |vault| Ok((vault.share(&person), vault.escrow()))).await?;
    let key = PublicKey(waiting.1.ok_or(Code::ShareAbsent)?.0);
    if waiting.0.is_some_and(|waiting| waiting.fingerprint() != share) {
        return Err(Refusal::new(Code::BadField).detail("fingerprint").into());
    }
    let run = act(move |unit: &mut Unit<'_>| {
        Box::pin(async move {
            let id = unit.setting().office.to_string();
            let done = unit.execute::<Escrow>(&id, Ask::Take { key, share }).await?;
            Ok(answer(&id, &done, json!({})))
        })
    });
    let done = command.run(run).await?;
    follow(&seat).await?;
    Ok(done)
}

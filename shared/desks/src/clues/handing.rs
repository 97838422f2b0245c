//! 线索移交 Handing a clue over: sealed, offered, withdrawn, on paper, closed, reopened.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    extract::{Path, State},
    response::Response,
};
use domain::{
    clue::{Authority, Clue, Command as Ask, Outcome, Ways},
    custody::{Offer, Party},
    post::Organ,
    scope_key::Purpose,
};
use event_store::{Stop, Unit, act};
use kernel::{Code, Entropy, OfficeId, Refusal, sealed::Scope, sign::PublicKey};
use messaging::directory::{DIRECTORY, Entry};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use vault::ScopeKey;
use web::{
    Caller, Command, Governed, Nothing, Problem, Route, Seat, Who, answer, change,
    matter::permitted,
};
use zeroize::Zeroizing;

use super::{
    Content, opened,
    view::{CLUES, ClueRow},
};
use crate::sealing::{ORGAN_KEYS, grant_to, homes, note_grant, open, organ_name, seal_next};
use access::{PEOPLE, PersonRow};
use domain::post::Role;

/// The routes of the custodian.
pub(super) fn routes() -> Vec<Route> {
    vec![
        change::<Nothing, _>(
            "/api/clues/{id}/seal",
            Who::Does("clue.seal"),
            [
                "密封(按干部管理权限确定去向)",
                "Seal it; where it goes follows from who has authority",
            ],
            seal,
        ),
        change::<Rerouted, _>(
            "/api/clues/{id}/reroute",
            Who::Does("clue.reroute"),
            [
                "变更去向(被退回:不属其管理权限)",
                "Send it elsewhere: who it was offered to has no authority over the object",
            ],
            reroute,
        ),
        change::<Nothing, _>(
            "/api/clues/{id}/offer",
            Who::Does("clue.offer"),
            ["移送", "Offer it to the organ that it goes to"],
            offer,
        ),
        change::<Nothing, _>(
            "/api/clues/{id}/withdraw",
            Who::Does("clue.withdraw"),
            ["撤回移送", "Withdraw the offer; it then moves nothing"],
            withdraw,
        ),
        change::<OnPaper, _>(
            "/api/clues/{id}/paper",
            Who::Does("clue.paper"),
            ["纸质移交登记", "Record that it went on paper: hand-over list and receipt"],
            on_paper,
        ),
        change::<Outcome, _>(
            "/api/clues/{id}/result",
            Who::Does("clue.result"),
            ["登记纸质移交的办理结果", "Record what came of a clue that went on paper"],
            paper_result,
        ),
        change::<Nothing, _>(
            "/api/clues/{id}/close",
            Who::Does("clue.close"),
            ["办结", "Close it; its result is here"],
            close,
        ),
        change::<Nothing, _>(
            "/api/clues/{id}/reopen",
            Who::Does("clue.reopen"),
            ["重新办理(两人)", "Take it up again; two persons do"],
            reopen,
        ),
    ]
}

async fn seal(
    State(seat): State<Arc<Seat>>,
    Path(id): Path<String>,
    command: Command<Nothing>,
) -> Result<Response, Problem> {
    let (expected, caller) = (command.expected()?, command.caller.clone());
    let persons = objects(&seat, &caller, "clue.seal", &id).await?;
    let homes = homes(&seat).await?;
    let run = act(move |unit: &mut Unit<'_>| {
        let (id, caller, persons, homes) =
            (id.clone(), caller.clone(), persons.clone(), homes.clone());
        Box::pin(async move {
            permitted::<ClueRow>(unit, &caller, "clue.seal", &id).await?;
            let ask = Ask::Seal(ways(unit, &persons, homes).await?);
            let done = unit.execute_at::<Clue>(&id, ask, expected).await?;
            Ok(answer(&id, &done, json!({})))
        })
    });
    command.run(run).await
}

/// The persons of this office whom a clue names, for whoever may do this with it: the
/// system looks whether one of them would read it, the custodian does not. Whoever it is
/// about hands nothing of it on.
async fn objects(
    seat: &Seat,
    caller: &Caller,
    action: &str,
    id: &str,
) -> Result<Vec<String>, Problem> {
    let row: Option<ClueRow> = seat.office.reader().await?.view(CLUES, id).await?;
    let row = row.ok_or(Code::ClueAbsent)?;
    caller.permit(action, &row.matter(&row.office), Code::ClueAbsent)?;
    if !row.is_the_teams() {
        return Ok(Vec::new());
    }
    let persons = opened(seat, &row).await?.persons();
    if persons.contains(&caller.actor.person) { Err(Code::ClueAbsent.into()) } else { Ok(persons) }
}

/// The same of a step that looks at nothing else: also what does not open is taken back or
/// goes on paper.
async fn not_its_object(
    seat: &Seat,
    caller: &Caller,
    action: &str,
    id: &str,
) -> Result<(), Problem> {
    match objects(seat, caller, action, id).await {
        Err(problem) if problem.0.code == Code::ClueAbsent => Err(problem),
        _ => Ok(()),
    }
}

/// Whether one of these persons works here, other than for an inspected unit.
async fn any_reads(unit: &mut Unit<'_>, persons: &[String]) -> Result<bool, Stop> {
    let today = unit.context().now.day();
    let handles =
        |role: &str| Role::of(role).is_some_and(|role| role.organ != Organ::InspectedUnit);
    for person in persons {
        let row: Option<PersonRow> = unit.row(PEOPLE, person).await?;
        let posts = row.map(|row| row.posts_on(today)).unwrap_or_default();
        if posts.iter().any(|post| handles(&post.role)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Where clues go from here.
async fn ways(
    unit: &mut Unit<'_>,
    persons: &[String],
    homes: BTreeMap<Party, OfficeId>,
) -> Result<Ways, Stop> {
    let object_reads = any_reads(unit, persons).await?;
    Ok(Ways { parent: unit.here().parent, homes, object_reads })
}

/// Refuses an authority below this office that is no office, or not below it.
pub(super) async fn known(unit: &mut Unit<'_>, authority: &Authority) -> Result<(), Stop> {
    let Authority::Lower(below) = authority else { return Ok(()) };
    let here = unit.setting().office.clone();
    let row: Option<Entry> = unit.row(DIRECTORY, below.as_str()).await?;
    match row.and_then(|row| row.member.seat.parent) {
        Some(parent) if parent == here => Ok(()),
        _ => Err(Refusal::new(Code::UnknownOffice).detail("authority: lower").into()),
    }
}

/// The published key of an organ.
pub(crate) async fn key_of(unit: &mut Unit<'_>, to: &Party) -> Result<PublicKey, Stop> {
    let name = format!("{}/{}", to.office, organ_name(to.organ));
    Ok(unit.row::<PublicKey>(ORGAN_KEYS, &name).await?.ok_or(Code::ReceiverUnknown)?)
}

/// The scope of an offer's key: of this clue or case, by a number that is drawn. One that
/// counted on would come again after a store was put back to an older copy, and vaults have
/// the key of the first time under it. Number 1 is the team's.
pub(crate) fn fresh_scope(id: &str) -> Scope {
    let [a, b, c, d, ..] = Entropy::System.bytes16();
    Scope::Case(id.to_owned(), u32::from_be_bytes([a, b, c, d]).max(2))
}

/// Seals a content for its next holder: the offer's part and the grant beside it.
pub(crate) async fn for_receiver(
    unit: &mut Unit<'_>,
    seat: &Seat,
    scope: Scope,
    to: &Party,
    content: &[u8],
) -> Result<(kernel::sealed::SealedPart, kernel::sign::Hash), Stop> {
    let public = key_of(unit, to).await?;
    let key = ScopeKey::fresh(scope, &Entropy::System);
    let part = seal_next(unit, &seat.papers, &key, content).await?;
    let grant = grant_to(&seat.papers, &key, to, public).await?;
    Ok((part, grant))
}

/// Whoever hands over sees the envelope: what is in it is sealed anew, unread; and whom of
/// this office it names.
async fn envelope(
    seat: &Seat,
    row: &ClueRow,
) -> Result<(Zeroizing<Vec<u8>>, Vec<String>), Problem> {
    if !row.is_the_teams() {
        return Ok((Zeroizing::new(Vec::new()), Vec::new()));
    }
    let plain = open(seat, Organ::InspectionOffice, Purpose::Draft, &row.place, &row.part).await?;
    let persons = Content::read(&plain)?.persons();
    Ok((plain, persons))
}

async fn offer(
    State(seat): State<Arc<Seat>>,
    Path(id): Path<String>,
    command: Command<Nothing>,
) -> Result<Response, Problem> {
    let (expected, caller) = (command.expected()?, command.caller.clone());
    let row: Option<ClueRow> = seat.office.reader().await?.view(CLUES, &id).await?;
    let row = row.ok_or(Code::ClueAbsent)?;
    caller.permit("clue.offer", &row.matter(&row.office), Code::ClueAbsent)?;
    let organ = Organ::InspectionOffice;
    let (plain, persons) = envelope(&seat, &row).await?;
    if persons.contains(&caller.actor.person) {
        return Err(Code::ClueAbsent.into());
    }
    let (plain, homes) = (Arc::new(plain), homes(&seat).await?);
    let run = act(move |unit: &mut Unit<'_>| {
        let (id, caller, seat, plain, persons, homes) = (
            id.clone(),
            caller.clone(),
            seat.clone(),
            plain.clone(),
            persons.clone(),
            homes.clone(),
        );
        Box::pin(async move {
            permitted::<ClueRow>(unit, &caller, "clue.offer", &id).await?;
            let (clue, _) = unit.load::<Clue>(&id).await?;
            let route = clue.route().cloned().ok_or(Code::WrongState)?;
            // The organ may have become an office of its own since it was sealed.
            let home = homes.get(&route).cloned();
            let at_home = home.is_some();
            let to = Party { office: home.unwrap_or(route.office), organ: route.organ };
            if kernel::sign::Hash::of(&[&plain]) != clue.content() {
                return Err(Code::Stale.into());
            }
            // Somebody may have come to work here since it was sealed.
            if to.office == unit.setting().office && any_reads(unit, &persons).await? {
                return Err(Code::ObjectReads.into());
            }
            let scope = fresh_scope(&id);
            let (part, grant) = for_receiver(unit, &seat, scope.clone(), &to, &plain).await?;
            let from = Party { office: unit.setting().office.clone(), organ };
            let offer = Offer {
                clue: id.clone(),
                number: 1,
                from,
                to: to.clone(),
                content: clue.content(),
                part,
                grant,
                signatures: clue.signatures().to_vec(),
            };
            let offer = Box::new(offer);
            let ask = if at_home { Ask::OfferAtHome(offer) } else { Ask::Offer(offer) };
            let done = unit.execute_at::<Clue>(&id, ask, expected).await?;
            note_grant(unit, &scope, to, grant, Purpose::HandOver).await?;
            Ok(answer(&id, &done, json!({})))
        })
    });
    command.run(run).await
}

async fn withdraw(Path(id): Path<String>, command: Command<Nothing>) -> Result<Response, Problem> {
    not_its_object(command.seat(), &command.caller, "clue.withdraw", &id).await?;
    let expected = command.expected()?;
    command.decide_on::<ClueRow, Clue>("clue.withdraw", id, expected, Ask::Withdraw).await
}

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Rerouted {
    /// 干部管理权限
    authority: Authority,
}

async fn reroute(
    State(seat): State<Arc<Seat>>,
    Path(id): Path<String>,
    command: Command<Rerouted>,
) -> Result<Response, Problem> {
    let (expected, caller) = (command.expected()?, command.caller.clone());
    let persons = objects(&seat, &caller, "clue.reroute", &id).await?;
    let (authority, homes) = (command.body.authority.clone(), homes(&seat).await?);
    let run = act(move |unit: &mut Unit<'_>| {
        let (id, caller, authority, persons, homes) =
            (id.clone(), caller.clone(), authority.clone(), persons.clone(), homes.clone());
        Box::pin(async move {
            permitted::<ClueRow>(unit, &caller, "clue.reroute", &id).await?;
            known(unit, &authority).await?;
            let ask = Ask::Reroute { authority, ways: ways(unit, &persons, homes).await? };
            let done = unit.execute_at::<Clue>(&id, ask, expected).await?;
            Ok(answer(&id, &done, json!({})))
        })
    });
    command.run(run).await
}

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct OnPaper {
    /// The hand-over list's number.
    slip: String,
    /// The receipt's number.
    receipt: String,
}

async fn on_paper(Path(id): Path<String>, command: Command<OnPaper>) -> Result<Response, Problem> {
    not_its_object(command.seat(), &command.caller, "clue.paper", &id).await?;
    let expected = command.expected()?;
    let OnPaper { slip, receipt } = command.body.clone();
    let ask = Ask::HandOnPaper { slip, receipt };
    command.decide_on::<ClueRow, Clue>("clue.paper", id, expected, ask).await
}

async fn paper_result(
    Path(id): Path<String>,
    command: Command<Outcome>,
) -> Result<Response, Problem> {
    let (expected, ask) = (command.expected()?, Ask::PaperResult(command.body));
    command.decide_on::<ClueRow, Clue>("clue.result", id, expected, ask).await
}

async fn close(Path(id): Path<String>, command: Command<Nothing>) -> Result<Response, Problem> {
    let expected = command.expected()?;
    command.decide_on::<ClueRow, Clue>("clue.close", id, expected, Ask::Close).await
}

async fn reopen(Path(id): Path<String>, command: Command<Nothing>) -> Result<Response, Problem> {
    let expected = command.expected()?;
    command.decide_on::<ClueRow, Clue>("clue.reopen", id, expected, Ask::Reopen).await
}

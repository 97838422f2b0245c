//! 历史补送 Earlier entries of an own matter, given to an office that becomes a party to it.

use access::{Matter, Subject};
use axum::response::Response;
use domain::history::{History, Share};
use event_store::{Stop, Unit, act};
use kernel::{Class, Code, Fact, OfficeId, id::stream_owner};
use messaging::directory::{DIRECTORY, Entry};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use web::{Command, Problem, Route, Who, answer, post};

/// The matters whose past may be given, each with its command.
const FAMILIES: [(&str, &str); 2] =
    [("round", "history.share-round"), ("filing", "history.share-filing")];

/// The desk's routes.
pub fn routes() -> Vec<Route> {
    vec![post::<Sharing, _>(
        "/api/history-shares",
        Who::DoesOne(&["history.share-round", "history.share-filing"]),
        ["补送历史", "Give the earlier entries of a round or filing to another office"],
        share,
    )]
}

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Sharing {
    /// The office that becomes a party.
    to: OfficeId,
    /// `round/<id>` or `filing/<id>`: an own stream.
    stream: String,
}

async fn share(command: Command<Sharing>) -> Result<Response, Problem> {
    let Sharing { to, stream } = command.body.clone();
    let family = stream.split('/').next().unwrap_or_default();
    let Some((_, action)) = FAMILIES.iter().find(|(of, _)| *of == family) else {
        return Err(Code::NotFound.into());
    };
    let matter = Matter::of(Subject::Of(Class::K12));
    command.caller.permit(action, &matter, Code::NotFound)?;
    let caller = command.caller.clone();
    let run = act(move |unit: &mut Unit<'_>| {
        let (to, stream, caller) = (to.clone(), stream.clone(), caller.clone());
        Box::pin(async move {
            // Whoever is kept from a target of a round gives nobody its entries.
            if let Some(("round", id)) = stream.split_once('/') {
                crate::rounds::kept_from_none(unit, &caller, id).await?;
            }
            let entries = earlier(unit, &to, &stream).await?;
            let own = unit.setting().office.clone();
            let id = format!("{own}-{to}");
            let given = entries.len();
            let share = Share { to, stream, entries };
            let done = unit.execute::<History>(&id, share).await?;
            Ok(answer(&id, &done, json!({"entries": given})))
        })
    });
    command.run(run).await
}

/// The entries of an own stream that were shared with somebody, and that the office does
/// not read anyway.
async fn earlier(
    unit: &mut Unit<'_>,
    to: &OfficeId,
    stream: &str,
) -> Result<Vec<(u64, Vec<u8>)>, Stop> {
    let row: Option<Entry> = unit.row(DIRECTORY, to.as_str()).await?;
    let place = row.ok_or(Code::UnknownOffice)?.member.seat;
    let (own, bindings) = (unit.setting().office.clone(), unit.setting().bindings);
    if stream_owner(stream).as_ref() != Some(&own) || *to == own {
        return Err(Code::NotFound.into());
    }
    let all = unit.own_stream(stream).await?;
    if all.is_empty() {
        return Err(Code::NotFound.into());
    }
    let mut entries = Vec::new();
    for bytes in all {
        let Ok((fact, _)) = Fact::of_entry(&bytes) else { continue };
        let read = fact.audience.is_read_by(&own, &place.office, place.tier, place.parent.as_ref());
        let travels = bindings(&fact.kind).is_some_and(|binding| binding.class.may_travel());
        if fact.audience != kernel::Audience::Own && travels && !read {
            entries.push((fact.at.sequence, bytes));
        }
    }
    Ok(entries)
}

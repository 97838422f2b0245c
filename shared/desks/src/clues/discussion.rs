//! 室组办会商 The discussion of a clue: how far it can be checked, and its minutes, which are
//! sealed with what it says and signed with it.

use access::{PEOPLE, PersonRow};
use axum::{extract::Path, response::Response};
use domain::{
    clue::{Clue, Command as Ask, Quality},
    post::{Organ, plain},
    scope_key::Purpose,
};
use event_store::{Unit, act};
use kernel::{Code, Refusal};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use web::{Command, Governed, Problem, Route, Seat, Who, answer, change, matter::permitted};

use super::{Content, content::check_minutes, not_its_object, scope_of, view::ClueRow};
use crate::sealing::{key_for, seal_next};

/// The desk's route.
pub(super) fn route() -> Route {
    change::<Judged, _>(
        "/api/clues/{id}/discuss",
        Who::Does("clue.discuss"),
        [
            "室组办会商(会商纪要一并封存)",
            "Record the discussion and its minutes, sealed with the clue; answers the hash to sign",
        ],
        discuss,
    )
    .sealed()
}

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Judged {
    /// 可查性
    quality: Quality,
    /// 参加会商人员: the ids of those with whom, of the team, the supervision desk or the
    /// non-resident deputies.
    #[schemars(length(min = 1, max = 20))]
    with: Vec<String>,
    /// 会商纪要
    #[schemars(length(min = 1, max = 9000))]
    minutes: String,
}

async fn discuss(Path(id): Path<String>, command: Command<Judged>) -> Result<Response, Problem> {
    let (expected, seat, caller) =
        (command.expected()?, command.seat().clone(), command.caller.clone());
    let (row, before) = not_its_object(&seat, &caller, &id).await?;
    let Judged { quality, with, minutes } = command.body.clone();
    if !(1..=20).contains(&with.len()) {
        return Err(Refusal::new(Code::BadField).detail("with: 1 … 20").into());
    }
    check_minutes(&minutes)?;
    take_part(&seat, &row, &before, &with).await?;
    let (key, _) = key_for(&seat, scope_of(&id), Organ::InspectionOffice, Purpose::Draft).await?;
    let (stands, saying) = (row.content, before.saying);
    let run = act(move |unit: &mut Unit<'_>| {
        let (id, with, saying, minutes) =
            (id.clone(), with.clone(), saying.clone(), minutes.clone());
        let (caller, key, seat) = (caller.clone(), key.clone(), seat.clone());
        Box::pin(async move {
            let row: ClueRow = permitted(unit, &caller, "clue.discuss", &id).await?;
            if row.quality.is_some() {
                return Err(Code::WrongState.into());
            }
            if row.content != stands {
                return Err(Code::Stale.into());
            }
            let (bytes, content) = Content::of(row.brief, saying, minutes).bytes()?;
            let part = Box::new(seal_next(unit, &seat.papers, &key, &bytes).await?);
            let ask = Ask::Discuss { quality, with, content, part };
            let done = unit.execute_at::<Clue>(&id, ask, expected).await?;
            Ok(answer(&id, &done, json!({"content": content})))
        })
    });
    command.run(run).await
}

/// Only who may open a clue discusses it, or the supervision desk, which is asked in person.
async fn take_part(
    seat: &Seat,
    row: &ClueRow,
    content: &Content,
    with: &[String],
) -> Result<(), Problem> {
    let (today, matter) =
        (seat.office.setting().clock.now().day(), row.matter(&seat.office.setting().office));
    let mut reader = seat.office.reader().await?;
    for person in with {
        let known: Option<PersonRow> = reader.view(PEOPLE, person).await?;
        let standing = known.map(|row| row.standing_on(today).with_reason()).unwrap_or_default();
        let opens = access::policy::allows(&standing, "clue.open", &matter).is_some();
        let desk = standing.posts.iter().any(|post| plain(&post.role) == "NDI_SUP");
        let asked = desk && !standing.is_kept_from(&row.brief.unit);
        if !(opens || asked) || content.is_about(person) {
            return Err(Refusal::new(Code::BadField).detail("with").into());
        }
    }
    Ok(())
}

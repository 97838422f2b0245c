//! 机关 Organs: the parties of an office, and who acts for each.

use std::{collections::BTreeMap, sync::Arc};

use access::{PEOPLE, PersonRow};
use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use domain::{
    organ_home::{Home, Name, OrganHome},
    post::{Organ, ROLES, Role, letter, scopes},
};
use kernel::{Code, Refusal, id::Tier};
use messaging::directory::{DIRECTORY, Entry};
use serde_json::json;
use web::{Command, Problem, Route, Seat, Who, get, post};

use crate::sealing::{ORGAN_KEYS, organ_name};

/// The desk's routes.
pub fn routes() -> Vec<Route> {
    vec![get(
        "/api/organs",
        Who::SignedIn,
        ["机关与岗位", "The organs of this office, their roles, and how many act for each today"],
        organs,
    )]
}

/// The city's route.
pub fn homes() -> Vec<Route> {
    vec![post::<Home, _>(
        "/api/organ-homes",
        Who::Does("office.house-organ"),
        [
            "机关单设(线索自此移交该单位)",
            "Say which office an organ is: clues for the organ go there from now on",
        ],
        house,
    )]
}

async fn house(command: Command<Home>) -> Result<Response, Problem> {
    let (seat, ask) = (command.seat().clone(), command.body.clone());
    ask.check()?;
    let mut reader = seat.office.reader().await?;
    for office in [&ask.of, &ask.home] {
        let row: Option<Entry> = reader.view(DIRECTORY, office.as_str()).await?;
        let tier = row.ok_or(Code::UnknownOffice)?.member.seat.tier;
        // A township has no registry, and the city is nobody's organ.
        let fits =
            if *office == ask.home { tier == Tier::District } else { tier != Tier::Township };
        if !fits {
            return Err(Refusal::new(Code::UnfitChoice)
                .detail("home: a district; of: the city or a district")
                .into());
        }
    }
    let organ = organ_name(ask.organ);
    // What goes there is sealed for it: its key must have come first.
    let key = reader.view(ORGAN_KEYS, &format!("{}/{organ}", ask.home)).await?;
    let key = key.ok_or(Code::ReceiverUnknown)?;
    drop(reader);
    let id = format!("{}-{}-{organ}", seat.office.setting().office, ask.of);
    command.decide::<OrganHome>(id, None, Name { home: ask, key }).await
}

async fn organs(State(seat): State<Arc<Seat>>) -> Result<Response, Problem> {
    let setting = seat.office.setting();
    let today = setting.clock.now().day();
    let people: Vec<(String, PersonRow)> = seat.office.reader().await?.all(PEOPLE, "").await?;
    let mut held: BTreeMap<Organ, u64> = BTreeMap::new();
    for (_, person) in people {
        let mut organs: Vec<Organ> = person
            .posts_on(today)
            .iter()
            .filter_map(|post| Role::of(&post.role).map(|role| role.organ))
            .collect();
        organs.sort_unstable();
        organs.dedup();
        for organ in organs {
            *held.entry(organ).or_default() += 1;
        }
    }
    let mut roles: BTreeMap<Organ, Vec<_>> = BTreeMap::new();
    for role in ROLES.iter().filter(|role| role.exists_at(setting.tier)) {
        let name = format!("{}_{}", letter(setting.tier), role.name);
        let (names, scope) = (role.names, scopes(role.width));
        roles
            .entry(role.organ)
            .or_default()
            .push(json!({"role": name, "names": names, "scope": scope}));
    }
    let organ = |(organ, roles): (Organ, Vec<_>)| {
        let persons = held.get(&organ).copied().unwrap_or(0);
        json!({"organ": organ, "names": organ.names(), "roles": roles, "persons": persons})
    };
    let items: Vec<_> = roles.into_iter().map(organ).collect();
    Ok(Json(json!({"demo": seat.pin.demo, "items": items})).into_response())
}

//! 机关 Organs: the parties of an office, and who acts for each.

use std::{collections::BTreeMap, sync::Arc};

use access::{PEOPLE, PersonRow};
use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use domain::post::{Organ, ROLES, Role, letter, scopes};
use serde_json::json;
use web::{Problem, Route, Seat, Who, get};

/// The desk's routes.
pub fn routes() -> Vec<Route> {
    vec![get(
        "/api/organs",
        Who::SignedIn,
        ["机关与岗位", "The organs of this office, their roles, and how many act for each today"],
        organs,
    )]
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

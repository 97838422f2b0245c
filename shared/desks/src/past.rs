//! 回看 What was known then, against what is known now about then; and how far the past is
//! laid out.
//!
//! Views are looked back at under their own addresses, with `as_of` and `known_at`.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use access::Subject;
use axum::{
    Json,
    extract::{Query, State},
    response::{IntoResponse, Response},
};
use kernel::{Class, Code, Refusal};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use web::{
    Caller, Governed, Problem, Route, Seat, Sight, Who, get,
    reading::Seen,
    sight::{LAYING, both_of},
};

use crate::{
    filings::FilingRow, findings::FindingRow, rectifications::RectificationRow, results,
    reviews::ReviewRow, rounds::RoundRow,
};

/// The routes of every office.
pub fn routes() -> Vec<Route> {
    vec![
        get(LAYING, Who::SignedIn, ["历史准备进度", "How far the past is laid out"], laying),
        get(
            "/api/differences",
            Who::Reads(&[Subject::Of(Class::K2), Subject::Of(Class::K12), Subject::Of(Class::K9)]),
            ["当时所知与现在所知", "What was known then and what is known now, where they differ"],
            differences,
        )
        .in_time()
        .query::<Of>()
        .consulted(),
    ]
}

async fn laying(State(seat): State<Arc<Seat>>) -> Response {
    let progress = seat.office.laying();
    let state = match progress {
        None => "idle",
        Some(progress) if progress.failed => "failed",
        Some(_) => "running",
    };
    let progress = progress.unwrap_or_default();
    let body = json!({"id": "past", "state": state, "done": progress.done, "of": progress.of});
    Json(body).into_response()
}

/// What differs.
const OF: [&str; 6] =
    ["results", "rounds", "findings", "rectifications", "filings", "filing-reviews"];
/// The most rows of one answer.
const MOST: usize = 500;

/// Of what.
#[derive(Deserialize, JsonSchema)]
struct Of {
    /// Which view; `results` if not said.
    #[serde(default)]
    #[schemars(extend("enum" = OF))]
    of: Option<String>,
}

/// Both sides are of the same day: that of `as_of`, or the one on which the moment was. One
/// is what was known at that moment, the other what is known by now.
async fn differences(
    then: Sight,
    caller: Caller,
    Query(Of { of }): Query<Of>,
) -> Result<Response, Response> {
    let [then, now] = both_of(&then).await?;
    let of = of.unwrap_or_else(|| "results".to_owned());
    let items = match of.as_str() {
        "results" => results_of(&then, &now, &caller).await,
        "rounds" => rows_of::<RoundRow>(&then, &now, &caller).await,
        "findings" => rows_of::<FindingRow>(&then, &now, &caller).await,
        "rectifications" => rows_of::<RectificationRow>(&then, &now, &caller).await,
        "filings" => rows_of::<FilingRow>(&then, &now, &caller).await,
        "filing-reviews" => rows_of::<ReviewRow>(&then, &now, &caller).await,
        _ => Err(Refusal::new(Code::BadField).detail(format!("of: {OF:?}")).into()),
    };
    let items = items.map_err(IntoResponse::into_response)?;
    let body = json!({"demo": then.pin.demo, "as_of": then.as_of(), "of": of, "items": items});
    Ok(Json(body).into_response())
}

/// Results are for whoever reads what the whole office has of K2.
async fn results_of(then: &Sight, now: &Sight, caller: &Caller) -> Result<Vec<Value>, Problem> {
    if access::policy::whole(&caller.standing, access::policy::READ, Subject::Of(Class::K2))
        .is_none()
    {
        return Err(Code::NotAllowed.into());
    }
    let levels = |of: Vec<Value>| {
        let of = of.into_iter();
        of.map(|level| (level["level"].as_str().unwrap_or_default().to_owned(), level)).collect()
    };
    let (before, after) = (results::shown(then, caller).await?, results::shown(now, caller).await?);
    Ok(parted(levels(before), levels(after)))
}

/// Rows that the caller may read as they were and as they are today.
async fn rows_of<T: Governed>(
    then: &Sight,
    now: &Sight,
    caller: &Caller,
) -> Result<Vec<Value>, Problem> {
    let here = &then.office.setting().office;
    let today: Vec<(String, T)> = then.office.reader().await?.all(T::VIEW, "").await?;
    let open: BTreeSet<String> = today
        .into_iter()
        .filter(|(_, row)| caller.reads(&row.matter(here)))
        .map(|(key, _)| key)
        .collect();
    let mut seen = Seen::default();
    let mut sides = [BTreeMap::new(), BTreeMap::new()];
    for (side, sight) in sides.iter_mut().zip([then, now]) {
        let rows: Vec<(String, T)> = sight.reader().await?.all(T::VIEW, "").await?;
        for (key, mut row) in rows {
            if open.contains(&key) && caller.reads(&row.matter(here)) {
                seen.note(caller, &row.matter(here), || format!("{}/{key}", T::FAMILY));
                row.withhold(caller, here);
                side.insert(key, json!(row));
            }
        }
    }
    let [before, after] = sides;
    let items = parted(before, after);
    if !items.is_empty() {
        seen.record(then, caller, T::VIEW).await?;
    }
    Ok(items)
}

/// Where two sides differ.
fn parted(mut then: BTreeMap<String, Value>, now: BTreeMap<String, Value>) -> Vec<Value> {
    let mut items = Vec::new();
    for (id, now) in now {
        let then = then.remove(&id);
        if then.as_ref() != Some(&now) {
            items.push((id, then, Some(now)));
        }
    }
    items.extend(then.into_iter().map(|(id, then)| (id, Some(then), None)));
    items.sort_by(|one, other| one.0.cmp(&other.0));
    items.truncate(MOST);
    let shown = items.into_iter();
    shown.map(|(id, then, now)| json!({"id": id, "then": then, "now": now})).collect()
}

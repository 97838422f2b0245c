//! 时限规定 Deadline rules: what the pack says, what offices decided, what holds here.
//!
//! A district's decision goes to its townships, the city's to all. What is computed from
//! them asks [`of_unit`] in a command and [`of_sight`] in a view.

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::Path,
    response::{IntoResponse, Response},
};
use domain::round::Kind;
use event_store::{FoldError, Reader, Rows, Standpoint, Stop, StoreError, Unit, View, act};
use kernel::{Day, Fact, OfficeId};
use policy::{Ask, DeadlinePolicy, Decision, Event, Mode, Packs, Ruling, Scope, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use web::{Command, Problem, Route, Seat, Sight, Who, answer, get, post};

use crate::{
    listing::tagged,
    rounds::{ROUNDS, RoundRow},
};

/// What offices decided; keys are `office/rule`.
const DEADLINE_POLICIES: &str = "deadline-policies";

/// The rules, for whoever has deadlines.
pub fn routes() -> Vec<Route> {
    vec![
        get(
            "/api/deadline-policies",
            Who::SignedIn,
            [
                "时限规定",
                "Deadline rules: where each comes from, what offices decided, what holds here",
            ],
            all,
        )
        .dated(),
        get(
            "/api/deadline-policies/{key}",
            Who::SignedIn,
            ["时限规定详情", "One deadline rule with this office's version of it"],
            one,
        )
        .dated(),
    ]
}

/// The decisions, of an office whose leading group decides.
pub fn deciding_routes() -> Vec<Route> {
    vec![
        post::<NewDecision, _>(
            "/api/deadline-policies/{key}/decisions",
            Who::Does("deadline-policy.decide"),
            [
                "确定时限规定",
                "Decide a deadline rule from a day on; without a value, give it back upward",
            ],
            decide,
        )
        .if_known(),
    ]
}

/// What one office has decided of one rule.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct DecidedRow {
    decisions: Vec<Decision>,
    version: u64,
}

/// Folds the decisions of this office and of those above.
#[derive(Debug)]
pub struct DeadlinePoliciesView;

impl View for DeadlinePoliciesView {
    fn name(&self) -> &'static str {
        DEADLINE_POLICIES
    }

    fn apply(&self, rows: &mut Rows<'_>, fact: &Fact) -> Result<(), FoldError> {
        if fact.family() != "deadline-policy" {
            return Ok(());
        }
        let (key, decision) = fact.read::<Event>()?.into_parts();
        let place = format!("{}/{key}", fact.at.origin);
        let known: Option<DecidedRow> = rows.get(DEADLINE_POLICIES, &place)?;
        let mut decisions = known.map(|row| row.decisions).unwrap_or_default();
        decisions.push(decision);
        let version = fact.version.unwrap_or_default();
        rows.put(DEADLINE_POLICIES, &place, &DecidedRow { decisions, version })
    }
}

/// The offices whose decisions hold here, the nearest first.
fn chain(here: &Standpoint) -> Vec<OfficeId> {
    let mut chain = vec![here.office.clone()];
    for above in here.parent.iter().chain([&here.city]) {
        if !chain.contains(above) {
            chain.push(above.clone());
        }
    }
    chain
}

fn by_rule(office: &OfficeId, rows: Vec<(String, DecidedRow)>) -> BTreeMap<String, Vec<Decision>> {
    let own = rows.into_iter().filter_map(|(place, row)| {
        let (of, key) = place.split_once('/')?;
        (of == office.as_str()).then(|| (key.to_owned(), row.decisions))
    });
    own.collect()
}

/// What holds here, inside a command.
pub async fn of_unit(unit: &mut Unit<'_>) -> Result<Packs, Stop> {
    let here = unit.here();
    let mut decided = Vec::new();
    for office in chain(&here) {
        let rows = unit.rows(DEADLINE_POLICIES, &format!("{office}/")).await?;
        decided.push((office.clone(), by_rule(&office, rows)));
    }
    Ok(Packs::new(here.tier, decided))
}

async fn read(reader: &mut Reader, here: &Standpoint) -> Result<Packs, StoreError> {
    let mut decided = Vec::new();
    for office in chain(here) {
        let rows = reader.all(DEADLINE_POLICIES, &format!("{office}/")).await?;
        decided.push((office.clone(), by_rule(&office, rows)));
    }
    Ok(Packs::new(here.tier, decided))
}

/// What holds here at the moment that is looked at.
pub async fn of_sight(seat: &Sight) -> Result<Packs, Problem> {
    Ok(read(&mut seat.reader().await?, &seat.office.here()).await?)
}

/// What holds here now.
pub async fn of_seat(seat: &Seat) -> Result<Packs, Problem> {
    Ok(read(&mut seat.office.reader().await?, &seat.office.here()).await?)
}

/// The mode of a round, where a rule differs by it; none of a round that is not known here.
pub async fn mode_of(unit: &mut Unit<'_>, round: &str) -> Result<Option<Mode>, Stop> {
    let round: Option<RoundRow> = unit.row(ROUNDS, round).await?;
    Ok(round.and_then(|row| row.plan).map(|plan| match plan.kind {
        Kind::Regular => Mode::Regular,
        Kind::Special => Mode::Special,
        Kind::Mobile => Mode::Mobile,
    }))
}

/// A rule as it is shown: by default, by the offices above, and as it holds here.
#[derive(Debug, Serialize)]
struct RuleRow<'a> {
    #[serde(flatten)]
    rule: &'static policy::Row,
    /// What holds here on the day.
    value: Value,
    /// By which pack or decision.
    policy: String,
    /// Whether it only reminds until somebody decides it.
    reminds: bool,
    /// What would hold without this office's own decision.
    parent: Value,
    /// Every decision that this office goes by, the nearest office's first.
    decisions: Vec<Decided<'a>>,
}

#[derive(Debug, Serialize)]
struct Decided<'a> {
    office: &'a OfficeId,
    #[serde(flatten)]
    decision: &'a Decision,
}

fn shown<'a>(packs: &'a Packs, above: &'a Packs, key: &str, day: Day) -> Option<RuleRow<'a>> {
    let ruling: Ruling<'a> = packs.on(key, None, day)?;
    let decisions = packs.decisions(key);
    Some(RuleRow {
        rule: ruling.row,
        value: ruling.value,
        policy: ruling.named(),
        reminds: ruling.reminds(),
        parent: above.on(key, None, day)?.value,
        decisions: decisions.map(|(office, decision)| Decided { office, decision }).collect(),
    })
}

async fn all(seat: Sight) -> Result<Response, Problem> {
    let (packs, day) = (of_sight(&seat).await?, seat.today());
    let above = packs.above();
    let rows = policy::rows().filter_map(|row| shown(&packs, &above, row.key, day));
    let items: Vec<RuleRow<'_>> = rows.collect();
    let body = json!({"demo": seat.pin.demo, "as_of": day, "pack": policy::VERSION,
        "calendar": policy::calendar::VERSION, "items": items});
    Ok(Json(body).into_response())
}

async fn one(seat: Sight, Path(key): Path<String>) -> Result<Response, Problem> {
    let own = format!("{}/{key}", seat.office.setting().office);
    // Read before the rows: a tag that is too old only costs another reading.
    let known: Option<DecidedRow> = seat.reader().await?.view(DEADLINE_POLICIES, &own).await?;
    let packs = of_sight(&seat).await?;
    let above = packs.above();
    let row = shown(&packs, &above, &key, seat.today()).ok_or(kernel::Code::PolicyUnknown)?;
    let mut body = json!(row);
    body["demo"] = json!(seat.pin.demo);
    Ok(tagged(Json(body).into_response(), known.map(|row| row.version)))
}

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewDecision {
    /// From which day on deadlines that begin to run follow it.
    from: Day,
    /// The value; none gives the rule back to the office above, or to the pack.
    #[serde(default)]
    value: Option<Value>,
    /// For which tier and mode; for all if it is left out.
    #[serde(default)]
    scope: Scope,
    /// The document, by its number.
    document: String,
}

async fn decide(
    Path(key): Path<String>,
    command: Command<NewDecision>,
) -> Result<Response, Problem> {
    let NewDecision { from, value, scope, document } = command.body.clone();
    let office = command.seat().office.setting().office.clone();
    let expected = command.expected_if_known();
    if policy::row(&key).is_none() {
        return Err(kernel::Code::PolicyUnknown.into());
    }
    let id = format!("{office}-{}", key.replace(['.', '_'], "-"));
    let run = act(move |unit: &mut Unit<'_>| {
        let (id, expected) = (id.clone(), expected.clone());
        let ask = Ask { key: key.clone(), from, value, scope, document: document.clone() };
        Box::pin(async move {
            let (_, at) = unit.load::<DeadlinePolicy>(&id).await?;
            let expected = expected.at(at)?;
            let done = unit.execute_at::<DeadlinePolicy>(&id, ask, expected).await?;
            Ok(answer(&id, &done, json!({})))
        })
    });
    command.run(run).await
}

//! Inspected organizations: registered together, changed one by one, read as of any day.

use std::sync::Arc;

use axum::{
    extract::{Path, Query, State},
    response::Response,
};
use domain::{
    dated::Dated,
    organization::{Attributes, Command as Ask, Event, Organization},
};
use event_store::{Answer, FoldError, Rows, Stop, Unit, View, act};
use kernel::{Code, Day, Fact, Refusal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use web::{Command, Problem, Route, Seat, Who, answer, get, post, view};

use crate::{
    divisions::DIVISIONS,
    listing::{AsOf, Page, list_as},
};

/// Rows by organization id.
pub const ORGANIZATIONS: &str = "organizations";

/// The desk's routes.
pub fn routes() -> Vec<Route> {
    vec![
        post::<Vec<NewOrganization>, _>(
            "/api/organizations",
            Who::Roles(&["PLAN"]),
            ["登记被巡察党组织", "Register inspected organizations, all or none"],
            register,
        ),
        get(
            "/api/organizations",
            Who::SignedIn,
            ["被巡察党组织", "Inspected organizations as they are or were on a day"],
            organizations,
        )
        .query::<Page>()
        .query::<AsOf>(),
        get(
            "/api/organizations/{id}",
            Who::SignedIn,
            ["被巡察党组织沿革", "An organization with all that it ever was"],
            one,
        ),
        post::<Attributes, _>(
            "/api/organizations/{id}/attributes",
            Who::Roles(&["PLAN"]),
            ["变更被巡察党组织", "Give an organization another name or level from a day on"],
            change,
        ),
    ]
}

/// An organization.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct OrganizationRow {
    /// What it was and is.
    pub attributes: Dated<Attributes>,
    /// The stream's version.
    pub version: u64,
}

impl OrganizationRow {
    fn shown(&self, id: &str, attributes: &Attributes, to: Option<Day>) -> Value {
        let mut shown = json!(attributes);
        shown["id"] = id.into();
        shown["version"] = self.version.into();
        if let Some(to) = to {
            shown["valid_to"] = json!(to);
        }
        shown
    }
}

/// Folds organizations.
#[derive(Debug)]
pub struct OrganizationsView;

impl View for OrganizationsView {
    fn name(&self) -> &'static str {
        ORGANIZATIONS
    }

    fn apply(&self, rows: &mut Rows<'_>, fact: &Fact) -> Result<(), FoldError> {
        if fact.family() != "organization" {
            return Ok(());
        }
        let Some((_, id)) = fact.stream.split_once('/') else { return Ok(()) };
        let event: Event = fact.read()?;
        let new = event.attributes().clone();
        rows.change(ORGANIZATIONS, id, |row: &mut OrganizationRow| {
            row.version = fact.version.unwrap_or(row.version);
            row.attributes.set(new.valid_from, new);
        })
    }
}

/// A new organization.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewOrganization {
    /// The opaque id, for good: letters, digits, `-` and `_`.
    id: String,
    /// From which day on this holds.
    #[schemars(with = "String")]
    valid_from: Day,
    /// The name.
    name: String,
    /// Its level.
    level: domain::Level,
    /// The id of its division, for a village or a township.
    division: Option<String>,
    /// The office where it rectifies; none for a unit of this office.
    #[schemars(with = "Option<String>")]
    unit_office: Option<kernel::OfficeId>,
}

impl NewOrganization {
    fn parts(self) -> (String, Attributes) {
        let Self { id, valid_from, name, level, division, unit_office } = self;
        (id, Attributes { valid_from, name, level, division, unit_office })
    }
}

/// Refuses a division that this office has not heard of.
async fn known_division(unit: &mut Unit<'_>, attributes: &Attributes) -> Result<(), Stop> {
    let Some(division) = &attributes.division else { return Ok(()) };
    let known: Option<Dated<domain::register::Division>> = unit.row(DIVISIONS, division).await?;
    known.map(drop).ok_or_else(|| Refusal::new(Code::UnknownDivision).detail(division).into())
}

async fn register(command: Command<Vec<NewOrganization>>) -> Result<Response, Problem> {
    let new = command.body.clone();
    let run = act(move |unit: &mut Unit<'_>| {
        let new = new.clone();
        Box::pin(async move {
            let mut ids = Vec::new();
            for (id, attributes) in new.into_iter().map(NewOrganization::parts) {
                domain::plain("id", &id)?;
                known_division(unit, &attributes).await?;
                let done = unit.execute::<Organization>(&id, Ask::Register(attributes)).await;
                done.map_err(|stop| match stop {
                    Stop::Refused(refusal) if refusal.detail.is_empty() => {
                        refusal.detail(&id).into()
                    }
                    other => other,
                })?;
                ids.push(id);
            }
            let body = json!({"added": ids.len(), "ids": ids}).to_string().into_bytes();
            Ok(Answer { status: 201, etag: String::new(), body })
        })
    });
    command.run(run).await
}

async fn change(Path(id): Path<String>, command: Command<Attributes>) -> Result<Response, Problem> {
    let (expected, attributes) = (command.expected()?, command.body.clone());
    let run = act(move |unit: &mut Unit<'_>| {
        let (id, attributes) = (id.clone(), attributes.clone());
        Box::pin(async move {
            known_division(unit, &attributes).await?;
            let ask = Ask::Change(attributes);
            let done = unit.execute_at::<Organization>(&id, ask, expected).await?;
            Ok(answer(&id, &done, json!({})))
        })
    });
    command.run(run).await
}

async fn organizations(
    State(seat): State<Arc<Seat>>,
    Query(page): Query<Page>,
    Query(as_of): Query<AsOf>,
) -> Result<Response, Problem> {
    let day = as_of.day(&seat)?;
    list_as(&seat, ORGANIZATIONS, "", &page, |id, row: OrganizationRow| {
        let period = row.attributes.periods().find(|period| period.holds_on(day))?;
        Some(row.shown(id, period.value, period.to))
    })
    .await
}

async fn one(State(seat): State<Arc<Seat>>, Path(id): Path<String>) -> Result<Response, Problem> {
    let mut reader = seat.office.reader().await?;
    let row: Option<OrganizationRow> = reader.view(ORGANIZATIONS, &id).await?;
    let row = row.ok_or(Code::NotFound)?;
    let periods = row.attributes.periods();
    let periods: Vec<Value> = periods.map(|p| row.shown(&id, p.value, p.to)).collect();
    let body = json!({"demo": seat.pin.demo, "id": id, "periods": periods});
    Ok(view(&body, row.version))
}

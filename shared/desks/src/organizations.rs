//! Inspected organizations: registered together, changed one by one, read as of any day.

use access::Subject;
use axum::{
    extract::{Path, Query},
    response::Response,
};
use domain::{
    Level,
    dated::{Dated, Period},
    organization::{Attributes, Command as Ask, Event, Organization, Said},
    register::Life,
};
use event_store::{Answer, FoldError, Rows, Stop, Unit, View, act};
use kernel::{Class, Code, Day, Fact, OfficeId, Refusal};
use messaging::directory::{DIRECTORY, Entry};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use web::{Command, Problem, Route, Sight, Who, answer, change, get, post, view};

use crate::{
    divisions::DIVISIONS,
    listing::{Page, list_as},
};

/// Rows by organization id.
pub const ORGANIZATIONS: &str = "organizations";

/// The desk's routes.
pub fn routes() -> Vec<Route> {
    vec![
        post::<Units, _>(
            "/api/organizations",
            Who::Does("organization.register"),
            ["登记被巡察党组织", "Register inspected organizations, all or none"],
            register,
        ),
        get(
            "/api/organizations",
            Who::ReadsWhole(Subject::Of(Class::K2)),
            ["被巡察党组织", "Inspected organizations as they are or were on a day"],
            organizations,
        )
        .dated()
        .query::<Page>(),
        get(
            "/api/organizations/{id}",
            Who::ReadsWhole(Subject::Of(Class::K2)),
            ["被巡察党组织沿革", "An organization with all that it ever was"],
            one,
        )
        .dated(),
        change::<Change, _>(
            "/api/organizations/{id}/attributes",
            Who::Does("organization.change"),
            ["变更被巡察党组织", "Give an organization another name or level from a day on"],
            amend,
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
    fn shown(&self, id: &str, period: &Period<'_, Attributes>) -> Value {
        let mut shown = json!(period.value);
        shown["id"] = id.into();
        shown["version"] = self.version.into();
        shown["valid_from"] = json!(period.from);
        if let Some(to) = period.to {
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
        let Said { valid_from, attributes } = event.said().clone();
        rows.change(ORGANIZATIONS, id, |row: &mut OrganizationRow| {
            row.version = fact.version.unwrap_or(row.version);
            row.attributes.set(valid_from, attributes);
        })
    }
}

/// A new organization.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewOrganization {
    /// A number of its own in this office, for good; its id follows from it.
    #[schemars(regex(pattern = r"^[A-Za-z0-9_-]{1,40}$"))]
    number: String,
    /// From which day on this holds.
    valid_from: Day,
    /// The name.
    name: String,
    /// Its level.
    level: Level,
    /// Its code, if it has one.
    code: Option<String>,
    /// The id of the organization above it.
    parent: Option<String>,
    /// The id of its division, for a village or a township.
    division: Option<String>,
    /// The office where it rectifies; none for a unit of this office.
    unit_office: Option<OfficeId>,
}

impl NewOrganization {
    fn parts(self) -> (String, Said) {
        let Self { number, valid_from, name, level, code, parent, division, unit_office } = self;
        let attributes = Attributes { name, level, code, parent, division, unit_office };
        (number, Said { valid_from, attributes })
    }
}

/// Other attributes from a day on; what is left out is no more.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Change {
    /// From which day on this holds.
    valid_from: Day,
    /// What it is from then on.
    attributes: Attributes,
}

/// Refuses a division, an organization above and an office that are not known here.
async fn known(unit: &mut Unit<'_>, id: &str, said: &Said) -> Result<(), Stop> {
    let Said { valid_from: day, attributes } = said;
    if let Some(division) = &attributes.division {
        let life: Option<Life> = unit.row(DIVISIONS, division).await?;
        if life.is_none_or(|life| life.on(*day).is_none_or(Option::is_none)) {
            return Err(Refusal::new(Code::UnknownDivision).detail(division).into());
        }
    }
    let mut above = attributes.parent.clone();
    let mut path = vec![id.to_owned()];
    while let Some(parent) = above.take() {
        let row: Option<OrganizationRow> = unit.row(ORGANIZATIONS, &parent).await?;
        let Some(row) = row.filter(|_| !path.contains(&parent)) else {
            return Err(Refusal::new(Code::UnknownOrg).detail(format!("parent: {parent}")).into());
        };
        let on_the_day = row
            .attributes
            .on(*day)
            .ok_or_else(|| Refusal::new(Code::UnknownOrg).detail(format!("parent: {parent}")))?;
        above.clone_from(&on_the_day.parent);
        path.push(parent);
    }
    if let Some(office) = &attributes.unit_office {
        let member: Option<Entry> = unit.row(DIRECTORY, office.as_str()).await?;
        if member.is_none() {
            return Err(Refusal::new(Code::UnknownOffice).detail(office.as_str()).into());
        }
    }
    Ok(())
}

/// One or more.
#[derive(Clone, Deserialize, JsonSchema)]
struct Units(#[schemars(length(min = 1))] Vec<NewOrganization>);

async fn register(command: Command<Units>) -> Result<Response, Problem> {
    let Units(new) = command.body.clone();
    if new.is_empty() {
        return Err(Refusal::new(Code::BadField).detail("[]: nothing to register").into());
    }
    let run = act(move |unit: &mut Unit<'_>| {
        let new = new.clone();
        Box::pin(async move {
            let mut ids = Vec::new();
            for (number, said) in new.into_iter().map(NewOrganization::parts) {
                domain::plain("number", &number)?;
                let id = format!("{}-{number}", unit.setting().office);
                known(unit, &id, &said).await?;
                let done = unit.execute::<Organization>(&id, Ask::Register(said)).await;
                done.map_err(|stop| match stop {
                    Stop::Refused(refusal) if refusal.detail.is_empty() => {
                        refusal.detail(&number).into()
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

async fn amend(Path(id): Path<String>, command: Command<Change>) -> Result<Response, Problem> {
    let (expected, Change { valid_from, attributes }) = (command.expected()?, command.body.clone());
    let said = Said { valid_from, attributes };
    if command.caller.standing.is_kept_from(&id) {
        return Err(Code::NotAllowed.into());
    }
    let run = act(move |unit: &mut Unit<'_>| {
        let (id, said) = (id.clone(), said.clone());
        Box::pin(async move {
            known(unit, &id, &said).await?;
            let done = unit.execute_at::<Organization>(&id, Ask::Change(said), expected).await?;
            Ok(answer(&id, &done, json!({})))
        })
    });
    command.run(run).await
}

async fn organizations(seat: Sight, Query(page): Query<Page>) -> Result<Response, Problem> {
    let day = seat.today();
    list_as(&seat, ORGANIZATIONS, "", &page, |id, row: OrganizationRow| {
        let periods = row.attributes.periods();
        periods.iter().find(|period| period.holds_on(day)).map(|period| row.shown(id, period))
    })
    .await
}

async fn one(seat: Sight, Path(id): Path<String>) -> Result<Response, Problem> {
    let mut reader = seat.reader().await?;
    let row: Option<OrganizationRow> = reader.view(ORGANIZATIONS, &id).await?;
    let row = row.ok_or(Code::NotFound)?;
    let periods: Vec<Value> =
        row.attributes.periods().iter().map(|period| row.shown(&id, period)).collect();
    let body = json!({"demo": seat.pin.demo, "id": id, "periods": periods});
    Ok(view(&body, row.version))
}

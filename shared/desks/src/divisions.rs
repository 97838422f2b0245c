//! The register of divisions: imported at the city, read by everybody, as of any day.

use access::Subject;
use axum::{
    Json,
    extract::{Path, Query},
    response::{IntoResponse, Response},
};
use domain::register::{Attributes, Division, Event, Import, Life, Register, read_csv};
use event_store::{FoldError, Rows, Unit, View, act};
use kernel::{Class, Code, Day, Fact, Refusal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use web::{Command, Problem, Route, Sight, Who, answer, get, post};

use crate::listing::{Page, list, tagged};

/// Everything that a division ever was, by its id.
pub const DIVISIONS: &str = "divisions";
/// One row a division and period, in the order of the codes.
const BY_CODE: &str = "divisions-by-code";
/// The version of the register's stream, under the empty key.
const REGISTER: &str = "register";

/// What every office can ask.
pub fn routes() -> Vec<Route> {
    vec![
        get(
            "/api/divisions",
            Who::Reads(&[Subject::Of(Class::K1)]),
            ["区划", "Divisions in the order of their codes, as they are or were on a day"],
            divisions,
        )
        .dated()
        .query::<Page>()
        .query::<Which>(),
        get(
            "/api/divisions/{id}",
            Who::Reads(&[Subject::Of(Class::K1)]),
            ["区划沿革", "A division with all the names, codes and parents that it ever had"],
            one,
        )
        .dated(),
    ]
}

/// What only the city has: its divisions are everybody's.
pub fn city_routes() -> Vec<Route> {
    let import = post::<NewImport, _>(
        "/api/divisions/import",
        Who::Does("division.import"),
        ["导入区划", "Import divisions from CSV, all rows or none"],
        import,
    );
    vec![import.if_known()]
}

/// A division in one period of its life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct PeriodRow {
    /// The opaque id.
    id: String,
    /// The code.
    code: String,
    /// The name.
    name: String,
    /// The parent's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    parent: Option<String>,
    /// The tier.
    tier: String,
    /// The first day.
    valid_from: Day,
    /// The last day; none until further notice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    valid_to: Option<Day>,
}

impl PeriodRow {
    fn key(&self) -> String {
        format!("{}.{}.{}", self.code, self.valid_from, self.id)
    }

    fn holds_on(&self, day: Day) -> bool {
        self.valid_from <= day && self.valid_to.is_none_or(|to| day <= to)
    }
}

fn periods(id: &str, life: &Life) -> Vec<PeriodRow> {
    let mut rows = Vec::new();
    for period in life.periods() {
        let Some(Attributes { code, name, parent, tier }) = period.value.clone() else { continue };
        let (valid_from, valid_to) = (period.from, period.to);
        rows.push(PeriodRow { id: id.to_owned(), code, name, parent, tier, valid_from, valid_to });
    }
    rows
}

/// Folds the divisions.
#[derive(Debug)]
pub struct DivisionsView;

impl View for DivisionsView {
    fn name(&self) -> &'static str {
        DIVISIONS
    }

    fn apply(&self, rows: &mut Rows<'_>, fact: &Fact) -> Result<(), FoldError> {
        if fact.family() != "register" {
            return Ok(());
        }
        let Event::DivisionsImported { divisions } = fact.read()?;
        rows.want(DIVISIONS, divisions.iter().map(|division| division.id.as_str()))?;
        rows.put(REGISTER, "", &fact.version)?;
        for Division { id, valid_from, attributes } in divisions {
            let mut life: Life = rows.get(DIVISIONS, &id)?.unwrap_or_default();
            for old in periods(&id, &life) {
                rows.delete(BY_CODE, &old.key());
            }
            life.set(valid_from, attributes);
            for new in periods(&id, &life) {
                rows.put(BY_CODE, &new.key(), &new)?;
            }
            rows.put(DIVISIONS, &id, &life)?;
        }
        Ok(())
    }
}

/// Which divisions.
#[derive(Debug, Deserialize, JsonSchema)]
struct Which {
    /// Only with this code.
    code: Option<String>,
    /// Only right under the division with this id.
    parent: Option<String>,
    /// Only of this tier.
    #[schemars(extend("enum" = TIERS))]
    tier: Option<String>,
}

const TIERS: [&str; 4] = ["city", "district", "township", "village"];

async fn divisions(
    seat: Sight,
    Query(page): Query<Page>,
    Query(which): Query<Which>,
) -> Result<Response, Problem> {
    let day = seat.today();
    let prefix = which.code.as_ref().map(|code| format!("{code}.")).unwrap_or_default();
    let wanted = |of: &Option<String>, is: Option<&str>| of.is_none() || of.as_deref() == is;
    if which.tier.as_ref().is_some_and(|tier| !TIERS.contains(&tier.as_str())) {
        return Err(Refusal::new(Code::BadField).detail(format!("tier: {TIERS:?}")).into());
    }
    // Read before the rows: a tag that is too old only costs another reading.
    let version: Option<Option<u64>> = seat.reader().await?.view(REGISTER, "").await?;
    let rows = list::<PeriodRow>(&seat, BY_CODE, &prefix, &page, |row| {
        row.holds_on(day)
            && wanted(&which.parent, row.parent.as_deref())
            && wanted(&which.tier, Some(&row.tier))
    });
    Ok(tagged(rows.await?, version.flatten()))
}

async fn one(seat: Sight, Path(id): Path<String>) -> Result<Response, Problem> {
    let life: Option<Life> = seat.reader().await?.view(DIVISIONS, &id).await?;
    let life = life.ok_or(Code::NotFound)?;
    let demo = seat.pin.demo;
    Ok(Json(json!({"demo": demo, "id": id, "periods": periods(&id, &life)})).into_response())
}

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewImport {
    /// The CSV text: `code,level,parent,name`; level `ended` for one that ends. A fifth
    /// column says which division is meant, where the code alone does not: its
    /// former code, its id, or `new`.
    csv: String,
    /// From which day on the rows hold.
    valid_from: Day,
}

async fn import(command: Command<NewImport>) -> Result<Response, Problem> {
    let NewImport { csv, valid_from } = command.body.clone();
    let setting = command.seat().office.setting();
    let (entropy, office) = (setting.entropy.clone(), setting.office.to_string());
    let rows = read_csv(&csv, || format!("v{}", entropy.word(12)))?;
    let expected = command.expected_if_known();
    let run = act(move |unit: &mut Unit<'_>| {
        let (office, rows, expected) = (office.clone(), rows.clone(), expected.clone());
        Box::pin(async move {
            let (_, version) = unit.load::<Register>(&office).await?;
            let ask = Import { rows, valid_from };
            let done = unit.execute_at::<Register>(&office, ask, expected.at(version)?).await?;
            Ok(answer(&office, &done, json!({})))
        })
    });
    command.run(run).await
}

//! Own filings: what is due upward, what was attached and sent.

use std::collections::BTreeMap;

use access::{Matter, Subject};
use axum::{
    extract::{Path, Query},
    response::Response,
};
use domain::filing::{Command as Ask, Event, Expectation, Filing, Paper, State as FilingState};
use event_store::{FoldError, Rows, View};
use kernel::{Class, Code, Day, Fact, OfficeId, Refusal, Timestamp, sign::Hash};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use web::{
    Caller, Command, Governed, Problem, Route, Sight, Who, change, get, matter::read, post, view,
};

use crate::listing::{Page, list_governed};

/// Own filings by id.
pub const FILINGS: &str = "filings";

const READERS: Who = Who::Reads(&[Subject::Of(Class::K12)]);

/// The desk's routes.
pub fn routes() -> Vec<Route> {
    vec![
        get(
            "/api/filings",
            READERS,
            ["本单位应报事项", "Filings due and sent: the own ones, or those given to read"],
            filings,
        )
        .in_time()
        .query::<Page>()
        .query::<OfOffice>(),
        get("/api/filings/{id}", READERS, ["报备事项", "One filing"], one).in_time(),
        post::<NewFiling, _>(
            "/api/filings",
            Who::DoesWhole("filing.expect"),
            ["登记应报事项", "Expect a filing of one's own, by plan"],
            expect,
        ),
        change::<Attach, _>(
            "/api/filings/{id}/items",
            Who::Does("filing.items"),
            ["附材料", "Attach an uploaded paper"],
            attach,
        ),
        change::<Submit, _>(
            "/api/filings/{id}/submit",
            Who::Does("filing.submit"),
            ["报送", "Submit"],
            submit,
        ),
    ]
}

/// A filing as it is shown to its submitter.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct FilingRow {
    /// Its id.
    pub id: String,
    /// What is asked for.
    pub expectation: Option<Expectation>,
    /// Where it stands.
    pub state: FilingState,
    /// The attached papers by code.
    pub items: BTreeMap<String, Paper>,
    /// Required codes that were missing at the last submission.
    pub missing: Vec<String>,
    /// The first submission.
    pub first_submitted: Option<Timestamp>,
    /// Whether the receiver's receipt over the exact bytes is here.
    pub receipted: bool,
    /// Why it came back.
    pub returned: Option<String>,
    /// The version.
    pub version: u64,
}

impl FilingRow {
    /// Whether it was sent by this office and its papers are not all known to be there.
    pub(crate) fn waits_for_receipt(&self, own: &OfficeId) -> bool {
        let from = self.expectation.as_ref().map(|expectation| &expectation.from);
        self.state == FilingState::Submitted && !self.receipted && from == Some(own)
    }

    fn is_to(&self, office: &OfficeId) -> bool {
        self.expectation.as_ref().is_some_and(|expectation| expectation.to == *office)
    }
}

impl Governed for FilingRow {
    const VIEW: &'static str = FILINGS;
    const FAMILY: &'static str = "filing";
    const ABSENT: Code = Code::FilingAbsent;

    fn matter(&self, here: &OfficeId) -> Matter<'_> {
        let own = self.id.starts_with(&format!("{here}-"));
        Matter { own, ..Matter::of(Subject::Of(Class::K12)) }
    }

    fn possible(&self) -> &'static [&'static str] {
        match self.state {
            FilingState::Expected | FilingState::Returned => &["filing.items", "filing.submit"],
            _ => &[],
        }
    }
}

/// Folds own filings and what the receiver says of them; of other offices those that this
/// one was given to read without being asked to judge them.
#[derive(Debug)]
pub struct FilingsView {
    /// The submitting office.
    pub office: OfficeId,
}

impl View for FilingsView {
    fn name(&self) -> &'static str {
        FILINGS
    }

    fn schema(&self) -> &'static str {
        "2"
    }

    fn apply(&self, rows: &mut Rows<'_>, fact: &Fact) -> Result<(), FoldError> {
        if fact.kind == "cn.liandong.filing-review.receipted.v1" {
            let domain::filing_review::Event::Receipted { filing, .. } = fact.read()? else {
                return Ok(());
            };
            // At the receiver the same fact is its own; there is no such row.
            if let Some(mut row) = rows.get::<FilingRow>(FILINGS, &filing)?
                && row.is_to(&fact.at.origin)
            {
                row.receipted = true;
                rows.put(FILINGS, &filing, &row)?;
            }
            return Ok(());
        }
        if fact.family() != "filing" {
            return Ok(());
        }
        let Some((_, id)) = fact.stream.split_once('/') else { return Ok(()) };
        let event: Event = fact.read()?;
        // What another office files here is the review's matter.
        if let Event::Expected { expectation } | Event::Submitted { expectation, .. } = &event
            && fact.at.origin != self.office
            && expectation.to == self.office
        {
            return Ok(());
        }
        rows.change(FILINGS, id, |row: &mut FilingRow| {
            id.clone_into(&mut row.id);
            row.version = fact.version.unwrap_or(row.version);
            match event {
                Event::Expected { expectation } => {
                    row.expectation = Some(expectation);
                    row.state = FilingState::Expected;
                }
                Event::ItemAttached { code, paper } => drop(row.items.insert(code, paper)),
                Event::Submitted { items, missing, expectation, .. } => {
                    row.expectation = Some(expectation);
                    row.items = items;
                    row.missing = missing;
                    row.first_submitted.get_or_insert(fact.recorded);
                    row.receipted = false;
                    row.state = FilingState::Submitted;
                }
                Event::Returned { reason, .. } => {
                    row.returned = Some(reason);
                    row.state = FilingState::Returned;
                }
                Event::Accepted { .. } => row.state = FilingState::Accepted,
            }
        })
    }
}

/// The days a filing is late: by its first submission, else by today.
pub fn days_late(due: Day, first: Option<Timestamp>, today: Day) -> i64 {
    first.map_or(today, Timestamp::day).days_after(due).max(0)
}

/// Whose filings.
#[derive(Deserialize, JsonSchema)]
struct OfOffice {
    /// An office of which this one was given filings to read; its own if not said.
    office: Option<OfficeId>,
}

async fn filings(
    seat: Sight,
    caller: Caller,
    Query(page): Query<Page>,
    Query(of): Query<OfOffice>,
) -> Result<Response, Problem> {
    let office = of.office.unwrap_or_else(|| seat.office.setting().office.clone());
    let prefix = format!("{office}-");
    list_governed::<FilingRow>(&seat, &caller, &prefix, &page, |_| true).await
}

async fn one(seat: Sight, Path(id): Path<String>, caller: Caller) -> Result<Response, Problem> {
    let row: FilingRow = read(&seat, &caller, &id).await?;
    let today = seat.today();
    let late = row.expectation.as_ref().map(|e| days_late(e.due, row.first_submitted, today));
    let actions = caller.actions(&row.matter(&seat.office.setting().office), row.possible());
    let version = row.version;
    let mut body = serde_json::to_value(row).unwrap_or_default();
    body["actions"] = json!(actions);
    body["days_late"] = json!(late);
    body["demo"] = json!(seat.pin.demo);
    Ok(view(&body, version))
}

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewFiling {
    /// The set of materials: `annual-plan`, `annual-report`, `staff`, …
    set: String,
    /// A year, a half-year, a round's number.
    #[schemars(regex(pattern = r"^[A-Za-z0-9_-]{1,40}$"))]
    period: String,
    /// The legal date.
    due: Day,
}

async fn expect(command: Command<NewFiling>) -> Result<Response, Problem> {
    let setting = command.seat().office.setting();
    let parent = command.seat().office.here().parent.ok_or(Code::NotAllowed)?;
    let NewFiling { set, period, due } = command.body.clone();
    let from = setting.office.clone();
    let expectation = Expectation {
        set,
        period,
        from,
        to: parent,
        due,
        policy: "plan".to_owned(),
        proposal: false,
    };
    let id = expectation.key();
    command.decide::<Filing>(id, None, Ask::Expect(expectation)).await
}

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Attach {
    /// The material's code.
    code: String,
    /// The uploaded paper's hash.
    hash: Hash,
    /// The media type.
    media: String,
    /// The file's name.
    name: String,
    /// The class; `K12` if not said.
    #[serde(default = "vertical")]
    class: String,
}

fn vertical() -> String {
    "K12".to_owned()
}

async fn attach(Path(id): Path<String>, command: Command<Attach>) -> Result<Response, Problem> {
    let expected = command.expected()?;
    let Attach { code, hash, media, name, class } = command.body.clone();
    let size = command.seat().papers.check(&hash).await?;
    let size = size.ok_or_else(|| Refusal::new(Code::PaperAbsent))?;
    let ask = Ask::Attach { code, paper: Paper { hash, size, media, name, class } };
    command.decide_on::<FilingRow, Filing>("filing.items", id, expected, ask).await
}

#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Submit {
    /// Whether it is knowingly incomplete.
    partial: bool,
}

async fn submit(Path(id): Path<String>, command: Command<Submit>) -> Result<Response, Problem> {
    let (expected, partial) = (command.expected()?, command.body.partial);
    let ask = Ask::Submit { partial };
    command.decide_on::<FilingRow, Filing>("filing.submit", id, expected, ask).await
}

//! 查阅记录 Reads: who saw what of the secret classes. The audit administrator searches
//! them; whoever has made something sees who has looked at it.

use access::Subject;
use axum::{
    extract::{Path, Query},
    response::Response,
};
use domain::reading::Event;
use event_store::{FoldError, Rows, View};
use kernel::{Class, Code, Day, Fact, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use web::{Caller, Governed, Problem, Route, Sight, Who, get};

use crate::{
    findings::{FINDINGS, FindingRow, HANDLERS},
    listing::{Page, list},
};

/// Readings in their order, by `epoch-sequence`.
pub const READS: &str = "reads";
/// Readings by `stream/epoch-sequence`.
pub const READS_OF: &str = "reads-of";

/// The desk's routes.
pub fn routes() -> Vec<Route> {
    vec![
        get(
            "/api/reads",
            Who::Reads(&[Subject::Of(Class::K14)]),
            ["查阅记录", "Who read what of the secret classes, when, by which authorisation"],
            reads,
        )
        .in_time()
        .query::<Page>()
        .query::<Which>(),
        get(
            "/api/findings/{id}/reads",
            Who::Reads(&[Subject::Of(Class::K14), Subject::Of(Class::K7)]),
            ["本人经手底稿的查阅记录", "Who read a finding that one has drafted or co-signed"],
            of_finding,
        )
        .in_time()
        .query::<Page>(),
    ]
}

/// A reading as it is shown.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReadRow {
    /// Who.
    pub person: String,
    /// In which role.
    pub role: String,
    /// When.
    pub at: Timestamp,
    /// By which authorisations.
    pub posts: Vec<String>,
    /// Which classes.
    pub classes: Vec<String>,
    /// What was shown.
    pub streams: Vec<String>,
    /// By which route.
    pub route: String,
    /// Why, where that was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Folds readings.
#[derive(Debug)]
pub struct ReadsView;

impl View for ReadsView {
    fn name(&self) -> &'static str {
        READS
    }

    fn apply(&self, rows: &mut Rows<'_>, fact: &Fact) -> Result<(), FoldError> {
        if fact.family() != "reading" {
            return Ok(());
        }
        let Event::Recorded { streams, classes, posts, route, reason } = fact.read()?;
        let (person, role) = (fact.actor.person.clone(), fact.actor.role.clone());
        let row =
            ReadRow { person, role, at: fact.recorded, posts, classes, streams, route, reason };
        let key = format!("{:04}-{:012}", fact.at.epoch, fact.at.sequence);
        for stream in &row.streams {
            let of_it = ReadRow { streams: vec![stream.clone()], ..row.clone() };
            rows.put(READS_OF, &format!("{stream}/{key}"), &of_it)?;
        }
        rows.put(READS, &key, &row)
    }
}

/// Which readings.
#[derive(Debug, Deserialize, JsonSchema)]
struct Which {
    /// Only of this person.
    person: Option<String>,
    /// Only of this stream, `finding/…`.
    of: Option<String>,
    /// Only from this day on, `YYYY-MM-DD`.
    from: Option<Day>,
    /// Only until this day.
    to: Option<Day>,
}

async fn reads(
    seat: Sight,
    Query(page): Query<Page>,
    Query(of): Query<Which>,
) -> Result<Response, Problem> {
    let keep = |row: &ReadRow| {
        let day = row.at.day();
        of.person.as_ref().is_none_or(|person| *person == row.person)
            && of.from.is_none_or(|from| from <= day)
            && of.to.is_none_or(|to| day <= to)
    };
    match &of.of {
        Some(stream) => list(&seat, READS_OF, &format!("{stream}/"), &page, keep).await,
        None => list(&seat, READS, "", &page, keep).await,
    }
}

/// Whoever neither made it nor watches over the log hears that it is absent.
async fn of_finding(
    seat: Sight,
    Path(id): Path<String>,
    caller: Caller,
    Query(page): Query<Page>,
) -> Result<Response, Problem> {
    let handlers: Option<Vec<String>> = seat.office.reader().await?.view(HANDLERS, &id).await?;
    let handlers = handlers.ok_or(Code::FindingAbsent)?;
    let watches = caller.reads(&access::Matter::of(Subject::Of(Class::K14)));
    // Whoever is kept from the matter since, is kept from this too.
    let row: Option<FindingRow> = seat.office.reader().await?.view(FINDINGS, &id).await?;
    let here = &seat.office.setting().office;
    let reads = row.is_some_and(|row| caller.reads(&row.matter(here)));
    if !(watches || reads && handlers.contains(&caller.actor.person)) {
        return Err(Code::FindingAbsent.into());
    }
    list::<ReadRow>(&seat, READS_OF, &format!("finding/{id}/"), &page, |_| true).await
}

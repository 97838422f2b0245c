//! Filings received: expected, receipted, judged.

use std::collections::BTreeMap;

use access::{Matter, Subject};
use axum::{
    extract::{Path, Query},
    response::Response,
};
use domain::{
    filing::{self, Expectation},
    filing_review::{Command as Ask, Event, FilingReview, State as ReviewState, Submission},
};
use event_store::{FoldError, Rows, View};
use kernel::{Class, Code, Day, Fact, OfficeId, Timestamp, sign::Hash};
use policy::Packs;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use web::{
    Caller, Command, Governed, Problem, Route, Sight, Who, change, get, matter::read, post, view,
};

use crate::{
    filings::days_late,
    listing::{InState, Page, list_governed},
};

/// Reviews by id.
pub const REVIEWS: &str = "filing-reviews";

const READERS: Who = Who::Reads(&[Subject::Of(Class::K12)]);

/// The desk's routes.
pub fn routes() -> Vec<Route> {
    vec![
        get(
            "/api/filing-reviews",
            READERS,
            ["收到的报备", "Filings expected and received"],
            reviews,
        )
        .in_time()
        .query::<Page>()
        .query::<InState>(),
        get("/api/filing-reviews/{id}", READERS, ["报备审核", "One filing under review"], one)
            .in_time(),
        post::<Expect, _>(
            "/api/filing-reviews",
            Who::Does("filing-review.expect"),
            ["登记下级应报事项", "Expect a filing of an office below, by plan"],
            expect,
        ),
        change::<Judge, _>(
            "/api/filing-reviews/{id}/items/{code}",
            Who::Does("filing-review.items"),
            ["逐项审核", "Accept or reject one item"],
            judge,
        ),
        change::<Return, _>(
            "/api/filing-reviews/{id}/return",
            Who::Does("filing-review.return"),
            ["退回补正", "Return for correction"],
            send_back,
        ),
        change::<OnBasis, _>(
            "/api/filing-reviews/{id}/accept",
            Who::Does("filing-review.accept"),
            ["接收", "Accept"],
            accept,
        ),
    ]
}

/// A filing as it is shown to its receiver.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ReviewRow {
    /// Its id.
    pub id: String,
    /// What is asked for.
    pub expectation: Option<Expectation>,
    /// `trigger`, `plan` or `calendar`; empty if it came unexpected.
    pub source: String,
    /// Where it stands.
    pub state: ReviewState,
    /// The newest submission; its hash is the basis of a judgement.
    pub submission: Option<Submission>,
    /// The first submission, as its submitter recorded it.
    pub first_submitted: Option<Timestamp>,
    /// Verdicts by code; why it was rejected, or nothing.
    pub verdicts: BTreeMap<String, Option<String>>,
    /// Why it went back.
    pub returned: Option<String>,
    /// The version.
    pub version: u64,
}

impl ReviewRow {
    /// How the board names its state on a day.
    pub fn shown(&self) -> &'static str {
        let incomplete = self.submission.as_ref().is_some_and(|s| !s.missing.is_empty());
        match self.state {
            ReviewState::Absent | ReviewState::Expected => "expected",
            ReviewState::Returned => "returned",
            ReviewState::Accepted => "accepted",
            _ if incomplete => "incomplete",
            ReviewState::Submitted => "submitted",
            ReviewState::Receipted => "receipted",
            ReviewState::UnderReview => "under-review",
        }
    }

    /// The days it is late on a day.
    pub fn days_late(&self, today: Day) -> i64 {
        let due = self.expectation.as_ref().map(|expectation| expectation.due);
        due.map_or(0, |due| days_late(due, self.first_submitted, today))
    }
}

impl Governed for ReviewRow {
    const VIEW: &'static str = REVIEWS;
    const FAMILY: &'static str = "filing-review";
    const ABSENT: Code = Code::FilingAbsent;

    fn matter(&self, _: &OfficeId) -> Matter<'_> {
        Matter::of(Subject::Of(Class::K12))
    }

    fn possible(&self) -> &'static [&'static str] {
        match self.state {
            ReviewState::Receipted | ReviewState::UnderReview => {
                &["filing-review.items", "filing-review.return", "filing-review.accept"]
            }
            _ => &[],
        }
    }
}

/// Folds own reviews.
#[derive(Debug)]
pub struct ReviewsView {
    /// The receiving office.
    pub office: OfficeId,
}

impl View for ReviewsView {
    fn name(&self) -> &'static str {
        REVIEWS
    }

    fn apply(&self, rows: &mut Rows<'_>, fact: &Fact) -> Result<(), FoldError> {
        if fact.family() != "filing-review" || fact.at.origin != self.office {
            return Ok(());
        }
        let Some((_, id)) = fact.stream.split_once('/') else { return Ok(()) };
        let event: Event = fact.read()?;
        rows.change(REVIEWS, id, |row: &mut ReviewRow| {
            id.clone_into(&mut row.id);
            row.version = fact.version.unwrap_or(row.version);
            match event {
                Event::Expected { expectation, source } => {
                    row.expectation = Some(expectation);
                    row.source = source;
                    row.state = ReviewState::Expected;
                }
                Event::SubmissionNoted { expectation, submission } => {
                    // The receiver's own date stands, if it had one.
                    row.expectation.get_or_insert(expectation);
                    row.first_submitted.get_or_insert(submission.recorded);
                    row.submission = Some(submission);
                    row.verdicts.clear();
                    row.state = ReviewState::Submitted;
                }
                Event::Receipted { .. } => row.state = ReviewState::Receipted,
                Event::ItemJudged { code, rejected, .. } => {
                    row.verdicts.insert(code, rejected);
                    row.state = ReviewState::UnderReview;
                }
                Event::Returned { reason, .. } => {
                    row.returned = Some(reason);
                    row.state = ReviewState::Returned;
                }
                Event::Accepted { .. } => row.state = ReviewState::Accepted,
            }
        })
    }
}

/// The review's id: both sides compute the rest of it alike.
pub fn review_id(receiver: &OfficeId, expectation: &Expectation) -> String {
    format!("{receiver}-{}", filing::Expectation::key(expectation))
}

async fn reviews(
    seat: Sight,
    caller: Caller,
    Query(page): Query<Page>,
    Query(state): Query<InState>,
) -> Result<Response, Problem> {
    let state = state.state;
    list_governed::<ReviewRow>(&seat, &caller, "", &page, |row| {
        state.as_deref().is_none_or(|state| state == row.shown())
    })
    .await
}

async fn one(seat: Sight, Path(id): Path<String>, caller: Caller) -> Result<Response, Problem> {
    let row: ReviewRow = read(&seat, &caller, &id).await?;
    let actions = caller.actions(&row.matter(&seat.office.setting().office), row.possible());
    let today = seat.today();
    let (late, version) = (row.days_late(today), row.version);
    let mut body = serde_json::to_value(row).unwrap_or_default();
    body["actions"] = json!(actions);
    body["days_late"] = json!(late);
    body["demo"] = json!(seat.pin.demo);
    Ok(view(&body, version))
}

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Expect {
    /// The office that should file.
    from: OfficeId,
    /// The set of materials: `annual-plan`, `annual-report`, `staff`, …
    set: String,
    /// A year, a half-year, a round's number.
    #[schemars(regex(pattern = r"^[A-Za-z0-9_-]{1,40}$"))]
    period: String,
    /// The legal date.
    due: Day,
}

async fn expect(command: Command<Expect>) -> Result<Response, Problem> {
    let to = command.seat().office.setting().office.clone();
    let Expect { from, set, period, due } = command.body.clone();
    let policy = "plan".to_owned();
    let expectation =
        Expectation { set, period, from, to: to.clone(), due, policy, proposal: false };
    let id = review_id(&to, &expectation);
    let ask = Ask::Expect { expectation, source: "plan".to_owned() };
    command.decide::<FilingReview>(id, None, ask).await
}

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Judge {
    /// The hash of the judged submission.
    basis: Hash,
    /// Why the item is rejected; without it the item is accepted.
    #[serde(default)]
    rejected: Option<String>,
}

async fn judge(
    Path((id, code)): Path<(String, String)>,
    command: Command<Judge>,
) -> Result<Response, Problem> {
    let expected = command.expected()?;
    let Judge { basis, rejected } = command.body.clone();
    let ask = Ask::JudgeItem { basis, code, rejected };
    command.decide_on::<ReviewRow, FilingReview>("filing-review.items", id, expected, ask).await
}

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Return {
    /// The hash of the judged submission.
    basis: Hash,
    /// Why.
    reason: String,
}

async fn send_back(Path(id): Path<String>, command: Command<Return>) -> Result<Response, Problem> {
    let expected = command.expected()?;
    let Return { basis, reason } = command.body.clone();
    let ask = Ask::Return { basis, reason };
    command.decide_on::<ReviewRow, FilingReview>("filing-review.return", id, expected, ask).await
}

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct OnBasis {
    /// The hash of the judged submission.
    basis: Hash,
}

async fn accept(Path(id): Path<String>, command: Command<OnBasis>) -> Result<Response, Problem> {
    let (expected, basis) = (command.expected()?, command.body.basis);
    let ask = Ask::Accept { basis };
    command.decide_on::<ReviewRow, FilingReview>("filing-review.accept", id, expected, ask).await
}

/// The calendar's own expectations: what is due from an office below without any
/// trigger. Year by year `annual-report`, half-year by half-year `staff`.
pub fn calendar(packs: &Packs, from: &OfficeId, to: &OfficeId, today: Day) -> Vec<Expectation> {
    let mut expected = Vec::new();
    // Last year's too: what fell due while nobody was here is due all the same.
    let periods = [today.0.year() - 1, today.0.year()].map(|year| {
        [
            ("staff", format!("{year}-H1"), format!("{year}-06-30")),
            ("staff", format!("{year}-H2"), format!("{year}-12-31")),
            ("annual-report", year.to_string(), format!("{year}-12-31")),
        ]
    });
    for (set, period, date) in periods.into_iter().flatten() {
        let Some(end) = Day::parse(&date) else { continue };
        if end <= today {
            let due = packs.due("filing.default", end);
            expected.push(Expectation {
                set: set.to_owned(),
                period,
                from: from.clone(),
                to: to.clone(),
                due: due.day,
                policy: due.policy,
                proposal: due.reminds,
            });
        }
    }
    expected
}

//! 回避 Recusals: raised by the person or about the person, decided by two of two organs.
//!
//! From the moment it is raised the guard knows it by the person's row: nothing else has
//! to be told.

use std::collections::BTreeSet;

use access::{Matter, PEOPLE, PersonRow, Subject, policy};
use axum::{
    extract::{Path, Query},
    response::Response,
};
use domain::{
    post::Organ,
    recusal::{Case, Command as Ask, Event, Ground, Recusal, Verdict},
};
use event_store::{FoldError, Rows, Stop, Unit, View, act};
use kernel::{Class, Code, Fact, OfficeId, Refusal, Timestamp, sign::Hash};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use web::{
    Caller, Command, Governed, Problem, Route, Sight, Who, answer, change, get,
    matter::{permitted, read},
    post,
};

use crate::{
    listing::{Page, list_governed},
    organizations::{ORGANIZATIONS, OrganizationRow},
};

const KNOWN: Who = Who::Reads(&[Subject::Of(Class::K4)]);
/// The view; keys are recusal ids.
const RECUSALS: &str = "recusals";

/// The desk's routes.
pub fn routes() -> Vec<Route> {
    vec![
        get("/api/recusals", KNOWN, ["回避事项", "Recusals, raised and decided"], all)
            .in_time()
            .query::<Page>(),
        get("/api/recusals/{id}", KNOWN, ["回避事项详情", "One recusal"], one).in_time(),
        post::<NewRecusal, _>(
            "/api/recusals",
            Who::SignedIn,
            [
                "声明或报告回避",
                "Keep away from an organization's matters, at once; without a person, oneself",
            ],
            raise,
        ),
        change::<Opinion, _>(
            "/api/recusals/{id}/judge",
            Who::Does("recusal.judge"),
            ["回避审核", "Give an opinion; two persons of two organs who agree decide"],
            judge,
        ),
    ]
}

/// An opinion as it is shown.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OpinionRow {
    /// Whose.
    pub by: String,
    /// For which organ.
    pub organ: Organ,
    /// What.
    pub verdict: Verdict,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Timestamp,
}

/// A recusal as it is shown.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RecusalRow {
    /// Its id.
    pub id: String,
    /// Who keeps away from whom, and why.
    #[serde(flatten)]
    pub case: Case,
    /// Who reported it, if the person did not declare it.
    pub reported_by: Option<String>,
    /// Since when.
    pub raised: Timestamp,
    /// What came of it; until then it holds.
    pub decided: Option<Verdict>,
    /// Who thought what.
    pub opinions: Vec<OpinionRow>,
    /// The version.
    pub version: u64,
}

impl Governed for RecusalRow {
    const VIEW: &'static str = RECUSALS;
    const FAMILY: &'static str = "recusal";
    const ABSENT: Code = Code::NotFound;

    fn matter(&self, _: &OfficeId) -> Matter<'_> {
        Matter::of(Subject::Of(Class::K4))
    }

    /// Neither the person concerned nor whoever reported it decides.
    fn possible_for(&self, caller: &Caller) -> &'static [&'static str] {
        let own = [Some(&self.case.person), self.reported_by.as_ref()];
        let kept = caller.standing.is_kept_from(&self.case.organization);
        let raised = own.contains(&Some(&caller.actor.person));
        if kept || raised { &[] } else { self.possible() }
    }

    fn possible(&self) -> &'static [&'static str] {
        if self.decided == Some(Verdict::Dismissed) { &[] } else { &["recusal.judge"] }
    }
}

/// Folds recusals.
#[derive(Debug)]
pub struct RecusalsView;

impl View for RecusalsView {
    fn name(&self) -> &'static str {
        RECUSALS
    }

    fn apply(&self, rows: &mut Rows<'_>, fact: &Fact) -> Result<(), FoldError> {
        if fact.family() != "recusal" {
            return Ok(());
        }
        let Some((_, id)) = fact.stream.split_once('/') else { return Ok(()) };
        let version = fact.version.unwrap_or(0);
        let raised = |case, reported_by| {
            let (id, raised) = (id.to_owned(), fact.recorded);
            RecusalRow { id, case, reported_by, raised, decided: None, opinions: vec![], version }
        };
        let event: Event = fact.read()?;
        let known: Option<RecusalRow> = rows.get(RECUSALS, id)?;
        let row = match (event, known) {
            (Event::Declared { case }, _) => raised(case, None),
            (Event::Reported { case, by }, _) => raised(case, Some(by)),
            (Event::OpinionGiven { by, organ, verdict, reason }, Some(mut row)) => {
                let at = fact.recorded;
                row.opinions.push(OpinionRow { by, organ, verdict, reason, at });
                row
            }
            (Event::Upheld { .. }, Some(row)) => {
                RecusalRow { decided: Some(Verdict::Upheld), ..row }
            }
            (Event::Dismissed { .. }, Some(row)) => {
                RecusalRow { decided: Some(Verdict::Dismissed), ..row }
            }
            (_, None) => return Ok(()),
        };
        rows.put(RECUSALS, id, &RecusalRow { version, ..row })
    }
}

async fn all(seat: Sight, caller: Caller, Query(page): Query<Page>) -> Result<Response, Problem> {
    list_governed::<RecusalRow>(&seat, &caller, "", &page, |_| true).await
}

async fn one(seat: Sight, Path(id): Path<String>, caller: Caller) -> Result<Response, Problem> {
    let row: RecusalRow = read(&seat, &caller, &id).await?;
    let possible = row.possible_for(&caller);
    let actions = caller.actions(&row.matter(&seat.office.setting().office), possible);
    let version = row.version;
    let mut body = serde_json::to_value(row).unwrap_or_default();
    body["actions"] = json!(actions);
    Ok(web::view(&body, version))
}

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewRecusal {
    /// The person; oneself if it is left out.
    #[schemars(with = "String")]
    #[serde(default)]
    person: Option<String>,
    /// The organization's id.
    organization: String,
    /// Why; nothing more is asked here.
    ground: Ground,
}

async fn raise(command: Command<NewRecusal>) -> Result<Response, Problem> {
    let NewRecusal { person, organization, ground } = command.body.clone();
    let caller = command.caller.clone();
    let own = caller.actor.person.clone();
    let person = person.unwrap_or_else(|| own.clone());
    let matter = Matter::of(Subject::Of(Class::K4));
    if person != own && !caller.may("recusal.report", &matter) {
        return Err(Code::NotAllowed.into());
    }
    // One person, one organization, one recusal.
    let name = Hash::of(&[person.as_bytes(), &[0], organization.as_bytes()]).to_string();
    let run = act(move |unit: &mut Unit<'_>| {
        let case = Case { person: person.clone(), organization: organization.clone(), ground };
        let name = name.clone();
        Box::pin(async move {
            let office = unit.setting().office.clone();
            let absent = |what: &str| Refusal::new(Code::NotFound).detail(what);
            let known: Option<PersonRow> = unit.row(PEOPLE, &case.person).await?;
            known.ok_or_else(|| absent("person"))?;
            let known: Option<OrganizationRow> =
                unit.row(ORGANIZATIONS, &case.organization).await?;
            known.ok_or_else(|| absent("organization"))?;
            let id = format!("{office}-{}", &name[..16]);
            let done = unit.execute::<Recusal>(&id, Ask::Raise(case)).await?;
            Ok(answer(&id, &done, json!({})))
        })
    });
    command.run(run).await
}

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Opinion {
    /// What comes of it.
    verdict: Verdict,
    /// Why.
    reason: String,
}

async fn judge(Path(id): Path<String>, command: Command<Opinion>) -> Result<Response, Problem> {
    let (expected, caller) = (command.expected()?, command.caller.clone());
    let Opinion { verdict, reason } = command.body.clone();
    let run = act(move |unit: &mut Unit<'_>| {
        let (id, reason, caller) = (id.clone(), reason.clone(), caller.clone());
        Box::pin(async move {
            let row: RecusalRow = permitted(unit, &caller, "recusal.judge", &id).await?;
            let caller = caller.anew(unit).await?;
            // Whoever has a stake in the organization himself decides nothing of it.
            if caller.standing.is_kept_from(&row.case.organization) {
                return Err(Code::NotAllowed.into());
            }
            let void = no_longer_counts(unit, &row).await?;
            let ask = Ask::Judge { verdict, reason, void };
            let done = unit.execute_at::<Recusal>(&id, ask, expected).await?;
            Ok(answer(&id, &done, json!({})))
        })
    });
    command.run(run).await
}

/// Whose opinions count no more: they have lost the post since, or have a stake.
async fn no_longer_counts(unit: &mut Unit<'_>, row: &RecusalRow) -> Result<BTreeSet<String>, Stop> {
    let (today, matter) = (unit.context().now.day(), Matter::of(Subject::Of(Class::K4)));
    let mut void = BTreeSet::new();
    for opinion in &row.opinions {
        let person: Option<PersonRow> = unit.row(PEOPLE, &opinion.by).await?;
        let standing = person.map(|person| person.standing_on(today)).unwrap_or_default();
        let may = policy::allows(&standing, "recusal.judge", &matter).is_some();
        if !may || standing.is_kept_from(&row.case.organization) {
            void.insert(opinion.by.clone());
        }
    }
    Ok(void)
}

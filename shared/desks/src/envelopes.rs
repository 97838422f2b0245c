//! 密封件登记 Envelopes: what must not enter passes here sealed, and this is all that is
//! known of it.

use std::sync::Arc;

use access::{Matter, Subject};
use axum::{
    extract::{Path, Query, State},
    response::Response,
};
use domain::envelope::{Carrier, Command as Ask, Envelope, Event};
use event_store::{FoldError, Rows, Unit, View, act};
use kernel::{Class, Code, Day, Fact, OfficeId, Timestamp, sign::Hash};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use web::{
    Caller, Command, Governed, Problem, Route, Seat, Sight, Who, answer, change, get, matter, post,
};

use crate::{
    deadline_policies,
    listing::{Page, list_governed},
};

const KNOWN: Who = Who::Does("envelope.receive");
/// The view; keys are envelope ids.
pub(crate) const ENVELOPES: &str = "envelopes";

/// The desk's routes.
pub fn routes() -> Vec<Route> {
    vec![
        get("/api/envelopes", KNOWN, ["密封件", "Envelopes that came sealed"], all)
            .in_time()
            .query::<Page>(),
        get("/api/envelopes/{id}", KNOWN, ["密封件详情", "One envelope"], one).in_time(),
        post::<NewEnvelope, _>(
            "/api/envelopes",
            Who::Does("envelope.receive"),
            [
                "密封件收件登记",
                "Record an envelope that must stay sealed: its number and its seals",
            ],
            receive,
        ),
        change::<HandOn, _>(
            "/api/envelopes/{id}/hand-on",
            Who::Does("envelope.hand-on"),
            ["密封移送", "Record that it went on, sealed: the carrier and the receipt"],
            hand_on,
        ),
    ]
}

/// An envelope as it is shown.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EnvelopeRow {
    /// Its id.
    pub id: String,
    /// What is written on it.
    pub number: String,
    /// Its seals.
    pub seals: Vec<String>,
    /// When it came, by this office's clock.
    pub received: Timestamp,
    /// When it must have gone on.
    pub due: Day,
    /// How it went on.
    pub handed_on: Option<(Carrier, String, Timestamp)>,
    /// The version.
    pub version: u64,
}

impl Governed for EnvelopeRow {
    const VIEW: &'static str = ENVELOPES;
    const FAMILY: &'static str = "envelope";
    const ABSENT: Code = Code::NotFound;

    fn matter(&self, _: &OfficeId) -> Matter<'_> {
        Matter::of(Subject::Of(Class::K10))
    }

    fn possible(&self) -> &'static [&'static str] {
        if self.handed_on.is_none() { &["envelope.hand-on"] } else { &[] }
    }
}

/// Folds envelopes.
#[derive(Debug)]
pub struct EnvelopesView;

impl View for EnvelopesView {
    fn name(&self) -> &'static str {
        ENVELOPES
    }

    fn apply(&self, rows: &mut Rows<'_>, fact: &Fact) -> Result<(), FoldError> {
        if fact.family() != "envelope" {
            return Ok(());
        }
        let Some((_, id)) = fact.stream.split_once('/') else { return Ok(()) };
        let version = fact.version.unwrap_or(0);
        match fact.read()? {
            Event::Received { number, seals, due } => {
                let (id, received, handed_on) = (id.to_owned(), fact.recorded, None);
                let row = EnvelopeRow { id, number, seals, received, due, handed_on, version };
                rows.put(ENVELOPES, &row.id, &row)
            }
            Event::HandedOn { carrier, receipt } => {
                let known: Option<EnvelopeRow> = rows.get(ENVELOPES, id)?;
                let Some(mut row) = known else { return Ok(()) };
                row.handed_on = Some((carrier, receipt, fact.recorded));
                row.version = version;
                rows.put(ENVELOPES, id, &row)
            }
        }
    }
}

async fn all(seat: Sight, caller: Caller, Query(page): Query<Page>) -> Result<Response, Problem> {
    list_governed::<EnvelopeRow>(&seat, &caller, "", &page, |_| true).await
}

async fn one(seat: Sight, Path(id): Path<String>, caller: Caller) -> Result<Response, Problem> {
    let row: EnvelopeRow = matter::read(&seat, &caller, &id).await?;
    Ok(web::view(&row, row.version))
}

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewEnvelope {
    /// What is written on it: a number, `XS〔2026〕017`; it holds no sentence.
    number: String,
    /// The numbers of its seals, unbroken.
    seals: Vec<String>,
}

async fn receive(
    State(seat): State<Arc<Seat>>,
    command: Command<NewEnvelope>,
) -> Result<Response, Problem> {
    let NewEnvelope { number, seals } = command.body.clone();
    let office = seat.office.setting();
    // One number, one envelope.
    let id = Hash::of(&[number.as_bytes()]).to_string();
    let id = format!("{}-{}", office.office, &id[..16]);
    let run = act(move |unit: &mut Unit<'_>| {
        let (id, number, seals) = (id.clone(), number.clone(), seals.clone());
        Box::pin(async move {
            let today = unit.context().now.day();
            let due = deadline_policies::of_unit(unit).await?.due("envelope.up", today).day;
            let ask = Ask::Receive { number, seals, due };
            let done = unit.execute_at::<Envelope>(&id, ask, None).await?;
            Ok(answer(&id, &done, json!({})))
        })
    });
    command.run(run).await
}

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct HandOn {
    /// By whom.
    carrier: Carrier,
    /// The number of the receipt.
    receipt: String,
}

async fn hand_on(Path(id): Path<String>, command: Command<HandOn>) -> Result<Response, Problem> {
    let expected = command.expected()?;
    let HandOn { carrier, receipt } = command.body.clone();
    let ask = Ask::HandOn { carrier, receipt };
    command.decide_on::<EnvelopeRow, Envelope>("envelope.hand-on", id, expected, ask).await
}

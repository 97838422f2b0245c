//! An enrolled office that lost its log, or its key, goes on with a new life of its log.
//!
//! It comes with a token made for it, like a new one. What a reader would get wrong: the
//! token alone does not give the office another key; the other districts have to sign.

use domain::directory::{
    Baseline, Closed, Command as Ask, Directory, Member, Opening, Seat as OfficeSeat, needed,
};
use event_store::{FoldError, Rows, Unit, View, act};
use kernel::{Code, Fact, OfficeId, Refusal, Timestamp, clock::wall, id::Tier, sign::Hash};
use messaging::{
    directory::{DIRECTORY, Entry},
    lives::NextLife,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use web::{Command, Problem, Seat, answer, command::Nothing};

use super::{Admission, Application, TOKEN_LIFE, Token};

/// Spent tokens and what they came to, so that what was broken off can be taken up again.
pub(super) const ENROLLED: &str = "enrolled-by-token";

/// What a token was spent for.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Spent {
    /// An office enrolled.
    Enrolled(Member, Vec<Baseline>),
    /// A new life was proposed and waits for the districts.
    Proposed(Opening),
    /// A new life was opened.
    Opened(Opening),
}

/// Folds which token came to what.
#[derive(Debug)]
pub struct EnrolledView;

impl View for EnrolledView {
    fn name(&self) -> &'static str {
        ENROLLED
    }

    fn schema(&self) -> &'static str {
        "2"
    }

    fn apply(&self, rows: &mut Rows<'_>, fact: &Fact) -> Result<(), FoldError> {
        use domain::directory::Event;
        if fact.family() != "directory" {
            return Ok(());
        }
        let (token, spent) = match fact.read()? {
            Event::Enrolled { member, token, baselines } => {
                (token, Spent::Enrolled(member, baselines))
            }
            Event::EpochProposed { opening } => (opening.token, Spent::Proposed(opening)),
            Event::EpochOpened { opening, .. } => (opening.token, Spent::Opened(opening)),
            _ => return Ok(()),
        };
        rows.put(ENROLLED, &token.to_string(), &spent)
    }
}

/// Makes a token with which the office may ask for a new life of its log.
pub(super) async fn renew(
    axum::extract::Path(office): axum::extract::Path<String>,
    command: Command<Nothing>,
) -> Result<axum::response::Response, Problem> {
    let seat = command.seat().clone();
    let office = OfficeId::parse(&office).ok_or(Code::UnknownOffice)?;
    let row: Option<Entry> = seat.office.reader().await?.view(DIRECTORY, office.as_str()).await?;
    let place = row.ok_or(Code::UnknownOffice)?.member.seat;
    let secret = seat.derive("renewal", &[command.scope()]).to_string()[..40].to_owned();
    let token = Hash::of(&[secret.as_bytes()]);
    let city = seat.office.setting().office.to_string();
    let run = act(move |unit: &mut Unit<'_>| {
        let (city, office) = (city.clone(), office.clone());
        Box::pin(async move {
            let expires = Timestamp(wall().0 + TOKEN_LIFE);
            let id = office.to_string();
            let ask = Ask::Renew { office, token, expires };
            let done = unit.execute::<Directory>(&city, ask).await?;
            Ok(answer(&id, &done, json!({})))
        })
    });
    let mut given = command.outcome(run).await?;
    let mut body: serde_json::Value = serde_json::from_slice(&given.body).unwrap_or_default();
    body["token"] = Token { pin: (*seat.pin).clone(), secret, seat: Some(place) }.write().into();
    given.body = body.to_string().into_bytes();
    Ok(web::command::respond(given))
}

/// The most entries that an office may have recorded and not sent.
const MOST_UNSENT: u64 = 100_000_000;

/// What an asked-for life came to.
pub(super) enum Asked {
    /// It is opened.
    Opened(Box<NextLife>),
    /// It waits: so many districts have consented, so many have to.
    Waits(usize, usize),
}

/// Asks for a new life behind what the hub and the office hold of the log.
pub(super) async fn reopen(
    admission: &Admission,
    token: Hash,
    place: &OfficeSeat,
    application: &Application,
) -> Result<Asked, Problem> {
    let seat = &admission.seat;
    let ingest = seat.ingest.as_ref().ok_or(Code::NotFound)?;
    // Until the city has said it, nothing more of this log is taken.
    let _still = ingest.still(&place.office).await;
    let held = held_of(seat, &place.office).await?;
    let at_hub = Closed { sequence: held.0, hash: held.2 };
    let own = application.closed.filter(|own| own.sequence > at_hub.sequence);
    if own.is_some_and(|own| own.sequence - at_hub.sequence > MOST_UNSENT) {
        return Err(Refusal::new(Code::BadField).detail("closed").into());
    }
    let asked = application.asked.clone().ok_or(Code::TokenSpent)?;
    let closed = own.unwrap_or(at_hub);
    let city = seat.office.setting().office.to_string();
    let (key, demo) = (application.key, application.demo);
    let asking = act(move |unit: &mut Unit<'_>| {
        let (city, asked) = (city.clone(), asked.clone());
        Box::pin(async move {
            let ask = Ask::Reopen { token, at: wall(), key, demo, closed, asked };
            let done = unit.execute::<Directory>(&city, ask).await?;
            Ok(answer(&city, &done, json!({})))
        })
    });
    seat.office.system(asking).await?;
    let spent: Option<Spent> =
        seat.office.reader().await?.view(ENROLLED, &token.to_string()).await?;
    match spent {
        Some(Spent::Proposed(opening)) => waits(seat, &opening).await,
        Some(Spent::Opened(opening)) => opened(seat, opening).await,
        _ => Err(Code::TokenSpent.into()),
    }
}

async fn held_of(seat: &Seat, office: &OfficeId) -> Result<(u64, Hash, Hash), Problem> {
    let ingest = seat.ingest.as_ref().ok_or(Code::NotFound)?;
    ingest.held_of(office).await.map_err(|error| {
        tracing::error!(error = %error, "the hub did not say what it holds");
        Code::HubAway.into()
    })
}

/// The answer to an office whose new life is opened.
pub(super) async fn opened(seat: &Seat, opening: Opening) -> Result<Asked, Problem> {
    let office = &opening.member.seat.office;
    let row: Option<Entry> = seat.office.reader().await?.view(DIRECTORY, office.as_str()).await?;
    let before = row.map(|row| row.before).unwrap_or_default();
    let before = before.iter().map(|member| member.key).filter(|key| *key != opening.member.key);
    let (held, before) = (held_of(seat, office).await?, before.collect());
    Ok(Asked::Opened(Box::new(NextLife { opening, held, before })))
}

/// How many districts have consented, and how many have to.
pub(super) async fn waits(seat: &Seat, opening: &Opening) -> Result<Asked, Problem> {
    let rows: Vec<(String, Entry)> = seat.office.reader().await?.all(DIRECTORY, "").await?;
    let office = &opening.member.seat.office;
    let mut given = 0;
    let mut others = 0;
    for (_, row) in rows {
        let place = &row.member.seat;
        others += usize::from(place.tier == Tier::District && place.office != *office);
        if place.office == *office {
            given = row.proposed.map_or(0, |(_, consents)| consents.len());
        }
    }
    Ok(Asked::Waits(given, needed(others)))
}

/// Where the lanes of an office began when it enrolled.
pub(super) async fn first_baselines(
    seat: &Seat,
    office: &OfficeId,
) -> Result<Vec<Baseline>, Problem> {
    let spent: Vec<(String, Spent)> = seat.office.reader().await?.all(ENROLLED, "").await?;
    let mut found = spent.into_iter().filter_map(|(_, spent)| match spent {
        Spent::Enrolled(member, baselines) if member.seat.office == *office => Some(baselines),
        _ => None,
    });
    Ok(found.next().unwrap_or_default())
}

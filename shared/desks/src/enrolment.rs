//! Enrolment, at the city: tokens out, keys in; and what ingest has to say.

mod admission;
mod renewal;

use std::sync::Arc;

use access::Subject;
use axum::{
    Json,
    body::Bytes,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use domain::directory::{Baseline, Closed, Command as Ask, Directory, Member, Seat as OfficeSeat};
use event_store::{Unit, act};
use kernel::{
    Code, OfficeId, Refusal, Timestamp,
    clock::wall,
    id::Tier,
    sign::{Hash, PublicKey, Signature},
};
use messaging::{
    directory::{DIRECTORY, Entry, Pin},
    link::Failure,
    lives::NextLife,
    nats::provision::office_jwt,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use web::{
    Command, Problem, Route, Seat, Who, answer,
    command::{Nothing, parse},
    get, post,
};

pub use admission::Admission;
pub use renewal::EnrolledView;
use renewal::{Asked, ENROLLED, Spent};

/// What an office brings.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Application {
    /// The one-time token.
    pub token: String,
    /// The public event key.
    pub key: PublicKey,
    /// The public key of its hub user.
    pub hub_user: String,
    /// Whether it takes the city for a demo.
    pub demo: bool,
    /// From an office that asks for a new life of its log: where its own store ends, if
    /// there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<Closed>,
    /// From the same: that it asks for it, signed by its key for everybody to see.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<Signature>,
    /// The event key's signature over all of this, in base64: whoever has a spent
    /// token and reads the directory still can't ask for the office's access.
    pub signature: String,
}

impl Application {
    /// What the event key signs.
    pub fn words(&self) -> Vec<u8> {
        let Self { token, key, hub_user, demo, closed, .. } = self;
        let closed = closed
            .map_or_else(String::new, |Closed { sequence, hash }| format!("\n{sequence}\n{hash}"));
        format!("liandong enrolment v1\n{token}\n{key:?}\n{hub_user}\n{demo}{closed}").into_bytes()
    }

    fn is_signed(&self) -> bool {
        use base64::{Engine, engine::general_purpose::STANDARD};
        let signature = STANDARD.decode(&self.signature).unwrap_or_default();
        self.key.verifies(&self.words(), &signature)
    }
}

/// What it gets.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Admitted {
    /// Its place in the tree.
    pub seat: OfficeSeat,
    /// What to trust.
    pub pin: Pin,
    /// The JWT of its hub user.
    pub hub_jwt: String,
    /// Where the hub is.
    pub hub_url: String,
    /// Where its lanes begin.
    pub baselines: Vec<Baseline>,
    /// The new life of its log, if it asked for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub life: Option<NextLife>,
}

/// What an application comes to.
pub(crate) enum Admittance {
    /// The office is one.
    Admitted(Box<Admitted>),
    /// So many districts have consented to its new key, so many have to.
    Waits(usize, usize),
}

/// An enrolment token: it carries the pin, so that an office knows its city
/// before it has heard a word from it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Token {
    /// What to trust.
    pub pin: Pin,
    /// The secret.
    pub secret: String,
    /// The enrolled office that may ask for a new life of its log with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seat: Option<OfficeSeat>,
}

impl Token {
    /// The token as one word.
    pub fn write(&self) -> String {
        use base64::Engine;
        let json = serde_json::to_vec(self).unwrap_or_default();
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(json)
    }

    /// Reads the form of [`Token::write`].
    pub fn read(text: &str) -> Option<Self> {
        use base64::Engine;
        let json = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text.trim()).ok()?;
        serde_json::from_slice(&json).ok()
    }
}

/// The city's routes.
pub fn routes(admission: &Arc<Admission>) -> Vec<Route> {
    let enrol = {
        let admission = admission.clone();
        move |body: Bytes| {
            let admission = admission.clone();
            async move { enrol(&admission, &body).await }
        }
    };
    vec![
        post::<Invitation, _>(
            "/api/enrolment-tokens",
            Who::Does("office.invite"),
            ["签发注册码", "Make a one-time enrolment token"],
            invite,
        ),
        post::<Application, _>(
            "/api/enrolments",
            Who::Public,
            ["单位注册", "An office enrols with its token and keys"],
            enrol,
        ),
        post::<Nothing, _>(
            "/api/offices/{id}/renewal-tokens",
            Who::Does("office.renew"),
            ["签发续接码", "Make a token for an office that lost its log or its key"],
            renewal::renew,
        ),
        get(
            "/api/ingest",
            Who::Reads(&[Subject::Offices]),
            ["汇入统计", "What ingest accepted and refused since the start"],
            counted,
        ),
    ]
}

async fn counted(State(seat): State<Arc<Seat>>) -> Result<Response, Problem> {
    let ingest = seat.ingest.as_ref().ok_or(Code::NotFound)?;
    let mut all = ingest.counters.all();
    let accepted = all.remove("accepted").unwrap_or(0);
    Ok(Json(json!({"accepted": accepted, "refused": all})).into_response())
}

#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Invitation {
    /// `district` or `township`.
    tier: Tier,
    /// The office above.
    parent: OfficeId,
    /// The division's code.
    code: String,
    /// The name.
    name: String,
}

/// How long a token works, in milliseconds.
const TOKEN_LIFE: i64 = 7 * 24 * 3600 * 1000;

async fn invite(command: Command<Invitation>) -> Result<Response, Problem> {
    let seat = command.seat().clone();
    let Invitation { tier, parent, code, name } = command.body.clone();
    let derived = seat.derive("enrolment", &[command.scope()]).to_string();
    let secret = derived[..40].to_owned();
    let alphabet = |b: u8| char::from(b"abcdefghijkmnpqrstuvwxyz23456789"[usize::from(b % 32)]);
    let office: String =
        Hash::of(&[derived.as_bytes()]).0[..8].iter().map(|b| alphabet(*b)).collect();
    let office = OfficeId::parse(&office).ok_or(Code::Internal)?;
    let token = Hash::of(&[secret.as_bytes()]);
    let place = OfficeSeat { office: office.clone(), tier, parent: Some(parent), code, name };
    let city = seat.office.setting().office.to_string();
    let run = act(move |unit: &mut Unit<'_>| {
        let (city, place) = (city.clone(), place.clone());
        Box::pin(async move {
            let expires = Timestamp(wall().0 + TOKEN_LIFE);
            let id = place.office.to_string();
            let ask = Ask::Invite { seat: place, token, expires };
            let done = unit.execute::<Directory>(&city, ask).await?;
            Ok(answer(&id, &done, json!({})))
        })
    });
    let mut given = command.outcome(run).await?;
    let mut body: serde_json::Value = serde_json::from_slice(&given.body).unwrap_or_default();
    body["token"] = Token { pin: (*seat.pin).clone(), secret, seat: None }.write().into();
    given.body = body.to_string().into_bytes();
    Ok(web::command::respond(given))
}

async fn enrol(admission: &Admission, body: &[u8]) -> Result<Response, Problem> {
    Ok(match admit_by(admission, body).await? {
        Admittance::Admitted(admitted) => Json(*admitted).into_response(),
        Admittance::Waits(consents, needed) => {
            let waits = Json(json!({"consents": consents, "needed": needed}));
            (StatusCode::ACCEPTED, waits).into_response()
        }
    })
}

/// Admits the office of an application, however it was brought.
pub(crate) async fn admit_by(admission: &Admission, body: &[u8]) -> Result<Admittance, Problem> {
    let application: Application = parse(body)?;
    let token = Token::read(&application.token).ok_or(Code::TokenSpent)?;
    if !application.is_signed() {
        return Err(Code::TokenSpent.into());
    }
    let hash = Hash::of(&[token.secret.as_bytes()]);
    let seat = &admission.seat;
    let hub = |error: Failure| {
        tracing::error!(error = %error, "the hub did not admit an office");
        Problem::from(Code::HubAway)
    };
    let known: Option<Spent> =
        seat.office.reader().await?.view(ENROLLED, &hash.to_string()).await?;
    let key = application.key;
    let asked = match known {
        Some(Spent::Enrolled(member, baselines)) if signs_now(seat, &member, key).await? => {
            // It may have moved since.
            let place = admission.member(&member.seat.office).await.map_err(hub)?;
            let place = place.map_or(member.seat, |member| member.seat);
            admission.create_readers(&place, None).await.map_err(hub)?;
            return admitted(admission, &application, place, baselines, None);
        }
        Some(Spent::Proposed(opening)) if opening.member.key == key => {
            renewal::waits(seat, &opening).await?
        }
        Some(Spent::Opened(opening)) if opening.member.key == key => {
            renewal::opened(seat, opening).await?
        }
        Some(_) => return Err(Code::TokenSpent.into()),
        None => {
            let place = invited(seat, &hash).await?;
            let row: Option<Entry> =
                seat.office.reader().await?.view(DIRECTORY, place.office.as_str()).await?;
            if row.is_none() {
                let (start, baselines) = admission.baselines(&place).await.map_err(hub)?;
                admit(seat, hash, &application, baselines.clone()).await?;
                admission.create_readers(&place, Some(start)).await.map_err(hub)?;
                return admitted(admission, &application, place, baselines, None);
            }
            renewal::reopen(admission, hash, &place, &application).await?
        }
    };
    match asked {
        Asked::Waits(consents, needed) => Ok(Admittance::Waits(consents, needed)),
        Asked::Opened(life) => {
            let place = admission.member(&life.opening.member.seat.office).await.map_err(hub)?;
            let place = place.map_or_else(|| life.opening.member.seat.clone(), |now| now.seat);
            let baselines = renewal::first_baselines(seat, &place.office).await?;
            admission.create_readers(&place, None).await.map_err(hub)?;
            admitted(admission, &application, place, baselines, Some(*life))
        }
    }
}

/// Whether the key is the one with which the office enrolled, and still the one it has.
async fn signs_now(seat: &Seat, member: &Member, key: PublicKey) -> Result<bool, Problem> {
    let office = member.seat.office.as_str();
    let row: Option<Entry> = seat.office.reader().await?.view(DIRECTORY, office).await?;
    Ok(member.key == key && row.is_some_and(|row| row.member.key == key))
}

/// What an admitted office gets.
fn admitted(
    admission: &Admission,
    application: &Application,
    place: OfficeSeat,
    baselines: Vec<Baseline>,
    life: Option<NextLife>,
) -> Result<Admittance, Problem> {
    let now = u64::try_from(wall().0 / 1000).unwrap_or(0);
    let (role, account) = (&admission.keys.office_role, &admission.keys.offices);
    let hub_jwt = office_jwt(role, account, place.office.as_str(), &application.hub_user, now)
        .map_err(|_| Problem::from(Refusal::new(Code::BadField).detail("hub_user")))?;
    Ok(Admittance::Admitted(Box::new(Admitted {
        seat: place,
        pin: (*admission.seat.pin).clone(),
        hub_jwt,
        hub_url: admission.hub_url.clone(),
        baselines,
        life,
    })))
}

/// The seat that a token is for, read through the writer: it is never stale.
async fn invited(seat: &Seat, token: &Hash) -> Result<OfficeSeat, Problem> {
    let (city, token) = (seat.office.setting().office.to_string(), *token);
    let asking = act(move |unit: &mut Unit<'_>| {
        let city = city.clone();
        Box::pin(async move {
            let (directory, _) = unit.load::<Directory>(&city).await?;
            let place = directory.invited(&token).ok_or(Code::TokenSpent)?;
            let body = serde_json::to_vec(place).unwrap_or_default();
            Ok(event_store::Answer { status: 200, etag: String::new(), body })
        })
    });
    let given = seat.office.system(asking).await?;
    parse(&given.body)
}

async fn admit(
    seat: &Seat,
    token: Hash,
    application: &Application,
    baselines: Vec<Baseline>,
) -> Result<(), Problem> {
    let city = seat.office.setting().office.to_string();
    let (key, demo) = (application.key, application.demo);
    let enrolling = act(move |unit: &mut Unit<'_>| {
        let (city, baselines) = (city.clone(), baselines.clone());
        Box::pin(async move {
            let ask = Ask::Enrol { token, at: wall(), key, demo, baselines };
            let done = unit.execute::<Directory>(&city, ask).await?;
            Ok(answer(&city, &done, json!({})))
        })
    });
    seat.office.system(enrolling).await?;
    Ok(())
}

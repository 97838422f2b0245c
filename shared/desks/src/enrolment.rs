//! Enrolment, at the city: tokens out, keys in; and what ingest has to say.

mod admission;

use std::sync::Arc;

use axum::{
    Json,
    body::Bytes,
    extract::State,
    response::{IntoResponse, Response},
};
use domain::directory::{Baseline, Command as Ask, Directory, Member, Seat as OfficeSeat};
use event_store::{FoldError, Rows, Unit, View, act};
use kernel::{
    Code, Fact, OfficeId, Refusal, Timestamp,
    clock::wall,
    id::Tier,
    sign::{Hash, PublicKey},
};
use messaging::{directory::Pin, link::Failure, nats::provision::office_jwt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use web::{Command, Problem, Route, Seat, Who, answer, command::parse, get, post};

/// Spent tokens to offices, so that a broken-off enrolment can be taken up again.
pub const ENROLLED: &str = "enrolled-by-token";

pub use admission::Admission;

/// What an office brings.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Application {
    /// The one-time token.
    pub token: String,
    /// The public event key.
    #[schemars(with = "String")]
    pub key: PublicKey,
    /// The public key of its hub user.
    pub hub_user: String,
    /// Whether it takes the city for a demo.
    pub demo: bool,
    /// The event key's signature over all of this, in base64: whoever has a spent
    /// token and reads the directory still can't ask for the office's access.
    pub signature: String,
}

impl Application {
    /// What the event key signs.
    pub fn words(&self) -> Vec<u8> {
        let Self { token, key, hub_user, demo, .. } = self;
        format!("liandong enrolment v1\n{token}\n{key:?}\n{hub_user}\n{demo}").into_bytes()
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
}

/// An enrolment token: it carries the pin, so that an office knows its city
/// before it has heard a word from it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Token {
    /// What to trust.
    pub pin: Pin,
    /// The secret.
    pub secret: String,
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

/// Folds which token enrolled whom.
#[derive(Debug)]
pub struct EnrolledView;

impl View for EnrolledView {
    fn name(&self) -> &'static str {
        ENROLLED
    }

    fn apply(&self, rows: &mut Rows<'_>, fact: &Fact) -> Result<(), FoldError> {
        if fact.kind != "cn.liandong.directory.enrolled.v1" {
            return Ok(());
        }
        let domain::directory::Event::Enrolled { member, token, baselines } = fact.read()? else {
            return Ok(());
        };
        rows.put(ENROLLED, &token.to_string(), &(member, baselines))
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
            Who::Roles(&["SYS"]),
            ["签发注册码", "Make a one-time enrolment token"],
            invite,
        ),
        post::<Application, _>(
            "/api/enrolments",
            Who::Public,
            ["单位注册", "An office enrols with its token and keys"],
            enrol,
        ),
        get(
            "/api/ingest",
            Who::SignedIn,
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
    #[schemars(with = "String")]
    tier: Tier,
    /// The office above.
    #[schemars(with = "String")]
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
    body["token"] = Token { pin: (*seat.pin).clone(), secret }.write().into();
    given.body = body.to_string().into_bytes();
    Ok(web::command::respond(given))
}

async fn enrol(admission: &Admission, body: &[u8]) -> Result<Response, Problem> {
    Ok(Json(admit_by(admission, body).await?).into_response())
}

/// Admits the office of an application, however it was brought.
pub(crate) async fn admit_by(admission: &Admission, body: &[u8]) -> Result<Admitted, Problem> {
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
    let known: Option<(Member, Vec<Baseline>)> =
        seat.office.reader().await?.view(ENROLLED, &hash.to_string()).await?;
    let (member, baselines, start) = match known {
        Some((member, _)) if member.key != application.key => return Err(Code::TokenSpent.into()),
        Some((member, baselines)) => (member, baselines, None),
        None => {
            let place = invited(seat, &hash).await?;
            let (start, baselines) = admission.baselines(&place).await.map_err(hub)?;
            admit(seat, hash, &application, baselines.clone()).await?;
            let key = application.key;
            (Member { seat: place, key, epoch: 1, key_from: 1 }, baselines, Some(start))
        }
    };
    admission.create_readers(&member.seat, start).await.map_err(hub)?;
    let now = u64::try_from(wall().0 / 1000).unwrap_or(0);
    let (role, account) = (&admission.keys.office_role, &admission.keys.offices);
    let office = member.seat.office.to_string();
    let hub_jwt = office_jwt(role, account, &office, &application.hub_user, now)
        .map_err(|_| Problem::from(Refusal::new(Code::BadField).detail("hub_user")))?;
    Ok(Admitted {
        seat: member.seat,
        pin: (*seat.pin).clone(),
        hub_jwt,
        hub_url: admission.hub_url.clone(),
        baselines,
    })
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

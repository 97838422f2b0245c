//! Enrolment, at the city: tokens out, keys in; and what ingest has to say.

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
    Audience, Code, Fact, Lane, OfficeId, Refusal, Root, Timestamp,
    clock::wall,
    id::Tier,
    sign::{Hash, PublicKey},
};
use messaging::{
    directory::{DIRECTORY, Entry, Pin},
    nats::{
        Failure,
        history::{self, create_reader, reader},
        link::Link,
        provision::{HubKeys, office_jwt},
    },
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use web::{Command, Problem, Route, Seat, Who, answer, command::parse, get, post};

/// Spent tokens to offices, so that a broken-off enrolment can be taken up again.
pub const ENROLLED: &str = "enrolled-by-token";

/// What only the city has for enrolment.
pub struct Admission {
    /// The seat of the city's office.
    pub seat: Arc<Seat>,
    /// Ingest's connection, which may create consumers.
    pub link: Link,
    /// The hub's keys.
    pub keys: HubKeys,
    /// The hub's address as offices reach it.
    pub hub_url: String,
}

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
        get("/api/offices", Who::SignedIn, ["单位名录", "The directory"], offices),
        get(
            "/api/ingest",
            Who::SignedIn,
            ["汇入统计", "What ingest accepted and refused since the start"],
            counted,
        ),
    ]
}

async fn offices(State(seat): State<Arc<Seat>>) -> Result<Response, Problem> {
    let rows: Vec<(String, Entry)> = seat.office.reader().await?.all(DIRECTORY, "").await?;
    let offices: Vec<_> = rows.into_iter().map(|(_, entry)| entry.member).collect();
    Ok(Json(json!({"demo": seat.pin.demo, "items": offices})).into_response())
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
    let application: Application = parse(body)?;
    let token = Token::read(&application.token).ok_or(Code::TokenSpent)?;
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
    let admitted = Admitted {
        seat: member.seat,
        pin: (*seat.pin).clone(),
        hub_jwt,
        hub_url: admission.hub_url.clone(),
        baselines,
    };
    Ok(Json(admitted).into_response())
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

impl Admission {
    /// Where a joining reader begins: the first stream sequence of its `_d`
    /// consumer, and how far the lanes that it reads there had gone before.
    async fn baselines(&self, place: &OfficeSeat) -> Result<(u64, Vec<Baseline>), Failure> {
        let start =
            history::last(&self.link, "HISTORY", ">").await?.map_or(0, |last| last.sequence);
        let mut baselines = Vec::new();
        let members: Vec<(String, Entry)> = match self.seat.office.reader().await {
            Ok(mut reader) => reader.all(DIRECTORY, "").await.map_err(Failure::nats)?,
            Err(error) => return Err(Failure::nats(error)),
        };
        for (_, Entry { member, .. }) in members {
            let origin = member.seat.office;
            let mut audiences = Vec::new();
            if Some(&origin) == place.parent.as_ref() {
                audiences.push(Audience::Down(origin.clone()));
            }
            if place.tier == Tier::District && member.seat.tier != Tier::Township {
                audiences.push(Audience::Peers);
            }
            for audience in audiences {
                let lane = Lane { origin: origin.clone(), root: Root::Ev, audience };
                let subject = format!("{lane}.>");
                let Some(last) = history::last(&self.link, "HISTORY", &subject).await? else {
                    continue;
                };
                let (fact, hash) = Fact::of_entry(&last.payload).map_err(Failure::nats)?;
                baselines.push(Baseline { lane, epoch: fact.at.epoch, counter: fact.lane, hash });
            }
        }
        Ok((start + 1, baselines))
    }

    /// Creates the office's readers; again with the same settings changes nothing.
    /// Without `start` the `_d` reader is there already and is left as it is.
    pub async fn create_readers(
        &self,
        place: &OfficeSeat,
        start: Option<u64>,
    ) -> Result<(), Failure> {
        let (office, city) = (&place.office, &self.seat.office.setting().office);
        let mut filters = vec![format!("ev.*.to-{office}.>"), format!("cf.*.to-{office}.>")];
        if place.tier != Tier::Township {
            filters.extend([format!("ev.*.up-{office}.>"), format!("cf.*.up-{office}.>")]);
        }
        match place.tier {
            Tier::City => filters.push("ev.*.peers.>".to_owned()),
            _ => filters.push(format!("ev.{city}.all.>")),
        }
        create_reader(&self.link, "HISTORY", reader(office.as_str(), filters, None, 1)).await?;
        if let (Some(parent), Some(start)) = (&place.parent, start) {
            let mut filters = vec![format!("ev.{parent}.down-{parent}.>")];
            if place.tier == Tier::District {
                filters.push("ev.*.peers.>".to_owned());
            }
            let config = reader(&format!("{office}_d"), filters, Some(start), 1);
            create_reader(&self.link, "HISTORY", config).await?;
        }
        self.create_notes_reader(place).await?;
        // A parent hears its new child from now on.
        let parent = match &place.parent {
            Some(parent) => self.member(parent).await?,
            None => None,
        };
        match parent {
            Some(parent) => self.create_notes_reader(&parent.seat).await,
            None => Ok(()),
        }
    }

    /// The reader of the notes that concern an office; its filters may change.
    async fn create_notes_reader(&self, place: &OfficeSeat) -> Result<(), Failure> {
        let (office, city) = (&place.office, &self.seat.office.setting().office);
        let mut concern = vec![format!("at.rc.{office}.*"), format!("at.lh.*.to-{office}")];
        match &place.parent {
            None => concern = vec!["at.>".to_owned()],
            Some(parent) => {
                concern.extend([format!("at.hb.{city}"), format!("at.lh.{city}.all")]);
                concern.push(format!("at.lh.{parent}.down-{parent}"));
                if parent != city {
                    concern.push(format!("at.hb.{parent}"));
                }
            }
        }
        if place.tier == Tier::District {
            concern.extend([format!("at.lh.*.up-{office}"), "at.lh.*.peers".to_owned()]);
            let below = self.below(office).await?;
            concern.extend(below.iter().map(|child| format!("at.hb.{child}")));
        }
        let config = reader(&format!("{office}_a"), concern, None, 1);
        create_reader(&self.link, "ATTEST", config).await.map(drop)
    }

    async fn member(&self, office: &OfficeId) -> Result<Option<Member>, Failure> {
        let mut reader = self.seat.office.reader().await.map_err(Failure::nats)?;
        let entry: Option<Entry> =
            reader.view(DIRECTORY, office.as_str()).await.map_err(Failure::nats)?;
        Ok(entry.map(|entry| entry.member))
    }

    async fn below(&self, office: &OfficeId) -> Result<Vec<OfficeId>, Failure> {
        let mut reader = self.seat.office.reader().await.map_err(Failure::nats)?;
        let rows: Vec<(String, Entry)> = reader.all(DIRECTORY, "").await.map_err(Failure::nats)?;
        let seats = rows.into_iter().map(|(_, entry)| entry.member.seat);
        Ok(seats
            .filter(|seat| seat.parent.as_ref() == Some(office))
            .map(|seat| seat.office)
            .collect())
    }
}

//! 登录 Signing in: account and password and, once set, a second factor; or a first
//! sign-in link that is spent once.

use std::{net::IpAddr, sync::Arc};

use access::{
    PEOPLE, PersonRow,
    certificates::{CERTIFICATES, CertificateRow},
    passwords,
    people::ACCOUNTS,
    policy, second_factor,
    sessions::SessionRow,
    tokens::MAX_LIFE,
};
use axum::{
    Extension, Json,
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use domain::{
    certificate::Certificate,
    person::{Command as Ask, Person},
    session::{Begun, Command as Sign, Session},
};
use event_store::{Act, Stop, Unit, act};
use kernel::{Actor, Code, Entropy, Refusal, Timestamp, clock::wall, sign::Hash};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use web::{
    Peer, Problem, Route, Seat, Who, answer,
    command::parse,
    post,
    session::{cookie, fresh_secret, session_of},
    wire::household,
};

use crate::{
    certificates::is_certified,
    own_account::{end_sessions, live},
};

/// The desk's route.
pub fn routes() -> Vec<Route> {
    vec![post::<SignIn, _>(
        "/api/sign-in",
        Who::Public,
        ["登录", "Sign in: account and password (and code), or a first sign-in link"],
        sign_in,
    )]
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = [{"required": ["account"]}, {"required": ["link"]}]))]
struct SignIn {
    /// The account.
    #[schemars(with = "String")]
    #[serde(default)]
    account: Option<String>,
    /// The password, or with a link the new one.
    password: String,
    /// The code of the second factor, once one is set.
    code: Option<String>,
    /// The person and secret of a first sign-in link, `person.secret`.
    #[schemars(with = "String")]
    #[serde(default)]
    link: Option<String>,
    /// Whether to begin a browser's session: a cookie comes back instead of a token.
    #[serde(default)]
    cookie: bool,
}

async fn sign_in(
    State(seat): State<Arc<Seat>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: axum::body::Bytes,
) -> Result<Response, Problem> {
    let body: SignIn = parse(&body)?;
    let from =
        Newcomer { address: peer.asks_from(&seat.wire, &headers), certificate: peer.certificate };
    seat.pace.sign_in(from.address)?;
    let (person, row, second_factor) = match (&body.link, &body.account) {
        (Some(_), Some(_)) => {
            return Err(Refusal::new(Code::BadField).detail("account, link: one of them").into());
        }
        (Some(link), None) => by_link(&seat, link, &body, &from).await?,
        (None, Some(account)) => check(&seat, account, &body, &from).await?,
        (None, None) => return Err(Refusal::new(Code::BadField).detail("account").into()),
    };
    let secret = fresh_secret();
    let id = if body.cookie { session_of(&secret) } else { Entropy::System.uuid() };
    begin(&seat, &person, &row, &id, (second_factor, &from)).await?;
    let today = seat.office.setting().clock.now().day();
    let asked = !seat.pin.demo && policy::asks_second_factor(&row.posts_on(today));
    let factor = match (second_factor, asked) {
        (true, _) => "shown",
        (false, true) => "must-be-set",
        (false, false) => "not-set",
    };
    let mut said = json!({"expires_in": MAX_LIFE, "person": person, "session": id,
        "second_factor": factor});
    if body.cookie {
        let cookie = cookie(&seat, &person, &secret);
        return Ok(([(header::SET_COOKIE, cookie)], Json(said)).into_response());
    }
    let token = seat.tokens.issue_in(&person, MAX_LIFE, Some(id));
    said["token"] = token.ok_or(Code::Internal)?.into();
    Ok(Json(said).into_response())
}

/// Who stands at the door: from where, and with which certificate.
pub(crate) struct Newcomer {
    pub(crate) address: IpAddr,
    pub(crate) certificate: Option<Hash>,
}

/// Whether the certificate of the connection stands for the person.
pub(crate) async fn by_certificate(
    seat: &Seat,
    person: &str,
    from: &Newcomer,
) -> Result<bool, Problem> {
    let Some(shown) = from.certificate else { return Ok(false) };
    let known: Option<CertificateRow> =
        seat.office.reader().await?.view(CERTIFICATES, &shown.to_string()).await?;
    Ok(known.is_some_and(|row| row.person == person && !row.ended))
}

/// Whether a second factor was shown; one that is set must be.
pub(crate) async fn second_factor_of(
    seat: &Seat,
    person: &str,
    row: &PersonRow,
    code: Option<&str>,
    from: &Newcomer,
) -> Result<bool, Problem> {
    if by_certificate(seat, person, from).await? {
        return Ok(true);
    }
    match row.second_factor {
        Some(_) => with_code(seat, person, row, code),
        // A certificate that stands for somebody is asked for like a code.
        None if is_certified(seat, person).await? => Err(Code::SecondFactorMissing.into()),
        None => Ok(false),
    }
}

async fn person_row(seat: &Seat, person: &str) -> Result<PersonRow, Problem> {
    let row: Option<PersonRow> = seat.office.reader().await?.view(PEOPLE, person).await?;
    Ok(row.ok_or(Code::BadCredentials)?)
}

/// Begins a session. While the office does not record, it is kept in memory: who may read
/// can sign in all the same.
pub(crate) async fn begin(
    seat: &Seat,
    person: &str,
    row: &PersonRow,
    id: &str,
    (second_factor, from): (bool, &Newcomer),
) -> Result<(), Problem> {
    let (now, address) = (wall(), from.address.to_string());
    let certificate = from.certificate.filter(|_| second_factor).map(|shown| shown.to_string());
    let until = Timestamp(now.0 + MAX_LIFE * 1000);
    let begun = Begun { person: person.to_owned(), at: now, until, second_factor, address };
    let (stream, session, version) = (id.to_owned(), begun.clone(), row.version);
    seat.door.begins(&format!("{person}/{id}"), now);
    let run = act(move |unit: &mut Unit<'_>| {
        let (id, session, certificate) = (stream.clone(), session.clone(), certificate.clone());
        Box::pin(async move {
            // One that is being ended lets nobody in any more.
            if let Some(certificate) = certificate {
                let (state, _) = unit.load::<Certificate>(&certificate).await?;
                if state.was_ended() {
                    return Err(Code::BadCredentials.into());
                }
            }
            // Whoever changed password, factor or posts meanwhile, changed who may come in.
            let (_, now) = unit.load::<Person>(&session.person).await?;
            if now != version {
                return Err(Code::BadCredentials.into());
            }
            let done = unit.execute::<Session>(&id, Sign::Begin(session)).await?;
            Ok(answer(&id, &done, json!({})))
        })
    });
    let actor = Actor { person: person.to_owned(), role: "sign-in".to_owned() };
    match seat.office.command(actor, None, None, run).await {
        Err(refusal) if !matches!(refusal.code.status(), 503 | 507) => return Err(refusal.into()),
        Err(refusal) => {
            tracing::warn!(code = refusal.code.slug(), "a session is kept in memory only");
            seat.door.keep(format!("{person}/{id}"), SessionRow { begun });
        }
        Ok(_) => {}
    }
    Ok(())
}

/// Signs in by a link. A factor that is set is asked for before the link is spent, so that
/// a link alone changes nothing.
async fn by_link(
    seat: &Seat,
    link: &str,
    body: &SignIn,
    from: &Newcomer,
) -> Result<(String, PersonRow, bool), Problem> {
    let (person, secret) = link.split_once('.').ok_or(Code::LinkSpent)?;
    let hash = Hash::of(&[secret.as_bytes()]);
    let row: Option<PersonRow> = seat.office.reader().await?.view(PEOPLE, person).await?;
    let known = |row: &PersonRow| {
        row.link.as_ref().is_some_and(|(link, until)| *link == hash && wall() <= *until)
    };
    let row = row.filter(known).ok_or(Code::LinkSpent)?;
    let second = second_factor_of(seat, person, &row, body.code.as_deref(), from).await?;
    spend_link(seat, person, hash, &body.password).await?;
    Ok((person.to_owned(), person_row(seat, person).await?, second))
}

async fn spend_link(seat: &Seat, person: &str, hash: Hash, password: &str) -> Result<(), Problem> {
    let phc = passwords::hash(password).await?;
    let id = person.to_owned();
    let spend: Act = act(move |unit: &mut Unit<'_>| {
        let (id, phc) = (id.clone(), phc.clone());
        Box::pin(async move {
            let done = unit
                .execute::<Person>(&id, Ask::SpendLink { hash, at: wall() })
                .await
                .map_err(|stop| match stop {
                    Stop::Refused(_) => Code::LinkSpent.into(),
                    failed => failed,
                })?;
            set_password(unit, &id, phc).await?;
            Ok(answer(&id, &done, json!({})))
        })
    });
    let actor = Actor { person: person.to_owned(), role: "link".to_owned() };
    seat.office.command(actor.clone(), None, None, spend).await?;
    // Whoever holds a token by the old password is out.
    let ids = live(seat, person).await?.into_iter().map(|(id, _)| id).collect();
    end_sessions(seat, &actor, person, ids).await
}

/// Puts a password's hash where it is looked for.
pub(crate) async fn set_password(
    unit: &mut Unit<'_>,
    person: &str,
    phc: String,
) -> Result<(), Stop> {
    let sql = "INSERT INTO passwords (person, phc) VALUES ($1, $2) \
               ON CONFLICT (person) DO UPDATE SET phc = excluded.phc";
    unit.conn().exec(sql, vec![person.into(), phc.into()]).await?;
    Ok(())
}

/// An unknown account costs as much time and answers the same as a wrong password, and
/// it waits after as many failures.
async fn check(
    seat: &Seat,
    account: &str,
    body: &SignIn,
    from: &Newcomer,
) -> Result<(String, PersonRow, bool), Problem> {
    let address = &household(from.address).to_string();
    if !seat.door.tries(account, address, wall()) {
        // The account is not said: what was typed there may be a password.
        tracing::warn!(%address, "too many failures to sign in");
        return Err(Code::Locked.into());
    }
    let mut reader = seat.office.reader().await?;
    let person: Option<String> = reader.view(ACCOUNTS, account).await?;
    let person = person.unwrap_or_default();
    let sql = "SELECT phc FROM passwords WHERE person = $1";
    let rows = reader.rows(sql, vec![person.as_str().into()]).await?;
    // Of the same moment as the password: whoever changes it meanwhile changes this too.
    let row: Option<PersonRow> = reader.view(PEOPLE, &person).await?;
    drop(reader);
    let phc = rows.first().map(|row| row.text(0)).transpose()?;
    let good = passwords::verify(&body.password, phc.as_deref()).await && phc.is_some();
    if !good {
        return Err(Code::BadCredentials.into());
    }
    seat.door.came_in(account, address);
    let row = row.ok_or(Code::BadCredentials)?;
    let second = second_factor_of(seat, &person, &row, body.code.as_deref(), from).await?;
    Ok((person, row, second))
}

/// Whether the code of the person's second factor counts; a code counts once. Wrong ones
/// count by person: whoever comes here knows the password, or the link.
pub(crate) fn with_code(
    seat: &Seat,
    person: &str,
    row: &PersonRow,
    code: Option<&str>,
) -> Result<bool, Problem> {
    let code = code.ok_or(Code::SecondFactorMissing)?;
    if !seat.door.tries(person, "code", wall()) {
        return Err(Code::Locked.into());
    }
    let seed = seed(seat, person, row.second_factor.unwrap_or_default());
    let second = u64::try_from(wall().0 / 1000).unwrap_or(0);
    let step = second_factor::step(&seed, code, second).ok_or(Code::BadCredentials)?;
    if !seat.door.take_step(person, step) {
        return Err(Code::BadCredentials.into());
    }
    seat.door.came_in(person, "code");
    Ok(true)
}

/// The seed of a person's second factor of a number.
pub(crate) fn seed(seat: &Seat, person: &str, number: u64) -> Hash {
    seat.derive("second-factor", &[person, &number.to_string()])
}

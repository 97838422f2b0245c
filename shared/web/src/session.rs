//! The session of a request: by a token in its head, or by a cookie.
//!
//! A cookie holds the person and a secret; the session's id follows from the secret, so
//! that neither the log nor the store holds what opens a session. Cookies know no ports:
//! the office stands in the cookie's name, or two offices of one machine would take each
//! other's.

use std::{
    collections::HashMap,
    sync::{LazyLock, Mutex, PoisonError},
    time::{Duration, Instant},
};

use access::sessions::{SESSIONS, SessionRow};
use axum::http::{HeaderMap, HeaderValue, header};
use kernel::{Code, Entropy, OfficeId, clock::wall, sign::Hash};

use crate::{Problem, Seat};

/// How long something looked up may be used; what ends, ends within it.
pub(crate) const FRESH: Duration = Duration::from_secs(1);

/// What a request shows.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    pub(crate) person: String,
    /// The session; none of a demo city's tokens for the shell.
    pub(crate) session: Option<String>,
    /// When it ends at the latest, in seconds.
    pub(crate) until: i64,
}

/// How many letters a cookie's secret has.
const SECRET: usize = 48;

/// A secret for a cookie. One word holds sixteen letters at most, so it takes three.
pub fn fresh_secret() -> String {
    let word = |_| Entropy::System.word(16);
    (0..SECRET / 16).map(word).collect()
}

/// The id of the session that a cookie's secret opens.
pub fn session_of(secret: &str) -> String {
    Hash::of(&[b"liandong session cookie", &[0], secret.as_bytes()]).to_string()[..32].to_owned()
}

/// The word in the name of a session's cookie.
const SESSION: &str = "";

fn name(seat: &Seat, word: &str) -> String {
    let prefix = if seat.wire.is_secret() { "__Host-" } else { "" };
    let dash = if word.is_empty() { "" } else { "-" };
    format!("{prefix}liandong-{}{dash}{word}", seat.office.setting().office)
}

/// A cookie of this office: for it alone, for no script, and not for other sites' requests.
pub(crate) fn named(seat: &Seat, word: &str, value: &str) -> String {
    let secure = if seat.wire.is_secret() { "; Secure" } else { "" };
    format!("{}={value}; Path=/; HttpOnly; SameSite=Lax{secure}", name(seat, word))
}

/// The value of one of this office's cookies; of two of the same name neither counts.
pub(crate) fn value<'h>(seat: &Seat, word: &str, headers: &'h HeaderMap) -> Option<&'h str> {
    let name = name(seat, word);
    let lines = headers.get_all(header::COOKIE).iter();
    let pairs = lines.filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(';'));
    let mut ours = pairs.filter_map(|pair| {
        let (of, value) = pair.trim().split_once('=')?;
        (of == name).then_some(value)
    });
    let (value, more) = (ours.next()?, ours.next());
    more.is_none().then_some(value)
}

/// The header that gives a browser its session.
pub fn cookie(seat: &Seat, person: &str, secret: &str) -> String {
    named(seat, SESSION, &format!("{person}.{secret}"))
}

/// The header that takes it away.
pub fn no_cookie(seat: &Seat) -> String {
    format!("{}; Max-Age=0", named(seat, SESSION, ""))
}

/// The person and the secret of the cookie.
fn in_cookie(seat: &Seat, headers: &HeaderMap) -> Option<(String, String)> {
    let value = value(seat, SESSION, headers)?;
    let (person, secret) = value.rsplit_once('.')?;
    let word = |text: &str| text.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-');
    if secret.len() != SECRET || person.len() > 64 || !word(person) || !word(secret) {
        return None;
    }
    Some((person.to_owned(), secret.to_owned()))
}

/// Who shows what. A token, if there is one, decides alone.
pub(crate) async fn shown(seat: &Seat, headers: &HeaderMap) -> Result<(Shown, bool), Problem> {
    let token = headers.get(header::AUTHORIZATION).map(HeaderValue::to_str);
    let Some(token) = token else {
        let (person, secret) = in_cookie(seat, headers).ok_or(Code::NotSignedIn)?;
        let id = session_of(&secret);
        let row = signed_in(seat, &person, &id).await?.ok_or(Code::NotSignedIn)?;
        let until = row.begun.until.0 / 1000;
        return Ok((Shown { person, session: Some(id), until }, row.begun.second_factor));
    };
    let token = token.ok().and_then(|value| value.split_once(' '));
    let token = token.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let claims = token.and_then(|(_, token)| seat.tokens.check(token.trim()));
    let claims = claims.ok_or(Code::NotSignedIn)?;
    let second_factor = match &claims.sid {
        Some(id) => {
            let row = signed_in(seat, &claims.sub, id).await?.ok_or(Code::NotSignedIn)?;
            row.begun.second_factor
        }
        // A demo city's tokens for the shell belong to no session.
        None if seat.pin.demo => true,
        None => return Err(Code::NotSignedIn.into()),
    };
    Ok((Shown { person: claims.sub, session: claims.sid, until: claims.exp }, second_factor))
}

type Sessions = HashMap<(OfficeId, String), (Instant, Option<SessionRow>)>;
static KNOWN: LazyLock<Mutex<Sessions>> = LazyLock::new(Mutex::default);

/// The session of a person, if it holds now; that a request used it keeps it from idling out.
async fn signed_in(seat: &Seat, person: &str, id: &str) -> Result<Option<SessionRow>, Problem> {
    let idle = i64::from(seat.wire.idle_seconds) * 1000;
    let session = known(seat, person, id).await?;
    Ok(session.filter(|_| seat.door.is_used(&format!("{person}/{id}"), wall(), idle)))
}

/// Whether a session still holds, without using it: what a browser left open receives
/// keeps nobody signed in.
pub(crate) async fn still_holds(seat: &Seat, person: &str, id: &str) -> bool {
    let idle = i64::from(seat.wire.idle_seconds) * 1000;
    let awake = seat.door.is_awake(&format!("{person}/{id}"), wall(), idle);
    awake && known(seat, person, id).await.is_ok_and(|session| session.is_some())
}

/// The session as it was begun, if it has not ended.
async fn known(seat: &Seat, person: &str, id: &str) -> Result<Option<SessionRow>, Problem> {
    let row = format!("{person}/{id}");
    if seat.door.has_ended(&row) {
        return Ok(None);
    }
    let key = (seat.office.setting().office.clone(), row.clone());
    let now = wall();
    let known = {
        let known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&key).filter(|(at, _)| at.elapsed() < FRESH).map(|(_, known)| known.clone())
    };
    let session = if let Some(known) = known {
        known
    } else {
        let read: Option<SessionRow> = seat.office.reader().await?.view(SESSIONS, &row).await?;
        let session = read.or_else(|| seat.door.kept(&row));
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() > 10_000 {
            known.clear();
        }
        // What strangers bring takes no room.
        if session.is_some() {
            known.insert(key, (Instant::now(), session.clone()));
        }
        session
    };
    Ok(session.filter(|session| session.holds(now)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_long_and_no_two_are_alike() {
        let secrets: std::collections::BTreeSet<String> =
            (0..100).map(|_| fresh_secret()).collect();
        assert_eq!(secrets.len(), 100);
        assert!(secrets.iter().all(|secret| secret.len() == SECRET));
        assert_ne!(
            secrets.first().map(|secret| secret[..16].to_owned()),
            secrets.first().map(|secret| secret[16..32].to_owned())
        );
    }
}

//! How an office proves at the hub that a request for a paper is its own.
//!
//! What holds: a signature is good for one method, paper and range, for five minutes.
//! Caught and sent again, a `PUT` finds that its bytes are here already (409); before
//! that, it can spoil one sender's unfinished paper, never a paper, because only what
//! has the hash becomes one. A `GET` gives the same bytes of the same paper once more:
//! who can catch requests must be kept out by TLS in front.

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use event_store::Setting;
use kernel::{Code, OfficeId, Timestamp, clock::wall};
use messaging::directory::{DIRECTORY, Entry};
use web::{Problem, Seat};

/// How old a signature may be, in milliseconds.
const FRESH: i64 = 300_000;

/// What an office signs, of a paper by its hash, of the list of what is wanted by that word:
/// with a range the second form, so that neither passes for the
/// other.
fn words(method: &Method, what: &str, range: Option<&str>, at: Timestamp) -> Vec<u8> {
    match range {
        None => format!("liandong paper v1\n{method}\n{what}\n{at}").into_bytes(),
        Some(range) => format!("liandong paper v2\n{method}\n{what}\n{range}\n{at}").into_bytes(),
    }
}

/// The header that says which bytes are meant.
pub(super) fn range_of(method: &Method) -> HeaderName {
    if method == Method::PUT { header::CONTENT_RANGE } else { header::RANGE }
}

/// The headers of a request that this office signs now.
pub(super) fn sign(
    setting: &Setting,
    method: &Method,
    what: &str,
    range: Option<&str>,
) -> Vec<(&'static str, String)> {
    let at = wall();
    let key = setting.key.now();
    let signature = BASE64.encode(key.sign(&words(method, what, range, at)));
    let mut headers = vec![
        ("ld-office", setting.office.to_string()),
        ("ld-time", at.to_string()),
        ("ld-signature", signature),
    ];
    let name = if *method == Method::PUT { "content-range" } else { "range" };
    headers.extend(range.map(|range| (name, range.to_owned())));
    headers
}

/// The office that signed the request.
pub(super) async fn signed_by(
    seat: &Seat,
    method: &Method,
    what: &str,
    headers: &HeaderMap,
) -> Result<OfficeId, Problem> {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let office = text("ld-office").and_then(OfficeId::parse).ok_or(Code::NotSignedIn)?;
    let at = text("ld-time").and_then(Timestamp::parse).ok_or(Code::NotSignedIn)?;
    let signature = text("ld-signature").and_then(|text| BASE64.decode(text).ok());
    let signature = signature.ok_or(Code::NotSignedIn)?;
    let range = match headers.get(range_of(method)) {
        Some(range) => Some(range.to_str().map_err(|_| Code::NotSignedIn)?),
        None => None,
    };
    let words = words(method, what, range, at);
    let entry: Option<Entry> = seat.office.reader().await?.view(DIRECTORY, office.as_str()).await?;
    let fresh = (wall().0 - at.0).abs() <= FRESH;
    let good = entry.is_some_and(|entry| entry.member.key.verifies(&words, &signature));
    if fresh && good { Ok(office) } else { Err(Code::NotSignedIn.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_good_for_one_method_paper_and_range() {
        let of = |paper: &str| kernel::sign::Hash::of(&[paper.as_bytes()]).to_string();
        let (hash, at) = (of("paper"), Timestamp(5));
        let signed = words(&Method::PUT, &hash, Some("bytes 0-3/8"), at);
        for other in [
            words(&Method::GET, &hash, Some("bytes 0-3/8"), at),
            words(&Method::PUT, &of("other"), Some("bytes 0-3/8"), at),
            words(&Method::PUT, &hash, Some("bytes 4-7/8"), at),
            words(&Method::PUT, &hash, Some("bytes 0-3/9"), at),
            words(&Method::PUT, &hash, None, at),
            words(&Method::PUT, &hash, Some("bytes 0-3/8"), Timestamp(6)),
        ] {
            assert_ne!(signed, other);
        }
    }
}

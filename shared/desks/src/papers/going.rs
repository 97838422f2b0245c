//! A paper on its way out, whole or from where its reader stopped; read from the disk
//! as it goes.

use std::io;

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures_util::stream;
use kernel::{Code, sign::Hash};
use messaging::papers::{Papers, Sender};
use tokio::{
    fs::File,
    io::{AsyncReadExt, AsyncSeekExt},
};
use web::{Problem, Seat, room::Place};

use super::coming::OFFSET;

/// How many bytes are read at a time.
const PART: u64 = 64 * 1024;

/// Which bytes are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    All,
    Part(u64, u64),
    Outside,
}

/// Reads `Range`. What is not understood (other units, several ranges) is answered with
/// all of it, as RFC 9110 says; so is a range of something else, by `If-Range`.
fn wanted(headers: &HeaderMap, tag: &str, size: u64) -> Wanted {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    if headers.contains_key(header::IF_RANGE) && text(header::IF_RANGE) != Some(tag) {
        return Wanted::All;
    }
    let range = text(header::RANGE).and_then(|range| range.strip_prefix("bytes="));
    let Some((first, last)) = range.and_then(|range| range.split_once('-')) else {
        return Wanted::All;
    };
    let (first, end) = match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last => (first, last.saturating_add(1).min(size)),
        (Ok(first), Err(_)) if last.is_empty() => (first, size),
        (Err(_), Ok(many)) if first.is_empty() && many > 0 => (size.saturating_sub(many), size),
        (Err(_), Ok(0)) if first.is_empty() => return Wanted::Outside,
        _ => return Wanted::All,
    };
    if first < end { Wanted::Part(first, end) } else { Wanted::Outside }
}

/// Answers a `GET`. The bytes are held against their hash when they are read from the
/// first on; who goes on later holds them against it in the end.
pub(super) async fn give(
    seat: &Seat,
    papers: &Papers,
    hash: &Hash,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let place = seat.room.download()?;
    let (file, size) = papers.open(hash).await?.ok_or(Code::NotFound)?;
    let tag = format!("\"{hash}\"");
    let wanted = wanted(headers, &tag, size);
    let about = |range: String| HeaderValue::from_str(&range).map_err(|_| Code::Internal);
    let (status, first, end) = match wanted {
        Wanted::All => (StatusCode::OK, 0, size),
        Wanted::Part(first, end) => (StatusCode::PARTIAL_CONTENT, first, end),
        Wanted::Outside => {
            let mut response = Problem::from(Code::RangeOutside).into_response();
            let range = about(format!("bytes */{size}"))?;
            response.headers_mut().insert(header::CONTENT_RANGE, range);
            return Ok(response);
        }
    };
    if first == 0 && papers.check(hash).await?.is_none() {
        return Err(Code::NotFound.into());
    }
    let mut response = Response::new(read(file, first, end, place).await?);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    describe(headers, &tag)?;
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(end - first));
    if status == StatusCode::PARTIAL_CONTENT {
        let range = about(format!("bytes {first}-{}/{size}", end - 1))?;
        headers.insert(header::CONTENT_RANGE, range);
    }
    Ok(response)
}

/// Answers a `HEAD`: whether it is here, or how much of it this sender has brought.
pub(super) async fn standing(
    papers: &Papers,
    sender: &Sender,
    hash: &Hash,
) -> Result<Response, Problem> {
    if let Some(size) = papers.size(hash).await? {
        let mut response = Response::new(Body::empty());
        describe(response.headers_mut(), &format!("\"{hash}\""))?;
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(size));
        return Ok(response);
    }
    let have = papers.held(sender, hash).await?;
    let mut response = Problem::from(Code::NotFound).into_response();
    response.headers_mut().insert(OFFSET, HeaderValue::from(have));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

fn describe(headers: &mut HeaderMap, tag: &str) -> Result<(), Problem> {
    for (name, value) in [
        (header::CONTENT_TYPE, "application/octet-stream"),
        (header::CONTENT_DISPOSITION, "attachment"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::ACCEPT_RANGES, "bytes"),
        (header::ETAG, tag),
    ] {
        headers.insert(name, HeaderValue::from_str(value).map_err(|_| Code::Internal)?);
    }
    Ok(())
}

/// The bytes of a file as a body; its place is given back when it has gone.
async fn read(mut file: File, first: u64, end: u64, place: Place) -> io::Result<Body> {
    file.seek(io::SeekFrom::Start(first)).await?;
    let start = (file, end - first, place);
    Ok(Body::from_stream(stream::try_unfold(start, |(mut file, left, place)| async move {
        if left == 0 {
            return Ok::<_, io::Error>(None);
        }
        let mut part = vec![0; usize::try_from(left.min(PART)).unwrap_or_default()];
        let read = file.read(&mut part).await?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        part.truncate(read);
        Ok(Some((Bytes::from(part), (file, left - read as u64, place))))
    })))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(range: &str, if_range: Option<&str>) -> Wanted {
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, range.parse().unwrap());
        if let Some(tag) = if_range {
            headers.insert(header::IF_RANGE, tag.parse().unwrap());
        }
        wanted(&headers, "\"tag\"", 10)
    }

    #[test]
    fn a_range_is_what_rfc_9110_says() {
        assert_eq!(wanted(&HeaderMap::new(), "\"tag\"", 10), Wanted::All);
        for (range, is) in [
            ("bytes=0-3", Wanted::Part(0, 4)),
            ("bytes=4-", Wanted::Part(4, 10)),
            ("bytes=9-99", Wanted::Part(9, 10)),
            ("bytes=-3", Wanted::Part(7, 10)),
            ("bytes=-99", Wanted::Part(0, 10)),
            ("bytes=10-", Wanted::Outside),
            ("bytes=10-12", Wanted::Outside),
            ("bytes=-0", Wanted::Outside),
            ("bytes=5-4", Wanted::All),
            ("bytes=0-1,3-4", Wanted::All),
            ("pages=0-1", Wanted::All),
            ("bytes=x-", Wanted::All),
        ] {
            assert_eq!(asked(range, None), is, "{range}");
            assert_eq!(asked(range, Some("\"tag\"")), is, "{range}");
            assert_eq!(asked(range, Some("\"other\"")), Wanted::All, "{range}");
            assert_eq!(asked(range, Some("W/\"tag\"")), Wanted::All, "{range}");
        }
    }
}

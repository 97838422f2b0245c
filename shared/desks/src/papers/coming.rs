//! A body that is a paper or a piece of one, written as it comes.
//!
//! What a reader would get wrong: whatever ends a piece early (a cut, silence, the
//! sender's newer connection, too many bytes), the bytes that came are kept. Only a
//! whole with another hash is thrown away.

use std::{io, time::Duration};

use axum::{
    body::{Body, BodyDataStream},
    http::{HeaderMap, HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
};
use futures_util::StreamExt;
use kernel::{Code, Refusal, sign::Hash};
use messaging::papers::{Arrival, MAX_PAPER, Papers, Refused, Sender};
use web::{Problem, room::Place};

/// How long a sender may be silent.
const SILENCE: Duration = Duration::from_secs(30);
/// How many bytes of a paper are here.
pub(super) const OFFSET: HeaderName = HeaderName::from_static("upload-offset");

/// Where a body lies in its paper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Piece {
    first: u64,
    end: u64,
    total: u64,
}

impl Piece {
    /// Reads `bytes 0-262143/20971520`; nothing if the body is the whole.
    fn of(headers: &HeaderMap) -> Result<Option<Self>, Problem> {
        let Some(range) = headers.get(header::CONTENT_RANGE) else { return Ok(None) };
        let unclear = || Refusal::new(Code::BadRequest).detail("Content-Range: bytes 0-262143/…");
        let piece = range.to_str().ok().and_then(Self::parse).ok_or_else(unclear)?;
        if piece.total > MAX_PAPER as u64 {
            return Err(Code::TooLarge.into());
        }
        let length = length(headers).unwrap_or(piece.end - piece.first);
        if length == piece.end - piece.first { Ok(Some(piece)) } else { Err(unclear().into()) }
    }

    fn parse(text: &str) -> Option<Self> {
        let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
        let (first, last) = range.split_once('-')?;
        let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
        let (end, total) = (last.checked_add(1)?, total.parse().ok()?);
        (first < end && end <= total).then_some(Self { first, end, total })
    }
}

fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// What came of a body.
#[derive(Debug)]
pub(super) enum Came {
    /// The paper was here.
    Known(Hash, u64),
    /// It is here now.
    Whole(Hash, u64),
    /// So many bytes of it are here.
    UpTo(u64),
}

/// A refusal, and how many bytes are here.
#[derive(Debug)]
pub(super) struct Stopped(Problem, Option<u64>);

impl<E: Into<Problem>> From<E> for Stopped {
    fn from(error: E) -> Self {
        Self(error.into(), None)
    }
}

impl Stopped {
    fn at(problem: impl Into<Problem>, have: u64) -> Self {
        Self(problem.into(), Some(have))
    }

    /// Whether the whole had another hash.
    pub(super) fn is_mismatch(&self) -> bool {
        self.0.0.code == Code::PaperMismatch
    }
}

impl IntoResponse for Stopped {
    fn into_response(self) -> Response {
        let mut response = self.0.into_response();
        if let Some(have) = self.1 {
            response.headers_mut().insert(OFFSET, HeaderValue::from(have));
        }
        response
    }
}

/// A paper that a request brings.
pub(super) struct Coming {
    pub(super) papers: Papers,
    pub(super) sender: Sender,
    /// Its name, if the request says it.
    pub(super) hash: Option<Hash>,
}

impl Coming {
    /// Takes a request's body; its place is held as long as bytes come. Goes on when the
    /// connection is gone: what came is kept.
    pub(super) async fn take(
        self,
        place: Place,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<Came, Stopped> {
        let piece = Piece::of(headers)?;
        if piece.is_none() && length(headers).is_some_and(|length| length > MAX_PAPER as u64) {
            return Err(Code::TooLarge.into());
        }
        let taking = tokio::spawn(async move {
            let _place = place;
            if let Some(hash) = self.hash
                && let Some(size) = self.papers.size(&hash).await?
            {
                return Ok(Came::Known(hash, size));
            }
            match (self.hash, piece) {
                (Some(hash), Some(piece)) => self.piece(hash, piece, body).await,
                _ => self.whole(body).await,
            }
        });
        taking.await.map_err(io::Error::other)?
    }

    async fn whole(self, body: Body) -> Result<Came, Stopped> {
        let mut arrival = self.papers.begin().await?;
        let end = write(&mut arrival, body.into_data_stream(), MAX_PAPER as u64).await?;
        end.code().map_or(Ok(()), |code| {
            Err(Problem::from(if end == End::Longer { Code::TooLarge } else { code }))
        })?;
        if arrival.have() == 0 {
            let why = "附件为空 / the paper is empty";
            return Err(Refusal::new(Code::BadField).detail(why).into());
        }
        finished(arrival, self.hash.as_ref()).await
    }

    async fn piece(self, hash: Hash, piece: Piece, body: Body) -> Result<Came, Stopped> {
        // Looked at before the claim: a stray request must not stop the one at work.
        let have = self.papers.held(&self.sender, &hash).await?;
        if have != piece.first && have != piece.total {
            return Err(Stopped::at(Code::PieceMisplaced, have));
        }
        let mut arrival = match self.papers.resume(&self.sender, &hash).await? {
            Ok(arrival) => arrival,
            Err(code) => return Err(Stopped::at(code, have)),
        };
        if arrival.have() == piece.total {
            // All came, and then nobody was there to look at the whole.
            return finished(arrival, Some(&hash)).await;
        }
        if arrival.have() != piece.first {
            return Err(Stopped::at(Code::PieceMisplaced, arrival.have()));
        }
        let end = write(&mut arrival, body.into_data_stream(), piece.end).await?;
        if end == End::Whole && arrival.have() == piece.total {
            return finished(arrival, Some(&hash)).await;
        }
        let short = arrival.have() < piece.end;
        let have = match end {
            End::Cut | End::Superseded => arrival.leave().await?,
            End::Whole | End::Longer | End::Silent => arrival.pause().await?,
        };
        match end.code() {
            None if short => Err(Stopped::at(Code::BadRequest, have)),
            None => Ok(Came::UpTo(have)),
            Some(code) => Err(Stopped::at(code, have)),
        }
    }
}

async fn finished(arrival: Arrival, hash: Option<&Hash>) -> Result<Came, Stopped> {
    match arrival.finish(hash).await? {
        Some((hash, size)) => Ok(Came::Whole(hash, size)),
        None => Err(Stopped::at(Code::PaperMismatch, 0)),
    }
}

/// How a body ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Whole,
    Longer,
    Cut,
    Silent,
    Superseded,
}

impl End {
    fn code(self) -> Option<Code> {
        match self {
            Self::Whole => None,
            Self::Longer | Self::Cut => Some(Code::BadRequest),
            Self::Silent => Some(Code::UploadSilent),
            Self::Superseded => Some(Code::PieceMisplaced),
        }
    }
}

/// Writes what comes up to byte `end` of the paper.
pub(super) async fn write(
    arrival: &mut Arrival,
    mut body: BodyDataStream,
    end: u64,
) -> Result<End, Problem> {
    loop {
        let next = tokio::select! {
            next = tokio::time::timeout(SILENCE, body.next()) => next,
            () = arrival.superseded() => return Ok(End::Superseded),
        };
        let bytes = match next {
            Err(_) => return Ok(End::Silent),
            Ok(None) => return Ok(End::Whole),
            Ok(Some(Err(_))) => return Ok(End::Cut),
            Ok(Some(Ok(bytes))) => bytes,
        };
        let room = usize::try_from(end - arrival.have()).unwrap_or(usize::MAX);
        match arrival.write(&bytes[..room.min(bytes.len())]).await {
            Ok(()) if bytes.len() > room => return Ok(End::Longer),
            Ok(()) => {}
            Err(Refused::TooLarge) => return Err(Code::TooLarge.into()),
            Err(Refused::Disk(error)) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_says_where_it_lies() {
        let piece = |text| Piece::parse(text).map(|piece| (piece.first, piece.end, piece.total));
        assert_eq!(piece("bytes 0-0/1"), Some((0, 1, 1)));
        assert_eq!(piece("bytes 262144-300000/300001"), Some((262_144, 300_001, 300_001)));
        for unclear in [
            "bytes 1-0/2",
            "bytes 0-2/2",
            "bytes */2",
            "bytes 0-1/*",
            "bytes=0-1/2",
            "pages 0-1/2",
            "bytes 0-18446744073709551615/5",
            "bytes -1/2",
            "",
        ] {
            assert_eq!(piece(unclear), None, "{unclear}");
        }
    }
}

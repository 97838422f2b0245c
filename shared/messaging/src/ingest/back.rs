//! An office's own entries, given back to it page by page.
//!
//! They lie in HISTORY and in SAFE; a page holds the next of both in the order of
//! the log. Nothing is trusted here or there: the office proves what it gets.

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use kernel::{
    OfficeId,
    entry::{self, Form},
    note::Note,
};

use super::{Held, Ingest, answer};
use crate::{
    directory::Entry,
    link::{Failure, Stored, Stream},
    relay::{Answer, Page, place, safe_subject},
};

/// The most items and bytes of one page: its base64 stays far below a message's limit.
const MOST: usize = 200;
const MOST_BYTES: usize = 256 * 1024;

/// The places to go on from, if the request is an office's own wish for its entries.
pub(super) fn wish(row: &Entry, items: &[&[u8]]) -> Option<(u64, u64)> {
    let [item] = items else { return None };
    let parts = entry::open(item).ok().filter(|parts| parts.form == Form::Note)?;
    match Note::parse(parts.payload).ok()? {
        Note::Back { by, history, safe, .. }
            if by == row.member.seat.office && row.signs_in_this_life(&parts) =>
        {
            Some((history, safe))
        }
        _ => None,
    }
}

impl Ingest {
    /// The next page from these places on, with what is held on the whole.
    pub(super) async fn back(
        &self,
        office: &OfficeId,
        held: Held,
        places: (u64, u64),
    ) -> Result<Answer, Failure> {
        let (given, (history, safe)) = self.page(office, places).await?;
        let items = given.iter().map(|stored| BASE64.encode(&stored.payload)).collect();
        let page = Page { items, history, safe };
        Ok(Answer { back: Some(page), ..answer("held", "", held) })
    }

    /// The next of an office's own entries from these places of HISTORY and SAFE on,
    /// in the order of its log; where to go on.
    pub(crate) async fn page(
        &self,
        office: &OfficeId,
        (mut history, mut safe): (u64, u64),
    ) -> Result<(Vec<Stored>, (u64, u64)), Failure> {
        let (shared, own) = (format!("*.{office}.>"), safe_subject(office));
        let mut given: Vec<Stored> = Vec::new();
        let mut size = 0;
        let mut in_history = self.hub.next(Stream::History, &shared, history).await?;
        let mut in_safe = self.hub.next(Stream::Safe, &own, safe).await?;
        while given.len() < MOST && size < MOST_BYTES {
            let from_history = match (&in_history, &in_safe) {
                (None, None) => break,
                (Some(shared), Some(sealed)) => sequence(shared) <= sequence(sealed),
                (shared, _) => shared.is_some(),
            };
            let (stream, subject, message, next) = if from_history {
                (Stream::History, &shared, &mut in_history, &mut history)
            } else {
                (Stream::Safe, &own, &mut in_safe, &mut safe)
            };
            if let Some(found) = message.take() {
                (size, *next) = (size + found.payload.len(), found.sequence + 1);
                *message = self.hub.next(stream, subject, *next).await?;
                given.push(found);
            }
        }
        self.counters.add("given-back", given.len() as u64);
        Ok((given, (history, safe)))
    }
}

/// The place of a message in its origin's log; what does not read comes first, so
/// that it blocks nothing: the office leaves it out.
fn sequence(stored: &Stored) -> u64 {
    let parts = entry::open(&stored.payload).ok();
    parts.and_then(|parts| place(&parts)).map_or(0, |(at, _)| at.sequence)
}

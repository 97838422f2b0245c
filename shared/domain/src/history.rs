//! 历史补送 History shared: what an office gives to one that was no reader at the time.
//!
//! A stream of its own for every reader, so that the log itself says what was given to
//! whom, and nothing is given twice.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use kernel::{Aggregate, Code, Context, OfficeId, Refusal};
use serde::{Deserialize, Serialize};

/// What the rules need to know: the last sequence given, by stream.
#[derive(Clone, Debug, Default)]
pub struct History {
    given: BTreeMap<String, u64>,
}

/// What may be asked: give this reader these earlier entries of one stream.
#[derive(Clone, Debug)]
pub struct Share {
    /// The reader.
    pub to: OfficeId,
    /// The stream.
    pub stream: String,
    /// The entries, each with its sequence and exact bytes, in the order of the log.
    pub entries: Vec<(u64, Vec<u8>)>,
}

/// What can happen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Event {
    /// `HistoryShared`: earlier entries, as they were signed.
    Shared {
        /// The reader.
        to: OfficeId,
        /// The stream.
        stream: String,
        /// The sequence of the last entry inside.
        last: u64,
        /// The entries' bytes in base64.
        entries: Vec<String>,
    },
}

/// The most bytes inside one entry: in base64 they stay below an entry's limit.
const MOST_BYTES: usize = 30 * 1024;

impl Aggregate for History {
    type Command = Share;
    type Event = Event;
    const FAMILY: &'static str = "history";

    fn name(_: &Event) -> &'static str {
        "shared"
    }

    fn addressees(event: &Event) -> Vec<OfficeId> {
        let Event::Shared { to, .. } = event;
        vec![to.clone()]
    }

    fn decide(&self, share: Share, _: &Context) -> Result<Vec<Event>, Refusal> {
        let Share { to, stream, entries } = share;
        let given = self.given.get(&stream).copied().unwrap_or(0);
        let mut events = Vec::new();
        let (mut part, mut size, mut last) = (Vec::new(), 0, 0);
        let mut give = |part: &mut Vec<String>, last: u64| {
            let (to, stream, entries) = (to.clone(), stream.clone(), std::mem::take(part));
            events.push(Event::Shared { to, stream, last, entries });
        };
        for (sequence, bytes) in entries.into_iter().filter(|(sequence, _)| *sequence > given) {
            if bytes.len() > MOST_BYTES {
                return Err(Code::TooLarge.into());
            }
            if size + bytes.len() > MOST_BYTES {
                give(&mut part, last);
                size = 0;
            }
            (size, last) = (size + bytes.len(), sequence);
            part.push(BASE64.encode(bytes));
        }
        if !part.is_empty() {
            give(&mut part, last);
        }
        Ok(events)
    }

    fn evolve(&mut self, event: &Event) {
        let Event::Shared { stream, last, .. } = event;
        self.given.insert(stream.clone(), *last);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use testkit::{given, office_id};

    fn share(entries: &[(u64, usize)]) -> Share {
        let entries = entries.iter().map(|(at, size)| (*at, vec![7; *size])).collect();
        Share { to: office_id("eeeeeeee"), stream: "round/dddddddd-1".into(), entries }
    }

    fn shared(entries: &[(u64, usize)]) -> Event {
        let Share { to, stream, entries } = share(entries);
        let last = entries.last().unwrap().0;
        let entries = entries.iter().map(|(_, bytes)| BASE64.encode(bytes)).collect();
        Event::Shared { to, stream, last, entries }
    }

    #[test]
    fn what_was_given_is_not_given_again_and_no_entry_grows_too_large() {
        let all = [(3, 20_000), (5, 9_000), (9, 9_000)];
        let parts = [shared(&all[..2]), shared(&all[2..])];
        given::<History>([]).when(share(&all)).then(parts.clone());
        given::<History>(parts).when(share(&all)).then([]);
        given::<History>([shared(&all[..2])]).when(share(&all)).then([shared(&all[2..])]);
        given::<History>([]).when(share(&[(1, 40_000)])).then_refused(Code::TooLarge);
    }
}

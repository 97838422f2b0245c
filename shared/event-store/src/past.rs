//! The office as it was: its views after any entry of its log, or by any day.
//!
//! The views as they stood at the end of each block of the local order are laid out on the
//! disk once somebody looks back; a past is the last block before its place, and in memory
//! over it what the facts behind that block change. What a reader would get wrong: `as_of`
//! is about the days of acts and `known_at` about what was recorded here by then. A thing
//! that was done in June and recorded in July is part of June as it is known now, and not
//! of June as it was known in June. What says itself from which day on it holds is in every
//! past, and whoever reads it asks for the version of the day.

mod cache;
mod dating;
mod lay;
mod look;
mod memory;
pub(crate) mod rows;

use std::{collections::BTreeMap, sync::Arc};

use kernel::{Day, Timestamp};
use serde::Serialize;

use crate::{Progress, Reader, StoreError, readers::past, rows::Layer};

pub(crate) use cache::Pasts;
pub use dating::{Days, day_of};
pub(crate) use lay::Laying;
pub use memory::Projections;

/// Which past is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// Only what was done by this day; nothing said: whatever the day.
    pub as_of: Option<Day>,
    /// Only what was known here then; nothing said: all that is known now.
    pub known_at: Option<Known>,
}

/// A place in what an office came to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// By this time, of the office's clock.
    At(Timestamp),
    /// After its own entry of this sequence, with what was taken in behind it.
    After(u64),
}

impl Known {
    /// Reads a sequence, a date (the end of that day) or a time in RFC 3339.
    pub fn parse(text: &str) -> Option<Self> {
        if (1..=12).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return text.parse().ok().map(Self::After);
        }
        // A day has ended when the next begins.
        let end = Day::parse(text).map(|day| Timestamp(day.start().0 + 86_400_000 - 1));
        end.or_else(|| Timestamp::parse(text)).map(Self::At)
    }
}

/// Why there is no past.
#[derive(Debug, thiserror::Error)]
pub enum NoPast {
    /// The moment has not come yet.
    #[error("that moment has not come yet")]
    Ahead,
    /// The blocks before it are not laid out yet.
    #[error("the past is being laid out")]
    Laying(Progress),
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Rows of one block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Base {
    generation: u64,
    block: u64,
}

/// The rows of a view that differ from those below; none is a row that is not there.
type Over = BTreeMap<String, Option<Arc<str>>>;

/// The views of an office as they were.
#[derive(Debug)]
pub struct Past {
    below: Option<Base>,
    over: BTreeMap<&'static str, Over>,
    as_of: Option<Day>,
    known: u64,
    recorded: Timestamp,
}

/// What a past is of, as it is said beside every answer from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// What was done by this day; none: whatever the day.
    pub as_of: Option<Day>,
    /// The last own entry that was known.
    pub known_at: u64,
}

impl Past {
    fn new(
        below: Option<Base>,
        changes: Layer,
        as_of: Option<Day>,
        (known, recorded): (u64, Timestamp),
    ) -> Self {
        let mut over: BTreeMap<&'static str, Over> = BTreeMap::new();
        for ((view, key), body) in changes {
            over.entry(view).or_default().insert(key, body);
        }
        Self { below, over, as_of, known, recorded }
    }

    /// What it is of.
    pub const fn standing(&self) -> Standing {
        Standing { as_of: self.as_of, known_at: self.known }
    }

    /// The views of which a row is in memory.
    pub(crate) fn over(&self) -> impl Iterator<Item = &'static str> {
        self.over.keys().copied()
    }

    /// Whether blocks lie below what is in memory.
    pub(crate) const fn is_whole(&self) -> bool {
        self.below.is_none()
    }

    /// When the last own entry that was known was recorded.
    pub const fn recorded(&self) -> Timestamp {
        self.recorded
    }

    /// What differs from the block below.
    fn changes(&self) -> Layer {
        let of = |(view, over): (&&'static str, &Over)| {
            let view: &'static str = view;
            over.iter()
                .map(move |(key, body)| ((view, key.clone()), body.clone()))
                .collect::<Vec<_>>()
        };
        self.over.iter().flat_map(of).collect()
    }

    /// How many rows are in memory.
    fn weight(&self) -> usize {
        self.over.values().map(BTreeMap::len).sum()
    }

    pub(crate) async fn row(
        &self,
        reader: &mut Reader,
        view: &str,
        key: &str,
    ) -> Result<Option<String>, StoreError> {
        if let Some(body) = self.over.get(view).and_then(|over| over.get(key)) {
            return Ok(body.as_deref().map(str::to_owned));
        }
        match self.below {
            Some(base) => rows::row(reader, base, view, key).await,
            None => Ok(None),
        }
    }

    pub(crate) async fn rows(
        &self,
        reader: &mut Reader,
        view: &str,
        (prefix, after): (&str, &str),
        limit: usize,
    ) -> Result<Vec<(String, String)>, StoreError> {
        let over = self.over.get(view).into_iter().flat_map(|over| {
            let from = over.range(prefix.to_owned()..past(prefix));
            from.filter(|(key, _)| key.as_str() > after)
        });
        let over: Vec<_> = over.collect();
        let mut found = match self.below {
            // As many more as may be gone or come before.
            Some(base) => {
                let many = limit.saturating_add(over.len());
                rows::rows(reader, base, view, (prefix, after), many).await?
            }
            None => BTreeMap::new(),
        };
        for (key, body) in over {
            match body {
                Some(body) => found.insert(key.clone(), body.to_string()),
                None => found.remove(key),
            };
        }
        Ok(found.into_iter().take(limit).collect())
    }
}

//! 回避 The clues that are about whoever asks, or about a unit that he is kept from: to him
//! they are not there, in no list, no worklist and no feed.
//!
//! Of whom and what a clue is stands in its sealed content alone. What was opened for this is
//! remembered while the process runs, by the part; what does not open here, nobody here can
//! be kept from by it.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, PoisonError},
};

use access::policy;
use domain::{post::Organ, scope_key::Purpose};
use kernel::{EntryRef, sealed::SealedPart, sign::Hash};
use web::{Caller, Problem, Seat};

use super::{
    content::Content,
    view::{CLUES, ClueRow},
};
use crate::{
    clue_cases::view::{CASES, CaseRow},
    sealing::open,
};

/// The persons whom a content is about, and its unit.
type About = (Vec<String>, String);
/// Of the parts that were opened, by their hashes.
static ABOUT: Mutex<Option<HashMap<Hash, About>>> = Mutex::new(None);
/// How many are remembered at a time.
const MOST: usize = 50_000;

/// The streams that are kept from somebody.
#[derive(Debug, Default)]
pub(crate) struct Apart(HashSet<String>);

impl Apart {
    /// Whether this one is.
    pub(crate) fn has(&self, family: &str, id: &str) -> bool {
        !self.0.is_empty() && self.0.contains(&format!("{family}/{id}"))
    }

    /// Whether this stream is.
    pub(crate) fn has_stream(&self, stream: &str) -> bool {
        self.0.contains(stream)
    }
}

/// The streams that are kept from the caller, of those that open here.
pub(crate) async fn apart(seat: &Seat, caller: &Caller) -> Result<Apart, Problem> {
    let posts = &caller.standing.posts;
    if !policy::acts_on(posts, "clue") && !policy::acts_on(posts, "clue-case") {
        return Ok(Apart::default());
    }
    let mut reader = seat.office.reader().await?;
    let clues: Vec<(String, ClueRow)> = reader.all(CLUES, "").await?;
    let cases: Vec<(String, CaseRow)> = reader.all(CASES, "").await?;
    drop(reader);
    let mut streams = HashSet::new();
    for (id, row) in &clues {
        if concerns(seat, caller, clue(row)).await {
            streams.insert(format!("clue/{id}"));
        }
    }
    for (id, row) in &cases {
        if concerns(seat, caller, case(row)).await {
            streams.insert(format!("clue-case/{id}"));
        }
    }
    Ok(Apart(streams))
}

/// A sealed content, and as whose it opens here.
type Held<'a> = (Organ, Purpose, &'a EntryRef, &'a SealedPart);

/// What a clue says, as long as the house has it.
pub(crate) fn clue(row: &ClueRow) -> Option<Held<'_>> {
    let open = row.is_the_teams();
    open.then_some((Organ::InspectionOffice, Purpose::Draft, &row.place, &row.part))
}

/// What a case says, as long as it is with its organ.
pub(crate) fn case(row: &CaseRow) -> Option<Held<'_>> {
    let (to, place, part) = (row.to.as_ref()?, row.place.as_ref()?, row.part.as_ref()?);
    (!row.is_over()).then_some((to.organ, Purpose::HandOver, place, part))
}

fn oversees_only(caller: &Caller) -> bool {
    let may = |action| policy::some(&caller.standing, action, &[]).is_some();
    may("clue.oversee") && !["clue.open", "clue.seal", "clue-case.open"].into_iter().any(may)
}

/// Whether the caller has a stake in a content.
pub(crate) async fn concerns(seat: &Seat, caller: &Caller, held: Option<Held<'_>>) -> bool {
    let Some((organ, purpose, place, part)) = held else { return false };
    let stake = |(persons, unit): &About| {
        persons.contains(&caller.actor.person) || caller.standing.is_kept_from(unit)
    };
    let known = {
        let about = ABOUT.lock().unwrap_or_else(PoisonError::into_inner);
        about.as_ref().and_then(|about| about.get(&part.hash).map(stake))
    };
    if let Some(known) = known {
        return known;
    }
    // Whoever only oversees is shown nothing of which it is not known whom it is about.
    let unknown = oversees_only(caller);
    let Ok(bytes) = open(seat, organ, purpose, place, part).await else { return unknown };
    let Ok(content) = Content::read(&bytes) else { return unknown };
    let unit = content.brief.unit.clone();
    let of = (content.persons(), unit);
    let concerns = stake(&of);
    let mut about = ABOUT.lock().unwrap_or_else(PoisonError::into_inner);
    let about = about.get_or_insert_default();
    if about.len() >= MOST {
        about.clear();
    }
    about.insert(part.hash, of);
    concerns
}

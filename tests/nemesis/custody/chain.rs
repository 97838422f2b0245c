//! Custody as the logs tell it: the way of every clue from organ to organ, and whatever in
//! it must not be.
//!
//! What a reader would get wrong: nothing of the offices' own rules is used here. A way is
//! put together from what was written, so that a fault of the rules shows. Logs that are
//! read while others write show effects without their causes: a cause is asked for only of
//! words that were there before any log was read.

mod course;

use std::collections::{BTreeMap, BTreeSet};

use domain::{clue, clue_case, custody::case_id};
use kernel::{EntryRef, Fact, OfficeId, sign::Hash};

pub(crate) use course::Stand;
use course::{Course, End, Offered};

/// One word about custody, in the log of whoever said it.
#[derive(Clone, Debug)]
pub(crate) struct Word {
    pub(crate) at: EntryRef,
    pub(crate) hash: Hash,
    pub(crate) stream: String,
    pub(crate) version: u64,
    pub(crate) causation: Option<EntryRef>,
    pub(crate) said: Said,
}

/// What was said.
#[derive(Clone, Debug)]
pub(crate) enum Said {
    Clue(clue::Event),
    Case(clue_case::Event),
}

impl Word {
    /// The word of an entry, if it is about custody.
    pub(crate) fn of(fact: &Fact, hash: Hash) -> Result<Option<Self>, String> {
        let said = match fact.family() {
            "clue" => fact.read().map(Said::Clue),
            "clue-case" => fact.read().map(Said::Case),
            _ => return Ok(None),
        };
        let said = said.map_err(|error| format!("{}: {error}", fact.at))?;
        let Some(version) = fact.version else { return Ok(None) };
        let (at, stream, causation) =
            (fact.at.clone(), fact.stream.clone(), fact.causation.clone());
        Ok(Some(Self { at, hash, stream, version, causation, said }))
    }

    /// The event's name.
    pub(crate) fn name(&self) -> &'static str {
        use kernel::Aggregate;
        match &self.said {
            Said::Clue(event) => clue::Clue::name(event),
            Said::Case(event) => clue_case::ClueCase::name(event),
        }
    }
}

/// Who answers for a clue.
#[derive(Clone, Debug)]
pub(crate) struct Holder {
    pub(crate) office: OfficeId,
    /// The stream in which it stands there.
    pub(crate) stream: String,
    pub(crate) stand: Stand,
    /// How often it was handed over.
    pub(crate) number: u32,
}

/// What the logs tell.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    pub(crate) holders: BTreeMap<String, Holder>,
    pub(crate) wrong: Vec<String>,
    /// How often each event stands in the logs.
    pub(crate) counts: BTreeMap<&'static str, u64>,
    /// Offers that were accepted and withdrawn at once: they moved nothing.
    pub(crate) crossed: u64,
    /// The longest way.
    pub(crate) longest: u32,
    /// What still waits for an answer or for its word.
    pub(crate) between: Vec<String>,
}

/// Puts the ways together. `before` says of a word whether its causes must be there;
/// `whole` that nothing was written while the logs were read.
pub(crate) fn told(words: &[Word], before: impl Fn(&Word) -> bool, whole: bool) -> Told {
    let mut told = Told::default();
    let mut streams: BTreeMap<&str, Vec<&Word>> = BTreeMap::new();
    for word in words {
        *told.counts.entry(word.name()).or_default() += 1;
        streams.entry(&word.stream).or_default().push(word);
    }
    let courses: BTreeMap<&str, Course<'_>> = streams
        .into_iter()
        .map(|(stream, words)| (stream, Course::of(stream, words, &mut told.wrong)))
        .collect();
    let offers = offers(&courses, &mut told.wrong);
    for course in courses.values() {
        answered(course, offers.get(course.stream), &before, &mut told.wrong);
    }
    for (case, (stream, offer)) in &offers {
        moved(stream, offer, courses.get(case.as_str()), &before, &mut told);
    }
    let clues: BTreeSet<&str> = courses.keys().filter_map(|s| s.strip_prefix("clue/")).collect();
    for clue in clues {
        way(clue, &courses, &offers, (&before, whole), &mut told);
    }
    told
}

/// Every offer by the stream that answers it, with the stream that made it.
type Offers<'a> = BTreeMap<String, (&'a str, Offered<'a>)>;

fn offers<'a>(courses: &BTreeMap<&'a str, Course<'a>>, wrong: &mut Vec<String>) -> Offers<'a> {
    let mut all = Offers::new();
    for (stream, course) in courses {
        for (turn, offer) in &course.offers {
            let case = format!("clue-case/{}", case_id(&offer.what.to.office, stream, *turn));
            if all.insert(case.clone(), (*stream, offer.clone())).is_some() {
                wrong.push(format!("{case} answers two offers"));
            }
        }
    }
    all
}

/// A receiver answers an offer that was made to it, and takes over on its release alone.
fn answered(
    course: &Course<'_>,
    offer: Option<&(&str, Offered<'_>)>,
    before: &impl Fn(&Word) -> bool,
    wrong: &mut Vec<String>,
) {
    let stream = course.stream;
    let Some((from, offer)) = offer else {
        let word = course.delivered.map(|(word, _)| word).or(course.taken);
        if word.is_some_and(before) {
            wrong.push(format!("{stream} answers an offer that nobody made"));
        }
        return;
    };
    if let Some((word, reference)) = course.delivered
        && (reference.stream != *from || reference.entry != offer.word.hash)
    {
        wrong.push(format!("{}: {stream} was delivered another offer of {from}", word.at));
    }
    let Some(taken) = course.taken else { return };
    match &offer.end {
        Some(End::Released { word, .. }) if taken.causation.as_ref() == Some(&word.at) => {}
        Some(End::Released { word, .. }) => wrong.push(format!(
            "{}: custody taken on {:?}, the release is {}",
            taken.at, taken.causation, word.at
        )),
        Some(end) => wrong.push(format!("{}: custody taken of an offer {}", taken.at, end.name())),
        None if before(taken) => wrong.push(format!("{}: custody taken unreleased", taken.at)),
        None => {}
    }
}

/// What ended an offer quotes its receiver's own answer.
fn moved(
    stream: &str,
    offer: &Offered<'_>,
    case: Option<&Course<'_>>,
    before: &impl Fn(&Word) -> bool,
    told: &mut Told,
) {
    let accepted = case.and_then(|case| case.accepted);
    let returned = case.and_then(|case| case.returned);
    if matches!(offer.end, Some(End::Withdrawn)) && accepted.is_some() {
        told.crossed += 1;
    }
    let (word, basis, answer, what) = match &offer.end {
        Some(End::Released { word, basis }) => (*word, *basis, accepted, "acceptance"),
        Some(End::Returned { word, basis }) => (*word, *basis, returned, "return"),
        Some(End::Withdrawn) | None => return,
    };
    match answer {
        Some(answer) if answer.hash == basis => {}
        Some(answer) => told
            .wrong
            .push(format!("{}: {stream} quotes another {what} than {}", word.at, answer.at)),
        None if before(word) => {
            told.wrong.push(format!("{}: {stream} quotes an {what} that nobody said", word.at));
        }
        None => {}
    }
}

/// The way of one clue is a single path, and only its end holds it.
fn way(
    clue: &str,
    courses: &BTreeMap<&str, Course<'_>>,
    offers: &Offers<'_>,
    (before, whole): (&impl Fn(&Word) -> bool, bool),
    told: &mut Told,
) {
    let first = format!("clue/{clue}");
    let mut releases: BTreeMap<u32, Vec<(&str, &String, &Offered<'_>)>> = BTreeMap::new();
    for (case, (stream, offer)) in offers.iter().filter(|(_, (_, offer))| offer.what.clue == clue) {
        if matches!(offer.end, Some(End::Released { .. })) {
            releases.entry(offer.what.number).or_default().push((stream, case, offer));
        }
    }
    let (mut at, mut number) = (first.clone(), 0);
    for (turn, those) in &releases {
        if those.len() > 1 {
            let by: Vec<&str> = those.iter().map(|(stream, ..)| *stream).collect();
            told.wrong.push(format!("{clue}: hand-over {turn} was released by {by:?}"));
        }
        let (stream, case, offer) = those[0];
        if (*turn != number + 1 || stream != at) && before(offer.word) {
            told.wrong.push(format!("{clue}: hand-over {turn} by {stream}, it was with {at}"));
        }
        (at, number) = (case.clone(), *turn);
    }
    told.longest = told.longest.max(number);
    if !whole {
        return;
    }
    let of_it = |course: &&Course<'_>| {
        course.stream == first || offers.get(course.stream).is_some_and(|o| o.1.what.clue == clue)
    };
    for course in courses.values().filter(of_it) {
        if matches!(course.stand, Stand::Able | Stand::Offered) && course.stream != at {
            told.wrong.push(format!("{}: {:?}, but {at} holds it", course.stream, course.stand));
        }
        if course.waits() {
            told.between.push(course.stream.to_owned());
        }
    }
    let stand = courses.get(at.as_str()).map_or(Stand::Nowhere, |course| course.stand);
    let owner = kernel::id::stream_owner(&at);
    let Some(office) = owner else { return told.wrong.push(format!("{at} is nobody's")) };
    if stand == Stand::Offered {
        told.between.push(at.clone());
    }
    told.holders.insert(clue.to_owned(), Holder { office, stream: at, stand, number });
}

#[cfg(test)]
mod tests;

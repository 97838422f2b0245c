//! Filings: what is expected when something happens, and how the two sides answer.

use domain::{
    filing::{self, Expectation, Filing},
    filing_review::{self, FilingReview, Submission},
    finding::{self, Finding},
    material, round,
};
use event_store::{Act, Standpoint, Stop, Unit, act};
use kernel::{Aggregate, Day, Fact, OfficeId, id::Tier};
use policy::Due;

use super::{done, execute, stream_id};
use crate::{
    deadline_policies::{mode_of, of_unit},
    reviews::review_id,
};

/// What is to be filed, before it is known until when.
#[derive(Clone)]
struct Awaited {
    set: &'static material::Set,
    period: String,
    from: OfficeId,
    to: OfficeId,
    /// The round that it is of, by its id.
    round: String,
    /// From which day on the deadline runs.
    day: Day,
}

impl Awaited {
    /// By the rule that holds now for an office of this tier.
    async fn expected(self, tier: Tier, unit: &mut Unit<'_>) -> Result<Expectation, Stop> {
        let Self { set, period, from, to, round, day } = self;
        let (packs, mode) = (of_unit(unit).await?.for_tier(tier), mode_of(unit, &round).await?);
        let Due { day, policy, reminds } = packs.due_in(set.deadline, mode, day);
        let set = set.name.to_owned();
        Ok(Expectation { set, period, from, to, due: day, policy, proposal: reminds })
    }
}

/// The office's own filing is expected.
fn expecting(awaited: Awaited) -> Act {
    act(move |unit: &mut Unit<'_>| {
        let awaited = awaited.clone();
        Box::pin(async move {
            let expectation = awaited.expected(unit.here().tier, unit).await?;
            let ask = filing::Command::Expect(expectation.clone());
            unit.execute::<Filing>(&expectation.key(), ask).await?;
            Ok(done())
        })
    })
}

/// A township's filing is expected.
fn expecting_of(awaited: Awaited) -> Act {
    act(move |unit: &mut Unit<'_>| {
        let awaited = awaited.clone();
        Box::pin(async move {
            let expectation = awaited.expected(Tier::Township, unit).await?;
            let id = review_id(&unit.here().office, &expectation);
            let source = "trigger".to_owned();
            let ask = filing_review::Command::Expect { expectation, source };
            unit.execute::<FilingReview>(&id, ask).await?;
            Ok(done())
        })
    })
}

/// The round plan, the hearing and the feedback are filed upward.
pub(super) fn expect_for_round(fact: &Fact, here: &Standpoint) -> Option<Act> {
    if fact.family() != round::Round::FAMILY || fact.at.origin != here.office {
        return None;
    }
    let (set, period, on) = match fact.read().ok()? {
        round::Event::Authorised { number, on } => ("round-plan", number, on),
        round::Event::Heard { number, on } => ("hearing", number, on),
        round::Event::FedBack { number, on } => ("feedback", number, on),
        _ => return None,
    };
    let (from, to) = (here.office.clone(), here.parent.clone()?);
    let (set, round) = (material::set(set)?, stream_id(fact));
    Some(expecting(Awaited { set, period, from, to, round, day: on }))
}

/// A township that was told a finding reports its rectification to the district that
/// told it: its own, one that inspected across, or the one it was below before.
pub(super) fn expect_for_feedback(fact: &Fact, here: &Standpoint) -> Option<Act> {
    let from_city = fact.at.origin == here.city;
    if here.tier != Tier::Township || fact.family() != Finding::FAMILY || from_city {
        return None;
    }
    let finding::Event::FedBack { draft, .. } = fact.read().ok()? else { return None };
    if draft.unit_office != here.office {
        return None;
    }
    let day = fact.act_date.unwrap_or_else(|| fact.recorded.day());
    let (from, to) = (here.office.clone(), fact.at.origin.clone());
    let set = material::set("rectification")?;
    let (round, period) = (draft.round, draft.round_number);
    Some(expecting(Awaited { set, period, from, to, round, day }))
}

/// The district expects the same of the township by its own feedback, so that a
/// silent township is overdue too.
pub(super) fn expect_of_unit(fact: &Fact, here: &Standpoint) -> Option<Act> {
    let own = fact.at.origin == here.office;
    if here.tier != Tier::District || fact.family() != Finding::FAMILY || !own {
        return None;
    }
    let finding::Event::FedBack { draft, .. } = fact.read().ok()? else { return None };
    if draft.unit_office == here.office {
        return None;
    }
    let day = fact.act_date.unwrap_or_else(|| fact.recorded.day());
    let (from, to) = (draft.unit_office, here.office.clone());
    let set = material::set("rectification")?;
    let (round, period) = (draft.round, draft.round_number);
    Some(expecting_of(Awaited { set, period, from, to, round, day }))
}

pub(super) fn expect_below(fact: &Fact, here: &Standpoint) -> Option<Act> {
    if fact.family() != Filing::FAMILY || fact.at.origin == here.office {
        return None;
    }
    let filing::Event::Expected { expectation } = fact.read().ok()? else { return None };
    let mine = expectation.to == here.office && expectation.from == fact.at.origin;
    let id = review_id(&here.office, &expectation);
    let source = "trigger".to_owned();
    mine.then(|| {
        execute::<FilingReview>(id, filing_review::Command::Expect { expectation, source })
    })
}

pub(super) fn note_submission(fact: &Fact, here: &Standpoint) -> Option<Act> {
    if fact.family() != Filing::FAMILY || fact.at.origin == here.office {
        return None;
    }
    let filing::Event::Submitted { expectation, number, items, missing, .. } = fact.read().ok()?
    else {
        return None;
    };
    if expectation.to != here.office || expectation.from != fact.at.origin {
        return None;
    }
    let submission = Submission {
        basis: fact.hash,
        filing: stream_id(fact),
        number,
        items,
        missing,
        recorded: fact.recorded,
    };
    let id = review_id(&here.office, &expectation);
    let ask = filing_review::Command::NoteSubmission { expectation, submission };
    Some(execute::<FilingReview>(id, ask))
}

pub(super) fn note_judgement(fact: &Fact, here: &Standpoint) -> Option<Act> {
    if fact.family() != FilingReview::FAMILY || fact.at.origin == here.office {
        return None;
    }
    let (basis, by) = (fact.hash, fact.at.origin.clone());
    match fact.read().ok()? {
        filing_review::Event::Returned { filing, reason, from, .. } if from == here.office => {
            Some(execute::<Filing>(filing, filing::Command::NoteReturn { by, basis, reason }))
        }
        filing_review::Event::Accepted { filing, from, .. } if from == here.office => {
            Some(execute::<Filing>(filing, filing::Command::NoteAcceptance { by, basis }))
        }
        _ => None,
    }
}

//! The rules "on this event, issue that command".
//!
//! They make the conversation of streams: nobody writes another office's
//! stream; each answers with its own.

mod clues;

use clues::{note_clue_answer, note_clue_result, note_custody, reopen_case};
use domain::{
    directory::{self, Directory},
    filing::{self, Expectation, Filing},
    filing_review::{self, FilingReview, Submission},
    finding::{self, Finding},
    material,
    office::{self, Standing},
    rectification::{self, Opening, Rectification},
    round,
};
use event_store::{Act, Answer, Reaction, Standpoint, Unit, act};
use kernel::{Aggregate, Fact, OfficeId, id::Tier};

use crate::reviews::review_id;

/// Every rule. A rule that does not concern an office finds nothing there.
pub const REACTIONS: &[Reaction] = &[
    Reaction { name: "feedback-opens-rectification", on: open_rectification },
    Reaction { name: "completion-is-noted", on: note_completion },
    Reaction { name: "reopening-reopens-rectification", on: reopen_rectification },
    Reaction { name: "round-expects-filing", on: expect_for_round },
    Reaction { name: "feedback-expects-filing", on: expect_for_feedback },
    Reaction { name: "feedback-expects-filing-below", on: expect_of_unit },
    Reaction { name: "expected-below", on: expect_below },
    Reaction { name: "submission-is-noted", on: note_submission },
    Reaction { name: "judgement-is-noted", on: note_judgement },
    Reaction { name: "custody-is-noted", on: note_custody },
    Reaction { name: "answer-on-clue-is-noted", on: note_clue_answer },
    Reaction { name: "clue-result-is-noted", on: note_clue_result },
    Reaction { name: "clue-is-reopened", on: reopen_case },
    Reaction { name: "call-turns-key", on: turn_key },
    Reaction { name: "turned-key-is-noted", on: note_turned },
    Reaction { name: "consent-is-noted", on: note_consent },
    Reaction { name: "move-is-noted", on: note_move },
];

fn execute<A: Aggregate>(id: String, command: A::Command) -> Act {
    act(move |unit: &mut Unit<'_>| {
        let (id, command) = (id.clone(), command.clone());
        Box::pin(async move {
            unit.execute::<A>(&id, command).await?;
            Ok(Answer { status: 200, etag: String::new(), body: Vec::new() })
        })
    })
}

fn stream_id(fact: &Fact) -> String {
    fact.stream.split_once('/').map(|(_, id)| id.to_owned()).unwrap_or_default()
}

fn rectification_id(office: &OfficeId, finding: &str) -> String {
    format!("{office}-{finding}")
}

/// An office turns to the key that it has offered and the city has called.
fn turn_key(fact: &Fact, here: &Standpoint) -> Option<Act> {
    if fact.family() != Directory::FAMILY || fact.at.origin != here.city {
        return None;
    }
    let directory::Event::TurnCalled { office, key } = fact.read().ok()? else { return None };
    let ask = office::Command::Turn { city: here.city.clone(), key };
    (office == here.office).then(|| execute::<Standing>(office.to_string(), ask))
}

/// The city says to all from which entry on an office's new key signs.
fn note_turned(fact: &Fact, here: &Standpoint) -> Option<Act> {
    if fact.family() != Standing::FAMILY || here.tier != Tier::City {
        return None;
    }
    let office::Event::KeyTurned { key, by, .. } = fact.read().ok()? else { return None };
    let (office, from) = (fact.at.origin.clone(), fact.original().sequence + 1);
    let ask = directory::Command::NoteTurn { office, key, from, by };
    Some(execute::<Directory>(here.office.to_string(), ask))
}

/// The city says to all from which entry on a township reports to another district.
fn note_move(fact: &Fact, here: &Standpoint) -> Option<Act> {
    if fact.family() != Standing::FAMILY || here.tier != Tier::City {
        return None;
    }
    let office::Event::Moved { parent, .. } = fact.read().ok()? else { return None };
    let (office, from) = (fact.at.origin.clone(), fact.original().sequence + 1);
    let ask = directory::Command::NoteMove { office, parent, from };
    Some(execute::<Directory>(here.office.to_string(), ask))
}

fn note_consent(fact: &Fact, here: &Standpoint) -> Option<Act> {
    if fact.family() != Standing::FAMILY || here.tier != Tier::City {
        return None;
    }
    let office::Event::EpochConsented { office, epoch, consent, .. } = fact.read().ok()? else {
        return None;
    };
    // A district speaks for itself alone.
    let ask = directory::Command::Consent { office, epoch, consent: consent.clone() };
    (consent.by == fact.at.origin).then(|| execute::<Directory>(here.office.to_string(), ask))
}

fn open_rectification(fact: &Fact, here: &Standpoint) -> Option<Act> {
    if fact.family() != Finding::FAMILY {
        return None;
    }
    let finding::Event::FedBack { draft, due } = fact.read().ok()? else { return None };
    if draft.unit_office != here.office {
        return None;
    }
    let finding = stream_id(fact);
    let id = rectification_id(&here.office, &finding);
    let opening = Opening {
        finding,
        feedback: fact.original(),
        team_office: fact.at.origin.clone(),
        round_number: draft.round_number,
        target: draft.target,
        level: draft.level,
        title: draft.title,
        due,
    };
    Some(execute::<Rectification>(id, rectification::Command::Open(opening)))
}

fn note_completion(fact: &Fact, here: &Standpoint) -> Option<Act> {
    if fact.family() != Rectification::FAMILY {
        return None;
    }
    let rectification::Event::Completed { finding, team_office, by, .. } = fact.read().ok()? else {
        return None;
    };
    if team_office != here.office {
        return None;
    }
    let ask =
        finding::Command::NoteRectified { basis: fact.hash, by, from: fact.at.origin.clone() };
    Some(execute::<Finding>(finding, ask))
}

fn reopen_rectification(fact: &Fact, here: &Standpoint) -> Option<Act> {
    if fact.family() != Finding::FAMILY {
        return None;
    }
    let finding::Event::Reopened { reason, unit_office } = fact.read().ok()? else { return None };
    if unit_office != here.office {
        return None;
    }
    let id = rectification_id(&here.office, &stream_id(fact));
    Some(execute::<Rectification>(id, rectification::Command::Reopen { reason }))
}

fn expectation(
    set: &str,
    period: String,
    (from, to): (OfficeId, OfficeId),
    day: kernel::Day,
) -> Option<Expectation> {
    let deadline = material::set(set)?.deadline;
    Some(Expectation {
        set: set.to_owned(),
        period,
        from,
        to,
        due: policy::due(deadline, day),
        policy: format!("{deadline} {} {}", policy::POLICY_VERSION, policy::calendar::VERSION),
        proposal: policy::deadline::is_proposal(deadline),
    })
}

fn expecting(
    (from, to): (&OfficeId, &OfficeId),
    set: &str,
    period: String,
    from_day: kernel::Day,
) -> Option<Act> {
    let expectation = expectation(set, period, (from.clone(), to.clone()), from_day)?;
    Some(execute::<Filing>(expectation.key(), filing::Command::Expect(expectation)))
}

/// The round plan, the hearing and the feedback are filed upward.
fn expect_for_round(fact: &Fact, here: &Standpoint) -> Option<Act> {
    if fact.family() != round::Round::FAMILY || fact.at.origin != here.office {
        return None;
    }
    let (set, period, on) = match fact.read().ok()? {
        round::Event::Authorised { number, on } => ("round-plan", number, on),
        round::Event::Heard { number, on } => ("hearing", number, on),
        round::Event::FedBack { number, on } => ("feedback", number, on),
        _ => return None,
    };
    expecting((&here.office, here.parent.as_ref()?), set, period, on)
}

/// A township that was told a finding reports its rectification to the district that
/// told it: its own, one that inspected across, or the one it was below before.
fn expect_for_feedback(fact: &Fact, here: &Standpoint) -> Option<Act> {
    let from_city = fact.at.origin == here.city;
    if here.tier != Tier::Township || fact.family() != Finding::FAMILY || from_city {
        return None;
    }
    let finding::Event::FedBack { draft, .. } = fact.read().ok()? else { return None };
    if draft.unit_office != here.office {
        return None;
    }
    let day = fact.act_date.unwrap_or_else(|| fact.recorded.day());
    expecting((&here.office, &fact.at.origin), "rectification", draft.round_number, day)
}

/// The district expects the same of the township by its own feedback, so that a
/// silent township is overdue too.
fn expect_of_unit(fact: &Fact, here: &Standpoint) -> Option<Act> {
    let own = fact.at.origin == here.office;
    if here.tier != Tier::District || fact.family() != Finding::FAMILY || !own {
        return None;
    }
    let finding::Event::FedBack { draft, .. } = fact.read().ok()? else { return None };
    if draft.unit_office == here.office {
        return None;
    }
    let day = fact.act_date.unwrap_or_else(|| fact.recorded.day());
    let expectation = expectation(
        "rectification",
        draft.round_number,
        (draft.unit_office, here.office.clone()),
        day,
    )?;
    let id = review_id(&here.office, &expectation);
    let source = "trigger".to_owned();
    Some(execute::<FilingReview>(id, filing_review::Command::Expect { expectation, source }))
}

fn expect_below(fact: &Fact, here: &Standpoint) -> Option<Act> {
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

fn note_submission(fact: &Fact, here: &Standpoint) -> Option<Act> {
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

fn note_judgement(fact: &Fact, here: &Standpoint) -> Option<Act> {
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

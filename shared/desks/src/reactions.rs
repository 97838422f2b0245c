//! The rules "on this event, issue that command".
//!
//! They make the conversation of streams: nobody writes another office's
//! stream; each answers with its own.

mod clues;
mod filings;

use clues::{note_clue_answer, note_clue_result, note_custody, reopen_case};
use domain::{
    directory::{self, Directory},
    finding::{self, Finding},
    office::{self, Standing},
    rectification::{self, Opening, Rectification},
};
use event_store::{Act, Answer, Reaction, Standpoint, Unit, act};
use filings::{
    expect_below, expect_for_feedback, expect_for_round, expect_of_unit, note_judgement,
    note_submission,
};
use kernel::{Aggregate, Fact, OfficeId, id::Tier};

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
            Ok(done())
        })
    })
}

fn done() -> Answer {
    Answer { status: 200, etag: String::new(), body: Vec::new() }
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

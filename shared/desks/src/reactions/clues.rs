//! The conversation of those who hold a clue.

use domain::{
    clue::{self, Clue},
    clue_case::{self, ClueCase},
    custody,
};
use event_store::{Act, Standpoint};
use kernel::{Aggregate, Fact};

use super::execute;

fn custodial(ask: custody::Ask) -> Act {
    match ask {
        custody::Ask::Clue(id, ask) => execute::<Clue>(id, ask),
        custody::Ask::Case(id, ask) => execute::<ClueCase>(id, ask),
    }
}

/// The receiver hears of releases and withdrawals, of this office or of another.
pub(super) fn note_custody(fact: &Fact, here: &Standpoint) -> Option<Act> {
    let event = match fact.family() {
        Clue::FAMILY => match fact.read().ok()? {
            clue::Event::Custody(event) => event,
            _ => return None,
        },
        ClueCase::FAMILY => match fact.read().ok()? {
            clue_case::Event::Custody(event) => event,
            _ => return None,
        },
        _ => return None,
    };
    custody::on_holder(&event, &fact.stream, &here.office).map(custodial)
}

/// The holder hears what the receiver answered.
pub(super) fn note_clue_answer(fact: &Fact, here: &Standpoint) -> Option<Act> {
    if fact.family() != ClueCase::FAMILY {
        return None;
    }
    let event: clue_case::Event = fact.read().ok()?;
    custody::on_receiver(&event, &fact.at.origin, fact.hash, &here.office).map(custodial)
}

/// The first holder hears what came of it.
pub(super) fn note_clue_result(fact: &Fact, here: &Standpoint) -> Option<Act> {
    if fact.family() != ClueCase::FAMILY {
        return None;
    }
    let clue_case::Event::ResultFedBack { clue, outcome, to } = fact.read().ok()? else {
        return None;
    };
    let ask = clue::Command::NoteResult { basis: fact.hash, outcome };
    (to == here.office).then(|| execute::<Clue>(clue, ask))
}

/// The organ that holds it hears that the first holder took it up again; from one that
/// does not hold it any more, the word goes on.
pub(super) fn reopen_case(fact: &Fact, here: &Standpoint) -> Option<Act> {
    let (to, turn) = match fact.family() {
        Clue::FAMILY => match fact.read().ok()? {
            clue::Event::Reopened { holder, .. } => holder?,
            _ => return None,
        },
        ClueCase::FAMILY => match fact.read().ok()? {
            clue_case::Event::ReopeningPassedOn { to, turn } => (to, turn),
            _ => return None,
        },
        _ => return None,
    };
    let id = custody::case_id(&here.office, &fact.stream, turn);
    let ask = clue_case::Command::NoteReopening;
    (to.office == here.office).then(|| execute::<ClueCase>(id, ask))
}

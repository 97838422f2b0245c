//! The view of findings: where each stands, what may be said of it, and where what it says
//! lies.

use access::{Matter, Subject};
use domain::{
    figures::Counts,
    finding::{Brief, Event, Saying, State as FindingState},
};
use event_store::{FoldError, Rows, View};
use kernel::{
    Class, Code, Day, EntryRef, Fact, OfficeId,
    sealed::{Ciphertext, SealedPart},
    sign::Hash,
};
use serde::{Deserialize, Serialize};
use web::Governed;

use super::{BY_TASK, FINDINGS, HANDLERS};
use crate::{
    results::TALLY,
    rounds::{ROUNDS, RoundRow},
};

/// A finding as it is shown.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FindingRow {
    /// Its id.
    pub id: String,
    /// The team's office.
    pub office: OfficeId,
    /// What was found.
    pub draft: Shown,
    /// Where what it says lies, as long as it is sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<Sealed>,
    /// Where it stands.
    pub state: FindingState,
    /// The end of the concentrated period.
    pub due: Option<Day>,
    /// The basis for closing it out: the completion's hash.
    pub completion: Option<Hash>,
    /// The version, of an own finding.
    pub version: u64,
}

/// What is shown of what was found.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Shown {
    /// What may be said of it.
    #[serde(flatten)]
    pub brief: Brief,
    /// One line, if it is in the clear or was opened for the reader.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The matter, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

impl Shown {
    /// Shows what it says.
    pub fn say(&mut self, Saying { title, text }: Saying) {
        (self.title, self.text) = (Some(title), Some(text));
    }
}

/// Where a sealed content lies.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Sealed {
    /// The entry that it belongs to.
    pub place: EntryRef,
    /// What the entry says of it.
    pub part: SealedPart,
    /// The ciphertext.
    pub bytes: Ciphertext,
}

/// Folds findings and the tally of results.
#[derive(Debug)]
pub struct FindingsView {
    /// The office whose findings count in its own tally.
    pub office: OfficeId,
}

impl View for FindingsView {
    fn name(&self) -> &'static str {
        FINDINGS
    }

    fn schema(&self) -> &'static str {
        "2"
    }

    fn apply(&self, rows: &mut Rows<'_>, fact: &Fact) -> Result<(), FoldError> {
        if fact.family() != "finding" {
            return Ok(());
        }
        let Some((_, id)) = fact.stream.split_once('/') else { return Ok(()) };
        let own = fact.at.origin == self.office;
        let event: Event = fact.read()?;
        if let Event::Drafted { by, .. } | Event::DraftSealed { by, .. } | Event::CoSigned { by } =
            &event
        {
            rows.change(HANDLERS, id, |handlers: &mut Vec<String>| handlers.push(by.clone()))?;
        }
        let known: Option<FindingRow> = rows.get(FINDINGS, id)?;
        let Some((row, before)) = folded(known, id, fact, &event) else { return Ok(()) };
        if own {
            let Brief { round, task, .. } = &row.draft.brief;
            rows.put(BY_TASK, &format!("{round}/{task}/{id}"), &row.state)?;
            tally(rows, &row, before)?;
        }
        rows.put(FINDINGS, id, &row)
    }
}

/// The row after a fact, and the state before it.
fn folded(
    known: Option<FindingRow>,
    id: &str,
    fact: &Fact,
    event: &Event,
) -> Option<(FindingRow, FindingState)> {
    let new = |brief: Brief| FindingRow {
        id: id.to_owned(),
        office: fact.at.origin.clone(),
        draft: Shown { brief, title: None, text: None },
        sealed: None,
        state: FindingState::Absent,
        due: None,
        completion: None,
        version: 0,
    };
    let row = match (event, known) {
        (_, Some(row)) => Some(row),
        (Event::Drafted { draft, .. } | Event::FedBack { draft, .. }, None) => {
            Some(new(draft.brief()))
        }
        (Event::DraftSealed { brief, .. }, None) => Some(new(brief.clone())),
        _ => None,
    };
    let mut row = row?;
    let before = row.state;
    row.version = fact.version.unwrap_or(row.version);
    row.state = match event {
        Event::Drafted { draft, .. } => {
            row.draft.say(draft.clone().apart().1);
            FindingState::Drafted
        }
        Event::DraftSealed { part, sealed, .. } => {
            let (place, part, bytes) = (fact.original(), (**part).clone(), sealed.clone());
            row.sealed = Some(Sealed { place, part, bytes });
            FindingState::Drafted
        }
        Event::CoSigned { .. } => FindingState::CoSigned,
        Event::Listed { .. } => FindingState::Listed,
        Event::FedBack { draft, due } => {
            row.draft.say(draft.clone().apart().1);
            (row.sealed, row.due) = (None, Some(*due));
            FindingState::FedBack
        }
        Event::Reopened { .. } => {
            row.completion = None;
            FindingState::FedBack
        }
        Event::Rectified { basis, .. } => {
            row.completion = Some(*basis);
            FindingState::Rectified
        }
        Event::ClosedOut { .. } => FindingState::ClosedOut,
        Event::Dropped { .. } => FindingState::Dropped,
    };
    Some((row, before))
}

/// Counts a finding as found once fed back, and as rectified while it is.
fn tally(rows: &mut Rows<'_>, row: &FindingRow, before: FindingState) -> Result<(), FoldError> {
    use FindingState::{ClosedOut, FedBack, Listed, Rectified};
    let done = |state| matches!(state, Rectified | ClosedOut);
    let found = before == Listed && row.state == FedBack;
    let (was, is) = (done(before), done(row.state));
    if found || was != is {
        let key = format!("{}/{}", row.draft.brief.level.as_str(), row.draft.brief.round_number);
        rows.change(TALLY, &key, |counts: &mut Counts| {
            counts.found += u64::from(found);
            counts.rectified += u64::from(is && !was);
            counts.rectified -= u64::from(was && !is);
        })?;
    }
    let closed = row.state == ClosedOut && before != ClosedOut;
    let open_again = before == ClosedOut && row.state != ClosedOut;
    if !found && !closed && !open_again {
        return Ok(());
    }
    rows.change(ROUNDS, &row.draft.brief.round, |round: &mut RoundRow| {
        let open = round.open_findings.unwrap_or(0) + u64::from(found || open_again);
        round.open_findings = Some(open.saturating_sub(u64::from(closed)));
    })
}

impl Governed for FindingRow {
    const VIEW: &'static str = FINDINGS;
    const FAMILY: &'static str = "finding";
    const ABSENT: Code = Code::FindingAbsent;

    /// Until it is on the list it is a draft, until it is fed back the list is secret;
    /// inspected people see neither (`model.md` 2.4).
    fn matter(&self, here: &OfficeId) -> Matter<'_> {
        use FindingState::{Absent, CoSigned, Drafted, Dropped, Listed};
        let class = match self.state {
            Absent | Drafted | CoSigned | Dropped => Class::K7,
            Listed => Class::K8,
            _ => Class::K9,
        };
        Matter {
            own: self.office == *here,
            round: Some(&self.draft.brief.round),
            task: Some(&self.draft.brief.task),
            unit: Some(&self.draft.brief.target),
            ..Matter::of(Subject::Of(class))
        }
    }

    fn possible(&self) -> &'static [&'static str] {
        match self.state {
            FindingState::Drafted => &["finding.co-sign", "finding.drop"],
            FindingState::CoSigned | FindingState::Listed => &["finding.drop"],
            FindingState::Rectified => &["finding.close-out", "finding.reopen"],
            FindingState::ClosedOut => &["finding.reopen"],
            _ => &[],
        }
    }
}

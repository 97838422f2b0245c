//! What is shown of a clue at its first holder: states, dates, counts; never what it says.

use std::collections::BTreeMap;

use access::{Matter, Subject};
use domain::{
    clue::{Brief, Event, Outcome, Quality, State},
    clue_case,
    clue_figures::ClueCounts,
    custody::{Event as Custody, Party, PersonSignature, ReturnReason},
    post::Organ,
};
use event_store::{FoldError, Rows, View};
use kernel::{
    Class, Code, Day, EntryRef, Fact, OfficeId, Timestamp, sealed::SealedPart, sign::Hash,
};
use policy::{Due, Packs};
use serde::{Deserialize, Serialize};
use web::{Caller, Governed};

/// Clues by id.
pub const CLUES: &str = "clues";
/// What goes with open offers to other offices, by the offering stream, until it is there.
pub const OFFERS_OUT: &str = "clue-offers-out";
/// Every paper that ever went with an offer to another office, by its hash: the stream.
pub const OFFERED: &str = "clue-papers-offered";
/// Own clue counts by level.
pub const CLUE_TALLY: &str = "clue-tally";

/// An offer as its offerer sees it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OfferRow {
    /// Which.
    pub turn: u32,
    /// To whom.
    pub to: Party,
    /// When it was made.
    pub offered: Timestamp,
    /// When the receiver had every byte.
    pub delivered: Option<Timestamp>,
}

/// A clue as its first holder has it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ClueRow {
    /// Its id.
    pub id: String,
    /// The office.
    pub office: OfficeId,
    /// What may be said of it.
    pub brief: Brief,
    /// Where it stands.
    pub state: State,
    /// The hash of its content.
    pub content: Hash,
    /// The sealed content that stands.
    pub part: SealedPart,
    /// The entry that holds it.
    pub place: EntryRef,
    /// Who drafted it.
    pub drafted_by: String,
    /// How far it can be checked.
    pub quality: Option<Quality>,
    /// Who signed the content that stands.
    pub signatures: Vec<PersonSignature>,
    /// Where it goes.
    pub route: Option<Party>,
    /// The offer that is open, or that it went by.
    pub offer: Option<OfferRow>,
    /// Why the last offer came back, if it did.
    pub returned: Option<ReturnReason>,
    /// When it was handed over, and to whom; nobody if on paper.
    pub handed_over: Option<(Timestamp, Option<Party>)>,
    /// What came of it.
    pub outcome: Option<Outcome>,
    /// The dates of its states.
    pub dates: BTreeMap<String, Timestamp>,
    /// The version.
    pub version: u64,
}

impl ClueRow {
    /// By when it is to be handed over: with its round, after the secretary's meeting.
    pub(crate) fn hand_over_by(&self, heard: Option<Day>, packs: &Packs) -> Option<Due> {
        let open = self.is_the_teams().then_some(heard).flatten();
        open.map(|day| packs.due("clue.transfer.batch", day))
    }

    /// Whether two have signed it: before that it is the team's draft.
    fn is_signed(&self) -> bool {
        use State::{Absent, Discussed, Drafted, Dropped, FirstSigned};
        !matches!(self.state, Absent | Drafted | Discussed | FirstSigned | Dropped)
    }

    /// Whether the team still has it.
    pub fn is_the_teams(&self) -> bool {
        self.handed_over.is_none() && self.state != State::Dropped
    }
}

impl Governed for ClueRow {
    const VIEW: &'static str = CLUES;
    const FAMILY: &'static str = "clue";
    const ABSENT: Code = Code::ClueAbsent;

    /// The team's work until it is handed over; then it is of no round any more, and the
    /// custodian alone has its states and dates (`model.md` 2.4, rule of the holder).
    fn matter(&self, here: &OfficeId) -> Matter<'_> {
        let theirs = self.is_the_teams();
        Matter {
            own: self.office == *here,
            round: theirs.then_some(self.brief.round.as_str()),
            task: theirs.then_some(self.brief.task.as_str()),
            unit: Some(&self.brief.unit),
            organ: Some(Organ::InspectionOffice),
            own_cadres: theirs && self.brief.is_of_own_cadres() && self.is_signed(),
            ..Matter::of(Subject::Of(Class::K10))
        }
    }

    /// Who has signed does not sign again.
    fn possible_for(&self, caller: &Caller) -> &'static [&'static str] {
        let signed = self.signatures.iter().any(|one| one.by == caller.actor.person);
        if self.state == State::FirstSigned && signed {
            return &["clue.open", "clue.revise", "clue.drop"];
        }
        self.possible()
    }

    fn possible(&self) -> &'static [&'static str] {
        match self.state {
            State::Drafted => &["clue.open", "clue.revise", "clue.discuss", "clue.drop"],
            State::Discussed | State::FirstSigned => {
                &["clue.open", "clue.revise", "clue.sign", "clue.drop"]
            }
            State::DualSigned => &["clue.open", "clue.revise", "clue.drop", "clue.seal"],
            State::Sealed if self.offer.is_some() => &["clue.withdraw"],
            State::Sealed if self.returned.is_some() => &[
                "clue.open",
                "clue.revise",
                "clue.drop",
                "clue.reroute",
                "clue.offer",
                "clue.paper",
            ],
            State::Sealed if self.route.is_none() => &["clue.paper"],
            State::Sealed => &["clue.open", "clue.offer", "clue.paper"],
            State::OnPaper => &["clue.result"],
            State::FedBack => &["clue.close"],
            State::Closed => &["clue.reopen"],
            State::Absent | State::Dropped | State::Released => &[],
        }
    }
}

/// Folds own clues, and their counts.
#[derive(Debug)]
pub struct CluesView {
    /// The office that holds them first.
    pub office: OfficeId,
}

impl View for CluesView {
    fn name(&self) -> &'static str {
        CLUES
    }

    fn schema(&self) -> &'static str {
        "3"
    }

    fn apply(&self, rows: &mut Rows<'_>, fact: &Fact) -> Result<(), FoldError> {
        let Some((_, id)) = fact.stream.split_once('/') else { return Ok(()) };
        match fact.family() {
            "clue" if fact.at.origin == self.office => self.own(rows, fact, id),
            // The receiver's word that every byte is there, also if it is this office.
            "clue-case" => delivered(rows, fact),
            _ => Ok(()),
        }
    }
}

/// Notes what goes with an offer to another office, until the offer is over.
pub(crate) fn offer_out(
    rows: &mut Rows<'_>,
    stream: &str,
    custody: &Custody,
    here: &OfficeId,
) -> Result<(), FoldError> {
    match custody {
        Custody::Offered { offer, papers, .. } if offer.to.office != *here => {
            rows.put(OFFERS_OUT, stream, papers)?;
            for paper in papers {
                rows.put(OFFERED, &paper.to_string(), &stream)?;
            }
        }
        _ => rows.delete(OFFERS_OUT, stream),
    }
    Ok(())
}

fn delivered(rows: &mut Rows<'_>, fact: &Fact) -> Result<(), FoldError> {
    let clue_case::Event::Delivered { coming } = fact.read()? else { return Ok(()) };
    let Some(id) = coming.offer.stream.strip_prefix("clue/") else { return Ok(()) };
    let Some(mut row) = rows.get::<ClueRow>(CLUES, id)? else { return Ok(()) };
    if let Some(offer) = row
        .offer
        .as_mut()
        .filter(|offer| offer.turn == coming.offer.turn && offer.to.office == fact.at.origin)
    {
        offer.delivered = Some(fact.recorded);
        rows.delete(OFFERS_OUT, &coming.offer.stream);
    }
    rows.put(CLUES, id, &row)
}

impl CluesView {
    fn own(&self, rows: &mut Rows<'_>, fact: &Fact, id: &str) -> Result<(), FoldError> {
        let event: Event = fact.read()?;
        if let Event::Drafted { brief, content, part, by } = event {
            let row = ClueRow {
                id: id.to_owned(),
                office: self.office.clone(),
                brief,
                state: State::Drafted,
                content,
                part: *part,
                place: fact.original(),
                drafted_by: by,
                quality: None,
                signatures: Vec::new(),
                route: None,
                offer: None,
                returned: None,
                handed_over: None,
                outcome: None,
                dates: [("drafted".to_owned(), fact.recorded)].into(),
                version: fact.version.unwrap_or(0),
            };
            return rows.put(CLUES, id, &row);
        }
        let Some(mut row) = rows.get::<ClueRow>(CLUES, id)? else { return Ok(()) };
        row.version = fact.version.unwrap_or(row.version);
        let name = fact.kind.split('.').nth(3).unwrap_or_default().to_owned();
        row.dates.insert(name, fact.recorded);
        count(rows, &row, &event)?;
        if let Event::Custody(custody) = &event {
            offer_out(rows, &fact.stream, custody, &self.office)?;
        }
        turned(&mut row, event, fact);
        rows.put(CLUES, id, &row)
    }
}

fn turned(row: &mut ClueRow, event: Event, fact: &Fact) {
    match event {
        Event::Drafted { .. } | Event::ReopeningAsked { .. } => {}
        Event::Revised { content, part, .. } => {
            (row.content, row.part, row.place) = (content, *part, fact.original());
            row.signatures.clear();
            row.returned = None;
            row.state = if row.quality.is_some() { State::Discussed } else { State::Drafted };
        }
        Event::Discussed { quality, .. } => {
            (row.quality, row.state) = (Some(quality), State::Discussed);
        }
        Event::FirstSigned { signature } => {
            (row.signatures, row.state) = (vec![signature], State::FirstSigned);
        }
        Event::DualSigned { signature } => {
            row.signatures.push(signature);
            row.state = State::DualSigned;
        }
        Event::Dropped { .. } => row.state = State::Dropped,
        Event::Sealed { route, .. } => (row.route, row.state) = (route, State::Sealed),
        Event::Rerouted { authority, route, .. } => {
            (row.brief.authority, row.route) = (authority, route);
        }
        Event::HandedOnPaper { .. } => {
            (row.handed_over, row.state) = (Some((fact.recorded, None)), State::OnPaper);
        }
        Event::ResultNoted { outcome, .. } => {
            (row.outcome, row.state) = (Some(outcome), State::FedBack);
        }
        Event::Closed { .. } => row.state = State::Closed,
        Event::Reopened { holder, .. } => {
            row.state = if holder.is_some() { State::Released } else { State::OnPaper };
        }
        Event::Custody(Custody::Offered { turn, offer, .. }) => {
            let (to, offered) = (offer.to, fact.recorded);
            row.returned = None;
            row.offer = Some(OfferRow { turn, to, offered, delivered: None });
        }
        Event::Custody(Custody::OfferWithdrawn { .. }) => row.offer = None,
        Event::Custody(Custody::OfferReturned { reason, .. }) => {
            (row.offer, row.returned) = (None, Some(reason));
        }
        Event::Custody(Custody::Released { to, .. }) => {
            (row.handed_over, row.state) = (Some((fact.recorded, Some(to))), State::Released);
        }
    }
}

/// One clue is counted once, at its first holder: when it is handed over.
fn count(rows: &mut Rows<'_>, row: &ClueRow, event: &Event) -> Result<(), FoldError> {
    let change: &dyn Fn(&mut ClueCounts) = match event {
        Event::Custody(Custody::Released { .. }) | Event::HandedOnPaper { .. } => {
            &|counts| counts.clues += 1
        }
        Event::Closed { .. } => &|counts| counts.clues_closed += 1,
        Event::Reopened { .. } => {
            &|counts| counts.clues_closed = counts.clues_closed.saturating_sub(1)
        }
        Event::ResultNoted { outcome, .. } => {
            let before = row.outcome.unwrap_or_default();
            let moved = |count: &mut u64, new: u16, old: u16| {
                *count = (*count + u64::from(new)).saturating_sub(u64::from(old));
            };
            &move |counts| {
                moved(&mut counts.cases, outcome.cases, before.cases);
                moved(&mut counts.disciplined, outcome.disciplined, before.disciplined);
                moved(&mut counts.transferred, outcome.transferred, before.transferred);
            }
        }
        _ => return Ok(()),
    };
    rows.change(CLUE_TALLY, row.brief.level.as_str(), |counts: &mut ClueCounts| change(counts))
}

//! What is shown of a sealed identity: that it is there, who asked, who opened it.

use access::{Matter, Subject};
use domain::identity::{Event, OpeningReason, State as IdentityState};
use event_store::{FoldError, Rows, View};
use kernel::{Class, Code, EntryRef, Fact, OfficeId, Timestamp, sealed::SealedPart};
use serde::{Deserialize, Serialize};
use web::Governed;

/// The view; keys are identity ids.
const IDENTITIES: &str = "identities";

/// A sealed identity as it is shown.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct IdentityRow {
    /// Its id, which stands for the person everywhere else.
    pub id: String,
    /// The office whose vault has the key.
    pub office: OfficeId,
    /// The round.
    pub round: String,
    /// The task.
    pub task: String,
    /// The inspected organization: who keeps away from it has nothing of this.
    pub unit: String,
    /// Where it stands.
    pub state: IdentityState,
    /// The sealed part.
    pub part: SealedPart,
    /// The entry that holds it.
    pub place: EntryRef,
    /// Who asked last for it to be opened, and why.
    pub asked: Option<(String, OpeningReason)>,
    /// Who opened it last, why, and when.
    pub opened: Option<([String; 2], OpeningReason, Timestamp)>,
    /// Who asked for its destruction.
    pub destruction: Option<String>,
    /// The version.
    pub version: u64,
}

impl Governed for IdentityRow {
    const VIEW: &'static str = IDENTITIES;
    const FAMILY: &'static str = "identity";
    const ABSENT: Code = Code::NotFound;

    fn matter(&self, here: &OfficeId) -> Matter<'_> {
        Matter {
            own: self.office == *here,
            round: Some(&self.round),
            task: Some(&self.task),
            unit: Some(&self.unit),
            ..Matter::of(Subject::Of(Class::K6))
        }
    }

    fn possible(&self) -> &'static [&'static str] {
        match (self.state, &self.asked, &self.destruction) {
            (IdentityState::Sealed, Some(_), Some(_)) => {
                &["identity.ask", "identity.open", "identity.destroy"]
            }
            (IdentityState::Sealed, Some(_), None) => {
                &["identity.ask", "identity.open", "identity.ask-destruction"]
            }
            (IdentityState::Sealed, None, Some(_)) => &["identity.ask", "identity.destroy"],
            (IdentityState::Sealed, None, None) => &["identity.ask", "identity.ask-destruction"],
            _ => &[],
        }
    }
}

/// Folds sealed identities.
#[derive(Debug)]
pub struct IdentitiesView;

impl View for IdentitiesView {
    fn name(&self) -> &'static str {
        IDENTITIES
    }

    fn apply(&self, rows: &mut Rows<'_>, fact: &Fact) -> Result<(), FoldError> {
        if fact.family() != "identity" {
            return Ok(());
        }
        let Some((_, id)) = fact.stream.split_once('/') else { return Ok(()) };
        let event: Event = fact.read()?;
        let version = fact.version.unwrap_or(0);
        if let Event::Sealed { round, task, unit, part } = event {
            let row = IdentityRow {
                id: id.to_owned(),
                office: fact.at.origin.clone(),
                round,
                task,
                unit,
                state: IdentityState::Sealed,
                part: *part,
                place: fact.original(),
                asked: None,
                opened: None,
                destruction: None,
                version,
            };
            return rows.put(IDENTITIES, id, &row);
        }
        let Some(mut row) = rows.get::<IdentityRow>(IDENTITIES, id)? else { return Ok(()) };
        row.version = version;
        match event {
            Event::Sealed { .. } => {}
            Event::OpeningAsked { by, reason, .. } => row.asked = Some((by, reason)),
            Event::Opened { by, reason, at } => {
                (row.asked, row.opened) = (None, Some((by, reason, at)));
            }
            Event::DestructionAsked { by } => row.destruction = Some(by),
            Event::DestructionApproved { .. } => {
                (row.state, row.opened) = (IdentityState::ToBeDestroyed, None);
            }
            Event::Destroyed => row.state = IdentityState::Destroyed,
        }
        rows.put(IDENTITIES, id, &row)
    }
}

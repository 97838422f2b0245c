//! The directory as a view: who signs what.

use domain::directory::{Event, Member};
use event_store::{FoldError, Rows, Unit, View};
use kernel::{
    Fact, OfficeId,
    sign::{Hash, PublicKey},
};
use serde::{Deserialize, Serialize};

/// The view's name; its keys are office ids.
pub const DIRECTORY: &str = "directory";

/// What a row holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Entry {
    /// The member.
    pub member: Member,
    /// Whether the city is a demo.
    pub demo: bool,
}

/// Folds the city's directory.
#[derive(Debug)]
pub struct DirectoryView;

impl View for DirectoryView {
    fn name(&self) -> &'static str {
        DIRECTORY
    }

    fn apply(&self, rows: &mut Rows<'_>, fact: &Fact) -> Result<(), FoldError> {
        if fact.family() != "directory" {
            return Ok(());
        }
        match fact.read()? {
            Event::Founded { city, demo } => {
                let key = city.seat.office.to_string();
                rows.put(DIRECTORY, &key, &Entry { member: city, demo })
            }
            Event::Enrolled { member, .. } => {
                let city: Option<Entry> = rows.get(DIRECTORY, fact.at.origin.as_str())?;
                let demo = city.is_some_and(|city| city.demo);
                let key = member.seat.office.to_string();
                rows.put(DIRECTORY, &key, &Entry { member, demo })
            }
            Event::Invited { .. } => Ok(()),
        }
    }
}

/// What an office knows before it has read anything: its enrolment's pin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// The city.
    pub city: OfficeId,
    /// Its event key.
    pub key: PublicKey,
    /// The leaf hash of `CityFounded`.
    pub founding: Hash,
    /// Whether it is a demo city.
    pub demo: bool,
}

/// The member that may have signed an entry of `origin`, if it is known.
pub(crate) async fn signer(
    unit: &mut Unit<'_>,
    pin: &Pin,
    origin: &OfficeId,
) -> Result<Option<(PublicKey, Option<Member>)>, event_store::Stop> {
    let row: Option<Entry> = unit.row(DIRECTORY, origin.as_str()).await?;
    Ok(match row {
        Some(entry) => Some((entry.member.key, Some(entry.member))),
        None if *origin == pin.city => Some((pin.key, None)),
        None => None,
    })
}

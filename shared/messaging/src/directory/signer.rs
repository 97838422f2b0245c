//! Who may have signed an entry, by the directory or by the enrolment's pin.

use event_store::Unit;
use kernel::{
    OfficeId,
    sign::{Hash, PublicKey},
};
use serde::{Deserialize, Serialize};

use super::{DIRECTORY, Entry};

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

/// Who may have signed an entry of an office.
pub(crate) enum Signer {
    /// The office's row of the directory.
    Row(Box<Entry>),
    /// The city, before its founding is here.
    Pin(PublicKey),
}

impl Signer {
    /// The key for the entry with this sequence.
    pub(crate) fn key(&self, sequence: u64) -> PublicKey {
        match self {
            Self::Row(row) => row.at(sequence).key,
            Self::Pin(key) => *key,
        }
    }
}

/// Who may have signed the entries of `origin`, if it is known.
pub(crate) async fn signer(
    unit: &mut Unit<'_>,
    pin: &Pin,
    origin: &OfficeId,
) -> Result<Option<Signer>, event_store::Stop> {
    let row: Option<Entry> = unit.row(DIRECTORY, origin.as_str()).await?;
    let pinned = (*origin == pin.city).then_some(Signer::Pin(pin.key));
    Ok(row.map(|row| Signer::Row(Box::new(row))).or(pinned))
}

//! Last heard and not received yet, for each neighbour.

use std::collections::BTreeMap;

use event_store::{Office, StoreError};
use kernel::{
    Audience, Lane, OfficeId, Timestamp, entry,
    id::Tier,
    note::{Held, Note},
};
use serde::Serialize;

use crate::{
    directory::{DIRECTORY, Entry},
    notes::{StoredLane, lanes},
};

/// What is known of a neighbour.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Neighbour {
    /// The office.
    pub office: OfficeId,
    /// Its name in the directory.
    pub name: String,
    /// Its tier.
    pub tier: Tier,
    /// The newest signed note of it, by its own clock.
    pub last_heard: Option<Timestamp>,
    /// How many of our entries it should hold and has not receipted.
    pub not_received: u64,
    /// Whether it receipted an entry that our log does not hold: one of the two logs
    /// was changed. What such a receipt says it holds is not counted as received.
    pub differs: bool,
}

/// Every note kept, by subject.
pub async fn notes(office: &Office) -> Result<Vec<Note>, StoreError> {
    let rows =
        office.reader().await?.rows("SELECT note FROM notes ORDER BY subject", vec![]).await?;
    let mut notes = Vec::new();
    for row in rows {
        let bytes = row.blob(0)?;
        notes.extend(entry::open(&bytes).ok().and_then(|parts| Note::parse(parts.payload).ok()));
    }
    Ok(notes)
}

/// The neighbours of an office: whoever reads its lanes or is read by it.
pub async fn neighbours(office: &Office) -> Result<Vec<Neighbour>, StoreError> {
    let (setting, parent) = (office.setting(), office.here().parent);
    let members: Vec<(String, Entry)> = office.reader().await?.all(DIRECTORY, "").await?;
    let lanes = lanes(office).await?;
    let notes = notes(office).await?;
    let receipts = receipts(office, &notes).await?;
    let mut heard: BTreeMap<&OfficeId, Timestamp> = BTreeMap::new();
    for note in &notes {
        let last = heard.entry(note.by()).or_insert(note.at());
        *last = (*last).max(note.at());
    }
    let mut found = Vec::new();
    for (_, Entry { member, .. }) in &members {
        let seat = &member.seat;
        if seat.office == setting.office {
            continue;
        }
        let close = Some(&seat.office) == parent.as_ref()
            || seat.parent.as_ref() == Some(&setting.office)
            || seat.office == setting.city;
        let receipt = receipts.get(&seat.office);
        let not_received = missing(&lanes, receipt, &setting.office, member);
        if close || not_received > 0 || heard.contains_key(&seat.office) {
            found.push(Neighbour {
                office: seat.office.clone(),
                name: seat.name.clone(),
                tier: seat.tier,
                last_heard: heard.get(&seat.office).copied(),
                not_received,
                differs: receipt.is_some_and(|receipt| receipt.differs),
            });
        }
    }
    Ok(found)
}

/// What a reader says of our lanes, as far as it is true.
#[derive(Default)]
struct Receipt {
    lanes: Vec<Held>,
    differs: bool,
}

/// The receipts for our lanes by reader: each is held against our own log.
async fn receipts(
    office: &Office,
    notes: &[Note],
) -> Result<BTreeMap<OfficeId, Receipt>, StoreError> {
    let own = &office.setting().office;
    let mut reader = office.reader().await?;
    let mut receipts: BTreeMap<OfficeId, Receipt> = BTreeMap::new();
    for note in notes {
        let Note::Receipt { by, of, lanes, .. } = note else { continue };
        for held in lanes.iter().filter(|_| of == own) {
            let (origin, root) = (own.clone(), held.root);
            let lane = Lane { origin, root, audience: held.audience.clone() }.to_string();
            let sql = "SELECT hash FROM entries WHERE lane = $1 AND counter = $2";
            let rows = reader.rows(sql, vec![lane.as_str().into(), held.counter.into()]).await?;
            let ours = rows.first().map(|row| row.blob(0)).transpose()?;
            let receipt = receipts.entry(by.clone()).or_default();
            if held.counter == 0 || ours.as_deref() == Some(held.hash.0.as_slice()) {
                receipt.lanes.push(held.clone());
            } else {
                receipt.differs = true;
            }
        }
    }
    Ok(receipts)
}

/// How many entries of our lanes a reader has not receipted.
fn missing(
    lanes: &[StoredLane],
    receipt: Option<&Receipt>,
    own: &OfficeId,
    reader: &domain::directory::Member,
) -> u64 {
    let seat = &reader.seat;
    let mut missing = 0;
    for lane in lanes.iter().filter(|lane| lane.origin == *own) {
        let audience: &Audience = &lane.held.audience;
        if !audience.is_read_by(own, &seat.office, seat.tier, seat.parent.as_ref()) {
            continue;
        }
        let held = receipt.and_then(|receipt| {
            let mut said = receipt.lanes.iter();
            said.find(|l| l.root == lane.held.root && l.audience == *audience)
        });
        missing += lane.held.counter.saturating_sub(held.map_or(0, |held| held.counter));
    }
    missing
}

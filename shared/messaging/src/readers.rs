//! Which readers an office has at the hub, and what each is given.
//!
//! `<o>` reads what is addressed to the office, `<o>_d` what its parent (and, for
//! districts, their peers) say to all below, `<o>_a` the notes that concern it. Of
//! thousands of townships one server of a cluster each keeps the readers.

use domain::directory::Seat;
use kernel::{OfficeId, id::Tier};

use crate::link::{ReaderSpec, Stream};

/// The readers of HISTORY. `start` is the first stream sequence of `<o>_d`; without
/// it that one reads from the beginning: intake leaves out what lies before its
/// baseline, and a hub that was wiped has other sequences anyway.
pub fn of_history(place: &Seat, city: &OfficeId, start: Option<u64>) -> Vec<ReaderSpec> {
    let office = &place.office;
    let mut filters = vec![format!("ev.*.to-{office}.>"), format!("cf.*.to-{office}.>")];
    if place.tier != Tier::Township {
        filters.extend([format!("ev.*.up-{office}.>"), format!("cf.*.up-{office}.>")]);
    }
    match place.tier {
        Tier::City => filters.push("ev.*.peers.>".to_owned()),
        _ => filters.push(format!("ev.{city}.all.>")),
    }
    let (stream, everywhere) = (Stream::History, place.tier != Tier::Township);
    let (name, from) = (office.to_string(), None);
    let mut readers = vec![ReaderSpec { stream, name, filters, from, fixed: false, everywhere }];
    if let Some(parent) = &place.parent {
        let mut filters = vec![format!("ev.{parent}.down-{parent}.>")];
        if place.tier == Tier::District {
            filters.push("ev.*.peers.>".to_owned());
        }
        let name = format!("{office}_d");
        let from = start;
        readers.push(ReaderSpec { stream, name, filters, from, fixed: true, everywhere });
    }
    readers
}

/// The reader of notes; its filters change when offices enrol `below` it.
pub fn of_notes(place: &Seat, city: &OfficeId, below: &[OfficeId]) -> ReaderSpec {
    let office = &place.office;
    let mut concern = vec![format!("at.rc.{office}.*"), format!("at.lh.*.to-{office}")];
    // Heads of others that it is asked to cosign, and what is said to its own.
    concern.extend([format!("at.cp.*.{office}"), format!("at.cs.{office}.*")]);
    match &place.parent {
        None => concern = vec!["at.>".to_owned()],
        Some(parent) => {
            concern.extend([format!("at.hb.{city}"), format!("at.lh.{city}.all")]);
            concern.push(format!("at.lh.{parent}.down-{parent}"));
            if parent != city {
                concern.push(format!("at.hb.{parent}"));
            }
        }
    }
    if place.tier == Tier::District {
        concern.extend([format!("at.lh.*.up-{office}"), "at.lh.*.peers".to_owned()]);
        concern.extend(below.iter().map(|child| format!("at.hb.{child}")));
    }
    let (stream, name) = (Stream::Attest, format!("{office}_a"));
    let everywhere = place.tier != Tier::Township;
    ReaderSpec { stream, name, filters: concern, from: None, fixed: false, everywhere }
}

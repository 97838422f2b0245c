//! What the hub needs of an office: its readers, and where their lanes begin.

use std::sync::Arc;

use domain::directory::{Baseline, Member, Seat as OfficeSeat};
use kernel::{Audience, Fact, Lane, OfficeId, Root, id::Tier};
use messaging::{
    directory::{DIRECTORY, Entry},
    nats::{
        Failure,
        history::{self, create_reader, keep_reader, reader},
        link::Link,
        provision::HubKeys,
    },
};
use web::Seat;

/// What only the city has for enrolment.
pub struct Admission {
    /// The seat of the city's office.
    pub seat: Arc<Seat>,
    /// Ingest's connection, which may create consumers.
    pub link: Link,
    /// The hub's keys.
    pub keys: HubKeys,
    /// The hub's address as offices reach it.
    pub hub_url: String,
}

impl Admission {
    /// Where a joining reader begins: the first stream sequence of its `_d`
    /// consumer, and how far the lanes that it reads there had gone before.
    pub(super) async fn baselines(
        &self,
        place: &OfficeSeat,
    ) -> Result<(u64, Vec<Baseline>), Failure> {
        let start =
            history::last(&self.link, "HISTORY", ">").await?.map_or(0, |last| last.sequence);
        let mut baselines = Vec::new();
        let members: Vec<(String, Entry)> = match self.seat.office.reader().await {
            Ok(mut reader) => reader.all(DIRECTORY, "").await.map_err(Failure::nats)?,
            Err(error) => return Err(Failure::nats(error)),
        };
        for (_, Entry { member, .. }) in members {
            let origin = member.seat.office;
            let mut audiences = Vec::new();
            if Some(&origin) == place.parent.as_ref() {
                audiences.push(Audience::Down(origin.clone()));
            }
            if place.tier == Tier::District && member.seat.tier != Tier::Township {
                audiences.push(Audience::Peers);
            }
            for audience in audiences {
                let lane = Lane { origin: origin.clone(), root: Root::Ev, audience };
                let subject = format!("{lane}.>");
                let Some(last) = history::last(&self.link, "HISTORY", &subject).await? else {
                    continue;
                };
                let (fact, hash) = Fact::of_entry(&last.payload).map_err(Failure::nats)?;
                baselines.push(Baseline { lane, epoch: fact.at.epoch, counter: fact.lane, hash });
            }
        }
        Ok((start + 1, baselines))
    }

    /// Makes the office's readers that are missing. Without `start` a missing `_d`
    /// reader reads from the beginning: intake leaves out what lies before its
    /// baseline, and a hub that was wiped has other sequences anyway.
    pub async fn create_readers(
        &self,
        place: &OfficeSeat,
        start: Option<u64>,
    ) -> Result<(), Failure> {
        let (office, city) = (&place.office, &self.seat.office.setting().office);
        let mut filters = vec![format!("ev.*.to-{office}.>"), format!("cf.*.to-{office}.>")];
        if place.tier != Tier::Township {
            filters.extend([format!("ev.*.up-{office}.>"), format!("cf.*.up-{office}.>")]);
        }
        match place.tier {
            Tier::City => filters.push("ev.*.peers.>".to_owned()),
            _ => filters.push(format!("ev.{city}.all.>")),
        }
        create_reader(&self.link, "HISTORY", reader(office.as_str(), filters, None, 1)).await?;
        if let Some(parent) = &place.parent {
            let mut filters = vec![format!("ev.{parent}.down-{parent}.>")];
            if place.tier == Tier::District {
                filters.push("ev.*.peers.>".to_owned());
            }
            let config = reader(&format!("{office}_d"), filters, start, 1);
            keep_reader(&self.link, "HISTORY", config).await?;
        }
        self.create_notes_reader(place).await?;
        // A parent hears its new child from now on.
        let parent = match &place.parent {
            Some(parent) => self.member(parent).await?,
            None => None,
        };
        match parent {
            Some(parent) => self.create_notes_reader(&parent.seat).await,
            None => Ok(()),
        }
    }

    /// Makes every member's readers that are missing: after the hub lost them.
    pub async fn restore_readers(&self) -> Result<(), Failure> {
        let mut reader = self.seat.office.reader().await.map_err(Failure::nats)?;
        let rows: Vec<(String, Entry)> = reader.all(DIRECTORY, "").await.map_err(Failure::nats)?;
        drop(reader);
        for (_, Entry { member, .. }) in rows {
            self.create_readers(&member.seat, None).await?;
        }
        Ok(())
    }

    /// The reader of the notes that concern an office; its filters may change.
    async fn create_notes_reader(&self, place: &OfficeSeat) -> Result<(), Failure> {
        let (office, city) = (&place.office, &self.seat.office.setting().office);
        let mut concern = vec![format!("at.rc.{office}.*"), format!("at.lh.*.to-{office}")];
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
            let below = self.below(office).await?;
            concern.extend(below.iter().map(|child| format!("at.hb.{child}")));
        }
        let config = reader(&format!("{office}_a"), concern, None, 1);
        create_reader(&self.link, "ATTEST", config).await.map(drop)
    }

    async fn member(&self, office: &OfficeId) -> Result<Option<Member>, Failure> {
        let mut reader = self.seat.office.reader().await.map_err(Failure::nats)?;
        let entry: Option<Entry> =
            reader.view(DIRECTORY, office.as_str()).await.map_err(Failure::nats)?;
        Ok(entry.map(|entry| entry.member))
    }

    async fn below(&self, office: &OfficeId) -> Result<Vec<OfficeId>, Failure> {
        let mut reader = self.seat.office.reader().await.map_err(Failure::nats)?;
        let rows: Vec<(String, Entry)> = reader.all(DIRECTORY, "").await.map_err(Failure::nats)?;
        let seats = rows.into_iter().map(|(_, entry)| entry.member.seat);
        Ok(seats
            .filter(|seat| seat.parent.as_ref() == Some(office))
            .map(|seat| seat.office)
            .collect())
    }
}

//! What the hub needs of an office: its readers, and where their lanes begin.

use std::{collections::BTreeMap, sync::Arc};

use domain::directory::{Baseline, Member, Seat as OfficeSeat};
use kernel::{Audience, Fact, Lane, OfficeId, Root, id::Tier};
use messaging::{
    directory::{DIRECTORY, Entry},
    link::{Failure, Hub, Stream},
    nats::provision::HubKeys,
    readers,
};
use web::Seat;

/// What only the city has for enrolment.
pub struct Admission {
    /// The seat of the city's office.
    pub seat: Arc<Seat>,
    /// Ingest's end of the hub, which may create readers.
    pub hub: Arc<dyn Hub>,
    /// The hub's keys.
    pub keys: HubKeys,
    /// The hub's address as offices reach it.
    pub hub_url: String,
}

impl Admission {
    /// Where a joining reader begins: the first stream sequence of its `_d`
    /// consumer, and how far the lanes that it reads there had gone before.
    pub(crate) async fn baselines(
        &self,
        place: &OfficeSeat,
    ) -> Result<(u64, Vec<Baseline>), Failure> {
        let start = self.hub.last(Stream::History, ">").await?.map_or(0, |last| last.sequence);
        let mut baselines = Vec::new();
        let members: Vec<(String, Entry)> = match self.seat.office.reader().await {
            Ok(mut reader) => reader.all(DIRECTORY, "").await.map_err(Failure::other)?,
            Err(error) => return Err(Failure::other(error)),
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
                let Some(last) = self.hub.last(Stream::History, &subject).await? else {
                    continue;
                };
                let (fact, hash) = Fact::of_entry(&last.payload).map_err(Failure::other)?;
                baselines.push(Baseline { lane, epoch: fact.at.epoch, counter: fact.lane, hash });
            }
        }
        Ok((start + 1, baselines))
    }

    /// Makes the office's readers that are missing.
    pub async fn create_readers(
        &self,
        place: &OfficeSeat,
        start: Option<u64>,
    ) -> Result<(), Failure> {
        for spec in readers::of_history(place, &self.seat.office.setting().office, start) {
            self.hub.make_reader(spec).await?;
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
        let mut reader = self.seat.office.reader().await.map_err(Failure::other)?;
        let rows: Vec<(String, Entry)> = reader.all(DIRECTORY, "").await.map_err(Failure::other)?;
        drop(reader);
        for (_, Entry { member, .. }) in rows {
            self.create_readers(&member.seat, None).await?;
        }
        Ok(())
    }

    /// Gives whoever has moved the readers of its new place, and the offices above it
    /// the notes of those who are below them now. `made` says from which entry on the
    /// place is that for which it was done last.
    pub(crate) async fn follow_moves(
        &self,
        made: &mut BTreeMap<OfficeId, u64>,
    ) -> Result<(), Failure> {
        let mut reader = self.seat.office.reader().await.map_err(Failure::other)?;
        let rows: Vec<(String, Entry)> = reader.all(DIRECTORY, "").await.map_err(Failure::other)?;
        drop(reader);
        for (_, row) in rows {
            let Some(moving) = row.moving.as_ref().filter(|_| row.is_moving().is_none()) else {
                continue;
            };
            let (office, from) = (moving.office.clone(), row.member.key_from);
            if made.get(&office) == Some(&from) {
                continue;
            }
            self.create_readers(&row.member.seat, None).await?;
            let former = row.before.last().and_then(|before| before.seat.parent.clone());
            if let Some(former) = former
                && let Some(former) = self.member(&former).await?
            {
                self.create_notes_reader(&former.seat).await?;
            }
            made.insert(office, from);
        }
        Ok(())
    }

    async fn create_notes_reader(&self, place: &OfficeSeat) -> Result<(), Failure> {
        let below = self.below(&place.office).await?;
        let city = &self.seat.office.setting().office;
        self.hub.make_reader(readers::of_notes(place, city, &below)).await
    }

    pub(super) async fn member(&self, office: &OfficeId) -> Result<Option<Member>, Failure> {
        let mut reader = self.seat.office.reader().await.map_err(Failure::other)?;
        let entry: Option<Entry> =
            reader.view(DIRECTORY, office.as_str()).await.map_err(Failure::other)?;
        Ok(entry.map(|entry| entry.member))
    }

    async fn below(&self, office: &OfficeId) -> Result<Vec<OfficeId>, Failure> {
        let mut reader = self.seat.office.reader().await.map_err(Failure::other)?;
        let rows: Vec<(String, Entry)> = reader.all(DIRECTORY, "").await.map_err(Failure::other)?;
        let seats = rows.into_iter().map(|(_, entry)| entry.member.seat);
        Ok(seats
            .filter(|seat| seat.parent.as_ref() == Some(office))
            .map(|seat| seat.office)
            .collect())
    }
}

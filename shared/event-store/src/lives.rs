//! Another office's log goes on with a new life: its lanes go back to where the one
//! before was closed.

use std::collections::BTreeMap;

use kernel::{OfficeId, sign::Hash};

use crate::{
    StoreError, log,
    unit::{LaneHead, Stop, Unit},
};

impl Unit<'_> {
    /// Another office's log began a new life behind the sequence `last`: its lanes go on
    /// from there. What it had shared beyond stays here, and its place in the lanes is
    /// free again; returned is how many lanes that concerns.
    pub async fn close_life(
        &mut self,
        origin: &OfficeId,
        opened: u32,
        last: u64,
    ) -> Result<usize, Stop> {
        let layers = self.stack.iter().rev().map(|delta| &delta.lanes);
        let lanes: BTreeMap<String, LaneHead> = layers
            .chain([&self.committed.lanes])
            .flatten()
            .filter(|(_, head)| head.origin == *origin)
            .map(|(lane, _)| (lane.clone(), self.lane(lane)))
            .filter_map(|(lane, head)| Some((lane, head?)))
            .filter(|(_, head)| head.epoch < opened)
            .collect();
        let mut beyond = 0;
        for (lane, head) in lanes {
            let kept = self.received_until(origin, &lane, last).await?;
            if kept.as_ref().is_some_and(|kept| kept.counter < head.counter) {
                beyond += 1;
                self.top().lanes.extend(kept.map(|kept| (lane, kept)));
            }
        }
        Ok(beyond)
    }

    /// How far a lane of another office went up to a sequence of its log; none if
    /// nothing of it was taken in beyond.
    async fn received_until(
        &mut self,
        origin: &OfficeId,
        lane: &str,
        last: u64,
    ) -> Result<Option<LaneHead>, StoreError> {
        let found = log::received_lane(self.conn, origin, lane, last).await?;
        let here = self.stack.iter().flat_map(|delta| &delta.received);
        let here = here.filter(|new| new.fact.lane().to_string() == lane);
        let here = here.map(|new| (new.fact.at.clone(), new.fact.lane, new.hash));
        let all: Vec<_> = found.into_iter().chain(here).collect();
        let beyond = all.iter().filter(|(at, ..)| at.sequence > last).map(|(_, lane, _)| *lane);
        let Some(first) = beyond.min() else { return Ok(None) };
        let within = all.into_iter().filter(|(at, ..)| at.sequence <= last);
        let newest = within.max_by_key(|(_, counter, _)| *counter);
        Ok(Some(match newest {
            Some((at, counter, hash)) => {
                LaneHead { origin: at.origin, epoch: at.epoch, counter, hash }
            }
            // Everything of this lane was beyond: it goes on from its baseline.
            None => LaneHead {
                origin: origin.clone(),
                epoch: 1,
                counter: first - 1,
                hash: Hash::default(),
            },
        }))
    }
}

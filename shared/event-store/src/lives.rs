//! Another office's log goes on with a new life: where its lanes go on from.

use kernel::{EntryRef, OfficeId, sign::Hash};

use crate::{StoreError, log, unit::Unit};

impl Unit<'_> {
    /// The counter behind which a lane of another office goes on, if only such entries
    /// count as `stands` says; what was received beside stays, and has no place any more.
    pub async fn lane_within(
        &mut self,
        origin: &OfficeId,
        lane: &str,
        stands: impl Fn(&EntryRef) -> bool,
    ) -> Result<u64, StoreError> {
        let here = self.stack.iter().flat_map(|delta| &delta.received);
        let here = here.filter(|new| new.fact.lane().to_string() == lane);
        let mut all: Vec<(EntryRef, u64, Hash)> =
            here.map(|new| (new.fact.at.clone(), new.fact.lane, new.hash)).collect();
        let mut before = i64::MAX;
        loop {
            let page = log::received_lane(self.conn, origin, lane, before).await?;
            let last = page.is_empty();
            before = page.iter().map(|(position, ..)| *position).min().unwrap_or(before);
            all.extend(page.into_iter().map(|(_, at, counter, hash)| (at, counter, hash)));
            let within = all.iter().filter(|(at, ..)| stands(at)).map(|(_, counter, _)| *counter);
            if let Some(counter) = within.max() {
                return Ok(counter);
            }
            if last {
                // Nothing of this lane stands: it goes on from its baseline.
                let first = all.iter().map(|(_, counter, _)| *counter).min();
                return Ok(first.map_or(0, |first| first.saturating_sub(1)));
            }
        }
    }
}

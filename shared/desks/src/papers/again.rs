//! What a store that was put back lacks, here or at the hub, comes again from who has it.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use web::Problem;

use super::{
    hub_client::{HubClient, Standing},
    runner::Errands,
};
use crate::{clue_cases, clues::view::OFFERED};

/// How often it is asked what others want, and looked again for what is away here.
const ASK_WANTED: Duration = Duration::from_secs(30);

impl Errands {
    /// Brings again what others want and the hub has no more, of what this office offered.
    pub(super) async fn send_wanted(&self, hub: &HubClient<'_>) -> Result<(), Problem> {
        if !is_due(&self.wanted) {
            return Ok(());
        }
        for hash in hub.wanted().await {
            let mut reader = self.seat.office.reader().await?;
            let offered: Option<String> = reader.view(OFFERED, &hash.to_string()).await?;
            drop(reader);
            if offered.is_some() && self.seat.papers.has(&hash) {
                hub.send(&hash).await?;
            }
        }
        Ok(())
    }

    /// Fetches again what held clues say. What the hub has no more, it asks for by this.
    pub(super) async fn fetch_away(&self) -> Result<(), Problem> {
        let office = &self.seat.office;
        let Some(commits) = self.here.over(office).filter(|_| is_due(&self.away)) else {
            return Ok(());
        };
        let mut all = true;
        for hash in clue_cases::held_contents(&self.seat).await? {
            let stands = self.whole(&[hash]).await?;
            all &= stands == Standing::Whole;
            if stands == Standing::Away {
                break;
            }
        }
        if all {
            self.here.begin(commits, office);
        }
        Ok(())
    }
}

/// Whether something that is done now and then is to be done now.
fn is_due(last: &Mutex<Option<Instant>>) -> bool {
    let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
    let due = last.is_none_or(|at| at.elapsed() >= ASK_WANTED);
    if due {
        *last = Some(Instant::now());
    }
    due
}

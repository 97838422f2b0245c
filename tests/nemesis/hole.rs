//! A hole in the middle of HISTORY: a bit flips in a block that is closed, and what a
//! reader has not read yet lies there.
//!
//! What a reader would get wrong: nobody sends it again. The hub still holds the end of
//! every log, and that is what origins ask for. So the gap must be seen by both sides,
//! and what the runbook says must close it: empty the hub, and everybody sends again.

use std::time::{Duration, Instant};

use messaging::{
    link::{Hub, Outgoing, Stream},
    nats::connection::Connection,
};

use super::{field::Field, offices::CITY};

/// How long a hole may take to close by itself before the runbook is opened.
const PATIENCE: Duration = Duration::from_secs(40);

impl Field {
    /// Makes the hole while a district is away, looks what becomes of it, mends it.
    pub(crate) async fn hole(&mut self) -> Result<(), String> {
        let away = *self.chance.pick(&self.offices.of_tier("district"));
        self.offices.kill(away).await;
        self.work_for(2_500).await;
        self.close_block().await?;
        self.work_for(1_500).await;
        let keys = self.offices.seats[CITY].config.keys.clone();
        let before = self.offices.hub.held(&keys).await;
        self.offices.hub.kill().await;
        let blocks = self.offices.hub.flip_first();
        self.offices.hub.start();
        self.work_for(2_000).await;
        let after = self.offices.hub.held(&keys).await;
        self.offices.start(away).await;
        let held = format!("HISTORY in {blocks} blocks held {before:?}, now {after:?}");
        self.found.push(format!("{held} (messages, last sequence)"));
        self.found.extend(self.offices.hub.complains().map(|said| format!("the hub says: {said}")));
        let ledger = self.ledger.clone();
        let _closed = ledger.gate.write().await;
        let began = Instant::now();
        while let Some(why) = self.unsettled().await {
            if began.elapsed() > PATIENCE {
                self.found.push(format!("seen, and does not close by itself: {why}"));
                self.found.push("the hub was emptied, as the runbook says".to_owned());
                self.wipe_hub().await;
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        self.found.push("closed by itself".to_owned());
        Ok(())
    }

    /// Fills the block that is open with what nobody reads, so that another begins.
    async fn close_block(&self) -> Result<(), String> {
        let creds = self.offices.seats[CITY].config.keys.join("ingest.creds");
        let creds = std::fs::read_to_string(creds).unwrap();
        let hub = Connection::open(&self.offices.hub.url(), "ingest", &creds, None).await;
        let mut hub = hub.map_err(|error| error.to_string())?;
        hub.ready().await.map_err(|error| error.to_string())?;
        let filter = "*.zzzzzzzz.>";
        let last = hub.last(Stream::History, filter).await.map_err(|error| error.to_string())?;
        let filler = |_| {
            let noise = (0..6_000).flat_map(|_| self.chance.next().to_le_bytes());
            let subject = "ev.zzzzzzzz.to-zzzzzzzz.filler".to_owned();
            Outgoing { subject, other: 0, payload: noise.collect::<Vec<u8>>().into() }
        };
        let after = last.map_or(0, |last| last.sequence);
        let batch = kernel::Entropy::System.uuid();
        let filled = hub.publish(&batch, filter, after, (0..220).map(filler).collect()).await;
        filled.map(drop).map_err(|error| error.to_string())
    }
}

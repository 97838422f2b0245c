//! An office's side of the hub: ask `in.<office>`, read its own consumers, go back. Nothing here needs a right on streams.

use std::time::Duration;

use async_nats::RequestErrorKind;
use async_nats::jetstream::consumer::PullConsumer;
use async_nats::jetstream::{Message, context::ContextBuilder};
use bytes::Bytes;
use futures_util::StreamExt as _;
use tokio::sync::watch;

use super::{Failure, link::Link};

/// A request to ingest. `Unanswered` is every case in which nobody knows whether it was taken.
pub async fn ask(link: &Link, office: &str, body: Bytes) -> Result<Bytes, Failure> {
    if !link.is_up() {
        return Err(Failure::Unanswered);
    }
    let mut life = link.life.clone();
    life.mark_unchanged();
    let answer = tokio::select! {
        biased;
        answer = link.client.request(format!("in.{office}"), body) => answer,
        _ = life.changed() => return Err(Failure::Unanswered),
    };
    answer.map(|message| message.payload).map_err(|error| match error.kind() {
        RequestErrorKind::NoResponders | RequestErrorKind::TimedOut => Failure::Unanswered,
        _ => Failure::nats(error),
    })
}

/// One durable consumer of this office.
pub struct Reader {
    consumer: PullConsumer,
    life: watch::Receiver<u64>,
}

impl Reader {
    /// Binds a consumer that exists already.
    pub async fn bind(link: &Link, stream: &str, consumer: &str) -> Result<Self, Failure> {
        let hub = ContextBuilder::new()
            .api_prefix("HUB.API")
            .timeout(Duration::from_secs(5))
            .build(link.client.clone());
        let consumer =
            hub.get_consumer_from_stream(consumer, stream).await.map_err(Failure::nats)?;
        Ok(Self { consumer, life: link.life.clone() })
    }

    /// What has come, at most `most`; empty after `patience` without anything, or when the connection was renewed.
    pub async fn next(&mut self, most: usize, patience: Duration) -> Result<Vec<Message>, Failure> {
        self.life.mark_unchanged();
        let pull = self.consumer.fetch().max_messages(most).expires(patience);
        let mut batch = pull.messages().await.map_err(Failure::nats)?;
        let mut came = Vec::new();
        loop {
            tokio::select! {
                biased;
                message = batch.next() => match message {
                    Some(Ok(message)) => came.push(message),
                    Some(Err(error)) if came.is_empty() => return Err(Failure::nats(error)),
                    Some(Err(_)) | None => return Ok(came),
                },
                _ = self.life.changed() => {
                    // What was on its way when the connection broke comes at once,
                    // not after the hub has waited for its acknowledgement.
                    self.again().await?;
                    return Ok(came);
                }
            }
        }
    }

    /// Call after the commit.
    pub async fn done(&self, messages: &[Message]) -> Result<(), Failure> {
        for message in messages {
            message.ack().await.map_err(Failure::nats)?;
        }
        Ok(())
    }

    /// Delivers again, at once, all that was not acknowledged: after a failed commit, a cancelled `next`, a start.
    pub async fn again(&mut self) -> Result<(), Failure> {
        self.consumer.reset(None).await.map(drop).map_err(Failure::nats)
    }

    /// The next message delivered has at least stream sequence `sequence`, acknowledged before or not.
    pub async fn back_to(&mut self, sequence: u64) -> Result<(), Failure> {
        self.consumer.reset(Some(sequence)).await.map(drop).map_err(Failure::nats)
    }
}

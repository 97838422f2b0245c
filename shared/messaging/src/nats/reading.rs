//! An office's side of the hub: ask `in.<office>`, read its own consumers, go back. Nothing here needs a right on streams.

use std::time::Duration;

use async_nats::RequestErrorKind;
use async_nats::jetstream::consumer::PullConsumer;
use async_nats::jetstream::{Message, context::ContextBuilder};
use bytes::Bytes;
use futures_util::StreamExt as _;
use kernel::OfficeId;
use tokio::sync::watch;

use super::connection::Connection;
use crate::link::{Delivery, Failure, Going, Link, Reader, Stream};

impl Link for Connection {
    fn ask<'a>(&'a self, office: &'a OfficeId, body: Vec<u8>) -> Going<'a, Bytes> {
        Box::pin(ask(self, office, body.into()))
    }

    fn connections(&self) -> Option<watch::Receiver<u64>> {
        Some(self.life.clone())
    }

    fn reader<'a>(&'a self, stream: Stream, name: &'a str) -> Going<'a, Box<dyn Reader>> {
        Box::pin(async move {
            let mut reader = Consumer::bind(self, stream.name(), name).await?;
            reader.reset(None).await?;
            Ok(Box::new(reader) as Box<dyn Reader>)
        })
    }
}

async fn ask(connection: &Connection, office: &OfficeId, body: Bytes) -> Result<Bytes, Failure> {
    if !connection.is_up() {
        return Err(Failure::Unanswered);
    }
    let mut life = connection.life.clone();
    life.mark_unchanged();
    let answer = tokio::select! {
        biased;
        answer = connection.client.request(format!("in.{office}"), body) => answer,
        _ = life.changed() => return Err(Failure::Unanswered),
    };
    answer.map(|message| message.payload).map_err(|error| match error.kind() {
        RequestErrorKind::NoResponders | RequestErrorKind::TimedOut => Failure::Unanswered,
        _ => Failure::other(error),
    })
}

/// One durable consumer of this office.
struct Consumer {
    pull: PullConsumer,
    life: watch::Receiver<u64>,
    /// What was given and is not done.
    given: Vec<Message>,
}

impl Consumer {
    /// Binds a consumer that exists already.
    async fn bind(connection: &Connection, stream: &str, name: &str) -> Result<Self, Failure> {
        let hub = ContextBuilder::new()
            .api_prefix("HUB.API")
            .timeout(Duration::from_secs(5))
            .build(connection.client.clone());
        let pull = hub.get_consumer_from_stream(name, stream).await.map_err(Failure::other)?;
        Ok(Self { pull, life: connection.life.clone(), given: Vec::new() })
    }

    async fn collect(&mut self, most: usize, patience: Duration) -> Result<Vec<Message>, Failure> {
        self.life.mark_unchanged();
        let pull = self.pull.fetch().max_messages(most).expires(patience);
        let mut batch = pull.messages().await.map_err(Failure::other)?;
        let mut came = Vec::new();
        loop {
            tokio::select! {
                biased;
                message = batch.next() => match message {
                    Some(Ok(message)) => came.push(message),
                    Some(Err(error)) if came.is_empty() => return Err(Failure::other(error)),
                    Some(Err(_)) | None => return Ok(came),
                },
                _ = self.life.changed() => {
                    // What was on its way when the connection broke comes at once,
                    // not after the hub has waited for its acknowledgement.
                    self.pull.reset(None).await.map_err(Failure::other)?;
                    return Ok(came);
                }
            }
        }
    }

    async fn reset(&mut self, to: Option<u64>) -> Result<(), Failure> {
        self.given.clear();
        self.pull.reset(to).await.map(drop).map_err(Failure::other)
    }
}

impl Reader for Consumer {
    fn next(&mut self, most: usize, patience: Duration) -> Going<'_, Vec<Delivery>> {
        Box::pin(async move {
            let came = self.collect(most, patience).await?;
            let given = came.iter().map(|message| Delivery {
                subject: message.subject.to_string(),
                payload: message.payload.clone(),
            });
            let given = given.collect();
            self.given.extend(came);
            Ok(given)
        })
    }

    fn done(&mut self) -> Going<'_, ()> {
        Box::pin(async move {
            for message in std::mem::take(&mut self.given) {
                message.ack().await.map_err(Failure::other)?;
            }
            Ok(())
        })
    }

    fn again(&mut self) -> Going<'_, ()> {
        Box::pin(self.reset(None))
    }

    fn back_to(&mut self, sequence: u64) -> Going<'_, ()> {
        Box::pin(self.reset(Some(sequence)))
    }
}

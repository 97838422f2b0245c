//! The three streams of the hub and the writing into them. Only ingest calls `publish`; only provisioning `create_streams`.

use std::{collections::BTreeSet, time::Duration};

use async_nats::header::HeaderMap;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, PullConsumer, pull};
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::LastRawMessageErrorKind;
use async_nats::jetstream::{self, stream};
use bytes::Bytes;
use serde_json::Value;

use super::connection::Connection;
use crate::link::{Failure, Going, Hub, LARGEST, Outgoing, Published, ReaderSpec, Stored, Stream};

const MOST_CONSUMERS: i32 = 20_000;
#[expect(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "65,536")]
const LARGEST_MESSAGE: i32 = LARGEST as i32;

fn append_only(name: &str, subjects: &[&str], replicas: usize) -> stream::Config {
    stream::Config {
        name: name.to_owned(),
        subjects: subjects.iter().map(|&subject| subject.to_owned()).collect(),
        storage: stream::StorageType::File,
        num_replicas: replicas,
        retention: stream::RetentionPolicy::Limits,
        discard: stream::DiscardPolicy::New,
        deny_delete: true,
        deny_purge: true,
        allow_direct: true,
        allow_atomic_publish: true,
        max_consumers: MOST_CONSUMERS,
        max_message_size: LARGEST_MESSAGE,
        duplicate_window: Duration::from_mins(2),
        // Not in a cluster: a server that was killed does not always read its blocks again.
        compression: Some(if replicas == 1 {
            stream::Compression::S2
        } else {
            stream::Compression::None
        }),
        ..stream::Config::default()
    }
}

#[must_use]
/// The settings of HISTORY, SAFE and ATTEST.
pub fn streams(replicas: usize) -> [stream::Config; 3] {
    let attest = stream::Config {
        discard: stream::DiscardPolicy::Old,
        max_messages_per_subject: 1,
        allow_atomic_publish: false,
        ..append_only("ATTEST", &["at.>"], replicas)
    };
    [
        append_only("HISTORY", &["ev.>", "cf.>"], replicas),
        append_only("SAFE", &["safe.>"], replicas),
        attest,
    ]
}

/// How many servers keep the streams of a hub with these addresses.
pub fn replicas(addresses: &str) -> usize {
    if addresses.split(',').count() < 3 { 1 } else { 3 }
}

/// Creates what is missing; an existing stream with other settings is an error (10058), never silently changed.
pub async fn create_streams(connection: &Connection, replicas: usize) -> Result<(), Failure> {
    let hub = jetstream::new(connection.client.clone());
    for config in streams(replicas) {
        hub.create_stream(config).await.map_err(Failure::other)?;
    }
    Ok(())
}

fn reader(spec: ReaderSpec) -> pull::Config {
    pull::Config {
        durable_name: Some(spec.name),
        // Never from a start of its own: the hub would not let it go back behind that.
        deliver_policy: DeliverPolicy::All,
        ack_policy: AckPolicy::Explicit,
        ack_wait: Duration::from_secs(30),
        max_ack_pending: 2_000,
        max_waiting: 8,
        max_batch: 500,
        max_expires: Duration::from_mins(1),
        // Nothing said: as many as the stream has.
        num_replicas: usize::from(!spec.everywhere),
        filter_subjects: spec.filters,
        ..pull::Config::default()
    }
}

/// The header that says how far the other stream went.
const OTHER: &str = "Ld-Other";

impl Hub for Connection {
    fn last<'a>(&'a self, stream: Stream, subject: &'a str) -> Going<'a, Option<Stored>> {
        Box::pin(async move {
            let handle = self.stream(stream).await?;
            match handle.get_last_raw_message_by_subject(subject).await {
                Ok(found) => Ok(Some(stored(found))),
                Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
                Err(error) => Err(Failure::other(error)),
            }
        })
    }

    fn next<'a>(
        &'a self,
        stream: Stream,
        subject: &'a str,
        from: u64,
    ) -> Going<'a, Option<Stored>> {
        Box::pin(async move {
            let handle = self.stream(stream).await?;
            match handle.raw_message_builder().next_by_subject(subject).sequence(from).send().await
            {
                Ok(found) => Ok(Some(stored(found))),
                Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
                Err(error) => Err(Failure::other(error)),
            }
        })
    }

    fn publish<'a>(
        &'a self,
        batch: &'a str,
        filter: &'a str,
        after: u64,
        messages: Vec<Outgoing>,
    ) -> Going<'a, Published> {
        Box::pin(publish(self, batch, filter, after, messages))
    }

    fn note(&self, subject: String, payload: Bytes) -> Going<'_, ()> {
        Box::pin(async move {
            if !self.is_up() {
                return Err(Failure::Unanswered);
            }
            match acknowledged(self, subject, HeaderMap::new(), payload).await? {
                Some(Published::Stored(_)) => Ok(()),
                _ => Err(Failure::Unanswered),
            }
        })
    }

    fn make_reader(&self, spec: ReaderSpec) -> Going<'_, ()> {
        Box::pin(async move {
            let hub = jetstream::new(self.client.clone());
            let (stream, fixed, from) = (spec.stream.name(), spec.fixed, spec.from);
            let known: Option<PullConsumer> = if fixed || from.is_some() {
                hub.get_consumer_from_stream(&spec.name, stream).await.ok()
            } else {
                None
            };
            let mut is_known = known.is_some();
            if let Some(known) = known.filter(|_| fixed) {
                if filters_of(&known) == spec.filters.iter().collect() {
                    return Ok(());
                }
                let gone = hub.delete_consumer_from_stream(&spec.name, stream).await;
                gone.map_err(Failure::other)?;
                is_known = false;
            }
            let made = hub.create_consumer_on_stream(reader(spec), stream).await;
            let mut made = made.map_err(Failure::other)?;
            if let (Some(from), false) = (from, is_known) {
                // A hub provisioned before this was needed refuses: then it is given more
                // than it needs, from the start.
                if let Err(error) = made.reset(Some(from)).await {
                    tracing::warn!(error = %error, "a reader begins at the start");
                }
            }
            Ok(())
        })
    }
}

/// What a reader is given.
fn filters_of(reader: &PullConsumer) -> BTreeSet<&String> {
    let config = &reader.cached_info().config;
    let one = Some(&config.filter_subject).filter(|filter| !filter.is_empty());
    config.filter_subjects.iter().chain(one).collect()
}

impl Connection {
    async fn stream(&self, stream: Stream) -> Result<stream::Stream<()>, Failure> {
        let hub = jetstream::new(self.client.clone());
        hub.get_stream_no_info(stream.name()).await.map_err(Failure::other)
    }
}

fn stored(found: StreamMessage) -> Stored {
    let other = found.headers.get(OTHER).and_then(|value| value.as_str().parse().ok());
    Stored {
        sequence: found.sequence,
        subject: found.subject.to_string(),
        other: other.unwrap_or(0),
        payload: found.payload,
    }
}

async fn publish(
    connection: &Connection,
    batch: &str,
    filter: &str,
    after: u64,
    messages: Vec<Outgoing>,
) -> Result<Published, Failure> {
    if !connection.is_up() {
        return Err(Failure::Unanswered);
    }
    let count = messages.len();
    for (at, Outgoing { subject, other, payload }) in messages.into_iter().enumerate() {
        let (first, last) = (at == 0, at + 1 == count);
        let mut headers = HeaderMap::new();
        headers.insert(OTHER, other.to_string());
        if first {
            headers.insert("Nats-Expected-Last-Subject-Sequence", after.to_string());
            headers.insert("Nats-Expected-Last-Subject-Sequence-Subject", filter);
        }
        if count > 1 {
            headers.insert("Nats-Batch-Id", batch);
            headers.insert("Nats-Batch-Sequence", (at + 1).to_string());
        }
        if count > 1 && last {
            headers.insert("Nats-Batch-Commit", "1");
        }
        if !first && !last {
            let sent = connection.client.publish_with_headers(subject, headers, payload).await;
            sent.map_err(Failure::other)?;
        } else if let Some(outcome) = acknowledged(connection, subject, headers, payload).await? {
            return Ok(outcome);
        }
    }
    Err(Failure::other("an empty batch, or a hub that never confirmed its end"))
}

/// Sends one message and reads the hub's answer; `None` for the empty answer to the opening of a batch.
async fn acknowledged(
    connection: &Connection,
    subject: String,
    headers: HeaderMap,
    payload: Bytes,
) -> Result<Option<Published>, Failure> {
    let request = async_nats::Request::new().headers(headers).payload(payload);
    let answer =
        connection.client.send_request(subject, request).await.map_err(|_| Failure::Unanswered)?;
    if answer.payload.is_empty() {
        return Ok(None);
    }
    let answer: Value = serde_json::from_slice(&answer.payload)?;
    let Some(error) = answer.get("error") else {
        return answer["seq"]
            .as_u64()
            .map(|seq| Some(Published::Stored(seq)))
            .ok_or(Failure::Unanswered);
    };
    let text = error["description"].as_str().unwrap_or_default();
    let held = text.rsplit(' ').next().and_then(|word| word.parse().ok());
    match (error["err_code"].as_u64(), held) {
        (Some(10071 | 10164), Some(held)) => Ok(Some(Published::Behind(held))),
        (code, _) => Err(Failure::Hub { code: code.unwrap_or(0), text: text.to_owned() }),
    }
}

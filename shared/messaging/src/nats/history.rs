//! The three streams of the hub and the writing into them. Only ingest calls `publish`; only provisioning `create_streams`.

use std::time::Duration;

use async_nats::header::HeaderMap;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, PullConsumer, pull};
use async_nats::jetstream::{self, stream};
use bytes::Bytes;
use serde_json::Value;

use super::{Failure, link::Link};

const MOST_CONSUMERS: i32 = 20_000;

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
        max_message_size: 64 * 1024,
        duplicate_window: Duration::from_mins(2),
        compression: Some(stream::Compression::S2),
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

/// Creates what is missing; an existing stream with other settings is an error (10058), never silently changed.
pub async fn create_streams(link: &Link, replicas: usize) -> Result<(), Failure> {
    let hub = jetstream::new(link.client.clone());
    for config in streams(replicas) {
        hub.create_stream(config).await.map_err(Failure::nats)?;
    }
    Ok(())
}

/// A durable reader. `filters` must not overlap (10138); `from` is the first stream sequence it is given.
#[must_use]
pub fn reader(
    name: &str,
    filters: Vec<String>,
    from: Option<u64>,
    replicas: usize,
) -> pull::Config {
    pull::Config {
        durable_name: Some(name.to_owned()),
        deliver_policy: from.map_or(DeliverPolicy::All, |start_sequence| {
            DeliverPolicy::ByStartSequence { start_sequence }
        }),
        ack_policy: AckPolicy::Explicit,
        ack_wait: Duration::from_secs(30),
        max_ack_pending: 2_000,
        max_waiting: 8,
        max_batch: 500,
        max_expires: Duration::from_mins(1),
        num_replicas: replicas,
        filter_subjects: filters,
        ..pull::Config::default()
    }
}

/// Repeating it with the same settings changes nothing.
pub async fn create_reader(
    link: &Link,
    stream: &str,
    config: pull::Config,
) -> Result<PullConsumer, Failure> {
    let hub = jetstream::new(link.client.clone());
    hub.create_consumer_on_stream(config, stream).await.map_err(Failure::nats)
}

/// A stored message.
#[derive(Debug)]
pub struct Stored {
    /// Its stream sequence; never an identity, a hub put back uses it again.
    pub sequence: u64,
    /// The body.
    pub payload: Bytes,
    headers: HeaderMap,
}

impl Stored {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(async_nats::HeaderValue::as_str)
    }
}

/// The last message of `subject` (wildcards allowed) as the stream's leader knows it.
pub async fn last(link: &Link, stream: &str, subject: &str) -> Result<Option<Stored>, Failure> {
    let hub = jetstream::new(link.client.clone());
    let handle = hub.get_stream_no_info(stream).await.map_err(Failure::nats)?;
    match handle.get_last_raw_message_by_subject(subject).await {
        Ok(found) => {
            let (sequence, payload, headers) = (found.sequence, found.payload, found.headers);
            Ok(Some(Stored { sequence, payload, headers }))
        }
        Err(error) if error.kind() == stream::LastRawMessageErrorKind::NoMessageFound => Ok(None),
        Err(error) => Err(Failure::nats(error)),
    }
}

/// Makes a durable reader unless it is there; one that is there stays as it is.
pub async fn keep_reader(link: &Link, stream: &str, config: pull::Config) -> Result<(), Failure> {
    let hub = jetstream::new(link.client.clone());
    let name = config.durable_name.clone().unwrap_or_default();
    let known: Result<PullConsumer, _> = hub.get_consumer_from_stream(&name, stream).await;
    if known.is_ok() {
        return Ok(());
    }
    create_reader(link, stream, config).await.map(drop)
}

/// One message on its way into a stream.
pub struct Outgoing {
    subject: String,
    headers: HeaderMap,
    payload: Bytes,
}

impl Outgoing {
    /// A message with one header of ours.
    pub fn new(subject: String, (name, value): (&str, String), payload: Bytes) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(name, value);
        Self { subject, headers, payload }
    }
}

/// What became of a publication that expected to follow `after`.
#[derive(Debug, PartialEq, Eq)]
pub enum Published {
    /// All stored, contiguously; the stream sequence of the last.
    Stored(u64),
    /// Nothing stored: the last message under the filter has this sequence, not the expected one.
    Behind(u64),
}

/// Stores all of `messages` (1 to 1000, of one stream) or none, right after sequence `after` of what `filter` covers.
/// After `Failure::Unanswered` nobody knows which: ask with [`last`]. `batch` must never have been used before.
pub async fn publish(
    link: &Link,
    batch: &str,
    filter: &str,
    after: u64,
    messages: Vec<Outgoing>,
) -> Result<Published, Failure> {
    if !link.is_up() {
        return Err(Failure::Unanswered);
    }
    let count = messages.len();
    for (at, mut message) in messages.into_iter().enumerate() {
        let (first, last) = (at == 0, at + 1 == count);
        if first {
            message.headers.insert("Nats-Expected-Last-Subject-Sequence", after.to_string());
            message.headers.insert("Nats-Expected-Last-Subject-Sequence-Subject", filter);
        }
        if count > 1 {
            message.headers.insert("Nats-Batch-Id", batch);
            message.headers.insert("Nats-Batch-Sequence", (at + 1).to_string());
        }
        if count > 1 && last {
            message.headers.insert("Nats-Batch-Commit", "1");
        }
        if !first && !last {
            let Outgoing { subject, headers, payload } = message;
            link.client
                .publish_with_headers(subject, headers, payload)
                .await
                .map_err(Failure::nats)?;
        } else if let Some(outcome) = acknowledged(link, message).await? {
            return Ok(outcome);
        }
    }
    Err(Failure::Nats("an empty batch, or a hub that never confirmed its end".to_owned()))
}

/// Replaces the last value of one subject of ATTEST; the stream sequence of the note.
pub async fn note(link: &Link, subject: String, payload: Bytes) -> Result<u64, Failure> {
    let note = Outgoing { subject, headers: HeaderMap::new(), payload };
    match if link.is_up() { acknowledged(link, note).await? } else { None } {
        Some(Published::Stored(sequence)) => Ok(sequence),
        _ => Err(Failure::Unanswered),
    }
}

/// Sends one message and reads the hub's answer; `None` for the empty answer to the opening of a batch.
async fn acknowledged(link: &Link, message: Outgoing) -> Result<Option<Published>, Failure> {
    let request = async_nats::Request::new().headers(message.headers).payload(message.payload);
    let answer = link
        .client
        .send_request(message.subject, request)
        .await
        .map_err(|_| Failure::Unanswered)?;
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

//! One connection to the hub. What a reader would get wrong: a refused subject is no error of the call, it arrives
//! as an event, and a pull that was waiting when the hub died is never answered; so both are told to whom it concerns.

use std::time::Duration;

use async_nats::{Client, ConnectOptions, Event, ServerError, connection::State};
use tokio::sync::watch;

use crate::{link::Failure, tls::Tls};

/// `life` counts established connections; `refused` holds the last permission violation.
#[derive(Clone)]
pub struct Connection {
    /// The client.
    pub client: Client,
    /// How often the connection was established.
    pub life: watch::Receiver<u64>,
    /// The last permission violation.
    pub refused: watch::Receiver<Option<String>>,
}

impl Connection {
    /// Returns at once, connected or not; the client goes on trying for ever. `url` is
    /// one address or several of one hub, with commas between them.
    /// With `tls` it shows that certificate and knows the hub by its authority.
    pub async fn open(
        url: &str,
        name: &str,
        creds: &str,
        tls: Option<&Tls>,
    ) -> Result<Self, Failure> {
        let (lives, life) = watch::channel(0_u64);
        let (refusals, refused) = watch::channel(None);
        let servers: Vec<&str> = url.split(',').map(str::trim).collect();
        let mut options = ConnectOptions::with_credentials(creds)?;
        if let Some(tls) = tls {
            options = options
                .require_tls(true)
                .add_root_certificates(tls.authority.clone())
                .add_client_certificate(tls.certificate.clone(), tls.key.clone());
        }
        let client = options
            .name(name)
            .custom_inbox_prefix(format!("_INBOX_{name}"))
            .retry_on_initial_connect()
            .connection_timeout(Duration::from_secs(5))
            .request_timeout(Some(Duration::from_secs(10)))
            .ping_interval(Duration::from_secs(20))
            .client_capacity(256)
            .reconnect_delay_callback(|attempt| Duration::from_millis(100 << attempt.min(4)))
            .event_callback(move |event| {
                match event {
                    Event::Connected => lives.send_modify(|life| *life += 1),
                    Event::ServerError(ServerError::Other(text)) => {
                        refusals.send_replace(Some(text));
                    }
                    Event::ServerError(ServerError::AuthorizationViolation) => {
                        refusals.send_replace(Some("authorization violation".to_owned()));
                    }
                    _ => {}
                }
                std::future::ready(())
            })
            .connect(servers.as_slice())
            .await
            .map_err(Failure::other)?;
        Ok(Self { client, life, refused })
    }

    #[must_use]
    /// Whether the connection stands now.
    pub fn is_up(&self) -> bool {
        self.client.connection_state() == State::Connected
    }

    /// Waits until the hub answers, and refuses one that is too old.
    pub async fn ready(&mut self) -> Result<(), Failure> {
        self.life.wait_for(|life| *life > 0).await.map_err(Failure::other)?;
        if self.client.is_server_compatible(2, 14, 0) {
            return Ok(());
        }
        Err(Failure::HubTooOld(self.client.server_info().version))
    }
}

/// Requests on `in.<office>`, as ingest hears them.
pub struct Requests(async_nats::Subscriber);

/// One request.
pub struct Request {
    subject: String,
    reply: Option<async_nats::Subject>,
    /// The body.
    pub body: bytes::Bytes,
}

impl Connection {
    /// Subscribes to all requests; the subscription survives a restart of the hub.
    pub async fn requests(&self) -> Result<Requests, Failure> {
        let asked = self.client.queue_subscribe("in.*", "ingest".into()).await;
        asked.map(Requests).map_err(Failure::other)
    }
}

impl Requests {
    /// The next request; none when the client is closed for good.
    pub async fn next(&mut self) -> Option<Request> {
        let message = futures_util::StreamExt::next(&mut self.0).await?;
        let subject = message.subject.to_string();
        Some(Request { subject, reply: message.reply, body: message.payload })
    }
}

impl Request {
    /// The office in the subject: the hub lets only it publish there.
    pub fn office(&self) -> &str {
        self.subject.strip_prefix("in.").unwrap_or_default()
    }

    /// Answers; without a reply subject there is nobody to answer.
    pub async fn answer(self, connection: &Connection, body: Vec<u8>) {
        if let Some(reply) = self.reply
            && let Err(error) = connection.client.publish(reply, body.into()).await
        {
            tracing::warn!(error = %error, "an answer could not be sent");
        }
    }
}

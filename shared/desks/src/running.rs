//! One office at work: its store, its loops, its routes.
//!
//! The loops are `loop { turn().await }`; wake-ups are hints and polling is the
//! truth. Nothing here decides anything.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use access::Tokens;
use event_store::{Engine, Office, Reaction, Readers, Setting, View};
use kernel::{Clock, Code, Entropy, OfficeId, Timestamp, clock::wall, id::Tier};
use messaging::{
    counters::Counters,
    directory::Pin,
    ingest::Ingest,
    intake::Intake,
    keys::Keys,
    nats::link::Link,
    notes::{NotesIn, NotesOut},
    papers::Papers,
    relay::{self, Relay, Turn},
};
use tokio::{net::TcpListener, sync::watch, task::JoinSet};
use web::{LinkState, Route, Seat, client::Client, routes::router, serve::serve};

use crate::{
    figures,
    founding::{self, Opened},
    gaps::Patience,
    joining::{Membership, OfficeConfig, join},
    papers::PaperRunner,
    reactions::REACTIONS,
    tiers,
};

/// What a service is made of.
#[derive(Clone, Copy)]
pub struct Service {
    /// Its tier.
    pub tier: Tier,
    /// Its desks' views.
    pub views: fn(office: &OfficeId) -> Vec<Arc<dyn View>>,
    /// Its desks' routes.
    pub routes: fn() -> Vec<Route>,
}

/// What all offices of a process share.
#[derive(Clone)]
pub struct Process {
    /// Reading connections.
    pub readers: Readers,
    /// Turns true when the process is told to stop.
    pub stopping: watch::Receiver<bool>,
    /// For what offices ask each other.
    pub client: Client,
}

/// Runs one office until the process stops.
pub async fn run(service: Service, config: OfficeConfig, process: Process) -> Result<(), String> {
    let keys =
        Keys::at(&config.keys).map_err(|error| format!("{}: {error}", config.keys.display()))?;
    let membership = if service.tier == Tier::City {
        founding::membership(&config, &keys)?
    } else {
        joined(&config, &keys, &process).await?
    };
    let office = open_office(service, &config, &keys, &membership, &process).await?;
    if relay::unsure(&office, &keys).await.map_err(|error| error.to_string())? {
        tracing::error!(office = %membership.seat.office, "the log may be behind what was sent: the office does not record");
        office.refuse(Some(Code::LogBehind));
    }
    let creds = keys.creds().map_err(|error| format!("nats.creds: {error}"))?;
    let hub = config.hub.clone().unwrap_or_else(|| membership.hub_url.clone());
    let id = membership.seat.office.to_string();
    let link = Link::open(&hub, &id, &creds).await.map_err(|error| error.to_string())?;
    let pin = match keys.pin().map_err(|error| error.to_string())? {
        Some(pin) => pin,
        None => founding::found(&office, &keys, &config, &membership).await?,
    };
    let opened =
        Opened { service, config, keys, membership, office, pin: Arc::new(pin), hub, link };
    let (seat, mut routes, mut tasks) = founding::seat(&opened, &process).await?;
    routes.extend((service.routes)());
    let mut relay = relay_of(&opened)?;
    first_contact(&mut relay).await;
    if seat.office.refusing().is_none() {
        founding::first_things(&seat, &opened.config, &opened.membership).await?;
    } else {
        let (config, membership) = (opened.config.clone(), opened.membership.clone());
        tasks.spawn(first_things_later(seat.clone(), config, membership));
    }
    spawn_loops(&opened, &seat, relay, &mut tasks);
    let listener = TcpListener::bind(&opened.config.listen).await;
    let listener = listener.map_err(|error| format!("{}: {error}", opened.config.listen))?;
    let name = &opened.membership.seat.name;
    tracing::info!(office = %id, address = %opened.config.listen, "{name} serves");
    serve(seat.clone(), router(seat, routes), listener).await.map_err(|error| error.to_string())?;
    tasks.abort_all();
    Ok(())
}

/// An office that was not sure of its log does its first things once it is.
async fn first_things_later(seat: Arc<Seat>, config: OfficeConfig, membership: Membership) {
    loop {
        tokio::time::sleep(Duration::from_millis(200)).await;
        if seat.office.refusing().is_none() {
            match founding::first_things(&seat, &config, &membership).await {
                Ok(()) => return,
                Err(why) => tracing::warn!(why, "first things wait"),
            }
        }
    }
}

/// Asks the city until it answers: offices may start before their city.
async fn joined(
    config: &OfficeConfig,
    keys: &Keys,
    process: &Process,
) -> Result<Membership, String> {
    let mut stopping = process.stopping.clone();
    let mut wait = Duration::from_millis(200);
    loop {
        match join(config, keys, &process.client).await {
            Ok(membership) => return Ok(membership),
            Err(error) if error.contains("refused the enrolment: 4") => return Err(error),
            Err(error) => tracing::info!(error, "the city is not there yet"),
        }
        tokio::select! {
            () = tokio::time::sleep(wait) => wait = (wait * 2).min(Duration::from_secs(10)),
            _ = stopping.wait_for(|stop| *stop) => return Err("stopped before it was enrolled".into()),
        }
    }
}

/// The store of a membership, opened with the service's views and rules.
pub async fn open_office(
    service: Service,
    config: &OfficeConfig,
    keys: &Keys,
    membership: &Membership,
    process: &Process,
) -> Result<Office, String> {
    let seat = &membership.seat;
    let pin = keys.pin().map_err(|error| error.to_string())?;
    let demo = pin.as_ref().map_or_else(
        || config.founding.as_ref().is_some_and(|founding| founding.demo),
        |pin| pin.demo,
    );
    let clock = if demo {
        let from = config.clock.as_deref().and_then(Timestamp::parse).unwrap_or_else(wall);
        Clock::driven(from)
    } else {
        Clock::Wall
    };
    let engine = match &config.postgres {
        Some(url) => {
            Engine::Postgres { url: url.clone(), schema: format!("office_{}", seat.office) }
        }
        None => Engine::Sqlite(config.data.clone()),
    };
    let reactions: Arc<[Reaction]> = REACTIONS.into();
    let setting = Setting {
        office: seat.office.clone(),
        tier: seat.tier,
        parent: seat.parent.clone(),
        city: pin.map_or_else(|| seat.office.clone(), |pin: Pin| pin.city),
        epoch: 1,
        engine,
        key: keys.event_key(&Entropy::System).map_err(|error| error.to_string())?,
        clock: Arc::new(clock),
        entropy: Arc::new(Entropy::System),
        bindings: domain::binding::bindings,
        views: (service.views)(&seat.office).into(),
        reactions,
        readers: process.readers.clone(),
    };
    Office::open(setting).await.map_err(|error| format!("{}: {error}", config.data.display()))
}

/// The seat of any office; the city adds what only it has.
pub fn plain_seat(opened: &Opened, process: &Process) -> Result<Seat, String> {
    let text = |error: std::io::Error| error.to_string();
    let keys = &opened.keys;
    let token_key = keys.secret("jwt.key", &Entropy::System).map_err(text)?;
    let office = opened.office.setting().office.clone();
    let tokens = Tokens::new(office, &token_key, opened.pin.demo).ok_or("jwt.key does not read")?;
    Ok(Seat {
        office: opened.office.clone(),
        tokens,
        pin: opened.pin.clone(),
        name: opened.membership.seat.name.clone(),
        papers: Papers::at(opened.config.data.join("papers")),
        counters: Arc::new(Counters::default()),
        link: Arc::new(LinkState::default()),
        keys: keys.clone(),
        secret: keys.secret("one-time.key", &Entropy::System).map_err(text)?,
        ingest: None,
        hub_papers: None,
        stopping: process.stopping.clone(),
    })
}

fn relay_of(opened: &Opened) -> Result<Relay, String> {
    let recovery = opened.keys.secret("recovery.key", &Entropy::System);
    let recovery = Arc::new(recovery.map_err(|error| error.to_string())?);
    let (office, link, keys) = (opened.office.clone(), opened.link.clone(), opened.keys.clone());
    Ok(Relay::new(office, link, keys, recovery))
}

/// How long an office waits for the hub's word before it serves without it.
const FIRST_CONTACT: Duration = Duration::from_millis(1500);

/// Asks the hub what it holds before the first command: a store that was put back
/// together with its notes is noticed here. Without a hub the office works on.
async fn first_contact(relay: &mut Relay) {
    let asking = async {
        while relay.turn().await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    if tokio::time::timeout(FIRST_CONTACT, asking).await.is_err() {
        tracing::info!("the hub does not answer yet; the office serves without it");
    }
}

fn spawn_loops(opened: &Opened, seat: &Arc<Seat>, relay: Relay, tasks: &mut JoinSet<()>) {
    let (office, link) = (opened.office.clone(), opened.link.clone());
    tasks.spawn(relay_loop(relay, seat.clone()));
    let id = office.setting().office.to_string();
    tasks.spawn(intake_loop(seat.clone(), link.clone(), id.clone()));
    if office.setting().parent.is_some() {
        tasks.spawn(intake_loop(seat.clone(), link.clone(), format!("{id}_d")));
    }
    let out = NotesOut::new(office.clone(), link.clone(), opened.pin.demo);
    tasks.spawn(notes_out_loop(out));
    tasks.spawn(notes_in_loop(office, link));
    tasks.spawn(periodic_loop(seat.clone(), opened.config.city.clone()));
}

const POLL: Duration = Duration::from_mins(1);

async fn relay_loop(mut relay: Relay, seat: Arc<Seat>) {
    let mut head = seat.office.watch();
    loop {
        head.mark_unchanged();
        match relay.turn().await {
            Ok(Turn::Sent) => seat.link.set(true, relay.held()),
            Ok(Turn::Idle) => {
                seat.link.set(true, relay.held());
                tokio::select! {
                    changed = head.changed() => if changed.is_err() { return },
                    () = tokio::time::sleep(POLL) => relay.ask_again(),
                }
            }
            Ok(Turn::Wait) => tokio::time::sleep(Duration::from_millis(300)).await,
            Ok(Turn::Behind) => {
                seat.link.set(true, None);
                tokio::time::sleep(Duration::from_secs(10)).await;
            }
            Ok(Turn::Refused) => tokio::time::sleep(Duration::from_secs(30)).await,
            Err(error) => {
                tracing::debug!(error = %error, "the hub is away");
                seat.link.set(false, None);
                relay.ask_again();
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        }
    }
}

async fn intake_loop(seat: Arc<Seat>, link: Link, consumer: String) {
    let mut wait = Duration::from_millis(200);
    let mut patience = Patience::new(Instant::now());
    loop {
        let bound = Intake::bind(
            seat.office.clone(),
            seat.pin.clone(),
            &link,
            &consumer,
            seat.counters.clone(),
        );
        if let Ok(mut intake) = bound.await {
            wait = Duration::from_millis(200);
            loop {
                match intake.turn(Duration::from_secs(20)).await {
                    Ok(Ok(_)) => {
                        if patience.asks_again(&seat).await
                            && intake.from_the_start().await.is_err()
                        {
                            break;
                        }
                    }
                    Ok(Err(refusal)) => {
                        tracing::debug!(%refusal, "intake waits");
                        tokio::time::sleep(Duration::from_secs(2)).await;
                    }
                    Err(error) => {
                        tracing::debug!(error = %error, "intake lost its reader");
                        break;
                    }
                }
            }
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(Duration::from_secs(5));
    }
}

async fn notes_out_loop(mut notes: NotesOut) {
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        if let Err(error) = notes.turn().await {
            tracing::debug!(error = %error, "notes wait for the hub");
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
    }
}

async fn notes_in_loop(office: Office, link: Link) {
    let mut wait = Duration::from_millis(200);
    loop {
        if let Ok(mut notes) = NotesIn::bind(office.clone(), &link).await {
            wait = Duration::from_millis(200);
            while notes.turn(Duration::from_secs(20)).await.is_ok() {}
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(Duration::from_secs(5));
    }
}

/// What is due by time: figures, papers, the calendar's expectations.
async fn periodic_loop(seat: Arc<Seat>, city: String) {
    let papers = PaperRunner::new(seat.clone(), city);
    loop {
        tokio::time::sleep(Duration::from_secs(2)).await;
        if seat.office.refusing().is_some() {
            continue;
        }
        if let Err(problem) = figures::turn(&seat).await {
            tracing::warn!(?problem, "figures could not be counted");
        }
        if let Err(problem) = papers.turn().await {
            tracing::warn!(?problem, "papers wait");
        }
        if let Err(problem) = tiers::calendar_turn(&seat).await {
            tracing::warn!(?problem, "the calendar waits");
        }
    }
}

/// Answers the hub's requests at the city: requests of one office in turn,
/// offices beside each other.
pub async fn ingest_loop(ingest: Arc<Ingest>, link: Link) {
    loop {
        match link.requests().await {
            Ok(mut requests) => {
                while let Some(request) = requests.next().await {
                    let (ingest, link) = (ingest.clone(), link.clone());
                    tokio::spawn(async move {
                        let Some(office) = OfficeId::parse(request.office()) else { return };
                        let answer = ingest.answer(&office, &request.body).await;
                        let body = serde_json::to_vec(&answer).unwrap_or_default();
                        request.answer(&link, body).await;
                    });
                }
            }
            Err(error) => tracing::warn!(error = %error, "ingest does not hear the hub"),
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

//! One office at work: its store, its link, its routes, its [`loops`].
//!
//! Nothing here decides anything.

use std::{sync::Arc, time::Duration};

use access::{Tokens, door::Door};
use event_store::{Office, Reaction, Readers, Setting, View};
use kernel::{Actor, Clock, Code, Entropy, OfficeId, Timestamp, clock::wall, id::Tier};
use messaging::{
    counters::Counters,
    directory::Pin,
    files::Tray,
    fit,
    keys::Keys,
    link::Link,
    lives,
    nats::connection::Connection,
    papers::{Papers, Wanted},
    relay::Relay,
    witnessing::{Ledger, outside},
};
use tokio::{net::TcpListener, sync::watch};
use web::{
    LinkState, Route, Seat, client::Client, openid::OpenId, pace::Pace, room::Room, routes::router,
    serve::serve,
};

use crate::{
    config::OfficeConfig,
    founding::{self, Opened, Way},
    joining::{Membership, join, join_by_files},
    loops, operations, own_account,
    reactions::REACTIONS,
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
    /// Puts the pages before the interface.
    pub pages: fn(interface: axum::Router) -> axum::Router,
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
    let (acceptor, process) = (config.wire.acceptor()?, secret(&config, process)?);
    let membership = if service.tier == Tier::City {
        founding::membership(&config, &keys)?
    } else {
        joined(&config, &keys, &process).await?
    };
    let office = open_office(service, &config, &keys, &membership, &process).await?;
    lives::begin(&office, &keys).await?;
    is_sure(&office, &keys).await?;
    let hub = config.hub.clone().unwrap_or_else(|| membership.hub_url.clone());
    config.wire.permits(&config.listen, &config.city, &hub)?;
    let id = membership.seat.office.to_string();
    let way = way(service, &config, &keys, &hub, &id).await?;
    let pin = match keys.pin().map_err(|error| error.to_string())? {
        Some(pin) => pin,
        None => founding::found(&office, &keys, &config, &membership).await?,
    };
    let opened = Opened { service, config, keys, membership, office, pin: Arc::new(pin), hub, way };
    let (seat, mut routes, mut tasks) = founding::seat(&opened, &process).await?;
    routes.extend((service.routes)());
    let relay = match &opened.way {
        Way::Link(link) => {
            let mut relay = relay_of(&opened, link.clone())?;
            first_contact(&mut relay).await;
            Some(relay)
        }
        Way::Files(_) => None,
    };
    if seat.office.refusing().is_none() {
        founding::first_things(&seat, &opened.config, &opened.membership).await?;
    } else {
        let (config, membership) = (opened.config.clone(), opened.membership.clone());
        tasks.spawn(first_things_later(seat.clone(), config, membership));
    }
    loops::spawn(&opened, &seat, relay, &mut tasks)?;
    operations::open(&seat);
    let listener = TcpListener::bind(&opened.config.listen).await;
    let listener = listener.map_err(|error| format!("{}: {error}", opened.config.listen))?;
    let name = &opened.membership.seat.name;
    tracing::info!(office = %id, address = %opened.config.listen, "{name} serves");
    let served = serve(seat.clone(), router(seat, routes, service.pages), listener, acceptor).await;
    served.map_err(|error| error.to_string())?;
    tasks.abort_all();
    Ok(())
}

/// Whether the office may record: its key is here, and its log is not behind what it sent.
async fn is_sure(office: &Office, keys: &Keys) -> Result<(), String> {
    if !office.has_key() {
        tracing::error!(office = %office.setting().office, "the key that signs this log is not in the key folder: the office does not record");
        // With a later life opened, the log is fetched back up to where that one begins.
        let next = lives::next(keys).map_err(|error| error.to_string())?;
        let later = next.is_some_and(|next| next.opening.member.epoch > office.life().epoch);
        office.refuse(Some(if later { Code::LogBehind } else { Code::KeyLost }));
    } else if fit::unsure(office, keys).await.map_err(|error| error.to_string())? {
        tracing::error!(office = %office.setting().office, "the log may be behind what was sent: the office does not record");
        office.refuse(Some(Code::LogBehind));
    }
    Ok(())
}

/// What an office shares with its process, asking others by its own certificate. Nothing
/// leaves the machine in the clear, the first application included.
fn secret(config: &OfficeConfig, process: Process) -> Result<Process, String> {
    config.wire.permits(&config.listen, &config.city, "")?;
    Ok(match config.wire.tls {
        Some(_) => Process { client: Client::of(&config.wire)?, ..process },
        None => process,
    })
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
        let joined = match &config.files {
            None => join(config, keys, &process.client).await,
            Some(folder) => match Tray::at(folder) {
                Ok(tray) => join_by_files(config, keys, &tray).await,
                Err(error) => Err(error.to_string()),
            },
        };
        match joined {
            Ok(membership) => return Ok(membership),
            Err(error) if error.contains("refused the enrolment: 4") => return Err(error),
            Err(error) => tracing::warn!(error, "the city has not admitted the office yet"),
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
    let reactions: Arc<[Reaction]> = REACTIONS.into();
    let setting = Setting {
        office: seat.office.clone(),
        tier: seat.tier,
        enrolled_below: seat.parent.clone(),
        city: pin.map_or_else(|| seat.office.clone(), |pin: Pin| pin.city),
        engine: config.engine(&seat.office),
        key: Arc::new(keys.ring(&Entropy::System).map_err(|error| error.to_string())?),
        turns: domain::office::turns,
        dated: &domain::dated::FAMILIES,
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
pub async fn plain_seat(opened: &Opened, process: &Process) -> Result<Seat, String> {
    let text = |error: std::io::Error| error.to_string();
    let keys = &opened.keys;
    let token_key = keys.secret(crate::token_keys::NOW, &Entropy::System).map_err(text)?;
    let office = opened.office.setting().office.clone();
    let tokens = Tokens::new(office, &token_key, opened.pin.demo).ok_or("jwt.key does not read")?;
    crate::token_keys::load(keys, &tokens).map_err(text)?;
    // Ended before the last stop, and not on record: they stay ended.
    let door = Door::open(wall());
    let owed: Option<Vec<(Actor, String)>> = keys.read(own_account::OWED).map_err(text)?;
    for (actor, key) in owed.into_iter().flatten() {
        door.end(&key);
        door.owe(&actor, [key]);
    }
    let openid = opened.config.openid.as_ref();
    let openid = openid.map(OpenId::open).transpose()?;
    Ok(Seat {
        office: opened.office.clone(),
        tokens,
        pin: opened.pin.clone(),
        name: opened.membership.seat.name.clone(),
        vault: Arc::new(crate::sealing::open_vault(&opened.config).await?),
        papers: Papers::at(opened.config.data.join("papers")),
        ledger: {
            let folder = opened.config.data.join("ledger");
            let outside = outside(&opened.config.outside_witnesses);
            let outside = outside.map_err(|bad| format!("outside_witnesses: {bad}"))?;
            let ledger = Ledger::new(opened.office.clone(), keys.clone(), folder, outside);
            Arc::new(ledger.map_err(|trouble| trouble.to_string())?)
        },
        counters: Arc::new(Counters::default()),
        link: Arc::new(LinkState::default()),
        keys: keys.clone(),
        secret: keys.secret("one-time.key", &Entropy::System).map_err(text)?,
        ingest: None,
        hub_papers: None,
        hub_wanted: Wanted::default(),
        door,
        room: Room::default(),
        ceiling: opened.config.ceiling,
        client: process.client.clone(),
        openid,
        pace: Pace::of(&opened.config.wire),
        wire: opened.config.wire.clone(),
        stopping: process.stopping.clone(),
    })
}

/// The way that the configuration names; the city's own office is at the hub.
async fn way(
    service: Service,
    config: &OfficeConfig,
    keys: &Keys,
    hub: &str,
    id: &str,
) -> Result<Way, String> {
    if let (Some(folder), false) = (&config.files, service.tier == Tier::City) {
        return Tray::at(folder).map(Way::Files).map_err(|error| error.to_string());
    }
    let creds = keys.creds().map_err(|error| format!("nats.creds: {error}"))?;
    let link = Connection::open(hub, id, &creds, config.wire.tls.as_ref())
        .await
        .map_err(|error| error.to_string())?;
    Ok(Way::Link(Arc::new(link)))
}

fn relay_of(opened: &Opened, link: Arc<dyn Link>) -> Result<Relay, String> {
    let sealing = recovery_key(opened)?;
    Ok(Relay::new(opened.office.clone(), link, opened.keys.clone(), sealing))
}

/// The key that seals the office's own entries at the hub.
pub(crate) fn recovery_key(opened: &Opened) -> Result<Arc<[u8; 32]>, String> {
    let key = opened.keys.secret("recovery.key", &Entropy::System);
    key.map(Arc::new).map_err(|error| error.to_string())
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

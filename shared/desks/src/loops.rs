//! What an office does without being asked: relay, intake, notes, papers, the calendar.
//!
//! Each is a `loop { turn().await }`; wake-ups are hints and polling is the truth.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use event_store::Office;
use kernel::{Code, OfficeId, clock::wall, id::Tier};
use messaging::{
    files::courier::{Courier, Outfit},
    gaps::Patience,
    ingest::Ingest,
    intake::Intake,
    link::Link,
    nats::connection::Connection,
    notes::{NotesIn, NotesOut},
    recovery::{Progress, Recovery},
    relay::{Relay, Turn},
    witnessing::{Exchange, Ledger, Witness},
};
use tokio::{sync::watch, task::JoinSet};
use web::Seat;

use crate::{
    couriers::courier_loop,
    figures,
    founding::{Opened, Way},
    moves,
    own_account::idle_loop,
    papers::PaperRunner,
    running::recovery_key,
    sealing, tiers,
};

/// Starts them all.
pub(crate) fn spawn(
    opened: &Opened,
    seat: &Arc<Seat>,
    relay: Option<Relay>,
    tasks: &mut JoinSet<()>,
) -> Result<(), String> {
    let office = opened.office.clone();
    tasks.spawn(idle_loop(seat.clone()));
    let (pin, sealing) = (opened.pin.clone(), recovery_key(opened)?);
    match (&opened.way, relay) {
        (Way::Link(link), Some(relay)) => {
            let recovery = Recovery::new(office.clone(), pin, sealing);
            tasks.spawn(relay_loop(relay, recovery, link.clone(), seat.clone()));
            let id = office.setting().office.to_string();
            tasks.spawn(intake_loop(seat.clone(), link.clone(), id.clone()));
            if office.setting().tier != Tier::City {
                tasks.spawn(intake_loop(seat.clone(), link.clone(), format!("{id}_d")));
            }
            let out = NotesOut::new(office.clone(), link.clone(), opened.pin.demo);
            tasks.spawn(notes_out_loop(out));
            tasks.spawn(notes_in_loop(office, link.clone()));
            tasks.spawn(ledger_loop(seat.ledger.clone(), Some(link.clone())));
            tasks.spawn(periodic_loop(seat.clone(), Some(opened.config.city.clone())));
        }
        (Way::Files(tray), _) => {
            let outfit = Outfit {
                office,
                keys: opened.keys.clone(),
                pin,
                sealing,
                papers: seat.papers.clone(),
                tray: tray.clone(),
                counters: seat.counters.clone(),
                again: opened.config.journey(),
            };
            let courier = Courier::new(outfit).map_err(|error| error.to_string())?;
            tasks.spawn(courier_loop(courier, seat.clone()));
            tasks.spawn(ledger_loop(seat.ledger.clone(), None));
            tasks.spawn(periodic_loop(seat.clone(), None));
        }
        (Way::Link(_), None) => return Err("a link without its relay".to_owned()),
    }
    Ok(())
}

const POLL: Duration = Duration::from_mins(1);
/// How often a log that is put back asks for what it took in.
const REWIND: Duration = Duration::from_secs(30);

async fn relay_loop(
    mut relay: Relay,
    mut recovery: Recovery,
    link: Arc<dyn Link>,
    seat: Arc<Seat>,
) {
    let mut head = seat.office.watch();
    let mut connections = link.connections();
    loop {
        head.mark_unchanged();
        match relay.turn().await {
            Ok(Turn::Sent) => seat.link.set(true, relay.held()),
            Ok(Turn::Idle) => {
                seat.link.set(true, relay.held());
                tokio::select! {
                    changed = head.changed() => if changed.is_err() { return },
                    () = renewed(&mut connections) => relay.ask_again(),
                    () = tokio::time::sleep(POLL) => relay.ask_again(),
                }
            }
            Ok(Turn::Wait) => tokio::time::sleep(Duration::from_millis(300)).await,
            Ok(Turn::Behind) => {
                seat.link.set(true, None);
                recover(&mut recovery, &*link).await;
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

/// Waits until the link is connected anew.
async fn renewed(connections: &mut Option<watch::Receiver<u64>>) {
    if let Some(connections) = connections
        && connections.changed().await.is_ok()
    {
        return;
    }
    std::future::pending::<()>().await;
}

/// Puts the log back as far as the hub holds it; the relay then asks again.
async fn recover(recovery: &mut Recovery, link: &dyn Link) {
    let wait = loop {
        match recovery.turn(link, wall()).await {
            Ok(Progress::More) => {}
            Ok(Progress::Waits) => tokio::time::sleep(Duration::from_millis(200)).await,
            Ok(Progress::Done) => break Duration::from_secs(2),
            Ok(Progress::Unproved) => break Duration::from_secs(10),
            Err(error) => {
                tracing::debug!(error = %error, "the recovery waits for the hub");
                break Duration::from_millis(500);
            }
        }
    };
    tokio::time::sleep(wait).await;
}

async fn intake_loop(seat: Arc<Seat>, link: Arc<dyn Link>, consumer: String) {
    let mut wait = Duration::from_millis(200);
    let mut patience = Patience::new(Instant::now());
    loop {
        let bound = Intake::bind(
            seat.office.clone(),
            seat.pin.clone(),
            &*link,
            &consumer,
            seat.counters.clone(),
        );
        if let Ok(mut intake) = bound.await {
            wait = Duration::from_millis(200);
            let mut rewound: Option<Instant> = None;
            loop {
                let behind = seat.office.refusing() == Some(Code::LogBehind);
                // A log that is put back needs what it took in before once more; and
                // again, should the hub lose something meanwhile.
                let due = rewound.is_none_or(|at| at.elapsed() > REWIND);
                if behind && due {
                    rewound = Some(Instant::now());
                    if intake.from_the_start().await.is_err() {
                        break;
                    }
                }
                let wait = Duration::from_secs(if behind { 1 } else { 20 });
                match intake.turn(wait).await {
                    Ok(Ok(_)) => {
                        if patience.asks_again(&seat.office).await
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
        if let Err(error) = notes.turn(wall()).await {
            tracing::debug!(error = %error, "notes wait for the hub");
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
    }
}

async fn notes_in_loop(office: Office, link: Arc<dyn Link>) {
    let mut wait = Duration::from_millis(200);
    loop {
        if let Ok(mut notes) = NotesIn::bind(office.clone(), &*link).await {
            wait = Duration::from_millis(200);
            while notes.turn(Duration::from_secs(20)).await.is_ok() {
                while office.refusing().is_some() {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(Duration::from_secs(5));
    }
}

/// How long a witness that lags is left alone.
const LAG: Duration = Duration::from_secs(5);

/// The tree follows the log; heads go out, cosignatures come in, and others' heads are
/// answered. An office at rest does not open its store.
async fn ledger_loop(ledger: Arc<Ledger>, link: Option<Arc<dyn Link>>) {
    let (mut seen, mut asked) = (None, Instant::now());
    let mut witnessing: Option<(Exchange, Witness)> = None;
    let mut told = false;
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let commits = ledger.commits();
        let lags = witnessing.as_ref().is_some_and(|(exchange, _)| exchange.lags());
        if seen == Some(commits) && !(lags && asked.elapsed() > LAG) {
            continue;
        }
        asked = Instant::now();
        if let Err(trouble) = ledger.turn().await {
            tracing::error!(%trouble, "the log's head is not signed");
        }
        let Some(link) = &link else {
            seen = Some(commits);
            continue;
        };
        if witnessing.is_none() {
            let exchange = Exchange::open(ledger.clone());
            let opened = exchange.and_then(|one| Ok((one, Witness::open(ledger.clone())?)));
            if let Err(error) = &opened
                && !std::mem::replace(&mut told, true)
            {
                tracing::error!(%error, "nothing is cosigned, here or for this office");
            }
            witnessing = opened.ok();
        }
        let Some((exchange, witness)) = &mut witnessing else {
            seen = Some(commits);
            continue;
        };
        let done = match witness.turn(&**link).await {
            Ok(_) => exchange.turn(&**link).await,
            Err(error) => Err(error),
        };
        match done {
            Ok(()) => seen = Some(commits),
            Err(error) => tracing::debug!(%error, "witnesses wait for the hub"),
        }
    }
}

/// What is due by time: figures, papers, the calendar's expectations.
async fn periodic_loop(seat: Arc<Seat>, city: Option<String>) {
    let papers = PaperRunner::new(seat.clone(), city);
    let (mut seen, mut forgotten) = (None, None);
    loop {
        tokio::time::sleep(Duration::from_secs(2)).await;
        if seat.office.refusing().is_some() {
            continue;
        }
        let commits = seat.office.commits();
        if seen != Some(commits) && follow_entries(&seat).await {
            seen = Some(commits);
        }
        if let Err(problem) = papers.turn().await {
            tracing::warn!(?problem, "papers wait");
        }
        if forgotten != Some(commits) {
            match sealing::turn(&seat, forgotten.is_none()).await {
                Ok(true) if seat.office.rebuilding().is_none() => forgotten = Some(commits),
                Ok(_) => {}
                Err(problem) => tracing::warn!(?problem, "keys that are to be forgotten wait"),
            }
        }
        if let Err(problem) = tiers::calendar_turn(&seat).await {
            tracing::warn!(?problem, "the calendar waits");
        }
    }
}

/// What only an entry, or views folded anew, can call for; whether it is done. An office
/// at rest does not open its store, or a process of a hundred is never idle.
async fn follow_entries(seat: &Arc<Seat>) -> bool {
    let figures = figures::turn(seat).await;
    if let Err(problem) = &figures {
        tracing::warn!(?problem, "figures could not be counted");
    }
    let moved = moves::turn(&seat.office).await;
    if let Err(problem) = &moved {
        tracing::warn!(?problem, "the move waits");
    }
    matches!(figures, Ok(Ok(()))) && moved.is_ok() && seat.office.rebuilding().is_none()
}

/// Answers the hub's requests at the city: requests of one office in turn,
/// offices beside each other.
pub(crate) async fn ingest_loop(ingest: Arc<Ingest>, link: Connection) {
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

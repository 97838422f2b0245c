//! One office of the simulation: open or closed, with its loops' turns.

use std::{path::PathBuf, sync::Arc};

use desks::{reactions::REACTIONS, running::Service};
use event_store::{Engine, Office, Readers, Setting};
use kernel::{
    Clock, Code, Entropy, OfficeId, Timestamp,
    sign::{EventKey, Ring},
};
use messaging::{
    counters::Counters,
    directory::Pin,
    fit, gaps,
    intake::Intake,
    keys::Keys,
    link::Link,
    notes::{NotesIn, NotesOut},
    recovery::{Progress, Recovery},
    relay::{Relay, Turn},
};

use super::link::{Mood, Moody};

/// One office.
pub(super) struct Node {
    pub(super) id: OfficeId,
    pub(super) parent: Option<OfficeId>,
    pub(super) service: Service,
    pub(super) folder: PathBuf,
    pub(super) clock: Arc<Clock>,
    pub(super) mood: Arc<Mood>,
    pub(super) link: Moody,
    pub(super) seed: u64,
    pub(super) city: OfficeId,
    /// How often it was opened, so that its ids never come again.
    pub(super) life: u64,
    pub(super) pin: Option<Arc<Pin>>,
    pub(super) open: Option<Open>,
}

/// What lives while the office is open.
pub(super) struct Open {
    pub(super) office: Office,
    relay: Relay,
    recovery: Recovery,
    intakes: Vec<(String, Option<Intake>)>,
    notes_out: NotesOut,
    notes_in: Option<NotesIn>,
    pub(super) counters: Arc<Counters>,
    /// How many turns ago the readers were set back, while the log is put back.
    rewound: Option<u32>,
}

impl Node {
    pub(super) fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    pub(super) fn keys(&self) -> Keys {
        Keys::at(&self.folder.join("keys")).unwrap()
    }

    pub(super) fn key(&self) -> EventKey {
        let mut seed = [7; 32];
        seed[..8].copy_from_slice(&self.seed.to_be_bytes());
        seed[8..16].copy_from_slice(self.id.as_str().as_bytes());
        EventKey::from_seed(&seed).unwrap()
    }

    pub(super) fn office(&self) -> Option<&Office> {
        self.open.as_ref().map(|open| &open.office)
    }

    /// The office that it reports to now; of a closed one, that it was enrolled below.
    pub(super) fn above(&self) -> Option<OfficeId> {
        self.office().map_or_else(|| self.parent.clone(), |office| office.here().parent)
    }

    pub(super) fn is_behind(&self) -> bool {
        self.office().is_some_and(|office| office.refusing() == Some(Code::LogBehind))
    }

    /// Opens the store, as a service does at its start.
    pub(super) async fn start(&mut self) {
        self.life += 1;
        self.mood.mend();
        let salt = self.seed ^ (self.life << 40) ^ u64::from(self.id.as_str().as_bytes()[7]);
        let setting = Setting {
            office: self.id.clone(),
            tier: self.service.tier,
            enrolled_below: self.parent.clone(),
            city: self.city.clone(),
            engine: Engine::Sqlite(self.data()),
            key: Arc::new(Ring::of(self.key())),
            turns: domain::office::turns,
            dated: &domain::dated::FAMILIES,
            clock: self.clock.clone(),
            entropy: Arc::new(Entropy::seeded(salt)),
            bindings: domain::binding::bindings,
            views: (self.service.views)(&self.id).into(),
            reactions: REACTIONS.into(),
            readers: Readers::new(2),
        };
        let office = loop {
            // The writer of the life before lets go of the store when it has ended.
            match Office::open(setting.clone()).await {
                Ok(office) => break office,
                Err(event_store::StoreError::Fenced) => tokio::task::yield_now().await,
                Err(error) => panic!("{}: {error}", self.id),
            }
        };
        let keys = self.keys();
        if self.pin.is_some() && fit::unsure(&office, &keys).await.unwrap() {
            office.refuse(Some(Code::LogBehind));
        }
        let link: Arc<dyn Link> = Arc::new(self.link.clone());
        let sealing = Arc::new([5; 32]);
        let pin = self.pin.clone().unwrap_or_else(|| self.own_pin());
        let mut intakes = vec![(self.id.to_string(), None)];
        if self.parent.is_some() {
            intakes.push((format!("{}_d", self.id), None));
        }
        self.open = Some(Open {
            relay: Relay::new(office.clone(), link.clone(), keys, sealing.clone()),
            recovery: Recovery::new(office.clone(), pin, sealing),
            intakes,
            notes_out: NotesOut::new(office.clone(), link, false),
            notes_in: None,
            counters: Arc::default(),
            rewound: None,
            office,
        });
    }

    fn own_pin(&self) -> Arc<Pin> {
        let (city, key) = (self.city.clone(), self.key().public());
        Arc::new(Pin { city, key, founding: kernel::sign::Hash::default(), demo: false })
    }

    /// Ends the office as kill -9 does: nothing is said, nothing is flushed.
    pub(super) fn kill(&mut self) {
        self.open = None;
    }

    pub(super) async fn relay(&mut self) -> Option<Turn> {
        let open = self.open.as_mut()?;
        let Ok(turn) = open.relay.turn().await else {
            open.relay.ask_again();
            return None;
        };
        if turn == Turn::Behind {
            let progress = open.recovery.turn(&self.link, Timestamp(0)).await;
            if matches!(progress, Ok(Progress::Unproved)) {
                return Some(Turn::Refused);
            }
        }
        Some(turn)
    }

    /// Lets the relay ask what is held, as it does every minute.
    pub(super) fn ask_again(&mut self) {
        if let Some(open) = &mut self.open {
            open.relay.ask_again();
        }
    }

    /// One turn of each intake; how much came.
    pub(super) async fn intake(&mut self) -> usize {
        let Some(open) = &mut self.open else { return 0 };
        let Some(pin) = self.pin.clone() else { return 0 };
        let behind = open.office.refusing() == Some(Code::LogBehind);
        let due = behind && open.rewound.is_none_or(|turns| turns > 20);
        let mut came = 0;
        for (name, bound) in &mut open.intakes {
            if bound.is_none() {
                let counters = open.counters.clone();
                let intake =
                    Intake::bind(open.office.clone(), pin.clone(), &self.link, name, counters);
                *bound = intake.await.ok();
            }
            let Some(intake) = bound else { continue };
            if due && intake.from_the_start().await.is_err() {
                *bound = None;
                continue;
            }
            match intake.turn(std::time::Duration::ZERO).await {
                Ok(Ok(count)) => came += count,
                Ok(Err(_)) => {}
                Err(_) => *bound = None,
            }
        }
        open.rewound = match (behind, due) {
            (true, true) => Some(0),
            (true, false) => open.rewound.map(|turns| turns + 1),
            (false, _) => None,
        };
        came
    }

    /// Asks for everything once more.
    pub(super) async fn read_again(&mut self) {
        let Some(open) = &mut self.open else { return };
        for (_, bound) in &mut open.intakes {
            if let Some(intake) = bound
                && intake.from_the_start().await.is_err()
            {
                *bound = None;
            }
        }
    }

    /// Whether it misses something that its lanes' origins say is there.
    pub(super) async fn misses(&self) -> bool {
        let Some(office) = self.office() else { return false };
        !gaps::missing(office).await.unwrap().is_empty()
    }

    /// Notes out and in.
    pub(super) async fn notes(&mut self, at: Timestamp) {
        let Some(open) = &mut self.open else { return };
        let _ = open.notes_out.turn(at).await;
        if open.office.refusing().is_some() {
            return;
        }
        let _ = desks::moves::turn(&open.office).await;
        if open.notes_in.is_none() {
            open.notes_in = NotesIn::bind(open.office.clone(), &self.link).await.ok();
        }
        if let Some(notes) = &mut open.notes_in
            && notes.turn(std::time::Duration::ZERO).await.is_err()
        {
            open.notes_in = None;
        }
    }
}

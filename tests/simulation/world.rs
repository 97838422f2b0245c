//! The simulated city: its offices, its hub, what was attempted and what broke.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use desks::running::Service;
use domain::directory::{Command as Ask, Directory, Member, Seat};
use event_store::{Act, Answer, Unit, act, log};
use kernel::{Aggregate, Clock, OfficeId, Timestamp, entry, id::Tier, sign::Hash};
use messaging::{
    directory::{DIRECTORY, Entry, Pin},
    ingest::Ingest,
    link::Hub,
    memory::{Memory, State},
    readers,
};

use crate::chance::Chance;

use super::{
    Report, check,
    link::{Answering, Mood, Moody},
    node::Node,
    work::Attempt,
};

type Place = (&'static str, Option<&'static str>, fn() -> Service);

/// The city, two districts and two townships: (id, parent, service).
const OFFICES: [Place; 5] = [
    ("ccccccc1", None, city::service),
    ("dddddda2", Some("ccccccc1"), district::service),
    ("ddddddb3", Some("ccccccc1"), district::service),
    ("ttttttd4", Some("dddddda2"), township::service),
    ("tttttte5", Some("ddddddb3"), township::service),
];

/// The simulated city.
pub struct World {
    pub(super) chance: Chance,
    pub(super) nodes: Vec<Node>,
    pub(super) hub: Memory,
    pub(super) ingest: Answering,
    pub(super) now: i64,
    pub(super) skew: Vec<i64>,
    pub(super) attempts: Vec<Attempt>,
    /// The next step of each matter: (office, kind, number).
    pub(super) steps: BTreeMap<(usize, usize, usize), usize>,
    /// Copies of stores, with the life of the hub in which they were made.
    pub(super) copies: BTreeMap<usize, PathBuf>,
    pub(super) hub_copy: Option<State>,
    pub(super) counts: Report,
    folder: PathBuf,
}

static NEXT: AtomicU32 = AtomicU32::new(1);

impl World {
    /// Founds the city and enrols its offices; nothing breaks yet.
    pub async fn found(seed: u64) -> Self {
        // A disk in memory, if the machine has one: what is written there is as real.
        let shm = PathBuf::from("/dev/shm");
        let place = if shm.is_dir() { shm } else { std::env::temp_dir() };
        let number = NEXT.fetch_add(1, Ordering::SeqCst);
        let folder = place.join(format!("liandong-sim-{}-{number}", std::process::id()));
        let hub = Memory::default();
        let ingest = Answering::default();
        let start = Timestamp::parse("2024-01-08T01:00:00Z").unwrap().0;
        let office = |text: &str| OfficeId::parse(text).unwrap();
        let city = office(OFFICES[0].0);
        let node = |(id, parent, service): &Place| {
            let mood = Arc::new(Mood::default());
            mood.mend();
            Node {
                id: office(id),
                parent: parent.map(office),
                service: service(),
                folder: folder.join(id),
                clock: Arc::new(Clock::simulated(Timestamp(start))),
                link: Moody { hub: hub.clone(), ingest: ingest.clone(), mood: mood.clone() },
                mood,
                seed,
                city: city.clone(),
                life: 0,
                pin: None,
                open: None,
            }
        };
        let nodes: Vec<Node> = OFFICES.iter().map(node).collect();
        let mut world = Self {
            chance: Chance::new(seed),
            skew: vec![0; nodes.len()],
            nodes,
            hub,
            ingest,
            now: start,
            attempts: Vec::new(),
            steps: BTreeMap::new(),
            copies: BTreeMap::new(),
            hub_copy: None,
            counts: Report::default(),
            folder,
        };
        world.enrol().await;
        world
    }

    async fn enrol(&mut self) {
        self.nodes[0].start().await;
        let members: Vec<Member> = self.nodes.iter().map(member).collect();
        let office = self.nodes[0].office().unwrap().clone();
        let city = self.nodes[0].id.clone();
        let founding = Ask::Found { city: members[0].clone(), demo: false };
        office.system(directory(&city, founding)).await.unwrap();
        for (at, member) in members.iter().enumerate().skip(1) {
            let token = Hash([u8::try_from(at).unwrap(); 32]);
            let (seat, expires) = (member.seat.clone(), Timestamp(i64::MAX));
            office.system(directory(&city, Ask::Invite { seat, token, expires })).await.unwrap();
            let (key, at) = (member.key, Timestamp(0));
            let ask = Ask::Enrol { token, at, key, demo: false, baselines: Vec::new() };
            office.system(directory(&city, ask)).await.unwrap();
        }
        let mut reader = office.reader().await.unwrap();
        let genesis = log::own_at(&mut reader, 1).await.unwrap().unwrap();
        drop((reader, office));
        let (key, founding) = (members[0].key, entry::hash(&genesis.entry));
        let pin = Arc::new(Pin { city, key, founding, demo: false });
        for node in &mut self.nodes {
            node.pin = Some(pin.clone());
            node.kill();
        }
        for at in 0..self.nodes.len() {
            self.start(at).await;
        }
        self.make_readers().await;
    }

    /// Opens an office; with the city's its ingest answers again.
    pub(super) async fn start(&mut self, at: usize) {
        self.nodes[at].start().await;
        if at == 0 {
            let office = self.nodes[0].office().unwrap().clone();
            let grants = self.folder.join("grants");
            let ingest = Ingest::new(office, Arc::new(self.hub.clone()), grants);
            *self.ingest.lock().unwrap() = Some(Arc::new(ingest));
        }
    }

    /// Ends an office at once; with the city's its ingest falls silent.
    pub(super) fn kill(&mut self, at: usize) {
        if at == 0 {
            *self.ingest.lock().unwrap() = None;
        }
        self.nodes[at].kill();
    }

    /// Makes every office's readers, as the city does at its start and when one has moved.
    pub(super) async fn make_readers(&self) {
        let Some(office) = self.nodes[0].office() else { return };
        let city = &self.nodes[0].id;
        let mut reader = office.reader().await.unwrap();
        let Ok(rows) = reader.all::<Entry>(DIRECTORY, "").await else { return };
        let seats: Vec<Seat> = rows.into_iter().map(|(_, row)| row.member.seat).collect();
        for place in &seats {
            let below = seats.iter().filter(|other| other.parent.as_ref() == Some(&place.office));
            let below: Vec<OfficeId> = below.map(|other| other.office.clone()).collect();
            let mut specs = readers::of_history(place, city, None);
            specs.push(readers::of_notes(place, city, &below));
            for spec in specs {
                self.hub.make_reader(spec).await.unwrap();
            }
        }
    }

    /// First `moves` moves in which anything may break, then everything is mended
    /// and must come right by itself.
    pub async fn live(&mut self, moves: u32) -> Result<(), String> {
        for number in 0..moves {
            self.step().await.map_err(|why| format!("move {number}: {why}"))?;
            if number % 64 == 0 {
                check::nothing_unexpected(self).await?;
            }
        }
        self.heal().await;
        let agreed = self.settle().await;
        check::nothing_unexpected(self).await?;
        agreed?;
        self.repeat_answered().await?;
        check::everybody_agrees(self).await
    }

    /// Lets everybody work until nothing changes any more.
    async fn settle(&mut self) -> Result<(), String> {
        const MOST: u64 = 60;
        for round in 1..=MOST {
            self.now += 11 * 60_000;
            self.set_clocks();
            self.repeat_unseen().await?;
            for at in 0..self.nodes.len() {
                self.nodes[at].ask_again();
                for _ in 0..400 {
                    let turn = self.nodes[at].relay().await;
                    if matches!(turn, None | Some(messaging::relay::Turn::Idle)) {
                        break;
                    }
                    if matches!(turn, Some(messaging::relay::Turn::Behind)) {
                        for other in 0..self.nodes.len() {
                            self.nodes[other].intake().await;
                        }
                    }
                }
            }
            self.make_readers().await;
            for at in 0..self.nodes.len() {
                let now = Timestamp(self.now);
                while self.nodes[at].intake().await > 0 {}
                self.nodes[at].notes(now).await;
                if self.nodes[at].misses().await {
                    self.nodes[at].read_again().await;
                    self.counts.count("asked from the start");
                }
            }
            if check::is_settled(self).await {
                self.counts.rounds = round;
                return Ok(());
            }
        }
        Err(format!("not settled after {MOST} rounds: {}", check::unsettled(self).await))
    }

    pub(super) fn set_clocks(&self) {
        for (node, skew) in self.nodes.iter().zip(&self.skew) {
            node.clock.set(Timestamp(self.now + skew));
        }
    }

    /// The figures of this run.
    pub fn report(&self) -> Report {
        self.counts.clone()
    }

    /// Closes and removes everything.
    pub async fn end(&mut self) {
        for at in 0..self.nodes.len() {
            self.kill(at);
        }
        tokio::task::yield_now().await;
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

pub(super) fn member(node: &Node) -> Member {
    let seat = Seat {
        office: node.id.clone(),
        tier: node.service.tier,
        parent: node.parent.clone(),
        code: if node.service.tier == Tier::City { "611000" } else { "611024" }.to_owned(),
        name: node.id.to_string(),
    };
    Member { seat, key: node.key().public(), epoch: 1, key_from: 1 }
}

pub(super) fn directory(city: &OfficeId, ask: Ask) -> Act {
    let id = city.to_string();
    act(move |unit: &mut Unit<'_>| {
        let (id, ask): (String, <Directory as Aggregate>::Command) = (id.clone(), ask.clone());
        Box::pin(async move {
            unit.execute::<Directory>(&id, ask).await?;
            Ok(Answer { status: 200, etag: String::new(), body: Vec::new() })
        })
    })
}

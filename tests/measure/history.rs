//! A long history, made fast: signed entries with their rows, as an office would have
//! written them, without deciding anything.
//!
//! A district's findings in blocks of 512, each block interleaved: seven own entries a
//! finding (one of them the marker of its intake) and one received from the township.
//! The views' rows are not written: the office folds them when it opens the store.

use event_store::{
    Engine, Office,
    db::{Arg, Conn},
    intake,
};
use kernel::{
    Actor, Aggregate, Audience, Day, EntryRef, Fact, Lane, OfficeId, Root, Timestamp, decider,
    sealed::{Ciphertext, SealedPart},
    sign::{EventKey, Hash},
};
use serde::Serialize;
use testkit::office_id;

/// Findings in a block.
const BLOCK: u64 = 512;
/// Own entries of a finding.
const OWN: u64 = 7;
/// Facts of a block, received ones included.
pub(crate) const FACTS: u64 = BLOCK * (OWN + 1);

/// The district whose history it is.
pub(crate) fn office() -> OfficeId {
    office_id("dddddddd")
}

fn township() -> OfficeId {
    office_id("tttttttt")
}

/// How a district's store is opened.
pub(crate) fn setting(store: &testkit::TestStore) -> event_store::Setting {
    event_store::Setting {
        bindings: domain::binding::bindings,
        views: (district::service().views)(&office()).into(),
        reactions: desks::reactions::REACTIONS.into(),
        turns: domain::office::turns,
        dated: &domain::dated::FAMILIES,
        ..testkit::setting(store)
    }
}

/// The id of a finding, by its number.
pub(crate) fn finding_id(number: u64) -> String {
    format!("dddddddd-f{number:08}")
}

/// A draft as a team writes it.
pub(crate) fn draft(number: u64) -> domain::finding::Draft {
    let round = number / BLOCK;
    domain::finding::Draft {
        round: format!("dddddddd-R{round:05}"),
        round_number: format!("611002-T4-R{round:05}"),
        task: format!("k{}", number % 40),
        target: format!("dddddddd-v{:04}", number % 300),
        level: domain::Level::Village,
        category: "三资管理".to_owned(),
        title: "台账不全,底数不清".to_owned(),
        text: "经查,集体资产台账登记不全,部分资产长期未入账,租赁合同未按规定公示。".repeat(2),
        unit_office: township(),
        concerned: Vec::new(),
    }
}

/// What it says, as large as it is sealed.
fn sealed() -> (Box<SealedPart>, Ciphertext) {
    (Box::new(testkit::sealed_part()), Ciphertext(vec![7; 528]))
}

/// The command that drafts it.
pub(crate) fn drafted(number: u64) -> domain::finding::Command {
    let (part, sealed) = sealed();
    domain::finding::Command::Draft { brief: draft(number).brief(), part, sealed }
}

/// Where the writing has come.
#[derive(Clone, Copy, Default)]
struct Counters {
    sequence: u64,
    own: u64,
    to: u64,
    township: u64,
    position: u64,
    markers: u64,
}

struct Block {
    own: Vec<Vec<Arg>>,
    received: Vec<Vec<Arg>>,
    end: Counters,
    hashes: [Hash; 3],
}

/// Makes one block.
struct Maker {
    key: EventKey,
    other: EventKey,
    at: Counters,
    block: Block,
}

impl Maker {
    fn fact<E: Serialize>(
        &mut self,
        of: &OfficeId,
        stream: String,
        version: u64,
        kind: String,
        event: &E,
        audience: Audience,
    ) -> Fact {
        let own = *of == office();
        let (sequence, lane) = match (own, &audience) {
            (true, Audience::Own) => (&mut self.at.sequence, &mut self.at.own),
            (true, _) => (&mut self.at.sequence, &mut self.at.to),
            (false, _) => (&mut self.at.position, &mut self.at.township),
        };
        *sequence += 1;
        *lane += 1;
        let (sequence, lane) = (*sequence, *lane);
        // What the township sends is recorded there about when it is taken in here.
        let seconds = 30 * i64::try_from(self.at.sequence).unwrap();
        Fact {
            id: format!("{:032x}", u128::from(sequence) * 0x9e37_79b9_7f4a_7c15),
            at: EntryRef { origin: of.clone(), epoch: 1, sequence },
            kind,
            recorded: Timestamp(1_600_000_000_000 + seconds * 1_000),
            root: Root::Ev,
            audience,
            lane,
            stream,
            version: Some(version),
            copy_of: None,
            actor: Actor { person: "dddddddd-p1".to_owned(), role: "D_TM".to_owned() },
            act_date: None,
            causation: None,
            data: serde_json::value::to_raw_value(event).unwrap(),
            hash: Hash::default(),
        }
    }

    fn own<A: Aggregate>(
        &mut self,
        id: &str,
        version: u64,
        event: &A::Event,
        audience: Audience,
    ) -> Hash {
        let kind = decider::kind(A::FAMILY, A::name(event));
        let to = usize::from(audience != Audience::Own);
        let fact =
            self.fact(&office(), format!("{}/{id}", A::FAMILY), version, kind, event, audience);
        let bytes = fact.sign(&self.key).unwrap();
        let hash = kernel::entry::hash(&bytes);
        self.block.hashes[to] = hash;
        self.block.own.push(vec![
            fact.at.sequence.into(),
            1i64.into(),
            fact.stream.as_str().into(),
            version.into(),
            fact.kind.as_str().into(),
            fact.lane().to_string().into(),
            fact.lane.into(),
            hash.0.as_slice().into(),
            Arg::Blob(bytes),
        ]);
        hash
    }

    fn received(&mut self, id: &str, event: &domain::rectification::Event, marker: u64) -> Hash {
        let kind = decider::kind("rectification", "completed");
        let audience = Audience::To(office());
        let stream = format!("rectification/tttttttt-{id}");
        let fact = self.fact(&township(), stream, 1, kind, event, audience);
        let bytes = fact.sign(&self.other).unwrap();
        let hash = kernel::entry::hash(&bytes);
        self.block.hashes[2] = hash;
        self.block.received.push(vec![
            self.at.position.into(),
            "tttttttt".into(),
            1i64.into(),
            fact.at.sequence.into(),
            fact.stream.as_str().into(),
            fact.lane().to_string().into(),
            fact.lane.into(),
            fact.kind.as_str().into(),
            marker.into(),
            1i64.into(),
            hash.0.as_slice().into(),
            Arg::Blob(bytes),
        ]);
        hash
    }

    fn all(mut self, number: u64) -> Block {
        use domain::finding::{Event, Finding};
        let (by, due) = ("dddddddd-p1".to_owned(), Day::parse("2026-06-30").unwrap());
        let findings: Vec<u64> = (number * BLOCK..(number + 1) * BLOCK).collect();
        let to = || Audience::To(township());
        let each = |maker: &mut Self,
                    version,
                    audience: &dyn Fn() -> Audience,
                    event: &dyn Fn(u64) -> Event| {
            for n in &findings {
                maker.own::<Finding>(&finding_id(*n), version, &event(*n), audience());
            }
        };
        let own = || Audience::Own;
        each(&mut self, 1, &own, &|n| Event::DraftSealed {
            brief: draft(n).brief(),
            part: sealed().0,
            sealed: sealed().1,
            by: by.clone(),
        });
        each(&mut self, 2, &own, &|_| Event::CoSigned { by: "dddddddd-p2".to_owned() });
        each(&mut self, 3, &own, &|n| Event::Listed { round: draft(n).round, task: draft(n).task });
        each(&mut self, 4, &to, &|n| Event::FedBack { draft: draft(n), due });
        let mut bases = Vec::new();
        for n in &findings {
            bases.push(self.taken_in(&finding_id(*n)));
        }
        let basis = |n: u64| bases[usize::try_from(n % BLOCK).unwrap()];
        each(&mut self, 5, &own, &|n| Event::Rectified { basis: basis(n), by: by.clone() });
        each(&mut self, 6, &to, &|n| Event::ClosedOut { basis: basis(n), unit_office: township() });
        self.block.end = self.at;
        self.block
    }

    /// The township's word that it is done, behind its marker.
    fn taken_in(&mut self, id: &str) -> Hash {
        let report = "已补登台账并公示,建立长效机制。".to_owned();
        let (finding, team_office, by) = (id.to_owned(), office(), "tttttttt-p9".to_owned());
        let event = domain::rectification::Event::Completed { report, finding, team_office, by };
        let hash = self.received(id, &event, self.at.sequence + 1);
        let lane = Lane { origin: township(), root: Root::Ev, audience: Audience::To(office()) };
        let last = self.at.township;
        let run = intake::Run { lane, epoch: 1, first: last, last, hash };
        self.at.markers += 1;
        let marker = intake::Event::Received { runs: vec![run] };
        self.own::<intake::Intake>("dddddddd", self.at.markers, &marker, Audience::Own);
        hash
    }
}

fn make(number: u64) -> Block {
    let at = Counters {
        sequence: number * BLOCK * OWN,
        own: number * BLOCK * (OWN - 2),
        to: number * BLOCK * 2,
        township: number * BLOCK,
        position: number * BLOCK,
        markers: number * BLOCK,
    };
    let block =
        Block { own: Vec::new(), received: Vec::new(), end: at, hashes: [Hash::default(); 3] };
    let key = |seed: u8| EventKey::from_seed(&[seed; 32]).unwrap();
    Maker { key: key(4), other: key(9), at, block }.all(number)
}

/// Brings a store from `from` to `blocks` blocks; what was recorded in between goes.
pub(crate) async fn write(engine: &Engine, from: u64, blocks: u64) {
    if from == 0 {
        let store = testkit::TestStore::sqlite();
        let setting = event_store::Setting { engine: engine.clone(), ..testkit::setting(&store) };
        drop(Office::open(setting).await.unwrap());
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    }
    let mut conn = Conn::open_reader_writable(engine).await.unwrap();
    if matches!(engine, Engine::Sqlite(_)) {
        // Only for making it: what is measured later syncs every commit.
        conn.exec("PRAGMA synchronous = OFF", vec![]).await.unwrap();
    } else {
        conn.exec("SET synchronous_commit = off", vec![]).await.unwrap();
    }
    let first = from * BLOCK * OWN;
    conn.exec("DELETE FROM entries WHERE sequence > $1", vec![first.into()]).await.unwrap();
    let (out, made) = std::sync::mpsc::sync_channel(2);
    let making = std::thread::spawn(move || {
        for number in from..blocks {
            out.send(make(number)).unwrap();
        }
    });
    while let Ok(block) = made.recv() {
        insert(&mut conn, block).await;
    }
    making.join().unwrap();
    conn.close().await;
}

async fn insert(conn: &mut Conn, block: Block) {
    conn.begin().await.unwrap();
    let into = "entries (sequence, epoch, stream, version, kind, lane, counter, hash, entry)";
    many(conn, into, block.own).await;
    let into = "received (position, origin, epoch, sequence, stream, lane, counter, kind, marker, \
                folded, hash, entry)";
    many(conn, into, block.received).await;
    let (end, [own, to, township]) = (block.end, block.hashes);
    let sql = "UPDATE writer SET sequence = $1, recorded = $2 WHERE id = 1";
    conn.exec(sql, vec![end.sequence.into(), 1_600_000_000_000i64.into()]).await.unwrap();
    // Rows that nobody folded: the next opening folds everything again.
    conn.exec("UPDATE view_sets SET schema = '' WHERE id = 1", vec![]).await.unwrap();
    for (lane, origin, counter, hash) in [
        ("ev.dddddddd.own", "dddddddd", end.own, own),
        ("ev.dddddddd.to-tttttttt", "dddddddd", end.to, to),
        ("ev.tttttttt.to-dddddddd", "tttttttt", end.township, township),
    ] {
        let sql = "INSERT INTO lanes (lane, origin, epoch, counter, hash) VALUES ($1, $2, $3, $4, $5) \
                   ON CONFLICT (lane) DO UPDATE SET counter = excluded.counter, hash = excluded.hash";
        let args =
            vec![lane.into(), origin.into(), 1i64.into(), counter.into(), hash.0.as_slice().into()];
        conn.exec(sql, args).await.unwrap();
    }
    conn.commit().await.unwrap();
}

async fn many(conn: &mut Conn, into: &str, rows: Vec<Vec<Arg>>) {
    let mut rows = rows.into_iter().peekable();
    while rows.peek().is_some() {
        let part: Vec<Vec<Arg>> = rows.by_ref().take(64).collect();
        let columns = part[0].len();
        let places = (0..part.len()).map(|row| {
            let places = (1..=columns).map(|c| format!("${}", row * columns + c));
            format!("({})", places.collect::<Vec<_>>().join(","))
        });
        let sql = format!("INSERT INTO {into} VALUES {}", places.collect::<Vec<_>>().join(","));
        conn.exec(&sql, part.into_iter().flatten().collect()).await.unwrap();
    }
}

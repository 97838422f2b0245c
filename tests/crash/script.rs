//! The script that the office under test runs: real findings with real views and
//! rules, entries of the city taken in, and the note of how far the log was sent.
//!
//! Each command has a key. Its answer holds a fresh random word, so that an answer
//! made a second time can't look like the first one.

use std::{path::PathBuf, sync::Arc};

use domain::{
    Level,
    directory::{Event as Directory, Member, Seat},
    finding::{Command as Ask, Draft, Finding},
};
use event_store::{Act, Answer, Engine, Idempotency, Office, Readers, Setting, Unit, act, log};
use kernel::{
    Actor, Audience, Clock, Day, Entropy, EntryRef, Fact, OfficeId, Refusal, Root, Timestamp,
    entry,
    id::Tier,
    sealed::Ciphertext,
    sign::{EventKey, Hash},
};
use messaging::{
    counters::Counters,
    directory::Pin,
    intake::taking_in,
    keys::{Keys, SentUpTo},
};
use testkit::office_id;

const CITY: &str = "cccccccc";
/// The office under test.
pub const OFFICE: &str = "dddddddd";
/// How many findings a turn drafts, all in one commit, and feeds back in another.
pub const TOGETHER: usize = 3;

/// Where the office under test lies.
#[derive(Clone, Debug)]
pub struct Place {
    /// Its store is in `store`, its keys are in `keys`.
    pub folder: PathBuf,
    /// A PostgreSQL server and schema, if the store is there.
    pub postgres: Option<(String, String)>,
}

impl Place {
    /// The store.
    pub fn engine(&self) -> Engine {
        match self.postgres.clone() {
            Some((url, schema)) => Engine::Postgres { url, schema },
            None => Engine::Sqlite(self.folder.join("store")),
        }
    }

    /// The key folder.
    pub fn keys(&self) -> Keys {
        Keys::at(&self.folder.join("keys")).unwrap()
    }

    /// A district with all that a district folds and does by rule.
    pub fn setting(&self, keys: &Keys) -> Setting {
        let office = office_id(OFFICE);
        Setting {
            tier: Tier::District,
            enrolled_below: Some(office_id(CITY)),
            city: office_id(CITY),
            engine: self.engine(),
            key: Arc::new(keys.ring(&Entropy::System).unwrap()),
            turns: domain::office::turns,
            dated: &domain::dated::FAMILIES,
            clock: Arc::new(Clock::Wall),
            entropy: Arc::new(Entropy::System),
            bindings: domain::binding::bindings,
            views: (district::service().views)(&office).into(),
            reactions: desks::reactions::REACTIONS.into(),
            readers: Readers::new(2),
            office,
        }
    }
}

/// One command of the script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Its idempotency key, which also names it.
    pub key: String,
    finding: usize,
    feeds_back: bool,
}

impl Command {
    fn draft(finding: usize) -> Self {
        Self { key: format!("draft-{finding}"), finding, feeds_back: false }
    }

    fn feed_back(finding: usize) -> Self {
        Self { key: format!("feed-back-{finding}"), finding, feeds_back: true }
    }

    /// What stands in the log once it happened: stream and type, each once.
    pub fn effects(&self) -> Vec<(String, &'static str)> {
        let finding = format!("finding/{OFFICE}-{}", self.finding);
        if !self.feeds_back {
            return vec![(finding, "cn.liandong.finding.draft-sealed.v1")];
        }
        let rectification = format!("rectification/{OFFICE}-{OFFICE}-{}", self.finding);
        vec![
            (finding.clone(), "cn.liandong.finding.co-signed.v1"),
            (finding.clone(), "cn.liandong.finding.listed.v1"),
            (finding, "cn.liandong.finding.fed-back.v1"),
            (rectification, "cn.liandong.rectification.opened.v1"),
        ]
    }

    fn asks(&self) -> Vec<Ask> {
        let (brief, saying) = self.what_was_found().apart();
        if self.feeds_back {
            let due = Day::parse("2024-06-30").unwrap();
            return vec![Ask::CoSign, Ask::List, Ask::FeedBack { saying, due }];
        }
        let (part, sealed) = (Box::new(testkit::sealed_part()), Ciphertext(vec![7; 528]));
        vec![Ask::Draft { brief, part, sealed }]
    }

    fn what_was_found(&self) -> Draft {
        Draft {
            round: format!("{OFFICE}-R1"),
            round_number: "R1".to_owned(),
            task: "k1".to_owned(),
            target: format!("{OFFICE}-v1"),
            level: Level::Village,
            category: "三资管理".to_owned(),
            title: format!("第{}个问题", self.finding),
            text: "现象、定性、责任。".repeat(12),
            unit_office: office_id(OFFICE),
            concerned: vec![office_id(CITY)],
        }
    }

    fn act(&self) -> Act {
        let (id, asks) = (format!("{OFFICE}-{}", self.finding), self.asks());
        act(move |unit: &mut Unit<'_>| {
            let (id, asks) = (id.clone(), asks.clone());
            Box::pin(async move {
                let mut version = 0;
                for ask in asks {
                    version = unit.execute::<Finding>(&id, ask).await?.version;
                }
                let word = unit.setting().entropy.uuid();
                let body = serde_json::json!({"id": id, "word": word}).to_string().into_bytes();
                Ok(Answer { status: 200, etag: version.to_string(), body })
            })
        })
    }

    /// Asks the office; the hash of the answer, byte for byte.
    pub async fn ask(&self, office: &Office) -> Result<Hash, Refusal> {
        let person = if self.feeds_back { "p2" } else { "p1" };
        let actor = Actor { person: person.to_owned(), role: "D_TM".to_owned() };
        let key = Idempotency::new(person, "POST /script", &self.key, b"");
        let answer = office.command(actor, None, Some(key), self.act()).await?;
        let status = answer.status.to_be_bytes();
        Ok(Hash::of(&[&status, answer.etag.as_bytes(), &[0], &answer.body]))
    }
}

/// What is asked together in one turn: first the drafts, then the feedback.
pub fn turn(number: usize) -> [Vec<Command>; 2] {
    let findings = number * TOGETHER..(number + 1) * TOGETHER;
    [findings.clone().map(Command::draft).collect(), findings.map(Command::feed_back).collect()]
}

/// Every command of so many turns.
pub fn commands(turns: usize) -> Vec<Command> {
    (0..turns).flat_map(turn).flatten().collect()
}

/// What the city sends: its founding, then one enrolment a turn.
pub struct Incoming {
    pin: Arc<Pin>,
    founding: Vec<u8>,
    counters: Arc<Counters>,
}

impl Incoming {
    /// A city with a fixed key.
    pub fn new() -> Self {
        let city = member(CITY, Tier::City);
        let founding = of_city(1, "founded", &Directory::Founded { city, demo: false });
        let pin = Pin {
            city: office_id(CITY),
            key: city_key().public(),
            founding: entry::hash(&founding),
            demo: false,
        };
        Self { pin: Arc::new(pin), founding, counters: Arc::default() }
    }

    /// The delivery of a turn. The founding comes along each time, as a broker may.
    pub fn delivery(&self, turn: usize) -> Act {
        let peer = member(&format!("e{turn:07}"), Tier::District);
        let enrolled =
            Directory::Enrolled { member: peer, token: Hash::default(), baselines: vec![] };
        let enrolment = of_city(turn as u64 + 2, "enrolled", &enrolled);
        let bytes = vec![self.founding.clone(), enrolment];
        taking_in(bytes, self.pin.clone(), self.counters.clone())
    }
}

impl Default for Incoming {
    fn default() -> Self {
        Self::new()
    }
}

fn city_key() -> EventKey {
    EventKey::from_seed(&[1; 32]).unwrap()
}

fn member(office: &str, tier: Tier) -> Member {
    let parent = (tier != Tier::City).then(|| office_id(CITY));
    let seat =
        Seat { office: office_id(office), tier, parent, code: "1".into(), name: "甲".into() };
    Member { seat, key: city_key().public(), epoch: 1, key_from: 1 }
}

fn of_city(sequence: u64, name: &str, event: &Directory) -> Vec<u8> {
    let fact = Fact {
        id: format!("city-{sequence}"),
        at: EntryRef { origin: OfficeId::parse(CITY).unwrap(), epoch: 1, sequence },
        kind: format!("cn.liandong.directory.{name}.v1"),
        recorded: Timestamp(1000),
        root: Root::Ev,
        audience: Audience::All,
        lane: sequence,
        stream: format!("directory/{CITY}"),
        version: Some(sequence),
        copy_of: None,
        actor: Actor::system(),
        act_date: None,
        causation: None,
        data: serde_json::value::to_raw_value(event).unwrap(),
        hash: Hash::default(),
    };
    fact.sign(&city_key()).unwrap()
}

/// Notes how far the log is about to be sent, as the relay does before it sends.
pub async fn note_sent(office: &Office, keys: &Keys) -> Result<u64, String> {
    let sequence = office.head();
    let mut reader = office.reader().await.map_err(|error| error.to_string())?;
    let own = log::own_at(&mut reader, sequence).await.map_err(|error| error.to_string())?;
    let own = own.ok_or_else(|| format!("no entry at {sequence}"))?;
    let sent = SentUpTo { epoch: 1, sequence, hash: own.hash, key: None };
    keys.write_json("sent-up-to", &sent).map_err(|error| error.to_string())?;
    Ok(sequence)
}

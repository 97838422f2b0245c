//! The classes of intake, on both engines: what is dropped, held, kept, folded.
#![expect(clippy::unwrap_used, reason = "in a test, a panic is the report")]

use base64::Engine;
use std::sync::Arc;

use domain::{
    directory::{Closed, Event as Directory, Member, Opening, Seat, asked_words},
    office::offer_words,
};
use event_store::{Office, Setting};
use kernel::{
    Actor, Audience, EntryRef, Fact, OfficeId, Root, Timestamp, entry,
    id::Tier,
    sign::{EventKey, Hash, PublicKey, Signature},
};
use messaging::{
    counters::Counters,
    directory::{DirectoryView, Entry, Pin},
    intake::taking_in,
};
use serde::Serialize;
use testkit::{TestStore, office_id, setting};

struct Scene {
    office: Office,
    pin: Arc<Pin>,
    counters: Arc<Counters>,
    founding: Vec<u8>,
}

fn key(seed: u8) -> EventKey {
    EventKey::from_seed(&[seed; 32]).unwrap()
}

const CITY: &str = "cccccccc";
const PEER: &str = "eeeeeeee";

fn member(office: &str, tier: Tier, key: &EventKey) -> Member {
    let parent = (tier != Tier::City).then(|| office_id(CITY));
    let seat =
        Seat { office: office_id(office), tier, parent, code: "1".into(), name: "甲".into() };
    Member { seat, key: key.public(), epoch: 1, key_from: 1 }
}

fn fact(origin: &str, sequence: u64, lane: u64, audience: Audience, kind: &str) -> Fact {
    let family = kind.split('.').next().unwrap();
    Fact {
        id: format!("{origin}-{sequence}"),
        at: EntryRef { origin: office_id(origin), epoch: 1, sequence },
        kind: format!("cn.liandong.{kind}"),
        recorded: Timestamp(1000),
        root: Root::Ev,
        audience,
        lane,
        stream: format!("{family}/{origin}"),
        version: Some(sequence),
        copy_of: None,
        actor: Actor::system(),
        act_date: None,
        causation: None,
        data: serde_json::value::RawValue::from_string("{}".into()).unwrap(),
        hash: Hash::default(),
    }
}

fn signed(mut fact: Fact, data: &impl Serialize, key: &EventKey) -> Vec<u8> {
    fact.data = serde_json::value::to_raw_value(data).unwrap();
    fact.sign(key).unwrap()
}

impl Scene {
    async fn new(store: &TestStore) -> Self {
        let bindings = domain::binding::bindings;
        let views: Arc<[Arc<dyn event_store::View>]> = Arc::new([Arc::new(DirectoryView)]);
        let office = Office::open(Setting { bindings, views, ..setting(store) }).await.unwrap();
        let city = key(1);
        let founded = Directory::Founded { city: member(CITY, Tier::City, &city), demo: false };
        let founding = fact(CITY, 1, 1, Audience::All, "directory.founded.v1");
        let founding = signed(founding, &founded, &city);
        let pin = Pin {
            city: office_id(CITY),
            key: city.public(),
            founding: entry::hash(&founding),
            demo: false,
        };
        Self { office, pin: Arc::new(pin), counters: Arc::default(), founding }
    }

    async fn take(&self, entries: &[&[u8]]) {
        let bytes = entries.iter().map(|bytes| bytes.to_vec()).collect();
        let taking = taking_in(bytes, self.pin.clone(), self.counters.clone());
        self.office.system(taking).await.unwrap();
    }

    fn counted(&self, name: &str) -> u64 {
        self.counters.all().get(name).copied().unwrap_or(0)
    }

    async fn rows(&self, table: &str) -> u64 {
        let mut reader = self.office.reader().await.unwrap();
        let sql = format!("SELECT COUNT(*) FROM {table}");
        reader.rows(&sql, vec![]).await.unwrap()[0].count(0).unwrap()
    }

    async fn knows(&self, office: &str) -> bool {
        let mut reader = self.office.reader().await.unwrap();
        reader.view::<serde_json::Value>("directory", office).await.unwrap().is_some()
    }
}

/// The city's entry that enrols the peer district.
fn enrolment(sequence: u64) -> Vec<u8> {
    let member = member(PEER, Tier::District, &key(2));
    let enrolled = Directory::Enrolled { member, token: Hash::default(), baselines: vec![] };
    let at = fact(CITY, sequence, sequence, Audience::All, "directory.enrolled.v1");
    signed(at, &enrolled, &key(1))
}

/// The peer's figures, as sent to the receiving district although it is no parent.
fn from_peer(sequence: u64, lane: u64, kind: &str, by: &EventKey) -> Vec<u8> {
    let to = Audience::To(OfficeId::parse("dddddddd").unwrap());
    signed(fact(PEER, sequence, lane, to, kind), &serde_json::json!({}), by)
}

async fn junk_and_forgeries_are_dropped_and_counted(store: TestStore) {
    let scene = Scene::new(&store).await;
    scene.take(&[b"{\"stream\":\"HISTORY\",\"seq\":9}", b"", &[1, 0, 9]]).await;
    let mut altered = scene.founding.clone();
    altered[40] ^= 1;
    scene.take(&[&altered]).await;
    assert!(scene.counted("not-an-entry") >= 3, "{:?}", scene.counters.all());
    assert_eq!((scene.office.head(), scene.rows("received").await), (0, 0));
    scene.take(&[&scene.founding.clone(), &enrolment(2)]).await;
    let before = scene.counted("not-an-entry");
    // Its own key's name with another's signature.
    let mut forged = from_peer(1, 1, "finding.closed-out.v1", &key(2));
    let end = forged.len() - 1;
    forged[end] ^= 1;
    scene.take(&[&forged]).await;
    assert_eq!(scene.counted("not-an-entry"), before + 1);
    assert_eq!((scene.rows("received").await, scene.rows("held").await), (2, 0));
    // Well formed, in its place, but made with a key that nobody knows: a turn to it may
    // be on its way, and nothing is taken in before.
    scene.take(&[&from_peer(1, 1, "finding.closed-out.v1", &key(7))]).await;
    assert_eq!(scene.counted("unknown-key"), 1);
    assert_eq!((scene.rows("received").await, scene.rows("held").await), (2, 1));
}

async fn an_unknown_signer_waits_for_its_enrolment(store: TestStore) {
    let scene = Scene::new(&store).await;
    let early = from_peer(1, 1, "finding.closed-out.v1", &key(2));
    scene.take(&[&early]).await;
    assert_eq!((scene.rows("held").await, scene.rows("received").await), (1, 0));
    scene.take(&[&scene.founding.clone(), &enrolment(2)]).await;
    assert!(scene.knows(PEER).await);
    assert_eq!((scene.rows("held").await, scene.rows("received").await), (0, 3));
    // The same again changes nothing.
    let head = scene.office.head();
    scene.take(&[&early, &scene.founding.clone()]).await;
    assert_eq!((scene.office.head(), scene.counted("duplicate")), (head, 2));
}

async fn the_founding_comes_first_even_in_one_delivery(store: TestStore) {
    let scene = Scene::new(&store).await;
    scene.take(&[&enrolment(2)]).await;
    assert_eq!(scene.rows("received").await, 0);
    scene.take(&[&scene.founding.clone()]).await;
    assert!(scene.knows(CITY).await && scene.knows(PEER).await);
}

async fn a_gap_holds_its_lane_and_nobody_else(store: TestStore) {
    let scene = Scene::new(&store).await;
    scene.take(&[&scene.founding.clone(), &enrolment(2)]).await;
    let of_peer = |n| from_peer(n, n, "finding.closed-out.v1", &key(2));
    scene.take(&[&of_peer(1), &of_peer(3), &of_peer(4), &enrolment(3)]).await;
    assert_eq!((scene.rows("held").await, scene.rows("received").await), (2, 4));
    scene.take(&[&of_peer(2)]).await;
    assert_eq!((scene.rows("held").await, scene.rows("received").await), (0, 7));
}

async fn what_is_authentic_but_not_allowed_is_kept_as_evidence(store: TestStore) {
    let scene = Scene::new(&store).await;
    scene.take(&[&scene.founding.clone(), &enrolment(2)]).await;
    // A draft may never travel; a directory entry is the city's alone.
    let draft = from_peer(1, 1, "finding.drafted.v1", &key(2));
    let elsewhere = Audience::To(office_id("tttttttt"));
    let elsewhere = signed(
        fact(PEER, 2, 1, elsewhere, "finding.closed-out.v1"),
        &serde_json::json!({}),
        &key(2),
    );
    scene.take(&[&draft, &elsewhere]).await;
    assert_eq!((scene.rows("evidence").await, scene.rows("received").await), (2, 2));
    // An office hands its own past on, nobody else's.
    let inside = base64::engine::general_purpose::STANDARD.encode(&scene.founding);
    let to = Audience::To(office_id("dddddddd"));
    let body = serde_json::json!({"event": "shared", "to": "dddddddd", "stream": "round/x",
        "last": 1, "entries": [inside]});
    let carrier = signed(fact(PEER, 4, 1, to, "history.shared.v1"), &body, &key(2));
    scene.take(&[&carrier]).await;
    assert_eq!(scene.counted("carries-others"), 1);
    assert_eq!((scene.rows("evidence").await, scene.rows("received").await), (3, 2));
    // Two different entries at one place: the second is evidence of a fork.
    let first = from_peer(3, 1, "finding.closed-out.v1", &key(2));
    let mut other = fact(PEER, 3, 1, Audience::To(office_id("dddddddd")), "finding.closed-out.v1");
    "another".clone_into(&mut other.id);
    let other = signed(other, &serde_json::json!({}), &key(2));
    scene.take(&[&first]).await;
    scene.take(&[&other]).await;
    assert_eq!(scene.counted("fork"), 1);
}

async fn a_newer_type_is_stored_and_folded_after_the_upgrade(store: TestStore) {
    let scene = Scene::new(&store).await;
    let newer = signed(
        fact(CITY, 2, 2, Audience::All, "directory.greeted.v1"),
        &serde_json::json!({}),
        &key(1),
    );
    scene.take(&[&scene.founding.clone(), &newer, &enrolment(3)]).await;
    assert_eq!(scene.rows("received WHERE folded = 0").await, 1);
    assert!(scene.knows(PEER).await, "what comes after it in its lane goes on");
    assert_eq!(scene.office.check_views().await.unwrap(), None);
}

/// The key that the office of the peer has, as this office knows it.
async fn key_of_peer(scene: &Scene) -> PublicKey {
    let mut reader = scene.office.reader().await.unwrap();
    let row: Option<Entry> = reader.view("directory", PEER).await.unwrap();
    row.unwrap().member.key
}

async fn the_city_s_word_alone_gives_nobody_another_key(store: TestStore) {
    let scene = Scene::new(&store).await;
    scene.take(&[&scene.founding.clone(), &enrolment(2)]).await;
    let says = |sequence, kind: &str, event: &Directory| {
        signed(fact(CITY, sequence, sequence, Audience::All, kind), event, &key(1))
    };
    let (old, new) = (member(PEER, Tier::District, &key(2)), member(PEER, Tier::District, &key(7)));
    let turned = Member { key_from: 4, ..new.clone() };
    let words = offer_words(&office_id(PEER), 1, &key(7).public());
    let by = |seed: u8| Signature(key(seed).sign(&words));
    let forged = Directory::Turned { member: turned.clone(), by: by(1) };
    let again =
        Directory::Enrolled { member: new.clone(), token: Hash::default(), baselines: vec![] };
    let token = Hash([5; 32]);
    let asks = |seed: u8, key: &EventKey| {
        let words = asked_words(&office_id(PEER), &key.public(), &token);
        Signature(EventKey::from_seed(&[seed; 32]).unwrap().sign(&words))
    };
    let closed = Closed { sequence: 3, hash: Hash::default() };
    let life = |member: &Member| Member { epoch: 2, key_from: 4, ..member.clone() };
    // The same key and not asked for by it; another key that no district has signed.
    let unasked = Opening { member: life(&old), closed, token, asked: asks(1, &key(2)) };
    let unsigned = Opening { member: life(&new), closed, token, asked: asks(7, &key(7)) };
    let opened = |opening| Directory::EpochOpened { opening, consents: vec![] };
    scene
        .take(&[
            &says(3, "directory.turned.v1", &forged),
            &says(4, "directory.enrolled.v1", &again),
            &says(5, "directory.epoch-opened.v1", &opened(unasked)),
        ])
        .await;
    assert_eq!((key_of_peer(&scene).await, scene.rows("received").await), (old.key, 5));
    // A second district: now somebody else would have to sign.
    let other = member("ffffffff", Tier::District, &key(3));
    let other = Directory::Enrolled { member: other, token: Hash::default(), baselines: vec![] };
    scene
        .take(&[
            &says(6, "directory.enrolled.v1", &other),
            &says(7, "directory.epoch-opened.v1", &opened(unsigned)),
        ])
        .await;
    assert_eq!(key_of_peer(&scene).await, old.key);
    // With the old key's word the turn is believed.
    let turned = Directory::Turned { member: turned, by: by(2) };
    scene.take(&[&says(8, "directory.turned.v1", &turned)]).await;
    assert_eq!(key_of_peer(&scene).await, new.key);
    assert_eq!(scene.office.check_views().await.unwrap(), None);
}

/// What a township says to its new district may arrive before the city's word of the move;
/// what it says from a place where it never stood is no word to us.
async fn what_comes_from_a_place_not_known_yet_waits_for_the_city_s_word(store: TestStore) {
    const TOWN: &str = "tttttttt";
    let scene = Scene::new(&store).await;
    let town = |below: &str, from: u64| {
        let mut member = member(TOWN, Tier::Township, &key(3));
        member.seat.parent = Some(office_id(below));
        Member { key_from: from, ..member }
    };
    let says = |n: u64, kind: &str, what: &Directory| {
        signed(fact(CITY, n, n, Audience::All, kind), what, &key(1))
    };
    let moved =
        |n: u64, to: Member| says(n, "directory.moved.v1", &Directory::Moved { member: to });
    let up = |sequence: u64, lane: u64| {
        let up = Audience::Up(office_id("dddddddd"));
        let at = fact(TOWN, sequence, lane, up, "filing.expected.v1");
        signed(at, &serde_json::json!({}), &key(3))
    };
    let member = town(PEER, 1);
    let enrolled = Directory::Enrolled { member, token: Hash::default(), baselines: vec![] };
    let enrolled = says(3, "directory.enrolled.v1", &enrolled);
    scene.take(&[&scene.founding.clone(), &enrolment(2), &enrolled]).await;
    scene.take(&[&up(9, 1)]).await;
    assert_eq!((scene.counted("unknown-place"), scene.rows("held").await), (1, 1));
    // Another office's key changes hands with no move.
    let stranger = Member { key: key(7).public(), ..town("dddddddd", 9) };
    scene.take(&[&moved(4, stranger)]).await;
    assert_eq!(scene.rows("held").await, 1);
    scene.take(&[&moved(5, town("dddddddd", 9))]).await;
    assert_eq!((scene.rows("held").await, scene.rows("received").await), (0, 6));
    // Before the move it stood elsewhere.
    scene.take(&[&up(8, 2)]).await;
    assert_eq!((scene.rows("held").await, scene.rows("evidence").await), (0, 1));
    assert_eq!(scene.office.check_views().await.unwrap(), None);
}

testkit::on_both_engines! {
    what_comes_from_a_place_not_known_yet_waits_for_the_city_s_word
    junk_and_forgeries_are_dropped_and_counted
    an_unknown_signer_waits_for_its_enrolment
    the_founding_comes_first_even_in_one_delivery
    a_gap_holds_its_lane_and_nobody_else
    what_is_authentic_but_not_allowed_is_kept_as_evidence
    a_newer_type_is_stored_and_folded_after_the_upgrade
    the_city_s_word_alone_gives_nobody_another_key
}

use domain::directory::Event as Directory;
use kernel::{Actor, Audience, EntryRef, Fact, Root, Tier, Timestamp, sign::EventKey};
use testkit::{TestStore, office_id, setting};

use super::*;
use crate::{
    directory::DirectoryView,
    memory::Memory,
    safe::{self, Cover},
};

fn key() -> EventKey {
    EventKey::from_seed(&[4; 32]).unwrap()
}

fn fact(sequence: u64, lane: u64) -> Vec<u8> {
    let origin = office_id("cccccccc");
    let place = Seat {
        office: origin.clone(),
        tier: Tier::City,
        parent: None,
        code: "1".into(),
        name: "甲".into(),
    };
    let member = Member { seat: place, key: key().public(), epoch: 1, key_from: 1 };
    let fact = Fact {
        id: format!("f{sequence}"),
        at: EntryRef { origin: origin.clone(), epoch: 1, sequence },
        kind: "cn.liandong.directory.founded.v1".to_owned(),
        recorded: Timestamp(1_000),
        root: Root::Ev,
        audience: Audience::All,
        lane,
        stream: format!("directory/{origin}"),
        version: Some(lane),
        copy_of: None,
        actor: Actor::system(),
        act_date: None,
        causation: None,
        data: serde_json::value::to_raw_value(&Directory::Founded { city: member, demo: false })
            .unwrap(),
        hash: Hash::default(),
    };
    fact.sign(&key()).unwrap()
}

fn sealed(sequence: u64) -> Vec<u8> {
    let inside = fact(sequence, sequence);
    let at = EntryRef { origin: office_id("cccccccc"), epoch: 1, sequence };
    let cover = Cover { at, hash: entry::hash(&inside) };
    safe::seal(&inside, &cover, &[7; 32], &key()).unwrap()
}

/// A log whose long middle only its office may read: 1, 302 and 303 are shared.
fn log() -> Vec<Vec<u8>> {
    let mut log: Vec<Vec<u8>> = (1..=303).map(sealed).collect();
    log[0] = fact(1, 1);
    log[301] = fact(302, 2);
    log[302] = fact(303, 3);
    log
}

/// Sends as a relay does, from where the hub stands, a hundred at a time; how many turns
/// it took until the hub has everything.
async fn send_all(ingest: &Ingest, log: &[Vec<u8>]) -> usize {
    let city = office_id("cccccccc");
    for turn in 0..20 {
        let held = ingest.answer(&city, &[]).await;
        let mut from = usize::try_from(held.sequence).unwrap();
        if from == log.len() {
            return turn;
        }
        while from < log.len() {
            let upto = log.len().min(from + 100);
            let items = log[from..upto].iter().map(Vec::as_slice);
            let answer = ingest.answer(&city, &entry::frame(items)).await;
            assert_eq!(answer.answer, "held", "{}", answer.code);
            if usize::try_from(answer.sequence).unwrap() != upto {
                break;
            }
            from = upto;
        }
    }
    panic!("the hub never had everything");
}

async fn city() -> (TestStore, Memory, Ingest) {
    let (store, hub) = (TestStore::sqlite(), Memory::default());
    let office = Office::open(Setting {
        office: office_id("cccccccc"),
        tier: Tier::City,
        enrolled_below: None,
        bindings: domain::binding::bindings,
        views: Arc::new([Arc::new(DirectoryView)]),
        ..setting(&store)
    });
    let papers = store.folder().join("papers");
    let ingest = Ingest::new(office.await.unwrap(), Arc::new(hub.clone()), papers);
    (store, hub, ingest)
}

/// One stream of the hub lost its tail and the other did not: what the other holds already
/// counts, or a long run of it would be sent for ever.
#[tokio::test]
async fn a_stream_that_lost_its_tail_is_filled_beside_one_that_did_not() {
    let log = log();
    for (lost, keep) in [(Stream::History, 1), (Stream::Safe, 5), (Stream::History, 2)] {
        let (_store, hub, ingest) = city().await;
        assert_eq!(send_all(&ingest, &log).await, 1);
        hub.cut(lost, keep);
        assert_eq!(send_all(&ingest, &log).await, 1);
        let counts = [Stream::History, Stream::Safe].map(|stream| hub.count(stream));
        assert_eq!(counts, [3, 300], "after {lost:?} lost its tail");
    }
}

//! The lanes of an office that moves: what its parent so far had said it has first, and
//! what the other one had said before is not for it.

use std::sync::Arc;

use domain::directory::{Baseline, Event as Directory, Member, Move, Seat};
use event_store::{Answer, LaneHead, Office, Setting, Unit, act};
use kernel::{
    Actor, Audience, EntryRef, Fact, Lane, OfficeId, Root, Timestamp, entry,
    id::Tier,
    sign::{EventKey, Hash},
};
use messaging::{counters::Counters, directory::Pin, intake::taking_in};
use testkit::{TestStore, office_id, setting};

const CITY: &str = "cccccccc";
const TOWN: &str = "dddddddd";
const BEFORE: &str = "eeeeeeee";
const AFTER: &str = "ffffffff";

fn member(office: &str, tier: Tier, parent: Option<&str>, key: u8) -> Member {
    let (office, parent) = (office_id(office), parent.map(office_id));
    let seat = Seat { office, tier, parent, code: "1".into(), name: "甲".into() };
    let key = EventKey::from_seed(&[key; 32]).unwrap().public();
    Member { seat, key, epoch: 1, key_from: 1 }
}

/// The city's entry with this number.
fn says(n: u64, name: &str, event: &Directory) -> Vec<u8> {
    let fact = Fact {
        id: format!("{CITY}-{n}"),
        at: EntryRef { origin: office_id(CITY), epoch: 1, sequence: n },
        kind: format!("cn.liandong.directory.{name}.v1"),
        recorded: Timestamp(1000),
        root: Root::Ev,
        audience: Audience::All,
        lane: n,
        stream: format!("directory/{CITY}"),
        version: Some(n),
        copy_of: None,
        actor: Actor::system(),
        act_date: None,
        causation: None,
        data: serde_json::value::to_raw_value(event).unwrap(),
        hash: Hash::default(),
    };
    fact.sign(&EventKey::from_seed(&[1; 32]).unwrap()).unwrap()
}

fn down(of: &str) -> Lane {
    let origin: OfficeId = office_id(of);
    Lane { audience: Audience::Down(origin.clone()), origin, root: Root::Ev }
}

fn baseline(of: &str, epoch: u32, counter: u64) -> Baseline {
    Baseline { lane: down(of), epoch, counter, hash: Hash([7; 32]) }
}

/// Sets how far a lane goes here, and says how far another one does.
async fn lane(office: &Office, set: Option<Baseline>, shown: &str) -> Option<(u32, u64)> {
    let shown = down(shown).to_string();
    let asking = act(move |unit: &mut Unit<'_>| {
        let (set, shown) = (set.clone(), shown.clone());
        Box::pin(async move {
            if let Some(Baseline { lane, epoch, counter, hash }) = set {
                let head = LaneHead { origin: lane.origin.clone(), epoch, counter, hash };
                unit.set_lane(lane.to_string(), head);
            }
            let head = unit.lane(&shown).map(|head| (head.epoch, head.counter));
            let body = serde_json::to_vec(&head).unwrap_or_default();
            Ok(Answer { status: 200, etag: String::new(), body })
        })
    });
    serde_json::from_slice(&office.system(asking).await.unwrap().body).unwrap()
}

async fn an_office_moves_when_it_has_what_its_parent_had_said(store: TestStore) {
    let office = Office::open(Setting {
        tier: Tier::Township,
        enrolled_below: Some(office_id(BEFORE)),
        bindings: domain::binding::bindings,
        turns: domain::office::turns,
        dated: &domain::dated::FAMILIES,
        views: (township::service().views)(&office_id(TOWN)).into(),
        ..setting(&store)
    })
    .await
    .unwrap();
    let city = member(CITY, Tier::City, None, 1);
    let founded = Directory::Founded { city: city.clone(), demo: false };
    let mut entries = vec![says(1, "founded", &founded)];
    for (n, member) in (2..).zip([
        member(BEFORE, Tier::District, Some(CITY), 2),
        member(AFTER, Tier::District, Some(CITY), 3),
        member(TOWN, Tier::Township, Some(BEFORE), 4),
    ]) {
        let enrolled = Directory::Enrolled { member, token: Hash([9; 32]), baselines: vec![] };
        entries.push(says(n, "enrolled", &enrolled));
    }
    let called = Move {
        office: office_id(TOWN),
        parent: office_id(AFTER),
        until: vec![baseline(BEFORE, 1, 3)],
        baselines: vec![baseline(AFTER, 1, 10)],
    };
    entries.push(says(5, "move-called", &Directory::MoveCalled { called }));
    let founding = entry::hash(&entries[0]);
    let pin = Pin { city: office_id(CITY), key: city.key, founding, demo: false };
    let taking = taking_in(entries, Arc::new(pin), Arc::new(Counters::default()));
    office.system(taking).await.unwrap();
    lane(&office, Some(baseline(BEFORE, 1, 2)), AFTER).await;
    let head = office.head();
    desks::moves::turn(&office).await.unwrap();
    assert_eq!((office.head(), office.here().parent), (head, Some(office_id(BEFORE))));
    lane(&office, Some(baseline(BEFORE, 1, 3)), AFTER).await;
    desks::moves::turn(&office).await.unwrap();
    assert_eq!((office.head(), office.here().parent), (head + 1, Some(office_id(AFTER))));
    assert_eq!(lane(&office, None, AFTER).await, Some((1, 10)));
    // A new life of that lane began lower; it is not set back to where the call said.
    lane(&office, Some(baseline(AFTER, 2, 5)), AFTER).await;
    desks::moves::turn(&office).await.unwrap();
    assert_eq!((lane(&office, None, AFTER).await, office.head()), (Some((2, 5)), head + 1));
}

testkit::on_both_engines! {
    an_office_moves_when_it_has_what_its_parent_had_said
}

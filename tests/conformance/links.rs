//! Questions and answers, and what is left of them when the line breaks.

use std::time::Duration;

use domain::directory::{Event as Directory, Member, Seat};
use kernel::{
    Actor, Audience, EntryRef, Fact, Root, Tier, Timestamp, entry,
    note::Note,
    sign::{EventKey, Hash},
};
use messaging::{link::Failure, link::Stream, relay::Answer};

use super::{Carrier, Line, SOON, city, done, given, healed, office, reader, say, spec, texts};

/// The key of the city in `testkit`.
fn key() -> EventKey {
    EventKey::from_seed(&[4; 32]).unwrap()
}

/// The first entry of the city.
fn founding() -> Vec<u8> {
    let seat = Seat {
        office: city(),
        tier: Tier::City,
        parent: None,
        code: "1".into(),
        name: "甲".into(),
    };
    let member = Member { seat, key: key().public(), epoch: 1, key_from: 1 };
    let founded = Directory::Founded { city: member, demo: false };
    let fact = Fact {
        id: "founding".to_owned(),
        at: EntryRef { origin: city(), epoch: 1, sequence: 1 },
        kind: "cn.liandong.directory.founded.v1".to_owned(),
        recorded: Timestamp(1_000),
        root: Root::Ev,
        audience: Audience::All,
        lane: 1,
        stream: format!("directory/{}", city()),
        version: Some(1),
        copy_of: None,
        actor: Actor::system(),
        act_date: None,
        causation: None,
        data: serde_json::value::to_raw_value(&founded).unwrap(),
        hash: Hash::default(),
    };
    fact.sign(&key()).unwrap()
}

fn heartbeat(at: i64) -> Vec<u8> {
    let note = Note::Heartbeat { by: city(), at: Timestamp(at), demo: false };
    note.sign(&key()).unwrap()
}

async fn ask(link: &dyn messaging::link::Link, items: &[&[u8]]) -> Result<Answer, Failure> {
    let answer = link.ask(&city(), entry::frame(items.iter().copied())).await?;
    Ok(serde_json::from_slice(&answer)?)
}

pub(super) async fn what_is_asked_twice_is_stored_once(carrier: &dyn Carrier) {
    let (hub, link, entry) = (carrier.hub(), carrier.link(city()).await, founding());
    let empty = ask(&*link, &[]).await.unwrap();
    assert_eq!((empty.answer.as_str(), empty.sequence), ("held", 0));
    for _ in 0..3 {
        let held = ask(&*link, &[&entry]).await.unwrap();
        assert_eq!((held.answer.as_str(), held.sequence), ("held", 1), "{held:?}");
        assert_eq!(held.hash, entry::hash(&entry));
    }
    let stored = hub.next(Stream::History, ">", 0).await.unwrap().unwrap();
    assert_eq!(stored.payload, entry);
    assert_eq!(hub.next(Stream::History, ">", stored.sequence + 1).await.unwrap(), None);
    let junk = ask(&*link, &[b"junk"]).await.unwrap();
    assert_eq!((junk.answer.as_str(), junk.sequence), ("refused", 1));
}

pub(super) async fn a_cut_link_fails_and_heals(carrier: &dyn Carrier) {
    let (hub, link) = (carrier.hub(), carrier.link(city()).await);
    let mut reads = reader(carrier, spec("rrrrrrrr", &["ev.>"])).await;
    carrier.set(Line::Cut);
    tokio::time::sleep(Duration::from_millis(100)).await;
    let cut = ask(&*link, &[&founding()]).await;
    assert!(matches!(cut, Err(Failure::Unanswered)), "{cut:?}");
    say(&*hub, "aaaaaaaa", "all", "meanwhile").await;
    let through = reads.next(10, SOON).await.unwrap_or_default();
    assert_eq!(texts(&through), [""; 0]);
    carrier.set(Line::Whole);
    let held = healed(|| async { ask(&*link, &[]).await }).await;
    assert_eq!(held.sequence, 0, "what was asked into a cut link never arrives later");
    let link = carrier.link(office("rrrrrrrr")).await;
    let mut reads = healed(|| link.reader(Stream::History, "rrrrrrrr")).await;
    assert_eq!(given(&mut *reads).await, ["meanwhile"]);
}

pub(super) async fn what_was_not_answered_may_have_been_done(carrier: &dyn Carrier) {
    let (hub, link) = (carrier.hub(), carrier.link(city()).await);
    carrier.set(Line::Deaf);
    let (asking, breaking) = (founding(), heartbeat(5));
    let items = [breaking.as_slice(), asking.as_slice()];
    let unanswered = ask(&*link, &items);
    let breaks = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        carrier.set(Line::Whole);
    };
    let (unanswered, ()) = tokio::join!(unanswered, breaks);
    assert!(matches!(unanswered, Err(Failure::Unanswered)), "{unanswered:?}");
    let held = healed(|| async { ask(&*link, &[]).await }).await;
    assert_eq!((held.sequence, held.hash), (1, entry::hash(&asking)));
    let note = hub.last(Stream::Attest, "at.hb.>").await.unwrap().unwrap();
    assert_eq!(note.payload, breaking);
}

pub(super) async fn a_cut_loses_nothing_of_what_was_given(carrier: &dyn Carrier) {
    let hub = carrier.hub();
    for text in ["a1", "a2", "a3"] {
        say(&*hub, "aaaaaaaa", "all", text).await;
    }
    let mut first = reader(carrier, spec("rrrrrrrr", &["ev.>"])).await;
    assert_eq!(texts(&first.next(1, SOON).await.unwrap()), ["a1"]);
    done(&mut *first).await;
    assert_eq!(texts(&first.next(1, SOON).await.unwrap()), ["a2"]);
    carrier.set(Line::Cut);
    tokio::time::sleep(Duration::from_millis(100)).await;
    say(&*hub, "aaaaaaaa", "all", "a4").await;
    carrier.set(Line::Whole);
    let link = carrier.link(office("rrrrrrrr")).await;
    let mut again = healed(|| link.reader(Stream::History, "rrrrrrrr")).await;
    assert_eq!(given(&mut *again).await, ["a2", "a3", "a4"]);
}

pub(super) async fn a_hub_that_is_put_back_uses_its_sequences_again(carrier: &dyn Carrier) {
    let hub = carrier.hub();
    say(&*hub, "aaaaaaaa", "all", "a1").await;
    let link = carrier.link(office("rrrrrrrr")).await;
    hub.make_reader(spec("rrrrrrrr", &["ev.>"])).await.unwrap();
    let mut reads = link.reader(Stream::History, "rrrrrrrr").await.unwrap();
    assert_eq!(given(&mut *reads).await, ["a1"]);
    done(&mut *reads).await;
    carrier.keep().await;
    let lost = say(&*hub, "aaaaaaaa", "all", "lost").await;
    let mut reads = healed(|| link.reader(Stream::History, "rrrrrrrr")).await;
    // The hub's end took the word that a1 was done along, or not.
    assert_eq!(given(&mut *reads).await.last().map(String::as_str), Some("lost"));
    done(&mut *reads).await;
    carrier.put_back().await;
    assert_eq!(say(&*hub, "bbbbbbbb", "all", "other").await, lost);
    // The same reader, not bound anew: it may fail once, and goes on.
    let mut came = Vec::new();
    for _ in 0..40 {
        came.extend(texts(&reads.next(10, SOON).await.unwrap_or_default()));
        if came.iter().any(|text| text == "other") {
            break;
        }
    }
    came.retain(|text| text != "a1");
    assert_eq!(came, ["other"]);
}

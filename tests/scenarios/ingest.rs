//! Forged, altered and misaddressed entries are refused and counted; junk on
//! NATS changes nothing.

use kernel::{
    Entropy, EntryRef, Fact, OfficeId, entry,
    sign::{EventKey, Hash},
};
use messaging::{link::Link, nats::connection::Connection, relay::Answer};
use serde_json::Value;
use tests::town::{CITY, DISTRICT, TOWN, Town};

pub(crate) async fn link_of(town: &Town, code: &str) -> Connection {
    let creds = std::fs::read_to_string(town.keys(code).join("nats.creds")).unwrap();
    let mut link = Connection::open(&town.hub_url(), &town.id(code), &creds, None).await.unwrap();
    link.ready().await.unwrap();
    link
}

pub(crate) async fn ask(link: &Connection, office: &str, items: &[&[u8]]) -> Answer {
    let body = entry::frame(items.iter().copied());
    let office = OfficeId::parse(office).unwrap();
    serde_json::from_slice(&link.ask(&office, body).await.unwrap()).unwrap()
}

/// A fact that the district could issue next, before a test bends it.
fn next_fact(town: &Town, held: u64) -> Fact {
    let office = town.id(DISTRICT);
    let data = r#"{"event":"heard","number":"R1","on":"2024-01-08"}"#.to_owned();
    Fact {
        id: Entropy::System.uuid(),
        at: EntryRef::parse(&format!("{office}/1/{}", held + 1)).unwrap(),
        kind: "cn.liandong.round.heard.v1".to_owned(),
        recorded: kernel::Timestamp(1_704_700_000_000),
        root: kernel::Root::Ev,
        audience: kernel::Audience::parse(&format!("up-{}", town.id(CITY))).unwrap(),
        lane: 1,
        stream: format!("round/{office}-R1"),
        version: Some(1),
        copy_of: None,
        actor: kernel::Actor::system(),
        act_date: None,
        causation: None,
        data: serde_json::value::RawValue::from_string(data).unwrap(),
        hash: Hash::default(),
    }
}

pub(crate) async fn quiet(town: &Town, link: &Connection) -> u64 {
    town.until("the district's log is held", || async {
        let ready = town.api(DISTRICT).get("SYS", "/health/ready").await.unwrap();
        ready["unsent"] == 0
    })
    .await;
    ask(link, &town.id(DISTRICT), &[]).await.sequence
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_forged_altered_or_misaddressed_is_refused_and_counted() {
    let mut town = Town::start().await;
    let link = link_of(&town, DISTRICT).await;
    let held = quiet(&town, &link).await;
    // From here on the district's own relay must not interfere.
    town.stop_office(DISTRICT).await;
    let office = town.id(DISTRICT);
    let seed = std::fs::read(town.keys(DISTRICT).join("event.key")).unwrap();
    let (key, other) =
        (EventKey::from_seed(&seed).unwrap(), EventKey::from_seed(&[9; 32]).unwrap());
    let good = next_fact(&town, held);
    let bend = |change: &dyn Fn(&mut Fact)| {
        let mut fact = good.clone();
        change(&mut fact);
        fact.sign(&key).unwrap()
    };
    let mut altered = good.sign(&key).unwrap();
    altered[60] ^= 1;
    let another = town.id(TOWN);
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("signature", good.sign(&other).unwrap()),
        ("malformed", b"\x01\x00\x05junk".to_vec()),
        (
            "misaddressed",
            bend(&|f| f.at = EntryRef::parse(&format!("{another}/1/{}", held + 1)).unwrap()),
        ),
        ("gap", bend(&|f| f.at.sequence += 1)),
        ("epoch", bend(&|f| f.at.epoch = 2)),
        ("stream-owner", bend(&|f| f.stream = format!("round/{another}-R1"))),
        ("stream-family", bend(&|f| f.stream = format!("filing/{office}-R1"))),
        ("audience", bend(&|f| f.audience = kernel::Audience::All)),
        (
            "audience",
            bend(&|f| f.audience = kernel::Audience::parse(&format!("up-{another}")).unwrap()),
        ),
        (
            "tier",
            bend(&|f| {
                f.kind = "cn.liandong.directory.founded.v1".to_owned();
                f.stream = format!("directory/{office}");
            }),
        ),
    ];
    for (code, item) in &cases {
        let answer = ask(&link, &office, &[item]).await;
        assert_eq!((answer.answer.as_str(), answer.code.as_str()), ("refused", *code));
        assert_eq!(answer.sequence, held, "{code}: nothing was stored");
    }
    let answer = ask(&link, &office, &[&altered]).await;
    assert_eq!(answer.answer, "refused");
    let newer = bend(&|f| f.kind = "cn.liandong.round.heard.v2".to_owned());
    assert_eq!(ask(&link, &office, &[&newer]).await.code, "unknown-type");
    let counted = town.api(CITY).get("SYS", "/api/ingest").await.unwrap();
    for (code, _) in &cases {
        assert!(counted["refused"][*code].as_u64().unwrap() >= 1, "{code}: {counted}");
    }
    // The same door takes the good one, so the refusals were not the door's.
    let answer = ask(&link, &office, &[&good.sign(&key).unwrap()]).await;
    assert_eq!((answer.answer.as_str(), answer.sequence), ("held", held + 1));
    // And another entry at the same place is a fork.
    let fork = bend(&|f| "x".clone_into(&mut f.id));
    assert_eq!(ask(&link, &office, &[&fork]).await.answer, "fork");
}

#[tokio::test(flavor = "multi_thread")]
async fn junk_on_nats_changes_nothing() {
    let town = Town::start().await;
    let link = link_of(&town, TOWN).await;
    let before: Vec<Value> = town.entries(CITY).await;
    let (own, other) = (town.id(TOWN), town.id(DISTRICT));
    let mut refused = link.refused.clone();
    for subject in [
        format!("ev.{own}.all.directory"),
        format!("ev.{other}.to-{own}.finding"),
        format!("in.{other}"),
        format!("safe.{other}"),
        format!("at.hb.{other}"),
        "$JS.API.STREAM.DELETE.HISTORY".to_owned(),
        "HUB.API.STREAM.PURGE.HISTORY".to_owned(),
        format!("HUB.API.CONSUMER.MSG.NEXT.HISTORY.{other}"),
    ] {
        refused.mark_unchanged();
        link.client.publish(subject.clone(), "junk".into()).await.unwrap();
        let told = tokio::time::timeout(std::time::Duration::from_secs(5), refused.changed()).await;
        assert!(told.is_ok(), "{subject} was not refused");
    }
    let answer = link.ask(&OfficeId::parse(&own).unwrap(), vec![0xff; 9]).await.unwrap();
    let answer: Answer = serde_json::from_slice(&answer).unwrap();
    assert_eq!((answer.answer.as_str(), answer.code.as_str()), ("refused", "malformed"));
    let after = town.entries(CITY).await;
    assert_eq!(before.len(), after.len());
}

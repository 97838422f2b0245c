//! What every store must do, on both engines.
#![expect(clippy::unwrap_used, reason = "in a test, a panic is the report")]

use std::sync::Arc;

use event_store::{
    Answer, FoldError, Idempotency, Incoming, Office, Reaction, Rows, Setting, Stop, Unit, View,
    act, log,
};
use kernel::{
    Actor, Aggregate, Audience, Clock, Context, EntryRef, Fact, Refusal, Root, Timestamp,
    binding::{Binding, Class, Rule},
    id::Tier,
    refusal::Code,
    sign::EventKey,
};
use serde::{Deserialize, Serialize};
use testkit::{TestStore, office_id, setting};

#[derive(Clone, Default)]
struct Tally(u64);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum Event {
    Added { by: u64 },
    Doubled,
}

impl Aggregate for Tally {
    type Command = Event;
    type Event = Event;
    const FAMILY: &'static str = "tally";

    fn name(event: &Event) -> &'static str {
        match event {
            Event::Added { .. } => "added",
            Event::Doubled => "doubled",
        }
    }

    fn decide(&self, command: Event, _: &Context) -> Result<Vec<Event>, Refusal> {
        match command {
            Event::Added { by: 0 } => Err(Code::EmptyText.into()),
            Event::Doubled if self.0 == 0 => Err(Code::WrongState.into()),
            command => Ok(vec![command]),
        }
    }

    fn evolve(&mut self, event: &Event) {
        match event {
            Event::Added { by } => self.0 += by,
            Event::Doubled => self.0 *= 2,
        }
    }
}

struct Totals;

impl View for Totals {
    fn name(&self) -> &'static str {
        "totals"
    }

    fn apply(&self, rows: &mut Rows<'_>, fact: &Fact) -> Result<(), FoldError> {
        if fact.family() != "tally" {
            return Ok(());
        }
        let event: Event = fact.read()?;
        rows.change("totals", &fact.stream, |total: &mut u64| match event {
            Event::Added { by } => *total += by,
            Event::Doubled => *total *= 2,
        })
    }
}

const BINDINGS: &[Binding] = &[
    row("tally", "added", Rule::Up),
    row("tally", "doubled", Rule::Own),
    row("intake", "received", Rule::Own),
    row("intake", "folded", Rule::Own),
    row("intake", "reaction-refused", Rule::Own),
];

const fn row(family: &'static str, name: &'static str, rule: Rule) -> Binding {
    let tiers = &[Tier::City, Tier::District, Tier::Township];
    Binding { family, name, root: Root::Ev, rule, class: Class::K2, tiers }
}

fn bindings(kind: &str) -> Option<&'static Binding> {
    BINDINGS.iter().find(|b| kernel::decider::kind(b.family, b.name) == kind)
}

/// Whenever 100 is added, the tally is doubled; on "dddddddd-bad" that is refused.
fn double_hundreds(fact: &Fact, _: &event_store::Standpoint) -> Option<event_store::Act> {
    let Ok(Event::Added { by: 100 }) = fact.read::<Event>() else { return None };
    let id = if fact.stream.ends_with("-bad") { "dddddddd-empty" } else { "dddddddd-a" };
    Some(adding(id, Event::Doubled, None))
}

fn setting_of(store: &TestStore) -> Setting {
    Setting {
        bindings,
        views: Arc::new([Arc::new(Totals)]),
        reactions: Arc::new([Reaction { name: "double-hundreds", on: double_hundreds }]),
        ..setting(store)
    }
}

fn adding(id: &str, command: Event, expected: Option<u64>) -> event_store::Act {
    let id = id.to_owned();
    act(move |unit: &mut Unit<'_>| {
        let (id, command) = (id.clone(), command.clone());
        Box::pin(async move {
            let done = unit.execute_at::<Tally>(&id, command, expected).await?;
            Ok(Answer { status: 200, etag: done.version.to_string(), body: done.stream.into() })
        })
    })
}

fn person() -> Actor {
    Actor { person: "p1".into(), role: "D_PLAN".into() }
}

async fn add(office: &Office, id: &str, by: u64) -> Result<Answer, Refusal> {
    office.command(person(), None, None, adding(id, Event::Added { by }, None)).await
}

async fn total(office: &Office, id: &str) -> Option<u64> {
    office.reader().await.unwrap().view("totals", &format!("tally/{id}")).await.unwrap()
}

async fn reopened(office: Office, setting: Setting) -> Office {
    drop(office);
    for _ in 0..200 {
        if let Ok(office) = Office::open(setting.clone()).await {
            return office;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("the store did not open again");
}

async fn what_was_answered_is_there_after_a_restart(store: TestStore) {
    let office = Office::open(setting_of(&store)).await.unwrap();
    add(&office, "dddddddd-a", 3).await.unwrap();
    add(&office, "dddddddd-a", 4).await.unwrap();
    let office = reopened(office, setting_of(&store)).await;
    assert_eq!((office.head(), total(&office, "dddddddd-a").await), (2, Some(7)));
    add(&office, "dddddddd-a", 1).await.unwrap();
    let mut reader = office.reader().await.unwrap();
    let entries = log::own_after(&mut reader, 0, 10).await.unwrap();
    let facts: Vec<_> = entries.iter().map(|own| Fact::of_entry(&own.entry).unwrap().0).collect();
    let places: Vec<_> =
        facts.iter().map(|f| (f.at.sequence, f.version, f.lane, f.audience.to_string())).collect();
    let up = || "up-cccccccc".to_owned();
    assert_eq!(places, [(1, Some(1), 1, up()), (2, Some(2), 2, up()), (3, Some(3), 3, up())]);
}

async fn many_callers_get_dense_places_and_lose_nothing(store: TestStore) {
    let office = Office::open(setting_of(&store)).await.unwrap();
    let callers = (0..64).map(|caller| {
        let office = office.clone();
        tokio::spawn(async move {
            for _ in 0..10 {
                add(&office, &format!("dddddddd-{}", caller % 3), 1).await.unwrap();
            }
        })
    });
    for caller in callers.collect::<Vec<_>>() {
        caller.await.unwrap();
    }
    let mut sum = 0;
    for id in ["dddddddd-0", "dddddddd-1", "dddddddd-2"] {
        sum += total(&office, id).await.unwrap();
    }
    let mut reader = office.reader().await.unwrap();
    let entries = log::own_after(&mut reader, 0, 1000).await.unwrap();
    let dense = entries.iter().zip(1..).all(|(own, place)| own.sequence == place);
    assert_eq!((sum, entries.len(), dense), (640, 640, true));
    assert_eq!(office.check_views().await.unwrap(), None);
}

async fn a_refusal_takes_nothing_of_the_others_with_it(store: TestStore) {
    let office = Office::open(setting_of(&store)).await.unwrap();
    let commands = (0..30).map(|n| {
        let office = office.clone();
        tokio::spawn(async move { add(&office, "dddddddd-a", n % 2).await })
    });
    let mut refused = 0;
    for command in commands.collect::<Vec<_>>() {
        refused += usize::from(command.await.unwrap().is_err_and(|r| r.code == Code::EmptyText));
    }
    assert_eq!((refused, office.head(), total(&office, "dddddddd-a").await), (15, 15, Some(15)));
}

async fn a_command_that_is_refused_half_way_leaves_nothing(store: TestStore) {
    let office = Office::open(setting_of(&store)).await.unwrap();
    let half = act(|unit: &mut Unit<'_>| {
        Box::pin(async move {
            unit.execute::<Tally>("dddddddd-a", Event::Added { by: 7 }).await?;
            unit.execute::<Tally>("dddddddd-b", Event::Added { by: 0 }).await?;
            Err(Stop::Refused(Code::Internal.into()))
        })
    });
    let (refused, added) =
        tokio::join!(office.command(person(), None, None, half), add(&office, "dddddddd-b", 1));
    assert_eq!((refused.unwrap_err().code, added.is_ok()), (Code::EmptyText, true));
    let totals = (total(&office, "dddddddd-a").await, total(&office, "dddddddd-b").await);
    assert_eq!((totals, office.head()), ((None, Some(1)), 1));
}

async fn a_key_is_answered_once_and_for_all(store: TestStore) {
    let office = Office::open(setting_of(&store)).await.unwrap();
    let send = async |office: &Office, body: &str| {
        let key = Idempotency::new("p1", "POST /tally", "k1", body.as_bytes());
        let act = adding("dddddddd-a", Event::Added { by: 5 }, None);
        office.command(person(), None, Some(key), act).await
    };
    let (first, second) = tokio::join!(send(&office, "x"), send(&office, "x"));
    assert_eq!(first.as_ref().unwrap(), second.as_ref().unwrap());
    let office = reopened(office, setting_of(&store)).await;
    assert_eq!(send(&office, "x").await.unwrap(), first.unwrap());
    assert_eq!(send(&office, "y").await.unwrap_err().code, Code::KeyReused);
    assert_eq!(total(&office, "dddddddd-a").await, Some(5));
}

async fn a_stale_version_is_refused(store: TestStore) {
    let office = Office::open(setting_of(&store)).await.unwrap();
    add(&office, "dddddddd-a", 1).await.unwrap();
    let stale = adding("dddddddd-a", Event::Added { by: 1 }, Some(0));
    let refusal = office.command(person(), None, None, stale).await.unwrap_err();
    assert_eq!((refusal.code, total(&office, "dddddddd-a").await), (Code::Stale, Some(1)));
}

async fn a_second_process_cannot_take_the_store(store: TestStore) {
    let _office = Office::open(setting_of(&store)).await.unwrap();
    let second = Office::open(setting_of(&store)).await;
    assert!(matches!(second, Err(event_store::StoreError::Fenced)), "{second:?}");
}

async fn a_raised_fence_stops_the_first_writer(store: TestStore) {
    let office = Office::open(setting_of(&store)).await.unwrap();
    add(&office, "dddddddd-a", 1).await.unwrap();
    let mut other = event_store::db::Conn::open_reader_writable(&store.engine).await.unwrap();
    other.exec("UPDATE writer SET fence = fence + 1", vec![]).await.unwrap();
    let refusal = add(&office, "dddddddd-a", 1).await.unwrap_err();
    assert_eq!((refusal.code, total(&office, "dddddddd-a").await), (Code::Stopped, Some(1)));
}

async fn a_failing_statement_fails_its_own_command_only(store: TestStore) {
    let office = Office::open(setting_of(&store)).await.unwrap();
    let broken = || {
        act(|unit: &mut Unit<'_>| {
            Box::pin(async move {
                let sql =
                    "INSERT INTO writer (id, fence, epoch, sequence, recorded) VALUES (1,1,1,1,1)";
                unit.conn().exec(sql, vec![]).await?;
                Err(Stop::Refused(Code::Internal.into()))
            })
        })
    };
    let commands = (0..20).map(|n| {
        let office = office.clone();
        let broken = broken();
        tokio::spawn(async move {
            match n % 5 {
                0 => office.command(person(), None, None, broken).await.map(drop),
                _ => add(&office, "dddddddd-a", 1).await.map(drop),
            }
        })
    });
    let mut failed = 0;
    for command in commands.collect::<Vec<_>>() {
        failed += usize::from(command.await.unwrap().is_err_and(|r| r.code == Code::Internal));
    }
    assert_eq!((failed, total(&office, "dddddddd-a").await), (4, Some(16)));
}

async fn a_reaction_follows_and_its_refusal_is_recorded(store: TestStore) {
    let office = Office::open(setting_of(&store)).await.unwrap();
    add(&office, "dddddddd-a", 100).await.unwrap();
    assert_eq!(total(&office, "dddddddd-a").await, Some(200));
    add(&office, "dddddddd-bad", 100).await.unwrap();
    let mut reader = office.reader().await.unwrap();
    let last = log::own_after(&mut reader, 0, 100).await.unwrap().pop().unwrap();
    let (fact, _) = Fact::of_entry(&last.entry).unwrap();
    assert_eq!(fact.kind, "cn.liandong.intake.reaction-refused.v1");
    assert_eq!(fact.causation, EntryRef::parse("dddddddd/1/3"));
}

fn foreign(sequence: u64, kind: &str) -> Incoming {
    let data = serde_json::value::to_raw_value(&Event::Added { by: sequence }).unwrap();
    let fact = Fact {
        id: format!("id-{sequence}"),
        at: EntryRef { origin: office_id("cccccccc"), epoch: 1, sequence },
        kind: kind.into(),
        recorded: Timestamp(1000),
        root: Root::Ev,
        audience: Audience::Peers,
        lane: sequence,
        stream: "tally/cccccccc-x".into(),
        version: Some(sequence),
        copy_of: None,
        actor: Actor::system(),
        act_date: None,
        causation: None,
        data,
        hash: kernel::sign::Hash::default(),
    };
    let bytes = fact.sign(&EventKey::from_seed(&[9; 32]).unwrap()).unwrap();
    Incoming { hash: kernel::entry::hash(&bytes), fact, bytes }
}

fn receiving(entries: Vec<Incoming>) -> event_store::Act {
    act(move |unit: &mut Unit<'_>| {
        let entries = entries.clone();
        Box::pin(async move {
            unit.receive(entries).await?;
            Ok(Answer { status: 200, etag: String::new(), body: Vec::new() })
        })
    })
}

async fn what_was_received_is_marked_folded_and_replayed(store: TestStore) {
    let office = Office::open(setting_of(&store)).await.unwrap();
    let added = "cn.liandong.tally.added.v1";
    office.system(receiving(vec![foreign(1, added), foreign(2, added)])).await.unwrap();
    add(&office, "dddddddd-a", 1).await.unwrap();
    office.system(receiving(vec![foreign(3, "cn.liandong.tally.newer.v2")])).await.unwrap();
    assert_eq!(total(&office, "cccccccc-x").await, Some(3));
    let mut reader = office.reader().await.unwrap();
    let feed = log::feed(&mut reader, log::Cursor::default(), 10).await.unwrap();
    drop(reader);
    let order: Vec<_> = feed.iter().map(|(cursor, _)| cursor.to_string()).collect();
    assert_eq!(order, ["c1-0", "c1-1", "c1-2", "c2-0", "c3-0", "c3-3"]);
    assert_eq!(office.check_views().await.unwrap(), None);
    office.refold().await.unwrap();
    assert_eq!(total(&office, "cccccccc-x").await, Some(3));
    add(&office, "dddddddd-a", 1).await.unwrap();
    assert_eq!(office.check_views().await.unwrap(), None);
}

async fn a_view_that_lies_is_named(store: TestStore) {
    let office = Office::open(setting_of(&store)).await.unwrap();
    add(&office, "dddddddd-a", 2).await.unwrap();
    let mut other = event_store::db::Conn::open_reader_writable(&store.engine).await.unwrap();
    other.exec("UPDATE view_rows SET body = '3'", vec![]).await.unwrap();
    let difference = office.check_views().await.unwrap().unwrap();
    assert_eq!(
        (difference.key.as_str(), difference.fresh.as_deref()),
        ("tally/dddddddd-a", Some("2"))
    );
    office.refold().await.unwrap();
    assert_eq!(office.check_views().await.unwrap(), None);
}

async fn a_clock_behind_the_last_record_refuses_to_record(store: TestStore) {
    let late = Arc::new(Clock::driven(Timestamp(2_000_000_000_000)));
    let office = Office::open(Setting { clock: late, ..setting_of(&store) }).await.unwrap();
    add(&office, "dddddddd-a", 1).await.unwrap();
    let office = reopened(office, setting_of(&store)).await;
    assert_eq!(add(&office, "dddddddd-a", 1).await.unwrap_err().code, Code::ClockBehind);
}

async fn an_office_that_must_not_record_does_not(store: TestStore) {
    let office = Office::open(setting_of(&store)).await.unwrap();
    office.refuse(Some(Code::LogBehind));
    assert_eq!(add(&office, "dddddddd-a", 1).await.unwrap_err().code, Code::LogBehind);
    office.refuse(None);
    add(&office, "dddddddd-a", 1).await.unwrap();
}

testkit::on_both_engines! {
    what_was_answered_is_there_after_a_restart
    many_callers_get_dense_places_and_lose_nothing
    a_refusal_takes_nothing_of_the_others_with_it
    a_command_that_is_refused_half_way_leaves_nothing
    a_key_is_answered_once_and_for_all
    a_stale_version_is_refused
    a_second_process_cannot_take_the_store
    a_raised_fence_stops_the_first_writer
    a_failing_statement_fails_its_own_command_only
    a_reaction_follows_and_its_refusal_is_recorded
    what_was_received_is_marked_folded_and_replayed
    a_view_that_lies_is_named
    a_clock_behind_the_last_record_refuses_to_record
    an_office_that_must_not_record_does_not
}

//! What folding again must keep to, on both engines: beside, in slices, swapped.
#![expect(clippy::unwrap_used, reason = "in a test, a panic is the report")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use event_store::{
    Answer, FoldError, Incoming, Office, Reaction, Rows, Setting, StoreError, Unit, View, act,
    db::Conn,
};
use kernel::{
    Actor, Aggregate, Audience, Context, EntryRef, Fact, Refusal, Root, Timestamp,
    binding::{Binding, Class, Rule},
    id::Tier,
    refusal::Code,
    sign::{EventKey, Hash},
};
use serde::{Deserialize, Serialize};
use testkit::{TestStore, office_id, setting};
use tokio::{runtime::Handle, sync::watch};

#[derive(Clone, Default)]
struct Tally(u64);

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum Event {
    Added { by: u64 },
    Tripled,
    Noted,
}

impl Aggregate for Tally {
    type Command = Event;
    type Event = Event;
    const FAMILY: &'static str = "tally";

    fn name(event: &Event) -> &'static str {
        match event {
            Event::Added { .. } => "added",
            Event::Tripled => "tripled",
            Event::Noted => "noted",
        }
    }

    /// Noting is refused before anything is there, and yields nothing the second time.
    fn decide(&self, command: Event, _: &Context) -> Result<Vec<Event>, Refusal> {
        match (command, self.0) {
            (Event::Noted, 0) => Err(Code::WrongState.into()),
            (Event::Noted, NOTED..) => Ok(vec![]),
            _ => Ok(vec![command]),
        }
    }

    fn evolve(&mut self, event: &Event) {
        match event {
            Event::Added { by } => self.0 += by,
            Event::Tripled => self.0 *= 3,
            Event::Noted => self.0 += NOTED,
        }
    }
}

const NOTED: u64 = 1_000_000;

/// The row of the first form is a number, that of the second holds more.
#[derive(Clone, Default, PartialEq, Debug, Serialize, Deserialize)]
struct Row {
    total: u64,
    padding: String,
}

/// What a test does to a fold from outside.
#[derive(Default)]
struct Hand {
    /// The fold waits at the entry with this sequence while the gate is shut.
    gate: Option<u64>,
    open: watch::Sender<bool>,
    /// It fails at the entry with this sequence.
    fails_at: Option<u64>,
    /// How often it saw one of the first 500 entries.
    early: AtomicU64,
    padding: usize,
}

/// A hand whose gate is shut; it opens at the latest when the test ends, however it ends.
struct Shut(Arc<Hand>);

impl Shut {
    fn at(sequence: u64, padding: usize) -> Self {
        Self(Arc::new(Hand { gate: Some(sequence), padding, ..Hand::default() }))
    }

    fn open(&self) {
        self.0.open.send_replace(true);
    }
}

impl Drop for Shut {
    fn drop(&mut self) {
        self.open();
    }
}

/// Totals by stream, and one row in which the order of all facts shows.
struct Totals {
    schema: &'static str,
    hand: Arc<Hand>,
}

impl View for Totals {
    fn name(&self) -> &'static str {
        "totals"
    }

    fn schema(&self) -> &'static str {
        self.schema
    }

    fn apply(&self, rows: &mut Rows<'_>, fact: &Fact) -> Result<(), FoldError> {
        if fact.family() != "tally" {
            return Ok(());
        }
        let own = fact.at.origin == office_id("dddddddd");
        let at = own.then_some(fact.at.sequence);
        self.hand.early.fetch_add(u64::from(at.is_some_and(|at| at <= 500)), Ordering::SeqCst);
        if at.is_some() && at == self.hand.gate {
            let mut open = self.hand.open.subscribe();
            // The runtime's other tasks must not wait for this one.
            tokio::task::block_in_place(|| {
                Handle::current().block_on(async { open.wait_for(|open| *open).await.map(drop) })
            })
            .unwrap();
        }
        if at.is_some() && at == self.hand.fails_at {
            return Err(serde_json::from_str::<u64>("nonsense").unwrap_err().into());
        }
        let event: Event = fact.read()?;
        let change = |total: &mut u64| match event {
            Event::Added { by } => *total += by,
            Event::Tripled => *total *= 3,
            Event::Noted => *total += NOTED,
        };
        if self.schema == "1" {
            rows.change("totals", &fact.stream, change)?;
        } else {
            rows.change("totals", &fact.stream, |row: &mut Row| {
                change(&mut row.total);
                row.padding = "x".repeat(self.hand.padding);
            })?;
        }
        rows.change("order", "", |so_far: &mut String| {
            *so_far = Hash::of(&[so_far.as_bytes(), fact.at.to_string().as_bytes()]).to_string();
        })
    }
}

const BINDINGS: &[Binding] = &[
    row("tally", "added"),
    row("tally", "noted"),
    row("intake", "received"),
    row("intake", "folded"),
    row("intake", "reaction-refused"),
    row("tally", "tripled"),
];

const fn row(family: &'static str, name: &'static str) -> Binding {
    let tiers = &[Tier::City, Tier::District, Tier::Township];
    Binding { family, name, root: Root::Ev, rule: Rule::Own, class: Class::K2, tiers }
}

fn bindings(kind: &str) -> Option<&'static Binding> {
    BINDINGS.iter().find(|b| kernel::decider::kind(b.family, b.name) == kind)
}

/// An older release, that does not know what "tripled" is.
fn older(kind: &str) -> Option<&'static Binding> {
    bindings(kind).filter(|binding| binding.name != "tripled")
}

fn office(store: &TestStore, schema: &'static str, hand: &Arc<Hand>) -> Setting {
    let view = Totals { schema, hand: hand.clone() };
    Setting { bindings, views: Arc::new([Arc::new(view)]), ..setting(store) }
}

fn adding(id: &str, command: Event) -> event_store::Act {
    let id = id.to_owned();
    act(move |unit: &mut Unit<'_>| {
        let id = id.clone();
        Box::pin(async move {
            let done = unit.execute::<Tally>(&id, command).await?;
            Ok(Answer { status: 200, etag: done.version.to_string(), body: Vec::new() })
        })
    })
}

async fn add(office: &Office, id: &str, by: u64) -> Result<Answer, Refusal> {
    let person = Actor { person: "p1".into(), role: "D_PLAN".into() };
    office.command(person, None, None, adding(id, Event::Added { by })).await
}

/// Adds 1 to `streams` streams, `times` after another.
async fn history(office: &Office, streams: usize, times: usize) {
    for _ in 0..times {
        let adds: Vec<_> = (0..streams)
            .map(|n| {
                let office = office.clone();
                tokio::spawn(async move {
                    let id = format!("dddddddd-{n}");
                    office.system(adding(&id, Event::Added { by: 1 })).await.unwrap();
                })
            })
            .collect();
        for add in adds {
            add.await.unwrap();
        }
    }
}

async fn reopened(office: Office, setting: Setting) -> Office {
    drop(office);
    opened(setting).await
}

/// Opens the store once whoever had it has let go of it.
async fn opened(setting: Setting) -> Office {
    for _ in 0..300 {
        if let Ok(office) = Office::open(setting.clone()).await {
            return office;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the store did not open again");
}

async fn first_form(office: &Office, id: &str) -> Option<u64> {
    office.reader().await.unwrap().view("totals", &format!("tally/{id}")).await.unwrap()
}

async fn second_form(office: &Office, id: &str) -> Result<Option<Row>, StoreError> {
    office.reader().await.unwrap().view("totals", &format!("tally/{id}")).await
}

/// How many rows of each generation the store holds.
async fn generations(store: &TestStore) -> Vec<(u64, u64)> {
    let mut conn = Conn::open_reader(&store.engine).await.unwrap();
    let sql = "SELECT generation, COUNT(*) FROM view_rows GROUP BY generation ORDER BY generation";
    let rows = conn.rows(sql, vec![]).await.unwrap();
    rows.iter().map(|row| (row.count(0).unwrap(), row.count(1).unwrap())).collect()
}

async fn only_generation(store: &TestStore, wanted: (u64, u64)) {
    for _ in 0..200 {
        if generations(store).await == [wanted] {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(generations(store).await, [wanted]);
}

async fn written_up_to(store: &TestStore) -> u64 {
    let mut conn = Conn::open_reader(&store.engine).await.unwrap();
    conn.rows("SELECT sequence FROM view_sets", vec![]).await.unwrap()[0].count(0).unwrap()
}

fn foreign(sequence: u64, event: Event) -> Incoming {
    let fact = Fact {
        id: format!("id-{sequence}"),
        at: EntryRef { origin: office_id("cccccccc"), epoch: 1, sequence },
        kind: kernel::decider::kind("tally", Tally::name(&event)),
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
        data: serde_json::value::to_raw_value(&event).unwrap(),
        hash: Hash::default(),
    };
    let bytes = fact.sign(&EventKey::from_seed(&[9; 32]).unwrap()).unwrap();
    Incoming { hash: kernel::entry::hash(&bytes), fact, bytes }
}

async fn receive(office: &Office, entries: Vec<Incoming>) -> Result<Answer, Refusal> {
    let taking = act(move |unit: &mut Unit<'_>| {
        let entries = entries.clone();
        Box::pin(async move {
            unit.receive(entries).await?;
            Ok(Answer { status: 200, etag: String::new(), body: Vec::new() })
        })
    });
    office.system(taking).await
}

async fn a_new_store_needs_no_rebuild(store: TestStore) {
    let office = Office::open(office(&store, "1", &Arc::default())).await.unwrap();
    assert_eq!(office.rebuilding(), None);
    add(&office, "dddddddd-a", 2).await.unwrap();
    let again = reopened(office, self::office(&store, "1", &Arc::default())).await;
    assert_eq!((again.rebuilding(), first_form(&again, "dddddddd-a").await), (None, Some(2)));
}

async fn a_changed_view_is_folded_again_and_the_old_rows_go(store: TestStore) {
    let before = Office::open(office(&store, "1", &Arc::default())).await.unwrap();
    history(&before, 3, 2).await;
    receive(&before, vec![foreign(1, Event::Added { by: 5 })]).await.unwrap();
    let after = reopened(before, office(&store, "2", &Arc::default())).await;
    after.settled().await.unwrap();
    let row = |total| Some(Row { total, padding: String::new() });
    assert_eq!(second_form(&after, "dddddddd-2").await.unwrap(), row(2));
    assert_eq!(second_form(&after, "cccccccc-x").await.unwrap(), row(5));
    add(&after, "dddddddd-2", 7).await.unwrap();
    assert_eq!(second_form(&after, "dddddddd-2").await.unwrap(), row(9));
    assert_eq!(after.check_views().await.unwrap(), None);
    only_generation(&store, (2, 5)).await;
}

async fn until_the_swap_the_old_rows_are_served_and_the_writer_goes_on(store: TestStore) {
    let before = Office::open(office(&store, "1", &Arc::default())).await.unwrap();
    history(&before, 3, 1).await;
    let hand = Shut::at(2, 0);
    let after = reopened(before, office(&store, "1b", &hand.0)).await;
    let old: Option<u64> = first_form(&after, "dddddddd-0").await;
    assert_eq!((old, after.rebuilding().is_some()), (Some(1), true));
    // A row that the new fold does not read waits; what has no row yet goes on.
    let unread = second_form(&after, "dddddddd-0").await;
    assert!(matches!(unread, Err(StoreError::Rebuilding)), "{unread:?}");
    let refused = add(&after, "dddddddd-0", 1).await.unwrap_err();
    assert_eq!(refused.code, Code::Rebuilding);
    add_plain(&after).await;
    assert!(matches!(after.check_views().await, Err(StoreError::Rebuilding)));
    hand.open();
    after.settled().await.unwrap();
    add(&after, "dddddddd-0", 1).await.unwrap();
    assert_eq!(second_form(&after, "dddddddd-0").await.unwrap().unwrap().total, 2);
    assert_eq!(after.check_views().await.unwrap(), None);
}

/// Records something that no row of the view is needed for.
async fn add_plain(office: &Office) {
    let before = office.head();
    let refused = act(|unit: &mut Unit<'_>| {
        Box::pin(async move {
            let event = event_store::intake::Event::Folded { entries: Vec::new() };
            unit.execute::<event_store::intake::Intake>("dddddddd", event).await?;
            Ok(Answer { status: 200, etag: String::new(), body: Vec::new() })
        })
    });
    office.system(refused).await.unwrap();
    assert_eq!(office.head(), before + 1);
}

async fn what_comes_in_meanwhile_is_never_stored_unfolded(store: TestStore) {
    let before = Office::open(office(&store, "1", &Arc::default())).await.unwrap();
    receive(&before, vec![foreign(1, Event::Added { by: 5 })]).await.unwrap();
    add(&before, "dddddddd-a", 1).await.unwrap();
    let hand = Shut::at(2, 0);
    let after = reopened(before, office(&store, "2", &hand.0)).await;
    let second = || vec![foreign(2, Event::Added { by: 6 })];
    assert_eq!(receive(&after, second()).await.unwrap_err().code, Code::Rebuilding);
    hand.open();
    after.settled().await.unwrap();
    receive(&after, second()).await.unwrap();
    assert_eq!(second_form(&after, "cccccccc-x").await.unwrap().unwrap().total, 11);
    assert_eq!(after.check_views().await.unwrap(), None);
}

async fn a_rebuild_that_ends_half_way_goes_on_where_it_was(store: TestStore) {
    let before = Office::open(office(&store, "1", &Arc::default())).await.unwrap();
    history(&before, 600, 1).await;
    let shut = Shut::at(550, 5_000);
    let half = reopened(before, office(&store, "2", &shut.0)).await;
    while written_up_to(&store).await != 500 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let served = generations(&store).await[0];
    assert_eq!(served, (1, 601), "the old rows are whole");
    let again = Arc::new(Hand { padding: 5_000, ..Hand::default() });
    drop(half);
    shut.open();
    let resumed = opened(office(&store, "2", &again)).await;
    resumed.settled().await.unwrap();
    assert_eq!(again.early.load(Ordering::SeqCst), 0, "the first slice is not folded again");
    assert_eq!(second_form(&resumed, "dddddddd-7").await.unwrap().unwrap().total, 1);
    assert_eq!(resumed.check_views().await.unwrap(), None);
}

async fn a_rebuild_of_other_views_is_not_gone_on_with(store: TestStore) {
    let before = Office::open(office(&store, "1", &Arc::default())).await.unwrap();
    history(&before, 600, 1).await;
    let shut = Shut::at(550, 5_000);
    let half = reopened(before, office(&store, "2", &shut.0)).await;
    while written_up_to(&store).await != 500 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    drop(half);
    shut.open();
    let anew = opened(office(&store, "3", &Arc::default())).await;
    anew.settled().await.unwrap();
    let row = second_form(&anew, "dddddddd-7").await.unwrap();
    assert_eq!(row, Some(Row { total: 1, padding: String::new() }));
    assert_eq!(anew.check_views().await.unwrap(), None);
    only_generation(&store, (3, 601)).await;
}

async fn a_fold_that_fails_leaves_the_old_rows(store: TestStore) {
    let before = Office::open(office(&store, "1", &Arc::default())).await.unwrap();
    history(&before, 3, 1).await;
    let hand = Arc::new(Hand { fails_at: Some(3), ..Hand::default() });
    let after = reopened(before, office(&store, "1b", &hand)).await;
    assert_eq!(after.settled().await.unwrap_err().code, Code::Rebuilding);
    assert!(after.rebuilding().is_some_and(|progress| progress.failed));
    assert_eq!(first_form(&after, "dddddddd-0").await, Some(1));
    // The release that folds it all the same begins again.
    let mended = reopened(after, office(&store, "1c", &Arc::default())).await;
    mended.settled().await.unwrap();
    assert_eq!(second_form(&mended, "dddddddd-0").await.unwrap().unwrap().total, 1);
}

async fn rows_that_do_not_fit_in_memory_are_read_back(store: TestStore) {
    let before = Office::open(office(&store, "1", &Arc::default())).await.unwrap();
    history(&before, 600, 2).await;
    let hand = Arc::new(Hand { padding: 60_000, ..Hand::default() });
    let after = reopened(before, office(&store, "2", &hand)).await;
    after.settled().await.unwrap();
    let mut reader = after.reader().await.unwrap();
    let rows: Vec<(String, Row)> = reader.all("totals", "").await.unwrap();
    drop(reader);
    assert_eq!((rows.len(), rows.iter().filter(|(_, row)| row.total == 2).count()), (600, 600));
    assert_eq!(after.check_views().await.unwrap(), None);
}

async fn the_local_order_is_kept_whatever_comes_in(store: TestStore) {
    let hand = Arc::default();
    let old = Setting { bindings: older, ..office(&store, "1", &hand) };
    let before = Office::open(old).await.unwrap();
    add(&before, "dddddddd-a", 1).await.unwrap();
    let many = (1..=1_200).map(|n| match n {
        600 => foreign(n, Event::Tripled),
        n => foreign(n, Event::Added { by: n }),
    });
    receive(&before, many.collect()).await.unwrap();
    history(&before, 3, 1).await;
    receive(&before, (1_201..=1_203).map(|n| foreign(n, Event::Added { by: 1 })).collect())
        .await
        .unwrap();
    assert_eq!(before.check_views().await.unwrap(), None);
    // The release that knows what "tripled" is folds it late, behind everything.
    let after = reopened(before, office(&store, "1", &hand)).await;
    let late = act(|unit: &mut Unit<'_>| {
        Box::pin(async move {
            unit.fold_late().await?;
            Ok(Answer { status: 200, etag: String::new(), body: Vec::new() })
        })
    });
    after.system(late).await.unwrap();
    history(&after, 3, 1).await;
    let total = first_form(&after, "cccccccc-x").await.unwrap();
    assert_eq!(total, (1_200 * 1_201 / 2 - 600 + 3) * 3);
    assert_eq!(after.check_views().await.unwrap(), None);
    after.refold().await.unwrap();
    assert_eq!(first_form(&after, "cccccccc-x").await, Some(total));
    assert_eq!(after.check_views().await.unwrap(), None);
}

async fn commands_go_on_while_the_views_are_folded_again(store: TestStore) {
    let office = Office::open(office(&store, "1", &Arc::default())).await.unwrap();
    history(&office, 100, 12).await;
    let (rebuilt, ()) = tokio::join!(office.refold(), history(&office, 50, 10));
    rebuilt.unwrap();
    assert_eq!(first_form(&office, "dddddddd-7").await, Some(22));
    assert_eq!(office.check_views().await.unwrap(), None);
}

async fn a_check_names_a_row_that_is_missing_or_too_many(store: TestStore) {
    let office = Office::open(office(&store, "1", &Arc::default())).await.unwrap();
    history(&office, 2, 1).await;
    let mut other = Conn::open_reader_writable(&store.engine).await.unwrap();
    let rename = "UPDATE view_rows SET key = $1 WHERE view = 'totals' AND key = $2";
    let (right, wrong) = ("tally/dddddddd-1", "tally/dddddddd-9");
    other.exec(rename, vec![wrong.into(), right.into()]).await.unwrap();
    let extra = office.check_views().await.unwrap().unwrap();
    assert_eq!((extra.key.as_str(), extra.fresh), (wrong, None));
    let delete = "DELETE FROM view_rows WHERE key = $1";
    other.exec(delete, vec![wrong.into()]).await.unwrap();
    let missing = office.check_views().await.unwrap().unwrap();
    assert_eq!((missing.key.as_str(), missing.stored), (right, None));
    office.refold().await.unwrap();
    assert_eq!(office.check_views().await.unwrap(), None);
}

/// On an addition of 100, "a" is noted; on "dddddddd-bad", a stream that is empty.
fn note_hundreds(fact: &Fact, _: &event_store::Standpoint) -> Option<event_store::Act> {
    let Ok(Event::Added { by: 100 }) = fact.read::<Event>() else { return None };
    let id = if fact.stream.ends_with("-bad") { "dddddddd-empty" } else { "dddddddd-a" };
    Some(adding(id, Event::Noted))
}

async fn a_new_rule_does_nothing_until_it_is_back_filled_and_then_once(store: TestStore) {
    let before = Office::open(office(&store, "1", &Arc::default())).await.unwrap();
    add(&before, "dddddddd-a", 1).await.unwrap();
    add(&before, "dddddddd-b", 100).await.unwrap();
    add(&before, "dddddddd-bad", 100).await.unwrap();
    receive(&before, vec![foreign(1, Event::Added { by: 100 })]).await.unwrap();
    let rules = Arc::new([Reaction { name: "note-hundreds", on: note_hundreds }]);
    let ruled = Setting { reactions: rules, ..office(&store, "1", &Arc::default()) };
    let after = reopened(before, ruled).await;
    after.refold().await.unwrap();
    assert_eq!(first_form(&after, "dddddddd-a").await, Some(1));
    assert_eq!(after.backfill("no-such-rule").await.unwrap_err().code, Code::NotFound);
    let first = after.backfill("note-hundreds").await.unwrap();
    assert_eq!((first.issued, first.recorded, first.refused), (3, 2, 1));
    assert_eq!(first_form(&after, "dddddddd-a").await, Some(1 + NOTED));
    let head = after.head();
    let second = after.backfill("note-hundreds").await.unwrap();
    assert_eq!((second.issued, second.recorded, second.refused), (3, 0, 1));
    assert_eq!(after.head(), head, "the second time yields nothing");
    assert_eq!(after.check_views().await.unwrap(), None);
}

/// On an addition of 200, "b" is tripled: a command that would yield more every time.
fn triple(fact: &Fact, _: &event_store::Standpoint) -> Option<event_store::Act> {
    let Ok(Event::Added { by: 200 }) = fact.read::<Event>() else { return None };
    Some(adding("dddddddd-b", Event::Tripled))
}

async fn what_a_fact_has_caused_it_does_not_cause_again(store: TestStore) {
    let rules = Arc::new([Reaction { name: "triple", on: triple }]);
    let ruled = Setting { reactions: rules, ..office(&store, "1", &Arc::default()) };
    let before = Office::open(office(&store, "1", &Arc::default())).await.unwrap();
    add(&before, "dddddddd-b", 1).await.unwrap();
    add(&before, "dddddddd-a", 200).await.unwrap();
    let after = reopened(before, ruled).await;
    add(&after, "dddddddd-c", 200).await.unwrap();
    assert_eq!(first_form(&after, "dddddddd-b").await, Some(3), "the new fact, at once");
    assert_eq!(after.backfill("triple").await.unwrap().recorded, 1);
    assert_eq!(after.backfill("triple").await.unwrap().recorded, 0);
    assert_eq!(first_form(&after, "dddddddd-b").await, Some(9), "each of the two facts once");
}

testkit::on_both_engines! {
    what_a_fact_has_caused_it_does_not_cause_again
    a_new_store_needs_no_rebuild
    a_changed_view_is_folded_again_and_the_old_rows_go
    until_the_swap_the_old_rows_are_served_and_the_writer_goes_on
    what_comes_in_meanwhile_is_never_stored_unfolded
    a_rebuild_that_ends_half_way_goes_on_where_it_was
    a_rebuild_of_other_views_is_not_gone_on_with
    a_fold_that_fails_leaves_the_old_rows
    rows_that_do_not_fit_in_memory_are_read_back
    the_local_order_is_kept_whatever_comes_in
    commands_go_on_while_the_views_are_folded_again
    a_check_names_a_row_that_is_missing_or_too_many
    a_new_rule_does_nothing_until_it_is_back_filled_and_then_once
}

//! Long streams are loaded from their snapshots, if these are of today's rules.
#![expect(clippy::unwrap_used, reason = "in a test, a panic is the report")]

use event_store::{Act, Answer, Office, Setting, Unit, act};
use kernel::{
    Aggregate, Context, Refusal, Root,
    binding::{Binding, Class, Rule},
    decider::StateForm,
    id::Tier,
};
use serde::{Deserialize, Serialize};
use testkit::{TestStore, setting};

#[derive(Clone, Default, Serialize, Deserialize)]
struct Tally(u64);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum Event {
    Added { by: u64 },
}

impl Aggregate for Tally {
    type Command = Event;
    type Event = Event;
    const FAMILY: &'static str = "tally";
    const KEPT: Option<StateForm<Self>> = Some(StateForm::by(&["adds"]));

    fn name(_: &Event) -> &'static str {
        "added"
    }

    fn decide(&self, command: Event, _: &Context) -> Result<Vec<Event>, Refusal> {
        Ok(vec![command])
    }

    fn evolve(&mut self, Event::Added { by }: &Event) {
        self.0 += by;
    }
}

const ADDED: Binding = Binding {
    family: "tally",
    name: "added",
    root: Root::Ev,
    rule: Rule::Own,
    class: Class::K2,
    tiers: &[Tier::District],
};

fn bindings(kind: &str) -> Option<&'static Binding> {
    (kernel::decider::kind(ADDED.family, ADDED.name) == kind).then_some(&ADDED)
}

async fn open(store: &TestStore) -> Office {
    Office::open(Setting { bindings, ..setting(store) }).await.unwrap()
}

/// The store closed and opened again: nothing is in memory.
async fn reopened(store: &TestStore, office: Office) -> Office {
    drop(office);
    loop {
        match Office::open(Setting { bindings, ..setting(store) }).await {
            Ok(office) => return office,
            Err(event_store::StoreError::Fenced) => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    }
}

fn adding(times: u64) -> Act {
    act(move |unit: &mut Unit<'_>| {
        Box::pin(async move {
            for _ in 0..times {
                unit.execute::<Tally>("dddddddd-a", Event::Added { by: 1 }).await?;
            }
            let (Tally(total), _) = unit.load::<Tally>("dddddddd-a").await?;
            let body = total.to_string().into_bytes();
            Ok(Answer { status: 200, etag: String::new(), body })
        })
    })
}

async fn add(office: &Office, times: u64) -> u64 {
    let answer = office.system(adding(times)).await.unwrap();
    String::from_utf8(answer.body).unwrap().parse().unwrap()
}

async fn alter(office: &Office, what: &'static str, value: &'static [u8]) {
    let altering = act(move |unit: &mut Unit<'_>| {
        Box::pin(async move {
            let sql = format!("UPDATE snapshots SET {what} = $1");
            unit.conn().exec(&sql, vec![value.into()]).await?;
            unit.execute::<Tally>("dddddddd-b", Event::Added { by: 1 }).await?;
            Ok(Answer { status: 200, etag: String::new(), body: Vec::new() })
        })
    });
    office.system(altering).await.unwrap();
}

async fn kept(office: &Office) -> Vec<u64> {
    let mut reader = office.reader().await.unwrap();
    let rows = reader.rows("SELECT version FROM snapshots", vec![]).await.unwrap();
    rows.iter().map(|row| row.count(0).unwrap()).collect()
}

async fn a_long_stream_is_loaded_from_its_snapshot_and_goes_on_behind_it(store: TestStore) {
    let office = open(&store).await;
    add(&office, 199).await;
    let office = reopened(&store, office).await;
    assert_eq!((add(&office, 1).await, kept(&office).await), (200, vec![]));
    let office = reopened(&store, office).await;
    assert_eq!((add(&office, 1).await, kept(&office).await), (201, vec![200]));
    // Were it folded from its first event, the altered snapshot would not show.
    alter(&office, "state", b"1000").await;
    let office = reopened(&store, office).await;
    assert_eq!((add(&office, 1).await, kept(&office).await), (1002, vec![200]));
}

async fn what_other_rules_made_or_does_not_read_is_folded_again(store: TestStore) {
    let office = open(&store).await;
    add(&office, 300).await;
    let office = reopened(&store, office).await;
    add(&office, 1).await;
    alter(&office, "state", b"1000").await;
    alter(&office, "sources", &[7; 32]).await;
    let office = reopened(&store, office).await;
    assert_eq!((add(&office, 1).await, kept(&office).await), (302, vec![301]));
    alter(&office, "state", b"no number").await;
    let office = reopened(&store, office).await;
    assert_eq!((add(&office, 1).await, kept(&office).await), (303, vec![302]));
}

testkit::on_both_engines! {
    a_long_stream_is_loaded_from_its_snapshot_and_goes_on_behind_it
    what_other_rules_made_or_does_not_read_is_folded_again
}

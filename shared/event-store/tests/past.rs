//! The views as they were: at any moment what a fold of just those facts gives, before and
//! after blocks are laid out, on both engines.
#![expect(clippy::unwrap_used, reason = "in a test, a panic is the report")]

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use event_store::{
    Answer, FoldError, Incoming, Office, Projections, Reader, Rows, Setting, Unit, View, act,
    log::{self, Cursor},
    past::{Days, Known, Moment, NoPast},
};
use kernel::{
    Actor, Aggregate, Audience, Clock, Context, Day, EntryRef, Fact, Refusal, Root, Timestamp,
    binding::{Binding, Class, Rule},
    id::Tier,
    sign::{EventKey, Hash},
};
use serde::{Deserialize, Serialize};
use testkit::{TestStore, office_id, setting};

/// A tally of a family, `T` for those that say themselves from when on they hold.
#[derive(Clone, Default)]
struct Tally<const DATED: bool>(u64);

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum Event {
    Added { by: u64 },
}

impl<const DATED: bool> Aggregate for Tally<DATED> {
    type Command = Event;
    type Event = Event;
    const FAMILY: &'static str = if DATED { "listed" } else { "tally" };

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

/// Totals by stream, those divisible by five left out; the order of the last facts; how
/// many facts there were, in a row that changes with each.
struct Totals;

impl View for Totals {
    fn name(&self) -> &'static str {
        "totals"
    }

    fn apply(&self, rows: &mut Rows<'_>, fact: &Fact) -> Result<(), FoldError> {
        if !["tally", "listed"].contains(&fact.family()) {
            return Ok(());
        }
        let Event::Added { by } = fact.read()?;
        let mut total = 0;
        rows.change("sums", &fact.stream, |sum: &mut u64| {
            *sum += by;
            total = *sum;
        })?;
        if total % 5 == 0 {
            rows.delete("totals", &fact.stream);
        } else {
            rows.put("totals", &fact.stream, &total)?;
        }
        rows.change("order", "", |so_far: &mut String| {
            *so_far = Hash::of(&[so_far.as_bytes(), fact.at.to_string().as_bytes()]).to_string();
        })?;
        rows.change("count", "", |count: &mut u64| *count += 1)
    }
}

const BINDINGS: &[Binding] =
    &[row("tally", "added"), row("listed", "added"), row("intake", "received")];

const fn row(family: &'static str, name: &'static str) -> Binding {
    let tiers = &[Tier::City, Tier::District, Tier::Township];
    Binding { family, name, root: Root::Ev, rule: Rule::Own, class: Class::K2, tiers }
}

/// One office whose days a test turns.
struct Years {
    office: Office,
    setting: Setting,
    chance: u64,
    received: u64,
}

const FIRST: i64 = 1_514_764_800_000;
const DAY: i64 = 86_400_000;

impl Years {
    async fn open(store: &TestStore) -> Self {
        let setting = Setting {
            bindings: |kind| {
                BINDINGS.iter().find(|b| kernel::decider::kind(b.family, b.name) == kind)
            },
            views: Arc::new([Arc::new(Totals)]),
            clock: Arc::new(Clock::simulated(Timestamp(FIRST))),
            dated: &["listed"],
            ..setting(store)
        };
        let office = Office::open(setting.clone()).await.unwrap();
        Self { office, setting, chance: 7, received: 0 }
    }

    fn up_to(&mut self, most: u64) -> u64 {
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        self.chance % most
    }

    /// Some days pass, a hundred facts on each: most are recorded on their day, some up to
    /// forty days later, some come from another office.
    async fn pass(&mut self, days: usize) {
        for _ in 0..days {
            let today = Timestamp(self.setting.clock.now().0 + DAY);
            self.setting.clock.set(today);
            let mut asked = Vec::new();
            for _ in 0..100 {
                let (stream, by) = (self.up_to(40), self.up_to(9));
                let ago = if self.up_to(8) == 0 { self.up_to(40) } else { 0 };
                let act_date =
                    (ago > 0).then(|| Timestamp(today.0 - i64::try_from(ago).unwrap() * DAY).day());
                let dated = self.up_to(50) == 0;
                let office = self.office.clone();
                let actor = Actor { person: "p1".into(), role: "D_PLAN".into() };
                let run =
                    if dated { adding::<true>(stream, by) } else { adding::<false>(stream, by) };
                asked.push(tokio::spawn(async move {
                    office.command(actor, act_date, None, run).await.unwrap();
                }));
            }
            for asked in asked {
                asked.await.unwrap();
            }
            let (many, late) = (self.up_to(4), i64::try_from(self.up_to(9)).unwrap());
            let foreign = (0..many).map(|_| {
                self.received += 1;
                foreign(self.received, Timestamp(today.0 - late * DAY))
            });
            let foreign: Vec<_> = foreign.collect();
            self.take_in(foreign).await;
        }
    }

    /// Takes entries of another office in behind one marker.
    async fn take_in(&self, foreign: Vec<Incoming>) {
        if foreign.is_empty() {
            return;
        }
        let run = act(move |unit: &mut Unit<'_>| {
            let foreign = foreign.clone();
            Box::pin(async move {
                unit.receive(foreign).await?;
                Ok(Answer { status: 200, etag: String::new(), body: Vec::new() })
            })
        });
        self.office.system(run).await.unwrap();
    }

    fn day(number: u64) -> Day {
        Timestamp(FIRST + i64::try_from(number).unwrap() * DAY).day()
    }

    /// What a fold of just those facts gives that are known at a moment and of its day.
    async fn expected(&self, moment: Moment) -> BTreeMap<String, String> {
        let mut reader = self.office.reader().await.unwrap();
        let (mut known, mut at) = (Vec::new(), Cursor::default());
        loop {
            let more = log::feed(&mut reader, at, 1_000).await.unwrap();
            let Some((last, _)) = more.last() else { break };
            at = *last;
            known.extend(
                more.into_iter()
                    .map(|(at, bytes)| (at.sequence, Fact::of_entry(&bytes).unwrap().0)),
            );
        }
        let own = |fact: &Fact| fact.at.origin == office_id("dddddddd");
        let last = match moment.known_at {
            None => u64::MAX,
            Some(Known::After(sequence)) => sequence,
            Some(Known::At(time)) => {
                let by = known.iter().filter(|(_, fact)| own(fact) && fact.recorded <= time);
                by.map(|(sequence, _)| *sequence).max().unwrap_or(0)
            }
        };
        let (mut fold, mut days) = (Projections::of(vec![Arc::new(Totals)]), Days::default());
        for (_, fact) in known.iter().filter(|(sequence, _)| *sequence <= last) {
            let day = days.of(fact);
            let by_then = moment.as_of.is_none_or(|by| day <= by);
            fold.take(fact, |fact| by_then || fact.family() == "listed").unwrap();
        }
        let past = Arc::new(fold.past(moment.as_of, (0, Timestamp(0))));
        all_rows(&mut Reader::of(past)).await
    }

    /// The same by the store; waits while the past is laid out.
    async fn seen(&self, moment: Moment) -> BTreeMap<String, String> {
        for _ in 0..2_400 {
            match self.office.past(moment).await {
                Ok(past) => {
                    let mut reader = self.office.reader().await.unwrap().looking_back(past);
                    return all_rows(&mut reader).await;
                }
                Err(NoPast::Laying(progress)) => assert!(!progress.failed),
                Err(no) => panic!("{no}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("it takes too long");
    }
}

fn adding<const DATED: bool>(stream: u64, by: u64) -> event_store::Act {
    act(move |unit: &mut Unit<'_>| {
        Box::pin(async move {
            let id = format!("dddddddd-{stream}");
            let done = unit.execute::<Tally<DATED>>(&id, Event::Added { by }).await?;
            Ok(Answer { status: 200, etag: done.version.to_string(), body: Vec::new() })
        })
    })
}

fn foreign(sequence: u64, recorded: Timestamp) -> Incoming {
    let event = Event::Added { by: sequence % 7 };
    let fact = Fact {
        id: format!("id-{sequence}"),
        at: EntryRef { origin: office_id("cccccccc"), epoch: 1, sequence },
        kind: kernel::decider::kind("tally", "added"),
        recorded,
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

async fn all_rows(reader: &mut Reader) -> BTreeMap<String, String> {
    let mut rows = BTreeMap::new();
    for view in ["sums", "totals", "order", "count"] {
        // Whole, and in pages of three: the same.
        let whole = reader.bodies(view, "", "", usize::MAX).await.unwrap();
        let mut pages: Vec<(String, String)> = Vec::new();
        loop {
            let after = pages.last().map(|(key, _)| key.clone()).unwrap_or_default();
            let page = reader.bodies(view, "", &after, 3).await.unwrap();
            if page.is_empty() || view == "order" || view == "count" {
                break;
            }
            pages.extend(page);
        }
        if view == "sums" || view == "totals" {
            assert_eq!(pages, whole);
        }
        for (key, body) in whole {
            let alone: Option<serde_json::Value> = reader.view(view, &key).await.unwrap();
            assert_eq!(alone.unwrap(), serde_json::from_str::<serde_json::Value>(&body).unwrap());
            rows.insert(format!("{view}/{key}"), body);
        }
    }
    rows
}

async fn any_moment_is_what_a_fold_of_its_facts_gives(store: TestStore) {
    let mut years = Years::open(&store).await;
    years.pass(20).await;
    // Few enough to be folded while somebody waits.
    for n in 0..12 {
        let moment = Moment {
            as_of: (n % 2 == 0).then(|| Years::day(n * 2)),
            known_at: (n % 3 == 0).then(|| Known::After(n * 150)),
        };
        assert_eq!(years.seen(moment).await, years.expected(moment).await, "{moment:?}");
    }
    years.pass(150).await;
    let head = years.office.head();
    assert!(head > 16_000, "{head}: more than is folded while somebody waits");
    let far = Moment { as_of: Some(Years::day(90)), known_at: None };
    assert!(matches!(years.office.past(far).await, Err(NoPast::Laying(_))));
    assert_eq!(years.seen(far).await, years.expected(far).await);
    for n in 0..24 {
        let day = years.up_to(175);
        let known_at = match n % 3 {
            0 => None,
            1 => Some(Known::After(years.up_to(head))),
            _ => Some(Known::At(Timestamp(FIRST + i64::try_from(years.up_to(170)).unwrap() * DAY))),
        };
        let moment = Moment { as_of: (n % 4 != 0).then(|| Years::day(day)), known_at };
        assert_eq!(years.seen(moment).await, years.expected(moment).await, "{moment:?}");
    }
    // What comes later is of a day before.
    for _ in 0..3 {
        years.pass(3).await;
        for moment in [far, Moment { as_of: Some(Years::day(170)), known_at: None }] {
            assert_eq!(years.seen(moment).await, years.expected(moment).await, "{moment:?}");
        }
    }
}

async fn what_came_in_at_once_is_whole_however_much_it_is(store: TestStore) {
    let mut years = Years::open(&store).await;
    years.pass(3).await;
    let marker = years.office.head() + 1;
    // More than a block takes, behind one marker, all of it late.
    let foreign: Vec<_> =
        (1..=9_000).map(|n| foreign(years.received + n, Timestamp(FIRST))).collect();
    years.received += 9_000;
    years.take_in(foreign).await;
    assert_eq!(years.office.head(), marker, "one marker");
    years.pass(2).await;
    let moments = [
        Moment { as_of: Some(Years::day(2)), known_at: Some(Known::After(marker)) },
        Moment { as_of: Some(Years::day(2)), known_at: Some(Known::After(marker - 1)) },
        Moment { as_of: Some(Years::day(2)), known_at: None },
        Moment { as_of: None, known_at: Some(Known::After(marker)) },
    ];
    for moment in moments {
        assert_eq!(years.seen(moment).await, years.expected(moment).await, "{moment:?}");
    }
    // The same once it lies in blocks, and is more than is folded while somebody waits.
    years.pass(90).await;
    for moment in moments {
        assert_eq!(years.seen(moment).await, years.expected(moment).await, "{moment:?}, laid");
    }
}

async fn a_moment_that_has_not_come_is_no_past(store: TestStore) {
    let mut years = Years::open(&store).await;
    years.pass(1).await;
    let head = years.office.head();
    for known in [Known::After(head + 1), Known::At(Timestamp(FIRST + 9 * DAY))] {
        let moment = Moment { as_of: None, known_at: Some(known) };
        assert!(matches!(years.office.past(moment).await, Err(NoPast::Ahead)), "{known:?}");
    }
    let all = Moment { as_of: None, known_at: Some(Known::After(head)) };
    let nothing = Moment { as_of: None, known_at: Some(Known::After(0)) };
    assert!(!years.seen(all).await.is_empty());
    assert!(years.seen(nothing).await.is_empty());
}

/// The same views of another schema, with a row more.
struct Twice;
impl View for Twice {
    fn name(&self) -> &'static str {
        "totals"
    }
    fn schema(&self) -> &'static str {
        "2"
    }
    fn apply(&self, rows: &mut Rows<'_>, fact: &Fact) -> Result<(), FoldError> {
        Totals.apply(rows, fact)?;
        rows.put("count", "more", &1)
    }
}

async fn other_views_have_other_pasts(store: TestStore) {
    let mut years = Years::open(&store).await;
    years.pass(175).await;
    let then = Moment { as_of: None, known_at: Some(Known::After(9_000)) };
    let before = years.seen(then).await;
    let setting = Setting { views: Arc::new([Arc::new(Twice)]), ..years.setting.clone() };
    drop(years.office);
    let mut office = Office::open(setting.clone()).await;
    for _ in 0..300 {
        if office.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        office = Office::open(setting.clone()).await;
    }
    years.office = office.unwrap();
    let mut after = years.seen(then).await;
    assert_eq!(after.remove("count/more").as_deref(), Some("1"));
    assert_eq!(after, before);
}

testkit::on_both_engines! {
    any_moment_is_what_a_fold_of_its_facts_gives
    what_came_in_at_once_is_whole_however_much_it_is
    a_moment_that_has_not_come_is_no_past
    other_views_have_other_pasts
}

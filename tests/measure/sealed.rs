//! What sealing costs: a finding's draft in the clear and the same sealed within its entry,
//! one caller in turn at one store; then over HTTP at an office of a running town a finding's
//! draft, a clue's draft (sealed beside its entry, under a key of its own), and opening each.

use std::time::{Duration, Instant};

use domain::finding::{Command as Ask, Draft, Event, Finding, Saying};
use event_store::{Answer, Idempotency, Office, Unit, act};
use kernel::{
    Actor, Aggregate, Context, Entropy, EntryRef, Refusal,
    sealed::{Ciphertext, Scope},
};
use serde_json::{Value, json};
use testkit::TestStore;
use tests::{
    chancery::Chancery,
    town::{DISTRICT, Town},
};
use vault::{Place, ScopeKey, part};

use crate::{history, ms, say};

/// The middle and the ninety-ninth of a hundred.
fn quantiles(mut times: Vec<Duration>) -> (Duration, Duration) {
    times.sort_unstable();
    (times[times.len() / 2], times[times.len() * 99 / 100])
}

/// The same event in the clear, as nothing in the product says it any more.
#[derive(Clone, Default)]
struct Clear;

impl Aggregate for Clear {
    type Command = Draft;
    type Event = Event;
    const FAMILY: &'static str = "finding";

    fn name(_: &Event) -> &'static str {
        "drafted"
    }

    fn decide(&self, draft: Draft, context: &Context) -> Result<Vec<Event>, Refusal> {
        Ok(vec![Event::Drafted { draft, by: context.actor.person.clone() }])
    }

    fn evolve(&mut self, _: &Event) {}
}

/// Runs one command at a store and says how long it took.
async fn timed(office: &Office, key: &str, run: event_store::Act) -> Duration {
    let key = Idempotency::new("p1", "POST /api/findings", key, b"");
    let actor = Actor { person: "p1".to_owned(), role: "D_TM".to_owned() };
    let began = Instant::now();
    office.command(actor, None, Some(key), run).await.unwrap();
    began.elapsed()
}

/// The same event unsealed and sealed through one store, in turn.
async fn at_the_store(many: usize, saying: &Saying) -> [Vec<Duration>; 2] {
    let store = TestStore::sqlite();
    let office = Office::open(history::setting(&store)).await.unwrap();
    let scope = Scope::parse("case:dddddddd-findings-1#1").unwrap();
    let key = ScopeKey::fresh(scope, &Entropy::System);
    let [mut clear, mut sealed] = [vec![], vec![]];
    for number in 0..many {
        let brief = history::draft(7).brief();
        let (draft, id) = (brief.clone().with(saying.clone()), format!("dddddddd-c{number}"));
        let run = act(move |unit: &mut Unit<'_>| {
            let (draft, id) = (draft.clone(), id.clone());
            Box::pin(async move { unit.execute::<Clear>(&id, draft).await.map(|_| done()) })
        });
        clear.push(timed(&office, &format!("c{number}"), run).await);
        let (key, saying, id) = (key.clone(), saying.clone(), format!("dddddddd-s{number}"));
        let run = act(move |unit: &mut Unit<'_>| {
            let (brief, key, saying, id) = (brief.clone(), key.clone(), saying.clone(), id.clone());
            Box::pin(async move {
                let origin = unit.setting().office.clone();
                let entry = EntryRef { origin, epoch: unit.epoch(), sequence: unit.sequence() + 1 };
                let content = serde_json::to_vec(&saying).unwrap();
                let place = Place { entry: &entry, part: "content" };
                let (part, bytes) = part::seal(&place, &key, &content, &Entropy::System).unwrap();
                let (part, sealed) = (Box::new(part), Ciphertext(bytes));
                let ask = Ask::Draft { brief, part, sealed };
                unit.execute::<Finding>(&id, ask).await.map(|_| done())
            })
        });
        sealed.push(timed(&office, &format!("s{number}"), run).await);
    }
    [clear, sealed]
}

fn done() -> Answer {
    Answer { status: 200, etag: String::new(), body: b"{}".to_vec() }
}

/// Commands and reads so many of each.
pub(crate) async fn measure(many: usize) {
    let text = "虚构内容:".repeat(60);
    let saying = Saying { title: "台账不全".into(), text: text.clone() };
    let store = at_the_store(many, &saying).await;
    report(["at the store, the event in the clear", "the same sealed within"], &store);
    let town = Town::start().await;
    let desk = Chancery::of(&town);
    let team = desk.team().await;
    let (mut wrote, mut read) = ([vec![], vec![]], [vec![], vec![]]);
    let mut ids: Vec<(String, String)> = Vec::new();
    for number in 0..many {
        let finding = json!({"round": team.round, "task": "k1", "category": "四个落实",
            "title": format!("问题{number}"), "text": text});
        let began = Instant::now();
        let made = desk.done(&team.member, "/api/findings", finding).await;
        wrote[0].push(began.elapsed());
        let mut clue = Chancery::draft_of(&team, &json!("own"), "");
        clue["saying"]["text"] = Value::from(text.clone());
        let began = Instant::now();
        let drafted = desk.done(&team.member, "/api/clues", clue).await;
        wrote[1].push(began.elapsed());
        let id = |made: &Value| made["id"].as_str().unwrap().to_owned();
        ids.push((id(&made), id(&drafted)));
    }
    for (finding, clue) in &ids {
        let began = Instant::now();
        assert_eq!(desk.get(&team.member, &format!("/api/findings/{finding}")).await.status, 200);
        read[0].push(began.elapsed());
        let began = Instant::now();
        assert_eq!(desk.get(&team.member, &format!("/api/clues/{clue}/content")).await.status, 200);
        read[1].push(began.elapsed());
    }
    let vault = town.keys(DISTRICT).join("vault");
    let size: u64 =
        std::fs::read_dir(vault).unwrap().map(|file| file.unwrap().metadata().unwrap().len()).sum();
    say(&format!("{many} of each, text of {} bytes, vault of {size} bytes at the end", text.len()));
    report(["over HTTP, a finding sealed within", "a clue sealed beside, key of its own"], &wrote);
    report(["over HTTP, a finding opened, on record", "a clue opened, on record"], &read);
}

/// Each beside the first.
fn report(names: [&str; 2], times: &[Vec<Duration>; 2]) {
    let base = quantiles(times[0].clone()).0.as_secs_f64();
    for (name, times) in names.into_iter().zip(times) {
        let (middle, late) = quantiles(times.clone());
        let ratio = middle.as_secs_f64() / base;
        say(&format!("{name}: p50 {} ({ratio:.2} times), p99 {}", ms(middle), ms(late)));
    }
}

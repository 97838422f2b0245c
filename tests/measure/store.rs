//! The store: many callers, one caller, and the same rows written bare.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use event_store::{
    Answer, FoldError, Idempotency, Office, Rows, Setting, Unit, View, act, db::Conn, log,
};
use kernel::{
    Actor, Aggregate, Context, Fact, Refusal, Root,
    binding::{Binding, Class, Rule},
    id::Tier,
};
use testkit::{TestStore, setting};

use crate::quantile;

#[derive(Clone, Default)]
struct Page;

impl Aggregate for Page {
    type Command = String;
    type Event = String;
    const FAMILY: &'static str = "page";

    fn name(_: &String) -> &'static str {
        "written"
    }

    fn decide(&self, command: String, _: &Context) -> Result<Vec<String>, Refusal> {
        Ok(vec![command])
    }

    fn evolve(&mut self, _: &String) {}
}

struct Lengths;

impl View for Lengths {
    fn name(&self) -> &'static str {
        "lengths"
    }

    fn apply(&self, rows: &mut Rows<'_>, fact: &Fact) -> Result<(), FoldError> {
        let text: String = fact.read()?;
        rows.change("lengths", &fact.stream, |length: &mut usize| *length += text.len())
    }
}

static WRITTEN: Binding = Binding {
    family: "page",
    name: "written",
    root: Root::Ev,
    rule: Rule::Own,
    class: Class::K2,
    tiers: &[Tier::District],
};

/// What was measured.
pub(crate) struct Figures {
    pub(crate) rate: f64,
    pub(crate) batch: f64,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    pub(crate) baseline: f64,
    pub(crate) one_rate: f64,
    pub(crate) one_p50: Duration,
    pub(crate) one_p99: Duration,
}

const CALLERS: usize = 64;
const EACH: usize = 300;

pub(crate) async fn measure(open: &dyn Fn() -> TestStore) -> Figures {
    let store = open();
    let office = Office::open(measured(&store)).await.unwrap();
    run(&office, CALLERS, 20).await;
    let (before, began) = (office.commits(), Instant::now());
    let mut many = run(&office, CALLERS, EACH).await;
    let rate = per_second(many.len(), began.elapsed());
    #[expect(clippy::cast_precision_loss, reason = "small counts")]
    let batch = many.len() as f64 / (office.commits() - before) as f64;
    let began = Instant::now();
    let mut one = run(&office, 1, 1500).await;
    let one_rate = per_second(one.len(), began.elapsed());
    let baseline = bare(open, &office, batch).await;
    Figures {
        rate,
        batch,
        p50: quantile(&mut many, 0.5),
        p99: quantile(&mut many, 0.99),
        baseline,
        one_rate,
        one_p50: quantile(&mut one, 0.5),
        one_p99: quantile(&mut one, 0.99),
    }
}

/// How many a second.
pub(crate) fn per_second(count: usize, elapsed: Duration) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "small counts")]
    let count = count as f64;
    count / elapsed.as_secs_f64()
}

pub(crate) fn measured(store: &TestStore) -> Setting {
    Setting { bindings: |_| Some(&WRITTEN), views: Arc::new([Arc::new(Lengths)]), ..setting(store) }
}

pub(crate) async fn run(office: &Office, callers: usize, each: usize) -> Vec<Duration> {
    let tasks: Vec<_> = (0..callers)
        .map(|caller| {
            let office = office.clone();
            tokio::spawn(async move {
                let mut samples = Vec::with_capacity(each);
                for n in 0..each {
                    samples.push(command(&office, caller, n).await);
                }
                samples
            })
        })
        .collect();
    let mut samples = Vec::new();
    for task in tasks {
        samples.extend(task.await.unwrap());
    }
    samples
}

async fn command(office: &Office, caller: usize, n: usize) -> Duration {
    let text = "问".repeat(340);
    let id = format!("dddddddd-{caller}");
    let run = act(move |unit: &mut Unit<'_>| {
        let (id, text) = (id.clone(), text.clone());
        Box::pin(async move {
            let done = unit.execute::<Page>(&id, text).await?;
            Ok(Answer { status: 200, etag: done.version.to_string(), body: b"{}".to_vec() })
        })
    });
    let key =
        Idempotency::new("p1", "POST /pages", &format!("{caller}-{n}-{}", office.head()), b"");
    let actor = Actor { person: "p1".to_owned(), role: "D_PLAN".to_owned() };
    let began = Instant::now();
    office.command(actor, None, Some(key), run).await.unwrap();
    began.elapsed()
}

/// The rows that the office wrote, written again through prepared statements,
/// one a row, in batches of the same size: entry, lane, view row, answer, head.
async fn bare(open: &dyn Fn() -> TestStore, office: &Office, batch: f64) -> f64 {
    let entries = log::own_after(&mut office.reader().await.unwrap(), 0, 8000).await.unwrap();
    let store = open();
    drop(Office::open(setting(&store)).await.unwrap());
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut conn = Conn::open_reader_writable(&store.engine).await.unwrap();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a batch size")]
    let size = batch.round().max(1.0) as usize;
    let began = Instant::now();
    for part in entries.chunks(size) {
        conn.begin().await.unwrap();
        for own in part {
            write(&mut conn, own).await;
        }
        conn.exec("UPDATE writer SET sequence = sequence + 1 WHERE id = 1", vec![]).await.unwrap();
        conn.commit().await.unwrap();
    }
    per_second(entries.len(), began.elapsed())
}

async fn write(conn: &mut Conn, own: &log::Own) {
    let entry = "INSERT INTO entries (sequence, epoch, stream, version, kind, lane, counter, hash, entry) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    let stream = format!("page/dddddddd-{}", own.sequence % 64);
    let hash = own.hash.0.as_slice();
    let args = vec![
        own.sequence.into(),
        1i64.into(),
        stream.as_str().into(),
        own.sequence.into(),
        own.kind.as_str().into(),
        own.lane.as_str().into(),
        own.sequence.into(),
        hash.into(),
        own.entry.as_slice().into(),
    ];
    conn.exec(entry, args).await.unwrap();
    let view = "INSERT INTO view_rows (generation, view, key, body) VALUES (1, $1, $2, $3) \
                ON CONFLICT (generation, view, key) DO UPDATE SET body = excluded.body";
    conn.exec(view, vec!["lengths".into(), stream.into(), "1020".into()]).await.unwrap();
    let answer = "INSERT INTO answers (scope, body_hash, status, etag, body, sequence) \
                  VALUES ($1, $2, $3, $4, $5, $6)";
    let scope = own.hash.to_string();
    let body: &[u8] = b"{}";
    let args = vec![
        scope.into(),
        hash.into(),
        200i64.into(),
        "1".into(),
        body.into(),
        own.sequence.into(),
    ];
    conn.exec(answer, args).await.unwrap();
}

//! Does an office get slower with the years? The same work at several lengths of
//! history, each in a process of its own, so that its memory is only its own.

use std::{
    process::Command,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use event_store::{
    Answer, Engine, Idempotency, Office, Setting, Unit, act,
    db::{Conn, Row},
};
use kernel::{Actor, Aggregate, Fact};
use testkit::TestStore;

use crate::{bare_fsync, history, ms, quantile, say, store::per_second};

/// Measures at each of these numbers of facts, on one store that grows.
pub(crate) async fn measure(postgres: bool, sizes: &[u64]) {
    let store = if postgres { TestStore::postgres() } else { TestStore::sqlite() };
    let name = match &store.engine {
        Engine::Sqlite(folder) => folder.display().to_string(),
        Engine::Postgres { schema, .. } => format!("postgres:{schema}"),
    };
    let mut from = 0;
    for size in sizes {
        let blocks = size.div_ceil(history::FACTS);
        let began = Instant::now();
        history::write(&store.engine, from, blocks).await;
        say(&format!(
            "\n{} facts ({} s to make {})",
            blocks * history::FACTS,
            began.elapsed().as_secs(),
            (blocks - from) * history::FACTS
        ));
        from = blocks;
        for part in ["fold", "start"] {
            let program = std::env::current_exe().unwrap();
            let ended = Command::new(program).args([part, &name]).status().unwrap();
            assert!(ended.success(), "{part} failed");
        }
    }
}

fn setting(name: &str) -> Setting {
    let engine = match name.strip_prefix("postgres:") {
        Some(schema) => {
            let url = std::env::var("LIANDONG_TEST_POSTGRES").unwrap();
            Engine::Postgres { url, schema: schema.to_owned() }
        }
        None => Engine::Sqlite(name.into()),
    };
    let store = TestStore::sqlite();
    Setting {
        engine,
        bindings: domain::binding::bindings,
        views: (district::service().views)(&history::office()).into(),
        ..testkit::setting(&store)
    }
}

/// The rebuild of all views beside bare read and typed decode, then a check of them.
pub(crate) async fn fold(name: &str) {
    let setting = setting(name);
    let (facts, bare) = bare_decode(&setting.engine).await;
    let office = Office::open(setting).await.unwrap();
    let began = Instant::now();
    assert!(office.rebuilding().is_some(), "there is nothing to fold again");
    office.settled().await.unwrap();
    let rebuilt = per_second(facts, began.elapsed());
    let peak = memory("VmHWM");
    say(&format!(
        "  rebuild of all views: {:.1} s, {rebuilt:.0} facts/s; bare read + typed decode {bare:.0}/s; ratio {:.2} (bar 0.3); 5 M facts would take {:.0} s (bar 180); peak RSS {peak} MB",
        began.elapsed().as_secs_f64(),
        rebuilt / bare,
        5_000_000.0 / rebuilt
    ));
}

/// Reads every entry in slices of the rebuild's length and decodes it to its type.
async fn bare_decode(engine: &Engine) -> (usize, f64) {
    let mut conn = Conn::open_reader(engine).await.unwrap();
    let (began, mut count) = (Instant::now(), 0);
    for (table, at) in [("entries", "sequence"), ("received", "position")] {
        let sql =
            format!("SELECT {at}, entry FROM {table} WHERE {at} > $1 ORDER BY {at} LIMIT 500");
        let mut after = 0u64;
        loop {
            let rows = conn.rows(&sql, vec![after.into()]).await.unwrap();
            let Some(last) = rows.last() else { break };
            after = last.count(0).unwrap();
            count += rows.len();
            rows.iter().for_each(decode);
        }
    }
    (count, per_second(count, began.elapsed()))
}

fn decode(row: &Row) {
    let (fact, _) = Fact::of_entry(&row.blob(1).unwrap()).unwrap();
    match fact.family() {
        "finding" => typed::<domain::finding::Finding>(&fact),
        "rectification" => typed::<domain::rectification::Rectification>(&fact),
        _ => typed::<event_store::intake::Intake>(&fact),
    }
}

fn typed<A: Aggregate>(fact: &Fact) {
    std::hint::black_box(fact.read::<A::Event>().unwrap());
}

/// A start until the first answer, what commands cost now, and the memory it takes.
pub(crate) async fn start(name: &str) {
    let began = Instant::now();
    let office = Office::open(setting(name)).await.unwrap();
    let opened = began.elapsed();
    assert!(office.rebuilding().is_none(), "the views are not folded");
    command(&office, 0, 0).await;
    let ready = began.elapsed();
    let idle = memory("VmRSS");
    run(&office, 16, 20).await;
    say(&format!(
        "  start: open {}, first answer {} (bar 2 s); RSS {idle} MB",
        ms(opened),
        ms(ready)
    ));
    commands(&office, "as it lies").await;
    if !name.starts_with("postgres:") {
        let mut file = std::fs::File::open(format!("{name}/office.db")).unwrap();
        std::io::copy(&mut file, &mut std::io::sink()).unwrap();
        commands(&office, "its file read once before").await;
    }
}

/// What a command costs one caller and 64 of them. Whether the machine holds the store's
/// pages in memory makes the difference, so it is said.
async fn commands(office: &Office, pages: &str) {
    let mut one = run(office, 1, 400).await;
    let (commits, began) = (office.commits(), Instant::now());
    let mut many = run(office, 64, 200).await;
    let rate = per_second(many.len(), began.elapsed());
    #[expect(clippy::cast_precision_loss, reason = "small counts")]
    let batch = many.len() as f64 / (office.commits() - commits) as f64;
    let disk = bare_fsync();
    say(&format!(
        "  commands ({pages}), half new findings, half on any old one: one caller p50 {} p99 {}; 64 callers {rate:.0}/s in batches of {batch:.0}, p50 {} p99 {}; RSS {} MB; bare fsync p50 {} p99 {}",
        ms(quantile(&mut one, 0.5)),
        ms(quantile(&mut one, 0.99)),
        ms(quantile(&mut many, 0.5)),
        ms(quantile(&mut many, 0.99)),
        memory("VmRSS"),
        ms(disk.0),
        ms(disk.1)
    ));
}

async fn run(office: &Office, callers: u64, each: u64) -> Vec<Duration> {
    let base = office.head();
    let tasks: Vec<_> = (0..callers)
        .map(|caller| {
            let office = office.clone();
            tokio::spawn(async move {
                let mut samples = Vec::new();
                for n in 0..each {
                    samples.push(command(&office, base, caller * each + n).await);
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

/// How many findings of the history were chosen.
static CHOSEN: AtomicU64 = AtomicU64::new(0);

/// One from anywhere in the history that was not chosen before, as long as there is one.
fn any(findings: u64) -> u64 {
    // Prime, so that it goes through all of them.
    CHOSEN.fetch_add(1, Ordering::Relaxed).wrapping_mul(1_000_003) % findings.max(1)
}

/// An even command drafts a finding; an odd one reopens one from anywhere in the history.
async fn command(office: &Office, base: u64, n: u64) -> Duration {
    use domain::finding::{Command as Ask, Finding};
    let any = any(base / 7);
    let run = act(move |unit: &mut Unit<'_>| {
        Box::pin(async move {
            let (id, ask) = if n.is_multiple_of(2) {
                (format!("dddddddd-n{base}-{n}"), history::drafted(n))
            } else {
                (history::finding_id(any), Ask::Reopen { reason: "反弹".to_owned() })
            };
            let (_, version) = unit.load::<Finding>(&id).await?;
            if n.is_multiple_of(2) || version == 6 {
                unit.execute::<Finding>(&id, ask).await?;
            }
            Ok(Answer { status: 200, etag: String::new(), body: b"{}".to_vec() })
        })
    });
    let key = Idempotency::new("p1", "POST /findings", &format!("{base}-{n}"), b"");
    let actor = Actor { person: "p1".to_owned(), role: "D_TM".to_owned() };
    let began = Instant::now();
    office.command(actor, None, Some(key), run).await.unwrap();
    began.elapsed()
}

/// A line of this process's status, in MB.
fn memory(line: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let found = status.lines().find_map(|l| l.strip_prefix(line)?.strip_prefix(':'));
    let kb = found.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    kb.unwrap_or_default() / 1024
}

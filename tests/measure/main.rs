//! First figures: what a durable command costs, beside what the bare engine costs.
//!
//! `cargo run --release -p tests --bin measure`. Every figure is a ratio to a
//! baseline of the same run on the same disk. PostgreSQL is measured too if
//! `LIANDONG_TEST_POSTGRES` names a server; HTTP needs `LIANDONG_NATS_SERVER`.
//!
//! `measure growth [postgres] FACTS…` makes a history of each of these lengths, folds
//! it again, starts an office on it and runs commands; it needs about 1.5 KB a fact.
//!
//! `measure papers [CALLERS]` lets so many slow callers bring and fetch papers at once and
//! looks at the office's memory; it needs `LIANDONG_BIN` and `LIANDONG_NATS_SERVER`.
//!
//! `measure city [DIVISIONS]` starts every office of a CSV of divisions and looks at what
//! they cost; `measure feed [RATE] [SECONDS]` counts how long a township's command takes
//! to the city's live feed, `measure feed way [RATE] [SECONDS]` where that time goes. Both
//! need the same.
//!
//! `measure month [COMMANDS]` lets two offices work for a month without a link and heals it.
//!
//! `measure sealed` drafts and opens clues beside findings: what sealing costs.
//!
//! `measure past [FACTS]` stands at moments of a long history: cold, and once more.
//!
//! `measure audit [ENTRIES]` checks a long log beside reading and hashing its bytes.
//!
//! `measure ledger` is what the tree over the log costs an event in processor time.
//!
//! `measure streams` times the first command after a start on streams of 10 to 10,000 events.
#![expect(clippy::unwrap_used, reason = "a measurement that fails has no figure")]
#![expect(clippy::disallowed_methods, reason = "a program reads its servers from the environment")]

mod audit;
mod city;
mod feed;
mod growth;
mod history;
mod http;
mod inspected;
mod ledger;
mod live;
mod month;
mod papers;
mod past;
mod process;
mod sealed;
mod store;
mod streams;
mod way;
mod whole;

use std::{
    io::Write,
    time::{Duration, Instant},
};

use testkit::TestStore;

#[tokio::main]
async fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["growth", "postgres", ..] => growth::measure(true, &numbers(&words[2..])).await,
        ["growth", ..] => growth::measure(false, &numbers(&words[1..])).await,
        ["month"] => month::measure(100_000).await,
        ["month", commands] => month::measure(commands.parse().unwrap()).await,
        ["papers"] => papers::measure(50).await,
        ["papers", many] => papers::measure(many.parse().unwrap()).await,
        ["sealed"] => sealed::measure(300).await,
        ["past"] => past::measure(1_000_000).await,
        ["past", facts] => past::measure(facts.parse().unwrap()).await,
        ["audit"] => audit::measure(1_000_000),
        ["audit", entries] => audit::measure(entries.parse().unwrap()),
        ["ledger"] => ledger::measure().await,
        ["streams"] => streams::measure(&[10, 200, 1_000, 10_000]).await,
        ["city"] => whole::measure("deploy/data/divisions/3701.csv").await,
        ["city", divisions] => whole::measure(divisions).await,
        ["feed", "way", ..] => feed::measure(true, &numbers(&words[2..])).await,
        ["feed", ..] => feed::measure(false, &numbers(&words[1..])).await,
        // Parts of the former, in a process of their own.
        ["fold", store] => growth::fold(store).await,
        ["start", store] => growth::start(store).await,
        _ => first_figures().await,
    }
}

fn numbers(words: &[String]) -> Vec<u64> {
    words.iter().map(|word| word.replace('_', "").parse().unwrap()).collect()
}

async fn first_figures() {
    let disk = bare_fsync();
    say(&format!("bare 4 KiB write + fdatasync: p50 {} p99 {}", ms(disk.0), ms(disk.1)));
    let mut engines =
        vec![("SQLite, WAL, synchronous=FULL", TestStore::sqlite as fn() -> TestStore)];
    if std::env::var("LIANDONG_TEST_POSTGRES").is_ok() {
        engines.push(("PostgreSQL, fsync=on, synchronous_commit=on", TestStore::postgres));
    }
    let mut sqlite_rate = 0.0;
    for (name, open) in engines {
        let figures = store::measure(&open).await;
        say(&format!("\n{name}"));
        say(&format!(
            "  64 callers, 64 streams, 1 KiB: {:.0}/s, {:.1} commands a commit, p50 {} p99 {}",
            figures.rate,
            figures.batch,
            ms(figures.p50),
            ms(figures.p99)
        ));
        say(&format!(
            "  baseline, same rows and bytes in batches of {:.0}: {:.0}/s; ratio {:.2} (bar 0.5)",
            figures.batch,
            figures.baseline,
            figures.rate / figures.baseline
        ));
        say(&format!(
            "  one caller: {:.0}/s, p50 {} p99 {}; above the bare fsync {} (bar 1.5 ms SQLite, 3 ms PostgreSQL); 64 callers are {:.1} x",
            figures.one_rate,
            ms(figures.one_p50),
            ms(figures.one_p99),
            ms(figures.one_p50.saturating_sub(disk.0)),
            figures.rate / figures.one_rate
        ));
        if sqlite_rate == 0.0 {
            sqlite_rate = figures.rate;
        }
    }
    if std::env::var("LIANDONG_NATS_SERVER").is_ok() {
        let http::Measured { connected, cut, store } = http::measure().await;
        say("\nfindings of 1 KiB, 64 callers, SQLite, a district's views and rules");
        let rows = [("the store alone", store), ("HTTP, the link cut", cut)];
        for (what, (rate, p50, p99)) in rows.into_iter().chain([("HTTP, hub connected", connected)])
        {
            say(&format!(
                "  {what}: {rate:.0}/s, p50 {} p99 {}; {:.2} of the store with these findings, {:.2} with the plain command above (bar for HTTP 0.6)",
                ms(p50),
                ms(p99),
                rate / store.0,
                rate / sqlite_rate
            ));
        }
    }
}

fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

fn ms(duration: Duration) -> String {
    format!("{:.2} ms", duration.as_secs_f64() * 1000.0)
}

/// The value that `part` of the sorted samples lie under.
fn quantile(samples: &mut [Duration], part: f64) -> Duration {
    samples.sort();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an index"
    )]
    let at = ((samples.len() - 1) as f64 * part) as usize;
    samples.get(at).copied().unwrap_or_default()
}

fn bare_fsync() -> (Duration, Duration) {
    let path = std::env::temp_dir().join(format!("liandong-fsync-{}", std::process::id()));
    let mut file = std::fs::File::create(&path).unwrap();
    let mut samples = Vec::new();
    for _ in 0..500 {
        let began = Instant::now();
        file.write_all(&[7; 4096]).unwrap();
        file.sync_data().unwrap();
        samples.push(began.elapsed());
    }
    std::fs::remove_file(path).unwrap();
    (quantile(&mut samples, 0.5), quantile(&mut samples, 0.99))
}

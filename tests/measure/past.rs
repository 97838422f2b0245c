//! How long it takes to stand at any past moment of a long history.

use std::time::{Duration, Instant};

use event_store::{
    Office, Reader,
    past::{Known, Moment, NoPast},
};
use kernel::{Timestamp, entropy::Entropy};
use testkit::TestStore;

use crate::{bare_fsync, history, ms, quantile, say};

/// How many moments are looked at.
const MOMENTS: usize = 40;

/// Looks back over a history of so many facts.
pub(crate) async fn measure(facts: u64) {
    let store = TestStore::sqlite();
    let blocks = facts.div_ceil(history::FACTS);
    history::write(&store.engine, 0, blocks).await;
    let disk = bare_fsync();
    say(&format!(
        "{} facts on SQLite, fsync on; bare fsync p50 {} p99 {}",
        blocks * history::FACTS,
        ms(disk.0),
        ms(disk.1)
    ));
    let office = Office::open(history::setting(&store)).await.unwrap();
    office.settled().await.unwrap();
    lay(&office, &store).await;
    let seeded = Entropy::seeded(7);
    let drawn = || u64::from_le_bytes(seeded.bytes16()[..8].try_into().unwrap());
    let head = office.head();
    let day = |sequence: u64| {
        Timestamp(1_600_000_000_000 + i64::try_from(sequence).unwrap() * 30_000).day()
    };
    for (name, moments) in [
        (
            "known_at, any entry",
            (0..MOMENTS)
                .map(|_| Moment { as_of: None, known_at: Some(Known::After(drawn() % head)) })
                .collect::<Vec<_>>(),
        ),
        (
            "as_of, any day",
            (0..MOMENTS)
                .map(|_| Moment { as_of: Some(day(drawn() % head)), known_at: None })
                .collect(),
        ),
    ] {
        let (mut cold, mut warm) = (Vec::new(), Vec::new());
        for moment in moments {
            let began = Instant::now();
            looked(&office, moment).await;
            cold.push(began.elapsed());
            let began = Instant::now();
            looked(&office, moment).await;
            warm.push(began.elapsed());
        }
        say(&format!(
            "  {name}: cold p50 {} max {} (bar 2 s); warm p50 {} max {} (bar 200 ms)",
            ms(quantile(&mut cold, 0.5)),
            ms(quantile(&mut cold, 1.0)),
            ms(quantile(&mut warm, 0.5)),
            ms(quantile(&mut warm, 1.0))
        ));
    }
}

/// The first question of all, and the blocks that are laid out upon it.
async fn lay(office: &Office, store: &TestStore) {
    let before = size(store);
    let began = Instant::now();
    let first = Moment { as_of: None, known_at: Some(Known::After(office.head() / 2)) };
    let asked = office.past(first).await;
    say(&format!(
        "  the first question of all: {} after {}",
        if matches!(asked, Err(NoPast::Laying(_))) { "202" } else { "answered" },
        ms(began.elapsed())
    ));
    while office.laying().is_some_and(|progress| !progress.failed) {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(office.laying().is_none(), "it was laid out");
    say(&format!(
        "  laid out in {:.1} s; {} MB on the disk, of {} MB before",
        began.elapsed().as_secs_f64(),
        (size(store) - before) / 1_000_000,
        before / 1_000_000
    ));
}

/// What a query reads: a page of findings and the tallies.
async fn looked(office: &Office, moment: Moment) {
    let past = office.past(moment).await.unwrap();
    let mut reader: Reader = office.reader().await.unwrap().looking_back(past);
    let page: Vec<(String, serde_json::Value)> =
        reader.scan("findings", "", "", 100).await.unwrap();
    let tallies: Vec<(String, serde_json::Value)> = reader.all("tally", "").await.unwrap();
    std::hint::black_box((page, tallies));
}

fn size(store: &TestStore) -> u64 {
    let files = std::fs::read_dir(store.folder()).unwrap();
    files.map(|file| file.unwrap().metadata().unwrap().len()).sum()
}

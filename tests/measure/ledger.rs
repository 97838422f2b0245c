//! What the tree over the log costs an event, in processor time: the same commands on one
//! store whose ledger follows, and on one without, in turns.

use std::{fs, time::Duration};

use event_store::Office;
use messaging::{keys::Keys, witnessing::Ledger};
use testkit::TestStore;

use crate::{
    bare_fsync, ms, say,
    store::{measured, run},
};

const ROUNDS: usize = 10;
const CALLERS: usize = 64;
const EACH: usize = 100;

/// The processor time of this process, user and system.
fn cpu() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

/// Measures both in turns.
pub(crate) async fn measure() {
    let (with, without) = (TestStore::sqlite(), TestStore::sqlite());
    let disk = bare_fsync();
    let (a, b) = (
        Office::open(measured(&with)).await.unwrap(),
        Office::open(measured(&without)).await.unwrap(),
    );
    let keys = tests::exported::Folder::new("measure-ledger");
    let keys = (Keys::at(&keys.0).unwrap(), keys);
    let ledger = Ledger::new(a.clone(), keys.0, with.folder().join("ledger"), Vec::new()).unwrap();
    run(&a, CALLERS, 10).await;
    run(&b, CALLERS, 10).await;
    ledger.turn().await.unwrap();
    let (mut on, mut off, mut events) = (Duration::ZERO, Duration::ZERO, 0);
    for _ in 0..ROUNDS {
        let began = cpu();
        run(&a, CALLERS, EACH).await;
        ledger.turn().await.unwrap();
        on += cpu().saturating_sub(began);
        let began = cpu();
        run(&b, CALLERS, EACH).await;
        off += cpu().saturating_sub(began);
        events += u32::try_from(CALLERS * EACH).unwrap();
    }
    say(&format!(
        "{events} events in {ROUNDS} turns each: {} of processor time an event with the ledger, {} without ({:+.1} %); a turn every {} events; bare fsync p50 {} p99 {}",
        micros(on / events),
        micros(off / events),
        (on.as_secs_f64() / off.as_secs_f64() - 1.0) * 100.0,
        CALLERS * EACH,
        ms(disk.0),
        ms(disk.1)
    ));
}

fn micros(time: Duration) -> String {
    format!("{:.1} µs", time.as_secs_f64() * 1e6)
}

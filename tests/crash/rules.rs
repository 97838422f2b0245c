//! A sample of the store's system calls, each broken once: the process is killed
//! there, or the disk answers with an error.
//!
//! It needs strace, which `./deploy/test` installs. Every call there is:
//! `cargo run -p tests --bin crash syscalls`.

use tests::crash::{
    points::{Fault, Rig},
    seeded::Seeded,
    tally::sound,
};

/// The seed of every sample; another one is another sample.
const SEED: u64 = 7;

fn sample(fault: Fault, count: usize) {
    let name = format!("liandong-{}-{}", fault.name(), std::process::id());
    let folder = std::env::temp_dir().join(name);
    let rig = Rig::new(&folder, 2);
    let mut points = rig.points(fault);
    assert!(points.len() > 300, "only {} calls were found", points.len());
    let mut seeded = Seeded::new(SEED);
    while points.len() > count {
        points.swap_remove(seeded.below(points.len()));
    }
    let outcomes: Vec<_> = points.iter().map(|point| rig.try_point(point)).collect();
    let reached = outcomes.iter().filter(|outcome| outcome.reached).count();
    assert!(reached * 10 >= count * 8, "{reached} of {count} points were reached");
    sound(&outcomes, count, "crash syscalls --turns 2 --point");
    let _ = std::fs::remove_dir_all(folder);
}

#[test]
fn a_process_killed_at_any_call_loses_nothing_it_answered() {
    sample(Fault::Kill, 16);
}

#[test]
fn a_disk_that_answers_with_errors_loses_nothing_that_was_answered() {
    sample(Fault::Eio, 10);
}

#[test]
fn a_disk_without_space_tears_nothing() {
    sample(Fault::Enospc, 8);
}

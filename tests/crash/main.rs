//! The rigs on demand: all points of the store's system calls, power cuts, a full disk.
//!
//! ```text
//! crash syscalls [--seed S] [--sample N] [--turns N]
//! crash syscalls --point kill:used:store:pwrite64:17
//! crash power [--seed S] [--cuts N] [--turns N] [--postgres] [--lose-syncs]
//!             [--write-error LINE [--restart]]
//! crash power --image FILE --turns N [--postgres]
//! ```
//! Exit 0 if nothing was lost, doubled or torn; 1 else; each point that failed is
//! printed with the command that repeats it.
#![expect(clippy::unwrap_used, reason = "a rig that fails says where")]

use std::{
    io::Write,
    path::PathBuf,
    process::ExitCode,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use tests::crash::{
    cuts::{Trial, look, record},
    points::{Fault, Point, Rig},
    seeded::Seeded,
    tally::{Outcome, Tally},
};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let option = |name: &str| {
        let at = words.iter().position(|word| word == name)?;
        words.get(at + 1).cloned()
    };
    let number = |name: &str, or: usize| option(name).map_or(or, |text| text.parse().unwrap());
    let sound = match words.first().map(String::as_str) {
        Some("syscalls") => {
            let seed = number("--seed", 1);
            syscalls(option("--point"), seed, number("--sample", usize::MAX), number("--turns", 2))
        }
        Some("power") => {
            let has = |name: &str| words.iter().any(|word| word == name);
            let turns = number("--turns", 30);
            let write_error = option("--write-error").map(|line| line.parse().unwrap());
            let trial = Trial {
                postgres: has("--postgres"),
                turns,
                lose_syncs: has("--lose-syncs"),
                write_error,
                restart: has("--restart"),
            };
            power(trial, option("--image"), number("--cuts", 200), number("--seed", 1))
        }
        _ => return ExitCode::from(2),
    };
    if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

fn syscalls(point: Option<String>, seed: usize, sample: usize, turns: usize) -> bool {
    let folder = PathBuf::from(format!("/tmp/liandong-crash-{}", std::process::id()));
    let rig = Rig::new(&folder, turns);
    if let Some(point) = point {
        let outcome = rig.try_point(&Point::parse(&point).unwrap());
        say(&format!("{outcome:#?}\nleft in {}", folder.display()));
        return outcome.is_sound();
    }
    say(&format!("seed {seed}, {turns} turns a run"));
    let mut sound = true;
    for fault in Fault::ALL {
        let mut points = rig.points(fault);
        let all = points.len();
        let mut seeded = Seeded::new(seed as u64);
        while points.len() > sample {
            points.swap_remove(seeded.below(points.len()));
        }
        let outcomes = walk(&rig, &points);
        say(&format!(
            "{} at {} of {all} calls: {}",
            fault.name(),
            points.len(),
            Tally::of(&outcomes)
        ));
        for outcome in outcomes.iter().filter(|outcome| !outcome.is_sound()) {
            sound = false;
            say(&format!("  crash syscalls --turns {turns} --point {}", outcome.point));
            say(&format!("    {:?} {:?} {}", outcome.complaint, outcome.verdict, outcome.note));
        }
    }
    if sound {
        let _ = std::fs::remove_dir_all(folder);
    }
    sound
}

fn power(trial: Trial, image: Option<String>, cuts: usize, seed: usize) -> bool {
    if let Some(image) = image {
        let verdict = look(&PathBuf::from(image), trial);
        say(&format!("{verdict:#?}"));
        return verdict.is_sound();
    }
    let folder = PathBuf::from(format!("/tmp/liandong-power-{}", std::process::id()));
    say(&format!("seed {seed}, {trial:?}"));
    let recording = record(&folder, trial);
    say(&recording.to_string());
    let outcomes = recording.cut(&recording.moments(cuts, seed as u64), seed as u64);
    let with_loss = outcomes.iter().filter(|outcome| !outcome.verdict.lost.is_empty()).count();
    let worst = outcomes.iter().map(|outcome| outcome.verdict.lost.len()).max().unwrap_or(0);
    say(&format!(
        "power cuts: {}; cuts with loss {with_loss}, worst {worst}",
        Tally::of(&outcomes)
    ));
    let also = if trial.postgres { " --postgres" } else { "" };
    let failed: Vec<_> = outcomes.iter().filter(|outcome| !outcome.is_sound()).collect();
    for outcome in failed.iter().take(5) {
        say(&format!("  crash power --turns {}{also} --image {}", trial.turns, outcome.point));
        say(&format!("    {:?}", outcome.verdict));
    }
    if failed.is_empty() {
        let _ = std::fs::remove_dir_all(folder);
    }
    failed.is_empty()
}

/// Two at a time: each run waits for its disk more than for a core.
fn walk(rig: &Rig, points: &[Point]) -> Vec<Outcome> {
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(point) = points.get(next.fetch_add(1, Ordering::SeqCst)) {
                    let outcome = rig.try_point(point);
                    done.lock().unwrap().push(outcome);
                }
            });
        }
    });
    done.into_inner().unwrap()
}

//! Runs the simulation: `cargo run --release -p tests --bin simulate -- [--seeds N]
//! [--from SEED] [--moves M] [--twice] [--log]`. One seed again, with what the offices
//! log (`RUST_LOG`): `--from SEED --seeds 1 --log`.
//!
//! Prints how many seeds a minute, what was done and what was broken; exits with 1
//! at the first violation and names the seed.

use std::{io::Write, process::ExitCode, time::Instant};

use tests::simulation::{Report, run};

fn argument(name: &str, default: u64) -> u64 {
    let arguments: Vec<String> = std::env::args().collect();
    let at = arguments.iter().position(|argument| argument == name);
    at.and_then(|at| arguments.get(at + 1)?.parse().ok()).unwrap_or(default)
}

fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

fn main() -> ExitCode {
    let (from, seeds) = (argument("--from", 1), argument("--seeds", 100));
    let moves = u32::try_from(argument("--moves", 400)).unwrap_or(400);
    let twice = std::env::args().any(|argument| argument == "--twice");
    if std::env::args().any(|argument| argument == "--log") {
        telemetry::start();
    }
    let began = Instant::now();
    let mut total = Report::default();
    let mut failed = 0;
    for seed in from..from + seeds {
        match run(seed, moves) {
            Ok(report) => {
                if twice && run(seed, moves).as_ref() != Ok(&report) {
                    say(&format!("seed {seed} does not come out the same twice"));
                    failed += 1;
                }
                if seeds == 1 {
                    say(&format!("trace {}", report.trace));
                }
                total.add(&report);
            }
            Err(why) => {
                say(&why);
                failed += 1;
            }
        }
    }
    let minutes = began.elapsed().as_secs_f64() / 60.0;
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    let rate = seeds as f64 / minutes;
    say(&format!(
        "{seeds} seeds of {moves} moves from {from}: {rate:.0} a minute, {} entries, longest settling {} rounds, {failed} failed",
        total.entries, total.rounds
    ));
    for (name, count) in &total.counts {
        say(&format!("  {count:>8}  {name}"));
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

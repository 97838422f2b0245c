//! Faults against a real small city, for minutes or hours.
//!
//! `cargo run -p tests --bin nemesis -- --minutes 10 --seed 7`. It prints a table
//! and the seed; 1 if anything was lost, doubled, reordered or did not heal.
#![expect(clippy::disallowed_methods, reason = "a program reads its servers from the environment")]

use std::{io::Write, path::PathBuf, process::ExitCode, time::Duration};

use clap::{Parser, ValueEnum};
use tests::nemesis::{Fault, Outcome, Plan, custody, mixed, run, term, two_cities};

/// Faults against a real small city.
#[derive(Debug, Parser)]
struct Arguments {
    /// Everything random comes from it; without it, from the clock.
    #[arg(long)]
    seed: Option<u64>,
    /// How long; every fault strikes at least once.
    #[arg(long, default_value = "3")]
    minutes: u64,
    /// Where the offices keep their logs.
    #[arg(long, default_value = "sqlite")]
    engine: Engine,
    /// Which faults; without it all that must heal with a hub of one server. With `leader`
    /// the hub has three and no proxies before them: bad links do not go with it.
    #[arg(long, value_delimiter = ',')]
    faults: Vec<Fault>,
    /// Instead: play a part of the term (`1/20`) while its processes are killed.
    #[arg(long)]
    term: Option<String>,
    /// How many processes of the term are killed.
    #[arg(long, default_value = "20")]
    kills: u64,
    /// Instead: two cities with offices on NATS and on files, whose discs get mixed up.
    #[arg(long)]
    cities: bool,
    /// Instead: clues go from organ to organ while offices are cut off, killed and put back.
    #[arg(long)]
    custody: bool,
    /// Instead: the previous version's programs below a city of this version.
    #[arg(long)]
    previous: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Engine {
    Sqlite,
    /// The server that `LIANDONG_TEST_POSTGRES` names.
    Postgres,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let postgres = match arguments.engine {
        Engine::Sqlite => None,
        Engine::Postgres => {
            let Ok(url) = std::env::var("LIANDONG_TEST_POSTGRES") else {
                say("LIANDONG_TEST_POSTGRES names no server");
                return ExitCode::from(2);
            };
            Some(url)
        }
    };
    let faults = if arguments.faults.is_empty() { Fault::USUAL.to_vec() } else { arguments.faults };
    let seed = arguments.seed.unwrap_or_else(|| kernel::clock::wall().0.unsigned_abs());
    if let Some(scale) = arguments.term {
        let (killed, code) = term(seed, &scale, arguments.kills).await;
        say(&format!("seed {seed}: {killed} processes killed, deploy/up ended with {code:?}"));
        return if code == Some(0) { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    if let Some(previous) = arguments.previous {
        return report(&mixed(seed, &previous, say).await);
    }
    let time = Duration::from_secs(arguments.minutes * 60);
    if arguments.cities {
        return report(&two_cities(seed, time.max(Duration::from_secs(8)), say).await);
    }
    if arguments.custody {
        let outcome = custody(seed, time, say).await;
        say(&outcome.table());
        let well = outcome.violations.is_empty();
        return if well { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    report(&run(Plan { seed, faults, time, postgres }, say).await)
}

fn report(outcome: &Outcome) -> ExitCode {
    say(&outcome.table());
    if outcome.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

//! The office under test: one writer, one runtime worker, a fixed script.
//!
//! `crash-office run FOLDER TURNS [URL SCHEMA]` prints a line for each answer, when
//! it has it. `crash-office check FOLDER TURNS SAID [URL SCHEMA]` audits what is
//! left against those lines in the file SAID, and prints the verdict as JSON.
//! Exit codes: 0 done or sound, 1 not sound, 2 usage, 3 the store did not open,
//! 4 a command was not answered although it was asked again and again.
#![expect(clippy::unwrap_used, reason = "a rig that fails says where")]

use std::{io::Write, path::PathBuf, process::ExitCode, time::Duration};

use event_store::Office;
use kernel::Refusal;
use tests::crash::{
    audit::{Said, audit},
    script::{Incoming, Place, note_sent, turn},
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["run", folder, turns, ref rest @ ..] => {
            run(&place(folder, rest), turns.parse().unwrap()).await
        }
        ["check", folder, turns, said, ref rest @ ..] => {
            let said = Said::read(&std::fs::read_to_string(said).unwrap());
            let verdict = audit(&place(folder, rest), turns.parse().unwrap(), &said).await;
            say(&serde_json::to_string(&verdict).unwrap());
            if verdict.is_sound() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        _ => ExitCode::from(2),
    }
}

fn place(folder: &str, rest: &[&str]) -> Place {
    let postgres = match rest {
        [url, schema] => Some(((*url).to_owned(), (*schema).to_owned())),
        _ => None,
    };
    Place { folder: PathBuf::from(folder), postgres }
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").unwrap();
    out.flush().unwrap();
}

/// How often a command is asked before the office counts as gone.
const TRIES: usize = 20;

async fn run(place: &Place, turns: usize) -> ExitCode {
    let keys = place.keys();
    let setting = place.setting(&keys);
    let (readers, engine) = (setting.readers.clone(), setting.engine.clone());
    let office = match Office::open(setting).await {
        Ok(office) => office,
        Err(error) => {
            say(&format!("did-not-open {error:?}"));
            return ExitCode::from(3);
        }
    };
    let incoming = Incoming::new();
    for number in 0..turns {
        for commands in turn(number) {
            let asking = commands.into_iter().map(|command| {
                let office = office.clone();
                tokio::spawn(async move {
                    let answer = again(&command.key, || command.ask(&office)).await;
                    answer.map(|hash| say(&format!("answered {} {hash}", command.key)))
                })
            });
            for asked in asking.collect::<Vec<_>>() {
                if asked.await.unwrap().is_none() {
                    return ExitCode::from(4);
                }
            }
        }
        if again("delivery", || office.system(incoming.delivery(number))).await.is_none() {
            return ExitCode::from(4);
        }
        say(&format!("took {number}"));
        match note_sent(&office, &keys).await {
            Ok(sequence) => say(&format!("sent {sequence}")),
            Err(error) => say(&format!("not-sent {error}")),
        }
    }
    readers.forget(&engine);
    // The readers are gone first: then closing the writer ends the engine's own log.
    tokio::time::sleep(Duration::from_millis(30)).await;
    drop(office);
    closed(place).await;
    say("end");
    ExitCode::SUCCESS
}

/// Asks until it is answered: a stopped office recovers by itself.
async fn again<T, F: Future<Output = Result<T, Refusal>>>(
    key: &str,
    ask: impl Fn() -> F,
) -> Option<T> {
    for _ in 0..TRIES {
        match ask().await {
            Ok(answer) => return Some(answer),
            Err(refusal) => say(&format!("refused {key} {}", refusal.code.slug())),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    None
}

/// Waits until the writer has let go of the store.
async fn closed(place: &Place) {
    for _ in 0..200 {
        tokio::time::sleep(Duration::from_millis(5)).await;
        let lock = std::fs::File::open(place.folder.join("store/lock"));
        if !lock.is_ok_and(|lock| lock.try_lock().is_err()) {
            return;
        }
    }
}

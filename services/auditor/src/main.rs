//! `liandong-audit`: exports logs, verifies and replays them without any office.
//!
//! Exit codes are never mixed: 0 it holds, 1 tampering is proven, 2 it was called wrongly,
//! 3 it cannot be concluded, 4 the policy is not met.

use std::process::ExitCode;

mod arguments;
mod commands;
mod folds;
mod input;
mod say;

use clap::Parser;
use serde_json::json;

use crate::{arguments::Arguments, commands::run};

/// It was called wrongly, or a file could not be read.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let json = arguments.json;
    match run(arguments) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            if json {
                say::out!("{}", json!({"error": error.to_string()}));
            } else {
                eprintln!("{}", say::harmless(&error.to_string()));
            }
            ExitCode::from(USAGE)
        }
    }
}

//! The city office's process.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    process::run(city::service(), process::Arguments::parse())
}

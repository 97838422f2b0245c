//! The district office's process.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    process::run(district::service(), process::Arguments::parse())
}

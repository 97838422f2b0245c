//! The township office's process.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    process::run(township::service(), process::Arguments::parse())
}

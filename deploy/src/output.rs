//! What a person reads: progress on the standard error, results on the standard output.

use std::io::Write;

/// One line to the person at the terminal.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// One line of result.
pub(crate) fn print(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

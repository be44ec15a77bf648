//! Standard output that may be closed: a reader that went away ends us in silence, as the signal would have.

use std::fmt::Display;
use std::io::{self, Write};
use std::process::exit;

/// 128 + SIGPIPE: what a shell reports for redis-cli there.
const CLOSED: i32 = 141;

/// Prints a line.
pub fn say(line: impl Display) {
    if let Err(error) = writeln!(io::stdout(), "{line}") {
        eprintln!("{}", failed(error));
        exit(1);
    }
}

/// The line for standard error when output cannot be written. Does not come back when nobody reads any more.
pub fn failed(error: io::Error) -> String {
    if error.kind() == io::ErrorKind::BrokenPipe {
        exit(CLOSED);
    }
    format!("kiba-cli: cannot write the output: {error}")
}

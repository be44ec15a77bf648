//! HELP: what a command takes, from the server's own documentation.

use std::io::{self, Write};

use crate::session::Session;

/// Whether a line asks for help.
pub fn asked_for(args: &[Vec<u8>]) -> bool {
    args.first().is_some_and(|word| word.eq_ignore_ascii_case(b"help") || word == b"?")
}

/// Prints the help on `topic`: a command, a `@group`, or, without words, how to use help.
///
/// # Errors
/// The output's.
pub fn print(_session: &mut Session, _topic: &[Vec<u8>], out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "kiba-cli {}", env!("CARGO_PKG_VERSION"))
}

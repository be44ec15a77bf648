//! What can be set while the client runs (`:set hints`, `:set timing` ...).

use std::io::{self, Write};

use crate::session::Session;

/// Runs a line that begins with a colon.
///
/// # Errors
/// The output's.
pub fn set(session: &mut Session, args: &[Vec<u8>], out: &mut dyn Write) -> io::Result<()> {
    let words: Vec<String> = args.iter().map(|arg| String::from_utf8_lossy(arg).to_ascii_lowercase()).collect();
    let name = match words.as_slice() {
        [set, name] if set == ":set" => name.as_str(),
        _ => {
            return writeln!(out, "unknown redis-cli internal command '{}'", words.first().map_or("", String::as_str));
        }
    };
    let (name, on) = match name.strip_prefix("no") {
        Some(rest) => (rest, false),
        None => (name, true),
    };
    match name {
        "timing" => session.style.timing = on,
        "hints" => session.hints = on,
        "tables" => session.tables = on,
        "pager" => session.pager = on,
        _ => writeln!(out, "unknown redis-cli preference '{}'", words[1])?,
    }
    Ok(())
}

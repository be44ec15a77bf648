//! HELP: what a command takes, from the server's own documentation, in redis-cli's layout.

use std::io::{self, Write};

use crate::docs::Doc;
use crate::session::Session;

/// Whether a line asks for help.
pub fn asked_for(args: &[Vec<u8>]) -> bool {
    args.first().is_some_and(|word| word.eq_ignore_ascii_case(b"help") || word == b"?")
}

/// Prints the help on `topic`: a command, a `@group`, or, without words, how to use help.
///
/// # Errors
/// The output's.
pub fn print(session: &mut Session, topic: &[Vec<u8>], out: &mut dyn Write) -> io::Result<()> {
    if topic.is_empty() {
        return out.write_all(GENERAL.replace("VERSION", env!("CARGO_PKG_VERSION")).as_bytes());
    }
    let words: Vec<String> = topic.iter().map(|word| String::from_utf8_lossy(word).to_uppercase()).collect();
    let group = words[0].strip_prefix('@').map(str::to_lowercase);
    let docs = session.docs();
    for doc in docs.all() {
        let wanted = match &group {
            Some(group) => doc.group.replace('_', "-") == *group,
            None => doc.name.split(' ').take(words.len()).eq(words.iter().map(String::as_str)),
        };
        if wanted {
            entry(doc, group.is_none(), out)?;
        }
    }
    out.write_all(b"\r\n")
}

fn entry(doc: &Doc, with_group: bool, out: &mut dyn Write) -> io::Result<()> {
    let (name, syntax) = (&doc.name, doc.syntax_line());
    write!(out, "\r\n  \x1b[1m{name}\x1b[0m \x1b[90m{syntax}\x1b[0m\r\n")?;
    let mut field = |label: &str, text: &str| match text {
        "" => Ok(()),
        text => write!(out, "  \x1b[33m{label}:\x1b[0m {text}\r\n"),
    };
    field("summary", &doc.summary)?;
    field("since", &doc.since)?;
    if with_group {
        field("group", &doc.group)?;
    }
    Ok(())
}

const GENERAL: &str = "\
kiba-cli VERSION
To get help about commands type:
      \"help @<group>\" to get a list of commands in <group>
      \"help <command>\" for help on <command>
      \"help <tab>\" to get a list of possible help topics
      \"quit\" to exit

To set preferences:
      \":set hints\" or \":set nohints\": arguments in grey while typing
      \":set tables\" or \":set notables\": hashes, streams and sorted sets as tables
      \":set timing\" or \":set notiming\": the time of every command
      \":set pager\" or \":set nopager\": long replies page by page

A line that ends in \\G shows its reply vertically. The client's own tools begin with a dot: .help lists them.
";

//! What a terminal adds to a line: views (`\G`, `\T`), our own tools (`.peek key`), and the pager.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::process::{Command, Stdio};

use crate::args;
use crate::client::{Address, Target};
use crate::output::say;
use crate::quote;
use crate::script::{self, Next};
use crate::session::{Session, Trouble};
use crate::view::{self, View};

/// Runs one line typed at the prompt.
///
/// # Errors
/// As [`script::line`].
pub fn line(session: &mut Session, text: &str) -> Result<Next, Trouble> {
    let mut out = io::stdout();
    let (text, view) = view::suffix(text);
    let words = quote::split(text.as_bytes()).unwrap_or_default();
    if let Some(name) = words.first().and_then(|word| tool(word)) {
        return run_tool(session, name, &words[1..]);
    }
    let view = view.or_else(|| (session.tables && view_is_useful(&words)).then_some(View::Table));
    if let Some(view) = view.filter(|_| !words.is_empty()) {
        let shown = viewed(session, &words, view)?;
        return paged(session, shown.as_bytes()).map(|()| Next::Go);
    }
    if session.pager && !streams(&words) {
        let mut reply = Vec::new();
        let next = script::line(session, text.as_bytes(), &mut reply);
        paged(session, &reply)?;
        return next;
    }
    script::line(session, text.as_bytes(), &mut out)
}

/// The tool that a first word names: `.name` always, a bare lower-case name where no server has such a command.
fn tool(word: &[u8]) -> Option<&str> {
    let word = std::str::from_utf8(word).ok()?;
    match word.strip_prefix('.') {
        Some(name) => Some(name),
        None => args::is_bare_tool(word).then_some(word),
    }
}

/// Runs a tool as a process of its own: Ctrl-C then ends the tool and not the prompt.
fn run_tool(session: &Session, name: &str, words: &[Vec<u8>]) -> Result<Next, Trouble> {
    if name == "help" || !args::TOOLS.contains(&name) {
        say(format_args!(
            "The client's own tools: {}. Each explains itself with --help.",
            args::TOOLS.map(|tool| format!(".{tool}")).join(", ")
        ));
        return Ok(Next::Go);
    }
    let Ok(program) = std::env::current_exe() else {
        eprintln!("kiba-cli: cannot find its own program to start the tool");
        return Ok(Next::Go);
    };
    let target = session.current_target();
    let mut command = Command::new(program);
    command.args(connect_options(&target)).arg(format!("--{name}"));
    command.args(words.iter().map(|word| OsStr::from_bytes(word)));
    // The environment keeps the password out of the process list.
    match &target.login.password {
        Some(password) => command.env("KIBACLI_AUTH", password),
        None => command.env_remove("KIBACLI_AUTH").env_remove("REDISCLI_AUTH"),
    };
    if let Err(error) = command.status() {
        eprintln!("kiba-cli: cannot start the tool: {error}");
    }
    Ok(Next::Go)
}

fn connect_options(target: &Target) -> Vec<String> {
    let mut options = match &target.address {
        Address::Tcp { host, port } => vec!["-h".into(), host.clone(), "-p".into(), port.to_string()],
        Address::Unix(path) => vec!["-s".into(), path.clone()],
    };
    options.extend(["-n".to_string(), target.login.db.to_string()]);
    if let Some(user) = &target.login.user {
        options.extend(["--user".to_string(), user.clone()]);
    }
    if target.login.resp3 {
        options.push("-3".into());
    }
    options
}

/// Runs a command and shows its reply in another view; the ordinary form where the view does not fit.
fn viewed(session: &mut Session, words: &[Vec<u8>], view: View) -> Result<String, Trouble> {
    let mut out = io::stdout();
    let reply = session.call(words, &mut out)?;
    session.follow(words, &reply);
    let rows = view::rows(words, &reply);
    Ok(match (view, rows) {
        _ if reply.is_error() => session.formatted(words, &reply),
        (View::Vertical, _) => view::vertical(words, &reply),
        (View::Table, Some(rows)) => view::table(&rows, crate::peek::width()),
        (View::Table, None) => session.formatted(words, &reply),
    })
}

/// Whether a table may come of this command: those that stream or are the client's own go the ordinary way.
fn view_is_useful(words: &[Vec<u8>]) -> bool {
    let name = words.first().map(|word| String::from_utf8_lossy(word).to_lowercase()).unwrap_or_default();
    let wanted = ["hgetall", "hrandfield", "config", "client", "slowlog", "xrange", "xrevrange", "zpopmin", "zpopmax"];
    wanted.contains(&name.as_str()) || (name.starts_with('z') && name.contains("range"))
}

fn streams(words: &[Vec<u8>]) -> bool {
    let name = words.first().map(|word| String::from_utf8_lossy(word).to_lowercase()).unwrap_or_default();
    // A repeat count in front prints over a long time, too.
    name.ends_with("subscribe") || name == "monitor" || name.parse::<i64>().is_ok()
}

/// Writes text, through the pager when that is on and the text is longer than the screen.
fn paged(session: &Session, text: &[u8]) -> Result<(), Trouble> {
    let height = crossterm::terminal::size().map_or(usize::MAX, |(_, height)| usize::from(height));
    let lines = text.iter().filter(|byte| **byte == b'\n').count();
    if session.pager && lines + 1 > height && through_pager(text).is_ok() {
        return Ok(());
    }
    Ok(io::stdout().write_all(text)?)
}

/// Shows text with `PAGER`, or less.
fn through_pager(text: &[u8]) -> io::Result<()> {
    let pager = std::env::var("PAGER").unwrap_or_default();
    let mut words = if pager.trim().is_empty() { "less -R" } else { pager.as_str() }.split_whitespace();
    let program = words.next().unwrap_or("less");
    let mut child = Command::new(program).args(words).stdin(Stdio::piped()).spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // A pager that is left early closes the pipe; that is how it is used.
        let _ = stdin.write_all(text);
    }
    child.wait().map(|_| ())
}

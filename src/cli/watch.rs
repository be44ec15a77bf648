//! `--watch [-n S] COMMAND ...`: runs a command again and again and marks what changed.

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::os::unix::ffi::OsStringExt;
use std::time::{Duration, Instant};

use clap::Args;

use crate::args::Connect;
use crate::client::{Connection, Target};
use crate::format::{self, Delimiters, Form};
use crate::output;
use crate::session::is_text;

#[derive(Args, Clone, Debug)]
pub struct Watch {
    /// Seconds between two runs.
    #[arg(short = 'n', long, value_name = "seconds", default_value_t = 2.0)]
    pub interval: f64,
    /// End after this many runs; 0: never.
    #[arg(long, value_name = "n", default_value_t = 0)]
    pub times: u64,
    #[command(flatten)]
    pub connect: Connect,
    /// Print help.
    #[arg(long, action = clap::ArgAction::Help)]
    help: Option<bool>,
    /// The command.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

/// Runs until the number of times is reached; Ctrl-C ends it earlier. A server that goes away is shown as such and
/// tried again.
///
/// # Errors
/// The line for standard error, when the first connection fails.
pub fn run(target: &Target, options: &Watch) -> Result<(), String> {
    let args: Vec<Vec<u8>> = options.command.iter().cloned().map(OsString::into_vec).collect();
    let title = args.iter().map(|arg| crate::quote::word(arg)).collect::<Vec<_>>().join(" ");
    let interval = crate::script::seconds(options.interval).max(Duration::from_millis(50));
    let terminal = io::stdout().is_terminal();
    let mut connection = Some(Connection::log_in(target)?);
    let mut before: Vec<String> = Vec::new();
    let mut out = io::stdout();
    for run in 1.. {
        let began = Instant::now();
        let text = match reply(&mut connection, target, &args) {
            Ok(text) => text,
            Err(line) => format!("{line}\n"),
        };
        let lines: Vec<String> = text.lines().map(str::to_string).collect();
        let screen = screen(&title, options.interval, &lines, &before, terminal);
        out.write_all(screen.as_bytes()).and_then(|()| out.flush()).map_err(output::failed)?;
        before = lines;
        if run == options.times {
            break;
        }
        std::thread::sleep(interval.saturating_sub(began.elapsed()));
    }
    Ok(())
}

fn reply(connection: &mut Option<Connection>, target: &Target, args: &[Vec<u8>]) -> Result<String, String> {
    let mut open = match connection.take() {
        Some(open) => open,
        None => Connection::log_in(target)?,
    };
    let reply = open.call(args).map_err(|fault| format!("Error: {fault}"))?;
    *connection = Some(open);
    let bytes = match is_text(args) {
        true => format::verbatim(&reply, &Delimiters::default()),
        false => format::reply(&reply, Form::Terminal, &Delimiters::default()),
    };
    Ok(String::from_utf8_lossy(&bytes).replace('\r', ""))
}

/// One run as text: on a terminal a cleared screen with changed lines reversed, elsewhere the reply under a heading.
fn screen(title: &str, seconds: f64, lines: &[String], before: &[String], terminal: bool) -> String {
    if !terminal {
        return format!("every {seconds} s: {title}\n{}\n\n", lines.join("\n"));
    }
    let height = crossterm::terminal::size().map_or(24, |(_, height)| usize::from(height));
    let mut text = format!("\x1b[H\x1b[2J\x1b[1mevery {seconds} s: {title}\x1b[0m  (Ctrl-C ends)\n\n");
    let room = height.saturating_sub(4);
    for (at, line) in lines.iter().enumerate().take(room) {
        let changed = !before.is_empty() && before.get(at) != Some(line);
        match changed {
            true => text.push_str(&format!("\x1b[7m{line}\x1b[0m\n")),
            false => text.push_str(&format!("{line}\n")),
        }
    }
    if lines.len() > room {
        text.push_str(&format!("... and {} more lines\n", lines.len() - room));
    }
    text
}

//! Commands that are not typed at a prompt: one on the command line, or many on standard input.

use std::ffi::OsString;
use std::io::{self, BufRead, Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::process::ExitCode;
use std::time::Duration;

use crate::args::Cli;
use crate::output::{self, say};
use crate::quote;
use crate::session::{Session, Trouble};

/// Runs the command of the command line.
///
/// # Errors
/// The line for standard error.
pub fn one(cli: &Cli, session: &mut Session, words: Vec<Vec<u8>>) -> Result<ExitCode, String> {
    let mut args = words;
    if let Some(path) = &cli.eval {
        args = eval(path, args)?;
    }
    if cli.quoted_input {
        let unquoted: Option<Vec<_>> = args.iter().map(|arg| quote::unquote(arg)).collect();
        let Some(unquoted) = unquoted else {
            // On standard output, where redis-cli has it.
            say("Invalid quoted string");
            return Ok(ExitCode::FAILURE);
        };
        args = unquoted;
    }
    if let Some(tag) = &cli.stdin_tag {
        let at = args.iter().position(|arg| arg == tag.as_bytes());
        let at = at.ok_or("Using -X option but stdin tag not match.")?;
        args[at] = standard_input()?;
    } else if cli.stdin_last {
        args.push(standard_input()?);
    }
    if crate::help::asked_for(&args) {
        crate::help::print(session, &args[1..], &mut io::stdout()).map_err(output::failed)?;
        return Ok(ExitCode::SUCCESS);
    }
    session.connect()?;
    let interval = seconds(cli.interval);
    Ok(code(session.run(&args, cli.repeat, interval, &mut io::stdout().lock())))
}

/// Runs the lines of standard input. As in redis-cli a failing line does not end the script.
pub fn lines(session: &mut Session) -> ExitCode {
    session.interactive = true;
    if let Err(line) = session.connect() {
        eprintln!("{line}");
    }
    let mut input = io::stdin().lock();
    let mut line = Vec::new();
    loop {
        line.clear();
        match input.read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return ExitCode::SUCCESS,
            Ok(_) => {}
        }
        match self::line(session, &line, &mut io::stdout().lock()) {
            Ok(Next::Go) | Err(Trouble::Reported) => {}
            Ok(Next::Quit) => return ExitCode::SUCCESS,
            Err(Trouble::Output(error)) => return code(Err(Trouble::Output(error))),
        }
    }
}

/// What follows a line.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    Go,
    Quit,
}

/// Runs one typed line: the client's own words (quit, help, connect ...), a repeat count, or a server's command.
///
/// # Errors
/// As [`Session::run`].
pub fn line(session: &mut Session, line: &[u8], out: &mut dyn Write) -> Result<Next, Trouble> {
    let Some(mut args) = quote::split(line) else {
        writeln!(out, "Invalid argument(s)")?;
        return Ok(Next::Go);
    };
    let Some(first) = args.first() else { return Ok(Next::Go) };
    let word = String::from_utf8_lossy(first).to_ascii_lowercase();
    match (word.as_str(), args.len()) {
        ("quit" | "exit", _) => return Ok(Next::Quit),
        ("clear", 1) => {
            out.write_all(b"\x1b[H\x1b[2J")?;
            out.flush()?;
            return Ok(Next::Go);
        }
        ("connect", 3) => {
            connect(session, &args);
            return Ok(Next::Go);
        }
        _ if crate::help::asked_for(&args) => {
            crate::help::print(session, &args[1..], out)?;
            return Ok(Next::Go);
        }
        (setting, _) if setting.starts_with(':') => {
            crate::preferences::set(session, &args, out)?;
            return Ok(Next::Go);
        }
        _ => {}
    }
    let mut repeat = 1;
    if let (true, Some(count)) = (args.len() > 1, count(&word)) {
        if count <= 0 {
            writeln!(out, "Invalid redis-cli repeat command option value.")?;
            return Ok(Next::Go);
        }
        repeat = count;
        args.remove(0);
    }
    session.run(&args, repeat, Duration::ZERO, out)?;
    Ok(Next::Go)
}

/// A repeat count; 0, which is none, for one that no number holds.
fn count(word: &str) -> Option<i64> {
    let digits = word.strip_prefix(['+', '-']).unwrap_or(word);
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| word.parse().unwrap_or(0))
}

/// The exit code of a command's end. A reader that went away ends us as the signal would have.
pub fn code(result: Result<(), Trouble>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Trouble::Reported) => ExitCode::FAILURE,
        Err(Trouble::Output(error)) => {
            eprintln!("{}", output::failed(error));
            ExitCode::FAILURE
        }
    }
}

/// Seconds from the command line; what is not a span of time counts as none.
pub fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

fn connect(session: &mut Session, args: &[Vec<u8>]) {
    let host = String::from_utf8_lossy(&args[1]).into_owned();
    let Ok(port) = String::from_utf8_lossy(&args[2]).parse() else {
        eprintln!("CONNECT takes a host and a port between 1 and 65535.");
        return;
    };
    session.target.address = crate::client::Address::Tcp { host, port };
    if let Err(line) = session.connect() {
        eprintln!("{line}");
    }
}

/// EVAL with the script of a file: keys and arguments are separated by a lone comma.
fn eval(path: &std::path::Path, words: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>, String> {
    let script = std::fs::read(path)
        .map_err(|error| format!("Can't open file '{}': {}", path.display(), crate::resp::reason(&error)))?;
    let keys = words.iter().position(|word| word == b",").unwrap_or(words.len());
    let mut args = vec![b"EVAL".to_vec(), script, keys.to_string().into_bytes()];
    args.extend(words.into_iter().enumerate().filter(|(at, _)| *at != keys).map(|(_, word)| word));
    Ok(args)
}

fn standard_input() -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    io::stdin().lock().read_to_end(&mut bytes).map_err(|error| format!("Reading from standard input: {error}"))?;
    Ok(bytes)
}

/// An option's bytes, or a default.
pub fn bytes(option: &Option<OsString>, default: &[u8]) -> Vec<u8> {
    option.clone().map_or(default.to_vec(), OsString::into_vec)
}

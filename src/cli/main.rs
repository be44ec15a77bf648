//! kiba-cli: the client. A stand-in for redis-cli in scripts, and more than that at the prompt.
//!
//! The walk: `args` reads the command line; `script` or `prompt` turn lines into commands; `session` sends them
//! through `client`, which speaks `resp`; `format` turns replies into text. The other modules are one tool each.

mod address;
mod args;
mod askpass;
mod bench;
mod client;
mod complete;
mod docs;
mod doctor;
mod format;
mod help;
mod hints;
mod history;
mod keys;
mod latency;
mod manual;
mod output;
mod peek;
mod pipe;
mod preferences;
mod prompt;
mod quote;
mod resp;
mod scan;
mod script;
mod session;
mod stat;
mod submit;
mod top;
mod transfer;
mod view;
mod watch;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use args::{Cli, Mode, Parsed, Refusal, Rest, Tool};
use client::Target;
use format::{Delimiters, Form};
use session::{Session, Style, Trouble};

fn main() -> ExitCode {
    let Parsed { cli, mut target, rest } = match args::parse(std::env::args_os().skip(1).collect()) {
        Ok(parsed) => parsed,
        Err(Refusal::Help(text)) => return script::code(print(&text)),
        Err(Refusal::Usage(line)) => return failed(&line),
    };
    if cli.askpass {
        match askpass::ask() {
            Ok(password) => target.login.password = password,
            Err(_) => return ExitCode::FAILURE,
        }
    }
    if cli.connect.password.is_some() && !cli.no_auth_warning || uri_has_password(&cli) {
        eprintln!("Warning: Using a password with '-a' or '-u' option on the command line interface may not be safe.");
    }
    let style = style(&cli);
    match run_mode(&cli, &target, style.form) {
        Some(Ok(code)) => return code,
        Some(Err(line)) => return failed(&line),
        None => {}
    }
    let mut session = Session::new(target, style);
    session.cluster = cli.cluster;
    match rest {
        Rest::Tool(tool) => run_tool(&tool, session.target()),
        Rest::Command(words) if words.is_empty() && cli.eval.is_none() => {
            if is_person() {
                prompt::run(session)
            } else {
                script::lines(&mut session)
            }
        }
        Rest::Command(words) => script::one(&cli, &mut session, words).unwrap_or_else(|line| failed(&line)),
    }
}

/// Runs the mode that was asked for instead of a command, if any; the order is redis-cli's.
fn run_mode(cli: &Cli, target: &Target, form: Form) -> Option<Result<ExitCode, String>> {
    let mode = &cli.mode;
    let interval = script::seconds(cli.interval);
    let done = |result: Result<(), String>| Some(result.map(|()| ExitCode::SUCCESS));
    if mode.latency || mode.latency_history {
        let kind = if mode.latency_history { latency::Mode::History } else { latency::Mode::Plain };
        return done(latency::run(target, kind, interval, form));
    }
    if mode.latency_dist {
        return done(latency::spectrum(target, interval));
    }
    if mode.pipe {
        return Some(pipe::run(target, Duration::from_secs(mode.pipe_timeout)));
    }
    let search = match mode {
        Mode { bigkeys: true, .. } => Some(keys::Search::Big),
        Mode { memkeys_samples: Some(samples), .. } => Some(keys::Search::Memory(Some(*samples))),
        Mode { memkeys: true, .. } => Some(keys::Search::Memory(None)),
        Mode { hotkeys: true, .. } => Some(keys::Search::Hot),
        _ => None,
    };
    if let Some(search) = search {
        return done(keys::run(target, mode, search, interval));
    }
    if mode.stat {
        return done(stat::run(target, interval));
    }
    if mode.scan {
        return Some(scan::run(target, mode, form, interval));
    }
    if let Some(seconds) = mode.intrinsic_latency {
        latency::intrinsic(seconds);
        return Some(Ok(ExitCode::SUCCESS));
    }
    None
}

/// Runs one of our own tools, from the command line or the prompt.
fn run_tool(tool: &Tool, target: &Target) -> ExitCode {
    let done = |result: Result<(), String>| result.map(|()| ExitCode::SUCCESS);
    let written = |result: io::Result<()>| Ok(script::code(result.map_err(Trouble::Output)));
    let mut out = io::stdout();
    let result = match tool {
        Tool::Top(options) => done(top::run(target, options)),
        Tool::Bench(options) => done(bench::run(target, options)),
        Tool::Peek(options) => done(peek::run(target, options, peek::colours(), &mut out)),
        Tool::Watch(options) => done(watch::run(target, options)),
        Tool::Copy(options) => transfer::copy(options),
        Tool::Diff(options) => transfer::compare(options, true),
        Tool::Verify(options) => transfer::compare(options, false),
        Tool::Doctor(_) => doctor::run(target).map(|risk| if risk { ExitCode::FAILURE } else { ExitCode::SUCCESS }),
        Tool::Completions(options) => written(manual::completions(options, &mut out)),
        Tool::Man(_) => written(manual::man(&mut out)),
    };
    result.unwrap_or_else(|line| failed(&line))
}

fn style(cli: &Cli) -> Style {
    let terminal = io::stdout().is_terminal();
    let form = match cli {
        Cli { raw: true, .. } => Form::Raw,
        Cli { no_raw: true, .. } => Form::Terminal,
        Cli { csv: true, .. } => Form::Csv,
        Cli { json: true, .. } => Form::Json,
        Cli { quoted_json: true, .. } => Form::QuotedJson,
        _ if terminal => Form::Terminal,
        _ => Form::Raw,
    };
    let show_pushes = match cli.show_pushes.as_deref().map(|value| value.as_bytes().first().copied()) {
        Some(Some(b'y' | b'Y')) => true,
        Some(Some(b'n' | b'N')) => false,
        Some(_) => {
            let value = cli.show_pushes.as_deref().unwrap_or_default();
            eprintln!("Unknown --show-pushes value '{value}' (valid: '[y]es', '[n]o')");
            terminal
        }
        None => terminal,
    };
    Style {
        form,
        delimiters: Delimiters {
            element: script::bytes(&cli.element_delimiter, b"\n"),
            reply: script::bytes(&cli.reply_delimiter, b"\n"),
        },
        show_pushes,
        exit_code: cli.exit_code,
        timing: false,
    }
}

/// Whether there is a terminal to edit lines on. Otherwise they are read as they come: from a pipe, or typed on a
/// terminal while the output goes elsewhere.
fn is_person() -> bool {
    let dumb = std::env::var("TERM").is_ok_and(|term| term == "dumb");
    io::stdin().is_terminal() && io::stdout().is_terminal() && !dumb
}

fn uri_has_password(cli: &Cli) -> bool {
    !cli.no_auth_warning && cli.connect.uri.as_deref().is_some_and(|uri| uri.contains('@'))
}

fn print(text: &str) -> Result<(), Trouble> {
    Ok(io::stdout().write_all(text.as_bytes())?)
}

fn failed(line: &str) -> ExitCode {
    eprintln!("{line}");
    ExitCode::FAILURE
}

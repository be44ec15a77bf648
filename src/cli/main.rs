//! kiba-cli: the client. A stand-in for redis-cli in scripts, and more than that at the prompt.
//!
//! The walk: `args` reads the command line; `script` or `prompt` turn lines into commands; `session` sends them
//! through `client`, which speaks `resp`; `format` turns replies into text. The other modules are one tool each.

mod args;
mod client;
mod format;
mod help;
mod history;
mod manual;
mod preferences;
mod prompt;
mod quote;
mod resp;
mod script;
mod session;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use args::{Cli, Parsed, Refusal, Rest, Tool};
use format::{Delimiters, Form};
use session::{Session, Style, Trouble};

fn main() -> ExitCode {
    let Parsed { cli, target, rest } = match args::parse(std::env::args_os().skip(1).collect()) {
        Ok(parsed) => parsed,
        Err(Refusal::Help(text)) => return script::code(print(&text)),
        Err(Refusal::Usage(line)) => return failed(&line),
    };
    if cli.connect.password.is_some() && !cli.no_auth_warning || uri_has_password(&cli) {
        eprintln!("Warning: Using a password with '-a' or '-u' option on the command line interface may not be safe.");
    }
    let mut session = Session::new(target, style(&cli));
    match rest {
        Rest::Tool(tool) => run_tool(&tool, &mut session),
        Rest::Command(words) if words.is_empty() && cli.eval.is_none() => {
            if io::stdin().is_terminal() {
                prompt::run(&mut session)
            } else {
                script::lines(&mut session)
            }
        }
        Rest::Command(words) => script::one(&cli, &mut session, words).unwrap_or_else(|line| failed(&line)),
    }
}

fn run_tool(tool: &Tool, _session: &mut Session) -> ExitCode {
    let mut out = io::stdout();
    let result = match tool {
        Tool::Completions(options) => manual::completions(options, &mut out),
        Tool::Man(_) => manual::man(&mut out),
    };
    script::code(result.map_err(Trouble::Output))
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
        rich: terminal && form == Form::Terminal,
    }
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

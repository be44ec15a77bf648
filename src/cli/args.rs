//! The command line: one clap definition for parsing, help, completions and the man page.
//!
//! redis-cli reads options until the first word that is none; everything behind belongs to the command, hyphens
//! included. [`parse`] finds that border first and lets clap see only the options before it. The first word may also
//! be an address (`host:port`, `kiba://...`) or one of kiba-cli's own tools; `docs/cli.md` has the rule.
// Doc comments are the help's text, in which brackets mean what may be left out.
#![allow(rustdoc::broken_intra_doc_links)]

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use clap::{ArgAction, Args, CommandFactory, Parser, Subcommand};

use crate::address::{is_address, target};
use crate::client::Target;

/// Kiba's port; redis-cli's would be 6379.
pub const PORT_DEFAULT: u16 = 6464;

/// kiba-cli: talk to Kiba, or to any server that speaks the Redis protocol.
#[derive(Parser, Clone, Debug)]
#[command(
    name = "kiba-cli",
    version,
    about = "Talk to Kiba, or to any server that speaks the Redis protocol.",
    long_about = "Talk to Kiba, or to any server that speaks the Redis protocol.\n\nWithout a command it reads commands \
                  from the terminal, or from standard input, one a line. Options and output are redis-cli's, so it can \
                  stand in for it in scripts.",
    override_usage = "kiba-cli [OPTIONS] [HOST:PORT] [COMMAND [ARG]...]\n       kiba-cli [OPTIONS] [HOST:PORT] TOOL ...",
    after_help = "A tool is kiba-cli's own when its name is written in lower case: top, bench, peek, diff, verify, \
                  doctor, completions, man. WATCH and COPY are server commands too, so these tools are --watch and \
                  --copy; the others have such a form as well.",
    args_override_self = true,
    disable_help_flag = true,
    disable_version_flag = true,
    disable_help_subcommand = true
)]
pub struct Cli {
    #[command(flatten)]
    pub connect: Connect,

    /// Database number.
    #[arg(short = 'n', value_name = "db", allow_hyphen_values = true, default_value_t = 0, hide_default_value = true)]
    pub db: i64,
    /// Start the session in RESP2.
    #[arg(short = '2', action = ArgAction::SetTrue)]
    pub resp2: bool,
    /// Start the session in RESP3.
    #[arg(short = '3', action = ArgAction::SetTrue)]
    pub resp3: bool,
    /// Ask for the password on the terminal.
    #[arg(long, action = ArgAction::SetTrue)]
    pub askpass: bool,
    /// No warning about a password on the command line.
    #[arg(long, action = ArgAction::SetTrue)]
    pub no_auth_warning: bool,

    /// Execute the command this many times; negative: for ever.
    #[arg(
        short = 'r',
        value_name = "repeat",
        allow_hyphen_values = true,
        default_value_t = 1,
        hide_default_value = true
    )]
    pub repeat: i64,
    /// Seconds between repetitions, also per cycle of --scan and --stat and per 100 cycles of --bigkeys and the like.
    #[arg(short = 'i', value_name = "interval", default_value_t = 0.0, hide_default_value = true)]
    pub interval: f64,
    /// Read the last argument from standard input.
    #[arg(short = 'x', action = ArgAction::SetTrue)]
    pub stdin_last: bool,
    /// Read the argument that equals this tag from standard input.
    #[arg(short = 'X', value_name = "tag", allow_hyphen_values = true)]
    pub stdin_tag: Option<OsString>,
    /// Take the arguments as quoted strings, so that any byte can be written.
    #[arg(long, action = ArgAction::SetTrue)]
    pub quoted_input: bool,
    /// Exit with an error code when the command fails.
    #[arg(short = 'e', action = ArgAction::SetTrue)]
    pub exit_code: bool,
    /// Send EVAL with the Lua script in this file; keys and arguments follow, separated by a comma.
    #[arg(long, value_name = "file")]
    pub eval: Option<PathBuf>,
    /// Follow the MOVED and ASK redirections of a cluster.
    #[arg(short = 'c', action = ArgAction::SetTrue)]
    pub cluster: bool,
    /// Accepted for redis-cli's sake.
    #[arg(long, action = ArgAction::SetTrue)]
    pub verbose: bool,

    /// Raw replies; the default when standard output is no terminal.
    #[arg(long, action = ArgAction::SetTrue, overrides_with_all = ["no_raw", "csv", "json", "quoted_json"])]
    pub raw: bool,
    /// Formatted replies even when standard output is no terminal.
    #[arg(long, action = ArgAction::SetTrue, overrides_with_all = ["raw", "csv", "json", "quoted_json"])]
    pub no_raw: bool,
    /// Replies as CSV.
    #[arg(long, action = ArgAction::SetTrue, overrides_with_all = ["raw", "no_raw", "json", "quoted_json"])]
    pub csv: bool,
    /// Replies as JSON; asks for RESP3 unless -2 is given.
    #[arg(long, action = ArgAction::SetTrue, overrides_with_all = ["raw", "no_raw", "csv", "quoted_json"])]
    pub json: bool,
    /// As --json, with strings quoted to plain ASCII.
    #[arg(long, action = ArgAction::SetTrue, overrides_with_all = ["raw", "no_raw", "csv", "json"])]
    pub quoted_json: bool,
    /// Delimiter between the elements of a raw reply (default: \n).
    #[arg(short = 'd', value_name = "delimiter", allow_hyphen_values = true)]
    pub element_delimiter: Option<OsString>,
    /// Delimiter between raw replies (default: \n).
    #[arg(short = 'D', value_name = "delimiter", allow_hyphen_values = true)]
    pub reply_delimiter: Option<OsString>,
    /// Whether RESP3 pushes are shown; the default is yes on a terminal.
    #[arg(long, value_name = "yn")]
    pub show_pushes: Option<String>,

    #[command(flatten)]
    pub mode: Mode,

    /// Print this help.
    #[arg(long, action = ArgAction::SetTrue)]
    pub help: bool,
    /// Print the version.
    #[arg(short = 'v', long, action = ArgAction::SetTrue)]
    pub version: bool,
}

/// Where to connect and as whom.
#[derive(Args, Clone, Debug, Default)]
pub struct Connect {
    /// Server host name (default: 127.0.0.1).
    #[arg(short = 'h', value_name = "hostname", allow_hyphen_values = true)]
    pub host: Option<String>,
    /// Server port (default: 6464).
    #[arg(short = 'p', value_name = "port", value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Option<u16>,
    /// Server socket; stands before host name and port.
    #[arg(short = 's', value_name = "socket")]
    pub socket: Option<String>,
    /// Password; KIBACLI_AUTH or REDISCLI_AUTH in the environment keep it out of the process list.
    #[arg(short = 'a', long = "pass", value_name = "password", allow_hyphen_values = true)]
    pub password: Option<String>,
    /// User name for AUTH; needs a password.
    #[arg(long, value_name = "username", allow_hyphen_values = true)]
    pub user: Option<String>,
    /// Server address: kiba://[user:password@]host[:port][/db], or redis:// likewise.
    #[arg(short = 'u', value_name = "uri")]
    pub uri: Option<String>,
}

impl Connect {
    /// Takes over what `other` says.
    pub fn overrule(&mut self, other: &Connect) {
        let Connect { host, port, socket, password, user, uri } = other.clone();
        self.host = host.or(self.host.take());
        self.port = port.or(self.port.take());
        self.socket = socket.or(self.socket.take());
        self.password = password.or(self.password.take());
        self.user = user.or(self.user.take());
        self.uri = uri.or(self.uri.take());
    }
}

impl Tool {
    /// The connection options behind the tool's name; `None` for tools that need no server, or two.
    pub fn connect(&self) -> Option<&Connect> {
        match self {
            Tool::Top(options) => Some(&options.connect),
            Tool::Bench(options) => Some(&options.connect),
            Tool::Peek(options) => Some(&options.connect),
            Tool::Watch(options) => Some(&options.connect),
            Tool::Doctor(options) => Some(&options.connect),
            Tool::Copy(_) | Tool::Diff(_) | Tool::Verify(_) | Tool::Completions(_) | Tool::Man(_) => None,
        }
    }
}

/// The modes of redis-cli that take the place of a command.
#[derive(Args, Clone, Debug, Default)]
pub struct Mode {
    /// Print statistics about the server, one line a second: memory, clients, requests.
    #[arg(long, action = ArgAction::SetTrue)]
    pub stat: bool,
    /// Sample the latency continuously; a single result when standard output is no terminal.
    #[arg(long, action = ArgAction::SetTrue)]
    pub latency: bool,
    /// As --latency, a new line every 15 seconds (or -i).
    #[arg(long, action = ArgAction::SetTrue)]
    pub latency_history: bool,
    /// The latency as a spectrum, in 256 colours.
    #[arg(long, action = ArgAction::SetTrue)]
    pub latency_dist: bool,
    /// Measure the pauses of this machine itself for this many seconds; no server is needed.
    #[arg(long, value_name = "sec")]
    pub intrinsic_latency: Option<u64>,
    /// Send raw protocol from standard input to the server.
    #[arg(long, action = ArgAction::SetTrue)]
    pub pipe: bool,
    /// Seconds that --pipe waits for a reply after the last byte was sent; 0: for ever.
    #[arg(long, value_name = "n", default_value_t = 30, hide_default_value = true)]
    pub pipe_timeout: u64,
    /// Look for keys with many elements.
    #[arg(long, action = ArgAction::SetTrue)]
    pub bigkeys: bool,
    /// Look for keys that take much memory.
    #[arg(long, action = ArgAction::SetTrue)]
    pub memkeys: bool,
    /// As --memkeys, sampling this many elements of a key.
    #[arg(long, value_name = "n")]
    pub memkeys_samples: Option<u64>,
    /// Look for hot keys; needs an LFU maxmemory-policy.
    #[arg(long, action = ArgAction::SetTrue)]
    pub hotkeys: bool,
    /// List all keys by SCAN.
    #[arg(long, action = ArgAction::SetTrue)]
    pub scan: bool,
    /// Pattern for --scan, --bigkeys, --memkeys and --hotkeys.
    #[arg(long, value_name = "pat", allow_hyphen_values = true)]
    pub pattern: Option<OsString>,
    /// As --pattern, written as a quoted string.
    #[arg(long, value_name = "pat", allow_hyphen_values = true)]
    pub quoted_pattern: Option<OsString>,
    /// COUNT for --scan.
    #[arg(long, value_name = "n")]
    pub count: Option<u64>,
    /// TYPE for --scan.
    #[arg(long = "type", value_name = "type")]
    pub kind: Option<String>,
}

/// kiba-cli's own tools.
#[derive(Parser, Clone, Debug)]
#[command(name = "kiba-cli", disable_help_subcommand = true, disable_help_flag = true, args_override_self = true)]
pub struct ToolCli {
    #[command(subcommand)]
    pub tool: Tool,
}

#[derive(Subcommand, Clone, Debug)]
#[command(disable_help_flag = true)]
pub enum Tool {
    /// A full-screen dashboard: load, latency, memory, keyspace, slow log.
    Top(crate::top::Top),
    /// Generate load and measure throughput and latency.
    Bench(crate::bench::Bench),
    /// What a key is, what it costs, and how it begins.
    Peek(crate::peek::Peek),
    /// Run a command again and again and mark what changed.
    Watch(crate::watch::Watch),
    /// Copy keys from one server to another.
    Copy(crate::transfer::Copy),
    /// Print every difference between two servers.
    Diff(crate::transfer::Diff),
    /// Check that two servers hold the same; a summary and an exit code.
    Verify(crate::transfer::Diff),
    /// Look for risks in the server's configuration, its health and the machine.
    Doctor(crate::doctor::Doctor),
    /// Print a shell's completion script.
    Completions(crate::manual::Completions),
    /// Print the man page.
    Man(crate::manual::Man),
}

/// Names that are tools when they stand first in lower case. WATCH and COPY are the server's, so those are not here.
const BARE: [&str; 8] = ["top", "bench", "peek", "diff", "verify", "doctor", "completions", "man"];

/// Every tool, for the `--name` form and the prompt's `.name`.
pub const TOOLS: [&str; 10] =
    ["top", "bench", "peek", "watch", "copy", "diff", "verify", "doctor", "completions", "man"];

/// What the command line asks for.
#[derive(Debug)]
pub struct Parsed {
    pub cli: Cli,
    pub target: Target,
    pub rest: Rest,
}

#[derive(Debug)]
pub enum Rest {
    /// A server's command; empty for the prompt or standard input.
    Command(Vec<Vec<u8>>),
    Tool(Box<Tool>),
}

/// Why there is nothing to run.
#[derive(Debug)]
pub enum Refusal {
    /// Text for standard output, exit code 0.
    Help(String),
    /// One line for standard error, exit code 1.
    Usage(String),
}

/// Reads the command line, without the program's name.
///
/// # Errors
/// [`Refusal`]: help was asked for, or an option is wrong.
pub fn parse(args: Vec<OsString>) -> Result<Parsed, Refusal> {
    let (mut head, rest) = split_head(args);
    // redis-cli knows no clusters of one-letter options and no values glued to them; clap would take both.
    let glued = |arg: &str| arg.len() > 2 && arg.starts_with('-') && !arg.starts_with("--");
    let mut after_option = false;
    for arg in head.iter().filter_map(|arg| arg.to_str()) {
        if !after_option && glued(arg) {
            return Err(Refusal::Usage(unrecognized(arg)));
        }
        after_option = !after_option && takes_value(arg);
    }
    if head.last().is_some_and(|last| last == "-h") {
        return Err(Refusal::Help(help()));
    }
    head.insert(0, "kiba-cli".into());
    let mut cli = Cli::try_parse_from(&head).map_err(|error| Refusal::Usage(worded(&error)))?;
    if cli.help {
        return Err(Refusal::Help(help()));
    }
    if cli.version {
        return Err(Refusal::Help(format!("kiba-cli {}\n", env!("CARGO_PKG_VERSION"))));
    }
    if cli.resp2 && cli.resp3 {
        return Err(Refusal::Usage("Options -2 and -3 are mutually exclusive.".into()));
    }
    if cli.stdin_last && cli.stdin_tag.is_some() {
        return Err(Refusal::Usage("Options -x and -X are mutually exclusive.".into()));
    }
    let mut rest = rest;
    if cli.connect.uri.is_none() && rest.first().is_some_and(|word| is_address(&word.to_string_lossy())) {
        // Options may stand on both sides of the address, so what follows it is read as a command line again.
        let word = rest.remove(0).to_string_lossy().into_owned();
        let mut again = head.split_off(1);
        again.extend(match word.contains("://") {
            true => vec!["-u".into(), word.into()],
            false => {
                let (host, port) = word.rsplit_once(':').expect("an address has a colon");
                let host = host.trim_start_matches('[').trim_end_matches(']');
                vec!["-h".into(), host.into(), "-p".into(), port.into()]
            }
        });
        again.extend(rest);
        return parse(again);
    }
    if let Some(tool) = tool_name(&rest) {
        rest[0] = tool.into();
        let tool = parse_tool(rest)?;
        if let Some(connect) = tool.connect() {
            cli.connect.overrule(connect);
        }
        let target = target(&cli).map_err(Refusal::Usage)?;
        return Ok(Parsed { cli, target, rest: Rest::Tool(Box::new(tool)) });
    }
    let target = target(&cli).map_err(Refusal::Usage)?;
    let command = rest.into_iter().map(OsStringExt::into_vec).collect();
    Ok(Parsed { cli, target, rest: Rest::Command(command) })
}

/// The definition with the tools as subcommands: for help, completions and the man page.
pub fn definition() -> clap::Command {
    let tools = ToolCli::command();
    let (bare, dashed): (Vec<_>, Vec<_>) =
        tools.get_subcommands().cloned().partition(|tool| is_bare_tool(tool.get_name()));
    // Tools whose name belongs to the server are written as options, so that is how they are shown.
    let dashed = dashed.into_iter().filter_map(|tool| {
        let name = TOOLS.into_iter().find(|name| *name == tool.get_name())?;
        let about = tool.get_about().map(ToString::to_string).unwrap_or_default();
        let help = format!("{about}; --{name} --help says how");
        Some(clap::Arg::new(name).help(help).long(name).action(ArgAction::SetTrue))
    });
    Cli::command().args(dashed).subcommands(bare)
}

fn help() -> String {
    definition().render_help().to_string()
}

/// Whether a word alone names a tool, with no hyphens or dot in front.
pub fn is_bare_tool(word: &str) -> bool {
    BARE.contains(&word)
}

/// Reads a tool's own arguments, the tool's name first.
///
/// # Errors
/// As [`parse`].
pub fn parse_tool(mut words: Vec<OsString>) -> Result<Tool, Refusal> {
    words.insert(0, "kiba-cli".into());
    ToolCli::try_parse_from(words).map(|parsed| parsed.tool).map_err(|error| match error.kind() {
        clap::error::ErrorKind::DisplayHelp => Refusal::Help(error.to_string()),
        _ => Refusal::Usage(one_line(&error)),
    })
}

/// Divides the arguments at the first one that is neither an option nor an option's value.
fn split_head(args: Vec<OsString>) -> (Vec<OsString>, Vec<OsString>) {
    let mut at = 0;
    while let Some(arg) = args.get(at).and_then(|arg| arg.to_str()) {
        let is_tool = arg.strip_prefix("--").is_some_and(|name| TOOLS.contains(&name));
        if !arg.starts_with('-') || is_tool {
            break;
        }
        at += if takes_value(arg) { 2 } else { 1 };
    }
    let mut head = args;
    let rest = head.split_off(at.min(head.len()));
    (head, rest)
}

/// Whether the option as typed is followed by a value.
fn takes_value(option: &str) -> bool {
    Cli::command().get_arguments().any(|arg| {
        let named = match option.strip_prefix("--") {
            Some(long) => arg.get_long_and_visible_aliases().is_some_and(|names| names.contains(&long)),
            None => arg.get_short().map(|short| format!("-{short}")) == Some(option.to_string()),
        };
        named && arg.get_action().takes_values()
    })
}

fn unrecognized(option: &str) -> String {
    format!("Unrecognized option or bad number of args for: '{option}'")
}

fn tool_name(rest: &[OsString]) -> Option<&'static str> {
    let word = rest.first()?.to_str()?;
    if let Some(name) = word.strip_prefix("--") {
        return TOOLS.into_iter().find(|tool| *tool == name);
    }
    BARE.into_iter().find(|tool| *tool == word)
}

/// A wrong option in redis-cli's words, a wrong value in clap's.
fn worded(error: &clap::Error) -> String {
    use clap::error::{ContextKind, ErrorKind};
    let named = error.get(ContextKind::InvalidArg).map(ToString::to_string);
    match error.kind() {
        ErrorKind::UnknownArgument | ErrorKind::InvalidValue
            if error.get(ContextKind::InvalidValue).is_none_or(|value| value.to_string().is_empty()) =>
        {
            let word = named.as_deref().and_then(|name| name.split_whitespace().next());
            unrecognized(word.unwrap_or_default())
        }
        _ => one_line(error),
    }
}

fn one_line(error: &clap::Error) -> String {
    let text = error.to_string();
    // Clap lists missing arguments on lines of their own, up to an empty one.
    let lines: Vec<&str> = text.lines().take_while(|line| !line.is_empty()).map(str::trim).collect();
    let line = lines.join(" ");
    format!("kiba-cli: {}", line.strip_prefix("error: ").unwrap_or(&line))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Address;

    fn parsed(line: &str) -> Parsed {
        parse(line.split_whitespace().map(OsString::from).collect()).expect(line)
    }

    fn command(parsed: &Parsed) -> Vec<String> {
        let Rest::Command(words) = &parsed.rest else { panic!("not a command: {:?}", parsed.rest) };
        words.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect()
    }

    fn refused(line: &str) -> String {
        match parse(line.split_whitespace().map(OsString::from).collect()) {
            Err(Refusal::Usage(text)) => text,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn the_definition_is_sound() {
        definition().debug_assert();
    }

    #[test]
    fn options_end_at_the_first_word() {
        let parsed = parsed("-p 7000 -n 3 set -p 1 --raw");
        assert_eq!(command(&parsed), ["set", "-p", "1", "--raw"]);
        assert_eq!(parsed.target.address, Address::Tcp { host: "127.0.0.1".into(), port: 7000 });
        assert_eq!(parsed.target.login.db, 3);
        assert!(!parsed.cli.raw);
    }

    #[test]
    fn an_address_may_stand_before_the_command_and_options_behind_it() {
        let parsed = parsed("-n 2 localhost:7001 --no-raw get a:1");
        assert_eq!(command(&parsed), ["get", "a:1"]);
        assert_eq!(parsed.target.address, Address::Tcp { host: "localhost".into(), port: 7001 });
        assert!(parsed.cli.no_raw);
        assert_eq!(parsed.target.login.db, 2);
        let parsed = super::parse(vec!["kiba://me:p%40ss@h:1/4".into(), "ping".into()]).expect("good");
        assert_eq!(parsed.target.login.password.as_deref(), Some("p@ss"));
        assert_eq!(parsed.target.login.db, 4);
        assert_eq!(command(&parsed), ["ping"]);
    }

    #[test]
    fn wrong_options_are_reported_as_redis_cli_does() {
        let text = |option: &str| format!("Unrecognized option or bad number of args for: '{option}'");
        assert_eq!(refused("-foo"), text("-foo"));
        assert_eq!(refused("--nosuch x"), text("--nosuch"));
        assert_eq!(refused("-p"), text("-p"));
        assert_eq!(refused("-n 3 -d"), text("-d"));
        assert!(refused("-p abc ping").contains("'abc'"));
        assert_eq!(refused("-u http://x ping"), "Invalid URI scheme");
    }

    #[test]
    fn the_last_of_the_output_forms_wins() {
        let parsed = parsed("--raw --json --csv ping");
        assert!(parsed.cli.csv && !parsed.cli.raw && !parsed.cli.json);
    }
}

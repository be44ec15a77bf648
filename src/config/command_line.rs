//! The command line: `kiba [FILE] [--NAME VALUE ...]`; every option of the table is a flag.

use std::ffi::OsString;
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use super::file::{Draft, Problem};
use super::table::{Id, SPECS, Spec};
use super::value::Kind;
use super::{Config, shipped};

/// What the command line asks for.
#[derive(Debug)]
pub enum Start {
    /// Run the server.
    Serve(Config),
    /// Print the text to the standard output, and exit with 0.
    Print(String),
    /// Print the text to the standard error, and exit with 1: nothing has been started.
    Refuse(String),
}

/// The options that `--help` shows.
const IMPORTANT: &[Id] = &[
    Id::Bind,
    Id::Port,
    Id::UnixSocket,
    Id::Maxclients,
    Id::Engine,
    Id::Threads,
    Id::LogLevel,
    Id::LogFile,
    Id::RequirePass,
    Id::ProtectedMode,
    Id::Maxmemory,
    Id::MaxmemoryPolicy,
];

const ABOUT: &str = "An in-memory, multithreaded key-value server that any Redis client can talk to.";

const EXAMPLES: &str = "\
Every option of the configuration file is a flag: --NAME VALUE or --NAME=VALUE. Flags override the file.
See them all with --help-all, or explained in full with --print-conf.

Examples:
  kiba                             serve 127.0.0.1:6464
  kiba kiba.conf --port 7000       the file, but another port
  kiba --engine=channel --threads 2
  echo 'port 7000' | kiba -        read the configuration from the standard input
  kiba --print-conf > kiba.conf    start a configuration of your own";

/// Reads the command line, and the file or the standard input that it names.
///
/// * `args`: with the program's name in front.
/// * `stdin`: read when the file is `-`.
pub fn start(args: impl IntoIterator<Item = OsString>, stdin: impl Read) -> Start {
    let matches = match command(Show::Important).try_get_matches_from(args) {
        Ok(matches) => matches,
        Err(error) if error.kind() == ErrorKind::DisplayHelp => {
            return Start::Print(error.to_string());
        }
        Err(error) => return Start::Refuse(error.to_string()),
    };
    if matches.get_flag("version") {
        return Start::Print(version());
    }
    if matches.get_flag("help-all") {
        return Start::Print(command(Show::All).render_help().to_string());
    }
    if matches.get_flag("print-conf") {
        return Start::Print(shipped());
    }
    match read(&matches, stdin) {
        Err(problems) => {
            let lines: Vec<String> = problems.iter().map(|problem| format!("{problem}\n")).collect();
            Start::Refuse(lines.concat())
        }
        Ok(_) if matches.get_flag("check") => Start::Print("The configuration is valid.\n".to_owned()),
        Ok(config) => Start::Serve(config),
    }
}

/// What `kiba --version` prints.
pub fn version() -> String {
    let redis = Id::CompatVersion.spec().default;
    format!(
        "kiba {}\nReports Redis {redis} to clients, which choose commands by it; --compat-version sets another.\n",
        env!("CARGO_PKG_VERSION")
    )
}

fn read(matches: &ArgMatches, mut stdin: impl Read) -> Result<Config, Vec<Problem>> {
    let mut draft = Draft::default();
    let mut problems = Vec::new();
    let mut file = None;
    match matches.get_one::<PathBuf>("FILE") {
        Some(path) if path == Path::new("-") => {
            let mut text = Vec::new();
            match stdin.read_to_end(&mut text) {
                Ok(_) => draft.read_text(&text, "stdin", &mut problems),
                Err(error) => problems.push(Problem::new("stdin", format!("cannot read it: {error}"))),
            }
        }
        Some(path) => {
            draft.read_file(path, &mut problems);
            // Without links, because CONFIG REWRITE is to replace the file and not a link to it.
            file = path.canonicalize().ok();
        }
        None => {}
    }
    for (name, words) in flags(matches) {
        if let Err(text) = draft.assign(name.as_bytes(), &words) {
            problems.push(Problem::new("", format!("--{text}")));
        }
    }
    if problems.is_empty() {
        draft.check_whole(&mut problems);
    }
    if problems.is_empty() { Ok(Config::from_draft(draft, file)) } else { Err(problems) }
}

/// The flags given, in the order of the command line: the last one wins, as in the file.
fn flags(matches: &ArgMatches) -> Vec<(&'static str, Vec<Vec<u8>>)> {
    let mut found = Vec::new();
    for spec in SPECS {
        let Some(occurrences) = matches.get_occurrences::<OsString>(spec.name) else {
            continue;
        };
        let mut indices = matches.indices_of(spec.name).into_iter().flatten();
        for words in occurrences {
            let words: Vec<Vec<u8>> = words.map(|word| word.as_encoded_bytes().to_vec()).collect();
            // A group has at least one value, and every value has an index.
            let index = indices.by_ref().take(words.len()).min();
            found.push((index, (spec.name, words)));
        }
    }
    found.sort_by_key(|(index, _)| *index);
    found.into_iter().map(|(_, flag)| flag).collect()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Show {
    Important,
    All,
}

fn command(show: Show) -> Command {
    let switch =
        |name: &'static str, help: &'static str| Arg::new(name).long(name).action(ArgAction::SetTrue).help(help);
    Command::new("kiba")
        .about(ABOUT)
        .disable_version_flag(true)
        .override_usage("kiba [FILE] [--NAME VALUE ...]")
        .after_help(EXAMPLES)
        .arg(
            Arg::new("FILE")
                .value_parser(value_parser!(PathBuf))
                .help("Configuration file, in front of all flags; - reads the standard input"),
        )
        .arg(switch("check", "Look for mistakes in the configuration, start nothing"))
        .arg(switch("print-conf", "Print a commented configuration file with all options at their defaults"))
        .arg(switch("help-all", "Print help for every option"))
        .arg(switch("version", "Print the version").short('V'))
        .args(SPECS.iter().map(|spec| flag(spec, show)))
}

fn flag(spec: &'static Spec, show: Show) -> Arg {
    let arg = Arg::new(spec.name)
        .long(spec.name)
        .aliases(spec.aliases.iter().copied())
        .action(ArgAction::Append)
        .value_parser(value_parser!(OsString))
        .value_name(value_name(spec.kind))
        .allow_negative_numbers(matches!(spec.kind, Kind::Integer { .. }))
        .help(help(spec))
        .help_heading(spec.section)
        .hide(show == Show::Important && !IMPORTANT.contains(&spec.id));
    if spec.kind.takes_many() { arg.num_args(1..) } else { arg.num_args(1) }
}

fn help(spec: &Spec) -> String {
    match spec.default {
        "" => spec.summary().to_owned(),
        default => format!("{} [default: {default}]", spec.summary()),
    }
}

fn value_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Integer { .. } | Kind::PowerOfTwo { .. } => "N",
        Kind::Bytes { .. } => "BYTES",
        Kind::Octal => "OCTAL",
        Kind::Switch => "yes|no",
        Kind::Choice(_) => "NAME",
        Kind::Events => "LETTERS",
        Kind::Limits => "CLASS HARD SOFT SECONDS",
        Kind::Text { .. } => "TEXT",
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::Dir;
    use super::*;

    fn run(args: &[&str], stdin: &str) -> Start {
        let args = std::iter::once("kiba").chain(args.iter().copied()).map(OsString::from);
        start(args, stdin.as_bytes())
    }

    fn serve(args: &[&str]) -> Config {
        match run(args, "") {
            Start::Serve(config) => config,
            other => panic!("{args:?}: {other:?}"),
        }
    }

    fn refuse(args: &[&str]) -> String {
        match run(args, "") {
            Start::Refuse(text) => text,
            other => panic!("{args:?}: {other:?}"),
        }
    }

    fn print(args: &[&str]) -> String {
        match run(args, "") {
            Start::Print(text) => text,
            other => panic!("{args:?}: {other:?}"),
        }
    }

    #[test]
    fn without_arguments_all_is_default() {
        assert_eq!(format!("{:?}", serve(&[])), "{}");
    }

    #[test]
    fn the_command_is_well_formed() {
        command(Show::Important).debug_assert();
        command(Show::All).debug_assert();
    }

    #[test]
    fn every_option_is_a_flag_in_both_forms() {
        for spec in SPECS {
            for name in spec.names() {
                let default = if spec.name == "dir" { "/" } else { spec.default };
                serve(&[&format!("--{name}={default}")]);
                serve(&[&format!("--{name}"), default]);
            }
        }
    }

    #[test]
    fn flags_override_the_file_and_each_other_in_order() {
        let dir = Dir::new("flags");
        let path = dir.write("kiba.conf", "bind 127.0.0.1:7000\ntimeout 5\n");
        let path = path.to_str().expect("UTF-8");
        let port = |args: &[&str]| serve(args).port();
        assert_eq!(port(&[path]), 7000);
        assert_eq!(port(&[path, "--port", "1"]), 1);
        assert_eq!(port(&["--port=1", path]), 1);
        assert_eq!(port(&["--port", "1", "--port", "2"]), 2);
        assert_eq!(port(&["--bind", "127.0.0.1:3", "--port", "2"]), 2);
        assert_eq!(port(&["--port", "2", "--bind", "127.0.0.1:3"]), 3);
        let config = serve(&[path, "--engine=channel", "--threads", "2"]);
        assert_eq!((config.engine().name(), config.threads(), config.timeout()), ("channel", 2, 5));
        assert_eq!(config.file(), Some(Path::new(path)));
    }

    #[test]
    fn values_may_be_several_negative_or_empty() {
        assert_eq!(&*serve(&["--bind", "127.0.0.1", "::1", "--port", "1"]).bind(), "127.0.0.1 ::1");
        assert_eq!(&*serve(&["--bind=127.0.0.1 -::1"]).bind(), "127.0.0.1 -::1");
        assert_eq!(&*serve(&["--bind=-::1"]).bind(), "-::1");
        assert_eq!(serve(&["--slowlog-log-slower-than", "-1"]).slowlog_log_slower_than(), -1);
        assert_eq!(serve(&["--list-max-ziplist-size=-3"]).list_max_listpack_size(), -3);
        assert_eq!(&*serve(&["--save", ""]).save(), "");
        assert_eq!(&*serve(&["--requirepass=--x y"]).requirepass(), "--x y");
        let config = serve(&["--client-output-buffer-limit", "normal", "1mb", "0", "0"]);
        assert_eq!(config.output_limit(super::super::Class::Normal).hard_bytes, 1 << 20);
    }

    #[test]
    fn the_standard_input_is_a_file_without_a_name() {
        let Start::Serve(config) = run(&["-", "--timeout", "3"], "port 7001\ntimeout 1\n") else { panic!("valid") };
        assert_eq!((config.port(), config.timeout(), config.file()), (7001, 3, None));
        let Start::Refuse(text) = run(&["-"], "port 7001\nprot 1\n") else { panic!("invalid") };
        assert_eq!(text, "stdin:2: unknown option \"prot\" (did you mean \"port\"?)\n");
    }

    #[test]
    fn mistakes_in_the_file_and_in_flags_are_reported_together() {
        let dir = Dir::new("together");
        let path = dir.write("kiba.conf", "port abc\n\nengin channel\n");
        let path = path.to_str().expect("UTF-8");
        assert_eq!(
            refuse(&[path, "--threads", "many"]),
            format!(
                "{path}:1: port: found \"abc\", expected an integer from 0 to 65535\n\
                 {path}:3: unknown option \"engin\" (did you mean \"engine\"?)\n\
                 --threads: found \"many\", expected an integer from 0 to 1024\n"
            )
        );
        assert!(refuse(&["/no/such/kiba.conf"]).starts_with("/no/such/kiba.conf: cannot read it: No such file"));
        assert!(refuse(&["--prot", "1"]).contains("'--port'"), "{}", refuse(&["--prot", "1"]));
        assert!(refuse(&["--port"]).contains("--port <N>"), "{}", refuse(&["--port"]));
        assert!(refuse(&["a.conf", "b.conf"]).contains("b.conf"));
        assert!(refuse(&["--port", "0"]).starts_with("nothing to listen on"));
    }

    #[test]
    fn check_only_checks() {
        assert_eq!(print(&["--check", "--port", "1"]), "The configuration is valid.\n");
        assert!(refuse(&["--check", "--port", "x"]).starts_with("--port: "));
    }

    #[test]
    fn help_shows_the_important_and_help_all_everything() {
        let help = print(&["--help"]);
        for part in ["kiba [FILE] [--NAME VALUE ...]", "--engine", "--port", "[default: 6464]", "--help-all", "--check"]
        {
            assert!(help.contains(part), "{part}: {help}");
        }
        assert!(!help.contains("--lfu-decay-time"));
        let all = print(&["--help-all"]);
        for spec in SPECS {
            assert!(all.contains(&format!("--{} ", spec.name)), "{}", spec.name);
            assert!(all.contains(&format!("{}:\n", spec.section)), "{}", spec.section);
        }
        assert_eq!(print(&["--print-conf"]), shipped());
    }

    #[test]
    fn the_version_names_both_versions() {
        for flag in ["--version", "-V"] {
            let text = print(&[flag]);
            assert!(text.starts_with(concat!("kiba ", env!("CARGO_PKG_VERSION"), "\n")), "{text}");
            assert!(text.contains("Redis 7.4.2"), "{text}");
        }
    }
}

//! The configuration file: lines of `name value ...`, in the format of `redis.conf`.
//!
//! Blank lines and lines that start with `#` are skipped. Words are quoted as in Redis: `"..."` with `\n`, `\x41` and
//! so on, or `'...'`. `include FILE` reads another file in place; a relative path starts at the including file's
//! directory. Reading goes on after a mistake, so that one run reports them all.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::check;
use super::table::{self, Id, SPECS};
use super::types::Limits;
use super::value::{Kind, Reason, Value};
use super::words::split_words;

/// Files that include each other to this depth, the first one counted; far above what anyone nests by intent.
const INCLUDE_DEPTH_MAX: usize = 16;

/// Largest file to read. The shipped file has 15 kB; what is larger than this is no configuration.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// One mistake, ready to be shown: where it is, what was found, what was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// `kiba.conf:12`, or empty for the whole.
    place: String,
    text: String,
}

/// A configuration that is being put together.
pub(crate) struct Draft {
    /// By [`Id`].
    pub(crate) values: Vec<Value>,
    /// What `values` began with.
    pub(crate) defaults: Vec<Value>,
    /// Options that an included file has set.
    pub(crate) included: Vec<Id>,
}

impl Default for Draft {
    fn default() -> Draft {
        let default = |spec: &'static table::Spec| {
            // Limits of single classes are merged into the value so far; at first there is none.
            let none = Value::Limits(Limits::default());
            spec.kind.parse(spec.default.as_bytes(), &none)
        };
        let defaults: Vec<Value> = SPECS
            .iter()
            // Only `dir` can fail, when the working directory has been removed; it is then unknown.
            .map(|spec| default(spec).unwrap_or_else(|_| Value::Text(spec.default.into())))
            .collect();
        Draft::new(defaults)
    }
}

impl Draft {
    pub(crate) fn new(defaults: Vec<Value>) -> Draft {
        Draft { values: defaults.clone(), defaults, included: Vec::new() }
    }

    /// Reads a file and what it includes.
    pub(crate) fn read_file(&mut self, path: &Path, problems: &mut Vec<Problem>) {
        match read_limited(path) {
            Ok((text, real_path)) => {
                self.read_lines(&text, &path.to_string_lossy(), &mut vec![real_path], problems);
            }
            Err(error) => problems.push(Problem::new(path.to_string_lossy(), format!("cannot read it: {error}"))),
        }
    }

    /// Reads lines that come from no file; what they include starts at the working directory.
    pub(crate) fn read_text(&mut self, text: &[u8], name: &str, problems: &mut Vec<Problem>) {
        self.read_lines(text, name, &mut Vec::new(), problems);
    }

    /// * `name`: of the file, as messages show it.
    /// * `stack`: the files being read, outermost first, absolute.
    fn read_lines(&mut self, text: &[u8], name: &str, stack: &mut Vec<PathBuf>, problems: &mut Vec<Problem>) {
        for (at, line) in text.split(|byte| *byte == b'\n').enumerate() {
            let place = format!("{name}:{}", at + 1);
            let words = match split_words(line) {
                Ok(words) => words,
                Err(text) => {
                    problems.push(Problem::new(place, text.to_owned()));
                    continue;
                }
            };
            let Some((directive, values)) = words.split_first() else {
                continue;
            };
            if directive.eq_ignore_ascii_case(b"include") {
                self.include(values, place, stack, problems);
            } else {
                match self.assign(directive, values) {
                    Ok(id) if stack.len() > 1 => self.included.push(id),
                    Ok(_) => {}
                    Err(text) => problems.push(Problem::new(place, text)),
                }
            }
        }
    }

    fn include(&mut self, values: &[Vec<u8>], place: String, stack: &mut Vec<PathBuf>, problems: &mut Vec<Problem>) {
        let [path] = values else {
            problems.push(Problem::new(place, format!("include: found {} values, expected one path", values.len())));
            return;
        };
        let base = stack.last().and_then(|file| file.parent()).unwrap_or(Path::new(""));
        let path = base.join(String::from_utf8_lossy(path).as_ref());
        let text = match read_limited(&path) {
            Err(error) => Err(format!("include: cannot read {}: {error}", path.display())),
            Ok((_, real_path)) if stack.contains(&real_path) => Err(format!(
                "include: {} is being read already, so it would include itself without end",
                path.display()
            )),
            Ok(_) if stack.len() >= INCLUDE_DEPTH_MAX => {
                Err(format!("include: {} would be nested more than {INCLUDE_DEPTH_MAX} files deep", path.display()))
            }
            Ok((text, real_path)) => {
                stack.push(real_path);
                Ok(text)
            }
        };
        match text {
            Ok(text) => {
                self.read_lines(&text, &path.to_string_lossy(), stack, problems);
                stack.pop();
            }
            Err(text) => problems.push(Problem::new(place, text)),
        }
    }

    /// Sets one option from the words of a line or a flag.
    ///
    /// # Errors
    /// What was found and what was expected, for people.
    pub(crate) fn assign(&mut self, name: &[u8], words: &[Vec<u8>]) -> Result<Id, String> {
        let Some((spec, name)) = table::find(name) else {
            let found = format!("unknown option {}", excerpt(name));
            return Err(match table::nearest(name) {
                Some(name) => format!("{found} (did you mean \"{name}\"?)"),
                None => found,
            });
        };
        let expected = spec.kind.expected();
        let mut text = match words {
            [] => return Err(format!("{name}: found no value, expected {expected}")),
            [word] => word.clone(),
            words if spec.kind.takes_many() => words.join(&b' '),
            // No excerpt: the words may be a password.
            words => {
                return Err(format!(
                    "{name}: found {} values, expected {expected} (a value with blanks needs quotes)",
                    words.len()
                ));
            }
        };
        let found = |text: &[u8]| {
            if spec.id.is_secret() { "a secret that is no UTF-8".to_owned() } else { excerpt(text) }
        };
        let mut port = None;
        if spec.id == Id::Bind
            && let Ok(addresses) = std::str::from_utf8(&text)
        {
            let (hosts, number) =
                check::split_port(addresses).map_err(|error| format!("{name}: found {}, {error}", found(&text)))?;
            text = hosts.into_bytes();
            port = number;
        }
        if let Kind::Limits = spec.kind {
            // In a file, the number of blanks between words does not matter.
            text = text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(&b' ');
        }
        let slot = &mut self.values[spec.id as usize];
        *slot = spec.parse(&text, slot).map_err(|reason| match reason {
            // "Invalid client class ..." says more than the general form.
            Reason::Rule(text) if matches!(spec.kind, Kind::Limits) => {
                format!("{name}: {text} Expected {expected}")
            }
            _ => format!("{name}: found {}, expected {expected}", found(&text)),
        })?;
        if let Some(port) = port {
            self.values[Id::Port as usize] = Value::Word(u64::from(port));
        }
        Ok(spec.id)
    }

    /// Mistakes that no single line makes.
    pub(crate) fn check_whole(&self, problems: &mut Vec<Problem>) {
        let is_empty = |id: Id| self.values[id as usize] == Value::Text("".into());
        let has_no_tcp = self.values[Id::Port as usize] == Value::Word(0) || is_empty(Id::Bind);
        if has_no_tcp && is_empty(Id::UnixSocket) {
            let text = "nothing to listen on: without a TCP port and address, Kiba needs a unixsocket";
            problems.push(Problem::new("", text.to_owned()));
        }
    }
}

impl Problem {
    pub(crate) fn new(place: impl Into<String>, text: String) -> Problem {
        Problem { place: place.into(), text }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.place.is_empty() { out.write_str(&self.text) } else { write!(out, "{}: {}", self.place, self.text) }
    }
}

/// The file's content and its absolute path without links.
fn read_limited(path: &Path) -> std::io::Result<(Vec<u8>, PathBuf)> {
    let mut text = Vec::new();
    File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut text)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(std::io::Error::other(format!("larger than {FILE_BYTES_MAX} bytes")));
    }
    Ok((text, path.canonicalize()?))
}

/// What was found, in quotes, without control characters, and not longer than a line.
fn excerpt(text: &[u8]) -> String {
    const LENGTH_MAX: usize = 60;
    let head: String = String::from_utf8_lossy(text).chars().take(LENGTH_MAX).collect();
    let more = if head.len() < text.len() { "..." } else { "" };
    format!("{head:?}{more}")
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::super::tests::Dir;
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        match Config::from_text(text) {
            Ok(_) => Vec::new(),
            Err(problems) => problems.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn the_original_kibas_file_works() {
        let config = Config::from_text("# Kiba\nbind 127.0.0.1:6464\ncbound 128\nhasher fnv\n").expect("valid");
        assert_eq!((config.port(), config.cbound(), config.hasher().name()), (6464, 128, "fnv"));
    }

    #[test]
    fn redis_forms_work() {
        let config = Config::from_text(
            "bind 127.0.0.1 -::1\nPORT 7000\ndatabases 4\ntimeout 10\ntcp-keepalive 60\nmaxclients 50\n\
             loglevel verbose\nlogfile \"\"\nrequirepass \"two words\"\nunixsocket /tmp/kiba.sock\nunixsocketperm 700\n\
             maxmemory 100mb\nsave \"\"\nappendonly no\nhash-max-ziplist-entries 3\n\
             client-output-buffer-limit   pubsub 1mb  1mb 1\nclient-output-buffer-limit replica 2 2 2\nport 7001\r\n",
        )
        .expect("valid");
        assert_eq!(&*config.bind(), "127.0.0.1 -::1");
        assert_eq!((config.port(), config.databases(), config.unixsocketperm()), (7001, 4, 0o700));
        assert_eq!((&*config.requirepass(), config.maxmemory()), ("two words", 100 << 20));
        assert_eq!(config.hash_max_listpack_entries(), 3);
        let limits = "normal 268435456 67108864 60 slave 2 2 2 pubsub 1048576 1048576 1";
        assert_eq!(config.client_output_buffer_limit().to_string(), limits);
    }

    #[test]
    fn every_mistake_is_reported_with_its_line() {
        let text = "port 1\n\nprot 6464\nport abc\n# fine\nport 1 2\nport\nport \"1\nmaxmemory 1.5gb\nengine fast\n\
                    save 3600 1\nappendonly yes\ndaemonize yes\nbind 1.2.3\nbind 127.0.0.1:70000\nshards 100\n\
                    client-output-buffer-limit foo 1 2 3\nnotify-keyspace-events q\nlogfile a b\n";
        let bytes = "a number of bytes such as 1000, 64kb, 512mb or 1gb";
        let classes = "CLASS HARD SOFT SECONDS (classes: normal, replica, pubsub), such as normal 256mb 64mb 60";
        assert_eq!(
            problems(text),
            [
                "text:3: unknown option \"prot\" (did you mean \"port\"?)".to_owned(),
                "text:4: port: found \"abc\", expected an integer from 0 to 65535".to_owned(),
                "text:6: port: found 2 values, expected an integer from 0 to 65535 (a value with blanks needs quotes)"
                    .to_owned(),
                "text:7: port: found no value, expected an integer from 0 to 65535".to_owned(),
                "text:8: a quote is not closed".to_owned(),
                format!("text:9: maxmemory: found \"1.5gb\", expected {bytes}"),
                "text:10: engine: found \"fast\", expected one of sharded, channel".to_owned(),
                "text:11: save: found \"3600 1\", expected \"\": Kiba does not save snapshots yet".to_owned(),
                "text:12: appendonly: found \"yes\", expected no: Kiba does not write an append-only file yet"
                    .to_owned(),
                "text:13: unknown option \"daemonize\"".to_owned(),
                "text:14: bind: found \"1.2.3\", expected addresses such as 127.0.0.1 -::1".to_owned(),
                "text:15: bind: found \"127.0.0.1:70000\", expected a port from 0 to 65535 after the colon".to_owned(),
                "text:16: shards: found \"100\", expected a power of two from 2 to 65536".to_owned(),
                format!(
                    "text:17: client-output-buffer-limit: Invalid client class specified in buffer limit \
                     configuration. Expected {classes}"
                ),
                "text:18: notify-keyspace-events: found \"q\", expected letters out of Ag$lshzxeKEtmdn".to_owned(),
                "text:19: logfile: found 2 values, expected a path (a value with blanks needs quotes)".to_owned(),
            ]
        );
    }

    #[test]
    fn the_border_between_good_and_bad() {
        for (good, bad) in [
            ("port 0", "port -1"),
            ("port 65535", "port 65536"),
            ("databases 1", "databases 0"),
            ("threads 0", "threads 1025"),
            ("shards 65536", "shards 65535"),
            ("shards 2", "shards 1"),
            ("cbound 1", "cbound 0"),
            ("maxclients 1", "maxclients 0"),
            ("proto-max-bulk-len 1mb", "proto-max-bulk-len 1048575"),
            ("slowlog-log-slower-than -1", "slowlog-log-slower-than -2"),
            ("unixsocketperm 777", "unixsocketperm 778"),
            ("loglevel trace", "loglevel tracer"),
            ("compat-version 7.4.2", "compat-version 7.4"),
            ("maxmemory 18446744073709551615", "maxmemory 18446744073709551616"),
            ("dir /", "dir /no/such/directory"),
        ] {
            assert_eq!(problems(good), Vec::<String>::new(), "{good}");
            assert_eq!(problems(bad).len(), 1, "{bad}");
        }
    }

    #[test]
    fn a_message_shows_no_secret_and_no_control_characters() {
        let shown = problems("requirepass hunter2 hunter3").join("");
        assert!(!shown.contains("hunter"), "{shown}");
        let mut found = Vec::new();
        Draft::default().read_text(b"requirepass hunter\xff", "text", &mut found);
        assert_eq!(found[0].to_string(), "text:1: requirepass: found a secret that is no UTF-8, expected a password");
        let shown = problems(&format!("port \"\\x1b[2J{}\"", "x".repeat(1000))).join("");
        assert!(shown.starts_with("text:1: port: found \"\\u{1b}[2Jxxx") && shown.len() < 200, "{shown}");
    }

    fn read(path: &Path) -> (Draft, Vec<String>) {
        let mut draft = Draft::default();
        let mut problems = Vec::new();
        draft.read_file(path, &mut problems);
        (draft, problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn an_included_file_is_read_in_place() {
        let dir = Dir::new("include");
        std::fs::create_dir_all(dir.0.join("sub")).expect("writable");
        dir.write("sub/b.conf", "port 2\ntimeout 2\ninclude c.conf\n");
        dir.write("sub/c.conf", "databases 3\nprot 1\n");
        let path = dir.write("a.conf", "port 1\ntimeout 1\ninclude sub/b.conf\nport 3\n");
        let (draft, problems) = read(&path);
        let c = dir.0.join("sub/c.conf");
        let expected = format!("{}:2: unknown option \"prot\" (did you mean \"port\"?)", c.display());
        assert_eq!(problems, [expected]);
        let value = |id: Id| draft.values[id as usize].clone();
        assert_eq!([value(Id::Port), value(Id::Timeout), value(Id::Databases)], [3, 2, 3].map(Value::Word));
        assert_eq!(draft.included, [Id::Port, Id::Timeout, Id::Databases]);
    }

    #[test]
    fn a_file_that_includes_itself_is_a_mistake() {
        let dir = Dir::new("cycle");
        let path = dir.write("a.conf", "include b.conf\nport x\n");
        dir.write("b.conf", "timeout 1\ninclude a.conf\n");
        let (_, problems) = read(&path);
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(problems[0].contains("b.conf:2: include: ") && problems[0].contains("include itself"), "{problems:?}");
        assert!(problems[1].contains("a.conf:2: port: "), "{problems:?}");
    }

    #[test]
    fn includes_have_a_depth_limit() {
        let dir = Dir::new("depth");
        for depth in 1..=INCLUDE_DEPTH_MAX {
            dir.write(&format!("{depth}.conf"), &format!("include {}.conf\n", depth + 1));
        }
        dir.write(&format!("{}.conf", INCLUDE_DEPTH_MAX + 1), "port 1\n");
        let (_, problems) = read(&dir.0.join("1.conf"));
        assert_eq!(problems.len(), 1);
        assert!(problems[0].contains("16.conf:1: include: ") && problems[0].contains("16 files deep"), "{problems:?}");
        assert_eq!(read(&dir.0.join("2.conf")).1, Vec::<String>::new());
    }

    #[test]
    fn files_that_cannot_be_read_are_mistakes() {
        let dir = Dir::new("missing");
        let missing = dir.0.join("missing.conf");
        assert!(read(&missing).1[0].starts_with(&format!("{}: cannot read it: No such file", missing.display())));
        assert!(read(&dir.0).1[0].contains("cannot read it: "));
        let path = dir.write("a.conf", "include missing.conf\ninclude\ninclude a b\n");
        let (_, problems) = read(&path);
        assert!(problems[0].contains("a.conf:1: include: cannot read "), "{problems:?}");
        assert!(problems[1].ends_with("a.conf:2: include: found 0 values, expected one path"), "{problems:?}");
        assert!(problems[2].ends_with("a.conf:3: include: found 2 values, expected one path"), "{problems:?}");
        let large = dir.write("large.conf", &"#\n".repeat(1 << 20));
        assert!(read(&large).1[0].contains("larger than 1048576 bytes"));
    }

    #[test]
    fn something_must_be_listened_on() {
        for (text, count) in [("", 0), ("port 0", 1), ("bind \"\"", 1), ("port 0\nunixsocket x", 0)] {
            let (mut draft, mut problems) = (Draft::default(), Vec::new());
            draft.read_text(text.as_bytes(), "text", &mut problems);
            draft.check_whole(&mut problems);
            assert_eq!(problems.len(), count, "{text}: {problems:?}");
        }
    }

    #[test]
    fn any_bytes_are_read_without_panic() {
        let mut seed = 1u64;
        for _ in 0..2000 {
            let bytes: Vec<u8> = (0..64)
                .map(|_| {
                    // Knuth's MMIX generator; half of the bytes come from what the syntax knows.
                    seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                    let byte = (seed >> 56) as u8;
                    if byte < 128 { b"\"'\\ \nx#bind port 1:[]-"[usize::from(byte) % 22] } else { byte }
                })
                .collect();
            Draft::default().read_text(&bytes, "bytes", &mut Vec::new());
        }
    }
}

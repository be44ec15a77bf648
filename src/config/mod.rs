//! The configuration: one table of options, and the values that the running server reads.
//!
//! * `table`: every option in one row, from which everything else follows.
//! * `value`, `types`, `check`: kinds of options, reading and printing them.
//! * `cell`: where current values are kept, so that reading one costs a plain load.
//! * `file`, `words`: the configuration file, `include`, quoting, and messages about mistakes.
//! * `rewrite`: CONFIG REWRITE.
//! * `command_line`: flags, `--help`, `--version`.
//! * `shipped`: the commented `kiba.conf` at the root of the repository.
//!
//! [`Config`] is shared by all threads. Its getters, one an option, are declared by the table.

mod cell;
mod check;
mod command_line;
mod file;
mod rewrite;
mod shipped;
mod table;
#[cfg(test)]
mod tests;
mod types;
mod value;
mod words;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

pub use command_line::{Start, start, version};
pub use file::Problem;
pub use rewrite::RewriteError;
pub use shipped::shipped;
pub use table::{Change, Id, SPECS, Spec, find};
pub use types::{
    Caller, Class, Dialect, EngineKind, Events, Fsync, Hasher, IoModel, Limit, Limits, LogFormat, LogLevel, Permission,
    Policy,
};
pub(crate) use value::bytes as parse_bytes;
pub use value::{Kind, Reason};

use cell::Cell;
use file::Draft;
use value::Value;

/// The values of all options, as the server runs with them.
pub struct Config {
    /// By [`Id`].
    cells: Vec<Cell>,
    /// What options are where nothing sets them; `dir` differs from place to place.
    defaults: Vec<Value>,
    /// The file to rewrite, absolute; none without a file and when it came through the standard input.
    file: Option<PathBuf>,
    /// Held while values change and while the file is rewritten, never by a getter.
    writer: Mutex<()>,
}

/// Why CONFIG SET changed nothing; prints as Redis words it, without the leading `ERR `.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetError {
    /// The name as the client sent it.
    Unknown(Vec<u8>),
    Failed {
        name: &'static str,
        reason: Reason,
    },
}

/// An address to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// An IP address or a name to resolve; IPv6 without brackets.
    pub host: String,
    pub port: u16,
    /// True when it is no error that this machine does not have the address.
    pub is_optional: bool,
}

impl Default for Config {
    /// Every option at its default, without a file.
    fn default() -> Config {
        Config::from_draft(Draft::default(), None)
    }
}

impl Config {
    /// Reads lines as of a configuration file; meant for tests.
    ///
    /// # Errors
    /// All mistakes in the text, in order.
    pub fn from_text(text: &str) -> Result<Config, Vec<Problem>> {
        let mut draft = Draft::default();
        let mut problems = Vec::new();
        draft.read_text(text.as_bytes(), "text", &mut problems);
        if problems.is_empty() { Ok(Config::from_draft(draft, None)) } else { Err(problems) }
    }

    fn from_draft(draft: Draft, file: Option<PathBuf>) -> Config {
        Config {
            cells: draft.values.iter().map(Cell::new).collect(),
            defaults: draft.defaults,
            file,
            writer: Mutex::new(()),
        }
    }

    /// CONFIG SET: changes all options named or, on any error, none.
    ///
    /// * `pairs`: names in any case, and their values, in the client's order.
    /// * `caller`: decides about protected options.
    ///
    /// Returns the options whose value is another one now, each once, in the order of the table.
    ///
    /// # Errors
    /// The first mistake, looked for in Redis' order: unknown, immutable, protected and repeated names first, then
    /// values.
    pub fn set<N: AsRef<[u8]>, V: AsRef<[u8]>>(&self, pairs: &[(N, V)], caller: Caller) -> Result<Vec<Id>, SetError> {
        self.set_with(pairs, caller, |_| Ok(()))
    }

    /// As [`Config::set`], and puts each change into effect: `apply` is called for each changed option when all new
    /// values can be read already. If it refuses one, the old values return and `apply` is called again for those
    /// options that it had accepted.
    ///
    /// # Errors
    /// As [`Config::set`], or [`Reason::Refused`] with `apply`'s text.
    pub fn set_with<N: AsRef<[u8]>, V: AsRef<[u8]>>(
        &self,
        pairs: &[(N, V)],
        caller: Caller,
        mut apply: impl FnMut(Id) -> Result<(), String>,
    ) -> Result<Vec<Id>, SetError> {
        let _writer = self.lock();
        let mut named: Vec<(&'static Spec, &'static str)> = Vec::with_capacity(pairs.len());
        for (name, _) in pairs {
            let name = name.as_ref();
            let (spec, name) = table::find(name).ok_or_else(|| SetError::Unknown(name.to_owned()))?;
            let refuse = |reason| Err(SetError::Failed { name, reason });
            match spec.change {
                Change::AtStart => return refuse(Reason::Immutable),
                Change::Protected if !self.enable_protected_configs().allows(caller) => {
                    return refuse(Reason::Protected);
                }
                Change::Protected | Change::AnyTime => {}
            }
            // By name, as Redis does: an option and its alias may meet, and the last one wins.
            if named.iter().any(|(_, other)| *other == name) {
                return refuse(Reason::Duplicate);
            }
            named.push((spec, name));
        }

        let mut wanted: BTreeMap<Id, (Value, &'static str)> = BTreeMap::new();
        for ((spec, name), (_, text)) in named.into_iter().zip(pairs) {
            let current = wanted.get(&spec.id).map_or_else(|| self.cell(spec.id).load(), |(value, _)| value.clone());
            let value = spec.parse(text.as_ref(), &current).map_err(|reason| SetError::Failed { name, reason })?;
            wanted.insert(spec.id, (value, name));
        }
        wanted.retain(|id, (value, _)| self.cell(*id).load() != *value);

        let old: Vec<(Id, Value)> = wanted.keys().map(|id| (*id, self.cell(*id).load())).collect();
        for (id, (value, _)) in &wanted {
            self.cell(*id).store(value);
        }
        for (at, (id, (_, name))) in wanted.iter().enumerate() {
            if let Err(text) = apply(*id) {
                for (id, value) in &old {
                    self.cell(*id).store(value);
                }
                for (id, _) in &old[..at] {
                    // The old value was in effect a moment ago; should it be refused now, there is nothing better.
                    let _ = apply(*id);
                }
                return Err(SetError::Failed { name, reason: Reason::Refused(text) });
            }
        }
        Ok(wanted.into_keys().collect())
    }

    /// CONFIG GET: names and values of the options whose name or alias matches, in the order of the table.
    ///
    /// * `pattern_matches`: gets each name, lower case, and must ignore the case of its patterns.
    pub fn get(&self, pattern_matches: impl Fn(&[u8]) -> bool) -> Vec<(&'static str, String)> {
        SPECS
            .iter()
            .flat_map(|spec| spec.names().map(move |name| (spec, name)))
            .filter(|(_, name)| pattern_matches(name.as_bytes()))
            .map(|(spec, name)| (name, self.print(spec.id)))
            .collect()
    }

    /// The value of an option as CONFIG GET shows it.
    pub fn print(&self, id: Id) -> String {
        id.spec().kind.print(&self.cell(id).load())
    }

    /// The TCP addresses to listen on: none when `port` is 0 or `bind` is empty.
    pub fn listen(&self) -> Vec<Listen> {
        let port = self.port();
        if port == 0 {
            return Vec::new();
        }
        let listen = |address: &str| {
            let host = address.strip_prefix('-').unwrap_or(address);
            let is_optional = host.len() != address.len();
            let host = match host {
                "*" => "0.0.0.0",
                "::*" => "::",
                host => host,
            };
            Listen { host: host.to_owned(), port, is_optional }
        };
        self.bind().split_whitespace().map(listen).collect()
    }

    /// The output limit of a class of clients; three relaxed loads.
    #[inline]
    pub fn output_limit(&self, class: Class) -> Limit {
        self.cell(Id::ClientOutputBufferLimit).limit(class)
    }

    /// The file that the configuration came from, absolute.
    pub fn file(&self) -> Option<&std::path::Path> {
        self.file.as_deref()
    }

    #[inline]
    fn cell(&self, id: Id) -> &Cell {
        &self.cells[id as usize]
    }

    fn lock(&self) -> MutexGuard<'_, ()> {
        // Poison is harmless: the lock guards an order of steps, not data.
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Id {
    pub fn spec(self) -> &'static Spec {
        &SPECS[self as usize]
    }

    /// True when the value is a secret: MONITOR, SLOWLOG and the log must not show it.
    pub fn is_secret(self) -> bool {
        self == Id::RequirePass
    }
}

impl fmt::Debug for Config {
    /// Lists what differs from the defaults, without secrets.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = out.debug_map();
        for spec in SPECS.iter().filter(|spec| self.cell(spec.id).load() != self.defaults[spec.id as usize]) {
            let text = if spec.id.is_secret() { "(secret)".to_owned() } else { self.print(spec.id) };
            map.entry(&spec.name, &text);
        }
        map.finish()
    }
}

impl fmt::Display for SetError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SetError::Unknown(name) => write!(
                out,
                "Unknown option or number of arguments for CONFIG SET - '{}'",
                String::from_utf8_lossy(name)
            ),
            SetError::Failed { name, reason } => {
                write!(out, "CONFIG SET failed (possibly related to argument '{name}') - {reason}")
            }
        }
    }
}

impl std::error::Error for SetError {}

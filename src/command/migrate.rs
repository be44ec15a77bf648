//! MIGRATE: keys go to another instance. What is asked for; the executor does it.

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use super::keys::{Arguments, Finder, Place, Places};
use super::{Arity, Call, Control, Flags, Keys, Run, Spec};
use crate::error::Error;
use crate::number::parse_u64;

pub(super) const SPECS: &[Spec] = &[Spec {
    name: "migrate",
    arity: Arity::at_least(6),
    keys: Keys::Found(&Finder { codes: [3, 3, 1], is_movable: true, find: places }),
    run: Run::Control(Control::Migrate),
    flags: Flags::WRITE.and(Flags::NO_MULTI),
    since: "2.6.0",
    complexity: "DUMP and DEL here and RESTORE there for each key, one after the other, and the time that the network takes.",
    summary: "Moves keys to another instance.",
}];

/// Without a timeout that makes sense a step may take so long, as in Redis.
const PATIENCE: Duration = Duration::from_millis(1000);

/// However long a client may be ready to wait: a step that makes no progress for an hour makes none.
const PATIENCE_MAX: Duration = Duration::from_secs(3600);

/// AUTH and its arguments; empty without. What they are is not shown.
#[derive(Default)]
pub struct Login(Vec<Box<[u8]>>);

impl Login {
    pub fn words(&self) -> Option<Vec<&[u8]>> {
        (!self.0.is_empty()).then(|| self.0.iter().map(|word| &word[..]).collect())
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(redacted)")
    }
}

/// What a MIGRATE asks for.
#[derive(Debug)]
pub struct Migration {
    pub host: String,
    /// None when it is none.
    pub port: Option<u16>,
    /// As it was given: the other instance says whether it has it.
    pub db: i64,
    /// How long connecting, and each step of sending and receiving, may take.
    pub patience: Duration,
    pub copies: bool,
    pub replaces: bool,
    pub login: Login,
    /// The arguments that are keys.
    pub keys: Vec<usize>,
}

impl Migration {
    /// `MIGRATE host port key | "" db timeout [COPY] [REPLACE] [AUTH password | AUTH2 user password] [KEYS key ...]`
    pub fn parse(call: &Call<'_>) -> Result<Self, Error> {
        let (mut copies, mut replaces, mut login) = (false, false, Login::default());
        let mut keys = vec![3];
        let mut i = 6;
        while i < call.len() {
            if call.is(i, "copy") {
                copies = true;
            } else if call.is(i, "replace") {
                replaces = true;
            } else if call.is(i, "keys") {
                if !call.arg(3).is_empty() {
                    return Err(Error::Other(
                        "ERR When using MIGRATE KEYS option, the key argument must be set to the empty string",
                    ));
                }
                keys = (i + 1..call.len()).collect();
                break;
            } else if let Some(count) = secrets(call.arg(i)).filter(|count| i + count < call.len()) {
                let words = [&b"AUTH"[..]].into_iter().chain(call.args(i + 1).take(count));
                login = Login(words.map(Box::from).collect());
                i += count;
            } else {
                return Err(Error::Syntax);
            }
            i += 1;
        }
        let patience = match u64::try_from(call.integer(5)?) {
            Ok(millis @ 1..) => Duration::from_millis(millis).min(PATIENCE_MAX),
            _ => PATIENCE,
        };
        let port = parse_u64(call.arg(2)).and_then(|port| u16::try_from(port).ok());
        let host = String::from_utf8_lossy(call.arg(1)).into_owned();
        Ok(Self { host, port, db: call.integer(4)?, patience, copies, replaces, login, keys })
    }
}

/// How many arguments behind an option are secrets.
fn secrets(option: &[u8]) -> Option<usize> {
    match () {
        () if option.eq_ignore_ascii_case(b"auth") => Some(1),
        () if option.eq_ignore_ascii_case(b"auth2") => Some(2),
        () => None,
    }
}

/// The arguments of a MIGRATE that nobody else may see: from the first secret to the last.
pub fn hidden<'a>(arguments: impl Iterator<Item = &'a [u8]>) -> Range<usize> {
    let mut options = arguments.enumerate().skip(6);
    let mut hidden = 0..0;
    while let Some((i, option)) = options.next() {
        if option.eq_ignore_ascii_case(b"keys") {
            break;
        }
        if let Some(count) = secrets(option) {
            let start = if hidden.is_empty() { i + 1 } else { hidden.start };
            hidden = start..i + 1 + count;
            options.by_ref().take(count).for_each(drop);
        }
    }
    hidden
}

fn places(arguments: Arguments<'_>) -> Places {
    let mut i = 6;
    while arguments.get(3) == Some(b"") && i < arguments.len() {
        if arguments.is(i, "keys") {
            return (i + 1..arguments.len()).map(Place::here).collect();
        }
        i += 1 + arguments.get(i).and_then(secrets).unwrap_or(0);
    }
    Places::from_iter([Place::here(3)])
}

#[cfg(all(test, not(kiba_loom)))]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_hidden_whatever_they_are() {
        let hidden = |options: &str| {
            let line = format!("migrate h 1 k 0 10 {options}");
            hidden(line.split_ascii_whitespace().map(str::as_bytes))
        };
        for (options, expected) in [
            ("", 0..0),
            ("COPY REPLACE", 0..0),
            ("KEYS auth auth2 x", 0..0),
            ("AUTH secret", 7..8),
            ("copy auth2 user secret keys auth x", 8..10),
            ("AUTH keys KEYS a", 7..8),
            ("AUTH a COPY AUTH2 b c", 7..12),
            ("AUTH", 7..8),
            ("FOO AUTH secret", 8..9),
        ] {
            assert_eq!(hidden(options), expected, "{options}");
        }
    }
}

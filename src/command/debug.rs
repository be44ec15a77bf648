//! DEBUG: what tests of clients ask for.

use std::time::Duration;

use super::{Arity, Call, Flags, Keys, Next, Run, Spec, help};
use crate::config::parse_bytes;
use crate::error::Error;
use crate::glob;
use crate::number::parse_f64;
use crate::reply::Reply;
use crate::session::Session;
use crate::store::{Entry, encoding, rdb};

pub(super) const SPECS: &[Spec] = &[Spec {
    name: "debug",
    arity: Arity::at_least(2),
    keys: Keys::None,
    run: Run::SessionElse(debug, DATA),
    flags: FLAGS,
    since: "1.0.0",
    complexity: "Depends on subcommand.",
    summary: "A container for debugging commands.",
}];

const FLAGS: Flags = Flags::ADMIN
    .and(Flags::NOSCRIPT)
    .and(Flags::LOADING)
    .and(Flags::STALE)
    .and(Flags::PROTECTED)
    .and(Flags::NEVER_PAUSED);

/// What looks at a key.
const DATA: &[Spec] = &[Spec {
    name: "object",
    arity: Arity::exactly(3),
    keys: Keys::Range { first: 2, last: 2, step: 1 },
    run: Run::Read(object),
    flags: FLAGS.and(Flags::NO_TOUCH).and(Flags::UNCOUNTED),
    since: "1.0.0",
    complexity: "O(N) where N is the size of the value",
    summary: "Returns low-level information about a key and its value.",
}];

const HELP: &[&str] = &[
    "DEBUG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "JMAP",
    "    Does nothing.",
    "OBJECT <key>",
    "    Show low level info about <key> and its value.",
    "QUICKLIST-PACKED-THRESHOLD <size>",
    "    Accepted without effect.",
    "SET-ACTIVE-EXPIRE <0|1>",
    "    With 0, keys expire only when somebody asks for them.",
    "SLEEP <seconds>",
    "    Answer after <seconds>. Other connections go on. Decimals allowed.",
    "STRINGMATCH-LEN <pattern> <string>",
    "    Whether the string matches the pattern: 1 or 0.",
    "HELP",
    "    Prints this help.",
];

/// DEBUG subcommand ... -> as `HELP` says.
fn debug(_: &mut Session, call: &Call<'_>, reply: &mut Reply) -> Result<Next, Error> {
    match (call.arg(1).to_ascii_lowercase().as_slice(), call.len()) {
        (b"sleep", 3) => {
            reply.ok();
            return Ok(Next::Sleep(duration(call.arg(2))));
        }
        (b"set-active-expire", 3) => {
            call.server.env.agenda.set_paused(!is_set(call.arg(2)));
            reply.ok();
        }
        (b"quicklist-packed-threshold", 3) => {
            // Redis' bound.
            const MOST: u128 = (1 << 32) - (1 << 20);
            if parse_bytes(call.arg(2)).is_none_or(|bytes| bytes > MOST) {
                return Err(Error::Other("ERR argument must be a memory value bigger than 1 and smaller than 4gb"));
            }
            reply.ok();
        }
        (b"stringmatch-len", 4) => reply.integer(i64::from(glob::matches(call.arg(2), call.arg(3)))),
        (b"jmap", 2) => reply.ok(),
        #[cfg(feature = "failpoints")]
        (b"fault", 4) => {
            let text = |i| String::from_utf8_lossy(call.arg(i)).into_owned();
            fail::cfg(text(2), &text(3)).map_err(|_| Error::Syntax)?;
            reply.ok();
        }
        (b"help", 2) => {
            reply.array(HELP.len());
            HELP.iter().for_each(|line| reply.simple(line));
        }
        _ => help::wrong_form(call, reply),
    }
    Ok(Next::Continue)
}

/// DEBUG OBJECT key -> a line about the value.
fn object(entry: Option<&Entry>, call: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    let entry = entry.ok_or(Error::NoSuchKey)?;
    reply.simple(&format!(
        "Value at:{:p} refcount:1 encoding:{} serializedlength:{} lru:{} lru_seconds_idle:{}",
        entry.address(),
        encoding(entry),
        rdb::size(entry, call.now),
        entry.clock(),
        call.idle_seconds(entry),
    ));
    Ok(())
}

/// Seconds with decimals; what is no number, or less than none, is no time.
fn duration(text: &[u8]) -> Duration {
    /// 30 years: more than the timer can take is as good as for ever.
    const MOST: f64 = 1e9;
    let seconds = parse_f64(text).unwrap_or_default().clamp(0.0, MOST);
    Duration::from_secs_f64(seconds)
}

/// Whether the number that a text begins with is another than 0, as C's `atoi` reads it.
fn is_set(text: &[u8]) -> bool {
    let text = text.trim_ascii_start();
    let digits = text.strip_prefix(b"-").or(text.strip_prefix(b"+")).unwrap_or(text);
    digits.iter().take_while(|byte| byte.is_ascii_digit()).any(|byte| *byte != b'0')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_makes_no_sense_is_none() {
        for (text, millis) in [("0.25", 250), ("1", 1000), ("-1", 0), ("x", 0), ("", 0), ("nan", 0)] {
            assert_eq!(duration(text.as_bytes()), Duration::from_millis(millis), "{text}");
        }
        assert_eq!(duration(b"inf"), duration(b"1e300"));
    }

    #[test]
    fn a_switch_is_read_as_c_reads_it() {
        for (text, expected) in [("1", true), ("0", false), (" -2x", true), ("x1", false), ("007", true), ("", false)] {
            assert_eq!(is_set(text.as_bytes()), expected, "{text}");
        }
    }
}

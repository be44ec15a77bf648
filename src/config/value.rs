//! Values: what an option can hold, how its text is read, and how it is printed.
//!
//! A [`Kind`] is the type of an option. Reading is as strict as in Redis (an integer has no sign `+`, no leading zero
//! and no blanks), and the [`Reason`]s carry Redis' texts, because clients show and match them.

use std::fmt;
use std::sync::Arc;

use super::types::{Events, Limits};

/// One value of an option, detached from the running configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    /// Numbers, switches, choices and event classes. A negative number is stored as its two's complement.
    Word(u64),
    Text(Arc<str>),
    Limits(Limits),
}

/// The type of an option: which texts it accepts and how a value is printed.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// A decimal number.
    Integer { min: i64, max: i64 },
    /// A decimal number that is a power of two.
    PowerOfTwo { min: u64, max: u64 },
    /// A number of bytes with an optional unit: `k`, `m`, `g` count in thousands, `kb`, `mb`, `gb` in 1024s.
    Bytes { min: u64, max: u64 },
    /// File permissions, octal.
    Octal,
    /// `yes` or `no`.
    Switch,
    /// One of some names, in any case.
    Choice(&'static [&'static str]),
    /// Classes of keyspace events, as letters.
    Events,
    /// Limits of the output buffer for each class of clients.
    Limits,
    /// Text that `check` accepts and brings into its canonical form.
    Text {
        check: fn(&str) -> Result<String, &'static str>,
        expected: &'static str,
        /// True when the file may give several values on the line, which are joined by a blank.
        many: bool,
    },
}

/// Why a text is no value of a [`Kind`]; prints as Redis words it in a CONFIG SET error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    NotInteger,
    NotOctal,
    NotPowerOfTwo,
    NotBytes,
    NotSwitch,
    NotUtf8,
    OutOfRange {
        min: i128,
        max: i128,
    },
    NotAmong(&'static [&'static str]),
    /// A rule of this option alone.
    Rule(&'static str),
    Immutable,
    Protected,
    Duplicate,
    /// The server could not put the value into effect; the text is the server's.
    Refused(String),
}

impl Kind {
    /// Reads a text. `current` is the value so far, which output limits of a single class are merged into.
    ///
    /// # Errors
    /// A [`Reason`] in Redis' words when the text is no value of this kind.
    pub(crate) fn parse(self, text: &[u8], current: &Value) -> Result<Value, Reason> {
        match self {
            Kind::Integer { min, max } => {
                let number = integer(text).ok_or(Reason::NotInteger)?;
                within(i128::from(number), i128::from(min), i128::from(max))?;
                Ok(Value::Word(number as u64))
            }
            Kind::PowerOfTwo { min, max } => {
                let number = integer(text).ok_or(Reason::NotInteger)?;
                within(i128::from(number), i128::from(min), i128::from(max))?;
                let number = number as u64;
                number.is_power_of_two().then_some(Value::Word(number)).ok_or(Reason::NotPowerOfTwo)
            }
            Kind::Bytes { min, max } => {
                let number = bytes(text).ok_or(Reason::NotBytes)?;
                let number = i128::try_from(number).unwrap_or(i128::MAX);
                within(number, i128::from(min), i128::from(max))?;
                Ok(Value::Word(number as u64))
            }
            Kind::Octal => octal(text).map(Value::Word),
            Kind::Switch if text.eq_ignore_ascii_case(b"yes") => Ok(Value::Word(1)),
            Kind::Switch if text.eq_ignore_ascii_case(b"no") => Ok(Value::Word(0)),
            Kind::Switch => Err(Reason::NotSwitch),
            Kind::Choice(names) => names
                .iter()
                .position(|name| text.eq_ignore_ascii_case(name.as_bytes()))
                .map(|at| Value::Word(at as u64))
                .ok_or(Reason::NotAmong(names)),
            Kind::Events => Events::parse(text).map(|events| Value::Word(u64::from(events.0))),
            Kind::Limits => {
                let Value::Limits(limits) = current else { unreachable!("the current value has the option's kind") };
                limits.merged(text).map(Value::Limits)
            }
            Kind::Text { check, .. } => {
                let text = std::str::from_utf8(text).map_err(|_| Reason::NotUtf8)?;
                check(text).map(|text| Value::Text(text.into())).map_err(Reason::Rule)
            }
        }
    }

    /// The text that CONFIG GET shows; `parse` reads it back to the same value.
    pub(crate) fn print(self, value: &Value) -> String {
        match (self, value) {
            (Kind::Integer { .. }, Value::Word(word)) => (*word as i64).to_string(),
            (Kind::Octal, Value::Word(word)) => format!("{word:o}"),
            (Kind::Switch, Value::Word(word)) => if *word == 0 { "no" } else { "yes" }.to_owned(),
            (Kind::Choice(names), Value::Word(word)) => names[*word as usize].to_owned(),
            (Kind::Events, Value::Word(word)) => Events(*word as u32).to_string(),
            (_, Value::Word(word)) => word.to_string(),
            (_, Value::Text(text)) => text.to_string(),
            (_, Value::Limits(limits)) => limits.to_string(),
        }
    }

    /// Completes "expected ..." in a message about the configuration file.
    pub(crate) fn expected(self) -> String {
        match self {
            Kind::Integer { min, max: i64::MAX } => format!("an integer not below {min}"),
            Kind::Integer { min, max } => format!("an integer from {min} to {max}"),
            Kind::PowerOfTwo { min, max } => format!("a power of two from {min} to {max}"),
            Kind::Bytes { min: 0, .. } => "a number of bytes such as 1000, 64kb, 512mb or 1gb".to_owned(),
            Kind::Bytes { min, .. } => format!("a number of bytes such as 64mb or 1gb, at least {min}"),
            Kind::Octal => "permissions from 0 to 777, octal".to_owned(),
            Kind::Switch => "yes or no".to_owned(),
            Kind::Choice(names) => format!("one of {}", names.join(", ")),
            Kind::Events => format!("letters out of {}", Events::LETTERS),
            Kind::Limits => {
                "CLASS HARD SOFT SECONDS (classes: normal, replica, pubsub), such as normal 256mb 64mb 60".to_owned()
            }
            Kind::Text { expected, .. } => expected.to_owned(),
        }
    }

    /// True when a line of the file may give several values.
    pub(crate) fn takes_many(self) -> bool {
        matches!(self, Kind::Limits | Kind::Text { many: true, .. })
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::NotInteger => out.write_str("argument couldn't be parsed into an integer"),
            Reason::NotOctal => out.write_str("argument couldn't be parsed as an octal number"),
            Reason::NotPowerOfTwo => out.write_str("argument must be a power of two"),
            Reason::NotBytes => out.write_str("argument must be a memory value"),
            Reason::NotSwitch => out.write_str("argument must be 'yes' or 'no'"),
            Reason::NotUtf8 => out.write_str("argument must be valid UTF-8"),
            Reason::OutOfRange { min, max } => {
                write!(out, "argument must be between {min} and {max} inclusive")
            }
            Reason::NotAmong(names) => {
                write!(out, "argument(s) must be one of the following: {}", names.join(", "))
            }
            Reason::Rule(text) => out.write_str(text),
            Reason::Immutable => out.write_str("can't set immutable config"),
            Reason::Protected => out.write_str("can't set protected config"),
            Reason::Duplicate => out.write_str("duplicate parameter"),
            Reason::Refused(text) => out.write_str(text),
        }
    }
}

fn within(number: i128, min: i128, max: i128) -> Result<(), Reason> {
    if (min..=max).contains(&number) { Ok(()) } else { Err(Reason::OutOfRange { min, max }) }
}

/// Reads an integer as strictly as Redis does: what would not print back to the same text is refused.
pub(super) fn integer(text: &[u8]) -> Option<i64> {
    let number: i64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    (number.to_string().as_bytes() == text).then_some(number)
}

/// Reads a number of bytes with its unit; `None` when it is malformed.
pub(crate) fn bytes(text: &[u8]) -> Option<u128> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (number, unit) = text.split_at(digits);
    let factor: u128 = match unit.to_ascii_lowercase().as_slice() {
        b"" | b"b" => 1,
        b"k" => 1_000,
        b"kb" => 1 << 10,
        b"m" => 1_000_000,
        b"mb" => 1 << 20,
        b"g" => 1_000_000_000,
        b"gb" => 1 << 30,
        _ => return None,
    };
    if number.is_empty() {
        return None;
    }
    // Digits only, so that the sole way to fail is to be too large for any range.
    let number: u128 = std::str::from_utf8(number).ok()?.parse().unwrap_or(u128::MAX);
    Some(number.saturating_mul(factor))
}

fn octal(text: &[u8]) -> Result<u64, Reason> {
    let digits = std::str::from_utf8(text).map_err(|_| Reason::NotOctal)?;
    if digits.is_empty() || !digits.bytes().all(|byte| matches!(byte, b'0'..=b'7')) {
        return Err(Reason::NotOctal);
    }
    // Ten octal digits fit easily; more are out of range whatever they are.
    let number = if digits.len() > 10 { u64::MAX } else { u64::from_str_radix(digits, 8).unwrap_or(u64::MAX) };
    within(i128::from(number), 0, 0o777)?;
    Ok(number)
}

#[cfg(test)]
mod tests {
    use super::super::types::EngineKind;
    use super::*;

    const NOTHING: Value = Value::Word(0);

    fn word(kind: Kind, text: &str) -> Result<u64, String> {
        match kind.parse(text.as_bytes(), &NOTHING) {
            Ok(Value::Word(word)) => Ok(word),
            Ok(other) => panic!("{other:?} is no word"),
            Err(reason) => Err(reason.to_string()),
        }
    }

    #[test]
    fn integers_are_read_as_strictly_as_in_redis() {
        let kind = Kind::Integer { min: -1, max: 10 };
        assert_eq!(word(kind, "-1"), Ok(u64::MAX));
        assert_eq!(word(kind, "0"), Ok(0));
        assert_eq!(word(kind, "10"), Ok(10));
        for text in ["", " 5", "5 ", "+5", "05", "-0", "0x5", "1e1", "1k", "five", "99999999999999999999"] {
            assert_eq!(word(kind, text), Err("argument couldn't be parsed into an integer".to_owned()), "{text:?}");
        }
        for text in ["-2", "11", "9223372036854775807", "-9223372036854775808"] {
            assert_eq!(word(kind, text), Err("argument must be between -1 and 10 inclusive".to_owned()), "{text:?}");
        }
    }

    #[test]
    fn bytes_know_the_units_of_redis() {
        let kind = Kind::Bytes { min: 0, max: u64::MAX };
        for (text, number) in [
            ("0", 0),
            ("50", 50),
            ("50b", 50),
            ("1k", 1000),
            ("1kb", 1024),
            ("1KB", 1024),
            ("5kB", 5120),
            ("1m", 1_000_000),
            ("512mb", 512 << 20),
            ("1g", 1_000_000_000),
            ("1GB", 1 << 30),
            ("007", 7),
            ("18446744073709551615", u64::MAX),
            ("0018014398509481983kb", u64::MAX - 1023),
        ] {
            assert_eq!(word(kind, text), Ok(number), "{text:?}");
        }
        for text in ["", "kb", "-1", "-5kb", "1.5gb", "50 kb", "50xb", "10%", "1gbb", "1tb", " 1", "+1"] {
            assert_eq!(word(kind, text), Err("argument must be a memory value".to_owned()), "{text:?}");
        }
    }

    #[test]
    fn bytes_above_the_range_are_refused_and_never_wrap() {
        let kind = Kind::Bytes { min: 1 << 20, max: i64::MAX as u64 };
        let error = Err("argument must be between 1048576 and 9223372036854775807 inclusive".to_owned());
        for text in [
            "1048575",
            "9223372036854775808",
            "99999999999gb",
            "99999999999999999999999999gb",
            "17179869184gb",
            &"9".repeat(99),
        ] {
            assert_eq!(word(kind, text), error, "{text:?}");
        }
        assert_eq!(word(kind, "1mb"), Ok(1 << 20));
        assert_eq!(word(kind, "9223372036854775807"), Ok(i64::MAX as u64));
    }

    #[test]
    fn permissions_are_octal() {
        assert_eq!(word(Kind::Octal, "700"), Ok(0o700));
        assert_eq!(word(Kind::Octal, "0777"), Ok(0o777));
        assert_eq!(Kind::Octal.print(&Value::Word(0o755)), "755");
        for text in ["", "8", "-1", "+7", "rwx"] {
            assert_eq!(word(Kind::Octal, text), Err(Reason::NotOctal.to_string()), "{text:?}");
        }
        for text in ["1000", "77777777777777777777777777"] {
            assert!(word(Kind::Octal, text).unwrap_err().starts_with("argument must be between 0 and 511"), "{text:?}");
        }
    }

    #[test]
    fn powers_of_two_switches_and_choices() {
        let kind = Kind::PowerOfTwo { min: 2, max: 1024 };
        assert_eq!(word(kind, "1024"), Ok(1024));
        assert_eq!(word(kind, "1000"), Err("argument must be a power of two".to_owned()));
        assert_eq!(word(kind, "1"), Err("argument must be between 2 and 1024 inclusive".to_owned()));
        assert_eq!(word(kind, "2048"), Err("argument must be between 2 and 1024 inclusive".to_owned()));
        assert_eq!(word(Kind::Switch, "YES"), Ok(1));
        assert_eq!(word(Kind::Switch, "no"), Ok(0));
        for text in ["", "1", "true", "yes "] {
            assert_eq!(word(Kind::Switch, text), Err("argument must be 'yes' or 'no'".to_owned()), "{text:?}");
        }
        let kind = Kind::Choice(EngineKind::NAMES);
        assert_eq!(word(kind, "Channel"), Ok(EngineKind::Channel as u64));
        assert_eq!(word(kind, "x"), Err("argument(s) must be one of the following: sharded, channel".to_owned()));
    }
}

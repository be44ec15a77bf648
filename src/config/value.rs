//! Values: what an option can hold, how its text is read, and how it is printed.
//!
//! A [`Kind`] is the type of an option. Reading is as strict as in Redis (an integer has no sign `+`, no leading zero
//! and no blanks), and the [`Reason`]s carry Redis' texts, because clients show and match them.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use super::cell::{Cell, Read};

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
                number
                    .is_power_of_two()
                    .then_some(Value::Word(number))
                    .ok_or(Reason::NotPowerOfTwo)
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
                let Value::Limits(limits) = current else {
                    unreachable!("the current value has the option's kind")
                };
                limits.merged(text).map(Value::Limits)
            }
            Kind::Text { check, .. } => {
                let text = std::str::from_utf8(text).map_err(|_| Reason::NotUtf8)?;
                check(text)
                    .map(|text| Value::Text(text.into()))
                    .map_err(Reason::Rule)
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
                write!(
                    out,
                    "argument(s) must be one of the following: {}",
                    names.join(", ")
                )
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
    if (min..=max).contains(&number) {
        Ok(())
    } else {
        Err(Reason::OutOfRange { min, max })
    }
}

/// Reads an integer as strictly as Redis does: what would not print back to the same text is refused.
fn integer(text: &[u8]) -> Option<i64> {
    let number: i64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    (number.to_string().as_bytes() == text).then_some(number)
}

/// Reads a number of bytes with its unit; `None` when it is malformed.
fn bytes(text: &[u8]) -> Option<u128> {
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
    let number: u128 = std::str::from_utf8(number)
        .ok()?
        .parse()
        .unwrap_or(u128::MAX);
    Some(number.saturating_mul(factor))
}

fn octal(text: &[u8]) -> Result<u64, Reason> {
    let digits = std::str::from_utf8(text).map_err(|_| Reason::NotOctal)?;
    if digits.is_empty() || !digits.bytes().all(|byte| matches!(byte, b'0'..=b'7')) {
        return Err(Reason::NotOctal);
    }
    // Ten octal digits fit easily; more are out of range whatever they are.
    let number = if digits.len() > 10 {
        u64::MAX
    } else {
        u64::from_str_radix(digits, 8).unwrap_or(u64::MAX)
    };
    within(i128::from(number), 0, 0o777)?;
    Ok(number)
}

/// Declares an option's names as an enum, in the order in which CONFIG SET lists them.
macro_rules! choice {
    ($(#[$meta:meta])* $enum:ident { $($(#[$variant_meta:meta])* $variant:ident = $name:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $enum { $($(#[$variant_meta])* $variant,)+ }

        impl $enum {
            pub const ALL: &[$enum] = &[$($enum::$variant),+];
            pub const NAMES: &[&str] = &[$($name),+];

            /// The name as the configuration spells it.
            pub fn name(self) -> &'static str {
                Self::NAMES[self as usize]
            }
        }

        impl Read for $enum {
            fn read(cell: &Cell) -> $enum {
                $enum::ALL[cell.word() as usize]
            }
        }

        impl fmt::Display for $enum {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(self.name())
            }
        }
    };
}

choice! {
    /// Who holds the data.
    EngineKind { Sharded = "sharded", Channel = "channel", }
}
choice! {
    /// How connections are spread over the threads.
    IoModel { WorkStealing = "work-stealing", PerCore = "per-core", }
}
choice! {
    /// The hash function of the key space.
    Hasher {
        /// Kiba's choice: fast, seeded at random, safe against keys made to collide.
        Default = "default",
        /// Small and predictable; for trusted clients only.
        Fnv = "fnv",
        SipHash = "siphash",
    }
}
choice! {
    /// Whose answers to give where Redis and the original Kiba differ.
    Dialect { Redis = "redis", Original = "original", }
}
choice! {
    /// How much is logged. The first five are Redis' levels.
    LogLevel {
        Debug = "debug",
        Verbose = "verbose",
        Notice = "notice",
        Warning = "warning",
        Nothing = "nothing",
        Trace = "trace",
    }
}
choice! {
    LogFormat { Text = "text", Json = "json", }
}
choice! {
    /// What makes room when `maxmemory` is reached.
    Policy {
        VolatileLru = "volatile-lru",
        VolatileLfu = "volatile-lfu",
        VolatileRandom = "volatile-random",
        VolatileTtl = "volatile-ttl",
        AllkeysLru = "allkeys-lru",
        AllkeysLfu = "allkeys-lfu",
        AllkeysRandom = "allkeys-random",
        Noeviction = "noeviction",
    }
}
choice! {
    Fsync { Everysec = "everysec", Always = "always", No = "no", }
}
choice! {
    /// Who may use a dangerous function.
    Permission { No = "no", Yes = "yes", Local = "local", }
}

/// From where a client is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// The loopback interface or the Unix socket.
    Local,
    Remote,
}

impl Permission {
    pub fn allows(self, caller: Caller) -> bool {
        match self {
            Permission::No => false,
            Permission::Yes => true,
            Permission::Local => caller == Caller::Local,
        }
    }
}

/// A set of keyspace event classes, `notify-keyspace-events`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Events(pub u32);

impl Events {
    /// Publish to `__keyspace@<db>__:<key>`.
    pub const KEYSPACE: Events = Events(1 << 0);
    /// Publish to `__keyevent@<db>__:<event>`.
    pub const KEYEVENT: Events = Events(1 << 1);
    /// DEL, EXPIRE, RENAME and others that know no type.
    pub const GENERIC: Events = Events(1 << 2);
    pub const STRING: Events = Events(1 << 3);
    pub const LIST: Events = Events(1 << 4);
    pub const SET: Events = Events(1 << 5);
    pub const HASH: Events = Events(1 << 6);
    pub const ZSET: Events = Events(1 << 7);
    pub const EXPIRED: Events = Events(1 << 8);
    pub const EVICTED: Events = Events(1 << 9);
    pub const STREAM: Events = Events(1 << 10);
    /// Module types. Kiba has none; the letter is part of `A`.
    pub const MODULE: Events = Events(1 << 11);
    /// A look-up that found nothing; not part of `A`.
    pub const MISS: Events = Events(1 << 12);
    /// A key was created; not part of `A`.
    pub const NEW: Events = Events(1 << 13);
    /// Every class that the letter `A` stands for.
    pub const ALL: Events = Events(0b1111_1111_1100);

    const LETTERS: &str = "Ag$lshzxeKEtmdn";

    /// Letters and bits in the order in which Redis 7.0 prints them.
    const CLASSES: &[(char, Events)] = &[
        ('g', Events::GENERIC),
        ('$', Events::STRING),
        ('l', Events::LIST),
        ('s', Events::SET),
        ('h', Events::HASH),
        ('z', Events::ZSET),
        ('x', Events::EXPIRED),
        ('e', Events::EVICTED),
        ('t', Events::STREAM),
        ('d', Events::MODULE),
    ];

    fn parse(text: &[u8]) -> Result<Events, Reason> {
        let mut events = Events(0);
        for &letter in text {
            events.0 |= match char::from(letter) {
                'A' => Events::ALL.0,
                'K' => Events::KEYSPACE.0,
                'E' => Events::KEYEVENT.0,
                'm' => Events::MISS.0,
                'n' => Events::NEW.0,
                letter => match Events::CLASSES.iter().find(|(name, _)| *name == letter) {
                    Some((_, class)) => class.0,
                    None => {
                        return Err(Reason::Rule(
                            "Invalid event class character. Use 'Ag$lshzxeKEtmdn'.",
                        ));
                    }
                },
            };
        }
        Ok(events)
    }

    /// True when all of `other`'s classes are in this set.
    pub fn contains(self, other: Events) -> bool {
        self.0 & other.0 == other.0
    }

    /// True when an event of this class is to be published at all.
    pub fn publishes(self, class: Events) -> bool {
        self.contains(class) && self.0 & (Events::KEYSPACE.0 | Events::KEYEVENT.0) != 0
    }
}

impl Read for Events {
    fn read(cell: &Cell) -> Events {
        Events(cell.word() as u32)
    }
}

impl fmt::Display for Events {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.contains(Events::ALL) {
            out.write_str("A")?;
        } else {
            for (letter, class) in Events::CLASSES {
                if self.contains(*class) {
                    write!(out, "{letter}")?;
                }
            }
            // Redis prints `n` only beside single letters (7.0.15: `KAn` becomes `AK`), which CONFIG REWRITE would
            // then lose; so Kiba prints it below in every case.
        }
        for (letter, class) in [
            ("n", Events::NEW),
            ("K", Events::KEYSPACE),
            ("E", Events::KEYEVENT),
            ("m", Events::MISS),
        ] {
            if self.contains(class) {
                out.write_str(letter)?;
            }
        }
        Ok(())
    }
}

/// A class of clients in `client-output-buffer-limit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    Normal,
    Replica,
    Pubsub,
}

/// The output limit of one class of clients. 0 switches a limit off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Limit {
    /// A client with more unsent bytes is closed at once.
    pub hard_bytes: u64,
    /// A client that stays above these bytes for `soft_seconds` is closed.
    pub soft_bytes: u64,
    pub soft_seconds: u64,
}

/// The output limits of all classes, in the order of [`Class`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Limits(pub [Limit; 3]);

impl Limits {
    /// A copy in which the classes named by `text` (`CLASS HARD SOFT SECONDS`, repeated) are replaced.
    fn merged(mut self, text: &[u8]) -> Result<Limits, Reason> {
        if text.is_empty() {
            return Ok(self);
        }
        let words: Vec<&[u8]> = text.split(|byte| *byte == b' ').collect();
        let (groups, rest) = words.as_chunks::<4>();
        if !rest.is_empty() {
            return Err(Reason::Rule(
                "Wrong number of arguments in buffer limit configuration.",
            ));
        }
        for [class, hard, soft, seconds] in groups {
            let class = match class.to_ascii_lowercase().as_slice() {
                b"normal" => Class::Normal,
                b"replica" | b"slave" => Class::Replica,
                b"pubsub" => Class::Pubsub,
                _ => {
                    return Err(Reason::Rule(
                        "Invalid client class specified in buffer limit configuration.",
                    ));
                }
            };
            let bytes = |text| bytes(text).and_then(|number| u64::try_from(number).ok());
            let seconds = integer(seconds).and_then(|seconds| u64::try_from(seconds).ok());
            let (Some(hard_bytes), Some(soft_bytes), Some(soft_seconds)) =
                (bytes(hard), bytes(soft), seconds)
            else {
                return Err(Reason::Rule(
                    "Error in hard, soft or soft_seconds setting in buffer limit configuration.",
                ));
            };
            self.0[class as usize] = Limit {
                hard_bytes,
                soft_bytes,
                soft_seconds,
            };
        }
        Ok(self)
    }

    pub fn of(&self, class: Class) -> Limit {
        self.0[class as usize]
    }
}

impl fmt::Display for Limits {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // `slave` is what Redis 7.4 prints for replicas, too.
        for (at, (name, limit)) in ["normal", "slave", "pubsub"]
            .iter()
            .zip(&self.0)
            .enumerate()
        {
            let gap = if at == 0 { "" } else { " " };
            write!(
                out,
                "{gap}{name} {} {} {}",
                limit.hard_bytes, limit.soft_bytes, limit.soft_seconds
            )?;
        }
        Ok(())
    }
}

/// Checks for [`Kind::Text`], each named after its option.
pub(crate) mod check {
    use super::Path;
    use std::net::{IpAddr, Ipv4Addr};

    pub(crate) fn any(text: &str) -> Result<String, &'static str> {
        Ok(text.to_owned())
    }

    /// Addresses separated by blanks, without ports: [`super::split_port`] takes the port away before.
    pub(crate) fn bind(text: &str) -> Result<String, &'static str> {
        // 16: Redis' limit of addresses.
        let addresses: Vec<&str> = text.split_whitespace().collect();
        if addresses.len() > 16 {
            return Err("Too many bind addresses specified.");
        }
        if addresses
            .iter()
            .all(|address| is_address(address.strip_prefix('-').unwrap_or(address)))
        {
            Ok(addresses.join(" "))
        } else {
            Err("Invalid bind address.")
        }
    }

    fn is_address(host: &str) -> bool {
        if matches!(host, "*" | "::*") || host.parse::<IpAddr>().is_ok() {
            return true;
        }
        let is_label = |label: &str| {
            !label.is_empty()
                && !label.starts_with('-')
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        };
        // A name whose last label is a number can only be a mistyped IPv4 address.
        let last = host.rsplit('.').next().unwrap_or_default();
        host.split('.').all(is_label)
            && (!last.bytes().all(|byte| byte.is_ascii_digit()) || host.parse::<Ipv4Addr>().is_ok())
    }

    pub(crate) fn compat_version(text: &str) -> Result<String, &'static str> {
        let parts: Vec<&str> = text.split('.').collect();
        let is_part = |part: &&str| {
            part.len() <= 3
                && part
                    .parse::<u8>()
                    .is_ok_and(|number| number.to_string() == **part)
        };
        if parts.len() == 3 && parts.iter().all(is_part) {
            Ok(text.to_owned())
        } else {
            Err("argument must be a version such as 7.4.2")
        }
    }

    pub(crate) fn save(text: &str) -> Result<String, &'static str> {
        if text.trim().is_empty() {
            Ok(String::new())
        } else {
            Err("Kiba does not save snapshots yet")
        }
    }

    pub(crate) fn appendonly(text: &str) -> Result<String, &'static str> {
        match text.to_ascii_lowercase().as_str() {
            "no" => Ok("no".to_owned()),
            "yes" => Err("Kiba does not write an append-only file yet"),
            _ => Err("argument must be 'yes' or 'no'"),
        }
    }

    pub(crate) fn dbfilename(text: &str) -> Result<String, &'static str> {
        if text.contains('/') {
            Err("dbfilename can't be a path, just a filename")
        } else {
            any(text)
        }
    }

    /// An existing directory, made absolute. Empty stands for the working directory.
    pub(crate) fn dir(text: &str) -> Result<String, &'static str> {
        let path = Path::new(if text.is_empty() { "." } else { text });
        let path = path
            .canonicalize()
            .map_err(|_| "No such directory, or no permission to enter it")?;
        if !path.is_dir() {
            return Err("Not a directory");
        }
        path.into_os_string()
            .into_string()
            .map_err(|_| "The directory's name is not valid UTF-8")
    }
}

/// Takes the ports away from the original Kiba's form of `bind` (`127.0.0.1:6464`, `[::1]:6464`, `localhost:6464`).
///
/// Returns the addresses joined by blanks and the port, if there was one.
///
/// # Errors
/// When a port is no number from 0 to 65535 or two addresses name different ports.
pub(crate) fn split_port(addresses: &str) -> Result<(String, Option<u16>), &'static str> {
    let mut hosts = Vec::new();
    let mut port = None;
    for address in addresses.split_whitespace() {
        let (optional, address) = match address.strip_prefix('-') {
            Some(rest) => ("-", rest),
            None => ("", address),
        };
        let (host, digits) = match address
            .strip_prefix('[')
            .and_then(|rest| rest.split_once(']'))
        {
            Some((host, "")) => (host, None),
            Some((host, rest)) => (
                host,
                Some(
                    rest.strip_prefix(':')
                        .ok_or("expected a colon after the bracket")?,
                ),
            ),
            // More than one colon outside of brackets is an IPv6 address without a port.
            None => match address.split_once(':') {
                Some((host, digits)) if !digits.contains(':') => (host, Some(digits)),
                _ => (address, None),
            },
        };
        if let Some(digits) = digits {
            let number: u16 = integer(digits.as_bytes())
                .and_then(|number| u16::try_from(number).ok())
                .ok_or("expected a port from 0 to 65535 after the colon")?;
            if port.is_some_and(|port| port != number) {
                return Err("expected the same port for all addresses");
            }
            port = Some(number);
        }
        hosts.push(format!("{optional}{host}"));
    }
    Ok((hosts.join(" "), port))
}

#[cfg(test)]
mod tests {
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
        for text in [
            "",
            " 5",
            "5 ",
            "+5",
            "05",
            "-0",
            "0x5",
            "1e1",
            "1k",
            "five",
            "99999999999999999999",
        ] {
            assert_eq!(
                word(kind, text),
                Err("argument couldn't be parsed into an integer".to_owned()),
                "{text:?}"
            );
        }
        for text in ["-2", "11", "9223372036854775807", "-9223372036854775808"] {
            assert_eq!(
                word(kind, text),
                Err("argument must be between -1 and 10 inclusive".to_owned()),
                "{text:?}"
            );
        }
    }

    #[test]
    fn bytes_know_the_units_of_redis() {
        let kind = Kind::Bytes {
            min: 0,
            max: u64::MAX,
        };
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
        for text in [
            "", "kb", "-1", "-5kb", "1.5gb", "50 kb", "50xb", "10%", "1gbb", "1tb", " 1", "+1",
        ] {
            assert_eq!(
                word(kind, text),
                Err("argument must be a memory value".to_owned()),
                "{text:?}"
            );
        }
    }

    #[test]
    fn bytes_above_the_range_are_refused_and_never_wrap() {
        let kind = Kind::Bytes {
            min: 1 << 20,
            max: i64::MAX as u64,
        };
        let error =
            Err("argument must be between 1048576 and 9223372036854775807 inclusive".to_owned());
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
            assert_eq!(
                word(Kind::Octal, text),
                Err(Reason::NotOctal.to_string()),
                "{text:?}"
            );
        }
        for text in ["1000", "77777777777777777777777777"] {
            assert!(
                word(Kind::Octal, text)
                    .unwrap_err()
                    .starts_with("argument must be between 0 and 511"),
                "{text:?}"
            );
        }
    }

    #[test]
    fn powers_of_two_switches_and_choices() {
        let kind = Kind::PowerOfTwo { min: 2, max: 1024 };
        assert_eq!(word(kind, "1024"), Ok(1024));
        assert_eq!(
            word(kind, "1000"),
            Err("argument must be a power of two".to_owned())
        );
        assert_eq!(
            word(kind, "1"),
            Err("argument must be between 2 and 1024 inclusive".to_owned())
        );
        assert_eq!(
            word(kind, "2048"),
            Err("argument must be between 2 and 1024 inclusive".to_owned())
        );
        assert_eq!(word(Kind::Switch, "YES"), Ok(1));
        assert_eq!(word(Kind::Switch, "no"), Ok(0));
        for text in ["", "1", "true", "yes "] {
            assert_eq!(
                word(Kind::Switch, text),
                Err("argument must be 'yes' or 'no'".to_owned()),
                "{text:?}"
            );
        }
        let kind = Kind::Choice(EngineKind::NAMES);
        assert_eq!(word(kind, "Channel"), Ok(EngineKind::Channel as u64));
        assert_eq!(
            word(kind, "x"),
            Err("argument(s) must be one of the following: sharded, channel".to_owned())
        );
    }

    /// Pairs observed from redis-server 7.0.15, except for `n` next to `A` (see `Display`).
    #[test]
    fn events_are_normalised_as_in_redis() {
        for (text, printed) in [
            ("", ""),
            ("AKE", "AKE"),
            ("Eg$lshzxetdnm", "AnEm"),
            ("K", "K"),
            ("gm", "gm"),
            ("Kg$lshzxetd", "AK"),
            ("Kg$lshzxedn", "g$lshzxednK"),
            ("KAn", "AnK"),
            ("mEKdtxezhsl$g", "AKEm"),
            ("mEKtxezhsl$g", "g$lshzxetKEm"),
        ] {
            let value = Kind::Events.parse(text.as_bytes(), &NOTHING).expect(text);
            assert_eq!(Kind::Events.print(&value), printed, "{text:?}");
            assert_eq!(
                Kind::Events.parse(printed.as_bytes(), &NOTHING),
                Ok(value),
                "{printed:?} reads back"
            );
        }
        assert_eq!(
            word(Kind::Events, "xyz"),
            Err("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.".to_owned())
        );
    }

    #[test]
    fn an_event_is_published_only_with_a_channel_to_publish_to() {
        let events = |text: &[u8]| Events::parse(text).expect("valid letters");
        assert!(events(b"Kx").publishes(Events::EXPIRED));
        assert!(events(b"EA").publishes(Events::EXPIRED));
        assert!(!events(b"x").publishes(Events::EXPIRED));
        assert!(!events(b"EA").publishes(Events::NEW));
        assert!(!events(b"KE").publishes(Events::LIST));
    }

    #[test]
    fn limits_replace_the_classes_that_they_name() {
        let none = Limits::default();
        let limits = none.merged(b"normal 1mb 2kb 60").expect("valid");
        assert_eq!(
            limits.to_string(),
            "normal 1048576 2048 60 slave 0 0 0 pubsub 0 0 0"
        );
        let limits = limits.merged(b"PUBSUB 1 2 3 slave 4 5 6").expect("valid");
        assert_eq!(
            limits.to_string(),
            "normal 1048576 2048 60 slave 4 5 6 pubsub 1 2 3"
        );
        assert_eq!(
            limits.of(Class::Replica),
            Limit {
                hard_bytes: 4,
                soft_bytes: 5,
                soft_seconds: 6
            }
        );
        assert_eq!(limits.merged(b""), Ok(limits));
        let wrong_count = "Wrong number of arguments in buffer limit configuration.";
        let wrong_class = "Invalid client class specified in buffer limit configuration.";
        let wrong_number =
            "Error in hard, soft or soft_seconds setting in buffer limit configuration.";
        for (text, error) in [
            ("foo", wrong_count),
            ("normal 1 2", wrong_count),
            ("normal  0 0 0", wrong_count),
            ("foo 1 2 3", wrong_class),
            ("master 1 1 1", wrong_class),
            ("normal x 2mb 60", wrong_number),
            ("normal 1 1 x", wrong_number),
            ("normal 0 0 -1", wrong_number),
            ("normal \"1\" 1 1", wrong_number),
            ("pubsub -1 0 5", wrong_number),
            ("pubsub 100b 0 0x3", wrong_number),
            ("normal 99999999999999999999gb 0 0", wrong_number),
            ("normal 1 1 1 pubsub 1 1 x", wrong_number),
        ] {
            assert_eq!(
                none.merged(text.as_bytes())
                    .map_err(|reason| reason.to_string()),
                Err(error.to_owned()),
                "{text:?}"
            );
        }
    }

    #[test]
    fn bind_takes_addresses_and_names() {
        for text in [
            "127.0.0.1",
            "127.0.0.1 ::1",
            "* -::*",
            "-::1",
            "localhost",
            "my-host.example_1.org",
            "",
        ] {
            assert_eq!(check::bind(text), Ok(text.to_owned()));
        }
        assert_eq!(
            check::bind("  127.0.0.1\t::1 "),
            Ok("127.0.0.1 ::1".to_owned())
        );
        for text in [
            "1.2.3.4.5",
            "256.1.1.1",
            "1.2.3",
            "::g",
            "a b..c",
            "--x",
            "ho!st",
            "tcp://host",
        ] {
            assert_eq!(check::bind(text), Err("Invalid bind address."), "{text:?}");
        }
        assert_eq!(
            check::bind(&"::1 ".repeat(16)).map(|text| text.len()),
            Ok(16 * 4 - 1)
        );
        assert_eq!(
            check::bind(&"::1 ".repeat(17)),
            Err("Too many bind addresses specified.")
        );
    }

    #[test]
    fn a_port_behind_the_address_is_taken_away() {
        let split =
            |text| split_port(text).map(|(hosts, port)| (hosts, port.map_or(-1, i32::from)));
        assert_eq!(split("127.0.0.1:6464"), Ok(("127.0.0.1".to_owned(), 6464)));
        assert_eq!(split("127.0.0.1 ::1"), Ok(("127.0.0.1 ::1".to_owned(), -1)));
        assert_eq!(
            split("-[::1]:7000 localhost:7000"),
            Ok(("-::1 localhost".to_owned(), 7000))
        );
        assert_eq!(split("[::1]"), Ok(("::1".to_owned(), -1)));
        for text in [
            "1.1.1.1:",
            "1.1.1.1:x",
            "1.1.1.1:65536",
            "1.1.1.1:-1",
            "[::1]7",
            "a:1 b:2",
        ] {
            assert!(split(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn versions_have_three_small_numbers() {
        assert!(check::compat_version("7.4.2").is_ok());
        assert!(check::compat_version("255.0.0").is_ok());
        for text in [
            "",
            "7",
            "7.4",
            "7.4.2.1",
            "7.4.x",
            "07.4.2",
            "7.4.-1",
            "7.4.256",
            "7.4.2\r\n",
        ] {
            assert!(check::compat_version(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn permissions_know_where_the_caller_is() {
        assert!(!Permission::No.allows(Caller::Local));
        assert!(Permission::Local.allows(Caller::Local));
        assert!(!Permission::Local.allows(Caller::Remote));
        assert!(Permission::Yes.allows(Caller::Remote));
    }
}

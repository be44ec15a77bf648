//! Types of options that are more than a number or a text: choices, event classes, output limits.

use std::fmt;

use super::cell::{Cell, Read};
use super::value::{Reason, bytes, integer};

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

impl Policy {
    /// Whether keys go when memory is short.
    pub fn evicts(self) -> bool {
        self != Policy::Noeviction
    }

    /// Whether only keys with a deadline go.
    pub fn is_volatile(self) -> bool {
        matches!(self, Policy::VolatileLru | Policy::VolatileLfu | Policy::VolatileRandom | Policy::VolatileTtl)
    }

    /// Whether any key is as good as another.
    pub fn is_random(self) -> bool {
        matches!(self, Policy::AllkeysRandom | Policy::VolatileRandom)
    }

    /// Whether entries count how often they are used, instead of noting when they were used last.
    pub fn counts_uses(self) -> bool {
        matches!(self, Policy::AllkeysLfu | Policy::VolatileLfu)
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

    pub(super) const LETTERS: &str = "Ag$lshzxeKEtmdn";

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

    pub(super) fn parse(text: &[u8]) -> Result<Events, Reason> {
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
                        return Err(Reason::Rule("Invalid event class character. Use 'Ag$lshzxeKEtmdn'."));
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
        for (letter, class) in
            [("n", Events::NEW), ("K", Events::KEYSPACE), ("E", Events::KEYEVENT), ("m", Events::MISS)]
        {
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
    pub(super) fn merged(mut self, text: &[u8]) -> Result<Limits, Reason> {
        if text.is_empty() {
            return Ok(self);
        }
        let words: Vec<&[u8]> = text.split(|byte| *byte == b' ').collect();
        let (groups, rest) = words.as_chunks::<4>();
        if !rest.is_empty() {
            return Err(Reason::Rule("Wrong number of arguments in buffer limit configuration."));
        }
        for [class, hard, soft, seconds] in groups {
            let class = match class.to_ascii_lowercase().as_slice() {
                b"normal" => Class::Normal,
                b"replica" | b"slave" => Class::Replica,
                b"pubsub" => Class::Pubsub,
                _ => {
                    return Err(Reason::Rule("Invalid client class specified in buffer limit configuration."));
                }
            };
            let bytes = |text| bytes(text).and_then(|number| u64::try_from(number).ok());
            let seconds = integer(seconds).and_then(|seconds| u64::try_from(seconds).ok());
            let (Some(hard_bytes), Some(soft_bytes), Some(soft_seconds)) = (bytes(hard), bytes(soft), seconds) else {
                return Err(Reason::Rule("Error in hard, soft or soft_seconds setting in buffer limit configuration."));
            };
            self.0[class as usize] = Limit { hard_bytes, soft_bytes, soft_seconds };
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
        for (at, (name, limit)) in ["normal", "slave", "pubsub"].iter().zip(&self.0).enumerate() {
            let gap = if at == 0 { "" } else { " " };
            write!(out, "{gap}{name} {} {} {}", limit.hard_bytes, limit.soft_bytes, limit.soft_seconds)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            let value = Events::parse(text.as_bytes()).expect(text);
            assert_eq!(value.to_string(), printed, "{text:?}");
            assert_eq!(Events::parse(printed.as_bytes()), Ok(value), "{printed:?} reads back");
        }
        let text = "Invalid event class character. Use 'Ag$lshzxeKEtmdn'.";
        assert_eq!(Events::parse(b"xyz"), Err(Reason::Rule(text)));
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
        assert_eq!(limits.to_string(), "normal 1048576 2048 60 slave 0 0 0 pubsub 0 0 0");
        let limits = limits.merged(b"PUBSUB 1 2 3 slave 4 5 6").expect("valid");
        assert_eq!(limits.to_string(), "normal 1048576 2048 60 slave 4 5 6 pubsub 1 2 3");
        assert_eq!(limits.of(Class::Replica), Limit { hard_bytes: 4, soft_bytes: 5, soft_seconds: 6 });
        assert_eq!(limits.merged(b""), Ok(limits));
        let wrong_count = "Wrong number of arguments in buffer limit configuration.";
        let wrong_class = "Invalid client class specified in buffer limit configuration.";
        let wrong_number = "Error in hard, soft or soft_seconds setting in buffer limit configuration.";
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
                none.merged(text.as_bytes()).map_err(|reason| reason.to_string()),
                Err(error.to_owned()),
                "{text:?}"
            );
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

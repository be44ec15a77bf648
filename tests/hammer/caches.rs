//! Client-side caching: whoever keeps a copy is told before it is wrong.

use std::collections::HashMap;
use std::time::Duration;

use crate::link::{Heard, Life};
use crate::pools::pause;
use crate::record::{CACHED, Log};
use crate::stage::{Phase, Stage};
use crate::support::Value;

pub fn key(number: usize) -> String {
    format!("c:{number}")
}

pub fn write(stage: &Stage, random: &mut fastrand::Rng, who: usize) -> Log {
    let mut log = Log { who, ..Log::default() };
    while stage.phase() == Phase::Run {
        let mut life = Life::begin(stage, random, Phase::Settle);
        while life.lives() && stage.phase() == Phase::Run {
            let key = key(life.random.usize(..CACHED));
            let value = format!("{who}.{}", log.calls);
            match life.random.u8(..4) {
                0 => life.transact(&[&["SET", &key, &value]]),
                1 => life.call(&["SET", &key, &value, "PX", "5"]),
                _ => life.call(&["SET", &key, &value]),
            };
            log.calls += 1;
            pause(random, 5000);
        }
        log.deaths += 1;
    }
    log
}

/// The ways to be told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Default,
    Prefix,
    OptIn,
    Redirect,
}

pub fn read(stage: &Stage, random: &mut fastrand::Rng, who: usize) -> Log {
    let mut log = Log { who, ..Log::default() };
    while stage.phase() < Phase::End {
        let way = [Way::Default, Way::Prefix, Way::OptIn, Way::Redirect][random.usize(..4)];
        let Some(mut reader) = Reader::begin(stage, random, way) else { continue };
        while reader.lives() && stage.phase() < Phase::End {
            reader.read(&mut log);
            reader.hear(Duration::from_micros(random.u64(1..5000)), &mut log);
        }
        if reader.settle(&mut log) {
            log.copies = reader.copies.into_iter().collect();
        }
        log.deaths += 1;
    }
    log
}

struct Reader<'a> {
    life: Life<'a>,
    /// Who is told instead.
    other: Option<Life<'a>>,
    way: Way,
    copies: HashMap<usize, String>,
}

impl<'a> Reader<'a> {
    /// `None` when it died young.
    fn begin(stage: &'a Stage, random: &mut fastrand::Rng, way: Way) -> Option<Self> {
        let mut life = Life::begin(stage, random, Phase::Never);
        let other = if way == Way::Redirect {
            let mut other = Life::begin(stage, random, Phase::Never);
            let id = other.id().to_string();
            other.tell(&["SUBSCRIBE", "__redis__:invalidate"]);
            other.listen(crate::support::server::PATIENCE);
            life.call(&["CLIENT", "TRACKING", "ON", "REDIRECT", &id]).reply().filter(|reply| !reply.is_error())?;
            Some(other)
        } else {
            life.call(&["HELLO", "3"]).reply()?;
            let options: &[&str] = match way {
                Way::Prefix => &["CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "c:"],
                Way::OptIn => &["CLIENT", "TRACKING", "ON", "OPTIN"],
                _ => &["CLIENT", "TRACKING", "ON"],
            };
            life.call(options).reply()?;
            None
        };
        Some(Self { life, other, way, copies: HashMap::new() })
    }

    fn lives(&self) -> bool {
        self.life.lives() && self.other.as_ref().is_none_or(Life::lives)
    }

    fn read(&mut self, log: &mut Log) {
        let number = self.life.random.usize(..CACHED);
        if let Some(copy) = self.copies.get(&number).cloned() {
            if self.life.random.u8(..16) == 0 {
                self.compare(number, &copy, log);
            }
            return;
        }
        if self.way == Way::OptIn && self.life.random.u8(..4) > 0 {
            self.life.call(&["CLIENT", "CACHING", "YES"]);
        } else if self.way == Way::OptIn {
            // Nobody tells of what is read now.
            self.life.call(&["GET", &key(number)]);
            return;
        }
        log.calls += 1;
        match self.life.call(&["GET", &key(number)]).reply() {
            Some(Value::Bulk(value)) => {
                self.copies.insert(number, String::from_utf8(value).expect("values are text"));
            }
            _ => {
                self.copies.remove(&number);
            }
        }
        // A push that came before the reply tells of what was before; one that is dropped here was heard too late.
        self.hear(Duration::ZERO, log);
    }

    /// Looks whether a copy is what the server has, or this is told that it is not.
    fn compare(&mut self, number: usize, copy: &str, log: &mut Log) {
        let Some(Value::Bulk(value)) = self.life.call(&["GET", &key(number)]).reply() else { return };
        if value != copy.as_bytes() && self.settle(log) && self.copies.get(&number).is_some_and(|it| it == copy) {
            log.stale.push((number, copy.to_owned(), String::from_utf8_lossy(&value).into()));
        }
    }

    /// Listens for so long.
    fn hear(&mut self, patience: Duration, log: &mut Log) {
        while self.lives() {
            let listener = self.other.as_mut().unwrap_or(&mut self.life);
            let Heard::Value(value) = listener.listen(patience) else { return };
            self.forget(&value, log);
        }
    }

    fn forget(&mut self, value: &Value, log: &mut Log) {
        let (Value::Other(_, items) | Value::Array(items)) = value else { panic!("invalidations, not {value:?}") };
        // The reply of SUBSCRIBE is nothing to forget, nor is that of PING.
        match items.last() {
            Some(Value::Array(keys)) => {
                for key in keys {
                    log.invalidations += 1;
                    let number = key.text().strip_prefix("c:").and_then(|number| number.parse().ok());
                    self.copies.remove(&number.unwrap_or_else(|| panic!("nobody read {key:?}")));
                }
            }
            Some(Value::Nil) => self.copies.clear(),
            _ => {}
        }
    }

    /// Hears all that there is to hear; whether it has.
    fn settle(&mut self, log: &mut Log) -> bool {
        // What was pushed before the first PING is sent behind its reply at the latest.
        for _ in 0..2 {
            if let Some(other) = &mut self.other {
                other.tell(&["PING"]);
                loop {
                    match self.other.as_mut().map(|other| other.listen(crate::support::server::PATIENCE)) {
                        Some(Heard::Value(value)) if value.items()[0].text() == "pong" => break,
                        Some(Heard::Value(value)) => self.forget(&value, log),
                        _ => return false,
                    }
                }
            } else if self.life.call(&["PING"]).reply().is_none() {
                return false;
            }
            while let Some(push) = self.life.pushes.pop_front() {
                self.forget(&push, log);
            }
        }
        self.lives()
    }
}

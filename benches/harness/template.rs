//! How a command written as words becomes bytes.
//!
//! Words stand for themselves, but for what is in braces; a word may have one of these, with more around it:
//!
//! ```text
//! {key}        the prefix and 12 digits, 16 bytes in all
//! {n}, {n:8}   the digits alone, 12 or as many as are said
//! {member}     12 random digits
//! {10-99}      a random number from 10 to 99, with as many digits as the first of them has
//! {6+9}        the number before it plus 9, with 6 digits
//! {value}      the value
//! ```
//!
//! `10x(some words)` are these words ten times.

use super::keys::Rng;
use super::reply::{Dialect, Expect};

/// A command, what answers it and how often it is drawn.
pub struct Step {
    pub command: String,
    pub expect: Expect,
    pub weight: u32,
}

impl Step {
    pub fn new(command: &str, expect: Expect) -> Self {
        Self { command: command.to_owned(), expect, weight: 1 }
    }
}

/// A request as bytes, with the places where numbers go.
#[derive(Debug)]
pub struct Template {
    bytes: Vec<u8>,
    numbers: Vec<Number>,
    pub expect: Expect,
    pub weight: u32,
}

/// A number of the request, drawn anew each time.
#[derive(Debug)]
struct Number {
    at: usize,
    width: usize,
    draw: Draw,
}

#[derive(Debug)]
enum Draw {
    Key,
    Random { low: u64, span: u64 },
    After { add: u64 },
}

impl Template {
    /// Returns `None` when `dialect` cannot say this command.
    ///
    /// # Panics
    /// For a word that has braces and is none of those above.
    pub fn new(step: &Step, dialect: Dialect, prefix: &str, value: &[u8]) -> Option<Self> {
        let mut template = Self { bytes: Vec::new(), numbers: Vec::new(), expect: step.expect, weight: step.weight };
        match dialect {
            Dialect::Resp => template.resp(&step.command, prefix, value),
            Dialect::Memcached => template.memcached(&step.command, prefix, value)?,
        }
        Some(template)
    }

    fn resp(&mut self, command: &str, prefix: &str, value: &[u8]) {
        let command = repeated(command);
        let words = command.split(' ').filter(|word| !word.is_empty());
        self.bytes.extend_from_slice(format!("*{}\r\n", words.clone().count()).as_bytes());
        let mut word_bytes = Vec::new();
        for word in words {
            word_bytes.clear();
            let number = Self::word(&mut word_bytes, word, prefix, value);
            self.bytes.extend_from_slice(format!("${}\r\n", word_bytes.len()).as_bytes());
            self.numbers.extend(number.map(|number| Number { at: self.bytes.len() + number.at, ..number }));
            self.bytes.extend_from_slice(&word_bytes);
            self.bytes.extend_from_slice(b"\r\n");
        }
    }

    fn memcached(&mut self, command: &str, prefix: &str, value: &[u8]) -> Option<()> {
        match command {
            "GET {key}" => {
                self.bytes.extend_from_slice(b"get ");
                self.key(prefix);
            }
            "SET {key} {value}" => {
                self.bytes.extend_from_slice(b"set ");
                self.key(prefix);
                self.bytes.extend_from_slice(format!(" 0 0 {}\r\n", value.len()).as_bytes());
                self.bytes.extend_from_slice(value);
            }
            _ => return None,
        }
        self.bytes.extend_from_slice(b"\r\n");
        Some(())
    }

    fn key(&mut self, prefix: &str) {
        let mut word = Vec::new();
        let number = Self::word(&mut word, "{key}", prefix, b"").expect("a number");
        self.numbers.push(Number { at: self.bytes.len() + number.at, ..number });
        self.bytes.extend_from_slice(&word);
    }

    /// Appends one word to `out`; returns its number, with its place in the word.
    fn word(out: &mut Vec<u8>, word: &str, prefix: &str, value: &[u8]) -> Option<Number> {
        let Some((before, rest)) = word.split_once('{') else {
            out.extend_from_slice(word.as_bytes());
            return None;
        };
        let (name, behind) = rest.split_once('}').unwrap_or_else(|| panic!("`{word}` is not closed"));
        out.extend_from_slice(before.as_bytes());
        let number = |out: &mut Vec<u8>, width, draw| {
            let at = out.len();
            out.resize(at + width, b'0');
            Some(Number { at, width, draw })
        };
        let digits = |text: &str| text.parse::<u64>().unwrap_or_else(|_| panic!("`{word}` is not {{LOW-HIGH}}"));
        let found = match name {
            "value" => {
                out.extend_from_slice(value);
                None
            }
            "key" => {
                out.extend_from_slice(prefix.as_bytes());
                number(out, KEY_WIDTH, Draw::Key)
            }
            "n" => number(out, KEY_WIDTH, Draw::Key),
            "member" => number(out, KEY_WIDTH, Draw::Random { low: 0, span: 1_000_000_000_000 }),
            _ => match name.split_once(['-', '+', ':']) {
                Some(("n", width)) => number(out, digits(width) as usize, Draw::Key),
                Some((width, add)) if name.contains('+') => {
                    number(out, digits(width) as usize, Draw::After { add: digits(add) })
                }
                Some((low, high)) => {
                    let draw = Draw::Random { low: digits(low), span: digits(high) - digits(low) + 1 };
                    number(out, low.len(), draw)
                }
                None => panic!("`{word}`: no such word"),
            },
        };
        out.extend_from_slice(behind.as_bytes());
        found
    }

    /// Appends the request to `out`; `key` gives the number of each key.
    pub fn write(&self, out: &mut Vec<u8>, rng: &mut Rng, mut key: impl FnMut(&mut Rng) -> u64) {
        let start = out.len();
        out.extend_from_slice(&self.bytes);
        let request = &mut out[start..];
        let mut drawn = 0;
        for &Number { at, width, ref draw } in &self.numbers {
            drawn = match draw {
                Draw::Key => key(rng),
                Draw::Random { low, span } => low + rng.below(*span),
                Draw::After { add } => drawn + add,
            };
            digits(&mut request[at..at + width], drawn);
        }
    }

    pub fn len(&self) -> usize {
        self.bytes.len()
    }
}

/// Writes out what is to be repeated.
fn repeated(command: &str) -> String {
    let Some((before, rest)) = command.split_once("x(") else {
        return command.to_owned();
    };
    let (words, behind) = rest.split_once(')').unwrap_or_else(|| panic!("`{command}` is not closed"));
    let at = before.rfind(' ').map_or(0, |blank| blank + 1);
    let times = before[at..].parse().unwrap_or_else(|_| panic!("`{command}`: not a number of times"));
    format!("{}{}{}", &before[..at], vec![words; times].join(" "), repeated(behind))
}

/// Digits of a key's number.
const KEY_WIDTH: usize = 12;

/// Writes the last digits of `number`, as many as `out` is long.
fn digits(out: &mut [u8], number: u64) {
    if let Ok(out) = <&mut [u8; KEY_WIDTH]>::try_from(&mut *out) {
        // Two halves whose divisions do not wait for each other.
        let halves = [(number / 1_000_000 % 1_000_000) as u32, (number % 1_000_000) as u32];
        for (out, mut half) in out.chunks_exact_mut(6).zip(halves) {
            for digit in out.iter_mut().rev() {
                *digit = b'0' + (half % 10) as u8;
                half /= 10;
            }
        }
        return;
    }
    let mut number = number;
    for digit in out.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(dialect: Dialect, command: &str) -> Option<String> {
        let template = Template::new(&Step::new(command, Expect::Any), dialect, "key:", b"abc")?;
        let mut out = Vec::new();
        template.write(&mut out, &mut Rng::new(0), |_| 123_456_789);
        Some(String::from_utf8(out).unwrap())
    }

    #[test]
    fn a_template_becomes_a_request() {
        let set = "*3\r\n$3\r\nSET\r\n$16\r\nkey:000123456789\r\n$3\r\nabc\r\n";
        assert_eq!(bytes(Dialect::Resp, "SET {key} {value}").as_deref(), Some(set));
        let set = "set key:000123456789 0 0 3\r\nabc\r\n";
        assert_eq!(bytes(Dialect::Memcached, "SET {key} {value}").as_deref(), Some(set));
        assert_eq!(bytes(Dialect::Memcached, "GET {key}").as_deref(), Some("get key:000123456789\r\n"));
        assert_eq!(bytes(Dialect::Memcached, "INCR {key}"), None);
    }

    #[test]
    fn numbers_have_the_digits_that_are_asked_for() {
        let words = |command| {
            let bytes = bytes(Dialect::Resp, command).expect("a command");
            bytes.split("\r\n").skip(2).step_by(2).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(words("{n} {n:8} {n:4}"), ["000123456789", "23456789", "6789"]);
        assert_eq!(words("m:{07-07}x {2+9} {3+90}"), ["m:07x", "16", "106"]);
        for _ in 0..100 {
            let drawn = words("{100-299}")[0].parse::<u64>();
            assert!(drawn.is_ok_and(|drawn| (100..=299).contains(&drawn)));
        }
        assert_eq!(words("{member}")[0].len(), 12);
    }

    #[test]
    fn words_are_repeated() {
        assert_eq!(repeated("GET k"), "GET k");
        assert_eq!(repeated("ZADD k 2x(1 {n}) 3x(2 b)"), "ZADD k 1 {n} 1 {n} 2 b 2 b 2 b");
    }

    #[test]
    #[should_panic(expected = "no such word")]
    fn an_unknown_word_is_refused() {
        bytes(Dialect::Resp, "GET {kye}");
    }
}

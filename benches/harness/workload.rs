//! The table of workloads and how a row becomes bytes.
//!
//! A command is written as words; `{key}` becomes `PREFIX` and 12 digits (16 bytes in all), `{member}` 12 random
//! digits, `{value}` the value. Adding a workload is adding a row.

use super::keys::Rng;
use super::reply::{Dialect, Expect};

pub struct Workload {
    pub name: &'static str,
    /// Four bytes before the key's digits; rows with the same prefix share keys.
    pub prefix: &'static str,
    /// At most this many keys, where a million would ask for too much memory.
    pub keys_max: u64,
    /// The commands, what answers them and how often each is drawn.
    pub steps: Vec<Step>,
    /// Run once for each key before the first round.
    pub fill: Option<(String, Expect)>,
    /// Whether the keys are filled anew before, and deleted after, each round: for commands that grow or drain them.
    pub afresh: bool,
}

pub struct Step {
    pub command: String,
    pub expect: Expect,
    pub weight: u32,
}

/// All workloads.
///
/// * `value`: bytes in a `{value}`.
/// * `mix`: how many GETs and how many SETs the row `mixed` draws.
pub fn table(value: usize, mix: (u32, u32)) -> Vec<Workload> {
    use Expect::{Array, Bulk, Integer, Status};
    const ALL: u64 = u64::MAX;
    let get = || Step { weight: mix.0, ..step("GET {key}", Bulk(Some(value))) };
    let set = || Step { weight: mix.1, ..step("SET {key} {value}", Status) };
    let strings = || Some(("SET {key} {value}".to_owned(), Status));
    let many = |first: &str, words: &str, n: usize| format!("{first}{}", format!(" {words}").repeat(n));
    let row = |name, prefix, keys_max, steps, fill| Workload { name, prefix, keys_max, steps, fill, afresh: false };
    let afresh = |row| Workload { afresh: true, ..row };
    let fields: String = (0..10).map(|field| format!(" f{field} {{value}}")).collect();
    vec![
        row("ping", "key:", 1, vec![step("PING", Status)], None),
        row("get", "key:", ALL, vec![step("GET {key}", Bulk(Some(value)))], strings()),
        row("set", "key:", ALL, vec![step("SET {key} {value}", Status)], strings()),
        row("mixed", "key:", ALL, vec![get(), set()], strings()),
        row("miss", "non:", ALL, vec![step("GET {key}", Bulk(None))], None),
        row("setex", "exp:", ALL, vec![step("SET {key} {value} EX 1000", Status)], None),
        row("incr", "ctr:", ALL, vec![step("INCR {key}", Integer)], None),
        row("mset10", "key:", ALL, vec![step(&many("MSET", "{key} {value}", 10), Status)], strings()),
        row("mget10", "key:", ALL, vec![step(&many("MGET", "{key}", 10), Array(Some(10)))], strings()),
        afresh(row("lpush", "lst:", 10_000, vec![step("LPUSH {key} {value}", Integer)], None)),
        afresh(row(
            "lpop",
            "pop:",
            10_000,
            vec![step("LPOP {key}", Bulk(None))],
            Some((many("RPUSH {key}", "{member}", 400), Integer)),
        )),
        row(
            "lrange100",
            "rng:",
            1_000,
            vec![step("LRANGE {key} 0 99", Array(Some(100)))],
            Some((many("RPUSH {key}", "{value}", 100), Integer)),
        ),
        row("sadd", "set:", 10_000, vec![step("SADD {key} {member}", Integer)], None),
        row(
            "sismember",
            "sis:",
            10_000,
            vec![step("SISMEMBER {key} {member}", Integer)],
            Some((many("SADD {key}", "{member}", 20), Integer)),
        ),
        row("hset", "hsh:", 100_000, vec![step("HSET {key} f1 {value}", Integer)], None),
        row(
            "hget",
            "hgt:",
            100_000,
            vec![step("HGET {key} f3", Bulk(Some(value)))],
            Some((format!("HSET {{key}}{fields}"), Integer)),
        ),
        row("zadd", "zst:", 10_000, vec![step("ZADD {key} {member} {member}", Integer)], None),
        row("expire", "key:", ALL, vec![step("EXPIRE {key} 100000", Integer)], strings()),
    ]
}

fn step(command: &str, expect: Expect) -> Step {
    Step { command: command.to_owned(), expect, weight: 1 }
}

/// A request as bytes, with the places where numbers go.
#[derive(Debug)]
pub struct Template {
    bytes: Vec<u8>,
    /// Offsets of 12 digits each.
    keys: Vec<usize>,
    members: Vec<usize>,
    pub expect: Expect,
    pub weight: u32,
}

impl Template {
    /// Returns `None` when `dialect` cannot say this command.
    pub fn new(step: &Step, dialect: Dialect, prefix: &str, value: &[u8]) -> Option<Self> {
        let mut template =
            Self { bytes: Vec::new(), keys: Vec::new(), members: Vec::new(), expect: step.expect, weight: step.weight };
        match dialect {
            Dialect::Resp => template.resp(&step.command, prefix, value),
            Dialect::Memcached => template.memcached(&step.command, prefix, value)?,
        }
        Some(template)
    }

    fn resp(&mut self, command: &str, prefix: &str, value: &[u8]) {
        let words = command.split(' ').filter(|word| !word.is_empty());
        self.bytes.extend_from_slice(format!("*{}\r\n", words.clone().count()).as_bytes());
        for word in words {
            match word {
                "{key}" => {
                    self.bytes.extend_from_slice(format!("${}\r\n", prefix.len() + 12).as_bytes());
                    self.key(prefix);
                }
                "{member}" => {
                    self.bytes.extend_from_slice(b"$12\r\n");
                    self.members.push(self.bytes.len());
                    self.bytes.extend_from_slice(&[b'0'; 12]);
                }
                _ => {
                    let word = if word == "{value}" { value } else { word.as_bytes() };
                    self.bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
                    self.bytes.extend_from_slice(word);
                }
            }
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
        self.bytes.extend_from_slice(prefix.as_bytes());
        self.keys.push(self.bytes.len());
        self.bytes.extend_from_slice(&[b'0'; 12]);
    }

    /// Appends the request to `out`; `key` gives the number of each key.
    pub fn write(&self, out: &mut Vec<u8>, rng: &mut Rng, mut key: impl FnMut(&mut Rng) -> u64) {
        let start = out.len();
        out.extend_from_slice(&self.bytes);
        let request = &mut out[start..];
        for &at in &self.keys {
            digits(&mut request[at..at + 12], key(rng));
        }
        for &at in &self.members {
            digits(&mut request[at..at + 12], rng.below(1_000_000_000_000));
        }
    }

    pub fn len(&self) -> usize {
        self.bytes.len()
    }
}

/// Writes `number` (below 10^12) as 12 decimal digits.
fn digits(out: &mut [u8], number: u64) {
    // Two halves whose divisions do not wait for each other.
    let halves = [(number / 1_000_000) as u32, (number % 1_000_000) as u32];
    for (out, mut half) in out.chunks_exact_mut(6).zip(halves) {
        for digit in out.iter_mut().rev() {
            *digit = b'0' + (half % 10) as u8;
            half /= 10;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(dialect: Dialect, command: &str) -> Option<String> {
        let template = Template::new(&step(command, Expect::Any), dialect, "key:", b"abc")?;
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
    fn every_row_has_a_name_of_its_own_and_a_four_byte_prefix() {
        let table = table(64, (10, 1));
        let mut names: Vec<_> = table.iter().map(|row| row.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), table.len());
        assert!(table.iter().all(|row| row.prefix.len() == 4 && !row.steps.is_empty()));
    }
}

//! `--bigkeys`, `--memkeys` and `--hotkeys`: a walk over all keys that remembers the extremes.

use std::io::{self, Write};
use std::time::Duration;

use crate::args::Mode;
use crate::client::{Connection, Target};
use crate::output;
use crate::quote::repr;
use crate::resp::Reply;
use crate::scan::Scan;

/// Hot keys that are remembered; redis-cli's number.
const HOT_MAX: usize = 16;

/// What is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Search {
    /// Many elements.
    Big,
    /// Much memory, by sampling this many elements of a key (`None`: the server's default).
    Memory(Option<u64>),
    /// Often used.
    Hot,
}

/// A type of value: its name, the command for its size, the unit of that size.
struct Kind {
    name: String,
    command: Option<&'static str>,
    unit: &'static str,
    biggest: Option<(String, u64)>,
    total: u64,
    count: u64,
    /// The user was told that sizes of this type are not to be had.
    warned: bool,
}

impl Kind {
    fn new(name: &str) -> Kind {
        let (command, unit) = match name {
            "string" => (Some("STRLEN"), "bytes"),
            "list" => (Some("LLEN"), "items"),
            "set" => (Some("SCARD"), "members"),
            "hash" => (Some("HLEN"), "fields"),
            "zset" => (Some("ZCARD"), "members"),
            "stream" => (Some("XLEN"), "entries"),
            _ => (None, "?"),
        };
        Kind { name: name.into(), command, unit, biggest: None, total: 0, count: 0, warned: false }
    }
}

/// Walks the whole keyspace and prints what it finds.
///
/// # Errors
/// The line for standard error.
pub fn run(target: &Target, mode: &Mode, search: Search, pause: Duration) -> Result<(), String> {
    let mut connection = Connection::log_in(target)?;
    let total = connection.call(&["DBSIZE"]).map_err(fault)?.integer().unwrap_or(0).max(0) as u64;
    let mut scan = Scan::of(mode)?;
    scan.pattern = scan.pattern.filter(|pattern| pattern != b"*");
    let mut out = io::stdout();
    let what = if search == Search::Hot { "hot" } else { "biggest" };
    let intro = format!(
        "\n# Scanning the entire keyspace to find {what} keys as well as\n# average sizes per key type.  You can use -i \
         0.1 to sleep 0.1 sec\n# per 100 SCAN commands (not usually needed).\n\n"
    );
    out.write_all(intro.as_bytes()).map_err(output::failed)?;
    let mut walk = Walk { connection: &mut connection, total, sampled: 0 };
    match search {
        Search::Hot => walk.hot(&mut scan, pause, &mut out),
        _ => walk.sizes(&mut scan, search, pause, &mut out),
    }
}

struct Walk<'a> {
    connection: &'a mut Connection,
    /// DBSIZE at the beginning, for the percentage.
    total: u64,
    sampled: u64,
}

impl Walk<'_> {
    /// Calls `each` with every batch of keys and the part of the keyspace done so far, in percent.
    fn each(
        &mut self,
        scan: &mut Scan,
        pause: Duration,
        mut each: impl FnMut(&mut Connection, &[Vec<u8>], f64) -> Result<(), String>,
    ) -> Result<(), String> {
        let mut steps = 0_u64;
        while let Some(keys) = scan.next(self.connection)? {
            let percent = if self.total == 0 { 0.0 } else { 100.0 * self.sampled as f64 / self.total as f64 };
            each(self.connection, &keys, percent.min(100.0))?;
            self.sampled += keys.len() as u64;
            steps += 1;
            if steps.is_multiple_of(100) {
                std::thread::sleep(pause);
            }
        }
        Ok(())
    }

    fn sizes(&mut self, scan: &mut Scan, search: Search, pause: Duration, out: &mut dyn Write) -> Result<(), String> {
        let mut kinds: Vec<Kind> = ["string", "list", "set", "hash", "zset", "stream"].map(Kind::new).into();
        let mut key_bytes = 0;
        self.each(scan, pause, |connection, keys, percent| {
            key_bytes += keys.iter().map(Vec::len).sum::<usize>();
            for (key, at, size) in measured(connection, keys, search, &mut kinds)? {
                let kind = &mut kinds[at];
                kind.count += 1;
                kind.total += size;
                if kind.biggest.as_ref().is_none_or(|(_, biggest)| size > *biggest) {
                    let unit = unit(kind, search);
                    let name = &kind.name;
                    writeln!(out, "[{percent:05.2}%] Biggest {name:<6} found so far '{key}' with {size} {unit}")
                        .map_err(output::failed)?;
                    kind.biggest = Some((key, size));
                }
            }
            Ok(())
        })?;
        self.summary(&kinds, search, key_bytes, out).map_err(output::failed)
    }

    fn summary(&self, kinds: &[Kind], search: Search, key_bytes: usize, out: &mut dyn Write) -> io::Result<()> {
        let sampled = self.sampled;
        let average = |total: u64, count: u64| if count == 0 { 0.0 } else { total as f64 / count as f64 };
        writeln!(out, "\n-------- summary -------\n\nSampled {sampled} keys in the keyspace!")?;
        let length = average(key_bytes as u64, sampled);
        writeln!(out, "Total key length in bytes is {key_bytes} (avg len {length:.2})\n")?;
        for kind in kinds {
            if let Some((key, size)) = &kind.biggest {
                let unit = unit(kind, search);
                writeln!(out, "Biggest {:>6} found '{key}' has {size} {unit}", kind.name)?;
            }
        }
        writeln!(out)?;
        for kind in kinds {
            let Kind { name, total, count, .. } = kind;
            let share = if sampled == 0 { 0.0 } else { 100.0 * *count as f64 / sampled as f64 };
            let average = average(*total, *count);
            let unit = unit(kind, search);
            writeln!(out, "{count} {name}s with {total} {unit} ({share:05.2}% of keys, avg size {average:.2})")?;
        }
        Ok(())
    }

    fn hot(&mut self, scan: &mut Scan, pause: Duration, out: &mut dyn Write) -> Result<(), String> {
        let mut hottest: Vec<(u64, String)> = Vec::new();
        self.each(scan, pause, |connection, keys, percent| {
            let requests: Vec<Vec<&[u8]>> = keys.iter().map(|key| vec![&b"OBJECT"[..], b"FREQ", key]).collect();
            let replies = connection.call_all(&requests).map_err(fault)?;
            for (key, reply) in keys.iter().zip(replies) {
                let counter = match &reply {
                    Reply::Error(text) if text.starts_with(b"ERR no such key") => continue,
                    Reply::Error(text) => return Err(format!("Error: {}", String::from_utf8_lossy(text))),
                    reply => reply.integer().unwrap_or(0).max(0) as u64,
                };
                let coldest = hottest.last().map_or(0, |(counter, _)| *counter);
                if counter == 0 || (hottest.len() == HOT_MAX && counter <= coldest) {
                    continue;
                }
                let key = repr(key);
                writeln!(out, "[{percent:05.2}%] Hot key '{key}' found so far with counter {counter}")
                    .map_err(output::failed)?;
                hottest.push((counter, key));
                hottest.sort_by_key(|(counter, _)| std::cmp::Reverse(*counter));
                hottest.truncate(HOT_MAX);
            }
            Ok(())
        })?;
        let mut text = format!("\n-------- summary -------\n\nSampled {} keys in the keyspace!\n", self.sampled);
        for (counter, key) in hottest {
            text.push_str(&format!("hot key found with counter: {counter}\tkeyname: {key}\n"));
        }
        out.write_all(text.as_bytes()).map_err(output::failed)
    }
}

/// Types and sizes of a batch of keys, each asked for in one round trip. Keys that vanished meanwhile are left out.
fn measured(
    connection: &mut Connection,
    keys: &[Vec<u8>],
    search: Search,
    kinds: &mut Vec<Kind>,
) -> Result<Vec<(String, usize, u64)>, String> {
    let requests: Vec<Vec<&[u8]>> = keys.iter().map(|key| vec![&b"TYPE"[..], key]).collect();
    let types = connection.call_all(&requests).map_err(fault)?;
    let mut known = Vec::new();
    for (key, kind) in keys.iter().zip(types) {
        let name = match kind {
            Reply::Error(text) => return Err(format!("TYPE returned an error: {}", String::from_utf8_lossy(&text))),
            kind => kind.text(),
        };
        if name == "none" {
            continue;
        }
        let at = kinds.iter().position(|kind| kind.name == name).unwrap_or_else(|| {
            kinds.push(Kind::new(&name));
            kinds.len() - 1
        });
        known.push((key, at));
    }
    let samples = match search {
        Search::Memory(Some(samples)) => Some(samples.to_string()),
        _ => None,
    };
    let request = |(key, at): &(&Vec<u8>, usize)| -> Vec<Vec<u8>> {
        match (search, kinds[*at].command) {
            (Search::Memory(_), _) => {
                let mut request = vec![b"MEMORY".to_vec(), b"USAGE".to_vec(), key.to_vec()];
                if let Some(samples) = &samples {
                    request.extend([b"SAMPLES".to_vec(), samples.clone().into_bytes()]);
                }
                request
            }
            (_, Some(command)) => vec![command.as_bytes().to_vec(), key.to_vec()],
            // A module's type: it counts as a key, its size is unknown.
            (_, None) => vec![b"PING".to_vec()],
        }
    };
    let requests: Vec<_> = known.iter().map(request).collect();
    let replies = connection.call_all(&requests).map_err(fault)?;
    let mut sizes = Vec::with_capacity(known.len());
    for ((key, at), reply) in known.into_iter().zip(replies) {
        if let (Search::Memory(_), Reply::Error(text)) = (search, &reply) {
            return Err(format!("MEMORY USAGE returned an error: {}", String::from_utf8_lossy(text)));
        }
        // A type that changed in between gives an error, a key that vanished gives nil: both count as empty.
        let kind = &mut kinds[at];
        if let (Reply::Error(text), Some(command), false) = (&reply, kind.command, kind.warned) {
            kind.warned = true;
            let error = String::from_utf8_lossy(text);
            eprintln!("Warning: {command} failed, the sizes of {}s count as 0: {error}", kind.name);
        }
        let size = if reply.is_error() { 0 } else { reply.integer().unwrap_or(0).max(0) as u64 };
        sizes.push((repr(key), at, size));
    }
    Ok(sizes)
}

fn unit(kind: &Kind, search: Search) -> &'static str {
    match search {
        Search::Memory(_) => "bytes",
        _ => kind.unit,
    }
}

fn fault(fault: crate::resp::Fault) -> String {
    format!("Error: {fault}")
}

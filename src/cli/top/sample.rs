//! One look at the server, and the rates since the one before.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::client::Connection;
use crate::quote;
use crate::resp::Reply;
use crate::stat::Info;

/// Hot keys that are shown.
const HOT_MAX: usize = 10;

/// Keys looked at for hot ones in one refresh.
const HOT_SCAN: &str = "200";

/// How many PINGs, or how much time for them, one refresh takes, and of how many the latencies are shown.
const PINGS: usize = 4;
const PINGS_TIME: Duration = Duration::from_millis(20);
const PINGS_KEPT: usize = 200;

/// Figures at one moment; rates are per second since the previous sample.
pub struct Sample {
    at: Instant,
    totals: Totals,
    calls: HashMap<String, (f64, f64)>,
    hot_cursor: Vec<u8>,
    pub version: String,
    pub role: String,
    /// Seconds.
    pub uptime: u64,
    pub ops: f64,
    pub hit_rate: Option<f64>,
    pub expired: f64,
    pub evicted: f64,
    pub net_in: f64,
    pub net_out: f64,
    /// Of one core; may exceed 1.
    pub cpu: f64,
    pub clients: i64,
    pub blocked: i64,
    pub memory: u64,
    pub memory_peak: u64,
    pub memory_rss: u64,
    pub memory_max: u64,
    pub fragmentation: f64,
    pub databases: Vec<(u64, u64, u64)>,
    /// Of each command that ran since; `None` where the server does not count them.
    pub commands: Option<Vec<Command>>,
    /// Microseconds and the command, newest first; `None` where the server keeps no such log.
    pub slow: Option<Vec<(u64, String)>>,
    /// Frequency counter and key, hottest first; `None` where the policy counts no frequencies.
    pub hot: Option<Vec<(i64, String)>>,
    /// What a PING of ours took lately, newest last.
    pings: Vec<Duration>,
}

pub struct Command {
    pub name: String,
    pub per_second: f64,
    pub mean_us: Option<f64>,
    pub p50_us: Option<f64>,
    pub p99_us: Option<f64>,
}

/// Counters that only grow.
#[derive(Clone, Copy)]
struct Totals {
    commands: f64,
    hits: f64,
    misses: f64,
    expired: f64,
    evicted: f64,
    net_in: f64,
    net_out: f64,
    cpu: f64,
}

impl Sample {
    /// # Errors
    /// The line for people.
    pub fn take(connection: &mut Connection, before: Option<&Sample>) -> Result<Sample, String> {
        let mut info = Info::ask(connection, &["everything"])?;
        if info.text("redis_version").is_empty() {
            info = Info::ask(connection, &["all"])?;
        }
        let now = Instant::now();
        let totals = Totals {
            commands: info.decimal("total_commands_processed"),
            hits: info.decimal("keyspace_hits"),
            misses: info.decimal("keyspace_misses"),
            expired: info.decimal("expired_keys"),
            evicted: info.decimal("evicted_keys"),
            net_in: info.decimal("total_net_input_bytes"),
            net_out: info.decimal("total_net_output_bytes"),
            cpu: info.decimal("used_cpu_user") + info.decimal("used_cpu_sys"),
        };
        let seconds = before.map_or(f64::INFINITY, |before| (now - before.at).as_secs_f64().max(1e-3));
        let old = before.map_or(totals, |before| before.totals);
        let rate = |new: f64, old: f64| ((new - old) / seconds).max(0.0);
        let (hits, misses) = (totals.hits - old.hits, totals.misses - old.misses);
        let unsigned = |name: &str| info.number(name).max(0) as u64;
        let kiba = info.text("kiba_version");
        let calls = calls(&info);
        let commands = (!calls.is_empty()).then(|| commands(&info, &calls, before, seconds));
        let (hot, hot_cursor) = hot(connection, &info, before)?;
        Ok(Sample {
            at: now,
            totals,
            commands,
            calls,
            hot_cursor,
            version: match kiba {
                "" => format!("redis {}", info.text("redis_version")),
                kiba => format!("kiba {kiba}"),
            },
            role: info.text("role").to_string(),
            uptime: unsigned("uptime_in_seconds"),
            ops: rate(totals.commands, old.commands),
            hit_rate: (hits + misses > 0.0).then(|| hits / (hits + misses)),
            expired: rate(totals.expired, old.expired),
            evicted: rate(totals.evicted, old.evicted),
            net_in: rate(totals.net_in, old.net_in),
            net_out: rate(totals.net_out, old.net_out),
            cpu: rate(totals.cpu, old.cpu),
            clients: info.number("connected_clients"),
            blocked: info.number("blocked_clients"),
            memory: unsigned("used_memory"),
            memory_peak: unsigned("used_memory_peak"),
            memory_rss: unsigned("used_memory_rss"),
            memory_max: unsigned("maxmemory"),
            fragmentation: info.decimal("mem_fragmentation_ratio"),
            databases: info.databases(),
            slow: slow(connection)?,
            hot,
            pings: pings(connection, before)?,
        })
    }

    /// The time within which this part of our PINGs was answered.
    pub fn ping(&self, part: f64) -> Duration {
        let mut sorted = self.pings.clone();
        sorted.sort();
        let at = (part * sorted.len() as f64) as usize;
        sorted.get(at.min(sorted.len().saturating_sub(1))).copied().unwrap_or_default()
    }
}

/// Calls and microseconds of each command so far.
fn calls(info: &Info) -> HashMap<String, (f64, f64)> {
    let parse = |(name, value): (&str, &str)| {
        let field = |wanted: &str| {
            let fields = value.split(',').filter_map(|field| field.split_once('='));
            fields.filter(|(name, _)| *name == wanted).find_map(|(_, value)| value.parse().ok())
        };
        Some((name.to_string(), (field("calls")?, field("usec")?)))
    };
    info.family("cmdstat_").filter_map(parse).collect()
}

/// Commands by calls a second since the sample before, the busiest first.
fn commands(info: &Info, calls: &HashMap<String, (f64, f64)>, before: Option<&Sample>, seconds: f64) -> Vec<Command> {
    // Kiba reckons times from a sample, of which a second has too little.
    let is_sampled = !info.text("kiba_version").is_empty();
    let mut commands: Vec<_> = calls
        .iter()
        .filter_map(|(name, (count, us))| {
            let (old_count, old_us) = match before {
                Some(before) => before.calls.get(name).copied().unwrap_or_default(),
                None => (*count, *us),
            };
            let grown = count - old_count;
            let percentiles = info.text(&format!("latency_percentiles_usec_{name}"));
            let percentile = |wanted: &str| {
                let fields = percentiles.split(',').filter_map(|field| field.split_once('='));
                fields.filter(|(name, _)| *name == wanted).find_map(|(_, value)| value.parse().ok())
            };
            (grown > 0.0).then(|| Command {
                name: name.clone(),
                per_second: grown / seconds,
                mean_us: match is_sampled {
                    true => (*us > 0.0).then(|| us / count),
                    false => Some((us - old_us).max(0.0) / grown),
                },
                p50_us: percentile("p50"),
                p99_us: percentile("p99"),
            })
        })
        .collect();
    commands.sort_by(|a, b| b.per_second.total_cmp(&a.per_second).then_with(|| a.name.cmp(&b.name)));
    commands
}

fn pings(connection: &mut Connection, before: Option<&Sample>) -> Result<Vec<Duration>, String> {
    let mut pings = before.map(|before| before.pings.clone()).unwrap_or_default();
    let began = Instant::now();
    for _ in 0..PINGS {
        let sent = Instant::now();
        connection.call(&["PING"]).map_err(|fault| format!("Error: {fault}"))?;
        pings.push(sent.elapsed());
        if began.elapsed() >= PINGS_TIME {
            break;
        }
    }
    pings.drain(..pings.len().saturating_sub(PINGS_KEPT));
    Ok(pings)
}

fn slow(connection: &mut Connection) -> Result<Option<Vec<(u64, String)>>, String> {
    let reply = connection.call(&["SLOWLOG", "GET", "10"]).map_err(|fault| format!("Error: {fault}"))?;
    let entry = |entry: &Reply| {
        let items = entry.items();
        let words = items.get(3)?.items().iter().filter_map(Reply::bytes).map(quote::word).collect::<Vec<_>>();
        Some((items.get(2)?.integer()?.max(0) as u64, words.join(" ")))
    };
    Ok((!reply.is_error()).then(|| reply.items().iter().filter_map(entry).collect()))
}

/// Goes some keys further through the keyspace and keeps the hottest of those seen lately.
#[allow(clippy::type_complexity, reason = "a list and where the walk stands; a name would not say more")]
fn hot(
    connection: &mut Connection,
    info: &Info,
    before: Option<&Sample>,
) -> Result<(Option<Vec<(i64, String)>>, Vec<u8>), String> {
    let start = || b"0".to_vec();
    if !info.text("maxmemory_policy").contains("lfu") {
        return Ok((None, start()));
    }
    let fault = |fault: crate::resp::Fault| format!("Error: {fault}");
    let cursor = before.map_or_else(start, |before| before.hot_cursor.clone());
    let reply = connection.call(&[&b"SCAN"[..], &cursor, b"COUNT", HOT_SCAN.as_bytes()]).map_err(fault)?;
    let [next, keys] = reply.items() else { return Ok((None, start())) };
    let keys: Vec<&[u8]> = keys.items().iter().filter_map(Reply::bytes).collect();
    let requests: Vec<Vec<&[u8]>> = keys.iter().map(|key| vec![&b"OBJECT"[..], b"FREQ", key]).collect();
    let counters = connection.call_all(&requests).map_err(fault)?;
    let mut hot: Vec<(i64, String)> = before.and_then(|before| before.hot.clone()).unwrap_or_default();
    for (key, counter) in keys.into_iter().zip(counters) {
        let key = quote::word(key);
        hot.retain(|(_, known)| *known != key);
        if let Reply::Integer(counter) = counter {
            hot.push((counter, key));
        }
    }
    hot.sort_by(|a, b| b.cmp(a));
    hot.truncate(HOT_MAX);
    Ok((Some(hot), next.text().into_bytes()))
}

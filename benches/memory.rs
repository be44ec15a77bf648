//! What does a key cost in memory, and how long does the slowest insert take while a table grows?
//!
//! Memory is the growth of the server's resident set over a fill, divided by the number of things filled, each row in
//! a fresh process. Insert latency is seen twice while keys are filled in: by the filler itself, whose inserts make
//! the tables grow, and by a prober that sends one request at a time. Overwriting the same keys afterwards is the
//! control: the same load, nothing grows.
//!
//!     cargo bench --bench memory -- --servers sharded,redis

#[path = "harness/mod.rs"]
mod harness;

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use clap::Parser;

use harness::client::Client;
use harness::keys::{Sampler, Spread};
use harness::load::{Keys, Load, Outcome, Plan, each_key};
use harness::reply::{Dialect, Expect};
use harness::server::{self, Server, Spec};
use harness::shared::{Shared, check_names};
use harness::stats::{Median, rate, short, time};
use harness::table::Table;
use harness::template::{Step, Template};
use harness::{Result, process};

/// Measures resident memory per key and the latency of inserts while the tables grow.
#[derive(Debug, Parser)]
#[command(name = "memory")]
struct Options {
    /// Strings in a row; collections take a fifth of it.
    #[arg(long, default_value_t = 5_000_000)]
    keys: u64,
    /// Keys inserted while insert latency is measured.
    #[arg(long, default_value_t = 10_000_000)]
    inserts: u64,
    /// Requests in a batch of the filler.
    #[arg(long, default_value_t = 16)]
    pipeline: usize,
    /// Times each row is measured; the median is shown.
    #[arg(long, default_value_t = 1)]
    rounds: usize,
    /// Rows, or `insert` for the insert latency; default: all.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    #[command(flatten)]
    shared: Shared,
}

/// Something to fill a server with.
struct Row {
    name: &'static str,
    what: &'static str,
    command: &'static str,
    expect: Expect,
    /// Things counted in one command: 1 for a key, as many as it adds for elements.
    counted: u64,
    size: Size,
}

/// How many things a row counts.
enum Size {
    /// The share of `--keys`: 1 over this.
    Share(u64),
    /// In one key, at most `--keys`.
    OneKey(u64),
}

const ROWS: &[Row] = &[
    string("string", "key of 16 B, value of 32 B", "SET {key} {value}"),
    string("string-ttl", "the same with a TTL", "SET {key} {value} EX 100000"),
    string("integer", "key of 16 B, value an integer", "SET {key} 123456"),
    elements("hash", "hash of 5 short fields", "HSET {key} a 1 b 2 c 3 d 4 e 5", 1),
    elements("set", "set of 5 small integers", "SADD {key} 1 2 3 4 5", 1),
    elements("zset", "sorted set of 10 members of 10 B", "ZADD {key} 10x({1-9} m:{10000000-99999999})", 1),
    elements("list-100", "list element of 32 B, 100 a list", "RPUSH {key} 100x({value})", 100),
    elements("zset-1000", "member of 12 B, 1,000 a sorted set", "ZADD {key} 1000x({member} {member})", 1000),
    elements("set-1000", "member of 12 B, 1,000 a set", "SADD {key} 1000x({member})", 1000),
    elements(
        "hash-1000",
        "field of 12 B with a value of 32 B, 1,000 a hash",
        "HSET {key} 1000x({member} {value})",
        1000,
    ),
    one_key("list-long", "list element of 32 B, all in one list", "RPUSH list 100x({value})", 100, u64::MAX),
    one_key("zset-1m", "member of 10 B, 1 M in one sorted set", "ZADD zset {000000-999999} m:{n:8}", 1, 1_000_000),
];

const fn string(name: &'static str, what: &'static str, command: &'static str) -> Row {
    Row { name, what, command, expect: Expect::Status, counted: 1, size: Size::Share(1) }
}

const fn elements(name: &'static str, what: &'static str, command: &'static str, counted: u64) -> Row {
    Row { name, what, command, expect: Expect::Integer, counted, size: Size::Share(5) }
}

const fn one_key(name: &'static str, what: &'static str, command: &'static str, counted: u64, most: u64) -> Row {
    Row { size: Size::OneKey(most), ..elements(name, what, command, counted) }
}

/// Bytes in a `{value}`.
const VALUE: usize = 32;

fn main() -> ExitCode {
    server::launch_if_asked();
    let mut options = Options::parse();
    if options.shared.quick {
        options.keys = options.keys.min(50_000);
        options.inserts = options.inserts.min(100_000);
    }
    options.shared.run("memory", || run(&options))
}

fn run(options: &Options) -> Result<()> {
    check_names(&options.only, &ROWS.iter().map(|row| row.name).chain(["insert"]).collect::<Vec<_>>())?;
    let (specs, conditions) = options.shared.specs("memory")?;
    let asked = |name: &str| options.only.is_empty() || options.only.iter().any(|only| only == name);
    let mut memory = Table::new(&["row", "what", "server", "bytes each", "(range)", "count"]);
    for row in ROWS.iter().filter(|row| asked(row.name)) {
        for spec in &specs {
            match (0..options.rounds).map(|_| bytes_each(row, spec, options)).collect::<Result<Vec<_>>>() {
                Ok(bytes) => {
                    let bytes = Median::of(bytes).unwrap_or_default();
                    let mut cells = vec![row.name.to_owned(), row.what.to_owned(), spec.name.clone()];
                    cells.extend([short(bytes.mid), format!("{}-{}", short(bytes.min), short(bytes.max))]);
                    cells.push(rate(row.count(options) as f64));
                    eprintln!("{}: {}: {} B", spec.name, row.name, short(bytes.mid));
                    memory.row(cells);
                }
                Err(why) => eprintln!("{}: {} skipped: {why}", spec.name, row.name),
            }
        }
    }
    let mut inserts = Table::new(&["phase", "server", "seen by", "p50", "p99", "p99.9", "max", "batches"]);
    for spec in specs.iter().filter(|_| asked("insert")) {
        for (phase, seen_by, outcome) in insert_latency(spec, options)? {
            let at = |quantile| time(outcome.latency.value_at_quantile(quantile) as f64);
            let max = time(outcome.latency.max() as f64);
            eprintln!("{}: {phase}: {seen_by}: p99.9 {}, max {max}", spec.name, at(0.999));
            let count = rate(outcome.latency.len() as f64);
            inserts.row(vec![
                phase.into(),
                spec.name.clone(),
                seen_by.into(),
                at(0.5),
                at(0.99),
                at(0.999),
                max,
                count,
            ]);
        }
    }
    println!("\n{}\n{}", memory.text(3), inserts.text(3));
    let body = format!(
        "* growth of the resident set over the fill, each row in a fresh process, {} rounds\n\n{}\n\
         Inserting {} keys of 16 B with values of {VALUE} B, {} at once; one request at a time beside it.\n\n{}",
        options.rounds,
        memory.markdown(3),
        rate(options.inserts as f64),
        options.pipeline,
        inserts.markdown(3)
    );
    options.shared.report("memory", "Memory per key, and inserts while the tables grow", &conditions, &body)
}

impl Row {
    /// How many things are filled in, in whole commands.
    fn count(&self, options: &Options) -> u64 {
        let count = match self.size {
            Size::Share(part) => options.keys / part,
            Size::OneKey(count) => options.keys.min(count),
        };
        (count / self.counted).max(1) * self.counted
    }
}

fn bytes_each(row: &Row, spec: &Spec, options: &Options) -> Result<f64> {
    let server = options.shared.start(spec)?;
    let before = settled_rss_kib(&server)?;
    let commands = row.count(options) / row.counted;
    each_key(&server, row.command, row.expect, "key:", 0..commands, VALUE)?;
    let keys = if matches!(row.size, Size::OneKey(_)) { 1 } else { commands };
    // A server that evicted, or dropped writes, must not look small.
    let found = Client::connect(server.address)?.size()?;
    if found != keys {
        return Err(format!("{keys} keys were filled in but {found} are there"));
    }
    let after = settled_rss_kib(&server)?;
    Ok(after.saturating_sub(before) as f64 * 1024.0 / row.count(options) as f64)
}

/// Resident memory once it has not moved for 2 s, at most 15 s later: servers free, and rehash, behind the scenes, and
/// jemalloc gives pages back over 10 s.
fn settled_rss_kib(server: &Server) -> Result<u64> {
    let mut last = process::rss_kib(server.pid())?;
    let mut still = 0;
    for _ in 0..30 {
        std::thread::sleep(Duration::from_millis(500));
        let now = process::rss_kib(server.pid())?;
        still = if now.abs_diff(last) * 1000 < now { still + 1 } else { 0 };
        if still == 4 {
            return Ok(now);
        }
        last = now;
    }
    Ok(last)
}

/// Fills the keys in, then overwrites them; each seen by the filler (batches) and by the prober.
fn insert_latency(spec: &Spec, options: &Options) -> Result<Vec<(&'static str, &'static str, Outcome)>> {
    let server = options.shared.start(spec)?;
    let step = Step::new("SET {key} {value}", Expect::Status);
    let template =
        |prefix: &str| Template::new(&step, Dialect::Resp, prefix, &[b'x'; VALUE]).into_iter().collect::<Vec<_>>();
    let (filling, probing) = (template("key:"), template("prb:"));
    let sampler = Sampler::new(Spread::Uniform, options.inserts, 7);
    let mut seen = Vec::new();
    for phase in ["insert", "overwrite"] {
        let done = AtomicBool::new(false);
        let fill = Plan::new(&filling, options.pipeline, Keys::once(0..options.inserts), 1);
        let mut probe = Plan::new(&probing, 1, Keys::Random(&sampler), 1);
        // Two a millisecond: seldom enough not to be the load, often enough to meet a stall of 1 ms.
        probe.interval = Some(Duration::from_micros(500));
        probe.stop = Some(&done);
        let (filled, probed) = std::thread::scope(|scope| {
            let prober = scope.spawn(|| {
                let mut load = Load::connect(server.address, Dialect::Resp, 1, 1)?;
                load.run(&probe, Duration::ZERO, Duration::from_secs(3600), |_| ()).map(|(outcome, ..)| outcome)
            });
            let filled = Load::connect(server.address, Dialect::Resp, 1, 1).and_then(|mut load| load.run_once(&fill));
            done.store(true, Relaxed);
            (filled, prober.join())
        });
        seen.push((phase, "filler", filled?));
        seen.push((phase, "prober", probed.map_err(|_| "the prober panicked")??));
    }
    Ok(seen)
}

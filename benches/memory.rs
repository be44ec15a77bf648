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

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use clap::Parser;

use harness::client::{Client, Reply};
use harness::keys::{Sampler, Spread};
use harness::load::{Keys, Load, Outcome, Plan, each_key};
use harness::reply::{Dialect, Expect};
use harness::server::{self, Server, Spec};
use harness::stats::{Median, rate, short, time};
use harness::table::Table;
use harness::workload::{Step, Template};
use harness::{Result, machine, process};

/// Measures resident memory per key and the latency of inserts while the tables grow.
#[derive(Debug, Parser)]
#[command(name = "memory")]
struct Options {
    /// A smoke run of a few seconds.
    #[arg(long)]
    quick: bool,
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
    /// sharded, channel, redis; NAME@N gives that one N threads.
    #[arg(long, value_delimiter = ',', default_value = "sharded,channel,redis")]
    servers: Vec<String>,
    /// A further RESP server: NAME=COMMAND, where {port}, {threads} and {dir} are filled in.
    #[arg(long)]
    extra: Vec<String>,
    /// Server threads; default: one a core.
    #[arg(long)]
    threads: Option<usize>,
    /// Writes memory.md into this folder.
    #[arg(long)]
    out: Option<PathBuf>,
    /// The kiba binary; default: the one built with this bench.
    #[arg(long)]
    kiba: Option<PathBuf>,
    /// What `cargo bench` adds; without it nothing is measured.
    #[arg(long, hide = true)]
    bench: bool,
}

/// Something to fill a server with.
struct Row {
    name: &'static str,
    what: &'static str,
    command: &'static str,
    /// How often `words` follow the command.
    times: usize,
    words: &'static str,
    expect: Expect,
    /// Things counted in one command: 1 for a key, `times` for elements.
    counted: usize,
    /// The share of `--keys` that are counted: 1 over this.
    fraction: u64,
}

const ROWS: &[Row] = &[
    string("string", "key of 16 B, value of 32 B", "SET {key} {value}"),
    string("string-ttl", "the same with a TTL", "SET {key} {value} EX 100000"),
    string("integer", "key of 16 B, value an integer", "SET {key} 123456"),
    Row { counted: 1, ..elements("hash", "hash of 5 short fields", "HSET {key} a 1 b 2 c 3 d 4 e 5", "", 0) },
    Row { counted: 1, ..elements("set", "set of 5 small integers", "SADD {key} 1 2 3 4 5", "", 0) },
    elements("list", "list element of 32 B, 1,000 a list", "RPUSH {key}", " {value}", 1000),
    elements("zset", "member of 12 B with a score, 1,000 a sorted set", "ZADD {key}", " {member} {member}", 1000),
    elements("big-set", "member of 12 B, 1,000 a set", "SADD {key}", " {member}", 1000),
    elements("big-hash", "field of 12 B with a value of 32 B, 1,000 a hash", "HSET {key}", " {member} {value}", 1000),
];

const fn string(name: &'static str, what: &'static str, command: &'static str) -> Row {
    Row { name, what, command, times: 0, words: "", expect: Expect::Status, counted: 1, fraction: 1 }
}

const fn elements(
    name: &'static str,
    what: &'static str,
    command: &'static str,
    words: &'static str,
    times: usize,
) -> Row {
    Row { name, what, command, times, words, expect: Expect::Integer, counted: times, fraction: 5 }
}

/// Bytes in a `{value}`.
const VALUE: usize = 32;

fn main() -> ExitCode {
    server::launch_if_asked();
    let mut options = Options::parse();
    if !options.bench {
        eprintln!("memory: nothing measured; run it with `cargo bench --bench memory`");
        return ExitCode::SUCCESS;
    }
    if options.quick {
        options.keys = options.keys.min(50_000);
        options.inserts = options.inserts.min(100_000);
    }
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("memory: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<()> {
    let kiba = options.kiba.clone().unwrap_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_kiba")));
    let specs = server::specs(&options.servers, &options.extra, &kiba)?;
    let versions: Vec<_> = specs.iter().map(|spec| (spec.name.clone(), spec.version())).collect();
    let conditions = machine::conditions("memory", &versions);
    conditions.iter().for_each(|line| println!("{line}"));
    let names: Vec<_> = ROWS.iter().map(|row| row.name).chain(["insert"]).collect();
    if let Some(name) = options.only.iter().find(|name| !names.contains(&name.as_str())) {
        return Err(format!("`{name}` is not one of {}", names.join(", ")));
    }
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
    let Some(folder) = &options.out else {
        return Ok(());
    };
    let mut text = "# Memory per key, and inserts while the tables grow\n\n".to_owned();
    conditions.iter().for_each(|line| text.push_str(&format!("* {line}\n")));
    text.push_str(&format!(
        "* growth of the resident set over the fill, each row in a fresh process, {} rounds\n\n{}\n\
         Inserting {} keys of 16 B with values of {VALUE} B, {} at once; one request at a time beside it.\n\n{}",
        options.rounds,
        memory.markdown(3),
        rate(options.inserts as f64),
        options.pipeline,
        inserts.markdown(3)
    ));
    let path = folder.join("memory.md");
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(&path, text))
        .map_err(|error| format!("{}: {error}", path.display()))
}

impl Row {
    /// How many things are filled in, in whole commands.
    fn count(&self, options: &Options) -> u64 {
        let each = self.counted.max(1) as u64;
        (options.keys / self.fraction / each).max(1) * each
    }
}

fn bytes_each(row: &Row, spec: &Spec, options: &Options) -> Result<f64> {
    let server = start(spec, options)?;
    let before = settled_rss_kib(&server)?;
    let command = format!("{}{}", row.command, row.words.repeat(row.times));
    let commands = row.count(options) / row.counted.max(1) as u64;
    each_key(&server, &command, row.expect, "key:", 0..commands, VALUE)?;
    // A server that evicted, or dropped writes, must not look small.
    match Client::connect(server.address)?.say("DBSIZE")? {
        Reply::Integer(keys) if keys as u64 == commands => {}
        reply => {
            return Err(format!("{commands} keys were filled in but DBSIZE says {reply:?}"));
        }
    }
    let after = settled_rss_kib(&server)?;
    Ok(after.saturating_sub(before) as f64 * 1024.0 / row.count(options) as f64)
}

fn start(spec: &Spec, options: &Options) -> Result<Server> {
    let threads = options.threads.unwrap_or_else(machine::cores);
    Server::start(spec, threads, None, Path::new(env!("CARGO_TARGET_TMPDIR")))
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
    let server = start(spec, options)?;
    let step = Step { command: "SET {key} {value}".into(), expect: Expect::Status, weight: 1 };
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

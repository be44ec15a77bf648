//! What does a request cost over the wire, on each engine and beside its peers?
//!
//! Keeps all servers alive side by side and lets them take short turns (A B C, B C A, ...), so that a noisy neighbour
//! hits all alike. Each round starts and fills them anew, in another order: two processes of one program differ by
//! several percent, by where their memory happens to lie, and a single start would take that for a result. A number is the median over the rounds, shown with its range; a ratio is taken
//! within a round and then the median over the rounds. `--null` measures two identical servers: what differs from
//! 1.00 there is the instrument's own error.
//!
//!     cargo bench --bench wire -- --pipelines 1,16,64 --ops get,set --out docs/bench

mod cell;
mod report;

#[path = "../harness/mod.rs"]
mod harness;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use cell::{Bench, Cell};
use harness::keys::Spread;
use harness::server::{Pinned, Server, Spec};
use harness::{Result, machine, server};

/// Measures request rate, latency and server CPU time per request over the wire.
#[derive(Clone, Debug, Parser)]
#[command(name = "wire")]
struct Options {
    /// A smoke run of a few seconds: one short round of few cells over few keys.
    #[arg(long)]
    quick: bool,
    /// Rounds; medians and ranges are over them. Best a multiple of the number of servers: each is then started first,
    /// second, ... equally often.
    #[arg(long, default_value_t = 6)]
    rounds: usize,
    /// Seconds recorded for each server in a round.
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// The servers take turns this often within a round, in seconds; each turn has a warm-up of a quarter of it.
    #[arg(long, default_value_t = 0.25)]
    slice: f64,
    /// Requests that a connection sends at once.
    #[arg(long, value_delimiter = ',', default_value = "1,16,64")]
    pipelines: Vec<usize>,
    /// Workloads; `all` for every row of the table.
    #[arg(long, value_delimiter = ',', default_value = "get,set")]
    ops: Vec<String>,
    /// Connections.
    #[arg(long, value_delimiter = ',', default_value = "50")]
    clients: Vec<usize>,
    /// Size of the keyspace.
    #[arg(long, default_value_t = 1_000_000)]
    keys: u64,
    /// Bytes in a value.
    #[arg(long, default_value_t = 64)]
    value: usize,
    /// Bytes in a value, several; replaces --value.
    #[arg(long, value_delimiter = ',')]
    value_sizes: Vec<usize>,
    /// sharded, channel, redis, memcached; NAME@N gives that one N threads.
    #[arg(long, value_delimiter = ',', default_value = "sharded,channel,redis,memcached")]
    servers: Vec<String>,
    /// A further RESP server: NAME=COMMAND, where {port}, {threads} and {dir} are filled in.
    #[arg(long)]
    extra: Vec<String>,
    /// The server that ratios refer to, if it runs; otherwise the first.
    #[arg(long, default_value = "redis")]
    base: String,
    /// Measure the base server against its twin, to see the instrument's own error.
    #[arg(long)]
    null: bool,
    /// shared: everything on all cores; split: server on core 0 with one thread, generator on core 1.
    #[arg(long, value_delimiter = ',', default_value = "shared")]
    layout: Vec<String>,
    /// GETs and SETs in the workload `mixed`.
    #[arg(long, default_value = "10:1")]
    mix: String,
    /// uniform, zipf:THETA, hot.
    #[arg(long, value_delimiter = ',', default_value = "uniform")]
    dist: Vec<Spread>,
    /// Server threads in the shared layout; default: one a core.
    #[arg(long)]
    threads: Option<usize>,
    /// Threads of the load generator.
    #[arg(long, default_value_t = 1)]
    generators: usize,
    /// How system calls are counted, in a turn of their own: auto (perf if it can), perf, strace, off.
    #[arg(long, default_value = "auto")]
    syscalls: String,
    /// Seed of the random keys.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Writes every turn's numbers to this file.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Writes wire.md and wire.svg into this folder.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Name of the files in --out, without the ending.
    #[arg(long, default_value = "wire")]
    name: String,
    /// The kiba binary; default: the one built with this bench.
    #[arg(long)]
    kiba: Option<PathBuf>,
    /// What `cargo bench` adds; without it nothing is measured, so that `cargo test --benches` stays quick.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    server::launch_if_asked();
    let mut options = Options::parse();
    if !options.bench {
        eprintln!("wire: nothing measured; run it with `cargo bench --bench wire`");
        return ExitCode::SUCCESS;
    }
    if options.quick {
        options.rounds = 1;
        options.seconds = options.seconds.min(0.3);
        options.keys = options.keys.min(10_000);
        options.pipelines.retain(|&pipeline| pipeline <= 16);
        options.syscalls = "off".into();
    }
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("wire: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<()> {
    let specs = specs(options)?;
    let base = specs.iter().find(|spec| spec.name == options.base).unwrap_or(&specs[0]);
    let base = base.name.as_str();
    let versions: Vec<_> = specs.iter().map(|spec| (spec.name.clone(), spec.version())).collect();
    let conditions = machine::conditions("wire", &versions);
    conditions.iter().for_each(|line| println!("{line}"));
    let mut bench = Bench::new(options)?;
    let mut turns = Vec::new();
    for layout in &options.layout {
        let _pinned = match layout.as_str() {
            "shared" => None,
            "split" if machine::cores() < 2 => {
                eprintln!("wire: layout split skipped, it takes two cores");
                continue;
            }
            "split" => Some(Pinned::to(1)?),
            _ => return Err(format!("`{layout}` is not one of shared, split")),
        };
        let (threads, core) = match &_pinned {
            None => (options.threads.unwrap_or_else(machine::cores), None),
            Some(_) => (1, Some(0)),
        };
        let scratch = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let cells = cells(options, layout)?;
        for round in 0..options.rounds {
            let servers = start(&specs, threads, core, scratch, round)?;
            for cell in &cells {
                let new = bench.measure(cell, &servers, round)?;
                report::brief(&new, base).iter().for_each(|line| eprintln!("round {}: {line}", round + 1));
                turns.extend(new);
            }
        }
    }
    println!("\n{}", report::table(&turns, base).text(2));
    print!("{}", report::notes(&turns, options.null.then_some(base)));
    report::write(options, &conditions, &turns, base)
}

/// The servers to be measured; with `--null` the base and its twin.
fn specs(options: &Options) -> Result<Vec<Spec>> {
    let kiba = options.kiba.clone().unwrap_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_kiba")));
    let specs = server::specs(&options.servers, &options.extra, &kiba)?;
    if !options.null {
        return Ok(specs);
    }
    let base = specs.iter().find(|spec| spec.name == options.base).unwrap_or(&specs[0]);
    Ok(vec![base.clone(), base.twin()])
}

/// Starts each server, in another order each round, and returns them in the order of `specs`.
fn start(specs: &[Spec], threads: usize, core: Option<usize>, scratch: &Path, round: usize) -> Result<Vec<Server>> {
    let mut servers = Vec::new();
    for n in 0..specs.len() {
        let n = (n + round) % specs.len();
        servers.push((n, Server::start(&specs[n], threads, core, scratch)?));
    }
    servers.sort_by_key(|(n, _)| *n);
    Ok(servers.into_iter().map(|(_, server)| server).collect())
}

/// Every combination that was asked for.
fn cells(options: &Options, layout: &str) -> Result<Vec<Cell>> {
    let names: Vec<_> = harness::workload::table(1, (1, 1)).iter().map(|row| row.name).collect();
    let ops = match &options.ops[..] {
        [all] if all == "all" => names.iter().map(|&name| name.to_owned()).collect(),
        ops => ops.to_vec(),
    };
    if let Some(op) = ops.iter().find(|op| !names.contains(&op.as_str())) {
        return Err(format!("`{op}` is not one of {}", names.join(", ")));
    }
    let sizes = if options.value_sizes.is_empty() { vec![options.value] } else { options.value_sizes.clone() };
    let mut cells = Vec::new();
    for op in &ops {
        for &value in &sizes {
            for &spread in &options.dist {
                for &clients in &options.clients {
                    for &pipeline in &options.pipelines {
                        let layout = layout.to_owned();
                        cells.push(Cell { layout, op: op.clone(), value, spread, clients, pipeline }.bounded());
                    }
                }
            }
        }
    }
    cells.dedup();
    Ok(cells)
}

impl Options {
    /// How many turns a server takes in a round of a cell, and how long one is.
    fn slices(&self, cell: &Cell, afresh: bool) -> (usize, Duration) {
        // A turn must see each connection served several times: at 100,000 requests or 64 MiB a second the requests on
        // the way go round in half of this.
        let on_the_way = (cell.clients * cell.pipeline) as f64;
        let bytes = on_the_way * cell.value as f64;
        let least = (on_the_way / 50_000.0).max(bytes / (32 << 20) as f64);
        let least = least.max(cell.clients as f64 / 5_000.0).min(10.0);
        // What is filled anew for each turn is not worth filling for a short one.
        let wanted = if afresh { self.seconds } else { self.slice.max(0.05) };
        let slices = (self.seconds / wanted.max(least)).round().max(1.0);
        (slices as usize, Duration::from_secs_f64((self.seconds / slices).max(least)))
    }

    fn mix(&self) -> Result<(u32, u32)> {
        let parse = |text: &str| text.parse::<u32>().ok();
        let pair = self.mix.split_once(':').and_then(|(gets, sets)| Some((parse(gets)?, parse(sets)?)));
        pair.filter(|&(gets, sets)| gets + sets > 0).ok_or(format!("`{}` is not GETS:SETS, as in 10:1", self.mix))
    }
}

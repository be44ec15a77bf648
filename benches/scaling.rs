//! How does throughput grow with threads when no socket is in the way?
//!
//! Threads drive an engine in this process with batches that were parsed beforehand. `private` gives each thread an
//! engine of its own: what two threads could do at best on this machine, were nothing shared. Every figure is the
//! median over rounds, and the cells take turns within a round.
//!
//!     cargo bench --bench scaling

#[path = "harness/mod.rs"]
mod harness;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use clap::Parser;
use kiba::config::Config;
use kiba::engine::Engine;
use kiba::engine::channel::Channel;
use kiba::engine::sharded::Sharded;
use kiba::parser::Batch;
use kiba::server::Server;
use kiba::server::home::Home;
use kiba::sync::{Arc, Ordering};
use tokio::runtime::{Builder, Runtime};

use harness::batch::{parse, unparsed};
use harness::keys::{Rng, Sampler, Spread};
use harness::machine;
use harness::stats::{Median, rate, short};
use harness::table::Table;

#[global_allocator]
static ALLOCATOR: kiba::memory::Counting = kiba::memory::Counting;

/// Measures operations per second inside the engines with one thread and with several.
#[derive(Debug, Parser)]
#[command(name = "scaling")]
struct Options {
    /// A smoke run of about a second.
    #[arg(long)]
    quick: bool,
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds for each cell in a round.
    #[arg(long, default_value_t = 0.4)]
    seconds: f64,
    /// Numbers of threads; the first is what the others are compared with.
    #[arg(long, value_delimiter = ',', default_value = "1,2")]
    threads: Vec<usize>,
    /// Requests in a batch.
    #[arg(long, value_delimiter = ',', default_value = "1,16,64")]
    pipelines: Vec<usize>,
    #[arg(long, value_delimiter = ',', default_value = "uniform,zipf:0.99,hot")]
    spreads: Vec<Spread>,
    /// get, set, mixed (ten reads to a write).
    #[arg(long, value_delimiter = ',', default_value = "get,set,mixed")]
    ops: Vec<String>,
    /// sharded, channel, private.
    #[arg(long, value_delimiter = ',', default_value = "sharded,private,channel")]
    engines: Vec<String>,
    #[arg(long, default_value_t = 1_000_000)]
    keys: u64,
    /// Writes scaling.md into this folder.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

/// Requests that a thread has ready: more than any cache keeps, so that they come from memory in order, as from a
/// socket's buffer.
const READY: usize = 1 << 17;

/// A batch as engines take and return it.
type Parsed = Box<Batch>;

/// What a thread drives.
enum Driven {
    Sharded(Arc<Server>, Sharded),
    Channel(Arc<Server>, Channel),
}

impl Driven {
    fn server(&self) -> &Arc<Server> {
        match self {
            Self::Sharded(server, _) | Self::Channel(server, _) => server,
        }
    }

    async fn execute(&self, batch: Box<Batch>) -> Box<Batch> {
        let requests = batch.requests.len();
        let done = match self {
            Self::Sharded(_, engine) => engine.execute(batch, 0..requests, 0).await,
            Self::Channel(_, engine) => engine.execute(batch, 0..requests, 0).await,
        };
        let (mut batch, ran) = done.expect("the engine answers");
        assert_eq!(ran, requests);
        batch.reply.clear(64 * 1024);
        batch
    }
}

fn request(input: &mut Vec<u8>, is_write: bool, key: u64) {
    if is_write {
        input.extend_from_slice(format!("*3\r\n$3\r\nSET\r\n$16\r\nkey:{key:012}\r\n$64\r\n").as_bytes());
        input.extend_from_slice(&[b'v'; 64]);
        input.extend_from_slice(b"\r\n");
    } else {
        input.extend_from_slice(format!("*2\r\n$3\r\nGET\r\n$16\r\nkey:{key:012}\r\n").as_bytes());
    }
}

fn fill(runtime: &Runtime, driven: &Driven, keys: u64) {
    for start in (0..keys).step_by(1000) {
        let mut input = Vec::new();
        (start..(start + 1000).min(keys)).for_each(|key| request(&mut input, true, key));
        runtime.block_on(driven.execute(parse(driven.server(), unparsed(input))));
    }
}

/// One thread's batches.
fn batches(server: &Server, op: &str, pipeline: usize, sampler: &Sampler, seed: u64) -> Vec<Parsed> {
    let mut rng = Rng::new(seed);
    let mut cursor = rng.below(1 << 20) as usize;
    (0..READY / pipeline)
        .map(|_| {
            let mut input = Vec::new();
            for _ in 0..pipeline {
                let is_write = op == "set" || op == "mixed" && rng.below(11) == 0;
                request(&mut input, is_write, sampler.draw(&mut rng, &mut cursor));
            }
            parse(server, unparsed(input))
        })
        .collect()
}

/// Operations per second over all threads, and contended locks per million operations.
fn measure(driven: &[Driven], mut ready: Vec<Vec<Parsed>>, pipeline: usize, seconds: f64) -> (f64, f64) {
    let contended = || driven.iter().map(|it| it.server().env.contended.load(Ordering::Relaxed)).sum::<u64>();
    let before = contended();
    let start = Barrier::new(ready.len());
    let counts: Vec<(u64, Duration)> = std::thread::scope(|scope| {
        let threads: Vec<_> = ready
            .drain(..)
            .enumerate()
            .map(|(i, batches)| {
                let (driven, start) = (&driven[i % driven.len()], &start);
                scope.spawn(move || {
                    let runtime = Builder::new_current_thread().build().expect("a runtime starts");
                    let mut batches: Vec<Option<Parsed>> = batches.into_iter().map(Some).collect();
                    runtime.block_on(async {
                        start.wait();
                        let began = Instant::now();
                        let mut done = 0;
                        'all: loop {
                            for batch in &mut batches {
                                *batch = Some(driven.execute(batch.take().expect("put back")).await);
                                done += 1;
                                if done % 16 == 0 && began.elapsed().as_secs_f64() >= seconds {
                                    break 'all;
                                }
                            }
                        }
                        (done * pipeline as u64, began.elapsed())
                    })
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("no thread panics")).collect()
    });
    let operations: u64 = counts.iter().map(|(done, _)| done).sum();
    let rate = counts.iter().map(|(done, took)| *done as f64 / took.as_secs_f64()).sum();
    (rate, (contended() - before) as f64 * 1e6 / operations as f64)
}

#[derive(Default)]
struct Cell {
    rates: Vec<f64>,
    contended: Vec<f64>,
}

fn run(options: &Options) -> String {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime starts");
    let most = options.threads.iter().copied().max().unwrap_or(1);
    let make = |name: &str| {
        let server = Server::new(Arc::new(Config::default()), None);
        let driven = if name == "channel" {
            let channel = runtime.block_on(async { Channel::new(Arc::clone(&server), Arc::new(Home::here())) });
            Driven::Channel(server, channel)
        } else {
            Driven::Sharded(Arc::clone(&server), Sharded::new(server))
        };
        fill(&runtime, &driven, options.keys);
        driven
    };
    let engines: Vec<(&str, Vec<Driven>)> = (options.engines.iter())
        .map(|name| (name.as_str(), (0..if name == "private" { most } else { 1 }).map(|_| make(name)).collect()))
        .collect();
    let mut table =
        Table::new(&["op", "keys", "pipeline", "engine", "threads", "M ops/s", "range", "x", "contended/M"]);
    for op in &options.ops {
        for &spread in &options.spreads {
            let sampler = Sampler::new(spread, options.keys, 1);
            for &pipeline in &options.pipelines {
                let mut cells: Vec<Vec<Cell>> = Vec::new();
                for _ in &engines {
                    cells.push(options.threads.iter().map(|_| Cell::default()).collect());
                }
                for round in 0..options.rounds {
                    for (e, (_, driven)) in engines.iter().enumerate() {
                        for (t, &threads) in options.threads.iter().enumerate() {
                            let ready = (0..threads)
                                .map(|i| {
                                    let seed = (round * most + i) as u64;
                                    batches(driven[i % driven.len()].server(), op, pipeline, &sampler, seed)
                                })
                                .collect();
                            let (rate, contended) = measure(driven, ready, pipeline, options.seconds);
                            cells[e][t].rates.push(rate);
                            cells[e][t].contended.push(contended);
                        }
                    }
                }
                for ((name, _), cells) in engines.iter().zip(&cells) {
                    for (cell, threads) in cells.iter().zip(&options.threads) {
                        let of = |values: &[f64]| Median::of(values.iter().copied()).unwrap_or_default();
                        let ratios = cell.rates.iter().zip(&cells[0].rates).map(|(rate, base)| rate / base);
                        let (ratio, all) = (Median::of(ratios).unwrap_or_default(), of(&cell.rates));
                        table.row(vec![
                            op.clone(),
                            spread.to_string(),
                            pipeline.to_string(),
                            (*name).to_owned(),
                            threads.to_string(),
                            short(all.mid / 1e6),
                            format!("{}-{}", rate(all.min), rate(all.max)),
                            short(ratio.mid),
                            short(of(&cell.contended).mid),
                        ]);
                    }
                }
            }
        }
    }
    let conditions = machine::conditions("scaling", &[]).join("\n");
    println!("{conditions}\n\n{}", table.text(4));
    format!("```\n{conditions}\n```\n\n{}", table.markdown(4))
}

fn main() -> ExitCode {
    let mut options = Options::parse();
    if !options.bench {
        println!("scaling: nothing measured; run it with `cargo bench --bench scaling`");
        return ExitCode::SUCCESS;
    }
    if options.quick {
        (options.rounds, options.seconds, options.keys, options.pipelines) = (1, 0.02, 10_000, vec![16]);
    }
    let text = run(&options);
    if let Some(folder) = &options.out
        && let Err(error) = std::fs::write(folder.join("scaling.md"), format!("# Scaling\n\n{text}"))
    {
        eprintln!("scaling: {error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

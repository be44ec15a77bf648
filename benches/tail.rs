//! What does a well-behaved client notice while something heavy happens to the server?
//!
//! The victim is a handful of connections that send requests at a fixed rate, half GET, half SET. Latency counts
//! from when a request was due, so a stall of 100 ms shows in every request it delayed. Each disturbance is set
//! beside the same victim on the same server left alone (`idle`); `overwrite` is the control for those that write:
//! the same load without the growth.
//!
//!     cargo bench --bench tail -- --servers sharded,redis

#[path = "harness/mod.rs"]
mod harness;

use std::net::TcpStream;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clap::Parser;

use harness::Result;
use harness::client::{Client, Reply};
use harness::keys::{Sampler, Spread};
use harness::load::{Keys, Load, Plan, each_key};
use harness::process::{Usage, machine_cpu_ns, own_cpu_ns};
use harness::reply::{Dialect, Expect};
use harness::server::{self, Server};
use harness::shared::{Shared, check_names};
use harness::stats::{Median, time};
use harness::table::Table;
use harness::template::{Step, Template};

/// Measures tail latency of a steady client under disturbances.
#[derive(Debug, Parser)]
#[command(name = "tail")]
struct Options {
    /// Times each disturbance is measured on each server.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Seconds recorded; the disturbance starts with them.
    #[arg(long, default_value_t = 4.0)]
    seconds: f64,
    /// The victim's requests a second, over all its connections; far below what the slowest server can answer, or the
    /// time to work off a backlog is measured as well.
    #[arg(long, default_value_t = 4_000)]
    rate: u32,
    /// The victim's connections.
    #[arg(long, default_value_t = 20)]
    clients: u32,
    /// The keyspace; just under 2^20, so that `grow` makes the tables that double do so.
    #[arg(long, default_value_t = 1_000_000)]
    keys: u64,
    /// Keys a second that `grow` inserts and `overwrite` overwrites.
    #[arg(long, default_value_t = 200_000)]
    writes: u32,
    /// Elements of the huge set that `del` and `unlink` remove.
    #[arg(long, default_value_t = 10_000_000)]
    elements: u64,
    /// Bytes of the value that a slow client reads.
    #[arg(long, default_value_t = 100 << 20)]
    huge: usize,
    /// Disturbances; default: all.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    #[command(flatten)]
    shared: Shared,
}

/// One row of the table: what is set up beforehand and what happens while the victim is recorded.
struct Disturbance {
    name: &'static str,
    prepare: fn(&Stage<'_>) -> Result<()>,
    run: fn(&Stage<'_>) -> Result<()>,
}

const DISTURBANCES: &[Disturbance] = &[
    Disturbance { name: "idle", prepare: nothing, run: nothing },
    Disturbance { name: "overwrite", prepare: nothing, run: |stage| stage.write("key:") },
    Disturbance { name: "grow", prepare: nothing, run: |stage| stage.write("grw:") },
    Disturbance { name: "regrow", prepare: fill_and_free, run: |stage| stage.write("grw:") },
    Disturbance { name: "expire", prepare: fill_to_expire, run: nothing },
    Disturbance { name: "del", prepare: fill_huge_set, run: |stage| stage.say("DEL huge") },
    Disturbance { name: "unlink", prepare: fill_huge_set, run: |stage| stage.say("UNLINK huge") },
    Disturbance { name: "keys", prepare: nothing, run: |stage| stage.skim("KEYS *", Duration::ZERO) },
    Disturbance { name: "slow-reader", prepare: fill_huge_value, run: read_slowly },
    Disturbance { name: "churn", prepare: nothing, run: churn },
    Disturbance { name: "flushall", prepare: nothing, run: |stage| stage.say("FLUSHALL ASYNC") },
];

/// What a disturbance works on.
struct Stage<'a> {
    server: &'a Server,
    options: &'a Options,
    /// True when the recording is over.
    stop: &'a AtomicBool,
    /// How long it took to fill the keyspace; says how long another fill will take.
    fill: Duration,
}

struct Sample {
    server: String,
    name: &'static str,
    /// p50, p99, p99.9, max in ns.
    latency: [u64; 4],
    /// Cores that other processes used meanwhile.
    others: f64,
}

fn main() -> ExitCode {
    server::launch_if_asked();
    let mut options = Options::parse();
    if options.shared.quick {
        options.rounds = 1;
        options.seconds = options.seconds.min(0.4);
        options.keys = options.keys.min(20_000);
        options.elements = options.elements.min(20_000);
        options.huge = options.huge.min(4 << 20);
    }
    options.shared.run("tail", || run(&options))
}

fn run(options: &Options) -> Result<()> {
    check_names(&options.only, &DISTURBANCES.iter().map(|row| row.name).collect::<Vec<_>>())?;
    let (specs, conditions) = options.shared.specs("tail")?;
    server::raise_open_files(20_000);
    let mut samples: Vec<Sample> = Vec::new();
    let mut skipped: Vec<(String, &str)> = Vec::new();
    for round in 0..options.rounds {
        for row in DISTURBANCES {
            let asked =
                row.name == "idle" || options.only.is_empty() || options.only.iter().any(|name| name == row.name);
            for spec in specs.iter().filter(|_| asked) {
                if skipped.iter().any(|(server, name)| *server == spec.name && *name == row.name) {
                    continue;
                }
                // A fresh process each time: what one disturbance leaves behind is no part of the next.
                let server = options.shared.start(spec)?;
                match measure(row, &server, options, round as u64) {
                    Ok((latency, others)) => {
                        eprintln!(
                            "{}: {}: p99.9 {}, max {}",
                            spec.name,
                            row.name,
                            time(latency[2] as f64),
                            time(latency[3] as f64)
                        );
                        samples.push(Sample { server: spec.name.clone(), name: row.name, latency, others });
                    }
                    Err(Failure::Unsupported(why)) => {
                        eprintln!("{}: {} skipped: {why}", spec.name, row.name);
                        skipped.push((spec.name.clone(), row.name));
                    }
                    Err(Failure::Broken(why)) => {
                        return Err(format!("{}: {}: {why}\n{}", spec.name, row.name, server.log_end()));
                    }
                }
            }
        }
    }
    let table = report(&samples);
    let others = Median::of(samples.iter().map(|sample| sample.others)).unwrap_or_default();
    let noise = format!(
        "other processes used {:.2} cores meanwhile ({:.2}-{:.2}); tails are only worth reading when that is near 0",
        others.mid, others.min, others.max
    );
    println!("\n{}{noise}", table.text(2));
    let body = format!(
        "* victim: {} requests/s over {} connections, GET and SET by turns; {} rounds of {} s, medians (the range of \
         p99.9 in brackets), each on a fresh server\n* {noise}\n\n{}",
        options.rate,
        options.clients,
        options.rounds,
        options.seconds,
        table.markdown(2)
    );
    let title = "Tail latency of a steady client while something heavy happens";
    options.shared.report("tail", title, &conditions, &body)
}

enum Failure {
    /// The disturbance's commands are not known to this server.
    Unsupported(String),
    Broken(String),
}

/// Runs the victim, with the disturbance beginning when recording does.
fn measure(
    row: &Disturbance,
    server: &Server,
    options: &Options,
    nth: u64,
) -> std::result::Result<([u64; 4], f64), Failure> {
    let stop = AtomicBool::new(false);
    let start = Instant::now();
    each_key(server, "SET {key} {value}", Expect::Status, "key:", 0..options.keys, 64).map_err(Failure::Broken)?;
    let stage = Stage { server, options, stop: &stop, fill: start.elapsed() };
    (row.prepare)(&stage).map_err(Failure::Unsupported)?;
    let steps: Vec<_> = [Step::new("GET {key}", Expect::Bulk(None)), Step::new("SET {key} {value}", Expect::Status)]
        .iter()
        .filter_map(|step| Template::new(step, Dialect::Resp, "key:", &[b'x'; 64]))
        .collect();
    let sampler = Sampler::new(Spread::Uniform, options.keys, 1);
    let mut plan = Plan::new(&steps, 1, Keys::Random(&sampler), 1 + nth);
    plan.interval = Some(Duration::from_secs(1) * options.clients / options.rate.max(1));
    let mut victim =
        Load::connect(server.address, Dialect::Resp, options.clients as usize, 1).map_err(Failure::Broken)?;
    std::thread::scope(|scope| {
        let (begin, began) = mpsc::channel();
        let disturber = scope.spawn(|| {
            // The sender lives until the run is over, so an error means that it failed before recording.
            let began = began;
            if began.recv().is_err() { Ok(()) } else { (row.run)(&stage) }
        });
        let span = Duration::from_secs_f64(options.seconds);
        let mut calls = 0;
        let ran = victim.run(&plan, span / 4, span, |_| {
            calls += 1;
            if calls == 1 {
                // The disturber is waiting for it.
                let _ = begin.send(());
            }
            let server = Usage::of(server.pid()).map_or(0, |usage| usage.cpu_ns);
            machine_cpu_ns().saturating_sub(own_cpu_ns() + server)
        });
        stop.store(true, Relaxed);
        drop(begin);
        let disturbed = disturber.join().map_err(|_| Failure::Broken("the disturbance panicked".into()))?;
        disturbed.map_err(Failure::Unsupported)?;
        let (outcome, before, after) = ran.map_err(Failure::Broken)?;
        let at = |quantile| outcome.latency.value_at_quantile(quantile);
        let latency = [at(0.5), at(0.99), at(0.999), outcome.latency.max()];
        Ok((latency, after.saturating_sub(before) as f64 / 1e9 / options.seconds))
    })
}

fn report(samples: &[Sample]) -> Table {
    let mut table =
        Table::new(&["disturbance", "server", "p50", "p99", "p99.9", "(range)", "max", "p99.9 / idle", "max / idle"]);
    let median = |server: &str, name: &str, at: usize| {
        let of = samples.iter().filter(|sample| sample.server == server && sample.name == name);
        Median::of(of.map(|sample| sample.latency[at] as f64))
    };
    for row in DISTURBANCES {
        let mut seen: Vec<&str> = Vec::new();
        for sample in samples.iter().filter(|sample| sample.name == row.name) {
            let server = sample.server.as_str();
            if seen.contains(&server) {
                continue;
            }
            seen.push(server);
            let values = [0, 1, 2, 3].map(|at| median(server, row.name, at).unwrap_or_default());
            let idle = |at: usize| {
                median(server, "idle", at).map_or("-".into(), |idle| format!("{:.1}", values[at].mid / idle.mid))
            };
            table.row(vec![
                row.name.to_owned(),
                server.to_owned(),
                time(values[0].mid),
                time(values[1].mid),
                time(values[2].mid),
                format!("{}-{}", time(values[2].min), time(values[2].max)),
                time(values[3].mid),
                idle(2),
                idle(3),
            ]);
        }
    }
    table
}

impl Stage<'_> {
    /// Sends one command and insists on an answer that is no error.
    fn say(&self, command: &str) -> Result<()> {
        match Client::connect(self.server.address)?.say(command)? {
            Reply::Error(text) => Err(format!("{command}: {text}")),
            _ => Ok(()),
        }
    }

    fn skim(&self, command: &str, pause: Duration) -> Result<()> {
        Client::connect(self.server.address)?.skim(command, pause, self.stop)
    }

    /// Writes keys at a steady rate until the recording ends: those of the keyspace at random, or new ones.
    fn write(&self, prefix: &str) -> Result<()> {
        const CONNECTIONS: usize = 4;
        const PIPELINE: usize = 16;
        let step = Step::new("SET {key} {value}", Expect::Status);
        let steps: Vec<_> = Template::new(&step, Dialect::Resp, prefix, &[b'x'; 64]).into_iter().collect();
        let sampler = Sampler::new(Spread::Uniform, self.options.keys, 2);
        let keys = match prefix {
            "key:" => Keys::Random(&sampler),
            _ => Keys::once(0..1_000_000_000_000),
        };
        let mut plan = Plan::new(&steps, PIPELINE, keys, 3);
        let batch = (CONNECTIONS * PIPELINE) as f64;
        plan.interval = Some(Duration::from_secs_f64(batch / f64::from(self.options.writes.max(1))));
        plan.stop = Some(self.stop);
        let mut load = Load::connect(self.server.address, Dialect::Resp, CONNECTIONS, 1)?;
        load.run(&plan, Duration::ZERO, Duration::from_secs(3600), |_| ())?;
        Ok(())
    }
}

fn nothing(_: &Stage<'_>) -> Result<()> {
    Ok(())
}

/// As many keys as the keyspace has, all to expire at one moment, in the first quarter of the recording.
fn fill_to_expire(stage: &Stage<'_>) -> Result<()> {
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let span = Duration::from_secs_f64(stage.options.seconds);
    // A fill beside a noisy neighbour may take three times as long as the last one did.
    let at = now() + Duration::from_secs(1) + stage.fill * 3 + span / 2;
    let command = format!("SET {{key}} {{value}} PXAT {}", at.as_millis());
    each_key(stage.server, &command, Expect::Status, "exp:", 0..stage.options.keys, 64)?;
    // The victim warms up for a quarter of the span before it is recorded.
    let wait = at.checked_sub(now() + span / 4 + span / 8).ok_or("the keys expired while they were being set")?;
    std::thread::sleep(wait);
    Ok(())
}

/// Leaves memory behind that the server has got already: what is left of growth is the tables'.
fn fill_and_free(stage: &Stage<'_>) -> Result<()> {
    fill_huge_set(stage)?;
    stage.say("DEL huge")?;
    std::thread::sleep(Duration::from_millis(500));
    Ok(())
}

fn fill_huge_set(stage: &Stage<'_>) -> Result<()> {
    // 100 members a command; `{key}` is absent, so each of them adds to the same set.
    let command = format!("SADD huge{}", " {member}".repeat(100));
    each_key(stage.server, &command, Expect::Integer, "key:", 0..stage.options.elements / 100, 0)
}

fn fill_huge_value(stage: &Stage<'_>) -> Result<()> {
    let value = vec![b'x'; stage.options.huge];
    match Client::connect(stage.server.address)?.ask(&[b"SET", b"huge", &value])? {
        Reply::Error(text) => Err(text),
        _ => Ok(()),
    }
}

/// Four clients ask for the huge value and read about 6 MB a second each.
fn read_slowly(stage: &Stage<'_>) -> Result<()> {
    std::thread::scope(|scope| {
        let readers = [(); 4].map(|()| scope.spawn(|| stage.skim("GET huge", Duration::from_millis(10))));
        readers.into_iter().try_for_each(|reader| reader.join().map_err(|_| "a reader panicked".to_owned())?)
    })
}

/// Opens and closes 1,000 connections a second, one PING each.
fn churn(stage: &Stage<'_>) -> Result<()> {
    let start = Instant::now();
    for n in 1.. {
        if stage.stop.load(Relaxed) {
            break;
        }
        let stream = TcpStream::connect(stage.server.address).map_err(|error| error.to_string())?;
        // A reset on close keeps the ports free.
        socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).map_err(|error| error.to_string())?;
        drop(stream);
        stage.say("PING")?;
        std::thread::sleep((Duration::from_millis(2) * n).saturating_sub(start.elapsed()));
    }
    Ok(())
}

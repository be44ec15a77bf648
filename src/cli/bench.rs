//! `bench`: a load generator.
//!
//! Every client is a thread with a connection of its own. With `--rate` requests have a time at which they should be
//! sent, and latency counts from then: a server that stalls is charged for the requests that had to wait (no
//! coordinated omission). Without it a client sends as soon as it has its replies, and latency counts from the sending.

#[path = "bench/mix.rs"]
mod mix;
#[path = "bench/report.rs"]
mod report;

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use hdrhistogram::Histogram;
use indicatif::{ProgressBar, ProgressStyle};

use crate::args::Connect;
use crate::client::{Connection, Target};
use crate::output;
use crate::resp::{Fault, Reply};

use mix::{Generator, Mix};

/// Longest latency that is told apart, in microseconds; longer ones count as this.
const LATENCY_US_MAX: u64 = 60_000_000;

/// How many requests `--fill` sends in one write.
const FILL_BATCH: u64 = 500;

#[derive(Args, Clone, Debug)]
pub struct Bench {
    /// Connections.
    #[arg(short = 'c', long, value_name = "n", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub clients: u64,
    /// Requests in all.
    #[arg(short = 'n', long, value_name = "n", default_value_t = 100_000)]
    pub requests: u64,
    /// Run for this many seconds instead of a number of requests.
    #[arg(long, value_name = "seconds")]
    pub duration: Option<f64>,
    /// Requests that a client sends before it waits for their replies.
    #[arg(short = 'P', long, value_name = "n", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub pipeline: u64,
    /// Requests a second of all clients together; latency then counts from when a request was due.
    #[arg(long, value_name = "n")]
    pub rate: Option<f64>,
    /// Commands with their weights.
    #[arg(short = 't', long, value_name = "mix", default_value = "get=80,set=20")]
    pub mix: String,
    /// Keys that requests choose from.
    #[arg(short = 'k', long, value_name = "n", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub keys: u64,
    /// Exponent of a Zipf distribution over the keys; 0: all keys alike.
    #[arg(long, value_name = "exponent", default_value_t = 0.0)]
    pub zipf: f64,
    /// Bytes of a value.
    #[arg(long, value_name = "bytes", default_value_t = 32)]
    pub value_size: usize,
    /// What keys begin with.
    #[arg(long, value_name = "text", default_value = "bench:")]
    pub prefix: String,
    /// Set every key once before the measurement.
    #[arg(long)]
    pub fill: bool,
    /// Seed of the random choices; the same seed gives the same requests.
    #[arg(long, value_name = "n", default_value_t = 1)]
    pub seed: u64,
    /// The result as JSON.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub connect: Connect,
    /// Print help.
    #[arg(long, action = clap::ArgAction::Help)]
    help: Option<bool>,
    /// A command of your own instead of the mix; {key} and {value} are replaced in its words.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

/// What one client, or all of them, measured for one command.
pub struct Measured {
    latency: Histogram<u64>,
    errors: u64,
    first_error: Option<String>,
}

impl Measured {
    fn new() -> Measured {
        let latency = Histogram::new_with_bounds(1, LATENCY_US_MAX, 3).expect("fixed bounds are legal");
        Measured { latency, errors: 0, first_error: None }
    }

    fn add(&mut self, other: Measured) {
        self.latency.add(&other.latency).expect("the same bounds");
        self.errors += other.errors;
        self.first_error = self.first_error.take().or(other.first_error);
    }
}

/// When a client stops, and how far all of them are.
struct Limits {
    /// Requests that may still be begun; counts down.
    left: AtomicU64,
    /// Replies received, for the progress bar.
    done: AtomicU64,
    end: Option<Instant>,
    stopped: AtomicBool,
}

impl Limits {
    /// Takes up to `wanted` requests from those that are left.
    fn take(&self, wanted: u64) -> u64 {
        if self.stopped.load(Ordering::Relaxed) || self.end.is_some_and(|end| Instant::now() >= end) {
            return 0;
        }
        // Relaxed: only the number counts, no other data hangs on it.
        let taken = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| Some(left - left.min(wanted)));
        taken.unwrap_or(0).min(wanted)
    }
}

/// Runs the load and prints the result.
///
/// # Errors
/// The line for standard error.
pub fn run(target: &Target, options: &Bench) -> Result<(), String> {
    let mix = match options.command.is_empty() {
        true => Mix::parse(&options.mix)?,
        false => Mix::single(&options.command),
    };
    let mix = Arc::new(mix);
    if options.rate.is_some_and(|rate| rate.is_nan() || rate <= 0.0) || !(0.0..=10.0).contains(&options.zipf) {
        return Err("--rate must be above 0, --zipf between 0 and 10".into());
    }
    let mut first = Connection::log_in(target)?;
    if options.fill {
        fill(&mut first, options)?;
    }
    let connections: Result<Vec<_>, _> = (0..options.clients).map(|_| Connection::log_in(target)).collect();
    let length = crate::script::seconds(options.duration.unwrap_or(0.0));
    let begin = Instant::now();
    let limits = Arc::new(Limits {
        left: AtomicU64::new(if options.duration.is_some() { u64::MAX } else { options.requests }),
        done: AtomicU64::new(0),
        end: options.duration.map(|_| begin + length),
        stopped: AtomicBool::new(false),
    });
    let threads: Vec<_> = (0..)
        .zip(connections?)
        .map(|(number, connection)| {
            let (limits, mix, options) = (Arc::clone(&limits), Arc::clone(&mix), options.clone());
            std::thread::spawn(move || client(connection, number, begin, &limits, &mix, &options))
        })
        .collect();
    let bar = bar(options);
    while threads.iter().any(|thread| !thread.is_finished()) {
        show(&bar, options, &limits, begin);
        std::thread::sleep(Duration::from_millis(50));
    }
    bar.finish_and_clear();
    let mut took = Duration::ZERO;
    let mut measured: Vec<Measured> = mix.names().map(|_| Measured::new()).collect();
    for thread in threads {
        let (results, lived) = thread.join().map_err(|_| "a client thread panicked".to_string())??;
        took = took.max(lived);
        measured.iter_mut().zip(results).for_each(|(all, one)| all.add(one));
    }
    let names: Vec<_> = mix.names().collect();
    let text = match options.json {
        true => report::json(options, &names, &measured, took),
        false => report::table(options, &names, &measured, took, &target.address.to_string()),
    };
    io::stdout().write_all(text.as_bytes()).map_err(output::failed)
}

/// One client's life. Returns what it measured per command of the mix, and when it ended, counted from the begin.
fn client(
    mut connection: Connection,
    number: u64,
    begin: Instant,
    limits: &Limits,
    mix: &Mix,
    options: &Bench,
) -> Result<(Vec<Measured>, Duration), String> {
    let mut generator = Generator::new(options, number);
    let mut measured: Vec<Measured> = mix.names().map(|_| Measured::new()).collect();
    // Each client is due every `pace`, the clients evenly shifted against each other.
    let pace = options.rate.map(|rate| (options.clients * options.pipeline) as f64 / rate);
    let mut kinds = Vec::new();
    for round in 0_u64.. {
        let batch = limits.take(options.pipeline);
        if batch == 0 {
            break;
        }
        let due = match pace {
            Some(pace) => {
                let shift = number as f64 / options.clients as f64;
                let due = begin + Duration::from_secs_f64(pace * (round as f64 + shift));
                if limits.end.is_some_and(|end| due >= end) {
                    break;
                }
                wait_until(due);
                due
            }
            None => Instant::now(),
        };
        kinds.clear();
        for _ in 0..batch {
            let (kind, request) = generator.request(mix);
            kinds.push(kind);
            connection.queue(&request);
        }
        let failed = |fault: Fault| {
            limits.stopped.store(true, Ordering::Relaxed);
            format!("Error: {fault}")
        };
        connection.flush().map_err(|error| failed(Fault::Io(error)))?;
        for kind in &kinds {
            let reply = connection.receive().map_err(failed)?;
            let took = due.elapsed().as_micros() as u64;
            let entry = &mut measured[*kind];
            entry.latency.saturating_record(took.max(1));
            if let Reply::Error(text) = reply {
                entry.errors += 1;
                entry.first_error.get_or_insert_with(|| String::from_utf8_lossy(&text).into_owned());
            }
        }
        limits.done.fetch_add(batch, Ordering::Relaxed);
    }
    Ok((measured, begin.elapsed()))
}

/// Sleeps until shortly before `due` and yields for the rest, since a sleep wakes some 60 us late.
fn wait_until(due: Instant) {
    const SLACK: Duration = Duration::from_micros(100);
    let now = Instant::now();
    if due > now + SLACK {
        std::thread::sleep(due - now - SLACK);
    }
    while Instant::now() < due {
        std::thread::yield_now();
    }
}

fn fill(connection: &mut Connection, options: &Bench) -> Result<(), String> {
    let value = "x".repeat(options.value_size);
    let mut at = 0;
    while at < options.keys {
        let end = (at + FILL_BATCH).min(options.keys);
        let requests: Vec<Vec<String>> =
            (at..end).map(|key| vec!["SET".into(), format!("{}{key}", options.prefix), value.clone()]).collect();
        let replies = connection.call_all(&requests).map_err(|fault| format!("Error: {fault}"))?;
        if let Some(error) = replies.iter().find(|reply| reply.is_error()) {
            return Err(format!("--fill: {}", error.text()));
        }
        at = end;
    }
    Ok(())
}

fn bar(options: &Bench) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = match options.duration {
        Some(seconds) => ProgressBar::new((seconds * 1e3) as u64),
        None => ProgressBar::new(options.requests),
    };
    let template = "{bar:40} {percent:>3} %  {msg}  {elapsed}";
    bar.with_style(ProgressStyle::with_template(template).expect("a fixed template"))
}

fn show(bar: &ProgressBar, options: &Bench, limits: &Limits, begin: Instant) {
    let (done, elapsed) = (limits.done.load(Ordering::Relaxed), begin.elapsed());
    bar.set_position(if options.duration.is_some() { elapsed.as_millis() as u64 } else { done });
    bar.set_message(format!("{:.0} requests/s", done as f64 / elapsed.as_secs_f64().max(1e-3)));
}

//! How long do keys outlive their time, and what does it cost to remove them?
//!
//! Keys are filled in whose deadlines are spread evenly over a span of time, in no order. While it passes, DBSIZE says
//! how many are there; how many should be is known. The lag is for how long there should have been fewer: it is
//! counted from the deadline of the first key that has not been removed, if they were removed in order. CPU time is the
//! server's from the first deadline to the last removal, with 20 DBSIZE a second in it.
//!
//!     cargo bench --bench expiry -- --servers sharded,channel,redis --span 60

#[path = "harness/mod.rs"]
mod harness;

use std::process::ExitCode;
use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Parser;

use harness::Result;
use harness::client::Client;
use harness::keys::scatter;
use harness::process::{Usage, machine_cpu_ns, own_cpu_ns};
use harness::server::{self, Server};
use harness::shared::Shared;
use harness::stats::{Median, rate, short, time};
use harness::table::Table;

/// Measures how long keys outlive their deadlines, and the CPU time of removing them.
#[derive(Debug, Parser)]
#[command(name = "expiry")]
struct Options {
    /// Keys that expire.
    #[arg(long, default_value_t = 1_000_000)]
    keys: u64,
    /// Seconds over which their deadlines are spread.
    #[arg(long, default_value_t = 60.0)]
    span: f64,
    /// Seconds before the first deadline, in which the keys are filled in.
    #[arg(long, default_value_t = 20.0)]
    lead: f64,
    /// Seconds that the server may take after the last deadline.
    #[arg(long, default_value_t = 30.0)]
    patience: f64,
    /// Times each server is measured; medians are shown.
    #[arg(long, default_value_t = 1)]
    rounds: usize,
    #[command(flatten)]
    shared: Shared,
}

/// Milliseconds between two questions.
const INTERVAL_MS: u64 = 50;

/// Requests in a batch of the fill.
const BATCH: u64 = 500;

/// When the keys expire: the one with rank `r` at `start_ms + (r + 1) * span_ms / keys`.
struct Schedule {
    keys: u64,
    start_ms: u64,
    span_ms: u64,
}

struct Sample {
    /// In ms, one a question.
    lags: Vec<f64>,
    /// From the last deadline until nothing was left, in ms.
    gone_ms: f64,
    /// Keys that were left when the patience was over.
    left: u64,
    cpu_ns: u64,
    /// Cores that other processes used meanwhile.
    others: f64,
}

fn main() -> ExitCode {
    server::launch_if_asked();
    let mut options = Options::parse();
    if options.shared.quick {
        options.keys = options.keys.min(20_000);
        (options.span, options.lead, options.patience) = (1.0, 2.0, 5.0);
    }
    options.shared.run("expiry", || run(&options))
}

fn run(options: &Options) -> Result<()> {
    let (specs, conditions) = options.shared.specs("expiry")?;
    let mut table = Table::new(&[
        "server",
        "lag p50",
        "p99",
        "max",
        "last key gone after",
        "left",
        "CPU time",
        "us a key",
        "(range)",
        "others' cores",
    ]);
    let mut samples: Vec<Vec<Sample>> = specs.iter().map(|_| Vec::new()).collect();
    for _ in 0..options.rounds {
        for (spec, samples) in specs.iter().zip(&mut samples) {
            let server = options.shared.start(spec)?;
            let sample =
                measure(&server, options).map_err(|error| format!("{}: {error}\n{}", spec.name, server.log_end()))?;
            eprintln!("{}: lag p99 {}, {} left", spec.name, ms(sample.lag(0.99)), sample.left);
            samples.push(sample);
        }
    }
    for (spec, samples) in specs.iter().zip(&samples) {
        let median = |of: &dyn Fn(&Sample) -> f64| Median::of(samples.iter().map(of)).unwrap_or_default();
        let each = median(&|sample| sample.cpu_ns as f64 / 1e3 / options.keys as f64);
        let left = samples.iter().map(|sample| sample.left).max().unwrap_or_default();
        table.row(vec![
            spec.name.clone(),
            ms(median(&|sample| sample.lag(0.5)).mid),
            ms(median(&|sample| sample.lag(0.99)).mid),
            ms(median(&|sample| sample.lag(1.0)).mid),
            if left > 0 { "-".into() } else { ms(median(&|sample| sample.gone_ms).mid) },
            left.to_string(),
            time(median(&|sample| sample.cpu_ns as f64).mid),
            short(each.mid),
            format!("{}-{}", short(each.min), short(each.max)),
            format!("{:.2}", median(&|sample| sample.others).mid),
        ]);
    }
    println!("\n{}", table.text(1));
    let body = format!(
        "* {} keys of 16 B with values of 32 B whose deadlines are spread over {} s; DBSIZE every {INTERVAL_MS} ms; {} \
         rounds, medians, each on a fresh server\n\n{}",
        rate(options.keys as f64),
        options.span,
        options.rounds,
        table.markdown(1)
    );
    options.shared.report("expiry", "How long keys outlive their time", &conditions, &body)
}

fn measure(server: &Server, options: &Options) -> Result<Sample> {
    let millis = |seconds: f64| (seconds * 1000.0) as u64;
    let schedule =
        Schedule { keys: options.keys, start_ms: now_ms() + millis(options.lead), span_ms: millis(options.span) };
    let mut client = Client::connect(server.address)?;
    fill(&mut client, &schedule)?;
    let wait = schedule.start_ms.checked_sub(now_ms()).ok_or("the fill took longer than --lead")?;
    sleep(Duration::from_millis(wait));
    let usage = || -> Result<(u64, u64)> {
        let server = Usage::of(server.pid())?.cpu_ns;
        Ok((server, machine_cpu_ns().saturating_sub(server + own_cpu_ns())))
    };
    let before = usage()?;
    let end_ms = schedule.start_ms + schedule.span_ms;
    let mut lags = Vec::new();
    let (mut now, mut left, mut next) = (schedule.start_ms, options.keys, schedule.start_ms);
    while left > 0 && now < end_ms + millis(options.patience) {
        next += INTERVAL_MS;
        sleep(Duration::from_millis(next.saturating_sub(now_ms())));
        // When it is asked: the answer is from a little later, so no lag is overstated.
        now = now_ms();
        left = client.size()?;
        lags.push(schedule.lag_ms(left, now) as f64);
    }
    let after = usage()?;
    let seconds = now.saturating_sub(schedule.start_ms).max(1) as f64 / 1e3;
    Ok(Sample {
        lags,
        gone_ms: now.saturating_sub(end_ms) as f64,
        left,
        cpu_ns: after.0 - before.0,
        others: after.1.saturating_sub(before.1) as f64 / 1e9 / seconds,
    })
}

/// Sets the keys in order; when each expires is in none.
fn fill(client: &mut Client, schedule: &Schedule) -> Result<()> {
    let mut requests = Vec::new();
    for first in (0..schedule.keys).step_by(BATCH as usize) {
        requests.clear();
        let last = schedule.keys.min(first + BATCH);
        for key in first..last {
            let at = schedule.deadline_ms(scatter(key, schedule.keys));
            requests.extend_from_slice(
                format!(
                    "*5\r\n$3\r\nSET\r\n$16\r\nexp:{key:012}\r\n$32\r\n{:x<32}\r\n$4\r\nPXAT\r\n$13\r\n{at:013}\r\n",
                    ""
                )
                .as_bytes(),
            );
        }
        client.pipeline(&requests, (last - first) as usize)?;
    }
    match client.size()? {
        size if size == schedule.keys => Ok(()),
        size => Err(format!("{size} of {} keys are there", schedule.keys)),
    }
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64
}

fn ms(ms: f64) -> String {
    time(ms * 1e6)
}

impl Schedule {
    fn deadline_ms(&self, rank: u64) -> u64 {
        self.start_ms + (rank + 1) * self.span_ms / self.keys
    }

    /// For how long there should have been fewer than `size` keys.
    fn lag_ms(&self, size: u64, now_ms: u64) -> u64 {
        if size == 0 { 0 } else { now_ms.saturating_sub(self.deadline_ms(self.keys - size)) }
    }
}

impl Sample {
    /// The lag that this share of the questions saw at most.
    fn lag(&self, share: f64) -> f64 {
        let mut lags = self.lags.clone();
        lags.sort_by(f64::total_cmp);
        let at = (lags.len() as f64 * share).ceil() as usize;
        lags.get(at.saturating_sub(1)).copied().unwrap_or_default()
    }
}

//! The load generator: closed-loop (or paced) connections on epoll, a batch of requests in one write each.
//!
//! A connection writes `pipeline` requests with one system call, reads until all are answered, checks each reply
//! and records how long the batch took. A paced connection starts one batch each interval instead, and its latency
//! counts from when the batch was due, so that a stalled server cannot hide the requests it kept from being sent.

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::Result;
use super::keys::Sampler;
use super::reply::{Dialect, Expect};
use super::server::Server;
use super::template::{Step, Template};
use super::worker::{Link, Live, RECORD, STOP, WARM, Worker};

/// What to send.
pub struct Plan<'a> {
    pub steps: &'a [Template],
    /// Requests in a batch.
    pub pipeline: usize,
    pub keys: Keys<'a>,
    /// Each connection starts a batch this often; `None`: as soon as the last one is answered.
    pub interval: Option<Duration>,
    /// Ends the run early once it is true.
    pub stop: Option<&'a AtomicBool>,
    pub seed: u64,
}

impl<'a> Plan<'a> {
    /// A plan that sends as fast as it is answered.
    pub fn new(steps: &'a [Template], pipeline: usize, keys: Keys<'a>, seed: u64) -> Self {
        Self { steps, pipeline, keys, interval: None, stop: None, seed }
    }
}

pub enum Keys<'a> {
    Random(&'a Sampler),
    /// Each key from the counter up to `end`, once; the run ends when all are answered.
    Once {
        next: AtomicU64,
        end: u64,
    },
}

impl Keys<'_> {
    pub fn once(range: Range<u64>) -> Self {
        Self::Once { next: AtomicU64::new(range.start), end: range.end }
    }
}

/// What came back. Latencies in ns, one a batch, of the batches answered while recording.
pub struct Outcome {
    pub latency: Histogram<u64>,
    /// Replies over the whole run, warm-up and end included.
    pub answered: u64,
    /// Nil among them.
    pub missed: u64,
}

impl Outcome {
    pub fn new() -> Self {
        // Up to a minute, three significant digits: about 200 KiB.
        Self {
            latency: Histogram::new_with_bounds(100, 60_000_000_000, 3).expect("bounds in order"),
            answered: 0,
            missed: 0,
        }
    }

    /// # Errors
    /// When a latency does not fit; the histograms are alike, so none does not.
    pub fn add(&mut self, other: &Self) -> Result<()> {
        self.answered += other.answered;
        self.missed += other.missed;
        self.latency.add(&other.latency).map_err(|error| error.to_string())
    }
}

/// Open connections to one server, dealt to the generator's threads.
pub struct Load {
    threads: Vec<Vec<Link>>,
}

impl Load {
    /// Opens `clients` connections.
    ///
    /// # Errors
    /// A refused connection, or too few file descriptors.
    pub fn connect(address: SocketAddr, dialect: Dialect, clients: usize, threads: usize) -> Result<Self> {
        let threads = threads.clamp(1, clients.max(1));
        let mut dealt: Vec<Vec<Link>> = (0..threads).map(|_| Vec::new()).collect();
        for n in 0..clients {
            let link = Link::connect(address, dialect).map_err(|error| format!("connection {n}: {error}"))?;
            dealt[n % threads].push(link);
        }
        Ok(Self { threads: dealt })
    }

    /// Runs `plan`: discards `warm_up`, then records for `span`, then waits for the outstanding replies.
    ///
    /// `observe` is called when recording starts and when it ends, with the number of replies so far; it returns
    /// whatever should be compared between the two.
    ///
    /// # Errors
    /// An error reply, a reply of the wrong kind, a closed connection, no answer within 30 s.
    pub fn run<T>(
        &mut self,
        plan: &Plan<'_>,
        warm_up: Duration,
        span: Duration,
        mut observe: impl FnMut(u64) -> T,
    ) -> Result<(Outcome, T, T)> {
        let live = Live { phase: AtomicU8::new(WARM), answered: AtomicU64::new(0), failed: AtomicBool::new(false) };
        std::thread::scope(|scope| {
            let (done, dones) = mpsc::channel();
            for (n, links) in self.threads.iter_mut().enumerate() {
                let (done, live) = (done.clone(), &live);
                let seed = plan.seed.wrapping_add(0x1000 * n as u64);
                scope.spawn(move || {
                    let result = Worker::new(plan, live, seed).run(links);
                    if result.is_err() {
                        live.failed.store(true, Relaxed);
                    }
                    // The main thread waits for every thread's result, so the channel is open.
                    let _ = done.send(result);
                });
            }
            drop(done);
            // A thread that fails, or finishes its keys, wakes the main thread before its time.
            let mut results: Vec<Result<Outcome>> = Vec::new();
            results.extend(dones.recv_timeout(warm_up));
            let before = observe(live.answered.load(Relaxed));
            live.phase.store(RECORD, Relaxed);
            if results.is_empty() {
                results.extend(dones.recv_timeout(span));
            }
            let after = observe(live.answered.load(Relaxed));
            if !matches!(plan.keys, Keys::Once { .. }) || plan.interval.is_some() {
                live.phase.store(STOP, Relaxed);
            }
            results.extend(dones);
            let mut total = Outcome::new();
            for outcome in results {
                total.add(&outcome?)?;
            }
            Ok((total, before, after))
        })
    }

    /// Runs a plan whose keys end; records all of it.
    ///
    /// # Errors
    /// As [`Load::run`], or a number of replies other than the number of keys.
    pub fn run_once(&mut self, plan: &Plan<'_>) -> Result<Outcome> {
        let Keys::Once { next, end } = &plan.keys else {
            return Err("a plan without an end".into());
        };
        let want = end - next.load(Relaxed);
        let (outcome, ..) = self.run(plan, Duration::ZERO, Duration::from_secs(3600), |_| ())?;
        let stopped = plan.stop.is_some_and(|stop| stop.load(Relaxed));
        if outcome.answered != want && !stopped {
            return Err(format!("{} replies for {want} requests", outcome.answered));
        }
        Ok(outcome)
    }

    pub fn clients(&self) -> usize {
        self.threads.iter().map(Vec::len).sum()
    }
}

/// Sends `command` once for each key number in `keys`, over 8 pipelined connections.
///
/// * `value`: bytes in a `{value}`.
///
/// # Errors
/// As [`Load::run_once`], or a command that the server's dialect cannot say.
pub fn each_key(
    server: &Server,
    command: &str,
    expect: Expect,
    prefix: &str,
    keys: Range<u64>,
    value: usize,
) -> Result<()> {
    let template = Template::new(&Step::new(command, expect), server.spec.dialect, prefix, &vec![b'x'; value]);
    let template = template.ok_or_else(|| format!("{} cannot say `{command}`", server.spec.name))?;
    let pipeline = ((1 << 20) / template.len()).clamp(1, 64);
    let steps = [template];
    let plan = Plan::new(&steps, pipeline, Keys::once(keys), 1);
    Load::connect(server.address, server.spec.dialect, 8, 1)?.run_once(&plan)?;
    Ok(())
}

//! The load generator: closed-loop (or paced) connections on epoll, a batch of requests in one write each.
//!
//! A connection writes `pipeline` requests with one system call, reads until all are answered, checks each reply
//! and records how long the batch took. A paced connection starts one batch each interval instead, and its latency
//! counts from when the batch was due, so that a stalled server cannot hide the requests it kept from being sent.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use rustix::event::{Timespec, epoll};

use super::Result;
use super::keys::{Rng, Sampler};
use super::reply::{Dialect, Expect, Scanner};
use super::server::Server;
use super::workload::{Step, Template};

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
        Self {
            steps,
            pipeline,
            keys,
            interval: None,
            stop: None,
            seed,
        }
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
        Self::Once {
            next: AtomicU64::new(range.start),
            end: range.end,
        }
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
        self.latency
            .add(&other.latency)
            .map_err(|error| error.to_string())
    }
}

/// Open connections to one server, dealt to the generator's threads.
pub struct Load {
    threads: Vec<Vec<Link>>,
}

/// Written by the main thread, read by the generator's threads once a wake-up.
struct Live {
    /// `WARM`, `RECORD` or `STOP`.
    phase: AtomicU8,
    /// Replies so far, over all threads.
    answered: AtomicU64,
    /// Set by a thread that failed, so that the others stop.
    failed: AtomicBool,
}

const WARM: u8 = 0;
const RECORD: u8 = 1;
const STOP: u8 = 2;

/// How long outstanding replies may take once no more is sent; bounds a run against a hung server.
const DRAIN_MAX: Duration = Duration::from_secs(30);

impl Load {
    /// Opens `clients` connections.
    ///
    /// # Errors
    /// A refused connection, or too few file descriptors.
    pub fn connect(
        address: SocketAddr,
        dialect: Dialect,
        clients: usize,
        threads: usize,
    ) -> Result<Self> {
        let threads = threads.clamp(1, clients.max(1));
        let mut dealt: Vec<Vec<Link>> = (0..threads).map(|_| Vec::new()).collect();
        for n in 0..clients {
            let link = Link::connect(address, dialect)
                .map_err(|error| format!("connection {n}: {error}"))?;
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
        let live = Live {
            phase: AtomicU8::new(WARM),
            answered: AtomicU64::new(0),
            failed: AtomicBool::new(false),
        };
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
    let step = Step {
        command: command.to_owned(),
        expect,
        weight: 1,
    };
    let template = Template::new(&step, server.spec.dialect, prefix, &vec![b'x'; value]);
    let template =
        template.ok_or_else(|| format!("{} cannot say `{command}`", server.spec.name))?;
    let pipeline = ((1 << 20) / template.len()).clamp(1, 64);
    let steps = [template];
    let plan = Plan::new(&steps, pipeline, Keys::once(keys), 1);
    Load::connect(server.address, server.spec.dialect, 8, 1)?.run_once(&plan)?;
    Ok(())
}

/// One connection.
struct Link {
    /// Its place among its thread's links, which is what epoll reports.
    number: u64,
    stream: TcpStream,
    scanner: Scanner,
    /// The start of an unfinished header line.
    rest: Vec<u8>,
    /// Request bytes that the socket did not take yet.
    unsent: VecDeque<u8>,
    /// Which step each outstanding request was; replies come in this order.
    kinds: Vec<u8>,
    /// How many of them are answered.
    answered: usize,
    /// When the batch was sent, or due.
    since: Instant,
    /// Whether epoll watches for room to write.
    wants_room: bool,
}

impl Link {
    fn connect(address: SocketAddr, dialect: Dialect) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        // A reset on close leaves no TIME_WAIT behind: 10,000 connections a round would run out of ports.
        socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
        Ok(Self {
            number: 0,
            stream,
            scanner: Scanner::new(dialect),
            rest: Vec::new(),
            unsent: VecDeque::new(),
            kinds: Vec::new(),
            answered: 0,
            since: Instant::now(),
            wants_room: false,
        })
    }

    fn is_idle(&self) -> bool {
        self.answered == self.kinds.len()
    }
}

/// One thread of the generator during one run.
struct Worker<'a> {
    plan: &'a Plan<'a>,
    live: &'a Live,
    weights: u32,
    rng: Rng,
    /// The place in a sampler's replayed numbers.
    cursor: usize,
    /// A batch being built.
    out: Vec<u8>,
    /// Where reads go.
    scratch: Vec<u8>,
    outcome: Outcome,
}

impl<'a> Worker<'a> {
    fn new(plan: &'a Plan<'a>, live: &'a Live, seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        Self {
            plan,
            live,
            weights: plan.steps.iter().map(|step| step.weight).sum(),
            cursor: rng.next() as usize >> 1,
            rng,
            out: Vec::new(),
            scratch: vec![0; 256 << 10],
            outcome: Outcome::new(),
        }
    }

    fn run(mut self, links: &mut [Link]) -> Result<Outcome> {
        let text = |error: rustix::io::Errno| format!("epoll: {error}");
        let poll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(text)?;
        for (n, link) in links.iter_mut().enumerate() {
            epoll::add(
                &poll,
                &link.stream,
                epoll::EventData::new_u64(n as u64),
                epoll::EventFlags::IN,
            )
            .map_err(text)?;
            (link.number, link.wants_room) = (n as u64, false);
        }
        // Paced: the links in the order in which their next batches are due. Starts are spread over the interval.
        let mut due: VecDeque<(Instant, usize)> = VecDeque::new();
        // A paced link still waiting for its last batch when the next is due sends it as soon as it can.
        let mut late: Vec<VecDeque<Instant>> = Vec::new();
        let start = Instant::now();
        let mut busy = 0usize;
        match self.plan.interval {
            None => {
                for link in links.iter_mut() {
                    busy += usize::from(self.send(link, Instant::now(), &poll)?);
                }
            }
            Some(interval) => {
                let step = interval / links.len().max(1) as u32;
                due.extend((0..links.len()).map(|n| (start + step * n as u32, n)));
                late = vec![VecDeque::new(); links.len()];
            }
        }
        let mut events: Vec<epoll::Event> = Vec::with_capacity(1024);
        let mut last_reply = Instant::now();
        loop {
            let phase = self.phase();
            if self.live.failed.load(Relaxed) {
                return Err("another thread failed".into());
            }
            let mut wait = Duration::from_millis(100);
            if phase == STOP {
                // Late batches were due before the end; a server that stalled until now still owes them.
                due.clear();
            } else if let Some(interval) = self.plan.interval {
                let now = Instant::now();
                while let Some(&(at, n)) = due.front()
                    && at <= now
                {
                    due.pop_front();
                    due.push_back((at + interval, n));
                    if links[n].is_idle() {
                        busy += usize::from(self.send(&mut links[n], at, &poll)?);
                    } else {
                        late[n].push_back(at);
                    }
                }
                wait = due
                    .front()
                    .map_or(wait, |(at, _)| at.saturating_duration_since(now))
                    .min(wait);
            }
            if busy == 0 && due.is_empty() {
                return Ok(self.outcome);
            }
            events.clear();
            let timeout = Timespec {
                tv_sec: 0,
                tv_nsec: i64::from(wait.subsec_nanos()),
            };
            match epoll::wait(
                &poll,
                rustix::buffer::spare_capacity(&mut events),
                Some(&timeout),
            ) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(text(error)),
            }
            if !events.is_empty() {
                last_reply = Instant::now();
            } else if busy > 0 && last_reply.elapsed() > DRAIN_MAX {
                return Err(format!(
                    "{busy} connections have had no answer for {} s",
                    DRAIN_MAX.as_secs()
                ));
            }
            for event in &events {
                let (data, flags) = (event.data, event.flags);
                let n = data.u64() as usize;
                let link = &mut links[n];
                if flags.contains(epoll::EventFlags::OUT) {
                    self.flush(link, &poll)?;
                }
                if !flags.intersects(
                    epoll::EventFlags::IN | epoll::EventFlags::HUP | epoll::EventFlags::ERR,
                ) || !self.receive(link)?
                {
                    continue;
                }
                let now = Instant::now();
                let phase = self.phase();
                let counts = match (&self.plan.keys, self.plan.interval) {
                    (Keys::Once { .. }, _) => true,
                    (_, Some(_)) => phase != WARM,
                    (_, None) => phase == RECORD,
                };
                if counts {
                    self.outcome
                        .latency
                        .saturating_record((now - link.since).as_nanos() as u64);
                }
                busy -= 1;
                let next = match self.plan.interval {
                    None => (phase != STOP).then_some(now),
                    Some(_) => late[n].pop_front(),
                };
                if let Some(since) = next {
                    busy += usize::from(self.send(link, since, &poll)?);
                }
            }
        }
    }

    fn phase(&self) -> u8 {
        let stopped = self.plan.stop.is_some_and(|stop| stop.load(Relaxed));
        if stopped {
            STOP
        } else {
            self.live.phase.load(Relaxed)
        }
    }

    /// Builds and writes one batch. Returns false when there are no more keys.
    fn send(&mut self, link: &mut Link, since: Instant, poll: &OwnedFd) -> Result<bool> {
        let plan = self.plan;
        let mut keys = 0..0;
        if let Keys::Once { next, end } = &plan.keys {
            let first = next.fetch_add(plan.pipeline as u64, Relaxed).min(*end);
            keys = first..(first + plan.pipeline as u64).min(*end);
        }
        let requests = if matches!(plan.keys, Keys::Once { .. }) {
            keys.clone().count()
        } else {
            plan.pipeline
        };
        link.kinds.clear();
        link.answered = 0;
        if requests == 0 {
            return Ok(false);
        }
        self.out.clear();
        for _ in 0..requests {
            let step = self.step();
            link.kinds.push(step as u8);
            let cursor = &mut self.cursor;
            plan.steps[step].write(&mut self.out, &mut self.rng, |rng| match &plan.keys {
                Keys::Random(sampler) => sampler.draw(rng, cursor),
                Keys::Once { .. } => keys.next().unwrap_or(0),
            });
        }
        link.since = since;
        let sent = match link.stream.write(&self.out) {
            Ok(sent) => sent,
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            Err(error) => return Err(format!("write: {error}")),
        };
        if sent < self.out.len() {
            link.unsent.extend(&self.out[sent..]);
            self.watch(link, poll)?;
        }
        Ok(true)
    }

    /// Draws a step by weight.
    fn step(&mut self) -> usize {
        if self.plan.steps.len() == 1 {
            return 0;
        }
        let mut drawn = self.rng.below(u64::from(self.weights)) as u32;
        for (n, step) in self.plan.steps.iter().enumerate() {
            if drawn < step.weight {
                return n;
            }
            drawn -= step.weight;
        }
        0
    }

    /// Writes what the socket takes of the unsent bytes.
    fn flush(&mut self, link: &mut Link, poll: &OwnedFd) -> Result<()> {
        while !link.unsent.is_empty() {
            match link.stream.write(link.unsent.as_slices().0) {
                Ok(sent) => drop(link.unsent.drain(..sent)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(format!("write: {error}")),
            }
        }
        self.watch(link, poll)
    }

    /// Tells epoll whether room to write is of interest.
    fn watch(&self, link: &mut Link, poll: &OwnedFd) -> Result<()> {
        let wants_room = !link.unsent.is_empty();
        if link.wants_room != wants_room {
            link.wants_room = wants_room;
            let room = if wants_room {
                epoll::EventFlags::OUT
            } else {
                epoll::EventFlags::empty()
            };
            epoll::modify(
                poll,
                &link.stream,
                epoll::EventData::new_u64(link.number),
                epoll::EventFlags::IN | room,
            )
            .map_err(|error| format!("epoll: {error}"))?;
        }
        Ok(())
    }

    /// Reads once and counts replies. Returns true when the whole batch is answered.
    fn receive(&mut self, link: &mut Link) -> Result<bool> {
        let held = link.rest.len();
        if self.scratch.len() < held + (64 << 10) {
            return Err("a header line of more than 192 KiB".into());
        }
        self.scratch[..held].copy_from_slice(&link.rest);
        let read = match link.stream.read(&mut self.scratch[held..]) {
            Ok(0) => return Err("the server closed a connection".into()),
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(format!("read: {error}")),
        };
        let filled = &self.scratch[..held + read];
        let (steps, kinds, outcome) = (&self.plan.steps, &link.kinds, &mut self.outcome);
        let before = link.answered;
        let answered = &mut link.answered;
        let used = link.scanner.scan(filled, |kind| {
            let step = kinds
                .get(*answered)
                .ok_or("a reply that nobody asked for")?;
            let expect = steps[usize::from(*step)].expect;
            if !expect.accepts(kind) {
                return Err(format!("the reply is {kind:?} instead of {expect:?}"));
            }
            outcome.missed += u64::from(kind == super::reply::Kind::Nil);
            *answered += 1;
            Ok(())
        })?;
        link.rest.clear();
        link.rest.extend_from_slice(&filled[used..]);
        let new = (link.answered - before) as u64;
        self.outcome.answered += new;
        self.live.answered.fetch_add(new, Relaxed);
        Ok(link.is_idle())
    }
}

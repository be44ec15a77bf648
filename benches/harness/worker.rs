//! One thread of the load generator: connections on epoll, batches out, replies in.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use rustix::event::{Timespec, epoll};

use super::Result;
use super::keys::Rng;
use super::load::{Keys, Outcome, Plan};
use super::reply::{Dialect, Kind, Scanner};

/// Written by the main thread, read by the generator's threads once a wake-up.
pub struct Live {
    /// `WARM`, `RECORD` or `STOP`.
    pub phase: AtomicU8,
    /// Replies so far, over all threads.
    pub answered: AtomicU64,
    /// Set by a thread that failed, so that the others stop.
    pub failed: AtomicBool,
}

pub const WARM: u8 = 0;
pub const RECORD: u8 = 1;
pub const STOP: u8 = 2;

/// How long outstanding replies may take once no more is sent; bounds a run against a hung server.
const DRAIN_MAX: Duration = Duration::from_secs(30);

/// One connection.
pub struct Link {
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
    pub fn connect(address: SocketAddr, dialect: Dialect) -> std::io::Result<Self> {
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
pub struct Worker<'a> {
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
    pub fn new(plan: &'a Plan<'a>, live: &'a Live, seed: u64) -> Self {
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

    pub fn run(mut self, links: &mut [Link]) -> Result<Outcome> {
        let text = |error: rustix::io::Errno| format!("epoll: {error}");
        let poll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(text)?;
        for (n, link) in links.iter_mut().enumerate() {
            epoll::add(&poll, &link.stream, epoll::EventData::new_u64(n as u64), epoll::EventFlags::IN)
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
                wait = due.front().map_or(wait, |(at, _)| at.saturating_duration_since(now)).min(wait);
            }
            if busy == 0 && due.is_empty() {
                return Ok(self.outcome);
            }
            events.clear();
            let timeout = Timespec { tv_sec: 0, tv_nsec: i64::from(wait.subsec_nanos()) };
            match epoll::wait(&poll, rustix::buffer::spare_capacity(&mut events), Some(&timeout)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(text(error)),
            }
            if !events.is_empty() {
                last_reply = Instant::now();
            } else if busy > 0 && last_reply.elapsed() > DRAIN_MAX {
                return Err(format!("{busy} connections have had no answer for {} s", DRAIN_MAX.as_secs()));
            }
            for event in &events {
                let (data, flags) = (event.data, event.flags);
                let n = data.u64() as usize;
                let link = &mut links[n];
                if flags.contains(epoll::EventFlags::OUT) {
                    self.flush(link, &poll)?;
                }
                if !flags.intersects(epoll::EventFlags::IN | epoll::EventFlags::HUP | epoll::EventFlags::ERR)
                    || !self.receive(link)?
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
                    self.outcome.latency.saturating_record((now - link.since).as_nanos() as u64);
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
        if stopped { STOP } else { self.live.phase.load(Relaxed) }
    }

    /// Builds and writes one batch. Returns false when there are no more keys.
    fn send(&mut self, link: &mut Link, since: Instant, poll: &OwnedFd) -> Result<bool> {
        let plan = self.plan;
        let mut keys = 0..0;
        if let Keys::Once { next, end } = &plan.keys {
            let first = next.fetch_add(plan.pipeline as u64, Relaxed).min(*end);
            keys = first..(first + plan.pipeline as u64).min(*end);
        }
        let requests = if matches!(plan.keys, Keys::Once { .. }) { keys.clone().count() } else { plan.pipeline };
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
            let room = if wants_room { epoll::EventFlags::OUT } else { epoll::EventFlags::empty() };
            epoll::modify(poll, &link.stream, epoll::EventData::new_u64(link.number), epoll::EventFlags::IN | room)
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
            let step = kinds.get(*answered).ok_or("a reply that nobody asked for")?;
            let expect = steps[usize::from(*step)].expect;
            if !expect.accepts(kind) {
                return Err(format!("the reply is {kind:?} instead of {expect:?}"));
            }
            outcome.missed += u64::from(kind == Kind::Nil);
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

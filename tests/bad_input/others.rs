//! What other connections, and the machine's memory, notice of one that misbehaves: nothing.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::server::is_optimised;
use crate::support::{Client, Peer, Server};

/// How long another connection waits for its PONG at most, beyond what one of an idle server waits at the same time. What
/// needs every part of the key space at one moment takes half a millisecond of it, and fifty times as long without optimisation.
pub fn pong_max() -> Duration {
    Duration::from_millis(if is_optimised() { 10 } else { 500 })
}

/// By how much a server may grow while it deals with a short input: a thread's first allocations take segments of 8 MiB.
pub const GROWTH_MAX: u64 = 16 << 20;

/// A machine that stands still looks like a slow server, and a thread's first allocation like a large one: what fails
/// so often, does.
const ATTEMPTS: usize = 4;

/// Starts a server of which it is measured what others notice: without huge pages, whose first touch may cost a virtual
/// machine's host 6 ms and more, in which a processor stands still (`docs/benchmarks.md`, growth).
pub fn start(peer: Peer, options: &[&str]) -> Server {
    let small_pages: &[&str] = if peer == Peer::Redis { &[] } else { &["--disable-thp", "yes"] };
    peer.start_with(&[options, small_pages].concat())
}

/// A connection of a server, and one of a server that has nothing else to do.
pub struct Others {
    watcher: Client,
    idle: Client,
    _idle: Server,
}

impl Others {
    /// * `login`: for a server that wants a password; else empty.
    pub fn of(server: &Server, login: &str) -> Self {
        let mut watcher = server.client();
        if !login.is_empty() {
            watcher.check(login, "+OK\r\n");
        }
        let idle = start(server.peer, &[]);
        Self { watcher, idle: idle.client(), _idle: idle }
    }

    /// How much longer a PONG takes than that of an idle server, which is asked at the same time.
    pub fn pong(&mut self) -> Duration {
        self.watcher.send("PING\r\n");
        self.idle.send("PING\r\n");
        self.idle.expect("+PONG\r\n");
        let since = Instant::now();
        self.watcher.expect("+PONG\r\n");
        since.elapsed()
    }

    /// The other connection itself.
    pub fn watcher(&mut self) -> &mut Client {
        &mut self.watcher
    }

    /// Asks again and again while `work` runs; how long the slowest answer took.
    pub fn ask_during(&mut self, work: impl FnOnce() + Send) -> Duration {
        let is_over = AtomicBool::new(false);
        let mut slowest = Duration::ZERO;
        std::thread::scope(|scope| {
            let worker = scope.spawn(|| {
                // The end comes by a panic as well.
                let _over = Tells(&is_over);
                work();
            });
            while !is_over.load(Ordering::Relaxed) {
                slowest = slowest.max(self.pong());
                // Who asks all the time is a load of his own.
                std::thread::sleep(Duration::from_millis(1));
            }
            worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        });
        slowest
    }

    /// Checks that all the while neither other connections nor memory notice it; again if they did. Of redis-server
    /// nothing is measured.
    ///
    /// * `growth`: bytes by which the server may grow.
    pub fn notice_nothing(&mut self, server: &Server, growth: u64, what: &str, mut work: impl FnMut() + Send) {
        if server.peer == Peer::Redis {
            return work();
        }
        retry(what, || self.notice(server, growth, &mut work));
    }

    /// What they notice, if they do.
    fn notice(&mut self, server: &Server, growth: u64, work: impl FnOnce() + Send) -> Result<(), String> {
        let before = server.forget_resident_bytes_max();
        let slowest = self.ask_during(work);
        bounded(slowest, server.resident_bytes_max().saturating_sub(before), growth)
    }
}

/// Whether both are as they should be; otherwise what they are.
pub fn bounded(slowest: Duration, grown: u64, growth: u64) -> Result<(), String> {
    let is_fine = slowest <= pong_max() && grown <= growth;
    let allowed = pong_max();
    if is_fine {
        Ok(())
    } else {
        Err(format!("others waited {slowest:?} of {allowed:?}, grown by {grown} of {growth}"))
    }
}

/// Tries it again where only time or memory were not as they should be.
pub fn retry(what: &str, mut attempt: impl FnMut() -> Result<(), String>) {
    let mut found = Vec::new();
    for _ in 0..ATTEMPTS {
        match attempt() {
            Ok(()) => return,
            Err(error) => found.push(error),
        }
    }
    panic!("{what}: {found:#?}");
}

/// Sets a flag when it is dropped.
struct Tells<'a>(&'a AtomicBool);

impl Drop for Tells<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_server_that_stands_still_is_noticed() {
    let server = start(Peer::Sharded, &[]);
    let noticed = Others::of(&server, "").notice(&server, u64::MAX, || {
        server.signal(Signal::STOP);
        std::thread::sleep(2 * pong_max());
        server.signal(Signal::CONT);
    });
    assert!(noticed.is_err());
}

#[test]
fn a_server_that_grows_is_noticed() {
    let server = start(Peer::Sharded, &[]);
    let noticed = Others::of(&server, "").notice(&server, GROWTH_MAX, || {
        server.client().request(&[b"SET".as_slice(), b"k", &vec![b'x'; 2 * GROWTH_MAX as usize]]);
    });
    assert!(noticed.is_err());
}

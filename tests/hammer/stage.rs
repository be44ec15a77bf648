//! One round: a hundred connections at once, then silence, then the sum of everything.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::account::{self, Finding, Kind};
use crate::link::Life;
use crate::record::{COUNTERS, LISTS, Log, QUEUES, STREAMS, Tick};
use crate::support::Value;
use crate::support::server::PATIENCE;
use crate::{caches, pools, pubsub, streams, trouble};

/// How far a round is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    Run,
    /// Nothing new is made.
    Settle,
    /// Everybody goes home.
    End,
    Never,
}

/// What all workers of a round share.
pub struct Stage {
    pub address: SocketAddr,
    clock: AtomicU64,
    phase: AtomicU8,
    /// Connections that may be killed.
    victims: Mutex<Vec<i64>>,
    complaints: Mutex<Vec<String>>,
    is_heard: AtomicBool,
}

impl Stage {
    pub fn new(address: SocketAddr) -> Self {
        Self {
            address,
            clock: AtomicU64::new(0),
            phase: AtomicU8::new(Phase::Run as u8),
            victims: Mutex::default(),
            complaints: Mutex::default(),
            is_heard: AtomicBool::new(false),
        }
    }

    pub fn tick(&self) -> Tick {
        self.clock.fetch_add(1, Ordering::SeqCst) + 1
    }

    pub fn phase(&self) -> Phase {
        [Phase::Run, Phase::Settle, Phase::End, Phase::Never][self.phase.load(Ordering::SeqCst) as usize]
    }

    pub fn admit(&self, id: i64) {
        self.victims.lock().expect("nobody panics here").push(id);
    }

    pub fn dismiss(&self, id: i64) {
        self.victims.lock().expect("nobody panics here").retain(|&it| it != id);
    }

    pub fn victim(&self, random: &mut fastrand::Rng) -> Option<i64> {
        let victims = self.victims.lock().expect("nobody panics here");
        (!victims.is_empty()).then(|| victims[random.usize(..victims.len())])
    }

    pub fn complain(&self, text: String) {
        self.complaints.lock().expect("nobody panics here").push(text);
    }

    /// Whoever hears everything does so from now on.
    pub fn everything_is_heard(&self) {
        self.is_heard.store(true, Ordering::SeqCst);
    }

    /// A time at which the server has forgotten a connection that is over.
    pub fn over(&self, id: i64) -> Tick {
        if id == 0 {
            // It died before it had a number, and has done nothing.
            return self.tick();
        }
        let mut life = Life::immortal(self, &mut fastrand::Rng::new());
        let since = Instant::now();
        while life.call(&["CLIENT", "LIST", "ID", &id.to_string()]).reply().is_some_and(|list| !list.text().is_empty())
        {
            if since.elapsed() > PATIENCE {
                self.complain(format!("connection {id} is over, and the server does not forget it"));
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        self.tick()
    }

    fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::SeqCst);
    }
}

type Work = fn(&Stage, &mut fastrand::Rng, usize) -> Log;

/// Who makes something, and ends first.
const MAKERS: &[(Work, usize)] =
    &[(pools::produce, 16), (streams::add, 4), (pubsub::publish, 6), (pubsub::increment, 4), (caches::write, 3)];

/// Who takes it, and who disturbs them.
const TAKERS: &[(Work, usize)] = &[
    (pools::consume, 16),
    (pools::consume_reliably, 10),
    (streams::read, 8),
    (streams::consume, 8),
    (pubsub::subscribe, 12),
    (pubsub::monitor, 1),
    (pubsub::hear_increments, 4),
    (caches::read, 8),
    (trouble::kill, 1),
    (trouble::unblock, 1),
    (trouble::hold_up, 1),
];

/// What the server holds when everything is over.
#[derive(Debug, Default)]
pub struct Facts {
    /// Events by key and name.
    pub events: HashMap<(String, String), u64>,
    /// Elements that nobody took, by queue: there, or on their way there.
    pub left: Vec<(usize, String)>,
    pub markers: Vec<String>,
    /// IDs and names.
    pub streams: [Vec<(String, String)>; STREAMS.len()],
    pub pending: [i64; STREAMS.len()],
    pub counters: [u64; COUNTERS.len()],
    pub cached: HashMap<usize, String>,
    /// Fields of INFO when nobody is there any more.
    pub info: HashMap<String, String>,
}

/// Runs a round on a server whose databases are empty. Returns what is wrong, and the workers' notes.
///
/// # Panics
/// If the server does not answer.
pub fn round(address: SocketAddr, seed: u64, time: Duration) -> (Vec<Finding>, Vec<Log>) {
    let stage = Stage::new(address);
    let mut random = fastrand::Rng::with_seed(seed);
    let mut admin = Life::immortal(&stage, &mut random);
    for stream in STREAMS {
        assert!(admin.call(&["XGROUP", "CREATE", stream, streams::GROUP, "0", "MKSTREAM"]).succeeded());
    }
    let mut findings = Vec::new();
    let (mut logs, mut facts) = std::thread::scope(|scope| {
        let stage = &stage;
        let mut seed = || fastrand::Rng::with_seed(random.u64(..));
        let mut own = seed();
        let ear = scope.spawn(move || pubsub::hear_everything(stage, &mut own));
        let since = Instant::now();
        while !stage.is_heard.load(Ordering::SeqCst) {
            assert!(since.elapsed() < PATIENCE, "nobody hears");
            std::thread::sleep(Duration::from_millis(1));
        }
        let mut who = 0;
        let mut start = |roles: &[(Work, usize)]| {
            let mut workers = Vec::new();
            for &(work, count) in roles {
                for _ in 0..count {
                    who += 1;
                    let (who, mut random) = (who, seed());
                    workers.push(scope.spawn(move || work(stage, &mut random, who)));
                }
            }
            workers
        };
        let (takers, makers) = (start(TAKERS), start(MAKERS));
        let mut logs = Vec::new();
        let mut finish = |workers: Vec<std::thread::ScopedJoinHandle<'_, Log>>| {
            for worker in workers {
                match worker.join() {
                    Ok(log) => logs.push(log),
                    Err(panic) => findings.push(Finding::new(Kind::Broken, account::text_of(&*panic))),
                }
            }
        };
        std::thread::sleep(time);
        stage.enter(Phase::Settle);
        finish(makers);
        std::thread::sleep(Duration::from_millis(100));
        stage.enter(Phase::End);
        finish(takers);
        if !wait_for_clients(&mut admin, 2) {
            findings.push(Finding::new(Kind::LeftBehind, "connections that are over".into()));
        }
        admin.call(&["PUBLISH", "end", "end"]);
        let events = ear.join().unwrap_or_default();
        (logs, Facts { events, ..Facts::default() })
    });
    logs.push(streams::settle(&stage, &mut random, 0));
    collect(&mut admin, &logs, &mut facts);
    let complaints = std::mem::take(&mut *stage.complaints.lock().expect("nobody panics here"));
    findings.extend(complaints.into_iter().map(|text| Finding::new(Kind::Broken, text)));
    findings.extend(account::check(&logs, &facts));
    (findings, logs)
}

/// Waits until so many clients are connected.
fn wait_for_clients(admin: &mut Life<'_>, count: usize) -> bool {
    let since = Instant::now();
    while info(admin)["connected_clients"] != count.to_string() {
        if since.elapsed() > PATIENCE {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    true
}

fn info(admin: &mut Life<'_>) -> HashMap<String, String> {
    let text = ask(admin, &["INFO", "everything"]).text();
    let fields = text.lines().filter_map(|line| line.split_once(':'));
    fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn ask(admin: &mut Life<'_>, request: &[&str]) -> Value {
    admin.call(request).reply().unwrap_or_else(|| panic!("no answer to {request:?}"))
}

/// Asks the server what is left, and empties it.
fn collect(admin: &mut Life<'_>, logs: &[Log], facts: &mut Facts) {
    let texts = |value: Value| value.items().iter().map(Value::text).collect::<Vec<_>>();
    let mut places: Vec<(String, usize)> =
        QUEUES.iter().enumerate().map(|(queue, &key)| (key.to_owned(), queue)).collect();
    for key in texts(ask(admin, &["KEYS", "stage:*"])) {
        let queue = key.split(':').nth(1).and_then(|queue| queue.parse().ok()).expect("the number of a queue");
        places.push((key, queue));
    }
    for (key, queue) in places {
        let range = if queue < LISTS { "LRANGE" } else { "ZRANGE" };
        let elements = texts(ask(admin, &[range, &key, "0", "-1"]));
        facts.left.extend(elements.into_iter().map(|element| (queue, element)));
    }
    for key in texts(ask(admin, &["KEYS", "own:*"])) {
        let elements = texts(ask(admin, &["LRANGE", &key, "0", "-1"]));
        facts.left.extend(elements.into_iter().map(|element| (0, element)));
    }
    for perhaps in logs.iter().flat_map(|log| &log.perhaps_pushed) {
        if ask(admin, &["EXISTS", &perhaps.marker]) == Value::Int(1) {
            facts.markers.push(perhaps.marker.clone());
        }
    }
    for (number, stream) in STREAMS.iter().enumerate() {
        facts.streams[number] = streams::entries_of(&ask(admin, &["XRANGE", stream, "-", "+"]));
        facts.pending[number] = ask(admin, &["XPENDING", stream, streams::GROUP]).items()[0].int();
    }
    for (number, counter) in COUNTERS.iter().enumerate() {
        let value = ask(admin, &["GET", counter]);
        facts.counters[number] = if value == Value::Nil { 0 } else { value.int() as u64 };
    }
    for (number, _) in logs.iter().flat_map(|log| &log.copies) {
        if let Value::Bulk(value) = ask(admin, &["GET", &caches::key(*number)]) {
            facts.cached.insert(*number, String::from_utf8_lossy(&value).into());
        }
    }
    ask(admin, &["FLUSHALL"]);
    wait_for_clients(admin, 1);
    facts.info = info(admin);
}

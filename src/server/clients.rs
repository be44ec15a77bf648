//! The registry of connections: what CLIENT LIST shows and CLIENT KILL reaches.

// Not the model checker's: these are only reported.
use std::sync::atomic::AtomicU64 as Counter;
use std::time::Instant;

use super::block::{Blocked, End};
use super::gate::Gate;
use super::outbox::{Message, Outbox, Pushed};
use super::pubsub::Subscriptions;
use super::tracking::mode;
use crate::command::Asker;
use crate::config::{Class, Config};
use crate::sync::{Arc, AtomicBool, AtomicU32, AtomicU64, AtomicWaker, Map, Mutex, MutexGuard, Ordering, lock};

/// One connection as others see it. Its own connection writes, anybody reads, all without order between fields.
#[derive(Debug)]
pub struct Client {
    pub id: u64,
    /// The peer's address, or the socket's path and `:0`.
    pub addr: String,
    /// The address that the peer connected to.
    pub laddr: String,
    pub is_local: bool,
    pub connected: Instant,
    pub db: AtomicU32,
    pub resp: AtomicU32,
    /// Milliseconds since the Unix epoch when the last request was read.
    pub last_active: AtomicU64,
    /// Commands queued by MULTI; `u32::MAX` outside of a transaction.
    pub queued: AtomicU32,
    pub watched: AtomicU32,
    /// Bytes of unfinished requests.
    pub query_bytes: AtomicU64,
    pub input_bytes: Counter,
    pub output_bytes: Counter,
    /// Bytes of what it has prepared for HIMPORT SET.
    pub fieldset_bytes: AtomicU64,
    pub commands: Counter,
    /// The last command's index; `u32::MAX` before the first.
    pub last_command: AtomicU32,
    pub no_evict: AtomicBool,
    pub no_touch: AtomicBool,
    pub blocked: Blocked,
    /// What others push to it.
    pub outbox: Outbox,
    /// Channels, patterns and shard channels that it listens to: their numbers.
    pub listening: [AtomicU32; 3],
    is_subscriber: AtomicBool,
    subscriptions: Mutex<Option<Box<Subscriptions>>>,
    pub is_monitor: AtomicBool,
    /// Bits of [`mode`].
    tracking: AtomicU32,
    /// Who is told of changes in its place; written by its own connection.
    redirect: Mutex<Option<Arc<Self>>>,
    texts: Mutex<Texts>,
    is_killed: AtomicBool,
    waker: AtomicWaker,
}

/// What changes seldom.
#[derive(Clone, Debug, Default)]
pub struct Texts {
    pub name: String,
    pub lib_name: String,
    pub lib_ver: String,
}

impl Client {
    /// Ends the connection as soon as it looks.
    pub fn kill(&self) {
        self.is_killed.store(true, Ordering::Release);
        self.blocked.end(End::Gone);
        self.waker.wake();
    }

    pub fn is_killed(&self) -> bool {
        self.is_killed.load(Ordering::Acquire)
    }

    /// What its next command may know of it.
    #[inline]
    pub fn asker(&self) -> Asker {
        Asker { client: self.id, no_touch: self.no_touch.load(Ordering::Relaxed), tracks: self.tracks() }
    }

    /// Makes the connection's task look for news.
    pub fn wake(&self) {
        self.waker.wake();
    }

    /// The connection's task is about to wait: whoever has news wakes it.
    pub fn register(&self, waker: &std::task::Waker) {
        self.waker.register(waker);
    }

    /// Ready once the connection is to end; until then the task is woken when that changes.
    pub fn poll_killed(&self, cx: &mut std::task::Context<'_>) -> std::task::Poll<()> {
        // Registered before looking, so that a kill in between is not missed.
        self.register(cx.waker());
        if self.is_killed() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    }

    /// Pushes a message, which its connection's task sends. A client that has not read too much of it is killed.
    pub fn push(&self, message: Message, config: &Config) -> Pushed {
        let pushed = self.outbox.push(message, config.output_limit(self.class()));
        match pushed {
            Pushed::First => self.wake(),
            Pushed::TooMuch => self.kill(),
            Pushed::Behind | Pushed::Closed => {}
        }
        pushed
    }

    pub fn is_resp3(&self) -> bool {
        self.resp.load(Ordering::Relaxed) == 3
    }

    /// Bits of [`mode`]; 0 when it does not track.
    pub fn tracking_modes(&self) -> u32 {
        self.tracking.load(Ordering::Relaxed)
    }

    /// Whether what the next command reads is to be noted.
    #[inline]
    fn tracks(&self) -> bool {
        let modes = self.tracking_modes();
        modes & mode::ON != 0 && {
            let is_told = modes & mode::CACHING != 0;
            modes & mode::BCAST == 0 && (modes & mode::OPTIN == 0 || is_told) && (modes & mode::OPTOUT == 0 || !is_told)
        }
    }

    /// Whether CLIENT CACHING was given for the next command.
    #[inline]
    pub fn is_caching_told(&self) -> bool {
        self.tracking_modes() & mode::CACHING != 0
    }

    pub fn tell_caching(&self, is_told: bool) {
        if is_told {
            self.tracking.fetch_or(mode::CACHING, Ordering::Relaxed);
        } else {
            self.tracking.fetch_and(!mode::CACHING, Ordering::Relaxed);
        }
    }

    pub(super) fn set_tracking(&self, modes: u32, redirect: Option<Arc<Self>>) {
        *lock(&self.redirect) = redirect;
        self.tracking.store(modes, Ordering::Relaxed);
    }

    pub(super) fn add_tracking_mode(&self, bit: u32) {
        self.tracking.fetch_or(bit, Ordering::Relaxed);
    }

    /// Who is told of changes in its place.
    pub fn redirect(&self) -> Option<Arc<Self>> {
        lock(&self.redirect).clone()
    }

    /// Ready once messages wait or the connection is to end; until then the task is woken when that changes.
    pub fn poll_news(&self, cx: &mut std::task::Context<'_>) -> std::task::Poll<()> {
        // Registered before looking, so that a message in between is not missed.
        if !crate::sync::planted("outbox-looked-at-before-waiting") {
            self.register(cx.waker());
        }
        let is_ready = self.outbox.has_news() || self.is_killed();
        if crate::sync::planted("outbox-looked-at-before-waiting") {
            self.register(cx.waker());
        }
        if is_ready { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    }

    /// Whether it listens to anything: in RESP2 it is in another mode then.
    #[inline]
    pub fn is_subscriber(&self) -> bool {
        self.is_subscriber.load(Ordering::Relaxed)
    }

    /// The class of its output limit.
    pub fn class(&self) -> Class {
        if self.is_subscriber() { Class::Pubsub } else { Class::Normal }
    }

    /// Notes how many channels, patterns and shard channels it listens to.
    pub(super) fn listens(&self, counts: [usize; 3]) {
        for (shown, count) in self.listening.iter().zip(counts) {
            shown.store(count as u32, Ordering::Relaxed);
        }
        self.is_subscriber.store(counts != [0; 3], Ordering::Relaxed);
    }

    /// Runs `f` on what it listens to. Nobody but its own connection asks.
    pub(super) fn with_subscriptions<T>(&self, f: impl FnOnce(&mut Subscriptions) -> T) -> T {
        let mut own = lock(&self.subscriptions);
        let result = f(own.get_or_insert_default());
        if !self.is_subscriber() {
            *own = None;
        }
        result
    }

    pub fn texts(&self) -> Texts {
        self.lock().clone()
    }

    pub fn set_name(&self, name: &str) {
        name.clone_into(&mut self.lock().name);
    }

    pub fn set_library(&self, name: Option<&str>, version: Option<&str>) {
        let mut texts = self.lock();
        if let Some(name) = name {
            name.clone_into(&mut texts.lib_name);
        }
        if let Some(version) = version {
            version.clone_into(&mut texts.lib_ver);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Texts> {
        // Texts are replaced whole, so a panic cannot leave them half written.
        lock(&self.texts)
    }
}

/// All connections, by id.
#[derive(Debug, Default)]
pub struct Clients {
    by_id: Map<u64, Arc<Client>>,
    last_id: AtomicU64,
    pub gate: Gate,
    /// Those that wait in a blocking command.
    pub blocked: AtomicU64,
    /// Those from other machines.
    remote: AtomicU64,
}

impl Clients {
    /// Adds a connection unless there are `max` already, or the server stops.
    pub fn add(&self, addr: String, laddr: String, is_local: bool, max: u64) -> Option<Arc<Client>> {
        if !self.gate.enter(max) {
            return None;
        }
        let id = self.last_id.fetch_add(1, Ordering::Relaxed) + 1;
        let client = Arc::new(Client {
            id,
            addr,
            laddr,
            is_local,
            connected: Instant::now(),
            db: AtomicU32::new(0),
            resp: AtomicU32::new(2),
            last_active: AtomicU64::new(super::now()),
            queued: AtomicU32::new(u32::MAX),
            watched: AtomicU32::new(0),
            query_bytes: AtomicU64::new(0),
            input_bytes: Counter::new(0),
            output_bytes: Counter::new(0),
            fieldset_bytes: AtomicU64::new(0),
            commands: Counter::new(0),
            last_command: AtomicU32::new(u32::MAX),
            no_evict: AtomicBool::new(false),
            no_touch: AtomicBool::new(false),
            blocked: Blocked::default(),
            outbox: Outbox::default(),
            listening: Default::default(),
            is_subscriber: AtomicBool::new(false),
            subscriptions: Mutex::default(),
            is_monitor: AtomicBool::new(false),
            tracking: AtomicU32::new(0),
            redirect: Mutex::default(),
            texts: Mutex::new(Texts::default()),
            is_killed: AtomicBool::new(false),
            waker: AtomicWaker::new(),
        });
        self.by_id.insert(id, Arc::clone(&client));
        self.remote.fetch_add((!is_local).into(), Ordering::Relaxed);
        Some(client)
    }

    pub fn remove(&self, id: u64) {
        if let Some((_, client)) = self.by_id.remove(&id) {
            self.remote.fetch_sub((!client.is_local).into(), Ordering::Relaxed);
            self.gate.leave();
        }
    }

    /// Whether all run on the machine of the server, and share its cores.
    pub fn are_local(&self) -> bool {
        self.remote.load(Ordering::Relaxed) == 0
    }

    pub fn get(&self, id: u64) -> Option<Arc<Client>> {
        self.by_id.get(&id).map(|client| Arc::clone(&client))
    }

    /// All connections, oldest first.
    pub fn list(&self) -> Vec<Arc<Client>> {
        let mut clients: Vec<_> = self.by_id.iter().map(|client| Arc::clone(&client)).collect();
        clients.sort_unstable_by_key(|client| client.id);
        clients
    }

    pub fn len(&self) -> usize {
        self.gate.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Waits until the last connection has ended.
    pub async fn wait_until_empty(&self) {
        self.gate.until_empty().await;
    }

    pub fn wake_all(&self) {
        for client in self.by_id.iter() {
            client.wake();
        }
    }
}

//! What the models share: an engine with two shards, requests as text, and threads that wait as tasks do.
//!
//! The models run the sharded engine itself, with a model checker's locks and cells in place of DashMap's
//! (`kiba::sync`), so what is proven is proven of the code that serves clients. `*.rs` here are loom's models: few threads,
//! every interleaving. `shuttle/*.rs` are shuttle's: many threads, and many interleavings by chance. Without
//! `--cfg kiba_model` there is nothing here: `cargo xtask test` runs both.
#![cfg(kiba_model)]

use std::pin::pin;
use std::task::{Context, Poll, Wake, Waker};

use kiba::config::Config;
use kiba::engine::aside::{Aside, Stage};
use kiba::engine::channel::Channel;
use kiba::engine::sharded::Sharded;
use kiba::engine::wait::{Over, Waiter};
use kiba::engine::{Engine, Transaction, Watching};
use kiba::lexer::{Lexer, Limits};
use kiba::parser::Batch;
use kiba::reply::Reply;
use kiba::server::Server;
use kiba::server::block::End;
use kiba::server::clients::Client;
use kiba::session::Session;
use kiba::store::reaper::Garbage;
use kiba::sync::{Arc, AtomicUsize, Condvar, Mutex, Ordering, Thread, lock};

/// When models with deadlines begin, and a time at which what was set for less than 400 ms is due, whatever the tick.
pub const START: u64 = 1_800_000_000_000;
pub const LATER: u64 = START + 500;

/// An engine with two shards, and a key in each.
pub struct Model<E = Sharded> {
    pub server: Arc<Server>,
    pub engine: E,
}

/// What came of a wait.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    Served(String),
    Ended(End),
    Waits,
}

impl Outcome {
    pub fn of(waiter: &Waiter) -> Self {
        match waiter.cell.over() {
            None => Self::Waits,
            Some(Over::Served(reply)) => Self::Served(written(&reply)),
            Some(Over::Ended(end)) => Self::Ended(end),
        }
    }
}

/// Lets a thread wait as a task does.
#[derive(Default)]
struct Parker {
    is_awake: Mutex<bool>,
    changed: Condvar,
}

impl Wake for Parker {
    fn wake(self: Arc<Self>) {
        *lock(&self.is_awake) = true;
        self.changed.notify_one();
    }
}

/// Waits for a future.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let parker = Arc::<Parker>::default();
    let waker = Waker::from(Arc::clone(&parker));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        let mut is_awake = lock(&parker.is_awake);
        while !*is_awake {
            is_awake = parker.changed.wait(is_awake).expect("models do not poison");
        }
        *is_awake = false;
    }
}

/// Counts how often it is freed.
pub struct Large(pub Arc<AtomicUsize>);

impl Garbage for Large {
    fn is_heavy(&self) -> bool {
        true
    }
}

impl Drop for Large {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Keys of different shards: the first is in shard 0.
pub struct Keys {
    pub a: String,
    pub b: String,
}

impl Model {
    pub fn new() -> Self {
        Self::with("")
    }

    /// An engine with more options, one a line.
    pub fn with(options: &str) -> Self {
        let server = server(options);
        let model = Self { engine: Sharded::new(Arc::clone(&server)), server };
        // Makes the database here: its `OnceLock` is std's, which loom does not know to order anything.
        model.run("EXISTS nothing");
        model
    }

    /// Sweeps as the sweeper's thread does, but for looking once a second in any case, until so many keys have expired.
    /// The time passes, from [`START`] to [`LATER`], when there is something to wait for.
    pub fn sweep_until(&self, expired: u64, sweeper: &Thread) {
        let mut now = START;
        loop {
            let idle = self.engine.sweep(now);
            if self.server.env.expired.load(Ordering::Relaxed) == expired {
                return;
            }
            if idle.as_millis() < 1000 {
                now = LATER;
            } else {
                sweeper.park();
            }
        }
    }
}

impl Model<Channel> {
    /// The channel engine, whose queue holds one message, and its owner, for another thread.
    ///
    /// * `is_left`: whether the owner is wanted elsewhere.
    pub fn with_owner(is_left: impl Fn() -> bool) -> (Self, impl Future<Output = ()>) {
        let server = server("cbound 1");
        let (engine, owner) = Channel::with_owner(Arc::clone(&server), is_left);
        (Self { server, engine }, owner)
    }
}

impl<E: Engine> Model<E> {
    /// Two keys that live in different shards.
    pub fn keys(&self) -> Keys {
        let in_shard = |shard: u64| {
            let mut names = (0..).map(|i| format!("k{i}"));
            names.find(|name| self.server.env.hasher.hash(name.as_bytes()) << 7 >> 63 == shard).expect("endless")
        };
        Keys { a: in_shard(0), b: in_shard(1) }
    }

    /// A connection.
    pub fn client(&self) -> Arc<Client> {
        self.server.clients.add(String::new(), String::new(), true, 100).expect("there is room")
    }

    /// Runs requests, one a line, as one batch; returns the replies' bytes as text.
    pub fn run(&self, text: &str) -> String {
        self.run_in(0, text)
    }

    /// The same in some database.
    pub fn run_in(&self, db: u16, text: &str) -> String {
        self.run_batch(self.batch(text), db)
    }

    /// The same at some time, in milliseconds since the Unix epoch; otherwise it is 0.
    pub fn run_at(&self, now: u64, text: &str) -> String {
        let mut batch = self.batch(text);
        batch.now = now;
        self.run_batch(batch, 0)
    }

    /// The same as a client.
    pub fn run_as(&self, client: &Client, text: &str) -> String {
        let mut batch = self.batch(text);
        batch.asker = client.asker();
        self.run_batch(batch, 0)
    }

    fn run_batch(&self, batch: Box<Batch>, db: u16) -> String {
        let requests = batch.requests.len();
        let (batch, done) = now(self.engine.execute(batch, 0..requests, db)).expect("the engine answers");
        assert_eq!(done, requests);
        written(&batch.reply)
    }

    /// Runs a long command on copies of its keys; its reply.
    pub fn run_aside(&self, request: &str) -> String {
        let (batch, at) = now(self.engine.execute(self.batch(request), 0..1, 0)).expect("the engine answers");
        assert_eq!(at, 0, "not long");
        let mut aside = Box::new(Aside::new(batch, 0, 0));
        while aside.stage() != Stage::Done {
            if aside.stage() == Stage::Work {
                aside.work(&self.server);
            } else {
                aside = now(self.engine.advance(aside)).expect("the engine answers");
            }
        }
        written(&aside.into_batch(&self.server).reply)
    }

    /// Runs a blocking command; its reply, or who waits for it.
    pub fn block(&self, request: &str) -> Result<String, Arc<Waiter>> {
        self.block_as(self.client(), request)
    }

    /// The same as a client.
    pub fn block_as(&self, client: Arc<Client>, request: &str) -> Result<String, Arc<Waiter>> {
        let (batch, waiter) = now(self.engine.block(self.batch(request), 0, 0, client)).expect("the engine answers");
        waiter.map_or_else(|| Ok(written(&batch.reply)), Err)
    }

    /// Runs a blocking command, and waits as long as it takes.
    pub fn wait(&self, client: &Arc<Client>, request: &str) -> Outcome {
        let waiter = match self.block_as(Arc::clone(client), request) {
            Ok(reply) => return Outcome::Served(reply),
            Err(waiter) => waiter,
        };
        block_on(std::future::poll_fn(|cx| {
            client.register(cx.waker());
            if waiter.is_over() { Poll::Ready(()) } else { Poll::Pending }
        }));
        let outcome = Outcome::of(&waiter);
        if matches!(outcome, Outcome::Ended(_)) {
            self.forget(&waiter);
        }
        client.blocked.set(None);
        outcome
    }

    /// Takes somebody whose wait has ended out of the lines.
    pub fn forget(&self, waiter: &Arc<Waiter>) {
        now(self.engine.forget(Arc::clone(waiter)));
    }

    /// Begins to watch a key.
    pub fn watch(&self, key: &str, watching: Watching) -> Watching {
        now(self.engine.watch(self.batch(&format!("WATCH {key}")), 0, 0, watching)).expect("the engine answers").1
    }

    /// Runs requests, one a line, as a transaction; `None` when it was aborted.
    pub fn transact(&self, text: &str, watching: Watching) -> Option<String> {
        let client = self.client();
        let session = Box::new(Session::new(Arc::clone(&client), true));
        let transaction = Box::new(Transaction {
            batch: self.batch(text),
            session,
            watching,
            is_aborted: false,
            sleep: std::time::Duration::ZERO,
        });
        let done = now(self.engine.transact(transaction)).expect("the engine answers");
        self.server.clients.remove(client.id);
        (!done.is_aborted).then(|| written(&done.batch.reply))
    }

    fn batch(&self, text: &str) -> Box<Batch> {
        let mut batch = Box::new(Batch { input: format!("{text}\n").into_bytes(), ..Batch::default() });
        let mut lexer = Lexer::default();
        let limits = Limits::trusted(1 << 20);
        while let Some(spans) = lexer.next(&mut batch.input, &mut batch.spans, &limits).expect("well-formed") {
            batch.push(spans, &self.server.env.hasher);
        }
        batch
    }
}

impl Default for Model {
    fn default() -> Self {
        Self::new()
    }
}

fn server(options: &str) -> Arc<Server> {
    // The unseeded hasher, so that a model explores the same executions every time.
    let text = format!("shards 2\ndatabases 1\nhasher fnv\n{options}");
    Server::new(Arc::new(Config::from_text(&text).expect("a valid configuration")), None)
}

/// The bytes of a reply as text.
pub fn written(reply: &Reply) -> String {
    String::from_utf8(reply.parts().collect::<Vec<_>>().concat()).expect("models write text")
}

/// The result of a future that mostly does not wait: the sharded engine waits only in walks.
fn now<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => block_on(future),
    }
}

//! What the models share: an engine with two shards, and requests as text.
//!
//! The models run the sharded engine itself, with loom's locks and cells in place of DashMap's
//! (`kiba::sync`), so what is proven is proven of the code that serves clients. Without `--cfg kiba_loom` there is nothing
//! here: `cargo xtask test` runs the models.
#![cfg(kiba_loom)]

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use kiba::config::Config;
use kiba::engine::aside::{Aside, Stage};
use kiba::engine::sharded::Sharded;
use kiba::engine::wait::Waiter;
use kiba::engine::{Engine, Transaction, Watching};
use kiba::lexer::{Lexer, Limits};
use kiba::parser::Batch;
use kiba::reply::Reply;
use kiba::server::Server;
use kiba::session::Session;
use kiba::sync::Arc;

/// An engine with two shards, and a key in each.
pub struct Model {
    server: Arc<Server>,
    engine: Sharded,
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
        // The unseeded hasher, so that a model explores the same executions every time.
        let text = format!("shards 2\ndatabases 1\nhasher fnv\n{options}");
        let config = Config::from_text(&text).expect("a valid configuration");
        let server = Server::new(Arc::new(config), None);
        let model = Self { engine: Sharded::new(Arc::clone(&server)), server };
        // Makes the database here: its `OnceLock` is std's, which loom does not know to order anything.
        model.run("EXISTS nothing");
        model
    }

    /// Two keys that live in different shards.
    pub fn keys(&self) -> Keys {
        let in_shard = |shard: u64| {
            let mut names = (0..).map(|i| format!("k{i}"));
            names.find(|name| self.server.env.hasher.hash(name.as_bytes()) << 7 >> 63 == shard).expect("endless")
        };
        Keys { a: in_shard(0), b: in_shard(1) }
    }

    /// Runs requests, one a line, as one batch; returns the replies' bytes as text.
    pub fn run(&self, text: &str) -> String {
        let batch = self.batch(text);
        let requests = batch.requests.len();
        let (batch, done) = now(self.engine.execute(batch, 0..requests, 0)).expect("the engine answers");
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
        let client = self.server.clients.add(String::new(), String::new(), true, 100).expect("there is room");
        let (batch, waiter) = now(self.engine.block(self.batch(request), 0, 0, client)).expect("the engine answers");
        waiter.map_or_else(|| Ok(written(&batch.reply)), Err)
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
        let client = self.server.clients.add(String::new(), String::new(), true, 100).expect("there is room");
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

/// The bytes of a reply as text.
pub fn written(reply: &Reply) -> String {
    String::from_utf8(reply.parts().collect::<Vec<_>>().concat()).expect("models write text")
}

/// The result of a future that never waits: the sharded engine waits only in walks.
fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("the engine waited"),
    }
}

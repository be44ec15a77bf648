//! Engines: who holds the data, and how a batch of requests reaches it.
//!
//! Everything but that is shared: commands, effects and expiry are the same code under both engines, so that both give
//! the same bytes for the same requests.

mod apply;
pub mod aside;
pub mod channel;
pub mod evict;
mod held;
pub(crate) mod mend;
mod serve;
pub mod sharded;
pub mod wait;

use std::future::Future;
use std::ops::Range;
use std::time::Duration;

use self::aside::Aside;
use self::evict::Room;
use self::serve::Ready;
use self::wait::Waiter;

use crate::command::{Arguments, Call, Control, Held, Next, Run};
use crate::fault;
use crate::parser::{Batch, Request, Verdict};
use crate::server::clients::Client;
use crate::server::{Server, Tally};
use crate::session::Session;
use crate::store::table::Table;
use crate::store::watch::Flag;
use crate::store::{Entry, Part, rdb, stream};
use crate::sync::Arc;

/// Replies beyond this many bytes are sent before the batch goes on, so that a batch of large reads
/// never piles them up.
pub const FLUSH: usize = 1 << 20;

/// The engine has stopped, or a command panicked: the connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone;

/// A key that a client watches.
#[derive(Debug)]
pub struct Watched {
    pub db: u16,
    pub hash: u64,
    pub key: Box<[u8]>,
    /// It existed when the watch began; should it expire meanwhile, the transaction is off.
    pub existed: bool,
    /// When it was to expire then.
    pub deadline: Option<u64>,
    /// If it is a stream, what DUMP must still give: changes of what is pending in its groups raise no flag.
    pub payload: Option<Vec<u8>>,
}

/// The keys that a client watches, and the flag that their changes raise.
#[derive(Debug, Default)]
pub struct Watching {
    pub flag: Arc<Flag>,
    pub keys: Vec<Watched>,
}

impl Watching {
    /// Begins to watch a key of `part`.
    fn add(&mut self, part: &mut Part<'_>, key: &[u8], hash: u64, now: u64) {
        if let Some(existed) = part.watch(key, hash, now, &self.flag) {
            let deadline = part.table.find_key(hash, key).and_then(|at| part.table.entry(at).deadline());
            self.keys.push(Watched { db: part.id.db, hash, key: key.into(), existed, deadline, payload: None });
        }
    }
}

/// A transaction on its way through an engine. The session comes along, because queued commands may ask for it.
#[derive(Debug)]
pub struct Transaction {
    /// The queued requests; their replies follow what the batch's reply holds already.
    pub batch: Box<Batch>,
    pub session: Box<Session>,
    pub watching: Watching,
    /// Set when a watched key changed, and nothing was run.
    pub is_aborted: bool,
    /// How long the replies are to wait: DEBUG SLEEP cannot wait while everything is held.
    pub sleep: Duration,
}

/// A holder of data.
///
/// Batches and transactions are passed by value and come back with the replies, so that an engine may send them
/// elsewhere.
pub trait Engine: Send + Sync + 'static {
    /// Runs the data commands `range` of a batch in order against database `db`.
    ///
    /// Returns the batch and the index of the first request that has not run: less than the range's end only when the
    /// replies have reached [`FLUSH`] bytes, when that request is a blocking command ([`Engine::block`]) that may wait or
    /// comes behind others, or a long one ([`Aside`]), or when there may be no memory for it ([`Batch::lacks_room`]).
    fn execute(
        &self,
        batch: Box<Batch>,
        range: Range<usize>,
        db: u16,
    ) -> impl Future<Output = Result<(Box<Batch>, usize), Gone>> + Send;

    /// As [`Engine::execute`], of an engine that runs commands where it is asked: at once, and to the first walk at most.
    /// Nothing from one that does not.
    fn execute_now(&self, _batch: &mut Batch, _range: Range<usize>, _db: u16) -> Option<usize> {
        None
    }

    /// Runs a transaction: nothing that others do happens between its commands.
    fn transact(&self, transaction: Box<Transaction>) -> impl Future<Output = Result<Box<Transaction>, Gone>> + Send;

    /// Begins to watch the keys of request `index` in database `db`.
    fn watch(
        &self,
        batch: Box<Batch>,
        index: usize,
        db: u16,
        watching: Watching,
    ) -> impl Future<Output = Result<(Box<Batch>, Watching), Gone>> + Send;

    /// Runs request `index`, a blocking command, or has the client wait for it in database `db`.
    fn block(
        &self,
        batch: Box<Batch>,
        index: usize,
        db: u16,
        client: Arc<Client>,
    ) -> impl Future<Output = Result<(Box<Batch>, Option<Arc<Waiter>>), Gone>> + Send;

    /// Takes the next step of a long command that needs keys: any but that of working.
    fn advance(&self, aside: Box<Aside>) -> impl Future<Output = Result<Box<Aside>, Gone>> + Send;

    /// Evicts keys for a while if more memory is in use than `maxmemory` allows. What is left goes in the background.
    fn make_room(&self) -> impl Future<Output = Result<Room, Gone>> + Send;

    /// Takes a waiter whose wait has ended out of the lines where it stands.
    fn forget(&self, waiter: Arc<Waiter>) -> impl Future<Output = ()> + Send;

    /// Sees to what a panic of this connection may have left behind.
    fn mend(&self) -> impl Future<Output = ()> + Send;

    /// The name that the option `engine` gives it.
    fn name(&self) -> &'static str;
}

/// Runs a transaction on parts that are held already. Shared by the engines.
fn transact(held: &mut dyn Held, transaction: &mut Transaction, server: &Server, ready: &mut Ready) {
    let Transaction { batch, session, watching, is_aborted, sleep } = transaction;
    let tally = Tally::default();
    *is_aborted = watching.flag.is_raised()
        || !crate::sync::planted("watched-keys-not-locked")
            && watching.keys.iter().any(|watched| {
                let table = held.table(watched.db, watched.hash);
                let found = table.find_key(watched.hash, &watched.key).map(|at| table.entry(at));
                // Expired but not yet removed: nobody has raised the flag.
                match found.filter(|entry| !entry.is_expired(batch.now)) {
                    Some(entry) => watched.payload.as_ref().is_some_and(|payload| is_other_stream(entry, payload)),
                    None => watched.existed,
                }
            });
    if *is_aborted {
        return batch.reply.nil_array();
    }
    let Batch { input, spans, requests, keys, reply, now, .. } = &mut **batch;
    reply.array(requests.len());
    session.is_executing = true;
    for request in requests.iter() {
        fault::point("exec.between");
        let Verdict::Run(command) = request.verdict else { unreachable!("only commands that can run are queued") };
        let spans = &spans[request.spans()];
        let call = Call {
            input,
            spans,
            command,
            now: *now,
            db: session.db,
            asker: session.client.asker(),
            fieldsets: None,
            server,
        };
        reply.set_resp(session.resp);
        reply.begin(Some(command.index));
        match command.spec.run {
            Run::Session(run) | Run::SessionOr(run, _) | Run::SessionElse(run, _) => {
                let mark = reply.mark();
                let next = run(session, &call, reply);
                if let Ok(Next::Sleep(time)) = next {
                    *sleep = sleep.saturating_add(time);
                }
                held::settle(next.map(|_| ()), mark, reply);
            }
            // Nothing to do inside of a transaction; the watch is over by now.
            Run::Control(Control::Unwatch) => reply.ok(),
            _ => {
                let call = Call { fieldsets: session.fieldsets.as_deref(), ..call };
                held::run(held, command, &keys[request.keys()], &call, reply, &tally, ready);
            }
        }
    }
    session.is_executing = false;
    server.stats.add_tally(&tally);
}

/// Whether it is a stream that DUMP gives another payload for.
#[cold]
fn is_other_stream(entry: &Entry, payload: &[u8]) -> bool {
    stream::of(entry).is_some() && rdb::dump(entry, 0) != payload
}

/// The database that is selected after a queued request: SELECT changes it for those that follow.
pub(crate) fn selected(batch: &Batch, request: &Request, db: u16, databases: u16) -> u16 {
    let Verdict::Run(command) = request.verdict else { return db };
    if command.spec.name != "select" {
        return db;
    }
    let arguments = Arguments { input: &batch.input, spans: &batch.spans[request.spans()] };
    arguments.database(1).filter(|&index| index < databases).unwrap_or(db)
}

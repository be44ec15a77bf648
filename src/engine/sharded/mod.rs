//! The sharded engine: every command runs inline on its connection's task, against one shared store, on every core.

mod hot;
pub mod shards;
mod sweeper;

use std::ops::Range;
use std::time::{Duration, Instant};

use smallvec::SmallVec;

use self::shards::{HeldExclusive, Lock, Shards, Unheld};
use super::aside::{self, Aside};
use super::evict::{Evictor, Room, State};
use super::serve::{self, Hold, Ready, Tried};
use super::wait::{Place, Waiter};
use super::{Engine, FLUSH, Gone, Transaction, Watching, held};
use crate::command::{
    Arguments, Call, Command, Entries, Flags, Key, Long, Parts, Progress, ReadManyRun, Run, Step, live, looked_up,
    prune,
};
use crate::fault;
use crate::lexer::Span;
use crate::parser::{Batch, Request, Verdict};
use crate::reply::Reply;
use crate::server::clients::Client;
use crate::server::{Server, Tally};
use crate::store::{Env, PartId, Sought};
use crate::sync::Arc;

/// Requests that are prefetched together: enough to keep the memory busy, few enough that the first line is still in
/// the cache when its turn comes.
const WINDOW: usize = 32;

/// Cache lines of an entry that are prefetched: those of 56 bytes too are in two, seven times out of eight. A small
/// collection in which a member is looked for has more.
const ENTRY_LINES: usize = 2;
const SEARCHED_LINES: usize = 8;

/// Keys that are prefetched together: those of requests with many keys would push each other out of the cache again.
const WINDOW_KEYS: usize = 4 * WINDOW;

/// The engine.
pub struct Sharded {
    server: Arc<Server>,
    shards: Arc<Shards>,
    evictor: Arc<Evictor>,
}

impl Sharded {
    /// Makes the key space. Expired keys stay until they are looked at, unless a sweeper is started.
    pub fn new(server: Arc<Server>) -> Self {
        let shards = Arc::new(Shards::new(server.config.databases() as u16, server.config.shards()));
        Self { server, shards, evictor: Arc::default() }
    }

    /// Starts the thread that removes expired keys when they are due.
    pub fn start_sweeper(self) -> Self {
        sweeper::start(Arc::clone(&self.server), Arc::clone(&self.shards), Arc::clone(&self.evictor));
        self
    }

    /// One round of the sweeper at a time: what is due is removed. Returns how long nothing will be.
    pub fn sweep(&self, now: u64) -> Duration {
        sweeper::sweep(&self.server, &self.shards, || now)
    }

    /// Runs requests until one needs slices (a walk), one may wait, or the replies are large; returns where it stopped.
    fn run(&self, batch: &mut Batch, range: Range<usize>, db: u16) -> usize {
        let Batch { input, spans, requests, keys, reply, now, asker, fieldsets, lacks_room, .. } = batch;
        let fieldsets = fieldsets.as_deref();
        let tally = Tally::default();
        let mut ready = Ready::default();
        let mut at = range.start;
        let calls = &self.server.stats.calls;
        let timed = calls.sample(range.len()).map(|offset| at + offset);
        let is_limited = self.server.config.maxmemory() != 0;
        'windows: while at < range.end {
            let is_alone = range.end - at == 1 && requests[at].keys().len() <= 1;
            let len = if is_alone { 1 } else { self.prefetch(&requests[at..range.end], input, spans, keys, db) };
            let mut lock = Lock::None;
            for request in &requests[at..at + len] {
                let Verdict::Run(command) = request.verdict else { unreachable!("the executor answers the others") };
                if is_limited && at > range.start && command.flags.has(Flags::DENYOOM) && !self.server.has_room() {
                    *lacks_room = true;
                    break 'windows;
                }
                reply.begin(Some(command.index));
                let spans = &spans[request.spans()];
                let call =
                    Call { input, spans, command, now: *now, db, asker: *asker, fieldsets, server: &self.server };
                let begun = (timed == Some(at)).then(Instant::now);
                let has_run = self.run_one(&mut lock, &call, &keys[request.keys()], reply, &tally, &mut ready);
                if let Some(begun) = begun.filter(|_| has_run) {
                    calls.took(command, begun.elapsed());
                }
                if !ready.is_empty() {
                    lock = Lock::None;
                    self.serve(&mut ready);
                }
                if !has_run {
                    break 'windows;
                }
                at += 1;
                if reply.len() >= FLUSH {
                    break 'windows;
                }
            }
        }
        self.server.stats.add_tally(&tally);
        at
    }

    /// Asks ahead for the memory that requests need; returns how many were looked at, which are to run next.
    #[inline(never)]
    fn prefetch(&self, requests: &[Request], input: &[u8], spans: &[Span], keys: &[Key], db: u16) -> usize {
        let first = requests[0].keys().start;
        let fits = |request: &&Request| request.keys().end <= first + WINDOW_KEYS;
        let len = requests.iter().take(WINDOW).take_while(fits).count().max(1);
        let window = &requests[..len];
        let declared = first..window[len - 1].keys().end.min(first + WINDOW_KEYS);
        if declared.len() > 1 {
            let hashes = keys[declared].iter().map(|key| key.hash);
            let one = keys[first];
            if hashes.clone().any(|hash| hash != one.hash) {
                let is_searched = sought(&window[..1], input, spans).next().is_some();
                self.shards.prefetch(db, hashes, if is_searched { SEARCHED_LINES } else { ENTRY_LINES });
            } else if let Some(key) = spans[window[0].spans()].get(one.arg as usize) {
                self.shards.prefetch_members(db, one.hash, key.of(input), sought(window, input, spans));
            }
        }
        len
    }

    /// Runs one request; false when it may wait, is a walk, or is too long to be run here. `lock` is what the last one
    /// of this window left locked, and becomes what this one leaves: a pipeline on one key locks once.
    #[inline]
    fn run_one<'a>(
        &'a self,
        lock: &mut Lock<'a>,
        call: &Call<'_>,
        keys: &[Key],
        reply: &mut Reply,
        tally: &Tally,
        ready: &mut Ready,
    ) -> bool {
        match call.command.spec.run {
            Run::Long(long) => self.run_long(long, lock, call, keys, reply, tally, ready),
            run => self.run_as(run, None, lock, call, keys, reply, tally, ready),
        }
    }

    #[inline(never)]
    #[allow(clippy::too_many_arguments)]
    fn run_long<'a>(
        &'a self,
        long: &'static Long,
        lock: &mut Lock<'a>,
        call: &Call<'_>,
        keys: &[Key],
        reply: &mut Reply,
        tally: &Tally,
        ready: &mut Ready,
    ) -> bool {
        self.run_as(long.run, Some(long), lock, call, keys, reply, tally, ready)
    }

    /// Runs one request, as `run` says; false as for [`Sharded::run_one`].
    ///
    /// * `long`: for a command that may be too long to be run here. Inlined, so that others are not asked.
    #[inline(always)]
    #[allow(clippy::too_many_arguments)]
    fn run_as<'a>(
        &'a self,
        run: Run,
        long: Option<&'static Long>,
        lock: &mut Lock<'a>,
        call: &Call<'_>,
        keys: &[Key],
        reply: &mut Reply,
        tally: &Tally,
        ready: &mut Ready,
    ) -> bool {
        let env = &self.server.env;
        match run {
            Run::Read(run) => {
                let (id, key) = (self.shards.part_of(call.db, keys[0].hash), keys[0]);
                let mark = reply.mark();
                let mut is_counted = false;
                // Who keeps copies itself is noted under the lock, so that it hears of the next change.
                if !call.asker.tracks || crate::sync::planted("copy-read-by-one-who-tracks") {
                    let read = self.shards.hot(id).read(|copy| {
                        let entry = copy.find(key, call, tally, &mut is_counted);
                        entry.map(|entry| held::settle(run(Some(entry), call, reply), mark, reply))
                    });
                    if read.flatten().is_some() {
                        return true;
                    }
                }
                if crate::sync::planted("reader-noted-before-the-lock") {
                    held::remember(keys, call);
                }
                let table = lock.shared(&self.shards, id, env);
                let mut entry = live(table, key, call);
                if let Some(long) = long
                    && aside::is_long(long, &[entry], keys, call)
                {
                    return false;
                }
                if is_counted && let Some(entry) = entry {
                    env.uses().count(entry, call.now);
                }
                looked_up(entry.is_some(), key, call, tally);
                if entry.is_some_and(|entry| entry.must_be_pruned(call.now)) {
                    // It stays locked exclusively, so nothing comes in between.
                    prune(&mut lock.exclusive(&self.shards, id, env).part(), key, call);
                    entry = live(lock.shared(&self.shards, id, env), key, call);
                }
                if !crate::sync::planted("reader-noted-before-the-lock") {
                    held::remember(keys, call);
                }
                fault::point("read.one");
                held::settle(run(entry, call, reply), mark, reply);
                // A copy whose entry has counted on is another one.
                let copy = entry.filter(|_| hot::is_popular(key.hash) || is_counted);
                if let Some(copy) = copy.and_then(|entry| hot::Copy::of(key.hash, entry)) {
                    self.shards.publish(lock, id, copy);
                }
            }
            Run::Write(run) => {
                let id = self.shards.part_of(call.db, keys[0].hash);
                held::write(run, &mut lock.exclusive(&self.shards, id, env).part(), keys[0], call, reply, ready);
            }
            Run::ReadMany(run) => {
                if !crate::sync::planted("pipeline-keeps-its-lock") {
                    *lock = Lock::None;
                }
                return self.read_many(run, long, keys, call, reply, tally);
            }
            Run::WriteMany(run) => {
                *lock = Lock::None;
                let mut parts = self.shards.write_all(self.parts_of(call.db, keys), env);
                if long.is_some_and(|long| aside::is_called_for(long, &parts, keys, call)) {
                    return false;
                }
                held::write_many(run, &mut parts, keys, call, reply, ready);
            }
            Run::Block(block) => {
                *lock = Lock::None;
                if block.may_wait(call.arguments()) {
                    return false;
                }
                if let Some(run) = block.read {
                    return self.read_many(run, None, keys, call, reply, tally);
                }
                let mut parts = self.shards.write_all(self.parts_of(call.db, keys), env);
                return serve::attempt(block, &mut parts, keys, call, reply, ready);
            }
            Run::Whole(run) => {
                *lock = Lock::None;
                let mut parts = self.write_reach(|| self.reach_of_whole(call));
                held::whole(run, &mut parts, call, reply, ready);
            }
            Run::ManyOrWhole { is_whole, many, whole } => {
                *lock = Lock::None;
                if is_whole(call.arguments()) {
                    let mut parts = self.write_reach(|| self.reach_of_whole(call));
                    held::whole_and_keys(whole, &mut parts, keys, call, reply, ready);
                } else {
                    let mut parts = self.shards.write_all(self.parts_of(call.db, keys), env);
                    if long.is_some_and(|long| aside::is_called_for(long, &parts, keys, call)) {
                        return false;
                    }
                    held::write_many(many, &mut parts, keys, call, reply, ready);
                }
            }
            Run::Walk(_) => {
                *lock = Lock::None;
                return false;
            }
            Run::Long(_)
            | Run::Session(_)
            | Run::SessionOr(..)
            | Run::SessionElse(..)
            | Run::Control(_)
            | Run::Container(_) => {
                unreachable!("runs as another, or in the executor")
            }
        }
        true
    }

    /// Reads the keys shared, or exclusively if something within them is due. False when that would be long.
    fn read_many(
        &self,
        run: ReadManyRun,
        long: Option<&'static Long>,
        keys: &[Key],
        call: &Call<'_>,
        reply: &mut Reply,
        tally: &Tally,
    ) -> bool {
        let env = &self.server.env;
        let mark = reply.mark();
        {
            let tables = self.shards.read_all(self.parts_of(call.db, keys), env);
            if long.is_some_and(|long| aside::is_called_for(long, &tables, keys, call)) {
                return false;
            }
            held::remember(keys, call);
            let entries = Entries::new(&tables, keys, call, tally);
            fault::point("read.many.shared");
            held::settle(run(&entries, call, reply), mark, reply);
            if !entries.is_stale() {
                return true;
            }
        }
        reply.rewind(mark);
        let mut parts = self.shards.write_all(self.parts_of(call.db, keys), env);
        held::read_many(run, &mut parts, keys, call, reply, tally);
        true
    }

    #[cold]
    fn serve(&self, ready: &mut Ready) {
        serve::serve(&mut Holder { shards: &self.shards, env: &self.server.env }, &self.server, ready);
    }

    /// Runs a walk slice by slice; others run in between.
    async fn walk(&self, batch: &mut Batch, at: usize, db: u16) {
        let mut progress = Progress::start(batch.reply.resp());
        let mut took = Duration::ZERO;
        loop {
            let begun = Instant::now();
            {
                let Batch { input, spans, requests, reply, now, asker, .. } = &mut *batch;
                let Verdict::Run(command) = requests[at].verdict else { unreachable!("checked by the caller") };
                let Run::Walk(run) = command.spec.run else { unreachable!("checked by the caller") };
                let spans = &spans[requests[at].spans()];
                let call =
                    Call { input, spans, command, now: *now, db, asker: *asker, fieldsets: None, server: &self.server };
                let mark = reply.mark();
                let mut keyspace = Unheld { shards: &self.shards, env: &self.server.env };
                fault::point("walk.slice");
                let step = run(&mut keyspace, &mut progress, &call, reply);
                took += begun.elapsed();
                if !matches!(step, Ok(Step::More)) {
                    self.server.stats.calls.took(command, took);
                    return held::settle(step.map(|_| ()), mark, reply);
                }
            }
            tokio::task::yield_now().await;
        }
    }

    fn parts_of(&self, db: u16, keys: &[Key]) -> SmallVec<[PartId; 16]> {
        keys.iter().filter_map(|key| self.part_of_key(db, key)).collect()
    }

    /// None for a key in a database that does not exist: the command says so before it asks for the key.
    fn part_of_key(&self, db: u16, key: &Key) -> Option<PartId> {
        let db = key.elsewhere.unwrap_or(db);
        (db < self.shards.databases()).then(|| self.shards.part_of(db, key.hash))
    }

    /// Locks what `reach` gives, which may depend on the databases in use: all that are when the last lock has been
    /// taken. One that comes into use later comes after.
    fn write_reach(&self, reach: impl Fn() -> SmallVec<[PartId; 16]>) -> HeldExclusive<'_> {
        loop {
            let used = self.shards.used();
            let parts = self.shards.write_all(reach(), &self.server.env);
            if self.shards.used() == used || crate::sync::planted("databases-counted-once") {
                return parts;
            }
        }
    }

    /// The parts that a command on the whole key space needs.
    fn reach_of_whole(&self, call: &Call<'_>) -> SmallVec<[PartId; 16]> {
        self.shards.all_parts(self.databases_of_whole(call.command, call.arguments(), call.db))
    }

    /// The databases that a command on the whole key space needs: the selected one, those that it names, or all in use.
    fn databases_of_whole(&self, command: &Command, arguments: Arguments<'_>, db: u16) -> SmallVec<[u16; 16]> {
        let all = self.shards.databases();
        if command.flags.has(Flags::NAMED_DATABASES) {
            (1..arguments.len()).filter_map(|i| arguments.database(i)).filter(|&db| db < all).collect()
        } else if command.flags.has(Flags::ALL_DATABASES) {
            (0..all).filter(|&db| self.shards.is_used(db)).collect()
        } else {
            SmallVec::from_slice(&[db])
        }
    }

    /// Every part that a transaction can reach: its keys' and the watched keys'. Where a command needs a whole
    /// database, all parts of all databases that it reaches: one is locked as a whole, or none is.
    fn reach(&self, transaction: &Transaction) -> SmallVec<[PartId; 16]> {
        let batch = &transaction.batch;
        let watched = transaction.watching.keys.iter();
        let mut ids: SmallVec<[PartId; 16]> = if crate::sync::planted("watched-keys-not-locked") {
            SmallVec::new()
        } else {
            watched.map(|watched| self.shards.part_of(watched.db, watched.hash)).collect()
        };
        // None while keys are all that is needed. A command may need no database: what it names does not exist.
        let mut whole: Option<SmallVec<[u16; 16]>> = None;
        let mut db = transaction.session.db;
        for request in &batch.requests {
            let Verdict::Run(command) = request.verdict else { continue };
            db = super::selected(batch, request, db, self.shards.databases());
            ids.extend(batch.keys[request.keys()].iter().filter_map(|key| self.part_of_key(db, key)));
            let arguments = Arguments { input: &batch.input, spans: &batch.spans[request.spans()] };
            let is_whole = match command.spec.run.plain() {
                Run::Walk(_) | Run::Whole(_) => true,
                Run::ManyOrWhole { is_whole, .. } => is_whole(arguments),
                _ => false,
            };
            if is_whole {
                whole.get_or_insert_default().extend(self.databases_of_whole(command, arguments, db));
            }
        }
        let Some(mut whole) = whole else { return ids };
        whole.extend(ids.iter().map(|id| id.db));
        whole.sort_unstable();
        whole.dedup();
        self.shards.all_parts(whole)
    }
}

/// A member, or field, that each of these requests names.
fn sought<'a>(window: &'a [Request], input: &'a [u8], spans: &'a [Span]) -> impl Iterator<Item = Sought<'a>> {
    window.iter().filter_map(move |request| {
        let Verdict::Run(command) = request.verdict else { return None };
        let spans = &spans[request.spans()];
        let (member, score) = match command.flags {
            flags if flags.has(Flags::NAMES_MEMBER) => (spans.get(2)?, None),
            flags if flags.has(Flags::ENDS_WITH_MEMBER) => (spans.last()?, None),
            flags if flags.has(Flags::ENDS_WITH_SCORED) => (spans.last()?, spans.iter().nth_back(1)),
            _ => return None,
        };
        Some(Sought { member: member.of(input), score: score.map(|score| score.of(input)) })
    })
}

impl Engine for Sharded {
    async fn execute(&self, mut batch: Box<Batch>, range: Range<usize>, db: u16) -> Result<(Box<Batch>, usize), Gone> {
        let mut at = range.start;
        loop {
            at = self.run(&mut batch, at..range.end, db);
            if at >= range.end || batch.reply.len() >= FLUSH || !is_walk(&batch.requests[at]) {
                return Ok((batch, at));
            }
            self.walk(&mut batch, at, db).await;
            at += 1;
        }
    }

    fn execute_now(&self, batch: &mut Batch, range: Range<usize>, db: u16) -> Option<usize> {
        Some(self.run(batch, range, db))
    }

    async fn transact(&self, mut transaction: Box<Transaction>) -> Result<Box<Transaction>, Gone> {
        if crate::sync::planted("watch-looked-at-before-locking") && !transaction.watching.flag.is_raised() {
            transaction.watching = Watching::default();
        }
        let mut ready = Ready::default();
        let mut parts = self.write_reach(|| self.reach(&transaction));
        super::transact(&mut parts, &mut transaction, &self.server, &mut ready);
        drop(parts);
        if !ready.is_empty() {
            self.serve(&mut ready);
        }
        Ok(transaction)
    }

    async fn block(
        &self,
        mut batch: Box<Batch>,
        index: usize,
        db: u16,
        client: Arc<Client>,
    ) -> Result<(Box<Batch>, Option<Arc<Waiter>>), Gone> {
        let ids = self.parts_of(db, &batch.keys[batch.requests[index].keys()]);
        let mut ready = Ready::default();
        loop {
            let mut parts = self.shards.write_all(ids.clone(), &self.server.env);
            let tried = serve::block(&mut parts, &mut batch, index, db, &client, &self.server, &mut ready);
            drop(parts);
            if !ready.is_empty() {
                self.serve(&mut ready);
            }
            match tried {
                Tried::Done => return Ok((batch, None)),
                Tried::Waits(waiter) => {
                    if crate::sync::planted("waiter-registered-late") {
                        waiter.waiter().register(&mut self.shards.write_all(ids, &self.server.env));
                    }
                    return Ok((batch, Some(waiter.waiter())));
                }
                Tried::Behind => {}
            }
        }
    }

    async fn advance(&self, mut aside: Box<Aside>) -> Result<Box<Aside>, Gone> {
        let env = &self.server.env;
        if let Some(place) = aside.copied() {
            let id = self.shards.part_of(place.db, place.hash);
            aside.copy(&self.shards.read_all(SmallVec::from_slice(&[id]), env), &self.server);
            return Ok(aside);
        }
        let mut ready = Ready::default();
        {
            let mut parts = self.shards.write_all(self.parts_of(aside.db(), aside.keys()), env);
            aside.step(&mut parts, &self.server, &mut ready);
        }
        if !ready.is_empty() {
            self.serve(&mut ready);
        }
        Ok(aside)
    }

    async fn forget(&self, waiter: Arc<Waiter>) {
        for place in waiter.lines() {
            let ids = SmallVec::from_slice(&[self.shards.part_of(place.db, place.hash)]);
            waiter.leave(place, &mut self.shards.write_all(ids, &self.server.env));
        }
    }

    async fn watch(
        &self,
        batch: Box<Batch>,
        index: usize,
        db: u16,
        mut watching: Watching,
    ) -> Result<(Box<Batch>, Watching), Gone> {
        let request: &Request = &batch.requests[index];
        for key in &batch.keys[request.keys()] {
            let bytes = batch.spans[request.spans()][key.arg as usize].of(&batch.input);
            let mut exclusive = self.shards.write(self.shards.part_of(db, key.hash), &self.server.env);
            watching.add(&mut exclusive.part(), bytes, key.hash, batch.now);
        }
        Ok((batch, watching))
    }

    async fn mend(&self) {
        sweeper::mend(&self.server, &self.shards);
    }

    async fn make_room(&self) -> Result<Room, Gone> {
        let env = &self.server.env;
        let mut ready = Ready::default();
        let room = self.evictor.evict(&mut Unheld { shards: &self.shards, env }, &self.server, &mut ready);
        if !ready.is_empty() {
            self.serve(&mut ready);
        }
        if room.state == State::Partly {
            self.evictor.want();
            env.agenda.wake();
        }
        Ok(room)
    }

    fn name(&self) -> &'static str {
        "sharded"
    }
}

fn is_walk(request: &Request) -> bool {
    matches!(request.verdict, Verdict::Run(command) if matches!(command.spec.run, Run::Walk(_)))
}

/// Holds keys for those who wait.
pub struct Holder<'a> {
    pub shards: &'a Shards,
    pub env: &'a Env,
}

impl Hold for Holder<'_> {
    fn hold(&mut self, places: &[Place], f: &mut dyn FnMut(&mut dyn Parts)) {
        let ids = places.iter().map(|place| self.shards.part_of(place.db, place.hash)).collect();
        f(&mut self.shards.write_all(ids, self.env));
    }
}

//! The task that owns the store of the channel engine.

use std::cell::Cell;
use std::collections::VecDeque;
use std::ops::Range;
use std::time::{Duration, Instant};

use super::Message;
use crate::command::{Call, Flags, Held, Keyspace, Parts, Progress, Run, Step, Tables};
use crate::engine::evict::{Evictor, Room, State};
use crate::engine::serve::{self, Hold, Ready, Tried};
use crate::engine::wait::Place;
use crate::engine::{FLUSH, aside, held, mend};
use crate::fault;
use crate::parser::{Batch, Verdict};
use crate::server::home::Home;
use crate::server::{Server, Tally, now};
use crate::store::table::Raw;
use crate::store::wheel::TICK_MS;
use crate::store::{Env, Part, PartId, Side};
use crate::sync::{Arc, oneshot, planted, queue};

/// Parts with due keys that are looked at between two messages, and records of each: some tens of microseconds.
const DUE_PARTS: usize = 8;
const DUE_RECORDS: usize = 16;

/// One database: as many parts as the sharded engine has, so that cursors mean the same and tables grow in small steps.
type Database = Box<[(Raw, Side)]>;

/// The store, borrowed together with what its parts share.
struct Owned<'a> {
    databases: &'a mut [Option<Database>],
    parts: usize,
    env: &'a Env,
}

/// The owner.
pub struct Owner {
    server: Arc<Server>,
    databases: Vec<Option<Database>>,
    parts: usize,
    /// Batches that are in the middle of a walk: they go on after the next message.
    walking: VecDeque<Walking>,
    evictor: Evictor,
}

/// Why the owner stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    /// The engine is gone.
    Over,
    /// It is wanted on other threads.
    Left,
}

struct Walking {
    batch: Box<Batch>,
    /// The walk's request and the end of what was asked for.
    range: Range<usize>,
    db: u16,
    progress: Progress,
    /// What its slices have taken so far.
    took: Duration,
    answer: oneshot::Sender<(Box<Batch>, usize)>,
}

impl Owner {
    pub fn new(server: Arc<Server>) -> Self {
        let databases = (0..server.config.databases()).map(|_| None).collect();
        let parts = server.config.shards();
        Self { server, databases, parts, walking: VecDeque::new(), evictor: Evictor::default() }
    }

    /// Runs on the threads where tasks are wanted, close to the connections, and wherever they are wanted after that.
    pub fn settle(mut self, mut receiver: queue::Receiver<Message>, home: Arc<Home>) {
        let threads = home.wanted();
        home.handle(threads).clone().spawn(async move {
            if self.run(&mut receiver, || home.wanted() != threads).await == Ended::Left {
                self.settle(receiver, home);
            }
        });
    }

    /// The same for one who runs it himself, until the engine is gone.
    pub async fn run_everywhere(mut self, mut receiver: queue::Receiver<Message>, is_left: impl Fn() -> bool) {
        while self.run(&mut receiver, &is_left).await == Ended::Left {}
    }

    /// Answers messages until the last sender is gone, or the owner is wanted elsewhere.
    async fn run(&mut self, receiver: &mut queue::Receiver<Message>, is_left: impl Fn() -> bool) -> Ended {
        loop {
            if is_left() {
                if planted("owner-leaves-its-walks") {
                    self.walking.clear();
                }
                return Ended::Left;
            }
            let idle = self.time_until_due();
            let message = if self.walking.is_empty() && !idle.is_zero() && !self.evictor.is_wanted() {
                match crate::sync::timeout(idle, receiver.recv()).await {
                    Ok(Some(message)) => Some(message),
                    Ok(None) => return Ended::Over,
                    Err(_) => None,
                }
            } else {
                // Let the connections run, so that a walk or many due keys delay them by one slice at most. A timer would
                // wait for a millisecond each time.
                tokio::task::yield_now().await;
                receiver.try_recv().ok()
            };
            if planted("owner-leaves-with-a-message") && is_left() {
                return Ended::Left;
            }
            // A panic in a command ends its connection, whose answer is dropped, and nothing else.
            let client = Cell::new(message.as_ref().map_or(0, Message::client));
            let outcome = fault::contain(|| {
                if let Some(message) = message {
                    fault::point("owner.message");
                    self.handle(message);
                }
                client.set(self.walking.front().map_or(0, |walking| walking.batch.asker.client));
                self.walk();
                client.set(0);
                self.expire();
                if self.evictor.take_wanted() {
                    self.evict();
                }
            });
            if let Err(panicked) = outcome {
                panicked.report(&self.server, client.get());
                self.mend();
            }
        }
    }

    /// Sees to what a panic may have left behind.
    fn mend(&mut self) {
        let server = Arc::clone(&self.server);
        mend::mend(&mut self.owned(), &server, |owned, ready| serve::serve(owned, &server, ready));
    }

    fn handle(&mut self, message: Message) {
        // An answer that nobody waits for belongs to a connection that has ended; there is nothing to do about it.
        match message {
            Message::Execute { batch, range, db, answer } => self.execute(batch, range, db, answer),
            Message::Transact { mut transaction, answer } => {
                let server = Arc::clone(&self.server);
                let mut ready = Ready::default();
                crate::engine::transact(&mut self.owned(), &mut transaction, &server, &mut ready);
                self.serve(&mut ready);
                let _ = answer.send(transaction);
            }
            Message::Block { mut batch, index, db, client, answer } => {
                let server = Arc::clone(&self.server);
                let mut ready = Ready::default();
                let waiter = loop {
                    let tried = serve::block(&mut self.owned(), &mut batch, index, db, &client, &server, &mut ready);
                    self.serve(&mut ready);
                    match tried {
                        Tried::Done => break None,
                        Tried::Waits(waiter) => break Some(waiter.waiter()),
                        Tried::Behind => {}
                    }
                };
                let _ = answer.send((batch, waiter));
            }
            Message::Advance { mut aside, answer } => {
                let server = Arc::clone(&self.server);
                if aside.copied().is_some() {
                    aside.copy(&self.owned(), &server);
                } else {
                    let mut ready = Ready::default();
                    aside.step(&mut self.owned(), &server, &mut ready);
                    self.serve(&mut ready);
                }
                let _ = answer.send(aside);
            }
            Message::MakeRoom { answer } => {
                let _ = answer.send(self.evict());
            }
            Message::Forget(waiter) => waiter.leave_all(&mut self.owned()),
            Message::Watch { batch, index, db, mut watching, answer } => {
                let request = &batch.requests[index];
                for key in &batch.keys[request.keys()] {
                    let bytes = batch.spans[request.spans()][key.arg as usize].of(&batch.input);
                    watching.add(&mut self.owned().part(db, key.hash), bytes, key.hash, batch.now);
                }
                let _ = answer.send((batch, watching));
            }
        }
    }

    fn execute(
        &mut self,
        mut batch: Box<Batch>,
        range: Range<usize>,
        db: u16,
        answer: oneshot::Sender<(Box<Batch>, usize)>,
    ) {
        let server = Arc::clone(&self.server);
        let tally = Tally::default();
        let mut ready = Ready::default();
        let mut at = range.start;
        let calls = &server.stats.calls;
        let timed = calls.sample(range.len()).map(|offset| at + offset);
        while at < range.end && batch.reply.len() < FLUSH {
            let Batch { input, spans, requests, keys, reply, now, asker, fieldsets, lacks_room, .. } = &mut *batch;
            let fieldsets = fieldsets.as_deref();
            let request = &requests[at];
            let Verdict::Run(command) = request.verdict else { unreachable!("the executor answers the others") };
            // It is asked for the first one too, to which the connection's thread has agreed: only the thread that
            // allocates knows when its leave is used up.
            if command.flags.has(Flags::DENYOOM) && !server.has_room() && at > range.start {
                *lacks_room = true;
                break;
            }
            reply.begin(Some(command.index));
            if matches!(command.spec.run, Run::Walk(_)) {
                let progress = Progress::start(reply.resp());
                let (range, took) = (at..range.end, Duration::ZERO);
                self.walking.push_back(Walking { batch, range, db, progress, took, answer });
                return server.stats.add_tally(&tally);
            }
            let spans = &spans[request.spans()];
            let call = Call { input, spans, command, now: *now, db, asker: *asker, fieldsets, server: &server };
            let keys = &keys[request.keys()];
            if let Run::Long(long) = command.spec.run
                && aside::is_called_for(long, &self.owned(), keys, &call)
            {
                break;
            }
            let block = if let Run::Block(block) = command.spec.run { Some(block) } else { None };
            if block.is_some_and(|block| block.may_wait(call.arguments())) {
                break;
            }
            let begun = (timed == Some(at)).then(Instant::now);
            let has_run = match block.filter(|block| block.read.is_none()) {
                Some(block) => serve::attempt(block, &mut self.owned(), keys, &call, reply, &mut ready),
                None => {
                    held::run(&mut self.owned(), command, keys, &call, reply, &tally, &mut ready);
                    true
                }
            };
            self.serve(&mut ready);
            if !has_run {
                break;
            }
            if let Some(begun) = begun {
                calls.took(command, begun.elapsed());
            }
            at += 1;
        }
        server.stats.add_tally(&tally);
        let _ = answer.send((batch, at));
    }

    /// Runs one slice of the walk that has waited longest.
    fn walk(&mut self) {
        let Some(mut walking) = self.walking.pop_front() else { return };
        let server = Arc::clone(&self.server);
        let at = walking.range.start;
        let Batch { input, spans, requests, reply, now, asker, .. } = &mut *walking.batch;
        let Verdict::Run(command) = requests[at].verdict else { unreachable!("a walk can run") };
        let Run::Walk(run) = command.spec.run else { unreachable!("only walks wait here") };
        let spans = &spans[requests[at].spans()];
        let call =
            Call { input, spans, command, now: *now, db: walking.db, asker: *asker, fieldsets: None, server: &server };
        let mark = reply.mark();
        let begun = Instant::now();
        fault::point("walk.slice");
        let step = run(&mut self.owned(), &mut walking.progress, &call, reply);
        walking.took += begun.elapsed();
        if matches!(step, Ok(Step::More)) {
            return self.walking.push_back(walking);
        }
        server.stats.calls.took(command, walking.took);
        held::settle(step.map(|_| ()), mark, reply);
        self.execute(walking.batch, at + 1..walking.range.end, walking.db, walking.answer);
    }

    /// Evicts for a while; what is left goes between the next messages.
    fn evict(&mut self) -> Room {
        let server = Arc::clone(&self.server);
        let mut ready = Ready::default();
        let mut owned = Owned { databases: &mut self.databases, parts: self.parts, env: &server.env };
        let room = self.evictor.evict(&mut owned, &server, &mut ready);
        self.serve(&mut ready);
        if room.state == State::Partly {
            self.evictor.want();
        }
        room
    }

    fn expire(&mut self) {
        let server = Arc::clone(&self.server);
        let agenda = &server.env.agenda;
        // The clock is read only when something is waiting to expire.
        let Some(next) = agenda.next_tick() else { return };
        let now = now();
        if next > now / TICK_MS {
            return;
        }
        for _ in 0..DUE_PARTS {
            let Some(id) = agenda.pop(now / TICK_MS) else { break };
            // What is left of this part comes up again at once: it is back on the agenda, due.
            let mut owned = self.owned();
            let mut part = owned.at(id);
            fault::point("sweeper.part");
            part.expire(now, DUE_RECORDS);
            part.reschedule();
            let mut ready = Ready::default();
            ready.collect(&mut part);
            self.serve(&mut ready);
        }
    }

    #[inline]
    fn serve(&mut self, ready: &mut Ready) {
        if !ready.is_empty() {
            let server = Arc::clone(&self.server);
            serve::serve(&mut self.owned(), &server, ready);
        }
    }

    fn time_until_due(&self) -> Duration {
        const IDLE: Duration = Duration::from_secs(1);
        let Some(next) = self.server.env.agenda.next_tick() else { return IDLE };
        IDLE.min(Duration::from_millis((next * TICK_MS).saturating_sub(now())))
    }

    fn owned(&mut self) -> Owned<'_> {
        Owned { databases: &mut self.databases, parts: self.parts, env: &self.server.env }
    }
}

impl Owned<'_> {
    fn at(&mut self, id: PartId) -> Part<'_> {
        let database = database(&mut self.databases[usize::from(id.db)], self.parts);
        part(id, &mut database[id.index as usize], self.env)
    }

    /// The part where a hash belongs: the same bits that the sharded engine's map takes.
    fn index(&self, hash: u64) -> usize {
        (hash << 7 >> (64 - self.parts.trailing_zeros())) as usize
    }
}

impl Tables for Owned<'_> {
    fn table(&self, db: u16, hash: u64) -> &Raw {
        static EMPTY: Raw = Raw::new();
        match &self.databases[usize::from(db)] {
            Some(database) => &database[self.index(hash)].0,
            None => &EMPTY,
        }
    }
}

impl Parts for Owned<'_> {
    fn part(&mut self, db: u16, hash: u64) -> Part<'_> {
        let index = self.index(hash) as u32;
        self.at(PartId { db, index })
    }

    fn holds(&self, _: u16, _: u64) -> bool {
        true
    }
}

impl Hold for Owned<'_> {
    fn hold(&mut self, _: &[Place], f: &mut dyn FnMut(&mut dyn Parts)) {
        f(self);
    }
}

impl Keyspace for Owned<'_> {
    fn databases(&self) -> u16 {
        self.databases.len() as u16
    }

    fn parts(&self) -> usize {
        self.parts
    }

    fn is_used(&self, db: u16) -> bool {
        self.databases[usize::from(db)].is_some()
    }

    fn read(&mut self, db: u16, part: usize, visit: &mut dyn FnMut(&Raw, usize)) {
        let part = self.at(PartId { db, index: part as u32 });
        visit(part.table, part.side.volatile as usize);
    }

    fn write(&mut self, db: u16, part: usize, visit: &mut dyn FnMut(Part<'_>)) {
        visit(self.at(PartId { db, index: part as u32 }));
    }
}

impl Held for Owned<'_> {
    fn swap(&mut self, one: u16, other: u16) {
        if one == other {
            return;
        }
        let pair = self.databases.get_disjoint_mut([usize::from(one), usize::from(other)]);
        let [ones, others] = pair.expect("two databases").map(|slot| database(slot, self.parts));
        for (index, (a, b)) in ones.iter_mut().zip(others).enumerate() {
            let ids = [one, other].map(|db| PartId { db, index: index as u32 });
            part(ids[0], a, self.env).swap(&mut part(ids[1], b, self.env));
        }
    }
}

/// A database, which is made when it is first used.
fn database(slot: &mut Option<Database>, parts: usize) -> &mut Database {
    slot.get_or_insert_with(|| (0..parts).map(|_| (Raw::new(), Side::default())).collect())
}

fn part<'a>(id: PartId, (table, side): &'a mut (Raw, Side), env: &'a Env) -> Part<'a> {
    Part { table, side, env, id }
}

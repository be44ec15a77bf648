//! Those who wait in blocking commands, and the hand-over of what they wait for.
//!
//! A waiter stands in the line of each key that it waits for, and owns its request: whoever makes a key ready runs the
//! request again on the waiter's behalf (`serve`). Its [`Cell`] decides between all who want to end the wait: exactly one
//! of them does. Claiming and letting go again happen while all keys of the request are held, so whoever holds one of
//! them never meets a waiter that somebody else has claimed, and none is passed over by mistake.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use smallvec::SmallVec;

use crate::command::{Block, Call, Command, Key, Parts, Waiting};
use crate::lexer::Span;
use crate::parser::{Batch, Verdict};
use crate::reply::Reply;
use crate::server::Server;
use crate::server::block::{End, Wait};
use crate::server::clients::Client;
use crate::store::waits::Who;
use crate::sync::{Arc, AtomicU32, Ordering, Weak};

/// A key in a database, by its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    pub db: u16,
    pub hash: u64,
}

/// How a wait was over.
#[derive(Debug)]
pub enum Over {
    /// With the command's reply.
    Served(Reply),
    Ended(End),
}

/// The state of one wait.
///
/// `WAITING` -> `CLAIMED` -> back, or `DELIVERED`; `WAITING` -> `ENDED`. Who wants the end of a wait that is claimed
/// leaves a wish, which comes true when nothing is delivered.
#[derive(Debug, Default)]
pub struct Cell {
    /// One of the states below, and above it the end that came or is wished for.
    word: AtomicU32,
    /// Written before `DELIVERED`.
    reply: Mutex<Option<Reply>>,
}

const WAITING: u32 = 0;
const CLAIMED: u32 = 1;
const DELIVERED: u32 = 2;
const ENDED: u32 = 3;
const STATE: u32 = 3;

fn with_end(state: u32, how: End) -> u32 {
    state | (how as u32 + 1) << 2
}

fn end_of(word: u32) -> End {
    match word >> 2 {
        1 => End::TimedOut,
        2 => End::Unblocked,
        3 => End::Gone,
        _ => End::Broken,
    }
}

impl Cell {
    /// Takes the right to deliver; `false` when the wait is over.
    fn claim(&self) -> bool {
        if crate::sync::planted("waiter-claimed-without-exchange") {
            let is_free = self.word.load(Ordering::Acquire) == WAITING;
            self.word.store(CLAIMED, Ordering::Release);
            return is_free;
        }
        self.word.compare_exchange(WAITING, CLAIMED, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Ends a claim: here is the reply, whatever else was wished for.
    fn deliver(&self, reply: Reply) {
        *self.reply.lock().unwrap_or_else(PoisonError::into_inner) = Some(reply);
        // An exchange, here and below: wishes are exchanges as well, and all of them have one order.
        self.word.swap(DELIVERED, Ordering::AcqRel);
    }

    /// Ends a claim with nothing delivered; whether the wait goes on.
    fn let_go(&self) -> bool {
        if crate::sync::planted("wish-forgotten") {
            self.word.store(WAITING, Ordering::Release);
            return true;
        }
        let freed = self.word.compare_exchange(CLAIMED, WAITING, Ordering::AcqRel, Ordering::Acquire);
        if let Err(wish) = freed {
            self.word.swap(wish & !STATE | ENDED, Ordering::AcqRel);
        }
        freed.is_ok()
    }

    /// Ends a claim because of a panic.
    fn break_off(&self) {
        self.word.swap(with_end(ENDED, End::Broken), Ordering::AcqRel);
    }

    /// Ends the wait; as [`Wait::end`].
    fn end(&self, how: End) -> bool {
        let mut word = self.word.load(Ordering::Acquire);
        loop {
            let next = match word {
                WAITING => with_end(ENDED, how),
                CLAIMED => with_end(CLAIMED, how),
                // Somebody else's wish: the wait ends anyway.
                _ if word & STATE == CLAIMED => return true,
                _ => return false,
            };
            match self.word.compare_exchange(word, next, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return true,
                Err(other) => word = other,
            }
        }
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.word.load(Ordering::Acquire) & STATE, DELIVERED | ENDED)
    }

    /// How the wait was over, if it is; a reply is given once.
    pub fn over(&self) -> Option<Over> {
        let word = self.word.load(Ordering::Acquire);
        match word & STATE {
            DELIVERED => {
                let reply = self.reply.lock().unwrap_or_else(PoisonError::into_inner).take();
                Some(reply.map_or(Over::Ended(End::Gone), Over::Served))
            }
            ENDED => Some(Over::Ended(end_of(word))),
            _ => None,
        }
    }
}

/// A connection that waits, with its request.
#[derive(Debug)]
pub struct Waiter {
    pub ticket: u64,
    /// When it gives up; never without one.
    pub deadline: Option<Instant>,
    pub cell: Cell,
    client: Arc<Client>,
    /// Nothing but the request, and an empty reply like that of the batch that it came from.
    batch: Batch,
    db: u16,
    block: Block,
    command: &'static Command,
}

impl Wait for Waiter {
    fn end(&self, how: End) -> bool {
        let is_over = self.cell.end(how);
        if is_over {
            self.client.wake();
        }
        is_over
    }
}

/// Room for a short key and an element of an ordinary size, so that the reply does not grow in steps.
const USUAL: usize = 192;

impl Waiter {
    /// A waiter for request `index` of a batch.
    pub(super) fn new(
        batch: &Batch,
        index: usize,
        block: Block,
        how: Waiting,
        db: u16,
        client: Arc<Client>,
        server: &Server,
    ) -> Self {
        let request = &batch.requests[index];
        let Verdict::Run(command) = request.verdict else { unreachable!("the executor answers the others") };
        let mut own = Batch { asker: batch.asker, reply: batch.reply.part(), ..Batch::default() };
        own.push_copy(batch, request, &server.env.hasher);
        for (i, argument) in how.fixed {
            own.spans[i] = Span { start: own.input.len() as u32, len: argument.len() as u32 };
            own.input.extend_from_slice(&argument);
        }
        // What no clock can reach is for ever.
        let deadline = how.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        Self { ticket: server.env.ticket(), deadline, cell: Cell::default(), client, batch: own, db, block, command }
    }

    /// Puts it into the lines of the keys that it waits for, which are held.
    pub(super) fn register(self: &Arc<Self>, parts: &mut dyn Parts) {
        for place in self.lines() {
            let part = parts.part(place.db, place.hash);
            let who: Who = Arc::<Self>::clone(self);
            part.side.waits_or_new().add(place.hash, self.ticket, self.block.wanted, who);
        }
        crate::fault::point("wait.in.line");
        let wait: Weak<Self> = Arc::downgrade(self);
        self.client.blocked.set(Some(wait));
        // Whoever killed the client before that did not find the waiter.
        if self.client.is_killed() {
            self.end(End::Gone);
        }
    }

    /// Takes it out of the line of one key, which is held.
    pub(super) fn leave(&self, place: Place, parts: &mut dyn Parts) {
        if let Some(waits) = parts.part(place.db, place.hash).side.waits() {
            waits.remove(place.hash, self.ticket);
        }
    }

    /// Takes it out of the lines of all its keys, which are held.
    pub(super) fn leave_all(&self, parts: &mut dyn Parts) {
        self.lines().for_each(|place| self.leave(place, parts));
    }

    /// The keys that it waits for.
    pub(super) fn lines(&self) -> impl Iterator<Item = Place> + '_ {
        self.block.waited(self.keys()).iter().map(|key| Place { db: self.db, hash: key.hash })
    }

    /// All keys that its request reaches.
    pub(super) fn reach(&self) -> SmallVec<[Place; 4]> {
        self.keys().iter().map(|key| Place { db: self.db, hash: key.hash }).collect()
    }

    pub(super) fn keys(&self) -> &[Key] {
        &self.batch.keys
    }

    /// The bytes of one of its keys.
    pub(super) fn key(&self, hash: u64) -> &[u8] {
        let key = self.keys().iter().find(|key| key.hash == hash).expect("it stands in the lines of its own keys");
        self.batch.spans[key.arg as usize].of(&self.batch.input)
    }

    pub(super) fn block(&self) -> Block {
        self.block
    }

    pub(super) fn call<'a>(&'a self, now: u64, server: &'a Server) -> Call<'a> {
        let Batch { input, spans, asker, .. } = &self.batch;
        Call { input, spans, command: self.command, now, db: self.db, asker: *asker, fieldsets: None, server }
    }

    /// Takes the right to serve it; `None` when the wait is over.
    pub(super) fn claim(&self) -> Option<Claim<'_>> {
        // Not made in vain: dropping it ends the wait.
        self.cell.claim().then(|| Claim { waiter: self, is_settled: false })
    }

    pub(super) fn fresh_reply(&self) -> Reply {
        let mut reply = self.batch.reply.part();
        reply.reserve(USUAL);
        reply
    }

    pub fn is_over(&self) -> bool {
        self.cell.is_over()
    }

    pub fn wake(&self) {
        self.client.wake();
    }
}

/// The right to serve a waiter. When it is dropped by a panic the wait ends, and the connection with it.
pub(super) struct Claim<'a> {
    waiter: &'a Waiter,
    is_settled: bool,
}

impl Claim<'_> {
    /// Hands over the reply. The connection is to be woken.
    pub fn deliver(mut self, reply: Reply) {
        self.waiter.cell.deliver(reply);
        self.is_settled = true;
    }

    /// There was nothing; whether the wait goes on. If not, the connection is to be woken.
    pub fn let_go(mut self) -> bool {
        self.is_settled = true;
        self.waiter.cell.let_go()
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        if !self.is_settled {
            self.waiter.cell.break_off();
            self.waiter.wake();
        }
    }
}

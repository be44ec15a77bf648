//! Blocking commands: how they are tried, how they get into line, and how ready keys are served.

use std::collections::{HashSet, VecDeque};
use std::time::Instant;

use smallvec::SmallVec;

use super::held;
use super::wait::{Place, Waiter};
use crate::command::{Attempt, Block, Call, Key, Parts, Slots, Turn, Waiting};
use crate::fault;
use crate::parser::{Batch, Verdict};
use crate::reply::Reply;
use crate::server::block::{End, Wait};
use crate::server::clients::Client;
use crate::server::{Server, now};
use crate::store::Part;
use crate::sync::Arc;

/// Keys that changed while somebody waited for them, in order, each once. They are served when the command has let go
/// of everything that it held, before its reply is sent.
#[derive(Debug, Default)]
pub struct Ready(Option<Box<Queue>>);

#[derive(Debug, Default)]
struct Queue {
    places: VecDeque<Place>,
    queued: HashSet<Place, ahash::RandomState>,
}

impl Ready {
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Takes over what is ready in a part.
    #[inline]
    pub fn collect(&mut self, part: &mut Part<'_>) {
        if part.side.has_ready() {
            self.collect_slow(part);
        }
    }

    #[cold]
    fn collect_slow(&mut self, part: &mut Part<'_>) {
        let db = part.id.db;
        let hashes = part.side.waits().map(|waits| waits.take_ready()).unwrap_or_default();
        hashes.into_iter().for_each(|hash| self.add(Place { db, hash }));
    }

    fn add(&mut self, place: Place) {
        let queue = self.0.get_or_insert_default();
        if queue.queued.insert(place) {
            queue.places.push_back(place);
        }
    }

    fn pop(&mut self) -> Option<Place> {
        let queue = self.0.as_mut()?;
        let Some(place) = queue.places.pop_front() else {
            self.0 = None;
            return None;
        };
        queue.queued.remove(&place);
        Some(place)
    }
}

/// Whoever can hold keys exclusively.
pub trait Hold {
    /// Runs `f` while these keys are held.
    fn hold(&mut self, places: &[Place], f: &mut dyn FnMut(&mut dyn Parts));
}

/// What became of a blocking command.
pub enum Tried {
    Done,
    /// It is in line now.
    Waits(InLine),
    /// Others are to be served before.
    Behind,
}

/// Somebody in line whose connection has not heard of it. Dropped by a panic, the wait is over: nobody would take what
/// was given to him.
pub struct InLine(Arc<Waiter>);

impl InLine {
    pub fn waiter(&self) -> Arc<Waiter> {
        Arc::clone(&self.0)
    }
}

impl Drop for InLine {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.end(End::Gone);
        }
    }
}

/// Tries a blocking command on its keys, which are held. False when it has to wait, or others are to be served before.
pub fn attempt(
    block: Block,
    parts: &mut dyn Parts,
    keys: &[Key],
    call: &Call<'_>,
    reply: &mut Reply,
    ready: &mut Ready,
) -> bool {
    unserved(block, parts, keys, call).next().is_none() && run(block, parts, keys, call, reply, ready).is_none()
}

/// Runs a blocking command that may not wait, as in a transaction.
pub fn at_once(
    block: Block,
    parts: &mut dyn Parts,
    keys: &[Key],
    call: &Call<'_>,
    reply: &mut Reply,
    ready: &mut Ready,
) {
    if run(block, parts, keys, call, reply, ready).is_some() {
        block.nothing.write(reply);
    }
}

/// Runs a blocking command on its keys, which are held, and what follows from its changes. Returns how it waits if it
/// has to, and has written nothing then.
fn run(
    block: Block,
    parts: &mut dyn Parts,
    keys: &[Key],
    call: &Call<'_>,
    reply: &mut Reply,
    ready: &mut Ready,
) -> Option<Waiting> {
    let mark = reply.mark();
    held::remember(keys, call);
    let existed = held::existing(parts, keys, call);
    let changing = held::ChangingMany { parts, keys, call };
    let parts = &mut *changing.parts;
    let (effects, waiting) = match (block.attempt)(&mut Slots::new(parts, keys, call), call, Turn::First, reply) {
        Ok(Attempt::Done(effects)) => (effects, None),
        Ok(Attempt::Wait(mut how)) => {
            reply.rewind(mark);
            (std::mem::take(&mut how.effects), Some(how))
        }
        Err(error) => {
            held::settle(Err(error), mark, reply);
            return None;
        }
    };
    held::apply_all(effects, parts, keys, &existed, call, ready);
    waiting
}

/// Tries request `index` of a batch, a blocking command whose keys are held, and puts it into line if it has to wait.
pub fn block(
    parts: &mut dyn Parts,
    batch: &mut Batch,
    index: usize,
    db: u16,
    client: &Arc<Client>,
    server: &Server,
    ready: &mut Ready,
) -> Tried {
    let Batch { input, spans, requests, keys, reply, now, asker, .. } = batch;
    let Verdict::Run(command) = requests[index].verdict else { unreachable!("the executor answers the others") };
    let crate::command::Run::Block(block) = command.spec.run else { unreachable!("only blocking commands wait") };
    let (request, keys) = (&requests[index], &keys[requests[index].keys()]);
    let call =
        Call { input, spans: &spans[request.spans()], command, now: *now, db, asker: *asker, fieldsets: None, server };
    let mut unserved = unserved(block, parts, keys, &call).peekable();
    if unserved.peek().is_some() {
        // Whoever made these keys ready is about to serve them. Doing it as well keeps the order, since who is in line
        // goes first, and needs nobody to wait for.
        unserved.for_each(|place| ready.add(place));
        return Tried::Behind;
    }
    drop(unserved);
    reply.begin(Some(command.index));
    let calls = &server.stats.calls;
    let begun = calls.sample(1).map(|_| Instant::now());
    let waits = run(block, parts, keys, &call, reply, ready);
    if let Some(begun) = begun {
        calls.took(command, begun.elapsed());
    }
    let Some(how) = waits else { return Tried::Done };
    let waiter = InLine(Arc::new(Waiter::new(batch, index, block, how, db, Arc::clone(client), server)));
    if !crate::sync::planted("waiter-registered-late") {
        waiter.0.register(parts);
    }
    fault::point("block.registered");
    Tried::Waits(waiter)
}

/// The keys of a blocking command that are ready for others who came before.
fn unserved(block: Block, parts: &mut dyn Parts, keys: &[Key], call: &Call<'_>) -> std::vec::IntoIter<Place> {
    let mut places = Vec::new();
    for key in block.waited(keys) {
        let part = parts.part(call.db, key.hash);
        if part.side.waits().is_some_and(|waits| waits.is_ready(key.hash)) {
            places.push(Place { db: call.db, hash: key.hash });
        }
    }
    places.into_iter()
}

/// Waiters that are served under one lock, at most: nobody else is to wait for long.
const SERVED_AT_ONCE: usize = 128;

/// Gives what is at the ready keys to those who wait, in the order in which they came; what that makes ready as well.
#[cold]
pub fn serve(holder: &mut dyn Hold, server: &Server, ready: &mut Ready) {
    let now = now();
    fault::point("serve.begin");
    while let Some(place) = ready.pop() {
        let mut after = 0;
        // The next in line, when keys are to be held for him that were not.
        let mut next: Option<Arc<Waiter>> = None;
        let mut is_served = false;
        while !is_served {
            let mut places: SmallVec<[Place; 4]> = next.as_ref().map(|waiter| waiter.reach()).unwrap_or_default();
            places.push(place);
            let mut woken = Woken::default();
            holder.hold(&places, &mut |parts| {
                for _ in 0..SERVED_AT_ONCE {
                    if let Some(waiter) = next.take() {
                        after = waiter.ticket;
                        offer(&waiter, place, parts, now, server, ready);
                        if waiter.cell.is_over() {
                            woken.0.push(waiter);
                        }
                    }
                    let mut part = parts.part(place.db, place.hash);
                    let found = part.next_in_line(place.hash, after, now, |who| {
                        who.downcast_ref::<Waiter>().expect("nobody else waits").key(place.hash)
                    });
                    let Some((_, who)) = found else {
                        is_served = true;
                        return;
                    };
                    let waiter = who.downcast::<Waiter>().expect("nobody else waits");
                    let is_held = waiter.reach().iter().all(|place| parts.holds(place.db, place.hash));
                    next = Some(waiter);
                    if !is_held {
                        return;
                    }
                }
            });
        }
    }
}

/// Offers what is at a key to somebody in its line. All keys of his request are held.
fn offer(waiter: &Arc<Waiter>, place: Place, parts: &mut dyn Parts, now: u64, server: &Server, ready: &mut Ready) {
    let Some(claim) = waiter.claim() else {
        // He has left, and what he leaves behind is cleared away.
        return waiter.leave_all(parts);
    };
    fault::point("serve.claimed");
    let (call, keys) = (waiter.call(now, server), waiter.keys());
    let number = keys.iter().position(|key| key.hash == place.hash).expect("he stands in the lines of his own keys");
    let mut reply = waiter.fresh_reply();
    let mark = reply.mark();
    held::remember(keys, &call);
    let existed = held::existing(parts, keys, &call);
    match (waiter.block().attempt)(&mut Slots::new(parts, keys, &call), &call, Turn::Again(number), &mut reply) {
        Ok(Attempt::Wait(how)) => {
            debug_assert!(how.effects.is_empty(), "whoever waits already changes nothing by it");
            if !claim.let_go() {
                waiter.leave_all(parts);
            }
            return;
        }
        Ok(Attempt::Done(effects)) => {
            // First, so that what he takes is not news to him.
            fault::point("serve.taken");
            waiter.leave_all(parts);
            held::apply_all(effects, parts, keys, &existed, &call, ready);
        }
        Err(error) => {
            waiter.leave_all(parts);
            held::settle(Err(error), mark, &mut reply);
        }
    }
    claim.deliver(reply);
}

/// Those whose wait is over: they are woken once the keys are free.
#[derive(Default)]
struct Woken(SmallVec<[Arc<Waiter>; 4]>);

impl Drop for Woken {
    fn drop(&mut self) {
        self.0.iter().for_each(|waiter| waiter.wake());
    }
}

//! A part of the key space: one table with what belongs to it, all under the same lock.

use std::sync::mpsc;
use std::thread::Thread;

use crossbeam_skiplist::SkipSet;

use super::table::{Raw, Table};
use super::watch::Watches;
use super::wheel::{Due, Wheel, tick_of};
use super::{Entry, KeyHasher, Slot};
use crate::sync::{AtomicU64, OnceLock, Ordering};

/// Names a part: its database and its number within it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartId {
    pub db: u16,
    pub index: u32,
}

/// What all parts of a key space share.
#[derive(Debug)]
pub struct Env {
    pub hasher: KeyHasher,
    pub agenda: Agenda,
    pub reaper: Reaper,
    /// Keys removed because their time had come.
    pub expired: AtomicU64,
}

impl Env {
    pub fn new(hasher: KeyHasher) -> Self {
        Self { hasher, agenda: Agenda::default(), reaper: Reaper::new(), expired: AtomicU64::new(0) }
    }
}

/// What belongs to one table. Read and written only under the table's lock.
///
/// Small, so that it shares one cache line with what is needed for prefetching; what few parts need is boxed.
#[derive(Debug)]
pub struct Side {
    watches: Option<Box<Watches>>,
    wheel: Option<Box<Wheel>>,
    /// Keys that have a deadline.
    pub volatile: usize,
    /// The tick at which the agenda will bring this part up; `u64::MAX` when it will not.
    scheduled: u64,
}

impl Default for Side {
    fn default() -> Self {
        Self { watches: None, wheel: None, volatile: 0, scheduled: u64::MAX }
    }
}

impl Side {
    /// Tells those who watch the key with this hash that it changed.
    #[inline]
    pub fn touch(&mut self, hash: u64) {
        if let Some(watches) = &mut self.watches {
            watches.touch(hash);
        }
    }
}

/// Exclusive access to a part. Whoever makes one holds the part's lock.
pub struct Part<'a> {
    pub table: &'a mut Raw,
    pub side: &'a mut Side,
    pub env: &'a Env,
    pub id: PartId,
}

impl<'a> Part<'a> {
    /// Looks `key` up, to be read and changed. An expired key is removed first.
    pub fn slot<'b>(&'b mut self, key: &'b [u8], hash: u64, now: u64) -> Slot<'b>
    where
        'a: 'b,
    {
        Slot::find(Part { table: self.table, side: self.side, env: self.env, id: self.id }, key, hash, now)
    }

    /// Watches a key; `true` when it exists (an expired one is removed first).
    pub fn watch(&mut self, key: &[u8], hash: u64, now: u64, flag: &crate::sync::Arc<super::watch::Flag>) -> bool {
        let exists = self.slot(key, hash, now).exists();
        self.side.watches.get_or_insert_default().add(hash, flag);
        exists
    }

    /// Removes keys whose time has come, looking at up to `limit` records; `true` when more may be due.
    pub fn expire(&mut self, now: u64, limit: usize) -> bool {
        let hasher = &self.env.hasher;
        let (table, side) = (&mut *self.table, &mut *self.side);
        let (watches, volatile) = (&mut side.watches, &mut side.volatile);
        let Some(wheel) = &mut side.wheel else { return false };
        let mut found = Vec::new();
        let more = wheel.advance(now / super::wheel::TICK_MS, limit, |token| {
            found.clear();
            table.candidates(token_hash(token), &mut found);
            let mut due = Due::Done;
            for &at in &found {
                let entry = table.entry(at);
                let hash = hasher.hash(entry.key());
                let Some(deadline) = entry.deadline().filter(|_| token_of(hash) == token) else { continue };
                if deadline <= now {
                    self.env.reaper.free(table.take(at));
                    *volatile -= 1;
                    if let Some(watches) = watches {
                        watches.touch(hash);
                    }
                    self.env.expired.fetch_add(1, Ordering::Relaxed);
                } else if entry.is_on_wheel() {
                    due = Due::Again(tick_of(deadline));
                }
            }
            due
        });
        if self.side.volatile == 0 {
            self.side.wheel = None;
        }
        more
    }

    /// Puts the part's next due tick on the agenda. Called by the sweeper after it took the part off.
    pub fn reschedule(&mut self) {
        self.side.scheduled = u64::MAX;
        self.schedule();
    }

    /// Empties the part; the keys are freed elsewhere.
    pub fn clear(&mut self) {
        for hash in self.side.watches.as_ref().map(|watches| watches.hashes()).unwrap_or_default() {
            // A watched key that did not exist does not change by being flushed.
            if self.table.find(hash, |(entry, _)| self.env.hasher.hash(entry.key()) == hash).is_some() {
                self.side.touch(hash);
            }
        }
        self.side.wheel = None;
        self.side.volatile = 0;
        let old = std::mem::replace(self.table, Raw::new());
        if !old.is_empty() {
            self.env.reaper.free(old);
        }
    }

    /// Records that the key with `hash` is to be looked at when `deadline` has passed.
    pub(super) fn add_deadline(&mut self, hash: u64, deadline: u64) {
        let tick = tick_of(deadline);
        // Stale records go when they are due; this keeps a client that sets ever new deadlines from piling them up.
        let wheel = self.side.wheel.get_or_insert_default();
        if wheel.len() > 2 * self.side.volatile + 64 {
            self.rebuild_wheel();
        } else {
            wheel.insert(tick, token_of(hash));
        }
        self.schedule();
    }

    fn rebuild_wheel(&mut self) {
        let hasher = &self.env.hasher;
        let wheel = self.side.wheel.insert(Box::default());
        self.table.each(&mut |entry| {
            if let Some(deadline) = entry.deadline() {
                wheel.insert(tick_of(deadline), token_of(hasher.hash(entry.key())));
            }
        });
    }

    fn schedule(&mut self) {
        if let Some(next) = self.side.wheel.as_ref().and_then(|wheel| wheel.next_tick())
            && next < self.side.scheduled
        {
            self.side.scheduled = next;
            self.env.agenda.add(next, self.id);
        }
    }
}

/// 7 tag bits and 25 bucket bits of a hash: enough to find the entry again in a table of up to 2^25 buckets.
fn token_of(hash: u64) -> u32 {
    ((hash >> 57) << 25) as u32 | (hash as u32 & 0x01FF_FFFF)
}

/// A hash with the same tag and bucket bits.
fn token_hash(token: u32) -> u64 {
    (u64::from(token >> 25) << 57) | u64::from(token & 0x01FF_FFFF)
}

/// Which parts have something due, and when: lets the sweeper find the next one without touching idle parts.
///
/// A skip list, because parts add themselves from every thread while the sweeper takes the first one off. Only
/// distinct pairs are inserted: each part remembers the tick that it is listed under. (A part may be
/// listed under several ticks after its next deadline moved forward; being brought up early does no harm.)
#[derive(Debug, Default)]
pub struct Agenda {
    due: SkipSet<(u64, PartId)>,
    /// The tick that the sweeper sleeps until.
    asleep_until: AtomicU64,
    sweeper: OnceLock<Thread>,
}

impl Agenda {
    /// Registers the thread to wake when something becomes due earlier than it expects.
    pub fn set_sweeper(&self, thread: Thread) {
        self.sweeper.set(thread).expect("there is one sweeper");
    }

    fn add(&self, tick: u64, part: PartId) {
        self.due.insert((tick, part));
        // SeqCst, here and in `sleep_until`: either the sweeper sees the new first element before it sleeps, or this
        // thread sees that it sleeps too long.
        if tick < self.asleep_until.load(Ordering::SeqCst)
            && let Some(sweeper) = self.sweeper.get()
        {
            sweeper.unpark();
        }
    }

    /// The first tick at which something is due.
    pub fn next_tick(&self) -> Option<u64> {
        self.due.front().map(|first| first.value().0)
    }

    /// Takes off a part that is due at or before `tick`.
    pub fn pop(&self, tick: u64) -> Option<PartId> {
        let first = self.due.front().filter(|first| first.value().0 <= tick)?;
        first.remove();
        Some(first.value().1)
    }

    /// Announces that the sweeper is about to sleep until `tick`; returns the first due tick as of then.
    pub fn sleep_until(&self, tick: u64) -> Option<u64> {
        self.asleep_until.store(tick, Ordering::SeqCst);
        self.next_tick()
    }
}

/// Frees large values on a thread of its own, so that no client waits for it.
#[derive(Debug)]
pub struct Reaper(mpsc::Sender<Box<dyn Send>>);

impl Reaper {
    fn new() -> Self {
        let (sender, receiver) = mpsc::channel::<Box<dyn Send>>();
        // Unbounded, but what waits here was in memory before, and the thread does nothing else.
        std::thread::Builder::new()
            .name("kiba-reaper".into())
            .spawn(move || receiver.into_iter().for_each(drop))
            .expect("a thread can be started");
        Self(sender)
    }

    /// Frees something: at once when that is cheap.
    pub fn free(&self, garbage: impl Garbage) {
        if garbage.is_heavy() {
            // The thread lives as long as the sender; should it be gone, dropping here is right as well.
            let _ = self.0.send(Box::new(garbage));
        }
    }
}

/// Something that may be slow to free.
pub trait Garbage: Send + 'static {
    fn is_heavy(&self) -> bool;
}

impl Garbage for Entry {
    fn is_heavy(&self) -> bool {
        Entry::is_heavy(self)
    }
}

impl Garbage for Raw {
    fn is_heavy(&self) -> bool {
        // Below this freeing takes some microseconds.
        self.len() > 64
    }
}

//! A part of the key space: one table with what belongs to it, all under the same lock.

use std::sync::atomic;

use crossbeam_utils::CachePadded;

use super::reaper::{Garbage, Reaper};
use super::table::{Raw, Table};
use super::waits::{Waits, Who};
use super::watch::{Flag, Watches};
use super::wheel::{Due, TICK_MS, Wheel, tick_of};
use super::{Entry, KeyHasher, Slot, Uses, timed};
use crate::fault;
use crate::sync::{AtomicBool, AtomicU32, AtomicU64, OnceLock, Ordering, SortedSet, Thread, planted};

/// Names a part: its database and its number within it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartId {
    pub db: u16,
    pub index: u32,
}

/// What somebody wants to hear of, as bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard(pub u32);

impl Heard {
    /// Keyspace events.
    pub const EVENTS: Self = Self(1);
    /// Look-ups that find nothing, as events.
    pub const MISSES: Self = Self(2);
    /// Changes of keys that clients keep copies of.
    pub const COPIES: Self = Self(4);

    #[inline]
    pub fn is_any(self) -> bool {
        self.0 != 0
    }

    #[inline]
    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// Who is told what happens to keys, while they are held.
pub trait Audience: std::fmt::Debug + Send + Sync {
    /// A keyspace event.
    fn event(&self, db: u16, key: &[u8], event: &'static str);

    /// A key's value is another one now. `by`: the client that did it, 0 for none.
    fn changed(&self, key: &[u8], by: u64);
}

/// What all parts of a key space share.
#[derive(Debug)]
pub struct Env {
    /// Bits of [`Heard`], read at each change. In a cache line that is seldom written.
    heard: CachePadded<AtomicU32>,
    /// A [`Uses`], read at each use of an entry. In a cache line that is seldom written. Not the model checker's: a use
    /// that is noted in another way does no harm.
    uses: CachePadded<atomic::AtomicU64>,
    audience: OnceLock<Box<dyn Audience>>,
    pub hasher: KeyHasher,
    pub agenda: Agenda,
    pub reaper: Reaper,
    /// Keys removed because their time had come.
    pub expired: AtomicU64,
    /// Locks of parts that were not free at once.
    pub contended: AtomicU64,
    /// Fields of hashes removed because their time had come.
    pub expired_parts: AtomicU64,
    /// The last ticket of those who wait for keys.
    tickets: AtomicU64,
}

impl Env {
    pub fn new(hasher: KeyHasher) -> Self {
        Self {
            heard: CachePadded::new(AtomicU32::new(0)),
            uses: CachePadded::new(atomic::AtomicU64::new(Uses::LAST.0)),
            audience: OnceLock::new(),
            hasher,
            agenda: Agenda::default(),
            reaper: Reaper::start(),
            expired: AtomicU64::new(0),
            contended: AtomicU64::new(0),
            expired_parts: AtomicU64::new(0),
            tickets: AtomicU64::new(0),
        }
    }

    /// A ticket for somebody who waits, above all that were given before.
    pub fn ticket(&self) -> u64 {
        // Relaxed: the order between those who wait for one key is that of its part's lock.
        self.tickets.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Says whom to tell; once.
    pub fn set_audience(&self, audience: Box<dyn Audience>) {
        self.audience.set(audience).expect("there is one audience");
    }

    /// Begins or ceases to tell of something.
    pub fn set_heard(&self, what: Heard, is_heard: bool) {
        // Relaxed, here and below: who begins to listen and then reads a key is ordered before the key's next change by
        // its lock.
        if is_heard {
            self.heard.fetch_or(what.0, Ordering::Relaxed);
        } else {
            self.heard.fetch_and(!what.0, Ordering::Relaxed);
        }
    }

    #[inline]
    pub fn heard(&self) -> Heard {
        Heard(self.heard.load(Ordering::Relaxed))
    }

    /// Says how uses of entries are noted from now on.
    pub fn set_uses(&self, uses: Uses) {
        self.uses.store(uses.0, Ordering::Relaxed);
    }

    #[inline]
    pub fn uses(&self) -> Uses {
        Uses(self.uses.load(Ordering::Relaxed))
    }

    /// Tells of a keyspace event. The key is held.
    pub fn event(&self, db: u16, key: &[u8], event: &'static str) {
        if let Some(audience) = self.audience.get() {
            audience.event(db, key, event);
        }
    }

    /// Tells those who keep copies that a key changed. The key is held.
    pub fn changed(&self, key: &[u8], by: u64) {
        if let Some(audience) = self.audience.get() {
            audience.changed(key, by);
        }
    }

    /// Tells that a key's time, or that of parts of its value, has come.
    pub(super) fn tell_expired(&self, db: u16, key: &[u8], expired: Expired) {
        if !self.heard().is_any() {
            return;
        }
        self.changed(key, 0);
        match expired {
            Expired::Key => self.event(db, key, "expired"),
            Expired::Parts => self.event(db, key, "hexpired"),
            Expired::AllParts => {
                self.event(db, key, "hexpired");
                self.event(db, key, "del");
            }
        }
    }

    /// Counts an entry that goes because its time has come, or else because that of all of its parts has.
    pub(super) fn count_expired(&self, entry: &Entry, now: u64) -> Expired {
        if entry.deadline().is_some_and(|at| at <= now) {
            self.expired.fetch_add(1, Ordering::Relaxed);
            Expired::Key
        } else {
            self.expired_parts.fetch_add(timed::len(entry.raw()) as u64, Ordering::Relaxed);
            Expired::AllParts
        }
    }
}

/// What expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expired {
    Key,
    /// Parts of its value, but not all.
    Parts,
    /// All parts of its value, and the key with them.
    AllParts,
}

/// What belongs to one table. Read and written only under the table's lock.
///
/// Small, so that it shares one cache line with what is needed for prefetching; what few parts need is boxed.
#[derive(Debug)]
pub struct Side {
    interests: Option<Box<Interests>>,
    wheel: Option<Box<Wheel>>,
    /// Keys that have a deadline.
    pub volatile: u32,
    /// Keys of which parts may have a deadline.
    pub timed: u32,
    /// The tick at which the agenda will bring this part up; `u64::MAX` when it will not.
    scheduled: u64,
}

impl Default for Side {
    fn default() -> Self {
        Self { interests: None, wheel: None, volatile: 0, timed: 0, scheduled: u64::MAX }
    }
}

/// Who is to be told when keys change. Few parts have any.
#[derive(Debug, Default)]
struct Interests {
    watches: Watches,
    waits: Waits,
}

impl Side {
    /// Tells those who watch the key with this hash, or wait for it, that it changed.
    #[inline]
    pub fn touch(&mut self, hash: u64) {
        if let Some(interests) = &mut self.interests {
            interests.watches.touch(hash);
            interests.waits.touch(hash);
        }
    }

    /// Whether keys changed that somebody waits for.
    #[inline]
    pub fn has_ready(&self) -> bool {
        matches!(&self.interests, Some(interests) if interests.waits.has_ready())
    }

    /// The lines in front of keys, if there ever was one.
    pub fn waits(&mut self) -> Option<&mut Waits> {
        self.interests.as_mut().map(|interests| &mut interests.waits)
    }

    /// The lines in front of keys.
    pub fn waits_or_new(&mut self) -> &mut Waits {
        &mut self.interests.get_or_insert_default().waits
    }

    /// Counts an entry out that leaves the table.
    pub(super) fn forget(&mut self, entry: &Entry) {
        self.volatile -= u32::from(entry.deadline().is_some());
        self.timed -= u32::from(entry.is_timed());
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
    #[inline(always)]
    pub fn slot<'b>(&'b mut self, key: &'b [u8], hash: u64, now: u64) -> Slot<'b>
    where
        'a: 'b,
    {
        Slot::find(Part { table: self.table, side: self.side, env: self.env, id: self.id }, key, hash, now)
    }

    /// Puts an entry into a part that nobody else sees. Its deadlines are counted, but nothing comes of them.
    pub fn adopt(&mut self, hash: u64, mut entry: Entry) {
        entry.set_on_wheel(false);
        self.side.volatile += u32::from(entry.deadline().is_some());
        self.side.timed += u32::from(entry.is_timed());
        self.table.insert_new(hash, entry, &self.env.hasher);
    }

    /// Watches a key. Tells whether it exists (an expired one is removed first); `None` when there is nothing to add,
    /// because the flag is up already or watches this key.
    pub fn watch(&mut self, key: &[u8], hash: u64, now: u64, flag: &crate::sync::Arc<Flag>) -> Option<bool> {
        let exists = self.slot(key, hash, now).exists();
        let is_new = !flag.is_raised() && self.side.interests.get_or_insert_default().watches.add(hash, flag);
        is_new.then_some(exists)
    }

    /// Removes keys and fields whose time has come, looking at up to `limit` records and removing up to `limit` fields;
    /// `true` when more may be due.
    pub fn expire(&mut self, now: u64, limit: usize) -> bool {
        let Some(mut wheel) = self.side.wheel.take() else { return false };
        fault::point("expire.begin");
        let (mut found, mut budget) = (Vec::new(), limit);
        let more = wheel.advance(now / TICK_MS, limit, |token| {
            found.clear();
            self.table.candidates(token_hash(token), &mut found);
            let mut due = Due::Done;
            for &at in &found {
                if let Some(tick) = self.expire_entry(at, token, now, &mut budget) {
                    // Two keys may share a token: the earlier one decides.
                    due = due.sooner(tick);
                }
            }
            due
        });
        if self.side.volatile + self.side.timed > 0 {
            self.side.wheel = Some(wheel);
        }
        if !more {
            // A table that was much larger once gives its memory back.
            self.table.shrink(&self.env.hasher);
        }
        more
    }

    /// Removes the entry, or those of its fields, whose time has come. Gives the tick at which to look again.
    fn expire_entry(&mut self, at: usize, token: u32, now: u64, budget: &mut usize) -> Option<u64> {
        let entry = self.table.entry_mut(at);
        let due = entry.due()?;
        let hash = self.env.hasher.hash(entry.key());
        if token_of(hash) != token {
            return None;
        }
        if due > now && !planted("record-taken-for-the-deadline") {
            return entry.is_on_wheel().then(|| tick_of(due));
        }
        if !entry.is_expired(now) && !planted("record-taken-for-the-deadline") {
            let parts = timed::expire(entry, now, *budget);
            *budget = budget.saturating_sub(parts);
            // With nothing left of the budget this is a tick of the past: the record is looked at again at once.
            let next = entry.due().map(tick_of);
            if parts > 0 {
                self.env.expired_parts.fetch_add(parts as u64, Ordering::Relaxed);
                self.side.touch(hash);
                self.env.tell_expired(self.id.db, entry.key(), Expired::Parts);
            }
            return next;
        }
        let entry = self.table.take(at);
        self.side.forget(&entry);
        self.side.touch(hash);
        fault::point("expire.taken");
        let expired = self.env.count_expired(&entry, now);
        self.env.tell_expired(self.id.db, entry.key(), expired);
        self.env.reaper.free(entry);
        None
    }

    /// Puts the part's next due tick on the agenda. Called by the sweeper after it took the part off.
    pub fn reschedule(&mut self) {
        self.side.scheduled = u64::MAX;
        self.schedule();
    }

    /// The first in the line of a key behind ticket `after` who may want what is there now.
    ///
    /// * `key_of`: the bytes of the key that somebody in line waits for.
    pub fn next_in_line(
        &mut self,
        hash: u64,
        after: u64,
        now: u64,
        key_of: impl Fn(&Who) -> &[u8],
    ) -> Option<(u64, Who)> {
        let table = &*self.table;
        let waits = self.side.waits()?;
        waits.next(hash, after, |wanted, who| {
            let found = table.find_key(hash, key_of(who)).map(|at| table.entry(at));
            wanted.is_met(found.filter(|entry| !entry.is_expired(now)))
        })
    }

    /// Exchanges the keys with the part of another database that has the same number, and what belongs to the keys.
    /// Watches and lines stay: whoever watches a key that is in either part, or waits for it, is told.
    pub fn swap(&mut self, other: &mut Part<'_>) {
        debug_assert_eq!(self.id.index, other.id.index);
        for hash in self.of_interest().into_iter().chain(other.of_interest()) {
            if self.has_hash(hash) || other.has_hash(hash) {
                self.side.touch(hash);
                other.side.touch(hash);
            }
        }
        std::mem::swap(self.table, other.table);
        std::mem::swap(&mut self.side.wheel, &mut other.side.wheel);
        std::mem::swap(&mut self.side.volatile, &mut other.side.volatile);
        std::mem::swap(&mut self.side.timed, &mut other.side.timed);
        // What the agenda says of each part may now be too early, which does no harm, but not too late.
        self.schedule();
        other.schedule();
    }

    /// Empties the part; the keys are freed elsewhere.
    pub fn clear(&mut self) {
        fault::point("clear");
        for hash in self.of_interest() {
            // A watched key that did not exist does not change by being flushed.
            if self.has_hash(hash) {
                self.side.touch(hash);
            }
        }
        self.side.wheel = None;
        self.side.volatile = 0;
        self.side.timed = 0;
        let old = std::mem::replace(self.table, Raw::new());
        if !old.is_empty() {
            self.env.reaper.free(old);
        }
    }

    /// The hashes of the keys that somebody watches or waits for.
    fn of_interest(&self) -> Vec<u64> {
        let Some(interests) = &self.side.interests else { return Vec::new() };
        interests.watches.hashes().into_iter().chain(interests.waits.hashes()).collect()
    }

    fn has_hash(&self, hash: u64) -> bool {
        self.table.find(hash, |(entry, _)| self.env.hasher.hash(entry.key()) == hash).is_some()
    }

    /// Takes out a key that is still as it was when it was chosen to be evicted.
    pub fn evict(&mut self, key: &[u8], hash: u64, is_chosen: impl FnOnce(&Entry) -> bool) -> Option<Entry> {
        let at = self.table.find_key(hash, key).filter(|&at| is_chosen(self.table.entry(at)))?;
        let entry = self.table.take(at);
        self.side.forget(&entry);
        if self.side.volatile + self.side.timed == 0 {
            // It would be kept until its records are due, and may take more than the keys did.
            self.side.wheel = None;
        }
        self.table.shrink(&self.env.hasher);
        Some(entry)
    }

    /// After a panic: has all who wait for keys asked again, and finds again what has a deadline if that was lost.
    pub fn mend(&mut self) {
        if let Some(waits) = self.side.waits() {
            let hashes: Vec<u64> = waits.hashes().collect();
            hashes.into_iter().for_each(|hash| waits.touch(hash));
        }
        if self.side.volatile + self.side.timed == 0 {
            return;
        }
        if self.side.wheel.is_none() {
            let mut wheel = Box::new(Wheel::default());
            for at in 0..self.table.buckets() {
                if let Some((due, hash)) =
                    self.table.entry_in(at).and_then(|entry| Some((entry.due()?, self.env.hasher.hash(entry.key()))))
                {
                    wheel.insert(tick_of(due), token_of(hash));
                    self.table.entry_mut(at).set_on_wheel(true);
                }
            }
            self.side.wheel = Some(wheel);
        }
        // The agenda may have lost it as well.
        self.reschedule();
    }

    /// Records that the key with `hash` is to be looked at when `deadline` has passed.
    pub(super) fn add_deadline(&mut self, hash: u64, deadline: u64, now: u64) {
        /// A second: a batch's time, and the sweeper's, may differ by less.
        const CLOCK_WAS_PUT_BACK: u64 = 1000 / TICK_MS;
        let (tick, start) = (tick_of(deadline), now / TICK_MS);
        let wheel = self.side.wheel.get_or_insert_with(|| Box::new(Wheel::starting_at(start)));
        // Stale records go when they are due; this keeps a client that sets ever new deadlines from piling them up.
        let are_many = wheel.len() > 2 * (self.side.volatile as usize + self.side.timed as usize) + 64;
        // A wheel that is ahead would keep the key until the clock is there again.
        if are_many || start + CLOCK_WAS_PUT_BACK < wheel.now() {
            self.prune_wheel(hash, start);
        } else {
            wheel.insert(tick, token_of(hash));
        }
        self.schedule();
    }

    /// Drops the records of keys that no longer have a deadline, and all but one of the others.
    ///
    /// Looks only at what is recorded, so that its cost is shared by those who left the records behind, however many
    /// keys the table holds: taking and releasing one lock with a time to live is a usual load.
    ///
    /// * `start`: the tick at which it is now.
    fn prune_wheel(&mut self, hash: u64, start: u64) {
        let hasher = &self.env.hasher;
        let Some(wheel) = &mut self.side.wheel else { return };
        let mut tokens = wheel.drain();
        **wheel = Wheel::starting_at(start);
        tokens.push(token_of(hash));
        tokens.sort_unstable();
        tokens.dedup();
        let mut found = Vec::new();
        for token in tokens {
            found.clear();
            self.table.candidates(token_hash(token), &mut found);
            for entry in found.iter().map(|&at| self.table.entry(at)) {
                if let Some(due) = entry.due().filter(|_| token_of(hasher.hash(entry.key())) == token) {
                    wheel.insert(tick_of(due), token);
                }
            }
        }
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
    due: SortedSet<(u64, PartId)>,
    /// The tick that the sweeper sleeps until.
    asleep_until: AtomicU64,
    /// Nothing is due, whatever is listed.
    is_paused: AtomicBool,
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

    /// Has nothing come due until it is called again: keys then expire only when somebody asks for them.
    pub fn set_paused(&self, is_paused: bool) {
        // Relaxed, here and below: it takes effect soon, which is all that is promised.
        self.is_paused.store(is_paused, Ordering::Relaxed);
        if !is_paused && let Some(sweeper) = self.sweeper.get() {
            sweeper.unpark();
        }
    }

    fn is_paused(&self) -> bool {
        self.is_paused.load(Ordering::Relaxed)
    }

    /// The parts that may have keys with deadlines, those with the next to expire first. Parts may be listed more than
    /// once, and may have lost such keys.
    pub fn parts(&self) -> impl Iterator<Item = PartId> + '_ {
        self.due.iter().map(|listed| listed.value().1)
    }

    /// Wakes the sweeper: there is something else for it to do.
    pub fn wake(&self) {
        if let Some(sweeper) = self.sweeper.get() {
            sweeper.unpark();
        }
    }

    /// The first tick at which something is due.
    pub fn next_tick(&self) -> Option<u64> {
        self.due.front().filter(|_| !self.is_paused()).map(|first| first.value().0)
    }

    /// Takes off a part that is due at or before `tick`.
    pub fn pop(&self, tick: u64) -> Option<PartId> {
        let first = self.due.front().filter(|first| first.value().0 <= tick && !self.is_paused())?;
        first.remove();
        Some(first.value().1)
    }

    /// Announces that the sweeper is about to sleep until `tick`; returns the first due tick as of then.
    pub fn sleep_until(&self, tick: u64) -> Option<u64> {
        if planted("agenda-looked-at-before-sleeping") {
            let next = self.next_tick();
            self.asleep_until.store(tick, Ordering::SeqCst);
            return next;
        }
        self.asleep_until.store(tick, Ordering::SeqCst);
        self.next_tick()
    }
}

impl Garbage for Entry {
    fn is_heavy(&self) -> bool {
        Entry::is_heavy(self)
    }
}

impl Garbage for Raw {
    fn is_heavy(&self) -> bool {
        /// Freeing fewer small ones takes some microseconds.
        const KEYS: usize = 64;
        let mut is_heavy = self.len() > KEYS;
        if !is_heavy {
            self.each(&mut |entry| is_heavy |= entry.is_heavy());
        }
        is_heavy
    }
}

#[cfg(all(test, not(kiba_loom)))]
pub(super) mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::super::string::content;
    use super::super::{Deadline, HashLimits, Slot, hash};
    use super::*;

    const START: u64 = 1_800_000_000_000;

    /// A part with all that it needs.
    pub(in crate::store) struct Owned {
        table: Raw,
        side: Side,
        env: Env,
    }

    impl Owned {
        pub fn new() -> Self {
            Self { table: Raw::new(), side: Side::default(), env: Env::new(KeyHasher::seeded()) }
        }

        pub fn part(&mut self) -> Part<'_> {
            let id = PartId { db: 0, index: 0 };
            Part { table: &mut self.table, side: &mut self.side, env: &self.env, id }
        }

        pub fn slot<T>(&mut self, key: &[u8], now: u64, run: impl FnOnce(&mut Slot<'_>) -> T) -> T {
            let hash = self.env.hasher.hash(key);
            run(&mut self.part().slot(key, hash, now))
        }

        fn records(&self) -> usize {
            self.side.wheel.as_ref().map_or(0, |wheel| wheel.len())
        }
    }

    #[test]
    fn a_table_of_few_keys_is_freed_elsewhere_when_one_of_them_is_large() {
        let mut owned = Owned::new();
        owned.slot(b"small", START, |slot| slot.set(content(b"v"), Deadline::Clear));
        assert!(!owned.table.is_heavy());
        owned.slot(b"large", START, |slot| slot.set(content(&[b'x'; 1 << 20]), Deadline::Clear));
        assert!(owned.table.is_heavy());
    }

    #[test]
    fn records_of_keys_that_are_gone_do_not_pile_up() {
        let mut owned = Owned::new();
        for i in 0..100_u64 {
            owned.slot(&i.to_le_bytes(), START, |slot| slot.set(content(b"v"), Deadline::At(START + 1000 + i)));
        }
        // A lock with a time to live that is taken and released.
        for i in 0..10_000 {
            owned.slot(b"lock", START, |slot| {
                slot.set(content(b"v"), Deadline::At(START + 30_000 + i));
                slot.remove();
            });
            assert!(owned.records() <= 2 * 101 + 65);
        }
        while owned.part().expire(START + 2000, 16) {}
        assert_eq!((owned.table.len(), owned.side.volatile), (0, 0));
    }

    #[test]
    fn a_new_wheel_is_not_due_before_its_first_deadline() {
        let mut owned = Owned::new();
        owned.slot(b"k", START, |slot| slot.set(content(b"v"), Deadline::At(START + 100)));
        let due = owned.env.agenda.next_tick().expect("scheduled");
        assert!((START / TICK_MS..=tick_of(START + 100)).contains(&due), "{due}");
    }

    #[test]
    fn what_is_set_after_the_clock_was_put_back_expires_in_time() {
        const HOUR: u64 = 3_600_000;
        let mut owned = Owned::new();
        owned.slot(b"late", START, |slot| slot.set(content(b"v"), Deadline::At(START + 3 * HOUR)));
        owned.slot(b"soon", START, |slot| slot.set(content(b"v"), Deadline::At(START + HOUR / 2)));
        while owned.part().expire(START + HOUR, 16) {}
        assert_eq!(owned.table.len(), 1);
        owned.slot(b"new", START, |slot| slot.set(content(b"v"), Deadline::At(START + 100)));
        let next = owned.env.agenda.next_tick().expect("scheduled");
        assert!(next <= tick_of(START + 100), "{} ms late", (next - tick_of(START + 100)) * TICK_MS);
        while owned.part().expire(START + 200, 16) {}
        assert_eq!(owned.table.len(), 1);
        // What was there before is due when it was.
        while owned.part().expire(START + 3 * HOUR - 100, 16) {}
        assert_eq!(owned.table.len(), 1);
        while owned.part().expire(START + 3 * HOUR + 100, 16) {}
        assert!(owned.table.is_empty());
    }

    #[test]
    fn a_table_that_expired_gives_its_memory_back() {
        let mut owned = Owned::new();
        for i in 0..10_000_u64 {
            owned.slot(&i.to_le_bytes(), START, |slot| slot.set(content(b"v"), Deadline::At(START + 100)));
        }
        while owned.part().expire(START + 200, 128) {}
        assert!(owned.table.is_empty() && owned.table.buckets() < 64, "{} buckets", owned.table.buckets());
    }

    #[test]
    fn exchanged_parts_take_along_what_belongs_to_their_keys() {
        let (mut one, mut other) = (Owned::new(), Owned::new());
        other.env.hasher = one.env.hasher.clone();
        for i in 0..100_u64 {
            one.slot(&i.to_le_bytes(), START, |slot| slot.set(content(b"v"), Deadline::At(START + 1000 + i)));
        }
        other.slot(b"k", START, |slot| slot.set(content(b"v"), Deadline::At(START + 100_000)));
        let flag = crate::sync::Arc::new(Flag::default());
        let hash = one.env.hasher.hash(b"k");
        one.part().watch(b"k", hash, START, &flag);
        one.part().swap(&mut other.part());
        assert!(flag.is_raised());
        assert_eq!((one.table.len(), one.side.volatile), (1, 1));
        assert_eq!((other.table.len(), other.side.volatile), (100, 100));
        assert!(other.env.agenda.next_tick().is_some_and(|tick| tick <= tick_of(START + 1000)));
        while other.part().expire(START + 2000, 16) {}
        while one.part().expire(START + 2000, 16) {}
        assert_eq!((one.table.len(), other.table.len()), (1, 0));
        while one.part().expire(START + 101_000, 16) {}
        assert!(one.table.is_empty());
    }

    #[test]
    fn a_swap_tells_only_those_whose_key_is_in_one_of_the_parts() {
        let (mut one, mut other) = (Owned::new(), Owned::new());
        other.env.hasher = one.env.hasher.clone();
        let flags = [(); 2].map(|()| crate::sync::Arc::new(Flag::default()));
        for (owned, flag) in [&mut one, &mut other].into_iter().zip(&flags) {
            let hash = owned.env.hasher.hash(b"k");
            owned.part().watch(b"k", hash, START, flag);
        }
        one.part().swap(&mut other.part());
        assert!(!flags[0].is_raised() && !flags[1].is_raised());
        other.slot(b"k", START, |slot| slot.set(content(b"v"), Deadline::Clear));
        one.part().swap(&mut other.part());
        assert!(flags[0].is_raised() && flags[1].is_raised());
    }

    #[test]
    fn watching_a_key_again_adds_nothing() {
        let (mut owned, flag) = (Owned::new(), crate::sync::Arc::new(Flag::default()));
        owned.slot(b"k", START, |slot| slot.set(content(b"v"), Deadline::Clear));
        let hash = owned.env.hasher.hash(b"k");
        assert_eq!(owned.part().watch(b"k", hash, START, &flag), Some(true));
        assert_eq!(owned.part().watch(b"k", hash, START, &flag), None);
        owned.side.touch(hash);
        // The transaction is off, whatever else is watched.
        assert!(flag.is_raised());
        assert_eq!(owned.part().watch(b"k", hash, START, &flag), None);
    }

    fn with_hash<T>(owned: &mut Owned, key: &[u8], now: u64, run: impl FnOnce(&mut hash::Edit<'_>) -> T) -> T {
        owned.slot(key, now, |slot| {
            if !slot.exists() {
                slot.insert(hash::create(key, 0));
            }
            let limits = HashLimits { max_listpack_entries: 8, ..HashLimits::default() };
            let run = |entry: &mut Entry| {
                let mut edit = hash::Edit::of(entry, &limits, now).expect("a hash");
                (run(&mut edit), edit.is_empty())
            };
            let (result, is_emptied) = slot.retime(run).expect("just made");
            if is_emptied {
                slot.remove();
            }
            result
        })
    }

    #[test]
    fn many_due_fields_are_removed_in_slices() {
        let mut owned = Owned::new();
        with_hash(&mut owned, b"h", START, |hash| {
            hash.set(b"stays", b"v");
            for i in 0..10_000_u32 {
                hash.set(&i.to_le_bytes(), b"v");
                hash.set_deadline(&i.to_le_bytes(), Some(START + 100));
            }
        });
        let flag = crate::sync::Arc::new(Flag::default());
        let hash = owned.env.hasher.hash(b"h");
        owned.part().watch(b"h", hash, START, &flag);
        let (mut slices, now) = (1, START + 200);
        while owned.part().expire(now, 100) {
            assert!(flag.is_raised());
            slices += 1;
        }
        assert!(slices >= 100, "{slices}");
        let left = owned.table.entry(owned.table.find_key(hash, b"h").expect("one field is left"));
        assert_eq!(hash::View::of(left, 0).map(hash::View::len), Some(1));
        assert_eq!((left.due(), owned.env.expired_parts.load(Ordering::Relaxed)), (None, 10_000));
        assert_eq!((owned.side.timed, owned.side.volatile), (1, 0));
    }

    #[test]
    fn a_key_of_which_everything_is_due_is_gone() {
        let mut owned = Owned::new();
        for i in 0..100_u32 {
            with_hash(&mut owned, b"h", START, |hash| {
                hash.set(&i.to_le_bytes(), b"v");
                hash.set_deadline(&i.to_le_bytes(), Some(START + 100 + u64::from(i)));
            });
        }
        assert!(owned.slot(b"h", START + 198, |slot| slot.exists()));
        assert!(!owned.slot(b"h", START + 199, |slot| slot.exists()));
        assert_eq!((owned.side.timed, owned.table.len()), (0, 0));
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        assert_eq!((count(&owned.env.expired), count(&owned.env.expired_parts)), (0, 100));
    }

    proptest! {
        /// Against a map of fields with deadlines: what is due by a tick goes, with its key when it was the last one;
        /// nothing else does; and the wheel knows of all that is left.
        #[test]
        fn fields_agree_with_a_map_of_deadlines(
            steps in prop::collection::vec(
                (0..9_u8, 0..4_u8, 0..12_u8, prop_oneof![0..100_u64, 0..1_000_000_u64]), 1..300
            ),
        ) {
            let (mut owned, mut now) = (Owned::new(), START);
            let mut model: BTreeMap<u8, BTreeMap<u8, Option<u64>>> = BTreeMap::new();
            for (kind, key, field, amount) in steps {
                let at = now + 1 + amount;
                model.values_mut().for_each(|fields| fields.retain(|_, it| it.is_none_or(|it| it > now)));
                model.retain(|_, fields| !fields.is_empty());
                match kind {
                    0..3 => {
                        with_hash(&mut owned, &[key], now, |hash| hash.set(&[field], b"v"));
                        model.entry(key).or_default().insert(field, None);
                    }
                    3..6 => {
                        let is_there = model.get(&key).is_some_and(|fields| fields.contains_key(&field));
                        let deadline = (amount % 3 > 0).then_some(at);
                        let is_set = with_hash(&mut owned, &[key], now, |hash| hash.set_deadline(&[field], deadline));
                        prop_assert_eq!(is_set, is_there);
                        if is_there {
                            model.entry(key).or_default().insert(field, deadline);
                        }
                    }
                    6 if amount % 4 == 0 => {
                        owned.slot(&[key], now, |slot| {
                            slot.set(content(b"v"), Deadline::Keep);
                            slot.remove();
                        });
                        model.remove(&key);
                    }
                    6 => {
                        with_hash(&mut owned, &[key], now, |hash| hash.remove(&[field]));
                        model.entry(key).or_default().remove(&field);
                    }
                    7 => {
                        let other = field % 4;
                        if let Some(value) = owned.slot(&[key], now, |slot| slot.take()) {
                            owned.slot(&[other], now, |slot| slot.put(value));
                            let fields = model.remove(&key).expect("as the table");
                            model.insert(other, fields);
                        } else {
                            prop_assert!(!model.contains_key(&key));
                        }
                    }
                    _ => {
                        now += amount;
                        while owned.part().expire(now, 4) {}
                        // All that was due by the last full tick is gone.
                        let mut due = 0;
                        owned.table.each(&mut |entry| {
                            due += usize::from(entry.due().is_some_and(|due| tick_of(due) <= now / TICK_MS));
                        });
                        prop_assert_eq!(due, 0);
                    }
                }
                model.values_mut().for_each(|fields| fields.retain(|_, it| it.is_none_or(|it| it > now)));
                model.retain(|_, fields| !fields.is_empty());
                for key in 0..4 {
                    let at = owned.table.find_key(owned.env.hasher.hash(&[key]), &[key]);
                    let entry = at.map(|at| owned.table.entry(at)).filter(|entry| !entry.is_expired(now));
                    let found = entry.map(|entry| {
                        let view = hash::View::of(entry, now).expect("a hash");
                        view.iter().map(|(field, _)| (field[0], view.deadline(field).expect("there"))).collect()
                    });
                    prop_assert_eq!(found, model.get(&key).cloned());
                }
                let next = owned.side.wheel.as_ref().and_then(|wheel| wheel.next_tick());
                let first = model.values().flat_map(|fields| fields.values().flatten()).min().map(|it| tick_of(*it));
                prop_assert!(first.is_none_or(|first| next.is_some_and(|next| next <= first)));
                let mut timed = 0;
                owned.table.each(&mut |entry| timed += usize::from(entry.is_timed()));
                prop_assert_eq!((owned.side.timed as usize, owned.side.volatile), (timed, 0));
            }
        }
    }

    proptest! {
        /// Against a map of deadlines: the count of volatile keys is exact, what is due goes and nothing else does.
        #[test]
        fn agrees_with_a_map_of_deadlines(
            steps in prop::collection::vec((0..8_u8, 0..12_u8, 0..12_u8, prop_oneof![0..100_u64, 0..10_000_000_u64]), 1..300),
        ) {
            let (mut owned, mut now) = (Owned::new(), START);
            let mut model: BTreeMap<u8, Option<u64>> = BTreeMap::new();
            for (kind, key, other, amount) in steps {
                let at = now + 1 + amount;
                // A slot removes what has expired.
                let is_due = |it: &mut Option<u64>| it.is_some_and(|it| it <= now);
                if kind < 6 && model.get_mut(&key).is_some_and(is_due) {
                    model.remove(&key);
                }
                if kind == 5 && model.contains_key(&key) && model.get_mut(&other).is_some_and(is_due) {
                    model.remove(&other);
                }
                match kind {
                    0 => {
                        owned.slot(&[key], now, |slot| slot.set(content(b"v"), Deadline::At(at)));
                        model.insert(key, Some(at));
                    }
                    1 => {
                        owned.slot(&[key], now, |slot| slot.set(content(&[b'x'; 300_000]), Deadline::Keep));
                        model.entry(key).or_default();
                    }
                    2 => {
                        owned.slot(&[key], now, |slot| slot.set(content(b"1"), Deadline::Clear));
                        model.insert(key, None);
                    }
                    3 => {
                        let deadline = (amount % 3 > 0).then_some(at);
                        owned.slot(&[key], now, |slot| slot.set_deadline(deadline));
                        model.entry(key).and_modify(|it| *it = deadline);
                    }
                    4 => {
                        prop_assert_eq!(owned.slot(&[key], now, |slot| slot.remove()), model.remove(&key).is_some());
                    }
                    5 => {
                        // With the same key twice it comes back.
                        if let Some(value) = owned.slot(&[key], now, |slot| slot.take()) {
                            owned.slot(&[other], now, |slot| slot.put(value));
                            let deadline = model.remove(&key).expect("as the table");
                            model.insert(other, deadline);
                        }
                    }
                    6 if amount == 0 => {
                        owned.part().clear();
                        model.clear();
                    }
                    7 => {
                        now += amount;
                        while owned.part().expire(now, 4) {}
                        // All that was due by the last full tick is gone; a reader sees the rest as expired.
                        model.retain(|_, it| it.is_none_or(|it| tick_of(it) > now / TICK_MS));
                        let expired: Vec<u8> = model.iter().filter(|(_, it)| it.is_some_and(|it| it <= now)).map(|(key, _)| *key).collect();
                        for key in expired {
                            prop_assert!(!owned.slot(&[key], now, |slot| slot.exists()));
                            model.remove(&key);
                        }
                    }
                    _ => {}
                }
                prop_assert_eq!(owned.table.len(), model.len());
                prop_assert_eq!(owned.side.volatile as usize, model.values().flatten().count());
                for (key, deadline) in &model {
                    let at = owned.table.find_key(owned.env.hasher.hash(&[*key]), &[*key]).expect("as in the map");
                    prop_assert_eq!(owned.table.entry(at).deadline(), *deadline);
                }
                // Whatever has a deadline will be looked at by then.
                let next = owned.side.wheel.as_ref().and_then(|wheel| wheel.next_tick());
                let first = model.values().flatten().min().map(|it| tick_of(*it));
                prop_assert!(first.is_none_or(|first| next.is_some_and(|next| next <= first)));
            }
        }
    }
}

//! A slot: one key, held exclusively, whether it exists or not.

use super::part::{Expired, Part};
use super::reaper::Garbage;
use super::table::Table;
use super::{Content, Entry, Lifetime, copy, timed};
use crate::sync::Ordering;

/// What a write does with the deadline that the key had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deadline {
    Keep,
    Clear,
    /// Milliseconds since the Unix epoch.
    At(u64),
}

/// A key's place in a part.
pub struct Slot<'a> {
    part: Part<'a>,
    key: &'a [u8],
    hash: u64,
    at: Option<usize>,
    now: u64,
}

impl<'a> Slot<'a> {
    // Inlined with what calls it, since a slot is large: it would be written here and copied there.
    #[inline(always)]
    pub(super) fn find(part: Part<'a>, key: &'a [u8], hash: u64, now: u64) -> Self {
        let at = part.table.find_key(hash, key);
        let entry = at.map(|at| part.table.entry(at));
        if entry.is_some_and(|entry| entry.is_mortal() && (entry.is_timed() || entry.is_expired(now))) {
            return Self { part, key, hash, at, now }.expired();
        }
        Self { part, key, hash, at, now }
    }

    /// Runs `f` on the slot. Should it panic, a value that it was still filling goes, and those who watch the key are
    /// told: it may have changed.
    #[inline]
    pub fn guarded<R>(&mut self, f: impl FnOnce(&mut Self) -> R) -> R {
        let guard = Guard(self);
        let result = f(guard.0);
        std::mem::forget(guard);
        result
    }

    /// Gives the key a new value.
    pub fn set(&mut self, content: Content<'_>, deadline: Deadline) {
        let old = self.lifetime();
        let new = match deadline {
            Deadline::Keep => self.deadline(),
            Deadline::Clear => None,
            Deadline::At(at) => Some(at),
        };
        match self.at {
            Some(at) => {
                let entry = self.part.table.entry_mut(at);
                if entry.is_heavy() {
                    let mut fresh = Entry::new(self.key, content, new, entry.clock());
                    fresh.set_on_wheel(entry.is_on_wheel());
                    self.part.env.reaper.free(std::mem::replace(entry, fresh));
                } else {
                    entry.replace(content, new);
                }
                self.lifetime_changed(old);
            }
            None => self.insert(Entry::new(self.key, content, new, self.part.env.uses().fresh(self.now))),
        }
    }

    /// Puts an entry into this slot, which must be empty. The entry's key must be the slot's.
    pub fn insert(&mut self, mut entry: Entry) {
        assert!(self.at.is_none() && entry.has_key(self.key));
        entry.set_on_wheel(false);
        self.at = Some(self.part.table.insert_new(self.hash, entry, &self.part.env.hasher));
        self.lifetime_changed(None);
    }

    /// Puts another key's value into this slot, together with its deadline. What was here before goes.
    pub fn put(&mut self, mut value: Entry) {
        self.remove();
        let deadline = value.deadline();
        self.insert(value.take_renamed(self.key, deadline));
    }

    /// Removes the key; whether it existed.
    pub fn remove(&mut self) -> bool {
        self.take().map(|entry| self.part.env.reaper.free(entry)).is_some()
    }

    /// Frees what was part of a value: at once when that is cheap.
    pub fn discard(&self, garbage: impl Garbage) {
        self.part.env.reaper.free(garbage);
    }

    /// Takes the key out with its value.
    pub fn take(&mut self) -> Option<Entry> {
        let entry = self.part.table.take(self.at.take()?);
        self.part.side.forget(&entry);
        // A table that was much larger once gives its memory back.
        self.part.table.shrink(&self.part.env.hasher);
        Some(entry)
    }

    /// Sets or clears the deadline of a key that exists.
    pub fn set_deadline(&mut self, new: Option<u64>) {
        self.retime(|entry| entry.set_deadline(new));
    }

    /// Lets `change` set deadlines of the key or of parts of its value; `None` when there is no key.
    pub fn retime<R>(&mut self, change: impl FnOnce(&mut Entry) -> R) -> Option<R> {
        let old = self.lifetime();
        let result = change(self.entry_mut()?);
        self.lifetime_changed(old);
        Some(result)
    }

    #[inline]
    pub fn entry_mut(&mut self) -> Option<&mut Entry> {
        self.at.map(|at| self.part.table.entry_mut(at))
    }

    /// Tells those who watch the key that it changed.
    pub fn touch(&mut self) {
        self.part.side.touch(self.hash);
    }

    #[inline]
    pub fn entry(&self) -> Option<&Entry> {
        self.at.map(|at| self.part.table.entry(at))
    }

    #[inline]
    pub fn exists(&self) -> bool {
        self.at.is_some()
    }

    pub fn key(&self) -> &'a [u8] {
        self.key
    }

    pub fn deadline(&self) -> Option<u64> {
        self.entry().and_then(Entry::deadline)
    }

    /// The time of this access in ms since the Unix epoch.
    pub fn now(&self) -> u64 {
        self.now
    }

    #[inline]
    fn lifetime(&self) -> Option<Lifetime> {
        self.entry().and_then(Entry::lifetime)
    }

    #[inline]
    fn lifetime_changed(&mut self, old: Option<Lifetime>) {
        let new = self.lifetime();
        if old.is_some() || new.is_some() {
            self.follow(old.unwrap_or_default(), new.unwrap_or_default());
        }
    }

    /// Keeps the part's counts and its wheel in step with an entry.
    fn follow(&mut self, old: Lifetime, new: Lifetime) {
        let side = &mut *self.part.side;
        side.volatile = side.volatile + u32::from(new.has_deadline) - u32::from(old.has_deadline);
        side.timed = side.timed + u32::from(new.is_timed) - u32::from(old.is_timed);
        let (Some(due), Some(at)) = (new.due, self.at) else { return };
        let entry = self.part.table.entry_mut(at);
        // A record that is looked at too early finds the later deadline by itself.
        if entry.is_on_wheel() && old.due.is_some_and(|old| old <= due) {
            return;
        }
        entry.set_on_wheel(true);
        self.part.add_deadline(self.hash, due, self.now);
    }

    /// The slot after what is due has been removed. By value, so that one in which nothing is stays in registers.
    #[cold]
    fn expired(mut self) -> Self {
        self.expire();
        self
    }

    /// Removes the key when its time has come, or else those parts of its value whose time has.
    fn expire(&mut self) {
        let now = self.now;
        let Some(entry) = self.entry() else { return };
        if entry.is_expired(now) {
            let expired = self.part.env.count_expired(entry, now);
            self.remove();
            self.touch();
            return self.part.env.tell_expired(self.part.id.db, self.key, expired);
        }
        let limit = if entry.must_be_pruned(now) { usize::MAX } else { PARTS_MAX };
        let parts = self.entry_mut().map_or(0, |entry| timed::expire(entry, now, limit));
        if parts > 0 {
            self.part.env.expired_parts.fetch_add(parts as u64, Ordering::Relaxed);
            self.touch();
            self.part.env.tell_expired(self.part.id.db, self.key, Expired::Parts);
        }
    }
}

/// Dropped by a panic only.
struct Guard<'a, 'b>(&'a mut Slot<'b>);

impl Drop for Guard<'_, '_> {
    fn drop(&mut self) {
        let slot = &mut *self.0;
        // What is broken may panic again, which must not leave this.
        crate::fault::shield(|| {
            // Found anew: the panic may have come between the change and the note where it is.
            slot.at = slot.part.table.find_key(slot.hash, slot.key);
            if slot.entry().is_some_and(copy::is_empty) {
                slot.remove();
            }
            slot.touch();
        });
    }
}

/// Fields of a large hash that an access removes because their time has come: some microseconds. All reads and
/// changes pass over what is left.
const PARTS_MAX: usize = 64;

//! A slot: one key, held exclusively, whether it exists or not.

use super::part::Part;
use super::table::Table;
use super::{Content, Entry};
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
    pub(super) fn find(part: Part<'a>, key: &'a [u8], hash: u64, now: u64) -> Self {
        let at = part.table.find_key(hash, key);
        let mut slot = Self { part, key, hash, at, now };
        if slot.entry().is_some_and(|entry| entry.is_expired(now)) {
            slot.remove();
            slot.part.env.expired.fetch_add(1, Ordering::Relaxed);
            slot.touch();
        }
        slot
    }

    /// Gives the key a new value.
    pub fn set(&mut self, content: Content<'_>, deadline: Deadline) {
        let old = self.deadline();
        let new = match deadline {
            Deadline::Keep => old,
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
                self.deadline_changed(old, new);
            }
            None => self.insert(Entry::new(self.key, content, new, clock(self.now))),
        }
    }

    /// Puts an entry into this slot, which must be empty. The entry's key must be the slot's.
    pub fn insert(&mut self, mut entry: Entry) {
        assert!(self.at.is_none() && entry.has_key(self.key));
        entry.set_on_wheel(false);
        let deadline = entry.deadline();
        self.at = Some(self.part.table.insert_new(self.hash, entry, &self.part.env.hasher));
        self.deadline_changed(None, deadline);
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

    /// Takes the key out with its value.
    pub fn take(&mut self) -> Option<Entry> {
        let entry = self.part.table.take(self.at.take()?);
        self.part.side.volatile -= usize::from(entry.deadline().is_some());
        // A table that was much larger once gives its memory back.
        self.part.table.shrink(&self.part.env.hasher);
        Some(entry)
    }

    /// Sets or clears the deadline of a key that exists.
    pub fn set_deadline(&mut self, new: Option<u64>) {
        let Some(at) = self.at else { return };
        let entry = self.part.table.entry_mut(at);
        let old = entry.deadline();
        entry.set_deadline(new);
        self.deadline_changed(old, new);
    }

    pub fn entry_mut(&mut self) -> Option<&mut Entry> {
        self.at.map(|at| self.part.table.entry_mut(at))
    }

    /// Tells those who watch the key that it changed.
    pub fn touch(&mut self) {
        self.part.side.touch(self.hash);
    }

    pub fn entry(&self) -> Option<&Entry> {
        self.at.map(|at| self.part.table.entry(at))
    }

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

    fn deadline_changed(&mut self, old: Option<u64>, new: Option<u64>) {
        match (old, new) {
            (None, None) => return,
            (None, Some(_)) => self.part.side.volatile += 1,
            (Some(_), None) => self.part.side.volatile -= 1,
            (Some(_), Some(_)) => {}
        }
        let (Some(new), Some(at)) = (new, self.at) else { return };
        let entry = self.part.table.entry_mut(at);
        // A record that is looked at too early finds the later deadline by itself.
        if entry.is_on_wheel() && old.is_some_and(|old| old <= new) {
            return;
        }
        entry.set_on_wheel(true);
        self.part.add_deadline(self.hash, new, self.now);
    }
}

/// The access clock of an entry: the low 24 bits of a count of seconds.
pub fn clock(now: u64) -> u32 {
    (now / 1000) as u32 & 0x00FF_FFFF
}

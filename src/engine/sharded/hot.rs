//! Keys that are read so often that readers would queue for the counter of their shard's lock.
//!
//! A shared lock is one cache line that every reader writes. For a key that a good share of all requests asks for, that
//! line is where the cores wait. So a copy of such an entry is published beside its shard, and read without the lock.
//! Whoever locks the shard exclusively withdraws the copy first, before anything can change: a reader finds the copy
//! only while it is what the table holds, or takes the lock like everybody else.

use std::cell::Cell;

use crate::command::{Call, Flags, Key, count};
use crate::server::Tally;
use crate::store::Entry;

/// A copy of an entry, with the hash of its key.
#[derive(Debug)]
pub struct Copy {
    hash: u64,
    entry: Entry,
}

impl Copy {
    /// Copies an entry whose value is small; `None` for others, which cost more than a lock to read.
    pub fn of(hash: u64, entry: &Entry) -> Option<Self> {
        entry.copy_small().map(|entry| Self { hash, entry })
    }

    /// The entry, if it is the one that this call asks for, and it need not be touched.
    ///
    /// * `is_counted`: set when a use was drawn to be counted, where uses are: the entry itself is to count it.
    #[inline]
    pub fn find(&self, key: Key, call: &Call<'_>, tally: &Tally, is_counted: &mut bool) -> Option<&Entry> {
        let is_it = self.hash == key.hash && self.entry.has_key(call.arg(key.arg as usize));
        let is_found =
            is_it && (call.asker.no_touch || self.is_fresh(call, is_counted)) && !self.entry.is_expired(call.now);
        is_found.then(|| {
            count(true, call, tally);
            &self.entry
        })
    }

    /// Whether the entry itself may be left as it is. Once a second, or a minute where uses are counted, a read takes the
    /// lock, so that the access clock of the entry goes on.
    #[inline]
    fn is_fresh(&self, call: &Call<'_>, is_counted: &mut bool) -> bool {
        let (uses, clock) = (call.server.env.uses(), self.entry.clock());
        if !uses.are_counted() {
            return clock == call.clock();
        }
        if call.command.flags.has(Flags::NO_TOUCH) {
            return true;
        }
        let noted = uses.noted(clock, call.now);
        // The same minute, but one more.
        *is_counted = noted >> 8 == clock >> 8 && noted != clock;
        noted == clock
    }
}

/// Counters of this thread's recent reads, by some bits of the hash.
struct Recent {
    counts: [Cell<u16>; COUNTERS],
    reads: Cell<u32>,
}

/// Enough that other keys add little to a popular key's counter: 4 of a window of uniform reads.
const COUNTERS: usize = 1024;
/// Reads after which counting starts anew.
const WINDOW: u32 = 4096;
/// A key is popular when at least about 1 read in 128 asks for it: one counter by chance is 14 standard deviations away.
const POPULAR: u16 = 32;

thread_local! {
    static RECENT: Recent = const { Recent { counts: [const { Cell::new(0) }; COUNTERS], reads: Cell::new(0) } };
}

/// Notes a read that took the lock; whether a copy of its entry should be published now.
#[inline]
pub fn is_popular(hash: u64) -> bool {
    if cfg!(kiba_model) {
        return true;
    }
    RECENT.with(|recent| {
        let reads = recent.reads.get() + 1;
        recent.reads.set(reads);
        if reads == WINDOW {
            recent.reads.set(0);
            recent.counts.iter().for_each(|count| count.set(0));
        }
        // Not the bits that choose the shard: those are the same for all keys of one.
        let count = &recent.counts[hash as usize % COUNTERS];
        count.set(count.get() + 1);
        // Again and again, since every write withdraws the copy.
        count.get().is_multiple_of(POPULAR)
    })
}

#[cfg(all(test, not(kiba_loom)))]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_read_often_is_popular() {
        let uniform = (0..100_000_u64).map(|i| i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20);
        assert_eq!(uniform.filter(|&hash| is_popular(hash)).count(), 0);
        assert!((0..64).any(|_| is_popular(7)));
        let mixed = (0..100_000_u64).map(|i| if i % 50 == 0 { 7 } else { i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20 });
        assert!(mixed.filter(|&hash| is_popular(hash)).all(|hash| hash % COUNTERS as u64 == 7));
    }
}

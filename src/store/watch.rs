//! WATCH: which clients are to be told when a key changes.
//!
//! A client owns one flag. Watching a key leaves a weak reference to the flag beside the key's part, under the
//! part's lock; whoever changes the key raises the flags that it finds there, under the same lock. EXEC looks at its
//! flag while it holds the locks of everything that it watches and touches: a change either happened before, and
//! the flag is up, or waits until the transaction is over. A client that goes away just drops its flag.

use std::collections::HashMap;

use smallvec::SmallVec;

use crate::sync::{Arc, AtomicBool, Ordering, Weak};

/// Raised when a watched key was changed.
#[derive(Debug, Default)]
pub struct Flag(AtomicBool);

impl Flag {
    pub fn raise(&self) {
        // Relaxed: raised and read under the part's lock, which orders everything.
        self.0.store(true, Ordering::Relaxed);
    }

    pub fn is_raised(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The watched keys of one part, by hash: two keys with the same 64-bit hash share their watchers, which
/// at worst aborts a transaction that could have gone on.
#[derive(Debug, Default)]
pub struct Watches {
    by_hash: HashMap<u64, SmallVec<[Weak<Flag>; 1]>, ahash::RandomState>,
    /// When the map has grown to this size, flags that nobody owns any more are dropped.
    prune_at: usize,
}

impl Watches {
    /// Least size at which pruning pays.
    const PRUNE_MIN: usize = 64;

    /// Has the flag raised when the key changes; whether it was not to be raised for this key before.
    pub fn add(&mut self, hash: u64, flag: &Arc<Flag>) -> bool {
        if self.by_hash.len() >= self.prune_at.max(Self::PRUNE_MIN) {
            self.by_hash.retain(|_, flags| {
                flags.retain(|flag| flag.strong_count() > 0);
                !flags.is_empty()
            });
            self.prune_at = self.by_hash.len() * 2;
        }
        let flags = self.by_hash.entry(hash).or_default();
        flags.retain(|other| other.strong_count() > 0);
        let is_new = !flags.iter().any(|other| std::ptr::eq(other.as_ptr(), Arc::as_ptr(flag)));
        if is_new {
            flags.push(Arc::downgrade(flag));
        }
        is_new
    }

    /// The key with this hash changed.
    #[inline]
    pub fn touch(&mut self, hash: u64) {
        if !self.by_hash.is_empty() {
            self.touch_slow(hash);
        }
    }

    #[cold]
    fn touch_slow(&mut self, hash: u64) {
        for flag in self.by_hash.remove(&hash).into_iter().flatten() {
            if let Some(flag) = flag.upgrade() {
                flag.raise();
            }
        }
    }

    /// All watched hashes, for changes of the whole part.
    pub fn hashes(&self) -> Vec<u64> {
        self.by_hash.keys().copied().collect()
    }
}

#[cfg(all(test, not(kiba_loom)))]
mod tests {
    use super::*;

    #[test]
    fn only_the_touched_key_raises_flags() {
        let (mut watches, one, two) = (Watches::default(), Arc::new(Flag::default()), Arc::new(Flag::default()));
        watches.add(1, &one);
        watches.add(2, &two);
        watches.touch(1);
        watches.touch(3);
        assert!(one.is_raised() && !two.is_raised());
    }

    #[test]
    fn flags_of_gone_clients_do_not_pile_up() {
        let mut watches = Watches::default();
        for i in 0..10_000 {
            watches.add(i % 5_000, &Arc::new(Flag::default()));
        }
        assert!(watches.by_hash.len() <= 2 * Watches::PRUNE_MIN);
    }

    #[test]
    fn watching_a_key_twice_keeps_one_reference() {
        let (mut watches, flag) = (Watches::default(), Arc::new(Flag::default()));
        assert!(watches.add(1, &flag));
        for _ in 0..100 {
            assert!(!watches.add(1, &flag));
        }
        assert_eq!(Arc::weak_count(&flag), 1);
    }
}

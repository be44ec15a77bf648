//! The only door to atomics, locks and cells whose interleaving matters.
//!
//! In a model build (`--cfg kiba_model`) the same names are a model checker's, loom's (`--cfg kiba_loom`) or shuttle's
//! (`--cfg kiba_shuttle`), and what neither has is a stand-in with the few methods that Kiba uses (`sync/model.rs`), so
//! that the models in `loom-tests/` run the real types.

#[cfg(kiba_loom)]
use loom as platform;
#[cfg(kiba_shuttle)]
use shuttle as platform;
#[cfg(not(kiba_model))]
use std as platform;

pub use platform::sync::atomic::{AtomicBool, AtomicI64, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};
pub use platform::sync::{Condvar, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};
// loom's `Arc` has no `Weak`, and shuttle's is std's; reference counts are not what the models are about.
pub use std::sync::{Arc, OnceLock, PoisonError, Weak};

#[cfg(not(kiba_model))]
pub use atomic_waker::AtomicWaker;
#[cfg(not(kiba_model))]
pub use tokio::sync::{Notify, futures::Notified};

#[cfg(kiba_model)]
mod model;
#[cfg(kiba_model)]
pub use model::{
    AtomicWaker, HashState, Map, Notified, Notify, Published, ReadGuard, ShardMap, SortedSet, Thread, WriteGuard, mpsc,
    oneshot, queue, timeout,
};

/// A table of its own locks.
#[cfg(not(kiba_model))]
pub type Map<K, V> = dashmap::DashMap<K, V, HashState>;
/// What hashes keys in tables that outsiders fill.
#[cfg(not(kiba_model))]
pub type HashState = ahash::RandomState;
/// A sorted set that every thread changes.
#[cfg(not(kiba_model))]
pub type SortedSet<T> = crossbeam_skiplist::SkipSet<T>;
#[cfg(not(kiba_model))]
pub use std::sync::mpsc;
#[cfg(not(kiba_model))]
pub use std::thread::Thread;
/// A bounded queue between tasks.
#[cfg(not(kiba_model))]
pub use tokio::sync::mpsc as queue;
#[cfg(not(kiba_model))]
pub use tokio::sync::oneshot;
#[cfg(not(kiba_model))]
pub use tokio::time::timeout;

/// Locks what a panic cannot leave half changed.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The same for readers.
pub fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

/// The same for a writer.
pub fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

/// Whether this model run is to contain the bug with this name (`KIBA_BUG`): shows that the models find it.
#[cfg(kiba_model)]
pub fn planted(bug: &str) -> bool {
    static BUG: OnceLock<Option<String>> = OnceLock::new();
    BUG.get_or_init(|| std::env::var("KIBA_BUG").ok()).as_deref() == Some(bug)
}

/// Outside of models there are no planted bugs.
#[cfg(not(kiba_model))]
#[inline]
pub const fn planted(_: &str) -> bool {
    false
}

pub use cell::{Cell, CellMut};
#[cfg(not(kiba_model))]
pub use map::{ReadGuard, ShardMap, WriteGuard};
#[cfg(not(kiba_model))]
pub use published::Published;

/// A value that is read without a lock while others replace it.
#[cfg(not(kiba_model))]
mod published {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use arc_swap::ArcSwapOption;

    /// Holds a value or nothing.
    ///
    /// Whoever publishes or withdraws orders that against others by a lock; reading needs none. A reader that is
    /// ordered after a withdrawal, by whatever it learned from whom, no longer finds the value.
    #[derive(Debug)]
    pub struct Published<T> {
        /// Mostly there is nothing, and this is cheaper to look at.
        is_there: AtomicBool,
        value: ArcSwapOption<T>,
    }

    impl<T> Default for Published<T> {
        fn default() -> Self {
            Self { is_there: AtomicBool::new(false), value: ArcSwapOption::empty() }
        }
    }

    impl<T> Published<T> {
        /// Runs `f` on the value, if there is one.
        #[inline]
        pub fn read<R>(&self, f: impl FnOnce(&T) -> R) -> Option<R> {
            // Relaxed: who misses a new value does without, and coherence with a withdrawal is that of `value`.
            if !self.is_there.load(Ordering::Relaxed) {
                return None;
            }
            self.value.load().as_deref().map(f)
        }

        /// Puts a value there, in the place of the last.
        pub fn publish(&self, value: T) {
            self.value.store(Some(Arc::new(value)));
            self.is_there.store(true, Ordering::Relaxed);
        }

        /// Takes away what is there. Readers that have it already may finish with it.
        #[inline]
        pub fn withdraw(&self) {
            // Relaxed: the caller's lock orders this after every publication.
            if self.is_there.load(Ordering::Relaxed) {
                self.value.store(None);
                self.is_there.store(false, Ordering::Relaxed);
            }
        }
    }
}

/// The sharded table: DashMap, reached through its raw interface.
#[cfg(not(kiba_model))]
mod map {
    use dashmap::{DashMap, RwLockReadGuard, RwLockWriteGuard};

    use crate::store::Entry;
    use crate::store::table::Raw;

    pub type ReadGuard<'a> = RwLockReadGuard<'a, Raw>;
    pub type WriteGuard<'a> = RwLockWriteGuard<'a, Raw>;

    /// Tables behind locks, one a shard.
    #[derive(Debug)]
    pub struct ShardMap(DashMap<Entry, (), ahash::RandomState>);

    impl ShardMap {
        /// `shards`: a power of two, at least 2.
        pub fn new(shards: usize) -> Self {
            // The map's own hasher is never asked: hashes come with the requests.
            Self(DashMap::with_hasher_and_shard_amount(ahash::RandomState::new(), shards))
        }

        /// The shard where a hash belongs.
        #[inline]
        pub fn index_of(&self, hash: u64) -> usize {
            self.0.determine_shard(hash as usize)
        }

        #[inline]
        pub fn read(&self, shard: usize) -> ReadGuard<'_> {
            self.0.shards()[shard].read()
        }

        #[inline]
        pub fn try_read(&self, shard: usize) -> Option<ReadGuard<'_>> {
            self.0.shards()[shard].try_read()
        }

        #[inline]
        pub fn write(&self, shard: usize) -> WriteGuard<'_> {
            self.0.shards()[shard].write()
        }

        #[inline]
        pub fn try_write(&self, shard: usize) -> Option<WriteGuard<'_>> {
            self.0.shards()[shard].try_write()
        }
    }
}

/// A cell whose access is guarded by a lock elsewhere. loom reports access that is not.
#[allow(unsafe_code)]
mod cell {
    use std::marker::PhantomData;
    use std::ops::{Deref, DerefMut};

    #[cfg(kiba_loom)]
    use loom::cell::UnsafeCell;
    #[cfg(not(kiba_loom))]
    use std::cell::UnsafeCell;

    #[derive(Debug, Default)]
    pub struct Cell<T>(UnsafeCell<T>);

    // SAFETY: every access goes through `get_mut`, whose caller holds a lock that excludes all others.
    unsafe impl<T: Send> Sync for Cell<T> {}

    /// Exclusive access to a [`Cell`]'s content.
    pub struct CellMut<'a, T> {
        #[cfg(not(kiba_loom))]
        pointer: *mut T,
        #[cfg(kiba_loom)]
        pointer: loom::cell::MutPtr<T>,
        lifetime: PhantomData<&'a mut T>,
    }

    impl<T> Cell<T> {
        pub fn new(value: T) -> Self {
            Self(UnsafeCell::new(value))
        }

        /// Exclusive access.
        ///
        /// # Safety
        /// The caller holds a lock, for as long as the result lives, that everybody else who calls this must hold.
        #[inline]
        pub unsafe fn get_mut(&self) -> CellMut<'_, T> {
            #[cfg(not(kiba_loom))]
            let pointer = self.0.get();
            #[cfg(kiba_loom)]
            let pointer = self.0.get_mut();
            CellMut { pointer, lifetime: PhantomData }
        }
    }

    impl<T> Deref for CellMut<'_, T> {
        type Target = T;

        #[inline]
        fn deref(&self) -> &T {
            // SAFETY: exclusive by the contract of `get_mut`.
            #[cfg(not(kiba_loom))]
            unsafe {
                &*self.pointer
            }
            // SAFETY: likewise.
            #[cfg(kiba_loom)]
            unsafe {
                self.pointer.deref()
            }
        }
    }

    impl<T> DerefMut for CellMut<'_, T> {
        #[inline]
        fn deref_mut(&mut self) -> &mut T {
            // SAFETY: exclusive by the contract of `get_mut`.
            #[cfg(not(kiba_loom))]
            unsafe {
                &mut *self.pointer
            }
            // SAFETY: likewise.
            #[cfg(kiba_loom)]
            unsafe {
                self.pointer.deref()
            }
        }
    }
}

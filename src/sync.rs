//! The only door to atomics, locks and cells whose interleaving matters.
//!
//! In a model build (`--cfg kiba_loom`) the same names are loom's, and the sharded map is a stand-in with the few
//! methods that the engine uses, so that the models in `loom-tests/` run the real types.

#[cfg(not(kiba_loom))]
pub use atomic_waker::AtomicWaker;
#[cfg(kiba_loom)]
pub use loom::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};
#[cfg(kiba_loom)]
pub use loom::sync::{Mutex, MutexGuard};
#[cfg(not(kiba_loom))]
pub use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};
#[cfg(not(kiba_loom))]
pub use std::sync::{Mutex, MutexGuard};
// loom's `Arc` has no `Weak`; reference counts are not what the models are about.
pub use std::sync::{Arc, OnceLock, Weak};

#[cfg(kiba_loom)]
pub use waker::AtomicWaker;

/// Locks what a panic cannot leave half changed.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Stands for the real one's promise: who registers before it looks is woken by who wakes after it changed something.
#[cfg(kiba_loom)]
mod waker {
    use std::task::Waker;

    use loom::sync::Mutex;

    #[derive(Debug, Default)]
    pub struct AtomicWaker(Mutex<Option<Waker>>);

    impl AtomicWaker {
        pub fn new() -> Self {
            Self::default()
        }

        pub fn register(&self, waker: &Waker) {
            *self.0.lock().expect("models do not poison") = Some(waker.clone());
        }

        pub fn wake(&self) {
            let waker = self.0.lock().expect("models do not poison").take();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }
}

/// Whether this model run is to contain the bug with this name (`KIBA_BUG`): shows that the models find it.
#[cfg(kiba_loom)]
pub fn planted(bug: &str) -> bool {
    std::env::var_os("KIBA_BUG").is_some_and(|name| name == bug)
}

/// Outside of models there are no planted bugs.
#[cfg(not(kiba_loom))]
#[inline]
pub const fn planted(_: &str) -> bool {
    false
}

pub use cell::{Cell, CellMut};
pub use map::{ReadGuard, ShardMap, WriteGuard};
pub use published::Published;

/// A value that is read without a lock while others replace it.
#[cfg(not(kiba_loom))]
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

#[cfg(kiba_loom)]
mod published {
    use std::sync::{Arc, Mutex};

    use loom::sync::atomic::{AtomicUsize, Ordering};

    /// As the real one: which value is current is what loom sees, with the orderings of the real one's pointer; how a
    /// value is kept alive is not part of the model.
    pub struct Published<T> {
        /// Number of the current value among `values`, from 1; 0 for none.
        current: AtomicUsize,
        values: Mutex<Vec<Arc<T>>>,
    }

    impl<T> Default for Published<T> {
        fn default() -> Self {
            Self { current: AtomicUsize::new(0), values: Mutex::default() }
        }
    }

    impl<T> Published<T> {
        pub fn read<R>(&self, f: impl FnOnce(&T) -> R) -> Option<R> {
            let current = self.current.load(Ordering::Acquire);
            let value = Arc::clone(self.values.lock().expect("models do not poison").get(current.checked_sub(1)?)?);
            Some(f(&value))
        }

        pub fn publish(&self, value: T) {
            let mut values = self.values.lock().expect("models do not poison");
            values.push(Arc::new(value));
            let number = values.len();
            drop(values);
            self.current.store(number, Ordering::Release);
        }

        pub fn withdraw(&self) {
            if self.current.load(Ordering::Relaxed) > 0 {
                self.current.store(0, Ordering::Release);
            }
        }
    }
}

/// The sharded table: DashMap, reached through its raw interface.
#[cfg(not(kiba_loom))]
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

#[cfg(kiba_loom)]
mod map {
    use loom::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

    use crate::store::table::Raw;

    pub type ReadGuard<'a> = RwLockReadGuard<'a, Raw>;
    pub type WriteGuard<'a> = RwLockWriteGuard<'a, Raw>;

    pub struct ShardMap(Vec<RwLock<Raw>>);

    impl ShardMap {
        pub fn new(shards: usize) -> Self {
            Self((0..shards).map(|_| RwLock::new(Raw::new())).collect())
        }

        pub fn index_of(&self, hash: u64) -> usize {
            // As DashMap: the bits below the seven of the tag.
            (hash << 7 >> (64 - self.0.len().trailing_zeros())) as usize
        }

        pub fn read(&self, shard: usize) -> ReadGuard<'_> {
            self.0[shard].read().expect("models do not poison")
        }

        pub fn try_read(&self, shard: usize) -> Option<ReadGuard<'_>> {
            self.0[shard].try_read().ok()
        }

        pub fn write(&self, shard: usize) -> WriteGuard<'_> {
            self.0[shard].write().expect("models do not poison")
        }

        pub fn try_write(&self, shard: usize) -> Option<WriteGuard<'_>> {
            self.0[shard].try_write().ok()
        }
    }
}

/// A cell whose access is guarded by a lock elsewhere. In a model build, unguarded access is reported.
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

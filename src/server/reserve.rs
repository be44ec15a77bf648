//! What is kept free of `maxmemory` so that the process stays within a quarter more than it.
//!
//! The allocator cannot give back a page while a block of it is in use, and each thread has pages of its own for each size
//! of block. With many threads that write values of all sizes this is more than a control group with some room to spare
//! allows. So where keys are evicted, the resident set is looked at now and then, and more is evicted when it is too large.

use std::time::Instant;

use crate::sync::{AtomicU64, Ordering};

/// Kept free, by whoever looks next.
#[derive(Debug, Default)]
pub struct Reserve {
    bytes: AtomicU64,
    /// When somebody looked last, in ms since the server's start, plus one.
    looked: AtomicU64,
}

/// Milliseconds between two looks, each of which takes some microseconds: so little that 500 MB written in a second are
/// 10 MB between them.
const INTERVAL: u64 = 20;

/// What may be resident besides five quarters of `maxmemory`: less than the 64 MB that are promised, since it is reached
/// before more is evicted.
const BASE: u64 = 40 << 20;

impl Reserve {
    #[inline]
    pub fn bytes(&self) -> u64 {
        // Relaxed, here and below: a limit that is a moment old is as good.
        self.bytes.load(Ordering::Relaxed)
    }

    /// Looks at the resident set, unless somebody did a moment ago.
    ///
    /// * `started`: when the server was.
    /// * `resident`: bytes, 0 where the system does not tell.
    pub fn look(&self, started: Instant, maxmemory: u64, resident: impl FnOnce() -> u64) {
        let (now, last) = (started.elapsed().as_millis() as u64 + 1, self.looked.load(Ordering::Relaxed));
        if last != 0 && now < last + INTERVAL
            || self.looked.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_err()
        {
            return;
        }
        self.bytes.store(adjusted(self.bytes(), maxmemory, resident()), Ordering::Relaxed);
    }

    /// Keeps nothing free.
    pub fn reset(&self) {
        self.bytes.store(0, Ordering::Relaxed);
    }
}

/// Below this the process itself is most of what is resident, and evicting changes little.
const LEAST: u64 = 64 << 20;

/// The reserve that follows: quickly more, since memory is at its end then, and slowly less, since what was freed is given
/// back late. Never more than half of what may be used.
fn adjusted(reserve: u64, maxmemory: u64, resident: u64) -> u64 {
    if maxmemory < LEAST {
        return 0;
    }
    let target = maxmemory.saturating_add(maxmemory / 4).saturating_add(BASE);
    let adjusted = if resident > target {
        reserve.saturating_add((resident - target) / 2)
    } else {
        reserve.saturating_sub(((target - resident) / 32).max(1))
    };
    adjusted.min(maxmemory / 2)
}

#[cfg(all(test, not(kiba_loom)))]
mod tests {
    use super::*;

    const MB: u64 = 1 << 20;

    #[test]
    fn what_is_resident_beyond_the_target_is_reserved() {
        let target = 125 * MB + BASE;
        assert_eq!(adjusted(0, 100 * MB, target), 0);
        assert_eq!(adjusted(0, 100 * MB, target + 10 * MB), 5 * MB);
        assert_eq!(adjusted(40 * MB, 100 * MB, target + 100 * MB), 50 * MB, "half at most");
        assert_eq!(adjusted(5 * MB, 100 * MB, target - 32 * MB), 4 * MB);
        assert_eq!(adjusted(10, 100 * MB, target), 9);
        assert_eq!(adjusted(6 * MB, 100 * MB, 0), 6 * MB - target / 32);
        assert_eq!(adjusted(0, u64::MAX, u64::MAX), 0);
        assert_eq!(adjusted(0, 10 * MB, 200 * MB), 0);
    }

    #[test]
    fn two_looks_are_some_time_apart() {
        let (reserve, started) = (Reserve::default(), Instant::now());
        reserve.look(started, 100 * MB, || 200 * MB);
        let first = reserve.bytes();
        assert_eq!(first, (75 * MB - BASE) / 2);
        reserve.look(started, 100 * MB, || unreachable!("too soon"));
        reserve.reset();
        assert_eq!(reserve.bytes(), 0);
    }
}

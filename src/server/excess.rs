//! How long more memory is in use than `maxmemory` allows.

use std::time::{Duration, Instant};

use crate::sync::{AtomicU64, Ordering};

/// Begun by who looks and finds too much, ended by who finds enough: whichever of several threads is first.
#[derive(Debug, Default)]
pub struct Excess {
    /// Microseconds from the server's start to the beginning, at least 1; 0 while memory suffices.
    since: AtomicU64,
    /// Microseconds, of all times that are over.
    total: AtomicU64,
}

impl Excess {
    /// More is in use than allowed. `started`: when the server was.
    pub fn began(&self, started: Instant) {
        // Relaxed, here and below: the exchange decides who counts a time, and nothing else depends on it.
        let _ = self.since.compare_exchange(0, micros(started).max(1), Ordering::Relaxed, Ordering::Relaxed);
    }

    /// What is in use is allowed again.
    #[inline]
    pub fn ended(&self, started: Instant) {
        if self.since.load(Ordering::Relaxed) != 0 {
            let since = self.since.swap(0, Ordering::Relaxed);
            if since != 0 {
                self.total.fetch_add(micros(started).saturating_sub(since), Ordering::Relaxed);
            }
        }
    }

    /// Forgets the times that are over.
    pub fn reset(&self) {
        self.total.store(0, Ordering::Relaxed);
    }

    /// How long it is by now, and all times together.
    pub fn times(&self, started: Instant) -> (Duration, Duration) {
        let since = self.since.load(Ordering::Relaxed);
        let now = if since == 0 { 0 } else { micros(started).saturating_sub(since) };
        let total = self.total.load(Ordering::Relaxed) + now;
        (Duration::from_micros(now), Duration::from_micros(total))
    }
}

fn micros(started: Instant) -> u64 {
    started.elapsed().as_micros() as u64
}

#[cfg(all(test, not(kiba_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_counted_once() {
        let (excess, started) = (Excess::default(), Instant::now());
        excess.ended(started);
        assert_eq!(excess.times(started), Default::default());
        excess.began(started);
        excess.began(started);
        std::thread::sleep(Duration::from_millis(2));
        let (now, total) = excess.times(started);
        assert!(now >= Duration::from_millis(2) && now == total, "{now:?} {total:?}");
        excess.ended(started);
        excess.ended(started);
        let (now, over) = excess.times(started);
        assert!(now.is_zero() && over >= total);
        excess.reset();
        assert_eq!(excess.times(started), Default::default());
    }
}

//! How long more memory is in use than `maxmemory` allows.

use std::time::Duration;

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
    /// More is in use than allowed. `now`, here and below: for how long the server has been running.
    pub fn began(&self, now: Duration) {
        // Relaxed, here and below: the exchange decides who counts a time, and nothing else depends on it.
        let _ = self.since.compare_exchange(0, micros(now).max(1), Ordering::Relaxed, Ordering::Relaxed);
    }

    /// What is in use is allowed again.
    #[inline]
    pub fn ended(&self, now: impl FnOnce() -> Duration) {
        if self.since.load(Ordering::Relaxed) != 0 {
            let since = self.since.swap(0, Ordering::Relaxed);
            if since != 0 {
                self.total.fetch_add(micros(now()).saturating_sub(since), Ordering::Relaxed);
            }
        }
    }

    /// Forgets the times that are over.
    pub fn reset(&self) {
        self.total.store(0, Ordering::Relaxed);
    }

    /// How long it is by now, and all times together.
    pub fn times(&self, now: Duration) -> (Duration, Duration) {
        let since = self.since.load(Ordering::Relaxed);
        let lasts = if since == 0 { 0 } else { micros(now).saturating_sub(since) };
        let total = self.total.load(Ordering::Relaxed) + lasts;
        (Duration::from_micros(lasts), Duration::from_micros(total))
    }
}

fn micros(time: Duration) -> u64 {
    time.as_micros() as u64
}

#[cfg(all(test, not(kiba_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_counted_once() {
        let (excess, at) = (Excess::default(), Duration::from_millis);
        excess.ended(|| at(1));
        assert_eq!(excess.times(at(1)), Default::default());
        excess.began(at(2));
        excess.began(at(3));
        assert_eq!(excess.times(at(5)), (at(3), at(3)));
        excess.ended(|| at(6));
        excess.ended(|| at(7));
        assert_eq!(excess.times(at(8)), (Duration::ZERO, at(4)));
        excess.reset();
        assert_eq!(excess.times(at(9)), Default::default());
    }
}

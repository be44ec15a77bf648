//! Which counters a thread adds to: those of its own stripe, which nobody else writes, while there are enough of them.

// Not the model checker's: counters are only reported, and nobody draws a conclusion from their order.
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// More than most servers have threads that live long. The last one is shared by those that came too late.
pub const STRIPES: usize = 256;

/// The stripe of this thread.
pub fn stripe() -> usize {
    thread_local! {
        static STRIPE: usize = {
            static NEXT: AtomicUsize = AtomicUsize::new(0);
            NEXT.fetch_add(1, Ordering::Relaxed).min(STRIPES - 1)
        };
    }
    STRIPE.with(|stripe| *stripe)
}

/// Adds to a counter of this thread's stripe.
#[inline]
pub fn add(stripe: usize, counter: &AtomicU64, amount: u64) {
    if stripe < STRIPES - 1 {
        add_alone(counter, amount);
    } else {
        counter.fetch_add(amount, Ordering::Relaxed);
    }
}

/// Adds to a counter that nobody else writes: a load and a store take a fraction of what an exchange does.
#[inline]
pub fn add_alone(counter: &AtomicU64, amount: u64) {
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(amount), Ordering::Relaxed);
}

#[cfg(all(test, not(kiba_loom)))]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost_when_there_are_more_threads_than_stripes() {
        let counters: Vec<AtomicU64> = (0..STRIPES).map(|_| AtomicU64::new(0)).collect();
        std::thread::scope(|scope| {
            for _ in 0..2 * STRIPES {
                scope.spawn(|| (0..1000).for_each(|_| add(stripe(), &counters[stripe()], 1)));
            }
        });
        let sum: u64 = counters.iter().map(|counter| counter.load(Ordering::Relaxed)).sum();
        assert_eq!(sum, 2 * STRIPES as u64 * 1000);
    }
}

//! How fast a counter grows, as seen by those who ask: nothing runs while nobody does.

use std::sync::{Mutex, PoisonError};

/// The growth of one counter between two looks at it.
#[derive(Debug, Default)]
pub struct Pace(Mutex<Look>);

#[derive(Clone, Copy, Debug, Default)]
struct Look {
    /// Milliseconds, from any fixed point.
    at: u64,
    total: u64,
    /// What the look before this one led to.
    per_second: u64,
}

/// Looks closer together than this, in ms, would measure chance.
const APART: u64 = 1000;

impl Pace {
    /// The average growth per second since the last look that is at least a second old.
    ///
    /// * `at`: now, in milliseconds from the same fixed point at each call; the first look counts from 0.
    /// * `total`: the counter. One that was reset counts from 0.
    pub fn per_second(&self, at: u64, total: u64) -> u64 {
        // The look is replaced whole, so a panic cannot leave it half written.
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let elapsed = at.saturating_sub(last.at);
        if elapsed >= APART {
            let growth = total.checked_sub(last.total).unwrap_or(total);
            let per_second = (u128::from(growth) * 1000 / u128::from(elapsed)) as u64;
            *last = Look { at, total, per_second };
        }
        last.per_second
    }
}

#[cfg(all(test, not(kiba_loom)))]
mod tests {
    use super::*;

    #[test]
    fn growth_is_averaged_between_looks_a_second_apart() {
        let pace = Pace::default();
        assert_eq!(pace.per_second(500, 100), 0, "too early to tell");
        assert_eq!(pace.per_second(2000, 100), 50);
        assert_eq!(pace.per_second(2999, 100_000), 50, "the last answer stands");
        assert_eq!(pace.per_second(3000, 1100), 1000);
        assert_eq!(pace.per_second(5000, 1100), 0);
        assert_eq!(pace.per_second(7000, 10), 5, "after a reset");
    }
}

//! What the 24 bits of an entry's access clock say: when it was used last, or how often.
//!
//! ```text
//! last used   24 bits of a count of seconds
//! counted     16 bits of a count of minutes, when the counter was looked at last; 8 bits of a counter
//! ```
//!
//! The counter is logarithmic: the more it says, the less likely a use adds one to it. With every `decay` minutes that pass
//! it says one less. When the policy changes, what the bits say is wrong until keys are used or replaced, as in Redis.

use super::Entry;
use super::entry::CLOCK_MASK;

/// How uses of entries are noted. One word, so that it is read at once: bit 62 for counting, then the factor and the
/// decay with 31 bits each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uses(pub(super) u64);

const COUNTED: u64 = 1 << 62;
const PARAMETER: u64 = (1 << 31) - 1;

/// Where the counter of a new key begins, so that it is not the next to go. Source: Redis' `LFU_INIT_VAL`.
const FIRST: u8 = 5;

/// How far a clock may be ahead of whoever looks: each batch has a time of its own, and clocks may be set back. Without this
/// a key that was used a moment later would seem not to have been used for ages.
const AHEAD: u16 = 16;

impl Uses {
    /// The time of the last use is kept.
    pub const LAST: Self = Self(0);

    /// Uses are counted.
    ///
    /// * `log_factor`: how much less likely each step of the counter makes the next; below 2^31.
    /// * `decay_minutes`: minutes that take one off the counter, 0 for never; below 2^31.
    pub fn counted(log_factor: u32, decay_minutes: u32) -> Self {
        Self(COUNTED | (u64::from(log_factor) & PARAMETER) << 31 | u64::from(decay_minutes) & PARAMETER)
    }

    #[inline]
    pub fn are_counted(self) -> bool {
        self.0 & COUNTED != 0
    }

    /// The bits of an entry that is made at `now` (ms since the Unix epoch).
    #[inline]
    pub fn fresh(self, now: u64) -> u32 {
        if self.are_counted() { counted(now, FIRST) } else { seconds(now) }
    }

    /// Notes a use.
    #[inline]
    pub fn note(self, entry: &Entry, now: u64) {
        entry.touch(self.noted(entry.clock(), now));
    }

    /// What the bits become by a use.
    #[inline]
    pub fn noted(self, clock: u32, now: u64) -> u32 {
        if self.are_counted() { self.grown(clock, now) } else { seconds(now) }
    }

    #[inline(never)]
    fn grown(self, clock: u32, now: u64) -> u32 {
        counted(now, grown(self.frequency(clock, now), self.log_factor(), |n| fastrand::u64(..n)))
    }

    /// Counts a use for which the dice were cast already.
    pub fn count(self, entry: &Entry, now: u64) {
        entry.touch(counted(now, self.frequency(entry.clock(), now).saturating_add(1)));
    }

    /// What the counter says at `now`.
    pub fn frequency(self, clock: u32, now: u64) -> u8 {
        let passed = minutes(now).wrapping_sub((clock >> 8) as u16);
        let passed = if passed > u16::MAX - AHEAD { 0 } else { passed };
        let steps = u64::from(passed).checked_div(self.0 & PARAMETER).unwrap_or(0);
        (clock as u8).saturating_sub(u8::try_from(steps).unwrap_or(u8::MAX))
    }

    fn log_factor(self) -> u64 {
        self.0 >> 31 & PARAMETER
    }
}

/// The bits for a counter that is looked at now.
#[inline]
pub fn counted(now: u64, counter: u8) -> u32 {
    u32::from(minutes(now)) << 8 | u32::from(counter)
}

/// The bits for a last use.
#[inline]
pub fn seconds(now: u64) -> u32 {
    (now / 1000) as u32 & CLOCK_MASK
}

/// Seconds since the last use, as of `now`. The clock comes round after half a year.
pub fn idle_seconds(entry: &Entry, now: u64) -> u32 {
    let idle = entry.idle_seconds(seconds(now));
    if idle > CLOCK_MASK - u32::from(AHEAD) { 0 } else { idle }
}

#[inline]
fn minutes(now: u64) -> u16 {
    (now / 60_000) as u16
}

/// The counter after a use: one more, with a chance of 1 in 1 + (counter - FIRST) * factor.
///
/// * `below`: a uniform number below its argument.
fn grown(counter: u8, log_factor: u64, below: impl FnOnce(u64) -> u64) -> u8 {
    let odds = 1 + u64::from(counter.saturating_sub(FIRST)) * log_factor;
    if counter < u8::MAX && below(odds) == 0 { counter + 1 } else { counter }
}

#[cfg(all(test, not(kiba_loom)))]
mod tests {
    use super::super::Content;
    use super::*;

    const NOW: u64 = 1_800_000_000_000;
    const MINUTE: u64 = 60_000;

    #[test]
    fn a_new_entry_is_not_the_next_to_go() {
        let uses = Uses::counted(10, 1);
        let clock = uses.fresh(NOW);
        assert_eq!(uses.frequency(clock, NOW), FIRST);
        assert_eq!(uses.frequency(clock, NOW + 4 * MINUTE), 1);
        assert_eq!(uses.frequency(clock, NOW + 5 * MINUTE), 0);
        assert_eq!(uses.frequency(clock, NOW + 50_000 * MINUTE), 0);
        assert_eq!(Uses::counted(10, 0).frequency(clock, NOW + 500 * MINUTE), FIRST);
        assert_eq!(Uses::counted(10, 3).frequency(clock, NOW + 7 * MINUTE), 3);
        assert_eq!(Uses::LAST.fresh(NOW), seconds(NOW));
    }

    #[test]
    fn the_clock_of_minutes_comes_round() {
        let uses = Uses::counted(10, 1);
        let before = NOW - (NOW / MINUTE % 65_536 + 1) * MINUTE;
        assert_eq!(uses.frequency(counted(before, 100), before + 2 * MINUTE), 98);
    }

    #[test]
    fn a_use_that_is_a_moment_ahead_is_none_of_ages_ago() {
        let uses = Uses::counted(10, 1);
        assert_eq!(uses.frequency(counted(NOW + MINUTE, 100), NOW), 100);
        let entry = Entry::new(b"k", Content::Int(1), None, seconds(NOW + 1000));
        assert_eq!((idle_seconds(&entry, NOW), idle_seconds(&entry, NOW + 3000)), (0, 2));
        let day = 24 * 60 * MINUTE;
        assert_eq!(u64::from(idle_seconds(&entry, NOW + 1000 + 150 * day)), 150 * day / 1000);
    }

    #[test]
    fn the_odds_of_a_step_follow_the_counter() {
        let odds_of = |counter, factor| {
            let mut odds = 0;
            grown(counter, factor, |n| {
                odds = n;
                1
            });
            odds
        };
        assert_eq!((odds_of(0, 10), odds_of(5, 10), odds_of(6, 10), odds_of(105, 10)), (1, 1, 11, 1001));
        assert_eq!((odds_of(200, 0), odds_of(254, PARAMETER)), (1, 1 + 249 * PARAMETER));
        assert_eq!(grown(7, 10, |_| 0), 8);
        assert_eq!(grown(7, 10, |_| 20), 7);
        assert_eq!(grown(255, 0, |_| 0), 255);
    }

    /// The table in Redis' documentation: with factor 10 about 10 after a hundred uses, 18 after a thousand, 142 after a
    /// hundred thousand.
    #[test]
    fn many_uses_fill_the_counter_as_in_redis() {
        let mut random = fastrand::Rng::with_seed(7);
        let mut counter = FIRST;
        for (uses, expected) in [(100, 8..=13), (900, 15..=22), (99_000, 130..=155)] {
            for _ in 0..uses {
                counter = grown(counter, 10, |n| random.u64(..n));
            }
            assert!(expected.contains(&counter), "{counter} after {uses} more");
        }
    }

    #[test]
    fn a_use_is_noted_in_either_way() {
        let entry = Entry::new(b"k", Content::Int(1), None, 0);
        Uses::LAST.note(&entry, NOW);
        assert_eq!(entry.clock(), seconds(NOW));
        let uses = Uses::counted(0, 1);
        entry.touch(uses.fresh(NOW));
        uses.note(&entry, NOW + MINUTE);
        // One less for the minute, one more for the use.
        assert_eq!(entry.clock(), counted(NOW + MINUTE, 5));
        uses.count(&entry, NOW + MINUTE);
        assert_eq!(uses.frequency(entry.clock(), NOW + MINUTE), 6);
    }
}

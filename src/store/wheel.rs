//! A hierarchical timer wheel of 4-byte tokens: which keys of a part are due, without looking at the others.
//!
//! Time is counted in ticks. Level 0 has one slot per tick, each further level 64 times coarser ones. A token of a
//! coarse slot is looked at again when that slot begins and goes down to a finer one. Records are never removed
//! when a deadline changes; whoever is called back compares with the entry's own deadline, which is the truth.

/// Milliseconds per tick: how late an expiry may be noticed at best. 16 ms is well under the 50 ms that
/// notifications are to arrive within.
pub const TICK_MS: u64 = 16;

const BITS: u32 = 6;
const SLOTS: usize = 1 << BITS;
/// 64^7 ticks of 16 ms: 2,230 years. Later deadlines wait in the last slot and are looked at again then.
const LEVELS: usize = 7;
const HORIZON: u64 = (1 << (BITS * LEVELS as u32)) - 1;

/// The first tick at which `deadline` (ms) has passed.
pub fn tick_of(deadline: u64) -> u64 {
    deadline.div_ceil(TICK_MS)
}

#[derive(Debug, Default)]
struct Level {
    occupied: u64,
    slots: Vec<Vec<u32>>,
}

/// What became of a due token.
#[derive(Debug, PartialEq, Eq)]
pub enum Due {
    /// Nothing is left to wait for.
    Done,
    /// There is something to wait for at this tick; one in the past asks for another look at once.
    Again(u64),
}

impl Due {
    /// The earlier of this and another look at `tick`.
    pub fn sooner(self, tick: u64) -> Self {
        match self {
            Self::Again(other) if other <= tick => self,
            _ => Self::Again(tick),
        }
    }
}

/// Tokens by the tick at which they are to be looked at.
#[derive(Debug, Default)]
pub struct Wheel {
    /// Everything before this tick has been handled.
    now: u64,
    records: usize,
    levels: Vec<Level>,
}

impl Wheel {
    /// An empty wheel whose time begins at tick `now`: with a nearer start, records go to finer slots at once.
    pub fn starting_at(now: u64) -> Self {
        Self { now, ..Self::default() }
    }

    /// Adds a token that is due at `tick`; one in the past is due at once.
    pub fn insert(&mut self, tick: u64, token: u32) {
        if self.levels.is_empty() {
            self.levels.resize_with(LEVELS, Level::default);
        }
        let tick = tick.clamp(self.now, self.now.saturating_add(HORIZON / 2));
        let level = ((tick ^ self.now) | 1).ilog2() / BITS;
        let level = (level as usize).min(LEVELS - 1);
        let slot = (tick >> (BITS * level as u32)) as usize % SLOTS;
        let target = &mut self.levels[level];
        if target.slots.is_empty() {
            target.slots.resize_with(SLOTS, Vec::new);
        }
        target.slots[slot].push(token);
        target.occupied |= 1 << slot;
        self.records += 1;
    }

    /// Hands out tokens due at or before `to`, at most `limit` of them; `true` when more may be due.
    pub fn advance(&mut self, to: u64, limit: usize, mut visit: impl FnMut(u32) -> Due) -> bool {
        for _ in 0..limit {
            let Some((level, slot, start)) = self.first() else { break };
            if start > to {
                break;
            }
            self.now = self.now.max(start);
            let target = &mut self.levels[level];
            let token = target.slots[slot].pop();
            if target.slots[slot].is_empty() {
                target.slots[slot] = Vec::new();
                target.occupied &= !(1 << slot);
            }
            let Some(token) = token else { continue };
            self.records -= 1;
            if let Due::Again(tick) = visit(token) {
                self.insert(tick, token);
            }
        }
        match self.first() {
            Some((_, _, start)) if start <= to => true,
            _ => {
                self.now = self.now.max(to);
                false
            }
        }
    }

    /// Takes all tokens out, in no order.
    pub fn drain(&mut self) -> Vec<u32> {
        self.records = 0;
        let levels = std::mem::take(&mut self.levels);
        levels.into_iter().flat_map(|level| level.slots).flatten().collect()
    }

    /// The tick at which there is something to look at next.
    pub fn next_tick(&self) -> Option<u64> {
        self.first().map(|(_, _, start)| start)
    }

    /// The tick before which everything has been handled.
    pub fn now(&self) -> u64 {
        self.now
    }

    /// Number of tokens, stale ones included.
    pub fn len(&self) -> usize {
        self.records
    }

    pub fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// The first occupied slot: level, index, and the tick at which it begins (not before `now`).
    fn first(&self) -> Option<(usize, usize, u64)> {
        if self.records == 0 {
            return None;
        }
        // A finer level always begins before a coarser one's next slot, except for a coarse slot that begins at
        // or before `now`; so the earliest start wins.
        let mut best: Option<(usize, usize, u64)> = None;
        for (level, Level { occupied, .. }) in self.levels.iter().enumerate() {
            if *occupied == 0 {
                continue;
            }
            let shift = BITS * level as u32;
            let current = (self.now >> shift) as u32 % SLOTS as u32;
            let ahead = u64::from(occupied.rotate_right(current).trailing_zeros());
            let start = (((self.now >> shift) + ahead) << shift).max(self.now);
            if best.is_none_or(|(_, _, first)| start < first) {
                best = Some((level, (u64::from(current) + ahead) as usize % SLOTS, start));
            }
        }
        best
    }
}

#[cfg(all(test, not(kiba_loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn far_tokens_come_down_level_by_level() {
        let mut wheel = Wheel::default();
        wheel.advance(1_000_000_000, 10, |_| Due::Done);
        let due = 1_000_000_000 + 70_000;
        wheel.insert(due, 7);
        let mut looks = 0;
        while let Some(tick) = wheel.next_tick() {
            wheel.advance(tick, 10, |token| {
                assert_eq!(token, 7);
                looks += 1;
                if tick < due { Due::Again(due) } else { Due::Done }
            });
        }
        assert!((1..=4).contains(&looks), "{looks} looks");
        assert!(wheel.is_empty());
    }

    #[test]
    fn a_limit_leaves_the_rest_for_later() {
        let mut wheel = Wheel::default();
        for token in 0..10 {
            wheel.insert(5, token);
        }
        let mut seen = 0;
        assert!(wheel.advance(9, 4, |_| {
            seen += 1;
            Due::Done
        }));
        assert_eq!((seen, wheel.len()), (4, 6));
        assert!(!wheel.advance(9, 10, |_| {
            seen += 1;
            Due::Done
        }));
        assert_eq!((seen, wheel.len()), (10, 0));
    }

    proptest! {
        /// Against a plain list: each token is seen at its tick, never before, and never lost.
        #[test]
        fn agrees_with_a_list(
            start in prop_oneof![0..100_u64, 1 << 36..1_u64 << 37],
            steps in prop::collection::vec((0..3_u8, 0..300_000_u64), 1..200),
        ) {
            let mut wheel = Wheel::default();
            wheel.advance(start, 1, |_| Due::Done);
            let (mut now, mut due): (u64, Vec<u64>) = (start, Vec::new());
            for (kind, amount) in steps {
                if kind > 0 {
                    let tick = now + if kind == 1 { amount } else { amount % 70 };
                    wheel.insert(tick, due.len() as u32);
                    due.push(tick);
                } else {
                    now += amount;
                    let due = &mut due;
                    while wheel.advance(now, 16, |token| {
                        let tick = due[token as usize];
                        assert_ne!(tick, u64::MAX, "seen twice");
                        if tick > now {
                            Due::Again(tick)
                        } else {
                            due[token as usize] = u64::MAX;
                            Due::Done
                        }
                    }) {}
                    prop_assert!(due.iter().all(|&tick| tick == u64::MAX || tick > now));
                    if let Some(next) = wheel.next_tick() {
                        prop_assert!(next > now);
                        prop_assert!(next <= *due.iter().filter(|&&tick| tick != u64::MAX).min().unwrap());
                    }
                }
            }
            prop_assert_eq!(wheel.len(), due.iter().filter(|&&tick| tick != u64::MAX).count());
        }
    }
}

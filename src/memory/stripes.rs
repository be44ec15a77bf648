//! A sum to which many threads add, each in a place of its own.

use crate::sync::{AtomicI64, AtomicUsize, Ordering, planted};

/// Counters, of which each thread writes one and nobody else does; but for the last, which all those share that came when
/// the others were taken.
#[derive(Debug)]
pub struct Stripes<const N: usize> {
    taken: AtomicUsize,
    counters: [Counter; N],
}

/// Alone in its cache lines.
#[derive(Debug)]
#[repr(align(128))]
struct Counter(AtomicI64);

impl<const N: usize> Stripes<N> {
    #[cfg(not(kiba_model))]
    pub const fn new() -> Self {
        Self { taken: AtomicUsize::new(0), counters: [const { Counter(AtomicI64::new(0)) }; N] }
    }

    #[cfg(kiba_model)]
    pub fn new() -> Self {
        Self { taken: AtomicUsize::new(0), counters: std::array::from_fn(|_| Counter(AtomicI64::new(0))) }
    }

    /// A thread's place, which it takes once and keeps. What it has counted stays when it ends.
    pub fn place(&self) -> usize {
        if planted("stripe-given-twice") {
            let place = self.taken.load(Ordering::Relaxed);
            self.taken.store(place + 1, Ordering::Relaxed);
            return place;
        }
        self.taken.fetch_add(1, Ordering::Relaxed)
    }

    /// Adds in a thread's place.
    #[inline]
    pub fn add(&self, place: usize, amount: i64) {
        if place < N - 1 || planted("shared-stripe-added-to-without-exchange") {
            // Only this thread writes here, so a load and a store do what an atomic addition would.
            let counter = &self.counters[place.min(N - 1)].0;
            counter.store(counter.load(Ordering::Relaxed).wrapping_add(amount), Ordering::Relaxed);
        } else {
            self.counters[N - 1].0.fetch_add(amount, Ordering::Relaxed);
        }
    }

    /// What was added in a place.
    #[inline]
    pub fn own(&self, place: usize) -> i64 {
        self.counters[place.min(N - 1)].0.load(Ordering::Relaxed)
    }

    /// What all have added: exact once nobody adds any more, and otherwise off by no more than what is added meanwhile.
    pub fn sum(&self) -> i64 {
        // Relaxed, here and above: a thread that has just begun is missed, and its first additions with it.
        let taken = self.taken.load(Ordering::Relaxed).min(N - 1);
        (0..taken).map(|place| self.own(place)).sum::<i64>() + self.own(N - 1)
    }
}

impl<const N: usize> Default for Stripes<N> {
    fn default() -> Self {
        Self::new()
    }
}

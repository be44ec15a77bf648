//! Counters for INFO: striped over threads, added to once per batch.

use std::cell::Cell;
// Not the model checker's: counters are only reported, and nobody draws a conclusion from their order.
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_utils::CachePadded;

use super::calls::Calls;
use super::stripe::{self, STRIPES, stripe};

/// What one batch did; added to the [`Stats`] at its end.
#[derive(Debug, Default)]
pub struct Tally {
    pub hits: Cell<u64>,
    pub misses: Cell<u64>,
}

macro_rules! stats {
    ($($(#[doc = $doc:literal])+ $name:ident)+) => {
        #[derive(Debug, Default)]
        struct Stripe { $($name: AtomicU64),+ }

        /// Totals since start or the last CONFIG RESETSTAT.
        #[derive(Debug)]
        pub struct Stats {
            stripes: Box<[CachePadded<Stripe>]>,
            /// What they were at the last reset: only their own threads write them.
            reset: Stripe,
            pub calls: Calls,
        }

        impl Stats {
            $($(#[doc = $doc])+
            pub fn $name(&self) -> u64 {
                self.total(|stripe| &stripe.$name).saturating_sub(self.reset.$name.load(Ordering::Relaxed))
            })+

            /// Sets every counter to zero.
            pub fn reset(&self) {
                self.calls.reset();
                $(self.reset.$name.store(self.total(|stripe| &stripe.$name), Ordering::Relaxed);)+
            }

            /// The sum of one counter since start.
            fn total(&self, counter: fn(&Stripe) -> &AtomicU64) -> u64 {
                self.stripes.iter().map(|stripe| counter(stripe).load(Ordering::Relaxed)).sum()
            }
        }

        /// Names a counter.
        #[allow(non_camel_case_types)]
        #[derive(Clone, Copy, Debug)]
        pub enum Count { $($name),+ }

        impl Stats {
            #[inline]
            pub fn add(&self, counter: Count, amount: u64) {
                let at = stripe();
                let stripe = &self.stripes[at];
                let counter = match counter { $(Count::$name => &stripe.$name),+ };
                stripe::add(at, counter, amount);
            }
        }
    };
}

stats! {
    /// Commands processed.
    commands
    /// Connections accepted.
    connections
    /// Connections refused because there were too many.
    rejected
    /// Look-ups by reading commands that found their key.
    hits
    /// Look-ups by reading commands that did not.
    misses
    /// Bytes read from clients.
    input_bytes
    /// Bytes written to clients.
    output_bytes
    /// Clients closed because they did not read their replies.
    output_limit_disconnections
    /// Clients closed because their request grew too large.
    query_limit_disconnections
    /// Keys evicted.
    evicted
    /// Long commands that ran on copies of their keys.
    worked_aside
    /// Commands that panicked, each of which ended its connection.
    panics
}

impl Default for Stats {
    fn default() -> Self {
        let stripes = (0..STRIPES).map(|_| CachePadded::new(Stripe::default())).collect();
        Self { stripes, reset: Stripe::default(), calls: Calls::default() }
    }
}

impl Stats {
    pub fn add_tally(&self, tally: &Tally) {
        if tally.hits.get() > 0 {
            self.add(Count::hits, tally.hits.get());
        }
        if tally.misses.get() > 0 {
            self.add(Count::misses, tally.misses.get());
        }
    }
}

#[cfg(all(test, not(kiba_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_reset_among_additions_loses_none_that_come_later() {
        let stats = Stats::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..10_000).for_each(|_| stats.add(Count::commands, 1)));
            }
            for _ in 0..100 {
                stats.reset();
                assert!(stats.commands() <= 40_000);
            }
        });
        stats.reset();
        assert_eq!(stats.commands(), 0);
        stats.add(Count::commands, 3);
        assert_eq!(stats.commands(), 3);
    }
}

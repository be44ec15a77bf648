//! INFO commandstats: how often each command ran, was refused and failed, and what it costs, by a sample.
//!
//! Calls are counted by stripes over threads, once per run of equal commands of a batch. What is rare is counted in
//! one place. Nobody reads a clock for every command: about one in [`SAMPLED`] is timed, and stands for the others.

use std::cell::Cell;
use std::sync::OnceLock;
// Not the model checker's: counters are only reported, and nobody draws a conclusion from their order.
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::stripe::{self, STRIPES, stripe};
use crate::command::{self, Command};

/// One command in so many is timed. Two looks at the clock take some 50 ns, so that it is half a nanosecond for each.
const SAMPLED: usize = 128;

/// Counters of every command.
#[derive(Debug)]
pub struct Calls {
    /// By stripe, and there by the command's index. Made when the stripe's first thread counts.
    ran: Box<[OnceLock<Box<[AtomicU64]>>]>,
    /// How often each had run at the last reset: only their own threads write those.
    reset: Box<[AtomicU64]>,
    seldom: Box<[Seldom]>,
}

#[derive(Debug, Default)]
struct Seldom {
    rejected: AtomicU64,
    failed: AtomicU64,
    timed: AtomicU64,
    timed_ns: AtomicU64,
}

/// What is known of a command's calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallStats {
    pub calls: u64,
    /// Not even begun: a wrong number of arguments, no login, no memory ...
    pub rejected: u64,
    pub failed: u64,
    /// Of all calls, reckoned from those that were timed.
    pub usec: u64,
}

/// A counter for each command.
fn zeros() -> Box<[AtomicU64]> {
    (0..command::index_end()).map(|_| AtomicU64::new(0)).collect()
}

impl Default for Calls {
    fn default() -> Self {
        Self {
            ran: (0..STRIPES).map(|_| OnceLock::new()).collect(),
            reset: zeros(),
            seldom: (0..command::index_end()).map(|_| Seldom::default()).collect(),
        }
    }
}

impl Calls {
    /// Counts commands, given by their index, that have run. Equal ones that follow each other are one addition.
    #[inline]
    pub fn ran(&self, commands: impl Iterator<Item = u32>) {
        let at = stripe();
        let counters = self.ran[at].get_or_init(zeros);
        let mut commands = commands.peekable();
        while let Some(index) = commands.next() {
            let mut times = 1;
            while commands.next_if_eq(&index).is_some() {
                times += 1;
            }
            stripe::add(at, &counters[index as usize], times);
        }
    }

    /// How often a command has run since start, by its index.
    fn total(&self, index: usize) -> u64 {
        let stripes = self.ran.iter().filter_map(OnceLock::get);
        stripes.map(|counters| counters[index].load(Ordering::Relaxed)).sum()
    }

    #[cold]
    pub fn rejected(&self, command: &Command) {
        self.seldom[command.index as usize].rejected.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts commands that answered with an error.
    #[cold]
    pub fn failed(&self, commands: impl Iterator<Item = u32>) {
        commands.for_each(|index| _ = self.seldom[index as usize].failed.fetch_add(1, Ordering::Relaxed));
    }

    /// Which of the next `count` commands of this thread is to be timed, if any.
    ///
    /// Random gaps: at equal ones a pipeline that repeats itself would show some of its commands never.
    #[inline]
    pub fn sample(&self, count: usize) -> Option<usize> {
        thread_local!(static LEFT: Cell<usize> = const { Cell::new(0) });
        let left = LEFT.get();
        LEFT.set(left.checked_sub(count).unwrap_or_else(|| fastrand::usize(..2 * SAMPLED)));
        (left < count).then_some(left)
    }

    /// Takes down how long a command took.
    #[cold]
    pub fn took(&self, command: &Command, time: Duration) {
        let seldom = &self.seldom[command.index as usize];
        seldom.timed.fetch_add(1, Ordering::Relaxed);
        seldom.timed_ns.fetch_add(time.as_nanos() as u64, Ordering::Relaxed);
    }

    /// What is known of one command; nothing is told apart within those that only seem to be containers.
    pub fn of(&self, command: &Command) -> CallStats {
        let mut all = CallStats::default();
        for command in std::iter::once(command).chain(&command.hidden) {
            let index = command.index as usize;
            let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
            let calls = self.total(index).saturating_sub(read(&self.reset[index]));
            let seldom = &self.seldom[index];
            let mean_ns = read(&seldom.timed_ns) as f64 / read(&seldom.timed).max(1) as f64;
            all.calls += calls;
            all.rejected += read(&seldom.rejected);
            all.failed += read(&seldom.failed);
            all.usec += (mean_ns * calls as f64 / 1e3).round() as u64;
        }
        all
    }

    pub fn reset(&self) {
        for (index, reset) in self.reset.iter().enumerate() {
            reset.store(self.total(index), Ordering::Relaxed);
        }
        for Seldom { rejected, failed, timed, timed_ns } in &self.seldom {
            for counter in [rejected, failed, timed, timed_ns] {
                counter.store(0, Ordering::Relaxed);
            }
        }
    }
}

#[cfg(all(test, not(kiba_loom)))]
mod tests {
    use super::*;

    fn find(name: &str) -> &'static Command {
        command::find(name.as_bytes()).expect("a command")
    }

    #[test]
    fn calls_of_all_threads_are_summed_and_forgotten_at_reset() {
        let calls = Calls::default();
        let (get, set) = (find("get"), find("set"));
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| calls.ran([get.index, get.index, set.index, get.index].into_iter()));
            }
        });
        calls.rejected(get);
        calls.failed([get.index, set.index].into_iter());
        calls.took(get, Duration::from_nanos(1_500));
        calls.took(get, Duration::from_nanos(2_500));
        assert_eq!(calls.of(get), CallStats { calls: 9, rejected: 1, failed: 1, usec: 18 });
        assert_eq!(calls.of(set), CallStats { calls: 3, rejected: 0, failed: 1, usec: 0 });
        calls.reset();
        assert_eq!(calls.of(get), CallStats::default());
    }

    #[test]
    fn one_in_so_many_is_timed_whatever_the_batches_are() {
        let calls = Calls::default();
        for size in [1, 2, 7, 500] {
            let batches = 100_000 / size;
            let timed = (0..batches).filter_map(|_| calls.sample(size)).inspect(|at| assert!(*at < size)).count();
            let expected = batches.min(batches * size / SAMPLED);
            assert!((expected / 2..=expected * 2).contains(&timed), "{timed} of {batches} batches of {size}");
        }
    }
}

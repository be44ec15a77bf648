//! The small types with many threads: counters, freeing, the gate, and the pause.

use kiba::memory::stripes::Stripes;
use kiba::server::gate::Gate;
use kiba::server::{Pause, PauseMode};
use kiba::store::reaper::Reaper;
use kiba::sync::{Arc, AtomicUsize, Ordering};
use loom_tests::{Large, block_on};
use shuttle::thread;

use crate::chance::explore;

/// Each is a module of its own.
const TESTS: usize = 1;

#[test]
fn what_sixteen_threads_have_counted_is_counted() {
    explore(TESTS, || {
        let stripes = Arc::new(Stripes::<8>::new());
        let threads: Vec<_> = (0..15)
            .map(|number| {
                let stripes = Arc::clone(&stripes);
                thread::spawn(move || {
                    let place = stripes.place();
                    stripes.add(place, 1 << number);
                    stripes.add(place, 100_000);
                    stripes.add(place, -100_000);
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().expect("joins"));
        assert_eq!(stripes.sum(), (1 << 15) - 1);
    });
}

#[test]
fn what_eight_threads_hand_over_is_freed_once() {
    explore(TESTS, || {
        const MOST: u64 = 3;
        let (reaper, reaping) = Reaper::new(MOST);
        let (reaper, freed) = (Arc::new(reaper), Arc::new(AtomicUsize::new(0)));
        let reaping = thread::spawn(move || reaping.run());
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let (reaper, freed) = (Arc::clone(&reaper), Arc::clone(&freed));
                thread::spawn(move || {
                    for _ in 0..2 {
                        reaper.free(Large(Arc::clone(&freed)));
                        assert!(reaper.things() <= MOST);
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().expect("joins"));
        drop(reaper);
        reaping.join().expect("joins");
        assert_eq!(freed.load(Ordering::Relaxed), 16);
    });
}

#[test]
fn a_closed_and_empty_gate_stays_so() {
    explore(TESTS, || {
        const MOST: usize = 3;
        let (gate, inside) = (Arc::new(Gate::default()), Arc::new(AtomicUsize::new(0)));
        let visitors: Vec<_> = (0..10)
            .map(|_| {
                let (gate, inside) = (Arc::clone(&gate), Arc::clone(&inside));
                thread::spawn(move || {
                    if gate.enter(MOST as u64) {
                        assert!(inside.fetch_add(1, Ordering::SeqCst) < MOST);
                        inside.fetch_sub(1, Ordering::SeqCst);
                        gate.leave();
                    }
                })
            })
            .collect();
        let waiting = {
            let gate = Arc::clone(&gate);
            thread::spawn(move || block_on(gate.until_closed()))
        };
        gate.close();
        block_on(gate.until_empty());
        assert_eq!(inside.load(Ordering::SeqCst), 0);
        assert!(!gate.enter(MOST as u64) && gate.is_empty());
        visitors.into_iter().chain([waiting]).for_each(|thread| thread.join().expect("joins"));
        assert!(gate.is_empty());
    });
}

#[test]
fn all_who_wait_in_a_pause_go_on() {
    explore(TESTS, || {
        const NOW: u64 = 1_000;
        let pause = Arc::new(Pause::default());
        let waiting: Vec<_> = (0..6)
            .map(|number| {
                let pause = Arc::clone(&pause);
                thread::spawn(move || {
                    while let Some((_, changed)) = pause.look(number % 2 == 0, NOW) {
                        block_on(changed);
                    }
                })
            })
            .collect();
        let operators =
            [(500, PauseMode::All), (900, PauseMode::Write), (700, PauseMode::Write)].map(|(until, mode)| {
                let pause = Arc::clone(&pause);
                thread::spawn(move || pause.start(NOW + until, mode, NOW))
            });
        operators.into_iter().for_each(|operator| operator.join().expect("joins"));
        assert_eq!(pause.look(false, NOW).map(|(wait, _)| wait), Some(900));
        pause.stop();
        waiting.into_iter().for_each(|waiting| waiting.join().expect("joins"));
    });
}

//! Expiry against many writers: what is to last lasts, what is due goes, and nothing is left behind.

use kiba::sync::{Arc, Ordering, Thread};
use loom_tests::{LATER, Model, START};
use shuttle::thread;

use crate::chance::explore;

const TESTS: usize = 2;

#[test]
fn a_key_whose_deadline_was_moved_stays_until_then() {
    explore(TESTS, || {
        let model = Arc::new(Model::new());
        let writers: Vec<_> = (0..7)
            .map(|number| {
                let model = Arc::clone(&model);
                thread::spawn(move || {
                    model.run_at(START, &format!("SET k{number} v PX 100"));
                    model.run_at(START, &format!("PEXPIRE k{number} 100000")) == ":1\r\n"
                })
            })
            .collect();
        let sweeper = {
            let model = Arc::clone(&model);
            thread::spawn(move || (0..3).for_each(|_| _ = model.engine.sweep(LATER)))
        };
        sweeper.join().expect("joins");
        for (number, writer) in writers.into_iter().enumerate() {
            let expected = if writer.join().expect("joins") { ":1\r\n" } else { ":0\r\n" };
            assert_eq!(model.run_at(LATER, &format!("EXISTS k{number}")), expected);
        }
        model.engine.sweep(LATER + 200_000);
        assert_eq!(model.run_at(START, "DBSIZE"), ":0\r\n");
        assert_eq!(model.server.env.expired.load(Ordering::Relaxed), 7);
    });
}

#[test]
fn the_sweeper_never_sleeps_past_a_deadline() {
    explore(TESTS, || {
        let model = Arc::new(Model::new());
        let sweeper = Thread::default();
        model.server.env.agenda.set_sweeper(sweeper.clone());
        let writers: Vec<_> = (0..6)
            .map(|number| {
                let model = Arc::clone(&model);
                thread::spawn(move || model.run_at(START, &format!("SET k{number} v PX {}", 100 + 20 * number)))
            })
            .collect();
        model.sweep_until(6, &sweeper);
        writers.into_iter().for_each(|writer| assert_eq!(writer.join().expect("joins"), "+OK\r\n"));
    });
}

//! Expiry against writers: the sweeper removes what is due then and nothing else, and never sleeps past a deadline.
//!
//! Planted bugs: `record-taken-for-the-deadline` (a key goes at a time that was its deadline once) and
//! `agenda-looked-at-before-sleeping` (a deadline that comes in between is slept past).
#![cfg(kiba_loom)]

use kiba::sync::{Arc, Thread};
use loom::thread;
use loom_tests::Model;

/// When the models begin, and a time at which what was set for 100 ms is due, whatever the tick.
const START: u64 = 1_800_000_000_000;
const LATER: u64 = START + 500;

/// Another thread that runs these requests at the start.
fn run(model: &Arc<Model>, requests: String) -> thread::JoinHandle<String> {
    let model = Arc::clone(model);
    thread::spawn(move || model.run_at(START, &requests))
}

#[test]
fn a_deadline_that_is_moved_back_in_time_holds() {
    loom::model(|| {
        let model = Arc::new(Model::new());
        let key = model.keys().a;
        model.run_at(START, &format!("SET {key} v PX 100"));
        let writer = run(&model, format!("PEXPIRE {key} 100000"));
        model.engine.sweep(LATER);
        let is_moved = writer.join().expect("joins") == ":1\r\n";
        assert_eq!(model.run_at(LATER, &format!("EXISTS {key}")), if is_moved { ":1\r\n" } else { ":0\r\n" });
        // The record is looked at again when its new time has come.
        model.engine.sweep(LATER + 200_000);
        assert_eq!(model.run_at(START, &format!("EXISTS {key}")), ":0\r\n");
    });
}

#[test]
fn a_key_that_is_written_anew_stays() {
    loom::model(|| {
        let model = Arc::new(Model::new());
        let key = model.keys().a;
        model.run_at(START, &format!("SET {key} old PX 100"));
        let writer = run(&model, format!("SET {key} new"));
        model.engine.sweep(LATER);
        assert_eq!(writer.join().expect("joins"), "+OK\r\n");
        model.engine.sweep(LATER + 200_000);
        assert_eq!(model.run_at(LATER, &format!("GET {key}")), "$3\r\nnew\r\n");
    });
}

#[test]
fn a_key_that_is_made_lasting_stays_if_it_was_there() {
    loom::model(|| {
        let model = Arc::new(Model::new());
        let key = model.keys().a;
        model.run_at(START, &format!("SET {key} v PX 100"));
        let writer = run(&model, format!("PERSIST {key}"));
        model.engine.sweep(LATER);
        let is_there = model.run_at(START, &format!("EXISTS {key}"));
        // What was there after the sweep, and is to last, lasts; what was removed could not be made lasting any more.
        let is_lasting = writer.join().expect("joins");
        assert!(is_lasting == is_there || is_there == ":0\r\n", "{is_there} {is_lasting}");
        assert_eq!(model.run_at(LATER, &format!("EXISTS {key}")), is_lasting);
    });
}

#[test]
fn a_deadline_that_comes_while_the_sweeper_goes_to_sleep_wakes_it() {
    loom::model(|| {
        let model = Arc::new(Model::new());
        let key = model.keys().a;
        let sweeper = Thread::default();
        model.server.env.agenda.set_sweeper(sweeper.clone());
        let writer = run(&model, format!("SET {key} v PX 100"));
        // As its thread does, but for looking once a second in any case. The time passes when there is something to wait for.
        let mut now = START;
        loop {
            let idle = model.engine.sweep(now);
            if model.server.env.expired.load(kiba::sync::Ordering::Relaxed) == 1 {
                break;
            }
            if idle.as_millis() < 1000 {
                now = LATER;
            } else {
                sweeper.park();
            }
        }
        assert_eq!(writer.join().expect("joins"), "+OK\r\n");
    });
}

//! Expiry against writers: the sweeper removes what is due then and nothing else, and never sleeps past a deadline.
//!
//! Planted bugs: `record-taken-for-the-deadline` (a key goes at a time that was its deadline once) and
//! `agenda-looked-at-before-sleeping` (a deadline that comes in between is slept past).
#![cfg(kiba_loom)]

use kiba::sync::{Arc, Thread};
use loom::thread::{self, JoinHandle};
use loom_tests::{LATER, Model, START};

/// Another thread that runs a request at the start.
fn run(model: &Arc<Model>, request: String) -> JoinHandle<String> {
    let model = Arc::clone(model);
    thread::spawn(move || model.run_at(START, &request))
}

/// Sweeps a key that is due while another thread runs a request on it (`KEY`); then looks at model, key and thread.
fn sweep_during(request: &'static str, look: impl Fn(&Model, &str, JoinHandle<String>) + Send + Sync + 'static) {
    loom::model(move || {
        let model = Arc::new(Model::new());
        let key = model.keys().a;
        model.run_at(START, &format!("SET {key} v PX 100"));
        let writer = run(&model, request.replace("KEY", &key));
        model.engine.sweep(LATER);
        look(&model, &key, writer);
    });
}

#[test]
fn a_deadline_that_is_moved_back_in_time_holds() {
    sweep_during("PEXPIRE KEY 100000", |model, key, writer| {
        // The key is there if the deadline was moved.
        assert_eq!(writer.join().expect("joins"), model.run_at(LATER, &format!("EXISTS {key}")));
        // The record is looked at again when its new time has come.
        model.engine.sweep(LATER + 200_000);
        assert_eq!(model.run_at(START, &format!("EXISTS {key}")), ":0\r\n");
    });
}

#[test]
fn a_key_that_is_written_anew_stays() {
    sweep_during("SET KEY new", |model, key, writer| {
        assert_eq!(writer.join().expect("joins"), "+OK\r\n");
        model.engine.sweep(LATER + 200_000);
        assert_eq!(model.run_at(LATER, &format!("GET {key}")), "$3\r\nnew\r\n");
    });
}

#[test]
fn a_key_that_is_made_lasting_stays_if_it_was_there() {
    sweep_during("PERSIST KEY", |model, key, writer| {
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
        model.sweep_until(1, &sweeper);
        assert_eq!(writer.join().expect("joins"), "+OK\r\n");
    });
}

//! WATCH and EXEC: a transaction runs only if nothing that it watches has changed.
//!
//! Planted bugs: `watched-keys-not-locked` (EXEC locks the keys that it touches, not those that it watches: two
//! transactions that each watch what the other writes both go through) and `watch-looked-at-before-locking` (a change in
//! between is not noticed).
#![cfg(kiba_loom)]

use kiba::engine::Watching;
use kiba::sync::Arc;
use loom::thread;
use loom_tests::Model;

#[test]
fn of_two_compare_and_sets_on_one_key_no_update_is_lost() {
    loom::model(|| {
        let model = Arc::new(Model::new());
        let key = model.keys().a;
        model.run(&format!("SET {key} 0"));
        let increment = |model: &Model, key: &str| {
            let watching = model.watch(key, Watching::default());
            let old = model.run(&format!("GET {key}"));
            let new = if old == "$1\r\n0\r\n" { 1 } else { 2 };
            model.transact(&format!("SET {key} {new}"), watching).is_some()
        };
        let other = {
            let (model, key) = (Arc::clone(&model), key.clone());
            thread::spawn(move || increment(&model, &key))
        };
        let done = u32::from(increment(&model, &key)) + u32::from(other.join().expect("joins"));
        assert!(done >= 1, "one of the two must get through");
        assert_eq!(model.run(&format!("GET {key}")), format!("$1\r\n{done}\r\n"));
    });
}

#[test]
fn transactions_that_watch_what_the_other_writes_do_not_both_run() {
    loom::model(|| {
        let model = Arc::new(Model::new());
        let keys = model.keys();
        let write_unless = |model: &Model, watched: &str, written: &str| {
            let watching = model.watch(watched, Watching::default());
            assert_ne!(model.run(&format!("GET {watched}")), "");
            let is_free = model.run(&format!("EXISTS {watched}")) == ":0\r\n";
            is_free && model.transact(&format!("SET {written} x"), watching).is_some()
        };
        let other = {
            let (model, a, b) = (Arc::clone(&model), keys.a.clone(), keys.b.clone());
            thread::spawn(move || write_unless(&model, &b, &a))
        };
        let mine = write_unless(&model, &keys.a, &keys.b);
        let theirs = other.join().expect("joins");
        assert!(!(mine && theirs), "each saw the other's key missing, and both wrote");
    });
}

#[test]
fn a_write_between_watch_and_exec_aborts() {
    loom::model(|| {
        let model = Arc::new(Model::new());
        let key = model.keys().a;
        let watching = model.watch(&key, Watching::default());
        let writer = {
            let (model, key) = (Arc::clone(&model), key.clone());
            thread::spawn(move || model.run(&format!("INCR {key}")))
        };
        // The transaction sees the key as it was watched, or does not run at all.
        if let Some(replies) = model.transact(&format!("EXISTS {key}"), watching) {
            assert_eq!(replies, "*1\r\n:0\r\n");
        }
        assert_eq!(writer.join().expect("joins"), ":1\r\n");
    });
}

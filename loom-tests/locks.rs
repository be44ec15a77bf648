//! Ordered multi-key locks: commands on several shards never deadlock, and nobody sees half of one.
//!
//! Planted bugs: `unordered-locks` (each command locks in the order in which its keys are named) and
//! `pipeline-keeps-its-lock` (a pipeline locks several keys on top of the one that it holds): loom reports the deadlocks.
#![cfg(kiba_loom)]

use kiba::sync::Arc;
use loom::thread;
use loom_tests::Model;

#[test]
fn two_writers_of_the_same_keys_in_opposite_order_do_not_deadlock() {
    loom::model(|| {
        let model = Arc::new(Model::new());
        let keys = model.keys();
        let (ab, ba) = (format!("MSET {} 1 {} 1", keys.a, keys.b), format!("MSET {} 2 {} 2", keys.b, keys.a));
        let other = {
            let model = Arc::clone(&model);
            thread::spawn(move || model.run(&ba))
        };
        assert_eq!(model.run(&ab), "+OK\r\n");
        assert_eq!(other.join().expect("joins"), "+OK\r\n");
        let read = model.run(&format!("MGET {} {}", keys.a, keys.b));
        assert!(["*2\r\n$1\r\n1\r\n$1\r\n1\r\n", "*2\r\n$1\r\n2\r\n$1\r\n2\r\n"].contains(&&*read), "{read:?}");
    });
}

#[test]
fn a_pipeline_that_goes_on_to_several_keys_does_not_deadlock() {
    loom::model(|| {
        let model = Arc::new(Model::new());
        let keys = model.keys();
        let writer = {
            let (model, text) = (Arc::clone(&model), format!("MSET {} 1 {} 1", keys.a, keys.b));
            thread::spawn(move || model.run(&text))
        };
        let read = model.run(&format!("GET {}\nMGET {}", keys.b, keys.a));
        // With the second key there, so was the first.
        assert!(read.starts_with("$-1") || read == "$1\r\n1\r\n*1\r\n$1\r\n1\r\n", "{read:?}");
        writer.join().expect("joins");
    });
}

#[test]
fn a_reader_never_sees_half_of_an_mset() {
    loom::model(|| {
        let model = Arc::new(Model::new());
        let keys = model.keys();
        model.run(&format!("MSET {} 1 {} 1", keys.a, keys.b));
        let writer = {
            let (model, text) = (Arc::clone(&model), format!("MSET {} 2 {} 2", keys.a, keys.b));
            thread::spawn(move || model.run(&text))
        };
        let read = model.run(&format!("MGET {} {}", keys.b, keys.a));
        assert!(["*2\r\n$1\r\n1\r\n$1\r\n1\r\n", "*2\r\n$1\r\n2\r\n$1\r\n2\r\n"].contains(&&*read), "{read:?}");
        writer.join().expect("joins");
    });
}

#[test]
fn a_renamed_key_is_always_under_exactly_one_name() {
    loom::model(|| {
        let model = Arc::new(Model::new());
        let keys = model.keys();
        model.run(&format!("SET {} x", keys.a));
        let renamer = {
            let (model, text) = (Arc::clone(&model), format!("RENAME {} {}", keys.a, keys.b));
            thread::spawn(move || model.run(&text))
        };
        assert_eq!(model.run(&format!("EXISTS {} {}", keys.b, keys.a)), ":1\r\n");
        assert_eq!(renamer.join().expect("joins"), "+OK\r\n");
    });
}

//! Copies of popular entries, read without a lock: a copy is never seen after what it copies has changed.
//!
//! Models publish a copy at every read that takes the lock. Planted bugs: `hot-copy-outlives-a-write` (the exclusive lock
//! does not withdraw it), `hot-copy-published-without-the-lock` (after somebody else's write) and
//! `hot-copy-published-by-a-writer` (under an exclusive lock that the pipeline's next write uses as well): a client reads
//! what it has just overwritten.
#![cfg(kiba_loom)]

use kiba::sync::Arc;
use loom::thread;
use loom_tests::Model;

const OLD: &str = "$3\r\nold\r\n";
const NEW: &str = "$3\r\nnew\r\n";

#[test]
fn a_client_reads_its_own_write() {
    loom::model(|| {
        let model = Arc::new(Model::new());
        let key = model.keys().a;
        model.run(&format!("SET {key} old"));
        let reader = {
            let (model, get) = (Arc::clone(&model), format!("GET {key}"));
            thread::spawn(move || model.run(&get))
        };
        model.run(&format!("SET {key} new"));
        assert_eq!(model.run(&format!("GET {key}")), NEW);
        assert!([OLD, NEW].contains(&reader.join().expect("joins").as_str()));
        assert_eq!(model.run(&format!("GET {key}")), NEW);
    });
}

#[test]
fn nobody_reads_the_old_value_after_the_new_one() {
    loom::model(|| {
        let model = Arc::new(Model::new());
        let key = model.keys().a;
        let get = format!("GET {key}");
        model.run(&format!("SET {key} old"));
        // There is a copy before anything else happens.
        assert_eq!(model.run(&get), OLD);
        let writer = {
            let (model, set) = (Arc::clone(&model), format!("SET {key} new"));
            thread::spawn(move || model.run(&set))
        };
        let (first, second) = (model.run(&get), model.run(&get));
        assert!((first.as_str(), second.as_str()) != (NEW, OLD));
        writer.join().expect("joins");
        assert_eq!(model.run(&get), NEW);
    });
}

#[test]
fn what_is_learned_from_another_key_holds_for_a_copied_one() {
    loom::model(|| {
        let model = Arc::new(Model::new());
        let keys = model.keys();
        let (a, b) = (keys.a, keys.b);
        model.run(&format!("MSET {a} old {b} old"));
        model.run(&format!("GET {a}"));
        let writer = {
            let (model, first, second) = (Arc::clone(&model), format!("SET {a} new"), format!("SET {b} new"));
            thread::spawn(move || {
                model.run(&first);
                model.run(&second)
            })
        };
        if model.run(&format!("GET {b}")) == NEW {
            assert_eq!(model.run(&format!("GET {a}")), NEW);
        }
        writer.join().expect("joins");
    });
}

#[test]
fn a_pipeline_reads_its_own_writes() {
    loom::model(|| {
        let model = Arc::new(Model::new());
        let key = model.keys().a;
        let reader = {
            let (model, get) = (Arc::clone(&model), format!("GET {key}"));
            thread::spawn(move || model.run(&get))
        };
        let pipeline = format!("SET {key} old\nGET {key}\nSET {key} new\nGET {key}");
        assert_eq!(model.run(&pipeline), format!("+OK\r\n{OLD}+OK\r\n{NEW}"));
        assert!([OLD, NEW, "$-1\r\n"].contains(&reader.join().expect("joins").as_str()));
    });
}

//! Long commands: copies made slice by slice are what all keys were at one moment, and what is made of them is stored only
//! while the keys are that.
//!
//! Planted bugs: `copies-not-looked-at` (nobody asks whether the keys changed while they were copied: the result is of
//! two moments), `stored-without-looking` (nor whether they changed while the command worked: the result is of the past).
#![cfg(kiba_loom)]

use kiba::sync::Arc;
use loom::thread;
use loom_tests::Model;

/// Large forms for the smallest sets, and commands that are long with two members.
const OPTIONS: &str = "set-max-intset-entries 0\nset-max-listpack-entries 0\nlong-command-elements 1\n";

#[test]
fn a_member_that_moves_from_one_key_to_the_other_is_seen_once() {
    loom::model(|| {
        let model = Arc::new(Model::with(OPTIONS));
        let (a, b) = (model.keys().a, model.keys().b);
        model.run(&format!("SADD {a} here\nSADD {b} there moves"));
        let writer = {
            let (model, a, b) = (Arc::clone(&model), a.clone(), b.clone());
            thread::spawn(move || model.run(&format!("SMOVE {b} {a} moves")))
        };
        assert_eq!(model.run_aside(&format!("SUNIONCARD 2 {a} {b}")), ":3\r\n");
        assert_eq!(writer.join().expect("joins"), ":1\r\n");
    });
}

#[test]
fn what_is_stored_is_what_the_keys_are_then() {
    loom::model(|| {
        let model = Arc::new(Model::with(OPTIONS));
        let (a, target) = (model.keys().a, model.keys().b);
        model.run(&format!("SADD {a} one two"));
        let writer = {
            let (model, a, target) = (Arc::clone(&model), a.clone(), target.clone());
            thread::spawn(move || {
                model.run(&format!("SADD {a} three"));
                model.run(&format!("DEL {target}"))
            })
        };
        let stored = model.run_aside(&format!("SUNIONSTORE {target} {a}"));
        let deleted = writer.join().expect("joins");
        // What is there in the end was stored after DEL, and so after the third member came; or DEL found it.
        let left = model.run(&format!("SCARD {target}"));
        match deleted.as_str() {
            ":1\r\n" => assert_eq!(left, ":0\r\n"),
            _ => assert_eq!((stored.as_str(), left.as_str()), (":3\r\n", ":3\r\n")),
        }
    });
}

#[test]
fn two_writers_of_two_keys_are_seen_in_their_order() {
    loom::model(|| {
        let model = Arc::new(Model::with(OPTIONS));
        let (a, b) = (model.keys().a, model.keys().b);
        model.run(&format!("SADD {a} one two\nSADD {b} three four"));
        let writer = {
            let (model, a, b) = (Arc::clone(&model), a.clone(), b.clone());
            thread::spawn(move || {
                model.run(&format!("SADD {a} first"));
                model.run(&format!("SADD {b} second"));
            })
        };
        // With the second and without the first there would be five members, but others.
        let union = model.run_aside(&format!("SUNION {a} {b}"));
        assert!(union.contains("first") || !union.contains("second"), "{union}");
        writer.join().expect("joins");
    });
}

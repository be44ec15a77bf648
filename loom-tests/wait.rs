//! Blocking commands: of all who want to end a wait exactly one does, and nothing that was pushed is lost.
//!
//! Planted bugs: `waiter-claimed-without-exchange` (the claim is a read and a write: an element goes to somebody whose
//! time was up), `waiter-registered-late` (after the keys were let go: a push in between wakes nobody) and
//! `wish-forgotten` (who wants the end of a wait that is claimed is not heard).
#![cfg(kiba_loom)]

use kiba::server::block::{End, Wait};
use kiba::sync::Arc;
use loom::thread;
use loom_tests::{Model, Outcome};

fn pair(key: &str, value: &str) -> String {
    format!("*2\r\n${}\r\n{key}\r\n$1\r\n{value}\r\n", key.len())
}

/// Another thread that runs these requests.
fn run(model: &Arc<Model>, requests: String) -> thread::JoinHandle<String> {
    let model = Arc::clone(model);
    thread::spawn(move || model.run(&requests))
}

#[test]
fn a_push_serves_a_waiter_or_finds_it_gone() {
    loom::model(|| {
        let model = Arc::new(Model::new());
        let key = model.keys().a;
        let waiter = model.block(&format!("BLPOP {key} 1")).expect_err("there is nothing");
        let pusher = run(&model, format!("RPUSH {key} x"));
        waiter.end(End::TimedOut);
        assert_eq!(pusher.join().expect("joins"), ":1\r\n");
        let left = model.run(&format!("LLEN {key}"));
        match Outcome::of(&waiter) {
            Outcome::Served(reply) => assert_eq!((reply, left.as_str()), (pair(&key, "x"), ":0\r\n")),
            other => assert_eq!((other, left.as_str()), (Outcome::Ended(End::TimedOut), ":1\r\n")),
        }
        model.forget(&waiter);
    });
}

#[test]
fn of_those_who_end_a_wait_one_does() {
    loom::model(|| {
        let model = Arc::new(Model::new());
        let key = model.keys().a;
        let waiter = model.block(&format!("BLPOP {key} 1")).expect_err("there is nothing");
        let other = {
            let waiter = Arc::clone(&waiter);
            thread::spawn(move || waiter.end(End::Unblocked))
        };
        let mine = waiter.end(End::TimedOut);
        let theirs = other.join().expect("joins");
        assert!(mine != theirs);
        assert_eq!(Outcome::of(&waiter), Outcome::Ended(if mine { End::TimedOut } else { End::Unblocked }));
    });
}

#[test]
fn a_push_while_somebody_gets_into_line_is_not_missed() {
    loom::model(|| {
        let model = Arc::new(Model::new());
        let key = model.keys().a;
        let pusher = run(&model, format!("RPUSH {key} x"));
        let blocked = model.block(&format!("BLPOP {key} 0"));
        assert_eq!(pusher.join().expect("joins"), ":1\r\n");
        let found = match blocked {
            Ok(reply) => Outcome::Served(reply),
            Err(waiter) => Outcome::of(&waiter),
        };
        assert_eq!(found, Outcome::Served(pair(&key, "x")));
        assert_eq!(model.run(&format!("EXISTS {key}")), ":0\r\n");
    });
}

#[test]
fn whoever_waits_for_two_keys_gets_one_element() {
    loom::model(|| {
        let model = Arc::new(Model::new());
        let keys = model.keys();
        let waiter = model.block(&format!("BLPOP {} {} 0", keys.a, keys.b)).expect_err("there is nothing");
        let pusher = run(&model, format!("RPUSH {} x", keys.a));
        model.run(&format!("RPUSH {} y", keys.b));
        pusher.join().expect("joins");
        let left = model.run(&format!("EXISTS {} {}", keys.a, keys.b));
        assert_eq!(left, ":1\r\n");
        let Outcome::Served(reply) = Outcome::of(&waiter) else { panic!("not served") };
        assert!(reply == pair(&keys.a, "x") || reply == pair(&keys.b, "y"), "{reply:?}");
    });
}

#[test]
fn nobody_waits_for_what_is_there() {
    loom::model(|| {
        let model = Arc::new(Model::new());
        let keys = model.keys();
        let both = model.block(&format!("BLPOP {} {} 0", keys.a, keys.b)).expect_err("there is nothing");
        let one = model.block(&format!("BLPOP {} 0", keys.b)).expect_err("there is nothing");
        let pusher = run(&model, format!("RPUSH {} x", keys.a));
        model.run(&format!("RPUSH {} y", keys.b));
        pusher.join().expect("joins");
        assert!(matches!(Outcome::of(&both), Outcome::Served(_)));
        let is_there = model.run(&format!("EXISTS {}", keys.b)) == ":1\r\n";
        assert!(!is_there || Outcome::of(&one) != Outcome::Waits);
    });
}

#[test]
fn a_wish_for_the_end_comes_true_when_there_was_nothing() {
    loom::model(|| {
        let model = Arc::new(Model::new());
        let keys = model.keys();
        let waiter = model.block(&format!("BLPOP {} {} 0", keys.a, keys.b)).expect_err("there is nothing");
        // The pusher finds the waiter, and has to let go of its key to hold both; then somebody else takes the element.
        let pusher = run(&model, format!("RPUSH {} x", keys.a));
        let thief = run(&model, format!("LPOP {}", keys.a));
        let quitter = {
            let waiter = Arc::clone(&waiter);
            thread::spawn(move || waiter.end(End::Gone))
        };
        pusher.join().expect("joins");
        let stolen = thief.join().expect("joins");
        let is_ended = quitter.join().expect("joins");
        let left = model.run(&format!("LLEN {}", keys.a));
        match Outcome::of(&waiter) {
            Outcome::Waits => panic!("it waits for ever"),
            Outcome::Served(_) => assert_eq!((stolen.as_str(), left.as_str()), ("$-1\r\n", ":0\r\n")),
            Outcome::Ended(end) => {
                assert_eq!((end, is_ended), (End::Gone, true));
                assert_eq!(stolen == "$-1\r\n", left == ":1\r\n");
            }
        }
    });
}

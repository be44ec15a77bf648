//! The channel engine: every request is answered, through a queue that is full, an owner that moves, and clients that are
//! gone; and the owner ends with the engine.
//!
//! The queue and the answers are stand-ins with the promises of tokio's. Planted bugs: `owner-leaves-with-a-message` (it
//! has taken one from the queue when it moves) and `owner-leaves-its-walks` (so do those who wait for the next slice of a
//! walk).
#![cfg(kiba_loom)]

use kiba::sync::{Arc, AtomicBool, Ordering};
use loom::thread;
use loom_tests::{Model, block_on};

/// An engine, its owner's thread, and what has the owner move once.
fn start() -> (Arc<Model<kiba::engine::channel::Channel>>, thread::JoinHandle<()>, Arc<AtomicBool>) {
    let is_wanted_elsewhere = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&is_wanted_elsewhere);
    let (model, owner) = Model::with_owner(move || flag.swap(false, Ordering::Relaxed));
    (Arc::new(model), thread::spawn(move || block_on(owner)), is_wanted_elsewhere)
}

#[test]
fn requests_of_two_clients_are_answered_though_the_owner_moves() {
    loom::model(|| {
        let (model, owner, is_wanted_elsewhere) = start();
        let other = {
            let model = Arc::clone(&model);
            thread::spawn(move || model.run("INCR k"))
        };
        is_wanted_elsewhere.store(true, Ordering::Relaxed);
        let mut replies = [model.run("INCR k"), other.join().expect("joins")];
        replies.sort_unstable();
        assert_eq!(replies, [":1\r\n", ":2\r\n"]);
        // Without the engine there is nothing to own.
        drop(model);
        owner.join().expect("joins");
    });
}

#[test]
fn a_walk_goes_on_where_the_owner_goes() {
    loom::model(|| {
        let (model, owner, is_wanted_elsewhere) = start();
        let mover = thread::spawn(move || is_wanted_elsewhere.store(true, Ordering::Relaxed));
        let keys = model.keys();
        let (a, b) = (keys.a, keys.b);
        assert_eq!(model.run(&format!("MSET {a} 1 {b} 2\nKEYS *")), format!("+OK\r\n*2\r\n$2\r\n{a}\r\n$2\r\n{b}\r\n"));
        mover.join().expect("joins");
        drop(model);
        owner.join().expect("joins");
    });
}

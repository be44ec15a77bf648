//! The channel engine with many clients: a short queue, an owner that moves, waiting clients and walks.

use kiba::sync::{Arc, AtomicU32, Ordering};
use loom_tests::{Model, Outcome, block_on};
use shuttle::thread;

use crate::chance::explore;

const TESTS: usize = 1;

#[test]
fn all_clients_are_answered_once() {
    explore(TESTS, || {
        // The owner moves a few times.
        let moves = Arc::new(AtomicU32::new(0));
        let flag = Arc::clone(&moves);
        let is_left =
            move || flag.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok();
        let (model, owner) = Model::with_owner(is_left);
        let (model, owner) = (Arc::new(model), thread::spawn(move || block_on(owner)));
        let keys = model.keys();
        // In both parts, so that the walk has slices.
        model.run(&format!("MSET {} 1 {} 2", keys.a, keys.b));
        let counters = (0..3).map(|_| {
            let model = Arc::clone(&model);
            thread::spawn(move || {
                model.run("INCR counter");
                assert_eq!(model.run("EXISTS counter"), ":1\r\n");
            })
        });
        let takers: Vec<_> = (0..2)
            .map(|_| {
                let (model, client) = (Arc::clone(&model), model.client());
                thread::spawn(move || model.wait(&client, "BLPOP list 0"))
            })
            .collect();
        let pusher = {
            let model = Arc::clone(&model);
            thread::spawn(move || {
                model.run("RPUSH list x");
                model.run("RPUSH list y");
            })
        };
        let walker = {
            let model = Arc::clone(&model);
            thread::spawn(move || assert!(model.run("KEYS *").starts_with('*')))
        };
        moves.store(3, Ordering::Relaxed);
        let threads: Vec<_> = counters.chain([pusher, walker]).collect();
        threads.into_iter().for_each(|thread| thread.join().expect("joins"));
        let mut taken: Vec<String> = takers
            .into_iter()
            .map(|taker| match taker.join().expect("joins") {
                Outcome::Served(reply) => reply.lines().last().expect("not empty").to_owned(),
                other => panic!("{other:?}"),
            })
            .collect();
        taken.sort_unstable();
        assert_eq!((taken.concat().as_str(), model.run("GET counter").as_str()), ("xy", "$1\r\n3\r\n"));
        drop(model);
        owner.join().expect("joins");
    });
}

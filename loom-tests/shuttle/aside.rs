//! Long commands among many writers: what they tell is what their keys were at one moment.

use kiba::sync::Arc;
use loom_tests::Model;
use shuttle::thread;

use crate::chance::explore;

const TESTS: usize = 1;

#[test]
fn members_that_move_are_seen_once() {
    explore(TESTS, || {
        let options = "set-max-intset-entries 0\nset-max-listpack-entries 0\nlong-command-elements 1\n";
        let model = Arc::new(Model::with(options));
        let (a, b) = (model.keys().a, model.keys().b);
        model.run(&format!("SADD {a} one two three\nSADD {b} four five six"));
        let movers = ["one", "two", "four", "five"].map(|member| {
            let (from, to) = if member < "g" { (&b, &a) } else { (&a, &b) };
            let (model, request) = (Arc::clone(&model), format!("SMOVE {from} {to} {member}"));
            thread::spawn(move || assert_eq!(model.run(&request), ":1\r\n"))
        });
        let readers = [(); 2].map(|()| {
            let (model, request) = (Arc::clone(&model), format!("SUNIONCARD 2 {a} {b}"));
            thread::spawn(move || assert_eq!(model.run_aside(&request), ":6\r\n"))
        });
        movers.into_iter().chain(readers).for_each(|thread| thread.join().expect("joins"));
    });
}

//! Commands on several keys, by many clients: no deadlock, nobody sees half of one, and nothing is lost or doubled.

use kiba::engine::Watching;
use kiba::sync::Arc;
use loom_tests::Model;
use shuttle::thread;

use crate::chance::explore;

const TESTS: usize = 4;

#[test]
fn values_that_are_set_together_are_read_together() {
    explore(TESTS, || {
        let model = Arc::new(Model::new());
        let names = ["k0", "k1", "k2", "k3"];
        model.run("MSET k0 0 k1 0 k2 0 k3 0");
        let writers = (1..5_usize).map(|value| {
            let model = Arc::clone(&model);
            thread::spawn(move || {
                let pair = |i: usize| format!(" {} {value}", names[(i * 3 + value) % 4]);
                model.run(&format!("MSET{}", (0..4).map(pair).collect::<String>()));
            })
        });
        let readers = (0..4_usize).map(|number| {
            let model = Arc::clone(&model);
            thread::spawn(move || {
                // A pipeline: one key, then all of them in an order of its own.
                let name = |i: usize| format!(" {}", names[(i + number) % 4]);
                let all: String = (0..4).map(name).collect();
                let read = model.run(&format!("GET {}\nMGET{all}", names[number]));
                let mut values = read.lines().filter(|line| !line.starts_with(['*', '$'])).skip(1);
                let first = values.next().expect("a value");
                assert!(values.all(|value| value == first), "{read:?}");
            })
        });
        let threads: Vec<_> = writers.chain(readers).collect();
        threads.into_iter().for_each(|thread| thread.join().expect("joins"));
    });
}

#[test]
fn elements_that_move_between_lists_are_there_once() {
    explore(TESTS, || {
        let model = Arc::new(Model::new());
        model.run("RPUSH l0 a b c d\nRPUSH l1 e\nRPUSH l2 f");
        let movers = (0..6_usize).map(|number| {
            let model = Arc::clone(&model);
            thread::spawn(move || {
                let (from, to) = (number % 3, (number + 1 + number / 3) % 3);
                model.run(&format!("LMOVE l{from} l{to} LEFT RIGHT"));
            })
        });
        let reader = {
            let model = Arc::clone(&model);
            thread::spawn(move || {
                let replies =
                    model.transact("LLEN l0\nLLEN l1\nLLEN l2", Watching::default()).expect("watches nothing");
                let sum: u32 = replies.lines().filter_map(|line| line.strip_prefix(':')?.parse::<u32>().ok()).sum();
                assert_eq!(sum, 6, "{replies:?}");
            })
        };
        let threads: Vec<_> = movers.chain([reader]).collect();
        threads.into_iter().for_each(|thread| thread.join().expect("joins"));
        let all = model.run("LRANGE l0 0 -1\nLRANGE l1 0 -1\nLRANGE l2 0 -1");
        let mut elements: Vec<&str> = all.lines().filter(|line| !line.starts_with(['*', '$'])).collect();
        elements.sort_unstable();
        assert_eq!(elements.concat(), "abcdef");
    });
}

#[test]
fn a_value_that_is_renamed_to_and_fro_is_under_one_name() {
    explore(TESTS, || {
        let model = Arc::new(Model::new());
        let keys = model.keys();
        model.run(&format!("SET {} x", keys.a));
        let renamers = (0..4).map(|number| {
            let model = Arc::clone(&model);
            let (from, to) = if number % 2 == 0 { (&keys.a, &keys.b) } else { (&keys.b, &keys.a) };
            let rename = format!("RENAME {from} {to}");
            thread::spawn(move || {
                model.run(&rename);
            })
        });
        let readers = [format!("EXISTS {} {}", keys.a, keys.b), format!("EXISTS {} {}", keys.b, keys.a)];
        let readers = readers.into_iter().map(|read| {
            let model = Arc::clone(&model);
            thread::spawn(move || assert_eq!(model.run(&read), ":1\r\n"))
        });
        let threads: Vec<_> = renamers.chain(readers).collect();
        threads.into_iter().for_each(|thread| thread.join().expect("joins"));
        assert_eq!(model.run("DBSIZE"), ":1\r\n");
    });
}

/// Who finds a key that is flushed later has been there before: so is flushed what it had made by then, also where nothing
/// had been before.
#[test]
fn a_database_that_comes_into_use_is_flushed_with_the_others() {
    explore(TESTS, || {
        let model = Arc::new(Model::with("databases 4"));
        model.run("SET k0 v");
        let makers: Vec<_> = (1..4_u16)
            .map(|db| {
                let model = Arc::clone(&model);
                thread::spawn(move || {
                    model.run_in(db, "SET k1 v");
                    model.run("EXISTS k0") == ":1\r\n"
                })
            })
            .collect();
        let flusher = {
            let model = Arc::clone(&model);
            thread::spawn(move || model.transact("FLUSHALL", Watching::default()).expect("watches nothing"))
        };
        flusher.join().expect("joins");
        for (db, maker) in (1..).zip(makers) {
            let was_before = maker.join().expect("joins");
            assert!(!was_before || model.run_in(db, "EXISTS k1") == ":0\r\n", "database {db}");
        }
    });
}

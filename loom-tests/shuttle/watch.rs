//! A bank: transfers by WATCH and EXEC, between accounts that others change and read meanwhile.

use kiba::engine::Watching;
use kiba::sync::Arc;
use loom_tests::Model;
use shuttle::thread;

use crate::chance::explore;

const TESTS: usize = 2;
const ACCOUNTS: usize = 3;

/// The balances in a reply to MGET.
fn balances(reply: &str) -> Vec<i64> {
    reply.lines().filter(|line| !line.starts_with(['*', '$'])).map(|line| line.parse().expect("a number")).collect()
}

#[test]
fn transfers_neither_make_money_nor_lose_it() {
    explore(TESTS, || {
        let model = Arc::new(Model::new());
        model.run("MSET k0 10 k1 10 k2 10");
        let clerks = (0..6_usize).map(|number| {
            let model = Arc::clone(&model);
            thread::spawn(move || {
                let (from, to) = (number % ACCOUNTS, (number + 1 + number / ACCOUNTS) % ACCOUNTS);
                let watching = model.watch(&format!("k{from}"), Watching::default());
                let watching = model.watch(&format!("k{to}"), watching);
                // Read one by one: only the watch keeps them together.
                let balance = |account: usize| balances(&model.run(&format!("GET k{account}")))[0];
                let (rich, poor) = (balance(from), balance(to));
                model.transact(&format!("SET k{from} {}\nSET k{to} {}", rich - 3, poor + 3), watching).is_some()
            })
        });
        let auditors = (0..2).map(|_| {
            let model = Arc::clone(&model);
            thread::spawn(move || {
                assert_eq!(balances(&model.run("MGET k2 k0 k1")).iter().sum::<i64>(), 30);
                true
            })
        });
        let threads: Vec<_> = clerks.chain(auditors).collect();
        let done = threads.into_iter().map(|thread| thread.join().expect("joins")).filter(|&done| done).count();
        assert!(done > 2, "of several, one gets through");
        assert_eq!(balances(&model.run("MGET k0 k1 k2")).iter().sum::<i64>(), 30);
    });
}

#[test]
fn of_those_who_watch_what_the_next_one_writes_not_all_run() {
    explore(TESTS, || {
        let model = Arc::new(Model::new());
        let keys = model.keys();
        let names = [keys.a, keys.b];
        let clients: Vec<_> = (0..6_usize)
            .map(|number| {
                let model = Arc::clone(&model);
                let (watched, written) = (names[number % 2].clone(), names[(number + 1) % 2].clone());
                thread::spawn(move || {
                    let watching = model.watch(&watched, Watching::default());
                    let is_free = model.run(&format!("EXISTS {watched}")) == ":0\r\n";
                    is_free && model.transact(&format!("SET {written} x"), watching).is_some()
                })
            })
            .collect();
        let ran: Vec<bool> = clients.into_iter().map(|client| client.join().expect("joins")).collect();
        let ran = |parity: usize| ran.iter().skip(parity).step_by(2).any(|&ran| ran);
        assert!(ran(0) != ran(1), "whoever writes one key was the first, and the other stays free");
    });
}

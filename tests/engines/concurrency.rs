//! Clients that race: each command and each transaction is seen whole or not at all.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use crate::support::server::PATIENCE;
use crate::support::{Client, Value, each_engine};

/// Runs `work` once for each number below `threads`, at the same time.
fn race(threads: usize, work: impl Fn(usize) + Sync) {
    thread::scope(|scope| {
        for i in 0..threads {
            let work = &work;
            scope.spawn(move || work(i));
        }
    });
}

/// Runs `watch` again and again while `work` runs in `threads` threads.
fn race_watched(threads: usize, work: impl Fn(usize) + Sync, mut watch: impl FnMut()) {
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|i| {
                let work = &work;
                scope.spawn(move || work(i))
            })
            .collect();
        let is_over = &is_over;
        scope.spawn(move || {
            let outcomes: Vec<_> = workers.into_iter().map(thread::ScopedJoinHandle::join).collect();
            // First of all the watcher must end, so that a worker's panic is reported.
            is_over.store(true, Ordering::SeqCst);
            for outcome in outcomes {
                outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            }
        });
        while !is_over.load(Ordering::SeqCst) {
            watch();
        }
        watch();
    });
}

fn int(client: &mut Client, request: &str) -> i64 {
    client.call(request).int()
}

each_engine! {
    fn no_expired_key_is_forgotten(peer) {
        let server = peer.start();
        race(4, |i| {
            let mut client = server.client();
            for round in 0..100 {
                let mut requests = String::new();
                for step in 0..50 {
                    // Whatever mixes the numbers a little.
                    let n = (i * 5000 + round * 50 + step) * 7919;
                    let (key, other, ttl) = (n % 1009, n % 499, n % 300 + 1);
                    requests += &match n % 8 {
                        0 | 1 => format!("SET k{key} v PX {ttl}\r\n"),
                        2 => format!("PEXPIRE k{key} {ttl}\r\n"),
                        3 => format!("PEXPIRE k{key} {}\r\n", ttl * 2),
                        4 => format!("DEL k{key}\r\n"),
                        5 => format!("MULTI\r\nPERSIST k{key}\r\nPEXPIRE k{key} {ttl}\r\nEXEC\r\n"),
                        6 => format!("RENAME k{key} k{other}\r\n"),
                        _ => format!("MULTI\r\nSET k{key} v\r\nPEXPIRE k{key} {ttl}\r\nEXEC\r\n"),
                    };
                }
                let replies = requests.lines().count();
                client.send(requests);
                for _ in 0..replies {
                    client.read();
                }
            }
        });
        // DBSIZE does not look at the keys: it is the server that removes them.
        let mut client = server.client();
        let since = Instant::now();
        while int(&mut client, "DBSIZE") > 0 {
            assert!(since.elapsed() < PATIENCE, "keys are left: {:?}", client.call("KEYS *"));
            thread::yield_now();
        }
    }

    fn incr_from_many_clients_counts_exactly(peer) {
        const EACH: i64 = 2000;
        let server = peer.start();
        race(8, |_| {
            let mut client = server.client();
            // In pipelines, so that batches of several clients meet.
            for _ in 0..EACH / 100 {
                client.send("INCR n\r\n".repeat(100));
                let mut last = 0;
                for _ in 0..100 {
                    let now = client.read().int();
                    assert!(now > last, "{now} after {last}");
                    last = now;
                }
            }
        });
        assert_eq!(int(&mut server.client(), "GET n"), 8 * EACH);
    }

    fn mset_is_never_seen_torn(peer) {
        let server = peer.start();
        let mut watcher = server.client();
        watcher.check("MSET a 0 b 0 c 0 d 0 e 0", "+OK\r\n");
        let work = |i: usize| {
            let mut client = server.client();
            // Each client names the keys in another order.
            let keys = ["a", "b", "c", "d", "e"];
            for round in 0..500 {
                let value = format!("{i}:{round}");
                let mut request = vec!["MSET".to_owned()];
                request.extend((0..5_usize).flat_map(|k| [keys[(k + i) % 5].to_owned(), value.clone()]));
                assert_eq!(client.request(&request).text(), "OK");
            }
        };
        race_watched(4, work, || {
            for request in ["MGET a b c d e", "MGET e d c b a"] {
                let values = watcher.call(request);
                assert!(values.items().windows(2).all(|pair| pair[0] == pair[1]), "{values:?}");
            }
        });
    }

    fn rename_never_shows_both_names_or_neither(peer) {
        let server = peer.start();
        let mut watcher = server.client();
        watcher.check("SET a v", "+OK\r\n");
        let work = |_| {
            let mut client = server.client();
            for _ in 0..1000 {
                // Whoever finds the key moves it; the other gets an error.
                client.call("RENAME a b");
                client.call("RENAME b a");
            }
        };
        race_watched(2, work, || {
            assert_eq!(int(&mut watcher, "EXISTS a b"), 1);
            let values = watcher.call("MGET a b");
            assert_eq!(values.items().iter().filter(|value| **value == Value::Nil).count(), 1, "{values:?}");
        });
    }

    fn transfers_keep_the_sum(peer) {
        let server = peer.start();
        let mut watcher = server.client();
        watcher.check("MSET from 1000 to 1000", "+OK\r\n");
        let work = |i| {
            let mut client = server.client();
            let (from, to) = if i % 2 == 0 { ("from", "to") } else { ("to", "from") };
            for _ in 0..500 {
                client.send(format!("MULTI\r\nDECRBY {from} 3\r\nINCRBY {to} 3\r\nEXEC\r\n"));
                client.expect("+OK\r\n+QUEUED\r\n+QUEUED\r\n");
                assert_eq!(client.read().items().len(), 2);
            }
        };
        race_watched(4, work, || {
            let values = watcher.call("MGET from to");
            assert_eq!(values.items()[0].int() + values.items()[1].int(), 2000);
            // The same seen from inside a transaction.
            watcher.send("MULTI\r\nGET from\r\nGET to\r\nEXEC\r\n");
            watcher.expect("+OK\r\n+QUEUED\r\n+QUEUED\r\n");
            let values = watcher.read();
            assert_eq!(values.items()[0].int() + values.items()[1].int(), 2000);
        });
        assert_eq!(int(&mut watcher, "GET from"), 1000);
    }

    fn compare_and_set_with_watch_loses_no_increment(peer) {
        const EACH: i64 = 100;
        let server = peer.start();
        race(4, |_| {
            let mut client = server.client();
            let mut done = 0;
            while done < EACH {
                client.check("WATCH n", "+OK\r\n");
                let old = match client.call("GET n") {
                    Value::Nil => 0,
                    value => value.int(),
                };
                client.send(format!("MULTI\r\nSET n {}\r\nEXEC\r\n", old + 1));
                client.expect("+OK\r\n+QUEUED\r\n");
                done += i64::from(client.read() != Value::Nil);
            }
        });
        assert_eq!(int(&mut server.client(), "GET n"), 4 * EACH);
    }

    fn set_nx_has_one_winner(peer) {
        let server = peer.start();
        let winners = std::sync::atomic::AtomicUsize::new(0);
        race(8, |i| {
            let mut client = server.client();
            for round in 0..200 {
                if client.call(&format!("SET lock:{round} {i} NX")) != Value::Nil {
                    winners.fetch_add(1, Ordering::SeqCst);
                }
            }
        });
        assert_eq!(winners.into_inner(), 200);
    }

    fn every_element_is_popped_once(peer) {
        const EACH: usize = 500;
        let server = peer.start();
        let popped = std::sync::Mutex::new(Vec::new());
        race(8, |i| {
            let mut client = server.client();
            if i % 2 == 0 {
                for round in 0..EACH {
                    assert!(!client.call(&format!("RPUSH queue {i}:{round}")).is_error());
                }
            } else {
                let mut own = Vec::new();
                while own.len() < EACH {
                    match client.call("LPOP queue") {
                        Value::Nil => {}
                        value => own.push(value.text()),
                    }
                }
                popped.lock().unwrap().extend(own);
            }
        });
        let mut popped = popped.into_inner().unwrap();
        popped.sort();
        popped.dedup();
        assert_eq!(popped.len(), 4 * EACH);
        server.client().check("EXISTS queue", ":0\r\n");
    }

    fn flushall_is_one_moment(peer) {
        let server = peer.start();
        let mut watcher = server.client();
        let work = |i| {
            let mut client = server.client();
            for _ in 0..300 {
                if i == 0 {
                    client.check("FLUSHALL", "+OK\r\n");
                } else {
                    client.check("MSET a 1 b 1 c 1 d 1 e 1 f 1 g 1 h 1", "+OK\r\n");
                }
            }
        };
        race_watched(3, work, || {
            let found = int(&mut watcher, "EXISTS a b c d e f g h");
            assert!(found == 0 || found == 8, "{found}");
        });
    }
}

//! More of everything than there is room for, at the limits that are set when nobody sets any.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::others::{Others, start};
use crate::support::client::encode;
use crate::support::server::PATIENCE;
use crate::support::{Client, Peer, each_engine, same_as_redis};

const MEBI: u64 = 1 << 20;

/// See `memory.rs`.
const SLACK: u64 = 24 * MEBI;

/// Lets this process have so many open files, if it may.
fn may_open(files: u64) -> bool {
    let limit = getrlimit(Resource::Nofile);
    let is_allowed = limit.maximum.is_none_or(|most| most >= files);
    let is_raised = || setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).is_ok();
    let may = is_allowed && (limit.current.is_none_or(|now| now >= files) || is_raised());
    if !may {
        eprintln!("skipped: there may be only {:?} open files", limit.maximum);
    }
    may
}

/// Writes `bytes` bytes of values of 64 B to 64 KiB, half of them to keys with deadlines or all; how many were refused.
fn write(client: &mut Client, seed: u64, bytes: usize, all_expire: bool) -> usize {
    let mut random = fastrand::Rng::with_seed(seed);
    let value = vec![b'x'; 64 << 10];
    let (mut sent, mut refused) = (0, 0);
    while sent < bytes {
        let len = (64.0 * 1024_f64.powf(random.f64())) as usize;
        let key = format!("key:{}", random.u32(..));
        let mut words: Vec<&[u8]> = vec![b"SET", key.as_bytes(), &value[..len]];
        if all_expire || random.bool() {
            words.extend([b"EX".as_slice(), b"10000"]);
        }
        client.send(encode(&words));
        match client.read_raw().as_slice() {
            b"+OK\r\n" => {}
            b"-OOM command not allowed when used memory > 'maxmemory'.\r\n" => refused += 1,
            other => panic!("{}", other.escape_ascii()),
        }
        sent += len;
    }
    refused
}

/// What becomes of 16 writers that write far more than fits.
fn writers_outgrow(peer: Peer, policy: &str) {
    const LIMIT: u64 = 12 * MEBI;
    const WRITERS: u64 = 16;
    let server = start(peer, &["--maxmemory", "12mb", "--maxmemory-policy", policy]);
    let mut others = Others::of(&server, "");
    // What is resident is looked at where more is written (`memory.rs`).
    others.notice_nothing(&server, u64::MAX, policy, || {
        let refused: usize = std::thread::scope(|scope| {
            let writers = (0..WRITERS).map(|writer| {
                let mut client = server.client();
                scope.spawn(move || write(&mut client, writer, MEBI as usize, policy.starts_with("volatile")))
            });
            let writers: Vec<_> = writers.collect();
            writers.into_iter().map(|writer| writer.join().expect("see above")).sum()
        });
        assert_eq!(refused > 0, policy == "noeviction", "{refused} writes were refused");
    });
    let mut client = server.client();
    let used = client.info("used_memory");
    assert!(used < LIMIT / 8 * 9, "{used} in use of {LIMIT}");
    // Reading and removing go on, and make room.
    let key = client.call("RANDOMKEY").text();
    client.check(&format!("EXISTS {key}"), ":1\r\n");
    client.check(&format!("DEL {key}"), ":1\r\n");
    client.check("FLUSHALL", "+OK\r\n");
    client.check("SET k v", "+OK\r\n");
}

same_as_redis! {
    /// The limit is 32mb 8mb 60.
    fn a_subscriber_that_never_reads(peer) {
        let server = start(peer, &[]);
        let message = "x".repeat(64 << 10);
        Others::of(&server, "").notice_nothing(&server, 32 * MEBI + SLACK, "PUBLISH", || {
            let (mut slow, mut poster) = (server.client(), server.client());
            slow.call("SUBSCRIBE c");
            let sent = (0..2000).take_while(|_| poster.call(&format!("PUBLISH c {message}")).int() == 1).count();
            // What is queued, and what the kernel takes.
            assert!((32 << 20..64 << 20).contains(&(sent * message.len())), "dropped after {sent}");
            assert!(slow.read_to_end().len() < sent * message.len());
        });
    }

    fn writers_outgrow_maxmemory(peer) {
        for policy in ["allkeys-lru", "allkeys-lfu", "allkeys-random"] {
            writers_outgrow(peer, policy);
        }
        for policy in ["volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl", "noeviction"] {
            writers_outgrow(peer, policy);
        }
    }
}

each_engine! {
    fn the_ten_thousand_and_first_client(peer) {
        const MOST: usize = 10_000;
        // Two of these at once would have more files open than a process may.
        static ALONE: Mutex<()> = Mutex::new(());
        let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        // Other tests have some as well.
        if !may_open(MOST as u64 + 1000) {
            return;
        }
        let server = start(peer, &[]);
        let before = server.resident_bytes();
        // One of them is the others'.
        let mut others = Others::of(&server, "");
        let mut clients: Vec<Client> = Vec::new();
        while clients.len() < MOST - 1 {
            clients.push(server.client());
            // No more than the kernel lets wait: it would drop some, and try again after a second.
            if clients.len().is_multiple_of(100) {
                clients.last_mut().expect("just pushed").check("PING", "+PONG\r\n");
            }
        }
        clients.iter_mut().for_each(|client| client.send("PING\r\n"));
        clients.iter_mut().for_each(|client| client.expect("+PONG\r\n"));
        let grown = server.resident_bytes().saturating_sub(before);
        assert!(grown < MOST as u64 * 8 * 1024 + SLACK, "grown by {grown} bytes");
        others.notice_nothing(&server, SLACK, "clients that are too many", || {
            for _ in 0..500 {
                let mut refused = server.client();
                refused.expect("-ERR max number of clients reached\r\n");
                refused.expect_closed();
            }
        });
        drop(clients);
        let since = Instant::now();
        while !others.watcher().call("INFO clients").text().contains("connected_clients:1\r\n") {
            assert!(since.elapsed() < PATIENCE, "clients are left");
        }
    }

    fn one_that_takes_gigabytes_as_fast_as_they_come(peer) {
        const READS: usize = 20_000;
        let value = vec![b'x'; 100_000];
        let server = start(peer, &["--threads", "1"]);
        let mut client = server.client();
        client.request(&[b"SET".as_slice(), b"k", &value]);
        Others::of(&server, "").notice_nothing(&server, SLACK, "large replies", || {
            client.send("GET k\r\n".repeat(READS));
            client.discard(READS * (value.len() + "$100000\r\n\r\n".len()));
        });
        client.expect_open();
    }

    fn one_whose_large_batch_is_admitted_request_by_request(peer) {
        const REQUESTS: usize = 20_000;
        let server = start(peer, &["--threads", "1"]);
        let mut client = server.client();
        Others::of(&server, "").notice_nothing(&server, SLACK, "large batches", || {
            // What comes while it waits is one batch.
            let wait = "BLPOP nothing 0.3\r\n";
            client.send(format!("{wait}MULTI\r\n{}DISCARD\r\n", "GET a\r\n".repeat(REQUESTS)));
            client.expect(format!("*-1\r\n+OK\r\n{}+OK\r\n", "+QUEUED\r\n".repeat(REQUESTS)));
            client.send(format!("{wait}CLIENT REPLY OFF\r\n{}CLIENT REPLY ON\r\n", "GET a\r\n".repeat(REQUESTS)));
            client.expect("*-1\r\n+OK\r\n");
        });
    }

    fn a_hundred_thousand_wrong_passwords(peer) {
        let server = start(peer, &["--requirepass", "secret"]);
        Others::of(&server, "AUTH secret").notice_nothing(&server, SLACK, "AUTH", || {
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| {
                        let mut client = server.client();
                        for _ in 0..25 {
                            client.send("AUTH wrong\r\n".repeat(1000));
                            let error = "-WRONGPASS invalid username-password pair or user is disabled.\r\n";
                            client.expect(error.repeat(1000));
                        }
                    });
                }
            });
        });
    }
}

//! maxmemory and eviction: what goes, when, and who is told.

use crate::support::client::encode;
use crate::support::{Client, Peer, Server, Value, each_engine, same_as_redis};

const OOM: &str = "-OOM command not allowed when used memory > 'maxmemory'.\r\n";

/// Sets a limit that leaves so many bytes above what is in use now.
fn leave(client: &mut Client, bytes: u64) -> u64 {
    let limit = client.info("used_memory") + bytes;
    client.check(&format!("CONFIG SET maxmemory {limit}"), "+OK\r\n");
    limit
}

/// Writes keys `name:0`, `name:1` ... of a kilobyte, pipelined; returns how many were refused.
fn fill(client: &mut Client, name: &str, count: usize, more: &[&str]) -> usize {
    let value = "x".repeat(1000);
    let mut refused = 0;
    for first in (0..count).step_by(50) {
        for i in first..(first + 50).min(count) {
            let key = format!("{name}:{i}");
            client.send(encode(&[&["SET", &key, &value], more].concat()));
        }
        for _ in first..(first + 50).min(count) {
            match client.read() {
                Value::Simple(ok) if ok == "OK" => {}
                Value::Error(text) if format!("-{text}\r\n") == OOM => refused += 1,
                other => panic!("{other:?}"),
            }
        }
    }
    refused
}

/// How many of the keys `name:0` ... there are.
fn count(client: &mut Client, name: &str, count: usize) -> usize {
    let mut request = vec!["EXISTS".to_owned()];
    request.extend((0..count).map(|i| format!("{name}:{i}")));
    match client.request(&request) {
        Value::Int(found) => found as usize,
        other => panic!("{other:?}"),
    }
}

fn start(peer: Peer, policy: &str) -> (Server, Client) {
    // So few keys would be alone in their parts, and cost what is meant for many.
    let shards: &[&str] = if peer == Peer::Redis { &[] } else { &["--shards", "64"] };
    let server = peer.start_with(&[&["--maxmemory-policy", policy], shards].concat());
    let mut client = server.client();
    client.check("SET warm up", "+OK\r\n");
    client.check("DEL warm", ":1\r\n");
    (server, client)
}

same_as_redis! {
    fn without_eviction_what_needs_memory_is_refused(peer) {
        let (_server, mut client) = start(peer, "noeviction");
        client.check("RPUSH l a b", ":2\r\n");
        client.check("CONFIG SET maxmemory 1", "+OK\r\n");
        for request in ["SET k v", "APPEND k v", "RPUSH l c", "HSET h f v", "SETRANGE k 1 v", "SORT l ALPHA STORE m"] {
            client.check(request, OOM);
        }
        client.check("GET k", "$-1\r\n");
        client.check("LPOP l", "$1\r\na\r\n");
        client.check("EXPIRE l 100", ":1\r\n");
        client.check("DEL l", ":1\r\n");
        assert_eq!(client.info("evicted_keys"), 0);
        client.check("CONFIG SET maxmemory 0", "+OK\r\n");
        client.check("SET k v", "+OK\r\n");
    }

    fn a_transaction_is_refused_as_a_whole(peer) {
        let (server, mut client) = start(peer, "noeviction");
        let mut other = server.client();
        client.check("SET k v", "+OK\r\n");
        // What is queued takes memory, whatever it is.
        other.check("CONFIG SET maxmemory 1", "+OK\r\n");
        client.check("MULTI", "+OK\r\n");
        client.check("GET k", OOM);
        client.check("MULTI", OOM);
        client.check("EXEC", "-EXECABORT Transaction discarded because of previous errors.\r\n");
        client.check("MULTI", "+OK\r\n");
        client.check("DISCARD", "+OK\r\n");
        client.check("MULTI", "+OK\r\n");
        client.check("EXEC", "*0\r\n");
        // One that was queued while there was memory.
        other.check("CONFIG SET maxmemory 0", "+OK\r\n");
        client.check("MULTI", "+OK\r\n");
        client.check("GET k", "+QUEUED\r\n");
        other.check("CONFIG SET maxmemory 1", "+OK\r\n");
        client.check("EXEC", "*1\r\n$1\r\nv\r\n");
        other.check("CONFIG SET maxmemory 0", "+OK\r\n");
        client.check("MULTI", "+OK\r\n");
        client.check("SET k w", "+QUEUED\r\n");
        other.check("CONFIG SET maxmemory 1", "+OK\r\n");
        client.check(
            "EXEC",
            "-EXECABORT Transaction discarded because of: OOM command not allowed when used memory > 'maxmemory'.\r\n",
        );
        client.check("GET k", "$1\r\nv\r\n");
        client.check("EXEC", "-ERR EXEC without MULTI\r\n");
    }

    fn every_policy_takes_from_its_keys_only(peer) {
        for policy in ["allkeys-lru", "allkeys-lfu", "allkeys-random"] {
            let (_server, mut client) = start(peer, policy);
            let limit = leave(&mut client, 2 << 20);
            assert_eq!(fill(&mut client, "k", 5000, &[]), 0, "{policy}");
            let left = count(&mut client, "k", 5000);
            assert!((500..2500).contains(&left), "{policy}: {left}");
            assert_eq!(client.info("evicted_keys"), 5000 - left as u64);
            // With some slack for what threads have leave for, and for the request itself.
            assert!(client.info("used_memory") < limit + (512 << 10), "{policy}");
        }
        for policy in ["volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl"] {
            let (_server, mut client) = start(peer, policy);
            assert_eq!(fill(&mut client, "stays", 500, &[]), 0);
            leave(&mut client, 2 << 20);
            assert_eq!(fill(&mut client, "k", 5000, &["EX", "1000"]), 0, "{policy}");
            let left = count(&mut client, "k", 5000);
            assert!((500..2500).contains(&left), "{policy}: {left}");
            assert_eq!(count(&mut client, "stays", 500), 500, "{policy}");
        }
    }

    fn with_nothing_that_may_go_writes_are_refused(peer) {
        for policy in ["volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl"] {
            let (_server, mut client) = start(peer, policy);
            client.check("SET stays v", "+OK\r\n");
            client.check("SET goes v EX 1000", "+OK\r\n");
            client.check("CONFIG SET maxmemory 1", "+OK\r\n");
            client.check("SET k v", OOM);
            client.check("EXISTS stays goes", ":1\r\n");
            client.check("EXISTS stays", ":1\r\n");
            // Keys in other databases may go as well.
            client.check("CONFIG SET maxmemory 0", "+OK\r\n");
            client.check("SELECT 5", "+OK\r\n");
            client.check("SET elsewhere v EX 1000", "+OK\r\n");
            client.check("SELECT 0", "+OK\r\n");
            client.check("CONFIG SET maxmemory 1", "+OK\r\n");
            client.check("SET k v", OOM);
            client.check("SELECT 5", "+OK\r\n");
            client.check("EXISTS elsewhere", ":0\r\n");
        }
    }

    fn what_expires_next_goes_first(peer) {
        let (_server, mut client) = start(peer, "volatile-ttl");
        assert_eq!(fill(&mut client, "late", 1000, &["EX", "100000"]), 0);
        assert_eq!(fill(&mut client, "soon", 1000, &["EX", "1000"]), 0);
        leave(&mut client, 0);
        assert_eq!(fill(&mut client, "new", 500, &["EX", "100000"]), 0);
        let (late, soon) = (count(&mut client, "late", 1000), count(&mut client, "soon", 1000));
        assert!(late > 950 && soon < 700, "{late} {soon}");
    }

    fn what_is_used_least_goes_first(peer) {
        let (_server, mut client) = start(peer, "allkeys-lfu");
        assert_eq!(fill(&mut client, "often", 500, &[]), 0);
        assert_eq!(fill(&mut client, "seldom", 1500, &[]), 0);
        for _ in 0..20 {
            assert_eq!(get_all(&mut client, "often", 500), 500);
        }
        leave(&mut client, 0);
        assert_eq!(fill(&mut client, "new", 1000, &[]), 0);
        let (often, seldom) = (count(&mut client, "often", 500), count(&mut client, "seldom", 1500));
        assert!(often > 490 && seldom < 1000, "{often} {seldom}");
    }

    fn what_was_not_used_for_longest_goes_first(peer) {
        let (_server, mut client) = start(peer, "allkeys-lru");
        assert_eq!(fill(&mut client, "used", 500, &[]), 0);
        assert_eq!(fill(&mut client, "idle", 1500, &[]), 0);
        // The clock of accesses counts seconds.
        std::thread::sleep(std::time::Duration::from_millis(2100));
        assert_eq!(get_all(&mut client, "used", 500), 500);
        leave(&mut client, 0);
        assert_eq!(fill(&mut client, "new", 1000, &[]), 0);
        let (used, idle) = (count(&mut client, "used", 500), count(&mut client, "idle", 1500));
        assert!(used > 490 && idle < 1000, "{used} {idle}");
    }

    fn a_lower_limit_evicts_by_itself(peer) {
        let (_server, mut client) = start(peer, "allkeys-random");
        let before = client.info("used_memory");
        assert_eq!(fill(&mut client, "k", 5000, &[]), 0);
        let limit = before + (2 << 20);
        client.check(&format!("CONFIG SET maxmemory {limit}"), "+OK\r\n");
        let begun = std::time::Instant::now();
        // With what the question itself takes.
        while client.info("used_memory") > limit + (64 << 10) {
            assert!(begun.elapsed() < crate::support::server::PATIENCE, "nothing happens");
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        let left = count(&mut client, "k", 5000);
        assert!((500..2500).contains(&left), "{left}");
    }

    fn evicted_keys_are_announced(peer) {
        let server = peer.start_with(&["--maxmemory-policy", "allkeys-lru", "--notify-keyspace-events", "EA"]);
        let (mut client, mut listener, mut reader, mut watcher) =
            (server.client(), server.client(), server.client(), server.client());
        client.check("SET k v", "+OK\r\n");
        listener.call("PSUBSCRIBE __keyevent@0__:*");
        reader.call("HELLO 3");
        reader.check("CLIENT TRACKING ON", "+OK\r\n");
        reader.check("GET k", "$1\r\nv\r\n");
        watcher.check("WATCH k", "+OK\r\n");
        client.check("CONFIG SET maxmemory 1", "+OK\r\n");
        client.check("SET other v", OOM);
        listener.expect("*4\r\n$8\r\npmessage\r\n$16\r\n__keyevent@0__:*\r\n$22\r\n__keyevent@0__:evicted\r\n$1\r\nk\r\n");
        reader.expect(">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n");
        client.check("CONFIG SET maxmemory 0", "+OK\r\n");
        // Nothing came in between.
        client.check("SET last v", "+OK\r\n");
        listener.expect("*4\r\n$8\r\npmessage\r\n$16\r\n__keyevent@0__:*\r\n$18\r\n__keyevent@0__:set\r\n$4\r\nlast\r\n");
        watcher.check("MULTI", "+OK\r\n");
        watcher.check("EXEC", "*-1\r\n");
    }

    fn frequencies_are_counted(peer) {
        let (_server, mut client) = start(peer, "allkeys-lfu");
        client.check("OBJECT FREQ k", "$-1\r\n");
        client.check("SET k 5", "+OK\r\n");
        client.check("OBJECT FREQ k", ":5\r\n");
        let error = "-ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when switching \
                     between policies at runtime LRU and LFU data will take some time to adjust.\r\n";
        client.check("OBJECT IDLETIME k", error);
        // With no factor every use counts.
        client.check("CONFIG SET lfu-log-factor 0", "+OK\r\n");
        client.check("GET k", "$1\r\n5\r\n");
        client.check("GET k", "$1\r\n5\r\n");
        client.check("TOUCH k", ":1\r\n");
        client.check("STRLEN k", ":1\r\n");
        client.check("OBJECT FREQ k", ":9\r\n");
        client.check("INCR k", ":6\r\n");
        client.check("OBJECT FREQ k", ":10\r\n");
        // Popular, so that copies serve most of its uses.
        for _ in 0..300 {
            client.send("GET k\r\n");
        }
        (0..300).for_each(|_| drop(client.read()));
        client.check("OBJECT FREQ k", ":255\r\n");
        client.check("RENAME k l", "+OK\r\n");
        client.check("OBJECT FREQ l", ":255\r\n");
        client.check("CONFIG SET maxmemory-policy allkeys-lru", "+OK\r\n");
        client.check("SET n v", "+OK\r\n");
        client.check("OBJECT IDLETIME n", ":0\r\n");
    }

    fn restore_sets_what_the_policy_notes(peer) {
        let (_server, mut client) = start(peer, "volatile-lfu");
        client.check("SET k v", "+OK\r\n");
        let Value::Bulk(payload) = client.request(&["DUMP", "k"]) else { panic!("no payload") };
        let restore = |client: &mut Client, more: [&[u8]; 2]| {
            let request = [&[b"RESTORE".as_slice(), b"k", b"0", &payload, b"REPLACE"], &more[..]].concat();
            assert_eq!(client.request(&request), Value::Simple("OK".into()));
        };
        restore(&mut client, [b"FREQ", b"200"]);
        client.check("OBJECT FREQ k", ":200\r\n");
        restore(&mut client, [b"IDLETIME", b"1000"]);
        client.check("OBJECT FREQ k", ":5\r\n");
        client.check("CONFIG SET maxmemory-policy noeviction", "+OK\r\n");
        restore(&mut client, [b"FREQ", b"200"]);
        client.check("OBJECT IDLETIME k", ":0\r\n");
    }

    fn policies_are_options(peer) {
        let (_server, mut client) = start(peer, "noeviction");
        for policy in ["volatile-lru", "allkeys-lfu", "volatile-ttl", "allkeys-random", "ALLKEYS-LRU"] {
            client.check(&format!("CONFIG SET maxmemory-policy {policy}"), "+OK\r\n");
            let (name, lower) = ("maxmemory-policy", policy.to_ascii_lowercase());
            let expected = format!("*2\r\n${}\r\n{name}\r\n${}\r\n{lower}\r\n", name.len(), lower.len());
            client.check("CONFIG GET maxmemory-policy", expected);
        }
        client.check("CONFIG GET maxmemory-eviction-tenacity", "*2\r\n$27\r\nmaxmemory-eviction-tenacity\r\n$2\r\n10\r\n");
        client.check(
            "CONFIG SET maxmemory-policy lru",
            "-ERR CONFIG SET failed (possibly related to argument 'maxmemory-policy') - argument(s) must be one of the \
             following: volatile-lru, volatile-lfu, volatile-random, volatile-ttl, allkeys-lru, allkeys-lfu, \
             allkeys-random, noeviction\r\n",
        );
    }
}

/// Reads the keys `name:0` ..., pipelined; how many there were.
fn get_all(client: &mut Client, name: &str, count: usize) -> usize {
    (0..count).for_each(|i| client.send(format!("GET {name}:{i}\r\n")));
    (0..count).filter(|_| matches!(client.read(), Value::Bulk(_))).count()
}

each_engine! {
    /// Every field that is there, and that together they are what is in use.
    fn memory_is_accounted_for(peer) {
        let (_server, mut client) = start(peer, "allkeys-lru");
        let before = client.info("used_memory_dataset");
        assert_eq!(fill(&mut client, "k", 2000, &[]), 0);
        let dataset = client.info("used_memory_dataset") - before;
        assert!((2000 * 1000..2000 * 1400).contains(&dataset), "{dataset}");
        let startup = client.info("used_memory_startup");
        let overhead = client.info("used_memory_overhead");
        let clients = client.info("mem_clients_normal");
        assert!(startup > 0 && clients > 0 && overhead >= startup + clients + 2000 * 17, "{startup} {overhead} {clients}");
        assert_eq!(client.info("mem_not_counted_for_evict"), 0);
        assert_eq!(client.info("total_eviction_exceeded_time"), 0);
    }

    /// An unfinished request is in memory, and so counts.
    fn query_buffers_count(peer) {
        let (server, mut client) = start(peer, "noeviction");
        let before = client.info("used_memory");
        let mut other = server.client();
        other.send("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$4000000\r\n");
        other.send("x".repeat(3_000_000));
        let begun = std::time::Instant::now();
        while client.info("used_memory") < before + 3_000_000 {
            assert!(begun.elapsed() < crate::support::server::PATIENCE);
        }
    }

    /// A batch asks again before each of its commands: one request must not let the rest of a pipeline through.
    fn a_pipeline_stays_within_the_limit(peer) {
        let (_server, mut client) = start(peer, "noeviction");
        let limit = leave(&mut client, 8 << 20);
        for i in 0..64 {
            client.send(format!("SETRANGE k{i} 999999 x\r\n"));
        }
        let replies: Vec<Value> = (0..64).map(|_| client.read()).collect();
        let done = replies.iter().filter(|reply| **reply == Value::Int(1_000_000)).count();
        assert!((6..=9).contains(&done), "{done}");
        assert!(client.info("used_memory") < limit + (2 << 20));
    }

    /// The thread that asks whether there is room need not be the one that takes it.
    fn one_request_at_a_time_stays_within_the_limit(peer) {
        let (_server, mut client) = start(peer, "noeviction");
        let limit = leave(&mut client, 8 << 20);
        let mut set = |i: u32| client.call(&format!("SETRANGE k{i} 999999 x")) == Value::Int(1_000_000);
        let done = (0..64).filter(|i| set(*i)).count();
        assert!((6..=9).contains(&done), "{done}");
        assert!(client.info("used_memory") < limit + (2 << 20));
    }

    fn large_values_are_freed_and_make_room(peer) {
        for lazy in ["yes", "no"] {
            let server = peer.start_with(&["--maxmemory-policy", "allkeys-lru", "--lazyfree-lazy-eviction", lazy]);
            let mut client = server.client();
            let limit = leave(&mut client, 32 << 20);
            for i in 0..200 {
                client.check(&format!("SETRANGE k{i} 999999 x"), ":1000000\r\n");
            }
            assert!(client.info("used_memory") < limit + (16 << 20));
            let left = client.call("DBSIZE");
            assert!(matches!(left, Value::Int(10..=34)), "{left:?}");
        }
    }
}

//! Memory grows with what was received, never with what was announced.

use std::time::Duration;

use crate::others::{Others, bounded, retry, start};
use crate::support::client::encode;
use crate::support::{Client, Peer, Server, each_engine};

const KIBI: u64 = 1024;

/// What a process takes on the way: a thread's first allocation takes whole segments from the system, and the kernel
/// counts huge pages of 2 MiB as resident when one byte of each is touched. Measured: 8 MiB for each thread that a busy
/// connection runs on, of which there may be three on two cores (`rest-threads`).
const SLACK: u64 = 24 * 1024 * KIBI;

/// The same for a process that has served a thousand connections before: single huge pages.
const SETTLED: u64 = 4 * 1024 * KIBI;

/// Connections that have been served once, so that what each costs by itself is paid.
fn connections(server: &Server, count: usize) -> Vec<Client> {
    let mut clients: Vec<Client> = (0..count).map(|_| server.client()).collect();
    for client in &mut clients {
        client.send("PING\r\n");
    }
    for client in &mut clients {
        client.expect("+PONG\r\n");
    }
    clients
}

/// Writes so many bytes of values from 10 B to 64 KiB, every magnitude as often as another.
fn write_mixed(client: &mut Client, seed: u64, bytes: usize) {
    let mut random = fastrand::Rng::with_seed(seed);
    let value = vec![b'x'; 64 << 10];
    let mut sent = 0;
    while sent < bytes {
        let (mut requests, mut count) = (Vec::new(), 0);
        while requests.len() < 16 << 10 {
            let len = (10.0 * 6553.6_f64.powf(random.f64())) as usize;
            let key = format!("key:{}", random.u32(..));
            requests.extend(encode(&[b"SET", key.as_bytes(), &value[..len]]));
            count += 1;
        }
        sent += requests.len();
        client.send(&requests);
        client.expect("+OK\r\n".repeat(count));
    }
}

/// Checks by how much a server grows when each of a thousand connections sends `input`, and that others do not wait.
///
/// The input comes behind a PING in one write: with its answer, the server has read the rest of a short input.
fn a_thousand_cost_less_than_a_kibibyte_each(peer: Peer, input: &[u8]) {
    let input = [b"PING\r\n", input].concat();
    retry("a thousand connections", || {
        let server = start(peer, &[]);
        let mut clients = connections(&server, 1000);
        let mut others = Others::of(&server, "");
        let before = server.resident_bytes();
        let slowest = others.ask_during(|| {
            clients.iter_mut().for_each(|client| client.send(&input));
            clients.iter_mut().for_each(|client| client.expect("+PONG\r\n"));
        });
        bounded(slowest, server.resident_bytes().saturating_sub(before), 1000 * KIBI + SETTLED)
    });
}

/// Sends `chunk` up to a thousand times and reads nothing; the server must stop reading.
fn flood(client: &mut Client, chunk: &str) {
    client.shrink_receive_buffer();
    client.set_write_timeout(Duration::from_millis(200));
    assert!((0..1000).any(|_| client.try_send(chunk).is_err()), "the server read everything");
}

each_engine! {
    /// What a control group needs is 1.25 x maxmemory + 64 MB: values of all sizes, each thread's and each connection's
    /// buffers, and what waits to be freed.
    fn many_writers_stay_within_a_quarter_more_than_maxmemory(peer) {
        const LIMIT: u64 = 64 << 20;
        const WRITERS: u64 = 16;
        let server = peer.start_with(&["--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru"]);
        std::thread::scope(|scope| {
            for writer in 0..WRITERS {
                let mut client = server.client();
                scope.spawn(move || write_mixed(&mut client, writer, 12 << 20));
            }
        });
        let most = server.resident_bytes_max();
        assert!(most <= LIMIT / 4 * 5 + (64 << 20), "{most} resident of {LIMIT}");
        let used = server.client().info("used_memory");
        // Not all is gone either.
        assert!((LIMIT / 2..LIMIT / 8 * 9).contains(&used), "{used} in use of {LIMIT}");
    }

    /// Memory that was freed while there was no limit is given back too.
    fn a_limit_that_is_set_later_holds(peer) {
        const LIMIT: u64 = 64 << 20;
        let server = peer.start();
        let mut client = server.client();
        // Zeros need not be resident.
        let value = "x".repeat(1_000_000);
        for i in 0..200 {
            client.check(&format!("SET k{i} {value}"), "+OK\r\n");
        }
        // By now the keeper is in charge of what is given back, and it does not while nothing is short.
        std::thread::sleep(Duration::from_secs(2));
        (0..20).for_each(|i| client.check(&format!("DEL k{i}"), ":1\r\n"));
        client.check("CONFIG SET maxmemory-policy allkeys-lru", "+OK\r\n");
        client.check("CONFIG SET maxmemory 64mb", "+OK\r\n");
        let begun = std::time::Instant::now();
        while server.resident_bytes() > LIMIT / 4 * 5 + (64 << 20) || client.info("used_memory") > LIMIT / 8 * 9 {
            assert!(begun.elapsed() < crate::support::server::PATIENCE, "{} resident", server.resident_bytes());
            // What is freed goes when more is.
            client.check(&format!("SET more {value}"), "+OK\r\n");
            client.check("DEL more", ":1\r\n");
            std::thread::sleep(Duration::from_millis(50));
        }
        let used = client.info("used_memory");
        assert!((LIMIT / 3..LIMIT / 8 * 9).contains(&used), "{used} in use of {LIMIT}");
    }

    /// CVE-2021-32675.
    fn a_thousand_announced_counts_cost_less_than_a_kibibyte_each(peer) {
        a_thousand_cost_less_than_a_kibibyte_each(peer, b"*2147483647\r\n");
    }

    fn a_thousand_announced_lengths_cost_less_than_a_kibibyte_each(peer) {
        a_thousand_cost_less_than_a_kibibyte_each(peer, b"*2\r\n$4\r\nECHO\r\n$536870912\r\nx");
    }

    /// What has been received of a long argument is held once, with room for as much again; buffers that were
    /// outgrown stay with the allocator for a while.
    fn half_received_arguments_cost_what_was_received(peer) {
        const RECEIVED: u64 = 100_000;
        let server = start(peer, &[]);
        Others::of(&server, "").notice_nothing(&server, 100 * 4 * RECEIVED + SLACK, "half arguments", || {
            let mut clients = connections(&server, 100);
            for client in &mut clients {
                client.send("*2\r\n$4\r\nECHO\r\n$536870912\r\n");
                for _ in 0..10 {
                    client.send(vec![b'x'; RECEIVED as usize / 10]);
                }
            }
            server.client().check("PING", "+PONG\r\n");
        });
    }

    /// Arguments by the million are held as they come, not as they were announced.
    fn one_client_with_many_small_arguments(peer) {
        let server = start(peer, &[]);
        let input = b"$1\r\nx\r\n".repeat(500_000);
        // Bytes and the places of arguments, each with room for as much again, and copies while they grow.
        let most = 6 * input.len() as u64 + SLACK;
        Others::of(&server, "").notice_nothing(&server, most, "many arguments", || {
            let mut client = server.client();
            client.send("*2147483647\r\n");
            client.send(&input);
            server.client().check("PING", "+PONG\r\n");
        });
    }

    /// 70 MB of requests would cause 400 MB of errors.
    fn a_flood_of_a_client_that_is_not_logged_in(peer) {
        const REQUESTS: [&str; 3] = ["GET k", "AUTH wrong", "HELLO 3 AUTH default wrong"];
        let server = start(peer, &["--requirepass", "secret"]);
        let mut others = Others::of(&server, "AUTH secret");
        let mut watcher = server.client();
        watcher.check("AUTH secret", "+OK\r\n");
        for request in REQUESTS {
            others.notice_nothing(&server, 1024 * KIBI + SLACK, request, || {
                let mut client = server.client();
                flood(&mut client, &format!("{request}\r\n").repeat(10_000));
                let own = format!("addr={} ", client.local_addr());
                let list = watcher.call("CLIENT LIST").text();
                let line = list.lines().find(|line| line.contains(&own)).expect("it is connected");
                let queued = line.split(' ').find_map(|field| field.strip_prefix("omem=")).expect("is told");
                let queued: u64 = queued.parse().expect("a number");
                assert!(queued <= 1024 * KIBI, "{request}: {line}");
            });
        }
    }

    /// 600 MB that would be sent back.
    fn a_flood_of_a_client_that_never_reads(peer) {
        let server = start(peer, &[]);
        let chunk = format!("ECHO {}\r\n", "x".repeat(50)).repeat(10_000);
        Others::of(&server, "").notice_nothing(&server, 1024 * KIBI + SLACK, "ECHO", || {
            flood(&mut server.client(), &chunk);
        });
    }
}

//! Memory grows with what was received, never with what was announced.

use std::time::Duration;

use crate::support::client::encode;
use crate::support::{Client, Server, each_engine};

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

/// By how much the server grows when each of `count` connections sends `input`.
///
/// The input comes behind a PING in one write: with its answer, the server has read the rest of a short input.
fn growth(server: &Server, count: usize, input: &[u8]) -> (u64, Vec<Client>) {
    let mut clients = connections(server, count);
    let before = server.resident_bytes();
    let input = [b"PING\r\n", input].concat();
    for client in &mut clients {
        client.send(&input);
    }
    for client in &mut clients {
        client.expect("+PONG\r\n");
    }
    server.client().check("PING", "+PONG\r\n");
    (server.resident_bytes().saturating_sub(before), clients)
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
        let used = server.client().call("INFO memory").text();
        let used = used.lines().find_map(|line| line.strip_prefix("used_memory:")).expect("INFO tells");
        let used: u64 = used.parse().expect("a number");
        // Not all is gone either.
        assert!((LIMIT / 2..LIMIT / 8 * 9).contains(&used), "{used} in use of {LIMIT}");
    }

    /// CVE-2021-32675.
    fn a_thousand_announced_counts_cost_less_than_a_kibibyte_each(peer) {
        let server = peer.start();
        let (grown, _clients) = growth(&server, 1000, b"*2147483647\r\n");
        assert!(grown < 1000 * KIBI + SETTLED, "grown by {grown} bytes");
    }

    fn a_thousand_announced_lengths_cost_less_than_a_kibibyte_each(peer) {
        let server = peer.start();
        let (grown, _clients) = growth(&server, 1000, b"*2\r\n$4\r\nECHO\r\n$536870912\r\nx");
        assert!(grown < 1000 * KIBI + SETTLED, "grown by {grown} bytes");
    }

    /// What has been received of a long argument is held once, with room for as much again; buffers that were
    /// outgrown stay with the allocator for a while.
    fn half_received_arguments_cost_what_was_received(peer) {
        const RECEIVED: u64 = 100_000;
        let server = peer.start();
        let mut clients = connections(&server, 100);
        let before = server.resident_bytes();
        for client in &mut clients {
            client.send("*2\r\n$4\r\nECHO\r\n$536870912\r\n");
            for _ in 0..10 {
                client.send(vec![b'x'; RECEIVED as usize / 10]);
            }
        }
        server.client().check("PING", "+PONG\r\n");
        let grown = server.resident_bytes().saturating_sub(before);
        assert!(grown < 100 * 4 * RECEIVED + SLACK, "grown by {grown} bytes");
    }

    /// Arguments by the million are held as they come, not as they were announced.
    fn one_client_with_many_small_arguments(peer) {
        let server = peer.start();
        let mut client = server.client();
        let before = server.resident_bytes();
        let input = b"$1\r\nx\r\n".repeat(500_000);
        client.send("*2147483647\r\n");
        client.send(&input);
        server.client().check("PING", "+PONG\r\n");
        let grown = server.resident_bytes().saturating_sub(before);
        // Bytes and the places of arguments, each with room for as much again, and copies while they grow.
        assert!(grown < 6 * input.len() as u64 + SLACK, "grown by {grown} bytes");
    }

    fn a_flood_of_a_client_that_is_not_logged_in(peer) {
        let server = peer.start_with(&["--requirepass", "secret"]);
        let mut watcher = server.client();
        watcher.check("AUTH secret", "+OK\r\n");
        let mut client = server.client();
        client.shrink_receive_buffer();
        let before = server.resident_bytes();
        client.set_write_timeout(Duration::from_millis(200));
        let mut sent = 0;
        let chunk = "GET k\r\n".repeat(10_000);
        // 70 MB would cause 400 MB of errors; the server stops reading when the replies are not taken.
        while sent < 1000 && client.try_send(&chunk).is_ok() {
            sent += 1;
        }
        assert!(sent < 1000, "the server read everything");
        watcher.check("PING", "+PONG\r\n");
        let grown = server.resident_bytes().saturating_sub(before);
        assert!(grown < 1024 * KIBI + SLACK, "grown by {grown} bytes");
    }

    fn a_flood_of_a_client_that_never_reads(peer) {
        let server = peer.start();
        let mut watcher = server.client();
        let mut client = server.client();
        client.shrink_receive_buffer();
        let before = server.resident_bytes();
        client.set_write_timeout(Duration::from_millis(200));
        let chunk = format!("ECHO {}\r\n", "x".repeat(50)).repeat(10_000);
        // 600 MB that would be sent back.
        let mut sent = 0;
        while sent < 1000 && client.try_send(&chunk).is_ok() {
            sent += 1;
        }
        assert!(sent < 1000, "the server read everything");
        watcher.check("PING", "+PONG\r\n");
        let grown = server.resident_bytes().saturating_sub(before);
        assert!(grown < 1024 * KIBI + SLACK, "grown by {grown} bytes");
    }
}

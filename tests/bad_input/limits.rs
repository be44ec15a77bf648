//! Too many clients, too few file descriptors, requests and replies that are too large, peers that vanish.

use std::time::{Duration, Instant};

use crate::others::{Others, bounded, retry, start};
use crate::support::client::encode;
use crate::support::server::PATIENCE;
use crate::support::{Client, Server, each_engine, same_as_redis};

const MEBI: usize = 1 << 20;

/// Waits until the server has as few open files as it had, because connections end in the background.
fn wait_for_open_files(server: &Server, most: usize) {
    let since = Instant::now();
    while server.open_files() > most {
        assert!(since.elapsed() < PATIENCE, "{} files are open, {most} were", server.open_files());
        std::thread::yield_now();
    }
}

/// Waits until a client is not listed any more.
fn wait_until_gone(watcher: &mut Client, id: i64) {
    let since = Instant::now();
    while !watcher.call(&format!("CLIENT LIST ID {id}")).text().is_empty() {
        assert!(since.elapsed() < PATIENCE, "client {id} is still there");
        std::thread::yield_now();
    }
}

same_as_redis! {
    fn one_client_too_many(peer) {
        let server = peer.start_with(&["--maxclients", "3"]);
        let mut clients: Vec<_> = (0..3).map(|_| server.client()).collect();
        for client in &mut clients {
            client.check("PING", "+PONG\r\n");
        }
        for _ in 0..20 {
            let mut refused = server.client();
            refused.expect("-ERR max number of clients reached\r\n");
            refused.expect_closed();
        }
        for client in &mut clients {
            client.check("PING", "+PONG\r\n");
        }
        // One leaves, and one may come.
        clients[0].check("QUIT", "+OK\r\n");
        clients[0].expect_closed();
        server.client().check("PING", "+PONG\r\n");
    }

    fn an_argument_above_proto_max_bulk_len(peer) {
        let server = peer.start_with(&["--proto-max-bulk-len", "1mb"]);
        let mut client = server.client();
        assert_eq!(client.request(&[b"SET".as_slice(), b"k", &vec![b'x'; MEBI]]).text(), "OK");
        client.send("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1048577\r\n");
        client.expect("-ERR Protocol error: invalid bulk length\r\n");
        client.expect_closed();
    }
}

each_engine! {
    fn refused_clients_are_logged(peer) {
        let server = peer.start_with(&["--maxclients", "1"]);
        let mut client = server.client();
        client.check("PING", "+PONG\r\n");
        server.client().expect("-ERR max number of clients reached\r\n");
        server.wait_for_log("there are too many");
    }

    fn requests_of_http_are_logged(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.send("POST / HTTP/1.1\r\nHost: example\r\n\r\nSET k v\r\n");
        client.expect_closed();
        server.wait_for_log("possible attack");
        server.client().check("EXISTS k", ":0\r\n");
    }

    fn no_file_descriptors_left(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("PING", "+PONG\r\n");
        let before = server.open_files();
        server.limit_open_files(Some(before as u64 + 2));
        // They all are in the kernel's queue; two of them are accepted.
        let mut waiting: Vec<_> = (0..20).map(|_| server.client()).collect();
        server.wait_for_log("cannot accept connections for now");
        for _ in 0..1000 {
            client.check("PING", "+PONG\r\n");
        }
        // It rests, instead of trying again and again: less than half of a core.
        let ticks = server.cpu_ticks();
        std::thread::sleep(Duration::from_millis(500));
        assert!(server.cpu_ticks() - ticks < 25, "{} ticks of 10 ms", server.cpu_ticks() - ticks);
        // It tells once, not each time that it tries.
        assert_eq!(server.log().matches("cannot accept connections").count(), 1, "{}", server.log());
        server.limit_open_files(None);
        for client in &mut waiting {
            client.check("PING", "+PONG\r\n");
        }
    }

    fn a_request_above_the_query_buffer_limit(peer) {
        let server = peer.start_with(&["--client-query-buffer-limit", "1mb"]);
        let mut client = server.client();
        let mut watcher = server.client();
        client.send("*2\r\n$4\r\nECHO\r\n$100000000\r\n");
        // The server hangs up on the way.
        for _ in 0..100 {
            if client.try_send(vec![b'x'; MEBI / 10]).is_err() {
                break;
            }
        }
        client.expect_closed();
        server.wait_for_log("client-query-buffer-limit");
        watcher.check("PING", "+PONG\r\n");
    }

    fn a_transaction_above_the_query_buffer_limit(peer) {
        let server = peer.start_with(&["--client-query-buffer-limit", "1mb"]);
        let mut client = server.client();
        client.check("MULTI", "+OK\r\n");
        let request = encode(&[b"SET".as_slice(), b"k", &[b'x'; 10_000]]);
        for _ in 0..200 {
            if client.try_send(&request).is_err() {
                break;
            }
        }
        let replies = client.read_to_end();
        assert!(replies.len() < 200 * b"+QUEUED\r\n".len());
        server.wait_for_log("client-query-buffer-limit");
        server.client().check("EXISTS k", ":0\r\n");
    }

    fn small_requests_of_a_transaction_count_with_what_they_occupy(peer) {
        let server = peer.start_with(&["--client-query-buffer-limit", "1mb"]);
        let mut client = server.client();
        client.check("MULTI", "+OK\r\n");
        // 60,000 are far below 1 MiB on the wire.
        for _ in 0..60 {
            if client.try_send("PING\r\n".repeat(1000)).is_err() {
                break;
            }
        }
        client.read_to_end();
        server.wait_for_log("client-query-buffer-limit");
    }

    /// A short request can ask for very much: the reply is given up on the way, not when it is complete.
    fn a_reply_is_not_made_beyond_the_hard_output_limit(peer) {
        const TIMES: usize = 30_000;
        let server = peer.start_with(&["--client-output-buffer-limit", "normal 1mb 0 0"]);
        let mut watcher = server.client();
        // Small enough to be copied into replies. 30,000 of them are 480 MB.
        assert_eq!(watcher.request(&[b"SET".as_slice(), b"k", &[b'x'; 16_000]]).text(), "OK");
        let mut clients = [server.client(), server.client()];
        let mget: Vec<&str> = std::iter::once("MGET").chain(std::iter::repeat_n("k", TIMES)).collect();
        clients[0].send(encode(&mget));
        clients[1].check("MULTI", "+OK\r\n");
        clients[1].send("GET k\r\n".repeat(TIMES));
        for _ in 0..TIMES {
            clients[1].expect("+QUEUED\r\n");
        }
        clients[1].send("EXEC\r\n");
        for client in &mut clients {
            client.expect_closed();
        }
        let most = server.resident_bytes_max();
        assert!(most < 128 * MEBI as u64, "{most} bytes");
        watcher.check("PING", "+PONG\r\n");
    }

    fn a_long_list_of_missing_keys_to_move_holds_nobody_up(peer) {
        // One thread for all connections: whoever holds it holds them up.
        let server = start(peer, &["--threads", "1"]);
        let keys = vec!["missing"; 50_000];
        let request = encode(&[&["MIGRATE", "127.0.0.1", "1", "", "0", "100", "KEYS"], &keys[..]].concat());
        let (mut client, mut others) = (server.client(), Others::of(&server, ""));
        retry("a long list of keys", || {
            let slowest = others.ask_during(|| {
                client.send(&request);
                client.expect("+NOKEY\r\n");
            });
            bounded(slowest, 0, 0)
        });
        let id = client.call("CLIENT ID").int();
        client.send(encode(&[&["MIGRATE", "127.0.0.1", "1", "", "0", "100", "KEYS"], &keys.repeat(2)[..]].concat()));
        others.watcher().check(&format!("CLIENT KILL ID {id}"), ":1\r\n");
        client.expect_closed();
    }

    fn a_killed_client_that_does_not_read_is_gone(peer) {
        let server = peer.start_with(&["--client-output-buffer-limit", "normal 0 0 0"]);
        let (mut client, mut watcher) = (server.client(), server.client());
        client.shrink_receive_buffer();
        assert_eq!(watcher.request(&[b"SET".as_slice(), b"k", &vec![b'x'; 16 * MEBI]]).text(), "OK");
        let id = client.call("CLIENT ID").int();
        client.send("GET k\r\n");
        client.expect("$16777216\r\n");
        watcher.check(&format!("CLIENT KILL ID {id}"), ":1\r\n");
        wait_until_gone(&mut watcher, id);
    }

    fn a_killed_client_that_is_paused_is_gone(peer) {
        let server = peer.start();
        let (mut client, mut watcher) = (server.client(), server.client());
        let id = client.call("CLIENT ID").int();
        watcher.check("CLIENT PAUSE 1000000 WRITE", "+OK\r\n");
        // What comes before the paused request is answered at once.
        client.send("PING\r\nSET k v\r\n");
        client.expect("+PONG\r\n");
        watcher.check(&format!("CLIENT KILL ID {id}"), ":1\r\n");
        wait_until_gone(&mut watcher, id);
        watcher.check("CLIENT UNPAUSE", "+OK\r\n");
        watcher.check("EXISTS k", ":0\r\n");
    }

    fn replies_above_the_hard_output_limit(peer) {
        let server = peer.start_with(&["--client-output-buffer-limit", "normal 1mb 0 0"]);
        let mut client = server.client();
        let mut watcher = server.client();
        assert_eq!(client.request(&[b"SET".as_slice(), b"k", &vec![b'x'; MEBI * 2]]).text(), "OK");
        client.send("GET k\r\n");
        client.expect_closed();
        server.wait_for_log("does not read its replies");
        watcher.check("PING", "+PONG\r\n");
    }

    fn a_client_that_never_reads(peer) {
        let server = peer.start_with(&["--client-output-buffer-limit", "normal 0 0 1"]);
        let (mut client, mut watcher) = (server.client(), server.client());
        client.shrink_receive_buffer();
        assert_eq!(client.request(&[b"SET".as_slice(), b"k", &vec![b'x'; MEBI]]).text(), "OK");
        let before = server.resident_bytes();
        // 100 GiB of replies, if anybody wanted them.
        client.set_write_timeout(Duration::from_millis(100));
        for _ in 0..100 {
            if client.try_send("GET k\r\n".repeat(1000)).is_err() {
                break;
            }
        }
        watcher.check("PING", "+PONG\r\n");
        // One second without a byte taken is the limit that was set.
        server.wait_for_log("does not read its replies");
        // A value in flight is shared with the store; what is buffered are the requests of one read and a few replies.
        let grown = server.resident_bytes().saturating_sub(before);
        assert!(grown < 16 * MEBI as u64, "grown by {grown} bytes");
        watcher.check("PING", "+PONG\r\n");
    }

    fn a_timeout_that_is_set_later_reaches_clients_that_wait_already(peer) {
        let server = peer.start();
        let mut idle = server.client();
        idle.check("PING", "+PONG\r\n");
        let mut midway = server.client();
        midway.send("*2\r\n$3\r\nGET\r\n");
        let mut other = server.client();
        other.check("CONFIG SET timeout 1", "+OK\r\n");
        idle.expect_closed();
        midway.expect_closed();
    }

    fn an_idle_client_is_closed_after_timeout(peer) {
        let server = peer.start_with(&["--timeout", "1"]);
        let mut client = server.client();
        client.check("PING", "+PONG\r\n");
        client.expect_closed();
        server.client().check("PING", "+PONG\r\n");
    }

    fn peers_that_vanish_leave_nothing_behind(peer) {
        let server = peer.start();
        let mut watcher = server.client();
        watcher.check("PING", "+PONG\r\n");
        let before = server.open_files();
        for i in 0..300 {
            let mut client = server.client();
            match i % 6 {
                0 => {}
                1 => client.send("*2\r\n$4\r\nECHO\r\n$100\r\nhalf"),
                2 => client.send("PING\r\n"),
                3 => client.send("MULTI\r\nSET k v\r\n"),
                4 => client.send("WATCH k\r\nKEYS *\r\n"),
                _ => client.send("GET"),
            }
            match i % 3 {
                0 => client.reset(),
                1 => drop(client),
                // Half closed: the server ends its side.
                _ => {
                    client.finish_sending();
                    client.read_to_end();
                }
            }
        }
        wait_for_open_files(&server, before);
        watcher.check("EXISTS k", ":0\r\n");
    }
}

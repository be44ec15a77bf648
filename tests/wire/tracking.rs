//! CLIENT TRACKING.

use crate::support::{Client, Server, Value, each_engine, same_as_redis};

/// A client in RESP3 that tracks.
fn tracker(server: &Server, options: &str) -> Client {
    let mut client = server.client();
    client.call("HELLO 3");
    client.check(&format!("CLIENT TRACKING ON{options}"), "+OK\r\n");
    client
}

fn invalidate(key: &str) -> String {
    format!(">2\r\n$10\r\ninvalidate\r\n*1\r\n${}\r\n{key}\r\n", key.len())
}

/// Nothing else has come.
fn expect_nothing(client: &mut Client) {
    client.check("ECHO nothing", "$7\r\nnothing\r\n");
}

same_as_redis! {
    fn readers_are_told_once_when_a_key_changes(peer) {
        let server = peer.start();
        let (mut reader, mut writer) = (tracker(&server, ""), server.client());
        writer.call("MSET a 1 b 2");
        reader.check("GET a", "$1\r\n1\r\n");
        reader.check("GET missing", "_\r\n");
        writer.call("SET b 3");
        expect_nothing(&mut reader);
        writer.call("SET a 2");
        reader.expect(invalidate("a"));
        writer.call("SET a 3");
        expect_nothing(&mut reader);
        writer.call("SET missing 1");
        reader.expect(invalidate("missing"));
        reader.call("MGET a b");
        writer.call("DEL a b");
        reader.expect(invalidate("a") + &invalidate("b"));
        writer.call("SET a 1 PX 20");
        reader.call("GET a");
        reader.expect(invalidate("a"));
        reader.check("CLIENT TRACKING OFF", "+OK\r\n");
        reader.call("GET a");
        writer.call("SET a 4");
        expect_nothing(&mut reader);
    }

    fn all_families_tell(peer) {
        let server = peer.start();
        let (mut reader, mut writer) = (tracker(&server, ""), server.client());
        for (read, write, key) in [
            ("LRANGE l 0 -1", "RPUSH l x", "l"),
            ("SMEMBERS s", "SADD s x", "s"),
            ("HGETALL h", "HSET h f v", "h"),
            ("ZRANGE z 0 -1", "ZADD z 1 x", "z"),
            ("GETBIT b 1", "SETBIT b 1 1", "b"),
            ("EXISTS k", "SET k v", "k"),
            ("TTL k", "EXPIRE k 100", "k"),
            ("STRLEN k", "APPEND k v", "k"),
            ("SCARD s", "SPOP s", "s"),
            ("LLEN l", "LTRIM l 1 0", "l"),
            ("SORT_RO l2", "RPUSH l2 1", "l2"),
            ("PFCOUNT p", "PFADD p x", "p"),
            ("TYPE t", "SET t 1", "t"),
            ("GET t", "RENAME t u", "t"),
        ] {
            reader.call(read);
            writer.call(write);
            reader.expect(invalidate(key));
        }
        reader.call("GET u");
        writer.call("MULTI");
        writer.call("SET u 1");
        writer.call("EXEC");
        reader.expect(invalidate("u"));
        reader.call("MULTI");
        reader.call("GET u");
        reader.call("EXEC");
        writer.call("SET u 2");
        reader.expect(invalidate("u"));
    }

    fn a_flush_invalidates_everything(peer) {
        let server = peer.start();
        let (mut reader, mut writer) = (tracker(&server, ""), server.client());
        reader.call("GET a");
        writer.call("FLUSHALL");
        reader.expect(">2\r\n$10\r\ninvalidate\r\n_\r\n");
        writer.call("SET a 1");
        expect_nothing(&mut reader);
        writer.call("FLUSHDB");
        reader.expect(">2\r\n$10\r\ninvalidate\r\n_\r\n");
    }

    fn prefixes_are_told_of_every_change(peer) {
        let server = peer.start();
        let mut reader = tracker(&server, " BCAST PREFIX a PREFIX b:");
        let mut writer = server.client();
        for key in ["a", "abc", "b", "b:1", "c"] {
            writer.call(&format!("SET {key} 1"));
        }
        reader.expect(invalidate("a") + &invalidate("abc") + &invalidate("b:1"));
        reader.check("CLIENT TRACKING ON BCAST PREFIX c", "+OK\r\n");
        writer.call("DEL c");
        reader.expect(invalidate("c"));
        reader.check(
            "CLIENT TRACKING ON BCAST PREFIX ab",
            "-ERR Prefix 'ab' overlaps with an existing prefix 'a'. Prefixes for a single client must not overlap.\r\n",
        );
        reader.check(
            "CLIENT TRACKING ON BCAST PREFIX x PREFIX xy",
            "-ERR Prefix 'x' overlaps with another provided prefix 'xy'. Prefixes for a single client must not overlap.\r\n",
        );
        let info = reader.call("CLIENT TRACKINGINFO");
        assert!(format!("{info:?}").contains(r#"["a", "b:", "c"]"#), "{info:?}");
        let mut all = tracker(&server, " BCAST");
        writer.call("SET anything 1");
        all.expect(invalidate("anything"));
    }

    fn opting_in_and_out(peer) {
        let server = peer.start();
        let (mut reader, mut writer) = (tracker(&server, " OPTIN"), server.client());
        reader.call("GET a");
        writer.call("SET a 1");
        expect_nothing(&mut reader);
        reader.send("CLIENT CACHING YES\r\nGET a\r\nGET b\r\n");
        for _ in 0..3 {
            reader.read();
        }
        writer.call("MSET a 1 b 2");
        reader.expect(invalidate("a"));
        reader.send("CLIENT CACHING YES\r\nMULTI\r\nGET a\r\nGET b\r\nEXEC\r\nGET c\r\n");
        for _ in 0..6 {
            reader.read();
        }
        writer.call("MSET a 1 b 2 c 3");
        reader.expect(invalidate("a") + &invalidate("b"));
        // It is about the command that waits.
        reader.send("CLIENT CACHING YES\r\nBLPOP nothing 0.01\r\nGET d\r\n");
        for _ in 0..3 {
            reader.read();
        }
        writer.call("SET d 1");
        expect_nothing(&mut reader);
        reader.check("CLIENT CACHING NO", "-ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.\r\n");
        reader.check("CLIENT CACHING MAYBE", "-ERR syntax error\r\n");
        let mut reader = tracker(&server, " OPTOUT");
        reader.send("CLIENT CACHING NO\r\nGET a\r\nGET b\r\n");
        for _ in 0..3 {
            reader.read();
        }
        writer.call("MSET a 1 b 2");
        reader.expect(invalidate("b"));
        expect_nothing(&mut reader);
    }

    fn own_changes_are_told_unless_not_wanted(peer) {
        let server = peer.start();
        let mut reader = tracker(&server, "");
        reader.call("GET a");
        reader.check("SET a 1", format!("+OK\r\n{}", invalidate("a")));
        let mut reader = tracker(&server, " NOLOOP");
        reader.call("GET a");
        reader.check("SET a 1", "+OK\r\n");
        expect_nothing(&mut reader);
        let mut reader = tracker(&server, " BCAST NOLOOP");
        reader.check("SET a 1", "+OK\r\n");
        expect_nothing(&mut reader);
        server.client().call("SET a 2");
        reader.expect(invalidate("a"));
    }

    fn messages_may_go_to_another_client(peer) {
        let server = peer.start();
        let (mut listener, mut reader, mut writer) = (server.client(), server.client(), server.client());
        let id = listener.call("CLIENT ID").int();
        listener.call("SUBSCRIBE __redis__:invalidate");
        reader.check("CLIENT GETREDIR", ":-1\r\n");
        reader.check(&format!("CLIENT TRACKING ON REDIRECT {id}"), "+OK\r\n");
        reader.check("CLIENT GETREDIR", format!(":{id}\r\n"));
        reader.call("GET a");
        writer.call("SET a 1");
        listener.expect("*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n*1\r\n$1\r\na\r\n");
        writer.call("FLUSHALL");
        listener.expect("*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n");
        assert_eq!(listener.read(), Value::Nil);
        let list = writer.call("CLIENT LIST").text();
        assert!(list.contains(&format!(" redir={id} ")) && list.contains(" flags=t "), "{list}");
        // In RESP3 a push of its own kind, without a subscription.
        listener.call("UNSUBSCRIBE");
        listener.call("HELLO 3");
        reader.call("GET a");
        writer.call("SET a 2");
        listener.expect(invalidate("a"));
        reader.call("HELLO 3");
        reader.call("GET a");
        listener.send("QUIT\r\n");
        listener.expect("+OK\r\n");
        listener.expect_closed();
        writer.call("SET a 3");
        reader.expect(format!(">2\r\n$21\r\ntracking-redir-broken\r\n:{id}\r\n"));
        let list = writer.call("CLIENT LIST").text();
        assert!(list.contains(" flags=tR "), "{list}");
    }

    fn options_that_do_not_go_together(peer) {
        let server = peer.start();
        let mut client = server.client();
        let other_mode = "before disabling tracking for this client, and then re-enabling it with a different mode.\r\n";
        for (request, expected) in [
            ("CLIENT TRACKING", "-ERR wrong number of arguments for 'client|tracking' command\r\n".to_owned()),
            ("CLIENT TRACKING MAYBE", "-ERR syntax error\r\n".to_owned()),
            ("CLIENT TRACKING ON X", "-ERR syntax error\r\n".to_owned()),
            ("CLIENT TRACKING ON REDIRECT", "-ERR syntax error\r\n".to_owned()),
            ("CLIENT TRACKING ON REDIRECT x", "-ERR value is not an integer or out of range\r\n".to_owned()),
            ("CLIENT TRACKING ON REDIRECT 9999", "-ERR The client ID you want redirect to does not exist\r\n".to_owned()),
            ("CLIENT TRACKING ON PREFIX a", "-ERR PREFIX option requires BCAST mode to be enabled\r\n".to_owned()),
            ("CLIENT TRACKING ON BCAST OPTIN", "-ERR OPTIN and OPTOUT are not compatible with BCAST\r\n".to_owned()),
            ("CLIENT TRACKING ON OPTIN OPTOUT", "-ERR You can't specify both OPTIN mode and OPTOUT mode\r\n".to_owned()),
            ("CLIENT CACHING YES", "-ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled\r\n".to_owned()),
            ("CLIENT TRACKING ON OPTIN", "+OK\r\n".to_owned()),
            ("CLIENT TRACKING ON BCAST", format!("-ERR You can't switch BCAST mode on/off {other_mode}")),
            ("CLIENT TRACKING ON OPTOUT", format!("-ERR You can't switch OPTIN/OPTOUT mode {other_mode}")),
            ("CLIENT GETREDIR", ":0\r\n".to_owned()),
            ("CLIENT CACHING YES", "+OK\r\n".to_owned()),
            ("CLIENT TRACKINGINFO", "*6\r\n$5\r\nflags\r\n*3\r\n$2\r\non\r\n$5\r\noptin\r\n$11\r\ncaching-yes\r\n$8\r\nredirect\r\n:0\r\n$8\r\nprefixes\r\n*0\r\n".to_owned()),
            ("CLIENT TRACKING OFF", "+OK\r\n".to_owned()),
            ("CLIENT TRACKINGINFO", "*6\r\n$5\r\nflags\r\n*1\r\n$3\r\noff\r\n$8\r\nredirect\r\n:-1\r\n$8\r\nprefixes\r\n*0\r\n".to_owned()),
        ] {
            client.check(request, expected);
        }
    }

    fn reset_ends_it(peer) {
        let server = peer.start();
        let (mut reader, mut writer) = (tracker(&server, " BCAST"), server.client());
        reader.check("RESET", "+RESET\r\n");
        writer.call("SET a 1");
        reader.call("HELLO 3");
        reader.check("CLIENT GETREDIR", ":-1\r\n");
        assert!(writer.call("INFO clients").text().contains("tracking_clients:0\r\n"));
        assert!(writer.call("INFO stats").text().contains("tracking_total_prefixes:0\r\n"));
    }
}

each_engine! {
    fn the_table_is_bounded(peer) {
        let server = peer.start_with(&["--tracking-table-max-keys", "100"]);
        let (mut reader, mut client) = (tracker(&server, ""), server.client());
        let mut told = 0;
        for i in 0..1000 {
            reader.send(format!("GET k{i}\r\n"));
            // Its own reply, and perhaps a push.
            while reader.read() != Value::Nil {
                told += 1;
            }
        }
        let info = client.call("INFO stats").text();
        assert!(info.contains("tracking_total_keys:100\r\n") && info.contains("tracking_total_items:100\r\n"), "{info}");
        for i in 0..1000 {
            client.call(&format!("SET k{i} v"));
        }
        reader.send("ECHO end\r\n");
        while reader.read() != Value::Bulk(b"end".to_vec()) {
            told += 1;
        }
        assert_eq!(told, 1000, "each key once");
        assert!(client.call("INFO stats").text().contains("tracking_total_keys:0\r\n"));
    }

    /// Whoever sends a request after a change was acknowledged hears of the change first.
    fn what_came_before_a_request_is_told_before_its_reply(peer) {
        let server = peer.start();
        let (mut reader, mut client) = (tracker(&server, ""), server.client());
        for i in 0..300 {
            reader.call(&format!("GET k{i}"));
            client.call(&format!("SET k{i} v"));
            reader.send("ECHO end\r\n");
            assert_ne!(reader.read(), Value::Bulk(b"end".to_vec()), "in round {i}");
            assert_eq!(reader.read(), Value::Bulk(b"end".to_vec()));
        }
    }

    /// Popular keys are read without a lock; those who track are told all the same.
    fn no_change_is_missed_while_many_read(peer) {
        let server = peer.start();
        let mut writer = server.client();
        writer.call("SET k 0");
        let stop = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                let mut other = server.client();
                let stop = &stop;
                scope.spawn(move || {
                    while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                        other.send("GET k\r\n".repeat(100));
                        assert_eq!(other.read_many(100).len(), 100);
                    }
                });
            }
            let mut reader = tracker(&server, "");
            for i in 1..500 {
                // A value that was read is told of when it changes.
                let before = reader.call("GET k").text();
                assert_eq!(before, (i - 1).to_string());
                writer.call(&format!("SET k {i}"));
                reader.expect(invalidate("k"));
            }
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
        });
    }
}

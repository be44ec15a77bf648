//! WATCH and UNWATCH: EXEC runs only if no watched key has changed.

use crate::support::{Client, each_engine, same_as_redis};

const ABORTED: &str = "*-1\r\n";

/// Watches `keys`, lets `between` happen, and runs a transaction that sets `out`; returns whether it ran.
fn runs(client: &mut Client, keys: &str, between: impl FnOnce(&mut Client)) -> bool {
    client.check(&format!("WATCH {keys}"), "+OK\r\n");
    between(client);
    client.check("MULTI", "+OK\r\n");
    client.check("SET out 1", "+QUEUED\r\n");
    match client.call("EXEC") {
        crate::support::Value::Nil => false,
        crate::support::Value::Array(items) => {
            assert_eq!(items.len(), 1);
            true
        }
        other => panic!("{other:?}"),
    }
}

same_as_redis! {
    fn exec_runs_when_nothing_changed(peer) {
        let server = peer.start();
        let (mut client, mut other) = (server.client(), server.client());
        client.check("SET k v", "+OK\r\n");
        assert!(runs(&mut client, "k missing", |_| {}));
        assert!(runs(&mut client, "k", |_| other.check("GET k", "$1\r\nv\r\n")));
        assert!(runs(&mut client, "k", |_| other.check("SET unrelated v", "+OK\r\n")));
    }

    fn exec_is_nil_when_a_watched_key_changed(peer) {
        let server = peer.start();
        let (mut client, mut other) = (server.client(), server.client());
        for request in [
            "SET k w", "SET k v", "INCR k", "DEL k", "UNLINK k", "EXPIRE k 100", "PEXPIRE k 0", "RENAME k moved", "MSET a 1 k 2",
            "FLUSHDB", "FLUSHALL", "SET k w EX 100", "SET k w PXAT 1",
        ] {
            other.check("SET k 1", "+OK\r\n");
            assert!(!runs(&mut client, "a k b", |_| assert!(!other.call(request).is_error())), "{request}");
        }
        other.check("SET k 1 EX 100", "+OK\r\n");
        assert!(!runs(&mut client, "k", |_| other.check("PERSIST k", ":1\r\n")));
        other.check("SET k 1", "+OK\r\n");
        other.check("SET moved 1", "+OK\r\n");
        assert!(!runs(&mut client, "k", |_| other.check("RENAME moved k", "+OK\r\n")));
        client.check("EXISTS out", ":0\r\n");
    }

    fn changes_to_collections_count(peer) {
        let server = peer.start();
        let (mut client, mut other) = (server.client(), server.client());
        for (setup, request) in [
            ("RPUSH k a b", "RPUSH k c"),
            ("RPUSH k a b", "LPUSH k c"),
            ("RPUSH k a b", "LPOP k"),
            ("RPUSH k a b", "RPOP k 2"),
            ("SADD k a b", "SADD k c"),
            ("SADD k a b", "SREM k a"),
            ("SADD k a b", "SREM k a b"),
            ("HSET k f v", "HSET k f w"),
            ("HSET k f v", "HSET k g v"),
            ("HSET k f v", "HDEL k f"),
        ] {
            other.call("DEL k");
            other.call(setup);
            assert!(!runs(&mut client, "k", |_| assert!(!other.call(request).is_error())), "{setup} {request}");
        }
    }

    fn commands_that_change_nothing_do_not_count(peer) {
        let server = peer.start();
        let (mut client, mut other) = (server.client(), server.client());
        other.check("SET k 1", "+OK\r\n");
        other.check("SADD s a", ":1\r\n");
        other.check("RPUSH l a", ":1\r\n");
        other.check("HSET h f v", ":1\r\n");
        for request in [
            "SET k v NX", "SET missing v XX", "DEL missing", "EXPIRE missing 100", "EXPIRE k 100 XX", "PERSIST k", "SADD s a",
            "SREM s b", "LPOP missing", "LPOP l 0", "HDEL h g", "LPUSH k a", "INCR l", "SET k v EX 0", "RENAME missing k", "RENAME k k",
            "MGET k s", "EXISTS k", "TTL k", "TYPE k", "DBSIZE", "KEYS *",
        ] {
            let ran = runs(&mut client, "k s l h missing", |_| {
                other.call(request);
            });
            assert!(ran, "{request}");
        }
    }

    fn a_key_that_is_created_counts(peer) {
        let server = peer.start();
        let (mut client, mut other) = (server.client(), server.client());
        assert!(!runs(&mut client, "k", |_| other.check("SET k v", "+OK\r\n")));
        other.check("DEL k", ":1\r\n");
        assert!(!runs(&mut client, "k", |_| {
            other.check("SET k v", "+OK\r\n");
            other.check("DEL k", ":1\r\n");
        }));
        assert!(!runs(&mut client, "k", |_| other.check("RPUSH k v", ":1\r\n")));
    }

    fn changes_of_the_same_client_count(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("SET k v", "+OK\r\n");
        assert!(!runs(&mut client, "k", |client| client.check("SET k w", "+OK\r\n")));
    }

    fn exec_and_discard_forget_what_was_watched(peer) {
        let server = peer.start();
        let (mut client, mut other) = (server.client(), server.client());
        client.check("WATCH k", "+OK\r\n");
        client.check("MULTI", "+OK\r\n");
        client.check("EXEC", "*0\r\n");
        other.check("SET k v", "+OK\r\n");
        assert!(runs(&mut client, "unrelated", |_| {}));
        client.check("WATCH k", "+OK\r\n");
        other.check("SET k v", "+OK\r\n");
        client.check("MULTI", "+OK\r\n");
        client.check("DISCARD", "+OK\r\n");
        assert!(runs(&mut client, "unrelated", |_| {}));
        client.check("WATCH k", "+OK\r\n");
        other.check("SET k v", "+OK\r\n");
        client.check("MULTI", "+OK\r\n");
        client.check("PING", "+QUEUED\r\n");
        client.check("EXEC", ABORTED);
        assert!(runs(&mut client, "unrelated", |_| {}));
    }

    fn unwatch_forgets(peer) {
        let server = peer.start();
        let (mut client, mut other) = (server.client(), server.client());
        client.check("UNWATCH", "+OK\r\n");
        assert!(runs(&mut client, "k", |client| {
            other.check("SET k v", "+OK\r\n");
            client.check("UNWATCH", "+OK\r\n");
        }));
        // An UNWATCH that is queued comes too late.
        client.check("WATCH k", "+OK\r\n");
        other.check("SET k v", "+OK\r\n");
        client.check("MULTI", "+OK\r\n");
        client.check("UNWATCH", "+QUEUED\r\n");
        client.check("EXEC", ABORTED);
    }

    fn watch_is_cumulative_and_may_repeat(peer) {
        let server = peer.start();
        let (mut client, mut other) = (server.client(), server.client());
        client.check("WATCH a a", "+OK\r\n");
        assert!(!runs(&mut client, "b a", |_| other.check("SET a 1", "+OK\r\n")));
        client.check("WATCH a", "+OK\r\n");
        assert!(!runs(&mut client, "b", |_| other.check("SET a 1", "+OK\r\n")));
    }

    fn watch_means_the_key_of_its_database(peer) {
        let server = peer.start();
        let (mut client, mut other) = (server.client(), server.client());
        other.check("SELECT 1", "+OK\r\n");
        assert!(runs(&mut client, "k", |_| other.check("SET k v", "+OK\r\n")));
        // SELECT afterwards does not change what is watched.
        client.check("WATCH k", "+OK\r\n");
        client.check("SELECT 1", "+OK\r\n");
        other.check("SET k v", "+OK\r\n");
        client.check("MULTI", "+OK\r\n");
        client.check("EXEC", "*0\r\n");
        client.check("SELECT 0", "+OK\r\n");
        client.check("WATCH k", "+OK\r\n");
        client.check("SELECT 1", "+OK\r\n");
        other.check("SELECT 0", "+OK\r\n");
        other.check("SET k v", "+OK\r\n");
        client.check("MULTI", "+OK\r\n");
        client.check("EXEC", ABORTED);
    }

    fn flushing_touches_only_keys_that_exist(peer) {
        let server = peer.start();
        let (mut client, mut other) = (server.client(), server.client());
        assert!(runs(&mut client, "missing", |_| other.check("FLUSHALL", "+OK\r\n")));
        other.check("FLUSHALL", "+OK\r\n");
        assert!(runs(&mut client, "missing", |_| other.check("FLUSHDB", "+OK\r\n")));
        other.check("SELECT 1", "+OK\r\n");
        client.check("SET k v", "+OK\r\n");
        assert!(runs(&mut client, "k", |_| other.check("FLUSHDB", "+OK\r\n")));
        client.check("SET k v", "+OK\r\n");
        assert!(!runs(&mut client, "k", |_| other.check("FLUSHALL", "+OK\r\n")));
    }

    fn a_watched_key_that_expires_counts(peer) {
        let server = peer.start();
        let (mut client, mut other) = (server.client(), server.client());
        other.check("SET k v PX 50", "+OK\r\n");
        assert!(!runs(&mut client, "k", |_| while other.call("EXISTS k").int() == 1 {}));
        client.check("EXISTS out", ":0\r\n");
    }

    fn a_key_that_had_expired_before_watch_does_not_count(peer) {
        let server = peer.start();
        let (mut client, mut other) = (server.client(), server.client());
        other.check("SET k v PX 1", "+OK\r\n");
        while other.call("PTTL k").int() != -2 {}
        assert!(runs(&mut client, "k", |_| other.check("EXISTS k", ":0\r\n")));
    }

    fn reset_forgets_what_was_watched(peer) {
        let server = peer.start();
        let (mut client, mut other) = (server.client(), server.client());
        assert!(runs(&mut client, "k", |client| {
            other.check("SET k v", "+OK\r\n");
            client.check("RESET", "+RESET\r\n");
        }));
    }

    fn an_error_while_queueing_comes_before_a_change(peer) {
        let server = peer.start();
        let (mut client, mut other) = (server.client(), server.client());
        client.check("WATCH k", "+OK\r\n");
        other.check("SET k v", "+OK\r\n");
        client.check("MULTI", "+OK\r\n");
        client.check("GET", "-ERR wrong number of arguments for 'get' command\r\n");
        client.check("EXEC", "-EXECABORT Transaction discarded because of previous errors.\r\n");
    }

    fn two_clients_watch_one_key(peer) {
        let server = peer.start();
        let (mut first, mut second) = (server.client(), server.client());
        first.check("WATCH k", "+OK\r\n");
        second.check("WATCH k", "+OK\r\n");
        for client in [&mut first, &mut second] {
            client.check("MULTI", "+OK\r\n");
            client.check("INCR k", "+QUEUED\r\n");
        }
        first.check("EXEC", "*1\r\n:1\r\n");
        second.check("EXEC", ABORTED);
        second.check("GET k", "$1\r\n1\r\n");
    }
}

each_engine! {
    fn watching_many_keys(peer) {
        let server = peer.start();
        let (mut client, mut other) = (server.client(), server.client());
        let keys: Vec<String> = (0..5000).map(|i| format!("key:{i}")).collect();
        let keys = keys.join(" ");
        assert!(runs(&mut client, &keys, |_| other.check("SET key:5000 v", "+OK\r\n")));
        assert!(!runs(&mut client, &keys, |_| other.check("SET key:4999 v", "+OK\r\n")));
    }
}

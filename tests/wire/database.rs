//! Whole databases: FLUSHDB FLUSHALL SWAPDB.

use crate::support::{each_engine, same_as_redis};

const SYNTAX: &str = "-ERR syntax error\r\n";

same_as_redis! {
    fn flush_one_database_or_all(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("SET a 1", "+OK\r\n");
        client.check("SELECT 3", "+OK\r\n");
        client.check("SET b 1", "+OK\r\n");
        client.check("DBSIZE", ":1\r\n");
        client.check("KEYS *", "*1\r\n$1\r\nb\r\n");
        client.check("FLUSHDB", "+OK\r\n");
        client.check("DBSIZE", ":0\r\n");
        client.check("GET b", "$-1\r\n");
        client.check("FLUSHDB ASYNC", "+OK\r\n");
        client.check("FLUSHDB sync", "+OK\r\n");
        client.check("FLUSHDB now", SYNTAX);
        client.check("FLUSHALL now", SYNTAX);
        client.check("FLUSHALL SYNC ASYNC", SYNTAX);
        client.check("SELECT 0", "+OK\r\n");
        client.check("GET a", "$1\r\n1\r\n");
        client.check("SET b 1", "+OK\r\n");
        client.check("SELECT 3", "+OK\r\n");
        client.check("FLUSHALL async", "+OK\r\n");
        client.check("SELECT 0", "+OK\r\n");
        client.check("DBSIZE", ":0\r\n");
        client.check("SET a 2", "+OK\r\n");
        client.check("FLUSHALL SYNC", "+OK\r\n");
        client.check("GET a", "$-1\r\n");
        client.check("DBSIZE x", "-ERR wrong number of arguments for 'dbsize' command\r\n");
    }

    fn two_databases_change_places(peer) {
        let server = peer.start();
        let (mut client, mut other) = (server.client(), server.client());
        other.check("SELECT 5", "+OK\r\n");
        for i in 0..100 {
            client.check(&format!("SET zero:{i} {i}"), "+OK\r\n");
            other.check(&format!("SET five:{i} {i}"), "+OK\r\n");
        }
        other.check("EXPIRE five:1 100", ":1\r\n");
        client.check("SWAPDB 0 5", "+OK\r\n");
        client.check("DBSIZE", ":100\r\n");
        client.check("GET zero:1", "$-1\r\n");
        client.check("GET five:1", "$1\r\n1\r\n");
        client.check("TTL five:1", ":100\r\n");
        other.check("GET zero:99", "$2\r\n99\r\n");
        other.check("SWAPDB 5 5", "+OK\r\n");
        other.check("SWAPDB 5 11", "+OK\r\n");
        other.check("DBSIZE", ":0\r\n");
        other.check("SET new 1", "+OK\r\n");
        other.check("SWAPDB 11 5", "+OK\r\n");
        other.check("DBSIZE", ":100\r\n");
        other.check("SELECT 11", "+OK\r\n");
        other.check("KEYS *", "*1\r\n$3\r\nnew\r\n");
    }

    fn swapdb_refuses_what_is_no_database(peer) {
        let server = peer.start();
        let mut client = server.client();
        const RANGE: &str = "-ERR DB index is out of range\r\n";
        const FIRST: &str = "-ERR invalid first DB index\r\n";
        const SECOND: &str = "-ERR invalid second DB index\r\n";
        for (request, expected) in [
            ("SWAPDB 0 16", RANGE),
            ("SWAPDB 16 0", RANGE),
            ("SWAPDB -1 0", RANGE),
            ("SWAPDB 99 99", RANGE),
            ("SWAPDB x 0", FIRST),
            ("SWAPDB x y", FIRST),
            ("SWAPDB 99 y", SECOND),
            ("SWAPDB 0 \"\"", SECOND),
            ("SWAPDB 0 9223372036854775807", SECOND),
            ("SWAPDB 2147483648 0", FIRST),
            ("SWAPDB 0 2147483647", RANGE),
            ("SWAPDB 0", "-ERR wrong number of arguments for 'swapdb' command\r\n"),
        ] {
            client.check(request, expected);
        }
    }

    fn who_watches_a_key_hears_of_a_swap(peer) {
        let server = peer.start();
        for (setup, watched, is_told) in [
            ("SET k 1", "k", true),
            // There is no such key here, but there is one in the other database.
            ("DEL k", "other", true),
            ("SET k 1", "nowhere", false),
        ] {
            let (mut client, mut swapper) = (server.client(), server.client());
            client.call("FLUSHALL");
            client.call(setup);
            client.check("SELECT 2", "+OK\r\n");
            client.check("SET other 1", "+OK\r\n");
            client.check("SELECT 0", "+OK\r\n");
            client.check(&format!("WATCH {watched}"), "+OK\r\n");
            swapper.check("SWAPDB 2 0", "+OK\r\n");
            client.check("MULTI", "+OK\r\n");
            client.check("PING", "+QUEUED\r\n");
            client.check("EXEC", if is_told { "*-1\r\n" } else { "*1\r\n+PONG\r\n" });
        }
    }

    fn swapdb_in_a_transaction(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("SET a 1", "+OK\r\n");
        for request in ["MULTI", "SWAPDB 0 3", "GET a", "SELECT 3", "GET a", "SWAPDB 3 99"] {
            client.call(request);
        }
        client.check("EXEC", "*5\r\n+OK\r\n$-1\r\n+OK\r\n$1\r\n1\r\n-ERR DB index is out of range\r\n");
    }

    fn whole_databases_beside_single_keys_in_a_transaction(peer) {
        let server = peer.start();
        let mut client = server.client();
        let mut transaction = |requests: &str, replies: &str| {
            client.check("MULTI", "+OK\r\n");
            for request in requests.split(", ") {
                client.check(request, "+QUEUED\r\n");
            }
            client.check("EXEC", replies);
        };
        // Databases that nobody has used before.
        transaction("SELECT 5, SET k v, FLUSHALL, GET k", "*4\r\n+OK\r\n+OK\r\n+OK\r\n$-1\r\n");
        transaction("SET k v, FLUSHDB, SELECT 6, SET k w", "*4\r\n+OK\r\n+OK\r\n+OK\r\n+OK\r\n");
        transaction("SET k v, MOVE k 7, SWAPDB 7 8, SELECT 8, GET k", "*5\r\n+OK\r\n:1\r\n+OK\r\n+OK\r\n$1\r\nv\r\n");
        transaction("SWAPDB 8 7, SELECT 6, SET k w, KEYS *, SELECT 7, DBSIZE", "*6\r\n+OK\r\n+OK\r\n+OK\r\n*1\r\n$1\r\nk\r\n+OK\r\n:1\r\n");
        let text = "# Keyspace\r\ndb6:keys=1,expires=0,avg_ttl=0\r\ndb7:keys=1,expires=0,avg_ttl=0\r\n";
        transaction("SELECT 0, INFO keyspace", &format!("*2\r\n+OK\r\n${}\r\n{text}\r\n", text.len()));
    }
}

each_engine! {
    /// The database of its keys is as whole as if it had been named.
    fn a_swapdb_that_names_nothing_in_a_transaction_with_keys(peer) {
        // Of eight keys, some are in either part.
        let server = peer.start_with(&["--shards", "2"]);
        let mut client = server.client();
        for key in 0..8 {
            let replies = [("x y", "ERR invalid first DB index"), ("98 99", "ERR DB index is out of range")];
            for (databases, error) in replies {
                for request in ["MULTI".to_owned(), format!("SET {key} v"), format!("SWAPDB {databases}")] {
                    client.call(&request);
                }
                client.check("EXEC", format!("*2\r\n+OK\r\n-{error}\r\n"));
            }
        }
        client.check("DBSIZE", ":8\r\n");
    }

    /// Nor is it locked: only those that are in use, or that the commands name.
    fn a_transaction_makes_no_database_that_it_does_not_need(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("SET k v", "+OK\r\n");
        let before = client.info("used_memory");
        for request in ["FLUSHALL", "DBSIZE", "INFO", "SWAPDB 0 0", "SORT l BY w_*"] {
            for request in ["MULTI", request, "EXEC"] {
                client.call(request);
            }
        }
        let after = client.info("used_memory");
        assert!(after < before + 100_000, "{before} grew to {after}");
    }

    /// Keys are due in the database where they are by then, and what was due elsewhere is not forgotten.
    fn keys_expire_after_a_swap(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("SELECT 1", "+OK\r\n");
        client.check("SET stays v", "+OK\r\n");
        client.check("SET later v EX 100", "+OK\r\n");
        client.check("SELECT 0", "+OK\r\n");
        for i in 0..300 {
            client.check(&format!("SET key:{i} v PX {}", 30 + i % 100), "+OK\r\n");
        }
        client.check("SWAPDB 0 1", "+OK\r\n");
        let keyspace = client.call("INFO keyspace").text();
        assert!(keyspace.contains("db0:keys=2,expires=1"), "{keyspace}");
        client.check("SELECT 1", "+OK\r\n");
        // Nobody asks for the keys.
        while client.call("DBSIZE").int() > 0 {}
        client.check("SET new v PX 20", "+OK\r\n");
        client.check("SWAPDB 1 0", "+OK\r\n");
        client.check("DBSIZE", ":2\r\n");
        client.check("PEXPIRE later 1", ":1\r\n");
        while client.call("DBSIZE").int() > 1 {}
        client.check("SELECT 0", "+OK\r\n");
        while client.call("DBSIZE").int() > 0 {}
    }

    /// A walk that goes on in the other database's keys ends, and a new one finds all of them.
    fn scan_works_after_a_swap(peer) {
        let server = peer.start();
        let mut client = server.client();
        for i in 0..1000 {
            client.check(&format!("SET key:{i} v"), "+OK\r\n");
        }
        let cursor = client.call("SCAN 0 COUNT 50").items()[0].text();
        client.check("SWAPDB 0 1", "+OK\r\n");
        client.check(&format!("SCAN {cursor} COUNT 100000"), "*2\r\n$1\r\n0\r\n*0\r\n");
        client.check("SELECT 1", "+OK\r\n");
        let rest = client.call(&format!("SCAN {cursor} COUNT 100000"));
        assert!(rest.items()[0].text() == "0" && rest.items()[1].items().len() > 800);
        let all = client.call("SCAN 0 COUNT 100000");
        assert!(all.items()[0].text() == "0" && all.items()[1].items().len() == 1000);
    }
}

//! Transactions: MULTI EXEC DISCARD. WATCH has its own module.

use crate::support::{each_engine, same_as_redis};

const ABORTED: &str = "-EXECABORT Transaction discarded because of previous errors.\r\n";

same_as_redis! {
    fn queued_commands_run_at_exec(peer) {
        let server = peer.start();
        let (mut client, mut other) = (server.client(), server.client());
        client.check("MULTI", "+OK\r\n");
        client.check("SET k v", "+QUEUED\r\n");
        client.check("INCR n", "+QUEUED\r\n");
        client.check("GET k", "+QUEUED\r\n");
        client.check("PING", "+QUEUED\r\n");
        other.check("EXISTS k n", ":0\r\n");
        client.check("EXEC", "*4\r\n+OK\r\n:1\r\n$1\r\nv\r\n+PONG\r\n");
        other.check("GET k", "$1\r\nv\r\n");
        client.check("EXEC", "-ERR EXEC without MULTI\r\n");
        client.check("GET k", "$1\r\nv\r\n");
    }

    fn an_empty_transaction(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("MULTI", "+OK\r\n");
        client.check("EXEC", "*0\r\n");
    }

    fn errors_while_running_do_not_stop_the_rest(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("MULTI", "+OK\r\n");
        for request in ["SET k word", "INCR k", "LPUSH k a", "SET k v NX XX", "EXPIRE k x", "SET k after"] {
            client.check(request, "+QUEUED\r\n");
        }
        let expected = "*6\r\n+OK\r\n-ERR value is not an integer or out of range\r\n\
            -WRONGTYPE Operation against a key holding the wrong kind of value\r\n-ERR syntax error\r\n\
            -ERR value is not an integer or out of range\r\n+OK\r\n";
        client.check("EXEC", expected);
        client.check("GET k", "$5\r\nafter\r\n");
    }

    fn errors_while_queueing_abort(peer) {
        let server = peer.start();
        let mut client = server.client();
        for (request, error) in [
            ("GET", "-ERR wrong number of arguments for 'get' command\r\n"),
            ("NOSUCHCOMMAND a b", "-ERR unknown command 'NOSUCHCOMMAND', with args beginning with: 'a' 'b' \r\n"),
            ("OBJECT bogus", "-ERR unknown subcommand 'bogus'. Try OBJECT HELP.\r\n"),
        ] {
            client.check("MULTI", "+OK\r\n");
            client.check("SET k v", "+QUEUED\r\n");
            client.check(request, error);
            client.check("SET k w", "+QUEUED\r\n");
            client.check("EXEC", ABORTED);
            client.check("EXISTS k", ":0\r\n");
            client.check("EXEC", "-ERR EXEC without MULTI\r\n");
        }
    }

    fn multi_does_not_nest(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("MULTI", "+OK\r\n");
        client.check("MULTI", "-ERR MULTI calls can not be nested\r\n");
        client.check("SET k v", "+QUEUED\r\n");
        // The refusal alone does not abort.
        client.check("EXEC", "*1\r\n+OK\r\n");
    }

    fn watch_inside_multi_is_refused(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("MULTI", "+OK\r\n");
        client.check("WATCH k", "-ERR WATCH inside MULTI is not allowed\r\n");
        client.check("SET k v", "+QUEUED\r\n");
        client.check("UNWATCH", "+QUEUED\r\n");
        client.check("EXEC", "*2\r\n+OK\r\n+OK\r\n");
    }

    fn discard_forgets_the_queue(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("DISCARD", "-ERR DISCARD without MULTI\r\n");
        client.check("MULTI", "+OK\r\n");
        client.check("SET k v", "+QUEUED\r\n");
        client.check("DISCARD", "+OK\r\n");
        client.check("EXISTS k", ":0\r\n");
        client.check("EXEC", "-ERR EXEC without MULTI\r\n");
        // Also after an error.
        client.check("MULTI", "+OK\r\n");
        client.check("GET", "-ERR wrong number of arguments for 'get' command\r\n");
        client.check("DISCARD", "+OK\r\n");
        client.check("MULTI", "+OK\r\n");
        client.check("SET k v", "+QUEUED\r\n");
        client.check("EXEC", "*1\r\n+OK\r\n");
    }

    fn wrong_numbers_of_arguments(peer) {
        let server = peer.start();
        let mut client = server.client();
        for command in ["multi", "discard", "unwatch"] {
            client.check(&format!("{command} x"), format!("-ERR wrong number of arguments for '{command}' command\r\n"));
        }
        client.check("WATCH", "-ERR wrong number of arguments for 'watch' command\r\n");
        client.check("MULTI", "+OK\r\n");
        client.check("SET k v", "+QUEUED\r\n");
        // A malformed EXEC discards at once.
        let expected = "-EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command\r\n";
        client.check("EXEC now", expected);
        client.check("EXEC", "-ERR EXEC without MULTI\r\n");
        client.check("EXEC now", expected);
        client.check("EXISTS k", ":0\r\n");
    }

    fn select_inside_a_transaction(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("MULTI", "+OK\r\n");
        for request in ["SET k zero", "SELECT 1", "SET k one", "SELECT 99", "GET k", "DBSIZE", "SELECT 2", "DBSIZE"] {
            client.check(request, "+QUEUED\r\n");
        }
        let expected = "*8\r\n+OK\r\n+OK\r\n+OK\r\n-ERR DB index is out of range\r\n$3\r\none\r\n:1\r\n+OK\r\n:0\r\n";
        client.check("EXEC", expected);
        // The transaction's database stays selected.
        client.check("DBSIZE", ":0\r\n");
        client.check("SELECT 0", "+OK\r\n");
        client.check("GET k", "$4\r\nzero\r\n");
        client.check("SELECT 1", "+OK\r\n");
        client.check("GET k", "$3\r\none\r\n");
    }

    fn commands_over_all_keys_inside_a_transaction(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("MSET a 1 b 2", "+OK\r\n");
        client.check("MULTI", "+OK\r\n");
        for request in ["DBSIZE", "FLUSHDB", "DBSIZE", "SET c 3", "KEYS *", "SCAN 0", "FLUSHALL", "EXISTS c", "MSET x 1 y 2", "RENAME x z", "MGET x y z"] {
            client.check(request, "+QUEUED\r\n");
        }
        let expected = "*11\r\n:2\r\n+OK\r\n:0\r\n+OK\r\n*1\r\n$1\r\nc\r\n*2\r\n$1\r\n0\r\n*1\r\n$1\r\nc\r\n+OK\r\n:0\r\n+OK\r\n+OK\r\n\
            *3\r\n$-1\r\n$1\r\n2\r\n$1\r\n1\r\n";
        client.check("EXEC", expected);
    }

    fn a_pipelined_transaction(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.send("SET n 1\r\nMULTI\r\nINCR n\r\nINCR n\r\nEXEC\r\nGET n\r\nMULTI\r\nINCR n\r\nDISCARD\r\nGET n\r\nPING\r\n");
        client.expect("+OK\r\n+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n:2\r\n:3\r\n$1\r\n3\r\n+OK\r\n+QUEUED\r\n+OK\r\n$1\r\n3\r\n+PONG\r\n");
        client.expect_open();
    }

    fn reset_and_disconnecting_forget_a_transaction(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("MULTI", "+OK\r\n");
        client.check("SET k v", "+QUEUED\r\n");
        client.check("RESET", "+RESET\r\n");
        client.check("EXEC", "-ERR EXEC without MULTI\r\n");
        client.check("MULTI", "+OK\r\n");
        client.check("SET k v", "+QUEUED\r\n");
        drop(client);
        let mut client = server.client();
        client.check("EXISTS k", ":0\r\n");
    }

    fn quit_inside_a_transaction_ends_the_connection(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("MULTI", "+OK\r\n");
        client.check("SET k v", "+QUEUED\r\n");
        client.check("QUIT", "+OK\r\n");
        client.expect_closed();
        server.client().check("EXISTS k", ":0\r\n");
    }

    fn a_long_transaction(peer) {
        let server = peer.start();
        let mut client = server.client();
        let mut requests = b"MULTI\r\n".to_vec();
        for i in 0..5000 {
            requests.extend_from_slice(format!("SET key:{i} {i}\r\nINCR key:{i}\r\n").as_bytes());
        }
        requests.extend_from_slice(b"EXEC\r\n");
        client.send(&requests);
        client.expect("+OK\r\n");
        client.expect("+QUEUED\r\n".repeat(10_000));
        client.expect("*10000\r\n");
        for i in 0..5000 {
            client.expect(format!("+OK\r\n:{}\r\n", i + 1));
        }
    }
}

each_engine! {
    /// What `queued_commands_run_at_exec` shows for small replies holds for those that are sent by reference.
    fn large_replies_of_a_transaction(peer) {
        let server = peer.start();
        let mut client = server.client();
        let big = "x".repeat(300_000);
        assert_eq!(client.request(&["SET", "big", &big]).text(), "OK");
        client.send("MULTI\r\nGET big\r\nSET big small\r\nGET big\r\nEXEC\r\nGET big\r\n");
        client.expect("+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*3\r\n$300000\r\n");
        client.expect(&big);
        client.expect("\r\n+OK\r\n$5\r\nsmall\r\n$5\r\nsmall\r\n");
    }
}

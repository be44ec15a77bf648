//! MONITOR.

use crate::support::{Client, each_engine, same_as_redis};

/// The next line without its time.
fn line(monitor: &mut Client, peer: &Client) -> String {
    let line = monitor.read().text();
    let (time, rest) = line.split_once(' ').expect("a time first");
    assert!(time.len() == 17 && time.as_bytes()[10] == b'.', "{line}");
    rest.replace(&peer.local_addr().to_string(), "peer")
}

same_as_redis! {
    fn every_command_is_shown(peer) {
        let server = peer.start();
        let (mut monitor, mut client) = (server.client(), server.client());
        monitor.check("MONITOR", "+OK\r\n");
        client.call("SET k \"a\\x01\\xff\\r\\n\\t\\\"\\\\\\x07\\x08\"");
        assert_eq!(line(&mut monitor, &client), r#"[0 peer] "SET" "k" "a\x01\xff\r\n\t\"\\\a\b""#);
        client.call("select 1");
        assert_eq!(line(&mut monitor, &client), r#"[1 peer] "select" "1""#);
        for request in ["GET", "NOTHING", "CONFIG GET port", "CLIENT LIST"] {
            client.call(request);
        }
        client.call("LPUSH k x");
        assert_eq!(line(&mut monitor, &client), r#"[1 peer] "LPUSH" "k" "x""#);
        client.call("INCR k");
        assert_eq!(line(&mut monitor, &client), r#"[1 peer] "INCR" "k""#);
        client.call("PUBLISH c x");
        assert_eq!(line(&mut monitor, &client), r#"[1 peer] "PUBLISH" "c" "x""#);
        client.send("PING\r\nGET a\r\nGET b\r\nSET c d\r\n");
        for expected in [r#""PING""#, r#""GET" "a""#, r#""GET" "b""#, r#""SET" "c" "d""#] {
            assert_eq!(line(&mut monitor, &client), format!("[1 peer] {expected}"));
        }
    }

    fn who_waits_is_shown_with_what_came_before(peer) {
        let server = peer.start();
        let (mut monitor, mut client) = (server.client(), server.client());
        monitor.check("MONITOR", "+OK\r\n");
        client.send("SET a 1\r\nGET a\r\nBLPOP l 0.01\r\nGET b\r\nXREAD BLOCK 10 STREAMS x 0\r\n");
        for expected in [r#""SET" "a" "1""#, r#""GET" "a""#, r#""BLPOP" "l" "0.01""#, r#""GET" "b""#] {
            assert_eq!(line(&mut monitor, &client), format!("[0 peer] {expected}"));
        }
        assert_eq!(line(&mut monitor, &client), r#"[0 peer] "XREAD" "BLOCK" "10" "STREAMS" "x" "0""#);
        client.expect("+OK\r\n$1\r\n1\r\n*-1\r\n$-1\r\n*-1\r\n");
    }

    fn transactions_are_shown_when_they_run(peer) {
        let server = peer.start();
        let (mut monitor, mut client) = (server.client(), server.client());
        monitor.check("MONITOR", "+OK\r\n");
        client.send("MULTI\r\nSET a 1\r\nSELECT 2\r\nGET a\r\nEXEC\r\n");
        for expected in [r#"[0 peer] "MULTI""#, r#"[0 peer] "SET" "a" "1""#, r#"[2 peer] "SELECT" "2""#] {
            assert_eq!(line(&mut monitor, &client), expected);
        }
        for expected in [r#"[2 peer] "GET" "a""#, r#"[2 peer] "EXEC""#] {
            assert_eq!(line(&mut monitor, &client), expected);
        }
    }

    fn secrets_are_not_shown(peer) {
        let server = peer.start();
        let (mut monitor, mut client) = (server.client(), server.client());
        monitor.check("MONITOR", "+OK\r\n");
        client.call("AUTH secret");
        assert_eq!(line(&mut monitor, &client), r#"[0 peer] "AUTH" "(redacted)""#);
        client.call("AUTH user secret");
        assert_eq!(line(&mut monitor, &client), r#"[0 peer] "AUTH" "(redacted)" "(redacted)""#);
        client.call("HELLO 2 SETNAME me AUTH user secret");
        let expected = r#"[0 peer] "HELLO" "2" "SETNAME" "me" "AUTH" "(redacted)" "(redacted)""#;
        assert_eq!(line(&mut monitor, &client), expected);
        client.call("CONFIG SET requirepass secret");
        client.call("PING");
        assert_eq!(line(&mut monitor, &client), r#"[0 peer] "PING""#);
    }

    fn monitors_reach_no_keys(peer) {
        let server = peer.start();
        let mut monitor = server.client();
        monitor.check("MONITOR", "+OK\r\n");
        for request in ["GET k", "SET k v", "BLPOP l 0", "PUBLISH c m", "FLUSHALL", "XREAD BLOCK 0 STREAMS x $"] {
            monitor.check(request, "-ERR Replica can't interact with the keyspace\r\n");
        }
        monitor.check("RESET", "+RESET\r\n");
        monitor.check("GET k", "$-1\r\n");
    }

    fn an_exec_that_is_refused_is_shown(peer) {
        let server = peer.start();
        let mut monitor = server.client();
        monitor.check("MONITOR", "+OK\r\n");
        let mut client = server.client();
        client.send("SUBSCRIBE c\r\nEXEC\r\n");
        assert_eq!(line(&mut monitor, &client), r#"[0 peer] "SUBSCRIBE" "c""#);
        assert_eq!(line(&mut monitor, &client), r#"[0 peer] "EXEC""#);
    }

    fn whoever_resets_watches_no_more(peer) {
        let server = peer.start();
        let (mut monitor, mut client) = (server.client(), server.client());
        monitor.check("MONITOR", "+OK\r\n");
        // No second reply.
        monitor.send("MONITOR\r\n");
        let list = client.call("CLIENT LIST").text();
        assert!(list.contains(" flags=O "), "{list}");
        monitor.send("RESET\r\n");
        monitor.expect("+RESET\r\n");
        client.call("PING");
        monitor.expect_open();
    }

    fn not_in_a_transaction(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.send("MULTI\r\nMONITOR\r\nEXEC\r\n");
        client.expect("+OK\r\n+QUEUED\r\n*1\r\n-ERR MONITOR isn't allowed for DENY BLOCKING client\r\n");
    }
}

each_engine! {
    fn monitors_in_resp3_get_the_same_lines(peer) {
        let server = peer.start();
        let (mut monitor, mut client) = (server.client(), server.client());
        monitor.call("HELLO 3");
        monitor.check("MONITOR", "+OK\r\n");
        client.call("PING");
        assert_eq!(line(&mut monitor, &client), r#"[0 peer] "PING""#);
    }
}

//! INCREX. What is expected is what Redis 8.8 documents, and Valkey 9.2 for NX and XX.

use crate::support::each_engine;

const SYNTAX: &str = "-ERR syntax error\r\n";
const WRONG_TYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n";

/// The reply for two integers.
fn pair(new: i64, added: i64) -> String {
    format!("*2\r\n:{new}\r\n:{added}\r\n")
}

/// The reply for two floats in RESP2.
fn floats(new: &str, added: &str) -> String {
    format!("*2\r\n${}\r\n{new}\r\n${}\r\n{added}\r\n", new.len(), added.len())
}

each_engine! {
    fn integers_are_added_within_their_bounds(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("INCREX new", pair(1, 1));
        client.check("INCREX new", pair(2, 1));
        client.check("INCREX new SATURATE", pair(3, 1));
        client.check("OBJECT ENCODING new", "$3\r\nint\r\n");
        for (old, arguments, new, added) in [
            (100, "BYINT 5", 105, 5),
            (100, "byint -10", 90, -10),
            (100, "BYINT 0", 100, 0),
            (5, "UBOUND 10 BYINT 5 LBOUND 0", 10, 5),
            (10, "BYINT -10 LBOUND 0", 0, -10),
            // Beyond a bound.
            (10, "BYINT 10 UBOUND 15", 10, 0),
            (10, "BYINT 10 UBOUND 15 SATURATE", 15, 5),
            (10, "BYINT -10 LBOUND 5", 10, 0),
            (10, "LBOUND 5 SATURATE BYINT -10", 5, -5),
            // Beyond it before.
            (50, "BYINT 5 UBOUND 30", 50, 0),
            (50, "BYINT 5 UBOUND 30 SATURATE", 30, -20),
            (50, "BYINT -5 UBOUND 30", 50, 0),
            (50, "BYINT -25 UBOUND 30", 25, -25),
            (10, "BYINT -5 LBOUND 20 SATURATE", 20, 10),
            // Beyond 64 bits.
            (i64::MAX - 7, "BYINT 9223372036854775800", i64::MAX - 7, 0),
            (i64::MAX - 7, "BYINT 9223372036854775800 SATURATE", i64::MAX, 7),
            (i64::MIN + 8, "BYINT -9223372036854775800", i64::MIN + 8, 0),
            (i64::MIN + 8, "BYINT -9223372036854775800 SATURATE", i64::MIN, -8),
            (10, "BYINT 9223372036854775807 UBOUND 100 SATURATE", 100, 90),
            (-10, "BYINT -9223372036854775807 LBOUND -100 SATURATE", -100, -90),
            (i64::MAX, "SATURATE", i64::MAX, 0),
        ] {
            client.check(&format!("SET k {old}"), "+OK\r\n");
            client.check(&format!("INCREX k {arguments}"), pair(new, added));
            assert_eq!(client.call("GET k").text(), new.to_string(), "{old} {arguments}");
        }
        client.check("SET k 9223372036854775800", "+OK\r\n");
        client.check("INCREX k SATURATE UBOUND -9223372036854775808", "-ERR applied increment would overflow\r\n");
        client.check("GET k", "$19\r\n9223372036854775800\r\n");
    }

    fn a_key_is_not_made_of_what_is_refused(peer) {
        let server = peer.start();
        let mut client = server.client();
        for refused in ["BYINT 5 LBOUND 10", "BYINT 5 UBOUND 4 EX 100", "XX", "XX BYINT 7"] {
            client.check(&format!("INCREX k {refused}"), pair(0, 0));
        }
        client.check("INCREX k BYFLOAT -0.5 UBOUND -1.5", floats("0", "0"));
        client.check("INCREX k XX BYFLOAT 1", floats("0", "0"));
        client.check("EXISTS k", ":0\r\n");
        client.check("INCREX k UBOUND 0 SATURATE", pair(0, 0));
        client.check("GET k", "$1\r\n0\r\n");
        client.check("INCREX k NX BYINT 7", pair(0, 0));
        client.check("INCREX k XX BYINT 7", pair(7, 7));
        client.check("INCREX other NX BYINT 7 EX 100", pair(7, 7));
        client.check("TTL other", ":100\r\n");
    }

    fn floats_are_added_within_their_bounds(peer) {
        let server = peer.start();
        let mut client = server.client();
        for (old, arguments, new, added) in [
            ("1.5", "BYFLOAT 0.25", "1.75", "0.25"),
            ("10.5", "BYFLOAT 0.1", "10.6", "0.1"),
            ("10", "BYFLOAT -0", "10", "0"),
            ("10", "BYFLOAT 100 UBOUND 42.5", "10", "0"),
            ("10", "BYFLOAT 100 UBOUND 42.5 SATURATE", "42.5", "32.5"),
            ("0", "BYFLOAT -100 LBOUND -5.5 SATURATE", "-5.5", "-5.5"),
            ("10", "BYFLOAT 2.5 LBOUND -inf UBOUND inf", "12.5", "2.5"),
            ("10", "BYFLOAT 1 LBOUND inf UBOUND inf", "10", "0"),
            ("10", "BYFLOAT 1e4932 UBOUND 100 SATURATE", "100", "90"),
        ] {
            client.check(&format!("SET f {old}"), "+OK\r\n");
            client.check(&format!("INCREX f {arguments}"), floats(new, added));
            assert_eq!(client.call("GET f").text(), new, "{old} {arguments}");
        }
        // Beyond the range of a long double.
        client.check("SET f 1e4932", "+OK\r\n");
        client.check("TTL f", ":-1\r\n");
        let refused = client.call("INCREX f BYFLOAT 1.1e4932 EX 100");
        assert_eq!((refused.items()[0].text().len(), refused.items()[1].text()), (4933, "0".into()));
        client.check("TTL f", ":-1\r\n");
        client.check("GET f", "$6\r\n1e4932\r\n");
        assert!(client.call("INCREX f BYFLOAT 1.1e4932 SATURATE").items()[0].text().starts_with("11897314953572317650212"));
        client.check("INCREX f BYFLOAT 1 LBOUND -inf UBOUND -inf SATURATE", "-ERR applied increment would be Infinity\r\n");
        // A text, as INCRBYFLOAT's; doubles in RESP3.
        client.call("HELLO 3");
        client.check("INCREX new BYFLOAT 2.5", "*2\r\n,2.5\r\n,2.5\r\n");
        client.check("INCREX new BYFLOAT 0.5 UBOUND 1", "*2\r\n,2.5\r\n,0\r\n");
        client.check("INCREX new BYFLOAT 0.5", "*2\r\n,3\r\n,0.5\r\n");
        client.check("OBJECT ENCODING new", "$6\r\nembstr\r\n");
        client.check("INCREX new", "*2\r\n:4\r\n:1\r\n");
        client.check("OBJECT ENCODING new", "$3\r\nint\r\n");
    }

    fn times_to_live_are_set_kept_and_cleared(peer) {
        let server = peer.start();
        let mut client = server.client();
        for (arguments, seconds) in [
            ("EX 100", 100),
            ("", 100),
            ("PX 200000 BYINT 5", 200),
            // Only where there is none.
            ("EX 300 ENX", 200),
            ("EXAT 1 ENX", 200),
            ("BYFLOAT 1 EX 400 ENX", 200),
            ("UBOUND 0 PERSIST", 200),
            ("UBOUND 0 EX 500", 200),
            ("PERSIST", -1),
            ("PERSIST", -1),
            ("ENX EX 600", 600),
            ("BYFLOAT 1 PERSIST", -1),
        ] {
            assert!(!client.call(&format!("INCREX k {arguments}")).is_error());
            client.check("TTL k", format!(":{seconds}\r\n"));
        }
        client.check("INCREX k EXAT 99999999999", pair(15, 1));
        client.check("EXPIRETIME k", ":99999999999\r\n");
        client.check("INCREX k PXAT 99999999999999", pair(16, 1));
        client.check("PEXPIRETIME k", ":99999999999999\r\n");
        client.check("INCREX k EXAT 1", pair(17, 1));
        client.check("INCREX k PXAT 1", pair(1, 1));
        client.check("EXISTS k", ":0\r\n");
    }

    fn mistakes_change_nothing(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("SET n 10 EX 100", "+OK\r\n");
        client.check("SET text abc", "+OK\r\n");
        client.check("SET inf inf", "+OK\r\n");
        client.check("RPUSH l x", ":1\r\n");
        for (arguments, error) in [
            ("", "-ERR wrong number of arguments for 'increx' command\r\n"),
            ("n FOO", SYNTAX),
            ("n BYINT", SYNTAX),
            ("n LBOUND", SYNTAX),
            ("n EX", SYNTAX),
            ("n SAT", SYNTAX),
            ("n BYINT 1 BYFLOAT 1.5", SYNTAX),
            ("n BYINT 1 BYINT 2", SYNTAX),
            ("n LBOUND 0 LBOUND 1", SYNTAX),
            ("n UBOUND 9 UBOUND 8", SYNTAX),
            ("n SATURATE SATURATE", SYNTAX),
            ("n ENX ENX EX 10", SYNTAX),
            ("n PERSIST PERSIST", SYNTAX),
            ("n EX 10 PX 10", SYNTAX),
            ("n EX 10 EX 20", SYNTAX),
            ("n EX 10 PERSIST", SYNTAX),
            ("n PERSIST ENX", SYNTAX),
            ("n NX XX", SYNTAX),
            ("n KEEPTTL", SYNTAX),
            ("n ENX", "-ERR ENX flag requires an expiration\r\n"),
            ("n BYINT 1.5", "-ERR Increment is not an integer or out of range\r\n"),
            ("n BYFLOAT abc", "-ERR Increment is not a valid float\r\n"),
            ("n BYFLOAT nan", "-ERR Increment is not a valid float\r\n"),
            ("n BYFLOAT -inf", "-ERR BYFLOAT increment cannot be Infinity\r\n"),
            ("n LBOUND 1.5", "-ERR LBOUND is not an integer or out of range\r\n"),
            ("n UBOUND inf", "-ERR UBOUND is not an integer or out of range\r\n"),
            ("n BYFLOAT 1 LBOUND x", "-ERR LBOUND is not a valid float\r\n"),
            ("n UBOUND x BYFLOAT 1", "-ERR UBOUND is not a valid float\r\n"),
            ("n LBOUND 10 UBOUND 5", "-ERR LBOUND can't be greater than UBOUND\r\n"),
            ("n BYFLOAT 1 LBOUND inf", "-ERR LBOUND can't be greater than UBOUND\r\n"),
            ("n EX 0", "-ERR invalid expire time in 'increx' command\r\n"),
            ("n PX -1", "-ERR invalid expire time in 'increx' command\r\n"),
            ("n EX 9223372036854775807", "-ERR invalid expire time in 'increx' command\r\n"),
            ("n EX x", "-ERR value is not an integer or out of range\r\n"),
            ("text", "-ERR value is not an integer or out of range\r\n"),
            ("text EXAT 1", "-ERR value is not an integer or out of range\r\n"),
            ("text BYFLOAT 1", "-ERR value is not a valid float\r\n"),
            ("inf BYFLOAT 1", "-ERR value cannot be Infinity\r\n"),
            ("l", WRONG_TYPE),
            ("l EXAT 1", WRONG_TYPE),
            ("l BYFLOAT 1.5", WRONG_TYPE),
        ] {
            client.check(&format!("INCREX {arguments}"), error);
        }
        client.check("MGET n text inf", "*3\r\n$2\r\n10\r\n$3\r\nabc\r\n$3\r\ninf\r\n");
        client.check("TTL n", ":100\r\n");
    }

    fn events_tell_what_has_changed(peer) {
        let server = peer.start();
        let (mut client, mut listener) = (server.client(), server.client());
        client.check("CONFIG SET notify-keyspace-events EA", "+OK\r\n");
        listener.call("PSUBSCRIBE *");
        for (arguments, events) in [
            ("BYINT 5", &["incrby"][..]),
            ("BYFLOAT 0.5 EX 100", &["incrbyfloat", "expire"]),
            ("BYFLOAT 0.5 PERSIST", &["incrbyfloat", "persist"]),
            ("PERSIST", &["incrby"]),
            ("EX 100 ENX", &["incrby", "expire"]),
            ("EX 200 ENX", &["incrby"]),
            ("UBOUND 0", &[]),
            ("EXAT 1", &["del"]),
            ("EXAT 1", &[]),
            ("BYINT 1", &["incrby"]),
        ] {
            assert!(!client.call(&format!("INCREX k {arguments}")).is_error());
            for event in events {
                assert_eq!(listener.read().items()[2].text(), format!("__keyevent@0__:{event}"), "{arguments}");
            }
        }
    }

    fn only_a_change_aborts_a_transaction(peer) {
        let server = peer.start();
        let (mut client, mut other) = (server.client(), server.client());
        for (arguments, is_aborted) in [("UBOUND 0", false), ("", true), ("XX UBOUND 0", false), ("EX 100 ENX", true)] {
            client.check("WATCH k", "+OK\r\n");
            other.call(&format!("INCREX k {arguments}"));
            client.check("MULTI", "+OK\r\n");
            client.check("PING", "+QUEUED\r\n");
            client.check("EXEC", if is_aborted { "*-1\r\n" } else { "*1\r\n+PONG\r\n" });
        }
    }
}

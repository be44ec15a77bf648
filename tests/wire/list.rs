//! Lists: LPUSH RPUSH LPOP RPOP LLEN LRANGE.

use crate::support::same_as_redis;

const NOT_AN_INTEGER: &str = "-ERR value is not an integer or out of range\r\n";
const NOT_POSITIVE: &str = "-ERR value is out of range, must be positive\r\n";
const WRONG_TYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n";

same_as_redis! {
    fn push_and_pop_at_both_ends(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("LPUSH letters b", ":1\r\n");
        client.check("LPUSH letters a", ":2\r\n");
        client.check("RPUSH letters c", ":3\r\n");
        client.check("LPOP letters", "$1\r\na\r\n");
        client.check("RPOP letters", "$1\r\nc\r\n");
        client.check("LPOP letters", "$1\r\nb\r\n");
        client.check("EXISTS letters", ":0\r\n");
        client.check("LPOP letters", "$-1\r\n");
        client.check("RPOP letters", "$-1\r\n");
        client.check("LPUSH l a b c", ":3\r\n");
        client.check("RPUSH l d e", ":5\r\n");
        client.check("LRANGE l 0 -1", "*5\r\n$1\r\nc\r\n$1\r\nb\r\n$1\r\na\r\n$1\r\nd\r\n$1\r\ne\r\n");
        client.check("LPUSH l \"\"", ":6\r\n");
        client.check("LPOP l", "$0\r\n\r\n");
    }

    fn pop_with_a_count(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("LPOP l 1", "*-1\r\n");
        client.check("RPOP l 0", "*-1\r\n");
        client.check("RPUSH l 1 2 3 4 5 6 7", ":7\r\n");
        client.check("LPOP l 0", "*0\r\n");
        client.check("LPOP l 1", "*1\r\n$1\r\n1\r\n");
        client.check("LPOP l 2", "*2\r\n$1\r\n2\r\n$1\r\n3\r\n");
        client.check("RPOP l 2", "*2\r\n$1\r\n7\r\n$1\r\n6\r\n");
        for count in ["-1", "-9223372036854775808", "9223372036854775808", "x", "\"\"", "1.5"] {
            client.check(&format!("LPOP l {count}"), NOT_POSITIVE);
            client.check(&format!("RPOP missing {count}"), NOT_POSITIVE);
        }
        client.check("LLEN l", ":2\r\n");
        client.check("RPOP l 9223372036854775807", "*2\r\n$1\r\n5\r\n$1\r\n4\r\n");
        client.check("EXISTS l", ":0\r\n");
        client.check("LPOP", "-ERR wrong number of arguments for 'lpop' command\r\n");
        client.check("LPOP l 1 1", "-ERR wrong number of arguments for 'lpop' command\r\n");
        client.check("RPOP l 1 1", "-ERR wrong number of arguments for 'rpop' command\r\n");
    }

    fn length_and_ranges(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("LLEN l", ":0\r\n");
        client.check("LRANGE l 0 -1", "*0\r\n");
        client.check("RPUSH l a b c d", ":4\r\n");
        client.check("LLEN l", ":4\r\n");
        let [a, b, c, d] = ["$1\r\na\r\n", "$1\r\nb\r\n", "$1\r\nc\r\n", "$1\r\nd\r\n"];
        for (range, expected) in [
            ("0 -1", &[a, b, c, d][..]),
            ("0 0", &[a]),
            ("1 2", &[b, c]),
            ("-2 -1", &[c, d]),
            ("-100 1", &[a, b]),
            ("2 100", &[c, d]),
            ("2 1", &[]),
            ("4 10", &[]),
            ("-1 -2", &[]),
            ("-9223372036854775808 9223372036854775807", &[a, b, c, d]),
            ("9223372036854775807 -9223372036854775808", &[]),
            ("-9223372036854775808 -9223372036854775808", &[]),
            ("9223372036854775807 9223372036854775807", &[]),
            ("0 -4", &[a]),
            ("0 -5", &[]),
        ] {
            client.check(&format!("LRANGE l {range}"), format!("*{}\r\n{}", expected.len(), expected.concat()));
        }
        for range in ["x 0", "0 x", "\"\" 0", "0 9223372036854775808", "1.0 2"] {
            client.check(&format!("LRANGE l {range}"), NOT_AN_INTEGER);
            client.check(&format!("LRANGE missing {range}"), NOT_AN_INTEGER);
        }
    }

    fn long_lists_keep_their_order(peer) {
        let server = peer.start();
        let mut client = server.client();
        for i in 0..3000 {
            let value = format!("{i:0width$}", width = 4 + i % 90);
            client.send(format!("RPUSH l {value}\r\nLPUSH l -{value}\r\n"));
        }
        for i in 1..=6000 {
            assert_eq!(client.read().int(), i);
        }
        let values = client.call("LRANGE l 0 -1");
        let found: Vec<i64> = values.items().iter().map(|value| value.text().trim_start_matches('-').parse().unwrap()).collect();
        let expected: Vec<i64> = (0..3000).rev().chain(0..3000).collect();
        assert_eq!(found, expected);
        assert_eq!(client.call("LRANGE l 2990 3009").items().len(), 20);
        assert_eq!(client.call("LPOP l 2999").items().len(), 2999);
        assert_eq!(client.call("RPOP l 2999").items().len(), 2999);
        client.check("LRANGE l 0 -1", "*2\r\n$5\r\n-0000\r\n$4\r\n0000\r\n");
    }

    fn large_elements(peer) {
        let server = peer.start();
        let mut client = server.client();
        let big = "x".repeat(100_000);
        assert_eq!(client.request(&["RPUSH", "l", "small", &big, "small"]).int(), 3);
        assert_eq!(client.call("RPOP l").text(), "small");
        assert_eq!(client.call("RPOP l").text(), big);
        client.check("LRANGE l 0 -1", "*1\r\n$5\r\nsmall\r\n");
    }

    fn lists_of_another_type_are_an_error(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("SET k v", "+OK\r\n");
        for request in ["LPUSH k a", "RPUSH k a", "LPOP k", "RPOP k", "LPOP k 1", "LLEN k", "LRANGE k 0 -1"] {
            client.check(request, WRONG_TYPE);
        }
        client.check("GET k", "$1\r\nv\r\n");
        client.check("LPUSH l", "-ERR wrong number of arguments for 'lpush' command\r\n");
        client.check("RPUSH l", "-ERR wrong number of arguments for 'rpush' command\r\n");
        client.check("LLEN", "-ERR wrong number of arguments for 'llen' command\r\n");
        client.check("LRANGE k 0", "-ERR wrong number of arguments for 'lrange' command\r\n");
    }

    fn pushes_keep_the_time_to_live(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("RPUSH l a", ":1\r\n");
        client.check("EXPIRE l 100", ":1\r\n");
        client.check("RPUSH l b", ":2\r\n");
        client.check("LPOP l", "$1\r\na\r\n");
        client.check("TTL l", ":100\r\n");
        client.check("LPOP l", "$1\r\nb\r\n");
        client.check("RPUSH l c", ":1\r\n");
        client.check("TTL l", ":-1\r\n");
    }
}

//! Lists.

use crate::support::{Client, each_engine, same_as_redis};

const NOT_AN_INTEGER: &str = "-ERR value is not an integer or out of range\r\n";
const NOT_POSITIVE: &str = "-ERR value is out of range, must be positive\r\n";
const SYNTAX: &str = "-ERR syntax error\r\n";
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

    fn pushes_onto_lists_that_exist(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("LPUSHX l a", ":0\r\n");
        client.check("RPUSHX l a b", ":0\r\n");
        client.check("EXISTS l", ":0\r\n");
        client.check("RPUSH l m", ":1\r\n");
        client.check("LPUSHX l a b", ":3\r\n");
        client.check("RPUSHX l y z", ":5\r\n");
        assert_eq!(texts(&mut client, "LRANGE l 0 -1"), ["b", "a", "m", "y", "z"]);
    }

    fn elements_by_index(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("RPUSH l a b c", ":3\r\n");
        for (index, expected) in [("0", "a"), ("2", "c"), ("-1", "c"), ("-3", "a")] {
            assert_eq!(client.call(&format!("LINDEX l {index}")).text(), expected);
        }
        for index in ["3", "-4", "9223372036854775807", "-9223372036854775808"] {
            client.check(&format!("LINDEX l {index}"), "$-1\r\n");
            client.check(&format!("LSET l {index} x"), "-ERR index out of range\r\n");
        }
        client.check("LSET l 1 B", "+OK\r\n");
        client.check("LSET l -1 \"\"", "+OK\r\n");
        assert_eq!(texts(&mut client, "LRANGE l 0 -1"), ["a", "B", ""]);
        // The key is looked at before the index.
        client.check("LINDEX missing x", "$-1\r\n");
        client.check("LSET missing x x", "-ERR no such key\r\n");
        client.check("LINDEX l x", NOT_AN_INTEGER);
        client.check("LSET l x x", NOT_AN_INTEGER);
    }

    fn insert_beside_an_element(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("LINSERT l BEFORE a x", ":0\r\n");
        client.check("RPUSH l a b a", ":3\r\n");
        client.check("LINSERT l BEFORE a 1", ":4\r\n");
        client.check("LINSERT l after a 2", ":5\r\n");
        client.check("LINSERT l AFTER nope x", ":-1\r\n");
        client.check("LINSERT l BESIDE a x", SYNTAX);
        client.check("LINSERT missing BESIDE a x", SYNTAX);
        assert_eq!(texts(&mut client, "LRANGE l 0 -1"), ["1", "a", "2", "b", "a"]);
    }

    fn remove_elements_from_either_end(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("RPUSH l x a x b x c x", ":7\r\n");
        client.check("LREM l 1 x", ":1\r\n");
        client.check("LREM l -2 x", ":2\r\n");
        assert_eq!(texts(&mut client, "LRANGE l 0 -1"), ["a", "x", "b", "c"]);
        client.check("LREM l 0 nope", ":0\r\n");
        client.check("LREM l 9223372036854775807 x", ":1\r\n");
        client.check("LREM l -9223372036854775807 x", ":0\r\n");
        client.check("LREM l x x", NOT_AN_INTEGER);
        client.check("LREM missing x x", NOT_AN_INTEGER);
        client.check("LREM l 0 a", ":1\r\n");
        client.check("LREM l 0 b", ":1\r\n");
        client.check("LREM l 0 c", ":1\r\n");
        client.check("EXISTS l", ":0\r\n");
    }

    fn trim_to_a_range(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("LTRIM missing 0 0", "+OK\r\n");
        for (range, expected) in [
            ("1 -2", &["b", "c"][..]),
            ("0 0", &["a"]),
            ("-2 100", &["c", "d"]),
            ("-100 -3", &["a", "b"]),
            ("-9223372036854775808 9223372036854775807", &["a", "b", "c", "d"]),
            ("2 1", &[]),
            ("4 10", &[]),
            ("9223372036854775807 -9223372036854775808", &[]),
        ] {
            client.check("RPUSH l a b c d", ":4\r\n");
            client.check(&format!("LTRIM l {range}"), "+OK\r\n");
            assert_eq!(texts(&mut client, "LRANGE l 0 -1"), expected, "{range}");
            client.check("EXISTS l", if expected.is_empty() { ":0\r\n" } else { ":1\r\n" });
            client.call("DEL l");
        }
        client.check("LTRIM l x 0", NOT_AN_INTEGER);
    }

    fn find_elements(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("RPUSH l a b c 1 2 3 c c", ":8\r\n");
        for (options, expected) in [
            ("", ":2\r\n"),
            ("RANK 2", ":6\r\n"),
            ("RANK -1", ":7\r\n"),
            ("RANK 4", "$-1\r\n"),
            ("COUNT 2", "*2\r\n:2\r\n:6\r\n"),
            ("COUNT 0", "*3\r\n:2\r\n:6\r\n:7\r\n"),
            ("RANK 2 COUNT 0", "*2\r\n:6\r\n:7\r\n"),
            ("RANK -1 COUNT 2", "*2\r\n:7\r\n:6\r\n"),
            ("MAXLEN 2", "$-1\r\n"),
            ("MAXLEN 3", ":2\r\n"),
            ("COUNT 0 MAXLEN 7", "*2\r\n:2\r\n:6\r\n"),
            ("COUNT 0 MAXLEN 1 RANK -1", "*1\r\n:7\r\n"),
            ("COUNT 9223372036854775807 MAXLEN 9223372036854775807", "*3\r\n:2\r\n:6\r\n:7\r\n"),
            ("RANK 9223372036854775807", "$-1\r\n"),
            ("RANK -9223372036854775807 COUNT 0", "*0\r\n"),
            ("RANK 0", "-ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative \
                        to start from the end of the list\r\n"),
            ("RANK x", NOT_AN_INTEGER),
            ("COUNT -1", "-ERR COUNT can't be negative\r\n"),
            ("MAXLEN -1", "-ERR MAXLEN can't be negative\r\n"),
            ("RANK", SYNTAX),
            ("FIRST 1", SYNTAX),
        ] {
            client.check(&format!("LPOS l c {options}"), expected);
        }
        client.check("LPOS missing c", "$-1\r\n");
        client.check("LPOS missing c COUNT 1", "*0\r\n");
    }

    fn move_one_element(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("RPUSH from 1 2 3 4 5", ":5\r\n");
        client.check("LMOVE from to LEFT RIGHT", "$1\r\n1\r\n");
        client.check("LMOVE from to RIGHT LEFT", "$1\r\n5\r\n");
        client.check("lmove from to left left", "$1\r\n2\r\n");
        client.check("RPOPLPUSH from to", "$1\r\n4\r\n");
        assert_eq!(texts(&mut client, "LRANGE to 0 -1"), ["4", "2", "5", "1"]);
        // The last one takes the key with it, the time to live of the other stays.
        client.check("EXPIRE to 100", ":1\r\n");
        client.check("LMOVE from to LEFT LEFT", "$1\r\n3\r\n");
        client.check("EXISTS from", ":0\r\n");
        client.check("TTL to", ":100\r\n");
        client.check("LMOVE from to LEFT LEFT", "$-1\r\n");
        // The same list is rotated, down to a single element.
        client.check("RPOPLPUSH to to", "$1\r\n1\r\n");
        assert_eq!(texts(&mut client, "LRANGE to 0 -1"), ["1", "3", "4", "2", "5"]);
        client.check("RPUSH one x", ":1\r\n");
        client.check("LMOVE one one LEFT RIGHT", "$1\r\nx\r\n");
        client.check("LLEN one", ":1\r\n");
        client.check("LMOVE to one UP LEFT", SYNTAX);
        client.check("LMOVE to one LEFT UP", SYNTAX);
        client.check("SET k v", "+OK\r\n");
        client.check("LMOVE k to LEFT LEFT", WRONG_TYPE);
        client.check("LMOVE to k LEFT LEFT", WRONG_TYPE);
        client.check("RPOPLPUSH missing k", "$-1\r\n");
        client.check("LLEN to", ":5\r\n");
    }

    fn pop_from_the_first_of_several(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("LMPOP 2 a b LEFT", "*-1\r\n");
        client.check("RPUSH b 1 2 3 4", ":4\r\n");
        client.check("LMPOP 2 a b LEFT", "*2\r\n$1\r\nb\r\n*1\r\n$1\r\n1\r\n");
        client.check("LMPOP 2 a b right count 2", "*2\r\n$1\r\nb\r\n*2\r\n$1\r\n4\r\n$1\r\n3\r\n");
        client.check("SET k v", "+OK\r\n");
        client.check("LMPOP 2 k b LEFT", WRONG_TYPE);
        client.check("LMPOP 2 b k LEFT COUNT 9223372036854775807", "*2\r\n$1\r\nb\r\n*1\r\n$1\r\n2\r\n");
        client.check("EXISTS b", ":0\r\n");
        for (arguments, expected) in [
            ("0 b LEFT", "-ERR numkeys should be greater than 0\r\n"),
            ("x b LEFT", "-ERR numkeys should be greater than 0\r\n"),
            ("9223372036854775807 b LEFT", SYNTAX),
            ("18446744073709551615 b LEFT", "-ERR numkeys should be greater than 0\r\n"),
            ("2 b LEFT", SYNTAX),
            ("1 b UP", SYNTAX),
            ("1 b LEFT COUNT 0", "-ERR count should be greater than 0\r\n"),
            ("1 b LEFT COUNT 0 COUNT 1", "-ERR count should be greater than 0\r\n"),
            ("1 b LEFT COUNT 1 COUNT 1", SYNTAX),
            ("1 b LEFT COUNT", SYNTAX),
            ("1 b LEFT FIRST 1", SYNTAX),
        ] {
            client.check(&format!("LMPOP {arguments}"), expected);
        }
        client.call("HELLO 3");
        client.check("LMPOP 1 a LEFT", "_\r\n");
    }

    fn every_list_command_refuses_other_types(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("SET k v", "+OK\r\n");
        for request in [
            "LPUSHX k a", "RPUSHX k a", "LINDEX k 0", "LSET k 0 a", "LINSERT k BEFORE a b", "LREM k 0 a", "LTRIM k 0 0", "LPOS k a",
            "LMPOP 1 k LEFT", "RPOPLPUSH k l",
        ] {
            client.check(request, WRONG_TYPE);
        }
    }

    fn long_lists_are_searched_and_changed_in_one_pass(peer) {
        const LEN: usize = 100_000;
        let server = peer.start();
        let mut client = server.client();
        for chunk in (0..LEN).collect::<Vec<_>>().chunks(1000) {
            let words: Vec<String> = chunk.iter().map(|i| if i % 10 == 0 { "x".into() } else { format!("element:{i}") }).collect();
            client.request(&[vec!["RPUSH".to_owned(), "l".to_owned()], words].concat());
        }
        client.check("LPOS l element:99999", ":99999\r\n");
        client.check("LPOS l element:1 RANK -1", ":1\r\n");
        assert_eq!(client.call("LPOS l x COUNT 0").items().len(), LEN / 10);
        client.check("LINSERT l AFTER element:50001 y", ":100001\r\n");
        client.check("LINDEX l 50002", "$1\r\ny\r\n");
        client.check("LREM l -5 x", ":5\r\n");
        client.check("LREM l 0 x", ":9995\r\n");
        client.check("LREM l 0 y", ":1\r\n");
        client.check("LLEN l", ":90000\r\n");
        assert_eq!(texts(&mut client, "LRANGE l 89998 -1"), ["element:99998", "element:99999"]);
        client.check("LTRIM l 45000 45000", "+OK\r\n");
        assert_eq!(texts(&mut client, "LRANGE l 0 -1"), ["element:50001"]);
    }
}

each_engine! {
    /// As Redis 7.2 and later.
    fn encodings_follow_the_configured_size(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("CONFIG SET list-max-ziplist-size 4", "+OK\r\n");
        assert_eq!(texts(&mut client, "CONFIG GET list-max-listpack-size"), ["list-max-listpack-size", "4"]);
        client.check("RPUSH l 1 2 3 4", ":4\r\n");
        encoding(&mut client, "listpack");
        client.check("RPUSH l 5", ":5\r\n");
        encoding(&mut client, "quicklist");
        client.check("LPOP l 2", "*2\r\n$1\r\n1\r\n$1\r\n2\r\n");
        encoding(&mut client, "quicklist");
        client.check("LTRIM l 0 1", "+OK\r\n");
        encoding(&mut client, "listpack");
        client.check("LINSERT l BEFORE 3 x", ":3\r\n");
        client.check("LMOVE l l LEFT RIGHT", "$1\r\nx\r\n");
        client.check("LSET l 0 y", "+OK\r\n");
        encoding(&mut client, "listpack");
        client.check("CONFIG SET list-max-listpack-size 2", "+OK\r\n");
        encoding(&mut client, "listpack");
        client.check("RPUSHX l z", ":4\r\n");
        encoding(&mut client, "quicklist");
        client.check("CONFIG SET list-max-listpack-size -1", "+OK\r\n");
        // Only what shrinks is looked at, and only one chunk goes back.
        client.check("RPUSH l z", ":5\r\n");
        encoding(&mut client, "quicklist");
        client.check("LREM l 0 z", ":2\r\n");
        encoding(&mut client, "listpack");
        client.check("LREM l 0 z", ":0\r\n");
        for (size, limit) in [(-1, 4096), (-2, 8192), (-3, 16384), (-4, 32768), (-5, 65536)] {
            client.check(&format!("CONFIG SET list-max-listpack-size {size}"), "+OK\r\n");
            for (len, expected) in [(limit - 7, "listpack"), (limit - 6, "quicklist")] {
                client.call("DEL l");
                client.request(&["RPUSH", "l", &"x".repeat(len)]);
                encoding(&mut client, expected);
            }
        }
        client.check("CONFIG SET list-compress-depth 3", "+OK\r\n");
    }

    /// Redis 8.10.
    fn move_several_elements(peer) {
        let server = peer.start();
        let mut client = server.client();
        for (arguments, moved, from, to) in [
            ("LEFT LEFT", &["a"][..], &["b", "c", "d"][..], &["a", "x", "y"][..]),
            ("RIGHT RIGHT", &["d"], &["a", "b", "c"], &["x", "y", "d"]),
            ("LEFT LEFT COUNT 2 OBO", &["b", "a"], &["c", "d"], &["b", "a", "x", "y"]),
            ("LEFT LEFT COUNT 2 BULK", &["a", "b"], &["c", "d"], &["a", "b", "x", "y"]),
            ("left right count 2 obo", &["a", "b"], &["c", "d"], &["x", "y", "a", "b"]),
            ("LEFT RIGHT COUNT 2 BULK", &["a", "b"], &["c", "d"], &["x", "y", "a", "b"]),
            ("RIGHT LEFT EXACTLY 2 OBO", &["c", "d"], &["a", "b"], &["c", "d", "x", "y"]),
            ("RIGHT LEFT EXACTLY 2 BULK", &["c", "d"], &["a", "b"], &["c", "d", "x", "y"]),
            ("RIGHT RIGHT EXACTLY 3 OBO", &["d", "c", "b"], &["a"], &["x", "y", "d", "c", "b"]),
            ("RIGHT RIGHT EXACTLY 3 BULK", &["b", "c", "d"], &["a"], &["x", "y", "b", "c", "d"]),
            ("LEFT RIGHT COUNT 9223372036854775807 BULK", &["a", "b", "c", "d"], &[], &["x", "y", "a", "b", "c", "d"]),
            ("LEFT RIGHT EXACTLY 4 BULK", &["a", "b", "c", "d"], &[], &["x", "y", "a", "b", "c", "d"]),
        ] {
            client.call("DEL from to");
            client.check("RPUSH from a b c d", ":4\r\n");
            client.check("RPUSH to x y", ":2\r\n");
            assert_eq!(texts(&mut client, &format!("LMOVEM from to {arguments}")), moved, "{arguments}");
            assert_eq!(texts(&mut client, "LRANGE from 0 -1"), from, "{arguments}");
            assert_eq!(texts(&mut client, "LRANGE to 0 -1"), to, "{arguments}");
            client.check("EXISTS from", if from.is_empty() { ":0\r\n" } else { ":1\r\n" });
        }
        // The same list: all are popped before one is pushed.
        client.call("DEL from");
        client.check("RPUSH from a b c d", ":4\r\n");
        assert_eq!(texts(&mut client, "LMOVEM from from LEFT LEFT COUNT 2 OBO"), ["b", "a"]);
        assert_eq!(texts(&mut client, "LRANGE from 0 -1"), ["b", "a", "c", "d"]);
        assert_eq!(texts(&mut client, "LMOVEM from from LEFT RIGHT COUNT 9 BULK"), ["b", "a", "c", "d"]);
        assert_eq!(texts(&mut client, "LMOVEM from from LEFT RIGHT COUNT 3 BULK"), ["b", "a", "c"]);
        assert_eq!(texts(&mut client, "LRANGE from 0 -1"), ["d", "b", "a", "c"]);
        // Nothing, and what is no list.
        client.check("SET k v", "+OK\r\n");
        client.check("LMOVEM missing to LEFT RIGHT", "*-1\r\n");
        client.check("LMOVEM missing k LEFT RIGHT COUNT 2 BULK", "*-1\r\n");
        client.check("LMOVEM from k LEFT RIGHT EXACTLY 5 BULK", "*-1\r\n");
        client.check("LMOVEM from k LEFT RIGHT EXACTLY 4 BULK", WRONG_TYPE);
        client.check("LMOVEM k to LEFT RIGHT", WRONG_TYPE);
        client.check("LLEN from", ":4\r\n");
        for count in ["0", "-1", "x", "9223372036854775808"] {
            client.check(&format!("LMOVEM from to LEFT RIGHT COUNT {count} BULK"), "-ERR count should be greater than 0\r\n");
        }
        for arguments in [
            "UP RIGHT", "LEFT UP", "LEFT RIGHT COUNT", "LEFT RIGHT COUNT 2", "LEFT RIGHT COUNT 2 OBO x", "LEFT RIGHT SOME 2 OBO",
            "LEFT RIGHT COUNT 2 SORTED", "LEFT RIGHT OBO",
        ] {
            client.check(&format!("LMOVEM from to {arguments}"), SYNTAX);
        }
        client.check("LMOVEM from to LEFT", "-ERR wrong number of arguments for 'lmovem' command\r\n");
    }

    /// Redis 7.4; 7.0 takes the smallest integer for another one.
    fn the_smallest_integer_cannot_be_negated(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("RPUSH l a", ":1\r\n");
        let range = "-ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807\r\n";
        client.check("LREM l -9223372036854775808 a", range);
        client.check("LPOS l a RANK -9223372036854775808", range);
        client.check("LLEN l", ":1\r\n");
    }
}

fn texts(client: &mut Client, request: &str) -> Vec<String> {
    client.call(request).items().iter().map(|item| item.text()).collect()
}

fn encoding(client: &mut Client, expected: &str) {
    assert_eq!(client.call("OBJECT ENCODING l").text(), expected);
}

//! Sets.

use std::collections::BTreeSet;

use crate::support::{Client, Value, each_engine, same_as_redis};

const SYNTAX: &str = "-ERR syntax error\r\n";
const NOT_AN_INTEGER: &str = "-ERR value is not an integer or out of range\r\n";
const WRONG_TYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n";

same_as_redis! {
    fn add_and_remove_members(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("SADD s a", ":1\r\n");
        client.check("SADD s a", ":0\r\n");
        client.check("SADD s a b c b", ":2\r\n");
        client.check("SCARD s", ":3\r\n");
        client.check("SISMEMBER s a", ":1\r\n");
        client.check("SISMEMBER s A", ":0\r\n");
        client.check("SREM s a x a", ":1\r\n");
        client.check("SISMEMBER s a", ":0\r\n");
        assert_eq!(client.call("SMEMBERS s").sorted(), ["b", "c"]);
        client.check("SREM s b c d", ":2\r\n");
        client.check("EXISTS s", ":0\r\n");
        client.check("SADD s \"\" \"\\0\\r\\n\"", ":2\r\n");
        client.check("SISMEMBER s \"\"", ":1\r\n");
        client.check("SREM s \"\"", ":1\r\n");
        client.check("SMEMBERS s", "*1\r\n$3\r\n\0\r\n\r\n");
    }

    fn missing_sets_are_empty(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("SCARD s", ":0\r\n");
        client.check("SISMEMBER s a", ":0\r\n");
        client.check("SMEMBERS s", "*0\r\n");
        client.check("SREM s a", ":0\r\n");
        client.check("EXISTS s", ":0\r\n");
    }

    fn integers_are_members_as_they_were_written(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("SADD s 3 1 2 1", ":3\r\n");
        client.check("SMEMBERS s", "*3\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n");
        client.check("SISMEMBER s 02", ":0\r\n");
        client.check("SISMEMBER s +2", ":0\r\n");
        client.check("SADD s -9223372036854775808 9223372036854775807 70000 -1", ":4\r\n");
        client.check("SADD s 02 9223372036854775808 -0", ":3\r\n");
        let expected =
            ["-0", "-1", "-9223372036854775808", "02", "1", "2", "3", "70000", "9223372036854775807", "9223372036854775808"];
        assert_eq!(client.call("SMEMBERS s").sorted(), expected);
        client.check("SREM s 2 02", ":2\r\n");
        client.check("SCARD s", ":8\r\n");
    }

    fn sets_of_every_size(peer) {
        let server = peer.start();
        let mut client = server.client();
        // Across the thresholds of the compact encodings: 128 members, 512 integers, 64 bytes.
        for (key, prefix) in [("integers", ""), ("words", "w"), ("long", "a-member-of-more-than-sixty-four-bytes-which-no-compact-encoding-takes-")] {
            for i in 0..700 {
                client.send(format!("SADD {key} {prefix}{i}\r\nSADD {key} {prefix}{}\r\nSCARD {key}\r\n", i / 2));
            }
            for i in 0..700 {
                assert_eq!(client.read().int(), 1);
                assert_eq!(client.read().int(), 0);
                assert_eq!(client.read().int(), i + 1);
            }
            let mut expected: Vec<String> = (0..700).map(|i| format!("{prefix}{i}")).collect();
            expected.sort();
            assert_eq!(client.call(&format!("SMEMBERS {key}")).sorted(), expected);
            for i in 0..700 {
                assert_eq!(client.call(&format!("SREM {key} {prefix}{i}")).int(), 1);
                assert_eq!(client.call(&format!("SISMEMBER {key} {prefix}{i}")).int(), 0);
            }
            assert_eq!(client.call(&format!("EXISTS {key}")).int(), 0);
        }
    }

    fn sets_of_another_type_are_an_error(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("SET k v", "+OK\r\n");
        for request in ["SADD k a", "SREM k a", "SISMEMBER k a", "SMEMBERS k", "SCARD k"] {
            client.check(request, WRONG_TYPE);
        }
        for command in ["sadd", "srem", "sismember"] {
            client.check(&format!("{command} s"), format!("-ERR wrong number of arguments for '{command}' command\r\n"));
        }
        client.check("SISMEMBER s a b", "-ERR wrong number of arguments for 'sismember' command\r\n");
        client.check("SMEMBERS s a", "-ERR wrong number of arguments for 'smembers' command\r\n");
        client.check("SCARD", "-ERR wrong number of arguments for 'scard' command\r\n");
    }

    fn membership_of_many(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("SMISMEMBER s a b", "*2\r\n:0\r\n:0\r\n");
        client.check("SADD s a c", ":2\r\n");
        client.check("SMISMEMBER s a b c a", "*4\r\n:1\r\n:0\r\n:1\r\n:1\r\n");
        client.check("SET k v", "+OK\r\n");
        client.check("SMISMEMBER k a", WRONG_TYPE);
    }

    fn members_are_moved(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("SADD from a b", ":2\r\n");
        client.check("SMOVE from to a", ":1\r\n");
        client.check("SMOVE from to a", ":0\r\n");
        client.check("SADD from a", ":1\r\n");
        client.check("SMOVE from to a", ":1\r\n");
        client.check("SMOVE from from b", ":1\r\n");
        client.check("SMOVE from from x", ":0\r\n");
        client.check("SMOVE from to b", ":1\r\n");
        client.check("EXISTS from", ":0\r\n");
        assert_eq!(client.call("SMEMBERS to").sorted(), ["a", "b"]);
        client.check("SET k v", "+OK\r\n");
        client.check("SMOVE missing k a", ":0\r\n");
        client.check("SMOVE to k a", WRONG_TYPE);
        client.check("SMOVE k to a", WRONG_TYPE);
        client.check("SCARD to", ":2\r\n");
    }

    fn operations_on_sets_of_every_encoding(peer) {
        let server = peer.start();
        let mut client = server.client();
        let add = |client: &mut Client, key: &str, members: Vec<String>| {
            client.request(&[vec!["SADD".to_owned(), key.to_owned()], members].concat());
        };
        let numbers = |range: std::ops::Range<i32>| range.map(|i| i.to_string()).collect::<Vec<_>>();
        // Integers in an intset and in a table, and words in all that Kiba has.
        add(&mut client, "few", numbers(0..10));
        add(&mut client, "many", numbers(5..1000));
        add(&mut client, "words", [numbers(8..12), vec!["x".into(), "y".into()]].concat());
        add(&mut client, "table", (0..300).map(|i| format!("w{i}")).chain(numbers(9..11)).collect());
        let mut sets = std::collections::BTreeMap::new();
        for key in ["few", "many", "words", "table", "missing"] {
            sets.insert(key, members(&mut client, &format!("SMEMBERS {key}")));
        }
        for keys in [
            &["few", "many"][..], &["many", "few"], &["words", "few"], &["few", "words", "many"], &["table", "words"],
            &["words", "table"], &["table", "many", "few"], &["few", "missing"], &["missing", "few"], &["many", "many"],
            &["few", "words", "words", "words", "words", "words"], &["many", "few", "words", "table", "missing", "few"],
        ] {
            for (command, combine) in [
                ("SINTER", (|a, b| a & b) as fn(&BTreeSet<String>, &BTreeSet<String>) -> BTreeSet<String>),
                ("SUNION", |a, b| a | b),
                ("SDIFF", |a, b| a - b),
            ] {
                let expected = keys[1..].iter().fold(sets[keys[0]].clone(), |result, key| combine(&result, &sets[key]));
                let keys = keys.join(" ");
                assert_eq!(members(&mut client, &format!("{command} {keys}")), expected, "{command} {keys}");
                assert_eq!(client.call(&format!("{command}STORE to {keys}")).int() as usize, expected.len());
                assert_eq!(members(&mut client, "SMEMBERS to"), expected, "{command}STORE {keys}");
                if command == "SINTER" {
                    let count = keys.split(' ').count();
                    assert_eq!(client.call(&format!("SINTERCARD {count} {keys}")).int() as usize, expected.len());
                    let limited = client.call(&format!("SINTERCARD {count} {keys} LIMIT 3")).int() as usize;
                    assert_eq!(limited, expected.len().min(3));
                }
            }
        }
    }

    fn a_stored_result_replaces_whatever_was_there(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("SADD a 1 2 3", ":3\r\n");
        client.check("SADD b 3 4", ":2\r\n");
        client.check("SET to text EX 100", "+OK\r\n");
        client.check("SINTERSTORE to a b", ":1\r\n");
        client.check("TTL to", ":-1\r\n");
        client.check("SUNIONSTORE a a b", ":4\r\n");
        client.check("SMEMBERS a", "*4\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n$1\r\n4\r\n");
        client.check("SDIFFSTORE a a b", ":2\r\n");
        client.check("SET k v", "+OK\r\n");
        // The destination may be of any type, the others may not, even when the result is empty anyway.
        client.check("SINTERSTORE k a b", ":0\r\n");
        client.check("EXISTS k", ":0\r\n");
        client.check("SET k v", "+OK\r\n");
        for command in ["SINTERSTORE", "SUNIONSTORE", "SDIFFSTORE"] {
            client.check(&format!("{command} to missing k"), WRONG_TYPE);
            client.check(&format!("{command} to"), format!("-ERR wrong number of arguments for '{}' command\r\n", command.to_lowercase()));
        }
        client.check("SCARD to", ":1\r\n");
        client.check("SDIFFSTORE to missing a", ":0\r\n");
        client.check("EXISTS to", ":0\r\n");
    }

    fn expired_sets_are_empty(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("SADD a 1 2 3", ":3\r\n");
        client.check("SADD b 2 3 4", ":3\r\n");
        client.check("PEXPIRE a 1", ":1\r\n");
        std::thread::sleep(std::time::Duration::from_millis(10));
        client.check("SINTERSTORE to a b", ":0\r\n");
        client.check("SUNIONSTORE to a b", ":3\r\n");
        client.check("SMOVE a b 1", ":0\r\n");
        client.check("SDIFF a b", "*0\r\n");
    }

    fn members_popped_at_random(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("SPOP s", "$-1\r\n");
        client.check("SPOP s 3", "*0\r\n");
        for (key, prefix) in [("numbers", ""), ("words", "w")] {
            let all: BTreeSet<String> = (0..1000).map(|i| format!("{prefix}{i}")).collect();
            // One, few, most of what is there, and more than is there; and from small sets as well.
            for counts in [&[1, 10, 900, 80, 100][..], &[985, 5, 4, 9], &[2000]] {
                let words: Vec<String> = all.iter().cloned().collect();
                client.request(&[vec!["SADD".to_owned(), key.to_owned()], words].concat());
                client.call(&format!("EXPIRE {key} 100"));
                let mut left = all.clone();
                for count in counts {
                    let popped = members(&mut client, &format!("SPOP {key} {count}"));
                    assert_eq!(popped.len(), left.len().min(*count));
                    assert!(popped.iter().all(|member| left.remove(member)));
                    assert_eq!(members(&mut client, &format!("SMEMBERS {key}")), left);
                    client.check(&format!("TTL {key}"), if left.is_empty() { ":-2\r\n" } else { ":100\r\n" });
                }
                client.check(&format!("EXISTS {key}"), ":0\r\n");
            }
        }
        client.check("SADD s 1 2 3 4 5", ":5\r\n");
        let mut popped: Vec<String> = (0..5).map(|_| client.call("SPOP s").text()).collect();
        popped.sort();
        assert_eq!(popped, ["1", "2", "3", "4", "5"]);
        client.check("EXISTS s", ":0\r\n");
        client.check("SET k v", "+OK\r\n");
        client.check("SPOP k", WRONG_TYPE);
        client.check("SPOP k 0", WRONG_TYPE);
        client.check("SPOP s 0", "*0\r\n");
        client.check("SPOP s 1 1", SYNTAX);
        for count in ["-1", "x", "9223372036854775808", "-9223372036854775808"] {
            client.check(&format!("SPOP s {count}"), "-ERR value is out of range, must be positive\r\n");
        }
    }

    fn members_drawn_at_random(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("SRANDMEMBER s", "$-1\r\n");
        client.check("SRANDMEMBER s 3", "*0\r\n");
        client.check("SRANDMEMBER s -9223372036854775807", "*0\r\n");
        for (key, prefix, size) in [("numbers", "", 100), ("pack", "w", 100), ("table", "w", 1000)] {
            let all: Vec<String> = (0..size).map(|i| format!("{prefix}{i}")).collect();
            client.request(&[vec!["SADD".to_owned(), key.to_owned()], all.clone()].concat());
            let all: BTreeSet<String> = all.into_iter().collect();
            assert!(all.contains(&client.call(&format!("SRANDMEMBER {key}")).text()));
            for count in [1, 5, size / 2, size - 1, size, size + 1] {
                let drawn = members(&mut client, &format!("SRANDMEMBER {key} {count}"));
                assert_eq!(drawn.len(), count.min(size), "{key} {count}");
                assert!(drawn.is_subset(&all));
            }
            let drawn = client.call(&format!("SRANDMEMBER {key} -{}", 20 * size));
            let drawn: Vec<String> = drawn.items().iter().map(|item| item.text()).collect();
            assert_eq!(drawn.len(), 20 * size);
            // Of 20 draws for each, hardly one is missing.
            assert!(drawn.into_iter().collect::<BTreeSet<_>>().len() > size * 99 / 100);
            assert_eq!(client.call(&format!("SCARD {key}")).int() as usize, size);
        }
        client.check("SRANDMEMBER table 0", "*0\r\n");
        client.check("SRANDMEMBER table x", NOT_AN_INTEGER);
        client.check("SRANDMEMBER table 1 1", SYNTAX);
        let range = "-ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807\r\n";
        client.check("SRANDMEMBER table -9223372036854775808", range);
        assert_eq!(client.call("SRANDMEMBER table 9223372036854775807").items().len(), 1000);
    }

    fn scans_return_every_member(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("SSCAN s 0", "*2\r\n$1\r\n0\r\n*0\r\n");
        client.check("SADD i 3 1 2", ":3\r\n");
        client.check("SSCAN i 0", "*2\r\n$1\r\n0\r\n*3\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n");
        client.check("SSCAN i 0 MATCH [13] COUNT 1", "*2\r\n$1\r\n0\r\n*2\r\n$1\r\n1\r\n$1\r\n3\r\n");
        let all: Vec<String> = (0..2000).map(|i| format!("member:{i}")).collect();
        client.request(&[vec!["SADD".to_owned(), "s".to_owned()], all.clone()].concat());
        for (options, expected) in [("", 2000), ("COUNT 100", 2000), ("MATCH *7 COUNT 50", 200), ("COUNT 9223372036854775807", 2000)] {
            let (mut cursor, mut found) = ("0".to_owned(), Vec::new());
            loop {
                let reply = client.call(&format!("SSCAN s {cursor} {options}"));
                found.extend(reply.items()[1].items().iter().map(|item| item.text()));
                cursor = reply.items()[0].text();
                if cursor == "0" {
                    break;
                }
            }
            assert_eq!((found.len(), found.into_iter().collect::<BTreeSet<_>>().len()), (expected, expected), "{options}");
        }
        client.check("SSCAN s 0 COUNT 0", SYNTAX);
        client.check("SSCAN s 0 COUNT x", NOT_AN_INTEGER);
        client.check("SSCAN s 0 MATCH", SYNTAX);
        client.check("SSCAN s 0 TYPE set", SYNTAX);
        client.check("SSCAN s x COUNT 0", "-ERR invalid cursor\r\n");
        // The key is looked at before the options.
        client.check("SSCAN missing 0 COUNT 0", "*2\r\n$1\r\n0\r\n*0\r\n");
        client.check("SET k v", "+OK\r\n");
        client.check("SSCAN k 0 COUNT 0", WRONG_TYPE);
    }

    fn replies_in_resp3(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.call("HELLO 3");
        client.check("SADD s a", ":1\r\n");
        for command in ["SINTER s s", "SUNION s", "SDIFF s missing", "SMEMBERS s"] {
            client.check(command, "~1\r\n$1\r\na\r\n");
        }
        client.check("SINTER missing", "~0\r\n");
        client.check("SRANDMEMBER s", "$1\r\na\r\n");
        client.check("SRANDMEMBER s 1", "*1\r\n$1\r\na\r\n");
        client.check("SRANDMEMBER s 5", "*1\r\n$1\r\na\r\n");
        client.check("SRANDMEMBER s -2", "*2\r\n$1\r\na\r\n$1\r\na\r\n");
        client.check("SRANDMEMBER missing 2", "*0\r\n");
        client.check("SRANDMEMBER missing", "_\r\n");
        client.check("SMISMEMBER s a b", "*2\r\n:1\r\n:0\r\n");
        client.check("SPOP s 0", "~0\r\n");
        client.check("SPOP s 1", "~1\r\n$1\r\na\r\n");
        client.check("SPOP s 1", "~0\r\n");
        client.check("SPOP s", "_\r\n");
    }
}

each_engine! {
    /// Redis 8.10.
    fn sizes_of_unions_and_differences(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("SADD a 1 2 3 x", ":4\r\n");
        client.check("SADD b 3 4 x y", ":4\r\n");
        for (request, expected) in [
            ("SUNIONCARD 2 a b", 6),
            ("SUNIONCARD 2 a b LIMIT 3", 3),
            ("SUNIONCARD 2 a b LIMIT 0", 6),
            ("SUNIONCARD 2 a b APPROX", 6),
            ("SUNIONCARD 2 a b approx limit 9223372036854775807", 6),
            ("SUNIONCARD 2 a missing", 4),
            ("SUNIONCARD 1 missing", 0),
            ("SDIFFCARD 2 a b", 2),
            ("SDIFFCARD 2 a b LIMIT 1", 1),
            ("SDIFFCARD 2 missing a", 0),
            ("SDIFFCARD 3 a missing missing", 4),
            ("SDIFFCARD 2 a a", 0),
        ] {
            client.check(request, format!(":{expected}\r\n"));
        }
        client.check("SET k v", "+OK\r\n");
        client.check("SUNIONCARD 2 a k", WRONG_TYPE);
        client.check("SDIFFCARD 2 missing k", WRONG_TYPE);
        client.check("SDIFFCARD 2 a b APPROX", SYNTAX);
        for command in ["SUNIONCARD", "SDIFFCARD", "SINTERCARD"] {
            client.check(&format!("{command} 0 a"), "-ERR numkeys should be greater than 0\r\n");
            client.check(&format!("{command} 2 a"), "-ERR Number of keys can't be greater than number of args\r\n");
            client.check(&format!("{command} 1 a LIMIT -1"), "-ERR LIMIT can't be negative\r\n");
            client.check(&format!("{command} 1 a LIMIT"), SYNTAX);
            client.check(&format!("{command} 1 a b"), SYNTAX);
        }
    }

    /// As Redis 7.2 and later.
    fn encodings_follow_the_configured_limits(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("CONFIG SET set-max-intset-entries 4 set-max-listpack-entries 3 set-max-listpack-value 5", "+OK\r\n");
        let mut encoding = |requests: &str, expected: &str| {
            client.call("DEL s");
            for request in requests.split("; ") {
                assert!(!client.call(request).is_error(), "{request}");
            }
            assert_eq!(client.call("OBJECT ENCODING s").text(), expected, "{requests}");
        };
        encoding("SADD s 1 2 3 4", "intset");
        encoding("SADD s 1 2 3 4 5", "hashtable");
        encoding("SADD s 1; SADD s 2 3 4; SADD s 5", "hashtable");
        encoding("SADD s a 1 2", "listpack");
        encoding("SADD s a 1 2 3", "hashtable");
        encoding("SADD s 1 2; SADD s a", "listpack");
        encoding("SADD s 1 2 3; SADD s a", "hashtable");
        encoding("SADD s 12345; SADD s a", "listpack");
        encoding("SADD s 123456; SADD s a", "hashtable");
        encoding("SADD s abcde", "listpack");
        encoding("SADD s abcdef", "hashtable");
        // Announcing more than fit is enough.
        encoding("SADD s a; SADD s a a a a", "hashtable");
        encoding("SADD s 1; SADD s 1 1 1 1 1", "hashtable");
        // Never back.
        encoding("SADD s 1 2 3 4 5; SREM s 3 4 5", "hashtable");
        encoding("SADD s a b 1; SREM s a b", "listpack");
        encoding("SMOVE missing s x; SADD t 7; SMOVE t s 7", "intset");
        encoding("SADD t x; SMOVE t s x", "listpack");
        encoding("DEL a b; SADD a 1 2 3; SADD b 3 x y; SINTERSTORE s a b", "intset");
        encoding("SINTERSTORE s b b", "listpack");
        encoding("SUNIONSTORE s a", "intset");
        encoding("SUNIONSTORE s a b", "hashtable");
        encoding("SDIFFSTORE s a b", "intset");
        encoding("SDIFFSTORE s b a", "listpack");
        encoding("DEL a b; SADD a a b c d e f g h i j k l; SADD s a; SDIFFSTORE s a b", "hashtable");
        // What stays of a table becomes a small set again when nearly all is popped.
        encoding("DEL s; SUNIONSTORE s a; SPOP s 9", "hashtable");
        encoding("SUNIONSTORE s a; SPOP s 10", "listpack");
    }

    fn a_count_beyond_the_output_limit_ends_the_connection_at_once(peer) {
        let server = peer.start();
        let mut client = server.client();
        let before = server.resident_bytes();
        client.check("SADD s a b", ":2\r\n");
        for count in ["-9223372036854775807", "-1000000000", "-50000000"] {
            let mut greedy = server.client();
            greedy.send(format!("SRANDMEMBER s {count}\r\n"));
            greedy.expect_closed();
            client.check("PING", "+PONG\r\n");
        }
        let mut greedy = server.client();
        greedy.check("MULTI", "+OK\r\n");
        greedy.check("SRANDMEMBER s -9223372036854775807", "+QUEUED\r\n");
        greedy.send("EXEC\r\n");
        greedy.expect_closed();
        assert!(server.resident_bytes_max() < before + (64 << 20));
        // An unlimited output is no reason to believe a number.
        client.check("CONFIG SET client-output-buffer-limit \"normal 0 0 0\"", "+OK\r\n");
        let mut greedy = server.client();
        greedy.send("SRANDMEMBER s -1000000000000\r\n");
        greedy.expect_closed();
        assert_eq!(client.call("SRANDMEMBER s -100000").items().len(), 100_000);
    }
}

/// The members in a reply, none of them twice.
fn members(client: &mut Client, request: &str) -> BTreeSet<String> {
    let reply = client.call(request);
    let Value::Array(items) = &reply else { panic!("{request}: {reply:?}") };
    let members: BTreeSet<String> = items.iter().map(|item| item.text()).collect();
    assert_eq!(members.len(), items.len(), "{request}: {reply:?}");
    members
}

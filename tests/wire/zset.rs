//! Sorted sets. What one request answers is in `oracle.txt`; here is what needs more than one, RESP3, and what is newer
//! than Redis 7.0.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::{Client, Value, each_engine, same_as_redis};

/// The strings of an array reply.
fn strings(value: Value) -> Vec<String> {
    value.items().iter().map(Value::text).collect()
}

/// Members with their scores, of a flat array.
fn pairs(value: Value) -> Vec<(String, f64)> {
    let flat = strings(value);
    flat.chunks(2).map(|pair| (pair[0].clone(), pair[1].parse().expect("a score"))).collect()
}

/// A full ZSCAN.
fn scan(client: &mut Client, key: &str, count: usize) -> Vec<(String, f64)> {
    let (mut cursor, mut found) = (String::from("0"), Vec::new());
    loop {
        let reply = client.call(&format!("ZSCAN {key} {cursor} COUNT {count}"));
        let Value::Array(mut parts) = reply else { panic!("an array") };
        found.extend(pairs(parts.pop().expect("two parts")));
        cursor = parts[0].text();
        if cursor == "0" {
            return found;
        }
    }
}

same_as_redis! {
    fn resp3_has_doubles_and_pairs(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.call("HELLO 3");
        client.check("ZADD z 1 a 2.5 b inf c", ":3\r\n");
        client.check("ZADD z INCR 1 a", ",2\r\n");
        client.check("ZADD z NX INCR 1 a", "_\r\n");
        client.check("ZINCRBY z -0.5 b", ",2\r\n");
        client.check("ZSCORE z a", ",2\r\n");
        client.check("ZSCORE z c", ",inf\r\n");
        client.check("ZSCORE z x", "_\r\n");
        client.check("ZMSCORE z a x", "*2\r\n,2\r\n_\r\n");
        client.check("ZRANK z x", "_\r\n");
        client.check("ZRANGE z 0 0", "*1\r\n$1\r\na\r\n");
        client.check("ZRANGE z 0 1 WITHSCORES", "*2\r\n*2\r\n$1\r\na\r\n,2\r\n*2\r\n$1\r\nb\r\n,2\r\n");
        client.check("ZREVRANGEBYSCORE z inf (2 WITHSCORES", "*1\r\n*2\r\n$1\r\nc\r\n,inf\r\n");
        client.check("ZRANGE missing 0 1 WITHSCORES", "*0\r\n");
        client.check("ZUNION 1 z WITHSCORES", "*3\r\n*2\r\n$1\r\na\r\n,2\r\n*2\r\n$1\r\nb\r\n,2\r\n*2\r\n$1\r\nc\r\n,inf\r\n");
        client.check("ZINTER 1 z", "*3\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n");
        client.check("ZSCAN z 0 MATCH a", "*2\r\n$1\r\n0\r\n*2\r\n$1\r\na\r\n$1\r\n2\r\n");
        client.check("ZPOPMIN z", "*2\r\n$1\r\na\r\n,2\r\n");
        client.check("ZPOPMAX z 1", "*1\r\n*2\r\n$1\r\nc\r\n,inf\r\n");
        client.check("ZRANDMEMBER z", "$1\r\nb\r\n");
        client.check("ZRANDMEMBER z 5", "*1\r\n$1\r\nb\r\n");
        client.check("ZRANDMEMBER z 5 WITHSCORES", "*1\r\n*2\r\n$1\r\nb\r\n,2\r\n");
        client.check("ZPOPMAX z 0", "*0\r\n");
        client.check("ZMPOP 2 missing z MIN", "*2\r\n$1\r\nz\r\n*1\r\n*2\r\n$1\r\nb\r\n,2\r\n");
        client.check("ZMPOP 1 z MIN", "_\r\n");
        client.check("ZPOPMIN z", "*0\r\n");
        client.check("EXISTS z", ":0\r\n");
    }

    fn sets_of_every_size_are_in_order(peer) {
        let server = peer.start();
        let mut client = server.client();
        // Across the thresholds of the compact encoding: 128 members, 64 bytes.
        for (key, prefix) in [("z", "m"), ("long", "a-member-of-more-than-sixty-four-bytes-which-no-compact-encoding-takes-")] {
            let mut model = BTreeMap::new();
            for i in 0..600_i32 {
                let (member, score) = (format!("{prefix}{}", i * 37 % 400), i * 101 % 97 - 40);
                let is_new = model.insert(member.clone(), f64::from(score)).is_none();
                client.check(&format!("ZADD {key} {score} {member}"), format!(":{}\r\n", i32::from(is_new)));
            }
            let mut expected: Vec<(String, f64)> = model.clone().into_iter().collect();
            expected.sort_by(|a, b| a.1.total_cmp(&b.1).then_with(|| a.0.cmp(&b.0)));
            assert_eq!(pairs(client.call(&format!("ZRANGE {key} 0 -1 WITHSCORES"))), expected);
            let (members, _): (Vec<_>, Vec<_>) = expected.iter().cloned().unzip();
            let mut reversed = members.clone();
            reversed.reverse();
            assert_eq!(strings(client.call(&format!("ZREVRANGE {key} 0 -1"))), reversed);
            assert_eq!(strings(client.call(&format!("ZRANGE {key} 100 199"))), members[100..200]);
            assert_eq!(strings(client.call(&format!("ZREVRANGE {key} 100 199"))), reversed[100..200]);
            for rank in (0..400).step_by(13) {
                assert_eq!(client.call(&format!("ZRANK {key} {}", members[rank])).int(), rank as i64);
                assert_eq!(client.call(&format!("ZREVRANK {key} {}", members[rank])).int(), 399 - rank as i64);
            }
            for (min, max) in [(-40, 0), (0, 0), (-5, 20), (30, 100), (5, -5)] {
                let within = |score: f64| score >= f64::from(min) && score <= f64::from(max);
                let found: Vec<_> = expected.iter().filter(|item| within(item.1)).map(|item| item.0.clone()).collect();
                assert_eq!(client.call(&format!("ZCOUNT {key} {min} {max}")).int(), found.len() as i64);
                assert_eq!(strings(client.call(&format!("ZRANGE {key} {min} {max} BYSCORE"))), found);
                let some: Vec<_> = found.iter().rev().skip(3).take(5).cloned().collect();
                let request = format!("ZREVRANGEBYSCORE {key} {max} {min} LIMIT 3 5");
                assert_eq!(strings(client.call(&request)), some);
            }
            let mut scanned = scan(&mut client, key, 7);
            scanned.sort_by(|a, b| a.0.cmp(&b.0));
            assert!(scanned.into_iter().eq(model));
            client.check(&format!("ZREMRANGEBYRANK {key} 50 249"), ":200\r\n");
            assert_eq!(strings(client.call(&format!("ZRANGE {key} 0 -1"))), [&members[..50], &members[250..]].concat());
            let popped = pairs(client.call(&format!("ZPOPMAX {key} 60")));
            assert!(popped.iter().eq(expected.iter().rev().take(60)));
            client.check(&format!("ZREMRANGEBYSCORE {key} -inf +inf"), ":140\r\n");
            client.check(&format!("EXISTS {key}"), ":0\r\n");
        }
    }

    fn combinations_of_large_sets(peer) {
        let server = peer.start();
        let mut client = server.client();
        let fill = |client: &mut Client, key: &str, step: usize| {
            let members: Vec<String> = (0..3000).step_by(step).map(|i| format!("{i} m{i}")).collect();
            client.call(&format!("ZADD {key} {}", members.join(" ")));
        };
        fill(&mut client, "twos", 2);
        fill(&mut client, "threes", 3);
        client.call(&format!("SADD some {}", (0..3000).step_by(5).map(|i| format!("m{i}")).collect::<Vec<_>>().join(" ")));
        let numbers = |keep: &dyn Fn(usize) -> bool| -> Vec<usize> { (0..3000).filter(|i| keep(*i)).collect() };
        let found = |client: &mut Client, request: &str| -> Vec<usize> {
            strings(client.call(request)).iter().map(|member| member[1..].parse().expect("a number")).collect()
        };
        assert_eq!(found(&mut client, "ZINTER 2 twos threes"), numbers(&|i| i % 6 == 0));
        assert_eq!(found(&mut client, "ZUNION 2 twos threes AGGREGATE MAX"), numbers(&|i| i % 2 == 0 || i % 3 == 0));
        assert_eq!(found(&mut client, "ZDIFF 2 twos threes"), numbers(&|i| i % 2 == 0 && i % 3 != 0));
        assert_eq!(found(&mut client, "ZINTER 3 some twos threes WEIGHTS 0 1 1"), numbers(&|i| i % 30 == 0));
        client.check("ZINTERCARD 3 some twos threes", ":100\r\n");
        client.check("ZINTERCARD 3 some twos threes LIMIT 7", ":7\r\n");
        client.check("ZUNIONSTORE all 3 some twos threes AGGREGATE MIN WEIGHTS 1000000 1 1", ":2200\r\n");
        client.check("ZSCORE all m4", "$1\r\n4\r\n");
        client.check("ZSCORE all m25", "$7\r\n1000000\r\n");
        client.check("ZRANGESTORE part all 10 19", ":10\r\n");
        client.check("OBJECT ENCODING all", "$8\r\nskiplist\r\n");
        client.check("OBJECT ENCODING part", "$8\r\nlistpack\r\n");
        client.check("ZDIFFSTORE all 2 all all", ":0\r\n");
        client.check("EXISTS all", ":0\r\n");
    }

    fn random_members_are_members(peer) {
        let server = peer.start();
        let mut client = server.client();
        for len in [1_usize, 10, 128, 1000] {
            let members: Vec<String> = (0..len).map(|i| format!("{i} m{i}")).collect();
            client.call("DEL z");
            client.call(&format!("ZADD z {}", members.join(" ")));
            let all: BTreeSet<String> = strings(client.call("ZRANGE z 0 -1")).into_iter().collect();
            for count in [1, 3, len.div_ceil(2), len, len + 5] {
                let some = strings(client.call(&format!("ZRANDMEMBER z {count}")));
                assert_eq!(some.len(), count.min(len));
                let different: BTreeSet<_> = some.into_iter().collect();
                assert!(different.len() == count.min(len) && different.is_subset(&all));
                let repeated = pairs(client.call(&format!("ZRANDMEMBER z -{count} WITHSCORES")));
                assert_eq!(repeated.len(), count);
                assert!(repeated.iter().all(|(member, score)| all.contains(member) && *member == format!("m{score}")));
            }
        }
    }
}

each_engine! {
    fn ranks_come_with_scores(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("ZADD z 1 a 2.5 b", ":2\r\n");
        client.check("ZRANK z b WITHSCORE", "*2\r\n:1\r\n$3\r\n2.5\r\n");
        client.check("ZREVRANK z b withscore", "*2\r\n:0\r\n$3\r\n2.5\r\n");
        client.check("ZRANK z x WITHSCORE", "*-1\r\n");
        client.check("ZRANK missing x WITHSCORE", "*-1\r\n");
        client.check("ZRANK z b SCORE", "-ERR syntax error\r\n");
        client.check("ZRANK z b WITHSCORE x", "-ERR wrong number of arguments for 'zrank' command\r\n");
        client.call("HELLO 3");
        client.check("ZRANK z b WITHSCORE", "*2\r\n:1\r\n,2.5\r\n");
        client.check("ZRANK z x WITHSCORE", "_\r\n");
    }

    fn the_sets_that_have_a_member_are_counted(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("ZADD z1 5 a 7 b", ":2\r\n");
        client.check("ZADD z2 inf b 9 c", ":2\r\n");
        client.check("ZUNION 2 z1 z2 AGGREGATE COUNT WITHSCORES", "*6\r\n$1\r\na\r\n$1\r\n1\r\n$1\r\nc\r\n$1\r\n1\r\n$1\r\nb\r\n$1\r\n2\r\n");
        client.check("ZINTER 2 z1 z2 AGGREGATE count WEIGHTS 2 0.5 WITHSCORES", "*2\r\n$1\r\nb\r\n$3\r\n2.5\r\n");
        client.check("ZINTER 2 z1 z2 AGGREGATE COUNT WEIGHTS inf -inf WITHSCORES", "*2\r\n$1\r\nb\r\n$1\r\n0\r\n");
    }

    fn doubles_have_the_fewest_digits(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("ZADD z 0.1 a 1e21 b 3.0000000000000004 c", ":3\r\n");
        client.check("ZMSCORE z a b c", "*3\r\n$3\r\n0.1\r\n$5\r\n1e+21\r\n$18\r\n3.0000000000000004\r\n");
    }

    fn a_count_of_random_members_alone_makes_no_reply_huge(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("ZADD z 1 a 2 b", ":2\r\n");
        client.send("ZRANDMEMBER z -9223372036854775807\r\n");
        client.expect_closed();
        let mut client = server.client();
        client.check("ZCARD z", ":2\r\n");
    }
}

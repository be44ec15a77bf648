//! Members with deadlines: EXPIREMEMBER and TTL with a member as in KeyDB, FIELDEXPIRE FIELDTTL SADDEX as in Dragonfly.

use crate::support::{Client, Value, each_engine};

const WRONG_TYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n";

/// Asks until the reply is what is expected; what has a deadline of some milliseconds.
fn wait_for(client: &mut Client, request: &str, expected: &Value) {
    let start = std::time::Instant::now();
    while client.call(request) != *expected {
        assert!(start.elapsed().as_secs() < 10, "{request}");
    }
}

/// A set, a sorted set and a hash of `count` members m0, m1 ...
fn fill(client: &mut Client, count: usize) {
    let members = |form: fn(usize) -> String| (0..count).map(form).collect::<Vec<_>>().join(" ");
    client.check("FLUSHALL", "+OK\r\n");
    let expected = format!(":{count}\r\n");
    client.check(&format!("SADD s {}", members(|i| format!("m{i}"))), &expected);
    client.check(&format!("ZADD z {}", members(|i| format!("{i} m{i}"))), &expected);
    client.check(&format!("HSET h {}", members(|i| format!("m{i} {i}"))), &expected);
}

each_engine! {
    fn every_form_of_expiremember(peer) {
        let server = peer.start();
        let mut client = server.client();
        for count in [5, 2000] {
            fill(&mut client, count);
            for key in ["s", "z", "h"] {
                client.check(&format!("EXPIREMEMBER {key} m0 100"), ":1\r\n");
                client.check(&format!("EXPIREMEMBER {key} m1 100 S"), ":1\r\n");
                client.check(&format!("EXPIREMEMBER {key} m2 100000 ms"), ":1\r\n");
                client.check(&format!("EXPIREMEMBERAT {key} m3 33177117420"), ":1\r\n");
                client.check(&format!("PEXPIREMEMBERAT {key} m4 33177117420123"), ":1\r\n");
                client.check(&format!("EXPIREMEMBER {key} none 100"), ":0\r\n");
                for member in ["m0", "m1", "m2"] {
                    client.check(&format!("TTL {key} {member}"), ":100\r\n");
                    client.check(&format!("FIELDTTL {key} {member}"), ":100\r\n");
                    assert!((90_000..=100_000).contains(&client.call(&format!("PTTL {key} {member}")).int()));
                }
                client.check(&format!("TTL {key} none"), ":-2\r\n");
                client.check(&format!("FIELDTTL {key} none"), ":-3\r\n");
                client.check(&format!("PERSIST {key} m0"), ":1\r\n");
                client.check(&format!("PERSIST {key} m0"), ":0\r\n");
                client.check(&format!("PERSIST {key} none"), ":0\r\n");
                client.check(&format!("TTL {key} m0"), ":-1\r\n");
                client.check(&format!("FIELDTTL {key} m0"), ":-1\r\n");
                client.check(&format!("TTL {key}"), ":-1\r\n");
                client.check(&format!("FIELDEXPIRE {key} 50 m0 none m1"), "*3\r\n:1\r\n:-2\r\n:1\r\n");
                client.check(&format!("TTL {key} m1"), ":50\r\n");
                client.check(&format!("FIELDEXPIRE {key} 0 m0 m1 m0"), "*3\r\n:2\r\n:2\r\n:-2\r\n");
                client.check(&format!("EXPIREMEMBERAT {key} m2 1"), ":1\r\n");
                client.check(&format!("TTL {key} m2"), ":-2\r\n");
            }
            client.check("SCARD s", format!(":{}\r\n", count - 3));
            client.check("ZCARD z", format!(":{}\r\n", count - 3));
            client.check("HLEN h", format!(":{}\r\n", count - 3));
        }
        client.check("OBJECT ENCODING s", "$9\r\nhashtable\r\n");
        client.check("OBJECT ENCODING z", "$8\r\nskiplist\r\n");
    }

    fn what_is_no_deadline_is_refused(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.call("MSET str 1 none 1");
        client.call("DEL none");
        client.call("RPUSH l a");
        client.call("SADD s a");
        const NOT_AN_INTEGER: &str = "-ERR value is not an integer or out of range\r\n";
        const NEGATIVE: &str = "-ERR invalid expire time, must be >= 0\r\n";
        for (request, expected) in [
            ("EXPIREMEMBER none a 10", ":0\r\n"),
            ("EXPIREMEMBER str a 10", WRONG_TYPE),
            ("EXPIREMEMBER l a 10", WRONG_TYPE),
            ("FIELDEXPIRE l 10 a", WRONG_TYPE),
            ("FIELDTTL l a", WRONG_TYPE),
            ("TTL str a", WRONG_TYPE),
            ("PERSIST l a", WRONG_TYPE),
            ("SADDEX str 10 a", WRONG_TYPE),
            ("EXPIREMEMBER s a x", NOT_AN_INTEGER),
            ("EXPIREMEMBER s a -1", NEGATIVE),
            ("EXPIREMEMBER s a 10 h", "-ERR Invalid unit arg\r\n"),
            ("EXPIREMEMBER s a 10 s s", "-ERR Invalid number of arguments\r\n"),
            ("EXPIREMEMBER s a 9223372036854775807", "-ERR invalid expire time in 'expiremember' command\r\n"),
            ("EXPIREMEMBER s a", "-ERR wrong number of arguments for 'expiremember' command\r\n"),
            ("PEXPIREMEMBERAT s a 9223372036854775807", "-ERR invalid expire time in 'pexpirememberat' command\r\n"),
            ("FIELDEXPIRE none 10 a b", "*2\r\n:-2\r\n:-2\r\n"),
            ("FIELDEXPIRE s 1.5 a", NOT_AN_INTEGER),
            ("FIELDTTL none a", ":-2\r\n"),
            ("TTL none a", ":-2\r\n"),
            ("TTL s a b", "-ERR wrong number of arguments for 'ttl' command\r\n"),
            ("PERSIST none a", ":0\r\n"),
            ("SADDEX s KEEPTTL 10", "-ERR wrong number of arguments for 'saddex' command\r\n"),
            ("SADDEX s x a", NOT_AN_INTEGER),
            ("SADDEX new -5 a", NEGATIVE),
            ("EXISTS new", ":0\r\n"),
            ("TTL s a", ":-1\r\n"),
        ] {
            client.check(request, expected);
        }
    }

    fn saddex_adds_members_that_expire(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("SADDEX s 100 a b", ":2\r\n");
        client.check("SADD s c", ":1\r\n");
        client.check("SADDEX s KEEPTTL 50 a c d", ":1\r\n");
        for (member, ttl) in [("a", 100), ("b", 100), ("c", -1), ("d", 50)] {
            client.check(&format!("TTL s {member}"), format!(":{ttl}\r\n"));
        }
        client.check("SADDEX s 30 a c", ":0\r\n");
        client.check("TTL s a", ":30\r\n");
        client.check("TTL s c", ":30\r\n");
        client.check("SADDEX gone 0 a b", ":2\r\n");
        client.check("EXISTS gone", ":0\r\n");
    }

    /// Nobody removes anything in the background: what is due goes when it is asked for, whoever asks.
    fn a_due_member_never_answers(peer) {
        let server = peer.start_with(&["--enable-debug-command", "yes"]);
        let mut client = server.client();
        client.check("DEBUG SET-ACTIVE-EXPIRE 0", "+OK\r\n");
        let empty = "*0\r\n";
        for (request, expected) in [
            ("SCARD s", ":2\r\n"), ("SISMEMBER s m1", ":0\r\n"), ("SMISMEMBER s m1 m0", "*2\r\n:0\r\n:1\r\n"),
            ("SREM s m1", ":0\r\n"), ("SADD s m1", ":1\r\n"), ("SMOVE s t m1", ":0\r\n"), ("SUNIONSTORE t s", ":2\r\n"),
            ("SINTERCARD 2 s s", ":2\r\n"), ("SINTER s only", empty), ("SDIFF only s", "*1\r\n$2\r\nm1\r\n"),
            ("ZCARD z", ":2\r\n"), ("ZSCORE z m1", "$-1\r\n"), ("ZRANK z m2", ":1\r\n"), ("ZCOUNT z -inf +inf", ":2\r\n"),
            ("ZRANGE z 1 1", "*1\r\n$2\r\nm2\r\n"), ("ZADD z 7 m1", ":1\r\n"), ("ZINCRBY z 7 m1", "$1\r\n7\r\n"),
            ("ZRANGESTORE t z 0 -1", ":2\r\n"), ("ZUNIONSTORE t 2 z only", ":3\r\n"), ("ZINTERCARD 2 z z", ":2\r\n"),
            ("ZDIFF 2 only z", "*1\r\n$2\r\nm1\r\n"), ("ZPOPMAX z 5", "*4\r\n$2\r\nm2\r\n$1\r\n2\r\n$2\r\nm0\r\n$1\r\n0\r\n"),
            ("ZREMRANGEBYRANK z 0 -1", ":2\r\n"), ("SORT z BY nosort", "*2\r\n$2\r\nm0\r\n$2\r\nm2\r\n"),
            ("SORT z BY nosort GET # GET x*", "*4\r\n$2\r\nm0\r\n$-1\r\n$2\r\nm2\r\n$-1\r\n"),
            ("TTL s m1", ":-2\r\n"), ("PERSIST z m1", ":0\r\n"), ("EXPIREMEMBER z m1 10", ":0\r\n"),
            ("GEOPOS z m1", "*1\r\n*-1\r\n"), ("COPY s t", ":1\r\n"), ("RENAME z t", "+OK\r\n"),
        ] {
            fill(&mut client, 3);
            client.check("SADD only m1", ":1\r\n");
            client.check("EXPIREMEMBER s m1 1 ms", ":1\r\n");
            client.check("EXPIREMEMBER z m1 1 ms", ":1\r\n");
            std::thread::sleep(std::time::Duration::from_millis(3));
            client.check(request, expected);
        }
    }

    fn a_member_that_was_removed_comes_back_without_a_deadline(peer) {
        let server = peer.start();
        let mut client = server.client();
        for count in [3, 2000] {
            fill(&mut client, count);
            for (remove, add) in [("SREM s m1", "SADD s m1"), ("ZREM z m1", "ZADD z 1 m1")] {
                let key = &remove[5..6];
                client.check(&format!("EXPIREMEMBER {key} m1 100"), ":1\r\n");
                client.check(add, ":0\r\n");
                client.check(&format!("TTL {key} m1"), ":100\r\n");
                client.check(remove, ":1\r\n");
                client.check(add, ":1\r\n");
                client.check(&format!("TTL {key} m1"), ":-1\r\n");
            }
        }
    }

    fn deadlines_go_along_with_their_key(peer) {
        let server = peer.start();
        let mut client = server.client();
        fill(&mut client, 3);
        for key in ["s", "z", "h"] {
            client.check(&format!("EXPIREMEMBER {key} m1 100"), ":1\r\n");
            client.check(&format!("COPY {key} {key}2"), ":1\r\n");
            client.check(&format!("RENAME {key} {key}3"), "+OK\r\n");
            client.check(&format!("MOVE {key}3 1"), ":1\r\n");
            client.check(&format!("TTL {key}2 m1"), ":100\r\n");
            client.check("SELECT 1", "+OK\r\n");
            client.check(&format!("TTL {key}3 m1"), ":100\r\n");
            client.check("SELECT 0", "+OK\r\n");
        }
        // What is made of a set has none, nor has a payload.
        client.check("SUNIONSTORE t s2", ":3\r\n");
        client.check("TTL t m1", ":-1\r\n");
        client.check("SMOVE s2 u m1", ":1\r\n");
        client.check("TTL u m1", ":-1\r\n");
    }

    fn due_members_leave_without_being_asked_for(peer) {
        let server = peer.start();
        let mut client = server.client();
        fill(&mut client, 3000);
        let members = (0..3000).map(|i| format!("m{i}")).collect::<Vec<_>>().join(" ");
        client.check("SADD s stays", ":1\r\n");
        client.check("DEL h", ":1\r\n");
        for key in ["s", "z"] {
            client.send(format!("FIELDEXPIRE {key} 1 {members}\r\n"));
            assert_eq!(client.read().items().len(), 3000);
        }
        // The sorted set goes with its last member.
        wait_for(&mut client, "DBSIZE", &Value::Int(1));
        client.check("SMEMBERS s", "*1\r\n$5\r\nstays\r\n");
        client.check("TYPE z", "+none\r\n");
    }

    fn a_watched_set_of_which_a_member_expires_counts(peer) {
        let server = peer.start();
        let (mut client, mut other) = (server.client(), server.client());
        fill(&mut client, 3);
        client.check("EXPIREMEMBER z m1 500 ms", ":1\r\n");
        client.check("WATCH z", "+OK\r\n");
        client.check("MULTI", "+OK\r\n");
        client.check("ZCARD z", "+QUEUED\r\n");
        wait_for(&mut other, "ZCARD z", &Value::Int(2));
        client.check("EXEC", "*-1\r\n");
    }
}

//! Fields with deadlines: HEXPIRE HTTL HPERSIST HGETEX HSETEX HGETDEL. What is expected is what Redis 7.4 and 8.0 answer.

use crate::support::{Client, Value, each_engine};

const WRONG_TYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n";

fn ints(client: &mut Client, request: &str) -> Vec<i64> {
    client.call(request).items().iter().map(Value::int).collect()
}

/// Asks until the reply is what is expected; what has a deadline of some milliseconds.
fn wait_for(client: &mut Client, request: &str, expected: &Value) {
    let start = std::time::Instant::now();
    while client.call(request) != *expected {
        assert!(start.elapsed().as_secs() < 10, "{request}");
    }
}

each_engine! {
    fn every_unit_of_hexpire(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("HSET h a 1 b 2 c 3 d 4 e 5", ":5\r\n");
        client.check("HEXPIRE h 100 FIELDS 1 a", "*1\r\n:1\r\n");
        client.check("HPEXPIRE h 100000 FIELDS 1 b", "*1\r\n:1\r\n");
        client.check("HEXPIREAT h 33177117420 FIELDS 1 c", "*1\r\n:1\r\n");
        client.check("HPEXPIREAT h 33177117420123 FIELDS 2 d x", "*2\r\n:1\r\n:-2\r\n");
        client.check("HTTL h FIELDS 2 a b", "*2\r\n:100\r\n:100\r\n");
        assert!(ints(&mut client, "HPTTL h FIELDS 2 a b").iter().all(|ttl| (90_000..=100_000).contains(ttl)));
        client.check("HEXPIRETIME h FIELDS 4 c d e x", "*4\r\n:33177117420\r\n:33177117421\r\n:-1\r\n:-2\r\n");
        client.check("HPEXPIRETIME h FIELDS 2 c d", "*2\r\n:33177117420000\r\n:33177117420123\r\n");
        client.check("HTTL missing FIELDS 2 a b", "*2\r\n:-2\r\n:-2\r\n");
        client.check("HEXPIRE missing 10 FIELDS 2 a b", "*2\r\n:-2\r\n:-2\r\n");
        client.check("HPERSIST h FIELDS 3 a e x", "*3\r\n:1\r\n:-1\r\n:-2\r\n");
        client.check("HPERSIST missing FIELDS 1 a", "*1\r\n:-2\r\n");
        client.check("HTTL h FIELDS 1 a", "*1\r\n:-1\r\n");
        client.check("OBJECT ENCODING h", "$10\r\nlistpackex\r\n");
        client.check("TTL h", ":-1\r\n");
    }

    fn hexpire_under_conditions(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("HSET h a 1 b 2", ":2\r\n");
        for (request, expected) in [
            ("HEXPIRE h 10 XX FIELDS 1 a", 0), ("HEXPIRE h 10 GT FIELDS 1 a", 0), ("HEXPIRE h 50 nx FIELDS 1 a", 1),
            ("HEXPIRE h 60 NX FIELDS 1 a", 0), ("HEXPIRE h 40 GT FIELDS 1 a", 0), ("HEXPIRE h 60 GT FIELDS 1 a", 1),
            ("HEXPIRE h 70 LT FIELDS 1 a", 0), ("HEXPIRE h 50 LT FIELDS 1 a", 1), ("HEXPIRE h 90 XX FIELDS 1 a", 1),
            ("HEXPIRE h 10 LT FIELDS 1 b", 1), ("HEXPIRE h 0 GT FIELDS 1 b", 0), ("HEXPIRE h 0 LT FIELDS 1 b", 2),
        ] {
            assert_eq!(ints(&mut client, request), [expected], "{request}");
        }
        client.check("HEXPIREAT h 1 FIELDS 3 b a a", "*3\r\n:-2\r\n:2\r\n:-2\r\n");
        client.check("EXISTS h", ":0\r\n");
    }

    fn what_a_change_does_to_the_deadline(peer) {
        let server = peer.start();
        let mut client = server.client();
        for size in ["", "x".repeat(100).as_str()] {
            client.check("DEL h", if size.is_empty() { ":0\r\n" } else { ":1\r\n" });
            client.check(&format!("HSET h a 1 b 2 c 3 d 4 long v{size}"), ":5\r\n");
            client.check("HEXPIRE h 100 FIELDS 5 a b c d long", "*5\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n");
            client.check("HSET h a 2", ":0\r\n");
            client.check("HINCRBY h b 3", ":5\r\n");
            client.check("HINCRBYFLOAT h c 0.5", "$3\r\n3.5\r\n");
            client.check("HSETNX h d 9", ":0\r\n");
            client.check("HTTL h FIELDS 5 a b c d long", "*5\r\n:-1\r\n:100\r\n:100\r\n:100\r\n:100\r\n");
            client.check("HMSET h b 1", "+OK\r\n");
            client.check("HDEL h c", ":1\r\n");
            client.check("HSET h c 1", ":1\r\n");
            client.check("HTTL h FIELDS 2 b c", "*2\r\n:-1\r\n:-1\r\n");
            client.check("RENAME h g", "+OK\r\n");
            client.check("HTTL g FIELDS 2 a d", "*2\r\n:-1\r\n:100\r\n");
            client.check("RENAME g h", "+OK\r\n");
            let encoding = if size.is_empty() { "$10\r\nlistpackex\r\n" } else { "$9\r\nhashtable\r\n" };
            client.check("OBJECT ENCODING h", encoding);
        }
    }

    fn hexpire_refuses_bad_arguments(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("HSET h a 1", ":1\r\n");
        client.check("SET k v", "+OK\r\n");
        let missing = "-ERR Mandatory argument FIELDS is missing or not at the right position\r\n";
        let mismatch = "-ERR The `numfields` parameter must match the number of arguments\r\n";
        let positive = "-ERR Number of fields must be a positive integer\r\n";
        for (request, expected) in [
            // The type of the key comes first.
            ("HEXPIRE k x FIELDS 0 a", WRONG_TYPE),
            ("HTTL k x 1 a", WRONG_TYPE),
            ("HPERSIST k x 1 a", WRONG_TYPE),
            ("HGETDEL k x 1 a", WRONG_TYPE),
            ("HGETEX k EX x a", WRONG_TYPE),
            ("HSETEX k FIELDS 1 a 1", WRONG_TYPE),
            // But not for HSETEX.
            ("HSETEX k EX x FIELDS 1 a 1", "-ERR value is not an integer or out of range\r\n"),
            ("HEXPIRE h x FIELDS 0 a", "-ERR value is not an integer or out of range\r\n"),
            ("HEXPIRE h -1 FIELDS 0 a", "-ERR invalid expire time, must be >= 0\r\n"),
            ("HEXPIRE h 70368744178 FIELDS 0 a", "-ERR invalid expire time in 'hexpire' command\r\n"),
            ("HPEXPIRE h 70368744177663 FIELDS 1 a", "-ERR invalid expire time in 'hpexpire' command\r\n"),
            ("HEXPIREAT h 9223372036854775807 FIELDS 1 a", "-ERR invalid expire time in 'hexpireat' command\r\n"),
            ("HPEXPIREAT h 70368744177664 FIELDS 1 a", "-ERR invalid expire time in 'hpexpireat' command\r\n"),
            ("HEXPIRE h 1 FIELDS 0 a", "-ERR Parameter `numFields` should be greater than 0\r\n"),
            ("HEXPIRE h 1 FIELDS x a", "-ERR Parameter `numFields` should be greater than 0\r\n"),
            ("HEXPIRE h 1 FIELDS 2 a", mismatch),
            ("HEXPIRE h 1 NX FIELDS 1", mismatch),
            ("HEXPIRE h 1 FIELDS 9223372036854775807 a", mismatch),
            ("HEXPIRE h 1 1 a a", missing),
            ("HEXPIRE h 1 NX XX FIELDS 1 a", missing),
            ("HTTL h FIELD 1 a", missing),
            ("HTTL h FIELDS 0 a", positive),
            ("HPERSIST h FIELDS -1 a", positive),
            ("HPTTL h FIELDS 2 a", mismatch),
            ("HGETDEL h FIELDS 2 a", mismatch),
            ("HGETDEL h FIELDS 0 a", positive),
            ("HGETDEL h 1 a a", missing),
            ("HGETEX h EX 0x FIELDS 1 a", "-ERR value is not an integer or out of range\r\n"),
            ("HGETEX h PX -1 FIELDS 1 a", "-ERR invalid expire time, must be >= 0\r\n"),
            ("HGETEX h EX 10 FIELDS", "-ERR wrong number of arguments for 'hgetex' command\r\n"),
            ("HGETEX h EX 10 1 a", missing),
            ("HGETEX h PERSIST FIELDS 1", mismatch),
            ("HGETEX h FIELDS x a", positive),
            ("HSETEX h FIELDS 1 a", "-ERR wrong number of arguments for 'hsetex' command\r\n"),
            ("HSETEX h FIELDS 2 a 1 b", "-ERR wrong number of arguments for 'hsetex' command\r\n"),
            ("HSETEX h FIELDS 2 a 1", "-ERR wrong number of arguments for 'hsetex' command\r\n"),
            ("HSETEX h FIELDS 0 a 1", "-ERR invalid number of fields\r\n"),
            ("HSETEX h FIELDS 9223372036854775807 a 1", "-ERR invalid number of fields\r\n"),
            ("HSETEX h FNX FXX FIELDS 1 a 1", "-ERR Only one of FXX or FNX arguments can be specified\r\n"),
            ("HSETEX h EX 1 KEEPTTL FIELDS 1 a 1", "-ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified\r\n"),
            ("HSETEX h EX 1 PX x FIELDS 1 a 1", "-ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified\r\n"),
            ("HSETEX h NX FIELDS 1 a 1", "-ERR unknown argument: NX\r\n"),
            ("HSETEX h FNX KEEPTTL FNX EX", "-ERR Only one of FXX or FNX arguments can be specified\r\n"),
            ("HSETEX h FNX EX 10 KEY v", "-ERR unknown argument: KEY\r\n"),
            ("HSETEX h FNX PX 10 EX", "-ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified\r\n"),
            ("HSETEX h FNX EX 10 FNX", "-ERR Only one of FXX or FNX arguments can be specified\r\n"),
            ("HSETEX h FNX EX 10 fields", "-ERR wrong number of arguments for 'hsetex' command\r\n"),
            ("HSETEX h PXAT 70368744177664 FIELDS 1 a 1", "-ERR invalid expire time in 'hsetex' command\r\n"),
            ("HEXPIRE h 1 FIELDS 1", "-ERR wrong number of arguments for 'hexpire' command\r\n"),
            ("HTTL h FIELDS 1", "-ERR wrong number of arguments for 'httl' command\r\n"),
        ] {
            client.check(request, expected);
        }
        client.check("HGETALL h", "*2\r\n$1\r\na\r\n$1\r\n1\r\n");
        client.check("HTTL h FIELDS 1 a", "*1\r\n:-1\r\n");
    }

    fn hgetdel_takes_fields_out(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("HSET h a 1 b 2 c 3", ":3\r\n");
        client.check("HGETDEL h FIELDS 3 a x a", "*3\r\n$1\r\n1\r\n$-1\r\n$-1\r\n");
        client.check("HGETALL h", "*4\r\n$1\r\nb\r\n$1\r\n2\r\n$1\r\nc\r\n$1\r\n3\r\n");
        client.check("HGETDEL h FIELDS 3 b c b", "*3\r\n$1\r\n2\r\n$1\r\n3\r\n$-1\r\n");
        client.check("EXISTS h", ":0\r\n");
        client.check("HGETDEL h FIELDS 1 b", "*1\r\n$-1\r\n");
    }

    fn hgetex_sets_and_removes_deadlines(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("HSET h a 1 b 2", ":2\r\n");
        client.check("HGETEX h FIELDS 2 a x", "*2\r\n$1\r\n1\r\n$-1\r\n");
        client.check("OBJECT ENCODING h", "$8\r\nlistpack\r\n");
        client.check("HGETEX h EX 100 FIELDS 2 a x", "*2\r\n$1\r\n1\r\n$-1\r\n");
        client.check("HTTL h FIELDS 2 a b", "*2\r\n:100\r\n:-1\r\n");
        client.check("HGETEX h PXAT 33177117420123 FIELDS 1 b", "*1\r\n$1\r\n2\r\n");
        client.check("HPEXPIRETIME h FIELDS 1 b", "*1\r\n:33177117420123\r\n");
        client.check("HGETEX h PERSIST FIELDS 2 a b", "*2\r\n$1\r\n1\r\n$1\r\n2\r\n");
        client.check("HTTL h FIELDS 2 a b", "*2\r\n:-1\r\n:-1\r\n");
        client.check("HGETEX h EXAT 0 FIELDS 3 a a b", "*3\r\n$1\r\n1\r\n$-1\r\n$1\r\n2\r\n");
        client.check("EXISTS h", ":0\r\n");
        client.check("HGETEX h EX 10 FIELDS 1 a", "*1\r\n$-1\r\n");
    }

    fn hsetex_sets_fields_with_a_deadline(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("HSETEX h FXX EX 10 FIELDS 1 a 1", ":0\r\n");
        client.check("EXISTS h", ":0\r\n");
        client.check("HSETEX h FNX EX 100 FIELDS 2 a 1 b 2", ":1\r\n");
        client.check("HSETEX h FNX FIELDS 2 c 1 b 3", ":0\r\n");
        client.check("HSETEX h FXX FIELDS 2 c 1 b 3", ":0\r\n");
        client.check("HGETALL h", "*4\r\n$1\r\nb\r\n$1\r\n2\r\n$1\r\na\r\n$1\r\n1\r\n");
        client.check("HTTL h FIELDS 2 a b", "*2\r\n:100\r\n:100\r\n");
        client.check("HSETEX h KEEPTTL FXX FIELDS 1 a 3", ":1\r\n");
        client.check("HSETEX h FIELDS 1 b 3", ":1\r\n");
        client.check("HTTL h FIELDS 2 a b", "*2\r\n:100\r\n:-1\r\n");
        client.check("HMGET h a b", "*2\r\n$1\r\n3\r\n$1\r\n3\r\n");
        client.check("HSETEX h PX 0 FIELDS 2 a 1 b 2", ":1\r\n");
        client.check("EXISTS h", ":0\r\n");
    }

    /// Small and large: what is due never answers, whatever asks.
    fn a_field_expires_by_itself(peer) {
        let server = peer.start();
        let mut client = server.client();
        for count in [3, 1000] {
            client.check("FLUSHALL", "+OK\r\n");
            for i in 0..count {
                client.check(&format!("HSET h f{i} v"), ":1\r\n");
            }
            client.check("HPEXPIRE h 20 FIELDS 1 f1", "*1\r\n:1\r\n");
            wait_for(&mut client, "HGET h f1", &Value::Nil);
            assert_eq!(client.call("HLEN h").int(), count - 1);
            assert_eq!(client.call("HGETALL h").items().len() as i64, 2 * (count - 1));
            assert_eq!(client.call("HKEYS h").items().len() as i64, count - 1);
            assert_eq!(client.call("HRANDFIELD h 5000").items().len() as i64, count - 1);
            client.check("HMGET h f1 f2", "*2\r\n$-1\r\n$1\r\nv\r\n");
            client.check("HEXISTS h f1", ":0\r\n");
            client.check("HSTRLEN h f1", ":0\r\n");
            client.check("HTTL h FIELDS 1 f1", "*1\r\n:-2\r\n");
            client.check("HEXPIRE h 10 FIELDS 1 f1", "*1\r\n:-2\r\n");
            client.check("HDEL h f1", ":0\r\n");
            client.check("HINCRBY h f1 1", ":1\r\n");
            client.check("HTTL h FIELDS 1 f1", "*1\r\n:-1\r\n");
        }
    }

    fn the_last_field_takes_its_key_with_it(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("HSET h a 1 b 2", ":2\r\n");
        client.check("HPEXPIRE h 20 FIELDS 2 a b", "*2\r\n:1\r\n:1\r\n");
        wait_for(&mut client, "EXISTS h", &Value::Int(0));
        client.check("TYPE h", "+none\r\n");
        client.check("HSETNX h a 1", ":1\r\n");
        client.check("OBJECT ENCODING h", "$8\r\nlistpack\r\n");
    }

    fn due_fields_leave_without_being_asked_for(peer) {
        let server = peer.start();
        let mut client = server.client();
        let mut pairs = Vec::new();
        (0..3000).for_each(|i| pairs.push(format!("f{i} v")));
        client.check(&format!("HSET h stays v {}", pairs.join(" ")), ":3001\r\n");
        client.check("HSET small stays v goes v", ":2\r\n");
        client.check("HSET gone a v", ":1\r\n");
        let names: Vec<String> = (0..3000).map(|i| format!("f{i}")).collect();
        client.call(&format!("HPEXPIRE h 30 FIELDS 3000 {}", names.join(" ")));
        client.check("HPEXPIRE small 30 FIELDS 1 goes", "*1\r\n:1\r\n");
        client.check("HPEXPIRE gone 30 FIELDS 1 a", "*1\r\n:1\r\n");
        wait_for(&mut client, "DBSIZE", &Value::Int(2));
        let start = std::time::Instant::now();
        while client.info("expired_subkeys") < 3002 {
            assert!(start.elapsed().as_secs() < 10);
        }
        assert_eq!(client.info("expired_keys"), 0);
        client.check("HLEN h", ":1\r\n");
        client.check("HGETALL small", "*2\r\n$5\r\nstays\r\n$1\r\nv\r\n");
    }

    fn a_watched_hash_of_which_a_field_expires_counts(peer) {
        let server = peer.start();
        let (mut client, mut other) = (server.client(), server.client());
        client.check("HSET h a 1 b 2", ":2\r\n");
        client.check("HPEXPIRE h 30 FIELDS 1 a", "*1\r\n:1\r\n");
        client.check("WATCH h", "+OK\r\n");
        client.check("MULTI", "+OK\r\n");
        client.check("HLEN h", "+QUEUED\r\n");
        let start = std::time::Instant::now();
        while other.info("expired_subkeys") < 1 {
            assert!(start.elapsed().as_secs() < 10);
        }
        client.check("EXEC", "*-1\r\n");
    }

    fn deadlines_of_key_and_fields_live_side_by_side(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("HSET h a 1 b 2", ":2\r\n");
        client.check("EXPIRE h 1000", ":1\r\n");
        client.check("HEXPIRE h 100 FIELDS 1 a", "*1\r\n:1\r\n");
        client.check("TTL h", ":1000\r\n");
        client.check("PERSIST h", ":1\r\n");
        client.check("HTTL h FIELDS 2 a b", "*2\r\n:100\r\n:-1\r\n");
        client.check("PEXPIRE h 20", ":1\r\n");
        wait_for(&mut client, "EXISTS h", &Value::Int(0));
        client.check("SET h string", "+OK\r\n");
        client.check("GET h", "$6\r\nstring\r\n");
    }
}

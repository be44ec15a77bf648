//! DUMP RESTORE: payloads of Kiba and of Redis, each read by both.

use crate::support::client::{encode, words};
use crate::support::{Client, Peer, Value, each_engine, same_as_redis};

const NOT_AN_INTEGER: &str = "-ERR value is not an integer or out of range\r\n";
const SYNTAX: &str = "-ERR syntax error\r\n";
const BAD_FOOTER: &str = "-ERR DUMP payload version or checksum are wrong\r\n";
const BAD_DATA: &str = "-ERR Bad data format\r\n";
const BUSY: &str = "-BUSYKEY Target key name already exists.\r\n";

/// DUMP of the string `v` by redis-server 7.0.
const V: &str = "\"\\0\\x01v\\n\\0\\x91\\x08\\xce\\xb2\\x198\\x8a\\xce\"";

fn dump(client: &mut Client, key: &str) -> Vec<u8> {
    match client.call(&format!("DUMP {key}")) {
        Value::Bulk(payload) => payload,
        other => panic!("{other:?}"),
    }
}

fn restore(client: &mut Client, key: &str, payload: &[u8]) {
    let arguments: [&[u8]; 5] = [b"RESTORE", key.as_bytes(), b"0", payload, b"REPLACE"];
    assert_eq!(client.request(&arguments), Value::Simple("OK".into()), "{}", payload.escape_ascii());
}

/// What a key holds; what has no order is sorted.
fn content(client: &mut Client, key: &str) -> (String, Vec<String>) {
    let kind = client.call(&format!("TYPE {key}")).text();
    let elements = match kind.as_str() {
        "string" => vec![client.call(&format!("GET {key}")).text()],
        "list" => client.call(&format!("LRANGE {key} 0 -1")).items().iter().map(Value::text).collect(),
        "set" => client.call(&format!("SMEMBERS {key}")).sorted(),
        "hash" => {
            let fields = client.call(&format!("HGETALL {key}"));
            let mut pairs: Vec<String> =
                fields.items().chunks(2).map(|pair| format!("{}={}", pair[0].text(), pair[1].text())).collect();
            pairs.sort();
            pairs
        }
        "zset" => client.call(&format!("ZRANGE {key} 0 -1 WITHSCORES")).items().iter().map(Value::text).collect(),
        other => panic!("{other}"),
    };
    (kind, elements)
}

/// Fills `keys` of every type and encoding.
fn fill(client: &mut Client) -> Vec<String> {
    let long = "x".repeat(70);
    let mixed: String = (0..4000).map(|i| char::from(b'a' + (i * i % 25) as u8)).collect();
    let mut fills: Vec<(String, Vec<String>)> = Vec::new();
    let mut add = |key: &str, command: &str, arguments: Vec<String>| {
        let request = [vec![command.to_owned(), key.to_owned()], arguments].concat();
        fills.push((key.to_owned(), request));
    };
    let texts = |count: usize, text: &dyn Fn(usize) -> String| (0..count).map(text).collect::<Vec<String>>();
    for (i, value) in
        ["", "0", "-1", "127", "128", "-129", "32768", "2147483648", "9223372036854775807", "text", &long, &mixed]
            .into_iter()
            .enumerate()
    {
        add(&format!("string:{i}"), "SET", vec![value.to_owned()]);
    }
    add("list:small", "RPUSH", texts(5, &|i| format!("{}", i as i64 * 1000 - 2000)));
    add("list:words", "RPUSH", texts(30, &|i| format!("word {}", i % 3)));
    add("list:long", "RPUSH", texts(5000, &|i| format!("element {i}")));
    add("list:wide", "RPUSH", texts(3, &|i| "y".repeat(9000 + i)));
    add("set:16", "SADD", texts(20, &|i| format!("{i}")));
    add("set:32", "SADD", texts(20, &|i| format!("{}", i * 70_000)));
    add("set:64", "SADD", texts(20, &|i| format!("-{}", i as u64 * 70_000_000_000)));
    add("set:words", "SADD", texts(20, &|i| format!("member {i}")));
    add("set:mixed", "SADD", texts(20, &|i| if i % 2 == 0 { format!("{i}") } else { format!("w{i}") }));
    add("set:long", "SADD", texts(3000, &|i| format!("member {i}")));
    add("set:ints", "SADD", texts(3000, &|i| format!("{i}")));
    add("hash:small", "HSET", texts(10, &|i| format!("{}", i % 2 * 1000 + i)));
    add("hash:words", "HSET", texts(100, &|i| format!("field or value {i}")));
    add("hash:wide", "HSET", vec!["f".into(), long.clone(), "g".into(), mixed.clone()]);
    add("hash:long", "HSET", texts(4000, &|i| format!("{i}")));
    let scored = |count: usize, text: &dyn Fn(usize) -> String| {
        (0..count).flat_map(|i| [format!("{}", i as f64 / 4.0 - 3.0), text(i)]).collect::<Vec<String>>()
    };
    add("zset:small", "ZADD", scored(20, &|i| format!("{}", i * 100)));
    add(
        "zset:edges",
        "ZADD",
        ["inf", "a", "-inf", "b", "-0", "c", "0", "d", "9007199254740993", "e"].map(str::to_owned).to_vec(),
    );
    add("zset:wide", "ZADD", vec!["1.5".into(), long.clone(), "-1.5".into(), mixed.clone()]);
    add("zset:long", "ZADD", scored(3000, &|i| format!("member {i}")));
    for (key, request) in &fills {
        client.request(&[vec!["DEL".to_owned()], vec![key.clone()]].concat());
        assert!(!client.request(request).is_error(), "{key}");
    }
    fills.into_iter().map(|(key, _)| key).collect()
}

same_as_redis! {
    fn a_dumped_value_comes_back(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("DUMP missing", "$-1\r\n");
        for key in fill(&mut client) {
            let payload = dump(&mut client, &key);
            restore(&mut client, "copy", &payload);
            assert_eq!(content(&mut client, "copy"), content(&mut client, &key), "{key}");
        }
    }

    fn restore_looks_at_its_arguments_in_order(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check(&format!("RESTORE k 0 {V}"), "+OK\r\n");
        client.check("GET k", "$1\r\nv\r\n");
        // Options, the key, the time to live, the payload.
        client.check("RESTORE k x nonsense FOO", SYNTAX);
        client.check("RESTORE k x nonsense IDLETIME x", NOT_AN_INTEGER);
        client.check("RESTORE k x nonsense IDLETIME -1", "-ERR Invalid IDLETIME value, must be >= 0\r\n");
        client.check("RESTORE k x nonsense FREQ x", NOT_AN_INTEGER);
        for frequency in ["-1", "256", "9223372036854775807"] {
            let request = format!("RESTORE k x nonsense FREQ {frequency}");
            client.check(&request, "-ERR Invalid FREQ value, must be >= 0 and <= 255\r\n");
        }
        client.check("RESTORE k x nonsense IDLETIME 1 FREQ 1", SYNTAX);
        client.check("RESTORE k x nonsense FREQ 1 IDLETIME 1", SYNTAX);
        client.check("RESTORE k x nonsense REPLACE IDLETIME", SYNTAX);
        client.check("RESTORE k x nonsense", BUSY);
        client.check("RESTORE k x nonsense REPLACE", NOT_AN_INTEGER);
        client.check("RESTORE other x nonsense", NOT_AN_INTEGER);
        client.check("RESTORE k -1 nonsense REPLACE", "-ERR Invalid TTL value, must be >= 0\r\n");
        client.check("RESTORE k 0 nonsense REPLACE", BAD_FOOTER);
        client.check("RESTORE k 0 \"\" REPLACE", BAD_FOOTER);
        client.check("RESTORE k 0 0123456789 ABSTTL REPLACE FREQ 0 FREQ 255", BAD_FOOTER);
        client.check("GET k", "$1\r\nv\r\n");
        client.check(&format!("RESTORE k 0 {V} replace absttl idletime 100 idletime 200"), "+OK\r\n");
        assert!(client.call("OBJECT IDLETIME k").int() >= 200);
        client.check("RESTORE k 0", "-ERR wrong number of arguments for 'restore' command\r\n");
    }

    fn restore_with_a_time_to_live(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check(&format!("RESTORE k 100000 {V}"), "+OK\r\n");
        client.check("TTL k", ":100\r\n");
        client.check(&format!("RESTORE k 0 {V} REPLACE"), "+OK\r\n");
        client.check("TTL k", ":-1\r\n");
        client.check(&format!("RESTORE k 33177117420000 {V} REPLACE ABSTTL"), "+OK\r\n");
        client.check("PEXPIRETIME k", ":33177117420000\r\n");
        // What would have expired is not made, and what was there is gone.
        client.check(&format!("RESTORE k 1 {V} REPLACE ABSTTL"), "+OK\r\n");
        client.check("EXISTS k", ":0\r\n");
        client.check(&format!("RESTORE k 1000 {V} ABSTTL"), "+OK\r\n");
        client.check("EXISTS k", ":0\r\n");
        client.check(&format!("RESTORE k 9223372036854775807 {V} ABSTTL"), "+OK\r\n");
        client.check("PEXPIRETIME k", ":9223372036854775807\r\n");
    }

    fn a_damaged_payload_changes_nothing(peer) {
        // Only told to does Redis look at every byte.
        let options: &[&str] = if peer == Peer::Redis { &["--sanitize-dump-payload", "yes"] } else { &[] };
        let server = peer.start_with(options);
        let mut client = server.client();
        let keys = fill(&mut client);
        client.check("SET k v EX 100000", "+OK\r\n");
        for key in keys.iter().filter(|key| !key.contains("long")) {
            let payload = dump(&mut client, key);
            for at in [0, payload.len() / 2, payload.len() - 10, payload.len() - 1] {
                let mut damaged = payload.clone();
                damaged[at] ^= 0x10;
                let arguments: [&[u8]; 5] = [b"RESTORE", b"k", b"0", &damaged, b"REPLACE"];
                client.send(encode(&arguments));
                client.expect(BAD_FOOTER);
                let arguments: [&[u8]; 5] = [b"RESTORE", b"k", b"0", &payload[..at], b"REPLACE"];
                client.send(encode(&arguments));
                client.expect(BAD_FOOTER);
            }
        }
        client.check("GET k", "$1\r\nv\r\n");
        assert!(client.call("TTL k").int() > 90_000);
        // The checksums of these are right, but there is no such type, string, list, set or hash.
        for payload in [
            "\\x21\\x01v\\x0a\\x005\\x1d\\xc2\\x8e\\x0a\\xb9\\xc4\\xa0",
            "\\x00\\xc4\\x00\\x0a\\x00\\x56\\xeam\\xf8\\xd0\\xbd4m",
            "\\x01\\x00\\x0a\\x00\\x5b\\xf8\\x25\\xccl\\x17\\x43\\x56",
            "\\x02\\x02\\x01a\\x01a\\x0a\\x00\\x57\\xbev\\x2f\\xc2\\xd6\\x52\\x3a",
            "\\x12\\x01\\x03\\x01a\\x0a\\x00w\\x41\\x45\\x81\\xd2\\xbb\\xfc\\x1c",
            "\\x10\\x09\\x09\\x00\\x00\\x00\\x01\\x00\\x01\\x01\\xff\\x0a\\x00\\x43\\xff\\xa8\\x1a\\xdd\\x4a\\x0cm",
            "\\x00\\xc3\\x02\\x05\\x00a\\x0a\\x00u\\x9c\\x47\\x14\\x04\\x07\\x3a\\xdb",
            "\\x0b\\x0c\\x02\\x00\\x00\\x00\\x02\\x00\\x00\\x00\\x02\\x00\\x01\\x00\\x0a\\x00\\x99i\\x9f\\x90\\x0ag\\xa4\\x9f",
        ] {
            client.check(&format!("RESTORE k 0 \"{payload}\" REPLACE"), BAD_DATA);
        }
        client.check("GET k", "$1\r\nv\r\n");
    }

    fn restore_in_a_transaction(peer) {
        let server = peer.start();
        let (mut client, mut watcher) = (server.client(), server.client());
        watcher.check("WATCH k", "+OK\r\n");
        for request in ["MULTI", &format!("RESTORE k 0 {V}"), "DUMP k", &format!("RESTORE k 0 {V}")] {
            client.call(request);
        }
        let expected = [&b"*3\r\n+OK\r\n$13\r\n"[..], &words(V)[0], b"\r\n", BUSY.as_bytes()].concat();
        client.check("EXEC", expected);
        watcher.check("MULTI", "+OK\r\n");
        watcher.check("PING", "+QUEUED\r\n");
        watcher.check("EXEC", "*-1\r\n");
    }
}

each_engine! {
    fn redis_and_kiba_read_what_the_other_writes(peer) {
        if !Peer::has_redis() {
            return;
        }
        let servers = [peer.start(), Peer::Redis.start()];
        let [mut kiba, mut redis] = servers.each_ref().map(|server| server.client());
        let keys = fill(&mut kiba);
        assert_eq!(fill(&mut redis), keys);
        for key in keys {
            let expected = content(&mut kiba, &key);
            assert_eq!(content(&mut redis, &key), expected, "{key}");
            let (from_kiba, from_redis) = (dump(&mut kiba, &key), dump(&mut redis, &key));
            restore(&mut redis, "copy", &from_kiba);
            assert_eq!(content(&mut redis, "copy"), expected, "{key} to Redis");
            restore(&mut kiba, "copy", &from_redis);
            assert_eq!(content(&mut kiba, "copy"), expected, "{key} from Redis");
            // Small values are the same to the byte.
            if from_redis.len() < 20 && !key.starts_with("set") {
                assert_eq!(from_kiba, from_redis, "{key}");
            }
        }
    }

    /// Redis has them since 7.4.
    fn fields_take_their_deadlines_along(peer) {
        let server = peer.start();
        let mut client = server.client();
        for value in ["v", &"v".repeat(70)] {
            client.call("DEL h copy");
            client.check(&format!("HSET h f {value} g w h x"), ":3\r\n");
            client.check("HPEXPIREAT h 33177117420000 FIELDS 1 f", "*1\r\n:1\r\n");
            client.check("HPEXPIREAT h 33177117419999 FIELDS 1 h", "*1\r\n:1\r\n");
            let payload = dump(&mut client, "h");
            assert_eq!(payload[payload.len() - 10], 12);
            restore(&mut client, "copy", &payload);
            assert_eq!(content(&mut client, "copy"), content(&mut client, "h"));
            let expected = "*3\r\n:33177117420000\r\n:-1\r\n:33177117419999\r\n";
            client.check("HPEXPIRETIME copy FIELDS 3 f g h", expected);
            client.check("COPY h copy REPLACE", ":1\r\n");
            client.check("HPEXPIRETIME copy FIELDS 3 f g h", expected);
            // What is due by the time it arrives does not come back.
            client.check("HPEXPIRE h 300 FIELDS 1 f", "*1\r\n:1\r\n");
            let payload = dump(&mut client, "h");
            client.check("HDEL h g h", ":2\r\n");
            let last = dump(&mut client, "h");
            while client.call("EXISTS h").int() == 1 {}
            restore(&mut client, "h", &payload);
            assert_eq!(content(&mut client, "h").1, ["g=w", "h=x"]);
            restore(&mut client, "h", &last);
            client.check("EXISTS h", ":0\r\n");
        }
    }

    fn a_payload_is_read_into_the_encodings_that_are_configured(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("HSET h f v g w", ":2\r\n");
        client.check("SADD s a b", ":2\r\n");
        let payloads = ["h", "s"].map(|key| dump(&mut client, key));
        client.check("CONFIG SET hash-max-listpack-entries 1 set-max-listpack-entries 1", "+OK\r\n");
        for (key, payload) in ["h", "s"].into_iter().zip(&payloads) {
            client.check(&format!("OBJECT ENCODING {key}"), "$8\r\nlistpack\r\n");
            restore(&mut client, key, payload);
            client.check(&format!("OBJECT ENCODING {key}"), "$9\r\nhashtable\r\n");
        }
    }
}

//! Hashes: HSET HGET HDEL HGETALL HINCRBY HRANDFIELD HSCAN ...

use std::collections::{BTreeMap, BTreeSet};

use crate::support::{Client, Value, each_engine, same_as_redis};

const WRONG_TYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n";

fn fields(client: &mut Client, key: &str) -> BTreeMap<String, String> {
    let reply = client.call(&format!("HGETALL {key}"));
    reply.items().chunks(2).map(|pair| (pair[0].text(), pair[1].text())).collect()
}

same_as_redis! {
    fn set_get_and_delete_fields(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("HSET user:321 name \"John Smith\"", ":1\r\n");
        client.check("HSET user:321 date_joined 2020-01-01", ":1\r\n");
        client.check("HGET user:321 name", "$10\r\nJohn Smith\r\n");
        client.check("HGET user:321 date_joined", "$10\r\n2020-01-01\r\n");
        client.check("HSET user:321 name Jane", ":0\r\n");
        client.check("HGETALL user:321", "*4\r\n$4\r\nname\r\n$4\r\nJane\r\n$11\r\ndate_joined\r\n$10\r\n2020-01-01\r\n");
        client.check("HSET h a 1 b 2 a 3 \"\" \"\"", ":3\r\n");
        client.check("HGET h a", "$1\r\n3\r\n");
        client.check("HGET h \"\"", "$0\r\n\r\n");
        client.check("HGET h missing", "$-1\r\n");
        client.check("HGET missing a", "$-1\r\n");
        client.check("HGETALL missing", "*0\r\n");
        client.check("HDEL h a x a", ":1\r\n");
        client.check("HDEL missing a", ":0\r\n");
        client.check("HDEL h b \"\"", ":2\r\n");
        client.check("EXISTS h", ":0\r\n");
        client.check("HSET h n 007", ":1\r\n");
        client.check("HGET h n", "$3\r\n007\r\n");
    }

    fn hashes_of_every_size(peer) {
        let server = peer.start();
        let mut client = server.client();
        // Across the thresholds of the compact encoding: 512 fields, 64 bytes.
        for (key, long) in [("short", ""), ("long", "a-value-of-more-than-sixty-four-bytes-which-the-compact-encoding-does-not-take-")] {
            let mut expected = BTreeMap::new();
            for i in 0..700 {
                let (field, value) = (format!("field:{i}"), format!("{long}{i}"));
                client.send(format!("HSET {key} {field} old\r\nHSET {key} {field} {value}\r\nHGET {key} {field}\r\n"));
                expected.insert(field, value);
            }
            for i in 0..700 {
                assert_eq!(client.read().int(), 1);
                assert_eq!(client.read().int(), 0);
                assert_eq!(client.read().text(), format!("{long}{i}"));
            }
            assert_eq!(fields(&mut client, key), expected);
            for i in 0..700 {
                assert_eq!(client.call(&format!("HDEL {key} field:{i}")).int(), 1);
                assert!(client.call(&format!("HGET {key} field:{i}")) == crate::support::Value::Nil);
            }
            assert_eq!(client.call(&format!("EXISTS {key}")).int(), 0);
        }
    }

    fn look_at_a_hash(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("HMSET h a 1 b \"\" c 333", "+OK\r\n");
        client.check("HKEYS h", "*3\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n");
        client.check("HVALS h", "*3\r\n$1\r\n1\r\n$0\r\n\r\n$3\r\n333\r\n");
        client.check("HLEN h", ":3\r\n");
        client.check("HMGET h c x a c", "*4\r\n$3\r\n333\r\n$-1\r\n$1\r\n1\r\n$3\r\n333\r\n");
        client.check("HEXISTS h b", ":1\r\n");
        client.check("HEXISTS h x", ":0\r\n");
        client.check("HSTRLEN h c", ":3\r\n");
        client.check("HSTRLEN h b", ":0\r\n");
        client.check("HSTRLEN h x", ":0\r\n");
        client.check("HSETNX h a 2", ":0\r\n");
        client.check("HSETNX h d 2", ":1\r\n");
        client.check("HGET h d", "$1\r\n2\r\n");
        for (request, reply) in [
            ("HKEYS no", "*0\r\n"), ("HVALS no", "*0\r\n"), ("HLEN no", ":0\r\n"), ("HMGET no a b", "*2\r\n$-1\r\n$-1\r\n"),
            ("HEXISTS no a", ":0\r\n"), ("HSTRLEN no a", ":0\r\n"), ("HRANDFIELD no", "$-1\r\n"), ("HRANDFIELD no 3", "*0\r\n"),
            ("HSCAN no 0", "*2\r\n$1\r\n0\r\n*0\r\n"), ("HSETNX no a 1", ":1\r\n"),
        ] {
            client.check(request, reply);
        }
    }

    fn add_to_fields(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("HINCRBY h n 5", ":5\r\n");
        client.check("HINCRBY h n -7", ":-2\r\n");
        client.check("HGET h n", "$2\r\n-2\r\n");
        client.check("HINCRBYFLOAT h f 10.5", "$4\r\n10.5\r\n");
        client.check("HINCRBYFLOAT h f 0.1", "$4\r\n10.6\r\n");
        client.check("HINCRBYFLOAT h f -5", "$3\r\n5.6\r\n");
        // A long double has no 5005.6 either.
        client.check("HINCRBYFLOAT h f 5.0e3", "$22\r\n5005.60000000000000009\r\n");
        client.check("HINCRBYFLOAT h n 0.5", "$4\r\n-1.5\r\n");
        client.check("HSET h word x big 9223372036854775807", ":2\r\n");
        client.check("HINCRBY h word 1", "-ERR hash value is not an integer\r\n");
        client.check("HINCRBY h n 1", "-ERR hash value is not an integer\r\n");
        client.check("HINCRBYFLOAT h word 1", "-ERR hash value is not a float\r\n");
        client.check("HINCRBY h big 1", "-ERR increment or decrement would overflow\r\n");
        client.check("HINCRBY h n 1.5", "-ERR value is not an integer or out of range\r\n");
        client.check("HINCRBY h word 9223372036854775808", "-ERR value is not an integer or out of range\r\n");
        client.check("HINCRBYFLOAT h word x", "-ERR value is not a valid float\r\n");
        client.check("HINCRBYFLOAT h word nan", "-ERR value is not a valid float\r\n");
        client.check("HINCRBYFLOAT h word +inf", "-ERR value is NaN or Infinity\r\n");
        client.check("HINCRBYFLOAT missing f -inf", "-ERR value is NaN or Infinity\r\n");
        client.check("EXISTS missing", ":0\r\n");
    }

    fn random_fields(peer) {
        let server = peer.start();
        let mut client = server.client();
        for count in [3, 1000] {
            client.check("FLUSHALL", "+OK\r\n");
            for i in 0..count {
                client.check(&format!("HSET h f{i} v{i}"), ":1\r\n");
            }
            assert!(client.call("HRANDFIELD h").text().starts_with('f'));
            for wanted in [1, 2, count / 2, count - 1, count, count + 5] {
                let found = client.call(&format!("HRANDFIELD h {wanted}")).sorted();
                assert_eq!(found.len(), wanted.min(count));
                assert_eq!(found.iter().collect::<BTreeSet<_>>().len(), found.len());
            }
            let found = client.call(&format!("HRANDFIELD h -{} WITHVALUES", 3 * count));
            assert_eq!(found.items().len(), 6 * count);
            for pair in found.items().chunks(2) {
                assert_eq!(pair[0].text().replace('f', "v"), pair[1].text());
            }
            client.send("HELLO 3\r\n");
            client.read();
            let found = client.call("HRANDFIELD h -4 withvalues");
            assert!(found.items().len() == 4 && found.items().iter().all(|pair| pair.items().len() == 2));
            assert_eq!(client.call("HRANDFIELD h 2").items().len(), 2);
            client.send("HELLO 2\r\n");
            client.read();
        }
        client.check("HRANDFIELD h 0", "*0\r\n");
        client.check("HRANDFIELD h 1.5", "-ERR value is not an integer or out of range\r\n");
        client.check("HRANDFIELD h 1 withvalue", "-ERR syntax error\r\n");
        client.check("HRANDFIELD h 1 withvalues x", "-ERR syntax error\r\n");
        client.check("HRANDFIELD h 9223372036854775807 withvalues", "-ERR value is out of range\r\n");
        client.check(
            "HRANDFIELD h -9223372036854775808",
            "-ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807\r\n",
        );
        client.check("SET k v", "+OK\r\n");
        client.check("HRANDFIELD k x", "-ERR value is not an integer or out of range\r\n");
        client.check("HRANDFIELD k 1", WRONG_TYPE);
    }

    fn scan_the_fields(peer) {
        let server = peer.start();
        let mut client = server.client();
        for count in [5, 2000] {
            for i in 0..count {
                client.send(format!("HSET h{count} f{i} v{i}\r\n"));
            }
            (0..count).for_each(|_| assert_eq!(client.read().int(), 1));
            let (mut cursor, mut found) = ("0".to_owned(), BTreeMap::new());
            loop {
                let reply = client.call(&format!("HSCAN h{count} {cursor} COUNT 50"));
                for pair in reply.items()[1].items().chunks(2) {
                    found.insert(pair[0].text(), pair[1].text());
                }
                cursor = reply.items()[0].text();
                if cursor == "0" {
                    break;
                }
            }
            assert_eq!(found.len(), count);
            assert!(found.iter().all(|(field, value)| field.replace('f', "v") == *value));
        }
        client.check("HSCAN h5 0 MATCH ?3", "*2\r\n$1\r\n0\r\n*2\r\n$2\r\nf3\r\n$2\r\nv3\r\n");
        client.check("HSCAN h5 77 MATCH v*", "*2\r\n$1\r\n0\r\n*0\r\n");
        client.check("HSCAN h5 x COUNT 0", "-ERR invalid cursor\r\n");
        client.check("HSCAN h5 0 COUNT 0", "-ERR syntax error\r\n");
        client.check("HSCAN h5 0 COUNT x", "-ERR value is not an integer or out of range\r\n");
        client.check("HSCAN h5 0 TYPE hash", "-ERR syntax error\r\n");
        // Without the key nobody looks at the options.
        client.check("HSCAN missing 0 COUNT 0", "*2\r\n$1\r\n0\r\n*0\r\n");
        client.check("SET k v", "+OK\r\n");
        client.check("HSCAN k 0 COUNT 0", WRONG_TYPE);
    }

    fn hashes_of_another_type_are_an_error(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("SET k v", "+OK\r\n");
        for request in [
            "HSET k a 1", "HGET k a", "HDEL k a", "HGETALL k", "HEXISTS k a", "HINCRBY k a 1", "HINCRBYFLOAT k a 1", "HKEYS k",
            "HLEN k", "HMGET k a", "HMSET k a 1", "HRANDFIELD k", "HSCAN k 0", "HSETNX k a 1", "HSTRLEN k a", "HVALS k",
        ] {
            client.check(request, WRONG_TYPE);
        }
        for request in ["HSET h", "HSET h a", "HSET h a 1 b", "HGET h", "HGET h a b", "HDEL h", "HGETALL", "HGETALL h a", "HMSET h a", "HMSET h a 1 b", "HKEYS", "HVALS h a", "HINCRBY h a", "HMGET h", "HSCAN h"] {
            let name = request.split(' ').next().unwrap().to_lowercase();
            client.check(request, format!("-ERR wrong number of arguments for '{name}' command\r\n"));
        }
        client.check("EXISTS h", ":0\r\n");
        client.check("HSET k a", "-ERR wrong number of arguments for 'hset' command\r\n");
    }
}

each_engine! {
    fn hscan_without_values(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("HSET h a 1 b 2", ":2\r\n");
        client.check("HSCAN h 0 NOVALUES", "*2\r\n$1\r\n0\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n");
        client.check("HSCAN h 0 NOVALUES MATCH b", "*2\r\n$1\r\n0\r\n*1\r\n$1\r\nb\r\n");
        client.check("SCAN 0 NOVALUES", "-ERR NOVALUES option can only be used in HSCAN\r\n");
    }

    /// The connection goes, the server stays.
    fn random_fields_without_end_are_refused(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("HSET h a 1 b 2", ":2\r\n");
        for request in ["HRANDFIELD h -9223372036854775807", "HRANDFIELD h -4611686018427387903 WITHVALUES"] {
            let mut greedy = server.client();
            greedy.send(format!("{request}\r\n"));
            greedy.expect_closed();
            client.check("HLEN h", ":2\r\n");
        }
        assert!(client.call("HRANDFIELD h 9223372036854775807") != Value::Nil);
    }
}

//! Hashes: HSET HGET HDEL HGETALL.

use std::collections::BTreeMap;

use crate::support::{Client, same_as_redis};

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

    fn hashes_of_another_type_are_an_error(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("SET k v", "+OK\r\n");
        for request in ["HSET k a 1", "HGET k a", "HDEL k a", "HGETALL k"] {
            client.check(request, WRONG_TYPE);
        }
        for request in ["HSET h", "HSET h a", "HSET h a 1 b", "HGET h", "HGET h a b", "HDEL h", "HGETALL", "HGETALL h a"] {
            let name = request.split(' ').next().unwrap().to_lowercase();
            client.check(request, format!("-ERR wrong number of arguments for '{name}' command\r\n"));
        }
        client.check("EXISTS h", ":0\r\n");
        client.check("HSET k a", "-ERR wrong number of arguments for 'hset' command\r\n");
    }
}

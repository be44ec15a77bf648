//! Sets: SADD SREM SISMEMBER SMEMBERS SCARD.

use crate::support::same_as_redis;

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
}

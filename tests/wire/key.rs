//! Keys of any type: DEL UNLINK EXISTS TYPE EXPIRE TTL PERSIST RENAME KEYS DBSIZE FLUSHALL OBJECT.

use crate::support::{each_engine, same_as_redis};

const NOT_AN_INTEGER: &str = "-ERR value is not an integer or out of range\r\n";
const NOT_COMPATIBLE: &str = "-ERR NX and XX, GT or LT options at the same time are not compatible\r\n";
const SYNTAX: &str = "-ERR syntax error\r\n";

same_as_redis! {
    fn del_and_exists_count_keys(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("MSET a 1 b 2 c 3 d 4", "+OK\r\n");
        client.check("EXISTS a", ":1\r\n");
        client.check("EXISTS a b missing a", ":3\r\n");
        client.check("DEL a missing a", ":1\r\n");
        client.check("EXISTS a", ":0\r\n");
        client.check("UNLINK b c c missing", ":2\r\n");
        client.check("DEL missing", ":0\r\n");
        client.check("DBSIZE", ":1\r\n");
        client.check("DEL", "-ERR wrong number of arguments for 'del' command\r\n");
        client.check("UNLINK", "-ERR wrong number of arguments for 'unlink' command\r\n");
        client.check("EXISTS", "-ERR wrong number of arguments for 'exists' command\r\n");
    }

    fn type_names(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("TYPE k", "+none\r\n");
        client.check("SET k v", "+OK\r\n");
        client.check("TYPE k", "+string\r\n");
        client.check("RPUSH l v", ":1\r\n");
        client.check("TYPE l", "+list\r\n");
        client.check("SADD s v", ":1\r\n");
        client.check("TYPE s", "+set\r\n");
        client.check("HSET h f v", ":1\r\n");
        client.check("TYPE h", "+hash\r\n");
        client.check("DEL k l s h", ":4\r\n");
    }

    fn ttl_of_missing_and_eternal_keys(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("TTL k", ":-2\r\n");
        client.check("PTTL k", ":-2\r\n");
        client.check("SET k v", "+OK\r\n");
        client.check("TTL k", ":-1\r\n");
        client.check("PTTL k", ":-1\r\n");
        client.check("PERSIST k", ":0\r\n");
        client.check("PERSIST missing", ":0\r\n");
        client.check("EXPIRE k 100", ":1\r\n");
        client.check("TTL k", ":100\r\n");
        let left = client.call("PTTL k").int();
        assert!((90_000..=100_000).contains(&left), "{left}");
        client.check("PERSIST k", ":1\r\n");
        client.check("PERSIST k", ":0\r\n");
        client.check("TTL k", ":-1\r\n");
    }

    fn every_unit_of_expire(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("SET k v", "+OK\r\n");
        client.check("EXPIRE missing 100", ":0\r\n");
        client.check("PEXPIRE k 100000", ":1\r\n");
        client.check("TTL k", ":100\r\n");
        client.check("EXPIREAT k 33177117420", ":1\r\n");
        assert!(client.call("TTL k").int() > 31_000_000_000);
        client.check("PEXPIREAT k 33177117420000", ":1\r\n");
        assert!(client.call("TTL k").int() > 31_000_000_000);
        client.check("GET k", "$1\r\nv\r\n");
    }

    fn a_time_that_has_passed_removes_the_key(peer) {
        let server = peer.start();
        let mut client = server.client();
        for request in ["EXPIRE k 0", "EXPIRE k -1", "PEXPIRE k -100", "EXPIREAT k 1", "EXPIREAT k -1", "PEXPIREAT k 0", "EXPIRE k -9223372036854775"] {
            client.check("SET k v", "+OK\r\n");
            client.check(request, ":1\r\n");
            client.check("EXISTS k", ":0\r\n");
            client.check("TTL k", ":-2\r\n");
            client.check("DBSIZE", ":0\r\n");
        }
    }

    fn expire_under_conditions(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("SET k v", "+OK\r\n");
        client.check("EXPIRE k 100 XX", ":0\r\n");
        // No deadline is later than any.
        client.check("EXPIRE k 100 GT", ":0\r\n");
        client.check("TTL k", ":-1\r\n");
        client.check("EXPIRE k 200 nx", ":1\r\n");
        client.check("EXPIRE k 300 NX", ":0\r\n");
        client.check("EXPIRE k 100 GT", ":0\r\n");
        client.check("EXPIRE k 300 LT", ":0\r\n");
        client.check("TTL k", ":200\r\n");
        client.check("EXPIRE k 300 GT", ":1\r\n");
        client.check("TTL k", ":300\r\n");
        client.check("EXPIRE k 100 lT", ":1\r\n");
        client.check("TTL k", ":100\r\n");
        client.check("EXPIRE k 50 XX", ":1\r\n");
        client.check("EXPIRE k 40 XX LT", ":1\r\n");
        client.check("EXPIRE k 60 GT XX", ":1\r\n");
        client.check("TTL k", ":60\r\n");
        client.check("PERSIST k", ":1\r\n");
        client.check("EXPIRE k 100 XX LT", ":0\r\n");
        client.check("EXPIRE k 100 LT", ":1\r\n");
        client.check("EXPIRE k 100 XX XX", ":1\r\n");
        client.check("EXPIRE missing 100 NX", ":0\r\n");
        client.check("EXPIRE k -1 GT", ":0\r\n");
        client.check("EXPIRE k -1 LT", ":1\r\n");
        client.check("EXISTS k", ":0\r\n");
    }

    fn expire_refuses_conditions_that_do_not_fit_together(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("SET k v", "+OK\r\n");
        for command in ["EXPIRE", "PEXPIRE", "EXPIREAT", "PEXPIREAT"] {
            for options in ["NX XX", "NX GT", "NX LT", "XX NX", "NX XX GT LT"] {
                client.check(&format!("{command} k 100 {options}"), NOT_COMPATIBLE);
            }
            let request = format!("{command} k 100 GT LT");
            client.check(&request, "-ERR GT and LT options at the same time are not compatible\r\n");
            client.check(&format!("{command} k 100 bogus"), "-ERR Unsupported option bogus\r\n");
            client.check(&format!("{command} k 100 NX \"\""), "-ERR Unsupported option \r\n");
            client.check(&format!("{command} k 100 \"a\\r\\nb\""), "-ERR Unsupported option a  b\r\n");
        }
        client.check("TTL k", ":-1\r\n");
    }

    fn expire_refuses_bad_times(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("SET k v", "+OK\r\n");
        for command in ["expire", "pexpire", "expireat", "pexpireat"] {
            for amount in ["x", "1.5", "\"\"", "9223372036854775808", "+1"] {
                client.check(&format!("{command} k {amount}"), NOT_AN_INTEGER);
                client.check(&format!("{command} missing {amount}"), NOT_AN_INTEGER);
            }
        }
        for (command, amount) in [
            ("expire", "9223372036854775807"),
            ("expire", "-9223372036854775808"),
            ("expire", "9223372036854775"),
            ("expireat", "9223372036854775807"),
            ("expireat", "-9223372036854776"),
            ("pexpire", "9223372036854775807"),
        ] {
            let expected = format!("-ERR invalid expire time in '{command}' command\r\n");
            client.check(&format!("{command} k {amount}"), &expected);
            client.check(&format!("{command} missing {amount}"), &expected);
        }
        client.check("TTL k", ":-1\r\n");
        client.check("EXPIRE k", "-ERR wrong number of arguments for 'expire' command\r\n");
        client.check("TTL", "-ERR wrong number of arguments for 'ttl' command\r\n");
        client.check("PEXPIREAT k 9223372036854775807", ":1\r\n");
    }

    fn rename_moves_value_and_deadline(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("RENAME a b", "-ERR no such key\r\n");
        client.check("RENAME a a", "-ERR no such key\r\n");
        client.check("SET a 1 EX 100", "+OK\r\n");
        client.check("SET b 2", "+OK\r\n");
        client.check("RENAME a b", "+OK\r\n");
        client.check("EXISTS a", ":0\r\n");
        client.check("GET b", "$1\r\n1\r\n");
        client.check("TTL b", ":100\r\n");
        client.check("SET a 3", "+OK\r\n");
        client.check("RENAME a b", "+OK\r\n");
        client.check("TTL b", ":-1\r\n");
        client.check("RENAME b b", "+OK\r\n");
        client.check("GET b", "$1\r\n3\r\n");
        client.check("RPUSH l x y", ":2\r\n");
        client.check("RENAME l b", "+OK\r\n");
        client.check("LRANGE b 0 -1", "*2\r\n$1\r\nx\r\n$1\r\ny\r\n");
        client.check("DBSIZE", ":1\r\n");
        client.check("RENAME a", "-ERR wrong number of arguments for 'rename' command\r\n");
        client.check("RENAME b \"\"", "+OK\r\n");
        client.check("TYPE \"\"", "+list\r\n");
    }

    fn keys_by_pattern(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("KEYS *", "*0\r\n");
        client.check("MSET one 1 two 2 three 3 t* 4 \"\" 5", "+OK\r\n");
        for (pattern, expected) in [
            ("*", &["", "one", "t*", "three", "two"][..]),
            ("t*", &["t*", "three", "two"]),
            ("t??", &["two"]),
            ("t\\*", &["t*"]),
            ("[ot]*", &["one", "t*", "three", "two"]),
            ("[^t]*", &["one"]),
            ("[n-p]ne", &["one"]),
            ("*e", &["one", "three"]),
            ("", &[""]),
            ("one", &["one"]),
            ("ONE", &[]),
            ("**e*", &["one", "three"]),
            ("[", &[]),
            ("on[", &[]),
            ("one[", &[]),
            ("one\\", &[]),
            ("[^]", &[]),
            ("[z-a]*", &["one", "three", "t*", "two"]),
        ] {
            let mut expected = expected.to_vec();
            expected.sort_unstable();
            assert_eq!(client.request(&["KEYS", pattern]).sorted(), expected, "{pattern}");
        }
        client.check("KEYS one", "*1\r\n$3\r\none\r\n");
        client.check("KEYS", "-ERR wrong number of arguments for 'keys' command\r\n");
        client.check("KEYS a b", "-ERR wrong number of arguments for 'keys' command\r\n");
    }

    fn flush_one_database_or_all(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("SET a 1", "+OK\r\n");
        client.check("SELECT 3", "+OK\r\n");
        client.check("SET b 1", "+OK\r\n");
        client.check("DBSIZE", ":1\r\n");
        client.check("KEYS *", "*1\r\n$1\r\nb\r\n");
        client.check("FLUSHDB", "+OK\r\n");
        client.check("DBSIZE", ":0\r\n");
        client.check("GET b", "$-1\r\n");
        client.check("FLUSHDB ASYNC", "+OK\r\n");
        client.check("FLUSHDB sync", "+OK\r\n");
        client.check("FLUSHDB now", SYNTAX);
        client.check("FLUSHALL now", SYNTAX);
        client.check("FLUSHALL SYNC ASYNC", SYNTAX);
        client.check("SELECT 0", "+OK\r\n");
        client.check("GET a", "$1\r\n1\r\n");
        client.check("SET b 1", "+OK\r\n");
        client.check("SELECT 3", "+OK\r\n");
        client.check("FLUSHALL async", "+OK\r\n");
        client.check("SELECT 0", "+OK\r\n");
        client.check("DBSIZE", ":0\r\n");
        client.check("SET a 2", "+OK\r\n");
        client.check("FLUSHALL SYNC", "+OK\r\n");
        client.check("GET a", "$-1\r\n");
        client.check("DBSIZE x", "-ERR wrong number of arguments for 'dbsize' command\r\n");
    }

    fn object_encoding(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("OBJECT ENCODING k", "$-1\r\n");
        client.check("SET k 123", "+OK\r\n");
        client.check("OBJECT ENCODING k", "$3\r\nint\r\n");
        client.check("SET k abc", "+OK\r\n");
        client.check("object encoding k", "$6\r\nembstr\r\n");
        client.request(&["SET", "k", &"x".repeat(44)]);
        client.check("OBJECT ENCODING k", "$6\r\nembstr\r\n");
        client.request(&["SET", "k", &"x".repeat(45)]);
        client.check("OBJECT ENCODING k", "$3\r\nraw\r\n");
        client.check("SADD s 1 2 3", ":3\r\n");
        client.check("OBJECT ENCODING s", "$6\r\nintset\r\n");
        client.check("HSET h f v", ":1\r\n");
        client.check("OBJECT ENCODING h", "$8\r\nlistpack\r\n");
        client.request(&["HSET", "h", "f", &"x".repeat(65)]);
        client.check("OBJECT ENCODING h", "$9\r\nhashtable\r\n");
        client.check("OBJECT", "-ERR wrong number of arguments for 'object' command\r\n");
        client.check("OBJECT ENCODING", "-ERR wrong number of arguments for 'object|encoding' command\r\n");
        client.check("OBJECT bogus k", "-ERR unknown subcommand 'bogus'. Try OBJECT HELP.\r\n");
    }

    fn a_key_expires_by_itself(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("SET k v PX 1", "+OK\r\n");
        // No sleep: the key is asked for until its millisecond is over.
        while client.call("EXISTS k").int() == 1 {}
        client.check("GET k", "$-1\r\n");
        client.check("TTL k", ":-2\r\n");
        client.check("SET k v NX", "+OK\r\n");
        client.check("TTL k", ":-1\r\n");
        client.check("RPUSH l a", ":1\r\n");
        client.check("PEXPIRE l 1", ":1\r\n");
        while client.call("LLEN l").int() == 1 {}
        // An expired key is no key: neither its type nor its elements are left.
        client.check("SADD l x", ":1\r\n");
        client.check("TTL l", ":-1\r\n");
    }
}

each_engine! {
    /// Redis 7.0 has other encodings for short lists and sets of words; later versions have these.
    fn object_encoding_of_redis_7_2(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("RPUSH l a", ":1\r\n");
        client.check("OBJECT ENCODING l", "$8\r\nlistpack\r\n");
        client.check("SADD s a", ":1\r\n");
        client.check("OBJECT ENCODING s", "$8\r\nlistpack\r\n");
        client.request(&["SADD", "s", &"x".repeat(65)]);
        client.check("OBJECT ENCODING s", "$9\r\nhashtable\r\n");
        client.request(&["RPUSH", "l", &"x".repeat(10_000)]);
        client.check("OBJECT ENCODING l", "$9\r\nquicklist\r\n");
    }

    /// The sweeper removes what nobody asks for.
    fn expired_keys_leave_without_being_asked_for(peer) {
        let server = peer.start();
        let mut client = server.client();
        for i in 0..100 {
            client.check(&format!("SET key:{i} v PX 1"), "+OK\r\n");
        }
        while client.call("DBSIZE").int() > 0 {}
    }
}

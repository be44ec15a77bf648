//! Times to live: EXPIRE TTL EXPIRETIME PERSIST.

use crate::support::{each_engine, same_as_redis};

const NOT_AN_INTEGER: &str = "-ERR value is not an integer or out of range\r\n";
const NOT_COMPATIBLE: &str = "-ERR NX and XX, GT or LT options at the same time are not compatible\r\n";

same_as_redis! {
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

    fn the_moment_of_expiry_is_told(peer) {
        let server = peer.start();
        let mut client = server.client();
        for command in ["EXPIRETIME", "PEXPIRETIME"] {
            client.check(&format!("{command} k"), ":-2\r\n");
            client.check("SET k v", "+OK\r\n");
            client.check(&format!("{command} k"), ":-1\r\n");
            client.check("DEL k", ":1\r\n");
            let error = format!("-ERR wrong number of arguments for '{}' command\r\n", command.to_lowercase());
            client.check(&format!("{command} k x"), error);
        }
        client.check("SET k v", "+OK\r\n");
        client.check("PEXPIREAT k 33177117420499", ":1\r\n");
        client.check("EXPIRETIME k", ":33177117420\r\n");
        client.check("PEXPIRETIME k", ":33177117420499\r\n");
        client.check("PEXPIREAT k 33177117420500", ":1\r\n");
        client.check("EXPIRETIME k", ":33177117421\r\n");
        client.check("PEXPIREAT k 9223372036854775807", ":1\r\n");
        client.check("PEXPIRETIME k", ":9223372036854775807\r\n");
    }
}

each_engine! {
    /// The sweeper removes what nobody asks for.
    fn expired_keys_leave_without_being_asked_for(peer) {
        let server = peer.start();
        let mut client = server.client();
        for i in 0..100 {
            client.check(&format!("SET key:{i} v PX 1"), "+OK\r\n");
        }
        while client.call("DBSIZE").int() > 0 {}
    }

    /// Redis' sum overflows here.
    fn the_last_moment_that_there_is_can_be_told_in_seconds(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("SET k v", "+OK\r\n");
        client.check("PEXPIREAT k 9223372036854775807", ":1\r\n");
        client.check("EXPIRETIME k", ":9223372036854776\r\n");
        assert!(client.call("TTL k").int() > 9_000_000_000_000_000);
    }
}

//! Strings: GET SET SETNX SETEX PSETEX GETSET GETDEL GETEX INCR DECR INCRBY DECRBY MGET MSET MSETNX.

use crate::support::same_as_redis;

const NOT_AN_INTEGER: &str = "-ERR value is not an integer or out of range\r\n";
const OVERFLOW: &str = "-ERR increment or decrement would overflow\r\n";
const SYNTAX: &str = "-ERR syntax error\r\n";
const WRONG_TYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n";

same_as_redis! {
    fn set_and_get(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("GET k", "$-1\r\n");
        client.check("SET k v", "+OK\r\n");
        client.check("GET k", "$1\r\nv\r\n");
        client.check("set k \"\"", "+OK\r\n");
        client.check("GeT k", "$0\r\n\r\n");
        client.check("SET \"\" empty-key", "+OK\r\n");
        client.check("GET \"\"", "$9\r\nempty-key\r\n");
    }

    fn values_and_keys_are_binary(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check(r#"SET "k\0\r\n\xff" "\xfe\r\n\0$-1\r\n""#, "+OK\r\n");
        client.check(r#"GET "k\0\r\n\xff""#, b"$9\r\n\xfe\r\n\0$-1\r\n\r\n");
        client.check(r#"GET "k\0\r\n""#, "$-1\r\n");
    }

    fn integers_are_kept_as_they_were_written(peer) {
        let server = peer.start();
        let mut client = server.client();
        for text in ["0", "-1", "9223372036854775807", "-9223372036854775808", "+1", "01", "-0", "9223372036854775808", " 1", "1 "] {
            assert_eq!(client.request(&["SET", "k", text]).text(), "OK");
            assert_eq!(client.request(&["GET", "k"]).text(), text);
        }
    }

    fn long_values_come_back_whole(peer) {
        let server = peer.start();
        let mut client = server.client();
        // Around the sizes at which strings move out of line and replies are sent by reference.
        for len in [1, 39, 40, 44, 45, 127, 128, 129, 191, 192, 193, 255, 256, 4095, 4096, 16383, 16384, 16385, 65536, 1 << 20] {
            let value: Vec<u8> = (0..len).map(|i| (i * 31 % 251) as u8).collect();
            assert_eq!(client.request(&[b"SET".as_slice(), b"k", &value]).text(), "OK");
            client.send("GET k\r\n");
            client.expect(format!("${len}\r\n"));
            client.expect(&value);
            client.expect("\r\n");
        }
    }

    fn set_nx_and_xx_are_conditions(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("SET k a XX", "$-1\r\n");
        client.check("EXISTS k", ":0\r\n");
        client.check("SET k a nx", "+OK\r\n");
        client.check("SET k b NX", "$-1\r\n");
        client.check("GET k", "$1\r\na\r\n");
        client.check("SET k c xX", "+OK\r\n");
        client.check("GET k", "$1\r\nc\r\n");
        client.check("SET k d NX NX", "$-1\r\n");
        client.check("SET k d XX XX", "+OK\r\n");
    }

    fn set_get_returns_the_old_value(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("SET k a GET", "$-1\r\n");
        client.check("SET k b GET", "$1\r\na\r\n");
        client.check("SET k c NX GET", "$1\r\nb\r\n");
        client.check("GET k", "$1\r\nb\r\n");
        client.check("SET k c XX GET", "$1\r\nb\r\n");
        client.check("SET k 7 GET EX 100", "$1\r\nc\r\n");
        client.check("TTL k", ":100\r\n");
        client.check("SET missing c XX GET", "$-1\r\n");
        client.check("EXISTS missing", ":0\r\n");
        client.check("SET missing c NX GET", "$-1\r\n");
        client.check("GET missing", "$1\r\nc\r\n");
        client.check("RPUSH list a", ":1\r\n");
        client.check("SET list x GET", WRONG_TYPE);
        client.check("TYPE list", "+list\r\n");
        client.check("SET list x", "+OK\r\n");
        client.check("TYPE list", "+string\r\n");
    }

    fn set_with_a_time_to_live(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("SET k v EX 100", "+OK\r\n");
        client.check("TTL k", ":100\r\n");
        client.check("SET k v", "+OK\r\n");
        client.check("TTL k", ":-1\r\n");
        client.check("SET k v px 100000", "+OK\r\n");
        client.check("TTL k", ":100\r\n");
        client.check("SET k w KEEPTTL", "+OK\r\n");
        client.check("TTL k", ":100\r\n");
        client.check("GET k", "$1\r\nw\r\n");
        client.check("SET k v EXAT 33177117420", "+OK\r\n");
        assert!(client.call("TTL k").int() > 31_000_000_000);
        client.check("SET k v PXAT 33177117420000", "+OK\r\n");
        assert!(client.call("TTL k").int() > 31_000_000_000);
        client.check("SET new v KEEPTTL", "+OK\r\n");
        client.check("TTL new", ":-1\r\n");
    }

    fn set_with_a_time_that_has_passed_leaves_no_key(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("SET k v", "+OK\r\n");
        client.check("SET k w EXAT 1", "+OK\r\n");
        client.check("GET k", "$-1\r\n");
        client.check("SET k w PXAT 1 GET", "$-1\r\n");
        client.check("EXISTS k", ":0\r\n");
    }

    fn set_refuses_bad_times(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("SET k old", "+OK\r\n");
        for option in ["EX", "PX", "EXAT", "PXAT"] {
            for amount in ["0", "-1", "-9223372036854775808"] {
                client.check(&format!("SET k v {option} {amount}"), "-ERR invalid expire time in 'set' command\r\n");
            }
            for amount in ["x", "1.5", "\"\"", "9223372036854775808"] {
                client.check(&format!("SET k v {option} {amount}"), NOT_AN_INTEGER);
            }
        }
        for option in ["EX", "EXAT", "PX"] {
            let request = format!("SET k v {option} 9223372036854775807");
            client.check(&request, "-ERR invalid expire time in 'set' command\r\n");
        }
        client.check("GET k", "$3\r\nold\r\n");
        client.check("TTL k", ":-1\r\n");
    }

    fn set_refuses_options_that_do_not_fit_together(peer) {
        let server = peer.start();
        let mut client = server.client();
        for options in [
            "NX XX", "XX NX", "EX", "PX", "EXAT", "PXAT", "EX 1 PX 1", "EX 1 KEEPTTL", "KEEPTTL EX 1",
            "KEEPTTL PXAT 1", "EXAT 1 PX 1", "bogus", "NX bogus", "\"\"", "GET NX EX", "EX 10 10",
        ] {
            client.check(&format!("SET k v {options}"), SYNTAX);
        }
        client.check("SET k v KEEPTTL KEEPTTL GET GET", "$-1\r\n");
        client.check("SET k v EX 1 EX 100", "+OK\r\n");
        client.check("TTL k", ":100\r\n");
        client.check("SET k v EX NX", NOT_AN_INTEGER);
        client.check("SET k", "-ERR wrong number of arguments for 'set' command\r\n");
        client.check("SET", "-ERR wrong number of arguments for 'set' command\r\n");
    }

    fn get_of_another_type_is_an_error(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("RPUSH l a", ":1\r\n");
        for request in ["GET l", "INCR l", "DECR l", "INCRBY l 1", "DECRBY l 1"] {
            client.check(request, WRONG_TYPE);
        }
        client.check("GET", "-ERR wrong number of arguments for 'get' command\r\n");
        client.check("GET a b", "-ERR wrong number of arguments for 'get' command\r\n");
    }

    fn counters_count(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("INCR n", ":1\r\n");
        client.check("INCR n", ":2\r\n");
        client.check("DECR n", ":1\r\n");
        client.check("DECRBY n 3", ":-2\r\n");
        client.check("INCRBY n 12", ":10\r\n");
        client.check("INCRBY n -5", ":5\r\n");
        client.check("DECRBY n -5", ":10\r\n");
        client.check("GET n", "$2\r\n10\r\n");
        client.check("DECR below", ":-1\r\n");
        client.check("SET n 9999", "+OK\r\n");
        client.check("INCR n", ":10000\r\n");
    }

    fn counters_keep_the_time_to_live(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("SET n 1 EX 100", "+OK\r\n");
        client.check("INCR n", ":2\r\n");
        client.check("INCRBY n 10000000000", ":10000000002\r\n");
        client.check("TTL n", ":100\r\n");
    }

    fn counters_stop_at_the_ends_of_64_bits(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("SET n 9223372036854775807", "+OK\r\n");
        client.check("INCR n", OVERFLOW);
        client.check("INCRBY n 1", OVERFLOW);
        client.check("DECRBY n -1", OVERFLOW);
        client.check("DECR n", ":9223372036854775806\r\n");
        client.check("INCR n", ":9223372036854775807\r\n");
        client.check("SET n -9223372036854775808", "+OK\r\n");
        client.check("DECR n", OVERFLOW);
        client.check("DECRBY n 1", OVERFLOW);
        client.check("INCRBY n -1", OVERFLOW);
        client.check("INCRBY n 9223372036854775807", ":-1\r\n");
        client.check("DECRBY n -9223372036854775808", "-ERR decrement would overflow\r\n");
        client.check("GET n", "$2\r\n-1\r\n");
    }

    fn counters_refuse_what_is_no_integer(peer) {
        let server = peer.start();
        let mut client = server.client();
        for text in ["x", "1.0", "+1", "01", "-0", "\" 1\"", "\"1 \"", "\"\"", "1e3", "0x10", "9223372036854775808", "\"1\\0\""] {
            client.check(&format!("SET k {text}"), "+OK\r\n");
            client.check("INCR k", NOT_AN_INTEGER);
            client.check("DECRBY k 2", NOT_AN_INTEGER);
            client.check(&format!("INCRBY n {text}"), NOT_AN_INTEGER);
            client.check(&format!("DECRBY n {text}"), NOT_AN_INTEGER);
        }
        client.check("EXISTS n", ":0\r\n");
        client.check("INCRBY n", "-ERR wrong number of arguments for 'incrby' command\r\n");
        client.check("INCR n 1", "-ERR wrong number of arguments for 'incr' command\r\n");
    }

    fn mset_and_mget(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("MSET a 1 b 2 c \"\"", "+OK\r\n");
        client.check("MGET a b c d a", "*5\r\n$1\r\n1\r\n$1\r\n2\r\n$0\r\n\r\n$-1\r\n$1\r\n1\r\n");
        client.check("RPUSH l x", ":1\r\n");
        client.check("MGET l a", "*2\r\n$-1\r\n$1\r\n1\r\n");
        client.check("MSET a x a y a z", "+OK\r\n");
        client.check("GET a", "$1\r\nz\r\n");
        client.check("EXPIRE a 100", ":1\r\n");
        client.check("MSET l s a t", "+OK\r\n");
        client.check("TTL a", ":-1\r\n");
        client.check("TYPE l", "+string\r\n");
        client.check("MSET a", "-ERR wrong number of arguments for 'mset' command\r\n");
        client.check("MSET a 1 b", "-ERR wrong number of arguments for 'mset' command\r\n");
        client.check("EXISTS b", ":1\r\n");
        client.check("MGET", "-ERR wrong number of arguments for 'mget' command\r\n");
        client.check("GET a", "$1\r\nt\r\n");
    }

    fn mset_of_many_keys(peer) {
        let server = peer.start();
        let mut client = server.client();
        let keys: Vec<String> = (0..3000).map(|i| format!("key:{i}")).collect();
        let mut request = vec!["MSET".to_owned()];
        request.extend(keys.iter().flat_map(|key| [key.clone(), format!("value of {key}")]));
        assert_eq!(client.request(&request).text(), "OK");
        let mut request = vec!["MGET".to_owned()];
        request.extend(keys.iter().cloned());
        let values = client.request(&request);
        assert_eq!(values.items().len(), keys.len());
        for (key, value) in keys.iter().zip(values.items()) {
            assert_eq!(value.text(), format!("value of {key}"));
        }
        client.check("DBSIZE", ":3000\r\n");
    }

    fn older_forms_of_set(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("SETNX k a", ":1\r\n");
        client.check("SETNX k b", ":0\r\n");
        client.check("SETEX k 100 12", "+OK\r\n");
        client.check("TTL k", ":100\r\n");
        client.check("OBJECT ENCODING k", "$3\r\nint\r\n");
        client.check("PSETEX k 200000 x", "+OK\r\n");
        client.check("TTL k", ":200\r\n");
        client.check("GETSET k y", "$1\r\nx\r\n");
        client.check("TTL k", ":-1\r\n");
        client.check("GETSET new y", "$-1\r\n");
        for seconds in ["0", "-1", "9223372036854775807", "-9223372036854775808"] {
            client.check(&format!("SETEX k {seconds} z"), "-ERR invalid expire time in 'setex' command\r\n");
        }
        client.check("PSETEX k 9223372036854775807 z", "-ERR invalid expire time in 'psetex' command\r\n");
        client.check("SETEX k x z", NOT_AN_INTEGER);
        client.check("GET k", "$1\r\ny\r\n");
        client.check("RPUSH l x", ":1\r\n");
        client.check("GETSET l y", WRONG_TYPE);
        client.check("SETNX l y", ":0\r\n");
        client.check("SETEX l 100 y", "+OK\r\n");
        client.check("SETEX k 100", "-ERR wrong number of arguments for 'setex' command\r\n");
    }

    fn getdel_takes(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("SET k a", "+OK\r\n");
        client.check("GETDEL k", "$1\r\na\r\n");
        client.check("GETDEL k", "$-1\r\n");
        let value = "x".repeat(100_000);
        client.request(&["SET", "k", &value]);
        assert_eq!(client.call("GETDEL k").text(), value);
        client.check("EXISTS k", ":0\r\n");
        client.check("RPUSH l x", ":1\r\n");
        client.check("GETDEL l", WRONG_TYPE);
        client.check("EXISTS l", ":1\r\n");
    }

    fn getex_sets_the_time_to_live(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("SET k a", "+OK\r\n");
        for (options, seconds) in [("", -1), ("EX 100", 100), ("", 100), ("px 200000", 200), ("PERSIST", -1), ("EX 9 EX 8", 8)] {
            client.check(&format!("GETEX k {options}"), "$1\r\na\r\n");
            client.check("TTL k", format!(":{seconds}\r\n"));
        }
        for options in ["EX", "FOO", "EX 1 PX 1", "PERSIST EX 1", "EX 1 PERSIST", "KEEPTTL", "NX", "GET"] {
            client.check(&format!("GETEX k {options}"), SYNTAX);
            client.check(&format!("GETEX missing {options}"), SYNTAX);
        }
        client.check("GETEX k EX 0", "-ERR invalid expire time in 'getex' command\r\n");
        client.check("GETEX k EX x", NOT_AN_INTEGER);
        // Nothing expires, so the time is not looked at.
        client.check("GETEX missing EX 0", "$-1\r\n");
        client.check("GETEX k EXAT 1", "$1\r\na\r\n");
        client.check("EXISTS k", ":0\r\n");
        client.check("RPUSH l x", ":1\r\n");
        client.check("GETEX l EX 0", WRONG_TYPE);
    }

    fn msetnx_sets_all_or_none(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("MSETNX a 1 b 2", ":1\r\n");
        client.check("MSETNX c 3 b 4", ":0\r\n");
        client.check("MGET a b c", "*3\r\n$1\r\n1\r\n$1\r\n2\r\n$-1\r\n");
        client.check("MSETNX d 1 d 2", ":1\r\n");
        client.check("GET d", "$1\r\n2\r\n");
        client.check("RPUSH l x", ":1\r\n");
        client.check("MSETNX l 1", ":0\r\n");
        client.check("MSETNX a", "-ERR wrong number of arguments for 'msetnx' command\r\n");
        client.check("MSETNX e 1 f", "-ERR wrong number of arguments for 'msetnx' command\r\n");
    }
}

//! Bits and bit fields: SETBIT GETBIT BITCOUNT BITPOS BITOP BITFIELD BITFIELD_RO.

use crate::support::{each_engine, same_as_redis};

const BAD_OFFSET: &str = "-ERR bit offset is not an integer or out of range\r\n";
const BAD_BIT: &str = "-ERR bit is not an integer or out of range\r\n";
const BAD_TYPE: &str =
    "-ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.\r\n";
const NOT_AN_INTEGER: &str = "-ERR value is not an integer or out of range\r\n";
const SYNTAX: &str = "-ERR syntax error\r\n";
const WRONG_TYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n";

same_as_redis! {
    fn single_bits(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("SETBIT k 7 1", ":0\r\n");
        client.check("SETBIT k 7 0", ":1\r\n");
        client.check("GET k", "$1\r\n\0\r\n");
        client.check("SETBIT k 20 1", ":0\r\n");
        client.check("GET k", "$3\r\n\0\0\x08\r\n");
        client.check("GETBIT k 20", ":1\r\n");
        client.check("GETBIT k 21", ":0\r\n");
        client.check("GETBIT k 4294967295", ":0\r\n");
        client.check("SETBIT zero 9 0", ":0\r\n");
        client.check("STRLEN zero", ":2\r\n");
        client.check("SET n 1 EX 100", "+OK\r\n");
        client.check("SETBIT n 6 1", ":0\r\n");
        client.check("GET n", "$1\r\n3\r\n");
        client.check("TTL n", ":100\r\n");
        client.check("GETBIT n 3", ":1\r\n");
        for offset in ["x", "-1", "4294967296", "9223372036854775807", "18446744073709551616", "#1", "", "01"] {
            client.check(&format!("SETBIT k \"{offset}\" 1"), BAD_OFFSET);
            client.check(&format!("GETBIT k \"{offset}\""), BAD_OFFSET);
        }
        for bit in ["2", "-1", "x", "", "01"] {
            client.check(&format!("SETBIT k 0 \"{bit}\""), BAD_BIT);
        }
        client.check("SETBIT k x 2", BAD_OFFSET);
        client.check("RPUSH l x", ":1\r\n");
        for request in ["SETBIT l 0 1", "GETBIT l 0", "BITCOUNT l", "BITPOS l 1", "BITOP OR k n l", "BITFIELD l", "BITFIELD_RO l"] {
            client.check(request, WRONG_TYPE);
        }
        client.check("SETBIT l 0 2", BAD_BIT);
    }

    fn bits_are_counted(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("SET k foobar", "+OK\r\n");
        for (range, count) in [
            ("", 26), ("0 0", 4), ("1 1", 6), ("1 1 BYTE", 6), ("5 30 BIT", 17), ("0 -1", 26), ("-2 -1", 7),
            ("-1 -2", 0), ("-100 -101", 0), ("0 -100", 4), ("6 7", 0), ("-8 -1 bit", 4), ("0 1000 BIT", 26), ("7 7 BIT", 0),
            ("-9223372036854775808 9223372036854775807", 26), ("9223372036854775807 -9223372036854775808", 0),
        ] {
            client.check(&format!("BITCOUNT k {range}"), format!(":{count}\r\n"));
        }
        client.check("BITCOUNT missing", ":0\r\n");
        client.check("BITCOUNT missing 0 5 BIT", ":0\r\n");
        client.check("BITCOUNT k 0", SYNTAX);
        client.check("BITCOUNT k 0 1 FOO", SYNTAX);
        client.check("BITCOUNT k 0 1 BIT 2", SYNTAX);
        client.check("BITCOUNT k x 1", NOT_AN_INTEGER);
        client.check("SET n 123", "+OK\r\n");
        client.check("BITCOUNT n", ":10\r\n");
    }

    fn bits_are_found(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("SET k \"\\xff\\xf0\\0\"", "+OK\r\n");
        client.check("SET ones \"\\xff\\xff\\xff\"", "+OK\r\n");
        client.check("SET zeros \"\\0\\0\\0\"", "+OK\r\n");
        client.check("SET empty \"\"", "+OK\r\n");
        for (request, position) in [
            ("k 0", 12), ("k 1", 0), ("k 1 2", -1), ("k 0 2", 16), ("k 0 0 0", -1), ("k 1 7 15 BIT", 7), ("k 0 7 15 BIT", 12),
            ("k 1 12 23 BIT", -1), ("ones 0", 24), ("ones 0 0", 24), ("ones 0 0 -1", -1), ("ones 0 0 -1 BIT", -1),
            ("ones 1 -1", 16), ("zeros 1", -1), ("zeros 0 -100 -101", 0), ("zeros 0 3", -1), ("empty 0", -1), ("empty 1", -1),
            ("missing 0", 0), ("missing 1", -1), ("missing 0 5 9", 0), ("k 1 -9223372036854775808 9223372036854775807", 0),
        ] {
            client.check(&format!("BITPOS {request}"), format!(":{position}\r\n"));
        }
        client.check("BITPOS k 2", "-ERR The bit argument must be 1 or 0.\r\n");
        client.check("BITPOS k x", NOT_AN_INTEGER);
        client.check("BITPOS k 1 0 BIT", NOT_AN_INTEGER);
        client.check("BITPOS k 1 0 1 FOO", SYNTAX);
        client.check("BITPOS k 1 0 1 BIT 1", SYNTAX);
    }

    fn strings_are_combined(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("SET a \"\\xf0\\x0f\\xff\" EX 100", "+OK\r\n");
        client.check("SET b \"\\xaa\\xaa\"", "+OK\r\n");
        for (operation, expected) in [
            ("AND d a b", b"\xa0\x0a\x00"), ("or d a b", b"\xfa\xaf\xff"), ("XOR d a b", b"\x5a\xa5\xff"), ("NOT d a", b"\x0f\xf0\x00"),
            ("AND d a missing", b"\0\0\0"), ("OR d a", b"\xf0\x0f\xff"), ("XOR d a a a", b"\xf0\x0f\xff"),
        ] {
            client.check("SET d x EX 100", "+OK\r\n");
            client.check(&format!("BITOP {operation}"), ":3\r\n");
            client.check("GET d", [b"$3\r\n".as_slice(), expected, b"\r\n"].concat());
            client.check("TTL d", ":-1\r\n");
            client.check("OBJECT ENCODING d", "$3\r\nraw\r\n");
        }
        client.check("BITOP NOT a a", ":3\r\n");
        client.check("GET a", b"$3\r\n\x0f\xf0\0\r\n");
        client.check("RPUSH l x", ":1\r\n");
        client.check("BITOP OR l a", ":3\r\n");
        client.check("TYPE l", "+string\r\n");
        client.check("BITOP OR l missing nothing", ":0\r\n");
        client.check("EXISTS l", ":0\r\n");
        client.check("BITOP FOO d a", SYNTAX);
        client.check("BITOP NOT d a b", "-ERR BITOP NOT must be called with a single source key.\r\n");
        client.check("SET n 12", "+OK\r\n");
        client.check("BITOP AND d n n", ":2\r\n");
        client.check("GET d", "$2\r\n12\r\n");
    }

    fn fields_are_read_and_written(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("BITFIELD k INCRBY i5 100 1 GET u4 0", "*2\r\n:1\r\n:0\r\n");
        client.check("STRLEN k", ":14\r\n");
        client.check("BITFIELD f SET u8 0 255 GET u4 #1 SET i8 8 -1 GET i16 0", "*4\r\n:0\r\n:15\r\n:0\r\n:-1\r\n");
        client.check("BITFIELD f GET u63 1 GET i64 0", "*2\r\n:9223090561878065152\r\n:-281474976710656\r\n");
        client.check(
            "BITFIELD s INCRBY u2 100 1 OVERFLOW SAT INCRBY u2 102 1 INCRBY u2 102 3 OVERFLOW FAIL INCRBY u2 102 1 SET u2 102 9",
            "*5\r\n:1\r\n:1\r\n:3\r\n$-1\r\n$-1\r\n",
        );
        client.check("BITFIELD k", "*0\r\n");
        client.check("BITFIELD k OVERFLOW SAT", "*0\r\n");
        client.check("BITFIELD missing GET u8 0 GET i63 400", "*2\r\n:0\r\n:0\r\n");
        client.check("EXISTS missing", ":0\r\n");
        client.check("BITFIELD u OVERFLOW SAT SET u8 0 -1 GET u8 0", "*2\r\n:0\r\n:255\r\n");
        client.check("BITFIELD_RO u GET u8 0 get i8 #0", "*2\r\n:255\r\n:-1\r\n");
        client.check("BITFIELD_RO u", "*0\r\n");
        client.check("BITFIELD_RO u GET u8 0 SET u8 0 1", "-ERR BITFIELD_RO only supports the GET subcommand\r\n");
        for name in ["u64", "i65", "u0", "i0", "x8", "u", "u-1", "U8", "u08", ""] {
            client.check(&format!("BITFIELD k GET \"{name}\" 0"), BAD_TYPE);
        }
        for offset in ["-1", "x", "4294967296", "#9223372036854775807", "#-1", "#", ""] {
            client.check(&format!("BITFIELD k SET u8 0 1 SET u8 \"{offset}\" 1"), BAD_OFFSET);
        }
        client.check("BITFIELD k OVERFLOW FOO", "-ERR Invalid OVERFLOW type specified\r\n");
        client.check("BITFIELD k SET u8 0 x", NOT_AN_INTEGER);
        for rest in ["FOO", "GET u8", "SET u8 0", "INCRBY u8 0", "OVERFLOW", "GET u8 0 GET"] {
            client.check(&format!("BITFIELD k {rest}"), SYNTAX);
        }
        assert!(!client.call("HELLO 3").is_error());
        client.check("BITFIELD s OVERFLOW FAIL INCRBY u2 102 1", "*1\r\n_\r\n");
    }
}

each_engine! {
    fn newer_operations(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("SET x \"\\xf0\\xf0\"", "+OK\r\n");
        client.check("SET y \"\\xaa\"", "+OK\r\n");
        client.check("SET z \"\\x0f\\x0f\\x0f\"", "+OK\r\n");
        for (operation, expected) in [
            ("DIFF d x y z", b"\x50\xf0\x00"), ("diff1 d x y z", b"\x0f\x0f\x0f"), ("ANDOR d x y z", b"\xa0\x00\x00"),
            ("ONE d x y z", b"\x55\xff\x0f"),
        ] {
            client.check(&format!("BITOP {operation}"), ":3\r\n");
            client.check("GET d", [b"$3\r\n".as_slice(), expected, b"\r\n"].concat());
        }
        client.check("BITOP ONE d x", ":2\r\n");
        client.check("BITOP DIFF d missing nothing", ":0\r\n");
        client.check("EXISTS d", ":0\r\n");
        for name in ["DIFF", "DIFF1", "ANDOR"] {
            let text = format!("-ERR BITOP {name} must be called with at least two source keys.\r\n");
            client.check(&format!("BITOP {} d x", name.to_lowercase()), text);
        }
    }

    /// As Redis does since 7.2; 7.0 looks at them only if the key exists.
    fn arguments_are_checked_even_if_the_key_is_missing(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("BITCOUNT missing x 1", NOT_AN_INTEGER);
        client.check("BITCOUNT missing 0", SYNTAX);
        client.check("BITPOS missing 1 0 1 FOO", SYNTAX);
        client.check("BITPOS missing 1 x", NOT_AN_INTEGER);
    }
}

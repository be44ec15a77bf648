//! Parts of strings: APPEND SETRANGE GETRANGE SUBSTR STRLEN LCS.

use std::time::Instant;

use crate::support::{Client, each_engine, same_as_redis};

const NOT_AN_INTEGER: &str = "-ERR value is not an integer or out of range\r\n";
const TOO_LONG: &str = "-ERR string exceeds maximum allowed size (proto-max-bulk-len)\r\n";
const WRONG_TYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n";

fn encoding(client: &mut Client, key: &str) -> String {
    client.call(&format!("OBJECT ENCODING {key}")).text()
}

same_as_redis! {
    fn strings_grow_at_the_end(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("APPEND k Hello", ":5\r\n");
        client.check("APPEND k \" World\"", ":11\r\n");
        client.check("GET k", "$11\r\nHello World\r\n");
        client.check("APPEND k \"\"", ":11\r\n");
        client.check("SET n 12 EX 100", "+OK\r\n");
        client.check("APPEND n 34", ":4\r\n");
        client.check("INCR n", ":1235\r\n");
        client.check("TTL n", ":100\r\n");
        client.check("APPEND empty \"\"", ":0\r\n");
        client.check("EXISTS empty", ":1\r\n");
    }

    fn appending_piece_by_piece_gives_the_whole(peer) {
        let server = peer.start();
        let mut client = server.client();
        let mut expected = Vec::new();
        // Across the sizes at which a string moves out of its entry.
        for i in 0..3000_u32 {
            let piece = vec![i as u8; (i % 7) as usize];
            expected.extend_from_slice(&piece);
            let len = client.request(&[b"APPEND".as_slice(), b"k", &piece]).int();
            assert_eq!(len as usize, expected.len());
        }
        assert!(client.call("GET k").bytes() == expected);
        client.check("STRLEN k", format!(":{}\r\n", expected.len()));
    }

    fn what_was_changed_in_place_is_raw(peer) {
        let server = peer.start();
        let mut client = server.client();
        for change in ["APPEND k x", "SETRANGE k 0 x", "SETBIT k 1 1", "APPEND k \"\"", "BITFIELD k SET u4 0 1"] {
            for value in ["12", "text", "", &"x".repeat(44), &"x".repeat(45), &"x".repeat(2000)] {
                client.request(&["SET", "k", value]);
                assert_ne!((value, encoding(&mut client, "k").as_str()), ("text", "raw"));
                client.call(change);
                assert_eq!(encoding(&mut client, "k"), "raw", "{change} {value}");
                client.check("EXPIRE k 100", ":1\r\n");
                client.check("RENAME k k2", "+OK\r\n");
                assert_eq!(encoding(&mut client, "k2"), "raw", "{change} {value}");
            }
            client.check("SET k2 text", "+OK\r\n");
            assert_eq!(encoding(&mut client, "k2"), "embstr");
        }
        client.check("APPEND new 12", ":2\r\n");
        assert_eq!(encoding(&mut client, "new"), "int");
        client.check("SETRANGE other 0 12", ":2\r\n");
        assert_eq!(encoding(&mut client, "other"), "raw");
        client.check("INCR other", ":13\r\n");
        assert_eq!(encoding(&mut client, "other"), "int");
        client.check("SETRANGE other 1 \"\"", ":2\r\n");
        assert_eq!(encoding(&mut client, "other"), "int");
    }

    fn ranges_are_overwritten(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("SET k \"Hello World\" EX 100", "+OK\r\n");
        client.check("SETRANGE k 6 Redis", ":11\r\n");
        client.check("GET k", "$11\r\nHello Redis\r\n");
        client.check("SETRANGE k 13 !", ":14\r\n");
        client.check("GET k", "$14\r\nHello Redis\0\0!\r\n");
        client.check("TTL k", ":100\r\n");
        client.check("SETRANGE new 3 x", ":4\r\n");
        client.check("GET new", "$4\r\n\0\0\0x\r\n");
        client.check("SETRANGE none 3 \"\"", ":0\r\n");
        client.check("EXISTS none", ":0\r\n");
        client.check("SET n 1234", "+OK\r\n");
        client.check("SETRANGE n 1 0", ":4\r\n");
        client.check("INCR n", ":1035\r\n");
        client.check("SETRANGE k -1 x", "-ERR offset is out of range\r\n");
        client.check("SETRANGE k x x", NOT_AN_INTEGER);
        client.check("RPUSH l x", ":1\r\n");
        for request in ["SETRANGE l 0 x", "SETRANGE l 0 \"\"", "APPEND l x", "STRLEN l", "GETRANGE l 0 1", "SUBSTR l 0 1"] {
            client.check(request, WRONG_TYPE);
        }
    }

    fn no_string_grows_beyond_the_limit(peer) {
        let server = peer.start_with(&["--proto-max-bulk-len", "1mb"]);
        let mut client = server.client();
        client.check("SETRANGE k 1048575 x", ":1048576\r\n");
        for request in [
            "SETRANGE k 1048576 x",
            "SETRANGE k 1048575 xx",
            "SETRANGE k 9223372036854775807 x",
            "SETRANGE new 1048576 x",
            "APPEND k x",
        ] {
            client.check(request, TOO_LONG);
        }
        client.check("SETBIT k 8388608 1", "-ERR bit offset is not an integer or out of range\r\n");
        client.check("SETBIT k 8388607 1", ":0\r\n");
        client.check("STRLEN k", ":1048576\r\n");
        client.check("EXISTS new", ":0\r\n");
    }

    fn ranges_are_read(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("SET k \"This is a string\"", "+OK\r\n");
        for (range, expected) in [
            ("0 3", "This"),
            ("-3 -1", "ing"),
            ("0 -1", "This is a string"),
            ("10 100", "string"),
            ("100 200", ""),
            ("5 3", ""),
            ("0 -100", "T"),
            ("-100 -99", "T"),
            ("-100 -101", ""),
            ("-9223372036854775808 9223372036854775807", "This is a string"),
            ("9223372036854775807 -9223372036854775808", ""),
        ] {
            for command in ["GETRANGE", "SUBSTR"] {
                client.check(&format!("{command} k {range}"), format!("${}\r\n{expected}\r\n", expected.len()));
            }
        }
        client.check("GETRANGE missing 0 -1", "$0\r\n\r\n");
        client.check("GETRANGE k x 1", NOT_AN_INTEGER);
        client.check("SET n -123", "+OK\r\n");
        client.check("GETRANGE n 0 1", "$2\r\n-1\r\n");
        client.check("STRLEN n", ":4\r\n");
        client.check("STRLEN missing", ":0\r\n");
    }

    fn common_subsequences(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("MSET a ohmytext b mynewtext n 1234 m 2342", "+OK\r\n");
        client.check("LCS a b", "$6\r\nmytext\r\n");
        client.check("LCS a b LEN", ":6\r\n");
        client.check(
            "LCS a b IDX",
            "*4\r\n$7\r\nmatches\r\n*2\r\n*2\r\n*2\r\n:4\r\n:7\r\n*2\r\n:5\r\n:8\r\n*2\r\n*2\r\n:2\r\n:3\r\n*2\r\n:0\r\n:1\r\n$3\r\nlen\r\n:6\r\n",
        );
        client.check(
            "LCS a b idx minmatchlen 4 withmatchlen",
            "*4\r\n$7\r\nmatches\r\n*1\r\n*3\r\n*2\r\n:4\r\n:7\r\n*2\r\n:5\r\n:8\r\n:4\r\n$3\r\nlen\r\n:6\r\n",
        );
        client.check("LCS a b IDX MINMATCHLEN 5", "*4\r\n$7\r\nmatches\r\n*0\r\n$3\r\nlen\r\n:6\r\n");
        client.check("LCS n m", "$3\r\n234\r\n");
        client.check("LCS a missing", "$0\r\n\r\n");
        client.check("LCS missing missing LEN", ":0\r\n");
        client.check("LCS a a", "$8\r\nohmytext\r\n");
        client.check("LCS a b LEN IDX", "-ERR If you want both the length and indexes, please just use IDX.\r\n");
        client.check("LCS a b MINMATCHLEN", "-ERR syntax error\r\n");
        client.check("LCS a b MINMATCHLEN x", NOT_AN_INTEGER);
        client.check("LCS a b FOO", "-ERR syntax error\r\n");
        client.check("RPUSH l x", ":1\r\n");
        client.check("LCS a l FOO", "-ERR The specified keys must contain string values\r\n");
        assert!(!client.call("HELLO 3").is_error());
        client.check("LCS a missing IDX", "%2\r\n$7\r\nmatches\r\n*0\r\n$3\r\nlen\r\n:0\r\n");
    }
}

each_engine! {
    fn a_table_that_would_be_too_large_is_refused(peer) {
        let server = peer.start();
        let (mut client, mut other) = (server.client(), server.client());
        let too_large =
            "-ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len\r\n";
        client.check("SETRANGE a 524287 x", ":524288\r\n");
        client.check("SETRANGE b 524287 x", ":524288\r\n");
        client.check("LCS a b", too_large);
        client.check("LCS a b LEN", too_large);
        // The largest that is not: 11,584 squared.
        client.check("SETRANGE c 11583 x", ":11584\r\n");
        let since = Instant::now();
        client.check("LCS c c LEN", ":11584\r\n");
        other.check("PING", "+PONG\r\n");
        assert_eq!(client.call("LCS c c").bytes().len(), 11584);
        // Milliseconds when optimized; far below Redis' half second even if not.
        assert!(since.elapsed().as_millis() < 10_000, "{:?}", since.elapsed());
        let server = peer.start_with(&["--proto-max-bulk-len", "1mb"]);
        let mut client = server.client();
        client.check("SETRANGE c 511 x", ":512\r\n");
        client.check("LCS c c LEN", too_large);
    }

    fn memory_far_behind_the_end_is_not_used(peer) {
        let server = peer.start();
        let mut client = server.client();
        let before = server.resident_bytes();
        client.check("SETRANGE k 400000000 x", ":400000001\r\n");
        client.check("SETBIT bits 3200000000 1", ":0\r\n");
        client.check("GETRANGE k 399999998 -1", "$3\r\n\0\0x\r\n");
        // Zeros that nobody has touched are no memory yet.
        assert!(server.resident_bytes() < before + (200 << 20), "{} {before}", server.resident_bytes());
    }

    fn a_string_that_a_slow_reader_has_stays_as_it_was(peer) {
        let server = peer.start();
        let (mut reader, mut writer) = (server.client(), server.client());
        let value = vec![b'a'; 4 << 20];
        assert_eq!(writer.request(&[b"SET".as_slice(), b"k", &value]).text(), "OK");
        reader.send("GET k\r\n");
        reader.expect("$4194304\r\n");
        writer.check("SETRANGE k 0 bbbb", ":4194304\r\n");
        writer.check("APPEND k b", ":4194305\r\n");
        reader.expect(&value);
        reader.expect("\r\n");
        writer.check("GETRANGE k 0 4", "$5\r\nbbbba\r\n");
    }
}

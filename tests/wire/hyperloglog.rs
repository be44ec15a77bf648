//! HyperLogLog: PFADD PFCOUNT PFMERGE PFDEBUG PFSELFTEST.

use crate::support::client::encode;
use crate::support::{Client, Peer, each_engine, same_as_redis};

const CORRUPTED: &str = "-INVALIDOBJ Corrupted HLL object detected\r\n";
const NO_HLL: &str = "-WRONGTYPE Key is not a valid HyperLogLog string value.\r\n";
const WRONG_TYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n";

/// Adds many random elements at once; `seed` decides which.
fn add(client: &mut Client, key: &str, count: usize, seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut words = vec!["PFADD".to_owned(), key.to_owned()];
    words.extend((0..count).map(|_| format!("{:x}", random.u64(..) >> random.u32(0..60))));
    client.request(&words);
}

same_as_redis! {
    fn elements_are_counted(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("PFADD h a b c d e f g", ":1\r\n");
        client.check("PFADD h a b", ":0\r\n");
        client.check("PFCOUNT h", ":7\r\n");
        client.check("PFADD h h", ":1\r\n");
        client.check("PFCOUNT h", ":8\r\n");
        client.check("PFADD i 1 2 3 a", ":1\r\n");
        client.check("PFCOUNT h i missing", ":11\r\n");
        client.check("PFCOUNT missing", ":0\r\n");
        client.check("PFCOUNT missing nothing", ":0\r\n");
        client.check("PFADD new", ":1\r\n");
        client.check("PFADD new", ":0\r\n");
        client.check("GET new", b"$18\r\nHYLL\x01\0\0\0\0\0\0\0\0\0\0\x80\x7f\xff\r\n");
        client.check("PFCOUNT new", ":0\r\n");
        client.check("GET new", b"$18\r\nHYLL\x01\0\0\0\0\0\0\0\0\0\0\0\x7f\xff\r\n");
        client.check("PFMERGE all h i", "+OK\r\n");
        client.check("PFCOUNT all", ":11\r\n");
        client.check("PFMERGE none missing", "+OK\r\n");
        client.check("PFCOUNT none", ":0\r\n");
        client.check("PFMERGE all", "+OK\r\n");
        client.check("TYPE all", "+string\r\n");
        client.check("EXPIRE all 100", ":1\r\n");
        client.check("PFADD all x", ":1\r\n");
        client.check("PFMERGE all h", "+OK\r\n");
        client.check("TTL all", ":100\r\n");
    }

    fn what_is_none_is_refused(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("RPUSH l x", ":1\r\n");
        client.check("MSET n 12 s foo short HYLL odd \"HYLL\\x02\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\x7f\\xff\"", "+OK\r\n");
        for (key, error) in [("l", WRONG_TYPE), ("n", NO_HLL), ("s", NO_HLL), ("short", NO_HLL), ("odd", NO_HLL)] {
            client.check(&format!("PFADD {key} a"), error);
            client.check(&format!("PFCOUNT {key}"), error);
            client.check(&format!("PFCOUNT missing {key}"), error);
            client.check(&format!("PFMERGE d {key}"), error);
            client.check(&format!("PFMERGE {key}"), error);
            client.check(&format!("PFDEBUG ENCODING {key}"), error);
        }
        client.check("EXISTS d", ":0\r\n");
    }

    fn corrupted_runs_are_an_error(peer) {
        let server = peer.start();
        let mut client = server.client();
        let header = b"HYLL\x01\0\0\0\0\0\0\0\0\0\0\x80";
        for runs in [b"\x7f\xfe".as_slice(), b"\x7f\xff\0", b"\x80\x7f\xff", b"", b"\x7f\xff\xff"] {
            assert_eq!(client.request(&[b"SET".as_slice(), b"h", &[header, runs].concat()]).text(), "OK");
            for request in ["PFCOUNT h", "PFCOUNT h missing", "PFMERGE d h", "PFDEBUG GETREG h", "PFDEBUG TODENSE h"] {
                client.check(request, CORRUPTED);
            }
            client.check("PFDEBUG ENCODING h", "+sparse\r\n");
        }
        assert_eq!(client.request(&[b"SET".as_slice(), b"h", &[header.as_slice(), b"\0\0\0"].concat()]).text(), "OK");
        client.check("PFADD h a b c", CORRUPTED);
    }

    fn encodings_change_where_redis_changes_them(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("PFADD h a b", ":1\r\n");
        client.check("PFDEBUG ENCODING h", "+sparse\r\n");
        client.check("PFDEBUG DECODE h", "$32\r\nZ:12711 v:2,1 Z:3068 v:1,1 Z:603\r\n");
        client.check("PFDEBUG TODENSE h", ":1\r\n");
        client.check("PFDEBUG TODENSE h", ":0\r\n");
        client.check("PFDEBUG ENCODING h", "+dense\r\n");
        client.check("PFDEBUG DECODE h", "-ERR HLL encoding is not sparse\r\n");
        client.check("STRLEN h", ":12304\r\n");
        assert_eq!(client.call("PFDEBUG GETREG h").items().len(), 16384);
        client.check("PFDEBUG FOO h", "-ERR Unknown PFDEBUG subcommand 'FOO'\r\n");
        client.check("PFDEBUG FOO missing", "-ERR The specified key does not exist\r\n");
        client.check("CONFIG SET hll-sparse-max-bytes 30", "+OK\r\n");
        client.check("PFADD i a b c d e f g h i j k l m n o p", ":1\r\n");
        client.check("PFDEBUG ENCODING i", "+dense\r\n");
        client.check("PFCOUNT i", ":16\r\n");
    }
}

#[test]
fn the_same_elements_give_the_bytes_of_redis() {
    if !Peer::has_redis() {
        return;
    }
    let (redis, kiba) = (Peer::Redis.start(), Peer::Sharded.start());
    let (mut redis, mut kiba) = (redis.client(), kiba.client());
    let mut random = fastrand::Rng::with_seed(11);
    for round in 0..400_u64 {
        let keys = ["a", "b", "c", "d"];
        let mut key = || keys[random.usize(..keys.len())];
        let (one, two, three) = (key(), key(), key());
        let count = [1, 5, 30, 200][round as usize % 4];
        let request = match round % 9 {
            0..5 => {
                add(&mut redis, one, count, round);
                add(&mut kiba, one, count, round);
                format!("PFCOUNT {one} {two}")
            }
            5 => format!("PFMERGE {one} {two} {three}"),
            6 => format!("PFCOUNT {one}"),
            7 => format!("PFADD {one} {round}"),
            _ if round % 5 == 0 => format!("DEL {one}"),
            _ => format!("PFCOUNT {one} {two} {three}"),
        };
        assert_eq!(redis.call(&request), kiba.call(&request), "{request}");
        for key in keys {
            let get = encode(&["GET", key]);
            redis.send(&get);
            kiba.send(&get);
            assert!(redis.read_raw() == kiba.read_raw(), "round {round}: {key} differs after {request}");
        }
    }
}

each_engine! {
    fn the_self_test_passes(peer) {
        let server = peer.start();
        server.client().check("PFSELFTEST", "+OK\r\n");
    }

    fn an_error_adds_nothing(peer) {
        let server = peer.start();
        let mut client = server.client();
        let value = b"HYLL\x01\0\0\0\0\0\0\0\0\0\0\x80\x60\0";
        assert_eq!(client.request(&[b"SET".as_slice(), b"h", value]).text(), "OK");
        // Some elements belong to registers that are there, others do not.
        client.check("PFADD h a b c d e f g h i j k l", CORRUPTED);
        assert_eq!(client.call("GET h").bytes(), value);
    }

    fn counting_is_no_change(peer) {
        let server = peer.start();
        let (mut client, mut other) = (server.client(), server.client());
        client.check("PFADD h a", ":1\r\n");
        client.check("WATCH h", "+OK\r\n");
        other.check("PFCOUNT h", ":1\r\n");
        client.check("MULTI", "+OK\r\n");
        client.check("PFCOUNT h", "+QUEUED\r\n");
        client.check("EXEC", "*1\r\n:1\r\n");
        client.check("WATCH h", "+OK\r\n");
        other.check("PFADD h a", ":0\r\n");
        other.check("PFADD h b", ":1\r\n");
        client.check("MULTI", "+OK\r\n");
        client.check("EXEC", "*-1\r\n");
    }

    fn counting_waits_while_writes_are_paused(peer) {
        let server = peer.start();
        let (mut client, mut other) = (server.client(), server.client());
        client.check("PFADD h a", ":1\r\n");
        other.check("CLIENT PAUSE 60000 WRITE", "+OK\r\n");
        client.send("PFCOUNT h\r\n");
        other.check("GETRANGE h 0 3", "$4\r\nHYLL\r\n");
        other.check("CLIENT UNPAUSE", "+OK\r\n");
        client.expect(":1\r\n");
    }
}

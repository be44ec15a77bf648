//! Strings that are numbers: INCRBYFLOAT. The counters of integers are in `string`.

use crate::support::client::encode;
use crate::support::{Client, Peer, each_engine, same_as_redis};

const NOT_A_FLOAT: &str = "-ERR value is not a valid float\r\n";
const INFINITE: &str = "-ERR increment would produce NaN or Infinity\r\n";

same_as_redis! {
    fn floats_are_added_as_people_write_them(peer) {
        let server = peer.start();
        let mut client = server.client();
        for (old, amount, sum) in [
            ("10.50", "0.1", "10.6"),
            ("10.6", "-5", "5.6"),
            ("5.0e3", "2.0e2", "5200"),
            ("3.0e3", "0", "3000"),
            ("0.1", "0.2", "0.3"),
            ("1", "1", "2"),
            ("-0", "-0", "0"),
            ("1.5", "-1.5", "0"),
            ("9223372036854775807", "1", "9223372036854775808"),
            ("0x10", "0x1p-1", "16.5"),
            ("1e30", "1", "1000000000000000000024696061952"),
        ] {
            assert_eq!(client.request(&["SET", "f", old]).text(), "OK");
            assert_eq!(client.request(&["INCRBYFLOAT", "f", amount]).text(), sum, "{old} + {amount}");
            client.check("GET f", format!("${}\r\n{sum}\r\n", sum.len()));
        }
        client.check("INCRBYFLOAT new -1.25", "$5\r\n-1.25\r\n");
        client.check("INCRBYFLOAT new 1.25", "$1\r\n0\r\n");
        // A text, even if it looks like an integer; and a counter again.
        client.check("OBJECT ENCODING new", "$6\r\nembstr\r\n");
        client.check("INCR new", ":1\r\n");
        client.check("OBJECT ENCODING new", "$3\r\nint\r\n");
    }

    fn floats_have_the_range_of_a_long_double(peer) {
        let server = peer.start();
        let mut client = server.client();
        assert_eq!(client.call("INCRBYFLOAT f 1e4932").text().len(), 4933);
        for _ in 0..2 {
            client.check("INCRBYFLOAT f 1.1e4932", INFINITE);
        }
        client.check("INCRBYFLOAT f -1e4932", "$1\r\n0\r\n");
        client.check("INCRBYFLOAT f 1e-4950", "$1\r\n0\r\n");
        client.check("INCRBYFLOAT f 1e-4960", NOT_A_FLOAT);
        client.check("INCRBYFLOAT f 1e4933", NOT_A_FLOAT);
        client.check("INCRBYFLOAT f inf", INFINITE);
        client.check("SET f -inf", "+OK\r\n");
        client.check("INCRBYFLOAT f 1", INFINITE);
        client.check("INCRBYFLOAT f +inf", INFINITE);
    }

    fn what_is_no_float_is_refused(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("SET f 1", "+OK\r\n");
        for text in ["x", "", " 1", "1 ", "1e", "nan", "-nan", "1_0", "0x", "1.5.2", "--1", "1\0"] {
            client.send(encode(&["INCRBYFLOAT", "f", text]));
            client.expect(NOT_A_FLOAT);
            client.request(&["SET", "bad", text]);
            client.check("INCRBYFLOAT bad 1", NOT_A_FLOAT);
        }
        client.check("GET f", "$1\r\n1\r\n");
        client.check("RPUSH l x", ":1\r\n");
        client.check("INCRBYFLOAT l x", "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n");
        client.check("INCRBYFLOAT f", "-ERR wrong number of arguments for 'incrbyfloat' command\r\n");
    }

    fn floats_keep_the_time_to_live(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("SET f 1 EX 100", "+OK\r\n");
        client.check("INCRBYFLOAT f 0.5", "$3\r\n1.5\r\n");
        client.check("TTL f", ":100\r\n");
    }
}

/// Random sums, many at once.
fn sums(client: &mut Client, pairs: &[(String, String)]) -> Vec<Vec<u8>> {
    let mut input = Vec::new();
    for (old, amount) in pairs {
        input.extend(encode(&["SET", "f", old]));
        input.extend(encode(&["INCRBYFLOAT", "f", amount]));
    }
    client.send(input);
    let mut read = || {
        client.expect("+OK\r\n");
        client.read_raw()
    };
    pairs.iter().map(|_| read()).collect()
}

#[test]
fn thousands_of_random_sums_are_those_of_redis() {
    if !Peer::has_redis() {
        return;
    }
    let (redis, kiba) = (Peer::Redis.start(), Peer::Sharded.start());
    let (mut redis, mut kiba) = (redis.client(), kiba.client());
    let mut random = fastrand::Rng::with_seed(5);
    let mut digits = |most: usize| -> String {
        let len = random.usize(1..=most);
        (0..len).map(|_| random.digit(10)).collect()
    };
    let mut pairs = Vec::new();
    for i in 0..6000_usize {
        let most = [2, 5, 12, 25][i % 4];
        let mut number = |i: usize| {
            let sign = if i.is_multiple_of(3) { "-" } else { "" };
            let exponent = match i % 5 {
                0 => format!("e{}", i as i64 % 60 - 30),
                1 if i.is_multiple_of(7) => format!("e-{}", i % 4900),
                _ => String::new(),
            };
            format!("{sign}{}.{}{exponent}", digits(most), digits(most))
        };
        pairs.push((number(i), number(i / 4)));
    }
    for pairs in pairs.chunks(200) {
        for ((pair, expected), found) in pairs.iter().zip(sums(&mut redis, pairs)).zip(sums(&mut kiba, pairs)) {
            assert_eq!(expected.escape_ascii().to_string(), found.escape_ascii().to_string(), "{pair:?}");
        }
    }
}

each_engine! {
    fn digits_of_the_largest_number_hold_up_nobody(peer) {
        let server = peer.start();
        let (mut client, mut other) = (server.client(), server.client());
        let largest = format!("{}e{}", "1034567892".repeat(500), 4932 - 5000 + 1);
        for _ in 0..20 {
            client.send(encode(&["INCRBYFLOAT", "f", &largest]));
            client.send(encode(&["INCRBYFLOAT", "f", &format!("-{largest}")]));
            other.check("PING", "+PONG\r\n");
        }
        for _ in 0..20 {
            assert_eq!(client.read().text().len(), 4933);
            assert_eq!(client.read().text(), "0");
        }
    }
}

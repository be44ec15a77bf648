//! Framing: arrays, inline commands, pipelines, and requests that arrive in pieces.

use crate::support::client::encode;
use crate::support::{each_engine, same_as_redis};

/// A conversation of every form of request, and its replies.
const REQUESTS: &[u8] = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\na\r\nbc\r\nPING\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n\r\n*0\r\n*-1\r\n  set  q  \"x\\x41\\n y\" \n\
    get q\r\n*1\r\n$5\r\nMULTI\r\n";
const REPLIES: &[u8] = b"+OK\r\n+PONG\r\n$5\r\na\r\nbc\r\n+OK\r\n$5\r\nxA\n y\r\n";

same_as_redis! {
    fn inline_commands(peer) {
        let server = peer.start();
        let mut client = server.client();
        for (request, reply) in [
            ("PING\r\n", "+PONG\r\n"),
            ("PING\n", "+PONG\r\n"),
            ("   PING   \r\n", "+PONG\r\n"),
            ("\tECHO\tx\r\n", "$1\r\nx\r\n"),
            ("ECHO \"a b\"\r\n", "$3\r\na b\r\n"),
            ("ECHO 'a b'\r\n", "$3\r\na b\r\n"),
            ("ECHO \"\"\r\n", "$0\r\n\r\n"),
            ("ECHO ''\r\n", "$0\r\n\r\n"),
            ("ECHO \"\\x41\\n\\r\\t\\a\\b\\\\\\\"\\q\"\r\n", "$9\r\nA\n\r\t\x07\x08\\\"q\r\n"),
            ("ECHO \"\\xZZ\"\r\n", "$3\r\nxZZ\r\n"),
            ("ECHO 'a\\'b\\n'\r\n", "$5\r\na'b\\n\r\n"),
            ("ECHO \\x41\r\n", "$4\r\n\\x41\r\n"),
            ("\"ECHO\" 'x'\r\n", "$1\r\nx\r\n"),
            ("ECHO a\"b c\"\r\n", "$4\r\nab c\r\n"),
            ("\r\n\r\n\n \r\nPING\r\n", "+PONG\r\n"),
        ] {
            client.send(request);
            client.expect(reply);
        }
        client.expect_open();
    }

    fn requests_in_one_write(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.send(REQUESTS);
        client.expect(REPLIES);
        client.expect("+OK\r\n");
    }

    fn requests_split_at_any_byte(peer) {
        let server = peer.start();
        let mut client = server.client();
        for split in 1..REQUESTS.len() {
            client.send(&REQUESTS[..split]);
            // What was complete is answered before the rest comes.
            let answered = (0..=REPLIES.len()).rev().find(|&len| len == answers_before(split)).unwrap_or(0);
            client.expect(&REPLIES[..answered]);
            client.send(&REQUESTS[split..]);
            client.expect(&REPLIES[answered..]);
            client.expect("+OK\r\n");
            client.check("DISCARD", "+OK\r\n");
        }
    }

    fn requests_byte_by_byte(peer) {
        let server = peer.start();
        let mut client = server.client();
        for byte in REQUESTS {
            client.send([*byte]);
        }
        client.expect(REPLIES);
        client.expect("+OK\r\n");
    }

    fn a_long_pipeline(peer) {
        let server = peer.start();
        let mut client = server.client();
        let mut requests = Vec::new();
        for i in 0..10_000 {
            requests.extend_from_slice(&encode(&["INCR", "n"]));
            requests.extend_from_slice(format!("ECHO {i}\r\n").as_bytes());
        }
        client.send(&requests);
        for i in 0..10_000 {
            client.expect(format!(":{}\r\n", i + 1));
            let text = i.to_string();
            client.expect(format!("${}\r\n{text}\r\n", text.len()));
        }
        client.expect_open();
    }

    /// What the requests will need is asked for ahead, of whatever type the value is.
    fn a_pipeline_on_one_key_of_each_type(peer) {
        const MANY: usize = 1000;
        let server = peer.start();
        let mut client = server.client();
        client.check("SET string v", "+OK\r\n");
        for i in 0..MANY {
            client.check(&format!("HSET hash f{i} {i}"), ":1\r\n");
            client.check(&format!("SADD set m{i}"), ":1\r\n");
            client.check(&format!("ZADD zset {i} m{i}"), ":1\r\n");
            client.check(&format!("RPUSH list {i}"), format!(":{}\r\n", i + 1));
        }
        let wrong = "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n".to_owned();
        for key in ["hash", "set", "zset", "list", "string", "none"] {
            let (mut requests, mut replies) = (String::new(), String::new());
            for i in (0..2 * MANY).step_by(7) {
                let found = |value: String| if i < MANY { value } else { "$-1\r\n".into() };
                let bulk = format!("${}\r\n{i}\r\n", i.to_string().len());
                requests += &format!("HGET {key} f{i}\r\nSISMEMBER {key} m{i}\r\nZSCORE {key} m{i}\r\nHDEL {key}\r\n");
                let answers = match key {
                    "hash" => [found(bulk), wrong.clone(), wrong.clone()],
                    "set" => [wrong.clone(), format!(":{}\r\n", u8::from(i < MANY)), wrong.clone()],
                    "zset" => [wrong.clone(), wrong.clone(), found(bulk)],
                    "none" => ["$-1\r\n".into(), ":0\r\n".into(), "$-1\r\n".into()],
                    _ => [wrong.clone(), wrong.clone(), wrong.clone()],
                };
                replies += &answers.concat();
                replies += "-ERR wrong number of arguments for 'hdel' command\r\n";
            }
            client.send(&requests);
            client.expect(&replies);
        }
        let (mut requests, mut replies) = (String::new(), String::new());
        for i in (0..MANY).rev() {
            // The score is changed, the member added, taken out.
            requests += &format!("ZADD zset {} m{i}\r\nZADD zset NX CH {i} n{i}\r\nZREM zset n{i}\r\n", MANY - i);
            replies += ":0\r\n:1\r\n:1\r\n";
        }
        client.send(&requests);
        client.expect(&replies);
        client.check("ZRANK zset m0", format!(":{}\r\n", MANY - 1));
        client.check("ZRANGE zset 0 0", format!("*1\r\n$4\r\nm{}\r\n", MANY - 1));
    }

    fn large_values_in_pieces(peer) {
        let server = peer.start();
        let mut client = server.client();
        let value: Vec<u8> = (0..3_000_000).map(|i| (i % 251) as u8).collect();
        let request = encode(&[b"SET".as_slice(), b"big", &value]);
        let mut pieces = request.chunks(70_001);
        client.send(b"PING\r\n");
        client.send(pieces.next().unwrap());
        client.expect("+PONG\r\n");
        for piece in pieces {
            client.send(piece);
        }
        client.expect("+OK\r\n");
        client.send("GET big\r\nPING\r\n");
        client.expect("$3000000\r\n");
        client.expect(&value);
        client.expect("\r\n+PONG\r\n");
    }

    fn a_request_with_very_many_arguments(peer) {
        let server = peer.start();
        let mut client = server.client();
        let mut arguments = vec!["DEL".to_owned()];
        arguments.extend((0..200_000).map(|i| i.to_string()));
        assert_eq!(client.request(&arguments).int(), 0);
        arguments[0] = "EXISTS".into();
        assert_eq!(client.request(&arguments).int(), 0);
        client.expect_open();
    }

    fn what_was_sent_before_the_end_is_answered(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.send("SET k v\r\nGET k\r\nPING\r\nGET incompl");
        client.finish_sending();
        client.expect("+OK\r\n$1\r\nv\r\n+PONG\r\n");
        client.expect_closed();
    }

    fn a_client_that_leaves_midway_changes_nothing(peer) {
        let server = peer.start();
        for cut in 1..encode(&["SET", "k", "value"]).len() {
            let mut client = server.client();
            client.send(&encode(&["SET", "k", "value"])[..cut]);
            client.finish_sending();
            client.expect_closed();
        }
        server.client().check("EXISTS k", ":0\r\n");
    }
}

each_engine! {
    /// Replies that exceed what is sent at once, of a client that sends all its requests before it reads.
    fn more_replies_than_fit_into_one_write(peer) {
        let server = peer.start();
        let mut client = server.client();
        let big = "x".repeat(100_000);
        assert_eq!(client.request(&["SET", "big", &big]).text(), "OK");
        client.send("GET big\r\nINCR n\r\n".repeat(200));
        for i in 1..=200 {
            client.expect("$100000\r\n");
            client.expect(&big);
            client.expect(format!("\r\n:{i}\r\n"));
        }
        client.expect_open();
    }
}

/// How many bytes of [`REPLIES`] the first `split` bytes of [`REQUESTS`] cause.
fn answers_before(split: usize) -> usize {
    // The end of each request that is answered, and the end of its reply.
    let ends = [
        ("bc\r\n", "+OK\r\n"),
        ("PING\r\n", "+PONG\r\n"),
        ("GET\r\n$1\r\nk\r\n", "a\r\nbc\r\n"),
        (" y\" \n", "bc\r\n+OK\r\n"),
        ("get q\r\n", " y\r\n"),
    ];
    let find = |text: &[u8], part: &str| {
        text.windows(part.len()).position(|window| window == part.as_bytes()).unwrap() + part.len()
    };
    ends.iter()
        .filter(|(request, _)| find(REQUESTS, request) <= split)
        .map(|(_, reply)| find(REPLIES, reply))
        .max()
        .unwrap_or(0)
}

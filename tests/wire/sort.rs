//! SORT SORT_RO: order, limits, patterns, and where the result goes.

use crate::support::client::{encode, words};
use crate::support::{Client, Peer, Value, each_engine, same_as_redis};

const WRONG_TYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n";
const SYNTAX: &str = "-ERR syntax error\r\n";
const NOT_AN_INTEGER: &str = "-ERR value is not an integer or out of range\r\n";
const NO_DOUBLE: &str = "-ERR One or more scores can't be converted into double\r\n";

/// Sends a request and compares the texts of an array; nil is `-`.
fn expect(client: &mut Client, request: &str, expected: &str) {
    let reply = client.call(request);
    let text = |item: &Value| if *item == Value::Nil { "-".to_owned() } else { item.text() };
    let found: Vec<String> = match &reply {
        Value::Array(items) => items.iter().map(text).collect(),
        other => panic!("{request}: {other:?}"),
    };
    assert_eq!(found.join(" "), expected, "{request}");
}

same_as_redis! {
    fn lists_and_sets_by_number_and_by_text(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("RPUSH l 10 9 -1 1.5 1e2 0x 9", ":7\r\n");
        client.check("SORT l", NO_DOUBLE);
        client.check("DEL l", ":1\r\n");
        client.check("RPUSH l 10 9 -1 1.5 1e2 9", ":6\r\n");
        expect(&mut client, "SORT l", "-1 1.5 9 9 10 1e2");
        expect(&mut client, "SORT l DESC", "1e2 10 9 9 1.5 -1");
        expect(&mut client, "SORT l ALPHA", "-1 1.5 10 1e2 9 9");
        expect(&mut client, "sort_ro l alpha desc asc", "-1 1.5 10 1e2 9 9");
        expect(&mut client, "SORT_RO l alpha desc", "9 9 1e2 10 1.5 -1");
        client.check("SADD s 3 20 100", ":3\r\n");
        expect(&mut client, "SORT s", "3 20 100");
        expect(&mut client, "SORT s ALPHA", "100 20 3");
        client.check("SADD s word", ":1\r\n");
        client.check("SORT s", NO_DOUBLE);
        expect(&mut client, "SORT s ALPHA DESC", "word 3 20 100");
        expect(&mut client, "SORT missing", "");
        expect(&mut client, "SORT_RO missing BY w_* GET #", "");
        client.check("SET k v", "+OK\r\n");
        client.check("SORT k", WRONG_TYPE);
        client.check("SORT_RO k BY x", WRONG_TYPE);
        client.check("HSET h f v", ":1\r\n");
        client.check("SORT h ALPHA", WRONG_TYPE);
    }

    fn numbers_as_c_reads_them(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("RPUSH l \"\" 1 -1 \" 0.5\" inf -inf \"2\\0x\"", ":7\r\n");
        expect(&mut client, "SORT l", "-inf -1   0.5 1 2\0x inf");
        for word in ["nan", "1x", "\" \"", "\"1 \"", "--1", "1e400"] {
            client.check("DEL l", ":1\r\n");
            client.check(&format!("RPUSH l 1 {word}"), ":2\r\n");
            client.check("SORT l", NO_DOUBLE);
        }
    }

    fn equal_numbers_are_in_the_order_of_the_texts(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("RPUSH l 1.0 1 01 +1 1e0", ":5\r\n");
        expect(&mut client, "SORT l", "+1 01 1 1.0 1e0");
        expect(&mut client, "SORT l DESC", "1e0 1.0 1 01 +1");
    }

    fn limits(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("RPUSH l 5 4 3 2 1", ":5\r\n");
        for (limit, expected) in [
            ("0 -1", "1 2 3 4 5"),
            ("0 0", ""),
            ("1 2", "2 3"),
            ("3 10", "4 5"),
            ("5 1", ""),
            ("99 99", ""),
            ("-3 2", "1 2"),
            ("-9223372036854775808 9223372036854775807", "1 2 3 4 5"),
            ("9223372036854775807 9223372036854775807", ""),
            ("1 -5", "2 3 4 5"),
        ] {
            expect(&mut client, &format!("SORT l LIMIT {limit}"), expected);
            expect(&mut client, &format!("SORT l LIMIT 0 1 LIMIT {limit}"), expected);
            expect(&mut client, &format!("SORT l BY nosort DESC LIMIT {limit}"), expected);
        }
        expect(&mut client, "SORT l BY nosort LIMIT 1 2", "4 3");
        expect(&mut client, "SORT l DESC LIMIT 0 2", "5 4");
        client.check("SORT l LIMIT 0", SYNTAX);
        client.check("SORT l LIMIT", SYNTAX);
        client.check("SORT l LIMIT x 1", NOT_AN_INTEGER);
        client.check("SORT l LIMIT 0 1.5", NOT_AN_INTEGER);
        client.check("SORT l LIMIT 0 9223372036854775808", NOT_AN_INTEGER);
    }

    fn by_the_values_of_other_keys(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("RPUSH l 1 2 3 4", ":4\r\n");
        client.check("MSET w_1 40 w_2 30 w_3 20 t_1 d t_2 c t_3 b", "+OK\r\n");
        // A weight that is missing counts as 0, and as less than any text.
        expect(&mut client, "SORT l BY w_*", "4 3 2 1");
        expect(&mut client, "SORT l BY w_* DESC", "1 2 3 4");
        expect(&mut client, "SORT l BY t_* ALPHA", "4 3 2 1");
        expect(&mut client, "SORT_RO l BY t_* ALPHA DESC LIMIT 0 2", "1 2");
        client.check("SORT l BY t_*", NO_DOUBLE);
        expect(&mut client, "SORT l BY w_* ALPHA", "4 3 2 1");
        for i in 1..5 {
            client.call(&format!("HSET h_{i} f {} g x{}", 10 - i, 10 - i));
        }
        expect(&mut client, "SORT l BY h_*->f", "4 3 2 1");
        expect(&mut client, "SORT l BY h_*->g ALPHA", "4 3 2 1");
        expect(&mut client, "SORT l BY h_*->missing", "1 2 3 4");
        expect(&mut client, "SORT l BY w_*->f", "1 2 3 4");
        expect(&mut client, "SORT l BY h_*", "1 2 3 4");
        // Without a place for the element nothing is sorted.
        expect(&mut client, "SORT l BY nosort", "1 2 3 4");
        expect(&mut client, "SORT l BY nosort DESC", "4 3 2 1");
        expect(&mut client, "SORT l BY #", "1 2 3 4");
        expect(&mut client, "SORT l BY h_->f ALPHA", "1 2 3 4");
        expect(&mut client, "SORT l BY w_* BY nosort", "1 2 3 4");
        client.check("SORT l BY", SYNTAX);
    }

    fn get_looks_elsewhere(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("RPUSH l 2 1 3", ":3\r\n");
        client.check("MSET v_1 one v_2 2", "+OK\r\n");
        client.check("HSET h_1 f x", ":1\r\n");
        client.check("RPUSH v_3 list", ":1\r\n");
        expect(&mut client, "SORT l GET v_*", "one 2 -");
        expect(&mut client, "SORT l GET # GET v_* GET # GET h_*->f", "1 one 1 x 2 2 2 - 3 - 3 -");
        expect(&mut client, "SORT l GET constant", "- - -");
        expect(&mut client, "SORT l BY nosort GET v_* LIMIT 0 1", "2");
        expect(&mut client, "SORT l GET h_*", "- - -");
        expect(&mut client, "SORT l GET v_*->f", "- - -");
        expect(&mut client, "SORT l GET h_*->", "- - -");
        client.check("SET h_1-> arrow", "+OK\r\n");
        expect(&mut client, "SORT l GET h_*->", "arrow - -");
        client.check("SET v_1 gone PX 1", "+OK\r\n");
        while client.call("EXISTS v_1").int() == 1 {}
        expect(&mut client, "SORT l GET v_*", "- 2 -");
        client.check("SORT l GET", SYNTAX);
        client.check("SORT_RO l GET v_* GET", SYNTAX);
        client.send("HELLO 3\r\n");
        client.read();
        client.check("SORT l GET v_*", "*3\r\n_\r\n$1\r\n2\r\n_\r\n");
    }

    fn the_result_is_stored_as_a_list(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("RPUSH l 2 1 3", ":3\r\n");
        client.check("SET d old EX 100", "+OK\r\n");
        client.check("SORT l STORE d", ":3\r\n");
        expect(&mut client, "LRANGE d 0 -1", "1 2 3");
        client.check("TTL d", ":-1\r\n");
        client.check("SORT l DESC STORE other STORE d", ":3\r\n");
        expect(&mut client, "LRANGE d 0 -1", "3 2 1");
        client.check("EXISTS other", ":0\r\n");
        client.check("SET v_2 two", "+OK\r\n");
        client.check("SORT l GET v_* GET # STORE d", ":6\r\n");
        expect(&mut client, "LRANGE d 0 -1", " 1 two 2  3");
        client.check("SORT l LIMIT 5 5 STORE d", ":0\r\n");
        client.check("EXISTS d", ":0\r\n");
        client.check("SORT missing STORE l", ":0\r\n");
        client.check("EXISTS l", ":0\r\n");
        client.check("RPUSH l c b a", ":3\r\n");
        client.check("SORT l STORE l", NO_DOUBLE);
        client.check("SORT l ALPHA STORE l", ":3\r\n");
        expect(&mut client, "LRANGE l 0 -1", "a b c");
        client.check("SORT l STORE", SYNTAX);
        client.check("SORT_RO l STORE d", SYNTAX);
        // What has no order is stored in that of its texts.
        client.check("SADD s 10 9 b a", ":4\r\n");
        client.check("SORT s BY nosort STORE d", ":4\r\n");
        expect(&mut client, "LRANGE d 0 -1", "10 9 a b");
        client.check("SORT s BY nosort DESC LIMIT 0 2 GET # STORE d", ":2\r\n");
        expect(&mut client, "LRANGE d 0 -1", "b a");
        client.check("SORT l BY nosort STORE d", ":3\r\n");
        expect(&mut client, "LRANGE d 0 -1", "a b c");
        client.check("SET k v", "+OK\r\n");
        client.check("SORT k STORE d", WRONG_TYPE);
        expect(&mut client, "LRANGE d 0 -1", "a b c");
    }

    fn sorted_sets_by_everything_but_their_scores(peer) {
        let server = peer.start();
        let mut client = server.client();
        let long = "9".repeat(70);
        for members in ["1 30 2 4 3 100 4 2", &format!("1 30 2 4 3 100 4 2 9 {long}")] {
            client.call("DEL z");
            client.call(&format!("ZADD z {members}"));
            let with_long = if members.len() > 30 { format!(" {long}") } else { String::new() };
            expect(&mut client, "SORT z LIMIT 0 4", "2 4 30 100");
            expect(&mut client, "SORT z ALPHA LIMIT 0 4", "100 2 30 4");
            // Their own order is that of the scores.
            expect(&mut client, "SORT z BY nosort", &format!("30 4 100 2{with_long}"));
            expect(&mut client, "SORT z BY nosort LIMIT 1 2", "4 100");
            let reversed = format!("{} 2 100 4 30", with_long.trim());
            expect(&mut client, "SORT z BY nosort DESC", reversed.trim());
            let part = if with_long.is_empty() { "100 4" } else { "2 100" };
            expect(&mut client, "SORT_RO z BY nosort DESC LIMIT 1 2", part);
            client.check("SORT z BY nosort LIMIT 0 3 STORE d", ":3\r\n");
            expect(&mut client, "LRANGE d 0 -1", "30 4 100");
        }
    }

    fn options_are_looked_at_before_the_key(peer) {
        let server = peer.start();
        let mut client = server.client();
        client.check("SET k v", "+OK\r\n");
        client.check("SORT k FOO", SYNTAX);
        client.check("SORT k LIMIT x y", NOT_AN_INTEGER);
        client.check("SORT k LIMIT x y FOO", NOT_AN_INTEGER);
        client.check("SORT", "-ERR wrong number of arguments for 'sort' command\r\n");
        client.check("SORT_RO", "-ERR wrong number of arguments for 'sort_ro' command\r\n");
    }

    fn sort_in_a_transaction_reaches_what_it_names(peer) {
        let server = peer.start();
        let (mut client, mut watcher) = (server.client(), server.client());
        client.check("RPUSH l 2 1", ":2\r\n");
        watcher.check("WATCH d", "+OK\r\n");
        for request in ["MULTI", "SET w_2 0", "SET w_1 1", "SORT l BY w_* GET w_*", "SORT l STORE d", "LRANGE d 0 -1"] {
            client.call(request);
        }
        client.check("EXEC", "*5\r\n+OK\r\n+OK\r\n*2\r\n$1\r\n0\r\n$1\r\n1\r\n:2\r\n*2\r\n$1\r\n1\r\n$1\r\n2\r\n");
        watcher.check("MULTI", "+OK\r\n");
        watcher.check("PING", "+QUEUED\r\n");
        watcher.check("EXEC", "*-1\r\n");
    }
}

each_engine! {
    fn a_million_missing_values_are_no_reply(peer) {
        let server = peer.start_with(&["--client-output-buffer-limit", "normal 4mb 4mb 60"]);
        let mut client = server.client();
        let elements: Vec<String> = (0..2000).map(|i| i.to_string()).collect();
        client.request(&[vec!["RPUSH".to_owned(), "l".to_owned()], elements].concat());
        let mut request = vec!["SORT", "l"];
        (0..2000).for_each(|_| request.extend(["GET", "constant"]));
        client.send(encode(&request));
        client.expect_closed();
        server.client().check("PING", "+PONG\r\n");
    }

    fn what_store_makes_is_bounded_by_maxmemory(peer) {
        let server = peer.start();
        let mut client = server.client();
        let elements: Vec<String> = (0..5000).map(|i| i.to_string()).collect();
        client.request(&[vec!["RPUSH".to_owned(), "l".to_owned()], elements].concat());
        client.call(&format!("SET v {}", "x".repeat(900)));
        client.check("CONFIG SET maxmemory 100mb", "+OK\r\n");
        let mut request = vec!["SORT", "l"];
        (0..1000).for_each(|_| request.extend(["GET", "*v"]));
        client.check("SET 7v x", "+OK\r\n");
        for i in 0..5000 {
            client.send(format!("COPY v {i}v\r\n"));
        }
        (0..5000).for_each(|_| drop(client.read()));
        request.extend(["STORE", "d"]);
        client.send(encode(&request));
        client.expect("-OOM command not allowed when used memory > 'maxmemory'.\r\n");
        client.check("EXISTS d", ":0\r\n");
    }
}

/// Random sources and options; redis-server must give the same bytes.
#[test]
fn random_sorts_are_those_of_redis() {
    if !Peer::has_redis() {
        return;
    }
    let seed = std::env::var("KIBA_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| fastrand::u64(..));
    eprintln!("KIBA_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let servers = [Peer::Redis, Peer::Sharded, Peer::Channel].map(Peer::start);
    let mut clients = servers.each_ref().map(|server| server.client());
    let mut say = |request: &str| {
        let replies = clients.each_mut().map(|client| {
            client.send(encode(&words(request)));
            client.read_raw()
        });
        for reply in &replies[1..] {
            assert_eq!(reply.escape_ascii().to_string(), replies[0].escape_ascii().to_string(), "{request}");
        }
    };
    for _ in 0..150 {
        say("FLUSHALL");
        let number = |random: &mut fastrand::Rng| format!("{}", f64::from(random.i32(-400..400)) / 4.0);
        let elements: Vec<String> = (0..random.usize(0..40)).map(|i| format!("{}{i}", random.u8(..9))).collect();
        if !elements.is_empty() {
            say(&format!("RPUSH list {}", elements.join(" ")));
            say(&format!("SADD set {}", elements.join(" ")));
        }
        // All different: what weighs the same Redis leaves in an order of its own.
        let mut weights: Vec<i32> = (-20..20).collect();
        random.shuffle(&mut weights);
        for (element, weight) in elements.iter().zip(&weights) {
            say(&format!("SET w_{element} {weight}"));
            if random.bool() {
                say(&format!("HSET h_{element} f {}", number(&mut random)));
            }
        }
        for _ in 0..10 {
            let mut request = format!("SORT {}", random.choice(["list", "set"]).expect("two"));
            let is_list = request.ends_with("list");
            let bys =
                if is_list { &["", " BY w_*", " BY w_* ALPHA", " BY nosort"][..] } else { &["", " BY w_*", " ALPHA"] };
            request += random.choice(bys).expect("some");
            request += random.choice(["", " DESC", " ASC"]).expect("some");
            if random.bool() {
                request += &format!(" LIMIT {} {}", random.i32(-3..45), random.i32(-3..45));
            }
            (0..random.usize(0..3))
                .for_each(|_| request += random.choice([" GET #", " GET h_*->f", " GET w_*"]).expect("some"));
            if random.bool() {
                say(&format!("{request} STORE dest"));
                say("LRANGE dest 0 -1");
            } else {
                say(&request);
            }
        }
    }
}

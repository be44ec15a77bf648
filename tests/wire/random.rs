//! Random requests on strings: the same bytes from both engines and, where it is installed, from redis-server.
//!
//! `KIBA_SEED` repeats or varies a run; a failure names the seed.

use fastrand::Rng;

use crate::support::client::encode;
use crate::support::{Client, Peer};

const KEYS: &[&str] = &["a", "b", "c", "d", "list"];
const ROUNDS: usize = 40;
const REQUESTS: usize = 100;

type Request = Vec<Vec<u8>>;

fn pick<'a>(random: &mut Rng, words: &[&'a str]) -> &'a str {
    words[random.usize(..words.len())]
}

fn number(random: &mut Rng) -> String {
    const EDGES: &[&str] =
        &["0", "-1", "7", "8", "-8", "9223372036854775807", "-9223372036854775808", "x", "", "01", " 1", "1.5"];
    match random.u8(..4) {
        0 => pick(random, EDGES).to_owned(),
        1 => random.i32(-40..40).to_string(),
        _ => random.i32(0..400).to_string(),
    }
}

fn value(random: &mut Rng) -> Vec<u8> {
    const EDGES: &[&str] = &["", "9223372036854775807", "-0", "1e5", "0x10", "inf", "nan", "3.0e3", "0.1", "1e4932"];
    match random.u8(..8) {
        0 => pick(random, EDGES).into(),
        1 => random.i32(-999..999).to_string().into_bytes(),
        2 => vec![b'x'; [44, 45, 1023, 1024, 1025, 3000][random.usize(..6)]],
        3..6 => (0..random.usize(..60)).map(|_| b'a' + random.u8(..2)).collect(),
        _ => (0..random.usize(..30)).map(|_| random.u8(..)).collect(),
    }
}

fn field(random: &mut Rng) -> String {
    let width = match random.u8(..4) {
        0 => pick(random, &["0", "1", "63", "64", "65", "x"]).to_owned(),
        _ => random.u8(1..=64).to_string(),
    };
    let offset = match random.u8(..8) {
        0 => pick(random, &["-1", "#-1", "4294967296", "#9223372036854775807", "x"]).to_owned(),
        1..5 => format!("#{}", random.u8(..20)),
        _ => random.u16(..300).to_string(),
    };
    format!("{}{width} {offset}", pick(random, &["i", "u"]))
}

fn bitfield(random: &mut Rng) -> String {
    let mut line = String::new();
    for _ in 0..random.usize(..4) {
        let step = match random.u8(..9) {
            0..3 => format!(" GET {}", field(random)),
            3..5 => format!(" set {} {}", field(random), number(random)),
            5..7 => format!(" INCRBY {} {}", field(random), number(random)),
            _ => format!(" OVERFLOW {}", pick(random, &["wrap", "SAT", "FAIL", "fail", "no"])),
        };
        line.push_str(&step);
    }
    line
}

/// A request: words of a line, in which `$` stands for a value and `KEY` for a key.
fn request(random: &mut Rng) -> Request {
    const TIMES: &[&str] = &["EX 100", "PX 100000", "EX 0", "EX x", "EXAT 99999999999", "EX", "EX 9 PX 9", "FOO", ""];
    let line = match random.u8(..24) {
        0 => "APPEND KEY $".to_owned(),
        1 => format!("SETRANGE KEY {} $", number(random)),
        2 => format!("{} KEY {} {}", pick(random, &["GETRANGE", "SUBSTR"]), number(random), number(random)),
        3 => format!("{} KEY", pick(random, &["STRLEN", "GETDEL", "GET", "TYPE", "OBJECT ENCODING", "INCR", "DECR"])),
        4 => format!("{} KEY $", pick(random, &["GETSET", "SETNX", "SET", "INCRBYFLOAT", "INCRBY"])),
        5 => format!("GETEX KEY {}", pick(random, &[TIMES, &["PERSIST", "KEEPTTL", "PERSIST PERSIST"]].concat())),
        6 => format!("{} KEY {} $", pick(random, &["SETEX", "PSETEX"]), pick(random, &["100000", "0", "-1", "x"])),
        7 => format!("{} KEY $ KEY $", pick(random, &["MSET", "MSETNX"])),
        8 => {
            let options = ["NX", "XX", "GET", "NX GET", "XX GET", "KEEPTTL", "KEEPTTL EX 10", "NX XX"];
            format!("SET KEY $ {} {}", pick(random, &options), pick(random, TIMES))
        }
        9 => format!("INCRBYFLOAT KEY {}.{}e{}", random.i16(..), random.u32(..), random.i8(-25..25)),
        10..12 => {
            let options = ["", "LEN", "IDX", "IDX WITHMATCHLEN", "IDX MINMATCHLEN 3", "LEN IDX", "MINMATCHLEN", "FOO"];
            format!("LCS KEY KEY {}", pick(random, &options))
        }
        12..14 => format!("SETBIT KEY {} {}", random.u16(..600), pick(random, &["0", "1", "1", "2"])),
        14 => format!("GETBIT KEY {}", number(random)),
        15 => format!(
            "BITCOUNT KEY {} {} {}",
            random.i16(-99..99),
            random.i16(-99..99),
            pick(random, &["", "BIT", "BYTE"])
        ),
        16 => "BITCOUNT KEY".to_owned(),
        17 => format!("BITPOS KEY {} {}", pick(random, &["0", "1"]), random.i16(-99..99)),
        18 => {
            let unit = pick(random, &["", "BIT", "BYTE"]);
            format!("BITPOS KEY {} {} {} {unit}", pick(random, &["0", "1"]), random.i16(-99..99), random.i16(-99..99))
        }
        19 => format!("BITOP {} KEY KEY KEY", pick(random, &["AND", "OR", "XOR", "NOT", "FOO"])),
        20 => "BITOP NOT KEY KEY".to_owned(),
        21..23 => format!("BITFIELD KEY {}", bitfield(random)),
        _ => format!("BITFIELD_RO KEY GET {}", field(random)),
    };
    let word = |word: &str| match word {
        "KEY" => pick(random, KEYS).into(),
        "$" => value(random),
        other => other.into(),
    };
    line.split(' ').filter(|word| !word.is_empty()).map(word).collect()
}

/// Sends all requests at once; the replies.
fn talk(client: &mut Client, requests: &[Request]) -> Vec<Vec<u8>> {
    client.send(requests.iter().flat_map(|request| encode(request)).collect::<Vec<u8>>());
    requests.iter().map(|_| client.read_raw()).collect()
}

fn compare(expected: Peer, found: Peer) {
    let seed = std::env::var("KIBA_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let mut random = Rng::with_seed(seed);
    let servers = [expected.start(), found.start()];
    let [mut expected, mut found] = servers.each_ref().map(|server| server.client());
    for _ in 0..ROUNDS {
        let words = |line: &str| line.split(' ').map(|word| word.as_bytes().to_vec()).collect::<Request>();
        let mut requests: Vec<Request> = vec![words("DEL list"), words("RPUSH list x")];
        requests.extend((0..REQUESTS).map(|_| request(&mut random)));
        // A list's encoding is another one in Redis 7.0.
        requests.retain(|request| request != &words("OBJECT ENCODING list"));
        requests.extend(KEYS.iter().map(|key| words(&format!("GET {key}"))));
        let (left, right) = (talk(&mut expected, &requests), talk(&mut found, &requests));
        for ((request, left), right) in requests.iter().zip(left).zip(right) {
            assert!(
                left == right,
                "seed {seed}: {}\nexpected: {}\n   found: {}",
                request.iter().map(|word| word.escape_ascii().to_string()).collect::<Vec<_>>().join(" "),
                left.escape_ascii(),
                right.escape_ascii()
            );
        }
    }
}

#[test]
fn both_engines_say_the_same() {
    compare(Peer::Sharded, Peer::Channel);
}

#[test]
fn redis_says_the_same() {
    if Peer::has_redis() {
        compare(Peer::Redis, Peer::Sharded);
    }
}

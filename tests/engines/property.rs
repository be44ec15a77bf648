//! Random commands of two clients: both engines answer as the plain model does.
//!
//! The two clients take turns, so that the order is known. A failure prints the shortest sequence that still fails;
//! `PROPTEST_RNG_SEED` repeats a run, `PROPTEST_CASES` sets the number of sequences.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, RngSeed, TestRunner};

use crate::model::{FAR_AWAY, Model};
use crate::support::{Client, Peer, Server, Value};

/// What a client does.
#[derive(Clone, Debug)]
enum Step {
    Run(Vec<String>),
    Multi,
    Exec,
    Discard,
    Watch(Vec<String>),
    Unwatch,
    /// A command that cannot be queued.
    Malformed,
}

/// The model of a client: its transaction and what it watches.
#[derive(Default)]
struct Session {
    queue: Option<Vec<Vec<String>>>,
    is_broken: bool,
    /// Watched keys with their versions.
    watched: Vec<(String, u64)>,
}

impl Session {
    fn step(&mut self, step: &Step, model: &mut Model) -> Value {
        let error = |text: &str| Value::Error(text.into());
        let ok = || Value::Simple("OK".into());
        match step {
            Step::Run(words) => match &mut self.queue {
                None => model.run(words),
                Some(queue) => {
                    queue.push(words.clone());
                    Value::Simple("QUEUED".into())
                }
            },
            Step::Malformed => {
                self.is_broken = self.queue.is_some();
                error("ERR wrong number of arguments for 'get' command")
            }
            Step::Multi if self.queue.is_some() => error("ERR MULTI calls can not be nested"),
            Step::Multi => {
                self.queue = Some(Vec::new());
                ok()
            }
            Step::Watch(_) if self.queue.is_some() => error("ERR WATCH inside MULTI is not allowed"),
            Step::Watch(keys) => {
                self.watched.extend(keys.iter().map(|key| (key.clone(), model.version(key))));
                ok()
            }
            Step::Unwatch => match &mut self.queue {
                None => {
                    self.watched.clear();
                    ok()
                }
                Some(queue) => {
                    queue.push(vec!["UNWATCH".into()]);
                    Value::Simple("QUEUED".into())
                }
            },
            Step::Discard if self.queue.is_none() => error("ERR DISCARD without MULTI"),
            Step::Discard => {
                *self = Self::default();
                ok()
            }
            Step::Exec => {
                let Self { queue, is_broken, watched } = std::mem::take(self);
                let Some(queue) = queue else {
                    // Nothing has ended: what is watched stays watched.
                    self.watched = watched;
                    return error("ERR EXEC without MULTI");
                };
                if is_broken {
                    return error("EXECABORT Transaction discarded because of previous errors.");
                }
                if watched.iter().any(|(key, version)| model.version(key) != *version) {
                    return Value::Nil;
                }
                Value::Array(
                    queue.iter().map(|words| if words[0] == "UNWATCH" { ok() } else { model.run(words) }).collect(),
                )
            }
        }
    }
}

fn keys() -> impl Strategy<Value = String> {
    // Few keys, so that commands meet.
    select(&["a", "b", "c", "d"][..]).prop_map(str::to_owned)
}

fn values() -> impl Strategy<Value = String> {
    const TEXTS: &[&str] = &[
        "",
        "x",
        "y",
        "0",
        "7",
        "-3",
        "007",
        "9223372036854775807",
        "-9223372036854775808",
        "word with blanks",
        "1.5",
    ];
    // Longer ones leave the compact encodings.
    prop_oneof![8 => select(TEXTS).prop_map(str::to_owned), 1 => (60_usize..300).prop_map(|len| "z".repeat(len))]
}

fn amounts() -> impl Strategy<Value = String> {
    select(&["1", "-1", "10", "9223372036854775807", "-9223372036854775808", "x", "+1", ""][..]).prop_map(str::to_owned)
}

fn indices() -> impl Strategy<Value = String> {
    prop_oneof![(-6_i64..6).prop_map(|index| index.to_string()), Just("x".to_owned())]
}

fn sides() -> impl Strategy<Value = String> {
    select(&["LEFT", "RIGHT"][..]).prop_map(str::to_owned)
}

/// A command with a key, and what follows it.
fn with(name: &'static str, rest: impl Strategy<Value = Vec<String>>) -> impl Strategy<Value = Vec<String>> {
    (keys(), rest).prop_map(move |(key, rest)| [vec![name.to_owned(), key], rest].concat())
}

fn none() -> impl Strategy<Value = Vec<String>> {
    Just(Vec::new())
}

fn words(texts: &'static [&'static str]) -> impl Strategy<Value = Vec<String>> {
    select(texts).prop_map(|text| text.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect())
}

fn pairs() -> impl Strategy<Value = Vec<String>> {
    vec((values(), values()), 1..4)
        .prop_map(|pairs| pairs.into_iter().flat_map(|(field, value)| [field, value]).collect())
}

/// Options, then `FIELDS`, their number and the fields.
fn counted(
    options: &'static [&'static str],
    fields: impl Strategy<Value = Vec<String>>,
) -> impl Strategy<Value = Vec<String>> {
    (words(options), fields)
        .prop_map(|(options, fields)| [options, vec!["FIELDS".into(), fields.len().to_string()], fields].concat())
}

/// As [`counted`], with a value for each field.
fn pairs_counted(options: &'static [&'static str]) -> impl Strategy<Value = Vec<String>> {
    (words(options), pairs())
        .prop_map(|(options, pairs)| [options, vec!["FIELDS".into(), (pairs.len() / 2).to_string()], pairs].concat())
}

fn commands() -> impl Strategy<Value = Vec<String>> {
    const SET_OPTIONS: &[&str] =
        &["", "", "", "NX", "XX", "GET", "NX GET", "XX GET", "EX 1000", "KEEPTTL", "GET EX 5000", "XX KEEPTTL GET"];
    let set = with("SET", (values(), words(SET_OPTIONS)).prop_map(|(value, options)| [vec![value], options].concat()));
    let many = |name: &'static str| vec(keys(), 1..4).prop_map(move |keys| [vec![name.to_owned()], keys].concat());
    let mset = vec((keys(), values()), 1..4).prop_map(|pairs| {
        let pairs = pairs.into_iter().flat_map(|(key, value)| [key, value]);
        std::iter::once("MSET".to_owned()).chain(pairs).collect()
    });
    let one = |strategy: BoxedStrategy<String>| strategy.prop_map(|word| vec![word]);
    let some = || vec(values(), 1..5);
    let strings = prop_oneof![
        6 => set,
        3 => with("GET", none()),
        2 => with("INCR", none()),
        1 => with("DECR", none()),
        1 => with("INCRBY", one(amounts().boxed())),
        1 => with("DECRBY", one(amounts().boxed())),
        2 => many("MGET"),
        2 => mset,
    ];
    let spaces = prop_oneof![
        3 => many("DEL"),
        1 => many("UNLINK"),
        2 => many("EXISTS"),
        2 => with("TYPE", none()),
        2 => with("EXPIRE", words(&["1000", "5000", "0", "-1", "x"])),
        1 => with("PEXPIRE", words(&["3000000", "-1"])),
        1 => with("EXPIREAT", words(&["1", "-1"])),
        3 => with("TTL", none()),
        1 => with("PERSIST", none()),
        3 => with("RENAME", one(keys().boxed())),
        2 => with("RENAMENX", one(keys().boxed())),
        2 => with("COPY", one(keys().boxed())),
        2 => with("COPY", keys().prop_map(|key| vec![key, "REPLACE".to_owned()])),
        1 => many("TOUCH"),
        1 => Just(vec!["DBSIZE".to_owned()]),
        1 => Just(vec!["KEYS".to_owned(), "*".to_owned()]),
        1 => Just(vec!["FLUSHDB".to_owned()]),
    ];
    let counts = || words(&["", "", "0", "1", "2", "100", "-1", "x"]);
    let lists = prop_oneof![
        3 => with("LPUSH", some()),
        3 => with("RPUSH", some()),
        2 => with("LPOP", counts()),
        2 => with("RPOP", counts()),
        1 => with("LLEN", none()),
        2 => with("LRANGE", vec(indices(), 2)),
        1 => with("LPUSHX", some()),
        1 => with("RPUSHX", some()),
        2 => with("LINDEX", one(indices().boxed())),
        2 => with("LSET", (indices(), values()).prop_map(|(index, value)| vec![index, value])),
        2 => with("LINSERT", (select(&["BEFORE", "AFTER"][..]), values(), values())
            .prop_map(|(side, pivot, value)| vec![side.to_owned(), pivot, value])),
        2 => with("LREM", (indices(), values()).prop_map(|(count, value)| vec![count, value])),
        1 => with("LTRIM", vec(indices(), 2)),
        1 => with("LPOS", (values(), select(&["1", "2", "-1", "-2", "x"][..])).prop_map(|(value, rank)| {
            [value.as_str(), "RANK", rank, "COUNT", "0"].map(str::to_owned).to_vec()
        })),
        4 => with("LMOVE", (keys(), sides(), sides()).prop_map(|(key, one, other)| vec![key, one, other])),
        1 => with("RPOPLPUSH", one(keys().boxed())),
        2 => (keys(), keys(), sides(), select(&["1", "2", "100"][..])).prop_map(|(one, other, side, count)| {
            ["LMPOP", "2", &one, &other, &side, "COUNT", count].map(str::to_owned).to_vec()
        }),
    ];
    let sets = prop_oneof![
        3 => with("SADD", some()),
        2 => with("SREM", some()),
        1 => with("SISMEMBER", one(values().boxed())),
        2 => with("SMEMBERS", none()),
        1 => with("SCARD", none()),
        1 => with("SMISMEMBER", some()),
        3 => with("SMOVE", (keys(), values()).prop_map(|(key, value)| vec![key, value])),
        1 => with("SPOP", words(&["100"])),
        1 => with("SRANDMEMBER", words(&["100"])),
        1 => many("SINTER"),
        1 => many("SUNION"),
        1 => many("SDIFF"),
        1 => (vec(keys(), 1..4), select(&["0", "1", "100"][..])).prop_map(|(keys, limit)| {
            let count = keys.len().to_string();
            [vec!["SINTERCARD".to_owned(), count], keys, vec!["LIMIT".to_owned(), limit.to_owned()]].concat()
        }),
        2 => with("SINTERSTORE", vec(keys(), 1..4)),
        2 => with("SUNIONSTORE", vec(keys(), 1..4)),
        2 => with("SDIFFSTORE", vec(keys(), 1..4)),
    ];
    let hashes = prop_oneof![
        3 => with("HSET", pairs()),
        2 => with("HDEL", some()),
        1 => with("HGET", one(values().boxed())),
        2 => with("HGETALL", none()),
        1 => with("HMGET", some()),
        1 => with("HLEN", none()),
        1 => with("HEXISTS", one(values().boxed())),
        1 => with("HSTRLEN", one(values().boxed())),
        1 => with("HKEYS", none()),
        1 => with("HVALS", none()),
        1 => with("HSETNX", (values(), values()).prop_map(|(field, value)| vec![field, value])),
        1 => with("HINCRBY", (values(), amounts()).prop_map(|(field, amount)| vec![field, amount])),
    ];
    prop_oneof![3 => strings, 3 => spaces, 2 => lists, 2 => sets, 2 => hashes]
}

/// Commands that redis-server 7.0 does not have.
fn newer_commands() -> impl Strategy<Value = Vec<String>> {
    let some = || vec(values(), 1..5);
    prop_oneof![
        1 => with("HGETDEL", counted(&[""], some())),
        1 => with("HGETEX", counted(&["", "PERSIST", "EX 1000", "EX 0"], some())),
        2 => with("HSETEX", pairs_counted(&["", "FNX", "FXX", "EX 1000", "FNX EX 5000", "FXX KEEPTTL", "KEEPTTL", "EX 0"])),
        3 => with("HEXPIRE", counted(&["1000", "5000", "0", "1000 NX", "5000 XX", "0 XX", "500 GT", "1000 LT"], some())),
        // A time from now on is later than the same a millisecond ago, or not: GT needs moments that are the same for ever.
        2 => with("HEXPIREAT", counted(&["1", "0 GT", "8000000000 GT", "9000000000 GT", "8000000000 LT"], some())),
        1 => with("HPERSIST", counted(&[""], some())),
        2 => with("HTTL", counted(&[""], some())),
    ]
}

fn steps(with_newer: bool) -> impl Strategy<Value = Vec<(usize, Step)>> {
    let step = prop_oneof![
        24 => commands().prop_map(Step::Run),
        if with_newer { 4 } else { 0 } => newer_commands().prop_map(Step::Run),
        2 => Just(Step::Multi),
        2 => Just(Step::Exec),
        1 => Just(Step::Discard),
        2 => vec(keys(), 1..3).prop_map(Step::Watch),
        1 => Just(Step::Unwatch),
        1 => Just(Step::Malformed),
    ];
    vec((0_usize..2, step), 1..80)
}

fn send(client: &mut Client, step: &Step) -> Value {
    match step {
        Step::Run(words) => client.request(words),
        Step::Multi => client.call("MULTI"),
        Step::Exec => client.call("EXEC"),
        Step::Discard => client.call("DISCARD"),
        Step::Watch(keys) => client.request(&[vec!["WATCH".to_owned()], keys.clone()].concat()),
        Step::Unwatch => client.call("UNWATCH"),
        Step::Malformed => client.call("GET"),
    }
}

/// A time to live as the model, whose clock stands still, has it: it may have lost a second, and to a moment in the
/// distant future all are the same.
fn rounded(seconds: i64) -> Value {
    Value::Int(if seconds > FAR_AWAY { i64::MAX } else { (seconds + 500) / 1000 * 1000 })
}

/// Makes replies comparable: those without an order are sorted, and a TTL may have lost a second.
fn normalize(words: Option<&[String]>, value: Value) -> Value {
    match (words.map(|words| words[0].as_str()), value) {
        (
            Some("SMEMBERS" | "KEYS" | "HKEYS" | "HVALS" | "SPOP" | "SRANDMEMBER" | "SINTER" | "SUNION" | "SDIFF"),
            Value::Array(mut items),
        ) => {
            items.sort();
            Value::Array(items)
        }
        (Some("HGETALL"), Value::Array(items)) => {
            let mut pairs: Vec<&[Value]> = items.chunks(2).collect();
            pairs.sort();
            Value::Array(pairs.concat())
        }
        (Some("TTL"), Value::Int(seconds @ 1..)) => rounded(seconds),
        (Some("HTTL"), Value::Array(items)) => {
            let round = |item| match item {
                Value::Int(seconds @ 1..) => rounded(seconds),
                other => other,
            };
            Value::Array(items.into_iter().map(round).collect())
        }
        (_, value) => value,
    }
}

fn compare(servers: &[Server], steps: &[(usize, Step)]) -> Result<(), TestCaseError> {
    let mut model = Model::default();
    let mut sessions = [Session::default(), Session::default()];
    let mut clients: Vec<[Client; 2]> = servers.iter().map(|server| [server.client(), server.client()]).collect();
    for clients in &mut clients {
        clients[0].check("FLUSHALL", "+OK\r\n");
    }
    for (number, (who, step)) in steps.iter().enumerate() {
        // What EXEC runs, to compare each reply as its command's.
        let queued = sessions[*who].queue.clone();
        let words = match (step, &queued) {
            (Step::Run(words), None) => Some(words.as_slice()),
            _ => None,
        };
        let comparable = |value: Value| match (step, value) {
            (Step::Exec, Value::Array(items)) => {
                let queued = queued.clone().unwrap_or_default();
                Value::Array(items.into_iter().zip(&queued).map(|(item, words)| normalize(Some(words), item)).collect())
            }
            (_, value) => normalize(words, value),
        };
        let expected = comparable(sessions[*who].step(step, &mut model));
        for (server, clients) in servers.iter().zip(&mut clients) {
            let found = comparable(send(&mut clients[*who], step));
            prop_assert_eq!(&found, &expected, "{:?}, step {}: client {} {:?}", server.peer, number, who, step);
        }
    }
    Ok(())
}

/// Thresholds so small that every collection crosses them again and again.
const SMALL: &[(&str, &str)] = &[
    ("list-max-listpack-size", "3"),
    ("set-max-intset-entries", "2"),
    ("set-max-listpack-entries", "4"),
    ("set-max-listpack-value", "5"),
    ("hash-max-listpack-entries", "3"),
    ("hash-max-listpack-value", "5"),
    ("long-command-elements", "2"),
];

fn check(peers: &[Peer], settings: &[(&str, &str)]) {
    let servers: Vec<Server> = peers.iter().map(|peer| peer.start()).collect();
    for server in &servers {
        settings
            .iter()
            .for_each(|(name, value)| server.client().check(&format!("CONFIG SET {name} {value}"), "+OK\r\n"));
    }
    // `Config::default` reads the environment; without it the seed is drawn here, so that it can be printed.
    let mut config = Config { failure_persistence: None, ..Config::default() };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = 300;
    }
    if config.rng_seed == RngSeed::Random {
        let seed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_nanos();
        config.rng_seed = RngSeed::Fixed(seed as u64);
    }
    let seed = config.rng_seed;
    let with_newer = !peers.iter().any(|peer| matches!(peer, Peer::Redis));
    eprintln!("seed: {seed:?}");
    let outcome = TestRunner::new(config).run(&steps(with_newer), |steps| compare(&servers, &steps));
    if let Err(error) = outcome {
        panic!("{error}\nseed: {seed:?}");
    }
}

#[test]
fn random_commands_answer_as_the_model_does() {
    check(&Peer::ENGINES, &[]);
}

#[test]
fn small_thresholds_change_no_answer() {
    check(&Peer::ENGINES, SMALL);
}

/// What the model expects is what Redis does.
#[test]
fn the_model_answers_as_redis_does() {
    if Peer::has_redis() {
        check(&[Peer::Redis], &[]);
    }
}

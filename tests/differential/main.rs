//! Random commands, good and hostile, sent to redis-server 7.0 and to both engines: the same replies from all.
//!
//! Commands come from the grammar (`grammar.txt`) in episodes of about 500 on empty databases, in RESP2 or RESP3. After every 250
//! the contents of the databases are compared too. What differs is shortened to the fewest commands that still
//! differ, and printed as one types it into redis-cli. Without redis-server the engines are compared with each other.
//!
//! * `KIBA_DIFF_COMMANDS`: how many commands to run at least; 200,000 if it is not set.
//! * `KIBA_DIFF_SEED`: the first episode's seed; each later one is one more. Drawn from the clock if it is not set.
//! * `KIBA_DIFF_FAILURES`: go on until so many episodes have failed; 1 if it is not set.
//!
//! Replies are compared byte for byte, with these exceptions (`reply.rs`):
//!
//! * What has no order is sorted: SMEMBERS, SUNION, SINTER, SDIFF, HGETALL, HKEYS, HVALS, KEYS; GEORADIUS and GEOSEARCH without
//!   ASC, DESC and COUNT; SORT with a BY that says not to sort, or with BY and ALPHA, where several may weigh the same.
//!   With LIMIT of such a SORT, and with ANY of places, only the number of elements is compared.
//! * SCAN and its relatives: what they found, as a set, if one call was the whole iteration; else their shape.
//! * Scores: Redis 7.0 writes `%.17g`, Kiba as few digits as later versions do. Kiba's, written with 17 digits, must be Redis';
//!   zero may have lost its sign.
//! * Times to live, deadlines and idle times: up to 20 seconds apart.
//! * SPOP, SRANDMEMBER, HRANDFIELD, ZRANDMEMBER, RANDOMKEY: as many on all sides, and on each side a choice from what the command
//!   before it listed. What SPOP leaves is deleted.
//! * OBJECT ENCODING: `quicklist` may be `listpack`, a set's `hashtable` may be `listpack` (both as in Redis 7.2), and
//!   `embstr` and `raw` are one. OBJECT REFCOUNT and DUMP: their type.
//!
//! What else differs on purpose is a row of docs/differences.md. Some of it is accepted when it comes (`accepted.rs`), some is not
//! generated: hexadecimal scores, ranges by name of members whose scores differ, replies as long as a negative
//! count announces, CONFIG SET in MULTI, places further apart than 1,000 km, deadlines that TTL rounds beyond the largest
//! integer. Nor is what differs between versions of Redis and was decided for the later one: limits that are smaller
//! than the number of arguments.

#[path = "../support/mod.rs"]
mod support;

mod accepted;
mod grammar;
mod reply;
mod servers;
mod shrink;
mod things;

use std::collections::BTreeSet;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use grammar::{Coverage, Grammar, Words};
use servers::{Difference, Servers};
use support::{Peer, Value};
use things::Source;

/// Commands of an episode, and of the part of it after which contents are compared.
const EPISODE: usize = 500;
const PART: usize = 250;

/// To shorten a sequence takes no longer than this. Where a server does not answer, each try takes its time.
const SHORTENING_MAX: Duration = Duration::from_secs(120);

/// Commands that stay together.
type Step = Vec<Words>;

#[test]
fn random_commands_are_answered_as_by_redis() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let commands = number("KIBA_DIFF_COMMANDS").unwrap_or(200_000);
    let failures_max = number("KIBA_DIFF_FAILURES").unwrap_or(1);
    let first = number("KIBA_DIFF_SEED").unwrap_or_else(|| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        since.expect("after 1970").as_millis() as u64
    });
    eprintln!("seed: {first}");
    let mut peers = vec![Peer::Sharded, Peer::Channel];
    if Peer::has_redis() {
        peers.insert(0, Peer::Redis);
    }
    let mut servers = Servers::start(&peers);
    let (known, alike) = servers.common_commands();
    let grammar = Grammar::new(&known, &alike);
    let payloads = servers.payloads();
    let mut failures = Vec::new();
    let mut count = 0;
    for seed in first.. {
        if count >= commands || failures.len() as u64 >= failures_max {
            break;
        }
        let guard = Episode { seed };
        let source = Source { rng: fastrand::Rng::with_seed(seed), payloads: payloads.clone(), last: 0, ids: 0 };
        let (protocol, steps) = episode(&grammar, source);
        count += steps.iter().map(Vec::len).sum::<usize>() as u64;
        if let Some(difference) = first_difference(&mut servers, protocol, &steps) {
            if servers.replace_crashed_reference() {
                eprintln!("redis-server has crashed in the episode with seed {seed}, which says nothing about us");
                continue;
            }
            let report = guard.report(&mut servers, protocol, steps, &difference);
            failures.push(report);
        }
    }
    eprintln!("{count} commands");
    assert!(failures.is_empty(), "{} episodes failed:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn every_data_command_of_redis_7_0_has_a_row() {
    const GROUPS: [&str; 10] =
        ["string", "generic", "hash", "list", "set", "sorted-set", "bitmap", "hyperloglog", "geo", "stream"];
    let coverage = grammar::coverage();
    let docs = Peer::Sharded.start().client().call("COMMAND DOCS");
    let mut missing = BTreeSet::new();
    let mut visit = |name: &Value, docs: &[Value]| {
        let field = |field: &str| docs.chunks(2).find(|pair| pair[0].text() == field).map(|pair| pair[1].clone());
        let text = |name: &str| field(name).map(|value| value.text()).unwrap_or_default();
        let name = name.text().replace('|', " ");
        let is_data =
            GROUPS.contains(&text("group").as_str()) && is_in_7_0(&text("since")) && names_of_redis().contains(&name);
        // A container's name alone is no command.
        if is_data && field("subcommands").is_none() && !coverage.contains_key(&name) {
            missing.insert(name);
        }
        field("subcommands")
    };
    for pair in docs.items().chunks(2) {
        for pair in visit(&pair[0], pair[1].items()).iter().flat_map(|subcommands| subcommands.items().chunks(2)) {
            visit(&pair[0], pair[1].items());
        }
    }
    assert!(missing.is_empty(), "no row in tests/differential/grammar.txt: {missing:?}");
}

#[test]
fn a_command_has_rows_or_a_reason_why_not() {
    let names = names_of_redis();
    for (name, coverage) in grammar::coverage() {
        assert!(names.contains(&name) || name == "config", "Redis has no command {name}");
        assert!(!matches!(coverage, Coverage::Exempt("")), "why has {name} no row?");
    }
}

/// All commands of Redis and Valkey, in lower case.
fn names_of_redis() -> BTreeSet<String> {
    let table = include_str!("../data/redis-commands.tsv");
    table.lines().filter_map(|line| line.split('\t').next()).map(str::to_ascii_lowercase).collect()
}

fn is_in_7_0(since: &str) -> bool {
    let numbers: Vec<u32> = since.split('.').filter_map(|number| number.parse().ok()).collect();
    !numbers.is_empty() && numbers <= vec![7, 0, 15]
}

/// The commands of an episode, and the protocol to send them in.
fn episode(grammar: &Grammar, mut source: Source) -> (u8, Vec<Step>) {
    let protocol = if source.rng.bool() { 2 } else { 3 };
    let mood = grammar.mood(&mut source);
    let line = |text: &str| vec![support::client::words(text)];
    let (mut steps, mut count) = (Vec::new(), 0);
    while count < EPISODE {
        let at = steps.len();
        if source.rng.u8(..100) < 3 {
            steps.push(line("MULTI"));
            let queued = source.rng.usize(1..8);
            steps.extend((0..queued).map(|_| grammar.step(&mood, &mut source)));
            steps.push(line(if source.rng.u8(..8) > 0 { "EXEC" } else { "DISCARD" }));
        } else {
            steps.push(grammar.step(&mood, &mut source));
        }
        count += steps[at..].iter().map(Vec::len).sum::<usize>();
    }
    (protocol, steps)
}

/// Runs the commands on empty databases, up to the first difference.
fn first_difference(servers: &mut Servers, protocol: u8, steps: &[Step]) -> Option<Difference> {
    servers.reset(protocol);
    let mut part: Vec<Words> = Vec::new();
    for (at, step) in steps.iter().enumerate() {
        part.extend_from_slice(step);
        if part.len() >= PART || at + 1 == steps.len() {
            let outcome = servers.run(&part).and_then(|_| servers.compare_contents());
            if let Err(difference) = outcome {
                return Some(*difference);
            }
            part.clear();
        }
    }
    None
}

/// An episode that is running: a test that panics in it says which it was.
struct Episode {
    seed: u64,
}

impl Drop for Episode {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("seed of the episode: {}", self.seed);
        }
    }
}

impl Episode {
    /// The fewest of these commands that still show the difference, and the replies.
    fn report(&self, servers: &mut Servers, protocol: u8, steps: Vec<Step>, difference: &Difference) -> String {
        // What was seen last with the fewest commands: chance may hide it the next time.
        let mut seen: Option<(Vec<Step>, Difference)> = None;
        let since = Instant::now();
        let fails = |steps: &[Step]| {
            if since.elapsed() > SHORTENING_MAX {
                return false;
            }
            let found = first_difference(servers, protocol, steps).filter(|found| found.subject == difference.subject);
            found.map(|found| seen = Some((steps.to_vec(), found))).is_some()
        };
        let mut text = format!("KIBA_DIFF_SEED={} KIBA_DIFF_COMMANDS=1: {}\n", self.seed, difference.subject);
        shrink::steps(steps, fails);
        let Some((steps, shown)) = seen else {
            return text + "  (the same commands did not fail again)\n" + &difference.to_string();
        };
        if shown.words != difference.words {
            text += &format!("  seen first:\n{difference}  and with the fewest commands:\n");
        }
        text += &format!("  HELLO {protocol}\n");
        for line in steps.concat() {
            text += &format!("  {}\n", servers::as_typed(&line));
        }
        text + &shown.to_string()
    }
}

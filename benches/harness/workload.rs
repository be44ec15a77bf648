//! The table of workloads. Adding a workload is adding a row; [`super::template`] says how its commands are written.
//!
//! A row must be the same work for a fast server and for a slow one. So what requests change is filled in beforehand,
//! and stays about as large: they overwrite, or add and remove as much; where they can only add or only remove, the
//! keys are filled anew for every turn, with far more elements than a turn's requests touch.

use super::reply::Expect;
use super::template::Step;

pub struct Workload {
    pub name: &'static str,
    /// Four bytes before the key's digits; rows with the same prefix share keys.
    pub prefix: &'static str,
    /// At least this many keys, however few are asked for.
    pub keys_min: u64,
    /// At most this many keys, where a million would ask for too much memory.
    pub keys_max: u64,
    /// The commands, what answers them and how often each is drawn.
    pub steps: Vec<Step>,
    /// Run once for each key before the first round.
    pub fill: Option<Step>,
    /// Whether the keys are filled anew before, and deleted after, each round: for commands that grow or drain them.
    pub afresh: bool,
}

impl Workload {
    /// The names of all its commands.
    pub fn commands(&self) -> impl Iterator<Item = &str> {
        self.steps.iter().chain(&self.fill).filter_map(|step| step.command.split(' ').next())
    }

    fn afresh(self) -> Self {
        Self { afresh: true, ..self }
    }

    /// With as many elements of one collection as there are usually keys, for rows whose name says so.
    fn exactly(self, keys: u64) -> Self {
        Self { keys_min: keys, keys_max: keys, ..self }
    }
}

/// All workloads.
///
/// * `value`: bytes in a `{value}`.
/// * `mix`: how many GETs and how many SETs the row `mixed` draws.
pub fn table(value: usize, mix: (u32, u32)) -> Vec<Workload> {
    let mut rows = strings(value, mix);
    rows.extend(lists());
    rows.extend(sets());
    rows.extend(hashes(value));
    rows.extend(sorted_sets());
    rows.extend(places());
    rows
}

const ALL: u64 = u64::MAX;
const MILLION: u64 = 1_000_000;

fn strings(value: usize, mix: (u32, u32)) -> Vec<Workload> {
    use Expect::{Array, Bulk, Integer, Status};
    let get = || step("GET {key}", Bulk(Some(value)));
    let set = || step("SET {key} {value}", Status);
    let fill = || Some(set());
    let mixed = vec![Step { weight: mix.0, ..get() }, Step { weight: mix.1, ..set() }];
    let expiring = || step("SET {key} {value} EX 100000", Status);
    vec![
        row("ping", "key:", 1, vec![step("PING", Status)], None),
        row("get", "key:", ALL, vec![get()], fill()),
        row("set", "key:", ALL, vec![set()], fill()),
        row("mixed", "key:", ALL, mixed, fill()),
        one("miss", "non:", ALL, "GET {key}", Bulk(None), None),
        row("setex", "exp:", ALL, vec![expiring()], Some(expiring())),
        one("expire", "exp:", ALL, "EXPIRE {key} 100000", Integer, Some(expiring())),
        one("incr", "ctr:", ALL, "INCR {key}", Integer, Some(step("INCR {key}", Integer))),
        one("getrange", "key:", ALL, "GETRANGE {key} 8 39", Bulk(None), fill()),
        one("mset10", "key:", ALL, "MSET 10x({key} {value})", Status, fill()),
        one("mget10", "key:", ALL, "MGET 10x({key})", Array(Some(10)), fill()),
        // Bitmaps of 1 KiB.
        one(
            "setbit",
            "bit:",
            100_000,
            "SETBIT {key} {1000-8191} 1",
            Integer,
            Some(step("SETBIT {key} 8191 1", Integer)),
        ),
        // 2,000 members make the dense form of 12 KiB.
        one(
            "pfadd",
            "hll:",
            1_000,
            "PFADD {key} {member}",
            Integer,
            Some(step("PFADD {key} 2000x({member})", Integer)),
        ),
    ]
}

fn lists() -> Vec<Workload> {
    use Expect::{Array, Bulk, Integer};
    let push = |words| Some(step(&format!("RPUSH {{key}} {words}"), Integer));
    vec![
        // Few lists, as of jobs that wait, and long ones from the beginning.
        one("lpush", "lst:", 1_000, "LPUSH {key} {value}", Integer, push("200x({value})")).afresh(),
        // A turn of 5 M requests takes half of it.
        one("lpop", "pop:", 1_000, "LPOP {key}", Bulk(Some(16)), push("10000x(job:{member})")).afresh(),
        one("lrange100", "rng:", 1_000, "LRANGE {key} 0 99", Array(Some(100)), push("100x({value})")),
        one("sort", "srt:", 10_000, "SORT {key}", Array(Some(20)), push("20x({100000-999999})")),
    ]
}

/// Members of small sets and sorted sets: 12 bytes that are no integer.
const MEMBERS: [&str; 2] = ["member:000{00-19}", "member:000{00-39}"];

/// Twenty words for [`MEMBERS`]' first half, with `before` in front of each.
fn twenty(before: &str) -> String {
    (0..20).map(|n| format!(" {before}member:000{n:02}")).collect()
}

fn sets() -> Vec<Workload> {
    use Expect::{Array, Integer};
    let [there, perhaps] = MEMBERS;
    let fill = || Some(step(&format!("SADD {{key}}{}", twenty("")), Integer));
    let overlapping = Some(step(&format!("SADD {{key}} 20x({perhaps})"), Integer));
    vec![
        // Half of what is added is there to begin with; 1 M requests are ten a key.
        one("sadd", "set:", 100_000, &format!("SADD {{key}} {perhaps}"), Integer, fill()).afresh(),
        one("sismember", "sis:", 100_000, &format!("SISMEMBER {{key}} {there}"), Integer, fill()),
        one("sinter", "sin:", 100_000, "SINTER {key} {key}", Array(None), overlapping),
    ]
}

fn hashes(value: usize) -> Vec<Workload> {
    use Expect::{Array, Bulk, Integer};
    let fields = |n| (0..n).map(|field| format!(" f{field} {{value}}")).collect::<String>();
    let fill = |n| Some(step(&format!("HSET {{key}}{}", fields(n)), Integer));
    vec![
        one("hset", "hsh:", 100_000, "HSET {key} f{0-4} {value}", Integer, fill(5)),
        one("hgetall5", "hsh:", 100_000, "HGETALL {key}", Array(Some(10)), fill(5)),
        one("hget", "hgt:", 100_000, "HGET {key} f3", Bulk(Some(value)), fill(10)),
    ]
}

fn sorted_sets() -> Vec<Workload> {
    use Expect::{Array, Bulk, Integer};
    let [there, perhaps] = MEMBERS;
    let fill = || Some(step(&format!("ZADD {{key}}{}", twenty("500000 ")), Integer));
    let large = || Some(step("ZADD zst:1m {000000-999999} {n}", Integer));
    let large = |name, command: &str, expect| one(name, "z1m:", ALL, command, expect, large()).exactly(MILLION);
    let to_and_fro = vec![
        step("ZADD zst:2m {000000-999999} {000000000000-000001999999}", Integer),
        step("ZREM zst:2m {000000000000-000001999999}", Integer),
    ];
    let half = Some(step("ZADD zst:2m {000000-999999} {n}", Integer));
    vec![
        // As for `sadd`; what is there gets another score.
        one("zadd", "zst:", 100_000, &format!("ZADD {{key}} {{100000-999999}} {perhaps}"), Integer, fill()).afresh(),
        one("zscore", "zsc:", 100_000, &format!("ZSCORE {{key}} {there}"), Bulk(None), fill()),
        // One sorted set of a million members.
        large("zadd1m", "ZADD zst:1m {000000-999999} {n}", Integer),
        large("zscore1m", "ZSCORE zst:1m {n}", Bulk(None)),
        large("zrank1m", "ZRANK zst:1m {n}", Integer),
        large("zrange1m", "ZRANGE zst:1m {100000-899999} {6+9}", Array(Some(10))),
        large("zrangebyscore1m", "ZRANGE zst:1m {000000-899999} +inf BYSCORE LIMIT 0 10", Array(Some(10))),
        // The same size, but members come and go: half of each command's hit.
        row("zchurn1m", "z2m:", ALL, to_and_fro, half).exactly(MILLION),
    ]
}

fn places() -> Vec<Workload> {
    use Expect::{Array, Integer};
    // A hundred places in a square of some 70 km by 110 km.
    let fill = Some(step("GEOADD {key} 100x(13.{000000-999999} 52.{000000-999999} {member})", Integer));
    let search = "GEOSEARCH {key} FROMLONLAT 13.{000000-999999} 52.{000000-999999} BYRADIUS 20 km ASC COUNT 10";
    vec![one("geosearch", "geo:", 1_000, search, Array(None), fill)]
}

fn row(name: &'static str, prefix: &'static str, keys_max: u64, steps: Vec<Step>, fill: Option<Step>) -> Workload {
    Workload { name, prefix, keys_min: 1, keys_max, steps, fill, afresh: false }
}

/// A row of one command.
fn one(
    name: &'static str,
    prefix: &'static str,
    keys_max: u64,
    command: &str,
    expect: Expect,
    fill: Option<Step>,
) -> Workload {
    row(name, prefix, keys_max, vec![step(command, expect)], fill)
}

fn step(command: &str, expect: Expect) -> Step {
    Step::new(command, expect)
}

#[cfg(test)]
mod tests {
    use super::super::reply::Dialect;
    use super::super::template::Template;
    use super::*;

    #[test]
    fn every_row_has_a_name_of_its_own_and_a_four_byte_prefix() {
        let table = table(64, (10, 1));
        let mut names: Vec<_> = table.iter().map(|row| row.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), table.len());
        assert!(table.iter().all(|row| row.prefix.len() == 4 && !row.steps.is_empty()));
    }

    #[test]
    fn every_command_can_be_written() {
        for row in table(64, (10, 1)) {
            for step in row.steps.iter().chain(&row.fill) {
                assert!(Template::new(step, Dialect::Resp, row.prefix, b"v").is_some(), "{}", step.command);
            }
        }
    }
}

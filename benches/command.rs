//! What does each data command cost inside the sharded engine, without sockets?
//!
//! One row a command: what is there beforehand, the request that is measured, and another that undoes what it did and
//! is not measured, so that a key looks alike the first and the millionth time. An iteration is a batch of 16 requests
//! on random keys; throughput is in requests, and time is CPU time. A command of these families without a row is named
//! at the end.
//!
//!     cargo bench --bench command -- sorted-set/

#[path = "harness/mod.rs"]
mod harness;

use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use kiba::command;
use kiba::config::Config;
use kiba::engine::Engine;
use kiba::engine::sharded::Sharded;
use kiba::parser::{Batch, Verdict};
use kiba::server::Server;
use kiba::sync::Arc;
use tokio::runtime::{Builder, Runtime};

use harness::batch::parse;
use harness::keys::Rng;
use harness::reply::{Dialect, Expect, Scanner};
use harness::template::{Step, Template};

#[global_allocator]
static ALLOCATOR: kiba::memory::Counting = kiba::memory::Counting;

/// What is there beforehand: a number of keys, and the command that made each of them.
type Setup = (u64, &'static str);

/// A name, what is there, the request, and the one that undoes it (or an empty text). Written as the templates of the
/// harness; both requests draw the same numbers in the same order.
type Row = (&'static str, Setup, &'static str, &'static str);

const STRINGS: Setup = (100_000, "SET {key} {value}");
const NUMBERS: Setup = (100_000, "SET {key} {100000-999999}");
const VOLATILE: Setup = (100_000, "SET {key} {value} EX 100000");
const BITMAPS: Setup = (10_000, "SETBIT {key} 8191 1");
const LOGS: Setup = (1_000, "PFADD {key} 2000x({member})");
const LISTS: Setup = (100_000, "RPUSH {key} 10x(job:{member}) pivot 9x(job:{member})");
const NUMBER_LISTS: Setup = (100_000, "RPUSH {key} 20x({100000-999999})");
const LONG_LIST: Setup = (100_000, "RPUSH long {value}");
const SETS: Setup = (100_000, "SADD {key} there 19x(member:000{00-39})");
const LARGE_SET: Setup = (1_000_000, "SADD large {n}");
const HASHES: Setup = (100_000, "HSET {key} f0 value f1 value f2 10 f3 value f4 value");
const TIMED_HASHES: Setup = (100_000, "HSETEX {key} EX 100000 FIELDS 3 f0 value f1 value f2 value");
const LARGE_HASH: Setup = (1_000_000, "HSET large {n} value");
const SORTED_SETS: Setup = (100_000, "ZADD {key} 500000 there 19x({100000-999999} member:000{00-39})");
const LARGE_SORTED_SET: Setup = (1_000_000, "ZADD large {000000-999999} {n}");
const PLACES: Setup = (1_000, "GEOADD {key} 13.5 52.5 home 99x(13.{000000-999999} 52.{000000-999999} place:{000-999})");

/// By the group that COMMAND DOCS names.
const FAMILIES: &[(&str, &[Row])] = &[
    ("string", STRING),
    ("bitmap", BITMAP),
    ("hyperloglog", HYPERLOGLOG),
    ("list", LIST),
    ("set", SET),
    ("hash", HASH),
    ("sorted-set", SORTED_SET),
    ("geo", GEO),
    ("generic", GENERIC),
];

#[rustfmt::skip]
const STRING: &[Row] = &[
    ("get", STRINGS, "GET {key}", ""),
    ("getrange", STRINGS, "GETRANGE {key} 8 39", ""),
    ("substr", STRINGS, "SUBSTR {key} 8 39", ""),
    ("strlen", STRINGS, "STRLEN {key}", ""),
    ("lcs", STRINGS, "LCS {key} {key}", ""),
    ("digest", STRINGS, "DIGEST {key}", ""),
    ("mget-10", STRINGS, "MGET 10x({key})", ""),
    ("set", STRINGS, "SET {key} {value}", ""),
    ("set-ex", STRINGS, "SET {key} {value} EX 1000", "SET {key} {value}"),
    ("setex", STRINGS, "SETEX {key} 1000 {value}", "SET {key} {value}"),
    ("psetex", STRINGS, "PSETEX {key} 1000000 {value}", "SET {key} {value}"),
    ("setnx", STRINGS, "SETNX new:{n} {value}", "DEL new:{n}"),
    ("setrange", STRINGS, "SETRANGE {key} 8 abc", ""),
    ("append", STRINGS, "APPEND {key} abc", "SET {key} {value}"),
    ("getset", STRINGS, "GETSET {key} {value}", ""),
    ("getex", STRINGS, "GETEX {key} EX 1000", "PERSIST {key}"),
    ("getdel", STRINGS, "GETDEL {key}", "SET {key} {value}"),
    ("delifeq", STRINGS, "DELIFEQ {key} {value}", "SET {key} {value}"),
    ("delex", STRINGS, "DELEX {key}", "SET {key} {value}"),
    ("mset-10", STRINGS, "MSET 10x({key} {value})", ""),
    ("msetex-10", STRINGS, "MSETEX 10 10x({key} {value}) EX 1000", "MSET 10x({key} {value})"),
    ("msetnx-10", STRINGS, "MSETNX 10x(new:{n} {value})", "DEL 10x(new:{n})"),
    ("incr", NUMBERS, "INCR {key}", ""),
    ("decr", NUMBERS, "DECR {key}", ""),
    ("incrby", NUMBERS, "INCRBY {key} 7", ""),
    ("decrby", NUMBERS, "DECRBY {key} 7", ""),
    ("increx", NUMBERS, "INCREX {key}", ""),
    ("incrbyfloat", NUMBERS, "INCRBYFLOAT {key} 0.5", "SET {key} 100000"),
];

#[rustfmt::skip]
const BITMAP: &[Row] = &[
    ("getbit", BITMAPS, "GETBIT {key} {1000-8191}", ""),
    ("setbit", BITMAPS, "SETBIT {key} {1000-8191} 1", ""),
    ("bitcount", BITMAPS, "BITCOUNT {key}", ""),
    ("bitpos", BITMAPS, "BITPOS {key} 1", ""),
    ("bitfield", BITMAPS, "BITFIELD {key} INCRBY u8 {1000-8000} 1", ""),
    ("bitfield_ro", BITMAPS, "BITFIELD_RO {key} GET u8 {1000-8000}", ""),
    ("bitop", BITMAPS, "BITOP OR to:{n} {key} {key}", ""),
];

#[rustfmt::skip]
const HYPERLOGLOG: &[Row] = &[
    ("pfadd", LOGS, "PFADD {key} {member}", ""),
    ("pfcount", LOGS, "PFCOUNT {key}", ""),
    ("pfcount-2", LOGS, "PFCOUNT {key} {key}", ""),
    ("pfmerge", LOGS, "PFMERGE to:{n} {key}", ""),
];

#[rustfmt::skip]
const LIST: &[Row] = &[
    ("llen", LISTS, "LLEN {key}", ""),
    ("lindex", LISTS, "LINDEX {key} 10", ""),
    ("lrange-10", LISTS, "LRANGE {key} 0 9", ""),
    ("lpos", LISTS, "LPOS {key} pivot", ""),
    ("lpush", LISTS, "LPUSH {key} {value}", "LPOP {key}"),
    ("rpush", LISTS, "RPUSH {key} {value}", "RPOP {key}"),
    ("lpushx", LISTS, "LPUSHX {key} {value}", "LPOP {key}"),
    ("rpushx", LISTS, "RPUSHX {key} {value}", "RPOP {key}"),
    ("lpop", LISTS, "LPOP {key}", "LPUSH {key} job:000000000000"),
    ("rpop", LISTS, "RPOP {key}", "RPUSH {key} job:000000000000"),
    ("lmpop", LISTS, "LMPOP 1 {key} LEFT", "LPUSH {key} job:000000000000"),
    ("lmove", LISTS, "LMOVE {key} to:{12+0} LEFT RIGHT", "LMOVE to:{n} key:{12+0} LEFT LEFT"),
    ("rpoplpush", LISTS, "RPOPLPUSH {key} to:{12+0}", "LMOVE to:{n} key:{12+0} LEFT RIGHT"),
    ("linsert", LISTS, "LINSERT {key} BEFORE pivot new", "LREM {key} 1 new"),
    ("lrem", LISTS, "LREM {key} 1 pivot", "RPUSH {key} pivot"),
    ("lset", LISTS, "LSET {key} 10 job:{member}", ""),
    ("ltrim", LISTS, "LTRIM {key} 1 -1", "LPUSH {key} job:000000000000"),
    ("lpush-long", LONG_LIST, "LPUSH long {value}", "LPOP long"),
    ("lpop-long", LONG_LIST, "LPOP long", "LPUSH long {value}"),
    ("lindex-long", LONG_LIST, "LINDEX long {10000-90000}", ""),
    ("lrange-100-long", LONG_LIST, "LRANGE long {10000-90000} {5+99}", ""),
];

#[rustfmt::skip]
const SET: &[Row] = &[
    ("scard", SETS, "SCARD {key}", ""),
    ("sismember", SETS, "SISMEMBER {key} member:000{00-39}", ""),
    ("smismember-10", SETS, "SMISMEMBER {key} 10x(member:000{00-39})", ""),
    ("smembers", SETS, "SMEMBERS {key}", ""),
    ("srandmember", SETS, "SRANDMEMBER {key}", ""),
    ("sscan", SETS, "SSCAN {key} 0", ""),
    ("sinter", SETS, "SINTER {key} {key}", ""),
    ("sintercard", SETS, "SINTERCARD 2 {key} {key}", ""),
    ("sunion", SETS, "SUNION {key} {key}", ""),
    ("sunioncard", SETS, "SUNIONCARD 2 {key} {key}", ""),
    ("sdiff", SETS, "SDIFF {key} {key}", ""),
    ("sdiffcard", SETS, "SDIFFCARD 2 {key} {key}", ""),
    ("sinterstore", SETS, "SINTERSTORE to:{n} {key} {key}", ""),
    ("sunionstore", SETS, "SUNIONSTORE to:{n} {key} {key}", ""),
    ("sdiffstore", SETS, "SDIFFSTORE to:{n} {key} {key}", "DEL to:{n}"),
    ("sadd", SETS, "SADD {key} new", "SREM {key} new"),
    ("srem", SETS, "SREM {key} there", "SADD {key} there"),
    ("spop", SETS, "SPOP {key}", "SADD {key} {member}"),
    ("smove", SETS, "SMOVE {key} to:{12+0} there", "SMOVE to:{n} key:{12+0} there"),
    ("sismember-1m", LARGE_SET, "SISMEMBER large {n}", ""),
    ("sadd-1m", LARGE_SET, "SADD large new:{n}", "SREM large new:{n}"),
    ("srem-1m", LARGE_SET, "SREM large {n}", "SADD large {n}"),
];

#[rustfmt::skip]
const HASH: &[Row] = &[
    ("hlen", HASHES, "HLEN {key}", ""),
    ("hget", HASHES, "HGET {key} f{0-4}", ""),
    ("hmget-3", HASHES, "HMGET {key} f1 f3 f5", ""),
    ("hgetall", HASHES, "HGETALL {key}", ""),
    ("hkeys", HASHES, "HKEYS {key}", ""),
    ("hvals", HASHES, "HVALS {key}", ""),
    ("hexists", HASHES, "HEXISTS {key} f{0-4}", ""),
    ("hstrlen", HASHES, "HSTRLEN {key} f{0-4}", ""),
    ("hrandfield", HASHES, "HRANDFIELD {key}", ""),
    ("hscan", HASHES, "HSCAN {key} 0", ""),
    ("hset", HASHES, "HSET {key} f3 value", ""),
    ("hmset-2", HASHES, "HMSET {key} f3 value f4 value", ""),
    ("hsetnx", HASHES, "HSETNX {key} new value", "HDEL {key} new"),
    ("hincrby", HASHES, "HINCRBY {key} f2 1", "HSET {key} f2 10"),
    ("hincrbyfloat", HASHES, "HINCRBYFLOAT {key} f2 0.5", "HSET {key} f2 10"),
    ("hdel", HASHES, "HDEL {key} f4", "HSET {key} f4 value"),
    ("hgetdel", HASHES, "HGETDEL {key} FIELDS 1 f4", "HSET {key} f4 value"),
    ("hexpire", TIMED_HASHES, "HEXPIRE {key} 1000 FIELDS 1 f{0-2}", ""),
    ("hpexpire", TIMED_HASHES, "HPEXPIRE {key} 1000000 FIELDS 1 f{0-2}", ""),
    ("hexpireat", TIMED_HASHES, "HEXPIREAT {key} 4000000000 FIELDS 1 f{0-2}", ""),
    ("hpexpireat", TIMED_HASHES, "HPEXPIREAT {key} 4000000000000 FIELDS 1 f{0-2}", ""),
    ("hpersist", TIMED_HASHES, "HPERSIST {key} FIELDS 1 f0", "HEXPIRE {key} 1000 FIELDS 1 f0"),
    ("httl", TIMED_HASHES, "HTTL {key} FIELDS 1 f{0-2}", ""),
    ("hpttl", TIMED_HASHES, "HPTTL {key} FIELDS 1 f{0-2}", ""),
    ("hexpiretime", TIMED_HASHES, "HEXPIRETIME {key} FIELDS 1 f{0-2}", ""),
    ("hpexpiretime", TIMED_HASHES, "HPEXPIRETIME {key} FIELDS 1 f{0-2}", ""),
    ("hgetex", TIMED_HASHES, "HGETEX {key} EX 1000 FIELDS 1 f{0-2}", ""),
    ("hsetex", TIMED_HASHES, "HSETEX {key} EX 1000 FIELDS 1 f{0-2} value", ""),
    ("hget-timed", TIMED_HASHES, "HGET {key} f{0-2}", ""),
    ("hget-1m", LARGE_HASH, "HGET large {n}", ""),
    ("hset-1m", LARGE_HASH, "HSET large {n} value", ""),
    ("hset-new-1m", LARGE_HASH, "HSET large new:{n} value", "HDEL large new:{n}"),
];

#[rustfmt::skip]
const SORTED_SET: &[Row] = &[
    ("zcard", SORTED_SETS, "ZCARD {key}", ""),
    ("zscore", SORTED_SETS, "ZSCORE {key} member:000{00-39}", ""),
    ("zmscore-10", SORTED_SETS, "ZMSCORE {key} 10x(member:000{00-39})", ""),
    ("zrank", SORTED_SETS, "ZRANK {key} there", ""),
    ("zrevrank", SORTED_SETS, "ZREVRANK {key} there", ""),
    ("zcount", SORTED_SETS, "ZCOUNT {key} 200000 600000", ""),
    ("zlexcount", SORTED_SETS, "ZLEXCOUNT {key} - +", ""),
    ("zrange-10", SORTED_SETS, "ZRANGE {key} 0 9", ""),
    ("zrange-byscore", SORTED_SETS, "ZRANGE {key} 200000 600000 BYSCORE", ""),
    ("zrangebyscore", SORTED_SETS, "ZRANGEBYSCORE {key} 200000 600000", ""),
    ("zrangebylex-10", SORTED_SETS, "ZRANGEBYLEX {key} - + LIMIT 0 10", ""),
    ("zrevrange-10", SORTED_SETS, "ZREVRANGE {key} 0 9", ""),
    ("zrevrangebyscore", SORTED_SETS, "ZREVRANGEBYSCORE {key} 600000 200000", ""),
    ("zrevrangebylex-10", SORTED_SETS, "ZREVRANGEBYLEX {key} + - LIMIT 0 10", ""),
    ("zrandmember", SORTED_SETS, "ZRANDMEMBER {key}", ""),
    ("zscan", SORTED_SETS, "ZSCAN {key} 0", ""),
    ("zunion", SORTED_SETS, "ZUNION 2 {key} {key}", ""),
    ("zinter", SORTED_SETS, "ZINTER 2 {key} {key}", ""),
    ("zintercard", SORTED_SETS, "ZINTERCARD 2 {key} {key}", ""),
    ("zdiff", SORTED_SETS, "ZDIFF 2 {key} {key}", ""),
    ("zunionstore", SORTED_SETS, "ZUNIONSTORE to:{n} 2 {key} {key}", ""),
    ("zinterstore", SORTED_SETS, "ZINTERSTORE to:{n} 2 {key} {key}", ""),
    ("zdiffstore", SORTED_SETS, "ZDIFFSTORE to:{n} 2 {key} {key}", ""),
    ("zrangestore", SORTED_SETS, "ZRANGESTORE to:{n} {key} 0 9", "DEL to:{n}"),
    ("zadd", SORTED_SETS, "ZADD {key} 600000 there", "ZADD {key} 500000 there"),
    ("zadd-new", SORTED_SETS, "ZADD {key} 500000 new", "ZREM {key} new"),
    ("zincrby", SORTED_SETS, "ZINCRBY {key} 1 there", "ZADD {key} 500000 there"),
    ("zrem", SORTED_SETS, "ZREM {key} there", "ZADD {key} 500000 there"),
    ("zremrangebyscore", SORTED_SETS, "ZREMRANGEBYSCORE {key} 500000 500000", "ZADD {key} 500000 there"),
    ("zremrangebylex", SORTED_SETS, "ZREMRANGEBYLEX {key} [x [y", ""),
    ("zremrangebyrank", SORTED_SETS, "ZREMRANGEBYRANK {key} 0 0", "ZADD {key} 100000 {member}"),
    ("zpopmin", SORTED_SETS, "ZPOPMIN {key}", "ZADD {key} 100000 {member}"),
    ("zpopmax", SORTED_SETS, "ZPOPMAX {key}", "ZADD {key} 999999 {member}"),
    ("zmpop", SORTED_SETS, "ZMPOP 1 {key} MIN", "ZADD {key} 100000 {member}"),
    ("zscore-1m", LARGE_SORTED_SET, "ZSCORE large {n}", ""),
    ("zrank-1m", LARGE_SORTED_SET, "ZRANK large {n}", ""),
    ("zrange-10-1m", LARGE_SORTED_SET, "ZRANGE large {100000-899999} {6+9}", ""),
    ("zrange-byscore-10-1m", LARGE_SORTED_SET, "ZRANGE large {000000-899999} +inf BYSCORE LIMIT 0 10", ""),
    ("zcount-1m", LARGE_SORTED_SET, "ZCOUNT large {000000-799999} {6+100000}", ""),
    ("zadd-1m", LARGE_SORTED_SET, "ZADD large {000000-999999} {n}", ""),
    ("zadd-new-1m", LARGE_SORTED_SET, "ZADD large {000000-999999} new:{n}", "ZREM large {000000-999999} new:{n}"),
    ("zincrby-1m", LARGE_SORTED_SET, "ZINCRBY large {1-9} {n}", ""),
    ("zrem-1m", LARGE_SORTED_SET, "ZREM large {n}", "ZADD large {n} {12+0}"),
    ("zpopmin-1m", LARGE_SORTED_SET, "ZPOPMIN large", "ZADD large {000000-999999} new:{member}"),
];

#[rustfmt::skip]
const GEO: &[Row] = &[
    ("geoadd", PLACES, "GEOADD {key} 13.{000000-999999} 52.{000000-999999} home", "GEOADD {key} 13.5 52.5 home"),
    ("geopos", PLACES, "GEOPOS {key} home", ""),
    ("geodist", PLACES, "GEODIST {key} home place:{000-999}", ""),
    ("geohash", PLACES, "GEOHASH {key} home", ""),
    ("geosearch", PLACES, "GEOSEARCH {key} FROMLONLAT 13.5 52.5 BYRADIUS 20 km", ""),
    ("geosearch-box", PLACES, "GEOSEARCH {key} FROMMEMBER home BYBOX 40 40 km ASC COUNT 10", ""),
    ("georadius", PLACES, "GEORADIUS {key} 13.5 52.5 20 km", ""),
    ("georadius_ro", PLACES, "GEORADIUS_RO {key} 13.5 52.5 20 km", ""),
    ("georadiusbymember", PLACES, "GEORADIUSBYMEMBER {key} home 20 km", ""),
    ("georadiusbymember_ro", PLACES, "GEORADIUSBYMEMBER_RO {key} home 20 km", ""),
    ("geosearchstore", PLACES, "GEOSEARCHSTORE to:{n} {key} FROMMEMBER home BYRADIUS 20 km", ""),
];

#[rustfmt::skip]
const GENERIC: &[Row] = &[
    ("exists", STRINGS, "EXISTS {key}", ""),
    ("type", STRINGS, "TYPE {key}", ""),
    ("ttl", STRINGS, "TTL {key}", ""),
    ("touch", STRINGS, "TOUCH {key}", ""),
    ("dump", STRINGS, "DUMP {key}", ""),
    ("object-encoding", STRINGS, "OBJECT ENCODING {key}", ""),
    ("randomkey", STRINGS, "RANDOMKEY", ""),
    ("scan", STRINGS, "SCAN 0", ""),
    ("del", STRINGS, "DEL {key}", "SET {key} {value}"),
    ("unlink", STRINGS, "UNLINK {key}", "SET {key} {value}"),
    ("rename", STRINGS, "RENAME {key} to:{12+0}", "RENAME to:{n} key:{12+0}"),
    ("renamenx", STRINGS, "RENAMENX {key} to:{12+0}", "RENAME to:{n} key:{12+0}"),
    ("copy", STRINGS, "COPY {key} to:{12+0}", "DEL to:{n}"),
    ("expire", STRINGS, "EXPIRE {key} 1000", "PERSIST {key}"),
    ("pexpire", STRINGS, "PEXPIRE {key} 1000000", "PERSIST {key}"),
    ("expireat", STRINGS, "EXPIREAT {key} 4000000000", "PERSIST {key}"),
    ("pexpireat", STRINGS, "PEXPIREAT {key} 4000000000000", "PERSIST {key}"),
    ("expiretime", VOLATILE, "EXPIRETIME {key}", ""),
    ("pexpiretime", VOLATILE, "PEXPIRETIME {key}", ""),
    ("pttl", VOLATILE, "PTTL {key}", ""),
    ("expire-again", VOLATILE, "EXPIRE {key} 100000", ""),
    ("persist", VOLATILE, "PERSIST {key}", "EXPIRE {key} 100000"),
    ("sort", NUMBER_LISTS, "SORT {key}", ""),
    ("sort_ro", NUMBER_LISTS, "SORT_RO {key}", ""),
];

/// Commands of these families that one row cannot measure: they wait, depend on what an earlier reply was, move keys
/// to where they are not found again, or take as long as there are keys.
const WITHOUT_ROW: &[&str] = &[
    "blmove",
    "blmpop",
    "blpop",
    "brpop",
    "brpoplpush",
    "bzmpop",
    "bzpopmax",
    "bzpopmin",
    "himport",
    "keys",
    "migrate",
    "move",
    "pfdebug",
    "pfselftest",
    "restore",
    "wait",
    "waitaof",
];

/// Requests in a batch.
const PIPELINE: usize = 16;

/// Batches between two readings of the clock, and before what they did is undone.
const CHUNK: usize = 64;

/// Bytes of a `{value}`.
const VALUE: &[u8] = &[b'v'; 64];

/// An engine with what a setup asks for.
struct Stage {
    setup: Setup,
    keys: u64,
    server: Arc<Server>,
    engine: Sharded,
    runtime: Runtime,
    /// Batches whose buffers are used again, as a server does it.
    #[expect(clippy::vec_box, reason = "engines take and give batches boxed")]
    spare: Vec<Box<Batch>>,
}

impl Stage {
    fn new(setup: Setup, keys: u64) -> Self {
        let server = Server::new(Arc::new(Config::default()), None);
        let engine = Sharded::new(Arc::clone(&server));
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime starts");
        let mut stage = Self { setup, keys, server, engine, runtime, spare: Vec::new() };
        let template = template(setup.1);
        let mut key = 0;
        while key < keys {
            let (mut batch, mut rng) = (Box::<Batch>::default(), Rng::new(key));
            for _ in 0..PIPELINE.min((keys - key) as usize) {
                template.write(&mut batch.input, &mut rng, |_| key);
                key += 1;
            }
            let batch = parse(&stage.server, batch);
            stage.run(vec![batch]);
        }
        stage
    }

    /// Runs batches and returns how much CPU time it took.
    #[expect(clippy::vec_box, reason = "engines take and give batches boxed")]
    fn run(&mut self, mut batches: Vec<Box<Batch>>) -> Duration {
        let Self { engine, runtime, spare, .. } = self;
        runtime.block_on(async {
            let start = own_cpu();
            for batch in batches.drain(..) {
                let (mut batch, mut ran) = (batch, 0);
                // More than once only where the replies are very large.
                while ran < batch.requests.len() {
                    let range = ran..batch.requests.len();
                    (batch, ran) = engine.execute(batch, range, 0).await.expect("the engine answers");
                }
                spare.push(batch);
            }
            own_cpu() - start
        })
    }

    /// Parsed batches of a request with the random numbers that belong to `seed`.
    #[expect(clippy::vec_box, reason = "engines take and give batches boxed")]
    fn batches(&mut self, request: &Template, count: usize, pipeline: usize, seed: u64) -> Vec<Box<Batch>> {
        let keys = self.keys;
        let batch = |nth| {
            let mut batch = self.spare.pop().unwrap_or_default();
            batch.clear();
            for request_nth in 0..pipeline {
                // A generator for each request, since the one that undoes it may draw fewer numbers.
                let mut rng = Rng::new(seed ^ ((nth * pipeline + request_nth) as u64) << 32);
                request.write(&mut batch.input, &mut rng, |rng| rng.below(keys));
            }
            parse(&self.server, batch)
        };
        (0..count).map(batch).collect()
    }

    /// Runs a request once.
    ///
    /// # Errors
    /// Why it cannot be measured: the engine does not run such a command, or it is answered an error.
    fn try_out(&mut self, request: &Template) -> Result<(), String> {
        let batches = self.batches(request, 1, 1, 0);
        let Verdict::Run(command) = batches[0].requests[0].verdict else {
            return Err("no such command".into());
        };
        if !is_data(command) {
            return Err("not a command of the engine".into());
        }
        self.run(batches);
        let reply: Vec<u8> = self.spare.last().expect("just run").reply.parts().collect::<Vec<_>>().concat();
        Scanner::new(Dialect::Resp).scan(&reply, |_| Ok(())).map(|_| ())
    }
}

/// CPU time of this thread, on which everything is run: unlike the time that passes, other processes do not change it
/// much.
fn own_cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn is_data(command: &command::Command) -> bool {
    use command::Run;
    !matches!(command.spec.run, Run::Session(_) | Run::SessionOr(..) | Run::Control(_) | Run::Container(_))
}

fn template(command: &str) -> Template {
    Template::new(&Step::new(command, Expect::Any), Dialect::Resp, "key:", VALUE).expect("RESP says everything")
}

fn all(criterion: &mut Criterion) {
    // A smoke run fills little: with `--test`, or as one of all tests, which cargo runs without `--bench`.
    let is_told = |word: &str| std::env::args().any(|told| told == word);
    let keys_max = if is_told("--test") || !is_told("--bench") { 1_000 } else { u64::MAX };
    let mut stage: Option<Stage> = None;
    for (family, rows) in FAMILIES {
        let mut group = criterion.benchmark_group(*family);
        group.throughput(Throughput::Elements(PIPELINE as u64));
        for (name, setup, request, undo) in *rows {
            let is_known = |line: &str| line.split(' ').next().is_some_and(is_command);
            if ![setup.1, *request, *undo].iter().all(|line| line.is_empty() || is_known(line)) {
                continue;
            }
            let (request, undo) = (template(request), (!undo.is_empty()).then(|| template(undo)));
            let mut seed = 0;
            group.bench_function(*name, |bencher| {
                if stage.as_ref().is_none_or(|stage| stage.setup != *setup) {
                    // The old one goes first: two of the large ones need not be there at once.
                    stage = None;
                    stage = Some(Stage::new(*setup, setup.0.min(keys_max)));
                }
                let stage = stage.as_mut().expect("just made");
                for line in [Some(&request), undo.as_ref()].into_iter().flatten() {
                    stage.try_out(line).unwrap_or_else(|why| panic!("{family}/{name}: {why}"));
                }
                bencher.iter_custom(|iterations| {
                    let (mut left, mut took) = (iterations, Duration::ZERO);
                    while left > 0 {
                        let count = left.min(CHUNK as u64);
                        seed += 1;
                        let batches = stage.batches(&request, count as usize, PIPELINE, seed);
                        took += stage.run(batches);
                        if let Some(undo) = &undo {
                            let batches = stage.batches(undo, count as usize, PIPELINE, seed);
                            stage.run(batches);
                        }
                        left -= count;
                    }
                    took
                });
            });
        }
    }
    let missing = missing();
    if !missing.is_empty() {
        eprintln!("commands without a row: {}", missing.join(", "));
    }
}

fn is_command(name: &str) -> bool {
    command::find(name.as_bytes()).is_some()
}

/// Commands of the families above that no row is about.
fn missing() -> Vec<&'static str> {
    let rows = || FAMILIES.iter().flat_map(|(_, rows)| *rows);
    let has_row =
        |name: &str| rows().any(|row| row.2.split(' ').next().is_some_and(|it| it.eq_ignore_ascii_case(name)));
    let families = command::commands().iter().filter(|it| FAMILIES.iter().any(|(family, _)| *family == it.group));
    families.map(|it| it.spec.name).filter(|name| !has_row(name) && !WITHOUT_ROW.contains(name)).collect()
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_millis(1500));
    targets = all
}
criterion_main!(benches);

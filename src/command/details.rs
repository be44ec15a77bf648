//! What COMMAND says beyond the rows: how each key is used, and tips for proxies and clients.
//!
//! A table of its own, because nothing in Kiba depends on it: rows stay short. The values are those that Redis 7.0
//! answers.

use super::{Command, Keys};

/// Name, uses of the declared keys, tips.
type Row = (&'static str, &'static [&'static str], &'static [&'static str]);

/// How a key is used, in words: its access (`RO`, `RW`, `OW` for overwrite, `RM` for remove) and flags; then perhaps
/// `@` and where it is; then perhaps a note after a semicolon.
///
/// One use for several keys is that of each of them, and the last of several uses is that of all further keys. Without
/// a place, a key is where the row says. A place is `?` where it cannot be told, or `KEYWORD:from:last:limit`: behind
/// the keyword, which is looked for from argument `from` on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Use(pub &'static str);

/// Where keys are and how they are used, as COMMAND says it.
#[derive(Clone, Copy, Debug)]
pub(super) struct KeySpec {
    pub used: Use,
    pub begin: Begin,
    pub find: Find,
}

/// Where the search for keys begins.
#[derive(Clone, Copy, Debug)]
pub(super) enum Begin {
    Index(i64),
    /// Behind this word, which is looked for from an argument on.
    Keyword(&'static str, i64),
    Unknown,
}

/// Which arguments from there on are keys.
#[derive(Clone, Copy, Debug)]
pub(super) enum Find {
    /// Up to `last`, counted from the first or, when it is negative, from the end; the `limit`th part of them.
    Range {
        last: i64,
        step: i64,
        limit: i64,
    },
    /// As many as the first argument says, behind it.
    Counted,
    Unknown,
}

impl Find {
    const ONE: Self = Self::Range { last: 0, step: 1, limit: 0 };
}

impl Use {
    pub fn flags(self) -> impl Iterator<Item = &'static str> {
        self.words().split(' ').filter(|word| !word.starts_with('@'))
    }

    pub fn note(self) -> Option<&'static str> {
        self.0.split_once("; ").map(|(_, note)| note)
    }

    fn words(self) -> &'static str {
        self.0.split(';').next().unwrap_or_default()
    }

    /// Where the key is, when it is not where the row says.
    fn place(self) -> Option<(Begin, Find)> {
        let (_, place) = self.words().split_once('@')?;
        let mut parts = place.split(':');
        let keyword = parts.next().unwrap_or_default();
        let mut numbers = parts.map(|part| part.parse::<i64>().unwrap_or_default());
        match (numbers.next(), numbers.next(), numbers.next()) {
            (Some(from), Some(last), Some(limit)) => {
                Some((Begin::Keyword(keyword, from), Find::Range { last, step: 1, limit }))
            }
            _ => Some((Begin::Unknown, Find::Unknown)),
        }
    }
}

/// How key number `i` of a call is used.
pub(super) fn use_of_key(full_name: &str, i: usize) -> Use {
    Use(key_uses(full_name).get(index_of_use(full_name, i)).copied().unwrap_or_default())
}

/// Which of a command's uses is that of key number `i`.
pub(super) fn index_of_use(full_name: &str, i: usize) -> usize {
    let uses = key_uses(full_name);
    let is_here = uses.get(i).is_some_and(|used| Use(used).place().is_none());
    if is_here { i } else { uses.len().saturating_sub(1) }
}

/// Where the keys of a command are.
pub(super) fn key_specs(command: &Command) -> Vec<KeySpec> {
    let uses = key_uses(command.full_name);
    let spec = |(i, used): (usize, &&'static str)| {
        let used = Use(used);
        let is_last = i + 1 == uses.len();
        let (begin, find) = used.place().unwrap_or_else(|| match command.spec.keys {
            Keys::None => (Begin::Unknown, Find::Unknown),
            Keys::Range { first, last, step } => {
                let (last, step) = (i64::from(last), i64::from(step));
                let at = i64::from(first) + i as i64 * step;
                let find = match (is_last, i, last) {
                    (true, _, ..0) => Find::Range { last, step, limit: 0 },
                    (true, 0, _) => Find::Range { last: last - at, step, limit: 0 },
                    _ => Find::ONE,
                };
                (Begin::Index(at), find)
            }
            Keys::Counted { has_target: true, .. } if i == 0 => (Begin::Index(1), Find::ONE),
            Keys::Counted { count, .. } => (Begin::Index(count.into()), Find::Counted),
            Keys::Found(finder) => (Begin::Index(finder.codes[0] + i as i64), Find::ONE),
        });
        KeySpec { used, begin, find }
    };
    uses.iter().enumerate().map(spec).collect()
}

/// How the declared keys of a command are used.
pub(super) fn key_uses(full_name: &str) -> &'static [&'static str] {
    row(full_name).map_or(&[], |row| row.1)
}

pub(super) fn tips(full_name: &str) -> &'static [&'static str] {
    row(full_name).map_or(&[], |row| row.2)
}

fn row(full_name: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.0 == full_name)
}

const BY_OR_GET: &str = "RO access @?; For the optional BY/GET keyword. It is marked 'unknown' because the key names derive from the content of the key we sort";

/// By group, in alphabetical order within it.
#[rustfmt::skip]
static ROWS: &[Row] = &[
    ("append", &["RW insert"], &[]),
    ("decr", &["RW access update"], &[]),
    ("decrby", &["RW access update"], &[]),
    ("delex", &["RW delete variable_flags"], &[]),
    ("delifeq", &["RM access delete"], &[]),
    ("digest", &["RO access"], &[]),
    ("get", &["RO access"], &[]),
    ("getdel", &["RW access delete"], &[]),
    ("getex", &["RW access update; RW and UPDATE because it changes the TTL"], &[]),
    ("getrange", &["RO access"], &[]),
    ("getset", &["RW access update"], &[]),
    ("incr", &["RW access update"], &[]),
    ("incrby", &["RW access update"], &[]),
    ("incrbyfloat", &["RW access update"], &[]),
    ("increx", &["RW access update"], &[]),
    ("lcs", &["RO access"], &[]),
    ("mget", &["RO access"], &["request_policy:multi_shard"]),
    ("mset", &["OW update"], &["request_policy:multi_shard", "response_policy:all_succeeded"]),
    ("msetex", &["OW update"], &["request_policy:multi_shard", "response_policy:all_succeeded"]),
    ("msetnx", &["OW insert"], &["request_policy:multi_shard", "response_policy:agg_min"]),
    ("psetex", &["OW update"], &[]),
    ("set", &["RW access update variable_flags; RW and ACCESS due to the optional `GET` argument"], &[]),
    ("setex", &["OW update"], &[]),
    ("setnx", &["OW insert"], &[]),
    ("setrange", &["RW update"], &[]),
    ("strlen", &["RO"], &[]),
    ("substr", &["RO access"], &[]),
    ("bitcount", &["RO access"], &[]),
    ("bitfield", &["RW access update variable_flags; This command allows both access and modification of the key"], &[]),
    ("bitfield_ro", &["RO access"], &[]),
    ("bitop", &["OW update", "RO access"], &[]),
    ("bitpos", &["RO access"], &[]),
    ("getbit", &["RO access"], &[]),
    ("setbit", &["RW access update"], &[]),
    ("pfadd", &["RW insert"], &[]),
    ("pfcount", &["RW access; RW because it may change the internal representation of the key, and propagate to replicas"], &[]),
    ("pfdebug", &["RW access"], &[]),
    ("pfmerge", &["RW access insert", "RO access"], &[]),
    ("copy", &["RO access", "OW update"], &[]),
    ("del", &["RM delete"], &["request_policy:multi_shard", "response_policy:agg_sum"]),
    ("dump", &["RO access"], &["nondeterministic_output"]),
    ("exists", &["RO"], &["request_policy:multi_shard", "response_policy:agg_sum"]),
    ("expire", &["RW update"], &[]),
    ("expireat", &["RW update"], &[]),
    ("expiremember", &["RW update"], &[]),
    ("expirememberat", &["RW update"], &[]),
    ("expiretime", &["RO access"], &[]),
    ("fieldexpire", &["RW update"], &[]),
    ("fieldttl", &["RO access"], &["nondeterministic_output"]),
    ("keys", &[], &["request_policy:all_shards", "nondeterministic_output_order"]),
    ("migrate", &["RW access delete", "RW access delete incomplete @KEYS:-2:-1:0"], &["nondeterministic_output"]),
    ("move", &["RW access update"], &[]),
    ("object|encoding", &["RO"], &["nondeterministic_output"]),
    ("object|freq", &["RO"], &["nondeterministic_output"]),
    ("object|idletime", &["RO"], &["nondeterministic_output"]),
    ("object|refcount", &["RO"], &["nondeterministic_output"]),
    ("persist", &["RW update"], &[]),
    ("pexpire", &["RW update"], &[]),
    ("pexpireat", &["RW update"], &[]),
    ("pexpirememberat", &["RW update"], &[]),
    ("pexpiretime", &["RO access"], &[]),
    ("pttl", &["RO access"], &["nondeterministic_output"]),
    ("randomkey", &[], &["request_policy:all_shards", "nondeterministic_output"]),
    ("rename", &["RW access delete", "OW update"], &[]),
    ("renamenx", &["RW access delete", "OW insert"], &[]),
    ("restore", &["OW update"], &[]),
    ("scan", &[], &["nondeterministic_output", "request_policy:special"]),
    ("sort", &["RO access", BY_OR_GET, "OW update @?; For the optional STORE keyword. It is marked 'unknown' because the keyword can appear anywhere in the argument array"], &[]),
    ("sort_ro", &["RO access", BY_OR_GET], &[]),
    ("touch", &["RO"], &["request_policy:multi_shard", "response_policy:agg_sum"]),
    ("ttl", &["RO access"], &["nondeterministic_output"]),
    ("type", &["RO"], &[]),
    ("unlink", &["RM delete"], &["request_policy:multi_shard", "response_policy:agg_sum"]),
    ("wait", &[], &["request_policy:all_shards", "response_policy:agg_min"]),
    ("waitaof", &[], &["request_policy:all_shards", "response_policy:agg_min"]),
    ("watch", &["RO"], &[]),
    ("spublish", &["not_key"], &[]),
    ("ssubscribe", &["not_key"], &[]),
    ("sunsubscribe", &["not_key"], &[]),
    ("client|info", &[], &["nondeterministic_output"]),
    ("client|list", &[], &["nondeterministic_output"]),
    ("ping", &[], &["request_policy:all_shards", "response_policy:all_succeeded"]),
    ("command", &[], &["nondeterministic_output_order"]),
    ("command|docs", &[], &["nondeterministic_output_order"]),
    ("command|info", &[], &["nondeterministic_output_order"]),
    ("command|list", &[], &["nondeterministic_output_order"]),
    ("config|set", &[], &["request_policy:all_nodes", "response_policy:all_succeeded"]),
    ("dbsize", &[], &["request_policy:all_shards", "response_policy:agg_sum"]),
    ("flushall", &[], &["request_policy:all_shards", "response_policy:all_succeeded"]),
    ("flushdb", &[], &["request_policy:all_shards", "response_policy:all_succeeded"]),
    ("info", &[], &["nondeterministic_output", "request_policy:all_shards", "response_policy:special"]),
    ("lastsave", &[], &["nondeterministic_output"]),
    ("memory|doctor", &[], &["nondeterministic_output", "request_policy:all_shards", "response_policy:special"]),
    ("memory|malloc-stats", &[], &["nondeterministic_output", "request_policy:all_shards", "response_policy:special"]),
    ("memory|purge", &[], &["request_policy:all_shards", "response_policy:all_succeeded"]),
    ("memory|stats", &[], &["nondeterministic_output", "request_policy:all_shards", "response_policy:special"]),
    ("memory|usage", &["RO"], &[]),
    ("time", &[], &["nondeterministic_output"]),
    ("blmove", &["RW access delete", "RW insert"], &[]),
    ("blmovem", &["RW access delete", "RW insert"], &[]),
    ("blmpop", &["RW access delete"], &[]),
    ("blpop", &["RW access delete"], &[]),
    ("brpop", &["RW access delete"], &[]),
    ("brpoplpush", &["RW access delete", "RW insert"], &[]),
    ("lindex", &["RO access"], &[]),
    ("linsert", &["RW insert"], &[]),
    ("llen", &["RO"], &[]),
    ("lmove", &["RW access delete", "RW insert"], &[]),
    ("lmovem", &["RW access delete", "RW insert"], &[]),
    ("lmpop", &["RW access delete"], &[]),
    ("lpop", &["RW access delete"], &[]),
    ("lpos", &["RO access"], &[]),
    ("lpush", &["RW insert"], &[]),
    ("lpushx", &["RW insert"], &[]),
    ("lrange", &["RO access"], &[]),
    ("lrem", &["RW delete"], &[]),
    ("lset", &["RW update"], &[]),
    ("ltrim", &["RW delete"], &[]),
    ("rpop", &["RW access delete"], &[]),
    ("rpoplpush", &["RW access delete", "RW insert"], &[]),
    ("rpush", &["RW insert"], &[]),
    ("rpushx", &["RW insert"], &[]),
    ("sadd", &["RW insert"], &[]),
    ("saddex", &["RW insert"], &[]),
    ("scard", &["RO"], &[]),
    ("sdiff", &["RO access"], &["nondeterministic_output_order"]),
    ("sdiffcard", &["RO access"], &[]),
    ("sdiffstore", &["OW update", "RO access"], &[]),
    ("sinter", &["RO access"], &["nondeterministic_output_order"]),
    ("sintercard", &["RO access"], &[]),
    ("sinterstore", &["RW update", "RO access"], &[]),
    ("sismember", &["RO"], &[]),
    ("smembers", &["RO access"], &["nondeterministic_output_order"]),
    ("smismember", &["RO access"], &[]),
    ("smove", &["RW access delete", "RW insert"], &[]),
    ("spop", &["RW access delete"], &["nondeterministic_output"]),
    ("srandmember", &["RO access"], &["nondeterministic_output"]),
    ("srem", &["RW delete"], &[]),
    ("sscan", &["RO access"], &["nondeterministic_output"]),
    ("sunion", &["RO access"], &["nondeterministic_output_order"]),
    ("sunioncard", &["RO access"], &[]),
    ("sunionstore", &["OW update", "RO access"], &[]),
    ("hdel", &["RW delete"], &[]),
    ("hexists", &["RO"], &[]),
    ("hexpire", &["RW update"], &[]),
    ("hexpireat", &["RW update"], &[]),
    ("hexpiretime", &["RO access"], &[]),
    ("hget", &["RO access"], &[]),
    ("hgetall", &["RO access"], &["nondeterministic_output_order"]),
    ("hgetdel", &["RW access delete"], &[]),
    ("hgetex", &["RW access update; RW and UPDATE because it changes the TTL"], &[]),
    ("himport|set", &["OW update"], &[]),
    ("hincrby", &["RW access update"], &[]),
    ("hincrbyfloat", &["RW access update"], &[]),
    ("hkeys", &["RO access"], &["nondeterministic_output_order"]),
    ("hlen", &["RO"], &[]),
    ("hmget", &["RO access"], &[]),
    ("hmset", &["RW update"], &[]),
    ("hpersist", &["RW update"], &[]),
    ("hpexpire", &["RW update"], &[]),
    ("hpexpireat", &["RW update"], &[]),
    ("hpexpiretime", &["RO access"], &[]),
    ("hpttl", &["RO access"], &["nondeterministic_output"]),
    ("hrandfield", &["RO access"], &["nondeterministic_output"]),
    ("hscan", &["RO access"], &["nondeterministic_output"]),
    ("hset", &["RW update"], &[]),
    ("hsetex", &["RW update"], &[]),
    ("hsetnx", &["RW insert"], &[]),
    ("hstrlen", &["RO"], &[]),
    ("httl", &["RO access"], &["nondeterministic_output"]),
    ("hvals", &["RO access"], &["nondeterministic_output_order"]),
    ("bzmpop", &["RW access delete"], &[]),
    ("bzpopmax", &["RW access delete"], &[]),
    ("bzpopmin", &["RW access delete"], &[]),
    ("zadd", &["RW update"], &[]),
    ("zcard", &["RO"], &[]),
    ("zcount", &["RO access"], &[]),
    ("zdiff", &["RO access"], &[]),
    ("zdiffstore", &["OW update", "RO access"], &[]),
    ("zincrby", &["RW access update"], &[]),
    ("zinter", &["RO access"], &[]),
    ("zintercard", &["RO access"], &[]),
    ("zinterstore", &["OW update", "RO access"], &[]),
    ("zlexcount", &["RO access"], &[]),
    ("zmpop", &["RW access delete"], &[]),
    ("zmscore", &["RO access"], &[]),
    ("zpopmax", &["RW access delete"], &[]),
    ("zpopmin", &["RW access delete"], &[]),
    ("zrandmember", &["RO access"], &["nondeterministic_output"]),
    ("zrange", &["RO access"], &[]),
    ("zrangebylex", &["RO access"], &[]),
    ("zrangebyscore", &["RO access"], &[]),
    ("zrangestore", &["OW update", "RO access"], &[]),
    ("zrank", &["RO access"], &[]),
    ("zrem", &["RW delete"], &[]),
    ("zremrangebylex", &["RW delete"], &[]),
    ("zremrangebyrank", &["RW delete"], &[]),
    ("zremrangebyscore", &["RW delete"], &[]),
    ("zrevrange", &["RO access"], &[]),
    ("zrevrangebylex", &["RO access"], &[]),
    ("zrevrangebyscore", &["RO access"], &[]),
    ("zrevrank", &["RO access"], &[]),
    ("zscan", &["RO access"], &["nondeterministic_output"]),
    ("zscore", &["RO access"], &[]),
    ("zunion", &["RO access"], &[]),
    ("zunionstore", &["OW update", "RO access"], &[]),
    ("geoadd", &["RW update"], &[]),
    ("geodist", &["RO access"], &[]),
    ("geohash", &["RO access"], &[]),
    ("geopos", &["RO access"], &[]),
    ("georadius", &["RO access", "OW update @STORE:6:0:0", "OW update @STOREDIST:6:0:0"], &[]),
    ("georadius_ro", &["RO access"], &[]),
    ("georadiusbymember", &["RO access", "OW update @STORE:5:0:0", "OW update @STOREDIST:5:0:0"], &[]),
    ("georadiusbymember_ro", &["RO access"], &[]),
    ("geosearch", &["RO access"], &[]),
    ("geosearchstore", &["OW update", "RO access"], &[]),
    ("xack", &["RW update"], &[]),
    ("xackdel", &["RW delete update"], &[]),
    ("xadd", &["RW update; UPDATE instead of INSERT because of the optional trimming feature"], &["nondeterministic_output"]),
    ("xautoclaim", &["RW delete"], &["nondeterministic_output"]),
    ("xclaim", &["RW update"], &["nondeterministic_output"]),
    ("xdel", &["RW delete"], &[]),
    ("xdelex", &["RW delete"], &[]),
    ("xgroup|create", &["RW insert"], &[]),
    ("xgroup|createconsumer", &["RW insert"], &[]),
    ("xgroup|delconsumer", &["RW delete"], &[]),
    ("xgroup|destroy", &["RW delete"], &[]),
    ("xgroup|setid", &["RW update"], &[]),
    ("xinfo|consumers", &["RO access"], &["nondeterministic_output"]),
    ("xinfo|groups", &["RO access"], &[]),
    ("xinfo|stream", &["RO access"], &[]),
    ("xlen", &["RO"], &[]),
    ("xpending", &["RO access"], &["nondeterministic_output"]),
    ("xrange", &["RO access"], &[]),
    ("xread", &["RO access @STREAMS:1:-1:2"], &[]),
    ("xreadgroup", &["RO access @STREAMS:4:-1:2"], &[]),
    ("xrevrange", &["RO access"], &[]),
    ("xsetid", &["RW update"], &[]),
    ("xtrim", &["RW delete"], &["nondeterministic_output"]),
];

#[cfg(all(test, not(kiba_loom)))]
mod tests {
    use super::super::commands;
    use super::*;

    #[test]
    fn every_declared_key_has_its_use() {
        for command in commands().iter().flat_map(|command| std::iter::once(command).chain(&command.subcommands)) {
            let (name, uses) = (command.full_name, key_uses(command.full_name));
            assert_eq!(command.spec.keys.is_none(), uses.is_empty(), "{name}");
            for used in uses {
                assert!(["RO", "RW", "OW", "RM", "not_key"].iter().any(|access| used.starts_with(access)), "{used}");
            }
            match command.spec.keys {
                Keys::Range { first, last, step } if uses.len() > 1 && last >= 0 => {
                    let keys = (i64::from(last) - i64::from(first)) / i64::from(step) + 1;
                    assert_eq!(uses.len() as i64, keys, "{name}");
                }
                Keys::Counted { has_target, .. } => assert_eq!(uses.len(), 1 + usize::from(has_target), "{name}"),
                _ => {}
            }
        }
    }

    #[test]
    fn a_use_says_how_and_perhaps_where() {
        let used = Use("RW access delete incomplete @KEYS:-2:-1:0; a note; or two");
        assert_eq!(used.flags().collect::<Vec<_>>(), ["RW", "access", "delete", "incomplete"]);
        assert_eq!(used.note(), Some("a note; or two"));
        assert!(matches!(
            used.place(),
            Some((Begin::Keyword("KEYS", -2), Find::Range { last: -1, step: 1, limit: 0 }))
        ));
        assert!(matches!(Use("OW update @?").place(), Some((Begin::Unknown, Find::Unknown))));
        assert!(Use("OW update").place().is_none() && Use("OW update").note().is_none());
        assert_eq!(use_of_key("sort", 0).0, "RO access");
        assert!(use_of_key("sort", 1).0.starts_with("OW update"));
        assert_eq!(use_of_key("del", 5).0, "RM delete");
    }
}

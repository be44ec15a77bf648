//! What COMMAND says beyond the rows: how each key is used, and tips for proxies and clients.
//!
//! A table of its own, because nothing in Kiba depends on it: rows stay short. The values are those that Redis 7.0
//! answers.

/// Name, use of each declared key, tips.
///
/// A key's use is its access (`RO`, `RW`, `OW` for overwrite, `RM` for remove) and flags, then perhaps a note after a
/// semicolon. One use for several keys is that of each of them.
type Row = (&'static str, &'static [&'static str], &'static [&'static str]);

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
    ("expiretime", &["RO access"], &[]),
    ("keys", &[], &["request_policy:all_shards", "nondeterministic_output_order"]),
    ("move", &["RW access update"], &[]),
    ("object|encoding", &["RO"], &["nondeterministic_output"]),
    ("object|freq", &["RO"], &["nondeterministic_output"]),
    ("object|idletime", &["RO"], &["nondeterministic_output"]),
    ("object|refcount", &["RO"], &["nondeterministic_output"]),
    ("persist", &["RW update"], &[]),
    ("pexpire", &["RW update"], &[]),
    ("pexpireat", &["RW update"], &[]),
    ("pexpiretime", &["RO access"], &[]),
    ("pttl", &["RO access"], &["nondeterministic_output"]),
    ("randomkey", &[], &["request_policy:all_shards", "nondeterministic_output"]),
    ("rename", &["RW access delete", "OW update"], &[]),
    ("renamenx", &["RW access delete", "OW insert"], &[]),
    ("restore", &["OW update"], &[]),
    ("scan", &[], &["nondeterministic_output", "request_policy:special"]),
    ("touch", &["RO"], &["request_policy:multi_shard", "response_policy:agg_sum"]),
    ("ttl", &["RO access"], &["nondeterministic_output"]),
    ("type", &["RO"], &[]),
    ("unlink", &["RM delete"], &["request_policy:multi_shard", "response_policy:agg_sum"]),
    ("watch", &["RO"], &[]),
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
    ("georadius", &["RO access", "OW update"], &[]),
    ("georadius_ro", &["RO access"], &[]),
    ("georadiusbymember", &["RO access", "OW update"], &[]),
    ("georadiusbymember_ro", &["RO access"], &[]),
    ("geosearch", &["RO access"], &[]),
    ("geosearchstore", &["OW update", "RO access"], &[]),
];

#[cfg(all(test, not(kiba_loom)))]
mod tests {
    use super::super::{Keys, commands};
    use super::*;

    #[test]
    fn every_declared_key_has_its_use() {
        for command in commands().iter().flat_map(|command| std::iter::once(command).chain(&command.subcommands)) {
            let uses = key_uses(command.full_name);
            match command.spec.keys {
                Keys::None => assert!(uses.is_empty(), "{}", command.full_name),
                Keys::Counted { .. } | Keys::Found(_) => assert!(!uses.is_empty(), "{}", command.full_name),
                Keys::Range { first, last, step } => {
                    assert!(!uses.is_empty(), "{}", command.full_name);
                    // With a range that has no end, the last use is that of the rest.
                    if uses.len() > 1 && last >= 0 {
                        let keys = (i64::from(last) - i64::from(first)) / i64::from(step) + 1;
                        assert_eq!(uses.len() as i64, keys, "{}", command.full_name);
                    }
                    for it in uses {
                        assert!(["RO", "RW", "OW", "RM"].iter().any(|access| it.starts_with(access)), "{it}");
                    }
                }
            }
        }
    }
}

//! The arguments of each command: one line of syntax, from which COMMAND DOCS and HELP follow.
//!
//! The notation is that of manual pages: `WORD` stands for itself, `name` for an argument, `[...]` may be left out,
//! `<a | b>` is one of several, `x [x ...]` is one or more, `<...> ...` as well. A `WORD` in front of names or of a choice
//! belongs to them.

use super::{Command, details};
use crate::reply::Reply;

/// The arguments of a command as one line; empty when it has none.
pub(super) fn of(full_name: &str) -> &'static str {
    ROWS.iter().find(|row| row.0 == full_name).map_or("", |row| row.1)
}

/// Writes the `arguments` of COMMAND DOCS.
pub(super) fn write_arguments(command: &Command, reply: &mut Reply) {
    let items = parse(of(command.full_name));
    let mut writer = Writer { command, keys: 0 };
    reply.array(items.len());
    items.iter().for_each(|item| writer.write(item, reply));
}

/// One argument, or several that belong together.
#[derive(Debug, Default)]
struct Item<'a> {
    /// The word in front of it. Alone it is the argument.
    token: Option<&'a str>,
    shape: Shape<'a>,
    is_optional: bool,
    is_multiple: bool,
}

#[derive(Debug, Default)]
enum Shape<'a> {
    /// Only the token.
    #[default]
    Token,
    Name(&'a str),
    Choice(Vec<Item<'a>>),
    Block(Vec<Item<'a>>),
}

fn parse(line: &str) -> Vec<Item<'_>> {
    let mut parser = Parser { rest: line };
    let items = parser.sequence().0;
    debug_assert!(parser.rest.is_empty(), "{line}");
    items
}

struct Parser<'a> {
    rest: &'a str,
}

impl<'a> Parser<'a> {
    /// The next word or bracket.
    fn peek(&self) -> &'a str {
        let rest = self.rest;
        let is_mark = |c| matches!(c, '[' | ']' | '<' | '>' | '|');
        match rest.chars().next() {
            Some(first) if is_mark(first) => &rest[..1],
            _ => &rest[..rest.find(|c: char| is_mark(c) || c == ' ').unwrap_or(rest.len())],
        }
    }

    fn next(&mut self) -> &'a str {
        let word = self.peek();
        self.rest = self.rest[word.len()..].trim_start();
        word
    }

    /// Items up to a closing mark, and whether they end with `...`, which repeats what stands before the bracket.
    fn sequence(&mut self) -> (Vec<Item<'a>>, bool) {
        let mut items: Vec<Item<'a>> = Vec::new();
        loop {
            match self.peek() {
                "" | "]" | ">" | "|" => return (items, false),
                "..." => {
                    self.next();
                    if self.peek() == "]" {
                        return (items, true);
                    }
                    if let Some(last) = items.last_mut() {
                        last.is_multiple = true;
                    }
                }
                "[" => {
                    self.next();
                    let (group, repeated) = self.group();
                    match repeated {
                        0 => items.push(Item { is_optional: true, ..group }),
                        count => repeat(&mut items, count),
                    }
                }
                "<" => {
                    self.next();
                    items.push(self.group().0);
                }
                word if is_token(word) => {
                    self.next();
                    items.push(Item { token: Some(word), shape: self.after_token(), ..Item::default() });
                }
                word => {
                    self.next();
                    items.push(Item { shape: Shape::Name(word), ..Item::default() });
                }
            }
        }
    }

    /// What is in brackets, up to and with the closing one; and how many items in front of them it repeats.
    fn group(&mut self) -> (Item<'a>, usize) {
        let mut alternatives = Vec::new();
        loop {
            let (items, repeats) = self.sequence();
            let count = items.len();
            alternatives.push(joined(items));
            if self.next() != "|" {
                let item = match alternatives.len() {
                    1 => alternatives.remove(0),
                    _ => Item { shape: Shape::Choice(alternatives), ..Item::default() },
                };
                return (item, if repeats { count } else { 0 });
            }
        }
    }

    fn after_token(&mut self) -> Shape<'a> {
        let mut names = Vec::new();
        while !matches!(self.peek(), "" | "[" | "]" | "<" | ">" | "|" | "...") && !is_token(self.peek()) {
            names.push(Item { shape: Shape::Name(self.next()), ..Item::default() });
        }
        match names.len() {
            0 if self.peek() == "<" => {
                self.next();
                self.group().0.shape
            }
            0 => Shape::Token,
            1 => names.remove(0).shape,
            _ => Shape::Block(names),
        }
    }
}

/// Marks the last `count` items as repeatable together.
fn repeat(items: &mut Vec<Item<'_>>, count: usize) {
    let mut repeated = joined(items.split_off(items.len().saturating_sub(count)));
    repeated.is_multiple = true;
    items.push(repeated);
}

fn joined(mut items: Vec<Item<'_>>) -> Item<'_> {
    match items.len() {
        1 => items.remove(0),
        _ => Item { shape: Shape::Block(items), ..Item::default() },
    }
}

fn is_token(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_uppercase() || "=~*$".contains(c))
}

impl Item<'_> {
    fn name(&self) -> String {
        match (&self.shape, self.token) {
            (Shape::Name(name), _) => (*name).to_owned(),
            (_, Some(token)) => token.to_ascii_lowercase(),
            (Shape::Choice(items) | Shape::Block(items), None) => {
                items.iter().map(Item::name).collect::<Vec<_>>().join("_")
            }
            (Shape::Token, None) => String::new(),
        }
    }
}

struct Writer<'a> {
    command: &'a Command,
    /// Keys written so far.
    keys: usize,
}

impl Writer<'_> {
    fn write(&mut self, item: &Item<'_>, reply: &mut Reply) {
        let name = item.name();
        let kind = self.kind(item, &name);
        let key = (kind == "key").then(|| self.next_key());
        let (items, is_leaf) = match &item.shape {
            Shape::Choice(items) | Shape::Block(items) => (items.as_slice(), false),
            Shape::Token | Shape::Name(_) => (&[][..], true),
        };
        let flags = [(item.is_optional, "optional"), (item.is_multiple, "multiple")];
        let flags: Vec<&str> = flags.into_iter().filter(|(is_set, _)| *is_set).map(|(_, flag)| flag).collect();
        let optional = [is_leaf, key.is_some(), item.token.is_some(), !flags.is_empty(), !is_leaf];
        reply.map(2 + optional.into_iter().filter(|is_there| *is_there).count());
        reply.bulk(b"name");
        reply.bulk(name.as_bytes());
        reply.bulk(b"type");
        reply.bulk(kind.as_bytes());
        if is_leaf {
            reply.bulk(b"display_text");
            reply.bulk(name.as_bytes());
        }
        if let Some(index) = key {
            reply.bulk(b"key_spec_index");
            reply.count(index);
        }
        if let Some(token) = item.token {
            reply.bulk(b"token");
            reply.bulk(token.as_bytes());
        }
        if !flags.is_empty() {
            reply.bulk(b"flags");
            reply.set(flags.len());
            flags.iter().for_each(|flag| reply.simple(flag));
        }
        if !is_leaf {
            reply.bulk(b"arguments");
            reply.array(items.len());
            items.iter().for_each(|item| self.write(item, reply));
        }
    }

    /// The number of the key specification that the next key belongs to.
    fn next_key(&mut self) -> usize {
        let index = details::index_of_use(self.command.full_name, self.keys);
        self.keys += 1;
        index
    }

    /// The type of an argument, as COMMAND DOCS names it. An argument's name tells it.
    fn kind(&self, item: &Item<'_>, name: &str) -> &'static str {
        match item.shape {
            Shape::Token => return "pure-token",
            Shape::Choice(_) => return "oneof",
            Shape::Block(_) => return "block",
            Shape::Name(_) => {}
        }
        let command = self.command.full_name;
        match name {
            "key" | "newkey" | "source" | "destination" | "key1" | "key2" if !self.command.spec.keys.is_none() => "key",
            "pattern" | "by-pattern" | "get-pattern" => "pattern",
            "increment" if command.ends_with("float") => "double",
            "timeout" if command.starts_with('b') => "double",
            "float" => "double",
            "client-id" | "count" | "cursor" | "db" | "decrement" | "destination-db" | "end" | "exactly"
            | "frequency" | "increment" | "integer" | "port" | "index" | "index1" | "index2" | "len" | "limit"
            | "maxage" | "milliseconds" | "num-matches" | "numkeys" | "offset" | "protover" | "rank" | "seconds"
            | "start" | "stop" | "timeout" | "ttl" | "numlocal" | "numreplicas" | "time" => "integer",
            _ if name.starts_with("unix-time") => "unix-time",
            _ => "string",
        }
    }
}

/// By group, in alphabetical order within it.
#[rustfmt::skip]
static ROWS: &[(&str, &str)] = &[
    ("append", "key value"),
    ("decr", "key"),
    ("decrby", "key decrement"),
    ("delex", "key [IFEQ ifeq-value | IFNE ifne-value | IFDEQ ifdeq-digest | IFDNE ifdne-digest]"),
    ("delifeq", "key value"),
    ("digest", "key"),
    ("get", "key"),
    ("getdel", "key"),
    ("getex", "key [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | PERSIST]"),
    ("getrange", "key start end"),
    ("getset", "key value"),
    ("incr", "key"),
    ("incrby", "key increment"),
    ("incrbyfloat", "key increment"),
    ("increx", "key [NX | XX] [BYFLOAT float | BYINT integer] [LBOUND lowerbound] [UBOUND upperbound] [SATURATE] [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | PERSIST] [ENX]"),
    ("lcs", "key1 key2 [LEN] [IDX] [MINMATCHLEN len] [WITHMATCHLEN]"),
    ("mget", "key [key ...]"),
    ("mset", "key value [key value ...]"),
    ("msetex", "numkeys key value [key value ...] [NX | XX] [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | KEEPTTL]"),
    ("msetnx", "key value [key value ...]"),
    ("psetex", "key milliseconds value"),
    ("set", "key value [NX | XX | IFEQ ifeq-value | IFNE ifne-value | IFDEQ ifdeq-digest | IFDNE ifdne-digest] [GET] [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | KEEPTTL]"),
    ("setex", "key seconds value"),
    ("setnx", "key value"),
    ("setrange", "key offset value"),
    ("strlen", "key"),
    ("substr", "key start end"),
    ("bitcount", "key [start end [BYTE | BIT]]"),
    ("bitfield", "key [GET encoding offset | [OVERFLOW <WRAP | SAT | FAIL>] <SET encoding offset value | INCRBY encoding offset increment> [GET encoding offset | [OVERFLOW <WRAP | SAT | FAIL>] <SET encoding offset value | INCRBY encoding offset increment> ...]]"),
    ("bitfield_ro", "key [GET encoding offset [GET encoding offset ...]]"),
    ("bitop", "<AND | OR | XOR | NOT | DIFF | DIFF1 | ANDOR | ONE> destkey key [key ...]"),
    ("bitpos", "key bit [start [end [BYTE | BIT]]]"),
    ("getbit", "key offset"),
    ("setbit", "key offset value"),
    ("pfadd", "key [element [element ...]]"),
    ("pfcount", "key [key ...]"),
    ("pfdebug", "subcommand key"),
    ("pfmerge", "destkey [sourcekey [sourcekey ...]]"),
    ("blmove", "source destination <LEFT | RIGHT> <LEFT | RIGHT> timeout"),
    ("blmovem", "source destination <LEFT | RIGHT> <LEFT | RIGHT> timeout [<COUNT count | EXACTLY exactly> <OBO | BULK>]"),
    ("blmpop", "timeout numkeys key [key ...] <LEFT | RIGHT> [COUNT count]"),
    ("blpop", "key [key ...] timeout"),
    ("brpop", "key [key ...] timeout"),
    ("brpoplpush", "source destination timeout"),
    ("lindex", "key index"),
    ("linsert", "key <BEFORE | AFTER> pivot element"),
    ("llen", "key"),
    ("lmove", "source destination <LEFT | RIGHT> <LEFT | RIGHT>"),
    ("lmovem", "source destination <LEFT | RIGHT> <LEFT | RIGHT> [<COUNT count | EXACTLY exactly> <OBO | BULK>]"),
    ("lmpop", "numkeys key [key ...] <LEFT | RIGHT> [COUNT count]"),
    ("lpop", "key [count]"),
    ("lpos", "key element [RANK rank] [COUNT num-matches] [MAXLEN len]"),
    ("lpush", "key element [element ...]"),
    ("lpushx", "key element [element ...]"),
    ("lrange", "key start stop"),
    ("lrem", "key count element"),
    ("lset", "key index element"),
    ("ltrim", "key start stop"),
    ("rpop", "key [count]"),
    ("rpoplpush", "source destination"),
    ("rpush", "key element [element ...]"),
    ("rpushx", "key element [element ...]"),
    ("sadd", "key member [member ...]"),
    ("saddex", "key [KEEPTTL] seconds member [member ...]"),
    ("scard", "key"),
    ("sdiff", "key [key ...]"),
    ("sdiffcard", "numkeys key [key ...] [LIMIT limit]"),
    ("sdiffstore", "destination key [key ...]"),
    ("sinter", "key [key ...]"),
    ("sintercard", "numkeys key [key ...] [LIMIT limit]"),
    ("sinterstore", "destination key [key ...]"),
    ("sismember", "key member"),
    ("smembers", "key"),
    ("smismember", "key member [member ...]"),
    ("smove", "source destination member"),
    ("spop", "key [count]"),
    ("srandmember", "key [count]"),
    ("srem", "key member [member ...]"),
    ("sscan", "key cursor [MATCH pattern] [COUNT count]"),
    ("sunion", "key [key ...]"),
    ("sunioncard", "numkeys key [key ...] [APPROX] [LIMIT limit]"),
    ("sunionstore", "destination key [key ...]"),
    ("hdel", "key field [field ...]"),
    ("hexists", "key field"),
    ("hexpire", "key seconds [NX | XX | GT | LT] FIELDS numfields field [field ...]"),
    ("hexpireat", "key unix-time-seconds [NX | XX | GT | LT] FIELDS numfields field [field ...]"),
    ("hexpiretime", "key FIELDS numfields field [field ...]"),
    ("hget", "key field"),
    ("hgetall", "key"),
    ("hgetdel", "key FIELDS numfields field [field ...]"),
    (
        "hgetex",
        "key [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | PERSIST] FIELDS numfields field [field ...]",
    ),
    ("himport|discard", "fieldset-name"),
    ("himport|prepare", "fieldset-name field [field ...]"),
    ("himport|set", "key fieldset-name value [value ...]"),
    ("hincrby", "key field increment"),
    ("hincrbyfloat", "key field increment"),
    ("hkeys", "key"),
    ("hlen", "key"),
    ("hmget", "key field [field ...]"),
    ("hmset", "key field value [field value ...]"),
    ("hpersist", "key FIELDS numfields field [field ...]"),
    ("hpexpire", "key milliseconds [NX | XX | GT | LT] FIELDS numfields field [field ...]"),
    ("hpexpireat", "key unix-time-milliseconds [NX | XX | GT | LT] FIELDS numfields field [field ...]"),
    ("hpexpiretime", "key FIELDS numfields field [field ...]"),
    ("hpttl", "key FIELDS numfields field [field ...]"),
    ("hrandfield", "key [count [WITHVALUES]]"),
    ("hscan", "key cursor [MATCH pattern] [COUNT count] [NOVALUES]"),
    ("hset", "key field value [field value ...]"),
    (
        "hsetex",
        "key [FNX | FXX] [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | KEEPTTL] FIELDS numfields <field value> [<field value> ...]",
    ),
    ("hsetnx", "key field value"),
    ("hstrlen", "key field"),
    ("httl", "key FIELDS numfields field [field ...]"),
    ("hvals", "key"),
    ("bzmpop", "timeout numkeys key [key ...] <MIN | MAX> [COUNT count]"),
    ("bzpopmax", "key [key ...] timeout"),
    ("bzpopmin", "key [key ...] timeout"),
    ("zadd", "key [NX | XX] [GT | LT] [CH] [INCR] score member [score member ...]"),
    ("zcard", "key"),
    ("zcount", "key min max"),
    ("zdiff", "numkeys key [key ...] [WITHSCORES]"),
    ("zdiffstore", "destination numkeys key [key ...]"),
    ("zincrby", "key increment member"),
    ("zinter", "numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE <SUM | MIN | MAX | COUNT>] [WITHSCORES]"),
    ("zintercard", "numkeys key [key ...] [LIMIT limit]"),
    ("zinterstore", "destination numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE <SUM | MIN | MAX | COUNT>]"),
    ("zlexcount", "key min max"),
    ("zmpop", "numkeys key [key ...] <MIN | MAX> [COUNT count]"),
    ("zmscore", "key member [member ...]"),
    ("zpopmax", "key [count]"),
    ("zpopmin", "key [count]"),
    ("zrandmember", "key [count [WITHSCORES]]"),
    ("zrange", "key start stop [BYSCORE | BYLEX] [REV] [LIMIT offset count] [WITHSCORES]"),
    ("zrangebylex", "key min max [LIMIT offset count]"),
    ("zrangebyscore", "key min max [WITHSCORES] [LIMIT offset count]"),
    ("zrangestore", "dst src min max [BYSCORE | BYLEX] [REV] [LIMIT offset count]"),
    ("zrank", "key member [WITHSCORE]"),
    ("zrem", "key member [member ...]"),
    ("zremrangebylex", "key min max"),
    ("zremrangebyrank", "key start stop"),
    ("zremrangebyscore", "key min max"),
    ("zrevrange", "key start stop [WITHSCORES]"),
    ("zrevrangebylex", "key max min [LIMIT offset count]"),
    ("zrevrangebyscore", "key max min [WITHSCORES] [LIMIT offset count]"),
    ("zrevrank", "key member [WITHSCORE]"),
    ("zscan", "key cursor [MATCH pattern] [COUNT count]"),
    ("zscore", "key member"),
    ("zunion", "numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE <SUM | MIN | MAX | COUNT>] [WITHSCORES]"),
    ("zunionstore", "destination numkeys key [key ...] [WEIGHTS weight [weight ...]] [AGGREGATE <SUM | MIN | MAX | COUNT>]"),
    ("geoadd", "key [NX | XX] [CH] longitude latitude member [longitude latitude member ...]"),
    ("geodist", "key member1 member2 [M | KM | FT | MI]"),
    ("geohash", "key [member [member ...]]"),
    ("geopos", "key [member [member ...]]"),
    ("georadius", "key longitude latitude radius <M | KM | FT | MI> [WITHCOORD] [WITHDIST] [WITHHASH] [COUNT count [ANY]] [ASC | DESC] [STORE key | STOREDIST key]"),
    ("georadius_ro", "key longitude latitude radius <M | KM | FT | MI> [WITHCOORD] [WITHDIST] [WITHHASH] [COUNT count [ANY]] [ASC | DESC]"),
    ("georadiusbymember", "key member radius <M | KM | FT | MI> [WITHCOORD] [WITHDIST] [WITHHASH] [COUNT count [ANY]] [ASC | DESC] [STORE key | STOREDIST key]"),
    ("georadiusbymember_ro", "key member radius <M | KM | FT | MI> [WITHCOORD] [WITHDIST] [WITHHASH] [COUNT count [ANY]] [ASC | DESC]"),
    ("geosearch", "key <FROMMEMBER member | FROMLONLAT longitude latitude> <BYRADIUS radius <M | KM | FT | MI> | BYBOX width height <M | KM | FT | MI>> [ASC | DESC] [COUNT count [ANY]] [WITHCOORD] [WITHDIST] [WITHHASH]"),
    ("geosearchstore", "destination source <FROMMEMBER member | FROMLONLAT longitude latitude> <BYRADIUS radius <M | KM | FT | MI> | BYBOX width height <M | KM | FT | MI>> [ASC | DESC] [COUNT count [ANY]] [STOREDIST]"),
    ("xack", "key group id [id ...]"),
    ("xackdel", "key group [KEEPREF | DELREF | ACKED] IDS <numids id [id ...]>"),
    ("xadd", "key [NOMKSTREAM] [KEEPREF | DELREF | ACKED] [<MAXLEN | MINID> [= | ~] threshold [LIMIT count]] <* | id> field value [field value ...]"),
    ("xautoclaim", "key group consumer min-idle-time start [COUNT count] [JUSTID]"),
    ("xclaim", "key group consumer min-idle-time id [id ...] [IDLE ms] [TIME unix-time-milliseconds] [RETRYCOUNT count] [FORCE] [JUSTID] [LASTID lastid]"),
    ("xdel", "key id [id ...]"),
    ("xdelex", "key [KEEPREF | DELREF | ACKED] IDS <numids id [id ...]>"),
    ("xgroup|create", "key group <id | $> [MKSTREAM] [ENTRIESREAD entries-read]"),
    ("xgroup|createconsumer", "key group consumer"),
    ("xgroup|delconsumer", "key group consumer"),
    ("xgroup|destroy", "key group"),
    ("xgroup|setid", "key group <id | $> [ENTRIESREAD entries-read]"),
    ("xinfo|consumers", "key group"),
    ("xinfo|groups", "key"),
    ("xinfo|stream", "key [FULL [COUNT count]]"),
    ("xlen", "key"),
    ("xpending", "key group [[IDLE min-idle-time] start end count [consumer]]"),
    ("xrange", "key start end [COUNT count]"),
    ("xread", "[COUNT count] [BLOCK milliseconds] STREAMS <key [key ...] id [id ...]>"),
    ("xreadgroup", "GROUP group consumer [COUNT count] [BLOCK milliseconds] [NOACK] STREAMS <key [key ...] id [id ...]>"),
    ("xrevrange", "key end start [COUNT count]"),
    ("xsetid", "key last-id [ENTRIESADDED entries-added] [MAXDELETEDID max-deleted-id]"),
    ("xtrim", "key <MAXLEN | MINID> [= | ~] threshold [LIMIT count] [KEEPREF | DELREF | ACKED]"),
    ("copy", "source destination [DB destination-db] [REPLACE]"),
    ("del", "key [key ...]"),
    ("dump", "key"),
    ("exists", "key [key ...]"),
    ("expire", "key seconds [NX | XX | GT | LT]"),
    ("expireat", "key unix-time-seconds [NX | XX | GT | LT]"),
    ("expiremember", "key member time [S | MS]"),
    ("expirememberat", "key member unix-time-seconds"),
    ("expiretime", "key"),
    ("fieldexpire", "key seconds member [member ...]"),
    ("fieldttl", "key member"),
    ("keys", "pattern"),
    ("migrate", "host port <key | \"\"> destination-db timeout [COPY] [REPLACE] [AUTH password | AUTH2 username password] [KEYS key [key ...]]"),
    ("move", "key db"),
    ("object|encoding", "key"),
    ("object|freq", "key"),
    ("object|idletime", "key"),
    ("object|refcount", "key"),
    ("persist", "key [member]"),
    ("pexpire", "key milliseconds [NX | XX | GT | LT]"),
    ("pexpireat", "key unix-time-milliseconds [NX | XX | GT | LT]"),
    ("pexpirememberat", "key member unix-time-milliseconds"),
    ("pexpiretime", "key"),
    ("pttl", "key [member]"),
    ("rename", "key newkey"),
    ("renamenx", "key newkey"),
    ("restore", "key ttl serialized-value [REPLACE] [ABSTTL] [IDLETIME seconds] [FREQ frequency]"),
    ("scan", "cursor [MATCH pattern] [COUNT count] [TYPE type]"),
    ("sort", "key [BY by-pattern] [LIMIT offset count] [GET get-pattern [GET get-pattern ...]] [ASC | DESC] [ALPHA] [STORE destination]"),
    ("sort_ro", "key [BY by-pattern] [LIMIT offset count] [GET get-pattern [GET get-pattern ...]] [ASC | DESC] [ALPHA]"),
    ("touch", "key [key ...]"),
    ("ttl", "key [member]"),
    ("type", "key"),
    ("unlink", "key [key ...]"),
    ("wait", "numreplicas timeout"),
    ("waitaof", "numlocal numreplicas timeout"),
    ("watch", "key [key ...]"),
    ("psubscribe", "pattern [pattern ...]"),
    ("publish", "channel message"),
    ("pubsub|channels", "[pattern]"),
    ("pubsub|numsub", "[channel [channel ...]]"),
    ("pubsub|shardchannels", "[pattern]"),
    ("pubsub|shardnumsub", "[shardchannel [shardchannel ...]]"),
    ("punsubscribe", "[pattern [pattern ...]]"),
    ("spublish", "shardchannel message"),
    ("ssubscribe", "shardchannel [shardchannel ...]"),
    ("subscribe", "channel [channel ...]"),
    ("sunsubscribe", "[shardchannel [shardchannel ...]]"),
    ("unsubscribe", "[channel [channel ...]]"),
    ("auth", "[username] password"),
    ("client|caching", "<YES | NO>"),
    ("client|tracking", "<ON | OFF> [REDIRECT client-id] [PREFIX prefix [PREFIX prefix ...]] [BCAST] [OPTIN] [OPTOUT] [NOLOOP]"),
    ("client|kill", "<ip:port | <ID client-id | TYPE <NORMAL | MASTER | REPLICA | PUBSUB> | USER username | ADDR ip:port | LADDR ip:port | SKIPME <YES | NO> | MAXAGE maxage> ...>"),
    ("client|list", "[TYPE <NORMAL | MASTER | REPLICA | PUBSUB> | ID client-id [client-id ...]]"),
    ("client|no-evict", "<ON | OFF>"),
    ("client|no-touch", "<ON | OFF>"),
    ("client|pause", "timeout [WRITE | ALL]"),
    ("client|reply", "<ON | OFF | SKIP>"),
    ("client|setinfo", "<LIB-NAME libname | LIB-VER libver>"),
    ("client|setname", "connection-name"),
    ("client|unblock", "client-id [TIMEOUT | ERROR]"),
    ("echo", "message"),
    ("hello", "[protover [AUTH username password] [SETNAME clientname]]"),
    ("ping", "[message]"),
    ("select", "index"),
    ("command|getkeys", "command [arg ...]"),
    ("command|getkeysandflags", "command [arg ...]"),
    ("command|docs", "[command-name [command-name ...]]"),
    ("command|info", "[command-name [command-name ...]]"),
    ("command|list", "[FILTERBY <MODULE module-name | ACLCAT category | PATTERN pattern>]"),
    ("config|get", "parameter [parameter ...]"),
    ("config|set", "parameter value [parameter value ...]"),
    ("debug", "subcommand [argument [argument ...]]"),
    ("flushall", "[ASYNC | SYNC]"),
    ("flushdb", "[ASYNC | SYNC]"),
    ("info", "[section [section ...]]"),
    ("memory|usage", "key [SAMPLES count]"),
    ("shutdown", "[NOSAVE | SAVE] [NOW] [FORCE] [ABORT]"),
    ("swapdb", "index1 index2"),
];

#[cfg(all(test, not(kiba_loom)))]
mod tests {
    use super::super::commands;
    use super::*;

    /// The least number of arguments.
    fn least(item: &Item<'_>) -> usize {
        if item.is_optional {
            return 0;
        }
        let shape = match &item.shape {
            Shape::Token => 0,
            Shape::Name(_) => 1,
            Shape::Choice(items) => items.iter().map(least).min().unwrap_or(0),
            Shape::Block(items) => items.iter().map(least).sum(),
        };
        shape + usize::from(item.token.is_some())
    }

    fn is_fixed(item: &Item<'_>) -> bool {
        let inner = match &item.shape {
            Shape::Choice(items) => items.iter().all(|it| is_fixed(it) && least(it) == least(&items[0])),
            Shape::Block(items) => items.iter().all(is_fixed),
            Shape::Token | Shape::Name(_) => true,
        };
        inner && !item.is_optional && !item.is_multiple
    }

    #[test]
    fn every_syntax_agrees_with_the_arity() {
        // QUIT ignores what follows it; the others are nothing without a subcommand.
        let exceptions = ["quit", "object", "memory", "client", "config", "pubsub", "xgroup", "xinfo", "himport"];
        for command in commands().iter().flat_map(|command| std::iter::once(command).chain(&command.subcommands)) {
            let name = command.full_name;
            if exceptions.contains(&name) {
                continue;
            }
            let items = parse(of(name));
            let code = command.spec.arity.code();
            let words = 1 + usize::from(command.is_subcommand());
            assert_eq!(
                words + items.iter().map(least).sum::<usize>(),
                code.unsigned_abs() as usize,
                "{name} {items:?}"
            );
            assert!(name == "command" || (code >= 0) == items.iter().all(is_fixed), "{name} {items:?}");
        }
    }

    #[test]
    fn a_line_is_read_as_it_is_meant() {
        let items = parse("key value [NX | XX] [GET] [EX seconds | KEEPTTL] field member [field member ...]");
        let shown: Vec<String> = items.iter().map(|item| format!("{} {}", item.name(), item.is_optional)).collect();
        assert_eq!(
            shown,
            ["key false", "value false", "nx_xx true", "get true", "seconds_keepttl true", "field_member false"]
        );
        assert!(items[5].is_multiple);
        let Shape::Choice(choice) = &items[4].shape else { panic!("{:?}", items[4]) };
        assert_eq!((choice[0].token, choice[0].name()), (Some("EX"), "seconds".to_owned()));
        let items = parse("[section [section ...]]");
        assert!(items[0].is_optional && items[0].is_multiple && items.len() == 1);
        let items = parse("<ip:port | <ID id | SKIPME <YES | NO>> ...>");
        let Shape::Choice(choice) = &items[0].shape else { panic!("{items:?}") };
        assert!(choice[1].is_multiple && choice.len() == 2);
    }
}

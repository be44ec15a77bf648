//! All places where the server can be made to panic, what leads there, and whose connection it costs.

/// Who is gone afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// Nobody: it was a thread of the server's own.
    Nobody,
    /// Who has sent `victim`.
    Victim,
    /// Who has sent `other`.
    Other,
    Both,
    /// Who connects next.
    Newcomer,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    Both,
    Sharded,
    Channel,
}

#[derive(Clone, Copy, Debug)]
pub struct Row {
    pub point: &'static str,
    /// How often it is passed before.
    pub skip: usize,
    /// Another point that panics in the same course.
    pub also: Option<&'static str>,
    pub on: On,
    /// What another connection sends first. `..200` stands for the numbers from 1 to 200.
    pub other: &'static [&'static str],
    /// What is sent once the point is armed.
    pub victim: &'static [&'static str],
    pub ends: Ends,
    /// What the other connection gets in the end.
    pub other_gets: &'static str,
    /// Requests, and what they are answered afterwards, soon if not at once.
    pub holds: &'static [(&'static str, &'static str)],
}

const ROW: Row = Row {
    point: "",
    skip: 0,
    also: None,
    on: On::Both,
    other: &[],
    victim: &[],
    ends: Ends::Victim,
    other_gets: "",
    holds: &[],
};

const fn row(point: &'static str, victim: &'static [&'static str]) -> Row {
    Row { point, victim, ..ROW }
}

const fn kept(
    point: &'static str,
    victim: &'static [&'static str],
    holds: &'static [(&'static str, &'static str)],
) -> Row {
    Row { point, victim, holds, ..ROW }
}

const SET: &[&str] = &["SET a 1"];
const LONG: &[&str] = &["SADD big ..200", "SET copy old"];
const UNION: &[&str] = &["SUNIONSTORE copy big"];
const QUEUE: &[&str] = &["MULTI", "SET a 1", "SET b 2", "EXEC"];
const GONE: &[(&str, &str)] = &[("EXISTS k", ":0\r\n")];
const DUE: &[&str] = &["SET due x PX 20"];
const EMPTY: &[(&str, &str)] = &[("DBSIZE", ":0\r\n")];
const FREE: &[(&str, &str)] = &[("RPUSH q y", ":1\r\n"), ("LLEN q", ":1\r\n")];

pub const TABLE: &[Row] = &[
    // The connection and the layers above the engine.
    Row { ends: Ends::Newcomer, ..row("listener.accepted", &[]) },
    Row { ends: Ends::Newcomer, ..row("listener.registered", &[]) },
    row("connection.read", SET),
    row("lexer", SET),
    row("parser", SET),
    row("executor.admit", SET),
    kept("executor.ran", SET, &[("GET a", "$1\r\n1\r\n")]),
    row("executor.queue", &["MULTI", "SET a 1"]),
    kept("executor.exec", QUEUE, EMPTY),
    row("executor.watched", &["WATCH a"]),
    kept("executor.blocked", &["BLPOP q 0"], FREE),
    kept("connection.waiting", &["BLPOP q 0"], FREE),
    // The first reply is that to whoever arms it.
    Row { skip: 1, ..row("connection.send", SET) },
    row("session.before", &["PING"]),
    Row { skip: 1, ..row("session.after", &["PING"]) },
    row("info", &["INFO"]),
    row("config.set", &["CONFIG SET maxmemory-samples 6"]),
    // One key, held.
    kept("write.before", SET, EMPTY),
    kept("write.after", SET, &[("GET a", "$1\r\n1\r\n")]),
    kept("string.set", SET, &[("GET a", "$1\r\n1\r\n")]),
    kept("list.made", &["RPUSH k a"], GONE),
    kept("list.push", &["RPUSH k a b"], &[("LLEN k", ":2\r\n")]),
    Row { other: &["RPUSH k a b"], ..kept("list.pop", &["LPOP k"], &[("LLEN k", ":2\r\n")]) },
    kept("set.made", &["SADD k word"], &[]),
    kept("set.add", &["SADD k word other"], &[("TYPE k", "+set\r\n")]),
    kept("hash.made", &["HSET k a 1"], GONE),
    kept("hash.set", &["HSET k a 1 b 2"], &[("HLEN k", ":1\r\n"), ("HGET k a", "$1\r\n1\r\n")]),
    kept(
        "himport.set",
        &["HIMPORT PREPARE u a b", "HIMPORT SET k u 1 2"],
        &[("HGETALL k", "*2\r\n$1\r\na\r\n$1\r\n1\r\n")],
    ),
    kept("zset.add", &["ZADD k 1 a 2 b"], &[("ZCARD k", ":1\r\n"), ("ZSCORE k a", "$1\r\n1\r\n")]),
    kept("geo.add", &["GEOADD k 13.4 52.5 berlin"], GONE),
    kept("stream.made", &["XADD k 1-1 f v"], &[("XLEN k", ":0\r\n")]),
    kept("stream.add", &["XADD k 1-1 f v"], &[("XLEN k", ":1\r\n")]),
    row("bitmap.set", &["SETBIT k 100 1"]),
    kept("hll.add", &["PFADD k a b"], GONE),
    Row { other: &["SET a 1"], on: On::Sharded, ..kept("read.one", &["GET a"], &[("GET a", "$1\r\n1\r\n")]) },
    // Several keys, held.
    kept("many.before", &["MSET a 1 b 2"], EMPTY),
    kept("many.after", &["MSET a 1 b 2"], &[("MGET a b", "*2\r\n$1\r\n1\r\n$1\r\n2\r\n")]),
    Row { skip: 1, ..kept("mset.between", &["MSET a 1 b 2"], &[("MGET a b", "*2\r\n$1\r\n1\r\n$-1\r\n")]) },
    Row { other: &["SET a 1"], ..kept("rename.between", &["RENAME a b"], EMPTY) },
    Row { other: &["SET a 1"], ..kept("copy.between", &["COPY a b"], &[("DBSIZE", ":1\r\n")]) },
    Row { other: &["SADD a x y"], ..kept("smove.between", &["SMOVE a b x"], &[("SCARD a", ":1\r\n")]) },
    Row { other: &["RPUSH a x y"], ..kept("lmove.between", &["LMOVE a b LEFT LEFT"], &[("LLEN a", ":1\r\n")]) },
    Row { skip: 1, ..kept("exec.between", QUEUE, &[("MGET a b", "*2\r\n$1\r\n1\r\n$-1\r\n")]) },
    row("read.many", &["MULTI", "MGET a b", "EXEC"]),
    Row { on: On::Sharded, ..row("read.many.shared", &["MGET a b"]) },
    Row { on: On::Sharded, ..row("shards.locked", &["MSET a 1 b 2"]) },
    Row { on: On::Channel, ..row("owner.message", SET) },
    row("walk.slice", &["KEYS *"]),
    Row { other: &["SET a 1"], ..row("clear", &["FLUSHALL"]) },
    Row { other: &["SET a 1"], ..kept("whole.after", &["FLUSHALL"], EMPTY) },
    // What follows from a change.
    Row { other: &["BLPOP q 0"], other_gets: "x", ..kept("apply.before", &["RPUSH q x"], EMPTY) },
    Row { skip: 1, ..row("apply.between", &["MSET a 1 b 2"]) },
    Row { other: &["SUBSCRIBE __keyevent@0__:set"], ..row("announce", SET) },
    Row { other: &["SUBSCRIBE news"], ..row("pubsub.push", &["PUBLISH news hi"]) },
    kept("pubsub.subscribe", &["SUBSCRIBE news"], &[("PUBSUB CHANNELS", "*0\r\n"), ("PUBLISH news hi", ":0\r\n")]),
    Row { other: &["SUBSCRIBE news"], other_gets: "hi", ..row("outbox.push", &["PUBLISH news hi"]) },
    Row { other: &["SUBSCRIBE news"], ends: Ends::Other, ..row("outbox.taken", &["PUBLISH news hi"]) },
    Row {
        other: &["HELLO 3", "CLIENT TRACKING ON", "GET a"],
        other_gets: "invalidate",
        ..kept("tracking.tell", SET, &[("GET a", "$1\r\n1\r\n")])
    },
    Row { other: &["MONITOR"], ..row("monitor.push", SET) },
    // Those who wait.
    kept("wait.in.line", &["BLPOP q 0"], FREE),
    kept("block.registered", &["BLPOP q 0"], FREE),
    Row { other: &["BLPOP q 0"], other_gets: "x", ..kept("serve.begin", &["RPUSH q x"], EMPTY) },
    Row { other: &["BLPOP q 0"], ends: Ends::Both, ..kept("serve.claimed", &["RPUSH q x"], &[("LLEN q", ":1\r\n")]) },
    Row { other: &["BLPOP q 0"], ends: Ends::Both, ..kept("serve.taken", &["RPUSH q x"], EMPTY) },
    Row { also: Some("write.after"), ..kept("mend", SET, &[("GET a", "$1\r\n1\r\n")]) },
    // Long commands.
    Row { other: LONG, ..kept("aside.begin", UNION, &[("GET copy", "$3\r\nold\r\n")]) },
    Row { other: LONG, ..kept("aside.copy", UNION, &[("GET copy", "$3\r\nold\r\n")]) },
    Row { other: LONG, ..kept("aside.look", UNION, &[("GET copy", "$3\r\nold\r\n")]) },
    Row { other: LONG, ..kept("aside.work", UNION, &[("GET copy", "$3\r\nold\r\n")]) },
    Row { other: LONG, ..kept("aside.store", UNION, &[("EXISTS copy", ":0\r\n"), ("SCARD big", ":200\r\n")]) },
    // Threads and tasks of the server's own.
    Row { ends: Ends::Nobody, ..kept("sweeper.part", DUE, EMPTY) },
    Row { ends: Ends::Nobody, ..kept("expire.begin", DUE, EMPTY) },
    Row { ends: Ends::Nobody, ..kept("expire.taken", DUE, EMPTY) },
    Row { ends: Ends::Nobody, other: &["SADD big ..5000"], ..kept("reaper", &["UNLINK big"], EMPTY) },
    Row { ends: Ends::Nobody, ..row("elastic.tick", &[]) },
    Row { ends: Ends::Nobody, ..row("keeper.tick", &[]) },
    Row { other: &["SET a 1"], ..row("evict.begin", &["CONFIG SET maxmemory 100000"]) },
    Row { other: &["SET a 1"], ..kept("evict.taken", &["CONFIG SET maxmemory 100000"], EMPTY) },
];

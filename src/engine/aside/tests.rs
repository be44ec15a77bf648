//! Long commands step by step, with what others do in between.

use std::sync::LazyLock;

use tokio::runtime::{Builder, Runtime};

use super::*;
use crate::config::Config;
use crate::engine::channel::Channel;
use crate::engine::sharded::Sharded;
use crate::engine::wait::Waiter;
use crate::engine::{Engine, Transaction, Watching};
use crate::lexer::{Lexer, Limits};
use crate::reply::Reply;
use crate::server::home::Home;
use crate::session::Session;

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("starts"));

/// Enough that tables, trees and lists have several segments, leaves and chunks each.
const COUNT: usize = 2000;

struct Peer<E> {
    server: Arc<Server>,
    engine: E,
}

/// A command that is being worked off aside.
struct Long(Option<Box<Aside>>);

fn each_engine(test: impl Fn(&dyn Serves)) {
    let server = || {
        let text =
            "shards 4\ndatabases 2\nlong-command-elements 64\nnotify-keyspace-events KEA\nlist-max-listpack-size 32\n";
        Server::new(Arc::new(Config::from_text(text).expect("well-formed")), None)
    };
    let one = server();
    test(&Peer { engine: Sharded::new(Arc::clone(&one)), server: one });
    let other = server();
    let _inside = RUNTIME.enter();
    test(&Peer { engine: Channel::new(Arc::clone(&other), Arc::new(Home::here())), server: other });
}

/// An engine, whichever.
trait Serves {
    /// Runs requests, one a line; long ones as the executor has them run.
    fn run(&self, text: &str) -> String;
    /// Begins a request, which must turn out to be long.
    fn begin(&self, request: &str) -> Long;
    /// One step; the stage that follows.
    fn step(&self, long: &mut Long) -> Stage;
    fn block(&self, request: &str) -> Arc<Waiter>;
    fn watch(&self, key: &str) -> Watching;
    fn transact(&self, text: &str, watching: Watching) -> Option<String>;
    fn server(&self) -> &Server;

    /// Goes on until the stage is this one.
    fn until(&self, long: &mut Long, stage: Stage) {
        while self.step(long) != stage {}
    }

    /// Goes on to the end; the reply.
    fn finish(&self, mut long: Long) -> String {
        self.until(&mut long, Stage::Done);
        let batch = long.0.take().expect("begun").into_batch(self.server());
        written(&batch.reply)
    }
}

impl<E: Engine> Peer<E> {
    fn batch(&self, text: &str) -> Box<Batch> {
        let mut batch = Box::new(Batch { input: format!("{text}\n").into_bytes(), now: now(), ..Batch::default() });
        let (mut lexer, limits) = (Lexer::default(), Limits::trusted(1 << 20));
        while let Some(spans) = lexer.next(&mut batch.input, &mut batch.spans, &limits).expect("well-formed") {
            batch.push(spans, &self.server.env.hasher);
        }
        batch
    }

    fn advance(&self, mut aside: Box<Aside>) -> Box<Aside> {
        if aside.stage() == Stage::Work {
            aside.work(&self.server);
            return aside;
        }
        RUNTIME.block_on(self.engine.advance(aside)).expect("the engine answers")
    }
}

impl<E: Engine> Serves for Peer<E> {
    fn run(&self, text: &str) -> String {
        let mut batch = self.batch(text);
        let (mut at, end) = (0, batch.requests.len());
        loop {
            (batch, at) = RUNTIME.block_on(self.engine.execute(batch, at..end, 0)).expect("the engine answers");
            if at == end {
                return written(&batch.reply);
            }
            let mut aside = Box::new(Aside::new(batch, at, 0));
            while aside.stage() != Stage::Done {
                aside = self.advance(aside);
            }
            batch = aside.into_batch(&self.server);
            at += 1;
        }
    }

    fn begin(&self, request: &str) -> Long {
        let (batch, at) =
            RUNTIME.block_on(self.engine.execute(self.batch(request), 0..1, 0)).expect("the engine answers");
        assert_eq!(at, 0, "{request} is not long");
        Long(Some(Box::new(Aside::new(batch, 0, 0))))
    }

    fn step(&self, long: &mut Long) -> Stage {
        let aside = self.advance(long.0.take().expect("begun"));
        let stage = aside.stage();
        long.0 = Some(aside);
        stage
    }

    fn block(&self, request: &str) -> Arc<Waiter> {
        let client = self.server.clients.add(String::new(), String::new(), true, 100).expect("there is room");
        let (_, waiter) =
            RUNTIME.block_on(self.engine.block(self.batch(request), 0, 0, client)).expect("the engine answers");
        waiter.expect("it waits")
    }

    fn watch(&self, key: &str) -> Watching {
        let batch = self.batch(&format!("WATCH {key}"));
        RUNTIME.block_on(self.engine.watch(batch, 0, 0, Watching::default())).expect("the engine answers").1
    }

    fn transact(&self, text: &str, watching: Watching) -> Option<String> {
        let client = self.server.clients.add(String::new(), String::new(), true, 100).expect("there is room");
        let session = Box::new(Session::new(client, true));
        let sleep = std::time::Duration::ZERO;
        let transaction =
            Box::new(Transaction { batch: self.batch(text), session, watching, is_aborted: false, sleep });
        let done = RUNTIME.block_on(self.engine.transact(transaction)).expect("the engine answers");
        (!done.is_aborted).then(|| written(&done.batch.reply))
    }

    fn server(&self) -> &Server {
        &self.server
    }
}

fn written(reply: &Reply) -> String {
    // Bytes as characters of the same number.
    reply.parts().flatten().map(|byte| char::from(*byte)).collect()
}

/// A set, a list, a hash and a sorted set with as many elements, and a smaller set.
fn fill(peer: &dyn Serves) {
    let add = |command: &str, element: &dyn Fn(usize) -> String| {
        let words: Vec<String> = (0..COUNT).map(element).collect();
        assert!(peer.run(&format!("{command} {}", words.join(" "))).starts_with(':'));
    };
    add("SADD s", &|i| format!("m{i}"));
    add("SADD few", &|i| format!("m{}", i % 100));
    add("RPUSH l", &|i| format!("{}", (i * 7919) % COUNT));
    add("HSET h", &|i| format!("f{i} v{i}"));
    add("ZADD z", &|i| format!("{} m{i}", i % 10));
}

/// A request for each command that may be long.
const LONG: &[&str] = &[
    "SORT l",
    "SORT_RO l DESC LIMIT 5 3",
    "SORT l STORE d",
    "SORT z BY nosort DESC STORE d",
    "LRANGE l 0 -1",
    "LRANGE l 100 1500",
    "LPOS l 42 COUNT 0",
    "SMEMBERS s",
    "SINTER s few",
    "SINTERCARD 2 s few",
    "SINTERSTORE d s few",
    "SUNION s few",
    "SUNIONCARD 2 s few",
    "SUNIONSTORE d s few nothing",
    "SUNIONSTORE s s few",
    "SDIFF s few",
    "SDIFFCARD 2 s few",
    "SDIFFSTORE d s few",
    "SDIFFSTORE d s s",
    "HGETALL h",
    "HKEYS h",
    "HVALS h",
    "ZRANGE z 0 -1 WITHSCORES",
    "ZREVRANGE z 0 -1",
    "ZRANGEBYSCORE z 2 5",
    "ZREVRANGEBYSCORE z 5 (2 LIMIT 10 300",
    "ZRANGEBYLEX z - +",
    "ZREVRANGEBYLEX z + -",
    "ZRANGESTORE d z 0 -1",
    "ZUNION 2 z s",
    "ZINTER 2 z few WITHSCORES",
    "ZDIFF 2 z few",
    "ZINTERCARD 2 z s",
    "ZUNIONSTORE d 2 z s WEIGHTS 2 3",
    "ZUNIONSTORE z 2 z few",
    "ZINTERSTORE d 2 z few",
    "ZDIFFSTORE d 2 z few",
    "DUMP l",
    "COPY h e",
    "COPY z d DB 1",
    "COPY z s REPLACE",
    "COPY z d REPLACE",
];

#[test]
fn every_long_command_answers_and_leaves_what_it_does_when_its_keys_are_held() {
    each_engine(|peer| {
        for request in LONG {
            let state = |peer: &dyn Serves| {
                peer.run("FLUSHALL");
                fill(peer);
                peer.run("SET d before");
                peer.run("EXPIRE d 1000");
            };
            let after = |peer: &dyn Serves| {
                let keys = peer.run("TYPE d\nTTL d\nTTL s\nTTL z\nDBSIZE\nSCARD s\nZCARD z\nOBJECT ENCODING d");
                let is_list = peer.run("TYPE d") == "+list\r\n";
                keys + &if is_list { peer.run("LRANGE d 0 -1") } else { peer.run("DUMP d") }
            };
            state(peer);
            let held = peer.transact(request, Watching::default()).expect("nothing is watched");
            let held_after = after(peer);
            state(peer);
            let before = peer.server().stats.worked_aside();
            let aside = peer.finish(peer.begin(request));
            assert_eq!(peer.server().stats.worked_aside(), before + 1, "{request}");
            let aside_after = after(peer);
            let plain = held.strip_prefix("*1\r\n").expect("one reply");
            assert_eq!(aside, plain, "{request}");
            assert_eq!(aside_after, held_after, "{request}");
        }
    });
}

#[test]
fn a_change_in_the_middle_is_in_the_result() {
    each_engine(|peer| {
        fill(peer);
        for stage in [Stage::Copy, Stage::Look] {
            let mut long = peer.begin("SINTERCARD 2 s s");
            peer.until(&mut long, stage);
            peer.run(&format!("SADD s new{}", stage as u8));
            assert_eq!(peer.step(&mut long), Stage::Start);
            let count = peer.run("SCARD s");
            assert_eq!(peer.finish(long), count);
        }
        // After the look it comes too late for what reads.
        let (mut long, count) = (peer.begin("SINTERCARD 2 s s"), peer.run("SCARD s"));
        peer.until(&mut long, Stage::Work);
        peer.run("SADD s newer");
        assert_eq!(peer.finish(long), count);
        // What stores is not done yet.
        let mut long = peer.begin("SUNIONSTORE d s s");
        peer.until(&mut long, Stage::Store);
        peer.run("SADD s newest");
        assert_eq!(peer.step(&mut long), Stage::Start);
        assert_eq!(peer.finish(long), peer.run("SCARD s"));
        assert_eq!(peer.run("SISMEMBER d newest"), ":1\r\n");
    });
}

#[test]
fn whatever_happens_to_a_key_begins_it_anew() {
    each_engine(|peer| {
        for (change, reply) in [
            ("DEL s", ":0\r\n"),
            ("SET s text", "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"),
            ("RENAME few s", ":100\r\n"),
            ("PEXPIREAT s 1", ":0\r\n"),
            ("EXPIRE s 1000", ":2000\r\n"),
            ("FLUSHALL", ":0\r\n"),
            ("SWAPDB 0 1", ":0\r\n"),
            ("EXPIREMEMBER s m5 1000", ":2000\r\n"),
            ("SPOP s 1990", ":10\r\n"),
        ] {
            for stage in [Stage::Copy, Stage::Look, Stage::Store] {
                peer.run("FLUSHALL");
                fill(peer);
                let mut long = peer.begin("SUNIONSTORE d s");
                peer.until(&mut long, stage);
                peer.run(change);
                assert_eq!(peer.step(&mut long), Stage::Start, "{change} at {stage:?}");
                assert_eq!(peer.finish(long), reply, "{change} at {stage:?}");
            }
        }
    });
}

#[test]
fn a_key_whose_time_comes_in_the_middle_is_gone() {
    each_engine(|peer| {
        fill(peer);
        // Long enough that it is there at the beginning, however busy the machine is.
        peer.run("PEXPIRE s 400");
        let mut long = peer.begin("SUNIONSTORE d s few");
        peer.until(&mut long, Stage::Look);
        std::thread::sleep(std::time::Duration::from_millis(450));
        assert_eq!(peer.step(&mut long), Stage::Start);
        assert_eq!(peer.finish(long), ":100\r\n");
    });
}

#[test]
fn a_key_that_never_rests_is_held_in_the_end() {
    each_engine(|peer| {
        fill(peer);
        let mut long = peer.begin("SUNIONSTORE d s");
        let mut starts = 0;
        while peer.step(&mut long) != Stage::Done {
            peer.run(&format!("SADD s new{starts}"));
            starts += 1;
            assert!(starts < 100, "it does not end");
        }
        assert_eq!(written(&long.0.expect("begun").into_batch(peer.server()).reply), peer.run("SCARD d"));
        assert_eq!(peer.server().stats.worked_aside(), 0);
    });
}

#[test]
fn what_it_stores_is_told_once_to_everybody() {
    each_engine(|peer| {
        fill(peer);
        let watching = peer.watch("d");
        let waiter = peer.block("BZPOPMIN d 0");
        let list = peer.block("BLPOP e 0");
        let mut long = peer.begin("ZUNIONSTORE d 2 z s");
        peer.until(&mut long, Stage::Store);
        assert!(!watching.flag.is_raised() && !waiter.is_over());
        assert_eq!(peer.finish(long), format!(":{COUNT}\r\n"));
        assert!(waiter.is_over());
        assert_eq!(peer.run("ZCARD d"), format!(":{}\r\n", COUNT - 1));
        assert_eq!(peer.transact("PING", watching), None);
        assert_eq!(peer.finish(peer.begin("SORT l STORE e")), format!(":{COUNT}\r\n"));
        assert!(list.is_over());
        assert_eq!(peer.run("LLEN e"), format!(":{}\r\n", COUNT - 1));
    });
}

#[test]
fn an_empty_result_removes_the_target_and_an_error_leaves_it() {
    each_engine(|peer| {
        fill(peer);
        peer.run("SET d before");
        assert_eq!(peer.finish(peer.begin("SDIFFSTORE d s s")), ":0\r\n");
        assert_eq!(peer.run("EXISTS d"), ":0\r\n");
        assert_eq!(peer.finish(peer.begin("SDIFFSTORE d s s")), ":0\r\n");
        peer.run("SET d before\nRPUSH l word");
        let error = "-ERR One or more scores can't be converted into double\r\n";
        assert_eq!(peer.finish(peer.begin("SORT l STORE d")), error);
        assert_eq!(peer.run("GET d"), "$6\r\nbefore\r\n");
        assert_eq!(peer.run("COPY s d"), ":0\r\n");
        assert_eq!(peer.run("GET d"), "$6\r\nbefore\r\n");
    });
}

#[test]
fn what_is_given_up_in_the_middle_leaves_nothing() {
    each_engine(|peer| {
        fill(peer);
        for stage in [Stage::Copy, Stage::Look, Stage::Work, Stage::Store] {
            let mut long = peer.begin("SUNIONSTORE d s few");
            peer.until(&mut long, stage);
            let aside = long.0.take().expect("begun");
            let flag = Arc::downgrade(&aside.flag);
            let batch = aside.into_batch(peer.server());
            assert!(flag.upgrade().is_none() && batch.requests.len() == 1);
            assert_eq!(peer.run("EXISTS d"), ":0\r\n");
        }
    });
}

#[test]
fn little_of_something_large_is_done_with_the_key_held() {
    each_engine(|peer| {
        fill(peer);
        for request in [
            "LRANGE l 0 63",
            "LRANGE l 0 64",
            "ZRANGE z 0 100",
            "SRANDMEMBER s",
            "SRANDMEMBER s 10",
            "SINTERCARD 2 s few LIMIT 1",
            "HRANDFIELD h",
            "SORT l BY nosort LIMIT 0 10",
            "SUNION few nothing nowhere l",
            "LRANGE l x y",
            "SMEMBERS few",
            "ZINTERCARD 0 z",
            "COPY s s",
            "COPY s few",
            "COPY s d DB 99",
            "SORT l BY w_* LIMIT 0 1",
        ] {
            peer.run(request);
            let is_expected = matches!(request, "SMEMBERS few" | "COPY s s");
            assert!(peer.server().stats.worked_aside() == 0 || is_expected, "{request}");
            peer.server().stats.reset();
        }
    });
}

#[test]
fn without_memory_for_copies_the_keys_are_held() {
    each_engine(|peer| {
        fill(peer);
        let config = &peer.server().config;
        config.set(&[("maxmemory", "1".to_owned())], crate::config::Caller::Local).expect("allowed");
        assert_eq!(peer.run("SINTERCARD 2 s s"), format!(":{COUNT}\r\n"));
        assert_eq!(peer.server().stats.worked_aside(), 0);
        config.set(&[("maxmemory", "0".to_owned())], crate::config::Caller::Local).expect("allowed");
        config.set(&[("long-command-elements", "0".to_owned())], crate::config::Caller::Local).expect("allowed");
        peer.server().stats.reset();
        assert_eq!(peer.run("SINTERCARD 2 s s"), format!(":{COUNT}\r\n"));
        assert_eq!(peer.server().stats.worked_aside(), 0);
    });
}
